"""Sensors fixed to the centre of gaze: the image is moved under the eye, then encoded.

Every sensor of this kind sees the first and the last fixation of a scanpath alike: the window
about the fixation is cut, what lies off the image is grey, and the same encoding follows.
"""

import abc

import torch
from torch import Tensor, nn

from attnsci.checks import check_positive
from attnsci.errors import InvalidInput


def window(images: Tensor, fixation: Tensor, size: int, fill: float = 0.5) -> Tensor:
    """Return the square of `size` pixels about a fixation in each image.

    At whole pixels the values are those of the image, exactly; between them they are
    interpolated linearly, and differentiable in the fixation.

    Parameters
    ----------
    images : Tensor, shape (N, C, H, W), float
    fixation : Tensor, shape (N, 2)
        Centre of the square, (x, y) in continuous pixels: (W / 2, H / 2) is the image's centre.
    size : int
        Side of the square, in pixels.
    fill : float
        What is seen off the image.

    Returns
    -------
    Tensor, shape (N, C, size, size)

    Raises
    ------
    InvalidInput
        If a shape differs, or a fixation is NaN or infinite.

    Examples
    --------
    >>> image = torch.arange(16.0).view(1, 1, 4, 4)
    >>> window(image, torch.tensor([[3.0, 1.0]]), 2).tolist()
    [[[[2.0, 3.0], [6.0, 7.0]]]]
    >>> window(image, torch.tensor([[4.0, 1.5]]), 2).tolist()
    [[[[5.0, 0.5], [9.0, 0.5]]]]
    """
    _check_images(images)
    check_positive("size", size, integer=True)
    if tuple(fixation.shape) != (len(images), 2):
        raise InvalidInput(
            f"fixation must have shape ({len(images)}, 2); got {tuple(fixation.shape)}."
        )
    if not fixation.isfinite().all():
        raise InvalidInput("fixation holds values that are NaN or infinite; clip or drop them.")
    first = fixation.to(images.dtype) - size / 2
    rows = _cut(images, -2, first[:, 1], size, fill)
    return _cut(rows, -1, first[:, 0], size, fill)


def _cut(images: Tensor, axis: int, start: Tensor, size: int, fill: float) -> Tensor:
    """Return `size` entries along `axis` from `start` (N,) on, `fill` where there are none."""
    whole = start.detach().floor()
    part = (start - whole).view(-1, 1, 1, 1)
    first = _gather(images, axis, whole.long(), size, fill)
    if not start.requires_grad and not part.any():
        return first
    return torch.lerp(first, _gather(images, axis, whole.long() + 1, size, fill), part)


def _gather(images: Tensor, axis: int, start: Tensor, size: int, fill: float) -> Tensor:
    length = images.shape[axis]
    at = start[:, None] + torch.arange(size, device=images.device)
    inside = (at >= 0) & (at < length)
    shape = (-1, 1, size, 1) if axis == -2 else (-1, 1, 1, size)
    wanted = list(images.shape)
    wanted[axis] = size
    index = at.clamp(0, length - 1).view(shape).expand(wanted)
    return images.gather(axis, index).masked_fill(~inside.view(shape), fill)


def middle(images: Tensor, size: int) -> Tensor:
    """Return the square of `size` pixels in the middle of each image; a view.

    Parameters
    ----------
    images : Tensor, shape (N, C, H, W)
        H − size and W − size even and 0 or more.
    size : int
        Side of the square, in pixels.

    Raises
    ------
    InvalidInput
        If the square does not fit, or its edges would cut pixels.

    Examples
    --------
    >>> middle(torch.arange(16.0).view(1, 1, 4, 4), 2).tolist()
    [[[[5.0, 6.0], [9.0, 10.0]]]]
    """
    rest = [side - size for side in images.shape[-2:]]
    if any(left < 0 or left % 2 for left in rest):
        raise InvalidInput(
            f"A square of {size} pixels is not in the middle of whole pixels of images of "
            f"{images.shape[-2]}×{images.shape[-1]}."
        )
    top, left = rest[0] // 2, rest[1] // 2
    return images[..., top : top + size, left : left + size]


def fixation_at(offset: Tensor, size: tuple[int, int]) -> Tensor:
    """Return the fixations (..., 2), (x, y) in continuous pixels, of offsets from the centre.

    Parameters
    ----------
    offset : Tensor, shape (..., 2)
        (row, column) from the image's centre, in pixels, positive down and right.
    size : tuple of int
        Height and width of the image.

    Examples
    --------
    >>> fixation_at(torch.tensor([3.0, -10.0]), (128, 128)).tolist()
    [54.0, 67.0]
    """
    height, width = size
    row, column = offset.unbind(-1)
    return torch.stack([column + width / 2, row + height / 2], -1)


def _check_images(images: Tensor) -> None:
    if images.ndim != 4 or not images.is_floating_point():
        raise InvalidInput(
            f"images must be floats (N, C, H, W); got {images.dtype} {tuple(images.shape)}."
        )


class CentredSensor(nn.Module, abc.ABC):
    """A sensor whose pixels or filters lie about the centre of a square window.

    Parameters
    ----------
    size : int
        Side of the window, in pixels.
    fill : float
        What is seen off the image.
    """

    n_channels: int | None = None
    """How many channels the sensor takes; None: any number."""

    def __init__(self, size: int, fill: float = 0.5) -> None:
        super().__init__()
        check_positive("size", size, integer=True)
        self.size, self.fill = size, fill

    def forward(self, images: Tensor, fixation: Tensor | None = None) -> Tensor:
        """Return what is seen from a fixation.

        Parameters
        ----------
        images : Tensor, shape (N, C, H, W), float in [0, 1]
            Any height and width if there is a fixation, else (size, size).
        fixation : Tensor, shape (N, 2), optional
            (x, y) in continuous pixels; the image's centre by default.

        Returns
        -------
        Tensor
            Features; their shape is the sensor's.

        Raises
        ------
        InvalidInput
            If a shape does not fit.
        """
        _check_images(images)
        if self.n_channels is not None and images.shape[1] != self.n_channels:
            raise InvalidInput(
                f"{type(self).__name__} takes images with {self.n_channels} channel(s); "
                f"got {images.shape[1]}. Give their luminance, or move channels into the batch."
            )
        if fixation is not None:
            images = window(images, fixation, self.size, self.fill)
        elif tuple(images.shape[-2:]) != (self.size, self.size):
            raise InvalidInput(
                f"Without a fixation images must be {self.size}×{self.size} pixels; got "
                f"{images.shape[-2]}×{images.shape[-1]}. Give one, or crop the images."
            )
        return self.encode(images)

    @abc.abstractmethod
    def encode(self, images: Tensor) -> Tensor:
        """Return the features of windows (N, C, size, size)."""


class Crop(CentredSensor):
    """The window itself: what a fovea of `size` pixels sees.

    See `CentredSensor` for parameters.

    Examples
    --------
    >>> images = torch.rand(5, 1, 128, 128)
    >>> seen = Crop(28)(images, torch.full((5, 2), 64.0))
    >>> bool((seen == images[..., 50:78, 50:78]).all())
    True
    """

    def encode(self, images: Tensor) -> Tensor:
        """Return the windows as they are."""
        return images
