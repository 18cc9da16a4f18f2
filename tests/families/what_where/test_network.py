"""What and Where: sizes, where the eye goes and stops, evidence, inhibition, the trace."""

import json
import math

import numpy as np
import pytest
import torch
from torch import nn

from attnsci.errors import InvalidInput, UnknownName
from attnsci.families.what_where.config import (
    WHERE_PRESETS,
    WhatConfig,
    WhatWhereConfig,
    WhereConfig,
    where_preset,
)
from attnsci.families.what_where.network import WhatWhere
from attnsci.families.what_where.pathways import WhatNet, WhereNet, where_retina
from attnsci.gaze import validate
from attnsci.provenance import from_json, to_json

SMALL = WhereConfig(
    image_px=64, n_theta=2, n_azimuth=8, n_ecc=4, hidden=20, batch_norm=False, standardised=False
)


@pytest.fixture(scope="module", autouse=True)
def bank_folder(tmp_path_factory):
    """Banks of these tests stay out of the user's cache."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ATTNSCI_CACHE", str(tmp_path_factory.mktemp("banks")))
        yield


@pytest.fixture(scope="module")
def nets():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        what, where = WhatNet(), WhereNet(SMALL, standardised=True)
        # Standardised among noise, features differ from image to image; and so do saccades.
        where.fit_features(where_retina(SMALL)(torch.rand(50, 1, 64, 64)))
        with torch.no_grad():
            where.layers[-1].weight.mul_(3)
            where.layers[-1].bias.sub_(2)
            what[-1].weight.mul_(30)
    return what.eval(), where.eval()


@pytest.fixture
def images():
    return torch.rand(6, 1, 64, 64, generator=torch.Generator().manual_seed(2))


class Script(nn.Module):
    """A Where that says the same of every image, whatever it sees."""

    def __init__(self, logits):
        super().__init__()
        self.config, self.logits = SMALL, torch.as_tensor(logits)

    def forward(self, features):
        return self.logits.expand(len(features), -1)


class Answers(nn.Module):
    """A What whose logits are a linear map of the mean of what it sees."""

    config = WhatConfig()

    def forward(self, images):
        mean = images.mean((1, 2, 3))
        return torch.stack([mean, 1 - mean, torch.zeros_like(mean)], 1)


def test_no_saccade_is_the_crop_at_the_centre(nets, images):
    model = WhatWhere(*nets, n_saccades=0)
    found = model.rollout(images)
    assert torch.equal(found.seen[:, 0], images[..., 18:46, 18:46])
    assert torch.equal(found.evidence[:, 0], nets[0](images[..., 18:46, 18:46]))
    assert torch.equal(found.logits, found.evidence.log_softmax(-1))
    assert torch.equal(found.locations, torch.full((6, 1, 2), 32.0))
    assert found.n_fixations.tolist() == [1] * 6
    assert found.where.shape == (6, 0, 32)
    assert found.gain.shape == (6, 0)
    assert torch.equal(model(images), found.logits[:, 0])


def test_an_oracle_sees_the_crop_where_it_is_told(nets, images):
    first = torch.tensor([[20.0 + i, 40.0 - 3 * i] for i in range(6)])
    found = WhatWhere(*nets).rollout(images, first=first, n_saccades=0)
    for i in range(6):
        x, y = first[i].int().tolist()
        assert torch.equal(found.seen[i, 0, 0], images[i, 0, y - 14 : y + 14, x - 14 : x + 14])


@pytest.mark.parametrize("target", ["peak", "ring", "centroid"])
def test_saccades_go_to_the_best_cell_from_wherever_the_eye_is(nets, images, target):
    model = WhatWhere(*nets, n_saccades=3, target=target)
    with torch.no_grad():
        found = model.rollout(images)
    offset = model.colliculus.targets(target).round()
    assert len(found.locations[:, 1].unique(dim=0)) > 1
    for t in range(3):
        where = nets[1](model.retina(images, found.locations[:, t]))
        torch.testing.assert_close(found.where[:, t], where, rtol=1e-4, atol=1e-4)
        step = offset[found.where[:, t].argmax(1)]
        wanted = (found.locations[:, t] + step.flip(1)).clamp(14, 50)
        assert torch.equal(found.locations[:, t + 1], wanted)
    assert found.n_fixations.tolist() == [4] * 6


def test_the_direction_of_a_saccade(nets, images):
    """Cell 2 · n_ecc + 3 lies on the column axis: it takes the eye to the right."""
    logits = torch.zeros(32)
    logits[2 * 4 + 2] = 1.0
    model = WhatWhere(nets[0], Script(logits), n_saccades=1, target="ring")
    landing = model.rollout(images).locations[0, 1]
    radius = math.sqrt(2) * 32 * 0.8 / 1.41**2
    assert landing.tolist() == [min(32 + round(radius), 50), 32]


def test_each_image_is_looked_at_as_if_alone(nets, images):
    model = WhatWhere(*nets, n_saccades=3, stop="gain", accumulate=True, inhibition_px=4)
    with torch.no_grad():
        together = model.rollout(images)
        alone = [model.rollout(image[None]) for image in images]
    again = model.rollout(images)
    for name, value in together._asdict().items():
        assert torch.equal(getattr(again, name), value)
        each = torch.cat([getattr(one, name) for one in alone])
        torch.testing.assert_close(each, value, rtol=1e-3, atol=1e-4)


def test_evidence_is_multiplied(nets, images):
    with torch.no_grad():
        last = WhatWhere(*nets, n_saccades=2).rollout(images)
        model = WhatWhere(*nets, n_saccades=2, accumulate=True, temperature=2.0)
        found = model.rollout(images)
    assert torch.equal(last.logits, last.evidence.log_softmax(-1))
    product = (found.evidence / 2).softmax(-1).cumprod(1)
    wanted = product / product.sum(-1, keepdim=True)
    torch.testing.assert_close(found.logits.exp(), wanted, rtol=1e-4, atol=1e-6)


def test_a_visited_place_is_not_visited_again(nets, images):
    """Two opposite cells, the first better: without inhibition there, and there again."""
    there, back = 2 * 4, 6 * 4
    logits = torch.full((32,), -5.0)
    logits[there], logits[back] = 2.0, 1.0
    script = Script(logits)
    free = WhatWhere(nets[0], script, n_saccades=2, target="ring")
    step = float(free.targets[there, 0])
    assert free.rollout(images).locations[0, :, 0].tolist() == [32, 32 + step, 32 + 2 * step]
    # At the right edge the best cell is where the eye is; back is where it came from.
    at_edge = torch.tensor([50.0, 32.0])
    stuck = free.rollout(images, first=at_edge, n_saccades=1).locations[0, :, 0]
    assert stuck.tolist() == [50, 50]
    inhibited = WhatWhere(nets[0], script, n_saccades=2, target="ring", inhibition_px=3)
    found = inhibited.rollout(images, first=at_edge).locations[0]
    assert found[:2, 0].tolist() == [50, 50 - step]
    distance = torch.cdist(found, found) + 99 * torch.eye(3)
    assert float(distance.min()) >= 3


def test_the_eye_stays_where_nothing_is_left_to_visit(nets, images):
    found = WhatWhere(*nets, n_saccades=3, inhibition_px=500).rollout(images)
    assert found.n_fixations.tolist() == [1] * 6
    assert torch.equal(found.locations, torch.full((6, 4, 2), 32.0))
    assert bool((found.gain == -torch.inf).all())
    assert torch.equal(found.logits, found.logits[:, :1].expand(-1, 4, -1))


def test_looking_stops_where_no_information_is_gained(images):
    """Confidence here is the largest of softmax((m, 1 − m, 0)), m the mean of the crop."""
    levels = np.array([0.0, 0.25, 0.5, 0.75, 1.0, 0.1])
    flat = torch.from_numpy(levels).float().view(-1, 1, 1, 1).expand(-1, 1, 64, 64)
    odds = np.exp([levels, 1 - levels, 0 * levels])
    confidence = odds.max(0) / odds.sum(0)
    expected = 0.5
    logits = torch.full((32,), -3.0)
    logits[5] = math.log(expected / (1 - expected))
    model = WhatWhere(Answers(), Script(logits), n_saccades=2, stop="gain")
    found = model.rollout(flat)
    np.testing.assert_allclose(
        found.gain[:, 0].numpy(), math.log(expected) - np.log(confidence), atol=1e-5
    )
    goes = expected > confidence
    assert 0 < goes.sum() < 6
    assert (found.n_fixations.numpy() > 1).tolist() == goes.tolist()
    stayed = ~torch.from_numpy(goes)
    assert bool((found.locations[stayed] == 32).all())
    assert bool((found.locations[~stayed, 1] != 32).any(1).all())


def test_scanpaths_end_where_looking_stopped(nets, images):
    model = WhatWhere(*nets, n_saccades=2, stop="gain", inhibition_px=2)
    paths = validate(model.look(images, image=list("abcdef"), chunk=4))
    with torch.no_grad():
        found = model.rollout(images)
    assert paths.n_fixations.values.tolist() == found.n_fixations.tolist()
    for i, n in enumerate(found.n_fixations.tolist()):
        assert paths.x.values[i, :n].tolist() == found.locations[i, :n, 0].tolist()
        assert paths.y.values[i, :n].tolist() == found.locations[i, :n, 1].tolist()
        assert np.isnan(paths.x.values[i, n:]).all()
    assert paths["prediction"].values.tolist() == found.logits.argmax(-1).tolist()
    best = found.logits.exp().amax(-1).numpy()
    np.testing.assert_allclose(paths["confidence"].values, best, rtol=1e-4)
    assert len(set(found.n_fixations.tolist())) > 1
    assert json.loads(paths.attrs["provenance"])["where"]["n_azimuth"] == 8
    stopped = WhatWhere(*nets, n_saccades=2, inhibition_px=500).look(images)
    assert stopped.n_fixations.values.tolist() == [1] * 6
    assert model.look(images, 1).sizes["fixation"] == 1


def test_the_fovea_stays_within_images_of_other_sizes(nets):
    wide = torch.rand(2, 1, 50, 90, generator=torch.Generator().manual_seed(1))
    found = WhatWhere(*nets, n_saccades=3).rollout(wide)
    assert found.locations[0, 0].tolist() == [45, 25]
    assert bool((found.locations >= 14).all())
    assert bool((found.locations <= torch.tensor([76.0, 36.0])).all())


@pytest.mark.parametrize("name", WHERE_PRESETS)
def test_configurations_survive_json(name):
    config = where_preset(name)
    assert from_json(WhereConfig, to_json(config)) == config
    look = WhatWhereConfig(3, "ring", "gain", True, 4.0, 1.5)
    assert from_json(WhatWhereConfig, to_json(look)) == look


@pytest.mark.parametrize(
    ("make", "message"),
    [(lambda: WhatConfig(channels=0), "channels must be"),
     (lambda: WhereConfig(dropout=1), "dropout must be below 1"),
     (lambda: WhereConfig(hidden=1.5), "hidden must be"),
     (lambda: WhatWhereConfig(-1), "n_saccades must be"),
     (lambda: WhatWhereConfig(stop="dynamic"), "stop must be"),
     (lambda: WhatWhereConfig(target="map"), "target must be"),
     (lambda: WhatWhereConfig(inhibition_px=math.nan), "inhibition_px must be"),
     (lambda: WhatWhereConfig(temperature=0), "temperature must be"),
     (lambda: WhatNet(image_px=12), "too small"),
     (lambda: WhatNet()(torch.rand(1, 1, 30, 28)), "shape"),
     (lambda: WhereNet(SMALL)(torch.rand(1, 5)), "shape"),
     (lambda: WhereNet(SMALL).fit_features(torch.rand(3, 128)), "does not standardise"),
     (lambda: WhatWhere(WhatNet(image_px=80), WhereNet(SMALL)), "must fit into")],
)  # fmt: skip
def test_settings_that_cannot_be(make, message):
    with pytest.raises(InvalidInput, match=message):
        make()


@pytest.mark.parametrize(
    ("images", "settings", "message"),
    [(torch.rand(1, 3, 64, 64), {}, "must be"), (torch.rand(1, 1, 20, 64), {}, "28 pixels"),
     (2 * torch.ones(1, 1, 64, 64), {}, "Image '0'"),
     (torch.rand(1, 1, 64, 64), {"first": torch.tensor([math.nan, 30.0])}, "first holds"),
     (torch.rand(1, 1, 64, 64), {"first": torch.tensor([13.0, 30.0])}, "first holds"),
     (torch.rand(1, 1, 64, 64), {"first": torch.rand(3, 2)}, "first must"),
     (torch.rand(1, 1, 64, 64), {"n_saccades": -1}, "n_saccades must be")],
)  # fmt: skip
def test_images_that_cannot_be_looked_at(nets, images, settings, message):
    with pytest.raises(InvalidInput, match=message):
        WhatWhere(*nets).rollout(images, **settings)


def test_unknown_presets_list_the_nearest():
    with pytest.raises(UnknownName, match="'where-published'"):
        where_preset("where-publised")
