"""Selectivity for categories: closed forms, brute force, and no selectivity out of noise."""

import numpy as np
import pytest
import xarray as xr

from attnsci.analysis.category_tuning import category_selectivity, preferred_category
from attnsci.errors import InvalidInput


def recorded(values, labels, **coords):
    dims = ("stimulus", "channel", "x")[: np.ndim(values)]
    along = {name: ("stimulus", value) for name, value in coords.items()}
    return xr.DataArray(values, {"label": ("stimulus", labels), **along}, dims)


def test_d_prime_by_its_definition():
    rng = np.random.default_rng(0)
    values, labels = rng.gamma(2, size=(60, 3, 2)) + 1e4, rng.integers(0, 3, 60) * 2
    found = category_selectivity(recorded(values, labels))
    assert found.dims == ("label", "channel", "x") and found["label"].values.tolist() == [0, 2, 4]
    for row, category in enumerate((0, 2, 4)):
        inside, outside = values[labels == category], values[labels != category]
        spread = np.sqrt((inside.var(0, ddof=1) + outside.var(0, ddof=1)) / 2)
        np.testing.assert_allclose(
            found[row], (inside.mean(0) - outside.mean(0)) / spread, rtol=1e-8
        )
        assert int(found["n_stimuli"][row]) == len(inside)


def test_a_unit_two_deviations_apart():
    rng = np.random.default_rng(1)
    labels = np.arange(20_000) % 2
    values = rng.normal(size=(20_000, 1)) + 2.0 * labels[:, None]
    found = category_selectivity(recorded(values, labels))
    np.testing.assert_allclose(found[:, 0], [-2, 2], atol=0.03)


def test_constant_and_silent_units_prefer_nothing():
    found = category_selectivity(recorded(np.full((40, 2), [0.0, 0.3]), np.arange(40) % 4))
    assert (found == 0).all()


def test_rare_categories_are_left_out_and_a_single_one_has_no_others():
    labels = np.repeat([1, 2, 7], [10, 10, 4])
    values = np.random.default_rng(0).normal(size=(24, 1))
    found = category_selectivity(recorded(values, labels))
    assert found["label"].values.tolist() == [1, 2]
    with pytest.raises(InvalidInput, match="No category has 11 stimuli"):
        category_selectivity(recorded(values, labels), minimum=11)
    with pytest.raises(InvalidInput, match="No category has 5 stimuli"):
        category_selectivity(recorded(values, np.zeros(24)))


def test_what_cannot_be_measured_is_refused():
    values = np.zeros((10, 1))
    with pytest.raises(InvalidInput, match="by must name"):
        category_selectivity(recorded(values, np.zeros(10)), by="colour")
    with pytest.raises(InvalidInput, match="2 or more"):
        category_selectivity(recorded(values, np.zeros(10)), minimum=1)
    values[3] = np.nan
    with pytest.raises(InvalidInput, match="responses"):
        category_selectivity(recorded(values, np.arange(10) % 2))


def test_held_out_selectivity_of_noise_is_none_and_of_a_tuned_unit_is_its_own():
    rng = np.random.default_rng(2)
    labels = np.arange(240) % 4
    values = rng.normal(size=(240, 40))
    values[:, 0] += 3.0 * (labels == 2)
    found = preferred_category(recorded(values, labels), seed=0)
    assert int(found["preferred"][0]) == 2
    assert float(found["held_out"][0]) == pytest.approx(3, abs=0.4)
    assert abs(float(found["held_out"][1:].mean())) < 0.06
    assert float(found["d_prime"][1:].mean()) > 0.15


def test_objects_of_one_photograph_stay_in_one_half():
    """Two copies of each stimulus: chance selectivity would look held out if halves shared them."""
    rng = np.random.default_rng(3)
    values, labels = rng.normal(size=(40, 60)), np.arange(40) % 2
    doubled = recorded(
        np.repeat(values, 2, 0), np.repeat(labels, 2), photograph=np.repeat(np.arange(40), 2)
    )
    apart = preferred_category(doubled, groups="photograph", seed=0)
    torn = preferred_category(doubled, seed=0)
    # Halves of one small sample lean opposite ways; copies in both halves undo that.
    assert float(apart["held_out"].mean()) < 0
    assert float(torn["held_out"].mean()) > float(apart["held_out"].mean()) + 0.08


def test_too_few_for_halves():
    labels = np.repeat([0, 1], 5)
    with pytest.raises(InvalidInput, match="No category has 10 stimuli"):
        preferred_category(recorded(np.zeros((10, 1)), labels), seed=0)
