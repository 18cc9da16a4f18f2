"""The memoryless control (B8): what attracts, times how far eyes jump, and no history.

From a fixation the next one is drawn among the other viewers' fixations of that image, weighted
by a kernel of their distance. The kernel is the density of observed amplitudes over the density
of distances between fixations of different viewers of one image, so that the weighted
fixations have the observed amplitudes.

References
----------
Bays PM, Husain M (2012). Active inhibition and memory promote exploration and search of natural
scenes. Journal of Vision 12(8):8.
"""

from collections.abc import Callable, Iterator, Sequence

import numpy as np

from attnsci.analysis.saccades import ROUNDING, Tracks, polar
from attnsci.errors import InvalidInput
from attnsci.statistics.estimates import BLOCK

Draw = Callable[[np.random.Generator], tuple[np.ndarray, np.ndarray]]

KERNEL_BIN = 0.5
"""Width of the kernel's bins, in units (degrees)."""
FLOOR = 1e-4
"""Least density of distances, a unit: where no pair was seen, the kernel stays finite."""


class _Images:
    """All fixations by image, padded: (I, P), with who made them and where they stand."""

    def __init__(self, tracks: Tracks) -> None:
        rows, columns = np.nonzero(tracks.inside)
        order = np.argsort(tracks.image[rows], kind="stable")
        rows, columns = rows[order], columns[order]
        sizes = np.bincount(tracks.image[rows], minlength=int(tracks.image.max()) + 1)
        slot = np.arange(len(rows)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
        shape = len(sizes), int(sizes.max())
        self.x, self.y = np.full(shape, np.nan), np.full(shape, np.nan)
        self.viewer = np.full(shape, -1)
        at = tracks.image[rows], slot
        self.x[at], self.y[at] = tracks.x[rows, columns], tracks.y[rows, columns]
        self.viewer[at] = tracks.viewer[rows]
        self.slot = np.full(tracks.x.shape, -1)
        self.slot[rows, columns] = slot

    def blocks(self) -> Iterator[tuple[slice, np.ndarray, np.ndarray]]:
        """Yield images with their squared distances (b, P, P) and which pairs cross viewers."""
        n, width = self.x.shape
        size = max(1, BLOCK // width**2)
        for start in range(0, n, size):
            part = slice(start, start + size)
            x, y, viewer = self.x[part], self.y[part], self.viewer[part]
            squared = (x[:, :, None] - x[:, None]) ** 2 + (y[:, :, None] - y[:, None]) ** 2
            others = (viewer[:, :, None] != viewer[:, None]) & np.isfinite(squared)
            yield part, squared, others


def amplitude_kernel(tracks: Tracks, images: _Images) -> np.ndarray:
    """Return the weight of each bin of distance (bins,); the last bin takes all beyond."""
    width = KERNEL_BIN * tracks.unit_px
    longest = float(np.hypot(tracks.width, tracks.height).max())
    n_bins = int(longest / width) + 2
    amplitude = polar(tracks.x, tracks.y)[0]
    if not np.isfinite(amplitude).any():
        raise InvalidInput("There is no saccade, so there is no kernel of amplitudes.")
    observed = np.bincount(_bin(amplitude[np.isfinite(amplitude)], width, n_bins), minlength=n_bins)
    distances = np.zeros(n_bins)
    for _, squared, others in images.blocks():
        found = _bin(np.sqrt(squared[others]), width, n_bins)
        distances += np.bincount(found, minlength=n_bins)
    if not distances.any():
        raise InvalidInput(
            "No image was seen by two viewers, and the memoryless baseline needs what the others "
            "looked at. Add viewers, or leave the baseline memoryless out."
        )
    density = distances / distances.sum() / KERNEL_BIN
    return observed / observed.sum() / KERNEL_BIN / np.maximum(density, FLOOR)


def _bin(distance: np.ndarray, width: float, n_bins: int) -> np.ndarray:
    return np.minimum(distance / width, n_bins - 1).astype(np.int64)


def memoryless_expectation(tracks: Tracks, lags: Sequence[int], radii_px: np.ndarray) -> np.ndarray:
    """Return how likely each fixation was to land near the one `lag` before it.

    Parameters
    ----------
    tracks : Tracks
    lags : sequence of int
    radii_px : ndarray (R,)

    Returns
    -------
    ndarray (K, N, F, R)
        At [k, n, t]: of fixation t + 1 landing within the radius of fixation t + 1 - lag, given
        that it starts from t. NaN where there is no such pair, or nobody else to draw from.
    """
    images = _Images(tracks)
    kernel = amplitude_kernel(tracks, images)
    n, longest = tracks.x.shape
    out = np.full((len(lags), n, longest, len(radii_px)), np.nan)
    for part, squared, others in images.blocks():
        rows = np.flatnonzero((tracks.image >= part.start) & (tracks.image < part.stop))
        slot, image = images.slot[rows], tracks.image[rows] - part.start
        known = np.where(others, squared, 0.0)
        weight = kernel[_bin(np.sqrt(known), KERNEL_BIN * tracks.unit_px, len(kernel))] * others
        summed = weight.sum(2)
        start = summed[image[:, None], slot] * (slot >= 0)
        for r, radius in enumerate(radii_px):
            near = np.where(squared < radius**2 * (1 - ROUNDING), 1.0, 0.0)
            landed = weight @ near
            for k, lag in enumerate(lags):
                # The place t + 1 - lag, the start t and the landing t + 1 must all exist.
                first = np.arange(max(lag - 1, 0), longest - 1)
                here, place = slot[:, first], slot[:, first + 1 - lag]
                there = (slot[:, first + 1] >= 0) & (start[:, first] > 0)
                value = landed[image[:, None], here, place]
                share = np.full(value.shape, np.nan)
                np.divide(value, start[:, first], out=share, where=there)
                out[k, rows[:, None], first, r] = share
    return out


def memoryless_draws(tracks: Tracks) -> Draw:
    """Return a generator of memoryless scanpaths from each one's own first fixation."""
    images = _Images(tracks)
    kernel = amplitude_kernel(tracks, images)
    size = max(1, BLOCK // images.x.shape[1])

    def step(
        part: np.ndarray, x: np.ndarray, y: np.ndarray, u: np.ndarray
    ) -> tuple[np.ndarray, ...]:
        image, viewer = tracks.image[part], tracks.viewer[part]
        there_x, there_y = images.x[image], images.y[image]
        others = (images.viewer[image] != viewer[:, None]) & (images.viewer[image] >= 0)
        distance = np.where(others, np.hypot(there_x - x[:, None], there_y - y[:, None]), 0.0)
        bins = _bin(distance, KERNEL_BIN * tracks.unit_px, len(kernel))
        reached = np.cumsum(kernel[bins] * others, axis=1)
        if not (reached[:, -1] > 0).all():
            raise InvalidInput(
                "A memoryless walk finds no fixation of another viewer at a distance that eyes "
                "jump. More viewers an image are needed."
            )
        pick = (reached > (u * reached[:, -1])[:, None]).argmax(1)
        at = np.arange(len(pick))
        return there_x[at, pick], there_y[at, pick]

    def draw(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        x, y = np.full_like(tracks.x, np.nan), np.full_like(tracks.y, np.nan)
        x[:, 0], y[:, 0] = tracks.x[:, 0], tracks.y[:, 0]
        for t in range(1, x.shape[1]):
            u = rng.random(len(x))
            going = np.flatnonzero(tracks.length > t)
            for start in range(0, len(going), size):
                part = going[start : start + size]
                x[part, t], y[part, t] = step(part, x[part, t - 1], y[part, t - 1], u[part])
        return x, y

    return draw
