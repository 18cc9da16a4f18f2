"""Training of What and of spatial transformers: name the digit in the noise.

After Daucé, Albiges & Perrinet 2020, Journal of Vision 20(8):22, and Dabane, Perrinet & Daucé
2022, IJCNN. Cross-entropy alone teaches what to say and, through the transform, where to look.
"""

import dataclasses
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from attnsci.data.digits import Digits
from attnsci.data.noisy_layout import NoisyDigitsConfig
from attnsci.families.what_where.pathways import WhatNet
from attnsci.families.what_where.recipes import PRESETS as PRESETS
from attnsci.families.what_where.recipes import NoisyDigitsTraining
from attnsci.families.what_where.transformer import SpatialTransformer
from attnsci.families.what_where.transformer_config import SpatialTransformerConfig
from attnsci.families.what_where.turns import FEATURES, TurnObjective
from attnsci.sensors.centred import middle
from attnsci.training.digit_objective import VALIDATION, Batch, spread_over
from attnsci.training.schedule import warm_cosine
from attnsci.training.trainer import Metrics

FEATURE_SCENES = 1000
"""Scenes on which the features of a retina are measured before training."""
CHUNK = 250
STRAIN_FREE = 1.5
"""Parameters of a transform that are no strain, before their limits: nine tenths of the way."""


class NoisyDigitsObjective(TurnObjective):
    """Cross-entropy of the digit's class, along a curriculum."""

    def __init__(self, config: NoisyDigitsTraining, digits: Digits | None = None) -> None:
        self.looks = isinstance(config.model, SpatialTransformerConfig)
        self.network = SpatialTransformer if self.looks else WhatNet  # type: ignore[misc]
        self.forward_methods = ("rollout",) if self.looks else ()
        super().__init__(config, digits)
        self._prepare()
        # Convolutions of few channels are twice as fast so, on a CPU.
        self.model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def _prepare(self) -> None:
        """Measure the features of a retina, where they are standardised."""
        network = self.model
        if not (isinstance(network, SpatialTransformer) and network.measures_features):
            return
        digits = self.training.subset(np.arange(min(FEATURE_SCENES, len(self.training))))
        layout = self.config.scenes(self.config.stages[-1])
        network.fit_features(self.noisy(digits, layout, FEATURES).image)

    def optimizer(self) -> torch.optim.Optimizer:
        """Return Adam or plain gradient descent."""
        kind = torch.optim.Adam if self.config.optimizer == "adam" else torch.optim.SGD
        return kind(self.model.parameters(), lr=self.config.learning_rate, fused=True)

    def learning_rate(self, step: int) -> float:
        """Return the step size of an update, counted from 0: its stage has a share of its own."""
        stage = self.config.stage(step // self.config.batches_per_epoch)
        config, total = self.config, self.config.epochs * self.config.batches_per_epoch
        share = warm_cosine(step, total, config.warmup, config.final_rate)
        return config.learning_rate * stage.rate * share

    def layout(self, epoch: int) -> NoisyDigitsConfig:
        """Return how the scenes of the epoch's stage are laid out."""
        return self.config.scenes(self.config.stage(epoch))

    def losses(self, model: Any, batch: Batch) -> Iterator[tuple[Tensor, Metrics]]:
        """Yield the loss, with its accuracy and how far transforms strain."""
        images = middle(batch.stimuli.image, self.config.model.image_px)
        labels = batch.stimuli.metadata["label"]
        if self.looks:
            rollout = model.rollout(images)
            logits, strain = rollout.logits, strain_of(rollout.parameters.float())
        else:
            logits, strain = model(images), torch.zeros(())
        cross_entropy = functional.cross_entropy(logits.float(), labels)
        yield (
            cross_entropy + self.config.strain_weight * strain.to(cross_entropy),
            {
                "loss": cross_entropy.item(),
                **({"strain": strain.item()} if self.looks else {}),
                "accuracy": (logits.argmax(-1) == labels).float().mean().item(),
            },
        )

    def before_step(self) -> Metrics:
        """Clip the gradients, where the recipe says so."""
        if self.config.clip is not None:
            nn.utils.clip_grad_norm_(self.model.parameters(), self.config.clip)
        return {}

    def evaluate(self, model: Any, scenes: Digits) -> Metrics:
        """Return the accuracy on digits kept apart, in fresh noise.

        ``accuracy`` on scenes like the curriculum's last, ``accuracy_central`` on the same with
        the digit in the middle. Where a transform looks, also the median ``landing_error`` in
        pixels on the former.
        """
        config, last = self.config, self.config.stages[-1]
        rows = spread_over(scenes, config.validation_scenes)
        central = dataclasses.replace(config.scenes(last), i_offset=0, j_offset=0)
        metrics: Metrics = {"n": len(rows)}
        for name, layout in (("accuracy", config.scenes(last)), ("accuracy_central", central)):
            right, errors = [], []
            for part in np.array_split(rows, -(-len(rows) // CHUNK)):
                batch = self.noisy(scenes.subset(part), layout, VALIDATION, mode="fresh")
                images = middle(batch.image, config.model.image_px)
                if self.looks:
                    rollout = model.rollout(images)
                    logits = rollout.logits
                    missed = rollout.locations[:, -1] - batch.places
                    errors.append(torch.linalg.norm(missed, dim=1))
                else:
                    logits = model(images)
                right.append(logits.argmax(-1) == batch.metadata["label"])
            metrics[name] = torch.cat(right).float().mean().item()
            if errors and name == "accuracy":
                metrics["landing_error"] = torch.cat(errors).median().item()
        return metrics


def strain_of(parameters: Tensor) -> Tensor:
    """Return by how much transforms strain at their limits, a scalar.

    Parameters
    ----------
    parameters : Tensor, shape (N, P)
        Before limits.

    Examples
    --------
    >>> strain_of(torch.tensor([[0.3, -1.5], [3.5, 0.0]])).item()
    1.0
    """
    return functional.relu(parameters.abs() - STRAIN_FREE).square().mean()
