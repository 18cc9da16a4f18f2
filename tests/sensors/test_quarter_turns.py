"""The product by quarters against the dense one."""

import pytest
import torch

from attnsci.errors import InvalidInput
from attnsci.sensors.quarter_turns import QuarterTurnBank, turned_filters, turned_pixels


@pytest.mark.parametrize("size", [2, 4, 10])
def test_the_product_is_the_dense_one(size):
    generator = torch.Generator().manual_seed(size)
    filters = torch.randn(7, size**2, generator=generator, dtype=torch.float64)
    images = torch.randn(3, size**2, generator=generator, dtype=torch.float64)
    bank = QuarterTurnBank(filters)
    dense = turned_filters(filters)
    torch.testing.assert_close(bank(images), torch.einsum("np,kfp->nkf", images, dense))
    torch.testing.assert_close(bank.dense(), dense)
    torch.testing.assert_close(dense[0], filters)


def test_a_turn_takes_the_row_axis_to_the_column_axis():
    filters = torch.zeros(1, 8, 8)
    filters[0, 4 + 3, 4 + 1] = 1
    turned = turned_filters(filters.flatten(1)).view(4, 8, 8)
    places = [tuple(int(v) - 4 for v in image.nonzero()[0]) for image in turned]
    assert places == [(3, 1), (-1, 3), (-3, -1), (1, -3)]


def test_turns_are_permutations_and_four_are_none():
    places = turned_pixels(6)
    for turn in places:
        assert turn.sort().values.tolist() == list(range(36))
    assert torch.equal(places[1][places[1]], places[2])
    assert torch.equal(places[3][places[1]], places[0])


def test_gradient():
    bank = QuarterTurnBank(torch.randn(3, 16, dtype=torch.float64))
    images = torch.randn(2, 16, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(bank, images)


def test_bad_input():
    with pytest.raises(InvalidInput, match=r"size must be even.*got 5"):
        turned_pixels(5)
    with pytest.raises(InvalidInput, match="square images; got 17 pixels"):
        QuarterTurnBank(torch.zeros(2, 17))
