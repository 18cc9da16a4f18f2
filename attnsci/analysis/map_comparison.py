"""How well two accuracy maps agree, and one map with its own reflection through the centre."""

import numpy as np
import xarray as xr

from attnsci.analysis.alignment import align_exact
from attnsci.analysis.eccentricity import on_grid
from attnsci.checks import check_dims, check_finite, check_positive
from attnsci.errors import InvalidInput
from attnsci.seeds import numpy_generator
from attnsci.statistics.estimates import split_blocks
from attnsci.statistics.proportions import check_answers
from attnsci.statistics.significance import SignificanceTest

PLANE = ["y", "x"]


def map_correlation(
    a: xr.DataArray, b: xr.DataArray, *, mask: xr.DataArray | None = None
) -> xr.Dataset:
    """Return how well two maps agree, cell by cell.

    Neighbouring cells share stimuli and weights and are no independent observations: the numbers
    describe two maps and carry no interval. Noise in either map lowers the correlation.

    Parameters
    ----------
    a, b : xarray.DataArray
        Maps with dimensions and coordinates ``y`` and ``x``, and any others, which are kept (and
        matched where both have them). The offsets of one map may be a part of the other's; then
        only these are compared.
    mask : xarray.DataArray of bool, optional
        By ``y`` and ``x``, for all cells that are compared: True where a cell counts. Cells
        without visible ink measure the frequency of a class; leave them out.

    Returns
    -------
    xarray.Dataset
        Over the other dimensions: ``r`` (Pearson), ``rmse``, ``mean_difference`` (a − b).
        ``attrs["n_cells"]``: cells compared.

    Raises
    ------
    InvalidInput
        If a coordinate is missing, neither grid holds the other, a compared cell is not finite or
        not in the mask, fewer than three cells are left, or a map does not vary over them.

    Examples
    --------
    >>> grid = [-2, 0, 2]
    >>> a = xr.DataArray(np.arange(9.0).reshape(3, 3), {"y": grid, "x": grid}, ("y", "x"))
    >>> found = map_correlation(a, 2 * a + 1)
    >>> float(found["r"].round(6)), float(found["mean_difference"])
    (1.0, -5.0)
    """
    maps = {"a": a, "b": b}
    for parameter, values in maps.items():
        _check_plane(parameter, values)
    shared = {}
    for name in PLANE:
        ours, theirs = (np.sort(values[name].values) for values in (a, b))
        smaller = min(ours, theirs, key=len)
        if not (np.isin(smaller, ours).all() and np.isin(smaller, theirs).all()):
            raise InvalidInput(
                f"The offsets {name} of a ({_extent(ours)}) and b ({_extent(theirs)}) differ and "
                "neither holds the other; give maps on one grid or on a part of it."
            )
        shared[name] = smaller
    first, second = (values.sel(shared).transpose(..., *PLANE) for values in (a, b))
    counts = xr.ones_like(first.isel(dict.fromkeys(first.dims[:-2], 0), drop=True), dtype=bool)
    if mask is not None:
        counts = _inside(mask, shared)
    n_cells = int(counts.sum())
    if n_cells < 3:
        raise InvalidInput(f"{n_cells} cell(s) are left to compare; at least 3 are needed.")
    chosen = {}
    for parameter, values in (("a", first), ("b", second)):
        kept = values.stack(cell=PLANE).isel(cell=counts.stack(cell=PLANE).values)
        kept = kept.astype(np.float64).drop_vars(["cell", *PLANE])
        check_finite(parameter, kept)
        if (np.ptp(kept.values, axis=kept.get_axis_num("cell")) == 0).any():
            raise InvalidInput(f"{parameter} does not vary over the {n_cells} cells compared.")
        chosen[parameter] = kept
    left, right = align_exact(**chosen)
    gap = left - right
    return xr.Dataset(
        {
            "r": xr.corr(left, right, dim="cell"),
            "rmse": np.sqrt((gap**2).mean("cell")),
            "mean_difference": gap.mean("cell"),
        },
        attrs={"n_cells": n_cells},
    )


def _check_plane(parameter: str, values: xr.DataArray) -> None:
    check_dims(parameter, values, PLANE)
    for name in PLANE:
        if name not in values.coords:
            raise InvalidInput(f"{parameter} has no coordinate {name}; assign its offsets.")


def _inside(mask: xr.DataArray, shared: dict[str, np.ndarray]) -> xr.DataArray:
    """Return the mask of the cells that are compared."""
    _check_plane("mask", mask)
    if mask.ndim != 2 or mask.dtype != bool:
        raise InvalidInput(
            f"mask must be of y and x and hold true and false; got {mask.dtype} over "
            f"{', '.join(map(str, mask.dims))}."
        )
    for name, offsets in shared.items():
        missing = offsets[~np.isin(offsets, mask[name].values)]
        if len(missing):
            raise InvalidInput(f"mask says nothing of {name} = {missing[0]:g}; cover every cell.")
    return mask.sel(shared).transpose(*PLANE)


def _extent(offsets: np.ndarray) -> str:
    return f"{len(offsets)} from {offsets[0]:g} to {offsets[-1]:g}"


def point_asymmetry(values: xr.DataArray) -> xr.DataArray:
    """Return the mean absolute difference of a map from its reflection through the centre.

    Noise alone makes it larger than 0: with the answers at hand, see `point_asymmetry_test`.

    Parameters
    ----------
    values : xarray.DataArray
        Accuracy with dimensions and coordinates ``y`` and ``x`` that are symmetric about 0, and
        any others.

    Returns
    -------
    xarray.DataArray
        Over the other dimensions; in accuracy.

    Raises
    ------
    InvalidInput
        If a coordinate is missing or not symmetric, or the map is not finite.

    Examples
    --------
    >>> grid = [-1, 0, 1]
    >>> tilted = xr.DataArray(np.eye(3)[:1].repeat(3, 0), {"y": grid, "x": grid}, ("y", "x"))
    >>> round(float(point_asymmetry(tilted)), 3)
    0.667
    """
    ordered = _symmetric("values", values)
    check_finite("values", ordered)
    flipped = ordered.copy(data=ordered.values[::-1, ::-1])
    return abs(ordered - flipped).mean(PLANE).rename("asymmetry")


def point_asymmetry_test(
    correct: xr.DataArray, *, seed: int = 0, n_resamples: int = 999
) -> SignificanceTest:
    """Test whether a map of answers differs from its point reflection by more than noise.

    If it does not, each stimulus's map of answers may as well be the reflected one: reflecting
    the maps of random halves of the stimuli shows how large the difference is then.

    Parameters
    ----------
    correct : xarray.DataArray
        Right (1) and wrong (0) by ``stimulus``, ``y`` and ``x`` (or ``offset``), without NaN;
        one map only.
    seed, n_resamples : int
        Of the random reflections.

    Returns
    -------
    SignificanceTest
        ``estimate`` is the asymmetry in excess of its mean under the null hypothesis,
        ``statistic`` the asymmetry itself (`point_asymmetry` of the accuracies).

    Raises
    ------
    InvalidInput
        As `point_asymmetry`, if an answer is missing or there are dimensions beyond one map's.

    Examples
    --------
    >>> grid = [-1, 0, 1]
    >>> correct = xr.DataArray(np.tile([0, 0, 1], (8, 3, 1)), {"y": grid, "x": grid},
    ...                        ("stimulus", "y", "x"))
    >>> found = point_asymmetry_test(correct)
    >>> round(found.statistic, 3), found.p_value < 0.05
    (0.667, True)
    """
    check_positive("n_resamples", n_resamples, integer=True)
    answers = check_answers("correct", _symmetric("correct", on_grid(correct)))
    if answers.ndim != 3:
        raise InvalidInput(
            f"correct has the dimensions {', '.join(map(str, answers.dims))}; select one map of "
            "stimulus, y and x."
        )
    flat = check_finite("correct", answers.transpose("stimulus", "y", "x")).values.astype(
        np.float32
    )
    n, cells = len(flat), flat[0].size
    flat = flat.reshape(n, cells)
    # Both halves hold the same differences; sums of 0 and 1 are exact in float32.
    apart = (flat - flat[:, ::-1])[:, : cells // 2]
    observed = 2 * float(np.abs(apart.sum(0)).sum()) / (cells * n)
    rng = numpy_generator(seed)
    null = np.concatenate(
        [
            2
            * np.abs((2 * rng.integers(2, size=(block, n)) - 1).astype(np.float32) @ apart).sum(1)
            / (cells * n)
            for block in split_blocks(n_resamples, max(n, cells))
        ]
    ).astype(np.float64)
    p_value = (1 + int((null >= observed * (1 - 1e-6)).sum())) / (1 + n_resamples)
    return SignificanceTest(
        observed - float(null.mean()), observed, p_value, n, "random point reflections"
    )


def _symmetric(parameter: str, values: xr.DataArray) -> xr.DataArray:
    """Return `values` with y and x first and ascending, symmetric about 0."""
    _check_plane(parameter, values)
    for name in PLANE:
        ascending = np.sort(values[name].values)
        if not np.allclose(ascending, -ascending[::-1]):
            raise InvalidInput(
                f"The {name} of {parameter} must be symmetric about 0; they run from "
                f"{ascending[0]:g} to {ascending[-1]:g} in {len(ascending)} steps."
            )
    return values.sortby([values["y"], values["x"]]).transpose(*PLANE, ...)
