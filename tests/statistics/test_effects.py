"""Equivalence and effect size: the t distribution by hand, statsmodels, invariances."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from statsmodels.stats.weightstats import ttost_ind, ttost_paired

from attnsci.errors import InvalidInput
from attnsci.statistics import effects

A = np.array([1.0, 2.2, 2.9, 4.1, 5.3, 5.8, 7.4, 7.9])
B = np.array([1.1, 2.0, 3.1, 4.0, 5.0, 6.1, 7.0, 8.1])


def test_paired_tost_by_hand():
    result = effects.tost_paired(A, B, -0.3, 0.4)
    d = A - B
    error = d.std(ddof=1) / np.sqrt(8)
    one_sided = [stats.t.sf((d.mean() + 0.3) / error, 7), stats.t.cdf((d.mean() - 0.4) / error, 7)]
    assert result.p_value == pytest.approx(max(one_sided))
    assert result.p_value == pytest.approx(ttost_paired(A, B, -0.3, 0.4)[0])
    half = stats.t.ppf(0.95, 7) * error
    assert (result.low, result.high) == pytest.approx((d.mean() - half, d.mean() + half))
    assert result.equivalent
    assert result.n == 8


@settings(deadline=None, max_examples=25)
@given(st.floats(0.01, 2.0), st.sampled_from([0.01, 0.05, 0.1]))
def test_equivalence_is_the_interval_within_the_bounds(bound, alpha):
    result = effects.tost_paired(A, B, -bound, bound, alpha=alpha)
    assert result.equivalent == (-bound < result.low and result.high < bound)


def test_not_significant_is_not_equivalent():
    a, b = np.array([0.0, 5.0, -4.0, 1.0]), np.array([1.0, -5.0, 4.0, 0.0])
    assert stats.ttest_rel(a, b).pvalue > 0.5
    assert not effects.tost_paired(a, b, -1, 1).equivalent


def test_independent_tost():
    result = effects.tost_independent(A, B[:6], -2, 4, alpha=0.1)
    assert result.p_value == pytest.approx(ttost_ind(A, B[:6], -2, 4, usevar="unequal")[0])
    welch = stats.ttest_ind(A, B[:6], equal_var=False).confidence_interval(0.8)
    assert (result.low, result.high) == pytest.approx((welch.low, welch.high))
    assert result.n == 14


def test_paired_effect_is_t_over_root_n():
    result = effects.paired_effect(A, B - 0.5, seed=0)
    assert result.d_z * np.sqrt(8) == pytest.approx(stats.ttest_rel(A, B - 0.5).statistic)
    assert result.low < result.d_z < result.high
    assert result.wilcoxon_p == pytest.approx(stats.wilcoxon(A, B - 0.5).pvalue)
    assert result.mean_difference == pytest.approx((A - B + 0.5).mean())
    # Five networks are few but possible; a resample may then repeat one of them only.
    assert np.isfinite(effects.paired_effect(A[:5], B[:5] - 1, seed=0).high)


@settings(deadline=None, max_examples=25)
@given(st.floats(0.01, 100))
def test_effect_has_no_unit(scale):
    base = effects.paired_effect(A, B - 0.5, seed=0, n_resamples=30)
    scaled = effects.paired_effect(scale * A, scale * (B - 0.5), seed=0, n_resamples=30)
    assert scaled.d_z == pytest.approx(base.d_z)
    assert scaled.low == pytest.approx(base.low)


def test_refusals():
    with pytest.raises(InvalidInput, match="finite and ascending"):
        effects.tost_paired(A, B, 1, -1)
    with pytest.raises(InvalidInput, match="does not vary"):
        effects.tost_paired(A, A + 0.1, -1, 1)
    with pytest.raises(InvalidInput, match="does not vary"):
        effects.tost_independent(A, np.ones(4), -1, 1)
    with pytest.raises(InvalidInput, match="at least 3"):
        effects.paired_effect(A[:2], B[:2], seed=0)
    with pytest.raises(InvalidInput, match="paired value by value"):
        effects.paired_effect(A, B[:5], seed=0)
    with pytest.raises(InvalidInput, match="alpha"):
        effects.tost_paired(A, B, -1, 1, alpha=0.7)
    with pytest.raises(InvalidInput, match="NaN"):
        effects.tost_paired(A, np.full(8, np.nan), -1, 1)
