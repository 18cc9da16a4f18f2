"""Where a result comes from: hashes that mean something, records that read back."""

import dataclasses
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

import attnsci.provenance as module
from attnsci.provenance import (
    array_hash,
    from_json,
    git_commit,
    provenance,
    stable_hash,
    state_hash,
    to_json,
    versions,
)


@dataclasses.dataclass(frozen=True)
class Config:
    channels: tuple[int, ...] = (1, 20)
    slots: tuple[tuple[int, int], ...] | None = ((0, 1), (2, 3))
    strength: float = 0.2
    name: str = "x"


def test_json_is_canonical_and_comes_back():
    config = Config(strength=1 / 3)
    assert from_json(Config, to_json(config)) == config
    assert to_json({"b": 1, "a": (1, 2)}) == '{"a":[1,2],"b":1}'
    assert json.loads(
        to_json({"n": np.int64(3), "f": np.float32(0.5), "a": np.arange(2), "p": Path("q/r")})
    ) == {"n": 3, "f": 0.5, "a": [0, 1], "p": "q/r"}
    with pytest.raises(TypeError, match="no place in a configuration"):
        to_json({"model": torch.nn.Linear(1, 1)})


def test_the_hash_names_the_value():
    assert stable_hash(Config()) == stable_hash(Config(channels=(1, 20)))
    assert len({stable_hash(Config(strength=s)) for s in (0.1, 0.2, 0.3)}) == 3
    assert stable_hash({"a": 1, "b": 2}) == stable_hash({"b": 2, "a": 1})
    assert len(stable_hash(0)) == 16


def test_the_hash_is_the_same_in_another_process():
    code = (
        "from attnsci.provenance import stable_hash\n"
        "print(stable_hash({'b': (1, 2.5), 'a': ['x', None, True]}))"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == stable_hash({"a": ["x", None, True], "b": (1, 2.5)})


def test_array_hashes_see_values_shapes_and_dtypes():
    a = np.arange(6, dtype=np.float32)
    hashes = {
        array_hash(a),
        array_hash(a.reshape(2, 3)),
        array_hash(a.astype(np.float64)),
        array_hash(a + 1),
        array_hash(a, a),
    }
    assert len(hashes) == 5
    assert array_hash(a.reshape(2, 3).T) == array_hash(np.ascontiguousarray(a.reshape(2, 3).T))


def test_state_hashes_see_names_values_and_dtypes_but_not_layout():
    state = {"a": torch.arange(24.0).reshape(1, 2, 3, 4), "b": torch.tensor(True)}
    same = {"a": state["a"].contiguous(memory_format=torch.channels_last), "b": state["b"]}
    assert state_hash(same) == state_hash(state)
    others = [
        {"c": state["a"], "b": state["b"]},
        {"a": state["a"] + 1, "b": state["b"]},
        {"a": state["a"].half(), "b": state["b"]},
        {"a": state["a"].bfloat16(), "b": state["b"]},
        {"a": state["a"].reshape(24), "b": state["b"]},
    ]
    assert len({state_hash(other) for other in [state, *others]}) == 6


def test_a_record_holds_the_facts_and_where_they_came_from():
    record = provenance(model="m", config=Config(), seed=3)
    assert record["model"] == "m"
    assert record["seed"] == 3
    assert set(record) == {"model", "config", "seed", "versions", "commit", "command", "date"}
    assert record["versions"]["python"].startswith("3.")
    assert record["versions"]["torch"] == torch.__version__
    assert json.loads(to_json(record))["config"]["strength"] == 0.2


def test_a_package_that_is_not_there_is_said_so(monkeypatch):
    monkeypatch.setattr(module, "RECORDED_PACKAGES", ("no-such-package",))
    versions.cache_clear()
    assert versions()["no-such-package"] == "not installed"
    versions.cache_clear()


def test_the_commit_is_that_of_our_own_checkout(monkeypatch, tmp_path):
    commit = git_commit()
    assert commit == "" or len(commit.split("+")[0]) == 40
    # Inside somebody else's repository, or without git, there is no commit to name.
    monkeypatch.setattr(module, "__file__", str(tmp_path / "attnsci" / "provenance.py"))
    git_commit.cache_clear()
    assert git_commit() == ""
    monkeypatch.setenv("PATH", "")
    git_commit.cache_clear()
    assert git_commit() == ""
    git_commit.cache_clear()
