"""Tests and corrections against enumeration, closed forms and scipy/statsmodels."""

from itertools import combinations, product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from attnsci.errors import InvalidInput
from attnsci.statistics import significance as inference


@pytest.mark.parametrize(("alternative", "tail"), [("greater", 1), ("less", -1)])
def test_sign_flips_by_enumeration(alternative, tail):
    d = np.array([0.3, -1.2, 2.2, 0.7, 1.9, -0.4, 1.0])
    all_means = [np.mean(d * signs) for signs in product([1, -1], repeat=7)]
    expected = np.mean([tail * m >= tail * d.mean() - 1e-12 for m in all_means])
    result = inference.sign_flip_test(d, seed=0, alternative=alternative)
    assert result.p_value == pytest.approx(expected)
    assert result.estimate == pytest.approx(d.mean())
    assert result.n == 7


def test_sign_flips_at_random_agree_with_t():
    d = np.random.default_rng(0).normal(0.2, 1, 200)
    result = inference.sign_flip_test(d, seed=0)
    assert result.p_value == pytest.approx(stats.ttest_1samp(d, 0).pvalue, abs=0.01)
    assert result == inference.sign_flip_test(d, seed=0)


def test_permutation_by_enumeration():
    a, b = np.array([3.0, 4.1, 5.2]), np.array([1.0, 2.2, 3.9, 0.1])
    pool = np.concatenate([a, b])
    differences = []
    for chosen in combinations(range(7), 3):
        rest = np.setdiff1d(range(7), chosen)
        differences.append(pool[list(chosen)].mean() - pool[rest].mean())
    observed = a.mean() - b.mean()
    expected = np.mean(np.array(differences) >= observed - 1e-12)
    result = inference.permutation_test(a, b, seed=0, alternative="greater")
    assert result.p_value == pytest.approx(expected)
    assert result.estimate == pytest.approx(observed)
    assert result.n == 7


@settings(deadline=None, max_examples=25)
@given(st.integers(1, 200), st.data())
def test_wilson_solves_the_score_equation(n, data):
    successes = data.draw(st.integers(0, n))
    result = inference.wilson(successes, n)
    z = stats.norm.ppf(0.975)
    for end in (result.low, result.high):
        assert (successes / n - end) ** 2 == pytest.approx(z**2 * end * (1 - end) / n, abs=1e-9)
    assert 0 <= result.low <= result.estimate <= result.high <= 1


def test_binomial_closed_form():
    assert inference.binomial_test(0, 30_000).p_value == 0.0  # below the smallest double
    assert inference.binomial_test(0, 20).p_value == 2 * 0.5**20
    assert inference.binomial_test(3, 3, chance=0.1, alternative="greater").p_value == (
        pytest.approx(0.001)
    )


@pytest.mark.parametrize(("successes", "n"), [(1, 0), (3, 2), (-1, 4), (0.5, 2)])
def test_impossible_counts(successes, n):
    with pytest.raises(InvalidInput):
        inference.wilson(successes, n)
    with pytest.raises(InvalidInput):
        inference.binomial_test(successes, n)


def test_adjust_by_hand():
    p = [0.04, 0.01, 0.5, 0.02]
    np.testing.assert_allclose(inference.adjust(p, "holm"), [0.08, 0.04, 0.5, 0.06])
    np.testing.assert_allclose(inference.adjust(p, "bh"), [0.16 / 3, 0.04, 0.5, 0.04])
    with pytest.raises(InvalidInput, match="method must be one of"):
        inference.adjust(p, "sidak")
    with pytest.raises(InvalidInput, match=r"\[0, 1\]"):
        inference.adjust([0.5, 1.5])
    with pytest.raises(InvalidInput, match="empty"):
        inference.adjust([])
    with pytest.raises(InvalidInput, match="NaN"):
        inference.adjust([0.5, np.nan])


# statsmodels collects garbage at every call: few examples.
@settings(deadline=None, max_examples=8)
@given(st.lists(st.floats(0, 1), min_size=1, max_size=20))
def test_holm_is_never_below_bh_and_bh_never_below_p(p):
    bh, holm = inference.adjust(p, "bh"), inference.adjust(p, "holm")
    assert (holm >= bh - 1e-12).all()
    assert (bh >= np.array(p) - 1e-12).all()


def test_mcnemar_is_a_binomial_on_the_disagreements():
    a = np.repeat([1, 1, 0, 0], [40, 9, 2, 5])
    b = np.repeat([1, 0, 1, 0], [40, 9, 2, 5])
    result = inference.mcnemar(a, b)
    assert (result.only_a, result.only_b, result.n) == (9, 2, 56)
    assert result.p_value == pytest.approx(stats.binomtest(2, 11).pvalue)
    assert result.difference == pytest.approx(7 / 56)
    assert inference.mcnemar(a, a).p_value == 1
    with pytest.raises(InvalidInput, match="true and false"):
        inference.mcnemar([0.0, 2.0], [1, 0])
    with pytest.raises(InvalidInput, match="correct_a has 2, correct_b has 1"):
        inference.mcnemar([1, 0], [1])


def test_wilcoxon():
    d = np.array([0.5, -0.2, 1.3, 0.9, 2.0, 0.1])
    assert inference.wilcoxon_test(d).p_value == stats.wilcoxon(d).pvalue
    assert inference.wilcoxon_test(np.arange(1.0, 7), alternative="greater").p_value == 1 / 64
    with_zero = inference.wilcoxon_test([0.0, 1.0, 2.0, 3.0])
    assert (with_zero.p_value, with_zero.n) == (0.25, 4)
    with pytest.raises(InvalidInput, match="All 3 differences are zero"):
        inference.wilcoxon_test(np.zeros(3))
