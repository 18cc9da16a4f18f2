"""Showing digits all over the visual field."""

import numpy as np
import pytest
import torch

from attnsci.data.digits import load_mnist
from attnsci.data.noisy_scenes import noisy_digits
from attnsci.families.what_where.measure import (
    benchmark_answers,
    map_answers,
    noisy_scene,
    plain_scene,
    record_curves,
)
from attnsci.families.what_where.networks import Answer


@pytest.fixture(scope="module")
def digits():
    return load_mnist("test", "bundled").subset(np.arange(0, 1000, 50))


def test_plain_scenes_put_the_digit_where_it_is_said_to_be(digits):
    scene = plain_scene((60, 80))
    ink = torch.as_tensor(digits.images).float() / 255
    for dy, dx in ((0, 0), (7, -9), (-16, 26)):
        shown = scene(digits, dy, dx)
        assert shown.shape == (20, 1, 60, 80)
        top, left = 16 + dy, 26 + dx
        assert torch.equal(shown[:, 0, top : top + 28, left : left + 28], ink)
        assert shown.sum() == pytest.approx(float(ink.sum()), rel=1e-6)
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


def test_a_map_is_right_where_the_network_is(digits):
    """Of a network that names digits by where their ink is, only where that is true."""

    def lower_half(images):
        """Say the label 1 if there is more ink below than above, else 0."""
        below = images[..., 14:, :].sum((1, 2, 3)) > images[..., :14, :].sum((1, 2, 3))
        return torch.stack([~below, below], 1).float()

    ones = digits.subset(np.flatnonzero(digits.labels == 1))
    found = map_answers(lower_half, ones, plain_scene((28, 28)), reach_px=12, stride_px=6)
    assert found.dims == ("stimulus", "y", "x")
    assert found["y"].values.tolist() == [-12, -6, 0, 6, 12]
    assert found.sel(y=12).all() and not found.sel(y=-12).any()
    assert (found.sel(y=6, x=-12) == found.sel(y=6, x=12)).all()


def test_networks_that_answer_several_times_have_a_map_for_each(digits):
    def twice(images):
        said = torch.zeros(len(images), 2, 10)
        said[:, 0, 3], said[:, 1, 7] = 1, 1
        return said

    found = map_answers(twice, digits, plain_scene((28, 28)), reach_px=9, stride_px=9)
    assert found.dims == ("stimulus", "y", "x", "time")
    assert (found.isel(time=0, x=0, y=0).values == (digits.labels == 3)).all()
    assert (found.isel(time=1, x=0, y=0).values == (digits.labels == 7)).all()


def test_the_benchmark_shows_all_networks_the_same_scenes(digits):
    seen = []

    def blind(images, places):
        seen.append(images)
        return {"blind": Answer(torch.eye(10)[torch.zeros(len(images), dtype=int)])}

    def oracle(images, places):
        seen.append(images)
        said = torch.zeros(len(images), 10)
        return {"a": Answer(said, places, torch.ones(len(images))), "b": Answer(said + 0.0)}

    found = benchmark_answers(
        {"x": blind, "y": oracle}, digits, contrasts=(0.7, 0.3), radii_px=(10.0, 30.0), noise=0.5,
        seed=2,
    )  # fmt: skip
    assert found["model"].values.tolist() == ["blind", "a", "b"]
    assert torch.equal(seen[0], seen[1]) and len(seen) == 8
    assert (found["correct"].sel(model="blind") == (found["label"] == 0)).all()
    target = found["target"]
    away = np.hypot(*target.transpose("coordinate", ...).values)
    assert (abs(away - found["eccentricity"].values) < 1.5).all()
    assert (found["fixation"].sel(model="a") == target).all()
    assert found["fixation"].sel(model="b").isnull().all()
    assert (found["gain"].sel(model="a") == 1).all() and found["gain"].sel(model="b").isnull().all()
    # One digit has one place and noise, whatever its contrast.
    assert (target.sel(contrast=0.7) == target.sel(contrast=0.3)).all()
    one = digits.subset([3])
    again = noisy_digits(
        one.images, one.labels, one.index, 128, seed=(2, 2, 1), split="test", noise=0.5,
        contrast=0.3, radius=10.0,
    ).image  # fmt: skip
    # To rounding: a product of one row may round otherwise than in a batch of many.
    assert any(torch.allclose(images[3:4], again, rtol=0, atol=1e-6) for images in seen)


def test_curves_of_records():
    record = {
        "training": {"batches_per_epoch": 30, "batch_size": 10},
        "curve": [{"accuracy": 0.1}, {"accuracy": 0.4}],
    }
    table = record_curves({"net": record})
    assert table["images"].tolist() == [300, 600]
    assert table["accuracy"].tolist() == [0.1, 0.4]
