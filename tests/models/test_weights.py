"""Weights on disk: what was saved is what is loaded, or a clear error with nothing lost."""

import dataclasses
import json
import math
from pathlib import Path

import pytest
import safetensors
import safetensors.torch
import torch

from attnsci.errors import CheckpointError, StorageError
from attnsci.families.object_attention.config import ObjectAttentionConfig
from attnsci.families.object_attention.network import ObjectAttention
from attnsci.models.weights import load_weights, save_weights
from attnsci.provenance import from_json, state_hash, to_json

CONFIG = ObjectAttentionConfig(channels=(1, 3, 4), height=14, width=17, n_classes=3)


@pytest.fixture
def model():
    torch.manual_seed(0)
    return ObjectAttention(CONFIG)


def test_weights_and_record_come_back_the_same(tmp_path, model):
    path = tmp_path / "deep" / "er" / "model.safetensors"
    save_weights(path, model, {"config": CONFIG, "seed": 3, "where": Path("a"), "score": 0.5})
    state, record = load_weights(path)
    assert list(tmp_path.rglob("*.safetensors")) == [path]
    assert {k: v.dtype for k, v in state.items()} == dict.fromkeys(state, torch.float32)
    assert record["seed"] == 3
    assert record["where"] == "a"
    assert from_json(ObjectAttentionConfig, to_json(record["config"])) == CONFIG
    other = ObjectAttention(CONFIG)
    other.load_state_dict(state)
    assert state_hash(other.state_dict()) == state_hash(model.state_dict())
    images = torch.rand(2, 1, 14, 17)
    assert torch.equal(model.run(images).logits, other.run(images).logits)


def test_whole_numbers_on_disk_are_within_half_a_unit(tmp_path):
    torch.manual_seed(0)
    model = torch.nn.Sequential(torch.nn.Conv2d(3, 5, 3), torch.nn.BatchNorm2d(5))
    with torch.no_grad():
        model[0].weight[2] = 0
        model[0].weight[1] *= 100
        model[1].num_batches_tracked.fill_(8001)  # half precision has no such number
    path = tmp_path / "small.safetensors"
    save_weights(path, model, {}, torch.int8)
    stored = safetensors.torch.load_file(path)
    assert stored["0.weight"].dtype == torch.int8
    assert stored["0.bias"].dtype == torch.float16
    state, _ = load_weights(path)
    assert set(state) == set(model.state_dict())
    off = (state["0.weight"] - model[0].weight).abs().flatten(1)
    unit = model[0].weight.abs().flatten(1).amax(1) / 127
    assert (off <= unit[:, None] * 0.501).all()
    assert off.max() > 0
    assert state["1.num_batches_tracked"] == 8001


def test_half_precision_on_disk_is_float32_in_memory(tmp_path, model):
    full, half = tmp_path / "full.safetensors", tmp_path / "half.safetensors"
    save_weights(full, model, {})
    save_weights(half, model, {}, dtype=torch.float16)
    assert half.stat().st_size < 0.75 * full.stat().st_size
    state, record = load_weights(half)
    assert record == {}
    for name, value in model.state_dict().items():
        assert state[name].dtype == torch.float32
        assert torch.equal(state[name], value.half().float())


def test_a_foreign_file_has_an_empty_record(tmp_path):
    path = tmp_path / "theirs.safetensors"
    safetensors.torch.save_file({"a": torch.arange(3.0)}, path)
    state, record = load_weights(path)
    assert record == {}
    assert state["a"].tolist() == [0, 1, 2]


def test_saving_again_replaces_the_whole_file(tmp_path, model):
    path = tmp_path / "model.safetensors"
    save_weights(path, model, {"epoch": 1})
    with torch.no_grad():
        model.readout.bias.fill_(math.pi)
    save_weights(path, model, {"epoch": 2})
    state, record = load_weights(path)
    assert record == {"epoch": 2}
    assert state["readout.bias"].tolist() == pytest.approx([math.pi] * 3)
    assert [p.name for p in tmp_path.iterdir()] == ["model.safetensors"]


@pytest.mark.parametrize("kept", [0, 4, 40, 0.5, 0.99, -1])
def test_a_truncated_file_is_an_error_that_names_it(tmp_path, model, kept):
    path = tmp_path / "model.safetensors"
    save_weights(path, model, {"seed": 0})
    whole = path.read_bytes()
    path.write_bytes(whole[: int(kept * len(whole)) if isinstance(kept, float) else kept])
    with pytest.raises(CheckpointError, match=r"model\.safetensors is damaged"):
        load_weights(path)


def test_a_pickle_a_folder_and_nothing_are_refused(tmp_path, model):
    path = tmp_path / "model.safetensors"
    torch.save(model.state_dict(), path)
    with pytest.raises(CheckpointError, match="no safetensors file"):
        load_weights(path)
    for missing in (tmp_path, tmp_path / "none.safetensors"):
        with pytest.raises(CheckpointError, match="There are no weights at"):
            load_weights(missing)


def test_a_record_that_is_no_json_is_damage(tmp_path):
    path = tmp_path / "model.safetensors"
    safetensors.torch.save_file({"a": torch.zeros(1)}, path, metadata={"attnsci": "{"})
    with pytest.raises(CheckpointError, match="damaged"):
        load_weights(path)


def test_a_full_disk_keeps_the_old_weights(tmp_path, model, monkeypatch):
    path = tmp_path / "model.safetensors"
    save_weights(path, model, {"epoch": 1})
    before = path.read_bytes()

    def full(self, content):
        with self.open("wb") as file:
            file.write(content[:100])
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(StorageError, match="No space left on device"):
        save_weights(path, model, {"epoch": 2})
    monkeypatch.undo()
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["model.safetensors"]


def test_what_json_cannot_hold_is_refused_before_anything_is_written(tmp_path, model):
    with pytest.raises(TypeError, match="no place in a configuration"):
        save_weights(tmp_path / "model.safetensors", model, {"model": model})
    assert list(tmp_path.iterdir()) == []


def test_every_preset_of_the_network_survives_json():
    for config in (CONFIG, ObjectAttentionConfig(), dataclasses.replace(CONFIG, strength=0.0)):
        assert from_json(ObjectAttentionConfig, json.dumps(json.loads(to_json(config)))) == config


@pytest.mark.parametrize(
    ("record", "message"),
    [
        ("[1]", "must be a JSON object, and is a list"),
        ("7", "must be a JSON object, and is a int"),
        ("[" * 100_000, "damaged"),
        ("{", "damaged"),
    ],
)
def test_a_false_record_is_an_error_of_ours(tmp_path, record, message):
    path = tmp_path / "x.safetensors"
    safetensors.torch.save_file({"w": torch.ones(2)}, path, metadata={"attnsci": record})
    with pytest.raises(CheckpointError, match=message):
        load_weights(path)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_weights_that_are_not_finite_are_refused(tmp_path, value):
    path = tmp_path / "x.safetensors"
    safetensors.torch.save_file({"w": torch.tensor([1.0, value])}, path)
    with pytest.raises(CheckpointError, match="w holds weights that are not finite"):
        load_weights(path)


@pytest.mark.parametrize("dtype", [None, torch.float16, torch.bfloat16, torch.int8])
def test_weights_and_records_that_were_altered_are_refused(tmp_path, dtype):
    path = tmp_path / "x.safetensors"
    network = torch.nn.Sequential(torch.nn.Linear(4, 3), torch.nn.BatchNorm1d(3))
    save_weights(path, network, {"seed": 3}, dtype)
    state, record = load_weights(path)
    assert state["0.weight"].shape == (3, 4) and record == {"seed": 3}
    content = path.read_bytes()
    # A weight, the record, the digest, and the name under which both stand.
    places = [len(content) - 2, content.index(b"seed"), content.index(b"\\n") + 9]
    for place in (*places, content.index(b"attnsci")):
        changed = bytearray(content)
        changed[place] ^= 1
        path.write_bytes(changed)
        with pytest.raises(CheckpointError, match="its content is not what was saved"):
            load_weights(path)


def test_weights_without_a_digest_are_read(tmp_path):
    path = tmp_path / "x.safetensors"
    save_weights(path, torch.nn.Linear(2, 2), {"seed": 3})
    with safetensors.safe_open(path, framework="pt") as file:
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        metadata = {"attnsci": file.metadata()["attnsci"].splitlines()[0]}
    safetensors.torch.save_file(tensors, path, metadata)
    assert load_weights(path)[1] == {"seed": 3}
