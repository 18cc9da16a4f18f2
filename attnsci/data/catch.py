"""Catch: a ball falls through a dark room and a paddle on the floor must be under it.

The dynamic task of Mnih, Heess, Graves & Kavukcuoglu 2014, "Recurrent Models of Visual Attention",
arXiv 1406.6247: 24×24 binary pixels, a ball of one that comes down a row a step at a random angle
and bounces off the walls, a paddle of two in the last row that goes left, stays or goes right, and
one reward, at the end. All games of a batch are played at once.
"""

import dataclasses
import math

import numpy as np
import torch
from torch import Tensor

from attnsci.checks import check_positive
from attnsci.errors import InvalidInput
from attnsci.seeds import numpy_generator

SIZE = 24
PADDLE = 2
"""Width of the paddle, in pixels."""
LEFT, STAY, RIGHT = ACTIONS = (0, 1, 2)


@dataclasses.dataclass(frozen=True)
class Catch:
    """One moment of N games; begin them with `Catch.start`.

    Attributes
    ----------
    x : Tensor, shape (N,), float32
        Where each ball is across the room, in continuous pixels; for one step beyond a wall, at
        which it is then drawn.
    dx : Tensor, shape (N,), float32
        Pixels to the right that it moves in a step, in [−1, 1].
    paddle : Tensor, shape (N,), int64
        First column of each paddle.
    row : int
        Of all balls; the number of steps so far.
    size : int
        Side of the room.

    Examples
    --------
    >>> game = Catch.start(5, seed=0)
    >>> while not game.over:
    ...     game = game.step(torch.full((5,), STAY))
    >>> game.frames.shape, game.row, game.caught.tolist()
    (torch.Size([5, 1, 24, 24]), 23, [False, False, False, False, False])
    """

    x: Tensor
    dx: Tensor
    paddle: Tensor
    row: int
    size: int

    @classmethod
    def start(
        cls,
        n: int,
        *,
        seed: int | tuple[int, ...] = 0,
        size: int = SIZE,
        device: str | torch.device = "cpu",
    ) -> "Catch":
        """Begin games; game i depends on the seed and i, and on nothing else.

        Column and place of the paddle are uniform, the angle of the fall is uniform from 45° to
        135°, and the ball goes cos(angle) / cos 45° to the side in a step.

        Parameters
        ----------
        n : int
            Games.
        seed : int or tuple of int
            Names the set of games; a training run takes (seed, epoch, batch).
        size : int
            Side of the room; a game has one step less.
        device : str or torch.device
            Where games are played.

        Raises
        ------
        InvalidInput
            If there is no game, or no room for a paddle and a fall.
        """
        check_positive("n", n, integer=True)
        check_positive("size", size, integer=True)
        if size < PADDLE:
            raise InvalidInput(f"A paddle of {PADDLE} pixels needs a larger room; got size {size}.")
        stream = (int(seed),) if not isinstance(seed, tuple) else seed
        # Drawn in single precision: numbers of double could be rounded up to the far wall.
        drawn = torch.from_numpy(numpy_generator(*stream).random((n, 3), np.float32))
        column, angle, paddle = drawn.unbind(1)
        dx = (45 + 90 * angle).deg2rad().cos() / math.cos(math.pi / 4)
        first = ((size - PADDLE + 1) * paddle).long()
        return cls((size * column).to(device), dx.to(device), first.to(device), 0, size)

    def __len__(self) -> int:
        return len(self.x)

    def to(self, device: str | torch.device) -> "Catch":
        """Return the games on another device."""
        return dataclasses.replace(
            self, x=self.x.to(device), dx=self.dx.to(device), paddle=self.paddle.to(device)
        )

    def __getitem__(self, index: slice | Tensor) -> "Catch":
        """Return some of the games, as a batch."""
        return dataclasses.replace(
            self, x=self.x[index], dx=self.dx[index], paddle=self.paddle[index]
        )

    @property
    def n_steps(self) -> int:
        """Steps that are left."""
        return self.size - 1 - self.row

    @property
    def over(self) -> bool:
        """Whether the balls are on the floor."""
        return self.n_steps == 0

    @property
    def column(self) -> Tensor:
        """Column in which each ball is drawn, shape (N,), int64."""
        return self.x.floor().long().clamp(0, self.size - 1)

    @property
    def ball(self) -> Tensor:
        """Centre of the pixel that each ball is, (N, 2), as (x, y) in continuous pixels."""
        return torch.stack([self.column + 0.5, torch.full_like(self.x, self.row + 0.5)], 1)

    @property
    def frames(self) -> Tensor:
        """What there is to see, shape (N, 1, size, size), float32: 0 and 1."""
        floor = (self.size - 1) * self.size + self.paddle
        lit = [self.row * self.size + self.column, *(floor + i for i in range(PADDLE))]
        room = self.x.new_zeros(len(self), self.size**2)
        return room.scatter_(1, torch.stack(lit, 1), 1).view(-1, 1, self.size, self.size)

    @property
    def missed_by(self) -> Tensor:
        """Columns between each ball, which fell, and the paddle, shape (N,), int64; 0 if caught.

        Raises
        ------
        InvalidInput
            If the balls are still in the air.
        """
        if not self.over:
            raise InvalidInput(
                f"The balls are in row {self.row}; the outcome is known in row {self.size - 1}, "
                f"after {self.n_steps} more step(s)."
            )
        right = self.column - self.paddle
        return torch.maximum(-right, right - PADDLE + 1).clamp(min=0)

    @property
    def caught(self) -> Tensor:
        """Whether each ball fell on the paddle, shape (N,), bool; see `missed_by`."""
        return self.missed_by == 0

    def step(self, actions: Tensor) -> "Catch":
        """Return the next moment.

        Parameters
        ----------
        actions : Tensor, shape (N,), integer
            `LEFT`, `STAY` or `RIGHT` for each paddle, which stops at the walls.

        Raises
        ------
        InvalidInput
            If the games are over, or there is not one known action for each.
        """
        if self.over:
            raise InvalidInput("The games are over; begin others with Catch.start.")
        if actions.shape != self.paddle.shape or actions.is_floating_point():
            raise InvalidInput(
                f"actions must be whole numbers of shape ({len(self)},); got {actions.dtype} "
                f"{tuple(actions.shape)}."
            )
        if ((actions < LEFT) | (actions > RIGHT)).any():
            raise InvalidInput(
                f"Actions are {LEFT} (left), {STAY} (stay) and {RIGHT} (right); got "
                f"{int(actions.min())} to {int(actions.max())}."
            )
        x = self.x + self.dx
        beyond = (x < 0) | (x >= self.size)
        return dataclasses.replace(
            self,
            x=x,
            dx=torch.where(beyond, -self.dx, self.dx),
            paddle=(self.paddle + actions - STAY).clamp(0, self.size - PADDLE),
            row=self.row + 1,
        )
