"""Training in turns: noisy scenes of digits, every digit once a turn, epochs of any length."""

import abc
from typing import ClassVar

import numpy as np

from attnsci.data.digits import Digits
from attnsci.data.noisy_layout import NoisyDigitsConfig
from attnsci.data.noisy_scenes import Mode, NoisyDigits, noisy_digits
from attnsci.seeds import numpy_generator
from attnsci.training.digit_objective import EPOCH, ORDER, Batch, DigitObjective
from attnsci.training.trainer import check_shares

FEATURES, MAP = 6, 7
"""Streams of the seed, beside those of `DigitObjective`."""


class TurnObjective(DigitObjective):
    """Shows noisy digits in an order that is drawn anew each turn, whatever an epoch's length.

    A recipe may keep each digit's noise ("frozen") or draw it anew.
    """

    weights = "last"
    watch: ClassVar = {
        "accuracy by place": ("accuracy_central", "accuracy_before"),
        "median landing error (px)": ("landing_error",),
    }

    _turn = -1

    def noisy(
        self, digits: Digits, layout: NoisyDigitsConfig, *stream: int, mode: Mode | None = None
    ) -> NoisyDigits:
        """Return scenes of digits, on the network's device."""
        mode = mode or self.config.mode
        return noisy_digits(
            digits.images, digits.labels, digits.index, mode=mode,
            seed=0 if mode == "frozen" else (self.config.seed, *stream),
            device=self.device, config=layout,
        )  # fmt: skip

    def n_batches(self, epoch: int) -> int:
        """Return the number of updates in an epoch."""
        return self.config.batches_per_epoch

    def rows(self, step: int, rank: int, world_size: int) -> tuple[np.ndarray, int]:
        """Return this process's share of the digits of an update, and the turn, counted from 0.

        A turn is whole batches; the digits left over change with every turn.
        """
        size = self.config.batch_size
        check_shares(size, world_size)
        usable = len(self.training) // size * size
        turn, start = divmod(step * size, usable)
        if turn != self._turn:
            order = numpy_generator(self.config.seed, ORDER, turn + 1)
            self._order, self._turn = order.permutation(len(self.training))[:usable], turn
        share = size // world_size
        start += rank * share
        return self._order[start : start + share], turn

    def scenes(self, digits: Digits, seed: tuple[int, ...]) -> Digits:
        """Return the digits themselves: their noise depends on the place in training."""
        return digits

    @abc.abstractmethod
    def layout(self, epoch: int) -> NoisyDigitsConfig:
        """Return how the scenes of an epoch are laid out."""

    def batch(self, epoch: int, index: int, rank: int, world_size: int) -> Batch:
        """Return this process's share of a batch."""
        step = epoch * self.n_batches(epoch) + index
        rows, turn = self.rows(step, rank, world_size)
        scenes = self.noisy(self.training.subset(rows), self.layout(epoch), EPOCH, turn)
        return Batch(scenes, step, (epoch + 1, index + 1, rank + 1))
