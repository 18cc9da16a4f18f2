"""Arrays that must be of the same stimuli and conditions."""

import xarray as xr

from attnsci.errors import InvalidInput


def align_exact(**arrays: xr.DataArray) -> tuple[xr.DataArray, ...]:
    """Return the arrays if their lengths and coordinates agree on every dimension they share.

    Parameters
    ----------
    **arrays : xarray.DataArray
        By the name of the argument.

    Returns
    -------
    tuple of xarray.DataArray

    Raises
    ------
    InvalidInput
        If two of them differ; none is cut or filled.

    Examples
    --------
    >>> a = xr.DataArray([1, 2], {"stimulus": [0, 1]}, "stimulus")
    >>> align_exact(a=a, b=a)[0].values
    array([1, 2])
    """
    try:
        return xr.align(*arrays.values(), join="exact")
    except ValueError as error:
        names = " and ".join(arrays)
        raise InvalidInput(
            f"{names} must be of the same stimuli and conditions, in the same order: {error}"
        ) from error
