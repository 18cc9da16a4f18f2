"""What each glimpse brings: closed forms, planted gains, coverage, refusals."""

import numpy as np
import pytest
import xarray as xr

from attnsci.analysis import glimpses
from attnsci.errors import InvalidInput
from attnsci.statistics.significance import mcnemar, wilson

DIMS = ("stimulus", "glimpse", "class")


def sharpening(n=200, seed=0):
    """Logits that know nothing, then something, then nearly all."""
    rng = np.random.default_rng(seed)
    label = rng.integers(0, 4, n)
    signal = np.eye(4)[label][:, None] * [[0.0], [1.5], [9.0]]
    logits = signal + rng.normal(size=(n, 3, 4)) * [[0.0], [1], [1]]
    return (
        xr.DataArray(logits, {"glimpse": [1, 2, 3]}, DIMS),
        xr.DataArray(label, dims="stimulus"),
    )


def test_errors_by_hand():
    logits, label = sharpening()
    found = glimpses.error_by_glimpse(logits.transpose("class", ...), label)
    for t in range(3):
        wrong = int((logits.values[:, t].argmax(1) != label.values).sum())
        want = wilson(wrong, 200)
        assert float(found["error"][t]) == want.estimate
        assert float(found["low"][t]) == pytest.approx(want.low, abs=1e-15)
        assert float(found["high"][t]) == pytest.approx(want.high)
    assert found["error"][0] > 0.6 and found["error"][2] < 0.02
    assert found.attrs["chance"] == pytest.approx(1 - np.bincount(label).max() / 200)
    assert found["glimpse"].values.tolist() == [1, 2, 3]


def test_classes_have_names():
    logits = xr.DataArray([[3.0, 0, 1]], {"class": [7, 2, 5]}, ("stimulus", "class"))
    assert glimpses.right(logits, xr.DataArray([7], dims="stimulus")).values.tolist() == [True]
    assert glimpses.right(logits, xr.DataArray([2], dims="stimulus")).values.tolist() == [False]


def test_bits_are_those_of_the_probabilities():
    from scipy import stats
    from scipy.special import softmax

    logits, label = sharpening()
    found = glimpses.information_gain(logits, label, n_resamples=100)
    p = softmax(logits.values, -1)
    at = np.take_along_axis(p, label.values[:, None, None], 2)[..., 0]
    bits = found["bits"]
    np.testing.assert_allclose(bits.sel(measure="cross_entropy"), -np.log2(at).mean(0))
    want = stats.entropy(p, axis=-1, base=2).mean(0)
    np.testing.assert_allclose(bits.sel(measure="entropy"), want)
    # The first readout is uniform: two bits and no gain; gains add up to what is gone.
    np.testing.assert_allclose(bits[:, 0], 2)
    np.testing.assert_allclose(found["gain"][:, 0], 0, atol=1e-12)
    np.testing.assert_allclose(found["gain"].sum("glimpse"), 2 - bits[:, -1])
    assert (found["gain_low"][:, 2] > 0).all()
    assert ((found["low"] <= bits) & (bits <= found["high"])).all()
    assert found.attrs["prior_bits"] == 2 and found.attrs["n"] == 200


def test_confidence_without_knowledge():
    rng = np.random.default_rng(0)
    logits = rng.normal(size=(300, 2, 5)) * [[0.1], [6.0]]
    label = xr.DataArray(rng.integers(0, 5, 300), dims="stimulus")
    found = glimpses.information_gain(xr.DataArray(logits, dims=DIMS), label, n_resamples=200)
    assert found["gain_low"].sel(measure="entropy")[1] > 1
    assert found["gain_high"].sel(measure="cross_entropy")[1] < 0


def test_gains_are_paired_by_stimulus():
    # Every stimulus gains exactly one bit, however different they are.
    p = np.random.default_rng(0).uniform(0.1, 0.45, 50)
    logits = np.log(np.stack([[p, 1 - p], [2 * p, 1 - 2 * p]]).transpose(2, 0, 1))
    label = xr.DataArray(np.zeros(50, int), dims="stimulus")
    found = glimpses.information_gain(xr.DataArray(logits, dims=DIMS), label, n_resamples=100)
    second = found.sel(measure="cross_entropy").isel(glimpse=1)
    for name in ("gain", "gain_low", "gain_high"):
        assert float(second[name]) == pytest.approx(1)
    assert float(second["high"] - second["low"]) > 0.1


def test_huge_logits_are_sure_and_finite():
    logits = xr.DataArray([[[4000.0, 0, 0]], [[4000.0, 0, 0]]], dims=DIMS)
    found = glimpses.information_gain(logits, xr.DataArray([0, 0], dims="stimulus"), n_resamples=10)
    assert found["bits"].values.tolist() == [[0], [0]]


def places(xy):
    return xr.DataArray(
        xy, {"coordinate": ["x", "y"]}, ("stimulus", "glimpse", "coordinate")[-np.ndim(xy) :]
    )


def test_entropy_of_where_glimpses_fall():
    cells = np.array([[1, 1], [9, 1], [1, 9], [9, 9]], float)
    xy = np.stack([np.full((400, 2), 5.5), np.repeat(cells, 100, 0)], 1)
    found = glimpses.fixation_entropy(places(xy), 10, n_bins=2)
    np.testing.assert_allclose(found["plug_in"], [0, 2])
    np.testing.assert_allclose(found["bits"], [0, 2])
    assert found["low"].values.tolist() == [0, 2] and found.attrs["maximum"] == 2
    uneven = places(np.repeat(cells, [60, 20, 10, 10], 0)[:, None])
    found = glimpses.fixation_entropy(uneven, 10, n_bins=2)
    p = np.array([0.6, 0.2, 0.1, 0.1])
    want = -(p * np.log2(p)).sum()
    assert float(found["plug_in"][0]) == pytest.approx(want)
    assert float(found["bits"][0]) == pytest.approx(want + 3 / (200 * np.log(2)))
    error = np.sqrt(((p * np.log2(p) ** 2).sum() - want**2) / 100)
    assert float((found["bits"] - found["low"])[0]) == pytest.approx(1.959964 * error, rel=1e-5)


def test_entropy_is_unbiased_and_its_interval_covers():
    rng = np.random.default_rng(0)
    p = np.random.default_rng(1).dirichlet(np.full(16, 1.0))
    truth = -(p * np.log2(p)).sum()
    drawn = rng.choice(16, (200, 500), p=p)  # 200 stimuli, 500 experiments as glimpses
    xy = np.stack([drawn % 4 + 0.5, drawn // 4 + 0.5], -1)
    found = glimpses.fixation_entropy(places(xy), 4, n_bins=4)
    assert float(found["plug_in"].mean()) < truth - 0.03
    assert float(found["bits"].mean()) == pytest.approx(truth, abs=0.015)
    covered = ((found["low"] <= truth) & (truth <= found["high"])).mean()
    assert float(covered) == pytest.approx(0.95, abs=0.03)


def test_glimpses_off_the_image_count_at_its_edge():
    outside = places([[[-50.0, 3]], [[1.0, 3]], [[70.0, 3]]])
    found = glimpses.fixation_entropy(outside, 10, n_bins=2)
    p = np.array([2, 1]) / 3
    assert float(found["plug_in"][0]) == pytest.approx(-(p * np.log2(p)).sum())


def test_value_of_gaze_is_paired():
    rng = np.random.default_rng(0)
    own = rng.random((300, 2)) < [0.9, 0.6]
    swapped = own & (rng.random((300, 2)) < [0.8, 1.0])
    dims, coords = ("stimulus", "glimpse"), {"glimpse": [1, 2]}
    first, second = (xr.DataArray(v, coords, dims) for v in (own, swapped))
    found = glimpses.value_of_gaze(first, second.transpose("glimpse", "stimulus"))
    difference = own.mean(0) - swapped.mean(0)
    np.testing.assert_allclose(found["difference"], difference)
    np.testing.assert_allclose(found["own"] - found["swapped"], difference)
    assert found["low"][0] > 0.1 and found["high"][0] < 0.3
    # The same answers differ by nothing, surely.
    assert float(found["low"][1]) == float(found["high"][1]) == 0
    want = mcnemar(own[:, 0], swapped[:, 0]).p_value
    assert found["p_value"].values.tolist() == [want, 1.0]
    assert found.attrs["n"] == 300


def test_value_of_a_gaze_that_is_worth_nothing():
    hits = 0
    for seed in range(80):
        rng = np.random.default_rng(seed)
        own, swapped = (xr.DataArray(rng.random(150) < 0.7, dims="stimulus") for _ in "ab")
        found = glimpses.value_of_gaze(own, swapped, n_resamples=300, seed=seed)
        hits += bool(found["low"] <= 0 <= found["high"])
    assert hits >= 71


def test_refusals():
    logits, label = sharpening(20)
    with pytest.raises(InvalidInput, match="label 9 is none of the 4"):
        glimpses.right(logits, label.where(label.stimulus > 0, 9).astype(int))
    with pytest.raises(InvalidInput, match="shape"):
        glimpses.right(logits, label[:3])
    with pytest.raises(InvalidInput, match="NaN"):
        glimpses.right(logits.where(logits > 0), label)
    with pytest.raises(InvalidInput, match="glimpse"):
        glimpses.information_gain(logits.isel(glimpse=0), label)
    with pytest.raises(InvalidInput, match="NaN"):
        glimpses.fixation_entropy(places([[[np.nan, 3.0]], [[1.0, 3.0]]]), 10)
    right = glimpses.right(logits, label)
    with pytest.raises(InvalidInput, match="must be paired"):
        glimpses.value_of_gaze(right, right.isel(glimpse=0))
    with pytest.raises(InvalidInput, match="1 and 0"):
        glimpses.value_of_gaze(right, right * 0.5)
