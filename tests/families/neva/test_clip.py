"""The adapter to CLIP and its kin, with small encoders in their place."""

import sys
from types import SimpleNamespace

import pytest
import torch
from torch import nn
from torch.nn import functional

from attnsci.errors import CheckpointError, InvalidInput, MissingDependency
from attnsci.families.neva.clip import CLIP_MEAN, CLIP_SD, ImageText, load_open_clip
from attnsci.families.neva.tasks import Embedding

COLOURS = ["red", "green", "blue"]


class Stub(nn.Module):
    """Knows colours: an image is its mean colour, a word the colour of that name."""

    def __init__(self):
        super().__init__()
        self.norm = nn.BatchNorm2d(3, affine=True)
        self.colours = nn.Parameter(torch.eye(3))
        self.seen = None

    def encode_image(self, images):
        self.seen = images
        return images.mean((2, 3))

    def encode_text(self, tokens):
        return self.colours[tokens]


def tokenize(texts):
    return torch.tensor([COLOURS.index(text) for text in texts])


def test_images_are_normalised_and_resized_for_the_tower():
    stub = Stub()
    images = torch.rand(2, 3, 30, 20)
    adapter = ImageText(stub, tokenize, image_size=16)
    embeddings = adapter.encode_image(images)
    assert embeddings.shape == (2, 3)
    assert stub.seen.shape == (2, 3, 16, 16)
    resized = functional.interpolate(images, (16, 16), mode="bicubic", antialias=True)
    mean, sd = (torch.tensor(v).view(3, 1, 1) for v in (CLIP_MEAN, CLIP_SD))
    torch.testing.assert_close(stub.seen, (resized - mean) / sd)
    ImageText(stub, tokenize, mean=(0.5,) * 3, sd=(0.25,) * 3).encode_image(images)
    torch.testing.assert_close(stub.seen, (images - 0.5) / 0.25)


def test_the_model_is_frozen_and_gradients_reach_the_image():
    stub = Stub().train()
    adapter = ImageText(stub, tokenize, image_size=16)
    assert not stub.training
    assert not any(parameter.requires_grad for parameter in stub.parameters())
    images = torch.rand(1, 3, 24, 24, requires_grad=True)
    adapter.encode_image(images)[0, 0].backward()
    assert (images.grad[0, 0] != 0).any()
    assert (images.grad[0, 1:] == 0).all()


def test_captions_become_rows():
    adapter = ImageText(Stub(), tokenize)
    assert adapter.encode_text("green").tolist() == [[0, 1, 0]]
    assert adapter.encode_text(["blue", "red"]).tolist() == [[0, 0, 1], [1, 0, 0]]
    assert not adapter.encode_text("red").requires_grad
    with pytest.raises(InvalidInput, match="texts is empty"):
        adapter.encode_text([])


def test_a_caption_guides_a_look_and_a_drift_begins_elsewhere():
    adapter = ImageText(Stub(), tokenize, mean=(0, 0, 0), sd=(1, 1, 1))
    caption, start = adapter.encode_text("green"), adapter.encode_text("red")
    task = Embedding(adapter.encode_image, caption, start)
    green = torch.zeros(2, 3, 8, 8)
    green[0, 1], green[1, 2] = 1, 1
    target = task.target(green)
    torch.testing.assert_close(task.loss(green, target), torch.tensor([0.0, 1.0]))
    drifted = task.drifted(target, 0, 10)
    torch.testing.assert_close(drifted, start.expand(2, -1))
    torch.testing.assert_close(task.drifted(target, 9, 10)[0], torch.tensor([0.19, 0.81, 0.0]))


def test_a_pair_that_is_no_module_will_do():
    pair = SimpleNamespace(
        encode_image=lambda images: images.flatten(1),
        encode_text=lambda tokens: torch.ones(len(tokens), 12),
    )
    adapter = ImageText(pair, list)
    assert adapter.encode_image(torch.rand(2, 3, 2, 2)).shape == (2, 12)
    assert adapter.encode_text(["a", "b"]).shape == (2, 12)


def test_wrong_pairs_are_refused():
    with pytest.raises(InvalidInput, match="Linear has no encode_image and no encode_text"):
        ImageText(nn.Linear(2, 2), tokenize)
    maps = SimpleNamespace(encode_image=lambda images: images, encode_text=lambda tokens: "text")
    adapter = ImageText(maps, list)
    with pytest.raises(InvalidInput, match=r"encode_image must return a tensor \(2, D\)"):
        adapter.encode_image(torch.rand(2, 3, 4, 4))
    with pytest.raises(InvalidInput, match=r"encode_text must return .* it returned str"):
        adapter.encode_text("word")


def test_open_clip_is_optional(monkeypatch):
    monkeypatch.setitem(sys.modules, "open_clip", None)
    with pytest.raises(MissingDependency, match=r'pip install "attnsci\[clip\]"'):
        load_open_clip("RN50", "weights.pt")


def test_open_clip_is_given_the_file_and_nothing_to_download(monkeypatch, tmp_path):
    calls = []

    def create_model(name, pretrained):
        calls.append((name, pretrained))
        if name != "RN50":
            raise RuntimeError(f"Model config for {name} not found.")
        model = Stub()
        model.visual = nn.Module()
        model.visual.image_size, model.visual.image_mean = (16, 16), (0.5, 0.5, 0.5)
        model.visual.image_std = (0.25, 0.25, 0.25)
        return model

    fake = SimpleNamespace(create_model=create_model, get_tokenizer=lambda name: tokenize)
    monkeypatch.setitem(sys.modules, "open_clip", fake)
    path = tmp_path / "weights.pt"
    with pytest.raises(CheckpointError, match=r"no weights at .*attnsci downloads none"):
        load_open_clip("RN50", path)
    assert calls == []
    path.write_bytes(b"")
    adapter = load_open_clip("RN50", path)
    assert calls == [("RN50", str(path))]
    assert adapter.image_size == 16
    adapter.encode_image(torch.full((1, 3, 9, 9), 0.75))
    torch.testing.assert_close(adapter.model.seen, torch.ones(1, 3, 16, 16))
    assert adapter.encode_text("blue").tolist() == [[0, 0, 1]]
    with pytest.raises(CheckpointError, match=r"makes no RN5 for open_clip.*list_models"):
        load_open_clip("RN5", path)
