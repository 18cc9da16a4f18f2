"""Scanpaths and fixation densities over the image that was looked at, in its pixels and degrees."""

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np
import xarray as xr
from matplotlib import colormaps, patheffects, rcParams
from matplotlib.axes import Axes
from matplotlib.patches import FancyArrowPatch, Rectangle
from matplotlib.transforms import ScaledTranslation

from attnsci.checks import check_dims, check_finite, check_positive
from attnsci.errors import InvalidInput
from attnsci.gaze import KEYS, frame_sizes, validate, viewing_of
from attnsci.geometry import Viewing
from attnsci.plotting.style import PALETTE, axes_or_new

AREA_PT2_PER_S = 250
"""Area of a fixation's circle in square points for each second, the same in every figure."""
PLAIN_AREA_PT2 = 60
"""Area of circles without durations."""
REACH = 0.25
"""How far beyond the frame points are shown, as a fraction of its width and height."""
MARKERS = ("o", "s", "^", "D")
"""With the palette's colours they tell 28 observers apart."""
_LEGEND_S = (0.1, 0.25, 0.5, 1.0)
_HALO = [patheffects.withStroke(linewidth=1.6, foreground="w")]


def plot_scanpath(
    scanpaths: xr.Dataset, image: Any | None = None, *, ax: Axes | None = None
) -> Axes:
    """Draw one scanpath: numbered circles, dark to bright in order, and arrows between them.

    A circle's area is the fixation's duration, on a scale that is the same in every figure; a
    scanpath without durations has equal circles.

    Parameters
    ----------
    scanpaths : xarray.Dataset
        The container with one scanpath.
    image : array-like (H, W) or (H, W, 3), uint8 or float in [0, 1], optional
        What was looked at; at another resolution it is stretched over the frame.
    ax : Axes, optional
        Where to draw.

    Returns
    -------
    Axes
        In pixels, y down; degrees from the centre on top and right if ``px_per_deg`` is known.

    Raises
    ------
    InvalidInput
        If there is not exactly one scanpath, or the image has another shape than its frame.

    Examples
    --------
    >>> from attnsci.gaze import from_dict
    >>> path = from_dict({"a": {"s1": [[10, 5, 0.2], [40, 30, 0.4]]}}, Viewing(80, 60))
    >>> plot_scanpath(path).get_title()
    'a, observer s1'
    """
    if scanpaths.sizes.get("scanpath") != 1:
        raise InvalidInput(
            f"One scanpath is drawn at a time; got {scanpaths.sizes.get('scanpath')}. Choose it "
            "by attnsci.scanpaths.select(scanpaths, image=..., observer=...), or draw all of an "
            "image with plot_observers."
        )
    viewing = frame_of(scanpaths)
    ax = axes_or_new(ax)
    n = int(scanpaths["n_fixations"][0])
    x, y, duration = (scanpaths[name].to_numpy()[0, :n] for name in ("x", "y", "duration"))
    _draw_frame(ax, viewing, image, x, y)
    timed = not np.isnan(duration).any()
    areas = duration * AREA_PT2_PER_S if timed else np.full(n, float(PLAIN_AREA_PT2))
    colours = colormaps["viridis"](np.linspace(0.1, 1, n))
    radii = np.sqrt(areas / np.pi)
    for start in range(n - 1):
        ax.add_patch(
            FancyArrowPatch(
                (x[start], y[start]),
                (x[start + 1], y[start + 1]),
                arrowstyle="-|>",
                mutation_scale=6,
                shrinkA=radii[start],
                shrinkB=radii[start + 1],
                color=colours[start],
                lw=1.2,
                path_effects=_HALO,
                zorder=2,
            )
        )
    near = ~outside(x, y, viewing, REACH)
    # Not clipped: a circle on the frame's edge is whole.
    ax.scatter(
        x[near], y[near], s=areas[near], c=colours[near], edgecolors="w", linewidths=0.6,
        alpha=0.9, clip_on=False, zorder=3,
    )  # fmt: skip
    for number, (across, down, colour) in enumerate(zip(x, y, colours, strict=True), start=1):
        dark = colour[:3] @ (0.2126, 0.7152, 0.0722) < 0.5
        number_text = ax.annotate(
            str(number), (across, down), ha="center", va="center", fontsize=6,
            color="w" if dark else "k", annotation_clip=True, zorder=4,
        )  # fmt: skip
        outline = patheffects.withStroke(linewidth=1, foreground="k" if dark else "w")
        number_text.set_path_effects([outline])
    if timed and n:
        shown = [s for s in _LEGEND_S if s <= max(duration.max(), _LEGEND_S[0])]
        handles = [
            ax.scatter([], [], s=s * AREA_PT2_PER_S, c="0.5", edgecolors="w", label=f"{s:g} s")
            for s in shown
        ]
        _legend_below(ax, handles, "fixation duration (circle area)")
    _, who = names_of(scanpaths)
    ax.set_title(f"{scanpaths['image'].to_numpy()[0]}, observer {who[0]}")
    return ax


def plot_observers(
    scanpaths: xr.Dataset, image: Any | None = None, *, ax: Axes | None = None
) -> Axes:
    """Draw the scanpaths of all observers on one image, each with its colour and marker.

    The first fixation is filled white. More observers than can be told apart (28) share one
    colour and the legend gives their number.

    Parameters
    ----------
    scanpaths : xarray.Dataset
        The container with the scanpaths of one image.
    image : array-like (H, W) or (H, W, 3), uint8 or float in [0, 1], optional
        What was looked at.
    ax : Axes, optional
        Where to draw.

    Returns
    -------
    Axes
        Axes as in `plot_scanpath`; a line for each scanpath, in the order given.

    Raises
    ------
    InvalidInput
        If there is not exactly one image, or `image` has another shape than its frame.

    Examples
    --------
    >>> from attnsci.gaze import from_dict
    >>> paths = from_dict({"a": {"s1": [[10, 5]], "s2": [[40, 30], [9, 9]]}}, Viewing(80, 60))
    >>> [line.get_label() for line in plot_observers(paths).lines]
    ['s1', 's2']
    """
    viewing = frame_of(scanpaths)
    ax = axes_or_new(ax)
    x, y = scanpaths["x"].to_numpy(), scanpaths["y"].to_numpy()
    _draw_frame(ax, viewing, image, x, y)
    _, who = names_of(scanpaths)
    few = len(who) <= len(PALETTE) * len(MARKERS)
    lines = ax.plot(x.T, y.T, ms=3, lw=0.8, path_effects=_HALO)
    for index, (line, name) in enumerate(zip(lines, who, strict=True)):
        line.set(
            color=PALETTE[index % len(PALETTE)] if few else PALETTE[0],
            marker=MARKERS[index // len(PALETTE)] if few else MARKERS[0],
            label=name,
            alpha=1 if few else 0.4,
        )
        ax.scatter(
            x[index, :1], y[index, :1], s=16, marker=line.get_marker(), facecolors="w",
            edgecolors=line.get_color(), linewidths=1, zorder=3,
        )  # fmt: skip
    if not few:
        lines[0].set_label(f"{len(lines)} scanpaths")
    _legend_below(ax, lines if few else lines[:1], "observer (first fixation white)")
    ax.set_title(str(scanpaths["image"].to_numpy()[0]))
    return ax


def plot_density(
    density: xr.DataArray | xr.Dataset,
    image: Any | None = None,
    *,
    sigma_px: float | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Draw where an image was looked at, over the image.

    Scanpaths are counted pixel by pixel and smoothed with a Gaussian, as in Wooding (2002),
    every fixation alike; the tails beyond the frame are cut. Fixations are drawn as dots, the
    image in grey, so that colour means density only.

    Parameters
    ----------
    density : xarray.DataArray (y, x), or xarray.Dataset
        A density, with the pixels' centres as coordinates ``x`` and ``y`` or else counted from
        0.5, its attributes ``long_name`` and ``units`` naming the colour bar; or the scanpaths
        of one image.
    image : array-like (H, W) or (H, W, 3), uint8 or float in [0, 1], optional
        What was looked at.
    sigma_px : float, optional
        Standard deviation of the Gaussian in pixels; one degree where it is not given.
    ax : Axes, optional
        Where to draw.

    Returns
    -------
    Axes
        Axes as in `plot_scanpath`.

    Raises
    ------
    InvalidInput
        If degrees are unknown and `sigma_px` is not given, a density has negative or missing
        values, there are several images, or `image` has another shape than the frame.

    Examples
    --------
    >>> from attnsci.gaze import from_dict
    >>> paths = from_dict({"a": {"s1": [[10, 5], [40, 30]]}}, Viewing(80, 60, px_per_deg=4))
    >>> plot_density(paths).get_title()
    'a, 2 fixations'
    """
    if isinstance(density, xr.Dataset):
        values, viewing, label = _smoothed(density, sigma_px)
        x, y = density["x"].to_numpy(), density["y"].to_numpy()
        (left, right), (above, below) = (0.0, viewing.width_px), (0.0, viewing.height_px)
        title = f"{density['image'].to_numpy()[0]}, {int(density['n_fixations'].sum())} fixations"
    else:
        check_dims("density", density, ["y", "x"])
        values = check_finite("density", density.transpose("y", "x").to_numpy())
        if (values < 0).any():
            raise InvalidInput(
                f"A density is not negative; the smallest value is {values.min():g}. Give the "
                "density, not its logarithm."
            )
        (left, right), (above, below) = _ends(density, "x"), _ends(density, "y")
        viewing = Viewing(width_px=right, height_px=below)
        if "viewing" in density.attrs:
            viewing = Viewing.from_json(density.attrs["viewing"])
        name = str(density.attrs.get("long_name", density.name or "density"))
        label = f"{name} ({density.attrs['units']})" if "units" in density.attrs else name
        x = y = np.empty(0)
        title = ""
    ax = axes_or_new(ax)
    _draw_frame(ax, viewing, None if image is None else _grey(image), x, y)
    top = values.max() or 1.0
    shown = ax.imshow(
        values,
        extent=(left, right, below, above),
        cmap="YlOrRd",
        vmin=0,
        vmax=top,
        # Where nobody looked the image stays as it is.
        alpha=1.0 if image is None else 0.9 * np.sqrt(values / top),
        zorder=1,
    )
    ax.plot(np.ravel(x), np.ravel(y), "o", ms=1.6, mfc="w", mec="k", mew=0.3, zorder=3)
    ax.figure.colorbar(shown, ax=ax, label=label, location="bottom", shrink=0.8, aspect=40)
    ax.set_title(title)
    return ax


def frame_of(scanpaths: xr.Dataset) -> Viewing:
    """Return the viewing, in the size of the one image that all the scanpaths are on.

    Raises
    ------
    InvalidInput
        If there is not exactly one image, or it has several sizes.
    """
    validate(scanpaths)
    names = np.unique(scanpaths["image"].to_numpy())
    if len(names) != 1:
        raise InvalidInput(
            f"Scanpaths of one image are drawn over it; these are of {len(names)} images. Choose "
            "one by attnsci.scanpaths.select(scanpaths, image=...)."
        )
    width, height = (np.unique(side) for side in frame_sizes(scanpaths))
    if len(width) > 1 or len(height) > 1:
        raise InvalidInput(
            f"Image {str(names[0])!r} is {width.tolist()} pixels wide and {height.tolist()} high "
            "for different scanpaths; rescale(scanpaths, width_px, height_px) first."
        )
    return dataclasses.replace(
        viewing_of(scanpaths), width_px=float(width[0]), height_px=float(height[0])
    )


def names_of(scanpaths: xr.Dataset) -> tuple[list[str], list[str]]:
    """Return image, and observer (with task and sample, if there are any), of each scanpath."""
    keys = [key for key in KEYS[1:] if key in scanpaths.coords]
    columns = [scanpaths[key].to_numpy().astype(str) for key in keys]
    who = [", ".join(parts) for parts in zip(*columns, strict=True)]
    return scanpaths["image"].to_numpy().astype(str).tolist(), who


def check_picture(name: str, height: int, width: int, viewing: Viewing) -> None:
    """Raise `InvalidInput` if a picture of that size cannot be the frame at another resolution."""
    ratio = (width / viewing.width_px) / (height / viewing.height_px)
    # Half a pixel on each side is what rounding a downscaled size can do.
    if abs(ratio - 1) > 0.5 / width + 0.5 / height + 1e-9:
        raise InvalidInput(
            f"{name} is {width}×{height} pixels and the scanpaths' frame is "
            f"{viewing.width_px:g}×{viewing.height_px:g}: not the same picture at another "
            "resolution. Give the picture that was looked at, or correct the Viewing."
        )


def outside(x: np.ndarray, y: np.ndarray, viewing: Viewing, reach: float = 0.0) -> np.ndarray:
    """Return which points lie beyond the frame by more than a fraction `reach` of its sides."""
    return (
        (x < -reach * viewing.width_px) | (x > (1 + reach) * viewing.width_px)
        | (y < -reach * viewing.height_px) | (y > (1 + reach) * viewing.height_px)
    )  # fmt: skip


def _smoothed(scanpaths: xr.Dataset, sigma_px: float | None) -> tuple[np.ndarray, Viewing, str]:
    """Return fixations per square degree (or pixel) at each pixel, the viewing and the label."""
    from scipy.ndimage import gaussian_filter

    viewing = frame_of(scanpaths)
    if sigma_px is None:
        sigma_px = float(viewing.pixels(1.0))
    check_positive("sigma_px", sigma_px)
    x, y = scanpaths["x"].to_numpy(), scanpaths["y"].to_numpy()
    inside = np.isfinite(x) & ~outside(x, y, viewing)
    size = round(viewing.height_px), round(viewing.width_px)
    counts, _, _ = np.histogram2d(
        y[inside], x[inside], size, ((0, viewing.height_px), (0, viewing.width_px))
    )
    values = gaussian_filter(counts, sigma_px, mode="constant")
    if viewing.px_per_deg is None:
        return values, viewing, f"fixations per square pixel (σ = {sigma_px:g} px)"
    label = f"fixations per square degree (σ = {viewing.degrees(sigma_px):.3g}°)"
    return values * viewing.px_per_deg**2, viewing, label


def _ends(density: xr.DataArray, dim: str) -> tuple[float, float]:
    n = density.sizes[dim]
    if dim not in density.coords or n < 2:
        return 0.0, float(n)
    first, last = float(density[dim][0]), float(density[dim][-1])
    half = (last - first) / (n - 1) / 2
    return first - half, last + half


def _grey(image: Any) -> np.ndarray:
    """Return the luminance of a picture, a third of the way to white."""
    picture = np.asarray(image)
    values = picture / (255 if picture.dtype.kind in "ui" else 1)
    if values.ndim == 3 and values.shape[2] in (3, 4):
        values = values[..., :3] @ (0.2126, 0.7152, 0.0722)
    return (values + 0.5) / 1.5


def _draw_frame(
    ax: Axes, viewing: Viewing, image: Any | None, x: np.ndarray, y: np.ndarray
) -> None:
    """Draw the image and set the axes to its frame, a little wider if points lie outside."""
    width, height = viewing.width_px, viewing.height_px
    if image is not None:
        picture = np.asarray(image)
        if picture.ndim not in (2, 3) or (picture.ndim == 3 and picture.shape[2] not in (3, 4)):
            raise InvalidInput(f"image must be (H, W) or (H, W, 3); got {picture.shape}.")
        check_picture("image", picture.shape[0], picture.shape[1], viewing)
        brightest = 255 if picture.dtype.kind in "ui" else 1
        ax.imshow(
            picture, extent=(0, width, height, 0), cmap="gray", vmin=0, vmax=brightest, zorder=0
        )
    ax.add_patch(Rectangle((0, 0), width, height, fill=False, ec="0.5", lw=0.6, zorder=1))
    far = outside(x, y, viewing, REACH)
    limits = []
    for values, side in ((x, width), (y, height)):
        near = values[np.isfinite(values) & ~far]
        low, high = near.min(initial=0), near.max(initial=side)
        limits.append((low - 0.02 * side * (low < 0), high + 0.02 * side * (high > side)))
    ax.set(xlim=limits[0], ylim=limits[1][::-1], xlabel="x (px)", ylabel="y (px)", aspect="equal")
    if far.any():
        note = f"fixations farther outside: {int(far.sum())}"
        ax.text(0.01, 0.01, note, transform=ax.transAxes, fontsize=6, path_effects=_HALO, zorder=5)
    if viewing.px_per_deg is not None:
        across = ax.secondary_xaxis(
            "top",
            functions=(
                lambda px: viewing.to_degrees(px, 0)[0],
                lambda deg: viewing.from_degrees(deg, 0)[0],
            ),
        )
        down = ax.secondary_yaxis(
            "right",
            functions=(
                lambda px: viewing.to_degrees(0, px)[1],
                lambda deg: viewing.from_degrees(0, deg)[1],
            ),
        )
        across.set_xlabel("x from the centre (°)")
        down.set_ylabel("y from the centre (°)")


def _legend_below(ax: Axes, handles: Sequence[Any], title: str) -> None:
    """Put the legend under the axis' label, where it hides nothing of the image."""
    points = rcParams["font.size"] * 2.9 + 6
    below = ScaledTranslation(0, -points / 72, ax.figure.dpi_scale_trans)
    ax.legend(
        handles=handles,
        title=title,
        title_fontsize=rcParams["legend.fontsize"],
        ncols=min(len(handles), 8),
        loc="upper center",
        bbox_to_anchor=(0.5, 0),
        bbox_transform=ax.transAxes + below,
        columnspacing=1.2,
        handletextpad=0.6,
        borderaxespad=0,
    )
