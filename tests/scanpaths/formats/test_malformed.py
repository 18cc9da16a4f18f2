"""Damaged files of every format: our error, or scanpaths that keep the contract; nothing else."""

import gzip
import json
import warnings

import numpy as np
import pytest
import scipy.io
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from attnsci.errors import AttnsciError
from attnsci.gaze import from_arrays, validate
from attnsci.geometry import Viewing
from attnsci.scanpaths.formats.base import registered
from attnsci.scanpaths.formats.io import read_scanpaths, write_scanpaths

VIEWING = Viewing(800, 600, px_per_deg=24)
PATHS = from_arrays(
    [[10.5, 200, 300.25], [40.5, 1e3], [7]], [[5.5, 100, 20], [60, 599], [8]],
    [[0.2, 0.31, 0.15], [0.25, 0.5], [0.125]],
    image=["0", "0", "1"], observer=["1", "2", "1"], viewing=VIEWING,
)  # fmt: skip


def written(name, end):
    def build(folder):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)
            write_scanpaths(PATHS, folder / f"set{end}", format=name)
        return folder / f"set{end}"

    return build


def structs(folder):
    images = np.empty((2, 1), object)
    for row in range(2):
        subjects = np.empty((2, 1), object)
        for column in range(2):
            subjects[column, 0] = {
                "fix_x": np.array([[10.5, 20]]),
                "fix_y": np.array([[30.5, 40]]),
                "fix_duration": np.array([[200, 250]], np.uint8),
            }
        images[row, 0] = {"img": f"{row}.jpg", "subjects": subjects}
    scipy.io.savemat(folder / "set.mat", {"fixations": images})
    return folder / "set.mat"


def cells(folder):
    made = np.empty((2, 2), object)
    for place in np.ndindex(2, 2):
        made[place] = np.array([[30, 40, 0.1, 0.2], [50, 60, 0.4, 0.3]])
    scipy.io.savemat(folder / "set.mat", {"fixations": made}, do_compression=True)
    return folder / "set.mat"


def keyed_by_image(folder):
    record = {"subject": "01", "image_height": 600, "image_width": 800, "X": [1.0, 2],
              "Y": [3.0, 4], "T": [100, 200], "target_bbox": [1, 2, 3, 4]}  # fmt: skip
    (folder / "set.json").write_text(json.dumps({"a.jpg": record, "b.jpg": record}))
    return folder / "set.json"


def eyelink(folder):
    lines = ["** CONVERTED FROM s.edf", "MSG 100 DISPLAY_COORDS 0 0 799 599"]
    for trial in range(3):
        start = 1000 * trial + 1000
        lines += [
            f"MSG {start} TRIALID {trial}",
            f"START {start + 1} LEFT SAMPLES EVENTS",
            f"EFIX L {start + 50} {start + 249} 200 640.0 512.0 700",
            f"EFIX L {start + 300} {start + 399} 100 100.5 200.5 .",
            f"END {start + 500} SAMPLES EVENTS RES 37 37",
        ]
    (folder / "set.asc").write_text("\n".join(lines) + "\n")
    return folder / "set.asc"


def bids(folder):
    stem = "sub-01_task-look_recording-eye1"
    rows = "".join(f"{100 * n}\t80\tfixation\t{n * 10.5}\t{n * 5.5}\tn/a\n" for n in range(1, 5))
    table = "50\t0\tn/a\tn/a\tn/a\tTRIALID a.jpg\n" + rows
    units = {"x_coordinate": {"Units": "pixel"}, "y_coordinate": {"Units": "pixel"}}
    time = {"Units": "ms"}
    events = {
        "Columns": ["onset", "duration", "trial_type", "x_coordinate", "y_coordinate", "message"],
        "OnsetSource": "timestamp", "duration": time, **units,
    }  # fmt: skip
    samples = {
        "Columns": ["timestamp", "x_coordinate", "y_coordinate"], "SamplingFrequency": 1000,
        "StartTime": 0, "PhysioType": "eyetrack", "RecordedEye": "left", "timestamp": time,
        "SampleCoordinateSystem": "gaze-on-screen", **units,
    }  # fmt: skip
    screen = {"ScreenDistance": 0.6, "ScreenOrigin": ["top", "left"], "ScreenSize": [0.4, 0.3],
              "ScreenResolution": [800, 600]}  # fmt: skip
    (folder / f"{stem}_physioevents.tsv.gz").write_bytes(gzip.compress(table.encode(), mtime=0))
    (folder / f"{stem}_physioevents.json").write_text(json.dumps(events))
    (folder / f"{stem}_physio.json").write_text(json.dumps(samples))
    (folder / "sub-01_task-look_events.json").write_text(
        json.dumps({"StimulusPresentation": screen})
    )
    return folder / f"{stem}_physioevents.tsv.gz"


def tobii(folder):
    names = ["Recording timestamp [ms]", "Participant name", "Recording name",
             "Presented Stimulus name", "Eye movement type", "Eye movement type index",
             "Gaze event duration [ms]", "Fixation point X [MCS px]",
             "Fixation point Y [MCS px]"]  # fmt: skip
    rows = [f"{n * 300}\tp\tr\ta\tFixation\t{n}\t200\t{n * 10.5}\t{n * 7.5}" for n in range(1, 5)]
    (folder / "set.tsv").write_text("\n".join(["\t".join(names), *rows]) + "\n")
    return folder / "set.tsv"


SAMPLES = {
    "table": [written("table", end) for end in (".csv", ".tsv", ".csv.gz", ".parquet")],
    "mat": [structs, cells],
    "cocosearch": [written("cocosearch", ".json"), keyed_by_image],
    "fixatons": [written("fixatons", "")],
    "multimatch": [written("multimatch", "")],
    "pysaliency": [written("pysaliency", ".hdf5")],
    "pysaliency_trains": [written("pysaliency_trains", ".trains.h5")],
    "eyelink_asc": [eyelink],
    "bids": [bids],
    "tobii": [tobii],
}
BUILDERS = [(name, build) for name, builders in SAMPLES.items() for build in builders]
ODD_CELLS = [b"-7", b"1e308", b"-1e308", b"9" * 400, b"nan", b"inf", b"", b".", b"left", b"0",
             b"1e5", b"0.0002", b"[1, 2]", b"null", b"\xff\xfe", b'"', b"\x00"]  # fmt: skip


def test_every_format_has_a_sample():
    assert set(SAMPLES) == set(registered())


@pytest.mark.parametrize(("name", "build"), BUILDERS)
def test_the_samples_are_whole(tmp_path, name, build):
    found = read_scanpaths(build(tmp_path), VIEWING)
    assert found.attrs["format"] == name and int(found["n_fixations"].sum()) >= 4


def flip(draw, data):
    data = bytearray(data)
    for _ in range(draw(st.integers(1, 8))):
        data[draw(st.integers(0, len(data) - 1))] = draw(st.integers(0, 255))
    return bytes(data)


def cut(draw, data):
    return data[: draw(st.integers(0, len(data) - 1))]


def leave_out(draw, data):
    begin = draw(st.integers(0, len(data) - 1))
    return data[:begin] + data[begin + draw(st.integers(1, 40)) :]


def twice(draw, data):
    begin = draw(st.integers(0, len(data) - 1))
    return data + data[begin:]


def noise(draw, data):
    return draw(st.binary(max_size=200))


def another_cell(draw, data):
    """Put something else in the place of one number or word."""
    import re

    words = list(re.finditer(rb"[^\s,:\[\]{}]+", data))
    word = draw(st.sampled_from(words)) if words else re.search(rb"", data)
    return data[: word.start()] + draw(st.sampled_from(ODD_CELLS)) + data[word.end() :]


def another_line(draw, data):
    """Leave one line out, or have it twice, or exchange two."""
    lines = data.splitlines(keepends=True)
    one, other = (draw(st.integers(0, len(lines) - 1)) for _ in range(2))
    kind = draw(st.sampled_from(["out", "twice", "exchange"]))
    if kind == "out":
        del lines[one]
    elif kind == "twice":
        lines.insert(other, lines[one])
    else:
        lines[one], lines[other] = lines[other], lines[one]
    return b"".join(lines)


DAMAGES = [flip, cut, leave_out, twice, noise, another_cell, another_cell, another_line]


@pytest.mark.parametrize(("name", "build"), BUILDERS)
@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_a_damaged_file_is_an_error_of_ours_or_keeps_the_contract(
    tmp_path_factory, name, build, data
):
    path = build(tmp_path_factory.mktemp("damaged"))
    folder = path if path.is_dir() else path.parent
    files = sorted(file for file in folder.rglob("*") if file.is_file())
    file = data.draw(st.sampled_from(files))
    whole = file.read_bytes()
    damage = data.draw(st.sampled_from(DAMAGES))
    if file.suffix == ".gz" and data.draw(st.booleans()):
        file.write_bytes(gzip.compress(damage(data.draw, gzip.decompress(whole)), mtime=0))
    else:
        file.write_bytes(damage(data.draw, whole))
    read = {"format": name} if data.draw(st.booleans()) else {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # as for a user, whom no warning stops
        try:
            found = read_scanpaths(path, data.draw(st.sampled_from([VIEWING, None])), **read)
        except AttnsciError as error:
            assert len(str(error)) > 15
            return
    validate(found)
    lengths = found["n_fixations"].to_numpy()
    assert lengths.sum() == np.isfinite(found["x"].to_numpy()).sum()
    assert lengths.max(initial=0) == found.sizes["fixation"]


@pytest.mark.parametrize(("name", "build"), BUILDERS)
def test_an_empty_file_is_an_error_or_an_empty_scanpath(tmp_path, name, build):
    path = build(tmp_path)
    if path.is_dir():
        for file in path.rglob("*"):
            if file.is_file():
                file.write_bytes(b"")
    else:
        path.write_bytes(b"")
    try:
        found = read_scanpaths(path, VIEWING, format=name)
    except AttnsciError:
        return
    assert int(found["n_fixations"].sum()) == 0
