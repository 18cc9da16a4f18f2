"""Bars: the sums of the published grid, each stimulus once, and a pixel-by-pixel reference."""

import numpy as np
import pytest
import torch
from PIL import Image

from attnsci.data.bars import ORIENTATIONS_DEG, BarConfig, BarScenes, bar
from attnsci.data.digits import load_mnist
from attnsci.errors import InvalidInput

# Sum of all pixels of the 396 different bars at 0, 9, ..., 90 degrees.
SUMS = [
    32298.658, 32514.968, 32736.809, 31643.517, 32640.494, 32977.700,
    32470.596, 31151.213, 32152.203, 31883.218, 31553.837,
]  # fmt: skip


@pytest.fixture(scope="module")
def digit():
    return load_mnist("train").images[400]


def drawn(sigma, angle):
    v = np.linspace(-10, 10, 28)
    column = np.exp(-(v**2) / (2 * sigma**2))
    image = np.repeat(column[:, None], 20, axis=1)
    return np.asarray(Image.fromarray((image / image.max()).astype(np.float32)).rotate(angle))


def published_grid(angle):
    """All 726 stimuli of an orientation, repeats included, pixel by pixel."""
    out = []
    for sigma in np.linspace(0.5, 2, 6):
        source = drawn(sigma, angle)
        for dx in [int(-q - 11) for q in np.linspace(-15, -10, 11)]:
            for dy in range(-10, 11, 2):
                placed = np.zeros((28, 42), np.float32)
                for r in range(28):
                    for c in range(42):
                        if 0 <= r + dy < 28 and 0 <= c + dx < 20:
                            placed[r, c] = source[r + dy, c + dx]
                out.append(placed)
    return np.stack(out)


def test_the_sums_of_the_published_stimuli(digit):
    scenes = BarScenes(digit, orientations_deg=ORIENTATIONS_DEG)
    sums, different = [], []
    for batch in scenes.batches(396):
        bars = batch.objects[:, 0]
        sums.append(bars.double().sum().item())
        different.append(len(np.unique(bars.flatten(1).numpy(), axis=0)))
    assert different == [396] * 21
    np.testing.assert_allclose(sums[:11], SUMS, atol=6e-4)
    np.testing.assert_allclose(sums, sums[::-1], rtol=1e-9)


@pytest.mark.parametrize("angle", [0.0, 27.0])
def test_the_published_grid_without_its_repeats(digit, angle):
    ours = next(BarScenes(digit, orientations_deg=(angle,)).batches(1000)).objects[:, 0, 0]
    theirs = published_grid(angle)
    assert theirs.shape == (726, 28, 42)
    np.testing.assert_array_equal(
        np.unique(ours.flatten(1).numpy(), axis=0), np.unique(theirs.reshape(726, -1), axis=0)
    )


def test_half_a_turn_is_no_turn(digit):
    upright, turned = BarScenes(digit, orientations_deg=(0.0, 180.0)).batches(396)
    np.testing.assert_array_equal(upright.image, turned.image)
    assert 180.0 not in BarConfig().orientations_deg


def test_bar_and_digit_add_without_clamp_or_noise(digit):
    scenes = BarScenes(digit)
    assert len(scenes) == 20 * 396
    batch = next(scenes.batches(50))
    assert batch.image.shape == (50, 1, 28, 42)
    assert batch.image.dtype == torch.float32
    np.testing.assert_array_equal(batch.image, batch.objects.sum(1))
    np.testing.assert_array_equal(
        batch.objects[7, 1, 0, :, 14:], digit.astype(np.float32) / np.float32(255)
    )
    assert not batch.objects[:, 1, 0, :, :14].any()
    assert not batch.objects[:, 0, 0, :, 21:].any()
    # Bars reach columns 14 to 20, where a digit may be: there they add to more than 1.
    bright = next(BarScenes(np.full((28, 28), 255, np.uint8)).batches(396)).image
    assert bright.max() == 2
    assert (batch.labels == -1).all()


def test_the_metadata_says_where_each_bar_is(digit):
    config = {"orientations_deg": (45.0,), "widths": (1.0, 2.0)}
    batch = next(BarScenes(digit, **config).batches(1000))
    assert len(batch) == 2 * 11 * 6
    rows = {name: values.tolist() for name, values in batch.metadata.items()}
    for index in (0, 40, 131):
        source = drawn(rows["width"][index], 45.0)
        dy, dx = rows["row_shift"][index], rows["column_shift"][index]
        placed = batch.objects[index, 0, 0].numpy()
        for r in range(28):
            for c in range(42):
                inside = 0 <= r + dy < 28 and 0 <= c + dx < 20
                assert placed[r, c] == (source[r + dy, c + dx] if inside else 0)
    assert set(rows["orientation_deg"]) == {45.0}


def test_mirrored_scenes_are_flipped_left_to_right(digit):
    plain = next(BarScenes(digit).batches(396))
    mirrored = next(BarScenes(digit, mirrored=True).batches(396))
    np.testing.assert_array_equal(mirrored.image, plain.image.flip(-1))
    np.testing.assert_array_equal(mirrored.objects, plain.objects.flip(-1))
    assert not mirrored.objects[:, 0, 0, :, :21].any()


@pytest.mark.parametrize("batch_size", [1, 100, 396, 5000])
def test_batches_never_mix_orientations(digit, batch_size):
    scenes = BarScenes(digit, orientations_deg=(0.0, 9.0), widths=(1.0,))
    batches = list(scenes.batches(batch_size))
    assert all(len(b.metadata["orientation_deg"].unique()) == 1 for b in batches)
    together = torch.cat([b.image for b in scenes.batches(66)])
    assert torch.equal(torch.cat([b.image for b in batches]), together)
    assert len(together) == len(scenes) == 132


def test_a_bar_is_one_at_its_ridge_and_symmetric():
    upright = bar(1.0, 0.0)
    assert upright.shape == (28, 20)
    assert upright.max() == 1
    np.testing.assert_array_equal(upright, upright[::-1])
    assert (upright.argmax(0) == 13).all()
    lying = bar(1.0, 90.0)
    # Rotated about the centre and cut at 20 columns, it stands upright in the middle of them.
    assert set(lying.argmax(1)[4:24].tolist()) <= {9, 10}
    assert lying[:4].sum() == lying[24:].sum() == 0


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"orientations_deg": ()}, "orientations_deg"),
        ({"widths": (1.0, 1.0)}, "widths must hold.*different values"),
        ({"widths": (0.0,)}, "widths must be above 0"),
        ({"widths": (float("nan"),)}, "widths"),
        ({"row_shifts": ()}, "row_shifts"),
        ({"column_shifts": (1, 1)}, "column_shifts"),
    ],
)
def test_impossible_grids_are_refused(digit, changes, message):
    with pytest.raises(InvalidInput, match=message):
        BarScenes(digit, **changes)


def test_wrong_digits_and_batches_are_refused(digit):
    with pytest.raises(InvalidInput, match=r"\(28, 28\); got \(28, 42\)"):
        BarScenes(np.zeros((28, 42), np.uint8))
    with pytest.raises(InvalidInput, match="float64"):
        BarScenes(digit / 255)
    with pytest.raises(InvalidInput, match="batch_size"):
        next(BarScenes(digit).batches(0))


@pytest.mark.data
def test_the_published_distractor(data_root):
    train = load_mnist("train", "full", data_root / "mnist")
    assert train.labels[6] == 1
    assert int(train.images[6].sum()) == 17_646
    batch = next(BarScenes(train.images[6]).batches(1))
    assert batch.objects[0, 1].double().sum() * 255 == pytest.approx(17_646, rel=1e-6)


def test_provenance_tells_the_grid(digit):
    told = BarScenes(digit, widths=(1.0,)).provenance()
    assert told["bars"]["widths"] == (1.0,)
