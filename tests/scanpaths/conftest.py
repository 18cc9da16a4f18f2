import numpy as np
import pandas as pd
import pytest

from attnsci.gaze import from_arrays, from_frame
from attnsci.geometry import Viewing


@pytest.fixture(scope="session")
def osie(data_root):
    """The 10,500 scanpaths of OSIE."""
    frame = pd.read_csv(data_root / "gaze" / "osie" / "fixations.csv.gz")
    return from_frame(frame, Viewing(800, 600, px_per_deg=24))


@pytest.fixture(scope="session")
def test_split(data_root):
    text = (data_root / "gaze" / "osie" / "test_split_70.txt").read_text(encoding="utf-8")
    return text.split()


@pytest.fixture
def crowd():
    """Make people who look at each image's own spots in one order, with some noise."""

    def make(n_images=5, n_observers=6, n_fixations=7, noise=15.0, seed=0, names="observer"):
        rng = np.random.default_rng(seed)
        spots = np.random.default_rng(99).uniform((60, 60), (740, 540), (n_images, n_fixations, 2))
        points = spots[:, None] + rng.normal(0, noise, (n_images, n_observers, n_fixations, 2))
        flat = np.clip(points.reshape(-1, n_fixations, 2), 0, (799, 599))
        return from_arrays(
            flat[..., 0],
            flat[..., 1],
            rng.uniform(0.1, 0.5, flat.shape[:2]),
            image=np.repeat([f"image {i}" for i in range(n_images)], n_observers),
            observer=np.tile([f"{names} {o}" for o in range(n_observers)], n_images),
            viewing=Viewing(800, 600, px_per_deg=24),
        )

    return make
