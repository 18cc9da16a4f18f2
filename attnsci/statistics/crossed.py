"""Inference on comparisons of scanpaths: images and observers are what was sampled, not pairs."""

import warnings

import numpy as np

from attnsci.seeds import numpy_generator

_BOOTSTRAP, _SIGN_FLIP = 101, 102


def two_way_bootstrap(scores: np.ndarray, n_resamples: int, seed: int) -> np.ndarray:
    """Return means over resampled images and resampled observers.

    Parameters
    ----------
    scores : ndarray (I, O, ...)
        One value for each image and observer; NaN is skipped.
    n_resamples, seed : int
        The same seed gives the same resamples, so that draws of several arrays are paired.

    Returns
    -------
    ndarray (n_resamples, ...)
        NaN where a resample has no value at all.
    """
    rng = numpy_generator(seed, _BOOTSTRAP)
    n_images, n_observers, *rest = scores.shape
    images = rng.multinomial(n_images, np.full(n_images, 1 / n_images), n_resamples)
    observers = rng.multinomial(n_observers, np.full(n_observers, 1 / n_observers), n_resamples)
    given = ~np.isnan(scores)

    def total(values: np.ndarray) -> np.ndarray:
        flat = values.reshape(n_images, -1).astype(float)
        by_observer = (images.astype(float) @ flat).reshape(n_resamples, n_observers, *rest)
        return np.einsum("bo,bo...->b...", observers, by_observer)

    count = total(given)
    return np.where(count > 0, total(np.where(given, scores, 0)) / np.maximum(count, 1), np.nan)


def sign_flips(differences: np.ndarray, n_permutations: int, seed: int) -> np.ndarray:
    """Return two-sided p-values of mean differences (I, ...) over images, by flipping signs.

    Missing differences (NaN) are left out; p = (1 + number as extreme) / (1 + permutations).
    """
    rng = numpy_generator(seed, _SIGN_FLIP)
    flat = differences.reshape(len(differences), -1)
    given = ~np.isnan(flat)
    filled = np.where(given, flat, 0.0)
    observed = np.abs(filled.sum(0))
    tolerance = 1e-12 * np.abs(filled).sum(0)
    extreme = np.zeros(flat.shape[1])
    for start in range(0, n_permutations, 1000):
        n = min(1000, n_permutations - start)
        signs = rng.integers(0, 2, (n, len(flat))) * 2.0 - 1
        extreme += (np.abs(signs @ filled) >= observed - tolerance).sum(0)
    p = np.where(given.any(0), (1 + extreme) / (1 + n_permutations), np.nan)
    return p.reshape(differences.shape[1:])


def holm(p_values: np.ndarray) -> np.ndarray:
    """Return Holm-adjusted p-values along the first axis; NaN stays NaN and does not count."""
    from statsmodels.stats.multitest import multipletests

    out = np.full(p_values.shape, np.nan)
    for column in np.ndindex(p_values.shape[1:]):
        given = ~np.isnan(p_values[(slice(None), *column)])
        if given.any():
            p = p_values[(slice(None), *column)][given]
            out[(given, *column)] = multipletests(p, method="holm")[1]
    return out


def mean(values: np.ndarray) -> np.ndarray:
    """Return means along the first axis over what is not NaN; NaN where nothing is."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # of empty slices, which are NaN here
        return np.asarray(np.nanmean(values, 0))


def interval(draws: np.ndarray, confidence: float) -> tuple[np.ndarray, np.ndarray]:
    """Return the ends of the percentile interval along the first axis, NaN left out."""
    tails = [50 * (1 - confidence), 50 * (1 + confidence)]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        low, high = np.nanpercentile(draws, tails, axis=0)
    return low, high
