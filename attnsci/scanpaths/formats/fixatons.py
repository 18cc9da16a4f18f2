"""FixaTons: one text file a scanpath, rows x, y, beginning and end in seconds."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from attnsci.contents import text
from attnsci.errors import DatasetCorrupt, InvalidInput
from attnsci.gaze import frame_sizes, from_arrays
from attnsci.geometry import Viewing
from attnsci.numerals import cells, numbers
from attnsci.scanpaths.edit import with_step
from attnsci.scanpaths.formats.base import Format, need_viewing, register, times, warn_left_out

if TYPE_CHECKING:
    import xarray as xr

FOLDERS = ("SCANPATHS", "scanpaths")
BETWEEN = "_subject_"
"""Stands between image and observer in the names of the lower-case layout."""


def recognises(path: Path) -> bool:
    """Return whether the folder is, or has, a folder of scanpaths."""
    return path.is_dir() and bool(_roots(path))


def read(path: Path, viewing: Viewing | None = None, *, y_up: bool = False) -> "xr.Dataset":
    """Return the scanpaths of a tree ``SCANPATHS/IMAGE/OBSERVER``.

    Times without a gap between fixations, from 0 on, are cumulated durations: the set then has
    no onsets.

    Parameters
    ----------
    path : pathlib.Path
        The data set's folder, the one above it, or its folder ``SCANPATHS``; files named
        ``scanpaths/IMAGE_subject_OBSERVER`` are read, too. Hidden files are passed over.
    viewing : Viewing
        Geometry.
    y_up : bool
        Whether y counts upwards from the bottom, as descriptions of the set until 2023 say.
        Draw some scanpaths over their images to be sure.

    Raises
    ------
    InvalidInput
        If the geometry is missing, or there is no scanpath, or there are several data sets.
    DatasetCorrupt
        If a file has other rows; the message names the file and the row.
    """
    viewing = need_viewing(viewing, "A FixaTons tree")
    roots = _roots(path)
    if len(roots) != 1:
        sets = ", ".join(root.parent.name for root in roots) or "none"
        raise InvalidInput(f"{path} must have one folder SCANPATHS or scanpaths; it has {sets}.")
    root = roots[0]
    found = list(_files(root))
    if not found:
        raise InvalidInput(f"There is no scanpath in {root}.")
    rows = [_rows(file) for *_, file in found]
    onset, end = ([row[:, column] for row in rows] for column in (2, 3))
    scanpaths = from_arrays(
        [row[:, 0] for row in rows],
        [row[:, 1] for row in rows],
        # Files have three decimals; the difference of two of them should have no more.
        [np.round(b - a, 9) for a, b in zip(onset, end, strict=True)],
        image=[image for image, *_ in found],
        observer=[observer for _, observer, _ in found],
        viewing=viewing,
        n_fixations=[len(row) for row in rows],
    )
    if all(_without_gaps(a, b) for a, b in zip(onset, end, strict=True)):
        # Eyes need time from one place to the next: these are no onsets that anybody measured.
        scanpaths = with_step(scanpaths, "left out t_start, which are cumulated durations")
    else:
        begin = np.full(scanpaths["x"].shape, np.nan)
        begin[~np.isnan(scanpaths["x"].to_numpy())] = np.concatenate(onset)
        scanpaths = scanpaths.assign(onset=(("scanpath", "fixation"), begin))
    if y_up:
        _, y = viewing.from_origin(scanpaths["x"], scanpaths["y"], "bottom-left")
        scanpaths = with_step(scanpaths.assign(y=(("scanpath", "fixation"), y)), "y turned down")
    return scanpaths


def write(scanpaths: "xr.Dataset", path: Path) -> None:
    """Write a tree, y downwards; without onsets in the set durations are cumulated.

    A file README.txt in it says which. Times are written to the nanosecond.
    """
    warn_left_out(scanpaths, "A FixaTons tree", ("duration", "onset"))
    onset, duration, cumulated = times(scanpaths, "A FixaTons tree")
    images, observers = (scanpaths[key].to_numpy().tolist() for key in ("image", "observer"))
    _check_names(images, observers)
    x, y = (scanpaths[name].to_numpy() for name in ("x", "y"))
    table = np.stack([x, y, np.round(onset, 9), np.round(onset + duration, 9)], axis=2)
    lengths = scanpaths["n_fixations"].to_numpy()
    width, height = frame_sizes(scanpaths)
    for row, (image, observer) in enumerate(zip(images, observers, strict=True)):
        file = path / "SCANPATHS" / image / observer
        file.parent.mkdir(parents=True, exist_ok=True)
        lines = [" ".join(map(repr, values)) for values in table[row, : lengths[row]].tolist()]
        file.write_text("".join(f"{line}\n" for line in lines), "utf-8")
    source = "cumulated durations: the set has no onsets" if cumulated else "as measured"
    (path / "README.txt").write_text(
        "SCANPATHS/IMAGE/OBSERVER, rows: x y t_start t_end; pixels from the top left corner, y "
        f"down, and seconds.\nImages up to {width.max():g} x {height.max():g} pixels. "
        f"Times: {source}.\n",
        "utf-8",
    )


def _roots(path: Path) -> list[Path]:
    """Return the folders of scanpaths: this one, or the one in it, or those one level deeper."""
    if path.name in FOLDERS or not path.is_dir():
        return [path]
    for folders in ([path], [each for each in _visible(path) if each.is_dir()]):
        # Where upper and lower case are one, both names would be found.
        found = [next((f / name for name in FOLDERS if (f / name).is_dir()), None) for f in folders]
        if any(found):
            return [root for root in found if root]
    return []


def _visible(folder: Path) -> list[Path]:
    return sorted(each for each in folder.iterdir() if not each.name.startswith("."))


def _files(root: Path) -> Iterator[tuple[str, str, Path]]:
    """Yield image, observer and file of each scanpath in either layout."""
    for each in _visible(root):
        if each.is_dir():
            yield from ((each.name, file.name, file) for file in _visible(each))
        elif BETWEEN in each.name:
            image, _, observer = each.name.rpartition(BETWEEN)
            yield image, observer.removesuffix(".txt"), each
        else:
            raise DatasetCorrupt(f"{each} is called neither IMAGE/OBSERVER nor IMAGE_subject_ID.")


def _rows(file: Path) -> np.ndarray:
    """Return the rows (F, 4) of one file; an empty file has none."""
    rows, places = cells(text(file).split("\n"), 4, file, "x y t_start t_end")
    return numbers(rows, places).reshape(-1, 4)


def _without_gaps(onset: np.ndarray, end: np.ndarray) -> bool:
    return bool((onset == np.concatenate([[0.0], end])[:-1]).all())


def _check_names(images: list[str], observers: list[str]) -> None:
    for name in (*images, *observers):
        if not name or name.startswith(".") or "/" in name or "\\" in name or "\0" in name:
            raise InvalidInput(f"{name!r} cannot be the name of a file or folder; rename it.")


register(
    Format(
        name="fixatons",
        summary="FixaTons tree of text files SCANPATHS/IMAGE/OBSERVER: x y t_start t_end",
        suffixes=(),
        recognises=recognises,
        read=read,
        write=write,
    )
)
