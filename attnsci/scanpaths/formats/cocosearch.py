"""JSON of COCO-Search18, COCO-FreeView and scanpath-prediction papers, and NeuroLIAA's variant."""

import json
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from attnsci.checks import check_option
from attnsci.contents import read_json
from attnsci.errors import DatasetCorrupt, InvalidInput
from attnsci.gaze import from_arrays
from attnsci.geometry import Viewing
from attnsci.scanpaths.edit import crop, keep_inside
from attnsci.scanpaths.formats.base import Format, head_text, need_viewing, register, warn_left_out

if TYPE_CHECKING:
    import xarray as xr

TEXTS = ("task", "condition", "split", "sample")
TARGET = ("target_x", "target_y", "target_width", "target_height")
"""Left, top, width and height of what was searched for, in stimulus pixels."""


def recognises(path: Path) -> bool:
    """Return whether the file is JSON whose beginning has points X."""
    start = head_text(path, 65536).lstrip()
    return start[:1] in ("[", "{") and '"X"' in start


def read(
    path: Path,
    viewing: Viewing | None = None,
    *,
    drop_first: bool = False,
    off_display: str | None = None,
    unequal: str = "raise",
) -> "xr.Dataset":
    """Return the scanpaths of a JSON file.

    Parameters
    ----------
    path : pathlib.Path
        A list of records {name, subject, X, Y[, T (ms), task, condition, split, bbox [left,
        top, width, height], sample]}, or a mapping of image to record with target_bbox
        [top, left, bottom, right].
    viewing : Viewing, optional
        Geometry; NeuroLIAA's records hold the image's size.
    drop_first : bool
        Leave the first fixation of each scanpath out: COCO-Search18 forces it to the centre.
    off_display : {"drop", "clip"}, optional
        What to do with points outside the image; kept by default. Steps say how many.
    unequal : {"raise", "trim"}
        What to do with records whose X, Y and T differ in length.

    Raises
    ------
    InvalidInput
        If lengths differ, or the geometry is missing.
    DatasetCorrupt
        If a record lacks something, or has another type.

    Warns
    -----
    UserWarning
        If records were trimmed.
    """
    check_option("unequal", unequal, ("raise", "trim"))
    check_option("off_display", off_display, (None, "drop", "clip"))
    records = _records(path, read_json(path))
    points = [_points(record) for record in records]
    _check_lengths(records, points, unequal)
    shortest = [min(len(column) for column in row.values()) for row in points]
    columns = {
        axis: [
            row[axis][:n] if axis in row else np.full(n, np.nan)
            for row, n in zip(points, shortest, strict=True)
        ]
        for axis in ("X", "Y", "T")
    }
    found = from_arrays(
        columns["X"],
        columns["Y"],
        # Rounded, since 246 ms times .001 is not the double nearest to .246.
        [np.round(row * 1e-3, 12) for row in columns["T"]],
        image=[str(record["name"]) for record in records],
        observer=[str(record["subject"]) for record in records],
        viewing=viewing or _viewing(records),
        n_fixations=shortest,
        **_coordinates(records),
    )
    if drop_first:
        found = crop(found, drop_first=1)
    return keep_inside(found, off_display)[0] if off_display else found


def write(scanpaths: "xr.Dataset", path: Path) -> None:
    """Write a list of records, durations in ms to the nearest nanosecond."""
    warn_left_out(scanpaths, "COCO-Search18's JSON", ("duration", *TEXTS, *TARGET))
    x, y, duration = (scanpaths[name].to_numpy() for name in ("x", "y", "duration"))
    lengths = scanpaths["n_fixations"].to_numpy()
    texts = {name: scanpaths[name].to_numpy() for name in TEXTS if name in scanpaths.coords}
    boxes = None
    if all(name in scanpaths.coords for name in TARGET):
        boxes = np.stack([scanpaths[name].to_numpy() for name in TARGET], axis=1)
    images, observers = (scanpaths[name].to_numpy() for name in ("image", "observer"))
    records = []
    for row, n in enumerate(lengths.tolist()):
        record: dict[str, Any] = {"name": str(images[row]), "subject": str(observers[row])}
        record |= {name: str(values[row]) for name, values in texts.items()}
        if boxes is not None and not np.isnan(boxes[row]).any():
            record["bbox"] = _plain(boxes[row])
        record |= {"X": _plain(x[row, :n]), "Y": _plain(y[row, :n])}
        if not np.isnan(duration[row, :n]).any():
            record["T"] = _plain(np.round(duration[row, :n] * 1e3, 6))
        records.append({**record, "length": n})
    path.write_text(json.dumps(records, indent=1, allow_nan=False) + "\n", "utf-8")


def _plain(values: np.ndarray) -> list[float | int]:
    """Return numbers as JSON has them: whole ones without a point."""
    return [int(v) if float(v).is_integer() else v for v in values.tolist()]


def _records(path: Path, content: Any) -> list[Mapping[str, Any]]:
    if isinstance(content, dict):
        content = [
            {"name": name, **record} if isinstance(record, dict) else record
            for name, record in content.items()
        ]
    if not isinstance(content, list) or not content:
        raise DatasetCorrupt(f"{path} holds no list of scanpaths.")
    for row, record in enumerate(content):
        if not isinstance(record, dict):
            raise DatasetCorrupt(f"Record {row} of {path} is no scanpath but {record!r:.60}.")
        lacking = [key for key in ("name", "subject", "X", "Y") if record.get(key) is None]
        if lacking:
            raise DatasetCorrupt(f"Record {row} of {path} lacks {', '.join(lacking)}.")
    return content


def _points(record: Mapping[str, Any]) -> dict[str, np.ndarray]:
    return {
        axis: _numbers(record, axis) for axis in ("X", "Y", "T") if record.get(axis) is not None
    }


def _numbers(record: Mapping[str, Any], axis: str) -> np.ndarray:
    # Some MATLAB exports write a scanpath of one fixation as a number.
    values = record[axis] if isinstance(record[axis], list) else [record[axis]]
    if not {*map(type, values)} <= {int, float}:
        place = next(n for n, value in enumerate(values) if type(value) not in (int, float))
        raise DatasetCorrupt(
            f"{_called(record)} has {values[place]!r:.60} in {axis}, place {place} (counted from "
            "0), which is no number."
        )
    try:
        return np.array(values, float)
    except OverflowError as error:
        raise DatasetCorrupt(
            f"{_called(record)} has a number in {axis} that is none: {error}."
        ) from error


def _called(record: Mapping[str, Any]) -> str:
    return f"The scanpath of subject {record['subject']!r} on image {record['name']!r}"


def _check_lengths(
    records: list[Mapping[str, Any]], points: list[dict[str, np.ndarray]], unequal: str
) -> None:
    bad = [row for row, each in enumerate(points) if len({v.shape for v in each.values()}) > 1]
    if not bad:
        return
    first = bad[0]
    lengths = ", ".join(f"{len(v)} {axis}" for axis, v in points[first].items())
    what = f"{_called(records[first])} (record {first}) has {lengths}; {len(bad)} such in all."
    if unequal == "raise":
        raise InvalidInput(f"{what} Give unequal='trim' to cut each to its shortest.")
    warnings.warn(f"{what} They were cut to their shortest.", UserWarning, stacklevel=4)


def _viewing(records: list[Mapping[str, Any]]) -> Viewing:
    """Return the geometry that NeuroLIAA's records hold."""
    sizes = {(record.get("image_width"), record.get("image_height")) for record in records}
    width, height = sizes.pop() if len(sizes) == 1 else (None, None)
    if width is not None and height is not None:
        return Viewing(width_px=float(width), height_px=float(height))
    return need_viewing(None, "JSON of scanpaths (COCO-Search18 was shown at 1680 × 1050)")


def _coordinates(records: list[Mapping[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name in TEXTS:
        if any(name in record for record in records):
            found[name] = [_text(record, name) for record in records]
    if any("target_object" in record for record in records) and "task" not in found:
        found["task"] = [_text(record, "target_object") for record in records]
    boxes = [_target(record) for record in records]
    if any(box is not None for box in boxes):
        absent = [np.nan] * 4
        table = np.array([absent if box is None else box for box in boxes], float)
        found |= {name: table[:, column] for column, name in enumerate(TARGET)}
    return found


def _text(record: Mapping[str, Any], key: str) -> str:
    return "" if record.get(key) is None else str(record[key])


def _target(record: Mapping[str, Any]) -> list[float] | None:
    """Return left, top, width, height of the target in either variant."""
    if record.get("bbox") is not None:
        box = record["bbox"]
    elif record.get("target_bbox") is not None:
        box = record["target_bbox"]
        if np.shape(box) == (4,) and {*map(type, box)} <= {int, float}:
            top, left, bottom, right = box
            box = [left, top, right - left, bottom - top]
    else:
        return None
    if np.shape(box) != (4,) or not {*map(type, box)} <= {int, float}:
        raise DatasetCorrupt(f"{_called(record)} has the bounding box {box!r}, not 4 numbers.")
    return [float(side) for side in box]


register(
    Format(
        name="cocosearch",
        summary="JSON of COCO-Search18, COCO-FreeView and scanpath-prediction papers",
        suffixes=(".json",),
        recognises=recognises,
        read=read,
        write=write,
    )
)
