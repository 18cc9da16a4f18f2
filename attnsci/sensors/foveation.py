"""A foveated view: sharp round the fixation, blurred elsewhere, remembered for a while.

After NeVA (Schwinn et al. 2022, arXiv 2204.09093). The published code measures the fovea by s,
which it calls a standard deviation and which is 2σ² in half widths of the image: `sigma_px` here
is a true standard deviation, and `Fovea.from_reference` converts. Its positions are (row, column)
on a grid through the centres of the corner pixels; here they are (x, y) in pixels, pixel i
centred at i + 0.5, and images may be of any size, shape and number of channels.
"""

import copy
import dataclasses
import math
from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional

from attnsci.checks import check_fraction, check_option, check_positive
from attnsci.errors import InvalidInput

Memory = Literal["sum", "saturating"]


@dataclasses.dataclass(frozen=True)
class Fovea:
    """How an image is seen; the defaults are the paper's for images of 224 pixels.

    Raises
    ------
    InvalidInput
        If a setting is out of range.
    """

    sigma_px: float = 30.536
    """Standard deviation of the sharp region."""
    blur_sigma_px: float = 10.0
    """Standard deviation of the blur outside."""
    blur_size: int = 41
    """Side of the blur's kernel, odd."""
    retention: float = 0.1
    """Share of the memory that outlives a fixation; the paper's "forgetting" γ: 1 keeps all."""
    amplitude: float = 1.0
    """Height of a fixation's mask: 1 shows its centre quite sharp."""
    memory: Memory = "sum"
    """Add a fixation to what is kept (the paper), or keep the greater (never above 1)."""
    noise: float = 0.0
    """Standard deviation of noise under the blur; with it the blurred image is cut to [0, 1]."""

    def __post_init__(self) -> None:
        for name in ("sigma_px", "blur_sigma_px"):
            check_positive(name, getattr(self, name))
        check_positive("blur_size", self.blur_size, integer=True)
        if self.blur_size % 2 == 0:
            raise InvalidInput(
                f"blur_size must be odd, so that the kernel has a centre; got {self.blur_size}."
            )
        check_fraction("retention", self.retention)
        check_option("memory", self.memory, ("sum", "saturating"))
        if self.amplitude < 0 or self.noise < 0:
            raise InvalidInput("amplitude and noise must be 0 or more.")

    @classmethod
    def from_reference(cls, s: float, image_size: int, **settings: object) -> "Fovea":
        """Return the fovea of the published code's `foveation_sigma` at an image size.

        Examples
        --------
        >>> round(Fovea.from_reference(0.15, 224).sigma_px, 3)
        30.536
        """
        check_positive("s", s)
        return cls(sigma_px=math.sqrt(s / 2) * (image_size - 1) / 2, **settings)  # type: ignore[arg-type]


def blur(images: Tensor, size: int, sigma_px: float) -> Tensor:
    """Return images (N, C, H, W) under a Gaussian, mirrored at the border.

    Parameters
    ----------
    images : Tensor, shape (N, C, H, W)
    size : int
        Side of the kernel, odd; less than twice the image's sides.
    sigma_px : float

    Raises
    ------
    InvalidInput
        If the kernel is too large for the image.
    """
    half = size // 2
    if half >= min(images.shape[-2:]):
        raise InvalidInput(
            f"A blur kernel of {size} pixels needs images of more than {half}; they are "
            f"{images.shape[-2]}×{images.shape[-1]}. Give a smaller blur_size."
        )
    distance = torch.arange(size, dtype=images.dtype, device=images.device) - half
    weights = torch.exp(-(distance**2) / (2 * sigma_px**2))
    weights = weights / weights.sum()
    channels = images.shape[1]
    padded = functional.pad(images, (half, half, half, half), mode="reflect")
    down = weights.view(1, 1, -1, 1).expand(channels, 1, -1, 1)
    across = weights.view(1, 1, 1, -1).expand(channels, 1, 1, -1)
    return functional.conv2d(
        functional.conv2d(padded, down, groups=channels), across, groups=channels
    )


def mask(xy: Tensor, size: tuple[int, int], sigma_px: float, amplitude: float = 1.0) -> Tensor:
    """Return the Gaussian round each position.

    Parameters
    ----------
    xy : Tensor, shape (..., 2)
        x to the right and y down in continuous pixels.
    size : tuple of int
        Height and width of the image.
    sigma_px, amplitude : float

    Returns
    -------
    Tensor, shape (..., 1, H, W)

    Examples
    --------
    >>> float(mask(torch.tensor([2.5, 1.5]), (4, 6), 1.0)[0, 1, 2])
    1.0
    """
    height, width = size
    columns = torch.arange(width, dtype=xy.dtype, device=xy.device) + 0.5
    rows = torch.arange(height, dtype=xy.dtype, device=xy.device) + 0.5
    scale = 1 / (2 * sigma_px**2)
    across = torch.exp(-((columns - xy[..., :1]) ** 2) * scale)
    down = amplitude * torch.exp(-((rows - xy[..., 1:]) ** 2) * scale)
    return (down.unsqueeze(-1) * across.unsqueeze(-2)).unsqueeze(-3)


def shrunk(images: Tensor, side: int) -> Tensor:
    """Return images (N, C, H, W) with their shorter side at `side` pixels, antialiased."""
    height, width = images.shape[-2:]
    scale = side / min(height, width)
    size = (round(height * scale), round(width * scale))
    return functional.interpolate(images, size, mode="bilinear", antialias=True)


class FoveatedView:
    """Images as seen through a fovea.

    Parameters
    ----------
    images : Tensor, shape (N, C, H, W), float in [0, 1]
    fovea : Fovea
    generator : torch.Generator or a sequence of N of them, optional
        Of the noise; with one an image it does not depend on the other images.

    Attributes
    ----------
    residual : Tensor, shape (N, C, H, W)
        Blurred minus sharp image: what is added where nothing is seen sharply.
    """

    def __init__(
        self,
        images: Tensor,
        fovea: Fovea,
        generator: torch.Generator | Sequence[torch.Generator] | None = None,
    ) -> None:
        self.images, self.fovea = images, fovea
        if fovea.noise:
            if generator is None or isinstance(generator, torch.Generator):
                noise = torch.randn(images.shape, generator=generator).to(images)
            else:
                drawn = [torch.randn(images.shape[1:], generator=each) for each in generator]
                noise = torch.stack(drawn).to(images)
            self.residual = (
                blur(images + fovea.noise * noise, fovea.blur_size, fovea.blur_sigma_px).clamp(0, 1)
                - images
            )
        else:
            self.residual = blur(images, fovea.blur_size, fovea.blur_sigma_px) - images

    @property
    def size(self) -> tuple[int, int]:
        """Height and width."""
        return int(self.images.shape[-2]), int(self.images.shape[-1])

    def __getitem__(self, rows: slice | Tensor) -> "FoveatedView":
        """Return the view of some of the images."""
        part = copy.copy(self)
        part.images, part.residual = self.images[rows], self.residual[rows]
        return part

    def shrunk(self, side: int) -> "FoveatedView":
        """Return the view with the shorter side of its images at `side` pixels."""
        part = copy.copy(self)
        part.images, part.residual = shrunk(self.images, side), shrunk(self.residual, side)
        scale = side / min(self.size)
        part.fovea = dataclasses.replace(self.fovea, sigma_px=self.fovea.sigma_px * scale)
        return part

    def mask(self, xy: Tensor) -> Tensor:
        """Return the fovea's mask (..., 1, H, W) at positions (..., 2)."""
        return mask(xy, self.size, self.fovea.sigma_px, self.fovea.amplitude)

    def blank(self) -> Tensor:
        """Return the memory (N, 1, H, W) of one who has seen nothing."""
        return self.images.new_zeros(len(self.images), 1, *self.size)

    def keep(self, memory: Tensor) -> Tensor:
        """Return what is left of a memory when the next fixation begins."""
        return self.fovea.retention * memory

    def add(self, memory: Tensor, seen: Tensor) -> Tensor:
        """Return a memory with a fixation's mask in it."""
        if self.fovea.memory == "saturating":
            return torch.maximum(memory, seen)
        return memory + seen

    def perceive(self, memory: Tensor) -> Tensor:
        """Return the image seen (N, C, H, W): blurred as far as the memory leaves it.

        `memory` may be (N, K, 1, H, W), for K views of every image; so is what is returned.
        """
        hidden = (1 - memory).clamp(0, 1)
        if memory.ndim == 5:
            return torch.addcmul(self.images[:, None], self.residual[:, None], hidden)
        return torch.addcmul(self.images, self.residual, hidden)
