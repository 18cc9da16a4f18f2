"""Lines and scaling models against scipy, orthogonal regression by SVD, and brute search."""

import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from scipy.optimize import minimize

from attnsci.analysis import scaling
from attnsci.errors import InvalidInput

RNG = np.random.default_rng(0)
X = np.maximum(RNG.normal(1, 1, (30, 20)), 0)
Y = np.maximum(1.4 * X - 0.5 + RNG.normal(0, 0.3, X.shape), 0)
DIMS = ("unit", "orientation_deg")


def arrays(x=X, y=Y):
    return xr.DataArray(x, dims=DIMS), xr.DataArray(y, dims=DIMS)


def test_ordinary_line_is_linregress():
    line = scaling.ordinary_line(*arrays())
    expected = [stats.linregress(x, y) for x, y in zip(X, Y, strict=True)]
    np.testing.assert_allclose(line["slope"], [e.slope for e in expected])
    np.testing.assert_allclose(line["intercept"], [e.intercept for e in expected])
    np.testing.assert_allclose(line["r"], [e.rvalue for e in expected])


def orthogonal(x, y):
    """Total least squares from the singular vectors of the centred cloud."""
    vector = np.linalg.svd(np.column_stack([x - x.mean(), y - y.mean()]))[2][0]
    return vector[1] / vector[0], y.mean() - vector[1] / vector[0] * x.mean()


def test_deming_is_orthogonal_regression_with_jackknife():
    line = scaling.deming_line(*arrays(), confidence=0.9)
    for unit in range(5):
        x, y = X[unit], Y[unit]
        slope, intercept = orthogonal(x, y)
        assert float(line["slope"][unit]) == pytest.approx(slope)
        assert float(line["intercept"][unit]) == pytest.approx(intercept)
        without = np.array([orthogonal(np.delete(x, i), np.delete(y, i)) for i in range(20)])
        error = np.sqrt(19 / 20 * ((without - without.mean(0)) ** 2).sum(0))
        half = stats.t.ppf(0.95, 18) * error
        assert float(line["slope_high"][unit]) == pytest.approx(slope + half[0])
        assert float(line["intercept_low"][unit]) == pytest.approx(intercept - half[1])


@settings(deadline=None, max_examples=25)
@given(st.permutations(range(20)), st.floats(0.1, 10))
def test_deming_is_symmetric_and_scales(order, scale):
    x, y = arrays()
    base = scaling.deming_line(x, y)
    np.testing.assert_allclose(scaling.deming_line(y, x)["slope"], 1 / base["slope"])
    moved = scaling.deming_line(scale * x[:, order], scale * y[:, order])
    np.testing.assert_allclose(moved["slope"], base["slope"])
    np.testing.assert_allclose(moved["intercept"], scale * base["intercept"], atol=1e-9)
    np.testing.assert_allclose(moved["slope_low"], base["slope_low"], rtol=1e-6)


def test_noise_on_both_axes():
    # Least squares is biased low by the reliability of x; Deming is not, and its interval covers.
    rng = np.random.default_rng(1)
    drive = rng.uniform(0, 4, (400, 21))
    x = drive + rng.normal(0, 0.4, drive.shape)
    y = 1.25 * drive + 0.3 + rng.normal(0, 0.4, drive.shape)
    tls, ols = scaling.deming_line(*arrays(x, y)), scaling.ordinary_line(*arrays(x, y))
    assert float(tls["slope"].median()) == pytest.approx(1.25, abs=0.02)
    assert float(tls["intercept"].median()) == pytest.approx(0.3, abs=0.05)
    assert float(ols["slope"].median()) == pytest.approx(
        1.25 * (16 / 12) / (16 / 12 + 0.16), abs=0.02
    )
    covered = (tls["slope_low"] <= 1.25) & (tls["slope_high"] >= 1.25)
    assert 0.91 <= float(covered.mean()) <= 0.98


def test_undefined_lines_are_flagged():
    x = np.array([[1.0, 1, 1, 1], [0, 1, 2, 3], [0, 1, 2, 3], [0, 0, 0, 5], [1, -1, 1, -1]])
    y = np.array([[1.0, 2, 3, 4], [2, 2, 2, 2], [1, 2, 3, 5], [0, 1, 2, 3], [1, 1, -1, -1]])
    line = scaling.deming_line(*arrays(x, y))
    np.testing.assert_array_equal(line["defined"], [False, False, True, True, False])
    # The fourth hangs on one point: without it x does not vary.
    np.testing.assert_array_equal(line["interval_defined"], [False, False, True, False, False])
    ordinary = scaling.ordinary_line(*arrays(x, y))
    np.testing.assert_array_equal(ordinary["defined"], [False, False, True, True, True])
    models = scaling.compare_models(*arrays(x, y))
    np.testing.assert_array_equal(models["best"] >= 0, [False, False, True, True, True])


def test_thresholded_model_is_the_global_minimum():
    models = scaling.compare_models(*arrays())
    for unit in range(12):
        x, y = X[unit], Y[unit]

        def error(p, x=x, y=y):
            return ((y - np.maximum(p[0] * x + p[1], 0)) ** 2).sum()

        starts = [(g, c) for g in (0.5, 1, 1.5, 2) for c in (-1.5, -0.7, 0, 0.5)]
        best = min(
            minimize(error, s, method="Nelder-Mead", options={"xatol": 1e-8, "fatol": 1e-12}).fun
            for s in starts
        )
        got = models.sel(model="thresholded").isel(unit=unit)
        assert float(got["sse"]) <= best + 1e-7
        assert float(got["sse"]) == pytest.approx(error((float(got["gain"]), float(got["offset"]))))


def test_aic_by_statistical_definition():
    models = scaling.compare_models(*arrays())
    x, y = X[0], Y[0]
    g = (x @ y) / (x @ x)
    residuals = {
        "multiplicative": y - g * x,
        "additive": y - x - (y - x).mean(),
        "multiplicative+additive": y - np.polyval(np.polyfit(x, y, 1), x),
    }
    for (name, residual), k in zip(residuals.items(), (2, 2, 3), strict=True):
        variance = (residual**2).mean()
        likelihood = stats.norm.logpdf(residual, scale=np.sqrt(variance)).sum()
        constant = 20 * (np.log(2 * np.pi) + 1)
        aic = float(models["aic"].sel(model=name)[0])
        assert aic + constant == pytest.approx(2 * k - 2 * likelihood)


@pytest.mark.parametrize(
    ("function", "name"),
    [
        (lambda x: 1.25 * x, "multiplicative"),
        (lambda x: x + 0.8, "additive"),
        (lambda x: 1.6 * x + 0.8, "multiplicative+additive"),
        (lambda x: np.maximum(1.6 * x - 2, 0), "thresholded"),
    ],
)
@pytest.mark.parametrize("noise", [0.0, 0.05])
def test_the_model_that_made_the_data_wins(function, name, noise):
    rng = np.random.default_rng(2)
    x = rng.uniform(0, 3, (60, 21))
    y = function(x) + noise * rng.normal(size=x.shape)
    models = scaling.compare_models(*arrays(x, y))
    chosen = (models["best"] == scaling.MODELS.index(name)).mean()
    assert float(chosen) >= (1.0 if noise == 0 else 0.75)
    assert np.isfinite(models["aic"]).all()


def test_dask_agrees():
    x, y = arrays()
    for function in (scaling.ordinary_line, scaling.deming_line, scaling.compare_models):
        lazy = function(x.chunk(unit=7), y.chunk(unit=7))
        assert all(v.chunks is not None for v in lazy.data_vars.values())
        xr.testing.assert_allclose(lazy.compute(), function(x, y))


def test_refusals():
    x, y = arrays()
    with pytest.raises(InvalidInput, match="same dimensions"):
        scaling.ordinary_line(x, y[:3])
    with pytest.raises(InvalidInput, match="different coordinates"):
        scaling.ordinary_line(
            x.assign_coords(orientation_deg=np.arange(20)),
            y.assign_coords(orientation_deg=np.arange(20) + 1),
        )
    with pytest.raises(InvalidInput, match="At least four points"):
        scaling.deming_line(x[:, :3], y[:, :3])
    with pytest.raises(InvalidInput, match="NaN"):
        scaling.compare_models(x, y.where(y != y.max()))
