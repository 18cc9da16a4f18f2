"""FixaTons trees: both layouts, y up or down, empty and hidden files, times that are measured."""

import pytest

from attnsci.errors import DatasetCorrupt, InvalidInput
from attnsci.gaze import from_arrays
from attnsci.geometry import Viewing
from attnsci.scanpaths.formats.io import read_scanpaths, write_scanpaths

VIEWING = Viewing(800, 600)
ROWS = "395.5 265.7 0.120 0.366\n390.6 326.4 0.401 0.537\n"


@pytest.fixture
def tree(tmp_path):
    folder = tmp_path / "SET" / "SCANPATHS" / "1001"
    folder.mkdir(parents=True)
    (folder / "observer01").write_text(ROWS)
    (folder / "observer02").write_text("")
    (folder / ".DS_Store").write_bytes(b"\x00\xff")
    (folder.parent / ".hidden").mkdir()
    return tmp_path / "SET"


def test_the_tree(tree):
    found = read_scanpaths(tree, VIEWING)
    assert found["image"].to_numpy().tolist() == ["1001", "1001"]
    assert found["observer"].to_numpy().tolist() == ["observer01", "observer02"]
    assert found["n_fixations"].to_numpy().tolist() == [2, 0]
    assert found["onset"].to_numpy()[0].tolist() == [0.12, 0.401]
    assert found["duration"].to_numpy()[0].tolist() == [0.246, 0.136]
    for place in (tree / "SCANPATHS", tree.parent):
        assert read_scanpaths(place, VIEWING).drop_attrs().equals(found.drop_attrs())


def test_the_lower_case_layout(tmp_path):
    folder = tmp_path / "set" / "scanpaths"
    folder.mkdir(parents=True)
    (folder / "i_subject_1_subject_s1.txt").write_text(ROWS)
    (folder / "i2_subject_s2").write_text(ROWS)
    found = read_scanpaths(tmp_path / "set", VIEWING)
    assert found["image"].to_numpy().tolist() == ["i2", "i_subject_1"]
    assert found["observer"].to_numpy().tolist() == ["s2", "s1"]


def test_y_up_is_turned_down(tree):
    found = read_scanpaths(tree, VIEWING, y_up=True)
    assert found["y"].to_numpy()[0].tolist() == [600 - 265.7, 600 - 326.4]
    assert "y turned down" in found.attrs["steps"]
    assert "y turned" not in read_scanpaths(tree, VIEWING).attrs["steps"]


def test_times_without_gaps_are_no_onsets(tree):
    (tree / "SCANPATHS" / "1001" / "observer01").write_text("1 2 0.000 0.246\n3 4 0.246 0.382\n")
    found = read_scanpaths(tree, VIEWING)
    assert "onset" not in found and "cumulated durations" in found.attrs["steps"]
    assert found["duration"].to_numpy()[0].tolist() == [0.246, 0.136]


def test_what_is_written_says_where_its_times_come_from(tree, tmp_path):
    found = read_scanpaths(tree, VIEWING)
    write_scanpaths(found, tmp_path / "out", format="fixatons")
    assert "Times: as measured" in (tmp_path / "out" / "README.txt").read_text()
    write_scanpaths(found.drop_vars("onset"), tmp_path / "out", format="fixatons")
    assert "Times: cumulated durations" in (tmp_path / "out" / "README.txt").read_text()
    text = (tmp_path / "out" / "SCANPATHS" / "1001" / "observer01").read_text()
    assert text == "395.5 265.7 0.0 0.246\n390.6 326.4 0.246 0.382\n"


def test_durations_are_needed(tmp_path):
    paths = from_arrays([[1]], [[2]], image=["a"], observer="o", viewing=VIEWING)
    with pytest.raises(InvalidInput, match=r"needs durations, which .* observer 'o' on image 'a'"):
        write_scanpaths(paths, tmp_path / "out", format="fixatons")


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ("1 2 3\n", r"observer01, line 1: 3 cells, not 'x y t_start t_end'"),
        (ROWS + "1 2 3 4 5\n", r"observer01, line 3: 5 cells"),
        ("left 2 3 4\n", r"observer01, line 1: cell 1 is 'left', no number"),
    ],
)
def test_rows_that_are_none_are_named(tree, rows, message):
    (tree / "SCANPATHS" / "1001" / "observer01").write_text(rows)
    with pytest.raises(DatasetCorrupt, match=message):
        read_scanpaths(tree, VIEWING)


def test_times_that_run_backwards_are_refused(tree):
    (tree / "SCANPATHS" / "1001" / "observer01").write_text("1 2 0.5 0.4\n")
    with pytest.raises(InvalidInput, match="observer 'observer01' on image '1001' has a negative"):
        read_scanpaths(tree, VIEWING)


def test_folders_of_none_or_of_several_sets(tree, tmp_path):
    (tmp_path / "empty" / "SCANPATHS").mkdir(parents=True)
    with pytest.raises(InvalidInput, match="no scanpath in"):
        read_scanpaths(tmp_path / "empty", VIEWING)
    with pytest.raises(InvalidInput, match="it has SET, empty"):
        read_scanpaths(tmp_path, VIEWING)
    (tree / "scanpaths.txt").write_text("")
    (tree / "SCANPATHS" / "stray").write_text(ROWS)
    with pytest.raises(DatasetCorrupt, match="stray is called neither"):
        read_scanpaths(tree, VIEWING)
