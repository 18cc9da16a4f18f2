"""The shipped weights say what they are, load, and fit in the package."""

import dataclasses
import json
import re

import pytest
import torch

from attnsci.data.digits import load_mnist
from attnsci.errors import CheckpointError, UnknownName
from attnsci.families import zoo
from attnsci.families.object_attention.coco_recipes import PRESETS
from attnsci.families.object_attention.config import ObjectAttentionConfig
from attnsci.families.object_attention.network import ObjectAttention
from attnsci.families.object_attention.recipes import ObjectAttentionTraining
from attnsci.families.registry import entries, load
from attnsci.families.zoo import PRETRAINED, load_model, pretrained_names
from attnsci.models.weights import save_weights

LARGEST_TOTAL = 40 * 2**20


def names_of(family):
    """Return the shipped weights of one kind of network."""
    return [name for name in pretrained_names() if load_model(name).record["model"] == family]


GATED = names_of("ObjectAttention")
PHOTOGRAPHS = [name for name in GATED if name.startswith("coco-")]
DIGITS = [name for name in GATED if name not in PHOTOGRAPHS]


def test_names_are_those_of_the_files():
    assert pretrained_names() == tuple(sorted(pretrained_names()))
    files = {path.name for path in PRETRAINED.iterdir()}
    assert files == {f"{name}.safetensors" for name in pretrained_names()}


def test_all_weights_together_stay_small():
    assert sum(path.stat().st_size for path in PRETRAINED.iterdir()) <= LARGEST_TOTAL


def test_three_pairs_one_triple_and_the_sweep_are_shipped():
    names = set(pretrained_names())
    assert names >= {"mnist-2-seed0", "mnist-2-seed1", "mnist-2-seed2", "mnist-3-seed0"}
    weights = {name.split("-")[1] for name in names if name.startswith("phi-")}
    assert weights == {"0", "10", "100", "1000", "10000"}


def test_the_best_network_for_pairs_validates_as_published():
    accuracies = [
        load_model(name).record["metrics"]["accuracy"]
        for name in pretrained_names()
        if name.startswith("mnist-2-")
    ]
    assert max(accuracies) >= 0.976


@pytest.mark.parametrize("name", GATED)
def test_shipped_weights_load_and_run(name):
    network = load_model(name)
    model = network.model
    assert not model.training
    parameters = list(model.parameters())
    assert all(parameter.dtype == torch.float32 for parameter in parameters)
    assert all(torch.isfinite(parameter).all() for parameter in parameters)
    config = model.config
    with torch.no_grad():
        logits = model(torch.rand(2, config.channels[0], config.height, config.width))
    assert logits.shape == (2, config.n_phases, config.n_classes)
    assert torch.isfinite(logits).all()


@pytest.mark.parametrize("name", DIGITS)
def test_shipped_weights_say_how_they_were_made(name):
    record = load_model(name).record
    fields = {field.name for field in dataclasses.fields(ObjectAttentionConfig)}
    assert set(record["config"]) == fields
    training = record["training"]
    assert set(training) == {field.name for field in dataclasses.fields(ObjectAttentionTraining)}
    assert training["n_objects"] == record["config"]["n_phases"]
    assert training["strength"] == record["config"]["strength"]
    assert training["seed"] == record["seed"]
    kind, detail, seed = name.split("-")
    assert seed == f"seed{record['seed']}"
    if kind == "mnist":
        assert int(detail) == training["n_objects"]
        assert training["reconstruction_weight"] == 1000
    else:
        assert float(detail) == training["reconstruction_weight"]
        assert training["n_objects"] == 2
    metrics = record["metrics"]
    assert metrics["split"] == "validation"
    assert metrics["n"] >= 100
    assert metrics["step"] > 0
    assert 0 <= metrics["accuracy"] <= 1
    assert {"python", "torch", "numpy", "attnsci"} <= set(record["versions"])
    assert re.fullmatch(r"[0-9a-f]{40}(\+dirty)?|", record["commit"])


@pytest.mark.parametrize("name", DIGITS)
def test_shipped_weights_never_saw_a_bundled_test_digit(name):
    record = load_model(name).record
    for part in ("data", "validation_data"):
        data = record[part]
        assert data["n_bundled_test"] == 0
        assert data["split"] == "train"
        assert re.fullmatch("[0-9a-f]{64}", data["checksum"])
        assert data["n"] > 0
        if data["source"] == "bundled":
            assert data["checksum"] == load_mnist("train").checksum
    assert record["data"]["index_hash"] != record["validation_data"]["index_hash"]


def test_three_networks_for_photographs_differ_in_their_seed_alone():
    assert [f"coco-small-seed{seed}" for seed in range(3)] == PHOTOGRAPHS
    records = [load_model(name).record for name in PHOTOGRAPHS]
    for seed, record in enumerate(records):
        recipe = dataclasses.replace(PRESETS["coco-small"], seed=seed)
        assert record["training"] == dataclasses.asdict(recipe)
        assert record["data"]["split"] == ["train"]
        assert record["validation_data"]["split"] == ["val"]
        assert record["data"]["index_hash"] == records[0]["data"]["index_hash"]
        assert record["data"]["n"] == 219 and len(record["curve"]) == recipe.epochs
        assert "--preset coco-small" in record["command"]
        for test in record["test"]:
            assert test["split"] == "test" and test["n"] in (16, 53)
            assert 0 < test["balanced_accuracy"] < 1
            # Whole numbers on disk cost an answer or two.
            gap = test["accuracy"] - test["accuracy_float32"]
            assert abs(gap) * 2 * test["n"] <= 4.01


@pytest.mark.parametrize("name", pretrained_names())
def test_shipped_weights_name_no_folder_of_the_machine_that_made_them(name):
    absolute = re.compile(r"(?<![\w.:/])/\w|\b[A-Za-z]:\\")
    record = load_model(name).record
    licences = {"citation", "licence"}
    texts = json.dumps({key: value for key, value in record.items() if key not in licences})
    assert not absolute.search(texts), absolute.search(texts)


@pytest.mark.parametrize("name", pretrained_names())
def test_every_shipped_network_is_of_a_family_and_ready_to_use(name):
    network = load_model(name)
    model_class, config_class = map(load, entries("networks")[network.record["model"]])
    assert type(network.model) is model_class
    assert type(network.model.config) is config_class
    assert not any(module.training for module in network.model.modules())
    assert {"config", "training", "data", "seed", "metrics", "versions"} <= set(network.record)


def test_every_family_is_built_from_its_configuration_alone():
    for model_class, config_class in (map(load, places) for places in entries("networks").values()):
        assert model_class(config_class()).config == config_class()


def test_loading_leaves_the_global_generator_alone():
    before = torch.random.get_rng_state()
    load_model("mnist-2-seed0")
    assert torch.equal(torch.random.get_rng_state(), before)


def test_unknown_names_list_the_nearest():
    with pytest.raises(UnknownName, match="No shipped model is called 'mnist-2-sed0'") as caught:
        load_model("mnist-2-sed0")
    assert "'mnist-2-seed0'" in str(caught.value)


def test_weights_of_ones_own_load_by_path(tmp_path):
    torch.manual_seed(0)
    model = ObjectAttention(ObjectAttentionConfig(channels=(1, 4, 6), n_phases=3, width=56))
    path = tmp_path / "own.safetensors"
    record = {"model": "ObjectAttention", "config": model.config, "seed": 7}
    save_weights(path, model, record)
    loaded = load_model(path)
    assert loaded.model.config == model.config
    assert loaded.record["seed"] == 7
    for name, value in model.state_dict().items():
        assert torch.equal(loaded.model.state_dict()[name], value)
    assert load_model(str(path)).model.config == model.config


def test_absent_damaged_and_foreign_files_are_checkpoint_errors(tmp_path):
    with pytest.raises(CheckpointError, match=r"no weights at .*absent\.safetensors"):
        load_model(tmp_path / "absent.safetensors")
    path = tmp_path / "own.safetensors"
    model = ObjectAttention(ObjectAttentionConfig(channels=(1, 4, 6)))
    save_weights(path, model, {"model": "ObjectAttention", "config": model.config})
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(CheckpointError, match="damaged"):
        load_model(path)
    save_weights(path, torch.nn.Linear(2, 2), {})
    with pytest.raises(CheckpointError, match="does not say that it holds an ObjectAttention"):
        load_model(path)
    save_weights(path, torch.nn.Linear(2, 2), {"model": "Linear"})
    with pytest.raises(CheckpointError, match="WhereNet network; it says 'Linear'"):
        load_model(path)


def test_weights_that_do_not_fit_their_configuration_are_refused(tmp_path):
    path = tmp_path / "own.safetensors"
    model = ObjectAttention(ObjectAttentionConfig(channels=(1, 4, 6)))
    other = ObjectAttentionConfig(channels=(1, 4, 8))
    save_weights(path, model, {"model": "ObjectAttention", "config": other})
    with pytest.raises(CheckpointError, match="does not fit its own configuration"):
        load_model(path)


@pytest.mark.parametrize(
    "config", [None, "pairs", {"channels": [1]}, {"width": -1}, {"width": "wide"}, {"width": 8}]
)
def test_unusable_configurations_are_checkpoint_errors(tmp_path, config):
    path = tmp_path / "own.safetensors"
    record = {"model": "ObjectAttention"} | ({} if config is None else {"config": config})
    save_weights(path, ObjectAttention(ObjectAttentionConfig(channels=(1, 4, 6))), record)
    with pytest.raises(CheckpointError, match=r"own\.safetensors"):
        load_model(path)


def test_names_follow_the_folder(tmp_path, monkeypatch):
    monkeypatch.setattr(zoo, "PRETRAINED", tmp_path)
    pretrained_names.cache_clear()
    try:
        assert pretrained_names() == ()
        with pytest.raises(UnknownName, match="Nearest: none"):
            load_model("mnist-2-seed0")
    finally:
        pretrained_names.cache_clear()
