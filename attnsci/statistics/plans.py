"""Bootstraps for samples with structure: fixed strata, networks and scenes, channels of units."""

from typing import Any

import numpy as np

from attnsci.checks import check_finite, check_option, check_positive, check_shape
from attnsci.errors import InvalidInput
from attnsci.seeds import numpy_generator
from attnsci.statistics.estimates import (
    STATISTICS,
    Estimate,
    Statistic,
    as_sample,
    check_confidence,
    count_draws,
    percentile_estimate,
    reducer,
    split_blocks,
)


def _groups(parameter: str, labels: Any, length: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the sorted distinct labels and the code of each entry."""
    array = check_shape(parameter, np.asarray(labels), (length,))
    if array.dtype.kind == "f":
        check_finite(parameter, array)
    return np.unique(array, return_inverse=True)


def bootstrap_stratified(
    values: Any,
    strata: Any,
    *,
    statistic: Statistic = "mean",
    seed: int,
    n_resamples: int = 2000,
    confidence: float = 0.95,
) -> Estimate:
    """Bootstrap a statistic of the pooled values, keeping the size of each stratum.

    Parameters
    ----------
    values : array-like, shape (N,)
        One value a stimulus.
    strata : array-like, shape (N,)
        Label of the stratum of each value, fixed by the design (a class, a side).
    statistic : {"mean", "median"} or callable
        A callable takes an array and ``axis``.
    seed : int
        Seed of the resampling.
    n_resamples, confidence
        As in `bootstrap`.

    Returns
    -------
    Estimate

    Raises
    ------
    InvalidInput
        If values are not finite or a stratum has fewer than two of them.

    Examples
    --------
    >>> bootstrap_stratified([1.0, 1.0, 3.0, 3.0], ["a", "a", "b", "b"], seed=0).low
    2.0
    """
    sample = as_sample("values", values, 2)
    function = reducer(statistic)
    names, codes = _groups("strata", strata, len(sample))
    sizes = np.bincount(codes)
    if sizes.min() < 2:
        raise InvalidInput(
            f"Stratum {names[sizes.argmin()].item()!r} has one value; every stratum needs at least "
            "two. Merge it with another one."
        )
    rng = numpy_generator(seed)
    order = np.argsort(codes, kind="stable")
    starts = np.repeat(np.cumsum(sizes) - sizes, sizes)
    width = np.repeat(sizes, sizes)
    draws = [
        function(sample[order[starts + rng.integers(width, size=(block, len(sample)))]], axis=-1)
        for block in split_blocks(
            check_positive("n_resamples", n_resamples, integer=True), len(sample)
        )
    ]
    n = len(sample)
    return percentile_estimate(
        float(function(sample, axis=-1)),
        np.concatenate(draws),
        n,
        n,
        check_confidence(confidence),
        "stratified",
    )


def bootstrap_hierarchical(
    values: Any,
    groups: Any,
    *,
    statistic: Statistic = "mean",
    seed: int,
    n_resamples: int = 2000,
    confidence: float = 0.95,
) -> Estimate:
    """Bootstrap the mean over groups of a statistic: first the groups, then their values.

    The claim is about networks like these (one a training seed), each tested on scenes like
    these: both levels are drawn afresh. Every group has the same weight.

    Parameters
    ----------
    values : array-like, shape (N,)
        One value a scene and network.
    groups : array-like, shape (N,)
        The network (seed) of each value.
    statistic : {"mean", "median"} or callable
        Taken within a group; a callable takes an array and ``axis``.
    seed : int
        Seed of the resampling.
    n_resamples, confidence
        As in `bootstrap`. With few groups the interval is too short: state their number.

    Returns
    -------
    Estimate
        `n` counts the groups.

    Raises
    ------
    InvalidInput
        If there are fewer than two groups, a group with one value, or values that are not finite.

    References
    ----------
    Saravanan V, Berman GJ, Sober SJ (2020). Application of the hierarchical bootstrap to
    multi-level data in neuroscience. Neurons, Behavior, Data Analysis and Theory 3(5).

    Examples
    --------
    >>> result = bootstrap_hierarchical([0.0, 1.0, 1.0, 1.0], [7, 7, 8, 8], seed=0)
    >>> result.estimate, result.n, result.n_observations
    (0.75, 2, 4)
    """
    sample = as_sample("values", values, 4)
    function = reducer(statistic)
    names, codes = _groups("groups", groups, len(sample))
    sizes = np.bincount(codes)
    if len(names) < 2 or sizes.min() < 2:
        raise InvalidInput(
            f"The hierarchical bootstrap needs at least two groups of two values; got "
            f"{len(names)} group(s), the smallest with {sizes.min()} value(s)."
        )
    check_positive("n_resamples", n_resamples, integer=True)
    rng = numpy_generator(seed)
    drawn = rng.integers(len(names), size=(n_resamples, len(names)))
    inner = np.empty(drawn.shape)
    members = np.split(sample[np.argsort(codes, kind="stable")], np.cumsum(sizes)[:-1])
    for group, own in enumerate(members):
        times = int((drawn == group).sum())
        parts = [
            function(own[rng.integers(len(own), size=(block, len(own)))], axis=-1)
            for block in split_blocks(times, len(own))
        ]
        if parts:
            inner[drawn == group] = np.concatenate(parts)
    value = float(np.mean([function(own, axis=-1) for own in members]))
    return percentile_estimate(
        value, inner.mean(1), len(names), len(sample), check_confidence(confidence), "hierarchical"
    )


def _weighted_median(values: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Return the median of ascending `values` (N,), repeated `weights` (B, N) times."""
    total = weights.sum(1)
    reached = np.cumsum(weights, axis=1)
    lower = (reached > ((total - 1) // 2)[:, None]).argmax(1)
    upper = (reached > (total // 2)[:, None]).argmax(1)
    return (values[lower] + values[upper]) / 2


def bootstrap_clusters(
    values: Any,
    clusters: Any,
    *,
    statistic: str = "median",
    seed: int,
    n_resamples: int = 2000,
    confidence: float = 0.95,
) -> Estimate:
    """Bootstrap the mean or median of the pooled values, drawing whole clusters.

    The positions of one channel share their weights and are no independent units; drawing
    channels keeps the interval honest.

    Parameters
    ----------
    values : array-like, shape (N,)
        One value a unit.
    clusters : array-like, shape (N,)
        Cluster (channel) of each unit.
    statistic : {"median", "mean"}
        Of all values together.
    seed : int
        Seed of the resampling.
    n_resamples, confidence
        As in `bootstrap`.

    Returns
    -------
    Estimate
        `n` counts the clusters.

    Raises
    ------
    InvalidInput
        If there are fewer than two clusters, or values that are not finite.

    Examples
    --------
    >>> bootstrap_clusters([1.0, 1.0, 5.0, 5.0, 5.0], [0, 0, 1, 1, 1], seed=0).estimate
    5.0
    """
    sample = as_sample("values", values, 2)
    check_option("statistic", statistic, STATISTICS)
    names, codes = _groups("clusters", clusters, len(sample))
    if len(names) < 2:
        raise InvalidInput(
            f"The cluster bootstrap needs at least two clusters; all {len(sample)} values belong "
            f"to {names[0].item()!r}."
        )
    check_positive("n_resamples", n_resamples, integer=True)
    order = np.argsort(sample, kind="stable")
    sizes, sums = np.bincount(codes), np.bincount(codes, weights=sample)
    rng = numpy_generator(seed)
    draws = []
    for block in split_blocks(n_resamples, len(sample)):
        times = count_draws(rng, block, len(names))
        if statistic == "mean":
            draws.append(times @ sums / (times @ sizes))
        else:
            draws.append(_weighted_median(sample[order], times[:, codes[order]]))
    return percentile_estimate(
        float(STATISTICS[statistic](sample)),
        np.concatenate(draws),
        len(names),
        len(sample),
        check_confidence(confidence),
        "cluster",
    )
