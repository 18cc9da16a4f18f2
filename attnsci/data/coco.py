"""Photographs of two objects each, with the objects' masks: COCO's, or any file of its format."""

import hashlib
import os
import warnings
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from attnsci.checks import check_option, check_positive
from attnsci.data.coco_index import PairIndex, load_index
from attnsci.data.coco_labels import label_map
from attnsci.data.coco_pairs import ObjectPairs, PairsReport
from attnsci.data.coco_pixels import prepare_pixels
from attnsci.data.coco_selection import Rule
from attnsci.errors import DatasetNotFound, InvalidInput

SPLITS = ("train", "val", "test")
_SPLIT_ENDS = (70, 85, 100)


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
    images: str | os.PathLike[str],
    annotations: str | os.PathLike[str],
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
    folder, file = Path(images).expanduser(), Path(annotations).expanduser()
    index = load_index(file, rule)
    labelling = label_map(target, index.categories)
    if not folder.is_dir():
        raise DatasetNotFound(
            f"There is no folder of photographs at {folder}. Get COCO's with: attnsci datasets get "
            "coco-2017-val"
        )
    facts = _columns(index)
    labelled: npt.NDArray[np.bool_] = np.ones(len(index.pairs), bool)
    if labelling.target == "location":
        sides = facts["photo_size"][:, None, ::-1]
        facts["labels"] = (facts["box"][..., :2] + facts["box"][..., 2:] / 2) / sides
    else:
        facts["labels"] = labelling.labels(facts["category_id"])
        labelled = facts["labels"].min(1, initial=0) >= 0
    inside = np.isin(split_of(facts["image_id"]), splits or SPLITS)
    store, problems = prepare_pixels(index, folder, size)
    whole = np.ones(len(index.pairs), bool)
    whole[list(problems)] = False
    asked = inside & labelled
    kept = np.flatnonzero(asked & whole)
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
