"""BIDS physioevents: positions of events or samples, trials three ways, sidecars, bad files."""

import gzip
import json
import math
import warnings

import numpy as np
import pytest

from attnsci.errors import AttnsciError, DatasetCorrupt, DatasetNotFound, InvalidInput
from attnsci.gaze import to_frame, viewing_of
from attnsci.geometry import Viewing
from attnsci.scanpaths.formats.io import read_scanpaths

STEM = "sub-01_task-search_run-2_recording-eye1"
PHYSIO = {
    "Columns": ["timestamp", "x_coordinate", "y_coordinate", "pupil_size"],
    "PhysioType": "eyetrack",
    "RecordedEye": "left",
    "SampleCoordinateSystem": "gaze-on-screen",
    "SamplingFrequency": 500,
    "StartTime": 0.5,
    "timestamp": {"Units": "ms"},
    "x_coordinate": {"Units": "pixel"},
    "y_coordinate": {"Units": "pixel"},
}
PHYSIOEVENTS = {
    "Columns": ["onset", "duration", "trial_type", "blink", "message"],
    "OnsetSource": "timestamp",
}
EVENTS = {
    "StimulusPresentation": {
        "ScreenDistance": 0.6,
        "ScreenOrigin": ["top", "left"],
        "ScreenResolution": [1024, 768],
        "ScreenSize": [0.386, 0.29],
    }
}
ROWS = [
    [7000, "n/a", "n/a", "n/a", '"RECCFG CR 500 2 0 L"'],
    [7004, "n/a", "n/a", "n/a", "TRIALID cat.jpg"],
    [7010, 20, "fixation", 0, "n/a"],
    [7030, 10, "saccade", 0, "n/a"],
    [7040, 40, "fixation", 0, "n/a"],
    [7090, "n/a", "n/a", "n/a", "TRIALID dog.jpg"],
    [7100, 10, "fixation", 0, "n/a"],
]
ticks = np.arange(7000, 7200, 2)
X, Y = (ticks - 7000) * 1.5, 700 - (ticks - 7000.0)


def tsv(rows):
    return gzip.compress("".join("\t".join(map(str, row)) + "\n" for row in rows).encode())


@pytest.fixture
def bids(tmp_path):
    """Write a data set with inheritance, and return the events' path."""
    folder = tmp_path / "sub-01" / "beh"
    folder.mkdir(parents=True)

    def write(rows=ROWS, physio=PHYSIO, physioevents=PHYSIOEVENTS, events=EVENTS, samples=None):
        (tmp_path / "dataset_description.json").write_text("{}")
        (tmp_path / "task-search_physioevents.json").write_text(json.dumps(physioevents))
        general = {**physio, "StartTime": 99}
        (tmp_path / "task-search_physio.json").write_text(json.dumps(general))
        own = {"StartTime": physio["StartTime"]} if "StartTime" in physio else {}
        (folder / f"{STEM}_physio.json").write_text(json.dumps(own))
        (tmp_path / "task-other_events.json").write_text("no JSON, and not for this task")
        if events is not None:
            (folder / "sub-01_task-search_run-2_events.json").write_text(json.dumps(events))
        given = np.column_stack([ticks, X, Y, ticks]) if samples is None else samples
        (folder / f"{STEM}_physio.tsv.gz").write_bytes(tsv(np.array(given, object)))
        path = folder / f"{STEM}_physioevents.tsv.gz"
        path.write_bytes(rows if isinstance(rows, bytes) else tsv(rows))
        return path

    return write


def test_positions_are_means_of_the_samples(bids):
    found = read_scanpaths(bids())
    assert found.attrs["format"] == "bids"
    frame = to_frame(found)
    assert frame["image"].tolist() == ["cat.jpg", "cat.jpg", "dog.jpg"]
    assert frame["onset"].tolist() == [0.006, 0.036, 0.01]
    assert frame["duration"].tolist() == [0.02, 0.04, 0.01]
    for row, (start, last) in enumerate([(7010, 7028), (7040, 7078), (7100, 7108)]):
        held = (ticks >= start) & (ticks <= last)
        assert frame["x"][row] == pytest.approx(X[held].mean(), abs=1e-9)
        assert frame["y"][row] == pytest.approx(Y[held].mean(), abs=1e-9)
    assert set(frame["observer"]) == {"01"} and set(frame["task"]) == {"search"}


def test_screen_is_the_geometry(bids):
    expected = 2 * 60 * math.tan(math.radians(0.5)) * 1024 / 38.6
    assert viewing_of(read_scanpaths(bids())) == Viewing(1024, 768, px_per_deg=expected)


def test_positions_in_the_events(bids):
    about = {
        **PHYSIOEVENTS,
        "Columns": [*PHYSIOEVENTS["Columns"], "x_coordinate", "y_coordinate"],
        "x_coordinate": {"Units": "px"},
        "y_coordinate": {"Units": "px"},
    }
    rows = [[*row, 10 + n, 20.5] if row[2] == "fixation" else [*row, "n/a", "n/a"]
            for n, row in enumerate(ROWS)]  # fmt: skip
    path = bids(rows, physioevents=about)
    path.with_name(f"{STEM}_physio.tsv.gz").unlink()
    frame = to_frame(read_scanpaths(path))
    assert frame[["x", "y"]].to_numpy().tolist() == [[12, 20.5], [14, 20.5], [16, 20.5]]


def test_invalid_samples_do_not_count(bids):
    samples = np.column_stack([ticks, X, Y, ticks]).astype(object)
    samples[5:9, 1:3] = "n/a"  # 7010 to 7016
    samples[50:55, 1] = "n/a"  # all of the last
    with pytest.warns(UserWarning, match="1 of 3 fixations without a position"):
        frame = to_frame(read_scanpaths(bids(samples=samples)))
    held = (ticks >= 7018) & (ticks <= 7028)
    assert frame["x"][0] == pytest.approx(X[held].mean(), abs=1e-9)


def test_onsets_as_rows_and_durations_in_seconds(bids):
    rows = [[(row[0] - 7000) // 2, *row[1:]] for row in ROWS]
    rows = [[row[0], row[1] / 1000 if row[1] != "n/a" else "n/a", *row[2:]] for row in rows]
    physio = {name: value for name, value in PHYSIO.items() if name != "timestamp"}
    path = bids(rows, physio, {**PHYSIOEVENTS, "OnsetSource": "n/a"})
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", ".*median fixation")
        one = to_frame(read_scanpaths(path))
    two = to_frame(read_scanpaths(bids()))
    np.testing.assert_allclose(one[["x", "y", "onset"]], two[["x", "y", "onset"]], atol=1e-9)
    np.testing.assert_allclose(one["duration"], two["duration"], atol=1e-12)


def test_units_of_durations(bids):
    rows = [[row[0], row[1] / 1000 if row[1] != "n/a" else "n/a", *row[2:]] for row in ROWS]
    stated = bids(rows, physioevents={**PHYSIOEVENTS, "duration": {"Units": "s"}})
    assert to_frame(read_scanpaths(stated))["duration"].tolist() == [0.02, 0.04, 0.01]
    silent = bids(rows)
    assert to_frame(read_scanpaths(silent, duration_unit="s"))["duration"][1] == 0.04
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert to_frame(read_scanpaths(silent))["duration"][1] == pytest.approx(4e-5)


def test_trials_of_the_tasks_events(bids):
    path = bids()
    # The task's clock stands at 0.5 s when the samples begin.
    task = "onset\tduration\tstim_file\n0.503\t0.04\tb.png\n0.6\t0.05\ta.png\n0.7\t1\tn/a\n"
    path.with_name("sub-01_task-search_run-2_events.tsv").write_text(task)
    found = read_scanpaths(path)
    frame = to_frame(found)
    assert frame["image"].tolist() == ["b.png", "b.png", "a.png"]
    np.testing.assert_allclose(frame["onset"], [0.007, 0.037, 0.0], atol=1e-9)
    assert "stim_file" in found.attrs["steps"]
    path.with_name("sub-01_task-search_run-2_events.tsv").write_text(task.replace("0.04", "0.02"))
    with pytest.warns(UserWarning, match="1 of 3 fixations while no image was on"):
        read_scanpaths(path)


def test_quotes_in_messages_are_text(bids):
    rows = [[*row[:4], {"TRIALID cat.jpg": '"TRIALID cat.jpg"'}.get(row[4], row[4])]
            for row in ROWS]  # fmt: skip
    rows[0] = [*rows[0][:4], 'a lone " in a message']
    assert read_scanpaths(bids(rows))["image"].values.tolist() == ["cat.jpg", "dog.jpg"]


def test_without_markers_the_recording_is_one(bids):
    found = read_scanpaths(bids([row for row in ROWS if "TRIALID" not in str(row[4])]))
    assert found["image"].values.tolist() == ["task-search_run-2"]
    assert to_frame(found)["onset"].tolist() == [0, 0.03, 0.09]


@pytest.mark.parametrize(
    ("origin", "first"),
    [(["bottom", "left"], lambda x, y: (x, 768 - y)),
     (["center", "center"], lambda x, y: (x + 512, 384 - y))],
)  # fmt: skip
def test_origins(bids, origin, first):
    screen = {**EVENTS["StimulusPresentation"], "ScreenOrigin": origin}
    plain = to_frame(read_scanpaths(bids()))
    moved = to_frame(read_scanpaths(bids(events={"StimulusPresentation": screen})))
    x, y = first(plain["x"], plain["y"])
    np.testing.assert_allclose(moved[["x", "y"]], np.column_stack([x, y]), atol=1e-9)


def test_given_viewing_needs_no_screen(bids):
    viewing = Viewing(512, 384, offset_px=(256, 192))
    one = to_frame(read_scanpaths(bids(events=None), viewing))
    two = to_frame(read_scanpaths(bids()))
    np.testing.assert_allclose(one["x"], two["x"] - 256, atol=1e-9)
    with pytest.raises(InvalidInput, match=r"sub-01\.\.\._events.json has no StimulusPresentation"):
        path = bids(events=None)
        path.with_name("sub-01_task-search_run-2_events.json").unlink()
        read_scanpaths(path)


def _without(table, *path):
    *above, last = path
    copy = json.loads(json.dumps(table))
    place = copy
    for name in above:
        place = place[name]
    del place[last]
    return copy


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"physioevents": _without(PHYSIOEVENTS, "OnsetSource")}, "events.json has no OnsetS"),
        ({"physioevents": _without(PHYSIOEVENTS, "Columns")}, "has no Columns"),
        ({"physioevents": {**PHYSIOEVENTS, "Columns": ["onset"]}}, r"has 5 columns; Columns in"),
        ({"physioevents": {**PHYSIOEVENTS, "Columns": list("abcde")}}, "does not name 'onset'"),
        ({"physioevents": {**PHYSIOEVENTS, "OnsetSource": "clock"}}, "has no clock.Units"),
        ({"physio": _without(PHYSIO, "timestamp")}, "has no timestamp.Units"),
        ({"physio": {**PHYSIO, "timestamp": {"Units": "fortnight"}}}, "is 'fortnight', none of"),
        ({"physio": _without(PHYSIO, "x_coordinate")}, "has no x_coordinate.Units"),
        ({"physio": {**PHYSIO, "y_coordinate": {"Units": "deg"}}}, "'deg'; read are pixels"),
        ({"physio": {**PHYSIO, "SampleCoordinateSystem": "eye-in-head"}}, "only 'gaze-on-screen'"),
        ({"physio": {**PHYSIO, "Columns": ["timestamp", "a", "b", "c"]}}, "name 'x_coordinate'"),
        ({"events": {}}, "has no StimulusPresentation.ScreenOrigin"),
        *[({"events": _without(EVENTS, "StimulusPresentation", key)}, f"no Stimul.*{key}")
          for key in EVENTS["StimulusPresentation"]],
        ({"events": {"StimulusPresentation": {**EVENTS["StimulusPresentation"],
                                              "ScreenDistance": 60}}}, "must be in metres"),
        ({"events": {"StimulusPresentation": {**EVENTS["StimulusPresentation"],
                                              "ScreenResolution": [1024]}}}, "no two numbers"),
        ({"events": {"StimulusPresentation": {**EVENTS["StimulusPresentation"],
                                              "ScreenOrigin": ["left", "top"]}}}, "none of"),
        ({"rows": [[*ROWS[2][:1], -20, *ROWS[2][2:]]]}, "duration -20; 1 such"),
        ({"rows": [[*ROWS[2][:1], "n/a", *ROWS[2][2:]]]}, "duration nan; 1 such"),
        ({"rows": [["soon", *ROWS[2][1:]]]}, "onset is 'soon', no number, in row 0"),
        ({"rows": ROWS[:2]}, "no row whose trial_type is 'fixation'"),
        ({"rows": b""}, "no whole table"),
        ({"rows": tsv(ROWS)[:60]}, r"physioevents.tsv.gz cannot be read.*Is it whole"),
        ({"samples": [[1, 2]]}, "has 2 columns"),
        ({"samples": [[7000, 1, 2, 3], [6998, 1, 2, 3]]}, "timestamp does not increase"),
        ({"samples": [[7000, "left", 2, 3]]}, "x_coordinate is 'left'"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_named_with_file_and_key(bids, changes, message):
    with pytest.raises(AttnsciError, match=message):
        read_scanpaths(bids(**changes))


def test_missing_files_are_named(bids):
    path = bids()
    path.with_name(f"{STEM}_physio.tsv.gz").unlink()
    with pytest.raises(DatasetNotFound, match=r"samples, .*_physio.tsv.gz, are missing"):
        read_scanpaths(path)
    (path.parents[2] / "task-search_physioevents.json").unlink()
    with pytest.raises(DatasetNotFound, match=r"needs .*_physioevents.json"):
        read_scanpaths(path)
    path.with_name(f"{STEM}_physioevents.json").write_text("[")
    with pytest.raises(DatasetCorrupt, match=r"eye1_physioevents.json is no JSON"):
        read_scanpaths(path)


def test_flipped_bytes_end_in_our_error_or_a_valid_set(bids):
    raw = np.frombuffer(tsv(ROWS), np.uint8)
    rng = np.random.default_rng(0)
    failed = 0
    for _ in range(40):
        damaged = raw.copy()
        damaged[rng.integers(len(raw))] ^= 1 << rng.integers(0, 8)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                read_scanpaths(bids(damaged.tobytes()))
        except AttnsciError:
            failed += 1
    assert failed > 20  # gzip has a checksum
