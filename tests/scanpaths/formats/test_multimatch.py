"""MultiMatch's arrays and text files."""

import numpy as np
import pytest

from attnsci.errors import DatasetCorrupt, InvalidInput
from attnsci.gaze import from_arrays
from attnsci.geometry import Viewing
from attnsci.scanpaths.formats.io import read_scanpaths, write_scanpaths
from attnsci.scanpaths.formats.multimatch import from_recarrays, to_recarrays

VIEWING = Viewing(1280, 720)
HEADER = "start_x\tstart_y\tduration\n"


@pytest.mark.data
def test_the_fixture_is_read_to_the_last_bit(data_root):
    folder = data_root / "gaze" / "multimatch_fixture"
    found = read_scanpaths(folder, VIEWING)
    assert found["image"].to_numpy().tolist() == ["segment_10"] * 2
    assert found["observer"].to_numpy().tolist() == ["sub-01", "sub-19"]
    assert found["n_fixations"].to_numpy().tolist() == [36, 28]
    one = read_scanpaths(folder / "segment_10_sub-01.tsv", VIEWING)
    assert (one["x"].to_numpy()[0, 0], one["duration"].to_numpy()[0, 1]) == (611.1, 0.108)
    expected = np.genfromtxt(folder / "segment_10_sub-01.tsv", names=True)
    np.testing.assert_array_equal(to_recarrays(one)["segment_10", "sub-01"].start_y,
                                  expected["start_y"])  # fmt: skip


def test_record_arrays_there_and_back():
    paths = from_arrays([[1.5, 2], [3]], [[4, 5], [6]], [[0.1, 0.2], [0.3]], image=["a", "b"],
                        observer="o", viewing=VIEWING)  # fmt: skip
    arrays = to_recarrays(paths)
    assert arrays["a", "o"].start_x.tolist() == [1.5, 2] and len(arrays["b", "o"]) == 1
    assert arrays["a", "o"].dtype.names == ("start_x", "start_y", "duration")
    assert from_recarrays(arrays, VIEWING).identical(paths)


def test_arrays_that_cannot_be():
    with pytest.raises(InvalidInput, match="no scanpaths"):
        from_recarrays({}, VIEWING)
    lacking = np.array([(1.0, 2.0)], [("start_x", float), ("start_y", float)])
    with pytest.raises(InvalidInput, match=r"observer 'o' on image 'a' lacks.*duration"):
        from_recarrays({("a", "o"): lacking}, VIEWING)


def test_samples_of_one_observer_cannot_be_told_apart(tmp_path):
    paths = from_arrays([[1], [2]], [[1], [2]], [[0.1], [0.1]], image=["a", "a"], observer="o",
                        viewing=VIEWING, sample=["0", "1"])  # fmt: skip
    with pytest.raises(InvalidInput, match="Several scanpaths are of observer 'o' on image 'a'"):
        to_recarrays(paths)


def test_a_single_file_is_named_by_its_name_or_by_the_caller(tmp_path):
    (tmp_path / "one.tsv").write_text(HEADER + "1\t2\t0.1\n")
    with pytest.raises(InvalidInput, match=r"'one\.tsv' does not say image and observer"):
        read_scanpaths(tmp_path / "one.tsv", VIEWING)
    found = read_scanpaths(tmp_path / "one.tsv", VIEWING, image="i", observer="o")
    assert (found["image"].item(), found["observer"].item()) == ("i", "o")
    with pytest.raises(InvalidInput, match="Give both"):
        read_scanpaths(tmp_path / "one.tsv", VIEWING, image="i")
    with pytest.raises(InvalidInput, match="name a single file"):
        read_scanpaths(tmp_path, VIEWING, image="i", observer="o")
    pattern = r"(?P<observer>o)(?P<image>ne)"
    found = read_scanpaths(tmp_path / "one.tsv", VIEWING, pattern=pattern)
    assert (found["image"].item(), found["observer"].item()) == ("ne", "o")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("x\ty\tduration\n1\t2\t3\n", "begins with"),
        (HEADER + "1\t2\t0.1\n1\t2\n", "line 3: 2 cells"),
        (HEADER + "1\tup\t0.1\n", "no number"),
        ("", "begins with"),
    ],
)
def test_other_files_are_corrupt(tmp_path, text, message):
    (tmp_path / "a_o.tsv").write_text(text)
    with pytest.raises(DatasetCorrupt, match=message):
        read_scanpaths(tmp_path / "a_o.tsv", VIEWING, format="multimatch")


def test_two_files_of_one_name_and_an_empty_folder(tmp_path):
    (tmp_path / "a").mkdir()
    with pytest.raises(InvalidInput, match=r"no \.tsv file"):
        read_scanpaths(tmp_path, VIEWING, format="multimatch")
    for place in (tmp_path / "a" / "o.tsv", tmp_path / "a_o.tsv"):
        place.write_text(HEADER + "1\t2\t0.1\n")
    with pytest.raises(InvalidInput, match=r"Two files of .* image 'a', observer 'o'"):
        read_scanpaths(tmp_path, VIEWING)


def test_the_tree_that_is_written(tmp_path):
    paths = from_arrays([[1.5]], [[2]], [[0.25]], image=["a"], observer="o", viewing=VIEWING)
    write_scanpaths(paths, tmp_path / "out", format="multimatch")
    assert (tmp_path / "out" / "a" / "o.tsv").read_text() == HEADER + "1.5\t2.0\t0.25\n"
