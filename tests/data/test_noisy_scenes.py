"""Noisy digits: the reference's scenes bit by bit; ours by laws, levels and brute force."""

import dataclasses
import json

import numpy as np
import pytest
import torch
from scipy import ndimage, stats

from attnsci.data import load_mnist
from attnsci.data.counters import stimulus_keys
from attnsci.data.noisy_layout import fresh_draws, lay_out
from attnsci.data.noisy_scenes import PRESETS, NoisyDigitsConfig, noisy_digits
from attnsci.errors import InvalidInput

MODES = ("fresh", "frozen", "pooled")
SIZES = (28, 128)
CENTRED = {"i_offset": 0, "j_offset": 0}
PLAIN = {"mask": False, "renormalise": False, "quantise": False}


@pytest.fixture(scope="module")
def digits():
    return load_mnist("train").subset(np.arange(0, 4000, 10))


@pytest.fixture(scope="module")
def official(data_root):
    return load_mnist("train", "full", data_root / "mnist").subset(np.arange(60))


def show(digits, n, *args, **settings):
    return noisy_digits(digits.images[:n], digits.labels[:n], digits.index[:n], *args, **settings)


def blanks(n, *args, **settings):
    none = np.zeros((n, 28, 28), np.uint8)
    return noisy_digits(none, np.zeros(n, int), np.arange(n), *args, **settings)


@pytest.mark.data
@pytest.mark.parametrize("order", [np.arange(6), np.array([4, 0, 5])])
def test_frozen_is_the_reference(official, data_root, order):
    golden = np.load(data_root / "what-where/reference_golden.npz")
    some = official.subset(order)
    small = show(some, 6, 28, "frozen", std=7, max_offset=25, contrast=0.5, noise=0.75)
    wanted = np.rint(golden["what28_std7_c0.5_n0.75"][order] * 255)
    assert (np.rint(small.image[:, 0].numpy() * 255) == wanted).all()
    np.testing.assert_array_equal(
        small.image[:, 0].numpy(), wanted.astype(np.float32) / np.float32(255)
    )
    shifts = np.array([(12, 2), (11, -4), (-2, 0), (12, 3), (0, 3), (3, -2)])
    assert (np.stack([small.metadata["dy"], small.metadata["dx"]], 1) == shifts[order]).all()
    large = show(some, 6, 128, "frozen", std=30, max_offset=40, contrast=0.5, noise=0.75)
    assert (
        np.stack([large.metadata["dy"], large.metadata["dx"]], 1) == golden["offsets"][order]
    ).all()
    wanted = golden["where128_std30_max40_c0.5_n0.75"][order]
    np.testing.assert_allclose(large.image[:, 0].numpy(), wanted, rtol=0, atol=1e-6)


@pytest.mark.data
def test_frozen_is_the_reference_of_sixty(official, data_root):
    wanted = np.load(data_root / "what-where/reference_polo768.npz")["img"]
    batch = show(official, 60, 128, "frozen", config=PRESETS[128])
    np.testing.assert_allclose(batch.image.numpy(), wanted, rtol=0, atol=1e-6)


@pytest.mark.parametrize("size", SIZES)
def test_frozen_draws_by_hand(digits, size):
    images, index = digits.images[:20], digits.index[:20]
    batch = show(digits, 20, size, "frozen", contrast=(0.3, 0.7))
    config = PRESETS[size]
    for k in range(20):
        stream = np.random.RandomState(index[k])
        if size == 28:
            dy, dx = (int(np.clip(stream.randn() * 15, -25, 25)) for _ in range(2))
        else:
            turn = stream.rand() * 2 * np.pi
            radius = min(abs(stream.randn()) * 30, 40)
            dy, dx = int(radius * np.cos(turn)), int(radius * np.sin(turn))
        contrast = stream.uniform(0.3, 0.7)
        assert (batch.metadata["dy"][k], batch.metadata["dx"][k]) == (dy, dx)
        assert batch.metadata["contrast"][k] == contrast
        # The noise, from the hash of what stands without it.
        scene = np.zeros((size, size))
        low = (size - 28) // 2
        scene[low : low + 28, low : low + 28] = images[k]
        scene = ndimage.shift(scene, (dy, dx), order=0)
        seed = hash(tuple(np.zeros(size * size)))
        if scene.max() > scene.min():
            scene = (scene - scene.min()) / (scene.max() - scene.min())
            scene = (2 * scene - 1) * contrast / 2 + 0.5
            seed = hash(tuple(scene.ravel()))
        stream = np.random.RandomState(seed % (2**31 - 1))
        phase = stream.rand(size, size)
        spectrum = np.exp(2j * np.pi * phase) * stream.randn(size, size)
        noise = np.fft.ifft2(np.fft.ifftshift(spectrum) * _envelope(size)).real
        noise -= noise.mean()
        noise = 0.5 + config.noise * noise / abs(noise).max() / 2
        scene = np.maximum(np.where(scene > 0.5, scene, -np.inf), noise)
        if size == 28:
            scene = np.floor(scene * 255) / 255
        else:
            scene = (scene - scene.min()) / (scene.max() - scene.min())
            line = np.linspace(-1, 1, 128)
            disc = np.sqrt(line[:, None] ** 2 + line**2) < 1
            scene = (scene - 0.5) * disc + 0.5
        np.testing.assert_allclose(batch.image[k, 0], scene, rtol=0, atol=1e-6)


def _envelope(size):
    line = np.fft.fftfreq(size)
    f = np.hypot(line[:, None], line)
    f[0, 0] = 1
    amplitude = np.exp(-0.5 * (np.log(f / 0.1) / np.log(2)) ** 2) / f
    amplitude[0, 0] = 0
    return amplitude


def test_what_is_fixed_is_not_drawn(digits):
    # With both offsets fixed the contrast comes first, and is the same in every cell of a map.
    cells = [
        show(digits, 9, 28, "frozen", i_offset=i, j_offset=j, contrast=(0.3, 0.7))
        for i, j in ((0, 0), (5, -20), (28, 0))
    ]
    wanted = [np.random.RandomState(k).uniform(0.3, 0.7) for k in digits.index[:9]]
    for cell in cells:
        assert cell.metadata["contrast"].tolist() == wanted
    one = show(digits, 9, 28, "frozen", j_offset=3)
    assert one.metadata["dx"].tolist() == [3] * 9
    first = [np.random.RandomState(k).randn() * 15 for k in digits.index[:9]]
    assert one.metadata["dy"].tolist() == [int(np.clip(x, -25, 25)) for x in first]
    far = show(digits, 9, 128, "frozen", radius=40, contrast=(0.3, 0.7))
    for k, i in enumerate(digits.index[:9]):
        stream = np.random.RandomState(i)
        assert far.metadata["dy"][k] == int(40 * np.cos(stream.rand() * 2 * np.pi))
        assert far.metadata["contrast"][k] == stream.uniform(0.3, 0.7)


def test_published_blanks_share_their_noise_and_ours_do_not():
    frozen = blanks(20, 28, "frozen").image
    assert (frozen == frozen[0]).all()
    other = blanks(20, 28, "frozen", seed=1)
    assert not torch.equal(frozen, other.image) and not other.metadata["visible"].any()
    for mode in ("fresh", "pooled"):
        shown = blanks(20, 28, mode, seed=0).image.flatten(1)
        assert torch.pdist(shown).min() > 1


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("size", SIZES)
def test_signal_to_noise_is_the_published(digits, size, mode):
    published = {
        (28, 0.75): (2.77, 1.99, 1.25),
        (28, 1.0): (2.10, 1.52, 0.98),
        (128, 0.75): (3.51, 2.50, 1.54),
        (128, 1.0): (2.61, 1.87, 1.20),
    }
    clean = torch.from_numpy(digits.images / 255)
    box = slice((size - 28) // 2, (size + 28) // 2)
    # Large frozen scenes take their time.
    for noise in (0.75,) if (size, mode) == (128, "frozen") else (0.75, 1.0):
        for contrast, d, level in zip(
            (0.7, 0.5, 0.3), published[size, noise], (0.963, 0.838, 0.707), strict=True
        ):
            settings = {"noise": noise, "contrast": contrast, "seed": 0, **CENTRED}
            scenes = show(digits, 400, size, mode, **settings).image[:, 0, box, box].double()
            ink, ground = scenes[clean > 0.9], scenes[clean <= 0.1]
            assert (ink.mean() - ground.mean()) / ground.std() == pytest.approx(d, rel=0.05)
            if (size, noise) == (128, 0.75):
                assert ink.mean() == pytest.approx(level, abs=0.008)
                assert ground.mean() == pytest.approx(0.5, abs=0.008)
                assert ground.std() == pytest.approx(0.135, abs=0.004)


@pytest.mark.parametrize("mode", ["fresh", "pooled"])
@pytest.mark.parametrize("size", SIZES)
def test_scenes_are_the_brighter_of_digit_and_noise(digits, size, mode):
    settings = {"seed": (3, 1), "contrast": (0.3, 0.7), **PLAIN}
    batch = noisy_digits(
        digits.images[:40], digits.labels[:40], np.arange(40), size, mode, **settings
    )
    # The same places show the same noise when there is no digit.
    noise = blanks(40, size, mode, **settings).image[:, 0].double().numpy()
    np.testing.assert_allclose(abs(noise - 0.5).max((1, 2)), 0.375, rtol=1e-6)
    meta = batch.metadata
    for k in range(40):
        scene = np.zeros((size, size))
        low = (size - 28) // 2
        scene[low : low + 28, low : low + 28] = digits.images[k]
        scene = ndimage.shift(scene, (int(meta["dy"][k]), int(meta["dx"][k])), order=0)
        assert bool(meta["visible"][k]) == (scene.max() > 0)
        if scene.max() > scene.min():
            scene = (scene - scene.min()) / (scene.max() - scene.min())
        ink = 0.5 + float(meta["contrast"][k]) * (2 * scene - 1) / 2
        wanted = np.where(ink > 0.5, np.maximum(ink, noise[k]), noise[k])
        np.testing.assert_allclose(batch.image[k, 0], wanted, rtol=0, atol=2e-7)
    assert meta["label"].tolist() == digits.labels[:40].tolist()
    assert meta["index"].tolist() == list(range(40))
    lengths = np.hypot(meta["dy"].numpy(), meta["dx"].numpy())
    np.testing.assert_allclose(meta["eccentricity"].numpy(), lengths)
    np.testing.assert_allclose(meta["noise_peak"], 0.375, rtol=1e-6)
    assert (meta["noise"] == 0.75).all()


def test_the_last_steps_one_by_one(digits):
    settings = {"seed": 0, "radius": 20.0}
    plain = show(digits, 10, 128, **settings, **PLAIN).image.double()
    low, high = plain.amin((1, 2, 3), keepdim=True), plain.amax((1, 2, 3), keepdim=True)
    stretched = show(digits, 10, 128, **settings, mask=False)
    assert stretched.config == dataclasses.replace(PRESETS[128], radius=20.0, mask=False)
    wanted = (plain - low) / (high - low)
    torch.testing.assert_close(stretched.image.double(), wanted, rtol=0, atol=1e-6)
    both = show(digits, 10, 128, **settings).image[:, 0]
    line = torch.linspace(-1, 1, 128, dtype=torch.float64)
    inside = torch.hypot(line[:, None], line) < 1
    assert (both[:, ~inside] == 0.5).all()
    torch.testing.assert_close(both[:, inside], stretched.image[:, 0, inside], rtol=0, atol=1e-6)
    rounded = show(digits, 10, 28, seed=0).image.double()
    exact = show(digits, 10, 28, seed=0, quantise=False).image.double()
    assert ((rounded - torch.floor(exact * 255) / 255).abs() < 1e-6).all()


def test_noise_can_be_made_equal_for_both_sizes(digits):
    for size in SIZES:
        batch = blanks(200, size, seed=0, norm="rms", noise=1.0, **PLAIN)
        assert batch.image.std((1, 2, 3)).mean() == pytest.approx(0.125, rel=0.01)
        assert batch.image.min() >= 0 and batch.image.max() <= 1
        peaks = (batch.image - 0.5).abs().amax((1, 2, 3))
        torch.testing.assert_close(batch.metadata["noise_peak"], peaks, rtol=0, atol=1e-6)


def test_without_noise_and_digit_all_is_grey():
    for size in SIZES:
        assert (blanks(3, size, noise=0.0, quantise=False).image == 0.5).all()


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("mode", MODES)
def test_the_seed_decides_and_not_the_batch(digits, size, mode):
    settings = {"seed": 0 if mode == "frozen" else (4, 2), "std": 9}
    together = show(digits, 40, size, mode, **settings)
    order = np.random.default_rng(0).permutation(40)
    for step in (1, 7):
        for start in range(0, 40, step * 3):
            rows = torch.from_numpy(order[start : start + step])
            chosen = digits.subset(rows.numpy())
            some = show(chosen, step, size, mode, **settings)
            torch.testing.assert_close(some.image, together.image[rows], rtol=0, atol=1e-6)
            for name, values in some.metadata.items():
                wanted = together.metadata[name][rows]
                torch.testing.assert_close(values, wanted, rtol=1e-6, atol=0)
    assert torch.equal(show(digits, 40, size, mode, **settings).image, together.image)


@pytest.mark.parametrize("mode", ["fresh", "pooled"])
def test_seed_split_and_generator(digits, mode):
    first = show(digits, 20, 28, mode, seed=(1, 2), **CENTRED)
    others = [
        show(digits, 20, 28, mode, seed=(1, 3), **CENTRED),
        show(digits, 20, 28, mode, seed=1, **CENTRED),
        show(digits, 20, 28, mode, seed=(1, 2), split="test", **CENTRED),
    ]
    for other in others:
        assert ((first.image - other.image).abs().amax((1, 2, 3)) > 0.1).all()
        assert not (first.metadata["contrast"] == other.metadata["contrast"]).any()
    # Without a seed always new, and still to be had again.
    one, two = show(digits, 20, 28, mode), show(digits, 20, 28, mode)
    assert ((one.image - two.image).abs().amax((1, 2, 3)) > 0.1).all()
    assert torch.equal(one.image, show(digits, 20, 28, mode, seed=one.seed).image)
    # A generator gives the same in one piece and in several.
    whole = show(digits, 20, 28, mode, seed=torch.Generator().manual_seed(5))
    generator = torch.Generator().manual_seed(5)
    parts = [
        show(digits.subset(range(a, a + 5)), 5, 28, mode, seed=generator) for a in (0, 5, 10, 15)
    ]
    torch.testing.assert_close(torch.cat([p.image for p in parts]), whole.image, rtol=0, atol=5e-3)
    assert torch.equal(torch.cat([p.metadata["dy"] for p in parts]), whole.metadata["dy"])
    assert whole.seed == () and parts[0].metadata["dy"].tolist() != parts[1].metadata["dy"].tolist()


def test_pooled_noise_is_rolled():
    shown = blanks(50, 28, "pooled", seed=0, pool=1, quantise=False).image.flatten(1)
    values = shown.sort(1).values
    assert (values == values[0]).all()
    assert torch.pdist(shown).min() > 0.1
    several = blanks(400, 28, "pooled", seed=0, pool=5, quantise=False).image.flatten(1)
    counts = np.unique(several.sort(1).values.numpy(), axis=0, return_counts=True)[1]
    assert len(counts) == 5 and stats.chisquare(counts).pvalue > 0.001


def test_mass_that_is_clipped_at_forty_pixels():
    n = 20_000
    keys = np.arange(n)
    published = (0, 0, 0.003, 0.024, 0.072, 0.134, 0.199, 0.261, 0.317)
    for std, share in zip(np.linspace(0, 40, 10)[1:], published, strict=True):
        dy = _offsets(keys, std=std, azimuth=0)[0]
        assert (dy == 40).mean() == pytest.approx(share, abs=0.0005 + 3.5 * np.sqrt(share / n))
        cut = _offsets(keys, std=std, azimuth=0, tail="truncate")[0]
        assert (cut == 40).sum() == 0
        wanted = stats.truncnorm(0, 40 / std, scale=std).cdf(np.arange(4, 40, 4))
        seen = (np.abs(cut)[:, None] < np.arange(4, 40, 4)).mean(0)
        np.testing.assert_allclose(seen, wanted, atol=4 * np.sqrt(0.25 / n))


def _offsets(index, **settings):
    config = dataclasses.replace(PRESETS[128], **settings)
    keys = stimulus_keys((0,), 1, torch.from_numpy(index))
    return lay_out(fresh_draws(keys, config), config)


def test_laws_of_the_offset():
    index = np.arange(20_000)
    axes = {"law": "axes", "std": 15.0, "max_offset": 25.0}
    dy, dx, contrast = _offsets(index, **axes, contrast=(0.3, 0.7))
    # Rounded towards 0, and what is beyond 25 at 25.
    below = stats.norm.cdf(np.arange(1, 26), scale=15)
    side = np.append(np.diff(below), 1 - below[-1])
    share = np.concatenate([side[::-1], [2 * below[0] - 1], side])
    for offset in (dy, dx):
        seen = (offset[:, None] == np.arange(-25, 26)).sum(0)
        assert stats.chisquare(seen, share * len(index)).pvalue > 1e-3
    assert abs(np.corrcoef([dy, dx, contrast])[np.triu_indices(3, 1)]).max() < 0.03
    assert stats.kstest(contrast, stats.uniform(0.3, 0.4).cdf).pvalue > 1e-3
    dy, dx, _ = _offsets(index, radius=40)
    assert np.hypot(dy, dx).max() <= 40 and np.hypot(dy, dx).min() > 38
    turn = (np.arctan2(dx, dy) / (2 * np.pi)) % 1
    assert abs(np.exp(2j * np.pi * turn).mean()) < 0.03
    for azimuth, place in ((0, (20, 0)), (90, (0, 20)), (180, (-20, 0)), (-90, (0, -20))):
        dy, dx, _ = _offsets(index[:3], radius=20, azimuth=azimuth)
        assert list(zip(dy, dx, strict=True)) == [place] * 3
    dy, dx, _ = _offsets(index[:3], i_offset=-50, j_offset=50)
    assert dy.tolist() == [-50] * 3 and dx.tolist() == [50] * 3


def test_floating_digits_are_the_same_digits(digits):
    floating = digits.images[:10] / np.float32(255)
    ours = noisy_digits(floating, digits.labels[:10], digits.index[:10], 128, seed=0, **PLAIN)
    same = show(digits, 10, 128, seed=0, **PLAIN)
    torch.testing.assert_close(ours.image, same.image, rtol=0, atol=1e-6)
    held = torch.from_numpy(digits.images[:10].copy())
    tensors = noisy_digits(held, torch.arange(10), torch.arange(10).int(), seed=0)
    assert tensors.image.shape == (10, 1, 28, 28) and len(tensors) == 10
    assert torch.equal(held, torch.from_numpy(digits.images[:10].copy()))


def test_provenance_says_it_all(digits):
    facts = show(digits, 2, 128, "pooled", seed=(0, 3), radius=8.5).provenance()
    assert json.loads(json.dumps(facts))["scenes"]["radius"] == 8.5
    assert (facts["mode"], facts["seed"], facts["split"]) == ("pooled", [0, 3], "train")
    again = show(digits, 2, config=NoisyDigitsConfig(**facts["scenes"]), mode="pooled", seed=(0, 3))
    assert torch.equal(again.image, show(digits, 2, 128, "pooled", seed=(0, 3), radius=8.5).image)


def test_nothing_global_moves(digits):
    def state():
        kind, words, *rest = np.random.get_state()  # noqa: NPY002
        return kind, words.tolist(), rest, torch.get_rng_state().tolist(), torch.get_default_dtype()

    before = state()
    for size in SIZES:
        for mode in MODES:
            show(digits, 3, size, mode)
    assert state() == before


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"images": np.zeros((3, 28, 28), np.int64)}, "uint8 or floating; got int64"),
        ({"images": np.zeros((3, 28, 28), bool)}, "uint8 or floating; got bool"),
        ({"images": torch.zeros(3, 28, 28, dtype=torch.int16)}, "got torch.int16"),
        ({"images": np.zeros((3, 27, 28), np.uint8)}, r"\(3, 27, 28\)"),
        ({"images": np.zeros((0, 28, 28), np.uint8)}, "images is empty"),
        ({"images": np.full((3, 28, 28), np.nan)}, "2352 values that are NaN"),
        ({"images": np.full((3, 28, 28), 2.0)}, "between 0 and 1; got 2 to 2"),
        ({"images": np.zeros((3, 28, 28)), "mode": "frozen"}, "must be uint8 in mode frozen"),
        ({"labels": np.zeros(4, int)}, r"labels must have shape \(3\)"),
        ({"labels": np.zeros(3)}, "labels must be whole numbers; got float64"),
        ({"index": np.arange(2)}, "index must have shape"),
        ({"index": np.array([0.0, 1, 2])}, "index must be whole numbers"),
        ({"index": np.array([0, 1, -2])}, "0 or more; got -2"),
        ({"index": np.array([0, 1, 2**32]), "mode": "frozen"}, "0 to 4294967296"),
        ({"size": 64}, "28, 128; got 64"),
        ({"size": 28, "config": PRESETS[128]}, "28 and config.size 128"),
        ({"mode": "thawed"}, "'fresh', 'frozen', 'pooled'; got 'thawed'"),
        ({"split": "valid"}, "'train', 'test'; got 'valid'"),
        ({"contrasts": 0.5}, "'contrast'"),
        ({"seed": -1}, "from 0 up in mode 'fresh'; got -1"),
        ({"seed": 1.5}, "got 1.5"),
        ({"seed": ()}, r"got \(\)"),
        ({"seed": (1, 2), "mode": "frozen"}, "a whole number from 0 up in mode 'frozen'"),
        ({"seed": torch.Generator(), "mode": "frozen"}, "a whole number from 0 up"),
        ({"mode": "frozen", "tail": "truncate"}, "tail='truncate'"),
        ({"mode": "frozen", "norm": "rms"}, "norm='rms'"),
        ({"noise": 1.5}, "noise must lie between 0 and 1; got 1.5"),
        ({"noise": float("nan")}, "got nan"),
        ({"contrast": -0.1}, "contrast must lie"),
        ({"contrast": (0.7, 0.3)}, r"from low to high; got \(0.7, 0.3\)"),
        ({"contrast": (0.3, 0.5, 0.7)}, "a number or a tuple"),
        ({"contrast": None}, "a number or a tuple"),
        ({"std": -1}, "std must be 0 or more"),
        ({"std": float("nan")}, "got nan"),
        ({"law": "square"}, "'axes', 'radial'; got 'square'"),
        ({"tail": "cut"}, "'clip', 'truncate'"),
        ({"norm": "max"}, "'peak', 'rms'"),
        ({"max_offset": 29}, "between 0 and 28"),
        ({"i_offset": -29}, "between -28 and 28"),
        ({"size": 128, "i_offset": 51, "j_offset": 0}, "between -50 and 50"),
        ({"size": 128, "i_offset": 4}, "both or neither"),
        ({"size": 128, "radius": 50.5}, "radius must lie"),
        ({"size": 128, "azimuth": float("inf")}, "azimuth must be finite"),
        ({"size": 128, "radius": 5, "i_offset": 1, "j_offset": 1}, "belong to law='radial'"),
        ({"radius": 5}, "belong to law='radial'"),
        ({"i_offset": 1.5}, "whole numbers"),
        ({"sf0": 0}, "sf0 must be above 0"),
        ({"b_sf": -1}, "b_sf must be above 0"),
        ({"pool": 0}, "pool must be a whole number"),
    ],
)
def test_bad_input_is_named(change, message):
    good = {
        "images": np.zeros((3, 28, 28), np.uint8),
        "labels": np.arange(3),
        "index": np.arange(3),
    }
    with pytest.raises(InvalidInput, match=message):
        noisy_digits(**{**good, **change})
