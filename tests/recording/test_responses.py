"""`collect`: what a model answers, labelled, streamed and resumed as recordings are."""

import numpy as np
import pytest
import torch
import xarray as xr

from attnsci.data.stimuli import Images
from attnsci.errors import InvalidInput, RecordingError
from attnsci.recording import Site, classifier, collect

N = 11


@pytest.fixture
def images():
    generator = torch.Generator().manual_seed(0)
    return Images(torch.rand(N, 1, 4, 4, generator=generator), {"label": np.arange(N) % 3})


@pytest.fixture
def net():
    torch.manual_seed(0)
    return torch.nn.Sequential(
        torch.nn.Conv2d(1, 2, 3), torch.nn.Dropout(), torch.nn.Flatten(), torch.nn.Linear(8, 3)
    )


class Twice:
    """Runs its model twice; answers logits over time, and a number of each image."""

    def __init__(self, model, scale=1.0):
        self.model, self.scale, self.shown = model, scale, 0
        self.settings = {"scale": scale}

    def __call__(self, batch, rows):
        self.shown += rows.stop - rows.start
        once, again = (self.model(self.scale * step * batch.image) for step in (1, 2))
        return {
            "logits": (("time", "class"), torch.stack([once, again], 1)),
            "ink": ((), batch.image.flatten(1).sum(1)),
        }


def test_answers_are_labelled_and_the_model_is_in_evaluation_mode(net, images):
    net.train()
    responses = collect(Twice(net), images, batch_size=4)
    assert net.training and net[1].training
    assert responses["logits"].dims == ("stimulus", "time", "class")
    assert responses["ink"].dims == ("stimulus",)
    assert responses["label"].values.tolist() == (np.arange(N) % 3).tolist()
    assert responses["index"].values.tolist() == list(range(N))
    with torch.no_grad():
        wanted = net.eval()(images.image)
    np.testing.assert_allclose(responses["logits"].isel(time=0), wanted, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(responses["ink"], images.image.sum((1, 2, 3)), rtol=1e-5)


def test_batches_and_stores_change_nothing(net, images, tmp_path):
    whole = collect(Twice(net), images)
    for settings in ({"batch_size": 3}, {"batch_size": 4, "store": tmp_path / "a.zarr"}):
        xr.testing.assert_allclose(
            collect(Twice(net), images, **settings).load().drop_attrs(),
            whole.drop_attrs(),
            rtol=1e-4,
            atol=1e-5,
        )


def test_layers_on_the_way_have_a_time_of_their_own(net, images):
    responses = collect(Twice(net), images, sites=[Site("0", label="conv")], batch_size=4)
    assert responses["conv"].dims == ("stimulus", "time_conv", "channel", "y", "x")
    # The stimulus by which the names are learnt is not recorded.
    assert responses.sizes["time_conv"] == 2 and responses.sizes["time"] == 2
    torch.testing.assert_close(
        torch.as_tensor(responses["conv"].isel(time_conv=1).values),
        net[0](2 * images.image).detach(), rtol=1e-4, atol=1e-5,
    )  # fmt: skip


def test_a_killed_collection_goes_on(net, images, tmp_path):
    class Breaking(Twice):
        breaks = False

        def __call__(self, batch, rows):
            if self.breaks and rows.start >= 6:
                raise KeyboardInterrupt
            return super().__call__(batch, rows)

    how = {"batch_size": 2, "chunk": 2}
    whole = collect(Breaking(net), images, store=tmp_path / "whole.zarr", **how)
    cut, again = Breaking(net), Breaking(net)
    cut.breaks = True
    with pytest.raises(KeyboardInterrupt):
        collect(cut, images, store=tmp_path / "cut.zarr", **how)
    resumed = collect(again, images, store=tmp_path / "cut.zarr", **how)
    # One by which the names are learnt, and those that the killed one did not reach.
    assert again.shown == 1 + N - 6
    np.testing.assert_array_equal(resumed["logits"], whole["logits"])


@pytest.mark.parametrize("change", ["settings", "weights", "images", "labels"])
def test_a_store_goes_on_only_with_what_it_was_begun_with(net, images, tmp_path, change):
    store = tmp_path / "a.zarr"
    collect(Twice(net), images, store=store, batch_size=4)
    ask = Twice(net, 2.0 if change == "settings" else 1.0)
    if change == "weights":
        with torch.no_grad():
            net[3].bias.add_(1)
    if change == "images":
        images = Images(images.image.flip(2), images.metadata)
    if change == "labels":
        images = Images(images.image, {"label": np.arange(N) % 2})
    with pytest.raises(RecordingError):
        collect(ask, images, store=store, batch_size=4)


def test_a_function_with_other_code_is_another_ask(images, tmp_path):
    def ink(batch, rows):
        return {"ink": ((), batch.image.flatten(1).sum(1))}

    def double(batch, rows):
        return {"ink": ((), 2 * batch.image.flatten(1).sum(1))}

    collect(ink, images, store=tmp_path / "a.zarr")
    with pytest.raises(RecordingError, match="ask"):
        collect(double, images, store=tmp_path / "a.zarr")


def test_what_does_not_fit_is_named(net, images):
    with pytest.raises(InvalidInput, match="no stimuli"):
        collect(net, Images(torch.zeros(0, 1, 4, 4)))
    with pytest.raises(InvalidInput, match=r"'logits' should have shape \(stimulus, class\)"):
        collect(lambda batch, rows: {"logits": (("class",), batch.image)}, images)
    with pytest.raises(InvalidInput, match="mapping of names"):
        collect(lambda batch, rows: batch.image, images)

    def moody(batch, rows):
        name = "a" if rows.start == 0 else "b"
        return {name: ((), batch.image.sum((1, 2, 3)))}

    with pytest.raises(InvalidInput, match="Every response needs the same names; got b after a"):
        collect(moody, images, batch_size=4)
    with pytest.raises(InvalidInput, match="Write an ask"):
        collect(torch.nn.Identity(), images)


def test_any_function_to_logits_is_a_classifier(images):
    flat = collect(classifier(lambda image: image.flatten(1)[:, :3]), images)
    assert flat["logits"].dims == ("stimulus", "class")
    timed = collect(classifier(lambda image: image.flatten(1).view(-1, 4, 4)), images)
    assert timed["logits"].dims == ("stimulus", "time", "class")
