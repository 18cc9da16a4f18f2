import numpy as np
import pytest

from attnsci.errors import InvalidInput
from attnsci.scanpaths import Viewing, from_dict
from attnsci.scanpaths.recurrence import MEASURES, auto_recurrence, on_runs

HAND = [(200, 150), (500, 300), (650, 80), (210, 155), (505, 310), (498, 295), (510, 302),
        (205, 148), (655, 85)]  # fmt: skip
VIEWING = Viewing(800, 600, 24)


def build(arrays, viewing=VIEWING):
    return from_dict({"image": {f"{i:03d}": array for i, array in enumerate(arrays)}}, viewing)


def measures(found):
    return np.stack([found[name].values for name in MEASURES], -1)


def runs(lines, min_line):
    """Sum of the weights on runs of positive weights."""
    total = 0.0
    for line in lines:
        run = []
        for weight in [*line, 0]:
            if weight:
                run.append(weight)
            else:
                total += sum(run) * (len(run) >= min_line)
                run = []
    return total


def reference(array, radius, min_line, weighted):
    at, n = array[:, :2], len(array)
    if n < 2:
        return [np.nan] * 4
    t = array[:, 2] if weighted else np.full(n, 0.5)
    r = np.zeros((n, n))
    for i in range(n):
        for j in range(i + 1, n):
            r[i, j] = (t[i] + t[j]) * (np.hypot(*(at[i] - at[j])) <= radius)
    total = r.sum()
    recurrence = 100 * total / ((n - 1) * t.sum())
    if not total:
        return [0, np.nan, np.nan, np.nan]
    delayed = sum((j - i) * r[i, j] for i in range(n) for j in range(n))
    return [
        recurrence,
        100 * runs([np.diagonal(r, k) for k in range(1, n)], min_line) / total,
        100 * (runs(r, min_line) + runs(r.T, min_line)) / (2 * total),
        100 * delayed / ((n - 1) ** 2 * t.sum()) if weighted else 100 * delayed / ((n - 1) * total),
    ]


def test_the_example_counted_by_hand():
    """Counting whole diagonals and rows instead of runs gives 60 and 70 in the middle."""
    found = measures(auto_recurrence(build([HAND]), radius_px=40))
    np.testing.assert_allclose(found[0], [250 / 9, 40, 35, 45], rtol=1e-14)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize(("radius", "min_line"), [(60, 2), (150, 3), (20, 1)])
def test_equals_counting(weighted, radius, min_line):
    rng = np.random.default_rng(1)
    places = rng.uniform(50, 550, (4, 2))
    arrays = [
        np.column_stack(
            [places[rng.integers(0, 4, n)] + rng.normal(0, 25, (n, 2)), rng.uniform(0.1, 0.5, n)]
        )
        for n in (0, 1, 2, 3, 5, 8, 13, 13)
    ]
    found = auto_recurrence(build(arrays), radius, min_line, weighted)
    expected = [reference(array, radius, min_line, weighted) for array in arrays]
    np.testing.assert_allclose(measures(found), expected, rtol=1e-12)


@pytest.mark.parametrize("n", [2, 3, 6])
def test_a_constant_scanpath(n):
    pairs = n * (n - 1) / 2
    found = measures(auto_recurrence(build([np.full((n, 2), 80.0)]), 1))
    lines = 100 * (pairs - 1) / pairs
    # The mean delay of all pairs is (n + 1) / 3.
    mass = 100 * (n + 1) / (3 * (n - 1))
    np.testing.assert_allclose(found[0], [100, lines, lines, mass], rtol=1e-14)


def test_weights_of_a_constant_scanpath():
    array = np.column_stack([np.full((4, 2), 80.0), [0.1, 0.2, 0.3, 0.4]])
    found = measures(auto_recurrence(build([array]), 1, weighted=True))
    # r01 = .3, r02 = .4, r03 = .5, r12 = .5, r13 = .6, r23 = .7; T = 1.
    np.testing.assert_allclose(found[0, 0], 100, rtol=1e-14)
    np.testing.assert_allclose(found[0, 3], 100 * (1.5 + 2 * 1.0 + 3 * 0.5) / 9, rtol=1e-14)


def test_short_ones_and_none_that_recurs_are_counted():
    found = auto_recurrence(build([[], [[5, 5]], [[5, 5], [400, 400]]]), 10)
    np.testing.assert_array_equal(found.recurrence, [np.nan, np.nan, 0])
    assert np.isnan(measures(found)[2, 1:]).all()
    assert [found[name].attrs["n_undefined"] for name in MEASURES] == [2, 3, 3, 3]


def test_late_recurrences_have_more_mass():
    at = np.random.default_rng(0).uniform(0, 500, (6, 2))
    early, late = at.copy(), at.copy()
    early[1], late[5] = at[0], at[0]
    found = auto_recurrence(build([early, late]), 1).centre_of_recurrence_mass
    np.testing.assert_allclose(found, [20, 100])


def test_the_default_radius_is_one_degree():
    paths = build([[(100, 100), (124, 100)], [(100, 100), (124.1, 100)]])
    np.testing.assert_array_equal(auto_recurrence(paths).recurrence, [100, 0])
    with pytest.raises(InvalidInput, match="px_per_deg"):
        auto_recurrence(build([HAND], Viewing(800, 600)))


def test_coordinates_are_kept_and_images_may_differ_in_size():
    paths = build([HAND]).assign_coords(width_px=("scanpath", [1e3]), height_px=("scanpath", [9e2]))
    found = auto_recurrence(paths, 40)
    assert found.image.values.tolist() == ["image"]
    assert found.n_fixations.values.tolist() == [9]


def test_many_scanpaths_in_blocks(monkeypatch):
    rng = np.random.default_rng(2)
    paths = build([rng.uniform(0, 100, (n % 7, 2)) for n in range(30)])
    whole = auto_recurrence(paths, 40)
    monkeypatch.setattr("attnsci.scanpaths.recurrence._BLOCK", 100)
    assert auto_recurrence(paths, 40).equals(whole)


def test_durations_that_are_missing():
    with pytest.raises(InvalidInput, match="1 of 1 scanpaths have none"):
        auto_recurrence(build([HAND]), 40, weighted=True)


@pytest.mark.parametrize("settings", [{"radius_px": 0.0}, {"radius_px": 5.0, "min_line": 1.5}])
def test_settings_are_checked(settings):
    with pytest.raises(InvalidInput, match=list(settings)[-1]):
        auto_recurrence(build([HAND]), **settings)


def test_lines_longer_than_the_matrix_hold_nothing():
    assert not on_runs(np.ones((3, 2), bool), 3, 0, 1).any()
    assert on_runs(np.ones((3, 2), bool), 3, 1, 0).all()
    assert not on_runs(np.ones((3, 2), bool), 5, 1, 1).any()
