"""One look for all figures: colour-blind safe, small type, sizes in millimetres."""

import contextlib
from collections.abc import Iterator
from typing import Any

import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

ATTENDED, UNATTENDED = "#0072B2", "#D55E00"
"""Okabe and Ito's blue and vermilion."""
PALETTE = (ATTENDED, UNATTENDED, "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#666666")
COLUMN_MM, PAGE_MM = 85, 178
GATE_CMAP = "RdBu"

_STYLE: dict[Any, Any] = {
    "axes.prop_cycle": plt.cycler(color=PALETTE),
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlesize": 7,
    "axes.labelsize": 7,
    "font.family": "DejaVu Sans",
    "font.size": 7,
    "legend.fontsize": 6,
    "legend.frameon": False,
    "lines.linewidth": 1.2,
    "savefig.dpi": 200,
    "svg.fonttype": "none",
    "svg.hashsalt": "attnsci",
    "xtick.labelsize": 6,
    "ytick.labelsize": 6,
}


@contextlib.contextmanager
def style() -> Iterator[None]:
    """Draw within this context to get the package's look."""
    with plt.rc_context(_STYLE):
        yield


def figure(width_mm: float, height_mm: float) -> Figure:
    """Return an empty figure of that size with a constrained layout."""
    return plt.figure(figsize=(width_mm / 25.4, height_mm / 25.4), layout="constrained")


def axes_or_new(ax: Axes | None) -> Axes:
    """Return `ax`, or the axes of a new figure."""
    return plt.subplots(layout="constrained")[1] if ax is None else ax
