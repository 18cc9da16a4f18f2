"""Scenes of digits: the published recipe, and properties that hold for every layout."""

import dataclasses

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from attnsci.data.digit_scenes import DigitScenes, SceneConfig
from attnsci.data.digits import load_mnist
from attnsci.errors import InvalidInput


@pytest.fixture(scope="module")
def digits():
    return load_mnist("test").subset(np.arange(0, 1000, 5))


def recipe(images, seed, n_objects, noise):
    """The spec's recipe, scene by scene and pixel by pixel where it can be."""
    n, width = len(images), 28 + 14 * (n_objects - 1)
    generator = np.random.default_rng(seed)
    members = [np.arange(n)] + [generator.integers(0, n, n) for _ in range(n_objects - 1)]
    order = np.argsort(generator.random((n, n_objects)), axis=1)
    drawn = generator.random((n, 1, 28, width)).astype(np.float32)
    scenes = np.zeros((n, 1, 28, width), np.float32)
    which = np.zeros((n, n_objects), int)
    for i in range(n):
        for slot in range(n_objects):
            which[i, slot] = members[order[i, slot]][i]
            digit = images[which[i, slot]].astype(np.float32) / np.float32(255)
            scenes[i, 0, :, 14 * slot : 14 * slot + 28] += digit
    scenes = scenes.clip(0, 1)
    return np.where(scenes <= 0, drawn * np.float32(noise), scenes), which


def equal(a, b):
    assert torch.equal(a.image, b.image)
    assert torch.equal(a.objects, b.objects)
    assert torch.equal(a.labels, b.labels)
    assert a.metadata.keys() == b.metadata.keys()
    for name, values in a.metadata.items():
        assert torch.equal(values, b.metadata[name]), name


@pytest.mark.parametrize(("n_objects", "noise", "seed"), [(2, 0.3, 0), (2, 0.0, 1), (3, 0.5, 7)])
def test_scenes_follow_the_published_recipe(digits, n_objects, noise, seed):
    expected, which = recipe(digits.images, seed, n_objects, noise)
    scenes = DigitScenes(digits, n_objects=n_objects, noise=noise, seed=seed)
    batch = scenes[:]
    np.testing.assert_array_equal(batch.image.numpy(), expected)
    np.testing.assert_array_equal(batch.labels.numpy(), digits.labels[which])
    assert batch.image.dtype == torch.float32
    assert batch.labels.dtype == torch.int64
    for slot in range(n_objects):
        np.testing.assert_array_equal(batch.metadata[f"digit_{slot}"], digits.index[which[:, slot]])
        np.testing.assert_array_equal(batch.metadata[f"label_{slot}"], batch.labels[:, slot])


@pytest.mark.data
def test_the_recipe_on_official_digits(data_root):
    digits = load_mnist("test", "full", data_root / "mnist")
    generator = np.random.default_rng(0)
    partner = generator.integers(0, 10_000, 10_000)
    order = np.argsort(generator.random((10_000, 2)), axis=1)
    noise = generator.random((10_000, 1, 28, 42))[9_990:].astype(np.float32) * np.float32(0.3)
    batch = DigitScenes(digits, seed=0)[9_990:]
    pairs = np.stack([np.arange(9_990, 10_000), partner[9_990:]], 1)
    placed = np.take_along_axis(pairs, order[9_990:], 1)
    np.testing.assert_array_equal(batch.labels, digits.labels[placed])
    empty = ~batch.masks.any(1).numpy()
    np.testing.assert_array_equal(batch.image.numpy()[empty], noise[empty])


@settings(max_examples=25, deadline=None)
@given(
    chosen=st.lists(st.integers(0, 199), min_size=1, max_size=12),
    seed=st.integers(0, 5),
    n_objects=st.integers(1, 3),
)
def test_a_scene_depends_on_seed_and_index_only(digits, chosen, seed, n_objects):
    scenes = DigitScenes(digits, n_objects=n_objects, seed=seed)
    every = DigitScenes(digits, n_objects=n_objects, seed=seed)[:]
    expected = dataclasses.replace(
        every,
        image=every.image[chosen],
        objects=every.objects[chosen],
        labels=every.labels[chosen],
        metadata={name: values[chosen] for name, values in every.metadata.items()},
    )
    equal(scenes[chosen], expected)
    equal(scenes[np.array(chosen)], expected)
    one = scenes[chosen[0]]
    assert torch.equal(one.image[0], every.image[chosen[0]])


@pytest.mark.parametrize("batch_size", [1, 7, 64, 500])
def test_batch_size_changes_nothing(digits, batch_size):
    scenes = DigitScenes(digits, seed=3)
    batches = list(scenes.batches(batch_size, 90))
    assert [len(batch) for batch in batches[:-1]] == [batch_size] * (len(batches) - 1)
    together = scenes[np.arange(90) * 200 // 90]
    assert torch.equal(torch.cat([batch.image for batch in batches]), together.image)
    assert torch.equal(torch.cat([batch.labels for batch in batches]), together.labels)
    assert sum(len(batch) for batch in scenes.batches(batch_size)) == len(scenes) == 200


def test_seeds_and_streams_differ(digits):
    batches = [DigitScenes(digits, seed=seed)[:20] for seed in (0, 1, (0, 1), (0, 1, 5))]
    for a in range(4):
        for b in range(a):
            assert not torch.equal(batches[a].image, batches[b].image)
    equal(DigitScenes(digits, seed=np.int64(4))[:5], DigitScenes(digits, seed=4)[:5])


@settings(max_examples=25, deadline=None)
@given(
    corners=st.lists(st.tuples(st.integers(0, 20), st.integers(0, 30)), min_size=1, max_size=4),
    margin=st.tuples(st.integers(0, 5), st.integers(0, 5)),
    noise=st.floats(0, 1),
    seed=st.integers(0, 9),
)
def test_every_layout_keeps_digits_whole_and_noise_off_them(digits, corners, margin, noise, seed):
    size = (
        max(r for r, _ in corners) + 28 + margin[0],
        max(c for _, c in corners) + 28 + margin[1],
    )
    config = SceneConfig(n_objects=len(corners), noise=noise, slots=tuple(corners), size=size)
    batch = DigitScenes(digits, config, seed=seed)[:6]
    position = {value: place for place, value in enumerate(digits.index.tolist())}
    assert batch.image.shape == (6, 1, *size)
    covered = batch.masks.any(1)
    torch.testing.assert_close(
        batch.image[covered], batch.objects.sum(1).clamp(max=1)[covered], rtol=0, atol=0
    )
    assert (batch.image[~covered] <= noise).all()
    assert (batch.image >= 0).all()
    if noise > 0.01:
        assert batch.image[~covered].mean().item() == pytest.approx(noise / 2, rel=0.1)
    for slot, (row, column) in enumerate(corners):
        for scene in range(6):
            place = position[int(batch.metadata[f"digit_{slot}"][scene])]
            frame = batch.objects[scene, slot, 0, row : row + 28, column : column + 28]
            np.testing.assert_array_equal(
                frame.numpy(), digits.images[place].astype(np.float32) / np.float32(255)
            )
            assert batch.objects[scene, slot].sum() == pytest.approx(frame.sum().item(), rel=1e-5)
            assert batch.labels[scene, slot] == digits.labels[place]


def test_digit_i_stands_in_scene_i_in_either_slot(digits):
    batch = DigitScenes(digits, seed=0)[:]
    stacked = torch.stack([batch.metadata["digit_0"], batch.metadata["digit_1"]], 1).numpy()
    first = stacked == digits.index[:, None]
    assert first.any(1).all()
    assert 0.4 < first[:, 0].mean() < 0.6
    same = (batch.labels[:, 0] == batch.labels[:, 1]).float().mean()
    assert 0.03 < same < 0.2


@pytest.mark.parametrize("n_objects", [2, 3, 6])
def test_equal_labels_are_refused_on_request(digits, n_objects):
    scenes = DigitScenes(digits, n_objects=n_objects, equal_labels=False, seed=1)
    labels = scenes[:].labels
    assert all(len(set(row.tolist())) == n_objects for row in labels)
    assert (np.sort(scenes.members, 1) == np.arange(200)[:, None]).any(1).all()
    # Scenes that were fine as drawn are left as they were drawn.
    free = DigitScenes(digits, n_objects=n_objects, seed=1)
    fine = np.array([len(set(row.tolist())) == n_objects for row in free[:].labels])
    assert 0 < fine.sum() < 200
    np.testing.assert_array_equal(free.members[fine], scenes.members[fine])


def test_different_labels_of_too_few_classes_are_refused(digits):
    zeros = digits.subset(digits.labels < 2)
    with pytest.raises(InvalidInput, match=r"3 different labels.*have 2"):
        DigitScenes(zeros, n_objects=3, equal_labels=False)


@pytest.mark.parametrize("column", [0, 5, 14])
def test_a_lone_digit_anywhere(digits, column):
    scenes = DigitScenes(digits, n_objects=1, slots=((0, column),), size=(28, 42), noise=0.0)
    batch = scenes[:10]
    expected = np.zeros((10, 1, 28, 42), np.float32)
    expected[:, 0, :, column : column + 28] = digits.images[:10] / np.float32(255)
    np.testing.assert_array_equal(batch.image.numpy(), expected)
    np.testing.assert_array_equal(batch.labels[:, 0], digits.labels[:10])


def test_superimposed_digits_share_their_pixels(digits):
    batch = DigitScenes(digits, slots=((0, 0), (0, 0)), noise=0.0)[:20]
    assert batch.image.shape[-2:] == (28, 28)
    assert batch.masks.all(1).any()
    assert batch.image.max() == 1


def test_batches_may_be_empty_and_indices_negative(digits):
    scenes = DigitScenes(digits)
    empty = scenes[[]]
    assert empty.image.shape == (0, 1, 28, 42)
    assert empty.labels.shape == (0, 2)
    equal(scenes[-1], scenes[199])
    equal(scenes[np.arange(200) == 3], scenes[3])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"n_objects": 0}, "n_objects"),
        ({"n_objects": 1.5}, "n_objects"),
        ({"noise": -0.1}, "noise.*-0.1"),
        ({"noise": 1.1}, "noise.*1.1"),
        ({"noise": float("nan")}, "noise.*nan"),
        ({"slots": ((0, 0),)}, "2 objects need as many slots"),
        ({"slots": ((0, 0), (-1, 3))}, "row -1, column 3"),
        ({"slots": ((0, 0), (0, 15)), "size": (28, 42)}, "column 15 leaves the scene of 28×42"),
        ({"size": (27, 42)}, "leaves the scene of 27×42"),
    ],
)
def test_impossible_layouts_are_refused(digits, changes, message):
    with pytest.raises(InvalidInput, match=message):
        DigitScenes(digits, **changes)


def test_no_digits_and_empty_batches_are_refused(digits):
    none = dataclasses.replace(
        digits, images=digits.images[:0], labels=digits.labels[:0], index=digits.index[:0]
    )
    with pytest.raises(InvalidInput, match="no digits"):
        DigitScenes(none)
    for arguments in ((0,), (-3,), (4, 0), (4, -1)):
        with pytest.raises(InvalidInput):
            next(DigitScenes(digits).batches(*arguments))


def test_provenance_tells_how_to_make_them_again(digits):
    told = DigitScenes(digits, noise=0.1, seed=(2, 3)).provenance()
    assert told["seed"] == [2, 3]
    assert told["scenes"]["noise"] == 0.1
    assert told["digits"]["source"] == "bundled"
    again = DigitScenes(digits, SceneConfig(**told["scenes"]), seed=tuple(told["seed"]))
    equal(again[:4], DigitScenes(digits, noise=0.1, seed=(2, 3))[:4])
