import itertools

import numpy as np
import pytest

from attnsci.errors import InvalidInput
from attnsci.scanpaths import similarity
from attnsci.scanpaths.measures.string_time_delay_embedding import _edits

SBTDE = "string_time_delay_embedding"


def damerau(a, b):
    """Unrestricted Damerau–Levenshtein distance, by the table of last occurrences."""
    far = len(a) + len(b)
    table = {(-1, -1): far}
    for i in range(len(a) + 1):
        table[i, -1], table[i, 0] = far, i
    for j in range(len(b) + 1):
        table[-1, j], table[0, j] = far, j
    last_row = {}
    for i in range(1, len(a) + 1):
        last_column = 0
        for j in range(1, len(b) + 1):
            row, column = last_row.get(b[j - 1], 0), last_column
            if a[i - 1] == b[j - 1]:
                last_column = j
            table[i, j] = min(
                table[i - 1, j - 1] + (a[i - 1] != b[j - 1]),
                table[i - 1, j] + 1,
                table[i, j - 1] + 1,
                table[row - 1, column - 1] + (i - row - 1) + 1 + (j - column - 1),
            )
        last_row[a[i - 1]] = i
    return table[len(a), len(b)]


def letters(array, grid):
    x, y = array[:, 0] * grid // 800, array[:, 1] * grid // 600
    return [int(c) for c in x + grid * y]


def reference(human, simulated, k, grid):
    h, s = letters(human, grid), letters(simulated, grid)
    if min(len(h), len(s)) < k:
        return np.nan
    nearest = [
        min(damerau(h[i : i + k], s[j : j + k]) for i in range(len(h) - k + 1))
        for j in range(len(s) - k + 1)
    ]
    return np.mean(nearest) / k


def test_toys(toys, all_pairs):
    found = all_pairs(toys, SBTDE)
    np.testing.assert_allclose(found[0, 1], 0.4444444444444444, rtol=1e-14)
    np.testing.assert_allclose(found[1, 0], 0.3333333333333333, rtol=1e-14)


@pytest.mark.data
@pytest.mark.parametrize(
    ("image", "expected"), [("1009", 0.27777777777777773), ("1420", 0.5333333333333334)]
)
def test_osie(osie_pairs, all_pairs, image, expected):
    np.testing.assert_allclose(all_pairs(osie_pairs[image], SBTDE)[0, 1], expected, rtol=1e-14)


@pytest.mark.parametrize("k", [1, 2, 3, 4])
def test_edits_of_every_pair_of_words(k):
    words = list(itertools.product(range(3), repeat=k))
    pairs = list(itertools.product(words, words))
    bits = 2 ** np.arange(k * k)
    patterns = [(np.equal.outer(a, b).ravel() * bits).sum() for a, b in pairs]
    assert _edits(np.array(patterns), k).tolist() == [damerau(a, b) for a, b in pairs]


def test_reference_is_the_unrestricted_distance():
    assert damerau("ca", "abc") == 2  # swap, then put b between; 3 where that is forbidden


@pytest.mark.parametrize(("k", "grid"), [(1, 4), (3, 4), (2, 5), (4, 3), (5, 2)])
def test_equals_loops_over_windows(ragged, scanpath_set, all_pairs, k, grid):
    expected = [[reference(h, s, k, grid) for s in ragged] for h in ragged]
    for chunk in (1, 7, 1024):
        found = all_pairs(scanpath_set(ragged), SBTDE, chunk, k=k, grid=grid)
        np.testing.assert_allclose(found, expected, rtol=1e-13)


@pytest.mark.parametrize("settings", [{"k": 0}, {"k": 8}, {"grid": 0}])
def test_settings_are_checked(toys, settings):
    with pytest.raises(InvalidInput, match=next(iter(settings))):
        similarity(toys, metric=SBTDE, **settings)
