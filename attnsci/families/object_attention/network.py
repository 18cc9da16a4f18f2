"""Object-based attention by internal gating.

A convolutional network reads an image of several objects in phases, one object a phase. Within a
phase, top-down and lateral signals gate the pixels and the feature maps; between phases, whatever
was attended is inhibited ("inhibition of return"). After Lei, Benjamin and Kording (2021), *Object
Based Attention Through Internal Gating*, arXiv 2106.04540.

A gate of +1 closes a cell as far as the strength s allows (× 1 − s), −1 opens it (× 1 + s).
"""

from collections.abc import Sequence
from typing import Any, cast

import torch
from torch import Tensor, nn

from attnsci.checks import check_finite, check_not_empty, check_positive, check_shape
from attnsci.errors import InvalidInput
from attnsci.families.object_attention.config import KERNEL, POOL, ObjectAttentionConfig
from attnsci.families.object_attention.interventions import (
    INHIBITION_THRESHOLD,
    LevelTensors,
    Protocol,
    level_tensors,
    resolve,
)
from attnsci.families.object_attention.trajectory import Phase, Trajectory, stack_levels
from attnsci.families.object_attention.upsampled_conv import UpsampledTransposedConv, Upsampling


class Level(nn.Module):
    """One gated level: gate, convolution, ReLU, pooling; and the way down to its gate.

    Every quantity worth recording leaves a submodule: ``gated`` (input times gate), ``conv``,
    ``activation``, ``pool``, ``gate``.
    """

    def __init__(self, inputs: int, outputs: int, gates: int, upsampling: Upsampling) -> None:
        super().__init__()
        self.gated = nn.Identity()
        self.conv = nn.Conv2d(inputs, outputs, KERNEL)
        self.activation = nn.ReLU()
        self.pool = nn.MaxPool2d(POOL)
        self.deconv = UpsampledTransposedConv(2 * outputs, gates, KERNEL, upsampling)
        self.gate = nn.Identity()

    def up(self, gated: Tensor, silent: list[int]) -> tuple[Tensor, Tensor]:
        """Return the activation, `silent` channels being lesioned, and the pooled activation."""
        drive = self.conv(gated)
        if silent:
            alive = drive.new_ones(drive.shape[1], 1, 1)
            alive[silent] = 0
            drive = drive * alive
        activation = self.activation(drive)
        pooled = self.pool(activation)
        if pooled.requires_grad:
            # Slicing hands row-major gradients back, which pooling and ReLU take the slow way.
            pooled.register_hook(_channels_last)
        return activation, pooled

    def down(self, top: Tensor, pooled: Tensor, size: tuple[int, int]) -> Tensor:
        """Return the gate that the signals from above and from this level ask for."""
        fine = (size[0] - KERNEL + 1, size[1] - KERNEL + 1)
        asked = self.deconv(torch.cat([top, pooled], 1), fine)
        # In bfloat16 a gate beyond 0.998 is 1, and no gradient would ever open it again.
        return torch.tanh(asked.to(self.deconv.weight.dtype))


class ObjectAttention(nn.Module):
    """The gated network, for digits and for photographs.

    State is explicit: :meth:`run` carries gates and inhibition from step to step and from phase to
    phase; the module itself holds weights only.

    Parameters
    ----------
    config : ObjectAttentionConfig
        Architecture; the default is the published network for pairs of digits.

    Examples
    --------
    >>> model = ObjectAttention()
    >>> sum(p.numel() for p in model.parameters())
    82661
    >>> model.run(torch.rand(3, 1, 28, 42)).logits.shape
    torch.Size([3, 2, 5, 10])
    """

    def __init__(self, config: ObjectAttentionConfig | None = None) -> None:
        super().__init__()
        self.config = config = config or ObjectAttentionConfig()
        self.sizes = sizes = config.sizes()
        gates = [1 if config.pixel_gate == "shared" else config.channels[0], *config.channels[1:-1]]
        self.gate_channels = gates
        self.levels = nn.ModuleList(
            Level(inputs, outputs, gate, config.upsampling)
            for inputs, outputs, gate in zip(
                config.channels[:-1], config.channels[1:], gates, strict=True
            )
        )
        self.top_shape = (config.channels[-1], *sizes[-1])
        flat = config.channels[-1] * sizes[-1][0] * sizes[-1][1]
        self.readout = nn.Linear(flat, config.n_classes)
        self.feedback = nn.Linear(config.n_classes, flat)
        # Convolutions and pooling of narrow maps run several times faster this way.
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def forward(self, images: Tensor, **interventions: Any) -> Tensor:
        """Return the logits of each phase; the entry point for recorders.

        Every forward pass of every phase runs in full, also where its result is known beforehand
        or never used, so that each recorded module is called phases × steps times, in order.

        Parameters
        ----------
        images : Tensor, shape (N, C, H, W)
            Values in [0, 1].
        **interventions
            Arguments of :meth:`run`.

        Returns
        -------
        Tensor, shape (N, phase, class)
        """
        return self.run(images, every_call=True, **interventions).logits[:, :, -1]

    def run(
        self,
        images: Tensor,
        n_phases: int | None = None,
        n_steps: int = 5,
        *,
        strength: float | Sequence[float] | None = None,
        threshold: float = INHIBITION_THRESHOLD,
        inhibition: bool | Sequence[bool] = True,
        gates_off: Sequence[int] = (),
        lesions: Sequence[tuple[int, int]] = (),
        initial_gates: LevelTensors = None,
        initial_ior: LevelTensors = None,
        frozen_gates: LevelTensors = None,
        keep_steps: bool = False,
        keep_activations: bool = False,
        every_call: bool = False,
    ) -> Trajectory:
        """Show `images` and read one object a phase.

        Levels are numbered from 1 (the pixels), as in the paper.

        Parameters
        ----------
        images : Tensor, shape (N, C, H, W)
            Values in [0, 1], on the model's device.
        n_phases : int, optional
            Objects to read; the configured number by default.
        n_steps : int
            Forward passes a phase; 1 is a purely feed-forward network.
        strength : float or sequence of float, optional
            Strength of the gates in place of the trained one, for all levels or for each.
        threshold : float
            A gate below it marks an attended cell.
        inhibition : bool or sequence of bool
            Inhibition of return at all levels, at none, or for each.
        gates_off : sequence of int
            Levels whose gate is held at 0; its signal still feeds the level below.
        lesions : sequence of (level, channel)
            Activations that are silenced.
        initial_gates : sequence of Tensor or None, one for each level, optional
            External cue: gates, broadcastable to (N, C, H, W), from which phase 1 starts instead
            of from rest.
        initial_ior : sequence of Tensor or None, one for each level, optional
            External cue: inhibition that phase 1 starts with, for example the ``ior`` that a
            template leaves behind.
        frozen_gates : sequence of Tensor or None, one for each level, optional
            Gates held at these values throughout, whatever the network asks for.
        keep_steps : bool
            Keep the gates behind every forward pass, not only behind the last.
        keep_activations : bool
            Keep what the units did in the last forward pass of each phase.
        every_call : bool
            Run also the passes whose result is known (the first of each later phase) or unused
            (the way down of the last), for recorders.

        Returns
        -------
        Trajectory

        Raises
        ------
        InvalidInput
            If `images` have another shape than the network's, are empty or hold NaN; if a level
            or channel does not exist.
        """
        self._check_images(images)
        n_phases = self.config.n_phases if n_phases is None else n_phases
        check_positive("n_phases", n_phases, integer=True)
        shapes = self._gate_shapes(len(images))
        protocol = resolve(
            self.config,
            shapes,
            n_steps=n_steps,
            threshold=threshold,
            strength=strength,
            inhibition=inhibition,
            gates_off=gates_off,
            lesions=lesions,
            frozen_gates=frozen_gates,
            every_call=every_call,
        )
        rest = self._rest(images)
        start = _or_rest(level_tensors("initial_gates", initial_gates, shapes), rest)
        ior = _or_rest(
            level_tensors("initial_ior", initial_ior, shapes, masks=True),
            tuple(gate > 0 for gate in rest),
        )
        phases: list[Phase] = []
        known = None
        for _ in range(n_phases):
            phase, first = self._phase(images, start, ior, protocol, known)
            phases.append(phase)
            if start is rest:
                known = None if every_call else first
            start, ior = rest, phase.ior
        return Trajectory(
            logits=torch.stack([phase.logits for phase in phases], 1),
            gates=stack_levels([phase.gates for phase in phases]),
            masked_input=torch.stack([phase.masked_input for phase in phases], 1),
            ior=stack_levels([phase.ior for phase in phases]),
            gate_steps=stack_levels([stack_levels(phase.gate_steps) for phase in phases])
            if keep_steps
            else None,
            activations=stack_levels([phase.activations for phase in phases])
            if keep_activations
            else None,
        )

    def phase(self, images: Tensor, ior: tuple[Tensor, ...] | None = None) -> Phase:
        """Run a single phase as published, differentiably; what training repeats.

        Parameters
        ----------
        images : Tensor, shape (N, C, H, W)
            Values in [0, 1].
        ior : tuple of Tensor, one for each level, optional
            Inhibition left by the phase before; none in the first.

        Returns
        -------
        Phase
            Gradients flow through its five forward passes; ``ior`` has none.
        """
        rest = self._rest(images)
        ior = ior or tuple(gate > 0 for gate in rest)
        return self._phase(images, rest, ior, resolve(self.config), None)[0]

    def _check_images(self, images: Tensor) -> None:
        config = self.config
        check_shape("images", images, ("N", config.channels[0], config.height, config.width))
        check_not_empty("images", images)
        if images.dtype != self.readout.weight.dtype:
            raise InvalidInput(
                f"images must be {self.readout.weight.dtype}, as the weights are; got "
                f"{images.dtype}. Pixels stored as bytes need / 255."
            )
        if not torch.isfinite(images).all():
            check_finite("images", images.detach().cpu())

    def _gate_shapes(self, n: int) -> list[tuple[int, int, int, int]]:
        """Return the shape (N, C, H, W) of the gate of each level, for `n` images."""
        return [
            (n, channels, *size)
            for channels, size in zip(self.gate_channels, self.sizes[:-1], strict=True)
        ]

    def _levels(self) -> list[Level]:
        return cast(list[Level], list(self.levels))

    def _rest(self, images: Tensor) -> tuple[Tensor, ...]:
        return (images.new_zeros(1, 1, 1, 1),) * self.config.n_levels

    def _phase(
        self,
        images: Tensor,
        gates: tuple[Tensor, ...],
        ior: tuple[Tensor, ...],
        protocol: Protocol,
        known: tuple[Tensor, list[Tensor]] | None,
    ) -> tuple[Phase, tuple[Tensor, list[Tensor]] | None]:
        """Run one phase; `known` is the outcome of a forward from rest, if it has been seen."""
        logits_of_steps, gates_of_steps = [], []
        first = known
        gates = self._hold(gates, protocol)
        for step in range(protocol.n_steps):
            last = step == protocol.n_steps - 1
            gates_of_steps.append(gates)
            if step == 0 and known is not None and not last:
                logits, asked = known
            else:
                logits, pooled, masked_input, activations = self._ascend(images, gates, protocol)
                unread = last and not protocol.every_call
                asked = [] if unread else self._descend(logits, pooled)
            logits_of_steps.append(logits)
            if step == 0:
                first = (logits, asked)
            if asked:
                # A recorder sees the gates of every pass; only those before the last are used.
                forced = self._force(asked, ior, protocol)
                gates = gates if last else forced
        next_ior = tuple(
            (mask | (gate.detach() < protocol.threshold)) if inhibited else mask
            for mask, gate, inhibited in zip(ior, gates, protocol.inhibition, strict=True)
        )
        phase = Phase(
            logits=torch.stack(logits_of_steps, 1),
            gates=self._full(gates, images),
            masked_input=masked_input,
            ior=self._full(next_ior, images),
            gate_steps=tuple(self._full(step_gates, images) for step_gates in gates_of_steps),
            activations=tuple(activations),
        )
        return phase, first if protocol.n_steps > 1 else None

    def _ascend(
        self, images: Tensor, gates: tuple[Tensor, ...], protocol: Protocol
    ) -> tuple[Tensor, list[Tensor], Tensor, list[Tensor]]:
        signal, masked_input = images, images
        pooled: list[Tensor] = []
        activations: list[Tensor] = []
        for index, level in enumerate(self._levels()):
            scaled = signal * (1 - protocol.strength[index] * gates[index])
            gated = level.gated(_channels_last(scaled))
            if index == 0:
                masked_input = gated
            activation, signal = level.up(gated, protocol.lesions[index])
            activations.append(activation)
            pooled.append(signal)
        return self.readout(signal.flatten(1)), pooled, masked_input, activations

    def _descend(self, logits: Tensor, pooled: list[Tensor]) -> list[Tensor]:
        """Return what the network asks its gates to be; the forced cells come later."""
        top = torch.tanh(self.feedback(logits)).view(-1, *self.top_shape)
        asked: list[Tensor] = []
        for level, size, lateral in zip(
            reversed(self._levels()), reversed(self.sizes[:-1]), reversed(pooled), strict=True
        ):
            top = level.down(top, lateral, size)
            asked.insert(0, top)
        return asked

    def _force(
        self, asked: list[Tensor], ior: tuple[Tensor, ...], protocol: Protocol
    ) -> tuple[Tensor, ...]:
        """Close the inhibited cells and apply what the experimenter holds fixed."""
        forced = tuple(
            torch.where(mask, 1.0, gate) if inhibited else gate
            for gate, mask, inhibited in zip(asked, ior, protocol.inhibition, strict=True)
        )
        held = self._hold(forced, protocol)
        return tuple(level.gate(gate) for level, gate in zip(self._levels(), held, strict=True))

    def _hold(self, gates: tuple[Tensor, ...], protocol: Protocol) -> tuple[Tensor, ...]:
        return tuple(
            torch.zeros_like(gate) if off else gate if frozen is None else frozen
            for gate, off, frozen in zip(gates, protocol.open_levels, protocol.frozen, strict=True)
        )

    def _full(self, maps: tuple[Tensor, ...], images: Tensor) -> tuple[Tensor, ...]:
        """Return `maps` at full size where they are still the single cell of a gate at rest."""
        return tuple(
            level_map.expand(shape)
            for level_map, shape in zip(maps, self._gate_shapes(len(images)), strict=True)
        )


def _channels_last(maps: Tensor) -> Tensor:
    return maps.contiguous(memory_format=torch.channels_last)


def _or_rest(cue: tuple[Tensor | None, ...] | None, rest: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    if cue is None:
        return rest
    return tuple(usual if given is None else given for given, usual in zip(cue, rest, strict=True))
