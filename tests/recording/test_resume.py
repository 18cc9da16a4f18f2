"""What a resume compares: a store begun with one thing is not finished with another."""

import dataclasses
import functools
import os
import subprocess
import sys
import textwrap
import threading
import types
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from attnsci.errors import InUse, RecordingError
from attnsci.recording import Recorder, Site, open_recording, record

IMAGES = torch.zeros(16, 1, 8, 8)
for _row, _image in enumerate(IMAGES):
    _image[0, _row % 5 : _row % 5 + 2, 1 + _row % 4] = 1.0 + _row  # an object on blank ground
LABELS = np.arange(16) % 3
BONUS = 1.0  # a global that the forward pass refers to


@dataclasses.dataclass
class Config:
    gain: float = 1.0
    names: tuple[str, ...] = ("left", "right")


class Schedule:
    def __init__(self, step):
        self.step = step


def halve(x):
    return x / 2


class Core(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv, self.norm = nn.Conv2d(1, 3, 3), nn.BatchNorm2d(3)
        self.gain, self.mode, self.scaled = 1.0, "add", True
        self.config, self.nested = Config(), {"levels": [1, {"depth": 2}]}
        self.weights_by_cue = np.array([0.5, 2.0])
        self.schedule, self.readout = Schedule(3), halve
        self.act, self.cutoff = torch.relu, functools.partial(torch.clamp, min=-1.0)
        self.outside = [nn.Linear(2, 2)]  # of which state_dict knows nothing
        self.calls = 0
        self.register_buffer("mask", torch.ones(3, 1, 1), persistent=False)

    def forward(self, x):
        self.calls += 1
        y = self.norm(self.conv(x)) * self.gain * self.config.gain + BONUS
        return self.readout(self.cutoff(self.act(y * self.mask)))


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.core, self.head = Core(), nn.Linear(3, 2)

    def forward(self, x):
        return self.head(self.core(x).mean((2, 3)))


class Stops(RuntimeError):
    """Raised by a stream in the middle of a recording."""


def first_half(t):
    return t[:, :1]


def sites(**changes):
    return [Site("core", **changes), "head"]


def begin(path, **options):
    """Record the first chunks of four stimuli, two or three of four, and stop."""

    def stream():
        for start in (0, 4, 8, 12):
            if start == 12:
                raise Stops
            part = slice(start, start + 4)
            yield IMAGES[part], {"label": LABELS[part]}

    with pytest.raises(Stops):
        finish(path, stream(), **options)


def finish(path, stimuli=None, model=None, layers=None, **options):
    if stimuli is None:
        stimuli = [
            (IMAGES[start : start + 4], {"label": LABELS[start : start + 4]})
            for start in (0, 4, 8, 12)
        ]
    options = {"batch_size": 4, "chunk": 4, "n_stimuli": 16, "seed": 1, **options}
    return record(model or Net(), stimuli, layers or sites(), store=path, **options)


@pytest.fixture(scope="module")
def begun(tmp_path_factory):
    """Where a store lies that holds the first chunks; each test takes a copy."""
    path = tmp_path_factory.mktemp("resume") / "begun.zarr"
    begin(path)
    return path


@pytest.fixture
def store(begun, tmp_path):
    import shutil

    return shutil.copytree(begun, tmp_path / "run.zarr")


# --- models ------------------------------------------------------------------------------------


def patch_class(model):
    class Other(Core):
        def forward(self, x):
            return super().forward(x) + 1

    model.core.__class__ = Other


def set_in(owner, name, value):
    def change(model):
        target = functools.reduce(getattr, owner.split("."), model) if owner else model
        if isinstance(target, dict | list):
            target[name] = value
        else:
            setattr(target, name, value)

    return change


def add_to(path):
    def change(model):
        with torch.no_grad():
            functools.reduce(getattr, path.split("."), model).view(-1)[0] += 1e-3

    return change


def override_forward(model):
    model.core.forward = types.MethodType(lambda self, x: Core.forward(self, x) * 2, model.core)


def hook(model):
    model.core.register_forward_hook(lambda module, args, out: out * 2)


def pre_hook(model):
    model.head.register_forward_pre_hook(lambda module, args: (args[0] + 1,))


def closure(number):
    return lambda x: x * number


def half(model):
    model.core.conv.weight.data = model.core.conv.weight.data.flip(0)


def parametrised(model):
    nn.utils.parametrizations.weight_norm(model.head)


def train_a_part(model):
    model.eval()
    model.core.norm.train()


def gain_of_list(model):
    model.core.outside[0].weight.data += 1


def nested(model):
    model.core.nested["levels"][1]["depth"] = 3


MODELS = {
    "a weight": (add_to("head.weight"), "model.head.weight"),
    "weights permuted": (half, "model.core.conv.weight"),
    "a bias": (add_to("core.conv.bias"), "model.core.conv.bias"),
    "a persistent buffer": (add_to("core.norm.running_mean"), "model.core.norm.running_mean"),
    "a buffer that state_dict leaves out": (add_to("core.mask"), "model.core.mask"),
    "a number": (set_in("core", "gain", 3.0), "model.core.gain: stored 1.0, asked 3.0"),
    "a number of another kind": (set_in("core", "gain", 1), "model.core.gain: stored 1.0, asked 1"),
    "a text": (set_in("core", "mode", "multiply"), "model.core.mode: stored 'add'"),
    "a flag": (set_in("core", "scaled", 1), "model.core.scaled: stored True, asked 1"),
    "an array": (set_in("core", "weights_by_cue", np.array([0.5, 2.1])), "weights_by_cue"),
    "a nested configuration": (set_in("core.config", "gain", 2.0), "config.gain: stored 1.0"),
    "an entry of a nested dictionary": (nested, "model.core.nested"),
    "an object's attribute": (set_in("core.schedule", "step", 4), "schedule.step: stored 3"),
    "a module in a list": (gain_of_list, "model.core.outside"),
    "a setting of a torch layer": (set_in("core.norm", "eps", 1e-2), "model.core.norm.eps"),
    "a stride": (set_in("core.conv", "padding", (1, 1)), "model.core.conv.padding"),
    "a function": (set_in("core", "readout", first_half), "model.core.readout"),
    "a captured value": (set_in("core", "readout", closure(3)), "model.core.readout"),
    "a function of torch": (set_in("core", "act", torch.tanh), "model.core.act"),
    "an argument of a partial": (
        set_in("core", "cutoff", functools.partial(torch.clamp, min=0.0)), "model.core.cutoff",
    ),
    "the code of forward": (patch_class, "model.core.class"),
    "a forward put on the instance": (override_forward, "model.core.forward"),
    "a forward hook": (hook, "model.core.forward hook"),
    "a forward pre-hook": (pre_hook, "model.head.forward pre-hook"),
    "a parametrisation": (parametrised, "model.head"),
    "training mode of a part": (train_a_part, "training: stored True, asked False"),
    "another layer": (set_in("", "head", nn.Linear(3, 4)), "model.head.out_features"),
}  # fmt: skip


@pytest.mark.parametrize("case", MODELS)
def test_another_model_is_refused_by_name(store, case):
    change, name = MODELS[case]
    model = Net()
    change(model)
    with pytest.raises(RecordingError) as error:
        finish(store, model=model)
    assert "another model or other settings" in str(error.value)
    assert name in str(error.value)
    finish(store)  # and nothing was harmed


def test_changed_source_and_globals_are_refused(store, monkeypatch):
    monkeypatch.setitem(globals(), "BONUS", 2.0)
    with pytest.raises(RecordingError, match=r"model\.core\.code"):
        finish(store)
    monkeypatch.undo()

    def forward(self, x):
        return self.head(self.core(x).amax((2, 3)))

    monkeypatch.setattr(Net, "forward", forward)
    with pytest.raises(RecordingError, match=r"model\.code"):
        finish(store)


def test_captured_values_of_two_functions_of_one_code(tmp_path):
    model = Net()
    model.core.readout = closure(2)
    begin(tmp_path / "run.zarr", model=model)
    other = Net()
    other.core.readout = closure(3)
    with pytest.raises(RecordingError, match=r"model\.core\.readout"):
        finish(tmp_path / "run.zarr", model=other)
    same = Net()
    same.core.readout = closure(2)
    finish(tmp_path / "run.zarr", model=same)


# --- stimuli -----------------------------------------------------------------------------------


def changed(row, image):
    images = IMAGES.clone()
    images[row] = image
    return images


STIMULI = {
    "upside down": (IMAGES.flip(2), 0),
    "mirrored": (IMAGES.flip(3), 0),
    "rows rolled": (IMAGES.roll(1, 2), 0),
    "rows permuted": (IMAGES[:, :, [2, 1, 0, *range(3, 8)]], 0),
    "transposed": (IMAGES.transpose(2, 3), 0),
    "an object moved down on blank ground": (changed(5, IMAGES[5].roll(1, 1)), 5),
    "two stimuli exchanged": (IMAGES[[1, 0, *range(2, 16)]], 0),
    "one value of one stimulus": (changed(6, IMAGES[6] + 1e-7), 6),
    "another precision": (IMAGES.double(), 0),
}


@pytest.mark.parametrize("case", STIMULI)
def test_other_stimuli_are_refused_by_their_number(store, case):
    images, first = STIMULI[case]
    stimuli = [(images[i : i + 4], {"label": LABELS[i : i + 4]}) for i in (0, 4, 8, 12)]
    with pytest.raises(RecordingError, match=f"what is shown of stimulus {first} differ"):
        finish(store, stimuli)


def test_other_coordinates_are_refused_by_their_number(store):
    labels = LABELS.copy()
    labels[5] = 7
    stimuli = [(IMAGES[i : i + 4], {"label": labels[i : i + 4]}) for i in (0, 4, 8, 12)]
    with pytest.raises(RecordingError, match="its coordinates of stimulus 5 differ"):
        finish(store, stimuli)


# --- settings ----------------------------------------------------------------------------------

SETTINGS = {
    "seed": ({"seed": 2}, "seed: stored 1, asked 2"),
    "batch size": ({"batch_size": 2}, "batch_size: stored 4, asked 2"),
    "dtype": ({"dtype": "float16"}, "dtype: stored 'float32'"),
    "gradients": ({"grad": True}, "grad: stored False, asked True"),
    "reduction": ({"layers": sites(reduce="mean_xy")}, "sites.core.reduce: stored None"),
    "pick": ({"layers": sites(pick=lambda out: out * 2)}, "sites.core.pick"),
    "calls": ({"layers": sites(calls=[0])}, "sites.core.calls"),
    "layers": ({"layers": ["core"]}, "sites.head"),
    "forward": ({"forward": lambda model, image, coords: model(image * 2)}, "forward: stored None"),
    "resume_key": ({"resume_key": "mine"}, "resume_key: stored None, asked 'mine'"),
}


@pytest.mark.parametrize("case", SETTINGS)
def test_other_settings_are_refused_by_name(store, case):
    options, name = SETTINGS[case]
    with pytest.raises(RecordingError) as error:
        finish(store, **options)
    assert name in str(error.value)


def test_torchs_own_settings_are_compared(store):
    torch.set_float32_matmul_precision("medium")
    try:
        with pytest.raises(RecordingError, match=r"torch\.float32 products: stored 'highest'"):
            finish(store)
    finally:
        torch.set_float32_matmul_precision("highest")


def test_functions_of_a_site_are_compared_by_what_they_capture(tmp_path):
    def by(number):
        return sites(reduce=lambda t: t[:, :1] * number)

    path = tmp_path / "run.zarr"
    begin(path, layers=by(2))
    with pytest.raises(RecordingError, match=r"sites\.core\.reduce"):
        finish(path, layers=by(3))
    finish(path, layers=by(2))


# --- what nobody can compare -------------------------------------------------------------------


def generator():
    yield 1


@pytest.mark.parametrize(
    "thing", [threading.Lock, generator, Path(os.devnull).open, lambda: iter([1])],
    ids=["lock", "generator", "file", "iterator"],
)  # fmt: skip
def test_what_cannot_be_compared_needs_a_key_in_a_store(tmp_path, thing):
    model = Net()
    model.core.source = thing()
    record(model, IMAGES, "head")  # in memory nothing is resumed
    with pytest.raises(RecordingError, match=r"model\.core\.source is of .*resume_key="):
        record(model, IMAGES, "head", store=tmp_path / "run.zarr")
    record(model, IMAGES, "head", store=tmp_path / "run.zarr", resume_key="version 1")
    with pytest.raises(RecordingError, match="resume_key: stored 'version 1', asked 'version 2'"):
        record(model, IMAGES, "head", store=tmp_path / "run.zarr", resume_key="version 2")
    if hasattr(model.core.source, "close"):
        model.core.source.close()


def test_deep_and_circular_things_end(tmp_path):
    model = Net()
    model.core.itself, model.core.loop = [model], []
    model.core.loop.append(model.core.loop)
    record(model, IMAGES, "head", store=tmp_path / "a.zarr")
    deep = []
    for _ in range(10_000):
        deep = [deep]
    model.core.deep = deep
    with pytest.raises(RecordingError, match="nested too deeply"):
        record(model, IMAGES, "head", store=tmp_path / "b.zarr")


# --- what is accepted --------------------------------------------------------------------------


def test_the_same_again_resumes_and_is_equal_to_the_bit(store, tmp_path):
    resumed, whole = finish(store), finish(tmp_path / "whole.zarr")
    for layer in whole:
        np.testing.assert_array_equal(resumed[layer], whole[layer])


def test_what_the_forward_pass_itself_changes_is_no_difference(store):
    model = Net()
    model.core.calls = 17
    finish(store, model=model)


def test_the_same_script_resumes_in_another_process(tmp_path):
    """Hash seeds differ between processes, and with them the order of a set of strings."""
    script = tmp_path / "script.py"
    script.write_text(
        textwrap.dedent(
            f"""
            import sys, torch
            from attnsci.recording import record, Site
            NAMES = {{"one", "two", "three", "four"}}
            class Net(torch.nn.Module):
                def __init__(self):
                    super().__init__()
                    torch.manual_seed(0)
                    self.core, self.kinds = torch.nn.Linear(3, 2), {{"a", "b", "c", "d"}}
                def forward(self, x):
                    assert "two" in NAMES
                    return self.core(x)
            def some(t):
                return t if "three" in {{"one", "two", "three", "four"}} else -t
            def stream():
                for i in range(3):
                    if i == 2 and sys.argv[1] == "stop":
                        raise RuntimeError
                    yield torch.full((2, 3), float(i))
            record(Net(), stream(), Site("core", reduce=some), store={str(tmp_path / "r.zarr")!r},
                   batch_size=2, chunk=2, n_stimuli=6)
            """
        )
    )
    for word, seed, status in (("stop", "1", 1), ("go", "2", 0), ("go", "3", 0)):
        environment = {**os.environ, "PYTHONHASHSEED": seed}
        run = [sys.executable, str(script), word]
        done = subprocess.run(run, env=environment, capture_output=True, text=True)
        assert done.returncode == status, done.stderr
    assert open_recording(tmp_path / "r.zarr")["core"].sizes["stimulus"] == 6


# --- damage and writers ------------------------------------------------------------------------


@pytest.mark.parametrize("damage", ["flip", "cut", "empty", "missing"])
@pytest.mark.parametrize("part", ["core/activation", "head/activation", "stimulus_digests"])
def test_a_damaged_chunk_is_recorded_again_by_the_same_call(store, part, damage):
    whole = {layer: array.values for layer, array in finish(store).items()}
    chunk = sorted(path for path in (store / part / "c").rglob("*") if path.is_file())[1]
    content = bytearray(chunk.read_bytes())
    if damage == "flip":
        content[len(content) // 2] ^= 4
    if damage == "missing":
        chunk.unlink()
    else:
        chunk.write_bytes({"flip": content, "cut": content[:9], "empty": b""}[damage])
    model = Net()
    again = finish(store, model=model)
    assert 1 <= model.core.calls <= 3  # not all four batches, and the first is rerun at most once
    for layer, values in whole.items():
        np.testing.assert_array_equal(again[layer], values)


def test_a_damaged_ledger_is_mended_by_the_same_call(store):
    finish(store)
    for name in ("ledger", "ledger_bytes"):
        chunk = next(path for path in (store / name / "c").rglob("*") if path.is_file())
        chunk.write_bytes(b"\x07")
    with pytest.raises(RecordingError, match="Repeat the record"):
        open_recording(store)
    finish(store)
    open_recording(store)


def test_a_store_has_one_writer(tmp_path):
    path = tmp_path / "run.zarr"
    with Recorder(Net(), "head", store=path, n_stimuli=16) as first:
        for start in range(0, 16, 4):
            assert first.batch(n=4, stimuli=IMAGES[start : start + 4])
            first.model(IMAGES[start : start + 4])
            hold = f"from attnsci.files import claim\nwith claim({str(path)!r}): pass"
            if start == 0:
                done = subprocess.run([sys.executable, "-c", hold], capture_output=True, text=True)
                assert f"is being written by process {os.getpid()} on " in done.stderr
    assert issubclass(InUse, OSError)
    assert [entry.name for entry in tmp_path.iterdir()] == ["run.zarr"]
