"""EyeLink ASC: the public samples, trials before and inside recordings, damaged files."""

import gzip
import warnings

import numpy as np
import pytest

from attnsci.errors import AttnsciError, DatasetCorrupt, InvalidInput
from attnsci.gaze import to_frame, viewing_of
from attnsci.geometry import Viewing
from attnsci.scanpaths.formats.eyelink_asc import parse_events
from attnsci.scanpaths.formats.io import read_scanpaths

HEAD = """** CONVERTED FROM subject.edf using edfapi
** VERSION: EYELINK II 1

MSG\t100 DISPLAY_COORDS 0 0 1279 1023
MSG\t110 !CAL eye check box: (L,R,T,B)
\t  -65     6   -72     7
  -0.00043008  131.07  1.437
"""
# Two trials; the image of each comes 20 ms after it begins, which is told later.
TRIALS = """MSG\t1000 TRIALID cat.jpg
START\t1001 \tLEFT\tSAMPLES\tEVENTS
MSG 1030 10 IMAGE ON
EFIX L   1002\t1015\t14\t  640.0\t  512.0\t    700
EFIX L   1010\t1109\t100\t  641.0\t  512.0\t    700
1050\t  640.0\t  512.0\t  700.0\t...
EBLINK L 1110\t1190\t81
ESACC L  1105\t1195\t91\t  640.0\t  512.0\t  .\t  .\t   .\t    .
EFIX L   1200\t1399\t200\t  100.5\t  200.5\t    .
END\t1400 \tSAMPLES\tEVENTS\tRES\t  37.17\t  37.75
MSG\t1410 !V TRIAL_VAR animal cat
MSG\t2000 TRIALID dog.jpg
START\t2001 \tLEFT\tSAMPLES\tEVENTS
MSG 2020 IMAGE ON
EFIX L   2120\t2219\t100\t  300.0\t  400.0\t    700
END\t2300 \tSAMPLES\tEVENTS\tRES\t  37.17\t  37.75
MSG\t2310 !V TRIAL_VAR animal dog
"""


@pytest.fixture
def asc(tmp_path):
    def write(text, name="subject.asc"):
        path = tmp_path / name
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return path

    return write


@pytest.mark.data
def test_monocular_sample(data_root):
    path = data_root / "gaze" / "format_samples" / "eyelink_monocular_example.asc"
    fixations = parse_events(path).fixations
    assert fixations.drop(columns="block").to_numpy().tolist() == [
        ["L", 2154563, 2154695, 133, 141.0, 132.2, 791],
        ["L", 2339246, 2339290, 45, 638.5, 531.8, 618],
    ]
    found = read_scanpaths(path)
    assert found.attrs["format"] == "eyelink_asc"
    assert viewing_of(found) == Viewing(1280, 1024)
    frame = to_frame(found)
    # By time, though the first ends after 'TRIALID 2', and 'TRIALID 4' of an earlier time is last.
    assert frame["image"].tolist() == ["1", "3"]
    assert frame["duration"].tolist() == [0.133, 0.045]
    assert frame["onset"].tolist() == [0.001, 0.021]
    assert frame["observer"].tolist() == ["eyelink_monocular_example"] * 2


@pytest.mark.data
def test_binocular_sample(data_root):
    path = data_root / "gaze" / "format_samples" / "eyelink_binocular_example.asc"
    events = parse_events(path)
    fixations = events.fixations.drop(columns="block")
    assert fixations["eye"].tolist() == ["L", "R", "L", "R"]
    assert fixations.to_numpy().tolist()[:2] == [
        ["L", 1408667, 1408773, 107, 961.2, 540.5, 284],
        ["R", 1408667, 1408777, 111, 956.3, 541.9, 310],
    ]
    assert (len(events.saccades), len(events.blinks)) == (2, 2)
    with pytest.raises(InvalidInput, match="both eyes"):
        read_scanpaths(path)
    frames = {
        eye: to_frame(read_scanpaths(path, eye=eye, observer="6"))
        for eye in ("left", "right", "average")
    }
    for name in ("x", "y", "duration", "onset"):
        left, right, mean = (frames[eye][name] for eye in frames)
        np.testing.assert_allclose(mean, (left + right) / 2, atol=1e-12)
    assert frames["left"]["x"].tolist() == [961.2, 959.6]
    # Named 199 ms after the recording began: its first fixation belongs to it, too.
    assert frames["left"]["image"].tolist() == ["I902C_low"] * 2
    assert frames["left"]["onset"].tolist() == [-0.199, 0.031]


def test_trials_onsets_and_names(asc):
    path = asc(HEAD + TRIALS)
    frame = to_frame(read_scanpaths(path))
    assert frame["image"].tolist() == ["cat.jpg"] * 3 + ["dog.jpg"]
    assert frame["onset"].tolist() == [0.002, 0.01, 0.2, 0.12]
    assert frame["duration"].tolist() == [0.014, 0.1, 0.2, 0.1]
    assert set(frame["observer"]) == {"subject"}


def test_onsets_from_the_image(asc):
    path = asc(HEAD + TRIALS)
    with pytest.warns(UserWarning, match="1 of 4 fixations that end before the image"):
        found = read_scanpaths(path, image_onset="^IMAGE ON")
    # The message at 1030 tells of 1020.
    assert to_frame(found)["onset"].tolist() == [-0.01, 0.18, 0.1]
    assert "left out 1 of 4" in found.attrs["steps"]
    with pytest.raises(InvalidInput, match=r"'cat.jpg' has no message that matches image_onset="):
        read_scanpaths(path, image_onset="^SYNCTIME$")


def test_image_named_after_the_recording(asc):
    found = read_scanpaths(asc(HEAD + TRIALS), image=r"!V TRIAL_VAR animal (\S+)")
    assert found["image"].values.tolist() == ["cat", "dog"]


def test_recordings_without_markers_are_trials(asc):
    found = read_scanpaths(asc(HEAD + TRIALS.replace("TRIALID", "T")))
    assert found["image"].values.tolist() == ["0", "1"]
    assert to_frame(found)["onset"].tolist() == [0.001, 0.009, 0.199, 0.119]
    assert "each recording is a trial" in found.attrs["steps"]


def test_a_recording_without_a_marker_among_others_is_left_out_and_counted(asc):
    path = asc(HEAD + TRIALS.replace("MSG\t2000 TRIALID dog.jpg\n", ""))
    with pytest.warns(UserWarning, match="1 of 4 fixations of no trial"):
        found = read_scanpaths(path)
    assert found["image"].values.tolist() == ["cat.jpg"]


def test_a_trial_that_comes_again_is_another_sample(asc):
    found = read_scanpaths(asc(HEAD + TRIALS.replace("dog", "cat")))
    assert found["sample"].values.tolist() == ["0", "1"]


def test_lines_in_any_order_and_with_blanks_or_tabs(asc):
    lines = TRIALS.splitlines(keepends=True)
    swapped = [lines[0], lines[1], lines[8], lines[2], lines[4], lines[3], *lines[5:8], *lines[9:]]
    blanks = "".join(swapped).replace("\t", "   ").replace("\n", "\r\n")
    one, two = read_scanpaths(asc(HEAD + TRIALS)), read_scanpaths(asc(HEAD + blanks))
    assert one.identical(two)


def test_eye_that_overlaps_most(asc):
    both = (
        HEAD
        + """MSG\t1000 TRIALID a
START\t1001 \tLEFT\tRIGHT\tSAMPLES\tEVENTS
EFIX L   1010\t1109\t100\t  100.0\t  100.0\t    700
EFIX R   1012\t1061\t50\t  110.0\t  120.0\t    700
EFIX R   1062\t1121\t60\t  300.0\t  300.0\t    700
EFIX R   1200\t1300\t101\t  500.0\t  500.0\t    700
END\t1400 \tSAMPLES\tEVENTS
"""
    )
    found = read_scanpaths(asc(both), eye="average")
    assert to_frame(found)[["x", "y", "onset", "duration"]].to_numpy().tolist() == [
        [105.0, 110.0, 0.011, 0.075]
    ]
    assert "left out 2 of 4 fixations of one eye alone" in found.attrs["steps"]
    with pytest.raises(InvalidInput, match="eye must be one of 'left', 'right', 'average'"):
        read_scanpaths(asc(both), eye="both")
    with pytest.raises(InvalidInput, match="eye must be one of 'left'; got 'right'"):
        read_scanpaths(asc(HEAD + TRIALS), eye="right")


def test_stimulus_smaller_than_the_display(asc):
    viewing = Viewing(640, 512, display_width_px=1280, display_height_px=1024, offset_px=(320, 256))
    found = read_scanpaths(asc(HEAD + TRIALS), viewing)
    assert to_frame(found)[["x", "y"]].to_numpy()[0].tolist() == [320.0, 256.0]
    assert "offset (320, 256)" in found.attrs["steps"]


def test_missing_positions_are_left_out_and_counted(asc):
    lost = TRIALS.replace("100.5\t  200.5", ".\t  .")
    with pytest.warns(UserWarning, match="1 of 4 fixations without a position"):
        found = read_scanpaths(asc(HEAD + lost))
    assert found["n_fixations"].values.tolist() == [2, 1]


def test_gzipped_and_other_encodings(asc):
    text = (HEAD + TRIALS).replace("cat.jpg", "kätzchen.jpg")
    for raw in (gzip.compress(text.encode()), text.encode("latin-1")):
        assert read_scanpaths(asc(raw))["image"].values[0] == "kätzchen.jpg"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: t[: t.index("END\t1400")], "cut short: the recording that begins at 1001"),
        (lambda t: t.replace("\t  300.0", "\n"), "line 22: an EFIX cut short"),
        (lambda t: t.replace("\t    700\nEND", "\nEND"), "an EFIX cut short"),
        (lambda t: t.replace("START\t1001", "INPUT\t1001"), "line 17: the end of a recording that"),
        (
            lambda t: t.replace("START\t2001", "START\t1001"),
            "line 20: a recording that begins twice",
        ),
        (
            lambda t: t.replace("2001 \tLEFT\tSAMPLES\tEVENTS", "2001\nEVENTS\tHREF\tLEFT"),
            "line 21.*HREF",
        ),
        (
            lambda t: t.replace("2001 \tLEFT\tSAMPLES\tEVENTS", "2001\nEVENTS\tPUPIL"),
            "line 21.*PUPIL",
        ),
        (lambda t: t.replace("2001 \tLEFT", "2\u0661"), "line 20: a START without a time"),
        (
            lambda t: t.replace("300.0", "3_00.0"),
            "line 22: an EFIX with '3_00.0', no number: write",
        ),
        (lambda t: t.replace("300.0", "\uff13\uff10"), "its digits are not 0 to 9"),
        (lambda t: t.replace("300.0", "300,0"), "a decimal comma"),
        (lambda t: t + t, "begins twice|comes twice"),
        (
            lambda t: t.replace("EFIX L   2120", "EFIX L 2120\t2219\t100\t1\t1\t7\nEFIX L   2120"),
            "line 23: an EFIX that comes twice",
        ),
        (lambda t: t.replace("1399\t200", "1399\t20"), r"from 1200.0 to 1399.0 of 20.0 ms"),
        (lambda t: t.replace("1200\t1399\t200", "1399\t1200\t-198"), "from 1399.0 to 1200.0"),
        (lambda t: t.replace("100.5", "1o0.5"), "an EFIX with '1o0.5', no number"),
        (lambda t: t.replace("EFIX L", "EFIX X"), "line 11: an EFIX cut short"),
        (lambda t: t.replace("MSG\t2310", "MSG"), "a MSG without a time"),
        (lambda t: t.replace("100.5\t", "inf\t"), "an EFIX with 'inf', no number"),
    ],
)
def test_damaged_files_end_in_our_error(asc, change, message):
    with pytest.raises(AttnsciError, match=message):
        read_scanpaths(asc(change(HEAD + TRIALS)))


@pytest.mark.parametrize(
    ("change", "left"),
    [
        (lambda t: t[: t.index("END\t2300")], "with 1 fixations; the first begins at 2001"),
        (lambda t: t[: t.index("\t  300.0")], "with 0 fixations; the first begins at 2001"),
        (lambda t: t[: t.index("\t    700\nEND\t2300")], "with 0 fixations"),
        (lambda t: t.replace("END\t1400", "INPUT\t1400"), "with 3 fixations; .* begins at 1001"),
    ],
)
def test_a_recording_that_never_ends_is_left_out_and_counted(asc, change, left):
    with pytest.warns(UserWarning, match=f"left out 1 of 2 recordings, which never end, {left}"):
        found = read_scanpaths(asc(change(HEAD + TRIALS)))
    kept = "dog.jpg" if "1001" in left else "cat.jpg"
    assert found["image"].values.tolist() == [kept]
    assert int(found["n_fixations"].sum()) == (1 if kept == "dog.jpg" else 3)
    assert "left out 1 of 2 recordings" in found.attrs["steps"]


@pytest.mark.parametrize("end", ["\r", "\r\n", "\n"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_line_ends_and_encodings_do_not_matter(asc, end, encoding):
    text = (HEAD + TRIALS).replace("cat", "kätzchen").replace("\n", end)
    found = read_scanpaths(asc(text.encode(encoding)))
    assert found["image"].values.tolist() == ["kätzchen.jpg", "dog.jpg"]
    assert found["n_fixations"].values.tolist() == [3, 1]


def test_a_display_is_four_numbers_that_stand_apart(asc):
    with pytest.raises(InvalidInput, match="no display"):
        read_scanpaths(asc((HEAD + TRIALS).replace("0 0 1279 1023", "1279")))


def test_files_without_fixations(asc):
    samples = "".join(line for line in TRIALS.splitlines(True) if not line.startswith("EFIX"))
    with pytest.raises(InvalidInput, match=r"no fixations \(EFIX lines\)"):
        read_scanpaths(asc(HEAD + samples))
    with pytest.raises(InvalidInput, match="no fixations"):
        read_scanpaths(asc(""), format="eyelink_asc")


@pytest.mark.parametrize("display", ["", "MSG\t101 GAZE_COORDS 0 0 799 599\n"])
def test_display_that_is_not_clear(asc, display):
    head = HEAD.replace("DISPLAY_COORDS", "DISPLAY_COORDS" if display else "COORDS") + display
    with pytest.raises(InvalidInput, match="several displays" if display else "no display"):
        read_scanpaths(asc(head + TRIALS))
    assert viewing_of(read_scanpaths(asc(head + TRIALS), Viewing(1280, 1024))).width_px == 1280


def test_binary_files_say_what_to_do(asc):
    for raw, name in ((b"SR_RESEARCH_COMBINED_FILE\x00\x01", "a.dat"), (b"words", "a.edf")):
        with pytest.raises(InvalidInput, match="edf2asc"):
            read_scanpaths(asc(raw, name), format="eyelink_asc")
    with pytest.raises(InvalidInput, match="edf2asc"):
        read_scanpaths(asc(b"SR_RESEARCH_COMBINED_FILE\x00\x01", "a.edf"))


@pytest.mark.parametrize(("trial", "message"), [("(", "no regular expression"), ("A", "no group")])
def test_patterns_are_checked(asc, trial, message):
    with pytest.raises(InvalidInput, match=message):
        read_scanpaths(asc(HEAD + TRIALS), trial=trial)


def test_flipped_bytes_end_in_our_error_or_a_valid_set(asc):
    raw = np.frombuffer((HEAD + TRIALS).encode(), np.uint8)
    rng = np.random.default_rng(0)
    failed = 0
    for _ in range(150):
        damaged = raw.copy()
        damaged[rng.integers(len(raw), size=3)] ^= (1 << rng.integers(0, 7, 3)).astype(np.uint8)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                read_scanpaths(asc(damaged.tobytes()), format="eyelink_asc")
        except DatasetCorrupt as error:
            assert "TypeError" not in str(error) and "KeyError" not in str(error)
            failed += 1
        except AttnsciError:
            failed += 1
    assert 15 < failed < 150
