"""Shares of right answers with their intervals, for all cells of an array at once."""

import numpy as np
import xarray as xr

from attnsci.checks import check_dims
from attnsci.errors import InvalidInput
from attnsci.statistics.estimates import check_confidence


def check_answers(parameter: str, correct: xr.DataArray) -> xr.DataArray:
    """Return right and wrong answers as float64, NaN where there was none.

    Raises
    ------
    InvalidInput
        If an answer lies outside [0, 1].

    Examples
    --------
    >>> check_answers("correct", xr.DataArray([True, False])).values
    array([1., 0.])
    """
    values = correct.astype(np.float64)
    data = np.asarray(values)
    if (data < 0).any() or (data > 1).any():
        raise InvalidInput(
            f"{parameter} must hold right (1) and wrong (0) or shares between; got values from "
            f"{np.nanmin(data):g} to {np.nanmax(data):g}."
        )
    return values


def wilson_intervals(
    successes: xr.DataArray, n: xr.DataArray, *, confidence: float = 0.95
) -> xr.Dataset:
    """Return proportions with Wilson's intervals, cell by cell.

    Parameters
    ----------
    successes, n : xarray.DataArray
        Whole numbers of the same dimensions: successes among `n` independent trials.
    confidence : float
        Coverage of the interval.

    Returns
    -------
    xarray.Dataset
        ``accuracy``, ``low``, ``high``, ``n``.

    Raises
    ------
    InvalidInput
        If a cell has no trial, or successes are no whole number from 0 to n.

    References
    ----------
    Wilson EB (1927). Probable inference, the law of succession, and statistical inference.
    Journal of the American Statistical Association 22, 209–212.

    Examples
    --------
    >>> trials = xr.DataArray([10, 100], dims="cell")
    >>> wilson_intervals(trials * 0, trials)["high"].values.round(6)
    array([0.277533, 0.036993])
    """
    from statsmodels.stats.proportion import proportion_confint

    successes, n = xr.align(successes, n, join="exact")
    if not (n > 0).all():
        raise InvalidInput(f"{int((n <= 0).sum())} of {n.size} cells have no trial.")
    if not ((successes >= 0) & (successes <= n) & (successes == np.round(successes))).all():
        raise InvalidInput(
            "Wilson's interval is one of whole successes among whole trials; the answers hold "
            'shares. Use interval="bootstrap".'
        )
    level = 1 - check_confidence(confidence)
    low, high = xr.apply_ufunc(
        lambda k, total: proportion_confint(k, total, alpha=level, method="wilson"),
        successes.astype(np.float64),
        n.astype(np.float64),
        output_core_dims=[[], []],
    )
    accuracy = successes / n
    # The ends are exact at 0 and n; rounding may put them 1e-17 on the wrong side.
    result = xr.Dataset(
        {
            "accuracy": accuracy,
            "low": np.minimum(low, accuracy),
            "high": np.maximum(high, accuracy),
            "n": n.astype(np.int64),
        }
    )
    return result.assign_attrs(confidence=confidence, method="Wilson")


def accuracy(
    correct: xr.DataArray, dim: str = "stimulus", *, confidence: float = 0.95
) -> xr.Dataset:
    """Return the share of right answers along one dimension, with Wilson's interval.

    Parameters
    ----------
    correct : xarray.DataArray
        Right (1) and wrong (0), one answer a stimulus and cell; NaN is no answer, which is left
        out of its own cell and shows in `n`.
    dim : str
        The dimension of independent trials.
    confidence : float

    Returns
    -------
    xarray.Dataset
        ``accuracy``, ``low``, ``high``, ``n`` over the other dimensions.

    Raises
    ------
    InvalidInput
        If `dim` is missing, a cell has no answer, or one is neither 0 nor 1.

    Examples
    --------
    >>> correct = xr.DataArray([[1, 0], [1, 1]], dims=("stimulus", "glimpse"))
    >>> accuracy(correct)["accuracy"].values
    array([1. , 0.5])
    """
    check_dims("correct", correct, [dim])
    answers = check_answers("correct", correct)
    return wilson_intervals(answers.sum(dim), answers.notnull().sum(dim), confidence=confidence)


def base_rate(label: xr.DataArray) -> float:
    """Return the share of the most frequent class: what always naming it would score.

    Raises
    ------
    InvalidInput
        If there are no labels.

    Examples
    --------
    >>> base_rate(xr.DataArray([1, 1, 7, 1], dims="stimulus"))
    0.75
    """
    if label.size == 0:
        raise InvalidInput("label is empty; at least one entry is needed.")
    return float(np.unique(label.values, return_counts=True)[1].max() / label.size)
