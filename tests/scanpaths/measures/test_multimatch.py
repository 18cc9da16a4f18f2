"""MultiMatch: published values, a plain implementation, properties, and what is not defined."""

import dataclasses

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
from attnsci.scanpaths.pairs import Scorer, plain_paths

A = [(100, 100, 0.25), (400, 300, 0.20), (700, 100, 0.30), (400, 500, 0.35)]
B = [(120, 110, 0.18), (420, 310, 0.25), (100, 500, 0.22), (690, 120, 0.20), (410, 480, 0.30)]
TOY = [0.903489419283121, 0.9946920203739866, 0.9722347081337431, 0.8085420963393016]
TOY = [*TOY, 0.8145454545454546]


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
    return Scorer(paths, paths, "multimatch", **given).pairs([0], [1])[0]


def one_pair(first, second, diagonal):
    """The definition, node by node; no simplification."""
    a, b = np.array(first, float), np.array(second, float)
    u, v = np.diff(a[:, :2], axis=0), np.diff(b[:, :2], axis=0)
    cost = np.hypot(*(u[:, None] - v).transpose(2, 0, 1))
    n, m = cost.shape
    total = np.full((n + 1, m + 1), np.inf)
    for i in range(1, n + 1):
        for j in range(1, m + 1):
            entered = min(total[i - 1, j - 1], total[i - 1, j], total[i, j - 1])
            total[i, j] = 0.0 if i == j == 1 else cost[i - 1, j - 1] + entered
    nodes, (i, j) = [(n, m)], (n, m)
    while (i, j) != (1, 1):
        before = [(i - 1, j - 1), (i - 1, j), (i, j - 1)]
        i, j = min(before, key=lambda node: total[node])  # the first of equals
        nodes.append((i, j))
    rows = []
    for i, j in nodes:
        p, q, d, e = u[i - 1], v[j - 1], a[i - 1], b[j - 1]
        turn = abs(np.arctan2(p[1], p[0]) - np.arctan2(q[1], q[0]))
        longer = max(d[2], e[2])
        rows.append([
            np.hypot(*(p - q)) / (2 * diagonal),
            min(turn, 2 * np.pi - turn) / np.pi,
            abs(np.hypot(*p) - np.hypot(*q)) / diagonal,
            np.hypot(*(d - e)[:2]) / diagonal,
            abs(d[2] - e[2]) / longer if longer else 0.0,
        ])  # fmt: skip
    return 1 - np.median(rows, 0)


def random_paths(seed, n, longest=14):
    rng = np.random.default_rng(seed)
    lengths = rng.integers(3, longest, n)
    return [rng.uniform([0, 0, 0.05], [800, 600, 0.6], (k, 3)) for k in lengths]


# --- published values ----------------------------------------------------------------------------


@pytest.mark.parametrize("grouping", [False, True])
def test_toy(grouping):
    np.testing.assert_allclose(match(A, B, grouping=grouping, amplitude_px=100), TOY, atol=1e-12)


@pytest.mark.data
@pytest.mark.parametrize(
    "given, matlab, full",
    [
        (
            {},
            [0.99082, 0.69902, 0.98927, 0.94767, 0.65563],
            [
                0.9908214704635666,
                0.6990173580895535,
                0.9892706868408663,
                0.9476688640825708,
                0.6556329849012776,
            ],
        ),
        (
            {"grouping": True, "amplitude_px": 146.8},
            [0.95076, 0.95638, 0.94082, 0.94491, 0.78261],
            [
                0.9507584768136468,
                0.9563754867442382,
                0.9408236735529101,
                0.9449116403049861,
                0.7826086956521738,
            ],
        ),
        (
            {"grouping": True, "direction_deg": 30, "amplitude_px": 100},
            None,
            [
                0.9658740645610326,
                0.9371183742957166,
                0.9690786985196725,
                0.9539553641119263,
                0.521505376344086,
            ],
        ),
    ],
)
def test_matlab_fixture(data_root, given, matlab, full):
    folder = data_root / "gaze" / "multimatch_fixture"
    rows = [
        pd.read_csv(folder / f"segment_10_{who}.tsv", sep="\t").to_numpy()
        for who in ("sub-19", "sub-01")
    ]
    found = match(*rows, size=(1280.0, 720.0), **given)
    np.testing.assert_allclose(found, full, rtol=0, atol=1e-12)
    if matlab:
        np.testing.assert_allclose(found, matlab, rtol=0, atol=1e-5)


def osie(data_root, images):
    frame = pd.read_csv(data_root / "gaze" / "osie" / "fixations.csv.gz")
    return from_frame(frame[frame["image"].isin(images)], Viewing(800, 600))


@pytest.mark.data
@pytest.mark.parametrize(
    "image, observers, plain, grouped",
    [
        (
            "1009.jpg",
            ("1", "2"),
            [
                0.9745829781445583,
                0.7808912040134678,
                0.9823133862645859,
                0.9367536562321583,
                0.6045627376425855,
            ],
            [
                0.8759206614686742,
                0.49939948806403034,
                0.9671082669967558,
                0.8705182768340414,
                0.5512820512820513,
            ],
        ),
        (
            "1420.jpg",
            ("6", "13"),
            [
                0.9027700534814505,
                0.6517575062443162,
                0.8821263935969004,
                0.78136491589866,
                0.48684210526315785,
            ],
            [
                0.8987251018267607,
                0.6576535917150852,
                0.8792796967473896,
                0.7047881946804972,
                0.547703180212014,
            ],
        ),
    ],
)
def test_two_real_pairs(data_root, image, observers, plain, grouped):
    scanpaths = osie(data_root, [image])
    first, second = (np.flatnonzero(scanpaths["observer"] == who) for who in observers)
    paths = plain_paths(scanpaths)
    found = Scorer(paths, paths, "multimatch").pairs(first, second)
    np.testing.assert_allclose(found[0], plain, rtol=0, atol=1e-12)
    scorer = Scorer(paths, paths, "multimatch", grouping=True, amplitude_px=100)
    np.testing.assert_allclose(scorer.pairs(first, second)[0], grouped, rtol=0, atol=1e-12)
    default = Scorer(paths, paths, "multimatch", grouping=True)  # .1 of the diagonal is 100 px
    np.testing.assert_array_equal(default.pairs(first, second), scorer.pairs(first, second))


@pytest.mark.data
def test_people_on_the_published_split(data_root):
    images = (data_root / "gaze" / "osie" / "test_split_70.txt").read_text().split()
    paths = plain_paths(rescale(osie(data_root, images), 320, 240))
    a, b = np.triu_indices(15, 1)
    start = 15 * np.arange(70)[:, None]  # the table goes image by image
    found = Scorer(paths, paths, "multimatch").pairs((start + a).ravel(), (start + b).ravel())
    mean = [0.94143849, 0.69464744, 0.93063038, 0.85064724, 0.62109683]
    np.testing.assert_allclose(found.mean(0), mean, rtol=0, atol=1e-8)
    deviation = [0.0270, 0.1435, 0.0393, 0.0942, 0.1283]
    np.testing.assert_allclose(found.std(0), deviation, rtol=0, atol=6e-5)


# --- against the definition ----------------------------------------------------------------------


@given(st.integers(0, 2**31), st.integers(1, 9))
@settings(max_examples=40, deadline=None)
def test_ragged_batch_is_one_by_one(seed, chunk):
    fixations = random_paths(seed, 7)
    paths = paths_of(*fixations)
    first, second = np.random.default_rng(seed).integers(0, 7, (2, 30))
    found = Scorer(paths, paths, "multimatch").pairs(first, second, chunk)
    expected = [
        one_pair(fixations[i], fixations[j], 1000.0) for i, j in zip(first, second, strict=True)
    ]
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-12)


@given(st.integers(0, 2**31))
@settings(max_examples=60, deadline=None)
def test_ties_on_a_grid_follow_the_rule(seed):
    # Integer coordinates a few units apart: most alignments meet equal costs.
    rng = np.random.default_rng(seed)
    fixations = [
        np.column_stack([rng.integers(0, 4, (k, 2)), rng.integers(0, 3, k) / 10])
        for k in rng.integers(3, 12, 6)
    ]
    paths = paths_of(*fixations, size=(4.0, 3.0))
    first, second = (part.ravel() for part in np.indices((6, 6)))
    found = Scorer(paths, paths, "multimatch").pairs(first, second)
    expected = [
        one_pair(fixations[i], fixations[j], 5.0) for i, j in zip(first, second, strict=True)
    ]
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-12)


def test_the_diagonal_wins_a_tie():
    # A: right, right; B: right, right and up. The last node costs 1 whether it is entered from
    # the first or by way of A's step, which is free. The diagonal's nodes differ by 0 and 1
    # pixels, median .5; the detour's by 0, 0 and 1, median 0.
    a = [(0, 0, 0.1), (1, 0, 0.1), (2, 0, 0.1)]
    b = [(0, 0, 0.1), (1, 0, 0.1), (2, 1, 0.1)]
    assert match(a, b, size=(4.0, 3.0))[0] == 1 - 0.5 / 10


@given(st.integers(0, 2**31), st.booleans())
@settings(max_examples=30, deadline=None)
def test_properties(seed, grouping):
    one, two = random_paths(seed, 2)
    found = match(one, two, grouping=grouping)
    np.testing.assert_array_equal(match(one, one, grouping=grouping), 1.0)
    np.testing.assert_allclose(match(two, one, grouping=grouping), found, rtol=0, atol=1e-12)
    shift, but_position = np.array([13.0, -7.0, 0.0]), [0, 1, 2, 4]
    moved = match(one, two + shift, grouping=grouping)
    np.testing.assert_allclose(moved[but_position], found[but_position], rtol=0, atol=1e-12)
    scale = np.array([4.0, 4.0, 1.0])
    big = match(one * scale, two * scale, size=(3200.0, 2400.0), grouping=grouping)
    np.testing.assert_allclose(big, found, rtol=0, atol=1e-12)
    assert ((found >= 0) & (found <= 1)).all()


# --- edges ---------------------------------------------------------------------------------------


def test_short_scanpaths_have_no_value():
    paths = paths_of([], A[:1], A[:2], A[:3], B)
    scorer = Scorer(paths, paths, "multimatch")
    found = scorer.pairs([0, 1, 2, 3, 4, 4], [4, 4, 4, 4, 2, 4])
    assert np.isnan(found).all(1).tolist() == [True, True, True, False, True, False]
    assert not np.isnan(found[[3, 5]]).any()


def test_no_durations_leave_the_fifth_value_open():
    bare = [(x, y, np.nan) for x, y, _ in A]
    paths = paths_of(bare, A, B)
    found = Scorer(paths, paths, "multimatch").pairs([0, 1, 2, 0], [2, 2, 0, 0])
    np.testing.assert_allclose(found[:, :4], [TOY[:4]] * 3 + [[1, 1, 1, 1]], atol=1e-12)
    assert np.isnan(found[:, 4]).tolist() == [True, False, True, True]


def test_grouping_needs_durations():
    paths = paths_of([(x, y, np.nan) for x, y, _ in A], B)
    with pytest.raises(InvalidInput, match="1 of 2 scanpaths have none"):
        Scorer(paths, paths, "multimatch", grouping=True)


def test_zero_durations_do_not_differ():
    still = [(x, y, 0.0) for x, y, _ in A]
    assert match(still, still)[4] == 1
    assert match(still, A)[4] == 0


def test_zero_length_saccades_point_to_the_right():
    stay, right = [(5, 5, 0.1)] * 4, [(5 + k, 5, 0.1) for k in range(4)]
    found = match(stay, right)
    assert found[1] == 1
    assert found[2] == pytest.approx(1 - 1 / 1000)


@given(
    st.lists(
        st.lists(
            st.tuples(
                st.integers(0, 8).map(float),
                st.integers(0, 6).map(float),
                st.sampled_from([0.0, 0.1, 0.4]),
            ),
            max_size=9,
        ),
        min_size=2,
        max_size=5,
    )
)
@settings(max_examples=100, deadline=None)
def test_grouping_never_fails(fixations):
    paths = paths_of(*fixations, size=(8.0, 6.0))
    first, second = (part.ravel() for part in np.indices((len(fixations),) * 2))
    found = Scorer(paths, paths, "multimatch", grouping=True, amplitude_px=2).pairs(first, second)
    defined = np.minimum(paths.length[first], paths.length[second]) >= 3
    assert (np.isnan(found).any(1) == ~defined).all()


def test_the_last_duration_never_counts():
    longer = [*A[:-1], (400, 500, 9.0)]
    np.testing.assert_array_equal(match(longer, B), match(A, B))


@pytest.mark.parametrize("name", ["direction_deg", "amplitude_px", "duration_s"])
def test_settings_are_checked(name):
    metric = get_metric("multimatch")
    with pytest.raises(InvalidInput, match=name):
        metric.configured(**{name: 0})
    assert hash(metric.configured(**{name: 1.0})) != hash(metric.configured())
    assert dataclasses.is_dataclass(metric.settings)
