"""SubsMatch: how often short sequences of gaze shifts occur, wherever and whenever.

Each scanpath is cut into letters at percentiles of its own coordinates, so that every letter is
equally frequent and absolute place plays no part; scanpaths are compared by the frequencies of
their words. Unverified: written from the published description, with no reference values. It
counts fixations where the publication has gaze samples, and takes the percentiles of a scanpath
where it may take those of a subject.
"""

import dataclasses

import numpy as np

from attnsci.checks import check_option, check_positive
from attnsci.errors import InvalidInput
from attnsci.scanpaths.measures.base import Metric, Paths, register

AXES = ("x", "xy")


@dataclasses.dataclass(frozen=True)
class SubsMatchSettings:
    """Settings of SubsMatch.

    Attributes
    ----------
    n_letters : int
        Letters an axis, cut at the percentiles 100 / n_letters, 200 / n_letters …
    n : int
        Letters a word; a pair with a shorter scanpath has no value.
    axes : {"x", "xy"}
        Letters from the horizontal place alone, or from both.
    """

    n_letters: int = 4
    n: int = 3
    axes: str = "x"

    def __post_init__(self) -> None:
        check_positive("n_letters", self.n_letters, integer=True)
        check_positive("n", self.n, integer=True)
        check_option("axes", self.axes, AXES)
        if float(self.n_letters) ** (self.n * len(self.axes)) > 2**62:
            raise InvalidInput(
                f"{self.n_letters} letters in words of {self.n} make too many different words; "
                "use fewer letters or shorter words."
            )


def _prepare(paths: Paths, settings: SubsMatchSettings) -> tuple[np.ndarray, ...]:
    """Return the words (N, F - n + 1) as numbers, and how many there are (N,)."""
    letters = _letters(paths.x, paths.length, settings.n_letters)
    if settings.axes == "xy":
        letters = letters * settings.n_letters + _letters(paths.y, paths.length, settings.n_letters)
    base = settings.n_letters ** len(settings.axes)
    width = max(paths.x.shape[1] - settings.n + 1, 0)
    words = np.zeros((len(letters), width), np.int64)
    for step in range(settings.n):
        words = words * base + letters[:, step : step + width]
    return words, np.maximum(paths.length - settings.n + 1, 0)


def _letters(values: np.ndarray, length: np.ndarray, n_letters: int) -> np.ndarray:
    """Return the letter (N, F): how many n_letters-ths of its own scanpath lie below each value.

    Equal values share a letter.
    """
    order = np.argsort(values, axis=1, kind="stable")  # NaN last
    ranked = np.take_along_axis(values, order, 1)
    first = np.broadcast_to(np.arange(values.shape[1]), values.shape).copy()
    first[:, 1:][ranked[:, 1:] == ranked[:, :-1]] = 0
    below = np.maximum.accumulate(first, axis=1)
    letters = np.empty(values.shape, np.int64)
    share = np.minimum(below * n_letters // np.maximum(length, 1)[:, None], n_letters - 1)
    np.put_along_axis(letters, order, share, 1)
    return letters


def _score(
    a: tuple[np.ndarray, ...], b: tuple[np.ndarray, ...], settings: SubsMatchSettings
) -> np.ndarray:
    (words_a, n), (words_b, m) = a, b
    wide_a, wide_b = int(n.max(initial=0)), int(m.max(initial=0))
    words = np.concatenate([words_a[:, :wide_a], words_b[:, :wide_b]], 1)
    if not words.size:
        return np.full(len(n), np.nan)
    # Whole numbers until the end: a word weighs m for each time in a, -n for each in b.
    weights = np.concatenate(
        [
            np.where(np.arange(wide_a) < n[:, None], m[:, None], 0),
            np.where(np.arange(wide_b) < m[:, None], -n[:, None], 0),
        ],
        1,
    )
    order = np.argsort(words, axis=1, kind="stable")
    words = np.take_along_axis(words, order, 1)
    running = np.cumsum(np.take_along_axis(weights, order, 1), axis=1)
    last = np.ones(words.shape, bool)
    last[:, :-1] = words[:, 1:] != words[:, :-1]
    row, _ = np.nonzero(last)
    reached = running[last]
    before = np.concatenate([[0], reached[:-1]])
    before[np.concatenate([[True], row[1:] != row[:-1]])] = 0
    difference = np.bincount(row, np.abs(reached - before), minlength=len(n))
    defined = (n > 0) & (m > 0)
    return np.where(defined, difference / np.maximum(n * m, 1), np.nan)


register(
    Metric(
        name="subsmatch",
        summary="Difference of the frequencies of words of percentile letters (unverified)",
        source="Kübler et al. 2014, ETRA, doi:10.1145/2578153.2578206",
        settings=SubsMatchSettings,
        prepare=_prepare,
        score=_score,
        orientation="distance",
        bounds=(0.0, 2.0),
    )
)
