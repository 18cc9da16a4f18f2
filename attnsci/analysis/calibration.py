"""Are probabilities what they say: reliability, calibration error, temperature.

A model is calibrated if, of the answers that it gives with probability p, a share p is right.
"""

import numpy as np
import xarray as xr

from attnsci.analysis.alignment import align_exact
from attnsci.analysis.glimpses import right
from attnsci.checks import check_dims, check_option, check_positive
from attnsci.errors import InvalidInput
from attnsci.seeds import numpy_generator
from attnsci.statistics.estimates import (
    as_sample,
    check_confidence,
    count_draws,
    split_blocks,
)
from attnsci.statistics.proportions import wilson_intervals

BINNINGS = ("width", "mass")


def _pairs(probability: xr.DataArray, correct: xr.DataArray) -> tuple[np.ndarray, np.ndarray]:
    """Return probabilities and whether the answers were right, shape (N,) each."""
    for parameter, values in (("probability", probability), ("correct", correct)):
        check_dims(parameter, values, ["stimulus"])
        if values.ndim != 1:
            raise InvalidInput(
                f"{parameter} has the dimensions {', '.join(map(str, values.dims))}; select one "
                "condition."
            )
    probability, correct = align_exact(probability=probability, correct=correct)
    given, answers = as_sample("probability", probability, 2), as_sample("correct", correct, 2)
    if given.min() < 0 or given.max() > 1:
        raise InvalidInput(
            f"probability must lie between 0 and 1; got values from {given.min():g} to "
            f"{given.max():g}. Give probabilities, not logits."
        )
    if not np.isin(answers, (0, 1)).all():
        raise InvalidInput("correct must hold only right (1) and wrong (0).")
    return given, answers


def _codes(given: np.ndarray, n_bins: int, bins: str) -> tuple[np.ndarray, np.ndarray]:
    """Return the edges of the bins, and the bin of each probability."""
    check_positive("n_bins", n_bins, integer=True)
    if check_option("bins", bins, BINNINGS) == "width":
        edges = np.linspace(0, 1, n_bins + 1)
    else:
        # Ties stay together, so that few distinct values make fewer bins.
        edges = np.unique(np.quantile(given, np.linspace(0, 1, n_bins + 1)))
        if len(edges) == 1:
            edges = np.array([edges[0], edges[0]])
    codes = np.searchsorted(edges, given, side="right") - 1
    return edges, np.clip(codes, 0, len(edges) - 2)


def reliability(
    probability: xr.DataArray,
    correct: xr.DataArray,
    *,
    n_bins: int = 10,
    bins: str = "width",
    confidence: float = 0.95,
) -> xr.Dataset:
    """Return how often answers are right, by the probability that was given to them.

    Parameters
    ----------
    probability : xarray.DataArray
        Probability of being right, of the answer given or of a prediction (accuracy expected at a
        place); dimension ``stimulus``.
    correct : xarray.DataArray
        Right (1) and wrong (0), of the same stimuli.
    n_bins : int
        Bins between 0 and 1.
    bins : {"width", "mass"}
        Of equal width, or of equally many answers (ties stay in one bin).
    confidence : float
        Coverage of Wilson's intervals.

    Returns
    -------
    xarray.Dataset
        Dimension ``bin``, bins with answers only: ``accuracy``, ``low``, ``high``, ``n``,
        ``probability`` (mean); coordinates ``lower_edge``, ``upper_edge``.
        ``attrs["n_empty_bins"]``.

    Raises
    ------
    InvalidInput
        If stimuli differ, a probability lies outside [0, 1] or an answer is neither right nor
        wrong.

    References
    ----------
    Guo C, Pleiss G, Sun Y, Weinberger KQ (2017). On calibration of modern neural networks.
    Proceedings of the 34th International Conference on Machine Learning, 1321–1330.

    Examples
    --------
    >>> given = xr.DataArray([0.25, 0.75, 0.75, 0.75], dims="stimulus")
    >>> correct = xr.DataArray([0, 1, 1, 0], dims="stimulus")
    >>> reliability(given, correct, n_bins=2)["accuracy"].values.round(3)
    array([0.   , 0.667])
    """
    given, answers = _pairs(probability, correct)
    edges, codes = _codes(given, n_bins, bins)
    n = np.bincount(codes, minlength=len(edges) - 1)
    filled = np.flatnonzero(n)
    successes, sums = (np.bincount(codes, part, len(n))[filled] for part in (answers, given))
    found = wilson_intervals(
        xr.DataArray(successes, dims="bin"), xr.DataArray(n[filled], dims="bin"),
        confidence=confidence,
    )  # fmt: skip
    found["probability"] = ("bin", sums / n[filled])
    return found.assign_coords(
        lower_edge=("bin", edges[:-1][filled]), upper_edge=("bin", edges[1:][filled])
    ).assign_attrs(bins=bins, n_stimuli=len(given), n_empty_bins=len(n) - len(filled))


def calibration_error(
    probability: xr.DataArray,
    correct: xr.DataArray,
    *,
    n_bins: int = 10,
    bins: str = "width",
    seed: int = 0,
    n_resamples: int = 2000,
    confidence: float = 0.95,
) -> xr.Dataset:
    """Return the expected calibration error: the mean distance of accuracy from probability.

    Noise makes it positive for a calibrated model too, and resampling adds the same noise once
    more. So the interval is the basic one, which takes this bias off (its ends lie below the
    percentiles, and may exclude the estimate), and the error stands beside that of a calibrated
    model which gives the same probabilities to as many stimuli (Bröcker & Smith).

    Parameters
    ----------
    probability, correct, n_bins, bins
        As `reliability`; the bins of the sample are kept in all resamples.
    seed, n_resamples : int
        Of the bootstrap over stimuli, and of the calibrated model's answers.
    confidence : float

    Returns
    -------
    xarray.Dataset
        ``ece``, ``low``, ``high``; ``calibrated``, the mean error of the calibrated model, and
        ``p_value``, the share of its errors that are as large.

    Raises
    ------
    InvalidInput
        As `reliability`.

    References
    ----------
    Bröcker J, Smith LA (2007). Increasing the reliability of reliability diagrams. Weather and
    Forecasting 22, 651–661.

    Examples
    --------
    >>> given = xr.DataArray([0.9] * 10, dims="stimulus")
    >>> correct = xr.DataArray([1] * 6 + [0] * 4, dims="stimulus")
    >>> round(float(calibration_error(given, correct)["ece"]), 3)
    0.3
    """
    check_positive("n_resamples", n_resamples, integer=True)
    tail = (1 - check_confidence(confidence)) / 2
    given, answers = _pairs(probability, correct)
    edges, codes = _codes(given, n_bins, bins)
    n = len(given)
    member = (codes[:, None] == np.arange(len(edges) - 1)).astype(np.float64)
    excess = member * (answers - given)[:, None]
    ece = float(np.abs(excess.sum(0)).sum() / n)
    rng, chance = numpy_generator(seed, 1), numpy_generator(seed, 2)
    drawn, null = [], []
    for block in split_blocks(n_resamples, n):
        drawn.append(np.abs(count_draws(rng, block, n) @ excess).sum(1) / n)
        simulated = (chance.random((block, n)) < given) - given
        null.append(np.abs(simulated @ member).sum(1) / n)
    draws, calibrated = np.concatenate(drawn), np.concatenate(null)
    low, high = np.maximum(2 * ece - np.quantile(draws, [1 - tail, tail]), 0)
    as_large = int((calibrated >= ece * (1 - 1e-9)).sum())
    return xr.Dataset(
        {
            "ece": ece,
            "low": low,
            "high": high,
            "calibrated": calibrated.mean(),
            "p_value": (1 + as_large) / (1 + n_resamples),
        },
        attrs={
            "n": n,
            "n_bins": len(edges) - 1,
            "bins": bins,
            "confidence": confidence,
            "method": "basic bootstrap of stimuli",
        },
    )


def fit_temperature(
    logits: xr.DataArray, label: xr.DataArray, *, confidence: float = 0.95
) -> xr.Dataset:
    """Return the temperature by which logits must be divided to be calibrated best.

    It minimises the mean surprise −log softmax(logits / T) at the label, which is convex in 1 / T.
    Fit it on stimuli that are not those it is then judged on.

    Parameters
    ----------
    logits : xarray.DataArray
        Dimensions ``stimulus`` and ``class``; classes are named by the coordinate ``class`` or
        count from 0.
    label : xarray.DataArray
        Class of each stimulus.
    confidence : float

    Returns
    -------
    xarray.Dataset
        ``temperature`` (above 1 where the model is too sure) with ``low`` and ``high`` (normal
        approximation for log T, with a variance that holds for a wrong model too);
        ``nll_before``, ``nll``: mean surprise in nats with the logits as they are, and divided.

    Raises
    ------
    InvalidInput
        As `attnsci.analysis.glimpses.right`, or if no temperature is best: all answers are right,
        or the logits say nothing of the labels.

    References
    ----------
    Guo C, Pleiss G, Sun Y, Weinberger KQ (2017). On calibration of modern neural networks.
    Proceedings of the 34th International Conference on Machine Learning, 1321–1330.

    Examples
    --------
    >>> sure = xr.DataArray(np.tile([2 * np.log(3), 0.0], (4, 1)), dims=("stimulus", "class"))
    >>> label = xr.DataArray([0, 0, 0, 1], dims="stimulus")
    >>> round(float(fit_temperature(sure, label)["temperature"]), 6)
    2.0
    """
    from scipy.optimize import brentq
    from scipy.special import log_softmax, ndtri, softmax

    correct = right(logits, label)
    if correct.ndim != 1:
        raise InvalidInput(
            f"logits has the dimensions {', '.join(map(str, logits.dims))}; select one condition."
        )
    check_confidence(confidence)
    named = logits
    if "class" not in logits.coords:
        named = logits.assign_coords({"class": np.arange(logits.sizes["class"])})
    own = named.get_index("class").get_indexer(label.values)
    z = named.transpose("stimulus", "class").values.astype(np.float64)
    rows = np.arange(len(z))
    # The surprise does not change, and a temperature near 0 does not overflow.
    z = z - z.max(1, keepdims=True)
    at_label = z[rows, own]

    def slope(log_inverse: float) -> float:
        return float(((softmax(np.exp(log_inverse) * z, axis=1) * z).sum(1) - at_label).mean())

    if (z.mean(1) - at_label).mean() >= 0:
        raise InvalidInput(
            f"The logits at the labels are on average no higher than the others (accuracy "
            f"{float(correct.mean()):g}): the best temperature is infinite."
        )
    if (at_label == 0).all():
        raise InvalidInput(
            f"All {len(z)} labels have the highest logit: the best temperature is 0. Fit it on "
            "stimuli of which some are answered wrongly."
        )
    # From where the distribution is flat to where only the highest logit counts.
    spread = -z.min()
    gaps = -z[z < 0]
    log_inverse = brentq(
        slope, np.log(1e-6 / spread), np.log(1e3 * max(np.log(z.size), 1) / gaps.min())
    )
    inverse = float(np.exp(log_inverse))
    p = softmax(inverse * z, axis=1)
    mean = (p * z).sum(1)
    curvature = float(((p * z**2).sum(1) - mean**2).mean())
    error = float(np.std(mean - at_label)) / (curvature * np.sqrt(len(z)) * inverse)
    reach = float(ndtri(0.5 + confidence / 2)) * error
    before, after = (-log_softmax(scale * z, axis=1)[rows, own].mean() for scale in (1.0, inverse))
    return xr.Dataset(
        {
            "temperature": 1 / inverse,
            "low": np.exp(-reach) / inverse,
            "high": np.exp(reach) / inverse,
            "nll_before": before,
            "nll": after,
        },
        attrs={"n": len(z), "confidence": confidence, "method": "normal approximation of log T"},
    )
