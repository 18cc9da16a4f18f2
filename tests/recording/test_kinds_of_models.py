"""Models of every make: recorded as they run, or refused with the line that helps."""

import collections
import dataclasses
import functools
import io
import warnings

import numpy as np
import pytest
import torch
from torch import nn

from attnsci import load_torchvision
from attnsci.errors import InvalidInput, RecordingError
from attnsci.recording import Site, record

IMAGES = torch.rand(4, 1, 8, 8, generator=torch.Generator().manual_seed(0))


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv, self.relu, self.drop = nn.Conv2d(1, 2, 3), nn.ReLU(), nn.Dropout(0.5)
        self.fc = nn.Linear(72, 3)

    def forward(self, image):
        return self.fc(self.drop(self.relu(self.conv(image))).flatten(1))


def quiet(make, *args, **settings):
    """Let torch warn of its own deprecations while a test makes its model."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return make(*args, **settings)


def net():
    torch.manual_seed(3)
    return Net().eval()


def plain(layers=("fc",)):
    """Return what the eager model's layers give, batch by batch of two."""
    return {k: record(net(), IMAGES, list(layers), batch_size=2)[k].values for k in layers}


def scripted():
    return quiet(torch.jit.script, net())


def traced():
    return quiet(torch.jit.trace, net(), IMAGES[:2])


def reloaded():
    buffer = io.BytesIO()
    quiet(torch.jit.save, scripted(), buffer)
    buffer.seek(0)
    return quiet(torch.jit.load, buffer)


def frozen():
    return quiet(torch.jit.freeze, scripted())


def exported(batch=2):
    return quiet(torch.export.export, net(), (IMAGES[:batch],))


class Inside(nn.Module):
    def __init__(self, model):
        super().__init__()
        self.inner = model

    def forward(self, image):
        return self.inner(image)


@pytest.mark.parametrize("make", [scripted, traced, reloaded, frozen])
def test_a_script_is_recorded_as_one_piece(make):
    model = make()
    wanted = plain()["fc"]
    for whole, site in ((model, ""), (Inside(model), "inner")):
        got = record(whole, IMAGES, site, batch_size=2)[site or "output"]
        np.testing.assert_allclose(got, wanted, rtol=1e-5, atol=1e-6)
    assert record(model, IMAGES, Site("", what="input"))["output"].shape == (4, 1, 1, 8, 8)
    assert not model._forward_hooks
    if make is not frozen:
        with pytest.raises(RecordingError, match=r"run as one piece. Record '' for its output"):
            record(model, IMAGES, "conv")
        with pytest.raises(RecordingError, match=r"run as one piece. Record 'inner' for its"):
            record(Inside(model), IMAGES, ["inner", "inner.conv"])


def test_a_script_is_put_back_in_its_mode():
    model = scripted().train()
    wanted = plain()["fc"]
    np.testing.assert_allclose(record(model, IMAGES, "", batch_size=2)["output"], wanted, 1e-5)
    assert model.training
    assert model.drop.training


def test_an_exported_program_is_recorded_as_one_piece_or_unflattened():
    program = exported()
    with pytest.raises(InvalidInput, match=r"ExportedProgram.*unflatten\(program\).*\.module\(\)"):
        record(program, IMAGES, "")
    wanted = plain(["conv", "fc"])
    whole = quiet(program.module)
    for model, site in ((whole, ""), (Inside(whole), "inner")):
        got = record(model, IMAGES, site, batch_size=2)[site or "output"]
        np.testing.assert_allclose(got, wanted["fc"], rtol=1e-5, atol=1e-6)
    with pytest.raises(RecordingError, match=r"one piece. Record '' .*unflatten\(program\)"):
        record(whole, IMAGES, "conv", batch_size=2)
    with pytest.raises(InvalidInput, match=r"\(4, 1, 8, 8\) came.*batch_size=.*dynamic_shapes="):
        record(whole, IMAGES, "")
    unflat = quiet(torch.export.unflatten, program)
    got = record(unflat, IMAGES, ["conv", "fc"], batch_size=2)
    for layer, values in wanted.items():
        np.testing.assert_allclose(got[layer], values, rtol=1e-5, atol=1e-6)


def test_a_graph_module_has_its_modules():
    wanted = plain(["conv", "fc"])
    got = record(torch.fx.symbolic_trace(net()), IMAGES, ["conv", "fc"], batch_size=2)
    for layer, values in wanted.items():
        np.testing.assert_array_equal(got[layer], values)


def test_quantised_models():
    model = quiet(torch.ao.quantization.quantize_dynamic, net(), {nn.Linear})
    got = record(model, IMAGES, ["conv", "fc"])
    np.testing.assert_allclose(got["fc"], plain()["fc"], atol=0.1)

    class Quantises(nn.Module):
        def forward(self, image):
            return torch.quantize_per_tensor(image, 0.25, 0, torch.quint8)

    got = quiet(record, Quantises(), IMAGES, "")["output"]
    np.testing.assert_array_equal(got[:, 0], (IMAGES / 0.25).round() * 0.25)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_models_of_another_precision(dtype):
    model = net().to(dtype)
    got = record(model, IMAGES, ["conv", "fc"])
    with torch.no_grad():
        np.testing.assert_array_equal(got["fc"][:, 0], model(IMAGES.to(dtype)).float())
    assert got["fc"].dtype == np.float32
    assert next(model.parameters()).dtype == dtype


@pytest.mark.parametrize("layout", ["to_sparse", "to_sparse_csr"])
def test_sparse_weights(layout):
    class Readout(nn.Module):
        def __init__(self, weight):
            super().__init__()
            self.weight = nn.Parameter(quiet(getattr(weight, layout)))

        def forward(self, image):
            return torch.sparse.mm(self.weight, image.flatten(1).T).T

    dense = torch.eye(64)[::2] * 3
    got = record(Readout(dense), IMAGES, "")
    np.testing.assert_allclose(got["output"][:, 0], IMAGES.flatten(1) @ dense.T, rtol=1e-6)
    weights = got.provenance["weights"]
    assert record(Readout(dense * 2), IMAGES, "").provenance["weights"] != weights


def test_sparse_outputs_are_written_out_and_nested_ones_refused():
    class Sparse(nn.Module):
        def forward(self, image):
            return (image * (image > 0.5)).flatten(1).to_sparse()

    np.testing.assert_array_equal(
        record(Sparse(), IMAGES, "")["output"][:, 0], (IMAGES * (IMAGES > 0.5)).flatten(1)
    )

    class Nested(nn.Module):
        def forward(self, image):
            return torch.nested.nested_tensor(
                [image[i, 0, : i + 1] for i in range(len(image))], layout=torch.jagged
            )

    with pytest.raises(RecordingError, match=r"nested tensor.*to_padded_tensor"):
        record(Nested(), IMAGES, "")
    padded = Site("", dims=("row", "x"), pick=lambda value: value.to_padded_tensor(-1.0, (4, 4, 8)))
    got = record(Nested(), IMAGES, padded)["output"]
    np.testing.assert_array_equal(got[2, 0, :3], IMAGES[2, 0, :3])
    assert (got[2, 0, 3] == -1).all()


@dataclasses.dataclass
class Answer:
    note: str
    logits: torch.Tensor


Named = collections.namedtuple("Named", "note logits")


class Returns(nn.Module):
    def __init__(self, wrap):
        super().__init__()
        self.wrap = wrap

    def forward(self, image):
        return self.wrap(image.flatten(1))


@pytest.mark.parametrize(
    "wrap",
    [
        lambda t: Answer("seen", t),
        lambda t: {"answer": Answer("seen", t)},
        lambda t: Named("seen", t),
        lambda t: collections.OrderedDict(note=None, logits=t),
        lambda t: [None, (1, t)],
    ],
)
def test_the_first_tensor_of_what_a_model_returns(wrap):
    got = record(Returns(wrap), IMAGES, "")["output"]
    np.testing.assert_array_equal(got[:, 0], IMAGES.flatten(1))


def test_tensors_by_name_and_what_a_model_returns_without_one():
    got = record(Returns(lambda t: Answer("seen", t)), IMAGES, Site("", pick="logits"))["output"]
    np.testing.assert_array_equal(got[:, 0], IMAGES.flatten(1))
    with pytest.raises(RecordingError, match=r"no tensor in its output, which is Answer\(note=str"):
        record(Returns(lambda t: Answer("seen", None)), IMAGES, "")


def test_outputs_of_transformers():
    load_torchvision()  # which transformers imports, too
    transformers = pytest.importorskip("transformers")
    config = transformers.ViTConfig(
        hidden_size=8, num_hidden_layers=1, num_attention_heads=2, intermediate_size=8,
        image_size=8, patch_size=4, num_channels=1, num_labels=3,
    )  # fmt: skip
    model = transformers.ViTForImageClassification(config).eval()
    got = record(model, IMAGES, "")["output"]
    with torch.no_grad():
        np.testing.assert_array_equal(got[:, 0], model(IMAGES).logits)


def test_compiled_models_run_eagerly():
    model = quiet(torch.compile, net(), backend="eager")
    got = quiet(record, model, IMAGES, ["conv", "fc"], batch_size=2)
    np.testing.assert_array_equal(got["fc"], plain()["fc"])


def lazy():
    return quiet(nn.Sequential, nn.Flatten(), quiet(nn.LazyLinear, 3))


def partly_meta():
    model = net()
    model.fc = model.fc.to("meta")
    return model


def fake():
    from torch._subclasses import FakeTensorMode

    with FakeTensorMode():
        return nn.Linear(8, 2)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Net, r"the class Net\. Make one of it: Net\(\.\.\.\)"),
        (lambda: torch.relu, r"builtin_function_or_method\. Call it in the forward"),
        (lambda: lambda image: image, r"function\. Call it in the forward\(self, image\)"),
        (lambda: functools.partial(net()), r"partial\. Call it in the forward"),
        (lambda: net().forward, r"a method of one.*model\.forward\(image\)"),
        (lambda: net().state_dict(), r"OrderedDict.*load_state_dict"),
        (lambda: "resnet18", r"got str\.$"),
        (lambda: [net()], r"got list\.$"),
        (lambda: None, r"got NoneType\.$"),
        (lazy, r"'1\.weight' gets its shape.*Run it once.*model\(image\[:1\]\)"),
        (lambda: net().to("meta"), r"'conv\.weight' has no values \(device 'meta'\)"),
        (partly_meta, r"'fc\.weight' has no values"),
        (fake, r"'weight' has no values"),
    ],
)
def test_what_is_no_model_that_runs(make, message):
    with pytest.raises(InvalidInput, match=message):
        record(make(), IMAGES, "")


def test_a_lazy_model_is_recorded_once_it_has_run():
    model = lazy()
    model(IMAGES)
    got = record(model, IMAGES, "1")["1"]
    with torch.no_grad():
        np.testing.assert_array_equal(got[:, 0], model(IMAGES))
