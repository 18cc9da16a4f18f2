"""How far an accuracy map is from round: along its four meridians.

Directions are those of the object as seen from the gaze, with y down: "up" is the upper visual
field. The indices of the vision literature compare accuracies; the same ratios are given of the
half-height radius, the eccentricity at which the accuracy along a direction first comes down to
half-way between the centre of the map and chance.
"""

from collections.abc import Sequence

import numpy as np
import xarray as xr

from attnsci.analysis.eccentricity import (
    bootstrap_accuracy,
    check_edges,
    on_grid,
    radial_profile,
)
from attnsci.analysis.fall_off import STATUS, half_crossing
from attnsci.checks import check_dims, check_finite, check_fraction
from attnsci.errors import InvalidInput
from attnsci.statistics.estimates import check_confidence
from attnsci.statistics.proportions import check_answers

DIRECTIONS = ("right", "up", "left", "down")
ANGLES_DEG = np.array([0.0, 90.0, 180.0, 270.0])
QUANTITIES = ("radius", "accuracy")
# The largest and smallest value of (a − b) / ((a + b) / 2) for a and b of 0 and more.
EXTREME = 2.0


def half_height_radius(
    values: xr.DataArray, edges: Sequence[float] | np.ndarray, *, chance: float
) -> xr.Dataset:
    """Return where the radial profile of a finished map first comes down to half its height.

    With the single answers at hand, `attnsci.analysis.fall_off.fit_fall_off` gives the same
    radius with an interval.

    Parameters
    ----------
    values : xarray.DataArray
        Accuracy with dimensions and coordinates ``y`` and ``x``, and any others.
    edges : array-like, shape (B + 1,)
        Ascending edges of the rings, the first of which is the centre of the map.
    chance : float
        Accuracy of guessing, from which heights are measured.

    Returns
    -------
    xarray.Dataset
        Over the other dimensions: ``radius``, in the unit of the offsets and NaN where it is not
        defined, and ``status``, which says why: an index into ``attrs["status_names"]``.

    Raises
    ------
    InvalidInput
        As `attnsci.analysis.eccentricity.radial_profile`.

    Examples
    --------
    >>> grid = np.arange(-9.0, 10)
    >>> away = xr.DataArray(np.hypot(grid, grid[:, None]), {"y": grid, "x": grid}, ("y", "x"))
    >>> float(half_height_radius(1 - away / 10, [0, 0.5, 4.5, 5.5], chance=0)["radius"].round(1))
    5.0
    """
    check_fraction("chance", chance)
    profile = radial_profile(values, edges)["accuracy"].transpose("eccentricity", ...)
    away = xr.apply_ufunc(np.hypot, *xr.broadcast(values["y"], values["x"])).astype(np.float64)
    distance = radial_profile(away, edges)["accuracy"].values
    height = profile.values.reshape(len(distance), -1).T - chance
    radius = half_crossing(height, distance)
    status = np.where(height[:, 0] <= 0, 1, np.where(np.isinf(radius), 2, 0))
    template = profile.isel(eccentricity=0, drop=True)
    parts = {"radius": np.where(status == 0, radius, np.nan), "status": status.astype(np.int8)}
    return xr.Dataset(
        {name: template.copy(data=part.reshape(template.shape)) for name, part in parts.items()},
        attrs={"chance": float(chance), "status_names": list(STATUS)},
    )


def anisotropy(
    values: xr.DataArray,
    edges: Sequence[float] | np.ndarray,
    *,
    chance: float,
    half_angle_deg: float = 22.5,
) -> xr.Dataset:
    """Return how a finished map differs between the four directions.

    Parameters
    ----------
    values : xarray.DataArray
        Accuracy with dimensions and coordinates ``y`` and ``x`` (the offsets), and any others:
        ``accuracy`` of `attnsci.analysis.eccentricity.accuracy_map`, or a published map.
    edges : array-like, shape (B + 1,)
        Ascending edges of three rings or more. The first ring is the centre, which all
        directions share; in the others each direction has its own cells.
    chance : float
        Accuracy of guessing.
    half_angle_deg : float
        How far from its meridian a direction reaches, above 0 and at most 45.

    Returns
    -------
    xarray.Dataset
        Over ``direction`` and the other dimensions of `values`: ``radius`` (half-height, NaN
        where not defined), ``status`` (index into ``attrs["status_names"]``) and ``accuracy``
        (mean over the rings outside the centre). Over ``quantity`` (radius, accuracy): ``hva``,
        (H − V) / ((H + V) / 2) with H the mean of left and right and V that of up and down;
        ``vma``, (lower − upper) / ((lower + upper) / 2). Both are 0 for a round map. NaN where a
        radius is not defined.

    Raises
    ------
    InvalidInput
        If a coordinate is missing, the map is not finite, or a direction has no cell in a ring.

    See Also
    --------
    bootstrap_anisotropy : the same of single answers, with intervals.
    attnsci.analysis.map_comparison.point_asymmetry : difference from the point reflection.

    References
    ----------
    Carrasco M, Talgar CP, Cameron EL (2001). Characterizing visual performance fields: effects of
    transient covert attention, spatial frequency, eccentricity, task and set size. Spatial
    Vision 15, 61–75.

    Himmelberg MM, Winawer J, Carrasco M (2023). Polar angle asymmetries in visual perception and
    neural architecture. Trends in Neurosciences 46, 445–458.

    Examples
    --------
    >>> grid = np.arange(-9.0, 10)
    >>> wide = np.hypot(grid / 2, grid[:, None])
    >>> values = xr.DataArray(np.exp(-wide / 3), {"y": grid, "x": grid}, ("y", "x"))
    >>> found = anisotropy(values, np.arange(0.0, 11, 2), chance=0, half_angle_deg=10)
    >>> bool(found["hva"].sel(quantity="radius") > 0.5)
    True
    """
    check_dims("values", values, ["y", "x"])
    moved = values.transpose("y", "x", ...)
    check_finite("values", moved)
    regions, away = sectors(moved, edges, half_angle_deg)
    flat = np.asarray(moved, dtype=np.float64).reshape(len(regions), -1)
    means = (regions.T @ flat)[None] / regions.sum(0)[:, None]
    parts = _measures(means, away, check_fraction("chance", chance))
    kept = [dim for dim in moved.dims if dim not in ("y", "x")]
    return _dataset({name: part[0] for name, part in parts.items()}, moved, kept, chance)


def bootstrap_anisotropy(
    correct: xr.DataArray,
    edges: Sequence[float] | np.ndarray,
    *,
    chance: float,
    half_angle_deg: float = 22.5,
    seed: int = 0,
    n_resamples: int = 1000,
    confidence: float = 0.95,
) -> xr.Dataset:
    """Return the anisotropy of a map of answers, with bootstrap intervals over stimuli.

    Parameters
    ----------
    correct : xarray.DataArray
        Right (1) and wrong (0) by ``stimulus`` and offset, as
        `attnsci.analysis.eccentricity.accuracy_map` takes it; NaN is no answer.
    edges, chance, half_angle_deg
        As `anisotropy`.
    seed, n_resamples : int
        Of the bootstrap, which draws stimuli with all their answers and repeats everything.
    confidence : float

    Returns
    -------
    xarray.Dataset
        As `anisotropy` with answers pooled by direction and ring, and with ``_low`` and ``_high``
        of ``radius``, ``accuracy``, ``hva`` and ``vma``. A radius that a resample does not reach
        counts as infinite in it, so an infinite ``radius_high`` says that these data set no upper
        limit; an index that is not defined in a resample counts as −2 in ``_low`` and as 2 in
        ``_high``, the ends of its range.

    Raises
    ------
    InvalidInput
        As `anisotropy`, or if there are fewer than two stimuli.

    Examples
    --------
    >>> grid = np.arange(-4.0, 5)
    >>> reach = np.array([1, 2, 3, 4, 5])[:, None, None]
    >>> right = np.hypot(grid, 2 * grid[:, None]) < reach
    >>> correct = xr.DataArray(right, {"y": grid, "x": grid}, ("stimulus", "y", "x"))
    >>> found = bootstrap_anisotropy(correct, [0, 0.5, 2.5, 4.5], chance=0, n_resamples=100)
    >>> bool(found["hva_low"].sel(quantity="accuracy") > 0)
    True
    """
    check_fraction("chance", chance)
    tail = (1 - check_confidence(confidence)) / 2
    answers = check_answers("correct", on_grid(correct)).transpose("stimulus", "y", "x", ...)
    regions, away = sectors(answers, edges, half_angle_deg)
    n, kept = answers.sizes["stimulus"], list(answers.dims[3:])
    flat = answers.values.reshape(n, len(regions), -1)
    valid = ~np.isnan(flat)
    sums, counts = (
        xr.DataArray(np.einsum("ncm,cr->nrm", part, regions, optimize=True))
        for part in (np.where(valid, flat, 0), valid)
    )
    total = counts.values.sum(0)
    if (total == 0).any():
        raise InvalidInput(f"{int((total == 0).sum())} directions and rings have no answer.")
    stacked = sums.rename(dim_0="stimulus"), counts.rename(dim_0="stimulus")
    draws = bootstrap_accuracy(*stacked, seed=seed, n_resamples=n_resamples)
    if not np.isfinite(draws).all():
        raise InvalidInput("Some resamples have no answer in a ring. Give wider edges.")
    found = _measures((sums.values.sum(0) / total)[None], away, chance)
    drawn = _measures(draws, away, chance)
    parts = {name: part[0] for name, part in found.items()}
    for name in ("radius", "accuracy", "hva", "vma"):
        below, above = (-EXTREME, EXTREME) if name in ("hva", "vma") else (0.0, np.inf)
        # A radius not reached is above all others; below chance at the centre it is unknown.
        unreached = drawn["status"] == 2 if name == "radius" else np.zeros(drawn[name].shape, bool)
        undefined = np.isnan(drawn[name]) & ~unreached
        filled = np.where(unreached, np.inf, drawn[name])
        for suffix, end, level in (("low", below, tail), ("high", above, 1 - tail)):
            parts[f"{name}_{suffix}"] = np.where(
                np.isnan(parts[name]),
                np.nan,
                np.quantile(np.where(undefined, end, filled), level, 0, method="inverted_cdf"),
            )
    result = _dataset(parts, answers, kept, chance)
    return result.assign_attrs(
        n_stimuli=n, confidence=confidence, method="bootstrap of stimuli", n_resamples=n_resamples
    )


def sectors(
    grid: xr.DataArray, edges: Sequence[float] | np.ndarray, half_angle_deg: float
) -> tuple[np.ndarray, np.ndarray]:
    """Return which cells of a map belong to the centre and to each direction of each ring.

    Parameters
    ----------
    grid : xarray.DataArray
        With coordinates ``y`` and ``x``.
    edges, half_angle_deg
        As `anisotropy`.

    Returns
    -------
    regions : numpy.ndarray, shape (y · x, 1 + 4 · (B − 1)), float64
        1 where a cell (y outermost) is in the region: the centre, then all outer rings of the
        first direction, and so on.
    away : numpy.ndarray, shape (4, B), float64
        Mean eccentricity of the cells of each direction and ring; the centre's in all four.

    Raises
    ------
    InvalidInput
        If edges, angle or coordinates do not fit, or a region has no cell.
    """
    limits = check_edges(edges)
    if len(limits) < 4:
        raise InvalidInput(f"Anisotropy needs three rings or more; got {len(limits) - 1}.")
    if not 0 < half_angle_deg <= 45:
        raise InvalidInput(f"half_angle_deg must be above 0 and at most 45; got {half_angle_deg}.")
    for name in ("y", "x"):
        if name not in grid.coords:
            raise InvalidInput(f"The map has no coordinate {name}; assign its offsets.")
        check_finite(name, grid[name])
    y, x = np.meshgrid(grid["y"].values, grid["x"].values, indexing="ij")
    away = np.hypot(y, x).ravel()
    angle = np.degrees(np.arctan2(-y, x)).ravel()
    apart = np.abs((angle[:, None] - ANGLES_DEG + 180) % 360 - 180)
    member = apart <= half_angle_deg + 1e-9
    ring = (away[:, None] >= limits[:-1]) & (away[:, None] < limits[1:])
    outer = (member[:, :, None] & ring[:, None, 1:]).reshape(len(away), -1)
    regions = np.concatenate([ring[:, :1], outer], axis=1).astype(np.float64)
    cells = regions.sum(0)
    if (cells == 0).any():
        empty = int(np.flatnonzero(cells == 0)[0])
        direction, place = divmod(max(empty - 1, 0), len(limits) - 2)
        where = f"{DIRECTIONS[direction]}ward " if empty else ""
        lower, upper = limits[place + 1 : place + 3] if empty else limits[:2]
        raise InvalidInput(
            f"No cell of the map lies {where}in [{lower:g}, {upper:g}) of its centre; its offsets "
            f"reach {away.max():g}. Give wider edges or a larger half_angle_deg."
        )
    distances = away @ regions / cells
    centre = np.full((4, 1), distances[0])
    return regions, np.concatenate([centre, distances[1:].reshape(4, -1)], axis=1)


def _measures(means: np.ndarray, away: np.ndarray, chance: float) -> dict[str, np.ndarray]:
    """Return all measures (D, ...) of the accuracies of the regions (D, 1 + 4 · (B − 1), M)."""
    n_draws, _, n_maps = means.shape
    n_rings = away.shape[1]
    rings = means[:, 1:].reshape(n_draws, 4, n_rings - 1, n_maps)
    centre = np.broadcast_to(means[:, None, :1], (n_draws, 4, 1, n_maps))
    height = np.moveaxis(np.concatenate([centre, rings], axis=2) - chance, 2, -1)
    reach = np.stack(
        [
            half_crossing(height[:, i].reshape(-1, n_rings), away[i]).reshape(n_draws, n_maps)
            for i in range(4)
        ],
        axis=1,
    )
    status = np.where(height[..., 0] <= 0, 1, np.where(np.isinf(reach), 2, 0)).astype(np.int8)
    radius = np.where(status == 0, reach, np.nan)
    both = np.stack([radius, rings.mean(2)], axis=2)
    right, up, left, down = (both[:, i] for i in range(4))
    return {
        "radius": radius,
        "status": status,
        "accuracy": both[:, :, 1],
        "hva": _index((right + left) / 2, (up + down) / 2),
        "vma": _index(down, up),
    }


def _index(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Return (a − b) / ((a + b) / 2); two equal zeros differ by 0."""
    middle = (first + second) / 2
    return np.divide(first - second, middle, out=np.zeros_like(middle), where=middle != 0)


def _dataset(
    parts: dict[str, np.ndarray], template: xr.DataArray, kept: list, chance: float
) -> xr.Dataset:
    """Name the axes of `parts`, whose last one holds the dimensions `kept` of `template`."""
    shape = tuple(template.sizes[dim] for dim in kept)
    coords = {name: c for name, c in template.coords.items() if set(c.dims) <= set(kept)}

    def named(name: str, part: np.ndarray) -> tuple:
        along = "quantity" if name.startswith(("hva", "vma")) else "direction"
        return (along, *kept), part.reshape(len(part), *shape)

    return xr.Dataset(
        {name: named(name, part) for name, part in parts.items()},
        coords={**coords, "direction": list(DIRECTIONS), "quantity": list(QUANTITIES)},
        attrs={"chance": float(chance), "status_names": list(STATUS)},
    )
