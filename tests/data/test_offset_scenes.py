"""Scenes of digits that lie off the middle."""

import numpy as np
import pytest
import torch

from attnsci.data.digits import load_mnist
from attnsci.data.offset_scenes import noisy_scene, plain_scene


@pytest.fixture(scope="module")
def digits():
    return load_mnist("test", "bundled").subset(np.arange(0, 1000, 50))


def test_plain_scenes_put_the_digit_where_it_is_said_to_be(digits):
    scene = plain_scene((60, 80))
    ink = torch.as_tensor(digits.images).float() / 255
    for dy, dx in ((0, 0), (7, -9), (-16, 26)):
        images = scene(digits, dy, dx)
        assert images.shape == (20, 1, 60, 80)
        top, left = 16 + dy, 26 + dx
        assert torch.equal(images[:, 0, top : top + 28, left : left + 28], ink)
        assert images.sum() == pytest.approx(float(ink.sum()), rel=1e-6)
    cut = plain_scene((28, 28))(digits, 27, 0)
    assert torch.equal(cut[:, 0, 27], ink[:, 0])
    assert cut[:, 0, :27].sum() == 0
    assert plain_scene((28, 28))(digits, 28, 0).sum() == 0


def test_pixel_noise_falls_on_empty_pixels_only_and_is_the_same_again(digits):
    scene, bare = plain_scene((28, 42), 0.3, 1), plain_scene((28, 42))
    noisy, clean = scene(digits, 0, 3), bare(digits, 0, 3)
    assert torch.equal(noisy[clean > 0], clean[clean > 0])
    grain = noisy[clean == 0]
    assert 0.28 < grain.max() < 0.3
    assert abs(grain.mean() - 0.15) < 0.01
    assert torch.equal(scene(digits, 0, 3), noisy)
    assert not torch.equal(scene(digits, 0, 4)[clean == 0], grain)


def test_noisy_scenes_have_the_noise_of_their_offset(digits):
    scene = noisy_scene(3, size=28, noise=0.5, contrast=0.6)
    here, there = scene(digits, 2, -5), scene(digits, 2, -4)
    assert torch.equal(scene(digits, 2, -5), here)
    assert (here != there).float().mean() > 0.9
    some = digits.subset([4, 9])
    assert torch.equal(scene(some, 2, -5), here[[4, 9]])
