"""Reinforcement at Catch: its gradient is that of the reward, and it learns to catch."""

import dataclasses

import numpy as np
import pytest
import torch

from attnsci.data.catch import Catch
from attnsci.errors import InvalidInput
from attnsci.families.ram.catch import CatchRAM
from attnsci.families.ram.catch_objective import (
    FLOOR,
    PRESETS,
    CatchObjective,
    evaluate_catch,
    losses_of,
)
from attnsci.families.ram.catch_recipes import CatchTraining
from attnsci.families.ram.config import CATCH, MNIST_28, RAMConfig
from attnsci.families.zoo import load_model
from attnsci.training.configs import TrainerConfig, fast_trainer
from attnsci.training.trainer import Trainer

SMALL = RAMConfig(
    glimpse_px=4, n_scales=2, core="lstm", n_classes=3, n_glimpses=7, n_hidden=32, n_what=32,
    n_where=16, locator_hidden=16, sigma=0.2, pixel_std=0.1,
)  # fmt: skip


def small(**changes) -> CatchTraining:
    settings = {
        "model": SMALL, "size": 8, "epochs": 2, "batches_per_epoch": 6, "batch_size": 16,
        "warmup": 2, "leniency_px": 2.0, "validation_games": 50,
    }  # fmt: skip
    return CatchTraining(**{**settings, **changes})


def seeded(config: RAMConfig = SMALL) -> CatchRAM:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return CatchRAM(config)


def last_step(n: int) -> Catch:
    """Return games before their last step, each paddle where one or two actions catch."""
    straight = torch.zeros(n)
    paddle = torch.arange(n) % 3 + 1
    return Catch(torch.full((n,), 3.5), straight, paddle, row=6, size=8)


def test_the_estimate_is_the_gradient_of_the_expected_reward():
    model, n = seeded(), 50_000
    with torch.no_grad():
        model.readout[0].bias.copy_(torch.tensor([0.5, -0.3, 0.1]))
        model.baseline.bias.fill_(0.3)  # any baseline leaves the estimate unbiased
    games = last_step(n)
    play = model.play(games, policy="sampled")
    losses = losses_of(play)
    returns = losses.reward[:, None]
    scale = (returns - play.rollout.values).detach().std(correction=0)
    bias = model.readout[0].bias
    (estimate,) = torch.autograd.grad(-losses.actions * scale, bias, retain_graph=True)
    outcomes = torch.stack([games.step(torch.full((n,), a)).caught for a in range(3)], 1)
    expected = (play.rollout.logits[:, 0].softmax(1) * outcomes).sum(1).mean()
    (exact,) = torch.autograd.grad(expected, bias)
    assert exact.abs().max() > 0.02
    torch.testing.assert_close(estimate, exact, rtol=0, atol=0.006)


def test_terms_of_the_loss_by_hand():
    model = seeded()
    play = model.play(Catch.start(40, seed=1, size=8), policy="sampled")
    for leniency in (0.0, 1.5):
        losses = losses_of(play, leniency)
        reward = (play.games[-1].missed_by <= leniency).float()
        assert torch.equal(losses.reward, reward)
        advantage = reward[:, None] - play.rollout.values
        scale = advantage.std(correction=0).item()
        assert scale > FLOOR
        actions = -(play.action_log_probs * advantage).sum(1).mean() / scale
        torch.testing.assert_close(losses.actions, actions)
        # The first location is given, and the last mean is never looked at.
        drawn = play.rollout.log_probs[:, 1:] * advantage[:, :-1]
        torch.testing.assert_close(losses.locations, -drawn.sum(1).mean() / scale)
        torch.testing.assert_close(losses.baseline, advantage.square().mean())
        torch.testing.assert_close(losses.entropy, play.entropy.sum(1).mean())
    assert torch.equal(losses_of(play).reward, play.games[-1].caught.float())


def test_every_term_reaches_its_own_weights_only():
    model = seeded()
    losses = losses_of(model.play(Catch.start(40, seed=2, size=8), policy="sampled"))
    seeing = {"what", "where", "glimpse", "core", "readout"}
    for term, parts in (
        ("actions", seeing), ("entropy", seeing), ("locations", {"locator"}),
        ("baseline", {"baseline"}),
    ):  # fmt: skip
        model.zero_grad()
        getattr(losses, term).backward(retain_graph=True)
        reached = {
            name.split(".")[0]
            for name, p in model.named_parameters()
            if p.grad is not None and p.grad.count_nonzero()
        }
        assert reached == parts, term


def test_a_rewarded_look_draws_the_mean_to_it():
    """Looking right pays: through the objective's own term the mean moves right."""
    model, games = seeded(), Catch.start(200, seed=3, size=8)
    before = model.play(games).rollout.means[:, :-1].mean((0, 1))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.003)
    for step in range(15):
        generator = torch.Generator().manual_seed(step)
        play = model.play(games, generator, policy="sampled")
        right = play.rollout.locations[:, 1:, 0].mean(1) > 4
        end = dataclasses.replace(play.games[-1], x=torch.full((200,), 3.5))
        end = dataclasses.replace(end, paddle=torch.where(right, 3, 0))
        optimizer.zero_grad()
        losses_of(play._replace(games=(*play.games[:-1], end))).locations.backward()
        optimizer.step()
    moved = model.play(games).rollout.means[:, :-1].mean((0, 1)) - before
    assert moved[0] > 0.3
    assert abs(moved[1]) < 0.5 * moved[0]


def test_leniency_and_step_size_follow_their_schedules():
    objective = CatchObjective(small(epochs=10, batches_per_epoch=10, lenient=0.4, warmup=5))
    steps = [0, 10, 20, 39, 40, 99]
    wanted = [2.0, 1.5, 1.0, 0.05, 0.0, 0.0]
    assert [objective.leniency_px(step) for step in steps] == pytest.approx(wanted)
    assert CatchObjective(small(lenient=0)).leniency_px(0) == 0
    rates = np.array([objective.learning_rate(step) for step in range(100)])
    assert rates.argmax() in (4, 5) and (np.diff(rates[5:]) < 0).all()
    assert rates[-1] == pytest.approx(1e-5, rel=0.1)


def test_a_batch_is_a_function_of_its_place():
    one, two = CatchObjective(small()), CatchObjective(small())
    for name, value in one.model.state_dict().items():
        assert torch.equal(value, two.model.state_dict()[name])
    whole, again = one.batch(1, 3, 0, 1), two.batch(1, 3, 0, 1)
    assert torch.equal(whole.stimuli.frames, again.stimuli.frames) and whole.step == 9
    assert whole.place == again.place == (2, 4, 1)
    halves = [one.batch(1, 3, rank, 2) for rank in (0, 1)]
    assert torch.equal(torch.cat([half.stimuli.x for half in halves]), whole.stimuli.x)
    assert halves[0].place != halves[1].place
    others = (one.batch(1, 2, 0, 1), one.batch(0, 3, 0, 1))
    assert not any(torch.equal(other.stimuli.x, whole.stimuli.x) for other in others)


def test_training_resumes_with_the_same_bits(tmp_path):
    def run(out, *max_steps):
        for steps in max_steps:
            objective = CatchObjective(small())
            settings = TrainerConfig(epochs=2, max_steps=steps, device="cpu", save_every=5)
            rows = Trainer(objective, tmp_path / out, settings).fit()
        return objective.model.state_dict(), rows

    once, rows = run("once", 12)
    twice, _ = run("twice", 4, 12)
    assert all(torch.equal(once[name], twice[name]) for name in once)
    last = rows[rows["split"] == "validation"].iloc[-1]
    assert last["n"] == 50 and 0 <= last["caught"] <= 1 and last["gaze_to_ball_px"] > 0
    played = rows[rows["split"] == "train"]
    assert (played["reward"] >= played["caught"]).all()
    assert played["reward"].iloc[0] > played["caught"].iloc[0]  # lenient at first
    assert (played["reward"] == played["caught"]).iloc[-1]


def test_an_evaluation_is_what_it_says():
    model = seeded(dataclasses.replace(CATCH, n_hidden=32, n_what=16, n_where=16))
    found = evaluate_catch(model, 300, seed=4, policy="centre")
    assert found.n == 300 and len(found.gaze_to_ball_px) == 23
    # The gaze rests in the middle: the ball's way is all that changes.
    rows = np.arange(23) + 0.5 - 12
    assert (np.array(found.gaze_to_ball_px) >= np.abs(rows)).all()
    assert found.gaze_to_ball_px[11] == pytest.approx(6, abs=0.5)  # E|x − 12| of a uniform ball
    for policy in ("sampled", "mean", "random"):
        whole = evaluate_catch(model, 300, seed=4, policy=policy)
        parts = evaluate_catch(model, 300, seed=4, policy=policy, chunk=70)
        assert parts.gaze_to_ball_px == pytest.approx(whole.gaze_to_ball_px, abs=0.05)
        assert abs(parts.caught - whole.caught) <= 2 / 300  # a tie may be rounded otherwise
    assert evaluate_catch(model, 300, seed=5).gaze_to_ball_px != found.gaze_to_ball_px
    # Any untrained net is near chance.
    assert evaluate_catch(model, 2000, policy="sampled").caught == pytest.approx(0.084, abs=0.03)


def test_settings_fit_each_other():
    with pytest.raises(InvalidInput, match="Catch has 3 actions; the model has n_classes=10"):
        CatchTraining(MNIST_28)
    with pytest.raises(InvalidInput, match="leniency_px must be 0 or more; got -1"):
        CatchTraining(leniency_px=-1)
    with pytest.raises(InvalidInput, match="lenient must lie between 0 and 1"):
        CatchTraining(lenient=2)
    with pytest.raises(InvalidInput, match="batch_size must be"):
        CatchTraining(batch_size=0)
    assert PRESETS["catch"].model == CATCH


def test_it_learns_to_catch_in_a_small_room(tmp_path):
    model = dataclasses.replace(SMALL, glimpse_px=6, n_scales=1, n_hidden=48)
    config = CatchTraining(
        model, size=6, epochs=1, batches_per_epoch=300, batch_size=64, learning_rate=1e-2,
        leniency_px=1.0, validation_games=1000,
    )  # fmt: skip
    settings = fast_trainer(config, device="cpu", epochs=1, precision="32-true")
    rows = Trainer(CatchObjective(config), tmp_path, settings).fit()
    start = evaluate_catch(seeded(model), 1000, size=6).caught
    assert start < 0.45 and rows.iloc[-1]["caught"] > 0.62


def test_the_shipped_weights_catch_with_their_gaze_on_the_ball():
    network = load_model("ram-catch-seed0")
    assert network.record["training"]["leniency_px"] == PRESETS["catch"].leniency_px
    found = evaluate_catch(network.model, 1000, seed=1)
    assert found.caught > 0.9  # .9385 of 10,000; the paper's 85 %
    # The gaze meets the ball half-way down and goes with it.
    assert max(found.gaze_to_ball_px[15:20]) < 4 < 12 < found.gaze_to_ball_px[0]
    for elsewhere in ("centre", "random"):
        assert evaluate_catch(network.model, 1000, seed=1, policy=elsewhere).caught < 0.5
