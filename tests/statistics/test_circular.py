"""Orientations of period 180°: closed forms, scipy's circle, simulated null distributions."""

import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from attnsci.errors import InvalidInput
from attnsci.statistics import circular

angle = st.floats(0, 180, exclude_max=True)


def curves(values, angles=None):
    values = np.asarray(values, float)
    angles = np.arange(values.shape[-1]) * 180 / values.shape[-1] if angles is None else angles
    dims = (*("channel", "y")[: values.ndim - 1], "orientation_deg")
    return xr.DataArray(values, {"orientation_deg": angles}, dims)


@settings(deadline=None)
@given(angle, st.floats(-89, 89), st.integers(-3, 3))
def test_difference_undoes_a_turn(start, turn, rounds):
    assert circular.difference(start + turn + 180 * rounds, start) == pytest.approx(turn, abs=1e-9)


def test_difference_ends_and_kinds():
    assert circular.difference(90.0, 0.0) == -90
    np.testing.assert_allclose(circular.difference(np.array([175.0, 5]), 5.0), [-10, 0])
    labelled = circular.difference(xr.DataArray([1.0], dims="unit"), xr.DataArray(179.0))
    assert labelled.dims == ("unit",)
    assert labelled.item() == 2


def test_mean_crosses_the_seam():
    assert circular.mean([178.0, 4.0]) == pytest.approx(1)
    assert circular.mean([350.0, 184.0]) == pytest.approx(177)
    sample = np.random.default_rng(0).uniform(30, 90, 50)
    doubled = stats.circmean(2 * sample, high=360) / 2
    assert circular.mean(sample) == pytest.approx(doubled)
    with pytest.raises(InvalidInput, match="cancel"):
        circular.mean([10.0, 100.0])


def test_resultant_length_is_one_minus_scipys_variance():
    sample = np.random.default_rng(0).uniform(0, 60, 50)
    assert circular.resultant_length(sample) == pytest.approx(1 - stats.circvar(sample, high=180))
    assert circular.resultant_length([0.0, 45.0]) == pytest.approx(np.sqrt(0.5))
    with pytest.raises(InvalidInput, match="empty"):
        circular.resultant_length([])


@pytest.mark.parametrize("n", [8, 30])
def test_null_distributions_by_simulation(n):
    null = np.random.default_rng(0).uniform(0, 180, (20_000, n))
    vector = np.exp(2j * np.deg2rad(null)).mean(1)
    for length in (0.35, 0.45):
        # A sample of the wished resultant about 20°: pairs at ± half the angle.
        half = np.rad2deg(np.arccos(length)) / 2
        sample = np.tile([20 - half, 20 + half], n // 2)
        rayleigh, v = circular.rayleigh(sample), circular.v_test(sample, 20.0)
        assert rayleigh.estimate == pytest.approx(length)
        assert v.estimate == pytest.approx(length)
        assert rayleigh.statistic == pytest.approx(n * length**2)
        assert rayleigh.p_value == pytest.approx((abs(vector) >= length).mean(), abs=0.012)
        assert v.p_value == pytest.approx((vector.real >= length).mean(), abs=0.012)


def test_rayleigh_of_the_textbook():
    # Zar's example of eight angles (period 360°, hence halved): r = .82522, z = 5.448,
    # .001 < p < .002.
    full = np.array([45, 55, 81, 96, 110, 117, 132, 154])
    result = circular.rayleigh(full / 2)
    assert result.estimate == pytest.approx(0.82522, abs=1e-5)
    assert result.statistic == pytest.approx(5.448, abs=1e-3)
    assert 0.001 < result.p_value < 0.002


def test_v_test_needs_the_right_direction():
    sample = np.full(10, 90.0)
    assert circular.v_test(sample, 0).p_value > 0.999
    assert circular.v_test(sample, 90).p_value < 1e-5
    with pytest.raises(InvalidInput, match="at least 5"):
        circular.v_test([1.0, 2.0])


def test_paired_shift_tells_scatter_from_turn():
    rng = np.random.default_rng(0)
    before = rng.uniform(0, 180, 200)
    turned = circular.paired_shift(before + 6 + rng.normal(0, 1, 200), before, seed=0)
    assert turned.mean_deg == pytest.approx(6, abs=0.3)
    assert turned.low_deg < turned.mean_deg < turned.high_deg
    assert turned.resultant_length > 0.99
    scattered = circular.paired_shift(before + rng.choice([-20, 20], 200), before, seed=0)
    assert scattered.low_deg < 0 < scattered.high_deg
    assert scattered.median_absolute_deg.estimate == pytest.approx(20)
    assert scattered.resultant_length == pytest.approx(np.cos(np.deg2rad(40)), abs=0.02)
    with pytest.raises(InvalidInput, match="paired value by value"):
        circular.paired_shift(before[:6], before[:7], seed=0)


def test_preference_and_selectivity_closed_forms():
    theta = np.arange(12) * 15.0
    for preference in (0.0, 37.0, 179.0):
        cosine = 2 + np.cos(2 * np.deg2rad(theta - preference))
        result = circular.preferred_orientation(curves(cosine))
        assert circular.difference(float(result["preference_deg"]), preference) == (
            pytest.approx(0, abs=1e-9)
        )
        assert float(result["selectivity"]) == pytest.approx(0.25)  # amplitude / (2 · mean)
    single = circular.preferred_orientation(curves(np.eye(12)[3]))
    assert float(single["selectivity"]) == pytest.approx(1)
    assert float(single["preference_deg"]) == pytest.approx(45)


@settings(deadline=None, max_examples=30)
@given(st.floats(0.01, 1000), st.integers(0, 8), st.permutations(range(4)))
def test_scaling_rotation_and_order_of_units(scale, shift, order):
    values = np.random.default_rng(0).random((4, 9)) + 0.1
    base = circular.preferred_orientation(curves(values))
    scaled = circular.preferred_orientation(curves(scale * values))
    np.testing.assert_allclose(scaled["selectivity"], base["selectivity"])
    turned = circular.preferred_orientation(curves(np.roll(values, shift, axis=1)))
    turns = circular.difference(turned["preference_deg"], base["preference_deg"])
    np.testing.assert_allclose(circular.difference(turns, 20.0 * shift), 0, atol=1e-9)
    moved = circular.preferred_orientation(curves(values[order]))
    np.testing.assert_allclose(moved["selectivity"], base["selectivity"][order])


def test_repeated_angle_counts_once():
    values = np.random.default_rng(0).random((3, 20))
    once = circular.preferred_orientation(curves(values))
    again = circular.preferred_orientation(
        curves(np.column_stack([values, values[:, 0]]), np.arange(21) * 9.0)
    )
    xr.testing.assert_allclose(once, again)


def test_silent_and_flat_units_are_flagged():
    result = circular.preferred_orientation(
        curves([[0.0, 0, 0, 0], [2.0, 2, 2, 2], [1.0, 0, 0, 0]])
    )
    np.testing.assert_array_equal(result["defined"], [False, False, True])
    np.testing.assert_allclose(result["selectivity"], [np.nan, 0, 1], atol=1e-12)
    assert np.isnan(result["preference_deg"][:2]).all()


def test_dask_stays_lazy_and_agrees():
    array = curves(np.random.default_rng(0).random((5, 3, 12)))
    lazy = circular.preferred_orientation(array.chunk(channel=2))
    assert lazy["selectivity"].chunks is not None
    xr.testing.assert_allclose(lazy.compute(), circular.preferred_orientation(array))


@pytest.mark.parametrize(
    ("angles", "message"),
    [
        ([0.0], "at least three"),
        ([0.0, 90, 180], "at least three"),
        ([0.0, 10, 20, 90], "evenly"),
        ([0.0, np.nan, 90], "NaN"),
    ],
)
def test_unusable_angles(angles, message):
    with pytest.raises(InvalidInput, match=message):
        circular.preferred_orientation(curves(np.ones(len(angles)), angles))


def test_unusable_responses():
    with pytest.raises(InvalidInput, match="at least 0"):
        circular.preferred_orientation(curves([1.0, -1, 1, 1]))
    with pytest.raises(InvalidInput, match="NaN"):
        circular.preferred_orientation(curves([1.0, np.nan, 1, 1]))
    with pytest.raises(InvalidInput, match="no coordinate"):
        circular.preferred_orientation(xr.DataArray([1.0, 2], dims="orientation_deg"))
    with pytest.raises(InvalidInput, match="lacks the dimension"):
        circular.preferred_orientation(xr.DataArray([1.0, 2], dims="x"))
