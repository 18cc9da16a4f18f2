"""The recurrent attention model: an image seen through a few glimpses, and where they fall.

Mnih, Heess, Graves & Kavukcuoglu 2014, "Recurrent Models of Visual Attention", NIPS 27, arXiv
1406.6247. A glimpse and its location become a feature, features drive a recurrent core, and the
core names the class and the mean of the next location. Locations inside are in [−1, 1] as the
configuration's coordinate map has them; all that goes in and comes out is in continuous pixels
(x, y), pixel i centred at i + 0.5.

The classification's gradient reaches the glimpse network and the core, that of the policy only
the locator, that of the expected reward only the baseline: both read the core detached.
"""

import dataclasses
import math
import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from attnsci.checks import check_known, check_positive
from attnsci.errors import InvalidInput
from attnsci.gaze import from_arrays
from attnsci.geometry import Viewing
from attnsci.models.looking.base import viewing_of_images
from attnsci.models.neva import check_images
from attnsci.models.ram_config import RAMConfig
from attnsci.models.ram_parts import Locator, LSTMCore, RectifiedCore, State
from attnsci.models.ram_policies import POLICIES, Draws, Policy, Proposal
from attnsci.provenance import state_hash, to_json
from attnsci.sensors.glimpse import MAPS, SENSORS, CoordinateMap, Size

if TYPE_CHECKING:
    import xarray as xr

Learned = Literal["mean", "sampled"]
LEARNED: tuple[Learned, ...] = ("mean", "sampled")


class Rollout(NamedTuple):
    """All that happened, on R = N · M rows: row i·M + m is sample m of image i.

    Attributes
    ----------
    logits : Tensor, shape (R, glimpse, class)
        Of each glimpse's readout; only the last is trained unless the configuration says so.
    locations : Tensor, shape (R, glimpse, 2)
        Where the glimpses were taken, in pixels (x, y).
    means : Tensor, shape (R, glimpse, 2)
        Where the locator would look next, after each glimpse, in pixels (x, y).
    hidden, features : Tensor, shape (R, glimpse, unit)
        State of the core, and what drove it.
    glimpses : Tensor, shape (R, glimpse, D)
        What was seen, as it entered the network.
    values : Tensor, shape (R, glimpse)
        Reward expected after each glimpse.
    log_probs : Tensor, shape (R, glimpse)
        Log density of each location under the learned policy, whoever chose it, in units of
        half widths; 0 for the first, which is given.
    """

    logits: Tensor
    locations: Tensor
    means: Tensor
    hidden: Tensor
    features: Tensor
    glimpses: Tensor
    values: Tensor
    log_probs: Tensor


class RAM(nn.Module):
    """Looks at an image a few times and says what it is.

    Parameters
    ----------
    config : RAMConfig, optional
        Architecture; keyword arguments replace single settings.
    **settings
        Fields of `RAMConfig`.

    Examples
    --------
    >>> model = RAM()
    >>> found = model.rollout(torch.zeros(5, 1, 28, 28), n_samples=3)
    >>> found.logits.shape, found.locations.shape
    (torch.Size([15, 6, 10]), torch.Size([15, 6, 2]))
    """

    def __init__(self, config: RAMConfig | None = None, **settings: Any) -> None:
        super().__init__()
        self.config = config = dataclasses.replace(config or RAMConfig(), **settings)
        n = config.n_hidden
        self.what = nn.Sequential(nn.Linear(config.n_inputs, config.n_what), nn.ReLU())
        self.where = nn.Sequential(nn.Linear(2, config.n_where), nn.ReLU())
        self.glimpse = nn.Sequential(nn.Linear(config.n_what + config.n_where, n), nn.ReLU())
        self.core = {"rnn": RectifiedCore, "lstm": LSTMCore}[config.core](n)
        self.locator = Locator(n, config.locator_hidden)
        heads = config.n_glimpses if config.readout == "every" else 1
        self.readout = nn.ModuleList(nn.Linear(n, config.n_classes) for _ in range(heads))
        self.baseline = nn.Linear(n, 1)

    @classmethod
    def from_reference(cls, path: str | os.PathLike[str], **settings: Any) -> "RAM":
        """Build the model from published weights.

        Parameters
        ----------
        path : path-like
            An HDF5 file of amasky's Chainer code, or a checkpoint of kevinzakka's PyTorch code
            (read as tensors, nothing in it is run).
        **settings
            Fields of `RAMConfig` that the weights cannot tell, such as ``sigma``.

        Returns
        -------
        RAM
            In evaluation mode, on the CPU.

        Raises
        ------
        CheckpointError
            If the file cannot be read, or an array is missing, extra or of a wrong shape.
        """
        from attnsci.models.ram_reference import load_ram

        return load_ram(path, settings)

    def forward(self, images: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """Return logits (N, class) after the last glimpse, under the mean policy."""
        return self.rollout(images, generator).logits[:, -1]

    def rollout(
        self,
        images: Tensor,
        generator: torch.Generator | None = None,
        *,
        first: Tensor | None = None,
        policy: Learned | str | Policy = "mean",
        n_samples: int = 1,
        n_glimpses: int | None = None,
    ) -> Rollout:
        """Look at images.

        Parameters
        ----------
        images : Tensor, shape (N, C, H, W), float in [0, 1]
            Of any size.
        generator : torch.Generator, optional
            Of first locations and of draws; that of seed 0 if not given.
        first : Tensor, shape (2,) or (N, 2), optional
            Where to begin, in pixels (x, y); by default uniform over the image, or where a
            `policy` of its own begins.
        policy : {"mean", "sampled", "random", "centre", "grid"} or callable
            The mean of the learned policy or a draw from it, or one in place of it: a name or
            a `Policy`, see `attnsci.models.ram_policies`.
        n_samples : int
            Times that each image is looked at.
        n_glimpses : int, optional
            ``config.n_glimpses`` if not given.

        Returns
        -------
        Rollout

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
        return self._look_at(images, draws, first, self._policy(policy), n_samples)

    def _n_glimpses(self, wanted: int | None) -> int:
        n = self.config.n_glimpses if wanted is None else wanted
        check_positive("n_glimpses", n, integer=True)
        if self.config.readout == "every" and n > len(self.readout):
            raise InvalidInput(
                f"This model has a readout for each of {len(self.readout)} glimpses; {n} are too "
                "many."
            )
        return n

    @staticmethod
    def _policy(policy: Learned | str | Policy) -> Learned | Policy:
        if callable(policy):
            return policy
        check_known("policy", policy, [*LEARNED, *POLICIES])
        return POLICIES[policy]() if policy in POLICIES else policy  # type: ignore[return-value]

    def _look_at(
        self,
        images: Tensor,
        draws: Draws,
        first: Tensor | None,
        policy: Learned | Policy,
        n_samples: int,
        offset: int = 0,
    ) -> Rollout:
        """Look at images that are `offset` images into the call."""
        config = self.config
        if images.shape[1] != config.channels:
            raise InvalidInput(
                f"The model was made for {config.channels} channel(s); images are "
                f"{tuple(images.shape)}."
            )
        draws, size = draws.to(images), (images.shape[-2], images.shape[-1])
        sensor = SENSORS[config.sensor](
            images - config.outside if config.outside else images,
            config.glimpse_px,
            config.n_scales,
            factor=config.factor,
            coordinates=config.coordinates,
        )
        rows = torch.arange(len(images), device=images.device).repeat_interleave(n_samples)
        start = None if first is None else self._first(first, images).index_select(0, rows)
        way = _Way([], [], [], [], [], [])
        state: State = ()
        for t in range(draws.uniform.shape[1]):
            if start is not None and t == 0:
                xy, drawn = start, None
            elif callable(policy):
                xy, drawn = self._chosen(policy, t, size, rows + offset, way, draws), None
            else:
                xy, drawn = self._learned(policy, t, size, way, draws)
            at = self._map.from_px(xy, size)
            seen = self._normalised(sensor(xy.view(len(images), n_samples, 2)).flatten(0, 1))
            feature = self.glimpse(torch.cat([self.what(seen), self.where(at.to(seen))], 1))
            state = self.core(feature, state)
            mean = self.locator(state[0].detach())
            way.add(xy, at if drawn is None else drawn, mean, state[0], feature, seen)
        return self._rollout(way, size)

    @property
    def _map(self) -> CoordinateMap:
        return MAPS[self.config.coordinates]

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

    def _learned(
        self, policy: Learned, t: int, size: Size, way: "_Way", draws: Draws
    ) -> tuple[Tensor, Tensor]:
        """Return the learned policy's next location in pixels, and as it was drawn."""
        if t == 0:
            drawn = 2 * draws.uniform[:, 0] - 1
        else:
            # No gradient may reach the locator but through the density at the draw.
            drawn = way.means[-1].detach()
            if policy == "sampled":
                drawn = drawn + self.config.sigma * draws.normal[:, t]
        kept = drawn.clamp(-1, 1) if self.config.bounds == "frame" else drawn
        return self._map.to_px(kept, size), drawn

    def _chosen(
        self, policy: Policy, t: int, size: Size, images: Tensor, way: "_Way", draws: Draws
    ) -> Tensor:
        """Return what another policy says, in pixels."""
        proposal = Proposal(
            glimpse=t,
            size=size,
            images=images,
            visited=torch.stack(way.locations, 1) if t else draws.uniform[:, :0],
            mean=self._map.to_px(way.means[-1], size) if t else None,
            hidden=way.hidden[-1] if t else None,
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

    def _normalised(self, glimpses: Tensor) -> Tensor:
        """Return what is seen as the network takes it."""
        config = self.config
        shift = config.outside - config.pixel_mean
        if shift == 0 and config.pixel_std == 1:
            return glimpses
        return (glimpses + shift) / config.pixel_std

    def _rollout(self, way: "_Way", size: Size) -> Rollout:
        """Read everything out at once."""
        hidden, means = torch.stack(way.hidden, 1), torch.stack(way.means, 1)
        values = self.baseline(hidden.detach())[..., 0].float()
        if self.config.baseline == "sigmoid":
            values = values.sigmoid()
        sigma = self.config.sigma
        away = torch.stack(way.drawn[1:], 1) - means[:, :-1] if len(way.drawn) > 1 else None
        log_probs = means.new_zeros(means.shape[:2])
        if away is not None:
            density = -away.square().sum(-1) / (2 * sigma**2) - math.log(2 * math.pi * sigma**2)
            log_probs = torch.cat([log_probs[:, :1], density], 1)
        return Rollout(
            logits=self._logits(hidden),
            locations=torch.stack(way.locations, 1),
            means=self._map.to_px(means, size),
            hidden=hidden,
            features=torch.stack(way.features, 1),
            glimpses=torch.stack(way.glimpses, 1),
            values=values,
            log_probs=log_probs,
        )

    def _logits(self, hidden: Tensor) -> Tensor:
        """Return logits (R, glimpse, class) of states (R, glimpse, unit)."""
        if self.config.readout == "last":
            return self.readout[0](hidden)
        heads = list(zip(self.readout, hidden.unbind(1), strict=False))
        last = len(self.readout) - 1
        return torch.stack(
            [head(state if t == last else state.detach()) for t, (head, state) in enumerate(heads)],
            1,
        )

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
            ``sample``), with ``prediction`` and its softmax ``confidence`` after each fixation.

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
                rollout = self._look_at(
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
            observer="RAM" if called == "mean" else f"RAM {called}",
            sample=list(range(n_samples)) * len(names),
            viewing=geometry,
        )
        dims = ("scanpath", "fixation")
        paths["prediction"] = dims, torch.cat([best.indices for _, best in found]).cpu().numpy()
        paths["confidence"] = dims, torch.cat([best.values for _, best in found]).cpu().numpy()
        record = {**self.provenance(), "policy": called, "n_samples": n_samples}
        return paths.assign_attrs(provenance=to_json(record), seed=seed)

    def provenance(self) -> dict[str, Any]:
        """Return what is needed to look in the same way again."""
        return {
            "model": "RAM",
            "config": self.config,
            "weights": state_hash(self.state_dict()),
        }


class _Way(NamedTuple):
    """What has happened so far, a tensor a glimpse."""

    locations: list[Tensor]
    drawn: list[Tensor]
    means: list[Tensor]
    hidden: list[Tensor]
    features: list[Tensor]
    glimpses: list[Tensor]

    def add(self, *values: Tensor) -> None:
        for kept, value in zip(self, values, strict=True):
            kept.append(value)


def _name(policy: Policy) -> str:
    return str(getattr(policy, "name", getattr(policy, "__name__", type(policy).__name__)))
