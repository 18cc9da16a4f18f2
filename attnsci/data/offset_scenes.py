"""Scenes of digits that lie off the middle by so many pixels."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from attnsci.data.digits import Digits
from attnsci.data.noisy_layout import SIDE
from attnsci.data.noisy_scenes import noisy_digits
from attnsci.seeds import torch_generator

_NOISY, _PLAIN = 1, 3

Scene = Callable[[Digits, int, int], Tensor]
"""From digits and their offset, down and to the right in pixels, to scenes (N, C, H, W)."""


def noisy_scene(seed: int, **settings: Any) -> Scene:
    """Return scenes in band-pass noise; every offset and digit has noise of its own.

    Parameters
    ----------
    seed : int
    **settings
        Of `attnsci.data.noisy_digits`: ``size``, ``noise``, ``contrast`` …
    """

    def scene(digits: Digits, dy: int, dx: int) -> Tensor:
        return noisy_digits(
            digits.images, digits.labels, digits.index, seed=(seed, _NOISY, _cell(dy, dx)),
            split=digits.split, i_offset=dy, j_offset=dx, **settings,
        ).image  # fmt: skip

    return scene


def plain_scene(canvas: tuple[int, int], noise: float = 0.0, seed: int = 0) -> Scene:
    """Return scenes of a white digit on black, cut where it leaves the canvas.

    Parameters
    ----------
    canvas : tuple of int
        Height and width.
    noise : float
        Upper end of uniform noise on empty pixels.
    seed : int
        Of the noise.
    """
    height, width = canvas
    top, left = (height - SIDE) // 2, (width - SIDE) // 2

    def scene(digits: Digits, dy: int, dx: int) -> Tensor:
        images = torch.as_tensor(digits.images).float().div(255)
        padded = images.new_zeros(len(images), height + 2 * SIDE, width + 2 * SIDE)
        y, x = SIDE + top + dy, SIDE + left + dx
        padded[:, y : y + SIDE, x : x + SIDE] = images
        scenes = padded[:, None, SIDE : SIDE + height, SIDE : SIDE + width]
        if noise:
            stream = torch_generator(seed, _PLAIN, _cell(dy, dx))
            grain = torch.rand(scenes.shape, generator=stream) * noise
            scenes = torch.where(scenes == 0, grain, scenes)
        return scenes.contiguous()

    return scene


def _cell(dy: int, dx: int) -> int:
    """Return the number of an offset, in which streams of noise are counted."""
    return (dy + 2 * SIDE) * 5 * SIDE + dx + 2 * SIDE
