"""Time-delay embeddings: how near every stretch of a simulated scanpath is to a human one.

The cost of two windows of k fixations is that of the windows of k - 1 plus one distance, so all
window lengths together take O(n m min(n, m)) a pair, where every window anew takes
O(n m min(n, m)²).
"""

import dataclasses
import math
from collections.abc import Iterator

import numpy as np

from attnsci.checks import check_option, check_positive
from attnsci.scanpaths.measures.base import Metric, Paths, register
from attnsci.scanpaths.measures.pairwise import Prepared, prepare_places, squared_distances

NORMS = ("frobenius", "sum")
MODES = ("mean", "hausdorff")


@dataclasses.dataclass(frozen=True)
class TimeDelayEmbeddingSettings:
    """Settings of the time-delay embedding of one window length.

    Attributes
    ----------
    k : int
        Fixations a window; a pair with a shorter scanpath has no value.
    norm : {"frobenius", "sum"}
        Distance of two windows: root of the summed squared distances over k (FixaTons), or mean
        distance (VAME, Chen et al. 2021, HAT). Values of the two cannot be compared.
    mode : {"mean", "hausdorff"}
        Mean or greatest value over the windows of the simulated scanpath.
    """

    k: int = 3
    norm: str = "frobenius"
    mode: str = "mean"

    def __post_init__(self) -> None:
        check_positive("k", self.k, integer=True)
        check_option("norm", self.norm, NORMS)
        check_option("mode", self.mode, MODES)


@dataclasses.dataclass(frozen=True)
class ScaledTimeDelayEmbeddingSettings:
    """Settings of the scaled time-delay embedding.

    Attributes
    ----------
    norm : {"frobenius", "sum"}
        Distance of two windows: see `TimeDelayEmbeddingSettings`.
    """

    norm: str = "frobenius"

    def __post_init__(self) -> None:
        check_option("norm", self.norm, NORMS)


def _prepare_scaled(paths: Paths, settings: ScaledTimeDelayEmbeddingSettings) -> Prepared:
    side = max(paths.width_px, paths.height_px)
    return paths.x / side, paths.y / side, paths.length


def _score(
    human: Prepared, simulated: Prepared, settings: TimeDelayEmbeddingSettings
) -> np.ndarray:
    k = settings.k
    shorter = np.minimum(human[-1], simulated[-1])
    if k > shorter.max(initial=0):
        return np.full(len(shorter), np.nan)
    *_, windows = _nearest_windows(human, simulated, settings.norm, k)
    found = windows.max(0) if settings.mode == "hausdorff" else windows.sum(0)
    if settings.mode == "mean":
        found /= np.maximum(simulated[-1] - k + 1, 1)
    return np.where(shorter >= k, found, np.nan)


def _score_scaled(
    human: Prepared, simulated: Prepared, settings: ScaledTimeDelayEmbeddingSettings
) -> np.ndarray:
    shorter = np.minimum(human[-1], simulated[-1])
    longest = int(shorter.max(initial=0))
    out = np.zeros(len(shorter))
    for k, windows in enumerate(_nearest_windows(human, simulated, settings.norm, longest), 1):
        mean = windows.sum(0) / np.maximum(simulated[-1] - k + 1, 1)
        out += np.where(k <= shorter, np.exp(-mean), 0)
    return out / shorter


def _nearest_windows(
    human: Prepared, simulated: Prepared, norm: str, longest: int
) -> Iterator[np.ndarray]:
    """Yield, for k = 1 … `longest`, the distance (m - k + 1, P) to the nearest human window.

    A window of the simulated scanpath that runs over the end of either has 0.
    """
    step = squared_distances(human, simulated)
    if norm == "sum":
        np.sqrt(step, out=step)
    cost = step.copy()
    n, m = step.shape[:2]
    for k in range(1, longest + 1):
        windows = cost[: n - k + 1, : m - k + 1]
        if k > 1:
            windows += step[k - 1 :, k - 1 :]
        found = windows.min(0)
        found[np.isinf(found)] = 0
        if norm == "frobenius":
            np.sqrt(found, out=found)
        found /= k
        yield found


register(
    Metric(
        name="time_delay_embedding",
        summary="Distance of windows of k fixations to the nearest window of the human (a)",
        source="Wang et al. 2011, CVPR; Zanca et al. 2018, arXiv:1802.02534",
        settings=TimeDelayEmbeddingSettings,
        prepare=prepare_places,
        score=_score,
        orientation="distance",
        bounds=(0.0, math.inf),
        symmetric=False,
        unit="px",
    )
)
register(
    Metric(
        name="scaled_time_delay_embedding",
        summary="Mean over all window lengths of exp(-time-delay embedding), image size 1",
        source="Wang et al. 2011, CVPR; Zanca et al. 2018, arXiv:1802.02534",
        settings=ScaledTimeDelayEmbeddingSettings,
        prepare=_prepare_scaled,
        score=_score_scaled,
        orientation="similarity",
        bounds=(0.0, 1.0),
        symmetric=False,
    )
)
