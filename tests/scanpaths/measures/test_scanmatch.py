"""ScanMatch: published values, a plain implementation, time bins, masks, and the edges."""

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
from attnsci.scanpaths.measures.scanmatch import ScanMatchSettings, regions, repeats
from attnsci.scanpaths.pairs import Scorer, plain_paths

A = [(100, 100, 0.25), (400, 300, 0.20), (700, 100, 0.30), (400, 500, 0.35)]
B = [(120, 110, 0.18), (420, 310, 0.25), (100, 500, 0.22), (690, 120, 0.20), (410, 480, 0.30)]


def paths_of(*fixations, size=(800.0, 600.0)):
    """Scanpaths of (x, y, duration) rows."""
    length = np.array([len(rows) for rows in fixations])
    out = np.full((3, len(length), max(length, default=0)), np.nan)
    for i, rows in enumerate(fixations):
        if len(rows):
            out[:, i, : len(rows)] = np.array(rows, float).T
    return Paths(*out, length, *size)


def match(first, second, size=(800.0, 600.0), **given):
    paths = paths_of(first, second, size=size)
    return Scorer(paths, paths, "scanmatch", **given).pairs([0], [1])[0, 0]


def one_pair(codes_a, codes_b, matrix, gap):
    """Needleman–Wunsch node by node, with the reference's border."""
    n, m = len(codes_a), len(codes_b)
    f = np.zeros((n + 1, m + 1))
    f[:, 0] = gap * (np.arange(n + 1) + 1)
    f[0] = gap * (np.arange(m + 1) + 1)
    for i in range(1, n + 1):
        for j in range(1, m + 1):
            f[i, j] = max(
                f[i - 1, j - 1] + matrix[codes_a[i - 1], codes_b[j - 1]],
                f[i - 1, j] + gap,
                f[i, j - 1] + gap,
            )
    return f.max() / (matrix.max() * max(n, m))


def cell_distances(n_columns, n_rows):
    at = np.array([(k % n_columns, k // n_columns) for k in range(n_columns * n_rows)], float)
    return np.hypot(*(at[:, None] - at).transpose(2, 0, 1))


# --- published values ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "given, value",
    [
        ({}, 0.8),
        ({"bin_ms": 100}, 0.8181818181818182),
        ({"bin_ms": 50}, 0.782608695652174),
        ({"n_columns": 14, "bin_ms": 50}, 0.7329192546583851),
        ({"n_columns": 14}, 0.7428571428571429),
        ({"n_columns": 14, "bin_ms": 100}, 0.7662337662337663),
        ({"n_columns": 16, "n_rows": 12}, 0.6857142857142857),
        ({"n_columns": 16, "n_rows": 12, "bin_ms": 50}, 0.6583850931677019),
        ({"n_columns": 16, "n_rows": 12, "bin_ms": 100}, 0.6883116883116883),
    ],
)
def test_toy(given, value):
    assert match(A, B, **given) == pytest.approx(value, rel=0, abs=1e-12)


def test_toy_codes():
    found = regions(paths_of(A, B), ScanMatchSettings())
    assert found.tolist() == [[13, 54, 22, 78, 0], [13, 54, 73, 22, 78]]


def osie(data_root, images):
    frame = pd.read_csv(data_root / "gaze" / "osie" / "fixations.csv.gz")
    return from_frame(frame[frame["image"].isin(images)], Viewing(800, 600))


GRIDS = [
    {},
    {"bin_ms": 100},
    {"bin_ms": 50},
    {"n_columns": 14, "bin_ms": 50},
    {"n_columns": 16, "n_rows": 12},
    {"n_columns": 16, "n_rows": 12, "bin_ms": 50},
]


@pytest.mark.data
@pytest.mark.parametrize(
    "image, observers, values",
    [
        (
            "1009.jpg",
            ("1", "2"),
            [
                0.6453081839321972,
                0.6320843053894325,
                0.6528222165701724,
                0.6238976560143191,
                0.567134813146489,
                0.588426063231926,
            ],
        ),
        (
            "1420.jpg",
            ("6", "13"),
            [
                0.39694221131556684,
                0.34285714285714286,
                0.34065934065934067,
                0.31868131868131866,
                0.2918418884019217,
                0.26447256456694745,
            ],
        ),
    ],
)
def test_two_real_pairs(data_root, image, observers, values):
    scanpaths = osie(data_root, [image])
    first, second = (np.flatnonzero(scanpaths["observer"] == who) for who in observers)
    paths = plain_paths(scanpaths)
    found = [Scorer(paths, paths, "scanmatch", **grid).pairs(first, second)[0, 0] for grid in GRIDS]
    np.testing.assert_allclose(found, values, rtol=0, atol=1e-12)


@pytest.mark.data
@pytest.mark.parametrize(
    "bin_ms, mean, deviation", [(None, 0.39022310838, 0.1073), (50, 0.38584803794, 0.1112)]
)
def test_people_on_the_published_split(data_root, bin_ms, mean, deviation):
    images = (data_root / "gaze" / "osie" / "test_split_70.txt").read_text().split()
    paths = plain_paths(rescale(osie(data_root, images), 320, 240))
    a, b = np.triu_indices(15, 1)
    start = 15 * np.arange(70)[:, None]  # the table goes image by image
    scorer = Scorer(paths, paths, "scanmatch", n_columns=16, n_rows=12, bin_ms=bin_ms)
    found = scorer.pairs((start + a).ravel(), (start + b).ravel())
    assert found.mean() == pytest.approx(mean, rel=0, abs=1e-11)
    assert found.std() == pytest.approx(deviation, rel=0, abs=6e-5)


# --- against the definition ----------------------------------------------------------------------


@given(
    st.integers(0, 2**31),
    st.sampled_from([0.0, -0.3, -2.0]),
    st.sampled_from([None, 100, 75.0]),
    st.sampled_from(["half-even", "half-up"]),
    st.integers(1, 9),
)
@settings(max_examples=80, deadline=None)
def test_ragged_batch_is_one_by_one(seed, gap, bin_ms, rounding, chunk):
    rng = np.random.default_rng(seed)
    fixations = [
        np.column_stack([rng.uniform(-80, 880, (k, 2)), rng.integers(0, 12, k) * 0.05])
        for k in rng.integers(1, 13, 6)
    ]
    sequences = []
    for rows in fixations:
        letters = []
        for x, y, seconds in rows:
            x, y = min(max(int(x), 0), 799), min(max(int(y), 0), 599)
            times = 1
            if bin_ms:
                bins = round(seconds * 1000) / bin_ms
                times = round(bins) if rounding == "half-even" else int(bins + 0.5)
            letters += [x * 10 // 800 + 10 * (y * 7 // 600)] * times
        sequences.append(letters)
    matrix = 2.5 - cell_distances(10, 7)
    paths = paths_of(*fixations)
    first, second = rng.integers(0, 6, (2, 25))
    scorer = Scorer(
        paths, paths, "scanmatch",
        n_columns=10, n_rows=7, threshold=2.5, gap=gap, bin_ms=bin_ms, rounding=rounding,
    )  # fmt: skip
    expected = [
        one_pair(sequences[i], sequences[j], matrix, gap)
        if sequences[i] and sequences[j]
        else np.nan
        for i, j in zip(first, second, strict=True)
    ]
    found = scorer.pairs(first, second, chunk)[:, 0]
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-12)


@given(st.integers(0, 2**31), st.sampled_from([0.0, -0.5]), st.sampled_from([None, 50]))
@settings(max_examples=40, deadline=None)
def test_properties(seed, gap, bin_ms):
    rng = np.random.default_rng(seed)
    low, high = [0, 0, 0.1], [800, 600, 0.6]
    one, two = (rng.uniform(low, high, (k, 3)) for k in rng.integers(1, 12, 2))
    given_ = {"gap": gap, "bin_ms": bin_ms}
    found = match(one, two, **given_)
    assert match(two, one, **given_) == pytest.approx(found, rel=0, abs=1e-12)
    assert found <= 1 + 1e-12
    if gap == 0:
        assert match(one, one, **given_) == pytest.approx(1, rel=0, abs=1e-12)
        assert found >= 0


def test_the_border_starts_with_a_gap():
    # One fixation each, in one cell: 3.5 - .5 over 3.5, since F[0, 0] is the gap.
    assert match(A[:1], B[:1], gap=-0.5) == pytest.approx(3 / 3.5, rel=0, abs=1e-15)
    # Nothing matches: the maximum is F[0, 0] itself.
    assert match([(0, 0, 0.1)], [(799, 599, 0.1)], gap=-0.5) == pytest.approx(-0.5 / 3.5)


# --- time ----------------------------------------------------------------------------------------


def test_half_a_bin():
    durations = np.array([0.25, 0.35, 0.05, 0.15, 0.249, 0.251])
    even = repeats(durations, ScanMatchSettings(bin_ms=100))
    assert even.tolist() == [2, 4, 0, 2, 2, 3]
    up = repeats(durations, ScanMatchSettings(bin_ms=100, rounding="half-up"))
    assert up.tolist() == [3, 4, 1, 2, 2, 3]


def test_milliseconds_of_seconds():
    milliseconds = np.arange(1, 5000)
    for seconds in (milliseconds / 1000, milliseconds * 1e-3):
        found = repeats(seconds, ScanMatchSettings(bin_ms=1))
        np.testing.assert_array_equal(found, milliseconds)
    assert int(1.001 * 1000) == 1000  # what this guards against
    assert repeats(np.array([0.2999]), ScanMatchSettings(bin_ms=1)).item() == 299


def test_scanpaths_that_vanish_have_no_value():
    short = [(x, y, 0.02) for x, y, _ in A]
    still = [(x, y, 0.0) for x, y, _ in A]
    paths = paths_of(A, short, still)
    found = Scorer(paths, paths, "scanmatch", bin_ms=50).pairs([0, 0, 0, 1, 2], [0, 1, 2, 2, 2])
    assert np.isnan(found[:, 0]).tolist() == [False, True, True, True, True]


def test_time_needs_durations():
    paths = paths_of([(x, y, np.nan) for x, y, _ in A], B, [])
    with pytest.raises(InvalidInput, match="1 of 3 scanpaths have no durations"):
        Scorer(paths, paths, "scanmatch", bin_ms=50)
    assert Scorer(paths, paths, "scanmatch").pairs([0], [1])[0, 0] == pytest.approx(0.8)


# --- edges, matrices, masks ----------------------------------------------------------------------


def test_lengths_none_one_two():
    paths = paths_of([], A[:1], A[:2], B)
    found = Scorer(paths, paths, "scanmatch").pairs([0, 1, 2, 1], [3, 3, 3, 2])[:, 0]
    assert np.isnan(found[0])
    np.testing.assert_allclose(found[1:], [0.2, 0.4, 0.5], atol=1e-15)


def test_points_on_and_beyond_the_border():
    rows = [(800, 600, 0.1), (0, 0, 0.1), (-50, 900, 0.1), (1e9, -1e9, 0.1), (799.99, 599.99, 0.1)]
    assert regions(paths_of(rows), ScanMatchSettings()).tolist() == [[95, 0, 84, 11, 95]]


@pytest.mark.parametrize("grid", [(12, 8), (14, 8), (16, 12), (7, 5)])
@pytest.mark.parametrize("size", [(800, 600), (320, 240)])
def test_integer_arithmetic_on_every_column(grid, size):
    x = np.arange(size[0])
    rows = np.column_stack([x + 0.5, np.full(len(x), size[1] - 1), np.full(len(x), 0.1)])
    settings_ = ScanMatchSettings(n_columns=grid[0], n_rows=grid[1])
    found = regions(paths_of(rows, size=tuple(map(float, size))), settings_)[0]
    expected = [grid[0] * (grid[1] - 1) + int(k) * grid[0] // size[0] for k in x]
    assert found.tolist() == expected


def test_substitution_of_our_own():
    rng = np.random.default_rng(3)
    matrix = rng.normal(size=(96, 96))
    matrix += matrix.T
    codes = [[13, 54, 22, 78], [13, 54, 73, 22, 78]]
    found = match(A, B, substitution=matrix, gap=-0.2)
    assert found == pytest.approx(one_pair(*codes, matrix, -0.2), rel=0, abs=1e-12)
    same = match(A, B, substitution=3.5 - cell_distances(12, 8))
    assert same == pytest.approx(0.8, rel=0, abs=1e-12)


def test_semantic():
    mask = np.zeros((600, 800), np.uint16)
    mask[:, 400:] = 7000
    mask[300:, :400] = 3
    # A 0 7000 7000 7000, B 0 7000 3 7000 7000: four of five match in order.
    assert match(A, B, mask=mask) == pytest.approx(4 / 5)
    matrix = np.eye(8)
    mask[mask == 7000] = 1
    matrix[1, 3] = matrix[3, 1] = 0.5
    shorter = [A[0], (100, 500, 0.1), A[2], A[3]]  # 0 3 1 1 against 0 1 3 1 1
    assert match(shorter, B, mask=mask, substitution=matrix) == pytest.approx(4 / 5)
    assert match(shorter, A, mask=mask, substitution=matrix) == pytest.approx(3.5 / 4)


def test_mask_must_fit_the_frame():
    with pytest.raises(InvalidInput, match="The mask is 600×800 pixels"):
        match(A, B, mask=np.zeros((800, 600), int))


@pytest.mark.parametrize(
    "given, message",
    [
        ({"n_columns": 0}, "n_columns"),
        ({"n_rows": 2.5}, "n_rows"),
        ({"threshold": -1}, "threshold"),
        ({"gap": 0.1}, "gap must be 0 or below"),
        ({"gap": np.nan}, "gap must be 0 or below"),
        ({"bin_ms": 0}, "bin_ms"),
        ({"rounding": "up"}, "rounding must be one of"),
        ({"substitution": np.ones((3, 4))}, r"\(K, K\)"),
        ({"substitution": np.full((96, 96), np.nan)}, "NaN"),
        ({"substitution": -np.ones((96, 96))}, "maximum above 0"),
        ({"substitution": np.triu(np.ones((96, 96)))}, "symmetric"),
        ({"substitution": np.ones((95, 95))}, "95 regions; there are 96"),
        ({"mask": np.zeros((3, 4))}, "whole numbers"),
        ({"mask": np.full((3, 4), -1)}, "whole numbers"),
        ({"mask": np.full((3, 4), 2), "substitution": np.eye(2)}, "2 regions; there are 3"),
    ],
)
def test_settings_are_checked(given, message):
    with pytest.raises(InvalidInput, match=message):
        get_metric("scanmatch").configured(**given)


def test_settings_hash_and_print():
    one, same, other = (
        ScanMatchSettings(mask=np.full((600, 800), k), substitution=np.eye(3)) for k in (1, 1, 2)
    )
    assert one == same
    assert hash(one) == hash(same)
    assert one != other
    assert "array(600, 800)" in repr(one)
    assert len(repr(one)) < 250
