"""Which objects of an annotated photograph make a scene: the published rule."""

import dataclasses
import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from attnsci.checks import check_fraction, check_positive
from attnsci.errors import DatasetCorrupt

Annotation = Mapping[str, Any]
Rle = dict[str, Any]

# Sides of the photograph. pycocotools draws every pixel of an outline, and its whole numbers
# overflow, which ends the process.
_FURTHEST = 10


@dataclasses.dataclass(frozen=True)
class Rule:
    """When an object is taken; the defaults are the published ones."""

    min_area: float = 0.1
    """Share of the photograph that an object's ``area`` must exceed."""
    max_overlap: float = 0.01
    """Share of the photograph that may be covered more than once."""
    n_objects: int = 2
    """Objects in a scene."""

    def __post_init__(self) -> None:
        check_fraction("min_area", self.min_area)
        check_fraction("max_overlap", self.max_overlap)
        check_positive("n_objects", self.n_objects, integer=True)


@dataclasses.dataclass(frozen=True)
class Selection:
    """What the rule made of one photograph.

    Attributes
    ----------
    outcome : {"kept", "too few", "overlapping", "empty mask"}
        Kept; fewer large objects than asked; enough of them, but overlapping too much; an object
        that is to be taken has not one pixel.
    annotations : tuple of Annotation
        The objects taken, largest first, or those with empty masks.
    masks : tuple of dict
        The same objects' masks, run-length encoded; of kept photographs only.
    """

    outcome: str
    annotations: tuple[Annotation, ...] = ()
    masks: tuple[Rle, ...] = ()


def select_objects(
    annotations: Sequence[Annotation], height: int, width: int, rule: Rule | None = None
) -> Selection:
    """Choose the objects of one photograph.

    Of the annotations that are no crowd, those with ``area / (height · width)`` above
    `Rule.min_area` are sorted by falling area (equals in the order of the file) and laid upon each
    other, until one lifts the pixels covered more than once above `Rule.max_overlap` of the
    photograph; neither it nor any after it is taken. The first `Rule.n_objects` are the scene.

    Parameters
    ----------
    annotations : sequence of mappings
        COCO's records of the objects of this photograph: ``id``, ``area``, ``segmentation``
        (polygons, or run-length encoding), and ``iscrowd`` where it is not 0.
    height, width : int
        Of the photograph, in pixels.
    rule : Rule, optional
        Other bounds than the published ones.

    Returns
    -------
    Selection
        Where an object that would be taken has an empty mask, which nothing could attend to, the
        photograph is set apart, and the caller can report it.

    Raises
    ------
    DatasetCorrupt
        If a segmentation cannot be decoded.

    Notes
    -----
    After Lei, Benjamin and Kording (2021), arXiv 2106.04540.

    Examples
    --------
    >>> left, right = [0, 0, 4, 0, 4, 8, 0, 8], [5, 0, 8, 0, 8, 8, 5, 8]
    >>> objects = [
    ...     {"id": 1, "area": 32, "segmentation": [left]},
    ...     {"id": 2, "area": 24, "segmentation": [right]},
    ... ]
    >>> select_objects(objects, 8, 8).outcome
    'kept'
    """
    rule = rule or Rule()
    pixels = height * width
    large = [
        annotation
        for annotation in annotations
        if not annotation.get("iscrowd", 0) and annotation["area"] / pixels > rule.min_area
    ]
    if len(large) < rule.n_objects:
        return Selection("too few")
    large.sort(key=lambda annotation: -annotation["area"])
    kept, masks, empty = [], [], []
    once = np.zeros((height, width), bool)
    twice = np.zeros((height, width), bool)
    for annotation in large:
        encoded = encode(annotation, height, width)
        mask = decode([encoded])[0]
        twice |= once & mask
        if twice.sum() / pixels > rule.max_overlap:
            break
        once |= mask
        kept.append(annotation)
        masks.append(encoded)
        if not mask.any():
            empty.append(annotation)
        if len(kept) == rule.n_objects:
            if empty:
                return Selection("empty mask", tuple(empty))
            return Selection("kept", tuple(kept), tuple(masks))
    return Selection("overlapping")


def encode(annotation: Annotation, height: int, width: int) -> Rle:
    """Return the mask of `annotation`, run-length encoded as pycocotools does it."""
    from pycocotools import mask as coco_mask

    segmentation = annotation.get("segmentation")
    try:
        if isinstance(segmentation, list):
            furthest = _FURTHEST * max(height, width)
            polygons = [_polygon(points, furthest) for points in segmentation]
            # pycocotools would take four numbers for a box.
            areas = [points for points in polygons if len(points) > 4]
            if not areas:
                return coco_mask.encode(np.zeros((height, width), np.uint8, order="F"))
            return coco_mask.merge(coco_mask.frPyObjects(areas, height, width))
        if not isinstance(segmentation, Mapping):
            raise ValueError("it has neither polygons nor a run-length encoding")
        size, counts = list(segmentation["size"]), segmentation["counts"]
        if size != [height, width]:
            raise ValueError(f"its size is {size} and the photograph's [{height}, {width}]")
        if isinstance(counts, list):
            if any(type(run) is not int or run < 0 for run in counts):
                raise ValueError("its runs are not whole numbers from 0")
            if sum(counts) != height * width:
                raise ValueError(f"its runs cover {sum(counts)} of {height * width} pixels")
            return coco_mask.frPyObjects(dict(segmentation), height, width)
        encoded = {"size": size, "counts": counts.encode("ascii")}
        decode([encoded])  # says whether the text is one
        return encoded
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        reason = f"it lacks {error}" if isinstance(error, KeyError) else str(error)
        raise DatasetCorrupt(
            f"The segmentation of annotation {annotation['id']} cannot be read: {reason}. "
            "Objects need COCO's polygons or run-length encoding."
        ) from error


def _polygon(points: Any, furthest: float) -> list[float]:
    if not isinstance(points, list) or len(points) % 2:
        raise ValueError("a polygon is a list of x, y, x, y, …")
    for value in points:
        if isinstance(value, bool) or not isinstance(value, int | float) or value != value:
            raise ValueError(f"a polygon holds {value!r}, which is no number")
        if abs(value) > furthest:
            raise ValueError("a polygon reaches far outside the photograph")
    return points


def decode(masks: Sequence[Rle]) -> np.ndarray:
    """Return run-length encoded masks as an array, shape (object, H, W), bool."""
    from pycocotools import mask as coco_mask

    with warnings.catch_warnings():
        # pycocotools 2.0.11 speaks to NumPy as before NumPy 2; nothing is wrong with the masks.
        warnings.filterwarnings("ignore", "__array__ implementation", DeprecationWarning)
        return coco_mask.decode(list(masks)).transpose(2, 0, 1).astype(bool)
