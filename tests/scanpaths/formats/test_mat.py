"""MATLAB cells in the order y, x, latency, duration; structs are tested with the data sets."""

import numpy as np
import pytest
import scipy.io

from attnsci.errors import DatasetCorrupt, InvalidInput
from attnsci.gaze import frame_sizes
from attnsci.geometry import Viewing
from attnsci.scanpaths.formats.io import read_scanpaths

VIEWING = Viewing(800, 600)
SIZES = [(640, 480), (300, 900)]


@pytest.fixture
def cells():
    """Two images, three observers; two cells are empty, each in its own way."""
    made = np.empty((2, 3), object)
    made[0, 0] = np.array([[400.0, 600, 0.1, 0.25], [10, 20, 0.5, 0.125]])
    made[0, 1] = np.zeros((0, 0))
    made[0, 2] = np.array([[7.0, 8, 0, 0.2]])
    made[1, 0] = np.zeros((0, 4))
    made[1, 1] = np.array([[880.0, 290, 0.2, 0.3]])
    made[1, 2] = np.array([[1, 2, 3, 4]], np.uint8)
    return made


def save(tmp_path, cells):
    scipy.io.savemat(tmp_path / "c.mat", {"fixations": cells, "note": "SUN"})
    return tmp_path / "c.mat"


def test_rows_are_y_x_latency_duration(tmp_path, cells):
    found = read_scanpaths(save(tmp_path, cells), sizes=SIZES, images=["kitchen", "street"])
    assert found["image"].to_numpy().tolist() == ["kitchen"] * 2 + ["street"] * 2
    assert found["observer"].to_numpy().tolist() == ["1", "3", "2", "3"]
    assert found["n_fixations"].to_numpy().tolist() == [2, 1, 1, 1]
    assert found["x"].to_numpy()[0].tolist() == [600, 20]
    assert found["y"].to_numpy()[0].tolist() == [400, 10]
    assert found["onset"].to_numpy()[0].tolist() == [0.1, 0.5]
    assert found["duration"].to_numpy()[0].tolist() == [0.25, 0.125]
    width, height = frame_sizes(found)
    assert width.tolist() == [640, 640, 300, 300] and height.tolist() == [480, 480, 900, 900]
    assert (found["x"] <= width[:, None]).sum() == 5 == (found["y"] <= height[:, None]).sum()


def test_names_and_sizes_must_be_as_many_as_the_images(tmp_path, cells):
    path = save(tmp_path, cells)
    assert read_scanpaths(path, VIEWING)["image"].to_numpy().tolist() == ["1", "1", "2", "2"]
    with pytest.raises(InvalidInput, match="3 image names for 2 images"):
        read_scanpaths(path, VIEWING, images=["a", "b", "c"])
    with pytest.raises(InvalidInput, match=r"sizes must be 2 pairs.*got \(1, 2\)"):
        read_scanpaths(path, VIEWING, sizes=[(1, 2)])


def test_a_cell_of_another_width_is_named(tmp_path, cells):
    cells[1, 1] = np.ones((3, 5))
    with pytest.raises(DatasetCorrupt, match=r"observer 2 on image '2' is \(3, 5\)"):
        read_scanpaths(save(tmp_path, cells), VIEWING)


def test_another_matlab_file_says_what_it_holds(tmp_path):
    scipy.io.savemat(tmp_path / "c.mat", {"weights": np.eye(2)})
    with pytest.raises(DatasetCorrupt, match=r"neither structs.*variables are weights"):
        read_scanpaths(tmp_path / "c.mat", VIEWING)


def test_names_of_a_struct_file_are_its_own(tmp_path):
    image = np.empty((1, 1), object)
    subject = np.empty((1, 1), object)
    subject[0, 0] = {"fix_x": 1.0, "fix_y": 2.0, "fix_duration": 200}
    image[0, 0] = {"img": "a.jpg", "subjects": subject}
    scipy.io.savemat(tmp_path / "c.mat", {"fixations": image})
    assert read_scanpaths(tmp_path / "c.mat", VIEWING)["duration"].item() == 0.2
    with pytest.raises(InvalidInput, match="this file names its images"):
        read_scanpaths(tmp_path / "c.mat", VIEWING, images=["b"])
