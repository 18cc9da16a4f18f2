"""A digit somewhere on a canvas among pieces of other digits, composed in batches from a seed.

The translated and cluttered tasks of Mnih, Heess, Graves & Kavukcuoglu 2014, "Recurrent Models of
Visual Attention", arXiv 1406.6247. Pieces come from training digits only, and the last place of
the canvas is as likely as any; published codes fail in the one or the other.
"""

import dataclasses
from collections.abc import Iterator, Sequence
from typing import Any, Literal, get_args

import numpy as np
import torch
from torch import Tensor

from attnsci.checks import check_option, check_positive
from attnsci.data.digit_scenes import SIDE, spread
from attnsci.data.digits import Digits
from attnsci.data.stimuli import Stimuli
from attnsci.errors import InvalidInput
from attnsci.seeds import numpy_generator

Combine = Literal["add", "max"]


@dataclasses.dataclass(frozen=True)
class ClutterConfig:
    """How a scene is laid out; the defaults are the cluttered task of 60 pixels."""

    size: int = 60
    """Side of the canvas; 28 leaves one place for the digit, the plain task."""
    n_pieces: int = 4
    """Pieces of other digits; 0 is the translated task."""
    piece: int = 8
    """Their side."""
    combine: Combine = "add"
    """What happens where things meet: add and cut at 1 (paper), or the greater."""

    def __post_init__(self) -> None:
        check_positive("piece", self.piece, integer=True)
        if self.n_pieces < 0 or int(self.n_pieces) != self.n_pieces:
            raise InvalidInput(f"n_pieces must be a whole number from 0; got {self.n_pieces}.")
        if self.size < SIDE or int(self.size) != self.size or self.piece > SIDE:
            raise InvalidInput(
                f"A digit of {SIDE} pixels needs a canvas at least as large and gives pieces at "
                f"most as large; got size {self.size} and piece {self.piece}."
            )
        check_option("combine", self.combine, get_args(Combine))


PRESETS = {
    "mnist-28": ClutterConfig(28, 0),
    "translated-60": ClutterConfig(60, 0),
    "cluttered-60": ClutterConfig(60, 4),
    "cluttered-100": ClutterConfig(100, 8),
}


class ClutteredScenes:
    """Scenes of one digit each; scene i depends on the seed and i, and on nothing else.

    Parameters
    ----------
    digits : Digits
        Digit i stands in scene i.
    config : ClutterConfig, optional
        Layout; keyword arguments replace single settings.
    clutter : Digits, optional
        Training digits that pieces are cut from; `digits` themselves if they are of the training
        split.
    seed : int or tuple of int
        Names the set of scenes; a training run takes (seed, epoch).
    device : str or torch.device
        Where scenes are composed.
    **settings
        Fields of `ClutterConfig`.

    Raises
    ------
    InvalidInput
        If there are no digits, or pieces would be cut from test digits.

    Examples
    --------
    >>> from attnsci.data import load_mnist
    >>> scenes = ClutteredScenes(load_mnist("test"), clutter=load_mnist("train"))
    >>> scenes[:5].image.shape
    torch.Size([5, 1, 60, 60])
    """

    def __init__(
        self,
        digits: Digits,
        config: ClutterConfig | None = None,
        *,
        clutter: Digits | None = None,
        seed: int | tuple[int, ...] = 0,
        device: str | torch.device = "cpu",
        **settings: Any,
    ) -> None:
        self.config = config = dataclasses.replace(config or ClutterConfig(), **settings)
        if len(digits) == 0:
            raise InvalidInput("There are no digits to make scenes of.")
        self.digits, self.clutter = digits, clutter or digits
        if config.n_pieces and (self.clutter.split != "train" or len(self.clutter) == 0):
            raise InvalidInput(
                f"Pieces are cut from training digits, so that no test digit is seen early; these "
                f"are {len(self.clutter)} of the {self.clutter.split} split. Give "
                "clutter=load_mnist('train', ...)."
            )
        self.seed = (int(seed),) if isinstance(seed, int | np.integer) else tuple(seed)
        self.device = torch.device(device)
        self._images = torch.as_tensor(digits.images, device=self.device).flatten(1)
        self._labels = torch.as_tensor(digits.labels, device=self.device)
        self._sources = torch.as_tensor(self.clutter.images, device=self.device).flatten(1)
        generator = numpy_generator(*self.seed)
        n, pieces, piece = len(digits), config.n_pieces, config.piece
        self.corner = generator.integers(0, config.size - SIDE + 1, (n, 2))
        """Row and column of each digit's first pixel, (N, 2)."""
        self.source = generator.integers(0, len(self.clutter), (n, pieces))
        self.cut = generator.integers(0, SIDE - piece + 1, (n, pieces, 2))
        self.pasted = generator.integers(0, config.size - piece + 1, (n, pieces, 2))
        self._every = np.arange(n)

    def __len__(self) -> int:
        return len(self.digits)

    def __getitem__(self, index: int | slice | Sequence[int] | np.ndarray) -> Stimuli:
        """Compose the scenes at `index`, as one batch.

        Metadata: ``index``, ``label``, ``digit`` (its index in the data set), and ``x``, ``y`` of
        the digit's middle in pixels.
        """
        chosen = np.atleast_1d(self._every[index])
        corner = self.corner[chosen]
        metadata = {
            "index": torch.as_tensor(chosen),
            "label": self._labels[torch.as_tensor(chosen, device=self.device)],
            "digit": torch.as_tensor(self.digits.index[chosen]),
            "x": torch.as_tensor(corner[:, 1] + SIDE / 2),
            "y": torch.as_tensor(corner[:, 0] + SIDE / 2),
        }
        return Stimuli(self._compose(chosen), metadata)

    def _compose(self, chosen: np.ndarray) -> Tensor:
        """Return scenes (N, 1, size, size)."""
        size, piece = self.config.size, self.config.piece
        rows = torch.as_tensor(chosen, device=self.device)
        values = [self._images.index_select(0, rows)]
        places = [self._window(self.corner[chosen], SIDE, size)]
        if self.config.n_pieces:
            sources = self._sources[torch.as_tensor(self.source[chosen], device=self.device)]
            cut = self._window(self.cut[chosen], piece, SIDE)
            values.append(sources.gather(2, cut).flatten(1))
            places.append(self._window(self.pasted[chosen], piece, size).flatten(1))
        pixels, place = torch.cat(values, 1).float(), torch.cat(places, 1)
        canvas = pixels.new_zeros(len(chosen), size * size)
        # Sums of whole numbers are exact, in whatever order they are taken.
        if self.config.combine == "add":
            canvas.scatter_add_(1, place, pixels).clamp_(max=255)
        else:
            canvas.scatter_reduce_(1, place, pixels, "amax")
        return canvas.div_(255).view(-1, 1, size, size)

    def _window(self, corner: np.ndarray, side: int, size: int) -> Tensor:
        """Return flat indices (..., side²) of squares at corners (..., 2) on canvases."""
        line = torch.arange(side, device=self.device)
        square = (line[:, None] * size + line).flatten()
        first = torch.as_tensor(corner[..., 0] * size + corner[..., 1], device=self.device)
        return first[..., None] + square

    def batches(self, batch_size: int, n: int | None = None) -> Iterator[Stimuli]:
        """Yield `n` scenes, spread evenly over the set, or all of them, in batches."""
        check_positive("batch_size", batch_size, integer=True)
        chosen = spread(len(self) if n is None else n, len(self))
        for start in range(0, len(chosen), batch_size):
            yield self[chosen[start : start + batch_size]]

    def provenance(self) -> dict[str, Any]:
        """Return what is needed to make the same scenes again."""
        facts = {
            "stimuli": "cluttered digits",
            "scenes": dataclasses.asdict(self.config),
            "seed": list(self.seed),
            "digits": self.digits.provenance(),
        }
        if self.config.n_pieces:
            facts["clutter"] = self.clutter.provenance()
        return facts
