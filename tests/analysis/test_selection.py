"""Scores of selection against brute force, scipy and statsmodels, on constructed choices."""

import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy.optimize import linear_sum_assignment
from scipy.stats import binomtest
from statsmodels.stats.contingency_tables import mcnemar as statsmodels_mcnemar
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.proportion import proportion_confint

from attnsci.analysis.selection import (
    MAX_OBJECTS,
    compare_conditions,
    convergence,
    order_bias,
    scene_scores,
    summarise,
)
from attnsci.errors import InvalidInput

REGIONS = ["selected", "other"]


def shown_scenes(label, prediction, attended, nearest=None, squared_error=None, iou=None):
    """Return a dataset as showing scenes gives it, with the choices that a test wants."""
    label, prediction, attended = map(np.asarray, (label, prediction, attended))
    n, n_objects, n_phases = *label.shape, prediction.shape[1]
    cells = (n, n_phases, n_objects)
    rng = np.random.default_rng(0)
    return xr.Dataset(
        {
            "label": (("stimulus", "object"), label),
            "prediction": (("stimulus", "phase"), prediction),
            "attended": (("stimulus", "phase"), attended),
            "nearest": (("stimulus", "phase"), attended if nearest is None else nearest),
            "squared_error": (
                ("stimulus", "phase", "object"),
                rng.random(cells) if squared_error is None else squared_error,
            ),
            "iou": (("stimulus", "phase", "object"), rng.random(cells) if iou is None else iou),
            "gate": (("stimulus", "phase", "region"), rng.random((n, n_phases, 2))),
            "gate_published": (("stimulus", "attention"), rng.random((n, 2))),
            "coverage": (("stimulus", "phase", "level"), rng.random((n, n_phases, 2))),
        },
        coords={
            "stimulus": np.arange(n),
            "phase": np.arange(1, n_phases + 1),
            "object": np.arange(n_objects),
            "level": [1, 2],
            "region": REGIONS,
            "attention": ["attended", "unattended"],
        },
    )


def random_scenes(seed, n, n_objects=2):
    rng = np.random.default_rng(seed)
    attended = np.argsort(rng.random((n, n_objects)), axis=1)
    label = rng.integers(0, 10, (n, n_objects))
    read = np.take_along_axis(label, attended, 1)
    wrong = rng.random(read.shape) < 0.3
    return shown_scenes(label, np.where(wrong, (read + 1) % 10, read), attended)


def test_scores_of_three_scenes_worked_out_by_hand():
    shown = shown_scenes(
        label=[[1, 2], [3, 3], [4, 5]],
        # read as attended; one of two equal labels missed; both named, phases exchanged
        prediction=[[2, 1], [3, 7], [4, 5]],
        attended=[[1, 0], [0, 1], [1, 0]],
        nearest=[[1, 1], [0, 1], [1, 0]],
        iou=[[[0.1, 0.7], [0.6, 0.2]], [[0.8, 0.0], [0.3, 0.5]], [[0.4, 0.9], [1.0, 0.3]]],
    )
    scores = scene_scores(shown)
    assert scores["correct"].values.tolist() == [[True, True], [True, False], [False, False]]
    assert scores["all_correct"].values.tolist() == [True, False, False]
    assert scores["multiset"].values.tolist() == [1, 0.5, 1]
    assert scores["all_named"].values.tolist() == [True, False, True]
    # Scene 0 came back to the object of phase 1; the first phase has nothing to repeat.
    assert scores["repeated"].values.tolist() == [[False, True], [False, False], [False, False]]
    assert scores["iou_selected"].values.tolist() == [[0.7, 0.6], [0.8, 0.5], [0.9, 1.0]]
    assert scores["iou_other"].values.tolist() == [[0.1, 0.2], [0.0, 0.3], [0.4, 0.3]]
    # By overlap scene 2 attends 1 then 0, as it did: both answers are on the wrong object.
    assert scores["matched_by_iou"].values.tolist() == [1, 0.5, 0]


labels = st.integers(0, 4)


@settings(max_examples=60, deadline=None)
@given(data=st.data(), n_objects=st.integers(1, 4), n_phases=st.integers(1, 4))
def test_multiset_ignores_the_order_of_answers_and_counts_each_label_once(
    data, n_objects, n_phases
):
    label = data.draw(hnp.arrays(np.int64, (3, n_objects), elements=labels))
    prediction = data.draw(hnp.arrays(np.int64, (3, n_phases), elements=labels))
    order = data.draw(st.permutations(range(n_phases)))
    attended = np.zeros((3, n_phases), np.int64)
    straight = scene_scores(shown_scenes(label, prediction, attended))["multiset"].values
    exchanged = scene_scores(shown_scenes(label, prediction[:, order], attended))
    assert (exchanged["multiset"].values == straight).all()
    for row, share in enumerate(straight):
        left = label[row].tolist()
        for answer in prediction[row].tolist():
            if answer in left:
                left.remove(answer)
        assert share == pytest.approx(1 - len(left) / n_objects)


@settings(max_examples=60, deadline=None)
@given(
    data=st.data(),
    n_objects=st.integers(1, 5),
    n_phases=st.integers(1, 5),
    seed=st.integers(0, 2**32 - 1),
)
def test_matching_is_scipys_linear_sum_assignment(data, n_objects, n_phases, seed):
    n_phases = min(n_phases, n_objects)
    rng = np.random.default_rng(seed)
    cost, iou = rng.random((2, 4, n_phases, n_objects))
    label = data.draw(hnp.arrays(np.int64, (4, n_objects), elements=labels))
    prediction = data.draw(hnp.arrays(np.int64, (4, n_phases), elements=labels))
    attended = np.zeros((4, n_phases), np.int64)
    shown = shown_scenes(label, prediction, attended, squared_error=cost, iou=iou)
    scores = scene_scores(shown)
    for name, table in (("matched_by_error", cost), ("matched_by_iou", -iou)):
        for scene in range(4):
            phases, objects = linear_sum_assignment(table[scene])
            share = (prediction[scene, phases] == label[scene, objects]).mean()
            assert scores[name].values[scene] == pytest.approx(share)


def test_matching_is_left_out_where_phases_outnumber_objects():
    shown = shown_scenes([[3], [4]], [[3, 3], [1, 4]], [[0, 0], [0, 0]])
    scores = scene_scores(shown)
    assert "matched_by_error" not in scores
    assert scores["multiset"].values.tolist() == [1, 1]
    assert "matched_by_iou" not in set(summarise(shown)["measure"])


def test_too_many_objects_to_match_are_refused():
    n = MAX_OBJECTS + 1
    shown = shown_scenes(*np.zeros((3, 2, n), np.int64))
    with pytest.raises(InvalidInput, match=f"At most {MAX_OBJECTS} objects.*got {n}"):
        scene_scores(shown)


def test_repeats_are_looked_for_in_all_earlier_phases():
    shown = shown_scenes(
        label=[[1, 2, 3]],
        prediction=[[1, 2, 3]],
        attended=[[0, 1, 2]],
        nearest=[[2, 1, 0]],
    )
    assert scene_scores(shown)["repeated"].values.tolist() == [[False, False, True]]


@pytest.mark.parametrize("score", [scene_scores, order_bias, summarise])
def test_no_scenes_are_refused(score):
    with pytest.raises(InvalidInput, match="empty"):
        score(random_scenes(0, 3).isel(stimulus=slice(0)))


@pytest.mark.parametrize("dim", ["stimulus", "phase", "object"])
def test_missing_dimensions_are_named(dim):
    with pytest.raises(InvalidInput, match=f"lacks the dimension.*{dim}"):
        scene_scores(random_scenes(0, 3).isel({dim: 0}))


def test_summary_has_every_measure_once_with_its_interval_and_n():
    shown = random_scenes(1, 50)
    table = summarise(shown)
    assert not table.duplicated(["measure", "phase"]).any()
    rounding = 1e-12
    assert (table["low"] <= table["estimate"] + rounding).all()
    assert (table["estimate"] <= table["high"] + rounding).all()
    assert (table["n"] == 50).all()
    rows = table.set_index(["measure", "phase"])
    scores = scene_scores(shown)
    assert rows.loc[("accuracy", 0), "estimate"] == pytest.approx(float(scores["correct"].mean()))
    right = int(scores["correct"].sel(phase=2).sum())
    low, high = proportion_confint(right, 50, method="wilson")
    second = rows.loc[("accuracy", 2)]
    assert second[["estimate", "low", "high"]].tolist() == pytest.approx([right / 50, low, high])
    assert rows.loc[("gate_other", 1), "estimate"] == pytest.approx(
        float(shown["gate"].sel(phase=1, region="other").mean())
    )
    assert rows.loc[("coverage_level_2", 2), "estimate"] == pytest.approx(
        float(shown["coverage"].sel(phase=2, level=2).mean())
    )
    assert rows.loc[("gate_published_unattended", 0), "estimate"] == pytest.approx(
        float(shown["gate_published"].sel(attention="unattended").mean())
    )


def test_a_region_that_a_scene_lacks_is_left_out_and_counted():
    shown = random_scenes(2, 20)
    gate = shown["gate"].values
    gate[:5, 0, 1] = np.nan
    gate[:, 1, 1] = np.nan
    rows = summarise(shown).set_index(["measure", "phase"])
    assert rows.loc[("gate_other", 1), "n"] == 15
    assert rows.loc[("gate_other", 1), "estimate"] == pytest.approx(gate[5:, 0, 1].mean())
    assert ("gate_other", 2) not in rows.index
    assert not rows[["estimate", "low", "high"]].isna().any(axis=None)


@pytest.mark.parametrize(
    ("first", "shares", "entropy"),
    [
        ([1] * 8, [0, 1], 0.0),
        ([0, 1] * 4, [0.5, 0.5], 1.0),
        ([0, 0, 0, 1] * 2, [0.75, 0.25], 2 - 0.75 * np.log2(3)),
        ([0, 1, 2] * 3, [1 / 3] * 3, np.log2(3)),
    ],
)
def test_order_bias_shares_entropy_and_exact_binomial(first, shares, entropy):
    n_objects = len(shares)
    attended = (np.array(first)[:, None] + np.arange(n_objects)) % n_objects
    labels = np.zeros_like(attended)
    table = order_bias(shown_scenes(labels, labels, attended))
    assert table["slot"].tolist() == list(range(n_objects))
    assert table["first"].tolist() == pytest.approx(shares)
    assert table["entropy_bits"].tolist() == pytest.approx([entropy] * n_objects)
    for slot, p_value in enumerate(table["p_value"]):
        expected = binomtest(first.count(slot), len(first), 1 / n_objects).pvalue
        assert p_value == pytest.approx(expected)
    low, high = proportion_confint(first.count(0), len(first), method="wilson")
    assert table.loc[0, ["low", "high"]].tolist() == pytest.approx([low, high])
    assert (table["n"] == len(first)).all()


def test_a_lone_object_has_no_order_to_be_biased():
    zeros = np.zeros((4, 1), np.int64)
    table = order_bias(shown_scenes(zeros, zeros, zeros))
    assert table[["first", "p_value", "entropy_bits"]].values.tolist() == [[1.0, 1.0, 0.0]]


def test_conditions_by_mcnemar_holm_and_paired_differences():
    baseline = random_scenes(3, 120)
    conditions = {f"condition {seed}": random_scenes(seed, 120) for seed in (4, 5)}
    # A condition that is wrong everywhere, and one that changes nothing.
    conditions["blind"] = baseline.assign(prediction=baseline["prediction"] * 0 - 1)
    conditions["same"] = baseline.copy()
    table = compare_conditions(baseline, conditions)
    assert table["condition"].tolist() == ["none", *conditions]
    assert table.loc[0, ["difference", "low", "high"]].tolist() == [0, 0, 0]
    assert table.loc[0, ["p_value", "p_holm"]].isna().all()
    reference = scene_scores(baseline)["all_correct"].values
    p_values = []
    for row, shown in zip(table.itertuples(), [baseline, *conditions.values()], strict=True):
        scores = scene_scores(shown)
        right = scores["all_correct"].values
        assert row.accuracy == pytest.approx(float(scores["correct"].mean()))
        assert row.phase_2 == pytest.approx(float(scores["correct"].sel(phase=2).mean()))
        assert row.all_correct == right.mean()
        assert row.left_first == (shown["attended"][:, 0] == 0).mean()
        assert row.difference == pytest.approx(row.accuracy - table.accuracy[0])
        assert row.low <= row.difference <= row.high
        assert row.n == 120
        only = (right & ~reference).sum(), (~right & reference).sum()
        p_values.append(
            statsmodels_mcnemar([[0, only[0]], [only[1], 0]]).pvalue if any(only) else 1
        )
    assert table["p_value"][1:].tolist() == pytest.approx(p_values[1:])
    assert p_values[3] < 1e-6
    assert table["p_value"][4] == 1
    holm = multipletests(p_values[1:], method="holm")[1]
    assert table["p_holm"][1:].tolist() == pytest.approx(holm.tolist())


def test_repeats_of_a_condition_are_those_of_the_last_phase():
    baseline = random_scenes(6, 10)
    stuck = baseline.copy()
    stuck["nearest"] = baseline["attended"].isel(phase=[0, 0]).assign_coords(phase=[1, 2])
    table = compare_conditions(baseline, {"stuck": stuck})
    assert table["repeated"].tolist() == [0, 1]


def test_a_baseline_alone_is_a_table_of_one_row():
    table = compare_conditions(random_scenes(7, 10), {})
    assert table["condition"].tolist() == ["none"]
    assert table[["p_value", "p_holm"]].isna().all(axis=None)


def test_conditions_on_other_scenes_are_refused():
    baseline = random_scenes(8, 10)
    moved = baseline.assign_coords(stimulus=np.arange(10) + 1)
    with pytest.raises(InvalidInput, match="'later' was shown other scenes"):
        compare_conditions(baseline, {"later": moved})


def test_convergence_is_the_root_mean_square_change_between_steps():
    rng = np.random.default_rng(0)
    gate = rng.normal(size=(3, 2, 5, 4, 6, 7))
    dims = ("stimulus", "phase", "step", "channel", "y", "x")
    moved = convergence(xr.DataArray(gate, dims=dims, coords={"step": np.arange(1, 6)}))
    assert moved.dims == ("stimulus", "phase", "step")
    assert moved["step"].values.tolist() == [2, 3, 4, 5]
    change = gate[:, :, 1:] - gate[:, :, :-1]
    np.testing.assert_allclose(moved, np.sqrt((change**2).mean((3, 4, 5))))


def test_convergence_without_steps_is_refused():
    with pytest.raises(InvalidInput, match="step"):
        convergence(xr.DataArray(np.zeros((2, 3)), dims=("y", "x")))
