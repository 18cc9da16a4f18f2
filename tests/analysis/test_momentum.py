"""The momentum model recovers what was planted."""

import numpy as np
import pytest

from attnsci.analysis.momentum import momentum
from attnsci.analysis.saccades import saccades
from attnsci.errors import InvalidInput
from attnsci.gaze import from_arrays
from attnsci.geometry import Viewing

PLANTED = {"c": 0.22, "s1": 3e-4, "s2": -4e-4, "s3": 1e-3, "s4": -2e-3, "x0": 110.0}


def walkers(inhibition=0.0, noise=0.0, n=160, length=40, seed=0, observers=4):
    """Places at random, a tenth of them back where the last but one was, and planted durations."""
    rng = np.random.default_rng(seed)
    x, y = rng.uniform(0, 300, (2, n, length))
    for t in range(2, length):
        back = rng.random(n) < 0.15
        x[back, t] = x[back, t - 2] + rng.uniform(-2, 2, int(back.sum()))
        y[back, t] = y[back, t - 2] + rng.uniform(-2, 2, int(back.sum()))
    names = {"image": np.arange(n), "observer": np.arange(n) % observers}
    viewing = Viewing(300, 300, px_per_deg=10)
    pairs = saccades(from_arrays(x, y, viewing=viewing, **names))
    turn = np.abs(pairs["turn_deg"].to_numpy())
    change = pairs["amplitude_change_px"].to_numpy() / 10
    p = PLANTED
    planted = p["c"] + p["s1"] * turn + p["s3"] * change
    planted += p["s2"] * np.minimum(turn - p["x0"], 0) + p["s4"] * np.minimum(change, 0)
    planted += inhibition * ((turn > 160) & (np.abs(change) < 1))
    duration = np.full((n, length), 0.2)
    duration[:, 1:-1] = planted + rng.normal(0, noise, planted.shape)
    return from_arrays(x, y, duration, viewing=viewing, **names)


def test_planted_parameters_come_back_for_every_viewer():
    found = momentum(walkers(), shortest=0, longest=5, seed=0)
    np.testing.assert_allclose(found["x0"], PLANTED["x0"], atol=1e-3)
    for term in ("c", "s1", "s2", "s3", "s4"):
        np.testing.assert_allclose(
            found["coefficient"].sel(term=term), PLANTED[term], atol=1e-6, err_msg=term
        )
    assert abs(float(found["temporal_inhibition"])) < 1e-9


def test_planted_inhibition_comes_back_and_momentum_alone_gives_none():
    slow = momentum(walkers(inhibition=0.03, noise=0.03), shortest=0, longest=5, seed=0)
    value, low, high = (float(slow[f"temporal_inhibition{end}"]) for end in ("", "_low", "_high"))
    assert value == pytest.approx(0.03, abs=0.004)
    assert 0.02 < low < value < high < 0.04
    none = momentum(walkers(noise=0.03, seed=1), shortest=0, longest=5, seed=0)
    assert none["temporal_inhibition_low"] < 0.002
    assert none["temporal_inhibition_high"] > -0.002


def test_bins_and_boxes_are_means_of_the_fixation_between():
    paths = from_arrays(
        [[0, 90, 0, 90, 180]], [[5] * 5], [[9, 0.3, 0.4, 0.2, 9]], image="a", observer="m",
        viewing=Viewing(200, 10, px_per_deg=10),
    )  # fmt: skip
    with pytest.raises(InvalidInput, match="pairs of saccades with a duration"):
        momentum(paths, seed=0)
    found = momentum(walkers(), shortest=0, longest=5, seed=0, bin_deg=90)
    pairs = saccades(walkers())
    turn, seconds = np.abs(pairs["turn_deg"].to_numpy()), pairs["duration"].to_numpy()
    sharp = turn >= 90
    np.testing.assert_allclose(found["duration"], [seconds[~sharp].mean(), seconds[sharp].mean()])
    assert found["n"].values.tolist() == [(~sharp).sum(), sharp.sum()]
    change = pairs["amplitude_change_px"].to_numpy() / 10
    box = (turn > 160) & (np.abs(change) < 1)
    assert float(found["box_duration"].sel(group="return")) == pytest.approx(seconds[box].mean())
    near = pairs["return_distance_px"].to_numpy() / 10
    first = seconds[near < 1].mean()
    assert float(found["duration_by_distance"][0]) == pytest.approx(first)


def test_durations_outside_the_limits_are_left_out():
    source = walkers(noise=0.05)
    found = momentum(source, shortest=0.2, longest=0.25, seed=0)
    seconds = saccades(source)["duration"].to_numpy()
    assert int(found["n"].sum()) == ((seconds >= 0.2) & (seconds <= 0.25)).sum()
    with pytest.raises(InvalidInput, match="are none"):
        momentum(source, shortest=0.3, longest=0.2, seed=0)


def test_a_model_without_durations_is_sent_to_the_proxy():
    paths = from_arrays([[0, 9, 0]], [[5] * 3], image="a", observer="m",
                        viewing=Viewing(10, 10, px_per_deg=1))  # fmt: skip
    with pytest.raises(InvalidInput, match="run_lengths"):
        momentum(paths, seed=0)


def test_one_viewer_is_drawn_by_images():
    found = momentum(walkers(noise=0.02, observers=1), seed=0)
    assert found.attrs["clusters"] == "images"
    assert found.sizes["viewer"] == 1
