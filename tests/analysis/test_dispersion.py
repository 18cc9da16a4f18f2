"""Runs within a dispersion: by hand, brute force, invariances, densities, refusals."""

import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st

from attnsci.analysis.dispersion import dispersion_runs, locations_of, run_densities
from attnsci.errors import InvalidInput
from attnsci.gaze import from_arrays
from attnsci.geometry import Viewing


def path(xy):
    return xr.DataArray(
        np.asarray(xy, float), {"coordinate": ["x", "y"]}, ("stimulus", "glimpse", "coordinate")
    )


def brute(points, threshold):
    """One glimpse after the other, as the algorithm is told."""
    runs, current = [], []
    for point in points:
        box = np.ptp([*current, point], axis=0).sum()
        if current and box > threshold * (1 + 1e-9):
            runs.append(current)
            current = []
        current = [*current, point]
    return [*runs, current]


def test_by_hand():
    found = dispersion_runs(path([[[0, 0], [3, 1], [4, 1], [10, 1], [10, 2], [10, 9]]]), 4)
    assert found["run"].values.tolist() == [[0, 0, 1, 2, 2, 3]]
    assert found["run_length"].values.tolist() == [[2, 1, 2, 1, 0, 0]]
    np.testing.assert_allclose(found["x"][0, :4], [1.5, 4, 10, 10])
    np.testing.assert_allclose(found["y"][0, :4], [0.5, 1, 1.5, 9])
    want = [np.nan, np.hypot(2.5, 0.5), np.hypot(6, 0.5), 7.5, np.nan, np.nan]
    np.testing.assert_allclose(found["distance"][0], want)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**31), st.integers(1, 9), st.floats(0.5, 20))
def test_brute_force(seed, length, threshold):
    rng = np.random.default_rng(seed)
    xy = rng.normal(size=(7, length, 2)).cumsum(1) * 3
    ends = rng.integers(1, length + 1, 7)
    for i, end in enumerate(ends):
        xy[i, end:] = np.nan
    found = dispersion_runs(path(xy), threshold)
    for i, end in enumerate(ends):
        runs = brute(xy[i, :end], threshold)
        lengths = [len(run) for run in runs]
        assert found["run_length"].values[i].tolist() == lengths + [0] * (length - len(runs))
        owner = np.repeat(np.arange(len(runs)), lengths)
        assert found["run"].values[i].tolist() == [*owner, *[-1] * (length - end)]
        centres = np.array([np.mean(run, axis=0) for run in runs])
        np.testing.assert_allclose(found["x"].values[i, : len(runs)], centres[:, 0])
        apart = np.linalg.norm(np.diff(centres, axis=0), axis=1)
        np.testing.assert_allclose(found["distance"].values[i, 1 : len(runs)], apart)
        assert np.isnan(found["distance"].values[i, len(runs) :]).all()


def test_moving_and_scaling_change_nothing():
    xy = path(np.random.default_rng(0).normal(size=(20, 8, 2)))
    found = dispersion_runs(xy, 1.5)
    other = dispersion_runs(10 * xy + 7, 15)
    assert np.array_equal(found["run"], other["run"])
    np.testing.assert_allclose(10 * found["distance"], other["distance"])


def test_scanpaths_of_unequal_length():
    paths = from_arrays(
        [[1, 1, 9], [4]], [[1, 2, 9], [4]], image=["a", "b"], observer="m",
        viewing=Viewing(10, 10),
    )  # fmt: skip
    found = dispersion_runs(locations_of(paths), 2)
    assert found["run"].values.tolist() == [[0, 0, 1], [0, -1, -1]]


def test_densities():
    rng = np.random.default_rng(0)
    turn = rng.uniform(0, 2 * np.pi, (400, 6))
    length = np.where(rng.random((400, 6)) < 0.5, 0.05, rng.normal(10, 1, (400, 6)))
    steps = np.stack([np.cos(turn), np.sin(turn)], -1) * length[..., None]
    runs = dispersion_runs(path(steps.cumsum(1)), 1)
    grid = np.linspace(0, 40, 801)
    found = run_densities(runs, grid)
    # Half of the steps stay: run lengths are geometric, but for the end of a path.
    share = found["share"].values
    assert share.sum() == pytest.approx(1)
    assert share[1] / share[0] == pytest.approx(0.45, abs=0.08)
    assert float(found["mean_run_length"]) == pytest.approx(2400 / int(found["n_runs"]))
    assert int(found["n_saccades"]) == int(found["n_runs"]) - 400
    assert np.trapezoid(found["density"], grid) == pytest.approx(1, abs=1e-3)
    assert grid[found["density"].values.argmax()] == pytest.approx(10, abs=0.5)


def test_refusals():
    xy = path([[[0, 0], [3, 1]]])
    with pytest.raises(InvalidInput, match="dispersion_px"):
        dispersion_runs(xy, 0)
    with pytest.raises(InvalidInput, match="before its end"):
        dispersion_runs(path([[[0, 0], [np.nan, 1], [2, 2]]]), 1)
    with pytest.raises(InvalidInput, match="is empty"):
        dispersion_runs(path([[[np.nan, np.nan]]]), 1)
    with pytest.raises(InvalidInput, match="two different distances"):
        run_densities(dispersion_runs(xy, 1), [1.0])
    with pytest.raises(InvalidInput, match="from 0 up"):
        run_densities(dispersion_runs(path(np.arange(12).reshape(1, 6, 2) ** 2), 1), [-1.0])
