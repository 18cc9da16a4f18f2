"""Eyenalysis: every fixation's distance to the nearest of the other scanpath, blind to order."""

import dataclasses
import math

import numpy as np

from attnsci.errors import InvalidInput
from attnsci.scanpaths.measures.base import Metric, Paths, register
from attnsci.scanpaths.measures.pairwise import Prepared, check_durations, nearest, total


@dataclasses.dataclass(frozen=True)
class EyenalysisSettings:
    """Settings of Eyenalysis.

    Attributes
    ----------
    px_per_s : float
        Pixels of distance that a difference of one second in duration counts as; 0: places only.
    """

    px_per_s: float = 0.0

    def __post_init__(self) -> None:
        if not (np.isfinite(self.px_per_s) and self.px_per_s >= 0):
            raise InvalidInput(f"px_per_s must be 0 or above; got {self.px_per_s!r}.")


def _prepare(paths: Paths, settings: EyenalysisSettings) -> Prepared:
    if settings.px_per_s == 0:
        return paths.x, paths.y, paths.length
    duration = check_durations(paths, "eyenalysis") * settings.px_per_s
    return paths.x, paths.y, duration, paths.length


def _score(a: Prepared, b: Prepared, settings: EyenalysisSettings) -> np.ndarray:
    from_a, from_b = nearest(a, b)
    return (total(np.sqrt(from_a)) + total(np.sqrt(from_b))) / np.maximum(a[-1], b[-1])


register(
    Metric(
        name="eyenalysis",
        summary="Summed distances to the nearest fixation both ways, over the longer length",
        source="Mathôt et al. 2012, J. Eye Mov. Res. 5(1):4",
        settings=EyenalysisSettings,
        prepare=_prepare,
        score=_score,
        orientation="distance",
        bounds=(0.0, math.inf),
        durations="optional",
        unit="px",
    )
)
