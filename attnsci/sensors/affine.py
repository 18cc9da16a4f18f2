"""Spatial-transformer samplers: an image through a transform whose parameters are learnt.

Jaderberg et al. 2015, "Spatial Transformer Networks", arXiv 1506.02025. `SAMPLERS` names the
published settings (parameters without limits, black outside the image) and bounded twins, in
which a network cannot lose the image: limited transforms, grey outside.
"""

import dataclasses
import functools
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from attnsci.checks import check_option, check_positive
from attnsci.errors import InvalidInput
from attnsci.sensors.thin_plate import control_points, thin_plate_weights
from attnsci.sensors.transforms import LINEAR_KINDS, Limits, inverted, matrix, start

Mode = Literal["bilinear", "nearest"]


@dataclasses.dataclass(frozen=True)
class SamplerConfig:
    """A transform and how it is sampled.

    Raises
    ------
    InvalidInput
        If a setting is out of range.
    """

    kind: Literal["affine", "similarity", "attention", "translation", "thin-plate"]
    """Which transform; see `attnsci.sensors.transforms`. A thin plate's parameters are the
    displacements (x, y) of its control points, row by row."""
    out_size: tuple[int, int]
    """Height and width of what is returned, in pixels."""
    scale: float = 1.0
    """Width of the output in widths of the image: to start with, and for good where the
    transform has no scale of its own."""
    limits: Limits | None = None
    """None uses parameters as they come, as published."""
    outside: float | Literal["border"] = 0.0
    """What is seen off the image: a value, or the nearest pixel."""
    align_corners: bool = False
    """Let [−1, 1] reach from the centre of the first pixel to that of the last; else from edge
    to edge."""
    n_control: int = 4
    """Control points of the thin plate along each side."""

    def __post_init__(self) -> None:
        check_option("kind", self.kind, (*LINEAR_KINDS, "thin-plate"))
        for name, value in zip(("height", "width"), self.out_size, strict=True):
            check_positive(f"out_size ({name})", value, integer=True)
        check_positive("scale", self.scale)
        if isinstance(self.outside, str):
            check_option("outside", self.outside, ("border",))


SAMPLERS = {
    "stn-28": SamplerConfig("affine", (28, 28)),
    "stn-128": SamplerConfig("affine", (128, 128)),
    "atn": SamplerConfig("attention", (28, 28), scale=0.2),
    "polo-atn": SamplerConfig("translation", (28, 28), scale=0.2),
    "stn-28-bounded": SamplerConfig(
        "affine", (28, 28), limits=Limits((0.25, 2.0), shift=1.0), outside=0.5
    ),
    "stn-128-bounded": SamplerConfig(
        "affine", (128, 128), limits=Limits((0.125, 1.25), shift=0.7), outside=0.5
    ),
    # Zooms by two either way of a pixel a pixel, and begins wide, where it sees what it may learn
    # to move to.
    "atn-bounded": SamplerConfig(
        "attention",
        (28, 28),
        scale=40 / 128,
        limits=Limits((14 / 128, 56 / 128), shift=0.7),
        outside=0.5,
    ),
    "polo-atn-bounded": SamplerConfig(
        "translation", (28, 28), scale=28 / 128, limits=Limits(shift=0.7), outside=0.5
    ),
    "similarity-bounded": SamplerConfig(
        "similarity",
        (28, 28),
        scale=28 / 128,
        limits=Limits((14 / 128, 56 / 128), shift=0.7),
        outside=0.5,
    ),
    "thin-plate-bounded": SamplerConfig(
        "thin-plate", (28, 28), scale=28 / 128, limits=Limits(shift=0.7), outside=0.5
    ),
}
"""Settings by name. The first four are those of the published networks."""


class SpatialSampler(nn.Module):
    """Samples images through transforms.

    Parameters
    ----------
    config : SamplerConfig

    Attributes
    ----------
    start : Tensor, shape (P,)
        Parameters to start from: the bias of a network's last layer, its weights at 0.

    Examples
    --------
    >>> sampler = SpatialSampler(SAMPLERS["atn"])
    >>> images, raw = torch.rand(5, 1, 128, 128), torch.tensor([[0.2, 0.25, 0.0]] * 5)
    >>> sampler(images, raw).shape, sampler.n_parameters
    (torch.Size([5, 1, 28, 28]), 3)
    >>> sampler.fixations(raw, (128, 128))[0].tolist()
    [80.0, 64.0]
    """

    start: Tensor
    plate: Tensor

    def __init__(self, config: SamplerConfig) -> None:
        super().__init__()
        self.config = config
        if config.kind == "thin-plate":
            first = torch.zeros(2 * config.n_control**2)
            places = _lattice(config.out_size, config.align_corners)
            plate = thin_plate_weights(places.flatten(0, 1), control_points(config.n_control))
            middle = thin_plate_weights(places.new_zeros(1, 2), control_points(config.n_control))
            self.register_buffer("plate", torch.cat([plate, middle]).float(), persistent=False)
        else:
            first = start(config.kind, config.scale, config.limits)
        self.register_buffer("start", first, persistent=False)

    @property
    def n_parameters(self) -> int:
        """Numbers that a transform takes."""
        return len(self.start)

    def forward(self, images: Tensor, raw: Tensor, mode: Mode = "bilinear") -> Tensor:
        """Return what is seen through transforms.

        Parameters
        ----------
        images : Tensor, shape (N, C, H, W), float
        raw : Tensor, shape (N, P), float
            Parameters of the transforms, as a network returns them.
        mode : {"bilinear", "nearest"}

        Returns
        -------
        Tensor, shape (N, C, *out_size)

        Raises
        ------
        InvalidInput
            If a shape does not fit.
        """
        if images.ndim != 4 or len(images) != len(raw):
            raise InvalidInput(
                f"images must be (N, C, H, W) and raw (N, {self.n_parameters}); got "
                f"{tuple(images.shape)} and {tuple(raw.shape)}."
            )
        return self._sampled(images, self.grid(raw), mode)

    def grid(self, raw: Tensor) -> Tensor:
        """Return the places (N, *out_size, 2) that are sampled, (x, y) in [−1, 1]."""
        config = self.config
        if config.kind != "thin-plate":
            shape = [len(raw), 1, *config.out_size]
            return functional.affine_grid(self.matrices(raw), shape, config.align_corners)
        places = _lattice(config.out_size, config.align_corners).to(raw)
        return config.scale * places + self._displaced(raw, self.plate[:-1]).unflatten(
            1, config.out_size
        )

    def matrices(self, raw: Tensor) -> Tensor:
        """Return the matrices (N, 2, 3) of the transforms.

        Raises
        ------
        InvalidInput
            If `raw` has another shape, or the transform is a thin plate, which has none.
        """
        config = self.config
        if config.kind == "thin-plate":
            raise InvalidInput("A thin plate is not described by a matrix; use grid.")
        return matrix(config.kind, raw, config.scale, config.limits)

    def fixations(self, raw: Tensor, image_size: tuple[int, int]) -> Tensor:
        """Return where the middle of the output lies in the image.

        Parameters
        ----------
        raw : Tensor, shape (N, P)
        image_size : tuple of int
            Height and width of the image.

        Returns
        -------
        Tensor, shape (N, 2)
            (x, y) in continuous pixels.
        """
        if self.config.kind == "thin-plate":
            middle = self._displaced(raw, self.plate[-1:])[:, 0]
        else:
            middle = self.matrices(raw)[..., 2]
        sides = middle.new_tensor([image_size[1], image_size[0]])
        reach = sides - 1 if self.config.align_corners else sides
        return (middle * reach + sides) / 2

    def inverse(self, seen: Tensor, raw: Tensor, image_size: tuple[int, int]) -> Tensor:
        """Return images that show what was seen where it was seen, and `outside` elsewhere.

        Parameters
        ----------
        seen : Tensor, shape (N, C, *out_size)
        raw : Tensor, shape (N, P)
        image_size : tuple of int
            Height and width of the images.

        Returns
        -------
        Tensor, shape (N, C, *image_size)

        Raises
        ------
        InvalidInput
            If a transform has no inverse; thin plates have none here.
        """
        shape = [len(raw), 1, *image_size]
        undo = inverted(self.matrices(raw))
        grid = functional.affine_grid(undo, shape, self.config.align_corners)
        return self._sampled(seen, grid, "bilinear")

    def _displaced(self, raw: Tensor, weights: Tensor) -> Tensor:
        """Return the thin plate's displacement (N, P, 2) at the points of `weights` (P, K)."""
        if raw.ndim != 2 or raw.shape[1] != self.n_parameters:
            raise InvalidInput(
                f"The thin plate takes (N, {self.n_parameters}) parameters; got {tuple(raw.shape)}."
            )
        limits = self.config.limits
        moved = raw if limits is None else limits.shift * torch.tanh(raw)
        return weights.to(raw) @ moved.unflatten(1, (-1, 2))

    def _sampled(self, images: Tensor, grid: Tensor, mode: Mode) -> Tensor:
        sample = functools.partial(
            functional.grid_sample, mode=mode, align_corners=self.config.align_corners
        )
        if self.config.outside == "border":
            return sample(images, grid, padding_mode="border")
        if self.config.outside == 0:
            return sample(images, grid)
        return sample(images - self.config.outside, grid) + self.config.outside


def _lattice(size: tuple[int, int], align_corners: bool) -> Tensor:
    """Return the places (H, W, 2) of pixels, (x, y) in [−1, 1], float64."""
    same = torch.eye(2, 3, dtype=torch.float64)[None]
    return functional.affine_grid(same, [1, 1, *size], align_corners)[0]
