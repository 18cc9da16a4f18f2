"""The table "published | reference code | ours" of the photograph half."""

from collections.abc import Mapping

import numpy as np
import pandas as pd

from attnsci.families.object_attention.coco_experiments import CONTROLS
from attnsci.papers.output import Result

# measure: the paper's or its repository's number; its checkpoint on 98 pairs of a COCO subset
_SCORES = {
    "balanced_accuracy": ("balanced accuracy", ".319 (val.)", ".453 [.283, .509]"),
    "macro_f1": ("macro F1", ".233 (val.)", ".282 [.200, .351]"),
    "accuracy": ("accuracy", "", ".337 [.265, .413]"),
}
_GATES = {
    "attended": ("gate on attended pixels", ".625 ± .139 (n = 822)", ".603 ± .128"),
    "unattended": ("gate on unattended pixels", ".897 ± .036 (n = 822)", ".896 ± .038"),
    "d_z": ("difference of the gates, d_z", "1.77 (t = 50.7)", "2.04 [1.79, 2.37]"),
}
_SELECTION = (
    ("gate_selected", "gate on the attended object"),
    ("gate_other_free", "gate on the other object, less what inhibition forces"),
    ("iou_selected", "overlap of open cells and attended object (IoU)"),
    ("coverage_level_1", "share of pixels inhibited"),
    ("coverage_level_4", "share of cells of level 4 inhibited"),
)


def result_rows(tables: Mapping[str, pd.DataFrame]) -> list[Result]:
    """Return the rows of results.md.

    Parameters
    ----------
    tables : mapping of str to pandas.DataFrame
        ``scores``, ``gates``, ``selection`` (of `with_means_over_seeds`), ``category_levels`` and
        ``orientation_gain``. Of networks with a mean over seeds only the mean has rows.

    Returns
    -------
    list of Result
        "Reference code" is the published checkpoint on the 98 pairs of a public subset of COCO,
        some of which it was trained on.
    """
    rows: list[Result] = []
    scores = tables["scores"]
    several = (scores["unit"] == "networks").any()
    named = scores[~(scores["trained"] & (scores["unit"] == "photographs") & several)]
    for network, area in named[["network", "min_area"]].drop_duplicates().itertuples(index=False):
        where = f"{network}, objects > {area:.0%}"
        own = {
            name: tables[name][
                (tables[name]["network"] == network) & (tables[name]["min_area"] == area)
            ]
            for name in ("scores", "gates", "selection")
        }
        rows += _scores(own["scores"], where, _seen(scores, own["scores"], area))
        rows += _gates(own["gates"], where) + _selection(own["selection"], where)
    return rows + _categories(tables["category_levels"]) + _gain(tables["orientation_gain"])


def _seen(scores: pd.DataFrame, own: pd.DataFrame, area: float) -> str:
    """Return which photographs scores are of."""
    if not own["trained"].all():
        return "all photographs of the file"
    shown = scores[(scores["unit"] == "photographs") & scores["trained"]]
    n = shown[shown["min_area"] == area]["n"].max()
    return f"on {int(n)} photographs never trained on"


def _scores(scores: pd.DataFrame, where: str, seen: str) -> list[Result]:
    """Return the network's scores, and how far it leads its controls."""
    rows = []
    same = scores.set_index(["measure", "assignment", "condition"]).sort_index()
    for measure, (title, published, reference) in _SCORES.items():
        own = same.loc[(measure, "attended", "network")]
        rows.append(
            Result(
                f"{title} ({where})", published, reference,
                own["estimate"], own["low"], own["high"], int(own["n"]), own["unit"], seen,
            )
        )  # fmt: skip
    for measure, assignment, order in (
        ("balanced_accuracy", "attended", ""),
        ("accuracy", "any order", " in any order"),
    ):
        for control in CONTROLS:
            row = same.loc[(measure, assignment, control)]
            rows.append(
                Result(
                    f"lead in {_SCORES[measure][0]}{order} over {control} ({where})", "", "",
                    row["lead"], row["lead_low"], row["lead_high"], int(row["n"]), row["unit"],
                    f"{control}: {row['estimate']:.3f} [{row['low']:.3f}, {row['high']:.3f}]",
                )
            )  # fmt: skip
    return rows


def _gates(gates: pd.DataFrame, where: str) -> list[Result]:
    rows = []
    for row in gates.itertuples():
        title, published, reference = _GATES[str(row.measure)]
        notes = {"d_z": f"t = {row.t:.1f}"}
        note = notes.get(str(row.measure), f"± {row.sd:.3f} over photographs")
        rows.append(
            Result(
                f"{title} ({where})", published, reference, row.estimate, row.low, row.high,
                int(row.n), row.unit, note if row.unit == "photographs" else "",
            )
        )  # fmt: skip
    return rows


def _selection(selection: pd.DataFrame, where: str) -> list[Result]:
    return [
        Result(
            f"{title}, phase {row.phase} ({where})", "", "",
            row.estimate, row.low, row.high, int(row.n), row.unit,
        )
        for measure, title in _SELECTION
        for row in selection[selection["measure"] == measure].itertuples()
    ]  # fmt: skip


def _categories(levels: pd.DataFrame) -> list[Result]:
    rows = []
    for row in levels.itertuples():
        quantity = f"d′ for the preferred category of the {row.object} object, level {row.level}"
        if np.isnan(row.estimate):
            rows.append(Result(quantity, "", "", np.nan, note=str(row.note)))
            continue
        rows.append(
            Result(
                quantity, "", "", row.estimate, row.low, row.high, int(row.n), "channels",
                "chosen on one half of the photographs, measured on the other",
            )
        )  # fmt: skip
    return rows


def _gain(gain: pd.DataFrame) -> list[Result]:
    indices = gain[gain["statistic"] == "median_modulation_index"]
    return [
        Result(
            f"modulation of orientation tuning by attention (median index), {row.layer}",
            "curves without numbers or code", "",
            float(row.estimate), float(row.low), float(row.high), int(row.n_clusters), "channels",
            f"{int(row.n):,} units, {int(row.n_excluded):,} left out; phase, side and inhibition "
            "go together with attention",
        )
        for row in indices.itertuples()
    ]  # fmt: skip
