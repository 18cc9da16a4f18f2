"""Gain fields: closed forms, planted fields and classes, null calibration, refusals."""

import numpy as np
import pytest
import xarray as xr

from attnsci.analysis import gaze_fields as fields
from attnsci.errors import InvalidInput

DIMS = ("stimulus", "glimpse", "unit")


def looked(n=300, glimpses=2, size=(40.0, 20.0), seed=0):
    rng = np.random.default_rng(seed)
    return xr.DataArray(
        rng.uniform(0, 1, (n, glimpses, 2)) * size,
        {"coordinate": ["x", "y"], "glimpse": np.arange(1, glimpses + 1)},
        ("stimulus", "glimpse", "coordinate"),
    )


def noise(n=300, glimpses=2, units=5, seed=1):
    values = np.random.default_rng(seed).normal(size=(n, glimpses, units))
    return xr.DataArray(values, {"glimpse": np.arange(1, glimpses + 1)}, DIMS)


def test_cells_of_an_oblong_image():
    gaze = xr.DataArray(
        [[0.0, 0.0], [39.9, 0.0], [40.0, 20.0], [11.0, 19.0], [40.1, 1.0], [-0.1, 1.0]],
        {"coordinate": ["x", "y"]}, ("stimulus", "coordinate"),
    )  # fmt: skip
    cells = fields.gaze_cells(gaze, (40, 20), n_bins=4)
    assert cells.values.tolist() == [0, 3, 15, 13, -1, -1]
    assert cells.dtype == np.int64


def test_a_map_is_brute_force():
    gaze, activity = looked(), noise()
    gaze[0, 0] = -5.0
    found = fields.gaze_map(activity.transpose("unit", ...), gaze, (40, 20), n_bins=3)
    x, y = (gaze.values[..., i] for i in (0, 1))
    for row in range(3):
        for column in range(3):
            member = (x // (40 / 3) == column) & (y // (20 / 3) == row) & (x >= 0)
            cell = found.isel(y=row, x=column)
            assert int(cell["count"]) == member.sum()
            np.testing.assert_allclose(cell["activity"], activity.values[member].mean(0))
    assert found.attrs["n_outside"] == 1 and int(found["count"].sum()) == 599
    np.testing.assert_allclose(found["x"], [40 / 6, 20, 200 / 6])
    np.testing.assert_allclose(found["y"], [20 / 6, 10, 100 / 6])


def test_a_cell_without_a_visit_is_counted_so():
    gaze = looked(50)
    gaze = gaze.where(gaze.coordinate != "x", gaze / 2)
    found = fields.gaze_map(noise(50), gaze, (40, 20), n_bins=2)
    assert (found["count"][:, 1] == 0).all() and np.isnan(found["activity"][:, 1]).all()
    assert np.isfinite(found["activity"][:, 0]).all()


def test_shares_are_those_of_an_analysis_of_variance():
    from scipy import stats

    rng = np.random.default_rng(3)
    label = xr.DataArray(rng.integers(0, 4, 120), dims="stimulus", name="label")
    activity = noise(120) + (label == 2) * xr.DataArray([0.0, 0.3, 1, 3, 0], dims="unit")
    found = fields.variance_explained(activity, label)
    assert found["share"].dims == ("glimpse", "unit")
    for unit in range(5):
        values = activity.isel(glimpse=1, unit=unit).values
        groups = [values[label.values == g] for g in range(4)]
        f = stats.f_oneway(*groups)
        cell = found.isel(glimpse=1, unit=unit)
        eta = sum(len(g) * (g.mean() - values.mean()) ** 2 for g in groups)
        eta /= ((values - values.mean()) ** 2).sum()
        assert float(cell["eta_squared"]) == pytest.approx(eta)
        assert float(cell["share"]) == pytest.approx(1 - (1 - eta) * 119 / 116)
        assert float(cell["p_value"]) == pytest.approx(f.pvalue)
    assert found["n"].values.tolist() == [120, 120] and found.attrs["by"] == "label"


def test_without_an_effect_the_share_is_zero_and_p_is_uniform():
    rng = np.random.default_rng(5)
    label = xr.DataArray(rng.integers(0, 10, 100), dims="stimulus")
    found = fields.variance_explained(noise(100, 1, 3000), label)
    assert float(found["eta_squared"].mean()) == pytest.approx(9 / 99, abs=0.003)
    assert float(found["share"].mean()) == pytest.approx(0, abs=0.003)
    assert float((found["p_value"] < 0.05).mean()) == pytest.approx(0.05, abs=0.012)


def test_gaze_and_class_are_told_apart():
    gaze = looked(800)
    label = xr.DataArray(np.arange(800) % 5, dims="stimulus")
    cells = fields.gaze_cells(gaze, (40, 20), n_bins=4)
    x = gaze.sel(coordinate="x", drop=True) / 40
    activity = xr.concat([x, (label == 3) + 0.2 * noise(800, 2, 1)[..., 0]], "unit")
    by_gaze = fields.variance_explained(activity, cells)
    by_class = fields.variance_explained(activity, label)
    # Of a uniform variable, four equal bins explain 1 − 1/16.
    np.testing.assert_allclose(by_gaze["share"].sel(unit=0), 15 / 16, atol=0.01)
    np.testing.assert_allclose(by_class["share"].sel(unit=0), 0, atol=0.02)
    np.testing.assert_allclose(by_gaze["share"].sel(unit=1), 0, atol=0.04)
    np.testing.assert_allclose(by_class["share"].sel(unit=1), 0.8, atol=0.02)


def test_stimuli_that_look_off_the_image_are_left_out():
    activity = noise(60, 1)
    by = xr.DataArray(np.arange(60) % 3 - 1, dims="stimulus")
    found = fields.variance_explained(activity, by)
    kept = fields.variance_explained(activity[by.values >= 0], by[by >= 0])
    np.testing.assert_allclose(found["share"], kept["share"])
    assert found["n"].item() == 40 and found["n_groups"].item() == 2


def test_a_constant_unit_is_said_to_be_one():
    activity = noise().copy()
    activity[..., 2] = 0.1
    label = xr.DataArray(np.arange(300) % 3, dims="stimulus")
    found = fields.variance_explained(activity, label)
    assert found["varies"].values.tolist() == [[True, True, False, True, True]] * 2
    assert (np.isnan(found["share"]) == ~found["varies"]).all()
    plane = fields.planar_gain(activity, looked(), n_resamples=50)
    assert plane["varies"].values.tolist() == [True, True, False, True, True]
    assert (np.isnan(plane["direction_deg"]) == ~plane["varies"]).all()


def test_a_plane_is_the_least_squares_one():
    gaze, activity = looked(), noise()
    found = fields.planar_gain(activity, gaze, n_resamples=50)
    design = np.column_stack([np.ones(600), gaze.values.reshape(-1, 2)])
    want, error = np.linalg.lstsq(design, activity.values.reshape(600, -1), rcond=None)[:2]
    np.testing.assert_allclose(found["slope"], want[1:], atol=1e-12)
    at_mean = want[0] + gaze.mean(("stimulus", "glimpse")).values @ want[1:]
    np.testing.assert_allclose(found["intercept"], at_mean, atol=1e-12)
    total = ((activity - activity.mean(("stimulus", "glimpse"))) ** 2).sum(("stimulus", "glimpse"))
    np.testing.assert_allclose(found["r_squared"], 1 - error / total.values)


def test_a_planted_plane_and_its_direction():
    gaze = looked()
    x, y = (gaze.sel(coordinate=c, drop=True) for c in "xy")
    planted = xr.concat([0.1 * x, -0.2 * y, 0.1 * x + 0.1 * y, 0 * x], "unit")
    found = fields.planar_gain(planted + noise(units=4), gaze, n_resamples=500)
    want = np.array([[0.1, 0, 0.1, 0], [0, -0.2, 0.1, 0]])
    assert ((found["low"] < want) & (want < found["high"])).all()
    np.testing.assert_allclose(found["slope"], want, atol=0.03)
    np.testing.assert_allclose(found["direction_deg"][:3], [0, -90, 45], atol=12)


def test_slopes_cover_zero_at_their_rate_though_glimpses_of_a_stimulus_agree():
    # Each stimulus looks at one place and has one activity: its 4 glimpses are one observation.
    rng = np.random.default_rng(8)
    gaze = looked(150, 1).isel(glimpse=[0] * 4)
    activity = xr.DataArray(rng.normal(size=(150, 1, 800)), dims=DIMS).isel(glimpse=[0] * 4)
    activity = activity.assign_coords(glimpse=gaze.glimpse)
    found = fields.planar_gain(activity, gaze, n_resamples=400)
    covered = ((found["low"] <= 0) & (found["high"] >= 0)).mean()
    assert float(covered) == pytest.approx(0.945, abs=0.02)


def test_class_tuning_by_hand_and_planted():
    label = xr.DataArray(np.repeat([3, 5, 8], [40, 20, 40]), dims="stimulus")
    planted = (label == 5) * xr.DataArray([3.0, 0, -1], dims="unit") + 1
    activity = planted.expand_dims(glimpse=2).transpose(*DIMS)
    found = fields.class_tuning(activity, label)
    assert found["mean"].sel({"class": 5}).values.tolist() == [[4, 1, 0]] * 2
    assert found["preferred"].values[0, 0] == 5
    # (4 − 1) / 5; no preference; the first of two equal classes against a mean of (8 + 0) / 12
    np.testing.assert_allclose(found["selectivity"][0], [0.6, 0, (1 - 2 / 3) / (1 + 2 / 3)])
    assert found["share"].values[0, 0] == pytest.approx(1)


def test_selectivity_of_noise_is_no_selectivity():
    label = xr.DataArray(np.arange(200) % 10, dims="stimulus")
    activity = np.abs(noise(200, 1, 800))
    found = fields.class_tuning(activity, label)
    # Of a quotient with a noisy denominator; the class chosen and measured at once gives 0.16.
    quotient_bias = -float(activity.var() / activity.mean() ** 2) / (4 * 10)
    assert float(found["selectivity"].mean()) == pytest.approx(quotient_bias, abs=0.004)


def test_a_silent_unit_has_no_selectivity():
    label = xr.DataArray(np.arange(20) % 2, dims="stimulus")
    found = fields.class_tuning(noise(20, 1) * [1, 1, 0, 1, 1], label)
    assert np.isnan(found["selectivity"]).values.tolist() == [[False, False, True, False, False]]


def test_refusals():
    gaze, activity = looked(), noise()
    label = xr.DataArray(np.arange(300) % 3, dims="stimulus")
    with pytest.raises(InvalidInput, match=r"not in \[−1, 1\]"):
        fields.gaze_map(activity, gaze - 100, 28)
    with pytest.raises(InvalidInput, match="size_px"):
        fields.gaze_map(activity, gaze, -28)
    with pytest.raises(InvalidInput, match="NaN"):
        fields.gaze_map(activity.where(activity > 0), gaze, 40)
    with pytest.raises(InvalidInput, match="NaN"):
        fields.gaze_map(activity, gaze.where(gaze > 3), 40)
    with pytest.raises(InvalidInput, match="sample"):
        fields.planar_gain(activity.expand_dims(sample=2), gaze)
    with pytest.raises(InvalidInput, match="hardly varies"):
        fields.planar_gain(activity, gaze * 0 + 14)
    with pytest.raises(InvalidInput, match="along a line"):
        fields.planar_gain(activity, gaze.isel(coordinate=[0, 0]).assign_coords(
            coordinate=["x", "y"]))  # fmt: skip
    with pytest.raises(InvalidInput, match="1 group"):
        fields.variance_explained(activity, label * 0)
    with pytest.raises(InvalidInput, match="model"):
        fields.variance_explained(activity, label.expand_dims(model=2))
    with pytest.raises(InvalidInput, match="Class 9 has one"):
        fields.class_tuning(activity, label.where(label.stimulus > 0, 9).astype(int))
    with pytest.raises(InvalidInput, match="label"):
        fields.class_tuning(activity, label[:5])
