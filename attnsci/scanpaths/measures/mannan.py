"""Mannan's linear distance, and the index that sets it beside random fixations."""

import dataclasses
import functools
import math

import numpy as np

from attnsci.checks import check_positive
from attnsci.errors import InvalidInput
from attnsci.scanpaths.measures.base import Metric, Paths, register
from attnsci.scanpaths.measures.pairwise import Prepared, nearest, total
from attnsci.seeds import numpy_generator


@dataclasses.dataclass(frozen=True)
class MannanSettings:
    """The linear distance has no settings."""


@dataclasses.dataclass(frozen=True)
class MannanIndexSettings:
    """Settings of Mannan's index.

    Attributes
    ----------
    n_random : int
        Pairs of random sets, for each pair of lengths, whose mean distance is chance.
    seed : int
        Of the random sets.
    """

    n_random: int = 1000
    seed: int = 0

    def __post_init__(self) -> None:
        check_positive("n_random", self.n_random, integer=True)
        if self.seed < 0 or int(self.seed) != self.seed:
            raise InvalidInput(f"seed must be a whole number from 0; got {self.seed!r}.")


def _prepare(paths: Paths, settings: MannanSettings | MannanIndexSettings) -> Prepared:
    """Return places in units of the frame's diagonal, the frame's sides (N, 2) and lengths."""
    diagonal = paths.diagonal_px
    sides = np.array([paths.width_px, paths.height_px]) / diagonal
    return (
        paths.x / diagonal,
        paths.y / diagonal,
        np.broadcast_to(sides, (len(paths.length), 2)),
        paths.length,
    )


def _score(a: Prepared, b: Prepared, settings: MannanSettings | MannanIndexSettings) -> np.ndarray:
    (x, y, _, n), (p, q, _, m) = a, b
    from_a, from_b = nearest((x, y, n), (p, q, m))
    return np.sqrt((m * total(from_a) + n * total(from_b)) / (2 * n * m))


def _score_index(a: Prepared, b: Prepared, settings: MannanIndexSettings) -> np.ndarray:
    found = _score(a, b, settings)
    shorter, longer = np.minimum(a[-1], b[-1]), np.maximum(a[-1], b[-1])
    sizes, which = np.unique(np.stack([shorter, longer], 1), axis=0, return_inverse=True)
    width, height = (float(side) for side in a[2][0])
    chance = np.array(
        [_chance(int(n), int(m), width, height, settings.n_random, settings.seed) for n, m in sizes]
    )
    return 100 * (1 - found / chance[which.ravel()])


@functools.lru_cache(maxsize=4096)
def _chance(n: int, m: int, width: float, height: float, n_random: int, seed: int) -> float:
    """Return the mean distance of random sets of n and of m fixations, uniform on the frame.

    A stream of its own for each pair of lengths: a value must not depend on its neighbours.
    """
    rng = numpy_generator(seed, n, m)
    a, b = (
        (
            rng.random((n_random, size)) * width,
            rng.random((n_random, size)) * height,
            np.empty((n_random, 2)),
            np.full(n_random, size),
        )
        for size in (n, m)
    )
    return float(_score(a, b, MannanSettings()).mean())


register(
    Metric(
        name="mannan",
        summary="Root mean squared distance to the nearest fixation both ways, frame diagonal 1",
        source="Mannan et al. 1995, Spat. Vis. 9:363",
        settings=MannanSettings,
        prepare=_prepare,
        score=_score,
        orientation="distance",
        bounds=(0.0, math.inf),
    )
)
# A metric of its own, since the index is a similarity and the distance is none.
register(
    Metric(
        name="mannan_index",
        summary="Mannan distance beside that of random sets: 100 identical, 0 chance",
        source="Mannan et al. 1995, Spat. Vis. 9:363",
        settings=MannanIndexSettings,
        prepare=_prepare,
        score=_score_index,
        orientation="similarity",
        bounds=(-math.inf, 100.0),
    )
)
