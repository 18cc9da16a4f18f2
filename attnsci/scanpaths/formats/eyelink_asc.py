"""EyeLink ASC files, events only: the text that ``edf2asc`` makes of a recording.

After the line formats of the EyeLink manuals (SR Research). Events stand in the file when they
end, messages when they come, so lines are not in the order of their times; an integer before
the text of a message says how many milliseconds after its event it was sent. Samples, and the
detection of events in them, are pymovements' work.
"""

import codecs
import dataclasses
import re
import warnings
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from attnsci.checks import check_option
from attnsci.contents import text
from attnsci.errors import DatasetCorrupt, InvalidInput
from attnsci.geometry import Viewing
from attnsci.numerals import number
from attnsci.scanpaths.formats.base import Format, head, head_text, register
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
LINE = re.compile(r"^(EFIX|ESACC|EBLINK|MSG|START|END|EVENTS)\b(.*)$", re.MULTILINE)
OFFSET = re.compile(r"[+-]?[0-9]+")
PIXEL = r"-?[0-9]+(?:\.[0-9]+)?"
COORDS = re.compile(rf"(?:DISPLAY|GAZE)_COORDS[\s=]+({PIXEL}(?:[\s,]+{PIXEL}){{3}})(?![0-9.])")
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
    broken : list of float
        When those recordings began that have no end; their events are left out.
    lost : int
        How many fixations these had.
    """

    fixations: "pd.DataFrame"
    saccades: "pd.DataFrame"
    blinks: "pd.DataFrame"
    messages: "pd.DataFrame"
    begins: list[float]
    display: list[tuple[float, ...]]
    broken: list[float]
    lost: int


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
        If a line is cut short, contradicts itself or comes twice, or no recording has an end.
    InvalidInput
        If the file is binary, has no fixations, none in pixels (HREF), or two eyes and none is
        chosen.

    Warns
    -----
    UserWarning
        If fixations are left out: of no trial, without position, seen by one eye of two, of a
        recording that was broken off.
    """
    events = parse_events(path)
    notes: list[str] = []
    if events.broken:
        first = events.broken[0]
        note = (
            f"left out {len(events.broken)} of {len(events.begins)} recordings, which never end, "
            f"with {events.lost} fixations; the first begins at {first:g}"
        )
        notes.append(note)
        warnings.warn(f"{path}: {note}.", UserWarning, stacklevel=3)
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
        If a line is cut short, contradicts itself or comes twice, or no recording has an end;
        the message names the line.
    InvalidInput
        If the file is binary, or its events are not in pixels of the display.
    """
    import pandas as pd

    start = head(path)
    binary = b"\0" in start and not start.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    if path.suffix.lower() == ".edf" or binary or start.startswith(b"SR_RESEARCH"):
        raise InvalidInput(
            f"{path} is binary: an EyeLink EDF file, perhaps. Convert it with SR Research's "
            "edf2asc and read the .asc."
        )
    # Messages may be in any encoding; numbers and keywords are ASCII.
    words = _without_cut_event(text(path, fallback="latin-1"))
    rows: dict[str, list[tuple]] = {kind: [] for kind in (*COLUMNS, "MSG")}
    begins: list[float] = []
    unended: list[int] = []
    known: set[tuple] = set()
    block, recording, heard = 0, False, 0
    for line in LINE.finditer(words):
        kind, rest, at = line[1], line[2].strip(), line.start()
        if kind in COLUMNS:
            event = _event(kind, rest, words, at, path)
            key = (block, kind, *event[:2])
            if key in known:
                raise _damaged(f"an {kind} that comes twice", words, at, path)
            known.add(key)
            rows[kind].append((block, *event))
            heard = len(rows["MSG"])
        elif kind == "EVENTS":
            if rest.split()[:1] not in ([], ["GAZE"]):
                raise InvalidInput(
                    f"{path}, line {_line(words, at)}: its events are in {rest.split()[0]}, not in "
                    "pixels of the display (GAZE). Convert the recording again with edf2asc, and "
                    "gaze positions."
                )
        elif kind == "MSG":
            rows[kind].append((block, *_message(rest, words, at, path)))
        elif kind == "START":
            if recording:
                unended.append(block)
                block += 1
                # What was said since the last event may tell of the recording that now begins.
                rows["MSG"][heard:] = [(block, *message[1:]) for message in rows["MSG"][heard:]]
            begins.append(_time("START", rest, words, at, path))
            if ("START", begins[-1]) in known:
                raise _damaged("a recording that begins twice", words, at, path)
            known.add(("START", begins[-1]))
            recording = True
        else:
            _time("END", rest, words, at, path)
            if not recording:
                raise _damaged("the end of a recording that never began", words, at, path)
            block, recording = block + 1, False
    unended += [block] * recording
    if unended and len(unended) == len(begins):
        raise DatasetCorrupt(
            f"{path} is cut short: the recording that begins at {begins[unended[0]]:g} never ends. "
            "Convert it again; or put a line 'END <time>' after the last whole line to use what is "
            "there."
        )
    messages = pd.DataFrame(rows["MSG"], columns=["block", "time", "text"])
    tables = {
        kind: pd.DataFrame(
            rows[kind], columns=["block", "eye", "time", "end", "duration", *columns]
        )
        for kind, columns in COLUMNS.items()
    }
    lost = int(tables["EFIX"]["block"].isin(unended).sum())
    whole = {kind: table[~table["block"].isin(unended)] for kind, table in tables.items()}
    display = messages["text"].astype(str).str.extract(COORDS)[0].dropna().str.findall(r"[^\s,]+")
    return Events(
        fixations=whole["EFIX"].reset_index(drop=True),
        saccades=whole["ESACC"].reset_index(drop=True),
        blinks=whole["EBLINK"].reset_index(drop=True),
        messages=messages.astype({"time": float, "text": str}),
        begins=begins,
        display=[tuple(map(float, four)) for four in display],
        broken=[begins[each] for each in unended],
        lost=lost,
    )


# --- lines -------------------------------------------------------------------------------------


def _without_cut_event(words: str) -> str:
    """Return the text without a last line that is an event and was broken off within."""
    last = words[words.rfind("\n") + 1 :]
    return words[: len(words) - len(last)] if last.startswith(tuple(COLUMNS)) else words


def _message(rest: str, words: str, at: int, path: Path) -> tuple[float, str]:
    """Return the time that a message tells of, and its text."""
    cells = rest.split(None, 2)
    time = _time("MSG", rest, words, at, path)
    if len(cells) == 3 and OFFSET.fullmatch(cells[1]):
        return time - float(cells[1]), cells[2]
    return time, rest[len(cells[0]) :].lstrip()


def _time(kind: str, rest: str, words: str, at: int, path: Path) -> float:
    try:
        return number(rest.split(None, 1)[0] if rest else "")
    except ValueError as error:
        raise _damaged(f"a {kind} without a time", words, at, path) from error


def _event(kind: str, rest: str, words: str, at: int, path: Path) -> tuple:
    fields = rest.split()
    needed = 4 + len(COLUMNS[kind])
    if len(fields) < needed or fields[0] not in EYES.values():
        raise _damaged(f"an {kind} cut short", words, at, path)
    try:
        values = [np.nan if field == "." else number(field) for field in fields[1:needed]]
    except ValueError as error:
        raise _damaged(f"an {kind} with {error}", words, at, path) from error
    start, end, duration = values[:3]
    # An event lasts from its first sample to the end of its last one.
    if not 0 <= duration - (end - start) <= LONGEST_SAMPLE_MS or end < start:
        raise _damaged(f"an {kind} from {start} to {end} of {duration} ms", words, at, path)
    return (fields[0], *values)


def _line(words: str, at: int) -> int:
    return words.count("\n", 0, at) + 1


def _damaged(what: str, words: str, at: int, path: Path) -> DatasetCorrupt:
    end = words.find("\n", at)
    shown = words[at : end if end >= 0 else None][:120]
    return DatasetCorrupt(
        f"{path}, line {_line(words, at)}: {what}: {shown!r}. The file is cut or damaged; convert "
        "the recording again."
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
    expression: str,
    path: Path,
) -> "pd.Series":
    """Return what the first matching message of each fixation's trial says: its time or name."""
    wants_name = parameter == "image"
    found = events.messages["text"].str.extract(
        pattern(parameter, expression if wants_name else f"({expression})", groups=1)
    )[0]
    hits = events.messages.assign(found=found)[found.notna()]
    # What comes after the end of a recording still tells of its trial.
    hits = in_trials(hits, begun.drop(columns="block"), by=None).sort_values("time", kind="stable")
    first = hits.drop_duplicates("trial").set_index("trial")["found" if wants_name else "time"]
    values = fixations["trial"].map(first)
    if values.isna().any():
        name = fixations["name"][values.isna()].iloc[0]
        raise InvalidInput(
            f"In {path}, trial {name!r} has no message that matches {parameter}={expression!r}."
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
        one, other = _best_overlaps(left, right)
        both = [left.iloc[one], right.iloc[other]]
        numbers = ["time", "end", "duration", "x", "y"]
        mean = sum(eye[numbers].to_numpy() for eye in both) / 2
        pairs.append(both[0].assign(**dict(zip(numbers, mean.T, strict=True))))
    return pd.concat(pairs) if pairs else fixations.iloc[:0]


def _best_overlaps(left: "pd.DataFrame", right: "pd.DataFrame") -> tuple[np.ndarray, np.ndarray]:
    """Return the places of fixations that overlap each other most in time, in `left`'s order."""
    import pandas as pd

    by_time = np.argsort(right["time"].to_numpy(), kind="stable")
    begin, end = (right[name].to_numpy()[by_time] for name in ("time", "end"))
    # Those between overlap or nearly so; all others cannot.
    first = np.searchsorted(np.maximum.accumulate(end), left["time"].to_numpy(), side="left")
    last = np.searchsorted(begin, left["end"].to_numpy(), side="right")
    counts = np.maximum(last - first, 0)
    one = np.repeat(np.arange(len(left)), counts)
    place = np.arange(len(one)) - np.repeat(np.cumsum(counts) - counts, counts) + first[one]
    overlap = np.minimum(left["end"].to_numpy()[one], end[place])
    overlap = overlap - np.maximum(left["time"].to_numpy()[one], begin[place])
    pairs = pd.DataFrame({"one": one, "other": by_time[place], "overlap": overlap})
    pairs = pairs[pairs["overlap"] >= 0].sort_values(["one", "other"], kind="stable")
    best = pairs.loc[pairs.groupby("one")["overlap"].idxmax()]
    wanted = pairs.loc[pairs.groupby("other")["overlap"].idxmax()].set_index("other")["one"]
    best = best[best["other"].map(wanted).to_numpy() == best["one"].to_numpy()]
    return best["one"].to_numpy(), best["other"].to_numpy()


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
    start = head_text(path)
    if start.startswith("SR_RESEARCH"):  # reading it says what to do
        return True
    lines = re.findall(
        r"^(?:\*\* CONVERTED FROM .*edf|\*\* VERSION: EYELINK|EFIX [LR])", start, re.M
    )
    return bool(lines) or bool(re.search(r"^(?:MSG|START)[ \t]+[0-9]+", start, re.M))


register(
    Format(
        name="eyelink_asc",
        summary="EyeLink ASC, events of a recording (edf2asc)",
        suffixes=(".asc", ".asc.gz"),
        recognises=_recognises,
        read=read_eyelink_asc,
    )
)
