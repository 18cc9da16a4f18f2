"""Attention's gain and the invariance of tuning, in the paper's protocol and in two fairer ones."""

from collections.abc import Iterator

import pandas as pd
import xarray as xr

from attnsci.analysis.fits import fit_curves
from attnsci.analysis.gain import (
    MCADAMS_MAUNSELL_1999,
    built_in_gain,
    gain_summary,
    unit_gain,
)
from attnsci.analysis.invariance import invariance_table
from attnsci.errors import InvalidInput
from attnsci.statistics.effects import paired_effect


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
        ``gain``: slopes and ratios for the table of results, by ``statistic``;
        ``gain_effects``: median modulation indices; ``invariance``: equivalence tests of fitted
        width, baseline and preference.
    """
    curves = dict(_protocols(bars, balanced, swapped))
    gains = {
        protocol: unit_gain(
            responses.sel(attention="attended", drop=True),
            responses.sel(attention="unattended", drop=True),
        )
        for protocol, responses in curves.items()
    }
    statistics = gain_summary(gains, seed=seed, input_gain=built_in_gain(strength))
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
    gain = pd.concat(
        [_pick(statistics, f"median_{name}").assign(statistic=name) for name in ("slope", "ratio")],
        ignore_index=True,
    )
    gain["note"] = [
        notes.get(row.label.split(", ", 1)[1], f"built in: × {built_in_gain(strength):.3g}")
        + f"; {row.n_units:,} units, {row.n_excluded:,} left out"
        for row in gain.itertuples()
    ]
    return {
        "gain_statistics": statistics,
        "gain": gain,
        "gain_effects": _pick(statistics, "median_modulation_index"),
        "invariance": _invariance(curves, seed),
    }


def _protocols(
    bars: xr.Dataset, balanced: xr.Dataset, swapped: xr.Dataset
) -> Iterator[tuple[str, xr.DataArray]]:
    """Yield each protocol's curves, (attention, orientation_deg, channel …)."""
    for level in (1, 2):
        cells = {f"{axis}_{level}": axis for axis in ("channel", "y", "x")}
        name = f"level_{level}"
        published = bars[name].sel(statistic="max", drop=True).rename(cells)
        fair = balanced[name].mean("side").rename({f"channel_{level}": "channel"})
        cued = swapped[name].rename(cells)
        yield f"level {level}, as published", published
        yield f"level {level}, order balanced", fair
        yield f"level {level}, cue exchanged", cued


def _pick(statistics: pd.DataFrame, statistic: str) -> pd.DataFrame:
    rows = statistics[statistics["statistic"] == statistic]
    columns = {"layer": "label", "n_clusters": "n", "n": "n_units"}
    kept = ["label", "estimate", "low", "high", "n", "n_units", "n_excluded"]
    numbers = rows.rename(columns=columns)[kept].reset_index(drop=True)
    return numbers.astype(dict.fromkeys(("estimate", "low", "high"), "float64"))


def _invariance(curves: dict[str, xr.DataArray], seed: int) -> pd.DataFrame:
    """Test whether width, baseline and preference stay the same; channels are the replicates."""
    tested = []
    for protocol, responses in curves.items():
        fits = [
            fit_curves(responses.sel(attention=attention, drop=True))
            for attention in ("attended", "unattended")
        ]
        try:
            table = invariance_table(fits[0], fits[1], seed=seed).assign(note="")
        except InvalidInput as error:
            # A network may leave too few channels tuned; the table then says so.
            table = pd.DataFrame([{"quantity": "tuning", "note": str(error)}])
        tested.append(table.assign(protocol=protocol))
    return pd.concat(tested, ignore_index=True)
