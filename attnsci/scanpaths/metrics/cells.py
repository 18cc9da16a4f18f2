"""Fixations as cells of a grid, and labels of pairs of scanpaths set against each other."""

import numpy as np

from attnsci.scanpaths.metrics.base import Paths


def pixels(paths: Paths) -> tuple[np.ndarray, np.ndarray]:
    """Return the whole pixel (N, F), int64, of each fixation, those outside moved to the border.

    After a scanpath's end the pixel is (0, 0).
    """
    x, y = (
        np.trunc(np.clip(np.where(paths.inside, values, 0), 0, side - 1)).astype(np.int64)
        for values, side in ((paths.x, paths.width_px), (paths.y, paths.height_px))
    )
    return x, y


def pixel_cells(paths: Paths, n_columns: int, n_rows: int) -> np.ndarray:
    """Return ``row * n_columns + column`` (N, F) of whole pixels, as ScanMatch has it.

    -1 after a scanpath's end.
    """
    x, y = pixels(paths)
    column = (x * n_columns // paths.width_px).astype(np.int64)
    row = (y * n_rows // paths.height_px).astype(np.int64)
    return np.where(paths.inside, row * n_columns + column, -1)


def square_cells(paths: Paths, grid: int) -> np.ndarray:
    """Return the cell (N, F) of a grid of `grid` × `grid`, as string edit distances have it.

    Coordinates are clipped to the frame, not truncated to pixels; -1 after a scanpath's end.
    """
    column, row = (
        np.minimum(np.floor(np.clip(np.where(paths.inside, v, 0), 0, side) * grid / side), grid - 1)
        for v, side in ((paths.x, paths.width_px), (paths.y, paths.height_px))
    )
    return np.where(paths.inside, column + grid * row, -1).astype(np.int64)


def equal_labels(
    a: np.ndarray, b: np.ndarray, length_a: np.ndarray, length_b: np.ndarray
) -> np.ndarray:
    """Return whether fixation i of a and j of b have one label, (n, m, P).

    Parameters
    ----------
    a, b : ndarray (P, F), int
        Labels; whatever stands after the end of a scanpath equals nothing.
    length_a, length_b : ndarray (P,)
        Lengths.
    """
    n, m = int(length_a.max(initial=0)), int(length_b.max(initial=0))
    equal = a[:, :n].T[:, None] == b[:, :m].T[None]
    equal &= (np.arange(n)[:, None] < length_a)[:, None]
    return equal & (np.arange(m)[:, None] < length_b)[None]
