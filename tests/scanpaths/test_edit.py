"""Cutting, joining and resizing, each step remembered and nothing lost unsaid."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from attnsci.errors import InvalidInput
from attnsci.gaze import from_arrays, validate, viewing_of
from attnsci.geometry import Viewing
from attnsci.scanpaths.edit import concat, crop, keep_inside, rescale, select

VIEWING = Viewing(800, 600, px_per_deg=24)
NAN = np.nan


def make(x, y, image, observer="s", viewing=VIEWING, **coords):
    duration = [[0.1 * (n + 1) for n in range(len(row))] for row in x]
    return from_arrays(x, y, duration, image=image, observer=observer, viewing=viewing, **coords)


@pytest.fixture
def paths():
    return make(
        [[1, 2, 3, 4], [5, 900], [800]], [[1, 2, 3, 4], [-1, 6], [600]],
        ["1001", "1002", "1003"], ["1", "2", "2"],
    )  # fmt: skip


def steps(scanpaths):
    return json.loads(scanpaths.attrs["steps"])


def test_select_by_text_number_and_list(paths):
    assert select(paths, image=1002)["observer"].item() == "2"
    assert select(paths, observer="2").sizes == {"scanpath": 2, "fixation": 2}
    both = select(paths, image=["1001", "1003"], observer={2})
    assert both["image"].to_numpy().tolist() == ["1003"]
    assert select(paths, n_fixations=1)["image"].item() == "1003"


def test_select_nothing_or_by_nothing(paths):
    with pytest.raises(InvalidInput, match=r"No scanpath has {'image': 7}"):
        select(paths, image=7)
    with pytest.raises(InvalidInput, match="no coordinate 'subject'"):
        select(paths, subject=7)


def test_crop(paths):
    cut = validate(crop(paths, max_fixations=2, drop_first=1))
    np.testing.assert_array_equal(cut["x"], [[2, 3], [900, NAN], [NAN, NAN]])
    assert cut["n_fixations"].to_numpy().tolist() == [2, 1, 0]
    assert steps(cut) == ["crop(max_fixations=2, drop_first=1)"]
    np.testing.assert_array_equal(crop(paths, 1)["x"], [[1], [5], [800]])
    assert crop(paths, drop_first=9).sizes["fixation"] == 0


@pytest.mark.parametrize(
    ("settings", "name"),
    [({"max_fixations": 0}, "max_fixations"), ({"max_fixations": 1.5}, "max_fixations"),
     ({"drop_first": -1}, "drop_first"), ({"drop_first": 0.5}, "drop_first")],
)  # fmt: skip
def test_crop_wants_whole_numbers(paths, settings, name):
    with pytest.raises(InvalidInput, match=f"{name} must be a whole number"):
        crop(paths, **settings)


def test_points_on_the_border_are_inside_and_those_beyond_are_counted(paths):
    dropped, count = keep_inside(paths, "drop")
    assert count == 2
    np.testing.assert_array_equal(validate(dropped)["n_fixations"], [4, 0, 1])
    assert dropped["x"].to_numpy()[2, 0] == 800
    clipped, count = keep_inside(paths, "clip")
    assert count == 2 and validate(clipped)["n_fixations"].to_numpy().tolist() == [4, 2, 1]
    np.testing.assert_array_equal(clipped["x"][1, :2], [5, 800])
    np.testing.assert_array_equal(clipped["y"][1, :2], [0, 6])
    assert steps(clipped) == ["keep_inside('clip'): 2 fixations"]
    assert float(paths["x"].max()) == 900  # the set itself is as it was
    with pytest.raises(InvalidInput, match="action must be one of 'drop', 'clip'"):
        keep_inside(paths, "move")


def test_dropping_moves_the_others_with_their_durations_together():
    paths = make([[-1, 2, 900, 4]], [[1, 2, 3, 4]], ["a"])
    onset = paths["x"].copy(data=[[0.0, 1, 2, 3]])
    dropped, count = keep_inside(paths.assign(onset=onset))
    assert count == 2
    np.testing.assert_array_equal(dropped["x"], [[2, 4]])
    np.testing.assert_allclose(dropped["duration"], [[0.2, 0.4]])
    np.testing.assert_array_equal(dropped["onset"], [[1, 3]])


def test_frames_of_the_scanpaths_own_count():
    paths = make([[50], [50]], [[5], [5]], ["a", "b"], width_px=[40, 60], height_px=[10, 10])
    assert keep_inside(paths)[1] == 1


def test_rescale(paths):
    small = validate(rescale(paths, 320, 240))
    assert (viewing_of(small).width_px, viewing_of(small).px_per_deg) == (320, 24 * 0.4)
    np.testing.assert_allclose(small["x"], paths["x"] * 0.4)
    np.testing.assert_allclose(small["y"], paths["y"] * 0.4)
    assert steps(small) == ["rescale(320, 240)"]
    assert viewing_of(rescale(paths, 224, 224)).px_per_deg is None


@given(st.floats(-1000, 2000), st.floats(-1000, 2000), st.floats(1, 3000), st.floats(1, 3000))
def test_rescaling_there_and_back(x, y, width, height):
    paths = make([[x]], [[y]], ["a"])
    back = rescale(rescale(paths, width, height), 800, 600)
    np.testing.assert_allclose(back["x"], [[x]], rtol=1e-12, atol=1e-9)
    np.testing.assert_allclose(back["y"], [[y]], rtol=1e-12, atol=1e-9)


def test_rescaling_images_of_different_sizes_to_one():
    paths = make([[40], [40]], [[10], [10]], ["a", "b"], width_px=[80, 160], height_px=[20, 20])
    one = rescale(paths, 40, 20)
    np.testing.assert_array_equal(one["x"], [[20], [10]])
    assert "width_px" not in one.coords and viewing_of(one).px_per_deg is None


def test_rescaling_to_nothing(paths):
    with pytest.raises(InvalidInput, match="height_px must be above 0"):
        rescale(paths, 100, 0)


def test_concat_pads_the_shorter(paths):
    other = make([[7]], [[8]], ["1004"])
    joined = concat([other, paths])
    assert joined.sizes == {"scanpath": 4, "fixation": 4}
    np.testing.assert_array_equal(joined["x"][0], [7, NAN, NAN, NAN])
    assert joined["image"].to_numpy().tolist() == ["1004", "1001", "1002", "1003"]
    assert steps(joined) == ["concat of 2 sets"]
    assert concat([paths]).drop_attrs().identical(paths.drop_attrs())


def test_concat_keeps_onsets_and_the_attributes_that_agree(paths):
    timed = make([[7, 8]], [[8, 9]], ["1004"]).assign_attrs(dataset="x", licence="MIT")
    timed = timed.assign(onset=timed["x"].copy(data=[[0.0, 0.5]]))
    joined = concat([paths.assign_attrs(licence="MIT"), timed])
    np.testing.assert_array_equal(joined["onset"][3], [0, 0.5, NAN, NAN])
    assert np.isnan(joined["onset"].to_numpy()[:3]).all()
    assert joined.attrs["licence"] == "MIT" and "dataset" not in joined.attrs


def test_one_geometry_written_in_two_ways():
    a = make([[1]], [[1]], ["a"], viewing=Viewing(800, 600))
    b = make([[1]], [[1]], ["b"], viewing=Viewing(800.0, 600.0))
    assert concat([a, b]).sizes["scanpath"] == 2


def test_sets_that_do_not_go_together(paths):
    with pytest.raises(InvalidInput, match="no scanpath sets"):
        concat([])
    with pytest.raises(InvalidInput, match="different geometries"):
        concat([paths, make([[1]], [[1]], ["b"], viewing=Viewing(80, 60))])
    with pytest.raises(InvalidInput, match="Two scanpaths are of observer '1' on image '1001'"):
        concat([paths, paths])
    sized = make([[1]], [[1]], ["b"], width_px=[8], height_px=[6])
    with pytest.raises(InvalidInput, match="Only some of the sets have their images' own sizes"):
        concat([paths, sized])


def test_coordinates_of_some_sets_alone_are_left_out_and_that_is_remembered(paths):
    joined = concat([paths, make([[1]], [[1]], ["b"], task=["mug"], split=["test"])])
    assert "task" not in joined.coords and joined.sizes["scanpath"] == 4
    assert steps(joined) == ["concat of 2 sets, without split, task"]
