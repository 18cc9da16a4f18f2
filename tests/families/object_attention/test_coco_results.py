"""The table of photographs: every row from its table, published numbers where they belong."""

import numpy as np
import pandas as pd
import pytest

from attnsci.families.object_attention.coco_experiments import CONTROLS, with_means_over_seeds
from attnsci.families.object_attention.coco_results import result_rows


def tables(networks):
    """Tables of networks, (name, trained here), whose numbers all differ."""
    rng = np.random.default_rng(0)

    def numbers(*names):
        return dict(zip(names, rng.random(len(names)).tolist(), strict=True))

    base = [
        {"network": name, "trained": trained, "min_area": 0.1, "n": 16}
        for name, trained in networks
    ]
    parts = {
        "scores": [
            {
                **one, "assignment": assignment, "condition": condition, "measure": measure,
                **numbers("estimate", "low", "high", "lead", "lead_low", "lead_high"),
            }
            for one in base
            for assignment in ("attended", "any order")
            for condition in ("network", *CONTROLS)
            for measure in ("balanced_accuracy", "macro_f1", "accuracy")
        ],
        "gates": [
            {**one, "measure": measure, **numbers("estimate", "low", "high", "sd", "t")}
            for one in base
            for measure in ("attended", "unattended", "d_z")
        ],
        "selection": [
            {**one, "measure": measure, "phase": phase, **numbers("estimate", "low", "high")}
            for one in base
            for measure in (
                "gate_selected", "gate_other_free", "iou_selected", "coverage_level_1",
                "coverage_level_4", "accuracy",
            )
            for phase in (1, 2)
        ],
    }  # fmt: skip
    made = {name: with_means_over_seeds(pd.DataFrame(rows)) for name, rows in parts.items()}
    made["category_levels"] = pd.DataFrame(
        {
            "level": [1, 2], "object": ["attended", "other"], "estimate": [0.4, np.nan],
            "low": [0.3, np.nan], "high": [0.5, np.nan], "n": [30, np.nan],
            "note": [np.nan, "too few"],
        }
    )  # fmt: skip
    made["orientation_gain"] = pd.DataFrame(
        {
            "layer": ["level 1"] * 2, "statistic": ["median_modulation_index", "median_slope"],
            "estimate": [0.1, 1.2], "low": [0.0, 1.0], "high": [0.2, 1.4],
            "n_clusters": [30, 30], "n": [5000, 5000], "n_excluded": [7, 7],
        }
    )  # fmt: skip
    return made


def test_rows_of_a_published_checkpoint():
    made = tables([("theirs", False)])
    rows = {row.quantity: row for row in result_rows(made)}
    scores = made["scores"].set_index(["assignment", "condition", "measure"])
    balanced = rows["balanced accuracy (theirs, objects > 10%)"]
    own = scores.loc[("attended", "network", "balanced_accuracy")]
    assert (balanced.ours, balanced.low, balanced.n) == (own["estimate"], own["low"], 16)
    assert (balanced.published, balanced.unit) == (".319 (val.)", "photographs")
    assert balanced.note == "all photographs of the file"
    lead = rows["lead in accuracy in any order over whole image (theirs, objects > 10%)"]
    free = scores.loc[("any order", "whole image", "accuracy")]
    assert (lead.ours, lead.high) == (free["lead"], free["lead_high"])
    assert lead.note.startswith(f"whole image: {free['estimate']:.3f} [")
    gates = made["gates"].set_index("measure")
    gap = rows["difference of the gates, d_z (theirs, objects > 10%)"]
    assert gap.ours == gates.loc["d_z", "estimate"] and "t = 50.7" in gap.published
    open_cells = "overlap of open cells and attended object (IoU), phase 2 (theirs, objects > 10%)"
    assert rows[open_cells].ours == pytest.approx(
        made["selection"].query("measure == 'iou_selected' and phase == 2")["estimate"].item()
    )
    assert len(rows) == 3 + 6 + 3 + 10 + 2 + 1
    few = rows["d′ for the preferred category of the other object, level 2"]
    assert np.isnan(few.ours) and few.note == "too few"
    tuning = rows["modulation of orientation tuning by attention (median index), level 1"]
    assert (tuning.ours, tuning.n, tuning.unit) == (0.1, 30, "channels")


def test_of_several_seeds_the_mean_stands_for_all():
    made = tables([("a", True), ("b", True), ("theirs", False)])
    rows = result_rows(made)
    names = {row.quantity.rpartition("(")[2].partition(",")[0] for row in rows[:44]}
    assert names == {"theirs", "mean of 2 seeds"}
    mean = {row.quantity: row for row in rows}["macro F1 (mean of 2 seeds, objects > 10%)"]
    scores = made["scores"]
    own = scores[
        scores["network"].isin(["a", "b"])
        & (scores["condition"] == "network")
        & (scores["measure"] == "macro_f1")
        & (scores["assignment"] == "attended")
    ]
    assert mean.ours == pytest.approx(own["estimate"].mean())
    assert (mean.n, mean.unit) == (2, "networks")
    assert mean.note == "on 16 photographs never trained on"
    assert len({row.quantity for row in rows}) == len(rows)
