"""Accuracy over the visual field: brute force, maps in any layout, the published maps, refusals."""

import itertools

import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st

from attnsci.analysis import eccentricity as ecc
from attnsci.errors import InvalidInput
from attnsci.statistics.significance import wilson

EDGES = [0, 5, 10, 15]


def scenes(n=400, seed=0):
    """Answers of two models that get worse with eccentricity, on scenes at random offsets."""
    rng = np.random.default_rng(seed)
    offset = xr.DataArray(
        rng.uniform(-10, 10, (n, 2)), {"coordinate": ["x", "y"]}, ("stimulus", "coordinate")
    )
    away = ecc.eccentricity(offset.assign_attrs(units="px"))
    p = np.exp(-(away.values**2) / 100)
    correct = rng.random((n, 2)) < p[:, None] * [1, 0.5]
    return xr.DataArray(correct, {"model": ["a", "b"]}, ("stimulus", "model")), away


def test_eccentricity_is_the_length_whatever_the_order_of_coordinates():
    offset = xr.DataArray([[4.0, 3.0]], {"coordinate": ["y", "x"]}, ("stimulus", "coordinate"))
    x, y = ecc.xy_of("offset", offset)
    assert (float(x[0]), float(y[0])) == (3, 4)
    assert ecc.eccentricity(offset).values.tolist() == [5]


@pytest.mark.parametrize("interval", ["wilson", "bootstrap"])
def test_against_brute_force(interval):
    correct, away = scenes()
    found = ecc.accuracy_by_eccentricity(correct, away, EDGES, chance=0.1, interval=interval)
    assert found["accuracy"].dims == ("eccentricity", "model")
    for b, (low, high) in enumerate(itertools.pairwise(EDGES)):
        member = (away.values >= low) & (away.values < high)
        cell = found.isel(eccentricity=b).sel(model="b")
        assert int(cell["n"]) == member.sum()
        assert float(cell["accuracy"]) == pytest.approx(correct.values[member, 1].mean())
        assert float(cell["mean_eccentricity"]) == pytest.approx(away.values[member].mean())
        want = wilson(int(correct.values[member, 1].sum()), int(member.sum()))
        # Wilson's and the bootstrap's intervals are nearly one for these shares.
        tolerance = 1e-12 if interval == "wilson" else 0.03
        assert float(cell["low"]) == pytest.approx(want.low, abs=tolerance)
        assert float(cell["high"]) == pytest.approx(want.high, abs=tolerance)
    assert found.attrs["chance"] == 0.1 and found.attrs["n_stimuli"] == 400
    assert found["eccentricity"].values.tolist() == [2.5, 7.5, 12.5]
    assert found["eccentricity"].attrs == {"units": "px"}
    assert found["lower_edge"].values.tolist() == [0, 5, 10]


def test_a_bin_holds_its_lower_edge_and_not_its_upper():
    correct = xr.DataArray([1, 0, 1, 1], dims="stimulus")
    away = xr.DataArray([0.0, 5.0, 9.999, 10.0], dims="stimulus")
    found = ecc.accuracy_by_eccentricity(correct, away, [0, 5, 10], chance=0)
    assert found["n"].values.tolist() == [1, 2]
    assert found["accuracy"].values.tolist() == [1, 0.5]
    assert found.attrs["n_outside"] == 1


@settings(max_examples=30, deadline=None)
@given(
    st.integers(0, 2**31), st.integers(3, 40), st.integers(1, 4), st.booleans(), st.integers(1, 3)
)
def test_sums_by_stimulus_and_bin_are_brute_force(seed, n, cells, own, rest):
    rng = np.random.default_rng(seed)
    values = (rng.random((n, cells, rest)) < 0.5).astype(float)
    values[rng.random(values.shape) < 0.1] = np.nan
    correct = xr.DataArray(values, dims=("stimulus", "place", "model"))
    where = rng.uniform(0, 4, (n, cells) if own else cells)
    where.flat[0] = 0.5
    away = xr.DataArray(where, dims=("stimulus", "place") if own else ("place",))
    edges = np.array([0.0, 3.0])
    sums, counts, distances = ecc.bin_sums(correct.transpose(..., "stimulus"), away, edges)
    full = np.broadcast_to(where, (n, cells))[..., None]
    valid = ~np.isnan(values) & (full < 3)
    np.testing.assert_allclose(sums.values[:, 0], np.where(valid, values, 0).sum(1))
    np.testing.assert_allclose(counts.values[:, 0], valid.sum(1))
    np.testing.assert_allclose(distances.values[:, 0], np.where(valid, full, 0).sum(1))


def test_many_stimuli_are_summed_in_blocks():
    n = 2 * ecc.ROWS + 7
    rng = np.random.default_rng(1)
    correct = xr.DataArray(rng.random((n, 3)) < 0.5, dims=("stimulus", "glimpse"))
    away = xr.DataArray(rng.uniform(0, 10, (n, 3)), dims=("stimulus", "glimpse"))
    found = ecc.accuracy_by_eccentricity(
        correct, away, [0, 2, 10], chance=0, interval="bootstrap", n_resamples=50
    )
    near = away.values < 2
    assert found["n"].values.tolist() == [near.sum(), (~near).sum()]
    assert float(found["accuracy"][0]) == pytest.approx(correct.values[near].mean())


def test_the_bootstrap_draws_stimuli_and_not_answers():
    # Ten answers a stimulus that are all the same hold no more than one.
    rng = np.random.default_rng(0)
    one = rng.random(200) < 0.5
    correct = xr.DataArray(np.repeat(one[:, None], 10, 1), dims=("stimulus", "sample"))
    away = xr.DataArray(rng.uniform(0, 1, (200, 10)), dims=("stimulus", "sample"))
    found = ecc.accuracy_by_eccentricity(correct, away, [0, 1], chance=0, interval="bootstrap")
    width = float((found["high"] - found["low"])[0])
    assert width == pytest.approx(2 * 1.96 * 0.5 / np.sqrt(200), rel=0.1)
    with pytest.raises(InvalidInput, match="up to 10 answers"):
        ecc.accuracy_by_eccentricity(correct, away, [0, 1], chance=0)


def test_intervals_cover_at_their_rate():
    truth, hits = 0.7, 0
    for seed in range(100):
        rng = np.random.default_rng(seed)
        correct = xr.DataArray(rng.random(200) < truth, dims="stimulus")
        away = xr.DataArray(rng.uniform(0, 2, 200), dims="stimulus")
        found = ecc.accuracy_by_eccentricity(
            correct, away, [0, 1, 2], chance=0, interval="bootstrap", n_resamples=300, seed=seed
        )
        hits += int(((found["low"] <= truth) & (truth <= found["high"])).sum())
    assert 0.9 <= hits / 200 <= 0.985


def field(n=60, seed=3):
    rng = np.random.default_rng(seed)
    y, x = np.arange(-6, 7, 2.0), np.arange(-4, 5, 2.0)
    p = np.exp(-(x**2 + (y[:, None] / 2) ** 2) / 20)
    return xr.DataArray(rng.random((n, 7, 5)) < p, {"y": y, "x": x}, ("stimulus", "y", "x"))


def test_a_map_is_the_same_from_a_grid_and_from_offsets_in_any_order():
    grid = field()
    found = ecc.accuracy_map(grid, chance=0.1)
    assert found["accuracy"].dims == ("y", "x")
    np.testing.assert_allclose(found["accuracy"], grid.mean("stimulus"))
    assert int(found["n"].min()) == 60
    want = wilson(int(grid.sel(y=6, x=-4).sum()), 60)
    assert float(found["high"].sel(y=6, x=-4)) == pytest.approx(want.high)
    flat = grid.stack(offset=("y", "x")).reset_index("offset")
    order = np.random.default_rng(0).permutation(flat.sizes["offset"])
    again = ecc.accuracy_map(flat.isel(offset=order), chance=0.1)
    xr.testing.assert_allclose(again, found)


def test_models_stay_apart_on_a_map():
    both = xr.concat([field(seed=1), field(seed=2)], "model")
    found = ecc.accuracy_map(both, chance=0.1)
    assert found["accuracy"].dims == ("y", "x", "model")
    np.testing.assert_allclose(found["accuracy"].isel(model=1), field(seed=2).mean("stimulus"))


def test_the_profile_of_answers_is_that_of_their_map():
    grid = field()
    away = xr.DataArray(np.hypot(grid.x.values, grid.y.values[:, None]), dims=("y", "x"))
    edges = [0, 2.5, 4.5, 7.5]
    profile = ecc.accuracy_by_eccentricity(grid, away, edges, chance=0.1, interval="bootstrap")
    rings = ecc.radial_profile(ecc.accuracy_map(grid, chance=0.1)["accuracy"], edges)
    np.testing.assert_allclose(profile["accuracy"], rings["accuracy"])
    assert (profile["n"].values == 60 * rings["n_cells"].values).all()
    assert (profile["low"] < profile["accuracy"]).all()


def test_a_profile_knows_its_centre_and_how_round_it_is():
    axis = np.arange(-10.0, 11)
    x, y = np.meshgrid(axis, axis)
    moved = xr.DataArray(np.hypot(x - 2, y + 1), {"y": axis, "x": axis}, ("y", "x"))
    edges = [0, 1, 2, 3]
    about = ecc.radial_profile(moved, edges, centre=(2, -1))
    assert float(about["accuracy"][0]) == 0 and float(about["spread"][0]) == 0
    wrong = ecc.radial_profile(moved, edges, centre=(-1, 2))
    assert (wrong["accuracy"] > about["accuracy"] + 1).all()
    assert float(wrong["spread"][2]) > 3 * float(about["spread"][2])


@pytest.mark.data
def test_the_published_maps(data_root):
    """Radial means of the two published 55 × 55 maps, as their specification prints them."""
    published = np.load(data_root / "what-where" / "published_maps.npz")
    axis = np.arange(-27, 28)
    want = {
        "stn28": "871 863 846 821 785 725 632 502 355 232 163 129 122 118",
        "what": "835 807 757 693 620 536 445 355 270 204 160 133 120 114",
    }
    for name, numbers in want.items():
        values = xr.DataArray(published[name], {"y": axis, "x": axis}, ("y", "x"))
        profile = ecc.radial_profile(values, np.arange(0, 29, 2))
        np.testing.assert_allclose(
            profile["accuracy"], np.array(numbers.split(), float) / 1000, atol=5e-4
        )


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"edges": [0, 5, 5]}, "ascending"),
        ({"edges": [3]}, "ascending"),
        ({"edges": [0, 5, 100, 200]}, r"\[100, 200\)"),
        ({"chance": 1.5}, "chance"),
        ({"interval": "guess"}, "interval"),
        ({"eccentricity": xr.DataArray(np.ones(7), dims="stimulus")}, None),
        ({"eccentricity": xr.DataArray(np.ones(3), dims="place")}, "place"),
        ({"eccentricity": xr.DataArray(1.0)}, "no dimension"),
        ({"eccentricity": xr.DataArray(np.full(400, np.nan), dims="stimulus")}, "NaN"),
        ({"eccentricity": xr.DataArray(np.full(400, -1.0), dims="stimulus")}, "0 or more"),
    ],
)
def test_refusals(change, message):
    correct, away = scenes()
    arguments = {"eccentricity": away, "edges": EDGES, "chance": 0.1, **change}
    with pytest.raises((InvalidInput, ValueError), match=message):
        ecc.accuracy_by_eccentricity(correct, **arguments)


def test_a_bin_of_too_few_stimuli_has_no_bootstrap():
    correct = xr.DataArray([1, 0, 1], dims="stimulus")
    away = xr.DataArray([1.0, 1.0, 6.0], dims="stimulus")
    with pytest.raises(InvalidInput, match="few stimuli"):
        ecc.accuracy_by_eccentricity(correct, away, [0, 5, 10], chance=0, interval="bootstrap")


def test_refused_maps():
    grid = field()
    flat = grid.stack(offset=("y", "x")).reset_index("offset")
    with pytest.raises(InvalidInput, match="no full grid"):
        ecc.accuracy_map(flat.isel(offset=slice(1, None)), chance=0)
    with pytest.raises(InvalidInput, match="no full grid"):
        ecc.accuracy_map(flat.isel(offset=[0, 0, *range(2, 35)]), chance=0)
    with pytest.raises(InvalidInput, match="no coordinate x"):
        ecc.accuracy_map(grid.drop_vars("x"), chance=0)
    with pytest.raises(InvalidInput, match="along offset"):
        ecc.accuracy_map(flat.drop_vars("y"), chance=0)
    with pytest.raises(InvalidInput, match="No cell"):
        ecc.radial_profile(grid.mean("stimulus"), [0, 1, 1.5])
    with pytest.raises(InvalidInput, match="NaN"):
        ecc.radial_profile(grid.mean("stimulus").where(grid.x > 0), [0, 5])
    with pytest.raises(InvalidInput, match="'x' and 'y'"):
        ecc.eccentricity(xr.DataArray([[1.0, 2.0]], dims=("stimulus", "coordinate")))
