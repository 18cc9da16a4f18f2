"""What a gaze format is, the registry of them, and what their readers and writers share."""

import dataclasses
import gzip
import warnings
import zlib
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from attnsci.checks import check_known
from attnsci.contents import decoded_head
from attnsci.errors import InvalidInput
from attnsci.geometry import Viewing

if TYPE_CHECKING:
    import xarray as xr


@dataclasses.dataclass(frozen=True)
class Format:
    """One way in which laboratories keep fixations.

    Attributes
    ----------
    name, summary : str
        The summary is one line.
    suffixes : tuple of str
        How the names of its files end, the usual one first; empty where it is a folder.
    recognises : callable
        ``recognises(path) -> bool``: a cheap look at the beginning of the file, or at the names
        in the folder. It may raise whatever a damaged file makes it raise.
    read : callable
        ``read(path, viewing=None, **options) -> xarray.Dataset``. What it raises besides our
        own errors reaches the user as `DatasetCorrupt`.
    write : callable, optional
        ``write(scanpaths, path)``, to a new path in a folder that exists.
    generic : bool
        Taken only where no other format recognises the file.
    """

    name: str
    summary: str
    suffixes: tuple[str, ...]
    recognises: Callable[[Path], bool]
    read: "Callable[..., xr.Dataset]"
    write: "Callable[[xr.Dataset, Path], None] | None" = None
    generic: bool = False


_registered: dict[str, Format] = {}


def register(format: Format) -> Format:
    """Enter `format` under its name and return it."""
    _registered[format.name] = format
    return format


def registered() -> Mapping[str, Format]:
    """Return every format by name."""
    import attnsci.scanpaths.formats  # noqa: F401  (its modules register themselves)

    return _registered


def get_format(name: str) -> Format:
    """Return the format called `name`.

    Raises
    ------
    UnknownName
        If there is none; the message lists the nearest names.
    """
    return registered()[check_known("gaze format", name, registered())]


# --- what readers and writers share --------------------------------------------------------------


def head(path: Path, size: int = 4096) -> bytes:
    """Return the first bytes of a file, those inside where it is gzipped; none of what is none."""
    if not path.is_file():
        return b""
    with path.open("rb") as file:
        start = file.read(size)
    if start[:2] != b"\x1f\x8b":
        return start
    try:
        with gzip.open(path) as file:
            return file.read(size)
    except (OSError, EOFError, zlib.error):
        return b""


def head_text(path: Path, size: int = 4096) -> str:
    """Return the first words of a file, whatever ends its lines; what is no text is left out."""
    return decoded_head(head(path, size))


def need_viewing(viewing: Viewing | None, what: str) -> Viewing:
    """Return `viewing`; raise if the caller gave none and the file cannot tell.

    Parameters
    ----------
    viewing : Viewing or None
        As the caller gave it.
    what : str
        The kind of file, for the message: "A table of fixations".
    """
    if viewing is None:
        raise InvalidInput(
            f"{what} does not say how large the images were. Give viewing=Viewing(width_px=..., "
            "height_px=...), with px_per_deg=... if you know it."
        )
    return viewing


def warn_left_out(scanpaths: "xr.Dataset", format: str, keeps: Collection[str]) -> None:
    """Warn of what of the set the format has no place for.

    Parameters
    ----------
    scanpaths : xarray.Dataset
        The container.
    format : str
        Name for the message.
    keeps : collection of str
        Variables and coordinates that are written; x, y, image and observer always are.
    """
    kept = {"x", "y", "image", "observer", "n_fixations", *keeps}
    lost = sorted(str(name) for name in set(scanpaths.variables) - kept)
    lost = [name for name in lost if scanpaths[name].notnull().any()]
    if lost:
        warnings.warn(
            f"{format} has no place for {', '.join(lost)}: not written.", UserWarning, stacklevel=5
        )


def times(scanpaths: "xr.Dataset", format: str) -> tuple[np.ndarray, np.ndarray, bool]:
    """Return when each fixation begins and how long it lasts, for formats with times.

    Returns
    -------
    onset, duration : ndarray (N, F)
        Seconds. Without onsets in the set, durations are cumulated from 0.
    cumulated : bool
        Whether they were.

    Raises
    ------
    InvalidInput
        If a scanpath has no durations.
    """
    duration = scanpaths["duration"].to_numpy()
    inside = np.arange(duration.shape[1]) < scanpaths["n_fixations"].to_numpy()[:, None]
    lacking = (inside & np.isnan(duration)).any(1)
    if lacking.any():
        row = int(np.argmax(lacking))
        image, observer = (str(scanpaths[key].to_numpy()[row]) for key in ("image", "observer"))
        raise InvalidInput(
            f"{format} needs durations, which the scanpath of observer {observer!r} on image "
            f"{image!r} lacks; {int(lacking.sum())} such in all."
        )
    if "onset" in scanpaths:
        return scanpaths["onset"].to_numpy(), duration, False
    return np.cumsum(duration, axis=1) - duration, duration, True
