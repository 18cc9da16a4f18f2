"""Noisy digits as stimuli by index."""

import dataclasses

import numpy as np
import pytest
import torch

from attnsci.data.digits import load_mnist
from attnsci.data.noisy_layout import PRESETS
from attnsci.data.noisy_scenes import noisy_digits
from attnsci.data.noisy_stimuli import CONTRASTS, RADII_PX, DistantDigits, NoisyScenes


@pytest.fixture(scope="module")
def digits():
    return load_mnist("test", "bundled").subset(np.arange(0, 1000, 50))


def test_a_scene_depends_on_its_digit_and_the_seed_alone(digits):
    layout = dataclasses.replace(PRESETS[128], radius=30.0)
    scenes = NoisyScenes(digits, layout, (3, 4))
    whole = noisy_digits(
        digits.images, digits.labels, digits.index, 128, seed=(3, 4), split="test", radius=30.0
    )
    part = scenes[[7, 2]]
    # To rounding: a product of one row may round otherwise than in a batch of many.
    torch.testing.assert_close(part.image, whole.image[[7, 2]], rtol=0, atol=1e-6)
    assert part.metadata["label"].tolist() == digits.labels[[7, 2]].tolist()
    places = torch.stack([part.metadata["x"], part.metadata["y"]], 1)
    assert torch.equal(places, whole.places[[7, 2]])
    assert not torch.allclose(NoisyScenes(digits, layout, (3, 5))[:1].image, whole.image[:1])


def test_one_digit_has_one_place_and_noise_whatever_its_contrast(digits):
    stimuli = DistantDigits(digits, 0.5, (0.7, 0.3), (10.0, 30.0), seed=2)
    assert len(stimuli) == 20 * 4
    batch = stimuli[:]
    away = torch.hypot(batch.metadata["x"] - 64, batch.metadata["y"] - 64)
    assert (abs(away - batch.metadata["eccentricity"]) < 1.5).all()
    strong, weak = slice(0, 40), slice(40, 80)
    assert batch.metadata["contrast"].tolist() == [0.7] * 40 + [0.3] * 40
    for name in ("x", "y", "label", "index"):
        assert torch.equal(batch.metadata[name][strong], batch.metadata[name][weak])
    one = digits.subset([3])
    again = noisy_digits(
        one.images, one.labels, one.index, 128, seed=(2, 2, 1), split="test", noise=0.5,
        contrast=0.3, radius=10.0,
    ).image  # fmt: skip
    torch.testing.assert_close(batch.image[43:44], again, rtol=0, atol=1e-6)


def test_a_batch_keeps_the_order_in_which_it_was_asked_for(digits):
    stimuli, index = DistantDigits(digits, radii_px=(10.0, 30.0)), [61, 3, 62, 25, 3]
    batch = stimuli[index]
    for row, k in enumerate(index):
        alone = stimuli[k]
        torch.testing.assert_close(batch.image[row], alone.image[0], rtol=0, atol=1e-6)
        for name, values in batch.metadata.items():
            assert values[row] == alone.metadata[name][0]


def test_the_published_design():
    assert CONTRASTS == (0.7, 0.5, 0.3)
    assert len(RADII_PX) == 9 and RADII_PX[-1] == 40
    assert np.diff(RADII_PX) == pytest.approx([40 / 9] * 8)
