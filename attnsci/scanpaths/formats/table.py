"""Long tables, one row a fixation: CSV and TSV, gzipped or not, and Parquet."""

import csv
import gzip
import io
import itertools
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from attnsci import numerals
from attnsci.contents import check_inflation, text
from attnsci.errors import InvalidInput
from attnsci.gaze import KEYS, from_frame, to_frame
from attnsci.geometry import Viewing
from attnsci.scanpaths.edit import with_step
from attnsci.scanpaths.formats.base import (
    Format,
    head,
    head_text,
    need_viewing,
    register,
    warn_left_out,
)
from attnsci.scanpaths.formats.recording import leave_out

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr

SUFFIXES = (".csv", ".tsv", ".parquet", ".csv.gz", ".tsv.gz")
POSITION = ("x", "y")
NOWHERE = "."
NUMBERS = ("fixation", "x", "y", "duration", "onset", "duration_ms", "onset_ms")
FRAME = ("width_px", "height_px")
MISSING = ["", "NA", "NaN", "nan", "."]
"""Cells of number columns that stand for no value."""


def recognises(path: Path) -> bool:
    """Return whether the file is Parquet, or text whose first line has two columns or more."""
    if head(path, 4) == b"PAR1":
        return True
    return path.name.lower().endswith(SUFFIXES) and len(_header(head_text(path))[0]) > 1


def read(
    path: Path,
    viewing: Viewing | None = None,
    *,
    columns: Mapping[str, str] | None = None,
    duration_unit: str = "s",
    gaps: str = "raise",
) -> "xr.Dataset":
    """Return the scanpaths of a table; see `attnsci.gaze.from_frame` for the columns.

    Parameters
    ----------
    path : pathlib.Path
        The table.
    viewing : Viewing, optional
        Geometry; without it the table needs columns ``width_px`` and ``height_px``.
    columns : mapping of str to str, optional
        Our name to the table's.
    duration_unit : {"s", "ms"}
        Of the columns ``duration`` and ``onset``; ``duration_ms`` is always milliseconds.
    gaps : {"raise", "renumber"}
        What to do where numbers of fixations are left out, as `attnsci.gaze.from_frame` has it.

    Raises
    ------
    InvalidInput
        As `attnsci.gaze.from_frame`; also if rows are longer than the first line, or a cell is
        no number; the message names the line.
    DatasetCorrupt
        If the text is not UTF-8 or UTF-16, or a Parquet file unpacks without bound.

    Warns
    -----
    UserWarning
        If fixations are left out whose x and y are both ".", as Data Viewer writes those
        without a position; if they are numbered anew.
    """
    packed = head(path, 4) == b"PAR1"
    frame = _read_parquet(path) if packed else _read_text(path, columns or {})
    frame, notes = _located(frame, columns or {})
    scanpaths = from_frame(
        frame,
        viewing or _viewing(frame, columns or {}),
        columns=columns,
        duration_unit=duration_unit,
        gaps=gaps,
    )
    for note in notes:
        scanpaths = with_step(scanpaths, note)
    return scanpaths


def write(scanpaths: "xr.Dataset", path: Path) -> None:
    """Write one row a fixation, durations in seconds, every digit that there is."""
    warn_left_out(scanpaths, "A table", ("duration", "onset", *KEYS, *FRAME))
    empty = int((scanpaths["n_fixations"] == 0).sum())
    if empty:
        warnings.warn(
            f"{empty} scanpaths without fixations have no row in a table: not written.",
            UserWarning,
            stacklevel=4,
        )
    frame, name = to_frame(scanpaths), path.name.lower()
    if name.endswith(".parquet"):
        frame.to_parquet(path, index=False)
        return
    separator = "\t" if ".tsv" in name else ","
    rows = frame.to_csv(index=False, sep=separator, lineterminator="\n").encode()
    # No time and no name in the header: the same scanpaths give the same bytes.
    path.write_bytes(gzip.compress(rows, mtime=0) if name.endswith(".gz") else rows)


def _header(start: str) -> tuple[list[str], str]:
    """Return the names in the first line, and what separates them."""
    line = start.split("\n", 1)[0]
    separator = max(",\t;", key=line.count)
    return next(csv.reader([line], delimiter=separator), []), separator


def _read_parquet(path: Path) -> "pd.DataFrame":
    import pandas as pd
    import pyarrow.parquet

    about = pyarrow.parquet.read_metadata(path)
    # Repeated values take no room in the file: eight bytes a cell is what pandas needs.
    check_inflation(8 * about.num_rows * about.num_columns, path.stat().st_size, path)
    return pd.read_parquet(path)


def _read_text(path: Path, columns: Mapping[str, str]) -> "pd.DataFrame":
    import pandas as pd

    words = text(path)
    names, separator = _header(words)
    theirs = {ours: columns.get(ours, ours) for ours in (*KEYS, *NUMBERS, *FRAME)}
    doubled = [name for name in theirs.values() if names.count(name) > 1]
    if doubled:
        raise InvalidInput(f"Two columns of {path} are called {doubled[0]!r}.")
    missing: dict[str, Any] = {theirs[name]: MISSING for name in (*NUMBERS, *FRAME)}
    missing |= {theirs[name]: MISSING[:-1] for name in POSITION}
    # From pandas 3.1 on every digit counts without being asked for.
    asked = tuple(map(int, pd.__version__.split(".")[:2])) < (3, 1)
    exact: dict[str, Any] = {"float_precision": "round_trip"} if asked else {}
    frame = pd.read_csv(
        io.StringIO(words),
        sep=separator,
        dtype={theirs[name]: str for name in KEYS},  # or the image "001" would become 1
        keep_default_na=False,
        na_values={**missing, theirs["image"]: [""], theirs["observer"]: [""]},
        low_memory=False,
        **exact,
    )
    if not isinstance(frame.index, pd.RangeIndex):
        raise InvalidInput(f"Rows of {path} have more cells than its first line has names.")
    for name in (theirs[ours] for ours in (*NUMBERS, *FRAME)):
        if name in frame and frame[name].dtype.kind not in "iuf":
            # A column of text has text in it; "." is what Data Viewer writes for no position.
            _, bad = numerals.parse(frame[name])
            if name in (theirs["x"], theirs["y"]):
                bad &= (frame[name] != NOWHERE).to_numpy()
            if bad.any():
                row = int(np.argmax(bad))
                cell = str(frame[name].iloc[row])
                raise InvalidInput(
                    f"{path}, line {_line(words, separator, row)}: {name} = {cell!r}, which is "
                    f"{numerals.fault(cell)}; {int(bad.sum())} such in all."
                )
    return frame


def _line(words: str, separator: str, row: int) -> int:
    """Return the line at which a row ends, counted from 1: quoted cells may hold line ends."""
    rows = csv.reader(io.StringIO(words), delimiter=separator)
    filled = (rows.line_num for cells in rows if cells)
    return next(itertools.islice(filled, row + 1, None))


def _located(frame: "pd.DataFrame", columns: Mapping[str, str]) -> tuple["pd.DataFrame", list[str]]:
    """Return the fixations that have a position, and notes."""
    sides = [columns.get(name, name) for name in POSITION]
    if any(name not in frame or frame[name].dtype.kind in "iuf" for name in sides):
        return frame, []
    notes: list[str] = []
    nowhere = (frame[sides] == NOWHERE).all(axis=1)
    return leave_out(frame, nowhere, 'without a position (".")', notes), notes


def _viewing(frame: "pd.DataFrame", columns: Mapping[str, str]) -> Viewing:
    """Return the geometry that the table's own columns give, the largest where they vary."""
    sides = [columns.get(name, name) for name in FRAME]
    if any(side not in frame for side in sides):
        need_viewing(None, "A table of fixations")
    largest = [float(np.max(frame[side].to_numpy(float))) for side in sides]
    return Viewing(width_px=largest[0], height_px=largest[1])


register(
    Format(
        name="table",
        summary="long table, one row a fixation: CSV, TSV (also gzipped) or Parquet",
        suffixes=SUFFIXES,
        recognises=recognises,
        read=read,
        write=write,
        generic=True,
    )
)
