"""Units as one dimension, whatever the layer's shape, and two conditions of the same units."""

import numpy as np
import xarray as xr

from attnsci.checks import check_dims, check_finite
from attnsci.errors import InvalidInput


def stack_units(curves: xr.DataArray, dim: str = "orientation_deg") -> xr.DataArray:
    """Lay all unit dimensions along one, `unit`, with their positions as plain coordinates.

    Parameters
    ----------
    curves : xarray.DataArray
        Dimension `dim` and any unit dimensions (channel, y, x).
    dim : str

    Returns
    -------
    xarray.DataArray
        Dimensions (`unit`, `dim`). A dimension `unit` of a linear layer becomes the coordinate
        `channel`: each unit has its own weights. What was stacked before is returned as it is.

    Raises
    ------
    InvalidInput
        If `dim` is missing or there are no units.

    Examples
    --------
    >>> curves = xr.DataArray(np.zeros((20, 3, 4)), dims=("orientation_deg", "channel", "x"))
    >>> stacked = stack_units(curves)
    >>> stacked.dims, stacked["channel"].values[[0, -1]]
    (('unit', 'orientation_deg'), array([0, 2]))
    """
    check_dims("curves", curves, [dim])
    if set(curves.dims) == {"unit", dim} and "channel" in curves.coords:
        return curves.transpose("unit", dim)
    if "unit" in curves.dims:
        curves = curves.rename(unit="channel")
    dims = [str(name) for name in curves.dims if name != dim]
    if not dims:
        curves, dims = curves.expand_dims("channel"), ["channel"]
    if curves.size == 0:
        raise InvalidInput(f"curves is empty: its sizes are {dict(curves.sizes)}.")
    absent = {name: np.arange(curves.sizes[name]) for name in dims if name not in curves.coords}
    stacked = curves.assign_coords(absent).stack(unit=dims, create_index=False)
    return stacked.transpose("unit", dim)


def pair_curves(
    attended: xr.DataArray, unattended: xr.DataArray, dim: str = "orientation_deg"
) -> tuple[xr.DataArray, xr.DataArray]:
    """Return both sets of curves as (unit, dim), loaded, checked, in float64.

    Parameters
    ----------
    attended, unattended : xarray.DataArray
        Curves of the same units at the same angles.
    dim : str

    Returns
    -------
    tuple of xarray.DataArray
        Dimensions (`unit`, `dim`).

    Raises
    ------
    InvalidInput
        If units or angles differ, or a value is NaN.

    Examples
    --------
    >>> curves = xr.DataArray(np.ones((2, 4)), dims=("channel", "orientation_deg"))
    >>> pair_curves(curves, curves)[0].sizes["unit"]
    2
    """
    check_dims("attended", attended, [dim])
    check_dims("unattended", unattended, [dim])
    try:
        attended, unattended = xr.align(attended, unattended, join="exact")
    except xr.AlignmentError as error:
        raise InvalidInput(
            f"attended and unattended must be of the same units and angles: {error}"
        ) from error
    if attended.sizes != unattended.sizes:
        raise InvalidInput(
            "attended and unattended must have the same dimensions; got "
            f"{dict(attended.sizes)} and {dict(unattended.sizes)}."
        )
    pair = []
    for name, curves in (
        ("attended", attended),
        ("unattended", unattended.transpose(*attended.dims)),
    ):
        check_finite(name, curves)
        pair.append(stack_units(curves.astype(np.float64), dim).load())
    return pair[0], pair[1]
