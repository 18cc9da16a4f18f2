"""The fixations of many pairs of scanpaths set against each other.

Arrays of pairs have the pair on the last axis, so that programmes over fixations run over
contiguous memory, and are trimmed to the longest scanpath of the block.
"""

from typing import Any

import numpy as np

from attnsci.errors import InvalidInput
from attnsci.scanpaths.measures.base import Paths, padded_length

Prepared = tuple[np.ndarray, ...]


def prepare_places(paths: Paths, settings: Any) -> Prepared:
    """Return x and y (N, F) in pixels and the lengths (N,)."""
    return paths.x, paths.y, paths.length


def check_durations(paths: Paths, metric: str) -> np.ndarray:
    """Return the durations (N, F) in seconds.

    Raises
    ------
    InvalidInput
        If a scanpath with fixations has none.
    """
    lacking = (paths.inside & np.isnan(paths.duration)).any(1)
    if lacking.any():
        raise InvalidInput(
            f"{metric} is asked to count durations, and {int(lacking.sum())} of {len(lacking)} "
            f"scanpaths have none, the first in row {int(np.argmax(lacking))}."
        )
    return paths.duration


def squared_distances(a: Prepared, b: Prepared) -> np.ndarray:
    """Return the squared distance of every fixation of one path to every one of the other.

    Parameters
    ----------
    a, b : tuple of ndarray
        Coordinates (P, F), one array a dimension and NaN after the end, then lengths (P,).

    Returns
    -------
    ndarray (n, m, P)
        For the longest n and m; infinite where either path has no such fixation.
    """
    n, m = padded_length(a[-1]), padded_length(b[-1])
    total = np.zeros((n, m, len(a[-1])))
    for left, right in zip(a[:-1], b[:-1], strict=True):
        # Paddings of opposite sign: their difference is infinite, where inf - inf were NaN.
        difference = _filled(left, n, np.inf)[:, None] - _filled(right, m, -np.inf)[None]
        difference *= difference
        total += difference
    return total


def nearest(a: Prepared, b: Prepared) -> tuple[np.ndarray, np.ndarray]:
    """Return the squared distance to the nearest fixation of the other scanpath.

    Returns
    -------
    tuple of ndarray (n, P), (m, P)
        From each fixation of a and from each of b; infinite after a scanpath's end.
    """
    squared = squared_distances(a, b)
    return squared.min(1), squared.min(0)


def total(values: np.ndarray) -> np.ndarray:
    """Return the sum (P,) of the finite values (n, P) of each pair."""
    return values.sum(0, where=np.isfinite(values))


def at_the_end(table: np.ndarray, a: Prepared, b: Prepared) -> np.ndarray:
    """Return the value (P,) of the table (n, m, P) at the last fixations of each pair."""
    return table[a[-1] - 1, b[-1] - 1, np.arange(table.shape[2])]


def equal_labels(
    a: np.ndarray, b: np.ndarray, length_a: np.ndarray, length_b: np.ndarray
) -> np.ndarray:
    """Return whether fixation i of a and j of b have one label, (n, m, P).

    Parameters
    ----------
    a, b : ndarray (P, F), int
        Labels; whatever stands after the end of a scanpath equals nothing.
    length_a, length_b : ndarray (P,)
        Lengths.
    """
    n, m = padded_length(length_a), padded_length(length_b)
    equal = a[:, :n].T[:, None] == b[:, :m].T[None]
    equal &= (np.arange(n)[:, None] < length_a)[:, None]
    return equal & (np.arange(m)[:, None] < length_b)[None]


def _filled(values: np.ndarray, length: int, padding: float) -> np.ndarray:
    cut = values[:, :length].T
    return np.where(np.isnan(cut), padding, cut)
