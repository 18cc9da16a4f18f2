"""Accuracy against contrast: psychometric functions, fitted to many conditions at once.

``accuracy = chance + (1 − chance − lapse) · F(slope · (x − location))``, where F is a cumulative
Weibull in contrast (x its logarithm) or a logistic in contrast. Benchmarks of three contrasts
identify two parameters, so that chance and lapse are given and location and slope are fitted.
The likelihood is maximised by `attnsci.analysis.sigmoids`.

How accuracy falls with eccentricity, with its half-height, is `attnsci.analysis.fall_off`.
"""

import numpy as np
import xarray as xr

from attnsci.analysis.alignment import align_exact
from attnsci.analysis.sigmoids import (
    SHAPES,
    TINY,
    Shape,
    deviance,
    fit_counts,
    limits,
    predict,
    slope_errors,
)
from attnsci.checks import check_dims, check_finite, check_fraction, check_option, check_positive
from attnsci.errors import InvalidInput
from attnsci.seeds import numpy_generator
from attnsci.statistics.estimates import check_confidence, count_draws, split_blocks
from attnsci.statistics.proportions import check_answers

PARAMETERS = ("threshold", "slope", "lapse")
STATUS = (
    "reached",
    "above the highest contrast",
    "below the lowest contrast",
    "no rise with contrast",
    "slope undetermined",
    "not converged",
)
REACHED, ABOVE, BELOW, FLAT, UNDETERMINED, UNCONVERGED = range(6)
CURVE_POINTS = 51
# Known to a factor of exp(±2 · 2) at best, a slope is not known: all between two contrasts alike.
MAX_SLOPE_ERROR = 2.0


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
        Guess rate: the base rate of the labels, see `attnsci.statistics.proportions.base_rate`.
    criterion : float
        Accuracy that defines the threshold, between chance and 1 − lapse.
    shape : {"weibull", "logistic"}
        The function F.
    lapse : float or None
        Share of wrong answers at high contrast; None fits it, between 0 and
        `attnsci.analysis.sigmoids.LAPSE_MAX`.
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
        leaves it undetermined; a resample that does so counts as 0 if flat and as infinite if
        steep. ``accuracy`` and ``n`` by ``level`` (contrasts; NaN where a
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
        vague = slope_errors(theta, *rows, x[tested], form, chance, lapse) > MAX_SLOPE_ERROR
        values, status = _measures(theta, converged, vague, x[tested], form, chance, criterion)
        grid = np.linspace(levels[tested][0], levels[tested][-1], CURVE_POINTS)
        fitted = predict(theta[:1], form.x(grid), form, chance)[0]
        misfit = deviance(rows[0][0], rows[1][0], theta[:1], x[tested], form, chance)
        conditions.append((values, status, grid, fitted, misfit, right[0], total[0]))
    values, status, grid, fitted, misfit, right, total = (
        np.stack(part, -1) for part in zip(*conditions, strict=True)
    )
    low, high = _interval(values[1:], status[1:], tail)
    template = _template(correct, kept)
    known = np.isfinite(values[0]) & (status[0] != UNCONVERGED)
    known[0] &= status[0] == REACHED
    known[1] &= status[0] != FLAT
    share = np.divide(right, total, out=np.full(right.shape, np.nan), where=total > 0)
    parts = {
        "estimate": ("parameter", np.where(known, values[0], np.nan)),
        "low": ("parameter", np.where(known, low, np.nan)),
        "high": ("parameter", np.where(known, high, np.nan)),
        "reached": (None, status[0] == REACHED),
        "status": (None, status[0].astype(np.int8)),
        "deviance": (None, misfit),
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
    correct, contrast = align_exact(correct=check_answers("correct", correct), contrast=contrast)
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


def _measures(
    theta: np.ndarray,
    converged: np.ndarray,
    vague: np.ndarray,
    x: np.ndarray,
    form: Shape,
    chance: float,
    criterion: float,
) -> tuple[np.ndarray, np.ndarray]:
    """Return threshold, slope and lapse (D, 3), and the status of the threshold (D,).

    A threshold beyond the contrasts is infinite with its sign, a slope that is too steep to be
    told is infinite; what nothing is known of is NaN.
    """
    location, log_slope, lapse = theta.T
    slope = np.exp(log_slope)
    share = (criterion - chance) / (1 - chance - lapse)
    crossing = np.full(len(theta), np.inf)
    possible = share < 1
    crossing[possible] = location[possible] + form.inverse(share[possible]) / slope[possible]
    low, high = limits(x, 0.0, chance)
    flat = log_slope <= low[1] + 1e-6
    vague = vague | (log_slope >= high[1] - 1e-6)
    shifted = (location <= low[0] + 1e-9) | (location >= high[0] - 1e-9)
    status = np.select(
        [~converged, crossing > x[-1] + TINY, crossing < x[0] - TINY, flat, vague],
        [UNCONVERGED, ABOVE, BELOW, FLAT, UNDETERMINED],
        REACHED,
    )
    within = (status == REACHED) | (status == UNDETERMINED)
    threshold = np.select(
        [status == ABOVE, status == BELOW, within],
        [np.inf, -np.inf, form.back(np.clip(crossing, x[0], x[-1]))],
        np.nan,
    )
    slope = np.select([shifted, flat, vague], [np.nan, 0.0, np.inf], slope)
    return np.stack([threshold, slope, lapse], -1), status


def _interval(values: np.ndarray, status: np.ndarray, tail: float) -> tuple[np.ndarray, np.ndarray]:
    """Return the ends of the intervals (3, M) of draws (D, 3, M) with status (D, M).

    Nearest ranks: between an infinite and a finite draw there is no number.
    """
    unknown = np.isnan(values) | (status == UNCONVERGED)[:, None]
    low = np.quantile(np.where(unknown, 0, values), tail, axis=0, method="inverted_cdf")
    high = np.quantile(np.where(unknown, np.inf, values), 1 - tail, axis=0, method="inverted_cdf")
    return np.maximum(low, 0), high
