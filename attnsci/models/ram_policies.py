"""Where the next glimpse falls: what a policy is told, and policies in place of the learned one.

A policy is a callable that takes a `Proposal` and returns the next locations in pixels. Random
numbers reach it through the proposal, a stream for each image and sample, so that a path does not
depend on its neighbours in a batch.
"""

import dataclasses
from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor

from attnsci.checks import check_positive
from attnsci.errors import InvalidInput
from attnsci.provenance import stable_hash
from attnsci.seeds import numpy_generator, torch_generator

SMALLEST = 2.0**-25
"""Half of the least step of a single-precision uniform number: its normal deviate is finite."""


@dataclasses.dataclass(frozen=True)
class Draws:
    """Random numbers of a rollout; row i·M + m belongs to sample m of image i.

    Attributes
    ----------
    uniform, normal : Tensor, shape (N · M, glimpse, 2)
        In [0, 1), and standard normal.
    """

    uniform: Tensor
    normal: Tensor

    @classmethod
    def from_generator(cls, generator: torch.Generator | None, rows: int, glimpses: int) -> "Draws":
        """Return the next numbers of one stream; that of seed 0 if none is given."""
        if generator is None:
            generator = torch_generator(0)
        numbers = torch.rand(rows, glimpses, 4, generator=generator, device=generator.device)
        return cls._split(numbers)

    @classmethod
    def from_names(cls, names: Sequence[str], seed: int, n_samples: int, glimpses: int) -> "Draws":
        """Return numbers of a stream for each image's name and each sample.

        Neither the other images, nor the number of samples or glimpses, changes one.
        """
        streams = [int(stable_hash(["RAM", name]), 16) for name in names]
        numbers = np.stack([
            numpy_generator(seed, stream, sample + 1).random((glimpses, 4))
            for stream in streams
            for sample in range(n_samples)
        ])  # fmt: skip
        return cls._split(torch.from_numpy(numbers.astype(np.float32)))

    @classmethod
    def _split(cls, numbers: Tensor) -> "Draws":
        uniform, other = numbers.split(2, -1)
        return cls(uniform, torch.special.ndtri(other.clamp(SMALLEST, 1 - SMALLEST)))

    def to(self, like: Tensor) -> "Draws":
        """Return the numbers on the device of `like`, in its format or single precision."""
        precise = torch.promote_types(like.dtype, torch.float32)
        return Draws(self.uniform.to(like.device, precise), self.normal.to(like.device, precise))


@dataclasses.dataclass(frozen=True)
class Proposal:
    """What is known when the next glimpse is to be placed, for R rows (image-major, then sample).

    Attributes
    ----------
    glimpse : int
        Which is to be placed, from 0.
    size : tuple of int
        Height and width of the images.
    images : Tensor, shape (R,), int64
        Which image each row looks at, counted through all images of the call.
    visited : Tensor, shape (R, glimpse, 2)
        Locations so far, in pixels (x, y).
    mean : Tensor, shape (R, 2), or None
        Where the learned policy would look, in pixels; None before the first glimpse.
    hidden : Tensor, shape (R, unit), or None
        State of the core.
    uniform, normal : Tensor, shape (R, 2)
        This glimpse's random numbers.
    """

    glimpse: int
    size: tuple[int, int]
    images: Tensor
    visited: Tensor
    mean: Tensor | None
    hidden: Tensor | None
    uniform: Tensor
    normal: Tensor

    @property
    def extent(self) -> Tensor:
        """Width and height of the images, as a tensor (2,)."""
        return self.uniform.new_tensor([self.size[1], self.size[0]])


Policy = Callable[[Proposal], Tensor]
"""From a proposal to locations (R, 2) in continuous pixels (x, y)."""


@dataclasses.dataclass(frozen=True)
class RandomPolicy:
    """Looks anywhere on the image."""

    name = "random"

    def __call__(self, proposal: Proposal) -> Tensor:
        """Return locations; see `Policy`."""
        return proposal.uniform * proposal.extent


@dataclasses.dataclass(frozen=True)
class CentrePolicy:
    """Never looks away from the middle of the image."""

    name = "centre"

    def __call__(self, proposal: Proposal) -> Tensor:
        """Return locations; see `Policy`."""
        return (proposal.extent / 2).expand_as(proposal.uniform)


@dataclasses.dataclass(frozen=True)
class GridPolicy:
    """Looks at the middle of each cell of a grid in turn, as one reads, and begins anew.

    Examples
    --------
    >>> from attnsci.models.ram import RAM
    >>> RAM().rollout(torch.zeros(1, 1, 28, 28), policy=GridPolicy(2, 2)).locations[0, :3].tolist()
    [[7.0, 7.0], [21.0, 7.0], [7.0, 21.0]]
    """

    rows: int = 2
    columns: int = 3
    name = "grid"

    def __post_init__(self) -> None:
        check_positive("rows", self.rows, integer=True)
        check_positive("columns", self.columns, integer=True)

    def __call__(self, proposal: Proposal) -> Tensor:
        """Return locations; see `Policy`."""
        row, column = divmod(proposal.glimpse % (self.rows * self.columns), self.columns)
        cell = proposal.uniform.new_tensor([(column + 0.5) / self.columns, (row + 0.5) / self.rows])
        return (cell * proposal.extent).expand_as(proposal.uniform)


class ReplayPolicy:
    """Looks where someone else did: people, another model, or this one at another image.

    Parameters
    ----------
    xy : array-like, shape (N, T, 2)
        A path for each image, in continuous pixels (x, y) of the images.

    Raises
    ------
    InvalidInput
        If a coordinate is NaN (paths of unequal length must be cut to the shortest) or infinite.
    """

    name = "replay"

    def __init__(self, xy: Tensor | np.ndarray) -> None:
        self.xy = torch.as_tensor(xy)
        if self.xy.ndim != 3 or self.xy.shape[2] != 2:
            raise InvalidInput(f"xy must have shape (N, T, 2); got {tuple(self.xy.shape)}.")
        bad = ~self.xy.isfinite().all(-1)
        if bad.any():
            path, fixation = bad.nonzero()[0].tolist()
            raise InvalidInput(
                f"Fixation {fixation} of path {path} has no finite place. Give as many fixations "
                "as glimpses; shorter paths cannot be replayed."
            )

    def __call__(self, proposal: Proposal) -> Tensor:
        """Return locations; see `Policy`."""
        paths, length = self.xy.shape[:2]
        if proposal.glimpse >= length or int(proposal.images.max()) >= paths:
            raise InvalidInput(
                f"{paths} paths of {length} fixations are too few: glimpse {proposal.glimpse + 1} "
                f"at image {int(proposal.images.max()) + 1} is to be placed."
            )
        return self.xy.to(proposal.uniform)[proposal.images, proposal.glimpse]


POLICIES: dict[str, Callable[[], Policy]] = {
    "random": RandomPolicy,
    "centre": CentrePolicy,
    "grid": GridPolicy,
}
"""Policies that need nothing but their name."""
