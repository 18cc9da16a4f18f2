"""The 2880-filter retina: the reference's filters and features, its rank, its symmetry, back."""

import dataclasses
import math

import numpy as np
import pytest
import torch

from attnsci.errors import InvalidInput
from attnsci.sensors.log_polar_retina import LogPolarConfig, LogPolarRetina, log_polar_filters
from attnsci.sensors.whitening import Whitening, WhiteningConfig

SMALL = LogPolarConfig(size=32, n_theta=4, n_azimuth=8, n_ecc=5)


@pytest.fixture(scope="module")
def retina():
    return LogPolarRetina()


@pytest.fixture(scope="module")
def small():
    return LogPolarRetina(SMALL)


def test_rings_of_the_specification():
    config = LogPolarConfig()
    radii = [2.33, 3.29, 4.63, 6.54, 9.21, 12.99, 18.32, 25.83, 36.42, 51.35]
    np.testing.assert_allclose(config.radius_px.numpy(), radii, atol=5e-3)
    assert config.n_features == 2880
    degrees = np.degrees(config.azimuth.numpy())
    assert degrees[1, 0] == pytest.approx(15) and degrees[1, 1] == pytest.approx(22.5)
    np.testing.assert_allclose(config.centres[6, 0].numpy(), [0, config.radius_px[0]], atol=1e-12)


@pytest.mark.data
def test_filters_of_the_reference(retina, golden):
    wanted = golden["filters"]
    bank = retina.bank()[golden["filters_sel"]].numpy()
    np.testing.assert_allclose(bank, wanted, rtol=0, atol=1e-6)
    for flat, filters in zip(golden["filters_sel"], wanted, strict=True):
        theta, azimuth, ecc, phase = np.unravel_index(flat, retina.config.shape)
        exact = log_polar_filters(retina.config, int(azimuth))[theta, ecc, phase]
        np.testing.assert_allclose(exact.flatten().numpy(), filters, rtol=6.1e-8, atol=2e-12)


@pytest.mark.data
def test_features_of_the_reference(retina, golden):
    white = torch.from_numpy(golden["whitened"])[:, None]
    np.testing.assert_allclose(retina(white).numpy(), golden["retina2880"], rtol=0, atol=5e-4)
    images = torch.from_numpy(golden["where128_std30_max40_c0.5_n0.75"])[:, None]
    whole = Whitening().encode(images)
    np.testing.assert_allclose(retina(whole).numpy(), golden["retina2880"], rtol=0, atol=5e-4)


@pytest.mark.data
def test_features_in_double_precision(golden):
    """Float32 images bound what can be seen of the reference's float64 features."""
    config = LogPolarConfig()
    white = golden["whitened"].astype(float).reshape(6, -1)
    wanted = golden["retina2880"].reshape(6, *config.shape)
    for azimuth in (0, 7, 23):
        filters = log_polar_filters(config, azimuth).flatten(3).numpy()
        got = np.einsum("tepx,nx->ntep", filters, white)
        np.testing.assert_allclose(got, wanted[:, :, azimuth], rtol=0, atol=1e-4)


def test_the_fast_product_is_the_product_with_the_bank(small):
    images = torch.rand(4, 1, 32, 32, generator=torch.Generator().manual_seed(0)).double()
    wanted = images.flatten(1) @ small.bank().double().T
    torch.testing.assert_close(LogPolarRetina(SMALL).double()(images), wanted, rtol=0, atol=1e-5)
    exact = torch.stack([log_polar_filters(SMALL, a) for a in range(8)], 1).flatten(0, 3)
    torch.testing.assert_close(small.bank(), exact.flatten(1).float(), rtol=0, atol=2e-7)


@pytest.mark.slow
def test_the_bank_is_redundant(retina):
    bank = retina.bank().double()
    values = torch.linalg.eigvalsh(bank @ bank.T).clamp(min=0).sqrt().flip(0).numpy()
    rank = (values > values[0] * 16384 * np.finfo(np.float32).eps).sum()
    assert 1000 <= rank <= 1200
    assert values[0] == pytest.approx(75.2, abs=0.1)
    assert values[1000] == pytest.approx(0.227, rel=0.05)


def test_every_fixation_is_seen_alike():
    retina = LogPolarRetina(SMALL, WhiteningConfig(size=32))
    images = torch.rand(2, 1, 32, 32, generator=torch.Generator().manual_seed(1))
    wide = torch.full((2, 1, 60, 70), 0.5)
    wide[:, :, 20:52, 30:62] = images
    fixation = torch.tensor([[46.0, 36.0], [46.0, 36.0]])
    torch.testing.assert_close(retina(wide, fixation), retina(images), rtol=0, atol=0)
    half = LogPolarRetina(SMALL, WhiteningConfig(size=32, offset=0, clipped=False))
    sums = half.bank().sum(1)
    difference = LogPolarRetina(SMALL, WhiteningConfig(size=32, clipped=False))(images)
    torch.testing.assert_close(
        difference - half(images), (0.5 * sums).expand(2, -1), atol=1e-4, rtol=0
    )


def test_back_to_the_image(small):
    generator = torch.Generator().manual_seed(2)
    white = Whitening(WhiteningConfig(size=32))(torch.rand(3, 1, 32, 32, generator=generator))
    features = small(white)
    back = small.inverse(features)
    assert float((small(back) - features).norm() / features.norm()) < 2e-3
    # Nothing but what the filters cannot see is lost: the rest has no part in their span.
    assert float(back.norm()) < float(white.norm())
    lost = (back - white).square().mean((0, 1)) / white.var()
    assert float(lost[13:20, 13:20].mean()) < 0.5 < float(lost[:4].mean())


@pytest.mark.slow
@pytest.mark.data
def test_back_to_the_image_at_full_size(retina, golden):
    white = torch.from_numpy(golden["whitened"])[:, None] - 0.5
    features = retina(white)
    back = retina.inverse(features)
    assert float((retina(back) - features).norm() / features.norm()) < 1e-3
    row, column = torch.meshgrid(*(2 * [torch.arange(128.0) - 64]), indexing="ij")
    distance = torch.hypot(row, column)
    lost = [
        float((back - white)[..., ring].var() / white[..., ring].var())
        for ring in (distance < 8, (distance >= 16) & (distance < 24), distance > 50)
    ]
    assert lost[0] < lost[1] < lost[2]
    assert lost[0] < 0.15


def test_gradient_reaches_image_and_fixation(small):
    images = torch.rand(1, 1, 40, 40, requires_grad=True)
    fixation = torch.tensor([[20.3, 19.6]], requires_grad=True)
    small(images, fixation)[0, 5].backward()
    assert float(images.grad.abs().sum()) > 0 and bool((fixation.grad != 0).all())
    exact = LogPolarRetina(dataclasses.replace(SMALL, n_theta=1, n_ecc=2)).double()
    images, fixation = images.detach().double(), fixation.detach().double().requires_grad_()
    assert torch.autograd.gradcheck(lambda f: exact(images, f), fixation)


def test_no_global_side_effects():
    torch.manual_seed(5)
    np.random.seed(5)  # noqa: NPY002
    before = torch.get_rng_state(), np.random.get_state()[1].copy(), torch.get_default_dtype()  # noqa: NPY002
    LogPolarRetina(SMALL, WhiteningConfig(size=32))(torch.zeros(1, 1, 32, 32))
    log_polar_filters(SMALL, 0)
    assert torch.equal(torch.get_rng_state(), before[0])
    assert (np.random.get_state()[1] == before[1]).all()  # noqa: NPY002
    assert torch.get_default_dtype() == before[2] == torch.float32


def test_the_bank_stays_out_of_weights(small):
    assert not small.state_dict()
    assert all(buffer.dtype in (torch.float32, torch.int64) for buffer in small.buffers())


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"n_azimuth": 10}, "multiple of 4.*got 10"),
        ({"size": 33}, "even"),
        ({"rho": 1.0}, "rho must be above 1"),
        ({"n_phase": 3}, "n_phase"),
        ({"b_theta": math.nan}, "b_theta"),
        ({"ecc_max": 1.5}, "ecc_max"),
    ],
)
def test_bad_settings(settings, message):
    with pytest.raises(InvalidInput, match=message):
        dataclasses.replace(SMALL, **settings)


def test_bad_images(small):
    with pytest.raises(InvalidInput, match=r"takes images with 1 channel\(s\); got 3"):
        small(torch.zeros(1, 3, 32, 32))
    with pytest.raises(InvalidInput, match="32×32 pixels; got 28×28"):
        small(torch.zeros(1, 1, 28, 28))
    with pytest.raises(InvalidInput, match=r"features must have shape \(N, 320\)"):
        small.inverse(torch.zeros(1, 319))
    with pytest.raises(InvalidInput, match="128 pixels and the retina for 32"):
        LogPolarRetina(SMALL, WhiteningConfig())
