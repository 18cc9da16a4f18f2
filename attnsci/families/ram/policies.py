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
from attnsci.models.looking.winner_take_all import INHIBITIONS
from attnsci.provenance import stable_hash
from attnsci.seeds import numpy_generator, torch_generator
from attnsci.sensors.glimpse import MAPS, Size

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
    >>> from attnsci.families.ram.network import RAM
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


class SaliencyPolicy:
    """Looks where a map is highest, then at the next best place not yet inhibited.

    The winner-take-all of `attnsci.models.looking.winner_take_all` for many images at once, with
    a disc of inhibition that lasts; it inhibits a given first glimpse as well.

    Parameters
    ----------
    maps : array-like, shape (N, H, W)
        How much each place of each image attracts: of a saliency model, or how often people
        look there. Of the size of the images.
    radius_px : float, optional
        Of the disc round each visited place; a sixth of the shorter side if not given.

    Raises
    ------
    InvalidInput
        If a map has another shape, or a value that is NaN or infinite.

    Examples
    --------
    >>> from attnsci.families.ram.network import RAM
    >>> maps = torch.zeros(1, 28, 28)
    >>> maps[0, 4, 20], maps[0, 22, 3] = 2.0, 1.0
    >>> look = RAM().rollout(torch.zeros(1, 1, 28, 28), policy=SaliencyPolicy(maps))
    >>> look.locations[0, :2].tolist()
    [[20.5, 4.5], [3.5, 22.5]]
    """

    name = "saliency"

    def __init__(self, maps: Tensor | np.ndarray, radius_px: float | None = None) -> None:
        found = torch.as_tensor(maps)
        if found.ndim != 3 or 0 in found.shape:
            raise InvalidInput(f"maps must have shape (N, H, W); got {tuple(found.shape)}.")
        found = found.to(torch.promote_types(found.dtype, torch.float32))
        bad = ~found.isfinite().flatten(1).all(1)
        if bad.any():
            raise InvalidInput(f"Map {int(bad.nonzero()[0])} holds values that are not finite.")
        if radius_px is None:
            radius_px = INHIBITIONS["disc"] * min(found.shape[1:])
        self.radius_px = float(check_positive("radius_px", radius_px))
        low, high = found.flatten(1).aminmax(dim=1)
        spread = torch.where(high > low, high - low, 1)
        self.maps = (found - low[:, None, None]) / spread[:, None, None]

    def __call__(self, proposal: Proposal) -> Tensor:
        """Return locations; see `Policy`."""
        n, size = len(self.maps), tuple(self.maps.shape[1:])
        if size != proposal.size or int(proposal.images.max()) >= n:
            raise InvalidInput(
                f"{n} maps of {size[0]}×{size[1]} do not fit image "
                f"{int(proposal.images.max()) + 1} of {proposal.size[0]}×{proposal.size[1]}."
            )
        priority = self.maps.to(proposal.uniform)[proposal.images]
        places = pixel_centres(proposal.size, proposal.uniform)
        for visited in proposal.visited.unbind(1):
            away = (places - visited[:, None]).square().sum(-1)
            priority = priority - (away <= self.radius_px**2).view_as(priority).to(priority)
        flat = priority.flatten(1)
        tied = flat == flat.amax(1, keepdim=True)
        # Equal winners are drawn by lot, each row with its own number.
        lot = (proposal.uniform[:, :1] * tied.sum(1, keepdim=True)).floor() + 1
        winner = (tied.cumsum(1) >= lot).int().argmax(1)
        return places[winner]


class InhibitedPolicy:
    """Pushes the learned policy away from where it has been: inhibition of return, imposed.

    Of the learned mean and the middles of all pixels it takes the place of the highest score,

        −|place − mean|² / 2σ² − strength · Σ exp(−|place − visited|² / 2 radius²),

    the first term being the learned policy's log density. With strength 0 that is the learned
    mean itself, to the bit. One visit is worth leaving for a place at most σ √(2 strength) from
    the mean. It begins where the learned policy of the map "attnsci" begins; give `first` to
    begin elsewhere.

    Parameters
    ----------
    strength : float
        Nats that a visited place loses; 0 or more.
    radius_px : float
        Standard deviation of the inhibition round each visited place, the current one included.
    sigma_px : float
        Standard deviation of the learned policy in pixels: how readily it lets itself be pushed.
        For a model on square images, ``model.config.sigma`` times half their side.

    Raises
    ------
    InvalidInput
        If strength is below 0 or not finite, or a length is not above 0.

    Examples
    --------
    >>> from attnsci.families.ram.network import RAM
    >>> model, image = RAM(), torch.zeros(1, 1, 28, 28)
    >>> free = model.rollout(image, policy=InhibitedPolicy(0, 4, 2)).locations
    >>> bool((free == model.rollout(image).locations).all())
    True
    """

    name = "inhibited"

    def __init__(self, strength: float, radius_px: float, sigma_px: float) -> None:
        if not 0 <= strength < float("inf"):
            raise InvalidInput(f"strength must be 0 or more, and finite; got {strength!r}.")
        self.strength = float(strength)
        self.radius_px = float(check_positive("radius_px", radius_px))
        self.sigma_px = float(check_positive("sigma_px", sigma_px))

    def __call__(self, proposal: Proposal) -> Tensor:
        """Return locations; see `Policy`."""
        if proposal.mean is None:
            height, width = proposal.size
            return MAPS["attnsci"].to_px(2 * proposal.uniform - 1, (height, width))
        mean = proposal.mean.detach().to(proposal.uniform)
        pixels = pixel_centres(proposal.size, mean).expand(len(mean), -1, 2)
        # The mean comes first, so that it wins a tie.
        places = torch.cat([mean[:, None], pixels], 1)
        score = -(places - mean[:, None]).square().sum(-1) / (2 * self.sigma_px**2)
        for visited in proposal.visited.detach().unbind(1):
            away = (places - visited[:, None]).square().sum(-1)
            score = score - self.strength * torch.exp(-away / (2 * self.radius_px**2))
        best = score.argmax(1)
        return places[torch.arange(len(best), device=best.device), best]


def pixel_centres(size: Size, like: Tensor) -> Tensor:
    """Return the middles (H · W, 2) of all pixels as (x, y), row by row, in the format of `like`.

    Examples
    --------
    >>> pixel_centres((1, 2), torch.zeros(1)).tolist()
    [[0.5, 0.5], [1.5, 0.5]]
    """
    rows, columns = (torch.arange(n, dtype=like.dtype, device=like.device) + 0.5 for n in size)
    return torch.cartesian_prod(rows, columns).flip(1)


POLICIES: dict[str, Callable[[], Policy]] = {
    "random": RandomPolicy,
    "centre": CentrePolicy,
    "grid": GridPolicy,
}
"""Policies that need nothing but their name."""
