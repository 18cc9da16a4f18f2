"""What units tell apart: the selectivity d′ of each unit for each category of objects."""

import numpy as np
import xarray as xr

from attnsci.checks import check_dims, check_finite, check_not_empty, check_positive
from attnsci.errors import InvalidInput
from attnsci.seeds import numpy_generator


def category_selectivity(
    responses: xr.DataArray, by: str = "label", *, dim: str = "stimulus", minimum: int = 5
) -> xr.DataArray:
    """Return how far each unit's responses to a category lie from those to all others.

    d′ is the difference of the two means over the root of the mean of the two variances.

    Parameters
    ----------
    responses : xarray.DataArray
        Dimension `dim` and any unit dimensions.
    by : str
        Coordinate along `dim` with the category of each stimulus.
    dim : str
        The stimulus dimension.
    minimum : int
        Stimuli that a category needs, and that must be left for the others; at least 2.

    Returns
    -------
    xarray.DataArray
        float64, dimension `by` (the categories with enough stimuli, ascending) first, then the
        unit dimensions; the coordinate `n_stimuli` counts. A unit that always answers alike, a
        silent one too, has d′ 0.

    Raises
    ------
    InvalidInput
        If `by` is no coordinate of the stimuli, responses are not finite, or no category has
        enough stimuli.

    Examples
    --------
    >>> responses = xr.DataArray(
    ...     [[3.0], [5.0], [0.0], [2.0]], {"label": ("stimulus", [1, 1, 2, 2])},
    ...     ("stimulus", "channel"),
    ... )
    >>> category_selectivity(responses, minimum=2)[:, 0].values.round(3)
    array([ 2.121, -2.121])
    """
    check_dims("responses", responses, [dim])
    check_not_empty("responses", responses[dim])
    if by not in responses.coords or responses[by].dims != (dim,):
        raise InvalidInput(f"by must name a coordinate along {dim}; got {by!r}.")
    if check_positive("minimum", minimum, integer=True) < 2:
        raise InvalidInput(f"minimum must be 2 or more, as d′ needs variances; got {minimum}.")
    moved = responses.transpose(dim, ...)
    values = check_finite("responses", np.asarray(moved.values, np.float64))
    categories, place = np.unique(responses[by].values, return_inverse=True)
    member = (place[:, None] == np.arange(len(categories))).astype(np.float64)
    number = member.sum(0)
    enough = (number >= minimum) & (len(values) - number >= minimum)
    if not enough.any():
        raise InvalidInput(
            f"No category has {minimum} stimuli, with as many of others: "
            f"{dict(zip(categories.tolist(), number.astype(int).tolist(), strict=True))}."
        )
    member, number = member[:, enough], number[enough]
    # About the mean of all, so that squares do not swamp their differences.
    flat = (values - values.mean(0)).reshape(len(values), -1)
    sums, squares = member.T @ flat, member.T @ flat**2
    rest, rest_squares = flat.sum(0) - sums, (flat**2).sum(0) - squares
    n, m = number[:, None], len(values) - number[:, None]
    variance = (squares - sums**2 / n) / (n - 1) + (rest_squares - rest**2 / m) / (m - 1)
    spread = np.sqrt(np.maximum(variance, 0) / 2)
    gap = sums / n - rest / m
    # Rounding leaves a spread of some 1e-16 of the response where there is none.
    varies = spread > 1e-12 * np.abs(values).max()
    d_prime = np.divide(gap, spread, out=np.zeros_like(gap), where=varies)
    coords = {name: c for name, c in moved.coords.items() if dim not in c.dims}
    return xr.DataArray(
        d_prime.reshape(len(number), *values.shape[1:]),
        {**coords, by: categories[enough], "n_stimuli": (by, number.astype(np.int64))},
        (by, *moved.dims[1:]),
        "d_prime",
    )


def preferred_category(
    responses: xr.DataArray,
    by: str = "label",
    *,
    groups: str | None = None,
    dim: str = "stimulus",
    seed: int,
    n_splits: int = 50,
    minimum: int = 5,
) -> xr.Dataset:
    """Return each unit's preferred category, and its d′ on stimuli that did not choose it.

    The largest of many d′ is large by chance alone. So the preferred category is chosen on one
    random half of the stimuli and its d′ measured on the other, many times; without any
    selectivity the result is 0 on average.

    Parameters
    ----------
    responses, by, dim
        As in `category_selectivity`.
    groups : str, optional
        Coordinate along `dim`; stimuli that share its value stay in one half.
    seed : int
        Of the halves.
    n_splits : int
        Random halves.
    minimum : int
        Stimuli that a category needs in each half.

    Returns
    -------
    xarray.Dataset
        Over the units: ``preferred`` (category of the largest d′ on all stimuli), ``d_prime``
        (of that, on all stimuli) and ``held_out`` (mean d′ on the other half).

    Raises
    ------
    InvalidInput
        As `category_selectivity`, or if halves never hold enough stimuli.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> noise = rng.normal(size=(200, 50))
    >>> responses = xr.DataArray(
    ...     noise, {"label": ("stimulus", np.arange(200) % 4)}, ("stimulus", "channel")
    ... )
    >>> found = preferred_category(responses, seed=0)
    >>> bool(found["d_prime"].mean() > 0.15), bool(abs(found["held_out"].mean()) < 0.1)
    (True, True)
    """
    check_positive("n_splits", n_splits, integer=True)
    whole = category_selectivity(responses, by, dim=dim, minimum=2 * minimum)
    best = whole.argmax(by)
    together = np.arange(responses.sizes[dim]) if groups is None else responses[groups].values
    group = np.unique(together, return_inverse=True)[1]
    rng = numpy_generator(seed)
    total, done = xr.zeros_like(whole.isel({by: 0}, drop=True)), 0
    for _ in range(n_splits):
        first = (rng.permutation(group.max() + 1) % 2 == 0)[group]
        try:
            halves = [
                category_selectivity(responses.isel({dim: half}), by, dim=dim, minimum=minimum)
                for half in (np.flatnonzero(first), np.flatnonzero(~first))
            ]
        except InvalidInput:
            continue
        one, other = xr.align(*halves, join="inner", exclude=set(whole.dims) - {by})
        if not one.sizes[by]:
            continue
        for chooser, judge in ((one, other), (other, one)):
            total += judge.isel({by: chooser.argmax(by)}).drop_vars([by, "n_stimuli"]) / 2
        done += 1
    if not done:
        raise InvalidInput(
            f"No category keeps {minimum} stimuli in both of {n_splits} random halves. Show more."
        )
    return xr.Dataset(
        {
            "preferred": whole[by].isel({by: best}).drop_vars([by, "n_stimuli"]),
            "d_prime": whole.max(by),
            "held_out": total / done,
        }
    )
