"""Tuning curves: brute force, laziness, missing values, ceilings, refusals."""

import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st

from attnsci.analysis import tuning
from attnsci.errors import InvalidInput

RNG = np.random.default_rng(0)
ANGLES = RNG.permutation(np.repeat(np.arange(6) * 30.0, [3, 9, 5, 7, 10, 6]))


def recording(dtype=np.float32, n_channels=4):
    values = np.random.default_rng(1).exponential(size=(40, 2, n_channels, 3)).astype(dtype)
    coords = {
        "orientation_deg": ("stimulus", ANGLES),
        "side": ("stimulus", np.tile(["left", "right"], 20)),
        "channel": np.arange(n_channels) * 10,
    }
    return xr.DataArray(
        values, coords, ("stimulus", "time", "channel", "x"), name="conv1", attrs={"units": "mV"}
    )


def brute(responses, by, function):
    values = np.unique(responses[by].values)
    return np.stack([function(responses.values[responses[by].values == v], axis=0) for v in values])


@pytest.mark.parametrize(("statistic", "function"), [("mean", np.mean), ("max", np.max)])
@pytest.mark.parametrize("by", ["orientation_deg", "side"])
def test_against_brute_force(statistic, function, by):
    responses = recording()
    result = tuning.tuning_curves(responses, by, statistic)
    np.testing.assert_allclose(result, brute(responses, by, function), rtol=1e-6)
    assert result.dims == (by, "time", "channel", "x")
    assert result.dtype == np.float64
    np.testing.assert_array_equal(result[by], np.unique(responses[by].values))
    np.testing.assert_array_equal(result["channel"], responses["channel"])
    assert "side" not in result.coords or by == "side"
    assert result["n_stimuli"].sum() == 40
    # What described the recording does not describe the curves.
    assert set(result.attrs) == {"statistic", "by", "n_stimuli"}


@pytest.mark.parametrize("statistic", ["mean", "max", "count"])
@pytest.mark.parametrize("chunks", [{"stimulus": 40}, {"stimulus": 7}, {"stimulus": 1, "x": 2}])
@pytest.mark.parametrize("missing", [False, True])
def test_dask_is_lazy_and_agrees(statistic, chunks, missing):
    responses = recording()
    if missing:
        responses = responses.where(np.random.default_rng(2).random(responses.shape) > 0.2)
    lazy = tuning.tuning_curves(responses.chunk(chunks), statistic=statistic)
    assert lazy.chunks is not None
    assert lazy["n_stimuli"].chunks is None
    eager = tuning.tuning_curves(responses, statistic=statistic)
    xr.testing.assert_allclose(lazy.compute(), eager, rtol=1e-6)


def test_nothing_is_read_before_compute():
    import dask.array as da

    def fail(block):
        raise AssertionError("read")

    responses = recording()
    data = da.from_array(responses.values, chunks=(8, -1, -1, -1)).map_blocks(
        fail, dtype=np.float32, meta=np.empty((0, 0, 0, 0), np.float32)
    )
    lazy = responses.copy(data=data)
    tuning.tuning_curves(lazy)
    tuning.tuning_curves(lazy, statistic="max")
    tuning.split_half_ceiling(lazy, seed=0)
    with pytest.raises(AssertionError, match="read"):
        tuning.tuning_curves(lazy).compute()


def test_missing_values_stay_where_they_are():
    responses = recording()
    complete = tuning.tuning_curves(responses)
    first = np.flatnonzero(ANGLES == 60)[0]
    holed = responses.copy()
    holed[first, 0, 1, 2] = np.nan
    result = tuning.tuning_curves(holed)
    rest = responses.values[(ANGLES == 60) & (np.arange(40) != first), 0, 1, 2].mean()
    cell = {"orientation_deg": 2, "time": 0, "channel": 1, "x": 2}
    assert float(result[cell]) == pytest.approx(rest)
    changed = (result != complete).values
    assert changed.sum() <= complete.sizes["orientation_deg"]  # rounding within the unit at most
    np.testing.assert_allclose(result.values[~changed], complete.values[~changed])
    counts = tuning.tuning_curves(holed, statistic="count")
    assert float(counts[cell]) == 4
    assert float((5 - counts.isel(orientation_deg=2)).sum()) == 1
    largest = tuning.tuning_curves(holed, statistic="max")
    np.testing.assert_allclose(largest, brute(holed, "orientation_deg", np.nanmax))


@pytest.mark.parametrize("statistic", ["mean", "max"])
def test_a_condition_without_responses_is_nan_with_count_0(statistic):
    responses = recording().where(ANGLES[:, None, None, None] != 90)
    result = tuning.tuning_curves(responses, statistic=statistic)
    assert np.isnan(result.sel(orientation_deg=90)).all()
    assert np.isfinite(result.drop_sel(orientation_deg=90)).all()
    assert (tuning.tuning_curves(responses, statistic="count").sel(orientation_deg=90) == 0).all()


@pytest.mark.parametrize("dtype", [np.float16, np.float64, np.int32, bool])
def test_other_dtypes(dtype):
    responses = recording().astype(dtype)
    expected = brute(responses.astype(float), "orientation_deg", np.mean)
    np.testing.assert_allclose(tuning.tuning_curves(responses), expected, rtol=1e-12, atol=1e-12)


def test_long_recordings_keep_their_precision():
    # More rows than one product takes, values with a large common part.
    angles = np.tile([0.0, 60, 120], 400)
    values = (1000 + np.random.default_rng(0).normal(size=(1200, 5))).astype(np.float32)
    responses = xr.DataArray(
        values, {"orientation_deg": ("stimulus", angles)}, ("stimulus", "channel")
    )
    exact = brute(responses.astype(float), "orientation_deg", np.mean)
    np.testing.assert_allclose(tuning.tuning_curves(responses), exact, rtol=3e-7)


@settings(deadline=None, max_examples=20)
@given(st.permutations(range(40)), st.floats(0.1, 10))
def test_order_of_stimuli_and_scale(order, scale):
    responses = recording(np.float64)
    base = tuning.tuning_curves(responses)
    xr.testing.assert_allclose(tuning.tuning_curves(responses[order]), base)
    np.testing.assert_allclose(tuning.tuning_curves(scale * responses), scale * base)


@pytest.mark.parametrize(
    ("change", "by", "message"),
    [
        (lambda r: r, "contrast", "orientation_deg, side"),
        (lambda r: r, "channel", "by must name a coordinate along stimulus"),
        (lambda r: r[:0], "orientation_deg", "no stimulus"),
        (lambda r: r.rename(stimulus="trial"), "orientation_deg", "lacks the dimension"),
        (lambda r: r.assign_coords(stimulus=np.arange(40)), "stimulus", "the dimension itself"),
        (
            lambda r: r.assign_coords(orientation_deg=("stimulus", np.full(40, np.nan))),
            "orientation_deg",
            "NaN",
        ),
    ],
)
def test_refusals(change, by, message):
    with pytest.raises(InvalidInput, match=message):
        tuning.tuning_curves(change(recording()), by)


def test_more_refusals(monkeypatch):
    with pytest.raises(InvalidInput, match="statistic must be one of"):
        tuning.tuning_curves(recording(), statistic="median")
    infinite = recording()
    infinite[3, 0, 0, 0] = np.inf
    with pytest.raises(InvalidInput, match="1 infinite"):
        tuning.tuning_curves(infinite)
    monkeypatch.setattr(tuning, "LARGEST_RESULT_BYTES", 1000)
    with pytest.raises(InvalidInput, match="Bin orientation_deg"):
        tuning.tuning_curves(recording())


def test_activity_is_a_partition():
    attended = xr.DataArray([[0.0, 2], [0, 1], [0, 0], [0, 0]], dims=("unit", "orientation_deg"))
    unattended = xr.DataArray([[1.0, 0], [0, 0], [0, 3], [0, 1e-7]], dims=attended.dims)
    states = tuning.activity(attended, unattended)
    expected = ["active", "only_attended", "only_unattended", "silent"]
    for unit, state in enumerate(expected):
        assert [name for name in states if states[name][unit]] == [state]
    assert tuning.activity(attended, unattended, threshold=1e-8)["only_unattended"][3]


def test_describe_curves():
    angles = np.arange(21) * 9.0
    bell = np.exp(np.cos(2 * np.deg2rad(angles - 63)))
    curves = xr.DataArray(
        [bell, 0 * bell], {"orientation_deg": angles}, ("channel", "orientation_deg")
    )
    result = tuning.describe_curves(curves)
    assert float(result["best_deg"][0]) == 63
    assert float(result["preference_deg"][0]) == pytest.approx(63)
    assert float(result["mean"][0]) == pytest.approx(bell.mean())
    assert float(result["maximum"][0]) == pytest.approx(np.e)
    np.testing.assert_array_equal(result["active"], [True, False])
    assert np.isnan(result["best_deg"][1])
    assert np.isnan(result["selectivity"][1])
    lazy = tuning.describe_curves(curves.chunk(channel=1))
    assert lazy["best_deg"].chunks is not None
    xr.testing.assert_allclose(lazy.compute(), result)


def noisy_recording(n_repeats, n_channels=200, noise=1.0):
    rng = np.random.default_rng(0)
    angles = np.tile(np.arange(12) * 15.0, n_repeats)
    signal = np.cos(2 * np.deg2rad(angles[:, None] - rng.uniform(0, 180, n_channels)))
    values = signal + rng.normal(0, noise, signal.shape)
    return xr.DataArray(values, {"orientation_deg": ("stimulus", angles)}, ("stimulus", "channel"))


def test_ceiling_is_the_reliability_of_theory():
    # Variance over the 12 angles: signal 1/2, noise of a mean of n (11/12)/n.
    result = tuning.split_half_ceiling(noisy_recording(8), seed=0)
    assert float(result["ceiling"].mean()) == pytest.approx(0.5 / (0.5 + 11 / 96), abs=0.02)
    assert float(result["half_r"].mean()) == pytest.approx(0.5 / (0.5 + 11 / 48), abs=0.02)
    assert result["defined"].all()


def test_ceiling_of_halves_by_hand():
    # Two stimuli a condition: a half is one of them, so r is that of the two presentations up to
    # exchanges within conditions, which one condition that agrees leaves alone.
    responses = xr.DataArray(
        np.array([[0.0, 1], [0.0, 1], [1.0, 1], [1.0, 1], [3.0, 1], [3.0, 1]]),
        {"orientation_deg": ("stimulus", [0.0, 0, 60, 60, 120, 120])},
        ("stimulus", "channel"),
    )
    result = tuning.split_half_ceiling(responses, seed=0, n_splits=4)
    np.testing.assert_allclose(result["half_r"], [1, np.nan])
    np.testing.assert_array_equal(result["defined"], [True, False])


def test_ceiling_lazy_seeded_and_refused():
    responses = noisy_recording(5, 6)
    base = tuning.split_half_ceiling(responses, seed=1)
    lazy = tuning.split_half_ceiling(responses.chunk(stimulus=7), seed=1)
    assert lazy["ceiling"].chunks is not None
    xr.testing.assert_allclose(lazy.compute(), base)
    assert not base.equals(tuning.split_half_ceiling(responses, seed=2))
    with pytest.raises(InvalidInput, match="two stimuli each"):
        tuning.split_half_ceiling(responses[:12], seed=0)


def test_pearson_against_numpy():
    a, b = RNG.random((5, 9)), RNG.random((5, 9))
    expected = [np.corrcoef(x, y)[0, 1] for x, y in zip(a, b, strict=True)]
    np.testing.assert_allclose(tuning.pearson(a, b), expected)
    assert np.isnan(tuning.pearson(np.full(9, 0.1), b[0]))
