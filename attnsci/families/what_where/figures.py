"""The figures of What and Where against spatial transformers."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr
from matplotlib import rcParams
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from attnsci.families.what_where.experiments import Mapped
from attnsci.families.what_where.published import PROFILE_EDGES_PX, PROFILES
from attnsci.plotting.scenes import plot_image
from attnsci.plotting.style import PAGE_MM, PALETTE, figure
from attnsci.plotting.visual_field import plot_accuracy_map, plot_profile

KINDS = {"what": "What", "stn-28": "STN"}
COLOURS = {"What": PALETTE[0], "STN": PALETTE[1]}
_TICKS_PX = (4, 9, 13, 18, 22, 27, 31, 36, 40)


def draw_examples(shown: Mapping[str, Sequence[Any]], titles: Sequence[str]) -> Figure:
    """Draw scenes: a row a kind, a column a contrast.

    Parameters
    ----------
    shown : mapping of str to sequence of ndarray (H, W)
        Scenes by kind.
    titles : sequence of str
        Of the columns.
    """
    drawn = figure(PAGE_MM, 31 * len(shown) + 6)
    axes = drawn.subplots(len(shown), len(titles), squeeze=False)
    for row, (kind, scenes) in zip(axes, shown.items(), strict=True):
        for ax, scene in zip(row, scenes, strict=True):
            plot_image(xr.DataArray(scene), ax=ax)
        row[0].set_ylabel(kind)
    for ax, title in zip(axes[0], titles, strict=True):
        ax.set_title(title)
    return drawn


def draw_training(curves: pd.DataFrame, titles: Mapping[str, str]) -> Figure:
    """Draw how networks learned, on validation digits.

    Parameters
    ----------
    curves : pandas.DataFrame
        Of `record_curves`.
    titles : mapping of str to str
        Network to label.
    """
    drawn = figure(PAGE_MM, 80)
    small, large, looking = drawn.subplots(1, 3)
    n_colours = len(rcParams["axes.prop_cycle"])
    for network, rows in curves.groupby("network", sort=False):
        title = titles[str(network)]
        ax = small if "28" in str(network) and "128" not in str(network) else large
        score = rows["accuracy"]
        again = len(ax.get_legend_handles_labels()[1]) >= n_colours
        dash = "--" if again else "-"
        (line,) = ax.plot(rows["images"] / 1e6, score, label=title, lw=0.9, ls=dash)
        if "accuracy_central" in rows and ax is small and rows["accuracy_central"].notna().all():
            ax.plot(
                rows["images"] / 1e6, rows["accuracy_central"], ls=":", lw=0.9,
                color=line.get_color(),
            )  # fmt: skip
        if "landing_error" in rows and ax is large and rows["landing_error"].notna().all():
            looking.plot(
                rows["images"] / 1e6, rows["landing_error"], lw=0.9, ls=dash,
                color=line.get_color(),
            )  # fmt: skip
    small.set(title="28 px: all offsets (dotted: central)", ylabel="accuracy, validation")
    large.set(title="128 px", ylabel="accuracy, validation")
    looking.set(title="128 px, where it looks", ylabel="median landing error (px)")
    looking.set_ylim(bottom=0)
    for ax in (small, large):
        ax.set_ylim(0, 1)
        ax.axhline(0.1, color="0.6", lw=0.8, ls="--")
    for ax in (small, large, looking):
        ax.set_xlabel("training images (millions)")
    for ax in (small, large):
        ax.legend(fontsize=4.5, loc="upper center", bbox_to_anchor=(0.5, -0.28), ncols=2)
    looking.text(
        0.5, -0.36, "colours as in the middle", fontsize=4.5, ha="center",
        transform=looking.transAxes,
    )  # fmt: skip
    return drawn


def draw_maps(
    found: Sequence[Mapped], published: Mapping[str, xr.DataArray], kinds: Sequence[str]
) -> Figure:
    """Draw accuracy maps of What and the transformer beside the published ones, with profiles.

    Parameters
    ----------
    found : sequence of Mapped
    published : mapping of str to xarray.DataArray
        Of `published_maps`; may be empty.
    kinds : sequence of str
        "what" or "stn-28" for each of `found`.
    """
    rows = len(found)
    drawn = figure(PAGE_MM, 50 * rows)
    axes = drawn.subplots(rows, 3, squeeze=False)
    for row, ours, kind in zip(axes, found, kinds, strict=True):
        ax = plot_accuracy_map(ours.map["accuracy"], ax=row[0])
        ax.set_title(f"{ours.name}, ours")
        drawn.colorbar(ax.images[0], ax=row[0], label="accuracy", shrink=0.8)
        if kind in published:
            ax = plot_accuracy_map(published[kind], ax=row[1])
            ax.set_title(f"{KINDS[kind]}, published")
            drawn.colorbar(ax.images[0], ax=row[1], label="accuracy", shrink=0.8)
        else:
            row[1].text(0.5, 0.5, "published map\nnot at hand\n(see results)", ha="center",
                        va="center", transform=row[1].transAxes)  # fmt: skip
            row[1].set_axis_off()
        colour = COLOURS[KINDS[kind]]
        plot_profile(ours.profile, label=f"{ours.name}, ours, 95 %", color=colour, ax=row[2])
        middle = np.asarray(PROFILE_EDGES_PX[:-1]) + 1.0
        row[2].plot(middle, PROFILES[kind], "s--", ms=2, color="0.3", label="published")
        row[2].axhline(ours.chance, color="0.6", lw=0.8, ls=":", label="most frequent class")
        row[2].set_ylim(0, 1.25)
        row[2].set_yticks(np.arange(0, 1.1, 0.2))
        row[2].legend(loc="upper right", fontsize=5)
    return drawn


def draw_map(found: Mapped) -> Figure:
    """Draw one network's accuracy over the visual field, and its profile."""
    drawn = figure(PAGE_MM * 0.66, 55)
    field, line = drawn.subplots(1, 2)
    plot_accuracy_map(found.map["accuracy"], ax=field)
    field.set_title(found.name)
    drawn.colorbar(field.images[0], ax=field, label="accuracy", shrink=0.8)
    plot_profile(found.profile, label="95 %", ax=line)
    line.axhline(found.chance, color="0.6", lw=0.8, ls=":", label="most frequent class")
    line.legend()
    return drawn


def draw_others(found: Sequence[Mapped], stimuli: Sequence[str]) -> Figure:
    """Draw accuracy maps of networks of several families, from one function.

    Parameters
    ----------
    found : sequence of Mapped
    stimuli : sequence of str
        What each was shown.
    """
    columns = 4
    rows = -(-(len(found) + 1) // columns)
    drawn = figure(PAGE_MM, 48 * rows)
    axes = drawn.subplots(rows, columns, squeeze=False).ravel()
    for ax, each, stimulus in zip(axes, found, stimuli, strict=False):
        plot_accuracy_map(each.map["accuracy"], ax=ax)
        ax.set_title(f"{each.name}\n{stimulus}", fontsize=6)
        ax.set(xlabel="x (px)", ylabel="y (px)")
    drawn.colorbar(axes[0].images[0], ax=list(axes[: len(found)]), label="accuracy", shrink=0.5,
                   location="bottom", aspect=50)  # fmt: skip
    last = axes[len(found)]
    for colour, each in zip(PALETTE, found, strict=False):
        plot_profile(each.profile, label=each.name, color=colour, ax=last)
    last.set_ylim(0, 1)
    spare = axes[len(found) + 1] if len(found) + 1 < len(axes) else last
    spare.legend(*last.get_legend_handles_labels(), fontsize=5.5, loc="center left")
    for ax in axes[len(found) + 1 :]:
        ax.set_axis_off()
    return drawn


def draw_transforms(galleries: Mapping[str, Sequence[dict[str, Any]]]) -> Figure:
    """Draw what transformers look at: scenes with the outline, and below what was cut out.

    Parameters
    ----------
    galleries : mapping of str to sequence of dict
        By network: ``scene`` (H, W), ``seen`` (h, w), ``outline`` (5, 2) in pixels (x, y),
        ``answer`` and ``label``, ``title``.
    """
    n = max(len(shown) for shown in galleries.values())
    drawn = figure(PAGE_MM, 36 * len(galleries) + 4)
    axes = drawn.subplots(
        2 * len(galleries), n, squeeze=False, height_ratios=[1.5, 1] * len(galleries)
    )
    for row, (network, shown) in enumerate(galleries.items()):
        for column, one in enumerate(shown):
            above, below = axes[2 * row, column], axes[2 * row + 1, column]
            plot_image(xr.DataArray(one["scene"]), ax=above)
            above.plot(*np.asarray(one["outline"]).T - 0.5, color=PALETTE[4], lw=1)
            size = one["scene"].shape[0]
            above.set(xlim=(-0.5, size - 0.5), ylim=(size - 0.5, -0.5))
            if row == 0:
                above.set_title(one["title"], fontsize=5.5)
            plot_image(xr.DataArray(one["seen"]), ax=below)
            right = one["answer"] == one["label"]
            below.set_xlabel(
                f"{one['label']} → {one['answer']}", color="black" if right else PALETTE[1],
                labelpad=1, fontsize=6,
            )  # fmt: skip
        axes[2 * row, 0].set_ylabel(network)
    return drawn


def draw_sensors(views: Mapping[str, Any]) -> Figure:
    """Draw one scene as sensors leave it.

    Parameters
    ----------
    views : mapping of str to ndarray (H, W)
        By title.
    """
    drawn = figure(PAGE_MM, 42)
    axes = drawn.subplots(1, len(views))
    for ax, (title, view) in zip(axes, views.items(), strict=True):
        array = np.asarray(view)
        signed = array.min() < -0.01
        limit = float(np.abs(array).max())
        low, high = (-limit, limit) if signed else (0.0, 1.0)
        ax.imshow(array, vmin=low, vmax=high, cmap="RdBu_r" if signed else "gray")
        ax.set(xticks=[], yticks=[])
        ax.set_title(title, fontsize=6)
        ax.set_aspect("auto" if array.shape[0] != array.shape[1] else "equal")
    return drawn


def draw_benchmark(table: pd.DataFrame, published: pd.DataFrame, titles: Sequence[str]) -> Figure:
    """Draw accuracy by eccentricity and contrast: ours above, published below.

    Parameters
    ----------
    table : pandas.DataFrame
        Of `curves`, with column ``chance``.
    published : pandas.DataFrame
        Of `published_benchmark`.
    titles : sequence of str
        Models to draw, in this order.
    """
    contrasts = sorted(table["contrast"].unique(), reverse=True)
    drawn = figure(PAGE_MM, 118)
    axes = drawn.subplots(2, len(contrasts), sharex=True, sharey=True)
    colours = colours_of(len(titles))
    for row, (data, who) in zip(axes, ((table, "ours"), (published, "published")), strict=True):
        for ax, contrast in zip(row, contrasts, strict=True):
            at = data[data["contrast"] == contrast]
            for colour, name in zip(colours, titles, strict=True):
                rows = at[at["model"] == name].sort_values("eccentricity")
                if rows.empty:
                    continue
                ax.plot(rows["eccentricity"], rows["accuracy"], "-o", ms=2, lw=1, color=colour)
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
    drawn.legend(handles=handles, loc="outside lower center", ncols=5)
    return drawn


def colours_of(n: int) -> list[Any]:
    """Return colours that are told apart, in order of lightness."""
    import matplotlib as mpl

    return list(mpl.colormaps["turbo"](np.linspace(0.05, 0.95, n)))


def draw_looking(landing: pd.DataFrame, reliability: pd.DataFrame) -> Figure:
    """Draw where saccades land, how far they reach, and whether confidence is deserved.

    Parameters
    ----------
    landing : pandas.DataFrame
        Of `experiments.landings`.
    reliability : pandas.DataFrame
        Of `experiments.trust`.
    """
    drawn = figure(PAGE_MM, 72)
    error, reach, trust = drawn.subplots(1, 3)
    # Reliability is of all conditions, in the benchmark's order: their colours are the same there.
    models = list(dict.fromkeys(reliability["model"]))
    colour = dict(zip(models, colours_of(len(models)), strict=True))
    _bands(error, landing, "eccentricity", "error", "error_low", "error_high", colour)
    error.set(xlabel="eccentricity (px)", ylabel="median landing error (px), 95 %")
    error.set_ylim(bottom=0)
    _bands(reach, landing, "eccentricity", "gain", "gain_lower", "gain_upper", colour)
    reach.axhline(1, color="0.6", lw=0.8, ls="--")
    reach.set(xlabel="eccentricity (px)", ylabel="saccade gain, median and quartiles")
    reach.set_ylim(-0.5, 2)
    _bands(trust, reliability, "confidence", "accuracy", "low", "high", colour)
    trust.plot([0, 1], [0, 1], color="0.6", lw=0.8, ls="--")
    trust.set(xlabel="confidence", ylabel="accuracy", xlim=(0, 1), ylim=(0, 1))
    drawn.legend(*trust.get_legend_handles_labels(), loc="outside lower center", ncols=5)
    return drawn


def _bands(
    ax: Axes, table: pd.DataFrame, x: str, y: str, low: str, high: str, colour: dict[str, Any]
) -> None:
    for model, rows in table.groupby("model", sort=False):
        shade = colour[str(model)]
        ax.plot(rows[x], rows[y], "-o", ms=2, lw=1, color=shade, label=model)
        ax.fill_between(rows[x], rows[low], rows[high], color=shade, alpha=0.15, lw=0)
