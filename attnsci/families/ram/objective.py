"""Training of the recurrent attention model: classify by gradient, look by reinforcement.

After Mnih, Heess, Graves & Kavukcuoglu 2014, arXiv 1406.6247. What published codes get wrong is
held fast here and in the tests: the policy ascends the reward; the density is that of the draw
before it is brought back to the image, with the deviation that drew it; the advantage is a number,
through which nothing flows; what is never looked at has no density.
"""

import warnings
from collections.abc import Iterator
from typing import Any, ClassVar, NamedTuple

import numpy as np
import torch
from lightning_fabric import Fabric
from torch import Tensor, nn
from torch.nn import functional

from attnsci.data.digits import Digits
from attnsci.data.ram_scenes import ClutteredScenes
from attnsci.families.ram.network import RAM, Rollout
from attnsci.families.ram.policies import Policy
from attnsci.families.ram.recipes import PRESETS as PRESETS
from attnsci.families.ram.recipes import RAMTraining, Reward
from attnsci.seeds import numpy_generator, torch_generator, torch_seed
from attnsci.sensors.glimpse import MAPS
from attnsci.training.digit_split import split_digits
from attnsci.training.schedule import warm_cosine
from attnsci.training.trainer import Metrics, check_shares

_SPLIT, _EPOCH, _ORDER, _VALIDATION, _WEIGHTS, _DRAWS, _LOOKS = range(1, 8)

SATURATED = 0.95
"""Where a mean location counts as stuck at the edge, in half widths of the image."""


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


class Batch(NamedTuple):
    """Images (N, 1, H, W), labels (N,), a stream of draws and the step's place in training."""

    images: Tensor
    labels: Tensor
    generator: torch.Generator
    step: int


class RAMObjective:
    """Cross-entropy after the last glimpse, REINFORCE on the locations, a learned baseline.

    Parameters
    ----------
    config : RAMTraining
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
        "reward": ("reward", "value"), "mean locations at the edge": ("saturated",),
    }  # fmt: skip
    forward_methods: tuple[str, ...] = ("rollout",)

    def __init__(self, config: RAMTraining, digits: Digits | None = None) -> None:
        self.config = config
        self.training, self.validation = split_digits(
            config.source, config.validation_fraction, config.batch_size,
            (config.seed, _SPLIT), digits,
        )  # fmt: skip
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(torch_seed(config.seed, _WEIGHTS))
            self.model: nn.Module = RAM(config.model)
        self._seeing = [
            weight
            for name, weight in self.model.named_parameters()
            if not name.startswith("locator.")
        ]
        self._epoch = -1

    def optimizer(self) -> torch.optim.Optimizer:
        """Return Adam; each part's gradient is of its own term, so that these need no weights."""
        return torch.optim.Adam(self.model.parameters(), lr=self.config.learning_rate, fused=True)

    def n_batches(self, epoch: int) -> int:
        """Return the number of whole batches; the digits left over change every epoch."""
        return len(self.training) // self.config.batch_size

    def batch(self, epoch: int, index: int, rank: int, world_size: int) -> Batch:
        """Return this process's share of batch `index`: fresh scenes each epoch."""
        config = self.config
        check_shares(config.batch_size, world_size)
        weight = next(self.model.parameters())
        if epoch != self._epoch:
            self._scenes = ClutteredScenes(
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
        return Batch(scenes.image.to(weight), scenes.metadata["label"], generator, step)

    def learning_rate(self, step: int) -> float:
        """Return the step size of an update, counted from 0."""
        config = self.config
        total = config.epochs * self.n_batches(0)
        return config.learning_rate * warm_cosine(step, total, config.warmup, config.final_rate)

    def update(
        self, model: Any, batch: Batch, optimizer: torch.optim.Optimizer, fabric: Fabric
    ) -> Iterator[Metrics]:
        """Take one optimiser step; yield its losses and what tells a policy that goes astray.

        ``saturated`` is the share of mean locations at the edge, ``value`` the reward that was
        expected beside the ``reward`` that came, ``policy_gradient`` the norm of the locator's
        gradient.
        """
        config, rate = self.config, self.learning_rate(batch.step)
        for group in optimizer.param_groups:
            group["lr"] = rate
        # Fabric does this itself only where it wraps the module, on several processes.
        with fabric.autocast():
            policy = "sampled" if config.gaze == "learned" else config.gaze
            rollout = model.rollout(
                batch.images, batch.generator, policy=policy, n_samples=config.n_samples
            )
            labels = batch.labels.repeat_interleave(config.n_samples)
            losses = losses_of(rollout, labels, config.reward)
        loss = (
            losses.cross_entropy
            + (losses.policy if config.gaze == "learned" else 0)
            + config.baseline_weight * losses.baseline
        )
        if config.model.readout == "every" or config.early_weight:
            loss = loss + (config.early_weight or 1.0) * early_loss(rollout, labels)
        optimizer.zero_grad()
        fabric.backward(loss)
        nn.utils.clip_grad_norm_(self._seeing, config.clip)
        optimizer.step()
        yield {
            "loss": loss.item(),
            "cross_entropy": losses.cross_entropy.item(),
            "baseline_error": losses.baseline.item(),
            "accuracy": losses.right[:, -1].mean().item(),
            "reward": returns_of(losses.right, config.reward).mean().item(),
            "value": rollout.values.detach().mean().item(),
            "saturated": saturation(self.model, rollout, batch.images),  # type: ignore[arg-type]
            "policy_gradient": _norm_of_gradient(self.model.locator),  # type: ignore[arg-type]
            "learning_rate": rate,
        }

    def validate(self, model: Any) -> Metrics:
        """Return the accuracy of the mean policy, after each glimpse too, on digits kept apart."""
        scenes = ClutteredScenes(
            self.validation,
            self.config.scenes,
            clutter=self.training,
            seed=(self.config.seed, _VALIDATION),
            device=next(self.model.parameters()).device,
        )
        gaze = self.config.gaze
        found = evaluate(
            model.module, scenes, policy="mean" if gaze == "learned" else gaze,
            n=self.config.validation_scenes, seed=self.config.seed,
        )  # fmt: skip
        if float(found["saturated"]) > 0.5:
            warnings.warn(
                f"{found['saturated']:.0%} of the mean locations are stuck at the edge of the "
                "image: the policy does not learn. Lower learning_rate, or "
                "raise n_samples.",
                RuntimeWarning,
                stacklevel=2,
            )
        return found

    def provenance(self) -> dict[str, Any]:
        """Return what the weights and a resumed run must agree on."""
        return {
            "model": "RAM",
            "config": self.config.model,
            "training": self.config,
            "data": self.training.provenance(),
            "validation_data": self.validation.provenance(),
            "seed": self.config.seed,
        }


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
    weight, generator = next(model.parameters()), torch_generator(seed, _LOOKS)
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
