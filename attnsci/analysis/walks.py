"""Two generators of surrogate scanpaths: the second-order one and the random walk in a frame.

References
----------
Wilming N et al. (2013). PLoS Computational Biology 9(1) (second order).
Zhang M et al. (2022). Look twice: a generalist computational model predicts return fixations
across tasks and species. PLoS Computational Biology 18(11) (random walk).
"""

from collections.abc import Callable

import numpy as np

from attnsci.analysis.saccades import ROUNDING, Tracks, polar, wrap_deg
from attnsci.errors import InvalidInput

Draw = Callable[[np.random.Generator], tuple[np.ndarray, np.ndarray]]

LONGEST_BIN = 40
"""Amplitudes from here on share a bin of the second-order generator, in units (degrees)."""
STEP_BIN = 0.2
"""Width of the random walk's amplitude bins, in units (degrees)."""
BATCH = 4096
MAX_BATCHES = 2000


def second_order_draws(tracks: Tracks) -> Draw:
    """Return a generator that draws amplitude and turn given the amplitude before (B6).

    For each bin of one unit (degree) of the amplitude before, next amplitude (bins of one unit)
    and turn (bins of 1°) are drawn together from their histogram and jittered within their bin;
    an empty bin takes the next lower one that has data, or the lowest. Start and first saccade
    are those of scanpaths; nothing holds a walk within the image.
    """
    amplitude, direction = polar(tracks.x, tracks.y)
    turn = wrap_deg(np.diff(direction, axis=1))
    known = np.isfinite(turn)
    if not known.any():
        raise InvalidInput("No two saccades in a row have an angle; there is nothing to learn.")
    before = _bins(amplitude[:, :-1][known], tracks.unit_px)
    order = np.argsort(before, kind="stable")
    after = np.floor(amplitude[:, 1:][known][order] / tracks.unit_px)
    turned = np.floor(turn[known][order])
    counts = np.bincount(before, minlength=LONGEST_BIN + 1)
    starts = np.cumsum(counts) - counts
    filled = np.flatnonzero(counts)
    used = filled[np.maximum(np.searchsorted(filled, np.arange(len(counts)), "right") - 1, 0)]
    has_saccade = tracks.length > 1
    first = amplitude[has_saccade, 0], np.nan_to_num(direction[has_saccade, 0])
    n, steps = amplitude.shape

    def draw(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        u = rng.random((4, steps, n))
        chosen = (u[0, 0] * len(first[0])).astype(int)
        length, angle = first[0][chosen], first[1][chosen]
        vx, vy = np.empty((n, steps)), np.empty((n, steps))
        for step in range(steps):
            if step:
                source = used[_bins(length, tracks.unit_px)]
                pick = starts[source] + (u[1, step] * counts[source]).astype(int)
                length = (after[pick] + u[2, step]) * tracks.unit_px
                angle = angle + turned[pick] + u[3, step]
            vx[:, step] = length * np.cos(np.deg2rad(angle))
            vy[:, step] = length * np.sin(np.deg2rad(angle))
        x = tracks.x[:, :1] + np.concatenate([np.zeros((n, 1)), np.cumsum(vx, 1)], 1)
        y = tracks.y[:, :1] + np.concatenate([np.zeros((n, 1)), np.cumsum(vy, 1)], 1)
        return np.where(tracks.inside, x, np.nan), np.where(tracks.inside, y, np.nan)

    return draw


def _bins(amplitude: np.ndarray, unit: float) -> np.ndarray:
    return np.minimum(amplitude / unit, LONGEST_BIN).astype(np.int64)


def random_walk_draws(tracks: Tracks) -> Draw:
    """Return a generator of walks with non-return amplitudes and uniform directions (B7).

    A walk starts at the image's centre and counts only if all of it stays on the image: the walks
    that are kept have shorter saccades than the histogram they come from. Amplitudes are those of
    saccades that land farther than one unit (degree) from all places but the one they leave,
    jittered within bins of 0.2 units.
    """
    amplitude = polar(tracks.x, tracks.y)[0]
    pool = np.floor(amplitude[new_places(tracks)] / (STEP_BIN * tracks.unit_px))
    if not len(pool):
        raise InvalidInput("Every saccade returns; there is no amplitude for a random walk.")
    frames = np.stack([tracks.length, tracks.width, tracks.height], axis=1)
    kinds, member = np.unique(frames, axis=0, return_inverse=True)

    def draw(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        x, y = np.full_like(tracks.x, np.nan), np.full_like(tracks.y, np.nan)
        for kind, (length, width, height) in enumerate(kinds):
            rows, columns = np.flatnonzero(member == kind), slice(int(length))
            walks = _kept_walks(rng, pool, tracks.unit_px, len(rows), int(length), (width, height))
            x[rows, columns], y[rows, columns] = walks
        return x, y

    return draw


def new_places(tracks: Tracks) -> np.ndarray:
    """Return (N, F-1), True for saccades that land where no fixation but the last one was."""
    new = tracks.inside[:, 1:].copy()
    limit = tracks.unit_px**2 * (1 + ROUNDING)
    for lag in range(2, tracks.x.shape[1]):
        dx = tracks.x[:, lag:] - tracks.x[:, :-lag]
        dy = tracks.y[:, lag:] - tracks.y[:, :-lag]
        new[:, lag - 1 :] &= ~(dx * dx + dy * dy <= limit)
    return new


def _kept_walks(
    rng: np.random.Generator,
    pool: np.ndarray,
    unit: float,
    wanted: int,
    length: int,
    frame: tuple[float, float],
) -> np.ndarray:
    """Return `wanted` walks of `length` places that never leave the frame, (2, wanted, length)."""
    half = np.array(frame)[:, None] / 2
    if length == 0:
        return np.empty((2, wanted, 0))
    kept, n_kept = [], 0
    for _ in range(MAX_BATCHES):
        walks = np.zeros((2, BATCH, length))
        alive = np.arange(BATCH)
        for step in range(1, length):
            jitter, angle = rng.random((2, len(alive)))
            amplitude = (pool[rng.integers(len(pool), size=len(alive))] + jitter) * STEP_BIN * unit
            radians = 2 * np.pi * angle
            move = amplitude * np.stack([np.cos(radians), np.sin(radians)])
            place = walks[:, alive, step - 1] + move
            walks[:, alive, step] = place
            alive = alive[(np.abs(place) <= half).all(0)]
        kept.append(walks[:, alive] + half[:, :, None])
        n_kept += len(alive)
        if n_kept >= wanted:
            return np.concatenate(kept, axis=1)[:, :wanted]
    raise InvalidInput(
        f"Of {MAX_BATCHES * BATCH} random walks of {length} fixations only {n_kept} stay on an "
        f"image of {frame[0]:g} x {frame[1]:g} pixels and {wanted} are needed: the saccades are "
        "too long for it. Cut the scanpaths (attnsci.scanpaths.crop) or leave the baseline "
        "random_walk out."
    )
