"""String edit distance: published values, two brute forces, properties, and the edges."""

import functools
import itertools

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from attnsci.errors import InvalidInput
from attnsci.gaze import from_frame
from attnsci.geometry import Viewing
from attnsci.scanpaths.edit import rescale
from attnsci.scanpaths.measures.base import Paths, get_metric
from attnsci.scanpaths.measures.edit_distance import cells, edits
from attnsci.scanpaths.pairs import Scorer, plain_paths

A = [(100, 100), (400, 300), (700, 100), (400, 500)]
B = [(120, 110), (420, 310), (100, 500), (690, 120), (410, 480)]
KINDS = ("levenshtein", "damerau")


def paths_of(*fixations, size=(800.0, 600.0)):
    """Scanpaths of (x, y) rows."""
    length = np.array([len(rows) for rows in fixations])
    out = np.full((3, len(length), max(length, default=0)), np.nan)
    for i, rows in enumerate(fixations):
        if len(rows):
            out[:2, i, : len(rows)] = np.array(rows, float).T
    return Paths(*out, length, *size)


def distance(first, second, **given):
    paths = paths_of(first, second)
    return Scorer(paths, paths, "edit_distance", **given).pairs([0], [1])[0, 0]


def letters(paths, grid):
    return [
        "".join(chr(97 + cell) for cell in row[:n])
        for row, n in zip(cells(paths, grid), paths.length, strict=True)
    ]


def of_words(words_a, words_b, algorithm):
    lengths = [np.array([len(word) for word in words]) for words in (words_a, words_b)]
    columns = []
    for words, length in zip((words_a, words_b), lengths, strict=True):
        table = np.zeros((len(words), length.max(initial=0)), int)
        for row, word in zip(table, words, strict=True):
            row[: len(word)] = [ord(letter) - 97 for letter in word]
        columns.append(table.T)
    return edits(*columns, *lengths, algorithm == "damerau")


def recursive(a, b, algorithm):
    """The definition on prefixes."""

    @functools.cache
    def d(i, j):
        if not i or not j:
            return i + j
        best = min(d(i - 1, j) + 1, d(i, j - 1) + 1, d(i - 1, j - 1) + (a[i - 1] != b[j - 1]))
        if algorithm == "damerau":
            k, m = a.rfind(b[j - 1], 0, i - 1) + 1, b.rfind(a[i - 1], 0, j - 1) + 1
            if k and m:
                best = min(best, d(k - 1, m - 1) + (i - k - 1) + 1 + (j - m - 1))
        return best

    return d(len(a), len(b))


# --- published values ----------------------------------------------------------------------------


@pytest.mark.parametrize("algorithm", KINDS)
@pytest.mark.parametrize(
    "grid, strings, value", [(4, ["akdo", "akmdo"], 1), (5, ["amew", "amujw"], 2)]
)
def test_toy(algorithm, grid, strings, value):
    assert letters(paths_of(A, B), grid) == strings
    assert distance(A, B, grid=grid, algorithm=algorithm) == value
    found = distance(A, B, grid=grid, algorithm=algorithm, normalised=True)
    assert found == pytest.approx(value / 5, rel=0, abs=1e-15)


def osie(data_root, images):
    frame = pd.read_csv(data_root / "gaze" / "osie" / "fixations.csv.gz")
    return from_frame(frame[frame["image"].isin(images)], Viewing(800, 600))


@pytest.mark.data
@pytest.mark.parametrize(
    "image, observers, grid, strings, value",
    [
        ("1009.jpg", ("1", "2"), 4, ["kkkkkkjffk", "klkkkjjj"], 5),
        ("1009.jpg", ("1", "2"), 5, ["nsssssrlmn", "nsssnrqr"], 5),
        ("1420.jpg", ("6", "13"), 4, ["efbgdgdkjon", "kfeibddgeeei"], 9),
        ("1420.jpg", ("6", "13"), 5, ["lgbieiesrsw", "rgglbeeigggq"], 9),
    ],
)
def test_two_real_pairs(data_root, image, observers, grid, strings, value):
    scanpaths = osie(data_root, [image])
    first, second = (np.flatnonzero(scanpaths["observer"] == who) for who in observers)
    paths = plain_paths(scanpaths)
    found = letters(paths, grid)
    assert [found[first[0]], found[second[0]]] == strings
    assert Scorer(paths, paths, "edit_distance", grid=grid).pairs(first, second)[0, 0] == value


@pytest.mark.data
def test_people_on_the_published_split(data_root):
    images = (data_root / "gaze" / "osie" / "test_split_70.txt").read_text().split()
    paths = plain_paths(rescale(osie(data_root, images), 320, 240))
    a, b = (part.ravel() for part in np.nonzero(~np.eye(15, dtype=bool)))
    start = 15 * np.arange(70)[:, None]  # the table goes image by image
    scorer = Scorer(paths, paths, "edit_distance")
    found = scorer.pairs((start + a).ravel(), (start + b).ravel()).reshape(70, 15, 14)
    assert found.mean() == pytest.approx(7.485986, rel=0, abs=6e-7)
    assert found.min(2).mean() == pytest.approx(5.000952, rel=0, abs=6e-7)


# --- brute forces --------------------------------------------------------------------------------


@given(
    st.lists(
        st.tuples(st.text("abc", max_size=9), st.text("abcd", max_size=9)), min_size=1, max_size=8
    ),
    st.sampled_from(KINDS),
)
@settings(max_examples=200, deadline=None)
def test_ragged_batch_against_recursion(pairs, algorithm):
    found = of_words(*zip(*pairs, strict=True), algorithm)
    assert found.tolist() == [recursive(a, b, algorithm) for a, b in pairs]


def test_damerau_is_the_fewest_edits():
    # Breadth first over all words of up to five letters: what one edit reaches, for any number
    # of edits of one place (optimal string alignment gives "ca" to "abc" 3, not 2).
    words = ["".join(word) for k in range(6) for word in itertools.product("abc", repeat=k)]

    def one_edit(word):
        for i in range(len(word)):
            yield word[:i] + word[i + 1 :]
            yield word[:i] + word[i + 1 : i + 2] + word[i] + word[i + 2 :]
            yield from (word[:i] + letter + word[i + 1 :] for letter in "abc")
        if len(word) < 5:
            yield from (
                word[:i] + letter + word[i:] for i in range(len(word) + 1) for letter in "abc"
            )

    reached = {word: set(one_edit(word)) for word in words}
    small = [word for word in words if len(word) <= 3]
    others = [word for word in words if len(word) <= 4]
    for start in small:
        steps, edge, number = {start: 0}, {start}, 0
        while edge:
            number += 1
            edge = set().union(*(reached[word] for word in edge)) - steps.keys()
            steps.update(dict.fromkeys(edge, number))
        found = of_words([start] * len(others), others, "damerau")
        assert found.tolist() == [steps[word] for word in others]


def test_against_rapidfuzz():
    distances = pytest.importorskip("rapidfuzz.distance")
    rng = np.random.default_rng(0)
    words = ["".join(map(chr, rng.integers(97, 105, k))) for k in rng.integers(0, 40, 400)]
    a, b = words[::2], words[1::2]
    for algorithm, name in (("levenshtein", "Levenshtein"), ("damerau", "DamerauLevenshtein")):
        peer = getattr(distances, name).distance
        expected = [peer(x, y) for x, y in zip(a, b, strict=True)]
        assert of_words(a, b, algorithm).tolist() == expected


# --- properties and edges ------------------------------------------------------------------------


@given(st.integers(0, 2**31), st.integers(1, 7), st.integers(1, 9))
@settings(max_examples=50, deadline=None)
def test_properties(seed, grid, chunk):
    rng = np.random.default_rng(seed)
    fixations = [rng.uniform(-80, 880, (k, 2)) for k in rng.integers(1, 13, 6)]
    paths = paths_of(*fixations)
    first, second = (part.ravel() for part in np.indices((6, 6)))
    by_name = {}
    for algorithm in KINDS:
        scorer = Scorer(paths, paths, "edit_distance", grid=grid, algorithm=algorithm)
        found = scorer.pairs(first, second, chunk)[:, 0].reshape(6, 6)
        words = letters(paths, grid)
        assert found.tolist() == [[recursive(a, b, algorithm) for b in words] for a in words]
        np.testing.assert_array_equal(found, found.T)
        assert not found.diagonal().any()
        by_name[algorithm] = found
    longer = np.maximum.outer(paths.length, paths.length)
    assert (by_name["damerau"] <= by_name["levenshtein"]).all()
    assert (by_name["levenshtein"] <= longer).all()


def test_lengths_none_one_two():
    paths = paths_of([], A[:1], A[:2], B)
    for algorithm in KINDS:
        scorer = Scorer(paths, paths, "edit_distance", algorithm=algorithm)
        found = scorer.pairs([0, 1, 2, 1], [3, 3, 3, 2])[:, 0]
        assert np.isnan(found[0])
        assert found[1:].tolist() == [4, 3, 1]


def test_long_strings_do_not_overflow():
    a, b = "ab" * 300, "ba" * 310  # b holds a, behind its first letter
    assert of_words([a], [b], "levenshtein").item() == 20
    assert of_words(["a" * 5000], ["b" * 9], "levenshtein").item() == 5000


def test_points_on_and_beyond_the_border_keep_their_row():
    # 803 pixels: the references' cells are 160 wide and 801 would be the next row's first.
    rows = [(803, 0), (801, 10), (0, 600), (-5, -5), (1e9, 1e9)]
    assert cells(paths_of(rows, size=(803.0, 600.0)), 5).tolist() == [[4, 4, 20, 0, 24]]


@pytest.mark.parametrize("size", [(800, 600), (320, 240)])
def test_cells_are_the_references_where_the_grid_divides_the_frame(size):
    rng = np.random.default_rng(1)
    rows = np.round(rng.uniform(0, 1, (500, 2)) * size, 1)
    rows = rows[(rows < size).all(1)]
    expected = rows[:, 0] // (size[0] // 5) + 5 * (rows[:, 1] // (size[1] // 5))
    assert cells(paths_of(rows, size=tuple(map(float, size))), 5)[0].tolist() == expected.tolist()


@pytest.mark.parametrize(
    "given, message", [({"grid": 0}, "grid"), ({"algorithm": "hamming"}, "algorithm must be")]
)
def test_settings_are_checked(given, message):
    with pytest.raises(InvalidInput, match=message):
        get_metric("edit_distance").configured(**given)
