"""Fixations that pymovements has detected or read; its objects are asked, never imported.

pymovements (Krakowczyk et al. 2023, *pymovements: a Python package for eye movement data
processing*, ETRA) keeps events in a polars table, times in milliseconds, and the screen in an
``Experiment``.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from attnsci.checks import check_option
from attnsci.errors import InvalidInput
from attnsci.geometry import Viewing, px_per_deg
from attnsci.scanpaths.formats.recording import assemble

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr

ORIGINS = ("upper left", "center", "lower left")
LOCATE = 'gaze.compute_event_properties(("location", {"position_column": "pixel"}))'


def from_pymovements(
    events: Any,
    experiment: Any = None,
    viewing: Viewing | None = None,
    *,
    image: str | None = None,
    observer: str | None = None,
    columns: Mapping[str, str] | None = None,
    eye: str | None = None,
) -> "xr.Dataset":
    """Return the fixations among pymovements' events as scanpaths.

    Parameters
    ----------
    events : pymovements.Events, pymovements.Gaze or table
        With columns ``name`` (fixations are those that begin with "fixation"), ``onset`` and
        ``offset`` in milliseconds, and ``location``, the mean position in pixels, which
        ``gaze.compute_event_properties(("location", {"position_column": "pixel"}))`` adds.
    experiment : pymovements.Experiment, optional
        Its screen is the geometry, and says from where positions count; a Gaze brings its own.
        As in pymovements, y points down from the centre as from the upper left, and up only
        from the lower left.
    viewing : Viewing, optional
        Geometry in place of the experiment's screen.
    image, observer : str, optional
        Names for all fixations, where no column has them.
    columns : mapping of str to str, optional
        Our name to the table's: ``{"image": "stimulus", "observer": "subject"}``; also
        ``task``, ``sample``, and ``image_onset``, when in milliseconds the image came on.
        Without that one there are no onsets, since only the tracker's clock is known.
    eye : str, optional
        "left" or "right"; needed where the events are of both. pymovements 0.28 locates the
        events of a recording of both eyes by the samples of the left one.

    Returns
    -------
    xarray.Dataset
        The container.

    Raises
    ------
    InvalidInput
        If a column, the geometry, the eye or a name is missing, or a value cannot be.

    Warns
    -----
    UserWarning
        If fixations without a position are left out.

    Examples
    --------
    >>> import pandas as pd
    >>> events = pd.DataFrame({"name": ["fixation", "saccade"], "onset": [0, 180],
    ...                        "offset": [180, 200], "location": [[10.0, 5.0], None]})
    >>> paths = from_pymovements(events, viewing=Viewing(80, 60), image="a", observer="1")
    >>> paths.duration.values.tolist()
    [[0.18]]
    """
    notes: list[str] = []
    experiment = experiment or getattr(events, "experiment", None)
    screen = getattr(experiment, "screen", experiment)
    table = _fixations(_frame(events), eye, notes)
    constants = {"image": image, "observer": observer}
    chosen = {ours: _column(table, theirs) for ours, theirs in (columns or {}).items()}
    for name, value in constants.items():
        if name not in chosen:
            if value is None:
                raise InvalidInput(
                    f"Which {name}? Give {name}=... for all events, or columns={{{name!r}: ...}}, "
                    f"one of {list(table.columns)}."
                )
            chosen[name] = value
    zero = chosen.pop("image_onset", None)
    x, y = _positions(table)
    start, end = (_column(table, name).to_numpy(float) for name in ("onset", "offset"))
    viewing = viewing or _viewing(screen)
    x, y = _from_origin(x, y, screen, viewing, notes)
    found = table[[]].assign(
        **chosen, x=x, y=y, time=start, duration=np.round((end - start) / 1000, 12)
    )
    if zero is not None:
        found["onset"] = np.round((start - zero.to_numpy(float)) / 1000, 12)
    else:
        notes.append("no onsets: nothing says when the images came on")
    keys = [key for key in ("image", "observer", "task", "sample") if key in found]
    return assemble(found.assign(trial=found.groupby(keys, sort=False).ngroup()), viewing, notes)


def _frame(events: Any) -> "pd.DataFrame":
    import pandas as pd

    table = getattr(events, "events", events)
    table = getattr(table, "frame", table)
    if not isinstance(table, pd.DataFrame):
        if not hasattr(table, "to_pandas"):
            raise InvalidInput(
                f"{type(events).__name__} is no table of events; give pymovements' Events or Gaze."
            )
        table = table.to_pandas()
    return table.reset_index(drop=True)


def _column(table: "pd.DataFrame", name: str) -> "pd.Series":
    if name not in table:
        raise InvalidInput(f"The events have no column {name!r}; they have {list(table.columns)}.")
    return table[name]


def _fixations(table: "pd.DataFrame", eye: str | None, notes: list[str]) -> "pd.DataFrame":
    """Return the fixations, of one eye where the events are of two."""
    names = _column(table, "name").astype(str)
    found = table[names.str.startswith("fixation")]
    if found.empty:
        raise InvalidInput(f"None of the events is a fixation; they are {sorted(set(names))}.")
    eyes = sorted(found["eye"].dropna().unique()) if "eye" in found else []
    if eye is None and len(eyes) < 2:
        return found
    check_option("eye", eye, eyes)
    notes.append(f"fixations of the {eye} eye")
    return found[found["eye"] == eye]


def _positions(table: "pd.DataFrame") -> tuple[np.ndarray, np.ndarray]:
    if {"location_x", "location_y"} <= set(table.columns):
        return table["location_x"].to_numpy(float), table["location_y"].to_numpy(float)
    if "location" not in table:
        raise InvalidInput(f"The events have no column 'location'; {LOCATE} adds it.")
    rows = table["location"]
    lengths = rows.map(lambda row: 0 if row is None or np.ndim(row) == 0 else len(row))
    if not lengths.isin([0, 2]).all():
        raise InvalidInput(
            f"'location' has {sorted(set(lengths))} numbers a row; it must be x and y. {LOCATE} "
            "makes such."
        )
    positions = np.full((len(rows), 2), np.nan)
    given = (lengths > 0).to_numpy()
    positions[given] = np.array(rows[given].tolist(), float).reshape(-1, 2)
    return positions[:, 0], positions[:, 1]


def _viewing(screen: Any) -> Viewing:
    if screen is None:
        raise InvalidInput("Nothing says how large the screen was: give experiment= or viewing=.")
    known = {
        name: getattr(screen, name, None)
        for name in ("width_px", "height_px", "width_cm", "distance_cm")
    }
    if known["width_px"] is None or known["height_px"] is None:
        raise InvalidInput(f"The experiment's screen has no size in pixels ({known}).")
    degree = None
    if known["width_cm"] is not None and known["distance_cm"] is not None:
        degree = px_per_deg(known["distance_cm"], known["width_cm"], known["width_px"])
    return Viewing(known["width_px"], known["height_px"], px_per_deg=degree)


def _from_origin(
    x: np.ndarray, y: np.ndarray, screen: Any, viewing: Viewing, notes: list[str]
) -> tuple[np.ndarray, np.ndarray]:
    origin = getattr(screen, "origin", None)
    if origin is None:
        notes.append("positions taken from the upper left: the experiment names no origin")
        return x, y
    check_option("experiment.screen.origin", origin, ORIGINS)
    if origin == "upper left":
        return x, y
    width = getattr(screen, "width_px", None) or viewing.width_px
    height = getattr(screen, "height_px", None) or viewing.height_px
    notes.append(f"positions moved from origin {origin!r}")
    return (x + width / 2, y + height / 2) if origin == "center" else (x, height - y)
