"""Accuracy over the visual field: by eccentricity, and as a map over offsets.

An offset is where the object is as seen from the gaze, (x, y) = object − gaze, x to the right and
y down; eccentricity is its length. Both are in the unit they come in, pixels or degrees. A bin or
ring holds eccentricities from its lower edge up to, and without, its upper edge.
"""

from collections.abc import Sequence

import numpy as np
import xarray as xr

from attnsci.checks import (
    check_dims,
    check_finite,
    check_fraction,
    check_option,
    check_positive,
)
from attnsci.errors import InvalidInput
from attnsci.seeds import numpy_generator
from attnsci.statistics.estimates import check_confidence, count_draws, split_blocks
from attnsci.statistics.proportions import accuracy, check_answers, wilson_intervals

INTERVALS = ("wilson", "bootstrap")
# Stimuli that are summed at once: temporaries of a large map stay small.
ROWS = 512


def eccentricity(offset: xr.DataArray) -> xr.DataArray:
    """Return the length of offsets.

    Parameters
    ----------
    offset : xarray.DataArray
        Object − gaze, with dimension and coordinate ``coordinate`` of "x" and "y".

    Returns
    -------
    xarray.DataArray
        In the unit of `offset`.

    Raises
    ------
    InvalidInput
        If "x" or "y" is missing.

    Examples
    --------
    >>> offset = xr.DataArray([[3.0, 4.0]], {"coordinate": ["x", "y"]}, ("stimulus", "coordinate"))
    >>> eccentricity(offset).values
    array([5.])
    """
    x, y = xy_of("offset", offset)
    length = xr.apply_ufunc(np.hypot, x, y)
    return length.rename("eccentricity").assign_attrs(offset.attrs)


def xy_of(parameter: str, places: xr.DataArray) -> tuple[xr.DataArray, xr.DataArray]:
    """Return the x and the y of `places`, which has dimension ``coordinate``."""
    check_dims(parameter, places, ["coordinate"])
    names = places["coordinate"].values.tolist() if "coordinate" in places.coords else []
    if sorted(map(str, names)) != ["x", "y"]:
        raise InvalidInput(
            f"{parameter} must have the coordinate values 'x' and 'y' along coordinate; got "
            f"{names or 'none'}."
        )
    return (
        places.sel(coordinate="x", drop=True).astype(np.float64),
        places.sel(coordinate="y", drop=True).astype(np.float64),
    )


def check_edges(edges: Sequence[float] | np.ndarray) -> np.ndarray:
    """Return ascending, finite edges of at least one bin, from 0 up."""
    array = check_finite("edges", np.asarray(edges, dtype=np.float64))
    if array.ndim != 1 or len(array) < 2 or (np.diff(array) <= 0).any() or array[0] < 0:
        raise InvalidInput(
            f"edges must be two or more ascending eccentricities from 0 up; got {array.tolist()}."
        )
    return array


def bin_sums(
    correct: xr.DataArray, eccentricities: xr.DataArray, edges: np.ndarray
) -> tuple[xr.DataArray, xr.DataArray, xr.DataArray]:
    """Sum answers by stimulus and bin.

    Parameters
    ----------
    correct : xarray.DataArray
        Answers with dimension ``stimulus`` and all dimensions of `eccentricities`.
    eccentricities : xarray.DataArray
        Of ``stimulus``, of other dimensions (a map's ``y`` and ``x``), or both.
    edges : numpy.ndarray, shape (B + 1,)

    Returns
    -------
    sums, counts, distances : xarray.DataArray
        Right answers, answers, and their summed eccentricities: (stimulus, eccentricity, ...),
        where ... are the dimensions of `correct` that `eccentricities` has not.

    Raises
    ------
    InvalidInput
        If dimensions do not fit, an eccentricity is not finite or below 0, or a bin is empty.
    """
    check_dims("correct", correct, ["stimulus", *map(str, eccentricities.dims)])
    if not eccentricities.dims:
        raise InvalidInput("eccentricity has no dimension; give one value a stimulus or place.")
    correct, eccentricities = xr.align(
        check_answers("correct", correct), eccentricities, join="exact"
    )
    check_finite("eccentricity", eccentricities)
    if (eccentricities < 0).any():
        raise InvalidInput(f"eccentricity must be 0 or more; got {float(eccentricities.min())}.")
    pooled = [dim for dim in eccentricities.dims if dim != "stimulus"]
    kept = [dim for dim in correct.dims if dim not in ("stimulus", *pooled)]
    answers = correct.transpose("stimulus", *pooled, *kept)
    n = answers.sizes["stimulus"]
    shape = tuple(answers.sizes[dim] for dim in kept)
    flat = answers.values.reshape(n, -1, int(np.prod(shape)))
    along = ["stimulus"] if "stimulus" in eccentricities.dims else []
    where = eccentricities.transpose(*along, *pooled).values.reshape(
        n if along else 1, flat.shape[1]
    )
    bins = np.searchsorted(edges, where, side="right") - 1
    inside = (bins >= 0) & (bins < len(edges) - 1)
    n_bins = len(edges) - 1
    filled = np.bincount(bins[inside], minlength=n_bins)
    if (filled == 0).any():
        empty = int(np.flatnonzero(filled == 0)[0])
        raise InvalidInput(
            f"No answer has an eccentricity in [{edges[empty]:g}, {edges[empty + 1]:g}); they lie "
            f"between {where.min():g} and {where.max():g}. Give wider or other edges."
        )
    totals = np.empty((3, n, n_bins, flat.shape[2]))
    for start in range(0, n, ROWS):
        rows = slice(start, start + ROWS)
        block = flat[rows]
        here, at = ((w[rows] if along else w) for w in (bins, where))
        cell = np.arange(len(block))[:, None] * n_bins + np.where(
            inside[rows] if along else inside, here, 0
        )
        index = cell[..., None] * block.shape[2] + np.arange(block.shape[2])
        valid = ~np.isnan(block) & (inside[rows] if along else inside)[..., None]
        for total, weights in zip(
            totals,
            (np.where(valid, block, 0), valid, np.where(valid, at[..., None], 0)),
            strict=True,
        ):
            total[rows] = np.bincount(
                index.ravel(), weights.ravel().astype(np.float64), len(block) * total[0].size
            ).reshape(len(block), n_bins, -1)
    coords = {
        "eccentricity": (edges[:-1] + edges[1:]) / 2,
        "lower_edge": ("eccentricity", edges[:-1]),
        "upper_edge": ("eccentricity", edges[1:]),
        **{name: c for name, c in correct.coords.items() if set(c.dims) <= set(kept)},
    }
    sums, counts, distances = (
        xr.DataArray(
            total.reshape(n, n_bins, *shape), coords, ("stimulus", "eccentricity", *kept)
        ).assign_attrs(n_outside=int((~inside).sum()))
        for total in totals
    )
    return sums, counts, distances


def accuracy_by_eccentricity(
    correct: xr.DataArray,
    eccentricity: xr.DataArray,
    edges: Sequence[float] | np.ndarray,
    *,
    chance: float,
    interval: str = "wilson",
    seed: int = 0,
    n_resamples: int = 2000,
    confidence: float = 0.95,
) -> xr.Dataset:
    """Return the accuracy in each bin of eccentricity.

    Parameters
    ----------
    correct : xarray.DataArray
        Right (1), wrong (0) or a share between, with dimension ``stimulus`` and any others; NaN
        is no answer.
    eccentricity : xarray.DataArray
        Of each answer, in any unit, on dimensions of `correct`, which are averaged over; on the
        dimensions of a map of offsets (``y``, ``x``) the result is its radial profile. Other
        dimensions of `correct` (glimpse, model, contrast) stay.
    edges : array-like, shape (B + 1,)
        Ascending edges of the bins.
    chance : float
        Accuracy of guessing, for what reads the result: 1 / classes, or
        `attnsci.statistics.proportions.base_rate`.
    interval : {"wilson", "bootstrap"}
        Wilson's interval takes one yes-or-no answer a stimulus and bin; the bootstrap draws
        stimuli, with all their answers.
    seed, n_resamples
        Of the bootstrap.
    confidence : float

    Returns
    -------
    xarray.Dataset
        Dimension ``eccentricity`` (bin centres; coordinates ``lower_edge``, ``upper_edge``):
        ``accuracy``, ``low``, ``high``, ``n`` (answers), ``mean_eccentricity`` of the answers.
        Attributes: ``chance``, ``n_outside`` (eccentricities in no bin), ``n_stimuli``, method.

    Raises
    ------
    InvalidInput
        If dimensions do not fit, a bin is empty or its bootstrap undefined, or answers are no
        independent yes or no where Wilson's interval is asked for.

    Examples
    --------
    >>> correct = xr.DataArray([1, 1, 1, 0], dims="stimulus")
    >>> away = xr.DataArray([0.0, 2.0, 5.0, 7.0], dims="stimulus", attrs={"units": "px"})
    >>> accuracy_by_eccentricity(correct, away, [0, 5, 10], chance=0.1)["accuracy"].values
    array([1. , 0.5])
    """
    check_fraction("chance", chance)
    check_option("interval", interval, INTERVALS)
    limits = check_edges(edges)
    sums, counts, distances = bin_sums(correct, eccentricity, limits)
    n = counts.sum("stimulus")
    if (n == 0).any():
        raise InvalidInput(f"{int((n == 0).sum())} of {n.size} bins have no answer but NaN.")
    if interval == "wilson":
        if counts.max() > 1:
            raise InvalidInput(
                f"A stimulus gives up to {int(counts.max())} answers in one bin; Wilson's interval "
                'takes independent ones. Use interval="bootstrap".'
            )
        result = wilson_intervals(sums.sum("stimulus"), n, confidence=confidence)
    else:
        tail = (1 - check_confidence(confidence)) / 2
        draws = bootstrap_accuracy(sums, counts, seed=seed, n_resamples=n_resamples)
        if not np.isfinite(draws).all():
            raise InvalidInput(
                f"{int((~np.isfinite(draws)).any(0).sum())} bin(s) have so few stimuli that some "
                f"resamples hold none. Widen the edges {limits.tolist()}."
            )
        low, high = np.quantile(draws, [tail, 1 - tail], axis=0)
        result = xr.Dataset(
            {
                "accuracy": sums.sum("stimulus") / n,
                "low": n.copy(data=low),
                "high": n.copy(data=high),
                "n": n.astype(np.int64),
            },
            attrs={"confidence": confidence, "method": "bootstrap of stimuli"},
        )
    result["mean_eccentricity"] = distances.sum("stimulus") / n
    result = result.drop_attrs(deep=True).assign_attrs(
        **result.attrs,
        chance=float(chance),
        n_stimuli=sums.sizes["stimulus"],
        n_outside=sums.attrs["n_outside"],
    )
    result["eccentricity"].attrs = dict(eccentricity.attrs)
    return result


def bootstrap_accuracy(
    sums: xr.DataArray, counts: xr.DataArray, *, seed: int, n_resamples: int
) -> np.ndarray:
    """Return the accuracy of every bin in resamples of the stimuli.

    Parameters
    ----------
    sums, counts : xarray.DataArray
        Of `bin_sums`.
    seed, n_resamples : int

    Returns
    -------
    numpy.ndarray, shape (n_resamples, eccentricity, ...), float64
        NaN where a resample holds no answer.
    """
    check_positive("n_resamples", n_resamples, integer=True)
    n = sums.sizes["stimulus"]
    if n < 2:
        raise InvalidInput(f"The bootstrap needs at least 2 stimuli; got {n}.")
    flat_sums, flat_counts = (part.values.reshape(n, -1) for part in (sums, counts))
    rng = numpy_generator(seed)
    parts = []
    for block in split_blocks(n_resamples, n):
        times = count_draws(rng, block, n).astype(np.float64)
        total = times @ flat_counts
        parts.append(times @ flat_sums / np.where(total > 0, total, np.nan))
    return np.concatenate(parts).reshape(n_resamples, *sums.shape[1:])


def accuracy_map(correct: xr.DataArray, *, chance: float, confidence: float = 0.95) -> xr.Dataset:
    """Return the accuracy at every offset of the object from the gaze.

    Parameters
    ----------
    correct : xarray.DataArray
        Right (1) and wrong (0) with ``stimulus`` and either ``y`` and ``x`` (coordinates: the
        offsets), or ``offset`` with coordinates ``y`` and ``x`` along it, a full grid in any
        order; any further dimensions stay. NaN is no answer.
    chance : float
        Accuracy of guessing; where objects leave the image it is the share of the most frequent
        class, see `attnsci.statistics.proportions.base_rate`.
    confidence : float
        Coverage of Wilson's intervals.

    Returns
    -------
    xarray.Dataset
        ``accuracy``, ``low``, ``high``, ``n`` over ``y``, ``x`` and the other dimensions.

    Raises
    ------
    InvalidInput
        If dimensions or offsets are missing, the grid has holes or doubles, or a cell has no
        answer.

    References
    ----------
    Dauce E, Albiges P, Perrinet LU (2020). A dual foveal-peripheral visual processing model
    implements efficient saccade selection. Journal of Vision 20(8):22.

    Examples
    --------
    >>> grid = {"y": [-5, 0, 5], "x": [-5, 0, 5]}
    >>> correct = xr.DataArray(np.ones((4, 3, 3)), grid, ("stimulus", "y", "x"))
    >>> float(accuracy_map(correct, chance=0.1)["accuracy"].sel(y=0, x=-5))
    1.0
    """
    check_fraction("chance", chance)
    answers = on_grid(correct)
    found = accuracy(answers, confidence=confidence).transpose("y", "x", ...)
    return found.assign_attrs(chance=float(chance), n_stimuli=answers.sizes["stimulus"])


def on_grid(correct: xr.DataArray) -> xr.DataArray:
    """Return answers by ``offset`` as answers by ``y`` and ``x``; those are returned as they are.

    Raises
    ------
    InvalidInput
        See `accuracy_map`.
    """
    if getattr(correct, "dims", None) and "offset" in correct.dims:
        lacking = [
            name
            for name in ("y", "x")
            if name not in correct.coords or correct[name].dims != ("offset",)
        ]
        if lacking:
            raise InvalidInput(f"correct has no coordinate {lacking[0]} along offset.")
        y, x = correct["y"].values, correct["x"].values
        places = len({*zip(y.tolist(), x.tolist(), strict=True)})
        full = len(np.unique(y)) * len(np.unique(x))
        if places != len(y) or full != len(y):
            raise InvalidInput(
                f"The {len(y)} offsets are no full grid: {places} distinct ones, {full} for "
                "every y with every x. Keep dimension offset and use accuracy_by_eccentricity."
            )
        bare = correct.drop_vars([str(c) for c in correct.coords if c == "offset"])
        correct = bare.set_index(offset=["y", "x"]).unstack("offset")
    check_dims("correct", correct, ["stimulus", "y", "x"])
    for name in ("y", "x"):
        if name not in correct.coords:
            raise InvalidInput(f"correct has no coordinate {name}; assign its offsets.")
    return correct


def radial_profile(
    values: xr.DataArray,
    edges: Sequence[float] | np.ndarray,
    *,
    centre: tuple[float, float] = (0.0, 0.0),
) -> xr.Dataset:
    """Return the mean of a finished map by distance from its centre.

    Use it for maps whose single answers are gone. With the answers at hand,
    `accuracy_by_eccentricity` on ``numpy.hypot(correct.x, correct.y)`` gives the same means with
    intervals.

    Parameters
    ----------
    values : xarray.DataArray
        A map with dimensions and coordinates ``y`` and ``x``, and any others.
    edges : array-like, shape (B + 1,)
        Ascending edges of the rings.
    centre : tuple of float
        x and y of the middle, in the map's coordinates.

    Returns
    -------
    xarray.Dataset
        Dimension ``eccentricity``: ``accuracy`` (mean over the ring's cells), ``spread``
        (standard deviation between its cells: how far the ring is from round) and ``n_cells``.

    Raises
    ------
    InvalidInput
        If a coordinate is missing, a ring holds no cell, or the map holds NaN.

    Examples
    --------
    >>> grid = np.arange(-2.0, 3)
    >>> ring = xr.DataArray(np.hypot(grid, grid[:, None]), {"y": grid, "x": grid}, ("y", "x"))
    >>> radial_profile(ring, [0, 0.5, 1.2])["accuracy"].values
    array([0., 1.])
    """
    check_dims("values", values, ["y", "x"])
    limits = check_edges(edges)
    for name in ("y", "x"):
        if name not in values.coords:
            raise InvalidInput(f"values has no coordinate {name}; assign its offsets.")
    check_finite("values", values)
    flat = values.stack(cell=("y", "x"))
    away = np.hypot(flat["x"].values - centre[0], flat["y"].values - centre[1])
    member = (away >= limits[:-1, None]) & (away < limits[1:, None])
    cells = member.sum(1)
    if (cells == 0).any():
        empty = int(np.flatnonzero(cells == 0)[0])
        raise InvalidInput(
            f"No cell of the map lies in [{limits[empty]:g}, {limits[empty + 1]:g}) of its centre."
        )
    rings = xr.DataArray(member.astype(np.float64), dims=("eccentricity", "cell"))
    bare = flat.drop_vars(["cell", "y", "x"])
    mean = xr.dot(rings, bare, dim="cell") / rings.sum("cell")
    # Of centred values: squares of raw ones would lose the digits of a flat map.
    spread = np.sqrt(xr.dot(rings, (bare - mean) ** 2, dim="cell") / rings.sum("cell"))
    return xr.Dataset(
        {"accuracy": mean, "spread": spread, "n_cells": ("eccentricity", cells)},
        coords={
            "eccentricity": (limits[:-1] + limits[1:]) / 2,
            "lower_edge": ("eccentricity", limits[:-1]),
            "upper_edge": ("eccentricity", limits[1:]),
        },
    )
