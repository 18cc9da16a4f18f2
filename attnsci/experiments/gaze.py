"""Scanpaths of several viewers: returns against every baseline, and how like each other."""

from collections.abc import Mapping, Sequence

import pandas as pd
import xarray as xr

from attnsci.analysis.inhibition import all_baselines
from attnsci.experiments.outcome import Outcome, cells
from attnsci.scanpaths.comparison import compare

INDEX = "index of inhibition"
SIMILARITY = "similarity of scanpaths"


def returns(
    viewers: Sequence[xr.Dataset],
    *,
    radius_px: float,
    patch_px: float,
    lags: Sequence[int],
    draws: int,
    seed: int = 0,
) -> Outcome:
    """Measure inhibition of return against all nine baselines.

    Parameters
    ----------
    viewers : sequence of xarray.Dataset
        Scanpaths of viewers of the same images, a container of `attnsci.gaze` each.
    radius_px, patch_px : float
        Within which a fixation returns; side of what is seen at once.
    lags : sequence of int
        Fixations between which a return lies.
    draws : int
        Permutations and resamples.
    seed : int

    Returns
    -------
    Outcome
        `INDEX` by baseline and lag; data ``returns`` of `all_baselines`.
    """
    table = all_baselines(
        xr.concat(viewers, "scanpath", combine_attrs="override"),
        lags,
        radius_px=radius_px,
        patch_px=patch_px,
        n_permutations=draws,
        n_resamples=draws,
        n_walks=5,
        seed=seed,
    )
    flat = table.isel(radius=0).assign(n=table.attrs["n_images"])
    questions = dict(zip(table["baseline"].values, table["asks"].values, strict=True))
    estimates = cells(INDEX, flat, "index", "images")
    notes = estimates["baseline"].map(questions)
    return Outcome(estimates.assign(note=notes), {"returns": table})


def similarity(
    groups: Mapping[str, Sequence[xr.Dataset]],
    metrics: Sequence[str],
    *,
    n: int,
    draws: int,
    chance: str = "",
    seed: int = 0,
) -> Outcome:
    """Measure how like each other scanpaths are, within groups of viewers.

    Parameters
    ----------
    groups : mapping of str to sequence of xarray.Dataset
        What a group is called, and its viewers' scanpaths on the same images.
    metrics : sequence of str
        Of `attnsci.scanpaths.metrics`.
    n : int
        Images.
    draws : int
        Permutations and resamples.
    chance : str
        What pairs from other images are called; they are taken from the last group.
    seed : int

    Returns
    -------
    Outcome
        `SIMILARITY` by ``metric`` and ``pair``, in the metric's own unit.
    """
    tables, last = [], list(groups)[-1]
    for name, viewers in groups.items():
        among = xr.concat(viewers, "scanpath", combine_attrs="override")
        scores = compare(None, among, metrics, n_permutations=draws, n_bootstrap=draws, seed=seed)
        pairs = {"human": name, **({"cross-image": chance} if chance and name == last else {})}
        for metric in scores["metric"].values:
            at = scores.sel(metric=metric, source=list(pairs)).assign(n=n)
            table = at[["mean", "low", "high", "n"]].to_dataframe().reset_index()
            tables.append(table.assign(pair=table["source"].map(pairs)).drop(columns="source"))
    estimates = pd.concat(tables, ignore_index=True).rename(columns={"mean": "estimate"})
    return Outcome(estimates.assign(quantity=SIMILARITY, n_of="images"))
