"""What a gated network sees: input, gated input, gate and inhibition, phase by phase."""

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure

from attnsci.checks import check_dims
from attnsci.plotting.style import GATE_CMAP, PAGE_MM, axes_or_new, figure

_SHOWN = (("gated_input", "gated input"), ("gate", "gate"), ("inhibition", "inhibition"))


def plot_image(
    image: xr.DataArray,
    *,
    vmin: float = 0,
    vmax: float = 1,
    cmap: str = "gray",
    ax: Axes | None = None,
) -> Axes:
    """Draw one map without ticks and frame.

    Parameters
    ----------
    image : xarray.DataArray, (y, x) or (y, x, channel)
        Values between `vmin` and `vmax`.
    vmin, vmax : float
        Ends of the colour scale.
    cmap : str
        Colour map of a map without channels.
    ax : Axes, optional
        Where to draw.

    Returns
    -------
    Axes
    """
    ax = axes_or_new(ax)
    ax.imshow(np.asarray(image), vmin=vmin, vmax=vmax, cmap=cmap, interpolation="nearest")
    ax.set(xticks=[], yticks=[])
    ax.spines[:].set_visible(False)
    return ax


def plot_gallery(examples: xr.Dataset) -> Figure:
    """Draw a row a scene: the input, then gated input, gate and inhibition of each phase.

    Parameters
    ----------
    examples : xarray.Dataset
        ``image`` (stimulus, y, x); ``gated_input``, ``gate`` and ``inhibition`` (stimulus,
        phase, y, x); ``prediction`` (stimulus, phase), numbers or names. ``image`` and
        ``gated_input`` of photographs have ``channel`` as well, last.

    Returns
    -------
    Figure
    """
    check_dims("examples", examples, ["stimulus", "phase", "y", "x"])
    columns = 1 + len(_SHOWN) * examples.sizes["phase"]
    height = PAGE_MM / columns * examples.sizes["y"] / examples.sizes["x"]
    drawn = figure(PAGE_MM, (height + 3) * examples.sizes["stimulus"] + 16)
    draw_gallery(examples, drawn)
    return drawn


def draw_gallery(examples: xr.Dataset, drawn: Figure | SubFigure) -> None:
    """Draw what `plot_gallery` does into a figure, or a part of one."""
    check_dims("examples", examples, ["stimulus", "phase", "y", "x"])
    n_phases, n_scenes = examples.sizes["phase"], examples.sizes["stimulus"]
    columns = 1 + len(_SHOWN) * n_phases
    axes = drawn.subplots(n_scenes, columns, squeeze=False)
    for scene_index, row in enumerate(axes):
        scene = examples.isel(stimulus=scene_index)
        plot_image(scene["image"], ax=row[0])
        for phase in range(n_phases):
            seen = scene.isel(phase=phase)
            for column, (name, _) in enumerate(_SHOWN):
                ax = row[1 + len(_SHOWN) * phase + column]
                if name == "gate":
                    gates = plot_image(seen[name], vmin=-1, vmax=1, cmap=GATE_CMAP, ax=ax)
                else:
                    plot_image(seen[name], ax=ax)
            row[1 + len(_SHOWN) * phase].set_xlabel(
                f"reads {seen['prediction'].item()}", labelpad=1
            )
    axes[0, 0].set_title("input")
    for phase in range(n_phases):
        for column, (_, title) in enumerate(_SHOWN):
            prefix = f"phase {phase + 1}\n" if column == 1 else "\n"
            axes[0, 1 + len(_SHOWN) * phase + column].set_title(prefix + title)
    bar = drawn.colorbar(
        gates.images[0],
        ax=axes,
        location="bottom",
        shrink=0.3,
        aspect=30,
        pad=0.02,
        ticks=[-1, 0, 1],
    )
    low, high = float(examples["gate"].min()), float(examples["gate"].max())
    bar.set_label(f"gate (1: closed, −1: open; here {low:.2f} to {high:.2f})".replace("-", "−"))
