"""The Gaussian that turns fixations into maps: cut at four standard deviations, zeros beyond."""

import functools
from typing import TYPE_CHECKING

import numpy as np

from attnsci.checks import check_positive
from attnsci.errors import InvalidInput
from attnsci.gaze import viewing_of

if TYPE_CHECKING:
    import xarray as xr

TRUNCATE = 4.0
"""Where the Gaussian is cut, in standard deviations."""


def default_sigma(scanpaths: "xr.Dataset", sigma_px: float | None) -> float:
    """Return `sigma_px`, or one degree in pixels if it is None."""
    if sigma_px is None:
        sigma_px = viewing_of(scanpaths).px_per_deg
        if sigma_px is None:
            raise InvalidInput(
                "sigma_px is one degree by default and the scanpaths' Viewing has no px_per_deg. "
                "Give it there, or give sigma_px."
            )
    return float(check_positive("sigma_px", sigma_px))


def blur(x: np.ndarray, y: np.ndarray, shape: tuple[int, int], sigma_px: float) -> np.ndarray:
    """Return the sum (H, W) of a Gaussian at each pixel (x, y).

    As ``scipy.ndimage.gaussian_filter(counts, sigma_px, mode="constant")``; a kernel separates
    into a column and a row, so that for few points the sum of their products is one product of
    matrices, many times faster than filtering the whole image.
    """
    height, width = shape
    if len(x) > height + width:
        from scipy.ndimage import gaussian_filter

        counts = np.bincount(y * width + x, minlength=height * width).reshape(shape)
        return gaussian_filter(
            counts.astype(np.float64), sigma_px, mode="constant", truncate=TRUNCATE
        )
    return kernel_at(y, height, sigma_px).T @ kernel_at(x, width, sigma_px)


def kernel_at(centres: np.ndarray, length: int, sigma_px: float) -> np.ndarray:
    """Return the Gaussian (P, length) round each of the pixels `centres` (P,) of one axis."""
    half = _half_kernel(sigma_px)
    table = np.zeros(max(length, len(half)))
    table[: len(half)] = half
    return table[np.abs(np.arange(length) - centres[:, None])]


def without(total: np.ndarray, part: np.ndarray, sigma_px: float) -> np.ndarray:
    """Return the blurred map of a set without some of its points: `total` − `part`.

    Where no other point reaches, rounding leaves values round 1e-16 instead of 0; nothing below
    the product of two kernel ends can be real, so these are set to 0, which keeps ties.
    """
    rest = total - part
    rest[rest < 0.5 * _half_kernel(sigma_px)[-1] ** 2] = 0
    return rest


@functools.lru_cache(maxsize=16)
def _half_kernel(sigma_px: float) -> np.ndarray:
    distance = np.arange(int(TRUNCATE * sigma_px + 0.5) + 1)
    weights = np.exp(-0.5 * (distance / sigma_px) ** 2)
    return weights / (2 * weights.sum() - weights[0])
