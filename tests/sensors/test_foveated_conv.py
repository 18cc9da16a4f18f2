"""The foveated convolution: four branches whose output lies over their part of the input."""

import pytest
import torch

from attnsci.errors import InvalidInput
from attnsci.sensors.foveated_conv import FoveatedConv2d


@pytest.mark.parametrize("pool", [True, False])
@pytest.mark.parametrize("size", [16, 96])
def test_all_branches_fill_half_the_input(pool, size):
    layer = FoveatedConv2d(3, 32, size, pool=pool)
    assert layer(torch.rand(2, 3, size, size)).shape == (2, 32, size // 2, size // 2)
    assert sum(p.numel() for p in layer.parameters()) == 4 * (3 * 8 * 9 + 8)


def test_each_branch_sees_its_square_only():
    layer = FoveatedConv2d(1, 8, 96)
    for branch, side in enumerate((96, 48, 24, 12)):
        images = torch.zeros(1, 1, 96, 96, requires_grad=True)
        layer(images)[:, 2 * branch : 2 * branch + 2].abs().sum().backward()
        rows = images.grad[0, 0].abs().sum(1).nonzero().flatten()
        assert int(rows.min()) >= 48 - side // 2 and int(rows.max()) < 48 + side // 2
        assert int(rows.max()) - int(rows.min()) >= side - 2


def test_the_central_branch_is_a_plain_convolution():
    layer = FoveatedConv2d(2, 4, 32)
    images = torch.rand(1, 2, 32, 32)
    torch.testing.assert_close(layer(images)[:, 1:2], layer.centre_2(images[..., 8:24, 8:24]))


def test_looking_elsewhere_is_moving_the_image():
    layer = FoveatedConv2d(1, 4, 32)
    images = torch.rand(1, 1, 64, 64)
    seen = layer(images, torch.tensor([[40.0, 24.0]]))
    torch.testing.assert_close(seen, layer(images[..., 8:40, 24:56]))


def test_it_can_be_cast():
    layer = FoveatedConv2d(1, 4, 16).double()
    assert layer(torch.rand(1, 1, 16, 16, dtype=torch.float64)).dtype == torch.float64
    assert next(layer.half().parameters()).dtype == torch.float16


def test_bad_input():
    with pytest.raises(InvalidInput, match=r"multiple of 4 and size of 16.*got 30 and 96"):
        FoveatedConv2d(3, 30)
    with pytest.raises(InvalidInput, match="got 8 and 20"):
        FoveatedConv2d(3, 8, 20)
    with pytest.raises(InvalidInput, match="3 channel"):
        FoveatedConv2d(3, 8)(torch.zeros(1, 1, 96, 96))
