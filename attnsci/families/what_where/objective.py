"""Training of What and of spatial transformers: name the digit in the noise.

After Daucé, Albiges & Perrinet 2020, Journal of Vision 20(8):22, and Dabane, Perrinet & Daucé
2022, IJCNN. Cross-entropy alone teaches what to say and, through the transform, where to look.
"""

import dataclasses
from collections.abc import Iterator
from typing import Any, ClassVar, NamedTuple

import numpy as np
import torch
from lightning_fabric import Fabric
from torch import Tensor, nn
from torch.nn import functional

from attnsci.data.digits import Digits
from attnsci.data.noisy_layout import NoisyDigitsConfig
from attnsci.data.noisy_scenes import Mode, NoisyDigits, noisy_digits
from attnsci.families.what_where.pathways import WhatNet
from attnsci.families.what_where.recipes import PRESETS as PRESETS
from attnsci.families.what_where.recipes import NoisyDigitsTraining, Stage
from attnsci.families.what_where.transformer import SpatialTransformer
from attnsci.families.what_where.transformer_config import SpatialTransformerConfig
from attnsci.seeds import numpy_generator, torch_seed
from attnsci.sensors.centred import middle
from attnsci.training.digit_split import split_digits
from attnsci.training.schedule import warm_cosine
from attnsci.training.trainer import Metrics, check_shares

_SPLIT, _EPOCH, _ORDER, _VALIDATION, _WEIGHTS, _FEATURES = range(1, 7)

FEATURE_SCENES = 1000
"""Scenes on which the features of a retina are measured before training."""
CHUNK = 250
STRAIN_FREE = 1.5
"""Parameters of a transform that are no strain, before their limits: nine tenths of the way."""


class Batch(NamedTuple):
    """Images (N, 1, H, W), labels (N,), and the step size of the update."""

    images: Tensor
    labels: Tensor
    rate: float


class NoisyDigitsObjective:
    """Cross-entropy of the digit's class, along a curriculum.

    Parameters
    ----------
    config : NoisyDigitsTraining
        The recipe.
    digits : Digits, optional
        Training digits in place of ``config.source``; a part becomes the validation set.

    Raises
    ------
    InvalidInput
        If the digits do not fill a batch and a validation set.
    """

    score = "accuracy"
    watch: ClassVar[dict[str, tuple[str, ...]]] = {
        "accuracy by place": ("accuracy_central", "accuracy_before"),
        "median landing error (px)": ("landing_error",),
    }
    weights = "last"
    forward_methods: tuple[str, ...]

    def __init__(self, config: NoisyDigitsTraining, digits: Digits | None = None) -> None:
        self.config = config
        self.training, self.validation = split_digits(
            config.source, config.validation_fraction, config.batch_size,
            (config.seed, _SPLIT), digits,
        )  # fmt: skip
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(torch_seed(config.seed, _WEIGHTS))
            self.model: nn.Module = (
                SpatialTransformer(config.model)
                if isinstance(config.model, SpatialTransformerConfig)
                else WhatNet(config.model)
            )
        self._looks = isinstance(self.model, SpatialTransformer)
        self.forward_methods = ("rollout",) if self._looks else ()
        self._prepare()
        # Convolutions of few channels are twice as fast so, on a CPU.
        self.model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def _prepare(self) -> None:
        """Measure the features of a retina, where they are standardised."""
        network = self.model
        if not (isinstance(network, SpatialTransformer) and network.measures_features):
            return
        some = np.arange(min(FEATURE_SCENES, len(self.training)))
        shown = self._show(self.training, some, self.config.stages[-1], _FEATURES)
        network.fit_features(shown.image)

    def _show(
        self,
        digits: Digits,
        rows: np.ndarray,
        stage: Stage,
        *stream: int,
        layout: NoisyDigitsConfig | None = None,
        mode: Mode | None = None,
    ) -> NoisyDigits:
        """Return scenes of some digits, on the model's device."""
        mode = mode or self.config.mode
        return noisy_digits(
            digits.images[rows], digits.labels[rows], digits.index[rows], mode=mode,
            seed=0 if mode == "frozen" else (self.config.seed, *stream),
            device=next(self.model.parameters()).device,
            config=layout or self.config.scenes(stage),
        )  # fmt: skip

    def optimizer(self) -> torch.optim.Optimizer:
        """Return Adam or plain gradient descent."""
        kind = torch.optim.Adam if self.config.optimizer == "adam" else torch.optim.SGD
        return kind(self.model.parameters(), lr=self.config.learning_rate, fused=True)

    def n_batches(self, epoch: int) -> int:
        """Return the number of updates in an epoch."""
        return self.config.batches_per_epoch

    def batch(self, epoch: int, index: int, rank: int, world_size: int) -> Batch:
        """Return this process's share of batch `index`: digits in an order of their own turn."""
        config, stage = self.config, self.config.stage(epoch)
        check_shares(config.batch_size, world_size)
        step = epoch * config.batches_per_epoch + index
        turn, start = divmod(step * config.batch_size, self._usable)
        if turn != getattr(self, "_turn", None):
            order = numpy_generator(config.seed, _ORDER, turn + 1).permutation(len(self.training))
            self._order, self._turn = order[: self._usable], turn
        share = config.batch_size // world_size
        start += rank * share
        shown = self._show(self.training, self._order[start : start + share], stage, _EPOCH, turn)
        total = config.epochs * config.batches_per_epoch
        rate = warm_cosine(step, total, config.warmup, config.final_rate)
        images = middle(shown.image, config.model.image_px)
        return Batch(images, shown.metadata["label"], config.learning_rate * stage.rate * rate)

    @property
    def _usable(self) -> int:
        """Digits of a turn: whole batches; those left over change with every turn."""
        return len(self.training) // self.config.batch_size * self.config.batch_size

    def update(
        self, model: Any, batch: Batch, optimizer: torch.optim.Optimizer, fabric: Fabric
    ) -> Iterator[Metrics]:
        """Take one optimiser step; yield its loss and accuracy."""
        for group in optimizer.param_groups:
            group["lr"] = batch.rate
        with fabric.autocast():
            if self._looks:
                done = model.rollout(batch.images)
                logits, strain = done.logits, strain_of(done.parameters.float())
            else:
                logits, strain = model(batch.images), torch.zeros(())
        cross_entropy = functional.cross_entropy(logits.float(), batch.labels)
        loss = cross_entropy + self.config.strain_weight * strain.to(cross_entropy)
        optimizer.zero_grad()
        fabric.backward(loss)
        if self.config.clip is not None:
            nn.utils.clip_grad_norm_(self.model.parameters(), self.config.clip)
        optimizer.step()
        yield {
            "loss": cross_entropy.item(),
            **({"strain": strain.item()} if self._looks else {}),
            "accuracy": (logits.argmax(-1) == batch.labels).float().mean().item(),
            "learning_rate": batch.rate,
        }

    def validate(self, model: Any) -> Metrics:
        """Return the accuracy on digits kept apart, in fresh noise.

        ``accuracy`` on scenes like the curriculum's last, ``accuracy_central`` on the same with
        the digit in the middle. Where a transform looks, also the median ``landing_error`` in
        pixels on the former.
        """
        config, last, network = self.config, self.config.stages[-1], model.module
        n = min(config.validation_scenes, len(self.validation))
        rows = np.linspace(0, len(self.validation) - 1, n).round().astype(int)
        central = dataclasses.replace(config.scenes(last), i_offset=0, j_offset=0)
        found: Metrics = {"n": n}
        for name, layout in (("accuracy", config.scenes(last)), ("accuracy_central", central)):
            right, errors = [], []
            for part in np.array_split(rows, -(-n // CHUNK)):
                shown = self._show(
                    self.validation, part, last, _VALIDATION, layout=layout, mode="fresh"
                )
                images, labels = middle(shown.image, config.model.image_px), shown.metadata["label"]
                if isinstance(network, SpatialTransformer):
                    done = network.rollout(images)
                    logits = done.logits
                    errors.append(torch.linalg.norm(done.locations[:, -1] - shown.places, dim=1))
                else:
                    logits = network(images)
                right.append(logits.argmax(-1) == labels)
            found[name] = torch.cat(right).float().mean().item()
            if errors and name == "accuracy":
                found["landing_error"] = torch.cat(errors).median().item()
        return found

    def provenance(self) -> dict[str, Any]:
        """Return what the weights and a resumed run must agree on."""
        return {
            "model": type(self.model).__name__,
            "config": self.config.model,
            "training": self.config,
            "data": self.training.provenance(),
            "validation_data": self.validation.provenance(),
            "seed": self.config.seed,
        }


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
