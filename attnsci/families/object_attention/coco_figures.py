"""The figures of the photograph half, drawn from datasets and tables alone."""

import itertools
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from attnsci.plotting.curves import ATTENTION_COLOURS, plot_histograms, plot_tuning
from attnsci.plotting.scenes import draw_gallery, plot_image
from attnsci.plotting.style import ATTENDED, PAGE_MM, PALETTE, UNATTENDED, figure

N_UNITS = 10
_COLUMNS = 15


def draw_galleries(digits: xr.Dataset, photographs: xr.Dataset) -> Figure:
    """Draw scenes of digits above photographs, phase by phase: the paper's examples."""
    drawn = figure(PAGE_MM, 18 * digits.sizes["stimulus"] + 24 * photographs.sizes["stimulus"] + 36)
    heights = [16 * digits.sizes["stimulus"] + 16, 25 * photographs.sizes["stimulus"] + 16]
    panels = drawn.subfigures(2, 1, height_ratios=heights, squeeze=False)[:, 0]
    for panel, examples in zip(panels, (digits, photographs), strict=True):
        draw_gallery(examples, panel)
    return drawn


def draw_gates(digits: xr.Dataset, photographs: xr.Dataset) -> Figure:
    """Draw the paper's gate histograms, of digits and of photographs side by side."""
    drawn = figure(PAGE_MM, 60)
    for ax, (name, shown) in zip(
        drawn.subplots(1, 2), {"digits": digits, "photographs": photographs}.items(), strict=True
    ):
        plot_histograms(shown["gate_published"], "attention", label="mean gate in a scene", ax=ax)
        ax.set(title=f"{name}, n = {shown.sizes['stimulus']:,}", xlim=(-0.2, 1.05))
    return drawn


def draw_inhibition(shown: xr.Dataset) -> Figure:
    """Draw where each level is inhibited after each phase: shares over photographs."""
    n_phases, levels = shown.sizes["phase"], shown["level"].values
    drawn = figure(PAGE_MM, 45 * n_phases + 12)
    axes = drawn.subplots(n_phases, len(levels), squeeze=False)
    for row, phase in zip(axes, shown["phase"].values, strict=True):
        for ax, level in zip(row, levels, strict=True):
            where = shown[f"inhibited_{level}"].sel(phase=phase)
            plot_image(where, cmap="magma", ax=ax)
            ax.set_title(f"level {level}, after phase {phase}: {float(where.mean()):.2f}", pad=2)
    bar = drawn.colorbar(axes[0, 0].images[0], ax=axes, location="bottom", shrink=0.3, aspect=30)
    bar.set_label("share of photographs and channels inhibited")
    return drawn


def draw_confusion(counts: xr.DataArray) -> Figure:
    """Draw the confusion, each true class adding up to 1; counts beside the names."""
    shown = counts.sum("told")
    present = counts.isel(label=np.flatnonzero(shown > 0))
    share = present / present.sum("told")
    drawn = figure(PAGE_MM * 0.62, PAGE_MM * 0.5)
    ax = drawn.subplots()
    image = ax.imshow(share, vmin=0, vmax=1, cmap="viridis", aspect="auto")
    rows = [f"{row['label'].item()} ({int(row.sum())})" for row in present]
    ax.set_yticks(np.arange(len(rows)), rows)
    ax.set_xticks(np.arange(counts.sizes["told"]), counts["told"].values.tolist(), rotation=60)
    ax.set(xlabel="class named", ylabel="class attended (phases)")
    ax.spines[:].set_visible(False)
    drawn.colorbar(image, ax=ax, label="share of the row")
    return drawn


def draw_scores(scores: pd.DataFrame) -> Figure:
    """Draw the scores of all networks beside those of their controls.

    Parameters
    ----------
    scores : pandas.DataFrame
        Of `with_means_over_seeds`, for one rule: of networks trained here, or of all others.
    """
    attended = scores[scores["assignment"] == "attended"]
    conditions, networks = (attended[key].unique().tolist() for key in ("condition", "network"))
    drawn = figure(PAGE_MM, 22 + 4 * len(conditions) * len(networks))
    colours = dict(zip(networks, itertools.cycle(PALETTE), strict=False))
    titles = {"balanced_accuracy": "balanced accuracy", "macro_f1": "macro F1"}
    axes = drawn.subplots(1, 2, sharey=True)
    for ax, (measure, title) in zip(axes, titles.items(), strict=True):
        for row in attended[attended["measure"] == measure].itertuples():
            place = conditions.index(row.condition)
            shift = (networks.index(row.network) - (len(networks) - 1) / 2) * 0.16
            mean = row.unit == "networks"
            colour = "black" if mean else colours[row.network]
            ax.hlines(place + shift, row.low, row.high, color=colour, lw=1.5 if mean else 1)
            ax.plot(row.estimate, place + shift, "D" if mean else "o", ms=3, color=colour)
        ax.set_yticks(range(len(conditions)), conditions)
        ax.grid(axis="x", color="0.9")
        ax.set(xlabel=title, ylim=(len(conditions) - 0.5, -0.5))
        ax.axvline(0, color="0.5", lw=0.8)
    handles = [
        Line2D([], [], marker="D" if "mean" in name else "o", ms=3, label=name,
               color="black" if "mean" in name else colours[name])
        for name in networks
    ]  # fmt: skip
    drawn.legend(handles=handles, loc="outside upper center", ncols=min(len(networks), 5))
    return drawn


def tuning_units(bars: xr.Dataset, level: int) -> xr.DataArray:
    """Return the tuning curve of every channel, at the place where orientation changes it most.

    Returns
    -------
    xarray.DataArray, (channel, attention, orientation_deg)
        Mean activation over stimuli, 0° repeated as 180°; coordinates ``channel``, ``y``, ``x``.
        Not the largest, as with digits: one stimulus of which the network attends the other
        object first would make a peak.
    """
    cells = {f"{axis}_{level}": axis for axis in ("channel", "y", "x")}
    curves = bars[f"level_{level}"].sel(statistic="mean", drop=True).rename(cells)
    change, peak = _modulation(curves), curves.max(["attention", "orientation_deg"])
    place = change.where(change.max(["y", "x"]) > 0, peak).argmax(["y", "x"])
    best = curves.isel({str(axis): index for axis, index in place.items()})
    where: dict[str, Any] = {str(axis): ("channel", index.values) for axis, index in place.items()}
    best = best.assign_coords(channel=np.arange(best.sizes["channel"]), **where)
    first = best.isel(orientation_deg=[0])
    again = first.assign_coords(orientation_deg=first["orientation_deg"] + 180)
    whole = xr.concat([best, again], "orientation_deg", join="exact")
    return whole.transpose("channel", "attention", "orientation_deg")


def _modulation(curves: xr.DataArray) -> xr.DataArray:
    """Return by how much orientation changes the response, in the condition where it does most."""
    span = curves.max("orientation_deg") - curves.min("orientation_deg")
    return span.max("attention")


def most_tuned(units: xr.DataArray, n: int = N_UNITS) -> xr.DataArray:
    """Return the `n` units that orientation changes most, in the order of their channels."""
    order = np.argsort(-_modulation(units).values, kind="stable")
    return units.isel(channel=np.sort(order[:n]))


def draw_tuning(bars: xr.Dataset, levels: Mapping[int, int]) -> Figure:
    """Draw orientation tuning of the channels of each level that orientation changes most.

    Parameters
    ----------
    bars : xarray.Dataset
        Of `show_bars`.
    levels : mapping of int to int
        Level to its number of channels.
    """
    drawn = figure(PAGE_MM, 42 * len(levels))
    panels = drawn.subfigures(len(levels), 1, squeeze=False)[:, 0]
    for (level, n_channels), panel in zip(levels.items(), panels, strict=True):
        units = most_tuned(tuning_units(bars, level))
        panel.suptitle(
            f"level {level}: {units.sizes['channel']} of {n_channels} channels", fontsize=7
        )
        axes = panel.subplots(2, N_UNITS // 2, sharex=True)
        for ax, unit in zip(axes.flat, units, strict=False):
            plot_tuning(unit, ax=ax).legend().remove()  # one for all stands above
            ax.set_title(f"channel {int(unit['channel'])}", pad=2)
            ax.set(xlabel="", ylabel="")
        panel.supxlabel("orientation (°)", fontsize=7)
        panel.supylabel("mean activation (scales differ)", fontsize=7)
        if level == min(levels):
            handles, labels = axes.flat[0].get_legend_handles_labels()
    drawn.legend(handles, labels, loc="upper right", ncols=2)
    return drawn


def draw_all_tuning(bars: xr.Dataset, levels: Mapping[int, int]) -> Figure:
    """Draw orientation tuning of every channel of every level, each up to its own maximum."""
    rows = {level: -(-n_channels // _COLUMNS) for level, n_channels in levels.items()}
    drawn = figure(PAGE_MM, 8.5 * sum(rows.values()) + 9 * len(levels) + 6)
    heights = [n + 1 for n in rows.values()]
    panels = drawn.subfigures(len(levels), 1, height_ratios=heights, squeeze=False)[:, 0]
    for (level, n_rows), panel in zip(rows.items(), panels, strict=True):
        units = tuning_units(bars, level)
        peak = units.max(["attention", "orientation_deg"])
        silent = int((peak == 0).sum())
        panel.suptitle(f"level {level}: all {len(peak)} channels, silent {silent}", fontsize=7)
        # Axes of their own for every channel would take a minute to lay out.
        ax = panel.subplots()
        for place, unit in enumerate((units / peak.where(peak > 0)).fillna(0)):
            row, column = divmod(place, _COLUMNS)
            x = column + 0.85 * unit["orientation_deg"] / 180
            for name, colour in ATTENTION_COLOURS.items():
                y = 0.8 * unit.sel(attention=name) - row
                ax.plot(x, y, color=colour, lw=0.8)
            ax.plot([column, column + 0.85], [-row, -row], color="0.7", lw=0.5)
            ax.text(column, 0.72 - row, str(place), fontsize=4, color="0.4")
        ax.set(xlim=(-0.1, _COLUMNS), ylim=(0.9 - n_rows, 0.95), yticks=[])
        ax.set_xticks([0, 0.425, 0.85], ["0", "90", "180°"])
        ax.spines[["left", "bottom"]].set_visible(False)
    drawn.supylabel("mean activation, each channel up to its maximum", fontsize=7)
    handles = [Line2D([], [], color=c, label=name) for name, c in ATTENTION_COLOURS.items()]
    drawn.legend(handles=handles, loc="upper right", ncols=2)
    return drawn


def draw_categories(units: pd.DataFrame, levels: pd.DataFrame) -> Figure:
    """Draw how well channels tell categories apart: of the attended object, and of the other."""
    drawn = figure(PAGE_MM, 60)
    left, right = drawn.subplots(1, 2, width_ratios=[1, 1.3])
    colours = {"attended": ATTENDED, "other": UNATTENDED}
    for shift, (role, colour) in zip((-0.12, 0.12), colours.items(), strict=True):
        rows = levels[(levels["object"] == role) & levels["estimate"].notna()]
        place = rows["level"] + shift
        left.vlines(place, rows["low"], rows["high"], color=colour)
        left.plot(place, rows["estimate"], "o", ms=4, color=colour, label=f"{role} object")
    left.axhline(0, color="0.5", lw=0.8)
    left.set(xlabel="level", ylabel="mean d′ of preferred category,\nheld out")
    left.set_xticks(sorted(levels["level"].unique()))
    left.legend()
    if len(units):
        attended = units[units["object"] == "attended"]
        counts = pd.crosstab(attended["preferred"], attended["level"], normalize="columns")
        bottom = np.zeros(counts.shape[1])
        for name, share in counts.iterrows():
            right.bar(counts.columns, share, bottom=bottom, label=str(name))
            bottom += share.to_numpy()
        right.set(xlabel="level", ylabel="share of channels that prefer")
        right.set_xticks(counts.columns.tolist())
        right.legend(loc="upper left", bbox_to_anchor=(1, 1))
    return drawn
