"""Calibration: brute force, planted miscalibration and temperature, coverage, refusals."""

import itertools

import numpy as np
import pytest
import xarray as xr
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax, softmax

from attnsci.analysis.calibration import calibration_error, fit_temperature, reliability
from attnsci.errors import InvalidInput
from attnsci.statistics.significance import wilson


def answers(n=500, seed=0, power=1.0):
    """Probabilities given, and answers that are right with probability p ** power."""
    rng = np.random.default_rng(seed)
    given = rng.uniform(0.1, 1, n)
    right = rng.random(n) < given**power
    return xr.DataArray(given, dims="stimulus"), xr.DataArray(right, dims="stimulus")


@pytest.mark.parametrize("bins", ["width", "mass"])
def test_against_brute_force(bins):
    given, right = answers(power=2.0)
    found = reliability(given, right, n_bins=8, bins=bins)
    p, k = given.values, right.values
    edges = np.linspace(0, 1, 9) if bins == "width" else np.quantile(p, np.linspace(0, 1, 9))
    ece, place = 0.0, 0
    for low, high in itertools.pairwise(edges):
        last = high == edges[-1]
        inside = (p >= low) & ((p <= high) if last else (p < high))
        if not inside.any():
            continue
        one = found.isel(bin=place)
        want = wilson(int(k[inside].sum()), int(inside.sum()))
        got = [float(one[name]) for name in ("accuracy", "low", "high", "n", "probability")]
        np.testing.assert_allclose(
            got, [want.estimate, want.low, want.high, want.n, p[inside].mean()]
        )
        assert (float(one["lower_edge"]), float(one["upper_edge"])) == (low, high)
        ece += inside.mean() * abs(k[inside].mean() - p[inside].mean())
        place += 1
    assert place == found.sizes["bin"] == 8 - found.attrs["n_empty_bins"]
    error = calibration_error(given, right, n_bins=8, bins=bins, n_resamples=20)
    assert float(error["ece"]) == pytest.approx(ece)
    if bins == "mass":
        assert np.ptp(found["n"].values) <= 1


def test_ends_and_ties():
    given = xr.DataArray([0.0, 1.0, 1.0, 0.5], dims="stimulus")
    right = xr.DataArray([0, 1, 0, 1], dims="stimulus")
    found = reliability(given, right, n_bins=2)
    assert found["n"].values.tolist() == [1, 3]  # 0.5 opens the upper bin, 1 is in it
    tied = reliability(given * 0 + 0.7, right, n_bins=5, bins="mass")
    assert tied["n"].values.tolist() == [4] and float(tied["accuracy"][0]) == 0.5


def test_a_calibrated_model_is_not_accused_and_a_bad_one_is():
    good = np.array(
        [
            float(calibration_error(*answers(200, s), seed=s, n_resamples=200)["p_value"])
            for s in range(100)
        ]
    )
    assert (good <= 0.05).sum() <= 12 and 0.4 < good.mean() < 0.6
    given, right = answers(2000, power=3.0)
    bad = calibration_error(given, right, n_resamples=500)
    assert float(bad["p_value"]) == pytest.approx(1 / 501)
    # E|p − p³| of p uniform on [0.1, 1] is ((1 − 0.01) / 2 − (1 − 0.0001) / 4) / 0.9.
    truth = (0.495 - 0.249975) / 0.9
    assert float(bad["low"]) <= truth <= float(bad["high"])
    assert float(bad["ece"]) == pytest.approx(truth, abs=0.03)
    assert float(bad["calibrated"]) < 0.05


def test_the_error_of_a_calibrated_model_has_a_closed_form_in_one_bin():
    given = xr.DataArray(np.full(400, 0.8), dims="stimulus")
    right = xr.DataArray(np.arange(400) < 300, dims="stimulus")
    found = calibration_error(given, right, n_bins=1, n_resamples=4000)
    assert float(found["ece"]) == pytest.approx(0.05)
    # Mean absolute deviation of a share of 400 with p = 0.8, nearly normal.
    assert float(found["calibrated"]) == pytest.approx(0.02 * np.sqrt(2 / np.pi), rel=0.05)
    assert float(found["low"]) == pytest.approx(0.05 - 1.96 * np.sqrt(0.1875 / 400), abs=3e-3)
    assert float(found["high"]) == pytest.approx(0.05 + 1.96 * np.sqrt(0.1875 / 400), abs=3e-3)


def test_intervals_of_the_error_cover():
    truth = (0.495 - (1 - 0.1**3.0) / 3) / 0.9  # power 2
    hits = sum(
        bool(found["low"] <= truth <= found["high"])
        for found in (
            calibration_error(*answers(600, s, 2.0), seed=s, n_resamples=300) for s in range(60)
        )
    )
    assert hits >= 52


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"probability": lambda p: p * 5}, "probabilities, not logits"),
        ({"probability": lambda p: p * np.nan}, "probability holds"),
        ({"probability": lambda p: p.expand_dims(model=2)}, "select one condition"),
        ({"probability": lambda p: p.values}, "xarray"),
        ({"probability": lambda p: p[:20]}, "same stimuli"),
        ({"correct": lambda k: k * 0.5}, "only right"),
        ({"bins": "equal"}, "bins must be one of"),
        ({"n_bins": 0}, "n_bins"),
    ],
)
@pytest.mark.parametrize("function", [reliability, calibration_error])
def test_refusals(function, change, message):
    given, right = answers(40)
    options = dict(change)
    given = options.pop("probability", lambda p: p)(given)
    right = options.pop("correct", lambda k: k)(right)
    with pytest.raises(InvalidInput, match=message):
        function(given, right, **options)


def scores(n=3000, temperature=1.0, seed=0):
    """Logits whose softmax is right, times a temperature, and labels drawn from it."""
    rng = np.random.default_rng(seed)
    z = rng.normal(0, 2, (n, 5))
    p = softmax(z, axis=1)
    label = (p.cumsum(1) < rng.random((n, 1))).sum(1)
    return (
        xr.DataArray(z * temperature, dims=("stimulus", "class")),
        xr.DataArray(np.minimum(label, 4), dims="stimulus"),
    )


@pytest.mark.parametrize("planted", [0.02, 0.5, 1.0, 3.0, 1000.0])
def test_a_planted_temperature_comes_back(planted):
    logits, label = scores(temperature=planted)
    found = fit_temperature(logits, label)
    assert float(found["low"]) <= planted <= float(found["high"])
    assert float(found["temperature"]) == pytest.approx(planted, rel=0.06)

    def loss(log_t):
        return -log_softmax(logits.values / np.exp(log_t), 1)[np.arange(3000), label.values].mean()

    ends = np.log(planted) + np.array([-1, 1])
    want = minimize_scalar(loss, bounds=ends, method="bounded", options={"xatol": 1e-9})
    assert float(found["nll"]) == pytest.approx(want.fun, abs=1e-12)
    assert float(found["temperature"]) == pytest.approx(np.exp(want.x), rel=1e-5)
    assert float(found["nll_before"]) == pytest.approx(loss(0.0))
    assert float(found["nll"]) <= float(found["nll_before"]) + 1e-12


def test_intervals_of_the_temperature_cover():
    hits = sum(
        bool(found["low"] <= 2 <= found["high"])
        for found in (fit_temperature(*scores(300, 2.0, seed)) for seed in range(100))
    )
    assert 89 <= hits <= 100


def test_named_classes_and_constants_do_not_matter():
    logits, label = scores(200, 2.0)
    named = logits.assign_coords({"class": list("vwxyz")})
    names = xr.DataArray(np.array(list("vwxyz"))[label.values], dims="stimulus")
    plain = fit_temperature(logits, label)
    for other in (
        fit_temperature(named[:, ::-1], names),
        fit_temperature(logits.transpose() + 9 * label, label),
    ):
        assert float(other["temperature"]) == pytest.approx(float(plain["temperature"]))
        assert float(other["nll"]) == pytest.approx(float(plain["nll"]))


def test_it_mends_the_calibration():
    logits, label = scores(4000, 3.0)
    temperature = float(fit_temperature(logits, label)["temperature"])
    right = logits.argmax("class") == label

    def ece(scale):
        p = xr.DataArray(softmax(logits.values / scale, 1).max(1), dims="stimulus")
        return calibration_error(p, right, n_resamples=200)

    assert float(ece(1.0)["p_value"]) < 0.01
    assert float(ece(temperature)["p_value"]) > 0.01
    assert float(ece(temperature)["ece"]) < float(ece(1.0)["ece"]) / 3


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda z, c: (z, z.argmax("class")), "best temperature is 0"),
        (lambda z, c: (z, z.argmin("class")), "best temperature is infinite"),
        (lambda z, c: (z * 0, c), "best temperature is infinite"),
        (lambda z, c: (z, c + 7), "none of the 5 classes"),
        (lambda z, c: (z.expand_dims(glimpse=2), c), "select one condition"),
        (lambda z, c: (z.where(z < 2), c), "NaN"),
        (lambda z, c: (z, c[:5]), "label"),
    ],
)
def test_refusals_of_the_temperature(call, message):
    with pytest.raises(InvalidInput, match=message):
        fit_temperature(*call(*scores(50)))
