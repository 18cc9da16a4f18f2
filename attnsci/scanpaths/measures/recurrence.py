"""Cross-recurrence: where and when one scanpath visits what the other visits.

For a scanpath against itself see `attnsci.scanpaths.recurrence.auto_recurrence`.
"""

import dataclasses

import numpy as np

from attnsci.checks import check_positive
from attnsci.scanpaths.measures.base import Metric, Paths, register
from attnsci.scanpaths.measures.pairwise import Prepared, squared_distances
from attnsci.scanpaths.recurrence import MEASURES, line_shares


@dataclasses.dataclass(frozen=True)
class RecurrenceSettings:
    """Settings of cross-recurrence; both scanpaths are cut to the shorter length.

    Attributes
    ----------
    radius_px : float or None
        Two fixations nearer than this, or as near, recur; None: one degree of visual angle.
    min_line : int
        Shortest diagonal, horizontal or vertical run of recurrences that is a line.
    """

    radius_px: float | None = None
    min_line: int = 2

    def __post_init__(self) -> None:
        check_positive("min_line", self.min_line, integer=True)
        if self.radius_px is not None:
            check_positive("radius_px", self.radius_px)


def _prepare(paths: Paths, settings: RecurrenceSettings) -> Prepared:
    radius = settings.radius_px or paths.degrees_px("radius_px")
    return paths.x, paths.y, np.full(len(paths.length), radius), paths.length


def _score(a: Prepared, b: Prepared, settings: RecurrenceSettings) -> np.ndarray:
    (x, y, radius, length), (p, q, _, other) = a, b
    n = np.minimum(length, other)
    near = np.sqrt(squared_distances((x, y, n), (p, q, n))) <= radius
    index = np.arange(len(near))
    near &= (index[:, None] < n)[:, None] & (index[:, None] < n)[None]
    total, determinism, laminarity = line_shares(near, np.ones(1), settings.min_line)
    delay = index[None, :] - index[:, None]
    mass = np.sum(delay[..., None] * near, axis=(0, 1)) / np.maximum(n - 1, 1)
    some = np.where((total > 0) & (n > 1), total, np.nan)
    return np.stack([100 * total / n**2, determinism, laminarity, 100 * mass / some], 1)


register(
    Metric(
        name="recurrence",
        summary="Cross-recurrence in percent: shared places, sequences, dwelling, and who leads",
        source="Anderson et al. 2015, Behav. Res. Methods 47:1377",
        settings=RecurrenceSettings,
        prepare=_prepare,
        score=_score,
        orientation="similarity",
        bounds=(-100.0, 100.0),
        symmetric=False,
        components=MEASURES,
        unit="percent",
    )
)
