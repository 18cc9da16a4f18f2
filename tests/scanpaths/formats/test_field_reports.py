"""Files like those that laboratories report as misread, and siblings of each kind."""

import gzip
import io
import os
import unicodedata
import warnings

import h5py
import numpy as np
import pandas as pd
import pytest
import scipy.io

from attnsci.errors import AttnsciError, DatasetCorrupt, DatasetNotFound, InvalidInput
from attnsci.gaze import from_arrays, to_frame
from attnsci.geometry import Viewing
from attnsci.scanpaths.formats.io import read_scanpaths, write_scanpaths
from attnsci.scanpaths.formats.pymovements import from_pymovements

VIEWING = Viewing(1280, 1024)
DATA_VIEWER = {
    "columns": {
        "image": "IMAGE",
        "observer": "RECORDING_SESSION_LABEL",
        "fixation": "CURRENT_FIX_INDEX",
        "x": "CURRENT_FIX_X",
        "y": "CURRENT_FIX_Y",
        "duration": "CURRENT_FIX_DURATION",
        "onset": "CURRENT_FIX_START",
    },
    "duration_unit": "ms",
}
GAZEPOINT = {
    "columns": {
        "image": "MEDIA_NAME",
        "observer": "MEDIA_ID",
        "fixation": "FPOGID",
        "x": "FPOGX",
        "y": "FPOGY",
        "duration": "FPOGD",
    }
}
HEAD = "image,observer,fixation,x,y,duration\n"


@pytest.fixture
def reports(data_root):
    return data_root / "gaze" / "field_reports"


@pytest.fixture
def file(tmp_path):
    def write(content, name="a.csv"):
        raw = content if isinstance(content, bytes) else content.encode()
        (tmp_path / name).write_bytes(raw)
        return tmp_path / name

    return write


# --- the files themselves ------------------------------------------------------------------------


@pytest.mark.data
@pytest.mark.parametrize(
    ("name", "options", "error", "message"),
    [
        ("href_events.asc", {}, InvalidInput, "line 8: its events are in HREF"),
        ("dupefix.asc", {}, DatasetCorrupt, "line 7: an EFIX that comes twice"),
        ("underscore.asc", {}, DatasetCorrupt, "line 6: an EFIX with '6_40', no number"),
        ("pupil_core_fixations.csv", {}, InvalidInput, "lacks .* image, observer, .*norm_pos_x"),
        ("neon_fixations.csv", {}, InvalidInput, "lacks .* x, y; .*fixation x"),
        ("gazepoint_fix.csv", {}, InvalidInput, "lacks .* x, y; .*FPOGX"),
        ("jspsych.json", {}, InvalidInput, "Fixations must be detected first: pymovements"),
        ("coco_TX_mismatch.json", {}, InvalidInput, r"record 0\) has 4 X, 4 Y, 9 T.*='trim'"),
        ("dupkey.json", {}, DatasetCorrupt, "has the key 'a.jpg' twice"),
        ("bool.json", {}, DatasetCorrupt, "subject 1 on image 'a' has True in X, place 0"),
        ("huge.csv", {}, InvalidInput, r"Fixation 0 of observer '1' .* no display is.*1e\+300"),
        ("nfd.csv", {}, InvalidInput, r"Two images look the same .*'caf\\xe9' and 'cafe\\u0301'"),
    ],
)
def test_what_is_refused_and_why(reports, name, options, error, message):
    viewing = None if name.endswith(".asc") else VIEWING
    with pytest.raises(error, match=message):
        read_scanpaths(reports / name, viewing, **options)


@pytest.mark.data
def test_recordings_broken_off_and_fixations_without_a_place_are_counted(reports):
    with pytest.warns(UserWarning, match="left out 1 of 2 recordings, which never end, with 1 fix"):
        found = read_scanpaths(reports / "no_end.asc")
    assert to_frame(found)[["image", "x", "y"]].to_numpy().tolist() == [["img1", 410, 300.5]]
    with pytest.warns(UserWarning, match="1 of 3 fixations without a position"):
        found = read_scanpaths(reports / "dot_fix.asc")
    assert to_frame(found)["x"].tolist() == [410, 420]


@pytest.mark.data
def test_a_long_message_and_a_column_called_sample(reports):
    assert read_scanpaths(reports / "blanks_10000.asc")["x"].item() == 640
    (path,) = (reports / "bids_sample_column").glob("*_physioevents.tsv.gz")
    found = read_scanpaths(path)
    assert found["n_fixations"].values.tolist() == [2] and "sample" not in found.coords


@pytest.mark.data
def test_data_viewer_with_a_gap_and_in_utf_16(reports):
    lost = r"1 of 5 fixations without a position \(\"\.\"\) are left out"
    with (
        pytest.warns(UserWarning, match=lost),
        pytest.raises(InvalidInput, match=r"fixation 4 .*give gaps='renumber'"),
    ):
        read_scanpaths(reports / "dataviewer_gap.tsv", VIEWING, **DATA_VIEWER)
    with pytest.warns(UserWarning, match=lost), pytest.warns(UserWarning, match="in 1 of 2 scanp"):
        gap = read_scanpaths(
            reports / "dataviewer_gap.tsv", VIEWING, **DATA_VIEWER, gaps="renumber"
        )
    with pytest.warns(UserWarning, match=lost):
        whole = read_scanpaths(reports / "dataviewer_utf16.tsv", VIEWING, **DATA_VIEWER)
    assert gap.drop_attrs().identical(whole.drop_attrs())
    assert to_frame(gap)["fixation"].tolist() == [0, 1, 2, 0]
    assert to_frame(gap)["x"].tolist() == [412.3, 512.3, 200, 100.5]
    assert "numbered fixations anew in 1 of 2" in gap.attrs["steps"]


@pytest.mark.data
def test_carriage_returns_and_trimmed_records(reports):
    found = read_scanpaths(reports / "cr.csv", VIEWING)
    assert to_frame(found)[["x", "y"]].to_numpy().tolist() == [[10, 5], [3, 4]]
    with pytest.warns(UserWarning, match="cut to their shortest"):
        found = read_scanpaths(reports / "coco_TX_mismatch.json", VIEWING, unequal="trim")
    assert found["n_fixations"].item() == 4


@pytest.mark.data
def test_normalised_positions_by_their_names_warn(reports):
    with pytest.warns(UserWarning, match="between 0 and 1: normalised"):
        read_scanpaths(reports / "gazepoint_fix.csv", VIEWING, **GAZEPOINT)


# --- their kinds ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("cell", "why"),
    [
        ("1_0", "without anything between"),
        ("true", "a truth value"),
        ("١٢", "not 0 to 9"),
        ("１２", "not 0 to 9"),
        ('"1,5"', "a decimal comma"),
        ('"1,000"', "a decimal comma|without anything"),
        ("0x10", "no number"),
        ("12px", "no number"),
    ],
)
@pytest.mark.parametrize("column", [2, 3, 4, 5])
def test_cells_that_are_no_numbers_are_named_with_line_and_column(file, cell, why, column):
    row = ['"a\nb"', "1", "1", "2.5", "3.5", "0.2"]
    row[column] = cell
    path = file(HEAD + '"a\nb",1,0,1,2,0.2\n\n' + ",".join(row) + "\n")
    name = HEAD.strip().split(",")[column]
    with pytest.raises(InvalidInput, match=rf"a\.csv, line 6: {name} = .*({why}).*1 such"):
        read_scanpaths(path, VIEWING)


def test_a_column_of_truth_values_alone(file):
    with pytest.raises(InvalidInput, match="line 2: x = 'True', which is a truth value"):
        read_scanpaths(file(HEAD + "a,1,0,True,1,0.2\na,1,1,False,1,0.2\n"), VIEWING)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("last", [True, False])
def test_tables_of_every_system_are_one(file, encoding, end, last):
    text = (HEAD + "é,01,0,10,5,0.2\né,01,1,30,4,0.3" + "\n" * last).replace("\n", end)
    found = read_scanpaths(file(text.encode(encoding)), VIEWING)
    assert found["image"].item() == "é" and found["observer"].item() == "01"
    assert found["x"].values.tolist() == [[10, 30]]


def test_latin_1_and_nul_are_named(file):
    row = "a,1,0,10,5,0.2\n"
    with pytest.raises(DatasetCorrupt, match="line 3: byte 0xe9 is no UTF-8"):
        read_scanpaths(file((HEAD + row + "café" + row).encode("cp1252")), VIEWING)
    with pytest.raises(DatasetCorrupt, match="line 3: a NUL byte"):
        read_scanpaths(file(HEAD + row + "\0" + row), VIEWING)


TWINS = {
    "accent": ("café", unicodedata.normalize("NFD", "café")),
    "end": ("p1", "p1 "),
    "begin": ("p1", " p1"),
    "no-break": ("p1", "p1\u00a0"),
    "no width": ("p1", "p1\u200b"),
    "doubled": ("p 1", "p  1"),
}


@pytest.mark.parametrize("twins", TWINS.values(), ids=TWINS)
@pytest.mark.parametrize("key", ["image", "observer"])
@pytest.mark.parametrize("name", ["table", "cocosearch", "fixatons"])
def test_names_that_look_alike_are_refused_in_every_format(tmp_path, twins, key, name):
    other = {"image": "observer", "observer": "image"}[key]
    rows = {key: twins, other: "o"}
    paths = from_arrays([[1], [2]], [[3], [4]], [[0.2], [0.3]], **{key: ["a", "b"], other: "o"},
                        viewing=VIEWING)  # fmt: skip
    path = tmp_path / {"table": "a.csv", "cocosearch": "a.json", "fixatons": "a"}[name]
    write_scanpaths(paths, path, format=name)
    if name == "fixatons":
        for old, new in zip("ab", twins, strict=True):
            for found in [*path.rglob(old)]:
                found.rename(found.with_name(new))
    else:
        frame = to_frame(paths).assign(**rows) if name == "table" else None
        if frame is not None:
            frame.to_csv(path, index=False)
        else:
            text, field = path.read_text(), {"image": "name", "observer": "subject"}[key]
            for old, new in zip("ab", twins, strict=True):
                text = text.replace(f'"{field}": "{old}"', f'"{field}": "{new}"')
            path.write_text(text, "utf-8")
    with pytest.raises(InvalidInput, match=f"Two {key}s look the same and are not"):
        read_scanpaths(path, VIEWING)


@pytest.mark.parametrize(
    ("x", "says"),
    [("-32768", "1 of 2 fixations lie farther off"), ("4000", "the first at x = 4000"),
     ("1e7", "no display is"), ("1e999", "no finite number"), ("-1e300", "no display is")],
)  # fmt: skip
def test_positions_that_cannot_be(file, x, says):
    path = file(HEAD + f"a,1,0,{x},5,0.2\na,1,1,3,4,0.2\n")
    with pytest.raises((InvalidInput, UserWarning), match=says):
        read_scanpaths(path, VIEWING)


def test_samples_a_little_off_the_screen_are_no_fault(file):
    found = read_scanpaths(file(HEAD + "a,1,0,-200,5,0.2\na,1,1,1400,4,0.2\n"), VIEWING)
    assert found["x"].values.tolist() == [[-200, 1400]]


@pytest.mark.parametrize(
    ("durations", "says"),
    [((0.2, 0.3, 7200), "a fixation lasts 7200 s"), ((0.2, 1e6, 0.2), "longer than a day"),
     ((0.2, -0.1, 0.2), "a negative"), ((300, 200, 250), "milliseconds declared as seconds")],
)  # fmt: skip
def test_durations_that_cannot_be(file, durations, says):
    rows = "".join(f"a,1,{n},10,20,{each}\n" for n, each in enumerate(durations))
    with pytest.raises((InvalidInput, UserWarning), match=says):
        read_scanpaths(file(HEAD + rows), VIEWING)


@pytest.mark.parametrize("numbers", [(1, 2, 4), (2, 3, 4), (1, 5, 90)])
def test_gaps_are_refused_or_counted_anew(file, numbers):
    rows = "".join(f"a,1,{n},{10 * n},20,0.2\n" for n in numbers)
    rows += "b,1,1,10,20,0.2\nb,1,2,20,20,0.2\n"
    path = file(HEAD + rows)
    with pytest.raises(InvalidInput, match="gaps='renumber'"):
        read_scanpaths(path, VIEWING)
    with pytest.warns(UserWarning, match="in 1 of 2 scanpaths"):
        found = read_scanpaths(path, VIEWING, gaps="renumber")
    assert found["x"].values[0].tolist() == [10 * n for n in numbers]
    assert found["n_fixations"].values.tolist() == [3, 2]


def test_doubled_rows_stay_refused_where_gaps_are_not(file):
    rows = "".join(f"a,1,{n},10,20,0.2\n" for n in (1, 3, 3))
    with (
        pytest.warns(UserWarning, match="counted anew"),
        pytest.raises(InvalidInput, match=r"comes twice; 1 such") as error,
    ):
        read_scanpaths(file(HEAD + rows), VIEWING, gaps="renumber")
    assert "gaps=" not in str(error.value)


@pytest.mark.parametrize("name", ["a.csv", "a.json", "a.asc", "a.tsv", "a.mat", "a.h5"])
def test_pipes_and_devices_are_refused_and_do_not_hang(tmp_path, name):
    os.mkfifo(tmp_path / name)
    with pytest.raises(InvalidInput, match="is a pipe or a device"):
        read_scanpaths(tmp_path / name, VIEWING)
    (tmp_path / "zero").symlink_to("/dev/zero")
    with pytest.raises(InvalidInput, match="is a pipe or a device"):
        read_scanpaths(tmp_path / "zero", VIEWING, format="table")
    (tmp_path / "gone").symlink_to(tmp_path / "nowhere")
    with pytest.raises(DatasetNotFound, match="a link to"):
        read_scanpaths(tmp_path / "gone", VIEWING)


@pytest.mark.parametrize("name", ["fixatons", "multimatch"])
def test_a_pipe_in_a_tree_does_not_hang(tmp_path, name):
    paths = from_arrays([[1.5]], [[2]], [[0.2]], image=["a"], observer=["b"], viewing=VIEWING)
    write_scanpaths(paths, tmp_path / "tree", format=name)
    (leaf,) = (each for each in (tmp_path / "tree").glob("**/b*") if each.is_file())
    leaf.unlink()
    os.mkfifo(leaf)
    for options in ({}, {"format": name}):
        with pytest.raises(AttnsciError):
            read_scanpaths(tmp_path / "tree", VIEWING, **options)


ODD_NUMBERS = ["1_0", "true", "１２", "١٢", "inf", "1,5", "0x10"]


def _tree(tmp_path, name):
    """Write a scanpath of two fixations in text files, and return the folder and its one file."""
    paths = from_arrays([[1.5, 2.5]], [[2, 3]], [[0.2, 0.3]], image="a", observer="b",
                        viewing=VIEWING)  # fmt: skip
    write_scanpaths(paths, tmp_path / name, format=name)
    (leaf,) = (each for each in (tmp_path / name).glob("**/b*") if each.is_file())
    return tmp_path / name, leaf


@pytest.mark.parametrize("cell", ODD_NUMBERS)
@pytest.mark.parametrize(("name", "line"), [("fixatons", 1), ("multimatch", 2)])
def test_trees_of_text_name_file_line_and_cell(tmp_path, name, line, cell):
    root, leaf = _tree(tmp_path, name)
    leaf.write_text(leaf.read_text().replace("1.5", cell), "utf-8")
    with pytest.raises(DatasetCorrupt, match=rf"{leaf.name}, line {line}: cell 1 is '{cell}', "):
        read_scanpaths(root, VIEWING)


@pytest.mark.parametrize("name", ["fixatons", "multimatch"])
def test_trees_of_text_from_windows_and_with_far_positions(tmp_path, name):
    root, leaf = _tree(tmp_path, name)
    text = leaf.read_text()
    leaf.write_bytes(text.replace("\n", "\r").encode("utf-16"))
    assert read_scanpaths(root, VIEWING)["x"].values.tolist() == [[1.5, 2.5]]
    leaf.write_text(text.replace("1.5", "1e300"))
    with pytest.raises(InvalidInput, match=r"Fixation 0 of observer 'b' on image 'a' .*no display"):
        read_scanpaths(root, VIEWING)


def test_a_row_twice_where_rows_have_times(tmp_path, file):
    root, leaf = _tree(tmp_path, "fixatons")
    row = leaf.read_text().splitlines()[-1]
    leaf.write_text(leaf.read_text() + row + "\n")
    with pytest.raises(InvalidInput, match=r"Fixation 2 of .* comes twice, with the same onset"):
        read_scanpaths(root, VIEWING)
    rows = HEAD.strip() + ",onset\na,1,0,1.5,2,0.2,0\na,1,1,9,8,0.2,0.3\na,1,2,9,8,0.2,0.3\n"
    with pytest.raises(InvalidInput, match=r"Fixation 2 of .* comes twice, with the same onset"):
        read_scanpaths(file(rows), VIEWING)
    later = rows.replace("a,1,2,9,8,0.2,0.3", "a,1,2,9,8,0.2,0.5")
    assert read_scanpaths(file(later), VIEWING)["n_fixations"].item() == 3


RECORD = '{"name": "a", "subject": 1, "X": [10, 20], "Y": [1, 2], "T": [100, 200]}'


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("[10, 20]", '["1_0", 20]', "subject 1 on image 'a' has '1_0' in X, place 0"),
        ("[1, 2]", "[1, null]", "has None in Y, place 1"),
        ("[100, 200]", "[100, false]", "has False in T, place 1"),
        ("[10, 20]", "[[10], 20]", r"has \[10\] in X, place 0"),
        ("[10, 20]", "[1e300, 20]", "Fixation 0 of .* no display"),
        ("[10, 20]", f"[1{'0' * 400}, 20]", "in X that is none"),
        ("[10, 20]", "[1e999, 20]", "no finite coordinates|no display"),
        ('"Y"', '"X": [1], "Y"', "the key 'X' twice"),
        ("[10, 20]", "[" * 200_000, "nested too deeply"),
        ("[10, 20]", "[NaN, 20]", "holds NaN"),
    ],
)
def test_records_that_mean_no_numbers_or_two_things(file, old, new, message):
    with pytest.raises(AttnsciError, match=message):
        read_scanpaths(file(f"[{RECORD.replace(old, new, 1)}]", "a.json"), VIEWING)


ASC = ["MSG 100 DISPLAY_COORDS 0 0 1279 1023", "MSG 1000 TRIALID cat", "START 1001 LEFT EVENTS",
       "EFIX L 1002 1015 14 640 512 700", "END 1400 X"]  # fmt: skip


@pytest.mark.parametrize("cell", ODD_NUMBERS)
@pytest.mark.parametrize("number", ["1002", "1015", "14", "640", "512"])
def test_events_whose_numbers_are_none(file, cell, number):
    event = ASC[3].replace(f" {number} ", f" {cell} ")
    path = file("\n".join([*ASC[:3], event, ASC[4]]), "a.asc")
    with pytest.raises(DatasetCorrupt, match=rf"line 4: an EFIX with '{cell}', .*no number"):
        read_scanpaths(path)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_events_of_every_system_are_one(file, encoding, end):
    path = file((end.join(ASC) + end).encode(encoding), "a.asc")
    assert to_frame(read_scanpaths(path))[["image", "x"]].to_numpy().tolist() == [["cat", 640]]


@pytest.mark.parametrize("units", ["HREF", "href", "PUPIL", "RAW"])
def test_events_in_other_units_than_pixels(file, units):
    path = file("\n".join([*ASC[:3], f"EVENTS {units} LEFT", *ASC[3:]]), "a.asc")
    with pytest.raises(InvalidInput, match=f"line 4: its events are in {units}, not in pixels"):
        read_scanpaths(path)


# --- what unpacks without bound ------------------------------------------------------------------


@pytest.fixture
def small_bound(monkeypatch):
    monkeypatch.setattr("attnsci.contents.FREE_BYTES", 2**20)


def test_a_packed_table_without_bound(file, small_bound):
    raw = gzip.compress(HEAD.encode() + b"a,1,0,1,1,1\n" * 2**20)
    with pytest.raises(DatasetCorrupt, match=r"a\.csv\.gz unpacks to"):
        read_scanpaths(file(raw, "a.csv.gz"), VIEWING)


def test_a_packed_matlab_file_without_bound(file, small_bound):
    packed = io.BytesIO()
    scipy.io.savemat(packed, {"a": np.zeros(2**20)}, do_compression=True)
    with pytest.raises(DatasetCorrupt, match="A compressed variable unpacks to"):
        read_scanpaths(file(packed.getvalue(), "a.mat"), VIEWING)


def test_hdf5_and_parquet_that_declare_more_than_they_hold(tmp_path, small_bound):
    paths = from_arrays([[1.5]], [[2]], [[0.2]], image=["0"], observer=["1"], viewing=VIEWING)
    write_scanpaths(paths, tmp_path / "a.hdf5")
    with h5py.File(tmp_path / "a.hdf5", "r+") as opened:
        del opened["scanpaths/xs"]
        opened.create_dataset("scanpaths/xs", (10**9, 10**6), "f8", chunks=(1, 10**4))
    with pytest.raises(
        DatasetCorrupt, match=r"scanpaths/xs of .* unpacks to 8,000,000,000,000,000"
    ):
        read_scanpaths(tmp_path / "a.hdf5", VIEWING)
    pd.DataFrame({"x": np.zeros(2**20)}).to_parquet(tmp_path / "a.parquet")
    with pytest.raises(DatasetCorrupt, match=r"a\.parquet unpacks to 8,388,608 bytes"):
        read_scanpaths(tmp_path / "a.parquet", VIEWING)


def test_one_long_scanpath_among_many_short_ones(monkeypatch):
    monkeypatch.setattr("attnsci.gaze.MOST_CELLS", 10_000)
    n = np.r_[np.arange(200), np.zeros(100)]
    frame = pd.DataFrame({"image": np.r_[np.zeros(200), 1 + np.arange(100)], "observer": "o",
                          "fixation": n, "x": 1.5, "y": 2.5})  # fmt: skip
    from attnsci.gaze import from_frame

    message = "longest of 101 scanpaths has 200 fixations, all together 300"
    with pytest.raises(InvalidInput, match=message):
        from_frame(frame, VIEWING)
    with pytest.raises(InvalidInput, match=message):
        from_arrays([[1] * 200, *[[1]] * 100], [[1] * 200, *[[1]] * 100], image="a",
                    observer=[str(n) for n in range(101)], viewing=VIEWING)  # fmt: skip


# --- time ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("message", [" " * 200_000 + "b", "1" * 100_000 + " " * 100_000,
                                     "DISPLAY_COORDS" + " " * 200_000 + "x",
                                     "TRIALID" + " " * 200_000])  # fmt: skip
def test_a_long_message_is_read_once(file, message):
    # Squared, any of these would take minutes.
    lines = ["MSG 100 DISPLAY_COORDS 0 0 1279 1023", f"MSG 101 {message}", "START 1001 LEFT",
             "EFIX L 1002 1015 14 640 512 700", "END 1400"]  # fmt: skip
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = read_scanpaths(file("\n".join(lines), "a.asc"))
    assert found["x"].item() == 640


def test_two_eyes_of_a_long_trial_are_paired_without_a_table_of_all_pairs(file):
    # 20,000 fixations an eye: a table of all pairs would have 400 million cells.
    events = [
        f"EFIX {eye} {at + lag} {at + lag + 79} 80 {at % 999}.5 50.5 700"
        for at in range(1100, 2_001_100, 100)
        for eye, lag in (("L", 0), ("R", 5))
    ]
    lines = ["MSG 100 DISPLAY_COORDS 0 0 1279 1023", "MSG 1000 TRIALID a", "START 1001 LEFT RIGHT",
             *events, "END 3000000"]  # fmt: skip
    found = read_scanpaths(file("\n".join(lines), "a.asc"), eye="average")
    assert found["n_fixations"].item() == 20_000
    assert found["onset"].values[0, :2].tolist() == [0.1025, 0.2025]


def test_events_that_come_twice_are_taken_once_and_contradicting_ones_refused():
    events = pd.DataFrame(
        {
            "name": "fixation",
            "onset": [0, 300, 300],
            "offset": [200, 500, 500],
            "location": [[10.0, 5.0], [20.0, 6.0], [20.0, 6.0]],
        }
    )
    names = {"image": "a", "observer": "1"}
    with pytest.warns(UserWarning, match="1 of 3 fixations that come twice are left out"):
        found = from_pymovements(events, viewing=VIEWING, **names)
    assert found["x"].values.tolist() == [[10, 20]]
    events.at[2, "location"] = [21.0, 6.0]
    with pytest.raises(InvalidInput, match="'1' on image 'a' begin at 300 and differ; 1 such"):
        from_pymovements(events, viewing=VIEWING, **names)
