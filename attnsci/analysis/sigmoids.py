"""Sigmoids between a guess and a lapse rate, and their fits to many tables of right answers.

``p = chance + (1 − chance − lapse) · F(slope · (x − location))``. The binomial likelihood is
maximised by Fisher scoring from the best point of a grid, for all tables (resamples) together.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from attnsci.statistics.estimates import split_blocks

LAPSE_MAX = 0.3
"""Upper end of a fitted lapse rate."""
# Slope times range of x: below the first F is flat, beyond the second a step between contrasts.
SLOPES = (0.1, 50.0)
# How many ranges of x the location may lie outside the tested contrasts.
REACH = 2.0
GRID = (26, 14, 5)  # locations, slopes and lapses of the grid
MAX_STEPS = 300
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


def predict(theta: np.ndarray, x: np.ndarray, form: Shape, chance: float) -> np.ndarray:
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
    low, high = limits(x, lapse, chance)
    axes = [
        np.linspace(low[i], high[i], GRID[i] if high[i] > low[i] else 1) for i in range(len(low))
    ]
    grid = np.stack(np.meshgrid(*axes, indexing="ij"), -1).reshape(-1, 3)
    p = predict(grid, x, form, chance)
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


def limits(x: np.ndarray, lapse: float | None, chance: float) -> tuple[np.ndarray, np.ndarray]:
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
    value = _log_likelihood(right, total, predict(theta, x, form, chance))
    running = np.arange(len(theta))
    diagonal = np.arange(3)
    for _ in range(MAX_STEPS):
        now, k, n = theta[running], right[running], total[running]
        gradient, information = _scores(now, k, n, x, form, chance)
        # A parameter at its limit that wants to go on is held, and the others move without it.
        held = ((now <= low) & (gradient <= 0)) | ((now >= high) & (gradient >= 0))
        gradient[held] = 0
        information[held[:, :, None] | held[:, None, :]] = 0
        own = np.maximum(information[:, diagonal, diagonal], 1e-9)
        damping_now = damping[running]
        information[:, diagonal, diagonal] = own * (1 + damping_now[:, None])
        step = np.linalg.solve(information, gradient[..., None])[..., 0]
        trial = np.clip(now + step, low, high)
        new = _log_likelihood(k, n, predict(trial, x, form, chance))
        # At the top, rounding alone decides whether a step goes up.
        rounding = 1e-12 * np.abs(value[running])
        better = new >= value[running] - rounding
        gained = np.where(better, new - value[running], 0)
        theta[running[better]] = trial[better]
        value[running] += gained
        # With less, the information of a flat curve is singular in double precision.
        damping[running] = np.maximum(damping[running] * np.where(better, 0.2, 8.0), 1e-8)
        # Done: an undamped step would bring nothing (its parameters are off by 1e-4 of their
        # standard error at most), or no step brings anything.
        promised = (1 + damping_now) * (gradient * step).sum(1)
        done = (promised <= 1e-9) | (damping[running] > 1e10)
        converged[running[done]] = True
        running = running[~done]
        if not len(running):
            break
    return theta, converged


def _scores(
    theta: np.ndarray,
    right: np.ndarray,
    total: np.ndarray,
    x: np.ndarray,
    form: Shape,
    chance: float,
) -> tuple[np.ndarray, np.ndarray]:
    """Return the gradient (D, 3) of the log-likelihood and the expected information (D, 3, 3)."""
    slope = np.exp(theta[:, 1, None])
    eta = slope * (x - theta[:, 0, None])
    p = predict(theta, x, form, chance)
    steep = (1 - chance - theta[:, 2, None]) * form.density(eta)
    jacobian = np.stack([-steep * slope, steep * eta, -form.cdf(eta)], axis=-1)
    variance = p * (1 - p)
    gradient = np.einsum("dl,dlp->dp", (right - total * p) / variance, jacobian)
    information = np.einsum("dl,dlp,dlq->dpq", total / variance, jacobian, jacobian, optimize=True)
    return gradient, information


def slope_errors(
    theta: np.ndarray,
    right: np.ndarray,
    total: np.ndarray,
    x: np.ndarray,
    form: Shape,
    chance: float,
    lapse: float | None,
) -> np.ndarray:
    """Return the standard error of the logarithm of the slope, large where nothing tells it.

    Parameters
    ----------
    theta : numpy.ndarray, shape (D, 3)
        Of `fit_counts`, like the others.
    right, total, x, form, chance, lapse

    Returns
    -------
    numpy.ndarray, shape (D,)
    """
    _, information = _scores(theta, right, total, x, form, chance)
    low, high = limits(x, lapse, chance)
    # What stands at a limit is taken as given.
    given = (theta <= low) | (theta >= high)
    given[:, 1] = False
    information[given[:, :, None] | given[:, None, :]] = 0
    return np.sqrt(np.linalg.inv(information + 1e-9 * np.eye(3))[:, 1, 1])


def deviance(
    right: np.ndarray,
    total: np.ndarray,
    theta: np.ndarray,
    x: np.ndarray,
    form: Shape,
    chance: float,
) -> np.ndarray:
    """Return twice the log-likelihood that the fit lacks to one free accuracy a contrast."""
    from scipy.special import xlogy

    p, share = predict(theta, x, form, chance)[0], right / total
    free = xlogy(right, share) + xlogy(total - right, 1 - share)
    return 2 * (free.sum() - _log_likelihood(right[None], total[None], p[None])[0])
