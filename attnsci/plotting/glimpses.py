"""What a glimpse model looks at and what it answers: the retina's squares and the class' bars."""

import os
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import xarray as xr
from matplotlib import patheffects
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch, Rectangle
from numpy.typing import ArrayLike

from attnsci.checks import (
    check_dims,
    check_finite,
    check_not_empty,
    check_positive,
    check_shape,
)
from attnsci.errors import InvalidInput
from attnsci.files import atomic_path
from attnsci.plotting.style import PAGE_MM, PALETTE, axes_or_new, figure, style

SCALE_COLOURS = (PALETTE[4], PALETTE[5], PALETTE[3], "#F0E442")
"""Of the squares, finest first: Okabe and Ito's colours that are bright on black."""
RIGHT, WRONG, NO_LABEL, OTHERS = PALETTE[2], PALETTE[1], PALETTE[0], "#BBBBBB"
"""Bars of the class with the highest probability, where it is the true one, where it is not,
where the truth is not known; and of all other classes."""
TICK, CROSS, TRUE = "✔", "✘", "◀"
_OUTSIDE = "#DDDDDD"
_DARK = [patheffects.withStroke(linewidth=2, foreground="k")]
# Softmax in single precision errs by far less, one in half precision by more.
_SUM_TOLERANCE = 1e-3
_GIF_MM, _GIF_DPI = (150, 82), 128


class _Shown(NamedTuple):
    picture: np.ndarray
    xy: np.ndarray
    widths: np.ndarray
    probability: np.ndarray
    label: int | None
    seen: np.ndarray | None


def plot_glimpse(
    image: Any, xy: ArrayLike, widths_px: ArrayLike, *, ax: Axes | None = None
) -> Axes:
    """Draw an image and the squares that one glimpse takes of it.

    Squares that reach beyond the image are drawn whole; the plane outside is light grey.

    Parameters
    ----------
    image : array-like (H, W) or (H, W, 3), uint8 or float in [0, 1]
        What is looked at.
    xy : array-like (2,)
        Where: x to the right and y down in continuous pixels, pixel i centred at i + 0.5.
    widths_px : array-like (scale,)
        Sides of the squares in pixels, a scale each, as (12, 24, 48).
    ax : Axes, optional
        Where to draw.

    Returns
    -------
    Axes
        In pixels, y down; its patches are the squares in the order given, then the image's frame.

    Raises
    ------
    InvalidInput
        If a shape, the kind or the range of a value does not fit.

    Examples
    --------
    >>> ax = plot_glimpse(np.zeros((28, 42)), (10, 20), (8, 16))
    >>> [patch.get_bbox().extents.tolist() for patch in ax.patches[:2]]  # left, top, right, below
    [[6.0, 16.0, 14.0, 24.0], [2.0, 12.0, 18.0, 28.0]]
    """
    picture, widths = _picture(image), _widths(widths_px)
    place = check_finite("xy", check_shape("xy", np.asarray(xy, float), (2,)))
    ax = axes_or_new(ax)
    height, width = picture.shape[:2]
    ax.set_facecolor(_OUTSIDE)
    ax.spines[:].set_visible(False)
    ax.imshow(
        picture, extent=(0, width, height, 0), cmap="gray", vmin=0, vmax=1,
        interpolation="nearest", zorder=0,
    )  # fmt: skip
    for index, side in enumerate(widths):
        corner = place - side / 2
        ax.add_patch(
            Rectangle(
                (corner[0], corner[1]), side, side, fill=False, lw=1.1, zorder=4 - index / 100,
                ec=SCALE_COLOURS[index % len(SCALE_COLOURS)], path_effects=_DARK,
            )
        )  # fmt: skip
    ax.add_patch(Rectangle((0, 0), width, height, fill=False, ec="0.4", lw=0.6, zorder=1))
    x_limits, y_limits = _limits(picture, place[None], widths)
    ax.set(xlim=x_limits, ylim=y_limits, xlabel="x (px)", ylabel="y (px)", aspect="equal")
    return ax


def plot_class_bars(probability: Any, label: int | None = None, *, ax: Axes | None = None) -> Axes:
    """Draw the probability of each class, 0 on top, and whether the answer is right.

    The class with the highest probability is the answer. Its bar is green with a tick where it is
    the true class, vermilion with a cross where it is not, blue without either where the true
    class is not given. A triangle points at the true class, whose number is bold.

    Parameters
    ----------
    probability : array-like (class,)
        Of each class; they add up to 1.
    label : int, optional
        The true class, 0 … number of classes − 1.
    ax : Axes, optional
        Where to draw.

    Returns
    -------
    Axes
        Its patches are the bars in the classes' order.

    Raises
    ------
    InvalidInput
        If these are not the probabilities of two or more classes, or the label is none of them.

    Examples
    --------
    >>> ax = plot_class_bars([0.1, 0.7, 0.2], label=1)
    >>> ax.get_title(), [text.get_text() for text in ax.get_yticklabels()]
    ('reads 1', ['0', '1', '2'])
    """
    shares = check_shape("probability", np.asarray(probability, float), ("class",))
    shares = check_probability("probability", shares)
    n = len(shares)
    label = check_label("label", label, n)
    ax = axes_or_new(ax)
    answer = int(shares.argmax())
    colour, mark = NO_LABEL, ""
    if label is not None:
        colour, mark = (RIGHT, TICK) if answer == label else (WRONG, CROSS)
    ax.barh(
        range(n), shares, height=0.8, color=[colour if i == answer else OTHERS for i in range(n)]
    )
    inside = shares[answer] > 0.8
    ax.text(
        shares[answer] + (-0.03 if inside else 0.03), answer, mark, va="center_baseline",
        ha="right" if inside else "left", color="w" if inside else colour, fontweight="bold",
    )  # fmt: skip
    ax.set(
        xlim=(0, 1), ylim=(n - 0.4, -0.6), xticks=[0, 0.5, 1], yticks=range(n),
        yticklabels=range(n), xlabel="probability", ylabel="class", title=f"reads {answer}",
    )  # fmt: skip
    ax.set_xticklabels(["0", "0.5", "1"])
    ax.tick_params(axis="y", length=0)
    if label is not None:
        # Beyond the axis' end, where no bar reaches.
        ax.text(1.03, label, TRUE, va="center_baseline", ha="left")
        ax.get_yticklabels()[label].set_fontweight("bold")
    return ax


def plot_glimpses(image: Any, shown: xr.Dataset, widths_px: ArrayLike) -> Figure:
    """Draw a column a glimpse: where it was taken, what was seen, and the classes' bars after it.

    Parameters
    ----------
    image : array-like (H, W) or (H, W, 3), uint8 or float in [0, 1]
        What is looked at.
    shown : xarray.Dataset, (glimpse, class, coordinate)
        ``location`` (glimpse, coordinate) in continuous pixels, ``coordinate`` being "x" and "y";
        ``probability`` (glimpse, class), the classes counted from 0. Where there are: the
        scalar ``label``, the true class; ``seen`` (glimpse, scale, row, column) in [0, 1], what
        the retina handed on, scales as in `widths_px`.
    widths_px : array-like (scale,)
        Sides of the squares in pixels.

    Returns
    -------
    Figure
        Page wide, wider for more than eight glimpses.

    Raises
    ------
    InvalidInput
        If a dimension is missing, or a shape or a value does not fit.

    Examples
    --------
    >>> shown = xr.Dataset(
    ...     {
    ...         "location": (("glimpse", "coordinate"), [[5.0, 9.0], [20.0, 14.0]]),
    ...         "probability": (("glimpse", "class"), [[0.5, 0.5], [0.1, 0.9]]),
    ...     },
    ...     coords={"coordinate": ["x", "y"], "label": 1},
    ... )
    >>> len(plot_glimpses(np.zeros((28, 28)), shown, (8,)).axes)
    4
    """
    given = _checked(image, shown, widths_px)
    n, n_scales = len(given.xy), len(given.widths)
    x_limits, y_limits = _limits(given.picture, given.xy, given.widths)
    column = np.clip(PAGE_MM / n, PAGE_MM / 8, PAGE_MM / 4)
    heights = [column * np.ptp(y_limits) / np.ptp(x_limits), 34]
    if given.seen is not None:
        heights.insert(1, column / max(n_scales, 2))
    drawn = figure(n * column, sum(heights) + 14)
    grid = drawn.add_gridspec(len(heights), n, height_ratios=heights)
    for t in range(n):
        ax = drawn.add_subplot(grid[0, t])
        _draw_step(given, t, ax)
        ax.set(xlabel="", ylabel="" if t else "px", title=f"glimpse {t + 1}")
        ax.tick_params(labelleft=not t)
        if given.seen is not None:
            scales = grid[1, t].subgridspec(1, n_scales)
            for scale in range(n_scales):
                _draw_seen(given.seen[t, scale], scale, drawn.add_subplot(scales[scale]))
        bars = plot_class_bars(given.probability[t], given.label, ax=drawn.add_subplot(grid[-1, t]))
        if t:
            bars.set_ylabel("")
    if given.label is not None:
        drawn.legend(handles=_legend(), loc="outside lower center", ncols=3)
    return drawn


def write_glimpse_animation(
    image: Any,
    shown: xr.Dataset,
    widths_px: ArrayLike,
    path: str | os.PathLike[str],
    *,
    frame_ms: int = 850,
) -> Path:
    """Write a GIF that repeats for ever, a frame a glimpse: the squares, and the classes' bars.

    The same input makes the same file, byte for byte, with the same versions of Matplotlib and
    Pillow. The figures are the function's own: pyplot knows nothing of them.

    Parameters
    ----------
    image, shown, widths_px
        As in `plot_glimpses`; what the retina handed on is not drawn.
    path : path-like
        The file to write.
    frame_ms : int
        How long each frame stays, in ms: a multiple of 10, which GIF counts in, and at least 20,
        below which browsers take 100.

    Returns
    -------
    pathlib.Path
        `path`.

    Raises
    ------
    InvalidInput
        As `plot_glimpses`, or if `frame_ms` cannot be kept.
    StorageError
        If the file cannot be written.

    Examples
    --------
    >>> import tempfile
    >>> shown = xr.Dataset(
    ...     {
    ...         "location": (("glimpse", "coordinate"), [[5.0, 9.0], [20.0, 14.0]]),
    ...         "probability": (("glimpse", "class"), [[0.5, 0.5], [0.1, 0.9]]),
    ...     },
    ...     coords={"coordinate": ["x", "y"], "label": 1},
    ... )
    >>> folder = Path(tempfile.mkdtemp())
    >>> write_glimpse_animation(np.zeros((28, 28)), shown, (8,), folder / "digit.gif").name
    'digit.gif'
    """
    from PIL import Image

    check_positive("frame_ms", frame_ms, integer=True)
    if frame_ms < 20 or frame_ms % 10:
        raise InvalidInput(
            f"frame_ms must be a multiple of 10, and 20 at least; got {frame_ms}. GIF counts in "
            "hundredths of a second."
        )
    given = _checked(image, shown, widths_px)
    frames = [_frame(given, t) for t in range(len(given.xy))]
    # One palette for all frames, so that nothing flickers that does not change.
    together = Image.fromarray(np.concatenate(frames)).quantize(dither=Image.Dither.NONE)
    height, width = frames[0].shape[:2]
    first, *others = (
        together.crop((0, t * height, width, (t + 1) * height)) for t in range(len(frames))
    )
    with atomic_path(path) as temporary:
        first.save(temporary, "GIF", save_all=True, append_images=others, duration=frame_ms, loop=0)
    return Path(path)


def check_probability(parameter: str, values: np.ndarray) -> np.ndarray:
    """Return `values` (..., class) if they are probabilities of classes that add up to 1."""
    check_finite(parameter, values)
    if values.ndim == 0 or values.shape[-1] < 2:
        raise InvalidInput(f"{parameter} must be of 2 classes or more; got shape {values.shape}.")
    sums = values.sum(-1)
    bad = (np.abs(sums - 1) > _SUM_TOLERANCE) | (values < 0).any(-1)
    if bad.any():
        where = tuple(np.argwhere(bad)[0].tolist())
        raise InvalidInput(
            f"{parameter} must lie in [0, 1] and add up to 1 over the classes; at index {where} "
            f"the sum is {sums[where]:g} and the smallest {values[where].min():g}. Give the "
            "softmax of the logits, in single precision or better."
        )
    return values


def check_label(parameter: str, label: Any, n_classes: int) -> int | None:
    """Return the true class as int, or None where it is None."""
    if label is None:
        return None
    number = np.asarray(label)
    if number.shape or number.dtype.kind not in "iuf" or number not in range(n_classes):
        raise InvalidInput(
            f"{parameter} must be a whole number from 0 to {n_classes - 1}; got {label!r}."
        )
    return int(number)


def check_class_order(parameter: str, array: xr.DataArray) -> None:
    """Raise `InvalidInput` if the coordinate ``class`` is there and does not count from 0."""
    if "class" not in array.coords:
        return
    found = array["class"].to_numpy()
    if not np.array_equal(found, np.arange(found.size)):
        raise InvalidInput(
            f"The classes of {parameter} must count from 0; got {found.tolist()}. Sort them with "
            ".sortby('class'), or name them 0, 1, … in their order."
        )


def _checked(image: Any, shown: xr.Dataset, widths_px: ArrayLike) -> _Shown:
    picture, widths = _picture(image), _widths(widths_px)
    check_dims("shown", shown, ["glimpse", "class", "coordinate"])
    dims: dict[str, tuple[str, ...]] = {
        "location": ("glimpse", "coordinate"),
        "probability": ("glimpse", "class"),
    }
    if "seen" in shown:
        dims["seen"] = ("glimpse", "scale", "row", "column")
    for name, wanted in dims.items():
        if name not in shown or set(shown[name].dims) != set(wanted):
            got = shown[name].dims if name in shown else "nothing"
            raise InvalidInput(f"shown needs {name} of dims {wanted}; got {got}.")
    if "coordinate" not in shown.coords or sorted(shown["coordinate"].values) != ["x", "y"]:
        raise InvalidInput(
            "shown needs the coordinate 'coordinate' with the names 'x' and 'y', which say what "
            "is what: shown.assign_coords(coordinate=['x', 'y'])."
        )
    check_not_empty("shown.location", shown["glimpse"])
    check_class_order("shown.probability", shown["probability"])
    location = shown["location"].sel(coordinate=["x", "y"]).transpose(*dims["location"])
    xy = check_finite("shown.location", location.to_numpy().astype(float))
    probability = shown["probability"].transpose(*dims["probability"]).to_numpy().astype(float)
    check_probability("shown.probability", probability)
    label = shown["label"].to_numpy() if "label" in shown else None
    seen = None
    if "seen" in shown:
        seen = shown["seen"].transpose(*dims["seen"]).to_numpy()
        check_shape("shown.seen", seen, ("glimpse", len(widths), "row", "column"))
        seen = _in_range("shown.seen", seen)
    n_classes = probability.shape[1]
    return _Shown(
        picture, xy, widths, probability, check_label("shown.label", label, n_classes), seen
    )


def _picture(image: Any) -> np.ndarray:
    """Return the image in [0, 1]."""
    picture = np.asarray(image)
    if picture.ndim not in (2, 3) or picture.shape[2:] not in ((), (3,)) or not picture.size:
        raise InvalidInput(
            f"image must be (H, W) or (H, W, 3); got {picture.shape}. Of a batch (N, C, H, W) "
            "take one, channels last: image[0, 0], or image[0].transpose(1, 2, 0)."
        )
    return _in_range("image", picture)


def _in_range(parameter: str, values: np.ndarray) -> np.ndarray:
    if values.dtype == np.uint8:
        return values / 255
    if values.dtype.kind != "f":
        raise InvalidInput(f"{parameter} must be uint8 or float in [0, 1]; got {values.dtype}.")
    check_finite(parameter, values)
    # Averages in single precision may exceed 1 by a rounding.
    if values.min() < -1e-5 or values.max() > 1 + 1e-5:
        raise InvalidInput(
            f"{parameter} as float must lie in [0, 1]; got {values.min():g} to "
            f"{values.max():g}. Undo a normalisation, or divide by 255."
        )
    return values


def _widths(widths_px: ArrayLike) -> np.ndarray:
    widths = check_shape("widths_px", np.asarray(widths_px, float), ("scale",))
    for width in check_not_empty("widths_px", widths):
        check_positive("widths_px", width)
    return widths


def _limits(
    picture: np.ndarray, xy: np.ndarray, widths: np.ndarray
) -> tuple[tuple[float, float], tuple[float, float]]:
    """Return the limits of x, and of y from bottom to top, that hold the image and all squares."""
    size = np.array(picture.shape[1::-1], float)
    margin = 0.02 * size.max()
    low = np.minimum((xy - widths.max() / 2).min(0), 0) - margin
    high = np.maximum((xy + widths.max() / 2).max(0), size) + margin
    return (low[0], high[0]), (high[1], low[1])


def _draw_step(given: _Shown, t: int, ax: Axes) -> None:
    """Draw glimpse `t` and the way there, in axes that are the same for every glimpse."""
    plot_glimpse(given.picture, given.xy[t], given.widths, ax=ax)
    x_limits, y_limits = _limits(given.picture, given.xy, given.widths)
    x, y = given.xy[: t + 1].T
    ax.plot(x, y, "-o", color="w", lw=0.9, ms=2.2, mew=0, path_effects=_DARK, zorder=5)
    ax.plot(x[-1:], y[-1:], "o", color=SCALE_COLOURS[0], ms=3.6, mec="k", mew=0.6, zorder=6)
    height, width = given.picture.shape[:2]
    ax.set(xlim=x_limits, ylim=y_limits, xticks=[0, width], yticks=[0, height])


def _draw_seen(values: np.ndarray, scale: int, ax: Axes) -> None:
    ax.imshow(values, cmap="gray", vmin=0, vmax=1, interpolation="nearest")
    ax.set(xticks=[], yticks=[])
    ax.spines[:].set(visible=True, color=SCALE_COLOURS[scale % len(SCALE_COLOURS)], lw=1.4)


def _legend() -> list[Any]:
    return [
        Patch(color=RIGHT, label=f"{TICK} right"),
        Patch(color=WRONG, label=f"{CROSS} wrong"),
        Line2D([], [], color="k", marker="<", ms=5, mew=0, lw=0, label="true class"),
    ]


def _frame(given: _Shown, t: int) -> np.ndarray:
    """Return one frame of the animation, (height, width, 3) uint8."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    with style():
        drawn = Figure(figsize=(_GIF_MM[0] / 25.4, _GIF_MM[1] / 25.4), dpi=_GIF_DPI)
        canvas = FigureCanvasAgg(drawn)
        # Fixed places: a layout that fits the text would shift from frame to frame.
        ax = drawn.add_axes((0.07, 0.19, 0.49, 0.72))
        _draw_step(given, t, ax)
        ax.set_title(f"glimpse {t + 1} of {len(given.xy)}")
        bars = drawn.add_axes((0.66, 0.19, 0.28, 0.72))
        plot_class_bars(given.probability[t], given.label, ax=bars)
        if given.label is not None:
            drawn.legend(handles=_legend(), loc="lower center", ncols=3)
        canvas.draw()
        return np.asarray(canvas.buffer_rgba())[..., :3].copy()
