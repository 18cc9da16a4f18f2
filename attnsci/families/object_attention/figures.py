"""The figures of the paper and of its controls, drawn from datasets and tables alone."""

import numpy as np
import pandas as pd
import xarray as xr
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from attnsci.data.bars import DISTRACTOR_COLUMN
from attnsci.plotting.curves import (
    plot_estimates,
    plot_gain,
    plot_histograms,
    plot_lines,
    plot_tuning,
)
from attnsci.plotting.style import ATTENDED, PAGE_MM, UNATTENDED, figure

UNITS = {1: (12, 8), 2: (4, 3)}
"""Position (row, column) of the units that the paper plots, by level."""
N_UNITS = 12
SIDES = ("left", "right")


def receptive_field_centre(level: int, n_columns: int) -> np.ndarray:
    """Return the pixel column at the centre of each unit's receptive field."""
    # 4-pixel kernels, the second on a map that was pooled by 2.
    return np.arange(n_columns) + 1.5 if level == 1 else 2 * np.arange(n_columns) + 5.0


def tuning_units(bars: xr.Dataset, level: int, n: int = N_UNITS) -> xr.DataArray:
    """Return the curves of the `n` most responsive channels at the published position.

    Returns
    -------
    xarray.DataArray, (channel, attention, orientation_deg)
        Largest activation over stimuli, 0° repeated as 180°.
    """
    y, x = UNITS[level]
    curves = bars[f"level_{level}"].sel(statistic="max", drop=True)
    curves = curves.isel({f"y_{level}": y, f"x_{level}": x}).rename({f"channel_{level}": "channel"})
    strongest = curves.max(["attention", "orientation_deg"]).argsort().values[::-1][:n]
    chosen = curves.assign_coords(channel=np.arange(curves.sizes["channel"]))
    chosen = chosen.isel(channel=np.sort(strongest))
    first = chosen.isel(orientation_deg=[0])
    again = first.assign_coords(orientation_deg=first["orientation_deg"] + 180)
    return xr.concat([chosen, again], "orientation_deg", join="exact").transpose("channel", ...)


def draw_tuning(bars: xr.Dataset) -> Figure:
    """Draw twelve units of each level: the paper's tuning figures."""
    drawn = figure(PAGE_MM, 120)
    panels = drawn.subfigures(2, 1, squeeze=False)[:, 0]
    for level, panel in enumerate(panels, start=1):
        y, x = UNITS[level]
        panel.suptitle(f"level {level}, units at row {y}, column {x}", fontsize=7)
        axes = panel.subplots(2, N_UNITS // 2, sharex=True)
        for ax, unit in zip(axes.flat, tuning_units(bars, level), strict=True):
            plot_tuning(unit, ax=ax).legend().remove()  # one for all stands above
            ax.set_title(f"channel {int(unit['channel'])}", pad=2)
            ax.set(xlabel="", ylabel="")
        panel.supxlabel("orientation (°)", fontsize=7)
        panel.supylabel("activation (scales differ)", fontsize=7)
    handles, labels = axes.flat[0].get_legend_handles_labels()
    drawn.legend(handles, labels, loc="upper right", ncols=2)
    return drawn


def draw_gates(shown: xr.Dataset) -> Figure:
    """Draw the paper's gate histogram, and the regions that it lumps together."""
    drawn = figure(PAGE_MM, 60)
    left, right = drawn.subplots(1, 2)
    plot_histograms(
        shown["gate_published"],
        "attention",
        label="mean gate in a scene (published measure)",
        ax=left,
    )
    regions = ["selected", "other_free", "background_free"]
    plot_histograms(
        shown["gate"].sel(region=regions), "region", label="mean pixel gate, each phase", ax=right
    )
    right.set_title("without the cells that inhibition forces to 1")
    right.set_ylabel("scenes × phases")
    return drawn


def draw_accuracy_by_weight(
    table: pd.DataFrame, published: dict[float, float], steps: int
) -> Figure:
    """Draw accuracy and object map against Φ, beside the published means.

    Parameters
    ----------
    table : pandas.DataFrame
        Of `accuracy_by_weight`.
    published : dict of float to float
        Validation accuracy by Φ.
    steps : int
        Batches that our networks were trained on.
    """
    drawn = figure(PAGE_MM, 60)
    axes = drawn.subplots(1, 2)
    titles = {"correct": "accuracy", "iou_selected": "overlap of gate and object (IoU)"}
    for ax, (measure, title) in zip(axes, titles.items(), strict=True):
        rows = table[table["measure"] == measure].sort_values("reconstruction_weight")
        place = np.arange(len(rows))
        ax.vlines(place, rows["low"], rows["high"], color=ATTENDED)
        ax.plot(place, rows["estimate"], "o", ms=4, color=ATTENDED, label=f"ours, {steps} steps")
        ax.set_title(f"after {steps} steps")
        if measure == "correct":
            ax.set_title(f"no replication: {steps} steps, not 10 epochs")
            known = [published.get(weight, np.nan) for weight in rows["reconstruction_weight"]]
            ax.plot(place + 0.15, known, "_", ms=9, color=UNATTENDED, label="published, 10 epochs")
            ax.legend(loc="lower left")
        ax.set_xticks(place, [f"{weight:g}" for weight in rows["reconstruction_weight"]])
        ax.set(xlabel="weight of the reconstruction, Φ", ylabel=title, ylim=(0, 1))
    return drawn


def draw_controls(
    ablations: pd.DataFrame,
    lone: pd.DataFrame,
    cues: pd.DataFrame,
    order: pd.DataFrame,
    moved: xr.Dataset,
) -> Figure:
    """Draw the controls: ablations, lone digits, template cues, order, convergence."""
    drawn = figure(PAGE_MM, 130)
    mosaic = drawn.subplot_mosaic("ABB;ACD;AEF", width_ratios=[1.25, 1, 1])
    changes = ablations[ablations["condition"] != "none"]
    plot_estimates(changes, "condition", "difference", ax=mosaic["A"])
    mosaic["A"].axvline(0, color="0.5", lw=0.8)
    mosaic["A"].set(xlabel="change of accuracy (greedy)", title="ablations")
    noisy = lone[lone["noise"] == lone["noise"].max()]
    plot_lines(noisy, "offset_px", "phase", "accuracy", ax=mosaic["B"])
    mosaic["B"].set(
        xlabel="column of a lone digit (px)",
        ylabel="accuracy",
        ylim=(0, 1.02),
        title="lone digits: read",
    )
    mosaic["B"].axhline(0.1, color="0.7", lw=0.8, ls=":")
    named = cues.assign(slot=SIDES)
    plot_estimates(named, "slot", "other_first", ax=mosaic["C"])
    mosaic["C"].set(
        xlim=(-0.03, 1.03), xlabel="other object attended", title="cue: template of one object"
    )
    mosaic["C"].set_ylabel("template")
    plot_estimates(order.assign(slot=SIDES), "slot", "first", ax=mosaic["D"])
    mosaic["D"].set_ylabel("digit")
    mosaic["D"].axvline(1 / len(order), color="0.5", lw=0.8, ls=":")
    mosaic["D"].set(xlim=(-0.03, 1.03), xlabel="share of scenes", title="attended first")
    change = moved["rms_change"].mean("stimulus")
    for level in change["level"].values:
        for phase, dash in zip(change["phase"].values, ("-", "--", ":"), strict=False):
            curve = change.sel(level=level, phase=phase)
            mosaic["E"].semilogy(
                curve["step"],
                curve,
                dash,
                color=(ATTENDED, UNATTENDED)[int(level) - 1],
                label=f"{level}, {phase}",
            )
    mosaic["E"].axvline(5, color="0.7", lw=0.8, ls=":")
    mosaic["E"].set(xlabel="step (5 as trained)", ylabel="rms change", title="gates settle")
    mosaic["E"].xaxis.set_major_locator(MaxNLocator(integer=True))
    mosaic["E"].legend(loc="upper right", title="level, phase", title_fontsize=6)
    plot_lines(noisy, "offset_px", "phase", "gate_on_digit", ax=mosaic["F"])
    for band in list(mosaic["F"].collections):
        band.remove()
    mosaic["F"].set(
        xlabel="column of a lone digit (px)",
        ylabel="gate on the digit",
        title="lone digits: gate",
        ylim=(-0.05, 1.05),
    )
    return drawn


def draw_gain(
    bars: xr.Dataset, effects: pd.DataFrame, built_in: float, biology: pd.DataFrame
) -> Figure:
    """Draw attention's gain: unit by unit, and as indices beside the input and the cortex.

    Parameters
    ----------
    bars : xarray.Dataset
        Of `show_bars`.
    effects : pandas.DataFrame
        ``label``, ``estimate``, ``low``, ``high``: median modulation indices.
    built_in : float
        Gain that the training target asks for, 1 / (1 − s).
    biology : pandas.DataFrame
        ``area``, ``modulation_index``: published medians, drawn as lines.
    """
    drawn = figure(PAGE_MM, 66)
    axes = drawn.subplots(1, 3, width_ratios=[1, 1, 1])
    for level, ax in enumerate(axes[:2], start=1):
        responses = bars[f"level_{level}"].sel(statistic="mean")
        centre = receptive_field_centre(level, responses.sizes[f"x_{level}"])
        over_bar = {f"x_{level}": np.flatnonzero(centre < DISTRACTOR_COLUMN)}
        plot_gain(
            responses.sel(attention="attended").isel(over_bar),
            responses.sel(attention="unattended").isel(over_bar),
            built_in=built_in,
            ax=ax,
        )
        ax.set_title(f"level {level}, units over the bar alone")
    axes[1].get_legend().remove()  # the first panel's holds for both, and points are everywhere
    plot_estimates(effects, "label", ax=axes[2])
    # Broad and pale: V4's index is next to what strength 0.2 builds in.
    axes[2].axvline(
        (built_in - 1) / (built_in + 1), color="0.8", lw=3, zorder=0, label="built into the input"
    )
    for (_, row), dash in zip(biology.iterrows(), ("--", ":"), strict=True):
        axes[2].axvline(
            row["modulation_index"], color="k", lw=0.8, ls=dash, label=f"macaque {row['area']}"
        )
    axes[2].set(xlabel="median modulation index")
    # Above the axes: points may stand anywhere in them.
    axes[2].legend(loc="lower left", bbox_to_anchor=(0, 1), borderaxespad=0.2)
    return drawn
