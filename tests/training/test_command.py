"""Each recipe's command: presets are the objects of the API, flags replace, runs resume."""

import shlex
import subprocess
import sys

import pandas as pd
import pytest

from attnsci import cli
from attnsci.families.ram.recipes import PRESETS
from attnsci.families.registry import entries, load
from attnsci.families.zoo import load_model
from attnsci.training.command import TrainingRun

TINY = (
    "--source bundled --batch-size 32 --n-samples 1 --validation-scenes 50 --device cpu "
    "--n-hidden 16 --n-glimpses 3 --max-steps 6"
)
NEEDED = {"object-attention-coco": "--images a --annotations b"}


def parsed(line):
    return cli.parse(shlex.split(line)).command.choice


@pytest.mark.parametrize("name", entries("recipes"))
def test_presets_are_the_objects_of_the_api(name):
    recipe = entries("recipes")[name]
    folders = set()
    for preset, settings in load(recipe.presets).items():
        command = parsed(f"train {name} --preset {preset} {NEEDED.get(name, '')}")
        assert isinstance(command, TrainingRun)
        assert (command.training, command.preset) == (settings, preset)
        assert command.folder.name.startswith(f"{name}-{preset}-")
        folders.add(command.folder)
    assert len(folders) == len(load(recipe.presets))


@pytest.mark.parametrize("name", entries("recipes"))
def test_recipes_are_read_without_torch(name):
    recipe = entries("recipes")[name]
    code = (
        "import sys; from attnsci.families.registry import load\n"
        f"load({recipe.presets!r}), load({recipe.flags!r})\n"
        "sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


def test_flags_replace_single_settings():
    command = parsed("train ram --preset translated-60 --n-glimpses 8 --precision 64-true")
    assert command.training.model.n_glimpses == 8 and command.training.size == 60
    assert command.trainer_settings["precision"] == "64-true"
    plain = parsed("train ram --preset translated-60")
    assert plain.training == PRESETS["translated-60"]
    assert "precision" not in plain.trainer_settings  # auto: as the device is fast
    assert command.folder != plain.folder
    assert parsed("train ram --out here").folder.name == "here"


def test_a_run_trains_draws_snapshots_and_resumes(tmp_path, capsys):
    line = f"train ram {TINY} --snapshot-every 1 --seed 4 --out {tmp_path}"
    assert cli.main(shlex.split(line)) == 0
    out = capsys.readouterr().out
    assert "Validation: accuracy" in out and f"Weights: {tmp_path / 'best.safetensors'}" in out
    rows = pd.read_parquet(tmp_path / "metrics.parquet")
    assert (rows["split"] == "train").sum() == 6
    assert (tmp_path / "training.png").stat().st_size > 5000
    model = load_model(tmp_path / "epoch-0001.safetensors").model
    assert model.config.n_hidden == 16 and model.config.n_glimpses == 3
    more = line.replace("--max-steps 6", "--max-steps 8")
    assert cli.main(shlex.split(more)) == 0
    rows = pd.read_parquet(tmp_path / "metrics.parquet")
    assert (rows["split"] == "train").sum() == 8
    other = line.replace("--seed 4", "--seed 5")
    assert cli.main(shlex.split(other)) == 1
    assert "holds a run with other settings" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("line", "score"),
    [
        ("ram-dram --source bundled --batch-size 16 --n-samples 1 --validation-scenes 20",
         "sequence accuracy"),
        ("ram-catch --batch-size 8 --validation-games 20", "caught"),
    ],
)  # fmt: skip
def test_other_tasks_train_too(line, score, tmp_path, capsys):
    line = f"train {line} --max-steps 2 --device cpu --precision 32-true --out {tmp_path}"
    assert cli.main(shlex.split(line)) == 0
    assert f"Validation: {score}" in capsys.readouterr().out
    assert (tmp_path / "training.png").exists()
    load_model(tmp_path / "last.safetensors")
