"""Experiments on photographs: scores by hand, controls by what they are, means over seeds."""

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from attnsci.data.coco import load_coco_pairs
from attnsci.data.coco_scenes import CocoScenes
from attnsci.families.object_attention import coco_experiments as experiments

CLASSES = {0: "animal", 1: "person", 2: "food"}


def shown_by_hand():
    """Four photographs: labels, which object each phase attended, and what was read."""
    label = np.array([[0, 1], [0, 0], [1, 2], [1, 0]])
    attended = np.array([[0, 1], [1, 0], [1, 0], [0, 1]])
    read = np.array([[0, 1], [0, 1], [1, 2], [1, 1]])
    meant = np.array([[0, 1], [0, 0], [2, 1], [1, 0]])
    dims = ("control", "stimulus", "phase")
    return xr.Dataset(
        {
            "label": (("stimulus", "object"), label),
            "attended": (("stimulus", "phase"), attended),
            "prediction": (("stimulus", "phase"), read),
            "meant": (dims, np.stack([meant] * 3)),
            "told": (dims, np.stack([np.zeros_like(meant), meant, np.ones_like(meant)])),
            "gate_published": (
                ("stimulus", "attention"),
                np.array([[0.2, 0.9], [0.4, 0.8], [0.3, 1.0], [np.nan, 0.9]]),
            ),
        },
        {
            "control": list(experiments.CONTROLS),
            "attention": ["attended", "unattended"],
            "stimulus": np.arange(4),
        },
    )


def test_answers_are_held_against_the_attended_objects_and_against_any():
    shown = shown_by_hand()
    np.testing.assert_array_equal(
        experiments.attended_labels(shown), [[0, 1], [0, 0], [2, 1], [1, 0]]
    )
    scores = experiments.score_table(shown, 3, seed=0)
    value = scores.set_index(["assignment", "condition", "measure"])["estimate"]
    # attended: 0 right of 0: 2 of 4; of 1: 2 of 3 … by hand: (0→0, 0→0, 0→1, 0→1), 1→1, 1→2, 1→1
    assert value["attended", "network", "accuracy"] == pytest.approx(4 / 8)
    assert value["attended", "network", "balanced_accuracy"] == pytest.approx(
        (2 / 4 + 2 / 3 + 0) / 3
    )
    # In any order the third photograph, read 1 and 2 where 2 and 1 were attended, is right.
    assert value["any order", "network", "accuracy"] == pytest.approx(6 / 8)
    assert value["attended", "whole image", "accuracy"] == 1
    assert value["attended", "strength 0", "balanced_accuracy"] == pytest.approx(1 / 3)
    assert value["attended", "majority", "accuracy"] == pytest.approx(3 / 8)
    lead = scores.set_index(["assignment", "condition", "measure"])["lead"]
    assert lead["attended", "majority", "accuracy"] == pytest.approx(1 / 8)
    assert (scores["n"] == 4).all()


def test_gates_as_published_of_photographs_with_both_kinds_of_pixels():
    table = experiments.gate_table(shown_by_hand(), seed=0).set_index("measure")
    assert (table["n"] == 3).all()
    assert table.loc["attended", "estimate"] == pytest.approx(0.3)
    assert table.loc["unattended", "sd"] == pytest.approx(0.1)
    gap = np.array([0.7, 0.4, 0.7])
    d_z = gap.mean() / gap.std(ddof=1)
    assert table.loc["d_z", "estimate"] == pytest.approx(d_z)
    assert table.loc["d_z", "t"] == pytest.approx(d_z * np.sqrt(3))


def seeds_table(values, trained=(True, True, True)):
    rows = [
        {
            "network": f"net {number}", "trained": ours, "min_area": area,
            "assignment": "attended", "condition": "network", "measure": "accuracy",
            "estimate": value + area, "low": 0.0, "high": 1.0,
            "lead": 2 * value, "lead_low": 0.0, "lead_high": 1.0, "n": 20,
        }
        for number, (value, ours) in enumerate(zip(values, trained, strict=True))
        for area in (0.1, 0.05)
    ]  # fmt: skip
    return pd.DataFrame(rows)


def test_means_over_seeds_have_students_interval():
    table = experiments.with_means_over_seeds(seeds_table([0.1, 0.2, 0.4]))
    assert (table["unit"][:6] == "photographs").all() and len(table) == 8
    mean = table[table["unit"] == "networks"].set_index("min_area").loc[0.05]
    assert mean["network"] == "mean of 3 seeds" and mean["n"] == 3 and mean["trained"]
    centre = np.mean([0.1, 0.2, 0.4])
    # 4.302653 is the 97.5 % point of t with two degrees of freedom.
    half = 4.302653 * np.std([0.1, 0.2, 0.4], ddof=1) / np.sqrt(3)
    assert mean["estimate"] == pytest.approx(centre + 0.05)
    assert mean["low"] == pytest.approx(centre + 0.05 - half)
    assert mean["lead"] == pytest.approx(2 * centre)
    assert mean["lead_high"] == pytest.approx(2 * centre + 2 * half)


def test_networks_from_elsewhere_and_lone_ones_have_no_mean():
    published = experiments.with_means_over_seeds(seeds_table([0.1, 0.2, 0.4], (True, True, False)))
    mean = published[published["unit"] == "networks"]
    assert mean["network"].unique().tolist() == ["mean of 2 seeds"]
    assert mean["estimate"].tolist() == pytest.approx([0.25, 0.2])
    lone = experiments.with_means_over_seeds(seeds_table([0.1, 0.2, 0.4], (True, False, False)))
    assert (lone["unit"] == "photographs").all()
    lacking = seeds_table([0.1, 0.2, 0.4]).iloc[:-1]  # the last network lacks a rule
    found = experiments.with_means_over_seeds(lacking)
    assert found[found["unit"] == "networks"]["min_area"].tolist() == [0.1]


def test_confusion_counts_phases():
    counts = experiments.confusion(shown_by_hand(), CLASSES)
    assert counts.sel(label="animal").values.tolist() == [2, 2, 0]
    assert counts.sel(label="person").values.tolist() == [0, 2, 1]
    assert counts.sel(label="food").values.tolist() == [0, 1, 0]


@pytest.mark.parametrize("tuned_to", ["attended", "other"])
def test_channels_tuned_to_one_object_are_found_to_be(tuned_to):
    rng = np.random.default_rng(0)
    label = rng.integers(0, 3, (120, 2))
    attended = np.stack([one := rng.integers(0, 2, 120), 1 - one], 1)
    seen = attended if tuned_to == "attended" else 1 - attended
    preferred = rng.integers(0, 3, 30)
    driven = np.take_along_axis(label, seen, 1)[..., None] == preferred
    shown = xr.Dataset(
        {
            "label": (("stimulus", "object"), label),
            "attended": (("stimulus", "phase"), attended),
            "response_1": (
                ("stimulus", "phase", "channel_1"), 2 * driven + rng.normal(size=driven.shape)
            ),
            "image_id": ("stimulus", np.arange(120)),
        },
        {"level": [1], "stimulus": np.arange(120), "phase": [1, 2]},
    )  # fmt: skip
    units, levels = experiments.category_tuning(shown, CLASSES, seed=0)
    d_prime = levels.set_index("object")["estimate"]
    other = {"attended": "other", "other": "attended"}[tuned_to]
    assert d_prime[tuned_to] == pytest.approx(2, abs=0.2) and abs(d_prime[other]) < 0.3
    own = units[units["object"] == tuned_to]
    assert own["preferred"].tolist() == [CLASSES[number] for number in preferred]
    assert (levels["n"] == 30).all() and levels["note"].isna().all()

    few, said = experiments.category_tuning(shown.isel(stimulus=slice(0, 4)), CLASSES, seed=0)
    assert few.empty and said["estimate"].isna().all()
    assert said["note"].str.contains("No category has 10 stimuli").all()


def test_gain_of_orientation_tuning_level_by_level():
    rng = np.random.default_rng(0)
    angles = np.arange(0, 180, 18)
    curves = (
        1 + rng.random((6, 2, 2, 1)) * np.cos(np.deg2rad(2 * angles)) + rng.random((6, 2, 2, 1))
    )

    def level(number, gain):
        both = np.stack([gain * curves, curves])  # attention, channel, y, x, orientation
        dims = ("attention", f"channel_{number}", f"y_{number}", f"x_{number}", "orientation_deg")
        mean = xr.DataArray(both, {"attention": ["attended", "unattended"]}, dims)
        return xr.concat([mean * 2, mean], xr.Variable("statistic", ["max", "mean"]))

    bars = xr.Dataset(
        {"level_1": level(1, 1.0), "level_2": level(2, 1.5), "level_2_by_phase": level(2, 9.0)}
    ).assign_coords(orientation_deg=angles)
    table = experiments.orientation_gain(bars, 0.3, seed=0)
    index = table[table["statistic"] == "median_modulation_index"].set_index("layer")["estimate"]
    assert index.to_dict() == pytest.approx({"level 1": 0.0, "level 2": 0.2}, abs=1e-9)


def test_controls_are_what_they_say(lively, photographs):
    pairs = load_coco_pairs(*photographs, size=76)
    model = lively()
    shown = experiments.show_photographs(model, CocoScenes(pairs), 1000, 1, progress="")
    assert shown.sizes["stimulus"] == 24
    np.testing.assert_array_equal(shown["image_id"], pairs.image_id)
    np.testing.assert_array_equal(shown["label"], pairs.labels)
    told = {name: shown["told"].sel(control=name).values for name in experiments.CONTROLS}
    meant = experiments.attended_labels(shown)
    # Without gates both phases name what is likeliest at first sight.
    np.testing.assert_array_equal(told["strength 0"], shown["at_once"].values[:, [0, 0]])
    assert (told["majority"] == 1).all()
    whole = np.sort(told["whole image"], 1)
    np.testing.assert_array_equal(whole, np.sort(shown["at_once"], 1))
    np.testing.assert_array_equal(shown["meant"].sel(control="majority"), meant)
    few = experiments.show_photographs(model, CocoScenes(pairs), 5, 1, progress="")
    assert few["image_id"].values.tolist() == pairs.image_id[few["stimulus"].values].tolist()
    assert few.sizes["stimulus"] == 5
