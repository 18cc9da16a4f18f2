"""CC, SIM, KL: reference values, bounds, and what is not defined."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from attnsci.errors import InvalidInput
from attnsci.scanpaths.saliency_maps import as_density, cc, kl, sim

ROW, COLUMN = np.indices((6, 8))
S = ((3 * ROW + 5 * COLUMN) % 11 + 1).astype(float)
G = np.exp(-((ROW - 2.5) ** 2 + (COLUMN - 3) ** 2) / 4)


def test_reference_values():
    for got, expected in [
        (cc(S, G), 0.11370765587023954),
        (sim(S, G), 0.5557648840725136),
        (sim(S, G, range_normalise=True), 0.5314756474709046),
        (kl(S, G), 0.6159598908727109),
        (kl(G, S), 0.770183818444362),
    ]:
        assert got == pytest.approx(expected, rel=0, abs=1e-12)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_properties(seed):
    rng = np.random.default_rng(seed)
    first, second = rng.gamma(0.5, size=(2, 5, 7)) + 1e-6
    assert cc(first, second) == pytest.approx(np.corrcoef(first.ravel(), second.ravel())[0, 1])
    assert cc(first, 5 * first - 2) == pytest.approx(1)
    assert 0 <= sim(first, second) <= 1 and sim(first, 3 * first) == pytest.approx(1)
    assert sim(first, second) == pytest.approx(sim(second, first))
    assert kl(first, second) > 0 and kl(first, 4 * first) == pytest.approx(0, abs=1e-12)
    p, q = first / first.sum(), second / second.sum()
    assert kl(first, second) == pytest.approx((q * np.log(q / p)).sum(), abs=1e-9)


def test_epsilon_guards_empty_pixels():
    assert kl([[1, 0]], [[1, 1]]) == pytest.approx(
        0.5 * np.log(0.5) + 0.5 * np.log(0.5 / 2.2204e-16)
    )
    assert kl([[1, 0]], [[1, 1]], eps=1e-12) < kl([[1, 0]], [[1, 1]])


def test_constant_maps():
    flat = np.full((6, 8), 0.1)
    assert np.isnan(cc(flat, G)) and np.isnan(cc(G, flat))
    assert sim(flat, flat) == pytest.approx(1)
    uniform = np.ones((6, 8))
    assert sim(flat, G, range_normalise=True) == sim(uniform, (G - G.min()) / np.ptp(G))


def test_unusable_maps():
    bad = G.copy()
    bad[0, 1] = np.inf
    for score in (cc, sim, kl):
        with pytest.raises(InvalidInput, match="NaN or infinite"):
            score(bad, G)
        with pytest.raises(InvalidInput, match="different shapes"):
            score(S, G[:5])
    for score in (sim, kl):
        with pytest.raises(InvalidInput, match="no negative values"):
            score(S - 2, G)
        with pytest.raises(InvalidInput, match="sums to 0"):
            score(np.zeros((6, 8)), G)
    assert sim(S - 2, G, range_normalise=True) == pytest.approx(sim(S, G, range_normalise=True))
    with pytest.raises(InvalidInput, match="sums to inf"):
        as_density("density", np.full((2, 2), 1e308))
    with pytest.raises(InvalidInput, match="shape"):
        as_density("density", np.ones((0, 3)))
