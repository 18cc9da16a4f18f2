"""Saliency in closed form: the spectral residual, and what a fixation would take off the blur.

All functions here and `attnsci.models.looking.itti_koch.itti_koch` take images (N, C, H, W) to
maps (N, H, W), 0 or more and in arbitrary units.
"""

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional

from attnsci.checks import check_positive, check_shape
from attnsci.models.looking.itti_koch import FLAT, gaussians, itti_koch, to_short_side
from attnsci.sensors.blur_energy import blur_loss_map
from attnsci.sensors.foveation import Fovea, blur

Saliency = Callable[[Tensor], Tensor]

ROUNDING = (1 / 255) / 12**0.5
"""Standard deviation of the error of a pixel stored in 8 bits."""


def spectral_residual(images: Tensor, *, short_side_px: int = 64, smooth_px: float = 2.5) -> Tensor:
    """Return saliency as the part of the spectrum that images in general would not have.

    The log amplitude spectrum of the grey image minus its local mean, with the phase, back in
    space, squared and smoothed (with nothing beyond the border). It finds what breaks a texture,
    at one scale only.

    Parameters
    ----------
    images : Tensor, shape (N, C, H, W), float in [0, 1]
        Channels are averaged.
    short_side_px : int
        The shorter side at which the image is worked on; 64 in the paper.
    smooth_px : float
        Standard deviation of the smoothing, at that size.

    Returns
    -------
    Tensor, shape (N, H, W)

    Raises
    ------
    InvalidInput
        If `images` has another number of axes, or a setting is not above 0.

    References
    ----------
    Hou & Zhang 2007, Saliency detection: a spectral residual approach, CVPR.

    Examples
    --------
    >>> stripes = (torch.arange(64) // 4 % 2).float().expand(1, 1, 64, 64).clone()
    >>> stripes[..., 20:32, 40:52] = stripes[..., 40:52, 20:32].mT
    >>> row, column = divmod(int(spectral_residual(stripes).argmax()), 64)
    >>> 18 < row < 34 and 38 < column < 54
    True
    """
    check_shape("images", images, ("N", "C", "H", "W"))
    check_positive("short_side_px", short_side_px, integer=True)
    check_positive("smooth_px", smooth_px)
    grey = to_short_side(images.mean(1, keepdim=True), short_side_px)
    spectrum = torch.fft.fft2(grey)
    # Amplitudes below the rounding error of an 8-bit image carry nothing; their logarithm would.
    floor = ROUNDING * (grey.shape[-1] * grey.shape[-2]) ** 0.5
    log_amplitude = spectrum.abs().clamp_min(floor).log()
    expected = functional.avg_pool2d(functional.pad(log_amplitude, (1, 1, 1, 1), "circular"), 3, 1)
    residual = torch.fft.ifft2(spectrum * torch.exp(-expected))
    rows, columns = gaussians(grey, smooth_px)
    # A blank image has no residual, and the smoothing would make a dome of its mean.
    blank = grey.amax((2, 3), keepdim=True) - grey.amin((2, 3), keepdim=True) < FLAT
    smooth = rows @ residual.abs().square().masked_fill(blank, 0) @ columns
    return functional.interpolate(smooth, images.shape[-2:], mode="bilinear")[:, 0]


def blur_energy(
    images: Tensor, *, fovea: Fovea | None = None, short_side_px: int | None = 224
) -> Tensor:
    """Return how much of the blur's squared error a first fixation would take away.

    The error of the wholly blurred image minus `blur_loss_map`, mean over pixels and channels:
    detail, weighted by the fovea. NeVA with the task of blur energy and the search "oracle"
    fixates its maximum first.

    Parameters
    ----------
    images : Tensor, shape (N, C, H, W), float in [0, 1]
    fovea : Fovea, optional
        How images are seen, in pixels at `short_side_px`; the published one if not given.
    short_side_px : int or None
        The shorter side at which the image is worked on, 224 in the paper; None: its own.

    Returns
    -------
    Tensor, shape (N, H, W)

    Raises
    ------
    InvalidInput
        If `images` has another number of axes, or is too small for the blur.

    References
    ----------
    Schwinn, Precup, Eskofier & Zanca 2022, TMLR, arXiv 2204.09093 (fovea and loss).

    Examples
    --------
    >>> image = torch.zeros(1, 1, 224, 224)
    >>> image[..., 50, 160] = 1
    >>> divmod(int(blur_energy(image).argmax()), 224)
    (50, 160)
    """
    check_shape("images", images, ("N", "C", "H", "W"))
    seen = fovea or Fovea()
    worked = images
    if short_side_px is not None:
        check_positive("short_side_px", short_side_px, integer=True)
        worked = to_short_side(images, short_side_px)
    residual = blur(worked, seen.blur_size, seen.blur_sigma_px) - worked
    nothing = residual.new_zeros(len(residual), 1, *residual.shape[-2:])
    loss = blur_loss_map(residual, nothing, seen.sigma_px, seen.amplitude)
    gain = residual.square().mean((1, 2, 3))[:, None, None] - loss
    # Where there is no detail, the difference of two sums may come out at −1e-12.
    return functional.interpolate(gain.clamp_min(0)[:, None], images.shape[-2:], mode="bilinear")[
        :, 0
    ]


SALIENCY: dict[str, Saliency] = {
    "itti-koch": itti_koch,
    "spectral residual": spectral_residual,
    "blur energy": blur_energy,
}
"""Every kind of saliency by name."""
