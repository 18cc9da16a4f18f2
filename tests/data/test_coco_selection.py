"""The published rule on hand-made annotations: crowd, tiny, overlapping, one or three objects."""

import numpy as np
import pytest
from pycocotools import mask as coco_mask

from attnsci.data.coco_selection import Rule, decode, encode, select_objects
from attnsci.errors import DatasetCorrupt, InvalidInput

SIDE = 100


def rectangle(number, x, y, width, height, **changes):
    right, low = x + width, y + height
    return {
        "id": number,
        "segmentation": [[x, y, right, y, right, low, x, low]],
        "area": width * height,
        "iscrowd": 0,
        **changes,
    }


LEFT = rectangle(1, 0, 0, 40, 100)
RIGHT = rectangle(2, 60, 0, 30, 100)


def taken(objects, **settings):
    found = select_objects(objects, SIDE, SIDE, Rule(**settings))
    return found.outcome, [one["id"] for one in found.annotations]


def test_two_objects_largest_first():
    assert taken([RIGHT, LEFT]) == ("kept", [1, 2])
    masks = decode(select_objects([RIGHT, LEFT], SIDE, SIDE).masks)
    assert masks.shape == (2, SIDE, SIDE) and masks.dtype == bool
    assert masks[0, :, :40].all() and masks[0].sum() == 4000 and masks[1].sum() == 3000


def test_one_object_is_too_few():
    assert taken([LEFT]) == ("too few", [])
    assert taken([]) == ("too few", [])
    assert taken([LEFT], n_objects=1) == ("kept", [1])


def test_of_three_objects_the_two_largest():
    third = rectangle(3, 45, 0, 12, 100)
    assert taken([third, RIGHT, LEFT]) == ("kept", [1, 2])
    assert taken([third, RIGHT, LEFT], n_objects=3) == ("kept", [1, 2, 3])


def test_area_is_a_strict_bound_and_the_annotations_own():
    at_bound = rectangle(2, 60, 0, 10, 100)  # 10 % exactly
    assert taken([LEFT, at_bound]) == ("too few", [])
    # The rule goes by 'area', whatever the mask covers.
    assert taken([LEFT, {**at_bound, "area": 1000.5}]) == ("kept", [1, 2])
    assert taken([LEFT, {**RIGHT, "area": 900}]) == ("too few", [])
    assert taken([LEFT, {**RIGHT, "area": 900}], min_area=0.05) == ("kept", [1, 2])


def test_crowds_do_not_count():
    assert taken([LEFT, {**RIGHT, "iscrowd": 1}]) == ("too few", [])
    crowd = rectangle(9, 0, 0, 100, 100, iscrowd=1)
    assert taken([crowd, LEFT, RIGHT]) == ("kept", [1, 2])
    without = {key: value for key, value in RIGHT.items() if key != "iscrowd"}
    assert taken([LEFT, without]) == ("kept", [1, 2])


@pytest.mark.parametrize(("rows", "outcome"), [(10, "kept"), (11, "overlapping")])
def test_one_percent_may_overlap_and_no_more(rows, outcome):
    """A strip of 10 columns and `rows` rows lies under both: 100 pixels are 1 %."""
    second = {
        **rectangle(2, 50, 0, 40, 100, area=3000),
        "segmentation": [[50, 0, 90, 0, 90, 100, 50, 100], [30, 0, 40, 0, 40, rows, 30, rows]],
    }
    assert taken([LEFT, second])[0] == outcome
    assert taken([LEFT, second], max_overlap=0.02)[0] == "kept"


def test_it_stops_at_the_first_that_overlaps():
    """The third would fit, but nothing is looked at after the second was refused."""
    over = rectangle(2, 20, 0, 35, 100)
    assert taken([LEFT, over, RIGHT]) == ("overlapping", [])
    # An overlap after the second was taken is no matter.
    assert taken([LEFT, RIGHT, rectangle(3, 0, 0, 25, 100)]) == ("kept", [1, 2])


def test_equal_areas_keep_the_order_of_the_file():
    a, b = rectangle(5, 0, 0, 30, 100), rectangle(4, 60, 0, 30, 100)
    assert taken([a, b]) == ("kept", [5, 4])
    assert taken([b, a]) == ("kept", [4, 5])


def test_polygons_and_both_run_length_encodings_are_one_mask():
    want = np.zeros((SIDE, SIDE), np.uint8, order="F")
    want[:, 60:90] = 1
    compressed = coco_mask.encode(want)
    compressed["counts"] = compressed["counts"].decode()
    runs = {"size": [SIDE, SIDE], "counts": [6000, 3000, 1000]}
    for segmentation in (RIGHT["segmentation"], compressed, runs):
        encoded = encode({"id": 1, "segmentation": segmentation}, SIDE, SIDE)
        np.testing.assert_array_equal(decode([encoded])[0], want.astype(bool))
        assert taken([LEFT, {**RIGHT, "segmentation": segmentation}]) == ("kept", [1, 2])


def test_an_empty_mask_sets_the_photograph_apart():
    nothing = {"size": [SIDE, SIDE], "counts": [SIDE * SIDE]}
    for segmentation in ([], nothing, [[60, 0, 90, 0]], [[0, 0, 0, 0, 0, 0]]):
        objects = [LEFT, {**RIGHT, "segmentation": segmentation}]
        assert taken(objects) == ("empty mask", [2])
    # Of no matter where it would not be taken.
    assert taken([LEFT, RIGHT, rectangle(3, 0, 0, 12, 100, segmentation=[])])[0] == "kept"


def test_four_numbers_are_no_box():
    """pycocotools alone would take both polygons for boxes: (60, 0) and 90 wide."""
    segmentation = [[60, 0, 90, 0], *RIGHT["segmentation"]]
    mask = decode([encode({"id": 2, "segmentation": segmentation}, SIDE, SIDE)])[0]
    assert mask.sum() == 3000 and mask[:, 60:90].all()


@pytest.mark.parametrize(
    ("segmentation", "says"),
    [
        (None, "neither polygons nor"),
        ("text", "neither polygons nor"),
        ([[1, 2, 3, 4, 5]], "x, y, x, y"),
        ([[1, 2, 3, 4, 5, float("nan")]], "no number"),
        ([[1, 2, 3, 4, 5, "6"]], "no number"),
        ([1, 2, 3, 4, 5, 6], "x, y, x, y"),
        ({"size": [SIDE, 50], "counts": [5000]}, r"size is \[100, 50\]"),
        ({"size": [SIDE, SIDE], "counts": [5000]}, "5000 of 10000"),
        ({"size": [SIDE, SIDE], "counts": [-5, 10005]}, "whole numbers"),
        ({"size": [SIDE, SIDE], "counts": None}, "encode"),
        ({"size": [SIDE, SIDE]}, "lacks 'counts'"),
        ({"counts": [5000]}, "lacks 'size'"),
    ],
)
def test_what_is_no_segmentation_is_an_error(segmentation, says):
    with pytest.raises(DatasetCorrupt, match=f"annotation 2 cannot be read.*{says}"):
        select_objects([LEFT, {**RIGHT, "segmentation": segmentation}], SIDE, SIDE)


def test_bounds_are_checked():
    for settings in ({"min_area": -0.1}, {"max_overlap": 1.5}, {"n_objects": 0}):
        with pytest.raises(InvalidInput, match=next(iter(settings))):
            Rule(**settings)
