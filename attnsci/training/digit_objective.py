"""What objectives on digits share: the split, fresh scenes each epoch, shares, validation."""

import abc
from typing import Any, ClassVar, NamedTuple

import numpy as np

from attnsci.data.digits import Digits
from attnsci.seeds import numpy_generator
from attnsci.training.digit_split import split_digits
from attnsci.training.objective import GradientObjective
from attnsci.training.trainer import Metrics, check_shares

SPLIT, EPOCH, ORDER, VALIDATION, WEIGHTS, DRAWS, LOOKS = range(1, 8)
"""Streams of a recipe's seed, in which epochs, batches and processes are counted from 1."""


class Batch(NamedTuple):
    """Stimuli, their place in training, and the place as it is counted in streams of the seed."""

    stimuli: Any
    step: int
    place: tuple[int, int, int]


class DigitObjective(GradientObjective):
    """Learns from scenes of digits; a family says which network, which scenes, which losses.

    Parameters
    ----------
    config : frozen dataclass
        The recipe; ``source``, ``validation_fraction`` and ``validation_scenes`` among it.
    digits : Digits, optional
        Training digits in place of ``config.source``; a part becomes the validation set.

    Raises
    ------
    InvalidInput
        If the digits do not fill a batch and a validation set.
    """

    weights_stream = WEIGHTS
    first_stream: ClassVar[int] = SPLIT
    """Stream of the split, after which the others are counted; epochs are counted from it."""

    def __init__(self, config: Any, digits: Digits | None = None) -> None:
        self.config = config
        self.training, self.validation = split_digits(
            config.source, config.validation_fraction, config.batch_size,
            (config.seed, self._stream(SPLIT)), digits,
        )  # fmt: skip
        self.model = self.build(self.network, config.model)
        self._epoch = -1

    def _stream(self, name: int) -> int:
        return name - SPLIT + self.first_stream

    @abc.abstractmethod
    def scenes(self, digits: Digits, seed: tuple[int, ...]) -> Any:
        """Return the scenes of digits, by index, one a digit."""

    @abc.abstractmethod
    def evaluate(self, model: Any, scenes: Any) -> Metrics:
        """Return metrics on scenes of digits kept apart."""

    def n_batches(self, epoch: int) -> int:
        """Return the number of whole batches; the digits left over change every epoch."""
        return len(self.training) // self.config.batch_size

    def batch(self, epoch: int, index: int, rank: int, world_size: int) -> Batch:
        """Return this process's share of a batch: fresh scenes each epoch."""
        size, seed = self.config.batch_size, self.config.seed
        check_shares(size, world_size)
        number = epoch + self.first_stream
        if epoch != self._epoch:
            self._scenes = self.scenes(self.training, (seed, self._stream(EPOCH), number))
            order = numpy_generator(seed, self._stream(ORDER), number)
            self._order, self._epoch = order.permutation(len(self.training)), epoch
        share = size // world_size
        start = index * size + rank * share
        return Batch(
            self._scenes[self._order[start : start + share]],
            epoch * self.n_batches(epoch) + index,
            (epoch + 1, index + 1, rank + 1),
        )

    def validate(self, model: Any) -> Metrics:
        """Return metrics on scenes of digits kept apart, the same at each validation."""
        seed = (self.config.seed, self._stream(VALIDATION))
        return self.evaluate(model.module, self.scenes(self.validation, seed))

    def provenance(self) -> dict[str, Any]:
        """Return what the weights and a resumed run must agree on."""
        return {
            **super().provenance(),
            "data": self.training.provenance(),
            "validation_data": self.validation.provenance(),
        }


def spread_over(digits: Digits, n: int) -> np.ndarray:
    """Return `n` rows of digits, or all, spread evenly from first to last."""
    n = min(n, len(digits))
    return np.linspace(0, len(digits) - 1, n).round().astype(int)
