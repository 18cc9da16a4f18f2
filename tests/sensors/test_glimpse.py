"""Glimpses: bit for bit what cutting and averaging give, and a smooth twin of them."""

import numpy as np
import pytest
import torch
from torch.nn import functional

from attnsci.errors import InvalidInput, UnknownName
from attnsci.sensors.glimpse import MAPS, SENSORS, BoxSensor, MipSensor

TASKS = [((28, 28), 8, 1, 2), ((60, 60), 12, 3, 2), ((100, 100), 12, 4, 2), ((31, 47), 5, 3, 3)]


def corner_by_hand(name: str, location: np.ndarray, size: tuple[int, int], width: int):
    """Return row and column of a patch's first pixel, from the published formulas, in float32."""
    height, columns = size
    if name == "amasky":
        centre = np.float32(0.5) * (location + 1) * np.float32([height + 1, columns + 1])
        return np.round(centre - width / 2).astype(int)
    span = np.float32([columns, height])
    centre = np.float32(0.5) * (location + 1) * span
    if name == "kevinzakka":
        return (centre.astype(int) - width // 2)[::-1]
    return np.floor(centre - width / 2 + 0.5).astype(int)[::-1]


def glimpse_by_hand(image: torch.Tensor, corners, size: int, factor: int) -> torch.Tensor:
    """Cut and average one glimpse of an image (C, H, W) the slow way."""
    margin = 2 * max(image.shape[-2:])
    padded = functional.pad(image, (margin,) * 4)
    patches = []
    for scale, (row, column) in enumerate(corners):
        width = size * factor**scale
        row, column = (int(np.clip(v, -margin, margin)) + margin for v in (row, column))
        patch = padded[:, row : row + width, column : column + width]
        patches.append(functional.avg_pool2d(patch[None], factor**scale)[0].flatten())
    return torch.cat(patches)


@pytest.mark.parametrize("name", MAPS)
@pytest.mark.parametrize(("image_size", "size", "n_scales", "factor"), TASKS)
def test_boxes_are_cut_and_averaged_as_published(name, image_size, size, n_scales, factor):
    generator = torch.Generator().manual_seed(1)
    images = torch.rand(6, 2, *image_size, generator=generator)
    locations = 2.4 * torch.rand(6, 9, 2, generator=generator) - 1.2
    if name == "kevinzakka":  # which cuts towards zero, and so not beyond the edge
        locations.clamp_(-1, 1)
    locations[0] = torch.cartesian_prod(torch.tensor([-1.0, 0, 1]), torch.tensor([-1.0, 0, 1]))
    locations[1, 0] = torch.tensor([0.25, -0.4])
    xy = MAPS[name].to_px(locations, image_size)
    sensor = BoxSensor(images, size, n_scales, factor=factor, coordinates=name)
    seen = sensor(xy)
    assert seen.shape == (6, 9, n_scales * 2 * size**2)
    for i in range(6):
        for m in range(9):
            corners = [
                corner_by_hand(name, locations[i, m].numpy(), image_size, size * factor**scale)
                for scale in range(n_scales)
            ]
            np.testing.assert_array_equal(sensor.corners(xy)[i, m].flip(-1).numpy(), corners)
            wanted = glimpse_by_hand(images[i], corners, size, factor)
            if n_scales == 1:
                assert torch.equal(seen[i, m], wanted)
            else:
                torch.testing.assert_close(seen[i, m], wanted, rtol=0, atol=1e-6)
    torch.testing.assert_close(sensor(xy[:, 4]), seen[:, 4], rtol=0, atol=0)


def test_halves_go_to_even_for_amasky_and_up_for_us():
    centres, width = torch.tensor([4.5, 5.5, -0.5]), torch.tensor(8)
    assert MAPS["amasky"].corner(centres, width).tolist() == [0, 2, -4]
    assert MAPS["attnsci"].corner(centres, width).tolist() == [1, 2, -4]
    assert MAPS["kevinzakka"].corner(centres, width).tolist() == [0, 1, -4]


@pytest.mark.parametrize("name", MAPS)
def test_pixels_and_locations_are_inverse(name):
    locations = torch.tensor([[-1.0, 0.5], [0.3, 1.0], [0.0, 0.0]], dtype=torch.float64)
    there = MAPS[name].to_px(locations, (60, 84))
    torch.testing.assert_close(MAPS[name].from_px(there, (60, 84)), locations)


def test_coordinates_are_x_right_and_y_down():
    assert MAPS["attnsci"].to_px(torch.tensor([-1.0, 1.0]), (60, 84)).tolist() == [0, 60]
    assert MAPS["kevinzakka"].to_px(torch.tensor([-1.0, 1.0]), (60, 84)).tolist() == [0, 60]
    assert MAPS["amasky"].to_px(torch.tensor([-1.0, 1.0]), (60, 84)).tolist() == [85, 0]
    image = torch.zeros(1, 1, 20, 30)
    image[0, 0, 3, 17] = 1
    for sensor in SENSORS.values():
        assert sensor(image, 1)(torch.tensor([[17.5, 3.5]])).item() == pytest.approx(1)


@pytest.mark.parametrize(("image_size", "size", "n_scales"), [((60, 60), 12, 3), ((46, 61), 6, 3)])
def test_the_pyramid_equals_boxes_at_multiples_of_the_widest_block(image_size, size, n_scales):
    images = torch.rand(3, 2, *image_size, generator=torch.Generator().manual_seed(2))
    # Odd sides are padded, so that an average at the far edge holds the nothing outside.
    places = torch.arange(-8, 72, 4.0)
    xy = torch.cartesian_prod(places, places).expand(3, -1, 2)
    boxes = BoxSensor(images, size, n_scales)(xy)
    torch.testing.assert_close(MipSensor(images, size, n_scales)(xy), boxes, rtol=0, atol=2e-5)


def test_the_pyramid_averages_and_does_not_skip():
    """A checkerboard has no detail at a wide scale; taking single pixels would show some."""
    board = (torch.arange(60)[:, None] + torch.arange(60)).remainder(2).float()[None, None]
    seen = MipSensor(board, 12, 3)(torch.tensor([[30.7, 29.2]])).view(3, 144)
    torch.testing.assert_close(seen[1:], torch.full((2, 144), 0.5))
    assert seen[0].std() > 0.1


def test_the_gradient_of_the_pyramid_is_right():
    generator = torch.Generator().manual_seed(3)
    images = torch.rand(2, 1, 23, 31, generator=generator, dtype=torch.float64)
    xy = 4 + 15 * torch.rand(2, 3, 2, generator=generator, dtype=torch.float64)
    xy.requires_grad_()
    assert torch.autograd.gradcheck(lambda at: MipSensor(images, 4, 2)(at), xy)
    images.requires_grad_()
    assert torch.autograd.gradcheck(lambda image: MipSensor(image, 4, 2)(xy.detach()), images)


@pytest.mark.parametrize("sensor", SENSORS.values())
def test_far_away_there_is_nothing(sensor):
    images = torch.ones(2, 1, 28, 28)
    far = torch.tensor([[1e4, 3.0], [-40.0, 14.0]])
    assert sensor(images, 8, 2)(far).count_nonzero() == 0


def test_errors_teach():
    images = torch.zeros(2, 1, 28, 28)
    with pytest.raises(InvalidInput, match="32 pixels, larger than the images of 28×28"):
        BoxSensor(images, 8, 3)
    with pytest.raises(InvalidInput, match="must be floats"):
        BoxSensor(images.byte(), 8)
    with pytest.raises(InvalidInput, match=r"\(2, M, 2\); got \(3, 2\)"):
        BoxSensor(images, 8)(torch.zeros(3, 2))
    with pytest.raises(InvalidInput, match="factor of 1"):
        BoxSensor(images, 8, 2, factor=1)
    with pytest.raises(UnknownName, match="amasky"):
        BoxSensor(images, 8, coordinates="amaski")
    with pytest.raises(InvalidInput, match="take MipSensor"):
        BoxSensor(images.requires_grad_(), 8)
