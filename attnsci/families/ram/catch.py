"""The recurrent attention model at play: at every step one glimpse, one action, the next look.

Mnih, Heess, Graves & Kavukcuoglu 2014, "Recurrent Models of Visual Attention", arXiv 1406.6247,
their dynamic task. The network is that of `attnsci.families.ram.network` with an LSTM for a core;
its readout names an action after every glimpse, and what it looks at answers to that action.

The gradient of the actions' log-probabilities takes the place of the classification's: it reaches
the readout, the core and the glimpse network. That of the locations' reaches the locator only.
"""

from typing import Any, NamedTuple, Protocol, Self

import torch
from torch import Tensor, nn

from attnsci.errors import InvalidInput
from attnsci.families.ram.config import CATCH, RAMConfig
from attnsci.families.ram.glimpse_model import Learned
from attnsci.families.ram.network import RAM, Rollout, _Way
from attnsci.families.ram.parts import State
from attnsci.families.ram.policies import Draws, Policy
from attnsci.seeds import torch_generator


class Game(Protocol):
    """One moment of N games, such as `attnsci.data.catch.Catch`; a step returns the next."""

    @property
    def frames(self) -> Tensor:
        """What there is to see, (N, C, H, W), float."""

    @property
    def n_steps(self) -> int:
        """Steps that are left."""

    def __len__(self) -> int: ...

    def step(self, actions: Tensor) -> Self:
        """Return the moment after actions (N,), int64."""


class Play(NamedTuple):
    """All that happened in N games of T steps.

    Attributes
    ----------
    rollout : Rollout
        Glimpses, states, locations, values and, as ``logits``, those of the actions: one of each
        for every step.
    actions : Tensor, shape (N, T), int64
        What was done after each glimpse.
    games : tuple of Game, length T + 1
        The moment of each glimpse, and the end.
    """

    rollout: Rollout
    actions: Tensor
    games: tuple[Any, ...]

    @property
    def action_log_probs(self) -> Tensor:
        """Log probability of each action under the learned policy, shape (N, T)."""
        chances = self.rollout.logits.float().log_softmax(-1)
        return chances.gather(2, self.actions[..., None])[..., 0]

    @property
    def entropy(self) -> Tensor:
        """Entropy of the actions, in nats, shape (N, T)."""
        chances = self.rollout.logits.float().log_softmax(-1)
        return -(chances.exp() * chances).sum(-1)


class CatchRAM(RAM):
    """Watches a game through glimpses and plays it.

    Parameters
    ----------
    config : RAMConfig, optional
        The preset "catch" if not given; classes are actions. Keyword arguments replace single
        settings.
    **settings
        Fields of `RAMConfig`.

    Raises
    ------
    InvalidInput
        If there is a readout for every glimpse; actions are all read in the same way.

    Examples
    --------
    >>> from attnsci.data.catch import Catch
    >>> played = CatchRAM().play(Catch.start(5))
    >>> played.actions.shape, played.games[-1].caught.shape
    (torch.Size([5, 23]), torch.Size([5]))
    """

    name = "CatchRAM"

    def __init__(self, config: RAMConfig | None = None, **settings: Any) -> None:
        super().__init__(config or CATCH, **settings)
        if self.config.readout != "last":
            raise InvalidInput(
                f"One readout names the actions of all steps; got readout={self.config.readout!r}. "
                "Take readout='last'."
            )
        self._start_loud()

    def _start_loud(self) -> None:
        """Draw weights that pass on as much as they get (He et al. 2015, arXiv 1502.01852).

        Torch's own let a third through in each layer. Of a ball that is one pixel next to nothing
        would reach the actions, and a reward at the end is too little to dig it out again.
        """
        for layer in nn.Sequential(*self.what, *self.where, *self.glimpse):
            if isinstance(layer, nn.Linear):
                nn.init.kaiming_normal_(layer.weight)
                nn.init.zeros_(layer.bias)
        with torch.no_grad():
            weight = self.core.get_parameter("linear.weight")
            n = len(weight[0]) // 2
            weight[:, :n].normal_(std=n**-0.5)
            for gate in weight[:, n:].split(n):
                gate.copy_(nn.init.orthogonal_(torch.empty_like(gate)))

    def play(
        self,
        game: Game,
        generator: torch.Generator | None = None,
        *,
        policy: Learned | str | Policy = "mean",
    ) -> Play:
        """Play games to their end.

        Parameters
        ----------
        game : Game
            Where they begin.
        generator : torch.Generator, optional
            Of first locations and of draws, the same for the first games however many there are;
            that of seed 0 if not given.
        policy : {"sampled", "mean", "random", "centre", "grid"} or callable
            How glimpses are placed, see `RAM.rollout`. Actions are drawn where locations are
            ("sampled"); with any other policy the likeliest is taken.

        Returns
        -------
        Play

        Raises
        ------
        InvalidInput
            If the games are over, or frames do not fit the model.
        """
        if game.n_steps == 0:
            raise InvalidInput("The games are over; begin others.")
        chosen, frames = self._policy(policy), self._frames(game)
        if frames.shape[1] != self.config.channels:
            raise InvalidInput(
                f"The model was made for {self.config.channels} channel(s); frames are "
                f"{tuple(frames.shape)}."
            )
        draws, choices = _draws(generator, game, frames)
        rows = torch.arange(len(game), device=frames.device)
        size = (frames.shape[-2], frames.shape[-1])
        way = _Way([], [], [], [], [], [])
        state: State = ()
        games, actions = [game], []
        for t in range(game.n_steps):
            xy, drawn = self._next(chosen, size, rows, way, draws)
            state = self._see(self._sensor(self._frames(games[-1])), xy[:, None], drawn, state, way)
            with torch.no_grad():
                logits = self.readout[0](state[0]).float()
                sampled = chosen == "sampled"
                action = _drawn(logits, choices[:, t]) if sampled else logits.argmax(1)
            actions.append(action)
            games.append(games[-1].step(action))
        return Play(self._rollout(way, size), torch.stack(actions, 1), tuple(games))

    def _frames(self, game: Game) -> Tensor:
        return game.frames.to(self.baseline.weight)


def _draws(generator: torch.Generator | None, game: Game, like: Tensor) -> tuple[Draws, Tensor]:
    """Return random numbers for locations, and in [0, 1) for actions (N, step).

    Game after game from one stream, so that parts of a batch played in turn get the same.
    """
    source = torch_generator(0) if generator is None else generator
    shape = (len(game), game.n_steps, 5)
    numbers = torch.rand(shape, generator=source, device=source.device)
    return Draws._split(numbers[..., :4]).to(like), numbers[..., 4].to(like.device)


def _drawn(logits: Tensor, uniform: Tensor) -> Tensor:
    """Return a draw (N,) from each row of logits (N, action), by numbers in [0, 1)."""
    upto = logits.softmax(1).cumsum(1)[:, :-1]  # the last is 1, or nearly
    return (uniform[:, None] >= upto).sum(1)
