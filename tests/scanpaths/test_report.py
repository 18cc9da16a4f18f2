"""The validation report, and OSIE's saccades in the numbers of the specification."""

import numpy as np
import pytest

from attnsci.data.gaze import load_eyecrowd, load_osie
from attnsci.errors import InvalidInput
from attnsci.gaze import from_arrays
from attnsci.geometry import Viewing
from attnsci.scanpaths.report import describe, saccade_statistics, suspected_unit, suspicions

VIEWING = Viewing(800, 600, px_per_deg=24)


def make(x, y, duration=None, viewing=VIEWING, **coords):
    names = {"image": [f"i{n}" for n in range(len(x))], "observer": "s", **coords}
    return from_arrays(x, y, duration, viewing=viewing, **names)


@pytest.fixture(scope="module")
def osie(data_root):
    return load_osie(data_root)


@pytest.mark.data
def test_saccades_of_osie(osie):
    found = saccade_statistics(osie)
    assert found["n_saccades"] == 87_821 and found["n_zero_saccades"] == 1
    assert round(float(found["amplitude_median_px"]), 2) == 101.29
    assert round(float(found["amplitude_mean_px"]), 2) == 142.66
    assert round(float(found["amplitude_mean_deg"]), 2) == 5.94
    assert round(float(found["duration_mean_s"]), 5) == 0.21434
    assert found["duration_median_s"] == 0.19


@pytest.mark.data
def test_turning_angles_of_osie(osie):
    found = saccade_statistics(osie)
    assert found["n_angles"] == 77_325
    shares = found["angle_share"].to_numpy().round(4).tolist()
    assert shares == [0.2166, 0.1495, 0.1319, 0.1338, 0.1423, 0.2259]


@pytest.mark.data
def test_returns_of_osie(osie):
    found = saccade_statistics(osie)
    assert (found["n_returns"], found["n_could_return"]) == (13_403, 77_327)
    by_lag = found["returns"].sel(lag=slice(2, 11)).to_numpy().tolist()
    assert by_lag == [4843, 2430, 1812, 1498, 1117, 767, 494, 280, 118, 30]
    assert found.attrs["radius_px"] == 24


def test_a_return_counts_once_at_its_most_recent_lag():
    # Fixation 4 is near 2 and near 0; fixation 5 is exactly the radius from 3.
    x = [[0.0, 100, 5, 300, 2, 324]]
    found = saccade_statistics(make(x, np.zeros((1, 6))))
    # 2 returns to 0 (lag 2), 4 to 2 (lag 2) and not to 0 again; 5 is not nearer than 24.
    assert found["returns"].to_numpy().tolist() == [2, 0, 0, 0]
    assert (found["n_returns"], found["n_could_return"]) == (2, 4)


def test_turning_angles_by_hand():
    # East, on east, south, back north; then a saccade of no length and one more to the west.
    x, y = [[0.0, 10, 20, 20, 20, 20, 10]], [[0.0, 0, 0, 10, 0, 0, 0]]
    found = saccade_statistics(make(x, y))
    assert (found["n_saccades"], found["n_zero_saccades"], found["n_angles"]) == (6, 1, 3)
    np.testing.assert_allclose(found["angle_share"], np.array([1, 0, 0, 1, 0, 1]) / 3)
    assert np.isnan(found["duration_mean_s"])


def test_without_degrees_the_radius_must_be_given():
    paths = make([[0.0, 10, 1]], [[0.0, 0, 0]], viewing=Viewing(800, 600))
    with pytest.raises(InvalidInput, match="give radius_px"):
        saccade_statistics(paths)
    found = saccade_statistics(paths, radius_px=2)
    assert found["n_returns"] == 1 and "amplitude_mean_deg" not in found
    with pytest.raises(InvalidInput, match="radius_px must be above 0"):
        saccade_statistics(paths, radius_px=0)
    with pytest.raises(InvalidInput, match="no saccade"):
        saccade_statistics(make([[1.0]], [[1.0]]))


@pytest.mark.data
def test_report_of_osie(osie):
    report = describe(osie)
    values = report["value"].to_dict()
    assert values["images"] == "700" and values["observers"] == "15"
    assert values["scanpaths"] == "10500" and values["missing scanpaths"] == "0"
    assert values["fixations"] == "98321" and values["shorter than 3 fixations"] == "11"
    assert values["fixations per scanpath"] == "1 to 22, mean 9.36"
    assert values["durations"] == "0.02 to 1.975 s" and values["points outside"] == "0 of 98321"
    assert "counted from 1" in report.loc["y", "remark"]
    assert values["fixations at the place of the one before"] == "1"


@pytest.mark.data
def test_report_of_eyecrowd(data_root):
    report = describe(load_eyecrowd(data_root))
    assert report.loc["missing scanpaths", "value"] == "3"
    assert "counted from 1" in report.loc["y", "remark"]
    assert report.loc["points on the right or lower border", "value"] == "3"


@pytest.mark.data
def test_y_that_points_up_is_suspected(osie):
    assert "does y point up" not in describe(osie).loc["mean y, of the height", "remark"]
    flipped = osie.assign(y=600 - osie["y"])
    assert "does y point up" in describe(flipped).loc["mean y, of the height", "remark"]


def test_another_frame_and_normalised_points_are_suspected():
    report = describe(make([[10.0, 900, 30]], [[5.0, 5, 5]]))
    assert report.loc["points outside"].tolist() == [
        "1 of 3", "33%: another frame than the 800 × 600 given?"
    ]  # fmt: skip
    assert "normalised" in describe(make([[0.2, 0.9]], [[0.1, 1.0]])).loc["x", "remark"]


def test_empty_missing_and_repeated_scanpaths_are_counted():
    paths = make(
        [[1.0, 2], [1, 2], []], [[3.0, 4], [3, 4], []], [[0.1, 0], [0.1, 0.2], []],
        image=["a", "a", "b"], observer=["1", "2", "1"],
    )  # fmt: skip
    report = describe(paths)
    for quantity, value in {
        "missing scanpaths": "1", "empty scanpaths": "1", "repeated scanpaths": "1",
        "shorter than 3 fixations": "3", "durations of zero": "1",
        "scanpaths without durations": "1", "onsets": "none, order only",
    }.items():  # fmt: skip
        assert report.loc[quantity, "value"] == value, quantity
    assert report.loc["repeated scanpaths", "remark"] == "one file read twice?"


def test_a_set_without_any_fixation_is_described():
    report = describe(make([[], []], [[], []]))
    assert report.loc["fixations", "value"] == "0" and "x" not in report.index


@pytest.mark.parametrize(
    ("seconds", "says"),
    [(200, "milliseconds declared as seconds"), (2e-4, "seconds declared as milliseconds"),
     (0.2, ""), (0, "")],
)  # fmt: skip
def test_units_are_suspected_by_the_median(seconds, says):
    found = suspected_unit(make([[1.0, 2]], [[1.0, 2]], [[seconds, seconds]]))
    assert says in found and bool(says) == bool(found)


def test_what_is_said_when_a_set_is_read():
    def said(x, y=(5.5, 30.5), duration=(0.2, 0.3)):
        return suspicions(make([list(x)], [list(y)], [list(duration)]))

    assert said((10, 20)) == []
    assert "normalised" in said((0.5, 0.25), (0.1, 0.9))[0]
    assert said((1, 0), (0, 1)) == []  # whole pixels in the corner
    assert "1 of 2 fixations lie farther off" in said((10, -32768))[0]
    assert "a fixation lasts 90 s" in said((10, 20, 30), (5, 6, 7), (0.2, 0.3, 90))[0]
