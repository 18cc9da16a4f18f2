"""Attention-mediated gain: what attention does to the response of every unit.

A gain is only worth reporting beside the gain that was built in. The loss of the gated network
asks for a factor 1/(1 − s) between attended and other pixels, and its architecture bounds what a
gate can do; see `built_in_gain`, `gain_bound` and `gate_gain`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

from attnsci.analysis import scaling
from attnsci.analysis.tuning import ACTIVITY_THRESHOLD, activity, describe_curves
from attnsci.analysis.units import pair_curves
from attnsci.checks import check_dims, check_positive
from attnsci.errors import InvalidInput
from attnsci.statistics.circular import difference
from attnsci.statistics.estimates import Estimate, bootstrap
from attnsci.statistics.plans import bootstrap_clusters
from attnsci.statistics.significance import adjust, wilcoxon_test, wilson

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class PublishedGain:
    """A published effect of attention on firing rates.

    Attributes
    ----------
    area : str
        Cortical area of the macaque.
    gain : float
        Median response to the attended over that to the ignored stimulus.
    modulation_index : float
        (gain − 1) / (gain + 1), three digits.
    n : int
        Neurons.
    citation : str
    """

    area: str
    gain: float
    modulation_index: float
    n: int
    citation: str


_MCADAMS = (
    "McAdams CJ, Maunsell JHR (1999). Effects of attention on orientation-tuning functions of "
    "single neurons in macaque cortical area V4. Journal of Neuroscience 19, 431–441."
)
MCADAMS_MAUNSELL_1999 = (
    PublishedGain("V4", 1.26, 0.115, 262, _MCADAMS),
    PublishedGain("V1", 1.08, 0.038, 135, _MCADAMS),
)

# Numbers of `unit_gain` whose median over units `gain_summary` reports, and the condition that a
# unit must meet.
MEDIANS = {
    "ratio": "active",
    "modulation_index": "active",
    "slope": "line_defined",
    "intercept": "line_defined",
    "r": "line_defined",
    "tls_slope": "tls_defined",
    "tls_intercept": "tls_defined",
    "absolute_preference_shift_deg": "shift_defined",
    "selectivity_attended": "active",
    "selectivity_unattended": "active",
}
FRACTIONS = {"enhanced": "active", "same_best_angle": "active"}


def check_strength(strength: float) -> float:
    """Return the strength of the gates if it lies in [0, 1)."""
    if not 0 <= strength < 1:
        raise InvalidInput(f"strength must lie in [0, 1); got {strength!r}.")
    return strength


def built_in_gain(strength: float) -> float:
    """Return the gain that the training target asks for: 1 / (1 − s).

    The target of a phase is (1 − s)·image + s·object, so attended pixels keep their value and the
    others lose the share s: a ratio that training sets before any unit is measured.

    Parameters
    ----------
    strength : float
        Strength s of the gates, in [0, 1).

    Returns
    -------
    float

    Raises
    ------
    InvalidInput
        If the strength is out of range.

    Examples
    --------
    >>> built_in_gain(0.2)
    1.25
    """
    return 1 / (1 - check_strength(strength))


def gain_bound(strength: float) -> float:
    """Return the largest ratio that one level of gates can make: (1 + s) / (1 − s).

    Parameters
    ----------
    strength : float
        Strength s of the gates, in [0, 1).

    Returns
    -------
    float

    Raises
    ------
    InvalidInput
        If the strength is out of range.

    Examples
    --------
    >>> round(gain_bound(0.2), 6)
    1.5
    """
    return (1 + check_strength(strength)) / (1 - strength)


def gate_gain(strength: float, gate_attended: float, gate_unattended: float) -> float:
    """Return the input gain of measured gates: (1 − s·h_attended) / (1 − s·h_unattended).

    Parameters
    ----------
    strength : float
        Strength s of the gates, in [0, 1).
    gate_attended, gate_unattended : float
        Mean gate on the object when attended and when not, in [−1, 1].

    Returns
    -------
    float
        What a linear unit would show as its gain.

    Raises
    ------
    InvalidInput
        If the strength or a gate is out of range.

    Examples
    --------
    >>> round(gate_gain(0.2, 0.11, 0.96), 2)
    1.21
    """
    for name, gate in (("gate_attended", gate_attended), ("gate_unattended", gate_unattended)):
        if not -1 <= gate <= 1:
            raise InvalidInput(f"{name} must lie in [-1, 1]; got {gate!r}.")
    return (1 - check_strength(strength) * gate_attended) / (1 - strength * gate_unattended)


def unit_gain(
    attended: xr.DataArray,
    unattended: xr.DataArray,
    dim: str = "orientation_deg",
    *,
    threshold: float = ACTIVITY_THRESHOLD,
) -> xr.Dataset:
    """Compare the attended with the unattended tuning curve of every unit.

    Parameters
    ----------
    attended, unattended : xarray.DataArray
        Responses ≥ 0 with dimension and coordinate `dim` (degrees, dividing 180° evenly) and the
        same unit dimensions (channel, y, x). Means and lines use all angles given.
    dim : str
    threshold : float
        A unit is active if its largest response exceeds this in both conditions.

    Returns
    -------
    xarray.Dataset
        Along `unit`, with the unit dimensions as coordinates:

        - `active`, `only_attended`, `only_unattended`, `silent`;
        - `attended_mean`, `unattended_mean` over `dim`; `ratio`; `modulation_index`
          (A − U) / (A + U); `enhanced`: A > U;
        - `slope`, `intercept`, `r` by least squares (`line_defined`); `tls_slope`,
          `tls_intercept` with `_low` and `_high` by Deming regression (`tls_defined`,
          `tls_interval_defined`);
        - `aic` (`unit`, `model`) and `best_model` of attended from unattended, and
          `best_model_reversed` of unattended from attended, which shows a threshold that cuts the
          unattended curve; −1 where undefined;
        - `preference_shift_deg` from unattended to attended, `absolute_preference_shift_deg`
          (`shift_defined`), `selectivity_attended`, `selectivity_unattended`,
          `same_best_angle`.

        Units that are not active hold NaN or false; every flag says where. Attribute
        `n_units`.

    Raises
    ------
    InvalidInput
        If the curves do not match, are negative or NaN, or the angles are unusable.

    References
    ----------
    McAdams & Maunsell (1999), see `MCADAMS_MAUNSELL_1999`.

    Examples
    --------
    >>> angles = np.arange(0.0, 180.0, 20.0)
    >>> curve = 2 + np.cos(np.deg2rad(2 * angles))
    >>> unattended = xr.DataArray(
    ...     [curve, 0 * curve], {"orientation_deg": angles}, ("channel", "orientation_deg")
    ... )
    >>> gain = unit_gain(1.25 * unattended, unattended)
    >>> round(float(gain["ratio"][0]), 6), bool(gain["silent"][1])
    (1.25, True)
    """
    attended, unattended = pair_curves(attended, unattended, dim)
    states = activity(attended, unattended, dim, threshold)
    active = states["active"]
    a, u = describe_curves(attended, dim, threshold), describe_curves(unattended, dim, threshold)
    high, low = a["mean"].where(active), u["mean"].where(active)
    line = scaling.ordinary_line(unattended, attended, dim)
    tls = scaling.deming_line(unattended, attended, dim)
    models = scaling.compare_models(unattended, attended, dim)
    back = scaling.compare_models(attended, unattended, dim)
    shift = difference(a["preference_deg"], u["preference_deg"])
    result = xr.Dataset(
        {
            **states.data_vars,
            "attended_mean": a["mean"],
            "unattended_mean": u["mean"],
            "ratio": high / low,
            "modulation_index": (high - low) / (high + low),
            "enhanced": high > low,
            **{name: line[name].where(active) for name in ("slope", "intercept", "r")},
            "line_defined": line["defined"] & active,
            **{
                f"tls_{name}{end}": tls[f"{name}{end}"].where(active)
                for name in ("slope", "intercept")
                for end in ("", "_low", "_high")
            },
            "tls_defined": tls["defined"] & active,
            "tls_interval_defined": tls["interval_defined"] & active,
            "aic": models["aic"].where(active),
            "best_model": models["best"].where(active, -1),
            "best_model_reversed": back["best"].where(active, -1),
            "preference_shift_deg": shift,
            "absolute_preference_shift_deg": abs(shift),
            "shift_defined": shift.notnull(),
            "selectivity_attended": a["selectivity"].where(active),
            "selectivity_unattended": u["selectivity"].where(active),
            "same_best_angle": active & (a["best_deg"] == u["best_deg"]),
        }
    ).drop_attrs()
    return result.assign_attrs(n_units=result.sizes["unit"], threshold=threshold)


def _interval(
    values: np.ndarray, clusters: np.ndarray, statistic: str, seed: int, n_resamples: int
) -> Estimate:
    """Return a cluster bootstrap, or what it amounts to where every unit is its own cluster."""
    if len(np.unique(clusters)) < len(values):
        pooled = "median" if statistic == "median" else "mean"
        return bootstrap_clusters(
            values, clusters, statistic=pooled, seed=seed, n_resamples=n_resamples
        )
    if statistic == "fraction":  # resampling 17 of 17 would claim certainty
        return wilson(int(values.sum()), len(values))
    return bootstrap(values, statistic=statistic, seed=seed, n_resamples=n_resamples)


def _rows(
    gain: xr.Dataset, cluster: str, seed: int, n_resamples: int, input_gain: float | None
) -> list[dict[str, object]]:
    """Return one row a statistic for one layer."""
    labels = gain[cluster].values
    rows: list[dict[str, object]] = []

    def add(name: str, values: np.ndarray, mask: np.ndarray, statistic: str) -> None:
        kept = values[mask].astype(np.float64)
        row: dict[str, object] = {"statistic": name, "n": len(kept)}
        row["n_clusters"] = len(np.unique(labels[mask]))
        row["n_excluded"] = int((~mask).sum())
        if row["n_clusters"] != 0:
            row["estimate"] = float(np.median(kept) if statistic == "median" else kept.mean())
        if row["n_clusters"] not in (0, 1):
            made = _interval(kept, labels[mask], statistic, seed, n_resamples)
            row |= {"low": made.low, "high": made.high}
        rows.append(row)

    for name, condition in MEDIANS.items():
        add(f"median_{name}", gain[name].values, gain[condition].values, "median")
    for name, condition in FRACTIONS.items():
        add(f"fraction_{name}", gain[name].values, gain[condition].values, "fraction")
    best = {"": gain["best_model"], "_reversed": gain["best_model_reversed"]}
    for suffix, index in best.items():
        for i, model in enumerate(scaling.MODELS):
            chosen, defined = (index == i).values, (index >= 0).values
            add(f"fraction_{model}{suffix}", chosen, defined, "fraction")
    if input_gain is not None:
        active = gain["active"].values
        add("median_ratio_over_input_gain", gain["ratio"].values / input_gain, active, "median")
    rows += [
        {
            "statistic": f"n_{state}",
            "n": gain.sizes["unit"],
            "n_clusters": len(np.unique(labels)),
            "n_excluded": 0,
            "estimate": float(gain[state].sum()),
        }
        for state in ("active", "silent", "only_attended", "only_unattended")
    ]
    return rows


def gain_summary(
    layers: Mapping[str, xr.Dataset] | xr.Dataset,
    *,
    seed: int,
    cluster: str = "channel",
    input_gain: float | None = None,
    n_resamples: int = 2000,
) -> "pd.DataFrame":
    """Return the medians, fractions and counts of one or several layers as a tidy table.

    Parameters
    ----------
    layers : mapping of str to xarray.Dataset, or xarray.Dataset
        Results of `unit_gain` by layer.
    seed : int
        Seed of the bootstrap.
    cluster : str
        Coordinate of `unit` whose values are drawn as wholes: positions of one channel share
        their weights.
    input_gain : float, optional
        `built_in_gain` or `gate_gain`; adds the ratio relative to it.
    n_resamples : int

    Returns
    -------
    pandas.DataFrame
        Columns `layer`, `statistic`, `estimate`, `low`, `high` (95 % cluster
        bootstrap; Wilson for fractions of units that are each their own cluster), `n` units,
        `n_clusters`, `n_excluded` units; `p_value` and `p_adjusted` in the row of the median
        modulation index: Wilcoxon signed-rank over the medians of the clusters, corrected
        over the layers (Benjamini-Hochberg). Counts and single clusters have no interval, layers
        without a usable unit no estimate: missing values (pandas NA), with n = 0.

    Raises
    ------
    InvalidInput
        If there is no layer, `cluster` is no coordinate, or the input gain is not positive.

    Examples
    --------
    >>> angles = np.arange(0.0, 180.0, 20.0)
    >>> curves = xr.DataArray(
    ...     2 + np.cos(np.deg2rad(2 * (angles - np.arange(8)[:, None]))),
    ...     {"orientation_deg": angles},
    ...     ("channel", "orientation_deg"),
    ... )
    >>> table = gain_summary(unit_gain(1.25 * curves, curves), seed=0, input_gain=1.25)
    >>> relative = table.set_index("statistic").loc["median_ratio_over_input_gain"]
    >>> round(float(relative["estimate"]), 6), int(relative["n"])
    (1.0, 8)
    """
    import pandas as pd

    named = (
        dict(layers)
        if isinstance(layers, Mapping) and not isinstance(layers, xr.Dataset)
        else {"all": layers}
    )
    if not named:
        raise InvalidInput("layers is empty; give at least one result of unit_gain.")
    if input_gain is not None:
        check_positive("input_gain", input_gain)
    numbers = ["estimate", "low", "high"]
    columns = ["layer", "statistic", *numbers, "n", "n_clusters", "n_excluded"]
    tables, tested = [], {}
    for layer, gain in named.items():
        check_dims(f"layers[{layer!r}]", gain, ["unit"])
        if cluster not in gain.coords:
            raise InvalidInput(
                f"cluster must name a coordinate of the units; got {cluster!r}. There are: "
                f"{', '.join(map(str, gain.coords))}."
            )
        rows = _rows(gain, cluster, seed, n_resamples, input_gain)
        tables.append(pd.DataFrame(rows, columns=columns[1:]).assign(layer=layer))
        index = gain["modulation_index"].values[gain["active"].values]
        medians = pd.Series(index).groupby(gain[cluster].values[gain["active"].values]).median()
        if medians.any():  # units without any modulation have no ranks
            tested[layer] = wilcoxon_test(medians).p_value
    table = pd.concat(tables, ignore_index=True)
    table[numbers] = table[numbers].astype("Float64")
    p_values = pd.Series(tested, dtype="Float64")
    adjusted = pd.Series(adjust(p_values), p_values.index, dtype="Float64") if tested else p_values
    row = table["statistic"] == "median_modulation_index"
    for name, values in (("p_value", p_values), ("p_adjusted", adjusted)):
        table[name] = table["layer"].map(values).astype("Float64").where(row)
    return table[[*columns, "p_value", "p_adjusted"]]
