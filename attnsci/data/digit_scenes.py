"""Scenes of several overlapping digits, composed in batches from a seed and an index."""

import dataclasses
import functools
import itertools
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from attnsci.checks import check_fraction, check_positive
from attnsci.data.digits import Digits
from attnsci.data.stimuli import ObjectScenes
from attnsci.errors import InvalidInput
from attnsci.seeds import numpy_generator

SIDE = 28
OFFSET = 14
"""Columns between neighbouring slots; frames of 28 pixels overlap by half."""

_REDRAW_STREAM = 1


@dataclasses.dataclass(frozen=True)
class SceneConfig:
    """How scenes are laid out; the defaults are the published pairs."""

    n_objects: int = 2
    """Digits in a scene."""
    noise: float = 0.3
    """Upper end of the uniform noise on empty pixels."""
    equal_labels: bool = True
    """Allow two digits of the same class in one scene."""
    slots: tuple[tuple[int, int], ...] | None = None
    """(row, column) of each slot's upper left corner; by default a row, 14 columns apart."""
    size: tuple[int, int] | None = None
    """(height, width) of the scene; by default as large as the slots need."""

    def __post_init__(self) -> None:
        check_positive("n_objects", self.n_objects, integer=True)
        check_fraction("noise", self.noise)
        if self.slots is not None and len(self.slots) != self.n_objects:
            raise InvalidInput(f"{self.n_objects} objects need as many slots; got {self.slots}.")
        height, width = self.canvas
        for row, column in self.corners:
            if min(row, column) < 0 or row + SIDE > height or column + SIDE > width:
                raise InvalidInput(
                    f"A {SIDE}-pixel digit at row {row}, column {column} leaves the scene of "
                    f"{height}×{width}."
                )

    @property
    def corners(self) -> tuple[tuple[int, int], ...]:
        """Upper left corner of every slot."""
        return self.slots or tuple((0, OFFSET * slot) for slot in range(self.n_objects))

    @property
    def canvas(self) -> tuple[int, int]:
        """Height and width of the scene."""
        if self.size is not None:
            return self.size
        rows, columns = zip(*self.corners, strict=True)
        return max(rows) + SIDE, max(columns) + SIDE


class DigitScenes:
    """Scenes of several digits; scene i depends on the seed and i, and on nothing else.

    Digit i of the set stands in scene i, its partners are drawn at random from the same set, the
    slots in random order. Noise, uniform in [0, `noise`), falls on empty pixels only. Random
    numbers come from NumPy on the host and are found by their place in the stream, so that
    neither batch size, nor order of access, nor device changes a scene.

    Parameters
    ----------
    digits : Digits
        Where all digits of the scenes come from.
    config : SceneConfig, optional
        Layout and noise; keyword arguments replace single settings.
    seed : int or tuple of int
        Names the set of scenes; a training run takes (seed, epoch).
    device : str or torch.device
        Where scenes are composed.
    **settings
        Fields of `SceneConfig`.

    Raises
    ------
    InvalidInput
        If the set is empty, a slot leaves the scene, or different labels are asked of a set with
        fewer classes than objects.

    Notes
    -----
    After Lei, Benjamin and Kording (2021), arXiv 2106.04540, whose scenes were drawn anew at
    every access.
    """

    def __init__(
        self,
        digits: Digits,
        config: SceneConfig | None = None,
        *,
        seed: int | tuple[int, ...] = 0,
        device: str | torch.device = "cpu",
        **settings: Any,
    ) -> None:
        self.config = config = dataclasses.replace(config or SceneConfig(), **settings)
        if len(digits) == 0:
            raise InvalidInput("There are no digits to make scenes of.")
        self.digits = digits
        self.seed = (int(seed),) if isinstance(seed, int | np.integer) else tuple(seed)
        self.device = torch.device(device)
        self._images = torch.as_tensor(digits.images, device=self.device)
        self._labels = torch.as_tensor(digits.labels, device=self.device)
        generator = numpy_generator(*self.seed)
        n, n_objects = len(digits), config.n_objects
        partners = [generator.integers(0, n, n) for _ in range(n_objects - 1)]
        members = np.stack([np.arange(n), *partners], 1)
        order = np.argsort(generator.random((n, n_objects)), axis=1)
        if not config.equal_labels:
            members = self._redraw_equal(members)
        self._every = np.arange(n)
        self.members = np.take_along_axis(members, order, 1)
        self._noise_start: Any = generator.bit_generator.state

    def _redraw_equal(self, members: np.ndarray) -> np.ndarray:
        """Replace partners until no scene holds a label twice."""
        labels = self.digits.labels
        if len(np.unique(labels)) < self.config.n_objects:
            raise InvalidInput(
                f"{self.config.n_objects} different labels were asked of digits that have "
                f"{len(np.unique(labels))}."
            )
        generator = numpy_generator(*self.seed, _REDRAW_STREAM)
        open_scenes = np.arange(len(members))
        while True:
            scene_labels = np.sort(labels[members[open_scenes]], axis=1)
            open_scenes = open_scenes[(np.diff(scene_labels, axis=1) == 0).any(1)]
            if len(open_scenes) == 0:
                return members
            members[open_scenes, 1:] = generator.integers(
                0, len(labels), (len(open_scenes), self.config.n_objects - 1)
            )

    def __len__(self) -> int:
        return len(self.digits)

    def __getitem__(self, index: int | slice | Sequence[int] | np.ndarray) -> ObjectScenes:
        """Compose the scenes at `index`, as one batch."""
        chosen = np.atleast_1d(self._every[index])
        members = self.members[chosen]
        rows = torch.as_tensor(members, device=self.device)
        digits = self._images.index_select(0, rows.flatten()).view(*rows.shape, SIDE, SIDE)
        objects = self._place(digits)
        image = functools.reduce(torch.add, objects.unbind(1)).clamp(max=1)
        if self.config.noise:
            # −1 where the scene is 0: exact, and many times faster than comparing cell by cell.
            empty = image.ceil().sub_(1)
            image.addcmul_(self._noise_of(chosen).to(self.device), empty, value=-1)
        labels = self._labels[rows]
        metadata = {"index": torch.as_tensor(chosen)}
        for slot in range(self.config.n_objects):
            metadata[f"label_{slot}"] = labels[:, slot]
            metadata[f"digit_{slot}"] = torch.as_tensor(self.digits.index[members[:, slot]])
        return ObjectScenes(image=image, metadata=metadata, objects=objects, labels=labels)

    def batches(self, batch_size: int, n: int | None = None) -> Iterator[ObjectScenes]:
        """Yield `n` scenes, spread evenly over the set, or all of them, in batches."""
        check_positive("batch_size", batch_size, integer=True)
        chosen = spread(len(self) if n is None else n, len(self))
        for start in range(0, len(chosen), batch_size):
            yield self[chosen[start : start + batch_size]]

    def _place(self, digits: Tensor) -> Tensor:
        """Put digits (N, object, 28, 28), uint8, into their slots."""
        height, width = self.config.canvas
        objects = digits.new_zeros(*digits.shape[:2], 1, height, width)
        for slot, (row, column) in enumerate(self.config.corners):
            objects[:, slot, 0, row : row + SIDE, column : column + SIDE] = digits[:, slot]
        return objects / 255

    def _noise_of(self, chosen: np.ndarray) -> Tensor:
        """Return noise (N, 1, H, W), read from each scene's own place in the random stream."""
        height, width = self.config.canvas
        cells = height * width
        drawn = np.empty((len(chosen), cells))
        stream = np.random.PCG64(0)
        stream.state = self._noise_start
        generator = np.random.Generator(stream)
        reached = 0
        for run in _consecutive(chosen):
            first = int(chosen[run.start])
            stream.advance((first - reached) * cells)
            generator.random(out=drawn[run])
            reached = first + run.stop - run.start
        out = drawn.astype(np.float32)
        out *= np.float32(self.config.noise)
        return torch.from_numpy(out).view(-1, 1, height, width)

    def provenance(self) -> dict[str, Any]:
        """Return what is needed to make the same scenes again."""
        return {
            "stimuli": "digit scenes",
            "scenes": dataclasses.asdict(self.config),
            "seed": list(self.seed),
            "digits": self.digits.provenance(),
        }


def spread(n: int, total: int) -> np.ndarray:
    """Return `n` of the indices 0 … total − 1 (all, if `n` is larger), evenly spaced.

    Bundled digits are sorted by class, so that the first few of them would be all alike.
    """
    n = min(check_positive("n", n, integer=True), total)
    return np.arange(n) * total // n


def _consecutive(indices: np.ndarray) -> list[slice]:
    """Return the stretches of `indices` that run on by one, as slices into it."""
    breaks = np.flatnonzero(indices[1:] - indices[:-1] != 1) + 1
    edges = [0, *breaks.tolist(), len(indices)]
    return [slice(a, b) for a, b in itertools.pairwise(edges) if b > a]
