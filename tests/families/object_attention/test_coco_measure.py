"""What channels do with photographs, against one run at a time; scenes of digits enlarged."""

import numpy as np
import pytest
import torch

from attnsci.data.bars import BarScenes
from attnsci.data.coco import load_coco_pairs
from attnsci.data.coco_scenes import CocoScenes
from attnsci.data.digit_scenes import spread
from attnsci.errors import InvalidInput
from attnsci.families.object_attention.coco_measure import as_photographs, read_photographs


@pytest.fixture
def scenes(photographs):
    return CocoScenes(load_coco_pairs(*photographs, size=76))


def test_what_is_read_is_what_single_runs_show(lively, scenes):
    model = lively()
    found = read_photographs(model, scenes.batches(4, 10))
    assert found["stimulus"].values.tolist() == spread(10, 24).tolist()
    inhibited = []
    for row, number in enumerate(found["stimulus"].values):
        with torch.no_grad():
            run = model.run(scenes[int(number)].image, keep_activations=True)
        for level in range(1, 5):
            mean = run.activations[level - 1][0].mean((-1, -2))
            np.testing.assert_allclose(found[f"response_{level}"][row], mean, rtol=1e-4, atol=1e-6)
        likeliest = run.logits[0, 0, 0].argsort(descending=True)[:2]
        assert found["at_once"][row].values.tolist() == likeliest.tolist()
        inhibited.append([mask[0].float().mean(1).numpy() for mask in run.ior])
    for level in range(1, 5):
        share = np.mean([one[level - 1] for one in inhibited], 0)
        np.testing.assert_allclose(found[f"inhibited_{level}"], share, atol=0.02)
    assert found.sizes["channel_4"] == 20 and found.sizes["phase"] == 2


def test_photographs_are_needed(lively):
    with pytest.raises(InvalidInput, match="no photographs"):
        read_photographs(lively(), [])


@pytest.mark.parametrize(("size", "factor"), [(76, 1), (100, 2), (130, 3)])
def test_grey_scenes_become_large_square_and_coloured(bundled_test, size, factor):
    bars = BarScenes(bundled_test.images[0], row_shifts=(0,), column_shifts=(2,))
    batch = next(iter(bars.batches(3)))
    (shown,) = as_photographs([batch], size)
    assert shown.image.shape == (3, 3, size, size) and shown.objects.shape == (3, 2, 3, size, size)
    assert shown.image[:, 0].equal(shown.image[:, 2])
    top, left = (size - 28 * factor) // 2, (size - 42 * factor) // 2
    inside = shown.image[:, :1, top : top + 28 * factor, left : left + 42 * factor]
    assert inside[:, :, ::factor, ::factor].equal(batch.image)
    assert inside[:, :, factor - 1 :: factor, factor - 1 :: factor].equal(batch.image)
    assert float(shown.image.sum()) == pytest.approx(float(batch.image.sum()) * 3 * factor**2)
    assert shown.labels.equal(batch.labels)


def test_scenes_that_do_not_fit_are_refused(bundled_test):
    bars = BarScenes(bundled_test.images[0], row_shifts=(0,), column_shifts=(2,))
    with pytest.raises(InvalidInput, match="28×42 do not fit into 40"):
        next(as_photographs(bars.batches(2), 40))
