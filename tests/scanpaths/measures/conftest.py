"""Scanpaths to measure: the specification's toys, two OSIE pairs, ragged random ones."""

import numpy as np
import pytest

from attnsci.scanpaths import Viewing, from_dict
from attnsci.scanpaths.pairs import Scorer, plain_paths

A = np.array([(100, 100, 0.25), (400, 300, 0.20), (700, 100, 0.30), (400, 500, 0.35)])
B = np.array(
    [(120, 110, 0.18), (420, 310, 0.25), (100, 500, 0.22), (690, 120, 0.20), (410, 480, 0.30)]
)
PAIRS = {"1009": ("1", "2"), "1420": ("6", "13")}


@pytest.fixture(scope="session")
def scanpath_set():
    """Builds the set of arrays (F, 2) or (F, 3), in this order."""

    def build(arrays, width_px=800, height_px=600, px_per_deg=24.0):
        viewing = Viewing(width_px, height_px, px_per_deg)
        named = {f"{i:03d}": np.asarray(array, float) for i, array in enumerate(arrays)}
        return from_dict({"image": named}, viewing)

    return build


@pytest.fixture(scope="session")
def all_pairs():
    """Values (N, N) or (N, N, components) of all ordered pairs, both ways computed."""

    def score(scanpaths, metric, chunk=1024, **settings):
        paths = plain_paths(scanpaths)
        n = len(paths.length)
        first, second = (grid.ravel() for grid in np.indices((n, n)))
        values = Scorer(paths, paths, metric, **settings).pairs(first, second, chunk)
        return values.reshape((n, n) if values.shape[1] == 1 else (n, n, -1))

    return score


@pytest.fixture(scope="session")
def toys(scanpath_set):
    """A and B of the specification."""
    return scanpath_set([A, B])


@pytest.fixture(scope="session")
def osie_pairs(data_root, scanpath_set):
    """Two pairs of real scanpaths by image, 800×600."""
    import pandas as pd

    table = pd.read_csv(data_root / "gaze" / "osie" / "fixations.csv.gz")
    table["duration"] = table["duration_ms"] / 1000
    found = {}
    for image, observers in PAIRS.items():
        rows = [
            table[(table.image == f"{image}.jpg") & (table.observer == int(name))]
            for name in observers
        ]
        found[image] = scanpath_set([row[["x", "y", "duration"]].to_numpy() for row in rows])
    return found


@pytest.fixture(scope="session")
def ragged():
    """Arrays (F, 3) of 1 to 9 fixations on 800×600, near a few places so that they meet."""
    rng = np.random.default_rng(3)
    places = rng.uniform(40, 560, (5, 2))
    arrays = []
    for length in (1, 2, 3, 4, 5, 6, 7, 9, 9, 1, 2, 3):
        at = places[rng.integers(0, 5, length)] + rng.normal(0, 25, (length, 2))
        arrays.append(np.column_stack([at, rng.uniform(0.1, 0.5, length)]))
    return arrays
