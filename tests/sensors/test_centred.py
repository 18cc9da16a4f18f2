"""Windows: pixel for pixel at whole positions, and smooth between them."""

import pytest
import torch

from attnsci.errors import InvalidInput
from attnsci.sensors.centred import Crop, fixation_at, window


@pytest.mark.parametrize("offset", [(0, 0), (13, -7), (-50, 50), (3, 48)])
def test_crops_are_the_rows_and_columns_of_the_specification(offset):
    images = torch.rand(2, 3, 128, 128)
    fixation = fixation_at(torch.tensor([offset, offset]), (128, 128))
    i, j = offset
    seen = Crop(28)(images, fixation)
    assert torch.equal(seen, images[..., 50 + i : 78 + i, 50 + j : 78 + j])


def test_what_lies_off_the_image_is_grey():
    images = torch.rand(1, 1, 10, 14)
    seen = window(images, torch.tensor([[13.0, 1.0]]), 6, fill=0.25)
    assert torch.equal(seen[..., 2:, :4], images[..., :4, 10:])
    assert bool((seen[..., :2, :] == 0.25).all() and (seen[..., 4:] == 0.25).all())
    far = window(images, torch.tensor([[1e4, -1e4]]), 6)
    assert bool((far == 0.5).all())


def test_each_image_has_its_own_fixation_and_half_pixels_are_means():
    ramp = torch.arange(20.0).double().expand(3, 1, 20, 20) + torch.arange(20.0)[:, None] * 100
    fixation = torch.tensor([[10.0, 10.0], [10.5, 8.0], [7.0, 9.25]]).double()
    seen = window(ramp, fixation, 4)
    wanted = ramp[:, :, 8:12, 8:12] + torch.tensor([0, 0.5 - 200, -3 - 75]).view(3, 1, 1, 1)
    torch.testing.assert_close(seen, wanted.double(), rtol=0, atol=1e-12)


def test_gradients_in_image_and_fixation():
    generator = torch.Generator().manual_seed(0)
    images = torch.rand(2, 2, 7, 9, generator=generator, dtype=torch.float64, requires_grad=True)
    fixation = torch.tensor([[3.3, 2.2], [8.4, 6.6]], dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda x, f: window(x, f, 5), (images, fixation))


def test_bad_input():
    images = torch.rand(2, 1, 8, 8)
    with pytest.raises(InvalidInput, match=r"fixation must have shape \(2, 2\); got \(1, 2\)"):
        window(images, torch.zeros(1, 2), 4)
    with pytest.raises(InvalidInput, match="NaN"):
        window(images, torch.full((2, 2), torch.nan), 4)
    with pytest.raises(InvalidInput, match="must be floats"):
        window(images.int(), torch.zeros(2, 2), 4)
    with pytest.raises(InvalidInput, match="must be 4×4 pixels; got 8×8"):
        Crop(4)(images)
    with pytest.raises(InvalidInput, match="size"):
        Crop(0)
