"""Rotating bars beside a distractor digit, for orientation tuning."""

import dataclasses
import functools
import itertools
from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image

from attnsci.checks import check_positive, check_shape
from attnsci.data.stimuli import ObjectScenes
from attnsci.errors import InvalidInput

ROWS, LENGTH = 28, 20
HEIGHT, WIDTH = 28, 42
DISTRACTOR_COLUMN = 14

# The published grid of positions, 11 × 11, holds these and repetitions of them.
ROW_SHIFTS = tuple(range(-10, 11, 2))
COLUMN_SHIFTS = (4, 3, 2, 1, 0, -1)
WIDTHS = tuple(np.linspace(0.5, 2, 6).tolist())
ORIENTATIONS_DEG = tuple(np.linspace(0, 180, 21).tolist())


@dataclasses.dataclass(frozen=True)
class BarConfig:
    """Which bars are shown; the defaults are all 396 that the paper's grid holds."""

    orientations_deg: tuple[float, ...] = ORIENTATIONS_DEG[:-1]
    """Counter-clockwise; 180° would be 0° once more."""
    widths: tuple[float, ...] = WIDTHS
    """Standard deviation of the bar's Gaussian profile, in units of 20/27 pixels."""
    row_shifts: tuple[int, ...] = ROW_SHIFTS
    """Rows by which the bar is moved up."""
    column_shifts: tuple[int, ...] = COLUMN_SHIFTS
    """Columns by which the bar is moved to the left."""
    mirrored: bool = False
    """Show the scene flipped left to right: the bar on the right, the digit on the left."""

    def __post_init__(self) -> None:
        for width in self.widths:
            check_positive("widths", width)
        for name in ("orientations_deg", "widths", "row_shifts", "column_shifts"):
            values = getattr(self, name)
            if not values or len(set(values)) != len(values):
                raise InvalidInput(f"{name} must hold one or more different values; got {values}.")

    @property
    def n_per_orientation(self) -> int:
        """Stimuli of one orientation."""
        return len(self.widths) * len(self.row_shifts) * len(self.column_shifts)


@functools.lru_cache(maxsize=256)
def bar(width: float, orientation_deg: float) -> npt.NDArray[np.float32]:
    """Draw one bar.

    Parameters
    ----------
    width : float
        Standard deviation σ of the profile ``exp(−v²/2σ²)`` over v from −10 to 10 in 28 rows.
    orientation_deg : float
        Rotation about the centre, counter-clockwise, nearest neighbour.

    Returns
    -------
    ndarray of float32, shape (28, 20)
        Largest value 1 before the rotation.
    """
    profile = np.exp(-(np.linspace(-10, 10, ROWS) ** 2) / (2 * width**2))
    image = np.repeat((profile / profile.max())[:, None], LENGTH, 1).astype(np.float32)
    return np.asarray(Image.fromarray(image).rotate(orientation_deg))


class BarScenes:
    """Bars on the left beside a digit on the right, every stimulus once.

    Parameters
    ----------
    distractor : ndarray of uint8, shape (28, 28)
        The digit; the paper takes MNIST's training digit 6, a "1".
    config : BarConfig, optional
        Which bars; keyword arguments replace single settings.
    device : str or torch.device
        Where scenes are composed.
    **settings
        Fields of `BarConfig`.

    Raises
    ------
    InvalidInput
        If the digit is not 28 × 28 bytes.

    Notes
    -----
    Object 0 is the bar and object 1 the digit (exchanged when mirrored). As published, their sum
    is not clamped and has no noise. The published grid shows 726 stimuli an orientation, of which
    396 differ; and 0° again as 180°.
    """

    def __init__(
        self,
        distractor: npt.NDArray[np.uint8],
        config: BarConfig | None = None,
        *,
        device: str | torch.device = "cpu",
        **settings: Any,
    ) -> None:
        self.config = dataclasses.replace(config or BarConfig(), **settings)
        check_shape("distractor", distractor, (ROWS, WIDTH - DISTRACTOR_COLUMN))
        if distractor.dtype != np.uint8:
            raise InvalidInput(f"distractor must hold bytes, 0 to 255; got {distractor.dtype}.")
        self.device = torch.device(device)
        digit = torch.zeros(1, HEIGHT, WIDTH)
        digit[0, :, DISTRACTOR_COLUMN:] = torch.as_tensor(distractor) / 255
        self._digit = digit.to(self.device)

    def __len__(self) -> int:
        return len(self.config.orientations_deg) * self.config.n_per_orientation

    def batches(self, batch_size: int) -> Iterator[ObjectScenes]:
        """Yield all stimuli, orientation by orientation.

        Parameters
        ----------
        batch_size : int
            Stimuli in a batch, at most; a batch never mixes orientations.

        Yields
        ------
        ObjectScenes
            With ``orientation_deg``, ``width``, ``row_shift`` and ``column_shift``.
        """
        check_positive("batch_size", batch_size, integer=True)
        config = self.config
        grid = list(itertools.product(config.widths, config.row_shifts, config.column_shifts))
        for orientation in config.orientations_deg:
            bars = torch.from_numpy(_placed(config, orientation)).to(self.device)
            for start in range(0, len(grid), batch_size):
                part = grid[start : start + batch_size]
                yield self._scene(bars[start : start + batch_size], orientation, part)

    def _scene(
        self, bars: torch.Tensor, orientation: float, grid: list[tuple[float, int, int]]
    ) -> ObjectScenes:
        objects = torch.stack([bars, self._digit.expand_as(bars)], 1)
        if self.config.mirrored:
            objects = objects.flip(-1)
        widths, rows, columns = zip(*grid, strict=True)
        metadata = {
            "orientation_deg": torch.full((len(grid),), orientation, dtype=torch.float64),
            "width": torch.tensor(widths, dtype=torch.float64),
            "row_shift": torch.tensor(rows),
            "column_shift": torch.tensor(columns),
        }
        unlabelled = torch.full(objects.shape[:2], -1, device=self.device)
        return ObjectScenes(
            image=objects.sum(1), metadata=metadata, objects=objects, labels=unlabelled
        )

    def provenance(self) -> dict[str, Any]:
        """Return what is needed to make the same stimuli again."""
        return {"stimuli": "bars beside a digit", "bars": dataclasses.asdict(self.config)}


def _placed(config: BarConfig, orientation: float) -> npt.NDArray[np.float32]:
    """Return the bars of one orientation at every width and shift, shape (n, 1, H, W)."""
    rows = np.arange(HEIGHT) + np.asarray(config.row_shifts)[:, None]
    columns = np.arange(WIDTH) + np.asarray(config.column_shifts)[:, None]
    inside = ((rows >= 0) & (rows < ROWS))[:, None, :, None] & (
        (columns >= 0) & (columns < LENGTH)
    )[None, :, None, :]
    row_index = rows.clip(0, ROWS - 1)[:, None, :, None]
    column_index = columns.clip(0, LENGTH - 1)[None, :, None, :]
    drawn = np.stack([bar(width, orientation) for width in config.widths])
    placed = np.where(inside, drawn[:, row_index, column_index], np.float32(0))
    return placed.reshape(-1, 1, HEIGHT, WIDTH)
