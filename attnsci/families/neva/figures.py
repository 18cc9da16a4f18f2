"""The figures of NeVA."""

from collections.abc import Mapping

import numpy as np
import pandas as pd
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from attnsci.families.neva.network import Trace
from attnsci.families.neva.results import strong_metrics
from attnsci.families.neva.stimuli import Pictures
from attnsci.plotting.style import PALETTE, figure

PAGE_MM = 178
DASHES = ("-", "--", "-.", ":", (0, (5, 1)), (0, (1, 1)))


def pipeline(pictures: Pictures, trace: Trace, row: int, shown: int = 4) -> Figure:
    """Draw what NeVA sees after its first fixations, and the losses it chose by."""
    shown = min(shown, trace.positions.shape[1])
    drawn = figure(PAGE_MM, 75)
    axes = drawn.subplots(2, shown + 1)
    _show(axes[0, 0], pictures.images[row].numpy(), "sharp")
    axes[1, 0].axis("off")
    if trace.priority is not None:
        maps = trace.priority[row, :shown].numpy()
        low, high = maps.min(), maps.max()
    for t in range(shown):
        at = trace.positions[row, t]
        best = at[int(np.nanargmin(trace.losses[row, t].numpy()))].numpy()
        _show(axes[0, t + 1], trace.seen[row, t].numpy(), f"fixation {t + 1}")
        axes[0, t + 1].plot(best[0] - 0.5, best[1] - 0.5, "o", ms=5, mfc="none", mec=PALETTE[1])
        if trace.priority is None:
            axes[1, t + 1].axis("off")
            continue
        image = axes[1, t + 1].imshow(maps[t], cmap="viridis_r", vmin=low, vmax=high)
        axes[1, t + 1].set(xticks=[], yticks=[])
        axes[1, t + 1].spines[:].set_visible(False)
    if trace.priority is not None:
        bar = drawn.colorbar(image, ax=axes[1, 1:], orientation="horizontal", shrink=0.5, aspect=40)
        bar.set_label("task loss of looking there (coarse grid; bright is better)")
    return drawn


def gallery(pictures: Pictures, paths: Mapping[str, xr.Dataset]) -> Figure:
    """Draw scanpaths over every photograph, a row a model."""
    n = len(pictures.names)
    drawn = figure(PAGE_MM, 5 + 35 * len(paths))
    axes = drawn.subplots(len(paths), n, squeeze=False)
    for row, (name, found) in enumerate(paths.items()):
        for column in range(n):
            ax = axes[row, column]
            _show(ax, pictures.images[column].numpy(), pictures.names[column] if row == 0 else "")
            x, y = (found[c].isel(scanpath=column).to_numpy() - 0.5 for c in "xy")
            ax.plot(x, y, "-", color="w", lw=2)
            ax.plot(x, y, "-", color=PALETTE[0], lw=1)
            ax.scatter(x, y, color=PALETTE[0], s=22, edgecolor="w", lw=0.6, zorder=3)
            for number, at in enumerate(zip(x, y, strict=True), start=1):
                ax.annotate(
                    str(number), at, ha="center", va="center", fontsize=4, color="w", zorder=4
                )
        axes[row, 0].set_ylabel(name)
    return drawn


def loss_by_fixation(found: xr.Dataset) -> Figure:
    """Draw loss and accuracy after each fixation between the bounds of sharp and blurred."""
    drawn = figure(PAGE_MM, 70)
    left, right = drawn.subplots(1, 2)
    n = found.sizes["image"]
    for index, name in enumerate(found["variant"].values):
        at = found.sel(variant=name)
        loss, correct = at["loss"].mean("image"), at["correct"].mean("image")
        error = at["loss"].std("image") / np.sqrt(n)
        style = {"color": PALETTE[index % len(PALETTE)], "ls": DASHES[index % len(DASHES)]}
        left.plot(at["fixation"], loss, marker="o", ms=2, label=name, **style)
        left.fill_between(at["fixation"], loss - error, loss + error, alpha=0.12, lw=0,
                          color=style["color"])  # fmt: skip
        right.plot(at["fixation"], correct, marker="o", ms=2, **style)
    for value, name in ((found["clean"].mean(), "sharp"), (found["blurred"].mean(), "blurred")):
        left.axhline(float(value), color="0.6", lw=0.8, ls=":")
        left.annotate(name, (1, float(value)), (-2, 2), xycoords=("axes fraction", "data"),
                      textcoords="offset points", ha="right", color="0.4", fontsize=6)  # fmt: skip
    right.axhline(1, color="0.6", lw=0.8, ls=":")
    right.axhline(float(found["blurred_correct"].mean()), color="0.6", lw=0.8, ls=":")
    left.set(xlabel="fixation", ylabel="task loss of what is remembered (± s.e.)")
    right.set(xlabel="fixation", ylabel="sharp image's label still given", ylim=(-0.02, 1.04))
    for ax in (left, right):
        ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    drawn.legend(*left.get_legend_handles_labels(), loc="outside lower center", ncols=3)
    return drawn


def discounting(table: pd.DataFrame) -> Figure:
    """Draw exploration against loss for every search: what looks like curiosity is noise."""
    drawn = figure(PAGE_MM, 72)
    axes = drawn.subplots(1, 2)
    labels = {"cells": "distinct cells of a 5 × 5 grid", "saccade_share": "saccade / image side"}
    for ax, (column, label) in zip(axes, labels.items(), strict=True):
        for index, (name, rows) in enumerate(table.groupby("variant", sort=False)):
            x, y = rows["loss"], rows[column]
            ax.errorbar(
                x.mean(), y.mean(), y.sem(), x.sem(), fmt="osD^vP"[index % 6], ms=5, capsize=0,
                color=PALETTE[index % len(PALETTE)], label=name,
            )  # fmt: skip
        ax.set(xlabel="task loss, mean over fixations (± s.e.)", ylabel=label)
    drawn.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=3)
    return drawn


def forgetting(table: pd.DataFrame) -> Figure:
    """Draw loss and exploration over retention, discounted before and after the search."""
    drawn = figure(PAGE_MM, 65)
    axes = drawn.subplots(1, 3)
    labels = {
        "loss": "task loss, mean over fixations",
        "cells": "distinct cells",
        "saccade_share": "saccade / image side",
    }
    said = {"search": "memory fades before the search", "commit": "after it (published code)"}
    for ax, (column, label) in zip(axes, labels.items(), strict=True):
        for index, (variant, rows) in enumerate(table.groupby("variant", sort=False)):
            grouped = rows.groupby("retention")[column]
            ax.errorbar(
                grouped.mean().index, grouped.mean(), grouped.sem(), fmt="os"[index] + "-", ms=3,
                lw=1, color=PALETTE[index], label=said[str(variant)],
            )  # fmt: skip
        ax.set(xlabel="retention γ", ylabel=label)
    drawn.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=2)
    return drawn


def people(result: xr.Dataset) -> Figure:
    """Draw every model's normalised score in every metric, 0 cross-image and 1 people."""
    models, strong = result["model"].values, strong_metrics(result)
    drawn = figure(PAGE_MM, 20 + 6 * len(models))
    axes = drawn.subplots(1, len(strong), sharey=True)
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
    drawn.supxlabel(
        "normalised score (0: people on other images, 1: people on the same image)", fontsize=7
    )
    return drawn


def windows(table: pd.DataFrame, shown: list[str]) -> Figure:
    """Draw the string-based time-delay embedding over its window's length, mean and best."""
    drawn = figure(PAGE_MM, 72)
    axes = drawn.subplots(1, 2, sharey=True)
    titles = {"mean": "mean over observers", "best": "best observer (ScanPath Plausibility)"}
    for ax, (column, title) in zip(axes, titles.items(), strict=True):
        for index, name in enumerate(shown):
            rows = table[table["source"] == name]
            ax.plot(rows["k"], rows[column], marker="os^vDP*"[index % 7], ms=3, label=name,
                    color=PALETTE[index % len(PALETTE)])  # fmt: skip
        ax.set(xlabel="window k (fixations)", title=title)
    axes[0].set_ylabel("SBTDE (distance; lower is more alike)")
    drawn.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=4)
    return drawn


def collapse(table: pd.DataFrame) -> Figure:
    """Draw accuracy by fixation of policies with bounded and clamped heads, on cluttered digits."""
    drawn = figure(90, 65)
    ax = drawn.add_subplot()
    for index, (name, rows) in enumerate(table.groupby("gaze", sort=False)):
        ax.plot(rows["fixation"], rows["accuracy"], marker="os^vDP"[index % 6], ms=3, label=name,
                color=PALETTE[index % len(PALETTE)])  # fmt: skip
    ax.set(xlabel="fixation", ylabel="accuracy")
    drawn.legend(*ax.get_legend_handles_labels(), loc="outside lower center", ncols=3)
    return drawn


def _show(ax: Axes, image: np.ndarray, title: str) -> None:
    ax.imshow(image.transpose(1, 2, 0).clip(0, 1))
    ax.set(xticks=[], yticks=[], title=title)
    ax.spines[:].set_visible(False)
