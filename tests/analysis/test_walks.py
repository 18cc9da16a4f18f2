"""The two generators draw from the distributions that they say."""

import numpy as np
import pytest

from attnsci.analysis.saccades import polar, tracks_of, wrap_deg
from attnsci.analysis.walks import new_places, random_walk_draws, second_order_draws
from attnsci.errors import InvalidInput
from attnsci.gaze import from_arrays
from attnsci.geometry import Viewing


def alternating(n=200, steps=12):
    """Short saccades turn left by 90.5°, long ones right by 30.5°, each followed by the other."""
    angle = np.deg2rad(np.cumsum([0, *([90.5, -30.5] * steps)])[:steps])
    step = np.where(np.arange(steps) % 2 == 0, 2.5, 7.5)
    x = np.concatenate([[0], np.cumsum(step * np.cos(angle))])
    y = np.concatenate([[0], np.cumsum(step * np.sin(angle))])
    return from_arrays(
        np.tile(x, (n, 1)), np.tile(y, (n, 1)), image=np.arange(n), observer="m",
        viewing=Viewing(100, 80, px_per_deg=1),
    )  # fmt: skip


def test_second_order_keeps_what_follows_what():
    x, y = second_order_draws(tracks_of(alternating()))(np.random.default_rng(0))
    amplitude, direction = polar(x, y)
    turn = wrap_deg(np.diff(direction, axis=1))
    short = np.floor(amplitude[:, :-1]) == 2
    assert set(np.floor(amplitude).ravel()) == {2, 7}
    assert set(np.floor(amplitude[:, 1:][short])) == {7}
    # Jittered within their bins, evenly.
    assert set(np.floor(turn[short] + 1e-9)) == {90}
    assert set(np.floor(turn[~short] + 1e-9)) == {-31}
    np.testing.assert_allclose(np.mean(amplitude[:, 1:] % 1), 0.5, atol=0.03)
    np.testing.assert_allclose(np.mean(turn[short] % 1), 0.5, atol=0.03)


def test_second_order_has_an_answer_for_amplitudes_it_never_left():
    # The last saccade is longer than any that was followed by one.
    paths = from_arrays([[0, 1.5, 3, 30.5, 30.5]], [[0, 0, 1.5, 1.5, 2]], image="a", observer="m",
                        viewing=Viewing(100, 80, px_per_deg=1))  # fmt: skip
    many = from_arrays(
        np.tile(paths["x"], (50, 1)), np.tile(paths["y"], (50, 1)), image=np.arange(50),
        observer="m", viewing=Viewing(100, 80, px_per_deg=1),
    )  # fmt: skip
    x, y = second_order_draws(tracks_of(many))(np.random.default_rng(0))
    assert np.isfinite(x).all()
    assert np.isfinite(y).all()


def wanderers(n=400, length=8, seed=0):
    rng = np.random.default_rng(seed)
    step = rng.choice([2.1, 4.1], (n, length - 1), p=[0.75, 0.25])
    angle = rng.uniform(0, 2 * np.pi, step.shape)
    x, y = (
        50 + np.concatenate([np.zeros((n, 1)), np.cumsum(step * f(angle), 1)], 1)
        for f in (np.cos, np.sin)
    )
    return x, y


def test_random_walk_keeps_amplitudes_turns_evenly_and_starts_at_the_centre():
    x, y = wanderers()
    paths = from_arrays(x, y, image=np.arange(len(x)), observer="m",
                        viewing=Viewing(1000, 800, px_per_deg=1))  # fmt: skip
    wx, wy = random_walk_draws(tracks_of(paths))(np.random.default_rng(0))
    assert (wx[:, 0] == 500).all()
    assert (wy[:, 0] == 400).all()
    amplitude, direction = polar(wx, wy)
    short = (amplitude >= 2) & (amplitude < 2.2)
    assert (short | ((amplitude >= 4) & (amplitude < 4.2))).all()
    np.testing.assert_allclose(short.mean(), 0.75, atol=0.03)
    share = np.histogram(direction, np.linspace(-180, 180, 7))[0] / direction.size
    np.testing.assert_allclose(share, 1 / 6, atol=0.03)


def test_random_walks_stay_on_the_image_and_are_kept_as_wholes():
    x, y = wanderers()
    paths = from_arrays(x, y, image=np.arange(len(x)), observer="m",
                        viewing=Viewing(12, 10, px_per_deg=1))  # fmt: skip
    draw = random_walk_draws(tracks_of(paths))
    wx, wy = draw(np.random.default_rng(0))
    assert (wx >= 0).all() & (wx <= 12).all() & (wy >= 0).all() & (wy <= 10).all()
    # Rejecting wholes leaves fewer long saccades than redrawing single steps would.
    amplitude = polar(wx, wy)[0]
    assert (amplitude > 4).mean() < 0.25


def test_random_walks_that_cannot_stay_are_refused():
    paths = from_arrays([[0, 90, 0, 80, 5]], [[0, 0, 50, 50, 0]], image="a", observer="m",
                        viewing=Viewing(20, 20, px_per_deg=1))  # fmt: skip
    with pytest.raises(InvalidInput, match="too long"):
        random_walk_draws(tracks_of(paths))(np.random.default_rng(0))


def test_returns_are_not_new_places():
    paths = from_arrays([[0, 9, 0.5, 9.5, 9.6]], [[0] * 5], image="a", observer="m",
                        viewing=Viewing(20, 20, px_per_deg=1))  # fmt: skip
    # 0.5 is back at 0 and 9.5 back at 9; 9.6 stays, and is back at 9 (lag 3) as well.
    assert new_places(tracks_of(paths)).tolist() == [[True, False, False, False]]
