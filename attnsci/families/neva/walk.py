"""The state of a look: what is remembered, what was fixated, and the loss of looking next."""

import dataclasses
import functools
import itertools
import math
from typing import NamedTuple

import torch
from torch import Tensor

from attnsci.devices import computes_bfloat16
from attnsci.errors import InvalidInput
from attnsci.families.neva.config import NeVAConfig
from attnsci.families.neva.draws import Shared, Streams, noise_generators
from attnsci.families.neva.joint import joint
from attnsci.families.neva.search import SEARCHES, Found, Problem
from attnsci.families.neva.tasks import Task, check_losses, fast_forwards
from attnsci.sensors.foveation import Fovea, FoveatedView, shrunk

GRAPH_COST = 4
"""Views that fit a cache without a graph, for one that fits with it."""


class Step(NamedTuple):
    """One fixation of N images."""

    found: Found
    state_loss: Tensor
    """(N,), of what is remembered after it."""
    seen: Tensor
    """(N, C, H, W), as it is remembered."""


@dataclasses.dataclass(frozen=True)
class Setting:
    """What stays the same for all images of a look."""

    task: Task
    fovea: Fovea
    config: NeVAConfig
    chunk: int
    """Views that go through the task model at once."""
    n_fixations: int
    seed: int


class Walk:
    """Some images being looked at.

    Parameters
    ----------
    setting : Setting
    images : Tensor, shape (N, C, H, W)
    names : list of str
        Also of the random streams.
    targets : list of Tensor
        What the views are judged by at every fixation, of length N each; or one for all.
    own_target : bool
        The targets are those that the task makes itself.
    """

    def __init__(
        self,
        setting: Setting,
        images: Tensor,
        names: list[str],
        targets: list[Tensor],
        own_target: bool,
    ) -> None:
        self.setting, self.config, self.task = setting, setting.config, setting.task
        self.names, self.targets, self.own_target = names, targets, own_target
        shared, seed = self.config.draws == "batch", setting.seed
        self.draws: Streams | Shared = (
            Shared(seed, images) if shared else Streams(names, seed, images)
        )
        noise = torch.Generator().manual_seed(seed) if shared else noise_generators(names, seed)
        self.view = FoveatedView(images, setting.fovea, noise)
        self.memory = self.view.blank()
        self.past: list[Tensor] = []
        self.fast = self.config.search in ("grid", "multistart") and computes_bfloat16(
            self.config.precision, images.device
        )

    def steps(self) -> list[Step]:
        """Return every fixation."""
        n = self.setting.n_fixations
        chosen = self._together() if self.config.search == "joint" else [None] * n
        return [self._fixate(t, chosen[t]) for t in range(n)]

    @functools.cached_property
    def coarse_view(self) -> FoveatedView:
        """The images at the resolution at which a grid is seen first."""
        assert self.config.coarse_px is not None
        return self.view.shrunk(self.config.coarse_px)

    def _target_at(self, t: int) -> Tensor:
        return self.targets[t % len(self.targets)]

    def _fixate(self, t: int, found: Found | None) -> Step:
        """Choose fixation `t`, if it is not chosen, and remember what it shows."""
        target, alone = self._target_at(t), found is None
        kept = self.view.keep(self.memory)
        base = kept if self.config.discount == "search" else self.memory
        if found is None:
            problem = self._problem(base, target)
            found = SEARCHES[self.config.search](problem, self.config, self.draws)
            if self.fast:
                found = self._judged(found, base, target)
        with torch.no_grad():
            self.memory = self.view.add(kept, self.view.mask(found.xy))
            seen = self.view.perceive(self.memory)
        if alone and self._search_saw_the_state():
            state = found.loss
        else:
            state = self._losses(found.xy[:, None], kept, target, costs=False)[:, 0]
        self.past.append(found.xy)
        return Step(found, state, seen)

    def _search_saw_the_state(self) -> bool:
        """Tell whether the loss that a search found is that of what is then remembered."""
        config = self.config
        return (
            config.search in ("grid", "multistart", "sign-gradient", "random")
            and config.discount == "search"
            and config.best_position == "evaluated"
            and not (config.inhibition or config.saccade_cost)
        )

    def _together(self) -> list[Found]:
        """Return all fixations, found at once."""

        def loss(memory: Tensor, t: int) -> Tensor:
            seen = self.view.perceive(memory)
            return self._task_loss(seen[:, None], self._target_at(t), self.names)[:, 0]

        return list(joint(self.view, loss, self.setting.n_fixations, self.config, self.draws))

    def _problem(self, base: Tensor, target: Tensor) -> Problem:
        images, fovea = self.view.images, self.setting.fovea
        exact = None
        loss_map = getattr(self.task, "loss_map", None)
        plain = not (self.config.inhibition or self.config.saccade_cost) and fovea.memory == "sum"
        if loss_map and plain and self.own_target:

            def exact() -> Tensor:
                return loss_map(self.view.residual, base, fovea.sigma_px, fovea.amplitude)

        return Problem(
            lambda xy, coarse=False: self._losses(xy, base, target, coarse, self.fast),
            lambda xy, which=None: self._gradient(xy, base, target, which),
            exact, self.view.size, len(images), images,
        )  # fmt: skip

    @torch.no_grad()
    def _losses(
        self, xy: Tensor, base: Tensor, target: Tensor, coarse: bool = False, fast: bool = False,
        costs: bool = True,
    ) -> Tensor:  # fmt: skip
        """Return the losses (N, K) of looking at positions (N, K, 2)."""
        n, k = xy.shape[:2]
        view, at = self.view, xy
        if coarse and self.config.coarse_px is not None:
            side = self.config.coarse_px
            view, base = self.coarse_view, shrunk(base, side)
            if target.shape == self.view.images.shape:
                target = shrunk(target, side)
            at = xy * (xy.new_tensor(view.size[::-1]) / xy.new_tensor(self.view.size[::-1]))
        # Small views fit in greater numbers, and so do those of half the bytes.
        room = self.setting.chunk * math.prod(self.view.size) / math.prod(view.size)
        chunk = round(room * 1.5 if fast else room)
        out = xy.new_empty(n, k)
        # Whole images together or parts of one: so views are made without copies of images.
        for rows in parts(n, max(chunk // k, 1)):
            image, names = view[rows], self.names[rows]
            for some in parts(k, chunk):
                memory = image.add(base[rows][:, None], image.mask(at[rows, some]))
                with fast_forwards(fast, xy.device):
                    out[rows, some] = self._task_loss(image.perceive(memory), target[rows], names)
        return out + self._cost(xy) if costs else out

    def _gradient(
        self, xy: Tensor, base: Tensor, target: Tensor, which: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        """Return loss (M,) and gradient (M, 2) at positions (M, 2) on all images or `which`."""
        losses, gradients = [], []
        # A graph keeps every layer's activations.
        for part in parts(len(xy), max(self.setting.chunk // GRAPH_COST, 1)):
            rows = part if which is None else which[part]
            names = self.names[rows] if isinstance(rows, slice) else [self.names[i] for i in rows]
            at, image = xy[part].detach().requires_grad_(), self.view[rows]
            with torch.enable_grad():
                seen = image.perceive(image.add(base[rows], image.mask(at)))
                loss = self._task_loss(seen[:, None], target[rows], names)[:, 0]
                gradient = None
                if loss.requires_grad:
                    (gradient,) = torch.autograd.grad(loss.sum(), at, allow_unused=True)
                if gradient is None:
                    raise InvalidInput(
                        f"The task {self.task.name!r} gives a loss without a gradient to the "
                        "image, which this search descends. Take search='grid'."
                    )
                cost = self._cost(at[:, None], rows)[:, 0]
                if cost.requires_grad:
                    gradient = gradient + torch.autograd.grad(cost.sum(), at)[0]
            losses.append((loss + cost).detach())
            gradients.append(gradient)
        return torch.cat(losses), torch.cat(gradients)

    def _task_loss(self, seen: Tensor, target: Tensor, names: list[str]) -> Tensor:
        """Return the losses (M, K) of views (M, K, C, H, W) with targets (M, ...)."""
        m, k = seen.shape[:2]
        aims = target[:, None].expand(m, k, *target.shape[1:]).flatten(0, 1)
        loss = self.task.loss(seen.flatten(0, 1), aims)
        if not isinstance(loss, Tensor) or loss.shape != (m * k,):
            got = tuple(loss.shape) if isinstance(loss, Tensor) else type(loss).__name__
            raise InvalidInput(
                f"The task {self.task.name!r} gave a loss of shape {got} for {m * k} images; it "
                "must give one value an image (reduction='none')."
            )
        if loss.dtype in (torch.bfloat16, torch.float16):  # these make ties of close losses
            loss = loss.float()
        return check_losses(loss.view(m, k), names)

    def _cost(self, xy: Tensor, rows: slice | Tensor = slice(None)) -> Tensor:
        """Return the costs (N, K) that are no task: returning, and moving far."""
        cost = xy.new_zeros(xy.shape[:2])
        past = [each[rows][:, None] for each in self.past]
        if self.config.inhibition:
            for earlier in past:
                near = (xy - earlier).square().sum(-1)
                cost = cost + self.config.inhibition * torch.exp(
                    -near / (2 * self.config.inhibition_sigma_px**2)
                )
        if self.config.saccade_cost and past:
            height, width = self.view.size
            far = (xy - past[-1]).square().sum(-1).add(1e-12).sqrt()
            cost = cost + self.config.saccade_cost * far / (height**2 + width**2) ** 0.5
        return cost

    def _judged(self, found: Found, base: Tensor, target: Tensor) -> Found:
        """Compare the best few once more in float32; their last word decides."""
        values, tried = found.iterations, found.tried
        if self.config.search == "grid" and self.config.coarse_px is not None:
            # Losses at the coarse resolution are of another scale.
            full = slice(self.config.grid**2, None)
            values, tried = values[:, full], tried[:, full]
        few = values.argsort(1)[:, : self.config.keep]
        points = torch.gather(tried, 1, few[..., None].expand(-1, -1, 2))
        exact = self._losses(points, base, target)
        best, at = exact.min(1)
        chosen = points[torch.arange(len(points), device=points.device), at]
        return dataclasses.replace(found, xy=chosen, loss=best)


def parts(n: int, size: int) -> list[slice]:
    """Return slices of `n`, as equal as can be and none longer than `size`."""
    count = -(-n // size)
    edges = [n * i // count for i in range(count + 1)]
    return [slice(a, b) for a, b in itertools.pairwise(edges)]
