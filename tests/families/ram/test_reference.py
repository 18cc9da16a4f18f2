"""Published weights of the recurrent attention model: as right and as wrong as published."""

import math

import numpy as np
import pytest
import torch
from torch.nn import functional

from attnsci.data import load_mnist
from attnsci.errors import CheckpointError
from attnsci.families.ram.network import RAM
from attnsci.families.ram.reference import load_ram
from attnsci.sensors import glimpse
from attnsci.sensors.glimpse import MAPS

FILES = {
    "original": "ram_original_epoch800.chainermodel",
    "translated": "ram_translated_epoch800.chainermodel",
    "cluttered": "ram_cluttered_epoch1000.chainermodel",
}
WRONG = {  # of 10,000 digits, from the same first location (row, column) for all
    ("original", 0.0, 0.0): 170, ("translated", 0.0, 0.0): 140, ("cluttered", 0.0, 0.0): 526,
    ("original", 0.25, -0.4): 111, ("translated", 0.25, -0.4): 166, ("cluttered", 0.25, -0.4): 467,
}  # fmt: skip
SUMS = {"translated": 1_038_914.5, "cluttered": 1_594_317.7}
PATH = [(0, 0), (0.3114, -0.0351), (0.3771, -0.3205), (0.2990, -0.2137), (-0.0230, -0.0724),
        (-0.1411, 0.0447)]  # fmt: skip
LOGITS = [-4.299, -0.403, 0.047, 0.759, 0.874, -0.644, -11.991, 11.713, -6.341, 7.446]


@pytest.fixture(scope="module")
def reference(data_root):
    return lambda task: load_ram(data_root / "ram" / FILES[task])


@pytest.fixture(scope="module")
def labels(data_root):
    return torch.from_numpy(load_mnist("test", "full", data_root / "mnist").labels)


@pytest.fixture(scope="module")
def canvases(data_root):
    """The canvases on which the published weights were measured, by task."""
    root = data_root / "mnist"
    digits = load_mnist("test", "full", root).images / np.float32(255)
    pieces = load_mnist("train", "full", root).images / np.float32(255)
    made = {"original": digits}
    for task in SUMS:
        rng = np.random.RandomState(0)
        canvas = np.zeros((len(digits), 60, 60), np.float32)
        for place, digit in zip(canvas, digits, strict=True):
            i, j = rng.randint(0, 32, size=2)
            place[i : i + 28, j : j + 28] += digit
            for _ in range(4 if task == "cluttered" else 0):
                source = rng.randint(0, 59999)
                a, b = rng.randint(0, 20, size=2)
                c, d = rng.randint(0, 52, size=2)
                place[c : c + 8, d : d + 8] += pieces[source, a : a + 8, b : b + 8]
        made[task] = np.clip(canvas, 0, 1)
        assert made[task].sum(dtype=float) == pytest.approx(SUMS[task], abs=0.1)
    return {task: torch.from_numpy(images)[:, None] for task, images in made.items()}


@torch.no_grad()
def n_wrong(model: RAM, images: torch.Tensor, labels: torch.Tensor, row: float, column: float):
    size = (images.shape[-2], images.shape[-1])
    first = MAPS["amasky"].to_px(torch.tensor([row, column]), size)
    parts = zip(images.split(500), labels.split(500), strict=True)
    return sum(
        int((model.rollout(part, first=first).logits[:, -1].argmax(1) != right).sum())
        for part, right in parts
    )


@pytest.mark.data
@pytest.mark.parametrize(("task", "row", "column"), WRONG)
def test_published_weights_are_wrong_as_often(reference, canvases, labels, task, row, column):
    wrong = n_wrong(reference(task), canvases[task], labels, row, column)
    assert wrong == pytest.approx(WRONG[task, row, column], abs=5)


@pytest.mark.data
def test_the_first_test_image(reference, canvases):
    model = reference("original")
    found = model.rollout(canvases["original"][:1], first=torch.tensor([14.5, 14.5]))
    locations = MAPS["amasky"].from_px(found.locations[0], (28, 28))
    np.testing.assert_allclose(locations, PATH, atol=2e-3)
    np.testing.assert_allclose(found.logits[0, -1].detach(), LOGITS, atol=2e-3)
    assert sum(p.numel() for p in model.parameters()) == 209_677 - 512
    assert model.config.sigma == pytest.approx(math.sqrt(0.03))


@pytest.mark.data
@pytest.mark.parametrize(
    ("row", "column", "change", "published_mistake"),
    [
        (0.0, 0.0, {"corner": lambda c, w: (c - w / 2 + 0.5).floor()}, 180),
        (0.25, -0.4, {"extra": 0}, 142),
    ],
    ids=["halves up", "S for S + 1"],
)
def test_mistakes_of_the_map_are_seen(
    reference, canvases, labels, monkeypatch, row, column, change, published_mistake
):
    import dataclasses

    right = MAPS["amasky"]
    first = right.to_px(torch.tensor([row, column]), (28, 28))
    monkeypatch.setitem(glimpse.MAPS, "amasky", dataclasses.replace(right, **change))
    first = MAPS["amasky"].to_px(MAPS["amasky"].from_px(first, (28, 28)), (28, 28))
    wrong = n_wrong(reference("original"), canvases["original"], labels, row, column)
    assert wrong == pytest.approx(published_mistake, abs=5)
    assert abs(wrong - WRONG["original", row, column]) > 5


@pytest.mark.data
def test_transposed_patches_are_seen(reference, canvases, labels, monkeypatch):
    cut = glimpse.BoxSensor._take
    monkeypatch.setattr(glimpse.BoxSensor, "_take", lambda self, xy: cut(self, xy.flip(-1)))
    wrong = n_wrong(reference("original"), canvases["original"], labels, 0.25, -0.4)
    assert wrong == pytest.approx(6254, abs=30)


@pytest.mark.data
@pytest.mark.parametrize(
    ("task", "error", "band"),
    [("original", 1.14, 0.1), ("translated", 1.68, 0.15), ("cluttered", 5.26, 0.2)],
)
def test_random_starts(reference, canvases, labels, task, error, band):
    """The mean of four seeds: they differ by .1 % (standard deviation) among themselves."""
    model, wrong = reference(task), []
    with torch.no_grad():
        for seed in range(4):
            generator = torch.Generator().manual_seed(seed)
            for part, right in zip(canvases[task].split(500), labels.split(500), strict=True):
                wrong.append(model(part, generator).argmax(1) != right)
    assert torch.cat(wrong).double().mean().item() * 100 == pytest.approx(error, abs=band)


def kevinzakka_state(hidden: bool) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    layers = {
        "sensor.fc1": (128, 64), "sensor.fc2": (128, 2), "sensor.fc3": (256, 128),
        "sensor.fc4": (256, 128), "rnn.i2h": (256, 256), "rnn.h2h": (256, 256),
        "locator.fc": (128, 256) if hidden else (2, 256), "classifier.fc": (10, 256),
        "baseliner.fc": (1, 256),
    }  # fmt: skip
    if hidden:
        layers["locator.fc_lt"] = (2, 128)
    state = {}
    for name, (rows, columns) in layers.items():
        scale = 1 / math.sqrt(columns)
        state[f"{name}.weight"] = scale * torch.randn(rows, columns, generator=generator)
        state[f"{name}.bias"] = scale * torch.randn(rows, generator=generator)
    return state


@pytest.mark.parametrize("hidden", [True, False])
def test_a_kevinzakka_checkpoint_runs_as_its_own_code(tmp_path, hidden):
    """Its forward pass, written out: crop ⌊(l+1)S/2⌋ of the padded, normalised image."""
    state = kevinzakka_state(hidden)
    torch.save({"epoch": 3, "model_state": state, "best_valid_acc": 98.4}, tmp_path / "kz.pth.tar")
    model = load_ram(tmp_path / "kz.pth.tar", n_glimpses=4)
    images = torch.rand(5, 1, 28, 28, generator=torch.Generator().manual_seed(1))
    first = 28 * torch.rand(5, 2, generator=torch.Generator().manual_seed(2))

    def layer(name, x):
        return functional.linear(x, state[f"{name}.weight"], state[f"{name}.bias"])

    padded = functional.pad((images - 0.1307) / 0.3081, (4, 4, 4, 4))
    location, h, path, means = 2 * first / 28 - 1, torch.zeros(5, 256), [], []
    for _ in range(4):
        path.append(location)
        start = (0.5 * (location + 1) * 28).long()
        phi = torch.stack([
            image[0, y : y + 8, x : x + 8].flatten()
            for image, (x, y) in zip(padded, start.tolist(), strict=True)
        ])  # fmt: skip
        what, where = layer("sensor.fc1", phi).relu(), layer("sensor.fc2", location).relu()
        g = (layer("sensor.fc3", what) + layer("sensor.fc4", where)).relu()
        h = (layer("rnn.i2h", g) + layer("rnn.h2h", h)).relu()
        to = layer("locator.fc", h)
        location = (layer("locator.fc_lt", to.relu()) if hidden else to).tanh()
        means.append(location)
    found = model.rollout(images, first=first)
    torch.testing.assert_close(found.locations, 14 * (torch.stack(path, 1) + 1), rtol=0, atol=1e-3)
    torch.testing.assert_close(found.means, 14 * (torch.stack(means, 1) + 1), rtol=0, atol=1e-3)
    torch.testing.assert_close(found.logits[:, -1], layer("classifier.fc", h), rtol=0, atol=1e-4)
    torch.testing.assert_close(
        found.values[:, -1], layer("baseliner.fc", h)[:, 0], rtol=0, atol=1e-4
    )


def test_damaged_checkpoints_are_refused(tmp_path):
    with pytest.raises(CheckpointError, match="no checkpoint"):
        load_ram(tmp_path / "none")
    (tmp_path / "noise").write_bytes(b"noise" * 50)
    with pytest.raises(CheckpointError, match="neither HDF5 nor saved by torch"):
        load_ram(tmp_path / "noise")
    (tmp_path / "cut").write_bytes(b"\x89HDF\r\n\x1a\n" + bytes(40))
    with pytest.raises(CheckpointError, match="damaged"):
        load_ram(tmp_path / "cut")
    state = kevinzakka_state(hidden=False)
    missing = {name: value for name, value in state.items() if name != "rnn.h2h.bias"}
    torch.save(missing, tmp_path / "missing")
    with pytest.raises(CheckpointError, match=r"missing \['rnn.h2h.bias'\]"):
        load_ram(tmp_path / "missing")
    wrong = {**state, "rnn.h2h.weight": torch.zeros(256, 200)}
    torch.save(wrong, tmp_path / "wrong")
    with pytest.raises(CheckpointError, match="does not fit"):
        load_ram(tmp_path / "wrong")
    torch.save({**state, "sensor.fc1.weight": torch.zeros(128, 65)}, tmp_path / "odd")
    with pytest.raises(CheckpointError, match="glimpses of 65 values"):
        load_ram(tmp_path / "odd")
