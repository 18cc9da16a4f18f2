"""The recurrent attention model: what happens in a rollout, and where gradients go."""

import json
import math

import numpy as np
import pytest
import torch

from attnsci.errors import InvalidInput, UnknownName
from attnsci.families.ram.config import PRESETS, RAMConfig, preset
from attnsci.families.ram.network import RAM
from attnsci.families.ram.policies import ReplayPolicy
from attnsci.sensors import glimpse


# The spec's counts have two biases in every sum of two layers, which makes 512 more.
@pytest.mark.parametrize(
    ("name", "linear", "with_hidden"),
    [("mnist-28", 209_677, 242_317), ("cluttered-60", 256_781, 289_421),
     ("cluttered-100", 275_213, 307_853)],
)  # fmt: skip
def test_parameters_are_counted(name, linear, with_hidden):
    def count(**settings):
        model = RAM(preset(name), readout="last", **settings)
        return sum(p.numel() for p in model.parameters())

    assert count() == with_hidden - 512
    assert count(locator_hidden=0) == linear - 512


@pytest.fixture
def images():
    return torch.rand(7, 1, 28, 28, generator=torch.Generator().manual_seed(5))


def spread_out(model: RAM) -> RAM:
    """Let the untrained locator look about."""
    with torch.no_grad():
        model.locator.linear.weight.mul_(20)
    return model


@pytest.mark.parametrize("readout", ["last", "every"])
def test_a_rollout_is_what_it_says(images, readout):
    model = spread_out(RAM(preset("mnist-28"), readout=readout, sigma=0.2))
    found = model.rollout(images, torch.Generator().manual_seed(0), policy="sampled", n_samples=3)
    # Everything, recomputed from locations alone, one row and one glimpse at a time.
    for row in (0, 5, 20):
        image, state = images[row // 3][None], ()
        for t in range(6):
            xy = found.locations[row, t][None]
            seen = (glimpse.BoxSensor(image, 8)(xy) - 0.1307) / 0.3081
            at = xy / 14 - 1
            feature = model.glimpse(torch.cat([model.what(seen), model.where(at)], 1))
            state = model.core(feature, state)
            mean = model.locator(state[0])
            head = model.readout[t if readout == "every" else 0]
            for got, wanted in (
                (found.glimpses, seen), (found.features, feature), (found.hidden, state[0]),
                (found.means, 14 * (mean + 1)), (found.logits, head(state[0])),
                (found.values, model.baseline(state[0])[:, 0]),
            ):  # fmt: skip
                torch.testing.assert_close(got[row, t][None], wanted, rtol=1e-4, atol=1e-4)
            if t < 5:
                normal = torch.distributions.Normal(mean, 0.2)
                after = found.locations[row, t + 1] / 14 - 1
                if (after.abs() < 1).all():
                    torch.testing.assert_close(
                        found.log_probs[row, t + 1][None], normal.log_prob(after).sum(1),
                        rtol=1e-4, atol=1e-3,
                    )  # fmt: skip
    assert (found.log_probs[:, 0] == 0).all()
    torch.testing.assert_close(found.answer, found.logits[:, -1])


def test_draws_spread_as_sigma_says_and_stay_on_the_image(images):
    # Untrained means are near the middle, so that few draws need to be brought back.
    model = RAM(sigma=0.25)
    found = model.rollout(images, policy="sampled", n_samples=400)
    away = (found.locations[:, 1:] - found.means[:, :-1]) / 14
    assert away.std().item() == pytest.approx(0.25, rel=0.03)
    wide = RAM(sigma=2.0)
    found = wide.rollout(images, torch.Generator().manual_seed(1), policy="sampled", n_samples=50)
    assert found.locations.min() == 0 and found.locations.max() == 28
    # The density is that of the draw, not of the place at the edge that it was brought back to.
    floor = -math.log(2 * math.pi * 4)
    mahalanobis = -2 * (found.log_probs[:, 1:] - floor)
    assert mahalanobis.mean().item() == pytest.approx(2, rel=0.1)  # chi² of 2 degrees


def gradients(model: RAM, loss: torch.Tensor) -> set[str]:
    model.zero_grad()
    loss.backward(retain_graph=True)
    return {
        name.split(".")[0]
        for name, p in model.named_parameters()
        if p.grad is not None and p.grad.count_nonzero()
    }


@pytest.mark.parametrize("readout", ["last", "every"])
@pytest.mark.parametrize("sensor", ["exact", "mip"])
@pytest.mark.parametrize("core", ["rnn", "lstm"])
def test_no_gradient_leaks(images, readout, sensor, core):
    model = spread_out(RAM(readout=readout, sensor=sensor, core=core))
    found = model.rollout(images, policy="sampled", n_samples=2)
    seeing = {"what", "where", "glimpse", "core"}
    assert gradients(model, found.logits[:, -1].logsumexp(1).sum()) == {*seeing, "readout"}
    assert gradients(model, found.answer.logsumexp(1).sum()) == {*seeing, "readout"}
    early = gradients(model, found.logits[:, :-1].logsumexp(2).sum())
    assert early == ({"readout"} if readout == "every" else {*seeing, "readout"})
    assert gradients(model, found.log_probs.sum()) == {"locator"}
    assert gradients(model, found.values.sum()) == {"baseline"}
    assert not found.log_probs[:, 0].requires_grad or not gradients(
        model, found.log_probs[:, 0].sum()
    )


def test_a_density_moves_the_mean_to_the_draw(images):
    """With the sign or the detachment wrong it would move away, or nowhere."""
    model = RAM()
    found = model.rollout(images, policy="sampled")
    before = (found.locations[:, 1:] - found.means[:, :-1]).detach().norm(dim=-1).mean()
    optimizer = torch.optim.SGD(model.locator.parameters(), lr=1e-4)
    (-found.log_probs.sum(1).mean()).backward()
    optimizer.step()
    again = model.rollout(images, policy=ReplayPolicy(found.locations.detach()))
    after = (again.locations[:, 1:] - again.means[:, :-1]).detach().norm(dim=-1).mean()
    assert after < before


@pytest.mark.parametrize("policy", ["mean", "sampled", "random"])
def test_paths_depend_on_name_sample_and_seed_only(images, policy):
    model = spread_out(RAM(sigma=0.3))
    names = [f"digit {i}" for i in range(7)]

    def look(rows=slice(None), **settings):
        return model.look(images[rows], image=names[rows], policy=policy, **settings)

    paths = look(n_samples=3)
    assert paths.sizes == {"scanpath": 21, "fixation": 6}
    assert paths.image.values.tolist() == [name for name in names for _ in range(3)]
    assert paths["sample"].values.astype(int).tolist() == [0, 1, 2] * 7
    some = look(slice(2, 4), n_samples=2, chunk=1)
    for variable in ("x", "y"):
        kept = paths[variable].values.reshape(7, 3, 6)
        np.testing.assert_allclose(some[variable].values.reshape(2, 2, 6), kept[2:4, :2], atol=1e-3)
        short = look(n_fixations=3)[variable].values
        np.testing.assert_allclose(short, kept[:, 0, :3], atol=1e-3)
        assert len(np.unique(kept[:, :, 0])) == 21
    assert (look(seed=1)["x"].values[:, 0] != look(seed=2)["x"].values[:, 0]).all()
    assert np.array_equal(look(n_samples=3)["x"], paths["x"])


def test_a_rollout_repeats_with_its_generator(images):
    model = RAM()
    one, two, other = (
        model.rollout(images, torch.Generator().manual_seed(s), policy="sampled") for s in (4, 4, 5)
    )
    assert torch.equal(one.logits, two.logits)
    assert not torch.equal(one.locations, other.locations)


def test_scanpaths_carry_where_they_come_from(images):
    model = RAM().eval()
    paths = model.look(images, 4, seed=3)
    assert paths.observer.values.tolist() == ["RAM"] * 7
    assert np.isnan(paths.duration.values).all()
    record = json.loads(paths.attrs["provenance"])
    assert record["config"]["glimpse_px"] == 8 and paths.attrs["seed"] == 3
    assert paths["prediction"].dims == ("scanpath", "fixation")
    assert ((paths["confidence"] > 0.1) & (paths["confidence"] <= 1)).all()


def test_colour_any_size_and_one_image():
    model = RAM(glimpse_px=6, n_scales=3, channels=3, n_classes=4, sensor="mip")
    found = model.rollout(torch.rand(1, 3, 37, 90))
    assert found.logits.shape == (1, 6, 4) and found.glimpses.shape == (1, 6, 324)
    assert model(torch.rand(2, 3, 37, 90)).shape == (2, 4)


def test_a_differentiable_sensor_hands_gradients_to_a_policy(images):
    model = RAM(sensor="mip", n_glimpses=2)
    place = torch.tensor([11.3, 9.7], requires_grad=True)
    found = model.rollout(images, policy=lambda p: place.expand(7, 2))
    found.logits[:, -1].logsumexp(1).sum().backward()
    assert place.grad.abs().min() > 0


def test_errors_teach(images):
    model = RAM()
    with pytest.raises(InvalidInput, match=r"off the images of 28×28. Give pixels"):
        model.rollout(images, first=torch.tensor([-0.5, 0.3]))
    with pytest.raises(InvalidInput, match="off the images"):
        model.rollout(images, first=torch.tensor([math.nan, 3.0]))
    with pytest.raises(InvalidInput, match="first must have shape"):
        model.rollout(images, first=torch.zeros(3, 2))
    with pytest.raises(InvalidInput, match=r"must lie in \[0, 1\]"):
        model.rollout(images * 255)
    with pytest.raises(InvalidInput, match="1 channel"):
        model.rollout(torch.rand(2, 3, 28, 28))
    with pytest.raises(InvalidInput, match="larger than the images"):
        RAM(preset("cluttered-60")).rollout(images)
    with pytest.raises(UnknownName, match="sampled"):
        model.rollout(images, policy="sampeld")
    with pytest.raises(UnknownName, match="cluttered-60"):
        preset("clutered-60")
    with pytest.raises(InvalidInput, match="finite locations"):
        model.rollout(images, policy=lambda p: p.uniform * math.nan)
    with pytest.raises(InvalidInput, match="Fixation 2 of path 0"):
        ReplayPolicy(np.array([[[1, 2], [3, 4], [np.nan, 5]]]))
    with pytest.raises(InvalidInput, match="too few: glimpse 3 at image 7"):
        model.rollout(images, policy=ReplayPolicy(np.ones((7, 2, 2))))
    with pytest.raises(InvalidInput, match="readout for each of 6"):
        RAM(readout="every").rollout(images, n_glimpses=7)
    with pytest.raises(InvalidInput, match="core must be one of"):
        RAMConfig(core="gru")
    assert all(config == preset(name) for name, config in PRESETS.items())


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
def test_places_are_precise_whatever_the_weights(images, dtype):
    """Eight bits could not tell neighbouring pixels of a larger image apart."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = RAM(preset("mnist-28")).to(dtype)
    found = model.rollout(images.to(dtype), policy="sampled")
    precise = torch.promote_types(dtype, torch.float32)
    assert found.locations.dtype == found.log_probs.dtype == precise
    assert found.hidden.dtype == dtype
    usual = RAM(preset("mnist-28"))
    usual.load_state_dict(model.state_dict())
    wanted = usual.rollout(images, policy="sampled")
    torch.testing.assert_close(
        found.locations[:, 0], wanted.locations[:, 0], check_dtype=False, rtol=1e-6, atol=1e-5
    )
    # Numbers of eight bits would all be equal to themselves at eight bits.
    coarse = found.locations.bfloat16().to(precise)
    assert (coarse != found.locations).double().mean() > 0.9
    # Later places come of a state of eight bits, and are off by parts of a pixel only.
    torch.testing.assert_close(
        found.locations, wanted.locations, check_dtype=False, rtol=0, atol=0.5
    )
