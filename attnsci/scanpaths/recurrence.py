"""Recurrence quantification: coming back to a place, in the same order, and staying there.

Lines are runs of recurrent points next to each other, not whole diagonals and rows that hold as
many points.
"""

from typing import TYPE_CHECKING

import numpy as np

from attnsci.checks import check_positive
from attnsci.errors import InvalidInput
from attnsci.gaze import validate, viewing_of

if TYPE_CHECKING:
    import xarray as xr

MEASURES = ("recurrence", "determinism", "laminarity", "centre_of_recurrence_mass")
_BLOCK = 2**22


def on_runs(recurrent: np.ndarray, min_line: int, down: int, right: int) -> np.ndarray:
    """Return the points that lie on a run of at least `min_line` recurrent points.

    Parameters
    ----------
    recurrent : ndarray (n, m, ...), bool
        Recurrence matrices.
    min_line : int
        Shortest run that counts.
    down, right : int
        The line's direction: (1, 1) diagonal, (0, 1) horizontal, (1, 0) vertical.

    Returns
    -------
    ndarray, bool
        Of the same shape.

    Examples
    --------
    >>> matrix = np.array([[True, False, True, True]])
    >>> on_runs(matrix, 2, 0, 1).tolist()
    [[False, False, True, True]]
    """
    found = np.zeros_like(recurrent)
    n = recurrent.shape[0] - down * (min_line - 1)
    m = recurrent.shape[1] - right * (min_line - 1)
    if n <= 0 or m <= 0:
        return found
    along = [
        (slice(down * step, down * step + n), slice(right * step, right * step + m))
        for step in range(min_line)
    ]
    # Opening by a line: where a whole line fits, all of its points are on a run.
    starts = np.logical_and.reduce([recurrent[part] for part in along])
    for part in along:
        found[part] |= starts
    return found


def line_shares(
    recurrent: np.ndarray, weight: np.ndarray, min_line: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the total of the recurrent points, and in percent their share on lines.

    Parameters
    ----------
    recurrent : ndarray (n, m, P), bool
        Recurrence matrices.
    weight : ndarray, broadcasts to (n, m, P)
        Of each point.
    min_line : int
        Shortest line, in fixations.

    Returns
    -------
    total, determinism, laminarity : ndarray (P,)
        Laminarity is the mean of the shares on horizontal and on vertical lines; both are NaN
        where nothing recurs.
    """
    total, diagonal, horizontal, vertical = (
        np.sum(weight * points, axis=(0, 1), dtype=float)
        for points in (
            recurrent,
            *(on_runs(recurrent, min_line, *step) for step in ((1, 1), (0, 1), (1, 0))),
        )
    )
    some = np.where(total > 0, total, np.nan)
    return total, 100 * diagonal / some, 100 * (horizontal + vertical) / (2 * some)


def auto_recurrence(
    scanpaths: "xr.Dataset",
    radius_px: float | None = None,
    min_line: int = 2,
    weighted: bool = False,
) -> "xr.Dataset":
    """Return how much each scanpath comes back to where it was.

    Fixations i < j recur if they lie within `radius_px` of each other.

    Parameters
    ----------
    scanpaths : xarray.Dataset
        The container.
    radius_px : float, optional
        Default: one degree of visual angle.
    min_line : int
        Shortest line, in fixations.
    weighted : bool
        Weigh a recurrence by the summed durations of its two fixations.

    Returns
    -------
    xarray.Dataset
        Variables on ``scanpath``, in percent:

        - ``recurrence``: recurrent pairs of all pairs;
        - ``determinism``: recurrent points on diagonals, which repeat a sequence of fixations;
        - ``laminarity``: on horizontals and verticals, which come back to one place in a row;
        - ``centre_of_recurrence_mass``: mean delay of the recurrences over the longest delay.

        NaN where undefined: all of them under two fixations, all but the first where nothing
        recurs; ``n_undefined`` in each variable's attributes counts them. The scanpaths'
        coordinates are kept.

    Raises
    ------
    InvalidInput
        If the pixels of a degree are needed and unknown, or durations are.

    Notes
    -----
    Anderson et al. 2013, Behav. Res. Methods 45:842. Weighted, recurrence is over (N - 1) Σt,
    mass over (N - 1)² Σt, and lines count the weights on them; no reference values are known for
    these.

    Examples
    --------
    >>> from attnsci.scanpaths import Viewing, from_dict
    >>> paths = from_dict({"a": [[10, 10], [50, 40], [10, 12], [52, 40]]}, Viewing(80, 60))
    >>> found = auto_recurrence(paths, radius_px=5)
    >>> found.recurrence.round(1).values.tolist(), found.determinism.values.tolist()
    ([33.3], [100.0])
    """
    import xarray as xr

    validate(scanpaths)
    check_positive("min_line", min_line, integer=True)
    if radius_px is None:
        radius_px = float(viewing_of(scanpaths).pixels(1.0))
    check_positive("radius_px", radius_px)
    x, y, duration = (scanpaths[name].to_numpy() for name in ("x", "y", "duration"))
    length = scanpaths["n_fixations"].to_numpy()
    if weighted:
        _check_durations(duration, length)
    else:
        duration = np.full_like(x, 0.5)  # so that a recurrence weighs 1
    values = np.full((len(MEASURES), len(length)), np.nan)
    size = max(1, _BLOCK // max(1, x.shape[1] ** 2))
    for start in range(0, len(length), size):
        rows = slice(start, start + size)
        values[:, rows] = _auto(
            x[rows], y[rows], duration[rows], length[rows], radius_px, min_line, weighted
        )
    on_scanpath = {
        name: coord for name, coord in scanpaths.coords.items() if coord.dims == ("scanpath",)
    }
    variables = {
        name: (
            "scanpath",
            found,
            {"unit": "percent", "n_undefined": int(np.isnan(found).sum())},
        )
        for name, found in zip(MEASURES, values, strict=True)
    }
    settings = {"radius_px": radius_px, "min_line": min_line, "weighted": int(weighted)}
    return xr.Dataset(variables, on_scanpath, {**settings, "viewing": scanpaths.attrs["viewing"]})


def _auto(
    x: np.ndarray,
    y: np.ndarray,
    duration: np.ndarray,
    length: np.ndarray,
    radius_px: float,
    min_line: int,
    weighted: bool,
) -> np.ndarray:
    """Return the measures (4, P) of scanpaths (P, F)."""
    x, y, t = x.T, y.T, np.nan_to_num(duration.T)
    index = np.arange(len(x))
    delay = index[None, :] - index[:, None]
    # A comparison with the NaN after a scanpath's end is False.
    near = np.hypot(x[:, None] - x[None], y[:, None] - y[None]) <= radius_px
    near &= (delay > 0)[..., None]
    weight = t[:, None] + t[None]
    total, determinism, laminarity = line_shares(near, weight, min_line)
    inside = index[:, None] < length
    spent = t.sum(0, where=inside)
    longest = np.where(length > 1, length - 1, np.nan).astype(float)
    delayed = np.sum(delay[..., None] * weight * near, axis=(0, 1))
    with np.errstate(invalid="ignore"):
        recurrence = 100 * total / (longest * spent)
        if weighted:
            mass = 100 * delayed / (longest**2 * spent)
        else:
            mass = 100 * delayed / (longest * np.where(total > 0, total, np.nan))
    return np.stack([recurrence, determinism, laminarity, np.where(total > 0, mass, np.nan)])


def _check_durations(duration: np.ndarray, length: np.ndarray) -> None:
    inside = np.arange(duration.shape[1]) < length[:, None]
    lacking = (inside & np.isnan(duration)).any(1)
    if lacking.any():
        raise InvalidInput(
            f"Recurrence is to be weighted by durations, and {int(lacking.sum())} of "
            f"{len(lacking)} scanpaths have none, the first in row {int(np.argmax(lacking))}."
        )
