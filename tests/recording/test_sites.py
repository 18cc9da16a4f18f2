import numpy as np
import pytest
import torch
from torch import nn

from attnsci.errors import InvalidInput, RecordingError, UnknownName
from attnsci.recording import Site, record
from attnsci.recording.sites import describe, resolve


def network():
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(1, 3, 3), nn.ReLU(), nn.Conv2d(3, 5, 3), nn.Flatten())


IMAGES = torch.rand(10, 1, 8, 7, generator=torch.Generator().manual_seed(1))


def truth(model, depth, images=IMAGES):
    with torch.no_grad():
        return model[:depth](images).numpy()


def test_pattern_takes_every_match_once_in_forward_order():
    class Shared(nn.Module):
        def __init__(self):
            super().__init__()
            self.late, self.early = nn.Linear(3, 3), nn.Linear(3, 3)
            self.alias_early = self.early

        def forward(self, x):
            return self.late(self.early(x))

    assert record(Shared(), torch.rand(2, 3), "*").layers == ["early", "late"]


@pytest.mark.parametrize("name", ["layer4.0.conv9", "layre*"], ids=["name", "pattern"])
def test_unknown_site_lists_the_nearest_names(name):
    model = nn.ModuleDict({"layer4": nn.Sequential(nn.Linear(2, 2)), "readout": nn.Linear(2, 2)})
    model.forward = lambda x: model["readout"](model["layer4"](x))
    with pytest.raises(UnknownName, match=r"layer4.*(?s:.)*|Nearest: 'layer4") as error:
        record(model, torch.rand(3, 2), name)
    assert repr(name) in str(error.value)
    assert "'layer4.0'" in str(error.value)


def test_two_sites_of_one_name_need_a_label():
    model = network()
    with pytest.raises(InvalidInput, match="label="):
        resolve(model, ["0", Site("0", what="input")])
    both = record(model, IMAGES, ["0", Site("0", what="input", label="image")])
    assert both.layers == ["image", "0"]
    np.testing.assert_array_equal(both["image"][:, 0], IMAGES)


def test_slash_is_refused_in_names():
    model = nn.Sequential()
    model._modules["a/b"] = nn.Linear(2, 2)
    with pytest.raises(InvalidInput, match=r"'a/b'.*label="):
        record(model, torch.rand(1, 2), "a/b")
    assert record(model, torch.rand(1, 2), Site("a/b", label="ab")).layers == ["ab"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"what": "weights"}, "Site.what must be one of"),
        ({"dims": ("time", "unit")}, "time='axis'"),
        ({"what": "kwarg"}, "pick='NAME'"),
        ({"calls": [-1]}, "counted from 0"),
        ({"dims": ("a/b",)}, "without '/'"),
        ({"ragged": "pad", "coords": {"phase": ("time", [1])}}, "only at the end"),
    ],
)
def test_bad_site_options(options, message):
    with pytest.raises(InvalidInput, match=message):
        Site("0", **options)


@pytest.mark.parametrize("reduce", ["mean", "pca:0", "pca:x", 3, [1.0]])
def test_bad_reductions(reduce):
    with pytest.raises(InvalidInput, match="reduce must be"):
        record(network(), IMAGES, Site("0", reduce=reduce))


def test_spatial_reductions_and_crop():
    model, full = network(), truth(network(), 1)
    sites = [
        Site("0", reduce="mean_xy", label="mean"),
        Site("0", reduce="max_xy", label="max"),
        Site("0", reduce=(slice(1, 4), slice(2, None, 2)), label="crop"),
        Site("0", reduce=lambda t: t.flatten(1)[:, :4], label="some"),
    ]
    got = record(model, IMAGES, sites)
    assert got["mean"].dims == ("stimulus", "time", "channel")
    np.testing.assert_allclose(got["mean"][:, 0], full.mean((2, 3)), rtol=1e-5)
    np.testing.assert_array_equal(got["max"][:, 0], full.max((2, 3)))
    np.testing.assert_array_equal(got["crop"][:, 0], full[:, :, 1:4, 2::2])
    assert got["crop"].y.values.tolist() == [1, 2, 3]
    assert got["crop"].x.values.tolist() == [2, 4]
    np.testing.assert_array_equal(got["some"][:, 0], full.reshape(10, -1)[:, :4])


def test_mean_of_integers_is_a_float():
    class Counter(nn.Module):
        def forward(self, x):
            return (x > 0.5).int()

    mean = record(Counter(), IMAGES, "", reduce="mean_xy")["output"]
    np.testing.assert_allclose(mean[:, 0], (IMAGES > 0.5).float().mean((2, 3)), rtol=1e-6)


def test_projection_matrix():
    full = truth(network(), 4)
    matrix = np.random.default_rng(0).normal(size=(full.shape[1], 3)).astype(np.float32)
    got = record(network(), IMAGES, "3", reduce=matrix)["3"]
    assert got.dims == ("stimulus", "time", "unit")
    np.testing.assert_allclose(got[:, 0], full @ matrix, rtol=1e-4, atol=1e-5)
    with pytest.raises(RecordingError, match="projection of 2 units met"):
        record(network(), IMAGES, "3", reduce=np.eye(2))


def test_pca_equals_the_singular_value_decomposition():
    full = truth(network(), 1).reshape(10, -1)
    left, values, _ = np.linalg.svd(full - full.mean(0), full_matrices=False)
    got = record(network(), IMAGES, "0", reduce="pca:3", batch_size=4)
    scores = got["0"].values[:, 0]
    np.testing.assert_allclose(abs(scores), abs(left * values)[:, :3], atol=1e-4)
    assert got["0"].attrs["reduce"] == "pca:3"


def test_pca_of_more_rows_than_its_rank():
    rng = np.random.default_rng(0)
    rows = (rng.normal(size=(300, 40)) * 0.8 ** np.arange(40)).astype(np.float32)
    scores = record(nn.Identity(), torch.tensor(rows), "", reduce="pca:4", batch_size=50)
    _, values, right = np.linalg.svd(rows - rows.mean(0), full_matrices=False)
    exact = (rows - rows.mean(0)) @ right[:4].T
    for k in range(4):
        assert abs(np.corrcoef(exact[:, k], scores["output"][:, 0, k])[0, 1]) > 0.9999
    np.testing.assert_allclose(
        scores["output"][:, 0].var("stimulus") * 300, values[:4] ** 2, rtol=1e-3
    )


def test_pca_needs_stimuli_that_can_be_read_twice():
    with pytest.raises(InvalidInput, match="read once"):
        record(network(), iter([IMAGES]), "0", reduce="pca:2")
    with pytest.raises(InvalidInput, match="more components than"):
        record(network(), IMAGES, "0", reduce="pca:11")


def test_reductions_that_do_not_fit_the_layer():
    with pytest.raises(RecordingError, match="needs y and x"):
        record(network(), IMAGES, "3", reduce="mean_xy")
    with pytest.raises(RecordingError, match="same first axis"):
        record(network(), IMAGES, "3", reduce=lambda t: t.sum(0))


def test_functions_are_named_by_their_code():
    def first(t):
        return t + 1

    def second(t):
        return t + 2

    second.__qualname__ = first.__qualname__
    assert describe(first) != describe(second)
    assert describe(np.eye(2)) == describe(np.eye(2)) != describe(np.eye(3))
