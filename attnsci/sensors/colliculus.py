"""The collicular map: where the eye may go, and how good it would be to have gone there.

Daucé, Albiges & Perrinet 2020, "A dual foveal-peripheral visual processing model implements
efficient saccade selection", Journal of Vision 20(8):22. Its cells are the places of the
log-polar retina; a cell's kernel is the energy of the filters there. Offsets are (row, column)
from the centre of the visual field, in pixels, positive down and right.
"""

import functools
from typing import Literal

import numpy as np
import torch
from torch import Tensor, nn

from attnsci.checks import check_finite, check_fraction, check_option, check_shape
from attnsci.errors import InvalidInput
from attnsci.sensors.linear_inverse import LinearInverse
from attnsci.sensors.log_polar_retina import LogPolarConfig, load_log_polar_quadrant
from attnsci.sensors.quarter_turns import turned_filters

Target = Literal["peak", "ring", "centroid"]

TIE = 1e-9
"""Relative difference below which two pixels of a kernel are equal maxima."""


class Colliculus(nn.Module):
    """Log-polar cells that read a map of the visual field.

    Parameters
    ----------
    config : LogPolarConfig
        Of the retina that the cells belong to.

    Attributes
    ----------
    kernels : Tensor, shape (n_azimuth · n_ecc, size²), float32
        One a cell, in the order (azimuth, eccentricity); each sums to 1.

    Examples
    --------
    >>> cells = Colliculus(LogPolarConfig(size=32, n_azimuth=8, n_ecc=4))
    >>> activity = cells(torch.ones(2, 1, 32, 32))
    >>> activity.shape, cells.inverse(activity).shape
    (torch.Size([2, 32]), torch.Size([2, 1, 32, 32]))
    """

    kernels: Tensor
    peak: Tensor
    ring: Tensor
    centroid: Tensor

    def __init__(self, config: LogPolarConfig | None = None) -> None:
        super().__init__()
        self.config = config or LogPolarConfig()
        self.size = self.config.size
        kernels = collicular_kernels(self.config)
        self.register_buffer("kernels", kernels.float(), persistent=False)
        self.register_buffer("peak", _peaks(kernels, self.size), persistent=False)
        rings = self.config.centres.flatten(0, 1)
        self.register_buffer("ring", rings.float(), persistent=False)
        along = torch.arange(self.size, dtype=torch.float64) - self.size // 2
        places = torch.cartesian_prod(along, along)
        self.register_buffer("centroid", (kernels @ places).float(), persistent=False)

    def forward(self, maps: Tensor) -> Tensor:
        """Return the cells' activity (N, cells) for maps (N, 1, size, size)."""
        if tuple(maps.shape[1:]) != (1, self.size, self.size):
            raise InvalidInput(
                f"maps must have shape (N, 1, {self.size}, {self.size}); got {tuple(maps.shape)}."
            )
        return maps.flatten(1) @ self.kernels.T

    def inverse(self, activity: Tensor) -> Tensor:
        """Return the maps (N, 1, size, size) of least squares that excite the cells so."""
        return self._decoder(activity).unflatten(1, (1, self.size, self.size))

    @functools.cached_property
    def _decoder(self) -> LinearInverse:
        # Independent kernels: the ridge need only cover rounding.
        return LinearInverse(self.kernels, ridge=1e-12)

    def targets(self, kind: Target = "peak") -> Tensor:
        """Return the offset at which a saccade to each cell lands, (cells, 2), float32.

        Parameters
        ----------
        kind : {"peak", "ring", "centroid"}
            The kernel's largest pixel, as published, the first in reading order where several
            are equal; the place at which its filters are centred; the kernel's centre of mass.
        """
        check_option("kind", kind, ("peak", "ring", "centroid"))
        return getattr(self, kind)


def collicular_kernels(config: LogPolarConfig) -> Tensor:
    """Return the kernels in double precision: (n_azimuth · n_ecc, size²), each of sum 1."""
    quadrant = torch.from_numpy(load_log_polar_quadrant(config, "energy")["energy"])
    return turned_filters(quadrant.flatten(0, 1)).flatten(0, 1)


def _peaks(kernels: Tensor, size: int) -> Tensor:
    highest = kernels >= (1 - TIE) * kernels.amax(1, keepdim=True)
    first = torch.from_numpy(np.argmax(highest.numpy(), 1))
    return (torch.stack([first // size, first % size], 1) - size // 2).float()


def target_table(
    kernels: Tensor, accuracy: Tensor, *, floor: float = 0.1, reflected: bool = True
) -> Tensor:
    """Return what the cells should say for a digit at each whole offset, by one correlation.

    The accuracy of the foveal classifier, as a function of where the digit lies from the centre
    of gaze, becomes a map of the accuracy after a saccade to each place. Outside that map the
    accuracy is `floor`, also where it leaves the visual field.

    Parameters
    ----------
    kernels : Tensor, shape (cells, size²), float
        Each of sum 1.
    accuracy : Tensor, shape (2 m + 1, 2 m + 1), float
        Accuracy for a digit at offset (i − m, j − m).
    floor : float
        Accuracy by chance; less is raised to it.
    reflected : bool
        From the eye at u, a digit at p lies at p − u: the accuracy of landing at u is that of
        p − u. False shifts the map without reflecting it, as the published code does, which
        differs where the map is not symmetric.

    Returns
    -------
    Tensor, shape (size + 1, size + 1, cells), float64
        Target of a digit at offset (i − size / 2, j − size / 2).

    Raises
    ------
    InvalidInput
        If a shape does not fit.

    Examples
    --------
    >>> accuracy = torch.tensor([[0, 0, 0], [0, 1, 0.5], [0, 0, 0.0]])
    >>> field = target_table(torch.eye(64), accuracy)[4 + 2, 4 - 1].view(8, 8)
    >>> [round(float(field[4 + 2, 4 + j]), 3) for j in (-2, -1, 0)]
    [0.5, 1.0, 0.1]
    """
    check_fraction("floor", floor)
    check_shape("kernels", kernels, ("cells", "size²"))
    if accuracy.ndim != 2 or accuracy.shape[0] != accuracy.shape[1] or len(accuracy) % 2 == 0:
        raise InvalidInput(
            "accuracy must be a square with an odd side, so that it has a centre; got shape "
            f"{tuple(accuracy.shape)}."
        )
    check_finite("accuracy", accuracy.detach().cpu())
    gain = accuracy.double().clamp(min=floor) - floor
    if reflected:
        gain = gain.flip(0, 1)
    size = round(kernels.shape[1] ** 0.5)
    return floor + _correlate(kernels.double().view(-1, size, size), gain).permute(1, 2, 0)


class TargetTable(nn.Module):
    """Targets of the cells, looked up.

    Parameters
    ----------
    colliculus : Colliculus
    accuracy, floor, reflected
        See `target_table`.

    Attributes
    ----------
    table : Tensor, shape (size + 1, size + 1, cells), float32

    Examples
    --------
    >>> cells = Colliculus(LogPolarConfig(size=32, n_azimuth=8, n_ecc=4))
    >>> table = TargetTable(cells, torch.full((5, 5), 0.9))
    >>> table(torch.tensor([[-3, 7], [0, 0], [16, 16]])).shape
    torch.Size([3, 32])
    """

    table: Tensor

    def __init__(
        self,
        colliculus: Colliculus,
        accuracy: Tensor,
        *,
        floor: float = 0.1,
        reflected: bool = True,
    ) -> None:
        super().__init__()
        self.size = colliculus.size
        table = target_table(colliculus.kernels, accuracy, floor=floor, reflected=reflected)
        self.register_buffer("table", table.float().contiguous(), persistent=False)

    def forward(self, offset: Tensor) -> Tensor:
        """Return the targets (N, cells) of digits at offsets (N, 2), whole pixels.

        Raises
        ------
        InvalidInput
            If an offset is no integer or beyond size / 2.
        """
        half = self.size // 2
        if offset.is_floating_point() or offset.ndim != 2 or offset.shape[1] != 2:
            raise InvalidInput(
                f"offset must be integers (N, 2); got {offset.dtype} {tuple(offset.shape)}."
            )
        if (offset.abs() > half).any():
            raise InvalidInput(
                f"offset must be within {half} pixels; got {int(offset.abs().max())}."
            )
        row, column = (offset.long() + half).unbind(1)
        return self.table[row, column]


def _correlate(kernels: Tensor, gain: Tensor) -> Tensor:
    """Return Σ over u of kernel(centre + p + u) gain(u) for p within half the kernels' side."""
    size, reach = kernels.shape[-1], gain.shape[-1] // 2
    # Long enough for the map to leave the field on one side without entering on the other.
    length = size + 2 * reach
    shape = (length, length)
    spectrum = torch.fft.rfft2(kernels, s=shape) * torch.fft.rfft2(gain, s=shape).conj()
    correlation = torch.fft.irfft2(spectrum, s=shape)
    start = (torch.arange(size + 1, device=gain.device) - reach) % length
    return correlation[:, start][:, :, start]
