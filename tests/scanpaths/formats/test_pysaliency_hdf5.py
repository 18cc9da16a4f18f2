"""pysaliency HDF5: the library's own files, round trips, structure, and damaged files."""

import json
import warnings
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from attnsci.errors import AttnsciError, DatasetCorrupt, InvalidInput
from attnsci.gaze import from_arrays, to_frame
from attnsci.geometry import Viewing
from attnsci.scanpaths.formats.io import read_scanpaths, write_scanpaths

VIEWING = Viewing(800, 600)
SAMPLES = {
    "pysaliency": "pysaliency_0.3dev_ScanpathFixations.hdf5",
    "pysaliency_trains": "pysaliency_0.2.22_FixationTrains.hdf5",
}
NAMES = [f"{number}.jpg" for number in range(1001, 1006)]


def _sample(data_root: Path, kind: str) -> Path:
    return data_root / "gaze" / "format_samples" / SAMPLES[kind]


def _structure(path: Path) -> dict:
    found = {}
    with h5py.File(path) as file:

        def visit(name, place):
            attributes = {
                key: (place.attrs[key], place.attrs.get_id(key).dtype) for key in place.attrs
            }
            shape = (place.shape, place.dtype) if isinstance(place, h5py.Dataset) else None
            found[name] = (attributes, shape)

        visit("/", file)
        file.visititems(visit)
    return found


def _paths(**changes):
    given = {
        "x": [[10.5, 20, 30], [40], []],
        "y": [[1, 2, 3], [4], []],
        "duration": [[0.2, 0.3, 0.25], [0.4], []],
        "image": ["0", "1", "1"],
        "observer": ["5", "5", "6"],
        "viewing": VIEWING,
    }
    return from_arrays(**{**given, **changes})


@pytest.mark.data
@pytest.mark.parametrize("kind", SAMPLES)
def test_the_librarys_files_are_osie(data_root, kind):
    found = read_scanpaths(_sample(data_root, kind), VIEWING, images=NAMES)
    assert found.attrs["format"] == kind
    frame = to_frame(found)
    assert (found.sizes["scanpath"], len(frame)) == (75, 685)
    table = pd.read_csv(data_root / "gaze" / "osie" / "fixations.csv.gz")
    table = table[table["image"].isin(NAMES)].sort_values(["image", "observer", "fixation"])
    frame["observer"] = frame["observer"].astype(int) + 1  # the files count from 0
    frame = frame.sort_values(["image", "observer", "fixation"])
    for column in ("image", "observer", "fixation", "x", "y"):
        np.testing.assert_array_equal(frame[column], table[column])
    np.testing.assert_allclose(frame["duration"] * 1000, table["duration_ms"], atol=1e-9)
    assert "onset" not in found  # their times are cumulated durations
    assert "cumulated durations" in found.attrs["steps"]


@pytest.mark.data
@pytest.mark.parametrize("kind", SAMPLES)
def test_written_as_the_library_writes(data_root, kind, tmp_path):
    found = read_scanpaths(_sample(data_root, kind), VIEWING)
    write_scanpaths(found, tmp_path / "a.hdf5", kind)
    assert _structure(tmp_path / "a.hdf5") == _structure(_sample(data_root, kind))
    with h5py.File(tmp_path / "a.hdf5") as ours, h5py.File(_sample(data_root, kind)) as theirs:
        for name, (_, shape) in _structure(_sample(data_root, kind)).items():
            if shape:
                np.testing.assert_allclose(ours[name][...], theirs[name][...], atol=1e-12)


@pytest.mark.parametrize("kind", SAMPLES)
def test_second_write_has_the_same_bytes(kind, tmp_path):
    first, second = tmp_path / "a.hdf5", tmp_path / "b.hdf5"
    write_scanpaths(_paths(), first, kind)
    write_scanpaths(read_scanpaths(first, VIEWING), second, kind)
    assert first.read_bytes() == second.read_bytes()


def test_the_name_says_which_generation(tmp_path):
    assert write_scanpaths(_paths(), tmp_path / "a.hdf5") == "pysaliency"
    assert write_scanpaths(_paths(), tmp_path / "a.trains.h5") == "pysaliency_trains"


numbers = st.floats(-1e6, 1e6, allow_nan=False)


@st.composite
def sets(draw):
    lengths = draw(st.lists(st.integers(0, 5), min_size=1, max_size=6))

    def rows(values):
        return [draw(st.lists(values, min_size=n, max_size=n)) for n in lengths]

    durations = [
        row if draw(st.booleans()) else [np.nan] * len(row)
        for row in rows(st.floats(0, 10, allow_nan=False))
    ]
    made = from_arrays(
        rows(numbers),
        rows(numbers),
        durations,
        image=[str(n // 3) for n in range(len(lengths))],
        observer=[str(n % 3) for n in range(len(lengths))],
        viewing=VIEWING,
        n_fixations=lengths,
        task=draw(
            st.lists(st.text("abcäß", min_size=1), min_size=len(lengths), max_size=len(lengths))
        ),
    )
    if draw(st.booleans()):
        onset = np.full(made["x"].shape, np.nan)
        inside = np.arange(onset.shape[1]) < np.array(lengths)[:, None]
        # No running sum of durations begins before 0.
        onset[inside] = (np.cumsum(np.ones(onset.shape), 1) * 0.3 - 7)[inside]
        made = made.assign(onset=(("scanpath", "fixation"), onset))
    return made


@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(made=sets())
@pytest.mark.parametrize("kind", SAMPLES)
def test_what_is_written_is_read_back(made, kind, tmp_path):
    write_scanpaths(made, tmp_path / "a.hdf5", kind)
    with warnings.catch_warnings():
        warnings.filterwarnings(
            "ignore", "(?s).*(median fixation lasts|farther off the image|between 0 and 1)"
        )
        back = read_scanpaths(tmp_path / "a.hdf5", VIEWING)
    if not int(made["n_fixations"].sum()):
        made = made.drop_vars("onset", errors="ignore")
    assert set(back.variables) == set(made.variables)
    for name in made.variables:
        ours, theirs = made[name].to_numpy(), back[name].to_numpy()
        if ours.dtype.kind == "f":
            np.testing.assert_array_equal(ours, theirs)
        else:
            assert ours.tolist() == theirs.tolist()


def test_images_keep_the_numbers_of_their_set(tmp_path):
    numbered = _paths(image=["3", "1", "1"]).assign_attrs(images=json.dumps(list("01234")))
    write_scanpaths(numbered, tmp_path / "a.hdf5")
    with h5py.File(tmp_path / "a.hdf5") as file:
        assert file["scanpaths/n"][...].tolist() == [3, 1, 1]
    with pytest.raises(InvalidInput, match="lists no image '3'"):
        write_scanpaths(numbered.assign_attrs(images='["1"]'), tmp_path / "b.hdf5")
    with pytest.warns(UserWarning, match="'cat' is written as 0"):
        write_scanpaths(_paths(image=["cat", "dog", "dog"]), tmp_path / "c.hdf5")
    back = read_scanpaths(tmp_path / "c.hdf5", VIEWING, images=["cat", "dog", "owl"])
    assert back["image"].values.tolist() == ["cat", "dog", "dog"]
    for images, message in ((["cat"], "has 1"), (["cat", "cat"], "twice")):
        with pytest.raises(InvalidInput, match=message):
            read_scanpaths(tmp_path / "c.hdf5", VIEWING, images=images)


def test_names_of_observers(tmp_path):
    named = _paths(observer=["anna", "01", "bé"])
    write_scanpaths(named, tmp_path / "a.hdf5")
    back = read_scanpaths(tmp_path / "a.hdf5", VIEWING)
    assert back["observer"].values.tolist() == ["anna", "01", "bé"]
    with pytest.raises(InvalidInput, match=r"whole numbers; here are \['anna', "):
        write_scanpaths(named, tmp_path / "b.hdf5", "pysaliency_trains")


def test_times_without_durations_count_and_are_no_onsets(tmp_path):
    write_scanpaths(_paths(duration=None), tmp_path / "a.hdf5")
    with h5py.File(tmp_path / "a.hdf5") as file:
        assert list(file["scanpaths/fixation_attributes"]) == ["ts"]
        assert file["scanpaths/fixation_attributes/ts"][0].tolist() == [0, 1, 2]
    assert "onset" not in read_scanpaths(tmp_path / "a.hdf5", VIEWING)


def test_measured_times_are_onsets(tmp_path):
    write_scanpaths(_paths(), tmp_path / "a.hdf5")
    with h5py.File(tmp_path / "a.hdf5", "r+") as file:
        ts = file["scanpaths/fixation_attributes/ts"]
        ts[0] = [0.1, 0.35, 0.7]
    back = read_scanpaths(tmp_path / "a.hdf5", VIEWING)
    assert back["onset"].values[0].tolist() == [0.1, 0.35, 0.7]


def test_other_versions(tmp_path):
    write_scanpaths(_paths(), tmp_path / "a.hdf5", "pysaliency_trains")
    with h5py.File(tmp_path / "a.hdf5", "r+") as file:
        file.attrs["version"] = np.bytes_("1.0")  # nothing but the paths
        for name in ("scanpath_attributes", "scanpath_fixation_attributes"):
            del file[name]
        del file.attrs["scanpath_attribute_mapping"]
    back = read_scanpaths(tmp_path / "a.hdf5", VIEWING)
    assert back["n_fixations"].values.tolist() == [3, 1, 0]
    assert back["duration"].isnull().all()
    with h5py.File(tmp_path / "a.hdf5", "r+") as file:
        file.attrs["version"] = "1.3"  # lengths of their own, and text as text
        file["train_lengths"] = [2, 1, 0]
    assert read_scanpaths(tmp_path / "a.hdf5", VIEWING)["n_fixations"].values.tolist() == [2, 1, 0]
    with h5py.File(tmp_path / "a.hdf5", "r+") as file:
        file.attrs["version"] = "2.0"
    with pytest.raises(DatasetCorrupt, match=r"version '2.0'"):
        read_scanpaths(tmp_path / "a.hdf5", VIEWING)


def test_what_there_is_no_place_for_is_named(tmp_path):
    write_scanpaths(_paths(), tmp_path / "a.hdf5")
    with h5py.File(tmp_path / "a.hdf5", "r+") as file:
        group = file["scanpaths/scanpath_attributes"]
        group["age"] = [30, 31, 32]
        group.attrs["__attributes__"] = np.bytes_('["age", "subject"]')
    assert "left out age" in read_scanpaths(tmp_path / "a.hdf5", VIEWING).attrs["steps"]


def test_a_second_look_at_an_image_is_another_sample(tmp_path):
    write_scanpaths(_paths(), tmp_path / "a.hdf5")
    with h5py.File(tmp_path / "a.hdf5", "r+") as file:
        file["scanpaths/scanpath_attributes/subject"][...] = 5
    back = read_scanpaths(tmp_path / "a.hdf5", VIEWING)
    assert back["sample"].values.tolist() == ["0", "0", "1"]


def _change(name, value):
    def change(file):
        del file[name]
        if value is not None:
            file[name] = value

    return change


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (_change("scanpaths/xs", None), "xs"),
        (_change("scanpaths/xs", np.zeros((2, 3))), r"ys is \(3, 3\) and xs \(2, 3\)"),
        (_change("scanpaths/xs", np.zeros(3)), "must be"),
        (_change("scanpaths/xs", np.full((3, 3), b"a")), "xs holds .S1, not numbers"),
        (_change("scanpaths/n", [0, 1]), r"n is \(2,\) for 3 rows"),
        (_change("scanpaths/n", [0, 1, -1]), "holds -1 to 1"),
        (_change("scanpaths/n", [0, 1, 2**60]), "must be places"),
        (_change("scanpaths/n", [0.0, 1.0, 0.5]), "must be places"),
        (_change("scanpaths/length", [3, 1, 9]), "it must be 0 to 3"),
        (_change("scanpaths/length", [3, 2, 0]), "no finite coordinates"),
        (_change("scanpaths/fixation_attributes/durations", np.full((3, 3), -0.1)), "negative"),
        (_change("scanpaths/fixation_attributes/ts", np.array([[3.0, 2, 1]] * 3)), "begins before"),
        (_change("scanpaths/scanpath_attributes/subject", None), "subject"),
        (lambda file: file.attrs.pop("type"), "type"),
        (lambda file: file["scanpaths"].attrs.pop("type") and file.clear(), "scanpaths"),
    ],
)  # fmt: skip
def test_broken_contents_end_in_our_error(change, message, tmp_path):
    write_scanpaths(_paths(), tmp_path / "a.hdf5")
    with h5py.File(tmp_path / "a.hdf5", "r+") as file:
        change(file)
    with pytest.raises(AttnsciError, match=message):
        read_scanpaths(tmp_path / "a.hdf5", VIEWING, "pysaliency")


def test_viewing_is_needed(tmp_path):
    write_scanpaths(_paths(), tmp_path / "a.hdf5")
    with pytest.raises(InvalidInput, match="how large the images were"):
        read_scanpaths(tmp_path / "a.hdf5")


@pytest.mark.parametrize("kind", SAMPLES)
def test_cut_or_flipped_files_end_in_our_error_or_whole_sets(kind, tmp_path):
    whole = tmp_path / "a.hdf5"
    write_scanpaths(_paths(), whole, kind)
    raw, broken = whole.read_bytes(), tmp_path / "b.hdf5"
    rng = np.random.default_rng(0)
    failed = 0
    for turn in range(120):
        if turn < 20:
            damaged = raw[: int(rng.integers(len(raw)))]
        else:
            array = np.frombuffer(raw, np.uint8).copy()
            array[rng.integers(len(array), size=8)] ^= rng.integers(1, 256, 8).astype(np.uint8)
            damaged = array.tobytes()
        broken.write_bytes(damaged)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                read_scanpaths(broken, VIEWING, kind)
        except AttnsciError:
            failed += 1
    assert failed >= 20
