"""Sigmoids and their likelihood: closed forms, many tables at once, limits."""

import numpy as np
import pytest

from attnsci.analysis.sigmoids import (
    LAPSE_MAX,
    SHAPES,
    deviance,
    fit_counts,
    limits,
    predict,
    slope_errors,
)


@pytest.mark.parametrize("name", SHAPES)
def test_inverse_and_density_belong_to_the_function(name):
    form = SHAPES[name]
    eta = np.linspace(-4, 1.5, 50)
    np.testing.assert_allclose(form.inverse(form.cdf(eta)), eta, atol=1e-9)
    step = 1e-6
    slope = (form.cdf(eta + step) - form.cdf(eta - step)) / (2 * step)
    np.testing.assert_allclose(form.density(eta), slope, atol=1e-9)
    np.testing.assert_allclose(form.back(form.x(np.array([0.2, 0.9]))), [0.2, 0.9])


def test_weibull_at_its_location_and_the_ends():
    theta = np.array([[np.log(0.4), np.log(2.0), 0.1]])
    p = predict(theta, np.log([1e-9, 0.4, 1e9]), SHAPES["weibull"], 0.2)[0]
    np.testing.assert_allclose(p, [0.2, 0.2 + 0.7 * (1 - np.exp(-1)), 0.9])


def test_many_tables_are_fitted_as_each_alone():
    rng = np.random.default_rng(0)
    x = np.log([0.2, 0.3, 0.5, 0.7])
    total = np.full((40, 4), 100.0)
    right = rng.binomial(100, [0.2, 0.4, 0.7, 0.85], (40, 4)).astype(float)
    together, converged = fit_counts(right, total, x, SHAPES["weibull"], 0.1, None)
    alone = np.concatenate(
        [
            fit_counts(k[None], n[None], x, SHAPES["weibull"], 0.1, None)[0]
            for k, n in zip(right, total, strict=True)
        ]
    )
    assert converged.all()
    np.testing.assert_allclose(together, alone, atol=1e-9)
    low, high = limits(x, None, 0.1)
    assert high[2] == LAPSE_MAX and low[2] == 0
    assert (together >= low).all() and (together <= high).all()


def test_no_parameters_nearby_are_likelier():
    x = np.log([0.2, 0.3, 0.5, 0.7])
    right, total = np.array([22.0, 41, 70, 80]), np.full(4, 100.0)
    form = SHAPES["weibull"]
    theta, _ = fit_counts(right[None], total[None], x, form, 0.1, 0.02)
    best = deviance(right, total, theta, x, form, 0.1)
    rng = np.random.default_rng(1)
    for scale in (0.003, 0.1, 1.0):
        for shift in rng.normal(0, scale, (100, 2)):
            other = theta + np.append(shift, 0)
            assert deviance(right, total, other, x, form, 0.1) >= best - 1e-8


def test_deviance_is_that_of_the_saturated_model():
    right, total = np.array([3.0, 10]), np.array([10.0, 10])
    theta = np.array([[0.0, 0.0, 0.0]])
    x = np.array([0.0, 1.0])
    p = predict(theta, x, SHAPES["logistic"], 0.0)[0]
    want = 2 * (3 * np.log(0.3 / p[0]) + 7 * np.log(0.7 / (1 - p[0])) - 10 * np.log(p[1]))
    assert deviance(right, total, theta, x, SHAPES["logistic"], 0.0) == pytest.approx(want)


def test_error_of_the_slope_is_that_of_the_information_and_large_on_a_plateau():
    import statsmodels.api as sm

    x, total = np.log([0.1, 0.2, 0.3, 0.45, 0.6]), np.full(5, 400.0)
    right = np.array([20.0, 77, 160, 270, 390])
    form = SHAPES["weibull"]
    theta, _ = fit_counts(right[None], total[None], x, form, 0.0, 0.0)
    error = slope_errors(theta, right[None], total[None], x, form, 0.0, 0.0)
    family = sm.families.Binomial(sm.families.links.CLogLog())
    table = np.column_stack([right, total - right])
    model = sm.GLM(table, sm.add_constant(x), family=family).fit()
    # Delta method: the error of log(slope) is that of the slope over the slope.
    assert error[0] == pytest.approx(model.bse[1] / model.params[1], rel=1e-4)
    # Hardly above the guesses and then at the top: every steep slope does as well.
    x, total, step = x[1:4], total[1:4], np.array([[44.0, 392, 392]])
    theta, converged = fit_counts(step, total[None], x, form, 0.1, 0.02)
    assert converged.all() and theta[0, 1] < limits(x, 0.02, 0.1)[1][1]
    assert slope_errors(theta, step, total[None], x, form, 0.1, 0.02)[0] > 20
