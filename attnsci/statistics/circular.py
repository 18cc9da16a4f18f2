"""Statistics of orientations: angles in degrees that repeat after 180°.

Every function doubles the angle, works on the circle of 360°, and halves the result.
"""

from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
import xarray as xr

from attnsci.checks import check_dims, check_finite
from attnsci.errors import InvalidInput
from attnsci.statistics.estimates import Estimate, as_sample, bootstrap, check_same_length
from attnsci.statistics.significance import SignificanceTest

PERIOD_DEG = 180.0

Angles = TypeVar("Angles", float, np.ndarray, xr.DataArray)


@dataclass(frozen=True)
class CircularShift:
    """How far paired orientations moved.

    Attributes
    ----------
    mean_deg, low_deg, high_deg : float
        Circular mean of the signed shifts and its bootstrap interval.
    median_absolute_deg : Estimate
        Median of the unsigned shifts: large where units scatter although the mean is 0.
    resultant_length : float
        1 where all units shift alike, 0 where the shifts point everywhere.
    v_p_value : float
        V test of the shifts for a mean of 0: small where they cluster about 0.
    n : int
        Pairs.
    """

    mean_deg: float
    low_deg: float
    high_deg: float
    median_absolute_deg: Estimate
    resultant_length: float
    v_p_value: float
    n: int


def difference(a_deg: Angles, b_deg: Angles) -> Angles:
    """Return the signed turn from `b_deg` to `a_deg`, in [−90, 90).

    Parameters
    ----------
    a_deg, b_deg : float, numpy.ndarray or xarray.DataArray
        Orientations in degrees, of shapes that broadcast.

    Returns
    -------
    The same kind, degrees

    Examples
    --------
    >>> difference(2.0, 178.0)
    4.0
    """
    return (a_deg - b_deg + PERIOD_DEG / 2) % PERIOD_DEG - PERIOD_DEG / 2


def mean(angles_deg: Any) -> float:
    """Return the circular mean of orientations.

    Parameters
    ----------
    angles_deg : array-like, shape (N,)
        Degrees.

    Returns
    -------
    float
        In [0, 180).

    Raises
    ------
    InvalidInput
        If the sample is empty or not finite, or the orientations cancel and have no mean.

    See Also
    --------
    scipy.stats.circmean : does the work.

    Examples
    --------
    >>> round(mean([170.0, 20.0]), 6)
    5.0
    """
    from scipy import stats

    sample = as_sample("angles_deg", angles_deg)
    if _resultant(sample) < 1e-12:
        raise InvalidInput(
            f"The {len(sample)} orientations cancel (resultant length 0), so they have no mean."
        )
    return float(stats.circmean(sample, high=PERIOD_DEG)) % PERIOD_DEG


def _resultant(angles_deg: Any, axis: int = -1) -> Any:
    return np.abs(np.exp(2j * np.deg2rad(angles_deg)).mean(axis))


def resultant_length(angles_deg: Any) -> float:
    """Return the mean resultant length of orientations: 1 if all agree, 0 if they cancel.

    Parameters
    ----------
    angles_deg : array-like, shape (N,)
        Degrees.

    Returns
    -------
    float
        Between 0 and 1.

    Raises
    ------
    InvalidInput
        If the sample is empty or not finite.

    Examples
    --------
    >>> round(resultant_length([10.0, 190.0]), 6), round(resultant_length([0.0, 90.0]), 6)
    (1.0, 0.0)
    """
    return float(_resultant(as_sample("angles_deg", angles_deg)))


def rayleigh(angles_deg: Any) -> SignificanceTest:
    """Test whether orientations have any common direction (Rayleigh).

    Parameters
    ----------
    angles_deg : array-like, shape (N,)
        Degrees.

    Returns
    -------
    SignificanceTest
        Estimate: resultant length R̄; statistic: z = n·R̄²; the p value is the approximation of
        Greenwood and Durand, good from n = 5 on.

    Raises
    ------
    InvalidInput
        If the sample has fewer than five orientations, or one is not finite.

    References
    ----------
    Zar JH (2010). Biostatistical Analysis, 5th ed., equations 27.2 and 27.4. Pearson.

    Examples
    --------
    >>> rayleigh([0.0, 36.0, 72.0, 108.0, 144.0]).p_value > 0.9
    True
    """
    sample = as_sample("angles_deg", angles_deg, 5)
    n, length = len(sample), float(_resultant(sample))
    p_value = np.exp(np.sqrt(1 + 4 * n + 4 * n**2 * (1 - length**2)) - (1 + 2 * n))
    return SignificanceTest(length, n * length**2, float(min(p_value, 1.0)), n, "Rayleigh")


def v_test(angles_deg: Any, expected_deg: float = 0.0) -> SignificanceTest:
    """Test whether orientations cluster about one that was named beforehand (V test).

    Parameters
    ----------
    angles_deg : array-like, shape (N,)
        Degrees.
    expected_deg : float
        The orientation named beforehand.

    Returns
    -------
    SignificanceTest
        Estimate: the component of the resultant along `expected_deg`, in [−1, 1]; statistic
        u = estimate·√(2n), referred to the normal distribution.

    Raises
    ------
    InvalidInput
        If the sample has fewer than five orientations, or one is not finite.

    References
    ----------
    Zar JH (2010). Biostatistical Analysis, 5th ed., section 27.1b. Pearson.

    Examples
    --------
    >>> v_test([1.0, 179.0, 2.0, 178.0, 0.0]).p_value < 0.01
    True
    """
    from scipy import stats

    sample = as_sample("angles_deg", angles_deg, 5)
    along = float(np.cos(2 * np.deg2rad(sample - expected_deg)).mean())
    u = along * np.sqrt(2 * len(sample))
    return SignificanceTest(along, u, float(stats.norm.sf(u)), len(sample), "V test")


def _mean_about_zero(shifts_deg: Any, axis: int = -1) -> Any:
    """Return the circular mean in (−90, 90], so that an interval about 0 does not wrap."""
    return np.rad2deg(np.angle(np.exp(2j * np.deg2rad(shifts_deg)).mean(axis))) / 2


def _median_absolute(shifts_deg: Any, axis: int = -1) -> Any:
    return np.median(np.abs(shifts_deg), axis=axis)


def paired_shift(
    a_deg: Any, b_deg: Any, *, seed: int, n_resamples: int = 2000, confidence: float = 0.95
) -> CircularShift:
    """Describe how paired orientations turned from b to a.

    Parameters
    ----------
    a_deg, b_deg : array-like, shape (N,)
        Preferences of the same units under two conditions, degrees.
    seed : int
        Seed of the bootstrap.
    n_resamples, confidence
        As in `attnsci.statistics.estimates.bootstrap`.

    Returns
    -------
    CircularShift

    Raises
    ------
    InvalidInput
        If the samples are not paired, have fewer than five entries, or are not finite.

    Examples
    --------
    >>> shift = paired_shift([4.0, 14, 24, 34, 1], [0.0, 10, 20, 30, 177], seed=0)
    >>> round(shift.mean_deg, 6), shift.median_absolute_deg.estimate
    (4.0, 4.0)
    """
    first, second = as_sample("a_deg", a_deg, 5), as_sample("b_deg", b_deg, 5)
    check_same_length(a_deg=first, b_deg=second)
    shifts = difference(first, second)
    centre = bootstrap(
        shifts,
        statistic=_mean_about_zero,
        seed=seed,
        n_resamples=n_resamples,
        confidence=confidence,
    )
    size = bootstrap(
        shifts,
        statistic=_median_absolute,
        seed=seed,
        n_resamples=n_resamples,
        confidence=confidence,
    )
    return CircularShift(
        centre.estimate,
        centre.low,
        centre.high,
        size,
        float(_resultant(shifts)),
        v_test(shifts).p_value,
        len(shifts),
    )


def distinct_orientations(curves: xr.DataArray, dim: str = "orientation_deg") -> xr.DataArray:
    """Drop the angles that repeat an earlier one after 180° and check that the rest is even.

    Parameters
    ----------
    curves : xarray.DataArray
        Responses with dimension and coordinate `dim`, degrees.
    dim : str

    Returns
    -------
    xarray.DataArray
        `curves` at the distinct angles.

    Raises
    ------
    InvalidInput
        If the coordinate is missing or not finite, fewer than three angles remain, or they do not
        divide 180° evenly (a vector sum over uneven angles is biased towards the dense side).

    Examples
    --------
    >>> curves = xr.DataArray(
    ...     [1.0, 2.0, 3.0, 1.0], {"orientation_deg": [0.0, 60.0, 120.0, 180.0]}, "orientation_deg"
    ... )
    >>> distinct_orientations(curves)["orientation_deg"].values
    array([  0.,  60., 120.])
    """
    check_dims("curves", curves, [dim])
    if dim not in curves.coords:
        raise InvalidInput(f"curves has no coordinate {dim}; assign its angles in degrees.")
    angles = check_finite(dim, curves[dim].values.astype(np.float64))
    # Rounding first keeps 179.9999999 and 0 together.
    first = np.sort(np.unique(np.round(angles % PERIOD_DEG, 6) % PERIOD_DEG, return_index=True)[1])
    kept = angles[first]
    gaps = np.diff(np.sort(kept % PERIOD_DEG))
    if len(kept) < 3 or not np.allclose(gaps, PERIOD_DEG / len(kept), atol=1e-4):
        raise InvalidInput(
            f"{dim} must hold at least three angles that divide 180° evenly; the {len(kept)} "
            f"distinct ones are {np.sort(kept)}."
        )
    return curves.isel({dim: first})


def preferred_orientation(curves: xr.DataArray, dim: str = "orientation_deg") -> xr.Dataset:
    """Return preference and selectivity from the vector sum over orientations.

    With z = Σ r(θ)·exp(2iθ) / Σ r(θ), the preference is half the angle of z and the selectivity
    its length (1 − circular variance): 0 for a flat curve, 1 for a response to one angle alone.

    Parameters
    ----------
    curves : xarray.DataArray
        Responses ≥ 0 with dimension and coordinate `dim`, degrees, and any unit dimensions.
    dim : str

    Returns
    -------
    xarray.Dataset
        `preference_deg` in [0, 180), `selectivity` in [0, 1], and `defined`, whether there is a
        preference. A flat curve has selectivity 0 and no preference (NaN), a silent one neither.

    Raises
    ------
    InvalidInput
        If responses are negative or NaN (read when the result is computed, for dask arrays), or
        the angles are not usable (`distinct_orientations`).

    References
    ----------
    Ringach DL, Shapley RM, Hawken MJ (2002). Orientation selectivity in macaque V1. Journal of
    Neuroscience 22, 5639–5651.

    Examples
    --------
    >>> curves = xr.DataArray(
    ...     [0.0, 1.0, 0.0, 0.0], {"orientation_deg": [0.0, 45, 90, 135]}, "orientation_deg"
    ... )
    >>> float(preferred_orientation(curves)["preference_deg"])
    45.0
    """
    distinct = distinct_orientations(curves, dim)
    basis = np.exp(2j * np.deg2rad(distinct[dim].values.astype(np.float64)))
    vector = xr.apply_ufunc(
        _vector_sum,
        distinct,
        input_core_dims=[[dim]],
        kwargs={"basis": basis},
        dask="parallelized",
        output_dtypes=[np.complex128],
    )
    selectivity = abs(vector)
    turned = np.rad2deg(np.arctan2(vector.imag, vector.real)) / 2 % PERIOD_DEG
    # A selectivity at rounding level leaves the angle to chance.
    result = xr.Dataset(
        {
            "preference_deg": turned.where(selectivity > 1e-12),
            "selectivity": selectivity,
            "defined": selectivity > 1e-12,
        }
    ).drop_attrs()
    result["preference_deg"].attrs["units"] = "degree"
    return result


def _vector_sum(responses: np.ndarray, basis: np.ndarray) -> np.ndarray:
    """Return Σ r·e^{2iθ} / Σ r along the last axis; NaN where Σ r is 0."""
    check_finite("responses", responses)
    if responses.min(initial=0) < 0:
        raise InvalidInput(
            f"The vector sum needs responses of at least 0; the lowest is {responses.min()}. "
            "Take activations after the ReLU, or subtract a baseline first."
        )
    total = responses.sum(-1, dtype=np.float64)
    silent = total == 0
    summed = responses.astype(np.float64) @ basis
    return np.where(silent, np.nan, summed / np.where(silent, 1, total))
