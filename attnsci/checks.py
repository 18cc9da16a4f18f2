"""Argument checks whose messages name the parameter, what is allowed and what came."""

import difflib
from collections.abc import Collection, Iterable, Sequence
from typing import Any

import numpy as np

from attnsci.errors import InvalidInput, UnknownName


def nearest(name: str, allowed: Iterable[str], n: int = 5) -> list[str]:
    """Return the `n` entries of `allowed` closest to `name`, closest first, else in their order."""
    matcher = difflib.SequenceMatcher(b=name)

    def closeness(option: str) -> float:
        matcher.set_seq1(option)
        return matcher.ratio()

    return sorted(allowed, key=closeness, reverse=True)[:n]


def check_option(parameter: str, value: Any, allowed: Collection[Any]) -> Any:
    """Return `value` if it is one of `allowed`, else raise `InvalidInput` listing them."""
    if value not in allowed:
        options = ", ".join(repr(option) for option in allowed)
        raise InvalidInput(f"{parameter} must be one of {options}; got {value!r}.")
    return value


def check_known(kind: str, name: str, registry: Collection[str]) -> str:
    """Return `name` if `registry` holds it, else raise `UnknownName` with the nearest names."""
    if name not in registry:
        close = ", ".join(repr(option) for option in nearest(name, registry))
        raise UnknownName(f"No {kind} is called {name!r}. Nearest: {close or 'none'}.")
    return name


def check_positive(parameter: str, value: float, *, integer: bool = False) -> Any:
    """Return `value` if it is greater than zero (and whole, if asked)."""
    if not np.isfinite(value) or value <= 0 or (integer and int(value) != value):
        kind = "a whole number above 0" if integer else "above 0"
        raise InvalidInput(f"{parameter} must be {kind}; got {value!r}.")
    return value


def check_fraction(parameter: str, value: float) -> float:
    """Return `value` if it lies in [0, 1]."""
    if not 0 <= value <= 1:
        raise InvalidInput(f"{parameter} must lie between 0 and 1; got {value!r}.")
    return value


def check_shape(parameter: str, array: Any, shape: Sequence[int | str | None]) -> Any:
    """Return `array` if its shape fits.

    Parameters
    ----------
    parameter : str
        Name of the argument, for the message.
    array : array-like with ``shape``
        NumPy array, tensor or DataArray.
    shape : sequence of int, str or None
        An integer must be met exactly; a name (``"N"``) or ``None`` fits any length.

    Returns
    -------
    array
        The argument itself.

    Raises
    ------
    InvalidInput
        If the number of axes or a fixed length differs.

    Examples
    --------
    >>> check_shape("images", np.zeros((5, 1, 28, 42)), ("N", 1, 28, 42)).shape
    (5, 1, 28, 42)
    """
    got = tuple(array.shape)
    fits = len(got) == len(shape) and all(
        not isinstance(want, int) or want == length for want, length in zip(shape, got, strict=True)
    )
    if not fits:
        wanted = ", ".join("any" if want is None else str(want) for want in shape)
        raise InvalidInput(f"{parameter} must have shape ({wanted}); got {got}.")
    return array


def check_not_empty(parameter: str, array: Any) -> Any:
    """Return `array` if its first axis has at least one entry."""
    if len(array) == 0:
        raise InvalidInput(f"{parameter} is empty; at least one entry is needed.")
    return array


def check_finite(parameter: str, array: Any) -> Any:
    """Return `array` (anything NumPy can view) if it holds no NaN and no infinity."""
    bad = ~np.isfinite(np.asarray(array))
    if bad.any():
        where = tuple(np.argwhere(bad)[0].tolist())
        raise InvalidInput(
            f"{parameter} holds {int(bad.sum())} values that are NaN or infinite, the first at "
            f"index {where}. Remove or replace them first."
        )
    return array


def check_dims(parameter: str, array: Any, dims: Collection[str]) -> Any:
    """Return the DataArray or Dataset `array` if it is one and has all of `dims`."""
    if not hasattr(array, "dims"):
        raise InvalidInput(
            f"{parameter} must be an xarray object with the dimension(s) {', '.join(dims)}; got "
            f"{type(array).__name__}. Name the axes: xarray.DataArray(array, dims=[...])."
        )
    missing = [dim for dim in dims if dim not in array.dims]
    if missing:
        raise InvalidInput(
            f"{parameter} lacks the dimension(s) {', '.join(missing)}; it has "
            f"{', '.join(map(str, array.dims)) or 'none'}."
        )
    return array
