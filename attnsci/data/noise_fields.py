"""Band-pass noise of the noisy-digit studies: single frames of a Motion Cloud.

Two ways to the same statistics: `recipe_fields`, the exact steps of the published code from one
seed a field, and `random_fields`, half the spectrum of all fields of a batch at once. Fields are
periodic, so that a field of a pool, rolled by any number of pixels (`rolled_fields`), is as good
as new.

Sources: Leon, Vanzetta, Masson & Perrinet 2012, "Motion clouds", J. Neurophysiol. 107:3217;
Daucé, Albiges & Perrinet 2020, Journal of Vision 20(8):22.
"""

import functools
from collections.abc import Iterable
from typing import Literal, get_args

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from attnsci.checks import check_option, check_positive
from attnsci.data.counters import coarse_normals
from attnsci.errors import InvalidInput

Norm = Literal["peak", "rms"]
RMS = 0.125
"""Standard deviation of fields of norm "rms": that of published fields of 128 pixels."""

_SEEDS = 1 << 32


@functools.lru_cache(maxsize=16)
def envelope(size: int, sf0: float = 0.1, b_sf: float = 0.1) -> npt.NDArray[np.float64]:
    """Return the amplitude of every spatial frequency.

    Parameters
    ----------
    size : int
        Side of the field, in pixels.
    sf0, b_sf : float
        Central frequency and bandwidth, in cycles per pixel: log-normal around `sf0` with the
        standard deviation ln((sf0 + b_sf) / sf0), over the frequency.

    Returns
    -------
    ndarray of float64, shape (size, size), read-only
        In the order of `numpy.fft.fft2`; 0 at frequency 0.

    Raises
    ------
    InvalidInput
        If an argument is not above 0.

    Examples
    --------
    >>> amplitude = envelope(100)
    >>> amplitude[0, 0], amplitude[10, 0].round(9), amplitude[0, 20].round(9)
    (np.float64(0.0), np.float64(10.0), np.float64(3.032653299))
    """
    check_positive("size", size, integer=True)
    check_positive("sf0", sf0)
    check_positive("b_sf", b_sf)
    line = (np.arange(size) - size // 2) / size
    frequency = np.sqrt(line[:, None] ** 2 + line**2)
    zero = (size // 2, size // 2)
    frequency[zero] = np.inf
    spread = np.log((sf0 + b_sf) / sf0)
    centred = np.zeros((size, size))
    known = np.isfinite(frequency)
    octaves = np.log(frequency[known] / sf0)
    centred[known] = np.exp(-0.5 * octaves**2 / spread**2) / frequency[known]
    amplitude = np.fft.ifftshift(centred)
    amplitude.flags.writeable = False  # the cache hands out one array to all callers
    return amplitude


def recipe_fields(
    seeds: Iterable[int], size: int, sf0: float = 0.1, b_sf: float = 0.1
) -> npt.NDArray[np.float64]:
    """Return the fields that the published code makes of `seeds`, to the last bits.

    Parameters
    ----------
    seeds : iterable of int
        One a field, from 0 to 2³² − 1: of NumPy's legacy generator.
    size : int
        Side of the fields, in pixels.
    sf0, b_sf : float
        See `envelope`.

    Returns
    -------
    ndarray of float64, shape (N, size, size)
        Within [0, 1], mean 0.5; the greatest deviation of each is 0.5.

    Raises
    ------
    InvalidInput
        If a seed is out of range, or an argument not above 0.

    Examples
    --------
    >>> field = recipe_fields([42], 28)[0]
    >>> float(np.abs(field - 0.5).max()), float(field.mean().round(12))
    (0.5, 0.5)
    """
    amplitude = envelope(size, sf0, b_sf)
    numbers = [int(seed) for seed in seeds]
    wrong = [seed for seed in numbers if not 0 <= seed < _SEEDS]
    if wrong:
        raise InvalidInput(f"seeds must lie between 0 and 2³² − 1; got {wrong[0]}.")
    phase, gain = np.empty((2, len(numbers), size, size))
    stream = np.random.RandomState(0)
    for row, seed in enumerate(numbers):
        stream.seed(seed)
        phase[row] = stream.random_sample((size, size))
        gain[row] = stream.standard_normal((size, size))
    phase *= 2 * np.pi
    # Drawn for the centred grid.
    spectrum = np.fft.ifftshift(np.exp(1j * phase) * gain, axes=(1, 2)) * amplitude
    fields = np.fft.ifft2(spectrum).real
    fields -= fields.mean((1, 2), keepdims=True)
    return 0.5 * fields / np.abs(fields).max((1, 2), keepdims=True) + 0.5


def random_fields(
    keys: Tensor, size: int, sf0: float = 0.1, b_sf: float = 0.1, *, norm: Norm = "peak"
) -> Tensor:
    """Return a new field for each key, as deviations from mid-grey.

    Parameters
    ----------
    keys : Tensor of int64, shape (N,)
        From `attnsci.data.counters`; the same key gives the same field in any batch. Fields are
        made on its device.
    size : int
        Side of the fields, in pixels, an even number.
    sf0, b_sf : float
        See `envelope`.
    norm : {"peak", "rms"}
        What is the same for all fields: the greatest deviation, 0.5 (as published; the standard
        deviation is then 0.33 / 2 at 28 and 0.25 / 2 at 128 pixels), or the standard deviation,
        0.125 at every size.

    Returns
    -------
    Tensor of float32, shape (N, size, size)
        Mean 0.

    Raises
    ------
    InvalidInput
        If `size` is odd, an argument not above 0, or `norm` another.

    Examples
    --------
    >>> fields = random_fields(torch.arange(3), 28)
    >>> fields.shape, fields.abs().amax((1, 2)).tolist()
    (torch.Size([3, 28, 28]), [0.5, 0.5, 0.5])
    """
    check_option("norm", norm, get_args(Norm))
    half = _half_envelope(size, sf0, b_sf, keys.device)
    normals = coarse_normals(keys, 2 * half.numel()).view(-1, *half.shape, 2)
    spectrum = torch.view_as_complex(normals.mul_(half[..., None]))
    # Two columns are their own mirror image. FFT libraries differ in what they make of values
    # that are not; √½ keeps the power.
    own = spectrum[:, :, :: size // 2]
    mirrored = own.flip(1).roll(1, 1).conj()
    own.copy_((own + mirrored).mul_(0.5**0.5))
    fields = torch.fft.irfft2(spectrum, s=(size, size))
    if norm == "rms":
        scale = RMS / fields.square().mean((1, 2), keepdim=True).sqrt_()
        return fields.mul_(scale)
    flat = fields.flatten(1)
    # Two passes: torch's one-pass aminmax is forty times slower.
    peak = torch.maximum(flat.amax(1), -flat.amin(1))
    return fields.mul_(0.5).div_(peak[:, None, None])


def rolled_fields(pool: Tensor, which: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
    """Return fields of a pool, each rolled down and to the right around the edges.

    Parameters
    ----------
    pool : Tensor, shape (P, size, 2 · size − 1)
        From `unrolled`.
    which, rows, columns : Tensor of int64, shape (N,)
        Field of the pool, and by how many pixels it is rolled, 0 to size − 1.

    Returns
    -------
    Tensor, shape (N, size, size)

    Examples
    --------
    >>> fields = random_fields(torch.arange(2), 28)
    >>> one, three, four = torch.tensor([[1], [3], [4]])
    >>> rolled = rolled_fields(unrolled(fields), one, three, four)
    >>> torch.equal(rolled[0], fields[1].roll((3, 4), (0, 1)))
    True
    """
    size = pool.shape[1]
    lines = (torch.arange(size, device=pool.device) - rows[:, None]) % size
    return pool.unfold(2, size, 1)[which[:, None], lines, ((-columns) % size)[:, None]]


def unrolled(fields: Tensor) -> Tensor:
    """Return fields (P, size, size) laid twice side by side, so that every roll is a slice."""
    return torch.cat([fields, fields[..., :-1]], 2)


@functools.lru_cache(maxsize=16)
def _half_envelope(size: int, sf0: float, b_sf: float, device: torch.device) -> Tensor:
    if size % 2:
        raise InvalidInput(f"size must be an even number; got {size}.")
    half = np.ascontiguousarray(envelope(size, sf0, b_sf)[:, : size // 2 + 1])
    return torch.from_numpy(half).float().to(device)
