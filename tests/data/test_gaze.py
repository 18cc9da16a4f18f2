"""OSIE and EyeCrowd: every count of the specification, from each file that holds them."""

import gzip
import time

import numpy as np
import pytest
import scipy.io

from attnsci.data.fetch import get
from attnsci.data.gaze import (
    OSIE_TEST,
    eyecrowd_stimulus_paths,
    fetch_osie,
    load_eyecrowd,
    load_eyecrowd_faces,
    load_osie,
    osie_stimulus_paths,
)
from attnsci.data.gaze_mat import find_cells, find_structs, load_mat, structs_to_frame
from attnsci.data.registry import get_dataset
from attnsci.errors import (
    ChecksumMismatch,
    DatasetCorrupt,
    DatasetNotFound,
    InvalidInput,
    OfflineError,
)
from attnsci.gaze import viewing_of


@pytest.fixture(scope="module")
def osie(data_root):
    return load_osie(data_root)


@pytest.fixture(scope="module")
def eyecrowd(data_root):
    return load_eyecrowd(data_root)


@pytest.mark.data
def test_osie_has_the_published_counts(osie):
    length = osie["n_fixations"].to_numpy()
    assert osie.sizes["scanpath"] == 10_500 and length.sum() == 98_321
    assert len(np.unique(osie["image"])) == 700 and len(np.unique(osie["observer"])) == 15
    assert (length.min(), length.max()) == (1, 22) and round(length.mean(), 2) == 9.36
    assert ((length < 3).sum(), (length == 1).sum()) == (11, 6)
    assert (float(osie["x"].min()), float(osie["x"].max())) == (1.2, 799.2)
    assert (float(osie["y"].min()), float(osie["y"].max())) == (1.2, 599.2)
    duration = osie["duration"].to_numpy() * 1e3
    assert np.nanmin(duration) == 20 and np.nanmax(duration) == 1975
    assert round(np.nanmean(duration), 2) == 214.34 and np.nanmedian(duration) == 190
    assert viewing_of(osie).width_px == 800 and viewing_of(osie).px_per_deg == 24
    assert osie.attrs["licence"] == "MIT" and "14(1):28" in osie.attrs["citation"]


@pytest.mark.data
def test_osie_begins_as_stored(osie):
    first = osie.isel(scanpath=0)
    assert (first["image"].item(), first["observer"].item()) == ("1001.jpg", "1")
    assert first["x"].to_numpy()[:3].tolist() == [395.5, 390.6, 370.8]
    assert first["y"].to_numpy()[:3].tolist() == [265.7, 326.4, 404.2]
    assert first["duration"].to_numpy()[:3].tolist() == [0.246, 0.136, 0.179]


@pytest.mark.data
def test_osie_of_both_files_is_equal_element_by_element(osie, data_root, tmp_path):
    assert (data_root / "gaze/osie/fixations.csv.gz").exists()  # which the fixture then read
    (tmp_path / "fixations.mat").symlink_to(data_root / "gaze/osie/fixations.mat")
    assert load_osie(tmp_path).identical(osie)


@pytest.mark.data
def test_osie_test_split_is_the_published_list(data_root):
    listed = (data_root / "gaze/osie/test_split_70.txt").read_text().split()
    assert [f"{number}.jpg" for number in OSIE_TEST] == listed
    part = load_osie(data_root, split="test70")
    assert part.sizes["scanpath"] == 70 * 15
    assert sorted(set(part["image"].to_numpy())) == sorted(listed)
    with pytest.raises(InvalidInput, match=r"split.*test70.*'train'"):
        load_osie(data_root, split="train")


@pytest.mark.data
def test_eyecrowd_has_the_published_counts(eyecrowd):
    length = eyecrowd["n_fixations"].to_numpy()
    assert eyecrowd.sizes["scanpath"] == 7_997 and length.sum() == 126_348
    assert length.min() > 0 and length.max() == 25
    assert len(np.unique(eyecrowd["image"])) == 500
    assert len(np.unique(eyecrowd["observer"])) == 16
    assert (float(eyecrowd["x"].min()), float(eyecrowd["x"].max())) == (1.0, 1024.0)
    assert (float(eyecrowd["y"].min()), float(eyecrowd["y"].max())) == (1.9, 768.0)
    duration = eyecrowd["duration"].to_numpy() * 1e3
    assert np.nanmin(duration) == 21 and np.nanmax(duration) == 3833
    assert round(np.nanmean(duration)) == 232
    assert viewing_of(eyecrowd).px_per_deg is None


@pytest.mark.data
def test_the_larger_set_is_read_well_under_a_second(data_root):
    load_eyecrowd(data_root)
    begin = time.process_time()
    load_eyecrowd(data_root)
    assert time.process_time() - begin < 1


@pytest.mark.data
def test_faces(data_root):
    faces = load_eyecrowd_faces(data_root)
    assert len(faces) == 9_778
    assert faces.dtypes[["frontal", "occluded"]].astype(str).tolist() == ["bool", "bool"]
    assert faces["left"].iloc[0] == pytest.approx(85.50869565217386)
    assert faces["image"].iloc[0] == "001.jpg"


@pytest.mark.data
def test_pictures_have_the_names_of_the_scanpaths(data_root, osie, eyecrowd):
    pictures = osie_stimulus_paths(data_root)
    assert len(pictures) == 108 and set(pictures) <= set(osie["image"].to_numpy())
    crowds = eyecrowd_stimulus_paths(data_root)
    assert len(crowds) == 50 and set(crowds) <= set(eyecrowd["image"].to_numpy())


def test_missing_files_are_listed_with_the_way_to_get_them(tmp_path):
    with pytest.raises(DatasetNotFound, match=r"fixations\.mat(.|\n)*attnsci datasets get osie"):
        load_osie(tmp_path)
    with pytest.raises(DatasetNotFound, match="stimuli"):
        osie_stimulus_paths(tmp_path)
    with pytest.raises(InvalidInput, match=r"1\.2 MB(.|\n)*saliency-in-crowd"):
        get("eyecrowd")
    with pytest.raises(OfflineError, match=r"4a467890\w+/data/eye/fixations\.mat"):
        fetch_osie(offline=True, force=True)


def struct_file(path, scanpaths):
    """Write an OSIE-family file: {image: [(x, y, duration in ms), ...]}."""
    images = np.empty((len(scanpaths), 1), object)
    for row, (name, subjects) in enumerate(scanpaths.items()):
        cells = np.empty((len(subjects), 1), object)
        for column, (x, y, duration) in enumerate(subjects):
            cells[column, 0] = {
                "fix_x": np.array([x], float),
                "fix_y": np.array([y], float),
                "fix_duration": np.array([duration], np.uint8),
            }
        images[row, 0] = {"img": name, "subjects": cells}
    scipy.io.savemat(path, {"fixations": images})


def test_other_numbers_under_the_name_of_a_set_are_refused(tmp_path):
    struct_file(tmp_path / "fixations.mat", {"001.jpg": [([1, 2], [3, 4], [200, 250])]})
    with pytest.raises(ChecksumMismatch, match="does not hold the fixations of OSIE"):
        load_osie(tmp_path)
    with pytest.raises(DatasetCorrupt, match="2 fixations on 1 images; EyeCrowd has 126348"):
        load_eyecrowd(tmp_path)


def test_a_changed_table_is_refused(tmp_path):
    table = b"image,observer,fixation,x,y,duration_ms\n001.jpg,1,0,1,2,3\n"
    (tmp_path / "fixations.csv.gz").write_bytes(gzip.compress(table))
    with pytest.raises(ChecksumMismatch, match="expected sha256"):
        load_eyecrowd(tmp_path)
    (tmp_path / "fixations.csv.gz").write_bytes(b"no gzip")
    with pytest.raises(DatasetCorrupt, match="Is it whole"):
        load_osie(tmp_path)


def test_single_fixations_and_small_integers_of_structs(tmp_path):
    path = tmp_path / "f.mat"
    struct_file(path, {"a": [([1], [2], [255]), ([], [], []), ([3, 4], [5, 6], [250, 10])]})
    frame = structs_to_frame(find_structs(load_mat(path)))
    assert frame["observer"].tolist() == [1, 3, 3] and frame["fixation"].tolist() == [0, 0, 1]
    assert frame["duration_ms"].tolist() == [255, 250, 10]
    assert frame["duration_ms"].sum() == 515  # uint8 would have wrapped


def test_structs_of_unequal_lengths_name_the_scanpath(tmp_path):
    struct_file(tmp_path / "f.mat", {"a": [([1, 2], [1, 2], [100])]})
    structs = find_structs(load_mat(tmp_path / "f.mat"))
    with pytest.raises(DatasetCorrupt, match=r"observer 1 on image 'a' has 2 fix_x, 2 fix_y, 1"):
        structs_to_frame(structs)


def test_a_file_of_something_else_is_neither_form(tmp_path):
    scipy.io.savemat(tmp_path / "f.mat", {"a": np.eye(3), "b": "text"})
    variables = load_mat(tmp_path / "f.mat")
    assert find_structs(variables) is None and find_cells(variables) is None
    (tmp_path / "g.mat").write_bytes(b"no matlab" * 50)
    with pytest.raises(DatasetCorrupt, match=r"g\.mat is no whole MATLAB file. It does not begin"):
        load_mat(tmp_path / "g.mat")


def test_registry_holds_the_checksum_that_others_know():
    assert get_dataset("osie").files[0].md5 == "8efdf6fe66f38b6e70f854c7ff45aa70"
