"""The policy learns what its task rewards, the task never changes, and a run resumes bit by bit."""

import dataclasses
import subprocess
import sys
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn

from attnsci.data.images import load_images, resize_and_crop
from attnsci.devices import make_fabric
from attnsci.errors import CheckpointError, InvalidInput
from attnsci.families.neva.network import NeVA
from attnsci.families.neva.objective import NeVAObjective
from attnsci.families.neva.photographs import Photographs
from attnsci.families.neva.policy import LearnedGaze, NeVAPolicy
from attnsci.families.neva.policy_config import NeVAPolicyConfig
from attnsci.families.neva.recipes import NeVATraining
from attnsci.families.neva.scores import (
    after_each_fixation,
    at_centre,
    at_random,
    looking,
    outside,
)
from attnsci.families.neva.tasks import BlurEnergy, Classification, Reconstruction, check_frozen
from attnsci.models.weights import load_weights
from attnsci.sensors.foveation import Fovea
from attnsci.training.configs import TrainerConfig
from attnsci.training.trainer import Trainer

SIDE = 24
FOVEA = Fovea(sigma_px=4, blur_size=9, blur_sigma_px=3, retention=0.8)
POLICY = NeVAPolicyConfig(channels=1, widths=(8, 8), strides=(2, 2), size=(SIDE, SIDE))
RECIPE = NeVATraining(POLICY, n_fixations=3, batch_size=4, validation_images=6, seed=3)
CONFIG = TrainerConfig(epochs=3, max_steps=7, device="cpu", save_every=2)


class Checkers:
    """A patch of checks on grey, which only a look can resolve; its place and phase vary."""

    def __init__(self, n=12, seed=0):
        self.n, self.seed = n, seed
        generator = np.random.default_rng(seed)
        self.images = np.full((n, 1, SIDE, SIDE), 0.5, np.float32)
        self.labels = generator.integers(0, 2, n)
        self.at = generator.integers(0, SIDE - 6, (n, 2))
        checks = np.indices((6, 6)).sum(0) % 2
        for image, label, (top, left) in zip(self.images, self.labels, self.at, strict=True):
            image[0, top : top + 6, left : left + 6] = checks if label else 1 - checks

    def __len__(self):
        return self.n

    def batch(self, rows, epoch):
        return torch.from_numpy(self.images[rows]), torch.from_numpy(self.labels[rows])

    def provenance(self):
        return {"pictures": "checkers", "n": self.n, "seed": self.seed}


def network(seed=0):
    torch.manual_seed(seed)
    return nn.Sequential(
        nn.Conv2d(1, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU(), nn.Flatten(),
        nn.Linear(8 * SIDE**2, 2),
    )  # fmt: skip


def objective(task=None, fovea=FOVEA, **changes) -> NeVAObjective:
    recipe = dataclasses.replace(RECIPE, **changes)
    return NeVAObjective(
        recipe, task or Classification(network()), Checkers(), Checkers(7, 1), fovea
    )


def outcome(folder):
    return load_weights(folder / "last.safetensors")[0], pd.read_parquet(folder / "metrics.parquet")


def one_batch(chosen: NeVAObjective):
    """Update once; return the rows of metrics."""
    chosen.model.train()
    batch = chosen.batch(0, 0, 0, 1)
    fabric = make_fabric()
    return list(chosen.update(chosen.model, batch, chosen.optimizer(), fabric))


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory):
    folder = tmp_path_factory.mktemp("uninterrupted")
    Trainer(objective(), folder, CONFIG).fit()
    return folder


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"n_fixations": 0}, "n_fixations"),
        ({"batch_size": 2.5}, "batch_size"),
        ({"validation_images": 0}, "validation_images"),
        ({"learning_rate": -1e-3}, "learning_rate"),
        ({"through": "two"}, "through"),
        ({"labels": "true"}, "labels"),
    ],
)
def test_impossible_settings_are_refused(changes, message):
    with pytest.raises(InvalidInput, match=message):
        dataclasses.replace(RECIPE, **changes)


def test_what_cannot_be_learned_is_refused():
    with pytest.raises(InvalidInput, match="'given' is for classification"):
        objective(BlurEnergy(), labels="given")
    with pytest.raises(InvalidInput, match="too few for batches of 40"):
        objective(batch_size=40)
    with pytest.raises(InvalidInput, match="shared evenly by 3"):
        objective().batch(0, 0, 0, 3)


def test_settings_are_read_without_torch():
    code = (
        "import sys, attnsci.families.neva.recipes, attnsci.families.neva.policy_config; "
        "sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


@pytest.mark.parametrize("fault", ["training", "trainable"])
def test_a_task_that_could_change_is_refused(fault):
    task = Classification(network())
    task.model.train(fault == "training").requires_grad_(fault == "trainable")
    with pytest.raises(InvalidInput, match=r"model of the task .*frozen"):
        objective(task)


def test_one_layer_in_training_mode_is_enough_to_refuse():
    task = Classification(network())
    task.model[1].train()
    with pytest.raises(InvalidInput, match="training mode"):
        check_frozen(task)


@pytest.mark.parametrize("through", ["one", "all"])
def test_training_leaves_the_task_as_it_was(tmp_path, through):
    task = Classification(network())
    before = {name: value.clone() for name, value in task.model.state_dict().items()}
    Trainer(objective(task, through=through), tmp_path, CONFIG).fit()
    for name, value in task.model.state_dict().items():
        assert torch.equal(value, before[name]), name
    assert all(p.grad is None and not p.requires_grad for p in task.model.parameters())
    assert not any(module.training for module in task.model.modules())


def test_a_task_that_changes_in_between_is_noticed(tmp_path):
    task = Classification(network())
    chosen = objective(task)
    one_batch(chosen)
    task.model[1].running_mean += 0.1
    with pytest.raises(InvalidInput, match="changed while the policy was trained"):
        chosen.validate(make_fabric().setup_module(chosen.model.eval()))


def test_greedy_training_steps_after_each_fixation_and_the_other_once(uninterrupted):
    table = pd.read_parquet(uninterrupted / "metrics.parquet")
    updates = table[table["split"] == "train"]
    assert updates["fixation"].tolist() == [1, 2, 3] * 7
    rows = one_batch(objective(through="all"))
    assert [row["fixation"] for row in rows] == [3]


def test_one_fixation_is_the_same_both_ways():
    chosen = [objective(through=through, n_fixations=1) for through in ("one", "all")]
    rows = [one_batch(each) for each in chosen]
    assert rows[0] == rows[1]
    weights = [each.model.state_dict() for each in chosen]
    assert all(torch.equal(weights[0][name], weights[1][name]) for name in weights[0])


def test_the_gradient_through_all_fixations_is_not_the_greedy_one():
    """With steps too small to matter, greedy steps add up to the truncated gradient."""
    moved = {}
    for through in ("one", "all"):
        chosen = objective(BlurEnergy(), through=through)
        chosen.model.eval()  # statistics that stay, so that only the gradient differs
        gradients = []
        optimizer = chosen.optimizer()
        optimizer.step = lambda g=gradients, m=chosen.model: g.append(
            torch.cat([p.grad.flatten().clone() for p in m.parameters()])
        )
        fabric = make_fabric()
        list(chosen.update(chosen.model, chosen.batch(0, 0, 0, 1), optimizer, fabric))
        moved[through] = torch.stack(gradients)
    assert moved["one"].shape[0] == 3
    assert moved["all"].shape[0] == 1
    greedy = moved["one"].mean(0)
    assert not torch.allclose(greedy, moved["all"][0], rtol=1e-2)
    assert torch.cosine_similarity(greedy, moved["all"][0], dim=0) > 0.3


def test_the_first_update_is_adam_on_the_task_loss_of_the_first_fixation():
    chosen, reference = objective(n_fixations=1), objective()
    (row,) = one_batch(chosen)
    images, _, _ = reference.batch(0, 0, 0, 1)
    model = reference.model.train()
    from attnsci.sensors.foveation import FoveatedView

    view = FoveatedView(images, FOVEA)
    seen = view.perceive(view.mask(model(view.perceive(view.blank()))))
    logits = reference.task.model(seen)
    label = reference.task.model(images).argmax(1)
    loss = nn.functional.cross_entropy(logits, label)
    assert row["loss"] == pytest.approx(loss.item(), rel=1e-5)
    loss.backward()
    torch.optim.Adam(model.parameters(), lr=1e-3).step()
    for (name, a), b in zip(chosen.model.named_parameters(), model.parameters(), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-6, msg=name)


@pytest.mark.parametrize("stop", [1, 2, 5])
def test_a_run_resumes_with_the_same_bits(uninterrupted, tmp_path, stop):
    Trainer(objective(), tmp_path, dataclasses.replace(CONFIG, max_steps=stop)).fit()
    Trainer(objective(), tmp_path, CONFIG).fit()
    (weights, table), (whole_weights, whole) = outcome(tmp_path), outcome(uninterrupted)
    for name, value in weights.items():
        assert torch.equal(value, whole_weights[name]), name
    updates = [t[t["split"] == "train"].reset_index(drop=True) for t in (table, whole)]
    pd.testing.assert_frame_equal(*updates, check_exact=True)
    last = [t.iloc[-1] for t in (table, whole)]
    pd.testing.assert_series_equal(*last, check_names=False, check_exact=True)


def test_noise_resumes_too(tmp_path):
    noisy = dataclasses.replace(FOVEA, noise=0.1)
    for folder, steps in (("a", (4,)), ("b", (1, 4))):
        for stop in steps:
            config = dataclasses.replace(CONFIG, max_steps=stop)
            Trainer(objective(fovea=noisy), tmp_path / folder, config).fit()
    a, b = (outcome(tmp_path / folder)[0] for folder in "ab")
    assert all(torch.equal(a[name], b[name]) for name in a)


@pytest.mark.parametrize("change", [{"through": "all"}, {"n_fixations": 2}, {"seed": 4}])
def test_another_run_is_not_continued(uninterrupted, change):
    with pytest.raises(CheckpointError, match="other settings or data"):
        Trainer(objective(**change), uninterrupted, CONFIG).fit()
    with pytest.raises(CheckpointError, match="other settings or data"):
        Trainer(objective(Classification(network(1))), uninterrupted, CONFIG).fit()


def test_the_record_says_what_was_trained(uninterrupted):
    state, record = load_weights(uninterrupted / "last.safetensors")
    assert record["model"] == "NeVAPolicy"
    assert record["fovea"]["retention"] == 0.8
    assert record["task"]["name"] == "classification"
    assert record["data"] == {"pictures": "checkers", "n": 12, "seed": 0}
    metrics = record["metrics"]
    assert metrics["n"] == 6
    assert metrics["gain"] == pytest.approx(metrics["loss_centre"] - metrics["loss"])
    policy = NeVAPolicy(POLICY)
    policy.load_state_dict(state)
    where = looking(LearnedGaze(policy, FOVEA), 3)
    rows = np.arange(6) * 7 // 6
    table = after_each_fixation(
        where, objective().task, Checkers(7, 1), FOVEA, rows=rows, chunk=3
    ).mean("stimulus")
    found = [metrics[f"loss_fixation_{t}"] for t in (1, 2, 3)]
    np.testing.assert_allclose(table["loss"][1:], found, rtol=1e-5)
    assert metrics["loss"] == pytest.approx(np.mean(found))
    assert metrics["loss_fixation_0"] == pytest.approx(float(table["loss"][0]), rel=1e-5)


def test_reconstruction_learns_to_look_at_what_a_blur_hides(tmp_path):
    """Beside the centre, where an untrained gaze stays: its loss is that of the centre to 1 %.

    So short a training differs from seed to seed and from processor to processor: six seeds on
    one left .78 to .94 of it. Chance is no control here, being worse than the untrained gaze.
    """
    task, config = Reconstruction(nn.Identity()), TrainerConfig(epochs=70, max_steps=280)
    ratios = []
    for seed in (2, 3, 4):
        recipe = dataclasses.replace(
            RECIPE, batch_size=16, n_fixations=2, learning_rate=5e-3, seed=seed
        )
        learner = NeVAObjective(recipe, task, Checkers(64), Checkers(16, 1), FOVEA)
        untrained = learner.validate(SimpleNamespace(module=learner.model))
        assert untrained["loss"] == pytest.approx(untrained["loss_centre"], rel=0.01)
        last = Trainer(learner, tmp_path / str(seed), config).fit().iloc[-1]
        assert last["outside"] == 0 and last["loss_centre"] == untrained["loss_centre"]
        ratios.append(last["loss"] / last["loss_centre"])
    assert max(ratios) < 0.97 and np.mean(ratios) < 0.92


@pytest.mark.parametrize("precision", ["bf16-mixed", "bf16-true", "64-true"])
def test_other_precisions(tmp_path, precision):
    config = TrainerConfig(max_steps=2, device="cpu", precision=precision)
    table = Trainer(objective(), tmp_path, config).fit()
    plain = pd.DataFrame(one_batch(objective()))
    np.testing.assert_allclose(table["loss"].iloc[0], plain["loss"].iloc[0], rtol=0.05)


# --- scores ------------------------------------------------------------------------------------


def test_scores_by_brute_force():
    task, pictures = BlurEnergy(), Checkers(5)
    table = after_each_fixation(at_random(3, seed=2), task, pictures, FOVEA, chunk=2).mean(
        "stimulus"
    )
    images, _ = pictures.batch(np.arange(5), None)
    xy = at_random(3, seed=2)(images, list("01234"))
    from attnsci.sensors.foveation import FoveatedView

    view = FoveatedView(images, FOVEA)
    memory, expected = torch.zeros(5, 1, SIDE, SIDE), [view.residual.square().mean().item()]
    for t in range(3):
        memory = 0.8 * memory + view.mask(xy[:, t])
        expected.append((view.residual * (1 - memory).clamp(0, 1)).square().mean().item())
    np.testing.assert_allclose(table["loss"], expected, rtol=1e-5)
    assert table["fixation"].values.tolist() == [0, 1, 2, 3]
    assert "accuracy" not in table


def test_scores_agree_with_what_neva_says_of_itself():
    task, pictures = Classification(network()), Checkers(3)
    neva = NeVA(task, FOVEA, grid=3, refinements=1, precision="float32")
    images, _ = pictures.batch(np.arange(3), None)
    state = neva.look(images, 3)["state_loss"].mean("scanpath")
    table = after_each_fixation(looking(neva, 3), task, pictures, FOVEA).mean("stimulus")
    np.testing.assert_allclose(table["loss"][1:], state, rtol=1e-4)


def test_accuracy_is_against_the_labels_that_are_asked_for():
    task, pictures = Classification(network()), Checkers(9)
    sharp = dataclasses.replace(FOVEA, sigma_px=1e4)  # all is seen at the first look
    images, labels = pictures.batch(np.arange(9), None)
    right = (task.model(images).argmax(1) == labels).double().mean().item()
    own = after_each_fixation(at_centre(1), task, pictures, sharp).mean("stimulus")
    given = after_each_fixation(at_centre(1), task, pictures, sharp, labels="given").mean(
        "stimulus"
    )
    assert own["accuracy"][1] == 1
    assert given["accuracy"][1] == pytest.approx(right)
    with pytest.raises(InvalidInput, match="'reconstruction' and the images have labels"):
        after_each_fixation(
            at_centre(1), Reconstruction(nn.Identity()), pictures, FOVEA, labels="given"
        )


def test_controls():
    images = torch.zeros(2, 1, 20, 40)
    assert at_centre(3)(images, ["a", "b"]).tolist() == [[[20, 10]] * 3] * 2
    drawn = at_random(500)(images, ["a", "b"])
    assert torch.equal(at_random(500)(images[1:], ["b"])[0], drawn[1])
    assert not outside(drawn.view(-1, 2), (20, 40)).any()
    low, high = drawn.view(-1, 2).min(0).values, drawn.view(-1, 2).max(0).values
    assert ((low > 0.5) & (low < torch.tensor([0.7, 0.7]))).all()
    assert (high > torch.tensor([39.3, 19.3])).all()
    off = torch.tensor([[-0.1, 5], [40.1, 5], [5, 20.1], [0, 20], [40, 0]])
    assert outside(off, (20, 40)).tolist() == [True, True, True, False, False]


# --- pictures ----------------------------------------------------------------------------------


def test_photographs_are_shown_as_imagenet_is():
    photographs = load_images(["coffee", "chelsea"])
    pictures = Photographs(photographs, data={"dataset": "scikit-image"})
    middle, labels = pictures.batch(np.array([0, 1]), None)
    for image, photograph in zip(middle, photographs, strict=True):
        np.testing.assert_array_equal(image, resize_and_crop(photograph.rgb)[0])
    assert labels is None
    record = pictures.provenance()
    assert record["dataset"] == "scikit-image"
    assert record["checksum"] != Photographs(photographs[:1]).provenance()["checksum"]


def test_pieces_vary_by_epoch_and_not_by_batch():
    pictures = Photographs(load_images(["coffee", "chelsea"]), 64)
    together = pictures.batch(np.array([0, 1]), 3)[0]
    assert torch.equal(pictures.batch(np.array([1]), 3)[0][0], together[1])
    assert not torch.equal(pictures.batch(np.array([1]), 4)[0][0], together[1])
    assert 0 <= together.min() < together.max() <= 1
    left = [pictures.batch(np.array([0]), epoch)[0][0] for epoch in range(12)]
    whole = torch.from_numpy(resize_and_crop(load_images("coffee")[0].rgb, 64)[0])
    # Mirrored or not, every piece is somewhere in the photograph: the means stay near.
    assert all(abs(float(piece.mean() - whole.mean())) < 0.1 for piece in left)
    with pytest.raises(InvalidInput, match="no photographs"):
        Photographs([])
