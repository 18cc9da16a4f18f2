from collections import Counter

import numpy as np
import pytest

from attnsci.errors import InvalidInput
from attnsci.scanpaths import similarity


def letters(values, n_letters):
    below = [sum(other < value for other in values) for value in values]
    return [n_letters * b // len(values) for b in below]


def words(array, n_letters, n, axes):
    parts = [letters(array[:, "xy".index(axis)].tolist(), n_letters) for axis in axes]
    seen = list(zip(*parts, strict=True))
    return Counter(tuple(seen[i : i + n]) for i in range(len(seen) - n + 1))


def reference(a, b, n_letters, n, axes):
    f, g = (words(array, n_letters, n, axes) for array in (a, b))
    if not (f and g):
        return np.nan
    return sum(abs(f[w] / f.total() - g[w] / g.total()) for w in f | g)


@pytest.mark.parametrize(
    ("n_letters", "n", "axes"), [(4, 3, "x"), (2, 2, "x"), (2, 1, "xy"), (3, 2, "xy"), (1, 3, "x")]
)
def test_equals_counting(ragged, scanpath_set, all_pairs, n_letters, n, axes):
    expected = [[reference(a, b, n_letters, n, axes) for b in ragged] for a in ragged]
    for chunk in (1, 7, 1024):
        found = all_pairs(
            scanpath_set(ragged), "subsmatch", chunk, n_letters=n_letters, n=n, axes=axes
        )
        np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-15)


def test_equal_places_share_a_letter(scanpath_set, all_pairs):
    x = [5, 5, 5, 1, 5, 1, 5, 5]
    path = np.column_stack([x, x])
    found = all_pairs(scanpath_set([path, np.add(path, [0, 7])]), "subsmatch", n_letters=8)
    np.testing.assert_array_equal(found, 0)
    assert letters(x, 8) == [2, 2, 2, 0, 2, 0, 2, 2]


def test_place_and_size_play_no_part(ragged, scanpath_set, all_pairs):
    a, b = ragged[6][:, :2], ragged[7][:, :2]
    found = all_pairs(scanpath_set([a, b]), "subsmatch", n_letters=2, n=2)
    moved = all_pairs(scanpath_set([a * 2 + 30, b / 3]), "subsmatch", n_letters=2, n=2)
    np.testing.assert_array_equal(found, moved)
    assert 0 < found[0, 1] < 2


def test_no_word_in_common_is_two(scanpath_set, all_pairs):
    rising, falling = [[[x, 0] for x in order] for order in ((1, 2, 3, 4), (4, 3, 2, 1))]
    assert all_pairs(scanpath_set([rising, falling]), "subsmatch")[0, 1] == 2


def test_shorter_than_a_word(scanpath_set):
    with pytest.warns(UserWarning, match="3 of 4 pairs"):
        similarity(scanpath_set([[[1, 1], [2, 2]], [[1, 1], [2, 2], [3, 3]]]), metric="subsmatch")


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"n_letters": 0}, "n_letters"),
        ({"n": 0}, "n must"),
        ({"axes": "y"}, "axes"),
        ({"n_letters": 100, "n": 10}, "too many"),
    ],
)
def test_settings_are_checked(toys, settings, message):
    with pytest.raises(InvalidInput, match=message):
        similarity(toys, metric="subsmatch", **settings)
