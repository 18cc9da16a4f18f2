import shlex

import pandas as pd
import pytest

from attnsci import cli
from attnsci.families.ram.commands import Train
from attnsci.families.ram.recipes import PRESETS
from attnsci.families.ram.train import draw_training
from attnsci.families.zoo import load_model

TINY = (
    "--source bundled --batch-size 32 --n-samples 1 --validation-scenes 50 --device cpu "
    "--n-hidden 16 --n-glimpses 3 --max-steps 6"
)


def test_presets_are_the_objects_of_the_api():
    for preset, recipe in PRESETS.items():
        asked = cli.parse(["train", "ram", "--preset", preset]).command.family
        assert asked == Train(training=recipe, preset=preset)
    one = cli.parse(shlex.split("train ram --preset translated-60 --n-glimpses 8")).command
    assert one.family.training.model.n_glimpses == 8 and one.family.training.size == 60
    assert one.family.folder != Train(PRESETS["translated-60"], "translated-60").folder


def test_a_run_trains_draws_snapshots_and_resumes(tmp_path, capsys):
    line = f"train ram {TINY} --snapshot-every 1 --seed 4 --out {tmp_path}"
    assert cli.main(shlex.split(line)) == 0
    said = capsys.readouterr().out
    assert "Validation: accuracy" in said and "Weights:" in said
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


@pytest.mark.parametrize("n", [1, 30])
def test_a_run_of_any_length_is_drawn(n):
    row = {"loss": 0.5, "accuracy": 0.9, "reward": 0.9, "value": 0.8, "saturated": 0.01}
    rows = [
        {"epoch": epoch, "split": split, **row}
        for epoch in range(n)
        for split in ("train", "validation")
    ]
    assert len(draw_training(pd.DataFrame(rows), "accuracy").axes) == 4
    without = pd.DataFrame(rows).drop(columns="saturated")
    assert len(draw_training(without, "accuracy").axes) == 3


@pytest.mark.parametrize(
    ("line", "score"),
    [
        ("ram-dram --source bundled --batch-size 16 --n-samples 1 --validation-scenes 20",
         "sequence accuracy"),
        ("ram-catch --batch-size 8 --validation-games 20", "caught"),
    ],
)  # fmt: skip
def test_other_tasks_train_too(line, score, tmp_path, capsys):
    asked = f"train {line} --max-steps 2 --device cpu --precision 32-true --out {tmp_path}"
    assert cli.main(shlex.split(asked)) == 0
    assert f"Validation: {score}" in capsys.readouterr().out
    assert (tmp_path / "training.png").exists()
    load_model(tmp_path / "last.safetensors")
