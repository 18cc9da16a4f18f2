import numpy as np
import pytest

from attnsci.errors import InvalidInput
from attnsci.scanpaths import similarity


def runs(points, min_line):
    """Points on runs in the lines given as sequences of flags."""
    total = 0
    for line in points:
        length = 0
        for flag in [*line, False]:
            if flag:
                length += 1
            else:
                total += length * (length >= min_line)
                length = 0
    return total


def reference(a, b, radius, min_line=2):
    n = min(len(a), len(b))
    c = np.hypot(*(a[:n, None] - b[None, :n]).transpose(2, 0, 1)) <= radius
    total = c.sum()
    if not total:
        return [0, np.nan, np.nan, np.nan]
    delay = np.arange(n)[None] - np.arange(n)[:, None]
    return [
        100 * total / n**2,
        100 * runs([np.diagonal(c, k) for k in range(1 - n, n)], min_line) / total,
        100 * (runs(c, min_line) + runs(c.T, min_line)) / (2 * total),
        100 * (delay * c).sum() / ((n - 1) * total) if n > 1 else np.nan,
    ]


def test_toys(toys, all_pairs):
    found = all_pairs(toys, "recurrence", radius_px=60)
    np.testing.assert_allclose(found[0, 1], [18.75, 200 / 3, 0, 100 / 9], rtol=1e-14)


@pytest.mark.data
@pytest.mark.parametrize(
    ("image", "expected"),
    [
        ("1009", [31.25, 70, 72.5, -40 / 7]),
        ("1420", [1500 / 121, 160 / 3, 220 / 3, 44]),
    ],
)
def test_osie_counts_runs_not_whole_lines(osie_pairs, all_pairs, image, expected):
    found = all_pairs(osie_pairs[image], "recurrence", radius_px=60)
    np.testing.assert_allclose(found[0, 1], expected, rtol=1e-13)


@pytest.mark.parametrize(("radius", "min_line"), [(40, 2), (90, 3), (250, 1), (5, 2), (400, 4)])
def test_equals_one_by_one(ragged, scanpath_set, all_pairs, radius, min_line):
    at = [array[:, :2] for array in ragged]
    expected = [[reference(a, b, radius, min_line) for b in at] for a in at]
    for chunk in (1, 7, 1024):
        found = all_pairs(
            scanpath_set(ragged), "recurrence", chunk, radius_px=radius, min_line=min_line
        )
        np.testing.assert_allclose(found, expected, rtol=1e-12)


@pytest.mark.parametrize("n", [2, 3, 5, 10])
def test_a_constant_scanpath(scanpath_set, all_pairs, n):
    found = all_pairs(scanpath_set([np.full((n, 2), 50.0)]), "recurrence", radius_px=1)
    np.testing.assert_allclose(found[0, 0], [100, 100 * (n**2 - 2) / n**2, 100, 0], rtol=1e-14)


def test_who_leads_changes_sign_with_the_order(ragged, scanpath_set, all_pairs):
    found = all_pairs(scanpath_set(ragged), "recurrence", radius_px=60)
    np.testing.assert_allclose(found[..., 3], -found[..., 3].T, atol=1e-12)
    np.testing.assert_allclose(found[..., :3], found[..., :3].transpose(1, 0, 2), rtol=1e-14)


def test_nothing_recurs_and_one_fixation(scanpath_set):
    paths = scanpath_set([[[10, 10]], [[10, 11]], [[300, 300], [400, 400]]])
    with pytest.warns(UserWarning, match="not defined for 8 of 9 pairs"):
        found = similarity(paths, metric="recurrence", radius_px=2).values
    np.testing.assert_array_equal(found[0, 1], [100, 0, 0, np.nan])
    np.testing.assert_array_equal(found[0, 2], [0, np.nan, np.nan, np.nan])


def test_the_radius_itself_recurs_and_is_one_degree(scanpath_set, all_pairs):
    paths = scanpath_set([[[100, 100], [100, 300]], [[124, 100], [100, 324.001]]], px_per_deg=24)
    assert all_pairs(paths, "recurrence")[0, 1, 0] == 25
    with pytest.raises(InvalidInput, match="px_per_deg"):
        similarity(scanpath_set([[[1, 1]]], px_per_deg=None), metric="recurrence")


@pytest.mark.parametrize("settings", [{"radius_px": 0.0}, {"min_line": 0}])
def test_settings_are_checked(toys, settings):
    with pytest.raises(InvalidInput, match=next(iter(settings))):
        similarity(toys, metric="recurrence", **settings)
