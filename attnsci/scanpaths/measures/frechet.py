"""Discrete Fréchet distance: the shortest leash for walking along both scanpaths together."""

import dataclasses
import math

import numpy as np

from attnsci.scanpaths.measures.base import Metric, register
from attnsci.scanpaths.measures.pairwise import (
    Prepared,
    at_the_end,
    prepare_places,
    squared_distances,
)


@dataclasses.dataclass(frozen=True)
class FrechetSettings:
    """The discrete Fréchet distance has no settings."""


def _score(a: Prepared, b: Prepared, settings: FrechetSettings) -> np.ndarray:
    # The greatest distance is met where the greatest square is: one root at the end is enough.
    leash = squared_distances(a, b)
    n, m = leash.shape[:2]
    np.maximum.accumulate(leash[0], axis=0, out=leash[0])
    np.maximum.accumulate(leash[:, 0], axis=0, out=leash[:, 0])
    for i in range(1, n):
        reached = np.minimum(leash[i - 1, 1:], leash[i - 1, :-1])
        for j in range(1, m):
            least = np.minimum(reached[j - 1], leash[i, j - 1])
            np.maximum(leash[i, j], least, out=leash[i, j])
    return np.sqrt(at_the_end(leash, a, b))


register(
    Metric(
        name="frechet",
        summary="Least greatest distance of fixations along a warped common time",
        source="Eiter & Mannila 1994, TU Wien CD-TR 94/64",
        settings=FrechetSettings,
        prepare=prepare_places,
        score=_score,
        orientation="distance",
        bounds=(0.0, math.inf),
        unit="px",
    )
)
