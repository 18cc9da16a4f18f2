"""Bootstraps of independent values: scipy's numbers, closed forms, coverage, refusals."""

import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from attnsci.errors import InvalidInput
from attnsci.statistics import estimates as statistics

VALUES = np.random.default_rng(1).exponential(size=40)


@pytest.mark.parametrize("method", ["percentile", "BCa"])
def test_bootstrap_is_scipys_with_the_same_stream(method):
    ours = statistics.bootstrap(VALUES, statistic="median", seed=3, method=method, n_resamples=500)
    theirs = stats.bootstrap(
        (VALUES,), np.median, method=method, n_resamples=500, rng=np.random.default_rng(3)
    ).confidence_interval
    assert (ours.low, ours.high) == (theirs.low, theirs.high)
    assert ours.estimate == np.median(VALUES)
    assert (ours.n, ours.n_observations, ours.confidence) == (40, 40, 0.95)


def test_paired_samples_are_resampled_together():
    a = np.arange(30.0)

    def mean_difference(x, y, axis):
        return (x - y).mean(axis)

    paired = statistics.bootstrap(a, a - 2, statistic=mean_difference, seed=0, paired=True)
    assert (paired.low, paired.high, paired.n) == (2, 2, 30)
    free = statistics.bootstrap(
        a, a[:20], statistic=lambda x, y, axis: x.mean(axis) - y.mean(axis), seed=0
    )
    assert free.low < free.estimate - 2 < free.estimate + 2 < free.high
    assert free.n == 50


def test_seed_decides_and_is_explicit():
    first = statistics.bootstrap(VALUES, seed=0)
    assert first == statistics.bootstrap(VALUES, seed=0) != statistics.bootstrap(VALUES, seed=1)
    with pytest.raises(TypeError):
        statistics.bootstrap(VALUES)


def test_interval_of_a_mean_has_the_width_of_theory():
    sample = np.random.default_rng(0).normal(size=400)
    result = statistics.bootstrap(sample, seed=0, n_resamples=4000)
    expected = 2 * 1.96 * sample.std() / 20
    assert result.high - result.low == pytest.approx(expected, rel=0.05)


def test_coverage_is_near_nominal():
    rng = np.random.default_rng(0)
    hits = 0
    for i in range(150):
        result = statistics.bootstrap(rng.normal(size=30), seed=i, n_resamples=300)
        hits += result.low <= 0 <= result.high
    assert 0.87 <= hits / 150 <= 0.99


@settings(deadline=None, max_examples=25)
@given(st.floats(0.1, 100), st.floats(-50, 50))
def test_mean_interval_follows_scale_and_shift(scale, shift):
    base = statistics.bootstrap(VALUES, seed=0, n_resamples=50)
    moved = statistics.bootstrap(scale * VALUES + shift, seed=0, n_resamples=50)
    for name in ("estimate", "low", "high"):
        assert getattr(moved, name) == pytest.approx(scale * getattr(base, name) + shift)


@pytest.mark.parametrize(
    ("sample", "message"),
    [
        ([], "empty"),
        ([1.0], "at least 2"),
        ([1.0, np.nan], "NaN or infinite"),
        ([[1.0, 2.0]], "shape"),
    ],
)
def test_bad_samples_are_refused(sample, message):
    with pytest.raises(InvalidInput, match=message):
        statistics.bootstrap(sample, seed=0)


def test_undefined_intervals_are_refused_not_nan():
    with pytest.raises(InvalidInput, match='method="percentile"'):
        statistics.bootstrap(np.ones(10), seed=0, method="BCa")
    assert statistics.bootstrap(np.ones(10), seed=0).low == 1
    with pytest.raises(InvalidInput, match="undefined"):
        statistics.bootstrap(
            [1.0, 2.0], statistic=lambda x, axis: 1 / x.std(axis), seed=0, n_resamples=50
        )
    with pytest.raises(InvalidInput, match="paired value by value"):
        statistics.bootstrap([1.0, 2], [1.0, 2, 3], statistic=np.mean, seed=0, paired=True)
    with pytest.raises(InvalidInput, match="statistic must be one of"):
        statistics.bootstrap(VALUES, statistic="mode", seed=0)
    with pytest.raises(InvalidInput, match="confidence"):
        statistics.bootstrap(VALUES, seed=0, confidence=1.0)
    with pytest.raises(InvalidInput, match="at least one sample"):
        statistics.bootstrap(seed=0)


def test_bootstrap_mean_equals_drawing_rows(monkeypatch):
    values = xr.DataArray(
        np.random.default_rng(0).random((2, 50, 3)),
        {"phase": [1, 2]},
        ("phase", "stimulus", "step"),
        attrs={"units": "stale"},
    )
    result = statistics.bootstrap_mean(values, seed=4, n_resamples=200)
    drawn = np.random.default_rng(4).integers(50, size=(200, 50))
    draws = values.values[:, drawn].mean(2)  # (phase, resample, step)
    low, high = np.quantile(draws, [0.025, 0.975], axis=1)
    np.testing.assert_allclose(result["low"], low)
    np.testing.assert_allclose(result["high"], high)
    np.testing.assert_allclose(result["estimate"], values.mean("stimulus"))
    assert result["low"].dims == ("phase", "step")
    assert result.attrs["n"] == 50
    assert list(result["phase"].values) == [1, 2]
    # The block size changes nothing.
    monkeypatch.setattr(statistics, "BLOCK", 300)
    xr.testing.assert_allclose(result, statistics.bootstrap_mean(values, seed=4, n_resamples=200))


def test_bootstrap_mean_refuses():
    with pytest.raises(InvalidInput, match="lacks the dimension"):
        statistics.bootstrap_mean(xr.DataArray([1.0], dims="x"), seed=0)
    with pytest.raises(InvalidInput, match="1 entries along stimulus"):
        statistics.bootstrap_mean(xr.DataArray([1.0], dims="stimulus"), seed=0)
    with pytest.raises(InvalidInput, match="NaN"):
        statistics.bootstrap_mean(xr.DataArray([1.0, np.nan], dims="stimulus"), seed=0)
