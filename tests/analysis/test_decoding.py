"""Decoding: closed forms, planted memory and plans, null calibration, refusals."""

import numpy as np
import pytest
import xarray as xr

from attnsci.analysis import decoding
from attnsci.errors import InvalidInput

DIMS = ("stimulus", "glimpse", "unit")


def walk(n=200, glimpses=5, seed=0):
    """Places that are independent from glimpse to glimpse."""
    rng = np.random.default_rng(seed)
    return xr.DataArray(
        rng.uniform(0, 28, (n, glimpses, 2)), {"coordinate": ["x", "y"]},
        ("stimulus", "glimpse", "coordinate"),
    )  # fmt: skip


def state(places, lags, noise=0.0, units=12, seed=1):
    """A random linear code of the places at some lags, places beyond the path's ends random."""
    rng = np.random.default_rng(seed)
    n, length = places.shape[:2]
    beyond = rng.uniform(0, 28, (n, length, 2))
    xy = np.concatenate([beyond, places.values, beyond[::-1]], 1)
    code = rng.normal(size=(len(lags), 2, units))
    total = sum(
        (xy[:, length + lag : 2 * length + lag] - 14) @ code[i] for i, lag in enumerate(lags)
    )
    return xr.DataArray(total + noise * rng.normal(size=total.shape), dims=DIMS)


def test_folds_are_even_and_their_own():
    folds = decoding.folds_of(103, 5, seed=4)
    assert sorted(np.bincount(folds)) == [20, 20, 21, 21, 21]
    assert np.array_equal(folds, decoding.folds_of(103, 5, seed=4))
    assert not np.array_equal(folds, decoding.folds_of(103, 5, seed=5))


def test_ridge_out_of_fold_is_brute_force():
    rng = np.random.default_rng(0)
    x, folds = rng.normal(size=(60, 7)) + 5, np.arange(60) % 3
    y = x[:, :2] @ rng.normal(size=(2, 2)) + rng.normal(size=(60, 2)) * [0.5, 5]
    found = decoding.ridge_predictions(x, y, folds, np.array([0, 1]))
    for fold in range(3):
        train, test = folds != fold, folds == fold
        a, b = x[train] - x[train].mean(0), y[train] - y[train].mean(0)
        scale = np.linalg.eigvalsh(a.T @ a).mean()
        for k in range(2):
            best = None
            for penalty in scale * decoding.PENALTIES:
                inverse = np.linalg.inv(a.T @ a + penalty * np.eye(7))
                hat = a @ inverse @ a.T
                rest = b[:, k] - hat @ b[:, k]
                gcv = (rest @ rest) / (len(b) - 1 - np.trace(hat)) ** 2
                if best is None or gcv < best[0]:
                    best = gcv, inverse @ a.T @ b[:, k]
            want = (x[test] - x[train].mean(0)) @ best[1] + y[train, k].mean()
            np.testing.assert_allclose(found[test, k], want, rtol=1e-8)


def test_more_units_than_stimuli():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(40, 100))
    found = decoding.ridge_predictions(
        x, rng.normal(size=(40, 1)), decoding.folds_of(40, 4, 0), np.zeros(1, int)
    )
    assert np.isfinite(found).all() and np.abs(found).max() < 3


def test_a_state_holds_what_was_put_in_it():
    places = walk()
    found = decoding.decode_position(
        state(places, [-1, 1], noise=2.0), places, (-2, -1, 0, 1), n_resamples=200
    )
    r = found["r_squared"].sel(source="activity")
    assert (r.sel(lag=[-1, 1]) > 0.9).all() and (abs(r.sel(lag=[-2, 0])) < 0.15).all()
    assert found["p_value"].sel(lag=[-1, 1]).values.tolist() == [0.05, 0.05]
    assert (found["shuffled"] < 0.05).all() and (found["shuffled"] > -0.15).all()
    # Places are independent: the current one tells itself and no other.
    control = found["r_squared"].sel(source="current place")
    assert float(control.sel(lag=0)) == pytest.approx(1, abs=1e-3)
    assert (abs(control.sel(lag=[-2, -1, 1])) < 0.1).all()
    assert (found["gain_low"].sel(lag=[-1, 1]) > 0.8).all()
    assert ((found["low"] <= found["r_squared"]) & (found["r_squared"] <= found["high"])).all()
    each = found["by_glimpse"].sel(source="activity")
    assert np.isnan(each.sel(lag=1)).values.tolist() == [False] * 4 + [True]
    assert np.isnan(each.sel(lag=-2)).values.tolist() == [True] * 2 + [False] * 3


def test_memory_that_the_path_gives_away_is_no_memory():
    # The state knows the current place only; a slow walk makes the last one decodable too.
    rng = np.random.default_rng(3)
    steps = rng.normal(size=(300, 5, 2))
    places = walk(300).copy(data=14 + np.cumsum(steps, 1))
    found = decoding.decode_position(
        state(places, [0], noise=0.1), places, (-1,), n_resamples=300
    ).isel(lag=0)
    assert float(found["r_squared"].sel(source="activity")) > 0.5
    assert float(found["gain"]) == pytest.approx(0, abs=0.02)


def test_a_stereotyped_path_earns_nothing():
    # Every stimulus goes the same way, with jitter that the state does not know.
    rng = np.random.default_rng(0)
    way = walk(1).values * np.ones((200, 1, 1)) + rng.normal(size=(200, 5, 2))
    places = walk(200).copy(data=way)
    clock = np.arange(5)[:, None] * np.ones((200, 5, 4)) + rng.normal(size=(200, 5, 4))
    found = decoding.decode_position(xr.DataArray(clock, dims=DIMS), places, (0, 1), n_resamples=50)
    assert (found["r_squared"].sel(source="activity") < 0.02).all()


def test_without_information_p_is_uniform():
    p = []
    for seed in range(60):
        rng = np.random.default_rng(seed)
        nothing = xr.DataArray(rng.normal(size=(30, 2, 3)), dims=DIMS)
        found = decoding.decode_position(
            nothing, walk(30, 2, seed), (0,), n_folds=3, n_shuffles=9, n_resamples=10, seed=seed
        )
        p.append(float(found["p_value"][0]))
    assert np.mean(p) == pytest.approx(0.55, abs=0.12)
    assert np.mean(np.array(p) <= 0.1) <= 0.22


def test_a_fixed_beginning_is_no_control():
    places = walk()
    places[:, 0] = 14.0
    found = decoding.decode_position(state(places, [1]), places, (1,), n_resamples=20)
    control = found["by_glimpse"].sel(source="current place", lag=1)
    assert float(control[0]) == 0
    assert found["by_glimpse"].sel(source="activity", lag=1)[0] > 0.99


def test_the_same_seed_is_the_same_result():
    places = walk(40)
    runs = [
        decoding.decode_position(state(places, [0], 5), places, (0,), n_resamples=20, seed=seed)
        for seed in (1, 1, 2)
    ]
    xr.testing.assert_identical(runs[0], runs[1])
    assert not np.array_equal(runs[0]["r_squared"], runs[2]["r_squared"])


def test_a_probe_reads_what_later_states_hold():
    rng = np.random.default_rng(0)
    label = xr.DataArray(rng.integers(0, 4, 400) * 10, dims="stimulus")
    signal = np.eye(4)[label.values // 10][:, None] * [[0.0], [1.0], [8.0]]
    activity = xr.DataArray(signal + rng.normal(size=(400, 3, 4)), {"glimpse": [1, 2, 3]}, DIMS)
    found = decoding.probe_accuracy(activity, label)
    got = found["accuracy"].values
    assert abs(got[0] - 0.25) < 0.08 and 0.35 < got[1] < 0.75 and got[2] > 0.99
    assert found["low"][0] < 0.25 < found["high"][0]
    assert found["n"].values.tolist() == [400] * 3
    assert found["predicted"].dims == ("stimulus", "glimpse")
    assert set(np.unique(found["predicted"])) <= {0, 10, 20, 30}
    assert found.attrs["chance"] == (np.bincount(label.values // 10).max() / 400)
    again = (found["predicted"] == label).mean("stimulus")
    np.testing.assert_allclose(again, got)


def test_a_probe_is_tested_on_stimuli_it_has_not_seen():
    # More units than stimuli: a probe of its own training set would be perfect.
    rng = np.random.default_rng(0)
    label = xr.DataArray(np.arange(200) % 2, dims="stimulus")
    found = decoding.probe_accuracy(xr.DataArray(rng.normal(size=(200, 400)),
                                                 dims=("stimulus", "unit")), label)  # fmt: skip
    assert abs(float(found["accuracy"]) - 0.5) < 0.12


def test_refusals():
    places = walk(20)
    known = state(places, [0])
    label = xr.DataArray(np.arange(20) % 2, dims="stimulus")
    with pytest.raises(InvalidInput, match="between -4 and 4"):
        decoding.decode_position(known, places, (5,))
    with pytest.raises(InvalidInput, match="different whole"):
        decoding.decode_position(known, places, (1, 1))
    with pytest.raises(InvalidInput, match="nothing to decode"):
        decoding.decode_position(known, places * 0 + 14, (0,))
    with pytest.raises(InvalidInput, match="do not vary"):
        decoding.decode_position(known * 0 + 0.1, places, (0,))
    with pytest.raises(InvalidInput, match="shape"):
        decoding.decode_position(known, walk(19), (0,))
    with pytest.raises(InvalidInput, match="5 folds of 6"):
        decoding.decode_position(known[:6], places[:6], (0,))
    with pytest.raises(InvalidInput, match="NaN"):
        decoding.decode_position(known.where(known > 0), places, (0,))
    with pytest.raises(InvalidInput, match="of class 0"):
        decoding.probe_accuracy(known, label * 0)
    with pytest.raises(InvalidInput, match="label"):
        decoding.probe_accuracy(known, label[:7])


def test_as_many_units_as_stimuli_do_no_harm():
    rng = np.random.default_rng(3)
    states = rng.normal(size=(200, 3, 160))
    # Four fifths of the stimuli train: as many as units, where an unpenalised fit explodes.
    places = states[..., :2] + 0.1 * rng.normal(size=(200, 3, 2))
    activity = xr.DataArray(states, dims=("stimulus", "glimpse", "unit"))
    positions = xr.DataArray(
        places, {"coordinate": ["x", "y"]}, ("stimulus", "glimpse", "coordinate")
    )
    found = decoding.decode_position(activity, positions, [0], n_shuffles=1, seed=0)
    assert float(found["r_squared"].sel(source="activity", lag=0)) > 0.2
