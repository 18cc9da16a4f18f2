"""Two maps against each other: correlation, similarity, Kullback–Leibler divergence.

Each takes plain arrays (H, W) and returns one number. Maps with NaN or infinite values, and
negative or empty maps where a density is needed, are errors.
"""

from typing import Any

import numpy as np

from attnsci.checks import check_finite
from attnsci.errors import InvalidInput

MATLAB_EPS = 2.2204e-16
"""What the MATLAB code adds inside the logarithm of the divergence."""


def as_map(name: str, values: Any) -> np.ndarray:
    """Return `values` as a finite float64 array (H, W).

    Raises
    ------
    InvalidInput
        If it has another number of axes, no pixels, or values that are not finite.
    """
    array = np.asarray(values, dtype=np.float64)
    if array.ndim != 2 or array.size == 0:
        raise InvalidInput(f"{name} must be a map of shape (height, width); got {array.shape}.")
    check_finite(name, array)
    return array


def as_density(name: str, values: Any) -> np.ndarray:
    """Return a map divided by its sum.

    Raises
    ------
    InvalidInput
        If `values` is no map, has negative values, or sums to zero.

    Examples
    --------
    >>> as_density("density", [[1, 3]]).tolist()
    [[0.25, 0.75]]
    """
    array = as_map(name, values)
    if (array < 0).any():
        row, column = np.argwhere(array < 0)[0]
        raise InvalidInput(
            f"{name} is {array[row, column]:g} at row {row}, column {column}; a density has no "
            "negative values. Give densities (exp of log densities, a softmax), not raw saliency."
        )
    with np.errstate(over="ignore"):
        total = array.sum()
    if not (total > 0 and np.isfinite(total)):
        raise InvalidInput(f"{name} sums to {total:g}; it cannot be made a density.")
    return array / total


def cc(saliency: Any, other: Any) -> float:
    """Return Pearson's correlation over pixels.

    Parameters
    ----------
    saliency, other : array-like (H, W)
        The maps, on any scale.

    Returns
    -------
    float
        NaN where one of the two is constant: the correlation is not defined.

    Raises
    ------
    InvalidInput
        If the shapes differ, or a value is not finite.

    Examples
    --------
    >>> round(cc([[0, 1, 2]], [[1, 3, 5]]), 12)
    1.0
    """
    first, second = _pair(as_map("saliency", saliency), as_map("other", other))
    if np.ptp(first) == 0 or np.ptp(second) == 0:
        return float("nan")
    first, second = first - first.mean(), second - second.mean()
    return float((first * second).sum() / np.sqrt((first**2).sum() * (second**2).sum()))


def sim(saliency: Any, other: Any, range_normalise: bool = False) -> float:
    """Return the overlap Σ min(P, Q) of two maps, each divided by its sum.

    Parameters
    ----------
    saliency, other : array-like (H, W)
        The maps, without negative values unless `range_normalise`.
    range_normalise : bool
        Bring each map to [0, 1] first, as the MATLAB code does: another number. A constant map
        has no range and counts as uniform.

    Returns
    -------
    float
        0 (no overlap) to 1 (the same).

    Raises
    ------
    InvalidInput
        If the shapes differ, or a map cannot be made a density.

    References
    ----------
    Judd, Durand & Torralba 2012, "A benchmark of computational models of saliency".

    Examples
    --------
    >>> sim([[1, 1, 2]], [[2, 1, 1]])
    0.75
    """
    first, second = as_map("saliency", saliency), as_map("other", other)
    if range_normalise:
        first, second = _range_normalised(first), _range_normalised(second)
    first, second = _pair(as_density("saliency", first), as_density("other", second))
    return float(np.minimum(first, second).sum())


def kl(saliency: Any, truth: Any, eps: float = MATLAB_EPS) -> float:
    """Return the Kullback–Leibler divergence of a model's map from the true one, in nats.

    Σ Q log(eps + Q / (P + eps)) with P the model and Q the truth, each divided by its sum.

    Parameters
    ----------
    saliency, truth : array-like (H, W)
        Without negative values.
    eps : float
        Guards the quotient; the result depends on it where P is 0 and Q is not.

    Raises
    ------
    InvalidInput
        If the shapes differ, or a map cannot be made a density.

    Examples
    --------
    >>> round(kl([[1, 1]], [[1, 0]]), 12)
    0.69314718056
    """
    model, data = _pair(as_density("saliency", saliency), as_density("truth", truth))
    return float((data * np.log(eps + data / (model + eps))).sum())


def _range_normalised(values: np.ndarray) -> np.ndarray:
    span = np.ptp(values)
    return (values - values.min()) / span if span else np.ones_like(values)


def _pair(first: np.ndarray, second: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    if first.shape != second.shape:
        raise InvalidInput(f"The maps have different shapes, {first.shape} and {second.shape}.")
    return first, second
