import numpy as np
import pytest

from attnsci.errors import InvalidInput
from attnsci.scanpaths import similarity
from attnsci.scanpaths.measures.fdiss import precision_recall


def reference(a, b, r):
    best = np.zeros((len(a), len(b)))
    for i, p in enumerate(a):
        for j, q in enumerate(b):
            d = np.hypot(*(p - q))
            if d < 2 * r:
                both = 2 * r * r * np.arccos(d / (2 * r)) - d / 2 * np.sqrt(4 * r * r - d * d)
                best[i, j] = both / (2 * np.pi * r * r - both)
    precision, recall = best.max(1).mean(), best.max(0).mean()
    return 2 * precision * recall / (precision + recall) if precision + recall else 0.0


@pytest.mark.parametrize(
    ("radius", "expected"),
    [(24, 0.24278808534535676), (45, 0.46503741997076165), (60, 0.5495893559895737)],
)
def test_toys(toys, all_pairs, radius, expected):
    found = all_pairs(toys, "fdiss", radius_px=radius)
    np.testing.assert_allclose(found[0, 1], expected, rtol=1e-13)


def test_toys_precision_and_recall(toys):
    x, y = (toys[name].values / 24 for name in ("x", "y"))
    a, b = ((x[i : i + 1], y[i : i + 1], toys.n_fixations.values[i : i + 1]) for i in (0, 1))
    np.testing.assert_allclose(
        np.concatenate(precision_recall(a, b)),
        [0.27313659601352636, 0.21850927681082108],
        rtol=1e-11,
    )


def test_the_default_radius_is_one_degree(toys, scanpath_set, all_pairs):
    np.testing.assert_array_equal(all_pairs(toys, "fdiss"), all_pairs(toys, "fdiss", radius_px=24))
    unknown = scanpath_set([[[1, 1]], [[2, 2]]], px_per_deg=None)
    with pytest.raises(InvalidInput, match="px_per_deg"):
        similarity(unknown, metric="fdiss")


@pytest.mark.parametrize("radius", [5.0, 40.0, 1000.0])
def test_equals_one_by_one(ragged, scanpath_set, all_pairs, radius):
    at = [array[:, :2] for array in ragged]
    expected = [[reference(a, b, radius) for b in at] for a in at]
    for chunk in (1, 7, 1024):
        found = all_pairs(scanpath_set(ragged), "fdiss", chunk, radius_px=radius)
        np.testing.assert_allclose(found, expected, rtol=1e-10)


def test_blind_to_order_and_zero_when_apart(ragged, scanpath_set, all_pairs):
    path = ragged[7][:, :2]
    far = np.add(path, [2000.0, 0.0])
    found = all_pairs(scanpath_set([path, path[::-1], far]), "fdiss", radius_px=30)
    np.testing.assert_allclose(found[0], [1, 1, 0])


def test_settings_are_checked(toys):
    with pytest.raises(InvalidInput, match="radius_px"):
        similarity(toys, metric="fdiss", radius_px=0)
