"""The recurrent attention model: published weights, where gradients go, who moves the eye."""

import json
import math

import numpy as np
import pytest
import torch
from torch.nn import functional

from attnsci.data import load_mnist
from attnsci.errors import CheckpointError, InvalidInput, UnknownName
from attnsci.models.ram import RAM
from attnsci.models.ram_config import PRESETS, RAMConfig, preset
from attnsci.models.ram_policies import GridPolicy, Proposal, ReplayPolicy
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
    return lambda task: RAM.from_reference(data_root / "ram" / FILES[task])


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
@pytest.mark.parametrize(("task", "error", "band"), [("original", 1.14, 0.1)])
def test_random_starts(reference, canvases, labels, task, error, band):
    model, generator = reference(task), torch.Generator().manual_seed(0)
    with torch.no_grad():
        answers = [
            model.rollout(part, generator).logits[:, -1].argmax(1)
            for part in canvases[task].split(500)
        ]
    got = (torch.cat(answers) != labels).double().mean().item() * 100
    assert got == pytest.approx(error, abs=band)


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
    model = RAM.from_reference(tmp_path / "kz.pth.tar", n_glimpses=4)
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
        RAM.from_reference(tmp_path / "none")
    (tmp_path / "noise").write_bytes(b"noise" * 50)
    with pytest.raises(CheckpointError, match="neither HDF5 nor saved by torch"):
        RAM.from_reference(tmp_path / "noise")
    (tmp_path / "cut").write_bytes(b"\x89HDF\r\n\x1a\n" + bytes(40))
    with pytest.raises(CheckpointError, match="damaged"):
        RAM.from_reference(tmp_path / "cut")
    state = kevinzakka_state(hidden=False)
    missing = {name: value for name, value in state.items() if name != "rnn.h2h.bias"}
    torch.save(missing, tmp_path / "missing")
    with pytest.raises(CheckpointError, match=r"missing \['rnn.h2h.bias'\]"):
        RAM.from_reference(tmp_path / "missing")
    wrong = {**state, "rnn.h2h.weight": torch.zeros(256, 200)}
    torch.save(wrong, tmp_path / "wrong")
    with pytest.raises(CheckpointError, match="does not fit"):
        RAM.from_reference(tmp_path / "wrong")
    torch.save({**state, "sensor.fc1.weight": torch.zeros(128, 65)}, tmp_path / "odd")
    with pytest.raises(CheckpointError, match="glimpses of 65 values"):
        RAM.from_reference(tmp_path / "odd")


# The spec's counts have two biases in every sum of two layers, which makes 512 more.
@pytest.mark.parametrize(
    ("name", "linear", "with_hidden"),
    [("mnist-28", 209_677, 242_317), ("cluttered-60", 256_781, 289_421),
     ("cluttered-100", 275_213, 307_853)],
)  # fmt: skip
def test_parameters_are_counted(name, linear, with_hidden):
    def count(**settings):
        return sum(p.numel() for p in RAM(preset(name), **settings).parameters())

    assert count() == with_hidden - 512
    assert count(locator_hidden=0) == linear - 512


def test_the_core_begins_as_its_own_memory():
    model = RAM()
    h = torch.rand(3, 256)
    kept = functional.linear(h, model.core.linear.weight[:, 256:])
    assert torch.equal(kept, h)


def test_an_lstm_core_is_torchs():
    model = RAM(core="lstm", n_hidden=16)
    theirs = torch.nn.LSTMCell(16, 16)
    weight = model.core.linear.weight
    theirs.load_state_dict({
        "weight_ih": weight[:, :16], "weight_hh": weight[:, 16:],
        "bias_ih": model.core.linear.bias, "bias_hh": torch.zeros(64),
    })  # fmt: skip
    state, hc = (), None
    for feature in torch.rand(4, 5, 16):
        state, hc = model.core(feature, state), theirs(feature, hc)
        for ours, other in zip(state, hc, strict=True):
            torch.testing.assert_close(ours, other)
    assert model.rollout(torch.rand(2, 1, 28, 28)).hidden.shape == (2, 6, 16)


@pytest.fixture
def images():
    return torch.rand(7, 1, 28, 28, generator=torch.Generator().manual_seed(5))


def spread_out(model: RAM) -> RAM:
    """Let the untrained locator look about."""
    with torch.no_grad():
        model.locator.linear.weight.mul_(20)
    return model


@pytest.mark.parametrize("readout", ["last", "every"])
def test_a_rollout_is_what_it_says(images, readout):
    model = spread_out(RAM(preset("mnist-28"), readout=readout, sigma=0.2))
    found = model.rollout(images, torch.Generator().manual_seed(0), policy="sampled", n_samples=3)
    # Everything, recomputed from locations alone, one row and one glimpse at a time.
    for row in (0, 5, 20):
        image, state = images[row // 3][None], ()
        for t in range(6):
            xy = found.locations[row, t][None]
            seen = (glimpse.BoxSensor(image, 8)(xy) - 0.1307) / 0.3081
            at = xy / 14 - 1
            feature = model.glimpse(torch.cat([model.what(seen), model.where(at)], 1))
            state = model.core(feature, state)
            mean = model.locator(state[0])
            head = model.readout[t if readout == "every" else 0]
            for got, wanted in (
                (found.glimpses, seen), (found.features, feature), (found.hidden, state[0]),
                (found.means, 14 * (mean + 1)), (found.logits, head(state[0])),
                (found.values, model.baseline(state[0])[:, 0]),
            ):  # fmt: skip
                torch.testing.assert_close(got[row, t][None], wanted, rtol=1e-4, atol=1e-4)
            if t < 5:
                normal = torch.distributions.Normal(mean, 0.2)
                after = found.locations[row, t + 1] / 14 - 1
                if (after.abs() < 1).all():
                    torch.testing.assert_close(
                        found.log_probs[row, t + 1][None], normal.log_prob(after).sum(1),
                        rtol=1e-4, atol=1e-3,
                    )  # fmt: skip
    assert (found.log_probs[:, 0] == 0).all()


def test_draws_spread_as_sigma_says_and_stay_on_the_image(images):
    # Untrained means are near the middle, so that few draws need to be brought back.
    model = RAM(sigma=0.25)
    found = model.rollout(images, policy="sampled", n_samples=400)
    away = (found.locations[:, 1:] - found.means[:, :-1]) / 14
    assert away.std().item() == pytest.approx(0.25, rel=0.03)
    wide = RAM(sigma=2.0)
    found = wide.rollout(images, torch.Generator().manual_seed(1), policy="sampled", n_samples=50)
    assert found.locations.min() == 0 and found.locations.max() == 28
    # The density is that of the draw, not of the place at the edge that it was brought back to.
    floor = -math.log(2 * math.pi * 4)
    mahalanobis = -2 * (found.log_probs[:, 1:] - floor)
    assert mahalanobis.mean().item() == pytest.approx(2, rel=0.1)  # chi² of 2 degrees


def gradients(model: RAM, loss: torch.Tensor) -> set[str]:
    model.zero_grad()
    loss.backward(retain_graph=True)
    return {
        name.split(".")[0]
        for name, p in model.named_parameters()
        if p.grad is not None and p.grad.count_nonzero()
    }


@pytest.mark.parametrize("readout", ["last", "every"])
@pytest.mark.parametrize("sensor", ["exact", "mip"])
@pytest.mark.parametrize("core", ["rnn", "lstm"])
def test_no_gradient_leaks(images, readout, sensor, core):
    model = spread_out(RAM(readout=readout, sensor=sensor, core=core))
    found = model.rollout(images, policy="sampled", n_samples=2)
    seeing = {"what", "where", "glimpse", "core"}
    assert gradients(model, found.logits[:, -1].logsumexp(1).sum()) == {*seeing, "readout"}
    early = gradients(model, found.logits[:, :-1].logsumexp(2).sum())
    assert early == ({"readout"} if readout == "every" else {*seeing, "readout"})
    assert gradients(model, found.log_probs.sum()) == {"locator"}
    assert gradients(model, found.values.sum()) == {"baseline"}
    assert not found.log_probs[:, 0].requires_grad or not gradients(
        model, found.log_probs[:, 0].sum()
    )


def test_a_density_moves_the_mean_to_the_draw(images):
    """With the sign or the detachment wrong it would move away, or nowhere."""
    model = RAM()
    found = model.rollout(images, policy="sampled")
    before = (found.locations[:, 1:] - found.means[:, :-1]).detach().norm(dim=-1).mean()
    optimizer = torch.optim.SGD(model.locator.parameters(), lr=1e-4)
    (-found.log_probs.sum(1).mean()).backward()
    optimizer.step()
    again = model.rollout(images, policy=ReplayPolicy(found.locations.detach()))
    after = (again.locations[:, 1:] - again.means[:, :-1]).detach().norm(dim=-1).mean()
    assert after < before


@pytest.mark.parametrize("policy", ["mean", "sampled", "random", "centre", "grid"])
def test_a_replayed_path_is_the_same_look(images, policy):
    model = spread_out(RAM())
    found = model.rollout(images, policy=policy)
    again = model.rollout(images, policy=ReplayPolicy(found.locations.detach()))
    assert torch.equal(again.logits, found.logits)
    assert torch.equal(again.locations, found.locations)


def test_policies_look_where_they_should(images):
    wide = torch.rand(2, 1, 40, 80)
    model = RAM()
    grid = model.rollout(wide, policy="grid").locations[1]
    np.testing.assert_allclose(
        grid, [(80 / 6, 10), (40, 10), (400 / 6, 10), (80 / 6, 30), (40, 30), (400 / 6, 30)],
        rtol=1e-5,
    )  # fmt: skip
    assert (model.rollout(wide, policy="centre").locations == torch.tensor([40.0, 20])).all()
    random = model.rollout(wide, policy="random", n_samples=500).locations
    assert random[..., 0].mean().item() == pytest.approx(40, abs=1)
    assert random[..., 1].std().item() == pytest.approx(40 / math.sqrt(12), rel=0.03)
    begun = model.rollout(wide, policy=GridPolicy(1, 2), first=torch.tensor([1.0, 2]))
    assert begun.locations[0, :3].tolist() == [[1, 2], [60, 20], [20, 20]]


def test_a_policy_is_told_what_is_known(images):
    model, told = RAM(n_glimpses=3), []

    def policy(proposal: Proposal) -> torch.Tensor:
        told.append(proposal)
        return torch.full_like(proposal.uniform, 3.0 + proposal.glimpse)

    found = model.rollout(images, policy=policy, n_samples=2)
    assert [p.glimpse for p in told] == [0, 1, 2]
    assert told[0].mean is None and told[0].visited.shape == (14, 0, 2)
    assert torch.equal(told[2].visited, found.locations[:, :2])
    assert torch.equal(told[2].mean, found.means[:, 1])
    assert torch.equal(told[2].hidden, found.hidden[:, 1])
    assert told[0].images.tolist() == [i for i in range(7) for _ in range(2)]
    looked = model.look(images, policy=policy, chunk=3)
    assert looked.observer.values[0] == "RAM policy"
    assert told[-1].images.tolist() == [6]


@pytest.mark.parametrize("policy", ["mean", "sampled", "random"])
def test_paths_depend_on_name_sample_and_seed_only(images, policy):
    model = spread_out(RAM(sigma=0.3))
    names = [f"digit {i}" for i in range(7)]

    def look(rows=slice(None), **settings):
        return model.look(images[rows], image=names[rows], policy=policy, **settings)

    paths = look(n_samples=3)
    assert paths.sizes == {"scanpath": 21, "fixation": 6}
    assert paths.image.values.tolist() == [name for name in names for _ in range(3)]
    assert paths["sample"].values.astype(int).tolist() == [0, 1, 2] * 7
    some = look(slice(2, 4), n_samples=2, chunk=1)
    for variable in ("x", "y"):
        kept = paths[variable].values.reshape(7, 3, 6)
        np.testing.assert_allclose(some[variable].values.reshape(2, 2, 6), kept[2:4, :2], atol=1e-3)
        short = look(n_fixations=3)[variable].values
        np.testing.assert_allclose(short, kept[:, 0, :3], atol=1e-3)
        assert len(np.unique(kept[:, :, 0])) == 21
    assert (look(seed=1)["x"].values[:, 0] != look(seed=2)["x"].values[:, 0]).all()
    assert np.array_equal(look(n_samples=3)["x"], paths["x"])


def test_a_rollout_repeats_with_its_generator(images):
    model = RAM()
    one, two, other = (
        model.rollout(images, torch.Generator().manual_seed(s), policy="sampled") for s in (4, 4, 5)
    )
    assert torch.equal(one.logits, two.logits)
    assert not torch.equal(one.locations, other.locations)


def test_scanpaths_carry_where_they_come_from(images):
    model = RAM().eval()
    paths = model.look(images, 4, seed=3)
    assert paths.observer.values.tolist() == ["RAM"] * 7
    assert np.isnan(paths.duration.values).all()
    record = json.loads(paths.attrs["provenance"])
    assert record["config"]["glimpse_px"] == 8 and paths.attrs["seed"] == 3
    assert paths["prediction"].dims == ("scanpath", "fixation")
    assert ((paths["confidence"] > 0.1) & (paths["confidence"] <= 1)).all()


def test_colour_any_size_and_one_image():
    model = RAM(glimpse_px=6, n_scales=3, channels=3, n_classes=4, sensor="mip")
    found = model.rollout(torch.rand(1, 3, 37, 90))
    assert found.logits.shape == (1, 6, 4) and found.glimpses.shape == (1, 6, 324)
    assert model(torch.rand(2, 3, 37, 90)).shape == (2, 4)


def test_a_differentiable_sensor_hands_gradients_to_a_policy(images):
    model = RAM(sensor="mip", n_glimpses=2)
    place = torch.tensor([11.3, 9.7], requires_grad=True)
    found = model.rollout(images, policy=lambda p: place.expand(7, 2))
    found.logits[:, -1].logsumexp(1).sum().backward()
    assert place.grad.abs().min() > 0


def test_errors_teach(images):
    model = RAM()
    with pytest.raises(InvalidInput, match=r"off the images of 28×28. Give pixels"):
        model.rollout(images, first=torch.tensor([-0.5, 0.3]))
    with pytest.raises(InvalidInput, match="off the images"):
        model.rollout(images, first=torch.tensor([math.nan, 3.0]))
    with pytest.raises(InvalidInput, match="first must have shape"):
        model.rollout(images, first=torch.zeros(3, 2))
    with pytest.raises(InvalidInput, match=r"must lie in \[0, 1\]"):
        model.rollout(images * 255)
    with pytest.raises(InvalidInput, match="1 channel"):
        model.rollout(torch.rand(2, 3, 28, 28))
    with pytest.raises(InvalidInput, match="larger than the images"):
        RAM(preset("cluttered-60")).rollout(images)
    with pytest.raises(UnknownName, match="sampled"):
        model.rollout(images, policy="sampeld")
    with pytest.raises(UnknownName, match="cluttered-60"):
        preset("clutered-60")
    with pytest.raises(InvalidInput, match="finite locations"):
        model.rollout(images, policy=lambda p: p.uniform * math.nan)
    with pytest.raises(InvalidInput, match="Fixation 2 of path 0"):
        ReplayPolicy(np.array([[[1, 2], [3, 4], [np.nan, 5]]]))
    with pytest.raises(InvalidInput, match="too few: glimpse 3 at image 7"):
        model.rollout(images, policy=ReplayPolicy(np.ones((7, 2, 2))))
    with pytest.raises(InvalidInput, match="readout for each of 6"):
        RAM(readout="every").rollout(images, n_glimpses=7)
    with pytest.raises(InvalidInput, match="core must be one of"):
        RAMConfig(core="gru")
    assert all(config == preset(name) for name, config in PRESETS.items())
