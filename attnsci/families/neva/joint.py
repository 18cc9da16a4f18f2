"""All fixations of a scanpath found together: later losses move earlier fixations too."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from attnsci.errors import InvalidInput
from attnsci.families.neva.search import Draws, Found
from attnsci.sensors.foveation import FoveatedView


def joint(
    view: FoveatedView,
    loss: Callable[[Tensor, int], Tensor],
    n_fixations: int,
    config: Any,
    draws: Draws,
) -> list[Found]:
    """Return every fixation of a descent by the sign of the gradient through the whole sequence.

    Parameters
    ----------
    view : FoveatedView
    loss : callable
        Memory (N, 1, H, W) and number of the fixation to losses (N,), with a graph.
    n_fixations : int
    config : NeVAConfig
        Its `iterations`, `step`, `bounds`, `discount`, `best_position`.
    draws : Draws
        Of the jitter.
    """
    height, width = view.size
    n = len(view.images)
    reach = view.images.new_tensor([width - 1.0, height - 1.0])
    step = config.step * reach.min() / 2
    xy = (reach / 2 + 0.5).expand(n_fixations, n, 2).clone()
    best_loss = xy.new_full((n_fixations, n), torch.inf)
    best_xy = xy.clone()
    losses, tried = [], []

    def bounded(at: Tensor) -> Tensor:
        if config.bounds == "none":
            return at
        return torch.minimum((at - 0.5).clamp(min=0), reach) + 0.5

    for _ in range(config.iterations):
        at = xy.detach().requires_grad_()
        memory, each = view.blank(), []
        with torch.enable_grad():
            for t in range(n_fixations):
                seen, kept = view.mask(at[t]), view.keep(memory)
                base = kept if config.discount == "search" else memory
                each.append(loss(view.add(base, seen), t))
                memory = view.add(kept, seen)
            found = torch.stack(each)
            gradient = None
            if found.requires_grad:
                (gradient,) = torch.autograd.grad(found.sum(), at, allow_unused=True)
            if gradient is None:
                raise InvalidInput(
                    "The task gives a loss without a gradient to the image, which the joint "
                    "search descends. Take search='grid'."
                )
        found = found.detach()
        losses.append(found)
        tried.append(xy)
        moved = bounded(xy - step * gradient.sign())
        better = found < best_loss
        stored = moved if config.best_position == "stepped" else xy
        best_xy = torch.where(better[..., None], stored, best_xy)
        best_loss = torch.where(better, found, best_loss)
        jitter = torch.stack([draws.uniform(~better[t]) for t in range(n_fixations)])
        elsewhere = bounded(moved + step * (jitter - 0.5))
        xy = torch.where(better[..., None], moved, elsewhere)
    all_losses, all_tried = torch.stack(losses, 2), torch.stack(tried, 2)
    return [
        Found(best_xy[t], best_loss[t], all_losses[t], all_tried[t]) for t in range(n_fixations)
    ]
