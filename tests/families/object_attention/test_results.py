"""Published numbers stand beside ours, and nothing is invented where there are none."""

import numpy as np
import pandas as pd
import pytest

from attnsci.families.object_attention.experiments import ABLATIONS
from attnsci.families.object_attention.results import PUBLISHED_BY_WEIGHT, result_rows

MEASURES = ("accuracy", "all_correct", "all_named", "iou_selected", "coverage_level_2")


def estimate(value, n=40, **more):
    return {"estimate": value, "low": value - 0.1, "high": value + 0.1, "n": n, **more}


def make_tables():
    selection = pd.DataFrame(
        estimate(value + 0.01 * phase, measure=measure, phase=phase, network=name, n_objects=n)
        for name, n, value in (("pair a", 2, 0.6), ("pair b", 2, 0.7), ("triple", 3, 0.5))
        for measure in MEASURES
        for phase in (0, 1, 2)
    )
    order = pd.DataFrame(
        {"network": name, "n_objects": n, "slot": slot, "first": share, "low": 0.0, "high": 1.0}
        | {"n": 40}
        for name, n in (("pair a", 2), ("triple", 3))
        for slot, share in enumerate((0.25, 0.75))
    )
    ablations = pd.DataFrame(
        {"condition": name, "accuracy": 0.5, "difference": -0.1, "low": -0.2, "high": 0.0, "n": 40}
        for name in ("none", *ABLATIONS)
    )
    cues = pd.DataFrame(
        {"template_slot": slot, "other_first": share, "low": 0.0, "high": 1.0, "n": 40}
        for slot, share in enumerate((0.1, 0.9))
    )
    phi = pd.DataFrame(
        estimate(0.8, n=5, measure=measure, reconstruction_weight=weight, training_steps=680)
        for weight in PUBLISHED_BY_WEIGHT
        for measure in ("correct", "iou_selected")
    )
    invariance = pd.DataFrame(
        [
            estimate(
                0.1,
                quantity="log_width_ratio",
                protocol="level 1, as published",
                equivalent=True,
                lower_bound=-0.22,
                upper_bound=0.22,
                n_clusters=12,
                n_excluded=3,
                note="",
            ),
            {"quantity": "tuning", "protocol": "level 2, as published", "note": "too few channels"},
        ]
    )
    gain = pd.DataFrame(
        [
            estimate(value, n=20, label="level 1, as published", note="n", statistic=statistic)
            for statistic, value in (("slope", 1.2), ("ratio", 1.1))
        ]
    )
    return {
        "main": pd.DataFrame({"network": ["pair b"]}),
        "selection": selection,
        "order": order,
        "effect": pd.DataFrame([estimate(20.0)]),
        "gain": gain,
        "invariance": invariance,
        "ablations": ablations,
        "cues": cues,
        "phi": phi,
    }


@pytest.fixture
def rows():
    return {row.quantity: row for row in result_rows(make_tables())}


def test_scores_are_those_of_the_main_network(rows):
    row = rows["accuracy in phase 2"]
    assert (row.ours, row.low, row.high) == pytest.approx((0.72, 0.62, 0.82))
    assert (row.n, row.reference_code) == (40, ".9810")
    assert rows["overlap (IoU) of open gate and digit, phase 1"].ours == pytest.approx(0.71)
    # A measure that was not taken has no row.
    assert "mean gate on attended pixels" not in rows


def test_networks_are_averaged_among_pairs_and_show_their_range(rows):
    row = rows["accuracy, mean over networks"]
    assert (row.ours, row.low, row.high, row.n) == pytest.approx((0.65, 0.6, 0.7, 2))
    assert row.unit == "networks"
    assert "range in place of an interval: 0.6000, 0.7000" in row.note
    assert rows["three digits: accuracy"].ours == pytest.approx(0.5)
    assert rows["three digits: all right"].reference_code == ".906, .904"


def test_order_is_reported_for_every_network(rows):
    assert rows["left digit attended first (pair a)"].reference_code == "0"
    assert rows["left digit attended first (triple)"].reference_code == ""
    assert rows["left digit attended first (pair a)"].ours == 0.25


def test_gain_says_which_statistic_and_stands_beside_cortex(rows):
    slope = rows["gain of units (median slope), level 1, as published"]
    ratio = rows["gain of units (median ratio), level 1, as published"]
    assert (slope.ours, slope.reference_code, slope.unit) == (1.2, "1.222", "channels")
    assert (ratio.ours, ratio.reference_code) == (1.1, "1.099")
    for area, gain, n in (("V4", "1.26", 262), ("V1", "1.08", 135)):
        row = rows[f"gain of neurons (median ratio), macaque {area}"]
        assert (row.published, row.reference_code, row.n) == (gain, "", 0)
        assert np.isnan(row.ours)
        assert row.note.endswith(f"McAdams & Maunsell 1999, {n} neurons")


def test_ablations_have_their_reference_where_the_same_thing_was_run(rows):
    assert rows["accuracy, no inhibition of return"].reference_code == ".5393"
    assert rows["accuracy, 2 steps"].reference_code == ".6180"
    assert rows["accuracy, threshold 0.9"].reference_code == ""
    assert rows["accuracy, 2 steps"].note == "change -0.100 [-0.200, +0.000]"
    assert "accuracy, none" not in rows


def test_invariance_is_a_verdict_within_bounds_or_a_reason(rows):
    tested = rows["log width ratio, level 1, as published"]
    assert tested.note.startswith("equivalent within [-0.22, 0.22]")
    assert (tested.n, tested.unit) == (12, "channels")
    untested = rows["invariance, level 2, as published"]
    assert np.isnan(untested.ours)
    assert untested.note == "too few channels"


def test_cues_effect_and_weights_stand_beside_what_was_published(rows):
    assert rows["other digit attended after the template of the left one"].reference_code == ".098"
    assert rows["other digit attended after the template of the right one"].ours == 0.9
    assert rows["gate, unattended − attended: d_z"].published == "22.7"
    for weight, published in PUBLISHED_BY_WEIGHT.items():
        row = rows[f"accuracy at Φ = {weight:g}"]
        assert row.published == f"{published:.4f} (val.)"
        assert (row.n, row.unit) == (5, "networks")
        assert "680 steps on bundled digits" in row.note


def test_an_unpublished_weight_has_no_published_number():
    tables = make_tables()
    tables["phi"] = tables["phi"].replace({"reconstruction_weight": {10.0: 30.0}})
    row = next(row for row in result_rows(tables) if row.quantity == "accuracy at Φ = 30")
    assert row.published == ""
