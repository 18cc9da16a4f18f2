"""Photographs to learn looking from: pieces and mirror images of them, as ImageNet is learned."""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from attnsci.checks import check_positive
from attnsci.data.images import Photograph, read_images
from attnsci.errors import InvalidInput
from attnsci.provenance import array_hash
from attnsci.seeds import numpy_generator

_PIECES = 1
_TRAIN_BELOW, _VALIDATION_BELOW = 70, 85  # per cent
_MARGIN = 0.875
"""Share of the shorter side that a piece takes."""


class Photographs:
    """Square pieces of photographs: random and mirrored to learn from, the middle for a test.

    Parameters
    ----------
    photographs : iterable of Photograph
        All are kept in memory.
    size : int
        Side of the pieces; the shorter side of a photograph is brought to size / 0.875 first.
    seed : int
        Of the pieces.
    data : mapping, optional
        What else is known of the photographs, for the record: data set, licences.

    Raises
    ------
    InvalidInput
        If there is no photograph.

    Examples
    --------
    >>> from attnsci.data.images import load_images
    >>> pictures = Photographs(load_images(["coffee", "camera"]), size=64)
    >>> pictures.batch(np.array([0, 1]), epoch=None)[0].shape
    torch.Size([2, 3, 64, 64])
    """

    def __init__(
        self,
        photographs: Iterable[Photograph],
        size: int = 224,
        *,
        seed: int = 0,
        data: Mapping[str, Any] | None = None,
    ) -> None:
        self.size = check_positive("size", size, integer=True)
        self.seed, self.data = seed, dict(data or {})
        names, self._images, hashes = [], [], []
        for photograph in photographs:
            names.append(photograph.name)
            hashes.append(array_hash(photograph.image))
            self._images.append(_resized(photograph.rgb, round(size / _MARGIN)))
        if not names:
            raise InvalidInput("There are no photographs to learn looking from.")
        self.names = tuple(names)
        self.checksum = array_hash(np.array(hashes))

    def __len__(self) -> int:
        return len(self._images)

    def batch(self, rows: np.ndarray, epoch: int | None) -> tuple[Tensor, None]:
        """Return pieces (N, 3, size, size); see `attnsci.families.neva.scores.Pictures`."""
        draws = None
        if epoch is not None:
            draws = numpy_generator(self.seed, _PIECES, epoch).random((len(self), 3))
        pieces = [self._piece(row, None if draws is None else draws[row]) for row in rows]
        stacked = torch.from_numpy(np.stack(pieces))
        return stacked.permute(0, 3, 1, 2).contiguous().float() / 255, None

    def _piece(self, row: int, drawn: np.ndarray | None) -> np.ndarray:
        image = self._images[row]
        down, across = (side - self.size for side in image.shape[:2])
        if drawn is None:
            top, left = down // 2, across // 2
        else:
            top, left = int(drawn[0] * (down + 1)), int(drawn[1] * (across + 1))
        piece = image[top : top + self.size, left : left + self.size]
        return piece[:, ::-1] if drawn is not None and drawn[2] < 0.5 else piece

    def provenance(self) -> dict[str, Any]:
        """Return what is needed to have the same pictures again."""
        return {
            **self.data,
            "pictures": "photographs",
            "n": len(self),
            "size": self.size,
            "seed": self.seed,
            "checksum": self.checksum,
        }


def pieces(
    images: Sequence[str | Path], split: str, size: tuple[int, int], seed: int = 0
) -> Photographs:
    """Return those of one's own photographs that are for training, validation or a test.

    Parameters
    ----------
    images : sequence of path-like
        Photographs, or folders of them.
    split : {"train", "validation", "test", "all"}
        The name of a photograph decides; see `part_of`.
    size : tuple of int
        Height and width of the pieces, which are square.
    seed : int
        Of the pieces.

    Raises
    ------
    InvalidInput
        If none is for that, or the pieces are not square.
    """
    height, width = size
    if height != width:
        raise InvalidInput(f"Photographs are cut square; --size is {height} {width}.")
    photographs = list(read_images(images))
    chosen = [photo for photo in photographs if split in ("all", part_of(photo.name))]
    if not chosen:
        raise InvalidInput(
            f"None of the {len(photographs)} photographs is for {split}: the name of a file "
            "decides (7 of 10 train, some validate, the rest is left for a test). Give more."
        )
    return Photographs(chosen, height, seed=seed, data={"part": split})


def part_of(name: str) -> str:
    """Return "train", "validation" or "test": which part a photograph of this name belongs to.

    The MD5 of the file's stem without leading zeros decides, which for COCO's files is the image
    id and the rule of its own splits.

    Examples
    --------
    >>> part_of("000000000009.jpg") == part_of("9.png")
    True
    """
    stem = name.partition(".")[0].lstrip("0")
    share = int(hashlib.md5(stem.encode(), usedforsecurity=False).hexdigest(), 16) % 100
    if share < _TRAIN_BELOW:
        return "train"
    return "validation" if share < _VALIDATION_BELOW else "test"


def _resized(image: np.ndarray, shorter: int) -> np.ndarray:
    """Return an image (H, W, 3) with its shorter side at the given length."""
    height, width = image.shape[:2]
    scale = shorter / min(height, width)
    sides = (round(width * scale), round(height * scale))
    return np.asarray(Image.fromarray(image).resize(sides, Image.Resampling.BICUBIC))
