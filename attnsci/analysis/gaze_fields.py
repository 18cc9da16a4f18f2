"""Gain fields: what units know of where the eye points, beside what they know of the class.

Activity is (stimulus, glimpse, unit), gaze (stimulus, glimpse, coordinate) in pixels, x to the
right and y down. Stimuli are the independent observations; the glimpses of one are not, so
shares of variance are taken glimpse by glimpse, and what pools glimpses draws whole stimuli.
"""

from typing import Any

import numpy as np
import xarray as xr

from attnsci.analysis.eccentricity import xy_of
from attnsci.analysis.tuning import tuning_curves
from attnsci.checks import check_dims, check_finite, check_positive, check_shape
from attnsci.errors import InvalidInput
from attnsci.seeds import numpy_generator
from attnsci.statistics.estimates import check_confidence, count_draws, split_blocks

Size = float | tuple[float, float]
"""Side of a square image, or width and height, in pixels."""
# Variance below this share of the squares is rounding.
ROUNDING = 1e-12


def frame_of(size_px: Size) -> tuple[float, float]:
    """Return width and height of an image.

    Examples
    --------
    >>> frame_of(60)
    (60.0, 60.0)
    """
    sides = np.atleast_1d(np.asarray(size_px, dtype=np.float64))
    if sides.shape not in ((1,), (2,)) or not (np.isfinite(sides) & (sides > 0)).all():
        raise InvalidInput(f"size_px must be a side or (width, height) above 0; got {size_px!r}.")
    return float(sides[0]), float(sides[-1])


def gaze_cells(gaze: xr.DataArray, size_px: Size, n_bins: int = 8) -> xr.DataArray:
    """Return the cell of a flat grid over the image that each gaze position lies in.

    Parameters
    ----------
    gaze : xarray.DataArray
        Dimension ``coordinate`` ("x", "y"), pixels.
    size_px : float or tuple of float
        Side of the image, or width and height.
    n_bins : int
        Cells along each side.

    Returns
    -------
    xarray.DataArray, int64
        Row × `n_bins` + column; −1 off the image, whose edge belongs to its last cells.

    Raises
    ------
    InvalidInput
        If a position is not finite or "x" or "y" is missing.

    Examples
    --------
    >>> gaze = xr.DataArray([[1.0, 9.0], [10.0, 0.0]],
    ...                     {"coordinate": ["x", "y"]}, ("stimulus", "coordinate"))
    >>> gaze_cells(gaze, 10, n_bins=2).values
    array([2, 1])
    """
    check_positive("n_bins", n_bins, integer=True)
    width, height = frame_of(size_px)
    x, y = xy_of("gaze", gaze)
    check_finite("gaze", x)
    check_finite("gaze", y)
    inside = (x >= 0) & (x <= width) & (y >= 0) & (y <= height)
    column = (x / width * n_bins // 1).clip(max=n_bins - 1)
    row = (y / height * n_bins // 1).clip(max=n_bins - 1)
    cell = xr.where(inside, row * n_bins + column, -1)
    return cell.astype(np.int64).rename("gaze_cell")


def gaze_map(
    activity: xr.DataArray, gaze: xr.DataArray, size_px: Size, n_bins: int = 8
) -> xr.Dataset:
    """Return the mean activity of every unit for each place of the gaze.

    Parameters
    ----------
    activity : xarray.DataArray
        Dimension ``unit`` and those of `gaze` (stimulus, glimpse), which are pooled.
    gaze : xarray.DataArray
        As `gaze_cells`.
    size_px, n_bins
        As `gaze_cells`.

    Returns
    -------
    xarray.Dataset
        ``activity`` (y, x, unit) and ``count`` (y, x), the positions in each cell; a cell
        without one has NaN and count 0. Coordinates are the cells' centres in pixels;
        ``attrs["n_outside"]`` counts positions off the image.

    Raises
    ------
    InvalidInput
        If dimensions differ, activity is not finite, or no position lies on the image.

    References
    ----------
    Andersen RA, Essick GK, Siegel RM (1985). Encoding of spatial location by posterior parietal
    neurons. Science 230, 456–458.

    Examples
    --------
    >>> gaze = xr.DataArray([[1.0, 1.0], [9.0, 1.0]],
    ...                     {"coordinate": ["x", "y"]}, ("stimulus", "coordinate"))
    >>> activity = xr.DataArray([[2.0], [5.0]], dims=("stimulus", "unit"))
    >>> gaze_map(activity, gaze, 10, n_bins=2)["activity"].values[0, :, 0]
    array([2., 5.])
    """
    width, height = frame_of(size_px)
    cells = gaze_cells(gaze, size_px, n_bins)
    values = _rows("activity", activity, cells.dims)
    codes = cells.values.ravel()
    inside = codes >= 0
    if not inside.any():
        raise InvalidInput(
            f"None of the {codes.size} gaze positions lies on the image of {width:g}×{height:g}. "
            "Positions are in pixels, not in [−1, 1]."
        )
    count = np.bincount(codes[inside], minlength=n_bins**2)
    total = _group_sums(values[inside], codes[inside], n_bins**2)
    mean = np.full(total.shape, np.nan)
    np.divide(total, count[:, None], out=mean, where=count[:, None] > 0)
    middle = (np.arange(n_bins) + 0.5) / n_bins
    return xr.Dataset(
        {
            "activity": (("y", "x", "unit"), mean.reshape(n_bins, n_bins, -1)),
            "count": (("y", "x"), count.reshape(n_bins, n_bins)),
        },
        coords={"y": middle * height, "x": middle * width, **_unit_coords(activity)},
        attrs={"size_px": [width, height], "n_outside": int((~inside).sum())},
    )


def variance_explained(activity: xr.DataArray, by: xr.DataArray) -> xr.Dataset:
    """Return the share of each unit's variance over stimuli that a grouping explains.

    Parameters
    ----------
    activity : xarray.DataArray
        Dimensions ``stimulus``, ``unit`` and any others (glimpse), each value of which is an
        analysis of its own.
    by : xarray.DataArray
        Group of each stimulus: labels (stimulus), or `gaze_cells` (stimulus, glimpse). Whole
        numbers below 0 belong to no group and are left out.

    Returns
    -------
    xarray.Dataset
        Over the other dimensions and ``unit``: ``eta_squared``, the share in the sample, which
        chance alone makes (groups − 1) / (stimuli − 1); ``share``, corrected for that (Kelley's
        ε², around 0 without an effect); ``p_value`` of the F test; ``varies``, False for a unit
        that is constant, whose other values are NaN. Over the other dimensions: ``n`` stimuli,
        ``n_groups``.

    Raises
    ------
    InvalidInput
        If dimensions differ, activity is not finite, or there are fewer than two groups or not
        more stimuli than groups.

    References
    ----------
    Kelley TL (1935). An unbiased correlation ratio measure. PNAS 21, 554–559.

    Examples
    --------
    >>> activity = xr.DataArray([[0.0], [2.0], [10.0], [12.0]], dims=("stimulus", "unit"))
    >>> found = variance_explained(activity, xr.DataArray([0, 0, 1, 1], dims="stimulus"))
    >>> float(found["eta_squared"][0].round(4)), float(found["share"][0].round(4))
    (0.9615, 0.9423)
    """
    check_dims("activity", activity, ["stimulus", "unit"])
    check_dims("by", by, ["stimulus"])
    others = [dim for dim in activity.dims if dim not in ("stimulus", "unit")]
    extra = [str(dim) for dim in by.dims if dim not in ("stimulus", *others)]
    if extra:
        raise InvalidInput(f"by has dimension(s) {', '.join(extra)} that activity has not.")
    activity, by = xr.align(activity, by, join="exact")
    groups = by.broadcast_like(activity.isel(unit=0, drop=True)).transpose(*others, "stimulus")
    values = activity.transpose(*others, "stimulus", "unit").values.astype(np.float64)
    check_finite("activity", values)
    shape = values.shape[:-2]
    flat = values.reshape(-1, *values.shape[-2:])
    labels = groups.values.reshape(len(flat), -1)
    found = [_variance_shares(*part) for part in zip(flat, labels, strict=True)]
    eta, share, p_value, varies, n, k = (np.stack(part) for part in zip(*found, strict=True))
    dims = (*others, "unit")
    parts = {"eta_squared": eta, "share": share, "p_value": p_value, "varies": varies}
    coords = {
        name: c
        for name, c in activity.coords.items()
        if "stimulus" not in c.dims and set(c.dims) <= set(dims)
    }
    return xr.Dataset(
        {
            **{name: (dims, part.reshape(*shape, -1)) for name, part in parts.items()},
            "n": (others, n.reshape(shape)),
            "n_groups": (others, k.reshape(shape)),
        },
        coords=coords,
        attrs={"by": str(by.name) if by.name is not None else "groups"},
    )


def _variance_shares(values: np.ndarray, labels: np.ndarray) -> tuple[Any, ...]:
    """Return η², ε², p, varies (U,), stimuli and groups of values (N, U)."""
    from scipy import stats

    if labels.dtype.kind in "iuf":
        values, labels = values[labels >= 0], labels[labels >= 0]
    names, codes, sizes = np.unique(labels, return_inverse=True, return_counts=True)
    n, k = len(labels), len(names)
    if k < 2 or n <= k:
        raise InvalidInput(
            f"Shares of variance need two groups or more, and more stimuli than groups; got {k} "
            f"group(s) and {n} stimuli."
        )
    centred = values - values.mean(0)
    total = (centred**2).sum(0)
    varies = total > ROUNDING * (values**2).sum(0)
    between = (_group_sums(centred, codes, k) ** 2 / sizes[:, None]).sum(0)
    whole = np.where(varies, total, np.nan)
    eta = np.minimum(between / whole, 1)
    share = 1 - (1 - eta) * (n - 1) / (n - k)
    with np.errstate(divide="ignore"):  # a unit that the groups explain wholly
        p_value = stats.f.sf(eta / (1 - eta) * (n - k) / (k - 1), k - 1, n - k)
    return eta, share, p_value, varies, np.array(n), np.array(k)


def planar_gain(
    activity: xr.DataArray,
    gaze: xr.DataArray,
    *,
    seed: int = 0,
    n_resamples: int = 2000,
    confidence: float = 0.95,
) -> xr.Dataset:
    """Fit a plane over gaze position to the activity of every unit.

    Parameters
    ----------
    activity : xarray.DataArray
        Dimensions ``stimulus``, ``unit`` and those of `gaze`, over which observations are
        pooled; select a glimpse first to have it alone.
    gaze : xarray.DataArray
        Dimensions ``stimulus``, ``coordinate`` and any others, pixels.
    seed, n_resamples : int
        Of the bootstrap, which draws stimuli with all their glimpses.
    confidence : float

    Returns
    -------
    xarray.Dataset
        ``slope``, ``low``, ``high`` (coordinate, unit), activity per pixel; over unit:
        ``intercept`` (at the mean gaze), ``r_squared``, ``direction_deg`` of steepest ascent (0
        right, 90 down; NaN where ``varies`` is False).

    Raises
    ------
    InvalidInput
        If dimensions differ, values are not finite, or the gaze hardly varies in the plane.

    References
    ----------
    Zipser D, Andersen RA (1988). A back-propagation programmed network that simulates response
    properties of a subset of posterior parietal neurons. Nature 331, 679–684.

    Examples
    --------
    >>> places = np.random.default_rng(0).uniform(0, 28, (50, 2))
    >>> gaze = xr.DataArray(places, {"coordinate": ["x", "y"]}, ("stimulus", "coordinate"))
    >>> activity = (3 + 0.5 * gaze.sel(coordinate="y", drop=True)).expand_dims(unit=1)
    >>> planar_gain(activity, gaze, n_resamples=200)["slope"].values.ravel().round(6).tolist()
    [0.0, 0.5]
    """
    check_positive("n_resamples", n_resamples, integer=True)
    tail = (1 - check_confidence(confidence)) / 2
    x, y = xy_of("gaze", gaze)
    check_dims("gaze", x, ["stimulus"])
    pooled = ["stimulus", *(dim for dim in x.dims if dim != "stimulus")]
    n = x.sizes["stimulus"]
    values = _rows("activity", activity, pooled)
    places = np.stack([part.transpose(*pooled).values.ravel() for part in (x, y)], 1)
    check_finite("gaze", places)
    if n < 4:
        raise InvalidInput(f"A plane with its interval needs at least 4 stimuli; got {n}.")
    centre, level = places.mean(0), values.mean(0)
    # Centred, so that the normal equations lose no digits.
    design = np.column_stack([np.ones(len(places)), places - centre]).reshape(n, -1, 3)
    response = (values - level).reshape(n, -1, values.shape[1])
    gram = np.einsum("nti,ntj->nij", design, design)
    moment = np.einsum("nti,ntu->niu", design, response)
    if np.linalg.cond(gram.sum(0)[1:, 1:]) > 1e10:
        raise InvalidInput(
            "The gaze hardly varies, or only along a line; a plane over it is not determined. "
            "Take a policy or a glimpse that looks about."
        )
    plane = np.linalg.solve(gram.sum(0), moment.sum(0))
    rng, draws = numpy_generator(seed), []
    for block in split_blocks(n_resamples, max(n, 3 * values.shape[1])):
        times = count_draws(rng, block, n).astype(np.float64)
        left = (times @ gram.reshape(n, -1)).reshape(-1, 3, 3)
        right = (times @ moment.reshape(n, -1)).reshape(len(left), 3, -1)
        if np.linalg.cond(left).max() > 1e14:
            raise InvalidInput(f"In a resample of the {n} stimuli no plane is determined.")
        draws.append(np.linalg.solve(left, right)[:, 1:])
    low, high = np.quantile(np.concatenate(draws), [tail, 1 - tail], axis=0)
    total = (response**2).sum((0, 1))
    varies = total > ROUNDING * (values**2).sum(0)
    error = ((response - design @ plane) ** 2).sum((0, 1))
    slope = plane[1:]
    direction = np.rad2deg(np.arctan2(slope[1], slope[0]))
    both = ("coordinate", "unit")
    return xr.Dataset(
        {
            "slope": (both, slope),
            "low": (both, low),
            "high": (both, high),
            "intercept": ("unit", level + plane[0]),
            "r_squared": ("unit", 1 - error / np.where(varies, total, np.nan)),
            "direction_deg": ("unit", np.where(varies, direction, np.nan)),
            "varies": ("unit", varies),
        },
        coords={"coordinate": ["x", "y"], **_unit_coords(activity)},
        attrs={
            "units": "activity per px",
            "n_stimuli": n,
            "confidence": confidence,
            "method": "bootstrap of stimuli",
            "mean_gaze_px": centre.tolist(),
        },
    )


def class_tuning(activity: xr.DataArray, label: xr.DataArray) -> xr.Dataset:
    """Return which class drives each unit, how selectively, and how much of its variance.

    Parameters
    ----------
    activity : xarray.DataArray
        Dimensions ``stimulus``, ``unit`` and any others (glimpse), each an analysis of its own.
    label : xarray.DataArray
        Class of each stimulus.

    Returns
    -------
    xarray.Dataset
        ``mean`` (class, ..., unit); ``preferred``, the class of the largest mean;
        ``selectivity``, (best − rest) / (|best| + |rest|) with the class chosen on one half of
        the stimuli and measured on the other, averaged over both ways, so that it is 0 for
        a unit that does not care, but for noise and the little that a quotient of noisy means is
        off (NaN where best and rest are both 0); and all of
        `variance_explained`.

    Raises
    ------
    InvalidInput
        As `variance_explained`, or if a class has a single stimulus.

    Examples
    --------
    >>> activity = xr.DataArray([[3.0], [3.0], [1.0], [1.0]], dims=("stimulus", "unit"))
    >>> found = class_tuning(activity, xr.DataArray([4, 4, 7, 7], dims="stimulus"))
    >>> int(found["preferred"][0]), float(found["selectivity"][0])
    (4, 0.5)
    """
    check_shape("label", label, (activity.sizes.get("stimulus", "N"),))
    shares = variance_explained(activity, label)
    labelled = activity.assign_coords({"class": ("stimulus", label.values)})
    mean = tuning_curves(labelled, "class")
    names, codes, sizes = np.unique(label.values, return_inverse=True, return_counts=True)
    if sizes.min() < 2:
        raise InvalidInput(
            f"Class {names[sizes.argmin()].item()!r} has one stimulus; halves need two a class."
        )
    # Every second stimulus of each class.
    rank = np.empty(len(codes), int)
    rank[np.argsort(codes, kind="stable")] = np.arange(len(codes)) - np.repeat(
        np.cumsum(sizes) - sizes, sizes
    )
    halves = [
        tuning_curves(labelled.isel(stimulus=rank % 2 == half), "class").drop_vars("n_stimuli")
        for half in (0, 1)
    ]
    weights = xr.DataArray(sizes, {"class": names}, "class")
    selectivity = sum(
        _selectivity(test, chosen.argmax("class"), weights)
        for chosen, test in (halves, halves[::-1])
    )
    preferred = mean["class"].variable[mean.argmax("class").variable]
    found = shares.assign(mean=mean, preferred=preferred, selectivity=selectivity / 2)
    return found.assign_attrs(by="class")


def _selectivity(mean: xr.DataArray, chosen: xr.DataArray, weights: xr.DataArray) -> xr.DataArray:
    """Return the index of the `chosen` class in means (class, ...) of classes of given sizes."""
    picked = xr.DataArray(np.arange(mean.sizes["class"]), {"class": mean["class"]}) == chosen
    best = mean.where(picked, 0).sum("class")
    other = weights.where(~picked, 0)
    rest = (mean * other).sum("class") / other.sum("class")
    size = abs(best) + abs(rest)
    return ((best - rest) / size.where(size > 0)).drop_attrs()


def _rows(parameter: str, activity: xr.DataArray, pooled: Any) -> np.ndarray:
    """Return activity (observations, unit), its `pooled` dimensions flat in their order."""
    check_dims(parameter, activity, [*map(str, pooled), "unit"])
    extra = [str(dim) for dim in activity.dims if dim not in (*pooled, "unit")]
    if extra:
        raise InvalidInput(
            f"{parameter} has dimension(s) {', '.join(extra)} that the gaze has not; select one "
            "value of each."
        )
    values = activity.transpose(*pooled, "unit").values.astype(np.float64)
    return check_finite(parameter, values).reshape(-1, values.shape[-1])


def _group_sums(values: np.ndarray, codes: np.ndarray, n_groups: int) -> np.ndarray:
    """Return sums (group, unit) of values (N, unit)."""
    member = (codes == np.arange(n_groups)[:, None]).astype(values.dtype)
    sums: np.ndarray = member @ values
    return sums


def _unit_coords(activity: xr.DataArray) -> dict[Any, xr.DataArray]:
    return {name: c for name, c in activity.coords.items() if c.dims == ("unit",)}
