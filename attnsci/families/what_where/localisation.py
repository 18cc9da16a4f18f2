"""Localisation networks: from an image to the parameters of a transform.

Dabane, Perrinet & Daucé 2022, "What you see is what you transform: foveated spatial transformers
as a bio-inspired attention mechanism", IJCNN.
"""

import itertools
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from attnsci.errors import InvalidInput
from attnsci.families.what_where.standardiser import Standardiser
from attnsci.sensors.polo import DualPoloRetina, PoloRetina


class ConvLocalisation(nn.Sequential):
    """Convolutions of the image, each followed by pooling, and two layers.

    Parameters
    ----------
    image_px : int
        Side of the images.
    channels : sequence of int
        Of each convolution: the first of 7×7 pixels, the others of 5×5.
    hidden : int
        Rectified units before the parameters.
    start : Tensor, shape (P,)
        Parameters to start from.
    standardised : bool
        Standardise each map over its places, and the hidden units of an image, before they are
        rectified. Without it they die in the first hundred updates, and the transform is the
        same for all images ever after.

    Raises
    ------
    InvalidInput
        If the convolutions leave nothing of the image, or a single place to standardise over.

    Examples
    --------
    >>> net = ConvLocalisation(28, (8, 10), 32, torch.tensor([0.5, 0.0]))
    >>> net(torch.rand(1, 1, 28, 28)).tolist()
    [[0.5, 0.0]]
    """

    def __init__(
        self,
        image_px: int,
        channels: Sequence[int],
        hidden: int,
        start: Tensor,
        standardised: bool = False,
    ) -> None:
        kernels = [7] + [5] * (len(channels) - 1)
        layers: list[nn.Module] = []
        side = image_px
        for (before, after), kernel in zip(
            itertools.pairwise([1, *channels]), kernels, strict=True
        ):
            layers += [nn.Conv2d(before, after, kernel), nn.MaxPool2d(2)]
            layers += [nn.InstanceNorm2d(after), nn.ReLU()] if standardised else [nn.ReLU()]
            side = (side - kernel + 1) // 2
        if side < 1 + standardised:
            raise InvalidInput(
                f"{len(channels)} convolutions leave too little of {image_px} pixels; take fewer."
            )
        head = _head(channels[-1] * side**2, hidden, start)
        if standardised:
            head.insert(1, nn.LayerNorm(hidden, elementwise_affine=False))
        super().__init__(*layers, nn.Flatten(), *head)


class PoloLocalisation(nn.Module):
    """Layers that read log-polar features.

    Parameters
    ----------
    retina : PoloRetina or DualPoloRetina
    standardised : bool
        Standardise its features.
    hidden : int
        Rectified units before the parameters.
    start : Tensor, shape (P,)
        Parameters to start from.

    Examples
    --------
    >>> net = PoloLocalisation(PoloRetina(), False, 32, torch.zeros(2))
    >>> net(torch.rand(5, 1, 128, 128)).shape, sum(w.numel() for w in net.parameters())
    (torch.Size([5, 2]), 24674)
    """

    def __init__(
        self,
        retina: PoloRetina | DualPoloRetina,
        standardised: bool,
        hidden: int,
        start: Tensor,
    ) -> None:
        super().__init__()
        self.retina = retina
        parts = [retina] if isinstance(retina, PoloRetina) else [retina.inner, retina.outer]
        n_features = sum(part.config.n_features for part in parts)
        self.standardiser = Standardiser(n_features) if standardised else None
        self.head = self._make_head(n_features, hidden, start)

    def _make_head(self, n_features: int, hidden: int, start: Tensor) -> nn.Sequential:
        return _head(n_features, hidden, start)

    def fit_features(self, images: Tensor) -> None:
        """Measure what features are standardised by, on images (N, 1, H, W).

        Raises
        ------
        InvalidInput
            If this network does not standardise features.
        """
        if self.standardiser is None:
            raise InvalidInput("This network does not standardise features: nothing to fit.")
        with torch.no_grad():
            self.standardiser.fit(self.retina(images).flatten(1))

    def features(self, images: Tensor) -> Tensor:
        """Return the features (N, F) that the layers read."""
        # Features differ in scale by a factor of fifty: half precision would lose the small ones.
        with torch.autocast(images.device.type, enabled=False):
            features = self.retina(images.float()).flatten(1)
        return features if self.standardiser is None else self.standardiser(features)

    def forward(self, images: Tensor) -> Tensor:
        """Return parameters (N, P) for images (N, 1, H, W)."""
        return self.head(self.features(images))


class ConvPoloLocalisation(PoloLocalisation):
    """Convolutions over ring and azimuth of a narrow and a wide log-polar retina, and two layers.

    Parameters
    ----------
    retina : DualPoloRetina
    standardised, hidden, start
        See `PoloLocalisation`.
    circular : bool
        Let azimuth close to a circle, rather than end at zeros.

    Raises
    ------
    InvalidInput
        If what the two retinas become differs in size.
    """

    retina: DualPoloRetina

    def __init__(
        self,
        retina: DualPoloRetina,
        standardised: bool,
        hidden: int,
        start: Tensor,
        circular: bool = False,
    ) -> None:
        super().__init__(retina, standardised, hidden, start)
        self.inner = nn.Sequential(*_polar(retina.inner.config.n_theta, 20, circular))
        self.outer = nn.Sequential(
            *_polar(retina.outer.config.n_theta, 20, circular), *_polar(20, 50, circular)
        )

    def _make_head(self, n_features: int, hidden: int, start: Tensor) -> nn.Sequential:
        inner, outer = self.retina.inner.config.shape, self.retina.outer.config.shape
        small = inner[1] // 2, inner[2] // 2
        if small != (outer[1] // 4, outer[2] // 4):
            raise InvalidInput(
                f"The wide retina must have twice the rings and azimuths of the narrow one; got "
                f"{outer[1:]} and {inner[1:]}."
            )
        return _head((50 + 20) * small[0] * small[1], hidden, start)

    def forward(self, images: Tensor) -> Tensor:
        """Return parameters (N, P) for images (N, 1, H, W)."""
        inner, outer = self.retina.parts(self.features(images))
        return self.head(torch.cat([self.outer(outer), self.inner(inner)], 1).flatten(1))


def _head(n_inputs: int, hidden: int, start: Tensor) -> nn.Sequential:
    """Return two layers that answer `start` (P,) whatever they see, until they learn."""
    last = nn.Linear(hidden, len(start))
    with torch.no_grad():
        last.weight.zero_()
        last.bias.copy_(start)
    return nn.Sequential(nn.Linear(n_inputs, hidden), nn.ReLU(), last)


def _polar(before: int, after: int, circular: bool) -> list[nn.Module]:
    """Return a convolution over (ring, azimuth), then pooling."""
    if not circular:
        return [nn.Conv2d(before, after, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)]
    closed = nn.CircularPad2d((1, 1, 0, 0))
    return [closed, nn.Conv2d(before, after, 3, padding=(1, 0)), nn.ReLU(), nn.MaxPool2d(2)]
