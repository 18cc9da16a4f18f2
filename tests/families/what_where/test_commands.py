"""The commands of What, Where and spatial transformers."""

import shlex
from concurrent.futures import ThreadPoolExecutor

import pandas as pd
import pytest

from attnsci import cli
from attnsci.families.what_where.recipes import PRESETS
from attnsci.families.what_where.where_recipes import PRESETS as WHERE_PRESETS
from attnsci.families.zoo import load_model
from attnsci.files import claim
from attnsci.recording.datasets import open_dataset

TINY = (
    "--source bundled --batch-size 20 --batches-per-epoch 3 --validation-scenes 20 --device cpu "
    "--max-steps 4"
)


def test_presets_are_the_objects_of_the_api():
    for recipe, presets in (("what-where", PRESETS), ("where", WHERE_PRESETS)):
        for preset, training in presets.items():
            command = cli.parse(["train", recipe, "--preset", preset]).command.choice
            assert (command.training, command.preset) == (training, preset)
    line = "train what-where --preset stn-28 --noise 1 --localisation-hidden 8"
    command = cli.parse(shlex.split(line)).command.choice
    assert (command.training.noise, command.training.model.localisation_hidden) == (1.0, 8)
    plain = cli.parse(["train", "what-where", "--preset", "stn-28"]).command.choice
    assert command.folder != plain.folder


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """Weights of a What that the command line trained for a moment."""
    out = tmp_path_factory.mktemp("what")
    assert cli.main(shlex.split(f"train what-where {TINY} --hidden 16 --out {out}")) == 0
    return out


def test_a_run_trains_draws_and_resumes(trained, capsys):
    rows = pd.read_parquet(trained / "metrics.parquet")
    assert (rows["split"] == "train").sum() == 4
    assert (trained / "training.png").stat().st_size > 5000
    more = TINY.replace("--max-steps 4", "--max-steps 6")
    assert cli.main(shlex.split(f"train what-where {more} --hidden 16 --out {trained}")) == 0
    assert "Validation: accuracy" in capsys.readouterr().out
    rows = pd.read_parquet(trained / "metrics.parquet")
    assert (rows["split"] == "train").sum() == 6


def test_where_is_trained_for_a_what_of_ones_own(trained, tmp_path, capsys):
    line = (
        f"train where {TINY} --what {trained / 'last.safetensors'} --hidden 8 --n-theta 2 "
        f"--n-azimuth 8 --n-ecc 6 --map-scenes 5 --map-stride-px 27 --out {tmp_path}"
    )
    assert cli.main(shlex.split(line)) == 0
    assert "Weights:" in capsys.readouterr().out
    assert load_model(tmp_path / "last.safetensors").record["training"]["map_scenes"] == 5
    assert (tmp_path / "training.png").stat().st_size > 5000


@pytest.mark.parametrize(
    ("model", "said"),
    [
        ("what", "band-pass noise 0.75, 28 px"),
        ("ram-mnist-28-seed0", "pixel noise 0, 28 px"),
        ("ram-translated-60-seed0", "pixel noise 0, 60 px"),
    ],
)
def test_any_classifier_is_mapped(trained, model, said, tmp_path, capsys):
    name = str(trained / "last.safetensors") if model == "what" else model
    out = tmp_path / "map"
    line = f"evaluate what-where --model {name} --n 20 --stride-px 9 --out {out}"
    assert cli.main(shlex.split(line)) == 0
    assert said in capsys.readouterr().out
    assert (out / "map.png").stat().st_size > 5000
    correct = open_dataset(out / "map.zarr")["correct"]
    assert correct.sizes == {"stimulus": 20, "y": 7, "x": 7}
    profile = pd.read_csv(out / "profile.csv")
    assert profile["accuracy"].iloc[0] == pytest.approx(float(correct.sel(y=0, x=0).mean()))
    assert (profile["low"] <= profile["accuracy"]).all()


def test_what_cannot_be_mapped_is_refused(capsys):
    assert cli.main(shlex.split("evaluate what-where --model mnist-2-seed0")) == 1
    assert "answers_by_offset" in capsys.readouterr().err
    assert cli.main(shlex.split("evaluate what-where --stride-px 30")) in (1, 2)
    assert "--reach-px" in capsys.readouterr().err


def test_a_folder_is_written_by_one_run_at_a_time(tmp_path, capsys):
    with ThreadPoolExecutor(1) as pool, claim(tmp_path / "map"):
        line = f"evaluate what-where --n 20 --stride-px 27 --out {tmp_path / 'map'}"
        assert pool.submit(cli.main, shlex.split(line)).result() == 1
    assert "map" in capsys.readouterr().err
    assert not (tmp_path / "map").exists()
