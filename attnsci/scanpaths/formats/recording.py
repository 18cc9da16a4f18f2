"""From the fixations of a recording to scanpaths: what the eye trackers' formats share.

A recording is a stream of fixations on a display, cut into trials by messages; a scanpath is
the fixations of one trial, in the pixels of its stimulus, timed from a message.
"""

import re
import warnings
from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from attnsci.errors import InvalidInput
from attnsci.gaze import KEYS, from_frame
from attnsci.geometry import Viewing
from attnsci.scanpaths.edit import with_step

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr


def assemble(fixations: "pd.DataFrame", viewing: Viewing, notes: list[str]) -> "xr.Dataset":
    """Return the scanpaths of a table with one row a fixation, in any order.

    Parameters
    ----------
    fixations : pandas.DataFrame
        ``trial`` (what keeps scanpaths apart), ``image``, ``observer``, ``x`` and ``y`` in
        display pixels from the top left, NaN where the tracker had none, ``time`` (their
        order), ``duration`` in seconds; optional ``onset`` in seconds, ``task``, ``sample``.
    viewing : Viewing
        Its offset and scale bring display pixels to those of the stimulus.
    notes : list of str
        For ``attrs["steps"]``.

    Raises
    ------
    InvalidInput
        If there are no fixations, two begin at the same time and differ, or a value cannot be.

    Warns
    -----
    UserWarning
        If fixations without a position, or such as come twice, are left out.
    """
    notes = list(notes)
    fixations = leave_out(
        fixations, fixations[["x", "y"]].isna().any(axis=1), "without a position", notes
    )
    if fixations.empty:
        raise InvalidInput("No fixation is left to make a scanpath of.")
    fixations = _once(fixations, notes)
    fixations = fixations.sort_values(["trial", "time"], kind="stable").reset_index(drop=True)
    keys = [key for key in KEYS if key in fixations]
    trials = fixations.drop_duplicates("trial")
    sample = repeats({key: trials[key].to_numpy() for key in keys})
    if sample:
        places = fixations["trial"].map(dict(zip(trials["trial"], sample["sample"], strict=True)))
        fixations = fixations.assign(sample=places)
    if (viewing.offset_px, viewing.scale) != ((0.0, 0.0), (1.0, 1.0)):
        x, y = viewing.from_display(fixations["x"], fixations["y"])
        fixations = fixations.assign(x=x, y=y)
        notes.append(f"from display to stimulus: offset {viewing.offset_px}, scale {viewing.scale}")
    fixations = fixations.assign(fixation=fixations.groupby("trial", sort=False).cumcount())
    scanpaths = from_frame(fixations, viewing)
    for note in notes:
        scanpaths = with_step(scanpaths, note)
    return scanpaths


def _once(fixations: "pd.DataFrame", notes: list[str]) -> "pd.DataFrame":
    """Return the fixations without those that come twice; raise where two contradict each other."""
    place = ["trial", "time"]
    again = fixations.duplicated(place)
    other = again & ~fixations.duplicated([*place, "x", "y", "duration"])
    if other.any():
        row = fixations[other].iloc[0]
        raise InvalidInput(
            f"Two fixations of observer {str(row['observer'])!r} on image {str(row['image'])!r} "
            f"begin at {row['time']:g} and differ; {int(other.sum())} such in all. Are two "
            "recordings, or two eyes, in one?"
        )
    return leave_out(fixations, again, "that come twice", notes)


def leave_out(
    table: "pd.DataFrame", bad: "pd.Series", why: str, notes: list[str]
) -> "pd.DataFrame":
    """Return the rows that are not `bad`; if there are some, warn and add to `notes`."""
    count = int(bad.sum())
    if count:
        notes.append(f"left out {count} of {len(table)} fixations {why}")
        warnings.warn(f"{count} of {len(table)} fixations {why} are left out.", stacklevel=4)
    return table[~bad]


def repeats(names: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Return ``{"sample": number}`` of scanpaths that share all `names`; {} where none do."""
    import pandas as pd

    table = pd.DataFrame(dict(names))
    if not table.duplicated().any():
        return {}
    return {"sample": table.groupby(list(names), sort=False).cumcount().to_numpy()}


def pattern(parameter: str, text: str, groups: int = 0) -> "re.Pattern[str]":
    """Return the compiled regular expression of an option; raise if it cannot be one."""
    try:
        compiled = re.compile(text)
    except re.error as error:
        raise InvalidInput(f"{parameter}={text!r} is no regular expression: {error}.") from error
    if compiled.groups < groups:
        raise InvalidInput(
            f"{parameter}={text!r} has no group: put the part that is the name in ( )."
        )
    return compiled


def markers(messages: "pd.DataFrame", trial: str) -> "pd.DataFrame":
    """Return the messages that begin a trial, by time.

    Parameters
    ----------
    messages : pandas.DataFrame
        ``time``, ``text``, ``block`` (the recording, counted from 0, that the message stands
        in or before).
    trial : str
        Regular expression; its first group names the trial.

    Returns
    -------
    pandas.DataFrame
        ``time``, ``block``, ``name`` and ``trial`` (their number).
    """
    found = messages["text"].str.extract(pattern("trial", trial, groups=1))[0]
    rows = messages.assign(name=found.str.strip())[found.notna()]
    rows = rows.sort_values("time", kind="stable").reset_index(drop=True)
    return rows[["time", "block", "name"]].assign(trial=np.arange(len(rows)))


def in_trials(
    events: "pd.DataFrame", markers: "pd.DataFrame", by: str | None = "block"
) -> "pd.DataFrame":
    """Return `events` with the ``trial`` (-1 for none) and ``name`` of the marker they follow.

    A marker holds from its time on, within its own block; what a block has before its first
    marker belongs to that one, since some laboratories name a trial after the recording has
    begun, others before.
    """
    import pandas as pd

    left = events.sort_values("time", kind="stable")
    right = markers.rename(columns={"time": "begins"}).astype({"begins": left["time"].dtype})
    joined = [
        pd.merge_asof(left, right, left_on="time", right_on="begins", by=by, direction=direction)
        for direction in ("backward", "forward")
    ]
    out = joined[0].set_index(left.index)
    later = joined[1].set_index(left.index)
    for column in ("trial", "name", "begins"):
        out[column] = out[column].where(out[column].notna(), later[column])
    return out.assign(trial=out["trial"].fillna(-1).astype(int)).loc[events.index]
