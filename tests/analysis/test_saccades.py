"""Saccade geometry of scanpaths whose answer is known."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from attnsci.analysis.saccades import radii_in_px, saccades, tracks_of, wrap_deg
from attnsci.errors import InvalidInput
from attnsci.gaze import from_arrays
from attnsci.geometry import Viewing


def paths(x, y, duration=None, **coords):
    names = {"image": [f"{i}" for i in range(len(x))], "observer": "m", **coords}
    viewing = Viewing(100, 100, px_per_deg=10)
    return from_arrays(x, y, duration, viewing=viewing, **names)


def test_there_and_back_turns_by_180_and_keeps_its_amplitude():
    pairs = saccades(paths([[0, 30, 0, 30, 0]], [[50] * 5]))
    np.testing.assert_array_equal(pairs["turn_deg"], [[180, 180, 180]])
    np.testing.assert_array_equal(pairs["amplitude_change_px"], [[0, 0, 0]])
    np.testing.assert_array_equal(pairs["return_distance_px"], [[0, 0, 0]])
    np.testing.assert_array_equal(pairs["direction_deg"], [[0, 180, 0, 180]])


def test_straight_on_and_faster():
    pairs = saccades(paths([[0, 10, 30, 70]], [[5] * 4], [[0.1, 0.2, 0.3, 0.4]]))
    np.testing.assert_array_equal(pairs["turn_deg"], [[0, 0]])
    np.testing.assert_array_equal(pairs["amplitude_change_px"], [[10, 20]])
    np.testing.assert_array_equal(pairs["amplitude_ratio_log2"], [[1, 1]])
    np.testing.assert_array_equal(pairs["duration"], [[0.2, 0.3]], "of the fixation between")


def test_down_is_positive_and_a_right_turn_is_too():
    pairs = saccades(paths([[0, 10, 10]], [[5, 5, 25]]))
    assert pairs["direction_deg"].values.tolist() == [[0, 90]]
    assert pairs["turn_deg"].item() == 90


def test_a_saccade_of_length_zero_has_no_direction():
    pairs = saccades(paths([[5, 5, 9, 5]], [[5, 5, 5, 5]]))
    np.testing.assert_array_equal(pairs["direction_deg"], [[np.nan, 0, 180]])
    np.testing.assert_array_equal(pairs["turn_deg"], [[np.nan, 180]])
    np.testing.assert_array_equal(pairs["amplitude_ratio_log2"], [[np.nan, 0]])
    np.testing.assert_array_equal(pairs["amplitude_change_px"], [[4, 0]])


def test_nothing_reaches_over_the_end():
    found = saccades(paths([[1, 2], [1, 2, 3, 5], [7]], [[1, 1], [1, 1, 1, 1], [1]]))
    finite = np.isfinite(found["turn_deg"]).sum("pair")
    assert finite.values.tolist() == [0, 2, 0]
    assert np.isfinite(found["amplitude_px"]).sum("saccade").values.tolist() == [1, 3, 0]


@given(st.floats(-1e4, 1e4))
def test_wrapping(angle):
    wrapped = float(wrap_deg(angle))
    assert -180 < wrapped <= 180
    assert abs((wrapped - angle + 180) % 360 - 180) < 1e-6


def test_samples_of_one_model_are_its_viewers():
    model = paths([[1, 2], [2, 3]], [[1, 1], [1, 1]], image=["a", "a"], sample=["0", "1"])
    assert tracks_of(model).viewer.tolist() == [0, 1]
    assert tracks_of(model).image.tolist() == [0, 0]


def test_radii():
    found = paths([[1, 2]], [[1, 1]])
    np.testing.assert_array_equal(radii_in_px(found, [1, 2], None), [10, 20])
    np.testing.assert_array_equal(radii_in_px(found, 1, 7.0), [7])
    for radius in (0, -1, np.nan):
        with pytest.raises(InvalidInput, match="above 0"):
            radii_in_px(found, radius, None)
    with pytest.raises(InvalidInput, match="Give radius_deg or radius_px"):
        radii_in_px(found, None, None)


def test_without_degrees_the_smallest_radius_is_the_unit():
    found = from_arrays([[1, 2]], [[1, 1]], image="a", observer="m", viewing=Viewing(9, 9))
    assert tracks_of(found, np.array([4.0, 3.0])).unit_px == 3
    with pytest.raises(InvalidInput, match="px_per_deg"):
        tracks_of(found)
