"""Which noise the published code shows with each image: its seed is a hash of the image.

The hash is Python's own of a tuple of floats (xxHash's rounds over the numbers' hashes), as 64-bit
CPython has computed it since 3.8. It has nothing to do with ``PYTHONHASHSEED``, which stirs hashes
of text alone. Only frozen scenes use it.
"""

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from attnsci.data.noisy_layout import SIDE
from attnsci.data.noisy_mixing import square
from attnsci.errors import InvalidInput

_SEEDS = 2**31 - 1
_KNOWN = (0.25, 0.75)
_KNOWN_HASH = 3614189958338794123


def reference_seed(image: npt.NDArray[np.float64], seed0: int = 0) -> int:
    """Return the seed of the noise that the published code adds to `image`.

    Parameters
    ----------
    image : ndarray of float64
        The digit at its place and contrast, without noise; every bit counts.
    seed0 : int
        Added to the hash.

    Returns
    -------
    int
        `seed0` + hash modulo 2³¹ − 1.

    Raises
    ------
    InvalidInput
        If this Python computes other hashes.

    Examples
    --------
    >>> reference_seed(np.zeros((28, 28)))
    1666254970
    """
    if hash(_KNOWN) != _KNOWN_HASH:
        raise InvalidInput(
            f"mode='frozen' needs the hashes of 64-bit CPython: that of {_KNOWN} must be "
            f"{_KNOWN_HASH}, and is {hash(_KNOWN)} here. Use mode='fresh'."
        )
    return seed0 + hash(tuple(image.ravel().tolist())) % _SEEDS


def reference_seeds(
    ink: Tensor, dy: Tensor, dx: Tensor, contrast: Tensor, size: int, seed0: int = 0
) -> list[int]:
    """Return `reference_seed` of every scene.

    Parameters
    ----------
    ink : Tensor of float64, shape (N, 28, 28)
        From `attnsci.data.noisy_mixing.inked`, on the CPU.
    dy, dx : Tensor of int64, shape (N,)
        Offsets down and to the right.
    contrast : Tensor of float64, shape (N,)
    size : int
        Side of the scenes; in large ones the ink's square is laid into an empty field.
    seed0 : int
        Added to every hash.

    Returns
    -------
    list of int
    """
    scenes = ink
    if size != SIDE:
        empty = torch.full_like(contrast, -1).mul_(contrast).div_(2).add_(0.5)
        empty.mul_(ink.amax((1, 2)) > 0)
        scenes = empty[:, None].repeat(1, size * size)
        scenes.scatter_(1, square(dy, dx, size), ink.flatten(1))
    return [reference_seed(scene, seed0) for scene in scenes.numpy()]
