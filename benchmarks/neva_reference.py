"""NeVA as it was published, written anew step by step, to compare with.

Schwinn, Precup, Eskofier & Zanca 2022, arXiv 2204.09093, and what its code of May 2022 does:
positions are (row, column) on a grid from -1 to 1 through the corner pixels' centres, images are
square, a batch shares its random numbers, the search sees the memory undiscounted, and the
position after a step is stored with the loss from before it. One thing is not as published: the
best loss has the dtype of the images instead of float16, with which the published classification
example cannot run. Nothing here is made fast, and nothing is imported from `attnsci`.
"""

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional


class Looked(NamedTuple):
    """What the published search returns, and what it hides."""

    positions: Tensor
    """(N, T, 2), (row, column) in half widths."""
    losses: Tensor
    """(N, T, iterations), of every position tried."""
    best: Tensor
    """(N, T), the loss that is claimed for a stored position."""
    memory: Tensor
    """(N, T, 1, S, S), after every fixation."""


def gaussian_kernel(size: int, sigma: float, channels: int, like: Tensor) -> Tensor:
    """Return the kernel of the blur, (channels, 1, size, size)."""
    offset = torch.arange(size, dtype=like.dtype, device=like.device) - size // 2
    line = torch.exp(-(offset**2) / (2 * sigma**2))
    line = line / line.sum()
    return torch.outer(line, line).expand(channels, 1, size, size).contiguous()


def residual(images: Tensor, size: int, sigma: float) -> Tensor:
    """Return blurred minus sharp images."""
    half, channels = size // 2, images.shape[1]
    padded = functional.pad(images, (half,) * 4, mode="reflect")
    kernel = gaussian_kernel(size, sigma, channels, images)
    return functional.conv2d(padded, kernel, groups=channels) - images


def foveation_mask(position: Tensor, side: int, s: float, amplitude: float = 1.0) -> Tensor:
    """Return the mask (N, 1, side, side) round positions (N, 2, 1, 1), (row, column)."""
    line = torch.linspace(-1, 1, side, dtype=position.dtype, device=position.device)
    grid = torch.stack(torch.meshgrid(line, line, indexing="ij"))[None]
    squared = ((grid - position) ** 2).sum(1, keepdim=True)
    return amplitude * torch.exp(-squared / s)


def look(
    loss_of: Callable[[Tensor], Tensor],
    images: Tensor,
    n_fixations: int = 10,
    *,
    iterations: int = 20,
    step: float = 0.1,
    s: float = 0.15,
    blur_size: int = 41,
    blur_sigma: float = 10.0,
    retention: float = 0.1,
    random_restarts: bool = False,
    seed: int = 0,
) -> Looked:
    """Look at square images (N, C, S, S) as published.

    Parameters
    ----------
    loss_of : callable
        Seen images (N, C, S, S) to losses (N,).
    images : Tensor
    n_fixations, iterations : int
    step : float
        In half widths.
    s : float
        Size of the fovea: twice its variance, in half widths.
    blur_size, blur_sigma : int, float
    retention : float
        The paper's forgetting.
    random_restarts : bool
        Begin anew anywhere, in place of the jitter, where a step is no better.
    seed : int
        Of the random numbers, as if set just before the call.
    """
    generator = torch.Generator().manual_seed(seed)
    n, side = len(images), images.shape[-1]
    blurred = residual(images, blur_size, blur_sigma)
    memory = images.new_zeros(n, 1, side, side)
    positions, losses, claimed, memories = [], [], [], []
    for _ in range(n_fixations):
        position = images.new_zeros(n, 2, 1, 1).requires_grad_()
        best_loss = images.new_full((n,), torch.inf)
        best_position = images.new_zeros(n, 2, 1, 1)
        tried = []
        for _ in range(iterations):
            mask = (1 - (memory + foveation_mask(position, side, s))).clamp(0, 1)
            loss = loss_of(images + blurred * mask)
            (gradient,) = torch.autograd.grad(loss.mean(), position)
            with torch.no_grad():
                loss = loss.detach()
                tried.append(loss)
                position = position - step * gradient.sign()
                better = loss < best_loss
                best_loss[better] = loss[better]
                best_position[better] = position[better]
                n_worse = int((~better).sum())
                if n_worse > 0:
                    drawn = torch.rand(n_worse, 2, 1, 1, generator=generator).to(images)
                    if random_restarts:
                        position[~better] = 2 * drawn - 1
                    else:
                        position[~better] += drawn * step - step / 2
            position.requires_grad_()
        memory = retention * memory + foveation_mask(best_position, side, s)
        positions.append(best_position[:, :, 0, 0])
        losses.append(torch.stack(tried, 1))
        claimed.append(best_loss)
        memories.append(memory)
    return Looked(
        torch.stack(positions, 1),
        torch.stack(losses, 1),
        torch.stack(claimed, 1),
        torch.stack(memories, 1),
    )


def to_pixels(positions: Tensor, side: int) -> Tensor:
    """Return (row, column) in half widths as (x, y) in continuous pixels."""
    return (positions.flip(-1) + 1) / 2 * (side - 1) + 0.5
