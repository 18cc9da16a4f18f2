"""Meridians of accuracy maps: planted ellipses and shifts, brute force, intervals, refusals."""

import numpy as np
import pytest
import xarray as xr

from attnsci.analysis.anisotropy import (
    anisotropy,
    bootstrap_anisotropy,
    half_height_radius,
    sectors,
)
from attnsci.analysis.eccentricity import accuracy_map
from attnsci.analysis.fall_off import STATUS
from attnsci.errors import InvalidInput

GRID = np.arange(-27.0, 28)
EDGES = np.r_[0, 1.5, np.arange(3.5, 28, 2)]


def bell(grid=GRID, right=8.0, up=8.0, left=8.0, down=8.0, chance=0.1, top=0.8):
    """A Gaussian whose width is its own in each half axis; up is y < 0."""
    y, x = np.meshgrid(grid, grid, indexing="ij")
    across = x / np.where(x > 0, right, left)
    along = y / np.where(y < 0, up, down)
    values = chance + top * np.exp(-(across**2 + along**2) / 2)
    return xr.DataArray(values, {"y": grid, "x": grid}, ("y", "x"))


def test_a_round_map_has_none_and_the_half_width_of_its_bell():
    found = anisotropy(bell(), EDGES, chance=0.1)
    np.testing.assert_allclose(found["hva"], 0, atol=1e-12)
    np.testing.assert_allclose(found["vma"], 0, atol=1e-12)
    np.testing.assert_allclose(found["radius"], 8 * np.sqrt(2 * np.log(2)), rtol=0.02)
    whole = half_height_radius(bell(), EDGES, chance=0.1)
    assert float(whole["radius"]) == pytest.approx(8 * np.sqrt(2 * np.log(2)), rel=0.02)
    assert int(whole["status"]) == 0


def test_planted_half_axes_come_back_in_their_directions():
    values = bell(right=10, up=5, left=9, down=7)
    found = anisotropy(values, EDGES, chance=0.1, half_angle_deg=5)
    half = np.sqrt(2 * np.log(2))
    for direction, width in {"right": 10, "up": 5, "left": 9, "down": 7}.items():
        assert float(found["radius"].sel(direction=direction)) == pytest.approx(
            half * width, rel=0.04
        )
    radius = found["radius"]
    across, along = float(radius[[0, 2]].mean()), float(radius[[1, 3]].mean())
    assert float(found["hva"].sel(quantity="radius")) == pytest.approx(
        (across - along) / ((across + along) / 2)
    )
    assert float(found["hva"].sel(quantity="radius")) == pytest.approx(3.5 / 7.75, rel=0.04)
    # The lower field is wider: positive.
    assert float(found["vma"].sel(quantity="radius")) == pytest.approx(2 / 6, rel=0.08)
    assert float(found["vma"].sel(quantity="accuracy")) > 0


def test_turned_and_mirrored_maps_change_the_sign():
    values = bell(right=10, up=5, left=9, down=7)
    found = anisotropy(values, EDGES, chance=0.1)
    turned = values.rename(y="x", x="y")
    np.testing.assert_allclose(anisotropy(turned, EDGES, chance=0.1)["hva"], -found["hva"])
    upside_down = values.assign_coords(y=-values.y)
    np.testing.assert_allclose(anisotropy(upside_down, EDGES, chance=0.1)["vma"], -found["vma"])
    np.testing.assert_allclose(anisotropy(upside_down, EDGES, chance=0.1)["hva"], found["hva"])


def test_accuracy_against_brute_force_and_other_dimensions_stay():
    rng = np.random.default_rng(0)
    values = xr.DataArray(
        rng.random((3, 21, 21)),
        {"y": np.arange(-10, 11), "x": np.arange(-10, 11), "model": list("abc")},
        ("model", "y", "x"),
    )
    edges = [0, 1.5, 4, 9]
    found = anisotropy(values, edges, chance=0.1, half_angle_deg=30)
    sums = {(d, r): [] for d in range(4) for r in range(2)}
    for i, y in enumerate(range(-10, 11)):
        for j, x in enumerate(range(-10, 11)):
            away, angle = np.hypot(x, y), np.degrees(np.arctan2(-y, x))
            for d in range(4):
                apart = abs((angle - 90 * d + 180) % 360 - 180)
                for r in range(2):
                    if apart <= 30 and edges[r + 1] <= away < edges[r + 2]:
                        sums[d, r].append(values.values[:, i, j])
    want = [np.mean([np.mean(sums[d, r], axis=0) for r in range(2)], axis=0) for d in range(4)]
    np.testing.assert_allclose(found["accuracy"], want)
    assert found["accuracy"].dims == ("direction", "model")
    right, up, left, down = want
    across, along = (right + left) / 2, (up + down) / 2
    np.testing.assert_allclose(
        found["hva"].sel(quantity="accuracy"), 2 * (across - along) / (across + along)
    )
    np.testing.assert_allclose(found["vma"].sel(quantity="accuracy"), 2 * (down - up) / (down + up))


def test_a_radius_that_is_not_there_says_why():
    flat = bell() * 0 + 0.5
    for function in (anisotropy, half_height_radius):
        high = function(flat, EDGES, chance=0.1)
        assert high["radius"].isnull().all()
        assert {STATUS[i] for i in np.atleast_1d(high["status"])} == {STATUS[2]}
        low = function(flat, EDGES, chance=0.5)
        assert {STATUS[i] for i in np.atleast_1d(low["status"])} == {STATUS[1]}
    found = anisotropy(flat, EDGES, chance=0.1)
    assert found["hva"].isnull().values.tolist() == [True, False]
    assert float(found["hva"].sel(quantity="accuracy")) == 0


def answers(n, seed=0, **widths):
    grid = np.arange(-16.0, 17, 2)
    chances = np.random.default_rng(seed).random((n, 17, 17))
    p = bell(grid, **widths)
    return p.copy(data=p.values).expand_dims(stimulus=n) > xr.DataArray(
        chances, {"y": grid, "x": grid}, ("stimulus", "y", "x")
    )


RINGS = [0, 1, 5, 9, 13, 17]


def test_answers_give_the_numbers_of_their_map_and_intervals_that_hold_the_planted_ones():
    widths = {"right": 9.0, "up": 4.0, "left": 9.0, "down": 6.0}
    correct = answers(300, **widths)
    found = bootstrap_anisotropy(correct, RINGS, chance=0.1, n_resamples=300)
    finished = anisotropy(accuracy_map(correct, chance=0.1)["accuracy"], RINGS, chance=0.1)
    truth = anisotropy(bell(np.arange(-16.0, 17, 2), **widths), RINGS, chance=0.1)
    for name in ("radius", "accuracy", "hva", "vma"):
        np.testing.assert_allclose(found[name], finished[name], rtol=1e-9)
        assert (found[f"{name}_low"] <= truth[name]).all(), name
        assert (truth[name] <= found[f"{name}_high"]).all(), name
    assert (found["hva_low"] > 0).all() and (found["vma_low"] > 0).all()
    assert found.attrs["n_stimuli"] == 300


def test_intervals_cover():
    truth = anisotropy(bell(np.arange(-16.0, 17, 2)), RINGS, chance=0.1)
    hits = np.zeros(2)
    for seed in range(40):
        found = bootstrap_anisotropy(
            answers(60, seed), RINGS, chance=0.1, n_resamples=200, seed=seed
        )
        inside = (found["vma_low"] <= truth["vma"]) & (truth["vma"] <= found["vma_high"])
        hits += inside.values
    assert (hits >= 34).all()


def test_the_unit_is_the_stimulus():
    correct = answers(80)
    one = bootstrap_anisotropy(correct, RINGS, chance=0.1, n_resamples=100)
    shuffled = bootstrap_anisotropy(
        correct.isel(stimulus=np.arange(80)[::-1]), RINGS, chance=0.1, n_resamples=100, seed=5
    )
    np.testing.assert_allclose(one["hva"], shuffled["hva"])
    # The same answers, all of a place from one stimulus: nothing varies between resamples.
    same = correct.isel(stimulus=[0] * 40)
    fixed = bootstrap_anisotropy(same, RINGS, chance=0.1, n_resamples=50)
    np.testing.assert_allclose(fixed["accuracy_low"], fixed["accuracy_high"])


def test_an_unreached_radius_in_resamples_is_infinite():
    correct = answers(12, right=20.0, up=20.0, left=20.0, down=20.0, top=0.3)
    found = bootstrap_anisotropy(correct, RINGS, chance=0.1, n_resamples=200)
    shown = found["radius"].notnull()
    assert np.isinf(found["radius_high"].where(shown, np.inf)).any()
    undefined = found["radius"].isnull()
    assert found["radius_low"].isnull().values.tolist() == undefined.values.tolist()


def test_sectors_partition_the_rings_at_45_degrees():
    grid = xr.DataArray(np.zeros((11, 11)), {"y": range(-5, 6), "x": range(-5, 6)}, ("y", "x"))
    regions, away = sectors(grid, [0, 0.5, 2.5, 5.5], 45)
    y, x = np.meshgrid(range(-5, 6), range(-5, 6), indexing="ij")
    covered = regions.sum(1).reshape(11, 11)
    inside = np.hypot(x, y) < 5.5
    diagonal = (abs(x) == abs(y)) & (x != 0)
    np.testing.assert_array_equal(covered, np.where(inside, 1 + diagonal, 0))
    assert away.shape == (4, 3) and (away[:, 0] == 0).all()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: anisotropy(bell(), [0, 2, 4], chance=0.1), "three rings"),
        (lambda: anisotropy(bell(), [0, 2, 4, 90, 95], chance=0.1), "rightward in \\[90, 95\\)"),
        (lambda: anisotropy(bell(), [0, 0.5, 0.9, 5], chance=0.1), "rightward in \\[0.5, 0.9\\)"),
        (lambda: anisotropy(bell(GRID + 0.5), [0, 0.5, 3, 6], chance=0.1), "lies in \\[0, 0.5\\)"),
        (lambda: anisotropy(bell(), EDGES, chance=0.1, half_angle_deg=60), "half_angle_deg"),
        (lambda: anisotropy(bell(), EDGES, chance=1.1), "chance"),
        (lambda: anisotropy(bell().drop_vars("y"), EDGES, chance=0.1), "no coordinate y"),
        (lambda: anisotropy(bell().where(bell() > 0.2), EDGES, chance=0.1), "NaN"),
        (lambda: half_height_radius(bell().isel(x=0), EDGES, chance=0.1), "lacks the dimension"),
        (lambda: bootstrap_anisotropy(bell(), EDGES, chance=0.1), "stimulus"),
        (lambda: bootstrap_anisotropy(answers(1), RINGS, chance=0.1), "2 stimuli"),
        (
            lambda: bootstrap_anisotropy(
                answers(3).where(np.hypot(answers(3).x, answers(3).y) < 8), RINGS, chance=0.1
            ),
            "8 directions and rings have no answer",
        ),
    ],
)
def test_refusals(call, message):
    with pytest.raises(InvalidInput, match=message):
        call()
