"""Translated and cluttered digits: every place, right pieces, the same for any batch."""

import numpy as np
import pytest
import torch

from attnsci.data import load_mnist
from attnsci.data.ram_scenes import PRESETS, ClutterConfig, ClutteredScenes
from attnsci.errors import InvalidInput


@pytest.fixture(scope="module")
def digits():
    return load_mnist("train").subset(np.arange(0, 4000, 2))


def by_hand(scenes: ClutteredScenes, i: int) -> np.ndarray:
    config = scenes.config
    layers = np.zeros((1 + config.n_pieces, config.size, config.size))
    row, column = scenes.corner[i]
    layers[0, row : row + 28, column : column + 28] = scenes.digits.images[i]
    for k in range(config.n_pieces):
        (a, b), (c, d), side = scenes.cut[i, k], scenes.pasted[i, k], config.piece
        piece = scenes.clutter.images[scenes.source[i, k]][a : a + side, b : b + side]
        layers[1 + k, c : c + side, d : d + side] = piece
    joined = layers.sum(0) if config.combine == "add" else layers.max(0)
    return np.float32(np.minimum(joined, 255)) / np.float32(255)


@pytest.mark.parametrize("combine", ["add", "max"])
@pytest.mark.parametrize("name", PRESETS)
def test_scenes_are_digit_and_pieces(digits, name, combine):
    scenes = ClutteredScenes(digits, PRESETS[name], combine=combine, seed=3)
    chosen = [5, 1999, 0, 700]
    batch = scenes[chosen]
    wanted = np.stack([by_hand(scenes, i) for i in chosen])[:, None]
    np.testing.assert_array_equal(batch.image.numpy(), wanted)
    assert batch.image.max() <= 1 and batch.image.min() == 0
    assert batch.metadata["label"].tolist() == digits.labels[chosen].tolist()
    assert batch.metadata["digit"].tolist() == digits.index[chosen].tolist()
    assert batch.metadata["x"].tolist() == (scenes.corner[chosen, 1] + 14).tolist()
    assert batch.metadata["y"].tolist() == (scenes.corner[chosen, 0] + 14).tolist()


def test_every_place_occurs_the_last_too(digits):
    scenes = ClutteredScenes(digits, seed=0)
    assert np.unique(scenes.corner).tolist() == list(range(33))
    assert np.unique(scenes.cut).tolist() == list(range(21))
    assert np.unique(scenes.pasted).tolist() == list(range(53))
    counts = np.bincount(scenes.corner.flatten())
    assert ((counts - 4000 / 33) ** 2 / (4000 / 33)).sum() < 64  # χ² of 32, p > .0007
    assert (ClutteredScenes(digits, PRESETS["mnist-28"]).corner == 0).all()


def test_the_plain_task_is_the_digits(digits):
    scenes = ClutteredScenes(digits, PRESETS["mnist-28"])
    np.testing.assert_array_equal(
        scenes[:9].image[:, 0].numpy(), digits.images[:9] / np.float32(255)
    )


@pytest.mark.parametrize("batch_size", [1, 7, 2000])
def test_the_seed_decides_and_not_the_batch(digits, batch_size):
    scenes = ClutteredScenes(digits, seed=(1, 2))
    together = torch.cat([batch.image for batch in scenes.batches(batch_size, 40)])
    assert torch.equal(together, scenes[np.arange(40) * 50].image)
    same = ClutteredScenes(digits, seed=(1, 2))[::50].image
    assert torch.equal(together, same)
    assert not torch.equal(together, ClutteredScenes(digits, seed=(1, 3))[::50].image)


def test_pieces_come_from_training_digits_only():
    test = load_mnist("test")
    with pytest.raises(InvalidInput, match="of the test split"):
        ClutteredScenes(test)
    with pytest.raises(InvalidInput, match="of the test split"):
        ClutteredScenes(load_mnist("train"), clutter=test)
    assert len(ClutteredScenes(test, PRESETS["translated-60"])) == 1000
    scenes = ClutteredScenes(test, clutter=load_mnist("train"))
    facts = scenes.provenance()
    assert (facts["digits"]["split"], facts["clutter"]["split"]) == ("test", "train")
    assert scenes.source.max() > 1000


def test_errors_teach():
    for settings in ({"size": 27}, {"piece": 29}, {"n_pieces": -1}, {"combine": "mean"}):
        with pytest.raises(InvalidInput):
            ClutterConfig(**settings)
