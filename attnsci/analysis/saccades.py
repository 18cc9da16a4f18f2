"""Saccades as a scanpath has them: amplitude, direction, and how each differs from the last.

A pair is two saccades in a row of one scanpath, and the fixation between them; every quantity of
a pair is taken by index within its scanpath, so that none reaches over the end of a trial.
"""

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np
import xarray as xr

from attnsci.checks import check_positive
from attnsci.errors import InvalidInput
from attnsci.gaze import frame_sizes, viewing_of

# A distance that differs from a radius by rounding alone is that radius, and not below it.
ROUNDING = 1e-9


@dataclasses.dataclass(frozen=True)
class Tracks:
    """A scanpath set as plain arrays: what baselines compute with.

    Attributes
    ----------
    x, y : ndarray (N, F), float64
        Pixels, NaN after the end.
    length : ndarray (N,), int64
        Fixations.
    image, viewer : ndarray (N,), int64
        Codes from 0.
    width, height : ndarray (N,)
        Pixels of the image under each scanpath.
    unit_px : float
        One degree in pixels; where that is unknown, the smallest radius asked for.
    """

    x: np.ndarray
    y: np.ndarray
    length: np.ndarray
    image: np.ndarray
    viewer: np.ndarray
    width: np.ndarray
    height: np.ndarray
    unit_px: float

    @property
    def inside(self) -> np.ndarray:
        """(N, F), True where there is a fixation."""
        return np.arange(self.x.shape[1]) < self.length[:, None]


def tracks_of(scanpaths: xr.Dataset, radii_px: np.ndarray | None = None) -> Tracks:
    """Return the arrays of a scanpath set.

    A viewer is an observer; where all scanpaths are of one observer and carry `sample` (a model
    with several seeds), a viewer is a sample.

    Parameters
    ----------
    scanpaths : xarray.Dataset
        The container.
    radii_px : ndarray, optional
        Radii asked for.

    Raises
    ------
    InvalidInput
        If there are no fixations, or neither px_per_deg nor a radius gives a unit.
    """
    length = scanpaths["n_fixations"].to_numpy()
    if length.max(initial=0) == 0:
        raise InvalidInput("The scanpaths have no fixation.")
    unit = viewing_of(scanpaths).px_per_deg
    if unit is None:
        if radii_px is None:
            raise InvalidInput(
                "The scanpaths' Viewing has no px_per_deg, so bins of one degree have no width. "
                "Give Viewing(..., px_per_deg=...)."
            )
        unit = float(np.min(radii_px))
    viewer = scanpaths["observer"].to_numpy()
    if "sample" in scanpaths.coords and len(np.unique(viewer)) == 1:
        viewer = scanpaths["sample"].to_numpy()
    width, height = frame_sizes(scanpaths)
    return Tracks(
        scanpaths["x"].to_numpy(),
        scanpaths["y"].to_numpy(),
        length,
        np.unique(scanpaths["image"].to_numpy(), return_inverse=True)[1],
        np.unique(viewer, return_inverse=True)[1],
        width,
        height,
        float(unit),
    )


def radii_in_px(
    scanpaths: xr.Dataset,
    radius_deg: float | Sequence[float] | None,
    radius_px: float | Sequence[float] | None,
) -> np.ndarray:
    """Return radii (R,) in pixels; those in pixels win over those in degrees.

    Raises
    ------
    InvalidInput
        If a radius is not above 0, or degrees are asked for without px_per_deg.
    """
    if radius_px is None:
        if radius_deg is None:
            raise InvalidInput("Give radius_deg or radius_px.")
        radius_px = viewing_of(scanpaths).pixels(np.asarray(radius_deg, float))
    radii = np.atleast_1d(np.asarray(radius_px, float))
    for radius in radii:
        check_positive("radius", float(radius))
    return radii


def wrap_deg(angle: Any) -> Any:
    """Return angles in (-180, 180].

    Examples
    --------
    >>> wrap_deg(np.array([-180.0, 190.0, 360.0]))
    array([ 180., -170.,    0.])
    """
    return 180.0 - (180.0 - np.asarray(angle)) % 360.0


def polar(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return amplitude (N, F-1) and direction (degrees, y downwards) of the saccades.

    The direction of a saccade of length zero is NaN: atan2(0, 0) = 0 would count as rightward.
    """
    vx, vy = np.diff(x, axis=1), np.diff(y, axis=1)
    amplitude = np.hypot(vx, vy)
    return amplitude, np.where(amplitude > 0, np.rad2deg(np.arctan2(vy, vx)), np.nan)


def saccades(scanpaths: xr.Dataset) -> xr.Dataset:
    """Return the saccades of scanpaths and what changes from one to the next.

    Parameters
    ----------
    scanpaths : xarray.Dataset
        The container; the first fixation is in.

    Returns
    -------
    xarray.Dataset
        Over (scanpath, saccade): ``amplitude_px``, ``direction_deg`` (0 right, 90 down). Over
        (scanpath, pair): ``turn_deg`` in (-180, 180], 0 straight on and ±180 back;
        ``amplitude_change_px``; ``amplitude_ratio_log2``; ``duration`` (s) of the fixation
        between the two; ``return_distance_px`` of the landing point from where the pair began.
        NaN after the end and where undefined: angles and ratios of a saccade of length zero.

    References
    ----------
    Wilming N, Harst S, Schmidt N, König P (2013). Saccadic momentum and facilitation of return
    saccades contribute to an optimal foraging strategy. PLoS Computational Biology 9(1).

    Examples
    --------
    >>> from attnsci.gaze import from_arrays
    >>> from attnsci.geometry import Viewing
    >>> there_and_back = from_arrays([[0, 9, 0]], [[5, 5, 5]], image="a", observer="m",
    ...                              viewing=Viewing(10, 10))
    >>> pairs = saccades(there_and_back).isel(pair=0, scanpath=0)
    >>> float(pairs["turn_deg"]), float(pairs["amplitude_change_px"])
    (180.0, 0.0)
    """
    x, y = scanpaths["x"].to_numpy(), scanpaths["y"].to_numpy()
    amplitude, direction = polar(x, y)
    first, second = amplitude[:, :-1], amplitude[:, 1:]
    both = (first > 0) & (second > 0)
    ratio = np.full(first.shape, np.nan)
    np.divide(second, first, out=ratio, where=both)
    one, two = ("scanpath", "saccade"), ("scanpath", "pair")
    return xr.Dataset(
        {
            "amplitude_px": (one, amplitude),
            "direction_deg": (one, direction),
            "turn_deg": (two, wrap_deg(np.diff(direction, axis=1))),
            "amplitude_change_px": (two, np.diff(amplitude, axis=1)),
            "amplitude_ratio_log2": (two, np.log2(ratio)),
            "duration": (two, scanpaths["duration"].to_numpy()[:, 1:-1]),
            "return_distance_px": (two, np.hypot(x[:, 2:] - x[:, :-2], y[:, 2:] - y[:, :-2])),
        },
        coords={name: scanpaths[name] for name in ("image", "observer")},
        attrs={
            "viewing": scanpaths.attrs["viewing"],
            "first_fixation": "kept",
            "steps": scanpaths.attrs.get("steps", "[]"),
        },
    )
