"""The figures of RAM, from outcomes by step."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from attnsci.experiments.answers import ERROR, RETURNS
from attnsci.experiments.outcome import Outcome
from attnsci.papers.published import read_published
from attnsci.plotting.curves import plot_estimates
from attnsci.plotting.inhibition import plot_baselines
from attnsci.plotting.style import ATTENDED, PAGE_MM, PALETTE, UNATTENDED, figure

Outcomes = Mapping[str, Outcome]
TITLES = {
    "mnist-28": "28 px, 8 px glimpses",
    "translated-60": "translated, 60 px",
    "cluttered-60": "cluttered, 60 px",
    "cluttered-100": "cluttered, 100 px",
}


def errors(outcomes: Outcomes) -> Figure:
    """Draw the error against the number of glimpses of networks trained for it, and published."""
    table = outcomes["errors"].estimates
    tasks = [task for task in TITLES if (table["task"] == task).any()]
    paper = read_published(Path(__file__).with_name("published.csv"))
    drawing = figure(PAGE_MM, 62)
    for ax, task in zip(drawing.subplots(1, len(tasks), squeeze=False)[0], tasks, strict=True):
        for source, dash in (("NIPS", "-"), ("arXiv v1", ":")):
            line = paper[
                (paper["task"] == task) & (paper["source"] == source)
                & (paper["policy"] == "mean") & (paper["kind"] == "published")
            ]  # fmt: skip
            ax.plot(
                line["n_glimpses"].astype(int), line["value"].astype(float), dash, color="0.5",
                lw=1, label=f"paper, {source}",
            )  # fmt: skip
        ours = table[(table["task"] == task) & (table["policy"] != "sampled")]
        for gaze, marker, colour in (("learned", "o", ATTENDED), ("random", "s", UNATTENDED)):
            rows = ours[ours["gaze"] == gaze]
            if rows.empty:
                continue
            label = "ours" if gaze == "learned" else "ours, looking at random"
            _points(ax, rows, "n_glimpses", marker=marker, color=colour, label=label)
        ax.set(title=TITLES[task], xlabel="glimpses (trained and tested)", ylabel=ERROR)
        ax.set_ylim(bottom=0)
        ax.xaxis.set_major_locator(MaxNLocator(integer=True))
        ax.legend()
    return drawing


def _points(ax: Axes, rows: pd.DataFrame, x: str, **look: Any) -> None:
    error = [rows["estimate"] - rows["low"], rows["high"] - rows["estimate"]]
    same = rows.groupby(x)[x]
    # Networks of as many glimpses stand side by side.
    beside = 0.12 * (same.cumcount() - (same.transform("size") - 1) / 2)
    ax.errorbar(
        rows[x] + beside, rows["estimate"], error, ls="none", ms=3, capsize=1.5, lw=1, **look
    )


def _plain_log(ax: Axes) -> None:
    from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

    ax.yaxis.set_major_locator(FixedLocator([0.5, 1, 2, 5, 10, 20, 50, 100]))
    ax.yaxis.set_minor_locator(NullLocator())
    ax.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))


def glimpses(outcomes: Outcomes) -> Figure:
    """Draw what each glimpse adds: the trained head, a probe, and networks for each number."""
    curves, errors = outcomes["glimpses"].estimates, outcomes["errors"].estimates
    tasks = list(dict.fromkeys(curves["task"]))
    drawing = figure(PAGE_MM, 60)
    for ax, task in zip(drawing.subplots(1, len(tasks), squeeze=False)[0], tasks, strict=True):
        own = errors[
            (errors["task"] == task) & (errors["policy"] == "mean") & (errors["seed"] == 0)
        ].drop_duplicates("n_glimpses", keep="last")
        for colour, (readout, label) in zip(
            PALETTE, (("head", "its own readout"), ("probe", "linear probe")), strict=False
        ):
            rows = curves[(curves["task"] == task) & (curves["readout"] == readout)]
            ax.plot(rows["glimpse"], rows["estimate"], "-o", ms=2.5, color=colour, label=label)
            ax.fill_between(rows["glimpse"], rows["low"], rows["high"], color=colour, alpha=0.2)
        if len(own) > 1:
            _points(
                ax, own, "n_glimpses", marker="D", color=PALETTE[2], label="trained for so many"
            )
        ax.set(title=TITLES[task], xlabel="glimpse", ylabel="test error (%)", yscale="log")
        _plain_log(ax)
        ax.xaxis.set_major_locator(MaxNLocator(integer=True))
        ax.legend()
    return drawing


def policies(outcomes: Outcomes) -> Figure:
    """Draw the error of each network when others look for it."""
    table = outcomes["policies"].at(quantity=ERROR)
    tasks, names = (list(dict.fromkeys(table[column])) for column in ("task", "policy"))
    drawing = figure(PAGE_MM, 55)
    axes = drawing.subplots(1, len(tasks), squeeze=False, sharey=True)[0]
    for ax, task in zip(axes, tasks, strict=True):
        # The same rows in every panel, empty where a task lacks a policy.
        rows = table[table["task"] == task].set_index("policy").reindex(names).reset_index()
        plot_estimates(rows, "policy", ax=ax)
        ax.set(title=TITLES[task], xlabel=ERROR)
        ax.set_xlim(left=0)
    return drawing


def eccentricity(outcomes: Outcomes) -> Figure:
    """Draw the error by where the digit is, and by how far from it looking began."""
    data = outcomes["eccentricity"].data
    drawing = figure(PAGE_MM, 60)
    labels = {
        "canvas": "digit from the middle of the canvas (px)",
        "first-glimpse": "digit from the first glimpse (px)",
    }
    for (origin, label), ax in zip(labels.items(), drawing.subplots(1, 2), strict=True):
        for colour, (task, title) in zip(PALETTE, TITLES.items(), strict=False):
            profile = data.get(f"eccentricity-{origin}-{task}")
            if profile is None or profile.sizes["eccentricity"] < 2:  # always in the middle
                continue
            x, error = profile["mean_eccentricity"], 100 * (1 - profile["accuracy"])
            ax.plot(x, error, "-o", ms=2.5, color=colour, label=title)
            ax.fill_between(
                x, 100 * (1 - profile["high"]), 100 * (1 - profile["low"]), color=colour, alpha=0.2
            )
        ax.set(xlabel=label, ylabel=ERROR)
        ax.set_ylim(bottom=0)
        if ax.lines:
            ax.legend()
    return drawing


def core(outcomes: Outcomes) -> dict[str, Figure]:
    """Draw the core of each task's network."""
    data = outcomes["core"].data
    tasks = [name.removeprefix("core-fields-") for name in data if name.startswith("core-fields-")]
    parts = ("fields", "shares", "tuning", "decoded")
    return {
        f"core-{task}": _core({part: data[f"core-{part}-{task}"] for part in parts})
        for task in tasks
    }


def returns(outcomes: Outcomes) -> Figure:
    """Draw inhibition of return against all baselines."""
    return plot_baselines(outcomes["returns"].data["returns"].isel(radius=0))


def _core(parts: dict[str, Any], n_units: int = 6) -> Figure:
    """Draw fields of the units that gaze drives most, shares, tuning and what can be decoded."""
    drawing = figure(PAGE_MM, 98)
    top, bottom = drawing.subfigures(2, 1, squeeze=False, height_ratios=[1, 1.5])[:, 0]
    shares = parts["shares"]["share"]
    gaze = shares.sel(by="gaze").fillna(0)
    units = gaze.argsort().to_numpy()[::-1][:n_units]
    axes = top.subplots(1, n_units)
    fields = parts["fields"]["activity"]
    for ax, unit in zip(axes, units, strict=True):
        field = fields.isel(unit=int(unit))
        size = float(fields["x"][-1] + fields["x"][0])
        image = ax.imshow(field, extent=(0, size, size, 0), cmap="viridis", vmin=0)
        ax.set(xticks=[0, size], yticks=[0, size])
        ax.set_title(f"unit {int(unit)}\n{float(gaze[int(unit)]):.0%} by gaze")
        bar = top.colorbar(image, ax=ax, location="bottom", shrink=0.9, aspect=15)
        bar.ax.tick_params(labelsize=5)
    top.supylabel("gaze, y (px)", fontsize=7)
    top.suptitle("mean activity by gaze, x (px)", fontsize=7)
    scatter, tuning, decoding = bottom.subplots(1, 3)
    varies = parts["shares"]["varies"].all("by").to_numpy()
    scatter.plot(
        100 * shares.sel(by="gaze")[varies], 100 * shares.sel(by="class")[varies], ".", ms=3,
        color=ATTENDED,
    )  # fmt: skip
    scatter.axline((0, 0), slope=1, color="0.7", lw=0.8)
    scatter.set(
        xlabel="variance by gaze (%)", ylabel="variance by class (%)", title="third glimpse, units"
    )
    selectivity = parts["tuning"]["selectivity"].to_numpy()
    tuning.hist(selectivity[np.isfinite(selectivity)], 30, color=ATTENDED)
    tuning.axvline(0, color="0.5", lw=0.8, ls="--")
    tuning.set(xlabel="class selectivity, last glimpse", ylabel="units", title="class tuning")
    decoded = parts["decoded"]
    looks = (("activity", ATTENDED, "core"), ("current place", UNATTENDED, "current place alone"))
    for source, colour, label in looks:
        at = decoded.sel(source=source)
        decoding.plot(at["lag"], at["r_squared"], "-o", ms=3, color=colour, label=label)
        decoding.fill_between(at["lag"], at["low"], at["high"], color=colour, alpha=0.25)
    decoding.axhline(0, color="0.7", lw=0.8)
    decoding.set(
        xlabel="place decoded (0 now, 1 next glimpse)", ylabel="R², held-out scenes",
        title="memory and plan of places",
    )  # fmt: skip
    decoding.xaxis.set_major_locator(MaxNLocator(integer=True))
    decoding.legend()
    return drawing


def similarity(outcomes: Outcomes) -> Figure:
    """Draw how like each other scanpaths are: same network, other seed, other scene."""
    table = outcomes["similarity"].estimates
    metrics = list(dict.fromkeys(table["metric"]))
    drawing = figure(PAGE_MM, 38)
    axes = drawing.subplots(1, len(metrics), sharey=True, squeeze=False)[0]
    for ax, metric in zip(axes, metrics, strict=True):
        plot_estimates(table[table["metric"] == metric], "pair", ax=ax)
        ax.set(title=metric, xlabel="similarity" if metric == "scanmatch" else "distance")
    return drawing


def inhibition(outcomes: Outcomes) -> Figure:
    """Draw what becomes of returns and errors when inhibition is imposed."""
    table = outcomes["inhibition"].estimates
    drawing = figure(PAGE_MM, 55)
    for ax, quantity in zip(drawing.subplots(1, 2), (RETURNS, ERROR), strict=True):
        for colour, (task, rows) in zip(
            PALETTE, table[table["quantity"] == quantity].groupby("task", sort=False), strict=False
        ):
            ax.plot(rows["strength"], rows["estimate"], "-o", ms=2.5, color=colour,
                    label=TITLES[str(task)])  # fmt: skip
            ax.fill_between(rows["strength"], rows["low"], rows["high"], color=colour, alpha=0.2)
        ax.set(xlabel="strength of the imposed inhibition", ylabel=quantity)
        ax.set_ylim(bottom=0)
        ax.legend()
    return drawing
