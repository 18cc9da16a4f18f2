"""Return probabilities that baselines expect, exact where there is a formula.

Every function gives, for each scanpath, how many of its pairs (t, t + lag) are closer than a
radius and how many the baseline expects, over the same pairs. For permutations the mean and the
variance of the pooled count come from the sums over all permutations, without drawing one.
"""

import dataclasses
from collections.abc import Sequence

import numpy as np

from attnsci.analysis.baselines import ROTATIONS_DEG, Baseline, drawer
from attnsci.analysis.memoryless import memoryless_expectation
from attnsci.analysis.saccades import ROUNDING, Tracks
from attnsci.errors import InvalidInput
from attnsci.seeds import numpy_generator
from attnsci.statistics.estimates import BLOCK


@dataclasses.dataclass(frozen=True)
class Expectation:
    """What was seen and what a baseline expects.

    Attributes
    ----------
    observed : ndarray (N, K, R)
        Near pairs of each scanpath at each lag and radius, of those the baseline can judge.
    pairs : ndarray (N, K)
        Pairs among which they are.
    expected : ndarray (N, K, R)
        Near pairs that the baseline expects.
    chances : ndarray (N, K)
        Pairs among which they are; fewer than `pairs` where donors end early.
    z : ndarray (K, R) or None
        Of the pooled count among all permutations, or those drawn.
    p : ndarray (K, R) or None
        Two-sided.
    """

    observed: np.ndarray
    pairs: np.ndarray
    expected: np.ndarray
    chances: np.ndarray
    z: np.ndarray | None = None
    p: np.ndarray | None = None


def near_pairs(x: np.ndarray, y: np.ndarray, lag: int, radii_px: np.ndarray) -> list[np.ndarray]:
    """Return for each radius (N, F - lag), True where fixations t, t + lag are closer than it."""
    squared, dy = x[:, lag:] - x[:, :-lag], y[:, lag:] - y[:, :-lag]
    squared *= squared
    dy *= dy
    squared += dy
    return [squared < limit for limit in radii_px**2 * (1 - ROUNDING)]


def near_counts(
    x: np.ndarray, y: np.ndarray, lags: Sequence[int], radii_px: np.ndarray
) -> np.ndarray:
    """Return the near pairs (N, K, R) of each scanpath."""
    # Fixation by fixation in memory, all lags are differences of whole stretches.
    x, y = np.asfortranarray(x), np.asfortranarray(y)
    out = np.empty((len(lags), len(radii_px), len(x)), np.int64)
    for k, lag in enumerate(lags):
        for r, near in enumerate(near_pairs(x, y, lag, radii_px)):
            near.sum(1, out=out[k, r])
    return out.transpose(2, 0, 1)


def pair_counts(length: np.ndarray, lags: Sequence[int]) -> np.ndarray:
    """Return the pairs (N, K) that scanpaths of these lengths have at each lag."""
    return np.maximum(length[:, None] - np.asarray(lags), 0)


def two_sided(z: np.ndarray) -> np.ndarray:
    """Return two-sided p values of standard normal `z`."""
    from scipy.special import erfc

    return erfc(np.abs(z) / np.sqrt(2))


def scores(count: np.ndarray, mean: np.ndarray, variance: np.ndarray) -> np.ndarray:
    """Return z; 0 where the baseline leaves no freedom and the count is the only one there is."""
    out = np.zeros(np.shape(count))
    # Of variances that should be 0 rounding leaves some 1e-12 of the count.
    free = variance > 1e-9 * np.maximum(mean, 1)
    np.divide(count - mean, np.sqrt(np.where(free, variance, 1.0)), out=out, where=free)
    return out


def order_expectation(tracks: Tracks, lags: Sequence[int], radii_px: np.ndarray) -> Expectation:
    """Expect what a random order of each scanpath's fixations gives (B1), exactly.

    A pair at any lag is a random pair of different fixations, so the mean is the share of near
    pairs among all; the variance is that of a join count (Cliff & Ord 1981), from the near pairs
    that share no fixation, one, or both.
    """
    n, longest = tracks.x.shape
    links = np.zeros((n, len(radii_px)))
    degrees = np.zeros_like(links)
    size = max(1, BLOCK // longest**2)
    for start in range(0, n, size):
        x, y = tracks.x[start : start + size], tracks.y[start : start + size]
        squared = (x[:, :, None] - x[:, None]) ** 2 + (y[:, :, None] - y[:, None]) ** 2
        squared[:, np.arange(longest), np.arange(longest)] = np.nan
        for r, radius in enumerate(radii_px):
            degree = (squared < radius**2 * (1 - ROUNDING)).sum(2)
            links[start : start + size, r] = degree.sum(1)
            degrees[start : start + size, r] = (degree**2).sum(1)
    length = tracks.length.astype(float)[:, None]
    two = np.maximum(length * (length - 1), 1)
    three = np.maximum(two * (length - 2), 1)
    four = np.maximum(three * (length - 3), 1)
    both = links / two
    one = (degrees - links) / three
    none = (links**2 - 4 * degrees + 2 * links) / four
    pairs = pair_counts(tracks.length, lags)
    expected = pairs[:, :, None] * both[:, None]
    # Ordered couples of pairs (t, t + k) and (u, u + k): the same, u = t ± k, and all others.
    m = pairs[:, :, None].astype(float)
    shared = 2 * pair_counts(tracks.length, [2 * lag for lag in lags])[:, :, None]
    squares = m * both[:, None] + shared * one[:, None] + (m * m - m - shared) * none[:, None]
    observed = near_counts(tracks.x, tracks.y, lags, radii_px)
    z = scores(observed.sum(0), expected.sum(0), (squares - expected**2).sum(0))
    return Expectation(observed, pairs, expected, pairs, z, two_sided(z))


def donor_expectation(
    tracks: Tracks,
    lags: Sequence[int],
    radii_px: np.ndarray,
    group: np.ndarray,
    exclude: np.ndarray,
    what: str,
) -> Expectation:
    """Expect what the history of every possible donor gives (B2, B3), exactly.

    Own fixation t + lag is set against fixation t of every scanpath of the same group that is not
    of the same `exclude`; a donor that ended before t has no chance to be near. z is among all
    exchanges of the fixations t within a group, with its own scanpaths' (Hoeffding 1951).

    Parameters
    ----------
    tracks : Tracks
    lags : sequence of int
    radii_px : ndarray (R,)
    group, exclude : ndarray (N,)
        Codes: viewer and image (B2), or image and scanpath (B3).
    what : str
        What a donor is, for the message where there is none.
    """
    from scipy.spatial import cKDTree

    n, longest = tracks.x.shape
    lags_array = np.asarray(lags)
    lag_index = np.full(longest + 1, -1)
    lag_index[lags_array[lags_array <= longest]] = np.flatnonzero(lags_array <= longest)
    ordinals = np.arange(longest)
    n_groups = int(group.max()) + 1
    having = np.zeros((n_groups, longest))
    np.add.at(having, group, tracks.inside)
    own_code = np.unique(group * (int(exclude.max()) + 1) + exclude, return_inverse=True)[1]
    own = np.zeros((int(own_code.max()) + 1, longest))
    np.add.at(own, own_code, tracks.inside)
    donors = having[group] - own[own_code]
    n_donors = np.maximum(donors[:, :1], 1)
    # Pairs by the ordinal t of the donor: own t + lag must exist.
    shape = (n, len(lags), len(radii_px))
    observed, expected = np.zeros(shape), np.zeros(shape)
    pairs, chances = np.zeros(shape[:2]), np.zeros(shape[:2])
    for k, lag in enumerate(lags):
        judged = (ordinals + lag < tracks.length[:, None]) & (donors > 0)
        pairs[:, k] = judged.sum(1)
        chances[:, k] = (donors / n_donors * judged).sum(1)
        for r, near in enumerate(near_pairs(tracks.x, tracks.y, lag, radii_px)):
            observed[:, k, r] = (near & judged[:, : near.shape[1]]).sum(1)
    if not pairs.any():
        raise InvalidInput(f"No scanpath has {what} to take a history from.")
    mean, variance = np.zeros(shape[1:]), np.zeros(shape[1:])
    rows, columns = np.nonzero(tracks.inside)
    order = np.argsort(group[rows], kind="stable")
    bounds = np.concatenate([[0], np.cumsum(np.bincount(group[rows], minlength=n_groups))])
    reach = float(radii_px.max())
    for g in range(n_groups):
        points = order[bounds[g] : bounds[g + 1]]
        row, column = rows[points], columns[points]
        places = np.stack([tracks.x[row, column], tracks.y[row, column]], axis=1)
        found = cKDTree(places).query_pairs(reach, output_type="ndarray")
        later = np.where(column[found[:, 0]] >= column[found[:, 1]], 0, 1)
        at = np.arange(len(found))
        mine, theirs = found[at, later], found[at, 1 - later]
        k = lag_index[column[mine] - column[theirs]]
        mine, theirs, k = mine[k >= 0], theirs[k >= 0], k[k >= 0]
        squared = ((places[mine] - places[theirs]) ** 2).sum(1)
        foreign = exclude[row[mine]] != exclude[row[theirs]]
        # Exchanges are among those that have the ordinal t + lag.
        taking_part = tracks.length[row[theirs]] > column[mine]
        for r, radius in enumerate(radii_px):
            near = squared < radius**2 * (1 - ROUNDING)
            use = near & foreign
            owner = row[mine[use]]
            cell = owner * len(lags) + k[use]
            share = np.bincount(cell, 1 / n_donors[owner, 0], minlength=n * len(lags))
            expected[..., r] += share.reshape(n, -1)
            use = near & taking_part
            moments = _exchange_moments(
                mine[use], theirs[use], k[use], column, having[g], len(lags), lags_array
            )
            mean[:, r] += moments[0]
            variance[:, r] += moments[1]
    z = scores(near_counts(tracks.x, tracks.y, lags, radii_px).sum(0), mean, variance)
    return Expectation(observed, pairs, expected, chances, z, two_sided(z))


def _exchange_moments(
    mine: np.ndarray,
    theirs: np.ndarray,
    k: np.ndarray,
    column: np.ndarray,
    having: np.ndarray,
    n_lags: int,
    lags: np.ndarray,
) -> tuple[np.ndarray, np.ndarray]:
    """Return mean and variance (K,) of the near pairs when fixations t are exchanged.

    The sum of A[s, p(s)] over random permutations p of n has the mean sum(A) / n and the
    variance sum(D²) / (n - 1), D being A with its row and column means taken off.
    """
    longest, n_points = len(having), len(column)
    cell = k * longest + column[theirs]
    total = np.bincount(cell, minlength=n_lags * longest).astype(float)

    def squares(point: np.ndarray) -> np.ndarray:
        # A point's lag and ordinal are those of its cell, whichever side it stands on.
        keys, times = np.unique(cell * n_points + point, return_counts=True)
        return np.bincount(
            keys // n_points, weights=times.astype(float) ** 2, minlength=n_lags * longest
        )

    by_row, by_column = squares(mine), squares(theirs)
    later = np.arange(longest) + lags[:, None]
    n = np.where(later < longest, having[np.minimum(later, longest - 1)], 0.0).ravel()
    size = np.maximum(n, 1)
    spread = total - (by_row + by_column) / size + (total / size) ** 2
    variance = np.where(n > 1, spread / np.maximum(n - 1, 1), 0.0)
    return (total / size).reshape(n_lags, -1).sum(1), variance.reshape(n_lags, -1).sum(1)


def memoryless_counts(tracks: Tracks, lags: Sequence[int], radii_px: np.ndarray) -> Expectation:
    """Expect what the memoryless control gives from where each saccade started (B8), exactly."""
    share = memoryless_expectation(tracks, lags, radii_px)
    judged = np.isfinite(share)
    observed = np.zeros((len(tracks.x), len(lags), len(radii_px)))
    for k, lag in enumerate(lags):
        for r, near in enumerate(near_pairs(tracks.x, tracks.y, lag, radii_px)):
            observed[:, k, r] = (near & judged[k, :, lag - 1 : -1, r]).sum(1)
    pairs = judged[..., 0].sum(2).T
    if not pairs.any():
        raise InvalidInput("No saccade starts where another viewer's fixation can be reached.")
    expected = np.where(judged, share, 0.0).sum(2).transpose(1, 0, 2)
    return Expectation(observed, pairs, expected, pairs)


def matched_counts(tracks: Tracks, lags: Sequence[int], radii_px: np.ndarray) -> Expectation:
    """Expect landing near places as far from the current fixation as the earlier one (B9).

    At lag 1 the earlier fixation is the current one and so is its control: nothing is left to
    compare, and observed and expected are the same.
    """
    x, y = tracks.x, tracks.y
    observed = near_counts(x, y, lags, radii_px).astype(float)
    expected = np.zeros_like(observed)
    limit = radii_px**2 * (1 - ROUNDING)
    for k, lag in enumerate(lags):
        if lag == 1:
            expected[:, k] = observed[:, k]
            continue
        here = slice(lag - 1, -1), slice(lag, None), slice(None, -lag)
        (cx, lx, px), (cy, ly, py) = ([v[:, part] for part in here] for v in (x, y))
        for angle in np.deg2rad(ROTATIONS_DEG):
            cos, sin = np.cos(angle), np.sin(angle)
            dx = lx - cx - cos * (px - cx) + sin * (py - cy)
            dy = ly - cy - sin * (px - cx) - cos * (py - cy)
            near = (dx * dx + dy * dy)[..., None] < limit
            expected[:, k] += near.sum(1) / len(ROTATIONS_DEG)
    pairs = pair_counts(tracks.length, lags)
    return Expectation(observed, pairs, expected, pairs)


def drawn_counts(
    tracks: Tracks,
    baseline: Baseline,
    lags: Sequence[int],
    radii_px: np.ndarray,
    *,
    n_draws: int,
    seed: int,
) -> Expectation:
    """Expect the mean of surrogate scanpaths (B4 to B7).

    Draw after draw comes from one generator, so that no blocking can change the result.
    """
    draw = drawer(tracks, baseline.name)
    rng = numpy_generator(seed, baseline.number)
    observed = near_counts(tracks.x, tracks.y, lags, radii_px)
    summed = np.zeros(observed.shape)
    totals = np.empty((n_draws, *observed.shape[1:]))
    for i in range(n_draws):
        counts = near_counts(*draw(rng), lags, radii_px)
        summed += counts
        totals[i] = counts.sum(0)
    pairs = pair_counts(tracks.length, lags)
    if not baseline.permutation:
        return Expectation(observed, pairs, summed / n_draws, pairs)
    count, mean = observed.sum(0), totals.mean(0)
    z = scores(count, mean, totals.var(0, ddof=1)) if n_draws > 1 else None
    beyond = (np.abs(totals - mean) >= np.abs(count - mean)).sum(0)
    return Expectation(observed, pairs, summed / n_draws, pairs, z, (beyond + 1) / (n_draws + 1))


def expectation(
    tracks: Tracks,
    baseline: Baseline,
    lags: Sequence[int],
    radii_px: np.ndarray,
    *,
    n_permutations: int,
    n_walks: int,
    seed: int,
) -> Expectation:
    """Expect what `baseline` gives: by formula where there is one, else by drawing."""
    everyone = np.arange(len(tracks.x))
    if baseline.name == "order":
        return order_expectation(tracks, lags, radii_px)
    if baseline.name == "other_image":
        who = "another image of the same viewer"
        return donor_expectation(tracks, lags, radii_px, tracks.viewer, tracks.image, who)
    if baseline.name == "same_image":
        who = "another viewer of the same image"
        return donor_expectation(tracks, lags, radii_px, tracks.image, everyone, who)
    if baseline.name == "memoryless":
        return memoryless_counts(tracks, lags, radii_px)
    if baseline.name == "distance_matched":
        return matched_counts(tracks, lags, radii_px)
    n_draws = n_permutations if baseline.permutation else n_walks
    return drawn_counts(tracks, baseline, lags, radii_px, n_draws=n_draws, seed=seed)
