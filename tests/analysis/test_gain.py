"""Gain: the tabled statistics of the published digit model, closed forms, honest intervals."""

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from attnsci.analysis import gain, scaling
from attnsci.errors import InvalidInput
from attnsci.statistics import plans as resampling

ANGLES = np.arange(20) * 9.0


def curves(n_channels=6, n_y=4, seed=0):
    rng = np.random.default_rng(seed)
    preference = rng.uniform(0, 180, (n_channels, n_y, 1))
    values = 2 + np.cos(2 * np.deg2rad(ANGLES - preference)) * rng.uniform(
        0.2, 1.5, preference.shape
    )
    return xr.DataArray(values, {"orientation_deg": ANGLES}, ("channel", "y", "orientation_deg"))


def reference(data_root, layer):
    path = data_root / "object-attention" / "reference_tuning_units.npz"
    if not path.exists():
        pytest.skip(f"the reference's tuning curves are not in {data_root}")
    stored = np.load(path)
    return tuple(
        xr.DataArray(
            stored[f"{name}_{layer}"],
            {"orientation_deg": stored["deg"]},
            ("channel", "orientation_deg"),
        )
        for name in ("att", "un")
    )


TABLE = {
    # value and the half of its last printed digit
    "conv1": {
        "ratio": (1.221, 5e-4),
        "modulation_index": (0.0994, 5e-5),
        "slope": (1.244, 5e-4),
        "intercept": (-0.016, 5e-4),
        "r": (0.993, 5e-4),
        "absolute_preference_shift_deg": (0.98, 5e-3),
        "selectivity_attended": (0.0725, 5e-5),
        "selectivity_unattended": (0.0708, 5e-5),
    },
    "conv2": {
        "ratio": (3.893, 5e-4),
        "modulation_index": (0.5913, 5e-5),
        "slope": (1.561, 5e-4),
        "intercept": (0.962, 5e-4),
        "r": (0.769, 5e-4),
        "absolute_preference_shift_deg": (6.48, 5e-3),
        "selectivity_attended": (0.318, 5e-4),
        "selectivity_unattended": (0.617, 5e-4),
    },
}
COUNTS = {"conv1": (17, 1, 2, 0), "conv2": (21, 26, 3, 0)}
FRACTIONS = {"conv1": (1.000, 0.588), "conv2": (0.952, 0.286)}


@pytest.mark.data
@pytest.mark.parametrize("layer", ["conv1", "conv2"])
def test_published_model_as_tabled(data_root, layer):
    result = gain.unit_gain(*reference(data_root, layer))
    states = ("active", "silent", "only_attended", "only_unattended")
    assert tuple(int(result[s].sum()) for s in states) == COUNTS[layer]
    table = gain.gain_summary({layer: result}, seed=0, n_resamples=200).set_index("statistic")
    for name, (value, tolerance) in TABLE[layer].items():
        row = table.loc[f"median_{name}"]
        assert row["estimate"] == pytest.approx(value, abs=1.001 * tolerance), name
        assert row["low"] <= row["estimate"] <= row["high"]
        assert row["n"] == COUNTS[layer][0]
    enhanced, same = FRACTIONS[layer]
    assert table.loc["fraction_enhanced", "estimate"] == pytest.approx(enhanced, abs=5.1e-4)
    assert table.loc["fraction_same_best_angle", "estimate"] == pytest.approx(same, abs=5.1e-4)


@pytest.mark.data
def test_published_units_by_name(data_root):
    first = gain.unit_gain(*reference(data_root, "conv1"))
    assert list(first["channel"].values[first["silent"]]) == [5]
    assert list(first["channel"].values[first["only_attended"]]) == [6, 15]
    second = gain.unit_gain(*reference(data_root, "conv2"))
    silent = "0 2 3 5 6 8 9 10 11 13 14 15 17 20 21 24 26 28 31 32 37 39 42 44 46 47"
    assert list(second["channel"].values[second["silent"]]) == [int(c) for c in silent.split()]
    assert list(second["channel"].values[second["only_attended"]]) == [12, 16, 35]
    weaker = second["active"] & ~second["enhanced"]
    assert list(second["channel"].values[weaker]) == [33]


@pytest.mark.data
def test_conv1_scales_and_conv2_shifts_its_threshold(data_root):
    layers = {name: gain.unit_gain(*reference(data_root, name)) for name in ("conv1", "conv2")}
    share = gain.gain_summary(layers, seed=0, input_gain=1.21, n_resamples=200).set_index(
        ["layer", "statistic"]
    )["estimate"]
    # Nothing of conv1's gain is left beside what the measured gates put in.
    assert share["conv1", "median_ratio_over_input_gain"] == pytest.approx(1.009, abs=5e-4)
    assert share["conv1", "fraction_thresholded_reversed"] == 0
    assert share["conv2", "fraction_thresholded_reversed"] == pytest.approx(12 / 21)
    # Noise on both axes hides a slope that least squares sees as 1.56.
    assert share["conv2", "median_tls_slope"] == pytest.approx(2.688, abs=1e-3)


def test_pure_scaling_closed_form():
    unattended = curves()
    result = gain.unit_gain(1.25 * unattended, unattended)
    assert result.sizes == {"unit": 24, "model": 4}
    np.testing.assert_allclose(result["ratio"], 1.25)
    np.testing.assert_allclose(result["modulation_index"], 1 / 9)
    for name in ("slope", "tls_slope", "tls_slope_low", "tls_slope_high"):
        np.testing.assert_allclose(result[name], 1.25, rtol=1e-6)
    np.testing.assert_allclose(result["intercept"], 0, atol=1e-12)
    np.testing.assert_allclose(result["preference_shift_deg"], 0, atol=1e-9)
    assert result["same_best_angle"].all()
    assert (result["best_model"] == scaling.MODELS.index("multiplicative")).all()
    assert (result["best_model_reversed"] == 0).all()
    np.testing.assert_array_equal(result["channel"], np.repeat(np.arange(6), 4))


def test_preference_shift_has_its_sign():
    unattended = curves()
    result = gain.unit_gain(unattended.roll(orientation_deg=2), unattended)
    np.testing.assert_allclose(result["preference_shift_deg"], 18)
    np.testing.assert_allclose(result["ratio"], 1)


@settings(deadline=None, max_examples=15)
@given(st.floats(1e-2, 1e3), st.permutations(range(6)))
def test_order_of_units_and_common_scale(scale, order):
    unattended = curves(n_y=1)
    attended = 1 + curves(n_y=1, seed=1)
    base = gain.unit_gain(attended, unattended)
    moved = gain.unit_gain(scale * attended[order], scale * unattended[order])
    for name in ("ratio", "modulation_index", "slope", "r", "tls_slope", "selectivity_attended"):
        np.testing.assert_allclose(moved[name], base[name][order], rtol=1e-6, err_msg=name)
    for name in ("intercept", "tls_intercept", "attended_mean"):
        np.testing.assert_allclose(moved[name], scale * base[name][order], rtol=1e-5)
    np.testing.assert_array_equal(moved["best_model"], base["best_model"][order])


def test_units_that_are_not_active_are_flagged():
    unattended = curves(4, 1)
    attended = 1.2 * unattended
    attended[1], unattended[2], attended[3], unattended[3] = 0, 0, 0, 0
    result = gain.unit_gain(attended, unattended)
    for state, expected in (
        ("active", [1, 0, 0, 0]),
        ("only_unattended", [0, 1, 0, 0]),
        ("only_attended", [0, 0, 1, 0]),
        ("silent", [0, 0, 0, 1]),
    ):
        np.testing.assert_array_equal(result[state], np.array(expected, bool))
    for flag, names in {
        "active": ["ratio", "modulation_index", "selectivity_attended"],
        "line_defined": ["slope", "r"],
        "tls_defined": ["tls_slope"],
        "shift_defined": ["preference_shift_deg"],
    }.items():
        for name in names:
            np.testing.assert_array_equal(np.isfinite(result[name]), result[flag], name)
    np.testing.assert_array_equal(result["best_model"], [0, -1, -1, -1])


def test_constant_curves_have_a_ratio_but_no_line():
    flat = xr.full_like(curves(3, 1), 2.0)
    result = gain.unit_gain(1.5 * flat, flat)
    np.testing.assert_allclose(result["ratio"], 1.5)
    assert not result["line_defined"].any()
    assert not result["shift_defined"].any()
    table = gain.gain_summary(result, seed=0, n_resamples=50).set_index("statistic")
    assert table.loc["median_ratio", "estimate"] == pytest.approx(1.5)
    slope = table.loc["median_slope"]
    assert (slope["n"], slope["n_excluded"]) == (0, 3)
    assert pd.isna(slope["estimate"])


def test_dask_and_numpy_agree():
    unattended = curves()
    attended = 1.3 * unattended + 0.2
    base = gain.unit_gain(attended, unattended)
    lazy = gain.unit_gain(attended.chunk(channel=4), unattended.chunk(channel=4))
    xr.testing.assert_allclose(base, lazy)


def test_summary_draws_channels():
    unattended = curves(8, 5)
    rng = np.random.default_rng(0)
    factor = xr.DataArray(1 + rng.uniform(0, 0.5, 8), dims="channel")
    result = gain.unit_gain(factor * unattended, unattended)
    table = gain.gain_summary(result, seed=3, n_resamples=300).set_index("statistic")
    row = table.loc["median_modulation_index"]
    expected = resampling.bootstrap_clusters(
        result["modulation_index"], result["channel"], seed=3, n_resamples=300
    )
    assert (row["estimate"], row["low"], row["high"]) == pytest.approx(
        (expected.estimate, expected.low, expected.high)
    )
    assert (row["n"], row["n_clusters"], row["n_excluded"]) == (40, 8, 0)
    # The test ranks eight channels, not forty units.
    assert row["p_value"] == pytest.approx(2 / 2**8)
    assert table["p_value"].notna().sum() == 1


def test_fractions_of_single_units_have_wilson_intervals():
    unattended = curves(9, 1)
    table = gain.gain_summary(gain.unit_gain(1.1 * unattended, unattended), seed=0, n_resamples=50)
    row = table.set_index("statistic").loc["fraction_enhanced"]
    expected = stats.binomtest(9, 9).proportion_ci(method="wilson")
    assert row["estimate"] == 1
    assert (row["low"], row["high"]) == pytest.approx((expected.low, 1))


def test_summary_corrects_over_layers():
    unattended = curves(7, 1)
    noise = np.random.default_rng(0).normal(0, 0.05, (7, 1, 1))
    layers = {
        "early": gain.unit_gain((1 + noise) * unattended, unattended),
        "late": gain.unit_gain(1.3 * unattended, unattended),
        "same": gain.unit_gain(unattended, unattended),
    }
    table = gain.gain_summary(layers, seed=0, n_resamples=50)
    rows = table[table["statistic"] == "median_modulation_index"].set_index("layer")
    p = stats.wilcoxon(layers["early"]["modulation_index"]).pvalue
    assert rows.loc["late", "p_adjusted"] == pytest.approx(2 * 2 / 2**7)
    assert rows.loc["early", "p_adjusted"] == pytest.approx(max(p, 4 / 2**7))
    # Attention that changes nothing has no ranks: a missing p, not a number.
    assert pd.isna(rows.loc["same", "p_value"])
    assert list(table.columns) == [
        *("layer", "statistic", "estimate", "low", "high", "n", "n_clusters", "n_excluded"),
        *("p_value", "p_adjusted"),
    ]


def test_layer_without_active_units_stays_in_the_table():
    silent = 0 * curves(3, 2)
    table = gain.gain_summary(gain.unit_gain(silent, silent), seed=0).set_index("statistic")
    assert table.loc["n_silent", "estimate"] == 6
    assert pd.isna(table.loc["median_ratio", "estimate"])
    assert table.loc["median_ratio", "n"] == 0


def test_built_in_gain_and_bounds():
    assert gain.built_in_gain(0.2) == pytest.approx(1.25)
    assert gain.gain_bound(0.2) == pytest.approx(1.5)
    assert gain.gate_gain(0.2, 0.11, 0.96) == pytest.approx(0.978 / 0.808)
    # The ideal gate is open on the object and closed elsewhere; the bound, wide open.
    assert gain.gate_gain(0.3, 0, 1) == pytest.approx(gain.built_in_gain(0.3))
    assert gain.gate_gain(0.3, -1, 1) == pytest.approx(gain.gain_bound(0.3))
    for bad in (-0.1, 1.0, np.nan):
        with pytest.raises(InvalidInput, match="strength"):
            gain.built_in_gain(bad)
        with pytest.raises(InvalidInput, match="strength"):
            gain.gain_bound(bad)
    with pytest.raises(InvalidInput, match="gate_unattended"):
        gain.gate_gain(0.2, 0, 1.5)


def test_published_neurons():
    assert [(g.area, g.gain, g.n) for g in gain.MCADAMS_MAUNSELL_1999] == [
        ("V4", 1.26, 262),
        ("V1", 1.08, 135),
    ]
    for published in gain.MCADAMS_MAUNSELL_1999:
        index = (published.gain - 1) / (published.gain + 1)
        assert published.modulation_index == round(index, 3)


def test_refusals():
    unattended = curves()
    with pytest.raises(InvalidInput, match="at least 0"):
        gain.unit_gain(unattended, unattended - 3)
    with pytest.raises(InvalidInput, match="attended holds 20 values that are NaN"):
        gain.unit_gain(unattended.where((unattended.channel > 0) | (unattended.y > 0)), unattended)
    two = unattended[..., [0, 5, 10, 15]].assign_coords(orientation_deg=[0.0, 90, 180, 270])
    with pytest.raises(InvalidInput, match="at least three angles"):
        gain.unit_gain(two, two)
    result = gain.unit_gain(unattended, unattended)
    with pytest.raises(InvalidInput, match="cluster must name"):
        gain.gain_summary(result, seed=0, cluster="area")
    with pytest.raises(InvalidInput, match="layers is empty"):
        gain.gain_summary({}, seed=0)
    with pytest.raises(InvalidInput, match="input_gain"):
        gain.gain_summary(result, seed=0, input_gain=0)


def test_a_summary_of_plain_arrays_is_refused():
    for layers, name in ((np.ones((3, 4)), "all"), ({"conv1": np.ones(3)}, "conv1")):
        with pytest.raises(InvalidInput, match=rf"layers\['{name}'\] must be an xarray object"):
            gain.gain_summary(layers, seed=0)
