"""Who moves the eye, and what they are told."""

import math

import numpy as np
import pytest
import torch

from attnsci.errors import InvalidInput
from attnsci.families.ram.network import RAM
from attnsci.families.ram.policies import (
    GridPolicy,
    InhibitedPolicy,
    Proposal,
    ReplayPolicy,
    SaliencyPolicy,
    pixel_centres,
)
from attnsci.models.looking.winner_take_all import WinnerTakeAll


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


def test_pixel_centres_read_row_by_row():
    centres = pixel_centres((3, 5), torch.zeros(1))
    assert centres.shape == (15, 2)
    assert centres[7].tolist() == [2.5, 1.5]


def test_saliency_is_the_winner_take_all_of_the_room(images):
    wide = torch.rand(5, 1, 30, 44, generator=torch.Generator().manual_seed(1))
    policy = SaliencyPolicy(wide[:, 0] * 7 - 3, radius_px=6)
    found = RAM().rollout(wide, policy=policy, n_samples=2).locations
    room = WinnerTakeAll(lambda pictures: pictures[:, 0], extent_px=6).look(wide, 6)
    want = np.stack([room["x"], room["y"]], -1)
    np.testing.assert_allclose(found[::2], want)
    assert torch.equal(found[::2], found[1::2])
    # In parts, the policy still knows which image it looks at.
    looked = RAM().look(wide, policy=policy, chunk=2)
    np.testing.assert_allclose(looked["x"], want[..., 0])
    assert looked["observer"].values[0] == "RAM saliency"


def test_saliency_inhibits_where_the_eye_began():
    maps = torch.zeros(1, 28, 28)
    maps[0, 10, 10], maps[0, 20, 25] = 2.0, 1.0
    found = RAM().rollout(
        torch.zeros(1, 1, 28, 28), policy=SaliencyPolicy(maps), first=torch.tensor([11.0, 11.0])
    )
    assert found.locations[0, 1].tolist() == [25.5, 20.5]


def test_equal_winners_are_drawn_by_lot():
    found = RAM(n_glimpses=1).rollout(
        torch.zeros(1, 1, 28, 28), policy=SaliencyPolicy(torch.ones(1, 28, 28)), n_samples=4000
    )
    x, y = found.locations[:, 0].T
    assert len({*zip(x.tolist(), y.tolist(), strict=True)}) > 700
    assert x.min() == 0.5 and x.max() == 27.5 and y.min() == 0.5 and y.max() == 27.5
    assert x.mean().item() == pytest.approx(14, abs=0.5)


@pytest.mark.parametrize(
    ("maps", "message"),
    [
        (torch.zeros(28, 28), "shape"),
        (torch.full((7, 28, 28), torch.nan), "Map 0"),
        (torch.zeros(7, 14, 14), "7 maps of 14×14"),
        (torch.zeros(3, 28, 28), "image 7 of 28×28"),
    ],
)
def test_maps_that_do_not_fit(images, maps, message):
    with pytest.raises(InvalidInput, match=message):
        RAM().rollout(images, policy=SaliencyPolicy(maps))


@pytest.mark.parametrize("start", [None, torch.tensor([3.0, 20.0])])
def test_inhibition_of_strength_zero_is_the_learned_policy(images, start):
    model = spread_out(RAM())
    learned = model.rollout(images, first=start)
    free = model.rollout(images, first=start, policy=InhibitedPolicy(0, 4, 1.5))
    for name in ("locations", "logits", "means"):
        assert torch.equal(getattr(free, name), getattr(learned, name))


def proposed(mean, visited, size=(40, 40)):
    mean = torch.tensor(mean)
    visited = torch.tensor(visited).reshape(len(mean), -1, 2)
    rows = len(mean)
    return Proposal(
        glimpse=visited.shape[1], size=size, images=torch.arange(rows), visited=visited,
        mean=mean, hidden=None, uniform=torch.zeros(rows, 2), normal=torch.zeros(rows, 2),
    )  # fmt: skip


def test_inhibition_pushes_away_from_the_visited_side():
    # Each row has been right of, left of, above or nowhere near where it wants to look next.
    visited = [[22.0, 20.0], [18.0, 20.0], [20.0, 18.0], [2.0, 38.0]]
    there = proposed([[20.0, 20.0]] * 4, visited)
    pushed = InhibitedPolicy(strength=5, radius_px=3, sigma_px=3)(there) - 20
    assert pushed[0, 0] < -2 and pushed[1, 0] > 2 and pushed[2, 1] > 2
    assert (pushed[:3].abs().amin(1) <= 0.5).all()
    assert pushed[3].tolist() == [0, 0]


def test_the_score_is_the_one_described():
    mean, visited = [[13.3, 21.8]], [[[14.0, 20.0], [10.0, 25.0], [30.0, 3.0]]]
    found = InhibitedPolicy(3, 4, 5)(proposed(mean, visited))[0].numpy()
    y, x = np.mgrid[:40, :40] + 0.5
    score = -((x - 13.3) ** 2 + (y - 21.8) ** 2) / 50
    for a, b in visited[0]:
        score -= 3 * np.exp(-((x - a) ** 2 + (y - b) ** 2) / 32)
    best = np.unravel_index(score.argmax(), score.shape)
    assert found.tolist() == [best[1] + 0.5, best[0] + 0.5]


def test_more_strength_goes_farther_and_never_past_the_bound():
    there = proposed([[20.0, 20.0]], [[20.0, 20.0]])
    away = [
        (InhibitedPolicy(strength, 2, 4)(there) - 20).norm().item()
        for strength in (0, 0.05, 1, 4, 16)
    ]
    assert away[0] == away[1] == 0
    assert 0 < away[2] < away[3] < away[4]
    assert all(a <= 4 * math.sqrt(2 * s) for a, s in zip(away[2:], (1, 4, 16), strict=True))


def test_inhibition_lessens_returns(images):
    with torch.random.fork_rng():
        torch.manual_seed(3)
        model = spread_out(RAM())

    def staying(policy):
        path = model.rollout(images, policy=policy, n_glimpses=6, n_samples=20).locations
        return (path.diff(dim=1).norm(dim=-1)[:, 1:] < 3).float().mean().item()

    assert staying("mean") > 0.5
    assert staying(InhibitedPolicy(20, 4, 3)) < 0.1


def test_no_gradient_goes_through_where_it_looks(images):
    model = RAM()
    model.rollout(images, policy=InhibitedPolicy(2, 4, 2)).logits.sum().backward()
    assert model.locator.linear.weight.grad is None


@pytest.mark.parametrize("settings", [(-1, 4, 2), (math.inf, 4, 2), (1, 0, 2), (1, 4, -2)])
def test_inhibition_out_of_range(settings):
    with pytest.raises(InvalidInput):
        InhibitedPolicy(*settings)
