"""EyeLink ASC files, events only: the text that ``edf2asc`` makes of a recording.

After the line formats of the EyeLink manuals (SR Research). Events stand in the file when they
end, messages when they come, so lines are not in the order of their times; an integer before
the text of a message says how many milliseconds after its event it was sent. Samples, and the
detection of events in them, are pymovements' work.
"""

import dataclasses
import gzip
import re
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from attnsci.checks import check_option
from attnsci.errors import DatasetCorrupt, InvalidInput
from attnsci.geometry import Viewing
from attnsci.scanpaths.formats.base import Format, head, register
from attnsci.scanpaths.formats.recording import assemble, in_trials, leave_out, markers, pattern

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr

EYES = {"left": "L", "right": "R"}
COLUMNS = {
    "EFIX": ("x", "y", "pupil"),
    "ESACC": ("x", "y", "x_end", "y_end", "amplitude_deg", "peak_deg_per_s"),
    "EBLINK": (),
}
LINE = re.compile(r"^(EFIX|ESACC|EBLINK|MSG|START|END)\b[ \t]*(.*?)[ \t\r]*$", re.MULTILINE)
MESSAGE = re.compile(r"(\d+(?:\.\d+)?)(?:\s+([+-]?\d+)(?=\s+\S))?\s*(.*)")
COORDS = re.compile(r"(?:DISPLAY|GAZE)_COORDS\s*=?\s*((?:-?\d+(?:\.\d+)?[\s,]*){4})")
LONGEST_SAMPLE_MS = 20.0


@dataclasses.dataclass(frozen=True)
class Events:
    """The events of an ASC file.

    Attributes
    ----------
    fixations, saccades, blinks : pandas.DataFrame
        ``block``, ``eye`` ("L" or "R"), ``time``, ``end``, ``duration`` in milliseconds of the
        tracker's clock, then what each has: ``x``, ``y`` in display pixels …
    messages : pandas.DataFrame
        ``block``, ``time`` (of the event it tells of) and ``text``.
    begins : list of float
        When each recording began.
    display : list of tuple
        Left, top, right and bottom pixel, as often as the file says them.
    """

    fixations: "pd.DataFrame"
    saccades: "pd.DataFrame"
    blinks: "pd.DataFrame"
    messages: "pd.DataFrame"
    begins: list[float]
    display: list[tuple[float, ...]]


def read_eyelink_asc(
    path: Path,
    viewing: Viewing | None = None,
    *,
    eye: str | None = None,
    observer: str | None = None,
    trial: str = r"^TRIALID\s+(.+)",
    image: str | None = None,
    image_onset: str | None = None,
) -> "xr.Dataset":
    r"""Return the fixations of an EyeLink ASC file, one scanpath a trial.

    Parameters
    ----------
    path : Path
        File, gzipped or not.
    viewing : Viewing, optional
        Geometry, with the offset and scale of a stimulus that does not fill the display; by
        default the display as the file gives it (its last pixel and one more).
    eye : {"left", "right", "average"}, optional
        Needed where both were recorded. "average" takes the fixations of the two eyes that
        overlap each other most in time, and the mean of each pair.
    observer : str, optional
        Name; the file's by default.
    trial : str
        Regular expression of the message that begins a trial; its group names it. If none
        matches, each recording is a trial, called by its number from "0".
    image : str, optional
        Regular expression of a message of the trial whose group names the image, as
        ``r"!V TRIAL_VAR image (\S+)"``; by default the trial's name is the image's.
    image_onset : str, optional
        Regular expression of the message from which onsets count, as ``"^SYNCTIME$"``; by
        default the trial's. Fixations that end before it are left out.

    Returns
    -------
    xarray.Dataset
        The container, with onsets; a trial whose name comes again has another ``sample``.

    Raises
    ------
    DatasetCorrupt
        If a line is cut short or contradicts itself, or a recording has no end.
    InvalidInput
        If the file is binary, has no fixations, or two eyes and none is chosen.

    Warns
    -----
    UserWarning
        If fixations are left out: of no trial, without position, seen by one eye of two.
    """
    events = parse_events(path)
    notes: list[str] = []
    if events.fixations.empty:
        raise InvalidInput(
            f"{path} has no fixations (EFIX lines). It may hold samples alone: convert the "
            "recording again with edf2asc and keep its events."
        )
    begun = markers(events.messages, trial)
    if begun.empty:
        notes.append(f"no message matches {trial!r}: each recording is a trial")
        begun = _recordings(events)
    chosen = _eye(events.fixations, eye, path)
    fixations = in_trials(chosen, begun)
    fixations = leave_out(fixations, fixations["trial"] < 0, "of no trial", notes)
    if eye == "average":
        both = _averaged(fixations)
        lone = len(fixations) - 2 * len(both)
        if lone:
            notes.append(f"left out {lone} of {len(fixations)} fixations of one eye alone")
        fixations = both
    zero = fixations["begins"]
    if image_onset is not None:
        zero = _from_messages(fixations, events, begun, "image_onset", image_onset, path)
        early = fixations["end"] < zero
        fixations = leave_out(fixations, early, "that end before the image", notes)
    names = fixations["name"]
    if image is not None:
        names = _from_messages(fixations, events, begun, "image", image, path)
    viewing = viewing or _display(events.display, path, notes)
    stem = Path(path.name.removesuffix(".gz")).stem
    table = fixations.assign(
        image=names,
        observer=observer or stem,
        onset=np.round((fixations["time"] - zero) / 1000, 12),
        duration=np.round(fixations["duration"] / 1000, 12),
    )
    return assemble(table, viewing, notes)


def parse_events(path: Path) -> Events:
    """Return all events of an ASC file.

    Raises
    ------
    DatasetCorrupt
        If a line is cut short or contradicts itself, or a recording has no end; the message
        names the line.
    InvalidInput
        If the file is binary.
    """
    import pandas as pd

    start = head(path)
    if path.suffix.lower() == ".edf" or b"\0" in start or start.startswith(b"SR_RESEARCH"):
        raise InvalidInput(
            f"{path} is binary: an EyeLink EDF file, perhaps. Convert it with SR Research's "
            "edf2asc and read the .asc."
        )
    text = _text(path)
    rows: dict[str, list[tuple]] = {kind: [] for kind in (*COLUMNS, "MSG")}
    begins: list[float] = []
    block, open_since = 0, None
    for found in LINE.finditer(text):
        kind, rest = found.groups()
        if kind in COLUMNS:
            rows[kind].append((block, *_event(kind, rest, text, found.start(), path)))
        elif kind == "MSG":
            match = MESSAGE.match(rest)
            if not match:
                raise _damaged("a message without a time", text, found.start(), path)
            time, offset, words = match.groups()
            rows[kind].append((block, float(time) - float(offset or 0), words))
        else:
            time = MESSAGE.match(rest)
            if not time or (kind == "START") == (open_since is not None):
                raise _damaged("a recording that does not begin and end", text, found.start(), path)
            if kind == "START":
                open_since = float(time[1])
                begins.append(open_since)
            else:
                block, open_since = block + 1, None
    if open_since is not None:
        raise DatasetCorrupt(
            f"{path} is cut short: the recording that begins at {open_since:g} never ends. Convert "
            "it again; or put a line 'END <time>' after the last whole line to use what is there."
        )
    messages = pd.DataFrame(rows["MSG"], columns=["block", "time", "text"])
    tables = {
        kind: pd.DataFrame(
            rows[kind], columns=["block", "eye", "time", "end", "duration", *columns]
        )
        for kind, columns in COLUMNS.items()
    }
    display = messages["text"].astype(str).str.extract(COORDS)[0].dropna().str.findall(r"[^\s,]+")
    return Events(
        fixations=tables["EFIX"],
        saccades=tables["ESACC"],
        blinks=tables["EBLINK"],
        messages=messages.astype({"time": float, "text": str}),
        begins=begins,
        display=[tuple(map(float, four)) for four in display],
    )


# --- lines -------------------------------------------------------------------------------------


def _text(path: Path) -> str:
    raw = path.read_bytes()
    if raw[:2] == b"\x1f\x8b":
        raw = gzip.decompress(raw)
    try:
        return raw.decode()
    except UnicodeDecodeError:  # messages may be in any encoding; numbers and keywords are ASCII
        return raw.decode("latin-1")


def _event(kind: str, rest: str, text: str, at: int, path: Path) -> tuple:
    fields = rest.split()
    needed = 4 + len(COLUMNS[kind])
    if len(fields) < needed or fields[0] not in EYES.values():
        raise _damaged(f"an {kind} cut short", text, at, path)
    try:
        values = [np.nan if field == "." else float(field) for field in fields[1:needed]]
    except ValueError as error:
        raise _damaged(f"an {kind} with {error}", text, at, path) from error
    start, end, duration = values[:3]
    # An event lasts from its first sample to the end of its last one.
    if not 0 <= duration - (end - start) <= LONGEST_SAMPLE_MS or end < start:
        raise _damaged(f"an {kind} from {start} to {end} of {duration} ms", text, at, path)
    return (fields[0], *values)


def _damaged(what: str, text: str, at: int, path: Path) -> DatasetCorrupt:
    line = text.count("\n", 0, at) + 1
    words = text[at:].split("\n", 1)[0]
    return DatasetCorrupt(
        f"{path}, line {line}: {what}: {words[:120]!r}. The file is cut or damaged; convert the "
        "recording again."
    )


# --- trials ------------------------------------------------------------------------------------


def _recordings(events: Events) -> "pd.DataFrame":
    import pandas as pd

    fallback = events.fixations.groupby("block")["time"].min()
    blocks = np.arange(max(len(events.begins), int(fallback.index.max()) + 1))
    begins = pd.Series(events.begins, index=range(len(events.begins)), dtype=float)
    times = begins.reindex(blocks).fillna(fallback.reindex(blocks)).dropna()
    names = times.index.astype(str)
    table = {"time": times.to_numpy(), "block": times.index, "name": names, "trial": times.index}
    return pd.DataFrame(table).sort_values("time", kind="stable")


def _from_messages(
    fixations: "pd.DataFrame",
    events: Events,
    begun: "pd.DataFrame",
    parameter: str,
    text: str,
    path: Path,
) -> "pd.Series":
    """Return what the first matching message of each fixation's trial says: its time or name."""
    wants_name = parameter == "image"
    found = events.messages["text"].str.extract(
        pattern(parameter, text if wants_name else f"({text})", groups=1)
    )[0]
    hits = events.messages.assign(found=found)[found.notna()]
    # What comes after the end of a recording still tells of its trial.
    hits = in_trials(hits, begun.drop(columns="block"), by=None).sort_values("time", kind="stable")
    first = hits.drop_duplicates("trial").set_index("trial")["found" if wants_name else "time"]
    values = fixations["trial"].map(first)
    if values.isna().any():
        name = fixations["name"][values.isna()].iloc[0]
        raise InvalidInput(
            f"In {path}, trial {name!r} has no message that matches {parameter}={text!r}."
        )
    return values


def _eye(fixations: "pd.DataFrame", eye: str | None, path: Path) -> "pd.DataFrame":
    names = {code: name for name, code in EYES.items()}
    recorded = [names[code] for code in sorted(fixations["eye"].unique())]
    if eye is None:
        if len(recorded) > 1:
            raise InvalidInput(f"{path} has both eyes: choose eye='left', 'right' or 'average'.")
        return fixations
    check_option("eye", eye, [*recorded, *(["average"] if len(recorded) == 2 else [])])
    return fixations if eye == "average" else fixations[fixations["eye"] == EYES[eye]]


def _averaged(fixations: "pd.DataFrame") -> "pd.DataFrame":
    """Return the means of the fixations of two eyes that overlap each other most in time."""
    import pandas as pd

    pairs = []
    for _, trial in fixations.groupby("trial", sort=False):
        left, right = (trial[trial["eye"] == code] for code in ("L", "R"))
        if left.empty or right.empty:
            continue
        end = np.minimum.outer(left["end"].to_numpy(), right["end"].to_numpy())
        overlap = end - np.maximum.outer(left["time"].to_numpy(), right["time"].to_numpy())
        partner = overlap.argmax(1)
        mutual = overlap.argmax(0)[partner] == np.arange(len(left))
        mutual &= overlap.max(1) >= 0
        both = [left[mutual], right.iloc[partner[mutual]]]
        numbers = ["time", "end", "duration", "x", "y"]
        mean = sum(eye[numbers].to_numpy() for eye in both) / 2
        pairs.append(both[0].assign(**dict(zip(numbers, mean.T, strict=True))))
    return pd.concat(pairs) if pairs else fixations.iloc[:0]


def _display(found: list[tuple[float, ...]], path: Path, notes: list[str]) -> Viewing:
    sizes = sorted(set(found))
    if len(sizes) != 1 or sizes[0][:2] != (0.0, 0.0):
        what = f"several displays, {sizes}" if sizes else "no display (GAZE_COORDS)"
        raise InvalidInput(
            f"{path} gives {what}, where one from 0 0 is needed. Give viewing=Viewing("
            "width_px=..., height_px=...)."
        )
    right, bottom = sizes[0][2:]
    notes.append(f"display {right + 1:g} x {bottom + 1:g} from its last pixel {right:g} {bottom:g}")
    return Viewing(width_px=right + 1, height_px=bottom + 1)


def _recognises(path: Path) -> bool:
    start = head(path)
    if start.startswith(b"SR_RESEARCH"):  # reading it says what to do
        return True
    lines = re.findall(
        rb"^(?:\*\* CONVERTED FROM .*edf|\*\* VERSION: EYELINK|EFIX [LR])", start, re.M
    )
    return bool(lines) or bool(re.search(rb"^(?:MSG|START)[ \t]+\d+", start, re.M))


register(
    Format(
        name="eyelink_asc",
        summary="EyeLink ASC, events of a recording (edf2asc)",
        suffixes=(".asc", ".asc.gz"),
        recognises=_recognises,
        read=read_eyelink_asc,
    )
)
