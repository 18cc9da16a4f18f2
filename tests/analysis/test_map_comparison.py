"""Maps against maps: numpy's numbers, sub-grids, masks, reflections, the published maps."""

import numpy as np
import pytest
import xarray as xr

from attnsci.analysis.map_comparison import (
    map_correlation,
    point_asymmetry,
    point_asymmetry_test,
)
from attnsci.errors import InvalidInput


def plane(values, step=1.0):
    values = np.asarray(values, dtype=float)
    reach = (values.shape[-1] - 1) / 2
    grid = (np.arange(values.shape[-1]) - reach) * step
    dims = (*(f"d{i}" for i in range(values.ndim - 2)), "y", "x")
    return xr.DataArray(values, {"y": grid, "x": grid}, dims)


@pytest.fixture
def pair():
    rng = np.random.default_rng(0)
    a = rng.random((2, 9, 9))
    return plane(a), plane(0.5 * a + rng.random((2, 9, 9)))


def test_against_numpy(pair):
    a, b = pair
    found = map_correlation(a, b)
    for i in range(2):
        first, second = a.values[i].ravel(), b.values[i].ravel()
        assert float(found["r"][i]) == pytest.approx(np.corrcoef(first, second)[0, 1])
        assert float(found["rmse"][i]) == pytest.approx(np.sqrt(((first - second) ** 2).mean()))
        assert float(found["mean_difference"][i]) == pytest.approx((first - second).mean())
    assert found.attrs["n_cells"] == 81


def test_a_coarser_grid_in_any_order_takes_its_own_cells(pair):
    a, b = pair
    coarse = b.isel(d0=0)[::4, ::2]
    found = map_correlation(a.isel(d0=1), coarse[::-1].transpose("x", "y"))
    first, second = a.values[1, ::4, ::2], b.values[0, ::4, ::2]
    assert float(found["r"]) == pytest.approx(np.corrcoef(first.ravel(), second.ravel())[0, 1])
    assert found.attrs["n_cells"] == 15
    # From the other side too, and one map against many.
    swapped = map_correlation(coarse, a)
    assert swapped["r"].dims == ("d0",)
    assert float(swapped["r"][1]) == pytest.approx(float(found["r"]))
    assert float(swapped["mean_difference"][1]) == pytest.approx(-float(found["mean_difference"]))


def test_cells_outside_the_mask_do_not_count(pair):
    a, b = pair[0][0], pair[1][0]
    mask = np.hypot(a.x, a.y) < 3
    spoiled = b.where(mask, 1e6)
    found = map_correlation(a, spoiled, mask=mask.transpose("x", "y"))
    inside = mask.transpose("y", "x").values
    want = np.corrcoef(a.values[inside], b.values[inside])[0, 1]
    assert float(found["r"]) == pytest.approx(want)
    assert found.attrs["n_cells"] == int(inside.sum()) == 25
    # NaN where nothing is compared does no harm.
    assert float(map_correlation(a, b.where(mask), mask=mask)["r"]) == pytest.approx(want)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda a, b: (a, plane(b.values, 2.0)), "neither holds the other"),
        (lambda a, b: (a, b.where(b > 0.2)), "b holds"),
        (lambda a, b: (a * 0, b), "a does not vary"),
        (lambda a, b: (a[:, :1, :2], b), "2 cell"),
        (lambda a, b: (a, b.drop_vars("x")), "b has no coordinate x"),
        (lambda a, b: (a.values, b), "xarray"),
        (lambda a, b: (a, b, xr.ones_like(b[0])), "true and false"),
        (lambda a, b: (a, b, b > 0), "of y and x"),
        (lambda a, b: (a, b, (b[0] > 0)[1:]), "y = -4"),
    ],
)
def test_refusals(pair, change, message):
    a, b, *mask = change(*pair)
    with pytest.raises(InvalidInput, match=message):
        map_correlation(a, b, mask=mask[0] if mask else None)


def test_asymmetry_by_hand():
    values = plane([[0.0, 0.2, 0.4], [0.1, 0.5, 0.3], [0.4, 0.6, 0.8]])
    # Pairs: 0 and 0.8, 0.2 and 0.6, 0.4 and 0.4, 0.1 and 0.3; the centre is its own.
    want = 2 * (0.8 + 0.4 + 0 + 0.2) / 9
    assert float(point_asymmetry(values)) == pytest.approx(want)
    assert float(point_asymmetry(values[::-1].transpose("x", "y"))) == pytest.approx(want)
    assert float(point_asymmetry(values + values.values[::-1, ::-1])) == pytest.approx(0)


def flips(n, tilt, seed):
    p = plane(0.5 + tilt * np.linspace(-1, 1, 7)[None] * np.ones((7, 1)))
    drawn = np.random.default_rng(seed).random((n, 7, 7))
    return xr.DataArray(drawn, p.coords, ("stimulus", "y", "x")) < p


def test_a_tilt_is_told_from_noise():
    answers = flips(200, 0.2, 0)
    found = point_asymmetry_test(answers)
    assert found.p_value == pytest.approx(0.001)
    assert found.statistic == pytest.approx(
        float(point_asymmetry(flips(200, 0.2, 0).mean("stimulus")))
    )
    # Mean of |tilt| over columns: 0.4 · (1 + 2/3 + 1/3) · 2 / 7, less what noise would give.
    assert 0.1 < found.estimate < 0.2286
    assert found.n == 200


def test_noise_alone_is_rarely_a_tilt():
    p = np.array(
        [
            point_asymmetry_test(flips(60, 0.0, s), seed=s, n_resamples=99).p_value
            for s in range(100)
        ]
    )
    assert (p <= 0.05).sum() <= 12
    assert 0.4 < p.mean() < 0.6


def test_expected_noise_is_taken_off():
    excess = [
        point_asymmetry_test(flips(60, 0.0, s), seed=s, n_resamples=99).estimate for s in range(50)
    ]
    assert abs(np.mean(excess)) < 0.003


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: point_asymmetry(plane(np.eye(3))[1:]), "symmetric about 0"),
        (lambda: point_asymmetry(plane(np.eye(3)).drop_vars("x")), "no coordinate x"),
        (lambda: point_asymmetry(plane([[np.nan, 1, 1]] * 3)), "NaN"),
        (lambda: point_asymmetry_test(flips(5, 0, 0).expand_dims(model=2)), "select one map"),
        (lambda: point_asymmetry_test(flips(5, 0, 0) * 2), "right"),
        (lambda: point_asymmetry_test(flips(5, 0, 0).where(flips(5, 0, 1))), "NaN"),
    ],
)
def test_refusals_of_the_reflection(call, message):
    with pytest.raises(InvalidInput, match=message):
        call()


@pytest.mark.data
def test_published_maps(data_root):
    maps = np.load(data_root / "what-where" / "published_maps.npz")
    stn, what = plane(maps["stn28"]), plane(maps["what"])
    assert float(point_asymmetry(stn)) == pytest.approx(0.022, abs=5e-4)
    assert float(point_asymmetry(what)) == pytest.approx(0.016, abs=5e-4)
    both = map_correlation(stn, what)
    assert float(both["r"]) == pytest.approx(
        np.corrcoef(maps["stn28"].ravel(), maps["what"].ravel())[0, 1]
    )
    # Means of the maps, .298 and .249.
    assert float(both["mean_difference"]) == pytest.approx(0.049, abs=1e-3)
