"""Photographs for NeVA: those that come with scikit-image, and OSIE's where they are at hand."""

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
import xarray as xr
from PIL import Image
from torch import Tensor
from torch.nn import functional

from attnsci.data.gaze import load_osie, osie_stimulus_paths
from attnsci.data.images import load_images, resize_and_crop
from attnsci.errors import DatasetError
from attnsci.gaze import viewing_of
from attnsci.geometry import Viewing
from attnsci.scanpaths.edit import select
from attnsci.sensors.foveation import Fovea

REFERENCE_SIDE, REFERENCE_BLUR, REFERENCE_S = 224, 10.0, 0.2
"""The published settings for ImageNet models: side of the crop, blur and s of the fovea."""


@dataclasses.dataclass(frozen=True)
class Pictures:
    """Images of one size, their names and geometry.

    Attributes
    ----------
    images : Tensor (N, 3, H, W)
    names : list of str
    viewing : Viewing
        In pixels of `images`.
    """

    images: Tensor
    names: list[str]
    viewing: Viewing

    def take(self, n: int) -> "Pictures":
        """Return the first `n`."""
        return Pictures(self.images[:n], self.names[:n], self.viewing)

    def resized(self, height: int, width: int) -> "Pictures":
        """Return the pictures at another size, whole."""
        small = functional.interpolate(
            self.images, (height, width), mode="bilinear", antialias=True
        )
        return Pictures(small.clamp(0, 1), self.names, self.viewing.resized(width, height))


def bundled(side: int = REFERENCE_SIDE) -> Pictures:
    """Return the middles of the five photographs that come with scikit-image."""
    photographs = load_images()
    pixels = np.stack([resize_and_crop(each.rgb, side)[0] for each in photographs])
    names = [each.name for each in photographs]
    return Pictures(torch.from_numpy(pixels), names, Viewing(side, side))


def osie(n: int, short_side: int) -> tuple[Pictures, xr.Dataset] | None:
    """Return photographs of OSIE's test split, whole, and all people of OSIE; None without them.

    The first `n` of the split by name.
    """
    try:
        people, paths = load_osie(), osie_stimulus_paths()
        split = load_osie(split="test70")
    except DatasetError:
        return None
    names = sorted({name for name in split["image"].values.tolist() if name in paths})[:n]
    if len(names) < 2:
        return None
    viewing = viewing_of(people)
    scale = short_side / min(viewing.width_px, viewing.height_px)
    width, height = round(viewing.width_px * scale), round(viewing.height_px * scale)
    images = torch.from_numpy(_whole(paths, names, width, height))
    return Pictures(images, names, viewing.resized(width, height)), people


def _whole(paths: Mapping[str, Path], names: Sequence[str], width: int, height: int) -> np.ndarray:
    pixels = np.empty((len(names), 3, height, width), np.float32)
    for row, name in enumerate(names):
        with Image.open(paths[name]) as picture:
            small = picture.convert("RGB").resize((width, height), Image.Resampling.BICUBIC)
        pixels[row] = np.asarray(small, np.float32).transpose(2, 0, 1) / 255
    return pixels


def fovea_for(side: int, retention: float = 0.3) -> Fovea:
    """Return the published fovea, scaled to images of another side."""
    scale = side / REFERENCE_SIDE
    size = 2 * round(2 * REFERENCE_BLUR * scale) + 1
    return Fovea.from_reference(
        REFERENCE_S, side, blur_size=size, blur_sigma_px=REFERENCE_BLUR * scale,
        retention=retention,
    )  # fmt: skip


def people_on(people: xr.Dataset, names: Sequence[str]) -> xr.Dataset:
    """Return the people who looked at some of the images."""
    return select(people, image=list(names))
