"""Pictures as stimuli: files, folders of them and PIL images, each read when its turn comes."""

import contextlib
import os
import re
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeGuard

import numpy as np

from attnsci.errors import AttnsciError, DatasetCorrupt, DatasetNotFound, InvalidInput

if TYPE_CHECKING:
    from PIL import Image

SUFFIXES = frozenset({".bmp", ".gif", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp"})
"""Endings, in any case, of the files that are taken from a folder."""

_GREY = ("1", "L", "LA", "La", "I")
_ORIENTATION = 0x0112  # the EXIF tag; from 5 on it swaps width and height
_OPENED_BY = {
    ".npy": "numpy.load({})",
    ".npz": "numpy.load({})['NAME']",
    ".pt": "torch.load({})",
    ".pth": "torch.load({})",
    ".nc": "xarray.open_dataset({})",
    ".csv": "pandas.read_csv({})",
    ".h5": "h5py.File({})['NAME']",
    ".hdf5": "h5py.File({})['NAME']",
}


def is_picture(value: Any) -> "TypeGuard[Image.Image]":
    """Tell whether `value` is a PIL image, without importing PIL for it."""
    return any(kind.__module__ == "PIL.Image" for kind in type(value).__mro__)


def is_path(value: Any) -> bool:
    """Tell whether `value` is a path."""
    return isinstance(value, str | os.PathLike)


def files_of(place: str | os.PathLike[str]) -> tuple[list[Path], dict[str, Any]]:
    """Return the pictures at `place` and what their places say of them.

    Parameters
    ----------
    place : path-like
        A file; a folder of pictures; or a folder of such folders, one a category.

    Returns
    -------
    files : list of pathlib.Path
        In natural order: ``dog2.png`` before ``dog10.png``. Hidden files are left out.
    coords : dict
        ``file``, the path below the folder; of a folder of folders also ``category``, the name
        of the sub-folder, and ``label``, its number in order of names as torchvision's
        ``ImageFolder`` counts.

    Raises
    ------
    DatasetNotFound
        If nothing is there, or no picture.
    InvalidInput
        If pictures lie both in the folder and in sub-folders of it.
    """
    path = Path(place).expanduser()
    try:
        return _files_of(path)
    except OSError as error:
        if isinstance(error, AttnsciError):
            raise
        raise InvalidInput(f"{path} cannot be read: {error.strerror}.") from error


def _files_of(path: Path) -> tuple[list[Path], dict[str, Any]]:
    if path.is_file():
        return [path], {"file": [path.name]}
    if not path.is_dir():
        hint = ""
        if any(mark in str(path) for mark in "*?["):
            hint = f" For a pattern give a list: sorted(glob.glob({str(path)!r}))."
        raise DatasetNotFound(f"There is no picture or folder at {path}.{hint}")
    files = _pictures_in(path.iterdir())
    folders = sorted(
        entry for entry in path.iterdir() if entry.is_dir() and not entry.name.startswith(".")
    )
    inside = {folder.name: _pictures_in(folder.rglob("*")) for folder in folders}
    inside = {name: entries for name, entries in inside.items() if entries}
    if files and inside:
        raise InvalidInput(
            f"{path} holds pictures and folders of pictures ({', '.join(list(inside)[:3])}). "
            "Give a folder of one kind, or a list of paths."
        )
    coords: dict[str, Any] = {}
    if inside:
        files = [file for entries in inside.values() for file in entries]
        counts = [len(entries) for entries in inside.values()]
        coords = {
            "label": np.repeat(np.arange(len(inside)), counts),
            "category": np.repeat(np.array(list(inside), object), counts),
        }
    if not files:
        raise DatasetNotFound(f"No file in {path} ends in {', '.join(sorted(SUFFIXES))}.")
    return files, {"file": [file.relative_to(path).as_posix() for file in files], **coords}


def _pictures_in(entries: Any) -> list[Path]:
    files = [
        entry
        for entry in entries
        if entry.suffix.lower() in SUFFIXES and not entry.name.startswith(".") and entry.is_file()
    ]
    return sorted(files, key=_natural)


def _natural(path: Path) -> tuple[Any, ...]:
    parts = re.split(r"([0-9]+)", path.as_posix())
    return (*((part, 0) if i % 2 == 0 else ("", int(part)) for i, part in enumerate(parts)), path)


def colours(pictures: Sequence[Any]) -> bool:
    """Return whether any picture is in colour; of files only the first bytes are read.

    Raises
    ------
    InvalidInput
        If two have different sizes.
    DatasetNotFound, DatasetCorrupt
        If one is missing, or no picture.
    """
    in_colour, first = False, None
    for index, picture in enumerate(pictures):
        with _opened(picture, index) as opened:
            size = _upright_size(opened)
            in_colour |= not _is_grey(opened)
        name = _name(picture, index)
        first = first or (size, name)
        if size != first[0]:
            raise InvalidInput(
                f"Stimuli must have one size; {first[1]} is {first[0][0]} × {first[0][1]} and "
                f"{name} {size[0]} × {size[1]} (width × height). Resize them, or show them by a "
                "torchvision ImageFolder with a transform."
            )
    return in_colour


def pixels(pictures: Sequence[Any], in_colour: bool | None = None, start: int = 0) -> np.ndarray:
    """Return pictures of one size as uint8 (N, 3, H, W), or (N, 1, H, W) where they are grey.

    Turned upright as their EXIF records say, transparency laid on white, 16-bit grey scaled to
    8 bits; of a file with several pictures the first is taken.

    Parameters
    ----------
    pictures : sequence of path-like or PIL.Image.Image
        What to read.
    in_colour : bool, optional
        Repeat a grey one three times (True). Default: as `colours` says.
    start : int
        Number of the first one, for messages.

    Raises
    ------
    DatasetNotFound, DatasetCorrupt
        If a file is missing, or damaged.
    InvalidInput
        If a picture is too large for Pillow's safeguard, or holds floating-point numbers.
    """
    in_colour = colours(pictures) if in_colour is None else in_colour
    return np.stack([_pixels(p, in_colour, start + i) for i, p in enumerate(pictures)])


def _pixels(picture: Any, in_colour: bool, index: int) -> np.ndarray:
    from PIL import ImageOps

    with _opened(picture, index) as opened:
        values = _eight_bits(ImageOps.exif_transpose(opened), _name(picture, index))
    if values.ndim == 3:
        return np.ascontiguousarray(values.transpose(2, 0, 1))
    return np.repeat(values[None], 3, axis=0) if in_colour else values[None]


@contextlib.contextmanager
def _opened(picture: Any, index: int) -> "Iterator[Image.Image]":
    """Yield the PIL image of a path or of itself; what goes wrong with it names it."""
    from PIL import Image

    name = _name(picture, index)
    try:
        with warnings.catch_warnings():
            # A warning comes at half the size that is refused; a panorama may be that large.
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            if not is_path(picture):
                yield picture
                return
            with Image.open(Path(picture).expanduser()) as opened:
                yield opened
    except InvalidInput:
        raise
    except FileNotFoundError as error:
        raise DatasetNotFound(f"There is no picture at {name}.") from error
    except Image.DecompressionBombError as error:
        raise InvalidInput(
            f"{name} is too large: {error}. Shrink it, or raise PIL.Image.MAX_IMAGE_PIXELS."
        ) from error
    except Exception as error:  # damage can raise anything
        reader = _OPENED_BY.get(Path(name).suffix.lower())
        if reader:
            raise InvalidInput(
                f"{name} is no picture. Open it first: {reader.format(repr(name))}."
            ) from error
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise DatasetCorrupt(
            f"{name} is damaged, or no picture that can be read: {reason}."
        ) from error


def _name(picture: Any, index: int) -> str:
    return str(picture) if is_path(picture) else f"picture {index}"


def _is_grey(picture: "Image.Image") -> bool:
    return picture.mode in _GREY or picture.mode.startswith("I;16")


def _upright_size(picture: "Image.Image") -> tuple[int, int]:
    # A PNG without the record would be decoded whole in search of it.
    if picture.format == "PNG" and "exif" not in picture.info:
        return picture.size
    turned = picture.getexif().get(_ORIENTATION, 1) >= 5
    return picture.size[::-1] if turned else picture.size


def _eight_bits(picture: "Image.Image", name: str) -> np.ndarray:
    """Return uint8 (H, W) or (H, W, 3)."""
    from PIL import Image

    if picture.mode == "F":
        raise InvalidInput(
            f"{name} holds floating-point numbers, whose black and white nobody knows. Give an "
            "array with values from 0 to 1."
        )
    if picture.mode == "I" or picture.mode.startswith("I;16"):
        values = np.asarray(picture).astype(np.int64)
        if values.min() < 0 or values.max() > 65535:
            raise InvalidInput(
                f"{name} holds values from {values.min()} to {values.max()}; 16 bits reach from 0 "
                "to 65535. Give an array with values from 0 to 1."
            )
        return ((values + 128) // 257).astype(np.uint8)
    kept = "L" if _is_grey(picture) else "RGB"
    if picture.has_transparency_data:
        layer = picture.convert("RGBA")
        picture = Image.alpha_composite(Image.new("RGBA", layer.size, "white"), layer)
    return np.asarray(picture.convert(kept))
