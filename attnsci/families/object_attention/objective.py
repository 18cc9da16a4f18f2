"""Training of object-based attention: recognise and reconstruct one object a phase."""

import dataclasses
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from lightning_fabric import Fabric
from torch import Tensor, nn
from torch.nn import functional

from attnsci.data.digit_scenes import DigitScenes
from attnsci.data.digits import Digits
from attnsci.data.stimuli import ObjectScenes
from attnsci.families.object_attention.network import ObjectAttention
from attnsci.families.object_attention.recipes import PRESETS as PRESETS
from attnsci.families.object_attention.recipes import ObjectAttentionTraining
from attnsci.seeds import numpy_generator, torch_seed
from attnsci.training.digit_split import split_digits
from attnsci.training.trainer import Metrics, check_shares

_SPLIT, _EPOCH, _ORDER, _VALIDATION, _WEIGHTS = range(5)


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


class GatingObjective:
    """Cross-entropy on the attended digit plus Φ times the error of its reconstruction.

    One optimiser step after every phase. The attended object is the one nearest to the gated
    image among those not attended before.

    Parameters
    ----------
    config : ObjectAttentionTraining
        The recipe.
    digits : Digits, optional
        Training digits in place of ``config.source``; a part becomes the validation set.

    Notes
    -----
    After Lei, Benjamin and Kording (2021), arXiv 2106.04540.
    """

    score = "accuracy"
    forward_methods: tuple[str, ...] = ("phase",)

    def __init__(self, config: ObjectAttentionTraining, digits: Digits | None = None) -> None:
        self.config = config
        self.training, self.validation = split_digits(
            config.source, config.validation_fraction, config.batch_size,
            (config.seed, _SPLIT), digits,
        )  # fmt: skip
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(torch_seed(config.seed, _WEIGHTS))
            self.model: nn.Module = ObjectAttention(config.model)
        self._epoch = -1

    def optimizer(self) -> torch.optim.Optimizer:
        """Return Adam, as published."""
        return torch.optim.Adam(self.model.parameters(), lr=self.config.learning_rate)

    def n_batches(self, epoch: int) -> int:
        """Return the number of whole batches; the few scenes left over change every epoch."""
        return len(self.training) // self.config.batch_size

    def batch(self, epoch: int, index: int, rank: int, world_size: int) -> ObjectScenes:
        """Return this process's share of batch `index`: fresh scenes each epoch."""
        check_shares(self.config.batch_size, world_size)
        if epoch != self._epoch:
            seed = self.config.seed
            self._scenes = DigitScenes(
                self.training, self.config.scenes, seed=(seed, _EPOCH, epoch), device=self._device
            )
            self._order = numpy_generator(seed, _ORDER, epoch).permutation(len(self.training))
            self._epoch = epoch
        share = self.config.batch_size // world_size
        start = index * self.config.batch_size + rank * share
        return self._as_weights(self._scenes[self._order[start : start + share]])

    @property
    def _device(self) -> torch.device:
        return next(self.model.parameters()).device

    def _as_weights(self, scenes: ObjectScenes) -> ObjectScenes:
        """Return `scenes` in the number format of the weights."""
        dtype = next(self.model.parameters()).dtype
        return dataclasses.replace(
            scenes, image=scenes.image.to(dtype), objects=scenes.objects.to(dtype)
        )

    def update(
        self,
        model: Any,
        batch: ObjectScenes,
        optimizer: torch.optim.Optimizer,
        fabric: Fabric,
    ) -> Iterator[Metrics]:
        """Take one optimiser step a phase; yield its losses and accuracy."""
        targets = batch.targets(self.config.strength)
        scene = torch.arange(len(batch), device=batch.image.device)
        taken = torch.zeros_like(batch.labels, dtype=torch.bool)
        ior = None
        for phase in range(self.config.n_objects):
            # Fabric does this itself only where it wraps the module, on several processes.
            with fabric.autocast():
                outcome = model.phase(batch.image, ior)
                chosen, _ = nearest_object(outcome.masked_input.detach(), targets, taken)
                label, logits = batch.labels[scene, chosen], outcome.logits[:, -1]
                cross_entropy = functional.cross_entropy(logits, label)
                error = functional.mse_loss(outcome.masked_input, targets[scene, chosen])
            loss = cross_entropy + self.config.reconstruction_weight * error
            optimizer.zero_grad()
            fabric.backward(loss)
            optimizer.step()
            taken[scene, chosen] = True
            ior = outcome.ior
            yield {
                "phase": phase + 1,
                "loss": loss.item(),
                "cross_entropy": cross_entropy.item(),
                "squared_error": error.item(),
                "accuracy": (logits.argmax(1) == label).float().mean().item(),
            }

    def validate(self, model: Any) -> Metrics:
        """Return the accuracy, in each phase and over all, on digits kept apart."""
        scenes = DigitScenes(
            self.validation,
            self.config.scenes,
            seed=(self.config.seed, _VALIDATION),
            device=self._device,
        )
        n = min(self.config.validation_scenes, len(scenes))
        right = np.zeros(self.config.n_objects)
        for batch in scenes.batches(128, n):
            batch = self._as_weights(batch)
            right += right_per_phase(model.module, batch, self.config.strength).sum(0).cpu().numpy()
        by_phase = {f"accuracy_phase_{i + 1}": float(r / n) for i, r in enumerate(right)}
        return {"n": n, "accuracy": float(right.mean() / n), **by_phase}

    def provenance(self) -> dict[str, Any]:
        """Return what the weights and a resumed run must agree on."""
        return {
            "model": "ObjectAttention",
            "config": self.config.model,
            "training": self.config,
            "data": self.training.provenance(),
            "validation_data": self.validation.provenance(),
            "seed": self.config.seed,
        }


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
