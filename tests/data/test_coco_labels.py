"""Labels go by COCO's ids, whatever a file holds."""

import numpy as np
import pytest

from attnsci.data.coco_labels import CATEGORIES, SUPERCATEGORIES, TOP_TEN, label_map
from attnsci.errors import InvalidInput

COCO = {number: name for group in CATEGORIES.values() for number, name in group.items()}


def test_the_tables_are_cocos():
    assert len(COCO) == 80 and min(COCO) == 1 and max(COCO) == 90
    assert SUPERCATEGORIES == (
        "accessory", "animal", "appliance", "electronic", "food", "furniture",
        "indoor", "kitchen", "outdoor", "person", "sports", "vehicle",
    )  # fmt: skip
    assert [COCO[number] for number in TOP_TEN] == [
        "person", "car", "traffic light", "handbag", "bottle", "cup", "bowl", "chair",
        "dining table", "book",
    ]  # fmt: skip
    assert [len(CATEGORIES[name]) for name in SUPERCATEGORIES] == [
        5, 10, 5, 6, 10, 6, 7, 7, 5, 1, 10, 8,
    ]  # fmt: skip


def test_a_subset_without_some_supercategories_keeps_the_labels():
    """By the order within the file, vehicle would be 2 of {animal, person, vehicle}."""
    some = {number: COCO[number] for number in (1, 3, 18)}
    labels = label_map("supercategory", some).labels([[1, 3], [18, 18]])
    assert labels.tolist() == [[9, 11], [1, 1]] and labels.dtype == np.int64
    everything = label_map("supercategory", COCO)
    assert everything.labels([1, 3, 18]).tolist() == [9, 11, 1]
    assert everything.classes == label_map("supercategory", some).classes
    assert everything.classes[9] == "person" and len(everything.classes) == 12


def test_top_ten_in_the_order_of_ids():
    ten = label_map("top10", COCO)
    assert ten.labels(TOP_TEN).tolist() == list(range(10))
    assert ten.labels([18, 90]).tolist() == [-1, -1]
    assert ten.classes[8] == "dining table"


def test_categories_are_their_ids():
    some = label_map("category", {7: "mine", 90: "toothbrush"})
    assert some.labels([90, 7]).tolist() == [90, 7] and some.classes == {
        7: "mine",
        90: "toothbrush",
    }


def test_a_map_of_ones_own():
    cells = {1: "round", 2: "long", 3: "square"}
    own = label_map({1: 0, 3: 0, 2: 1}, cells)
    assert own.labels([1, 2, 3]).tolist() == [0, 1, 0]
    assert own.classes == {0: "round, square", 1: "long"} and own.target == "own"
    assert label_map({1: 0}, cells).labels([2]).tolist() == [-1]


@pytest.mark.parametrize("target", ["supercategory", "top10"])
@pytest.mark.parametrize(
    ("categories", "says"),
    [({3: "cell"}, "'cell' in this file and is 'car'"), ({12: "x"}, "does not exist in COCO")],
)
def test_other_ids_than_cocos_are_refused(target, categories, says):
    with pytest.raises(InvalidInput, match=says):
        label_map(target, {1: "person", **categories})
    assert label_map("category", categories).classes == categories


def test_wrong_targets():
    with pytest.raises(InvalidInput, match="'supercategory', 'category', 'top10', 'location'"):
        label_map("class", COCO)
    for own in ({2: 0}, {}):
        with pytest.raises(InvalidInput, match="The file has 1 person"):
            label_map(own, {1: "person"})
    for label in (-1, 0.5):
        with pytest.raises(InvalidInput, match="whole numbers"):
            label_map({1: label}, {1: "person"})
