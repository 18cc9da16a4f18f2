"""Fixations from a saliency map: the winner takes all, and is inhibited for a while."""

from typing import Any

import numpy as np
import torch
from torch import Tensor

from attnsci.checks import (
    check_fraction,
    check_known,
    check_option,
    check_positive,
    check_shape,
)
from attnsci.errors import InvalidInput
from attnsci.geometry import Viewing
from attnsci.models.looking.base import ImageLooker
from attnsci.models.looking.saliency import SALIENCY, Saliency
from attnsci.sensors.foveation import mask

INHIBITIONS = {"disc": 1 / 6, "gaussian": 1 / 12}
"""Shapes, with their extent where none is given, as a share of the image's shorter side."""


class WinnerTakeAll(ImageLooker):
    """Fixates the most salient place, then the next one that is not inhibited.

    A fixation's priority is the saliency, stretched to [0, 1] over the image, minus the
    inhibition left by every earlier fixation. Equal winners, as on a blank image, are drawn
    by lot.

    Parameters
    ----------
    saliency : str or callable
        A name of `attnsci.models.looking.saliency.SALIENCY`, or a function from images
        (1, C, H, W) to finite maps (1, H, W).
    inhibition : {"disc", "gaussian"}
        Shape of the inhibition round a fixation, of height 1.
    extent_px, extent_deg : float, optional
        Radius of the disc or standard deviation of the Gaussian, in pixels or in degrees of the
        viewing. By default the disc has a sixth of the image's shorter side (the published
        model), the Gaussian a twelfth.
    retention : float
        Share of the inhibition that is left at the next fixation; 1 forgets nothing.
    temperature : float
        0 takes the winner. Above 0 a fixation is drawn with probability proportional to
        exp(priority / temperature): the more even, the higher.
    name : str, optional
        What the observer is called.

    Raises
    ------
    InvalidInput
        If a setting is out of range, or both extents are given.
    UnknownName
        If no saliency has that name.

    References
    ----------
    Itti, Koch & Niebur 1998, IEEE PAMI 20, 1254 (winner-take-all with a disc); Koch & Ullman
    1985, Human Neurobiology 4, 219.

    Examples
    --------
    >>> image = torch.zeros(1, 1, 60, 80)
    >>> image[..., 30, 20], image[..., 10, 70] = 1.0, 0.5
    >>> paths = WinnerTakeAll(lambda images: images[:, 0]).look(image, 2)
    >>> paths["x"].values.tolist(), paths["y"].values.tolist()
    ([[20.5, 70.5]], [[30.5, 10.5]])
    """

    def __init__(
        self,
        saliency: str | Saliency = "itti-koch",
        *,
        inhibition: str = "disc",
        extent_px: float | None = None,
        extent_deg: float | None = None,
        retention: float = 1.0,
        temperature: float = 0.0,
        name: str | None = None,
    ) -> None:
        if isinstance(saliency, str):
            self.saliency = SALIENCY[check_known("saliency", saliency, SALIENCY)]
            self._saliency_name = saliency
        else:
            self.saliency = saliency
            self._saliency_name = getattr(saliency, "__name__", repr(saliency))
        check_option("inhibition", inhibition, INHIBITIONS)
        if extent_px is not None and extent_deg is not None:
            raise InvalidInput("Give extent_px or extent_deg, not both.")
        for parameter, extent in (("extent_px", extent_px), ("extent_deg", extent_deg)):
            if extent is not None:
                check_positive(parameter, extent)
        check_fraction("retention", retention)
        if not 0 <= temperature < np.inf:
            raise InvalidInput(f"temperature must be 0 or more, and finite; got {temperature!r}.")
        self.inhibition, self.extent_px, self.extent_deg = inhibition, extent_px, extent_deg
        self.retention, self.temperature = retention, temperature
        self._name = name or f"{self._saliency_name} winner-take-all"

    @property
    def name(self) -> str:
        """What the observer is called."""
        return self._name

    def provenance(self) -> dict[str, Any]:
        """Return what is needed to look in the same way again."""
        settings = ("inhibition", "extent_px", "extent_deg", "retention", "temperature")
        return {
            "model": "WinnerTakeAll",
            "saliency": self._saliency_name,
            **{name: getattr(self, name) for name in settings},
        }

    def _path(
        self,
        picture: Tensor,
        name: str,
        n_fixations: int,
        viewing: Viewing,
        rng: np.random.Generator,
    ) -> np.ndarray:
        salience = self._stretched(picture, name)
        height, width = salience.shape
        extent = self._extent(viewing)
        inhibited = torch.zeros_like(salience)
        path = np.empty((n_fixations, 2))
        for fixation, lot in enumerate(rng.random(n_fixations)):
            winner = self._winner(salience - inhibited, float(lot))
            path[fixation] = winner % width + 0.5, winner // width + 0.5
            here = salience.new_tensor(path[fixation])
            inhibited = self.retention * (inhibited + self._shape(here, (height, width), extent))
        return path

    def _stretched(self, picture: Tensor, name: str) -> Tensor:
        """Return the saliency (H, W) of a picture, from 0 to 1."""
        with torch.no_grad():
            maps = self.saliency(picture[None])
        salience = check_shape("The saliency map", maps, (1, *picture.shape[-2:]))[0]
        low, high = salience.aminmax()
        if not torch.isfinite(high - low):
            raise InvalidInput(
                f"The saliency {self._saliency_name!r} of image {name!r} holds values that are "
                "NaN or infinite."
            )
        return (salience - low) / (high - low) if high > low else torch.zeros_like(salience)

    def _extent(self, viewing: Viewing) -> float:
        if self.extent_deg is not None:
            return float(viewing.pixels(self.extent_deg))
        if self.extent_px is not None:
            return self.extent_px
        return INHIBITIONS[self.inhibition] * min(viewing.width_px, viewing.height_px)

    def _shape(self, xy: Tensor, size: tuple[int, int], extent: float) -> Tensor:
        """Return the inhibition (H, W) that a fixation adds."""
        if self.inhibition == "gaussian":
            return mask(xy, size, extent)[0]
        height, width = size
        x = torch.arange(width, dtype=xy.dtype, device=xy.device) + 0.5 - xy[0]
        y = torch.arange(height, dtype=xy.dtype, device=xy.device)[:, None] + 0.5 - xy[1]
        return (x**2 + y**2 <= extent**2).to(xy)

    def _winner(self, priority: Tensor, lot: float) -> int:
        """Return the pixel that a number in [0, 1) draws."""
        values = priority.flatten()
        if self.temperature == 0:
            tied = (values == values.max()).nonzero()[:, 0]
            return int(tied[int(lot * len(tied))])
        weights = torch.exp((values - values.max()).cpu().double() / self.temperature)
        total = weights.cumsum(0)
        # Rounding may bring the product to the total, which lies beyond the last pixel.
        at = torch.searchsorted(total, (lot * total[-1]).reshape(1), right=True)
        return min(int(at), len(values) - 1)
