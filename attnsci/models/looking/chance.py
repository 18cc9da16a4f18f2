"""Looking that knows nothing of the image: anywhere, or near the centre."""

import math
from typing import Any

import numpy as np
from torch import Tensor

from attnsci.checks import check_positive
from attnsci.geometry import Viewing
from attnsci.models.looking.base import ImageLooker


class UniformLooker(ImageLooker):
    """Fixates anywhere on the image.

    Examples
    --------
    >>> import torch
    >>> paths = UniformLooker().look(torch.zeros(2, 3, 60, 80), 5)
    >>> dict(paths.sizes), bool((paths["x"] < 80).all() and (paths["y"] < 60).all())
    ({'scanpath': 2, 'fixation': 5}, True)
    """

    name = "random"

    def provenance(self) -> dict[str, Any]:
        """Return what is needed to look in the same way again."""
        return {"model": "UniformLooker"}

    def _path(
        self,
        picture: Tensor,
        name: str,
        n_fixations: int,
        viewing: Viewing,
        rng: np.random.Generator,
    ) -> np.ndarray:
        return rng.random((n_fixations, 2)) * [viewing.width_px, viewing.height_px]


class CentreLooker(ImageLooker):
    """Fixates near the centre: a Gaussian, cut at the image's border.

    Parameters
    ----------
    sigma_x, sigma_y : float
        Standard deviations as shares of the image's width. By default the variance is 0.23 in
        half widths across and 0.45 of that down, after Clarke & Tatler.

    Raises
    ------
    InvalidInput
        If a standard deviation is not above 0.

    References
    ----------
    Clarke & Tatler 2014, Vision Research 102, 41.

    Examples
    --------
    >>> import torch
    >>> paths = CentreLooker().look(torch.zeros(1, 1, 60, 80), 400)
    >>> bool(abs(paths["x"].mean() - 40) < 3 and abs(paths["y"].mean() - 30) < 3)
    True
    """

    name = "central Gaussian"

    def __init__(
        self, sigma_x: float = math.sqrt(0.23) / 2, sigma_y: float = math.sqrt(0.23 * 0.45) / 2
    ) -> None:
        self.sigma_x = check_positive("sigma_x", sigma_x)
        self.sigma_y = check_positive("sigma_y", sigma_y)

    def provenance(self) -> dict[str, Any]:
        """Return what is needed to look in the same way again."""
        return {"model": "CentreLooker", "sigma_x": self.sigma_x, "sigma_y": self.sigma_y}

    def _path(
        self,
        picture: Tensor,
        name: str,
        n_fixations: int,
        viewing: Viewing,
        rng: np.random.Generator,
    ) -> np.ndarray:
        from scipy.special import ndtr, ndtri

        half = np.array([viewing.width_px, viewing.height_px]) / 2
        sigma_px = np.array([self.sigma_x, self.sigma_y]) * viewing.width_px
        outside = ndtr(-half / sigma_px)  # the share beyond each border
        share = outside + (1 - 2 * outside) * rng.random((n_fixations, 2))
        return np.clip(half + sigma_px * ndtri(share), 0, 2 * half)
