"""Accuracy against contrast: psychometric functions, fitted to many conditions at once.

``accuracy = chance + (1 − chance − lapse) · F(slope · (x − location))``, where F is a cumulative
Weibull in contrast (x its logarithm) or a logistic in contrast. Benchmarks of three contrasts
identify two parameters, so that chance and lapse are given and location and slope are fitted.
The likelihood is maximised by scoring from the best point of a grid, for all resamples together.

How accuracy falls with eccentricity, with its half-height, is `attnsci.analysis.fall_off`.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import xarray as xr

from attnsci.analysis.proportions import check_answers
from attnsci.analysis.statistics import check_confidence, count_draws, split_blocks
from attnsci.checks import check_dims, check_finite, check_fraction, check_option, check_positive
from attnsci.errors import InvalidInput
from attnsci.seeds import numpy_generator

PARAMETERS = ("threshold", "slope", "lapse")
STATUS = (
    "reached",
    "above the highest contrast",
    "below the lowest contrast",
    "no rise with contrast",
    "steeper than the contrasts resolve",
    "not converged",
)
REACHED, ABOVE, BELOW, FLAT, STEEP, UNCONVERGED = range(6)
LAPSE_MAX = 0.3
"""Upper end of a fitted lapse rate."""
# Slope times range of x: below the first F is flat, beyond the second a step between contrasts.
SLOPES = (0.1, 50.0)
# How many ranges of x the location may lie outside the tested contrasts.
REACH = 2.0
GRID = (26, 14, 5)  # locations, slopes and lapses of the grid
MAX_STEPS = 300
CURVE_POINTS = 51
TINY = 1e-9


@dataclass(frozen=True)
class Shape:
    """x of a contrast, F and its derivative of η = slope · (x − location), and F's inverse."""

    x: Callable[[np.ndarray], np.ndarray]
    cdf: Callable[[np.ndarray], np.ndarray]
    density: Callable[[np.ndarray], np.ndarray]
    inverse: Callable[[np.ndarray], np.ndarray]
    back: Callable[[np.ndarray], np.ndarray]


def _logistic(eta: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-eta))


SHAPES = {
    "weibull": Shape(
        np.log,
        lambda eta: -np.expm1(-np.exp(eta)),
        lambda eta: np.exp(eta - np.exp(eta)),
        lambda share: np.log(-np.log1p(-share)),
        np.exp,
    ),
    "logistic": Shape(
        np.asarray,
        _logistic,
        lambda eta: _logistic(eta) * _logistic(-eta),
        lambda share: np.log(share) - np.log1p(-share),
        np.asarray,
    ),
}


def fit_psychometric(
    correct: xr.DataArray,
    contrast: xr.DataArray,
    *,
    chance: float,
    criterion: float = 0.75,
    shape: str = "weibull",
    lapse: float | None = 0.02,
    seed: int = 0,
    n_resamples: int = 1000,
    confidence: float = 0.95,
) -> xr.Dataset:
    """Fit a psychometric function of contrast to every condition by maximum likelihood.

    Three contrasts identify two parameters and leave one degree of freedom for the deviance:
    location and slope are fitted, chance and lapse are given. A lapse rate held too low makes
    the slope too shallow where a model is not perfect at high contrast (Wichmann & Hill); with
    four contrasts or more it can be fitted.

    Parameters
    ----------
    correct : xarray.DataArray
        Right (1) and wrong (0) with dimension ``stimulus`` and any others; NaN is no answer.
    contrast : xarray.DataArray
        Contrast of each answer, above 0 and at most 1, on dimensions of `correct` (``contrast``,
        ``stimulus`` or both). The other dimensions (eccentricity, model) stay.
    chance : float
        Guess rate: the base rate of the labels, see `attnsci.analysis.proportions.base_rate`.
    criterion : float
        Accuracy that defines the threshold, between chance and 1 − lapse.
    shape : {"weibull", "logistic"}
        The function F.
    lapse : float or None
        Share of wrong answers at high contrast; None fits it between 0 and `LAPSE_MAX`.
    seed, n_resamples : int
        Of the bootstrap, which draws stimuli with all their answers.
    confidence : float

    Returns
    -------
    xarray.Dataset
        ``estimate``, ``low``, ``high`` over ``parameter`` and the other dimensions: "threshold",
        the contrast of accuracy `criterion`; "slope", Weibull's exponent or the logistic's rate
        per unit of contrast; "lapse". ``reached``: whether the threshold lies within the
        contrasts tested; where it does not, it is NaN and ``status``, an index into
        ``attrs["status_names"]``, says why: nothing is extrapolated. A resample that does not
        reach it counts as infinite, so an infinite ``high`` says that these data set no upper
        limit; a ``low`` of 0, no lower one. The slope is NaN where a flat, steep or shifted curve
        leaves it undetermined. ``accuracy`` and ``n`` by ``level`` (contrasts; NaN where a
        condition has no answer); ``curve`` at ``curve_contrast`` by ``point``: the fit within the
        contrasts tested; ``deviance`` from one free accuracy a contrast: about chi-squared with
        contrasts − parameters degrees of freedom where the function and the lapse rate fit.

    Raises
    ------
    InvalidInput
        If dimensions do not fit, a contrast or the criterion lies outside its range, answers are
        neither right nor wrong, or there are fewer contrasts than parameters + 1.

    References
    ----------
    Wichmann FA, Hill NJ (2001). The psychometric function: I. Fitting, sampling, and goodness of
    fit. Perception & Psychophysics 63, 1293–1313.

    Examples
    --------
    >>> levels = xr.DataArray([0.1, 0.2, 0.4, 0.8], dims="contrast")
    >>> ranks = xr.DataArray((np.arange(200) + 0.5) / 200, dims="stimulus")
    >>> correct = ranks < 0.1 + 0.9 * (1 - np.exp(-((levels / 0.3) ** 2)))
    >>> fit = fit_psychometric(correct, levels, chance=0.1, lapse=0.0, n_resamples=100)
    >>> [round(float(v), 2) for v in fit["estimate"].sel(parameter=["threshold", "slope"])]
    [0.34, 2.03]
    """
    form = SHAPES[check_option("shape", shape, SHAPES)]
    check_fraction("chance", chance)
    tail = (1 - check_confidence(confidence)) / 2
    if lapse is not None and not 0 <= lapse < 1 - chance:
        raise InvalidInput(f"lapse must lie between 0 and 1 − chance or be None; got {lapse!r}.")
    if not chance < criterion < 1 - (lapse or 0.0):
        raise InvalidInput(
            f"criterion must lie between chance, {chance:g}, and 1 − lapse, {1 - (lapse or 0):g}; "
            f"got {criterion!r}."
        )
    answers, levels, codes, kept = _by_level(correct, contrast)
    n, n_free = len(answers), 3 if lapse is None else 2
    x = form.x(levels)
    rng = numpy_generator(seed)
    check_positive("n_resamples", n_resamples, integer=True)
    blocks = split_blocks(n_resamples, n)
    times = np.concatenate([count_draws(rng, block, n).astype(np.float32) for block in blocks])
    times = np.concatenate([np.ones((1, n), np.float32), times])
    conditions = []
    for cell in range(answers.shape[2]):
        right, total = _counts(answers[..., cell], codes, len(levels), times)
        tested = total[0] > 0
        if tested.sum() <= n_free:
            raise InvalidInput(
                f"{n_free} parameters need answers at {n_free + 1} contrasts or more; got "
                f"{int(tested.sum())}: {levels[tested].tolist()}."
            )
        rows = right[:, tested], total[:, tested]
        theta, converged = fit_counts(*rows, x[tested], form, chance, lapse)
        values, status = _measures(theta, converged, x[tested], form, chance, criterion)
        grid = np.linspace(levels[tested][0], levels[tested][-1], CURVE_POINTS)
        fitted = _predict(theta[:1], form.x(grid), form, chance)[0]
        deviance = _deviance(rows[0][0], rows[1][0], theta[:1], x[tested], form, chance)
        conditions.append((values, status, grid, fitted, deviance, right[0], total[0]))
    values, status, grid, fitted, deviance, right, total = (
        np.stack(part, -1) for part in zip(*conditions, strict=True)
    )
    low, high = _interval(values[1:], status[1:], tail)
    template = _template(correct, kept)
    known = np.isfinite(values[0]) & (status[0] != UNCONVERGED)
    known[0] &= status[0] == REACHED
    share = np.divide(right, total, out=np.full(right.shape, np.nan), where=total > 0)
    parts = {
        "estimate": ("parameter", np.where(known, values[0], np.nan)),
        "low": ("parameter", np.where(known, low, np.nan)),
        "high": ("parameter", np.where(known, high, np.nan)),
        "reached": (None, status[0] == REACHED),
        "status": (None, status[0].astype(np.int8)),
        "deviance": (None, deviance),
        "accuracy": ("level", share),
        "n": ("level", total.astype(np.int64)),
        "curve": ("point", fitted),
        "curve_contrast": ("point", grid),
    }
    return xr.Dataset(
        {
            name: (
                (*([along] if along else []), *kept),
                part.reshape((*part.shape[:-1], *template.shape)),
            )
            for name, (along, part) in parts.items()
        },
        coords={**template.coords, "parameter": list(PARAMETERS), "level": levels},
        attrs={
            "chance": float(chance),
            "criterion": float(criterion),
            "shape": shape,
            "lapse_fitted": int(lapse is None),
            "status_names": list(STATUS),
            "n_stimuli": n,
            "n_resamples": n_resamples,
            "confidence": confidence,
            "method": "bootstrap of stimuli",
        },
    )


def _template(correct: xr.DataArray, kept: list) -> xr.DataArray:
    """Return an array over the dimensions `kept` of `correct`, with their coordinates only."""
    chosen = correct.isel({dim: 0 for dim in correct.dims if dim not in kept}, drop=True)
    return chosen.transpose(*kept)


def _by_level(
    correct: xr.DataArray, contrast: xr.DataArray
) -> tuple[np.ndarray, np.ndarray, np.ndarray, list]:
    """Return answers (N, P, M), distinct contrasts, the code of each (N or 1, P), and M's dims."""
    check_dims("contrast", contrast, [])
    if not contrast.dims:
        raise InvalidInput("contrast has no dimension; give one value a stimulus or condition.")
    check_dims("correct", correct, ["stimulus", *map(str, contrast.dims)])
    correct, contrast = xr.align(check_answers("correct", correct), contrast, join="exact")
    check_finite("contrast", contrast)
    if (contrast <= 0).any() or (contrast > 1).any():
        raise InvalidInput(
            f"contrast must lie above 0 and be at most 1; got values from {float(contrast.min())} "
            f"to {float(contrast.max())}."
        )
    pooled = [dim for dim in contrast.dims if dim != "stimulus"]
    kept = [dim for dim in correct.dims if dim not in ("stimulus", *pooled)]
    ordered = correct.transpose("stimulus", *pooled, *kept)
    n, size = ordered.sizes["stimulus"], int(np.prod([ordered.sizes[dim] for dim in kept]))
    if n < 2:
        raise InvalidInput(f"The bootstrap needs at least 2 stimuli; got {n}.")
    answers = ordered.values.reshape(n, -1, size)
    if not np.isin(answers[~np.isnan(answers)], (0, 1)).all():
        raise InvalidInput("correct must hold right (1) and wrong (0), no shares between.")
    along = ["stimulus"] if "stimulus" in contrast.dims else []
    values = contrast.transpose(*along, *pooled).values.astype(np.float64)
    levels, codes = np.unique(values, return_inverse=True)
    return answers, levels, codes.reshape(n if along else 1, -1), kept


def _counts(
    answers: np.ndarray, codes: np.ndarray, n_levels: int, times: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return right answers and answers (D, L) by contrast, in each resample of the stimuli."""
    from scipy.sparse import csr_array

    valid = ~np.isnan(answers)
    stimulus = np.broadcast_to(np.arange(len(answers))[:, None], answers.shape)[valid]
    level = np.broadcast_to(codes, answers.shape)[valid]
    # Sparse, because with a contrast of its own for each stimulus there are as many levels.
    size = (len(answers), n_levels)
    right, total = (
        csr_array((weights.astype(np.float32), (stimulus, level)), shape=size)
        for weights in (answers[valid], np.ones(len(level)))
    )
    return (times @ right).astype(np.float64), (times @ total).astype(np.float64)


def _predict(theta: np.ndarray, x: np.ndarray, form: Shape, chance: float) -> np.ndarray:
    """Return the accuracies (D, L) of parameters (D, 3): location, log slope, lapse."""
    location, log_slope, lapse = (theta[:, i, None] for i in range(3))
    share = form.cdf(np.exp(log_slope) * (x - location))
    return np.clip(chance + (1 - chance - lapse) * share, TINY, 1 - TINY)


def _log_likelihood(right: np.ndarray, total: np.ndarray, p: np.ndarray) -> np.ndarray:
    return (right * np.log(p) + (total - right) * np.log1p(-p)).sum(1)


def fit_counts(
    right: np.ndarray,
    total: np.ndarray,
    x: np.ndarray,
    form: Shape,
    chance: float,
    lapse: float | None,
) -> tuple[np.ndarray, np.ndarray]:
    """Maximise the binomial likelihood of many data sets over the same contrasts.

    Parameters
    ----------
    right, total : numpy.ndarray, shape (D, L)
        Right answers among answers.
    x : numpy.ndarray, shape (L,)
        Contrasts, ascending, in the units of F.
    form : Shape
    chance : float
    lapse : float or None
        None fits it.

    Returns
    -------
    theta : numpy.ndarray, shape (D, 3)
        Location, logarithm of the slope, and lapse.
    converged : numpy.ndarray, shape (D,), bool
    """
    low, high = _limits(x, lapse, chance)
    axes = [
        np.linspace(low[i], high[i], GRID[i] if high[i] > low[i] else 1) for i in range(len(low))
    ]
    grid = np.stack(np.meshgrid(*axes, indexing="ij"), -1).reshape(-1, 3)
    p = _predict(grid, x, form, chance)
    theta = np.empty((len(right), 3))
    converged = np.zeros(len(right), bool)
    start = 0
    for block in split_blocks(len(right), 8 * len(x)):
        rows = slice(start, start + block)
        start += block
        height = right[rows] @ np.log(p).T + (total[rows] - right[rows]) @ np.log1p(-p).T
        theta[rows], converged[rows] = _ascend(
            right[rows], total[rows], grid[height.argmax(1)], x, form, chance, low, high
        )
    return theta, converged


def _limits(x: np.ndarray, lapse: float | None, chance: float) -> tuple[np.ndarray, np.ndarray]:
    """Return the lower and upper ends of location, log slope and lapse."""
    extent = x[-1] - x[0]
    slopes = np.log(np.asarray(SLOPES) / extent)
    lapses = (lapse, lapse) if lapse is not None else (0.0, min(LAPSE_MAX, (1 - chance) / 2))
    return (
        np.array([x[0] - REACH * extent, slopes[0], lapses[0]]),
        np.array([x[-1] + REACH * extent, slopes[1], lapses[1]]),
    )


def _ascend(
    right: np.ndarray,
    total: np.ndarray,
    theta: np.ndarray,
    x: np.ndarray,
    form: Shape,
    chance: float,
    low: np.ndarray,
    high: np.ndarray,
) -> tuple[np.ndarray, np.ndarray]:
    """Climb by damped Fisher scoring within [low, high]: return parameters and convergence."""
    theta = theta.copy()
    damping = np.full(len(theta), 1e-3)
    converged = np.zeros(len(theta), bool)
    value = _log_likelihood(right, total, _predict(theta, x, form, chance))
    running = np.arange(len(theta))
    diagonal = np.arange(3)
    for _ in range(MAX_STEPS):
        now, k, n = theta[running], right[running], total[running]
        slope = np.exp(now[:, 1, None])
        eta = slope * (x - now[:, 0, None])
        p = _predict(now, x, form, chance)
        steep = (1 - chance - now[:, 2, None]) * form.density(eta)
        jacobian = np.stack([-steep * slope, steep * eta, -form.cdf(eta)], axis=-1)
        weight = n / (p * (1 - p))
        gradient = np.einsum("dl,dlp->dp", (k - n * p) / (p * (1 - p)), jacobian)
        information = np.einsum("dl,dlp,dlq->dpq", weight, jacobian, jacobian, optimize=True)
        # A parameter at its limit that wants to go on is held, and the others move without it.
        held = ((now <= low) & (gradient <= 0)) | ((now >= high) & (gradient >= 0))
        gradient[held] = 0
        information[held[:, :, None] | held[:, None, :]] = 0
        own = np.maximum(information[:, diagonal, diagonal], 1e-9)
        information[:, diagonal, diagonal] = own * (1 + damping[running, None])
        step = np.linalg.solve(information, gradient[..., None])[..., 0]
        trial = np.clip(now + step, low, high)
        new = _log_likelihood(k, n, _predict(trial, x, form, chance))
        better = new >= value[running]
        gained = np.where(better, new - value[running], 0)
        theta[running[better]] = trial[better]
        value[running] += gained
        damping[running] *= np.where(better, 0.2, 8.0)
        # Done: hardly any gain from a step that damping did not shorten, or none from any step.
        stuck = damping[running] > 1e10
        done = stuck | (better & (gained <= 1e-10) & (damping[running] < 1))
        converged[running[done]] = True
        running = running[~done]
        if not len(running):
            break
    return theta, converged


def _measures(
    theta: np.ndarray,
    converged: np.ndarray,
    x: np.ndarray,
    form: Shape,
    chance: float,
    criterion: float,
) -> tuple[np.ndarray, np.ndarray]:
    """Return threshold, slope and lapse (D, 3), and the status of the threshold (D,)."""
    location, log_slope, lapse = theta.T
    slope = np.exp(log_slope)
    share = (criterion - chance) / (1 - chance - lapse)
    crossing = np.full(len(theta), np.inf)
    possible = share < 1
    crossing[possible] = location[possible] + form.inverse(share[possible]) / slope[possible]
    low, high = _limits(x, 0.0, chance)
    flat, steep = log_slope <= low[1] + 1e-6, log_slope >= high[1] - 1e-6
    shifted = (location <= low[0] + 1e-9) | (location >= high[0] - 1e-9)
    status = np.select(
        [~converged, crossing > x[-1] + TINY, crossing < x[0] - TINY, flat, steep],
        [UNCONVERGED, ABOVE, BELOW, FLAT, STEEP],
        REACHED,
    )
    threshold = np.select(
        [status == ABOVE, status == BELOW, (status == REACHED) | (status == STEEP)],
        [np.inf, -np.inf, form.back(np.clip(crossing, x[0], x[-1]))],
        np.nan,
    )
    slope = np.select([shifted, flat, steep], [np.nan, 0.0, np.inf], slope)
    return np.stack([threshold, slope, lapse], -1), status


def _interval(values: np.ndarray, status: np.ndarray, tail: float) -> tuple[np.ndarray, np.ndarray]:
    """Return the ends of the intervals (3, M) of draws (D, 3, M) with status (D, M).

    Nearest ranks: between an infinite and a finite draw there is no number.
    """
    unknown = np.isnan(values) | (status == UNCONVERGED)[:, None]
    low = np.quantile(np.where(unknown, 0, values), tail, axis=0, method="inverted_cdf")
    high = np.quantile(np.where(unknown, np.inf, values), 1 - tail, axis=0, method="inverted_cdf")
    return np.maximum(low, 0), high


def _deviance(
    right: np.ndarray,
    total: np.ndarray,
    theta: np.ndarray,
    x: np.ndarray,
    form: Shape,
    chance: float,
) -> np.ndarray:
    """Return twice the log-likelihood that the fit lacks to one free accuracy a contrast."""
    from scipy.special import xlogy

    p, share = _predict(theta, x, form, chance)[0], right / total
    free = xlogy(right, share) + xlogy(total - right, 1 - share)
    return 2 * (free.sum() - _log_likelihood(right[None], total[None], p[None])[0])
