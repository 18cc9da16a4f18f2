import functools
import json

import numpy as np
import pytest

from attnsci.errors import InvalidInput
from attnsci.scanpaths import Viewing, from_dict, similarity
from attnsci.scanpaths.clusters import cluster_labels, fit_clusters
from attnsci.scanpaths.comparison import compare
from attnsci.scanpaths.measures.sequence_score import SequenceSettings

SCORE, COMMON = "sequence_score", "longest_common_subsequence"
VIEWING = Viewing(800, 600)


def common(a, b):
    @functools.cache
    def best(i, j):
        if not (i and j):
            return 0
        if a[i - 1] == b[j - 1]:
            return best(i - 1, j - 1) + 1
        return max(best(i - 1, j), best(i, j - 1))

    return best(len(a), len(b))


def grid_labels(array, n_columns, n_rows):
    x, y = array[:, 0].astype(int), array[:, 1].astype(int)
    return list(zip((x * n_columns // 800).tolist(), (y * n_rows // 600).tolist(), strict=True))


def test_toys(toys, all_pairs):
    assert all_pairs(toys, SCORE)[0, 1] == 0.8
    assert all_pairs(toys, COMMON)[0, 1] == 4


@pytest.mark.parametrize(("n_columns", "n_rows"), [(12, 8), (3, 2), (1, 1)])
def test_equals_the_recursion(ragged, scanpath_set, all_pairs, n_columns, n_rows):
    labels = [grid_labels(array, n_columns, n_rows) for array in ragged]
    lengths = [[common(a, b) for b in labels] for a in labels]
    scores = [[common(a, b) / max(len(a), len(b)) for b in labels] for a in labels]
    grid = {"n_columns": n_columns, "n_rows": n_rows}
    for chunk in (1, 7, 1024):
        np.testing.assert_array_equal(
            all_pairs(scanpath_set(ragged), COMMON, chunk, **grid), lengths
        )
        np.testing.assert_array_equal(all_pairs(scanpath_set(ragged), SCORE, chunk, **grid), scores)


def test_fixations_outside_count_as_on_the_border(scanpath_set, all_pairs):
    outside = [[-5, -5], [800, 300], [1e4, 700]]
    border = [[0, 0], [799, 300], [799, 599]]
    regions = np.arange(600 * 800).reshape(600, 800)
    for settings in ({}, {"regions": regions}):
        assert all_pairs(scanpath_set([outside, border]), SCORE, **settings)[0, 1] == 1


def test_regions_make_it_semantic(scanpath_set, all_pairs):
    regions = np.zeros((600, 800), int)
    regions[:, 400:] = 7
    regions[300:, 400:] = 3
    a = [[10, 10], [410, 10], [410, 310]]  # 0 7 3
    b = [[390, 590], [790, 290], [0, 0], [790, 590]]  # 0 7 0 3
    found = all_pairs(scanpath_set([a, b]), SCORE, regions=regions)
    np.testing.assert_array_equal(found, [[1, 0.75], [0.75, 1]])


def test_regions_by_image():
    left, right = np.zeros((600, 800), int), np.ones((600, 800), int)
    paths = from_dict({"p": [[10, 10]], "q": [[10, 10]]}, VIEWING)
    other = similarity(paths, metric=SCORE, regions={"p": left, "q": right})
    np.testing.assert_array_equal(other, [[1, 0], [0, 1]])
    same = similarity(paths, metric=SCORE, regions={"p": left, "q": left})
    np.testing.assert_array_equal(same, [[1, 1], [1, 1]])
    with pytest.raises(InvalidInput, match="no regions of image 'q'"):
        similarity(paths, metric=SCORE, regions={"p": left})
    with pytest.raises(InvalidInput, match="80×60"):
        similarity(paths, metric=SCORE, regions=left[:60, :80])


def test_clusters_of_several_images():
    rng = np.random.default_rng(0)
    places = {
        "p": np.array([[100.0, 100], [400, 120], [200, 480], [700, 300]]),
        "q": np.array([[120.0, 500], [420, 300], [600, 90]]),
    }
    visits = {
        image: {f"s{i}": rng.integers(0, len(at), rng.integers(2, 7)) for i in range(5)}
        for image, at in places.items()
    }
    paths = from_dict(
        {
            image: {
                who: places[image][seen] + rng.uniform(-3, 3, (len(seen), 2))
                for who, seen in by.items()
            }
            for image, by in visits.items()
        },
        VIEWING,
    )
    clusters = fit_clusters(paths, bandwidth_px=30)
    with pytest.warns(UserWarning, match="50 of 100 pairs"):
        found = similarity(paths, metric=SCORE, clusters=clusters)
    sequences = [tuple(seen) for by in visits.values() for seen in by.values()]
    for i, a in enumerate(sequences):
        for j, b in enumerate(sequences):
            if i // 5 != j // 5:
                assert np.isnan(found[i, j])
            else:
                assert found[i, j] == common(a, b) / max(len(a), len(b))
    labels = cluster_labels(paths, clusters)
    assert labels.coords["image"].equals(paths.image)
    assert (labels.values[0, : len(sequences[0])] >= 0).all()


def test_clusters_of_one_image_serve_all(scanpath_set, all_pairs):
    centres = np.array([[100.0, 100], [500, 500]])
    a, b = [[90, 90], [510, 500], [120, 90]], [[480, 520], [100, 130]]
    found = all_pairs(scanpath_set([a, b]), COMMON, clusters=centres)
    np.testing.assert_array_equal(found, [[3, 2], [2, 2]])


def test_clusters_of_an_image_that_are_missing():
    paths = from_dict({"p": [[10, 10]], "q": [[10, 10]]}, VIEWING)
    with pytest.raises(InvalidInput, match="no clusters of image 'q'"):
        similarity(paths, metric=SCORE, clusters={"p": [[1.0, 1.0]]})


def test_a_models_fixations_are_read_by_the_peoples_clusters():
    people = from_dict(
        {"p": {"s1": [[100, 100], [500, 500]], "s2": [[104, 100], [500, 504]]}}, VIEWING
    )
    model = from_dict({"p": [[130, 100], [480, 470]]}, VIEWING)
    found = similarity(people, model, SCORE, clusters=fit_clusters(people, 20))
    np.testing.assert_array_equal(found, [[1], [1]])


def test_clusters_in_a_comparison(scanpath_set):
    """People of another image are read by the clusters of the image they are compared on."""
    centres = {
        name: np.array([[100.0, 100], [400, 100 + step], [700, 500]])
        for step, name in enumerate("abcd")
    }
    orders = {"a": (0, 1, 2), "b": (2, 1, 0), "c": (0, 1, 2), "d": (2, 1, 0)}
    people = from_dict(
        {n: {who: centres[n][list(orders[n])] for who in ("s1", "s2", "s3")} for n in "abcd"},
        VIEWING,
    )
    model = people.isel(scanpath=people.observer == "s1").assign_coords(
        observer=("scanpath", ["model"] * 4)
    )
    for judged in (model, model.isel(scanpath=[1, 3])):
        found = compare(
            judged, people, {"score": (SCORE, {"clusters": centres})},
            n_permutations=9, n_bootstrap=9, progress=False,
        )  # fmt: skip
        mean = found["mean"].sel(metric="score")
        assert mean.sel(source="model") == mean.sel(source="human") == 1
        assert 1 / 3 <= mean.sel(source="cross-image") < 1
        assert not found["n_undefined"].any()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"n_columns": 0}, "n_columns"),
        ({"n_rows": 2.5}, "n_rows"),
        ({"clusters": [1.0, 2.0]}, r"clusters must have shape \(C, 2\)"),
        ({"clusters": {"p": np.empty((0, 2))}}, r"clusters\['p'\] must have one"),
        ({"clusters": [[np.nan, 1.0]]}, "finite"),
        ({"regions": np.zeros((6, 8))}, "whole numbers"),
        ({"regions": np.zeros(6, int)}, r"\(H, W\)"),
        ({"regions": np.zeros((6, 8), int), "clusters": [[1.0, 1.0]]}, "not both"),
    ],
)
def test_settings_are_checked(toys, settings, message):
    with pytest.raises(InvalidInput, match=message):
        similarity(toys, metric=SCORE, **settings)


def test_settings_are_shown_short(toys):
    many = {f"i{n}": np.zeros((50, 2)) for n in range(700)}
    assert repr(SequenceSettings(clusters=many)) == (
        "SequenceSettings(n_columns=12, n_rows=8, clusters=those of 700 images, regions=None)"
    )
    found = similarity(toys, metric=SCORE, regions=np.zeros((600, 800), int))
    assert "regions=(600, 800)" in json.dumps(found.attrs)
