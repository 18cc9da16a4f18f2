"""Exports of Tobii Pro Lab: the table of samples (TSV) with the events they belong to.

Unverified: written after the maker's descriptions of the columns; no real file was at hand.
Compare the first fixations with the file before relying on it, and draw some over the image.
"""

import io
import re
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from attnsci import numerals
from attnsci.contents import text
from attnsci.errors import DatasetCorrupt, InvalidInput
from attnsci.geometry import Viewing
from attnsci.scanpaths.formats.base import Format, head_text, need_viewing, register
from attnsci.scanpaths.formats.recording import assemble

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr

COLUMNS = {
    "kind": ("Eye movement type",),
    "index": ("Eye movement type index",),
    "duration": ("Gaze event duration", "Eye movement event duration"),
    "x": ("Fixation point X",),
    "y": ("Fixation point Y",),
    "image": ("Presented Stimulus name",),
    "time": ("Recording timestamp",),
    "observer": ("Participant name", "Recording name"),
    "recording": ("Recording name", "Participant name"),
}
"""What we need, and the columns that have it, the first that there is; case does not matter."""
MILLISECONDS = {"ms": 1.0, "μs": 1e-3, "µs": 1e-3, "us": 1e-3}
UNIT = re.compile(r"\s*[\[(]([^\])]*)[\])]\s*$")


def read_tobii(path: Path, viewing: Viewing | None = None) -> "xr.Dataset":
    """Return the fixations of a Tobii Pro Lab export, one scanpath a showing of a stimulus.

    Parameters
    ----------
    path : Path
        TSV with one row a sample, or one a fixation. Rows of one fixation share "Eye movement
        type index" and are taken once. Columns may end with a unit: "Gaze event duration [ms]",
        "Fixation point X [MCS px]", "Fixation point X (MCSnorm)"; times without one are
        milliseconds, positions pixels. Normalised positions are multiplied by the size of
        the image.
    viewing : Viewing
        Geometry: pixels are the stimulus' for MCS, the display's for DACS, whose offset and
        scale it then needs.

    Returns
    -------
    xarray.Dataset
        The container. Onsets are measured from the first row in which the stimulus is on.

    Raises
    ------
    InvalidInput
        If a column is missing, a unit unknown, or a value cannot be.
    DatasetCorrupt
        If a cell is no number, or rows of one fixation contradict each other.

    Warns
    -----
    UserWarning
        If fixations without a position are left out.
    """
    viewing = need_viewing(viewing, "A Tobii export")
    table, units = _table(path)
    table = table[table["image"].notna()].reset_index(drop=True)
    time = _numbers(table, "time", path) * _milliseconds(units["time"], "time") / 1000
    table = table.assign(time=time).sort_values(["recording", "time"], kind="stable")
    # A stimulus that is shown again after another one is another trial.
    changed = (table[["recording", "image"]] != table[["recording", "image"]].shift()).any(axis=1)
    table = table.assign(trial=changed.cumsum())
    begins = table.groupby("trial")["time"].transform("min")
    fixations = table.assign(begins=begins)[table["kind"].str.lower() == "fixation"]
    if fixations.empty:
        raise InvalidInput(
            f"In {path} no row with a stimulus has 'Fixation' as its eye movement type."
        )
    scale = _milliseconds(units["duration"], "duration") / 1000
    notes: list[str] = []
    numbers = {name: _numbers(fixations, name, path) for name in ("x", "y", "duration")}
    for name, side in (("x", viewing.width_px), ("y", viewing.height_px)):
        if "norm" in units[name].lower():
            numbers[name] = numbers[name] * side
            notes.append(f"{name} was normalised, multiplied by {side:g}")
    fixations = fixations.assign(**numbers)
    _check_same(fixations, path)
    # One that goes on into the next stimulus belongs to the one where it began.
    once = fixations.drop_duplicates(["recording", "index"])
    display = "DACS" in units["x"]
    if not display and (viewing.offset_px, viewing.scale) != ((0.0, 0.0), (1.0, 1.0)):
        raise InvalidInput(
            f"{path} has positions in the stimulus' pixels ({units['x'] or 'no unit'}); give a "
            "viewing without offset_px and scale."
        )
    once = once.assign(
        duration=np.round(once["duration"] * scale, 12),
        onset=np.round(once["time"] - once["begins"], 12),
    )
    return assemble(once, viewing, notes)


def _table(path: Path) -> tuple["pd.DataFrame", dict[str, str]]:
    """Return the columns under our names, and their units."""
    import pandas as pd

    try:
        raw = pd.read_csv(
            io.StringIO(text(path)),
            sep="\t",
            dtype=str,
            keep_default_na=False,  # or a stimulus "NA" would be none
            na_values=[""],
        )
    except pd.errors.ParserError as error:
        raise DatasetCorrupt(f"{path} is no table of tab-separated values: {error}.") from error
    theirs = {UNIT.sub("", name).strip().lower(): name for name in raw.columns}
    table, units = {}, {}
    for ours, names in COLUMNS.items():
        known = [theirs[name.lower()] for name in names if name.lower() in theirs]
        if not known:
            raise InvalidInput(
                f"{path} has no column {' or '.join(map(repr, names))}; export it with Tobii Pro "
                f"Lab. There are {list(raw.columns)}."
            )
        unit = UNIT.search(known[0])
        table[ours], units[ours] = raw[known[0]], unit[1] if unit else ""
    return pd.DataFrame(table), units


def _milliseconds(unit: str, what: str) -> float:
    if (unit or "ms") not in MILLISECONDS:
        raise InvalidInput(f"The unit of {what}, {unit!r}, is none of {[*MILLISECONDS]}.")
    return MILLISECONDS[unit or "ms"]


def _numbers(table: "pd.DataFrame", column: str, path: Path) -> np.ndarray:
    # Tobii writes numbers as the computer's language does.
    values, bad = numerals.parse(table[column].str.replace(",", ".", regex=False))
    if column in ("time", "duration"):
        bad |= np.isnan(values)
    if bad.any():
        row = int(np.argmax(bad))
        raise DatasetCorrupt(
            f"{path}: {COLUMNS[column][0]} is {table[column].iloc[row]!r} in one row; it must be "
            "a number."
        )
    return values


def _check_same(fixations: "pd.DataFrame", path: Path) -> None:
    if fixations["index"].isna().any():
        raise DatasetCorrupt(f"{path}: a row of a fixation has no {COLUMNS['index'][0]!r}.")
    groups = fixations.groupby(["recording", "index"])[["x", "y", "duration"]]
    bad = (groups.max() > groups.min()).any(axis=1)
    if bad.any():
        recording, index = bad.index[int(np.argmax(bad))]
        raise DatasetCorrupt(
            f"{path}: rows of fixation {index} of {recording!r} differ in position or duration; "
            f"{int(bad.sum())} such fixations in all."
        )


def _recognises(path: Path) -> bool:
    first = head_text(path).split("\n", 1)[0]
    return "\t" in first and "Eye movement type" in first


register(
    Format(
        name="tobii",
        summary="Tobii Pro Lab export, TSV (unverified)",
        suffixes=(".tsv",),
        recognises=_recognises,
        read=read_tobii,
    )
)
