import math

import numpy as np
import pytest
import torch

from attnsci.errors import InvalidInput
from attnsci.families.neva.network import NeVA
from attnsci.families.neva.tasks import BlurEnergy
from attnsci.models.looking.itti_koch import itti_koch, opponencies, to_short_side
from attnsci.models.looking.saliency import SALIENCY, blur_energy, spectral_residual
from attnsci.sensors.foveation import Fovea, FoveatedView


def peak(maps: torch.Tensor) -> tuple[float, float]:
    """Return the (x, y) of the maximum of the first map."""
    row, column = divmod(int(maps[0].argmax()), maps.shape[-1])
    return column + 0.5, row + 0.5


def noise(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed))


def bars(angle: float, height: int = 240, width: int = 320, odd: float | None = None):
    """Return a field of 5 × 7 bars of one orientation, the one at column 5, row 1 of another."""
    image = torch.zeros(1, 1, height, width)
    y, x = torch.meshgrid(torch.arange(height) + 0.5, torch.arange(width) + 0.5, indexing="ij")
    for row in range(5):
        for column in range(7):
            turn = odd if odd is not None and (row, column) == (1, 5) else angle
            a = math.radians(turn)
            dx, dy = x - (column + 0.5) * width / 7, y - (row + 0.5) * height / 5
            along, across = dx * math.cos(a) - dy * math.sin(a), dx * math.sin(a) + dy * math.cos(a)
            image[0, 0, (along.abs() < 12) & (across.abs() < 3)] = 1
    return image, (5.5 * width / 7, 1.5 * height / 5)


@pytest.mark.parametrize("name", SALIENCY)
@pytest.mark.parametrize(("height", "width"), [(224, 224), (150, 301), (301, 150)])
def test_a_spot_is_where_it_is_in_a_rectangular_image(name, height, width):
    image = torch.full((1, 3, height, width), 0.4)
    x, y = round(0.7 * width), round(0.3 * height)
    image[..., y - 5 : y + 5, x - 5 : x + 5] = 1
    found = peak(SALIENCY[name](image))
    assert np.hypot(found[0] - x, found[1] - y) < 0.06 * min(height, width)


@pytest.mark.parametrize(
    ("normalisation", "angle", "odd"),
    # Competition has arbitrary winners on a field of diagonals, whose blobs it finds alike.
    [("local maxima", 45, 135), ("local maxima", 0, 45)]
    + [(how, *pair) for how in ("local maxima", "iterative") for pair in ((0, 90), (90, 0))],
)
def test_the_bar_of_another_orientation_pops_out(normalisation, angle, odd):
    image, (x, y) = bars(angle, odd=odd)
    found = peak(itti_koch(image, normalisation=normalisation))
    assert np.hypot(found[0] - x, found[1] - y) < 24  # half the distance between bars


@pytest.mark.parametrize("normalisation", ["local maxima", "iterative"])
@pytest.mark.parametrize(("odd", "others"), [((1, 0, 0), (0, 1, 0)), ((0, 0, 1), (0.5, 0.5, 0))])
def test_the_spot_of_another_colour_pops_out(normalisation, odd, others):
    image = torch.full((1, 3, 240, 320), 1 / 3)  # as bright as the spots: only colour differs
    for row in range(5):
        for column in range(7):
            y, x = round((row + 0.5) * 48), round((column + 0.5) * 320 / 7)
            colour = odd if (row, column) == (3, 1) else others
            image[0, :, y - 8 : y + 8, x - 8 : x + 8] = torch.tensor(colour).float()[:, None, None]
    found = peak(itti_koch(image, normalisation=normalisation))
    assert np.hypot(found[0] - 1.5 * 320 / 7, found[1] - 3.5 * 48) < 24


def test_opponencies_have_their_values_and_no_colour_in_the_dark():
    colours = torch.tensor(
        [[1, 0, 0], [0, 1, 0], [0, 0, 1], [1, 1, 0], [0.5, 0.5, 0.5], [0.05, 0, 0]]
    ).float()
    found = opponencies(colours.T.reshape(1, 3, 1, 6))[0, :, 0]
    torch.testing.assert_close(found[0], colours.mean(1))
    # Pure red: r = 3 intensities, so R = 3; red is also no yellow. Yellow: R = G = .75, Y = 1.5.
    torch.testing.assert_close(found[1], torch.tensor([3.0, -3, 0, 0, 0, 0]))
    torch.testing.assert_close(found[2], torch.tensor([0.0, 0, 3, -1.5, 0, 0]))


def test_grey_is_colour_without_colour():
    image = noise(2, 1, 90, 120)
    for saliency in SALIENCY.values():
        torch.testing.assert_close(saliency(image), saliency(image.expand(-1, 3, -1, -1)))


@pytest.mark.parametrize("name", SALIENCY)
@pytest.mark.parametrize("value", [0.0, 0.3, 1.0])
def test_nothing_stands_out_of_a_blank_image(name, value):
    found = SALIENCY[name](torch.full((1, 3, 100, 130), value))
    assert found.shape == (1, 100, 130)
    assert (found >= 0).all()
    assert found.max() < 1e-6


@pytest.mark.parametrize("name", SALIENCY)
def test_images_of_a_batch_do_not_see_each_other(name):
    images = noise(3, 3, 80, 70)
    together = SALIENCY[name](images)
    alone = torch.cat([SALIENCY[name](image[None]) for image in images])
    assert (together >= 0).all()
    torch.testing.assert_close(together, alone, rtol=1e-4, atol=1e-6)


def test_two_equal_peaks_annul_a_map_by_local_maxima_and_not_by_competition():
    image = torch.zeros(1, 1, 128, 256)
    image[..., 60:68, 60:68] = image[..., 60:68, 188:196] = 1
    one = image.clone()
    one[..., 128:] = 0
    assert itti_koch(image).max() < 0.01 * itti_koch(one).max()
    both = itti_koch(image, normalisation="iterative")[0]
    assert both[64, 64] > 0.5 * both.max()
    torch.testing.assert_close(both, both.flip(1), rtol=1e-2, atol=1e-2)


def test_competition_has_no_love_for_borders():
    found = sum(
        itti_koch(noise(1, 1, 128, 128, seed=seed), normalisation="iterative")[0] > 0
        for seed in range(30)
    ).float()
    border = torch.ones(128, 128, dtype=torch.bool)
    border[16:-16, 16:-16] = False
    assert found[border].mean() < 2 * found[~border].mean()


def test_spectral_residual_finds_the_odd_patch_of_a_texture():
    columns = torch.arange(256)
    stripes = (columns // 16 % 2).float().expand(192, 256).clone()
    stripes[60:100, 180:220] = stripes[60:100, 180:220].mT
    found = peak(spectral_residual(stripes.expand(1, 1, -1, -1)))
    assert abs(found[0] - 200) < 28
    assert abs(found[1] - 80) < 28


def test_spectral_residual_equals_numpy():
    image = noise(1, 1, 64, 64)[0, 0].double()
    spectrum = np.fft.fft2(image.numpy())
    log = np.log(np.abs(spectrum))
    mean = sum(np.roll(log, (i, j), (0, 1)) for i in (-1, 0, 1) for j in (-1, 0, 1)) / 9
    back = np.abs(np.fft.ifft2(np.exp(log - mean + 1j * np.angle(spectrum)))) ** 2
    from scipy.ndimage import gaussian_filter

    expected = gaussian_filter(back, 2.5, mode="constant", truncate=20)
    found = spectral_residual(image[None, None])[0].numpy()
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=0)  # sampled density, not its sum


def test_blur_energy_equals_brute_force():
    images, fovea = noise(2, 3, 20, 26).double(), Fovea(sigma_px=3, blur_size=9, blur_sigma_px=2)
    view = FoveatedView(images, fovea)
    y, x = torch.meshgrid(torch.arange(20) + 0.5, torch.arange(26) + 0.5, indexing="ij")
    xy = torch.stack([x, y], -1).flatten(0, 1).double()
    task = BlurEnergy()
    blind = task.loss(view.perceive(view.blank()), images)
    for n in range(2):
        alone = FoveatedView(images[n : n + 1], fovea)
        seen = alone.perceive(alone.mask(xy)[None])[0]
        gain = blind[n] - task.loss(seen, images[n : n + 1].expand_as(seen))
        found = blur_energy(images[n : n + 1], fovea=fovea, short_side_px=None)
        torch.testing.assert_close(found[0], gain.view(20, 26), rtol=1e-9, atol=1e-12)


def test_blur_energy_peaks_where_the_oracle_looks_first():
    skimage = pytest.importorskip("skimage.data")
    image = torch.tensor(skimage.coffee()[:224, :224].copy()).permute(2, 0, 1)[None] / 255
    path = NeVA(BlurEnergy(), search="oracle").look(image, 1)
    assert peak(blur_energy(image)) == (path["x"].item(), path["y"].item())


def test_the_shorter_side_is_met_and_an_image_that_has_it_is_untouched():
    images = noise(1, 1, 300, 401)
    assert to_short_side(images, 128).shape == (1, 1, 128, 171)
    assert to_short_side(images, 300) is images


def test_settings_and_images_that_cannot_be():
    with pytest.raises(InvalidInput, match=r"1 channel \(grey\) or 3 \(colour\); got 4"):
        itti_koch(torch.zeros(1, 4, 64, 64))
    with pytest.raises(InvalidInput, match="'local maxima', 'iterative'; got 'sum'"):
        itti_koch(torch.zeros(1, 1, 64, 64), normalisation="sum")
    for saliency in SALIENCY.values():
        with pytest.raises(InvalidInput, match=r"images must have shape \(N, C, H, W\)"):
            saliency(torch.zeros(3, 64, 64))
    with pytest.raises(InvalidInput, match="short_side_px must be a whole number above 0"):
        spectral_residual(torch.zeros(1, 1, 64, 64), short_side_px=0)
    with pytest.raises(InvalidInput, match="smooth_px must be above 0"):
        spectral_residual(torch.zeros(1, 1, 64, 64), smooth_px=0)
