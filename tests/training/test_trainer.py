"""The trainer: a run that was stopped in any way ends as if it never had been."""

import io
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from attnsci.data import load_mnist
from attnsci.errors import CheckpointError, InvalidInput, StorageError
from attnsci.families.object_attention.objective import GatingObjective
from attnsci.families.object_attention.recipes import ObjectAttentionTraining
from attnsci.models.weights import load_weights
from attnsci.training.configs import TrainerConfig
from attnsci.training.trainer import Trainer, check_shares

RECIPE = ObjectAttentionTraining(batch_size=4, validation_scenes=6, source="bundled", seed=5)
# 20 training digits in batches of 4: five batches an epoch, eight in all.
CONFIG = TrainerConfig(epochs=2, max_steps=8, device="cpu", save_every=2)


def digits():
    return load_mnist("train").subset(np.arange(0, 4000, 130)[:29])


def objective() -> GatingObjective:
    return GatingObjective(RECIPE, digits())


def outcome(folder: Path) -> tuple[dict[str, torch.Tensor], pd.DataFrame]:
    return load_weights(folder / "last.safetensors")[0], pd.read_parquet(folder / "metrics.parquet")


def assert_same_run(a: Path, b: Path) -> None:
    (weights, metrics), (other_weights, other_metrics) = outcome(a), outcome(b)
    assert weights.keys() == other_weights.keys()
    for name, value in weights.items():
        assert torch.equal(value, other_weights[name]), name
    pd.testing.assert_frame_equal(metrics, other_metrics, check_exact=True)
    best, other_best = (load_weights(f / "best.safetensors") for f in (a, b))
    assert best[1]["metrics"] == other_best[1]["metrics"]
    for name, value in best[0].items():
        assert torch.equal(value, other_best[0][name]), name


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory):
    folder = tmp_path_factory.mktemp("uninterrupted")
    Trainer(objective(), folder, CONFIG).fit()
    return folder


def test_metrics_are_one_tidy_table(uninterrupted):
    table = pd.read_parquet(uninterrupted / "metrics.parquet")
    updates = table[table["split"] == "train"]
    assert updates["step"].tolist() == np.repeat(np.arange(8), 2).tolist()
    assert updates["epoch"].tolist() == [0] * 10 + [1] * 6
    assert updates["phase"].tolist() == [1, 2] * 8
    np.testing.assert_allclose(
        updates["loss"], updates["cross_entropy"] + 1000 * updates["squared_error"], rtol=1e-5
    )
    scores = table[table["split"] == "validation"]
    assert scores["step"].tolist() == [4, 7]
    assert scores["n"].tolist() == [6, 6]
    np.testing.assert_allclose(
        scores["accuracy"], scores[["accuracy_phase_1", "accuracy_phase_2"]].mean(axis=1)
    )
    assert updates["loss"].notna().all()
    assert scores["loss"].isna().all()


def test_the_folder_says_what_was_trained(uninterrupted):
    names = sorted(path.name for path in uninterrupted.iterdir())
    assert names == [
        "best.safetensors", "last.ckpt", "last.safetensors", "metrics.parquet", "run.json",
    ]  # fmt: skip
    run = json.loads((uninterrupted / "run.json").read_text())
    assert run["training"]["batch_size"] == 4
    assert run["data"]["n"] == 20
    assert run["validation_data"]["n"] == 9
    record = load_weights(uninterrupted / "last.safetensors")[1]
    assert record["model"] == "ObjectAttention"
    assert record["seed"] == 5
    assert record["metrics"]["step"] == 7
    assert record["trainer"]["max_steps"] == 8


def test_a_finished_run_is_not_trained_again(uninterrupted, monkeypatch):
    monkeypatch.setattr(GatingObjective, "update", lambda *_: pytest.fail("trained again"))
    table = Trainer(objective(), uninterrupted, CONFIG).fit()
    assert table["step"].max() == 7


def test_a_run_may_be_made_longer(uninterrupted, tmp_path):
    shorter = TrainerConfig(epochs=2, max_steps=3, device="cpu", save_every=2)
    Trainer(objective(), tmp_path, shorter).fit()
    Trainer(objective(), tmp_path, CONFIG).fit()
    weights, table = outcome(tmp_path)
    whole_weights, whole_table = outcome(uninterrupted)
    for name, value in weights.items():
        assert torch.equal(value, whole_weights[name]), name
    updates = [t[t["split"] == "train"].reset_index(drop=True) for t in (table, whole_table)]
    pd.testing.assert_frame_equal(*updates, check_exact=True)


SCRIPT = """
import os, signal, sys
sys.path.insert(0, {tests!r})
import attnsci.training.trainer as module
from attnsci.families.object_attention.objective import GatingObjective
import test_trainer as given

def die(*_, **__):
    os.kill(os.getpid(), signal.SIGKILL)

when, folder = sys.argv[1:]
if when == "between phases":
    update, calls = GatingObjective.update, []
    def dying(self, *arguments):
        calls.append(1)
        for row in update(self, *arguments):
            if len(calls) == 6:
                die()
            yield row
    GatingObjective.update = dying
else:
    trainer = module.Trainer(given.objective(), folder, given.CONFIG)
    save, calls = trainer.fabric.save, []
    def dying(path, state):
        calls.append(1)
        if len(calls) == 3:
            path.write_bytes(b"half a checkpoint")
            die()
        save(path, state)
    trainer.fabric.save = dying
    trainer.fit()
module.Trainer(given.objective(), folder, given.CONFIG).fit()
"""


@pytest.mark.parametrize("when", ["between phases", "while saving"])
def test_a_killed_run_ends_with_the_same_bits(uninterrupted, tmp_path, when):
    script = tmp_path / "train.py"
    script.write_text(SCRIPT.format(tests=os.fspath(Path(__file__).parent)))
    folder = tmp_path / "run"
    killed = subprocess.run([sys.executable, script, when, folder], capture_output=True, text=True)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    assert pd.read_parquet(folder / "metrics.parquet")["step"].max() < 7
    Trainer(objective(), folder, CONFIG).fit()
    assert_same_run(folder, uninterrupted)


class Stop(BaseException):
    pass


def stopping_at(batch: int, stop):
    """Return an `update` that calls `stop` between the phases of the given batch."""
    update, calls = GatingObjective.update, []

    def stopped(self, *arguments):
        calls.append(1)
        for number, row in enumerate(update(self, *arguments)):
            if (len(calls), number) == (batch, 0):
                stop()
            yield row

    return stopped


@pytest.mark.parametrize("batch", [1, 4, 5])
def test_ctrl_c_finishes_the_batch_saves_and_resumes_with_the_same_bits(
    uninterrupted, tmp_path, monkeypatch, batch
):
    before = signal.getsignal(signal.SIGINT)
    with monkeypatch.context() as patch:
        patch.setattr(
            GatingObjective,
            "update",
            stopping_at(batch, lambda: signal.raise_signal(signal.SIGINT)),
        )
        with pytest.raises(KeyboardInterrupt):
            Trainer(objective(), tmp_path, CONFIG).fit()
    assert signal.getsignal(signal.SIGINT) is before
    kept = pd.read_parquet(tmp_path / "metrics.parquet")
    assert kept["step"].max() == batch - 1
    assert (kept["split"] == "train").sum() == 2 * batch
    Trainer(objective(), tmp_path, CONFIG).fit()
    assert_same_run(tmp_path, uninterrupted)


@pytest.mark.parametrize("reason", ["second Ctrl-C", "crash"])
def test_a_batch_half_done_is_never_saved(uninterrupted, tmp_path, monkeypatch, reason):
    def stop():
        if reason == "crash":
            raise Stop
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGINT)

    with monkeypatch.context() as patch:
        patch.setattr(GatingObjective, "update", stopping_at(4, stop))
        with pytest.raises((Stop, KeyboardInterrupt)):
            Trainer(objective(), tmp_path, CONFIG).fit()
    assert pd.read_parquet(tmp_path / "metrics.parquet")["step"].max() == 1
    Trainer(objective(), tmp_path, CONFIG).fit()
    assert_same_run(tmp_path, uninterrupted)


def test_a_handler_of_somebody_else_is_put_back_and_called_once_more(tmp_path, monkeypatch):
    seen = []
    usual = signal.signal(signal.SIGINT, lambda *_: seen.append(1))
    try:
        monkeypatch.setattr(
            GatingObjective,
            "update",
            stopping_at(1, lambda: [signal.raise_signal(signal.SIGINT) for _ in range(3)]),
        )
        with pytest.raises(KeyboardInterrupt):
            Trainer(objective(), tmp_path, CONFIG).fit()
        assert (tmp_path / "last.ckpt").exists()
        assert not seen
        signal.raise_signal(signal.SIGINT)
        assert seen
    finally:
        signal.signal(signal.SIGINT, usual)


@pytest.mark.parametrize(
    "change",
    [{"learning_rate": 1e-2}, {"seed": 6}, {"noise": 0.1}, {"n_objects": 3}, {"batch_size": 5}],
)
def test_another_run_is_not_continued(uninterrupted, change):
    other = GatingObjective(ObjectAttentionTraining(**{**vars(RECIPE), **change}), digits())
    before = {name: value.clone() for name, value in other.model.state_dict().items()}
    files = {path: path.read_bytes() for path in uninterrupted.iterdir()}
    with pytest.raises(CheckpointError, match="other settings or data"):
        Trainer(other, uninterrupted, CONFIG).fit()
    for name, value in other.model.state_dict().items():
        assert torch.equal(value, before[name]), name
    assert files == {path: path.read_bytes() for path in uninterrupted.iterdir()}


def test_other_digits_are_another_run(uninterrupted):
    other = GatingObjective(RECIPE, load_mnist("train").subset(np.arange(29)))
    with pytest.raises(CheckpointError, match="other settings or data"):
        Trainer(other, uninterrupted, CONFIG).fit()


@pytest.fixture
def copied(uninterrupted, tmp_path):
    for path in uninterrupted.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    return tmp_path


@pytest.mark.parametrize(
    ("name", "damage"),
    [(n, d) for n in ("last.ckpt", "metrics.parquet") for d in ("empty", "truncated", "garbage")]
    + [("metrics.parquet", "missing")],
)
def test_damaged_files_are_an_error_that_names_them(copied, name, damage):
    path = copied / name
    whole = path.read_bytes()
    path.unlink()
    if damage != "missing":
        path.write_bytes({"empty": b"", "truncated": whole[:-50], "garbage": b"\x80x" * 99}[damage])
    fresh = objective()
    before = {key: value.clone() for key, value in fresh.model.state_dict().items()}
    with pytest.raises(CheckpointError, match=f"{name} is missing or damaged"):
        Trainer(fresh, copied, CONFIG).fit()
    if name == "metrics.parquet":
        for key, value in fresh.model.state_dict().items():
            assert torch.equal(value, before[key]), key


def test_a_checkpoint_with_code_in_it_is_not_run(copied):
    class Payload:
        def __reduce__(self):
            return (os.mkdir, (os.fspath(copied / "sprung"),))

    torch.save({"signature": Payload()}, copied / "last.ckpt")
    with pytest.raises(CheckpointError):
        Trainer(objective(), copied, CONFIG).fit()
    assert not (copied / "sprung").exists()


def test_a_full_disk_keeps_the_old_checkpoint(uninterrupted, tmp_path, monkeypatch):
    first = TrainerConfig(epochs=2, max_steps=2, device="cpu", save_every=2)
    Trainer(objective(), tmp_path, first).fit()
    before = (tmp_path / "last.ckpt").read_bytes()
    trainer = Trainer(objective(), tmp_path, CONFIG)

    def full(path, state):
        path.write_bytes(b"a few bytes")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(trainer.fabric, "save", full)
    with pytest.raises(StorageError, match=r"last\.ckpt.*No space left on device"):
        trainer.fit()
    assert (tmp_path / "last.ckpt").read_bytes() == before
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".")]
    Trainer(objective(), tmp_path, CONFIG).fit()
    weights, whole = outcome(tmp_path)[0], outcome(uninterrupted)[0]
    assert all(torch.equal(weights[name], whole[name]) for name in whole)


class Scripted:
    """One weight that counts its updates; validation scores as scripted."""

    score = "score"
    forward_methods = ()

    def __init__(self, scores):
        self.scores = scores
        self.model = torch.nn.Linear(1, 1, bias=False)
        torch.nn.init.zeros_(self.model.weight)

    def optimizer(self):
        return torch.optim.SGD(self.model.parameters(), lr=1.0)

    def n_batches(self, epoch):
        return 2

    def batch(self, epoch, index, rank, world_size):
        return -torch.ones(3, 1)

    def update(self, model, batch, optimizer, fabric):
        loss = model(batch).mean()
        optimizer.zero_grad()
        fabric.backward(loss)
        optimizer.step()
        return [{"loss": loss.item()}]

    def validate(self, model):
        return {"score": self.scores[int(self.model.weight.item()) // 2 - 1]}

    def provenance(self):
        return {"model": "Scripted"}


@pytest.mark.parametrize("stop_after", [None, 2, 4])
def test_best_and_last_weights_are_kept(tmp_path, stop_after):
    scores = [0.2, 0.9, 0.9, 0.4]
    if stop_after:
        part = TrainerConfig(epochs=4, max_steps=stop_after, device="cpu")
        Trainer(Scripted(scores), tmp_path, part).fit()
    table = Trainer(Scripted(scores), tmp_path, TrainerConfig(epochs=4, device="cpu")).fit()
    assert table["loss"].dropna().tolist() == [-float(i) for i in range(8)]
    assert table["score"].dropna().tolist() == scores
    best, last = (load_weights(tmp_path / f"{name}.safetensors") for name in ("best", "last"))
    assert best[0]["weight"].item() == 4
    assert best[1]["metrics"] == {"split": "validation", "epoch": 1, "step": 3, "score": 0.9}
    assert last[0]["weight"].item() == 8


def test_without_a_terminal_every_epoch_says_a_line(tmp_path, capsys):
    Trainer(Scripted([0.25, 0.5]), tmp_path / "run", TrainerConfig(epochs=2, device="cpu")).fit()
    assert capsys.readouterr().err.splitlines() == [
        "run: epoch 1 of 2, validation score 0.2500",
        "run: epoch 2 of 2, validation score 0.5000",
    ]


def test_on_a_terminal_the_bar_says_when_it_stands_still(tmp_path, monkeypatch):
    class Terminal(io.StringIO):
        def isatty(self):
            return True

    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    Trainer(Scripted([0.25]), tmp_path / "run", TrainerConfig(epochs=1, device="cpu")).fit()
    said = terminal.getvalue()
    assert said.index("validating") < said.index("validation score 0.2500")
    assert "epoch 1 of 1" not in said


def test_the_optimiser_resumes_too(tmp_path):
    class Momentum(Scripted):
        def optimizer(self):
            return torch.optim.SGD(self.model.parameters(), lr=1.0, momentum=0.5)

        def validate(self, model):
            return {"score": 0.0}

    whole = Trainer(Momentum([]), tmp_path / "a", TrainerConfig(epochs=3, device="cpu")).fit()
    part = TrainerConfig(epochs=3, max_steps=3, device="cpu")
    Trainer(Momentum([]), tmp_path / "b", part).fit()
    Trainer(Momentum([]), tmp_path / "b", TrainerConfig(epochs=3, device="cpu")).fit()
    a, b = (load_weights(tmp_path / name / "last.safetensors")[0] for name in "ab")
    assert torch.equal(a["weight"], b["weight"])
    assert whole["loss"].dropna().iloc[-1] < -6


def test_training_off_the_main_thread_leaves_signals_alone(tmp_path):
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(1) as pool:
        config = TrainerConfig(epochs=1, device="cpu")
        table = pool.submit(Trainer(Scripted([0.1]), tmp_path, config).fit).result()
    assert table["score"].dropna().tolist() == [0.1]


@pytest.mark.parametrize(
    "changes",
    [
        {"epochs": 0},
        {"devices": -1},
        {"save_every": 0},
        {"max_steps": 0},
        {"device": "gpu7"},
        {"precision": "8"},
    ],
)
def test_impossible_settings_are_refused(changes):
    with pytest.raises(InvalidInput, match=next(iter(changes))):
        TrainerConfig(**changes)


def test_shares_must_be_even():
    check_shares(64, 4)
    with pytest.raises(InvalidInput, match="64 cannot be shared evenly by 3"):
        check_shares(64, 3)


PROCESSES = """
import os, signal, sys
sys.path.insert(0, {tests!r})
import test_trainer as given
from attnsci.families.object_attention.objective import GatingObjective
from attnsci.training.trainer import Trainer, TrainerConfig

if __name__ == "__main__":
    devices, folder, interrupted = sys.argv[1:]
    config = TrainerConfig(
        epochs=2, max_steps=6, device="cpu", devices=int(devices), save_every=4
    )
    trainer = Trainer(given.objective(), folder, config)
    if interrupted == "yes" and trainer.fabric.global_rank == 0:
        stop = lambda: os.kill(os.getpid(), signal.SIGINT)
        GatingObjective.update = given.stopping_at(3, stop)
    trainer.fit()
    assert trainer.fabric.world_size == int(devices)
"""


@pytest.mark.slow
def test_two_processes_train_as_one_and_stop_together(tmp_path):
    script = tmp_path / "train.py"
    script.write_text(PROCESSES.format(tests=os.fspath(Path(__file__).parent)))

    def run(devices: str, interrupted: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, script, devices, tmp_path / devices, interrupted]
        return subprocess.run(command, capture_output=True, text=True, timeout=240)

    done = [run("1", "no"), run("2", "yes")]
    assert done[0].returncode == 0, done[0].stderr
    assert done[1].returncode != 0
    assert "KeyboardInterrupt" in done[1].stderr
    kept = pd.read_parquet(tmp_path / "2" / "metrics.parquet")
    assert kept["step"].max() == 2
    again = run("2", "no")
    assert again.returncode == 0, again.stderr
    one, two = (outcome(tmp_path / devices) for devices in ("1", "2"))
    gaps = torch.cat([(two[0][name] - value).abs().flatten() for name, value in one[0].items()])
    # Adam divides gradients by their size: where one is nearly 0, rounding is all there is.
    assert (gaps < 1e-5).double().mean() > 0.9999
    assert gaps.max() < 1e-4
    pd.testing.assert_frame_equal(one[1], two[1], rtol=1e-4)
