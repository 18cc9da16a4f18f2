"""Saccade pairs by turning angle and amplitude change: maps, boxes and histograms, with controls.

Return saccades turn by about 180° and keep the amplitude, forward saccades by 0°. How many there
ought to be depends on the control, so each function takes any baseline.
"""

from typing import Any

import numpy as np
import xarray as xr

from attnsci.analysis.baselines import drawer, get_baseline
from attnsci.analysis.saccades import polar, tracks_of, wrap_deg
from attnsci.checks import check_positive
from attnsci.errors import InvalidInput
from attnsci.seeds import numpy_generator

BOXES = ("return", "forward")


def _pairs(x: np.ndarray, y: np.ndarray, unit: float) -> tuple[np.ndarray, np.ndarray]:
    """Return |turn| (degrees) and amplitude change (units) of the pairs that have both."""
    amplitude, direction = polar(x, y)
    turn = np.abs(wrap_deg(np.diff(direction, axis=1)))
    known = np.isfinite(turn)
    return turn[known], np.diff(amplitude, axis=1)[known] / unit


def _measured(
    scanpaths: xr.Dataset, baseline: str | None, n_draws: int, seed: int, measure: Any
) -> tuple[np.ndarray, np.ndarray | None, dict[str, Any]]:
    """Return ``measure(turn, change)`` of what was seen and its mean over draws of a baseline."""
    tracks = tracks_of(scanpaths)
    turn, change = _pairs(tracks.x, tracks.y, tracks.unit_px)
    if not len(turn):
        raise InvalidInput("No scanpath has two saccades in a row with an angle between them.")
    attrs: dict[str, Any] = {"n_pairs": len(turn), "first_fixation": "kept"}
    if baseline is None:
        return measure(turn, change), None, attrs
    check_positive("n_draws", n_draws, integer=True)
    kind = get_baseline(baseline)
    rng, draw = numpy_generator(seed, kind.number), drawer(tracks, kind.name)
    drawn = [measure(*_pairs(*draw(rng), tracks.unit_px)) for _ in range(n_draws)]
    attrs |= {"baseline": kind.name, "how": kind.how, "preserves": kind.preserves}
    attrs |= {"asks": kind.asks, "n_draws": n_draws, "seed": seed}
    return measure(turn, change), np.mean(drawn, axis=0), attrs


def saccade_map(
    scanpaths: xr.Dataset,
    baseline: str = "saccade_permutation",
    *,
    change_limit_deg: float = 10.5,
    n_draws: int = 20,
    seed: int,
) -> xr.Dataset:
    """Map saccade pairs by turning angle and amplitude change, observed over control.

    Parameters
    ----------
    scanpaths : xarray.Dataset
        The container.
    baseline : str
        The control; the published one permutes saccades.
    change_limit_deg : float
        Amplitude changes from minus to plus this, in bins of one degree.
    n_draws : int
        Draws of the control.
    seed : int

    Returns
    -------
    xarray.Dataset
        Over (amplitude_change_deg, turn_deg), bins of 1° given by their centres: shares of all
        pairs, ``observed`` and ``control``, and their ``ratio``, NaN where no control pair fell.

    References
    ----------
    Wilming N et al. (2013). PLoS Computational Biology 9(1).

    Examples
    --------
    >>> from attnsci.gaze import from_arrays
    >>> from attnsci.geometry import Viewing
    >>> paths = from_arrays(*np.random.default_rng(0).uniform(0, 20, (2, 9, 9)), observer="m",
    ...     image=[f"{i}" for i in range(9)], viewing=Viewing(20, 20, px_per_deg=1))
    >>> saccade_map(paths, seed=0).observed.shape
    (21, 180)
    """
    check_positive("change_limit_deg", change_limit_deg)
    edges = (
        np.arange(-change_limit_deg, change_limit_deg + 0.5),
        np.arange(0.0, 181.0),
    )

    def measure(turn: np.ndarray, change: np.ndarray) -> np.ndarray:
        return np.histogram2d(change, turn, bins=edges)[0] / max(len(turn), 1)

    observed, control, attrs = _measured(scanpaths, baseline, n_draws, seed, measure)
    assert control is not None
    ratio = np.full(observed.shape, np.nan)
    np.divide(observed, control, out=ratio, where=control > 0)
    dims = ("amplitude_change_deg", "turn_deg")
    return xr.Dataset(
        {"observed": (dims, observed), "control": (dims, control), "ratio": (dims, ratio)},
        coords={name: (e[1:] + e[:-1]) / 2 for name, e in zip(dims, edges, strict=True)},
        attrs=attrs,
    )


def boxes(
    scanpaths: xr.Dataset,
    baseline: str | None = None,
    *,
    turn_deg: float = 20.0,
    change_deg: float = 1.0,
    n_draws: int = 20,
    seed: int = 0,
) -> xr.Dataset:
    """Return the shares of saccade pairs in the return box and in the forward box.

    Parameters
    ----------
    scanpaths : xarray.Dataset
        The container.
    baseline : str, optional
        A control to set beside them.
    turn_deg : float
        Half width: return saccades turn by more than 180° less this, forward ones by less.
    change_deg : float
        Both change their amplitude by less than this.
    n_draws, seed : int
        Of the control.

    Returns
    -------
    xarray.Dataset
        Over box ("return", "forward"): ``observed``, with a baseline also ``control`` and
        ``ratio`` (NaN where the control has none).

    Examples
    --------
    >>> from attnsci.gaze import from_arrays
    >>> from attnsci.geometry import Viewing
    >>> paths = from_arrays([[0, 9, 0, 9]], [[5, 5, 5, 5]], image="a", observer="m",
    ...                     viewing=Viewing(10, 10, px_per_deg=1))
    >>> boxes(paths).observed.values
    array([1., 0.])
    """

    def measure(turn: np.ndarray, change: np.ndarray) -> np.ndarray:
        same = np.abs(change) < change_deg
        found = [(turn > 180 - turn_deg) & same, (turn < turn_deg) & same]
        return np.array([part.sum() / max(len(turn), 1) for part in found])

    observed, control, attrs = _measured(scanpaths, baseline, n_draws, seed, measure)
    arrays = {"observed": observed}
    if control is not None:
        ratio = np.full(len(BOXES), np.nan)
        np.divide(observed, control, out=ratio, where=control > 0)
        arrays |= {"control": control, "ratio": ratio}
    return xr.Dataset(
        {name: ("box", values) for name, values in arrays.items()},
        coords={"box": list(BOXES)},
        attrs={**attrs, "turn_deg": turn_deg, "change_deg": change_deg},
    )


def turn_histogram(
    scanpaths: xr.Dataset,
    baseline: str | None = None,
    *,
    bin_deg: float = 30.0,
    n_draws: int = 20,
    seed: int = 0,
) -> xr.Dataset:
    """Return the shares of saccade pairs by |turning angle|.

    The control matters: fixations drawn about a centre turn back more often than not, whoever
    looks, so that the uniform share is no expectation.

    Parameters
    ----------
    scanpaths : xarray.Dataset
        The container.
    baseline : str, optional
        A control to set beside them.
    bin_deg : float
        Width of the bins from 0 to 180°.
    n_draws, seed : int
        Of the control.

    Returns
    -------
    xarray.Dataset
        Over turn_deg (centres): ``observed`` and, with a baseline, ``control``.

    Examples
    --------
    >>> from attnsci.gaze import from_arrays
    >>> from attnsci.geometry import Viewing
    >>> paths = from_arrays([[0, 3, 6, 3]], [[5, 5, 5, 5]], image="a", observer="m",
    ...                     viewing=Viewing(10, 10, px_per_deg=1))
    >>> turn_histogram(paths).observed.values
    array([0.5, 0. , 0. , 0. , 0. , 0.5])
    """
    edges = np.linspace(0, 180, max(round(180 / check_positive("bin_deg", bin_deg)), 1) + 1)

    def measure(turn: np.ndarray, change: np.ndarray) -> np.ndarray:
        return np.histogram(turn, edges)[0] / max(len(turn), 1)

    observed, control, attrs = _measured(scanpaths, baseline, n_draws, seed, measure)
    arrays = (
        {"observed": observed}
        if control is None
        else {
            "observed": observed,
            "control": control,
        }
    )
    return xr.Dataset(
        {name: ("turn_deg", values) for name, values in arrays.items()},
        coords={"turn_deg": (edges[1:] + edges[:-1]) / 2},
        attrs=attrs,
    )
