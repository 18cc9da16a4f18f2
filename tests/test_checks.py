"""Checks hand back what fits, and say the name, the rule and the value of what does not."""

import numpy as np
import pytest
import torch
import xarray as xr
from hypothesis import given
from hypothesis import strategies as st

from attnsci.checks import (
    check_dims,
    check_finite,
    check_fraction,
    check_known,
    check_not_empty,
    check_option,
    check_positive,
    check_shape,
    nearest,
)
from attnsci.errors import InvalidInput, UnknownName


def test_options():
    assert check_option("mode", "b", ("a", "b")) == "b"
    with pytest.raises(InvalidInput, match=r"^mode must be one of 'a', 'b'; got 'c'.$"):
        check_option("mode", "c", ("a", "b"))


def test_unknown_names_come_with_the_nearest():
    assert check_known("layer", "conv1", {"conv1": 1}) == "conv1"
    with pytest.raises(UnknownName) as caught:
        check_known("layer", "conf2", ["linear", "conv1", "conv2"])
    assert str(caught.value) == ("No layer is called 'conf2'. Nearest: 'conv2', 'conv1', 'linear'.")
    with pytest.raises(UnknownName, match="none"):
        check_known("layer", "conv", [])
    assert nearest("levels.1.gate", ["levels.0.gate", "readout", "levels.1.gated"], 1) == [
        "levels.1.gated"
    ]
    assert nearest("zzz", ["mnist-2", "mnist-3", "phi-0"], 2) == ["mnist-2", "mnist-3"]


@given(st.floats(min_value=1e-300, allow_infinity=False, allow_nan=False))
def test_positive_numbers_pass(value):
    assert check_positive("sigma", value) == value


@pytest.mark.parametrize("value", [0, -1, 0.0, float("nan"), float("inf"), -float("inf")])
def test_others_do_not(value):
    with pytest.raises(InvalidInput, match=r"^sigma must be above 0; got"):
        check_positive("sigma", value)


@pytest.mark.parametrize("value", [0.5, 0, -3, float("nan"), 2.000001])
def test_whole_numbers_above_zero(value):
    assert check_positive("n", 3, integer=True) == 3
    with pytest.raises(InvalidInput, match=r"n must be a whole number above 0; got"):
        check_positive("n", value, integer=True)


@given(st.floats())
def test_fractions(value):
    if 0 <= value <= 1:
        assert check_fraction("share", value) == value
    else:
        with pytest.raises(InvalidInput, match="share must lie between 0 and 1; got"):
            check_fraction("share", value)


@pytest.mark.parametrize("make", [np.zeros, torch.zeros])
def test_shapes(make):
    images = make((5, 1, 28, 42))
    assert check_shape("images", images, ("N", 1, 28, None)) is images
    for wrong in ((5, 1, 28), ("N", 3, 28, 42), (4, None, None, None), ("N", 1, 28, 42, 1)):
        with pytest.raises(InvalidInput, match=r"images must have shape .*got \(5, 1, 28, 42\)"):
            check_shape("images", images, wrong)
    with pytest.raises(InvalidInput, match=r"\(N, any, 3\)"):
        check_shape("x", images, ("N", None, 3))


def test_empty_arrays():
    assert check_not_empty("x", [0]) == [0]
    with pytest.raises(InvalidInput, match="x is empty"):
        check_not_empty("x", np.zeros((0, 3)))


def test_nan_and_infinity_are_counted_and_located():
    array = np.zeros((2, 3, 4))
    assert check_finite("x", array) is array
    array[1, 0, 2], array[1, 2, 3] = np.nan, -np.inf
    with pytest.raises(InvalidInput, match=r"2 values.*first at index \(1, 0, 2\)"):
        check_finite("x", array)
    with pytest.raises(InvalidInput, match="1 values"):
        check_finite("x", float("nan"))
    assert check_finite("x", [1, 2]) == [1, 2]


def test_dims():
    array = xr.DataArray(np.zeros((2, 3)), dims=("stimulus", "unit"))
    assert check_dims("recording", array, ("unit",)) is array
    with pytest.raises(InvalidInput, match=r"lacks the dimension\(s\) time; it has stimulus, unit"):
        check_dims("recording", array, ("unit", "time"))
    with pytest.raises(
        InvalidInput, match=r"recording must be an xarray object .* unit; got ndarray"
    ):
        check_dims("recording", array.values, ("unit",))
