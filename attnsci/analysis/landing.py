"""Where saccades land: distance to the object, gain, and direction, by eccentricity.

Human primary saccades to a visible target fall a little short, at gains of about 0.9 to 0.95
(Becker & Fuchs), and are corrected by a second one. Places are (x, y) with x to the right and y
down, in one unit, pixels or degrees.
"""

from collections.abc import Callable, Hashable, Sequence
from typing import Any

import numpy as np
import xarray as xr

from attnsci.analysis.alignment import align_exact
from attnsci.analysis.eccentricity import accuracy_by_eccentricity, check_edges, xy_of
from attnsci.checks import check_dims, check_finite, check_positive
from attnsci.errors import InvalidInput
from attnsci.seeds import numpy_generator
from attnsci.statistics.estimates import check_confidence, count_draws, split_blocks

QUARTILES = (0.25, 0.5, 0.75)
# Relative width within which a rank counts as reached: 0.1 · 30 is not 3 in floating point.
ROUNDING = 1e-9


def saccade_landing(
    fixation: xr.DataArray, target: xr.DataArray, *, start: xr.DataArray | None = None
) -> xr.Dataset:
    """Return error, gain and direction of saccades towards targets.

    Parameters
    ----------
    fixation : xarray.DataArray
        Where the gaze landed: dimensions ``stimulus``, ``coordinate`` ("x", "y") and any others.
    target : xarray.DataArray
        Where the object is: ``stimulus``, ``coordinate`` and any others.
    start : xarray.DataArray, optional
        Where the gaze was before, with ``coordinate`` and any others; the origin if not given,
        so that `fixation` and `target` are offsets from it.

    Returns
    -------
    xarray.Dataset
        Over ``stimulus`` and the others: ``error``, distance of landing and target;
        ``eccentricity``, that of start and target; ``amplitude`` of the saccade; ``gain``, its
        component towards the target over the eccentricity (1 is on target, less is short);
        ``angle_deg``, from the direction of the target to that of the saccade, in (−180, 180],
        positive clockwise as seen on the screen, NaN where the gaze did not move.
        ``attrs["n_unmoved"]`` counts these.

    Raises
    ------
    InvalidInput
        If dimensions are missing, stimuli differ, a place is not finite, or a target lies where
        the saccade starts, so that it has no gain.

    References
    ----------
    Becker W, Fuchs AF (1969). Further properties of the human saccadic system: eye movements and
    correction saccades with and without visual fixation points. Vision Research 9, 1247–1258.

    Examples
    --------
    >>> place = {"coordinate": ["x", "y"]}
    >>> target = xr.DataArray([[10.0, 0.0]], place, ("stimulus", "coordinate"))
    >>> found = saccade_landing(xr.DataArray([[9.0, 9.0]], place, target.dims), target)
    >>> [float(found[name][0].round(2)) for name in ("error", "gain", "angle_deg")]
    [9.06, 0.9, 45.0]
    """
    for parameter, places in (("fixation", fixation), ("target", target)):
        check_dims(parameter, places, ["stimulus", "coordinate"])
        check_finite(parameter, places)
    here, there = xy_of("fixation", fixation), xy_of("target", target)
    origin: tuple = (0.0, 0.0)
    if start is None:
        align_exact(fixation=here[0], target=there[0])
    else:
        origin = xy_of("start", check_finite("start", start))
        align_exact(fixation=here[0], target=there[0], start=origin[0])
    across, along = here[0] - origin[0], here[1] - origin[1]
    x, y = there[0] - origin[0], there[1] - origin[1]
    hypot = _by_cell(np.hypot)
    away, amplitude = hypot(x, y), hypot(across, along)
    if (away == 0).any():
        raise InvalidInput(
            f"{int((away == 0).sum())} target(s) lie where the saccade starts and have no gain; "
            "leave them out."
        )
    turn = np.degrees(_by_cell(np.arctan2)(x * along - y * across, x * across + y * along))
    unmoved = amplitude == 0
    result = xr.Dataset(
        {
            "error": hypot(here[0] - there[0], here[1] - there[1]),
            "eccentricity": away,
            "amplitude": amplitude,
            "gain": (across * x + along * y) / away**2,
            # Of exactly opposite directions either sign may come out.
            "angle_deg": xr.where(turn <= -180, 180.0, turn).where(~unmoved),
        }
    ).drop_attrs()
    if "units" in target.attrs:
        for name in ("error", "eccentricity", "amplitude"):
            result[name].attrs["units"] = target.attrs["units"]
    return result.assign_attrs(n_unmoved=int(unmoved.sum()))


def _by_cell(function: np.ufunc) -> Callable[..., xr.DataArray]:
    return lambda *arrays: xr.apply_ufunc(function, *arrays)


def landing_by_eccentricity(
    landing: xr.Dataset,
    edges: Sequence[float] | np.ndarray,
    *,
    within: float,
    quantiles: Sequence[float] = QUARTILES,
    seed: int = 0,
    n_resamples: int = 1000,
    confidence: float = 0.95,
) -> xr.Dataset:
    """Summarise landing by bins of target eccentricity, with bootstrap intervals over stimuli.

    Parameters
    ----------
    landing : xarray.Dataset
        Of `saccade_landing`. What ``eccentricity`` has no dimension for (saccade, contrast) stays.
    edges : array-like, shape (B + 1,)
        Ascending edges of the bins of eccentricity.
    within : float
        Radius around the target, in the unit of ``error``.
    quantiles : sequence of float
        Of ``error``, ``gain`` and the absolute ``angle_deg``.
    seed, n_resamples, confidence
        Of the bootstrap.

    Returns
    -------
    xarray.Dataset
        Over ``eccentricity`` (bins) and the other dimensions, and ``quantile`` where it applies:
        ``error``, ``gain``, ``angle_deg`` and ``within`` (share of landings at most that far from
        the target), each with ``_low`` and ``_high``; ``n`` saccades and ``n_angles``, those that
        moved.

    Raises
    ------
    InvalidInput
        If a variable or dimension is missing, a bin is empty, or a resample leaves one empty.

    Examples
    --------
    >>> place = {"coordinate": ["x", "y"]}
    >>> target = xr.DataArray([[10.0, 0.0]] * 9, place, ("stimulus", "coordinate"))
    >>> landing = saccade_landing(target * 0.9, target)
    >>> found = landing_by_eccentricity(landing, [5, 15], within=2, n_resamples=100)
    >>> float(found["gain"].sel(quantile=0.5)[0].round(6)), float(found["within"][0])
    (0.9, 1.0)
    """
    missing = {"error", "eccentricity", "gain", "angle_deg"} - set(landing)
    if missing:
        raise InvalidInput(
            f"landing lacks {', '.join(sorted(missing))}; it is made by saccade_landing."
        )
    check_positive("within", within)
    away = landing["eccentricity"]
    drawn: dict[str, Any] = {"seed": seed, "n_resamples": n_resamples, "confidence": confidence}
    parts: dict[Hashable, xr.DataArray] = {}
    for name in ("error", "gain", "angle_deg"):
        values = abs(landing[name]) if name == "angle_deg" else landing[name]
        found = quantiles_by_eccentricity(values, away, edges, quantiles, **drawn)
        ends = {"estimate": name, "low": f"{name}_low", "high": f"{name}_high"}
        counted = {"error": {"n": "n"}, "gain": {}, "angle_deg": {"n": "n_angles"}}[name]
        names = {**ends, **counted}
        parts.update(found[list(names)].rename(names))
    close = accuracy_by_eccentricity(
        landing["error"] <= within, away, edges, chance=0.0, interval="bootstrap", **drawn
    )
    shares = close[["accuracy", "low", "high"]]
    parts.update(shares.rename(accuracy="within", low="within_low", high="within_high"))
    return xr.Dataset(parts).assign_attrs(
        within=float(within),
        n_stimuli=away.sizes["stimulus"],
        n_outside=close.attrs["n_outside"],
        confidence=confidence,
        method="bootstrap of stimuli",
    )


def quantiles_by_eccentricity(
    values: xr.DataArray,
    eccentricity: xr.DataArray,
    edges: Sequence[float] | np.ndarray,
    quantiles: Sequence[float] = QUARTILES,
    *,
    seed: int = 0,
    n_resamples: int = 1000,
    confidence: float = 0.95,
) -> xr.Dataset:
    """Return quantiles of a measure in bins of eccentricity, with bootstrap intervals.

    Parameters
    ----------
    values : xarray.DataArray
        A number for each saccade, by ``stimulus`` and any others; NaN where there is none.
    eccentricity : xarray.DataArray
        On ``stimulus`` and others of the dimensions of `values`, which are pooled.
    edges : array-like, shape (B + 1,)
        Ascending edges of the bins.
    quantiles : sequence of float
        Between 0 and 1, each once. Where a quantile falls between two values it is their mean,
        as the median is.
    seed, n_resamples, confidence
        Of the bootstrap, which draws stimuli with all their saccades.

    Returns
    -------
    xarray.Dataset
        ``estimate``, ``low``, ``high`` over ``quantile``, ``eccentricity`` and the other
        dimensions, and ``n``, numbers that went in.

    Raises
    ------
    InvalidInput
        If dimensions or quantiles do not fit, a value is infinite, a bin is empty, or a resample
        leaves one empty.

    Examples
    --------
    >>> away = xr.DataArray([1.0, 2.0, 3.0, 4.0], dims="stimulus")
    >>> float(quantiles_by_eccentricity(away, away, [0, 5], [0.5])["estimate"].squeeze())
    2.5
    """
    limits = check_edges(edges)
    levels = check_finite("quantiles", np.asarray(quantiles, dtype=np.float64))
    if levels.ndim != 1 or not len(levels) or len(np.unique(levels)) != len(levels):
        raise InvalidInput(f"quantiles must be a list of distinct numbers; got {quantiles!r}.")
    if levels.min() < 0 or levels.max() > 1:
        raise InvalidInput(f"quantiles must lie between 0 and 1; got {levels.tolist()}.")
    check_positive("n_resamples", n_resamples, integer=True)
    tail = (1 - check_confidence(confidence)) / 2
    check_dims("eccentricity", eccentricity, ["stimulus"])
    check_dims("values", values, [str(dim) for dim in eccentricity.dims])
    check_finite("eccentricity", eccentricity)
    values, eccentricity = align_exact(values=values.astype(np.float64), eccentricity=eccentricity)
    pooled = [dim for dim in eccentricity.dims if dim != "stimulus"]
    kept = [dim for dim in values.dims if dim not in ("stimulus", *pooled)]
    n = values.sizes["stimulus"]
    if n < 2:
        raise InvalidInput(f"The bootstrap needs at least 2 stimuli; got {n}.")
    ordered = values.transpose("stimulus", *pooled, *kept)
    shape = tuple(ordered.sizes[dim] for dim in kept)
    where = eccentricity.transpose("stimulus", *pooled).values.ravel()
    flat = ordered.values.reshape(len(where), int(np.prod(shape)))
    if np.isinf(flat).any():
        raise InvalidInput(f"values holds {int(np.isinf(flat).sum())} infinite numbers.")
    stimulus = np.repeat(np.arange(n), len(where) // n)
    bins = np.searchsorted(limits, where, side="right") - 1
    rng = numpy_generator(seed)
    times = np.concatenate(
        [count_draws(rng, block, n).astype(np.int32) for block in split_blocks(n_resamples, n)]
    )
    results = np.empty((3, len(levels), len(limits) - 1, flat.shape[1]))
    counts = np.empty((len(limits) - 1, flat.shape[1]), np.int64)
    # Bins and conditions have their own order of values each.
    for place, condition in np.ndindex(counts.shape):
        rows = np.flatnonzero((bins == place) & ~np.isnan(flat[:, condition]))
        counts[place, condition] = len(rows)
        rows = rows[np.argsort(flat[rows, condition], kind="stable")]
        sample, members = flat[rows, condition], stimulus[rows]
        within = f"[{limits[place]:g}, {limits[place + 1]:g})"
        if not len(rows):
            raise InvalidInput(f"No value has an eccentricity in {within}. Give other edges.")
        blocks = np.array_split(times, len(split_blocks(n_resamples, len(rows))))
        if min(int(block[:, members].sum(1).min()) for block in blocks) == 0:
            raise InvalidInput(
                f"Only {len(np.unique(members))} stimuli have a value in {within}, so that some "
                "resamples have none. Give wider edges."
            )
        once = np.ones((1, len(rows)), np.int32)
        draws = np.concatenate([repeated_quantiles(sample, b[:, members], levels) for b in blocks])
        results[0, :, place, condition] = repeated_quantiles(sample, once, levels)[0]
        results[1:, :, place, condition] = np.quantile(draws, [tail, 1 - tail], axis=0)
    dims = ("quantile", "eccentricity", *kept)
    parts = {
        name: (dims, part.reshape(*part.shape[:2], *shape))
        for name, part in zip(("estimate", "low", "high"), results, strict=True)
    }
    coords = {name: c for name, c in values.coords.items() if set(c.dims) <= set(kept)}
    return xr.Dataset(
        {**parts, "n": (dims[1:], counts.reshape(len(counts), *shape))},
        coords={
            **{name: c for name, c in coords.items() if name != "eccentricity"},
            "quantile": levels,
            "eccentricity": (limits[:-1] + limits[1:]) / 2,
            "lower_edge": ("eccentricity", limits[:-1]),
            "upper_edge": ("eccentricity", limits[1:]),
        },
        attrs={
            "n_stimuli": n,
            "n_outside": int(((bins < 0) | (bins >= len(limits) - 1)).sum()),
            "confidence": confidence,
            "method": "bootstrap of stimuli",
        },
    )


def repeated_quantiles(sample: np.ndarray, times: np.ndarray, levels: np.ndarray) -> np.ndarray:
    """Return the quantiles of samples in which values are repeated.

    Parameters
    ----------
    sample : numpy.ndarray, shape (M,)
        Ascending.
    times : numpy.ndarray, shape (D, M), int
        How often each value is in each of D samples, none of them empty.
    levels : numpy.ndarray, shape (Q,)
        Between 0 and 1.

    Returns
    -------
    numpy.ndarray, shape (D, Q)
        As ``numpy.quantile(..., method="averaged_inverted_cdf")``.

    Examples
    --------
    >>> repeated_quantiles(np.array([1.0, 2.0, 9.0]), np.array([[1, 1, 2]]), np.array([0.5, 1.0]))
    array([[5.5, 9. ]])
    """
    reached = np.cumsum(times, axis=1)
    total = reached[:, -1:]
    found = np.empty((len(times), len(levels)))
    for i, level in enumerate(levels):
        rank = level * total
        slack = ROUNDING * total
        lower = (reached < np.maximum(rank - slack, 1)).sum(1)
        upper = (reached < np.minimum(np.floor(rank + slack) + 1, total)).sum(1)
        found[:, i] = (sample[lower] + sample[upper]) / 2
    return found
