"""Tobii exports, after the maker's descriptions: rows of samples, units, trials, bad tables."""

import warnings

import numpy as np
import pandas as pd
import pytest

from attnsci.errors import AttnsciError, InvalidInput
from attnsci.gaze import to_frame
from attnsci.geometry import Viewing
from attnsci.scanpaths.formats.io import read_scanpaths

VIEWING = Viewing(800, 600)
# Time, participant, stimulus, type, index, duration, x, y.
ROWS = [
    (0, "P1", None, "Fixation", 1, 100, 1, 1),
    (1000, "P1", "cat", "Fixation", 2, 150, 10, 20),
    (1010, "P1", "cat", "Fixation", 2, 150, 10, 20),
    (1150, "P1", "cat", "Saccade", 1, 20, None, None),
    (1170, "P1", "cat", "Fixation", 3, 250, 30, 40),
    (1400, "P1", "cat", "EyesNotFound", 1, 50, None, None),
    (1500, "P1", "dog", "Fixation", 3, 250, 30, 40),
    (1600, "P1", "dog", "Fixation", 4, 300, 50, 60),
    (1900, "P1", "cat", "Fixation", 5, 200, 70, 80),
    (500, "P2", "dog", "Unclassified", 1, 10, None, None),
    (520, "P2", "dog", "Fixation", 1, 180, 90, 100),
]


@pytest.fixture
def tobii(tmp_path):
    def write(rows=ROWS, duration=" [ms]", position=" [MCS px]", time=" [ms]", drop=None):
        names = [f"Recording timestamp{time}", "Participant name", "Presented Stimulus name",
                 "Eye movement type", "Eye movement type index", f"Gaze event duration{duration}",
                 f"Fixation point X{position}", f"Fixation point Y{position}"]  # fmt: skip
        table = pd.DataFrame(rows, columns=names, dtype=object)
        path = tmp_path / "export.tsv"
        table.drop(columns=drop or []).to_csv(path, sep="\t", index=False, encoding="utf-8-sig")
        return path

    return write


def test_fixations_of_each_showing(tobii):
    found = read_scanpaths(tobii(), VIEWING)
    assert found.attrs["format"] == "tobii"
    frame = to_frame(found)
    assert frame[["image", "observer", "sample"]].to_numpy().tolist() == [
        ["cat", "P1", "0"], ["cat", "P1", "0"], ["dog", "P1", "0"], ["cat", "P1", "1"],
        ["dog", "P2", "0"],
    ]  # fmt: skip
    # Fixation 3 goes on into the dog's showing and belongs to the cat's.
    assert frame[["x", "y"]].to_numpy().tolist() == [
        [10, 20], [30, 40], [50, 60], [70, 80], [90, 100]
    ]  # fmt: skip
    assert frame["onset"].tolist() == [0, 0.17, 0.1, 0, 0.02]
    assert frame["duration"].tolist() == [0.15, 0.25, 0.3, 0.2, 0.18]


def test_units_in_the_names(tobii):
    small = [(t * 1000, *rest) for t, *rest in ROWS]
    one = read_scanpaths(tobii(small, time=" [μs]", duration="", position=""), VIEWING)
    assert to_frame(one).equals(to_frame(read_scanpaths(tobii(), VIEWING)))
    part = [(*row[:6], *(None if v is None else v / 200 for v in row[6:])) for row in ROWS]
    two = read_scanpaths(tobii(part, position=" (MCSnorm)"), VIEWING)
    assert to_frame(two)[["x", "y"]].to_numpy()[0].tolist() == [40, 60]
    with pytest.raises(InvalidInput, match="The unit of duration, 'weeks'"):
        read_scanpaths(tobii(duration=" [weeks]"), VIEWING)


def test_decimal_commas(tobii):
    comma = [(*row[:6], *("10,5" if v == 10 else v for v in row[6:])) for row in ROWS]
    assert to_frame(read_scanpaths(tobii(comma), VIEWING))["x"][0] == 10.5


def test_display_pixels_become_those_of_the_stimulus(tobii):
    viewing = Viewing(400, 300, offset_px=(5, 10), scale=(2, 2))
    found = to_frame(read_scanpaths(tobii(position=" [DACS px]"), viewing))
    assert found[["x", "y"]].to_numpy()[0].tolist() == [2.5, 5]
    with pytest.raises(InvalidInput, match="positions in the stimulus' pixels"):
        read_scanpaths(tobii(), viewing)


def test_fixations_without_position_are_left_out_and_counted(tobii):
    lost = [(*row[:6], None, None) if row[4] == 4 else row for row in ROWS]
    with pytest.warns(UserWarning, match="1 of 5 fixations without a position"):
        assert "50" not in to_frame(read_scanpaths(tobii(lost), VIEWING))["x"].astype(str)


def _with(number, column, value):
    rows = [list(row) for row in ROWS]
    rows[number][column] = value
    return rows


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"drop": ["Eye movement type index"]}, "no column 'Eye movement type index'"),
        ({"drop": ["Participant name"]}, "no column 'Participant name' or 'Recording name'"),
        ({"rows": _with(1, 6, 11)}, "rows of fixation 2 of 'P1' differ"),
        ({"rows": _with(1, 5, "long")}, "Gaze event duration is 'long'"),
        ({"rows": _with(1, 0, None)}, "Recording timestamp is nan"),
        ({"rows": _with(4, 4, None)}, "has no 'Eye movement type index'"),
        ({"rows": _with(7, 5, -300)}, "negative"),
        ({"rows": _with(7, 6, "inf")}, "'inf' in one row; it must be a number"),
        ({"rows": ROWS[3:4]}, "no row with a stimulus has 'Fixation'"),
        ({"rows": ROWS[:1]}, "no row with a stimulus"),
    ],
)
def test_bad_tables_end_in_our_error(tobii, changes, message):
    with pytest.raises(AttnsciError, match=message):
        read_scanpaths(tobii(**changes), VIEWING)


def test_cut_or_flipped_files_end_in_our_error_or_a_valid_set(tobii):
    path = tobii()
    raw = np.frombuffer(path.read_bytes(), np.uint8)
    rng = np.random.default_rng(0)
    failed = 0
    for turn in range(60):
        damaged = raw[: rng.integers(len(raw))].copy() if turn < 20 else raw.copy()
        damaged[rng.integers(max(len(damaged), 1), size=min(3, len(damaged)))] ^= 1 << 4
        path.write_bytes(damaged.tobytes())
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                read_scanpaths(path, VIEWING, "tobii")
        except AttnsciError:
            failed += 1
    assert failed > 10


def test_viewing_is_needed(tobii):
    with pytest.raises(InvalidInput, match="how large the images were"):
        read_scanpaths(tobii())
