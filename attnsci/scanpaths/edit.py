"""Cutting, joining and resizing scanpath sets; each step is remembered in ``attrs["steps"]``."""

import dataclasses
import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from attnsci.checks import check_option, check_positive
from attnsci.errors import InvalidInput
from attnsci.gaze import as_text, frame_sizes, validate, viewing_of

if TYPE_CHECKING:
    import xarray as xr


def select(scanpaths: "xr.Dataset", **names: Any) -> "xr.Dataset":
    """Return the scanpaths of some images, observers, tasks or samples.

    Parameters
    ----------
    scanpaths : xarray.Dataset
        The container.
    **names
        Coordinate to one value or several: ``image=["1001", "1002"], observer="3"``.

    Raises
    ------
    InvalidInput
        If a coordinate is missing, or nothing is left.
    """
    keep = np.ones(scanpaths.sizes["scanpath"], bool)
    for name, wanted in names.items():
        if name not in scanpaths.coords:
            raise InvalidInput(f"The scanpaths have no coordinate {name!r}.")
        many = wanted if isinstance(wanted, list | tuple | set | np.ndarray) else [wanted]
        values, listed = scanpaths[name].to_numpy(), np.asarray(list(many))
        keep &= np.isin(values, as_text(listed) if values.dtype.kind == "U" else listed)
    if not keep.any():
        raise InvalidInput(f"No scanpath has {names}.")
    return _trimmed(scanpaths.isel(scanpath=keep))


def crop(
    scanpaths: "xr.Dataset", max_fixations: int | None = None, drop_first: int = 0
) -> "xr.Dataset":
    """Return the scanpaths without their first fixations, and cut to a greatest length.

    Parameters
    ----------
    scanpaths : xarray.Dataset
        The container.
    max_fixations : int, optional
        Keep as many at most, counted after the first ones are dropped.
    drop_first : int
        Fixations to leave out: 1 where the first is forced to the centre.

    Raises
    ------
    InvalidInput
        If a number is not whole, or below 1 (`drop_first`: 0).
    """
    if drop_first:
        check_positive("drop_first", drop_first, integer=True)
    if max_fixations is not None:
        check_positive("max_fixations", max_fixations, integer=True)
    cut = scanpaths.isel(fixation=slice(drop_first, None)).isel(fixation=slice(max_fixations))
    lengths = np.clip(scanpaths["n_fixations"].to_numpy() - drop_first, 0, max_fixations)
    cut = cut.assign_coords(n_fixations=("scanpath", lengths))
    return with_step(_trimmed(cut), f"crop(max_fixations={max_fixations}, drop_first={drop_first})")


def rescale(scanpaths: "xr.Dataset", width_px: float, height_px: float) -> "xr.Dataset":
    """Return the scanpaths in the frame of the same images at another size.

    Pixels per degree are no longer known where the images are scaled by different factors.
    """
    viewing = viewing_of(scanpaths)
    new = viewing.resized(width_px, height_px)
    width, height = frame_sizes(scanpaths)
    if (width != viewing.width_px).any() or (height != viewing.height_px).any():
        new = dataclasses.replace(new, px_per_deg=None)
    moved = scanpaths.assign(
        x=scanpaths["x"] * (width_px / width)[:, None],
        y=scanpaths["y"] * (height_px / height)[:, None],
    ).drop_vars(["width_px", "height_px"], errors="ignore")
    moved.attrs = {**scanpaths.attrs, "viewing": new.to_json()}
    return with_step(moved, f"rescale({width_px}, {height_px})")


def keep_inside(scanpaths: "xr.Dataset", action: str = "drop") -> tuple["xr.Dataset", int]:
    """Return the scanpaths with no point outside their image, and how many points that changed.

    Parameters
    ----------
    scanpaths : xarray.Dataset
        The container.
    action : {"drop", "clip"}
        Leave fixations outside [0, width] × [0, height] out, or move them onto the border.
    """
    check_option("action", action, ("drop", "clip"))
    width, height = (size[:, None] for size in frame_sizes(scanpaths))
    x, y = scanpaths["x"].to_numpy(), scanpaths["y"].to_numpy()
    outside = (x < 0) | (x > width) | (y < 0) | (y > height)
    count = int(outside.sum())
    if action == "clip":
        moved = scanpaths.assign(
            x=scanpaths["x"].copy(data=np.clip(x, 0, width)),
            y=scanpaths["y"].copy(data=np.clip(y, 0, height)),
        )
    else:
        moved = _without(scanpaths, outside)
    return with_step(moved, f"keep_inside({action!r}): {count} fixations"), count


def concat(parts: Sequence["xr.Dataset"]) -> "xr.Dataset":
    """Return the scanpaths of several sets with one geometry as one set.

    Onsets that only some of the sets have are missing for the others' scanpaths. Coordinates
    that only some have are left out, as the step says, and attributes in which the sets differ.

    Raises
    ------
    InvalidInput
        If there are none, their frames differ, or two scanpaths have one name.
    """
    import xarray as xr

    if not parts:
        raise InvalidInput("There are no scanpath sets to join.")
    frames = {viewing_of(part) for part in parts}
    if len(frames) > 1:
        raise InvalidInput(f"The sets have different geometries, {sorted(map(str, frames))}.")
    differ = sorted({str(n) for part in parts for n in set(part.coords) ^ set(parts[0].coords)})
    if "width_px" in differ:
        raise InvalidInput("Only some of the sets have their images' own sizes; rescale() them.")
    widest = max(part.sizes["fixation"] for part in parts)
    padded = [part.pad(fixation=(0, widest - part.sizes["fixation"])) for part in parts]
    alike = [part.drop_vars(differ, errors="ignore") for part in padded]
    joined = xr.concat(alike, "scanpath", join="override")
    joined.attrs = {
        name: value
        for name, value in parts[0].attrs.items()
        if all(part.attrs.get(name) == value for part in parts)
    }
    # One geometry may be written in two ways, 800 and 800.0.
    joined.attrs["viewing"] = parts[0].attrs["viewing"]
    without = f", without {', '.join(differ)}" if differ else ""
    return validate(with_step(joined, f"concat of {len(parts)} sets{without}"))


def _trimmed(scanpaths: "xr.Dataset") -> "xr.Dataset":
    longest = int(scanpaths["n_fixations"].max()) if scanpaths.sizes["scanpath"] else 0
    return scanpaths.isel(fixation=slice(longest))


def _without(scanpaths: "xr.Dataset", leave_out: np.ndarray) -> "xr.Dataset":
    """Return the set without the marked fixations, the others moved together."""
    inside = np.arange(leave_out.shape[1]) < scanpaths["n_fixations"].to_numpy()[:, None]
    kept = inside & ~leave_out
    order = np.argsort(~kept, axis=1, kind="stable")
    lengths = kept.sum(1)
    tail = np.arange(order.shape[1]) >= lengths[:, None]
    moved = {
        name: (
            ("scanpath", "fixation"),
            np.where(tail, np.nan, np.take_along_axis(values.to_numpy(), order, 1)),
        )
        for name, values in scanpaths.data_vars.items()
    }
    return _trimmed(scanpaths.assign(moved).assign_coords(n_fixations=("scanpath", lengths)))


def with_step(scanpaths: "xr.Dataset", step: str) -> "xr.Dataset":
    """Return the set with one more step in ``attrs["steps"]``."""
    steps = [*json.loads(scanpaths.attrs.get("steps", "[]")), step]
    return scanpaths.assign_attrs(steps=json.dumps(steps))
