"""Closed forms against the slow way: permutations drawn one by one and loops over donors."""

import numpy as np
import pytest

from attnsci.analysis.baselines import get_baseline, shuffled_order
from attnsci.analysis.expectations import (
    donor_expectation,
    drawn_counts,
    matched_counts,
    memoryless_counts,
    near_counts,
    order_expectation,
    scores,
)
from attnsci.analysis.memoryless import FLOOR
from attnsci.analysis.saccades import tracks_of
from attnsci.errors import InvalidInput
from attnsci.gaze import from_arrays
from attnsci.geometry import Viewing

LAGS = [1, 2, 3]
RADII = np.array([20.0, 45.0])


def people(n_images=4, n_viewers=5, longest=7, seed=0):
    rng = np.random.default_rng(seed)
    n = n_images * n_viewers
    lengths = rng.integers(2, longest + 1, n)
    lengths[:2] = longest, 1
    image, viewer = np.divmod(np.arange(n), n_viewers)
    x, y = rng.uniform(0, 120, (2, n, longest))
    return tracks_of(
        from_arrays(
            x,
            y,
            image=image,
            observer=viewer,
            viewing=Viewing(120, 120, px_per_deg=10),
            n_fixations=lengths,
        )
    )


PEOPLE = people()


def near(a, b, r):
    return float(np.hypot(PEOPLE.x[a] - PEOPLE.x[b], PEOPLE.y[a] - PEOPLE.y[b]) < RADII[r])


def test_a_pair_at_the_radius_is_not_near_whatever_rounding_says():
    x, y = np.array([[424.1, 400.1, 400.1 + 23.999]]), np.zeros((1, 3))
    counts = near_counts(x, y, [1], np.array([24.0]))
    assert counts.tolist() == [[[1]]]


def test_order_is_the_mean_and_variance_of_all_permutations():
    found = order_expectation(PEOPLE, LAGS, RADII)
    rng = np.random.default_rng(0)
    draws = []
    for _ in range(4000):
        order = shuffled_order(PEOPLE, rng)
        x, y = (np.take_along_axis(v, order, 1) for v in (PEOPLE.x, PEOPLE.y))
        draws.append(near_counts(x, y, LAGS, RADII))
    draws = np.array(draws)
    error = draws.std(0) / np.sqrt(len(draws))
    assert (np.abs(found.expected - draws.mean(0)) <= 4.5 * error + 1e-12).all()
    total = draws.sum(1)
    z = (found.observed.sum(0) - total.mean(0)) / total.std(0)
    np.testing.assert_allclose(found.z, z, rtol=0.05, atol=0.06)


@pytest.mark.parametrize("kind", ["same_image", "other_image"])
def test_donors_are_all_donors(kind):
    t = PEOPLE
    scanpath = np.arange(len(t.x))
    group, exclude = (t.image, scanpath) if kind == "same_image" else (t.viewer, t.image)
    found = donor_expectation(t, LAGS, RADII, group, exclude, "anybody")
    for s in scanpath:
        donors = [d for d in scanpath if group[d] == group[s] and exclude[d] != exclude[s]]
        for k, lag in enumerate(LAGS):
            pairs = [
                ((s, i + lag), (d, i))
                for i in range(t.length[s] - lag)
                for d in donors
                if i < t.length[d]
            ]
            assert found.chances[s, k] == pytest.approx(len(pairs) / len(donors))
            judged = {own for own, _ in pairs}
            assert found.pairs[s, k] == len(judged), "those with a donor at all"
            for r in range(len(RADII)):
                expected = sum(near(a, b, r) for a, b in pairs) / len(donors)
                assert found.expected[s, k, r] == pytest.approx(expected)
                seen = sum(near((s, i), (s, i - lag), r) for _, i in judged)
                assert found.observed[s, k, r] == seen


def test_donor_z_is_that_of_exchanged_histories():
    t = PEOPLE
    scanpath = np.arange(len(t.x))
    found = donor_expectation(t, [2], RADII, t.image, scanpath, "anybody")
    rng = np.random.default_rng(0)
    totals = np.zeros((3000, len(RADII)))
    for draw in totals:
        for image in np.unique(t.image):
            for i in range(t.x.shape[1] - 2):
                own = np.flatnonzero((t.image == image) & (t.length > i + 2))
                donor = rng.permutation(own)
                d = np.hypot(t.x[own, i + 2] - t.x[donor, i], t.y[own, i + 2] - t.y[donor, i])
                draw += (d[:, None] < RADII).sum(0)
    seen = near_counts(t.x, t.y, [2], RADII).sum(0)[0]
    z = (seen - totals.mean(0)) / totals.std(0)
    np.testing.assert_allclose(found.z[0], z, rtol=0.06, atol=0.06)


def test_memoryless_is_the_weighted_share_of_the_others_fixations():
    t = PEOPLE
    found = memoryless_counts(t, LAGS, RADII)
    rows, columns = np.nonzero(t.inside)
    points = list(zip(rows, columns, strict=True))
    width = 0.5 * t.unit_px
    n_bins = int(np.hypot(120, 120) / width) + 2

    def distance(a, b):
        return np.hypot(t.x[a] - t.x[b], t.y[a] - t.y[b])

    jumps = [distance((s, i), (s, i + 1)) for s, i in points if i + 1 < t.length[s]]
    others = {
        a: [
            b for b in points if t.image[a[0]] == t.image[b[0]] and t.viewer[a[0]] != t.viewer[b[0]]
        ]
        for a in points
    }
    spaces = [distance(a, b) for a in points for b in others[a]]
    p, q = (np.histogram(v, np.arange(n_bins + 1) * width)[0] for v in (jumps, spaces))
    p, q = p / p.sum() / 0.5, np.maximum(q / q.sum() / 0.5, FLOOR)
    for s in range(len(t.x)):
        for k, lag in enumerate(LAGS):
            expected = np.zeros(len(RADII))
            for i in range(lag - 1, t.length[s] - 1):
                now, place = (s, i), (s, i + 1 - lag)
                weight = [p[int(distance(now, b) / width)] / q[int(distance(now, b) / width)]
                          for b in others[now]]  # fmt: skip
                for r, radius in enumerate(RADII):
                    hits = [distance(place, b) < radius for b in others[now]]
                    expected[r] += np.dot(weight, hits) / np.sum(weight)
            np.testing.assert_allclose(found.expected[s, k], expected, atol=1e-12)
    np.testing.assert_array_equal(found.pairs[:, 0], np.maximum(t.length - 1, 0))


def test_matched_places_are_as_far_and_elsewhere():
    t = PEOPLE
    found = matched_counts(t, LAGS, RADII)
    z = t.x + 1j * t.y
    for k, lag in enumerate(LAGS[1:], 1):
        expected = np.zeros((len(z), len(RADII)))
        for s in range(len(z)):
            for i in range(lag - 1, t.length[s] - 1):
                for turn in (60, 120, 180, 240, 300):
                    place = z[s, i] + (z[s, i + 1 - lag] - z[s, i]) * np.exp(1j * np.deg2rad(turn))
                    expected[s] += (abs(z[s, i + 1] - place) < RADII) / 5
        np.testing.assert_allclose(found.expected[:, k], expected)
    np.testing.assert_array_equal(found.expected[:, 0], found.observed[:, 0])


def test_drawn_permutations_have_p_and_z_and_keep_the_amplitudes():
    kind = get_baseline("saccade_permutation")
    found = drawn_counts(PEOPLE, kind, LAGS, RADII, n_draws=99, seed=0)
    np.testing.assert_allclose(found.expected.sum(0)[0], found.observed.sum(0)[0])
    assert (found.z[0] == 0).all()
    assert (found.p[0] == 1).all()
    assert (found.p >= 1 / 100).all()
    again = drawn_counts(PEOPLE, kind, LAGS, RADII, n_draws=99, seed=0)
    np.testing.assert_array_equal(found.expected, again.expected)


def test_no_freedom_no_score():
    z = scores(np.array([3.0, 5.0]), np.array([3.0, 3.0]), np.array([1e-13, 4.0]))
    assert z.tolist() == [0, 1]


def test_nobody_to_compare_with_is_said():
    alone = people(n_viewers=1)
    with pytest.raises(InvalidInput, match="another viewer"):
        donor_expectation(
            alone, LAGS, RADII, alone.image, np.arange(4), "another viewer of the same image"
        )
    with pytest.raises(InvalidInput, match="two viewers"):
        memoryless_counts(alone, LAGS, RADII)
