"""Spatial transformers: published sizes, where they start, what they show, what they learn from."""

import dataclasses
import json
from typing import get_args

import numpy as np
import pytest
import torch

from attnsci.errors import InvalidInput, UnknownName
from attnsci.families.what_where.transformer import SpatialTransformer
from attnsci.families.what_where.transformer_config import (
    PRESETS,
    PUBLISHED,
    SamplerName,
    SpatialTransformerConfig,
    preset,
)
from attnsci.gaze import validate
from attnsci.provenance import from_json, to_json
from attnsci.sensors.affine import SAMPLERS
from attnsci.sensors.centred import window

COUNTS = {
    "stn-28": (436_600, 5_520),
    "stn-128": (11_152_428, 335_590),
    "atn": (766_571, 335_491),
    "polo-atn-95": (455_754, 24_674),
    "polo-atn-low": (472_138, 472_138 - 431_080),
    "polo-atn-85": (513_098, 513_098 - 431_080),
    "conv-polo-atn-85": (667_652, 667_652 - 431_080),
}


def noise(n, size, seed=0):
    return torch.rand(n, 1, size, size, generator=torch.Generator().manual_seed(seed))


def made(name, **settings):
    """Return a model of a preset, the same whenever it is called, its features fitted."""
    with torch.random.fork_rng():
        torch.manual_seed(1)
        model = SpatialTransformer(preset(name), **settings)
    if model.measures_features:
        model.fit_features(noise(8, model.config.image_px, 9))
    return model


def awake(model):
    """Give the localisation network's last layer weights, so that images differ in transform."""
    last = getattr(model.localisation, "head", model.localisation)[-1]
    with torch.no_grad():
        last.weight.normal_(0, 0.01, generator=torch.Generator().manual_seed(3))
    return model


def count(module):
    return sum(weights.numel() for weights in module.parameters() if weights.requires_grad)


def test_the_published_networks_are_all_counted():
    assert set(COUNTS) == set(PUBLISHED)


@pytest.mark.parametrize("name", COUNTS)
@pytest.mark.parametrize("kind", ["", "-bounded"])
def test_parameters_are_counted(name, kind):
    with torch.device("meta" if name == "stn-128" and kind else "cpu"):
        model = SpatialTransformer(preset(name + kind))
    assert (count(model), count(model.localisation)) == COUNTS[name]


def test_sampler_names_are_those_of_the_sensors():
    assert get_args(SamplerName) == tuple(SAMPLERS)


@pytest.mark.parametrize("name", [name for name in PRESETS if "stn-128" not in name])
def test_shapes_gradients_and_determinism(name):
    model, size = awake(made(name)), preset(name).image_px
    images = noise(3, size)
    found = model.rollout(images)
    assert found.logits.shape == (3, 10)
    assert found.seen.shape == (3, 1, 28, 28)
    assert found.locations.shape == (3, 2, 2)
    assert torch.equal(found.locations[:, 0], torch.full((3, 2), size / 2))
    assert not torch.equal(found.locations[0, 1], found.locations[1, 1])
    assert torch.equal(model(images), found.logits)
    alone = model.rollout(images[1:2]).logits
    torch.testing.assert_close(alone, found.logits[1:2], rtol=1e-4, atol=1e-5)
    torch.nn.functional.cross_entropy(found.logits, torch.tensor([1, 2, 3])).backward()
    gradients = {key: weights.grad for key, weights in model.named_parameters()}
    assert all(bool(gradient.abs().sum() > 0) for gradient in gradients.values())


@pytest.mark.parametrize("kind", ["", "-bounded"])
def test_stn_128_shows_the_image_at_the_start(kind):
    model, images = made(f"stn-128{kind}"), noise(1, 128)
    with torch.no_grad():
        found = model.rollout(images)
    assert found.logits.shape == (1, 10)
    torch.testing.assert_close(found.seen, images, rtol=0, atol=1e-5)


@pytest.mark.parametrize("kind", ["", "-bounded"])
def test_stn_28_shows_the_image_at_the_start(kind):
    images = noise(5, 28)
    seen = made(f"stn-28{kind}").rollout(images).seen
    torch.testing.assert_close(seen, images, rtol=0, atol=1e-5)


@pytest.mark.parametrize("name", ["atn", "polo-atn-95", "polo-atn-85", "conv-polo-atn-85"])
def test_attention_starts_at_the_centre_with_a_scale_of_a_fifth(name):
    """On a plane that rises to the right and down, interpolation is exact: read the places off."""
    along = (torch.arange(128) + 0.5) / 128
    images = torch.stack([along.expand(128, 128), along[:, None].expand(128, 128)])[:, None]
    seen = made(name).rollout(images).seen[:, 0]
    wanted = 0.5 + 0.2 * ((torch.arange(28) + 0.5) / 28 - 0.5)
    torch.testing.assert_close(seen[0], wanted.expand(28, 28), rtol=0, atol=1e-5)
    torch.testing.assert_close(seen[1], wanted[:, None].expand(28, 28), rtol=0, atol=1e-5)


def test_bounded_attention_starts_with_the_pixels_of_the_centre():
    images = noise(2, 128)
    seen = made("polo-atn-95-bounded").rollout(images).seen
    torch.testing.assert_close(seen, images[..., 50:78, 50:78], rtol=0, atol=2e-5)


def test_attention_that_can_zoom_starts_wide():
    """On a ramp of a 200th a pixel, 28 samples of 40 pixels about the centre."""
    ramp = (torch.arange(128.0) + 0.5) / 200
    seen = made("atn-bounded").rollout(ramp.expand(1, 1, 128, 128)).seen
    wanted = (64 + 40 * ((torch.arange(28.0) + 0.5) / 28 - 0.5)) / 200
    torch.testing.assert_close(seen[0, 0], wanted.expand(28, 28), rtol=0, atol=1e-4)


def test_the_landing_is_where_the_classifier_sees():
    """A bounded translation of whole pixels shows the window about its landing."""
    model, images = made("polo-atn-95-bounded"), noise(4, 128)
    shift = torch.tensor([-20.0, 9.0]) / 64
    with torch.no_grad():
        model.localisation.head[-1].bias.copy_(torch.atanh(shift / 0.7))
        found = model.rollout(images)
    landing = torch.tensor([[44.0, 73.0]] * 4)
    torch.testing.assert_close(found.locations[:, 1], landing, rtol=0, atol=1e-4)
    torch.testing.assert_close(found.seen, window(images, landing, 28), rtol=0, atol=1e-4)


def test_contrast_is_nothing_to_convolutions_that_are_standardised():
    images = noise(3, 28)
    for name, same in (("stn-28-bounded", True), ("stn-28", False)):
        network = awake(made(name)).localisation
        told, faint = network(images), network(0.5 * images + 0.2)
        between = (told[0] - told[1]).abs().max()
        assert between > 0
        assert bool((told - faint).abs().max() < 0.02 * between) == same, name
    counts = [sum(p.numel() for p in made(name).parameters()) for name in ("atn", "atn-bounded")]
    assert counts[0] == counts[1]
    assert not made("stn-28-bounded").measures_features
    assert made("polo-atn-95-bounded").measures_features


def test_features_are_standardised_by_the_images_that_were_fitted():
    model, images = SpatialTransformer(), noise(50, 128, 4)
    with pytest.raises(InvalidInput, match="not known yet"):
        model(images[:1])
    model.fit_features(images)
    features = model.localisation.features(images)
    torch.testing.assert_close(features.mean(0), torch.zeros(768), rtol=0, atol=1e-4)
    torch.testing.assert_close(features.std(0, correction=0), torch.ones(768), rtol=0, atol=1e-3)
    twin = SpatialTransformer()
    twin.load_state_dict(model.state_dict())
    assert torch.equal(twin(images[:3]), model(images[:3]))


def test_a_circular_azimuth_has_no_seam():
    """Turning inner and outer features by azimuths turns what the convolutions make of them."""
    bounded, published = made("conv-polo-atn-85-bounded"), made("conv-polo-atn-85")
    features = torch.randn(2, 8, 4, 16, generator=torch.Generator().manual_seed(5))
    turned = features.roll(4, -1)
    with torch.no_grad():
        for model, same in ((bounded, True), (published, False)):
            before = model.localisation.inner(features).roll(2, -1)
            close = torch.allclose(model.localisation.inner(turned), before, atol=1e-5)
            assert close is same


@pytest.mark.parametrize("name", ["atn", "atn-bounded", "polo-atn-95-bounded"])
def test_scanpaths_go_from_the_centre_to_where_the_transform_looks(name):
    model, images = awake(made(name)), noise(5, 128)
    paths = validate(model.look(images, image=list("abcde"), chunk=2))
    found = model.rollout(images)
    assert paths.n_fixations.values.tolist() == [2] * 5
    assert paths.image.values.tolist() == list("abcde")
    xy = np.stack([paths.x.values, paths.y.values], -1)
    np.testing.assert_allclose(xy, found.locations.detach().numpy(), atol=1e-3)
    theta = paths["theta"].values
    np.testing.assert_allclose(64 * theta[:, [2, 5]] + 64, xy[:, 1], atol=1e-3)
    np.testing.assert_allclose(paths["zoom"].values, np.abs(theta[:, 0]), atol=1e-6)
    assert paths["prediction"].values.tolist() == found.logits.argmax(1).tolist()
    best = found.logits.softmax(1).amax(1).detach().numpy()
    np.testing.assert_allclose(paths["confidence"].values, best, rtol=1e-4)
    assert json.loads(paths.attrs["provenance"])["config"]["sampler"] == model.config.sampler


@pytest.mark.parametrize("sampler", ["similarity-bounded", "thin-plate-bounded"])
def test_other_transforms_fit_the_same_parts(sampler):
    model = SpatialTransformer(sampler=sampler, standardised=False, image_px=64)
    paths = model.look(noise(2, 64))
    np.testing.assert_allclose(paths.x.values, 32, atol=1e-4)
    assert ("zoom" in paths) is (sampler == "similarity-bounded")


@pytest.mark.parametrize("name", PRESETS)
def test_configurations_survive_json(name):
    config = preset(name)
    assert from_json(SpatialTransformerConfig, to_json(config)) == config


@pytest.mark.parametrize(
    "images",
    [torch.rand(2, 1, 28, 30), torch.rand(2, 3, 28, 28), torch.rand(1, 28, 28),
     2 * torch.ones(1, 1, 28, 28), torch.full((1, 1, 28, 28), torch.nan),
     torch.zeros(1, 1, 28, 28, dtype=torch.uint8)],
)  # fmt: skip
def test_images_that_cannot_be_looked_at(images):
    model = made("stn-28")
    with pytest.raises(InvalidInput, match=r"images must|Image '0'"):
        model(images)


@pytest.mark.parametrize(
    ("settings", "message"),
    [({"conv_channels": (8,)}, "belong to localisation"),
     ({"localisation": "conv", "standardised": False}, "needs one or more"),
     ({"circular": True}, "circular is for"), ({"sampler": "stn"}, "sampler must be"),
     ({"localisation": "fc"}, "localisation must be"), ({"n_classes": 0}, "n_classes must be")],
)  # fmt: skip
def test_settings_that_do_not_fit(settings, message):
    with pytest.raises(InvalidInput, match=message):
        SpatialTransformerConfig(**settings)


def test_convolutions_that_leave_nothing():
    config = dataclasses.replace(preset("atn"), image_px=48)
    with pytest.raises(InvalidInput, match="leave too little of 48 pixels"):
        SpatialTransformer(config)


def test_only_a_network_with_statistics_can_be_fitted():
    with pytest.raises(InvalidInput, match="no retina"):
        made("stn-28").fit_features(noise(2, 28))
    with pytest.raises(InvalidInput, match="does not standardise"):
        made("polo-atn-95").fit_features(noise(2, 128))


def test_unknown_presets_list_the_nearest():
    with pytest.raises(UnknownName, match="'polo-atn-95'"):
        preset("polo-atn-96")
