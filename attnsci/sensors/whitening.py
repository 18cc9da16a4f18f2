"""Whitening: natural images lose the correlations that distance explains, as in a retina.

Olshausen & Field 1997, "Sparse coding with an overcomplete basis set", Vision Research 37:3311.
A model of the power spectrum of natural images is divided out, up to a low-pass filter that
spares the highest frequencies, where there is only noise.
"""

import dataclasses

import torch
from torch import Tensor

from attnsci.checks import check_positive
from attnsci.errors import InvalidInput
from attnsci.sensors.centred import CentredSensor

DC = 1e-6
"""Frequency that stands for zero, in cycles per pixel, where a power of it is taken."""


def frequencies(size: int, half: bool = False) -> tuple[Tensor, Tensor, Tensor]:
    """Return row and column frequency and their radius on the grid of an FFT, in cycles/px.

    Parameters
    ----------
    size : int
        Side of the square image.
    half : bool
        Only the columns that `torch.fft.rfft2` returns.

    Returns
    -------
    rows, columns, radius : Tensor, shapes (size, 1), (1, K) and (size, K), float64
        The radius is `DC` at frequency zero.
    """
    along = torch.fft.rfftfreq if half else torch.fft.fftfreq
    rows = torch.fft.fftfreq(size, dtype=torch.float64)[:, None]
    columns = along(size, dtype=torch.float64)[None]
    radius = torch.hypot(rows, columns)
    radius[0, 0] = DC
    return rows, columns, radius


@dataclasses.dataclass(frozen=True)
class WhiteningConfig:
    """How images are whitened; the defaults are those of the What/Where model.

    Raises
    ------
    InvalidInput
        If a number is out of range.
    """

    size: int = 128
    """Side of the square image, in pixels."""
    power_exponent: float = 2.8
    """The power of natural images falls as frequency to this."""
    cutoff: float = 0.4
    """Where the low-pass filter is 1/e, in cycles per pixel."""
    steepness: float = 4.0
    """Exponent of the low-pass filter."""
    offset: float = 0.5
    """Added to the whitened image, whose mean is 0."""
    clipped: bool = True
    """Cut the result to [0, 1], as the published code does to the first of its looks."""

    def __post_init__(self) -> None:
        check_positive("size", self.size, integer=True)
        for name in ("power_exponent", "cutoff", "steepness"):
            check_positive(name, getattr(self, name))


class Whitening(CentredSensor):
    """Whitens square images about the fixation.

    Parameters
    ----------
    config : WhiteningConfig
    fill : float
        What is seen off the image.

    Attributes
    ----------
    gain : Tensor, shape (size, size // 2 + 1)
        What each frequency of `torch.fft.rfft2` is multiplied by; its mean over all frequencies
        is 1.

    Examples
    --------
    >>> images = torch.rand(4, 1, 64, 64, generator=torch.Generator().manual_seed(0))
    >>> white = Whitening(WhiteningConfig(size=64))(images)
    >>> white.shape, round(float(white.mean()), 2)
    (torch.Size([4, 1, 64, 64]), 0.5)
    """

    gain: Tensor

    def __init__(self, config: WhiteningConfig | None = None, fill: float = 0.5) -> None:
        config = config or WhiteningConfig()
        super().__init__(config.size, fill)
        self.config = config
        gain = whitening_gain(config)[:, : config.size // 2 + 1]
        self.register_buffer("gain", gain.float().contiguous(), persistent=False)

    def encode(self, images: Tensor) -> Tensor:
        """Return the whitened images (N, C, size, size)."""
        white = self._filtered(images, self.gain) + self.config.offset
        return white.clamp(0, 1) if self.config.clipped else white

    def inverse(self, white: Tensor, mean: float = 0.5) -> Tensor:
        """Return the images (N, C, size, size) whose whitening is `white`, with mean `mean`.

        The mean is lost in whitening, and what was clipped stays so.
        """
        if tuple(white.shape[-2:]) != (self.size, self.size):
            raise InvalidInput(
                f"Whitened images must be {self.size}×{self.size} pixels; got {tuple(white.shape)}."
            )
        undo = 1 / self.gain
        undo[0, 0] = 0
        return self._filtered(white, undo) + mean

    def _filtered(self, images: Tensor, gain: Tensor) -> Tensor:
        return torch.fft.irfft2(torch.fft.rfft2(images) * gain, s=(self.size, self.size))


def whitening_gain(config: WhiteningConfig) -> Tensor:
    """Return what each frequency is multiplied by, on the whole grid of an FFT.

    Returns
    -------
    Tensor, shape (size, size), float64
        Power^(-1/2) times the low-pass filter, divided by its mean.
    """
    _, _, radius = frequencies(config.size)
    low_pass = torch.exp(-((radius / config.cutoff) ** config.steepness))
    gain = radius ** (config.power_exponent / 2) * low_pass
    return gain / gain.mean()
