import numpy as np
import pytest

from attnsci.errors import InvalidInput
from attnsci.scanpaths import similarity


def reference(a, b, width=800, height=600):
    n, m = len(a), len(b)
    d = ((a[:, None] - b[None]) ** 2).sum(2)
    top = m * d.min(1).sum() + n * d.min(0).sum()
    return np.sqrt(top / (2 * n * m * (width**2 + height**2)))


def test_toys(toys, all_pairs):
    np.testing.assert_allclose(all_pairs(toys, "mannan")[0, 1], 0.0972111104761179, rtol=1e-14)


@pytest.mark.data
@pytest.mark.parametrize(
    ("image", "expected"), [("1009", 0.051255438735806375), ("1420", 0.07176116294748683)]
)
def test_osie(osie_pairs, all_pairs, image, expected):
    np.testing.assert_allclose(all_pairs(osie_pairs[image], "mannan")[0, 1], expected, rtol=1e-12)


def test_equals_one_by_one(ragged, scanpath_set, all_pairs):
    at = [array[:, :2] for array in ragged]
    expected = [[reference(a, b) for b in at] for a in at]
    for chunk in (1, 7, 1024):
        found = all_pairs(scanpath_set(ragged), "mannan", chunk)
        np.testing.assert_allclose(found, expected, rtol=1e-12)


def test_index_against_random_sets(scanpath_set, all_pairs):
    rng = np.random.default_rng(5)
    a, b = rng.uniform(0, 400, (4, 2)), rng.uniform(0, 400, (7, 2))
    chance = np.mean(
        [
            reference(rng.random((4, 2)) * [800, 400], rng.random((7, 2)) * [800, 400], 800, 400)
            for _ in range(4000)
        ]
    )
    found = all_pairs(scanpath_set([a, b], 800, 400), "mannan_index", n_random=4000)
    expected = 100 * (1 - reference(a, b, 800, 400) / chance)
    np.testing.assert_allclose(found[0, 1], expected, atol=2)
    np.testing.assert_allclose(np.diag(found), 100)


def test_random_scanpaths_are_at_chance(scanpath_set):
    rng = np.random.default_rng(6)
    paths = scanpath_set([rng.random((6, 2)) * [800, 600] for _ in range(60)])
    values = similarity(paths, metric="mannan_index").values
    assert abs(values[~np.eye(60, dtype=bool)].mean()) < 2


def test_index_has_one_chance_for_both_orders_and_any_company(ragged, scanpath_set, all_pairs):
    found = all_pairs(scanpath_set(ragged), "mannan_index", n_random=20)
    np.testing.assert_allclose(found, found.T, rtol=1e-12)
    few = all_pairs(scanpath_set([ragged[3], ragged[6]]), "mannan_index", n_random=20)
    np.testing.assert_allclose(few[0, 1], found[3, 6], rtol=1e-12)
    other = all_pairs(scanpath_set(ragged), "mannan_index", n_random=20, seed=1)
    assert not np.allclose(other, found)


@pytest.mark.parametrize("settings", [{"n_random": 0}, {"seed": -1}])
def test_settings_are_checked(toys, settings):
    with pytest.raises(InvalidInput, match=next(iter(settings))):
        similarity(toys, metric="mannan_index", **settings)
