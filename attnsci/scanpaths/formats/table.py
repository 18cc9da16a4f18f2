"""Long tables, one row a fixation: CSV and TSV, gzipped or not, and Parquet."""

import csv
import gzip
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from attnsci.errors import InvalidInput
from attnsci.gaze import KEYS, from_frame, to_frame
from attnsci.geometry import Viewing
from attnsci.scanpaths.formats.base import Format, head, need_viewing, register, warn_left_out

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr

SUFFIXES = (".csv", ".tsv", ".parquet", ".csv.gz", ".tsv.gz")
NUMBERS = ("fixation", "x", "y", "duration", "onset", "duration_ms", "onset_ms")
FRAME = ("width_px", "height_px")
MISSING = ["", "NA", "NaN", "nan", "."]
"""Cells of number columns that stand for no value."""


def recognises(path: Path) -> bool:
    """Return whether the file is Parquet, or text whose first line has two columns or more."""
    start = head(path)
    if start[:4] == b"PAR1":
        return True
    return path.name.lower().endswith(SUFFIXES) and len(_header(start)[0]) > 1


def read(
    path: Path,
    viewing: Viewing | None = None,
    *,
    columns: Mapping[str, str] | None = None,
    duration_unit: str = "s",
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

    Raises
    ------
    InvalidInput
        As `attnsci.gaze.from_frame`; also if rows are longer than the first line.
    """
    start = head(path, 65536)
    if start[:4] == b"PAR1":
        import pandas as pd

        frame = pd.read_parquet(path)
    else:
        frame = _read_text(path, start, columns or {})
    return from_frame(
        frame,
        viewing or _viewing(frame, columns or {}),
        columns=columns,
        duration_unit=duration_unit,
    )


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
    text = frame.to_csv(index=False, sep=separator, lineterminator="\n").encode()
    # No time and no name in the header: the same scanpaths give the same bytes.
    path.write_bytes(gzip.compress(text, mtime=0) if name.endswith(".gz") else text)


def _header(start: bytes) -> tuple[list[str], str]:
    """Return the names in the first line, and what separates them."""
    line = start.decode("utf-8-sig", errors="ignore").split("\n", 1)[0].rstrip("\r")
    separator = max(",\t;", key=line.count)
    return next(csv.reader([line], delimiter=separator), []), separator


def _read_text(path: Path, start: bytes, columns: Mapping[str, str]) -> "pd.DataFrame":
    import pandas as pd

    names, separator = _header(start)
    theirs = {ours: columns.get(ours, ours) for ours in (*KEYS, *NUMBERS, *FRAME)}
    doubled = [name for name in theirs.values() if names.count(name) > 1]
    if doubled:
        raise InvalidInput(f"Two columns of {path} are called {doubled[0]!r}.")
    missing: dict[str, Any] = {theirs[name]: MISSING for name in (*NUMBERS, *FRAME)}
    # From pandas 3.1 on every digit counts without being asked for.
    asked = tuple(map(int, pd.__version__.split(".")[:2])) < (3, 1)
    exact: dict[str, Any] = {"float_precision": "round_trip"} if asked else {}
    frame = pd.read_csv(
        path,
        sep=separator,
        dtype={theirs[name]: str for name in KEYS},  # or the image "001" would become 1
        keep_default_na=False,
        na_values={**missing, theirs["image"]: [""], theirs["observer"]: [""]},
        encoding="utf-8-sig",
        low_memory=False,
        **exact,
    )
    if not isinstance(frame.index, pd.RangeIndex):
        raise InvalidInput(f"Rows of {path} have more cells than its first line has names.")
    return frame


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
