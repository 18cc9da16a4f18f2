"""What MultiMatch implementations take: start_x, start_y, duration, as arrays or text files."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from attnsci.contents import text
from attnsci.errors import DatasetCorrupt, InvalidInput
from attnsci.gaze import from_arrays
from attnsci.geometry import Viewing
from attnsci.numerals import cells, numbers
from attnsci.scanpaths.formats.base import Format, head_text, need_viewing, register, warn_left_out

if TYPE_CHECKING:
    import xarray as xr

FIELDS = ("start_x", "start_y", "duration")
HEADER = "\t".join(FIELDS)
DTYPE = np.dtype([(name, "f8") for name in FIELDS])


def to_recarrays(scanpaths: "xr.Dataset") -> dict[tuple[str, str], np.recarray]:
    """Return each scanpath as a record array of start_x, start_y (px) and duration (s).

    Returns
    -------
    dict of (image, observer) to numpy.recarray
        Durations are NaN where the set has none.

    Examples
    --------
    >>> from attnsci.gaze import from_dict
    >>> paths = from_dict({"a": {"s1": [[10, 5, 0.2]]}}, Viewing(80, 60))
    >>> to_recarrays(paths)["a", "s1"].duration.tolist()
    [0.2]
    """
    _check_distinct(scanpaths)
    table = np.stack([scanpaths[name].to_numpy() for name in ("x", "y", "duration")], axis=2)
    keys = zip(
        scanpaths["image"].to_numpy().tolist(), scanpaths["observer"].to_numpy().tolist(),
        strict=True,
    )  # fmt: skip
    lengths = scanpaths["n_fixations"].to_numpy()
    return {
        key: np.rec.fromarrays(table[row, : lengths[row]].T, dtype=DTYPE)
        for row, key in enumerate(keys)
    }


def from_recarrays(paths: Mapping[tuple[Any, Any], np.ndarray], viewing: Viewing) -> "xr.Dataset":
    """Return scanpaths from ``{(image, observer): record array}``.

    Raises
    ------
    InvalidInput
        If an array lacks a field, or a value cannot be.
    """
    if not paths:
        raise InvalidInput("There are no scanpaths in the mapping.")
    for (image, observer), array in paths.items():
        lacking = [name for name in FIELDS if name not in (array.dtype.names or ())]
        if lacking:
            raise InvalidInput(
                f"The scanpath of observer {observer!r} on image {image!r} lacks the field(s) "
                f"{', '.join(lacking)}."
            )
    columns = [[np.atleast_1d(array[name]) for array in paths.values()] for name in FIELDS]
    return from_arrays(
        *columns,
        image=[str(image) for image, _ in paths],
        observer=[str(observer) for _, observer in paths],
        viewing=viewing,
        n_fixations=[len(column) for column in columns[0]],
    )


def recognises(path: Path) -> bool:
    """Return whether the file, or the first in the folder, has MultiMatch's header."""
    if path.is_dir():
        first = next(iter(_files(path)), None)
        return first is not None and recognises(first)
    names = head_text(path, 200).split("\n")[0].split()
    return names == list(FIELDS)


def read(
    path: Path,
    viewing: Viewing | None = None,
    *,
    image: str | None = None,
    observer: str | None = None,
    pattern: str = r"(?P<image>.+)_(?P<observer>[^_]+)",
) -> "xr.Dataset":
    """Return the scanpaths of one text file, or of a folder of them.

    Parameters
    ----------
    path : pathlib.Path
        Tab-separated, with the header start_x, start_y, duration (s); or a folder of files
        ``IMAGE/OBSERVER.tsv``, or of files whose names `pattern` takes apart.
    viewing : Viewing
        Geometry.
    image, observer : str, optional
        Names for a single file.
    pattern : str
        Regular expression with groups ``image`` and ``observer``, for names without suffix.

    Raises
    ------
    InvalidInput
        If the geometry is missing, or a name does not say image and observer.
    DatasetCorrupt
        If a file has other columns, or cells that are no numbers.
    """
    viewing = need_viewing(viewing, "A MultiMatch file")
    if path.is_file():
        given = None if image is None and observer is None else (image, observer)
        names = given or _taken_apart(path, pattern)
        if None in names:
            raise InvalidInput("Give both image= and observer=, or neither.")
        return from_recarrays({names: _rows(path)}, viewing)
    if image is not None or observer is not None:
        raise InvalidInput(f"image and observer name a single file; {path} is a folder.")
    files = _files(path)
    if not files:
        raise InvalidInput(f"There is no .tsv file in {path}.")
    named = {}
    for file in files:
        tree = file.parent != path
        key = (file.parent.name, file.stem) if tree else _taken_apart(file, pattern)
        if key in named:
            raise InvalidInput(f"Two files of {path} are of image {key[0]!r}, observer {key[1]!r}.")
        named[key] = _rows(file)
    return from_recarrays(named, viewing)


def write(scanpaths: "xr.Dataset", path: Path) -> None:
    """Write a folder of files ``IMAGE/OBSERVER.tsv``."""
    warn_left_out(scanpaths, "A MultiMatch file", ("duration",))
    for (image, observer), array in to_recarrays(scanpaths).items():
        for name in (image, observer):
            if not name or name.startswith(".") or re.search(r"[/\\\0]", name):
                raise InvalidInput(f"{name!r} cannot be the name of a file or folder; rename it.")
        file = path / image / f"{observer}.tsv"
        file.parent.mkdir(parents=True, exist_ok=True)
        lines = [HEADER, *("\t".join(map(repr, row)) for row in array.tolist())]
        file.write_text("".join(f"{line}\n" for line in lines), "utf-8")


def _files(folder: Path) -> list[Path]:
    found = [*folder.glob("*.tsv"), *folder.glob("*/*.tsv")]
    return sorted(file for file in found if not file.name.startswith("."))


def _taken_apart(path: Path, pattern: str) -> tuple[str, str]:
    found = re.fullmatch(pattern, path.stem)
    if not found:
        raise InvalidInput(
            f"The name {path.name!r} does not say image and observer as {pattern!r} has them: "
            "give image= and observer= for one file, or another pattern=."
        )
    return found["image"], found["observer"]


def _rows(file: Path) -> np.ndarray:
    header, *lines = text(file).split("\n")
    if header.split() != list(FIELDS):
        raise DatasetCorrupt(f"{file} begins with {header!r:.60}, not with {HEADER!r}.")
    rows, places = cells(lines, 3, file, HEADER, first=2)
    # Written where a set has no durations.
    values = numbers([None if cell == "nan" else cell for cell in rows], places)
    return np.rec.fromarrays(values.reshape(-1, 3).T, dtype=DTYPE)


def _check_distinct(scanpaths: "xr.Dataset") -> None:
    import pandas as pd

    keys = pd.DataFrame({key: scanpaths[key].to_numpy() for key in ("image", "observer")})
    doubled = keys.duplicated().to_numpy()
    if doubled.any():
        image, observer = keys.iloc[int(np.argmax(doubled))]
        raise InvalidInput(
            f"Several scanpaths are of observer {observer!r} on image {image!r}; select one task "
            "or sample first."
        )


register(
    Format(
        name="multimatch",
        summary="MultiMatch text files with the header start_x, start_y, duration",
        suffixes=(),
        recognises=recognises,
        read=read,
        write=write,
    )
)
