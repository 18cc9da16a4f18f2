"""MultiMatch's simplification against a list-by-list implementation, and its quirks one by one."""

import math

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from attnsci.scanpaths.measures.base import Paths
from attnsci.scanpaths.simplify import saccades_of, simplify

THRESHOLDS = (45.0, 100.0, 0.3)


def paths_of(*fixations):
    """Scanpaths of (x, y, duration) rows."""
    length = np.array([len(rows) for rows in fixations])
    out = np.full((3, len(length), length.max()), np.nan)
    for i, rows in enumerate(fixations):
        if len(rows):
            out[:, i, : len(rows)] = np.array(rows, float).T
    return Paths(*out, length, 800.0, 600.0)


def one_by_one(fixations, direction_deg, amplitude_px, duration_s):
    """Three lists, rewritten pass after pass."""
    points = np.array(fixations, float)
    vectors = list(np.diff(points[:, :2], axis=0))
    starts, durations = list(points[:-1, :2]), list(points[:, 2])

    def angle(u, v):
        lengths = math.hypot(*u) * math.hypot(*v)
        if lengths == 0:
            return math.inf
        return math.degrees(math.acos(min(1.0, max(-1.0, float(u @ v) / lengths))))

    while True:
        before = len(durations)
        for straight in (True, False):
            new_u, new_p, new_d, i, n = [], [], [], 0, len(vectors)
            while i < n:
                final = i == n - 1
                if straight:
                    merge = (
                        not final
                        and angle(vectors[i], vectors[i + 1]) < direction_deg
                        and durations[i + 1] < duration_s
                    )
                else:
                    near = durations[-2:] if final else durations[i : i + 2]
                    merge = math.hypot(*vectors[i]) < amplitude_px and min(near) < duration_s
                if merge and final and n > 1:
                    new_u[-1] = vectors[-2] + vectors[-1]
                    new_d.append(durations[i - 1])
                    i += 1
                    continue
                merge = merge and not final
                new_u.append(vectors[i] + vectors[i + 1] if merge else vectors[i])
                new_p.append(starts[i])
                new_d.append(durations[i])
                i += 2 if merge else 1
            vectors, starts, durations = new_u, new_p, [*new_d, durations[-1]]
        if len(durations) == before:
            return np.array(vectors), np.array(starts), np.array(durations[: len(vectors)])


def check(fixations, thresholds=THRESHOLDS):
    found = simplify(paths_of(*fixations), *thresholds)
    for row, rows in enumerate(fixations):
        n = found.count[row]
        if len(rows) < 2:
            assert n == 0
            continue
        vectors, starts, durations = one_by_one(rows, *thresholds)
        assert n == len(vectors)
        np.testing.assert_allclose(np.stack([found.dx, found.dy], -1)[row, :n], vectors, atol=1e-9)
        np.testing.assert_array_equal(np.stack([found.x, found.y], -1)[row, :n], starts)
        np.testing.assert_array_equal(found.duration[row, :n], durations)
        assert not found.dx[row, n:].any()
    return found


COORDINATE = st.integers(0, 12).map(lambda k: 60.0 * k)
DURATION = st.sampled_from([0.0, 0.1, 0.29, 0.3, 0.5])
PATH = st.lists(st.tuples(COORDINATE, COORDINATE, DURATION), max_size=14)


@given(st.lists(PATH, min_size=1, max_size=6))
@settings(max_examples=200, deadline=None)
@example([[(0, 0, 0.1)] * 5, [], [(3, 3, 0.0)]])
@example([[(7.0 * k, 11.0 * k, 0.1) for k in range(9)]])  # cosines a rounding above 1
def test_against_lists(fixations):
    check(fixations)


@given(st.integers(0, 2**31), st.sampled_from([(20.0, 40.0, 0.2), (90.0, 250.0, 0.4), THRESHOLDS]))
@settings(max_examples=40, deadline=None)
def test_against_lists_off_the_grid(seed, thresholds):
    rng = np.random.default_rng(seed)
    low, high = [0, 0, 0.05], [800, 600, 0.6]
    check([rng.uniform(low, high, (n, 3)) for n in rng.integers(0, 25, 5)], thresholds)


def test_without_merging_the_saccades_stay():
    far = [(0, 0, 0.1), (300, 0, 0.1), (300, 300, 0.1), (0, 300, 0.1)]
    found = check([far])
    plain = saccades_of(paths_of(far))
    np.testing.assert_array_equal(found.dx, plain.dx)
    np.testing.assert_array_equal(found.duration, plain.duration)


def test_a_small_last_saccade_replaces_the_sum_before_it():
    # Saccades (10, 0), (0, 300), (10, 0): the first takes up the second, and then the last one
    # overwrites that sum, (10, 300), by the sum of the last two, keeping its start.
    found = check([[(0, 0, 0.1), (10, 0, 0.1), (10, 300, 0.1), (20, 300, 0.1)]], (5.0, 100.0, 0.3))
    assert found.count.tolist() == [1]
    assert (found.dx[0, 0], found.dy[0, 0], found.x[0, 0]) == (10.0, 300.0, 0.0)
    found = check([[(0, 0, 0.1), (50, 0, 0.1), (50, 300, 0.1), (60, 300, 0.1)]], (5.0, 100.0, 0.3))
    assert found.dx[0, 0] == 10.0  # 60 if the sum before had been added to


def test_a_round_with_the_last_merge_alone_is_the_last():
    # After it (200, 0) and (60, 150) are left, 68° apart: another round would merge them.
    rows = [(0, 0, 0.1), (200, 0, 0.1), (200, 150, 0.1), (260, 150, 0.1)]
    found = check([rows], (75.0, 100.0, 0.3))
    assert found.count.tolist() == [2]
    assert found.dx[0, :2].tolist() == [200.0, 60.0]


def test_a_single_small_saccade_stays():
    found = check([[(0, 0, 0.1), (10, 0, 0.1)], [(0, 0, 0.1)] * 6])
    assert found.count.tolist() == [1, 1]
    assert found.dx[:, 0].tolist() == [10.0, 0.0]


@pytest.mark.parametrize("duration, count", [(0.3, 2), (0.2999, 1)])
def test_a_long_fixation_between_keeps_straight_saccades_apart(duration, count):
    rows = [(0, 0, 0.5), (200, 0, duration), (400, 0, 0.5)]
    assert check([rows]).count.tolist() == [count]


def test_no_fixations_at_all():
    none = np.empty((2, 0))
    found = simplify(Paths(none, none, none, np.zeros(2, np.int64), 800, 600), *THRESHOLDS)
    assert found.dx.shape == (2, 0)
    assert found.count.tolist() == [0, 0]
