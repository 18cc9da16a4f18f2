"""Log-Gabor filters against a plain loop over one spectrum at a time."""

import math

import numpy as np
import pytest
import torch

from attnsci.errors import InvalidInput
from attnsci.sensors import log_gabor
from attnsci.sensors.log_gabor import log_gabor_filters


def by_hand(size, centre, orientation, sf_0, b_sf, b_theta, phase):
    """Return one filter, term by term on the centred grid."""
    k = (np.arange(size) - size // 2) / size
    f_row, f_column = np.meshgrid(k, k, indexing="ij")
    f = np.hypot(f_row, f_column)
    f[size // 2, size // 2] = 1e-6
    radial = np.ones_like(f) if math.isinf(b_sf) else np.exp(-0.5 * np.log(f / sf_0) ** 2 / b_sf**2)
    angle = np.arctan2(f_column, f_row)
    envelope = radial / f * np.exp((np.cos(angle - orientation) - 1) / b_theta**2)
    envelope *= (1 - np.exp((f - 0.5) / (0.5 * 0.07))) * (f < 0.5)
    envelope *= 1 - np.exp(-0.5 * f**2 / (0.5 / size) ** 2)
    shift = np.exp(-2j * np.pi * (centre[0] * f_row + centre[1] * f_column))
    wave = np.fft.ifft2(np.fft.ifftshift(envelope * shift * np.exp(-1j * phase))).real
    wave -= np.median(wave)
    return wave / np.abs(wave).max()


@pytest.mark.parametrize("b_sf", [0.4, math.inf])
def test_filters_term_by_term(b_sf):
    rng = np.random.default_rng(4)
    centres = rng.uniform(0, 24, (5, 2))
    orientations, sf_0 = rng.uniform(-4, 4, 5), rng.uniform(0.05, 0.4, 5)
    got = log_gabor_filters(
        24, *map(torch.from_numpy, (centres, orientations, sf_0)), b_sf=b_sf, b_theta=0.3
    )
    assert got.shape == (5, 2, 24, 24) and got.dtype == torch.float64
    for i in range(5):
        for p in range(2):
            wanted = by_hand(24, centres[i], orientations[i], sf_0[i], b_sf, 0.3, p * np.pi / 2)
            np.testing.assert_allclose(got[i, p].numpy(), wanted, rtol=0, atol=1e-12)


def test_batches_leave_no_trace(monkeypatch):
    rng = np.random.default_rng(5)
    places = [torch.from_numpy(rng.uniform(*span)) for span in ((0, 16, (7, 2)), (0, 3, 7))]
    sf_0 = torch.from_numpy(rng.uniform(0.05, 0.4, 7))
    whole = log_gabor_filters(16, *places, sf_0, b_sf=0.4, b_theta=0.3)
    monkeypatch.setattr(log_gabor, "BATCH", 3 * 16**2)
    parts = log_gabor_filters(16, *places, sf_0, b_sf=0.4, b_theta=0.3)
    torch.testing.assert_close(parts, whole, rtol=0, atol=1e-14)


def test_even_and_odd_about_the_centre():
    even, odd = log_gabor_filters(
        64, torch.tensor([[32.0, 32.0]]), torch.tensor([0.7]), torch.tensor([0.1]),
        b_sf=0.4, b_theta=0.26,
    )[0, :, 1:, 1:]  # fmt: skip
    torch.testing.assert_close(even, even.flip(0, 1), rtol=0, atol=1e-12)
    torch.testing.assert_close(odd, -odd.flip(0, 1), rtol=0, atol=1e-4)  # the median is not quite 0
    assert float(even[31, 31]) == 1


def test_it_prefers_its_frequency_and_orientation():
    angle, sf_0 = math.radians(30), 8 / 64
    bank = log_gabor_filters(
        64, torch.tensor([[32.0, 32.0]]), torch.tensor([angle]), torch.tensor([sf_0]),
        b_sf=0.4, b_theta=math.pi / 12,
    )[0]  # fmt: skip
    places = torch.arange(64.0, dtype=torch.float64) - 32
    row, column = torch.meshgrid(places, places, indexing="ij")

    def energy(f, direction):
        along = math.cos(direction) * row + math.sin(direction) * column
        wave = torch.exp(2j * math.pi * f * along) * torch.exp(-(row**2 + column**2) / 200)
        return float((bank * wave.real).sum((1, 2)).square().sum())

    best = energy(sf_0, angle)
    assert best > 10 * energy(sf_0, angle + math.pi / 2)
    assert best > energy(sf_0, angle + 0.4) and best > energy(sf_0, angle - 0.4)
    assert best > 3 * energy(3 * sf_0, angle) and best > energy(0.5 * sf_0, angle)


def test_bad_input():
    one = torch.zeros(1, 2), torch.zeros(1), torch.ones(1)
    with pytest.raises(InvalidInput, match=r"size must be even.*got 31"):
        log_gabor_filters(31, *one, b_sf=1, b_theta=1)
    with pytest.raises(InvalidInput, match="b_sf"):
        log_gabor_filters(32, *one, b_sf=0, b_theta=1)
    with pytest.raises(InvalidInput, match="n_phases must be one of 1, 2; got 3"):
        log_gabor_filters(32, *one, b_sf=1, b_theta=1, n_phases=3)
