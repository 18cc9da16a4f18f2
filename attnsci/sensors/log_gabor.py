"""Banks of log-Gabor filters, built in Fourier space, all at once and in double precision.

A log-Gabor filter passes a band of frequencies that is Gaussian on a logarithmic axis, and of
orientations round one (Field 1987, "Relations between the statistics of natural images and the
response properties of cortical cells", JOSA A 4:2379; Fischer et al. 2007, "Self-invertible 2D
log-Gabor wavelets", IJCV 75:231). Only one of the two opposite lobes is there, so the inverse
transform is complex: its real part is the even filter and its imaginary part the odd one, and
two phases cost one transform.
"""

import math

import numpy as np
import torch
from torch import Tensor

from attnsci.checks import check_option, check_positive
from attnsci.errors import InvalidInput
from attnsci.sensors.whitening import frequencies

EDGE = 0.07
"""Width of the smooth edge at the Nyquist frequency, in parts of it."""


def log_gabor_filters(
    size: int,
    centre: Tensor,
    orientation: Tensor,
    sf_0: Tensor,
    *,
    b_sf: float,
    b_theta: float,
    n_phases: int = 2,
) -> Tensor:
    """Return log-Gabor filters on a square of pixels.

    Parameters
    ----------
    size : int
        Side of the square, even.
    centre : Tensor, shape (F, 2)
        Row and column of each filter's centre, in pixels counted from the first pixel's centre.
    orientation : Tensor, shape (F,)
        Angle of the preferred frequency from the row axis to the column axis, in radians.
    sf_0 : Tensor, shape (F,)
        Preferred spatial frequency, in cycles per pixel.
    b_sf : float
        Bandwidth of frequency on the logarithmic axis; infinite: every frequency alike, but for
        the 1/f.
    b_theta : float
        Bandwidth of orientation, in radians.
    n_phases : {1, 2}
        Even filters, or even and odd ones.

    Returns
    -------
    Tensor, shape (F, n_phases, size, size), float64
        The median of each filter is 0 and its largest magnitude 1.

    Raises
    ------
    InvalidInput
        If an argument is out of range.

    Examples
    --------
    >>> filters = log_gabor_filters(
    ...     32, torch.tensor([[16.0, 16.0]]), torch.zeros(1), torch.tensor([0.1]),
    ...     b_sf=0.4, b_theta=0.26,
    ... )
    >>> filters.shape, round(float(filters[0, 0, 16, 16]), 3)
    (torch.Size([1, 2, 32, 32]), 1.0)
    """
    check_positive("size", size, integer=True)
    if size % 2:
        raise InvalidInput(f"size must be even, so that the bank has a centre; got {size}.")
    if not b_sf > 0:
        raise InvalidInput(f"b_sf must be above 0, or infinite; got {b_sf!r}.")
    check_positive("b_theta", b_theta)
    check_option("n_phases", n_phases, (1, 2))
    rows, columns, radius = frequencies(size)
    centre, orientation, sf_0 = centre.double(), orientation.double(), sf_0.double()

    # One exponential for the whole envelope; cos − 1 keeps it below 1.
    angle = torch.atan2(columns.expand_as(radius), rows.expand_as(radius))
    aligned = torch.cos(orientation)[:, None, None] * torch.cos(angle)
    aligned += torch.sin(orientation)[:, None, None] * torch.sin(angle)
    exponent = aligned.sub_(1).div_(b_theta**2)
    if math.isfinite(b_sf):
        octaves = torch.log(radius) - torch.log(sf_0)[:, None, None]
        exponent -= octaves.div_(b_sf).square_().mul_(0.5)
    envelope = exponent.exp_().mul_(_band(radius, size))

    turn = -2j * math.pi
    shift_down = torch.exp(turn * centre[:, 0, None] * rows.view(1, -1))
    shift_right = torch.exp(turn * centre[:, 1, None] * columns.view(1, -1))
    spectrum = envelope * shift_down[:, :, None] * shift_right[:, None, :]
    waves = torch.fft.ifft2(spectrum)
    # A phase of −π/2 turns the imaginary part into the real one.
    filters = torch.stack([waves.real, waves.imag][:n_phases], 1)
    return _normalised(filters)


def _band(radius: Tensor, size: int) -> Tensor:
    """Return 1/f within the band that the pixels can carry."""
    nyquist = 0.5
    below = (1 - torch.exp((radius - nyquist) / (nyquist * EDGE))) * (radius < nyquist)
    above = 1 - torch.exp(-0.5 * (radius / (nyquist / size)) ** 2)
    return below * above / radius


def _normalised(filters: Tensor) -> Tensor:
    """Subtract each filter's median and divide by its largest magnitude, in place."""
    values = filters.flatten(-2).numpy()
    middle = values.shape[-1] // 2
    halves = np.partition(values, (middle - 1, middle), axis=-1)[..., middle - 1 : middle + 1]
    filters -= torch.from_numpy(halves.mean(-1))[..., None, None]
    return filters.div_(filters.abs().amax((-2, -1), keepdim=True))
