"""Photographs of two objects each, with the objects' masks: COCO's, or any file of its format."""

import dataclasses
import hashlib
import warnings
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from attnsci.checks import check_not_empty, check_option, check_positive, check_shape
from attnsci.data.coco_index import PairIndex, load_index
from attnsci.data.coco_labels import label_map
from attnsci.data.coco_pixels import PixelStore, prepare_pixels
from attnsci.data.coco_selection import Rule
from attnsci.data.places import Root
from attnsci.data.registry import get_dataset
from attnsci.errors import DatasetNotFound, InvalidInput
from attnsci.provenance import array_hash

SPLITS = ("train", "val", "test")
_SPLIT_ENDS = (70, 85, 100)

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


def split_of(image_ids: npt.ArrayLike) -> npt.NDArray[np.str_]:
    """Return the split of each photograph: train (70 %), val (15 %) or test, by its id alone.

    The MD5 of the decimal id, as a number modulo 100: below 70 train, below 85 val, else test. So
    a photograph is in the same split in every file and every subset.

    Parameters
    ----------
    image_ids : array-like of int, shape (N,)

    Returns
    -------
    ndarray of str, shape (N,)

    Examples
    --------
    >>> split_of([9, 25, 139]).tolist()
    ['val', 'train', 'test']
    """
    places = [
        int(hashlib.md5(str(int(number)).encode(), usedforsecurity=False).hexdigest(), 16) % 100
        for number in np.asarray(image_ids)
    ]
    return np.array(SPLITS)[np.searchsorted(_SPLIT_ENDS, places, side="right")]


def load_coco_pairs(
    images: Root,
    annotations: Root,
    *,
    min_area: float = 0.1,
    max_overlap: float = 0.01,
    n_objects: int = 2,
    target: str | Mapping[int, int] = "supercategory",
    size: int = 100,
    split: str | Iterable[str] | None = None,
) -> ObjectPairs:
    """Return the photographs with two large, hardly overlapping objects, and these objects.

    Searched and prepared once for an annotation file and settings, and kept in the cache (some
    110 kB a pair): a second call reads no photograph. Changed files are prepared anew.

    Parameters
    ----------
    images : path-like
        Folder with the photographs, under the names that the annotation file gives.
    annotations : path-like
        COCO's ``instances_*.json``, or any other file of that format with masks.
    min_area : float
        Share of the photograph that an object must exceed.
    max_overlap : float
        Share of the photograph that may be covered by more than one object.
    n_objects : int
        Objects in each scene; photographs with fewer are left out.
    target : {"supercategory", "category", "top10", "location"} or mapping of int to int
        What the labels are: COCO's 12 supercategories in alphabetical order; COCO's category id;
        the place among ten frequent categories, other pairs being left out; the centre of the
        box, in shares of width and height; or the label of each category id of the file, for
        categories of your own (pairs with others are left out).
    size : int
        Side of the squares, in pixels.
    split : {"train", "val", "test"} or several of them, optional
        By `split_of`; all by default. COCO's own validation set stands in a file of its own, so
        of its training file ``("val", "test")`` together are the 30 % to validate on.

    Returns
    -------
    ObjectPairs
        Its `report` counts what was left out, and why. Missing and damaged photographs, and empty
        masks, are also warned of.

    Raises
    ------
    DatasetNotFound
        If the file or the folder is not there, or holds none of the photographs.
    DatasetCorrupt
        If the file is not of COCO's format.
    InvalidInput
        If a setting cannot be used, or no pair is left.
    StorageError
        If the cache cannot be written.

    Notes
    -----
    The rule and the labels of Lei, Benjamin and Kording (2021), arXiv 2106.04540, for photographs
    of Lin et al. (2014), arXiv 1405.0312.

    Examples
    --------
    >>> pairs = load_coco_pairs("val2017", "annotations/instances_val2017.json")  # doctest: +SKIP
    >>> print(pairs.report)  # doctest: +SKIP
    """
    rule = Rule(min_area, max_overlap, n_objects)
    check_positive("size", size, integer=True)
    splits = _splits(split)
    folder, file = Path(images or "").expanduser(), Path(annotations or "").expanduser()
    index = load_index(file, rule)
    labelling = label_map(target, index.categories)
    if not folder.is_dir():
        raise DatasetNotFound(
            f"There is no folder of photographs at {folder}. Get COCO's with: attnsci datasets get "
            "coco-2017-val"
        )
    facts = _columns(index)
    if labelling.target == "location":
        sides = facts["photo_size"][:, None, ::-1]
        facts["labels"] = (facts["box"][..., :2] + facts["box"][..., 2:] / 2) / sides
        labelled = np.ones(len(index.pairs), bool)
    else:
        facts["labels"] = labelling.labels(facts["category_id"])
        labelled = (facts["labels"] >= 0).all(1)
    inside = np.ones(len(index.pairs), bool)
    if splits:
        inside = np.isin(split_of(facts["image_id"]), splits)
    store, problems = prepare_pixels(index, folder, size)
    whole = np.ones(len(index.pairs), bool)
    whole[list(problems)] = False
    kept = np.flatnonzero(inside & labelled & whole)
    asked = inside & labelled
    report = PairsReport(
        n_images=index.counts["images"],
        n_too_few=index.counts["too few"],
        n_overlapping=index.counts["overlapping"],
        empty_masks=index.empty_masks,
        n_other_split=int((~inside).sum()),
        n_unlabelled=int((inside & ~labelled).sum()),
        broken={
            index.pairs[row]["file_name"]: reason for row, reason in problems.items() if asked[row]
        },
        n_pairs=len(kept),
        n_stray=index.counts["stray"],
    )
    _warn(report, file, folder)
    return ObjectPairs(
        file_name=tuple(index.pairs[row]["file_name"] for row in kept),
        **{name: column[kept] for name, column in facts.items()},
        classes=labelling.classes,
        target=labelling.target,
        size=size,
        split=splits,
        report=report,
        licences=index.licences,
        rule=rule,
        checksum=index.checksum,
        annotations=file.name,
        row=kept,
        store=store,
    )


def _splits(split: str | Iterable[str] | None) -> tuple[str, ...]:
    asked = () if split is None else (split,) if isinstance(split, str) else tuple(split)
    return tuple(check_option("split", name, SPLITS) for name in asked)


def _columns(index: PairIndex) -> dict[str, npt.NDArray[Any]]:
    """Return what the index knows of each pair, as arrays over the pairs."""
    n, n_objects = len(index.pairs), index.rule.n_objects
    objects = [one for pair in index.pairs for one in pair["objects"]]
    photo_size = np.array([[p["height"], p["width"]] for p in index.pairs], np.int64).reshape(n, 2)
    area = np.array([one["area"] for one in objects], float).reshape(n, n_objects)
    return {
        "image_id": np.array([pair["image_id"] for pair in index.pairs], np.int64),
        "licence": np.array([pair["licence"] for pair in index.pairs], np.int64),
        "photo_size": photo_size,
        "annotation_id": np.array([o["id"] for o in objects], np.int64).reshape(n, n_objects),
        "category_id": np.array([o["category_id"] for o in objects], np.int64).reshape(
            n, n_objects
        ),
        "area_share": area / photo_size.prod(1, keepdims=True),
        "box": np.array([one["bbox"] for one in objects], float).reshape(n, n_objects, 4),
    }


def _warn(report: PairsReport, file: Path, folder: Path) -> None:
    """Say what could not be used; refuse to go on with nothing."""
    if report.broken and not report.n_pairs:
        raise DatasetNotFound(
            f"Of the {len(report.broken)} photographs that {file} asks for, {folder} holds not one "
            f"that can be used. The first: {next(iter(report.broken.values()))}"
        )
    if not report.n_pairs:
        raise InvalidInput(
            f"{file} has no pair for these settings. {report} Lower min_area, raise max_overlap, "
            "or ask for another split or target."
        )
    if report.broken:
        examples = " ".join(list(report.broken.values())[:3])
        warnings.warn(
            f"{len(report.broken)} of {len(report.broken) + report.n_pairs} pairs are left out, as "
            f"their photographs are missing or damaged: {examples} All are in .report.broken.",
            stacklevel=3,
        )
    if report.empty_masks:
        warnings.warn(
            f"{len(report.empty_masks)} photographs are left out, as an object of theirs has an "
            f"empty mask: {', '.join(list(report.empty_masks)[:3])}. All are in "
            ".report.empty_masks.",
            stacklevel=3,
        )
