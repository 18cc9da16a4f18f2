"""Reading any gaze file by looking at it, and writing scanpaths in any format that is written."""

import inspect
import os
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

from attnsci.contents import check_readable
from attnsci.errors import AttnsciError, DatasetCorrupt, InvalidInput
from attnsci.files import atomic_path
from attnsci.gaze import validate
from attnsci.geometry import Viewing
from attnsci.scanpaths.edit import with_step
from attnsci.scanpaths.formats.base import Format, get_format, head_text, registered
from attnsci.scanpaths.report import suspicions

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr

StrPath = str | os.PathLike[str]


def read_scanpaths(
    path: StrPath, viewing: Viewing | None = None, format: str | None = None, **options: Any
) -> "xr.Dataset":
    """Return the scanpaths of a file or folder in any of the formats that `formats` lists.

    Parameters
    ----------
    path : path-like
        File, or folder for the formats that are trees.
    viewing : Viewing, optional
        Geometry; needed for the formats that do not hold it.
    format : str, optional
        Name of the format; found out by looking at the file where it is not given.
    **options
        Of the format's reader, as ``formats()`` lists them.

    Returns
    -------
    xarray.Dataset
        The container of `attnsci.gaze`, coordinates as the source has them;
        ``attrs["format"]`` says which format was taken.

    Raises
    ------
    DatasetNotFound
        If there is nothing at `path`.
    InvalidInput
        If it is a pipe or a device, the file looks like no format or like several, an option is
        unknown, the geometry is missing, or a value cannot be.
    DatasetCorrupt
        If the file is not what it looks like.

    Warns
    -----
    UserWarning
        If durations are so long or short that their unit is in doubt, or positions lie in 0 to
        1, or far off the image.

    Examples
    --------
    >>> import tempfile
    >>> from attnsci.gaze import from_dict
    >>> place = Path(tempfile.mkdtemp()) / "mine.csv"
    >>> write_scanpaths(from_dict({"a": [[10, 5, 0.2]]}, Viewing(80, 60)), place)
    'table'
    >>> read_scanpaths(place, Viewing(80, 60)).attrs["format"]
    'table'
    """
    path = Path(path).expanduser()
    check_readable(path)
    chosen = get_format(format) if format else recognise(path)
    known = _options(chosen)
    unknown = [name for name in options if name not in known]
    if unknown:
        raise InvalidInput(
            f"The format {chosen.name} has no option {unknown[0]!r}; it has "
            f"{', '.join(known) or 'none'}."
        )
    try:
        found = chosen.read(path, viewing, **options)
    except (AttnsciError, Warning):  # a warning that the user made an error
        raise
    except Exception as error:  # a damaged file makes parsers raise whatever there is
        raise DatasetCorrupt(
            f"{path} cannot be read as {chosen.name} ({chosen.summary}): "
            f"{type(error).__name__}: {error}. Is it whole, and of this format?"
        ) from error
    for doubt in suspicions(validate(found)):
        warnings.warn(f"{path}: {doubt}", UserWarning, stacklevel=2)
    found = with_step(found, f"read {path.name} as {chosen.name} {options or ''}".strip())
    return found.assign_attrs(format=chosen.name)


def write_scanpaths(scanpaths: "xr.Dataset", path: StrPath, format: str | None = None) -> str:
    """Write scanpaths to a file or folder, which is replaced as a whole or not at all.

    Parameters
    ----------
    scanpaths : xarray.Dataset
        The container.
    path : path-like
        Where to; missing parent folders are made.
    format : str, optional
        Name of the format; by default as the end of `path` says.

    Returns
    -------
    str
        Name of the format written.

    Raises
    ------
    InvalidInput
        If no format is written under such a name, or the set lacks what the format needs.
    StorageError
        If the system refuses to write; what stood at `path` is untouched.

    Warns
    -----
    UserWarning
        If the format has no place for a part of the set.
    """
    target = Path(path).expanduser()
    chosen = get_format(format) if format else _for_suffix(target)
    if chosen.write is None:
        able = ", ".join(name for name, each in registered().items() if each.write)
        raise InvalidInput(f"The format {chosen.name} is only read; written are {able}.")
    validate(scanpaths)
    with atomic_path(target) as temporary:
        chosen.write(scanpaths, temporary)
    return chosen.name


def formats() -> "pd.DataFrame":
    """Return the formats: ``name``, ``summary``, ``suffixes``, ``written`` and ``options``.

    Examples
    --------
    >>> table = formats().set_index("name")
    >>> bool(table.loc["table", "written"])
    True
    """
    import pandas as pd

    rows = [
        {
            "name": each.name,
            "summary": each.summary,
            "suffixes": " ".join(each.suffixes),
            "written": each.write is not None,
            "options": ", ".join(_options(each)),
        }
        for each in registered().values()
    ]
    return pd.DataFrame(rows)


def recognise(path: Path) -> Format:
    """Return the format that the file at `path` looks like.

    Raises
    ------
    InvalidInput
        If it looks like none, or like several.
    """
    every = registered().values()
    found = [each for each in every if not each.generic and _looks_like(each, path)]
    found = found or [each for each in every if each.generic and _looks_like(each, path)]
    if len(found) == 1:
        return found[0]
    if "webgazer_data" in head_text(path, 65536):
        raise InvalidInput(
            f"{path} holds raw samples of the gaze (jsPsych's webgazer_data). Fixations must be "
            "detected first: pymovements does it, and from_pymovements(events) takes what it has."
        )
    names = ", ".join(each.name for each in found or every)
    what = "like several formats" if found else "like none of the known formats"
    raise InvalidInput(f"{path} looks {what}: give format= one of {names}.")


def _looks_like(format: Format, path: Path) -> bool:
    try:
        return format.recognises(path)
    except Exception:  # what a format cannot even look at is not its file
        return False


def _for_suffix(path: Path) -> Format:
    able = [each for each in registered().values() if each.write]
    found = [each for each in able if path.name.lower().endswith(each.suffixes)]
    if len(found) == 1:
        return found[0]
    names = ", ".join(f"{each.name} ({' '.join(each.suffixes) or 'folder'})" for each in able)
    raise InvalidInput(
        f"The name {path.name!r} does not say which format to write: give format= one of {names}."
    )


def _options(format: Format) -> list[str]:
    return list(inspect.signature(format.read).parameters)[2:]
