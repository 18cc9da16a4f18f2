"""The table "published | reference code | ours" of the digit experiments."""

import numpy as np
import pandas as pd

from attnsci.analysis.gain import MCADAMS_MAUNSELL_1999
from attnsci.papers.output import Result

PUBLISHED_BY_WEIGHT = {0.0: 0.948606, 10.0: 0.880111, 100.0: 0.963994, 1e3: 0.976278, 1e4: 0.966989}
"""Validation accuracy by Φ, mean of five networks after ten epochs (the paper's figure)."""

# measure of `summarise`, phase, what it is, published, reference code run on full MNIST's test set
_MEASURED = (
    (
        "accuracy",
        0,
        "accuracy, attended digit named",
        ".976 (val., mean of 5), .981 (best)",
        ".9804",
    ),
    ("accuracy", 1, "accuracy in phase 1", "", ".9797"),
    ("accuracy", 2, "accuracy in phase 2", "", ".9810"),
    ("all_correct", 0, "both digits right", "", ".9613"),
    ("all_named", 0, "both digits named, in any order", "", ".9613"),
    ("gate_published_attended", 0, "mean gate on attended pixels", ".1126", ".1116"),
    ("gate_published_unattended", 0, "mean gate on unattended pixels", ".9071", ".9070"),
    ("gate_selected", 1, "gate on the selected digit, phase 1", "", ".1184"),
    ("gate_other", 1, "gate on the other digit, phase 1", "", ".9640"),
    ("gate_background", 1, "gate on the background, phase 1", "", ".8999"),
    ("gate_other_free", 2, "gate on the other digit where not forced, phase 2", "", ".819"),
    ("iou_selected", 1, "overlap (IoU) of open gate and digit, phase 1", "", ".757"),
    ("iou_selected", 2, "overlap (IoU) of open gate and digit, phase 2", "", ".748"),
    ("coverage_level_1", 2, "pixels inhibited after phase 2", "", ".310"),
    ("coverage_level_2", 2, "features inhibited after phase 2", "", ".713"),
)
_ABLATED = {
    "no inhibition of return": ".5393",
    "inhibition on pixels only": ".5400",
    "inhibition on features only": ".9723",
    "feature gate off": ".5413",
    "pixel gate off": ".5527",
    "1 step (feed-forward)": ".4943",
    "2 steps": ".6180",
    "3 steps": ".9610",
}
_GAIN = {
    ("slope", "level 1, as published"): "1.222",
    ("slope", "level 2, as published"): "1.440",
    ("ratio", "level 1, as published"): "1.099",
    ("ratio", "level 2, as published"): "2.542",
}


def result_rows(tables: dict[str, pd.DataFrame]) -> list[Result]:
    """Turn the tables of a run into the rows of ``results.md``."""
    main = tables["main"]["network"].iloc[0]
    selection = tables["selection"]
    rows = []
    for measure, phase, quantity, published, reference in _MEASURED:
        of_main = selection[selection["network"] == main]
        found = of_main[(of_main["measure"] == measure) & (of_main["phase"] == phase)]
        rows += [_measured(row, quantity, published, reference) for row in found.itertuples()]
    rows += _across_networks(selection)
    rows += _order(tables["order"])
    effect = tables["effect"].iloc[0]
    rows.append(
        Result(
            "gate, unattended − attended: d_z", "22.7", "22.7", *_interval(effect), int(effect["n"])
        )
    )
    for row in tables["gain"].itertuples():
        rows.append(
            Result(
                f"gain of units (median {row.statistic}), {row.label}",
                "",
                _GAIN.get((str(row.statistic), str(row.label)), ""),
                row.estimate,
                row.low,
                row.high,
                int(row.n),
                "channels",
                str(row.note),
            )
        )
    rows += [
        Result(
            f"gain of neurons (median ratio), macaque {row.area}",
            f"{row.gain:g}",
            "",
            np.nan,
            note=f"for comparison: McAdams & Maunsell 1999, {row.n} neurons",
        )
        for row in MCADAMS_MAUNSELL_1999
    ]
    rows += _invariance(tables["invariance"])
    ablations = tables["ablations"]
    for row in ablations[ablations["condition"] != "none"].itertuples():
        rows.append(
            Result(
                f"accuracy, {row.condition}",
                "",
                _ABLATED.get(str(row.condition), ""),
                row.accuracy,
                n=int(row.n),
                note=f"change {row.difference:+.3f} [{row.low:+.3f}, {row.high:+.3f}]",
            )
        )
    for row in tables["cues"].itertuples():
        side = ("left", "right")[int(row.template_slot)]
        rows.append(
            Result(
                f"other digit attended after the template of the {side} one",
                "",
                (".098", "1.000")[int(row.template_slot)],
                row.other_first,
                row.low,
                row.high,
                int(row.n),
            )
        )
    rows += _weights(tables["phi"])
    return rows


def _invariance(invariance: pd.DataFrame) -> list[Result]:
    rows = []
    # Signed turns cancel; the table on disk has them beside the absolute ones shown here.
    shown = invariance[invariance["quantity"] != "preference_shift_deg"]
    for row in shown.itertuples():
        if row.note:
            rows.append(Result(f"invariance, {row.protocol}", "", "", np.nan, note=str(row.note)))
            continue
        verdict = "equivalent" if row.equivalent else "not shown to be equivalent"
        rows.append(
            Result(
                f"{str(row.quantity).replace('_', ' ')}, {row.protocol}",
                "“invariant”",
                "",
                row.estimate,
                row.low,
                row.high,
                int(row.n_clusters),
                "channels",
                f"{verdict} within [{row.lower_bound:.3g}, {row.upper_bound:.3g}]; 90 % interval, "
                f"{row.n_excluded} units without a bell left out",
            )
        )
    return rows


def _interval(row: pd.Series) -> tuple[float, float, float]:
    return float(row["estimate"]), float(row["low"]), float(row["high"])


def _measured(row: object, quantity: str, published: str, reference: str) -> Result:
    values = row._asdict()  # type: ignore[attr-defined]
    return Result(
        quantity,
        published,
        reference,
        values["estimate"],
        values["low"],
        values["high"],
        values["n"],
    )


def _across_networks(selection: pd.DataFrame) -> list[Result]:
    """Accuracy of every network, and of the three-digit one the share of scenes all right."""
    rows = []
    accuracy = selection.query("measure == 'accuracy' and phase == 0")
    pairs = accuracy[accuracy["n_objects"] == 2]
    if len(pairs) > 1:
        # Three networks give no trustworthy interval: their range is shown.
        rows.append(
            Result(
                "accuracy, mean over networks",
                ".976 (val., 5 networks)",
                "",
                float(pairs["estimate"].mean()),
                float(pairs["estimate"].min()),
                float(pairs["estimate"].max()),
                len(pairs),
                "networks",
                "range in place of an interval: "
                + ", ".join(f"{value:.4f}" for value in pairs["estimate"]),
            )
        )
    triples = selection.query("n_objects == 3 and phase == 0")
    for measure, quantity, reference in (
        ("accuracy", "three digits: accuracy", ".968, .967"),
        ("all_correct", "three digits: all right", ".906, .904"),
    ):
        found = triples[triples["measure"] == measure]
        rows += [_measured(row, quantity, "", reference) for row in found.itertuples()]
    return rows


def _order(order: pd.DataFrame) -> list[Result]:
    left = order.query("slot == 0")
    return [
        Result(
            f"left digit attended first ({row.network})",
            "",
            "0" if row.n_objects == 2 else "",
            row.first,
            row.low,
            row.high,
            int(row.n),
            note="object-based attention would follow the object, not the side",
        )
        for row in left.itertuples()
    ]


def _weights(phi: pd.DataFrame) -> list[Result]:
    rows = []
    for row in phi[phi["measure"] == "correct"].itertuples():
        weight = float(row.reconstruction_weight)
        rows.append(
            Result(
                f"accuracy at Φ = {weight:g}",
                f"{PUBLISHED_BY_WEIGHT[weight]:.4f} (val.)"
                if weight in PUBLISHED_BY_WEIGHT
                else "",
                "",
                row.estimate,
                row.low,
                row.high,
                int(row.n),
                "networks",
                f"trained for {row.training_steps} steps on bundled digits, not 10 epochs of MNIST",
            )
        )
    return rows
