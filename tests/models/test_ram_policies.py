"""Who moves the eye, and what they are told."""

import math

import numpy as np
import pytest
import torch

from attnsci.models.ram import RAM
from attnsci.models.ram_policies import GridPolicy, Proposal, ReplayPolicy


@pytest.fixture
def images():
    return torch.rand(7, 1, 28, 28, generator=torch.Generator().manual_seed(5))


def spread_out(model: RAM) -> RAM:
    """Let the untrained locator look about."""
    with torch.no_grad():
        model.locator.linear.weight.mul_(20)
    return model


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
