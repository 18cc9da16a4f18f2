"""Photographs and their objects at the size a network is shown, prepared once and kept.

Decoding and shrinking a photograph costs twenty times what reading its small copy does, and far
more where it is large. So every pair is prepared once, in blocks of `BLOCK` that are written
whole or not at all: a run that was killed goes on where it stopped, and two that run at once
write the same.
"""

import dataclasses
import functools
import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import PIL
from PIL import Image

from attnsci.data.coco_index import PairIndex
from attnsci.data.coco_selection import decode
from attnsci.data.images import read_image
from attnsci.errors import DatasetCorrupt, DatasetError, DatasetNotFound, InvalidInput
from attnsci.files import atomic_path

Pixels = npt.NDArray[np.uint8]

BLOCK = 1024
PADDING = 127
"""Grey beside a photograph that is not square; objects stand on black."""
VERSION = 1


def prepare_pair(photograph: Pixels, masks: npt.NDArray[np.bool_], size: int) -> Pixels:
    """Return a photograph, each of its objects alone, and their masks, all square and small.

    Each is centred on a square (the odd pixel after it) and shrunk by Pillow's bilinear filter,
    as torchvision's ``Resize`` does it.

    Parameters
    ----------
    photograph : ndarray of uint8, shape (H, W, 3)
        The pixels of the file.
    masks : ndarray of bool, shape (object, H, W)
        Of each object.
    size : int
        Side of the square, in pixels.

    Returns
    -------
    ndarray of uint8, shape (3 + 3 · object + object, size, size)
        Colours of the photograph, padded with 127; of each object on black; and how much of each
        pixel (of 255) each mask covers.

    Examples
    --------
    >>> wide = np.full((2, 4, 3), 200, np.uint8)
    >>> square = prepare_pair(wide, np.ones((1, 2, 4), bool), 4)
    >>> square[0, :, 0].tolist(), square[3, :, 0].tolist(), square[6, :, 0].tolist()
    ([127, 200, 200, 127], [0, 200, 200, 0], [0, 255, 255, 0])
    """
    alone = [_shrink(photograph * mask[..., None], 0, size) for mask in masks]
    colours = [_shrink(photograph, PADDING, size), *alone]
    coverage = [_shrink(mask * np.uint8(255), 0, size)[None] for mask in masks]
    return np.concatenate([*(image.transpose(2, 0, 1) for image in colours), *coverage])


def _shrink(image: Pixels, padding: int, size: int) -> Pixels:
    height, width = image.shape[:2]
    side = max(height, width)
    top, left = (side - height) // 2, (side - width) // 2
    square = np.full((side, side, *image.shape[2:]), padding, np.uint8)
    square[top : top + height, left : left + width] = image
    return np.asarray(Image.fromarray(square).resize((size, size), Image.Resampling.BILINEAR))


@dataclasses.dataclass(frozen=True)
class PixelStore:
    """Where prepared pairs stand on disk; holds no open file, and goes to workers as it is.

    Attributes
    ----------
    paths : tuple of pathlib.Path
        One NumPy file for each block of `BLOCK` pairs.
    """

    paths: tuple[Path, ...]

    def read(self, rows: npt.NDArray[np.int64]) -> Pixels:
        """Return the planes of the pairs at `rows` of the index; see `prepare_pair`.

        Raises
        ------
        DatasetNotFound
            If they were deleted meanwhile.
        """
        blocks, within = np.divmod(rows, BLOCK)
        first = _open_block(self.paths[0])
        out = np.empty((len(rows), *first.shape[1:]), np.uint8)
        for block in np.unique(blocks):
            here = blocks == block
            out[here] = _open_block(self.paths[block])[within[here]]
        return out


@functools.lru_cache(maxsize=256)
def _open_block(path: Path) -> Pixels:
    try:
        return np.load(path, mmap_mode="r", allow_pickle=False)
    except FileNotFoundError as error:
        raise DatasetNotFound(
            f"{path} is gone. Call load_coco_pairs again; it prepares what is missing."
        ) from error
    except (OSError, EOFError, ValueError) as error:
        raise DatasetCorrupt(f"{path} is damaged: {error}. Delete it; it is made anew.") from error


def prepare_pixels(index: PairIndex, images: Path, size: int) -> tuple[PixelStore, dict[int, str]]:
    """Prepare every pair of `index` from the photographs in the folder `images`, or find it done.

    A block is prepared anew when one of its photographs changed (name, bytes or time), appeared or
    went. A photograph of 640×480 takes some 9 ms, and two objects of 100 pixels 110 kB of disk.

    Returns
    -------
    store : PixelStore
        Rows are those of ``index.pairs``; where a photograph is broken they are black.
    broken : dict of int to str
        Row and reason of each photograph that is missing, damaged, or of another size than the
        annotation file says.
    """
    from tqdm import tqdm

    paths: list[Path] = []
    broken: dict[int, str] = {}
    starts = range(0, len(index.pairs), BLOCK)
    blocks = [(start, _block_path(index, images, size, start)) for start in starts]
    todo = [start for start, path in blocks if not _is_done(index, images, start, path)]
    n_todo = sum(len(index.pairs[start : start + BLOCK]) for start in todo)
    with tqdm(total=n_todo, desc="photographs", disable=None if todo else True) as bar:
        for start, path in blocks:
            if start in todo:
                _write_block(index, images, size, start, path, bar)
            found = json.loads(_report_path(path).read_text("utf-8"))
            broken |= {start + int(place): reason for place, reason in found.items()}
            paths.append(path)
    return PixelStore(tuple(paths)), broken


def _block_path(index: PairIndex, images: Path, size: int, start: int) -> Path:
    """Return the name of a block, in which everything is that its pixels depend on."""
    states: list[Any] = [VERSION, PIL.__version__, size]
    for pair in index.pairs[start : start + BLOCK]:
        try:
            facts = (images / pair["file_name"]).stat()
            states.append([pair["file_name"], facts.st_size, facts.st_mtime_ns])
        except OSError:
            states.append([pair["file_name"]])
    name = hashlib.sha256(json.dumps(states).encode()).hexdigest()[:16]
    return index.folder / f"{size}px-{start:06d}-{name}.npy"


def _report_path(path: Path) -> Path:
    return path.with_suffix(".json")


def _is_done(index: PairIndex, images: Path, start: int, path: Path) -> bool:
    """Return whether a block stands, and what was broken then still is."""
    if not path.exists() or not _report_path(path).exists():
        return False
    # A file that could not be read for want of permission has not changed when it can.
    found = json.loads(_report_path(path).read_text("utf-8"))
    return all(_problem(index.pairs[start + int(place)], images) for place in found)


def _write_block(
    index: PairIndex, images: Path, size: int, start: int, path: Path, bar: Any
) -> None:
    pairs = index.pairs[start : start + BLOCK]
    n_planes = 3 + 4 * index.rule.n_objects
    broken: dict[int, str] = {}
    with atomic_path(path) as temporary:
        block = np.lib.format.open_memmap(
            temporary, "w+", np.uint8, (len(pairs), n_planes, size, size)
        )
        for place, pair in enumerate(pairs):
            try:
                block[place] = prepare_pair(_photograph(pair, images), _masks(pair), size)
            except DatasetError as error:
                broken[place] = str(error)
            bar.update()
        block.flush()
        # Before the pixels, which say by being there that both are whole.
        with atomic_path(_report_path(path)) as report:
            report.write_text(json.dumps(broken), "utf-8")
    _open_block.cache_clear()


def _photograph(pair: dict[str, Any], images: Path) -> Pixels:
    path = images / pair["file_name"]
    try:
        image = read_image(path).rgb
    except InvalidInput as error:
        raise DatasetCorrupt(str(error)) from error
    if image.shape[:2] != (pair["height"], pair["width"]):
        raise DatasetCorrupt(
            f"{path} is {image.shape[1]}×{image.shape[0]} pixels and {pair['width']}×"
            f"{pair['height']} in the annotation file."
        )
    return image


def _problem(pair: dict[str, Any], images: Path) -> str:
    try:
        _photograph(pair, images)
    except DatasetError as error:
        return str(error)
    return ""


def _masks(pair: dict[str, Any]) -> npt.NDArray[np.bool_]:
    size = [pair["height"], pair["width"]]
    return decode(
        [{"size": size, "counts": one["mask"].encode("ascii")} for one in pair["objects"]]
    )
