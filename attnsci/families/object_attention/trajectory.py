"""What a run of object-based attention leaves behind, phase by phase."""

import dataclasses
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor


@dataclasses.dataclass(frozen=True)
class Trajectory:
    """What one run of the attention protocol did. Levels are tuples, the pixels first.

    Attributes
    ----------
    logits : Tensor, shape (N, phase, step, class)
        Class evidence after every forward pass.
    gates : tuple of Tensor, each (N, phase, C, H, W)
        Gate that formed the last forward's input, forced cells included: the published "gate".
    masked_input : Tensor, shape (N, phase, C, H, W)
        The image as the last forward of each phase saw it.
    ior : tuple of Tensor, each (N, phase, C, H, W), bool
        Inhibition of return after each phase, as the next phase meets it.
    gate_steps : tuple of Tensor, each (N, phase, step, C, H, W), or None
        The gates behind every forward, if they were asked for; those of step 1 are at rest.
    activations : tuple of Tensor, each (N, phase, C', H', W'), or None
        What each level's units did in the last forward of each phase, after the ReLU and before
        pooling, if it was asked for.
    """

    logits: Tensor
    gates: tuple[Tensor, ...]
    masked_input: Tensor
    ior: tuple[Tensor, ...]
    gate_steps: tuple[Tensor, ...] | None = None
    activations: tuple[Tensor, ...] | None = None

    @property
    def prediction(self) -> Tensor:
        """Class read in each phase, shape (N, phase)."""
        return self.logits[:, :, -1].argmax(-1)


class Phase(NamedTuple):
    """One object's worth of looking: fields as in :class:`Trajectory`, without the phase axis.

    A tuple, since training on several processes hooks into the tensors of what a forward returns.
    """

    logits: Tensor
    gates: tuple[Tensor, ...]
    masked_input: Tensor
    ior: tuple[Tensor, ...]
    gate_steps: tuple[tuple[Tensor, ...], ...]
    activations: tuple[Tensor, ...]


def stack_levels(phases: Sequence[tuple[Tensor, ...]]) -> tuple[Tensor, ...]:
    """Join the levels of several phases (or steps) along a new second axis."""
    return tuple(torch.stack(level, 1) for level in zip(*phases, strict=True))
