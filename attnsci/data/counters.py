"""Random numbers that are found by their place, all of a batch at once, alike on every device.

The k-th number of a key is a hash of both (the finaliser of SplitMix64: Steele, Lea & Flood 2014,
"Fast splittable pseudorandom number generators"), so that nothing has to be drawn in order and no
stimulus depends on the batch that it stands in. PyTorch's own generators have no such form.
"""

import functools
from collections.abc import Sequence

import torch
from torch import Tensor

from attnsci.seeds import torch_seed

# Signed, as torch has no full arithmetic of unsigned 64-bit numbers; products wrap alike.
_STEP = 0x9E3779B97F4A7C15 - 2**64
_MULTIPLIERS = (0xBF58476D1CE4E5B9 - 2**64, 0x94D049BB133111EB - 2**64)
_SHIFTS = (30, 27, 31)
_LANES = 4
_LEVELS = 1 << 16


def scramble(numbers: Tensor) -> Tensor:
    """Replace every int64 of `numbers` by its hash, in place; no two have the same."""
    shifted = torch.empty_like(numbers)
    for shift, multiplier in zip(_SHIFTS, (*_MULTIPLIERS, None), strict=True):
        torch.bitwise_right_shift(numbers, shift, out=shifted)
        # The shift brings in copies of the sign; SplitMix64 wants zeros.
        shifted.bitwise_and_((1 << (64 - shift)) - 1)
        numbers.bitwise_xor_(shifted)
        if multiplier is not None:
            numbers.mul_(multiplier)
    return numbers


def stimulus_keys(seed: Sequence[int], stream: int, index: Tensor) -> Tensor:
    """Return a key for each stimulus of a set.

    Parameters
    ----------
    seed : sequence of int
        Names the set.
    stream : int
        What the set is for, from 1 up.
    index : Tensor of int64, shape (N,)
        Which stimuli.

    Returns
    -------
    Tensor of int64, shape (N,)

    Examples
    --------
    >>> keys = stimulus_keys((0,), 1, torch.arange(5))
    >>> torch.equal(keys[3:], stimulus_keys((0,), 1, torch.tensor([3, 4])))
    True
    """
    return scramble(scramble(index + _STEP).bitwise_xor_(torch_seed(*seed, stream)))


def derived_keys(keys: Tensor, purpose: int) -> Tensor:
    """Return another key for each of `keys`, (N,), by what its numbers are for, from 1 up."""
    return scramble(keys + purpose)


def _bits(keys: Tensor, n: int) -> Tensor:
    places = torch.arange(1, n + 1, device=keys.device).mul_(_STEP)
    return scramble(keys[:, None] + places)


def uniforms(keys: Tensor, n: int) -> Tensor:
    """Return `n` numbers for each key, uniform in (0, 1), never at an end.

    Parameters
    ----------
    keys : Tensor of int64, shape (N,)
    n : int

    Returns
    -------
    Tensor of float64, shape (N, n)
        Of 52 random bits each.
    """
    return ((_bits(keys, n) >> 12) & ((1 << 52) - 1)).double().add_(0.5).mul_(2.0**-52)


def coarse_normals(keys: Tensor, n: int) -> Tensor:
    """Return `n` normal numbers for each key, for sums of many: each one of 65,536 values.

    Parameters
    ----------
    keys : Tensor of int64, shape (N,)
    n : int

    Returns
    -------
    Tensor of float32, shape (N, n)
        Mean 0, variance 1, none beyond 4.3. What is a weighted sum of hundreds of them, such as a
        pixel of filtered noise, cannot be told from a sum of exact ones.

    Examples
    --------
    >>> values = coarse_normals(torch.arange(100), 1000)
    >>> round(abs(values.mean().item()), 2), round(values.std().item(), 2)
    (0.0, 1.0)
    """
    lanes = _bits(keys, -(-n // _LANES)).view(torch.int16)
    values = _quantiles(keys.device).index_select(0, lanes.int().bitwise_and_(_LEVELS - 1).view(-1))
    return values.view(len(keys), -1)[:, :n]


@functools.lru_cache(maxsize=8)
def _quantiles(device: torch.device) -> Tensor:
    middles = torch.arange(_LEVELS, dtype=torch.float64).add_(0.5).div_(_LEVELS)
    values = torch.special.ndtri(middles)
    return (values / values.square().mean().sqrt()).float().to(device)
