"""Batches of object pairs: in [0, 1], with the targets of attention, fit for workers."""

import numpy as np
import pytest
import torch
from torch.utils.data import BatchSampler, DataLoader, SequentialSampler

from attnsci.data.coco import load_coco_pairs
from attnsci.data.coco_scenes import CocoScenes, PhotographScenes
from attnsci.data.stimuli import ObjectScenes
from attnsci.errors import InvalidInput

SIZE = 20


@pytest.fixture
def scenes(coco_of_four):
    return CocoScenes(load_coco_pairs(coco_of_four.images, coco_of_four.annotations, size=SIZE))


def test_a_batch(scenes):
    batch = scenes[[3, 0]]
    assert isinstance(batch, ObjectScenes) and len(batch) == 2
    assert batch.image.shape == (2, 3, SIZE, SIZE) and batch.image.dtype == torch.float32
    assert batch.objects.shape == (2, 2, 3, SIZE, SIZE) and batch.labels.tolist() == [[9, 1]] * 2
    image, objects, _ = scenes.pairs.pixels([3, 0])
    np.testing.assert_array_equal(batch.image, image.astype(np.float32) / np.float32(255))
    np.testing.assert_array_equal(batch.objects, objects.astype(np.float32) / np.float32(255))
    assert float(batch.objects.min()) >= 0 and float(batch.image.max()) <= 1
    assert batch.masks.shape == (2, 2, 1, SIZE, SIZE) and batch.masks.dtype == torch.bool
    # 60 × 40 at a third: objects of 30 and 15 columns, rows 3 to 16.
    assert batch.masks[0, 0, 0, 10].nonzero().flatten().tolist() == list(range(7, 17))
    assert batch.masks[0, 1, 0, 10].nonzero().flatten().tolist() == list(range(5))
    assert not (batch.masks[0, 0] & batch.masks[0, 1]).any()


def test_metadata_have_one_value_each(scenes):
    batch = scenes[:]
    assert all(value.shape == (4,) for value in batch.coords().values())
    assert batch.metadata["image_id"].tolist() == [1, 2, 3, 4]
    assert batch.metadata["label_1"].tolist() == [1, 7, 1, 1]
    assert batch.metadata["category_0"].tolist() == [1, 3, 62, 1]
    assert batch.metadata["annotation_0"].tolist() == [101, 103, 105, 109]
    np.testing.assert_allclose(batch.metadata["x_share_1"][1], 15 / 40)
    np.testing.assert_allclose(batch.metadata["y_share_1"][1], 40 / 61)
    np.testing.assert_allclose(batch.metadata["area_share_0"][0], 800 / 2400)


def test_targets_dim_everything_but_the_object(scenes):
    """Deep inside the object the photograph stays; elsewhere, and on the padding, × (1 − s)."""
    batch = scenes[[0]]
    targets = batch.targets(0.3)
    assert targets.shape == (1, 2, 3, SIZE, SIZE)
    inside, beside = (..., 10, 3), (..., 10, 12)
    torch.testing.assert_close(targets[0, 0][inside], batch.image[0][inside])
    torch.testing.assert_close(targets[0, 0][beside], 0.7 * batch.image[0][beside])
    torch.testing.assert_close(targets[0, :, :, 0], torch.full((2, 3, SIZE), 0.7 * 127 / 255))
    assert batch.targets(0.0)[0, 1].equal(batch.image[0])


def test_black_pixels_of_an_object_are_its_own(coco_of_four):
    """`objects > 0` would lose them."""
    from PIL import Image

    Image.new("RGB", (60, 40)).save(coco_of_four.images / "000000000001.png")
    pairs = load_coco_pairs(coco_of_four.images, coco_of_four.annotations, size=SIZE)
    batch = CocoScenes(pairs)[0]
    assert not batch.objects.any() and batch.masks[0, 0].sum() > 50


def test_locations_as_labels(coco_of_four):
    pairs = load_coco_pairs(
        coco_of_four.images, coco_of_four.annotations, size=SIZE, target="location"
    )
    batch = CocoScenes(pairs)[1]
    assert batch.labels.shape == (1, 2, 2) and "label_0" not in batch.metadata
    np.testing.assert_allclose(batch.labels[0, 0], [0.5, 10 / 61])


def test_indexing_and_batches(scenes):
    assert len(scenes) == 4
    one = scenes[2]
    assert one.image.equal(scenes[[2]].image) and one.image.equal(scenes[2:3].image)
    parts = list(scenes.batches(3))
    assert [len(part) for part in parts] == [3, 1]
    assert torch.cat([part.image for part in parts]).equal(scenes[:].image)
    assert [part.metadata["index"].tolist() for part in scenes.batches(5, 2)] == [[0, 2]]
    with pytest.raises(InvalidInput, match="batch_size"):
        next(scenes.batches(0))
    with pytest.raises(IndexError):
        scenes[4]
    assert scenes.provenance()["stimuli"] == "object pairs" and scenes.provenance()["n"] == 4


@pytest.mark.parametrize("n_workers", [0, 2])
def test_workers_read_the_same(scenes, n_workers):
    """The parent has the pixels open when the workers are made."""
    want = scenes[:]
    loader = DataLoader(
        scenes,
        sampler=BatchSampler(SequentialSampler(scenes), 2, drop_last=False),
        batch_size=None,
        num_workers=n_workers,
    )
    batches = list(loader)
    assert [type(batch) for batch in batches] == [PhotographScenes] * 2
    for name in ("image", "objects", "labels", "object_masks"):
        got = torch.cat([getattr(batch, name) for batch in batches])
        assert got.equal(getattr(want, name))
