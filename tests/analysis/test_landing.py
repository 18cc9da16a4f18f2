"""Landing of saccades: geometry, numpy's quantiles, planted gains, intervals, refusals."""

import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st

from attnsci.analysis.landing import (
    landing_by_eccentricity,
    quantiles_by_eccentricity,
    repeated_quantiles,
    saccade_landing,
)
from attnsci.errors import InvalidInput

PLACE = {"coordinate": ["x", "y"]}


def places(points, **coords):
    return xr.DataArray(points, {**PLACE, **coords}, ("stimulus", "coordinate"))


def test_by_hand():
    target = places([[10.0, 0], [10, 0], [0, 10], [3, 4], [10, 0], [10, 0]])
    fixation = places([[9.0, 0], [9, 9], [0, 12], [0, 0], [0, -5], [-5, 0]])
    found = saccade_landing(fixation, target.assign_attrs(units="px"))
    np.testing.assert_allclose(found["error"], [1, np.sqrt(82), 2, 5, np.sqrt(125), 15])
    np.testing.assert_allclose(found["eccentricity"], [10, 10, 10, 5, 10, 10])
    np.testing.assert_allclose(found["amplitude"], [9, np.sqrt(162), 12, 0, 5, 5])
    np.testing.assert_allclose(found["gain"], [0.9, 0.9, 1.2, 0, 0, -0.5], atol=1e-15)
    # y runs down: from rightward to downward is clockwise.
    np.testing.assert_allclose(found["angle_deg"], [0, 45, 0, np.nan, -90, 180], atol=1e-12)
    assert found.attrs["n_unmoved"] == 1
    assert found["error"].attrs["units"] == "px" and "units" not in found["gain"].attrs


@settings(max_examples=50, deadline=None)
@given(st.floats(0, 360), st.floats(0.1, 50), st.integers(0, 1000))
def test_turning_and_magnifying_change_only_the_lengths(turn, factor, seed):
    rng = np.random.default_rng(seed)
    fixation, target = rng.normal(0, 5, (2, 6, 2))
    angle = np.radians(turn)
    spin = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]]) * factor
    plain = saccade_landing(places(fixation), places(target))
    start = xr.DataArray([3.0, -2.0], PLACE, ("coordinate",))
    turned = saccade_landing(
        places(fixation @ spin + start.values), places(target @ spin + start.values), start=start
    )
    np.testing.assert_allclose(turned["error"], plain["error"] * factor, rtol=1e-6)
    np.testing.assert_allclose(turned["gain"], plain["gain"], rtol=1e-6, atol=1e-9)
    apart = (turned["angle_deg"] - plain["angle_deg"] + 180) % 360 - 180
    np.testing.assert_allclose(apart, 0, atol=1e-6)


def test_conditions_and_the_order_of_coordinates():
    rng = np.random.default_rng(0)
    target = places(rng.normal(0, 5, (4, 2)))
    fixation = xr.DataArray(
        rng.normal(0, 5, (3, 4, 2)),
        {"coordinate": ["y", "x"], "contrast": [0.3, 0.5, 0.7]},
        ("contrast", "stimulus", "coordinate"),
    )
    found = saccade_landing(fixation, target)
    want = np.hypot(
        fixation.values[..., 1] - target.values[:, 0], fixation.values[..., 0] - target.values[:, 1]
    )
    np.testing.assert_allclose(found["error"].transpose("contrast", "stimulus"), want)
    assert found["eccentricity"].dims == ("stimulus",)


def planted(n=2000, seed=0):
    """Saccades of a gain of 0.92 ± 0.05 and no angular bias, between 4 and 40 px."""
    rng = np.random.default_rng(seed)
    away, azimuth = rng.uniform(4, 40, n), rng.uniform(0, 2 * np.pi, n)
    unit = np.stack([np.cos(azimuth), np.sin(azimuth)], 1)
    across = np.stack([-unit[:, 1], unit[:, 0]], 1)
    gain = rng.normal(0.92, 0.05, n)
    aside = np.tan(np.radians(rng.normal(0, 4, n))) * gain
    landed = away[:, None] * (gain[:, None] * unit + aside[:, None] * across)
    return saccade_landing(places(landed), places(away[:, None] * unit))


def test_a_planted_gain_and_angle_come_back_within_their_intervals():
    found = landing_by_eccentricity(
        planted(), [4, 16, 28, 40], within=2.0, n_resamples=400, quantiles=[0.1, 0.5, 0.9]
    )
    spread = 1.2815515655446004
    for quantile, gain in ((0.1, 0.92 - spread * 0.05), (0.5, 0.92), (0.9, 0.92 + spread * 0.05)):
        one = found.sel(quantile=quantile)
        assert (one["gain_low"] - 0.003 <= gain).all() and (gain <= one["gain_high"] + 0.003).all()
        assert np.abs(one["gain"] - gain).max() < 0.012
    # Median of the absolute value of a normal angle of 4°.
    angle = found.sel(quantile=0.5)["angle_deg"]
    assert np.abs(angle - 4 * 0.6744897501960817).max() < 0.4
    assert (found["error"].sel(quantile=0.5).diff("eccentricity") > 0).all()
    assert int(found["n"].sum()) == 2000 == int(found["n_angles"].sum())


def test_against_numpy_in_every_bin_and_condition():
    rng = np.random.default_rng(3)
    edges = [0, 4, 8, 20]
    values = xr.DataArray(
        rng.gamma(2, 3, (60, 5, 2)),
        {"contrast": [0.3, 0.7]},
        ("stimulus", "place", "contrast"),
    )
    values[3, 2, 1] = np.nan
    away = xr.DataArray(rng.uniform(0, 22, (60, 5)), dims=("stimulus", "place"))
    levels = [0, 0.1, 0.5, 0.75, 1]
    found = quantiles_by_eccentricity(values, away, edges, levels, n_resamples=30)
    for b, c in np.ndindex(3, 2):
        inside = (away.values >= edges[b]) & (away.values < edges[b + 1])
        sample = values.values[..., c][inside]
        sample = sample[~np.isnan(sample)]
        want = np.quantile(sample, levels, method="averaged_inverted_cdf")
        np.testing.assert_allclose(found["estimate"][:, b, c], want)
        assert int(found["n"][b, c]) == len(sample)
    assert found.attrs["n_outside"] == int((away >= 20).sum())
    assert found["contrast"].values.tolist() == [0.3, 0.7]


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10000), st.integers(1, 12))
def test_repeated_quantiles_are_those_of_the_written_out_sample(seed, size):
    rng = np.random.default_rng(seed)
    sample = np.sort(rng.integers(0, 9, size).astype(float))
    times = rng.integers(0, 4, (5, size))
    times[:, rng.integers(size)] += 1
    levels = np.array([0, 0.1, 0.25, 1 / 3, 0.5, 0.7, 0.9, 1])
    found = repeated_quantiles(sample, times, levels)
    for row, draw in zip(found, times, strict=True):
        written = np.repeat(sample, draw)
        want = np.quantile(written, levels, method="averaged_inverted_cdf")
        # At 1/3 of a multiple of 3 numpy's rank is a rounding error away.
        exact = ~np.isclose((levels * len(written)) % 1, 1) & (levels != 1 / 3)
        np.testing.assert_allclose(row[exact], want[exact])
        assert row[4] == np.median(written)


def test_median_intervals_cover():
    hits = 0
    for seed in range(100):
        values = xr.DataArray(np.random.default_rng(seed).exponential(1, 80), dims="stimulus")
        found = quantiles_by_eccentricity(
            values, values * 0 + 1, [0, 2], [0.5], n_resamples=300, seed=seed
        )
        hits += bool(found["low"][0, 0] <= np.log(2) <= found["high"][0, 0])
    assert 88 <= hits <= 100


def test_saccades_of_one_stimulus_are_drawn_together():
    rng = np.random.default_rng(0)
    single = xr.DataArray(rng.gamma(2, 3, 50), dims="stimulus")
    many = single.expand_dims(place=8).transpose("stimulus", "place")
    away = xr.ones_like(many)
    one = quantiles_by_eccentricity(single, away.isel(place=0), [0, 2], n_resamples=200)
    eight = quantiles_by_eccentricity(many, away, [0, 2], n_resamples=200)
    for name in ("estimate", "low", "high"):
        np.testing.assert_allclose(one[name], eight[name])


def test_share_within_and_unmoved_gaze():
    target = places([[10.0, 0]] * 6)
    fixation = places([[9.0, 0], [10, 1], [10, 3], [0, 0], [8, 0], [0, 10]])
    found = landing_by_eccentricity(
        saccade_landing(fixation, target), [5, 15], within=2, n_resamples=100
    )
    assert float(found["within"][0]) == 0.5
    assert int(found["n"][0]) == 6 and int(found["n_angles"][0]) == 5
    assert 0 <= float(found["within_low"][0]) <= 0.5 <= float(found["within_high"][0]) <= 1
    assert found.attrs["within"] == 2 and found.attrs["n_stimuli"] == 6


GOOD = places([[10.0, 0], [0, 10.0], [5, 5]])
LANDING = saccade_landing(GOOD * 0.9, GOOD)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: saccade_landing(GOOD, GOOD - GOOD), "3 target\\(s\\) lie where"),
        (lambda: saccade_landing(GOOD[:2], GOOD), "same stimuli"),
        (lambda: saccade_landing(GOOD.assign_coords(stimulus=[0, 1, 2]), GOOD.assign_coords(
            stimulus=[0, 1, 3])), "same stimuli"),
        (lambda: saccade_landing(GOOD * np.nan, GOOD), "fixation holds"),
        (lambda: saccade_landing(GOOD.isel(coordinate=0), GOOD), "coordinate"),
        (lambda: saccade_landing(GOOD.assign_coords(coordinate=["x", "z"]), GOOD), "'x' and 'y'"),
        (lambda: landing_by_eccentricity(LANDING[["error"]], [5, 15], within=2), "lacks"),
        (lambda: landing_by_eccentricity(LANDING, [5, 15], within=0), "within"),
        (lambda: landing_by_eccentricity(LANDING, [20, 30], within=1), "\\[20, 30\\)"),
        (lambda: landing_by_eccentricity(LANDING, [5, 8, 15], within=1), "1 stimuli"),
        (lambda: landing_by_eccentricity(LANDING, [5, 15], within=1, quantiles=[2]), "between 0"),
        (lambda: landing_by_eccentricity(LANDING, [5, 15], within=1, quantiles=[]), "distinct"),
        (lambda: quantiles_by_eccentricity(LANDING["gain"] + np.inf, LANDING["gain"], [0, 9]), "i"),
        (lambda: quantiles_by_eccentricity(GOOD[:1, 0], GOOD[:1, 0], [0, 20]), "2 stimuli"),
    ],
)  # fmt: skip
def test_refusals(call, message):
    with pytest.raises(InvalidInput, match=message):
        call()
