"""Effects and their equivalence: standardised paired differences, two one-sided tests."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from attnsci.errors import InvalidInput
from attnsci.statistics.estimates import as_sample, bootstrap, check_same_length
from attnsci.statistics.significance import wilcoxon_test


@dataclass(frozen=True)
class Equivalence:
    """Outcome of two one-sided tests.

    Attributes
    ----------
    estimate, low, high : float
        The mean difference and its interval of coverage 1 − 2α.
    lower_bound, upper_bound : float
        The declared bounds.
    p_value : float
        The larger of the two one-sided p values.
    equivalent : bool
        Whether `p_value` is below α, that is, whether the interval lies within the bounds.
    n : int
        Pairs, or values of both samples.
    alpha : float
    """

    estimate: float
    low: float
    high: float
    lower_bound: float
    upper_bound: float
    p_value: float
    equivalent: bool
    n: int
    alpha: float


@dataclass(frozen=True)
class PairedEffect:
    """Size of a paired difference.

    Attributes
    ----------
    d_z, low, high : float
        Mean difference over its standard deviation, with bootstrap interval.
    mean_difference : float
    wilcoxon_p : float
        Two-sided Wilcoxon signed-rank test.
    n : int
        Pairs.
    """

    d_z: float
    low: float
    high: float
    mean_difference: float
    wilcoxon_p: float
    n: int


def _check_bounds(low: float, high: float) -> None:
    if not low < high or not np.isfinite([low, high]).all():
        raise InvalidInput(
            f"The bounds of equivalence must be finite and ascending; got ({low}, {high})."
        )


def _check_varies(sample: np.ndarray, what: str) -> None:
    # A constant sample differs from its mean by rounding only.
    if np.ptp(sample) <= 1e-12 * np.abs(sample).max():
        raise InvalidInput(
            f"{what} does not vary (every value is {float(sample[0])}), so its standard deviation "
            "gives no scale. Report the value itself."
        )


def tost_paired(a: Any, b: Any, low: float, high: float, *, alpha: float = 0.05) -> Equivalence:
    """Test that the mean of a − b lies within declared bounds (two one-sided t tests).

    Parameters
    ----------
    a, b : array-like, shape (N,)
        Paired values; ``b = 0 * a`` tests one sample.
    low, high : float
        Bounds within which a difference does not matter, declared before looking.
    alpha : float
        Level of each one-sided test.

    Returns
    -------
    Equivalence

    Raises
    ------
    InvalidInput
        If the samples are not paired, have fewer than three values, or do not differ in a way
        that varies.

    References
    ----------
    Schuirmann DJ (1987). A comparison of the two one-sided tests procedure and the power approach.
    Journal of Pharmacokinetics and Biopharmaceutics 15, 657–680.

    Examples
    --------
    >>> tost_paired([1.0, 2.0, 3.1, 4.2], [1.1, 2.0, 3.0, 4.1], -0.5, 0.5).equivalent
    True
    """
    from statsmodels.stats.weightstats import DescrStatsW

    first, second = as_sample("a", a, 3), as_sample("b", b, 3)
    n = check_same_length(a=first, b=second)
    _check_bounds(low, high)
    difference = first - second
    _check_varies(difference, "The difference a − b")
    described = DescrStatsW(difference)
    p_value = float(described.ttost_mean(low, high)[0])
    lowest, highest = described.tconfint_mean(alpha=2 * _check_alpha(alpha))
    return Equivalence(
        float(described.mean),
        float(lowest),
        float(highest),
        low,
        high,
        p_value,
        p_value < alpha,
        n,
        alpha,
    )


def tost_independent(
    a: Any, b: Any, low: float, high: float, *, alpha: float = 0.05
) -> Equivalence:
    """Test that mean(a) − mean(b) lies within declared bounds, without assuming equal variances.

    Parameters
    ----------
    a, b : array-like, shape (N,) and (M,)
    low, high : float
        Bounds within which a difference does not matter, declared before looking.
    alpha : float
        Level of each one-sided test.

    Returns
    -------
    Equivalence
        n = N + M.

    Raises
    ------
    InvalidInput
        If a sample has fewer than three values, or does not vary.

    Examples
    --------
    >>> tost_independent([1.0, 2.0, 3.0], [1.1, 2.0, 3.1], -0.1, 0.1).equivalent
    False
    """
    from statsmodels.stats.weightstats import CompareMeans, DescrStatsW

    first, second = as_sample("a", a, 3), as_sample("b", b, 3)
    _check_bounds(low, high)
    _check_varies(first, "a")
    _check_varies(second, "b")
    pair = CompareMeans(DescrStatsW(first), DescrStatsW(second))
    p_value = float(pair.ttost_ind(low, high, usevar="unequal")[0])
    lowest, highest = pair.tconfint_diff(alpha=2 * _check_alpha(alpha), usevar="unequal")
    return Equivalence(
        float(first.mean() - second.mean()),
        float(lowest),
        float(highest),
        low,
        high,
        p_value,
        p_value < alpha,
        len(first) + len(second),
        alpha,
    )


def _check_alpha(alpha: float) -> float:
    if not 0 < alpha < 0.5:
        raise InvalidInput(f"alpha must lie between 0 and 0.5; got {alpha!r}.")
    return alpha


def _d_z(differences: Any, axis: int = -1) -> Any:
    return np.mean(differences, axis=axis) / np.std(differences, axis=axis, ddof=1)


def paired_effect(
    a: Any, b: Any, *, seed: int, n_resamples: int = 2000, confidence: float = 0.95
) -> PairedEffect:
    """Return the standardised mean of paired differences a − b with its interval.

    Computed in float64, where a paired t of thousands still has a p value.

    Parameters
    ----------
    a, b : array-like, shape (N,)
        Paired values, one pair a stimulus.
    seed : int
        Seed of the bootstrap.
    n_resamples, confidence
        As in `attnsci.statistics.estimates.bootstrap`.

    Returns
    -------
    PairedEffect
        The paired t is ``d_z * sqrt(n)``.

    Raises
    ------
    InvalidInput
        If the samples are not paired, have fewer than three values, or differ by a constant.

    Examples
    --------
    >>> round(paired_effect([2.0, 4.0, 6.0, 9.0, 9.0], [1.0, 2.0, 3.0, 5.0, 4.0], seed=0).d_z, 4)
    1.8974
    """
    first, second = as_sample("a", a, 3), as_sample("b", b, 3)
    check_same_length(a=first, b=second)
    difference = first - second
    _check_varies(difference, "The difference a − b")
    effect = bootstrap(
        difference, statistic=_d_z, seed=seed, n_resamples=n_resamples, confidence=confidence
    )
    return PairedEffect(
        effect.estimate,
        effect.low,
        effect.high,
        float(difference.mean()),
        wilcoxon_test(difference).p_value,
        effect.n,
    )
