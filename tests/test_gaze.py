"""The scanpath container: built, checked, and taken apart again."""

import json

import numpy as np
import pandas as pd
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from attnsci.errors import InvalidInput
from attnsci.gaze import (
    frame_sizes,
    from_arrays,
    from_dict,
    from_frame,
    look_alikes,
    to_frame,
    validate,
    viewing_of,
)
from attnsci.geometry import Viewing

VIEWING = Viewing(80, 60, px_per_deg=4)
NAMES = {"image": ["a", "b"], "observer": ["s", "s"], "viewing": VIEWING}


def table(**changes):
    rows = {"image": ["a", "a", "b"], "observer": [1, 1, 2], "fixation": [0, 1, 0],
            "x": [1.0, 2, 3], "y": [4.0, 5, 6], "duration": [0.2, 0.3, 0.1]}  # fmt: skip
    return pd.DataFrame({**rows, **changes})


def test_a_table_becomes_a_padded_set():
    paths = from_frame(table(), VIEWING)
    np.testing.assert_array_equal(paths["x"], [[1, 2], [3, np.nan]])
    np.testing.assert_array_equal(paths["duration"], [[0.2, 0.3], [0.1, np.nan]])
    assert paths["n_fixations"].to_numpy().tolist() == [2, 1]
    assert paths["observer"].to_numpy().tolist() == ["1", "2"]
    assert viewing_of(paths) == VIEWING and json.loads(paths.attrs["steps"]) == []


def test_rows_in_any_order_and_counted_from_any_number():
    shuffled = table(fixation=[5, 6, 5]).iloc[[2, 1, 0]]
    paths = from_frame(shuffled, VIEWING)
    assert paths["image"].to_numpy().tolist() == ["b", "a"]  # as the table first names them
    np.testing.assert_array_equal(paths["x"], [[3, np.nan], [1, 2]])


def test_milliseconds_are_rounded_to_the_nearest_double():
    frame = (
        table().drop(columns="duration").assign(duration_ms=[246, 136, 179], onset_ms=[0, 300, 5])
    )
    paths = from_frame(frame, VIEWING)
    assert paths["duration"].to_numpy()[0].tolist() == [0.246, 0.136]
    assert paths["onset"].to_numpy()[0].tolist() == [0, 0.3]
    again = from_frame(table(duration=[246, 136, 179]), VIEWING, duration_unit="ms")
    np.testing.assert_array_equal(again["duration"], paths["duration"])


def test_seconds_are_kept_to_the_last_bit():
    odd = [0.1 + 0.2, 1 / 3, 0.2]
    kept = from_frame(table(duration=odd), VIEWING)["duration"].to_numpy()
    assert kept[0].tolist() == odd[:2]


def test_task_and_sample_tell_scanpaths_apart():
    frame = table(image="a", observer=1, fixation=0, sample=[0, 1, 2])
    paths = from_frame(frame, VIEWING)
    assert paths.sizes["scanpath"] == 3
    assert paths["sample"].to_numpy().tolist() == ["0", "1", "2"]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"fixation": [0, 0, 0]}, r"Row 1 .*fixation 0 of observer '1' on image 'a' comes twice"),
        (
            {"fixation": [0, 2, 0]},
            r"Row 1 .*fixation 2 of observer '1' on image 'a' does not follow",
        ),
        ({"fixation": [0, 1, 1]}, r"Row 2 .*observer '2' on image 'b' is its first, .*begin at 0"),
        ({"x": [1, "left", 3]}, r"Row 1 .* x = 'left', which is no finite number; 1 such rows"),
        ({"y": [1, 2, np.inf]}, r"Row 2 .* y = inf"),
        ({"duration": [0.1, "long", 1]}, r"Row 1 .* duration = 'long'"),
        ({"image": ["a", None, "b"]}, r"Row 1 has no image; 1 in all"),
        ({"duration": [0.1, np.nan, 1]}, r"Fixation 1 of observer '1' on image 'a' lacks its dur"),
        ({"duration": [0.1, 0.1, -1]}, r"Fixation 0 of observer '2' on image 'b' has a negative"),
        ({"onset": [0.5, 0.2, 0]}, r"Fixation 1 of observer '1' on image 'a' begins before"),
        ({"duration_ms": 5}, "both duration and duration_ms"),
    ],
)
def test_errors_of_tables_name_the_row_or_the_fixation(changes, message):
    with pytest.raises(InvalidInput, match=message):
        from_frame(table(**changes), VIEWING)


def test_tables_of_other_shapes():
    with pytest.raises(InvalidInput, match=r"lacks the column\(s\) x, y"):
        from_frame(table().drop(columns=["x", "y"]), VIEWING)
    with pytest.raises(InvalidInput, match="no rows"):
        from_frame(table().iloc[:0], VIEWING)
    with pytest.raises(InvalidInput, match=r"duration_unit must be one of 's', 'ms'; got 'us'"):
        from_frame(table(), VIEWING, duration_unit="us")
    doubled = pd.concat([table(), table()[["x"]]], axis=1)
    with pytest.raises(InvalidInput, match="Two columns are called 'x'"):
        from_frame(doubled, VIEWING)


def test_zero_durations_and_points_on_and_beyond_the_border_are_kept():
    paths = from_frame(table(duration=0, x=[80, -3, 1e6], y=60), VIEWING)
    assert np.nanmax(paths["x"]) == 1e6 and np.nanmin(paths["x"]) == -3
    assert np.nansum(paths["duration"]) == 0


def test_arrays_of_any_kind_become_the_same_set():
    ragged = from_arrays([[1, 2], [3]], [[4, 5], [6]], [[0.1, 0.2], [0.3]], **NAMES)
    nan = np.nan
    square = from_arrays(
        np.array([[1, 2], [3, nan]]), np.array([[4, 5], [6, nan]]),
        np.array([[0.1, 0.2], [0.3, nan]]), **NAMES,
    )  # fmt: skip
    zeros = from_arrays(
        np.array([[1, 2], [3, 0]]), np.array([[4, 5], [6, 0]]),
        np.array([[0.1, 0.2], [0.3, 0]]), n_fixations=[2, 1], **NAMES,
    )  # fmt: skip
    assert ragged.identical(square) and ragged.identical(zeros)


def test_empty_scanpaths_are_rows_without_fixations():
    paths = from_arrays([[], [3]], [[], [6]], **NAMES)
    assert paths["n_fixations"].to_numpy().tolist() == [0, 1]
    nothing = from_arrays([[], []], [[], []], **NAMES)
    assert dict(nothing.sizes) == {"scanpath": 2, "fixation": 0}


def test_one_name_serves_all_scanpaths():
    paths = from_arrays([[1], [2]], [[1], [2]], image=np.array([7, 8]), observer=np.int64(3),
                        viewing=VIEWING, task="mug")  # fmt: skip
    assert paths["image"].to_numpy().tolist() == ["7", "8"]
    assert paths["observer"].to_numpy().tolist() == ["3", "3"]
    assert paths["task"].to_numpy().tolist() == ["mug", "mug"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"y": [[1], [2]]}, r"x is \(2, 2\) and y \(2, 1\)"),
        ({"duration": [[1], [2]]}, r"x is \(2, 2\) and duration \(2, 1\)"),
        ({"x": np.ones(3)}, r"x must be \(scanpaths, fixations\); got \(3,\)"),
        ({"x": [["a", 1], [2, 3]]}, "x of scanpath 0 is no array of numbers"),
        ({"x": np.array([["a", "b"]])}, "x is no array of numbers"),
        ({"image": ["a"]}, r"image has \(1,\) values for 2 scanpaths"),
        ({"n_fixations": [1]}, "n_fixations must be 2 whole numbers"),
        ({"n_fixations": [1.5, 2]}, "n_fixations must be 2 whole numbers"),
        ({"n_fixations": [3, 2]}, "n_fixations is 3 under observer 's' on image 'a'.*0 to 2"),
        ({"n_fixations": [2, -1]}, "n_fixations is -1 under observer 's' on image 'b'"),
        ({"x": [[1, np.nan], [1, 2]]}, "Fixation 1 of observer 's' on image 'a' has no finite"),
        ({"x": np.array([[np.nan, 2], [1, 2]])}, "Fixation 0 of observer 's' on image 'a' has no"),
        ({"image": ["a", "a"]}, "Two scanpaths are of observer 's' on image 'a'.*'sample'"),
    ],
)
def test_errors_of_arrays(arguments, message):
    good = {"x": [[1, 2], [3, 4]], "y": [[1, 2], [3, 4]], **NAMES}
    with pytest.raises(InvalidInput, match=message):
        from_arrays(**{**good, **arguments})


def test_dictionaries():
    paths = from_dict({"a": [[1, 2], [3, 4]], "b": np.zeros((0, 2))}, VIEWING)
    assert paths["observer"].to_numpy().tolist() == ["model", "model"]
    assert paths["n_fixations"].to_numpy().tolist() == [2, 0]
    assert np.isnan(paths["duration"].to_numpy()).all()
    by_observer = from_dict({"a": {"s": [[1, 2, 0.3]], "t": [[5, 6, 0.1]]}}, VIEWING)
    assert by_observer["observer"].to_numpy().tolist() == ["s", "t"]
    assert by_observer["duration"].to_numpy().tolist() == [[0.3], [0.1]]


@pytest.mark.parametrize(
    ("paths", "message"),
    [
        ({}, "no scanpaths in the mapping"),
        ({"a": {"s": [[1, 2, 3, 4]]}}, r"observer 's' on image 'a' has shape \(1, 4\)"),
        ({"a": [1, 2]}, r"observer 'model' on image 'a' has shape \(2,\)"),
        ({"a": [["x", 2]]}, "observer 'model' on image 'a' is no array of numbers"),
        ({"a": [[1], [2, 3]]}, "observer 'model' on image 'a' is no array of numbers"),
    ],
)
def test_errors_of_dictionaries(paths, message):
    with pytest.raises(InvalidInput, match=message):
        from_dict(paths, VIEWING)


def test_validate_says_what_is_missing():
    paths = from_frame(table(), VIEWING)
    with pytest.raises(InvalidInput, match="need y of dims"):
        validate(paths.drop_vars("y"))
    with pytest.raises(InvalidInput, match="need the coordinate observer"):
        validate(paths.drop_vars("observer"))
    with pytest.raises(InvalidInput, match="carry no Viewing"):
        validate(paths.drop_attrs())
    late = paths["duration"].to_numpy().copy()
    late[1, 1] = 0.2
    with pytest.raises(InvalidInput, match="Fixation 1 of observer '2' on image 'b' stands after"):
        validate(paths.assign(duration=(paths["x"].dims, late)))


def test_frames_are_the_viewing_s_or_the_scanpath_s_own():
    paths = from_frame(table(), VIEWING)
    assert [side.tolist() for side in frame_sizes(paths)] == [[80, 80], [60, 60]]
    own = paths.assign_coords(width_px=("scanpath", [8, 9]), height_px=("scanpath", [6, 7]))
    assert [side.tolist() for side in frame_sizes(own)] == [[8, 9], [6, 7]]


NUMBER = st.floats(-1e6, 1e6)
TEXT = st.text(min_size=1, max_size=5)


@st.composite
def tables(draw):
    keys = draw(st.lists(st.tuples(TEXT, TEXT, TEXT), min_size=1, max_size=4, unique=True))
    lengths = [draw(st.integers(1, 4)) for _ in keys]
    n = sum(lengths)
    rows = np.repeat(np.arange(len(keys)), lengths)
    columns = {
        "image": [keys[row][0] for row in rows],
        "observer": [keys[row][1] for row in rows],
        "task": [keys[row][2] for row in rows],
        "fixation": np.concatenate([np.arange(length) for length in lengths]),
        "x": draw(st.lists(NUMBER, min_size=n, max_size=n)),
        "y": draw(st.lists(NUMBER, min_size=n, max_size=n)),
        "duration": draw(st.lists(st.floats(0, 86_400), min_size=n, max_size=n)),
    }
    return pd.DataFrame(columns)


@settings(deadline=None)
@given(frame=tables())
def test_tables_there_and_back(frame):
    # NumPy's texts end at their last character that is not NUL.
    for key in ("image", "observer", "task"):
        frame[key] = frame[key].str.replace("\0", "-") + "."
    assume(not look_alikes(frame["image"]) and not look_alikes(frame["observer"]))
    paths = from_frame(frame, VIEWING)
    back = to_frame(paths)
    pd.testing.assert_frame_equal(back.astype({"image": object, "observer": object,
                                               "task": object}),
                                  frame.astype({"image": object, "observer": object,
                                                "task": object}),
                                  check_exact=True)  # fmt: skip
    assert from_frame(back, VIEWING).identical(paths)
