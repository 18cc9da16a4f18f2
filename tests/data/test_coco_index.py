"""Annotation files: what is none, what is kept of them, and when it is found anew."""

import json

import pytest

import attnsci.data.coco_index
from attnsci.data.coco_index import load_index
from attnsci.data.coco_selection import Rule
from attnsci.errors import DatasetCorrupt, DatasetNotFound, StorageError


def test_what_is_kept_of_a_pair(coco_of_four):
    index = load_index(coco_of_four.annotations, Rule())
    assert [pair["image_id"] for pair in index.pairs] == [1, 2, 3, 4]
    last = index.pairs[3]
    assert [one["category_id"] for one in last["objects"]] == [1, 18]
    assert [one["id"] for one in last["objects"]] == [109, 108]
    assert last["objects"][0]["bbox"] == [20, 0, 30, 40] and last["objects"][0]["area"] == 1200
    assert (last["height"], last["width"], last["licence"]) == (40, 60, 4)
    assert index.licences == {4: "Attribution License"} and index.categories[24] == "zebra"
    assert index.counts["kept"] == index.counts["images"] == 4
    again = load_index(coco_of_four.annotations, Rule())
    assert again == index


def test_it_is_found_once(coco_of_four, monkeypatch):
    load_index(coco_of_four.annotations, Rule())
    monkeypatch.setattr(attnsci.data.coco_index, "parse", None)  # a call would raise
    assert len(load_index(coco_of_four.annotations, Rule()).pairs) == 4
    with pytest.raises(TypeError):
        load_index(coco_of_four.annotations, Rule(min_area=0.2))


def test_one_changed_byte_makes_another_file(coco_of_four):
    first = load_index(coco_of_four.annotations, Rule())
    text = coco_of_four.annotations.read_text()
    coco_of_four.annotations.write_text(text.replace('"iscrowd": 0', '"iscrowd": 1', 1))
    second = load_index(coco_of_four.annotations, Rule())
    assert [pair["image_id"] for pair in second.pairs] == [2, 3, 4]
    assert second.checksum != first.checksum and second.folder != first.folder


def test_every_photograph_is_counted(coco_of_four):
    data = coco_of_four.data
    data["annotations"][0]["segmentation"] = []
    data["annotations"][2]["iscrowd"] = 1
    data["annotations"][5]["segmentation"] = data["annotations"][4]["segmentation"]
    data["annotations"].append({**data["annotations"][-1], "id": 999, "image_id": 77})
    coco_of_four.write()
    index = load_index(coco_of_four.annotations, Rule())
    assert index.counts == {
        "images": 4, "kept": 1, "too few": 1, "overlapping": 1, "empty mask": 1, "stray": 1,
    }  # fmt: skip
    assert index.empty_masks == {"000000000001.png": [101]}


@pytest.mark.parametrize("licences", [None, [], [{"name": "mine"}], [{"id": "a"}, 3]])
@pytest.mark.parametrize("licence", [None, "mine"])
def test_photographs_without_a_licence(coco_of_four, licences, licence):
    coco_of_four.data["licenses"] = licences
    coco_of_four.data["images"][0]["license"] = licence
    del coco_of_four.data["images"][1]["license"]
    coco_of_four.write()
    index = load_index(coco_of_four.annotations, Rule())
    assert [pair["licence"] for pair in index.pairs] == [-1, -1, 4, 4] and index.licences == {}


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "is no JSON"),
        ("{", "is no JSON"),
        ("\x00\x01", "line 1: a NUL byte"),
        ("[" * 100_000, "nested too deeply"),
        ('{"images": [{"id": 1, "id": 2}]}', "has the key 'id' twice"),
        ("[]", "it holds list"),
        ("3", "it holds int"),
        ('{"images": [], "annotations": []}', r"it holds \['annotations', 'images'\]"),
        ('{"images": {}, "annotations": [], "categories": []}', "no annotations of COCO"),
    ],
)
def test_what_is_not_coco(coco, text, says):
    coco.annotations.write_text(text)
    with pytest.raises(DatasetCorrupt, match=says) as caught:
        load_index(coco.annotations, Rule())
    assert str(coco.annotations) in str(caught.value)


@pytest.mark.parametrize(
    ("part", "changes", "says"),
    [
        ("images", {"height": None}, "image 1 is None high"),
        ("images", {"width": 0}, "and 0 wide"),
        ("images", {"width": 60.5}, "whole numbers"),
        ("images", {"id": "1"}, "the id of entry 0 of 'images' is '1'"),
        ("images", {"id": 2}, "2 entries of 'images' have the id 2"),
        ("images", {"file_name": 3}, "file_name of image 1 is 3"),
        ("images", {"file_name": ...}, "entry 0 of 'images' lacks file_name"),
        ("annotations", {"category_id": 12}, "annotation 101 is of category 12"),
        ("annotations", {"area": "big"}, "area of annotation 101 is 'big'"),
        ("annotations", {"area": float("nan")}, "small.json holds NaN"),
        ("annotations", {"area": True}, "area of annotation 101 is True"),
        ("annotations", {"bbox": [1, 2, 3]}, "x, y, width, height"),
        ("annotations", {"bbox": None}, "bbox of annotation 101"),
        ("annotations", {"area": ..., "bbox": ...}, "lacks area, bbox. Give an instances"),
        ("annotations", {"id": 102}, "2 entries of 'annotations' have the id 102"),
        ("annotations", {"segmentation": "x"}, "image 000000000001.png: The segmentation"),
        ("categories", {"name": ...}, "entry 0 of 'categories' lacks name"),
    ],
)
def test_what_is_wrong_in_it_is_named(coco_of_four, part, changes, says):
    record = coco_of_four.data[part][0]
    for key, value in changes.items():
        record[key] = value
        if value is ...:
            del record[key]
    coco_of_four.write()
    with pytest.raises(DatasetCorrupt, match=says):
        load_index(coco_of_four.annotations, Rule())


def test_captions_are_no_instances(coco_of_four):
    data = coco_of_four.data
    data["annotations"] = [{"id": 1, "image_id": 1, "caption": "two rectangles"}]
    coco_of_four.write()
    with pytest.raises(DatasetCorrupt, match=r"lacks category_id, area, bbox.*captions"):
        load_index(coco_of_four.annotations, Rule())


def test_absent_unreadable_and_damaged(coco_of_four, tmp_path, monkeypatch):
    with pytest.raises(DatasetNotFound, match="attnsci datasets get coco-2017-val"):
        load_index(tmp_path / "nothing.json", Rule())
    with pytest.raises(DatasetNotFound):
        load_index(tmp_path, Rule())
    kept = load_index(coco_of_four.annotations, Rule()).folder / "index.json"
    for text in ("{", "{}", json.dumps({"rule": 3})):
        kept.write_text(text)
        with pytest.raises(DatasetCorrupt, match=r"index\.json is damaged.*Delete it"):
            load_index(coco_of_four.annotations, Rule())
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("ATTNSCI_CACHE", str(tmp_path / "file"))
    with pytest.raises(StorageError, match="ATTNSCI_CACHE"):
        load_index(coco_of_four.annotations, Rule())
