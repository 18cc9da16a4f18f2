import numpy as np
import pytest
import torch

from attnsci.data.digits import load_mnist
from attnsci.data.ram_scenes import PRESETS, ClutteredScenes
from attnsci.data.stimuli import some
from attnsci.errors import RecordingError
from attnsci.families.ram.looks import Looks, scanpaths_of
from attnsci.families.ram.network import RAM
from attnsci.families.ram.policies import ReplayPolicy
from attnsci.recording import collect


@pytest.fixture(scope="module")
def scenes():
    return ClutteredScenes(load_mnist("test"), PRESETS["translated-60"])


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(0)
    return RAM(glimpse_px=12, n_scales=2, n_hidden=16, n_what=8, n_where=8, n_glimpses=3).eval()


def responses(model, scenes, n, n_samples=1, *, batch_size=500, store=None, **settings):
    stimuli = some(scenes, n, n_samples)
    looks = Looks(model, len(stimuli), **settings)
    return collect(looks, stimuli, batch_size=batch_size, store=store)


def test_what_is_kept_is_the_rollout(model, scenes):
    kept = responses(model, scenes, 5, state=True)
    images = scenes[kept["index"].values].image
    first = torch.from_numpy(kept["location"].to_numpy()[:, 0])
    again = model.rollout(images, first=first)
    for name, value in (
        ("logits", again.logits), ("location", again.locations), ("mean", again.means),
        ("hidden", again.hidden), ("seen", again.glimpses), ("value", again.values),
    ):  # fmt: skip
        np.testing.assert_allclose(kept[name].to_numpy(), value.detach(), atol=1e-4)
    assert kept["index"].values.tolist() == [0, 200, 400, 600, 800]
    assert kept["label"].values.tolist() == scenes.digits.labels[kept["index"].values].tolist()
    assert (kept["x"].values >= 14).all() and (kept["x"].values <= 46).all()
    assert kept["time"].values.tolist() == [0, 1, 2]
    assert kept["location"].dims == ("stimulus", "time", "coordinate")


@pytest.mark.parametrize("n_samples", [1, 2])
def test_batches_change_nothing(model, scenes, n_samples):
    whole = responses(model, scenes, 60, n_samples, policy="sampled")
    parts = responses(model, scenes, 60, n_samples, policy="sampled", batch_size=7)
    np.testing.assert_allclose(parts["location"], whole["location"], atol=1e-3)
    # A policy counts the rows through all batches.
    policy = ReplayPolicy(torch.from_numpy(whole["location"].to_numpy()))
    replayed = responses(model, scenes, 60, n_samples, policy=policy, batch_size=7)
    np.testing.assert_allclose(replayed["location"][:, 1:], whole["location"][:, 1:], atol=1e-3)


def test_samples_stand_together_and_begin_elsewhere(model, scenes):
    kept = responses(model, scenes, 4, 3)
    assert kept["sample"].values.tolist() == [0, 1, 2] * 4
    assert (np.diff(kept["index"].values.reshape(4, 3)) == 0).all()
    starts = kept["location"].to_numpy()[:, 0].reshape(4, 3, 2)
    assert (np.abs(np.diff(starts, axis=1)) > 0).all()
    still = responses(model, scenes, 4, first=torch.tensor([10.0, 20.0]))
    assert (still["location"].to_numpy()[:, 0] == [10, 20]).all()


def test_glimpses_become_scanpaths(model, scenes):
    kept = responses(model, scenes, 4, 2)
    paths = scanpaths_of(kept, "one", 60.0)
    assert paths.sizes == {"scanpath": 8, "fixation": 3}
    assert paths["image"].values.tolist() == [str(s) for s in kept["index"].values]
    np.testing.assert_allclose(paths["x"], kept["location"].sel(coordinate="x"))
    np.testing.assert_allclose(paths["y"], kept["location"].sel(coordinate="y"))


def test_a_store_goes_on_only_under_the_same_policy_and_seed(model, scenes, tmp_path):
    store = tmp_path / "looks.zarr"
    first = responses(model, scenes, 12, batch_size=4, store=store)
    again = responses(model, scenes, 12, batch_size=4, store=store)
    np.testing.assert_array_equal(first["logits"], again["logits"])
    for settings in ({"policy": "random"}, {"seed": 1}, {"n_glimpses": 2},
                     {"first": torch.tensor([10.0, 20.0])}):  # fmt: skip
        with pytest.raises(RecordingError, match=f"{next(iter(settings))}: stored"):
            responses(model, scenes, 12, batch_size=4, store=store, **settings)
    one, other = (ReplayPolicy(torch.full((12, 3, 2), xy)) for xy in (20.0, 30.0))
    responses(model, scenes, 12, policy=one, store=tmp_path / "replay.zarr")
    with pytest.raises(RecordingError, match="policy"):
        responses(model, scenes, 12, policy=other, store=tmp_path / "replay.zarr")
