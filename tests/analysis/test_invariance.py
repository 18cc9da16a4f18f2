"""Invariance: equivalence where curves only scale, none where they move, widen or rise."""

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from attnsci.analysis import fits, gain, invariance, tuning
from attnsci.errors import InvalidInput
from attnsci.statistics import effects

ANGLES = np.arange(20) * 9.0
N = 30


def bells(shift=0.0, widen=1.0, lift=0.0, amplitude=1.0, n_y=1):
    """Curves (channel, y, T) of N channels with a little noise that differs from call to call."""
    rng = np.random.default_rng(0)
    preference = rng.uniform(0, 180, (N, n_y, 1))
    kappa = rng.uniform(1, 4, (N, n_y, 1)) / widen**2
    noise = np.random.default_rng(int(1e3 * (np.max(shift) + widen + lift + amplitude)))
    values = 1 + lift + amplitude * fits.von_mises(ANGLES - preference - shift, kappa)
    values = values + noise.normal(0, 0.003, values.shape)
    return xr.DataArray(values, {"orientation_deg": ANGLES}, ("channel", "y", "orientation_deg"))


def table(attended, **settings):
    fitted = fits.fit_curves(attended), fits.fit_curves(bells())
    return invariance.invariance_table(*fitted, seed=0, n_resamples=300, **settings).set_index(
        "quantity"
    )


def test_pure_scaling_is_equivalent():
    # Amplitude is free to change: the baseline must not.
    result = table(bells(amplitude=1.25))
    assert result["equivalent"].all()
    assert (result["n_clusters"] == N).all()
    assert (result["n_excluded"] == 0).all()
    assert result.loc["log_width_ratio", "upper_bound"] == pytest.approx(np.log(1.1))
    assert pd.isna(result.loc["absolute_preference_shift_deg", "p_value"])


@pytest.mark.parametrize(
    ("change", "fails", "estimate"),
    [
        ({"lift": 0.2}, {"baseline_change"}, 0.2),
        ({"shift": 8.0}, {"preference_shift_deg", "absolute_preference_shift_deg"}, 8),
        # Turns that cancel: the mean passes, and only the size of the turns tells.
        (
            {"shift": np.resize([20.0, -20], N)[:, None, None]},
            {"absolute_preference_shift_deg", "preference_shift_deg"},
            None,
        ),
    ],
)
def test_each_change_is_found_where_it_is(change, fails, estimate):
    result = table(bells(**change))
    assert set(result.index[~result["equivalent"].astype(bool)]) == fails
    if estimate is not None:
        assert result.loc[sorted(fails)[0], "estimate"] == pytest.approx(estimate, rel=0.05)


def test_cancelling_turns_pass_the_mean_only():
    small = np.resize([7.0, -7], N)[:, None, None]
    result = table(bells(shift=small))
    assert result.loc["preference_shift_deg", "equivalent"]
    assert not result.loc["absolute_preference_shift_deg", "equivalent"]
    assert result.loc["absolute_preference_shift_deg", "estimate"] == pytest.approx(7, rel=0.05)
    wide = table(bells(shift=small), bounds=invariance.InvarianceBounds(preference_deg=9))
    assert wide["equivalent"].all()


def test_width_is_found_and_is_a_log_ratio():
    result = table(bells(widen=1.3))
    assert not result.loc["log_width_ratio", "equivalent"]
    before, after = (fits.fit_curves(b)["half_width_deg"] for b in (bells(), bells(widen=1.3)))
    ratio = np.log(after / before).values.ravel()
    assert result.loc["log_width_ratio", "estimate"] == pytest.approx(ratio.mean())
    bound = np.log(1.1)
    expected = effects.tost_paired(ratio, 0 * ratio, -bound, bound)
    assert result.loc["log_width_ratio", "low"] == pytest.approx(expected.low)
    assert result.loc["log_width_ratio", "p_value"] == pytest.approx(expected.p_value)


def test_positions_of_a_channel_are_one_observation():
    attended, unattended = bells(amplitude=1.2, n_y=3), bells(n_y=3)
    result = invariance.invariance_table(
        fits.fit_curves(attended), fits.fit_curves(unattended), seed=0, n_resamples=50
    )
    assert (result["n_clusters"] == N).all()
    assert (result["n_units"] == 3 * N).all()


def test_failed_fits_are_counted():
    attended = bells(amplitude=1.2)
    attended[3], attended[4] = 0.0, 2.0
    result = table(attended)
    assert (result["n_excluded"] == 2).all()
    assert (result["n_units"] == N - 2).all()
    with pytest.raises(InvalidInput, match="at least three clusters"):
        table(0 * attended)


def test_refusals():
    fitted = fits.fit_curves(bells())
    with pytest.raises(InvalidInput, match="Not a result of fit_curves"):
        invariance.invariance_table(fitted[["amplitude"]], fitted, seed=0)
    with pytest.raises(InvalidInput, match="fits of the same units"):
        invariance.invariance_table(fitted.isel(channel=slice(1, None)), fitted, seed=0)
    with pytest.raises(InvalidInput, match="cluster must name"):
        invariance.invariance_table(fitted, fitted, seed=0, cluster="area")
    for bad in ({"width_ratio": 1.0}, {"baseline": 0}, {"preference_deg": -5}):
        with pytest.raises(InvalidInput):
            invariance.InvarianceBounds(**bad)


def test_similarity_against_shuffles_by_hand():
    rng = np.random.default_rng(0)
    attended, unattended = (
        xr.DataArray(rng.random((4, 10)), dims=("channel", "orientation_deg")) for _ in range(2)
    )
    result = invariance.curve_similarity(attended, unattended, seed=5, n_shuffles=60)
    orders = np.random.default_rng(5).permuted(np.tile(np.arange(10), (60, 1)), axis=1)
    for unit in range(4):
        a, u = attended.values[unit], unattended.values[unit]
        shuffled = [np.corrcoef(a[order], u)[0, 1] for order in orders]
        r = np.corrcoef(a, u)[0, 1]
        assert float(result["r"][unit]) == pytest.approx(r)
        assert float(result["shuffled_high"][unit]) == pytest.approx(np.quantile(shuffled, 0.95))
        assert float(result["p_value"][unit]) == pytest.approx((1 + sum(shuffled >= r)) / 61)


def test_similarity_of_scaled_flat_and_ceilinged_curves():
    unattended = bells().squeeze("y")
    attended = 1.25 * unattended
    attended[2] = 1.0
    ceiling = xr.DataArray(np.full(N, 0.8), dims="channel")
    ceiling[4] = np.nan
    result = invariance.curve_similarity(attended, unattended, seed=0, ceiling=ceiling)
    assert list(np.flatnonzero(~result["defined"])) == [2]
    assert np.isnan(result["p_value"][2])
    np.testing.assert_allclose(result["r"][3], 1)
    np.testing.assert_allclose(result["r_over_ceiling"][3], 1.25)
    assert np.isnan(result["r_over_ceiling"][4])
    with pytest.raises(InvalidInput, match="ceiling must be of the same"):
        invariance.curve_similarity(attended, unattended, seed=0, ceiling=ceiling[:5])


def test_the_whole_way_from_responses():
    """Responses of noisy units → curves, gain, ceiling, similarity, invariance."""
    rng = np.random.default_rng(0)
    angles = np.tile(ANGLES, 12)
    signal = 1 + fits.von_mises(angles[:, None] - rng.uniform(0, 180, 25), np.array(2.0))
    coords = {"orientation_deg": ("stimulus", angles)}
    unattended, attended = (
        xr.DataArray(
            g * signal + rng.normal(0, 0.05, signal.shape), coords, ("stimulus", "channel")
        ).clip(0)
        for g in (1, 1.25)
    )
    pair = tuning.tuning_curves(attended), tuning.tuning_curves(unattended)
    ceiling = tuning.split_half_ceiling(unattended, seed=0, n_splits=5)["ceiling"]
    similarity = invariance.curve_similarity(*pair, seed=0, ceiling=ceiling)
    assert float(similarity["r_over_ceiling"].median()) == pytest.approx(1, abs=0.01)
    summary = gain.gain_summary(gain.unit_gain(*pair), seed=0, n_resamples=100)
    row = summary.set_index("statistic").loc["median_tls_slope"]
    assert row["low"] <= 1.25 <= row["high"]
