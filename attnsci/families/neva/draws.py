"""Random numbers of NeVA's searches: a stream an image, or one that a batch shares."""

import numpy as np
import torch
from torch import Tensor

from attnsci.provenance import stable_hash
from attnsci.seeds import numpy_generator, torch_generator

JITTER, NOISE = 1, 2
"""What an image's streams are for."""


def noise_generators(names: list[str], seed: int) -> list[torch.Generator]:
    """Return the generator of every image's noise."""
    return [torch_generator(seed, _stream(name), NOISE) for name in names]


def _stream(name: str) -> int:
    return int(stable_hash(name), 16) % 2**31


class Streams:
    """One random stream an image, whose numbers do not depend on its neighbours."""

    def __init__(self, names: list[str], seed: int, like: Tensor) -> None:
        self._like = like
        self._generators = [numpy_generator(seed, _stream(name), JITTER) for name in names]

    def uniform(self, images: Tensor) -> Tensor:
        """Return numbers (N, 2); every stream moves on at every call."""
        drawn = np.stack([generator.random(2) for generator in self._generators])
        return torch.as_tensor(drawn, dtype=self._like.dtype, device=self._like.device)


class Shared:
    """The published code's numbers: one stream for a batch, drawn for those that need some."""

    def __init__(self, seed: int, like: Tensor) -> None:
        self._like = like
        self._generator = torch.Generator().manual_seed(seed)

    def uniform(self, images: Tensor) -> Tensor:
        """Return numbers (N, 2), as (column, row); zero where none is needed."""
        out = torch.zeros(len(images), 2)
        needed = images.cpu()
        if needed.any():
            # The published positions are (row, column).
            drawn = torch.rand(int(needed.sum()), 2, 1, 1, generator=self._generator)
            out[needed] = drawn[:, :, 0, 0].flip(1)
        return out.to(self._like)
