"""A glimpse: square patches about one point, each wider and coarser than the last.

The sensor of Mnih, Heess, Graves & Kavukcuoglu 2014, "Recurrent Models of Visual Attention",
arXiv 1406.6247. The first patch of `size` pixels is seen as it is; every further one is `factor`
times as wide and brought to `size` pixels by averaging. Outside the image there is nothing (0).

Two sensors take the same glimpse: `BoxSensor` cuts at whole pixels and averages blocks, as the
published code does, and `MipSensor` interpolates in a pyramid of averages, so that a glimpse is a
smooth function of where it is taken. Both prepare an image once and then look many times.
"""

import abc
import dataclasses
from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional

from attnsci.checks import check_known, check_positive
from attnsci.errors import InvalidInput

Size = tuple[int, int]
"""Height and width."""


@dataclasses.dataclass(frozen=True)
class CoordinateMap:
    """What a model means by a location in [−1, 1]², and which pixels a patch there covers.

    Attributes
    ----------
    rows_first : bool
        Locations are (row, column), not (x, y).
    extra : int
        −1 … 1 spans the image and so many pixels more.
    corner : callable
        (centre in pixels, width of the patch) to the index of the patch's first pixel.
    """

    rows_first: bool
    extra: int
    corner: Callable[[Tensor, Tensor], Tensor]

    def to_px(self, location: Tensor, size: Size) -> Tensor:
        """Return continuous pixels (..., 2) as (x, y) of locations (..., 2).

        Examples
        --------
        >>> MAPS["amasky"].to_px(torch.tensor([-1.0, 0.0]), (28, 28)).tolist()
        [14.5, 0.0]
        """
        xy = location.flip(-1) if self.rows_first else location
        return (xy + 1) * (0.5 * self._span(xy, size))

    def from_px(self, xy: Tensor, size: Size) -> Tensor:
        """Return locations (..., 2) of continuous pixels (..., 2) as (x, y)."""
        location = xy / (0.5 * self._span(xy, size)) - 1
        return location.flip(-1) if self.rows_first else location

    def _span(self, like: Tensor, size: Size) -> Tensor | float:
        if size[0] == size[1]:
            return float(size[0] + self.extra)
        return like.new_tensor([size[1] + self.extra, size[0] + self.extra])


MAPS = {
    # Halves go up, so that moving by a pixel moves the patch by a pixel.
    "attnsci": CoordinateMap(False, 0, lambda centre, width: (centre - width / 2 + 0.5).floor()),
    "amasky": CoordinateMap(True, 1, lambda centre, width: (centre - width / 2).round()),
    "kevinzakka": CoordinateMap(False, 0, lambda centre, width: centre.trunc() - width // 2),
}
"""Maps by name; the last two are of the published code of these authors (halves to even)."""


class Sensor(abc.ABC):
    """Takes glimpses of a batch of images.

    Parameters
    ----------
    images : Tensor, shape (N, C, H, W), float
    size : int
        Side of a patch as it is seen, in pixels.
    n_scales : int
        Patches in a glimpse.
    factor : int
        How much wider each patch is than the one before.
    coordinates : str
        Name of the map in `MAPS`; of this sensor's, the rounding to whole pixels matters only to
        `BoxSensor`.

    Raises
    ------
    InvalidInput
        If images have another shape, or the widest patch is larger than they are.
    UnknownName
        If no map has that name.
    """

    def __init__(
        self,
        images: Tensor,
        size: int,
        n_scales: int = 1,
        *,
        factor: int = 2,
        coordinates: str = "attnsci",
    ) -> None:
        if images.ndim != 4 or not images.is_floating_point():
            raise InvalidInput(
                f"images must be floats (N, C, H, W); got {images.dtype} {tuple(images.shape)}."
            )
        for name, value in (("size", size), ("n_scales", n_scales), ("factor", factor)):
            check_positive(name, value, integer=True)
        if factor == 1 and n_scales > 1:
            raise InvalidInput("A factor of 1 makes all scales alike; take 2 or more.")
        check_known("coordinate map", coordinates, MAPS)
        height, width = images.shape[-2:]
        if size * factor ** (n_scales - 1) > max(height, width):
            raise InvalidInput(
                f"{n_scales} scales of {size} pixels make a patch of "
                f"{size * factor ** (n_scales - 1)} pixels, larger than the images of "
                f"{height}×{width}. Take fewer or smaller ones."
            )
        self.image_size: Size = (height, width)
        self.size, self.n_scales, self.factor = size, n_scales, factor
        self.map = MAPS[coordinates]
        self._shape = tuple(images.shape[:2])
        self._prepare(images)

    @property
    def blocks(self) -> list[int]:
        """Pixels a side that each scale averages into one."""
        return [self.factor**i for i in range(self.n_scales)]

    def __call__(self, xy: Tensor) -> Tensor:
        """Return glimpses.

        Parameters
        ----------
        xy : Tensor, shape (N, 2) or (N, M, 2)
            Where to look in each image, once or M times, in continuous pixels (x, y); off the
            image too.

        Returns
        -------
        Tensor, shape (N, D) or (N, M, D)
            Values in the order scale, channel, row, column: D = n_scales · C · size².
        """
        n, channels = self._shape
        looks = xy[:, None] if xy.ndim == 2 else xy
        if looks.ndim != 3 or looks.shape[0] != n or looks.shape[2] != 2:
            raise InvalidInput(
                f"xy must have shape ({n}, 2) or ({n}, M, 2); got {tuple(xy.shape)}."
            )
        seen = self._take(looks)
        if channels > 1:
            seen = seen.permute(0, 2, 3, 1, 4)
        seen = seen.reshape(n, looks.shape[1], -1)
        return seen[:, 0] if xy.ndim == 2 else seen

    @abc.abstractmethod
    def _prepare(self, images: Tensor) -> None: ...

    @abc.abstractmethod
    def _take(self, looks: Tensor) -> Tensor:
        """Return what is seen at `looks` (N, M, 2), shape (N, C, M, scale, size²)."""


class BoxSensor(Sensor):
    """Glimpses cut at whole pixels and averaged over blocks, as published: one gather a glimpse.

    See `Sensor` for parameters.

    Examples
    --------
    >>> image = torch.arange(64.0).view(1, 1, 8, 8)
    >>> BoxSensor(image, 2)(torch.tensor([[3.0, 1.0]])).tolist()
    [[2.0, 3.0, 10.0, 11.0]]
    """

    def _prepare(self, images: Tensor) -> None:
        """Average blocks at every pixel, once an image.

        With a margin as wide as the widest block, the first and last row and column of every
        map are empty: indices off the map are sent there.
        """
        if images.requires_grad:
            raise InvalidInput("BoxSensor hands no gradient back to images; take MipSensor.")
        n, channels = self._shape
        margin = self.blocks[-1]
        height, width = (side + 2 * margin for side in self.image_size)
        sides = [(height - block + 1, width - block + 1) for block in self.blocks]
        lengths = [rows * columns for rows, columns in sides]
        self._values = images.new_empty(n, channels, sum(lengths))
        below: Tensor | None = None
        for block, side, part in zip(
            self.blocks, sides, self._values.split(lengths, 2), strict=True
        ):
            level = part.view(n, channels, *side)
            if below is None:
                level.zero_()
                level[..., margin:-margin, margin:-margin] = images
            else:
                _mean_of_shifted(below, block // self.factor, self.factor, level)
            below = level
        # How far apart columns and rows are among the values of all maps, and where the first and
        # the last begin: (scale, xy, 1) each.
        starts = [sum(lengths[:i]) for i in range(self.n_scales)]
        table = [
            ((1, columns), (0, start), (columns - 1, start + length - columns))
            for (_, columns), start, length in zip(sides, starts, lengths, strict=True)
        ]
        numbers = torch.tensor(table, device=images.device)[..., None]
        self._apart, self._first, self._last = numbers.unbind(1)
        averaged = torch.tensor(self.blocks, device=images.device)[:, None]
        self._widths = self.size * averaged
        inside = margin + averaged * torch.arange(self.size, device=images.device)
        self._steps = self._first + inside[:, None] * self._apart

    def corners(self, xy: Tensor) -> Tensor:
        """Return the first pixel of each patch about points (..., 2), as (x, y): (..., scale, 2).

        May lie off the image.
        """
        return self.map.corner(xy[..., None, :], self._widths).long()

    def _take(self, looks: Tensor) -> Tensor:
        # (N, M, scale, xy, size); rows count from the beginning of all maps.
        at = torch.addcmul(self._steps, self.corners(looks)[..., None], self._apart)
        columns, rows = at.clamp_(self._first, self._last).unbind(-2)
        index = (rows[..., :, None] + columns[..., None, :]).flatten(1)
        n, channels = self._shape
        values = self._values.gather(2, index[:, None].expand(-1, channels, -1))
        return values.view(n, channels, looks.shape[1], self.n_scales, -1)


def _mean_of_shifted(maps: Tensor, step: int, factor: int, out: Tensor) -> None:
    """Write the mean of `factor`² copies of maps (..., H, W), `step` pixels apart, into `out`."""
    rows, columns = out.shape[-2:]
    down = maps[..., :rows, :] + maps[..., step : step + rows, :]
    for i in range(2, factor):
        down += maps[..., step * i : step * i + rows, :]
    torch.add(down[..., :columns], down[..., step : step + columns], out=out)
    for i in range(2, factor):
        out += down[..., step * i : step * i + columns]
    out *= 1 / factor**2


class MipSensor(Sensor):
    """Glimpses interpolated in a pyramid of averages: between pixels, and differentiable.

    Equal to `BoxSensor` where the centre is a multiple of the widest block and `size` is even.
    See `Sensor` for parameters.

    Examples
    --------
    >>> image = torch.arange(64.0).view(1, 1, 8, 8)
    >>> MipSensor(image, 2)(torch.tensor([[3.5, 1.0]])).tolist()
    [[2.5, 3.5, 10.5, 11.5]]
    """

    def _prepare(self, images: Tensor) -> None:
        self._levels = [images]
        for _ in range(self.n_scales - 1):
            height, width = self._levels[-1].shape[-2:]
            pad = (0, -width % self.factor, 0, -height % self.factor)
            padded = functional.pad(self._levels[-1], pad)
            self._levels.append(functional.avg_pool2d(padded, self.factor))
        self._steps = torch.arange(self.size).to(images) - (self.size - 1) / 2

    def _take(self, looks: Tensor) -> Tensor:
        n, channels = self._shape
        n_looks = looks.shape[1]
        seen = []
        for level, block in zip(self._levels, self.blocks, strict=True):
            # Pixels of the level, whose sides are rounded up: its own size is the right unit.
            at = looks[..., None, :] / block + self._steps[:, None]  # (N, M, size, xy)
            at = 2 * at / at.new_tensor([level.shape[-1], level.shape[-2]]) - 1
            x, y = at.unbind(-1)
            grid = torch.stack(torch.broadcast_tensors(x[:, :, None, :], y[:, :, :, None]), -1)
            taken = functional.grid_sample(
                level, grid.flatten(1, 2).to(level.dtype), align_corners=False
            )
            seen.append(taken.view(n, channels, n_looks, -1))
        return torch.stack(seen, 3)


SENSORS: dict[str, type[Sensor]] = {"exact": BoxSensor, "mip": MipSensor}
"""Sensors by the name that configurations give them."""
