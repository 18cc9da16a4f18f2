"""Convolutions that look: dead units, exact counts, answers before training."""

import pytest
import torch
from torch import nn

from attnsci.errors import InvalidInput
from attnsci.families.what_where.localisation import ConvLocalisation

START = torch.tensor([0.3, -0.2, 0.1])


def made(standardised):
    return ConvLocalisation(28, (8, 10), 32, START, standardised)


def units(network, images):
    """Activations of every rectified layer, from the image on."""
    found = []
    for layer in network:
        images = layer(images)
        if isinstance(layer, nn.ReLU):
            found.append(images)
    return found


def test_until_it_learns_it_answers_its_start():
    images = torch.rand(5, 1, 28, 28)
    for standardised in (False, True):
        torch.testing.assert_close(made(standardised)(images), START.expand(5, 3))


def test_standardising_costs_no_parameter_and_keeps_no_statistics():
    plain, standardised = made(False), made(True)
    shapes = [[p.shape for p in each.parameters()] for each in (plain, standardised)]
    assert shapes[0] == shapes[1]
    assert not list(standardised.buffers())


def test_standardised_units_live_whatever_their_bias():
    """A bias that silences plain convolutions for good is nothing to standardised ones."""
    images = torch.rand(20, 1, 28, 28)
    for standardised in (False, True):
        network = made(standardised)
        with torch.no_grad():
            for layer in network:
                if isinstance(layer, nn.Conv2d):
                    layer.bias.fill_(-50.0)
        alive = [float((each > 0).float().mean()) for each in units(network, images)[:2]]
        assert (min(alive) > 0.2) == standardised
        assert (max(alive) == 0) != standardised


def test_maps_have_mean_0_and_deviation_1_image_by_image():
    first, images = nn.Sequential(*list(made(True))[:3]), torch.rand(3, 1, 28, 28)
    maps = first(images).flatten(2)
    torch.testing.assert_close(maps.mean(-1), torch.zeros(3, 8), rtol=0, atol=1e-5)
    torch.testing.assert_close(maps.std(-1, correction=0), torch.ones(3, 8), rtol=0, atol=1e-2)
    torch.testing.assert_close(first(images[1:2]).flatten(2), maps[1:2])


def test_a_single_place_has_no_deviation():
    with pytest.raises(InvalidInput, match="too little of 18 pixels"):
        ConvLocalisation(18, (8, 10), 32, START, standardised=True)
    plain = ConvLocalisation(18, (8, 10), 32, START)
    torch.testing.assert_close(plain(torch.rand(2, 1, 18, 18)), START.expand(2, 3))
