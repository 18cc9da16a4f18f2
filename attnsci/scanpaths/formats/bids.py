"""BIDS eye tracking: the fixations that a ``_physioevents.tsv.gz`` lists.

After the Brain Imaging Data Structure 1.11 (extension proposal 20, *Eye-Tracking-BIDS*).
Tables have no header: their JSON sidecars name the columns and units, and sidecars higher up in
the data set speak for all files below. Positions are those that the events have, or the mean of
the gaze samples of ``_physio.tsv.gz`` while the fixation lasts. Values of ``onset`` are read as
``OnsetSource`` says: like a column of the samples, or as rows of them.
"""

import csv
import dataclasses
import io
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from attnsci import numerals
from attnsci.checks import check_option
from attnsci.contents import read_json, text
from attnsci.errors import DatasetCorrupt, DatasetNotFound, InvalidInput
from attnsci.geometry import Viewing, px_per_deg
from attnsci.scanpaths.formats.base import Format, register
from attnsci.scanpaths.formats.recording import assemble, in_trials, leave_out, markers

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr

SECONDS = {
    "s": 1.0, "sec": 1.0, "second": 1.0, "seconds": 1.0, "ms": 1e-3, "millisecond": 1e-3,
    "milliseconds": 1e-3, "us": 1e-6, "µs": 1e-6, "microseconds": 1e-6, "ns": 1e-9,
    "nanoseconds": 1e-9,
}  # fmt: skip
PIXELS = ("pixel", "pixels", "px")
POSITION = ("x_coordinate", "y_coordinate")
"""Columns of the samples; events may have them, too, or name them shorter."""
SHORT = ("x", "y")
ORIGINS = {
    ("top", "left"): "top-left",
    ("bottom", "left"): "bottom-left",
    ("center", "center"): "centre",
}
LONGEST_DISTANCE_M = 10.0


@dataclasses.dataclass(frozen=True)
class Sidecar:
    """The JSON files that speak for one file, merged, and what to call them in messages."""

    place: str
    values: dict[str, Any]

    def __getitem__(self, key: str) -> Any:
        value: Any = self.values
        for part in key.split("."):
            if not isinstance(value, dict) or part not in value:
                raise InvalidInput(f"{self.place} has no {key}, which is needed.")
            value = value[part]
        return value


def read_bids(
    path: Path,
    viewing: Viewing | None = None,
    *,
    trial: str = r"^TRIALID\s+(.+)",
    duration_unit: str | None = None,
) -> "xr.Dataset":
    r"""Return the fixations of one recording of a BIDS data set.

    Parameters
    ----------
    path : Path
        ``..._physioevents.tsv.gz``; the other files are found beside and above it.
    viewing : Viewing, optional
        Geometry, with the offset and scale of a stimulus that does not fill the screen; by
        default the screen, as ``StimulusPresentation`` of ``_events.json`` describes it.
    trial : str
        Regular expression of the message that begins a trial; its group names the image. Not
        used where ``_events.tsv`` has a column ``stim_file``: then its rows are the trials, and
        fixations that begin in none of them are left out. If neither is there, the recording
        is one trial, called by its task and run.
    duration_unit : {"s", "ms"}, optional
        Of the fixations' durations; by default as their ``Units`` say, else as onsets have.

    Returns
    -------
    xarray.Dataset
        The container with onsets; the observer is the subject's label, the task the task's.

    Raises
    ------
    DatasetNotFound
        If a file is missing that is needed.
    InvalidInput
        If a key is missing in a sidecar, a unit or origin is unknown, or a value cannot be; the
        message names file and key.
    DatasetCorrupt
        If a table does not have the columns that its sidecar names.

    Warns
    -----
    UserWarning
        If fixations are left out: of no trial, or without valid samples.
    """
    notes: list[str] = []
    names = _entities(path)
    about = _sidecar(path, "physioevents")
    samples = _sidecar(path, "physio")
    source = about["OnsetSource"]
    tick = 1 / _number(samples, "SamplingFrequency") if source == "n/a" else _unit(samples, source)
    table = _table(path, about)
    for column in ("onset", "duration", "trial_type"):
        if column not in table:
            raise InvalidInput(f"Columns in {about.place} does not name {column!r}.")
    onset = _numbers(table, "onset", path)
    table = table.assign(onset=onset, time=onset * tick)
    kinds = table["trial_type"].astype(str)
    fixations = table[kinds == "fixation"]
    if fixations.empty:
        raise InvalidInput(f"{path} has no row whose trial_type is 'fixation', but {set(kinds)}.")
    check_option("duration_unit", duration_unit, (None, "s", "ms"))
    unit = SECONDS[duration_unit] if duration_unit else _duration_unit(about, tick, source)
    duration = _numbers(fixations, "duration", path) * unit
    wrong = ~((duration >= 0) & np.isfinite(fixations["time"].to_numpy()))
    if wrong.any():
        row = fixations.index[int(np.argmax(wrong))]
        raise InvalidInput(
            f"{path}: the fixation in row {row} (counted from 0) has onset {table['onset'][row]} "
            f"and duration {table['duration'][row]}; {int(wrong.sum())} such in all."
        )
    fixations = fixations.assign(duration=np.round(duration, 12))
    screen = _sidecar(path, "events", needed=False)
    display, origin = _display(screen, viewing)
    given = next((pair for pair in (POSITION, SHORT) if set(pair) <= set(table.columns)), None)
    if given:
        _check_pixels(about, given)
        x, y = (_numbers(fixations, name, path) for name in given)
        fixations = fixations.assign(x=x, y=y)
    else:
        _check_pixels(samples, POSITION)
        fixations = _located(fixations, path, samples, source, tick)
        notes.append("positions are means of the samples")
    if origin != "top-left":
        x, y = display.from_origin(fixations["x"], fixations["y"], origin)
        fixations = fixations.assign(x=x, y=y)
        notes.append(f"positions moved from origin {origin}")
    fixations = _trials(fixations, table, path, samples, source, tick, trial, notes)
    fixations = fixations.assign(
        observer=names.get("sub", path.name.split("_")[0]),
        onset=np.round(fixations["time"] - fixations["begins"], 12),
    )
    # Columns of the file may have our names and mean something else: a row's "sample", say.
    fixations = fixations[["trial", "name", "observer", "x", "y", "time", "duration", "onset"]]
    if "task" in names:
        fixations = fixations.assign(task=names["task"])
    return assemble(fixations.rename(columns={"name": "image"}), viewing or display, notes)


# --- files -------------------------------------------------------------------------------------


def _entities(path: Path) -> dict[str, str]:
    parts = path.name.split(".")[0].split("_")[:-1]
    return dict(part.split("-", 1) for part in parts if "-" in part)


def _above(path: Path) -> list[Path]:
    """Return the folders from the data set's first to the file's own."""
    folders = [path.absolute().parent, *path.absolute().parent.parents][:5]
    roots = [n for n, each in enumerate(folders) if (each / "dataset_description.json").exists()]
    return folders[: roots[0] + 1][::-1] if roots else folders[:1]


def _applying(path: Path, suffix: str, ending: str) -> list[Path]:
    """Return the files of a suffix that speak for `path`, the most general first."""
    own = set(_entities(path).items())
    found = []
    for folder in _above(path):
        here = [*folder.glob(f"*_{suffix}{ending}"), *folder.glob(f"{suffix}{ending}")]
        able = [each for each in here if set(_entities(each).items()) <= own]
        found += sorted(able, key=lambda each: len(_entities(each)))
    return found


def _sidecar(path: Path, suffix: str, *, needed: bool = True) -> Sidecar:
    files = _applying(path, suffix, ".json")
    if not files:
        place = f"{path.parent / path.name.split('_')[0]}..._{suffix}.json"
        if needed:
            raise DatasetNotFound(f"{path} needs {place}, which is neither beside nor above it.")
        return Sidecar(place, {})
    values: dict[str, Any] = {}
    for file in files:
        found = read_json(file)
        if not isinstance(found, dict):
            raise DatasetCorrupt(f"{file} holds {type(found).__name__}, not keys and values.")
        values |= found
    return Sidecar(" + ".join(map(str, files)), values)


def _table(path: Path, about: Sidecar) -> "pd.DataFrame":
    import pandas as pd

    names = about["Columns"]
    if not isinstance(names, list) or len(set(map(str, names))) < len(names):
        raise InvalidInput(f"Columns in {about.place} is {names!r}, no list of different names.")
    try:
        table = pd.read_csv(
            io.StringIO(text(path)),
            sep="\t",
            header=None,
            dtype=str,
            keep_default_na=False,
            na_values=["n/a"],
            quoting=csv.QUOTE_NONE,  # BIDS quotes nothing, and messages hold lone quotes
        )
    except (pd.errors.ParserError, pd.errors.EmptyDataError, EOFError, OSError) as error:
        raise DatasetCorrupt(f"{path} is no whole table: {error}.") from error
    if table.shape[1] != len(names):
        raise DatasetCorrupt(
            f"{path} has {table.shape[1]} columns; Columns in {about.place} names {names}."
        )
    return table.set_axis(names, axis=1)


def _numbers(table: "pd.DataFrame", column: str, path: Path) -> np.ndarray:
    values, bad = numerals.parse(table[column])
    if bad.any():
        row = int(np.argmax(bad))
        cell = table[column].iloc[row]
        raise DatasetCorrupt(
            f"{path}: {column} is {cell!r}, {numerals.fault(cell)}, in row "
            f"{table.index[row]} (counted from 0); {int(bad.sum())} such in all."
        )
    return values


# --- units and geometry ------------------------------------------------------------------------


def _unit(about: Sidecar, column: str) -> float:
    unit = str(about[f"{column}.Units"])
    if unit not in SECONDS:
        raise InvalidInput(f"{column}.Units in {about.place} is {unit!r}, none of {[*SECONDS]}.")
    return SECONDS[unit]


def _duration_unit(about: Sidecar, tick: float, source: str) -> float:
    if isinstance(about.values.get("duration"), dict) and "Units" in about["duration"]:
        return _unit(about, "duration")
    return 1.0 if source == "n/a" else tick


def _check_pixels(about: Sidecar, columns: tuple[str, str]) -> None:
    for column in columns:
        unit = about[f"{column}.Units"]
        if unit not in PIXELS:
            raise InvalidInput(
                f"{column}.Units in {about.place} is {unit!r}; read are pixels of the screen."
            )
    system = about.values.get("SampleCoordinateSystem", "gaze-on-screen")
    if system != "gaze-on-screen":
        raise InvalidInput(
            f"SampleCoordinateSystem in {about.place} is {system!r}; only 'gaze-on-screen' has "
            "positions in an image."
        )


def _display(about: Sidecar, viewing: Viewing | None) -> tuple[Viewing, str]:
    """Return the screen and where its positions count from."""
    if viewing is not None and "StimulusPresentation" not in about.values:
        return viewing, "top-left"
    key = "StimulusPresentation"
    origin = tuple(about[f"{key}.ScreenOrigin"])
    if origin not in ORIGINS:
        raise InvalidInput(
            f"{key}.ScreenOrigin in {about.place} is {origin}, none of {[*ORIGINS]}."
        )
    width, height = _pair(about, f"{key}.ScreenResolution")
    if viewing is not None:
        return Viewing(width, height), ORIGINS[origin]
    distance = _number(about, f"{key}.ScreenDistance")
    width_m, _ = _pair(about, f"{key}.ScreenSize")
    if not 0 < distance < LONGEST_DISTANCE_M:
        raise InvalidInput(
            f"{key}.ScreenDistance in {about.place} is {distance!r}; it must be in metres. Correct "
            "it, or give viewing=."
        )
    return Viewing(width, height, px_per_deg(distance, width_m, width)), ORIGINS[origin]


def _number(about: Sidecar, key: str) -> float:
    value = about[key]
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise InvalidInput(f"{key} in {about.place} is {value!r}; it must be a number.")
    return float(value)


def _pair(about: Sidecar, key: str) -> tuple[float, float]:
    pair = about[key]
    if not isinstance(pair, list) or [type(value) in (int, float) for value in pair] != [True] * 2:
        raise InvalidInput(f"{key} in {about.place} is {pair!r}, no two numbers.")
    return float(pair[0]), float(pair[1])


# --- positions and trials ----------------------------------------------------------------------


def _samples(path: Path, about: Sidecar, source: str) -> tuple["pd.DataFrame", np.ndarray]:
    file = path.with_name(path.name.replace("_physioevents.", "_physio."))
    if not file.exists():
        raise DatasetNotFound(f"{path} has no positions, and the samples, {file}, are missing.")
    table = _table(file, about)
    clock = np.arange(len(table)) if source == "n/a" else _numbers(table, source, file)
    if not (np.diff(clock) > 0).all():
        raise DatasetCorrupt(f"{file}: {source} does not increase from row to row.")
    return table, clock


def _located(
    fixations: "pd.DataFrame", path: Path, about: Sidecar, source: str, tick: float
) -> "pd.DataFrame":
    """Return the fixations with the mean position of their samples, NaN where all are invalid."""
    table, clock = _samples(path, about, source)
    for name in POSITION:
        if name not in table:
            raise InvalidInput(f"Columns in {about.place} does not name {name!r}.")
    position = np.stack([_numbers(table, name, path) for name in POSITION], axis=1)
    valid = np.isfinite(position).all(1)
    start = fixations["onset"].to_numpy()
    # A hair early, for durations that are no whole number of ticks in binary.
    end = start + fixations["duration"].to_numpy() / tick - 1e-6
    bounds = np.stack([np.searchsorted(clock, start), np.searchsorted(clock, end)], axis=1)
    # One row more, since `reduceat` takes no bound behind the last.
    columns = np.column_stack([np.where(valid[:, None], position, 0), valid])
    sums = np.add.reduceat(np.vstack([columns, np.zeros((1, 3))]), bounds.ravel(), axis=0)[::2]
    sums[bounds[:, 0] >= bounds[:, 1]] = 0
    with np.errstate(invalid="ignore"):
        x, y = (sums[:, :2] / sums[:, 2:]).T
    return fixations.assign(x=x, y=y)


def _trials(
    fixations: "pd.DataFrame",
    table: "pd.DataFrame",
    path: Path,
    samples: Sidecar,
    source: str,
    tick: float,
    trial: str,
    notes: list[str],
) -> "pd.DataFrame":
    """Return the fixations with ``trial``, ``name`` (of the image) and ``begins`` (seconds)."""
    import pandas as pd

    shown = _shown(path)
    if shown is not None:
        notes.append("images are the stim_file of _events.tsv")
        first = 0.0 if source == "n/a" else float(_samples(path, samples, source)[1][0]) * tick
        zero = first - _number(samples, "StartTime")
        shown = shown.assign(onset=shown["onset"] + zero).sort_values("onset", kind="stable")
        starts, ends = shown["onset"].to_numpy(), (shown["onset"] + shown["duration"]).to_numpy()
        place = np.searchsorted(starts, fixations["time"], side="right") - 1
        outside = (place < 0) | (fixations["time"].to_numpy() >= ends[place])
        fixations = fixations.assign(
            trial=place, name=shown["stim_file"].to_numpy()[place], begins=starts[place]
        )
        return leave_out(
            fixations, pd.Series(outside, index=fixations.index), "while no image was on", notes
        )
    if "message" in table:
        messages = table[table["message"].notna()].assign(block=0)
        begun = markers(messages.assign(text=messages["message"].str.strip('"')), trial)
        if len(begun):
            return in_trials(fixations, begun.drop(columns="block"), by=None)
    notes.append("no stim_file and no message names a trial: the recording is one")
    names = _entities(path)
    name = "_".join(f"{key}-{names[key]}" for key in ("task", "run") if key in names)
    return fixations.assign(trial=0, name=name or "recording", begins=fixations["time"].min())


def _shown(path: Path) -> "pd.DataFrame | None":
    """Return the rows of the task's events that show a stimulus; None if there are none."""
    import pandas as pd

    files = _applying(path, "events", ".tsv")
    if not files:
        return None
    table = pd.read_csv(
        io.StringIO(text(files[-1])),
        sep="\t",
        dtype=str,
        keep_default_na=False,
        na_values=["n/a"],
        quoting=csv.QUOTE_NONE,
    )
    if "stim_file" not in table:
        return None
    table = table[table["stim_file"].notna()]
    return table.assign(
        onset=_numbers(table, "onset", files[-1]), duration=_numbers(table, "duration", files[-1])
    )


register(
    Format(
        name="bids",
        summary="BIDS eye tracking, fixations of a _physioevents.tsv.gz",
        suffixes=("_physioevents.tsv.gz",),
        recognises=lambda path: path.name.endswith(("_physioevents.tsv.gz", "_physioevents.tsv")),
        read=read_bids,
    )
)
