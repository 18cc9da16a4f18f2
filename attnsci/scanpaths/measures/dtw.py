"""Dynamic time warping: the cheapest way of walking along both scanpaths together."""

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
class DynamicTimeWarpingSettings:
    """Settings of dynamic time warping.

    Attributes
    ----------
    normalised : bool
        Divide the cost by the number of steps of the cheapest walk; where several walks are
        cheapest, of the shortest of them.
    """

    normalised: bool = False


def _score(a: Prepared, b: Prepared, settings: DynamicTimeWarpingSettings) -> np.ndarray:
    cost = np.sqrt(squared_distances(a, b))
    steps = np.ones(cost.shape, np.int32)
    n, m = cost.shape[:2]
    for i in range(n):
        for j in range(m):
            before = [(p, q) for p, q in ((i - 1, j - 1), (i - 1, j), (i, j - 1)) if min(p, q) >= 0]
            if not before:
                continue
            least = np.minimum.reduce([cost[at] for at in before])
            if settings.normalised:
                never = np.iinfo(np.int32).max
                ways = [np.where(cost[at] == least, steps[at], never) for at in before]
                steps[i, j] += np.minimum.reduce(ways)
            cost[i, j] += least
    found = at_the_end(cost, a, b)
    return found / at_the_end(steps, a, b) if settings.normalised else found


register(
    Metric(
        name="dtw",
        summary="Least summed distance of fixations along a warped common time",
        source="Sakoe & Chiba 1978, IEEE Trans. Acoust. Speech Signal Process. 26:43",
        settings=DynamicTimeWarpingSettings,
        prepare=prepare_places,
        score=_score,
        orientation="distance",
        bounds=(0.0, math.inf),
        unit="px",
    )
)
