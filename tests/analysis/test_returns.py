"""Returns of scanpaths whose answer is known."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from attnsci.analysis.returns import return_fixations, return_probability, run_lengths
from attnsci.errors import InvalidInput
from attnsci.gaze import from_arrays
from attnsci.geometry import Viewing


def paths(x, y=None, **names):
    y = [[5] * len(row) for row in x] if y is None else y
    names = {"image": [f"{i}" for i in range(len(x))], "observer": "m", **names}
    return from_arrays(x, y, viewing=Viewing(100, 100, px_per_deg=1), **names)


def test_back_and_forth_returns_at_even_lags():
    found = return_probability(paths([[0, 9, 0, 9, 0]]), [1, 2, 3, 4])
    np.testing.assert_array_equal(found["probability"][:, 0], [0, 1, 0, 1])
    np.testing.assert_array_equal(found["pairs"], [[4, 3, 2, 1]])
    offsets = return_fixations(paths([[0, 9, 0, 9, 0]]), drop_first=False)
    assert offsets["offset"].values.tolist() == [[0, 0, 2, 2, 2]]
    assert offsets["triple"].values.tolist() == [[False, False, False, False, True]]
    assert offsets["proportion"] == 3 / 4


def test_a_straight_line_never_returns():
    line = paths([[0, 5, 10, 15]])
    assert not return_probability(line, [1, 2, 3])["probability"].any()
    assert return_fixations(line)["proportion"] == 0


def test_staying_returns_at_every_lag_and_is_one_run():
    still = paths([[4] * 5])
    assert (return_probability(still, [1, 2, 3, 4])["probability"] == 1).all()
    assert run_lengths(still).values.tolist() == [[0, 0, 0, 0, 1]]


def test_pairs_are_pooled_and_short_scanpaths_have_none():
    found = return_probability(paths([[1], [1, 1], [1, 9, 9, 20]]), [1, 2], [1.0, 20.0])
    np.testing.assert_allclose(found["probability"], [[0.5, 1], [0, 1]])
    np.testing.assert_array_equal(found["pairs"], [[0, 0], [1, 0], [3, 2]])


def test_below_the_radius_by_lag_and_at_it_for_return_fixations():
    at = paths([[0, 50, 1]])
    assert return_probability(at, [2])["probability"] == 0
    assert return_fixations(at, drop_first=False)["count"] == 1


def test_the_first_fixation_is_dropped_but_for_scanpaths_of_one():
    found = return_fixations(paths([[0, 9, 0], [3], [7, 1, 30, 1]]))
    assert found["n_fixations"].values.tolist() == [2, 1, 3]
    assert found["count"].values.tolist() == [0, 0, 1]
    assert found["offset"].values.tolist() == [[0, 0, 0], [0, 0, 0], [0, 0, 2]]
    assert found["proportion"] == 1 / 3


def test_returns_to_a_target_are_counted_apart():
    # Back at 30, which is the target, and back at 9, which is not.
    search = paths([[9, 30, 50, 30, 9]])
    found = return_fixations(search, drop_first=False, target_px=[[31, 5]], target_radius_px=2.0)
    assert found["to_target"] == 1
    assert found["target_proportion"] == 1 / 2
    assert found["other_proportion"] == 1 / 3
    with pytest.raises(InvalidInput, match="both"):
        return_fixations(search, target_px=[[31, 5]])


def test_runs():
    found = run_lengths(paths([[0, 0, 0, 9, 9, 20], [0, 9]]))
    assert found.values.tolist() == [[1, 1, 1, 0, 0, 0], [2, 0, 0, 0, 0, 0]]
    assert (found * found["run_length"]).sum("run_length").values.tolist() == [6, 2]


def test_radius_in_pixels_degrees_and_glimpses():
    plain = from_arrays([[0, 3]], [[0, 0]], image="a", observer="m", viewing=Viewing(9, 9))
    found = return_probability(plain, [1], radius_px=[2.0, 4.0], patch_px=8)
    assert found["radius_patch"].values.tolist() == [0.25, 0.5]
    assert found["probability"].values.tolist() == [[0, 1]]
    assert "radius_deg" not in found.coords
    with pytest.raises(InvalidInput, match="px_per_deg"):
        return_probability(plain, [1])


@pytest.mark.parametrize("lags", [[0], [1.5], [], [1, 1], [5]])
def test_lags_that_cannot_be(lags):
    with pytest.raises(InvalidInput, match="lag"):
        return_probability(paths([[0, 1, 2]]), lags)
    with pytest.raises(InvalidInput, match="two fixations"):
        return_fixations(paths([[1], [2]]))


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32 - 1), st.floats(0.1, 8), st.floats(-180, 180))
def test_invariances(seed, scale, angle):
    rng = np.random.default_rng(seed)
    z = rng.uniform(0, 20, (4, 6)) + 1j * rng.uniform(0, 20, (4, 6))
    before = return_probability(paths(z.real, z.imag), [1, 2, 3], [2.0, 5.0])["near"]
    moved = scale * z * np.exp(1j * np.deg2rad(angle)) + 7 - 3j
    after = return_probability(paths(moved.real, moved.imag), [1, 2, 3], [2 * scale, 5 * scale])
    np.testing.assert_array_equal(before, after["near"])
    reversed_ = return_probability(paths(z.real[:, ::-1], z.imag[:, ::-1]), [1, 2, 3], [2.0, 5.0])
    np.testing.assert_array_equal(before, reversed_["near"])


def test_a_baseline_in_the_place_of_what_was_seen():
    found = return_probability(paths([[0, 9, 0, 9, 0]]), [1, 2], baseline="b1")
    # Of the ten pairs three join the places at 0 and one those at 9.
    np.testing.assert_allclose(found["probability"], 0.4)
    assert found.attrs["asks"] == "is the order special?"
