"""Hausdorff distances: the fixation that is farthest from all of the other scanpath."""

import dataclasses
import math

import numpy as np

from attnsci.scanpaths.measures.base import Metric, register
from attnsci.scanpaths.measures.pairwise import Prepared, nearest, prepare_places


@dataclasses.dataclass(frozen=True)
class HausdorffSettings:
    """The Hausdorff distances have no settings."""


def _farthest(squared: np.ndarray) -> np.ndarray:
    return np.sqrt(squared.max(0, where=np.isfinite(squared), initial=0))


def _score(a: Prepared, b: Prepared, settings: HausdorffSettings) -> np.ndarray:
    from_a, from_b = nearest(a, b)
    return np.maximum(_farthest(from_a), _farthest(from_b))


def _score_directed(a: Prepared, b: Prepared, settings: HausdorffSettings) -> np.ndarray:
    return _farthest(nearest(a, b)[0])


register(
    Metric(
        name="hausdorff",
        summary="Greatest distance of a fixation of either to the nearest of the other",
        source="Huttenlocher et al. 1993, IEEE Trans. Pattern Anal. Mach. Intell. 15:850",
        settings=HausdorffSettings,
        prepare=prepare_places,
        score=_score,
        orientation="distance",
        bounds=(0.0, math.inf),
        unit="px",
    )
)
# A metric of its own, since a metric says once and for all whether it is symmetric.
register(
    Metric(
        name="directed_hausdorff",
        summary="Greatest distance of a fixation of a to the nearest of b",
        source="Huttenlocher et al. 1993, IEEE Trans. Pattern Anal. Mach. Intell. 15:850",
        settings=HausdorffSettings,
        prepare=prepare_places,
        score=_score_directed,
        orientation="distance",
        bounds=(0.0, math.inf),
        symmetric=False,
        unit="px",
    )
)
