"""Band-pass noise: the published recipe, and the fast form with the same statistics."""

import numpy as np
import pytest
import torch

from attnsci.data.noise_fields import (
    RMS,
    envelope,
    random_fields,
    recipe_fields,
    rolled_fields,
    unrolled,
)
from attnsci.errors import InvalidInput


def power(fields: np.ndarray) -> np.ndarray:
    return (np.abs(np.fft.fft2(fields)) ** 2).mean(0)


def frequencies(size: int) -> np.ndarray:
    line = np.fft.fftfreq(size)
    return np.hypot(line[:, None], line)


def by_hand(seed: int, size: int, sf0: float, b_sf: float) -> np.ndarray:
    stream = np.random.RandomState(seed)
    phase, gain = stream.rand(size, size), stream.randn(size, size)
    centred = np.fft.fftshift(frequencies(size))
    spectrum = np.zeros((size, size), complex)
    for row, column in np.ndindex(size, size):
        f = centred[row, column]
        if f > 0:
            width = np.log((sf0 + b_sf) / sf0)
            amplitude = np.exp(-0.5 * (np.log(f / sf0) / width) ** 2) / f
            turn = np.exp(2j * np.pi * phase[row, column])
            spectrum[row, column] = turn * gain[row, column] * amplitude
    field = np.fft.ifft2(np.fft.ifftshift(spectrum)).real
    field = field - field.mean()
    return 0.5 * field / abs(field).max() + 0.5


@pytest.mark.data
def test_the_recipe_is_the_reference(data_root):
    golden = np.load(data_root / "what-where/reference_golden.npz")["mc_noise28_seed42"]
    np.testing.assert_allclose(recipe_fields([42], 28)[0], golden, rtol=0, atol=1e-12)


def test_the_recipe_step_by_step():
    fields = recipe_fields([3, 2**32 - 1], 20, 0.15, 0.05)
    for field, seed in zip(fields, [3, 2**32 - 1], strict=True):
        np.testing.assert_allclose(field, by_hand(seed, 20, 0.15, 0.05), rtol=0, atol=1e-12)


def test_envelope_has_its_peak_where_the_formula_has():
    row = envelope(1000)[0, :501]
    # d/df: ln(f / sf0) = −(ln 2)²
    assert row.argmax() == round(1000 * 0.1 * np.exp(-(np.log(2) ** 2)))
    assert row[100] == pytest.approx(10) and row[0] == 0
    assert row[200] == pytest.approx(np.exp(-0.5) / 0.2)
    assert (envelope(28) == envelope(28).T).all()


@pytest.mark.parametrize(("size", "n", "std"), [(28, 1000, 0.33), (128, 300, 0.25)])
def test_both_have_the_same_statistics(size, n, std):
    fast = random_fields(torch.arange(n), size)
    assert fast.dtype == torch.float32
    fast, recipe = fast.double().numpy(), recipe_fields(range(n), size) - 0.5
    for fields in (fast, recipe):
        np.testing.assert_allclose(np.abs(fields).max((1, 2)), 0.5, rtol=1e-6)
        np.testing.assert_allclose(fields.mean((1, 2)), 0, atol=1e-6)
        assert 2 * fields.std((1, 2)).mean() == pytest.approx(std, rel=0.05)
    levels = np.linspace(0.05, 0.95, 19)
    np.testing.assert_allclose(np.quantile(fast, levels), np.quantile(recipe, levels), atol=0.006)
    rings = np.digitize(frequencies(size), np.quantile(frequencies(size), np.linspace(0, 1, 13)))
    for ring in range(1, 13):
        ours, theirs = (power(fields)[rings == ring].mean() for fields in (fast, recipe))
        assert ours == pytest.approx(theirs, rel=0.05), ring


def test_every_frequency_has_its_power():
    size, n = 28, 4000
    # rms: no field is scaled by a single pixel of it
    spectrum = power(random_fields(torch.arange(n), size, norm="rms").double().numpy())
    known = envelope(size) > 0
    ratio = np.divide(spectrum, envelope(size) ** 2, where=known, out=np.zeros((size, size)))
    overall = ratio[known].mean()
    middle = size // 2
    own = [ratio[0, 1:], ratio[1:, 0], ratio[middle], ratio[:, middle]]  # rows, columns apart
    for line in own:
        assert line.mean() == pytest.approx(overall, rel=0.04)
    for corner in (ratio[0, middle], ratio[middle, 0], ratio[middle, middle]):
        assert corner == pytest.approx(overall, rel=5 * np.sqrt(2 / n))
    assert abs(ratio[known] / overall - 1).max() < 6 / np.sqrt(n / 2)


@pytest.mark.parametrize("size", [28, 128])
def test_rms_is_the_same_for_all(size):
    fields = random_fields(torch.arange(5), size, norm="rms").double()
    np.testing.assert_allclose(fields.square().mean((1, 2)).sqrt(), RMS, rtol=1e-5)


def test_a_field_depends_on_its_key_alone():
    keys = torch.arange(50)
    together = random_fields(keys, 28)
    apart = torch.cat([random_fields(keys[a : a + 7].clone(), 28) for a in range(0, 50, 7)])
    torch.testing.assert_close(together, apart, rtol=0, atol=1e-6)
    flat = together.flatten(1)
    correlation = torch.corrcoef(flat).fill_diagonal_(0)
    assert correlation.abs().max() < 0.6


def test_rolls_are_cyclic():
    fields = random_fields(torch.arange(4), 28)
    which, rows, columns = torch.tensor([[3, 0, 0, 2], [0, 27, 5, 13], [0, 1, 27, 14]])
    rolled = rolled_fields(unrolled(fields), which, rows, columns)
    for k in range(4):
        moved = fields[which[k]].roll((int(rows[k]), int(columns[k])), (0, 1))
        assert torch.equal(rolled[k], moved)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: recipe_fields([-1], 28), "got -1"),
        (lambda: recipe_fields([0, 2**32], 28), "got 4294967296"),
        (lambda: envelope(0), "size must be"),
        (lambda: envelope(28, float("nan")), "sf0 must be above 0; got nan"),
        (lambda: envelope(28, 0.1, -0.1), "b_sf must be above 0; got -0.1"),
        (lambda: random_fields(torch.arange(2), 27), "even number; got 27"),
        (lambda: random_fields(torch.arange(2), 28, norm="max"), "'peak', 'rms'; got 'max'"),
    ],
)
def test_bad_input_is_named(make, message):
    with pytest.raises(InvalidInput, match=message):
        make()
