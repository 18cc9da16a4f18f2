"""What models that look by glimpses share: their policies, their checks, their scanpaths."""

import abc
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Generic, Literal, Protocol, TypeVar

import numpy as np
import torch
from torch import Tensor, nn

from attnsci.checks import check_known, check_positive
from attnsci.errors import InvalidInput
from attnsci.families.ram.policies import POLICIES, Draws, Policy, Proposal
from attnsci.gaze import from_arrays
from attnsci.geometry import Viewing
from attnsci.models.images import check_images
from attnsci.models.looking.base import viewing_of_images
from attnsci.provenance import state_hash, to_json
from attnsci.sensors.glimpse import MAPS, CoordinateMap, Size

if TYPE_CHECKING:
    import xarray as xr

Learned = Literal["mean", "sampled"]
LEARNED: tuple[Learned, ...] = ("mean", "sampled")


class Looked(Protocol):
    """What every rollout says: answers (R, n, class) and locations (R, glimpse, 2) in pixels."""

    @property
    def logits(self) -> Tensor:
        """Answers."""

    @property
    def locations(self) -> Tensor:
        """Where the glimpses were taken."""


R = TypeVar("R", bound=Looked)


class GlimpseModel(nn.Module, abc.ABC, Generic[R]):
    """A model that takes glimpses one after another and answers."""

    name: str
    """What the observer is called."""
    answers: str
    """What there is an answer for: the dimension of predictions in a scanpath."""
    config: Any

    @property
    def _map(self) -> CoordinateMap:
        """What a location in [−1, 1]² means in pixels."""
        return MAPS["attnsci"]

    @abc.abstractmethod
    def _n_glimpses(self, wanted: int | None) -> int:
        """Return how many glimpses there will be."""

    @abc.abstractmethod
    def look_at(
        self,
        images: Tensor,
        draws: Draws,
        first: Tensor | None,
        policy: Learned | Policy,
        n_samples: int,
        offset: int = 0,
    ) -> R:
        """Look at images that are `offset` images into the call."""

    def rollout(
        self,
        images: Tensor,
        generator: torch.Generator | None = None,
        *,
        first: Tensor | None = None,
        policy: Learned | str | Policy = "mean",
        n_samples: int = 1,
        n_glimpses: int | None = None,
    ) -> R:
        """Look at images.

        Parameters
        ----------
        images : Tensor, shape (N, C, H, W), float in [0, 1]
            Of any size.
        generator : torch.Generator, optional
            Of first locations and of draws; that of seed 0 if not given.
        first : Tensor, shape (2,) or (N, 2), optional
            Where to begin, in pixels (x, y); by default where the model or a `policy` in its
            place does (`RAM`: anywhere on the image).
        policy : {"mean", "sampled", "random", "centre", "grid"} or callable
            The mean of the learned policy or a draw from it, or one in place of it: a name or
            a `Policy`, see `attnsci.families.ram.policies`.
        n_samples : int
            Times that each image is looked at.
        n_glimpses : int, optional
            ``config.n_glimpses`` if not given.

        Returns
        -------
        Rollout
            What the model's own module calls so.

        Raises
        ------
        InvalidInput
            If images are no numbers in [0, 1] or too small for the glimpses, or a location is
            NaN or, for `first`, off the image.
        """
        check_images(images, None)
        glimpses = self._n_glimpses(n_glimpses)
        check_positive("n_samples", n_samples, integer=True)
        draws = Draws.from_generator(generator, len(images) * n_samples, glimpses)
        return self.look_at(images, draws, first, self._policy(policy), n_samples)

    @staticmethod
    def _policy(policy: Learned | str | Policy) -> Learned | Policy:
        if callable(policy):
            return policy
        check_known("policy", policy, [*LEARNED, *POLICIES])
        return POLICIES[policy]() if policy in POLICIES else policy  # type: ignore[return-value]

    def _first(self, first: Tensor, images: Tensor) -> Tensor:
        """Return where to begin on each image (N, 2)."""
        precise = torch.promote_types(images.dtype, torch.float32)
        xy = torch.as_tensor(first).to(images.device, precise)
        if xy.shape not in ((2,), (len(images), 2)):
            raise InvalidInput(
                f"first must have shape (2,) or ({len(images)}, 2); got {tuple(xy.shape)}."
            )
        location = self._map.from_px(xy, (images.shape[-2], images.shape[-1]))
        off = ~(location.abs() <= 1).reshape(-1, 2).all(1)  # NaN is off too
        if off.any():
            raise InvalidInput(
                f"first holds {xy.reshape(-1, 2)[off][0].tolist()}, which is off the images of "
                f"{images.shape[-2]}×{images.shape[-1]}. Give pixels (x, y), not [−1, 1]."
            )
        return xy.expand(len(images), 2)

    def _chosen(
        self,
        policy: Policy,
        size: Size,
        images: Tensor,
        visited: list[Tensor],
        mean: Tensor | None,
        hidden: Tensor | None,
        draws: Draws,
    ) -> Tensor:
        """Return where another policy looks after the locations `visited`, in pixels (R, 2)."""
        t = len(visited)
        proposal = Proposal(
            glimpse=t,
            size=size,
            images=images,
            visited=torch.stack(visited, 1) if t else draws.uniform[:, :0],
            mean=mean,
            hidden=hidden,
            uniform=draws.uniform[:, t],
            normal=draws.normal[:, t],
        )
        xy = policy(proposal)
        if xy.shape != proposal.uniform.shape or not xy.isfinite().all():
            raise InvalidInput(
                f"The policy must return finite locations {tuple(proposal.uniform.shape)} in "
                f"pixels; for glimpse {t + 1} it returned {tuple(xy.shape)}"
                f"{'' if xy.isfinite().all() else ' with NaN or infinity'}."
            )
        return xy

    def look(
        self,
        images: Tensor,
        n_fixations: int | None = None,
        *,
        image: Sequence[str] | None = None,
        seed: int = 0,
        first: Tensor | None = None,
        policy: Learned | str | Policy = "mean",
        n_samples: int = 1,
        viewing: Viewing | None = None,
        chunk: int = 256,
    ) -> "xr.Dataset":
        """Return the scanpaths.

        Parameters
        ----------
        images : Tensor, shape (N, C, H, W), float in [0, 1]
        n_fixations : int, optional
            ``config.n_glimpses`` if not given.
        image : sequence of str, length N, optional
            Names; "0", "1", … if not given. They name the random streams too: a path depends on
            the image, its name, the sample and the seed, and (but for rounding) on nothing else
            in the batch.
        seed : int
        first, policy, n_samples
            See `rollout`.
        viewing : Viewing, optional
            Geometry, in pixels of `images`.
        chunk : int
            Images that are looked at together.

        Returns
        -------
        xarray.Dataset
            The container of `attnsci.gaze`, a scanpath for each image and sample (coordinate
            ``sample``), with ``prediction`` and its softmax ``confidence`` after each fixation,
            or of each target if there are several.

        Raises
        ------
        InvalidInput
            As `rollout`, or if names are doubled or the viewing is of another size.
        """
        names = check_images(images, image)
        glimpses = self._n_glimpses(n_fixations)
        check_positive("n_samples", n_samples, integer=True)
        check_positive("chunk", chunk, integer=True)
        geometry, chosen = viewing_of_images(images, viewing), self._policy(policy)
        start = None if first is None else self._first(first, images)
        found = []
        with torch.no_grad():
            for i in range(0, len(images), chunk):
                part = slice(i, i + chunk)
                draws = Draws.from_names(names[part], seed, n_samples, glimpses)
                rollout = self.look_at(
                    images[part], draws, None if start is None else start[part], chosen,
                    n_samples, i,
                )  # fmt: skip
                found.append((rollout.locations, rollout.logits.softmax(-1).max(-1)))
        xy = torch.cat([locations for locations, _ in found]).double().cpu().numpy()
        called = chosen if isinstance(chosen, str) else _name(chosen)
        paths = from_arrays(
            xy[..., 0],
            xy[..., 1],
            image=np.repeat(names, n_samples).tolist(),
            observer=self.name if called == "mean" else f"{self.name} {called}",
            sample=list(range(n_samples)) * len(names),
            viewing=geometry,
        )
        dims = ("scanpath", self.answers)
        paths["prediction"] = dims, torch.cat([best.indices for _, best in found]).cpu().numpy()
        paths["confidence"] = dims, torch.cat([best.values for _, best in found]).cpu().numpy()
        record = {**self.provenance(), "policy": called, "n_samples": n_samples}
        return paths.assign_attrs(provenance=to_json(record), seed=seed)

    def provenance(self) -> dict[str, Any]:
        """Return what is needed to look in the same way again."""
        return {
            "model": self.name,
            "config": self.config,
            "weights": state_hash(self.state_dict()),
        }


def _name(policy: Policy) -> str:
    return str(getattr(policy, "name", getattr(policy, "__name__", type(policy).__name__)))
