import numpy as np
import pytest
import torch
from torch import Tensor

from attnsci.families.neva.network import NeVA
from attnsci.families.neva.tasks import BlurEnergy
from attnsci.sensors.foveation import Fovea, FoveatedView

FOVEA = Fovea(sigma_px=6, blur_size=9, blur_sigma_px=3, retention=0.5)
STEP = 0.1 * 35 / 2


def _images(n: int = 3) -> Tensor:
    generator = torch.Generator().manual_seed(5)
    texture = torch.rand(n, 1, 36, 52, generator=generator).double()
    return texture * torch.rand(n, 1, 1, 52, generator=generator)


def _losses(images: Tensor, path: Tensor, discount: str) -> Tensor:
    """Return the losses (T, N) of a path (T, N, 2), step by step."""
    view = FoveatedView(images, FOVEA)
    memory, losses = view.blank(), []
    for xy in path:
        kept = 0.5 * memory
        base = kept if discount == "search" else memory
        losses.append(BlurEnergy().loss(view.perceive(base + view.mask(xy)), images))
        memory = kept + view.mask(xy)
    return torch.stack(losses)


@pytest.mark.parametrize("discount", ["search", "commit"])
def test_a_step_follows_the_sign_of_the_whole_sequence_s_gradient(discount):
    images = _images()
    neva = NeVA(BlurEnergy(), FOVEA, search="joint", iterations=2, discount=discount)
    _, trace = neva.trace(images, 3)
    start = trace.positions[:, :, 0].transpose(0, 1)
    np.testing.assert_array_equal(start, torch.tensor([26.0, 18.0]).expand(3, 3, 2))
    np.testing.assert_allclose(
        trace.losses[:, :, 0].T, _losses(images, start, discount), atol=1e-15
    )
    moved = trace.positions[:, :, 1].transpose(0, 1)
    for t in range(3):
        for axis in range(2):
            shift = torch.zeros_like(start)
            shift[t, :, axis] = 1e-4
            slope = (
                _losses(images, start + shift, discount) - _losses(images, start - shift, discount)
            ).sum(0)
            np.testing.assert_allclose(moved[t, :, axis], start[t, :, axis] - STEP * slope.sign())


def test_a_sequence_of_one_is_the_sign_gradient_search():
    images = _images()
    settings = {"discount": "commit", "iterations": 25}
    alone, together = (
        NeVA(BlurEnergy(), FOVEA, search=search, **settings).trace(images, 1)
        for search in ("sign-gradient", "joint")
    )
    np.testing.assert_allclose(alone[1].positions, together[1].positions, atol=1e-9)
    np.testing.assert_allclose(alone[0]["loss"], together[0]["loss"], atol=1e-15)


def test_the_best_of_every_fixation_is_kept():
    images = _images()
    path, trace = NeVA(BlurEnergy(), FOVEA, search="joint").trace(images, 3)
    np.testing.assert_allclose(path["loss"], trace.losses.amin(2), atol=1e-15)
    xy = torch.tensor(np.stack([path["x"], path["y"]], -1)).transpose(0, 1)
    view, memory = FoveatedView(images, FOVEA), 0
    for t in range(3):  # what is remembered is of the kept positions, not of the last tried
        memory = 0.5 * memory + view.mask(xy[t])
        state = BlurEnergy().loss(view.perceive(memory), images)
        np.testing.assert_allclose(path["state_loss"][:, t], state, atol=1e-14)
