"""Lines and scaling models between two responses of the same unit.

How does the attended curve follow from the unattended one: by a factor, an added constant, both,
or a threshold? Straight lines by least squares and by Deming regression, and a comparison of the
four models by AIC, for all units at once.
"""

from collections.abc import Callable

import numpy as np
import xarray as xr

from attnsci.analysis.tuning import pearson
from attnsci.checks import check_dims, check_finite
from attnsci.errors import InvalidInput
from attnsci.statistics.estimates import check_confidence

MODELS = ("multiplicative", "additive", "multiplicative+additive", "thresholded")
# Free parameters of each model, the variance of the errors included.
N_PARAMETERS = np.array([2, 2, 3, 3])
# Variation below this fraction of the size of the values is rounding (float32 arithmetic).
FLAT = 1e-7
# Units a batch: the thresholded model tries 2 T lines on T points of each.
BATCH = 4096


def _check_pair(x: xr.DataArray, y: xr.DataArray, dim: str) -> None:
    check_dims("x", x, [dim])
    check_dims("y", y, [dim])
    if x.sizes != y.sizes:
        raise InvalidInput(
            f"x and y must have the same dimensions; got {dict(x.sizes)} and {dict(y.sizes)}."
        )
    if x.sizes[dim] < 4:
        raise InvalidInput(f"At least four points along {dim} are needed; got {x.sizes[dim]}.")


def _over_units(
    core: Callable[..., np.ndarray],
    x: xr.DataArray,
    y: xr.DataArray,
    dim: str,
    n: int,
    **settings: float,
) -> list[xr.DataArray]:
    """Apply `core` ((..., T), (..., T)) → (..., n) and return the n columns."""
    _check_pair(x, y, dim)
    try:
        stacked = xr.apply_ufunc(
            core,
            x,
            y,
            input_core_dims=[[dim], [dim]],
            output_core_dims=[["column"]],
            kwargs=settings,
            join="exact",
            dask="parallelized",
            dask_gufunc_kwargs={"output_sizes": {"column": n}},
            output_dtypes=[np.float64],
        )
    except xr.AlignmentError as error:
        raise InvalidInput(f"x and y have different coordinates: {error}") from error
    return [stacked.isel(column=i).drop_attrs() for i in range(n)]


def _centred(x: np.ndarray) -> np.ndarray:
    return x - x.mean(-1, keepdims=True)


def _flat(x: np.ndarray) -> np.ndarray:
    return np.ptp(x, axis=-1) <= FLAT * np.abs(x).max(-1)


def ordinary_line(x: xr.DataArray, y: xr.DataArray, dim: str = "orientation_deg") -> xr.Dataset:
    """Fit y = intercept + slope·x by least squares, unit by unit.

    Noise in x makes the slope too small; `deming_line` takes both axes as noisy.

    Parameters
    ----------
    x, y : xarray.DataArray
        Unattended and attended curves with the same dimensions; numpy or dask.
    dim : str
        The points of a unit lie along this dimension.

    Returns
    -------
    xarray.Dataset
        `slope`, `intercept`, `r` and `defined` over the units. Where x or y does not vary
        (silent units) the line is undefined and its numbers are NaN.

    Raises
    ------
    InvalidInput
        If the curves do not match, have fewer than four points, or hold NaN.

    Examples
    --------
    >>> x = xr.DataArray([0.0, 1.0, 2.0, 3.0], dims="orientation_deg")
    >>> float(ordinary_line(x, 1.25 * x + 1)["slope"])
    1.25
    """
    slope, intercept, r = _over_units(_ordinary, x, y, dim, 3)
    return xr.Dataset({"slope": slope, "intercept": intercept, "r": r, "defined": r.notnull()})


def _ordinary(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    x, y = _float_pair(x, y)
    defined = ~(_flat(x) | _flat(y))
    dx, dy = _centred(x), _centred(y)
    power = np.where(defined, (dx**2).sum(-1), np.nan)
    slope = (dx * dy).sum(-1) / power
    r = np.where(defined, pearson(x, y), np.nan)
    return np.stack([slope, y.mean(-1) - slope * x.mean(-1), r], axis=-1)


def _float_pair(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    check_finite("x", x)
    check_finite("y", y)
    return x.astype(np.float64), y.astype(np.float64)


def deming_line(
    x: xr.DataArray,
    y: xr.DataArray,
    dim: str = "orientation_deg",
    *,
    confidence: float = 0.95,
) -> xr.Dataset:
    """Fit a line by total least squares: Deming regression with equal error variances.

    Parameters
    ----------
    x, y, dim
        As in `ordinary_line`.
    confidence : float
        Coverage of the intervals: jackknife over the points, Student's t with T − 2 degrees of
        freedom. An angle given twice (0° and 180°) counts twice: drop the repeat first.

    Returns
    -------
    xarray.Dataset
        `slope`, `slope_low`, `slope_high`, `intercept`, `intercept_low`, `intercept_high`,
        `defined` and `interval_defined`, false where the line hangs on one point. What is
        undefined is NaN.

    Raises
    ------
    InvalidInput
        As `ordinary_line`.

    References
    ----------
    Linnet K (1993). Evaluation of regression procedures for methods comparison studies. Clinical
    Chemistry 39, 424–432.

    Examples
    --------
    >>> x = xr.DataArray([0.0, 1.0, 2.0, 3.0], dims="orientation_deg")
    >>> float(deming_line(x, 2 * x + 1)["slope"].round(6))
    2.0
    """
    columns = _over_units(_deming, x, y, dim, 6, confidence=check_confidence(confidence))
    names = ("slope", "slope_low", "slope_high", "intercept", "intercept_low", "intercept_high")
    result = xr.Dataset(dict(zip(names, columns, strict=True)), attrs={"confidence": confidence})
    result["defined"] = result["slope"].notnull()
    result["interval_defined"] = result["slope_low"].notnull()
    return result


def _principal_axis(
    n: int,
    sx: np.ndarray,
    sy: np.ndarray,
    sxx: np.ndarray,
    syy: np.ndarray,
    sxy: np.ndarray,
    flat: np.ndarray,
) -> tuple[np.ndarray, np.ndarray]:
    """Return slope and intercept from sums and centred sums of squares."""
    angle = np.arctan2(2 * sxy, sxx - syy) / 2
    # A vertical line or a cloud without direction has no slope.
    none = flat | (np.abs(sxy) <= FLAT**2 * (sxx + syy))
    slope = np.where(none, np.nan, np.tan(angle))
    return slope, (sy - slope * sx) / n


def _deming(x: np.ndarray, y: np.ndarray, confidence: float) -> np.ndarray:
    from scipy import stats

    x, y = _float_pair(x, y)
    n = x.shape[-1]
    dx, dy = _centred(x), _centred(y)
    sxx, syy, sxy = (dx**2).sum(-1), (dy**2).sum(-1), (dx * dy).sum(-1)
    flat = _flat(x) | _flat(y)
    slope, intercept = _principal_axis(n, x.sum(-1), y.sum(-1), sxx, syy, sxy, flat)
    # Leaving out point i takes n/(n−1) of its products off the centred sums.
    share = n / (n - 1)
    rest_xx = sxx[..., None] - share * dx**2
    rest_yy = syy[..., None] - share * dy**2
    gone = (rest_xx <= FLAT * sxx[..., None]) | (rest_yy <= FLAT * syy[..., None])
    without = _principal_axis(
        n - 1,
        x.sum(-1, keepdims=True) - x,
        y.sum(-1, keepdims=True) - y,
        rest_xx,
        rest_yy,
        sxy[..., None] - share * dx * dy,
        gone | flat[..., None],
    )
    t = stats.t.ppf((1 + confidence) / 2, n - 2)
    columns = []
    for value, parts in zip((slope, intercept), without, strict=True):
        half = t * np.sqrt((n - 1) / n * (_centred(parts) ** 2).sum(-1))
        columns += [value, value - half, value + half]
    return np.stack(columns, axis=-1)


def compare_models(x: xr.DataArray, y: xr.DataArray, dim: str = "orientation_deg") -> xr.Dataset:
    """Compare four ways in which y may follow from x, by Akaike's criterion.

    multiplicative y = g·x; additive y = x + c; multiplicative+additive y = g·x + c;
    thresholded y = max(0, g·x + c) with g ≥ 0. Each by least squares in y;
    AIC = T·log(SSE/T) + 2k with k parameters, the error variance included.

    A threshold shows in the curve that it cuts: the thresholded model differs from the line only
    where y is cut off and x is not. To ask whether the *unattended* curve is a cut-off attended
    one, exchange the arguments. At equal SSE the model with fewer parameters, then the one named
    first, wins.

    Parameters
    ----------
    x, y, dim
        As in `ordinary_line`.

    Returns
    -------
    xarray.Dataset
        Over the units: `aic`, `gain`, `offset` and `sse` along `model`; `best`, an index into
        `model` or −1 where x or y does not vary; `defined`. The numbers of undefined units are
        NaN.

    Raises
    ------
    InvalidInput
        As `ordinary_line`.

    References
    ----------
    Akaike H (1974). A new look at the statistical model identification. IEEE Transactions on
    Automatic Control 19, 716–723.

    Examples
    --------
    >>> x = xr.DataArray([0.0, 1.0, 2.0, 3.0, 4.0], dims="orientation_deg")
    >>> noise = xr.DataArray([0.01, -0.01, 0.0, 0.01, -0.01], dims="orientation_deg")
    >>> models = compare_models(x, 1.25 * x + noise)
    >>> str(models["model"].values[models["best"]])
    'multiplicative'
    """
    columns = _over_units(_models, x, y, dim, 16)
    model = xr.IndexVariable("model", np.array(MODELS))
    result = xr.Dataset(
        {
            name: xr.concat(columns[4 * i : 4 * i + 4], dim=model).transpose(..., "model")
            for i, name in enumerate(("aic", "gain", "offset", "sse"))
        }
    )
    defined = result["aic"].isel(model=0, drop=True).notnull()
    result["best"] = result["aic"].fillna(0).argmin("model").where(defined, -1)
    result["defined"] = defined
    return result


def _models(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Return (..., 16): AIC, gain, offset and SSE of the four models."""
    x, y = _float_pair(x, y)
    shape = x.shape[:-1]
    x, y = x.reshape(-1, x.shape[-1]), y.reshape(-1, x.shape[-1])
    result = np.full((len(x), 16), np.nan)
    chosen = np.flatnonzero(~(_flat(x) | _flat(y)))
    for start in range(0, len(chosen), BATCH):
        units = chosen[start : start + BATCH]
        result[units] = _models_batch(x[units], y[units])
    return result.reshape(*shape, 16)


def _models_batch(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    n = x.shape[1]
    through_origin = (x * y).sum(1) / (x**2).sum(1)
    shift = (y - x).mean(1)
    dx = _centred(x)
    slope = (dx * y).sum(1) / (dx**2).sum(1)
    cut_gain, cut_offset = _best_hinge(x, y)
    one, zero = np.ones(len(x)), np.zeros(len(x))
    gain = np.column_stack([through_origin, one, slope, cut_gain])
    offset = np.column_stack([zero, shift, y.mean(1) - slope * x.mean(1), cut_offset])
    predicted = gain[..., None] * x[:, None] + offset[..., None]
    predicted[:, 3] = np.maximum(predicted[:, 3], 0)
    sse = ((y[:, None] - predicted) ** 2).sum(-1)
    # Where nothing is cut off the last two are one model, and rounding must not choose.
    tied = np.abs(sse[:, 3] - sse[:, 2]) <= 1e-9 * sse[:, 2]
    sse[tied, 3] = sse[tied, 2]
    # A perfect fit has no finite AIC: errors below rounding of float32 count as rounding.
    floor = n * (FLAT * np.abs(y).max(1, keepdims=True)) ** 2
    aic = n * np.log(np.maximum(sse, floor) / n) + 2 * N_PARAMETERS
    return np.concatenate([aic, gain, offset, sse], axis=1)


def _best_hinge(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return gain ≥ 0 and offset that minimise Σ (y − max(0, g·x + c))², by enumeration.

    Given the points above the threshold, the best line is either their regression line or one
    that crosses zero at a data point; all of both kinds are tried and judged by their true error.
    """
    order = np.argsort(x, axis=1)
    x, y = np.take_along_axis(x, order, 1), np.take_along_axis(y, order, 1)

    def above(values: np.ndarray) -> np.ndarray:  # sum from point j to the last
        return np.cumsum(values[:, ::-1], axis=1)[:, ::-1]

    count = np.arange(x.shape[1], 0, -1)
    sx, sy, sxx, sxy = above(x), above(y), above(x * x), above(x * y)
    power = sxx - sx**2 / count
    level = 1e-12 * sxx + np.finfo(float).tiny
    regression = np.where(power > level, (sxy - sx * sy / count) / np.maximum(power, level), 0)
    regression = np.maximum(regression, 0)
    about = sxx - 2 * x * sx + count * x**2
    crossing = np.where(about > level, (sxy - x * sy) / np.maximum(about, level), 0)
    crossing = np.maximum(crossing, 0)
    gain = np.concatenate([regression, crossing], axis=1)
    offset = np.concatenate([(sy - regression * sx) / count, -crossing * x], axis=1)
    predicted = np.maximum(gain[..., None] * x[:, None] + offset[..., None], 0)
    best = ((y[:, None] - predicted) ** 2).sum(-1).argmin(1)
    rows = np.arange(len(x))
    return gain[rows, best], offset[rows, best]
