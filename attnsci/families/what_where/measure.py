"""What networks say of digits all over the visual field."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import torch
import xarray as xr
from torch import Tensor
from tqdm import tqdm

from attnsci.data.digits import Digits
from attnsci.data.noisy_scenes import noisy_digits
from attnsci.families.what_where.networks import Asked
from attnsci.seeds import torch_generator

BATCH = 250
SIDE = 28
_MAP, _BENCHMARK, _CANVAS = range(1, 4)

Scene = Callable[[Digits, int, int], Tensor]
"""From digits and their offset, down and to the right in pixels, to scenes (N, 1, H, W)."""
Classify = Callable[[Tensor], Tensor]
"""From scenes to logits (N, class), or (N, time, class) of one that answers several times."""


def noisy_scene(seed: int, **settings: Any) -> Scene:
    """Return scenes in band-pass noise; every offset and digit has noise of its own.

    Parameters
    ----------
    seed : int
    **settings
        Of `attnsci.data.noisy_digits`: ``size``, ``noise``, ``contrast`` …
    """

    def scene(digits: Digits, dy: int, dx: int) -> Tensor:
        cell = (dy + 2 * SIDE) * 5 * SIDE + dx + 2 * SIDE
        return noisy_digits(
            digits.images, digits.labels, digits.index, seed=(seed, _MAP, cell),
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
        row, column = SIDE + top + dy, SIDE + left + dx
        padded[:, row : row + SIDE, column : column + SIDE] = images
        shown = padded[:, None, SIDE : SIDE + height, SIDE : SIDE + width]
        if noise:
            cell = (dy + 2 * SIDE) * 5 * SIDE + dx + 2 * SIDE
            stream = torch_generator(seed, _CANVAS, cell)
            grain = torch.rand(shown.shape, generator=stream) * noise
            shown = torch.where(shown == 0, grain, shown)
        return shown.contiguous()

    return scene


@torch.no_grad()
def map_answers(
    classify: Classify,
    digits: Digits,
    scene: Scene,
    *,
    reach_px: int = 27,
    stride_px: int = 3,
    device: str | torch.device = "cpu",
    progress: str | None = None,
) -> xr.DataArray:
    """Return whether a network is right, by where the digit is.

    Parameters
    ----------
    classify : callable
        Any network that names digits.
    digits : Digits
        The same at every offset.
    scene : callable
        `noisy_scene`, `plain_scene`, or another.
    reach_px, stride_px : int
        Offsets are the multiples of `stride_px` from −`reach_px` to `reach_px`.
    device : str or torch.device
        Of the network.
    progress : str, optional
        Label of a progress bar; none without it.

    Returns
    -------
    xarray.DataArray of bool
        Over ``stimulus``, ``y``, ``x`` (offset of the digit in pixels, down and to the right),
        and ``time`` for a network that answers several times. Coordinates of ``stimulus``:
        ``label``, ``index``.

    Examples
    --------
    >>> from attnsci.data import load_mnist
    >>> from attnsci.families.what_where.pathways import WhatNet
    >>> digits = load_mnist("test").subset(range(5))
    >>> found = map_answers(WhatNet(), digits, plain_scene((28, 28)), reach_px=4, stride_px=4)
    >>> found.dims, found.shape
    (('stimulus', 'y', 'x'), (5, 3, 3))
    """
    offsets = np.arange(-(reach_px // stride_px) * stride_px, reach_px + 1, stride_px)
    labels = torch.as_tensor(digits.labels)
    whole: np.ndarray | None = None
    with tqdm(total=len(offsets) ** 2, desc=progress, disable=None if progress else True) as bar:
        for i, dy in enumerate(offsets.tolist()):
            for j, dx in enumerate(offsets.tolist()):
                images = scene(digits, dy, dx)
                said = torch.cat(
                    [classify(part.to(device)).argmax(-1).cpu() for part in images.split(BATCH)]
                )
                right = (said == labels.view(-1, *[1] * (said.ndim - 1))).numpy()
                if whole is None:
                    shape = (len(digits), len(offsets), len(offsets), *right.shape[1:])
                    whole = np.empty(shape, bool)
                whole[:, i, j] = right
                bar.update()
    assert whole is not None
    return xr.DataArray(
        whole,
        {
            "y": ("y", offsets, {"units": "px"}),
            "x": ("x", offsets, {"units": "px"}),
            "label": ("stimulus", digits.labels),
            "index": ("stimulus", digits.index),
        },
        ("stimulus", "y", "x", *(["time"] if whole.ndim == 4 else [])),
        name="correct",
    )


@torch.no_grad()
def benchmark_answers(
    asked: Mapping[str, Asked],
    digits: Digits,
    *,
    contrasts: Sequence[float],
    radii_px: Sequence[float],
    noise: float,
    seed: int,
    device: str | torch.device = "cpu",
    progress: str | None = None,
) -> xr.Dataset:
    """Show digits at fixed distances and contrasts; all networks see the very same scenes.

    Parameters
    ----------
    asked : mapping of str to callable
        Networks of scenes of 128 pixels, of `networks`.
    digits : Digits
        All at every distance and contrast.
    contrasts, radii_px : sequence of float
    noise : float
        Strength.
    seed : int
        Of directions and noise.
    device : str or torch.device
        Of the networks.
    progress : str, optional
        Label of a progress bar.

    Returns
    -------
    xarray.Dataset
        Over ``stimulus``, ``contrast``, ``eccentricity`` (nominal, px), ``model`` (one for each
        condition of each network) and ``coordinate`` ("x", "y"): ``correct``; ``confidence``,
        the largest softmax; ``fixation`` (NaN where a network does not look) and ``target``, the
        digit's middle, in pixels from the scene's centre; ``gain``, nats, NaN where none was
        expected.
    """
    grid = [(c, r) for c in range(len(contrasts)) for r in range(len(radii_px))]
    n = len(digits)
    kept: dict[str, dict[str, np.ndarray]] = {}
    target = np.empty((n, len(contrasts), len(radii_px), 2), np.float32)

    def keep(name: str, value: str, shape: tuple[int, ...]) -> np.ndarray:
        entry = kept.setdefault(name, {})
        if value not in entry:
            entry[value] = np.full((n, len(contrasts), len(radii_px), *shape), np.nan, np.float32)
        return entry[value]

    with tqdm(total=len(grid) * n, desc=progress, disable=None if progress else True) as bar:
        for c, r in grid:
            for start in range(0, n, BATCH):
                rows = slice(start, min(start + BATCH, n))
                shown = noisy_digits(
                    digits.images[rows], digits.labels[rows], digits.index[rows], 128,
                    seed=(seed, _BENCHMARK, r + 1), split=digits.split, device=device,
                    noise=noise, contrast=contrasts[c], radius=radii_px[r],
                )  # fmt: skip
                centre = shown.config.size / 2
                target[rows, c, r] = shown.places.cpu() - centre
                labels = shown.metadata["label"]
                for ask in asked.values():
                    for name, answer in ask(shown.image, shown.places).items():
                        best = answer.logits.softmax(-1).max(-1)
                        keep(name, "correct", ())[rows, c, r] = (best.indices == labels).cpu()
                        keep(name, "confidence", ())[rows, c, r] = best.values.cpu()
                        if answer.fixation is not None:
                            looked = answer.fixation.cpu() - centre
                            keep(name, "fixation", (2,))[rows, c, r] = looked
                        if answer.gain is not None:
                            keep(name, "gain", ())[rows, c, r] = answer.gain.cpu()
                bar.update(rows.stop - rows.start)
    names = list(kept)
    dims = ("model", "stimulus", "contrast", "eccentricity")
    nothing = np.full(target.shape, np.nan, np.float32)

    def stacked(value: str) -> np.ndarray:
        empty = nothing if value == "fixation" else nothing[..., 0]
        return np.stack([kept[name].get(value, empty) for name in names])

    return xr.Dataset(
        {
            "correct": (dims, stacked("correct").astype(bool)),
            "confidence": (dims, stacked("confidence")),
            "gain": (dims, stacked("gain")),
            "fixation": ((*dims, "coordinate"), stacked("fixation")),
            "target": ((*dims[1:], "coordinate"), target),
        },
        coords={
            "model": names,
            "contrast": np.asarray(contrasts, float),
            "eccentricity": ("eccentricity", np.asarray(radii_px, float), {"units": "px"}),
            "coordinate": ["x", "y"],
            "label": ("stimulus", digits.labels),
            "index": ("stimulus", digits.index),
        },
        attrs={"noise": noise, "seed": seed},
    )


def record_curves(records: Mapping[str, Mapping[str, Any]]) -> pd.DataFrame:
    """Return the validation curves that weights carry.

    Parameters
    ----------
    records : mapping of str to mapping
        Of weights, by name.

    Returns
    -------
    pandas.DataFrame
        Columns network, epoch (from 1), images (digits seen so far), and the validation metrics.
    """
    parts = []
    for name, record in records.items():
        training, curve = record["training"], pd.DataFrame(record["curve"])
        epoch = np.arange(1, len(curve) + 1)
        per_epoch = training["batches_per_epoch"] * training["batch_size"]
        parts.append(curve.assign(network=name, epoch=epoch, images=epoch * per_epoch))
    return pd.concat(parts, ignore_index=True)
