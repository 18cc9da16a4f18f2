"""Object pairs in memory: what is known of each, and where its pixels stand."""

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from attnsci.checks import check_not_empty, check_shape
from attnsci.data.coco_pixels import PixelStore
from attnsci.data.coco_selection import Rule
from attnsci.data.registry import get_dataset
from attnsci.errors import InvalidInput
from attnsci.provenance import array_hash

Integers = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]


@dataclasses.dataclass(frozen=True)
class PairsReport:
    """What became of every photograph of an annotation file; the numbers add up to `n_images`.

    Attributes
    ----------
    n_images : int
        In the annotation file.
    n_too_few, n_overlapping : int
        With fewer large objects than asked, or with enough that overlap too much.
    empty_masks : mapping of str to list of int
        Photographs left out as an object of theirs has not one pixel, with the annotations' ids.
    n_other_split, n_unlabelled : int
        Pairs of another split, and pairs of which an object has no label under the target.
    broken : mapping of str to str
        Photographs of pairs that are missing or damaged, with the reason.
    n_pairs : int
        That were loaded.
    n_stray : int
        Annotations whose photograph the file does not list; they belong to none.
    """

    n_images: int
    n_too_few: int
    n_overlapping: int
    empty_masks: Mapping[str, list[int]]
    n_other_split: int
    n_unlabelled: int
    broken: Mapping[str, str]
    n_pairs: int
    n_stray: int

    def __str__(self) -> str:
        return (
            f"{self.n_images} photographs: {self.n_pairs} loaded; left out {self.n_too_few} with "
            f"too few large objects, {self.n_overlapping} with overlapping ones, "
            f"{len(self.empty_masks)} with an empty mask, {self.n_other_split} of another split, "
            f"{self.n_unlabelled} without a label, {len(self.broken)} missing or damaged."
        )


@dataclasses.dataclass(frozen=True, eq=False)
class ObjectPairs:
    """Photographs with the objects that the rule took of each, largest first.

    Holds no open file and no torch; `attnsci.data.CocoScenes` makes batches of it.

    Attributes
    ----------
    image_id : ndarray of int64, shape (N,)
    file_name : tuple of str
    licence : ndarray of int64, shape (N,)
        Id of the photograph's licence, −1 where the file names none; see `licences`.
    photo_size : ndarray of int64, shape (N, 2)
        Height and width of the photograph, in pixels.
    annotation_id, category_id : ndarray of int64, shape (N, object)
    area_share : ndarray of float64, shape (N, object)
        ``area`` of the object over the photograph's.
    box : ndarray of float64, shape (N, object, 4)
        x, y, width, height, in pixels of the photograph.
    labels : ndarray of int64, shape (N, object), or float64, shape (N, object, 2)
        Class; for ``target="location"`` the box's centre (x, y) as share of width and height.
    classes : mapping of int to str
        Name of each label that there can be, in these pairs or not; none for locations.
    target : str
    size : int
        Side of the prepared squares, in pixels.
    split : tuple of str
        Those that were asked for; empty for all.
    report : PairsReport
        What was left out, and why.
    licences : mapping of int to str
    rule : Rule
    checksum : str
        SHA-256 of the annotation file.
    annotations : str
        Name of the annotation file.
    row : ndarray of int64, shape (N,)
        Place in the store of prepared pixels.
    store : PixelStore
    """

    image_id: Integers = dataclasses.field(repr=False)
    file_name: tuple[str, ...] = dataclasses.field(repr=False)
    licence: Integers = dataclasses.field(repr=False)
    photo_size: Integers = dataclasses.field(repr=False)
    annotation_id: Integers = dataclasses.field(repr=False)
    category_id: Integers = dataclasses.field(repr=False)
    area_share: Floats = dataclasses.field(repr=False)
    box: Floats = dataclasses.field(repr=False)
    labels: npt.NDArray[Any] = dataclasses.field(repr=False)
    classes: Mapping[int, str]
    target: str
    size: int
    split: tuple[str, ...]
    report: PairsReport
    licences: Mapping[int, str] = dataclasses.field(repr=False)
    rule: Rule
    checksum: str
    annotations: str
    row: Integers = dataclasses.field(repr=False)
    store: PixelStore = dataclasses.field(repr=False)

    def __len__(self) -> int:
        return len(self.image_id)

    @property
    def n_objects(self) -> int:
        """Objects in each photograph."""
        return self.rule.n_objects

    def pixels(self, positions: npt.ArrayLike) -> tuple[npt.NDArray[np.uint8], ...]:
        """Read the pairs at `positions` (whole numbers 0 … N - 1).

        Returns
        -------
        image : ndarray of uint8, shape (n, 3, size, size)
            The photograph on a grey square (127).
        objects : ndarray of uint8, shape (n, object, 3, size, size)
            Each object alone, on black.
        coverage : ndarray of uint8, shape (n, object, size, size)
            How much of each pixel the object's mask covers, of 255.
        """
        planes = self.store.read(self.row[np.asarray(positions, np.int64)])
        n, objects = len(planes), self.n_objects
        alone = planes[:, 3 : 3 + 3 * objects].reshape(n, objects, 3, self.size, self.size)
        return planes[:, :3], alone, planes[:, 3 + 3 * objects :]

    def subset(self, positions: npt.ArrayLike) -> "ObjectPairs":
        """Return the pairs at `positions` (whole numbers 0 … N - 1, or N booleans)."""
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
        arrays = {
            field.name: value[chosen]
            for field in dataclasses.fields(self)
            if isinstance(value := getattr(self, field.name), np.ndarray)
        }
        names = tuple(self.file_name[place] for place in chosen)
        return dataclasses.replace(self, file_name=names, **arrays)

    def class_weights(self) -> Floats:
        """Return the inverse frequency of each label, all objects counted; they add up to 1.

        Returns
        -------
        ndarray of float64, shape (class,)
            For labels 0 … the highest of `classes`; 0 where no object has the label.

        Raises
        ------
        InvalidInput
            For locations, which are no classes.
        """
        if not self.classes:
            raise InvalidInput("target='location' has no classes, and so no class weights.")
        counts = np.bincount(self.labels.ravel(), minlength=max(self.classes) + 1)
        inverse = np.divide(1.0, counts, out=np.zeros(len(counts)), where=counts > 0)
        return inverse / inverse.sum()

    def provenance(self) -> dict[str, Any]:
        """Return what a recording or a checkpoint keeps of its pairs, fit for JSON."""
        return {
            "dataset": "object pairs of COCO's format",
            "annotations": self.annotations,
            "checksum": self.checksum,
            "rule": dataclasses.asdict(self.rule),
            "target": self.target,
            "classes": {str(label): name for label, name in self.classes.items()},
            "size": self.size,
            "split": list(self.split),
            "n": len(self),
            "n_broken": len(self.report.broken),
            "index_hash": array_hash(self.image_id),
            "citation": get_dataset("coco-2017-val").citation,
        }
