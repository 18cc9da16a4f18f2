"""The deep recurrent attention model: its rollout, what the context can tell, where it looks."""

import json
import math

import numpy as np
import pytest
import torch

from attnsci.errors import InvalidInput, UnknownName
from attnsci.families.ram.dram import DRAM
from attnsci.families.ram.dram_config import (
    CONTEXT_STRIDES,
    GLIMPSE_STRIDES,
    PRESETS,
    SMALLEST,
    DRAMConfig,
    side_left,
)
from attnsci.families.ram.policies import ReplayPolicy
from attnsci.families.zoo import load_model
from attnsci.models.weights import save_weights
from attnsci.sensors.glimpse import BoxSensor

SMALL = DRAMConfig(n_hidden=24, n_maps=16, locator_hidden=16)


@pytest.fixture
def images():
    return torch.rand(7, 1, 60, 60, generator=torch.Generator().manual_seed(5))


def make(seed: int = 0, **settings) -> DRAM:
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = DRAM(SMALL, **settings)
    with torch.no_grad():
        model.locator.linear.weight.mul_(5)  # untrained, it would hardly look about
        if model.context is not None:
            model.context[-1].weight.mul_(20)
    return model


def given(n: int, glimpses: int = 6) -> torch.Tensor:
    return 60 * torch.rand(n, glimpses, 2, generator=torch.Generator().manual_seed(3))


@pytest.mark.parametrize("context", [True, False])
def test_a_rollout_is_what_it_says(images, context):
    model = make(context=context, sigma=0.2)
    found = model.rollout(images, torch.Generator().manual_seed(0), policy="sampled", n_samples=3)
    assert found.logits.shape == (21, 2, 10) and found.log_probs.shape == (21, 6)
    # Everything, recomputed from locations alone, one row and one glimpse at a time.
    for row in (0, 5, 20):
        image = images[row // 3][None]
        cells = model.context(image) if context else torch.zeros(1, 24)
        emission, state = (cells.tanh(), cells), ()
        for t in range(6):
            known = torch.cat([state[0] if state else torch.zeros(1, 24), emission[0]], 1)
            mean = model.locator(emission[0])
            xy = found.locations[row, t][None]
            seen = BoxSensor(image, 12, 2)(xy)
            feature = model.what(seen) * model.where(xy / 30 - 1)
            state = model.core(feature, state)
            emission = model.emitter(state[0], emission)
            for got, wanted in (
                (found.glimpses, seen), (found.features, feature), (found.hidden, state[0]),
                (found.emission, emission[0]), (found.means, 30 * (mean + 1)),
                (found.values, model.baseline(known)[:, 0]),
            ):  # fmt: skip
                torch.testing.assert_close(got[row, t][None], wanted, rtol=1e-4, atol=1e-4)
            if t in (2, 5):
                answer = model.readout(state[0])[0]
                torch.testing.assert_close(found.logits[row, t // 3], answer, rtol=1e-4, atol=1e-5)
            at = xy / 30 - 1
            if (at.abs() < 1).all():
                density = torch.distributions.Normal(mean, 0.2).log_prob(at).sum(1)
                torch.testing.assert_close(
                    found.log_probs[row, t][None], density, rtol=1e-4, atol=1e-3
                )


def test_draws_spread_as_sigma_says_and_their_density_is_of_the_draw(images):
    found = make(sigma=2.0).rollout(images, policy="sampled", n_samples=60)
    assert found.locations.min() == 0 and found.locations.max() == 60
    mahalanobis = -2 * (found.log_probs + math.log(2 * math.pi * 4))
    assert mahalanobis.mean().item() == pytest.approx(2, rel=0.1)  # chi² of 2 degrees
    near = DRAM(SMALL, sigma=0.2).rollout(images, policy="sampled", n_samples=200)
    assert ((near.locations - near.means) / 30).std().item() == pytest.approx(0.2, rel=0.03)


def gradients(model: DRAM, loss: torch.Tensor) -> set[str]:
    model.zero_grad()
    loss.backward(retain_graph=True)
    return {
        name.split(".")[0]
        for name, p in model.named_parameters()
        if p.grad is not None and p.grad.count_nonzero()
    }


@pytest.mark.parametrize("sensor", ["exact", "mip"])
def test_context_cannot_leak_into_the_answer(images, sensor):
    """With locations given, the answer is the same whatever the context says, bit for bit."""
    model, path = make(sensor=sensor), ReplayPolicy(given(7))
    found = model.rollout(images, policy=path)
    naming = {"what", "where", "core", "readout"}
    assert gradients(model, found.logits.logsumexp(-1).sum()) == naming
    with torch.no_grad():
        for parameter in (*model.context.parameters(), *model.emitter.parameters()):
            parameter.normal_()
    again = model.rollout(images, policy=path)
    assert torch.equal(found.logits, again.logits) and torch.equal(found.hidden, again.hidden)
    assert not torch.allclose(found.emission, again.emission)
    assert not torch.allclose(found.means, again.means)


@pytest.mark.parametrize("policy", ["mean", "sampled"])
def test_each_output_teaches_its_own_part(images, policy):
    model = make()
    found = model.rollout(images, policy=policy, n_samples=2)
    naming = {"what", "where", "core", "readout"}
    assert gradients(model, found.logits.logsumexp(-1).sum()) == naming
    assert gradients(model, found.values.sum()) == {"baseline"}
    looking = {"context", "emitter", "locator"} if policy == "sampled" else set()
    assert gradients(model, found.log_probs.sum()) == looking  # at its top, a density is flat


def test_the_context_moves_the_first_look_and_without_it_all_begin_alike(images):
    first = make().rollout(images).locations[:, 0]
    assert len(torch.unique(first, dim=0)) == 7
    blind = make(context=False)
    assert blind.context is None
    first = blind.rollout(images).locations[:, 0]
    assert len(torch.unique(first, dim=0)) == 1
    # It still learns where to begin.
    log_probs = blind.rollout(images, policy="sampled").log_probs[:, 0]
    assert gradients(blind, log_probs.sum()) == {"locator"}


def test_a_first_location_can_be_given(images):
    model, place = make(), torch.tensor([20.0, 33.0])
    found = model.rollout(images, first=place, policy="sampled", n_samples=2)
    assert (found.locations[:, 0] == place).all()
    assert (found.log_probs[:, 0] == 0).all() and (found.log_probs[:, 1:] != 0).all()
    each = model.rollout(images, first=given(7, 1)[:, 0])
    torch.testing.assert_close(each.locations[:, 0], given(7, 1)[:, 0])


@pytest.mark.parametrize("policy", ["mean", "sampled", "random"])
def test_paths_depend_on_name_sample_and_seed_only(images, policy):
    model = make(sigma=0.3)
    names = [f"pair {i}" for i in range(7)]

    def look(rows=slice(None), **settings):
        return model.look(images[rows], image=names[rows], policy=policy, **settings)

    paths = look(n_samples=3)
    assert paths.sizes == {"scanpath": 21, "fixation": 6, "target": 2}
    some = look(slice(2, 4), n_samples=2, chunk=1)
    for variable in ("x", "y"):
        kept = paths[variable].values.reshape(7, 3, 6)
        np.testing.assert_allclose(some[variable].values.reshape(2, 2, 6), kept[2:4, :2], atol=1e-3)
    assert np.array_equal(look(n_samples=3, chunk=2)["prediction"], paths["prediction"])
    if policy != "mean":
        # A draw may end at the edge, where many are alike in one coordinate.
        first = np.stack([paths[name].values[:, 0] for name in ("x", "y")], 1)
        assert len(np.unique(first, axis=0)) == 21
        one, two = (look(seed=seed) for seed in (1, 2))
        assert ((one["x"] != two["x"]) | (one["y"] != two["y"])).all()


def test_scanpaths_say_what_was_read(images):
    model = make().eval()
    paths = model.look(images, seed=3)
    assert paths.observer.values.tolist() == ["DRAM"] * 7
    record = json.loads(paths.attrs["provenance"])
    assert record["model"] == "DRAM" and record["config"]["n_targets"] == 2
    logits = model(images)
    assert paths["prediction"].values.tolist() == logits.argmax(-1).tolist()
    wanted = logits.softmax(-1).amax(-1).detach().numpy()
    np.testing.assert_allclose(paths["confidence"], wanted, rtol=1e-5)


def test_other_sizes_targets_and_numbers_of_glimpses():
    model = DRAM(
        n_targets=3, glimpses_per_target=2, glimpse_px=10, channels=3, context_px=16, n_classes=4,
        n_hidden=16, n_maps=4,
    )  # fmt: skip
    found = model.rollout(torch.rand(1, 3, 37, 90))
    assert found.logits.shape == (1, 3, 4) and found.locations.shape == (1, 6, 2)
    assert found.glimpses.shape == (1, 6, 600)
    images = torch.rand(2, 3, 37, 90)
    longer = model.rollout(images, n_glimpses=9)
    assert longer.logits.shape == (2, 4, 4) and longer.locations.shape == (2, 9, 2)
    assert model.rollout(images, n_glimpses=1).logits.shape == (2, 0, 4)
    assert model.look(images, 3).sizes == {"scanpath": 2, "fixation": 3, "target": 1}
    torch.testing.assert_close(longer.locations[:, :6], model.rollout(images).locations)


def test_a_rollout_repeats_with_its_generator(images):
    model = make()
    one, two, other = (
        model.rollout(images, torch.Generator().manual_seed(s), policy="sampled") for s in (4, 4, 5)
    )
    assert torch.equal(one.logits, two.logits)
    assert not torch.equal(one.locations, other.locations)


def test_weights_load_by_path(images, tmp_path):
    model = make(context=False)
    save_weights(tmp_path / "w.safetensors", model, {"model": "DRAM", "config": model.config})
    loaded = load_model(tmp_path / "w.safetensors").model
    assert loaded.config == model.config
    assert torch.equal(loaded(images), model(images))


def test_errors_teach(images):
    model = make()
    with pytest.raises(InvalidInput, match=r"off the images of 60×60. Give pixels"):
        model.rollout(images, first=torch.tensor([-0.5, 0.3]))
    with pytest.raises(InvalidInput, match="1 channel"):
        model.rollout(torch.rand(2, 3, 60, 60))
    with pytest.raises(UnknownName, match="sampled"):
        model.rollout(images, policy="sampeld")
    with pytest.raises(InvalidInput, match="finite locations"):
        model.rollout(images, policy=lambda p: p.uniform * math.nan)
    with pytest.raises(InvalidInput, match="n_maps must be even"):
        DRAMConfig(n_maps=7)
    with pytest.raises(InvalidInput, match="sensor must be one of"):
        DRAMConfig(sensor="grid")
    with pytest.raises(InvalidInput, match="locator_hidden must be 0"):
        DRAMConfig(locator_hidden=-1)
    for name, strides in (("glimpse_px", GLIMPSE_STRIDES), ("context_px", CONTEXT_STRIDES)):
        least = SMALLEST[name]
        assert side_left(least, strides) == 1 and side_left(least - 1, strides) < 1
        DRAMConfig(**{name: least})
        with pytest.raises(InvalidInput, match=f"Take {least} or more"):
            DRAMConfig(**{name: least - 1})
    assert [config.context for config in PRESETS.values()] == [True, False]
