"""Training of the recurrent attention model: classify by gradient, look by reinforcement.

After Mnih, Heess, Graves & Kavukcuoglu 2014, arXiv 1406.6247. What published codes get wrong is
held fast here and in the tests: the policy ascends the reward; the density is that of the draw
before it is brought back to the image, with the deviation that drew it; the advantage is a number,
through which nothing flows; what is never looked at has no density.
"""

import warnings
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from attnsci.data.digits import Digits
from attnsci.data.ram_scenes import ClutteredScenes
from attnsci.families.ram.network import RAM, Rollout
from attnsci.families.ram.policies import Policy
from attnsci.families.ram.recipes import PRESETS as PRESETS
from attnsci.families.ram.recipes import Reward
from attnsci.seeds import torch_generator
from attnsci.sensors.glimpse import MAPS
from attnsci.training.digit_objective import DRAWS, LOOKS, Batch, DigitObjective
from attnsci.training.trainer import Metrics

SATURATED = 0.95
"""Where a mean location counts as stuck at the edge, in half widths of the image."""
WATCH = {"reward": ("reward", "value"), "mean locations at the edge": ("saturated",)}
"""Panels of the figure of a run."""


def policy_loss(log_probs: Tensor, returns: Tensor, values: Tensor) -> Tensor:
    """Return what to descend so that the policy ascends the expected reward (REINFORCE).

    Parameters
    ----------
    log_probs : Tensor, shape (R, step)
        Log density of each draw.
    returns : Tensor, shape (R, step)
        Reward that followed.
    values : Tensor, shape (R, step)
        Reward that was expected; a baseline, which gets no gradient here.

    Returns
    -------
    Tensor, scalar
        Its gradient is minus an unbiased estimate of the gradient of the mean reward.

    References
    ----------
    Williams 1992, Machine Learning 8:229.
    """
    return -(log_probs * (returns - values).detach()).sum(1).mean()


def returns_of(right: Tensor, reward: Reward) -> Tensor:
    """Return the reward from each glimpse on, of answers (R, glimpse) right (1) or wrong (0).

    Examples
    --------
    >>> returns_of(torch.tensor([[1.0, 0.0, 1.0]]), "every").tolist()
    [[0.6666666865348816, 0.5, 1.0]]
    """
    if reward == "last":
        return right[:, -1:].expand_as(right)
    to_come = torch.arange(right.shape[1], 0, -1, device=right.device)
    return right.flip(1).cumsum(1).flip(1) / to_come


class Losses(NamedTuple):
    """The terms of the hybrid loss, scalars, and what was right (R, glimpse)."""

    cross_entropy: Tensor
    policy: Tensor
    baseline: Tensor
    right: Tensor


def losses_of(rollout: Rollout, labels: Tensor, reward: Reward = "last") -> Losses:
    """Return the terms of the hybrid loss of a sampled rollout.

    Parameters
    ----------
    rollout : Rollout
        Of the policy "sampled".
    labels : Tensor, shape (R,), int64
        A class for each row.
    reward : {"last", "every"}
    """
    right = (rollout.logits.detach().argmax(-1) == labels[:, None]).float()
    returns = returns_of(right, reward)[:, 1:]
    # A location is drawn from the state before it, where its reward is expected too.
    values = rollout.values[:, :-1]
    error = functional.mse_loss(values, returns) if values.numel() else values.sum()
    return Losses(
        functional.cross_entropy(rollout.answer.float(), labels),
        policy_loss(rollout.log_probs[:, 1:], returns, values),
        error,
        right,
    )


def early_loss(rollout: Rollout, labels: Tensor) -> Tensor:
    """Return the mean cross-entropy after all glimpses but the last, a scalar."""
    logits = rollout.logits[:, :-1].float()
    if not logits.numel():
        return logits.sum()
    spread = labels[:, None].expand(-1, logits.shape[1])
    return functional.cross_entropy(logits.flatten(0, 1), spread.flatten())


class RAMObjective(DigitObjective):
    """Cross-entropy after the last glimpse, REINFORCE on the locations, a learned baseline.

    Each part's gradient is of its own term, so that Adam's parts need no weights.
    """

    network = RAM
    forward_methods = ("rollout",)
    watch = WATCH

    def scenes(self, digits: Digits, seed: tuple[int, ...]) -> ClutteredScenes:
        """Return scenes of the recipe, with clutter of training digits."""
        return ClutteredScenes(
            digits, self.config.scenes, clutter=self.training, seed=seed, device=self.device
        )

    def losses(self, model: Any, batch: Batch) -> Iterator[tuple[Tensor, Metrics]]:
        """Yield the loss, with its parts and what tells a policy that goes astray.

        ``saturated`` is the share of mean locations at the edge, ``value`` the reward that was
        expected beside the ``reward`` that came.
        """
        config = self.config
        images = batch.stimuli.image.to(self.device, self.dtype)
        rollout = model.rollout(
            images,
            torch_generator(config.seed, DRAWS, *batch.place),
            policy="sampled" if config.gaze == "learned" else config.gaze,
            n_samples=config.n_samples,
        )
        labels = batch.stimuli.metadata["label"].repeat_interleave(config.n_samples)
        terms = losses_of(rollout, labels, config.reward)
        loss = (
            terms.cross_entropy
            + (terms.policy if config.gaze == "learned" else 0)
            + config.baseline_weight * terms.baseline
        )
        if config.model.readout == "every" or config.early_weight:
            loss = loss + (config.early_weight or 1.0) * early_loss(rollout, labels)
        yield (
            loss,
            {
                "cross_entropy": terms.cross_entropy.item(),
                "baseline_error": terms.baseline.item(),
                "accuracy": terms.right[:, -1].mean().item(),
                "reward": returns_of(terms.right, config.reward).mean().item(),
                "value": rollout.values.detach().mean().item(),
                "saturated": saturation(self.model, rollout, images),  # type: ignore[arg-type]
            },
        )

    def before_step(self) -> Metrics:
        """Clip the gradients of all parts but the locator, of whose gradient the norm is kept."""
        seeing = [w for name, w in self.model.named_parameters() if not name.startswith("locator.")]
        nn.utils.clip_grad_norm_(seeing, self.config.clip)
        return {"policy_gradient": _norm_of_gradient(self.model.locator)}  # type: ignore[arg-type]

    def evaluate(self, model: Any, scenes: ClutteredScenes) -> Metrics:
        """Return the accuracy of the mean policy, after each glimpse too."""
        gaze = self.config.gaze
        metrics = evaluate(
            model, scenes, policy="mean" if gaze == "learned" else gaze,
            n=self.config.validation_scenes, seed=self.config.seed,
        )  # fmt: skip
        warn_of_edges(metrics, "Lower learning_rate, or raise n_samples.")
        return metrics


def warn_of_edges(metrics: Metrics, remedy: str) -> None:
    """Warn of a policy that looks at the edge of the image most of the time."""
    if float(metrics["saturated"]) > 0.5:
        warnings.warn(
            f"{metrics['saturated']:.0%} of the mean locations are stuck at the edge of the "
            f"image: the policy does not learn. {remedy}",
            RuntimeWarning,
            stacklevel=2,
        )


@torch.no_grad()
def evaluate(
    model: RAM,
    scenes: ClutteredScenes,
    *,
    policy: str | Policy = "mean",
    n_samples: int = 1,
    n: int | None = None,
    seed: int = 0,
    chunk: int = 500,
) -> Metrics:
    """Return how often a model is right.

    Parameters
    ----------
    model : RAM
    scenes : ClutteredScenes
    policy : str or Policy
        See `RAM.rollout`.
    n_samples : int
        Times that each scene is looked at.
    n : int, optional
        Scenes, spread over the set; all by default.
    seed : int
        Of first locations and draws.
    chunk : int
        Scenes at once.

    Returns
    -------
    dict
        ``n`` scenes; ``accuracy`` after the last glimpse, a mean over scenes and samples, and
        ``accuracy_averaged``, of the samples' mean probabilities; ``accuracy_glimpse_1`` …;
        ``saturated``, the share of mean locations at the edge; ``value``, the expected reward.
    """
    weight, generator = next(model.parameters()), torch_generator(seed, LOOKS)
    right: list[Tensor] = []
    averaged: list[Tensor] = []
    others: list[tuple[float, float]] = []
    for batch in scenes.batches(chunk, n):
        images, labels = batch.image.to(weight), batch.metadata["label"].to(weight.device)
        rollout = model.rollout(images, generator, policy=policy, n_samples=n_samples)
        logits = rollout.logits.float().unflatten(0, (len(labels), n_samples))
        right.append((logits.argmax(-1) == labels[:, None, None]).double().mean(1))
        averaged.append(logits[:, :, -1].softmax(-1).mean(1).argmax(-1) == labels)
        others += [(saturation(model, rollout, images), rollout.values.mean().item())] * len(labels)
    by_glimpse = torch.cat(right).mean(0).tolist()
    saturated, value = np.mean(others, axis=0).tolist()
    return {
        "n": len(others),
        "accuracy": by_glimpse[-1],
        "accuracy_averaged": torch.cat(averaged).double().mean().item(),
        "saturated": saturated,
        "value": value,
        **{f"accuracy_glimpse_{t + 1}": value for t, value in enumerate(by_glimpse)},
    }


def saturation(model: RAM, rollout: Rollout, images: Tensor) -> float:
    """Return the share of mean locations beyond `SATURATED`, those never looked at left out."""
    size = (images.shape[-2], images.shape[-1])
    means = MAPS[model.config.coordinates].from_px(rollout.means.detach()[:, :-1], size)
    return (means.abs() > SATURATED).float().mean().item() if means.numel() else 0.0


def _norm_of_gradient(module: nn.Module) -> float:
    gradients = [p.grad for p in module.parameters() if p.grad is not None]
    if not gradients:
        return 0.0
    return torch.linalg.vector_norm(torch.cat([g.flatten() for g in gradients])).item()
