"""Training of the recurrent attention model at Catch: actions and looks by reinforcement.

After Mnih, Heess, Graves & Kavukcuoglu 2014, arXiv 1406.6247. Nobody says what to do or where to
look: there is one reward, at the end, for a ball that was caught, or nearly so while training is
young. The gradient of the actions
teaches all that sees and remembers, that of the locations the locator only, as in classification.
"""

import dataclasses
from collections.abc import Iterator
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from attnsci.checks import check_positive
from attnsci.data.catch import Catch
from attnsci.families.ram.catch import CatchRAM, Play
from attnsci.families.ram.catch_recipes import PRESETS as PRESETS
from attnsci.families.ram.catch_recipes import CatchTraining
from attnsci.families.ram.objective import WATCH, policy_loss
from attnsci.families.ram.policies import Policy
from attnsci.seeds import torch_generator
from attnsci.training.digit_objective import Batch
from attnsci.training.objective import GradientObjective
from attnsci.training.trainer import Metrics, check_shares

_GAMES, _VALIDATION, _TEST, _WEIGHTS, _DRAWS, _LOOKS = range(1, 7)

FLOOR = 0.05
"""Least spread of advantages that they are divided by: where nearly all games end alike, chance
is not to be blown up."""


class Losses(NamedTuple):
    """The terms of the loss and the mean entropy of the actions, scalars; reward (N,)."""

    actions: Tensor
    locations: Tensor
    baseline: Tensor
    entropy: Tensor
    reward: Tensor


def losses_of(play: Play, leniency_px: float = 0.0) -> Losses:
    """Return the terms of the loss of games that were played with the policy "sampled".

    Advantages are divided by their standard deviation over the batch, since few games are won at
    first and nearly all are later.

    Parameters
    ----------
    play : Play
    leniency_px : float
        Columns by which a ball may be missed and still count as caught.
    """
    found = play.rollout
    reward = (play.games[-1].missed_by <= leniency_px).float()
    returns, values = reward[:, None].expand_as(found.values), found.values
    scale = (returns - values.detach()).std(correction=0).clamp(min=FLOOR)
    # A location is drawn from the state before it, where its reward is expected too.
    locations = policy_loss(found.log_probs[:, 1:], returns[:, :-1], values[:, :-1])
    return Losses(
        policy_loss(play.action_log_probs, returns, values) / scale,
        locations / scale,
        functional.mse_loss(values, returns),
        play.entropy.sum(1).mean(),
        reward,
    )


class CatchObjective(GradientObjective):
    """REINFORCE on actions and locations with a learned baseline, every game a new one.

    Parameters
    ----------
    config : CatchTraining
        The recipe.
    """

    network = CatchRAM
    score = "caught"
    forward_methods = ("play",)
    watch = WATCH
    weights_stream = _WEIGHTS

    def __init__(self, config: CatchTraining) -> None:
        self.config = config
        self.model = self.build(CatchRAM, config.model)

    def n_batches(self, epoch: int) -> int:
        """Return the number of updates between two validations."""
        return self.config.batches_per_epoch

    def batch(self, epoch: int, index: int, rank: int, world_size: int) -> Batch:
        """Return this process's share of a batch: games that were never played."""
        config = self.config
        check_shares(config.batch_size, world_size)
        share = config.batch_size // world_size
        games = Catch.start(
            config.batch_size,
            seed=(config.seed, _GAMES, epoch + 1, index + 1),
            size=config.size,
            device=self.device,
        )[rank * share : (rank + 1) * share]
        place = (epoch + 1, index + 1, rank + 1)
        return Batch(games, epoch * self.n_batches(epoch) + index, place)

    def leniency_px(self, step: int) -> float:
        """Return by how much a ball may be missed at an update, counted from 0."""
        config = self.config
        fall = config.lenient * config.epochs * config.batches_per_epoch
        return config.leniency_px * max(0.0, 1 - step / fall) if fall else 0.0

    def losses(self, model: Any, batch: Batch) -> Iterator[tuple[Tensor, Metrics]]:
        """Play a batch; yield the loss and its parts.

        ``reward`` is the share that counted as caught and ``caught`` that which was, ``value`` the
        reward that was expected on average, ``entropy`` that of an action, in nats.
        """
        generator = torch_generator(self.config.seed, _DRAWS, *batch.place)
        play = model.play(batch.stimuli, generator, policy="sampled")
        terms = losses_of(play, self.leniency_px(batch.step))
        # No two of the first three reach the same weights, and Adam takes each at its own scale:
        # there is nothing to weigh.
        loss = terms.actions + terms.locations + terms.baseline
        yield (
            loss - self.config.entropy_weight * terms.entropy,
            {
                "baseline_error": terms.baseline.item(),
                "reward": terms.reward.mean().item(),
                "caught": play.games[-1].caught.float().mean().item(),
                "value": play.rollout.values.detach().mean().item(),
                "entropy": terms.entropy.item() / play.actions.shape[1],
            },
        )

    def validate(self, model: Any) -> Metrics:
        """Return how the mean policy plays games kept apart."""
        config = self.config
        games = Catch.start(
            config.validation_games, seed=(config.seed, _VALIDATION), size=config.size
        )
        scores = _score(model.module, games, "mean", config.seed, 500)
        distances = scores.gaze_to_ball_px
        return {
            "n": scores.n,
            "caught": scores.caught,
            "gaze_to_ball_px": sum(distances) / len(distances),
        }

    def provenance(self) -> dict[str, Any]:
        """Return what the weights and a resumed run must agree on."""
        data = {"stimuli": "Catch", "size": self.config.size}
        return {**super().provenance(), "data": data}


@dataclasses.dataclass(frozen=True)
class CatchScores:
    """How games were played.

    Attributes
    ----------
    n : int
        Games.
    caught : float
        Share of them that was won.
    gaze_to_ball_px : tuple of float
        Mean distance from gaze to the ball, in pixels, at each step.
    """

    n: int
    caught: float
    gaze_to_ball_px: tuple[float, ...]


def evaluate_catch(
    model: CatchRAM,
    n: int = 10_000,
    seed: int = 0,
    *,
    policy: str | Policy = "mean",
    size: int = 24,
    chunk: int = 500,
) -> CatchScores:
    """Return how well a model plays games that no training has seen.

    Parameters
    ----------
    model : CatchRAM
    n : int
        Games.
    seed : int
        Of the games, the first locations and the draws.
    policy : {"mean", "sampled", "random", "centre", "grid"} or callable
        Where it looks, see `CatchRAM.play`.
    size : int
        Side of the room.
    chunk : int
        Games at once; it changes nothing but memory.

    Returns
    -------
    CatchScores

    Examples
    --------
    >>> found = evaluate_catch(CatchRAM(), n=100, policy="centre")
    >>> found.n, len(found.gaze_to_ball_px)
    (100, 23)
    """
    check_positive("chunk", chunk, integer=True)
    return _score(model, Catch.start(n, seed=(seed, _TEST), size=size), policy, seed, chunk)


@torch.no_grad()
def _score(
    model: CatchRAM, games: Catch, policy: str | Policy, seed: int, chunk: int
) -> CatchScores:
    weight, generator = next(model.parameters()), torch_generator(seed, _LOOKS)
    caught: list[Tensor] = []
    away: list[Tensor] = []
    for i in range(0, len(games), chunk):
        play = model.play(games[i : i + chunk].to(weight.device), generator, policy=policy)
        balls = torch.stack([moment.ball for moment in play.games[:-1]], 1)
        away.append((play.rollout.locations - balls).norm(dim=-1))
        caught.append(play.games[-1].caught)
    return CatchScores(
        len(games),
        torch.cat(caught).double().mean().item(),
        tuple(torch.cat(away).double().mean(0).tolist()),
    )
