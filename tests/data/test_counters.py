"""Numbers found by their place: the published hash, right distributions, no order."""

import numpy as np
import pytest
import torch
from scipy import stats

from attnsci.data.counters import (
    coarse_normals,
    derived_keys,
    scramble,
    stimulus_keys,
    uniforms,
)


def test_the_hash_is_splitmix64():
    step = 0x9E3779B97F4A7C15
    states = [(1234567 + k * step) % 2**64 for k in range(1, 6)]
    hashed = scramble(torch.tensor(np.array(states, np.uint64).view(np.int64)))
    # First numbers of the published generator from seed 1234567.
    assert hashed.numpy().view(np.uint64).tolist() == [
        6457827717110365317,
        3203168211198807973,
        9817491932198370423,
        4593380528125082431,
        16408922859458223821,
    ]


def test_uniforms_are_uniform_along_both_axes():
    values = uniforms(stimulus_keys((0,), 1, torch.arange(400)), 500)
    assert values.min() > 0 and values.max() < 1
    for flat in (values.flatten(), values[:, 0], values[0]):
        assert stats.kstest(flat.numpy(), "uniform").pvalue > 0.001
    correlation = np.corrcoef(values.numpy())
    np.fill_diagonal(correlation, 0)
    assert abs(correlation).max() < 5.5 / np.sqrt(500)  # the largest of 80,000


def test_coarse_normals_are_normal():
    keys = stimulus_keys((0,), 1, torch.arange(200))
    values = coarse_normals(keys, 1001)
    assert values.shape == (200, 1001) and values.dtype == torch.float32
    flat = values.numpy().ravel()
    assert flat.mean() == pytest.approx(0, abs=4 / np.sqrt(flat.size))
    assert flat.var() == pytest.approx(1, rel=4 * np.sqrt(2 / flat.size))
    assert stats.kurtosis(flat) == pytest.approx(0, abs=4 * np.sqrt(24 / flat.size))
    assert stats.kstest(flat, "norm").pvalue > 0.001
    # The four numbers of one hash know nothing of one another.
    lanes = values[:, :1000].reshape(-1, 4).numpy()
    assert abs(np.corrcoef(lanes.T) - np.eye(4)).max() < 5 / np.sqrt(len(lanes))


def test_keys_are_told_apart_by_all_that_names_them():
    index = torch.arange(1000)
    sets = [((0,), 1), ((0,), 2), ((1,), 1), ((0, 0), 1), ((0, 1), 1), ((), 3)]
    keys = torch.cat([stimulus_keys(seed, stream, index) for seed, stream in sets])
    keys = torch.cat([keys, derived_keys(keys, 1), derived_keys(keys, 2)])
    assert len(keys.unique()) == len(keys)


def test_a_number_depends_on_its_place_alone():
    index = torch.tensor([7, 3, 999])
    keys = stimulus_keys((5, 2), 1, torch.arange(1000))
    assert torch.equal(keys[index], stimulus_keys((5, 2), 1, index))
    assert torch.equal(coarse_normals(keys, 40)[index], coarse_normals(keys[index], 40))
    assert torch.equal(uniforms(keys, 9)[index, :4], uniforms(keys[index], 4))
