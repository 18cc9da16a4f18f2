"""Means by group, the one sum that maps, ceilings and comparisons share."""

import numpy as np


def group_means(values: np.ndarray, group: np.ndarray, n: int) -> np.ndarray:
    """Return the means (n, ...) of `values` (F, ...) by group, NaN left out; NaN for no value."""
    given = ~np.isnan(values)
    sums, counts = np.zeros((2, n, *values.shape[1:]))
    np.add.at(sums, group, np.where(given, values, 0))
    np.add.at(counts, group, given)
    return np.where(counts > 0, sums / np.maximum(counts, 1), np.nan)
