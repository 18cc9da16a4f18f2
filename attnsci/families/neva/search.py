"""Where to look next: searches for the fixation that leaves a task the least loss.

Each search gets a `Problem`, which knows the loss of looking at given positions, and returns for
every image the position, its loss and, where it has one, the map of losses it saw.
"""

import dataclasses
from collections.abc import Callable
from typing import Any, Protocol

import torch
from torch import Tensor

from attnsci.errors import InvalidInput


class Draws(Protocol):
    """Random numbers of a search, one stream an image."""

    def uniform(self, images: Tensor) -> Tensor:
        """Return numbers (N, 2) in [0, 1), of use where `images` (N,) is True."""


@dataclasses.dataclass(frozen=True)
class Problem:
    """One fixation to choose, for N images at once.

    Attributes
    ----------
    losses : callable
        Positions (N, K, 2) to losses (N, K), without gradient; the keyword ``coarse`` asks for
        the cheap resolution.
    loss_and_gradient : callable
        Positions (N, 2) to losses (N,) and their gradients (N, 2); or positions (M, 2) and the
        numbers (M,) of their images.
    exact : callable or None
        Returns the losses (N, H, W) of all pixels' centres, where the task knows them.
    size : tuple of int
        Height and width of the images.
    n : int
    like : Tensor
        Says dtype and device.
    """

    losses: Callable[..., Tensor]
    loss_and_gradient: Callable[..., tuple[Tensor, Tensor]]
    exact: Callable[[], Tensor] | None
    size: tuple[int, int]
    n: int
    like: Tensor

    @property
    def centre(self) -> Tensor:
        """The middle of the image for each of them, (N, 2)."""
        height, width = self.size
        return self.like.new_tensor([width / 2, height / 2]).expand(self.n, 2).clone()

    @property
    def reach(self) -> Tensor:
        """From the first pixel's centre to the last one's, (2,)."""
        height, width = self.size
        return self.like.new_tensor([width - 1.0, height - 1.0])

    def inside(self, xy: Tensor) -> Tensor:
        """Return positions (..., 2) moved onto the image."""
        return torch.minimum((xy - 0.5).clamp(min=0), self.reach) + 0.5


@dataclasses.dataclass(frozen=True)
class Found:
    """What a search found.

    Attributes
    ----------
    xy : Tensor (N, 2)
        The position to look at.
    loss : Tensor (N,)
        The least loss that was seen; in the published variant not that of `xy`.
    iterations : Tensor (N, I)
        Losses in the order in which they were computed, NaN where an image had stopped.
    tried : Tensor (N, I, 2)
        Their positions.
    priority : Tensor (N, rows, columns), optional
        Losses on a grid over the whole image.
    """

    xy: Tensor
    loss: Tensor
    iterations: Tensor
    tried: Tensor
    priority: Tensor | None = None


def sign_gradient(problem: Problem, config: Any, draws: Draws) -> Found:
    """Descend by the sign of the gradient from the centre, jittered where nothing improves.

    The published search. Where an iteration is not better than the best so far, the position is
    jittered, or with restarts drawn anew from the whole image. The published code keeps the
    position *after* the step with the loss from before it (``best_position="stepped"``).
    """
    step = config.step * problem.reach.min() / 2
    xy = problem.centre
    best_loss = torch.full_like(xy[:, 0], torch.inf)
    best_xy = xy.clone()
    losses, tried, stale = [], [], torch.zeros_like(best_loss)
    for _ in range(config.iterations):
        if config.patience is None:
            loss, gradient = problem.loss_and_gradient(xy)
        else:
            going = (stale < config.patience).nonzero()[:, 0]
            if len(going) == 0:
                # Every fixation takes as many numbers, whenever its neighbours stop.
                draws.uniform(torch.zeros_like(stale, dtype=torch.bool))
                continue
            loss, gradient = torch.full_like(best_loss, torch.nan), torch.zeros_like(xy)
            loss[going], gradient[going] = problem.loss_and_gradient(xy[going], going)
        losses.append(loss)
        tried.append(torch.where(loss.isnan()[:, None], torch.nan, xy))
        moved = xy - step * gradient.sign()
        if config.bounds == "frame":
            moved = problem.inside(moved)
        better = loss < best_loss
        best_xy = torch.where(
            better[:, None], moved if config.best_position == "stepped" else xy, best_xy
        )
        best_loss = torch.where(better, loss, best_loss)
        drawn = draws.uniform(~better)
        jittered = moved + step * (drawn - 0.5)
        elsewhere = drawn * problem.reach + 0.5 if config.restarts else jittered
        if config.bounds == "frame":
            elsewhere = problem.inside(elsewhere)
        xy = torch.where(better[:, None], moved, elsewhere)
        stale = torch.where(better, 0, stale + 1)
    return Found(best_xy, best_loss, torch.stack(losses, 1), torch.stack(tried, 1))


def multistart(problem: Problem, config: Any, draws: Draws) -> Found:
    """Descend from a grid of starting points at once, and keep the best position of all."""
    starts, _ = grid_points(problem, config.grid)
    first = problem.losses(starts)
    best, order = first.sort(dim=1)
    chosen = order[:, : config.keep]
    lanes = torch.gather(starts, 1, chosen[..., None].expand(-1, -1, 2))
    step = config.step * problem.reach.min() / 2
    best_loss, best_xy = best[:, 0], lanes[:, 0]
    losses, tried = [first], [starts]
    for _ in range(config.iterations // config.keep):
        moves = [problem.loss_and_gradient(lanes[:, lane]) for lane in range(lanes.shape[1])]
        loss = torch.stack([each for each, _ in moves], 1)
        gradient = torch.stack([each for _, each in moves], 1)
        losses.append(loss)
        tried.append(lanes)
        least, lane = loss.min(1)
        better = least < best_loss
        at = lanes[torch.arange(problem.n), lane]
        best_xy = torch.where(better[:, None], at, best_xy)
        best_loss = torch.where(better, least, best_loss)
        lanes = problem.inside(lanes - step * gradient.sign())
        step = step * 0.8
    return Found(best_xy, best_loss, torch.cat(losses, 1), torch.cat(tried, 1))


def grid(problem: Problem, config: Any, draws: Draws) -> Found:
    """Try a grid over the image, then ever nearer neighbours of the best point.

    With ``coarse_px`` the grid is seen at a low resolution, and its ``keep`` best points once
    more at the full one. Without gradients; the map of the grid is kept as a priority map.
    """
    points, step = grid_points(problem, config.grid)
    coarse = config.coarse_px is not None
    loss = problem.losses(points, coarse=coarse)
    priority = loss.view(problem.n, config.grid, config.grid)
    losses, tried = [loss], [points]
    if coarse:
        order = loss.argsort(1)[:, : config.keep]
        points = torch.gather(points, 1, order[..., None].expand(-1, -1, 2))
        loss = problem.losses(points)
        losses.append(loss)
        tried.append(points)
    best_loss, at = loss.min(1)
    best_xy = points[torch.arange(problem.n), at]
    around = problem.like.new_tensor(
        [[dx, dy] for dy in (-1, 0, 1) for dx in (-1, 0, 1) if dx or dy]
    )
    for _ in range(config.refinements):
        step = step / 2
        points = problem.inside(best_xy[:, None] + around * step)
        loss = problem.losses(points)
        losses.append(loss)
        tried.append(points)
        least, at = loss.min(1)
        better = least < best_loss
        best_xy = torch.where(better[:, None], points[torch.arange(problem.n), at], best_xy)
        best_loss = torch.where(better, least, best_loss)
    return Found(best_xy, best_loss, torch.cat(losses, 1), torch.cat(tried, 1), priority)


def oracle(problem: Problem, config: Any, draws: Draws) -> Found:
    """Take the best of all pixels, where the task knows the loss of each."""
    if problem.exact is None:
        raise InvalidInput(
            "search='oracle' needs a task that knows the loss of every position (BlurEnergy, "
            "with its own target, memory='sum' and no extra costs); take search='grid'."
        )
    losses = problem.exact()
    best, at = losses.flatten(1).min(1)
    width = problem.size[1]
    xy = torch.stack([at % width, at // width], 1).to(problem.like) + 0.5
    return Found(xy, best, best[:, None], xy[:, None], losses)


def at_random(problem: Problem, config: Any, draws: Draws) -> Found:
    """Look anywhere; the control of every search."""
    xy = draws.uniform(torch.ones(problem.n, dtype=torch.bool)) * problem.reach + 0.5
    loss = problem.losses(xy[:, None])
    return Found(xy, loss[:, 0], loss, xy[:, None])


SEARCHES: dict[str, Callable[[Problem, Any, Draws], Found]] = {
    "sign-gradient": sign_gradient,
    "multistart": multistart,
    "grid": grid,
    "oracle": oracle,
    "random": at_random,
}
"""Every search by name."""


def grid_points(problem: Problem, n: int) -> tuple[Tensor, Tensor]:
    """Return n × n points (N, n², 2) over the image, and the step (2,) between them."""
    line = torch.linspace(-0.9, 0.9, n, dtype=problem.like.dtype, device=problem.like.device)
    if n == 1:
        line = line.new_zeros(1)
    down, across = torch.meshgrid(line, line, indexing="ij")
    half = problem.reach / 2
    points = torch.stack([across, down], -1).view(-1, 2) * half + half + 0.5
    step = half * (1.8 / max(n - 1, 1))
    return points.expand(problem.n, -1, 2), step
