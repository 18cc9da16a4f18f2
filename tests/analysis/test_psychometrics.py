"""Psychometric functions: other fitters' numbers, planted thresholds, coverage, what has none."""

import numpy as np
import pytest
import xarray as xr
from scipy.optimize import minimize
from scipy.stats import binom

from attnsci.analysis.psychometrics import STATUS, fit_psychometric
from attnsci.analysis.sigmoids import SHAPES, fit_counts
from attnsci.errors import InvalidInput

THREE = xr.DataArray([0.3, 0.5, 0.7], dims="contrast")


def table(shares, n=1000):
    """Answers of `n` stimuli with exactly these shares right, (stimulus, ..., contrast)."""
    ranks = xr.DataArray((np.arange(n) + 0.5) / n, dims="stimulus")
    return ranks < shares


def weibull(contrast, alpha=0.3, beta=2.5, chance=0.1, lapse=0.05):
    return chance + (1 - chance - lapse) * (1 - np.exp(-((contrast / alpha) ** beta)))


@pytest.mark.parametrize("shape", SHAPES)
def test_without_guesses_and_lapses_it_is_the_generalised_linear_model(shape):
    import statsmodels.api as sm

    contrast = np.array([0.1, 0.2, 0.3, 0.45, 0.6])
    n = 400
    k = np.array([20.0, 77, 160, 270, 390])
    link = {"weibull": sm.families.links.CLogLog(), "logistic": sm.families.links.Logit()}[shape]
    x = np.log(contrast) if shape == "weibull" else contrast
    model = sm.GLM(
        np.column_stack([k, n - k]), sm.add_constant(x), family=sm.families.Binomial(link)
    ).fit()
    fit = fit_psychometric(
        table(xr.DataArray(k / n, dims="contrast"), n),
        xr.DataArray(contrast, dims="contrast"),
        chance=0.0,
        lapse=0.0,
        shape=shape,
        n_resamples=20,
    )
    slope = model.params[1]
    eta = np.log(-np.log(0.25)) if shape == "weibull" else np.log(3)
    threshold = (eta - model.params[0]) / slope
    threshold = np.exp(threshold) if shape == "weibull" else threshold
    np.testing.assert_allclose(
        fit["estimate"].sel(parameter=["threshold", "slope"]), [threshold, slope], rtol=1e-5
    )
    assert float(fit["deviance"]) == pytest.approx(model.deviance, rel=1e-6)


@pytest.mark.parametrize("lapse", [0.04, None])
def test_with_guesses_and_lapses_against_a_general_optimiser(lapse):
    x = np.log([0.1, 0.2, 0.3, 0.45, 0.6, 0.9])
    n = np.full(6, 300.0)
    k = np.array([35.0, 80, 150, 230, 265, 270])
    found, converged = fit_counts(k[None], n[None], x, SHAPES["weibull"], 0.1, lapse)
    assert converged.all()

    def loss(p):
        top = 1 - 0.1 - (lapse if lapse is not None else p[2])
        share = 0.1 + top * -np.expm1(-np.exp(np.exp(p[1]) * (x - p[0])))
        return -binom.logpmf(k, n, np.clip(share, 1e-9, 1 - 1e-9)).sum()

    start = [-1.0, 1.0] if lapse is not None else [-1.0, 1.0, 0.05]
    tight = {"xatol": 1e-9, "fatol": 1e-11, "maxiter": 4000, "maxfev": 4000}
    want = minimize(loss, start, method="Nelder-Mead", options=tight)
    np.testing.assert_allclose(found[0][: len(start)], want.x, atol=2e-5)


def test_a_curve_without_noise_is_found_in_every_condition():
    betas = xr.DataArray([1.5, 3.0, 6.0], dims="model")
    fit = fit_psychometric(
        table(weibull(THREE, 0.4, betas, 0.1135, 0.02), 100000),
        THREE,
        chance=0.1135,
        n_resamples=2,
    )
    alpha_to_threshold = (-np.log(1 - (0.75 - 0.1135) / (1 - 0.1135 - 0.02))) ** (1 / betas)
    np.testing.assert_allclose(
        fit["estimate"].sel(parameter="threshold"), 0.4 * alpha_to_threshold, rtol=2e-4
    )
    np.testing.assert_allclose(fit["estimate"].sel(parameter="slope"), betas, rtol=2e-3)
    assert fit["reached"].all() and (fit["deviance"] < 0.01).all()
    # The curve is the fit, from the lowest to the highest contrast tested.
    grid = fit["curve_contrast"].transpose("point", "model")
    assert grid[0].values.tolist() == [0.3] * 3 and grid[-1].values.tolist() == [0.7] * 3
    np.testing.assert_allclose(fit["curve"], weibull(grid, 0.4, betas, 0.1135, 0.02), atol=1e-4)
    np.testing.assert_allclose(
        fit["accuracy"].transpose("level", "model"),
        weibull(THREE, 0.4, betas, 0.1135, 0.02).transpose("contrast", "model"),
        atol=1e-5,
    )


def test_contrast_of_its_own_for_each_stimulus_with_a_fitted_lapse_rate():
    rng = np.random.default_rng(1)
    contrast = xr.DataArray(rng.uniform(0.05, 0.9, 4000), dims="stimulus")
    correct = xr.DataArray(rng.random(4000), dims="stimulus") < weibull(contrast)
    fit = fit_psychometric(correct, contrast, chance=0.1, lapse=None, n_resamples=60)
    planted = [0.3 * (-np.log(1 - 0.65 / 0.85)) ** (1 / 2.5), 2.5, 0.05]
    assert ((fit["low"] <= planted) & (planted <= fit["high"])).all()
    np.testing.assert_allclose(fit["estimate"], planted, rtol=0.25)
    assert fit.attrs["lapse_fitted"] == 1


def test_intervals_cover_the_planted_threshold():
    rng = np.random.default_rng(2)
    share = weibull(THREE, 0.35, 2.0, 0.1, 0.02)
    # One hundred experiments side by side; all of them see the same resamples.
    correct = xr.DataArray(rng.random((300, 100, 3)), dims=("stimulus", "run", "contrast")) < share
    fit = fit_psychometric(correct, THREE, chance=0.1, n_resamples=300)
    planted = 0.35 * (-np.log(1 - 0.65 / 0.88)) ** 0.5
    chosen = fit.sel(parameter="threshold")
    covered = (chosen["low"] <= planted) & (planted <= chosen["high"])
    assert 89 <= int(covered.sum()) <= 99


def test_stimuli_are_drawn_with_all_their_answers():
    share = xr.DataArray([0.4, 0.6, 0.8], dims="contrast")
    once = table(share, 200)
    # Ten copies of each answer are no new stimuli.
    copies = once.expand_dims(copy=10)
    one = fit_psychometric(once, THREE, chance=0.1, n_resamples=200)
    ten = fit_psychometric(copies, THREE.expand_dims(copy=10), chance=0.1, n_resamples=200)
    for name in ("estimate", "low", "high"):
        np.testing.assert_allclose(one[name], ten[name], rtol=1e-5)
    assert ten["n"].values.tolist() == [2000] * 3


@pytest.mark.parametrize(
    ("shares", "status"),
    [
        ([0.4, 0.6, 0.85], "reached"),
        ([0.2, 0.3, 0.5], "above the highest contrast"),
        ([0.10, 0.11, 0.09], "above the highest contrast"),
        ([0.85, 0.9, 0.95], "below the lowest contrast"),
        ([0.8, 0.75, 0.7], "no rise with contrast"),
        ([0.12, 0.98, 0.98], "slope undetermined"),
    ],
)
def test_a_threshold_outside_the_contrasts_is_never_made_up(shares, status):
    fit = fit_psychometric(
        table(xr.DataArray(shares, dims="contrast")), THREE, chance=0.1135, n_resamples=50
    )
    threshold = fit.sel(parameter="threshold")
    assert STATUS[int(fit["status"])] == status == fit.attrs["status_names"][int(fit["status"])]
    assert bool(fit["reached"]) == (status == "reached")
    for name in ("estimate", "low", "high"):
        assert bool(threshold[name].isnull()) == (status != "reached")
    if status == "reached":
        assert threshold["low"] <= threshold["estimate"] <= threshold["high"]
        assert 0.5 < threshold["estimate"] < 0.7


def test_an_upper_limit_that_the_data_do_not_set_is_infinite():
    share = xr.DataArray([0.4, 0.6, 0.755], dims="contrast")
    fit = fit_psychometric(table(share, 200), THREE, chance=0.1, n_resamples=200)
    threshold = fit.sel(parameter="threshold")
    assert fit["reached"] and np.isinf(threshold["high"])
    assert 0.5 < float(threshold["low"]) < float(threshold["estimate"]) < 0.7


def test_the_criterion_and_missing_answers():
    levels = xr.DataArray([0.1, 0.3, 0.5, 0.7], dims="contrast")
    answers = table(weibull(levels, 0.3, 2.0, 0.1, 0.02), 20000).astype(float)
    half = fit_psychometric(answers, levels, chance=0.1, criterion=0.5, n_resamples=2)
    want = 0.3 * (-np.log(1 - 0.4 / 0.88)) ** 0.5
    assert float(half["estimate"][0]) == pytest.approx(want, rel=1e-3)
    # Without the lowest contrast it would be extrapolated.
    gone = answers.where((levels > 0.2) | (answers.stimulus < 0))
    fewer = fit_psychometric(gone, levels, chance=0.1, criterion=0.5, n_resamples=2)
    assert STATUS[int(fewer["status"])] == "below the lowest contrast"
    fewer = fit_psychometric(gone, levels, chance=0.1, criterion=0.75, n_resamples=2)
    want = 0.3 * (-np.log(1 - 0.65 / 0.88)) ** 0.5
    assert fewer["n"].values.tolist() == [0, 20000, 20000, 20000]
    assert np.isnan(fewer["accuracy"].values).tolist() == [True, False, False, False]
    assert float(fewer["estimate"][0]) == pytest.approx(want, rel=2e-3)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"contrast": xr.DataArray([0.3, 0.5], dims="contrast")}, "at 3 contrasts or more"),
        ({"lapse": None}, "at 4 contrasts or more"),
        ({"contrast": THREE - 0.3}, "above 0"),
        ({"contrast": THREE * 2}, "at most 1"),
        ({"contrast": xr.DataArray(0.5)}, "no dimension"),
        ({"criterion": 0.05}, "criterion must lie between chance, 0.1"),
        ({"criterion": 0.99}, "criterion must lie"),
        ({"lapse": 0.95}, "lapse must lie"),
        ({"shape": "probit"}, "shape must be one of"),
        ({"chance": 1.2}, "chance"),
        ({"correct": xr.DataArray(np.full((5, 3), 0.5), dims=("stimulus", "contrast"))}, "shares"),
        ({"correct": xr.DataArray(np.ones((1, 3)), dims=("stimulus", "contrast"))}, "2 stimuli"),
        ({"correct": xr.DataArray(np.ones(5), dims="stimulus")}, "lacks the dimension"),
        ({"n_resamples": 0}, "n_resamples"),
        ({"confidence": 1.0}, "confidence"),
    ],
)
def test_refusals(change, message):
    arguments = {
        "correct": table(xr.DataArray([0.4, 0.6, 0.8], dims="contrast"), 50),
        "contrast": THREE,
        "chance": 0.1,
        "n_resamples": 5,
        **change,
    }
    if arguments["contrast"].sizes.get("contrast") == 2:
        arguments["correct"] = arguments["correct"].isel(contrast=[0, 1])
    with pytest.raises(InvalidInput, match=message):
        fit_psychometric(arguments.pop("correct"), arguments.pop("contrast"), **arguments)


def test_answers_by_chance_have_no_threshold_and_no_error():
    """What a flat curve tells of its parameters is next to nothing; the fit must bear it."""
    levels = xr.DataArray([0.3, 0.5, 0.7], dims="contrast")
    lucky = (np.arange(200) % 10 == 0)[:, None, None] & np.ones((1, 3, 4), bool)
    correct = xr.DataArray(lucky, dims=("stimulus", "contrast", "eccentricity"))
    found = fit_psychometric(correct, levels, chance=0.1, n_resamples=100)
    assert not found["reached"].any()
    assert found["estimate"].sel(parameter="threshold").isnull().all()
