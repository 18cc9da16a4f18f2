"""Batches of stimuli and the targets made of them."""

import pytest
import torch

from attnsci.data.stimuli import Images, ObjectScenes, Stimuli, some
from attnsci.errors import InvalidInput


@pytest.fixture
def scenes():
    objects = torch.zeros(2, 2, 1, 2, 3)
    objects[:, 0, 0, :, 0] = 0.5
    objects[:, 1, 0, :, 1:] = 1.0
    image = objects.sum(1)
    image[1, 0, 0, 0] = 0.25
    return ObjectScenes(
        image=image,
        metadata={"index": torch.tensor([4, 5])},
        objects=objects,
        labels=torch.tensor([[3, 7], [1, 1]]),
    )


def test_length_and_coordinates(scenes):
    assert len(scenes) == 2
    assert scenes.coords()["index"].tolist() == [4, 5]
    assert len(Stimuli(torch.zeros(3, 1, 2, 2), {})) == 3


def test_masks_are_the_pixels_of_each_object(scenes):
    assert scenes.masks.dtype == torch.bool
    assert scenes.masks[0, 0, 0].tolist() == [[True, False, False]] * 2
    assert scenes.masks[0, 1, 0].tolist() == [[False, True, True]] * 2


@pytest.mark.parametrize("strength", [0.0, 0.2, 0.3, 0.9, 1.0])
def test_targets_dim_everything_but_one_object(scenes, strength):
    targets = scenes.targets(strength)
    expected = (1 - strength) * scenes.image[:, None] + strength * scenes.objects
    assert targets.shape == (2, 2, 1, 2, 3)
    torch.testing.assert_close(targets, expected)


def test_an_ideal_gate_gives_the_target_and_its_gain(scenes):
    strength = 0.2
    clean = ObjectScenes(scenes.objects.sum(1), {}, scenes.objects, scenes.labels)
    gate = 1 - clean.masks.float()
    gated = clean.image[:, None] * (1 - strength * gate)
    torch.testing.assert_close(gated, clean.targets(strength))
    attended, ignored = gated[:, 0][clean.masks[:, 0]], gated[:, 1][clean.masks[:, 0]]
    torch.testing.assert_close(attended / ignored, torch.full_like(attended, 1.25))


def test_some_are_spread_over_the_whole_and_may_be_shown_again():
    whole = Images(torch.arange(10.0).view(-1, 1, 1, 1), {"label": torch.arange(10) % 3})
    every_third = some(whole, 4)
    assert every_third[:].metadata["index"].tolist() == [0, 2, 5, 7]
    twice = some(whole, 3, n_samples=2)
    batch = twice[1:5]
    assert len(twice) == 6 and batch.metadata["index"].tolist() == [0, 3, 3, 6]
    assert batch.metadata["sample"].tolist() == [1, 0, 1, 0]
    assert batch.image.flatten().tolist() == [0, 3, 3, 6]
    assert twice[5].metadata["index"].tolist() == [6]
    assert len(some(whole)) == len(some(whole, 99)) == 10
    assert twice.provenance() == {"stimuli": "images", "n": 3, "n_samples": 2}


def test_facts_of_images_have_their_length():
    with pytest.raises(InvalidInput, match="label has 2 values for 3 images"):
        Images(torch.zeros(3, 1, 2, 2), {"label": [0, 1]})
