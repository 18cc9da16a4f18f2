"""NSS, AUCs, likelihoods of one map: reference values, brute force over ties, invariances."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from attnsci.errors import InvalidInput
from attnsci.scanpaths import saliency_fixations as sf

ROW, COLUMN = np.indices((6, 8))
S = ((3 * ROW + 5 * COLUMN) % 11 + 1).astype(float)
G = np.exp(-((ROW - 2.5) ** 2 + (COLUMN - 3) ** 2) / 4)
U = np.exp(-((ROW - 2.5) ** 2 / 8 + (COLUMN - 3.5) ** 2 / 14))
X, Y = np.array([3, 5, 3]), np.array([2, 4, 1])
OTHERS = tuple(np.array([(0, 0), (7, 5), (4, 2), (2, 3), (6, 1), (4, 3), (1, 4)]).T)
EXACT = {"rtol": 0, "atol": 1e-12}


def test_nss_reference():
    expected = [1.65348032, -0.26669037, 0.69339497]
    np.testing.assert_allclose(sf.nss(S, X, Y), expected, atol=5e-9)
    for values, ddof, mean in [
        (S, 0, 0.6933949711814645), (S, 1, 0.6861340907700425),
        (G, 0, 1.2387560237862931), (G, 1, 1.2257843990681103),
    ]:  # fmt: skip
        np.testing.assert_allclose(sf.nss(values, X, Y, ddof).mean(), mean, **EXACT)


def test_auc_reference():
    np.testing.assert_allclose(sf.auc(S, X, Y), [0.96875, 0.4375, 0.69791667], atol=5e-9)
    for values, negatives, mean in [
        (S, "uniform", 0.7013888888888888), (G, "uniform", 0.8125),
        (S, "unfixated", 0.7148148148148148), (G, "unfixated", 0.8333333333333333),
        (S, "shuffled", 0.7142857142857143), (G, "shuffled", 0.6904761904761905),
    ]:  # fmt: skip
        others = OTHERS if negatives == "shuffled" else None
        np.testing.assert_allclose(sf.auc(values, X, Y, negatives, others).mean(), mean, **EXACT)


def test_auc_judd_reference():
    np.testing.assert_allclose(sf.auc_judd(S, X, Y), 0.7851851851851852, **EXACT)
    np.testing.assert_allclose(sf.auc_judd(G, X, Y), 0.8777777777777777, **EXACT)
    # A pixel that two fixations share is one threshold, as in the fixation map of the original.
    assert sf.auc_judd(S, [*X, 3], [*Y, 2]) == sf.auc_judd(S, X, Y)


def test_likelihood_reference():
    nats = sf.log_likelihood(G, X, Y, "nats")
    np.testing.assert_allclose(nats.mean(), -3.2231081885126254, **EXACT)
    np.testing.assert_allclose(sf.log_likelihood(G, X, Y).mean(), 0.9350003009053816, **EXACT)
    gain = sf.information_gain(G, U, X, Y)
    np.testing.assert_allclose(gain, [1.03964327, -0.55762624, 0.67896951], atol=5e-9)
    np.testing.assert_allclose(gain.mean(), 0.38699550984509967, **EXACT)
    # A range-normalised map is no density: its gain is another number.
    assert abs(gain.mean() - 0.1642) > 0.2


@pytest.mark.parametrize("n", [3, sf.FEW + 20])  # both ways of counting
@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 6))
def test_auc_equals_counting_pairs_with_ties(n, seed, levels):
    rng = np.random.default_rng(seed)
    values = rng.integers(0, levels, (9, 11)).astype(float)
    x, y = rng.integers(0, 11, n), rng.integers(0, 9, n)
    other_x, other_y = rng.integers(0, 11, 20), rng.integers(0, 9, 20)
    free = np.ones(values.shape, bool)
    free[y, x] = False
    for negatives, against in [
        ("uniform", values.ravel()),
        ("unfixated", values[free]),
        ("shuffled", values[other_y, other_x]),
    ]:
        positives = values[y, x][:, None]
        expected = ((against < positives) + 0.5 * (against == positives)).mean(1)
        others = (other_x, other_y) if negatives == "shuffled" else None
        got = sf.auc(values, x, y, negatives, others)
        np.testing.assert_allclose(got, expected, rtol=1e-13)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_invariances(seed):
    rng = np.random.default_rng(seed)
    values = rng.integers(0, 30, (9, 11)) / 8
    x, y = rng.uniform(0, 11, 8), rng.uniform(0, 9, 8)
    for transform in (np.exp, lambda v: v**3 + 2 * v, lambda v: np.arctan(v) - 5):
        for negatives in ("uniform", "unfixated"):
            np.testing.assert_array_equal(
                sf.auc(values, x, y, negatives), sf.auc(transform(values), x, y, negatives)
            )
        assert sf.auc_judd(values, x, y) == sf.auc_judd(transform(values), x, y)
    np.testing.assert_allclose(sf.nss(values, x, y), sf.nss(7 * values - 3, x, y), atol=1e-10)
    density = values + 0.1
    np.testing.assert_array_equal(sf.information_gain(density, density, x, y), 0)
    np.testing.assert_allclose(
        sf.log_likelihood(density, x, y), sf.log_likelihood(9 * density, x, y), atol=1e-12
    )
    flat = np.ones_like(values)
    np.testing.assert_allclose(
        sf.information_gain(density, flat, x, y), sf.log_likelihood(density, x, y), atol=1e-12
    )


def test_constant_map_and_no_fixations_have_stated_results():
    flat = np.full((60, 80), 0.1)  # whose standard deviation does not round to 0
    assert sf.nss(flat, [3, 4], [5, 6]).tolist() == [0, 0]
    for negatives in ("uniform", "unfixated"):
        assert sf.auc(flat, [3, 4], [5, 6], negatives).tolist() == [0.5, 0.5]
    assert sf.auc_judd(flat, [3, 4], [5, 6]) == pytest.approx(0.5)
    assert sf.log_likelihood(flat, [3], [5]).tolist() == pytest.approx([0])
    for empty in (
        sf.nss(G, [], []), sf.auc(G, [], []), sf.log_likelihood(G, [], []),
        sf.information_gain(G, U, [], []),
    ):  # fmt: skip
        assert empty.shape == (0,)
    assert np.isnan(sf.auc_judd(G, [], []))


def test_zero_probability():
    density = np.array([[0.0, 1.0]])
    assert sf.log_likelihood(density, [0], [0]).tolist() == [-np.inf]
    assert sf.information_gain(density, [[1, 1]], [0], [0]).tolist() == [-np.inf]
    with pytest.raises(InvalidInput, match="0 at 1 of 2 fixations"):
        sf.information_gain([[1, 1]], density, [0, 1], [0, 0])


@pytest.mark.parametrize("x, y", [([8], [2]), ([-0.1], [2]), ([2], [6]), ([np.nan], [2])])
def test_fixations_outside_are_errors(x, y):
    for score in (sf.nss, sf.auc, sf.auc_judd, sf.log_likelihood):
        with pytest.raises(InvalidInput, match=r"Fixation 0 is in pixel .*8×6"):
            score(G, x, y)
    assert sf.nss(S, [7.99], [5.99]).tolist() == sf.nss(S, [7], [5]).tolist()


def test_unusable_input():
    bad = G.copy()
    bad[2, 3] = np.nan
    for score in (sf.nss, sf.auc, sf.auc_judd, sf.log_likelihood):
        with pytest.raises(InvalidInput, match=r"NaN or infinite, the first at index \(2, 3\)"):
            score(bad, X, Y)
        with pytest.raises(InvalidInput, match="shape"):
            score(np.ones(8), X, Y)
    with pytest.raises(InvalidInput, match=r"density is -0.5 at row 1, column 2"):
        sf.log_likelihood(np.where((ROW == 1) & (COLUMN == 2), -0.5, G), X, Y)
    with pytest.raises(InvalidInput, match="sums to 0"):
        sf.log_likelihood(np.zeros((6, 8)), X, Y)
    with pytest.raises(InvalidInput, match="baseline"):
        sf.information_gain(G, -U, X, Y)
    with pytest.raises(InvalidInput, match="shape"):
        sf.information_gain(G, U[:5], X, Y)
    with pytest.raises(InvalidInput, match="one length"):
        sf.nss(G, X, Y[:2])
    with pytest.raises(InvalidInput, match="ddof"):
        sf.nss(G, X, Y, 2)
    with pytest.raises(InvalidInput, match="others"):
        sf.auc(G, X, Y, "shuffled")
    with pytest.raises(InvalidInput, match="others is empty"):
        sf.auc(G, X, Y, "shuffled", ([], []))
    with pytest.raises(InvalidInput, match="every pixel has a fixation"):
        sf.auc([[1.0, 2.0]], [0, 1], [0, 0], "unfixated")
    with pytest.raises(InvalidInput, match="Every pixel"):
        sf.auc_judd([[1.0, 2.0]], [0, 1], [0, 0])
    with pytest.raises(InvalidInput, match="unit"):
        sf.log_likelihood(G, X, Y, "bits")
