"""The policy proposes positions on the image; the published head may leave it."""

import dataclasses
import json

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from attnsci.errors import CheckpointError, InvalidInput
from attnsci.families.neva.policy import LearnedGaze, NeVAPolicy, follow
from attnsci.families.neva.policy_config import NeVAPolicyConfig
from attnsci.families.neva.tasks import BlurEnergy
from attnsci.families.zoo import load_model, pretrained_names
from attnsci.gaze import validate
from attnsci.geometry import Viewing
from attnsci.models.weights import save_weights
from attnsci.sensors.foveation import Fovea, FoveatedView

FOVEA = Fovea(sigma_px=6, blur_size=9, blur_sigma_px=3, retention=0.8)
SMALL = NeVAPolicyConfig(channels=1, widths=(8, 8), strides=(2, 2), size=(32, 48))


def policy(head="soft-argmax", seed=0, **changes) -> NeVAPolicy:
    torch.manual_seed(seed)
    return NeVAPolicy(dataclasses.replace(SMALL, head=head, **changes)).eval()


def images(n=4, seed=1, size=(32, 48), channels=1):
    return torch.rand(n, channels, *size, generator=torch.Generator().manual_seed(seed))


DIGITS = NeVAPolicyConfig(channels=1, widths=(16, 32, 32), strides=(2, 2, 1), size=(56, 56))
SIMPLE = dataclasses.replace(DIGITS, head="clamped", strides=(2, 2, 2))  # published at that size


@pytest.mark.parametrize(("config", "n"), [(DIGITS, 14_497), (SIMPLE, 28_210)])
def test_the_small_policies_have_as_many_weights_as_those_measured(config, n):
    assert sum(p.numel() for p in NeVAPolicy(config).parameters()) == n


@given(
    head=st.sampled_from(["soft-argmax", "tanh", "clamped"]),
    strides=st.lists(st.integers(1, 4), min_size=1, max_size=3),
    size=st.tuples(st.integers(70, 100), st.integers(70, 100)),
)
@settings(max_examples=25, deadline=None)
def test_the_grid_is_that_of_the_network(head, strides, size):
    config = NeVAPolicyConfig(head, 1, (2,) * len(strides), tuple(strides), size)
    maps = NeVAPolicy(config).eval().features(torch.zeros(1, 1, *size))
    assert tuple(maps.shape[-2:]) == config.grid


@pytest.mark.parametrize("head", ["soft-argmax", "tanh"])
@pytest.mark.parametrize("scale", [1, 1e3, 1e6])
def test_bounded_heads_stay_on_the_image_whatever_their_weights(head, scale):
    network = policy(head)
    with torch.no_grad():
        for parameter in network.head.parameters():
            parameter.mul_(scale)
    xy = network(images(50))
    assert (xy >= 0.5).all()
    assert (xy <= torch.tensor([47.5, 31.5])).all()
    assert scale == 1 or xy.std(0).min() > 0.01


def test_the_published_head_leaves_the_image():
    network = policy("clamped")
    torch.nn.init.zeros_(network.head.weight)
    network.head.bias.data = torch.tensor([7.0, -1.5])
    # 2.5 and 1.5 half widths of (W − 1)/2 and (H − 1)/2 pixels from the middle
    middle = torch.tensor([[24.0, 16.0]])
    expected = middle + torch.tensor([[2.5 * 23.5, -1.5 * 15.5]])
    torch.testing.assert_close(network(images(1)), expected)
    # There the clamp lets no gradient through: a gaze that is out stays out.
    network(images(1)).sum().backward()
    assert network.head.bias.grad.tolist()[0] == 0
    paths = LearnedGaze(network, FOVEA).look(images(1), 2)
    assert paths["x"].to_numpy() == pytest.approx(82.75)
    assert paths["y"].to_numpy() == pytest.approx(-7.25)


@pytest.mark.parametrize("spot", [(2, 3), (7, 11), (0, 0)])
def test_a_sharp_map_points_at_the_middle_of_its_cell(spot):
    network = policy()
    scores = torch.zeros(1, 1, 8, 12)
    scores[0, 0, spot[0], spot[1]] = 100
    network.head.forward = lambda maps: scores
    # Cells of four pixels, of an image that is seen at its own size.
    expected = torch.tensor([[4 * spot[1] + 2.0, 4 * spot[0] + 2.0]])
    torch.testing.assert_close(network(images(1)), expected)


@pytest.mark.parametrize("head", ["soft-argmax", "tanh"])
def test_larger_images_are_seen_smaller_and_fixated_in_their_own_pixels(head):
    network, smooth = policy(head), torch.nn.Upsample(scale_factor=2, mode="bilinear")
    small = torch.nn.functional.avg_pool2d(images(3, size=(96, 144)), 3)
    with torch.no_grad():
        network.head.weight.mul_(50)
    at, large = network(small), network(smooth(smooth(small)))
    torch.testing.assert_close((large - 0.5) / 4, at - 0.5, atol=1.5, rtol=0)
    assert network(images(2, size=(40, 80))).shape == (2, 2)
    with pytest.raises(InvalidInput, match="1, H, W"):
        network(images(2, channels=3))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"head": "argmax"}, "head"),
        ({"channels": 0}, "channels"),
        ({"widths": (8, 8, 8)}, "one entry a layer"),
        ({"widths": (), "strides": ()}, "one entry a layer"),
        ({"strides": (2, 0)}, "strides"),
        ({"size": (32,)}, "height, width"),
        ({"head": "tanh", "strides": (8, 8), "size": (9, 9)}, "too small"),
    ],
)
def test_impossible_settings_are_refused(changes, message):
    with pytest.raises(InvalidInput, match=message):
        dataclasses.replace(SMALL, **changes)


def test_the_gradient_through_the_mask_is_that_of_finite_differences():
    torch.manual_seed(0)
    network = NeVAPolicy(SMALL).double().eval()
    with torch.no_grad():  # away from the flat start, so that every weight matters
        network.head.weight.mul_(20)
    sharp, task = images(3).double(), BlurEnergy()

    def loss():
        view = FoveatedView(sharp, FOVEA)
        return torch.stack([task.loss(s, sharp).mean() for _, s in follow(network, view, 3)]).mean()

    value = loss()
    value.backward()
    for parameter in (network.head.weight, network.features[0].weight, network.features[4].bias):
        flat, gradient = parameter.data.view(-1), parameter.grad.view(-1).clone()
        for index in gradient.abs().argsort(descending=True)[:2]:
            step, losses = 1e-6, []
            for change in (step, -2 * step):
                flat[index] += change
                losses.append(loss().item())
            flat[index] += step
            slope = (losses[0] - losses[1]) / (2 * step)
            assert gradient[index].item() == pytest.approx(slope, rel=1e-4)
            assert abs(slope) > 1e-7


def test_following_a_policy_by_hand():
    network, sharp = policy(), images(2)
    view, memory = FoveatedView(sharp, FOVEA), torch.zeros(2, 1, 32, 48)
    for xy, seen in follow(network, FoveatedView(sharp, FOVEA), 3):
        before = sharp + view.residual * (1 - memory).clamp(0, 1)
        torch.testing.assert_close(xy, network(before))
        memory = 0.8 * memory + view.mask(xy)
        torch.testing.assert_close(seen, sharp + view.residual * (1 - memory).clamp(0, 1))


def test_a_truncated_graph_ends_at_the_fixation():
    network, sharp = policy(), images(2)
    for truncated, depends in ((True, False), (False, True)):
        steps = list(follow(network, FoveatedView(sharp, FOVEA), 2, truncated=truncated))
        (gradient,) = torch.autograd.grad(steps[1][1].sum(), steps[0][0], allow_unused=True)
        assert (gradient is not None) is depends


@pytest.mark.parametrize("head", ["soft-argmax", "tanh"])
def test_looking_keeps_the_contract(head):
    gaze = LearnedGaze(policy(head), FOVEA, task="classification")
    viewing = Viewing(48, 32, px_per_deg=4)
    paths = gaze.look(images(), 5, image=list("abcd"), seed=3, viewing=viewing)
    assert validate(paths) is paths
    assert paths["x"].shape == (4, 5)
    assert paths["image"].to_numpy().tolist() == list("abcd")
    assert set(paths["observer"].to_numpy()) == {"NeVA policy classification"}
    assert np.isnan(paths["duration"]).all()
    assert Viewing.from_json(paths.attrs["viewing"]) == viewing
    record = json.loads(paths.attrs["provenance"])
    assert record["config"]["head"] == head
    assert record["fovea"]["retention"] == 0.8
    assert paths.attrs["seed"] == 3


@pytest.mark.parametrize("noise", [0.0, 0.1])
def test_neighbours_order_and_chunk_change_nothing(noise):
    fovea, network = dataclasses.replace(FOVEA, noise=noise), policy()
    with torch.no_grad():
        network.head.weight.mul_(50)
    pictures, names = images(5), list("abcde")
    turned = pictures.flip(0)
    together = LearnedGaze(network, fovea).look(pictures, 4, image=names, seed=2)
    by_two = LearnedGaze(network, fovea, chunk=2).look(turned, 4, image=names[::-1], seed=2)
    alone = LearnedGaze(network, fovea).look(pictures[3:4], 4, image=["d"], seed=2)
    for name in ("x", "y"):
        np.testing.assert_allclose(by_two[name][::-1], together[name], atol=1e-3)
        np.testing.assert_allclose(alone[name][0], together[name][3], atol=1e-3)
    assert float(together["x"].std("scanpath").min()) > 0.05
    other = LearnedGaze(network, fovea).look(pictures, 4, image=names, seed=9)
    assert np.allclose(other["x"], together["x"]) is (noise == 0)


def test_retention_may_be_swept_when_looking():
    network = policy()
    with torch.no_grad():
        network.head.weight.mul_(50)
    paths = [
        LearnedGaze(network, dataclasses.replace(FOVEA, retention=r)).look(images(), 4)
        for r in (0.0, 1.0)
    ]
    # The first two look alike: what the first showed has not faded when the second is chosen.
    np.testing.assert_array_equal(paths[0]["x"][:, :2], paths[1]["x"][:, :2])
    assert (np.abs(paths[0]["x"][:, 2:] - paths[1]["x"][:, 2:]) > 1e-3).any()


def test_trained_weights_look_as_they_learned_to(tmp_path):
    network, trained = policy(), dataclasses.replace(FOVEA, noise=0.1)
    record = {"model": "NeVAPolicy", "config": SMALL, "fovea": trained, "task": {"name": "T"}}
    save_weights(tmp_path / "a.safetensors", network, record)
    gaze = LearnedGaze.of(load_model(tmp_path / "a.safetensors"))
    assert gaze.fovea == FOVEA
    assert gaze.name == "NeVA policy T"
    assert gaze.policy.config == SMALL
    expected = LearnedGaze(network, FOVEA).look(images(), 3)
    np.testing.assert_array_equal(gaze.look(images(), 3)["x"], expected["x"])
    with pytest.raises(CheckpointError, match="'ObjectAttention'"):
        LearnedGaze.of(load_model("mnist-2-seed0"))


@pytest.mark.parametrize("name", [n for n in pretrained_names() if n.startswith("neva-policy")])
def test_shipped_policies_look_and_say_what_looking_was_worth(name):
    shipped = load_model(name)
    gaze = LearnedGaze.of(shipped)
    size = gaze.policy.config.size
    paths = gaze.look(images(2, size=size, channels=3), 3)
    assert (paths["x"] > 0).all()
    assert (paths["x"] < size[1]).all()
    test = shipped.record["test"]
    assert test["n"] > 50
    assert test["policy"]["loss"][1] < min(test["centre"]["loss"][1], test["random"]["loss"][1])
    assert shipped.record["test_data"]["checksum"] != shipped.record["data"]["checksum"]


def test_what_cannot_be_looked_at_is_refused():
    gaze = LearnedGaze(policy(), FOVEA)
    with pytest.raises(InvalidInput, match="'bad' has values from"):
        gaze.look(torch.full((1, 1, 32, 48), torch.nan), image=["bad"])
    with pytest.raises(InvalidInput, match="n_fixations"):
        gaze.look(images(), 0)
    with pytest.raises(InvalidInput, match="viewing is of 50×32"):
        gaze.look(images(), 1, viewing=Viewing(50, 32))
    with pytest.raises(InvalidInput, match="chunk"):
        LearnedGaze(policy(), chunk=0)
