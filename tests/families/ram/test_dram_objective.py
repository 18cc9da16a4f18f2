"""Every target is rewarded, each term teaches its own part, and the model learns to look."""

import dataclasses
import math

import numpy as np
import pytest
import torch

from attnsci.data import load_mnist
from attnsci.data.digit_pairs import DigitPairs
from attnsci.devices import make_fabric
from attnsci.errors import InvalidInput
from attnsci.families.ram.dram import DRAM
from attnsci.families.ram.dram_config import DRAMConfig
from attnsci.families.ram.dram_objective import (
    PRESETS,
    DRAMObjective,
    credit,
    evaluate_dram,
    losses_of,
    policy_loss,
)
from attnsci.families.ram.dram_recipes import DRAMTraining
from attnsci.families.ram.policies import ReplayPolicy
from attnsci.families.zoo import load_model
from attnsci.provenance import stable_hash
from attnsci.training.configs import TrainerConfig, fast_trainer
from attnsci.training.trainer import Trainer

SMALL = DRAMConfig(n_hidden=24, n_maps=8, locator_hidden=16, sigma=0.2)


@pytest.fixture(scope="module")
def digits():
    return load_mnist("train").subset(np.arange(0, 4000, 10))


def small(**changes) -> DRAMTraining:
    settings = {"model": SMALL, "batch_size": 16, "source": "bundled"}
    return DRAMTraining(**{**settings, **changes})


def test_a_glimpse_is_credited_with_its_target_and_those_after_it():
    right = torch.tensor([[0.0, 1.0, 1.0], [1.0, 0.0, 0.0]])
    assert credit(right, 2).tolist() == [[2, 2, 2, 2, 1, 1], [1, 1, 0, 0, 0, 0]]


def test_terms_of_the_loss_by_hand():
    model = DRAM(SMALL)
    images, labels = torch.rand(6, 1, 60, 60), torch.randint(10, (6, 2))
    found = model.rollout(images, policy="sampled")
    labels[0] = found.logits[0].argmax(-1)  # one row is right
    losses = losses_of(found, labels)
    right = (found.logits.argmax(-1) == labels).float()
    assert torch.equal(losses.right, right)
    logs = found.logits.log_softmax(-1)
    named = [logs[i, k, labels[i, k]] for i in range(6) for k in range(2)]
    torch.testing.assert_close(losses.cross_entropy, -torch.stack(named).mean())
    policy, squared = 0.0, 0.0
    for t in range(6):
        reward = right[:, t // 3 :].sum(1)
        policy -= (found.log_probs[:, t] * (reward - found.values[:, t]).detach()).mean()
        squared += (found.values[:, t] - reward).square().mean() / 6
    torch.testing.assert_close(losses.policy, policy)
    torch.testing.assert_close(losses.baseline, squared)


def parts_with_gradient(model: DRAM, loss: torch.Tensor) -> set[str]:
    model.zero_grad()
    loss.backward(retain_graph=True)
    return {
        name.split(".")[0]
        for name, p in model.named_parameters()
        if p.grad is not None and p.grad.count_nonzero()
    }


def test_each_term_teaches_its_own_part_and_together_all():
    model = DRAM(SMALL)
    labels = torch.randint(10, (30, 2))
    found = model.rollout(torch.rand(30, 1, 60, 60), policy="sampled")
    losses = losses_of(found, labels)
    naming, looking = {"what", "where", "core", "readout"}, {"context", "emitter", "locator"}
    assert parts_with_gradient(model, losses.cross_entropy) == naming
    assert parts_with_gradient(model, losses.policy) == looking
    assert parts_with_gradient(model, losses.baseline) == {"baseline"}
    assert {name for name, _ in model.named_children()} == naming | looking | {"baseline"}


def test_the_context_learns_by_reinforcement_where_to_look_first(digits):
    """Paid for being near the left digit's column, it finds it in images that it has not seen."""
    torch.manual_seed(0)
    model = DRAM(SMALL, n_targets=1, glimpses_per_target=1)
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)

    def miss(scenes: DigitPairs) -> float:
        batch = scenes[:200]
        mean = model.rollout(batch.image).means[:, 0, 0].detach()
        return (mean - batch.metadata["x_0"]).abs().mean().item()

    held_out = DigitPairs(digits, seed=1000)
    before = miss(held_out)
    for step in range(150):
        batch = DigitPairs(digits, seed=step)[:64]
        generator = torch.Generator().manual_seed(step)
        found = model.rollout(batch.image, generator, policy="sampled", n_samples=4)
        away = found.locations[:, 0, 0] - batch.metadata["x_0"].repeat_interleave(4)
        reward = -(away / 30).abs()[:, None].float()
        values = reward.view(-1, 4).mean(1).repeat_interleave(4)[:, None]
        loss = policy_loss(found.log_probs, reward, values)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    column = DigitPairs(digits, seed=1000)[:200].metadata["x_0"].double()
    constant = (column - column.median()).abs().mean().item()
    assert miss(held_out) < min(before, constant) * 0.8  # better than any one place for all


def test_a_batch_is_a_function_of_its_place(digits):
    objective, again = (DRAMObjective(small(n_pieces=2), digits) for _ in range(2))
    for epoch, index in ((0, 3), (1, 0), (0, 3)):
        one = objective.batch(epoch, index, 0, 1)
        two = again.batch(epoch, index, 0, 1)
        assert torch.equal(one.stimuli.image, two.stimuli.image) and torch.equal(
            one.stimuli.labels, two.stimuli.labels
        )
        assert one.place == two.place == (epoch + 1, index + 1, 1)
    assert one.stimuli.labels.shape == (16, 2)
    halves = [objective.batch(0, 3, rank, 2) for rank in (0, 1)]
    assert torch.equal(torch.cat([half.stimuli.image for half in halves]), one.stimuli.image)
    assert halves[0].place != halves[1].place
    first, second = objective.batch(0, 0, 0, 1), objective.batch(1, 0, 0, 1)
    assert not torch.equal(first.stimuli.image, second.stimuli.image)
    assert not {*objective.training.index.tolist()} & {*objective.validation.index.tolist()}


def test_the_step_size_rises_and_falls(digits):
    objective = DRAMObjective(small(epochs=50, learning_rate=0.01, warmup=100), digits)
    total = 50 * objective.n_batches(0)
    rates = [objective.learning_rate(step) for step in range(total + 1)]
    assert rates[0] == pytest.approx(1e-4) and int(np.argmax(rates)) == 99
    assert rates[total // 2] == pytest.approx(0.01 * (0.001 + 0.999 * 0.5))
    assert rates[-1] == pytest.approx(1e-5)


def test_what_looks_moves_more_slowly(digits):
    objective = DRAMObjective(small(looking_rate=0.25, warmup=0), digits)
    fabric = make_fabric()
    model, optimizer = fabric.setup(objective.model, objective.optimizer())
    model.mark_forward_method("rollout")
    before = {name: p.detach().clone() for name, p in objective.model.named_parameters()}
    list(objective.update(model, objective.batch(0, 0, 0, 1), optimizer, fabric))
    # Adam's first step is as long as the step size, whatever the gradient.
    for name, parameter in objective.model.named_parameters():
        share = 0.25 if name.split(".")[0] in ("context", "emitter", "locator") else 1
        step = (parameter.detach() - before[name]).abs().max().item()
        assert step == pytest.approx(1e-3 * share, rel=0.02), name


def test_stuck_locations_are_told_in_words(digits):
    objective = DRAMObjective(small(), digits)
    model = make_fabric().setup(objective.model)
    model.mark_forward_method("rollout")
    assert objective.validate(model)["saturated"] == 0
    with torch.no_grad():
        objective.model.locator.linear.bias.fill_(9.0)
    with pytest.warns(RuntimeWarning, match="100% of the mean locations are stuck"):
        assert objective.validate(model)["saturated"] == 1


def test_training_resumes_with_the_same_bits(digits, tmp_path):
    def run(out, *max_steps):
        for steps in max_steps:
            objective = DRAMObjective(small(epochs=2), digits)
            settings = TrainerConfig(epochs=2, max_steps=steps, device="cpu", save_every=5)
            rows = Trainer(objective, tmp_path / out, settings).fit()
        return objective.model.state_dict(), rows

    once, rows = run("once", 26)
    twice, _ = run("twice", 7, 26)
    assert all(torch.equal(once[name], twice[name]) for name in once)
    train, last = rows[rows["split"] == "train"], rows[rows["split"] == "validation"].iloc[-1]
    assert np.isfinite(train[["loss", "value", "reward", "saturated"]].to_numpy(float)).all()
    assert last["sequence_accuracy"] == pytest.approx(1 - last["sequence_error"])


def test_an_evaluation_is_what_it_says(digits):
    model = DRAM(SMALL).eval()
    scenes = DigitPairs(digits)
    found = evaluate_dram(model, scenes, n=150, chunk=64)
    assert found["n"] == 150
    # The mean policy leaves nothing to chance: any chunk and seed agree.
    assert found == pytest.approx(evaluate_dram(model, scenes, n=150, seed=3, chunk=1000))
    batch = next(scenes.batches(150, 150))
    wrong = (model(batch.image).argmax(-1) != batch.labels).double()
    assert found["sequence_error"] == pytest.approx(wrong.amax(1).mean().item())
    assert found["digit_error"] == pytest.approx(wrong.mean().item())
    assert found["digit_error_2"] == pytest.approx(wrong[:, 1].mean().item())
    # Given the same path, another policy gives the same answers; chance gives chance.
    path = ReplayPolicy(model.rollout(batch.image).locations.detach())
    replayed = evaluate_dram(model, scenes, policy=path, n=150)
    assert replayed["sequence_error"] == pytest.approx(found["sequence_error"])
    assert evaluate_dram(model, scenes, policy="random")["sequence_error"] > 0.9


def test_settings_fit_each_other(digits):
    with pytest.raises(InvalidInput, match="two digits; the network names 3"):
        DRAMTraining(DRAMConfig(n_targets=3))
    with pytest.raises(InvalidInput, match="n_pieces must be 0 or more"):
        DRAMTraining(n_pieces=-1)
    with pytest.raises(InvalidInput, match="source must be one of"):
        DRAMTraining(source="half")
    with pytest.raises(InvalidInput, match="at least 1 and a batch of 128"):
        DRAMObjective(DRAMTraining(), digits.subset(np.arange(50)))
    assert len({stable_hash(config) for config in PRESETS.values()}) == 2
    settings = fast_trainer(PRESETS["dram-pairs"], device="cpu", max_steps=3)
    assert (settings.epochs, settings.max_steps) == (PRESETS["dram-pairs"].epochs, 3)
    assert settings.precision in ("bf16-mixed", "32-true")


def test_one_update_moves_every_part(digits):
    objective = DRAMObjective(small(n_samples=4), digits)
    fabric = make_fabric()
    model, optimizer = fabric.setup(objective.model, objective.optimizer())
    model.mark_forward_method("rollout")
    before = {name: value.clone() for name, value in objective.model.state_dict().items()}
    for index in range(3):
        (row,) = objective.update(model, objective.batch(0, index, 0, 1), optimizer, fabric)
    assert math.isfinite(row["loss"]) and 0 <= row["digit_accuracy"] <= 1
    moved = {
        name.split(".")[0]
        for name, value in objective.model.state_dict().items()
        if not torch.equal(value, before[name])
    }
    assert moved == {name for name, _ in objective.model.named_children()}


@pytest.mark.slow
def test_it_learns_to_read_two_kinds_of_digits(tmp_path):
    """Ones and zeros in an order: chance gets a pair in four, a random look hardly more."""
    every = load_mnist("train")
    digits = every.subset(every.labels < 2)
    model = DRAMConfig(n_hidden=64, n_maps=16, locator_hidden=32, n_classes=2, sigma=0.15)
    config = DRAMTraining(model, epochs=40, batch_size=64, warmup=50, source="bundled",
                          learning_rate=2e-3)  # fmt: skip
    objective = DRAMObjective(config, digits)
    Trainer(objective, tmp_path, TrainerConfig(epochs=40, device="cpu")).fit()
    test = load_mnist("test")
    scenes = DigitPairs(test.subset(test.labels < 2))
    own = evaluate_dram(objective.model.eval(), scenes)
    random = evaluate_dram(objective.model, scenes, policy="random")
    assert own["sequence_error"] < 0.2
    assert random["sequence_error"] > own["sequence_error"] + 0.2


@pytest.mark.data
@pytest.mark.slow
def test_the_shipped_recipe_learns_in_its_first_epochs(data_root, tmp_path):
    root = data_root / "mnist"
    digits = load_mnist("train", "full", root, leave_out_bundled_test=True)
    config = dataclasses.replace(PRESETS["dram-pairs"], epochs=3)
    objective = DRAMObjective(config, digits)
    Trainer(objective, tmp_path, fast_trainer(config, device="cpu")).fit()
    test = DigitPairs(load_mnist("test", "full", root), config.scenes)
    assert evaluate_dram(objective.model.eval(), test, n=2000)["sequence_error"] < 0.35


def test_the_shipped_network_reads_pairs_and_looks_better_than_chance():
    """On bundled test digits, which it was not trained on, 1000 pairs."""
    shipped = load_model("dram-pairs-seed0")
    scenes = DigitPairs(load_mnist("test"), PRESETS["dram-pairs"].scenes)
    found = {
        policy: evaluate_dram(shipped.model, scenes, policy=policy)
        for policy in ("mean", "random", "grid")
    }
    assert found["mean"]["saturated"] < 0.05
    assert found["mean"]["sequence_error"] < 0.08
    assert min(found[other]["sequence_error"] for other in ("random", "grid")) > 0.5
    assert shipped.record["data"]["n_bundled_test"] == 0
