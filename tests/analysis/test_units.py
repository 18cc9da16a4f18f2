"""Units along one dimension: which value goes where, and which pairs do not match."""

import numpy as np
import pytest
import xarray as xr

from attnsci.analysis.units import pair_curves, stack_units
from attnsci.errors import InvalidInput


def test_every_unit_keeps_its_place():
    values = np.arange(2 * 5 * 3 * 4.0).reshape(2, 5, 3, 4)
    curves = xr.DataArray(
        values, {"y": [7, 8, 9]}, ("channel", "orientation_deg", "y", "x"), name="response"
    )
    stacked = stack_units(curves)
    assert stacked.dims == ("unit", "orientation_deg")
    for unit in (0, 5, 23):
        c, y, x = (int(stacked[name][unit]) for name in ("channel", "y", "x"))
        np.testing.assert_array_equal(stacked[unit], values[c, :, y - 7, x])
    # No MultiIndex: it could not be written.
    assert "unit" not in stacked.indexes


def test_linear_layers_and_single_curves():
    linear = xr.DataArray(np.ones((3, 4)), dims=("unit", "orientation_deg"))
    np.testing.assert_array_equal(stack_units(linear)["channel"], [0, 1, 2])
    with_time = linear.expand_dims(time=2)
    assert stack_units(with_time).sizes["unit"] == 6
    single = xr.DataArray(np.ones(4), dims="orientation_deg")
    assert stack_units(single).sizes == {"unit": 1, "orientation_deg": 4}
    stacked = stack_units(linear)
    assert stack_units(stacked).identical(stacked)


def test_pairs_must_match():
    curves = xr.DataArray(
        np.ones((3, 4)), {"orientation_deg": [0.0, 45, 90, 135]}, ("channel", "orientation_deg")
    )
    first, second = pair_curves(curves, 2 * curves.T)
    assert first.dims == second.dims
    assert second.values[0, 0] == 2
    with pytest.raises(InvalidInput, match="same units and angles"):
        pair_curves(curves, curves.assign_coords(orientation_deg=[1.0, 45, 90, 135]))
    with pytest.raises(InvalidInput, match="same units and angles"):
        pair_curves(curves, curves[:2])
    with pytest.raises(InvalidInput, match="same dimensions"):
        pair_curves(curves, curves.expand_dims("x"))
    with pytest.raises(InvalidInput, match="unattended holds 1 values that are NaN"):
        pair_curves(curves, curves.where(np.arange(12).reshape(3, 4) != 5))
    with pytest.raises(InvalidInput, match="empty"):
        stack_units(curves[:0])
    with pytest.raises(InvalidInput, match="lacks the dimension"):
        stack_units(curves, "phase")


def test_plain_arrays_are_told_what_they_lack():
    with pytest.raises(InvalidInput, match="attended must be an xarray object"):
        pair_curves(np.ones((3, 4)), np.ones((3, 4)))
