"""FDISS: overlap of discs round the fixations, blind to order."""

import dataclasses

import numpy as np

from attnsci.checks import check_positive
from attnsci.scanpaths.measures.base import Metric, Paths, register
from attnsci.scanpaths.measures.pairwise import Prepared, nearest


@dataclasses.dataclass(frozen=True)
class FdissSettings:
    """Settings of FDISS.

    Attributes
    ----------
    radius_px : float or None
        Radius of the discs; None: one degree of visual angle.
    """

    radius_px: float | None = None

    def __post_init__(self) -> None:
        if self.radius_px is not None:
            check_positive("radius_px", self.radius_px)


def _prepare(paths: Paths, settings: FdissSettings) -> Prepared:
    radius = settings.radius_px or paths.degrees_px("radius_px")
    return paths.x / radius, paths.y / radius, paths.length


def precision_recall(a: Prepared, b: Prepared) -> tuple[np.ndarray, np.ndarray]:
    """Return the mean over a's fixations of the greatest overlap with one of b's, and b's (P,).

    Parameters
    ----------
    a, b : tuple of ndarray
        x and y (P, F) in units of the radius, lengths (P,).
    """
    # The nearest disc overlaps most, so the overlaps of the others are not needed.
    from_a, from_b = nearest(a, b)
    return _overlap(from_a).sum(0) / a[-1], _overlap(from_b).sum(0) / b[-1]


def _overlap(squared: np.ndarray) -> np.ndarray:
    """Return intersection over union of two unit discs at a squared distance."""
    d = np.sqrt(np.minimum(squared, 4.0))
    shared = 2 * np.arccos(d / 2) - d / 2 * np.sqrt(4 - d * d)
    return shared / (2 * np.pi - shared)


def _score(a: Prepared, b: Prepared, settings: FdissSettings) -> np.ndarray:
    precision, recall = precision_recall(a, b)
    both = precision + recall
    return 2 * precision * recall / np.where(both > 0, both, 1)


register(
    Metric(
        name="fdiss",
        summary="Overlap of discs round the fixations: harmonic mean of precision and recall",
        source="FDISS 0.1.0 (2026)",
        settings=FdissSettings,
        prepare=_prepare,
        score=_score,
        orientation="similarity",
        bounds=(0.0, 1.0),
    )
)
