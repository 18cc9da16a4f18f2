"""Fixations among glimpses: runs within a dispersion, how long they are, how far apart.

A model that looks in discrete glimpses may stay with several of them in one place. Identification
by dispersion threshold (I-DT) joins consecutive glimpses to one fixation for as long as width
plus height of the box around them stays within a threshold. Run lengths stand for durations; they
are a proxy. For runs that need only stay near the last glimpse see
`attnsci.analysis.returns.run_lengths`.
"""

import numpy as np
import xarray as xr

from attnsci.analysis.eccentricity import xy_of
from attnsci.checks import check_dims, check_finite, check_not_empty, check_positive
from attnsci.errors import InvalidInput


def locations_of(scanpaths: xr.Dataset) -> xr.DataArray:
    """Return the fixations of the scanpath container as (stimulus, glimpse, coordinate).

    Examples
    --------
    >>> from attnsci.gaze import from_arrays
    >>> from attnsci.geometry import Viewing
    >>> paths = from_arrays([[1, 2]], [[3, 4]], image="a", observer="m", viewing=Viewing(9, 9))
    >>> locations_of(paths).values.tolist()
    [[[1.0, 3.0], [2.0, 4.0]]]
    """
    check_dims("scanpaths", scanpaths, ["scanpath", "fixation"])
    values = np.stack([scanpaths[name].to_numpy() for name in ("x", "y")], -1)
    return xr.DataArray(values, {"coordinate": ["x", "y"]}, ("stimulus", "glimpse", "coordinate"))


def dispersion_runs(location: xr.DataArray, dispersion_px: float) -> xr.Dataset:
    """Join consecutive glimpses to fixations by their dispersion (I-DT).

    Parameters
    ----------
    location : xarray.DataArray
        Dimensions ``stimulus``, ``glimpse``, ``coordinate`` ("x", "y"), pixels; NaN after the end
        of a path. `locations_of` makes it of scanpaths.
    dispersion_px : float
        Largest width + height of the box around the glimpses of one fixation.

    Returns
    -------
    xarray.Dataset
        ``run`` (stimulus, glimpse), the fixation each glimpse belongs to, counted from 0, −1
        after the end; ``run_length`` (stimulus, run_index), its glimpses, 0 where there is none;
        ``x``, ``y`` (stimulus, run_index), its middle, NaN there; ``distance`` (stimulus,
        run_index), from the one before, NaN for the first.

    Raises
    ------
    InvalidInput
        If dimensions are missing, the threshold is not above 0, a path is empty or interrupted.

    References
    ----------
    Salvucci DD, Goldberg JH (2000). Identifying fixations and saccades in eye-tracking protocols.
    ETRA, 71–78. The measure for models: Pan et al. (2025), MRAM.

    Examples
    --------
    >>> path = xr.DataArray([[[0.0, 0.0], [1.0, 1.0], [2.0, 2.0], [9.0, 2.0]]],
    ...                     {"coordinate": ["x", "y"]}, ("stimulus", "glimpse", "coordinate"))
    >>> dispersion_runs(path, 2.0)["run"].values
    array([[0, 0, 1, 2]])
    """
    check_positive("dispersion_px", dispersion_px)
    xs, ys = xy_of("location", location)
    check_dims("location", xs, ["stimulus", "glimpse"])
    x, y = (part.transpose("stimulus", "glimpse").values for part in (xs, ys))
    present = np.isfinite(x) & np.isfinite(y)
    if not present[:, :1].all() or (present[:, 1:] & ~present[:, :-1]).any():
        raise InvalidInput(
            "A path of location is empty, or has a missing glimpse before its end; NaN may stand "
            "only after the last one."
        )
    n, length = x.shape
    run = np.zeros((n, length), np.int64)
    box = [x[:, 0].copy(), x[:, 0].copy(), y[:, 0].copy(), y[:, 0].copy()]
    for glimpse in range(1, length):
        here = x[:, glimpse], y[:, glimpse]
        wider = [
            op(side, here[i // 2])
            for i, (side, op) in enumerate(
                zip(box, (np.fmin, np.fmax, np.fmin, np.fmax), strict=True)
            )
        ]
        spread = wider[1] - wider[0] + wider[3] - wider[2]
        # A sum that differs from the threshold by rounding alone is within it.
        stays = spread <= dispersion_px * (1 + 1e-9)
        run[:, glimpse] = run[:, glimpse - 1] + ~stays
        box = [np.where(stays, w, here[i // 2]) for i, w in enumerate(wider)]
    rows, columns = np.nonzero(present)
    flat = rows * length + run[rows, columns]
    lengths = np.bincount(flat, minlength=n * length)
    middle = [
        np.where(
            lengths > 0,
            np.bincount(flat, part[rows, columns], n * length) / np.maximum(lengths, 1),
            np.nan,
        ).reshape(n, length)
        for part in (x, y)
    ]
    distance = np.full((n, length), np.nan)
    distance[:, 1:] = np.hypot(*(np.diff(part, axis=1) for part in middle))
    by_run = ("stimulus", "run_index")
    return xr.Dataset(
        {
            "run": (("stimulus", "glimpse"), np.where(present, run, -1)),
            "run_length": (by_run, lengths.reshape(n, length)),
            "x": (by_run, middle[0]),
            "y": (by_run, middle[1]),
            "distance": (by_run, distance),
        },
        coords={name: c for name, c in xs.coords.items() if c.dims == ("stimulus",)},
        attrs={"dispersion_px": float(dispersion_px)},
    )


def run_densities(runs: xr.Dataset, distances_px: np.ndarray) -> xr.Dataset:
    """Return how long fixations last and how far saccades between them go.

    Parameters
    ----------
    runs : xarray.Dataset
        Of `dispersion_runs`.
    distances_px : array-like, shape (P,)
        Where the density of distances is wanted.

    Returns
    -------
    xarray.Dataset
        ``share`` (run_length), of all fixations; ``density`` (distance_px), per pixel, by a
        Gaussian kernel of Scott's width, mirrored at 0 since no distance is negative;
        ``mean_run_length``; ``n_runs``; ``n_saccades``.

    Raises
    ------
    InvalidInput
        If there are fewer than two different distances, or a point is below 0 or not finite.

    Examples
    --------
    >>> path = xr.DataArray([[[0.0, 0.0], [0.0, 1.0], [9.0, 1.0], [9.0, 8.0]]],
    ...                     {"coordinate": ["x", "y"]}, ("stimulus", "glimpse", "coordinate"))
    >>> run_densities(dispersion_runs(path, 2.0), [5.0])["share"].values.round(3)
    array([0.667, 0.333, 0.   , 0.   ])
    """
    from scipy.stats import gaussian_kde

    points = check_not_empty("distances_px", np.asarray(distances_px, dtype=np.float64))
    check_finite("distances_px", points)
    if points.ndim != 1 or (points < 0).any():
        raise InvalidInput(f"distances_px must be distances from 0 up; got {points.tolist()}.")
    lengths = runs["run_length"].values
    counts = np.bincount(lengths[lengths > 0], minlength=lengths.shape[1] + 1)[1:]
    distance = runs["distance"].values
    distance = distance[np.isfinite(distance)]
    if len(np.unique(distance)) < 2:
        raise InvalidInput(
            f"A density needs two different distances; the runs have {len(np.unique(distance))}. "
            "Take more paths or a smaller dispersion."
        )
    kernel = gaussian_kde(distance)
    return xr.Dataset(
        {
            "share": ("run_length", counts / counts.sum()),
            "density": ("distance_px", kernel(points) + kernel(-points)),
            "mean_run_length": ((), lengths.sum() / counts.sum()),
            "n_runs": ((), int(counts.sum())),
            "n_saccades": ((), len(distance)),
        },
        coords={"run_length": np.arange(1, len(counts) + 1), "distance_px": points},
        attrs=dict(runs.attrs),
    )
