import math

import numpy as np
import pytest
import torch

from attnsci.errors import InvalidInput
from attnsci.sensors.foveation import Fovea, FoveatedView, blur, mask, shrunk


def test_the_published_sigma_is_twice_a_variance_in_half_widths():
    fovea = Fovea.from_reference(0.15, 224, retention=0.5)
    assert fovea.sigma_px == pytest.approx(math.sqrt(0.075) * 111.5, abs=1e-12)
    assert 2 * (fovea.sigma_px / 111.5) ** 2 == pytest.approx(0.15, abs=1e-12)
    assert fovea.retention == 0.5
    assert Fovea().sigma_px == pytest.approx(fovea.sigma_px, abs=1e-3)


def test_full_width_at_half_maximum_is_72_pixels():
    fovea = Fovea.from_reference(0.15, 224)
    row = mask(torch.tensor([112.0, 112.5]).double(), (224, 224), fovea.sigma_px)[0, 112]
    assert int((row >= 0.5).sum()) == 72


def test_a_published_position_is_row_then_column():
    # p = (-.5, .5): a quarter down and three quarters to the right.
    xy = torch.tensor([0.75 * 223 + 0.5, 0.25 * 223 + 0.5]).double()
    peak = int(mask(xy, (224, 224), 30.536).argmax())
    assert divmod(peak, 224) == (56, 167)


def test_a_mask_is_a_gaussian_of_the_distance_in_pixels():
    xy = torch.tensor([[[3.2, 7.9], [11.0, 0.5]]]).double()
    got = mask(xy, (9, 14), 2.5, 0.7)
    assert got.shape == (1, 2, 1, 9, 14)
    rows, columns = np.mgrid[:9, :14] + 0.5
    for k in range(2):
        x, y = xy[0, k].tolist()
        want = 0.7 * np.exp(-((columns - x) ** 2 + (rows - y) ** 2) / (2 * 2.5**2))
        np.testing.assert_allclose(got[0, k, 0], want, rtol=0, atol=1e-14)


def test_gradients_of_the_seen_image_by_finite_differences():
    torch.manual_seed(0)
    view = FoveatedView(torch.rand(2, 3, 12, 15).double(), Fovea(3.0, 2.0, 5))
    memory = 0.1 * torch.rand(2, 1, 12, 15).double()
    xy = torch.tensor([[4.3, 6.1], [9.9, 2.2]]).double().requires_grad_()

    def energy(at: torch.Tensor) -> torch.Tensor:
        seen = view.perceive(view.add(view.keep(memory), 0.8 * view.mask(at)))
        return (seen - view.images).square().sum((1, 2, 3))

    assert torch.autograd.gradcheck(energy, (xy,), eps=1e-6, atol=1e-9)


def test_blur_equals_the_two_dimensional_kernel():
    torch.manual_seed(1)
    images = torch.rand(2, 5, 30, 44)
    offset = torch.arange(11) - 5.0
    kernel = torch.exp(-(offset[:, None] ** 2 + offset**2) / (2 * 3.0**2))
    kernel = (kernel / kernel.sum()).expand(5, 1, 11, 11)
    padded = torch.nn.functional.pad(images, (5,) * 4, mode="reflect")
    want = torch.nn.functional.conv2d(padded, kernel, groups=5)
    torch.testing.assert_close(blur(images, 11, 3.0), want, rtol=0, atol=2e-6)


def test_blur_of_one_bright_pixel_is_the_outer_product_of_its_kernel():
    image = torch.zeros(1, 1, 21, 21).double()
    image[..., 10, 10] = 1
    got = blur(image, 7, 2.0)[0, 0]
    line = np.exp(-(np.arange(-3, 4) ** 2) / 8)
    line /= line.sum()
    np.testing.assert_allclose(got[7:14, 7:14], np.outer(line, line), atol=1e-15)
    assert float(got.sum()) == pytest.approx(1, abs=1e-14)


@pytest.mark.parametrize("channels", [1, 5])
def test_a_constant_image_has_nothing_to_blur(channels):
    view = FoveatedView(torch.full((1, channels, 50, 60), 0.3).double(), Fovea())
    assert float(view.residual.abs().max()) < 1e-14


def test_kernels_that_cannot_be():
    with pytest.raises(InvalidInput, match=r"must be odd.*got 64"):
        Fovea(blur_size=64)
    with pytest.raises(InvalidInput, match=r"41 pixels needs images of more than 20.*20×90"):
        blur(torch.zeros(1, 1, 20, 90), 41, 10)
    assert blur(torch.zeros(1, 1, 21, 90), 41, 10).shape == (1, 1, 21, 90)


@pytest.mark.parametrize(
    "settings",
    [
        {"retention": 1.1}, {"sigma_px": 0}, {"amplitude": -1}, {"noise": -0.1},
        {"memory": "leaky"}, {"blur_sigma_px": -1},
    ],
)  # fmt: skip
def test_settings_out_of_range(settings):
    with pytest.raises(InvalidInput, match=next(iter(settings))):
        Fovea(**settings)


def _view(**settings) -> FoveatedView:
    torch.manual_seed(2)
    fovea = Fovea(sigma_px=4, blur_sigma_px=3, blur_size=9, **settings)
    return FoveatedView(torch.rand(1, 2, 24, 24).double(), fovea)


def test_nothing_seen_is_all_blurred_and_all_seen_is_sharp():
    view = _view()
    torch.testing.assert_close(view.perceive(view.blank()), blur(view.images, 9, 3.0))
    assert torch.equal(view.perceive(view.blank() + 1), view.images)
    assert torch.equal(view.perceive(view.blank() + 3.7), view.images)  # beyond 1 is cut


def test_what_is_seen_mixes_sharp_and_blurred_by_the_mask():
    view = _view()
    at = view.mask(torch.tensor([[8.0, 15.5]]).double())
    want = view.images * at + blur(view.images, 9, 3.0) * (1 - at)
    torch.testing.assert_close(view.perceive(at), want, rtol=0, atol=1e-14)


def test_an_amplitude_of_nothing_shows_nothing():
    view = _view(amplitude=0)
    seen = view.perceive(view.add(view.blank(), view.mask(torch.tensor([[8.0, 8.0]]).double())))
    torch.testing.assert_close(seen, blur(view.images, 9, 3.0))


@pytest.mark.parametrize("retention", [0.0, 0.3, 1.0])
def test_memory_is_a_geometric_sum_of_masks(retention):
    view = _view(retention=retention)
    path = torch.tensor([[[3.0, 4.0]], [[12.0, 9.0]], [[20.0, 20.0]]]).double()
    memory, before = view.blank(), view.blank()
    for xy in path:
        memory = view.add(view.keep(memory), view.mask(xy))
        if retention == 1:
            assert bool((memory >= before).all())
        before = memory
    want = sum(retention ** (2 - t) * view.mask(path[t]) for t in range(3))
    torch.testing.assert_close(memory, want, rtol=0, atol=1e-14)


def test_a_saturating_memory_never_passes_one():
    view = _view(retention=0.9, memory="saturating")
    at = view.mask(torch.tensor([[12.5, 12.5]]).double())
    memory = view.blank()
    for _ in range(5):
        memory = view.add(view.keep(memory), at)
    torch.testing.assert_close(memory, at)
    assert float(_view(retention=0.9).add(0.9 * at, at).max()) == pytest.approx(1.9)


def test_many_views_of_each_image_are_as_one_by_one():
    view = _view()
    xy = torch.tensor([[[3.0, 4.0], [12.0, 9.0]]]).double()
    many = view.perceive(view.blank()[:, None] + view.mask(xy))
    assert many.shape == (1, 2, 2, 24, 24)
    for k in range(2):
        torch.testing.assert_close(many[:, k], view.perceive(view.mask(xy[:, k])))


def test_noise_is_under_the_blur_and_cut():
    images = torch.ones(1, 1, 40, 40)
    fovea = Fovea(blur_size=5, blur_sigma_px=1, noise=0.5)
    view = FoveatedView(images, fovea, torch.Generator().manual_seed(3))
    again = FoveatedView(images, fovea, torch.Generator().manual_seed(3))
    other = FoveatedView(images, fovea, torch.Generator().manual_seed(4))
    assert torch.equal(view.residual, again.residual)
    assert not torch.equal(view.residual, other.residual)
    assert float((images + view.residual).max()) == 1
    assert float((images + view.residual).min()) >= 0
    assert float(view.residual.min()) < -0.1


def test_noise_with_a_generator_an_image_does_not_know_its_neighbours():
    images = torch.full((3, 1, 20, 20), 0.5)
    fovea = Fovea(blur_size=5, blur_sigma_px=1, noise=0.1)

    def residual(seeds):
        generators = [torch.Generator().manual_seed(seed) for seed in seeds]
        return FoveatedView(images[: len(seeds)], fovea, generators).residual

    torch.testing.assert_close(residual([5, 6, 7])[1:2], residual([6]), rtol=0, atol=1e-6)


def test_a_part_of_a_view_shares_its_images():
    view = FoveatedView(torch.rand(4, 1, 20, 20), Fovea(blur_size=5))
    part = view[1:3]
    assert part.blank().shape == (2, 1, 20, 20)
    assert part.images.data_ptr() == view.images[1:].data_ptr()
    assert torch.equal(view[torch.tensor([3, 0])].residual, view.residual[[3, 0]])


def test_a_small_view_is_nearly_the_small_picture_of_the_view():
    torch.manual_seed(4)
    coarse = torch.rand(1, 3, 12, 15)
    images = torch.nn.functional.interpolate(coarse, (96, 120), mode="bilinear")
    view = FoveatedView(images, Fovea(sigma_px=12, blur_size=21, blur_sigma_px=5))
    small = view.shrunk(48)
    assert small.size == (48, 60)
    assert small.fovea.sigma_px == 6
    xy = torch.tensor([[70.0, 20.0]])
    want = shrunk(view.perceive(view.mask(xy)), 48)
    torch.testing.assert_close(small.perceive(small.mask(xy / 2)), want, rtol=0, atol=4e-3)
