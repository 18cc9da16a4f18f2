"""The log-polar retina of the What/Where model: rings of log-Gabor filters about the fixation.

Daucé, Albiges & Perrinet 2020, "A dual foveal-peripheral visual processing model implements
efficient saccade selection", Journal of Vision 20(8):22. Rings lie at radii that grow
geometrically, filters grow with them, and every other ring is turned by half a step.
"""

import dataclasses
import functools
import math
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from attnsci.checks import check_fraction, check_option, check_positive
from attnsci.errors import InvalidInput
from attnsci.sensors.bank_cache import cached_bank
from attnsci.sensors.centred import CentredSensor
from attnsci.sensors.linear_inverse import LinearInverse
from attnsci.sensors.log_gabor import log_gabor_filters
from attnsci.sensors.quarter_turns import QuarterTurnBank
from attnsci.sensors.whitening import Whitening, WhiteningConfig


@dataclasses.dataclass(frozen=True)
class LogPolarConfig:
    """The layout of the retina; the defaults are the published one of 2880 filters.

    Raises
    ------
    InvalidInput
        If a number is out of range.
    """

    size: int = 128
    """Side of the visual field, in pixels, even; its centre is pixel (size / 2, size / 2)."""
    n_theta: int = 6
    """Orientations, relative to the radius."""
    n_azimuth: int = 24
    """Places on a ring."""
    n_ecc: int = 10
    """Rings."""
    n_phase: int = 2
    """Even filters (1), or even and odd ones (2)."""
    rho: float = 1.41
    """Ratio of the radii of neighbouring rings."""
    ecc_max: float = 0.8
    """The outermost ring would be the next after a radius of this part of the half diagonal."""
    sf_0_r: float = 0.03
    """Twice the preferred frequency, in cycles per pixel, at an eccentricity fraction of 1."""
    sf_0_max: float = 0.45
    """Highest preferred frequency, in cycles per pixel."""
    b_sf: float = 0.4
    """Bandwidth of frequency on the logarithmic axis."""
    b_theta: float = math.pi / 12
    """Bandwidth of orientation, in radians."""

    def __post_init__(self) -> None:
        for name in ("size", "n_theta", "n_azimuth", "n_ecc"):
            check_positive(name, getattr(self, name), integer=True)
        for name in ("sf_0_r", "sf_0_max", "b_sf", "b_theta"):
            check_positive(name, getattr(self, name))
        check_option("n_phase", self.n_phase, (1, 2))
        check_fraction("ecc_max", self.ecc_max)
        if self.size % 2:
            raise InvalidInput(f"size must be even, so that the field has a centre: {self.size}.")
        if self.n_azimuth % 4:
            raise InvalidInput(
                f"n_azimuth must be a multiple of 4, so that all quadrants are alike; got "
                f"{self.n_azimuth}."
            )
        if not self.rho > 1:
            raise InvalidInput(f"rho must be above 1, so that rings grow; got {self.rho!r}.")

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """Orientations, azimuths, eccentricities and phases: the order of the features."""
        return self.n_theta, self.n_azimuth, self.n_ecc, self.n_phase

    @property
    def n_features(self) -> int:
        """Filters of the bank."""
        return math.prod(self.shape)

    @property
    def eccentricity(self) -> Tensor:
        """Eccentricity of each ring as a fraction of the half diagonal, float64."""
        rings = torch.arange(self.n_ecc, dtype=torch.float64)
        return self.ecc_max * self.rho ** (rings - self.n_ecc)

    @property
    def radius_px(self) -> Tensor:
        """Radius of each ring in pixels, float64."""
        return math.sqrt(2) * self.size / 2 * self.eccentricity

    @property
    def azimuth(self) -> Tensor:
        """Angle of each place from the row axis, (n_azimuth, n_ecc), in radians, float64."""
        steps = torch.arange(self.n_azimuth, dtype=torch.float64)[:, None]
        return (steps + 0.5 * (torch.arange(self.n_ecc) % 2)) * (2 * math.pi / self.n_azimuth)

    @property
    def centres(self) -> Tensor:
        """Row and column of each place from the field's centre, (n_azimuth, n_ecc, 2), px."""
        angle = self.azimuth
        return self.radius_px[:, None] * torch.stack([angle.cos(), angle.sin()], -1)


def log_polar_filters(config: LogPolarConfig, azimuth: int) -> Tensor:
    """Return the filters at one azimuth of every ring, in double precision.

    Parameters
    ----------
    config : LogPolarConfig
    azimuth : int
        Index of the place on the ring.

    Returns
    -------
    Tensor, shape (n_theta, n_ecc, n_phase, size, size), float64

    Examples
    --------
    >>> log_polar_filters(LogPolarConfig(size=32, n_azimuth=8, n_ecc=4), 0).shape
    torch.Size([6, 4, 2, 32, 32])
    """
    sf_0 = (0.5 * config.sf_0_r / config.eccentricity).clamp(max=config.sf_0_max)
    tilt = torch.arange(config.n_theta, dtype=torch.float64) * (math.pi / config.n_theta)
    centres = config.centres[azimuth] + config.size / 2
    filters = log_gabor_filters(
        config.size,
        centres.repeat(config.n_theta, 1),
        (tilt[:, None] + config.azimuth[azimuth]).flatten(),
        sf_0.repeat(config.n_theta),
        b_sf=config.b_sf,
        b_theta=config.b_theta,
        n_phases=config.n_phase,
    )
    return filters.unflatten(0, (config.n_theta, config.n_ecc))


def log_polar_quadrant(config: LogPolarConfig) -> dict[str, np.ndarray]:
    """Build the filters of the first quadrant; the others are its quarter turns.

    Returns
    -------
    dict
        ``bank``: (n_theta, n_azimuth / 4, n_ecc, n_phase, size²), float32. ``energy``:
        (n_azimuth / 4, n_ecc, size²), float64, squares of the filters summed over orientation
        and phase, divided by their sum over pixels.
    """
    quarter, pixels = config.n_azimuth // 4, config.size**2
    bank = np.empty((config.n_theta, quarter, config.n_ecc, config.n_phase, pixels), np.float32)
    energy = np.empty((quarter, config.n_ecc, pixels))
    for azimuth in range(quarter):
        filters = log_polar_filters(config, azimuth)
        bank[:, azimuth] = filters.flatten(-2).numpy()
        values = filters.flatten(-2).numpy()
        squares = np.einsum("tfpx,tfpx->fx", values, values)
        energy[azimuth] = squares / squares.sum(-1, keepdims=True)
    return {"bank": bank, "energy": energy}


def load_log_polar_quadrant(
    config: LogPolarConfig, *names: Literal["bank", "energy"]
) -> dict[str, np.ndarray]:
    """Return `log_polar_quadrant` of `config`, kept on disk: see `attnsci.sensors.bank_cache`."""
    return cached_bank("log-polar", config, lambda: log_polar_quadrant(config), *names)


class LogPolarRetina(CentredSensor):
    """What 2880 log-Gabor filters about the fixation answer to the whitened image.

    The published code adds 0.5 to the whitened image and clips it before the first saccade only,
    which makes features of the first and of later looks differ by a large constant; here every
    look is taken alike.

    Parameters
    ----------
    config : LogPolarConfig
    whitening : WhiteningConfig or None
        How images are whitened first; None takes images that are already.
    fill : float
        What is seen off the image.

    Raises
    ------
    InvalidInput
        If the whitening is for images of another size.

    Examples
    --------
    >>> config = LogPolarConfig(size=32, n_theta=2, n_azimuth=8, n_ecc=4)
    >>> retina = LogPolarRetina(config, WhiteningConfig(size=32))
    >>> features = retina(torch.rand(3, 1, 50, 60), torch.tensor([[30.0, 25.0]] * 3))
    >>> features.shape, retina.inverse(features).shape
    (torch.Size([3, 128]), torch.Size([3, 1, 32, 32]))
    """

    n_channels = 1

    def __init__(
        self,
        config: LogPolarConfig | None = None,
        whitening: WhiteningConfig | None = None,
        *,
        fill: float = 0.5,
    ) -> None:
        config = config or LogPolarConfig()
        super().__init__(config.size, fill)
        if whitening is not None and whitening.size != config.size:
            raise InvalidInput(
                f"The whitening is for {whitening.size} pixels and the retina for {config.size}; "
                "give both the same size."
            )
        self.config = config
        self.whitening = None if whitening is None else Whitening(whitening, fill)
        quadrant = torch.from_numpy(load_log_polar_quadrant(config, "bank")["bank"])
        self.quadrants = QuarterTurnBank(quadrant.flatten(0, 3))

    def encode(self, images: Tensor) -> Tensor:
        """Return the features (N, F) of windows (N, 1, size, size).

        Their order is (orientation, azimuth, eccentricity, phase), the last fastest.
        """
        if self.whitening is not None:
            images = self.whitening.encode(images)
        return self._in_order(self.quadrants(images.flatten(1)).unflatten(2, self._quadrant))

    def bank(self) -> Tensor:
        """Return all filters (F, size²), in the order of the features."""
        dense = self.quadrants.dense().unflatten(1, self._quadrant)
        return self._in_order(dense.movedim(-1, 0)).T

    @property
    def _quadrant(self) -> tuple[int, int, int, int]:
        n_theta, n_azimuth, n_ecc, n_phase = self.config.shape
        return n_theta, n_azimuth // 4, n_ecc, n_phase

    @staticmethod
    def _in_order(turns: Tensor) -> Tensor:
        """Move the quarter turns (axis 1) behind the orientations and flatten from there."""
        return turns.movedim(1, 2).flatten(1)

    def inverse(self, features: Tensor) -> Tensor:
        """Return the whitened windows (N, 1, size, size) nearest to features (N, F)."""
        return self._decoder(features).unflatten(1, (1, self.size, self.size))

    @functools.cached_property
    def _decoder(self) -> LinearInverse:
        return LinearInverse(self.bank())
