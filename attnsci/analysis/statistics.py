"""Numbers with their intervals: bootstraps for samples with and without structure.

A resampling plan says what would be drawn afresh in a repeated experiment: stimuli (`bootstrap`),
stimuli within fixed strata (`bootstrap_stratified`), networks and then their scenes
(`bootstrap_hierarchical`), or whole channels of units (`bootstrap_clusters`).
"""

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr

from attnsci.checks import (
    check_dims,
    check_finite,
    check_not_empty,
    check_option,
    check_positive,
    check_shape,
)
from attnsci.errors import InvalidInput
from attnsci.seeds import numpy_generator

Statistic = str | Callable[..., Any]

# Resamples are drawn in blocks of about this many numbers (32 MiB of float64).
BLOCK = 2**22
STATISTICS: dict[str, Callable[..., Any]] = {"mean": np.mean, "median": np.median}


@dataclass(frozen=True)
class Estimate:
    """A number, its interval, and what it rests on.

    Attributes
    ----------
    estimate, low, high : float
        The statistic of the sample and the ends of its interval.
    n : int
        Independent units that were resampled: stimuli, networks or clusters.
    n_observations : int
        Values that went in; equal to `n` where every value is its own unit.
    confidence : float
        Nominal coverage of the interval.
    method : str
        How the interval was made.
    """

    estimate: float
    low: float
    high: float
    n: int
    n_observations: int
    confidence: float
    method: str


def as_sample(parameter: str, values: Any, minimum: int = 1) -> np.ndarray:
    """Return `values` as a finite float64 vector.

    Parameters
    ----------
    parameter : str
        Name of the argument, for the message.
    values : array-like, shape (N,)
        Numbers or booleans; a DataArray too.
    minimum : int
        Smallest acceptable N.

    Returns
    -------
    numpy.ndarray, shape (N,), float64

    Raises
    ------
    InvalidInput
        If the sample is empty, too small, not a vector, or holds NaN or infinity.

    Examples
    --------
    >>> as_sample("correct", [True, False])
    array([1., 0.])
    """
    sample = check_shape(parameter, np.asarray(values, dtype=np.float64), ("N",))
    check_finite(parameter, check_not_empty(parameter, sample))
    if len(sample) < minimum:
        raise InvalidInput(
            f"{parameter} has {len(sample)} value(s); at least {minimum} are needed here."
        )
    return sample


def check_confidence(confidence: float) -> float:
    """Return `confidence` if it lies strictly between 0 and 1."""
    if not 0 < confidence < 1:
        raise InvalidInput(f"confidence must lie strictly between 0 and 1; got {confidence!r}.")
    return confidence


def check_same_length(**samples: np.ndarray) -> int:
    """Return the common length of the named samples, or say which lengths differ."""
    lengths = {name: len(sample) for name, sample in samples.items()}
    if len(set(lengths.values())) != 1:
        text = ", ".join(f"{name} has {length}" for name, length in lengths.items())
        raise InvalidInput(f"The samples must be paired value by value: {text}.")
    return next(iter(lengths.values()))


def _function(statistic: Statistic) -> Callable[..., Any]:
    if callable(statistic):
        return statistic
    return STATISTICS[check_option("statistic", statistic, STATISTICS)]


def _estimate(
    value: float, draws: np.ndarray, n: int, n_observations: int, confidence: float, method: str
) -> Estimate:
    """Take the percentile interval of the bootstrap draws."""
    if not (np.isfinite(value) and np.isfinite(draws).all()):
        raise InvalidInput(
            f"The statistic is undefined in {int((~np.isfinite(draws)).sum())} of {len(draws)} "
            f"resamples (its value in the sample: {value!r}). Use a statistic that every resample "
            "has, or more data."
        )
    tail = (1 - confidence) / 2
    low, high = np.quantile(draws, [tail, 1 - tail])
    return Estimate(
        float(value), float(low), float(high), n, n_observations, confidence, f"{method} bootstrap"
    )


def _blocks(total: int, width: int) -> list[int]:
    """Split `total` resamples of `width` numbers into blocks that fit the memory budget."""
    size = max(1, BLOCK // max(width, 1))
    return [min(size, total - start) for start in range(0, total, size)]


def bootstrap(
    *samples: Any,
    statistic: Statistic = "mean",
    seed: int,
    paired: bool = False,
    method: str = "percentile",
    n_resamples: int = 2000,
    confidence: float = 0.95,
) -> Estimate:
    """Bootstrap a statistic of one or several samples of independent values.

    Parameters
    ----------
    *samples : array-like, shape (N,)
        One sample, or several for a statistic of several arguments.
    statistic : {"mean", "median"} or callable
        A callable takes as many arrays as there are samples and ``axis``, and reduces that axis.
    seed : int
        Seed of the resampling.
    paired : bool
        Resample the samples together, entry by entry; they must have equal length.
    method : {"percentile", "BCa"}
        BCa corrects for bias and skew and needs a sample that varies.
    n_resamples : int
        Number of resamples.
    confidence : float
        Coverage of the interval.

    Returns
    -------
    Estimate
        `n` is the length of the sample, or the sum of the lengths of unpaired samples.

    Raises
    ------
    InvalidInput
        If a sample is not finite, has fewer than two values, or the interval is undefined.

    See Also
    --------
    scipy.stats.bootstrap : does the work.

    References
    ----------
    Efron B, Tibshirani RJ (1993). An Introduction to the Bootstrap. Chapman & Hall.

    Examples
    --------
    >>> bootstrap([1.0, 2.0, 3.0, 4.0], seed=0).estimate
    2.5
    """
    from scipy import stats

    function = _function(statistic)
    check_option("method", method, ("percentile", "BCa"))
    check_positive("n_resamples", n_resamples, integer=True)
    if not samples:
        raise InvalidInput("bootstrap needs at least one sample; got none.")
    data = [as_sample(f"sample {i}", sample, 2) for i, sample in enumerate(samples)]
    lengths = [len(sample) for sample in data]
    n = check_same_length(**{f"sample {i}": d for i, d in enumerate(data)}) if paired else 0
    value = float(function(*data, axis=-1))
    # An undefined interval is reported below, with its count.
    with np.errstate(invalid="ignore", divide="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore", stats.DegenerateDataWarning)
        result = stats.bootstrap(
            data,
            function,
            paired=paired,
            vectorized=True,
            method=method,
            n_resamples=n_resamples,
            confidence_level=check_confidence(confidence),
            batch=max(1, BLOCK // max(lengths)),
            rng=numpy_generator(seed),
        )
    low, high = (float(end) for end in result.confidence_interval)
    if not np.isfinite([value, low, high]).all():
        undefined = int((~np.isfinite(result.bootstrap_distribution)).sum())
        raise InvalidInput(
            f"The {method} interval is undefined: the statistic is {value!r} in the sample and "
            f"not finite in {undefined} of {n_resamples} resamples. A sample without variation "
            'needs method="percentile"; otherwise use more data or another statistic.'
        )
    n = n or sum(lengths)
    return Estimate(value, low, high, n, n, confidence, f"{method} bootstrap")


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
    function = _function(statistic)
    names, codes = _groups("strata", strata, len(sample))
    sizes = np.bincount(codes)
    if sizes.min() < 2:
        raise InvalidInput(
            f"Stratum {names[sizes.argmin()]!r} has one value; every stratum needs at least two. "
            "Merge it with another one."
        )
    rng = numpy_generator(seed)
    order = np.argsort(codes, kind="stable")
    starts = np.repeat(np.cumsum(sizes) - sizes, sizes)
    width = np.repeat(sizes, sizes)
    draws = [
        function(sample[order[starts + rng.integers(width, size=(block, len(sample)))]], axis=-1)
        for block in _blocks(check_positive("n_resamples", n_resamples, integer=True), len(sample))
    ]
    n = len(sample)
    return _estimate(
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
    function = _function(statistic)
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
            for block in _blocks(times, len(own))
        ]
        if parts:
            inner[drawn == group] = np.concatenate(parts)
    value = float(np.mean([function(own, axis=-1) for own in members]))
    return _estimate(
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
            f"to {names[0]!r}."
        )
    check_positive("n_resamples", n_resamples, integer=True)
    order = np.argsort(sample, kind="stable")
    sizes, sums = np.bincount(codes), np.bincount(codes, weights=sample)
    rng = numpy_generator(seed)
    draws = []
    for block in _blocks(n_resamples, len(sample)):
        times = _counts(rng, block, len(names))
        if statistic == "mean":
            draws.append(times @ sums / (times @ sizes))
        else:
            draws.append(_weighted_median(sample[order], times[:, codes[order]]))
    return _estimate(
        float(STATISTICS[statistic](sample)),
        np.concatenate(draws),
        len(names),
        len(sample),
        check_confidence(confidence),
        "cluster",
    )


def _counts(rng: np.random.Generator, block: int, n: int) -> np.ndarray:
    """Return how often each of `n` entries is drawn in each of `block` resamples."""
    drawn = rng.integers(n, size=(block, n)) + n * np.arange(block)[:, None]
    return np.bincount(drawn.ravel(), minlength=block * n).reshape(block, n)


def bootstrap_mean(
    values: xr.DataArray,
    dim: str = "stimulus",
    *,
    seed: int,
    n_resamples: int = 2000,
    confidence: float = 0.95,
) -> xr.Dataset:
    """Bootstrap the mean along one dimension, for all other dimensions at once.

    Every cell of the result sees the same resamples, as a repeated experiment would.

    Parameters
    ----------
    values : xarray.DataArray
        Numbers with dimension `dim`: accuracy by (stimulus, phase), say.
    dim : str
        The dimension that is resampled.
    seed : int
        Seed of the resampling.
    n_resamples, confidence
        As in `bootstrap`.

    Returns
    -------
    xarray.Dataset
        `estimate`, `low` and `high` over the other dimensions; attributes `n`, `confidence`.

    Raises
    ------
    InvalidInput
        If `dim` is missing or shorter than two, or values are not finite.

    Examples
    --------
    >>> correct = xr.DataArray([[1, 0], [1, 1], [1, 0]], dims=("stimulus", "phase"))
    >>> bootstrap_mean(correct, seed=0)["low"].values
    array([1., 0.])
    """
    check_dims("values", values, [dim])
    moved = values.transpose(dim, ...)
    flat = check_finite("values", np.asarray(moved, dtype=np.float64)).reshape(len(moved), -1)
    if len(flat) < 2:
        raise InvalidInput(f"values has {len(flat)} entries along {dim}; at least 2 are needed.")
    check_positive("n_resamples", n_resamples, integer=True)
    tail = (1 - check_confidence(confidence)) / 2
    rng = numpy_generator(seed)
    draws = np.concatenate(
        [
            _counts(rng, block, len(flat)) @ flat / len(flat)
            for block in _blocks(n_resamples, len(flat))
        ]
    )
    low, high = np.quantile(draws, [tail, 1 - tail], axis=0)
    template = moved.isel({dim: 0}, drop=True).astype(np.float64)
    parts = {"estimate": flat.mean(0), "low": low, "high": high}
    return xr.Dataset(
        {name: template.copy(data=part.reshape(template.shape)) for name, part in parts.items()},
        attrs={"n": len(flat), "confidence": confidence, "method": "percentile bootstrap"},
    )
