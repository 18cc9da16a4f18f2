"""Inhibition of return beside its baselines, return saccades in saccade space, and momentum."""

import textwrap

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.ticker import FuncFormatter, NullLocator

from attnsci.checks import check_dims
from attnsci.errors import InvalidInput
from attnsci.plotting.style import ATTENDED, GATE_CMAP, PAGE_MM, UNATTENDED, axes_or_new, figure

FEWER, MORE, NEITHER = ATTENDED, UNATTENDED, "#666666"
"""Colours of fewer returns than expected, of more, and of an interval that holds 0."""
COLUMNS = 3
MAP_LIMIT = 4
"""The map's colours reach from a fourth of the control to four times it."""


def plot_index(result: xr.Dataset, *, limit: float = 1.0, ax: Axes | None = None) -> Axes:
    """Draw the index of inhibition by lag against one baseline, with its intervals.

    Parameters
    ----------
    result : xarray.Dataset, (lag,)
        ``index``, ``low`` and ``high``, the coordinates ``baseline``, ``number`` and ``asks``:
        one baseline and one radius of `attnsci.analysis.inhibition.all_baselines`.
    limit : float
        The vertical axis reaches from minus to plus this.
    ax : Axes, optional
        Where to draw.

    Returns
    -------
    Axes

    Raises
    ------
    InvalidInput
        If several baselines or radii are left.
    """
    result = _one(result, "radius", "baseline")
    ax = axes_or_new(ax)
    lag, index, low, high = (result[name].to_numpy() for name in ("lag", "index", "low", "high"))
    ax.axhline(0, color="0.7", lw=0.8, zorder=0)
    ax.plot(lag, index, color="0.8", lw=0.8, zorder=1)
    signs = {"fewer returns": (high < 0, FEWER), "more returns": (low > 0, MORE)}
    signs["not told apart"] = (~((high < 0) | (low > 0)), NEITHER)
    for label, (which, colour) in signs.items():
        ax.vlines(lag[which], low[which], high[which], color=colour, lw=1.4)
        ax.plot(lag[which], index[which], "o", ms=3, color=colour, label=label)
    name = str(result["baseline"].item()).replace("_", " ")
    asks = textwrap.fill(str(result["asks"].item()), 42)
    ax.set_title(f"B{int(result['number'])} {name}", loc="left", pad=19, fontweight="bold")
    ax.text(0, 1.02, asks, transform=ax.transAxes, va="bottom", fontsize="small", color="0.35")
    ax.set_xticks(lag)
    ax.set(xlabel="lag (fixations)", ylabel="index", ylim=(-limit, limit))
    return ax


def plot_baselines(result: xr.Dataset) -> Figure:
    """Draw the index of inhibition by lag against every baseline, side by side.

    Parameters
    ----------
    result : xarray.Dataset, (baseline, lag)
        One radius of `attnsci.analysis.inhibition.all_baselines`.

    Returns
    -------
    Figure

    Raises
    ------
    InvalidInput
        If several radii are left.
    """
    check_dims("result", result, ["baseline", "lag"])
    result = _one(result, "radius")
    n = result.sizes["baseline"]
    rows = -(-n // COLUMNS)
    drawn = figure(PAGE_MM, 50 * rows + 12)
    axes = drawn.subplots(rows, COLUMNS, sharex=True, sharey=True, squeeze=False)
    ends = np.abs([result["low"].to_numpy(), result["high"].to_numpy()])
    limit = min(1.0, 1.1 * float(np.nanmax(ends))) if np.isfinite(ends).any() else 1.0
    for i, ax in enumerate(axes.flat):
        if i >= n:
            ax.remove()
            continue
        plot_index(result.isel(baseline=i), limit=limit, ax=ax)
        # The last of each column carries the axis, also above a place that stays empty.
        below = i + COLUMNS >= n
        ax.tick_params(labelbottom=below)
        ax.set_xlabel("lag (fixations)" if below else "")
        ax.set_ylabel("fewer ← index → more" if i % COLUMNS == 0 else "")
    handles, labels = axes[0, 0].get_legend_handles_labels()
    drawn.legend(handles, labels, loc="outside lower center", ncols=3)
    drawn.suptitle(f"Returns within {_radius_text(result)}, against each baseline")
    return drawn


def plot_saccade_map(result: xr.Dataset, *, ax: Axes | None = None) -> Axes:
    """Draw observed over control pairs of saccades by turning angle and amplitude change.

    Parameters
    ----------
    result : xarray.Dataset, (amplitude_change_deg, turn_deg)
        Of `attnsci.analysis.saccade_space.saccade_map`; its ``ratio`` is drawn, and outlines of
        the return box and the forward box (20°, 1°).
    ax : Axes, optional
        Where to draw.

    Returns
    -------
    Axes
    """
    check_dims("result", result, ["amplitude_change_deg", "turn_deg"])
    ax = axes_or_new(ax)
    ratio = result["ratio"].transpose("amplitude_change_deg", "turn_deg")
    # Bins that nobody reached are 0 and have no logarithm: they take the colour of the lowest.
    shown = np.clip(ratio.to_numpy(), 1 / MAP_LIMIT, MAP_LIMIT)
    ax.set_facecolor("0.85")
    mesh = ax.pcolormesh(
        ratio["turn_deg"],
        ratio["amplitude_change_deg"],
        np.ma.masked_invalid(shown),
        cmap=f"{GATE_CMAP}_r",
        norm=LogNorm(1 / MAP_LIMIT, MAP_LIMIT),
        rasterized=True,
    )
    for left in (0, 160):
        ax.add_patch(Rectangle((left, -1), 20, 2, fill=False, ec="k", lw=0.8))
    control = str(result.attrs["baseline"]).replace("_", " ")
    ticks = [1 / MAP_LIMIT, 0.5, 1, 2, MAP_LIMIT]
    bar = ax.figure.colorbar(
        mesh, ax=ax, ticks=ticks, format=FuncFormatter(lambda value, _: f"{value:g}")
    )
    bar.ax.yaxis.set_minor_locator(NullLocator())
    bar.set_label(f"observed / {control}")
    ax.set(
        xticks=[0, 45, 90, 135, 180],
        xlabel="|turning angle| (°), 0 straight on",
        ylabel="amplitude change (°)",
    )
    return ax


def plot_momentum(result: xr.Dataset, *, ax: Axes | None = None) -> Axes:
    """Draw the duration of fixations by the turn they precede, and those before returns.

    Parameters
    ----------
    result : xarray.Dataset
        Of `attnsci.analysis.momentum.momentum`.
    ax : Axes, optional
        Where to draw.

    Returns
    -------
    Axes
    """
    check_dims("result", result, ["turn_deg", "group"])
    ax = axes_or_new(ax)
    turn = result["turn_deg"]
    ax.fill_between(
        turn,
        1000 * result["duration_low"],
        1000 * result["duration_high"],
        color=ATTENDED,
        alpha=0.2,
        lw=0,
    )
    ax.plot(turn, 1000 * result["duration"], "o-", ms=3, color=ATTENDED, label="all pairs")
    back = 180 - result.attrs["box_turn_deg"] / 2
    boxes = result["box_duration"]
    ax.plot(
        [back],
        [1000 * float(boxes.sel(group="return"))],
        "s",
        ms=5,
        color=UNATTENDED,
        label="return box",
    )
    ax.plot(
        [back],
        [1000 * float(boxes.sel(group="other turn back"))],
        "s",
        ms=5,
        mfc="none",
        color=UNATTENDED,
        label="as sharp, other amplitude",
    )
    ax.set(
        xlim=(0, 180),
        xticks=[0, 45, 90, 135, 180],
        xlabel="|turning angle| (°), 0 straight on",
        ylabel="fixation duration (ms)",
    )
    # Above the axes: the points leave no corner free.
    ax.legend(loc="lower left", bbox_to_anchor=(0, 1), borderaxespad=0.2)
    return ax


def _one(result: xr.Dataset, *dims: str) -> xr.Dataset:
    for dim in dims:
        if dim in result.dims:
            if result.sizes[dim] > 1:
                raise InvalidInput(
                    f"The figure shows one {dim} and the result has {result.sizes[dim]}; choose "
                    f"it with .isel({dim}=0)."
                )
            result = result.isel({dim: 0})
    return result


def _radius_text(result: xr.Dataset) -> str:
    if "radius_deg" in result.coords:
        return f"{float(result['radius_deg']):g}°"
    text = f"{float(result['radius_px']):g} px"
    if "radius_patch" in result.coords:
        text += f" ({float(result['radius_patch']):g} glimpses)"
    return text
