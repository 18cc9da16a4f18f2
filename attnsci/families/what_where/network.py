"""What and Where: a fovea that names digits, and a periphery that says where it should look.

Daucé, Albiges & Perrinet 2020, "A dual foveal-peripheral visual processing model implements
efficient saccade selection", Journal of Vision 20(8):22. Where reads a log-polar retina about the
fixation and predicts, for each cell of a collicular map, how accurate What would be after a
saccade there. The eye goes to the best cell, and What answers from there.
"""

import dataclasses
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from attnsci.checks import check_positive
from attnsci.errors import InvalidInput
from attnsci.families.what_where.config import WhatWhereConfig
from attnsci.families.what_where.pathways import WhatNet, WhereNet, where_retina
from attnsci.gaze import from_arrays
from attnsci.geometry import Viewing
from attnsci.models.images import check_images
from attnsci.models.looking.base import viewing_of_images
from attnsci.provenance import state_hash, to_json
from attnsci.sensors.centred import window
from attnsci.sensors.colliculus import Colliculus

if TYPE_CHECKING:
    import xarray as xr


class Rollout(NamedTuple):
    """All that happened on N images: a column for each fixation (F) or saccade (F − 1).

    Where the eye has stopped, values stay as they were, so that the last column is the outcome.

    Attributes
    ----------
    logits : Tensor, shape (N, F, class)
        Log posterior after each fixation, of all so far if they are accumulated.
    locations : Tensor, shape (N, F, 2)
        Fixations, in pixels (x, y).
    n_fixations : Tensor, shape (N,), int64
        How many of them were made.
    seen : Tensor, shape (N, F, 1, P, P)
        What the fovea saw.
    evidence : Tensor, shape (N, F, class)
        What's logits for that alone.
    where : Tensor, shape (N, F − 1, cells)
        Where's logits at each fixation from which a saccade could start.
    gain : Tensor, shape (N, F − 1)
        Information gain that was expected of the best saccade, in nats; −∞ if all were inhibited.
    """

    logits: Tensor
    locations: Tensor
    n_fixations: Tensor
    seen: Tensor
    evidence: Tensor
    where: Tensor
    gain: Tensor


class WhatWhere(nn.Module):
    """Looks where it expects to recognise best, and says what is there.

    Every fixation is sensed alike, whitening and its grey level included; the published code
    treats the first differently.

    Parameters
    ----------
    what : WhatNet
    where : WhereNet
    config : WhatWhereConfig, optional
        How to look; keyword arguments replace single settings.
    **settings
        Fields of `WhatWhereConfig`.

    Examples
    --------
    >>> where = WhereNet(
    ...     image_px=32, n_theta=2, n_azimuth=8, n_ecc=4, hidden=9, standardised=False
    ... )
    >>> model = WhatWhere(WhatNet(image_px=16), where, n_saccades=2).eval()
    >>> found = model.rollout(torch.rand(5, 1, 32, 32))
    >>> found.logits.shape, found.locations.shape, found.where.shape
    (torch.Size([5, 3, 10]), torch.Size([5, 3, 2]), torch.Size([5, 2, 32]))
    """

    name = "WhatWhere"
    targets: Tensor

    def __init__(
        self,
        what: WhatNet,
        where: WhereNet,
        config: WhatWhereConfig | None = None,
        **settings: Any,
    ) -> None:
        super().__init__()
        if what.config.image_px > where.config.image_px:
            raise InvalidInput(
                f"The fovea of {what.config.image_px} pixels must fit into the visual field of "
                f"{where.config.image_px}."
            )
        self.config = dataclasses.replace(config or WhatWhereConfig(), **settings)
        self.what, self.where = what, where
        self.retina = where_retina(where.config)
        self.colliculus = Colliculus(self.retina.config)
        # Whole pixels: between them the fovea's noise would be smoothed.
        offsets = self.colliculus.targets(self.config.target).round().flip(1)
        self.register_buffer("targets", offsets, persistent=False)

    def forward(self, images: Tensor) -> Tensor:
        """Return the log posterior (N, class) after the last fixation."""
        return self.rollout(images).logits[:, -1]

    def rollout(
        self, images: Tensor, *, first: Tensor | None = None, n_saccades: int | None = None
    ) -> Rollout:
        """Look at images, and keep what happened.

        Parameters
        ----------
        images : Tensor, shape (N, 1, H, W), float in [0, 1]
            Of any size that the fovea fits in; fixations keep it within.
        first : Tensor, shape (2,) or (N, 2), optional
            Where to begin, in pixels (x, y); the image's centre by default. Where the digit is,
            with 0 saccades, it is the fixation of an oracle.
        n_saccades : int, optional
            ``config.n_saccades`` if not given.

        Returns
        -------
        Rollout

        Raises
        ------
        InvalidInput
            If images are no numbers in [0, 1] or too small, or `first` is NaN or so near to the
            edge that the fovea leaves the image.
        """
        check_images(images, None)
        config = self.config
        if n_saccades is not None:
            config = dataclasses.replace(config, n_saccades=n_saccades)
        bounds = self._bounds(images)
        fixation = _first(first, images, bounds)
        active = torch.arange(len(images), device=images.device)
        n_fixations = torch.ones_like(active)
        seen, evidence = self._fixate(images, fixation)
        way = _Way([fixation], [seen], [evidence], [_log_posterior(evidence, config)], [], [])
        for _ in range(config.n_saccades):
            way.stay(self.where.config.n_cells)
            active, landing = self._saccade(images, active, bounds, way, config)
            seen, evidence = self._fixate(images[active], landing)
            way.move(active, landing, seen, evidence, config)
            n_fixations = n_fixations.index_add(0, active, torch.ones_like(active))
        none = images.new_empty(len(images), 0, self.where.config.n_cells)
        return Rollout(
            logits=torch.stack(way.logits, 1),
            locations=torch.stack(way.locations, 1),
            n_fixations=n_fixations,
            seen=torch.stack(way.seen, 1),
            evidence=torch.stack(way.evidence, 1),
            where=torch.stack(way.where, 1) if way.where else none,
            gain=torch.stack(way.gain, 1) if way.gain else none[..., 0],
        )

    def _bounds(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Return the least and the greatest fixation (x, y) with which the fovea stays within."""
        side = self.what.config.image_px
        if images.shape[1] != 1 or min(images.shape[-2:]) < side:
            raise InvalidInput(
                f"images must be (N, 1, H, W) with {side} pixels or more a side; got "
                f"{tuple(images.shape)}."
            )
        size = images.new_tensor([images.shape[-1], images.shape[-2]])
        return torch.full_like(size, side / 2), size - side / 2

    def _fixate(self, images: Tensor, fixation: Tensor) -> tuple[Tensor, Tensor]:
        """Return what the fovea sees at fixations (R, 2), and What's logits for it."""
        seen = window(images, fixation, self.what.config.image_px)
        return seen, self.what(seen)

    def _saccade(
        self,
        images: Tensor,
        active: Tensor,
        bounds: tuple[Tensor, Tensor],
        way: "_Way",
        config: WhatWhereConfig,
    ) -> tuple[Tensor, Tensor]:
        """Return the rows that look elsewhere, and where; `way` learns what Where expected."""
        if not len(active):
            return active, way.locations[-1][active]
        fixation = way.locations[-1][active]
        where = self.where(self.retina(images[active], fixation))
        landing = (fixation[:, None] + self.targets).clamp(*bounds)
        allowed = where
        if config.inhibition_px:
            visited = torch.stack(way.locations, 1)[active]
            near = torch.cdist(landing, visited) < config.inhibition_px
            allowed = where.masked_fill(near.any(-1), -torch.inf)
        # Of the logits, not of probabilities, which are equal where they round to 1.
        best = allowed.max(1)
        gain = functional.logsigmoid(best.values) - way.logits[-1][active].max(1).values
        way.where[-1] = way.where[-1].index_copy(0, active, where)
        way.gain[-1] = way.gain[-1].index_copy(0, active, gain)
        goes = gain > (0 if config.stop == "gain" else -torch.inf)
        rows = torch.arange(len(active), device=active.device)
        return active[goes], landing[rows, best.indices][goes]

    @torch.no_grad()
    def look(
        self,
        images: Tensor,
        n_fixations: int | None = None,
        *,
        image: Sequence[str] | None = None,
        first: Tensor | None = None,
        viewing: Viewing | None = None,
        chunk: int = 256,
    ) -> "xr.Dataset":
        """Return the scanpaths.

        Parameters
        ----------
        images : Tensor, shape (N, 1, H, W), float in [0, 1]
        n_fixations : int, optional
            Fixations at most, the first included; ``config.n_saccades + 1`` if not given.
        image : sequence of str, length N, optional
            Names; "0", "1", … if not given.
        first : Tensor, shape (2,) or (N, 2), optional
            See `rollout`.
        viewing : Viewing, optional
            Geometry, in pixels of `images`.
        chunk : int
            Images that are looked at together.

        Returns
        -------
        xarray.Dataset
            The container of `attnsci.gaze`, with ``prediction`` and its ``confidence`` after each
            fixation; after the last that was made both stay as they were.

        Raises
        ------
        InvalidInput
            As `rollout`, or if names are doubled or the viewing is of another size.
        """
        names = check_images(images, image)
        geometry = viewing_of_images(images, viewing)
        check_positive("chunk", chunk, integer=True)
        n_saccades = None
        if n_fixations is not None:
            n_saccades = check_positive("n_fixations", n_fixations, integer=True) - 1
        start = _first(first, images, self._bounds(images))
        found = [
            self.rollout(part, first=at, n_saccades=n_saccades)
            for part, at in zip(images.split(chunk), start.split(chunk), strict=True)
        ]
        xy = torch.cat([part.locations for part in found]).double().cpu().numpy()
        paths = from_arrays(
            xy[..., 0],
            xy[..., 1],
            image=names,
            observer=self.name,
            viewing=geometry,
            n_fixations=torch.cat([part.n_fixations for part in found]).cpu().numpy(),
        )
        best = torch.cat([part.logits for part in found]).max(-1)
        paths["prediction"] = ("scanpath", "fixation"), best.indices.cpu().numpy()
        paths["confidence"] = ("scanpath", "fixation"), best.values.exp().cpu().numpy()
        return paths.assign_attrs(provenance=to_json(self.provenance()))

    def provenance(self) -> dict[str, Any]:
        """Return what is needed to look in the same way again."""
        return {
            "model": self.name,
            "config": self.config,
            "what": self.what.config,
            "where": self.where.config,
            "weights": state_hash(self.state_dict()),
        }


class _Way(NamedTuple):
    """What has happened so far, a tensor a fixation or saccade."""

    locations: list[Tensor]
    seen: list[Tensor]
    evidence: list[Tensor]
    logits: list[Tensor]
    where: list[Tensor]
    gain: list[Tensor]

    def stay(self, n_cells: int) -> None:
        """Begin a saccade that nobody makes yet."""
        n, like = len(self.evidence[0]), self.evidence[0]
        self.where.append(self.where[-1] if self.where else like.new_zeros(n, n_cells))
        self.gain.append(self.gain[-1] if self.gain else like.new_zeros(n))

    def move(
        self,
        rows: Tensor,
        landing: Tensor,
        seen: Tensor,
        evidence: Tensor,
        config: WhatWhereConfig,
    ) -> None:
        """Add a fixation, which some rows make."""
        posterior = _log_posterior(evidence, config)
        if config.accumulate:
            posterior = (self.logits[-1][rows] + posterior).log_softmax(-1)
        new = landing, seen, evidence, posterior
        for kept, value in zip(self[:4], new, strict=True):
            kept.append(kept[-1].index_copy(0, rows, value))


def _log_posterior(evidence: Tensor, config: WhatWhereConfig) -> Tensor:
    return (evidence / config.temperature).log_softmax(-1)


def _first(first: Tensor | None, images: Tensor, bounds: tuple[Tensor, Tensor]) -> Tensor:
    """Return where to begin on each image (N, 2)."""
    low, high = bounds
    if first is None:
        return ((low + high) / 2).expand(len(images), 2)
    xy = torch.as_tensor(first).to(images)
    if xy.shape not in ((2,), (len(images), 2)):
        raise InvalidInput(
            f"first must have shape (2,) or ({len(images)}, 2); got {tuple(xy.shape)}."
        )
    off = ~((xy >= low) & (xy <= high)).reshape(-1, 2).all(1)  # NaN is off too
    if off.any():
        raise InvalidInput(
            f"first holds {xy.reshape(-1, 2)[off][0].tolist()}; the fovea stays on the image "
            f"between {low.tolist()} and {high.tolist()}. Give pixels (x, y)."
        )
    return xy.expand(len(images), 2)
