"""Bells: closed forms of the shapes, exact recovery, scipy's least squares, exclusions."""

import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import curve_fit

from attnsci.analysis import fits
from attnsci.errors import InvalidInput
from attnsci.statistics.circular import difference

ANGLES = np.arange(20) * 9.0
SHAPES = ["von_mises", "gaussian"]


def labelled(values, angles=ANGLES):
    values = np.atleast_2d(values)
    return xr.DataArray(values, {"orientation_deg": angles}, ("channel", "orientation_deg"))


def predict(fit, shape, angles=ANGLES):
    """Curves (channel, T) of a fit."""
    bell = fits.BELLS[shape]
    column = {name: fit[name].values[:, None] for name in fit}
    g = bell.function(angles - column["preference_deg"], column[bell.parameter])
    return column["baseline"] + column["amplitude"] * g


def test_von_mises_is_the_textbook_form_rescaled():
    delta, kappa = np.linspace(-200, 200, 81), 1.7
    usual = np.exp(kappa * (np.cos(2 * np.deg2rad(delta)) - 1))
    expected = (usual - np.exp(-2 * kappa)) / (1 - np.exp(-2 * kappa))
    np.testing.assert_allclose(fits.von_mises(delta, np.array(kappa)), expected, atol=1e-12)
    cosine = (1 + np.cos(2 * np.deg2rad(delta))) / 2
    np.testing.assert_allclose(fits.von_mises(delta, np.array(1e-6)), cosine, atol=1e-5)


def test_gaussian_is_the_sum_over_all_turns():
    delta = np.linspace(-200, 200, 81)
    for sigma in (5.0, 20.0, 75.0):
        turns = 180 * np.arange(-30, 31)

        def summed(angle, sigma=sigma, turns=turns):
            return np.exp(-(((np.atleast_1d(angle)[:, None] + turns) / sigma) ** 2) / 2).sum(1)

        expected = (summed(delta) - summed(90)) / (summed(0) - summed(90))
        got = fits.wrapped_gaussian(delta, np.array(sigma))
        np.testing.assert_allclose(got, expected, atol=2e-6)


def test_half_width_closed_form():
    kappa = np.array([0.1, 1.0, 10.0, 50.0])
    cosine = 1 + np.log((1 + np.exp(-2 * kappa)) / 2) / kappa
    expected = np.rad2deg(np.arccos(cosine)) / 2
    np.testing.assert_allclose(fits.half_width_deg("von_mises", kappa), expected)
    narrow = fits.half_width_deg("gaussian", np.array([5.0, 12.0]))
    np.testing.assert_allclose(narrow, np.sqrt(2 * np.log(2)) * np.array([5.0, 12.0]), rtol=1e-6)


@pytest.mark.parametrize("shape", SHAPES)
def test_exact_bells_are_recovered(shape):
    rng = np.random.default_rng(0)
    bell = fits.BELLS[shape]
    low, high = bell.limits(ANGLES)
    width = np.geomspace(1.3 * low, high / 1.3, 200)
    if shape == "von_mises":
        width = np.geomspace(0.3, high / 1.3, 200)
    else:
        width = np.geomspace(1.3 * low, 50, 200)
    truth = {
        "amplitude": rng.uniform(0.01, 100, 200),
        "baseline": rng.uniform(-1, 5, 200),
        "preference_deg": rng.uniform(0, 180, 200),
        bell.parameter: width,
    }
    fit = fits.fit_curves(
        labelled(predict(xr.Dataset({k: ("channel", v) for k, v in truth.items()}), shape)), shape
    )
    assert fit["fitted"].all()
    assert not fit["at_bound"].any()
    np.testing.assert_allclose(fit["r_squared"], 1, atol=1e-6)
    for name in ("amplitude", "baseline"):
        scale = truth["amplitude"]
        np.testing.assert_allclose((fit[name] - truth[name]) / scale, 0, atol=5e-3)
    turned = difference(fit["preference_deg"].values, truth["preference_deg"])
    np.testing.assert_allclose(turned, 0, atol=0.02)
    np.testing.assert_allclose(fit[bell.parameter], width, rtol=2e-2)
    np.testing.assert_allclose(fit["half_width_deg"], fits.half_width_deg(shape, width), rtol=5e-3)


@pytest.mark.parametrize("shape", SHAPES)
def test_scipy_finds_nothing_better(shape):
    rng = np.random.default_rng(3)
    bell = fits.BELLS[shape]
    clean = 1 + 3 * bell.function(
        ANGLES - rng.uniform(0, 180, (12, 1)), np.array(1.5 if shape == "von_mises" else 25.0)
    )
    curves = clean + rng.normal(0, 0.3, clean.shape)
    fit = fits.fit_curves(labelled(curves), shape)
    assert fit["fitted"].all()
    ours = ((curves - predict(fit, shape)) ** 2).sum(1)
    low, high = np.log(bell.limits(ANGLES))

    def model(theta, baseline, amplitude, preference, log_width):
        return baseline + amplitude * bell.function(theta - preference, np.exp(log_width))

    for unit, y in enumerate(curves):
        p, _ = curve_fit(
            model,
            ANGLES,
            y,
            p0=[y.min(), np.ptp(y), ANGLES[y.argmax()], (low + high) / 2],
            bounds=([-np.inf, 0, -np.inf, low], [np.inf, np.inf, np.inf, high]),
        )
        theirs = ((y - model(ANGLES, *p)) ** 2).sum()
        assert ours[unit] == pytest.approx(theirs, rel=1e-5)
        got = [float(fit[name][unit]) for name in ("baseline", "amplitude")]
        np.testing.assert_allclose(got, p[:2], rtol=5e-3, atol=5e-3)
        assert difference(float(fit["preference_deg"][unit]), p[2]) == pytest.approx(0, abs=0.05)
        total = ((y - y.mean()) ** 2).sum()
        assert float(fit["r_squared"][unit]) == pytest.approx(1 - ours[unit] / total)


@settings(deadline=None, max_examples=15)
@given(st.floats(1e-3, 1e3), st.integers(0, 19), st.permutations(range(5)))
def test_scale_rotation_and_order(scale, shift, order):
    rng = np.random.default_rng(1)
    bell = fits.von_mises(ANGLES - rng.uniform(0, 180, (5, 1)), np.array(2.0))
    curves = 1 + bell + rng.normal(0, 0.05, (5, 20))
    base = fits.fit_curves(labelled(curves))
    other = fits.fit_curves(labelled(scale * np.roll(curves, shift, 1)[order]))
    np.testing.assert_allclose(other["amplitude"], scale * base["amplitude"][order], rtol=1e-3)
    np.testing.assert_allclose(other["half_width_deg"], base["half_width_deg"][order], rtol=1e-3)
    turned = difference(other["preference_deg"].values, base["preference_deg"].values[order])
    np.testing.assert_allclose(difference(turned, 9.0 * shift), 0, atol=0.05)


def test_excluded_units_are_counted_by_status():
    bell = 1 + fits.von_mises(ANGLES - 40, np.array(2.0))
    curves = labelled([bell, 0 * bell, 0 * bell + 3, 1e-8 * bell])
    fit = fits.fit_curves(curves)
    names = [fit.attrs["status_names"][s] for s in fit["status"].values]
    assert names == ["fitted", "silent", "constant", "silent"]
    numbers = fit[["amplitude", "baseline", "preference_deg", "kappa", "half_width_deg"]]
    for name in numbers:
        np.testing.assert_array_equal(np.isfinite(fit[name]), [True, False, False, False])


def test_a_spike_between_angles_cannot_grow():
    # One angle alone responds: the width stops at the spacing and says so.
    fit = fits.fit_curves(labelled(np.eye(20)[4]))
    assert bool(fit["at_bound"][0])
    assert float(fit["half_width_deg"][0]) == pytest.approx(9, rel=0.02)
    assert float(fit["amplitude"][0]) < 1.2
    assert float(fit["preference_deg"][0]) == pytest.approx(36, abs=0.01)


def test_dask_agrees():
    curves = labelled(
        np.random.default_rng(0).random((9, 20)) + fits.von_mises(ANGLES, np.array(2))
    )
    lazy = fits.fit_curves(curves.chunk(channel=4))
    assert lazy["amplitude"].chunks is not None
    xr.testing.assert_allclose(lazy.compute(), fits.fit_curves(curves))


def test_refusals():
    with pytest.raises(InvalidInput, match="five distinct angles; orientation_deg has 4"):
        fits.fit_curves(labelled(np.arange(5.0), [0.0, 45, 90, 135, 180]))
    with pytest.raises(InvalidInput, match="NaN"):
        fits.fit_curves(labelled(np.where(ANGLES == 9, np.nan, 1.0)))
    with pytest.raises(InvalidInput, match="shape must be one of"):
        fits.fit_curves(labelled(ANGLES), "cauchy")
    with pytest.raises(InvalidInput, match="no coordinate"):
        fits.fit_curves(labelled(ANGLES).drop_vars("orientation_deg"))
