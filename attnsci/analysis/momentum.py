"""Saccadic momentum and temporal inhibition: what a turn, and a return, cost in time.

Fixations last longer before sharper turns (momentum). Temporal inhibition of return is what
fixations before return saccades last beyond that.
"""

import dataclasses

import numpy as np
import xarray as xr

from attnsci.analysis.saccades import saccades, tracks_of
from attnsci.checks import check_positive
from attnsci.errors import InvalidInput
from attnsci.statistics.plans import bootstrap_clusters

COEFFICIENTS = ("c", "s1", "s2", "s3", "s4")
MIN_PAIRS = 20
"""Fewest pairs of a viewer that the model is fitted to."""


@dataclasses.dataclass(frozen=True)
class _Fit:
    """The momentum model of one viewer: corner (degrees) and the coefficients, seconds."""

    x0: float
    coefficients: np.ndarray

    def predict(self, turn: np.ndarray, change: np.ndarray) -> np.ndarray:
        return _columns(turn, change, self.x0) @ self.coefficients


def _columns(turn: np.ndarray, change: np.ndarray, x0: float) -> np.ndarray:
    below = np.minimum(turn - x0, 0.0)
    return np.stack([np.ones_like(turn), turn, below, change, np.minimum(change, 0.0)], axis=1)


def _fit(turn: np.ndarray, change: np.ndarray, duration: np.ndarray) -> _Fit:
    """Fit d = c + s1·turn + s2·(turn - x0)·[turn < x0] + s3·change + s4·change·[change < 0].

    Given x0 the model is linear, so x0 alone is searched for: on a grid of 1° first, then between
    the neighbours of the best; no start values. A corner leaves at least a twentieth of the turns
    on either side: beyond, c and s1 would rest on a handful of fixations.
    """
    from scipy.optimize import minimize_scalar

    linear = _columns(turn, change, 0.0)[:, [0, 1, 3, 4]]
    basis = np.linalg.qr(linear)[0]
    left = duration - basis @ (basis.T @ duration)

    def gained(x0: np.ndarray) -> np.ndarray:
        """Return the squares that a corner at each x0 explains beyond the other columns."""
        corner = np.minimum(turn[:, None] - x0, 0.0)
        corner -= basis @ (basis.T @ corner)
        size = (corner**2).sum(0)
        out = np.zeros(len(x0))
        np.divide((left @ corner) ** 2, size, out=out, where=size > 1e-9 * len(turn))
        return out

    first, last = np.quantile(turn, [0.05, 0.95])
    grid = np.linspace(first, last, max(round(last - first), 1) + 1)
    best = grid[np.argmax(gained(grid))]
    x0 = minimize_scalar(
        lambda value: -float(gained(np.array([value]))[0]),
        bounds=(max(best - 1, first), min(best + 1, last)),
        method="bounded",
        options={"xatol": 1e-6},
    ).x
    return _Fit(float(x0), np.linalg.lstsq(_columns(turn, change, x0), duration, rcond=None)[0])


def momentum(
    scanpaths: xr.Dataset,
    *,
    shortest: float = 0.05,
    longest: float = 0.7,
    bin_deg: float = 30.0,
    box_turn_deg: float = 20.0,
    box_change_deg: float = 1.0,
    n_resamples: int = 2000,
    confidence: float = 0.95,
    seed: int,
) -> xr.Dataset:
    """Return how long fixations last before saccades that turn, and before those that return.

    Parameters
    ----------
    scanpaths : xarray.Dataset
        The container, with durations and px_per_deg.
    shortest, longest : float
        Durations (s) outside are left out.
    bin_deg : float
        Width of the bins of |turning angle|.
    box_turn_deg, box_change_deg : float
        Return saccades turn by more than 180° less the first and change their amplitude by less
        than the second; forward ones turn by less than the first.
    n_resamples, confidence, seed
        Of the bootstrap over viewers (over images, where there is one viewer).

    Returns
    -------
    xarray.Dataset
        ``duration`` (s) by ``turn_deg`` with ``duration_low``, ``duration_high`` and ``n``;
        ``duration_by_distance`` by ``distance_deg`` of the landing point from where the pair
        began (ten bins of 1°); ``box_duration`` and ``box_n`` by ``group`` ("return", "other
        turn back": as sharp and of another amplitude, "forward", "all"). Of the model, by
        ``viewer``: ``x0`` (degrees) and ``coefficient`` (c in s, s1 and s2 in s per degree of
        turn, s3 and s4 in s per degree of amplitude change), fitted without the return box, so
        that the model does not take up what is looked for. ``temporal_inhibition`` (s), the mean
        residual in the return box, with ``_low`` and ``_high``. Bins without fixations are NaN,
        with ``n`` 0.

    Raises
    ------
    InvalidInput
        If there are no durations, a viewer has too few pairs, or no pair returns.

    References
    ----------
    Smith TJ, Henderson JM (2009). Facilitation of return during scene viewing. Visual Cognition
    17. Wilming N et al. (2013). PLoS Computational Biology 9(1).

    Examples
    --------
    >>> from attnsci.gaze import from_arrays
    >>> from attnsci.geometry import Viewing
    >>> rng = np.random.default_rng(0)
    >>> paths = from_arrays(*rng.uniform(0, 9, (2, 20, 30)), rng.uniform(0.1, 0.4, (20, 30)),
    ...                     image=[f"{i}" for i in range(20)], observer=["a", "b"] * 10,
    ...                     viewing=Viewing(9, 9, px_per_deg=1))
    >>> bool(abs(momentum(paths, seed=0).temporal_inhibition) < 0.05)
    True
    """
    if not 0 <= shortest < longest:
        raise InvalidInput(f"Durations from {shortest} to {longest} s are none.")
    tracks = tracks_of(scanpaths)
    pairs = saccades(scanpaths)
    if not np.isfinite(pairs["duration"]).any():
        raise InvalidInput(
            "The scanpaths have no durations between saccades. For models without durations "
            "attnsci.analysis.returns.run_lengths is a proxy."
        )
    turn = np.abs(pairs["turn_deg"].to_numpy())
    seconds = pairs["duration"].to_numpy()
    use = np.isfinite(turn) & (seconds >= shortest) & (seconds <= longest)
    rows = np.nonzero(use)[0]
    turn, seconds = turn[use], seconds[use]
    change = pairs["amplitude_change_px"].to_numpy()[use] / tracks.unit_px
    distance = pairs["return_distance_px"].to_numpy()[use] / tracks.unit_px
    viewer = tracks.viewer[rows]
    back, same = turn > 180 - box_turn_deg, np.abs(change) < box_change_deg
    groups = {
        "return": back & same,
        "other turn back": back & ~same,
        "forward": (turn < box_turn_deg) & same,
        "all": np.ones_like(back),
    }
    if not groups["return"].any():
        raise InvalidInput("No saccade returns, so there is no temporal inhibition to measure.")
    names = np.unique(scanpaths["observer"].to_numpy())
    if len(names) <= tracks.viewer.max():
        names = np.unique(scanpaths["sample"].to_numpy())
    fits = []
    for code, name in enumerate(names):
        own = (viewer == code) & ~groups["return"]
        if own.sum() < MIN_PAIRS:
            raise InvalidInput(
                f"Viewer {str(name)!r} has {int(own.sum())} pairs of saccades with a duration "
                f"and the momentum model needs {MIN_PAIRS}. Leave this viewer out "
                "(attnsci.scanpaths.select)."
            )
        fits.append(_fit(turn[own], change[own], seconds[own]))
    predicted = np.empty_like(seconds)
    for code, fit in enumerate(fits):
        own = viewer == code
        predicted[own] = fit.predict(turn[own], change[own])
    clusters = viewer if len(fits) > 1 else tracks.image[rows]
    settings = {"n_resamples": n_resamples, "confidence": confidence, "seed": seed}
    n_bins = max(round(180 / check_positive("bin_deg", bin_deg)), 1)
    edges = np.linspace(0, 180, n_bins + 1)
    which = np.minimum(np.searchsorted(edges, turn, "right") - 1, n_bins - 1)
    curve = np.full((3, n_bins), np.nan)
    for b in np.unique(which):
        curve[:, b] = _mean(seconds[which == b], clusters[which == b], settings)
    inhibition = _mean(
        (seconds - predicted)[groups["return"]], clusters[groups["return"]], settings
    )
    near = np.minimum(distance, 10).astype(int)
    counts = np.bincount(near, minlength=11)[:10]
    by_distance = np.full(10, np.nan)
    np.divide(np.bincount(near, seconds, 11)[:10], counts, out=by_distance, where=counts > 0)
    box_n = np.array([part.sum() for part in groups.values()])
    box = np.full(len(box_n), np.nan)
    summed = np.array([seconds[part].sum() for part in groups.values()])
    np.divide(summed, box_n, out=box, where=box_n > 0)
    low, high = "temporal_inhibition_low", "temporal_inhibition_high"
    return xr.Dataset(
        {
            "duration": ("turn_deg", curve[0]),
            "duration_low": ("turn_deg", curve[1]),
            "duration_high": ("turn_deg", curve[2]),
            "n": ("turn_deg", np.bincount(which, minlength=n_bins)),
            "duration_by_distance": ("distance_deg", by_distance),
            "n_by_distance": ("distance_deg", counts),
            "box_duration": ("group", box),
            "box_n": ("group", box_n),
            "x0": ("viewer", [fit.x0 for fit in fits]),
            "coefficient": (("viewer", "term"), np.stack([fit.coefficients for fit in fits])),
            "temporal_inhibition": ((), inhibition[0]),
            low: ((), inhibition[1]),
            high: ((), inhibition[2]),
        },
        coords={
            "turn_deg": (edges[1:] + edges[:-1]) / 2,
            "distance_deg": np.arange(10) + 0.5,
            "group": list(groups),
            "viewer": names,
            "term": list(COEFFICIENTS),
        },
        attrs={
            "shortest": shortest,
            "longest": longest,
            "box_turn_deg": box_turn_deg,
            "box_change_deg": box_change_deg,
            "clusters": "viewers" if len(fits) > 1 else "images",
            "confidence": confidence,
            "first_fixation": "kept",
            "seed": seed,
        },
    )


def _mean(values: np.ndarray, clusters: np.ndarray, settings: dict) -> tuple[float, float, float]:
    """Return a mean with its interval; where one cluster has all, the interval is not known."""
    if len(np.unique(clusters)) < 2:
        return float(values.mean()), np.nan, np.nan
    found = bootstrap_clusters(values, clusters, statistic="mean", **settings)
    return found.estimate, found.low, found.high
