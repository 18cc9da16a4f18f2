"""Bootstraps of structured samples: what they hold fixed, what they draw, and their variance."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from attnsci.errors import InvalidInput
from attnsci.statistics import estimates as statistics
from attnsci.statistics import plans as resampling


def test_strata_keep_their_sizes():
    # Between strata there is a gap of 100; only variation within may reach the interval.
    rng = np.random.default_rng(0)
    values = np.concatenate([rng.normal(0, 1, 60), rng.normal(100, 1, 40)])
    strata = np.repeat(["left", "right"], [60, 40])
    order = rng.permutation(100)
    result = resampling.bootstrap_stratified(values[order], strata[order], seed=0)
    within = np.sqrt(0.6 * values[:60].var() + 0.4 * values[60:].var()) / 10
    assert result.high - result.low == pytest.approx(2 * 1.96 * within, rel=0.08)
    assert result.estimate == pytest.approx(values.mean())
    assert result.n == 100


def test_strata_that_do_not_vary_give_a_point():
    result = resampling.bootstrap_stratified([1.0, 1, 5, 5, 5], [0, 0, 1, 1, 1], seed=0)
    assert (result.low, result.high) == pytest.approx((3.4, 3.4))


def test_hierarchical_interval_holds_both_levels():
    rng = np.random.default_rng(0)
    n_groups, n_inner = 40, 50
    effects = rng.normal(0, 1, n_groups)
    values = effects[:, None] + rng.normal(0, 2, (n_groups, n_inner))
    groups = np.repeat(np.arange(n_groups), n_inner)
    result = resampling.bootstrap_hierarchical(values.ravel(), groups, seed=0)
    means = values.mean(1)
    variance = means.var() / n_groups + values.var(1).mean() / (n_groups * n_inner)
    assert result.high - result.low == pytest.approx(2 * 1.96 * np.sqrt(variance), rel=0.06)
    assert (result.n, result.n_observations) == (n_groups, n_groups * n_inner)
    # Ignoring the groups would claim three times the precision.
    plain = statistics.bootstrap(values.ravel(), seed=0)
    assert result.high - result.low > 2.5 * (plain.high - plain.low)


def test_hierarchical_weighs_groups_alike():
    values = np.concatenate([np.zeros(100), np.ones(2)])
    groups = np.repeat(["big", "small"], [100, 2])
    result = resampling.bootstrap_hierarchical(values, groups, seed=0)
    assert result.estimate == 0.5
    assert (result.low, result.high) == (0, 1)


@pytest.mark.parametrize("statistic", ["median", "mean"])
def test_clusters_equal_repeating_their_members(statistic):
    rng = np.random.default_rng(2)
    values, clusters = rng.normal(size=37), rng.integers(6, size=37)
    result = resampling.bootstrap_clusters(
        values, clusters, statistic=statistic, seed=5, n_resamples=300
    )
    drawn = np.random.default_rng(5).integers(6, size=(300, 6))
    reduce = getattr(np, statistic)
    draws = [reduce(np.concatenate([values[clusters == c] for c in row])) for row in drawn]
    assert (result.low, result.high) == pytest.approx(tuple(np.quantile(draws, [0.025, 0.975])))
    assert result.estimate == reduce(values)
    assert (result.n, result.n_observations) == (6, 37)


@settings(deadline=None, max_examples=25)
@given(st.permutations(range(12)))
def test_clusters_do_not_depend_on_the_order_of_units(order):
    values, clusters = np.arange(12.0) ** 2, np.arange(12) % 4
    base = resampling.bootstrap_clusters(values, clusters, seed=0, n_resamples=50)
    moved = resampling.bootstrap_clusters(values[order], clusters[order], seed=0, n_resamples=50)
    assert base == moved


def test_blocks_change_nothing(monkeypatch):
    values, clusters = np.random.default_rng(0).normal(size=30), np.arange(30) % 7
    base = [
        resampling.bootstrap_clusters(values, clusters, seed=0, n_resamples=100),
        resampling.bootstrap_stratified(values, clusters, seed=0, n_resamples=100),
    ]
    monkeypatch.setattr(statistics, "BLOCK", 64)
    assert base == [
        resampling.bootstrap_clusters(values, clusters, seed=0, n_resamples=100),
        resampling.bootstrap_stratified(values, clusters, seed=0, n_resamples=100),
    ]


def test_refusals():
    with pytest.raises(InvalidInput, match="Stratum 'b' has one value"):
        resampling.bootstrap_stratified([1.0, 2, 3], ["a", "a", "b"], seed=0)
    with pytest.raises(InvalidInput, match="at least two groups"):
        resampling.bootstrap_hierarchical([1.0, 2, 3, 4], [0, 0, 0, 0], seed=0)
    with pytest.raises(InvalidInput, match="smallest with 1"):
        resampling.bootstrap_hierarchical([1.0, 2, 3, 4], [0, 0, 0, 1], seed=0)
    with pytest.raises(InvalidInput, match="at least two clusters"):
        resampling.bootstrap_clusters([1.0, 2], [3, 3], seed=0)
    with pytest.raises(InvalidInput, match="strata must have shape"):
        resampling.bootstrap_stratified([1.0, 2], [0], seed=0)
    with pytest.raises(InvalidInput, match="NaN"):
        resampling.bootstrap_clusters([1.0, 2], [0, np.nan], seed=0)
