"""Step sizes over training."""

import pytest

from attnsci.training.schedule import warm_cosine


def test_it_rises_then_falls_to_its_end():
    shares = [warm_cosine(step, 1000, 100, 0.01) for step in range(1001)]
    peak = shares.index(max(shares))
    assert 95 <= peak <= 110
    assert shares[0] == pytest.approx(0.01)
    assert shares[1000] == pytest.approx(0.01)
    assert all(a > b for a, b in zip(shares[peak:], shares[peak + 1 :], strict=False))


def test_halfway_down_the_cosine():
    assert warm_cosine(500, 1000, 0, 0.0) == pytest.approx(0.5)


def test_a_constant_step_size_and_the_time_after_the_end():
    assert {warm_cosine(step, 10, 0, 1.0) for step in range(20)} == {1.0}
    assert warm_cosine(50, 10, 0, 0.2) == pytest.approx(0.2)
