"""Training of the deep recurrent attention model: read by gradient, look by reinforcement.

After Ba, Mnih & Kavukcuoglu 2014, arXiv 1412.7755: cross-entropy of every target after its last
glimpse, and a reward of 1 for every target that is named right. A location is credited with the
rewards of its own target and of those after it, on which alone it has an effect.
"""

import warnings
from collections.abc import Iterator
from typing import Any, ClassVar, NamedTuple

import numpy as np
import torch
from lightning_fabric import Fabric
from torch import Tensor, nn
from torch.nn import functional

from attnsci.data.digit_pairs import DigitPairs
from attnsci.data.digits import Digits
from attnsci.families.ram.dram import DRAM, DRAMRollout
from attnsci.families.ram.dram_recipes import PRESETS as PRESETS
from attnsci.families.ram.dram_recipes import DRAMTraining
from attnsci.families.ram.objective import SATURATED, Batch, policy_loss
from attnsci.families.ram.policies import Policy
from attnsci.seeds import numpy_generator, torch_generator, torch_seed
from attnsci.sensors.glimpse import MAPS
from attnsci.training.digit_split import split_digits
from attnsci.training.schedule import warm_cosine
from attnsci.training.trainer import Metrics, check_shares

_SPLIT, _EPOCH, _ORDER, _VALIDATION, _WEIGHTS, _DRAWS, _LOOKS = range(1, 8)

LOOKING = ("context", "emitter", "locator")
"""Parts of the network that the policy's term teaches."""


def credit(right: Tensor, glimpses_per_target: int) -> Tensor:
    """Return the reward from each glimpse on (R, glimpse) of targets (R, target) right or wrong.

    Examples
    --------
    >>> credit(torch.tensor([[0.0, 1.0], [1.0, 0.0]]), 2).tolist()
    [[1.0, 1.0, 1.0, 1.0], [1.0, 1.0, 0.0, 0.0]]
    """
    return right.flip(1).cumsum(1).flip(1).repeat_interleave(glimpses_per_target, 1)


class Losses(NamedTuple):
    """The terms of the hybrid loss, scalars, and what was right (R, target)."""

    cross_entropy: Tensor
    policy: Tensor
    baseline: Tensor
    right: Tensor


def losses_of(rollout: DRAMRollout, labels: Tensor) -> Losses:
    """Return the terms of the hybrid loss of a sampled rollout.

    Parameters
    ----------
    rollout : DRAMRollout
        Of the policy "sampled".
    labels : Tensor, shape (R, target), int64
        A class for each target.
    """
    logits = rollout.logits.float()
    right = (logits.detach().argmax(-1) == labels).float()
    returns = credit(right, rollout.values.shape[1] // right.shape[1])
    return Losses(
        functional.cross_entropy(logits.flatten(0, 1), labels.flatten()),
        policy_loss(rollout.log_probs, returns, rollout.values),
        functional.mse_loss(rollout.values, returns),
        right,
    )


class DRAMObjective:
    """Cross-entropy of every target, REINFORCE on the locations, a learned baseline.

    The three terms teach parts of the network that have no parameter in common, so that Adam,
    which is indifferent to scale, needs step sizes and no weights to tell them apart.

    Parameters
    ----------
    config : DRAMTraining
        The recipe.
    digits : Digits, optional
        Training digits in place of ``config.source``; a part becomes the validation set.

    Raises
    ------
    InvalidInput
        If the digits do not fill a batch and a validation set.
    """

    score = "sequence_accuracy"
    watch: ClassVar[dict[str, tuple[str, ...]]] = {
        "reward": ("reward", "value"), "mean locations at the edge": ("saturated",),
    }  # fmt: skip
    forward_methods: tuple[str, ...] = ("rollout",)

    def __init__(self, config: DRAMTraining, digits: Digits | None = None) -> None:
        self.config = config
        self.training, self.validation = split_digits(
            config.source, config.validation_fraction, config.batch_size,
            (config.seed, _SPLIT), digits,
        )  # fmt: skip
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(torch_seed(config.seed, _WEIGHTS))
            self.model: nn.Module = DRAM(config.model)
        self._epoch = -1

    def optimizer(self) -> torch.optim.Optimizer:
        """Return Adam, which moves what looks more slowly than what reads."""
        groups: dict[bool, list[nn.Parameter]] = {True: [], False: []}
        for name, parameter in self.model.named_parameters():
            groups[name.split(".")[0] in LOOKING].append(parameter)
        return torch.optim.Adam(
            [
                {"params": groups[False], "share": 1.0},
                {"params": groups[True], "share": self.config.looking_rate},
            ],
            lr=self.config.learning_rate,
            fused=True,
        )

    def n_batches(self, epoch: int) -> int:
        """Return the number of whole batches; the scenes left over change every epoch."""
        return len(self.training) // self.config.batch_size

    def batch(self, epoch: int, index: int, rank: int, world_size: int) -> Batch:
        """Return this process's share of batch `index`: fresh scenes, labels (N, 2)."""
        config = self.config
        check_shares(config.batch_size, world_size)
        weight = next(self.model.parameters())
        if epoch != self._epoch:
            self._scenes = DigitPairs(
                self.training, config.scenes, seed=(config.seed, _EPOCH, epoch + 1),
                device=weight.device,
            )  # fmt: skip
            self._order = numpy_generator(config.seed, _ORDER, epoch + 1).permutation(
                len(self.training)
            )
            self._epoch = epoch
        share = config.batch_size // world_size
        start = index * config.batch_size + rank * share
        scenes = self._scenes[self._order[start : start + share]]
        generator = torch_generator(config.seed, _DRAWS, epoch + 1, index + 1, rank + 1)
        step = epoch * self.n_batches(epoch) + index
        return Batch(scenes.image.to(weight), scenes.labels, generator, step)

    def learning_rate(self, step: int) -> float:
        """Return the step size of an update, counted from 0."""
        config = self.config
        total = config.epochs * self.n_batches(0)
        return config.learning_rate * warm_cosine(step, total, config.warmup, config.final_rate)

    def update(
        self, model: Any, batch: Batch, optimizer: torch.optim.Optimizer, fabric: Fabric
    ) -> Iterator[Metrics]:
        """Take one optimiser step; yield its losses, rewards come and expected, stuck means."""
        config, rate = self.config, self.learning_rate(batch.step)
        for group in optimizer.param_groups:
            group["lr"] = rate * group["share"]
        # Fabric does this itself only where it wraps the module, on several processes.
        with fabric.autocast():
            rollout = model.rollout(
                batch.images, batch.generator, policy="sampled", n_samples=config.n_samples
            )
            losses = losses_of(rollout, batch.labels.repeat_interleave(config.n_samples, 0))
        loss = losses.cross_entropy + losses.policy + losses.baseline
        optimizer.zero_grad()
        fabric.backward(loss)
        optimizer.step()
        yield {
            "loss": loss.item(),
            "cross_entropy": losses.cross_entropy.item(),
            "baseline_error": losses.baseline.item(),
            "digit_accuracy": losses.right.mean().item(),
            "sequence_accuracy": losses.right.prod(1).mean().item(),
            "reward": losses.right.sum(1).mean().item(),
            "value": rollout.values.detach()[:, 0].mean().item(),
            "saturated": saturation(rollout, batch.images),
            "learning_rate": rate,
        }

    def validate(self, model: Any) -> Metrics:
        """Return how often the mean policy reads digits and pairs right that were kept apart."""
        config, device = self.config, next(self.model.parameters()).device
        scenes = DigitPairs(
            self.validation, config.scenes, clutter=self.training,
            seed=(config.seed, _VALIDATION), device=device,
        )  # fmt: skip
        found = evaluate_dram(model.module, scenes, n=config.validation_scenes, seed=config.seed)
        if float(found["saturated"]) > 0.5:
            warnings.warn(
                f"{found['saturated']:.0%} of the mean locations are stuck at the edge of the "
                "image: the policy does not learn. Lower looking_rate or raise n_samples.",
                RuntimeWarning,
                stacklevel=2,
            )
        return {**found, "sequence_accuracy": 1 - float(found["sequence_error"])}

    def provenance(self) -> dict[str, Any]:
        """Return what the weights and a resumed run must agree on."""
        return {
            "model": "DRAM",
            "config": self.config.model,
            "training": self.config,
            "data": self.training.provenance(),
            "validation_data": self.validation.provenance(),
            "seed": self.config.seed,
        }


@torch.no_grad()
def evaluate_dram(
    model: DRAM,
    scenes: DigitPairs,
    *,
    policy: str | Policy = "mean",
    n: int | None = None,
    seed: int = 0,
    chunk: int = 500,
) -> Metrics:
    """Return how often a model misreads.

    Parameters
    ----------
    model : DRAM
    scenes : DigitPairs
    policy : str or Policy
        See `DRAM.rollout`. Images are counted within each chunk: for a policy that needs to know
        which scene it looks at, let one chunk hold them all.
    n : int, optional
        Scenes, spread over the set; all by default.
    seed : int
        Of draws.
    chunk : int
        Scenes at once.

    Returns
    -------
    dict
        ``n`` scenes; ``sequence_error``, the share with a digit wrong or out of order;
        ``digit_error``, the share of digits, and ``digit_error_1`` …, by place in the order;
        ``saturated``, the share of mean locations at the edge.
    """
    weight, generator = next(model.parameters()), torch_generator(seed, _LOOKS)
    right, stuck = [], []
    for batch in scenes.batches(chunk, n):
        images = batch.image.to(weight)
        rollout = model.rollout(images, generator, policy=policy)
        right.append(rollout.logits.argmax(-1) == batch.labels.to(weight.device))
        stuck += [saturation(rollout, images)] * len(images)
    correct = torch.cat(right).double()
    by_place = (1 - correct.mean(0)).tolist()
    return {
        "n": len(correct),
        "sequence_error": 1 - correct.prod(1).mean().item(),
        "digit_error": float(np.mean(by_place)),
        "saturated": float(np.mean(stuck)),
        **{f"digit_error_{i + 1}": error for i, error in enumerate(by_place)},
    }


def saturation(rollout: DRAMRollout, images: Tensor) -> float:
    """Return the share of mean locations that are stuck at the edge of the image."""
    size = (images.shape[-2], images.shape[-1])
    means = MAPS["attnsci"].from_px(rollout.means.detach(), size)
    return (means.abs() > SATURATED).float().mean().item()
