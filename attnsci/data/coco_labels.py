"""What an object is called: classes of COCO by category id, whatever a file happens to hold."""

import dataclasses
from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from attnsci.checks import check_option
from attnsci.errors import InvalidInput

# fmt: off
CATEGORIES: Mapping[str, Mapping[int, str]] = {
    "person": {1: "person"},
    "vehicle": {
        2: "bicycle", 3: "car", 4: "motorcycle", 5: "airplane", 6: "bus", 7: "train", 8: "truck",
        9: "boat"},
    "outdoor": {
        10: "traffic light", 11: "fire hydrant", 13: "stop sign", 14: "parking meter", 15: "bench"},
    "animal": {
        16: "bird", 17: "cat", 18: "dog", 19: "horse", 20: "sheep", 21: "cow", 22: "elephant",
        23: "bear", 24: "zebra", 25: "giraffe"},
    "accessory": {27: "backpack", 28: "umbrella", 31: "handbag", 32: "tie", 33: "suitcase"},
    "sports": {
        34: "frisbee", 35: "skis", 36: "snowboard", 37: "sports ball", 38: "kite",
        39: "baseball bat", 40: "baseball glove", 41: "skateboard", 42: "surfboard",
        43: "tennis racket"},
    "kitchen": {
        44: "bottle", 46: "wine glass", 47: "cup", 48: "fork", 49: "knife", 50: "spoon",
        51: "bowl"},
    "food": {
        52: "banana", 53: "apple", 54: "sandwich", 55: "orange", 56: "broccoli", 57: "carrot",
        58: "hot dog", 59: "pizza", 60: "donut", 61: "cake"},
    "furniture": {
        62: "chair", 63: "couch", 64: "potted plant", 65: "bed", 67: "dining table",
        70: "toilet"},
    "electronic": {
        72: "tv", 73: "laptop", 74: "mouse", 75: "remote", 76: "keyboard", 77: "cell phone"},
    "appliance": {
        78: "microwave", 79: "oven", 80: "toaster", 81: "sink", 82: "refrigerator"},
    "indoor": {
        84: "book", 85: "clock", 86: "vase", 87: "scissors", 88: "teddy bear", 89: "hair drier",
        90: "toothbrush"},
}
"""Name of each of COCO's 80 categories by id, by supercategory."""
# fmt: on
SUPERCATEGORIES = tuple(sorted(CATEGORIES))
"""The label of a supercategory is its place here: accessory 0 … vehicle 11."""
TOP_TEN = (1, 3, 10, 31, 44, 47, 51, 62, 67, 84)
"""The label of a category among the top ten is the place of its id here."""
TARGETS = ("supercategory", "category", "top10", "location")

_NAMES = {number: name for group in CATEGORIES.values() for number, name in group.items()}


@dataclasses.dataclass(frozen=True)
class LabelMap:
    """How category ids become labels.

    Attributes
    ----------
    target : str
        One of `TARGETS`, or ``"own"`` where the user gave the map.
    label_of : mapping of int to int
        Label of each category id; a category that is not here has none.
    classes : mapping of int to str
        Name of each label.
    """

    target: str
    label_of: Mapping[int, int]
    classes: Mapping[int, str]

    def labels(self, category_ids: npt.ArrayLike) -> npt.NDArray[np.int64]:
        """Return the labels of `category_ids`, of the same shape; −1 where there is none."""
        ids, inverse = np.unique(np.asarray(category_ids, np.int64), return_inverse=True)
        table = np.array([self.label_of.get(int(number), -1) for number in ids], np.int64)
        return table[inverse].reshape(np.shape(category_ids))


def label_map(target: str | Mapping[int, int], categories: Mapping[int, str]) -> LabelMap:
    """Return the map from category ids to labels that `target` means.

    Parameters
    ----------
    target : {"supercategory", "category", "top10", "location"} or mapping of int to int
        A mapping from category ids to labels serves files with categories of their own;
        ``"location"`` has no classes.
    categories : mapping of int to str
        Name of each category id, as the annotation file has it.

    Raises
    ------
    InvalidInput
        If `target` is none of these, if a file whose categories are not COCO's is to be labelled
        by COCO's tables, or if a mapping names a category that the file lacks.

    Examples
    --------
    >>> label_map("supercategory", {18: "dog", 3: "car"}).labels([18, 3])
    array([ 1, 11])
    """
    if isinstance(target, Mapping):
        return _own(target, categories)
    check_option("target", target, TARGETS)
    if target == "category":
        ids = sorted(categories)
        return LabelMap(target, {i: i for i in ids}, {i: categories[i] for i in ids})
    if target == "location":
        return LabelMap(target, {}, {})
    _check_cocos(target, categories)
    if target == "top10":
        classes = {label: _NAMES[number] for label, number in enumerate(TOP_TEN)}
        return LabelMap(target, {number: i for i, number in enumerate(TOP_TEN)}, classes)
    label_of = {
        number: label for label, name in enumerate(SUPERCATEGORIES) for number in CATEGORIES[name]
    }
    return LabelMap(target, label_of, dict(enumerate(SUPERCATEGORIES)))


def _own(target: Mapping[int, int], categories: Mapping[int, str]) -> LabelMap:
    unknown = sorted(set(target) - set(categories))
    if unknown or not target:
        known = ", ".join(f"{number} {name}" for number, name in sorted(categories.items()))
        raise InvalidInput(
            f"target must map category ids of the annotation file to labels; got {dict(target)}. "
            f"The file has {known}."
        )
    if any(not isinstance(label, int) or label < 0 for label in target.values()):
        raise InvalidInput(f"Labels must be whole numbers from 0; got {dict(target)}.")
    classes = {
        label: ", ".join(categories[number] for number in sorted(target) if target[number] == label)
        for label in sorted(set(target.values()))
    }
    return LabelMap("own", dict(target), classes)


def _check_cocos(target: str, categories: Mapping[int, str]) -> None:
    """Refuse ids that mean something else in this file than in COCO's."""
    for number, name in sorted(categories.items()):
        if _NAMES.get(number) != name:
            meant = f"is {_NAMES[number]!r}" if number in _NAMES else "does not exist"
            raise InvalidInput(
                f"target={target!r} labels by COCO's category ids, but category {number} is "
                f"{name!r} in this file and {meant} in COCO. Give target='category', or a mapping "
                f"from category ids to labels, such as target={{{number}: 0}}."
            )
