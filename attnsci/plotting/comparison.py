"""Scores of scanpaths: all pairs as a matrix, and a model between its baselines and people."""

import re

import numpy as np
import xarray as xr
from matplotlib import rcParams
from matplotlib.axes import Axes
from matplotlib.patches import Patch
from matplotlib.transforms import ScaledTranslation

from attnsci.checks import check_dims
from attnsci.errors import InvalidInput
from attnsci.plotting.style import PALETTE, axes_or_new

SOURCES = {
    "model": ("o", PALETTE[0]),
    "human": ("D", "#000000"),
    "cross-image": ("s", PALETTE[6]),
    "shuffled": ("^", PALETTE[4]),
    "centre": ("v", PALETTE[3]),
    "uniform": ("P", PALETTE[2]),
}
"""Marker and colour of each source of scanpaths, in the order in which they are drawn."""
FARTHEST = 3.0
"""Greatest distance from 0 of a normalised score that is drawn in its place."""
_ANCHORS = ("cross-image", "human")
_NAMED_ROWS = 40


def plot_similarity(matrix: xr.DataArray, *, ax: Axes | None = None) -> Axes:
    """Draw the values of one metric for all pairs of scanpaths, bright where they are alike.

    Rows and columns are sorted by image, then observer. Undefined pairs are hatched grey. If
    both sides are the same set, the colours span the pairs of different scanpaths only, since
    those of a scanpath with itself would take up the scale.

    Parameters
    ----------
    matrix : xarray.DataArray, (scanpath_a, scanpath_b)
        As `attnsci.scanpaths.similarity` returns it, with coordinates ``image_a``,
        ``observer_a``, ``image_b`` and ``observer_b``; of its attributes ``metric``,
        ``orientation`` ("similarity" or "distance") and ``units`` label the colour bar.
    ax : Axes, optional
        Where to draw.

    Returns
    -------
    Axes

    Raises
    ------
    InvalidInput
        If there are several components, or no pair has a value.

    Examples
    --------
    >>> sides = {"image_a": ("scanpath_a", ["a", "a"]), "observer_a": ("scanpath_a", ["2", "1"]),
    ...          "image_b": ("scanpath_b", ["a"]), "observer_b": ("scanpath_b", ["m"])}
    >>> ax = plot_similarity(
    ...     xr.DataArray([[0.2], [0.4]], sides, ("scanpath_a", "scanpath_b"), "scanmatch")
    ... )
    >>> [label.get_text() for label in ax.get_yticklabels()]
    ['1', '2']
    """
    check_dims("matrix", matrix, ["scanpath_a", "scanpath_b"])
    if "component" in matrix.dims:
        raise InvalidInput(
            f"One component is drawn at a time; there are {matrix['component'].values.tolist()}. "
            "Choose by matrix.sel(component=...)."
        )
    matrix = matrix.transpose("scanpath_a", "scanpath_b")
    values = matrix.to_numpy()
    undefined = ~np.isfinite(values)
    if undefined.all():
        raise InvalidInput("No pair of scanpaths has a value; there is nothing to draw.")
    names_a, names_b = (_names(matrix, side) for side in "ab")
    compared = ~undefined
    if names_a == names_b:
        compared &= ~np.eye(len(values), dtype=bool)
    if not compared.any():
        compared = ~undefined
    low, high = values[compared].min(), values[compared].max()
    beyond = values[~undefined].min() < low, values[~undefined].max() > high
    rows, columns = _order(names_a), _order(names_b)

    ax = axes_or_new(ax)
    distance = matrix.attrs.get("orientation") == "distance"
    ax.patch.set(facecolor="0.85", hatch="////", edgecolor="0.6")
    shown = ax.imshow(
        np.ma.masked_invalid(values[np.ix_(rows, columns)]),
        cmap="viridis_r" if distance else "viridis",
        vmin=low,
        vmax=high,
        interpolation="nearest",
        aspect="equal" if 1 / 3 < len(rows) / len(columns) < 3 else "auto",
    )
    _label_sides(ax, [names_a[row] for row in rows], [names_b[column] for column in columns])
    extend = {(0, 0): "neither", (1, 0): "min", (0, 1): "max", (1, 1): "both"}[beyond]
    bar = ax.figure.colorbar(shown, ax=ax, extend=extend, shrink=0.8)
    bar.set_label(_bar_label(matrix))
    if undefined.any():
        ax.legend(
            handles=[Patch(facecolor="0.85", hatch="////", edgecolor="0.6", label="undefined")],
            loc="lower right",
            bbox_to_anchor=(1, 1),
            borderaxespad=0.2,
        )
    return ax


def plot_comparison(table: xr.Dataset, *, ax: Axes | None = None) -> Axes:
    """Draw a model's score beside people and baselines, a row for each metric.

    Each metric's own scale is shifted and stretched so that scanpaths of people on other images
    stand at 0 and people on the same image at 1: better is to the right, for distances too. The
    intervals are those of the table on that scale. The columns on the right give the numbers
    themselves. Where the intervals of the two anchors overlap the metric does not tell the same
    image from another; such a row is greyed, and has no points.

    Parameters
    ----------
    table : xarray.Dataset, (metric, source)
        ``mean``, ``low`` and ``high``; the sources "human" and "cross-image" are needed, others
        ("model", "shuffled", "centre", "uniform") are drawn if they are there. NaN: that source
        has no value of that metric.
    ax : Axes, optional
        Where to draw.

    Returns
    -------
    Axes
        A normalised score beyond ±3 is drawn at 3, with its value.

    Raises
    ------
    InvalidInput
        If a source is missing or unknown, or an interval runs backwards.

    Examples
    --------
    >>> value = xr.DataArray([[0.5, 0.6, 0.2]], {"metric": ["scanmatch"],
    ...     "source": ["model", "human", "cross-image"]}, ("metric", "source"))
    >>> table = xr.Dataset({"mean": value, "low": value - 0.02, "high": value + 0.02})
    >>> ax = plot_comparison(table)
    >>> round(float(ax.lines[0].get_xdata()[0]), 3)  # (0.5 - 0.2) / (0.6 - 0.2)
    0.75
    """
    sources = _checked_sources(table)
    value, low, high = (
        table[name].transpose("metric", "source").sel(source=sources).to_numpy().astype(float)
        for name in ("mean", "low", "high")
    )
    cross, human = (sources.index(name) for name in _ANCHORS)
    separates = (low[:, human] > high[:, cross]) | (high[:, human] < low[:, cross])
    zero = value[:, [cross]]
    unit = np.where(separates, value[:, human] - value[:, cross], np.nan)[:, None]
    score, one_end, other_end = ((bound - zero) / unit for bound in (value, low, high))
    lower, upper = np.fmin(one_end, other_end), np.fmax(one_end, other_end)

    ax = axes_or_new(ax)
    rows = np.arange(len(value), dtype=float)
    dodge = np.linspace(-0.3, 0.3, len(sources)) if len(sources) > 1 else [0.0]
    for column, source in enumerate(sources):
        marker, colour = SOURCES[source]
        y = rows + dodge[column]
        place = np.clip(score[:, column], -FARTHEST, FARTHEST)
        ends = (np.clip(end[:, column], -FARTHEST, FARTHEST) for end in (lower, upper))
        ax.plot(
            place, y, marker, ms=5 if source == "model" else 4, color=colour, label=source,
            zorder=4 if source == "model" else 3,
        )  # fmt: skip
        ax.hlines(y, *ends, color=colour, lw=1, zorder=2)
        for row in np.flatnonzero(np.abs(score[:, column]) > FARTHEST):
            ax.annotate(
                f"{score[row, column]:.1f}".replace("-", "−"), (place[row], y[row]), (5, 0),
                textcoords="offset points", fontsize=6, va="center", color=colour,
            )  # fmt: skip
    for anchor in (0, 1):
        ax.axvline(anchor, color="0.6", lw=0.8, ls="--", zorder=1)
    for blurred in rows[~separates].tolist():
        ax.axhspan(blurred - 0.45, blurred + 0.45, color="0.92", lw=0, zorder=0)
        ax.text(
            0.5, blurred, "does not tell the same image from others", ha="center", va="center",
            fontsize=6, color="0.3", transform=ax.get_yaxis_transform(),
        )  # fmt: skip
    ax.set_yticks(rows, [str(name).replace("_", " ") for name in table["metric"].values])
    ax.set_ylim(len(rows) - 0.5, -0.5)
    ax.hlines(rows[1:] - 0.5, 0, 1, color="0.9", lw=0.6, transform=ax.get_yaxis_transform())
    ax.set_xlabel("normalised score\n(0: people on other images, 1: people on the same image)")
    _write_numbers(ax, sources, value, low, high)
    above_numbers = ScaledTranslation(0, 12 / 72, ax.figure.dpi_scale_trans)
    ax.legend(
        loc="lower left",
        bbox_to_anchor=(0, 1),
        bbox_transform=ax.transAxes + above_numbers,
        ncols=len(sources),
        columnspacing=1,
        borderaxespad=0,
    )
    return ax


def _names(matrix: xr.DataArray, side: str) -> list[tuple[str, str]]:
    both = (matrix[f"{name}_{side}"].to_numpy().astype(str) for name in ("image", "observer"))
    return list(zip(*(names.tolist() for names in both), strict=True))


def _natural(text: str) -> list[str | int]:
    """Return a key that sorts observer 2 before observer 10."""
    return [int(part) if part.isdigit() else part for part in re.split(r"(\d+)", text)]


def _order(names: list[tuple[str, str]]) -> list[int]:
    return sorted(range(len(names)), key=lambda at: [_natural(part) for part in names[at]])


def _label_sides(ax: Axes, names_a: list[tuple[str, str]], names_b: list[tuple[str, str]]) -> None:
    """Name observers where there is room, images at the middle of theirs, a line between them."""
    for axis, names, rule in ((ax.yaxis, names_a, ax.axhline), (ax.xaxis, names_b, ax.axvline)):
        images = np.array([image for image, _ in names])
        starts = np.flatnonzero(np.r_[True, images[1:] != images[:-1]])
        ends = np.r_[starts[1:], len(names)]
        for start in starts[1:]:
            rule(start - 0.5, color="w", lw=0.8)
        turn = 90 if axis is ax.xaxis else 0
        middle = (starts + ends - 1) / 2
        if len(names) > _NAMED_ROWS:
            axis.set_ticks(middle, images[starts].tolist(), rotation=turn)
            axis.set_label_text("image")
        else:
            axis.set_ticks(np.arange(len(names)), [who for _, who in names], rotation=turn)
            axis.set_label_text(f"observer, image {images[0]}")
            if len(starts) > 1:
                axis.set_label_text("observer, image")
                beside = ax.secondary_yaxis if axis is ax.yaxis else ax.secondary_xaxis
                outer = beside(-0.09)
                outer_axis = outer.yaxis if axis is ax.yaxis else outer.xaxis
                outer_axis.set_ticks(middle, images[starts])
                outer.tick_params(length=0)
                outer.spines[:].set_visible(False)
                axis.labelpad = 1.6 * rcParams["font.size"] + 6


def _bar_label(matrix: xr.DataArray) -> str:
    name = str(matrix.attrs.get("metric", matrix.name or "value")).replace("_", " ")
    if "component" in matrix.coords:
        name += f", {matrix['component'].item()}"
    facts = [matrix.attrs[key] for key in ("orientation", "units") if matrix.attrs.get(key)]
    return f"{name} ({', '.join(facts)})" if facts else name


def _checked_sources(table: xr.Dataset) -> list[str]:
    """Return the sources of the table in the order of drawing, or raise."""
    for name in ("mean", "low", "high"):
        if name not in table:
            raise InvalidInput(f"table needs mean, low and high; it has {list(table.data_vars)}.")
    check_dims("table", table, ["metric", "source"])
    given = table["source"].to_numpy().astype(str).tolist()
    unknown = [name for name in given if name not in SOURCES]
    missing = [name for name in _ANCHORS if name not in given]
    if unknown or missing:
        raise InvalidInput(
            f"The sources are {given}; {_ANCHORS} are needed, and all must be among "
            f"{list(SOURCES)}."
        )
    wrong = table["low"] > table["high"]
    if wrong.any():
        metric, source = np.argwhere(wrong.transpose("metric", "source").to_numpy())[0]
        cell = table.isel(metric=metric, source=source)
        raise InvalidInput(
            f"The interval of {cell['source'].item()!r} on {cell['metric'].item()!r} runs from "
            f"{float(cell['low']):g} down to {float(cell['high']):g}."
        )
    return [name for name in SOURCES if name in given]


def _write_numbers(
    ax: Axes, sources: list[str], value: np.ndarray, low: np.ndarray, high: np.ndarray
) -> None:
    """Write the values themselves, with their intervals, to the right of the axes."""
    shown = [name for name in ("model", *reversed(_ANCHORS)) if name in sources]
    for place, source in enumerate(shown):
        column = sources.index(source)
        texts = [source] + [
            "–" if np.isnan(middle) else f"{middle:.3g} [{left:.3g}, {right:.3g}]"
            for middle, left, right in zip(
                value[:, column], low[:, column], high[:, column], strict=True
            )
        ]
        for row, text in enumerate(texts, start=-1):
            ax.annotate(
                text, (1, max(row, -0.5)), (8 + 84 * place, 3 if row < 0 else 0),
                xycoords=ax.get_yaxis_transform(), textcoords="offset points", fontsize=6,
                va="bottom" if row < 0 else "center", weight="bold" if row < 0 else "normal",
                annotation_clip=False,
            )  # fmt: skip
