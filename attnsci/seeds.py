"""Seeds: everything random comes from one integer, split by what it is used for."""

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import torch


def numpy_generator(seed: int, *stream: int) -> np.random.Generator:
    """Return a NumPy generator for the stream (`seed`, ``*stream``).

    Parameters
    ----------
    seed : int
        The user's seed.
    *stream : int
        What the numbers are for: an epoch, the index of a batch, a rank. Without it the
        generator is ``numpy.random.default_rng(seed)``. NumPy does not tell trailing zeros
        apart: (5,), (5, 0) and (5, 0, 0) are one stream, so purposes are best counted from 1.

    Returns
    -------
    numpy.random.Generator
        Independent of every other stream of the same seed, trailing zeros aside.

    Examples
    --------
    >>> int(numpy_generator(0).integers(100)) == int(np.random.default_rng(0).integers(100))
    True
    """
    return np.random.default_rng([seed, *stream] if stream else seed)


def torch_seed(seed: int, *stream: int) -> int:
    """Return a 63-bit seed for the stream (`seed`, ``*stream``), fit for `torch.manual_seed`."""
    return int(np.random.SeedSequence([seed, *stream]).generate_state(1, np.uint64)[0] >> 1)


def torch_generator(seed: int, *stream: int, device: str = "cpu") -> "torch.Generator":
    """Return a torch generator on `device` for the stream (`seed`, ``*stream``)."""
    import torch

    return torch.Generator(device=device).manual_seed(torch_seed(seed, *stream))
