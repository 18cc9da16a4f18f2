"""Pairs of digits: never overlapping, every place, in reading order, the same for any batch."""

import itertools

import numpy as np
import pytest
import torch

from attnsci.data import load_mnist
from attnsci.data.digit_pairs import DigitPairs, PairConfig
from attnsci.errors import InvalidInput


@pytest.fixture(scope="module")
def digits():
    return load_mnist("train")


def by_hand(scenes: DigitPairs, i: int) -> np.ndarray:
    config = scenes.config
    layers = np.zeros((2 + config.n_pieces, config.size, config.size))
    for k in (0, 1):
        row, column = scenes.corners[i, k]
        layers[k, row : row + 28, column : column + 28] = scenes.digits.images[scenes.members[i, k]]
    for k in range(config.n_pieces):
        (a, b), (c, d), side = scenes.cut[i, k], scenes.pasted[i, k], config.piece
        piece = scenes.clutter.images[scenes.source[i, k]][a : a + side, b : b + side]
        layers[2 + k, c : c + side, d : d + side] = piece
    joined = layers.sum(0) if config.combine == "add" else layers.max(0)
    return np.minimum(joined, 255) / 255


@pytest.mark.parametrize("combine", ["add", "max"])
@pytest.mark.parametrize(("size", "n_pieces"), [(60, 0), (60, 4), (100, 8)])
def test_scenes_are_two_digits_and_pieces(digits, size, n_pieces, combine):
    scenes = DigitPairs(digits, size=size, n_pieces=n_pieces, combine=combine, seed=3)
    chosen = [5, 3999, 0, 700]
    batch = scenes[chosen]
    wanted = np.stack([by_hand(scenes, i) for i in chosen])[:, None]
    np.testing.assert_allclose(batch.image.numpy(), wanted, rtol=0, atol=1e-6)
    assert batch.image.max() <= 1 and batch.image.min() == 0
    alone = batch.objects.sum(1)
    assert torch.equal(alone, batch.image) if not n_pieces else (batch.image >= alone - 1e-6).all()


def test_labels_and_places_are_in_reading_order(digits):
    scenes = DigitPairs(digits, seed=1)
    batch = scenes[:]
    said = batch.metadata
    assert (said["x_1"] - said["x_0"]).min() == 8
    for slot in (0, 1):
        assert batch.labels[:, slot].tolist() == digits.labels[scenes.members[:, slot]].tolist()
        assert said[f"label_{slot}"].tolist() == batch.labels[:, slot].tolist()
        assert said[f"digit_{slot}"].tolist() == digits.index[scenes.members[:, slot]].tolist()
        # Ink is where its middle is said to be: nothing of a digit is off its frame.
        ink = batch.objects[:, slot, 0]
        columns = torch.arange(60) + 0.5
        for axis, name in ((1, "x"), (2, "y")):
            weight = ink.sum(axis)
            centroid = (weight * columns).sum(1) / weight.sum(1)
            off = centroid - said[f"{name}_{slot}"]
            assert off.abs().mean() < 0.6  # digits are centred in their frames by mass
    assert (scenes.members[np.arange(4000), scenes.slot] == np.arange(4000)).all()
    assert 0.45 < scenes.slot.mean() < 0.55


def test_digits_never_overlap(digits):
    for size in (60, 100):
        corners = DigitPairs(digits, size=size, seed=2).corners
        away = abs(np.diff(corners, axis=1)[:, 0])
        assert (away.max(1) >= 28).all()
        assert corners.min() == 0 and corners.max() == size - 28


@pytest.mark.parametrize("lead", [1, 8, 28])
def test_places_are_uniform_over_all_that_are_allowed(digits, lead):
    """Every allowed pair of places, by brute force on a small canvas, and how often each comes."""
    size = 58
    axis = range(size - 27)
    allowed = {
        (r0, c0, r1, c1)
        for r0, c0, r1, c1 in itertools.product(axis, axis, axis, axis)
        if c1 - c0 >= lead and (abs(r1 - r0) >= 28 or c1 - c0 >= 28)
    }
    counts = dict.fromkeys(allowed, 0)
    for seed in range(10):
        corners = DigitPairs(digits, PairConfig(size, lead=lead), seed=seed).corners
        for place in map(tuple, corners.reshape(-1, 4).tolist()):
            counts[place] += 1  # a place that is not allowed is a KeyError
    expected = 40_000 / len(allowed)
    found = np.array(list(counts.values()))
    chi2 = ((found - expected) ** 2 / expected).sum()
    freedom = len(allowed) - 1
    assert abs(chi2 - freedom) < 5 * np.sqrt(2 * freedom)
    for k in range(4):  # every row and column occurs that can
        seen = {place[k] for place, count in counts.items() if count}
        assert seen == {place[k] for place in allowed}


@pytest.mark.parametrize("batch_size", [1, 7, 4000])
def test_the_seed_decides_and_not_the_batch(digits, batch_size):
    scenes = DigitPairs(digits, seed=(1, 2), n_pieces=2)
    together = torch.cat([batch.image for batch in scenes.batches(batch_size, 40)])
    assert torch.equal(together, scenes[np.arange(40) * 100].image)
    assert torch.equal(together, DigitPairs(digits, seed=(1, 2), n_pieces=2)[::100].image)
    assert not torch.equal(together, DigitPairs(digits, seed=(1, 3), n_pieces=2)[::100].image)


def test_pieces_come_from_training_digits_only(digits):
    test = load_mnist("test")
    assert len(DigitPairs(test)) == 1000
    with pytest.raises(InvalidInput, match="of the test split"):
        DigitPairs(test, n_pieces=4)
    scenes = DigitPairs(test, n_pieces=4, clutter=digits)
    facts = scenes.provenance()
    assert (facts["digits"]["split"], facts["clutter"]["split"]) == ("test", "train")
    assert facts["stimuli"] == "pairs of digits" and facts["scenes"]["lead"] == 8
    assert scenes.source.max() > 1000  # of the 4000 training digits, not of the test digits


def test_errors_teach():
    with pytest.raises(InvalidInput, match="need a canvas of 56; got size 50"):
        PairConfig(50)
    with pytest.raises(InvalidInput, match="lead must be from 1 to 32 on a canvas of 60; got 33"):
        PairConfig(lead=33)
    with pytest.raises(InvalidInput, match="got 0"):
        PairConfig(lead=0)
