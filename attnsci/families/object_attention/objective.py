"""Training of object-based attention: recognise and reconstruct one object a phase."""

import dataclasses
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from attnsci.data.digit_scenes import DigitScenes
from attnsci.data.digits import Digits
from attnsci.data.stimuli import ObjectScenes
from attnsci.families.object_attention.network import ObjectAttention
from attnsci.families.object_attention.recipes import PRESETS as PRESETS
from attnsci.training.digit_objective import Batch, DigitObjective
from attnsci.training.trainer import Metrics


def nearest_object(
    masked_input: Tensor, targets: Tensor, taken: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """Say which object a gated image shows: the one whose target it is closest to.

    Parameters
    ----------
    masked_input : Tensor, shape (N, C, H, W)
        The image as gated.
    targets : Tensor, shape (N, object, C, H, W)
        The scene with all but one object dimmed.
    taken : Tensor, shape (N, object), bool, optional
        Objects of earlier phases, which cannot be chosen again.

    Returns
    -------
    object : Tensor, shape (N,), int64
        The attended object.
    squared_error : Tensor, shape (N, object)
        Sum over pixels and channels, of all objects.
    """
    error = (masked_input[:, None] - targets).square().flatten(2).sum(-1)
    free = error if taken is None else error.masked_fill(taken, torch.inf)
    return free.argmin(1), error


class GatingObjective(DigitObjective):
    """Cross-entropy on the attended digit plus Φ times the error of its reconstruction.

    One optimiser step after every phase. The attended object is the one nearest to the gated
    image among those not attended before.

    Notes
    -----
    After Lei, Benjamin and Kording (2021), arXiv 2106.04540.
    """

    network = ObjectAttention
    forward_methods: tuple[str, ...] = ("phase",)
    first_stream, weights_stream = 0, 4

    def scenes(self, digits: Digits, seed: tuple[int, ...]) -> DigitScenes:
        """Return scenes of the recipe's layout."""
        return DigitScenes(digits, self.config.scenes, seed=seed, device=self.device)

    def optimizer(self) -> torch.optim.Optimizer:
        """Return Adam, as published."""
        return torch.optim.Adam(self.model.parameters(), lr=self.config.learning_rate)

    def learning_rate(self, step: int) -> float:
        """Return the step size, which stays."""
        return self.config.learning_rate

    def losses(self, model: Any, batch: Batch) -> Iterator[tuple[Tensor, Metrics]]:
        """Yield the loss of each phase, with its parts and its accuracy."""
        scenes = as_weights(batch.stimuli, self.dtype)
        targets = scenes.targets(self.config.strength)
        yield from phase_losses(
            model, scenes.image, scenes.labels, targets,
            functional.cross_entropy, self.config.reconstruction_weight,
        )  # fmt: skip

    def evaluate(self, model: ObjectAttention, scenes: DigitScenes) -> Metrics:
        """Return the accuracy, in each phase and over all."""
        n = min(self.config.validation_scenes, len(scenes))
        right = np.zeros(self.config.n_objects)
        for batch in scenes.batches(128, n):
            batch = as_weights(batch, self.dtype)
            right += right_per_phase(model, batch, self.config.strength).sum(0).cpu().numpy()
        by_phase = {f"accuracy_phase_{i + 1}": float(r / n) for i, r in enumerate(right)}
        return {"n": n, "accuracy": float(right.mean() / n), **by_phase}


def phase_losses(
    model: Any,
    image: Tensor,
    labels: Tensor,
    targets: Tensor,
    cross_entropy: Callable[[Tensor, Tensor], Tensor],
    reconstruction_weight: float,
) -> Iterator[tuple[Tensor, Metrics]]:
    """Yield each phase's loss, with its parts; the next phase runs when it is asked for.

    Parameters
    ----------
    model : ObjectAttention
    image : Tensor, shape (N, C, H, W)
    labels : Tensor, shape (N, object), int64
    targets : Tensor, shape (N, object, C, H, W)
        The scene with all but one object dimmed.
    cross_entropy : callable
        From logits (N, class) and labels (N,) of the attended objects to a scalar.
    reconstruction_weight : float
        Φ, of the squared error between gated image and target.
    """
    scene = torch.arange(len(image), device=image.device)
    taken = torch.zeros_like(labels, dtype=torch.bool)
    inhibition = None
    for number in range(labels.shape[1]):
        phase = model.phase(image, inhibition)
        nearest, _ = nearest_object(phase.masked_input.detach(), targets, taken)
        label, logits = labels[scene, nearest], phase.logits[:, -1]
        naming = cross_entropy(logits, label)
        error = functional.mse_loss(phase.masked_input, targets[scene, nearest])
        metrics = {
            "phase": number + 1,
            "cross_entropy": naming.item(),
            "squared_error": error.item(),
            "accuracy": (logits.argmax(1) == label).float().mean().item(),
        }
        yield naming + reconstruction_weight * error, metrics
        taken[scene, nearest] = True
        inhibition = phase.ior


def as_weights(scenes: Any, dtype: torch.dtype) -> Any:
    """Return scenes in the number format of the weights."""
    return dataclasses.replace(
        scenes, image=scenes.image.to(dtype), objects=scenes.objects.to(dtype)
    )


def right_per_phase(model: ObjectAttention, scenes: ObjectScenes, strength: float) -> Tensor:
    """Return whether each phase named the object that it attended, shape (N, phase), bool."""
    label, named = attended_labels(model, scenes, strength)
    return label == named


def attended_labels(
    model: ObjectAttention, scenes: ObjectScenes, strength: float
) -> tuple[Tensor, Tensor]:
    """Return the label of the object attended in each phase, and the one named, (N, phase) each."""
    trajectory = model.run(scenes.image)
    targets = scenes.targets(strength)
    taken = torch.zeros_like(scenes.labels, dtype=torch.bool)
    labels = []
    for phase in range(trajectory.logits.shape[1]):
        chosen, _ = nearest_object(trajectory.masked_input[:, phase], targets, taken)
        taken = taken.scatter(1, chosen[:, None], True)
        labels.append(scenes.labels.gather(1, chosen[:, None])[:, 0])
    return torch.stack(labels, 1), trajectory.prediction
