import numpy as np
import pytest
from scipy.spatial.distance import directed_hausdorff


def test_toys(toys, all_pairs):
    directed = all_pairs(toys, "directed_hausdorff")
    np.testing.assert_allclose(directed[[0, 1], [1, 0]], [22.360679774997898, 300], rtol=1e-14)
    assert all_pairs(toys, "hausdorff")[0, 1] == 300


@pytest.mark.data
@pytest.mark.parametrize(
    ("image", "a_to_b", "b_to_a"),
    [
        ("1009", 136.5598037491267, 88.40955830678038),
        ("1420", 134.73444251563893, 132.27490313736766),
    ],
)
def test_osie(osie_pairs, all_pairs, image, a_to_b, b_to_a):
    found = all_pairs(osie_pairs[image], "directed_hausdorff")
    np.testing.assert_allclose(found[[0, 1], [1, 0]], [a_to_b, b_to_a], rtol=1e-13)


def test_equals_scipy(ragged, scanpath_set, all_pairs):
    at = [array[:, :2] for array in ragged]
    expected = np.array([[directed_hausdorff(a, b)[0] for b in at] for a in at])
    for chunk in (1, 7, 1024):
        found = all_pairs(scanpath_set(ragged), "directed_hausdorff", chunk)
        np.testing.assert_allclose(found, expected, rtol=1e-12)
        both = all_pairs(scanpath_set(ragged), "hausdorff", chunk)
        np.testing.assert_allclose(both, np.maximum(expected, expected.T), rtol=1e-12)
