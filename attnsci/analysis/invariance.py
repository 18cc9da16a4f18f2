"""Attention-invariant tuning: whether a curve keeps its shape, whatever its size.

A difference that is not significant is no invariance. Bounds are declared first, and equivalence
tests ask whether width, baseline and preference stay within them.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from attnsci.analysis.tuning import pearson
from attnsci.analysis.units import pair_curves, stack_units
from attnsci.checks import check_positive
from attnsci.errors import InvalidInput
from attnsci.seeds import numpy_generator
from attnsci.statistics.circular import difference
from attnsci.statistics.effects import tost_paired
from attnsci.statistics.estimates import BLOCK, bootstrap

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class InvarianceBounds:
    """Differences that would not matter, declared before looking.

    Attributes
    ----------
    width_ratio : float
        Attended over unattended width lies between 1/this and this.
    baseline : float
        Change of the baseline, as a share of the larger amplitude of the two.
    preference_deg : float
        Turn of the preference.
    """

    width_ratio: float = 1.1
    baseline: float = 0.1
    preference_deg: float = 5.0

    def __post_init__(self) -> None:
        """Refuse bounds that bound nothing."""
        check_positive("baseline", self.baseline)
        check_positive("preference_deg", self.preference_deg)
        if not (np.isfinite(self.width_ratio) and self.width_ratio > 1):
            raise InvalidInput(f"width_ratio must be above 1; got {self.width_ratio!r}.")


def _fitted(fits: xr.Dataset) -> xr.Dataset:
    """Return the fit with its units along `unit`."""
    names = ("amplitude", "baseline", "preference_deg", "half_width_deg", "at_bound", "fitted")
    absent = [name for name in names if name not in fits]
    if absent:
        raise InvalidInput(f"Not a result of fit_curves: it lacks {', '.join(absent)}.")
    one = [fits[name].expand_dims("_point") for name in names]
    stacked = {
        name: stack_units(part, "_point").isel(_point=0)
        for name, part in zip(names, one, strict=True)
    }
    return xr.Dataset(stacked)


def invariance_table(
    attended: xr.Dataset,
    unattended: xr.Dataset,
    bounds: InvarianceBounds | None = None,
    *,
    seed: int,
    cluster: str = "channel",
    alpha: float = 0.05,
    n_resamples: int = 2000,
) -> "pd.DataFrame":
    """Test width, baseline and preference of fitted curves for equivalence.

    Parameters
    ----------
    attended, unattended : xarray.Dataset
        Results of `attnsci.analysis.fits.fit_curves` for the same units.
    bounds : InvarianceBounds, optional
        The declared bounds; its defaults if not given. They stand in the table.
    seed : int
        Seed of the bootstrap in the last row.
    cluster : str
        Coordinate of the units; a cluster (channel) is one observation, the median of its units.
    alpha : float
        Level of each one-sided test; the intervals cover 1 − 2·alpha.
    n_resamples : int

    Returns
    -------
    pandas.DataFrame
        One row a quantity: `log_width_ratio` (natural logarithm), `baseline_change` (share of the
        larger amplitude), `preference_shift_deg`: mean over clusters with two one-sided t
        tests. Last, `absolute_preference_shift_deg`: the median over clusters, equivalent if the
        upper end of its bootstrap interval stays below the bound; signed turns that cancel pass the
        third row but not this one. Columns `quantity`, `estimate`, `low`, `high`, `lower_bound`,
        `upper_bound`, `p_value` (missing in the last row), `equivalent`, `n_clusters`, `n_units`,
        `n_excluded`. Units are excluded where a fit failed or ended at the limit of the width.

    Raises
    ------
    InvalidInput
        If the units differ, fewer than three clusters remain, or a difference does not vary.

    References
    ----------
    Schuirmann DJ (1987). A comparison of the two one-sided tests procedure and the power approach.
    Journal of Pharmacokinetics and Biopharmaceutics 15, 657–680.

    Examples
    --------
    >>> from attnsci.analysis.fits import fit_curves, von_mises
    >>> angles = np.arange(0.0, 180.0, 9.0)
    >>> channel = np.arange(12.0)[:, None]
    >>> curves = xr.DataArray(
    ...     2 + von_mises(angles - 15 * channel, 1 + 0.1 * channel),
    ...     {"orientation_deg": angles},
    ...     ("channel", "orientation_deg"),
    ... )
    >>> noise = 0.01 * np.sin(37 * angles + 11 * channel)
    >>> table = invariance_table(fit_curves(curves + noise), fit_curves(curves), seed=0)
    >>> bool(table["equivalent"].all())
    True
    """
    import pandas as pd

    bounds = bounds or InvarianceBounds()
    a, u = _fitted(attended), _fitted(unattended)
    if a.sizes != u.sizes or not all(a.coords[name].equals(u.coords[name]) for name in a.coords):
        raise InvalidInput("attended and unattended must be fits of the same units.")
    if cluster not in a.coords:
        raise InvalidInput(
            f"cluster must name a coordinate of the units; got {cluster!r}. There are: "
            f"{', '.join(map(str, a.coords))}."
        )
    usable = (a["fitted"] & u["fitted"] & ~a["at_bound"] & ~u["at_bound"]).values
    # An amplitude of 0 leaves no width, no preference and no scale.
    usable &= (a["amplitude"] > 0).values & (u["amplitude"] > 0).values
    labels = a[cluster].values[usable]
    a, u = a.isel(unit=usable), u.isel(unit=usable)
    shift = difference(a["preference_deg"].values, u["preference_deg"].values)
    frame = pd.DataFrame(
        {
            "log_width_ratio": np.log(a["half_width_deg"].values / u["half_width_deg"].values),
            "baseline_change": (a["baseline"].values - u["baseline"].values)
            # The smaller amplitude can be next to nothing, where attention lifts a threshold.
            / np.maximum(a["amplitude"].values, u["amplitude"].values),
            "preference_shift_deg": shift,
            "absolute_preference_shift_deg": np.abs(shift),
        }
    )
    medians = frame.groupby(labels).median()
    if len(medians) < 3:
        raise InvalidInput(
            f"Equivalence needs at least three clusters of {cluster} with fitted units; "
            f"{len(medians)} remain of {len(usable)} units. Look at the status of the fits."
        )
    widths = {
        "log_width_ratio": float(np.log(bounds.width_ratio)),
        "baseline_change": bounds.baseline,
        "preference_shift_deg": bounds.preference_deg,
    }
    rows: list[dict[str, Any]] = []
    for quantity, bound in widths.items():
        values = medians[quantity].to_numpy()
        test = tost_paired(values, np.zeros_like(values), -bound, bound, alpha=alpha)
        rows.append(
            {
                "quantity": quantity,
                "estimate": test.estimate,
                "low": test.low,
                "high": test.high,
                "lower_bound": -bound,
                "upper_bound": bound,
                "p_value": test.p_value,
                "equivalent": test.equivalent,
            }
        )
    size = bootstrap(
        medians["absolute_preference_shift_deg"],
        statistic="median",
        seed=seed,
        n_resamples=n_resamples,
        confidence=1 - 2 * alpha,
    )
    rows.append(
        {
            "quantity": "absolute_preference_shift_deg",
            "estimate": size.estimate,
            "low": size.low,
            "high": size.high,
            "lower_bound": 0.0,
            "upper_bound": bounds.preference_deg,
            "equivalent": size.high < bounds.preference_deg,
        }
    )
    table = pd.DataFrame(rows)
    table["p_value"] = table["p_value"].astype("Float64")
    return table.assign(
        n_clusters=len(medians), n_units=int(usable.sum()), n_excluded=int((~usable).sum())
    )


def curve_similarity(
    attended: xr.DataArray,
    unattended: xr.DataArray,
    dim: str = "orientation_deg",
    *,
    seed: int,
    n_shuffles: int = 200,
    ceiling: xr.DataArray | None = None,
) -> xr.Dataset:
    """Correlate attended with unattended curves, against shuffled orientations and a ceiling.

    Parameters
    ----------
    attended, unattended : xarray.DataArray
        Curves of the same units with dimension `dim`.
    dim : str
    seed : int
        Seed of the shuffles; every unit sees the same ones.
    n_shuffles : int
        Random orders of the attended curve's angles.
    ceiling : xarray.DataArray, optional
        Split-half ceiling by unit (`attnsci.analysis.tuning.split_half_ceiling`), with the unit
        dimensions of the curves.

    Returns
    -------
    xarray.Dataset
        Along `unit`: `r`; `shuffled_high`, the 95 % quantile of the shuffled correlations;
        `p_value` = (1 + shuffles with at least r) / (1 + n_shuffles); `defined`, false where a
        curve does not vary; with a ceiling, `ceiling` and `r_over_ceiling`, NaN where the ceiling
        is not positive or itself undefined.

    Raises
    ------
    InvalidInput
        If the curves do not match or hold NaN, or the ceiling is of other units.

    Examples
    --------
    >>> curves = xr.DataArray(
    ...     np.random.default_rng(0).random((3, 12)), dims=("channel", "orientation_deg")
    ... )
    >>> similarity = curve_similarity(1.25 * curves, curves, seed=0)
    >>> similarity["r"].values.round(6), bool((similarity["p_value"] < 0.01).all())
    (array([1., 1., 1.]), True)
    """
    attended, unattended = pair_curves(attended, unattended, dim)
    check_positive("n_shuffles", n_shuffles, integer=True)
    a, u = attended.values, unattended.values
    r = pearson(a, u)
    rng = numpy_generator(seed)
    orders = rng.permuted(np.tile(np.arange(a.shape[1]), (n_shuffles, 1)), axis=1)
    batch = max(1, BLOCK // (n_shuffles * a.shape[1]))
    high, at_least = np.empty(len(a)), np.empty(len(a))
    for start in range(0, len(a), batch):
        part = slice(start, start + batch)
        shuffled = pearson(a[part][:, orders], u[part, None])
        high[part] = np.quantile(shuffled, 0.95, axis=1)
        at_least[part] = (shuffled >= r[part, None] - 1e-12).sum(1)
    defined = np.isfinite(r)
    p_value = np.where(defined, (1 + at_least) / (1 + n_shuffles), np.nan)
    template = attended.isel({dim: 0}, drop=True)
    parts = {"r": r, "shuffled_high": high, "p_value": p_value, "defined": defined}
    if ceiling is not None:
        stacked = stack_units(ceiling.expand_dims(dim), dim).isel({dim: 0}, drop=True)
        same = stacked.sizes == template.sizes and all(
            stacked.coords[name].equals(template.coords[name]) for name in stacked.coords
        )
        if not same:
            raise InvalidInput(
                f"ceiling must be of the same {template.sizes['unit']} units as the curves; it "
                f"has sizes {dict(ceiling.sizes)}."
            )
        parts["ceiling"] = stacked.values
        parts["r_over_ceiling"] = r / np.where(stacked.values > 0, stacked.values, np.nan)
    return xr.Dataset(
        {name: template.copy(data=part) for name, part in parts.items()},
        attrs={"n_shuffles": n_shuffles, "seed": seed},
    )
