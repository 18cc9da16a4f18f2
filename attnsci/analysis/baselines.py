"""The nine baselines of inhibition of return: what each keeps, what it asks, and their draws.

"Inhibition of return" is a difference from an expectation, and its sign depends on which. Each
baseline here can be drawn as a set of surrogate scanpaths, so that any measure of scanpaths can be
set beside it; `attnsci.analysis.expectations` has exact return probabilities for some of them.
"""

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np
import xarray as xr

from attnsci.analysis.memoryless import memoryless_draws
from attnsci.analysis.saccades import Tracks, polar, tracks_of, wrap_deg
from attnsci.analysis.walks import random_walk_draws, second_order_draws
from attnsci.checks import check_known
from attnsci.errors import InvalidInput
from attnsci.gaze import validate
from attnsci.seeds import numpy_generator

Draw = Callable[[np.random.Generator], tuple[np.ndarray, np.ndarray]]
ROTATIONS_DEG = np.array([-120.0, -60.0, 60.0, 120.0, 180.0])


@dataclasses.dataclass(frozen=True)
class Baseline:
    """What a baseline is.

    Attributes
    ----------
    number : int
        Of B1 to B9.
    name, how, preserves, asks : str
    permutation : bool
        Whether it exchanges what was observed, so that it has a null distribution.
    """

    number: int
    name: str
    how: str
    preserves: str
    asks: str
    permutation: bool


BASELINES = {
    baseline.name: baseline
    for baseline in (
        Baseline(
            1,
            "order",
            "the order of fixations is permuted within a scanpath",
            "the visited places",
            "is the order special?",
            True,
        ),
        Baseline(
            2,
            "other_image",
            "the earlier fixation comes from another image of the same viewer, same ordinal",
            "centre bias and time course",
            "is anything specific to the image?",
            True,
        ),
        Baseline(
            3,
            "same_image",
            "the earlier fixation comes from another viewer of the same image, same ordinal",
            "image density and time course",
            "does one's own history matter beyond what is worth looking at?",
            True,
        ),
        Baseline(
            4,
            "saccade_permutation",
            "saccades (direction, amplitude) are permuted over all scanpaths (Wilming 2013)",
            "the marginal of (direction, amplitude)",
            "are successive saccades dependent?",
            True,
        ),
        Baseline(
            5,
            "marginals",
            "turning angles are permuted over all pairs, amplitudes stay in their order",
            "the marginals of turning angle and of amplitude change",
            "are returns more than turning angles and amplitude changes, taken apart, make them?",
            True,
        ),
        Baseline(
            6,
            "second_order",
            "saccades are drawn given the amplitude of the one before, in bins of one degree",
            "P(next amplitude, turning angle | amplitude)",
            "are two-back and later returns explained by one-back structure?",
            False,
        ),
        Baseline(
            7,
            "random_walk",
            "amplitudes of non-return saccades in uniform directions; walks that leave the image "
            "are rejected (Zhang 2022)",
            "the distribution of amplitudes",
            "is it more than chance?",
            False,
        ),
        Baseline(
            8,
            "memoryless",
            "the next fixation is drawn from the other viewers' density times an amplitude kernel "
            "about the current one (Bays & Husain 2012)",
            "image content and amplitude",
            "is the immediate past inhibited, given what attracts?",
            False,
        ),
        Baseline(
            9,
            "distance_matched",
            "control places as far from the current fixation, rotated by ±60°, ±120° and 180° "
            "(Smith & Henderson 2011)",
            "amplitude",
            "is that place special, rather than its distance?",
            False,
        ),
    )
}


def get_baseline(name: str) -> Baseline:
    """Return a baseline by its name or its number, ``"order"`` or ``"b1"``.

    Raises
    ------
    UnknownName
        If there is none; the message lists the nearest names.

    Examples
    --------
    >>> get_baseline("B8").name
    'memoryless'
    """
    numbers = {f"b{baseline.number}": baseline for baseline in BASELINES.values()}
    if name.lower() in numbers:
        return numbers[name.lower()]
    return BASELINES[check_known("baseline", name, BASELINES)]


def surrogate(scanpaths: xr.Dataset, baseline: str, *, seed: int) -> xr.Dataset:
    """Return one draw of a baseline as scanpaths: as many, as long, of the same names.

    Parameters
    ----------
    scanpaths : xarray.Dataset
        The container.
    baseline : str
        One of `BASELINES`, or ``"b1"`` to ``"b9"``. In saccade space every ordinal of
        ``other_image`` and ``same_image`` has its own donor; ``distance_matched`` turns each
        saccade by one of the five control rotations.
    seed : int

    Returns
    -------
    xarray.Dataset
        Durations are NaN, but for ``order``, where they move with their fixations.

    Raises
    ------
    UnknownName
        If there is no such baseline.
    InvalidInput
        If the set does not allow it: one viewer only, no saccade.

    Examples
    --------
    >>> from attnsci.gaze import from_arrays
    >>> from attnsci.geometry import Viewing
    >>> paths = from_arrays([[1, 2, 3, 4]], [[1, 1, 1, 1]], image="a", observer="m",
    ...                     viewing=Viewing(10, 10, px_per_deg=1))
    >>> drawn = surrogate(paths, "order", seed=1)
    >>> sorted(drawn.x.values[0].tolist())
    [1.0, 2.0, 3.0, 4.0]
    """
    chosen = get_baseline(baseline)
    tracks = tracks_of(scanpaths)
    rng = numpy_generator(seed, chosen.number)
    if chosen.name == "order":
        order = shuffled_order(tracks, rng)
        arrays = {
            str(name): np.take_along_axis(scanpaths[name].to_numpy(), order, 1)
            for name in ("x", "y", "duration")
        }
    else:
        x, y = drawer(tracks, chosen.name)(rng)
        arrays = {"x": x, "y": y, "duration": np.full_like(x, np.nan)}
    drawn = scanpaths.drop_vars(["x", "y", "duration", "onset"], errors="ignore").assign(
        {name: (("scanpath", "fixation"), values) for name, values in arrays.items()}
    )
    note: dict[str, Any] = {"baseline": chosen.name, "how": chosen.how, "seed": seed}
    return validate(drawn.assign_attrs({**scanpaths.attrs, **note}))


def drawer(tracks: Tracks, name: str) -> Draw:
    """Return the function that draws surrogate coordinates (N, F) of a baseline.

    What all draws share is computed here, once.
    """
    makers: dict[str, Callable[[Tracks], Draw]] = {
        "order": _order_draws,
        "other_image": lambda t: _donor_draws(t, t.viewer),
        "same_image": lambda t: _donor_draws(t, t.image),
        "saccade_permutation": _saccade_draws,
        "marginals": _marginal_draws,
        "second_order": second_order_draws,
        "random_walk": random_walk_draws,
        "memoryless": memoryless_draws,
        "distance_matched": _rotated_draws,
    }
    return makers[name](tracks)


def shuffled_order(tracks: Tracks, rng: np.random.Generator) -> np.ndarray:
    """Return columns (N, F) that put the fixations of each scanpath in random order."""
    keys = rng.random(tracks.x.shape)
    keys[~tracks.inside] = 2.0
    return np.argsort(keys, axis=1)


def _order_draws(tracks: Tracks) -> Draw:
    def draw(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        order = shuffled_order(tracks, rng)
        return np.take_along_axis(tracks.x, order, 1), np.take_along_axis(tracks.y, order, 1)

    return draw


def _donor_draws(tracks: Tracks, group: np.ndarray) -> Draw:
    """Permute each ordinal within the groups; who lacks an ordinal takes no part in it."""
    inside = tracks.inside
    rows, columns = np.nonzero(inside)
    cell = group[rows] * inside.shape[1] + columns
    at = np.argsort(cell, kind="stable")

    def draw(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        donors = np.lexsort((rng.random(len(cell)), cell))
        x, y = np.full_like(tracks.x, np.nan), np.full_like(tracks.y, np.nan)
        to, of = (rows[at], columns[at]), (rows[donors], columns[donors])
        x[to], y[to] = tracks.x[of], tracks.y[of]
        return x, y

    return draw


def _saccade_draws(tracks: Tracks) -> Draw:
    vx, vy = np.diff(tracks.x, axis=1), np.diff(tracks.y, axis=1)
    # Fixation by fixation in memory, as `follow` reads them.
    at = np.flatnonzero(tracks.inside[:, 1:].T)
    pool = np.stack([vx.T.ravel()[at], vy.T.ravel()[at]])

    def draw(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        steps = np.full((2, vx.size), np.nan)
        steps[:, at] = pool[:, rng.permutation(len(at))]
        shape = vx.shape[::-1]
        return follow(tracks, steps[0].reshape(shape).T, steps[1].reshape(shape).T)

    return draw


def _marginal_draws(tracks: Tracks) -> Draw:
    amplitude, direction = polar(tracks.x, tracks.y)
    amplitude = np.asfortranarray(amplitude)
    turns = np.deg2rad(wrap_deg(np.diff(direction, axis=1)))
    at = np.flatnonzero(np.isfinite(turns.T))
    unknown = np.flatnonzero((tracks.inside[:, 2:] & np.isnan(turns)).T)
    pool = turns.T.ravel()[at]
    if not len(pool):
        raise InvalidInput("No two saccades in a row have an angle; there are none to permute.")
    start = np.deg2rad(np.nan_to_num(direction[:, 0]))

    def draw(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        angle = np.zeros(amplitude.shape, order="F")
        drawn = np.zeros(turns.size)
        drawn[at] = pool[rng.permutation(len(pool))]
        # Beside a saccade of length zero no angle was observed; any will do.
        drawn[unknown] = pool[rng.integers(len(pool), size=len(unknown))]
        angle[:, 1:] = drawn.reshape(turns.shape[::-1]).T
        angle[:, 0] = start
        for step in range(1, tracks.x.shape[1] - 1):
            angle[:, step] += angle[:, step - 1]
        return follow(tracks, amplitude * np.cos(angle), amplitude * np.sin(angle))

    return draw


def _rotated_draws(tracks: Tracks) -> Draw:
    amplitude, direction = polar(tracks.x, tracks.y)
    angle = np.where(np.isfinite(direction), direction, 0.0)

    def draw(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        turned = np.zeros_like(angle)
        extra = ROTATIONS_DEG[rng.integers(len(ROTATIONS_DEG), size=turned[:, 1:].shape)]
        turned[:, 1:] = np.cumsum(extra, axis=1)
        radians = np.deg2rad(angle + turned)
        return follow(tracks, amplitude * np.cos(radians), amplitude * np.sin(radians))

    return draw


def follow(tracks: Tracks, vx: np.ndarray, vy: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the places that steps (N, F-1) lead to from each scanpath's first fixation."""
    out = np.empty((2, *tracks.x.shape[::-1]))
    out[0, 0], out[1, 0] = tracks.x[:, 0], tracks.y[:, 0]
    for step in range(vx.shape[1]):
        np.add(out[0, step], vx[:, step], out=out[0, step + 1])
        np.add(out[1, step], vy[:, step], out=out[1, step + 1])
    return out[0].T, out[1].T
