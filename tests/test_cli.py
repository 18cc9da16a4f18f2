import dataclasses
import json
import os
import re
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
import xarray as xr

import attnsci
from attnsci import cli
from attnsci.data.digits import load_mnist
from attnsci.errors import AttnsciError, DatasetNotFound
from attnsci.families.object_attention import commands
from attnsci.families.object_attention.network import ObjectAttention
from attnsci.families.object_attention.recipes import PRESETS, ObjectAttentionTraining
from attnsci.models.weights import load_weights, save_weights
from attnsci.recording import open_recording
from attnsci.training.configs import TrainerConfig

HEAVY = ("torch", "xarray", "pandas", "seaborn", "matplotlib", "scipy", "zarr", "dask")
ROOT = Path(__file__).parents[1]
COMMANDS = (
    "",
    "reproduce",
    "train",
    "train object-attention",
    "train ram",
    "train ram-dram",
    "train ram-catch",
    "train what-where",
    "train where",
    "train neva",
    "train neva-denoiser",
    "evaluate",
    "evaluate object-attention",
    "evaluate neva",
    "evaluate ram",
    "evaluate what-where",
    "record",
    "record object-attention",
    "compare",
    "gaze",
    "gaze info",
    "gaze convert",
    "gaze formats",
    "scanpath",
    "scanpath generate",
    "scanpath view",
    "scanpath plot",
    "scanpath returns",
    "scanpath metrics",
    "datasets",
    "datasets list",
    "datasets info",
    "datasets get",
    "datasets where",
    "datasets check",
    "datasets clear",
    "info",
)


def run(line, capsys):
    """Run a command line in this process; return its exit code, stdout and stderr."""
    code = cli.main(shlex.split(line))
    out, err = capsys.readouterr()
    return code, out, err


def settings(line):
    return cli.parse(shlex.split(line)).command.choice


@pytest.fixture(scope="session")
def weights(tmp_path_factory):
    """An untrained network saved as a training run saves it, unseen by the bundled test digits."""
    path = tmp_path_factory.mktemp("weights") / "net.safetensors"
    torch.manual_seed(0)
    model = ObjectAttention()
    data = load_mnist("train", "bundled").provenance()
    record = {"model": "ObjectAttention", "config": model.config, "data": data, "seed": 0}
    save_weights(path, model, record)
    return path


# --- help, versions, names ---------------------------------------------------------------------


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help(command, capsys):
    code, out, err = run(f"{command} --help", capsys)
    assert (code, err) == (0, "")
    assert f"usage: attnsci {command.removesuffix(' object-attention')}".rstrip() in out


def test_help_offers_choices_in_order_and_no_none(capsys):
    out = run("reproduce --help", capsys)[1]
    assert "[{object-attention,object-attention-coco,neva,ram,what-where}]" in out
    assert "--scale {quick,default,paper}" in out
    assert "None" not in out


def test_help_and_public_face_load_nothing_heavy():
    program = f"""
import io, sys, contextlib
import attnsci
from attnsci.cli import main
assert "DigitScenes" in dir(attnsci) and attnsci.__version__
for line in {COMMANDS!r}:
    with contextlib.redirect_stdout(io.StringIO()):
        assert main([*line.split(), "--help"]) == 0
print([name for name in {HEAVY!r} if name in sys.modules])
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert (done.stdout.strip(), done.stderr) == ("[]", "")


def test_every_public_name_is_there_and_documented():
    for name in attnsci.__all__:
        assert getattr(attnsci, name).__doc__, name
    with pytest.raises(AttributeError, match="nonsense"):
        _ = attnsci.nonsense


def test_module_and_script_are_the_same_command():
    done = subprocess.run(
        [sys.executable, "-m", "attnsci", "info"], capture_output=True, text=True, check=True
    )
    facts = dict(re.split(r"\s{2,}", line, maxsplit=1) for line in done.stdout.splitlines())
    assert facts["attnsci"] == attnsci.__version__
    assert facts["torch"] == torch.__version__
    assert "cpu" in facts["devices"]


# --- settings ----------------------------------------------------------------------------------


@pytest.mark.parametrize("preset", PRESETS)
def test_a_preset_gives_the_objects_of_the_api(preset):
    train = settings(f"train object-attention --preset {preset}")
    assert train.training == PRESETS[preset]
    assert (train.preset, train.epochs, train.precision) == (preset, 10, "32-true")
    assert train.trainer_settings == {
        "max_steps": None, "device": "auto", "devices": 1, "save_every": 200,
        "snapshot_every": None, "precision": "32-true",
    }  # fmt: skip


def test_every_field_is_a_flag_that_replaces_only_itself():
    other = {
        "n_objects": 4, "strength": 0.5, "reconstruction_weight": 7.0, "learning_rate": 0.5,
        "batch_size": 3, "noise": 0.1, "validation_fraction": 0.2, "validation_scenes": 9,
        "source": "bundled", "seed": 11, "epochs": 2, "max_steps": 5, "device": "cpu",
        "devices": 2, "precision": "64-true", "save_every": 17,
        "snapshot_every": 4,
    }  # fmt: skip
    fields = {field.name for cls in (ObjectAttentionTraining, TrainerConfig)
              for field in dataclasses.fields(cls)}  # fmt: skip
    assert fields == {*other, "equal_labels"}
    flags = " ".join(f"--{name.replace('_', '-')} {value}" for name, value in other.items())
    train = settings(f"train object-attention --preset=mnist-3 {flags} --no-equal-labels")
    asked = {**dataclasses.asdict(train.training), **train.trainer_settings, "epochs": train.epochs}
    assert asked == {**other, "equal_labels": False}
    one = settings("train object-attention --preset mnist-3 --seed 4")
    assert one.training == dataclasses.replace(PRESETS["mnist-3"], seed=4)


def test_a_run_has_a_folder_of_its_own_for_each_setting():
    lines = ["", "--seed 1", "--preset mnist-3", "--sweep", "--sweep --sweep.seeds 0 1"]
    folders = [settings(f"train object-attention {line}").folder for line in lines]
    assert len(set(folders)) == len(lines)
    assert all(folder.parts[0] == "runs" for folder in folders)
    assert folders[0].name.startswith("object-attention-mnist-2-")
    assert settings("train object-attention --seed 1").folder == folders[1]
    assert settings("train object-attention --out here").folder == Path("here")


def test_the_sweep_of_the_paper_is_the_default():
    train = settings("train object-attention --sweep")
    assert train.sweep_reconstruction_weights == (0, 10, 100, 1000, 10000)
    assert train.sweep_seeds == (0, 1, 2, 3, 4)
    other = settings(
        "train object-attention --sweep --sweep.reconstruction-weights 5 6 --workers 2"
    )
    assert (other.sweep_reconstruction_weights, other.workers) == ((5, 6), 2)


def test_the_table_of_flags_names_flags_that_exist(capsys):
    text = (ROOT / "docs" / "cli.md").read_text("utf-8")
    table = text.split("## Flags of the original scripts")[1]
    known = set()
    for command in COMMANDS:
        known |= set(re.findall(r"--[a-z][a-z.-]+", run(f"{command} --help", capsys)[1]))
    rows = [line for line in table.splitlines() if line.startswith("| `")]
    ours = {flag for row in rows for flag in re.findall(r"--[a-z][a-z.-]+", row.split("|")[3])}
    assert len(rows) > 15
    assert len(ours) > 8
    assert ours <= known


# --- mistakes ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("line", "code", "message"),
    [
        ("", 2, "Missing subcommand"),
        ("train object-attention --epoch 3", 2, "--epochs"),
        ("train object-attention --preset mnist-9", 2, "'mnist-2', 'mnist-3'"),
        ("train object-attention --source neither", 2, "'full', 'bundled'"),
        ("train object-attention --batch-size many", 2, "--batch-size"),
        ("evaluate object-attention", 2, "--model"),
        ("reproduce another-paper", 2, "object-attention"),
        ("train object-attention --batch-size 0", 1, "batch_size must be a whole number above 0"),
        ("train object-attention --strength 0.2 --device mps", 1, "device 'mps' is not there"),
        ("evaluate object-attention --model mnist-2-seed99", 1, "No shipped model is called"),
        ("evaluate object-attention --model gone.safetensors", 1, "There are no weights at gone"),
        ("evaluate object-attention --model gone.pt", 1, "There is no checkpoint at gone.pt"),
        ("evaluate object-attention --model {weights} --n 1001", 1, "make 1000 scenes"),
        ("evaluate object-attention --model {weights} --n 0", 2, "n must be a whole number above"),
        ("evaluate object-attention --model {weights} --noise 2", 1, "noise must lie between"),
        ("evaluate object-attention --model {weights} --n 2 --gates-off 3", 1, "names level 3"),
        ("record object-attention --model {weights} --layers readout", 1, "--out FILE.zarr"),
        ("record object-attention --model {weights} --n 2 --layers levels.0.gat --out {out}", 1,
         "Nearest: 'levels.0.gate'"),
        ("datasets info mnits", 1, "'mnist'"),
        ("datasets get mnist-bundled", 1, "nothing to download"),
        ("datasets clear mnist-bundled", 1, "nothing to clear"),
    ],
)  # fmt: skip
def test_a_mistake_gives_one_message_and_no_traceback(
    line, code, message, capsys, weights, tmp_path, monkeypatch
):
    if "mps" in line and torch.backends.mps.is_available():
        pytest.skip("this machine has it")
    monkeypatch.chdir(tmp_path)
    got, out, err = run(line.format(weights=weights, out=tmp_path / "r.zarr"), capsys)
    assert (got, out) == (code, "")
    assert message in " ".join(err.replace("│", " ").split())
    assert "Traceback" not in err
    if code == 1:
        assert err.startswith("attnsci: error: ")
    assert not list(tmp_path.iterdir())


def test_networks_of_another_family_are_refused(capsys):
    code, _, err = run("evaluate object-attention --model dncnn-foveated", capsys)
    assert code == 1 and "is a DnCNN" in err


def test_weights_of_another_shape_are_refused(tmp_path, capsys):
    from attnsci.families.object_attention.config import ObjectAttentionConfig

    model = ObjectAttention(ObjectAttentionConfig(width=50))
    save_weights(tmp_path / "w.safetensors", model, {"model": "ObjectAttention",
                                                     "config": model.config})  # fmt: skip
    code, _, err = run(f"evaluate object-attention --model {tmp_path}/w.safetensors", capsys)
    assert code == 1
    assert "reads images of 1×28×50; scenes of 2 digits are 1×28×42" in err


def test_debug_shows_the_traceback_wherever_it_stands(capsys):
    for line in ("--debug datasets info mnits", "datasets info mnits --debug"):
        code, _, err = run(line, capsys)
        assert code == 1
        assert err.startswith("Traceback")
        assert err.rstrip().splitlines()[-1].startswith("attnsci: error: No data set is called")


def test_a_reader_that_leaves_early_is_no_error():
    done = subprocess.run(
        f"{shlex.quote(sys.executable)} -u -m attnsci datasets list | head -n 1",
        shell=True, capture_output=True, text=True,
    )  # fmt: skip
    assert "licence" in done.stdout
    assert done.stderr == ""


# --- reproduce ---------------------------------------------------------------------------------


def test_reproduce_hands_on_what_was_asked(monkeypatch, capsys, tmp_path):
    from attnsci import reproduction as module

    asked = []

    def reproduce(**arguments):
        asked.append(arguments)
        return [tmp_path / "results.md"]

    monkeypatch.setattr(module, "reproduce", reproduce)
    (tmp_path / "results.md").write_text("| published | ours |", encoding="utf-8")
    code, out, err = run("reproduce --device cpu", capsys)
    assert (code, err) == (0, "")
    assert out == f"| published | ours |\nFigures, numbers and recordings: {tmp_path}\n"
    run(f"reproduce object-attention --scale paper --source full --weights a b.safetensors "
        f"--train --seed 3 --device cpu --out {tmp_path} --images photographs "
        "--annotations objects.json", capsys)  # fmt: skip
    assert asked[0] == {
        "papers": None, "scale": None, "out": Path("results"), "seed": 0, "device": "cpu",
        "source": None, "weights": (), "train": False,
        "images": None, "annotations": None,
    }  # fmt: skip
    assert asked[1] == {
        "papers": ["object-attention"], "scale": "paper", "out": tmp_path, "seed": 3,
        "device": "cpu", "source": "full", "weights": ("a", "b.safetensors"), "train": True,
        "images": Path("photographs"), "annotations": Path("objects.json"),
    }  # fmt: skip


# --- train -------------------------------------------------------------------------------------

TINY = "--source bundled --batch-size 8 --validation-scenes 16 --device cpu --max-steps 2"


def test_train_says_what_came_out_and_resumes(tmp_path, capsys):
    line = f"train object-attention {TINY} --seed 5 --out {tmp_path}"
    code, out, _ = run(line, capsys)
    assert code == 0
    assert re.match(r"Validation: accuracy 0\.\d{4} \(n = 16\), best of 1\.\n", out)
    _, record = load_weights(tmp_path / "best.safetensors")
    assert (record["seed"], record["training"]["batch_size"]) == (5, 8)
    assert run(line, capsys)[1] == out
    longer = line.replace("--max-steps 2", "--max-steps 3")
    assert run(longer, capsys)[0] == 0
    assert pd.read_parquet(tmp_path / "metrics.parquet")["step"].max() == 2
    code, _, err = run(longer.replace("--seed 5", "--seed 6"), capsys)
    assert code == 1
    assert "holds a run with other settings" in err


def test_sweep_prints_its_table(tmp_path, capsys, monkeypatch):
    from attnsci.training import sweep

    seen = {}

    def run_sweep(objective, configs, trainer, out, workers):
        seen.update(configs=configs, trainer=trainer, out=out, workers=workers)
        return pd.DataFrame(
            {"reconstruction_weight": [5.0], "seed": [1], "validation_accuracy": [0.5],
             "training_accuracy": [0.25], "steps": [7]}
        )  # fmt: skip

    monkeypatch.setattr(sweep, "run_sweep", run_sweep)
    code, out, _ = run(
        f"train object-attention {TINY} --sweep --sweep.reconstruction-weights 5 --sweep.seeds 1 2 "
        f"--workers 2 --out {tmp_path}",
        capsys,
    )
    assert code == 0
    assert [(c.reconstruction_weight, c.seed) for c in seen["configs"]] == [(5, 1), (5, 2)]
    assert (seen["trainer"].max_steps, seen["out"], seen["workers"]) == (2, tmp_path, 2)
    assert "0.25" in out
    assert str(tmp_path / "sweep.csv") in out
    monkeypatch.setattr(os, "cpu_count", lambda: 2)
    for workers, warned in ((2, False), (4, True)):
        line = f"train object-attention {TINY} --sweep --workers {workers} --out {tmp_path}"
        err = run(line, capsys)[2]
        assert ("4 workers share 2 cores" in err) is warned


@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix", reason="signals as POSIX has them")
def test_ctrl_c_saves_and_exits_130(tmp_path):
    command = [sys.executable, "-m", "attnsci", "train", "object-attention"]
    command += ["--source", "bundled", "--batch-size", "8", "--save-every", "1"]
    command += ["--device", "cpu", "--out", str(tmp_path)]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 120
    while not (tmp_path / "last.ckpt").exists() and time.monotonic() < deadline:
        time.sleep(0.2)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130, errors
    assert errors.splitlines()[-1].startswith("attnsci: stopped; the same command goes on")
    assert "Traceback" not in errors


def test_ctrl_c_elsewhere_is_one_line(monkeypatch, capsys):
    def interrupt(_):
        raise KeyboardInterrupt

    monkeypatch.setattr(cli.Info, "run", interrupt)
    assert run("info", capsys) == (130, "", "attnsci: interrupted\n")


# --- evaluate and record -----------------------------------------------------------------------


def test_an_evaluation_holds_its_folder(weights, tmp_path, capsys):
    held = "import sys, time; from attnsci.files import claim\n"
    held += "with claim(sys.argv[1]): print('held', flush=True); time.sleep(60)"
    other = subprocess.Popen(
        [sys.executable, "-c", held, str(tmp_path / "out")], stdout=subprocess.PIPE, text=True
    )
    try:
        assert other.stdout.readline() == "held\n"
        line = f"evaluate object-attention --model {weights} --n 2 --out {tmp_path / 'out'}"
        code, _, err = run(line, capsys)
        assert code == 1 and str(other.pid) in err
    finally:
        other.kill()
        other.communicate()


def test_evaluate_prints_and_writes_numbers_with_n_and_interval(weights, tmp_path, capsys):
    line = f"evaluate object-attention --model {weights} --n 20 --device cpu --out {tmp_path}"
    code, out, err = run(line, capsys)
    assert code == 0
    assert "warning" not in err
    assert "20 scenes of bundled test digits (unseen)" in out
    summary = pd.read_csv(tmp_path / "summary.csv")
    whole = summary[(summary["measure"] == "accuracy") & (summary["phase"] == 0)].iloc[0]
    assert whole["n"] == 20
    assert whole["low"] <= whole["estimate"] <= whole["high"]
    assert set(summary["digits"]) == {"unseen"}
    with xr.open_zarr(tmp_path / "scenes.zarr", consolidated=False) as stored:
        shown = stored.load()
    right = shown["prediction"] == shown["label"].isel(object=shown["attended"])
    assert float(right.mean()) == pytest.approx(whole["estimate"])
    facts = json.loads(shown.attrs["provenance"])
    assert facts["stimuli"]["digits"]["checksum"] == load_mnist("test").checksum
    assert facts["interventions"] == {
        "n_steps": 5, "strength": None, "threshold": 0.5, "inhibition": True, "gates_off": [],
    }  # fmt: skip
    assert pd.read_csv(tmp_path / "order.csv")["n"].tolist() == [20, 20]


def test_few_scenes_cover_all_classes(weights, tmp_path, capsys):
    asked = commands.Evaluate(model=str(weights), n=10, device="cpu")
    _, scenes = asked.load()
    batches = list(scenes.batches(8, asked.n))
    index = np.concatenate([batch.metadata["index"].numpy() for batch in batches])
    assert sorted(scenes.digits.labels[index]) == list(range(10))


def test_interventions_reach_the_network(weights, monkeypatch, capsys):
    from attnsci.families.object_attention import measure

    asked = {}

    def show(model, batches, progress, **interventions):
        asked.update(interventions, images=[batch.image for batch in batches])
        raise AttnsciError("enough")

    monkeypatch.setattr(measure, "show_scenes", show)
    line = f"evaluate object-attention --model {weights} --n 70 --noise 0 --n-steps 3 "
    run(line + "--strength 0.1 --threshold 0.2 --no-inhibition --gates-off 1 2 --seed 4", capsys)
    images = asked.pop("images")
    assert [len(image) for image in images] == [64, 6]
    assert asked == {
        "n_steps": 3, "strength": 0.1, "threshold": 0.2, "inhibition": False, "gates_off": (1, 2),
    }  # fmt: skip
    assert float((images[0] == 0).float().mean()) > 0.5


def test_weights_that_saw_the_digits_are_marked(tmp_path, capsys):
    model = ObjectAttention()
    data = {"data": {"n_bundled_test": 1000}, "model": "ObjectAttention", "config": model.config}
    save_weights(tmp_path / "w.safetensors", model, data)
    code, out, err = run(
        f"evaluate object-attention --model {tmp_path}/w.safetensors --n 10 --out {tmp_path}/e",
        capsys,
    )
    assert code == 0
    assert "warning: the bundled test digits were seen in training" in err
    assert "(seen in training)" in out
    assert set(pd.read_csv(tmp_path / "e" / "summary.csv")["digits"]) == {"seen in training"}


@pytest.mark.data
def test_a_published_checkpoint_can_be_evaluated(data_root, capsys):
    path = data_root / "object-attention" / "paper_mnist_model.pt"
    code, out, err = run(f"evaluate object-attention --model {path} --n 60", capsys)
    assert code == 0
    assert "perhaps seen in training" in err
    attended_first = [line.split() for line in out.splitlines() if line.split()[:1] == ["1"]]
    assert float(attended_first[-1][1]) == 1  # always the right one
    code, _, err = run(f"evaluate object-attention --model {path.with_name('paper_coco_model.pt')}",
                       capsys)  # fmt: skip
    assert code == 1
    assert "reads images of 3×100×100" in err


def test_record_lists_layers_and_keeps_phase_and_step(weights, tmp_path, capsys):
    code, out, _ = run(f"record object-attention --model {weights}", capsys)
    assert code == 0
    assert out.split()[:2] == ["levels.0.gated", "levels.0.conv"]
    assert "levels.1.gate" in out.split()
    assert "levels.0" not in out.split()
    store = tmp_path / "run.zarr"
    line = f"record object-attention --model {weights} --n 6 --device cpu --out {store} --layers "
    code, out, _ = run(line + "'levels.*.gate' levels.0.activation", capsys)
    assert code == 0
    assert str(store) in out
    recording = open_recording(store)
    gate = recording["levels.0.gate"]
    assert gate.sizes["time"] == 10
    assert gate["phase"].values.tolist() == [1] * 5 + [2] * 5
    assert gate["step"].values.tolist() == [1, 2, 3, 4, 5] * 2
    assert {"label_0", "label_1", "digit_0", "index"} <= set(gate.coords)
    assert recording.provenance["stimuli"]["seed"] == [0]
    asked = commands.Record(model=str(weights), n=6, device="cpu")
    pretrained, scenes = asked.load()
    (batch,) = scenes.batches(64, asked.n)
    trajectory = pretrained.model.run(batch.image)
    # The published gate of a phase is that of its fourth forward pass.
    published = gate.isel(time=[3, 8]).values
    np.testing.assert_allclose(published, trajectory.gates[0].detach().numpy(), atol=1e-6)
    assert run(line + "'levels.*.gate' levels.0.activation", capsys)[0] == 0  # nothing left to do
    code, _, err = run(line + "readout", capsys)
    assert code == 1
    assert "Traceback" not in err


# --- datasets ----------------------------------------------------------------------------------


def test_datasets_list_info_and_where(capsys):
    code, out, _ = run("datasets list", capsys)
    assert code == 0
    assert "mnist-bundled" in out
    assert run("datasets info mnist-bundled", capsys)[1].startswith("mnist-bundled: ")
    where = run("datasets where mnist-bundled", capsys)[1].strip()
    assert Path(where).is_file()


def test_datasets_where_without_the_files(capsys, monkeypatch, tmp_path):
    monkeypatch.delenv("ATTNSCI_DATA", raising=False)
    monkeypatch.setenv("ATTNSCI_CACHE", str(tmp_path))
    code, _, err = run("datasets where mnist", capsys)
    assert code == 1
    assert "attnsci datasets get mnist" in err
    assert issubclass(DatasetNotFound, AttnsciError)


@pytest.mark.parametrize(("status", "expected"), [("ok", 0), ("absent", 0), ("differs", 1)])
def test_check_fails_where_a_file_differs(status, expected, capsys, monkeypatch):
    row = {"name": "mnist", "file": "a", "status": status, "path": "p", "detail": ""}
    monkeypatch.setattr("attnsci.data.check", lambda: pd.DataFrame([row]))
    code, out, _ = run("datasets check", capsys)
    assert code == expected
    assert status in out


def test_get_and_clear_go_to_the_library(capsys, monkeypatch):
    got = "got {} {} {}".format
    monkeypatch.setattr("attnsci.data.get", lambda name, force, accept: got(name, force, accept))
    monkeypatch.setattr("attnsci.data.clear", lambda name: f"cleared {name}")
    assert run("datasets get mnist --force", capsys) == (0, "got mnist True False\n", "")
    accepted = run("datasets get coco-2017-val --accept", capsys)
    assert accepted == (0, "got coco-2017-val False True\n", "")
    assert run("datasets clear mnist", capsys) == (0, "cleared mnist\n", "")


# --- what the project promises -----------------------------------------------------------------


def test_constraints_pin_every_dependency_within_its_range():
    import tomllib

    from packaging.requirements import Requirement

    pins = {}
    for line in (ROOT / "constraints.txt").read_text().splitlines():
        if line and not line.startswith("#"):
            name, version = line.split("==")
            pins[name.lower().replace("_", "-")] = version
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    wanted = [*project["dependencies"]]
    for extra in project["optional-dependencies"].values():
        wanted += [item for item in extra if not item.startswith("attnsci[")]
    for item in map(Requirement, wanted):
        assert item.specifier.contains(pins[item.name.lower().replace("_", "-")]), str(item)
    assert (pins["torch"], pins["torchvision"]) == ("2.13.0", "0.28.0")
    assert not [name for name in pins if name.startswith(("nvidia", "cuda", "triton"))]


def test_readme_names_the_two_commands():
    text = (ROOT / "README.md").read_text("utf-8")
    assert "pip install -e . -c constraints.txt && attnsci reproduce" in text
    assert 'pip install -e ".[test]" -c constraints.txt && pytest' in text
    for target in re.findall(r"\]\((?!http)([^)#]+)\)", text):
        assert (ROOT / target).exists(), target


@pytest.mark.parametrize("seed", ["-1", str(2**63)])
@pytest.mark.parametrize("command", [["reproduce", "ram"], ["train", "ram"], ["train", "where"]])
def test_a_seed_out_of_range_is_an_error_of_ours(command, seed, capsys):
    assert cli.main([*command, "--seed", seed]) == 1
    lines = capsys.readouterr().err.splitlines()
    assert lines == [
        f"attnsci: error: seed must be a whole number from 0 to 2**63 - 1; got {seed}."
    ]


@pytest.mark.parametrize("value", ["nan", "inf", "1e400"])
def test_numbers_that_are_not_finite_are_refused(value, capsys):
    assert cli.main(["scanpath", "generate", "x.png", "--retention", value]) == 1
    assert "retention must be a finite number" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("error", "status", "said"),
    [
        (ZeroDivisionError("oh"), 70, "a bug in attnsci .*: ZeroDivisionError: oh. Please report"),
        (MemoryError(), 1, "more memory than there is"),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory: 9"), 1, "more memory than"),
    ],
)
def test_the_unexpected_is_one_line(error, status, said, monkeypatch, capsys):
    def fail(self):
        raise error

    monkeypatch.setattr("attnsci.cli.Info.run", fail)
    assert cli.main(["info"]) == status
    (line,) = capsys.readouterr().err.splitlines()
    assert re.match(f"attnsci: error: .*{said}", line)
