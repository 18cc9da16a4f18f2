import dataclasses
import os
import signal
import subprocess
import sys
import time

import pandas as pd
import pytest
import torch

from attnsci.errors import CheckpointError, InvalidInput
from attnsci.families.object_attention.objective import GatingObjective
from attnsci.families.object_attention.recipes import (
    PRESETS,
    ObjectAttentionTraining,
    sweep_configs,
)
from attnsci.models.weights import load_weights
from attnsci.provenance import stable_hash
from attnsci.training import sweep
from attnsci.training.configs import TrainerConfig
from attnsci.training.sweep import (
    SweepFailed,
    finished_row,
    run_sweep,
    train_job,
)

TINY = ObjectAttentionTraining(
    source="bundled", batch_size=8, validation_fraction=0.1, validation_scenes=16
)
SHORT = TrainerConfig(max_steps=3, device="cpu")


@pytest.fixture
def inline(monkeypatch):
    """Jobs run in this process, in order: starting workers takes seconds."""

    def outcomes(objective, jobs, trainer, workers):
        for place, config in jobs.items():
            try:
                yield place, sweep.train_job(objective, config, trainer, place)
            except Exception as error:
                yield place, error

    monkeypatch.setattr(sweep, "_outcomes", outcomes)


def test_every_pair_of_weight_and_seed_weights_outermost():
    configs = sweep_configs(PRESETS["mnist-3"], (0, 10), (5, 6))
    assert [(c.reconstruction_weight, c.seed) for c in configs] == [
        (0, 5),
        (0, 6),
        (10, 5),
        (10, 6),
    ]
    assert {c.n_objects for c in configs} == {3}


def test_a_row_holds_the_configuration_and_what_came_out(tmp_path, inline):
    table = run_sweep(GatingObjective, sweep_configs(TINY, (0, 1000), (0,)), SHORT, tmp_path)
    pd.testing.assert_frame_equal(pd.read_csv(tmp_path / "sweep.csv"), table)
    assert table["reconstruction_weight"].tolist() == [0, 1000]
    assert table["source"].tolist() == ["bundled"] * 2
    assert table["steps"].tolist() == [3, 3]
    assert table["n_validation"].tolist() == [16, 16]
    metrics = pd.read_parquet(tmp_path / table["run"][1] / "metrics.parquet")
    updates = metrics[metrics["split"] == "train"]
    assert len(updates) == 6
    assert table["training_accuracy"][1] == pytest.approx(updates["accuracy"].mean())
    last = metrics[metrics["split"] == "validation"].iloc[-1]
    assert table["validation_accuracy"][1] == last["accuracy"]


def test_training_accuracy_is_that_of_the_last_updates(tmp_path, monkeypatch):
    monkeypatch.setattr(sweep, "N_LAST_UPDATES", 2)
    row = train_job(GatingObjective, TINY, SHORT, tmp_path)
    metrics = pd.read_parquet(tmp_path / "metrics.parquet")
    last = metrics[(metrics["split"] == "train") & (metrics["step"] == 2)]
    assert row["training_accuracy"] == pytest.approx(last["accuracy"].mean())


def test_finished_jobs_are_not_run_again_and_longer_ones_go_on(tmp_path, inline, monkeypatch):
    configs = sweep_configs(TINY, (1000,), (0,))
    first = run_sweep(GatingObjective, configs, SHORT, tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr(sweep, "train_job", lambda *_: pytest.fail("was run again"))
        pd.testing.assert_frame_equal(run_sweep(GatingObjective, configs, SHORT, tmp_path), first)
    longer = run_sweep(GatingObjective, configs, dataclasses.replace(SHORT, max_steps=4), tmp_path)
    assert longer["steps"].tolist() == [4]
    assert longer["run"].tolist() == [stable_hash(configs[0])]
    with pytest.raises(SweepFailed, match="4 batches already, which is more than the 2"):
        run_sweep(GatingObjective, configs, dataclasses.replace(SHORT, max_steps=2), tmp_path)


def test_fewer_epochs_than_were_trained_are_refused(tmp_path, monkeypatch):
    small = dataclasses.replace(TINY, batch_size=200, validation_fraction=0.95)
    assert (
        train_job(GatingObjective, small, TrainerConfig(epochs=2, device="cpu"), tmp_path)["steps"]
        == 2
    )
    with pytest.raises(CheckpointError, match="more than the 1 epochs"):
        train_job(GatingObjective, small, TrainerConfig(epochs=1, device="cpu"), tmp_path)


def test_a_failing_job_loses_no_other(tmp_path, inline, monkeypatch):
    configs = sweep_configs(TINY, (0, 10, 1000), (0,))

    def train(objective, config, trainer, place):
        if config.reconstruction_weight == 10:
            raise MemoryError("no room")
        return train_job(objective, config, trainer, place)

    monkeypatch.setattr(sweep, "train_job", train)
    with pytest.raises(
        SweepFailed, match=r"1 of 3 jobs failed[\s\S]*MemoryError: no room"
    ) as failed:
        run_sweep(GatingObjective, configs, SHORT, tmp_path)
    assert isinstance(failed.value.__cause__, MemoryError)
    table = pd.read_csv(tmp_path / "sweep.csv")
    assert table["reconstruction_weight"].tolist() == [0, 1000]
    assert finished_row(tmp_path / stable_hash(configs[1]), SHORT) is None
    monkeypatch.setattr(sweep, "train_job", train_job)
    assert len(run_sweep(GatingObjective, configs, SHORT, tmp_path)) == 3


def test_bad_sweeps_are_refused(tmp_path):
    with pytest.raises(InvalidInput, match="configs is empty"):
        run_sweep(GatingObjective, [], SHORT, tmp_path)
    with pytest.raises(InvalidInput, match="the same"):
        run_sweep(GatingObjective, [TINY, TINY], SHORT, tmp_path)
    with pytest.raises(InvalidInput, match="workers must be a whole number above 0; got 0"):
        run_sweep(GatingObjective, [TINY], SHORT, tmp_path, workers=0)


@pytest.mark.slow
def test_worker_processes_give_the_same_bits_and_survive_a_broken_job(tmp_path):
    configs = sweep_configs(TINY, (0, 10, 1000), (0,))
    broken = tmp_path / "two" / stable_hash(configs[1])
    broken.mkdir(parents=True)
    (broken / "last.ckpt").write_bytes(b"no checkpoint")
    with pytest.raises(SweepFailed, match=r"1 of 3 jobs failed[\s\S]*cannot be resumed"):
        run_sweep(GatingObjective, configs, SHORT, tmp_path / "two", workers=2)
    table = pd.read_csv(tmp_path / "two" / "sweep.csv")
    assert table["reconstruction_weight"].tolist() == [0, 1000]
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        train_job(GatingObjective, configs[2], SHORT, tmp_path / "one")
    finally:
        torch.set_num_threads(threads)
    theirs, _ = load_weights(tmp_path / "two" / table["run"][1] / "last.safetensors")
    ours, _ = load_weights(tmp_path / "one" / "last.safetensors")
    assert all(torch.equal(theirs[name], ours[name]) for name in ours)


@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix", reason="signals as POSIX has them")
def test_interrupting_a_sweep_saves_the_running_job(tmp_path):
    command = [sys.executable, "-m", "attnsci", "train", "object-attention", "--sweep"]
    command += ["--sweep.reconstruction-weights", "0", "1000", "--sweep.seeds", "0"]
    command += ["--source", "bundled", "--batch-size", "8", "--save-every", "1"]
    command += ["--device", "cpu", "--out", str(tmp_path)]
    # A session of its own: only the parent gets the signal, and must pass it on.
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, start_new_session=True)
    deadline = time.monotonic() + 120
    while not list(tmp_path.glob("*/last.ckpt")) and time.monotonic() < deadline:
        time.sleep(0.2)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130, errors
    assert "the same command goes on" in errors.splitlines()[-1]
    assert "Traceback" not in errors
    (place,) = tmp_path.glob("*/run.json")
    assert not (place.parent / "done.json").exists()
    assert pd.read_parquet(place.parent / "metrics.parquet")["step"].max() >= 0
