import numpy as np
import pytest

from attnsci.errors import InvalidInput
from attnsci.scanpaths import Viewing, from_dict
from attnsci.scanpaths.clusters import (
    FACTORS,
    best_clusters,
    cluster_fixations,
    cluster_labels,
    fit_clusters,
    interaction_rate,
)

VIEWING = Viewing(800, 600)
CENTRES = np.array([[150.0, 120], [600, 150], [400, 480]])


def blobs(n=40, spread=12.0, seed=0):
    rng = np.random.default_rng(seed)
    return np.concatenate([at + rng.normal(0, spread, (n, 2)) for at in CENTRES])


def test_finds_what_was_planted():
    x, y = blobs().T
    labels, centres = cluster_fixations(x, y, 60)
    assert len(centres) == 3
    nearest = np.abs(CENTRES[:, None] - centres[None]).sum(2).argmin(1)
    np.testing.assert_allclose(centres[nearest], CENTRES, atol=8)
    np.testing.assert_array_equal(labels, np.repeat(nearest, 40))


def test_the_fullest_cluster_comes_first():
    x = [0, 1, 2, 100, 101, 102, 103, 300]
    labels, centres = cluster_fixations(x, np.zeros(8), 10)
    assert labels.tolist() == [1, 1, 1, 0, 0, 0, 0, 2]
    np.testing.assert_allclose(centres, [[101.5, 0], [1, 0], [300, 0]])


@pytest.mark.parametrize("bandwidth", [20.0, 60.0, 150.0, 400.0])
def test_equals_scikit_learn(bandwidth):
    cluster = pytest.importorskip("sklearn.cluster")
    points = np.concatenate([blobs(25, 30.0), np.random.default_rng(4).uniform(0, 600, (40, 2))])
    labels, centres = cluster_fixations(*points.T, bandwidth)
    peer = cluster.MeanShift(bandwidth=bandwidth).fit(points)
    np.testing.assert_allclose(centres, peer.cluster_centers_, atol=1e-6)
    np.testing.assert_array_equal(labels, peer.labels_)


def test_blocks_change_nothing(monkeypatch):
    x, y = blobs(30, 40.0).T
    labels, centres = cluster_fixations(x, y, 50)
    monkeypatch.setattr("attnsci.scanpaths.clusters._BLOCK", 500)
    again, others = cluster_fixations(x, y, 50)
    np.testing.assert_array_equal(labels, again)
    np.testing.assert_allclose(centres, others, rtol=1e-12)


def test_interaction_rate_counts_saccades_within_scanpaths():
    labels = np.array([0, 1, 0, 0, 2, 2, 1])
    scanpath = np.array([0, 0, 0, 0, 1, 1, 1])
    # 0-1, 1-0, 2-1 between; 0-0, 2-2 within; the step from one scanpath to the next is none.
    assert interaction_rate(labels, scanpath) == (3 - 2) / 3


def test_the_best_bandwidth_maximises_the_rate():
    rng = np.random.default_rng(8)
    scanpath = np.repeat(np.arange(20), 6)
    visited = (rng.integers(0, 3, (20, 1)) + np.arange(6) * rng.choice([1, 2], (20, 1))) % 3
    x, y = (CENTRES[visited.ravel()] + rng.normal(0, 10, (120, 2))).T
    found = best_clusters(x, y, scanpath)
    assert len(found) == 3
    # No tried bandwidth does better than planted clusters that every saccade leaves.
    assert interaction_rate(visited.ravel(), scanpath) == pytest.approx(100 / 3)
    labels = np.linalg.norm(np.stack([x, y], 1)[:, None] - found, axis=2).argmin(1)
    assert interaction_rate(labels, scanpath) == pytest.approx(100 / 3)


def test_reach_is_scikit_learns_bandwidth():
    cluster = pytest.importorskip("sklearn.cluster")
    from attnsci.scanpaths.clusters import _reach

    points = blobs(20, 30.0)
    np.testing.assert_allclose(_reach(points), cluster.estimate_bandwidth(points), rtol=1e-12)
    assert len(FACTORS) == len(set(FACTORS))


def test_every_image_has_its_own():
    a, b = blobs(seed=1), blobs(seed=2) + 30
    paths = from_dict(
        {"b": {"s1": b[::2], "s2": b[1::2]}, "a": {"s1": a[::2], "s2": a[1::2]}}, VIEWING
    )
    found = fit_clusters(paths, 60)
    assert sorted(found) == ["a", "b"]
    for name, points in (("a", a), ("b", b)):
        order = np.concatenate([points[::2], points[1::2]])
        np.testing.assert_allclose(found[name], cluster_fixations(*order.T, 60)[1], rtol=1e-12)
    chosen = fit_clusters(paths)
    order = np.concatenate([a[::2], a[1::2]])
    expected = best_clusters(*order.T, np.repeat([0, 1], 60))
    np.testing.assert_array_equal(chosen["a"], expected)


def test_labels_of_a_ragged_set():
    paths = from_dict({"p": {"s1": [[150, 120]], "s2": [[600, 150], [150, 100]]}}, VIEWING)
    found = cluster_labels(paths, {"p": CENTRES})
    np.testing.assert_array_equal(found, [[0, -1], [1, 0]])
    assert found.dims == ("scanpath", "fixation")
    with pytest.raises(InvalidInput, match="no clusters of image 'p'"):
        cluster_labels(paths, {"q": CENTRES})


def test_few_and_equal_fixations_are_clustered():
    one = fit_clusters(from_dict({"p": [[5, 5]]}, VIEWING))
    np.testing.assert_array_equal(one["p"], [[5, 5]])
    same = fit_clusters(from_dict({"p": [[5, 5]] * 9}, VIEWING))
    np.testing.assert_array_equal(same["p"], [[5, 5]])


def test_what_cannot_be_clustered():
    with pytest.raises(InvalidInput, match="image 'p'"):
        fit_clusters(from_dict({"p": [], "q": [[1, 1]]}, VIEWING))
    with pytest.raises(InvalidInput, match="bandwidth_px"):
        cluster_fixations([1], [1], 0)
    with pytest.raises(InvalidInput, match="bandwidth_px"):
        fit_clusters(from_dict({"p": [[1, 1]]}, VIEWING), -1)
    with pytest.raises(InvalidInput, match="empty"):
        cluster_fixations([], [], 5)
    with pytest.raises(InvalidInput, match="NaN"):
        cluster_fixations([np.nan], [1], 5)
