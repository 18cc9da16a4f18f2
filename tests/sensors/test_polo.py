"""The POLO retinas: the reference's bank and features, their order, the pyramid, and back."""

import numpy as np
import pytest
import torch
from torch.nn import functional

from attnsci.errors import InvalidInput
from attnsci.sensors.polo import (
    CONV_POLO_INNER,
    CONV_POLO_OUTER,
    POLO_85_INNER,
    POLO_85_OUTER,
    POLO_95,
    DualPoloRetina,
    PoloConfig,
    PoloRetina,
    from_pyramid,
    polo_bank,
    pyramid,
)


@pytest.mark.data
def test_bank_of_the_reference(golden_polo):
    bank = polo_bank(POLO_95).permute(3, 4, 1, 2, 0).numpy()
    np.testing.assert_allclose(bank, golden_polo["K"][..., 0], rtol=0, atol=1e-6)


@pytest.mark.data
def test_features_of_the_reference(golden_polo):
    images = torch.from_numpy(golden_polo["img"])
    retina = PoloRetina()
    features = retina(images)
    np.testing.assert_allclose(features.numpy(), golden_polo["feat"], rtol=0, atol=1e-4)
    exact = retina.double()
    exact.bank = polo_bank(POLO_95).flatten(0, 2).flatten(1)
    features = exact(images.double())
    np.testing.assert_allclose(features.numpy(), golden_polo["feat"], rtol=0, atol=5e-6)


def whole_pyramid(image, n_levels):
    """Return every level in full."""
    levels = []
    for _ in range(n_levels - 1):
        size = image.shape[-1]
        low = functional.interpolate(image, size // 2, mode="bilinear", align_corners=False)
        high = functional.interpolate(low, size, mode="bilinear", align_corners=False)
        levels.append(image - high)
        image = low
    return [*levels, image]


@pytest.mark.parametrize(("width", "n_levels"), [(32, 3), (32, 2), (64, 2), (16, 4), (64, 1)])
def test_the_pyramid_is_cut_from_the_whole_one(width, n_levels):
    images = torch.rand(2, 1, 128, 128, generator=torch.Generator().manual_seed(1)).double()
    got = pyramid(images, width, n_levels)
    for level, wanted in zip(got.unbind(1), whole_pyramid(images, n_levels), strict=True):
        border = (wanted.shape[-1] - width) // 2
        centre = wanted[:, 0, border : border + width, border : border + width]
        torch.testing.assert_close(level, centre, rtol=0, atol=1e-12)


def test_a_level_smaller_than_the_bank_is_seen_among_zeros():
    images = torch.rand(1, 1, 64, 64)
    last = pyramid(images, 64, 2)[:, 1]
    torch.testing.assert_close(last[:, 16:48, 16:48], functional.avg_pool2d(images, 2)[:, 0])
    assert float(last.abs().sum()) == pytest.approx(float(last[:, 16:48, 16:48].abs().sum()))


def test_a_pyramid_of_whole_levels_is_the_image():
    images = torch.rand(2, 1, 64, 64)
    torch.testing.assert_close(from_pyramid(pyramid(images, 64, 2), 64), images)


def test_each_feature_is_a_sum_over_its_level():
    config = PoloConfig(width=16, n_levels=3, n_sub=3, n_azimuth=6, n_theta=4, size=64)
    images = torch.rand(1, 1, 64, 64, generator=torch.Generator().manual_seed(2))
    features = PoloRetina(config)(images)
    assert tuple(features.shape[1:]) == config.shape == (4, 9, 6)
    bank, levels = polo_bank(config), pyramid(images, 16, 3)
    for theta, level, sub, azimuth in [(0, 0, 0, 0), (3, 1, 2, 5), (2, 2, 1, 4), (1, 0, 2, 3)]:
        wanted = float((bank[theta, sub, azimuth] * levels[0, level]).sum())
        got = float(features[0, theta, 3 * level + sub, azimuth])
        assert got == pytest.approx(wanted, abs=1e-4)


@pytest.mark.parametrize("config", [POLO_95, POLO_85_OUTER, CONV_POLO_INNER])
def test_quarter_turns_give_what_the_bank_does(config):
    images = torch.rand(2, 1, 128, 128, generator=torch.Generator().manual_seed(5))
    levels = pyramid(images.double(), config.width, config.n_levels)[:, : config.n_seen]
    wanted = torch.einsum("tsahw,nlhw->ntlsa", polo_bank(config), levels).flatten(2, 3)
    retina = PoloRetina(config)
    torch.testing.assert_close(retina(images).double(), wanted, rtol=0, atol=1e-4)
    torch.testing.assert_close(retina.double()(images.double()), wanted, rtol=0, atol=5e-6)
    assert not retina.state_dict()


@pytest.mark.parametrize(
    ("config", "shape"),
    [
        (POLO_95, (8, 6, 16)), (POLO_85_INNER, (8, 4, 16)), (POLO_85_OUTER, (8, 8, 32)),
        (CONV_POLO_INNER, (8, 4, 16)), (CONV_POLO_OUTER, (8, 8, 32)),
    ],
)  # fmt: skip
def test_shapes_of_the_published_retinas(config, shape):
    assert config.shape == shape
    assert PoloRetina(config)(torch.zeros(2, 1, 128, 128)).shape == (2, *shape)


def test_radii_of_the_rings():
    bank = polo_bank(POLO_85_OUTER)
    for sub, radius in enumerate([16, 19.03, 22.63, 26.91]):
        azimuth = 4 - (sub % 2) / 2  # not a whole index on odd rings: between two
        peaks = bank[:, sub, int(azimuth)].sum(0)
        row, column = np.unravel_index(int(peaks.argmax()), (64, 64))
        assert np.hypot(row - 32, column - 32) == pytest.approx(radius, abs=1)


def test_the_dual_retina_is_its_parts():
    images = torch.rand(2, 1, 128, 128, generator=torch.Generator().manual_seed(3))
    retina = DualPoloRetina()
    features = retina(images)
    assert features.shape == (2, 2560)
    inner, outer = retina.parts(features)
    assert torch.equal(inner, PoloRetina(POLO_85_INNER)(images))
    assert torch.equal(outer, PoloRetina(POLO_85_OUTER)(images))
    # Flat order: (level, ring, azimuth, orientation), and the inner part first.
    assert features[1, ((1 * 2 + 1) * 16 + 5) * 8 + 3] == inner[1, 3, 3, 5]
    assert features[1, 512 + ((0 * 4 + 2) * 32 + 30) * 8 + 7] == outer[1, 7, 2, 30]


def test_back_to_an_image_that_is_seen_nearly_so():
    row, column = torch.meshgrid(*(2 * [torch.arange(128.0) - 64]), indexing="ij")
    images = torch.exp(-((row - 10) ** 2 + (column + 20) ** 2) / 300)[None, None]
    retina = PoloRetina()
    features = retina(images)
    back = retina.inverse(features)
    assert float((retina(back) - features).norm() / features.norm()) < 0.05
    assert float(torch.corrcoef(torch.stack([back.flatten(), images.flatten()]))[0, 1]) > 0.8
    conv = PoloRetina(CONV_POLO_INNER)
    assert conv.inverse(conv(images)).shape == images.shape


def test_gradient_in_the_fixation():
    retina = PoloRetina(PoloConfig(size=32, width=16, n_levels=2, n_azimuth=3, n_theta=2)).double()
    images = torch.rand(1, 1, 40, 40, generator=torch.Generator().manual_seed(4)).double()
    fixation = torch.tensor([[18.3, 22.4]], dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda f: retina(images, f), fixation)


def test_bad_input():
    with pytest.raises(InvalidInput, match="multiple of 8"):
        PoloConfig(size=100)
    with pytest.raises(InvalidInput, match="not larger; got 32 and 64"):
        PoloConfig(size=32, width=64)
    with pytest.raises(InvalidInput, match=r"\(N, 8, 6, 16\)"):
        PoloRetina().inverse(torch.zeros(1, 768))
    with pytest.raises(InvalidInput, match=r"\(N, 2560\)"):
        DualPoloRetina().parts(torch.zeros(1, 768))
    with pytest.raises(InvalidInput, match="one size; got 128 and 64"):
        DualPoloRetina(outer=PoloConfig(size=64))
