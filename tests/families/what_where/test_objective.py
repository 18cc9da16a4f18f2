"""Training of What and of spatial transformers on noisy digits."""

import dataclasses

import numpy as np
import pytest
import torch

from attnsci.data.digits import load_mnist
from attnsci.errors import InvalidInput
from attnsci.families.what_where.config import WhatConfig
from attnsci.families.what_where.objective import STRAIN_FREE, NoisyDigitsObjective, strain_of
from attnsci.families.what_where.recipes import (
    CURRICULA,
    FAINT,
    PRESETS,
    NoisyDigitsTraining,
)
from attnsci.families.what_where.transformer_config import PRESETS as TRANSFORMERS
from attnsci.families.zoo import load_model
from attnsci.training.configs import fast_trainer
from attnsci.training.trainer import Trainer

SMALL = NoisyDigitsTraining(
    WhatConfig(hidden=16), batches_per_epoch=3, batch_size=10, warmup=0, validation_scenes=20,
    validation_fraction=0.2, source="bundled",
)  # fmt: skip


@pytest.fixture(scope="module")
def digits():
    return load_mnist("train", "bundled").subset(np.arange(0, 2500, 20))


@pytest.mark.parametrize(
    ("name", "epochs", "at", "std", "contrast", "rate"),
    [
        ("what", 80, 79, 15.0, FAINT, 1),
        ("stn-28", 160, 10, 1.0, FAINT, 1),
        ("stn-128", 110, 30, 40 * 4 / 9, 0.7, 0.1),
        ("stn-128", 110, 95, 40.0, (0.5, 0.7), 0.1),
        ("atn", 110, 89, 40.0, 0.7, 0.5**8),
        ("polo-atn", 110, 109, 40.0, FAINT, 0.1),
        ("conv-polo-atn", 189, 0, 40.0, 0.7, 1),
        ("wander-28", 40, 39, 15.0, FAINT, 1),
        ("wander-128", 40, 39, 40.0, FAINT, 1),
    ],
)
def test_curricula(name, epochs, at, std, contrast, rate):
    training = dataclasses.replace(SMALL, curriculum=name)
    stage = training.stage(at)
    assert training.epochs == epochs
    assert (stage.std, stage.contrast) == (pytest.approx(std), contrast)
    assert stage.rate == pytest.approx(rate)
    assert training.stage(10_000) == CURRICULA[name][-1]


def test_published_recipes_are_frozen_scenes_and_plain_descent():
    for name, recipe in PRESETS.items():
        assert (recipe.mode == "frozen") == name.endswith("published")
    atn, what = PRESETS["atn-published"], PRESETS["what-published"]
    assert (atn.optimizer, atn.learning_rate, atn.batches_per_epoch) == ("sgd", 0.01, 600)
    assert (what.optimizer, what.learning_rate, what.noise) == ("adam", 5e-3, 1.0)
    assert PRESETS["polo-atn-95-published"].learning_rate == 0.005


def test_scenes_of_a_stage_are_the_published_ones_but_for_the_settings():
    large = PRESETS["atn-published"]
    scenes = large.scenes(large.stages[0])
    assert (scenes.size, scenes.mask, scenes.renormalise, scenes.law) == (128, True, True, "radial")
    assert (scenes.contrast, scenes.tail, scenes.std) == (0.7, "clip", pytest.approx(40 / 9))


def test_step_sizes_follow_stage_and_cosine(digits):
    constant = dataclasses.replace(SMALL, curriculum="atn", final_rate=1.0, learning_rate=0.01)
    objective = NoisyDigitsObjective(constant, digits)
    steps = [objective.batch(epoch, 0, 0, 1).step for epoch in (0, 9, 10, 95)]
    assert [objective.learning_rate(step) for step in steps] == [
        0.01, 0.01, 0.005, pytest.approx(0.001),
    ]  # fmt: skip
    falling = NoisyDigitsObjective(dataclasses.replace(SMALL, final_rate=0.0), digits)
    assert falling.learning_rate(falling.batch(20, 0, 0, 1).step) == pytest.approx(0.5e-3)


def test_every_digit_once_a_turn_and_noise_fresh(digits):
    objective = NoisyDigitsObjective(SMALL, digits)  # 100 digits: a turn is ten batches
    batches = [objective.batch(k // 3, k % 3, 0, 1).stimuli for k in range(10)]
    labels = torch.cat([batch.metadata["label"] for batch in batches])
    assert labels.tolist() != objective.training.labels.tolist()
    assert sorted(labels.tolist()) == sorted(objective.training.labels.tolist())
    first, again = objective.batch(0, 0, 0, 1), objective.batch(0, 0, 0, 1)
    assert torch.equal(first.stimuli.image, again.stimuli.image)


def test_shares_of_processes_are_the_batch(digits):
    one, other = (NoisyDigitsObjective(SMALL, digits) for _ in range(2))
    whole = one.batch(1, 2, 0, 1)
    parts = [other.batch(1, 2, rank, 2) for rank in range(2)]
    assert torch.equal(whole.stimuli.image, torch.cat([part.stimuli.image for part in parts]))


def test_a_fovea_sees_the_middle_of_a_large_scene(digits):
    crop = NoisyDigitsObjective(dataclasses.replace(SMALL, scene_px=128), digits)
    batch = crop.batch(0, 0, 0, 1)  # the first stage has the digit in the middle
    assert batch.stimuli.image.shape == (10, 1, 128, 128)
    views = []
    network = lambda images: views.append(images) or torch.zeros(10, 10)  # noqa: E731
    next(crop.losses(network, batch))
    assert torch.equal(views[0], batch.stimuli.image[:, :, 50:78, 50:78])


@pytest.mark.parametrize("name", ["stn-28-bounded", "polo-atn-95-bounded"])
def test_transformers_train_from_measured_features(digits, name, tmp_path):
    px = TRANSFORMERS[name].image_px
    recipe = dataclasses.replace(
        SMALL, model=TRANSFORMERS[name], scene_px=px, law="radial" if px == 128 else "axes",
        curriculum="wander-128" if px == 128 else "wander-28",
    )  # fmt: skip
    objective = NoisyDigitsObjective(recipe, digits)
    before = {k: v.clone() for k, v in objective.model.state_dict().items()}
    settings = fast_trainer(recipe, max_steps=2, device="cpu", precision="32-true")
    rows = Trainer(objective, tmp_path, settings).fit()
    last = rows[rows["split"] == "validation"].iloc[-1]
    assert 0 <= last["landing_error"] < 60
    after = objective.model.state_dict()
    changed = {name for name in after if not torch.equal(before[name], after[name])}
    assert "classifier.0.weight" in changed
    assert any(name.startswith("localisation") for name in changed)
    assert not {name for name in changed if "standardiser" in name}
    kept = load_model(tmp_path / "last.safetensors")
    assert kept.record["training"]["curriculum"] == recipe.curriculum


def test_strain_costs_what_is_beyond_the_free_part():
    parameters = torch.tensor([[STRAIN_FREE, -0.2], [-STRAIN_FREE - 2, 0.0]], requires_grad=True)
    strain = strain_of(parameters)
    assert strain.item() == pytest.approx(4 / 4)
    (gradient,) = torch.autograd.grad(strain, parameters)
    assert gradient.tolist() == [[0, 0], [-1, 0]]


def test_strain_and_clipping_are_in_the_update(digits, tmp_path):
    """A transform that starts far beyond its limits comes back; its gradient is not let through."""
    recipe = dataclasses.replace(
        SMALL, model=TRANSFORMERS["stn-28-bounded"], strain_weight=1.0, clip=1e-3,
        optimizer="sgd", learning_rate=1.0, final_rate=1.0,
    )  # fmt: skip
    objective = NoisyDigitsObjective(recipe, digits)
    last = objective.model.localisation[-1]
    with torch.no_grad():
        last.bias.fill_(5.0)
    before = [p.detach().clone() for p in objective.model.parameters()]
    settings = fast_trainer(recipe, max_steps=1, device="cpu", precision="32-true")
    rows = Trainer(objective, tmp_path, settings).fit()
    assert rows["strain"].iloc[0] == pytest.approx((5 - STRAIN_FREE) ** 2, rel=1e-3)
    moved = [a - b for a, b in zip(before, objective.model.parameters(), strict=True)]
    norm = torch.linalg.vector_norm(torch.cat([part.flatten() for part in moved]))
    assert norm.item() == pytest.approx(1e-3, rel=1e-2)
    assert (last.bias < 5).all()


@pytest.mark.slow
def test_what_learns_centred_digits_in_noise(data_root, tmp_path):
    """As a short training of the specification does: .75 and more after 600 batches."""
    recipe = NoisyDigitsTraining(noise=1.0, batches_per_epoch=600, warmup=0, final_rate=1.0)
    objective = NoisyDigitsObjective(recipe)
    settings = fast_trainer(recipe, max_steps=600, device="cpu", precision="32-true")
    rows = Trainer(objective, tmp_path, settings).fit()
    assert rows[rows["split"] == "validation"].iloc[-1]["accuracy_central"] >= 0.75


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"model": TRANSFORMERS["atn"]}, "scene_px=128"),
        ({"scene_px": 64}, "scene_px"),
        ({"noise": 1.5}, "noise"),
        ({"curriculum": "none"}, "curriculum"),
        ({"warmup": -1}, "warmup"),
        ({"batch_size": 0}, "batch_size"),
    ],
)
def test_settings_that_do_not_fit(settings, message):
    with pytest.raises(InvalidInput, match=message):
        dataclasses.replace(SMALL, **settings)
