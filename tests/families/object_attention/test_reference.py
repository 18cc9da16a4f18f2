"""Published checkpoints: every key and shape is checked, and nothing in a file is executed."""

import os
import pickle
import random

import pytest
import torch

from attnsci.errors import CheckpointError
from attnsci.families.object_attention.config import ObjectAttentionConfig
from attnsci.families.object_attention.network import ObjectAttention
from attnsci.families.object_attention.reference import load_object_attention

# The published weights come in the format of old, whose reader warns of its own insides.
pytestmark = pytest.mark.filterwarnings("ignore:TypedStorage is deprecated:UserWarning")


def published_names(model: ObjectAttention) -> dict[str, torch.Tensor]:
    state = {}
    for key, value in model.state_dict().items():
        key = key.replace("readout", "linear_out").replace("feedback", "linear_out_t")
        if key.startswith("levels."):
            _, level, kind, tensor = key.split(".")
            key = f"conv{int(level) + 1}{'_t' if kind == 'deconv' else ''}.{tensor}"
        state[key] = value.clone()
    return state


def saved(path, content, **options) -> str:
    torch.save(content, path, **options)
    return os.fspath(path)


@pytest.fixture
def pair_model():
    return ObjectAttention()


@pytest.mark.parametrize("old_format", [False, True])
@pytest.mark.parametrize(
    "config",
    [
        ObjectAttentionConfig(),
        ObjectAttentionConfig(width=28, n_phases=1),
        ObjectAttentionConfig(width=56, n_phases=3, channels=(1, 6, 8), n_classes=4),
        ObjectAttentionConfig(
            channels=(3, 4, 5, 6), height=100, width=100, strength=0.3, upsampling="bicubic"
        ),
    ],
)
def test_a_published_file_gives_back_the_network(tmp_path, config, old_format):
    model = ObjectAttention(config)
    path = saved(
        tmp_path / "model.pt",
        published_names(model),
        _use_new_zipfile_serialization=not old_format,
    )
    found = load_object_attention(path)
    assert found.config == config
    assert not found.training
    for key, value in model.state_dict().items():
        assert torch.equal(found.state_dict()[key], value), key


@pytest.mark.data
def test_the_published_digit_weights_are_understood(data_root):
    model = load_object_attention(data_root / "object-attention/paper_mnist_model.pt")
    assert model.config == ObjectAttentionConfig()
    assert model.levels[0].deconv.bias.item() == pytest.approx(1.086343, abs=1e-6)
    first = model.levels[0].conv.weight
    assert first.mean().item() == pytest.approx(0.006081, abs=1e-6)
    assert first.std().item() == pytest.approx(0.263591, abs=5e-4)


@pytest.mark.data
def test_the_published_photograph_weights_are_understood(data_root):
    model = load_object_attention(data_root / "object-attention/paper_coco_model.pt")
    assert model.config == ObjectAttentionConfig(
        channels=(3, 30, 60, 100, 20),
        height=100,
        width=100,
        n_classes=12,
        strength=0.3,
        upsampling="bicubic",
    )


@pytest.mark.parametrize(
    ("missing", "message"),
    [
        ("conv1.bias", "levels.0.conv.bias"),
        ("conv2_t.weight", "levels.1.deconv.weight"),
        ("linear_out_t.bias", "feedback.bias"),
        ("linear_out.weight", "linear_out.weight"),
        ("conv1.weight", "conv1.weight"),
        ("conv2.weight", "linear_out"),
    ],
)
def test_a_missing_key_is_named(tmp_path, pair_model, missing, message):
    state = published_names(pair_model)
    del state[missing]
    with pytest.raises(CheckpointError, match=message):
        load_object_attention(saved(tmp_path / "model.pt", state))


def test_an_extra_key_is_named(tmp_path, pair_model):
    state = {**published_names(pair_model), "lstm.weight": torch.zeros(2)}
    with pytest.raises(CheckpointError, match=r"not understood \['lstm.weight'\]"):
        load_object_attention(saved(tmp_path / "model.pt", state))


@pytest.mark.parametrize(
    ("key", "shape", "message"),
    [
        ("conv2_t.weight", (100, 21, 4, 4), r"conv2_t.weight has shape \(100, 21, 4, 4\).*20"),
        ("conv1.weight", (20, 1, 5, 5), r"conv1.weight has shape \(20, 1, 5, 5\)"),
        ("linear_out.weight", (10, 1601), "1601 features"),
        ("linear_out.weight", (10,), "axes"),
        ("conv1.weight", (20,), "axes"),
        ("conv1.weight", (), "axes"),
    ],
)
def test_a_wrong_shape_is_named(tmp_path, pair_model, key, shape, message):
    state = {**published_names(pair_model), key: torch.zeros(shape)}
    with pytest.raises(CheckpointError, match=message):
        load_object_attention(saved(tmp_path / "model.pt", state))


def test_a_network_too_deep_for_its_images_is_refused(tmp_path):
    model = ObjectAttention(ObjectAttentionConfig(channels=(1, 2, 2, 2), height=60, width=60))
    with pytest.raises(CheckpointError, match="features"):
        load_object_attention(saved(tmp_path / "model.pt", published_names(model)))


@pytest.mark.parametrize("content", [[1, 2], {"epoch": 3}, {}, torch.zeros(2), "text", None])
def test_what_is_no_mapping_of_tensors_is_refused(tmp_path, content):
    with pytest.raises(CheckpointError, match=r"model\.pt"):
        load_object_attention(saved(tmp_path / "model.pt", content))


class Payload:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return (os.mkdir, (self.path,))


@pytest.mark.parametrize("old_format", [False, True])
def test_code_in_a_file_is_not_run(tmp_path, old_format):
    trap = tmp_path / "sprung"
    path = saved(
        tmp_path / "model.pt",
        {"conv1.weight": Payload(os.fspath(trap))},
        _use_new_zipfile_serialization=not old_format,
    )
    with pytest.raises(CheckpointError, match="damaged or is no file of tensors"):
        load_object_attention(path)
    bare = tmp_path / "bare.pt"
    bare.write_bytes(pickle.dumps(Payload(os.fspath(trap))))
    with pytest.raises(CheckpointError):
        load_object_attention(bare)
    assert not trap.exists()


def test_a_missing_file_and_a_folder_are_named(tmp_path):
    for path in (tmp_path / "nothing.pt", tmp_path):
        with pytest.raises(CheckpointError, match="no checkpoint at"):
            load_object_attention(path)


@pytest.mark.parametrize("old_format", [False, True])
def test_any_damage_is_one_kind_of_error(tmp_path, old_format):
    model = ObjectAttention(ObjectAttentionConfig(channels=(1, 2, 3), width=28, n_phases=1))
    path = tmp_path / "model.pt"
    saved(path, published_names(model), _use_new_zipfile_serialization=not old_format)
    whole = path.read_bytes()
    chance = random.Random(0)
    cuts = [whole[: chance.randrange(len(whole))] for _ in range(15)]
    refused = 0
    for damaged in [b"", b"no checkpoint at all", *cuts]:
        path.write_bytes(damaged)
        with pytest.raises(CheckpointError, match=r"model\.pt"):
            load_object_attention(path)
    for _ in range(60):
        flipped = bytearray(whole)
        flipped[chance.randrange(1500)] = chance.randrange(256)
        path.write_bytes(flipped)
        try:
            load_object_attention(path)  # a flip among the values cannot be seen
        except CheckpointError:
            refused += 1
    assert refused >= 15
