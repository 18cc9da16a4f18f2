import numpy as np
import xarray as xr

from attnsci.experiments.rings import ACCURACY, by_eccentricity


def test_a_fall_with_distance_is_measured_in_rings_of_twenty():
    rng = np.random.default_rng(0)
    n = 4000
    x, y = rng.uniform(14, 46, (2, n))
    away = np.hypot(x - 30, y - 30)
    correct = rng.random(n) < 1 - away / 40
    logits = np.zeros((n, 1, 2))
    logits[np.arange(n), 0, correct.astype(int)] = 1
    responses = xr.Dataset(
        {
            "logits": (("stimulus", "time", "class"), logits),
            "location": (("stimulus", "time", "coordinate"), np.full((n, 1, 2), 30.0)),
        },
        coords={
            "label": ("stimulus", np.ones(n, int)), "x": ("stimulus", x), "y": ("stimulus", y),
            "coordinate": ["x", "y"],
        },
    )  # fmt: skip
    outcome = by_eccentricity(responses, size_px=60, step_px=3.0, chance=0.5)
    for origin in ("canvas", "first-glimpse"):
        profile = outcome.data[f"eccentricity-{origin}"]
        assert (profile["n"] >= 20).all() and int(profile["n"].sum()) == n
        wanted = 1 - profile["mean_eccentricity"] / 40
        assert (np.abs(profile["accuracy"] - wanted) < 0.1).all()
        table = outcome.at(origin=origin, quantity=ACCURACY)
        np.testing.assert_array_equal(table["estimate"], profile["accuracy"])
    without = by_eccentricity(responses.drop_vars("location"), size_px=60, step_px=3, chance=0.5)
    assert list(without.data) == ["eccentricity-canvas"]
