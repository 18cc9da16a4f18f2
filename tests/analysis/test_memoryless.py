"""Memoryless walks: on the others' fixations, with the amplitudes of the data."""

import numpy as np

from attnsci.analysis.memoryless import memoryless_draws
from attnsci.analysis.saccades import polar, tracks_of
from attnsci.gaze import from_arrays
from attnsci.geometry import Viewing


def viewers(n_images=10, n_viewers=8, length=10, seed=0):
    """Eyes that jump about 3° over an even field."""
    rng = np.random.default_rng(seed)
    n = n_images * n_viewers
    x, y = np.full((2, n, length), 150.0)
    for t in range(1, length):
        angle = rng.uniform(0, 2 * np.pi, n)
        step = rng.normal(30, 3, n)
        x[:, t] = np.abs(x[:, t - 1] + step * np.cos(angle)) % 300
        y[:, t] = np.abs(y[:, t - 1] + step * np.sin(angle)) % 300
    image, viewer = np.divmod(np.arange(n), n_viewers)
    return tracks_of(
        from_arrays(x, y, image=image, observer=viewer, viewing=Viewing(300, 300, px_per_deg=10))
    )


def test_walks_land_on_fixations_of_others_of_that_image_only():
    t = viewers()
    x, y = memoryless_draws(t)(np.random.default_rng(0))
    for s in range(0, len(x), 7):
        others = (t.image == t.image[s]) & (t.viewer != t.viewer[s])
        places = set(zip(t.x[others].ravel(), t.y[others].ravel(), strict=True))
        assert set(zip(x[s, 1:], y[s, 1:], strict=True)) <= places
    np.testing.assert_array_equal(x[:, 0], t.x[:, 0])


def test_walks_have_the_amplitudes_of_the_data():
    t = viewers()
    before = polar(t.x, t.y)[0]
    after = polar(*memoryless_draws(t)(np.random.default_rng(0)))[0]
    assert 25 < np.median(after) < 35
    assert np.mean((after > 20) & (after < 40)) > 0.8 * np.mean((before > 20) & (before < 40))
