"""Tests and corrections: permutation, ranks, proportions, multiplicity.

All of them are scipy's and statsmodels'; what is added is that bad input is refused and that every
result carries its n and an effect beside the p value.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from attnsci.checks import check_fraction, check_option, check_positive
from attnsci.errors import InvalidInput
from attnsci.seeds import numpy_generator
from attnsci.statistics.estimates import (
    BLOCK,
    Estimate,
    as_sample,
    check_confidence,
    check_same_length,
)

ALTERNATIVES = ("two-sided", "greater", "less")
CORRECTIONS = {"bh": "fdr_bh", "holm": "holm"}


@dataclass(frozen=True)
class SignificanceTest:
    """A p value with the effect it speaks of.

    Attributes
    ----------
    estimate : float
        The effect: a mean difference, a proportion.
    statistic : float
        The test statistic.
    p_value : float
    n : int
        Independent units.
    method : str
    """

    estimate: float
    statistic: float
    p_value: float
    n: int
    method: str


@dataclass(frozen=True)
class McNemar:
    """Outcome of a paired comparison of two proportions.

    Attributes
    ----------
    difference : float
        Proportion right under a minus that under b.
    only_a, only_b : int
        Stimuli right under one condition only.
    p_value : float
        Exact binomial.
    n : int
        Stimuli.
    """

    difference: float
    only_a: int
    only_b: int
    p_value: float
    n: int


def _mean_difference(a: Any, b: Any, axis: int = -1) -> Any:
    return np.mean(a, axis=axis) - np.mean(b, axis=axis)


def sign_flip_test(
    differences: Any,
    *,
    seed: int,
    alternative: str = "two-sided",
    n_resamples: int = 1999,
) -> SignificanceTest:
    """Test paired differences against zero by flipping their signs at random.

    Parameters
    ----------
    differences : array-like, shape (N,)
        One difference a stimulus (or network).
    seed : int
        Seed of the flips; unused where all 2^N patterns are tried.
    alternative : {"two-sided", "greater", "less"}
    n_resamples : int
        Random patterns; all patterns are used when there are no more than this.

    Returns
    -------
    SignificanceTest
        The statistic is the mean difference.

    Raises
    ------
    InvalidInput
        If fewer than two values come, or one is not finite.

    See Also
    --------
    scipy.stats.permutation_test : does the work.

    Examples
    --------
    >>> sign_flip_test([1.0, 2.0, 3.0], seed=0, alternative="greater").p_value
    0.125
    """
    from scipy import stats

    sample = as_sample("differences", differences, 2)
    result = stats.permutation_test(
        (sample,),
        np.mean,
        permutation_type="samples",
        vectorized=True,
        alternative=check_option("alternative", alternative, ALTERNATIVES),
        n_resamples=check_positive("n_resamples", n_resamples, integer=True),
        batch=max(1, BLOCK // (2 * len(sample))),
        rng=numpy_generator(seed),
    )
    mean = float(sample.mean())
    return SignificanceTest(mean, mean, float(result.pvalue), len(sample), "sign flips")


def permutation_test(
    a: Any,
    b: Any,
    *,
    seed: int,
    alternative: str = "two-sided",
    n_resamples: int = 1999,
) -> SignificanceTest:
    """Test whether two independent samples have the same mean by exchanging their members.

    Parameters
    ----------
    a, b : array-like, shape (N,) and (M,)
    seed : int
        Seed of the permutations; unused where all partitions are tried.
    alternative : {"two-sided", "greater", "less"}
        "greater": the mean of `a` is the larger.
    n_resamples : int
        Random partitions; all are used when there are no more than this.

    Returns
    -------
    SignificanceTest
        The statistic is mean(a) − mean(b), n = N + M.

    Raises
    ------
    InvalidInput
        If a sample has fewer than two values, or one is not finite.

    Examples
    --------
    >>> permutation_test([4.0, 5.0], [1.0, 2.0], seed=0, alternative="greater").p_value
    0.16666666666666666
    """
    from scipy import stats

    first, second = as_sample("a", a, 2), as_sample("b", b, 2)
    n = len(first) + len(second)
    result = stats.permutation_test(
        (first, second),
        _mean_difference,
        permutation_type="independent",
        vectorized=True,
        alternative=check_option("alternative", alternative, ALTERNATIVES),
        n_resamples=check_positive("n_resamples", n_resamples, integer=True),
        batch=max(1, BLOCK // n),
        rng=numpy_generator(seed),
    )
    value = float(result.statistic)
    return SignificanceTest(value, value, float(result.pvalue), n, "permutation")


def _check_counts(successes: int, n: int) -> tuple[int, int]:
    check_positive("n", n, integer=True)
    if not 0 <= successes <= n or int(successes) != successes:
        raise InvalidInput(
            f"successes must be a whole number between 0 and n = {n}; got {successes}."
        )
    return int(successes), int(n)


def wilson(successes: int, n: int, *, confidence: float = 0.95) -> Estimate:
    """Return a proportion with Wilson's interval.

    Parameters
    ----------
    successes, n : int
        Successes among `n` independent trials.
    confidence : float
        Coverage of the interval.

    Returns
    -------
    Estimate

    Raises
    ------
    InvalidInput
        If n = 0 or the successes do not fit.

    References
    ----------
    Wilson EB (1927). Probable inference, the law of succession, and statistical inference.
    Journal of the American Statistical Association 22, 209–212.

    Examples
    --------
    >>> round(wilson(0, 10).high, 6)
    0.277533
    """
    from statsmodels.stats.proportion import proportion_confint

    successes, n = _check_counts(successes, n)
    low, high = proportion_confint(
        successes, n, alpha=1 - check_confidence(confidence), method="wilson"
    )
    share = successes / n
    # The ends are exact at 0 and n; rounding may put them 1e-17 on the wrong side.
    low, high = min(float(low), share), max(float(high), share)
    return Estimate(share, low, high, n, n, confidence, "Wilson")


def binomial_test(
    successes: int, n: int, *, chance: float = 0.5, alternative: str = "two-sided"
) -> SignificanceTest:
    """Test a proportion against chance by the exact binomial distribution.

    Parameters
    ----------
    successes, n : int
        Successes among `n` independent trials.
    chance : float
        Probability under the null hypothesis.
    alternative : {"two-sided", "greater", "less"}

    Returns
    -------
    SignificanceTest
        The estimate is the proportion, the statistic the number of successes.

    Raises
    ------
    InvalidInput
        If n = 0, the successes do not fit or `chance` is no probability.

    Examples
    --------
    >>> binomial_test(0, 10).p_value
    0.001953125
    """
    from scipy import stats

    successes, n = _check_counts(successes, n)
    check_option("alternative", alternative, ALTERNATIVES)
    result = stats.binomtest(successes, n, check_fraction("chance", chance), alternative)
    return SignificanceTest(successes / n, successes, float(result.pvalue), n, "exact binomial")


def adjust(p_values: Any, method: str = "bh") -> np.ndarray:
    """Correct p values for their number.

    Parameters
    ----------
    p_values : array-like, shape (N,)
    method : {"bh", "holm"}
        Benjamini-Hochberg (false discovery rate) or Holm (family-wise error).

    Returns
    -------
    numpy.ndarray, shape (N,), float64
        Adjusted p values: reject where they are at most the level.

    Raises
    ------
    InvalidInput
        If a p value is missing or outside [0, 1].

    Examples
    --------
    >>> adjust([0.01, 0.04, 0.03], "holm")
    array([0.03, 0.06, 0.06])
    """
    from statsmodels.stats.multitest import multipletests

    sample = as_sample("p_values", p_values)
    if sample.min() < 0 or sample.max() > 1:
        raise InvalidInput(
            f"p values lie in [0, 1]; got values from {sample.min()} to {sample.max()}."
        )
    check_option("method", method, CORRECTIONS)
    return multipletests(sample, method=CORRECTIONS[method])[1]


def mcnemar(correct_a: Any, correct_b: Any) -> McNemar:
    """Compare two conditions on the same stimuli by the stimuli on which they disagree.

    Parameters
    ----------
    correct_a, correct_b : array-like of bool, shape (N,)
        Whether each stimulus was answered rightly under a and under b.

    Returns
    -------
    McNemar

    Raises
    ------
    InvalidInput
        If the samples are not paired, or hold anything but 0 and 1.

    References
    ----------
    McNemar Q (1947). Note on the sampling error of the difference between correlated proportions
    or percentages. Psychometrika 12, 153–157.

    Examples
    --------
    >>> mcnemar([1, 1, 1, 1, 1, 1], [0, 0, 0, 0, 0, 1]).p_value
    0.0625
    """
    from statsmodels.stats.contingency_tables import mcnemar as test

    first, second = as_sample("correct_a", correct_a), as_sample("correct_b", correct_b)
    n = check_same_length(correct_a=first, correct_b=second)
    for name, sample in (("correct_a", first), ("correct_b", second)):
        if not np.isin(sample, (0, 1)).all():
            raise InvalidInput(f"{name} must hold only true and false (1 and 0); got {sample}.")
    only_a, only_b = int((first > second).sum()), int((second > first).sum())
    p_value = 1.0  # of no disagreement, where the binomial has no trial
    if only_a + only_b:
        p_value = float(test([[0, only_a], [only_b, 0]], exact=True).pvalue)
    return McNemar((only_a - only_b) / n, only_a, only_b, p_value, n)


def wilcoxon_test(differences: Any, *, alternative: str = "two-sided") -> SignificanceTest:
    """Test whether differences are symmetric about zero (Wilcoxon signed-rank).

    Parameters
    ----------
    differences : array-like, shape (N,)
        One difference a unit; zeros are dropped.
    alternative : {"two-sided", "greater", "less"}

    Returns
    -------
    SignificanceTest
        The estimate is the median difference, n counts the zeros too.

    Raises
    ------
    InvalidInput
        If every difference is zero, or one is not finite.

    Examples
    --------
    >>> wilcoxon_test([1.0, 2.0, 3.0, 4.0]).p_value
    0.125
    """
    from scipy import stats

    sample = as_sample("differences", differences)
    check_option("alternative", alternative, ALTERNATIVES)
    if not sample.any():
        raise InvalidInput(
            f"All {len(sample)} differences are zero, so there are no ranks to test."
        )
    result = stats.wilcoxon(sample[sample != 0], alternative=alternative)
    return SignificanceTest(
        float(np.median(sample)),
        float(result.statistic),
        float(result.pvalue),
        len(sample),
        "Wilcoxon signed-rank",
    )
