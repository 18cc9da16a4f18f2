"""Attention's gain and the invariance of tuning, in the paper's protocol and in two fairer ones."""

from collections.abc import Iterator

import numpy as np
import pandas as pd
import xarray as xr

from attnsci.analysis.gain import (
    MCADAMS_MAUNSELL_1999,
    built_in_gain,
    gain_summary,
    unit_gain,
)
from attnsci.analysis.inference import paired_effect, tost_paired

SHIFT_BOUND_DEG = 5.0
SELECTIVITY_BOUND = float(np.log(1.25))
"""Declared bounds of equivalence: 5° of preference, a quarter of selectivity."""


def gate_effect(shown: xr.Dataset, *, seed: int) -> pd.DataFrame:
    """Return the size of the gate's difference between unattended and attended pixels.

    Returns
    -------
    pandas.DataFrame
        One row: ``estimate`` (d_z), ``low``, ``high``, ``n`` scenes.
    """
    gate = shown["gate_published"].dropna("stimulus")
    effect = paired_effect(
        gate.sel(attention="unattended").values, gate.sel(attention="attended").values, seed=seed
    )
    return pd.DataFrame(
        [{"estimate": effect.d_z, "low": effect.low, "high": effect.high, "n": effect.n}]
    )


def biology() -> pd.DataFrame:
    """Return McAdams and Maunsell's medians: ``area``, ``modulation_index``, ``n``."""
    return pd.DataFrame(
        [
            {"area": row.area, "modulation_index": row.modulation_index, "n": row.n}
            for row in MCADAMS_MAUNSELL_1999
        ]
    )


def tables(
    bars: xr.Dataset, balanced: xr.Dataset, swapped: xr.Dataset, strength: float, *, seed: int
) -> dict[str, pd.DataFrame]:
    """Analyse one network's tuning under three protocols.

    Parameters
    ----------
    bars : xarray.Dataset
        Of `show_bars`, bars on the left: the paper's protocol, in which attention, phase, side
        and inhibition go together.
    balanced : xarray.Dataset
        Of `order_balanced_tuning`.
    swapped : xarray.Dataset
        Of `cue_swapped_tuning`.
    strength : float
        Of the gates, for the gain that the training target has built in.
    seed : int
        Of the bootstrap.

    Returns
    -------
    dict of str to pandas.DataFrame
        ``gain_statistics``: every statistic of `gain_summary`, by protocol and level;
        ``gain``: slopes for the table of results; ``gain_effects``: median modulation indices;
        ``invariance``: equivalence tests of the paper's protocol.
    """
    layers = dict(_protocols(bars, balanced, swapped))
    statistics = gain_summary(layers, seed=seed, input_gain=built_in_gain(strength))
    worked = swapped["cue_worked"].mean("orientation_deg")
    notes = {
        "cue exchanged": "cue worked on "
        + ", ".join(
            f"{float(share):.0%} ({attention})"
            for attention, share in zip(worked["attention"].values, worked.values, strict=True)
        ),
        "order balanced": "bar attended first: left "
        f"{float(balanced['bar_first'][0]):.0%}, right {float(balanced['bar_first'][1]):.0%}",
    }
    slopes = _pick(statistics, "median_slope")
    slopes["note"] = [
        notes.get(layer.split(", ", 1)[1], f"built in: × {built_in_gain(strength):.3g}")
        for layer in slopes["label"]
    ]
    return {
        "gain_statistics": statistics,
        "gain": slopes,
        "gain_effects": _pick(statistics, "median_modulation_index"),
        "invariance": _invariance(layers),
    }


def _protocols(
    bars: xr.Dataset, balanced: xr.Dataset, swapped: xr.Dataset
) -> Iterator[tuple[str, xr.Dataset]]:
    for level in (1, 2):
        cells = {f"{axis}_{level}": axis for axis in ("channel", "y", "x")}
        name = f"level_{level}"
        published = bars[name].sel(statistic="max", drop=True).rename(cells)
        fair = balanced[name].mean("side").rename({f"channel_{level}": "channel"})
        cued = swapped[name].rename(cells)
        for protocol, curves in (
            ("as published", published),
            ("order balanced", fair),
            ("cue exchanged", cued),
        ):
            yield (
                f"level {level}, {protocol}",
                unit_gain(
                    curves.sel(attention="attended", drop=True),
                    curves.sel(attention="unattended", drop=True),
                ),
            )


def _pick(statistics: pd.DataFrame, statistic: str) -> pd.DataFrame:
    rows = statistics[statistics["statistic"] == statistic]
    columns = {"layer": "label", "n_clusters": "n"}
    numbers = rows.drop(columns="n").rename(columns=columns)
    numbers = numbers[["label", "estimate", "low", "high", "n"]].reset_index(drop=True)
    return numbers.astype(dict.fromkeys(("estimate", "low", "high"), "float64"))


def _invariance(layers: dict[str, xr.Dataset]) -> pd.DataFrame:
    """Test whether preference and selectivity stay the same; channels are the replicates."""
    rows = []
    for layer, gain in layers.items():
        if not layer.endswith("as published"):
            continue
        units = gain.where(gain["shift_defined"], drop=True)
        selectivity = units["selectivity_attended"] / units["selectivity_unattended"]
        changes: dict[tuple[str, float], xr.DataArray] = {
            ("preference shift (°)", SHIFT_BOUND_DEG): units["preference_shift_deg"],
            ("log ratio of selectivity, attended / unattended", SELECTIVITY_BOUND): xr.apply_ufunc(
                np.log, selectivity
            ),
        }
        for (quantity, bound), change in changes.items():
            by_channel = change.groupby("channel").median().values
            test = tost_paired(by_channel, np.zeros_like(by_channel), -bound, bound)
            rows.append(
                {
                    "quantity": quantity,
                    "level": int(layer.split()[1].rstrip(",")),
                    "estimate": test.estimate,
                    "low": test.low,
                    "high": test.high,
                    "n": test.n,
                    "bound": round(bound, 3),
                    "p_value": test.p_value,
                    "equivalent": test.equivalent,
                }
            )
    return pd.DataFrame(rows)
