"""Half-widths of accuracy: planted Gaussians, coverage, and curves that have none."""

import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st

from attnsci.analysis.fall_off import STATUS, fit_fall_off, gaussian_fit, half_crossing
from attnsci.errors import InvalidInput

EDGES = np.arange(0, 31, 2.0)


def answers(p, n=3000, seed=0):
    rng = np.random.default_rng(seed)
    away = rng.uniform(0, 30, n)
    correct = xr.DataArray(rng.random(n) < p(away), dims="stimulus")
    return correct, xr.DataArray(away, dims="stimulus", attrs={"units": "px"})


def gaussian(away):
    return 0.1 + 0.8 * np.exp(-(away**2) / (2 * 8**2))


def test_planted_gaussian():
    found = fit_fall_off(*answers(gaussian, 20000), EDGES, chance=0.1, n_resamples=300)
    estimate = found["estimate"]
    assert float(estimate.sel(parameter="amplitude")) == pytest.approx(0.8, abs=0.03)
    assert float(estimate.sel(parameter="sigma")) == pytest.approx(8, abs=0.3)
    half = 8 * np.sqrt(2 * np.log(2))
    assert float(estimate.sel(parameter="gaussian_half_width")) == pytest.approx(half, abs=0.35)
    assert float(estimate.sel(parameter="half_width")) == pytest.approx(half, abs=0.6)
    assert (found["status"] == 0).all()
    assert ((found["low"] < estimate) & (estimate < found["high"])).all()
    assert found.attrs["units"] == "px" and found.attrs["n_stimuli"] == 20000


def test_intervals_cover_the_planted_width():
    hits = 0
    for seed in range(60):
        found = fit_fall_off(
            *answers(gaussian, 1500, seed), EDGES, chance=0.1, n_resamples=200, seed=seed
        ).sel(parameter="sigma")
        hits += bool(found["low"] <= 8 <= found["high"])
    assert hits >= 53


@settings(max_examples=40, deadline=None)
@given(st.floats(1, 25), st.floats(0.05, 0.9), st.integers(0, 1000))
def test_a_gaussian_without_noise_is_found_exactly(sigma, amplitude, seed):
    away = np.arange(1.0, 30, 2)
    weights = np.random.default_rng(seed).uniform(1, 100, len(away))
    curve = amplitude * np.exp(-(away**2) / (2 * sigma**2))
    found = gaussian_fit(curve[None], away, weights)
    np.testing.assert_allclose([part[0] for part in found], [amplitude, sigma], rtol=1e-3)


def test_the_fit_is_the_least_squares_one():
    from scipy.optimize import least_squares

    rng = np.random.default_rng(2)
    away, weights = np.arange(1.0, 30, 2), rng.uniform(1, 100, 15)
    curve = 0.6 * np.exp(-(away**2) / 128) + rng.normal(0, 0.1, 15)

    def residuals(p):
        return np.sqrt(weights) * (curve - p[0] * np.exp(-(away**2) / (2 * p[1] ** 2)))

    want = least_squares(residuals, [0.5, 7.0], xtol=1e-12).x
    found = gaussian_fit(curve[None], away, weights)
    np.testing.assert_allclose([part[0] for part in found], want, rtol=1e-4)


def test_crossing_by_hand():
    away = np.array([1.0, 3, 5, 9])
    curves = np.array([[0.8, 0.6, 0.2, 0.0], [0.8, 0.8, 0.8, 0.41], [0.8, 0.4, 0.9, 0.1]])
    np.testing.assert_allclose(half_crossing(curves, away), [4, np.inf, 3])


def test_what_is_not_defined_says_why():
    found = fit_fall_off(*answers(lambda e: 0.9 + 0 * e), EDGES, chance=0.1, n_resamples=100)
    width = found.sel(parameter=["sigma", "half_width"])
    assert np.isnan(width["estimate"]).all() and np.isnan(width["low"]).all()
    assert [STATUS[i] for i in width["status"].values] == [STATUS[2]] * 2
    never = fit_fall_off(*answers(lambda e: 0 * e), EDGES, chance=0.1, n_resamples=100)
    assert (never["status"] == 1).all() and np.isnan(never["estimate"]).all()
    assert never.attrs["status_names"][1] == "not above chance"


def test_an_upper_limit_that_the_data_do_not_set_is_infinite():
    def shallow(away):
        return 0.1 + 0.6 * np.exp(-(away**2) / (2 * 20.0**2))

    found = fit_fall_off(*answers(shallow, 600, 1), EDGES[::3], chance=0.1, n_resamples=200)
    half = found.sel(parameter="gaussian_half_width")
    assert int(half["status"]) == 0 and np.isfinite(half["low"]) and np.isinf(half["high"])


def test_other_dimensions_are_fitted_each():
    first, away = answers(gaussian, 4000)
    second, _ = answers(lambda e: 0.1 + 0.6 * np.exp(-(e**2) / (2 * 4**2)), 4000)
    both = xr.concat([first, second], xr.DataArray(["a", "b"], dims="model", name="model"))
    found = fit_fall_off(both, away, EDGES, chance=0.1, n_resamples=50)
    sigma = found["estimate"].sel(parameter="sigma")
    assert float(sigma.sel(model="a")) == pytest.approx(8, abs=0.8)
    assert float(sigma.sel(model="b")) == pytest.approx(4, abs=0.5)
    alone = fit_fall_off(first, away, EDGES, chance=0.1, n_resamples=50)
    np.testing.assert_allclose(found.sel(model="a")["high"], alone["high"])


def test_refusals():
    correct, away = answers(gaussian, 100)
    with pytest.raises(InvalidInput, match="three bins"):
        fit_fall_off(correct, away, [0, 15, 30], chance=0.1)
    with pytest.raises(InvalidInput, match="chance"):
        fit_fall_off(correct, away, [0, 10, 20, 30], chance=-1)
    with pytest.raises(InvalidInput, match="empty bin"):
        fit_fall_off(correct[:6], away[:6], np.quantile(away[:6], [0, 0.4, 0.7, 0.9]), chance=0)
