"""How a digit and noise become one scene: ink, the brighter of both, the disc.

After Daucé, Albiges & Perrinet 2020, Journal of Vision 20(8):22. All functions work on a batch, in
the type that they are given: the bits of frozen scenes, in float64, decide their noise.
"""

import functools

import numpy as np
import torch
from torch import Tensor

from attnsci.data.noisy_layout import SIDE, NoisyDigitsConfig


def inked(
    digits: Tensor, dy: Tensor, dx: Tensor, contrast: Tensor, config: NoisyDigitsConfig
) -> tuple[Tensor, Tensor]:
    """Return luminance (N, 28, 28) of the digits, and which of them are there to be seen.

    In small scenes it is the whole scene, in large ones the digit's own square. What is uniform
    is 0.
    """
    ink = digits.to(contrast.dtype, copy=True)
    if config.size == SIDE:
        ink = _shifted(ink, dy, dx)
        ink.sub_(ink.amin((1, 2), keepdim=True))  # in large scenes 0, of the empty field
    high = ink.amax((1, 2), keepdim=True)
    there = high > 0
    # In this order: the bits of frozen scenes decide their noise.
    ink.div_(torch.where(there, high, 1)).mul_(2).sub_(1).mul_(contrast[:, None, None])
    ink.div_(2).add_(0.5).mul_(there.to(ink.dtype))
    return ink, there.view(-1) & (contrast > 0)


def _shifted(digits: Tensor, dy: Tensor, dx: Tensor) -> Tensor:
    """Return digits moved down and to the right; what leaves is lost, what enters is 0."""
    # One empty row and column stand for all that lies outside.
    padded = torch.nn.functional.pad(digits, (0, 1, 0, 1)).flatten(1)
    line = torch.arange(SIDE, device=digits.device)
    rows, columns = line - dy[:, None], line - dx[:, None]
    rows = torch.where((rows < 0) | (rows >= SIDE), SIDE, rows)
    columns = torch.where((columns < 0) | (columns >= SIDE), SIDE, columns)
    places = (rows * (SIDE + 1))[:, :, None] + columns[:, None]
    return padded.gather(1, places.flatten(1)).view_as(digits)


def square(dy: Tensor, dx: Tensor, size: int) -> Tensor:
    """Return the flat indices (N, 784) of the digits' squares in large scenes."""
    line = torch.arange(SIDE, device=dy.device) + (size - SIDE) // 2
    return ((line + dy[:, None]) * size)[:, :, None].add(line + dx[:, None, None]).flatten(1)


def mixed(field: Tensor, ink: Tensor, dy: Tensor, dx: Tensor) -> Tensor:
    """Return scenes (N, size, size) in which the brighter of noise and ink is seen, in place."""
    field.clamp_(0, 1)
    ink = torch.nn.functional.threshold(ink, 0.5, 0.0)
    if field.shape[1] == SIDE:
        return torch.maximum(field, ink, out=field)
    places = square(dy, dx, field.shape[1])
    flat = field.view(len(field), -1)
    flat.scatter_(1, places, torch.maximum(flat.gather(1, places), ink.flatten(1)))
    return field


def seen(scenes: Tensor, config: NoisyDigitsConfig) -> Tensor:
    """Return scenes as they are shown: stretched, masked, rounded, as `config` asks; in place."""
    if config.renormalise:
        low, high = scenes.amin((1, 2), keepdim=True), scenes.amax((1, 2), keepdim=True)
        uniform = high == low
        # A scene without noise and digit stays grey.
        scenes.sub_(torch.where(uniform, low - 0.5, low))
        scenes.div_(torch.where(uniform, 1, high - low))
    if config.mask:
        scenes.sub_(0.5).mul_(_disc(config.size, scenes.device)).add_(0.5)
    if config.quantise:
        scenes.mul_(255).floor_().div_(255)
    return scenes


@functools.lru_cache(maxsize=8)
def _disc(size: int, device: torch.device) -> Tensor:
    """Return 1 within the disc that fits the scene, 0 elsewhere, (size, size)."""
    line = np.linspace(-1, 1, size)
    disc = np.hypot(line[:, None], line) < 1
    return torch.from_numpy(disc.astype(np.float32)).to(device)
