"""Saccades of scanpaths, and MultiMatch's merging of the small and the straight ones."""

import dataclasses
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:  # the metrics import this module
    from attnsci.scanpaths.measures.base import Paths


@dataclasses.dataclass(frozen=True)
class Saccades:
    """Saccades of N scanpaths, with 0 after the end of each.

    Attributes
    ----------
    dx, dy : ndarray (N, S), float64
        The way from start to end, in pixels.
    x, y : ndarray (N, S), float64
        Where each starts.
    duration : ndarray (N, S), float64
        Of the fixation that it starts from, in seconds; NaN where the scanpath has none.
    count : ndarray (N,), int64
        Saccades.
    """

    dx: np.ndarray
    dy: np.ndarray
    x: np.ndarray
    y: np.ndarray
    duration: np.ndarray
    count: np.ndarray


def saccades_of(paths: "Paths") -> Saccades:
    """Return the saccades between the fixations of each scanpath.

    Examples
    --------
    >>> from attnsci.scanpaths.measures.base import Paths
    >>> row = np.array([[10.0, 13.0, np.nan]])
    >>> paths = Paths(row, row, np.full((1, 3), 0.2), np.array([2]), 80, 60)
    >>> saccades_of(paths).dx.tolist()
    [[3.0, 0.0]]
    """
    count = np.maximum(paths.length - 1, 0)
    width = max(paths.x.shape[1] - 1, 0)
    inside = np.arange(width) < count[:, None]
    dx, dy, x, y, duration = (
        np.where(inside, part[:, :width], 0.0)
        for part in (np.diff(paths.x), np.diff(paths.y), paths.x, paths.y, paths.duration)
    )
    return Saccades(dx, dy, x, y, duration, count)


def simplify(
    paths: "Paths", direction_deg: float, amplitude_px: float, duration_s: float
) -> Saccades:
    """Return saccades of which successive ones are merged until no more can be.

    Two successive saccades become one where they point nearly the same way and the fixation
    between them is short, and where the first is small and a fixation at its ends is short.
    This follows the reference implementation to its quirks: a small last saccade replaces the
    vector of the one written before it by the sum of the last two, though that one may be a sum
    already, and a round in which this was the only merge is the last. Where the reference fails
    the result is defined: a single saccade stays, and a saccade of no length has no direction.

    Parameters
    ----------
    paths : Paths
        Scanpaths with durations.
    direction_deg : float
        Angle between two saccades below which they merge.
    amplitude_px : float
        Length below which a saccade merges with the next.
    duration_s : float
        Fixations at least as long as this keep their saccades apart.

    Returns
    -------
    Saccades
        What is left; at least one saccade where there was one.

    References
    ----------
    Jarodzka, Holmqvist & Nyström 2010; Dewhurst et al. 2012.

    Examples
    --------
    Three steps of one straight way:

    >>> from attnsci.scanpaths.measures.base import Paths
    >>> row = np.array([[0.0, 30.0, 60.0, 90.0]])
    >>> paths = Paths(row, 0 * row, np.full((1, 4), 0.2), np.array([4]), 80, 60)
    >>> simplify(paths, direction_deg=45, amplitude_px=10, duration_s=0.3).dx[0, 0].item()
    90.0
    """
    plain = saccades_of(paths)
    n, width = plain.dx.shape
    vectors = np.stack([plain.dx, plain.dy, plain.x, plain.y])
    durations = np.zeros((n, width + 2))  # one more than fixations: a round may add an element
    durations[:, : paths.x.shape[1]] = np.where(paths.inside, paths.duration, 0.0)
    count = plain.count.copy()
    n_durations = paths.length.astype(np.int64)
    rows = np.flatnonzero(count)
    while len(rows):
        state = vectors[:, rows], durations[rows], count[rows], n_durations[rows]
        state = _merge_straight(*state, direction_deg, duration_s)
        state = _merge_small(*state, amplitude_px, duration_s)
        changed = state[3] != n_durations[rows]
        vectors[:, rows], durations[rows], count[rows], n_durations[rows] = state
        rows = rows[changed]
    tail = np.arange(width) >= count[:, None]
    vectors[:, tail] = 0.0
    dx, dy, x, y = vectors
    return Saccades(dx, dy, x, y, np.where(tail, 0.0, durations[:, :width]), count)


_State = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]


def _merge_straight(
    vectors: np.ndarray,
    durations: np.ndarray,
    count: np.ndarray,
    n_durations: np.ndarray,
    direction_deg: float,
    duration_s: float,
) -> _State:
    """Return the state after one pass over neighbours of nearly one direction."""
    dx, dy = vectors[0], vectors[1]
    length = np.sqrt(dx**2 + dy**2)
    dot = dx[:, :-1] * dx[:, 1:] + dy[:, :-1] * dy[:, 1:]
    both = length[:, :-1] * length[:, 1:]
    cosine = np.divide(dot, both, out=np.full_like(dot, np.nan), where=both > 0)
    angle = np.degrees(np.arccos(np.clip(cosine, -1, 1)))
    fits = np.zeros(dx.shape, bool)
    fits[:, :-1] = (angle < direction_deg) & (durations[:, 1 : dx.shape[1]] < duration_s)
    fits &= np.arange(dx.shape[1]) < count[:, None] - 1
    merged = _not_twice(fits)
    return _rewritten(vectors, durations, count, n_durations, merged, np.zeros(len(count), bool))


def _merge_small(
    vectors: np.ndarray,
    durations: np.ndarray,
    count: np.ndarray,
    n_durations: np.ndarray,
    amplitude_px: float,
    duration_s: float,
) -> _State:
    """Return the state after one pass over small saccades."""
    width = vectors.shape[2]
    short = durations < duration_s
    fits = np.sqrt(vectors[0] ** 2 + vectors[1] ** 2) < amplitude_px
    fits &= short[:, :width] | short[:, 1 : width + 1]
    last = np.arange(width) == count[:, None] - 1
    merged = _not_twice(fits & (np.arange(width) < count[:, None] - 1))
    swallowed = np.zeros_like(merged)
    swallowed[:, 1:] = merged[:, :-1]
    back = (last & fits & ~swallowed).any(1) & (count > 1)
    return _rewritten(vectors, durations, count, n_durations, merged, back)


def _not_twice(fits: np.ndarray) -> np.ndarray:
    """Return which saccades take up the next: those that fit and are not taken up themselves."""
    merged = fits.copy()
    for i in range(1, fits.shape[1]):
        merged[:, i] &= ~merged[:, i - 1]
    return merged


def _rewritten(
    vectors: np.ndarray,
    durations: np.ndarray,
    count: np.ndarray,
    n_durations: np.ndarray,
    merged: np.ndarray,
    back: np.ndarray,
) -> _State:
    """Return the lists after each merged saccade took up the next, and `back` rows their last."""
    width = vectors.shape[2]
    every, column = np.arange(len(count)), np.arange(width)
    kept = column < count[:, None]
    kept[:, 1:] &= ~merged[:, :-1]
    sums = vectors.copy()
    sums[:2, :, :-1] += np.where(merged[:, :-1], vectors[:2, :, 1:], 0.0)
    new_durations = durations[:, :width].copy()
    if back.any():
        rows, final = every[back], count[back] - 1
        before = np.where(kept[rows, final - 1], final - 1, final - 2)
        sums[:2, rows, before] = vectors[:2, rows, final - 1] + vectors[:2, rows, final]
        new_durations[rows, final] = durations[rows, final - 1]
    order = np.argsort(~kept, axis=1, kind="stable")
    n_kept = kept.sum(1)
    out = np.zeros_like(durations)
    out[:, :width] = np.take_along_axis(new_durations, order, 1)
    out[every, n_kept] = durations[every, n_durations - 1]
    moved = np.take_along_axis(sums, order[None], 2)
    return moved, out, n_kept - back, n_kept + 1
