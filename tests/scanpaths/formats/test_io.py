"""Reading by looking, writing all or nothing, and what is said when neither can be done."""

import errno
import json
import shutil

import numpy as np
import pytest

from attnsci.errors import (
    DatasetCorrupt,
    DatasetNotFound,
    InvalidInput,
    StorageError,
    UnknownName,
)
from attnsci.gaze import from_arrays, from_dict, to_frame
from attnsci.geometry import Viewing
from attnsci.scanpaths.edit import select
from attnsci.scanpaths.formats.base import Format, get_format, head, registered
from attnsci.scanpaths.formats.io import formats, read_scanpaths, recognise, write_scanpaths

VIEWING = Viewing(800, 600, px_per_deg=24)
WRITTEN = sorted(name for name, each in registered().items() if each.write)


@pytest.fixture
def paths():
    return from_dict({"0": {"1": [[10, 20, 0.2], [30, 40, 0.3]], "2": [[50.5, 60, 0.25]]}}, VIEWING)


@pytest.fixture
def samples(data_root):
    return data_root / "gaze" / "format_samples"


def test_the_table_lists_every_format_with_its_options():
    table = formats().set_index("name")
    assert set(table.index) == set(registered())
    assert table.loc["mat", "options"] == "images, sizes" and not table.loc["mat", "written"]
    assert set(table.index[table["written"]]) >= {"table", "cocosearch", "fixatons", "multimatch"}
    assert all(table["summary"].str.len() > 10)


def test_no_two_written_formats_end_the_same():
    ends = [end for name in WRITTEN for end in get_format(name).suffixes]
    assert len(ends) == len(set(ends))


@pytest.mark.parametrize("name", WRITTEN)
def test_what_a_format_writes_only_it_recognises(paths, tmp_path, name):
    path = tmp_path / f"set{(get_format(name).suffixes or ('',))[0]}"
    write_scanpaths(paths, path, format=name)
    assert recognise(path).name == name


@pytest.mark.data
def test_the_samples_are_recognised(samples):
    found = {path.name: recognise(path).name for path in samples.iterdir() if path.suffix not in
             (".md", ".txt")}  # fmt: skip
    assert found == {
        "fixatons": "fixatons",
        "osie_fixations_cocosearch_schema.json": "cocosearch",
        "pysaliency_0.2.22_FixationTrains.hdf5": "pysaliency_trains",
        "pysaliency_0.3dev_ScanpathFixations.hdf5": "pysaliency",
        "eyelink_monocular_example.asc": "eyelink_asc",
        "eyelink_binocular_example.asc": "eyelink_asc",
    }


def named(frame):
    """Names without suffix and leading zeros, since each format writes them otherwise."""
    frame["image"] = frame["image"].str.removesuffix(".jpg").astype(int)
    frame["observer"] = frame["observer"].str.removeprefix("observer").astype(int)
    columns = ["image", "observer", "fixation"]
    return frame.sort_values(columns).reset_index(drop=True)[[*columns, "x", "y", "duration"]]


@pytest.mark.data
def test_all_samples_hold_the_same_scanpaths(samples, data_root):
    whole = read_scanpaths(data_root / "gaze/osie/fixations.csv.gz", VIEWING)
    images = [str(number) for number in range(1001, 1006)]
    expected = named(to_frame(select(whole, image=[f"{name}.jpg" for name in images])))
    assert len(expected) == 685 and len(expected.groupby(["image", "observer"])) == 75
    for name, options in {
        "fixatons": {},
        "osie_fixations_cocosearch_schema.json": {},
        "pysaliency_0.2.22_FixationTrains.hdf5": {"images": images},
        "pysaliency_0.3dev_ScanpathFixations.hdf5": {"images": images},
    }.items():
        frame = named(to_frame(read_scanpaths(samples / name, VIEWING, **options)))
        if frame["observer"].min() == 0:  # pysaliency counts from 0
            frame["observer"] += 1
        exact = ["image", "observer", "fixation", "x", "y"]
        np.testing.assert_array_equal(frame[exact], expected[exact])
        np.testing.assert_allclose(frame["duration"], expected["duration"], rtol=0, atol=1e-3)


def test_reading_is_remembered(paths, tmp_path):
    write_scanpaths(paths, tmp_path / "a.csv")
    found = read_scanpaths(tmp_path / "a.csv", VIEWING, duration_unit="s")
    assert json.loads(found.attrs["steps"]) == ["read a.csv as table {'duration_unit': 's'}"]


def test_nothing_there(tmp_path):
    with pytest.raises(DatasetNotFound, match=r"no file or folder .*gone\.csv"):
        read_scanpaths(tmp_path / "gone.csv", VIEWING)


@pytest.mark.parametrize("content", [b"", b"just text", bytes(range(256)) * 20])
def test_a_file_that_looks_like_nothing(tmp_path, content):
    (tmp_path / "a.dat").write_bytes(content)
    with pytest.raises(InvalidInput, match=r"like none of the known formats: give format="):
        read_scanpaths(tmp_path / "a.dat", VIEWING)


def test_unknown_format_and_unknown_option(paths, tmp_path):
    write_scanpaths(paths, tmp_path / "a.csv")
    with pytest.raises(UnknownName, match=r"gaze format.*'tabel'.*'table'"):
        read_scanpaths(tmp_path / "a.csv", VIEWING, format="tabel")
    with pytest.raises(InvalidInput, match="table has no option 'colums'; it has columns"):
        read_scanpaths(tmp_path / "a.csv", VIEWING, colums={})


@pytest.mark.parametrize("name", [*WRITTEN, "mat"])
def test_a_missing_geometry_is_asked_for(paths, tmp_path, name):
    path = tmp_path / f"set{(get_format(name).suffixes or ('',))[0]}"
    if name == "mat":
        import scipy.io

        cells = np.empty((1, 1), object)
        cells[0, 0] = np.ones((2, 4))
        scipy.io.savemat(path, {"cells": cells})
    else:
        write_scanpaths(paths, path, format=name)
    with pytest.raises(InvalidInput, match=r"Give viewing=Viewing\(width_px=\.\.\."):
        read_scanpaths(path)


def test_the_wrong_format_by_name_is_corrupt(paths, tmp_path):
    write_scanpaths(paths, tmp_path / "a.csv")
    for name in ("mat", "pysaliency", "cocosearch"):
        with pytest.raises(DatasetCorrupt, match=r"a\.csv"):
            read_scanpaths(tmp_path / "a.csv", VIEWING, format=name)


@pytest.mark.parametrize(("factor", "says"), [(1e3, "declared as seconds"),
                                              (1e-3, "declared as milliseconds")])  # fmt: skip
def test_a_unit_that_cannot_be_is_warned_of(paths, tmp_path, factor, says):
    write_scanpaths(paths.assign(duration=paths["duration"] * factor), tmp_path / "a.csv")
    with pytest.warns(UserWarning, match=says):
        read_scanpaths(tmp_path / "a.csv", VIEWING)


def test_the_end_of_the_name_chooses_the_format(paths, tmp_path):
    assert write_scanpaths(paths, tmp_path / "a.json") == "cocosearch"
    assert write_scanpaths(paths, tmp_path / "a.TSV") == "table"
    with pytest.raises(InvalidInput, match=r"'a\.doc' does not say.*table \(\.csv"):
        write_scanpaths(paths, tmp_path / "a.doc")
    with pytest.raises(InvalidInput, match="mat is only read; written are"):
        write_scanpaths(paths, tmp_path / "a.mat", format="mat")


def test_folders_on_the_way_are_made_and_trees_replaced(paths, tmp_path):
    target = tmp_path / "new" / "tree"
    write_scanpaths(paths, target, format="fixatons")
    write_scanpaths(paths.isel(scanpath=[0]), target, format="fixatons")
    assert [p.name for p in (target / "SCANPATHS" / "0").iterdir()] == ["1"]


def test_a_parent_that_is_a_file_is_a_storage_error(paths, tmp_path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(StorageError, match="Cannot write"):
        write_scanpaths(paths, tmp_path / "file" / "a.csv")


@pytest.mark.parametrize("name", WRITTEN)
def test_a_full_disk_leaves_what_was_there(paths, tmp_path, name, monkeypatch):
    path = tmp_path / f"set{(get_format(name).suffixes or ('',))[0]}"
    write_scanpaths(paths, path, format=name)
    before = sorted((p.name, p.read_bytes()) for p in tmp_path.rglob("*") if p.is_file())

    def half_then_full(scanpaths, place):
        get_format(name).write(scanpaths, place)
        raise OSError(errno.ENOSPC, "No space left on device")

    full = Format(name, "s", (), lambda path: True, lambda path, viewing=None: None, half_then_full)
    monkeypatch.setattr("attnsci.scanpaths.formats.io.get_format", lambda _: full)
    with pytest.raises(StorageError, match="No space left"):
        write_scanpaths(paths, path, format=name)
    assert sorted((p.name, p.read_bytes()) for p in tmp_path.rglob("*") if p.is_file()) == before


def test_what_a_format_has_no_place_for_is_said(tmp_path):
    odd = from_arrays([[1]], [[2]], [[0.2]], image=["0"], observer=["1"], viewing=VIEWING,
                      task=["mug"], hand=["left"])  # fmt: skip
    with pytest.warns(UserWarning, match="FixaTons tree has no place for hand, task"):
        write_scanpaths(odd, tmp_path / "a", format="fixatons")
    with pytest.warns(UserWarning, match="A table has no place for hand"):
        write_scanpaths(odd, tmp_path / "a.csv")


def test_head_looks_inside_gzip_and_at_no_folder(tmp_path):
    import gzip

    (tmp_path / "a.gz").write_bytes(gzip.compress(b"inside"))
    (tmp_path / "b.gz").write_bytes(b"\x1f\x8b damaged")
    assert head(tmp_path / "a.gz") == b"inside"
    assert head(tmp_path / "b.gz") == b"" == head(tmp_path)
    shutil.copy(tmp_path / "a.gz", tmp_path / "c")
    assert head(tmp_path / "c", 2) == b"in"
