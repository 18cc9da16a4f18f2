"""Tables that are wrong end in an error that says where, never in a set that looks right."""

import numpy as np
import pandas as pd
import pytest

from attnsci.errors import InvalidInput
from attnsci.gaze import as_text, from_frame
from attnsci.geometry import Viewing

VIEWING = Viewing(80, 60)
GOOD = {
    "image": ["a", "a", "b"],
    "observer": [1, 1, 1],
    "fixation": [0, 1, 0],
    "x": [1.0, 2, 3],
    "y": [1.0, 2, 3],
    "duration": [0.2, 0.3, 0.1],
}
SIDES = {"width_px": [80, 80, 40], "height_px": [60, 60, 30]}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"onset": [0, np.inf, 0]}, "has an infinite onset"),
        ({"onset": [0, np.nan, 0]}, "lacks its onset, which others"),
        ({**SIDES, "width_px": [80, 90, 40]}, r"Row 1 .* has another width_px"),
        ({**SIDES, "height_px": [60, 60, 0]}, "height_px is 0.0 under observer '1' on image 'b'"),
        ({**SIDES, "height_px": [60, 60, np.nan]}, "Row 2 .* no finite number"),
        ({"width_px": [80, 80, 40]}, "width_px alone; both sides"),
        ({"duration": pd.to_timedelta([200, 300, 100], unit="ms")}, "duration holds timedelta64"),
        ({"onset": pd.to_datetime(["2020-01-01"] * 3)}, "onset holds datetime64"),
        ({"x": [1 + 2j, 2, 3]}, "x holds complex128"),
        ({"x": [True, False, True]}, "x holds bool"),
        ({"x": ["1.5", "2,5", "3"]}, "Row 1 .* x = '2,5'"),
        ({"duration": [0.2, -0.3, 0.1]}, "negative or infinite duration"),
    ],
)
def test_bad_columns(changes, message):
    with pytest.raises(InvalidInput, match=message):
        from_frame(pd.DataFrame({**GOOD, **changes}), VIEWING)


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"durations": "dur"}, "'duration_ms', .*; got 'durations'"),
        ({"image": "stimulus", "sample": "stimulus"}, "one column for two names"),
        ({"x": "X"}, "No column is called 'X'"),
        ({"x": "y"}, "lacks the column.s. y"),
    ],
)
def test_bad_mappings(columns, message):
    table = pd.DataFrame({**GOOD, "stimulus": GOOD["image"]}).drop(columns="x")
    with pytest.raises(InvalidInput, match=message):
        from_frame(table.assign(x=1.0) if "x" not in columns else table, VIEWING, columns=columns)


@pytest.mark.parametrize(
    "table", [[1, 2], None, pd.Series([1.0]), pd.concat({"deep": pd.DataFrame(GOOD)}, axis=1)]
)
def test_other_things_are_no_tables(table):
    with pytest.raises(InvalidInput, match="A pandas table with one row of names"):
        from_frame(table, VIEWING)


def test_sides_of_each_image_are_kept():
    found = from_frame(pd.DataFrame({**GOOD, **SIDES}).iloc[::-1], VIEWING)
    sizes = dict(zip(found["image"].values, found["width_px"].values, strict=True))
    assert sizes == {"a": 80, "b": 40}


def test_numbers_as_names_are_the_same_however_they_are_stored():
    for values in ([1001, 1002], [1001.0, 1002.0], np.array([1001.0, 1002], object)):
        assert as_text(np.asarray(values)).tolist() == ["1001", "1002"]
    # Too large for an integer: they must not all become one.
    assert len(set(as_text(np.array([1e300, 2e300])).tolist())) == 2
