"""The collicular map: the reference's targets, and sums taken pixel by pixel."""

import numpy as np
import pytest
import torch

from attnsci.errors import InvalidInput
from attnsci.sensors.colliculus import Colliculus, TargetTable, collicular_kernels, target_table
from attnsci.sensors.log_polar_retina import LogPolarConfig, log_polar_filters

SMALL = LogPolarConfig(size=32, n_theta=3, n_azimuth=8, n_ecc=5)


@pytest.fixture(scope="module")
def kernels():
    return collicular_kernels(LogPolarConfig())


@pytest.fixture(scope="module")
def cells():
    return Colliculus()


def test_kernels_are_the_energy_of_the_filters():
    filters = torch.stack([log_polar_filters(SMALL, azimuth) for azimuth in range(8)])
    energy = filters.square().sum((1, 3)).flatten(2).flatten(0, 1)
    wanted = energy / energy.sum(1, keepdim=True)
    torch.testing.assert_close(collicular_kernels(SMALL), wanted, rtol=0, atol=1e-12)


@pytest.mark.data
def test_peaks_of_the_reference_are_maxima(kernels, golden):
    row, column = torch.from_numpy(golden["coll_peak_ij"] + 64).unbind(1)
    values = kernels[torch.arange(240), 128 * row + column]
    highest = kernels.amax(1)
    assert bool((values >= (1 - 1e-9) * highest).all())
    untied = (kernels >= (1 - 1e-9) * highest[:, None]).sum(1) == 1
    assert int(untied.sum()) == 220
    ours = Colliculus().targets("peak")
    assert bool((ours == torch.from_numpy(golden["coll_peak_ij"])).all(1)[untied].all())


def test_targets_and_rank(cells, kernels):
    assert len(cells.targets("peak").unique(dim=0)) == pytest.approx(228, abs=2)
    assert torch.linalg.matrix_rank(kernels) == 240
    assert len(cells.targets("ring").unique(dim=0)) == 240
    distance = cells.targets("ring").norm(dim=1).view(24, 10)
    torch.testing.assert_close(distance, cells.config.radius_px.float().expand(24, 10))
    # The outermost kernels are broad and cut by the field's edge: along the axes most of all.
    outermost = cells.targets("centroid").norm(dim=1).view(24, 10)[:, 9]
    assert float(outermost[0]) == pytest.approx(29, abs=0.6)
    assert float(outermost.max()) < 46


def test_a_map_and_back(cells):
    generator = torch.Generator().manual_seed(0)
    activity = torch.rand(2, 240, generator=generator)
    torch.testing.assert_close(cells(cells.inverse(activity)), activity, rtol=0, atol=2e-3)
    maps = torch.rand(2, 1, 128, 128, generator=generator)
    wanted = np.einsum("nx,cx->nc", maps.flatten(1).double(), cells.kernels.double())
    np.testing.assert_allclose(cells(maps).numpy(), wanted, rtol=0, atol=1e-5)
    assert torch.allclose(cells(torch.ones(1, 1, 128, 128)), torch.ones(1, 240), atol=1e-5)


@pytest.mark.data
def test_targets_of_the_reference(cells, kernels, golden, published_maps):
    accuracy, offsets = (
        torch.from_numpy(published_maps["what"]),
        torch.from_numpy(golden["offsets"]),
    )
    exact = target_table(kernels, accuracy, reflected=False)
    row, column = (offsets + 64).unbind(1)
    np.testing.assert_allclose(exact[row, column], golden["coll_target240"], rtol=0, atol=1e-9)
    table = TargetTable(cells, accuracy, reflected=False)
    np.testing.assert_allclose(table(offsets), golden["coll_target240"], rtol=0, atol=1e-5)


@pytest.mark.parametrize("reflected", [True, False])
def test_each_target_is_a_sum_over_the_field(reflected):
    """Also at the rim, where the map leaves the field and must not come in again."""
    kernels = collicular_kernels(SMALL).numpy()
    accuracy = np.random.default_rng(3).random((11, 11))
    table = target_table(
        torch.from_numpy(kernels), torch.from_numpy(accuracy), floor=0.2, reflected=reflected
    )
    assert table.shape == (33, 33, 40)
    for i, j in [(0, 0), (3, -7), (16, -16), (-14, 16)]:
        field = np.full((32, 32), 0.2)
        for row in range(32):
            for column in range(32):
                u = np.array([row - 16, column - 16])
                seen_at = (np.array([i, j]) - u if reflected else u - np.array([i, j])) + 5
                if (seen_at >= 0).all() and (seen_at < 11).all():
                    field[row, column] = max(accuracy[tuple(seen_at)], 0.2)
        wanted = kernels @ field.ravel()
        np.testing.assert_allclose(table[i + 16, j + 16].numpy(), wanted, rtol=0, atol=1e-12)


def test_bad_input():
    cells = Colliculus(SMALL)
    table = TargetTable(cells, torch.ones(5, 5))
    with pytest.raises(InvalidInput, match="within 16 pixels; got 17"):
        table(torch.tensor([[0, -17]]))
    with pytest.raises(InvalidInput, match="offset must be integers"):
        table(torch.zeros(1, 2))
    with pytest.raises(InvalidInput, match=r"odd side.*\(4, 4\)"):
        TargetTable(cells, torch.ones(4, 4))
    with pytest.raises(InvalidInput, match="NaN"):
        TargetTable(cells, torch.full((3, 3), torch.nan))
    with pytest.raises(InvalidInput, match="kind must be one of 'peak', 'ring', 'centroid'"):
        cells.targets("middle")
    with pytest.raises(InvalidInput, match=r"maps must have shape \(N, 1, 32, 32\)"):
        cells(torch.zeros(1, 32, 32))
