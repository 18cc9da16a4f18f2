import numpy as np
import pytest
import torch
from torch import Tensor

from attnsci.data.images import load_images, resize_and_crop
from attnsci.errors import InvalidInput
from attnsci.families.neva.config import REFERENCE, NeVAConfig
from attnsci.families.neva.network import NeVA
from attnsci.families.neva.search import SEARCHES, grid_points, sign_gradient
from attnsci.families.neva.tasks import BlurEnergy
from attnsci.families.neva.walk import Setting, Walk
from attnsci.sensors.foveation import Fovea, FoveatedView


def _images(n: int = 3, height: int = 36, width: int = 52) -> Tensor:
    """Return images with a few soft spots and fine texture under them."""
    generator = torch.Generator().manual_seed(5)
    rows, columns = torch.arange(height)[:, None] + 0.5, torch.arange(width) + 0.5
    total = torch.zeros(n, height, width)
    for _ in range(4):
        at = torch.rand(n, 2, 1, 1, generator=generator) * torch.tensor([width, height]).view(
            2, 1, 1
        )
        total += torch.exp(-((rows - at[:, 1]) ** 2 + (columns - at[:, 0]) ** 2) / 40)
    texture = torch.rand(n, height, width, generator=generator)
    return (total / total.amax((1, 2), keepdim=True) * texture)[:, None].double()


FOVEA = Fovea(sigma_px=6, blur_size=9, blur_sigma_px=3, retention=0.2)


def _walk(config: NeVAConfig, images: Tensor) -> Walk:
    setting = Setting(BlurEnergy(), FOVEA, config, 4, 2, 0)
    names = [str(i) for i in range(len(images))]
    return Walk(setting, images, names, [images], True)


def test_coffee_has_its_best_first_fixation_where_the_specification_says():
    pixels, _ = resize_and_crop(load_images("coffee")[0].image)
    image = torch.tensor(pixels)[None]
    fovea = Fovea.from_reference(0.15, 224)
    path, trace = NeVA(BlurEnergy(), fovea, search="oracle").trace(image, 1)
    assert (path["x"].item(), path["y"].item()) == (132.5, 122.5)
    assert path["loss"].item() == pytest.approx(0.01134934, abs=2e-6)
    assert trace.priority[0, 0, 50, 60].item() == pytest.approx(0.0132412, abs=2e-6)
    view = FoveatedView(image, fovea)
    for x, y in ((132.5, 122.5), (60.5, 50.5), (0.5, 223.5)):
        seen = view.perceive(view.mask(torch.tensor([[x, y]])))
        brute = float((seen - image).square().mean())
        assert trace.priority[0, 0, int(y), int(x)].item() == pytest.approx(brute, abs=1e-7)


def test_the_oracle_is_below_every_other_search_and_close_to_the_thorough_ones():
    images = _images()
    best = NeVA(BlurEnergy(), FOVEA, search="oracle").look(images, 1)
    for name in ("grid", "multistart", "sign-gradient", "random"):
        path = NeVA(BlurEnergy(), FOVEA, search=name, grid=7).look(images, 1)
        # A position between pixels may be a little better than the best pixel.
        assert bool((path["loss"] > 0.995 * best["loss"]).all())
        if name in ("grid", "multistart"):
            step = 0.9 * 51 / 6
            assert float(abs(path["x"] - best["x"]).max()) <= step
            assert float(abs(path["y"] - best["y"]).max()) <= step


def test_the_oracle_is_only_for_tasks_that_know():
    class Other(BlurEnergy):
        loss_map = None

    images = _images(1)
    with pytest.raises(InvalidInput, match="search='oracle' needs a task that knows"):
        NeVA(Other(), FOVEA, search="oracle").look(images, 1)
    for settings in ({"inhibition": 1.0}, {"saccade_cost": 1.0}):
        with pytest.raises(InvalidInput, match="no extra costs"):
            NeVA(BlurEnergy(), FOVEA, search="oracle", **settings).look(images, 1)
    saturating = Fovea(6, 3, 9, memory="saturating")
    with pytest.raises(InvalidInput, match="memory='sum'"):
        NeVA(BlurEnergy(), saturating, search="oracle").look(images, 1)
    with pytest.raises(InvalidInput, match="its own target"):
        NeVA(BlurEnergy(), FOVEA, search="oracle").look(images, 1, target=images * 0)


@pytest.mark.parametrize("search", ["grid", "sign-gradient", "multistart", "joint"])
def test_the_best_loss_is_the_least_of_all_tried_and_belongs_to_its_position(search):
    images = _images()
    neva = NeVA(BlurEnergy(), FOVEA, search=search)
    path, trace = neva.trace(images, 3)
    losses = trace.losses.numpy()
    np.testing.assert_allclose(path["loss"], losses.min(2), atol=1e-15)
    at = losses.argmin(2)[..., None, None]
    xy = np.take_along_axis(trace.positions.numpy(), at, 2)[:, :, 0]
    np.testing.assert_allclose(path["x"], xy[..., 0])
    np.testing.assert_allclose(path["y"], xy[..., 1])


@pytest.mark.parametrize("search", ["grid", "sign-gradient"])
def test_more_iterations_are_never_worse(search):
    images = _images()
    setting = {"grid": "refinements", "sign-gradient": "iterations"}[search]
    losses = [
        NeVA(BlurEnergy(), FOVEA, search=search, **{setting: n}).look(images, 1)["loss"].values
        for n in (1, 2, 4, 7)
    ]
    assert (np.diff(losses, axis=0) <= 0).all() and (losses[-1] < losses[0]).any()


def test_gradients_with_all_costs_by_finite_differences():
    images = _images()
    config = NeVAConfig(
        search="sign-gradient", inhibition=0.3, inhibition_sigma_px=9, saccade_cost=0.2
    )
    walk = _walk(config, images)
    walk.past = [torch.tensor([[10.0, 9.0], [30.0, 20.0], [25.0, 18.0]]).double()]
    memory = 0.2 * walk.view.mask(walk.past[0])
    problem = walk._problem(memory, images)
    xy = torch.tensor([[14.2, 11.1], [40.3, 9.7], [24.9, 30.2]]).double()
    loss, gradient = problem.loss_and_gradient(xy)
    torch.testing.assert_close(loss, problem.losses(xy[:, None])[:, 0], rtol=0, atol=1e-14)
    for axis in range(2):
        shift = torch.zeros(2).double()
        shift[axis] = 1e-5
        up, down = (problem.losses((xy + s * shift)[:, None])[:, 0] for s in (1, -1))
        torch.testing.assert_close(gradient[:, axis], (up - down) / 2e-5, rtol=1e-6, atol=1e-9)
    some = torch.tensor([2, 0])
    torch.testing.assert_close(
        problem.loss_and_gradient(xy[some], some), (loss[some], gradient[some])
    )


def test_inhibition_moves_the_eyes_and_the_cost_of_saccades_keeps_them():
    images = _images()

    def distance(**settings) -> np.ndarray:
        path = NeVA(BlurEnergy(), FOVEA, grid=9, **settings).look(images, 2)
        return np.hypot(*(path[axis].diff("fixation").values[:, 0] for axis in "xy"))

    assert (distance(inhibition=10.0, inhibition_sigma_px=8.0) > 16).all()
    assert (distance(saccade_cost=100.0) == 0).all()


def test_the_grid_and_its_priority_map():
    images = _images(2)
    path, trace = NeVA(BlurEnergy(), FOVEA, grid=4, refinements=1).trace(images, 2)
    assert trace.priority.shape == (2, 2, 4, 4)
    assert trace.losses.shape == (2, 2, 16 + 8)
    np.testing.assert_array_equal(trace.priority.flatten(2), trace.losses[:, :, :16])
    points = trace.positions[0, 0, :16].numpy().reshape(4, 4, 2)
    np.testing.assert_allclose(points[0, :, 0], np.linspace(-0.9, 0.9, 4) * 25.5 + 26)
    np.testing.assert_allclose(points[:, 0, 1], np.linspace(-0.9, 0.9, 4) * 17.5 + 18)
    # Rows of the map are rows of the image.
    view = FoveatedView(images, FOVEA)
    seen = view.perceive(view.mask(torch.tensor(points[3, 0]).expand(2, 2)))
    np.testing.assert_allclose(trace.priority[:, 0, 3, 0], BlurEnergy().loss(seen, images))
    assert path.sizes == {"scanpath": 2, "fixation": 2}


def test_a_grid_of_one_point_is_the_centre():
    walk = _walk(NeVAConfig(), _images(2))
    points, step = grid_points(walk._problem(walk.memory, walk.targets[0]), 1)
    assert points.tolist() == [[[26.0, 18.0]]] * 2
    np.testing.assert_allclose(step, [0.9 * 51, 0.9 * 35])


def test_refining_halves_the_distance_and_never_makes_it_worse():
    images = _images()
    losses = [
        NeVA(BlurEnergy(), FOVEA, grid=4, refinements=n).look(images, 1)["loss"].values[:, 0]
        for n in range(4)
    ]
    assert (np.diff(losses, axis=0) <= 0).all() and losses[3].sum() < losses[0].sum()
    _, trace = NeVA(BlurEnergy(), FOVEA, grid=4, refinements=2).trace(images, 1)
    xy = trace.positions[:, 0, 16:]
    width = xy[:, 8:, 0].amax(1) - xy[:, 8:, 0].amin(1)
    assert float(width.max()) <= 2 * 51 * 0.9 / 3 / 4 + 1e-9


@pytest.mark.parametrize("patience", [1, 4])
def test_an_image_stops_after_so_many_steps_without_a_better_one(patience):
    _, trace = NeVA(BlurEnergy(), FOVEA, REFERENCE, patience=patience).trace(_images(), 1)
    for losses in trace.losses[:, 0].numpy():
        n = int(np.isfinite(losses).sum())
        assert np.isnan(losses[n:]).all()
        if n < len(losses) or np.isfinite(losses).all():
            assert np.nanargmin(losses) == n - 1 - patience or n == 20


def test_restarts_land_anywhere_and_jitter_nearby():
    def moves(restarts: bool) -> np.ndarray:
        neva = NeVA(BlurEnergy(), FOVEA, REFERENCE, restarts=restarts, iterations=60)
        _, trace = neva.trace(_images(), 1)
        return np.abs(np.diff(trace.positions[:, 0].numpy(), axis=1))

    step = 0.1 * 35 / 2
    assert moves(False).max() <= 1.5 * step + 1e-9
    assert moves(True).max() > 10 * step


def test_random_positions_fill_the_image_evenly():
    images = torch.zeros(1, 1, 12, 30)
    path = NeVA(BlurEnergy(), Fovea(3, 2, 5), search="random").look(images, 2000)
    for axis, side in (("x", 30), ("y", 12)):
        values = path[axis].values[0]
        assert values.min() >= 0.5 and values.max() <= side - 0.5
        # The mean of 2000 uniform numbers is known to 4 standard errors.
        spread = (side - 1) / np.sqrt(12)
        assert abs(values.mean() - side / 2) < 4 * spread / np.sqrt(2000)
        assert values.std() == pytest.approx(spread, rel=0.05)


def test_every_search_has_a_name():
    assert set(SEARCHES) == {"sign-gradient", "multistart", "grid", "oracle", "random"}
    assert SEARCHES["sign-gradient"] is sign_gradient
