"""The figures of What and Where against spatial transformers, of outcomes and published numbers."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr
from matplotlib import colormaps, rcParams
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from attnsci.data.places import data_folders
from attnsci.experiments.benchmark import GAIN, LANDING, RELIABILITY
from attnsci.experiments.offsets import PROFILE
from attnsci.experiments.outcome import Outcome
from attnsci.experiments.same_scenes import ACCURACY
from attnsci.papers.published import read_published
from attnsci.plotting.scenes import plot_image
from attnsci.plotting.style import PAGE_MM, PALETTE, figure
from attnsci.plotting.visual_field import plot_accuracy_map, plot_profile

PUBLISHED = Path(__file__).with_name("published.csv")
COLOURS = {"What": PALETTE[0], "STN": PALETTE[1]}
OTHERS = ["RAM, 1 glimpse", "RAM, 6 glimpses", "object attention"]
"""Maps of networks of other families that are drawn; those between are in the CSV file."""
_TICKS_PX = (4, 9, 13, 18, 22, 27, 31, 36, 40)

Outcomes = Mapping[str, Outcome]


def published_numbers(quantity: str) -> pd.DataFrame:
    """Return what is published of a quantity: its factors, and ``estimate``.

    Examples
    --------
    >>> table = published_numbers(ACCURACY)
    >>> table[(table["model"] == "ATN") & (table["contrast"] == 0.3)]["estimate"].tolist()[-1]
    0.6111
    """
    table = read_published(PUBLISHED).query("kind == 'published' and quantity == @quantity")
    numbers = {name: pd.to_numeric(table[name]) for name in ("contrast", "eccentricity", "value")}
    return table.assign(**numbers).rename(columns={"value": "estimate"})


def published_maps() -> dict[str, xr.DataArray]:
    """Return the published accuracy maps, where they are at hand.

    They are read from ``what-where/published_maps.npz`` in a folder of ``ATTNSCI_DATA``.

    Returns
    -------
    dict of str to xarray.DataArray
        "What" and "STN", over ``y`` and ``x``, offsets in pixels; empty without the file.
    """
    for folder in data_folders():
        path = folder / "what-where" / "published_maps.npz"
        if path.is_file():
            offsets = np.arange(-27, 28)
            coords = {name: (name, offsets, {"units": "px"}) for name in ("y", "x")}
            with np.load(path) as file:
                return {
                    name: xr.DataArray(file[key], coords, ("y", "x"))
                    for name, key in (("What", "what"), ("STN", "stn28"))
                }
    return {}


def examples(outcomes: Outcomes) -> Figure:
    """Draw scenes: a row a size and noise, a column a contrast and place."""
    scenes = outcomes["examples"].data["examples"]
    rows = [(size, noise) for size in (28, 128) for noise in scenes["noise"].values]
    columns = [(c, place) for c in scenes["contrast"].values for place in scenes["place"].values]
    drawing = figure(PAGE_MM, 31 * len(rows) + 6)
    axes = drawing.subplots(len(rows), len(columns), squeeze=False)
    for line, (size, noise) in zip(axes, rows, strict=True):
        for ax, (contrast, place) in zip(line, columns, strict=True):
            at = {"noise": noise, "contrast": contrast, "place": place}
            plot_image(xr.DataArray(scenes[f"scene_{size}"].sel(at).values), ax=ax)
        line[0].set_ylabel(f"{size} px, noise {noise:g}")
    for ax, (contrast, place) in zip(axes[0], columns, strict=True):
        ax.set_title(f"contrast {contrast:.0%}, {place}")
    return drawing


def training(outcomes: Outcomes) -> Figure:
    """Draw how networks learned, on validation digits."""
    drawing = figure(PAGE_MM, 80)
    small, large, looking = drawing.subplots(1, 3)
    n_colours = len(rcParams["axes.prop_cycle"])
    for network, table in outcomes["training"].estimates.groupby("network", sort=False):
        curves = table.pivot(index="images", columns="quantity", values="estimate")
        curves.index = curves.index / 1e6
        ax = small if "28" in str(network) and "128" not in str(network) else large
        dash = "--" if len(ax.get_legend_handles_labels()[1]) >= n_colours else "-"
        score = curves["accuracy, validation"]
        (line,) = ax.plot(score.index, score, label=network, lw=0.9, ls=dash)
        colour = line.get_color()
        for panel, where, name, style in (
            (small, small, "accuracy central, validation", ":"),
            (looking, large, "landing error, validation", dash),
        ):
            if name in curves and ax is where and curves[name].notna().all():
                panel.plot(curves.index, curves[name], lw=0.9, ls=style, color=colour)
    small.set(title="28 px: all offsets (dotted: central)", ylabel="accuracy, validation")
    large.set(title="128 px", ylabel="accuracy, validation")
    looking.set(title="128 px, where it looks", ylabel="median landing error (px)")
    looking.set_ylim(bottom=0)
    for ax in (small, large, looking):
        ax.set_xlabel("training images (millions)")
    for ax in (small, large):
        ax.set_ylim(0, 1)
        ax.axhline(0.1, color="0.6", lw=0.8, ls="--")
        ax.legend(fontsize=4.5, loc="upper center", bbox_to_anchor=(0.5, -0.28), ncols=2)
    looking.text(
        0.5, -0.36, "colours as in the middle", fontsize=4.5, ha="center",
        transform=looking.transAxes,
    )  # fmt: skip
    return drawing


def _profiles(outcome: Outcome) -> dict[str, xr.Dataset]:
    """Return accuracy by eccentricity as it is plotted, by the title of its map."""
    table = outcome.at(quantity=PROFILE).rename(columns={"estimate": "accuracy"})
    columns = ["accuracy", "low", "high", "mean_eccentricity"]
    return {
        str(title): rows.set_index("eccentricity")[columns].to_xarray()
        for title, rows in table.groupby("title", sort=False)
    }


def _fields(outcome: Outcome) -> dict[str, tuple[xr.DataArray, float]]:
    """Return each accuracy map with the share of the most frequent class, by its title."""
    fields = {}
    titles = outcome.at(quantity=PROFILE).groupby("network", sort=False)["title"].unique()
    for network, names in titles.items():
        dataset = outcome.data[f"map-{network}"]
        maps = dataset["accuracy"]
        times = maps.transpose("time", ...) if "time" in maps.dims else [maps]
        for title, field in zip(names, times, strict=True):
            fields[str(title)] = field, float(dataset.attrs["chance"])
    return fields


def maps(outcomes: Outcomes) -> Figure:
    """Draw accuracy maps of What and the transformer beside the published ones, with profiles."""
    outcome, published = outcomes["maps"], published_maps()
    fields, profiles = _fields(outcome), _profiles(outcome)
    architectures = outcome.estimates.drop_duplicates("title").set_index("title")["architecture"]
    drawing = figure(PAGE_MM, 50 * len(fields))
    axes = drawing.subplots(len(fields), 3, squeeze=False)
    for (own, other, line), (title, (field, chance)) in zip(axes, fields.items(), strict=True):
        kind = str(architectures[title])
        _coloured(drawing, own, field, f"{title}, ours")
        if kind in published:
            _coloured(drawing, other, published[kind], f"{kind}, published")
        else:
            other.text(0.5, 0.5, "published map\nnot at hand\n(see results)", ha="center",
                       va="center", transform=other.transAxes)  # fmt: skip
            other.set_axis_off()
        plot_profile(profiles[title], label=f"{title}, ours, 95 %", color=COLOURS[kind], ax=line)
        numbers = published_numbers(PROFILE).query("architecture == @kind")
        line.plot(numbers["eccentricity"], numbers["estimate"], "s--", ms=2, color="0.3",
                  label="published")  # fmt: skip
        line.axhline(chance, color="0.6", lw=0.8, ls=":", label="most frequent class")
        line.set_ylim(0, 1.25)
        line.set_yticks(np.arange(0, 1.1, 0.2))
        line.legend(loc="upper right", fontsize=5)
    return drawing


def _coloured(drawing: Figure, ax: Axes, field: xr.DataArray, title: str) -> None:
    plot_accuracy_map(field, ax=ax).set_title(title)
    drawing.colorbar(ax.images[0], ax=ax, label="accuracy", shrink=0.8)


def one_map(outcome: Outcome) -> Figure:
    """Draw one network's accuracy over the visual field, and its profile."""
    ((title, (field, chance)),) = _fields(outcome).items()
    drawing = figure(PAGE_MM * 0.66, 55)
    left, line = drawing.subplots(1, 2)
    _coloured(drawing, left, field, title)
    plot_profile(_profiles(outcome)[title], label="95 %", ax=line)
    line.axhline(chance, color="0.6", lw=0.8, ls=":", label="most frequent class")
    line.legend()
    return drawing


def families(outcomes: Outcomes) -> Figure:
    """Draw accuracy maps of networks of several families, from one function."""
    fields: dict[str, xr.DataArray] = {}
    profiles: dict[str, xr.Dataset] = {}
    stimuli: dict[str, str] = {}
    for outcome, titles in ((outcomes["maps"], None), (outcomes["families"], OTHERS)):
        lines = outcome.at(quantity=PROFILE).drop_duplicates("title").set_index("title")
        stimuli |= {title: lines["stimuli"][title] for title in titles or lines.index}
        fields |= {title: field for title, (field, _) in _fields(outcome).items()}
        profiles |= _profiles(outcome)
    n, columns = len(stimuli), 4
    height = -(-(n + 1) // columns)
    drawing = figure(PAGE_MM, 48 * height)
    axes = drawing.subplots(height, columns, squeeze=False).ravel()
    for ax, (title, name) in zip(axes, stimuli.items(), strict=False):
        plot_accuracy_map(fields[title], ax=ax)
        ax.set_title(f"{title}\n{name}", fontsize=6)
        ax.set(xlabel="x (px)", ylabel="y (px)")
    drawing.colorbar(axes[0].images[0], ax=list(axes[:n]), label="accuracy", shrink=0.5,
                     location="bottom", aspect=50)  # fmt: skip
    last = axes[n]
    for colour, title in zip(PALETTE, stimuli, strict=False):
        plot_profile(profiles[title], label=title, color=colour, ax=last)
    last.set_ylim(0, 1)
    spare = axes[n + 1] if n + 1 < len(axes) else last
    spare.legend(*last.get_legend_handles_labels(), fontsize=5.5, loc="center left")
    for ax in axes[n + 1 :]:
        ax.set_axis_off()
    return drawing


def transforms(outcomes: Outcomes) -> dict[str, Figure]:
    """Draw what transformers look at: scenes with the outline, and below what was cut out."""
    return {name: _gallery(views) for name, views in outcomes["transforms"].data.items()}


def _gallery(views: xr.Dataset) -> Figure:
    networks, n = views["network"].values, views.sizes["column"]
    drawing = figure(PAGE_MM, 36 * len(networks) + 4)
    axes = drawing.subplots(
        2 * len(networks), n, squeeze=False, height_ratios=[1.5, 1] * len(networks)
    )
    size = views.sizes["x"]
    for k, network in enumerate(networks):
        for column in range(n):
            above, below = axes[2 * k, column], axes[2 * k + 1, column]
            view = views.isel(network=k, column=column)
            plot_image(xr.DataArray(view["scene"].values), ax=above)
            above.plot(*view["outline"].values.T - 0.5, color=PALETTE[4], lw=1)
            above.set(xlim=(-0.5, size - 0.5), ylim=(size - 0.5, -0.5))
            if k == 0:
                above.set_title(str(view["title"].values), fontsize=5.5)
            plot_image(xr.DataArray(view[f"seen_{k}"].values), ax=below)
            label, answer = int(view["label"]), int(view["answer"])
            below.set_xlabel(
                f"{label} → {answer}", color="black" if answer == label else PALETTE[1],
                labelpad=1, fontsize=6,
            )  # fmt: skip
        axes[2 * k, 0].set_ylabel(str(network))
    return drawing


def sensors(outcomes: Outcomes) -> Figure:
    """Draw one scene as sensors leave it."""
    views = outcomes["sensors"].data["sensors"]
    drawing = figure(PAGE_MM, 42)
    for ax, view in zip(drawing.subplots(1, len(views)), views.data_vars.values(), strict=True):
        array = view.values
        signed = array.min() < -0.01
        limit = float(np.abs(array).max())
        low, high = (-limit, limit) if signed else (0.0, 1.0)
        ax.imshow(array, vmin=low, vmax=high, cmap="RdBu_r" if signed else "gray")
        ax.set(xticks=[], yticks=[])
        ax.set_title(view.attrs["title"], fontsize=6)
        ax.set_aspect("auto" if array.shape[0] != array.shape[1] else "equal")
    return drawing


def benchmark(outcomes: Outcomes, step: str) -> Figure:
    """Draw accuracy by eccentricity and contrast: ours above, published below.

    Parameters
    ----------
    outcomes : mapping of str to Outcome
    step : {"benchmark-matched", "benchmark-as-published"}
        Whose; models stand in the order of the former in both.
    """
    table, published = outcomes[step].at(quantity=ACCURACY), published_numbers(ACCURACY)
    matched = outcomes["benchmark-matched"]
    titles = list(dict.fromkeys(matched.at(quantity=ACCURACY)["model"]))
    contrasts = sorted(table["contrast"].unique(), reverse=True)
    drawing = figure(PAGE_MM, 118)
    axes = drawing.subplots(2, len(contrasts), sharex=True, sharey=True)
    colours = _colours(len(titles))
    for line, (numbers, who) in zip(axes, ((table, "ours"), (published, "published")), strict=True):
        for ax, contrast in zip(line, contrasts, strict=True):
            at = numbers[numbers["contrast"] == contrast]
            for colour, name in zip(colours, titles, strict=True):
                rows = at[at["model"] == name].sort_values("eccentricity")
                if rows.empty:
                    continue
                ax.plot(rows["eccentricity"], rows["estimate"], "-o", ms=2, lw=1, color=colour)
                if "low" in rows:
                    ax.fill_between(rows["eccentricity"], rows["low"], rows["high"], lw=0,
                                    color=colour, alpha=0.2)  # fmt: skip
            ax.axhline(float(table["chance"].iloc[0]), color="0.5", lw=0.8, ls=":")
            ax.set(ylim=(0, 1), xticks=_TICKS_PX, title=f"contrast {contrast:.0%}, {who}")
            ax.tick_params(axis="x", labelsize=5)
    for ax in axes[:, 0]:
        ax.set_ylabel("accuracy")
    for ax in axes[-1]:
        ax.set_xlabel("eccentricity of the digit (px)")
    handles = [Line2D([], [], color=c, marker="o", ms=2, label=t)
               for c, t in zip(colours, titles, strict=True)]  # fmt: skip
    handles.append(Line2D([], [], color="0.5", ls=":", label="most frequent class"))
    drawing.legend(handles=handles, loc="outside lower center", ncols=5)
    return drawing


def _colours(n: int) -> Sequence[Any]:
    """Return colours that are told apart, in order of lightness."""
    return list(colormaps["turbo"](np.linspace(0.05, 0.95, n)))


def looking(outcomes: Outcomes) -> Figure:
    """Draw where saccades land, how far they reach, and whether confidence is deserved."""
    outcome = outcomes["looking"]
    drawing = figure(PAGE_MM, 72)
    error, reach, trust = drawing.subplots(1, 3)
    reliability = outcome.at(quantity=RELIABILITY)
    # Reliability is of all conditions, in the benchmark's order: their colours are the same there.
    models = list(dict.fromkeys(reliability["model"]))
    colour = dict(zip(models, _colours(len(models)), strict=True))
    _bands(error, outcome.at(quantity=LANDING), "eccentricity", colour)
    error.set(xlabel="eccentricity (px)", ylabel="median landing error (px), 95 %")
    error.set_ylim(bottom=0)
    gain = outcome.at(quantity=GAIN).set_index(["model", "eccentricity", "quantile"])["estimate"]
    quartiles = gain.unstack(sort=False).set_axis(["low", "estimate", "high"], axis=1)
    _bands(reach, quartiles.reset_index(), "eccentricity", colour)
    reach.axhline(1, color="0.6", lw=0.8, ls="--")
    reach.set(xlabel="eccentricity (px)", ylabel="saccade gain, median and quartiles")
    reach.set_ylim(-0.5, 2)
    _bands(trust, reliability, "confidence", colour)
    trust.plot([0, 1], [0, 1], color="0.6", lw=0.8, ls="--")
    trust.set(xlabel="confidence", ylabel="accuracy", xlim=(0, 1), ylim=(0, 1))
    drawing.legend(*trust.get_legend_handles_labels(), loc="outside lower center", ncols=5)
    return drawing


def _bands(ax: Axes, table: pd.DataFrame, x: str, colour: Mapping[str, Any]) -> None:
    for model, rows in table.groupby("model", sort=False):
        shade = colour[str(model)]
        ax.plot(rows[x], rows["estimate"], "-o", ms=2, lw=1, color=shade, label=model)
        ax.fill_between(rows[x], rows["low"], rows["high"], color=shade, alpha=0.15, lw=0)
