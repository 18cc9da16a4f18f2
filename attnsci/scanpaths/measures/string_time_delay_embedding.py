"""String-based time-delay embedding: windows of letters instead of windows of places.

How far two windows are apart hangs on nothing but which of their letters are equal, k² bits. So
the edit distance is computed once for every pattern of bits that occurs.
"""

import dataclasses
import itertools

import numpy as np

from attnsci.checks import check_positive
from attnsci.errors import InvalidInput
from attnsci.scanpaths.measures.base import Metric, Paths, register
from attnsci.scanpaths.measures.edit_distance import cells
from attnsci.scanpaths.measures.pairwise import equal_labels

LONGEST = 7
"""Letters a window: the bits of a pattern must fit into 64."""


@dataclasses.dataclass(frozen=True)
class StringTimeDelayEmbeddingSettings:
    """Settings of the string-based time-delay embedding.

    Attributes
    ----------
    k : int
        Letters a window, 7 at most; a pair with a shorter scanpath has no value.
    grid : int
        Columns and rows of the grid whose cells are the letters.
    """

    k: int = 3
    grid: int = 4

    def __post_init__(self) -> None:
        check_positive("grid", self.grid, integer=True)
        if check_positive("k", self.k, integer=True) > LONGEST:
            raise InvalidInput(f"k must be {LONGEST} at most; got {self.k}.")


def _prepare(paths: Paths, settings: StringTimeDelayEmbeddingSettings) -> tuple[np.ndarray, ...]:
    return cells(paths, settings.grid), paths.length


def _score(
    human: tuple[np.ndarray, ...],
    simulated: tuple[np.ndarray, ...],
    settings: StringTimeDelayEmbeddingSettings,
) -> np.ndarray:
    k = settings.k
    equal = equal_labels(human[0], simulated[0], human[1], simulated[1])
    n, m = equal.shape[0] - k + 1, equal.shape[1] - k + 1
    defined = np.minimum(human[1], simulated[1]) >= k
    if not defined.any():
        return np.full(len(defined), np.nan)
    pattern = np.zeros((n, m, len(defined)), np.int16 if k <= 3 else np.int64)
    for bit, (s, t) in enumerate(itertools.product(range(k), repeat=2)):
        pattern |= equal[s : s + n, t : t + m].astype(pattern.dtype) << bit
    found, which = np.unique(pattern, return_inverse=True)
    distance = _edits(found, k)[which.reshape(pattern.shape)]
    beyond = np.arange(n)[:, None] > human[1] - k
    nearest = np.where(beyond[:, None], k, distance).min(0)
    nearest[np.arange(m)[:, None] > simulated[1] - k] = 0
    windows = np.maximum(simulated[1] - k + 1, 1)
    return np.where(defined, nearest.sum(0) / (k * windows), np.nan)


def _edits(patterns: np.ndarray, k: int) -> np.ndarray:
    """Return the unrestricted Damerau–Levenshtein distance (U,) of two words of k letters.

    Parameters
    ----------
    patterns : ndarray (U,), int
        Bit ``s * k + t`` tells whether letter s of the first is letter t of the second.
    k : int
        Letters.
    """
    same = (patterns >> np.arange(k * k).reshape(k, k, 1)) & 1 == 1
    edits = np.zeros((k + 1, k + 1, len(patterns)), np.int64)
    edits[:, 0] = edits[0, :] = np.arange(k + 1)[:, None]
    for i, j in itertools.product(range(1, k + 1), repeat=2):
        ways = [
            edits[i - 1, j] + 1,
            edits[i, j - 1] + 1,
            edits[i - 1, j - 1] + ~same[i - 1, j - 1],
        ]
        for p, q in itertools.product(range(1, i), range(1, j)):
            # Letters p and i of the first are letters j and q of the second: swap them, and
            # take out and put in whatever stands between.
            swapped = same[i - 1, q - 1] & same[p - 1, j - 1]
            cost = edits[p - 1, q - 1] + (i - p - 1) + 1 + (j - q - 1)
            ways.append(np.where(swapped, cost, i + j))
        edits[i, j] = np.minimum.reduce(ways)
    return edits[k, k]


register(
    Metric(
        name="string_time_delay_embedding",
        summary="Edits from windows of k letters to the nearest window of the human (a), over k",
        source="Schwinn et al. 2022, arXiv:2204.09093",
        settings=StringTimeDelayEmbeddingSettings,
        prepare=_prepare,
        score=_score,
        orientation="distance",
        bounds=(0.0, 1.0),
        symmetric=False,
    )
)
