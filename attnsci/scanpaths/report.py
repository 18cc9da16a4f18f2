"""What a set of scanpaths holds, what looks wrong with it, and its saccades in numbers."""

from typing import TYPE_CHECKING, Any

import numpy as np

from attnsci.checks import check_positive
from attnsci.errors import InvalidInput
from attnsci.gaze import KEYS, frame_sizes, viewing_of

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr

LONGEST_MEDIAN_S, SHORTEST_MEDIAN_S = 5.0, 0.01
"""A median fixation outside these was most likely declared in another unit."""
LONGEST_S = 60.0
"""Nobody holds their eyes still for as long."""
MANY_NORMAL = 0.9
"""Share of points within 0 to 1 from which on positions seem to be normalised."""
MANY_OUTSIDE = 0.05
"""Share of points outside their image from which on the frame itself is in doubt."""
LOW_MEAN_Y = 0.52
"""Mean height of all points from which on y may point up: people look above the middle (the
mean is 0.47 of the height in OSIE, 0.44 in EyeCrowd)."""
ANGLE_EDGES_DEG = np.arange(0, 181, 30)


def describe(scanpaths: "xr.Dataset") -> "pd.DataFrame":
    """Return the validation report of a set.

    Parameters
    ----------
    scanpaths : xarray.Dataset
        The container.

    Returns
    -------
    pandas.DataFrame
        Indexed by ``quantity``: ``value`` (text) and ``remark``, which says what looks wrong and
        is empty where nothing does. Missing scanpaths are combinations of an image and an
        observer that the set names and does not have; repeated ones have the same points as
        another scanpath of their image.

    Examples
    --------
    >>> from attnsci.gaze import from_dict
    >>> from attnsci.geometry import Viewing
    >>> report = describe(from_dict({"a": [[10, 5, 200], [90, 5, 300]]}, Viewing(80, 60)))
    >>> report.loc["points outside", "value"]
    '1 of 2'
    >>> report.loc["median duration", "remark"]
    'the median fixation lasts 250 s: milliseconds declared as seconds?'
    """
    import pandas as pd

    rows = [*_counts(scanpaths), *_points(scanpaths), *_durations(scanpaths)]
    return pd.DataFrame(rows, columns=["quantity", "value", "remark"]).set_index("quantity")


def suspected_unit(scanpaths: "xr.Dataset") -> str:
    """Return what looks wrong with the unit of the durations; empty if nothing does."""
    duration = scanpaths["duration"].to_numpy()
    if np.isnan(duration).all():
        return ""
    median = float(np.nanmedian(duration))
    if median > LONGEST_MEDIAN_S:
        return f"the median fixation lasts {median:g} s: milliseconds declared as seconds?"
    if 0 < median < SHORTEST_MEDIAN_S:
        return f"the median fixation lasts {median:g} s: seconds declared as milliseconds?"
    return ""


def suspicions(scanpaths: "xr.Dataset") -> list[str]:
    """Return what looks wrong enough to be said when a set is read; empty if nothing does."""
    doubts = [suspected_unit(scanpaths)]
    duration = scanpaths["duration"].to_numpy()
    longest = float(np.nanmax(duration, initial=0))
    if longest > LONGEST_S and not doubts[0]:
        doubts.append(f"a fixation lasts {longest:g} s: was a gap or the whole trial taken for it?")
    x, y = (scanpaths[name].to_numpy() for name in ("x", "y"))
    width, height = (side[:, None] for side in frame_sizes(scanpaths))
    total = int((~np.isnan(x)).sum())
    normal = (x >= 0) & (x <= 1) & (y >= 0) & (y <= 1) & ((x % 1 > 0) | (y % 1 > 0))
    if total and normal.sum() > MANY_NORMAL * total and min(width.min(), height.min()) > 2:
        doubts.append(
            "positions lie between 0 and 1: normalised, not pixels? Multiply them by the image's "
            "width and height, and look where y begins."
        )
    far = (x < -width) | (x > 2 * width) | (y < -height) | (y > 2 * height)
    if far.any():
        row, fixation = np.argwhere(far)[0]
        doubts.append(
            f"{int(far.sum())} of {total} fixations lie farther off the image than it is large, "
            f"the first at x = {x[row, fixation]:g}, y = {y[row, fixation]:g}: a mark for missing "
            "data, or another frame?"
        )
    return [doubt for doubt in doubts if doubt]


def saccade_statistics(scanpaths: "xr.Dataset", radius_px: float | None = None) -> "xr.Dataset":
    """Return amplitudes, turning angles, durations and return fixations of a set in numbers.

    Parameters
    ----------
    scanpaths : xarray.Dataset
        The container.
    radius_px : float, optional
        A fixation is a return if it lies nearer than this to one that is two or more before it;
        one degree by default.

    Returns
    -------
    xarray.Dataset
        Counts ``n_fixations``, ``n_saccades``, ``n_zero_saccades``, ``n_angles``,
        ``n_returns``, ``n_could_return`` (fixations with two or more before them);
        ``amplitude_median_px``, ``amplitude_mean_px`` and, where pixels per degree are known,
        the same ``_deg``; ``duration_mean_s``, ``duration_median_s`` (NaN without durations);
        ``angle_share`` over ``angle`` (middle of 30° bins; 0 is straight on, 180 back; saccades
        of no length have no direction and are left out); ``returns`` over ``lag``, each counted
        at the lag of the most recent fixation it returns to.

    Raises
    ------
    InvalidInput
        If there is no saccade, or the radius is one degree and pixels per degree are unknown.
    """
    import xarray as xr

    viewing = viewing_of(scanpaths)
    if radius_px is None:
        if viewing.px_per_deg is None:
            raise InvalidInput(
                "The radius is one degree by default and the scanpaths' Viewing has no "
                "px_per_deg. Give it there, or give radius_px."
            )
        radius_px = viewing.px_per_deg
    check_positive("radius_px", radius_px)
    x, y, duration = (scanpaths[name].to_numpy() for name in ("x", "y", "duration"))
    across, down = np.diff(x, axis=1), np.diff(y, axis=1)
    amplitude = np.hypot(across, down)
    sizes = amplitude[~np.isnan(amplitude)]
    if not len(sizes):
        raise InvalidInput("No scanpath has two fixations, so there is no saccade.")
    shares, n_angles = _angle_shares(across, down)
    returns = _returns(x, y, radius_px)
    n = scanpaths["n_fixations"].to_numpy()
    lasting = duration[~np.isnan(duration)]
    found: dict[str, Any] = {
        "n_fixations": int(n.sum()),
        "n_saccades": len(sizes),
        "n_zero_saccades": int((sizes == 0).sum()),
        "n_angles": n_angles,
        "n_returns": int(returns.sum()),
        "n_could_return": int(np.clip(n - 2, 0, None).sum()),
        "amplitude_median_px": float(np.median(sizes)),
        "amplitude_mean_px": float(sizes.mean()),
        "duration_mean_s": float(lasting.mean()) if len(lasting) else np.nan,
        "duration_median_s": float(np.median(lasting)) if len(lasting) else np.nan,
        "angle_share": ("angle", shares),
        "returns": ("lag", returns),
    }
    if viewing.px_per_deg is not None:
        for which in ("median", "mean"):
            found[f"amplitude_{which}_deg"] = found[f"amplitude_{which}_px"] / viewing.px_per_deg
    middles = (ANGLE_EDGES_DEG[:-1] + ANGLE_EDGES_DEG[1:]) / 2
    return xr.Dataset(
        found,
        coords={"angle": middles, "lag": np.arange(2, 2 + len(returns))},
        attrs={"radius_px": float(radius_px)},
    )


def _angle_shares(across: np.ndarray, down: np.ndarray) -> tuple[np.ndarray, int]:
    """Return the share of turning angles in each bin, and how many angles there are."""
    still = (across == 0) & (down == 0)
    direction = np.degrees(np.where(still, np.nan, np.arctan2(down, across)))
    turn = np.abs((np.diff(direction, axis=1) + 180) % 360 - 180)
    turn = turn[~np.isnan(turn)]
    counts, _ = np.histogram(turn, ANGLE_EDGES_DEG)
    return counts / max(len(turn), 1), len(turn)


def _returns(x: np.ndarray, y: np.ndarray, radius_px: float) -> np.ndarray:
    """Return how many fixations return to one 2, 3, … before, the most recent one counting."""
    free = np.ones(x.shape, bool)
    counts = []
    for lag in range(2, x.shape[1]):
        apart = np.hypot(x[:, lag:] - x[:, :-lag], y[:, lag:] - y[:, :-lag])
        back = (apart < radius_px) & free[:, lag:]
        free[:, lag:] &= ~back
        counts.append(int(back.sum()))
    return np.array(counts, int)


# --- the rows of the report ----------------------------------------------------------------------

Row = tuple[str, str, str]


def _counts(scanpaths: "xr.Dataset") -> list[Row]:
    names = {key: scanpaths[key].to_numpy() for key in KEYS if key in scanpaths.coords}
    distinct = {key: len(np.unique(values)) for key, values in names.items()}
    n = scanpaths["n_fixations"].to_numpy()
    pairs = len({*zip(names["image"].tolist(), names["observer"].tolist(), strict=True)})
    missing = distinct["image"] * distinct["observer"] - pairs
    empty, repeated = int((n == 0).sum()), _repeated(scanpaths)
    rows = [(f"{key}s", str(count), "") for key, count in distinct.items()]
    return [
        *rows,
        ("scanpaths", str(len(n)), ""),
        ("missing scanpaths", str(missing), ""),
        ("empty scanpaths", str(empty), "have no fixation" if empty else ""),
        ("repeated scanpaths", str(repeated), "one file read twice?" if repeated else ""),
        ("fixations", str(int(n.sum())), ""),
        ("fixations per scanpath", f"{n.min()} to {n.max()}, mean {n.mean():.2f}", ""),
        (
            "shorter than 3 fixations",
            str(int((n < 3).sum())),
            "MultiMatch is not defined for them" if (n < 3).any() else "",
        ),
    ]


def _points(scanpaths: "xr.Dataset") -> list[Row]:
    width, height = (side[:, None] for side in frame_sizes(scanpaths))
    x, y = scanpaths["x"].to_numpy(), scanpaths["y"].to_numpy()
    given = ~np.isnan(x)
    total = int(given.sum())
    if not total:
        return []
    outside = int(((x < 0) | (x > width) | (y < 0) | (y > height)).sum())
    border = int(((x == width) | (y == height)).sum())
    still = int(((np.diff(x, axis=1) == 0) & (np.diff(y, axis=1) == 0)).sum())
    doubt = ""
    if outside:
        share = outside / total
        doubt = "drop or clip them with keep_inside"
        if share > MANY_OUTSIDE:
            doubt = f"{share:.0%}: another frame than the {width.max():g} × {height.max():g} given?"
    relative_x, relative_y = (x / width)[given], (y / height)[given]
    small = bool(np.nanmax(np.abs(x)) <= 1 and np.nanmax(np.abs(y)) <= 1)
    mean_y = float(relative_y.mean())
    return [
        ("x", f"{np.nanmin(x):g} to {np.nanmax(x):g} px", "normalised, not pixels?" * small),
        ("y", f"{np.nanmin(y):g} to {np.nanmax(y):g} px", _one_based(x, y, width, height)),
        ("mean x, of the width", f"{relative_x.mean():.3f}", ""),
        (
            "mean y, of the height",
            f"{mean_y:.3f}",
            "below the middle: does y point up? Draw some over their images"
            if mean_y > LOW_MEAN_Y
            else "",
        ),
        ("points outside", f"{outside} of {total}", doubt),
        ("points on the right or lower border", str(border), ""),
        ("fixations at the place of the one before", str(still), ""),
    ]


def _one_based(x: np.ndarray, y: np.ndarray, width: np.ndarray, height: np.ndarray) -> str:
    """Return a remark if points come nearer to the far borders than to the near ones."""
    begins = np.nanmin(x) >= 1 and np.nanmin(y) >= 1
    reaches = np.nanmin(width - x) < 1 and np.nanmin(height - y) < 1
    if begins and reaches:
        return "x and y begin at 1 and reach the far border: counted from 1, as in MATLAB?"
    return ""


def _durations(scanpaths: "xr.Dataset") -> list[Row]:
    duration = scanpaths["duration"].to_numpy()
    without = int(np.isnan(duration).all(1).sum())
    rows = [("scanpaths without durations", str(without), "")]
    lasting = duration[~np.isnan(duration)]
    if len(lasting):
        zero = int((lasting == 0).sum())
        rows += [
            ("durations", f"{lasting.min():g} to {lasting.max():g} s", ""),
            ("median duration", f"{np.median(lasting):g} s", suspected_unit(scanpaths)),
            ("durations of zero", str(zero), "no fixation lasts 0 s" if zero else ""),
        ]
    return [*rows, ("onsets", "measured" if "onset" in scanpaths else "none, order only", "")]


def _repeated(scanpaths: "xr.Dataset") -> int:
    """Return how many scanpaths have the points of an earlier one of their image."""
    import pandas as pd

    points = np.concatenate([scanpaths["x"].to_numpy(), scanpaths["y"].to_numpy()], axis=1)
    table = pd.DataFrame(points)
    table["image"] = scanpaths["image"].to_numpy()
    return int(table[(scanpaths["n_fixations"] > 0).to_numpy()].duplicated().sum())
