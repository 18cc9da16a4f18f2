"""Experiments on photographs: recognition against controls, gates, what channels tell apart."""

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
import pandas as pd
import xarray as xr
from scipy import stats

from attnsci.analysis.category_tuning import preferred_category
from attnsci.analysis.classification import any_order, compare_answers, confusion_matrix
from attnsci.analysis.gain import built_in_gain, gain_summary, unit_gain
from attnsci.data.coco_scenes import CocoScenes
from attnsci.errors import InvalidInput
from attnsci.families.object_attention.coco_measure import read_photographs
from attnsci.families.object_attention.measure import BATCH, show_scenes
from attnsci.families.object_attention.network import ObjectAttention
from attnsci.statistics.effects import paired_effect
from attnsci.statistics.estimates import bootstrap

Whole = npt.NDArray[np.int64]

CONTROLS = ("strength 0", "whole image", "majority")


def show_photographs(
    model: ObjectAttention, scenes: CocoScenes, n: int, majority: int, *, progress: str
) -> xr.Dataset:
    """Show photographs with the gates and without; keep what scores, maps and tuning need.

    Parameters
    ----------
    model : ObjectAttention
        In evaluation mode.
    scenes : CocoScenes
        Labelled as the network was taught.
    n : int
        Photographs to show, spread over all; all of them if there are fewer.
    majority : int
        Class that the majority control names.
    progress : str
        Label of the progress bars.

    Returns
    -------
    xarray.Dataset
        Of `show_scenes` and `read_photographs`, and ``told`` (control, stimulus, phase) with
        ``meant`` (control, stimulus, phase): the class named by each of `CONTROLS`, and that of
        the object it stands for. With gates of strength 0 all passes are alike; "whole image"
        names the classes that the ungated pass finds likeliest, in whichever order suits it.
    """
    n = min(n, len(scenes))
    shown = show_scenes(model, scenes.batches(BATCH, n), progress=progress)
    read = read_photographs(model, scenes.batches(BATCH, n), progress=f"{progress}, units")
    ungated = show_scenes(
        model, scenes.batches(BATCH, n), progress=f"{progress}, strength 0", strength=0.0
    )
    meant = attended_labels(shown)
    ways = {
        "strength 0": (attended_labels(ungated), ungated["prediction"].values),
        "whole image": (meant, any_order(meant, read["at_once"].values)),
        "majority": (meant, np.full_like(meant, majority)),
    }
    dims = ("control", "stimulus", "phase")
    controls = {
        "meant": (dims, np.stack([ways[name][0] for name in CONTROLS])),
        "told": (dims, np.stack([ways[name][1] for name in CONTROLS])),
    }
    photographs = scenes.pairs.image_id[shown["stimulus"].values]
    return (
        xr.merge([shown, read], join="exact")
        .assign(controls)
        .assign_coords(control=list(CONTROLS), image_id=("stimulus", photographs))
    )


def attended_labels(shown: xr.Dataset) -> Whole:
    """Return the label of the object attended in each phase, shape (stimulus, phase)."""
    return np.take_along_axis(shown["label"].values, shown["attended"].values, 1)


def score_table(shown: xr.Dataset, n_classes: int, *, seed: int) -> pd.DataFrame:
    """Score the network beside its controls, by the published assignment and by none.

    Returns
    -------
    pandas.DataFrame
        Of `compare_answers`, with ``assignment``: "attended", each answer against the object
        that the phase attended, as published; "any order", the answers of a photograph against
        its objects in whichever order suits them.
    """
    meant = attended_labels(shown)
    ways = {"network": (meant, shown["prediction"].values)} | {
        str(name): (shown["meant"].sel(control=name).values, shown["told"].sel(control=name).values)
        for name in shown["control"].values
    }
    labels = shown["label"].values
    free = {name: (labels, any_order(labels, told)) for name, (_, told) in ways.items()}
    return pd.concat(
        [
            compare_answers(each, n_classes, seed=seed).assign(assignment=assignment)
            for assignment, each in (("attended", ways), ("any order", free))
        ],
        ignore_index=True,
    )


_KEYS = ("min_area", "assignment", "condition", "measure", "phase")
_INTERVALS = {"estimate": ("low", "high"), "lead": ("lead_low", "lead_high")}


def with_means_over_seeds(table: pd.DataFrame) -> pd.DataFrame:
    """Append the means over networks that were trained alike, from different seeds.

    Parameters
    ----------
    table : pandas.DataFrame
        Of `score_table`, `gate_table` or `attnsci.analysis.selection.summarise`, for several
        networks, with the columns ``network``, ``trained`` (here, not published) and ``min_area``.

    Returns
    -------
    pandas.DataFrame
        With ``unit``, what ``n`` counts: "photographs", or "networks" in the new rows, whose
        ``network`` is "mean of 3 seeds". Their intervals are Student's, the networks being the
        sample. No rows are new if fewer than two networks were trained here.
    """
    table = table.assign(unit="photographs")
    trained = table[table["trained"]]
    keys = [key for key in _KEYS if key in table]
    n = trained["network"].nunique()
    if n < 2:
        return table
    by = trained.groupby(keys, sort=False)
    means = by[[name for name in _INTERVALS if name in table]].mean()
    for name, (low, high) in _INTERVALS.items():
        if name in means:
            half = stats.t.ppf(0.975, n - 1) * by[name].sem()
            means[low], means[high] = means[name] - half, means[name] + half
    # What a measure needs may be missing from some of the networks' photographs.
    means = means[by["estimate"].count() == n].reset_index()
    means = means.assign(network=f"mean of {n} seeds", trained=True, n=n, unit="networks")
    return pd.concat([table, means], ignore_index=True)


def gate_table(shown: xr.Dataset, *, seed: int) -> pd.DataFrame:
    """Return the published gate statistic: mean and deviation over photographs, t and d_z.

    Returns
    -------
    pandas.DataFrame
        Rows ``attended``, ``unattended``: ``estimate`` with ``low``, ``high``, and ``sd``; row
        ``d_z`` of the difference, with ``t``; ``n`` photographs that have pixels of both kinds.
    """
    gate = shown["gate_published"].dropna("stimulus")
    values = {name: gate.sel(attention=name).values for name in ("attended", "unattended")}
    rows = []
    for name, sample in values.items():
        mean = bootstrap(sample, seed=seed)
        rows.append(
            {
                "measure": name, "estimate": mean.estimate, "low": mean.low, "high": mean.high,
                "sd": float(sample.std(ddof=1)), "n": mean.n,
            }
        )  # fmt: skip
    effect = paired_effect(values["unattended"], values["attended"], seed=seed)
    rows.append(
        {
            "measure": "d_z", "estimate": effect.d_z, "low": effect.low, "high": effect.high,
            "t": effect.d_z * np.sqrt(effect.n), "n": effect.n,
        }
    )  # fmt: skip
    return pd.DataFrame(rows)


def confusion(shown: xr.Dataset, classes: Mapping[int, str]) -> xr.DataArray:
    """Return how often each class was named for each attended one, counts (label, told)."""
    return confusion_matrix(attended_labels(shown), shown["prediction"].values, classes)


def category_tuning(
    shown: xr.Dataset, classes: Mapping[int, str], *, seed: int
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Ask of each channel which category it prefers, of the attended object and of the other.

    Returns
    -------
    units : pandas.DataFrame
        ``level``, ``channel``, ``object`` ("attended" or "other"), ``preferred``, ``d_prime``,
        ``held_out`` (see `attnsci.analysis.category_tuning.preferred_category`).
    levels : pandas.DataFrame
        ``level``, ``object``, mean ``held_out`` as ``estimate`` with ``low``, ``high`` over
        channels, ``n`` channels; or a ``note`` why there is none.
    """
    attended = shown["attended"].values
    labels = {
        "attended": attended_labels(shown),
        "other": np.take_along_axis(shown["label"].values, 1 - attended, 1),
    }
    units, levels = [], []
    for level in shown["level"].values:
        responses = shown[f"response_{level}"].rename({f"channel_{level}": "channel"})
        for role, label in labels.items():
            one = responses.assign_coords(label=(("stimulus", "phase"), label))
            one = one.reset_coords(drop=True).assign_coords(
                label=(("stimulus", "phase"), label),
                photograph=("stimulus", shown["image_id"].values),
            )
            flat = one.stack(shown=("stimulus", "phase"), create_index=False)
            row = {"level": int(level), "object": role}
            try:
                found = preferred_category(flat, groups="photograph", dim="shown", seed=seed)
            except InvalidInput as error:
                levels.append({**row, "note": str(error)})
                continue
            mean = bootstrap(found["held_out"].values, seed=seed)
            levels.append(
                {**row, "estimate": mean.estimate, "low": mean.low, "high": mean.high, "n": mean.n}
            )
            units.append(
                pd.DataFrame(
                    {
                        **row,
                        "channel": np.arange(mean.n),
                        "preferred": [classes[int(k)] for k in found["preferred"].values],
                        "d_prime": found["d_prime"].values,
                        "held_out": found["held_out"].values,
                    }
                )
            )
    table = pd.concat(units, ignore_index=True) if units else pd.DataFrame()
    columns = ["level", "object", "estimate", "low", "high", "n", "note"]
    return table, pd.DataFrame(levels).reindex(columns=columns)


def orientation_gain(bars: xr.Dataset, strength: float, *, seed: int) -> pd.DataFrame:
    """Return the gain of attention on orientation tuning, level by level.

    Parameters
    ----------
    bars : xarray.Dataset
        Of `show_bars`: the paper's protocol, in which attention, phase, side and inhibition go
        together.
    strength : float
        Of the gates.
    seed : int
        Of the bootstrap over channels.

    Returns
    -------
    pandas.DataFrame
        Of `attnsci.analysis.gain.gain_summary`.
    """
    levels = [str(name) for name in bars.data_vars if str(name).removeprefix("level_").isdigit()]
    gains = {}
    for name in levels:
        number = name.removeprefix("level_")
        cells = {f"{axis}_{number}": axis for axis in ("channel", "y", "x")}
        curves = bars[name].sel(statistic="mean", drop=True).rename(cells)
        gains[f"level {number}"] = unit_gain(
            curves.sel(attention="attended", drop=True),
            curves.sel(attention="unattended", drop=True),
        )
    return gain_summary(gains, seed=seed, input_gain=built_in_gain(strength))
