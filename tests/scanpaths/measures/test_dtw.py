import functools

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

places = st.lists(st.tuples(st.integers(0, 79), st.integers(0, 59)), min_size=1, max_size=6)


def walks(n, m):
    """All ways from (0, 0) to (n - 1, m - 1)."""
    if (n, m) == (1, 1):
        return [[(0, 0)]]
    before = [(p, q) for p, q in ((n - 1, m - 1), (n - 1, m), (n, m - 1)) if min(p, q) > 0]
    return [[*walk, (n - 1, m - 1)] for p, q in before for walk in walks(p, q)]


def by_recursion(a, b, join):
    @functools.cache
    def reach(i, j):
        d = np.hypot(*(a[i] - b[j]))
        if i == j == 0:
            return d
        before = [(i - 1, j - 1), (i - 1, j), (i, j - 1)]
        return join(d, min(reach(p, q) for p, q in before if min(p, q) >= 0))

    return reach(len(a) - 1, len(b) - 1)


def test_toys(toys, all_pairs):
    found = all_pairs(toys, "dtw")
    np.testing.assert_allclose(found[0, 1], 449.9978466463905, rtol=1e-14)


def test_equals_the_recursion(ragged, scanpath_set, all_pairs):
    at = [array[:, :2] for array in ragged]
    for metric, join in (("dtw", lambda d, least: d + least), ("frechet", max)):
        expected = [[by_recursion(a, b, join) for b in at] for a in at]
        for chunk in (1, 7, 1024):
            found = all_pairs(scanpath_set(ragged), metric, chunk)
            np.testing.assert_allclose(found, expected, rtol=1e-12)


def test_normalised_by_the_shortest_of_the_cheapest_walks(scanpath_set, all_pairs):
    rng = np.random.default_rng(0)
    at = [rng.integers(0, 3, (n, 2)).astype(float) for n in (1, 2, 3, 4, 5, 5)]
    found = all_pairs(scanpath_set(at), "dtw", normalised=True)
    for a, from_a in zip(at, found, strict=True):
        for b, value in zip(at, from_a, strict=True):
            d = np.hypot(*(a[:, None] - b[None]).transpose(2, 0, 1))
            costs = [(sum(d[step] for step in w), len(w)) for w in walks(len(a), len(b))]
            least = min(cost for cost, _ in costs)
            length = min(n for cost, n in costs if cost <= least + 1e-9)
            np.testing.assert_allclose(value, least / length, rtol=1e-12)


@settings(max_examples=50, deadline=None)
@given(a=places, b=places)
def test_bounds(scanpath_set, all_pairs, a, b):
    scanpaths = scanpath_set([a, b])
    dtw, frechet, hausdorff = (all_pairs(scanpaths, m) for m in ("dtw", "frechet", "hausdorff"))
    assert (dtw >= frechet - 1e-9).all()
    assert (frechet >= hausdorff - 1e-9).all()


@settings(max_examples=30, deadline=None)
@given(a=places, b=places, right=st.integers(-50, 50), down=st.integers(-50, 50))
def test_moving_both_changes_nothing(scanpath_set, all_pairs, a, b, right, down):
    moved = [np.add(path, [right, down]) for path in (a, b)]
    for metric in ("dtw", "frechet", "hausdorff", "eyenalysis", "mannan", "time_delay_embedding"):
        np.testing.assert_allclose(
            all_pairs(scanpath_set(moved), metric), all_pairs(scanpath_set([a, b]), metric),
            atol=1e-9,
        )  # fmt: skip
