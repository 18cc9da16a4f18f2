"""Samplers: published starts, exact crops, limits that hold, gradients by finite differences."""

import dataclasses
import math

import pytest
import torch
from torch.nn import functional

from attnsci.errors import InvalidInput, UnknownName
from attnsci.sensors.affine import SAMPLERS, SamplerConfig, SpatialSampler
from attnsci.sensors.thin_plate import control_points, thin_plate_weights
from attnsci.sensors.transforms import Limits, inverted, matrix, start

PUBLISHED = ("stn-28", "stn-128", "atn", "polo-atn")
KINDS = ("affine", "similarity", "attention", "translation", "thin-plate")


def random(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("size", [28, 128])
def test_published_networks_start_from_the_image_itself(size):
    images = random(3, 1, size, size)
    sampler = SpatialSampler(SAMPLERS[f"stn-{size}"])
    assert sampler.start.tolist() == [1, 0, 0, 0, 1, 0]
    seen = sampler(images, sampler.start.expand(3, -1))
    torch.testing.assert_close(seen, images, rtol=0, atol=1e-4 if size == 128 else 1e-5)


@pytest.mark.parametrize("name", ["atn", "polo-atn"])
def test_published_attention_is_affine_grid_with_its_defaults(name):
    images = random(2, 1, 128, 128)
    sampler = SpatialSampler(SAMPLERS[name])
    raw = sampler.start + torch.tensor([[0.0, 0.0], [1.3, -0.7]]) @ torch.eye(
        2, sampler.n_parameters
    ).flip(0, 1)
    theta = torch.zeros(2, 2, 3)
    theta[:, 0, 0] = theta[:, 1, 1] = 0.2
    theta[1, :, 2] = raw[1, -2:]
    grid = functional.affine_grid(theta, [2, 1, 28, 28], align_corners=False)
    wanted = functional.grid_sample(images, grid, align_corners=False)
    torch.testing.assert_close(sampler(images, raw), wanted, rtol=0, atol=0)
    centre = sampler(images, sampler.start.expand(2, -1))
    pitch = 0.2 * 128 / 28
    assert pitch == pytest.approx(0.914, abs=1e-3)
    # Linear between the four pixels round 64 + pitch / 2.
    at = 64 + pitch / 2 - 0.5
    low, part = int(at), at - int(at)
    weights = torch.tensor([1 - part, part])
    value = weights @ images[0, 0, low : low + 2, low : low + 2] @ weights
    assert float(centre[0, 0, 14, 14]) == pytest.approx(float(value), abs=1e-4)


@pytest.mark.parametrize("name", [name for name in SAMPLERS if name not in PUBLISHED])
def test_bounded_twins_start_centred_at_their_scale(name):
    sampler = SpatialSampler(SAMPLERS[name])
    images = random(1, 1, 128, 128)
    seen = sampler(images, sampler.start[None])
    config = sampler.config
    theta = torch.tensor([[[config.scale, 0, 0], [0, config.scale, 0]]])
    grid = functional.affine_grid(theta, [1, 1, *config.out_size], align_corners=False)
    wanted = functional.grid_sample(images, grid, align_corners=False)
    torch.testing.assert_close(seen, wanted, rtol=0, atol=1e-3)
    assert sampler.fixations(sampler.start[None], (128, 128)).tolist() == [[64, 64]]


@pytest.mark.parametrize("name", ["polo-atn-bounded", "similarity-bounded"])
def test_the_bounded_scale_is_pixel_exact(name):
    images = random(2, 1, 128, 128)
    sampler = SpatialSampler(SAMPLERS[name])
    seen = sampler(images, sampler.start.expand(2, -1))
    torch.testing.assert_close(seen, images[..., 50:78, 50:78], rtol=0, atol=1e-4)


@pytest.mark.parametrize("scale", [None, (0.1, 0.5)])
def test_limits_hold_for_any_parameters(scale):
    limits = Limits(scale, shift=0.7)
    raw = 30 * torch.randn(500, 6, generator=torch.Generator().manual_seed(1)).double()
    for kind, n in (("affine", 6), ("similarity", 4), ("attention", 3), ("translation", 2)):
        theta = matrix(kind, raw[:, :n], 0.2, limits)
        assert float(theta[..., 2].abs().max()) <= 0.7
        det = torch.linalg.det(theta[..., :2])
        assert bool((det > 0).all())
        if scale is not None:
            assert float(det.min()) >= 0.01 - 1e-9 and float(det.max()) <= 0.25 + 1e-9
    plate = SpatialSampler(SAMPLERS["thin-plate-bounded"])
    moved = plate.fixations(30 * torch.randn(20, 32), (128, 128)) - 64
    assert float(moved.abs().max()) < 2 * 0.7 * 64


def test_published_parameters_are_not_limited():
    theta = matrix("attention", torch.tensor([[-3.0, 50.0, -9.0]]), 0.2)
    assert theta.tolist() == [[[-3, 0, 50], [0, -3, -9]]]


@pytest.mark.parametrize("limits", [None, Limits((0.1, 2)), Limits()])
@pytest.mark.parametrize("kind", ["affine", "similarity", "attention", "translation"])
def test_start_is_the_centred_transform(kind, limits):
    theta = matrix(kind, start(kind, 0.3, limits)[None], 0.3, limits)
    wanted = torch.tensor([[[0.3, 0, 0], [0, 0.3, 0]]])
    torch.testing.assert_close(theta, wanted, rtol=0, atol=1e-6)


def test_bounded_affine_and_similarity_turn_from_x_to_y():
    limits = Limits((0.1, 2.0))
    for kind in ("affine", "similarity"):
        raw = start(kind, 1.0, limits)[None].clone()
        raw[0, 2 if kind == "affine" else 1] = math.pi / 6
        cos, sin = math.cos(math.pi / 6), math.sin(math.pi / 6)
        wanted = torch.tensor([[[cos, -sin, 0], [sin, cos, 0]]])
        torch.testing.assert_close(matrix(kind, raw, 1.0, limits), wanted, rtol=0, atol=1e-6)


@pytest.mark.parametrize("outside", [0.0, 0.5, "border"])
@pytest.mark.parametrize("limited", [True, False])
@pytest.mark.parametrize("kind", KINDS)
def test_gradients_by_finite_differences(kind, limited, outside):
    limits = Limits((0.1, 1.0), shift=0.7) if limited else None
    config = SamplerConfig(kind, (4, 3), scale=0.47, limits=limits, outside=outside, n_control=2)
    sampler = SpatialSampler(config).double()
    images = random(2, 1, 9, 11, seed=5).double().requires_grad_()
    noise = torch.randn(2, sampler.n_parameters, generator=torch.Generator().manual_seed(6))
    raw = (sampler.start + 0.1 * noise).double().requires_grad_()
    assert torch.autograd.gradcheck(sampler, (images, raw), eps=1e-7, atol=1e-5)


def test_fixations_are_where_the_middle_is_sampled():
    along = torch.arange(128.0).double() + 0.5
    planes = torch.stack([along.expand(128, 128), along[:, None].expand(128, 128)])[None]
    for kind in KINDS:
        for corners in (True, False):
            config = SamplerConfig(kind, (9, 9), scale=0.2, align_corners=corners)
            sampler = SpatialSampler(config).double()
            noise = torch.randn(1, sampler.n_parameters, generator=torch.Generator().manual_seed(7))
            raw = (sampler.start + 0.1 * noise).double()
            seen = sampler(planes, raw)[0, :, 4, 4]
            at = sampler.fixations(raw, (128, 128))[0]
            torch.testing.assert_close(seen, at, rtol=0, atol=1e-4)


def test_shift_of_the_specification():
    sampler = SpatialSampler(SAMPLERS["polo-atn"])
    xy = sampler.fixations(torch.tensor([[0.25, -0.5]]), (128, 128))[0]
    assert xy.tolist() == [64 + 64 * 0.25, 64 - 64 * 0.5]


def test_outside_of_the_image():
    images, raw = torch.ones(1, 1, 16, 16), torch.tensor([[1.0, 5.0, 0.0]])
    for outside, wanted in ((0.0, 0.0), (0.5, 0.5), ("border", 1.0)):
        config = SamplerConfig("attention", (4, 4), outside=outside)
        assert bool((SpatialSampler(config)(images, raw) == wanted).all())


def test_nearest_takes_a_pixel():
    images = random(1, 1, 16, 16)
    sampler = SpatialSampler(SamplerConfig("attention", (5, 5)))
    seen = sampler(images, torch.tensor([[0.31, 0.11, -0.2]]), mode="nearest")
    assert set(seen.flatten().tolist()) <= set(images.flatten().tolist())


def test_back_to_where_it_was_seen():
    images = random(2, 1, 128, 128)
    sampler = SpatialSampler(SAMPLERS["polo-atn-bounded"])
    raw = torch.atanh(torch.tensor([[10 / 64, -20 / 64], [0.0, 5 / 64]]) / 0.7)
    back = sampler.inverse(sampler(images, raw), raw, (128, 128))
    for image, seen, (x, y) in zip(images, back, [(10, -20), (0, 5)], strict=True):
        inside = (slice(None), slice(51 + y, 77 + y), slice(51 + x, 77 + x))
        torch.testing.assert_close(seen[inside], image[inside], rtol=0, atol=1e-3)
    assert float((back == 0.5).float().mean()) > 0.9


def test_inverse_matrices():
    theta = matrix("affine", torch.tensor([[0.7, -0.2, 0.3, 0.4, 0.9, -0.1]]), 1.0)
    whole = torch.cat([theta, torch.tensor([[[0.0, 0, 1]]])], 1)
    undo = torch.cat([inverted(theta), torch.tensor([[[0.0, 0, 1]]])], 1)
    torch.testing.assert_close(undo @ whole, torch.eye(3)[None], rtol=0, atol=1e-6)
    with pytest.raises(InvalidInput, match="no inverse"):
        inverted(torch.zeros(1, 2, 3))


def test_thin_plates_of_affine_displacements_are_affine():
    """A spline through points that an affine map moves is that map everywhere."""
    points = 3 * random(40, 2, seed=8).double() - 1.5
    controls = control_points(4)
    linear = torch.tensor([[0.7, -0.3], [0.2, 1.1]]).double()
    moved = controls @ linear.T + torch.tensor([0.4, -0.1])
    warped = thin_plate_weights(points, controls) @ moved
    wanted = points @ linear.T + torch.tensor([0.4, -0.1])
    torch.testing.assert_close(warped, wanted, rtol=0, atol=1e-6)
    at_controls = thin_plate_weights(controls, controls)
    torch.testing.assert_close(at_controls, torch.eye(16).double(), rtol=0, atol=1e-12)


def test_thin_plates_bend_least():
    """SciPy's interpolator of the same kernel gives the same warp."""
    from scipy.interpolate import RBFInterpolator

    controls, points = control_points(3), 2 * random(30, 2, seed=9).double() - 1
    values = random(9, 2, seed=10).double()
    ours = thin_plate_weights(points, controls) @ values
    theirs = RBFInterpolator(controls.numpy(), values.numpy(), kernel="thin_plate_spline")
    torch.testing.assert_close(ours, torch.from_numpy(theirs(points.numpy())), rtol=0, atol=1e-9)


def test_bad_input():
    with pytest.raises(InvalidInput, match="kind must be one of"):
        SamplerConfig("perspective", (4, 4))
    with pytest.raises(InvalidInput, match="outside must be one of 'border'"):
        SamplerConfig("affine", (4, 4), outside="mirror")
    with pytest.raises(InvalidInput, match="scale must be two numbers above 0"):
        Limits((0.5, 0.1))
    with pytest.raises(InvalidInput, match=r"start from, 3.0, must lie in \(0.1, 0.5\)"):
        start("attention", 3.0, Limits((0.1, 0.5)))
    with pytest.raises(UnknownName, match="Nearest"):
        start("afine", 1.0)
    sampler = SpatialSampler(SAMPLERS["atn"])
    with pytest.raises(InvalidInput, match=r"takes \(N, 3\) parameters; got \(1, 2\)"):
        sampler(torch.zeros(1, 1, 8, 8), torch.zeros(1, 2))
    with pytest.raises(InvalidInput, match="images must be"):
        sampler(torch.zeros(2, 1, 8, 8), torch.zeros(1, 3))
    plate = SpatialSampler(dataclasses.replace(SAMPLERS["atn"], kind="thin-plate"))
    with pytest.raises(InvalidInput, match="not described by a matrix"):
        plate.matrices(torch.zeros(1, 32))
    with pytest.raises(InvalidInput, match=r"\(N, 32\)"):
        plate.grid(torch.zeros(1, 6))
