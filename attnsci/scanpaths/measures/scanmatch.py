"""ScanMatch: global alignment of the regions that two scanpaths visit."""

import dataclasses
import functools
from typing import Any

import numpy as np

from attnsci.checks import check_finite, check_option, check_positive
from attnsci.errors import InvalidInput
from attnsci.provenance import array_hash
from attnsci.scanpaths.measures.base import Metric, Paths, padded_length, register

ROUNDINGS = ("half-even", "half-up")


class FixedArray:
    """An array among settings: read-only, compared and hashed by what it holds, printed short.

    Examples
    --------
    >>> FixedArray([[1, 0], [0, 1]]) == FixedArray([[1, 0], [0, 1]])
    True
    """

    def __init__(self, values: Any) -> None:
        self.values = np.array(values)
        self.values.flags.writeable = False
        self._name = array_hash(self.values)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, FixedArray) and self._name == other._name

    def __hash__(self) -> int:
        return hash(self._name)

    def __repr__(self) -> str:
        return f"array{self.values.shape}:{self._name[:8]}"


@dataclasses.dataclass(frozen=True)
class ScanMatchSettings:
    """Regions, time and costs.

    Raises
    ------
    InvalidInput
        If a number is out of its range, a matrix is not square, symmetric and finite with a
        maximum above 0, or a mask is no array (height, width) of whole numbers from 0.
    """

    n_columns: int = 12
    """Columns of the grid."""
    n_rows: int = 8
    """Rows of the grid."""
    threshold: float = 3.5
    """Distance in cells from which on a substitution costs: by convention two standard
    deviations of the saccades' amplitude."""
    gap: float = 0.0
    """Value of leaving a fixation out, 0 or below."""
    bin_ms: float | None = None
    """A region counts once for each such time spent on it; None: once a fixation."""
    rounding: str = "half-even"
    """Of half a time bin: "half-even" as the Python references do, "half-up" as MATLAB does."""
    substitution: Any = None
    """Array (K, K): value of matching two regions, in place of threshold less distance."""
    mask: Any = None
    """Array (height, width) of region labels 0, 1, … in place of the grid: semantic ScanMatch.
    Without `substitution` two labels match with value 1 where they are equal, else 0."""

    def __post_init__(self) -> None:
        check_positive("n_columns", self.n_columns, integer=True)
        check_positive("n_rows", self.n_rows, integer=True)
        check_positive("threshold", self.threshold)
        check_option("rounding", self.rounding, ROUNDINGS)
        if self.bin_ms is not None:
            check_positive("bin_ms", self.bin_ms)
        if not (np.isfinite(self.gap) and self.gap <= 0):
            raise InvalidInput(f"gap must be 0 or below; got {self.gap!r}.")
        for name in ("substitution", "mask"):
            given = getattr(self, name)
            if given is not None and not isinstance(given, FixedArray):
                object.__setattr__(self, name, FixedArray(given))
        if self.mask is not None:
            _check_mask(self.mask.values)
        if self.substitution is not None:
            self._check_substitution(self.substitution.values)

    def _check_substitution(self, matrix: np.ndarray) -> None:
        if matrix.ndim != 2 or matrix.shape[0] != matrix.shape[1]:
            raise InvalidInput(f"substitution must be (K, K); got {matrix.shape}.")
        check_finite("substitution", matrix)
        if not np.array_equal(matrix, matrix.T) or matrix.max(initial=0) <= 0:
            raise InvalidInput(
                "substitution must be symmetric and have a maximum above 0, which scales the "
                f"score; its maximum is {matrix.max(initial=0):g}."
            )
        cells = self.n_columns * self.n_rows
        needed = cells if self.mask is None else int(self.mask.values.max()) + 1
        if len(matrix) < needed:
            raise InvalidInput(f"substitution is for {len(matrix)} regions; there are {needed}.")

    @functools.cached_property
    def labels(self) -> np.ndarray:
        """Labels of the mask that have a row of `values`, ascending."""
        if self.substitution is not None:
            return np.arange(len(self.substitution.values))
        return np.unique(self.mask.values)

    @functools.cached_property
    def values(self) -> np.ndarray:
        """(K + 1, K + 1), value of matching two regions; the last stands for no region."""
        if self.substitution is not None:
            matrix = self.substitution.values
        elif self.mask is not None:
            matrix = np.eye(len(self.labels))
        else:
            row, column = np.divmod(np.arange(self.n_columns * self.n_rows), self.n_columns)
            matrix = self.threshold - np.sqrt(
                (row[:, None] - row) ** 2 + (column[:, None] - column) ** 2
            )
        return np.pad(matrix.astype(float), (0, 1), constant_values=-np.inf)


def _check_mask(mask: np.ndarray) -> None:
    if mask.ndim != 2 or mask.size == 0 or mask.dtype.kind not in "iu" or mask.min() < 0:
        raise InvalidInput(
            "mask must be an array (height, width) of whole numbers from 0; got shape "
            f"{mask.shape} of {mask.dtype}."
        )


def regions(paths: Paths, settings: ScanMatchSettings) -> np.ndarray:
    """Return the region under each fixation, int64 (N, F), 0 after the end.

    Fixations outside the frame count as on its border, and coordinates are cut to whole pixels.

    Raises
    ------
    InvalidInput
        If the mask is not of the frame's size.

    Examples
    --------
    >>> x, y, duration = np.array([[[100.0, 400]], [[100.0, 300]], [[1.0, 1]]])
    >>> paths = Paths(x, y, duration, np.array([2]), 800, 600)
    >>> regions(paths, ScanMatchSettings()).tolist()
    [[13, 54]]
    """
    inside = paths.inside
    sides = [(paths.x, paths.width_px), (paths.y, paths.height_px)]
    x, y = (np.floor(np.clip(np.where(inside, at, 0), 0, side - 1)) for at, side in sides)
    if settings.mask is None:
        column = x * settings.n_columns // paths.width_px
        row = y * settings.n_rows // paths.height_px
        return (row * settings.n_columns + column).astype(np.int64)
    mask = settings.mask.values
    if mask.shape != (paths.height_px, paths.width_px):
        raise InvalidInput(
            f"The mask is {mask.shape[1]}×{mask.shape[0]} pixels and the scanpaths' frame "
            f"{paths.width_px:g}×{paths.height_px:g}; they must agree."
        )
    return np.searchsorted(settings.labels, mask[y.astype(np.int64), x.astype(np.int64)])


def _prepare(paths: Paths, settings: ScanMatchSettings) -> tuple[np.ndarray, ...]:
    """Return sequences of regions (N, L), repeated for time, and their lengths."""
    codes, inside, length = regions(paths, settings), paths.inside, paths.length
    if settings.bin_ms is not None:
        without = (inside & np.isnan(paths.duration)).any(1)
        if without.any():
            raise InvalidInput(
                f"bin_ms repeats regions by duration, and {int(without.sum())} of {len(without)} "
                "scanpaths have no durations. Give them, or leave bin_ms out."
            )
        times = np.where(inside, repeats(paths.duration, settings), 0).astype(np.int64)
        codes, length = np.repeat(codes.ravel(), times.ravel()), times.sum(1)
    else:
        codes = codes[inside]
    out = np.full((len(length), padded_length(length)), len(settings.values) - 1)
    out[np.arange(out.shape[1]) < length[:, None]] = codes
    return out, length


def repeats(duration_s: np.ndarray, settings: ScanMatchSettings) -> np.ndarray:
    """Return how many time bins each duration fills.

    Examples
    --------
    >>> repeats(np.array([0.25]), ScanMatchSettings(bin_ms=100)).item()
    2.0
    >>> repeats(np.array([0.25]), ScanMatchSettings(bin_ms=100, rounding="half-up")).item()
    3.0
    """
    # Whole milliseconds, of which floating point keeps some a hair too low: 1.001 s * 1000.
    bins = np.floor(np.round(duration_s * 1000, 6)) / settings.bin_ms
    return np.round(bins) if settings.rounding == "half-even" else np.floor(bins + 0.5)


def _score(
    a: tuple[np.ndarray, ...], b: tuple[np.ndarray, ...], settings: ScanMatchSettings
) -> np.ndarray:
    """Return the best alignment's value over that of the longer scanpath with itself (P,)."""
    (codes_a, length_a), (codes_b, length_b) = a, b
    values, gap = settings.values, settings.gap
    # Pairs on the last axis. Padding matches nothing and a gap is worth 0 or less, so that no
    # padded node can be above all nodes of its pair.
    first = np.ascontiguousarray(codes_a[:, : padded_length(length_a)].T) * len(values)
    second = np.ascontiguousarray(codes_b[:, : padded_length(length_b)].T)
    m, pairs = second.shape
    border = gap * np.arange(1, max(len(first), m) + 2)
    above = np.repeat(border[: m + 1, None], pairs, 1)
    row, best = np.empty_like(above), above.max(0)
    at, flat = np.empty_like(second), values.ravel()
    entry = np.empty((m, pairs))
    for i, codes in enumerate(first, 1):
        flat.take(np.add(codes, second, out=at), out=entry, mode="clip")
        entry += above[:-1]
        row[0] = border[i]
        np.maximum(entry, above[1:] + gap if gap else above[1:], out=row[1:])
        for j in range(1, m + 1):
            np.maximum(row[j], row[j - 1] + gap if gap else row[j - 1], out=row[j])
        if gap:
            np.maximum(best, row.max(0), out=best)
        above, row = row, above
    if not gap:
        best = above[-1]  # nothing is lost on the way, so the last node is the highest
    longer = np.maximum(length_a, length_b)
    score = np.divide(best, values.max() * longer, out=np.full(pairs, np.nan), where=longer > 0)
    # A scanpath of which no fixation fills half a time bin has nothing to compare.
    return np.where(np.minimum(length_a, length_b) > 0, score, np.nan)


register(
    Metric(
        name="scanmatch",
        summary="Global alignment of the regions visited, near ones matching in part",
        source="Cristino, Mathôt, Theeuwes & Gilchrist 2010",
        settings=ScanMatchSettings,
        prepare=_prepare,
        score=_score,
        orientation="similarity",
        bounds=(-np.inf, 1.0),
        durations="optional",
    )
)
