"""Whitening: the reference's images, closed forms on single waves, and back."""

import math

import numpy as np
import pytest
import torch

from attnsci.errors import InvalidInput
from attnsci.sensors.whitening import Whitening, WhiteningConfig, whitening_gain


@pytest.mark.data
def test_whitened_images_of_the_reference(golden):
    images = torch.from_numpy(golden["where128_std30_max40_c0.5_n0.75"])[:, None]
    white = Whitening()(images)[:, 0].numpy()
    np.testing.assert_allclose(white, golden["whitened"], rtol=0, atol=1e-6)
    exact = Whitening().double()
    exact.gain = whitening_gain(exact.config)[:, :65]
    white = exact(images.double())[:, 0].numpy()
    np.testing.assert_allclose(white, golden["whitened"], rtol=0, atol=2e-7)


def test_a_wave_is_multiplied_by_its_gain():
    config = WhiteningConfig(size=64, offset=0.25, clipped=False)
    rows, columns = torch.meshgrid(torch.arange(64.0), torch.arange(64.0), indexing="ij")
    gain = whitening_gain(config)
    assert float(gain.mean()) == pytest.approx(1, abs=1e-12)
    for k_row, k_column in [(3, 0), (5, 11), (30, 2)]:
        wave = torch.cos(2 * math.pi * (k_row * rows + k_column * columns) / 64)
        white = Whitening(config)(wave[None, None]) - 0.25
        f = math.hypot(k_row, k_column) / 64
        ratio = float(gain[k_row, k_column] / gain[3, 0])
        wanted = (f / (3 / 64)) ** 1.4 * math.exp((3 / 64 / 0.4) ** 4 - (f / 0.4) ** 4)
        assert ratio == pytest.approx(wanted, rel=1e-12)
        wanted = float(gain[k_row, k_column]) * wave
        torch.testing.assert_close(white[0, 0], wanted, rtol=0, atol=3e-5)


def test_one_over_f_noise_becomes_white():
    config = WhiteningConfig(size=128, offset=0, clipped=False)
    noise = torch.randn(200, 128, 128, generator=torch.Generator().manual_seed(1))
    spectrum = torch.fft.rfft2(noise)
    f = torch.hypot(torch.fft.fftfreq(128)[:, None], torch.fft.rfftfreq(128)[None])
    f[0, 0] = 1
    natural = torch.fft.irfft2(spectrum / f**1.4, s=(128, 128))
    power = torch.fft.rfft2(Whitening(config)(natural[:, None])).abs().square().mean((0, 1))
    bands = [power[(f > low) & (f < low + 0.03)].mean() for low in (0.03, 0.08, 0.13, 0.18)]
    assert max(bands) / min(bands) < 1.15


def test_back_to_the_image_but_for_its_mean():
    generator = torch.Generator().manual_seed(2)
    images = torch.rand(3, 2, 64, 64, generator=generator)
    whitening = Whitening(WhiteningConfig(size=64, clipped=False))
    back = whitening.inverse(whitening(images))
    wanted = images - images.mean((-2, -1), keepdim=True) + 0.5
    assert float((back - wanted).abs().max()) < 5e-3
    exact = whitening.double()
    back = exact.inverse(exact(images.double()), mean=0)
    torch.testing.assert_close(back, wanted.double() - 0.5, rtol=0, atol=1e-7)
    assert bool((whitening.gain[0, 0] < 1e-7) & (whitening.gain[0, 1] > 1e-3))


def test_only_the_clipped_one_is_cut():
    images = 20 * torch.rand(1, 1, 64, 64, generator=torch.Generator().manual_seed(3))
    config = WhiteningConfig(size=64)
    cut = Whitening(config)(images)
    free = Whitening(WhiteningConfig(size=64, clipped=False))(images)
    assert float(free.min()) < 0 and float(free.max()) > 1
    assert torch.equal(cut, free.clamp(0, 1))


def test_bad_input():
    with pytest.raises(InvalidInput, match="cutoff must be above 0; got -1"):
        WhiteningConfig(cutoff=-1)
    with pytest.raises(InvalidInput, match="must be 64×64"):
        Whitening(WhiteningConfig(size=64)).inverse(torch.zeros(1, 1, 32, 32))
