"""RAM at play: it sees the frame of its step, acts as it says, and gradients do not leak."""

import pytest
import torch

from attnsci.data.catch import Catch
from attnsci.errors import InvalidInput, UnknownName
from attnsci.families.ram.catch import CatchRAM
from attnsci.families.ram.config import preset
from attnsci.families.ram.policies import ReplayPolicy
from attnsci.sensors.glimpse import BoxSensor


@pytest.fixture
def model() -> CatchRAM:
    """Return a network that looks about and whose actions differ."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = CatchRAM()
    with torch.no_grad():
        model.locator.linear.weight.mul_(20)
        model.readout[0].weight.mul_(30)
    return model


def test_the_network_is_that_of_the_paper(model):
    config = preset("catch")
    assert model.config == config
    assert (config.glimpse_px, config.n_scales, config.n_glimpses) == (6, 3, 23)
    assert (config.core, config.n_hidden, config.n_classes) == ("lstm", 256, 3)
    wanted = (
        (108 * 128 + 128) + (2 * 128 + 128) + (256 * 256 + 256)  # what, where, glimpse
        + (512 * 1024 + 1024) + (256 * 128 + 128 + 128 * 2 + 2)  # core, locator
        + (256 * 3 + 3) + (256 + 1)  # actions, baseline
    )  # fmt: skip
    assert sum(p.numel() for p in model.parameters()) == wanted
    assert wanted * 4 < 2.6e6


@pytest.mark.parametrize("policy", ["sampled", "mean"])
def test_a_play_is_what_it_says(model, policy):
    played = model.play(Catch.start(40, seed=1), torch.Generator().manual_seed(2), policy=policy)
    found = played.rollout
    assert len(played.games) == 24 and played.actions.shape == (40, 23)
    assert played.games[-1].over
    assert played.actions.unique().tolist() == [0, 1, 2]
    # Everything, recomputed from locations and actions alone, one step at a time.
    game, state, mean = Catch.start(40, seed=1), (), None
    for t in range(23):
        assert torch.equal(game.frames, played.games[t].frames)
        xy = found.locations[:, t]
        seen = BoxSensor(game.frames, 6, 3)(xy) / model.config.pixel_std
        at = xy / 12 - 1
        if t and policy == "mean":
            torch.testing.assert_close(at, mean, rtol=0, atol=1e-5)
        feature = model.glimpse(torch.cat([model.what(seen), model.where(at)], 1))
        state = model.core(feature, state)
        mean = model.locator(state[0])
        torch.testing.assert_close(found.glimpses[:, t], seen)
        torch.testing.assert_close(found.hidden[:, t], state[0], rtol=1e-4, atol=1e-4)
        torch.testing.assert_close(found.means[:, t], 12 * (mean + 1), rtol=1e-4, atol=1e-4)
        logits = model.readout[0](state[0])
        torch.testing.assert_close(found.logits[:, t], logits, rtol=1e-4, atol=1e-4)
        chances = torch.distributions.Categorical(logits=logits)
        log_probs = chances.log_prob(played.actions[:, t])
        torch.testing.assert_close(played.action_log_probs[:, t], log_probs, rtol=1e-3, atol=1e-3)
        torch.testing.assert_close(played.entropy[:, t], chances.entropy(), rtol=1e-3, atol=1e-3)
        if policy == "mean":
            assert torch.equal(played.actions[:, t], found.logits[:, t].argmax(1))
        game = game.step(played.actions[:, t])
    assert torch.equal(game.caught, played.games[-1].caught)


def test_actions_are_drawn_as_often_as_the_model_says(model):
    with torch.no_grad():
        played = model.play(Catch.start(1500, seed=3), policy="sampled")
    chances = played.rollout.logits.softmax(-1)
    assert chances.std(0).max() > 0.05
    for action in range(3):
        said, done = chances[..., action], (played.actions == action).float()
        error = (said * (1 - said)).sum().sqrt() / said.numel()
        assert abs(done.mean() - said.mean()) < 4 * error
        # Not only on average: where it is said to be likely, it is done more often.
        high = said > said.median()
        assert done[high].mean() - done[~high].mean() == pytest.approx(
            (said[high].mean() - said[~high].mean()).item(), abs=0.02
        )


def gradients(model: CatchRAM, loss: torch.Tensor) -> set[str]:
    model.zero_grad()
    loss.backward(retain_graph=True)
    return {
        name.split(".")[0]
        for name, p in model.named_parameters()
        if p.grad is not None and p.grad.count_nonzero()
    }


def test_no_gradient_leaks(model):
    played = model.play(Catch.start(30, seed=4), policy="sampled")
    seeing = {"what", "where", "glimpse", "core", "readout"}
    assert gradients(model, played.action_log_probs.sum()) == seeing
    assert gradients(model, played.entropy.sum()) == seeing
    assert gradients(model, played.rollout.log_probs.sum()) == {"locator"}
    assert gradients(model, played.rollout.values.sum()) == {"baseline"}
    assert not played.actions.requires_grad
    assert not played.rollout.locations.requires_grad


@pytest.mark.parametrize("policy", ["sampled", "mean", "random"])
def test_games_depend_on_the_stream_and_not_on_the_batch(model, policy):
    model, games = model.double(), Catch.start(30, seed=5)

    def play(*sizes):
        generator, rows = torch.Generator().manual_seed(6), torch.arange(30).split(sizes)
        plays = [model.play(games[part], generator, policy=policy) for part in rows]
        locations = torch.cat([play.rollout.locations for play in plays])
        return torch.cat([play.actions for play in plays]), locations

    actions, locations = play(30)
    for sizes in ((30,), (7, 1, 22), (1,) * 30):
        others, elsewhere = play(*sizes)
        assert torch.equal(actions, others)
        torch.testing.assert_close(locations, elsewhere)
    assert len(locations[:, 0].unique(dim=0)) == 30


def test_other_policies_place_the_gaze_and_the_model_acts(model):
    games = Catch.start(20, seed=7)
    centre = model.play(games, policy="centre")
    assert (centre.rollout.locations == 12).all()
    assert torch.equal(centre.actions, centre.rollout.logits.argmax(-1))
    assert model.play(games, policy="random").rollout.locations.std() > 5
    usual = model.play(games)
    again = model.play(games, policy=ReplayPolicy(usual.rollout.locations))
    assert torch.equal(usual.actions, again.actions)


def test_errors_teach(model):
    games = Catch.start(3)
    with pytest.raises(UnknownName, match="sampled"):
        model.play(games, policy="sampeld")
    with pytest.raises(InvalidInput, match="games are over"):
        model.play(model.play(games).games[-1])
    with pytest.raises(InvalidInput, match="made for 3 channel"):
        CatchRAM(channels=3).play(games)
    with pytest.raises(InvalidInput, match="larger than the images"):
        model.play(Catch.start(3, size=12))
    with pytest.raises(InvalidInput, match="Take readout='last'"):
        CatchRAM(readout="every")
