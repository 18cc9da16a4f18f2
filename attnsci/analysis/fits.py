"""Bell fits to orientation curves: amplitude, width, baseline and preference of every unit at once.

A curve is modelled as ``baseline + amplitude · g(θ − preference; width)``, where g falls from 1 at
the preference to 0 at the angle farthest from it. With g so normalised, amplitude is peak minus
trough and baseline the response at the trough, for narrow and broad bells alike; in the usual
form the two run away against each other as the bell becomes broad.

Fitting is separable: on a grid of preferences and widths the best baseline and amplitude are a
linear problem, solved for all units by one matrix product; Levenberg-Marquardt steps, batched over
units, refine the winner.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import xarray as xr

from attnsci.analysis.tuning import ACTIVITY_THRESHOLD
from attnsci.checks import check_dims, check_finite, check_option
from attnsci.errors import InvalidInput
from attnsci.statistics.circular import PERIOD_DEG

STATUS = ("fitted", "silent", "constant", "not converged")
MAX_STEPS = 500
# Units a batch: the products with the 432 bells of the grid then take 14 MiB each.
BATCH = 4096
TURNS = np.arange(-3, 4)


def von_mises(delta_deg: np.ndarray, kappa: np.ndarray) -> np.ndarray:
    """Return the von Mises bell of period 180°, 1 at its peak and 0 at its trough.

    Parameters
    ----------
    delta_deg : numpy.ndarray
        Angle from the preference, degrees.
    kappa : numpy.ndarray
        Concentration > 0; shapes broadcast.

    Returns
    -------
    numpy.ndarray

    Examples
    --------
    >>> von_mises(np.array([0.0, 90.0, 180.0]), np.array(2.0)).round(6)
    array([1., 0., 1.])
    """
    # expm1 keeps the quotient exact where kappa is small and the bell a cosine.
    doubled = np.cos(np.deg2rad(2 * delta_deg))
    return np.expm1(kappa * (doubled + 1)) / np.expm1(2 * kappa)


def wrapped_gaussian(delta_deg: np.ndarray, sigma_deg: np.ndarray) -> np.ndarray:
    """Return the Gaussian wrapped at 180°, 1 at its peak and 0 at its trough.

    Parameters
    ----------
    delta_deg : numpy.ndarray
        Angle from the preference, degrees.
    sigma_deg : numpy.ndarray
        Standard deviation > 0 and at most 75, degrees; shapes broadcast.

    Returns
    -------
    numpy.ndarray

    Examples
    --------
    >>> wrapped_gaussian(np.array([0.0, 90.0, 180.0]), np.array(20.0)).round(6)
    array([1., 0., 1.])
    """
    # Beyond the nearest turns nothing is left for the widths allowed.
    delta = (delta_deg + PERIOD_DEG / 2) % PERIOD_DEG - PERIOD_DEG / 2

    def summed(angle: np.ndarray) -> np.ndarray:
        turned = np.asarray(angle)[..., None] + PERIOD_DEG * TURNS
        return np.exp(-0.5 * (turned / np.asarray(sigma_deg)[..., None]) ** 2).sum(-1)

    trough = summed(np.array(PERIOD_DEG / 2))
    return (summed(delta) - trough) / (summed(np.array(0.0)) - trough)


@dataclass(frozen=True)
class Bell:
    """A shape, its width parameter, the broadest one, and the parameter of a half-width."""

    function: Callable[[np.ndarray, np.ndarray], np.ndarray]
    parameter: str
    broadest: float
    from_half_width: Callable[[float], float]

    def limits(self, angles: np.ndarray) -> tuple[float, float]:
        """Return the ends of the parameter's range for curves sampled at `angles`.

        A bell of a half-width below the largest gap could hide between two angles, with any
        amplitude.
        """
        distinct = np.unique(np.round(angles % PERIOD_DEG, 6) % PERIOD_DEG)
        gap = np.diff(distinct, append=distinct[0] + PERIOD_DEG).max()
        ends = sorted((self.broadest, self.from_half_width(gap)))
        return ends[0], ends[1]


# Broader than these a bell is a cosine to 1 % and its width undetermined.
BELLS = {
    "von_mises": Bell(
        von_mises, "kappa", 0.05, lambda h: float(np.log(2) / (1 - np.cos(np.deg2rad(2 * h))))
    ),
    "gaussian": Bell(
        wrapped_gaussian, "sigma_deg", 75.0, lambda h: float(h / np.sqrt(2 * np.log(2)))
    ),
}


def half_width_deg(shape: str, parameter: np.ndarray) -> np.ndarray:
    """Return the half-width at half height between trough and peak.

    Parameters
    ----------
    shape : {"von_mises", "gaussian"}
    parameter : numpy.ndarray
        kappa or sigma_deg.

    Returns
    -------
    numpy.ndarray
        Degrees; 45 in the limit of a broad bell.

    Raises
    ------
    UnknownName, InvalidInput
        If the shape is not one of the two.

    Examples
    --------
    >>> float(half_width_deg("gaussian", np.array(10.0)).round(4))
    11.7741
    """
    bell = BELLS[check_option("shape", shape, BELLS)]
    low, high = np.zeros(parameter.shape), np.full(parameter.shape, PERIOD_DEG / 2)
    for _ in range(50):  # bisection: g falls monotonically from 0° to 90°
        middle = (low + high) / 2
        above = bell.function(middle, parameter) > 0.5
        low, high = np.where(above, middle, low), np.where(above, high, middle)
    return (low + high) / 2


def fit_curves(
    curves: xr.DataArray,
    shape: str = "von_mises",
    *,
    dim: str = "orientation_deg",
    threshold: float = ACTIVITY_THRESHOLD,
) -> xr.Dataset:
    """Fit a bell with baseline to the orientation curve of every unit by least squares.

    Parameters
    ----------
    curves : xarray.DataArray
        Responses with dimension and coordinate `dim`, degrees, at five or more angles distinct
        after 180°, and any unit dimensions; numpy or dask (whole along `dim`).
    shape : {"von_mises", "gaussian"}
        The bell, of period 180°.
    dim : str
    threshold : float
        A unit whose largest response does not exceed this is silent.

    Returns
    -------
    xarray.Dataset
        Over the units: `amplitude` (peak − trough, ≥ 0), `baseline` (trough), `preference_deg` in
        [0, 180), `half_width_deg` (at half height), `kappa` or `sigma_deg`, `r_squared`,
        `at_bound` (the width ended at the limit of its range), `status`, an index into
        ``attrs["status_names"]``, and `fitted` (status 0). Units that are silent, constant or did
        not converge hold NaN everywhere: count them by `status`.

    Raises
    ------
    InvalidInput
        If a response is NaN (read when the result is computed, for dask arrays), the coordinate is
        missing, or there are fewer than five distinct angles.

    References
    ----------
    Swindale NV (1998). Orientation tuning curves: empirical description and estimation of
    parameters. Biological Cybernetics 78, 45–56.

    Examples
    --------
    >>> angles = np.arange(0.0, 180.0, 9.0)
    >>> response = 1 + 3 * von_mises(angles - 63.0, np.array(2.0))
    >>> curve = xr.DataArray(response, {"orientation_deg": angles}, "orientation_deg")
    >>> fit = fit_curves(curve)
    >>> [round(float(fit[name]), 3) for name in ("amplitude", "baseline", "preference_deg")]
    [3.0, 1.0, 63.0]
    """
    bell = BELLS[check_option("shape", shape, BELLS)]
    check_dims("curves", curves, [dim])
    if dim not in curves.coords:
        raise InvalidInput(f"curves has no coordinate {dim}; assign its angles in degrees.")
    angles = check_finite(dim, curves[dim].values.astype(np.float64))
    distinct = len(np.unique(np.round(angles % PERIOD_DEG, 6) % PERIOD_DEG))
    if distinct < 5:
        raise InvalidInput(
            f"A bell has four parameters and needs at least five distinct angles; {dim} has "
            f"{distinct}."
        )
    stacked = xr.apply_ufunc(
        _fit,
        curves,
        input_core_dims=[[dim]],
        output_core_dims=[["parameter"]],
        kwargs={"angles": angles, "shape": shape, "threshold": threshold},
        dask="parallelized",
        dask_gufunc_kwargs={"output_sizes": {"parameter": 8}},
        output_dtypes=[np.float64],
    )
    names = ("amplitude", "baseline", "preference_deg", bell.parameter, "half_width_deg")
    result = xr.Dataset(
        {name: stacked.isel(parameter=i) for i, name in enumerate((*names, "r_squared"))}
    )
    result["at_bound"] = stacked.isel(parameter=6) > 0
    result["status"] = stacked.isel(parameter=7).astype(np.int8)
    result["fitted"] = result["status"] == 0
    return result.drop_attrs().assign_attrs(
        shape=shape, status_names=list(STATUS), threshold=threshold
    )


def _fit(curves: np.ndarray, angles: np.ndarray, shape: str, threshold: float) -> np.ndarray:
    """Return (..., 8): the six numbers of the fit, at_bound and status of curves (..., T)."""
    check_finite("curves", curves)
    flat = curves.reshape(-1, curves.shape[-1]).astype(np.float64)
    result = np.full((len(flat), 8), np.nan)
    result[:, 6] = 0
    highest = flat.max(1, initial=-np.inf)
    silent = highest <= threshold
    constant = ~silent & (np.ptp(flat, axis=1) <= 1e-9 * np.abs(highest))
    result[:, 7] = np.select([silent, constant], [1, 2], 0)
    chosen = np.flatnonzero(~(silent | constant))
    for start in range(0, len(chosen), BATCH):
        units = chosen[start : start + BATCH]
        result[units] = _fit_batch(flat[units], angles, shape)
    return result.reshape(*curves.shape[:-1], 8)


def _starts(y: np.ndarray, angles: np.ndarray, bell: Bell) -> np.ndarray:
    """Return the best parameters (3, U, 4) on the grid for narrow, middle and broad bells.

    Parameters are baseline, amplitude, preference, log width. Three starts, because the error has
    a minimum for the highest point alone and others for the whole curve.
    """
    preferences = np.arange(0.0, PERIOD_DEG, 5.0)
    widths = np.geomspace(*bell.limits(angles), 12)
    grid = np.stack(np.meshgrid(np.log(widths), preferences, indexing="ij"), -1).reshape(-1, 2)
    g = bell.function(angles - grid[:, 1:], np.exp(grid[:, :1]))
    centred = g - g.mean(1, keepdims=True)
    power = (centred**2).sum(1)
    covariance = y @ centred.T
    thirds = (covariance / np.sqrt(power)).reshape(len(y), 3, -1)
    best = (thirds.argmax(-1) + thirds.shape[-1] * np.arange(3)).T
    amplitude = np.maximum(covariance[np.arange(len(y)), best] / power[best], 0)
    baseline = y.mean(1) - amplitude * g[best].mean(-1)
    return np.stack([baseline, amplitude, grid[best, 1], grid[best, 0]], axis=-1)


def _predict(p: np.ndarray, angles: np.ndarray, bell: Bell) -> tuple[np.ndarray, np.ndarray]:
    """Return prediction (U, T) and Jacobian (U, T, 4) by central differences in the shape."""
    baseline, amplitude, preference, width = p.T[..., None]

    def g(turn: float, stretch: float) -> np.ndarray:
        return bell.function(angles - preference - turn, np.exp(width + stretch))

    shape = g(0, 0)
    step = 1e-4
    jacobian = np.stack(
        [
            np.ones_like(shape),
            shape,
            amplitude * (g(step, 0) - g(-step, 0)) / (2 * step),
            amplitude * (g(0, step) - g(0, -step)) / (2 * step),
        ],
        axis=-1,
    )
    return baseline + amplitude * shape, jacobian


def _fit_batch(y: np.ndarray, angles: np.ndarray, shape: str) -> np.ndarray:
    """Return (U, 8) for curves (U, T) that vary: the best of three descents."""
    bell = BELLS[shape]
    # One scale for all units, so that one tolerance fits all.
    scale = np.ptp(y, axis=1)
    scaled = y / scale[:, None]
    starts = _starts(scaled, angles, bell).reshape(-1, 4)
    p, cost, converged = _descend(np.tile(scaled, (3, 1)), starts, angles, bell)
    best = cost.reshape(3, -1).argmin(0), np.arange(len(y))
    return _columns(
        scaled,
        scale,
        p.reshape(3, -1, 4)[best],
        converged.reshape(3, -1)[best],
        angles,
        shape,
    )


def _descend(
    y: np.ndarray, p: np.ndarray, angles: np.ndarray, bell: Bell
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Levenberg-Marquardt from `p` (U, 4): return parameters, squared error, converged."""
    limits = np.log(bell.limits(angles))
    damping = np.full(len(y), 1e-3)
    running = np.arange(len(y))
    converged = np.zeros(len(y), bool)
    cost = np.full(len(y), np.inf)
    diagonal = np.arange(4)
    for _ in range(MAX_STEPS):
        now = p[running]
        predicted, jacobian = _predict(now, angles, bell)
        residual = y[running] - predicted
        cost[running] = (residual**2).sum(1)
        normal = np.einsum("uti,utj->uij", jacobian, jacobian)
        slope = np.einsum("uti,ut->ui", jacobian, residual)
        # Marquardt's scaling; the floor keeps a flat direction solvable.
        own = np.maximum(normal[:, diagonal, diagonal], 1e-10)
        normal[:, diagonal, diagonal] = own * (1 + damping[running, None])
        step = np.linalg.solve(normal, slope[..., None])[..., 0]
        # A width at its limit that wants to go on stays there, and the others move without it.
        width = now[:, 3]
        held = ((width <= limits[0]) & (step[:, 3] < 0)) | ((width >= limits[1]) & (step[:, 3] > 0))
        free = np.linalg.solve(normal[held, :3, :3], slope[held, :3, None])[..., 0]
        step[held] = np.pad(free, ((0, 0), (0, 1)))
        trial = now + step
        trial[:, 3] = np.clip(trial[:, 3], *limits)
        trial[:, 1] = np.maximum(trial[:, 1], 0)
        g = bell.function(angles - trial[:, 2:3], np.exp(trial[:, 3:]))
        new = ((y[running] - trial[:, :1] - trial[:, 1:2] * g) ** 2).sum(1)
        better = new <= cost[running]
        p[running[better]] = trial[better]
        gained = np.where(better, cost[running] - new, 0)
        cost[running] -= gained
        damping[running] *= np.where(better, 0.2, 8.0)
        # Done: hardly any gain from a step that damping did not shorten, or none from any step.
        stuck = damping[running] > 1e8
        done = stuck | (better & (gained <= 1e-9 * cost[running] + 1e-24))
        converged[running[done]] = True
        running = running[~done]
        if not len(running):
            break
    return p, cost, converged


def _columns(
    scaled: np.ndarray,
    scale: np.ndarray,
    p: np.ndarray,
    converged: np.ndarray,
    angles: np.ndarray,
    shape: str,
) -> np.ndarray:
    """Return the columns of `_fit` from the fitted parameters of scaled curves."""
    bell = BELLS[shape]
    baseline, amplitude, preference, log_width = p.T
    width = np.exp(log_width)
    fit = baseline[:, None] + amplitude[:, None] * bell.function(
        angles - preference[:, None], width[:, None]
    )
    total = ((scaled - scaled.mean(1, keepdims=True)) ** 2).sum(1)
    lowest, highest = bell.limits(angles)
    at_bound = (width <= lowest * (1 + 1e-6)) | (width >= highest * (1 - 1e-6))
    numbers = np.column_stack(
        [
            amplitude * scale,
            baseline * scale,
            preference % PERIOD_DEG,
            width,
            half_width_deg(shape, width),
            1 - ((scaled - fit) ** 2).sum(1) / total,
        ]
    )
    numbers[~converged] = np.nan
    return np.column_stack([numbers, at_bound & converged, np.where(converged, 0, 3)])
