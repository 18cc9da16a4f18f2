"""Scores of classification: by hand, by brute force, with intervals that know their pairs."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from attnsci.analysis.classification import (
    any_order,
    balanced_accuracy,
    compare_answers,
    confusion_matrix,
    macro_f1,
)
from attnsci.errors import InvalidInput

answers = st.integers(1, 12).flatmap(
    lambda n: st.tuples(
        st.lists(st.integers(0, 4), min_size=n, max_size=n),
        st.lists(st.integers(0, 4), min_size=n, max_size=n),
    )
)


@settings(max_examples=200, deadline=None)
@given(answers)
def test_scores_equal_their_definitions_class_by_class(pair):
    labels, told = map(np.array, pair)
    counts = confusion_matrix(labels, told, dict(enumerate("abcde")))
    recalls, f1 = [], []
    for one in range(5):
        right = int(((labels == one) & (told == one)).sum())
        shown, said = int((labels == one).sum()), int((told == one).sum())
        assert int(counts[one].sum()) == shown and int(counts[:, one].sum()) == said
        if shown:
            recalls.append(right / shown)
        if shown or said:
            precision, recall = right / max(said, 1), right / max(shown, 1)
            f1.append(2 * precision * recall / (precision + recall) if right else 0.0)
    assert float(balanced_accuracy(counts)) == pytest.approx(np.mean(recalls))
    assert float(macro_f1(counts)) == pytest.approx(np.mean(f1))


def test_scores_of_many_tables_at_once_and_of_none():
    tables = np.array([[[8, 0], [1, 1]], [[0, 0], [0, 0]]])
    np.testing.assert_allclose(balanced_accuracy(tables), [0.75, np.nan])
    np.testing.assert_allclose(macro_f1(tables), [(16 / 17 + 2 / 3) / 2, np.nan])


def test_confusion_keeps_the_classes_own_numbers():
    counts = confusion_matrix([[18, 3]], [[3, 3]], {3: "car", 18: "dog"})
    assert counts.dims == ("label", "told")
    assert int(counts.sel(label="dog", told="car")) == 1 and int(counts.sum()) == 2
    with pytest.raises(InvalidInput, match=r"told holds \[4\]"):
        confusion_matrix([3], [4], {3: "car"})


@settings(max_examples=200, deadline=None)
@given(
    st.integers(1, 4).flatmap(
        lambda k: st.tuples(
            st.lists(st.integers(0, 3), min_size=k, max_size=k),
            st.lists(st.integers(0, 3), min_size=k, max_size=k),
        )
    )
)
def test_any_order_is_the_best_of_all_orders(pair):
    labels, told = pair
    best = max(
        sum(a == b for a, b in zip(labels, order, strict=True))
        for order in itertools.permutations(told)
    )
    ours = any_order([labels], [told])[0]
    assert sorted(ours) == sorted(told)
    assert int((ours == labels).sum()) == best


def test_leads_are_paired_by_stimulus():
    """A way that is right wherever another is, and once more, leads for certain."""
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 3, (60, 2))
    worse = np.where(rng.random((60, 2)) < 0.5, labels, (labels + 1) % 3)
    better = worse.copy()
    better[:6] = labels[:6]
    table = compare_answers({"a": (labels, better), "b": (labels, worse)}, 3, seed=1)
    rows = table.set_index(["condition", "measure"])
    assert (rows.loc["b", "lead_low"] > 0).all()
    assert rows.loc[("b", "accuracy"), "lead"] == pytest.approx((better != worse).mean())
    assert rows.loc["a", "lead"].isna().all() and (rows["n"] == 60).all()
    # Unpaired, the intervals overlap.
    assert rows.loc[("a", "accuracy"), "low"] < rows.loc[("b", "accuracy"), "high"]


def test_intervals_cover_what_they_should():
    """Right with probability 0.7, both objects of a stimulus together: n is the stimuli."""
    rng = np.random.default_rng(1)
    covered = 0
    for seed in range(40):
        labels = np.tile([[0, 1]], (80, 1))
        told = np.where(rng.random((80, 1)) < 0.7, labels, 1 - labels)
        table = compare_answers({"": (labels, told)}, 2, seed=seed, n_resamples=300)
        row = table.set_index("measure").loc["balanced_accuracy"]
        covered += row["low"] <= 0.7 <= row["high"]
    assert covered >= 34


def test_the_same_seed_gives_the_same_interval_and_order_of_stimuli_pairs_them():
    labels = [[0], [1], [0]]
    ways = {"a": (labels, [[0], [0], [0]]), "b": (labels, labels)}
    one, two = (compare_answers(ways, 2, seed=3) for _ in range(2))
    assert one.equals(two)


@pytest.mark.parametrize(
    ("ways", "said"),
    [
        ({"a": ([[0]], [[0]])}, "two or more; got 1"),
        ({"a": ([[0], [1]], [[0], [2]])}, "classes must be 0 … 1; got 0 to 2"),
        ({"a": ([[0], [1]], [[0]])}, "one shape"),
        ({"a": ([[0.0], [1.0]], [[0], [1]])}, "whole numbers"),
        ({}, "answers"),
    ],
)
def test_what_cannot_be_scored_is_refused(ways, said):
    with pytest.raises(InvalidInput, match=said):
        compare_answers(ways, 2, seed=0)
