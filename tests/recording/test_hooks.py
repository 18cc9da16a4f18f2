"""Correctness at the site: what the module showed, at the moment it showed it."""

import numpy as np
import pytest
import torch
from torch import nn

from attnsci.errors import InvalidInput, RecordingError, UnknownName
from attnsci.recording import Recorder, Site, record, tap

IMAGES = torch.rand(9, 2, 6, 5, generator=torch.Generator().manual_seed(2))
ROWS = torch.rand(9, 4, generator=torch.Generator().manual_seed(3))


def test_in_place_relu_and_residual_addition():
    class Block(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv, self.bn = nn.Conv2d(2, 2, 3, padding=1), nn.BatchNorm2d(2)
            self.relu = nn.ReLU(inplace=True)

        def forward(self, x):
            out = self.bn(self.conv(x))
            self.after_bn = out.clone()
            out += x
            return self.relu(out)

    torch.manual_seed(0)
    model = Block().eval()
    sites = ["bn", Site("relu", what="input", label="sum"), "relu"]
    for batch_size in (9, 2):  # the first batch is copied otherwise than the later ones
        got = record(model, IMAGES, sites, batch_size=batch_size)
        with torch.no_grad():
            bn = model.bn(model.conv(IMAGES)).numpy()
        assert (bn < 0).any()
        np.testing.assert_allclose(got["bn"][:, 0], bn, atol=1e-6)
        np.testing.assert_allclose(got["sum"][:, 0], bn + IMAGES.numpy(), atol=1e-6)
        np.testing.assert_allclose(got["relu"][:, 0], np.maximum(bn + IMAGES.numpy(), 0), atol=1e-6)


class Recurrent(nn.Module):
    def __init__(self, steps=5):
        super().__init__()
        self.cell, self.readout, self.steps = nn.GRUCell(4, 3), nn.Linear(3, 2), steps

    def forward(self, x):
        h = torch.zeros(len(x), 3)
        for _ in range(self.steps if isinstance(self.steps, int) else self.steps(x)):
            h = self.cell(x, h)
        return self.readout(h)


def states(model, x, steps):
    h, all_states = torch.zeros(len(x), 3), []
    with torch.no_grad():
        for _ in range(steps):
            h = model.cell(x, h)
            all_states.append(h.numpy())
    return np.stack(all_states, 1)


def test_several_calls_become_time():
    model = Recurrent()
    got = record(model, ROWS, ["readout", "cell"], batch_size=4)
    assert got.layers == ["cell", "readout"]
    assert got["cell"].dims == ("stimulus", "time", "unit")
    assert got["cell"].sizes["time"] == 5
    assert got["readout"].sizes["time"] == 1
    np.testing.assert_allclose(got["cell"], states(model, ROWS, 5), atol=1e-6)


def test_chosen_calls():
    model = Recurrent()
    got = record(model, ROWS, Site("cell", calls=[4, 1]))["cell"]
    np.testing.assert_allclose(got, states(model, ROWS, 5)[:, [4, 1]], atol=1e-6)
    assert got.time.values.tolist() == [4, 1]
    with pytest.raises(RecordingError, match=r"called 5 times.*calls=\(7,\)"):
        record(model, ROWS, Site("cell", calls=[7]))


def test_coordinates_along_time():
    phases = {"phase": ("time", [0, 0, 1, 1, 1]), "step": ("time", [0, 1, 0, 1, 2])}
    got = record(Recurrent(), ROWS, Site("cell", coords={**phases, "unit": [7, 8, 9]}))["cell"]
    assert got.phase.dims == ("time",)
    assert got.unit.values.tolist() == [7, 8, 9]
    assert got.sel(unit=8).sizes == {"stimulus": 9, "time": 5}
    with pytest.raises(InvalidInput, match=r"shape \(5,\); got \(2,\)"):
        record(Recurrent(), ROWS, Site("cell", coords={"phase": ("time", [0, 1])}))
    with pytest.raises(InvalidInput, match="lies along 'y'"):
        record(Recurrent(), ROWS, Site("cell", coords={"y": [0, 1]}))


def test_data_dependent_loop_is_refused_or_padded():
    def steps(x):
        return int(x.sum(1)[0] * 10) % 3 + 1

    rows = torch.tensor([[0.1, 0, 0, 0], [0.2, 0, 0, 0], [0.0, 0, 0, 0], [0.201, 0, 0, 0]])
    counts = [steps(row[None]) for row in rows]
    assert counts == [2, 3, 1, 3]
    with pytest.raises(RecordingError, match=r"2 times in the first batch and at least 3"):
        record(Recurrent(steps), rows, "cell", batch_size=1)
    with pytest.raises(RecordingError, match=r"2 times in the first batch and 1 times in batch 1"):
        record(Recurrent(steps), rows[[0, 2]], "cell", batch_size=1)
    model = Recurrent(steps)
    for stimuli in (rows, iter([rows[:3], rows[3:]])):
        got = record(model, stimuli, Site("cell", ragged="pad"), batch_size=1)["cell"]
        assert got.n_calls.values.tolist() == counts
        assert got.sizes["time"] == 3
        for i, count in enumerate(counts):
            expected = states(model, rows[i : i + 1], count)[0]
            np.testing.assert_allclose(got[i, :count], expected, atol=1e-6)
            assert np.isnan(got[i, count:]).all()


def test_integers_cannot_be_padded():
    class Argmax(nn.Module):
        def forward(self, x):
            return (x > 0).int()

    with pytest.raises(InvalidInput, match=r"int32, which has no NaN"):
        record(Argmax(), ROWS, Site("", ragged="pad"))


def test_lstm_sequence_and_hidden_state():
    lstm = nn.LSTM(4, 3, num_layers=2, batch_first=True)
    x = torch.rand(9, 6, 4)
    with torch.no_grad():
        sequence, (hidden, cell) = lstm(x)
    sites = [
        Site("", dims=("step", "unit"), label="sequence"),
        Site("", time="axis", dims=("time", "unit"), label="timed"),
        Site("", pick=(1, 0), batch_axis=1, dims=("layer", "unit"), label="hidden"),
        Site("", pick=lambda out: out[1][1], batch_axis=1, dims=("layer", "unit"), label="cell"),
    ]
    got = record(lstm, x, sites, batch_size=4)
    assert got["sequence"].dims == ("stimulus", "time", "step", "unit")
    np.testing.assert_allclose(got["sequence"][:, 0], sequence, atol=1e-6)
    np.testing.assert_allclose(got["timed"], sequence, atol=1e-6)
    np.testing.assert_allclose(got["hidden"][:, 0], hidden.movedim(1, 0), atol=1e-6)
    np.testing.assert_allclose(got["cell"][:, 0], cell.movedim(1, 0), atol=1e-6)
    assert got["sequence"].attrs["pick"] == "first tensor"
    assert got["hidden"].attrs["pick"] == "[1, 0]"
    with pytest.raises(RecordingError, match=r"pick=1 gives no tensor.*tuple\(Tensor\(2, 9, 3\)"):
        record(lstm, x, Site("", pick=1))


def test_the_model_tells_where_its_stimuli_are():
    class TimeFirst(nn.Module):
        def forward(self, x):
            return torch.stack([x, 2 * x])

    got = record(TimeFirst(), ROWS, Site("", dims=("twice", "unit")))["output"]
    np.testing.assert_array_equal(got[:, 0, 1], 2 * ROWS)
    with pytest.raises(RecordingError, match=r"shape \(2, 9, 4\).*axis 0.*9 stimuli"):
        record(TimeFirst(), ROWS, Site("", batch_axis=0, dims=("a", "b")))


class Parts(nn.Module):
    """Gives a dict, takes keywords, keeps an attribute."""

    class Inner(nn.Module):
        def forward(self, x, *, gain):
            self.last = x * gain
            return {"names": ["a"], "gated": self.last.clamp(0.5), "n": 3}

    def __init__(self):
        super().__init__()
        self.inner = Parts.Inner()

    def forward(self, x):
        return self.inner(x, gain=x + 1)["gated"]


def test_dict_keyword_and_attribute():
    sites = [
        Site("inner", label="first"),
        Site("inner", pick="gated", label="gated"),
        Site("inner", what="kwarg", pick="gain", label="gain"),
        Site("inner", what="attr", pick="last", label="last"),
        Site("inner", what="input", label="x"),
    ]
    got = record(Parts(), ROWS, sites, batch_size=4)
    x = ROWS.numpy()
    np.testing.assert_allclose(got["first"][:, 0], np.maximum(x * (x + 1), 0.5), rtol=1e-6)
    np.testing.assert_array_equal(got["gated"], got["first"])
    np.testing.assert_allclose(got["gain"][:, 0], x + 1, rtol=1e-6)
    np.testing.assert_allclose(got["last"][:, 0], x * (x + 1), rtol=1e-6)
    np.testing.assert_array_equal(got["x"][:, 0], x)


@pytest.mark.parametrize(
    ("site", "message"),
    [
        (Site("inner", pick="n"), r"pick='n' gives no tensor.*'gated': Tensor\(9, 4\)"),
        (Site("inner", what="kwarg", pick="bias"), r"'bias'.*\['gain'\] by keyword"),
        (Site("inner", what="attr", pick="first"), "Inner has no attribute 'first'"),
        (Site("inner", what="input", pick=4), "pick=4 gives no tensor"),
    ],
)
def test_what_is_not_there_is_named(site, message):
    with pytest.raises(RecordingError, match=message):
        record(Parts(), ROWS, site)


def test_output_without_any_tensor():
    class Words(nn.Module):
        def forward(self, x):
            return {"label": ["a", "b"]}

    with pytest.raises(RecordingError, match=r"no tensor.*\{'label': list\(str, str\)\}"):
        record(Words(), ROWS, "")


def test_module_shared_at_several_widths_is_explained():
    class Wide(nn.Module):
        def __init__(self):
            super().__init__()
            self.up, self.relu = nn.Linear(4, 8), nn.ReLU()

        def forward(self, x):
            return self.relu(self.up(self.relu(x)))

    model = Wide()
    with pytest.raises(RecordingError, match=r"\(4,\) before and \(8,\) in call 1.*calls=\[0\]"):
        record(model, ROWS, "relu")
    got = record(model, ROWS, Site("relu", calls=[0]))["relu"]
    np.testing.assert_array_equal(got[:, 0], ROWS)


def test_module_that_never_runs():
    model = nn.Sequential(nn.Linear(4, 4))
    model.add_module("idle", nn.Linear(1, 1))
    model.forward = lambda x: model[0](x)
    with pytest.raises(RecordingError, match=r"'idle'.*not called in the first batch"):
        record(model, ROWS, ["0", "idle"])


def test_tap_records_functional_values():
    class Attend(nn.Module):
        def forward(self, x):
            return tap("weights", x.softmax(1)) * x

    got = record(Attend(), ROWS, ["weights", ""], batch_size=4)
    np.testing.assert_allclose(got["weights"][:, 0], ROWS.softmax(1), rtol=1e-6)
    assert got.layers == ["weights", "output"]
    with pytest.raises(UnknownName, match=r"'wieghts'.*'weights'"):
        record(Attend(), ROWS, "wieghts")


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_compiled_module_called_before_it_is_recorded():
    model = Recurrent()
    plain = record(model, ROWS, ["cell", "readout", ""])
    compiled = torch.compile(model, backend="eager")
    before = compiled(ROWS)
    got = record(compiled, ROWS, ["cell", "readout", ""])
    assert got.layers == ["cell", "readout", "output"]
    for layer in got:
        np.testing.assert_array_equal(got[layer], plain[layer])
    assert got.provenance["weights"] == plain.provenance["weights"]
    torch.testing.assert_close(compiled(ROWS), before)

    inner = nn.Sequential(nn.Linear(4, 4), torch.compile(nn.Linear(4, 2), backend="eager"))
    with torch.no_grad():  # in training, dynamo itself warns of the gradients it looks at
        answer = inner(ROWS).numpy()
    np.testing.assert_array_equal(record(inner, ROWS, "1")["1"][:, 0], answer)


def test_training_flags_hooks_and_random_state_are_put_back():
    class Fails(nn.Module):
        def forward(self, x):
            raise ZeroDivisionError("in forward")

    model = nn.Sequential(nn.Linear(4, 4), nn.Dropout(0.5), nn.BatchNorm1d(4), Fails())
    model[2].eval()
    flags = [module.training for module in model.modules()]
    state = torch.get_rng_state()
    with pytest.raises(ZeroDivisionError):
        record(model, ROWS, "0")
    assert [module.training for module in model.modules()] == flags
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in model.modules())
    assert torch.is_grad_enabled()
    model[3] = nn.Identity()
    got = record(model, ROWS, "1")
    assert [module.training for module in model.modules()] == flags
    assert torch.equal(state, torch.get_rng_state())
    np.testing.assert_allclose(got["1"][:, 0], model[0](ROWS).detach(), rtol=1e-6)  # no dropout
    assert not model[2].running_mean.any()


def test_dataparallel_and_nesting_are_refused():
    model = nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 4))
    with pytest.raises(RecordingError, match=r"model\.module"):
        record(nn.DataParallel(model), ROWS, "module.0")
    with Recorder(model, "0") as outer:
        outer.batch(n=9)
        with pytest.raises(RecordingError, match="'0' is being recorded"):
            record(model, ROWS, ["1", "0"])
        inner = record(model, ROWS, "1")  # another site is fine
    np.testing.assert_array_equal(inner["1"][:, 0], model(ROWS).detach())


def test_gradients_only_where_asked():
    class Gradient(nn.Module):
        def forward(self, x):
            gain = torch.ones_like(x, requires_grad=True)
            loss = (x * gain).pow(2).sum()
            return tap("gradient", torch.autograd.grad(loss, gain)[0])

    got = record(Gradient(), ROWS, "gradient", grad=True)["gradient"]
    np.testing.assert_allclose(got[:, 0], 2 * ROWS**2, rtol=1e-6)
    with pytest.raises(RuntimeError, match="does not require grad"):
        record(Gradient(), ROWS, "gradient")
