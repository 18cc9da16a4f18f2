"""Batches of stimuli and the targets made of them."""

import pytest
import torch

from attnsci.data.stimuli import ObjectScenes, Stimuli


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
