"""Training of Where: foretelling what the fovea would recognise."""

import dataclasses

import numpy as np
import pytest
import torch

from attnsci.data.digits import load_mnist
from attnsci.data.noisy_layout import PRESETS as LAYOUTS
from attnsci.data.noisy_scenes import noisy_digits
from attnsci.errors import InvalidInput
from attnsci.families.what_where.config import WhereConfig
from attnsci.families.what_where.pathways import WhatNet
from attnsci.families.what_where.where_objective import WhereObjective, landing_accuracy
from attnsci.families.what_where.where_recipes import PRESETS, WhereTraining
from attnsci.families.zoo import load_model
from attnsci.training.configs import fast_trainer
from attnsci.training.trainer import Trainer

SMALL = WhereTraining(
    WhereConfig(hidden=8, n_theta=2, n_azimuth=8, n_ecc=6), batches_per_epoch=2, batch_size=10,
    warmup=0, map_scenes=6, map_stride_px=27, validation_scenes=20, validation_fraction=0.2,
    source="bundled",
)  # fmt: skip


class InkCounter(WhatNet):
    """Says 1 if the middle of its view is bright, else 0."""

    def forward(self, images):
        bright = images[..., 10:18, 10:18].amax((1, 2, 3)) > 0.9
        return torch.stack([~bright, bright], 1).float()


@pytest.fixture(scope="module")
def digits():
    return load_mnist("train", "bundled").subset(np.arange(0, 2500, 20))


@pytest.fixture(scope="module")
def objective(digits):
    torch.manual_seed(0)
    return WhereObjective(SMALL, digits, WhatNet(hidden=16))


def test_accuracy_is_by_where_the_digit_lies_in_the_view(digits):
    ones = digits.subset(np.flatnonzero(digits.labels == 1)[:8])
    layout = dataclasses.replace(LAYOUTS[128], noise=0.0, contrast=1.0)
    found = landing_accuracy(InkCounter(), ones, layout, seed=(0,), stride_px=9)
    assert found.shape == (55, 55)
    for dy, dx in ((0, 0), (9, 0), (-18, 9), (0, 27)):
        shown = noisy_digits(
            ones.images, ones.labels, ones.index, seed=0, config=layout, i_offset=dy, j_offset=dx
        )
        seen = shown.image[:, :, 50:78, 50:78]
        want = (InkCounter()(seen).argmax(-1) == 1).float().mean()
        assert float(found[27 + dy, 27 + dx]) == pytest.approx(float(want))
    assert found[27, 27] == 1
    assert float(found[27, 31]) == pytest.approx(float((5 * found[27, 27] + 4 * found[27, 36]) / 9))


def test_the_stride_must_fit(digits):
    with pytest.raises(InvalidInput, match="divide 27"):
        landing_accuracy(WhatNet(), digits, LAYOUTS[128], seed=(0,), stride_px=2)


def test_targets_are_of_the_digits_in_the_scenes(objective):
    batch = objective.batch(0, 1, 0, 1)
    digits = objective.training.subset(objective._order[10:20])
    scenes = objective.noisy(digits, objective.config.scenes, 2, 0)
    features = objective.pathways.retina(scenes.image)
    offsets = torch.stack([scenes.metadata["dy"], scenes.metadata["dx"]], 1)
    logits = objective.model(features)
    wanted = torch.nn.functional.binary_cross_entropy_with_logits(logits, objective.table(offsets))
    loss, _ = next(objective.losses(objective.model, batch))
    torch.testing.assert_close(loss, wanted)
    parts = [objective.batch(0, 1, rank, 2).stimuli.image for rank in range(2)]
    assert torch.equal(torch.cat(parts), batch.stimuli.image)


def test_only_where_learns(digits, tmp_path):
    torch.manual_seed(0)
    objective = WhereObjective(SMALL, digits, WhatNet(hidden=16))
    what = {name: value.clone() for name, value in objective.what.state_dict().items()}
    settings = fast_trainer(SMALL, max_steps=4, device="cpu", precision="32-true")
    rows = Trainer(objective, tmp_path, settings).fit()
    assert all(torch.equal(what[k], v) for k, v in objective.what.state_dict().items())
    valid = rows[rows["split"] == "validation"]
    assert (valid["loss"] > valid["loss_floor"]).all()
    assert valid["landing_error"].between(0, 100).all()
    kept = load_model(tmp_path / "last.safetensors")
    assert kept.model.config == SMALL.model
    assert set(kept.record["what_accuracy"]) == {"centre", "mean"}


def test_the_published_recipe():
    recipe = PRESETS["where-published"]
    assert (recipe.noise, recipe.contrast, recipe.std, recipe.tail) == (1.0, 0.7, 30.0, "clip")
    assert (recipe.learning_rate, recipe.epochs, recipe.batches_per_epoch) == (1e-4, 60, 600)
    assert not recipe.reflected
    assert not recipe.model.standardised


def test_weights_that_are_no_what_are_refused(digits):
    recipe = dataclasses.replace(SMALL, what="mnist-2-seed0")
    with pytest.raises(InvalidInput, match="ObjectAttention; Where needs a WhatNet"):
        WhereObjective(recipe, digits)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"map_stride_px": 0}, "map_stride_px"),
        ({"noise": -1}, "noise"),
        ({"warmup": -1}, "warmup"),
        ({"model": WhereConfig(image_px=64)}, "image_px"),
    ],
)
def test_settings_that_do_not_fit(settings, message):
    with pytest.raises(InvalidInput, match=message):
        dataclasses.replace(SMALL, **settings)
