"""Reinforcement points uphill, everything else is as the recipe says, and it learns."""

import dataclasses
import math
import warnings

import numpy as np
import pytest
import torch

from attnsci.data import load_mnist
from attnsci.data.ram_scenes import ClutteredScenes
from attnsci.devices import make_fabric
from attnsci.errors import InvalidInput
from attnsci.families.ram.config import MNIST_28, RAMConfig
from attnsci.families.ram.network import RAM
from attnsci.families.ram.objective import (
    PRESETS,
    RAMObjective,
    early_loss,
    evaluate,
    losses_of,
    policy_loss,
    returns_of,
)
from attnsci.families.ram.recipes import RAMTraining
from attnsci.provenance import stable_hash
from attnsci.training.configs import TrainerConfig, fast_trainer
from attnsci.training.trainer import Trainer

SMALL = RAMConfig(n_hidden=32, n_what=16, n_where=16, locator_hidden=8, n_glimpses=4, sigma=0.1)


@pytest.fixture(scope="module")
def digits():
    return load_mnist("train").subset(np.arange(0, 4000, 10))


def small(**changes) -> RAMTraining:
    settings = {"model": SMALL, "batch_size": 16, "n_samples": 2, "source": "bundled"}
    return RAMTraining(**{**settings, **changes})


def reward_of(place: torch.Tensor) -> torch.Tensor:
    """Return the reward of a one-armed bandit, paid the more the nearer to .6."""
    return torch.exp(-((place - 0.6) ** 2) / 0.18)


def expected_reward(mean: float, sigma: float) -> float:
    """Return its mean under a normal draw, in closed form."""
    spread = sigma**2 + 0.09
    return math.sqrt(0.09 / spread) * math.exp(-((mean - 0.6) ** 2) / (2 * spread))


def bandit(mean: float, sigma: float, baseline: float, n: int = 400_000):
    """Return estimated gradient of the expected reward, and the draws' own mean."""
    at = torch.tensor(mean, dtype=torch.float64, requires_grad=True)
    generator = torch.Generator().manual_seed(0)
    place = (at + sigma * torch.randn(n, generator=generator, dtype=torch.float64)).detach()
    log_probs = -((place - at) ** 2) / (2 * sigma**2)
    values = torch.full((n, 1), baseline, dtype=torch.float64, requires_grad=True)
    policy_loss(log_probs[:, None], reward_of(place)[:, None], values).backward()
    assert values.grad is None  # a baseline that the policy's term drives goes astray
    return -at.grad.item()


@pytest.mark.parametrize("baseline", [0.0, 0.5])
@pytest.mark.parametrize("mean", [-0.3, 0.5, 0.9])
def test_reinforce_is_the_gradient_of_the_expected_reward(mean, baseline):
    sigma, step = 0.2, 1e-5
    above, below = expected_reward(mean + step, sigma), expected_reward(mean - step, sigma)
    assert bandit(mean, sigma, baseline) == pytest.approx((above - below) / (2 * step), abs=0.01)


def check_policy_gradient(network=RAM, loss=policy_loss):
    """Compare the locator's gradient with the closed form, through a rollout of the network."""
    torch.manual_seed(0)
    model = network(dataclasses.replace(SMALL, n_glimpses=2, bounds="none", sigma=0.2))
    found = model.rollout(
        torch.rand(1, 1, 28, 28), torch.Generator().manual_seed(1),
        first=torch.tensor([14.0, 14.0]), policy="sampled", n_samples=100_000,
    )  # fmt: skip
    reward = reward_of(2 * found.locations[:, 1:, 0].detach() / 28 - 1)
    loss(found.log_probs[:, 1:], reward, found.values[:, :-1]).backward()
    driven = model.baseline.bias.grad
    assert driven is None or not driven.count_nonzero()
    mean, step = 2 * found.means[0, 0, 0].item() / 28 - 1, 1e-5
    slope = (expected_reward(mean + step, 0.2) - expected_reward(mean - step, 0.2)) / (2 * step)
    # The mean is the hyperbolic tangent of what the bias is added to.
    wanted = slope * (1 - mean**2)
    assert -model.locator.linear.bias.grad[0].item() == pytest.approx(wanted, abs=0.02)


def test_the_policys_gradient_is_right_through_the_model():
    check_policy_gradient()


class DrawsTooWide(RAM):
    """Draws with the root of the deviation, as if it were a variance."""

    def _learned(self, policy, t, size, way, draws):
        narrow = self.config
        self.config = dataclasses.replace(narrow, sigma=math.sqrt(narrow.sigma))
        try:
            return super()._learned(policy, t, size, way, draws)
        finally:
            self.config = narrow


@pytest.mark.parametrize(
    ("network", "loss"),
    [
        (RAM, lambda logs, returns, values: -policy_loss(logs, returns, values)),
        (RAM, lambda logs, returns, values: -(logs * (returns - values)).sum(1).mean()),
        (DrawsTooWide, policy_loss),
    ],
    ids=["wrong sign", "advantage not detached", "two deviations"],
)
def test_bugs_of_published_codes_are_found(network, loss):
    with pytest.raises(AssertionError):
        check_policy_gradient(network, loss)


def test_reinforce_ascends_a_reward_through_the_model():
    """Looking right pays: the mean moves right, and with the baseline it still does."""
    torch.manual_seed(0)
    model = RAM(dataclasses.replace(SMALL, n_glimpses=2, sigma=0.2))
    images = torch.rand(20, 1, 28, 28)
    before = model.rollout(images).means[:, 0].detach()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.02)
    for step in range(30):
        generator = torch.Generator().manual_seed(step)
        found = model.rollout(images, generator, policy="sampled", n_samples=10)
        reward = found.locations[:, 1:, 0].detach() / 28
        loss = policy_loss(found.log_probs[:, 1:], reward, found.values[:, :-1])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    moved = (model.rollout(images).means[:, 0].detach() - before).mean(0)
    assert moved[0] > 1
    assert abs(moved[1]) < 0.5 * moved[0]


def test_terms_of_the_loss_by_hand():
    model = RAM(SMALL)
    images, labels = torch.rand(6, 1, 28, 28), torch.arange(6)
    found = model.rollout(images, policy="sampled")
    losses = losses_of(found, labels)
    right = (found.logits[:, -1].argmax(1) == labels).float()
    advantage = (right[:, None] - found.values[:, :-1]).detach()
    wanted = -sum((found.log_probs[:, t] * advantage[:, t - 1]).mean() for t in range(1, 4))
    torch.testing.assert_close(losses.policy, wanted)
    squared = (found.values[:, :3] - right[:, None]).square().mean()
    torch.testing.assert_close(losses.baseline, squared)
    logs = found.logits.log_softmax(-1)[torch.arange(6), :, labels]
    torch.testing.assert_close(losses.cross_entropy, -logs[:, -1].mean())
    torch.testing.assert_close(early_loss(found, labels), -logs[:, :-1].mean())


def parts_with_gradient(model: RAM, loss: torch.Tensor) -> set[str]:
    model.zero_grad()
    loss.backward(retain_graph=True)
    return {
        name.split(".")[0]
        for name, p in model.named_parameters()
        if p.grad is not None and p.grad.count_nonzero()
    }


@pytest.mark.parametrize("reward", ["last", "every"])
def test_each_term_teaches_its_own_part(reward):
    model = RAM(SMALL)
    labels = torch.arange(30) % 10
    found = model.rollout(torch.rand(30, 1, 28, 28), policy="sampled")
    losses = losses_of(found, labels, reward)
    assert parts_with_gradient(model, losses.policy) == {"locator"}
    assert parts_with_gradient(model, losses.baseline) == {"baseline"}
    seeing = {"what", "where", "glimpse", "core", "readout"}
    assert parts_with_gradient(model, losses.cross_entropy) == seeing


def test_rewards_at_every_glimpse_are_means_of_those_to_come():
    right = torch.tensor([[0.0, 1.0, 0.0, 1.0]])
    assert returns_of(right, "last").tolist() == [[1, 1, 1, 1]]
    np.testing.assert_allclose(returns_of(right, "every")[0], [0.5, 2 / 3, 0.5, 1], rtol=1e-6)


def test_one_glimpse_has_no_policy(digits):
    config = small(model=dataclasses.replace(SMALL, n_glimpses=1))
    objective = RAMObjective(config, digits)
    fabric = make_fabric()
    model, optimizer = fabric.setup(objective.model, objective.optimizer())
    model.mark_forward_method("rollout")
    (row,) = objective.update(model, objective.batch(0, 0, 0, 1), optimizer, fabric)
    assert math.isfinite(row["loss"]) and row["policy_gradient"] == 0 and row["saturated"] == 0


def test_the_step_size_rises_and_falls(digits):
    objective = RAMObjective(small(epochs=50, learning_rate=0.01, warmup=100), digits)
    total = 50 * objective.n_batches(0)
    rates = [objective.learning_rate(step) for step in range(total + 1)]
    assert rates[0] == pytest.approx(1e-4)
    assert int(np.argmax(rates)) == 99
    halfway = 0.01 * (0.001 + 0.999 * 0.5)
    assert rates[total // 2] == pytest.approx(halfway)
    assert rates[-1] == pytest.approx(1e-5)


def test_a_batch_is_a_function_of_its_place(digits):
    objective, again = (RAMObjective(small(size=40, n_pieces=2), digits) for _ in range(2))
    for epoch, index in ((0, 3), (1, 0), (0, 3)):
        one = objective.batch(epoch, index, 0, 1)
        two = again.batch(epoch, index, 0, 1)
        assert torch.equal(one.stimuli.image, two.stimuli.image) and torch.equal(
            one.stimuli.metadata["label"], two.stimuli.metadata["label"]
        )
        assert one.place == two.place == (epoch + 1, index + 1, 1)
    halves = [objective.batch(0, 3, rank, 2) for rank in (0, 1)]
    assert torch.equal(torch.cat([half.stimuli.image for half in halves]), one.stimuli.image)
    assert halves[0].place != halves[1].place
    first, second = objective.batch(0, 0, 0, 1), objective.batch(1, 0, 0, 1)
    assert not torch.equal(first.stimuli.image, second.stimuli.image)
    split = {*objective.training.index.tolist()} & {*objective.validation.index.tolist()}
    assert not split


def test_training_resumes_with_the_same_bits(digits, tmp_path):
    def run(out, *max_steps):
        for steps in max_steps:
            objective = RAMObjective(small(epochs=2), digits)
            settings = TrainerConfig(epochs=2, max_steps=steps, device="cpu", save_every=5)
            rows = Trainer(objective, tmp_path / out, settings).fit()
        return objective.model.state_dict(), rows

    once, rows = run("once", 30)
    twice, _ = run("twice", 10, 30)
    assert all(torch.equal(once[name], twice[name]) for name in once)
    last = rows[rows["split"] == "validation"].iloc[-1]
    assert {"accuracy", "saturated", "value", "accuracy_glimpse_4"} <= set(last.dropna().index)


def test_where_chance_looks_the_locator_learns_nothing(digits, tmp_path):
    objective = RAMObjective(small(gaze="random"), digits)
    before = {name: value.clone() for name, value in objective.model.state_dict().items()}
    settings = TrainerConfig(epochs=1, max_steps=5, device="cpu")
    rows = Trainer(objective, tmp_path, settings).fit()
    after = objective.model.state_dict()
    moved = {name for name in before if not torch.equal(before[name], after[name])}
    assert not {name for name in moved if name.startswith("locator")} and "what.0.weight" in moved
    assert (rows["policy_gradient"].dropna() == 0).all()


def test_stuck_locations_are_told_in_words(digits):
    objective = RAMObjective(small(), digits)
    with torch.no_grad():
        objective.model.locator.linear.bias.fill_(9.0)
    model = make_fabric().setup(objective.model)
    model.mark_forward_method("rollout")
    with pytest.warns(RuntimeWarning, match="100% of the mean locations are stuck"):
        assert objective.validate(model)["saturated"] == 1
    with torch.no_grad():
        objective.model.locator.linear.bias.fill_(0.0)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert objective.validate(model)["saturated"] == 0


def test_an_evaluation_is_what_it_says(digits):
    model = RAM(SMALL).eval()
    scenes = ClutteredScenes(digits, size=28, n_pieces=0)
    found = evaluate(model, scenes, n_samples=3, policy="sampled", chunk=64)
    assert found["n"] == 400 and found["accuracy"] == found["accuracy_glimpse_4"]
    # The centre leaves nothing to chance: all samples and any chunk agree, but for the rounding of
    # a mean value near 0; a single digit would be 2,500 times as much.
    still = evaluate(model, scenes, policy="centre", n_samples=2, chunk=64)
    whole = evaluate(model, scenes, policy="centre", chunk=400)
    assert still == pytest.approx(whole, abs=1e-6)
    assert still["accuracy"] == still["accuracy_averaged"]


def test_settings_fit_each_other():
    with pytest.raises(InvalidInput, match="do not teach the core"):
        RAMTraining(dataclasses.replace(MNIST_28, readout="every"), early_weight=0.5)
    with pytest.raises(InvalidInput, match="reward must be one of"):
        RAMTraining(reward="always")
    with pytest.raises(InvalidInput, match="n_samples must be"):
        RAMTraining(n_samples=0)
    for name, config in PRESETS.items():
        assert config.scenes.size == config.size, name
        assert config.model.glimpse_px * 2 ** (config.model.n_scales - 1) <= config.size
    assert len({stable_hash(config) for config in PRESETS.values()}) == len(PRESETS)
    settings = fast_trainer(PRESETS["mnist-28"], device="cpu", max_steps=3)
    assert (settings.epochs, settings.max_steps) == (PRESETS["mnist-28"].epochs, 3)
    assert settings.precision in ("bf16-mixed", "32-true")


def test_too_few_digits_are_refused():
    with pytest.raises(InvalidInput, match="at least 1 and a batch of 128"):
        RAMObjective(RAMTraining(), load_mnist("train").subset(np.arange(50)))


@pytest.mark.parametrize("readout", ["last", "every"])
def test_it_learns_the_bundled_digits(tmp_path, readout):
    model = dataclasses.replace(MNIST_28, readout=readout)
    config = RAMTraining(model, epochs=3, warmup=20, batch_size=64, source="bundled")
    rows = Trainer(RAMObjective(config), tmp_path, fast_trainer(config, device="cpu")).fit()
    scores = rows[rows["split"] == "validation"].iloc[-1]
    assert scores["accuracy"] > 0.65
    assert scores["saturated"] < 0.1
    assert abs(scores["value"] - scores["accuracy"]) < 0.25


@pytest.mark.data
@pytest.mark.slow
def test_one_epoch_of_the_recipe_on_all_digits(data_root, tmp_path):
    root = data_root / "mnist"
    digits = load_mnist("train", "full", root, leave_out_bundled_test=True)
    config = PRESETS["mnist-28"]
    objective = RAMObjective(config, digits)
    steps = objective.n_batches(0)
    Trainer(objective, tmp_path, fast_trainer(config, device="cpu", max_steps=steps)).fit()
    test = ClutteredScenes(load_mnist("test", "full", root), config.scenes)
    assert evaluate(objective.model.eval(), test)["accuracy"] > 0.85
