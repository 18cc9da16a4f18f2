"""Curves and points with their intervals, attended in blue and unattended in vermilion."""

import numpy as np
import pandas as pd
import xarray as xr
from matplotlib.axes import Axes

from attnsci.checks import check_dims
from attnsci.errors import InvalidInput
from attnsci.plotting.style import ATTENDED, UNATTENDED, axes_or_new

ATTENTION_COLOURS = {"attended": ATTENDED, "unattended": UNATTENDED}


def plot_tuning(curves: xr.DataArray, *, ax: Axes | None = None) -> Axes:
    """Draw one unit's tuning curve; if it comes with them, attended and unattended.

    Parameters
    ----------
    curves : xarray.DataArray, (orientation_deg) or (attention, orientation_deg)
        Activation; ``attention`` holds "attended" and "unattended".
    ax : Axes, optional
        Where to draw.

    Returns
    -------
    Axes

    Raises
    ------
    InvalidInput
        If there are several units, or not both conditions.
    """
    check_dims("curves", curves, ["orientation_deg"])
    others = [str(dim) for dim in curves.dims if dim not in ("attention", "orientation_deg")]
    if others:
        raise InvalidInput(
            f"One unit is drawn at a time, and curves has {', '.join(others)}, too. Choose one: "
            f"curves.isel({others[0]}=0)."
        )
    ax = axes_or_new(ax)
    if "attention" in curves.dims:
        given = curves["attention"].values.tolist()
        if set(given) != set(ATTENTION_COLOURS):
            raise InvalidInput(f"attention must hold {list(ATTENTION_COLOURS)}; got {given}.")
        for attention, colour in ATTENTION_COLOURS.items():
            curve = curves.sel(attention=attention)
            ax.plot(curve["orientation_deg"], curve, color=colour, label=attention)
        ax.legend()
    else:
        ax.plot(curves["orientation_deg"], curves)
    ax.set_xlim(0, 180)
    ax.set_xticks([0, 90, 180])
    ax.set_ylim(bottom=0)
    ax.set(xlabel="orientation (°)", ylabel="activation")
    return ax


def plot_gain(
    attended: xr.DataArray,
    unattended: xr.DataArray,
    *,
    built_in: float | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Draw attended against unattended responses, a point for each unit and condition.

    Parameters
    ----------
    attended, unattended : xarray.DataArray
        Responses of the same units, paired by dimension and coordinate, whatever their order.
    built_in : float, optional
        Gain that the training target asks for, drawn as a dashed line.
    ax : Axes, optional
        Where to draw.

    Returns
    -------
    Axes

    Raises
    ------
    InvalidInput
        If the units or conditions of the two differ.
    """
    if attended.sizes != unattended.sizes:
        raise InvalidInput(
            "attended and unattended must hold the same units; got "
            f"{dict(attended.sizes)} and {dict(unattended.sizes)}."
        )
    ax = axes_or_new(ax)
    attended, unattended = xr.align(attended, unattended, join="exact")
    x, y = np.ravel(unattended.transpose(*attended.dims)), np.ravel(attended)
    ax.plot(x, y, ".", ms=1.5, alpha=0.35, color=ATTENDED, rasterized=True)
    limit = max(float(x.max(initial=0)), float(y.max(initial=0))) * 1.05 or 1.0
    ax.axline((0, 0), slope=1, color="0.6", lw=0.8, label="no change")
    if built_in is not None:
        ax.axline(
            (0, 0), slope=built_in, color="k", lw=0.8, ls="--", label=f"input × {built_in:.3g}"
        )
    ax.set(xlim=(0, limit), ylim=(0, limit), xlabel="unattended", ylabel="attended")
    ax.set_aspect("equal")
    # Attention mostly adds, so that this corner is the emptiest.
    ax.legend(loc="lower right")
    return ax


def plot_histograms(values: xr.DataArray, dim: str, *, label: str, ax: Axes | None = None) -> Axes:
    """Draw a histogram of `values` for each entry of `dim`, on common bins.

    Parameters
    ----------
    values : xarray.DataArray
        Numbers with dimension `dim`; NaN is left out.
    dim : str
        Whose entries are compared, for example ``"attention"``.
    label : str
        Label of the horizontal axis.
    ax : Axes, optional
        Where to draw.

    Returns
    -------
    Axes
    """
    ax = axes_or_new(ax)
    bins = np.linspace(float(values.min()), float(values.max()), 41).tolist()
    for name in values[dim].values:
        sample = values.sel({dim: name}).values.ravel()
        ax.hist(
            sample[np.isfinite(sample)],
            bins,
            alpha=0.75,
            label=str(name).replace("_", " "),
            color=ATTENTION_COLOURS.get(str(name)),
        )
    ax.set(xlabel=label, ylabel="scenes")
    ax.legend()
    return ax


def plot_estimates(
    table: pd.DataFrame,
    label: str,
    value: str = "estimate",
    *,
    colour: str = ATTENDED,
    ax: Axes | None = None,
) -> Axes:
    """Draw a point with its interval for each row, the first row on top.

    Parameters
    ----------
    table : pandas.DataFrame
        With columns `label`, `value`, ``low``, ``high``.
    label, value : str
        Columns of the names and of the points.
    colour : str
        Of points and intervals.
    ax : Axes, optional
        Where to draw.

    Returns
    -------
    Axes
    """
    ax = axes_or_new(ax)
    rows = np.arange(len(table))
    ax.hlines(rows, table["low"], table["high"], color=colour)
    ax.plot(table[value], rows, "o", ms=3, color=colour)
    ax.set_yticks(rows, table[label].astype(str))
    ax.set_ylim(len(table) - 0.5, -0.5)
    ax.grid(axis="x", color="0.9")
    return ax


def plot_lines(
    table: pd.DataFrame,
    x: str,
    by: str,
    value: str = "estimate",
    *,
    ax: Axes | None = None,
) -> Axes:
    """Draw `value` against `x`, a line with its band for each entry of `by`.

    Parameters
    ----------
    table : pandas.DataFrame
        Tidy; ``low`` and ``high`` are drawn as a band if they are there.
    x, by, value : str
        Columns.
    ax : Axes, optional
        Where to draw.

    Returns
    -------
    Axes
    """
    ax = axes_or_new(ax)
    for name, rows in table.groupby(by):
        (line,) = ax.plot(rows[x], rows[value], marker="o", ms=2, label=f"{by} {name}")
        if "low" in rows:
            ax.fill_between(rows[x], rows["low"], rows["high"], alpha=0.2, color=line.get_color())
    ax.legend()
    return ax
