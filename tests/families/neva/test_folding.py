"""Folding changes the cost of a network and nothing else."""

import pytest
import torch
from torch import nn

from attnsci import load_torchvision
from attnsci.data.images import load_images, resize_and_crop
from attnsci.families.neva.dncnn import DnCNN
from attnsci.families.neva.efficientnet_lite import load_efficientnet_lite
from attnsci.families.neva.folding import folded


def with_statistics(model):
    """A model whose normalisations do something, as after training."""
    generator = torch.Generator().manual_seed(0)
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.normal_(0, 0.1, generator=generator)
            module.running_var.uniform_(0.8, 1.2, generator=generator)
            nn.init.uniform_(module.weight, 0.8, 1.2, generator=generator)
            nn.init.normal_(module.bias, 0, 0.1, generator=generator)
    return model.eval()


def n_norms(model):
    return sum(isinstance(module, nn.BatchNorm2d) for module in model.modules())


def test_the_classifier_folds_to_rounding_and_keeps_its_methods():
    network = load_efficientnet_lite()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    faster = folded(network)
    images = torch.stack(
        [torch.from_numpy(resize_and_crop(photo.image)[0]) for photo in load_images()[1:4]]
    )
    with torch.no_grad():
        torch.testing.assert_close(faster(images), network(images), rtol=0, atol=5e-5)
        torch.testing.assert_close(
            faster.features(images), network.features(images), rtol=0, atol=5e-5
        )
    assert n_norms(network) == 49
    assert n_norms(faster) == 0
    assert faster.readout.weight.data_ptr() != network.readout.weight.data_ptr()
    for name, value in network.state_dict().items():
        assert torch.equal(value, before[name]), name
    assert not any(parameter.requires_grad for parameter in faster.parameters())
    assert faster.stem.conv.weight.is_contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize(
    ("name", "n"), [("resnet18", 20), ("mobilenet_v2", 52), ("shufflenet_v2_x0_5", 56)]
)
def test_classifiers_of_torchvision_fold(name, n):
    torch.manual_seed(0)
    options = {"num_classes": 10}
    model = with_statistics(getattr(load_torchvision().models, name)(weights=None, **options))
    faster = folded(model)
    images = torch.rand(2, 3, 64, 64)
    with torch.no_grad():
        torch.testing.assert_close(faster(images), model(images), rtol=1e-4, atol=5e-5)
    assert n_norms(model) == n
    assert n_norms(faster) == 0


def test_the_denoiser_folds():
    torch.manual_seed(0)
    model = with_statistics(DnCNN())
    images = torch.rand(1, 3, 24, 20)
    with torch.no_grad():
        expected = model(images)
        torch.testing.assert_close(folded(model)(images), expected, rtol=1e-4, atol=1e-4)
    assert n_norms(folded(model)) == 0


def test_a_model_in_training_stays_there_and_its_statistics_too():
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4))
    mean = model[1].running_mean.clone()
    folded(model)(torch.rand(2, 3, 8, 8))
    assert model.training
    assert model[0].weight.requires_grad
    assert torch.equal(model[1].running_mean, mean)


class DependsOnItsInput(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv, self.norm = nn.Conv2d(3, 3, 1), nn.BatchNorm2d(3)

    def forward(self, x):
        return self.norm(self.conv(x)) if x.sum() > 0 else x


class ReadsTwice(DependsOnItsInput):
    def forward(self, x):
        y = self.conv(x)
        return self.norm(y) + y


class RunsTwice(DependsOnItsInput):
    def forward(self, x):
        return self.norm(self.conv(self.norm(self.conv(x))))


@pytest.mark.parametrize("kind", [DependsOnItsInput, ReadsTwice, RunsTwice])
def test_what_cannot_be_folded_computes_the_same_unfolded(kind):
    torch.manual_seed(0)
    model = with_statistics(kind())
    images = torch.rand(2, 3, 8, 8)
    faster = folded(model)
    assert n_norms(faster) == 1
    torch.testing.assert_close(faster(images), model(images))


def test_normalisation_by_the_batch_is_not_folded():
    model = nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4, track_running_stats=False)).eval()
    images = torch.rand(4, 3, 5, 5)
    torch.testing.assert_close(folded(model)(images), model(images))
