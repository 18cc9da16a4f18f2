"""What and Where: published sizes, gradients, dropout, and the reference's first look."""

import numpy as np
import pytest
import torch
from torch import nn

from attnsci.errors import InvalidInput
from attnsci.families.what_where.config import WhereConfig, where_preset
from attnsci.families.what_where.pathways import WhatNet, WhereNet, where_retina

SMALL = WhereConfig(
    image_px=64, n_theta=2, n_azimuth=8, n_ecc=4, hidden=20, batch_norm=False, standardised=False
)


@pytest.fixture(scope="module", autouse=True)
def bank_folder(tmp_path_factory):
    """Banks of these tests stay out of the user's cache."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ATTNSCI_CACHE", str(tmp_path_factory.mktemp("banks")))
        yield


def count(module):
    return sum(weights.numel() for weights in module.parameters())


def test_parameters_are_counted():
    assert count(WhatNet()) == 431_080
    assert count(WhereNet(where_preset("where-published"))) == 4_126_240
    assert count(WhereNet()) == 4_126_240
    assert count(WhereNet(where_preset("where-notebook"))) == 4_126_240 - 4_000


def test_where_in_its_full_size_reads_2880_features_and_answers_240_cells():
    where = WhereNet(where_preset("where-published"))
    assert where.config.n_features == 2880
    assert where(torch.randn(2, 2880)).shape == (2, 240)


def test_dropout_is_for_training_only():
    where, features = WhereNet(SMALL, dropout=0.5), torch.randn(4, SMALL.n_features)
    assert not torch.equal(where(features), where(features))
    where.eval()
    assert torch.equal(where(features), where(features))


def test_gradients_reach_all_of_where_and_what():
    images = torch.rand(6, 1, 64, 64)
    where = WhereNet(SMALL, batch_norm=True, standardised=True)
    features = where_retina(SMALL)(images)
    with pytest.raises(InvalidInput, match="not known yet"):
        where(features)
    where.fit_features(features)
    target = torch.full((6, SMALL.n_cells), 0.3)
    nn.functional.binary_cross_entropy_with_logits(where(features), target).backward()
    assert all(bool(weights.grad.abs().sum() > 0) for weights in where.parameters())
    what = WhatNet()
    what(images[..., 18:46, 18:46]).logsumexp(1).sum().backward()
    assert all(bool(weights.grad.abs().sum() > 0) for weights in what.parameters())


@pytest.mark.data
def test_where_reads_what_the_reference_reads_at_its_first_look(data_root):
    with np.load(data_root / "what-where" / "reference_golden.npz") as golden:
        images = torch.from_numpy(golden["where128_std30_max40_c0.5_n0.75"])
        wanted = golden["retina2880"]
    images = images.reshape(-1, 1, 128, 128)
    features = where_retina(WhereConfig())(images, torch.full((len(images), 2), 64.0))
    np.testing.assert_allclose(features.numpy(), wanted, rtol=0, atol=1e-3)
