"""Numbers with their intervals: the bootstrap over independent stimuli.

A resampling plan says what would be drawn afresh in a repeated experiment: here stimuli; for
strata, networks and whole channels see `attnsci.statistics.plans`.
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


def reducer(statistic: Statistic) -> Callable[..., Any]:
    """Return the function of a named statistic, or the function itself."""
    if callable(statistic):
        return statistic
    return STATISTICS[check_option("statistic", statistic, STATISTICS)]


def percentile_estimate(
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


def split_blocks(total: int, width: int) -> list[int]:
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

    function = reducer(statistic)
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


def count_draws(rng: np.random.Generator, block: int, n: int) -> np.ndarray:
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
            count_draws(rng, block, len(flat)) @ flat / len(flat)
            for block in split_blocks(n_resamples, len(flat))
        ]
    )
    low, high = np.quantile(draws, [tail, 1 - tail], axis=0)
    template = moved.isel({dim: 0}, drop=True).astype(np.float64)
    parts = {"estimate": flat.mean(0), "low": low, "high": high}
    return xr.Dataset(
        {name: template.copy(data=part.reshape(template.shape)) for name, part in parts.items()},
        attrs={"n": len(flat), "confidence": confidence, "method": "percentile bootstrap"},
    )
