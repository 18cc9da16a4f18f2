"""The table of RAM's results beside both published versions of it."""

from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from attnsci.papers.output import Result
from attnsci.statistics.estimates import bootstrap

NIPS: dict[str, dict[int, float]] = {
    "mnist-28": {2: 3.79, 3: 1.51, 4: 1.54, 5: 1.34, 6: 1.12, 7: 1.07},
    "translated-60": {4: 1.54, 6: 1.22, 8: 1.20},
    "cluttered-60": {4: 4.96, 6: 4.08, 8: 4.04},
    "cluttered-100": {4: 9.41, 6: 8.31, 8: 8.11},
}
"""Error in % by task and glimpses, Mnih et al. 2014, NIPS 27."""
ARXIV: dict[str, dict[int, float]] = {
    "mnist-28": {2: 6.27, 3: 2.7, 4: 1.73, 5: 1.55, 6: 1.29, 7: 1.47},
    "translated-60": {4: 2.29, 6: 1.86, 8: 1.84},
    "cluttered-60": {4: 7.1, 6: 5.88, 8: 5.23},
    "cluttered-100": {4: 14.95, 6: 11.58, 8: 10.83},
}
"""The same, arXiv 1406.6247 version 1; read second-hand and in parts unverified."""
NIPS_RANDOM = {("cluttered-60", 8): 14.4, ("cluttered-100", 8): 28.4}
"""Looking at random, trained so."""
STATED = {"mnist-28": 1.13, "translated-60": 1.58, "cluttered-60": 5.30}
"""What the authors of the published weights (amasky/ram) state for six glimpses."""


def published_error(task: str, n_glimpses: int, gaze: str) -> str:
    """Return both versions of the published error, as text.

    Examples
    --------
    >>> published_error("mnist-28", 6, "learned")
    'NIPS 1.12, arXiv v1 1.29'
    """
    if gaze == "random":
        found = NIPS_RANDOM.get((task, n_glimpses))
        return "" if found is None else f"NIPS {found:g}"
    versions = (("NIPS", NIPS), ("arXiv v1", ARXIV))
    return ", ".join(
        f"{name} {table[task][n_glimpses]:g}"
        for name, table in versions
        if n_glimpses in table.get(task, {})
    )


def error_rows(table: pd.DataFrame) -> list[Result]:
    """Return a row for each network.

    Parameters
    ----------
    table : pandas.DataFrame
        Of `experiments.errors`.
    """
    rows = []
    for _, row in table.iterrows():
        six = row["n_glimpses"] == 6 and row["policy"] == "mean"
        rows.append(
            Result(
                f"test error (%), {row['task']}, {row['n_glimpses']} glimpses, {row['policy']} "
                f"policy ({row['network']})",
                published_error(row["task"], row["n_glimpses"], row["gaze"])
                if row["policy"] != "sampled"
                else "",
                f"{STATED[row['task']]:g} (stated)" if six and row["task"] in STATED else "",
                row["error"],
                row["low"],
                row["high"],
                int(row["n"]),
            )
        )
    return rows


def published_rows(table: pd.DataFrame) -> list[Result]:
    """Return a row for each file of published weights.

    Parameters
    ----------
    table : pandas.DataFrame
        Of `experiments.published`.
    """
    return [
        Result(
            f"test error (%), {row['task']}, published weights run here",
            published_error(row["task"], 6, "learned"),
            f"{STATED[row['task']]:g} (stated)",
            row["error"],
            row["low"],
            row["high"],
            int(row["n"]),
            note="mean of three draws of first glimpses",
        )
        for _, row in table.iterrows()
    ]


def policy_rows(table: pd.DataFrame) -> list[Result]:
    """Return a row for each policy in place of the learned one.

    Parameters
    ----------
    table : pandas.DataFrame
        Of `experiments.policies`, with column ``task``.
    """
    return [
        Result(
            f"points of error more, {row['task']}, looking {row['policy']}",
            "", "", row["worse_by"], row["worse_low"], row["worse_high"], int(row["n"]),
            note=f"error {row['error']:.2f} % [{row['low']:.2f}, {row['high']:.2f}]",
        )
        for _, row in table[table["policy"] != "learned"].iterrows()
    ]  # fmt: skip


def core_rows(found: dict[str, Any], task: str) -> list[Result]:
    """Return what gaze and class drive in the core, and what it tells of other places.

    Parameters
    ----------
    found : dict
        Of `experiments.core`.
    task : str
    """
    rows = []
    for by in found["shares"]["by"].values:
        share = found["shares"]["share"].sel(by=by)
        values = 100 * share.to_numpy()[np.isfinite(share.to_numpy())]
        mean = bootstrap(values, seed=0)
        rows.append(
            Result(
                f"variance of a core unit by {by} (%), {task}, third glimpse, random gaze",
                "", "", mean.estimate, mean.low, mean.high, mean.n, "units",
            )
        )  # fmt: skip
    decoded = found["decoded"].sel(source="activity")
    for lag, what in ((-1, "the place before"), (1, "the place to come")):
        at = decoded.sel(lag=lag)
        gain = found["decoded"].sel(lag=lag)
        value, low, high = (float(at[name]) for name in ("r_squared", "low", "high"))
        rows.append(
            Result(
                f"R² of {what}, decoded from the core, {task}",
                "", "", value, low, high,
                int(found["looking"].sizes["stimulus"]),
                note=f"{float(gain['gain']):+.2f} [{float(gain['gain_low']):+.2f}, "
                f"{float(gain['gain_high']):+.2f}] beside the current place alone",
            )
        )  # fmt: skip
    return rows


def return_rows(found: xr.Dataset, task: str) -> list[Result]:
    """Return the index of inhibition at lag 2 against every baseline.

    Parameters
    ----------
    found : xarray.Dataset
        Of `experiments.returns`.
    task : str
    """
    rows = []
    for name in found["baseline"].values:
        at = found.sel(baseline=name, lag=2).isel(radius=0)
        rows.append(
            Result(
                f"index of inhibition, lag 2, {task}, against {str(name).replace('_', ' ')}",
                "", "", float(at["index"]), float(at["low"]), float(at["high"]),
                int(found.attrs["n_images"]),
                note=str(at["asks"].item()),
            )
        )  # fmt: skip
    return rows


def similarity_rows(table: pd.DataFrame, task: str) -> list[Result]:
    """Return how like each other scanpaths are.

    Parameters
    ----------
    table : pandas.DataFrame
        Of `experiments.similarity`.
    task : str
    """
    return [
        Result(
            f"{row['metric']}, {task}, {row['pair']}", "", "", row["mean"], row["low"],
            row["high"], int(row["n"]),
        )
        for _, row in table.iterrows()
    ]  # fmt: skip


def inhibition_rows(table: pd.DataFrame) -> list[Result]:
    """Return what imposed inhibition does to returns and errors.

    Parameters
    ----------
    table : pandas.DataFrame
        Of `experiments.imposed_inhibition`, with column ``task``.
    """
    names = {"error, %": "test error (%)", "returns, %": "returns at lag 2 (%)"}
    return [
        Result(
            f"{names[row['measure']]}, {row['task']}, imposed inhibition {row['strength']:g}",
            "", "", row["estimate"], row["low"], row["high"], int(row["n"]),
        )
        for _, row in table.iterrows()
    ]  # fmt: skip


def pair_rows(table: pd.DataFrame) -> list[Result]:
    """Return how often pairs of digits are misread.

    Parameters
    ----------
    table : pandas.DataFrame
        Of `experiments.pairs`.
    """
    note = "the paper's pairs are other scenes, and its reader is told less: no replication"
    return [
        Result(
            f"pairs misread (%), DRAM, {row['policy']} policy",
            "DRAM 5, without context 7, RAM 9" if row["policy"] == "mean" else "", "",
            row["error"], row["low"], row["high"], int(row["n"]),
            note=note if row["policy"] == "mean" else "",
        )
        for _, row in table.iterrows()
    ]  # fmt: skip


def catch_rows(table: pd.DataFrame) -> list[Result]:
    """Return how often the ball is missed.

    Parameters
    ----------
    table : pandas.DataFrame
        Of `experiments.catch`.
    """
    return [
        Result(
            f"balls missed (%), Catch, {row['policy']} gaze",
            "about 15 (unverified)" if row["policy"] == "mean" else "", "",
            row["error"], row["low"], row["high"], int(row["n"]), "games",
            note=f"gaze {row['gaze_to_ball_px']:.1f} px from the ball, last ten steps",
        )
        for _, row in table.iterrows()
    ]  # fmt: skip
