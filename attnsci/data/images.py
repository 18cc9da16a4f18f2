"""Photographs: eight that come with the installation, and a user's own files, as arrays.

Nothing here needs torch. What a network is shown comes out of `resize_and_crop`, whose `Crop`
leads positions back to the photograph's own pixels.
"""

import dataclasses
import functools
import hashlib
import importlib.util
import os
import warnings
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageOps

from attnsci.checks import check_known, check_option, check_positive
from attnsci.errors import (
    ChecksumMismatch,
    DatasetCorrupt,
    DatasetNotFound,
    InvalidInput,
    MissingDependency,
)

SUFFIXES = frozenset({".bmp", ".gif", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp"})
"""Endings, in any case, of the files that are taken from a folder."""
KINDS = ("photo", "texture")

# A network for S pixels is shown the middle of an image whose shorter side is S / 0.875.
_CROP_SHARE = 0.875


class _Bundled(NamedTuple):
    file: str
    kind: str
    licence: str
    source: str
    sha256: str


# fmt: off
_BUNDLED = {
    "astronaut": _Bundled(
        "astronaut.png", "photo", "public domain", "NASA",
        "88431cd9653ccd539741b555fb0a46b61558b301d4110412b5bc28b5e3ea6cb5"),
    "camera": _Bundled(
        "camera.png", "photo", "CC0-1.0", "Lav Varshney",
        "b0793d2adda0fa6ae899c03989482bff9a42d3d5690fc7e3648f2795d730c23a"),
    "chelsea": _Bundled(
        "chelsea.png", "photo", "CC0-1.0", "Stéfan van der Walt",
        "596aa1e7cb875eb79f437e310381d26b338a81c2da23439704a73c4651e8c4bb"),
    "coffee": _Bundled(
        "coffee.png", "photo", "CC0-1.0", "Rachel Michetti",
        "cc02f8ca188b167c775a7101b5d767d1e71792cf762c33d6fa15a4599b5a8de7"),
    "rocket": _Bundled(
        "rocket.jpg", "photo", "public domain", "SpaceX",
        "c2dd0de7c538df8d111e479619b129464d0269d0ae5fd18ca91d33a7fdfea95c"),
    "brick": _Bundled(
        "brick.png", "texture", "CC0-1.0", "CC0Textures, Bricks25",
        "7966caf324f6ba843118d98f7a07746d22f6a343430add0233eca5f6eaaa8fcf"),
    "grass": _Bundled(
        "grass.png", "texture", "CC0-1.0", "linolafett, DeviantArt, Grass-01",
        "b6b6022426b38936c43a4ac09635cd78af074e90f42ffa8227ac8b7452d39f89"),
    "gravel": _Bundled(
        "gravel.png", "texture", "CC0-1.0", "CC0Textures, Gravel04",
        "c48615b451bf1e606fbd72c0aa9f8cc0f068ab7111ef7d93bb9b0f2586440c12"),
}
# fmt: on


@dataclasses.dataclass(frozen=True, eq=False)
class Photograph:
    """An image with its name and its rights.

    Attributes
    ----------
    name : str
        ``"coffee"``, or the name of the user's file: the coordinate ``image`` of scanpaths.
    image : ndarray of uint8, shape (H, W, 3), or (H, W) where it is grey
        Upright, without transparency.
    licence, source : str
        Who may do what with it, and where it is from.
    """

    name: str
    image: npt.NDArray[np.uint8] = dataclasses.field(repr=False)
    licence: str
    source: str

    @property
    def rgb(self) -> npt.NDArray[np.uint8]:
        """The image as (H, W, 3); a grey one three times over."""
        return _rgb(self.image)


def load_images(names: str | Sequence[str] | None = None, kind: str = "photo") -> list[Photograph]:
    """Return photographs or textures that come with scikit-image; nothing is downloaded.

    Parameters
    ----------
    names : str or sequence of str, optional
        Any of the photographs ``astronaut``, ``camera`` (grey), ``chelsea``, ``coffee`` and
        ``rocket`` and the grey textures ``brick``, ``grass`` and ``gravel``.
    kind : {"photo", "texture"}
        Which to return where no names are given.

    Returns
    -------
    list of Photograph
        uint8, as large as they come: (H, W, 3), or (H, W) where grey.

    Raises
    ------
    UnknownName
        If there is no such image.
    ChecksumMismatch, DatasetNotFound
        If a file is changed or missing.

    References
    ----------
    van der Walt et al. 2014, PeerJ 2:e453.

    Examples
    --------
    >>> [(photo.name, photo.image.shape) for photo in load_images(["coffee", "camera"])]
    [('coffee', (400, 600, 3)), ('camera', (512, 512))]
    """
    check_option("kind", kind, KINDS)
    if names is None:
        names = [name for name, entry in _BUNDLED.items() if entry.kind == kind]
    chosen = [names] if isinstance(names, str) else list(names)
    return [_bundled(check_known("image", name, _BUNDLED)) for name in chosen]


def _bundled(name: str) -> Photograph:
    entry = _BUNDLED[name]
    path = _bundled_folder() / entry.file
    if not path.is_file():
        raise DatasetNotFound(f"{path} is missing. It comes with scikit-image: install that again.")
    found = hashlib.sha256(path.read_bytes()).hexdigest()
    if found != entry.sha256:
        raise ChecksumMismatch(
            f"{path} is not the image that is described here: its SHA-256 is {found} and should "
            f"be {entry.sha256}. Install scikit-image again."
        )
    return dataclasses.replace(
        read_image(path), name=name, licence=entry.licence, source=entry.source
    )


@functools.cache
def _bundled_folder() -> Path:
    spec = importlib.util.find_spec("skimage")  # its import costs more than the pictures
    if spec is None or not spec.submodule_search_locations:
        raise MissingDependency("Photographs come with scikit-image: pip install scikit-image")
    return Path(next(iter(spec.submodule_search_locations))) / "data"


Paths = str | os.PathLike[str] | Iterable[str | os.PathLike[str]]


def image_paths(paths: Paths) -> list[Path]:
    """Return the image files that `paths` mean, without opening any.

    Parameters
    ----------
    paths : path-like or iterable of path-like
        Files, taken as they are, and folders, of which all files that end in one of `SUFFIXES`
        are taken, sorted by name; hidden files and subfolders are not.

    Returns
    -------
    list of pathlib.Path
        In the order given.

    Raises
    ------
    DatasetNotFound
        If there is no such file, or no image in a folder.
    InvalidInput
        If two files have the same name, by which scanpaths could not tell them apart.
    """
    chosen = [paths] if isinstance(paths, str | os.PathLike) else list(paths)
    found = [file for path in chosen for file in _files(Path(path).expanduser())]
    if not found:
        raise InvalidInput("paths is empty; give at least one image or folder.")
    names = Counter(file.name for file in found)
    name, count = names.most_common(1)[0]
    if count > 1:
        twice = [str(file) for file in found if file.name == name][:2]
        raise InvalidInput(
            f"Images are told apart by their names, and {count} are called {name!r}: "
            f"{' and '.join(twice)}. Rename them, or read them apart."
        )
    return found


def _files(path: Path) -> list[Path]:
    if not path.is_dir():
        if not path.exists():
            raise DatasetNotFound(f"There is no image or folder at {path}.")
        return [path]
    found = sorted(
        file
        for file in path.iterdir()
        if file.suffix.lower() in SUFFIXES and not file.name.startswith(".") and file.is_file()
    )
    if not found:
        raise DatasetNotFound(
            f"No file in {path} ends in {', '.join(sorted(SUFFIXES))}; give a folder of images."
        )
    return found


def read_images(paths: Paths) -> Iterator[Photograph]:
    """Read a user's images one by one, each only when it is asked for.

    Parameters
    ----------
    paths : path-like or iterable of path-like
        Files and folders; see `image_paths`.

    Returns
    -------
    iterator of Photograph
        See `read_image`. A folder of thousands costs the memory of one.

    Raises
    ------
    DatasetNotFound, InvalidInput
        At once, if a file is missing or two have the same name.
    DatasetCorrupt
        When a file is reached that is no image, or a damaged one.

    Examples
    --------
    >>> import tempfile
    >>> folder = Path(tempfile.mkdtemp())
    >>> Image.new("L", (6, 4), 128).save(folder / "grey.png")
    >>> [(photo.name, photo.image.shape) for photo in read_images(folder)]
    [('grey.png', (4, 6))]
    """
    return map(read_image, image_paths(paths))


def read_image(path: str | os.PathLike[str]) -> Photograph:
    """Read one image file of any size and colour model.

    Turned upright as its EXIF record says, 16-bit grey scaled to 8, transparency laid on white;
    of a file with several pictures the first is taken.

    Parameters
    ----------
    path : path-like
        JPEG, PNG, TIFF or whatever else Pillow reads.

    Returns
    -------
    Photograph
        uint8, (H, W, 3), or (H, W) where the file is grey.

    Raises
    ------
    DatasetNotFound
        If there is no such file.
    DatasetCorrupt
        If it is no image, or damaged.
    InvalidInput
        If it is too large for Pillow's safeguard, or holds floating-point numbers.
    """
    path = Path(path).expanduser()
    try:
        with warnings.catch_warnings():
            # A warning comes at half the size that is refused; a panorama may be that large.
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            with Image.open(path) as file:
                if file.format == "PNG":  # Pillow stops at the last row, before the checksum
                    file.verify()
            with Image.open(path) as file:
                picture = ImageOps.exif_transpose(file)
                picture.load()
    except FileNotFoundError as error:
        raise DatasetNotFound(f"There is no image at {path}.") from error
    except Image.DecompressionBombError as error:
        raise InvalidInput(
            f"{path} is too large: {error}. Shrink it, or raise PIL.Image.MAX_IMAGE_PIXELS."
        ) from error
    except Exception as error:  # damage can raise anything
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise DatasetCorrupt(
            f"{path} is damaged or no image that can be read: {reason}."
        ) from error
    image = _as_uint8(picture, path)
    return Photograph(path.name, image, "not stated", str(path))


def _as_uint8(picture: Image.Image, path: Path) -> npt.NDArray[np.uint8]:
    if picture.mode == "F":
        raise InvalidInput(
            f"{path} holds floating-point numbers, whose black and white nobody knows. Save it "
            "with 8 or 16 bits."
        )
    if picture.mode == "I" or picture.mode.startswith("I;16"):
        values = np.asarray(picture).astype(np.int64)
        if values.min() < 0 or values.max() > 65535:
            raise InvalidInput(
                f"{path} holds values from {values.min()} to {values.max()}; 16 bits reach from "
                "0 to 65535. Save it with 8 or 16 bits."
            )
        return ((values + 128) // 257).astype(np.uint8)
    if picture.has_transparency_data:
        colours = picture.convert("RGBA")
        page = Image.new("RGBA", colours.size, "white")
        picture = Image.alpha_composite(page, colours).convert(
            "L" if picture.mode in ("L", "LA", "La", "1") else "RGB"
        )
    return np.asarray(picture.convert("L" if picture.mode in ("L", "1") else "RGB")).copy()


def _rgb(image: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    return np.repeat(image[..., None], 3, axis=2) if image.ndim == 2 else image


@dataclasses.dataclass(frozen=True)
class Crop:
    """The way between a photograph's pixels and those of what was cut out of it after resizing.

    Positions are continuous pixels: pixel i covers [i, i + 1) and its centre is i + 0.5.

    Examples
    --------
    >>> crop = Crop(600, 400, 384, 256, left=80, top=16, size=224)
    >>> [float(v) for v in crop.to_original(112, 112)]
    [300.0, 200.0]
    """

    width: int
    """Of the photograph."""
    height: int
    """Of the photograph."""
    resized_width: int
    """Of the photograph after resizing."""
    resized_height: int
    """Of the photograph after resizing."""
    left: int
    """Columns of the resized photograph that lie left of the crop."""
    top: int
    """Rows of the resized photograph that lie above the crop."""
    size: int
    """Side of the crop."""

    @property
    def scale(self) -> tuple[float, float]:
        """Crop pixels per pixel of the photograph, (x, y)."""
        return self.resized_width / self.width, self.resized_height / self.height

    def to_original(self, x: Any, y: Any) -> tuple[Any, Any]:
        """Return where positions in the crop lie in the photograph."""
        across, down = self.scale
        return (np.asarray(x) + self.left) / across, (np.asarray(y) + self.top) / down

    def from_original(self, x: Any, y: Any) -> tuple[Any, Any]:
        """Return where positions in the photograph lie in the crop; the inverse of `to_original`.

        What the crop leaves out lies below 0 or above `size`.
        """
        across, down = self.scale
        return np.asarray(x) * across - self.left, np.asarray(y) * down - self.top


def resize_and_crop(
    image: npt.ArrayLike, size: int = 224, resize: int | None = None
) -> tuple[npt.NDArray[np.float32], Crop]:
    """Return the middle of an image as ImageNet networks are shown it.

    Bicubic resizing (Pillow) to a shorter side of `resize`, then the central square.

    Parameters
    ----------
    image : array-like of uint8, shape (H, W, 3) or (H, W)
        Grey is repeated in all three channels.
    size : int
        Side of the square.
    resize : int, optional
        Shorter side after resizing; ``round(size / 0.875)`` by default: 256 for 224.

    Returns
    -------
    pixels : ndarray of float32, shape (3, size, size)
        In [0, 1]; ``torch.from_numpy`` makes a tensor of it.
    crop : Crop
        The way back to the image's own pixels.

    Raises
    ------
    InvalidInput
        If `image` is no uint8 image, or `size` is above `resize`.

    Examples
    --------
    >>> pixels, crop = resize_and_crop(load_images("coffee")[0].image)
    >>> pixels.shape, crop.left, crop.top
    ((3, 224, 224), 80, 16)
    """
    array = np.asarray(image)
    grey, colour = array.ndim == 2, array.ndim == 3 and array.shape[-1] == 3
    if array.dtype != np.uint8 or not (grey or colour) or array.size == 0:
        raise InvalidInput(
            "image must be uint8 of shape (H, W, 3) or (H, W); "
            f"got {array.dtype} of shape {array.shape}."
        )
    check_positive("size", size, integer=True)
    shorter = round(size / _CROP_SHARE) if resize is None else resize
    check_positive("resize", shorter, integer=True)
    if size > shorter:
        raise InvalidInput(f"A square of {size} cannot be cut out of a shorter side of {shorter}.")
    height, width = array.shape[:2]
    share = shorter / min(width, height)
    across, down = (
        shorter if side == min(width, height) else round(side * share) for side in (width, height)
    )
    resized = Image.fromarray(_rgb(array)).resize((across, down), Image.Resampling.BICUBIC)
    left, top = (across - size) // 2, (down - size) // 2
    square = np.asarray(resized.crop((left, top, left + size, top + size)), np.float32) / 255
    crop = Crop(width, height, across, down, left, top, size)
    return np.ascontiguousarray(square.transpose(2, 0, 1)), crop
