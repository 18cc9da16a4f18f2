"""POLO: a Laplacian pyramid read by log-polar rings of log-Gabor filters on every level.

The retina of the POLO-ATN spatial transformers (Dabane, Perrinet & Daucé 2022, "What you see is
what you transform: foveated spatial transformers as a bio-inspired attention mechanism", IJCNN).
The centre of each level of the pyramid is seen through the same bank of filters, so what a level
higher covers twice the distance at half the resolution. Images are not whitened.
"""

import dataclasses
import functools
import math

import torch
from torch import Tensor
from torch.nn import functional

from attnsci.checks import check_positive
from attnsci.errors import InvalidInput
from attnsci.sensors.centred import CentredSensor
from attnsci.sensors.linear_inverse import LinearInverse
from attnsci.sensors.log_gabor import log_gabor_filters
from attnsci.sensors.quarter_turns import QuarterTurnBank


@dataclasses.dataclass(frozen=True)
class PoloConfig:
    """A pyramid and its bank; the defaults are those of POLO-ATN 95 %, of 768 features.

    Raises
    ------
    InvalidInput
        If a number is out of range, or the bank is larger than the image.
    """

    size: int = 128
    """Side of the image, in pixels."""
    width: int = 32
    """Side of the part of each level that is seen, in the level's pixels."""
    n_levels: int = 3
    """Levels of the pyramid, the low-pass image included."""
    n_sub: int = 2
    """Rings in the bank."""
    n_azimuth: int = 16
    """Places on a ring."""
    n_theta: int = 8
    """Orientations, relative to the radius."""
    low_pass: bool = True
    """See the last level, which holds the mean; convPOLO-ATN does not."""
    b_sf: float = math.inf
    """Bandwidth of frequency on the logarithmic axis; infinite in all published runs."""
    b_theta: float = math.pi / 12
    """Bandwidth of orientation, in radians."""

    def __post_init__(self) -> None:
        for name in ("size", "width", "n_levels", "n_sub", "n_azimuth", "n_theta"):
            check_positive(name, getattr(self, name), integer=True)
        if self.width % 4 or self.size % 2**self.n_levels or self.width > self.size:
            raise InvalidInput(
                f"size must be a multiple of {2**self.n_levels} and width a multiple of 4 that "
                f"is not larger; got {self.size} and {self.width}."
            )

    @property
    def n_seen(self) -> int:
        """Levels that are seen."""
        return self.n_levels - (not self.low_pass)

    @property
    def shape(self) -> tuple[int, int, int]:
        """Orientations, rings (a level's rings together, the finest level first), azimuths."""
        return self.n_theta, self.n_seen * self.n_sub, self.n_azimuth

    @property
    def n_features(self) -> int:
        """Features of the retina."""
        return math.prod(self.shape)


POLO_95 = PoloConfig()
"""768 features: 95.3 % fewer than pixels."""
POLO_85_INNER = PoloConfig(n_levels=2)
"""512 features, the inner part of POLO-ATN 85 %."""
POLO_85_OUTER = PoloConfig(width=64, n_levels=2, n_sub=4, n_azimuth=32)
"""2048 features, its outer part."""
CONV_POLO_INNER = dataclasses.replace(POLO_85_INNER, n_levels=3, low_pass=False)
"""The inner part of convPOLO-ATN: a level more, and the low-pass image left out."""
CONV_POLO_OUTER = dataclasses.replace(POLO_85_OUTER, n_levels=3, low_pass=False)
"""The outer part of convPOLO-ATN."""


def polo_bank(config: PoloConfig) -> Tensor:
    """Build the bank that reads every level, in double precision.

    Returns
    -------
    Tensor, shape (n_theta, n_sub, n_azimuth, width, width), float64
        Even filters, whose median is 0 and whose maximum is 1.

    Examples
    --------
    >>> bank = polo_bank(POLO_95)
    >>> bank.shape, round(float(bank.min()), 4)
    (torch.Size([8, 2, 16, 32, 32]), -0.2794)
    """
    inner, outer = config.width / 4, config.width / 2
    growth = math.log(2) / (outer - inner)
    scale = (outer - inner) / math.expm1(growth * (outer - inner))
    rings = torch.arange(config.n_sub, dtype=torch.float64)
    stretch = torch.exp(growth * rings * (outer - inner) / config.n_sub)
    radius = scale * (stretch - 1) + inner
    sf_0 = 1 / (config.width / 8 * scale * growth * stretch)

    steps = torch.arange(config.n_azimuth, dtype=torch.float64)
    azimuth = (steps + 0.5 * (rings % 2)[:, None]) * (2 * math.pi / config.n_azimuth)
    direction = torch.stack([azimuth.cos(), azimuth.sin()], -1)
    centre = config.width // 2 + radius[:, None, None] * direction
    tilt = torch.arange(config.n_theta, dtype=torch.float64) * (math.pi / config.n_theta)
    places = (config.n_theta, config.n_sub, config.n_azimuth)
    filters = log_gabor_filters(
        config.width,
        centre.expand(*places, 2).flatten(0, 2),
        (tilt[:, None, None] + azimuth).flatten(),
        sf_0[:, None].expand(places).flatten(),
        b_sf=config.b_sf,
        b_theta=config.b_theta,
        n_phases=1,
    )
    return filters[:, 0].unflatten(0, places)


class PoloRetina(CentredSensor):
    """What the rings on each level of the pyramid answer.

    Parameters
    ----------
    config : PoloConfig
    fill : float
        What is seen off the image.

    Attributes
    ----------
    bank : Tensor, shape (n_theta · n_sub · n_azimuth, width²), float32
        Not in the state dict.

    Examples
    --------
    >>> retina = PoloRetina()
    >>> features = retina(torch.rand(3, 1, 128, 128))
    >>> features.shape, retina.inverse(features).shape
    (torch.Size([3, 8, 6, 16]), torch.Size([3, 1, 128, 128]))
    """

    n_channels = 1
    bank: Tensor

    def __init__(self, config: PoloConfig = POLO_95, *, fill: float = 0.5) -> None:
        super().__init__(config.size, fill)
        self.config = config
        bank = polo_bank(config).flatten(-2).float()
        self.register_buffer("bank", bank.flatten(0, 2), persistent=False)
        self.quadrants = None
        if config.n_azimuth % 4 == 0:
            quadrant = bank[:, :, : config.n_azimuth // 4]
            self.quadrants = QuarterTurnBank(quadrant.flatten(0, 2))

    def encode(self, images: Tensor) -> Tensor:
        """Return the features (N, orientation, ring, azimuth) of windows (N, 1, size, size)."""
        config = self.config
        seen = pyramid(images, config.width, config.n_levels)[:, : config.n_seen].flatten(2)
        if self.quadrants is None:
            answers = (seen @ self.bank.T)[:, :, None]
        else:
            answers = self.quadrants(seen.flatten(0, 1)).unflatten(0, seen.shape[:2])
        # (N, level, turn, orientation, ring, azimuth): turns are the slower part of azimuths.
        answers = answers.unflatten(3, (config.n_theta, config.n_sub, -1))
        return answers.permute(0, 3, 1, 4, 2, 5).reshape(len(images), *config.shape)

    def inverse(self, features: Tensor) -> Tensor:
        """Return images (N, 1, size, size) whose pyramid the rings would see so.

        What they do not see is 0: with the last level left out, the mean too.
        """
        config = self.config
        if tuple(features.shape[1:]) != config.shape:
            raise InvalidInput(
                f"features must have shape (N, {', '.join(map(str, config.shape))}); got "
                f"{tuple(features.shape)}."
            )
        by_level = features.unflatten(2, (config.n_seen, config.n_sub)).transpose(1, 2)
        seen = self._decoder(by_level.flatten(2).flatten(0, 1))
        levels = seen.view(len(features), config.n_seen, config.width, config.width)
        missing = levels.new_zeros(len(levels), config.n_levels - config.n_seen, *levels.shape[2:])
        return from_pyramid(torch.cat([levels, missing], 1), config.size)

    @functools.cached_property
    def _decoder(self) -> LinearInverse:
        return LinearInverse(self.bank)


class DualPoloRetina(CentredSensor):
    """Two retinas about one fixation: a narrow one, and a wider one of more rings and azimuths.

    Parameters
    ----------
    inner, outer : PoloConfig
        For images of one size.
    fill : float
        What is seen off the image.

    Raises
    ------
    InvalidInput
        If the sizes differ.

    Examples
    --------
    >>> DualPoloRetina()(torch.rand(2, 1, 128, 128)).shape
    torch.Size([2, 2560])
    """

    n_channels = 1

    def __init__(
        self,
        inner: PoloConfig = POLO_85_INNER,
        outer: PoloConfig = POLO_85_OUTER,
        *,
        fill: float = 0.5,
    ) -> None:
        super().__init__(inner.size, fill)
        if inner.size != outer.size:
            raise InvalidInput(
                f"Both parts must see images of one size; got {inner.size} and {outer.size}."
            )
        self.inner, self.outer = PoloRetina(inner, fill=fill), PoloRetina(outer, fill=fill)

    def encode(self, images: Tensor) -> Tensor:
        """Return the features (N, F) of windows (N, 1, size, size).

        The inner part first; within a part the order is (level, ring, azimuth, orientation).
        """
        parts = [part.encode(images) for part in (self.inner, self.outer)]
        return torch.cat([part.permute(0, 2, 3, 1).flatten(1) for part in parts], 1)

    def parts(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """Return inner and outer features, (N, orientation, ring, azimuth) each, of features."""
        sizes = [part.config.n_features for part in (self.inner, self.outer)]
        if features.ndim != 2 or features.shape[1] != sum(sizes):
            raise InvalidInput(
                f"features must have shape (N, {sum(sizes)}); got {tuple(features.shape)}."
            )
        inner, outer = (
            values.unflatten(1, (*part.config.shape[1:], -1)).permute(0, 3, 1, 2)
            for values, part in zip(features.split(sizes, 1), (self.inner, self.outer), strict=True)
        )
        return inner, outer


def pyramid(images: Tensor, width: int, n_levels: int) -> Tensor:
    """Return the centres of the levels of a Laplacian pyramid.

    Parameters
    ----------
    images : Tensor, shape (N, 1, S, S)
    width : int
        Side of the part that is returned, in each level's pixels; beyond a level is 0.
    n_levels : int
        The last is what remains: the image at the lowest resolution.

    Returns
    -------
    Tensor, shape (N, n_levels, width, width)
    """
    levels = []
    for _ in range(n_levels - 1):
        coarse = _halved(images)
        levels.append(_centre(images, width) - _centre_of_doubled(coarse, width))
        images = coarse
    return torch.cat([*levels, _centre(images, width)], 1)


def from_pyramid(levels: Tensor, size: int) -> Tensor:
    """Return the images (N, 1, size, size) of a pyramid's levels (N, L, width, width).

    What the levels do not cover of the image is 0 at their resolution; `pyramid` then returns
    nearly the same levels only where they cover it.
    """
    n_levels = levels.shape[1]
    images = _centre(levels[:, -1:], size >> (n_levels - 1))
    for i in reversed(range(n_levels - 1)):
        images = _doubled(images)
        images = images + _centre(levels[:, i : i + 1], images.shape[-1])
    return images


def _centre(images: Tensor, width: int) -> Tensor:
    """Return the central square; with zeros round the images if they are smaller."""
    border = (width - images.shape[-1]) // 2
    return functional.pad(images, (border,) * 4)


def _halved(images: Tensor) -> Tensor:
    """Return the means of 2 × 2 pixels; several times as fast as pooling."""
    rows = torch.lerp(images[..., ::2, :], images[..., 1::2, :], 0.5)
    return torch.lerp(rows[..., ::2], rows[..., 1::2], 0.5)


def _doubled(images: Tensor) -> Tensor:
    return functional.interpolate(images, scale_factor=2, mode="bilinear", align_corners=False)


def _centre_of_doubled(images: Tensor, width: int) -> Tensor:
    """Return the centre of images of twice the resolution, computing little more than that."""
    needed = width // 2 + 2
    if needed > images.shape[-1]:
        return _centre(_doubled(images), width)
    return _between(_between(_centre(images, needed), -1), -2)


def _between(images: Tensor, axis: int) -> Tensor:
    """Return what lies a quarter before and behind each entry of an axis but the outermost."""
    inside = images.shape[axis] - 2
    before, here, behind = (images.narrow(axis, first, inside) for first in range(3))
    pairs = torch.lerp(here, before, 0.25), torch.lerp(here, behind, 0.25)
    axis %= images.ndim
    return torch.stack(pairs, axis + 1).flatten(axis, axis + 1)
