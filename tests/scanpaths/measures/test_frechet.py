import numpy as np


def test_toys(toys, all_pairs):
    np.testing.assert_allclose(all_pairs(toys, "frechet")[0, 1], 360.5551275463989, rtol=1e-14)


def test_order_counts(scanpath_set, all_pairs):
    there = np.array([[0.0, 0], [10, 0], [20, 0]])
    found = all_pairs(scanpath_set([there, there[::-1]]), "frechet")
    assert found[0, 1] == 20
    assert all_pairs(scanpath_set([there, there[::-1]]), "hausdorff")[0, 1] == 0


def test_a_pause_costs_nothing(scanpath_set, all_pairs):
    there = np.array([[0.0, 0], [10, 0], [20, 0]])
    assert all_pairs(scanpath_set([there, np.repeat(there, 3, 0)]), "frechet")[0, 1] == 0
