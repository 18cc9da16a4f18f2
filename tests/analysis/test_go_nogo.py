"""GO/NOGO: tables by hand, Hautus's correction, planted sensitivity, refusals."""

import numpy as np
import pytest
import xarray as xr
from scipy.stats import norm

from attnsci.analysis.go_nogo import go_nogo_table
from attnsci.errors import InvalidInput
from attnsci.statistics.significance import wilson


def trials(hits, misses, false_alarms, rejections):
    counts = [hits, misses, false_alarms, rejections]
    gain = np.repeat([0.5, -0.5, 0.5, -0.5], counts)
    improved = np.repeat([True, True, False, False], counts)
    return xr.DataArray(gain, dims="stimulus"), xr.DataArray(improved, dims="stimulus")


def test_by_hand():
    found = go_nogo_table(*trials(30, 10, 12, 48))
    names = ["hits", "misses", "false_alarms", "correct_rejections"]
    assert [int(found[name]) for name in names] == [30, 10, 12, 48]
    for name, k, n in (("hit_rate", 30, 40), ("false_alarm_rate", 12, 60)):
        want = wilson(k, n)
        got = [float(found[name + end]) for end in ("", "_low", "_high")]
        np.testing.assert_allclose(got, [want.estimate, want.low, want.high])
    hit, false = norm.ppf(30.5 / 41), norm.ppf(12.5 / 61)
    assert float(found["d_prime"]) == pytest.approx(hit - false)
    assert float(found["criterion"]) == pytest.approx(-(hit + false) / 2)
    assert float(found["d_prime_low"]) < hit - false < float(found["d_prime_high"])
    assert found.attrs["n"] == 100


def test_perfect_rates_have_a_finite_sensitivity():
    found = go_nogo_table(*trials(20, 0, 0, 20))
    assert float(found["d_prime"]) == pytest.approx(2 * norm.ppf(20.5 / 21))
    assert np.isfinite([found["d_prime_low"], found["d_prime_high"]]).all()


def test_the_threshold_is_exclusive_and_moves_the_criterion():
    gain = xr.DataArray([0.0, 0.2, 0.0, 0.2], dims="stimulus")
    improved = xr.DataArray([1, 1, 0, 0], dims="stimulus")
    assert int(go_nogo_table(gain, improved)["hits"]) == 1
    assert int(go_nogo_table(gain, improved, threshold=-0.1)["hits"]) == 2
    assert int(go_nogo_table(gain, improved, threshold=0.2)["hits"]) == 0


def test_a_planted_sensitivity_is_covered_in_every_condition():
    rng = np.random.default_rng(0)
    improved = xr.DataArray(rng.random((1500, 40)) < 0.4, dims=("stimulus", "run"))
    gain = 1.2 * improved + rng.normal(-0.3, 1, improved.shape)
    found = go_nogo_table(gain.transpose("run", "stimulus"), improved, n_resamples=500)
    covered = (found["d_prime_low"] <= 1.2) & (found["d_prime_high"] >= 1.2)
    assert int(covered.sum()) >= 35
    assert float(found["d_prime"].mean()) == pytest.approx(1.2, abs=0.03)
    # GO where −0.3 + noise > 0 without, 0.9 + noise > 0 with improvement.
    assert float(found["criterion"].mean()) == pytest.approx(-(0.9 - 0.3) / 2, abs=0.03)
    one = go_nogo_table(gain.isel(run=3), improved.isel(run=3), n_resamples=500)
    for name in ("d_prime", "d_prime_low", "hit_rate_high"):
        assert float(one[name]) == pytest.approx(float(found[name][3]))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda g, i: (g, i | True), "no saccade or every saccade"),
        (lambda g, i: (g, i & False), "no saccade or every saccade"),
        (lambda g, i: (g * np.nan, i), "gain holds"),
        (lambda g, i: (g, i * 2), "true and false"),
        (lambda g, i: (g, i.expand_dims(model=2)), "must be paired"),
        (lambda g, i: (g.values, i), "xarray"),
        (lambda g, i: (g[:1], i[:1]), "2 stimuli"),
    ],
)
def test_refusals(change, message):
    with pytest.raises(InvalidInput, match=message):
        go_nogo_table(*change(*trials(3, 2, 2, 3)))
