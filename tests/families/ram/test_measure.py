import numpy as np
import pytest
import torch

from attnsci.data.digits import load_mnist
from attnsci.data.ram_scenes import PRESETS, ClutteredScenes
from attnsci.families.ram import measure
from attnsci.families.ram.measure import scanpaths_of, show
from attnsci.families.ram.network import RAM
from attnsci.families.ram.policies import ReplayPolicy


@pytest.fixture(scope="module")
def scenes():
    return ClutteredScenes(load_mnist("test"), PRESETS["translated-60"])


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(0)
    return RAM(glimpse_px=12, n_scales=2, n_hidden=16, n_what=8, n_where=8, n_glimpses=3).eval()


def test_what_is_kept_is_the_rollout(model, scenes):
    shown = show(model, scenes, 5, state=True)
    images = scenes[shown["scene"].values].image
    first = torch.from_numpy(shown["location"].to_numpy()[:, 0])
    again = model.rollout(images, first=first)
    for name, value in (
        ("logits", again.logits), ("location", again.locations), ("mean", again.means),
        ("hidden", again.hidden), ("seen", again.glimpses), ("value", again.values),
    ):  # fmt: skip
        np.testing.assert_allclose(shown[name].to_numpy(), value.detach(), atol=1e-4)
    assert shown["scene"].values.tolist() == [0, 250, 500, 749, 999] or len(shown["scene"]) == 5
    assert shown["label"].values.tolist() == scenes.digits.labels[shown["scene"].values].tolist()
    assert (shown["x"].values >= 14).all() and (shown["x"].values <= 46).all()
    assert shown.attrs == {"size_px": 60, "widths_px": [12, 24]}


@pytest.mark.parametrize("n_samples", [1, 2])
def test_batches_change_nothing(model, scenes, monkeypatch, n_samples):
    # A batch of few numbers would take another path through the generator.
    whole = show(model, scenes, 60, policy="sampled", n_samples=n_samples)
    replayed = show(model, scenes, 60, policy=ReplayPolicy(_rows(whole)), n_samples=n_samples)
    monkeypatch.setattr(measure, "BATCH", 20)
    parts = show(model, scenes, 60, policy="sampled", n_samples=n_samples)
    np.testing.assert_allclose(parts["location"], whole["location"], atol=1e-3)
    # A policy counts images through all batches.
    again = show(model, scenes, 60, policy=ReplayPolicy(_rows(whole)), n_samples=n_samples)
    np.testing.assert_allclose(again["location"], replayed["location"], atol=1e-3)


def _rows(shown):
    """The first look at each scene."""
    return torch.from_numpy(shown["location"].to_numpy()[shown["sample"].values == 0])


def test_samples_stand_together_and_begin_elsewhere(model, scenes):
    shown = show(model, scenes, 4, n_samples=3)
    assert shown["sample"].values.tolist() == [0, 1, 2] * 4
    assert (np.diff(shown["scene"].values.reshape(4, 3)) == 0).all()
    starts = shown["location"].to_numpy()[:, 0].reshape(4, 3, 2)
    assert (np.abs(np.diff(starts, axis=1)) > 0).all()
    still = show(model, scenes, 4, first=torch.tensor([10.0, 20.0]))
    assert (still["location"].to_numpy()[:, 0] == [10, 20]).all()


def test_glimpses_become_scanpaths(model, scenes):
    shown = show(model, scenes, 4, n_samples=2)
    paths = scanpaths_of(shown, "one")
    assert paths.sizes == {"scanpath": 8, "fixation": 3}
    assert paths["image"].values.tolist() == [str(s) for s in shown["scene"].values]
    np.testing.assert_allclose(paths["x"], shown["location"].sel(coordinate="x"))
    np.testing.assert_allclose(paths["y"], shown["location"].sel(coordinate="y"))
