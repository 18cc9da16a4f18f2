import importlib.util
import json
from pathlib import Path

import numpy as np
import pytest
import torch
import xarray as xr
from torch import Tensor, nn
from torch.nn import functional

from attnsci.data.images import load_images, resize_and_crop
from attnsci.devices import computes_bfloat16
from attnsci.errors import InvalidInput
from attnsci.families.neva.config import LEGACY, RECOMMENDED, REFERENCE
from attnsci.families.neva.efficientnet_lite import load_efficientnet_lite
from attnsci.families.neva.folding import folded
from attnsci.families.neva.network import NeVA, Replay
from attnsci.families.neva.tasks import BlurEnergy, Classification, Embedding, Reconstruction
from attnsci.families.neva.walk import parts
from attnsci.gaze import validate, viewing_of
from attnsci.geometry import Viewing
from attnsci.sensors.foveation import Fovea, FoveatedView


def _load(path: Path):
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


REF = _load(Path(__file__).parents[3] / "benchmarks" / "neva_reference.py")


def _network(channels: int = 2, dtype: torch.dtype = torch.float64) -> nn.Module:
    """Return a smooth classifier of any image size, with fixed weights."""
    generator = torch.Generator().manual_seed(7)
    model = nn.Sequential(
        nn.Conv2d(channels, 6, 5, stride=2), nn.Tanh(), nn.Conv2d(6, 6, 3, stride=2), nn.Tanh(),
        nn.AdaptiveAvgPool2d(3), nn.Flatten(), nn.Linear(54, 10),
    )  # fmt: skip
    for each in model.parameters():
        each.data = torch.randn(each.shape, generator=generator) / each.shape[-1] ** 0.5
    return model.to(dtype)


def _images(n: int = 5, shape: tuple[int, ...] = (2, 40, 40), seed: int = 0) -> Tensor:
    """Return images with structure at all scales."""
    generator = torch.Generator().manual_seed(seed)
    total = torch.zeros(n, *shape)
    for size in (4, 10, 20):
        noise = torch.rand(n, shape[0], size, size, generator=generator)
        total += functional.interpolate(noise, shape[1:], mode="bilinear")
    return (total / 3).double()


FOVEA = Fovea.from_reference(0.15, 40, blur_size=9, blur_sigma_px=3.0, retention=0.1)
SMALL = {"s": 0.15, "blur_size": 9, "blur_sigma": 3.0, "retention": 0.1}


def _positions(scanpaths) -> np.ndarray:
    return np.stack([scanpaths["x"], scanpaths["y"]], -1)


# --- the published algorithm ---------------------------------------------------------------


@pytest.mark.parametrize("n", [1, 4])
@pytest.mark.parametrize("restarts", [False, True])
def test_legacy_is_the_published_algorithm(n, restarts):
    images, task = _images(n), Classification(_network())
    target = task.target(images)
    want = REF.look(
        lambda seen: task.loss(seen, target), images, 6, random_restarts=restarts, seed=3, **SMALL
    )
    got, trace = NeVA(task, FOVEA, LEGACY, restarts=restarts).trace(images, 6, seed=3)
    # The same numbers in another unit: only rounding is left.
    np.testing.assert_allclose(_positions(got), REF.to_pixels(want.positions, 40), atol=1e-10)
    np.testing.assert_allclose(trace.losses, want.losses, atol=1e-11)
    np.testing.assert_allclose(got["loss"], want.best, atol=1e-11)


def test_legacy_in_single_precision_to_a_ten_thousandth_of_a_pixel():
    images, task = _images(3).float(), Classification(_network(dtype=torch.float32))
    target = task.target(images)
    want = REF.look(lambda seen: task.loss(seen, target), images, 10, **SMALL)
    got = NeVA(task, FOVEA, LEGACY).look(images, 10)
    np.testing.assert_allclose(_positions(got), REF.to_pixels(want.positions, 40), atol=1e-4)


def test_legacy_depends_on_the_neighbours_and_reference_does_not():
    images, task = _images(4), Classification(_network())
    names = list("abcd")
    for config, same in ((LEGACY, False), (REFERENCE, True)):
        neva = NeVA(task, FOVEA, config)
        batch = _positions(neva.look(images, 4, image=names))
        alone = _positions(neva.look(images[2:3], 4, image=["c"]))
        assert np.allclose(batch[2:3], alone, atol=1e-9) == same


def test_the_published_code_stores_a_position_after_its_loss():
    images, task = _images(5), Classification(_network())
    target = task.target(images)
    view = FoveatedView(images, FOVEA)
    for config, right in ((LEGACY, False), (REFERENCE, True)):
        path = NeVA(task, FOVEA, config).look(images, 1)
        xy = torch.tensor(_positions(path)[:, 0])
        loss = task.loss(view.perceive(view.mask(xy)), target)
        assert np.allclose(loss, path["loss"][:, 0], atol=1e-12) == right
        np.testing.assert_allclose(path["state_loss"][:, 0], loss, atol=1e-12)


def test_legacy_may_leave_the_image_and_the_others_never_do():
    def shy(seen: Tensor, target: Tensor) -> Tensor:
        return -(seen - target).square().flatten(1).mean(1)

    images, task = _images(3), _Task(shy, "the less is seen, the better")
    path = NeVA(task, FOVEA, LEGACY, iterations=40).look(images, 2)
    assert float(abs(path["x"] - 20).max()) > 21 or float(abs(path["y"] - 20).max()) > 21
    for search in ("sign-gradient", "joint", "multistart", "grid", "random"):
        path = NeVA(task, FOVEA, search=search, iterations=40).look(images, 2)
        xy = _positions(path)
        assert xy.min() >= 0.5 and xy.max() <= 39.5


# --- discount and memory --------------------------------------------------------------------


@pytest.mark.parametrize("search", ["sign-gradient", "grid", "multistart", "joint"])
def test_discounting_matters_from_the_second_fixation_and_only_with_forgetting(search):
    images, task = _images(3), Classification(_network())
    for retention in (1.0, 0.4):
        fovea = Fovea(5.0, 3.0, 9, retention=retention)
        paths = [
            NeVA(task, fovea, search=search, discount=discount).look(images, 2)
            for discount in ("search", "commit")
        ]
        first, second = (
            np.abs(a - b) for a, b in ((p["loss"].values[:, i] for p in paths) for i in (0, 1))
        )
        if retention == 1:
            assert max(first.max(), second.max()) < 1e-12
            np.testing.assert_array_equal(*(_positions(path) for path in paths))
        elif search != "joint":  # there the first fixation serves the second too
            assert first.max() < 1e-12 < second.max()
        else:
            assert second.max() > 1e-12


def test_the_loss_of_a_search_with_commit_is_at_the_undiscounted_memory():
    images, task = _images(2), BlurEnergy()
    fovea = Fovea(5.0, 3.0, 9, retention=0.3)
    view = FoveatedView(images, fovea)
    for discount, share in (("commit", 1.0), ("search", 0.3)):
        path = NeVA(task, fovea, discount=discount).look(images, 2)
        xy = torch.tensor(_positions(path))
        first, second = view.mask(xy[:, 0]), view.mask(xy[:, 1])
        searched = task.loss(view.perceive(share * first + second), images)
        kept = task.loss(view.perceive(0.3 * first + second), images)
        np.testing.assert_allclose(path["loss"][:, 1], searched, atol=1e-14)
        np.testing.assert_allclose(path["state_loss"][:, 1], kept, atol=1e-14)


def test_a_memory_that_hides_nothing_has_no_gradient_and_does_no_harm():
    images, task = _images(2), Classification(_network())
    path, trace = NeVA(
        task, Fovea(400.0, 3.0, 9, amplitude=3.0, retention=1.0), REFERENCE, iterations=6
    ).trace(images, 3)
    np.testing.assert_allclose(trace.seen, images[:, None].expand_as(trace.seen))
    clean = task.loss(images, task.target(images))
    np.testing.assert_allclose(path["state_loss"], clean[:, None].expand(2, 3), atol=1e-12)
    # The zero gradient moves nothing: the centre is the first and stays the best.
    np.testing.assert_array_equal(path["x"], 20)


def test_no_fovea_sees_only_blur():
    images = _images(2)
    path, trace = NeVA(BlurEnergy(), Fovea(5.0, 3.0, 9, amplitude=0)).trace(images, 2)
    view = FoveatedView(images, FOVEA)
    np.testing.assert_allclose(trace.seen[:, 1], view.perceive(view.blank()), atol=1e-14)
    assert np.ptp(path["loss"].values, axis=1).max() == 0


# --- coordinates ----------------------------------------------------------------------------


@pytest.mark.parametrize("settings", [
    {"search": "oracle"}, {"search": "grid", "grid": 9, "refinements": 3},
    {"search": "multistart", "grid": 9, "keep": 1},
    {"search": "sign-gradient", "restarts": True, "iterations": 150},
    {"search": "grid", "grid": 9, "coarse_px": 30, "keep": 4},
])  # fmt: skip
@pytest.mark.parametrize("corner", [(83.5, 8.5), (10.5, 50.5)])
def test_a_planted_spot_in_a_corner_is_looked_at(settings, corner):
    image = torch.full((1, 3, 60, 96), 0.5).double()
    column, row = (int(value) for value in corner)
    image[..., row - 1 : row + 2, column - 1 : column + 2] = 1
    fovea = Fovea(sigma_px=9, blur_size=9, blur_sigma_px=3)
    path = NeVA(BlurEnergy(), fovea, **settings).look(image, 1)
    x, y = path["x"].item(), path["y"].item()
    near = 1e-9 if settings["search"] == "oracle" else 4
    assert abs(x - corner[0]) <= near and abs(y - corner[1]) <= near


def test_in_degrees_and_with_the_frame_of_the_images():
    image = torch.full((1, 1, 60, 96), 0.5)
    image[..., 9:12, 80:83] = 1
    viewing = Viewing(96, 60, px_per_deg=8)
    neva = NeVA(BlurEnergy(), Fovea(9, 3, 9), search="oracle")
    path = neva.look(image, 1, viewing=viewing)
    degrees = viewing_of(path).to_degrees(path["x"].item(), path["y"].item())
    np.testing.assert_allclose(degrees, ((81.5 - 48) / 8, (10.5 - 30) / 8))
    with pytest.raises(InvalidInput, match="60×96 pixels and the images are 96×60"):
        neva.look(image, 1, viewing=Viewing(60, 96))


def test_back_to_the_photograph_the_image_was_cut_from():
    photo = np.full((300, 500, 3), 128, np.uint8)
    photo[60:75, 330:345] = 255
    pixels, crop = resize_and_crop(photo, 64)
    path = NeVA(BlurEnergy(), Fovea(6, 3, 9), search="oracle").look(torch.tensor(pixels)[None], 1)
    x, y = crop.to_original(path["x"].item(), path["y"].item())
    assert abs(x - 337.5) < 3 and abs(y - 67.5) < 3
    np.testing.assert_allclose(crop.from_original(x, y), (path["x"].item(), path["y"].item()))


# --- determinism ----------------------------------------------------------------------------

SEARCHES = [
    {"search": "grid"}, {"search": "grid", "coarse_px": 24, "keep": 2, "refinements": 1},
    {"search": "sign-gradient"}, {"search": "sign-gradient", "restarts": True, "patience": 3},
    {"search": "multistart"}, {"search": "random"}, {"search": "joint", "iterations": 5},
    {"search": "grid", "inhibition": 0.1, "saccade_cost": 0.05},
]  # fmt: skip


@pytest.mark.parametrize("settings", SEARCHES)
def test_no_search_knows_of_the_neighbours_or_of_the_batch(settings):
    images, task = _images(5), Classification(_network())
    names = [f"photo {i}" for i in range(5)]
    fovea = Fovea(5.0, 3.0, 9, retention=0.5, noise=0.05)
    neva = NeVA(task, fovea, **settings)
    batch = neva.look(images, 3, image=names)
    mixed = [3, 0, 4]
    for rows, chunk in ((mixed, None), ([2], None), (list(range(5)), 2), (list(range(5)), 64)):
        again = NeVA(task, fovea, chunk=chunk, **settings).look(
            images[rows], 3, image=[names[row] for row in rows]
        )
        np.testing.assert_allclose(_positions(again), _positions(batch)[rows], atol=1e-9)
        np.testing.assert_allclose(again["loss"], batch["loss"][rows], atol=1e-12)


@pytest.mark.parametrize("settings", [{"search": "sign-gradient"}, {"search": "random"}])
def test_the_seed_decides(settings):
    neva = NeVA(Classification(_network()), FOVEA, **settings)
    first, again, other = (_positions(neva.look(_images(2), 3, seed=s)) for s in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert not np.allclose(first, other)


def test_one_and_two_threads_find_the_same():
    images, task = _images(3), Classification(_network())
    paths, threads = [], torch.get_num_threads()
    try:
        for n in (1, 2):
            torch.set_num_threads(n)
            paths.append(_positions(NeVA(task, FOVEA).look(images, 3)))
    finally:
        torch.set_num_threads(threads)
    np.testing.assert_allclose(*paths, atol=1e-9)


def test_look_is_trace_without_the_rest():
    neva = NeVA(Classification(_network()), FOVEA, REFERENCE, patience=2)
    path, trace = neva.trace(_images(9), 2)
    assert neva.look(_images(9), 2).identical(path)
    width = trace.losses.shape[-1]
    assert trace.positions.shape == (9, 2, width, 2)
    assert trace.seen.shape == (9, 2, 2, 40, 40)
    assert trace.priority is None
    assert np.array_equal(trace.losses.isnan(), trace.positions.isnan()[..., 0])
    np.testing.assert_allclose(path["state_loss"], trace.state_loss)


def test_what_was_seen_can_be_recorded():
    images, task = _images(2), Classification(_network())
    path, trace = NeVA(task, FOVEA).trace(images, 3)
    logits = Replay(task.model)(trace.seen)
    assert logits.shape == (2, 3, 10)
    loss = functional.cross_entropy(logits[:, 2], task.target(images), reduction="none")
    np.testing.assert_allclose(loss, path["state_loss"][:, 2], atol=1e-12)


# --- refusals -------------------------------------------------------------------------------


def test_images_that_cannot_be_looked_at():
    neva = NeVA(BlurEnergy(), FOVEA)
    images = _images(3)
    broken = images.clone()
    broken[1, 0, 3, 3] = torch.nan
    with pytest.raises(InvalidInput, match=r"Image 'b' has values from nan.*without NaN"):
        neva.look(broken, 1, image=list("abc"))
    with pytest.raises(InvalidInput, match="to 255; images must lie in"):
        neva.look(images * 255 / images[0].max(), 1)
    with pytest.raises(InvalidInput, match=r"floats \(N, C, H, W\); got torch.uint8"):
        neva.look((images * 255).byte(), 1)
    with pytest.raises(InvalidInput, match="as many different names"):
        neva.look(images, 1, image=["a", "b", "a"])
    with pytest.raises(InvalidInput, match="n_fixations"):
        neva.look(images, 0)


class _Task:
    """A task made of one function."""

    def __init__(self, loss, name="made up"):
        self._loss, self.name = loss, name

    def target(self, images: Tensor) -> Tensor:
        return images

    def loss(self, seen: Tensor, target: Tensor) -> Tensor:
        return self._loss(seen, target)


@pytest.mark.parametrize("search", ["grid", "sign-gradient", "multistart", "joint", "random"])
def test_a_criterion_that_averages_over_the_batch(search):
    task = _Task(lambda seen, target: (seen - target).square().mean())
    with pytest.raises(InvalidInput, match=r"loss of shape \(\).*one value an image"):
        NeVA(task, FOVEA, search=search).look(_images(3), 1)


@pytest.mark.parametrize("search", ["sign-gradient", "multistart", "joint"])
@pytest.mark.parametrize("inhibition", [0.0, 0.5])
def test_a_task_without_a_gradient_is_refused_by_searches_that_descend(search, inhibition):
    if search == "joint" and inhibition:
        return
    weight = torch.ones((), dtype=torch.float64, requires_grad=True)
    for loss in (
        lambda seen, target: (seen.detach() - target).square().flatten(1).mean(1),
        lambda seen, target: weight * (seen.detach() - target).square().flatten(1).mean(1),
    ):
        task = _Task(loss)
        with pytest.raises(InvalidInput, match=r"without a gradient.*search='grid'"):
            NeVA(task, FOVEA, search=search, inhibition=inhibition).look(_images(2), 2)
    NeVA(task, FOVEA, search="grid", inhibition=inhibition).look(_images(2), 2)


@pytest.mark.parametrize("search", ["grid", "sign-gradient", "joint", "random"])
def test_a_loss_that_is_nan_names_the_image(search):
    def loss(seen: Tensor, target: Tensor) -> Tensor:
        value = (seen - target).square().flatten(1).mean(1)
        return torch.where(target.mean((1, 2, 3)) > 0.9, torch.nan, value)

    images = _images(3)
    images[1] = 0.95
    with pytest.raises(InvalidInput, match="not finite on image 'middle'"):
        NeVA(_Task(loss), FOVEA, search=search).look(images, 1, image=["a", "middle", "z"])


def test_targets_of_another_length():
    with pytest.raises(InvalidInput, match="one entry an image; 3 images"):
        NeVA(BlurEnergy(), FOVEA).look(_images(3), 1, target=torch.zeros(2))


# --- tasks, precision, output ---------------------------------------------------------------


def test_a_drift_moves_the_target_from_fixation_to_fixation():
    def encode(images: Tensor) -> Tensor:
        return images.mean((2, 3)) + torch.tensor([0.0, 1.0]).to(images)

    images = _images(10)
    start = torch.rand(10, 2, generator=torch.Generator().manual_seed(1)).double()
    end = torch.tensor([1.0, 0.2])
    path, trace = NeVA(Embedding(encode, end, start), FOVEA).trace(images, 3)
    for t in range(3):
        aim = (t / 3) ** 2 * end + (1 - (t / 3) ** 2) * start
        want = 1 - functional.cosine_similarity(encode(trace.seen[:, t]), aim, dim=1)
        np.testing.assert_allclose(path["state_loss"][:, t], want, atol=1e-12)


def test_the_user_s_target_is_looked_for():
    images = _images(4)
    task = Classification(_network())
    target = torch.tensor([3, 1, 4, 1])
    path, trace = NeVA(task, FOVEA).trace(images, 2, target=target)
    want = functional.cross_entropy(task.model(trace.seen[:, 1]), target, reduction="none")
    np.testing.assert_allclose(path["state_loss"][:, 1], want, atol=1e-12)


def test_any_number_of_channels_and_any_shape():
    for shape in ((1, 33, 50), (5, 50, 31)):
        images = _images(2, shape)
        for task in (
            BlurEnergy(),
            Reconstruction(nn.Identity()),
            Classification(_network(shape[0])),
        ):
            path = NeVA(task, FOVEA, coarse_px=20).look(images, 2)
            assert float(path["x"].max()) < shape[2] and float(path["y"].max()) < shape[1]


def test_forwards_in_bfloat16_are_judged_in_float32():
    images, task = _images(4).float(), Classification(_network(dtype=torch.float32))
    path, trace = NeVA(task, FOVEA, precision="bfloat16", coarse_px=30).trace(images, 2)
    loss = task.loss(trace.seen[:, 0], task.target(images))
    np.testing.assert_allclose(path["loss"][:, 0], loss, atol=1e-6)
    exact = NeVA(task, FOVEA, precision="float32", coarse_px=30).look(images, 2)
    np.testing.assert_allclose(path["loss"], exact["loss"], atol=0.05)


def test_bfloat16_is_taken_where_the_processor_computes_in_it(monkeypatch):
    cpu = torch.device("cpu")
    for has_avx, has_amx in ((False, False), (True, False), (False, True)):
        monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda has=has_avx: has)
        monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda has=has_amx: has)
        assert computes_bfloat16("auto", cpu) == (has_avx or has_amx)
        assert not computes_bfloat16("float32", cpu)
        assert computes_bfloat16("bfloat16", cpu)


def test_parts_cover_everything_once_and_are_even():
    assert parts(25, 8) == [slice(0, 6), slice(6, 12), slice(12, 18), slice(18, 25)]
    assert parts(8, 8) == [slice(0, 8)]


def test_the_output_is_a_scanpath_set_that_can_be_written_and_scored(tmp_path):
    from attnsci.scanpaths import read_scanpaths, similarity, write_scanpaths

    neva = NeVA(Classification(_network()), FOVEA)
    paths = neva.look(_images(3), 4, image=["a.png", "b.png", "c.png"], seed=5)
    validate(paths)
    assert paths["observer"].values.tolist() == ["NeVA classification"] * 3
    assert paths["image"].values.tolist() == ["a.png", "b.png", "c.png"]
    assert bool(paths["duration"].isnull().all()) and paths.attrs["seed"] == 5
    record = json.loads(paths.attrs["provenance"])
    assert record["search"]["discount"] == "search" and record["fovea"]["retention"] == 0.1
    assert record["search"]["search"] == RECOMMENDED.search
    with pytest.warns(UserWarning, match="no place for loss, state_loss"):
        write_scanpaths(paths, tmp_path / "paths.csv")
    again = read_scanpaths(tmp_path / "paths.csv", viewing=viewing_of(paths))
    np.testing.assert_allclose(_positions(again), _positions(paths), atol=1e-9)
    paths.to_netcdf(tmp_path / "paths.nc")
    with xr.open_dataset(tmp_path / "paths.nc") as kept:
        xr.testing.assert_identical(kept.load(), paths)
    for metric in ("edit_distance", "time_delay_embedding", "scanmatch", "frechet"):
        scores = similarity(again, metric=metric)
        assert bool(np.isfinite(scores).any()), metric


# --- the numbers of the published search on photographs (slow) ------------------------------

PATHS = {
    "chelsea": [(106, 47), (114, 172), (102, 61), (157, 169), (104, 62), (172, 190), (58, 157),
                (152, 164), (99, 45), (131, 164)],
    "coffee": [(146, 71), (91, 54), (122, 77), (98, 137), (123, 56), (101, 117), (146, 61),
               (115, 67), (73, 128), (104, 54)],
    "astronaut": [(88, 85), (163, 199), (102, 37), (72, 118), (79, 121), (143, 84), (130, 85),
                  (121, 107), (141, 101), (65, 111)],
}  # fmt: skip
"""Where the published code looks, measured by running it: indices of the 224 × 224 crop."""


@pytest.mark.slow
@pytest.mark.parametrize("name", PATHS)
def test_the_published_scanpaths_on_photographs(name):
    pixels, _ = resize_and_crop(load_images(name)[0].rgb)
    task = Classification(load_efficientnet_lite("lite0"))
    path = NeVA(task, Fovea.from_reference(0.15, 224), LEGACY).look(torch.tensor(pixels)[None])
    assert np.abs(_positions(path)[0] - 0.5 - PATHS[name]).max() <= 1


@pytest.mark.slow
def test_losses_on_fourteen_crops():
    datasets = pytest.importorskip("sklearn.datasets")
    photos = [photo.rgb for photo in load_images()]
    photos += [datasets.load_sample_image(f"{name}.jpg") for name in ("china", "flower")]
    photos += [photo[: photo.shape[0] * 4 // 5, : photo.shape[1] * 4 // 5] for photo in photos]
    images = torch.tensor(np.stack([resize_and_crop(photo)[0] for photo in photos]))
    task = Classification(folded(load_efficientnet_lite("lite0")))
    fovea = Fovea.from_reference(0.15, 224)
    view, target = FoveatedView(images, fovea), task.target(images)
    clean, blurred = (
        float(
            torch.cat(
                [task.loss(*part) for part in zip(seen.split(4), target.split(4), strict=True)]
            ).mean()
        )
        for seen in (images, view.perceive(view.blank()))
    )
    assert clean == pytest.approx(0.899, abs=0.02)
    assert blurred == pytest.approx(6.178, abs=0.02)
    fine = NeVA(task, fovea, precision="float32", coarse_px=None).look(images, 1)
    assert float(fine["loss"].mean()) == pytest.approx(1.603, abs=0.03)
    coarse = NeVA(task, fovea, precision="float32", coarse_px=128, refinements=1).look(images, 1)
    assert float(coarse["loss"].mean()) == pytest.approx(2.144, abs=0.1)
