"""The figures of NeVA, drawn from outcomes."""

from collections.abc import Mapping

import numpy as np
import pandas as pd
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from attnsci.experiments.looking import EMBEDDING, UNAIDED, WHOLE, strong_metrics
from attnsci.experiments.outcome import Outcome
from attnsci.plotting.style import PALETTE, figure

PAGE_MM = 178
DASHES = ("-", "--", "-.", ":", (0, (5, 1)), (0, (1, 1)))
EXPLORATION = {"cells": "distinct cells of a 5 × 5 grid", "saccade": "saccade / image side"}
WINDOWS = (
    "human", "NeVA classification, published discounting", "Itti-Koch", "centre bias", "random",
    "cross-image",
)  # fmt: skip
"""Sources drawn over the window's length."""

Outcomes = Mapping[str, Outcome]


def searches(outcomes: Outcomes) -> dict[str, Figure]:
    """Draw an example, the loss after each fixation, and exploration against loss."""
    outcome = outcomes["searches"]
    looks = outcome.data["searches"]
    return {
        "pipeline": pipeline(outcome.data["pipeline"]),
        "loss": loss_by_fixation(looks, outcome),
        "discounting": discounting(looks),
    }


def pipeline(example: xr.Dataset) -> Figure:
    """Draw what NeVA sees after its first fixations, and the losses it chose by."""
    n, priority = example.sizes["fixation"], example["priority"].to_numpy()
    drawing = figure(PAGE_MM, 75)
    axes = drawing.subplots(2, n + 1)
    _picture(axes[0, 0], example["picture"].to_numpy(), "sharp")
    axes[1, 0].axis("off")
    for t in range(n):
        at = example.isel(fixation=t)
        _picture(axes[0, t + 1], at["view"].to_numpy(), f"fixation {t + 1}")
        axes[0, t + 1].plot(at["x"] - 0.5, at["y"] - 0.5, "o", ms=5, mfc="none", mec=PALETTE[1])
        image = axes[1, t + 1].imshow(
            priority[t], cmap="viridis_r", vmin=priority.min(), vmax=priority.max()
        )
        axes[1, t + 1].set(xticks=[], yticks=[])
        axes[1, t + 1].spines[:].set_visible(False)
    bar = drawing.colorbar(image, ax=axes[1, 1:], orientation="horizontal", shrink=0.5, aspect=40)
    bar.set_label("task loss of looking there (coarse grid; bright is better)")
    return drawing


def gallery(outcomes: Outcomes) -> Figure:
    """Draw scanpaths over every photograph, a row a gaze."""
    return over_pictures(outcomes["gallery"].data["gallery"])


def over_pictures(data: xr.Dataset) -> Figure:
    """Draw scanpaths over pictures, a row a gaze; see `attnsci.families.neva.asks.side_by_side`."""
    gazes, names = data["gaze"].to_numpy(), data["image"].to_numpy()
    drawing = figure(PAGE_MM, 5 + 35 * len(gazes))
    axes = drawing.subplots(len(gazes), len(names), squeeze=False)
    for row, gaze in enumerate(gazes):
        for column, name in enumerate(names):
            ax, at = axes[row, column], data.isel(scanpath=column)
            _picture(ax, at["picture"].to_numpy(), name if row == 0 else "")
            x, y = (at[axis].sel(gaze=gaze).to_numpy() - 0.5 for axis in "xy")
            ax.plot(x, y, "-", color="w", lw=2)
            ax.plot(x, y, "-", color=PALETTE[0], lw=1)
            ax.scatter(x, y, color=PALETTE[0], s=22, edgecolor="w", lw=0.6, zorder=3)
            for number, place in enumerate(zip(x, y, strict=True), start=1):
                ax.annotate(
                    str(number), place, ha="center", va="center", fontsize=4, color="w", zorder=4
                )
        axes[row, 0].set_ylabel(gaze)
    return drawing


def loss_by_fixation(looks: xr.Dataset, outcome: Outcome) -> Figure:
    """Draw loss and accuracy after each fixation between the bounds of sharp and blurred."""
    drawing = figure(PAGE_MM, 70)
    left, right = drawing.subplots(1, 2)
    fixation = looks["time"] + 1
    for index, name in enumerate(looks["search"].values):
        at = looks.sel(search=name)
        loss, error = _mean(at["loss"])
        kept = (at["prediction"] == at["label"]).mean("stimulus")
        style = {"color": PALETTE[index % len(PALETTE)], "ls": DASHES[index % len(DASHES)]}
        left.plot(fixation, loss, marker="o", ms=2, label=name, **style)
        left.fill_between(fixation, loss - error, loss + error, alpha=0.12, lw=0,
                          color=style["color"])  # fmt: skip
        right.plot(fixation, kept, marker="o", ms=2, **style)
    for name in ("sharp", "blurred"):
        value = outcome.at(quantity=WHOLE, sight=name)["estimate"].item()
        left.axhline(value, color="0.6", lw=0.8, ls=":")
        left.annotate(name, (1, value), (-2, 2), xycoords=("axes fraction", "data"),
                      textcoords="offset points", ha="right", color="0.4", fontsize=6)  # fmt: skip
        share = outcome.at(quantity=UNAIDED, sight=name)["estimate"].item()
        right.axhline(share, color="0.6", lw=0.8, ls=":")
    left.set(xlabel="fixation", ylabel="task loss of what is remembered (± s.e.)")
    right.set(xlabel="fixation", ylabel="sharp image's label still given", ylim=(-0.02, 1.04))
    for ax in (left, right):
        ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    drawing.legend(*left.get_legend_handles_labels(), loc="outside lower center", ncols=3)
    return drawing


def discounting(looks: xr.Dataset) -> Figure:
    """Draw exploration against loss for every search: what looks like curiosity is noise."""
    drawing = figure(PAGE_MM, 72)
    axes = drawing.subplots(1, 2)
    for ax, (value, label) in zip(axes, EXPLORATION.items(), strict=True):
        for index, name in enumerate(looks["search"].values):
            at = looks.sel(search=name)
            (x, x_error), (y, y_error) = _mean(at["loss"].mean("time")), _mean(at[value])
            ax.errorbar(
                x, y, y_error, x_error, fmt="osD^vP"[index % 6], ms=5, capsize=0,
                color=PALETTE[index % len(PALETTE)], label=name,
            )  # fmt: skip
        ax.set(xlabel="task loss, mean over fixations (± s.e.)", ylabel=label)
    drawing.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=3)
    return drawing


def forgetting(outcomes: Outcomes) -> Figure:
    """Draw loss and exploration over retention, discounted before and after the search."""
    sweep = outcomes["forgetting"].data["forgetting"]
    panels = {
        "task loss, mean over fixations": sweep["loss"].mean("time"),
        "distinct cells": sweep["cells"],
        "saccade / image side": sweep["saccade"],
    }
    labels = {"search": "memory fades before the search", "commit": "after it (published code)"}
    drawing = figure(PAGE_MM, 65)
    axes = drawing.subplots(1, 3)
    for ax, (title, values) in zip(axes, panels.items(), strict=True):
        for index, (discount, label) in enumerate(labels.items()):
            mean, error = _mean(values.sel(discount=discount))
            ax.errorbar(
                sweep["retention"], mean, error, fmt="os"[index] + "-", ms=3, lw=1,
                color=PALETTE[index], label=label,
            )  # fmt: skip
        ax.set(xlabel="retention γ", ylabel=title)
    drawing.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=2)
    return drawing


def people(outcomes: Outcomes) -> dict[str, Figure]:
    """Draw every model's score beside people, and the embedding over its window."""
    outcome = outcomes["people"]
    return {
        "people": likeness(outcome.data["people"]),
        "windows": windows(outcome.at(quantity=EMBEDDING)),
    }


def likeness(result: xr.Dataset) -> Figure:
    """Draw every model's normalised score in every metric, 0 cross-image and 1 people."""
    models, strong = result["model"].values, strong_metrics(result)
    drawing = figure(PAGE_MM, 20 + 6 * len(models))
    axes = drawing.subplots(1, len(strong), sharey=True)
    rows = np.arange(len(models))
    for ax, metric in zip(np.atleast_1d(axes), strong, strict=True):
        at = result.sel(metric=metric)
        colour = [
            "0.6" if name.startswith("control") else PALETTE[0 if name.startswith("NeVA") else 1]
            for name in map(str, models)
        ]
        ax.hlines(rows, at["normalised_low"], at["normalised_high"], color=colour, lw=1.2)
        ax.scatter(at["normalised"], rows, c=colour, s=14, zorder=3)
        for anchor in (0, 1):
            ax.axvline(anchor, color="0.6", lw=0.8, ls="--", zorder=0)
        ax.set_title(str(metric).replace(" ", "\n"))
    first = np.atleast_1d(axes)[0]
    first.set_yticks(rows, [str(name) for name in models])
    first.invert_yaxis()
    drawing.supxlabel(
        "normalised score (0: people on other images, 1: people on the same image)", fontsize=7
    )
    return drawing


def windows(table: pd.DataFrame) -> Figure:
    """Draw the string-based time-delay embedding over its window's length, mean and best."""
    drawing = figure(PAGE_MM, 72)
    axes = drawing.subplots(1, 2, sharey=True)
    titles = {"estimate": "mean over observers", "best": "best observer (ScanPath Plausibility)"}
    for ax, (column, title) in zip(axes, titles.items(), strict=True):
        for index, name in enumerate(WINDOWS):
            rows = table[table["source"] == name]
            ax.plot(rows["window"], rows[column], marker="os^vDP*"[index % 7], ms=3, label=name,
                    color=PALETTE[index % len(PALETTE)])  # fmt: skip
        ax.set(xlabel="window k (fixations)", title=title)
        ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes[0].set_ylabel("SBTDE (distance; lower is more alike)")
    drawing.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=4)
    return drawing


def _mean(values: xr.DataArray) -> tuple[xr.DataArray, xr.DataArray]:
    """Return the mean over stimuli, and its standard error."""
    error = values.std("stimulus", ddof=1) / np.sqrt(values.sizes["stimulus"])
    return values.mean("stimulus"), error


def _picture(ax: Axes, image: np.ndarray, title: str) -> None:
    ax.imshow(image.transpose(1, 2, 0).clip(0, 1))
    ax.set(xticks=[], yticks=[], title=title)
    ax.spines[:].set_visible(False)
