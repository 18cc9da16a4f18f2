"""Training of NeVA's attention policy: look so that a frozen task model loses little.

After Schwinn, Precup, Eskofier & Zanca 2022, arXiv 2204.09093. The gradient reaches the policy
through the fovea's mask alone. The published code leaves the task model's weights trainable,
whose gradients then grow for ever, and its normalisation in training mode, which couples the
images of a batch; here both are refused, and looked for again at every validation.
"""

import dataclasses
import functools
from collections.abc import Iterator
from typing import Any, ClassVar

import numpy as np
import torch
import xarray as xr
from lightning_fabric import Fabric
from torch import Tensor, nn

from attnsci.errors import InvalidInput
from attnsci.families.neva.policy import LearnedGaze, NeVAPolicy, follow
from attnsci.families.neva.recipes import NeVATraining
from attnsci.families.neva.scores import (
    Pictures,
    Where,
    after_each_fixation,
    at_centre,
    at_random,
    looking,
    outside,
    target_of,
)
from attnsci.families.neva.tasks import Classification, Task, check_frozen, networks
from attnsci.provenance import stable_hash, state_hash
from attnsci.seeds import numpy_generator, torch_generator, torch_seed
from attnsci.sensors.foveation import Fovea, FoveatedView
from attnsci.training.trainer import Metrics, check_shares

_ORDER, _WEIGHTS, _NOISE = range(1, 4)

Batch = tuple[Tensor, Tensor | None, torch.Generator]


class NeVAObjective:
    """The task's loss of what is seen after each fixation.

    Parameters
    ----------
    config : NeVATraining
        The recipe.
    task : Task
        What looking is for. Its networks must be frozen; those of `attnsci.families.neva.tasks`
        are.
    training, validation : Pictures
    fovea : Fovea, optional
        How images are seen.

    Raises
    ------
    InvalidInput
        If a network of the task could change, or there are fewer images than a batch.
    """

    score = "gain"
    watch: ClassVar = {"loss beside easier gazes": ("loss", "loss_centre", "loss_random")}
    forward_methods: tuple[str, ...] = ()

    def __init__(
        self,
        config: NeVATraining,
        task: Task,
        training: Pictures,
        validation: Pictures,
        fovea: Fovea | None = None,
    ) -> None:
        self.config, self.task, self.fovea = config, task, fovea or Fovea()
        self.training, self.validation = training, validation
        if config.labels == "given" and not isinstance(task, Classification):
            raise InvalidInput(f"labels='given' is for classification; the task is {task.name!r}.")
        if len(training) < config.batch_size or len(validation) == 0:
            raise InvalidInput(
                f"{len(training)} images to learn from and {len(validation)} to validate on are "
                f"too few for batches of {config.batch_size}."
            )
        check_frozen(task)
        self._task_hash = _task_hash(task)
        self._kept: dict[torch.dtype, str] = {}
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(torch_seed(config.seed, _WEIGHTS))
            self.model: nn.Module = NeVAPolicy(config.policy)

    def optimizer(self) -> torch.optim.Optimizer:
        """Return Adam, as published."""
        return torch.optim.Adam(self.model.parameters(), lr=self.config.learning_rate)

    def n_batches(self, epoch: int) -> int:
        """Return the number of whole batches; the images left over change every epoch."""
        return len(self.training) // self.config.batch_size

    def batch(self, epoch: int, index: int, rank: int, world_size: int) -> Batch:
        """Return images, labels and a stream of noise: this process's share of batch `index`."""
        check_shares(self.config.batch_size, world_size)
        order = numpy_generator(self.config.seed, _ORDER, epoch).permutation(len(self.training))
        share = self.config.batch_size // world_size
        start = index * self.config.batch_size + rank * share
        images, labels = self.training.batch(order[start : start + share], epoch)
        device, dtype = self._like
        noise = torch_generator(self.config.seed, _NOISE, epoch, index, rank)
        return images.to(device, dtype), None if labels is None else labels.to(device), noise

    def update(
        self, model: Any, batch: Batch, optimizer: torch.optim.Optimizer, fabric: Fabric
    ) -> Iterator[Metrics]:
        """Take one optimiser step a fixation, or one a batch; yield its loss.

        ``outside`` is the share of the images that the gaze has left.
        """
        images, labels, noise = batch
        self._move_task()
        one = self.config.through == "one"
        view = FoveatedView(images, self.fovea, noise)
        target = target_of(self.task, images, labels, self.config.labels)
        steps = follow(model, view, self.config.n_fixations, truncated=one)
        losses: list[Tensor] = []
        for fixation in range(1, self.config.n_fixations + 1):
            # Fabric does this itself only where it wraps the module, on several processes.
            with fabric.autocast():
                xy, seen = next(steps)
                losses.append(self.task.loss(seen, target).mean())
            if one or fixation == self.config.n_fixations:
                loss = losses[-1] if one else torch.stack(losses).mean()
                optimizer.zero_grad()
                fabric.backward(loss)
                optimizer.step()
                away = outside(xy.detach(), view.size).float().mean()
                yield {"fixation": fixation, "loss": loss.item(), "outside": away.item()}

    def validate(self, model: Any) -> Metrics:
        """Return the mean loss over fixations on images kept apart, and that of easier gazes.

        ``gain`` is how much less is lost than by looking at the centre.

        Raises
        ------
        InvalidInput
            If the task's networks have changed since training began.
        """
        self._move_task()
        check_frozen(self.task)
        if _task_hash(self.task) != self._kept[self._like[1]]:
            raise InvalidInput(
                f"A network of the task {self.task.name!r} changed while the policy was trained. "
                "Give the objective a copy that nothing else uses."
            )
        means = self._measured(looking(self._gaze(model.module), self.config.n_fixations))
        loss = _mean(means, "loss")
        metrics: Metrics = {
            "n": len(self._rows),
            "loss": loss,
            "gain": self._controls["loss_centre"] - loss,
            "outside": _mean(means, "outside"),
            **self._controls,
        }
        if "accuracy" in means:
            metrics["accuracy"] = _mean(means, "accuracy")
        by_fixation = enumerate(means["loss"].to_numpy())
        return {**metrics, **{f"loss_fixation_{t}": float(value) for t, value in by_fixation}}

    def _gaze(self, policy: NeVAPolicy) -> LearnedGaze:
        return LearnedGaze(
            policy, dataclasses.replace(self.fovea, noise=0.0), chunk=self.config.batch_size
        )

    @functools.cached_property
    def _controls(self) -> dict[str, float]:
        n, seed = self.config.n_fixations, self.config.seed
        controls = {"centre": at_centre(n), "random": at_random(n, seed)}
        return {
            f"loss_{name}": _mean(self._measured(where), "loss") for name, where in controls.items()
        }

    def _measured(self, where: Where) -> xr.Dataset:
        device, dtype = self._like
        return after_each_fixation(
            where, self.task, self.validation, self.fovea, rows=self._rows,
            labels=self.config.labels, device=device, dtype=dtype, chunk=self.config.batch_size,
        ).mean("stimulus")  # fmt: skip

    @property
    def _rows(self) -> np.ndarray:
        n = min(self.config.validation_images, len(self.validation))
        return np.arange(n) * len(self.validation) // n

    @property
    def _like(self) -> tuple[torch.device, torch.dtype]:
        weight = next(self.model.parameters())
        return weight.device, weight.dtype

    def _move_task(self) -> None:
        """Bring the task's networks to where and to what the policy computes in."""
        device, dtype = self._like
        for network in networks(self.task).values():
            network.to(device, dtype)
        if dtype not in self._kept:
            self._kept[dtype] = _task_hash(self.task)

    def provenance(self) -> dict[str, Any]:
        """Return what the weights and a resumed run must agree on."""
        return {
            "model": "NeVAPolicy",
            "config": self.config.policy,
            "training": self.config,
            "task": {"name": self.task.name, "weights": self._task_hash},
            "fovea": self.fovea,
            "data": self.training.provenance(),
            "validation_data": self.validation.provenance(),
            "seed": self.config.seed,
        }


def _task_hash(task: Task) -> str:
    return stable_hash({name: state_hash(net.state_dict()) for name, net in networks(task).items()})


def _mean(means: xr.Dataset, name: str) -> float:
    """Return a mean over fixations; before the first there is none."""
    return float(means[name].isel(fixation=slice(1, None)).mean())
