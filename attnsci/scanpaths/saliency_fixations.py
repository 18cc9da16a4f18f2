"""One map against fixations: NSS, the AUC family, likelihood, information gain.

Plain arrays: a map (H, W) and the fixations' x and y (F,) in pixels, which are brought to the
pixel they lie in by floor. Every function but `auc_judd` returns one value a fixation (F,), of
which the score is the mean; without fixations it returns an empty array. Maps with NaN or
infinite values and fixations outside the map are errors: `attnsci.scanpaths.saliency` drops
and counts the latter.
"""

from typing import Any

import numpy as np

from attnsci.checks import check_option
from attnsci.errors import InvalidInput
from attnsci.scanpaths.saliency_maps import as_density, as_map

NEGATIVES = ("uniform", "unfixated", "shuffled")
UNITS = ("bits over uniform", "nats")
FEW = 24
"""So many values are counted against all pixels faster than the pixels are sorted."""


def nss(saliency: Any, x: Any, y: Any, ddof: int = 0) -> np.ndarray:
    """Return the normalised scanpath saliency of each fixation.

    (S − mean) / SD over all pixels of the map.

    Parameters
    ----------
    saliency : array-like (H, W)
        Map on any scale.
    x, y : array-like (F,)
        Pixels.
    ddof : {0, 1}
        1 divides the SD's sum of squares by H·W − 1, as MATLAB's ``std2`` does.

    Returns
    -------
    ndarray (F,), float64
        0 throughout where the map is constant.

    Raises
    ------
    InvalidInput
        If the map is not finite, or a fixation lies outside it.

    References
    ----------
    Peters, Iyer, Itti & Koch 2005, Vision Research 45, 2397.

    Examples
    --------
    >>> nss([[0, 0, 0, 4]], [3.5], [0]).round(4).tolist()
    [1.7321]
    """
    check_option("ddof", ddof, (0, 1))
    values = as_map("saliency", saliency)
    return standardised(values, values.ravel()[flat_index(values.shape, x, y)], ddof)


def auc(
    saliency: Any,
    x: Any,
    y: Any,
    negatives: str = "uniform",
    others: tuple[Any, Any] | None = None,
) -> np.ndarray:
    """Return the area under the ROC curve of each fixation.

    P(S_neg < S_fix) + ½ P(S_neg = S_fix): ties count one half, so no jitter is needed, and the
    value depends on the map's order only.

    Parameters
    ----------
    saliency : array-like (H, W)
        Map on any scale.
    x, y : array-like (F,)
        Pixels.
    negatives : {"uniform", "unfixated", "shuffled"}
        All pixels (what pysaliency calls AUC-Judd), the pixels without a fixation, or `others`
        (sAUC).
    others : tuple of array-like, optional
        x and y of the fixations on all other images, brought into this image's frame.

    Returns
    -------
    ndarray (F,), float64
        ½ throughout where the map is constant.

    Raises
    ------
    InvalidInput
        If the map is not finite, a fixation lies outside it, or there are no negatives.

    References
    ----------
    Tatler, Baddeley & Gilchrist 2005, Vision Research 45, 643 (shuffled); Judd, Ehinger,
    Durand & Torralba 2009.

    Examples
    --------
    >>> auc([[0, 0, 1, 2]], [3, 0], [0, 0]).tolist()
    [0.875, 0.25]
    """
    check_option("negatives", negatives, NEGATIVES)
    if (negatives == "shuffled") != (others is not None):
        raise InvalidInput(
            "others=(x, y), the fixations of other images, goes with negatives='shuffled' and "
            f"with nothing else; negatives is {negatives!r}."
        )
    values = as_map("saliency", saliency)
    at = flat_index(values.shape, x, y)
    flat = values.ravel()
    if negatives == "uniform":
        against = flat
    elif others is None:
        against = np.delete(flat, np.unique(at))
    else:
        against = flat[flat_index(values.shape, *others)]
    if len(against) == 0:
        why = "every pixel has a fixation" if others is None else "others is empty"
        raise InvalidInput(f"There are no negatives for the AUC: {why}.")
    return share_below(against, flat[at])


def auc_judd(saliency: Any, x: Any, y: Any) -> float:
    """Return the AUC as the MATLAB function AUC_Judd computes it, without its jitter.

    Thresholds are the saliencies t of the fixated pixels (each once) in descending order; the
    i-th has the hit rate i / N_fix and the false-alarm rate (#{S ≥ t} − i) / (N − N_fix); the
    area is by trapezoids between (0, 0) and (1, 1). Of fixated pixels that tie, i is the last:
    a constant map has ½, which the original reaches by its jitter.

    Parameters
    ----------
    saliency : array-like (H, W)
        Map on any scale.
    x, y : array-like (F,)
        Pixels.

    Returns
    -------
    float
        NaN where there are no fixations.

    Raises
    ------
    InvalidInput
        If the map is not finite, a fixation lies outside it, or every pixel has one.

    References
    ----------
    Judd, Ehinger, Durand & Torralba 2009; Bylinskii et al. 2019, IEEE TPAMI 41, 740.

    Examples
    --------
    >>> auc_judd([[0, 0, 1, 2]], [3], [0])
    1.0
    """
    values = as_map("saliency", saliency)
    at = np.unique(flat_index(values.shape, x, y))
    flat, n = values.ravel(), len(at)
    if n == 0:
        return float("nan")
    if n == len(flat):
        raise InvalidInput("Every pixel has a fixation: AUC_Judd has no negatives.")
    thresholds = np.sort(flat[at])[::-1]
    above = len(flat) - np.searchsorted(np.sort(flat), thresholds, side="left")
    found = n - np.searchsorted(thresholds[::-1], thresholds, side="left")
    hits = np.concatenate([[0.0], found / n, [1.0]])
    alarms = np.concatenate([[0.0], (above - found) / (len(flat) - n), [1.0]])
    return float(np.trapezoid(hits, alarms))


def log_likelihood(density: Any, x: Any, y: Any, unit: str = "bits over uniform") -> np.ndarray:
    """Return the log likelihood of each fixation.

    Parameters
    ----------
    density : array-like (H, W)
        Probability over pixels; divided by its sum.
    x, y : array-like (F,)
        Pixels.
    unit : {"bits over uniform", "nats"}
        log2 p + log2(H·W), or ln p.

    Returns
    -------
    ndarray (F,), float64
        −inf where the density is 0.

    Raises
    ------
    InvalidInput
        If the map cannot be made a density, or a fixation lies outside it.

    Examples
    --------
    >>> log_likelihood([[1, 1, 2, 0]], [2, 0], [0, 0]).tolist()
    [1.0, 0.0]
    """
    check_option("unit", unit, UNITS)
    values = as_density("density", density)
    found = values.ravel()[flat_index(values.shape, x, y)]
    with np.errstate(divide="ignore"):
        return np.log(found) if unit == "nats" else np.log2(found) + np.log2(values.size)


def information_gain(density: Any, baseline: Any, x: Any, y: Any) -> np.ndarray:
    """Return how much better than a baseline a density predicts each fixation, in bits.

    log2 p(x_i) − log2 p_base(x_i).

    Parameters
    ----------
    density, baseline : array-like (H, W)
        Probabilities over pixels; each divided by its sum.
    x, y : array-like (F,)
        Pixels.

    Returns
    -------
    ndarray (F,), float64
        −inf where the density is 0.

    Raises
    ------
    InvalidInput
        If the maps differ in shape or are no densities, a fixation lies outside them, or the
        baseline is 0 at one.

    References
    ----------
    Kümmerer, Wallis & Bethge 2015, PNAS 112, 16054.

    Examples
    --------
    >>> information_gain([[1, 1, 2]], [[2, 1, 1]], [2, 0], [0, 0]).tolist()
    [1.0, -1.0]
    """
    model, base = as_density("density", density), as_density("baseline", baseline)
    if model.shape != base.shape:
        raise InvalidInput(f"density has shape {model.shape} and baseline {base.shape}.")
    at = flat_index(model.shape, x, y)
    return gain(model.ravel()[at], base.ravel()[at])


# --- for callers that hold the map's values already --------------------------------------------


def flat_index(shape: tuple[int, ...], x: Any, y: Any) -> np.ndarray:
    """Return the index into the raveled map (F,) of the pixels that fixations lie in."""
    column = np.floor(np.atleast_1d(np.asarray(x, dtype=np.float64)))
    row = np.floor(np.atleast_1d(np.asarray(y, dtype=np.float64)))
    if column.shape != row.shape or column.ndim != 1:
        raise InvalidInput(
            f"x and y must be of one length; their shapes are {column.shape}, {row.shape}."
        )
    height, width = shape
    # Written so that NaN counts as outside.
    outside = ~((column >= 0) & (column < width) & (row >= 0) & (row < height))
    if outside.any():
        first = int(np.argmax(outside))
        raise InvalidInput(
            f"Fixation {first} is in pixel ({column[first]:g}, {row[first]:g}), outside the map of "
            f"{width}×{height} pixels; {int(outside.sum())} such in all. Drop them first "
            "(attnsci.scanpaths.saliency does so and counts them)."
        )
    return (row * width + column).astype(np.int64)


def standardised(values: np.ndarray, found: np.ndarray, ddof: int = 0) -> np.ndarray:
    """Return `found` (F,) in standard deviations from the mean of the map `values`."""
    if np.ptp(values) == 0:  # the SD of a constant map need not round to 0
        return np.zeros(len(found))
    return (found - values.mean()) / values.std(ddof=ddof)


def share_below(negatives: np.ndarray, positives: np.ndarray) -> np.ndarray:
    """Return, for each of `positives` (F,), the share of `negatives` (N,) below it, ties half."""
    if len(positives) > FEW:
        ordered = np.sort(negatives)
        below = np.searchsorted(ordered, positives, side="left")
        upto = np.searchsorted(ordered, positives, side="right")
    else:
        below = np.array([np.count_nonzero(negatives < value) for value in positives])
        upto = np.array([np.count_nonzero(negatives <= value) for value in positives])
    return (below + upto) / (2 * len(negatives))


def gain(density: np.ndarray, baseline: np.ndarray) -> np.ndarray:
    """Return log2 density − log2 baseline (F,) of probabilities at fixations."""
    if (baseline == 0).any():
        raise InvalidInput(
            f"The baseline is 0 at {int((baseline == 0).sum())} of {len(baseline)} fixations, "
            "where the gain over it is infinite. Mix a little of the uniform density into it "
            "(uniform=0.01 of centre_bias, saliency and observer_ceiling)."
        )
    with np.errstate(divide="ignore"):
        return np.log2(density) - np.log2(baseline)
