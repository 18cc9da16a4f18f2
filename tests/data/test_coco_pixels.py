"""Prepared pixels: exact, complete, resumed, and never stale."""

import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import attnsci.data.coco_pixels
from attnsci.data.coco_index import load_index
from attnsci.data.coco_pixels import PixelStore, prepare_pair, prepare_pixels
from attnsci.data.coco_selection import Rule
from attnsci.errors import DatasetCorrupt, DatasetNotFound

SIZE = 20


def prepared(coco, size=SIZE):
    return prepare_pixels(load_index(coco.annotations, Rule()), coco.images, size)


def reference_order(photograph, masks, size, strength):
    """The published order: pad, blend in whole numbers, shrink; its own words, not ours."""
    side = max(photograph.shape[:2])
    top, left = ((side - length) // 2 for length in photograph.shape[:2])
    pads = [(top, side - photograph.shape[0] - top), (left, side - photograph.shape[1] - left)]
    whole = np.pad(photograph, [*pads, (0, 0)], constant_values=127)
    targets = []
    for mask in masks:
        alone = np.pad(photograph * mask[..., None], [*pads, (0, 0)], constant_values=0)
        targets.append(((1 - strength) * whole + strength * alone).astype(np.uint8))
    shrunk = [
        Image.fromarray(image).resize((size, size), Image.Resampling.BILINEAR)
        for image in (whole, *targets)
    ]
    return np.stack([np.asarray(image).transpose(2, 0, 1) for image in shrunk])


@pytest.mark.parametrize(("height", "width"), [(41, 60), (60, 41), (50, 50), (20, 20), (7, 5)])
@pytest.mark.parametrize("strength", [0.3, 0.9])
def test_against_the_published_order(height, width, strength):
    rng = np.random.default_rng(0)
    photograph = rng.integers(0, 256, (height, width, 3), dtype=np.uint8)
    masks = np.zeros((2, height, width), bool)
    masks[0, :, : width // 3], masks[1, height // 2 :, width // 2 :] = True, True
    planes = prepare_pair(photograph, masks, SIZE)
    assert planes.shape == (11, SIZE, SIZE) and planes.dtype == np.uint8
    want = reference_order(photograph, masks, SIZE, strength).astype(float)
    np.testing.assert_array_equal(planes[:3], want[0])
    for place in range(2):
        alone = planes[3 + 3 * place : 6 + 3 * place].astype(float)
        gap = np.abs((1 - strength) * planes[:3] + strength * alone - want[1 + place])
        assert gap.max() <= 2 and gap.mean() < 0.6


def test_padding_and_the_odd_row():
    """Five of eight rows: one above, two below; grey beside photographs, black beside objects."""
    square = prepare_pair(np.full((5, 8, 3), 200, np.uint8), np.ones((1, 5, 8), bool), 8)
    assert square[0, :, 3].tolist() == [127, *[200] * 5, 127, 127]
    assert square[3, :, 3].tolist() == [0, *[200] * 5, 0, 0]
    assert square[6, :, 3].tolist() == [0, *[255] * 5, 0, 0]
    tall = prepare_pair(np.full((8, 5, 3), 200, np.uint8), np.ones((1, 8, 5), bool), 8)
    np.testing.assert_array_equal(tall, square.transpose(0, 2, 1))


def test_kept_pixels_are_those_of_a_fresh_computation(coco_of_four):
    store, broken = prepared(coco_of_four)
    assert broken == {}
    got = store.read(np.array([3, 0, 3]))
    photograph = np.asarray(Image.open(coco_of_four.images / "000000000004.png").convert("RGB"))
    masks = np.zeros((2, 40, 60), bool)
    masks[0, :, 20:50], masks[1, :, :15] = True, True
    np.testing.assert_array_equal(got[0], prepare_pair(photograph, masks, SIZE))
    np.testing.assert_array_equal(got[0], got[2])
    assert (got[0] != got[1]).any()


def test_blocks_make_no_difference(coco_of_four, tmp_path, monkeypatch):
    rows = np.array([3, 0, 2, 1, 1])
    want = prepared(coco_of_four)[0].read(rows)
    monkeypatch.setenv("ATTNSCI_CACHE", str(tmp_path / "other"))
    monkeypatch.setattr(attnsci.data.coco_pixels, "BLOCK", 3)
    store, _ = prepared(coco_of_four)
    assert len(store.paths) == 2
    np.testing.assert_array_equal(store.read(rows), want)


def count_decoding(monkeypatch):
    seen = []
    original = attnsci.data.coco_pixels.read_image

    def counted(path):
        seen.append(Path(path).name)
        return original(path)

    monkeypatch.setattr(attnsci.data.coco_pixels, "read_image", counted)
    return seen


def test_a_second_call_reads_no_photograph(coco_of_four, monkeypatch):
    seen = count_decoding(monkeypatch)
    first, _ = prepared(coco_of_four)
    assert len(seen) == 4
    second, _ = prepared(coco_of_four)
    assert second == first and len(seen) == 4
    prepared(coco_of_four, size=10)
    assert len(seen) == 8


def test_killed_half_way_and_resumed(coco_of_four, monkeypatch):
    monkeypatch.setattr(attnsci.data.coco_pixels, "BLOCK", 2)
    original = attnsci.data.coco_pixels.prepare_pair
    calls = []

    def killed(*arguments):
        calls.append(1)
        if len(calls) == 4:
            raise KeyboardInterrupt
        return original(*arguments)

    monkeypatch.setattr(attnsci.data.coco_pixels, "prepare_pair", killed)
    with pytest.raises(KeyboardInterrupt):
        prepared(coco_of_four)
    folder = load_index(coco_of_four.annotations, Rule()).folder
    assert sorted(path.suffix for path in folder.iterdir()) == [".json", ".json", ".npy"]
    monkeypatch.setattr(attnsci.data.coco_pixels, "prepare_pair", original)
    seen = count_decoding(monkeypatch)
    store, broken = prepared(coco_of_four)
    assert seen == ["000000000003.png", "000000000004.png"] and broken == {}
    assert store.read(np.arange(4)).any((1, 2, 3)).all()


def test_a_changed_photograph_is_read_anew(coco_of_four):
    before = prepared(coco_of_four)[0].read(np.arange(4))
    path = coco_of_four.images / "000000000002.png"
    Image.new("RGB", (40, 61), "white").save(path)
    os.utime(path, ns=(10**18, 10**18))
    after = prepared(coco_of_four)[0].read(np.arange(4))
    assert after[1, :3, 10, 10].tolist() == [255] * 3
    np.testing.assert_array_equal(after[[0, 2, 3]], before[[0, 2, 3]])


def test_broken_photographs_are_named_and_taken_when_mended(coco_of_four):
    images = coco_of_four.images
    whole = (images / "000000000001.png").read_bytes()
    (images / "000000000001.png").unlink()
    (images / "000000000002.png").write_text("no picture")
    Image.new("RGB", (40, 60)).save(images / "000000000004.png")
    store, broken = prepared(coco_of_four)
    assert sorted(broken) == [0, 1, 3]
    assert "There is no image" in broken[0] and "damaged or no image" in broken[1]
    assert "is 40×60 pixels and 60×40 in the annotation file" in broken[3]
    assert prepared(coco_of_four)[1] == broken
    assert store.read(np.arange(4)).any((1, 2, 3)).tolist() == [False, False, True, False]
    (images / "000000000001.png").write_bytes(whole)
    store, broken = prepared(coco_of_four)
    assert sorted(broken) == [1, 3]
    assert store.read(np.array([0])).any()


def test_what_could_not_be_read_for_a_while_is_tried_again(coco_of_four, monkeypatch):
    """A lost network folder or a permission leaves name, bytes and time as they were."""
    original = attnsci.data.coco_pixels.read_image

    def refuse(path):
        raise DatasetCorrupt(f"{path} is damaged or no image that can be read: refused.")

    monkeypatch.setattr(attnsci.data.coco_pixels, "read_image", refuse)
    assert len(prepared(coco_of_four)[1]) == 4
    monkeypatch.setattr(attnsci.data.coco_pixels, "read_image", original)
    store, broken = prepared(coco_of_four)
    assert broken == {} and store.read(np.arange(4)).any((1, 2, 3)).all()


def test_pixels_that_are_gone_or_damaged(coco_of_four, tmp_path):
    with pytest.raises(DatasetNotFound, match="load_coco_pairs again"):
        PixelStore((tmp_path / "gone.npy",)).read(np.array([0]))
    for content in (b"", b"\x93NUMPY\x01\x00v\x00{'descr': '|u1'"):
        path = tmp_path / f"{len(content)}.npy"
        path.write_bytes(content)
        with pytest.raises(DatasetCorrupt, match="Delete it"):
            PixelStore((path,)).read(np.array([0]))


@pytest.mark.data
def test_the_subset_against_the_published_order(data_root, tmp_path, monkeypatch):
    """All 98 pairs: the photographs alike, the targets to 2/255 and below 0.6/255 on average."""
    monkeypatch.setenv("ATTNSCI_CACHE", str(tmp_path))
    root = data_root / "coco/s256"
    index = load_index(root / "annotations/instances_complete.json", Rule())
    store, broken = prepare_pixels(index, root / "images", 100)
    assert broken == {} and len(index.pairs) == 98
    planes = store.read(np.arange(98)).astype(float)
    means = []
    for place, pair in enumerate(index.pairs):
        photograph = np.asarray(Image.open(root / "images" / pair["file_name"]).convert("RGB"))
        masks = attnsci.data.coco_pixels._masks(pair)
        want = reference_order(photograph, masks, 100, 0.3).astype(float)
        np.testing.assert_array_equal(planes[place, :3], want[0])
        got = 0.7 * planes[place, None, :3] + 0.3 * planes[place, 3:9].reshape(2, 3, 100, 100)
        gap = np.abs(got - want[1:])
        assert gap.max() <= 2
        means.append(gap.mean())
    assert 0.2 < np.mean(means) < 0.6
