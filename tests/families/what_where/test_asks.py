"""The words in which What, What/Where and spatial transformers answer."""

import dataclasses

import numpy as np
import pytest
import torch

from attnsci.data.digits import load_mnist
from attnsci.data.noisy_layout import PRESETS
from attnsci.data.noisy_stimuli import NoisyScenes
from attnsci.errors import InvalidInput
from attnsci.families.what_where import asks
from attnsci.families.zoo import load_model
from attnsci.recording.responses import collect


@pytest.fixture(scope="module")
def scenes():
    """Six scenes of 128 pixels, their digits at 25 pixels from the middle."""
    digits = load_mnist("test", "bundled").spread(6)
    return NoisyScenes(digits, dataclasses.replace(PRESETS[128], radius=25.0))


def test_an_eye_answers_after_every_saccade_of_one_rollout(scenes):
    eye = asks.eye_of(load_model("what-crop-seed0").model, load_model("where-seed0").model)
    responses = collect(asks.Saccades(eye, 2), scenes, batch_size=4)
    assert dict(responses["logits"].sizes) == {"stimulus": 6, "time": 3, "class": 10}
    with torch.no_grad():
        rollout = eye.rollout(scenes[:].image, n_saccades=2)
    np.testing.assert_allclose(responses["logits"], rollout.logits, atol=1e-4)
    np.testing.assert_array_equal(responses["location"], rollout.locations)
    assert responses["gain"].isel(time=0).isnull().all()
    np.testing.assert_allclose(responses["gain"].isel(time=slice(1, None)), rollout.gain, atol=1e-4)
    assert (responses["location"].isel(time=0) == 64).all()


def test_an_oracle_is_told_and_says_no_place(scenes):
    eye = asks.eye_of(load_model("what-crop-seed0").model, load_model("where-seed0").model)
    responses = collect(asks.Oracle(eye), scenes)
    assert "location" not in responses
    batch = scenes[:]
    with torch.no_grad():
        logits = eye.rollout(batch.image, first=batch.places, n_saccades=0).logits[:, 0]
    np.testing.assert_array_equal(responses["logits"], logits)
    assert (responses["logits"].argmax("class") == responses["label"]).mean() > 0.6


@pytest.mark.parametrize("half", [False, True])
def test_convolutions_are_in_bfloat16_where_that_is_fast(half, scenes, monkeypatch):
    monkeypatch.setattr(asks, "computes_bfloat16", lambda precision, device: half)
    for name, alike in (("atn-seed0", not half), ("polo-atn-95-seed0", True)):
        model = load_model(name).model
        with torch.no_grad():
            rollout = model.rollout(scenes[:].image)
        ask = asks.ask_of(model, name)
        responses = collect(ask, scenes)
        assert ask.settings == {"bfloat16": not alike}
        assert responses["location"].dtype == np.float32
        tolerance = 1e-4 if alike else 0.5
        away = abs(responses["location"] - rollout.locations[:, -1].numpy()).max()
        assert away < tolerance
        assert (away > 1e-4) == (not alike)


def test_a_network_is_asked_by_what_it_is(scenes):
    what, small = load_model("what-28-seed0").model, NoisyScenes(scenes.digits)
    logits = collect(asks.ask_of(what, "what"), small)["logits"]
    with torch.no_grad():
        np.testing.assert_allclose(logits, what(small[:].image), atol=1e-5)
    ram = load_model("ram-mnist-28-seed0").model
    by_glimpse = collect(asks.ask_of(ram, "ram"), small)["logits"]
    assert dict(by_glimpse.sizes) == {"stimulus": 6, "time": 6, "class": 10}
    with torch.no_grad():
        rollout = ram.rollout(small[:].image, first=torch.tensor([14.0, 14.0]), policy="mean")
    np.testing.assert_allclose(by_glimpse, rollout.logits, atol=1e-5)
    for name in ("where-seed0", "mnist-2-seed0", "dram-pairs-seed0"):
        with pytest.raises(InvalidInput, match="answers_by_offset"):
            asks.ask_of(load_model(name).model, name)
