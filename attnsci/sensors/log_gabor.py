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
BATCH = 2**17
"""Pixels of the filters that are made at a time: about as many as a core keeps at hand."""


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
    along_rows, along_columns = torch.cos(angle), torch.sin(angle)
    octaves, band = torch.log(radius), _band(radius, size)
    turn = -2j * math.pi
    filters = torch.empty(len(centre), n_phases, size, size, dtype=torch.float64)
    step = max(BATCH // size**2, 1)
    for some in (slice(first, first + step) for first in range(0, len(centre), step)):
        exponent = torch.cos(orientation[some])[:, None, None] * along_rows
        exponent += torch.sin(orientation[some])[:, None, None] * along_columns
        exponent.sub_(1).div_(b_theta**2)
        if math.isfinite(b_sf):
            distance = octaves - torch.log(sf_0[some])[:, None, None]
            exponent -= distance.div_(b_sf).square_().mul_(0.5)
        envelope = exponent.exp_().mul_(band)
        shift_down = torch.exp(turn * centre[some, 0, None] * rows.view(1, -1))
        shift_right = torch.exp(turn * centre[some, 1, None] * columns.view(1, -1))
        waves = torch.fft.ifft2(envelope * shift_down[:, :, None] * shift_right[:, None, :])
        # A phase of −π/2 turns the imaginary part into the real one.
        for phase, values in enumerate((waves.real, waves.imag)[:n_phases]):
            filters[some, phase] = values
        _normalise(filters[some])
    return filters


def _band(radius: Tensor, size: int) -> Tensor:
    """Return 1/f within the band that the pixels can carry."""
    nyquist = 0.5
    below = (1 - torch.exp((radius - nyquist) / (nyquist * EDGE))) * (radius < nyquist)
    above = 1 - torch.exp(-0.5 * (radius / (nyquist / size)) ** 2)
    return below * above / radius


def _normalise(filters: Tensor) -> None:
    """Subtract each filter's median and divide by its largest magnitude, in place."""
    values = filters.flatten(-2).numpy()
    middle = values.shape[-1] // 2
    # The lower half has the other of the two values in the middle: quicker than to ask for both.
    parted = np.partition(values, middle, axis=-1)
    values -= (parted[..., :middle].max(-1, keepdims=True) + parted[..., middle, None]) / 2
    values /= np.maximum(values.max(-1, keepdims=True), -values.min(-1, keepdims=True))
