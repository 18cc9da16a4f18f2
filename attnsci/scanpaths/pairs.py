"""All pairs of scanpaths against one metric, in bounded memory."""

import warnings
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from attnsci.checks import check_positive
from attnsci.errors import InvalidInput
from attnsci.gaze import frame_sizes, validate, viewing_of
from attnsci.scanpaths.measures.base import Metric, Paths, get_metric, registered

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr

CHUNK = 1024
"""Pairs at a time: a few MB an array, which stays in the cache's reach."""
MAX_CELLS = 2**22
"""Pairs × longest scanpath², at a time: long scanpaths go in smaller blocks."""


def metrics() -> "pd.DataFrame":
    """Return the registry: what each metric is, what it needs, and its settings.

    Returns
    -------
    pandas.DataFrame
        One row a metric, indexed by name: summary, orientation, lowest and highest value,
        symmetric, shortest (fixations), durations, components, unit, settings (with defaults),
        source.

    Examples
    --------
    >>> bool(metrics().loc["scanmatch", "symmetric"])
    True
    """
    import pandas as pd

    rows = {
        name: {
            "summary": metric.summary,
            "orientation": metric.orientation,
            "lowest": metric.bounds[0],
            "highest": metric.bounds[1],
            "symmetric": metric.symmetric,
            "shortest": metric.shortest,
            "durations": metric.durations,
            "components": ", ".join(metric.components),
            "unit": metric.unit,
            "settings": str(metric.settings()).partition("(")[2].removesuffix(")"),
            "source": metric.source,
        }
        for name, metric in registered().items()
    }
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("metric")


def plain_paths(scanpaths: "xr.Dataset") -> Paths:
    """Return the arrays that metrics see.

    Raises
    ------
    InvalidInput
        If the images differ in size: `attnsci.scanpaths.rescale` brings them into one frame.
    """
    width, height = frame_sizes(scanpaths)
    if len(width) and (np.ptp(width) or np.ptp(height)):
        raise InvalidInput(
            f"The images are {width.min():g} to {width.max():g} pixels wide. Metrics need one "
            "frame: rescale(scanpaths, width_px, height_px), or compare image by image."
        )
    viewing = viewing_of(scanpaths)
    x, y, duration = (scanpaths[name].to_numpy() for name in ("x", "y", "duration"))
    return Paths(
        x, y, duration, scanpaths["n_fixations"].to_numpy(),
        float(width[0]) if len(width) else viewing.width_px,
        float(height[0]) if len(height) else viewing.height_px,
        viewing.px_per_deg,
        scanpaths["image"].to_numpy(),
    )  # fmt: skip


class Scorer:
    """One metric with its settings, ready to score pairs of the scanpaths of two sets.

    Parameters
    ----------
    a, b : Paths
        The two sets; every scanpath is prepared once.
    metric : str
        Name in the registry.
    **settings
        Of the metric.

    Raises
    ------
    InvalidInput
        If the frames differ, a setting cannot be, or durations that it needs are missing.
    """

    def __init__(self, a: Paths, b: Paths, metric: str, **settings: Any) -> None:
        self.metric: Metric = get_metric(metric)
        self.settings = self.metric.configured(**settings)
        if (a.width_px, a.height_px) != (b.width_px, b.height_px):
            raise InvalidInput(
                f"One set is in a frame of {a.width_px:g}×{a.height_px:g} pixels, the other of "
                f"{b.width_px:g}×{b.height_px:g}. Bring one into the other's by rescale()."
            )
        self._a = self.metric.prepare(a, self.settings)
        self._b = self._a if b is a else self.metric.prepare(b, self.settings)
        self._length_a, self._length_b = a.length, b.length

    @property
    def n_values(self) -> int:
        """Values a pair."""
        return max(1, len(self.metric.components))

    def pairs(self, first: np.ndarray, second: np.ndarray, chunk: int = CHUNK) -> np.ndarray:
        """Return the values (P, components) of pairs of rows, NaN where undefined.

        Pairs are taken in order of length, so that a metric can cut the padding off each block.
        """
        check_positive("chunk", chunk, integer=True)
        first, second = np.asarray(first), np.asarray(second)
        out = np.full((len(first), self.n_values), np.nan)
        length_a, length_b = self._length_a[first], self._length_b[second]
        usable = np.flatnonzero(np.minimum(length_a, length_b) >= self.metric.shortest)
        longest = np.maximum(length_a, length_b)[usable]
        order = np.argsort(longest, kind="stable")
        for rows in _blocks(usable[order], longest[order], chunk):
            a = tuple(part[first[rows]] for part in self._a)
            b = tuple(part[second[rows]] for part in self._b)
            out[rows] = self.metric.score(a, b, self.settings).reshape(len(rows), -1)
        return out


def _blocks(rows: np.ndarray, longest: np.ndarray, size: int) -> Iterator[np.ndarray]:
    """Yield rows, which rise in length, `size` at a time and fewer where they are long."""
    start = 0
    while start < len(rows):
        stop = min(start + size, len(rows))
        while (stop - start) * int(longest[stop - 1]) ** 2 > MAX_CELLS and stop - start > 1:
            stop = start + (stop - start) // 2
        yield rows[start:stop]
        start = stop


def similarity(
    a: "xr.Dataset",
    b: "xr.Dataset | None" = None,
    metric: str = "multimatch",
    *,
    chunk: int = CHUNK,
    **settings: Any,
) -> "xr.DataArray":
    """Return the values of a metric for all pairs of scanpaths.

    Parameters
    ----------
    a, b : xarray.Dataset
        Scanpaths in one frame. Without `b`: all pairs within `a`.
    metric : str
        A name that `metrics` lists.
    chunk : int
        Pairs computed at a time; bounds the memory and changes no value.
    **settings
        Settings of the metric; see `metrics`.

    Returns
    -------
    xarray.DataArray
        Dims ``scanpath_a``, ``scanpath_b`` and, for a metric of several values, ``component``;
        coordinates ``image_a``, ``observer_a``, ``image_b``, ``observer_b``; attributes say
        what the metric is and how many pairs have no value (NaN).

    Raises
    ------
    UnknownName
        If there is no such metric.
    InvalidInput
        If the sets cannot be compared, or a setting cannot be.

    Examples
    --------
    >>> from attnsci.scanpaths import Viewing, from_dict
    >>> paths = from_dict({"a": {"s1": [[10, 5], [40, 30], [70, 50]],
    ...                          "s2": [[12, 5], [40, 28], [70, 50]]}}, Viewing(80, 60))
    >>> similarity(paths, metric="scanmatch").round(2).values.tolist()
    [[1.0, 0.9], [0.9, 1.0]]
    """
    import xarray as xr

    validate(a)
    left = plain_paths(a)
    right = left if b is None else plain_paths(validate(b))
    scorer = Scorer(left, right, metric, **settings)
    n, m = len(left.length), len(right.length)
    values = np.empty((n, m, scorer.n_values))
    if b is None and scorer.metric.symmetric:
        first, second = np.triu_indices(n)
        found = scorer.pairs(first, second, chunk)
        values[first, second] = values[second, first] = found
    else:
        first, second = (grid.ravel() for grid in np.indices((n, m)))
        values[:] = scorer.pairs(first, second, chunk).reshape(values.shape)
    undefined = int(np.isnan(values).any(2).sum())
    if undefined:
        warnings.warn(
            f"{metric} is not defined for {undefined} of {n * m} pairs (scanpaths too short, or "
            "nothing to count): they are NaN, and averages must skip them.",
            stacklevel=2,
        )
    dims = ["scanpath_a", "scanpath_b"]
    coords: dict[str, Any] = {}
    for side, scanpaths in (("a", a), ("b", a if b is None else b)):
        for name in ("image", "observer"):
            coords[f"{name}_{side}"] = (f"scanpath_{side}", scanpaths[name].to_numpy())
    if scorer.metric.components:
        dims.append("component")
        coords["component"] = list(scorer.metric.components)
    else:
        values = values[..., 0]
    attrs = {
        "metric": metric,
        "settings": str(scorer.settings),
        "orientation": scorer.metric.orientation,
        "units": scorer.metric.unit,
        "n_undefined": undefined,
        "viewing": a.attrs["viewing"],
    }
    return xr.DataArray(values, dims=dims, coords=coords, name=metric, attrs=attrs)
