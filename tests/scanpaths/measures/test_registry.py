"""What every registered metric must keep, as it declares it."""

import ast
import dataclasses
import inspect
import itertools
import textwrap

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from attnsci.errors import InvalidInput, UnknownName
from attnsci.scanpaths import similarity
from attnsci.scanpaths.measures.base import get_metric, registered
from attnsci.scanpaths.pairs import metrics

NAMES = sorted(registered())
NOT_REFLEXIVE = {"recurrence"}
"""Of what there is between two scanpaths it says how much; a scanpath with itself has less."""
IDENTICAL = {"mannan_index": 100.0}
LONGER_THAN_DECLARED = {
    "time_delay_embedding": 3,
    "string_time_delay_embedding": 3,
    "subsmatch": 3,
}
"""Metrics whose settings say how many fixations they need, with what their defaults say."""

durations = st.floats(0.05, 0.8)
paths = st.lists(st.tuples(st.floats(0, 799), st.floats(0, 599), durations), min_size=1, max_size=7)


def needed(name):
    return LONGER_THAN_DECLARED.get(name, get_metric(name).shortest)


@pytest.fixture(scope="module")
def table(ragged, scanpath_set, all_pairs):
    """Values (N, N, components) of every metric on the ragged scanpaths."""
    scanpaths = scanpath_set(ragged)
    return {name: all_pairs(scanpaths, name).reshape(12, 12, -1) for name in NAMES}


def test_the_metrics_of_the_specification_are_there():
    wanted = {
        "multimatch", "scanmatch", "edit_distance", "time_delay_embedding",
        "scaled_time_delay_embedding", "string_time_delay_embedding", "sequence_score",
        "longest_common_subsequence", "recurrence", "dtw", "frechet", "hausdorff",
        "directed_hausdorff", "mannan", "mannan_index", "eyenalysis", "fdiss", "subsmatch",
    }  # fmt: skip
    assert wanted <= set(NAMES)
    assert set(metrics().index) == set(NAMES)
    with pytest.raises(UnknownName, match="hausdorff"):
        get_metric("hausdorf")


@pytest.mark.parametrize("name", NAMES)
def test_declaration_is_complete(name):
    metric = get_metric(name)
    assert metric.name == name
    assert metric.orientation in ("similarity", "distance")
    assert metric.bounds[0] < metric.bounds[1]
    assert metric.durations in ("none", "optional", "required")
    assert metric.shortest >= 1
    for text in (metric.summary, metric.source):
        assert text and "\n" not in text and len(text) <= 100
    assert len(set(metric.components)) == len(metric.components)


@pytest.mark.parametrize("name", NAMES)
def test_settings_are_frozen_and_documented(name):
    cls = get_metric(name).settings
    assert dataclasses.is_dataclass(cls) and cls.__dataclass_params__.frozen
    body = ast.parse(textwrap.dedent(inspect.getsource(cls))).body[0].body
    below = {
        field.target.id
        for field, text in itertools.pairwise(body)
        if isinstance(field, ast.AnnAssign) and isinstance(text, ast.Expr)
    }
    for field in dataclasses.fields(cls):
        assert field.name in below or field.name in cls.__doc__, field.name


@pytest.mark.parametrize("name", NAMES)
def test_an_unknown_setting_is_named(name, toys):
    with pytest.raises(InvalidInput, match=f"{name} has no setting 'colour'"):
        similarity(toys, metric=name, colour="red")


@pytest.mark.parametrize("name", NAMES)
def test_symmetry_is_as_declared(name, table):
    values = table[name]
    if get_metric(name).symmetric:
        np.testing.assert_allclose(values, values.transpose(1, 0, 2), rtol=1e-12, atol=1e-12)
    else:
        assert (np.abs(values - values.transpose(1, 0, 2)) > 1e-6).any()


@pytest.mark.parametrize("name", NAMES)
def test_values_are_within_the_bounds(name, table):
    low, high = get_metric(name).bounds
    values = table[name][~np.isnan(table[name])]
    assert (values >= low - 1e-12).all() and (values <= high + 1e-12).all()
    assert np.ptp(values) > 0.05


@pytest.mark.parametrize("name", sorted(set(NAMES) - NOT_REFLEXIVE))
def test_a_scanpath_is_like_nothing_more_than_itself(name, table, ragged):
    metric, values = get_metric(name), table[name]
    own = values[np.arange(12), np.arange(12)]
    defined = np.array([len(path) for path in ragged]) >= needed(name)
    if metric.orientation == "distance":
        np.testing.assert_allclose(own[defined], 0, atol=1e-12)
    elif np.isfinite(metric.bounds[1]):
        np.testing.assert_allclose(own[defined], IDENTICAL.get(name, 1.0), rtol=1e-12)
    else:
        assert (values <= np.nextafter(own[:, None], np.inf))[defined].all()


@pytest.mark.parametrize("name", NAMES)
def test_a_pair_has_no_value_where_one_is_too_short(name, table, ragged):
    lengths = np.array([len(path) for path in ragged])
    shorter = np.minimum(lengths[:, None], lengths)
    missing = np.isnan(table[name]).all(2)
    assert missing[shorter < needed(name)].all()
    assert not missing[shorter >= needed(name)].any()


@pytest.mark.parametrize("name", NAMES)
def test_no_chunk_and_no_company_changes_a_value(name, table, ragged, scanpath_set, all_pairs):
    for chunk in (1, 5, 1024):
        found = all_pairs(scanpath_set(ragged), name, chunk).reshape(12, 12, -1)
        np.testing.assert_allclose(found, table[name], rtol=1e-12, atol=1e-13)
    order = np.random.default_rng(0).permutation(12)
    found = all_pairs(scanpath_set([ragged[i] for i in order]), name).reshape(12, 12, -1)
    np.testing.assert_allclose(found, table[name][order][:, order], rtol=1e-12, atol=1e-13)
    for i, j in ((4, 8), (9, 3), (1, 1)):
        pair = all_pairs(scanpath_set([ragged[i], ragged[j]]), name).reshape(2, 2, -1)
        np.testing.assert_allclose(pair[0, 1], table[name][i, j], rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize("name", NAMES)
def test_empty_scanpaths_have_no_value_and_an_empty_set_none(name, scanpath_set, ragged):
    with pytest.warns(UserWarning, match="3 of 4 pairs"):
        found = similarity(scanpath_set([[], ragged[7]]), metric=name).values
    assert np.isnan(found[0]).all() and np.isnan(found[1, 0]).all()
    assert not np.isnan(found[1, 1]).any()
    none = scanpath_set([ragged[7]]).isel(scanpath=slice(0, 0))
    assert similarity(none, metric=name).shape[:2] == (0, 0)


@settings(max_examples=40, deadline=None)
@given(a=paths, b=paths)
def test_any_two_scanpaths(scanpath_set, all_pairs, a, b):
    scanpaths = scanpath_set([a, b])
    for name in NAMES:
        metric = get_metric(name)
        values = all_pairs(scanpaths, name).reshape(2, 2, -1)
        if min(len(a), len(b)) < needed(name):
            assert np.isnan(values[0, 1]).all()
            continue
        given_values = values[~np.isnan(values)]
        assert np.isnan(values).any() <= (name == "recurrence")
        low, high = metric.bounds
        assert (given_values >= low - 1e-9).all() and (given_values <= high + 1e-9).all()
        if metric.symmetric:
            np.testing.assert_allclose(values[0, 1], values[1, 0], rtol=1e-9, atol=1e-9)
