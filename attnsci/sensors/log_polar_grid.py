"""A log-polar grid of points about the fixation: turning becomes a shift, and so does scaling.

The sampling of polar transformer networks (Esteves et al. 2018, "Polar Transformer Networks",
arXiv 1709.01889). Values are interpolated, and differentiable in image and fixation.
"""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from attnsci.checks import check_positive
from attnsci.errors import InvalidInput


class LogPolarGrid(nn.Module):
    """Samples images at the points of rings whose radii grow geometrically.

    Parameters
    ----------
    n_rings, n_angles : int
        Points along and across the radius.
    r_min_px, r_max_px : float
        Radius of the first and of the last ring.
    fill : float
        What is seen off the image.

    Attributes
    ----------
    radius_px : Tensor, shape (n_rings,)
    steps : Tensor, shape (n_rings, n_angles, 2)
        Points from the fixation, (x, y) in pixels; angles run from x to y.

    Raises
    ------
    InvalidInput
        If a number is out of range.

    Examples
    --------
    >>> image = torch.arange(32.0).expand(1, 1, 32, 32) + 0.5  # each pixel says its x
    >>> seen = LogPolarGrid(3, 4, 2.0, 8.0)(image, torch.tensor([[12.0, 20.0]]))
    >>> seen.shape, seen[0, 0, :, 0].round(decimals=3).tolist()
    (torch.Size([1, 1, 3, 4]), [14.0, 16.0, 20.0])
    """

    radius_px: Tensor
    steps: Tensor

    def __init__(
        self, n_rings: int, n_angles: int, r_min_px: float, r_max_px: float, *, fill: float = 0.5
    ) -> None:
        super().__init__()
        for name, value in (("n_rings", n_rings), ("n_angles", n_angles)):
            check_positive(name, value, integer=True)
        check_positive("r_min_px", r_min_px)
        if n_rings < 2 or not r_max_px > r_min_px:
            raise InvalidInput(
                "A log-polar grid needs two rings or more and r_max_px above r_min_px; got "
                f"{n_rings} rings from {r_min_px} to {r_max_px}."
            )
        self.n_rings, self.n_angles, self.fill = n_rings, n_angles, fill
        self.r_min_px, self.r_max_px = float(r_min_px), float(r_max_px)
        rings = torch.linspace(0, 1, n_rings, dtype=torch.float64)
        radius = r_min_px * (r_max_px / r_min_px) ** rings
        angle = torch.arange(n_angles, dtype=torch.float64) * (2 * math.pi / n_angles)
        steps = radius[:, None, None] * torch.stack([angle.cos(), angle.sin()], -1)
        self.register_buffer("radius_px", radius.float(), persistent=False)
        self.register_buffer("steps", steps.float(), persistent=False)

    def forward(self, images: Tensor, fixation: Tensor | None = None) -> Tensor:
        """Return the values at the grid's points.

        Parameters
        ----------
        images : Tensor, shape (N, C, H, W), float
        fixation : Tensor, shape (N, 2), optional
            (x, y) in continuous pixels; the image's centre by default.

        Returns
        -------
        Tensor, shape (N, C, n_rings, n_angles)

        Raises
        ------
        InvalidInput
            If a shape does not fit.
        """
        sides = _sides(images)
        centre = self._fixation(images, fixation)
        points = centre[:, None, None] + self.steps.to(images.dtype)
        grid = 2 * points / sides - 1
        return functional.grid_sample(images - self.fill, grid, align_corners=False) + self.fill

    def inverse(
        self, features: Tensor, size: tuple[int, int], fixation: Tensor | None = None
    ) -> Tensor:
        """Return images that show what the grid saw where it saw it.

        Parameters
        ----------
        features : Tensor, shape (N, C, n_rings, n_angles)
        size : tuple of int
            Height and width of the images.
        fixation : Tensor, shape (N, 2), optional
            As in `forward`.

        Returns
        -------
        Tensor, shape (N, C, H, W)
            Interpolated on the grid; within the first ring as on it, beyond the last `fill`.
        """
        if tuple(features.shape[2:]) != (self.n_rings, self.n_angles):
            raise InvalidInput(
                f"features must have shape (N, C, {self.n_rings}, {self.n_angles}); got "
                f"{tuple(features.shape)}."
            )
        canvas = features.new_empty(features.shape[0], features.shape[1], *size)
        centre = self._fixation(canvas, fixation)
        columns = torch.arange(size[1]).to(centre) + 0.5 - centre[:, 0, None]
        rows = torch.arange(size[0]).to(centre) + 0.5 - centre[:, 1, None]
        across, down = torch.broadcast_tensors(columns[:, None, :], rows[:, :, None])
        radius = torch.hypot(across, down)
        growth = math.log(self.r_max_px / self.r_min_px)
        ring = torch.log(radius.clamp(min=self.r_min_px) / self.r_min_px) / growth
        turn = torch.atan2(down, across) / (2 * math.pi) % 1
        # The first angle is repeated after the last, for angles go round.
        closed = torch.cat([features, features[..., :1]], -1)
        grid = 2 * torch.stack([turn, ring], -1) - 1
        seen = functional.grid_sample(closed, grid, align_corners=True, padding_mode="border")
        return torch.where((radius <= self.r_max_px)[:, None], seen, self.fill)

    def _fixation(self, images: Tensor, fixation: Tensor | None) -> Tensor:
        if fixation is None:
            return (_sides(images) / 2).expand(len(images), 2)
        if tuple(fixation.shape) != (len(images), 2):
            raise InvalidInput(
                f"fixation must have shape ({len(images)}, 2); got {tuple(fixation.shape)}."
            )
        return fixation.to(images)


def _sides(images: Tensor) -> Tensor:
    """Return width and height."""
    if images.ndim != 4 or not images.is_floating_point():
        raise InvalidInput(
            f"images must be floats (N, C, H, W); got {images.dtype} {tuple(images.shape)}."
        )
    return images.new_tensor([images.shape[-1], images.shape[-2]])
