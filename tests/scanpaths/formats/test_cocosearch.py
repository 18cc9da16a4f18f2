"""COCO-Search18's JSON and NeuroLIAA's: optional keys, lengths that disagree, off the display."""

import json

import numpy as np
import pytest

from attnsci.errors import DatasetCorrupt, InvalidInput
from attnsci.gaze import from_arrays, viewing_of
from attnsci.geometry import Viewing
from attnsci.scanpaths.formats.io import read_scanpaths, write_scanpaths

DISPLAY = Viewing(1680, 1050)
RECORD = {
    "name": "000000049.jpg", "subject": 2, "task": "mug", "condition": "present",
    "bbox": [100, 200, 30, 40], "X": [840.0, 1700.5, 120], "Y": [525.0, 300, -2],
    "T": [200, 246, 136], "length": 3, "correct": 1, "RT": 1159, "split": "train",
}  # fmt: skip


def read(tmp_path, content, viewing=DISPLAY, **options):
    (tmp_path / "a.json").write_text(json.dumps(content))
    return read_scanpaths(tmp_path / "a.json", viewing, **options)


def test_a_search_record(tmp_path):
    found = read(tmp_path, [RECORD])
    assert found["x"].to_numpy().tolist() == [[840, 1700.5, 120]]
    assert found["duration"].to_numpy().tolist() == [[0.2, 0.246, 0.136]]
    for name in ("task", "condition", "split"):
        assert found[name].item() == RECORD[name]
    box = [found[f"target_{side}"].item() for side in ("x", "y", "width", "height")]
    assert box == [100, 200, 30, 40]


def test_keys_beyond_name_subject_x_y_are_optional(tmp_path):
    plain = {"name": "1001.jpg", "subject": 1, "X": [1.5], "Y": [2.5]}
    found = read(tmp_path, [plain, RECORD])
    assert np.isnan(found["duration"].to_numpy()[0]).all()
    assert found["task"].to_numpy().tolist() == ["", "mug"]
    assert np.isnan(found["target_x"].to_numpy()).tolist() == [True, False]


def test_the_variant_keyed_by_image_has_its_corners_in_another_order(tmp_path):
    record = {
        "subject": "01", "image_height": 768, "image_width": 1024, "target_bbox": [559, 228, 631,
        300], "X": [1.0, 2], "Y": [3.0, 4], "T": [100, 200], "target_object": "cup",
    }  # fmt: skip
    found = read(tmp_path, {"room.jpg": record}, viewing=None)
    assert (viewing_of(found).width_px, viewing_of(found).height_px) == (1024, 768)
    box = [found[f"target_{side}"].item() for side in ("x", "y", "width", "height")]
    assert box == [228, 559, 72, 72]
    assert (found["image"].item(), found["observer"].item()) == ("room.jpg", "01")
    assert found["task"].item() == "cup"


def test_lengths_that_disagree_name_the_record(tmp_path):
    bad = {**RECORD, "subject": 5, "T": [200, 246, 136, 90, 80]}
    with pytest.raises(
        InvalidInput, match=r"subject 5 on image '000000049.jpg' \(record 1\) has 3 X, 3 Y, 5 T"
    ):
        read(tmp_path, [RECORD, bad])
    with pytest.warns(UserWarning, match="cut to their shortest"):
        found = read(tmp_path, [RECORD, bad], unequal="trim")
    assert found["n_fixations"].to_numpy().tolist() == [3, 3]


def test_points_off_the_display_are_dropped_or_clipped_and_counted(tmp_path):
    kept = read(tmp_path, [RECORD])
    assert kept["n_fixations"].item() == 3
    dropped = read(tmp_path, [RECORD], off_display="drop")
    assert dropped["x"].to_numpy().tolist() == [[840]]
    assert "keep_inside('drop'): 2 fixations" in dropped.attrs["steps"]
    clipped = read(tmp_path, [RECORD], off_display="clip")
    assert clipped["x"].to_numpy().tolist() == [[840, 1680, 120]]
    assert clipped["y"].to_numpy().tolist() == [[525, 300, 0]]


def test_the_forced_first_fixation_is_left_out_on_request(tmp_path):
    found = read(tmp_path, [RECORD], drop_first=True)
    assert found["x"].to_numpy().tolist() == [[1700.5, 120]]
    assert "drop_first=1" in found.attrs["steps"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ([], "no list of scanpaths"),
        ([1], "Record 0 .* is no scanpath"),
        ([{**RECORD, "X": None}], "Record 0 .* lacks X"),
        ([{"subject": 1, "X": [1], "Y": [1]}], "Record 0 .* lacks name"),
        ([{**RECORD, "X": ["left", 2, 3]}], "subject 2 on image '000000049.jpg' has 'left' in X"),
        ([{**RECORD, "X": [[1, 2, 3]]}], r"has \[1, 2, 3\] in X, place 0"),
        ([{**RECORD, "T": [100, True, 100]}], "has True in T, place 1"),
        ([{**RECORD, "Y": ["1_0", 2, 3]}], "has '1_0' in Y, place 0"),
        ([{**RECORD, "X": [10**400, 2, 3]}], "number in X that is none"),
        ([{**RECORD, "bbox": [1, 2, "3", 4]}], "bounding box"),
        ([{**RECORD, "bbox": [1, 2]}], "bounding box"),
        ({"a": {"X": [1], "Y": [1]}}, "lacks subject"),
    ],
)
def test_what_is_no_scanpath_is_corrupt(tmp_path, content, message):
    (tmp_path / "a.json").write_text(json.dumps(content))
    with pytest.raises(DatasetCorrupt, match=message):
        read_scanpaths(tmp_path / "a.json", DISPLAY, format="cocosearch")


def test_one_scanpath_twice_is_refused(tmp_path):
    with pytest.raises(InvalidInput, match="Two scanpaths are of observer '2'"):
        read(tmp_path, [RECORD, RECORD])


def test_options_are_checked(tmp_path):
    with pytest.raises(InvalidInput, match=r"off_display must be one of None, 'drop', 'clip'"):
        read(tmp_path, [RECORD], off_display="move")
    with pytest.raises(InvalidInput, match=r"unequal must be one of 'raise', 'trim'"):
        read(tmp_path, [RECORD], unequal="pad")


def test_search_records_come_back_whole(tmp_path):
    found = read(tmp_path, [RECORD, {**RECORD, "subject": 3, "task": "cup", "X": [1], "Y": [2],
                                     "T": [3.25]}])  # fmt: skip
    write_scanpaths(found, tmp_path / "b.json")
    back = read_scanpaths(tmp_path / "b.json", DISPLAY)
    assert back.drop_attrs().equals(found.drop_attrs())
    record = json.loads((tmp_path / "b.json").read_text())[0]
    kept = {key: RECORD[key] for key in ("name", "task", "bbox", "X", "Y", "T", "length")}
    assert {key: record[key] for key in kept} == kept


def test_without_durations_there_is_no_t(tmp_path):
    paths = from_arrays([[1]], [[2]], image=["a"], observer="1", viewing=DISPLAY)
    write_scanpaths(paths, tmp_path / "a.json")
    assert "T" not in json.loads((tmp_path / "a.json").read_text())[0]
