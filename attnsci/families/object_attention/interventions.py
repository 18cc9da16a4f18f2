"""What an experimenter may change in one run of the attention protocol, checked and resolved."""

import dataclasses
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from attnsci.checks import check_finite, check_fraction, check_positive
from attnsci.errors import InvalidInput

if TYPE_CHECKING:
    from attnsci.families.object_attention.config import ObjectAttentionConfig

LevelTensors = Sequence[Tensor | None] | None
MapShapes = Sequence[tuple[int, int, int, int]]

INHIBITION_THRESHOLD = 0.5
"""Cells whose gate lies below it were attended and are inhibited in the next phase."""


@dataclasses.dataclass(frozen=True)
class Protocol:
    """The settings of one run, resolved for every level."""

    n_steps: int
    threshold: float
    strength: tuple[float, ...]
    inhibition: tuple[bool, ...]
    open_levels: tuple[bool, ...]
    lesions: tuple[list[int], ...]
    frozen: tuple[Tensor | None, ...]
    every_call: bool = False


def resolve(
    config: "ObjectAttentionConfig",
    shapes: MapShapes = (),
    *,
    n_steps: int = 5,
    threshold: float = INHIBITION_THRESHOLD,
    strength: float | Sequence[float] | None = None,
    inhibition: bool | Sequence[bool] = True,
    gates_off: Sequence[int] = (),
    lesions: Sequence[tuple[int, int]] = (),
    frozen_gates: LevelTensors = None,
    every_call: bool = False,
) -> Protocol:
    """Return the protocol that the arguments of ``ObjectAttention.run`` ask for.

    Parameters
    ----------
    config : ObjectAttentionConfig
        The network's.
    shapes : sequence of (N, C, H, W), one for each level
        Shapes of the gates, which `frozen_gates` must fit.
    n_steps, threshold, strength, inhibition, gates_off, lesions, frozen_gates, every_call
        As in ``ObjectAttention.run``.

    Returns
    -------
    Protocol

    Raises
    ------
    InvalidInput
        If a level or channel does not exist, or a value cannot be used.
    """
    check_positive("n_steps", n_steps, integer=True)
    if not math.isfinite(threshold):
        raise InvalidInput(f"threshold must be a number; got {threshold}.")
    n_levels = config.n_levels
    silent: tuple[list[int], ...] = tuple([] for _ in range(n_levels))
    for level, channel in lesions:
        _check_level("lesions", level, n_levels)
        if not 0 <= channel < config.channels[level]:
            raise InvalidInput(
                f"Level {level} has no channel {channel} to lesion, but 0 to "
                f"{config.channels[level] - 1}."
            )
        silent[level - 1].append(channel)
    for level in gates_off:
        _check_level("gates_off", level, n_levels)
    strengths = _for_levels("strength", config.strength if strength is None else strength, n_levels)
    for value in strengths:
        check_fraction("strength", value)
    return Protocol(
        n_steps=n_steps,
        threshold=threshold,
        strength=strengths,
        inhibition=_for_levels("inhibition", inhibition, n_levels),
        open_levels=tuple(level in gates_off for level in range(1, n_levels + 1)),
        lesions=silent,
        frozen=level_tensors("frozen_gates", frozen_gates, shapes) or (None,) * n_levels,
        every_call=every_call,
    )


def level_tensors(
    parameter: str, given: LevelTensors, shapes: MapShapes, *, masks: bool = False
) -> tuple[Tensor | None, ...] | None:
    """Return `given` at full shape, once every entry is known to fit its level.

    Parameters
    ----------
    parameter : str
        Name of the argument, for the message.
    given : sequence of Tensor or None, one for each level, optional
        Maps that broadcast to `shapes`.
    shapes : sequence of (N, C, H, W), one for each level
        What the levels need.
    masks : bool
        Whether the maps are boolean masks, or gates.

    Returns
    -------
    tuple of Tensor or None, or None
        Views of `given`; None if nothing was given.

    Raises
    ------
    InvalidInput
        If the number of entries, a shape or a dtype is wrong, or a gate is not finite.
    """
    if given is None:
        return None
    if len(given) != len(shapes):
        raise InvalidInput(
            f"{parameter} needs one entry for each of {len(shapes)} levels; got {len(given)}."
        )
    return tuple(
        None if maps is None else _fitted(f"{parameter} of level {level}", maps, shape, masks)
        for level, (maps, shape) in enumerate(zip(given, shapes, strict=True), start=1)
    )


def _fitted(what: str, maps: Tensor, shape: tuple[int, int, int, int], masks: bool) -> Tensor:
    if masks and maps.dtype != torch.bool:
        raise InvalidInput(f"{what} must be a boolean mask; got {maps.dtype}.")
    if not masks and not maps.is_floating_point():
        raise InvalidInput(f"{what} must be floating-point gates; got {maps.dtype}.")
    try:
        full = maps.expand(shape)
    except RuntimeError:
        raise InvalidInput(
            f"{what} must broadcast to shape {shape}; got {tuple(maps.shape)}."
        ) from None
    check_finite(what, maps.detach().cpu())
    return full


def _check_level(parameter: str, level: int, n_levels: int) -> None:
    if not 1 <= level <= n_levels:
        raise InvalidInput(f"{parameter} names level {level}; levels run from 1 to {n_levels}.")


def _for_levels(parameter: str, value: Any, n_levels: int) -> tuple[Any, ...]:
    values = tuple(value) if isinstance(value, Sequence) else (value,) * n_levels
    if len(values) != n_levels:
        raise InvalidInput(f"{parameter} needs one value or {n_levels}; got {len(values)}.")
    return values
