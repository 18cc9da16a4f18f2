"""How well is recognised what lies where: maps over the visual field, and their profiles."""

import numpy as np
import xarray as xr
from matplotlib.axes import Axes

from attnsci.checks import check_dims
from attnsci.errors import InvalidInput
from attnsci.plotting.style import ATTENDED, axes_or_new

CONTOURS = (0.3, 0.5, 0.7)


def plot_accuracy_map(
    accuracy: xr.DataArray, *, vmin: float = 0.0, vmax: float = 1.0, ax: Axes | None = None
) -> Axes:
    """Draw accuracy by where the object is from the gaze, with contours.

    Parameters
    ----------
    accuracy : xarray.DataArray, (y, x)
        As `attnsci.analysis.accuracy_map` returns it; offsets in pixels or degrees, down and to
        the right.
    vmin, vmax : float
        Ends of the colour scale; ``ax.images[0]`` is what a colour bar needs.
    ax : Axes, optional
        Where to draw.

    Returns
    -------
    Axes

    Raises
    ------
    InvalidInput
        If there are other dimensions, or fewer than two offsets along one.

    Examples
    --------
    >>> offsets = np.arange(-9, 10, 3)
    >>> away = np.hypot(offsets, offsets[:, None])
    >>> accuracy = xr.DataArray(np.exp(-away / 9), {"y": offsets, "x": offsets}, ("y", "x"))
    >>> plot_accuracy_map(accuracy).get_xlabel()
    'x of the object (px)'
    """
    check_dims("accuracy", accuracy, ["y", "x"])
    if accuracy.ndim != 2 or min(accuracy.shape) < 2:
        raise InvalidInput(
            "accuracy must be a map over y and x, of two offsets or more; got "
            f"{dict(accuracy.sizes)}."
        )
    ax = axes_or_new(ax)
    field = accuracy.transpose("y", "x")
    y, x = field["y"].to_numpy(), field["x"].to_numpy()
    half = np.diff(x).mean() / 2, np.diff(y).mean() / 2
    ax.imshow(
        field, vmin=vmin, vmax=vmax, cmap="viridis", interpolation="nearest",
        extent=(x[0] - half[0], x[-1] + half[0], y[-1] + half[1], y[0] - half[1]),
    )  # fmt: skip
    drawn = [level for level in CONTOURS if field.min() < level < field.max()]
    if drawn:
        lines = ax.contour(x, y, field, levels=drawn, colors="white", linewidths=0.6)
        ax.clabel(lines, fmt="%g", fontsize=4.5)
    unit = field["x"].attrs.get("units", "px")
    ax.set(xlabel=f"x of the object ({unit})", ylabel=f"y of the object ({unit})")
    return ax


def plot_profile(
    profile: xr.Dataset,
    *,
    label: str | None = None,
    color: str = ATTENDED,
    ax: Axes | None = None,
) -> Axes:
    """Draw accuracy against eccentricity, with its interval as a band where it has one.

    Parameters
    ----------
    profile : xarray.Dataset
        As `attnsci.analysis.accuracy_by_eccentricity` or `radial_profile` returns it.
    label, color : str
        Of the line.
    ax : Axes, optional
        Where to draw.

    Returns
    -------
    Axes

    Examples
    --------
    >>> profile = xr.Dataset({"accuracy": ("eccentricity", [0.9, 0.5])}, {"eccentricity": [1, 3]})
    >>> [float(end) for end in plot_profile(profile).get_ylim()]
    [0.0, 1.0]
    """
    check_dims("accuracy", profile["accuracy"], ["eccentricity"])
    ax = axes_or_new(ax)
    away = profile.get("mean_eccentricity", profile["eccentricity"])
    ax.plot(away, profile["accuracy"], "-o", ms=2, color=color, label=label)
    if "low" in profile:
        ax.fill_between(away, profile["low"], profile["high"], color=color, alpha=0.25, lw=0)
    unit = profile["eccentricity"].attrs.get("units", "px")
    ax.set(xlabel=f"eccentricity ({unit})", ylabel="accuracy", ylim=(0, 1))
    return ax
