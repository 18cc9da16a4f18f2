"""The stranger's exercise: a fifth family in one folder, and one entry in the registry."""

import shlex
from pathlib import Path

import pandas as pd
import pytest

from attnsci import cli, load_model, reproduce
from attnsci.errors import UnknownName
from attnsci.families import registry

GLANCE = registry.Family(
    networks={"Glance": ("glance.network:Glance", "glance.network:GlanceConfig")},
    recipes={
        "glance": registry.Recipe("glance.recipes:PRESETS", "glance.objective:GlanceObjective")
    },
    commands={"evaluate": {"glance": "glance.commands:Evaluate"}},
    papers={"glance": "glance.paper:PAPER"},
)  # fmt: skip


@pytest.fixture
def glance(monkeypatch):
    monkeypatch.syspath_prepend(Path(__file__).parent)
    monkeypatch.setitem(registry.FAMILIES, "glance", GLANCE)


def run(line, capsys):
    code = cli.main(shlex.split(line))
    out, err = capsys.readouterr()
    return code, out, err


def test_it_is_trained_loaded_evaluated_listed_and_reproduced(glance, tmp_path, capsys):
    for verb in ("train", "evaluate"):
        assert "glance" in run(f"{verb} --help", capsys)[1]
    assert "--window-px INT" in run("train glance --help", capsys)[1]
    weights = []
    for preset in ("wide", "narrow"):
        out = tmp_path / preset
        line = f"train glance --preset {preset} --device cpu --precision 32-true --out {out}"
        code, text, _ = run(line, capsys)
        assert code == 0 and "Validation: accuracy" in text
        assert (out / "training.png").exists()
        weights.append(str(out / "best.safetensors"))
    assert load_model(weights[1]).model.config.window_px == 6
    code, text, _ = run(f"evaluate glance --model {weights[0]}", capsys)
    assert code == 0 and "test error (%)" in text
    (table,) = reproduce(["glance"], scale="quick", out=tmp_path / "results", weights=weights)
    results = pd.read_csv(table.with_suffix(".csv")).set_index("quantity")
    wide, narrow = (results.loc[f"test error (%), window of {px} px"] for px in (20, 6))
    assert wide["high"] < narrow["low"]
    assert wide["published"] == "a paper 12.5" and pd.isna(narrow["published"])
    assert (table.parent / "windows.png").exists() and (table.parent / "index.html").exists()


def test_without_the_entry_there_is_no_such_family(capsys):
    assert run("train glance", capsys)[0] == 2
    with pytest.raises(UnknownName, match="glance"):
        reproduce(["glance"])
