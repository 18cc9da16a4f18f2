"""Shares and Wilson's intervals, for arrays."""

import numpy as np
import pytest
import xarray as xr

from attnsci.errors import InvalidInput
from attnsci.statistics.proportions import accuracy, base_rate, wilson_intervals
from attnsci.statistics.significance import wilson


def test_every_cell_is_the_scalar_interval():
    correct = xr.DataArray(
        np.random.default_rng(0).random((23, 2, 3)) < [[0.0, 0.5, 1.1], [0.2, 0.7, 0.9]],
        {"glimpse": [1, 2]},
        ("stimulus", "glimpse", "model"),
    )
    found = accuracy(correct, confidence=0.9)
    for glimpse in range(2):
        for model in range(3):
            cell = found.isel(glimpse=glimpse, model=model)
            want = wilson(int(correct[:, glimpse, model].sum()), 23, confidence=0.9)
            assert float(cell["accuracy"]) == want.estimate
            assert float(cell["low"]) == pytest.approx(want.low, abs=1e-15)
            assert float(cell["high"]) == pytest.approx(want.high, abs=1e-15)
            assert int(cell["n"]) == 23
    assert found.attrs["confidence"] == 0.9


def test_a_missing_answer_is_left_out_of_its_cell():
    correct = xr.DataArray([[1, 0], [np.nan, 1]], dims=("stimulus", "cell"))
    found = accuracy(correct)
    assert found["n"].values.tolist() == [1, 2]
    assert found["accuracy"].values.tolist() == [1, 0.5]


def test_base_rate():
    assert base_rate(xr.DataArray(["a", "b", "b", "c"], dims="stimulus")) == 0.5


@pytest.mark.parametrize(
    ("correct", "message"),
    [
        ([0.5, 1], "shares"),
        ([2, 1], "values from 1 to 2"),
        ([np.nan, np.nan], "no trial"),
    ],
)
def test_what_is_no_yes_or_no_is_refused(correct, message):
    with pytest.raises(InvalidInput, match=message):
        accuracy(xr.DataArray(correct, dims="stimulus"))


def test_other_refusals():
    with pytest.raises(InvalidInput, match="stimulus"):
        accuracy(xr.DataArray([1, 0], dims="trial"))
    with pytest.raises(InvalidInput, match="confidence"):
        accuracy(xr.DataArray([1, 0], dims="stimulus"), confidence=1)
    with pytest.raises(InvalidInput, match="whole successes"):
        wilson_intervals(xr.DataArray([3], dims="a"), xr.DataArray([2], dims="a"))
    with pytest.raises(InvalidInput, match="empty"):
        base_rate(xr.DataArray(np.zeros(0, int), dims="stimulus"))
