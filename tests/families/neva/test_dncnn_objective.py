"""Training of the denoiser: views as described, photographs on their sides, a loss that falls."""

import dataclasses
import hashlib

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn

from attnsci.data.images import Photograph, load_images
from attnsci.errors import CheckpointError, InvalidInput
from attnsci.families.neva.dncnn_objective import DnCNNObjective, Pieces, evaluate
from attnsci.families.neva.dncnn_recipes import DnCNNTraining
from attnsci.families.neva.photographs import part_of
from attnsci.families.zoo import load_model
from attnsci.models.weights import load_weights
from attnsci.training.configs import TrainerConfig
from attnsci.training.trainer import Trainer

SMALL = DnCNNTraining(
    crop=16, batch_size=4, batches_per_epoch=3, blur_size=9, zoom=1, blur_sigma_px=3, sigma_px=6,
    validation_crops=8, seed=3,
)  # fmt: skip


@pytest.fixture(scope="module")
def photographs():
    """Forty pieces of real photographs, of several sizes, called by numbers."""
    found = []
    for photo in load_images():
        for i in range(8):
            piece = photo.image[30 * i : 30 * i + 60 + i, 20 * i : 20 * i + 70]
            found.append(Photograph(f"{len(found):012d}.png", piece, photo.licence, "here"))
    return found


def objective(photographs, **changes):
    return DnCNNObjective(dataclasses.replace(SMALL, **changes), photographs)


def test_the_split_is_that_of_the_hashed_number():
    for number in (9, 25, 30, 632, 100510):
        share = int(hashlib.md5(str(number).encode()).hexdigest(), 16) % 100
        expected = "train" if share < 70 else "validation" if share < 85 else "test"
        assert part_of(f"{number:012d}.jpg") == expected
    parts = pd.Series([part_of(f"{i}.jpg") for i in range(4000)]).value_counts(normalize=True)
    assert parts.to_dict() == pytest.approx(
        {"train": 0.7, "validation": 0.15, "test": 0.15}, abs=0.02
    )


def test_photographs_are_on_one_side_only(photographs):
    both = objective(photographs)
    training, validation = set(both.training.names), set(both.validation.names)
    assert not training & validation
    assert {part_of(name) for name in training} == {"train"}
    assert {part_of(name) for name in validation} == {"validation"}
    assert both.training.checksum != both.validation.checksum
    # A photograph more does not move the others.
    more = [*photographs, dataclasses.replace(photographs[0], name="123456.png")]
    assert training <= {*objective(more).training.names}


def test_batches_are_functions_of_their_place(photographs):
    run = objective(photographs)
    batch, again = run.batch(1, 2, 0, 1), objective(photographs).batch(1, 2, 0, 1)
    assert torch.equal(batch.seen, again.seen)
    assert torch.equal(batch.sharp, again.sharp)
    assert batch.epoch == 1
    for other in (run.batch(1, 1, 0, 1), run.batch(0, 2, 0, 1)):
        assert not torch.equal(batch.sharp, other.sharp)
    assert not torch.equal(batch.sharp, objective(photographs, seed=4).batch(1, 2, 0, 1).sharp)
    halves = [run.batch(1, 2, rank, 2) for rank in (0, 1)]
    assert torch.equal(torch.cat([half.seen for half in halves]), batch.seen)
    with pytest.raises(InvalidInput, match="batch of 4 cannot be shared evenly by 3"):
        run.batch(0, 0, 0, 3)


def test_pieces_are_cut_out_of_one_photograph_or_its_mirror_image():
    rows, columns = np.mgrid[:50, :60]
    image = np.stack([rows * 4, columns * 4, np.full_like(rows, 7)], -1).astype(np.uint8)
    pieces = Pieces([Photograph("a", image, "", "")], SMALL)
    _, sharp = pieces.draw(64, torch.Generator().manual_seed(0))
    values = (sharp * 255).round().int()
    assert sharp.shape == (64, 3, 16, 16)
    assert (values[:, 2] == 7).all()
    assert (values[:, 0].diff(dim=1) == 4).all()
    steps = values[:, 1].diff(dim=2)
    assert set(steps.unique().tolist()) == {-4, 4}
    assert (steps == steps[:, :1, :1]).all()
    # The blur's margin of 4 stays inside the photograph; every place in it occurs.
    assert values[:, 0].min() == 16
    assert values[:, 0].max() == 4 * (50 - 1 - 4)
    assert values[:, 1].min() >= 16
    assert values[:, 1].max() <= 4 * (60 - 1 - 4)


def test_padding_of_small_photographs_is_never_shown():
    sizes = [(24, 80), (80, 24), (24, 24)]
    bright = [Photograph(str(s), np.full((*s, 3), 255, np.uint8), "", "") for s in sizes]
    _, sharp = Pieces(bright, SMALL).draw(50, torch.Generator().manual_seed(0))
    assert (sharp == 1).all()


def test_a_view_without_blur_or_noise_is_the_photograph(photographs):
    still = dataclasses.replace(SMALL, noise=0, blur_noise=0, blur_sigma_px=1e-3)
    seen, sharp = Pieces(photographs, still).draw(8, torch.Generator().manual_seed(1))
    torch.testing.assert_close(seen, sharp)


def test_views_are_sharp_here_and_blurred_there(photographs):
    quiet = dataclasses.replace(SMALL, noise=0, blur_noise=0, sharp=0)
    seen, sharp = Pieces(photographs, quiet).draw(200, torch.Generator().manual_seed(1))
    error = (seen - sharp).abs().mean((1, 2, 3)) / sharp.std((1, 2, 3)).clamp_min(0.02)
    assert error.quantile(0.1) < 0.25 * error.quantile(0.9)
    noisy = dataclasses.replace(quiet, noise=0.2)
    seen_noisy, _ = Pieces(photographs, noisy).draw(200, torch.Generator().manual_seed(1))
    # Uniform from 0 to 0.2: 0.1 on average.
    assert (seen_noisy - seen).std((1, 2, 3)).mean() == pytest.approx(0.1, abs=0.01)
    assert not (seen_noisy - seen).mean().abs() > 0.01


def test_unusable_photographs_are_named(photographs):
    small = Photograph("tiny.png", np.zeros((30, 23, 3), np.uint8), "", "")
    with pytest.raises(InvalidInput, match=r"first 'tiny\.png' of 23×30 pixels.*need 24"):
        Pieces([*photographs, small], SMALL)
    with pytest.raises(InvalidInput, match="no photographs"):
        DnCNNObjective(SMALL, [])


@pytest.mark.parametrize(
    "changes",
    [{"crop": 0}, {"zoom": 0.5}, {"noise": 2.0}, {"learning_rate": -1.0}, {"half_life": 0.0}],
)
def test_unusable_settings_are_refused(changes):
    with pytest.raises(InvalidInput, match=next(iter(changes))):
        dataclasses.replace(SMALL, **changes)


def test_doing_nothing_scores_as_the_view(photographs):
    class Nothing(nn.Module):
        def __init__(self):
            super().__init__()
            self.weight = nn.Parameter(torch.zeros(1))

        def forward(self, images):
            return images

    pieces = Pieces(photographs, SMALL)
    scores = evaluate(Nothing(), pieces)
    assert scores["mse"] == scores["mse_of_view"]
    assert scores["psnr"] == pytest.approx(10 * np.log10(1 / scores["mse"]))
    assert (scores["n"], scores["n_photographs"]) == (8, len(photographs))
    assert evaluate(Nothing(), pieces) == scores
    assert evaluate(Nothing(), pieces, seed=1) != scores


def test_training_lowers_the_loss_and_leaves_weights_that_load(tmp_path, photographs):
    run = objective(photographs, batches_per_epoch=20, half_life=1.0)
    run.model.layers[-1].weight.data.mul_(0.1)
    config = TrainerConfig(epochs=2, device="cpu", save_every=100)
    table = Trainer(run, tmp_path / "run", config).fit()
    updates = table[table["split"] == "train"]
    assert updates["loss"][:5].mean() > 2 * updates["loss"][-5:].mean()
    assert updates["learning_rate"].unique().tolist() == [1e-3, 5e-4]
    assert {"mse", "psnr", "mse_of_view", "psnr_of_view"} <= set(table)
    loaded = load_model(tmp_path / "run" / "last.safetensors")
    assert loaded.record["data"]["n"] == len(run.training.names)
    assert loaded.record["training"]["crop"] == 16
    images = torch.rand(1, 3, 20, 20)
    with torch.no_grad():
        assert torch.equal(loaded.model(images), run.model.eval()(images))


def test_a_stopped_run_ends_as_if_it_never_had_been(tmp_path, photographs):
    config = TrainerConfig(epochs=2, device="cpu")
    Trainer(objective(photographs), tmp_path / "whole", config).fit()
    part = dataclasses.replace(config, max_steps=2)
    Trainer(objective(photographs), tmp_path / "parts", part).fit()
    Trainer(objective(photographs), tmp_path / "parts", config).fit()
    (a, _), (b, _) = (load_weights(tmp_path / n / "last.safetensors") for n in ("whole", "parts"))
    for name, value in a.items():
        assert torch.equal(value, b[name]), name
    with pytest.raises(CheckpointError, match="other settings or data"):
        Trainer(objective(photographs[:-3]), tmp_path / "parts", config).fit()


def test_some_views_are_sharp_all_over(photographs):
    quiet = dataclasses.replace(SMALL, noise=0, blur_noise=0, sharp=0.25)
    seen, sharp = Pieces(photographs, quiet).draw(400, torch.Generator().manual_seed(2))
    assert (seen - sharp).abs().amax((1, 2, 3)).lt(1e-6).float().mean() == pytest.approx(
        0.25, abs=0.06
    )
    everything = dataclasses.replace(quiet, sharp=1)
    seen, sharp = Pieces(photographs, everything).draw(8, torch.Generator().manual_seed(2))
    assert torch.equal(seen, sharp)


def test_pieces_are_enlarged_about_their_middle(photographs):
    ramp = np.repeat(np.arange(60, dtype=np.uint8)[None, :, None] * 4, 50, 0).repeat(3, 2)
    zoomed = dataclasses.replace(SMALL, zoom=2)
    _, sharp = Pieces([Photograph("a", ramp, "", "")], zoomed).draw(
        200, torch.Generator().manual_seed(0)
    )
    # A ramp of 4 a pixel gets flatter by the zoom, which is even from 1 to 2.
    zoom = 4 / (sharp * 255).diff(dim=3).abs().mean((1, 2, 3))
    assert zoom.min() == pytest.approx(1, abs=0.03)
    assert zoom.max() == pytest.approx(2, abs=0.03)
    assert zoom.mean() == pytest.approx(1.5, abs=0.07)
