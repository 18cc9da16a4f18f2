"""Tuning curves: the response of every unit as a function of one property of the stimulus.

Group sums are products with an indicator of the condition, block by block along the stimuli, so a
recording larger than memory is read once and nothing is rechunked.
"""

from collections.abc import Callable

import numpy as np
import xarray as xr

from attnsci.checks import check_dims, check_finite, check_option, check_positive
from attnsci.errors import InvalidInput
from attnsci.seeds import numpy_generator
from attnsci.statistics.circular import distinct_orientations, preferred_orientation

# A result of conditions × units beyond this is a mistake in the choice of `by`.
LARGEST_RESULT_BYTES = 4 * 2**30
ACTIVITY_THRESHOLD = 1e-6
# Stimuli a product of an in-memory array takes at once: temporaries stay in the cache's reach.
ROWS = 256


def _block_sums(block: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Return sums and counts, shape (1, 2, G, ...), of `block` (N, ...) by `weights` (N, G)."""
    flat = block.reshape(len(block), -1)
    # float32 is summed in float32 within a block and in float64 over blocks.
    kind = flat.dtype if flat.dtype in (np.float32, np.float64) else np.float64
    flat, weights = flat.astype(kind, copy=False), weights.astype(kind, copy=False)
    with np.errstate(invalid="ignore"):
        sums = weights.T @ flat
    counts: np.ndarray = weights.sum(0)[:, None]
    # A missing value shows at least in the sum of its own group (and, 0 × NaN being NaN, in all
    # others): looking at the sums replaces a pass over the data.
    if not np.isfinite(sums).all():
        if np.isinf(flat).any():
            raise InvalidInput(
                f"responses hold {int(np.isinf(flat).sum())} infinite values; a mean over them "
                "means nothing. Find the layer that overflowed."
            )
        valid = ~np.isnan(flat)
        sums = weights.T @ np.where(valid, flat, 0)
        counts = weights.T @ valid.astype(kind)
    result = np.empty((1, 2, *sums.shape), kind)
    result[0, 0], result[0, 1] = sums, counts
    return result.reshape(1, 2, weights.shape[1], *block.shape[1:])


def _block_max(block: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Return the largest response, shape (1, 1, G, ...), by the groups of `weights` (N, G)."""
    block = block.astype(np.float64, copy=False)
    result = np.full((weights.shape[1], *block.shape[1:]), -np.inf)
    for group, members in enumerate(weights.T != 0):
        np.fmax.reduce(block[members], axis=0, out=result[group], initial=-np.inf)
    return result[None, None]


def _reduce(
    responses: xr.DataArray,
    dim: str,
    weights: np.ndarray,
    core: Callable[[np.ndarray, np.ndarray], np.ndarray],
    total: str,
    new_dim: str,
) -> tuple[xr.DataArray, ...]:
    """Apply `core` to each block of stimuli and add up (or take the maximum of) the parts."""
    moved = responses.transpose(dim, ...)
    data = moved.data
    if hasattr(data, "dask"):
        import dask.array as da

        names = "nabcdefhij"[: data.ndim]
        n_parts = 2 if core is _block_sums else 1
        parts = da.blockwise(
            core,
            "npg" + names[1:],
            data,
            names,
            # One block of weights for each block of stimuli, whole along the groups.
            da.from_array(weights, chunks=(data.chunks[0], -1)),
            "ng",
            new_axes={"p": n_parts},
            adjust_chunks={"n": 1},
            dtype=np.float64,
            meta=np.empty((0,) * (data.ndim + 2)),
        )
        result = parts.sum(axis=0, dtype=np.float64) if total == "sum" else parts.max(axis=0)
    else:
        add = np.add if total == "sum" else np.maximum
        result = core(data[:ROWS], weights[:ROWS])[0].astype(np.float64)
        for start in range(ROWS, len(data), ROWS):
            slab = slice(start, start + ROWS)
            add(result, core(data[slab], weights[slab])[0], out=result)
    dims = (new_dim, *moved.dims[1:])
    coords = {name: c for name, c in moved.coords.items() if dim not in c.dims}
    return tuple(xr.DataArray(part, coords, dims) for part in result)


def _conditions(responses: xr.DataArray, by: str, dim: str) -> tuple[np.ndarray, np.ndarray]:
    """Return the conditions and the indicator (N, G) of the stimuli's conditions."""
    check_dims("responses", responses, [dim])
    if by not in responses.coords or responses[by].dims != (dim,):
        along = [str(name) for name, c in responses.coords.items() if c.dims == (dim,)]
        raise InvalidInput(
            f"by must name a coordinate along {dim}; got {by!r}. There are: "
            f"{', '.join(along) or 'none'}."
        )
    if responses.sizes[dim] == 0:
        raise InvalidInput(f"responses has no {dim}: its length is 0.")
    if by in responses.dims:
        raise InvalidInput(
            f"by = {by!r} is the dimension itself; every stimulus would stand alone."
        )
    labels = responses[by].values
    if labels.dtype.kind == "f":
        check_finite(by, labels)
    values, codes = np.unique(labels, return_inverse=True)
    size = 8 * len(values) * responses.size // responses.sizes[dim]
    if size > LARGEST_RESULT_BYTES:
        raise InvalidInput(
            f"{len(values)} conditions of {by} for {responses.size // responses.sizes[dim]} units "
            f"take {size / 2**30:.1f} GiB. Bin {by} into fewer values, or select units first."
        )
    return values, (codes[:, None] == np.arange(len(values))).astype(np.float32)


def tuning_curves(
    responses: xr.DataArray,
    by: str = "orientation_deg",
    statistic: str = "mean",
    *,
    dim: str = "stimulus",
) -> xr.DataArray:
    """Return the response of every unit for each value of a stimulus property.

    Parameters
    ----------
    responses : xarray.DataArray
        Dimension `dim` and any unit dimensions (time, channel, y, x); numpy or dask. NaN is a
        missing response: it is left out of its own unit and condition and nowhere else.
    by : str
        Coordinate along `dim` whose distinct values are the conditions.
    statistic : {"mean", "max", "count"}
        Taken over the stimuli of a condition. "mean" treats matched stimuli alike, "max" finds
        the best of them (as published for the model of Lei et al.), "count" says how many
        responses were not missing.
    dim : str
        The stimulus dimension.

    Returns
    -------
    xarray.DataArray
        float64, dimension `by` (ascending) first, then the unit dimensions; lazy for dask input.
        The coordinate `n_stimuli` holds the stimuli of each condition. A unit without a single
        response in a condition is NaN there and has count 0.

    Raises
    ------
    InvalidInput
        If `by` is no coordinate of the stimuli or holds NaN, there are no stimuli, the result
        would exceed 4 GiB, or (when computed) a response is infinite.

    References
    ----------
    Lei H, Benjamin AS, Kording KP (2021). Object Based Attention Through Internal Gating.
    arXiv 2106.04540.

    Examples
    --------
    >>> responses = xr.DataArray(
    ...     [[1.0, 0.0], [3.0, 0.0], [5.0, 4.0]],
    ...     {"orientation_deg": ("stimulus", [0.0, 0.0, 90.0])},
    ...     ("stimulus", "channel"),
    ... )
    >>> tuning_curves(responses).sel(orientation_deg=0).values
    array([2., 0.])
    """
    check_option("statistic", statistic, ("mean", "max", "count"))
    values, indicator = _conditions(responses, by, dim)
    if statistic == "max":
        (largest,) = _reduce(responses, dim, indicator, _block_max, "max", by)
        curves = largest.where(largest > -np.inf)
    else:
        sums, counts = _reduce(responses, dim, indicator, _block_sums, "sum", by)
        curves = counts if statistic == "count" else sums / counts.where(counts > 0)
    curves = curves.assign_coords(
        {by: values, "n_stimuli": (by, indicator.sum(0).astype(np.int64))}
    )
    curves.attrs = {"statistic": statistic, "by": by, "n_stimuli": len(indicator)}
    return curves.rename("response")


def activity(
    attended: xr.DataArray,
    unattended: xr.DataArray,
    dim: str = "orientation_deg",
    threshold: float = ACTIVITY_THRESHOLD,
) -> xr.Dataset:
    """Say of every unit in which condition it responds at all.

    Parameters
    ----------
    attended, unattended : xarray.DataArray
        Tuning curves with dimension `dim`.
    dim : str
    threshold : float
        A unit responds if its largest value along `dim` exceeds this.

    Returns
    -------
    xarray.Dataset
        Booleans over the units: `active` (in both conditions), `only_attended`,
        `only_unattended`, `silent` (in neither). Each unit is exactly one of them.

    Raises
    ------
    InvalidInput
        If a dimension is missing.

    Examples
    --------
    >>> curves = xr.DataArray([[0.0, 1.0], [0.0, 0.0]], dims=("channel", "orientation_deg"))
    >>> activity(curves, curves)["silent"].values
    array([False,  True])
    """
    check_dims("attended", attended, [dim])
    check_dims("unattended", unattended, [dim])
    with_attention = attended.max(dim, skipna=False) > threshold
    without = unattended.max(dim, skipna=False) > threshold
    return xr.Dataset(
        {
            "active": with_attention & without,
            "only_attended": with_attention & ~without,
            "only_unattended": ~with_attention & without,
            "silent": ~with_attention & ~without,
        },
        attrs={"threshold": threshold},
    )


def describe_curves(
    curves: xr.DataArray,
    dim: str = "orientation_deg",
    threshold: float = ACTIVITY_THRESHOLD,
) -> xr.Dataset:
    """Return preference, selectivity, best angle, mean and maximum of orientation curves.

    Parameters
    ----------
    curves : xarray.DataArray
        Responses ≥ 0 with dimension and coordinate `dim`, degrees; numpy or dask.
    dim : str
    threshold : float
        A unit is active if its largest response exceeds this.

    Returns
    -------
    xarray.Dataset
        `preference_deg`, `selectivity` (vector sum), `best_deg` (angle of the largest response),
        `mean`, `maximum`, `active`; NaN in the first three where a unit is not active.

    Raises
    ------
    InvalidInput
        As `attnsci.statistics.circular.preferred_orientation`.

    Examples
    --------
    >>> curves = xr.DataArray(
    ...     [0.0, 0.5, 2.0, 0.5], {"orientation_deg": [0.0, 45, 90, 135]}, "orientation_deg"
    ... )
    >>> float(describe_curves(curves)["best_deg"])
    90.0
    """
    vector = preferred_orientation(curves, dim)
    maximum = curves.max(dim, skipna=False)
    active = maximum > threshold
    distinct = distinct_orientations(curves, dim)
    angles = distinct[dim].variable.astype(np.float64)
    result = xr.Dataset(
        {
            "preference_deg": vector["preference_deg"].where(active),
            "selectivity": vector["selectivity"].where(active),
            "best_deg": xr.apply_ufunc(
                lambda index: angles.values[index],
                distinct.argmax(dim),
                dask="parallelized",
                output_dtypes=[np.float64],
            ).where(active),
            "mean": curves.mean(dim),
            "maximum": maximum,
            "active": active,
        }
    )
    return result.drop_attrs().assign_attrs(threshold=threshold)


def split_half_ceiling(
    responses: xr.DataArray,
    by: str = "orientation_deg",
    *,
    seed: int,
    n_splits: int = 20,
    dim: str = "stimulus",
) -> xr.Dataset:
    """Return how well the mean tuning curve of each unit can be predicted at all.

    The stimuli of every condition are split at random into two halves; the curves of the halves
    are correlated, the correlations averaged over splits, and the mean r corrected for the halved
    number of stimuli (Spearman-Brown): 2r / (1 + r).

    Parameters
    ----------
    responses, by, dim
        As in `tuning_curves`; numpy or dask (one pass over the data for all splits).
    seed : int
        Seed of the splits, drawn before any data are read.
    n_splits : int
        Number of random splits.

    Returns
    -------
    xarray.Dataset
        Over the units: `half_r` (mean correlation of the halves), `ceiling` (corrected), and
        `defined`: whether both halves varied in every split and r exceeds −1/3, below which the
        correction is meaningless. Undefined units hold NaN.

    Raises
    ------
    InvalidInput
        If a condition has fewer than two stimuli, there are fewer than three conditions, or as
        `tuning_curves`.

    References
    ----------
    Spearman C (1910). Correlation calculated from faulty data. British Journal of Psychology 3,
    271–295.

    Examples
    --------
    >>> responses = xr.DataArray(
    ...     [[0.0], [0.0], [1.0], [1.0], [5.0], [5.0]],
    ...     {"orientation_deg": ("stimulus", [0.0, 0, 60, 60, 120, 120])},
    ...     ("stimulus", "channel"),
    ... )
    >>> split_half_ceiling(responses, seed=0, n_splits=3)["ceiling"].values.round(6)
    array([1.])
    """
    values, indicator = _conditions(responses, by, dim)
    check_positive("n_splits", n_splits, integer=True)
    counts = indicator.sum(0)
    if counts.min() < 2 or len(values) < 3:
        rarest = values[counts.argmin()].item()
        raise InvalidInput(
            f"Split halves need at least three values of {by} with two stimuli each; there are "
            f"{len(values)}, the rarest ({rarest!r}) with {int(counts.min())}."
        )
    # Rank of each stimulus within its condition, in random order: even ranks form one half.
    rng = numpy_generator(seed)
    shuffled = np.argsort(rng.random((n_splits, len(indicator))), axis=1)
    members = indicator[shuffled]
    rank = (np.cumsum(members, axis=1) * members).sum(-1).astype(int)
    half = np.empty_like(rank)
    np.put_along_axis(half, shuffled, rank % 2, axis=1)
    # (N, split, half, condition), flat in the last three
    weights = indicator[:, None, None] * (half.T[:, :, None] == (0, 1))[..., None]
    sums, valid = _reduce(
        responses, dim, weights.reshape(len(indicator), -1), _block_sums, "sum", "cell"
    )
    means = (sums / valid.where(valid > 0)).transpose(..., "cell")
    r = xr.apply_ufunc(
        _mean_half_correlation,
        means,
        input_core_dims=[["cell"]],
        kwargs={"shape": (n_splits, 2, len(values))},
        dask="parallelized",
        output_dtypes=[np.float64],
    )
    defined = r > -1 / 3
    result = xr.Dataset(
        {
            "half_r": r.where(defined),
            "ceiling": (2 * r / (1 + r)).where(defined),
            "defined": defined,
        }
    )
    return result.drop_attrs().assign_attrs(n_splits=n_splits, n_stimuli=len(indicator), seed=seed)


def pearson(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Return the correlation along the last axis; NaN where one of the curves does not vary.

    Parameters
    ----------
    a, b : numpy.ndarray, shape (..., T), float

    Returns
    -------
    numpy.ndarray, shape (...), float64

    Examples
    --------
    >>> pearson(np.array([[1.0, 2.0, 3.0]]), np.array([[2.0, 4.0, 6.0]])).round(6)
    array([1.])
    """
    norms = []
    for curve in (a, b):
        centred = curve - curve.mean(-1, keepdims=True)
        length = np.linalg.norm(centred, axis=-1, keepdims=True)
        # Variation at the level of rounding is none.
        flat = length <= 1e-12 * np.abs(curve).max(-1, keepdims=True)
        norms.append(centred / np.where(flat, np.nan, length))
    return np.clip((norms[0] * norms[1]).sum(-1), -1, 1)


def _mean_half_correlation(means: np.ndarray, shape: tuple[int, int, int]) -> np.ndarray:
    halves = means.reshape(*means.shape[:-1], *shape)
    return pearson(halves[..., 0, :], halves[..., 1, :]).mean(-1)
