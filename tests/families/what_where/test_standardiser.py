"""Standardised features: measured once, kept with the weights, never silently absent."""

import pytest
import torch

from attnsci.errors import InvalidInput
from attnsci.families.what_where.standardiser import Standardiser


def test_mean_and_deviation_are_those_of_what_was_measured():
    scale, features = Standardiser(3), 5 + 3 * torch.randn(200, 3)
    with pytest.raises(InvalidInput, match="not known yet"):
        scale(features)
    scale.fit(features)
    assert int(scale.n_measured) == 200
    torch.testing.assert_close(scale.mean, features.mean(0))
    torch.testing.assert_close(scale.std, features.std(0, correction=0))
    twin = Standardiser(3)
    twin.load_state_dict(scale.state_dict())
    assert torch.equal(twin(features[:1]), scale(features)[:1])
    assert not list(scale.parameters())


def test_a_constant_feature_is_not_blown_up():
    scale = Standardiser(2)
    scale.fit(torch.tensor([[0.0, 5.0], [2.0, 5.0]]))
    assert scale.std.tolist() == pytest.approx([1.0, 1e-4])
    with pytest.raises(InvalidInput, match="above 0"):
        scale.fit(torch.ones(3, 2))
    with pytest.raises(InvalidInput, match="2 rows"):
        scale.fit(torch.ones(1, 2))
    with pytest.raises(InvalidInput, match="shape"):
        scale.fit(torch.ones(3, 4))
