"""What a linear reader finds in a core's state: places of the gaze, and the class.

Every prediction is made for stimuli that the decoder has not seen: ridge regression in folds of
stimuli, its penalty chosen on the training folds by generalised cross-validation.
"""

from collections.abc import Sequence

import numpy as np
import xarray as xr

from attnsci.analysis.eccentricity import xy_of
from attnsci.checks import check_dims, check_finite, check_positive, check_shape
from attnsci.errors import InvalidInput
from attnsci.seeds import numpy_generator
from attnsci.statistics.estimates import check_confidence, count_draws, split_blocks
from attnsci.statistics.proportions import accuracy, base_rate

PENALTIES = np.logspace(-6, 3, 28)
"""Penalties that are tried, in units of the mean variance of the predictors."""
MOST_FREEDOM = 0.5
"""Degrees of freedom of a fit, at most, as a share of the stimuli."""
# Variance below this share of the squares is rounding.
ROUNDING = 1e-20
SOURCES = ("activity", "current place")


def folds_of(n: int, n_folds: int, seed: int) -> np.ndarray:
    """Return the fold of each of `n` stimuli, sizes differing by one at most.

    Raises
    ------
    InvalidInput
        If there are fewer than two folds or a fold would have fewer than two stimuli.

    Examples
    --------
    >>> np.bincount(folds_of(11, 5, seed=0))
    array([3, 2, 2, 2, 2])
    """
    check_positive("n_folds", n_folds, integer=True)
    if n_folds < 2 or n < 2 * n_folds:
        raise InvalidInput(
            f"Cross-validation needs two folds or more, of two stimuli or more; got {n_folds} "
            f"folds of {n} stimuli."
        )
    folds: np.ndarray = numpy_generator(seed, 1).permutation(n) % n_folds
    return folds


def ridge_predictions(
    predictors: np.ndarray, targets: np.ndarray, folds: np.ndarray, groups: np.ndarray
) -> np.ndarray:
    """Predict targets out of fold by ridge regression with an intercept.

    Parameters
    ----------
    predictors : numpy.ndarray, shape (N, U), float
    targets : numpy.ndarray, shape (N, K), float
    folds : numpy.ndarray, shape (N,), int
        Fold of each stimulus.
    groups : numpy.ndarray, shape (K,), int from 0
        Targets of one group share a penalty.

    Returns
    -------
    numpy.ndarray, shape (N, K), float64

    Raises
    ------
    InvalidInput
        If the predictors do not vary within the training folds.

    References
    ----------
    Golub GH, Heath M, Wahba G (1979). Generalized cross-validation as a method for choosing a
    good ridge parameter. Technometrics 21, 215–223.

    Examples
    --------
    >>> x = np.linspace(-1, 1, 20)[:, None]
    >>> out = ridge_predictions(x, 2 * x + 1, np.arange(20) % 4, np.zeros(1, int))
    >>> bool(np.abs(out - 2 * x - 1).max() < 1e-4)
    True
    """
    predictions = np.empty(targets.shape)
    for fold in np.unique(folds):
        train = folds != fold
        mean, level = predictors[train].mean(0), targets[train].mean(0)
        x, y = predictors[train] - mean, targets[train] - level
        values, vectors = np.linalg.eigh(x.T @ x)
        values = np.maximum(values, 0)
        scale = values.mean()
        if scale <= ROUNDING * (predictors[train] ** 2).sum():
            raise InvalidInput("The predictors do not vary; nothing can be decoded from them.")
        projected = vectors.T @ (x.T @ y)
        penalty = _penalties(values, scale, projected, y, groups)
        weights = vectors @ (projected / (values[:, None] + penalty))
        predictions[~train] = (predictors[~train] - mean) @ weights + level
    return predictions


def _penalties(
    values: np.ndarray, scale: float, projected: np.ndarray, y: np.ndarray, groups: np.ndarray
) -> np.ndarray:
    """Return the penalty (K,) of each target with the least generalised cross-validation error."""
    n = len(y)
    tried = scale * PENALTIES
    shrunk = values[:, None] + tried
    freedom = 1 + (values[:, None] / shrunk).sum(0)
    # Directions without variance carry nothing.
    explained = ((values[:, None] + 2 * tried) / shrunk**2).T @ projected**2
    residual = np.maximum((y**2).sum(0) - explained, 0)
    error = residual / np.maximum(n - freedom, 1e-9)[:, None] ** 2
    # With as many units as stimuli the criterion is 0 by 0 for the least penalties.
    error[freedom > MOST_FREEDOM * n] = np.inf
    summed = np.zeros((len(tried), int(groups.max()) + 1))
    np.add.at(summed.T, groups, error.T)
    return tried[summed.argmin(0)][groups]


def decode_position(
    activity: xr.DataArray,
    positions: xr.DataArray,
    lags: Sequence[int] = (-3, -2, -1, 0, 1),
    *,
    n_folds: int = 5,
    n_shuffles: int = 19,
    seed: int = 0,
    n_resamples: int = 2000,
    confidence: float = 0.95,
) -> xr.Dataset:
    """Decode where the gaze was, is and will be from the state at each glimpse.

    A decoder of its own is fitted for each glimpse and lag. R² is against always naming the
    training stimuli's mean place at that glimpse, so that a path common to all stimuli earns
    nothing.

    Parameters
    ----------
    activity : xarray.DataArray
        Dimensions ``stimulus``, ``glimpse``, ``unit``.
    positions : xarray.DataArray
        Dimensions ``stimulus``, ``glimpse``, ``coordinate``; pixels.
    lags : sequence of int
        Glimpses from the state to the place: −1 the previous place (memory), 0 the current one,
        1 the next (efference copy).
    n_folds : int
    n_shuffles : int
        Times that decoding is repeated with the places of other stimuli.
    seed : int
        Of folds, shuffles and resamples.
    n_resamples, confidence
        Of the bootstrap over stimuli of the out-of-fold errors; the decoders are not refitted.

    Returns
    -------
    xarray.Dataset
        ``r_squared``, ``low``, ``high`` (source, lag), glimpses pooled. Source "activity" is the
        state; "current place" is a control decoded from a quadratic of the current position
        alone: what the geometry of paths gives away, and the state must beat to remember or
        plan. ``gain``, ``gain_low``, ``gain_high`` (lag): activity − current place, paired.
        ``shuffled`` (shuffle, lag) and ``p_value`` (lag), the rank of activity among shuffles.
        ``by_glimpse`` (source, lag, glimpse), NaN at glimpses whose place at that lag lies
        beyond the path, where there is nothing to decode.

    Raises
    ------
    InvalidInput
        If dimensions differ, values are not finite, a lag is longer than the path, or a place
        does not vary over stimuli.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> places = xr.DataArray(rng.uniform(0, 28, (60, 3, 2)), {"coordinate": ["x", "y"]},
    ...                       ("stimulus", "glimpse", "coordinate"))
    >>> state = places.rename(coordinate="unit").drop_vars("unit")
    >>> found = decode_position(state, places, [0, 1], n_shuffles=1, n_resamples=50)
    >>> found["r_squared"].sel(source="activity", lag=0).round(3).item()
    1.0
    """
    check_dims("activity", activity, ["stimulus", "glimpse", "unit"])
    tail = (1 - check_confidence(confidence)) / 2
    for name, count in (("n_shuffles", n_shuffles), ("n_resamples", n_resamples)):
        check_positive(name, count, integer=True)
    states = activity.transpose("stimulus", "glimpse", "unit").values.astype(np.float64)
    xy = xr.concat(xy_of("positions", positions), "coordinate", coords="minimal")
    check_dims("positions", xy, ["stimulus", "glimpse"])
    places = xy.transpose("stimulus", "glimpse", "coordinate").values
    check_shape("positions", places, (*states.shape[:2], 2))
    check_finite("activity", states)
    check_finite("positions", places)
    n, n_glimpses = places.shape[:2]
    chosen = _check_lags(lags, n_glimpses)
    folds = folds_of(n, n_folds, seed)
    rng = numpy_generator(seed, 2)
    orders = np.stack([np.arange(n), *(rng.permutation(n) for _ in range(n_shuffles))])
    shape = (len(chosen), n_glimpses, n)
    # Squared errors and squares about the mean: of the state and its shuffles, of the control.
    error = np.zeros((2 + n_shuffles, *shape))
    total = np.zeros((2 + n_shuffles, *shape))
    varies = np.ptp(places, axis=0).any(-1)
    for glimpse in range(n_glimpses):
        at = [i for i, lag in enumerate(chosen) if 0 <= glimpse + lag < n_glimpses]
        if not at:
            continue
        wanted = places[:, [glimpse + chosen[i] for i in at]].transpose(1, 0, 2)
        targets = wanted[:, orders].transpose(1, 0, 2, 3)  # (order, lag, stimulus, 2)
        # A place that is the same for all stimuli tells nothing of any other.
        here = _quadratic(places[:, glimpse]) if varies[glimpse] else None
        for slots, found in (
            ([0, *range(2, 2 + n_shuffles)], _squares(states[:, glimpse], targets, folds)),
            ([1], _squares(here, targets[:1], folds)),
        ):
            for store, part in zip((error, total), found, strict=True):
                store[np.ix_(slots, at, [glimpse])] = part[:, :, None]
    _check_varies(total[0], chosen)
    by_lag = 1 - error.sum((2, 3)) / total.sum((2, 3))
    draws = _resampled(error[:2].sum(2), total[:2].sum(2), seed, n_resamples)
    low, high = np.quantile(draws, [tail, 1 - tail], axis=0)
    gain_low, gain_high = np.quantile(draws[:, 0] - draws[:, 1], [tail, 1 - tail], axis=0)
    squares = total[:2].sum(3)
    each = 1 - error[:2].sum(3) / np.where(squares > 0, squares, np.nan)
    pair = ("source", "lag")
    better = (by_lag[2:] >= by_lag[0]).sum(0)
    return xr.Dataset(
        {
            "r_squared": (pair, by_lag[:2]),
            "low": (pair, low),
            "high": (pair, high),
            "gain": ("lag", by_lag[0] - by_lag[1]),
            "gain_low": ("lag", gain_low),
            "gain_high": ("lag", gain_high),
            "shuffled": (("shuffle", "lag"), by_lag[2:]),
            "p_value": ("lag", (better + 1) / (n_shuffles + 1)),
            "by_glimpse": ((*pair, "glimpse"), each),
        },
        coords={
            "source": list(SOURCES),
            "lag": chosen,
            **{name: c for name, c in activity.coords.items() if c.dims == ("glimpse",)},
        },
        attrs={
            "n_stimuli": n,
            "n_folds": n_folds,
            "confidence": confidence,
            "method": "ridge, out of fold; bootstrap of stimuli",
            "seed": seed,
        },
    )


def _check_lags(lags: Sequence[int], n_glimpses: int) -> list[int]:
    chosen = [int(lag) for lag in lags]
    if not chosen or len(set(chosen)) < len(chosen) or max(map(abs, chosen)) >= n_glimpses:
        raise InvalidInput(
            f"lags must be different whole numbers between {1 - n_glimpses} and {n_glimpses - 1} "
            f"for paths of {n_glimpses} glimpses, at least one; got {list(lags)}."
        )
    return chosen


def _check_varies(total: np.ndarray, lags: list[int]) -> None:
    """Refuse a lag at which every place (lag, glimpse, stimulus) is the same for all stimuli."""
    still = total.sum((1, 2)) <= 0
    if still.any():
        raise InvalidInput(
            f"The places at lag {lags[int(still.argmax())]} are the same for all stimuli; there "
            "is nothing to decode. Take a policy that looks about."
        )


def _quadratic(xy: np.ndarray) -> np.ndarray:
    """Return standardised x, y, x², y² and xy of places (N, 2)."""
    spread = xy.std(0)
    x, y = ((xy - xy.mean(0)) / np.where(spread > 0, spread, 1)).T
    return np.stack([x, y, x * x, y * y, x * y], 1)


def _squares(
    predictors: np.ndarray | None, targets: np.ndarray, folds: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return squared errors and squares about the training mean of targets (O, L, N, 2).

    Both have shape (O, L, N), x and y summed. Without predictors the mean is all there is.
    """
    sets = targets.shape[:2]
    columns = targets.transpose(2, 0, 1, 3).reshape(len(folds), -1)
    mean = np.empty_like(columns)
    for fold in np.unique(folds):
        mean[folds == fold] = columns[folds != fold].mean(0)
    predicted = mean
    if predictors is not None:
        groups = np.arange(columns.shape[1]) // 2
        predicted = ridge_predictions(predictors, columns, folds, groups)
    error, total = (
        ((columns - guess) ** 2).reshape(len(columns), *sets, 2).sum(-1).transpose(1, 2, 0)
        for guess in (predicted, mean)
    )
    return error, total


def _resampled(error: np.ndarray, total: np.ndarray, seed: int, n_resamples: int) -> np.ndarray:
    """Return R² (draw, source, lag) in resamples of the stimuli, the last axis."""
    n = error.shape[-1]
    flat_error, flat_total = (part.reshape(-1, n).T for part in (error, total))
    rng, draws = numpy_generator(seed, 3), []
    for block in split_blocks(n_resamples, n):
        times = count_draws(rng, block, n).astype(np.float64)
        draws.append(1 - (times @ flat_error) / (times @ flat_total))
    return np.concatenate(draws).reshape(n_resamples, *error.shape[:-1])


def probe_accuracy(
    activity: xr.DataArray,
    label: xr.DataArray,
    *,
    n_folds: int = 5,
    seed: int = 0,
    confidence: float = 0.95,
) -> xr.Dataset:
    """Read the class from the state after each glimpse with a fresh linear probe.

    One-against-all ridge regression, trained and tested on different stimuli; unlike the model's
    own readout, which learns from the last glimpse alone, it says what is there to be read.

    Parameters
    ----------
    activity : xarray.DataArray
        Dimensions ``stimulus``, ``unit`` and any others (glimpse), each with a probe of its own.
    label : xarray.DataArray
        Class of each stimulus.
    n_folds : int
    seed : int
        Of the folds.
    confidence : float

    Returns
    -------
    xarray.Dataset
        ``accuracy``, ``low``, ``high`` (Wilson), ``n`` over the other dimensions; ``predicted``
        (stimulus, ...), the class out of fold. ``attrs["chance"]`` is the share of the most
        frequent class.

    Raises
    ------
    InvalidInput
        If dimensions differ, activity is not finite or does not vary, or there is one class.

    References
    ----------
    Alain G, Bengio Y (2016). Understanding intermediate layers using linear classifier probes.
    arXiv 1610.01644.

    Examples
    --------
    >>> label = xr.DataArray(np.arange(40) % 2, dims="stimulus")
    >>> state = xr.DataArray(np.eye(2)[label][:, None], dims=("stimulus", "glimpse", "unit"))
    >>> probe_accuracy(state, label)["accuracy"].values
    array([1.])
    """
    check_dims("activity", activity, ["stimulus", "unit"])
    check_shape("label", label, (activity.sizes["stimulus"],))
    names, codes = np.unique(label.values, return_inverse=True)
    if len(names) < 2:
        raise InvalidInput(f"All stimuli are of class {names[0].item()!r}; a probe needs two.")
    others = [dim for dim in activity.dims if dim not in ("stimulus", "unit")]
    values = activity.transpose(*others, "stimulus", "unit").values.astype(np.float64)
    check_finite("activity", values)
    folds = folds_of(len(codes), n_folds, seed)
    one_hot = (codes[:, None] == np.arange(len(names))).astype(np.float64)
    shared = np.zeros(len(names), int)
    states = values.reshape(-1, *values.shape[-2:])
    chosen = np.stack([ridge_predictions(s, one_hot, folds, shared).argmax(1) for s in states], -1)
    coords = {
        name: c
        for name, c in activity.coords.items()
        if "unit" not in c.dims and "class" not in c.dims
    }
    predicted = xr.DataArray(
        names[chosen].reshape(len(codes), *values.shape[:-2]), coords, ("stimulus", *others)
    )
    truth = xr.DataArray(label.values, dims="stimulus")
    found = accuracy(predicted == truth, confidence=confidence)
    return found.assign(predicted=predicted).assign_attrs(
        chance=base_rate(label), n_folds=n_folds, seed=seed, probe="one-against-all ridge"
    )
