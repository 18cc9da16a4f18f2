"""Where the digit of a noisy scene is and how strong: settings, laws and their random numbers.

After Daucé, Albiges & Perrinet 2020, Journal of Vision 20(8):22. Offsets are (row, column) from
the middle of the scene, positive down and to the right.
"""

import dataclasses
import math
from typing import Literal, get_args

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from attnsci.checks import check_fraction, check_option, check_positive
from attnsci.data.counters import uniforms
from attnsci.data.noise_fields import Norm
from attnsci.errors import InvalidInput

Law = Literal["axes", "radial"]
Tail = Literal["clip", "truncate"]
Draws = npt.NDArray[np.float64]

SIDE = 28
"""Of a digit's square, in pixels."""
FURTHEST = {28: 28, 128: 50}
"""Greatest offset by size: beyond it nothing of a digit is left, or it leaves the scene."""

_LEGACY_SEEDS = 1 << 32


@dataclasses.dataclass(frozen=True)
class NoisyDigitsConfig:
    """How a scene is laid out; the defaults are the published scenes of 28 pixels."""

    size: int = 28
    """Side of the scene, 28 or 128."""
    noise: float = 0.75
    """Strength of the noise, 0 to 1: the greatest deviation from grey is half of it."""
    contrast: float | tuple[float, float] = (0.3, 0.7)
    """Of the digit, 0 to 1, or the range that it is drawn from: full ink is 0.5 + contrast / 2."""
    law: Law = "axes"
    """Offsets: row and column normal, or distance half-normal in a uniform direction."""
    std: float = 15.0
    """Standard deviation of the normal numbers, in pixels."""
    max_offset: float = 25.0
    """The most that they may be, in pixels."""
    tail: Tail = "clip"
    """Beyond it: set to it (published; piles up there), or the law is truncated."""
    i_offset: int | None = None
    """Fixed offset down; with `j_offset`, whatever the law."""
    j_offset: int | None = None
    """Fixed offset to the right."""
    radius: float | None = None
    """Fixed distance of the radial law, in pixels."""
    azimuth: float | None = None
    """Fixed direction of the radial law, in degrees: 0 is down, 90 to the right."""
    mask: bool = False
    """Grey outside the disc that fits the scene."""
    renormalise: bool = False
    """Stretch each scene to [0, 1] before the mask, which changes the contrast."""
    quantise: bool = True
    """Round down to whole 255ths."""
    norm: Norm = "peak"
    """What noise fields share: greatest deviation (published), or standard deviation."""
    sf0: float = 0.1
    """Central frequency of the noise, in cycles per pixel."""
    b_sf: float = 0.1
    """Its bandwidth, in cycles per pixel."""
    pool: int = 256
    """Fields of the pool of mode "pooled"."""

    def __post_init__(self) -> None:
        check_option("size", self.size, tuple(FURTHEST))
        check_fraction("noise", self.noise)
        for parameter, allowed in (("law", Law), ("tail", Tail), ("norm", Norm)):
            check_option(parameter, getattr(self, parameter), get_args(allowed))
        low, high = self.contrasts
        if check_fraction("contrast", low) > check_fraction("contrast", high):
            raise InvalidInput(f"contrast must be a range from low to high; got {self.contrast}.")
        if not 0 <= self.std < math.inf:
            raise InvalidInput(f"std must be 0 or more pixels; got {self.std}.")
        for parameter in ("sf0", "b_sf"):
            check_positive(parameter, getattr(self, parameter))
        check_positive("pool", self.pool, integer=True)
        self._check_offsets()

    def _check_offsets(self) -> None:
        furthest = FURTHEST[self.size]
        for parameter, lowest in (
            ("max_offset", 0),
            ("radius", 0),
            ("i_offset", -furthest),
            ("j_offset", -furthest),
        ):
            value = getattr(self, parameter)
            if value is not None and not lowest <= value <= furthest:
                raise InvalidInput(
                    f"{parameter} must lie between {lowest} and {furthest} pixels in scenes of "
                    f"{self.size}; got {value}."
                )
        fixed = (self.i_offset, self.j_offset)
        if any(value is not None and int(value) != value for value in fixed):
            raise InvalidInput(f"i_offset and j_offset must be whole numbers; got {fixed}.")
        polar = (self.radius, self.azimuth)
        if self.azimuth is not None and not math.isfinite(self.azimuth):
            raise InvalidInput(f"azimuth must be finite; got {self.azimuth}.")
        if polar != (None, None) and (self.law != "radial" or fixed != (None, None)):
            raise InvalidInput(
                "radius and azimuth belong to law='radial', without i_offset and j_offset; got "
                f"radius={self.radius}, azimuth={self.azimuth} with law={self.law!r}, "
                f"i_offset={self.i_offset}, j_offset={self.j_offset}."
            )
        if self.law == "radial" and fixed.count(None) == 1:
            raise InvalidInput(
                "One of i_offset and j_offset alone belongs to law='axes'; give both or neither. "
                f"Got i_offset={self.i_offset}, j_offset={self.j_offset} with law='radial'."
            )

    @property
    def contrasts(self) -> tuple[float, float]:
        """Lowest and highest contrast."""
        given = self.contrast
        if isinstance(given, tuple) and len(given) == 2:
            return given
        if isinstance(given, int | float | np.number):
            return float(given), float(given)
        raise InvalidInput(f"contrast must be a number or a tuple (low, high); got {given!r}.")

    @property
    def is_placed(self) -> bool:
        """Whether the offset is fixed, so that no law is needed."""
        return self.i_offset is not None and self.j_offset is not None


PRESETS = {
    28: NoisyDigitsConfig(),
    128: NoisyDigitsConfig(
        size=128,
        contrast=0.7,
        law="radial",
        std=30.0,
        max_offset=40.0,
        mask=True,
        renormalise=True,
        quantise=False,
    ),
}
"""The published scenes, by size."""


def fresh_draws(keys: Tensor, config: NoisyDigitsConfig) -> Draws:
    """Return the numbers that lay out a scene, for each key.

    Parameters
    ----------
    keys : Tensor of int64, shape (N,)
        From `attnsci.data.counters`, on the CPU.
    config : NoisyDigitsConfig

    Returns
    -------
    ndarray of float64, shape (N, 3)
        Normal number down (or share of a turn, for the radial law), normal number to the right
        (or of the distance), place in the range of contrasts. A truncated law has no normal
        number beyond `max_offset`.
    """
    draws = uniforms(keys, 3)
    outside = 0.0
    if config.tail == "truncate" and config.std:
        outside = math.erfc(config.max_offset / config.std / math.sqrt(2)) / 2
    normals = torch.special.ndtri(outside + (1 - 2 * outside) * draws[:, :2])
    draws[:, 1] = normals[:, 1]
    if config.law == "axes":
        draws[:, 0] = normals[:, 0]
    return draws.numpy()


def frozen_draws(index: npt.NDArray[np.int64], config: NoisyDigitsConfig) -> Draws:
    """Return the numbers of `fresh_draws` that the published code draws for each index.

    Parameters
    ----------
    index : ndarray of int64, shape (N,)
        Seeds of NumPy's legacy generator.
    config : NoisyDigitsConfig
        What is fixed is not drawn, so that the next number takes its place.

    Returns
    -------
    ndarray of float64, shape (N, 3)
        0 where nothing was drawn.

    Raises
    ------
    InvalidInput
        If an index is no seed, below 0 or above 2³² − 1.
    """
    if len(index) and not 0 <= index.min() <= index.max() < _LEGACY_SEEDS:
        raise InvalidInput(
            "index must lie between 0 and 2³² − 1, as it is a seed of frozen scenes; got "
            f"{index.min()} to {index.max()}."
        )
    draws = np.zeros((len(index), 3))
    stream = np.random.RandomState(0)
    kinds = [stream.standard_normal, stream.standard_normal, stream.random_sample]
    fixed: list[float | None] = [config.i_offset, config.j_offset]
    if config.law == "radial" and not config.is_placed:
        kinds[0] = stream.random_sample
        fixed = [config.azimuth, config.radius]
    drawn = [k for k, value in enumerate([*fixed, None]) if value is None]
    for row, number in enumerate(index.tolist()):
        stream.seed(number)
        for k in drawn:
            draws[row, k] = kinds[k]()
    return draws


def lay_out(
    draws: Draws, config: NoisyDigitsConfig
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], Draws]:
    """Return where digits are and how strong.

    Parameters
    ----------
    draws : ndarray of float64, shape (N, 3)
        From `fresh_draws` or `frozen_draws`.
    config : NoisyDigitsConfig

    Returns
    -------
    dy, dx : ndarray of int64, shape (N,)
        Offsets down and to the right, in pixels, rounded towards 0.
    contrast : ndarray of float64, shape (N,)
    """
    n = len(draws)
    low, high = config.contrasts
    contrast = low + (high - low) * draws[:, 2]
    most = config.max_offset
    if config.law == "axes" or config.is_placed:
        both = np.clip(draws[:, :2] * config.std, -most, most).T
        fixed = (config.i_offset, config.j_offset)
        rows, columns = (
            drawn if value is None else np.full(n, value)
            for value, drawn in zip(fixed, both, strict=True)
        )
    else:
        turn = draws[:, 0] * 2 * np.pi
        if config.azimuth is not None:
            turn = np.full(n, math.radians(config.azimuth))
        radius = np.minimum(np.abs(draws[:, 1]) * config.std, most)
        if config.radius is not None:
            radius = np.full(n, config.radius)
        rows, columns = radius * np.cos(turn), radius * np.sin(turn)
    return np.trunc(rows).astype(np.int64), np.trunc(columns).astype(np.int64), contrast
