"""The log-polar grid: points by formula, turns and zooms as shifts, and back."""

import math

import numpy as np
import pytest
import torch

from attnsci.errors import InvalidInput
from attnsci.sensors.log_polar_grid import LogPolarGrid


def blob(turn: float = 0.0, zoom: float = 1.0, size: int = 128) -> torch.Tensor:
    """Return an image of two spots about its centre, turned from x to y and zoomed."""
    along = torch.arange(size, dtype=torch.float64) + 0.5 - size / 2
    y, x = torch.meshgrid(along, along, indexing="ij")
    image = torch.zeros_like(x)
    for radius, angle in ((24, 0.3), (15, 2.0)):
        cx, cy = zoom * radius * math.cos(angle + turn), zoom * radius * math.sin(angle + turn)
        image += torch.exp(-((x - cx) ** 2 + (y - cy) ** 2) / (2 * (4 * zoom) ** 2))
    return image[None, None]


def test_points_on_a_plane():
    """Bilinear interpolation of a plane is exact: the grid reads off its own coordinates."""
    grid = LogPolarGrid(5, 8, 2, 20).double()
    places = torch.arange(50, dtype=torch.float64) + 0.5
    images = torch.stack([places.expand(50, 50), places[:, None].expand(50, 50)])[None]
    fixation = torch.tensor([[24.3, 22.7]], dtype=torch.float64)
    seen = grid(images, fixation)[0].numpy()
    for ring in range(5):
        for angle in range(8):
            radius = 2 * 10 ** (ring / 4)
            x = 24.3 + radius * np.cos(np.pi * angle / 4)
            y = 22.7 + radius * np.sin(np.pi * angle / 4)
            np.testing.assert_allclose(seen[:, ring, angle], [x, y], atol=1e-5)


def test_a_turn_is_a_shift_of_angles_and_a_zoom_of_rings():
    grid = LogPolarGrid(33, 64, 4, 64, fill=0).double()
    straight = grid(blob())
    turned = grid(blob(turn=2 * math.pi * 5 / 64))
    torch.testing.assert_close(turned, straight.roll(5, -1), rtol=0, atol=0.02)
    step = 16 ** (1 / 32)
    zoomed = grid(blob(zoom=step**4))
    torch.testing.assert_close(zoomed[:, :, 4:], straight[:, :, :-4], rtol=0, atol=0.02)


def test_back_to_the_image():
    grid = LogPolarGrid(120, 180, 1, 60, fill=0.5).double()
    image = blob()
    back = grid.inverse(grid(image), (128, 128))
    along = torch.arange(128.0) + 0.5 - 64
    distance = torch.hypot(along[:, None], along[None])
    error = (back - image)[0, 0].abs()
    assert float(error[(distance > 1) & (distance < 60)].max()) < 0.03
    assert bool((back[0, 0][distance > 60] == 0.5).all())
    fixation = torch.tensor([[50.0, 70.0]], dtype=torch.float64)
    moved = grid.inverse(grid(image, fixation), (128, 128), fixation)
    near = torch.hypot(along[:, None] - 6, along[None] + 14) < 40
    assert float((moved - image)[0, 0][near].abs().max()) < 0.05


def test_off_the_image_it_is_grey():
    seen = LogPolarGrid(3, 4, 1, 4)(torch.ones(1, 2, 8, 8), torch.tensor([[-20.0, 4.0]]))
    assert bool((seen == 0.5).all())


def test_gradients():
    grid = LogPolarGrid(3, 5, 1.5, 6).double()
    images = torch.rand(2, 1, 16, 16, dtype=torch.float64, requires_grad=True)
    fixation = torch.tensor([[7.3, 8.1], [9.2, 6.6]], dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(grid, (images, fixation), atol=1e-6)


def test_bad_input():
    with pytest.raises(InvalidInput, match="1 rings"):
        LogPolarGrid(1, 4, 1, 4)
    with pytest.raises(InvalidInput, match="from 5 to 4"):
        LogPolarGrid(3, 4, 5, 4)
    grid = LogPolarGrid(3, 4, 1, 4)
    with pytest.raises(InvalidInput, match=r"\(N, C, 3, 4\)"):
        grid.inverse(torch.zeros(1, 1, 4, 3), (8, 8))
    with pytest.raises(InvalidInput, match="fixation must have shape"):
        grid(torch.zeros(2, 1, 8, 8), torch.zeros(1, 2))
