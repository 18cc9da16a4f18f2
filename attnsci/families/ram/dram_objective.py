"""Training of the deep recurrent attention model: read by gradient, look by reinforcement.

After Ba, Mnih & Kavukcuoglu 2014, arXiv 1412.7755: cross-entropy of every target after its last
glimpse, and a reward of 1 for every target that is named right. A location is credited with the
rewards of its own target and of those after it, on which alone it has an effect.
"""

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from attnsci.data.digit_pairs import DigitPairs
from attnsci.data.digits import Digits
from attnsci.families.ram.dram import DRAM, DRAMRollout
from attnsci.families.ram.dram_recipes import PRESETS as PRESETS
from attnsci.families.ram.objective import SATURATED, WATCH, policy_loss, warn_of_edges
from attnsci.families.ram.policies import Policy
from attnsci.seeds import torch_generator
from attnsci.sensors.glimpse import MAPS
from attnsci.training.digit_objective import DRAWS, LOOKS, Batch, DigitObjective
from attnsci.training.trainer import Metrics

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


class DRAMObjective(DigitObjective):
    """Cross-entropy of every target, REINFORCE on the locations, a learned baseline.

    The three terms teach parts of the network that have no parameter in common, so that Adam,
    which is indifferent to scale, needs step sizes and no weights to tell them apart.
    """

    network = DRAM
    score = "sequence_accuracy"
    forward_methods = ("rollout",)
    watch = WATCH

    def scenes(self, digits: Digits, seed: tuple[int, ...]) -> DigitPairs:
        """Return pairs of the recipe, with clutter of training digits."""
        return DigitPairs(
            digits, self.config.scenes, clutter=self.training, seed=seed, device=self.device
        )

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

    def losses(self, model: Any, batch: Batch) -> Iterator[tuple[Tensor, Metrics]]:
        """Yield the loss, with its parts, rewards come and expected, and stuck means."""
        config = self.config
        images = batch.stimuli.image.to(self.device, self.dtype)
        generator = torch_generator(config.seed, DRAWS, *batch.place)
        rollout = model.rollout(images, generator, policy="sampled", n_samples=config.n_samples)
        labels = batch.stimuli.labels.repeat_interleave(config.n_samples, 0)
        terms = losses_of(rollout, labels)
        yield (
            terms.cross_entropy + terms.policy + terms.baseline,
            {
                "cross_entropy": terms.cross_entropy.item(),
                "baseline_error": terms.baseline.item(),
                "digit_accuracy": terms.right.mean().item(),
                "sequence_accuracy": terms.right.prod(1).mean().item(),
                "reward": terms.right.sum(1).mean().item(),
                "value": rollout.values.detach()[:, 0].mean().item(),
                "saturated": saturation(rollout, images),
            },
        )

    def evaluate(self, model: Any, scenes: DigitPairs) -> Metrics:
        """Return how often the mean policy reads digits and pairs right."""
        config = self.config
        metrics = evaluate_dram(model, scenes, n=config.validation_scenes, seed=config.seed)
        warn_of_edges(metrics, "Lower looking_rate or raise n_samples.")
        return {**metrics, "sequence_accuracy": 1 - float(metrics["sequence_error"])}


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
    weight, generator = next(model.parameters()), torch_generator(seed, LOOKS)
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
