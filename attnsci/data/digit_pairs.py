"""Two digits on one canvas that never overlap, read from left to right, composed from a seed.

The task of several objects in an image, after Ba, Mnih & Kavukcuoglu 2014, "Multiple Object
Recognition with Visual Attention", arXiv 1412.7755.
"""

import dataclasses
from collections.abc import Iterator, Sequence
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor

from attnsci.data.digit_scenes import SIDE
from attnsci.data.digits import Digits
from attnsci.data.ram_scenes import ClutterConfig, ClutteredScenes
from attnsci.data.stimuli import ObjectScenes
from attnsci.errors import InvalidInput
from attnsci.seeds import numpy_generator

_PAIRS = 1


@dataclasses.dataclass(frozen=True)
class PairConfig(ClutterConfig):
    """How a scene is laid out."""

    n_pieces: int = 0
    """Pieces of other digits beside the two."""
    lead: int = 8
    """Columns, at least, by which the second digit begins to the right of the first: so many
    that the order of two digits one above the other can be seen."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.size < 2 * SIDE:
            raise InvalidInput(
                f"Two digits of {SIDE} pixels need a canvas of {2 * SIDE}; got size {self.size}."
            )
        if not 1 <= self.lead <= self.size - SIDE:
            raise InvalidInput(
                f"lead must be from 1 to {self.size - SIDE} on a canvas of {self.size}; got "
                f"{self.lead}."
            )


class DigitPairs(ClutteredScenes):
    """Scenes of two digits each; scene i depends on the seed and i, and on nothing else.

    Digit i of the set stands in scene i, its partner is drawn from the same set, which of the two
    is to the left is drawn too. Places are uniform over all that are allowed: the frames of 28
    pixels do not overlap, and the left one leads.

    Parameters
    ----------
    digits, config, clutter, seed, device, **settings
        As of `ClutteredScenes`, with a `PairConfig`.

    Raises
    ------
    InvalidInput
        If there are no digits, or pieces would be cut from test digits.

    Examples
    --------
    >>> from attnsci.data import load_mnist
    >>> scenes = DigitPairs(load_mnist("test"))[:5]
    >>> scenes.image.shape, scenes.labels.shape
    (torch.Size([5, 1, 60, 60]), torch.Size([5, 2]))
    """

    config: PairConfig

    def __init__(
        self,
        digits: Digits,
        config: PairConfig | None = None,
        *,
        clutter: Digits | None = None,
        seed: int | tuple[int, ...] = 0,
        device: str | torch.device = "cpu",
        **settings: Any,
    ) -> None:
        super().__init__(
            digits, config or PairConfig(), clutter=clutter, seed=seed, device=device, **settings
        )
        n, generator = len(digits), numpy_generator(*self.seed, _PAIRS)
        pairs = np.stack([self._every, generator.integers(0, n, n)], 1)
        self.slot = generator.integers(0, 2, n)
        """Whether digit i stands in scene i as the first (0) or second to be read, (N,)."""
        self.members = np.where(self.slot[:, None] == [[0, 1]], pairs[:, :1], pairs[:, 1:])
        """Which digits of the set are in each scene, in reading order, (N, 2)."""
        self.corners = self._corners(generator)
        """Row and column of each digit's first pixel, in reading order, (N, 2, 2)."""
        self.corner = self.corners[self._every, self.slot]

    def _corners(self, generator: np.random.Generator) -> np.ndarray:
        """Draw places: first how far apart, as often as it has places, then where."""
        places = self.config.size - SIDE + 1
        down, right = np.mgrid[1 - places : places, self.config.lead : places]
        apart = (abs(down) >= SIDE) | (right >= SIDE)
        down, right = down[apart], right[apart]
        last = np.cumsum((places - abs(down)) * (places - right))
        which = np.searchsorted(last, generator.integers(0, last[-1], len(self)), side="right")
        down, right = down[which], right[which]
        row = generator.integers(0, places - abs(down)) + np.maximum(-down, 0)
        column = generator.integers(0, places - right)
        first = np.stack([row, column], 1)
        return np.stack([first, first + np.stack([down, right], 1)], 1)

    def __getitem__(self, index: int | slice | Sequence[int] | np.ndarray) -> ObjectScenes:
        """Compose the scenes at `index`, as one batch, objects in reading order.

        Metadata: ``index``, and for both digits ``label_0``, ``digit_0`` (its index in the data
        set), and ``x_0``, ``y_0`` of its middle in pixels.
        """
        chosen = np.atleast_1d(self._every[index])
        corners, members = self.corners[chosen], self.members[chosen]
        rows = torch.as_tensor(members, device=self.device)
        objects, labels = self._objects(rows, corners), self._labels[rows]
        metadata = {"index": torch.as_tensor(chosen)}
        for slot in (0, 1):
            metadata[f"label_{slot}"] = labels[:, slot]
            metadata[f"digit_{slot}"] = torch.as_tensor(self.digits.index[members[:, slot]])
            metadata[f"x_{slot}"] = torch.as_tensor(corners[:, slot, 1] + SIDE / 2)
            metadata[f"y_{slot}"] = torch.as_tensor(corners[:, slot, 0] + SIDE / 2)
        return ObjectScenes(self._with(objects, chosen), metadata, objects, labels)

    def _objects(self, rows: Tensor, corners: np.ndarray) -> Tensor:
        """Return each digit (N, 2) alone on black, shape (N, 2, 1, size, size)."""
        size = self.config.size
        pixels = self._images[rows].float().div_(255)
        black = pixels.new_zeros(*rows.shape, size * size)
        objects = black.scatter_(2, self._window(corners, SIDE, size), pixels)
        return objects.view(*rows.shape, 1, size, size)

    def _with(self, objects: Tensor, chosen: np.ndarray) -> Tensor:
        """Return the scenes: both digits, and pieces if there are some."""
        if not self.config.n_pieces:
            return objects.sum(1)
        scenes = self._compose(chosen)  # digit i and pieces
        partner = objects[torch.arange(len(chosen)), torch.as_tensor(1 - self.slot[chosen])]
        if self.config.combine == "add":
            return scenes.add_(partner).clamp_(max=1)
        return torch.maximum(scenes, partner)

    def batches(self, batch_size: int, n: int | None = None) -> Iterator[ObjectScenes]:
        """Yield `n` scenes, spread evenly over the set, or all of them, in batches."""
        return cast(Iterator[ObjectScenes], super().batches(batch_size, n))

    def provenance(self) -> dict[str, Any]:
        """Return what is needed to make the same scenes again."""
        return {**super().provenance(), "stimuli": "pairs of digits"}
