"""How well an expected information gain tells the saccades that help from those that do not."""

import numpy as np
import xarray as xr

from attnsci.analysis.alignment import align_exact
from attnsci.checks import check_dims, check_finite, check_positive
from attnsci.errors import InvalidInput
from attnsci.seeds import numpy_generator
from attnsci.statistics.estimates import check_confidence, count_draws, split_blocks
from attnsci.statistics.proportions import wilson_intervals


def go_nogo_table(
    gain: xr.DataArray,
    improved: xr.DataArray,
    *,
    threshold: float = 0.0,
    seed: int = 0,
    n_resamples: int = 2000,
    confidence: float = 0.95,
) -> xr.Dataset:
    """Return how well an expected information gain tells the saccades that help from the others.

    The decision is GO where the gain exceeds `threshold`. GO is right where the answer improved.

    Parameters
    ----------
    gain : xarray.DataArray
        Information gain expected of a saccade, nats; dimension ``stimulus`` and any others.
    improved : xarray.DataArray
        Whether the answer became better by it (1 or 0), with the same dimensions.
    threshold : float
        In nats.
    seed, n_resamples, confidence
        Of the bootstrap over stimuli.

    Returns
    -------
    xarray.Dataset
        Over the other dimensions, counts: ``hits`` (GO, improved), ``misses``,
        ``false_alarms`` (GO, not improved), ``correct_rejections``. ``hit_rate`` and
        ``false_alarm_rate`` with Wilson's ``_low`` and ``_high``. ``d_prime`` with ``_low`` and
        ``_high``, and ``criterion``, −(z(hit rate) + z(false-alarm rate)) / 2, of rates with 0.5
        added to the counts and 1 to their totals, so that rates of 0 and 1 have a z (Hautus).

    Raises
    ------
    InvalidInput
        If dimensions or stimuli differ, a gain is not finite, `improved` is neither 0 nor 1, or
        no saccade, or every one, improved the answer.

    References
    ----------
    Hautus MJ (1995). Corrections for extreme proportions and their biasing effects on estimated
    values of d′. Behavior Research Methods, Instruments, & Computers 27, 46–51.

    Examples
    --------
    >>> gain = xr.DataArray([0.4, 0.3, -0.1, -0.2], dims="stimulus")
    >>> found = go_nogo_table(gain, xr.DataArray([1, 1, 0, 0], dims="stimulus"))
    >>> int(found["hits"]), float(found["d_prime"].round(3))
    (2, 1.935)
    """
    check_dims("gain", gain, ["stimulus"])
    check_dims("improved", improved, ["stimulus"])
    check_positive("n_resamples", n_resamples, integer=True)
    tail = (1 - check_confidence(confidence)) / 2
    check_finite("threshold", threshold)
    if set(gain.dims) != set(improved.dims):
        raise InvalidInput(
            f"gain has the dimensions {', '.join(map(str, gain.dims))} and improved "
            f"{', '.join(map(str, improved.dims))}; they must be paired."
        )
    first, second = align_exact(gain=gain, improved=improved)
    first = check_finite("gain", first.transpose("stimulus", ...))
    second = check_finite("improved", second.transpose(*first.dims))
    if not np.isin(second.values, (0, 1)).all():
        raise InvalidInput("improved must hold only true and false (1 and 0).")
    go, better = first.values > threshold, second.values.astype(bool)
    n = len(go)
    if n < 2:
        raise InvalidInput(f"The bootstrap needs at least 2 stimuli; got {n}.")
    cells = np.stack([go & better, ~go & better, go & ~better, ~go & ~better], axis=1)
    table = cells.reshape(n, 4, -1).astype(np.float64)
    counts = table.sum(0)
    positives, negatives = counts[:2].sum(0), counts[2:].sum(0)
    if not (positives.all() and negatives.all()):
        raise InvalidInput(
            f"In {int(((positives == 0) | (negatives == 0)).sum())} condition(s) no saccade or "
            "every saccade improved the answer; hits and false alarms need both kinds."
        )
    d_prime, criterion = _d_prime(counts)
    rng = numpy_generator(seed)
    draws = np.concatenate(
        [
            _d_prime((count_draws(rng, block, n) @ table.reshape(n, -1)).reshape(block, 4, -1))[0]
            for block in split_blocks(n_resamples, n)
        ]
    )
    low, high = np.quantile(draws, [tail, 1 - tail], axis=0)
    template = first.isel(stimulus=0, drop=True).drop_attrs()

    def shaped(part: np.ndarray) -> xr.DataArray:
        return template.copy(data=part.reshape(template.shape))

    names = ("hits", "misses", "false_alarms", "correct_rejections")
    parts = {name: shaped(part.astype(np.int64)) for name, part in zip(names, counts, strict=True)}
    for name, successes, total in (
        ("hit_rate", counts[0], positives),
        ("false_alarm_rate", counts[2], negatives),
    ):
        found = wilson_intervals(shaped(successes), shaped(total), confidence=confidence)
        parts.update({name: found["accuracy"], f"{name}_low": found["low"]})
        parts[f"{name}_high"] = found["high"]
    measures = {"d_prime": d_prime, "d_prime_low": low, "d_prime_high": high}
    parts.update({name: shaped(part) for name, part in measures.items()})
    return xr.Dataset(
        {**parts, "criterion": shaped(criterion)},
        attrs={
            "n": n,
            "threshold": float(threshold),
            "confidence": confidence,
            "method": "Wilson (rates), bootstrap of stimuli (d′)",
        },
    )


def _d_prime(counts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return d′ and criterion of hits, misses, false alarms, correct rejections (..., 4, M)."""
    from scipy.special import ndtri

    hits, misses, false_alarms, rejections = np.moveaxis(counts, -2, 0)
    z_hit = ndtri((hits + 0.5) / (hits + misses + 1))
    z_false = ndtri((false_alarms + 0.5) / (false_alarms + rejections + 1))
    return z_hit - z_false, -(z_hit + z_false) / 2
