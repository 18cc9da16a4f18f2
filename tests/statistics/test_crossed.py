import itertools

import numpy as np
import pytest
from scipy import stats

from attnsci.statistics.crossed import holm, sign_flips, two_way_bootstrap


def test_sign_flips_come_near_the_exact_p():
    differences = np.array([0.3, 0.1, -0.2, 0.5, 0.4, 0.1, 0.2, -0.05])
    every = [abs(np.dot(signs, differences)) for signs in itertools.product((-1, 1), repeat=8)]
    exact = np.mean(np.array(every) >= abs(differences.sum()) - 1e-12)
    assert sign_flips(differences[:, None], 20_000, 0)[0] == pytest.approx(exact, abs=0.01)


def test_sign_flips_are_calibrated_without_an_effect():
    rng = np.random.default_rng(0)
    p = sign_flips(rng.normal(0, 1, (30, 1000)), 500, 0)
    assert stats.kstest(p, "uniform").pvalue > 0.01
    assert np.mean(p < 0.05) == pytest.approx(0.05, abs=0.02)


def test_sign_flips_leave_missing_images_out():
    rng = np.random.default_rng(1)
    values = rng.normal(0.3, 1, (25, 1))
    gaps = np.concatenate([values, np.full((5, 1), np.nan)])
    assert sign_flips(gaps, 5000, 0)[0] == pytest.approx(sign_flips(values, 5000, 0)[0], abs=0.02)
    assert np.isnan(sign_flips(np.full((4, 1), np.nan), 99, 0)[0])


def test_no_difference_at_all_is_no_evidence():
    assert sign_flips(np.zeros((6, 1)), 99, 0)[0] == 1


def test_two_way_bootstrap_has_the_variance_of_two_crossed_samples():
    rng = np.random.default_rng(2)
    images, observers = rng.normal(0, 1, (40, 1)), rng.normal(0, 2, (1, 25))
    scores = images + observers + rng.normal(0, 0.5, (40, 25))
    draws = two_way_bootstrap(scores, 4000, 0)
    # Var of the mean: each factor's (biased) variance over its number of levels.
    wanted = scores.mean(1).var() / 40 + scores.mean(0).var() / 25
    assert draws.mean() == pytest.approx(scores.mean(), abs=0.03)
    assert draws.var() == pytest.approx(wanted, rel=0.12)


def test_two_way_bootstrap_pairs_the_draws_and_skips_missing_cells():
    rng = np.random.default_rng(3)
    scores = rng.normal(0, 1, (12, 7))
    assert np.allclose(two_way_bootstrap(scores + 5, 50, 1), two_way_bootstrap(scores, 50, 1) + 5)
    gaps = np.where(rng.random((12, 7)) < 0.3, np.nan, 2.0)
    draws = two_way_bootstrap(gaps, 50, 1)
    assert np.allclose(draws[~np.isnan(draws)], 2.0)


def test_holm_by_hand_and_missing_values_do_not_count():
    assert holm(np.array([0.01, 0.04, 0.03])).tolist() == pytest.approx([0.03, 0.06, 0.06])
    with_gap = holm(np.array([0.01, np.nan, 0.03]))
    assert with_gap[[0, 2]].tolist() == pytest.approx([0.02, 0.03])
    assert np.isnan(with_gap[1])
