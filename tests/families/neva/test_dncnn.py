"""The denoiser: its size, its residual, and the weights that are shipped."""

import re

import numpy as np
import pytest
import torch
from torch import nn

from attnsci.data.images import load_images, resize_and_crop
from attnsci.errors import InvalidInput
from attnsci.families.neva.dncnn import DnCNN, DnCNNConfig
from attnsci.families.neva.tasks import Reconstruction
from attnsci.families.zoo import PRETRAINED, load_model
from attnsci.models.weights import load_weights
from attnsci.sensors.foveation import Fovea, FoveatedView


def test_size_and_layers_are_the_published():
    model = DnCNN()
    assert sum(parameter.numel() for parameter in model.parameters()) == 559_363
    convolutions = [m for m in model.modules() if isinstance(m, nn.Conv2d)]
    assert len(convolutions) == 17
    assert all(c.kernel_size == (3, 3) and c.bias is not None for c in convolutions)
    assert sum(isinstance(m, nn.BatchNorm2d) for m in model.modules()) == 15
    assert sum(isinstance(m, nn.ReLU) for m in model.modules()) == 16
    assert isinstance(model.layers[-1], nn.Conv2d)


def test_it_takes_the_residual_off():
    torch.manual_seed(0)
    model = DnCNN(DnCNNConfig(depth=4, features=8)).eval()
    images = torch.rand(2, 3, 12, 9)
    assert torch.equal(model(images), images - model.layers(images))
    nn.init.zeros_(model.layers[-1].weight)
    nn.init.zeros_(model.layers[-1].bias)
    assert torch.equal(model(images), images)


def test_weights_begin_as_kaiming_says():
    torch.manual_seed(0)
    model = DnCNN()
    spread = model.layers[2].weight.std().item()
    assert spread == pytest.approx((2 / (64 * 9)) ** 0.5, rel=0.02)
    assert model.layers[3].weight.unique().tolist() == [1]
    assert model.layers[3].bias.unique().tolist() == [0]


def test_other_channels_and_depths():
    model = DnCNN(DnCNNConfig(channels=1, depth=2, features=5)).eval()
    assert model(torch.rand(1, 1, 7, 7)).shape == (1, 1, 7, 7)
    assert len(model.layers) == 3
    with pytest.raises(InvalidInput, match="depth must be 2 or more; got 1"):
        DnCNNConfig(depth=1)
    with pytest.raises(InvalidInput, match="features must be a whole number"):
        DnCNNConfig(features=0)


def test_shipped_weights_say_what_they_were_made_of():
    state, record = load_weights(PRETRAINED / "dncnn-foveated.safetensors")
    assert record["model"] == "DnCNN"
    assert record["config"] == {"channels": 3, "depth": 17, "features": 64}
    assert len(state) == 2 + 15 * (2 + 5) + 2
    data = record["data"]
    assert data["dataset"] == "coco-2017"
    assert re.fullmatch("[0-9a-f]{32}", data["checksum"])
    assert data["checksum"] != data["checksum_validation"]
    # Photographs whose licence lets others work with them; NoDerivs and NonCommercial are not.
    assert not any("NC" in licence or "ND" in licence for licence in data["licences"])
    metrics, test = record["metrics"], record["test"]
    assert metrics["split"] == "validation"
    for scores in (metrics, test):
        assert scores["n_photographs"] >= 20
        assert scores["psnr"] == pytest.approx(-10 * np.log10(scores["mse"]))
        assert scores["psnr"] > scores["psnr_of_view"] + 1
    assert (PRETRAINED / "dncnn-foveated.safetensors").stat().st_size < 2.5 * 2**20


def test_shipped_weights_restore_photographs_they_never_saw():
    model = load_model("dncnn-foveated").model
    photos = [resize_and_crop(photo.image)[0] for photo in load_images()]
    images = torch.from_numpy(np.stack(photos))[:, :, 40:184, 40:184].contiguous()
    view = FoveatedView(images, Fovea())
    seen = view.perceive(view.mask(torch.full((len(images), 2), 72.0)))
    with torch.no_grad():
        restored = (model(seen) - images).square().mean((1, 2, 3))
    of_view = (seen - images).square().mean((1, 2, 3))
    assert (restored < of_view).all()
    assert float(restored.mean()) < 0.8 * float(of_view.mean())


def test_a_sharper_view_is_restored_better():
    model = load_model("dncnn-foveated").model
    task = Reconstruction(model)
    image = torch.from_numpy(resize_and_crop(load_images("chelsea")[0].image)[0])[None]
    view = FoveatedView(image, Fovea())
    with torch.no_grad():
        blurred = task.loss(view.perceive(view.blank()), image)
        fixated = task.loss(view.perceive(view.mask(torch.tensor([[112.0, 90.0]]))), image)
        clean = task.loss(image, image)
    assert clean < fixated < blurred
