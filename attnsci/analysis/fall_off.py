"""How far from the gaze objects are still recognised: half-widths of accuracy, with intervals.

Two answers: the eccentricity at which the binned accuracy first comes down to half-way between
its innermost bin and chance, which assumes nothing; and the half-width of a Gaussian on chance,
``chance + amplitude · exp(−e² / 2σ²)``, which uses all bins.
"""

from collections.abc import Sequence

import numpy as np
import xarray as xr

from attnsci.analysis.eccentricity import bin_sums, bootstrap_accuracy, check_edges
from attnsci.checks import check_fraction
from attnsci.errors import InvalidInput
from attnsci.statistics.estimates import check_confidence

PARAMETERS = ("amplitude", "sigma", "gaussian_half_width", "half_width")
STATUS = ("defined", "not above chance", "does not fall to half within the bins")
HALF = float(np.sqrt(2 * np.log(2)))
"""Half-width at half height of a Gaussian of standard deviation 1."""
# Widths tried at first, and how often the best one's neighbourhood is searched again.
WIDTHS, ZOOMS = 60, 8


def fit_fall_off(
    correct: xr.DataArray,
    eccentricity: xr.DataArray,
    edges: Sequence[float] | np.ndarray,
    *,
    chance: float,
    seed: int = 0,
    n_resamples: int = 1000,
    confidence: float = 0.95,
) -> xr.Dataset:
    """Return how accuracy falls with eccentricity, with bootstrap intervals over stimuli.

    Parameters
    ----------
    correct, eccentricity, edges, chance
        As in `attnsci.analysis.eccentricity.accuracy_by_eccentricity`; three bins or more, the
        first of which stands for the centre.
    seed, n_resamples : int
        Of the bootstrap, which draws stimuli and repeats everything.
    confidence : float

    Returns
    -------
    xarray.Dataset
        Dimension ``parameter``, and those of `correct` that `eccentricity` has not:
        ``estimate``, ``low``, ``high`` and ``status``, an index into ``attrs["status_names"]``.
        ``amplitude`` is in accuracy, the rest in the unit of `eccentricity`. What is not defined
        is NaN, and its status says why. In a resample that does not fall to half the width is
        infinite, so an infinite ``high`` says that these data set no upper limit; one that is
        not above chance counts as wider in ``high`` and as narrower in ``low``.

    Raises
    ------
    InvalidInput
        As `accuracy_by_eccentricity`, or if there are fewer than three bins.

    Examples
    --------
    >>> away = xr.DataArray(np.arange(400) % 20 + 0.5, dims="stimulus")
    >>> correct = away < 8
    >>> found = fit_fall_off(correct, away, np.arange(0, 21, 4), chance=0.0)
    >>> float(found["estimate"].sel(parameter="half_width"))
    8.0
    """
    check_fraction("chance", chance)
    tail = (1 - check_confidence(confidence)) / 2
    limits = check_edges(edges)
    if len(limits) < 4:
        raise InvalidInput(f"A fall-off needs at least three bins; got {len(limits) - 1}.")
    sums, counts, distances = bin_sums(correct, eccentricity, limits)
    n = counts.sum("stimulus")
    if (n == 0).any():
        raise InvalidInput(f"{int((n == 0).sum())} of {n.size} bins have no answer but NaN.")
    away, weights = (distances.sum("stimulus") / n).values, n.values
    shape = n.shape[1:]
    away, weights = (part.reshape(len(part), -1) for part in (away, weights))
    observed = (sums.sum("stimulus") / n).values.reshape(1, *away.shape)
    draws = bootstrap_accuracy(sums, counts, seed=seed, n_resamples=n_resamples)
    if not np.isfinite(draws).all():
        raise InvalidInput(f"Some resamples have an empty bin. Widen the edges {limits.tolist()}.")
    both = np.concatenate([observed, draws.reshape(n_resamples, *away.shape)])
    # Cells of the other dimensions are independent problems, each with its own bins.
    found = [
        _measures(both[..., cell], away[:, cell], weights[:, cell], chance)
        for cell in range(away.shape[1])
    ]
    values, status = (np.stack(part, -1) for part in zip(*found, strict=True))
    estimate = np.where(status[0] == 0, values[0], np.nan)
    # Nearest ranks: between an infinite and a finite draw there is no number.
    low = np.quantile(
        np.where(status[1:] == 1, -np.inf, values[1:]), tail, axis=0, method="inverted_cdf"
    )
    high = np.quantile(
        np.where(status[1:] == 1, np.inf, values[1:]), 1 - tail, axis=0, method="inverted_cdf"
    )
    defined = status[0] == 0
    dims = ("parameter", *n.dims[1:])
    coords = {name: c for name, c in n.coords.items() if "eccentricity" not in c.dims}
    parts = {
        "estimate": estimate,
        "low": np.where(defined, np.maximum(low, 0), np.nan),
        "high": np.where(defined, high, np.nan),
        "status": status[0].astype(np.int8),
    }
    return xr.Dataset(
        {name: (dims, part.reshape(len(PARAMETERS), *shape)) for name, part in parts.items()},
        coords={**coords, "parameter": list(PARAMETERS)},
        attrs={
            "chance": float(chance),
            "status_names": list(STATUS),
            "n_stimuli": sums.sizes["stimulus"],
            "n_outside": sums.attrs["n_outside"],
            "confidence": confidence,
            "method": "bootstrap of stimuli",
            "units": eccentricity.attrs.get("units", "unit of eccentricity"),
        },
    )


def _measures(
    observed: np.ndarray, away: np.ndarray, weights: np.ndarray, chance: float
) -> tuple[np.ndarray, np.ndarray]:
    """Return the parameters (D, 4) of curves (D, B), and their status (D, 4)."""
    amplitude, sigma = gaussian_fit(observed - chance, away, weights)
    crossing = half_crossing(observed - chance, away)
    values = np.stack([amplitude, sigma, HALF * sigma, crossing], -1)
    status = np.zeros(values.shape, int)
    # A half-width beyond the outermost bin is extrapolated and depends on the shape alone.
    wide = HALF * sigma > away[-1]
    status[wide, :3] = 2
    status[np.isinf(crossing), 3] = 2
    values[wide, 1:3] = np.inf
    status[amplitude <= 0, :3] = 1
    status[observed[:, 0] <= chance, 3] = 1
    return values, status


def gaussian_fit(
    height: np.ndarray, away: np.ndarray, weights: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Fit amplitude · exp(−away² / 2σ²) by weighted least squares, to many curves at once.

    For a given σ the best amplitude ≥ 0 is a formula, so that only σ is searched: on a grid, and
    then ever more finely around its best point.

    Parameters
    ----------
    height : numpy.ndarray, shape (D, B)
        Accuracy above chance.
    away, weights : numpy.ndarray, shape (B,)
        Eccentricity of the bins, and their answers.

    Returns
    -------
    amplitude, sigma : numpy.ndarray, shape (D,)
        σ between a quarter of the smallest distance of bins and eight times the outermost one.

    Examples
    --------
    >>> away = np.arange(10.0)
    >>> fit = gaussian_fit(0.8 * np.exp(-(away**2) / 18)[None], away, np.ones(10))
    >>> [round(float(part[0]), 3) for part in fit]
    [0.8, 3.0]
    """
    steps = np.diff(np.unique(away), prepend=0.0)
    first, last = np.log([steps[steps > 0].min() / 4, 8 * away.max()])
    log_sigma = np.broadcast_to(np.linspace(first, last, WIDTHS), (len(height), WIDTHS))
    rows = np.arange(len(height))
    for _ in range(ZOOMS + 1):
        bell = np.exp(-(away**2) / (2 * np.exp(2 * log_sigma[..., None])))
        power = np.maximum(bell**2 @ weights, np.finfo(float).tiny)
        shared = np.einsum("dgb,db->dg", bell, height * weights)
        amplitude = np.maximum(shared / power, 0)
        best = (amplitude * (amplitude * power - 2 * shared)).argmin(1)
        step = log_sigma[:, 1] - log_sigma[:, 0]
        middle, chosen = log_sigma[rows, best], amplitude[rows, best]
        log_sigma = np.clip(middle[:, None] + step[:, None] * np.linspace(-1, 1, 9), first, last)
    return chosen, np.exp(middle)


def half_crossing(height: np.ndarray, away: np.ndarray) -> np.ndarray:
    """Return where curves first come down to half of their first value, between bins linearly.

    Parameters
    ----------
    height : numpy.ndarray, shape (D, B)
        Accuracy above chance.
    away : numpy.ndarray, shape (B,)
        Ascending.

    Returns
    -------
    numpy.ndarray, shape (D,)
        Infinite where a curve never does.

    Examples
    --------
    >>> half_crossing(np.array([[1.0, 0.75, 0.25], [1.0, 1.0, 0.9]]), np.array([0.0, 1, 2]))
    array([1.5, inf])
    """
    half = height[:, :1] / 2
    below = height <= half
    after = np.maximum(below.argmax(1), 1)
    rows = np.arange(len(height))
    upper, lower = height[rows, after - 1], height[rows, after]
    drop = np.where(upper > lower, upper - lower, 1.0)
    found = away[after - 1] + (upper - half[:, 0]) / drop * (away[after] - away[after - 1])
    return np.where(below.any(1), found, np.inf)
