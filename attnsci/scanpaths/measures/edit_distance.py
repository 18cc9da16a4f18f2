"""String edit distance between the cells of a grid that two scanpaths visit."""

import dataclasses

import numpy as np

from attnsci.checks import check_option, check_positive
from attnsci.scanpaths.measures.base import Metric, Paths, padded_length, register

ALGORITHMS = ("levenshtein", "damerau")


@dataclasses.dataclass(frozen=True)
class EditDistanceSettings:
    """Grid and kind of distance.

    Raises
    ------
    InvalidInput
        If the grid is not a whole number above 0, or the algorithm is unknown.
    """

    grid: int = 5
    """Cells along each side of the frame."""
    algorithm: str = "levenshtein"
    """"levenshtein" (VAME, Chen 2021), or "damerau": neighbours may also change places, with
    edits between them (FixaTons; the unrestricted distance)."""
    normalised: bool = False
    """Divide by the length of the longer."""

    def __post_init__(self) -> None:
        check_positive("grid", self.grid, integer=True)
        check_option("algorithm", self.algorithm, ALGORITHMS)


def cells(paths: Paths, grid: int) -> np.ndarray:
    """Return the cell under each fixation, counted along rows, int32 (N, F), 0 after the end.

    Fixations outside the frame count as in the cell at its border.

    Examples
    --------
    >>> x, y, duration = np.array([[[100.0, 850]], [[100.0, 300]], [[1.0, 1]]])
    >>> paths = Paths(x, y, duration, np.array([2]), 800, 600)
    >>> cells(paths, 5).tolist()
    [[0, 14]]
    """
    column, row = (
        np.clip(np.floor(np.where(paths.inside, at, 0) * grid / side), 0, grid - 1)
        for at, side in ((paths.x, paths.width_px), (paths.y, paths.height_px))
    )
    return (column + grid * row).astype(np.int32)


def _prepare(paths: Paths, settings: EditDistanceSettings) -> tuple[np.ndarray, ...]:
    return cells(paths, settings.grid), paths.length


def _score(
    a: tuple[np.ndarray, ...], b: tuple[np.ndarray, ...], settings: EditDistanceSettings
) -> np.ndarray:
    """Return the edits (P,)."""
    (cells_a, length_a), (cells_b, length_b) = a, b
    first = np.ascontiguousarray(cells_a[:, : padded_length(length_a)].T)
    second = np.ascontiguousarray(cells_b[:, : padded_length(length_b)].T)
    distance = edits(first, second, length_a, length_b, settings.algorithm == "damerau")
    return distance / np.maximum(length_a, length_b) if settings.normalised else distance


def edits(
    first: np.ndarray,
    second: np.ndarray,
    length_a: np.ndarray,
    length_b: np.ndarray,
    transpositions: bool,
) -> np.ndarray:
    """Return the edit distances of strings that stand in columns.

    Parameters
    ----------
    first, second : ndarray (n, P), (m, P), int
        Letters from 0; anything after the ends.
    length_a, length_b : ndarray (P,), int
        Letters of each.
    transpositions : bool
        Damerau–Levenshtein (unrestricted) in place of Levenshtein.

    Returns
    -------
    ndarray (P,), float64

    References
    ----------
    Wagner & Fischer 1974; Lowrance & Wagner 1975.

    Examples
    --------
    "ca" and "abc":

    >>> ca, abc = np.array([[2], [0]]), np.array([[0], [1], [2]])
    >>> [edits(ca, abc, np.array([2]), np.array([3]), kind).item() for kind in (False, True)]
    [3.0, 2.0]
    """
    (n, pairs), m = first.shape, len(second)
    # Kept is the distance less i + j: then a letter left out or put in changes nothing, a
    # match is worth -2, a substitution -1, and so is a swap, whatever lies between, -3.
    # Node (i, j) stands at [i + 1, j + 1]; row and column 0 close the swaps that cannot be.
    kind = np.int16 if 2 * min(n, m) < np.iinfo(np.int16).max // 2 else np.int32
    nodes = np.zeros((n + 2, m + 2, pairs), kind)
    nodes[0] = nodes[:, 0] = np.iinfo(kind).max // 2
    entry = np.empty((m, pairs), kind)
    if transpositions:
        # Where in a each letter of b last was, and where in b the row's letter: as flat offsets.
        flat, swapped = nodes.reshape(-1), np.empty_like(entry)
        column = np.arange(pairs, pairs * (m + 1), pairs)[:, None]
        pair = np.arange(pairs)
        last_row = np.repeat(pair[None], m, 0)
        last_column = np.zeros((m + 1, pairs), np.intp)
        at = np.empty((m, pairs), np.intp)
    for i in range(n):
        above, row = nodes[i + 1], nodes[i + 2]
        same = second == first[i]
        np.subtract(above[1:-1], 1, out=entry)
        entry -= same
        np.minimum(entry, above[2:], out=row[2:])
        if transpositions:
            np.multiply(same, column, out=last_column[1:])
            for j in range(2, m):
                np.maximum(last_column[j], last_column[j - 1], out=last_column[j])
            np.add(last_row, last_column[:-1], out=at)
            flat.take(at, out=swapped, mode="clip")
            swapped -= 3
            np.minimum(row[2:], swapped, out=row[2:])
            np.copyto(last_row, pair + (i + 1) * (m + 2) * pairs, where=same)
        for j in range(2, m + 2):
            np.minimum(row[j], row[j - 1], out=row[j])
    found = nodes[length_a + 1, length_b + 1, np.arange(pairs)]
    return found.astype(float) + length_a + length_b


register(
    Metric(
        name="edit_distance",
        summary="Edits that turn one string of grid cells into the other",
        source="Levenshtein 1966; Damerau 1964; as in Chen et al. 2021 and FixaTons 2018",
        settings=EditDistanceSettings,
        prepare=_prepare,
        score=_score,
        orientation="distance",
        bounds=(0.0, np.inf),
        unit="edits",
    )
)
