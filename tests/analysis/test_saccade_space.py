"""Boxes, histograms and maps of pairs whose place is known."""

import numpy as np
import pytest

from attnsci.analysis.saccade_space import boxes, saccade_map, turn_histogram
from attnsci.analysis.saccades import saccades
from attnsci.errors import InvalidInput
from attnsci.gaze import from_arrays
from attnsci.geometry import Viewing


def paths(x, y=None):
    y = [[5] * len(row) for row in x] if y is None else y
    return from_arrays(x, y, image=[f"{i}" for i in range(len(x))], observer="m",
                       viewing=Viewing(100, 100, px_per_deg=2))  # fmt: skip


def random_paths(n=60, length=10, seed=0):
    return paths(*np.random.default_rng(seed).uniform(0, 100, (2, n, length)))


def test_bounds_of_the_boxes_are_outside():
    # Amplitudes in pixels at 2 px a degree: a change of 2 px is 1°, and no longer in the box.
    assert boxes(paths([[0, 9, 0]])).observed.values.tolist() == [1, 0]
    assert boxes(paths([[0, 9, 1]])).observed.values.tolist() == [1, 0]
    assert boxes(paths([[0, 9, 2]])).observed.values.tolist() == [0, 0]
    assert boxes(paths([[0, 9, 18.5]])).observed.values.tolist() == [0, 1]


def test_a_pair_with_a_saccade_of_length_zero_is_in_no_share():
    found = boxes(paths([[0, 9, 0, 0], [3, 3, 3, 3]]))
    assert found.observed.values.tolist() == [1, 0]
    assert found.attrs["n_pairs"] == 1
    with pytest.raises(InvalidInput, match="angle"):
        boxes(paths([[3, 3, 3]]))


def test_histogram_counts_every_pair():
    source = random_paths()
    found = turn_histogram(source, bin_deg=30)
    turn = np.abs(saccades(source)["turn_deg"].to_numpy())
    np.testing.assert_allclose(found["observed"], np.histogram(turn, 6, (0, 180))[0] / turn.size)
    assert found["turn_deg"].values.tolist() == [15, 45, 75, 105, 135, 165]


def test_turns_about_a_centre_go_back_more_often_than_not_and_donors_show_it():
    found = turn_histogram(random_paths(400), "other_image", n_draws=2)
    np.testing.assert_allclose(found["observed"], found["control"], atol=0.03)
    assert found["observed"][-1] > 2 * found["observed"][0]


def test_marginals_are_multiplied():
    source = random_paths(300)
    pairs = saccades(source)
    turn, change = (pairs[n].to_numpy().ravel() for n in ("turn_deg", "amplitude_change_px"))
    product = np.mean(np.abs(turn) > 160) * np.mean(np.abs(change) < 2)
    found = boxes(source, "marginals", n_draws=100, seed=0)
    assert found["control"][0].item() == pytest.approx(product, rel=0.1)
    np.testing.assert_allclose(found["ratio"], found["observed"] / found["control"])


def test_map_holds_all_pairs_within_its_edges():
    source = random_paths()
    found = saccade_map(source, change_limit_deg=50.5, n_draws=3, seed=0)
    assert float(found["observed"].sum()) == pytest.approx(1)
    assert float(found["control"].sum()) == pytest.approx(1)
    pairs = saccades(source)
    at = {"turn_deg": 90.5, "amplitude_change_deg": 3.0}
    turn = np.abs(pairs["turn_deg"].to_numpy())
    change = pairs["amplitude_change_px"].to_numpy() / 2
    inside = (turn >= 90) & (turn < 91) & (change >= 2.5) & (change < 3.5)
    assert float(found["observed"].sel(at)) == pytest.approx(inside.mean())
    empty = found["control"].to_numpy() == 0
    np.testing.assert_array_equal(np.isnan(found["ratio"]), empty)
    np.testing.assert_array_equal(
        saccade_map(source, n_draws=2, seed=1)["control"],
        saccade_map(source, n_draws=2, seed=1)["control"],
    )
