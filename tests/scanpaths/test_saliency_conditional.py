"""Conditional saliency: the map of each fixation, its history, the first left out."""

import numpy as np
import pytest
import xarray as xr

from attnsci.errors import InvalidInput
from attnsci.scanpaths import Viewing, from_dict
from attnsci.scanpaths import saliency_fixations as sf
from attnsci.scanpaths.maps import centre_bias
from attnsci.scanpaths.saliency_conditional import METRICS, conditional_saliency

VIEWING = Viewing(40, 30, px_per_deg=4)


@pytest.fixture
def paths():
    rng = np.random.default_rng(3)
    return from_dict(
        {
            "b": {f"s{s}": rng.uniform(0, (40, 30), (n, 2)) for s, n in enumerate((5, 1, 3))},
            "a": {f"s{s}": rng.uniform(0, (40, 30), (n, 2)) for s, n in enumerate((2, 4))},
        },
        VIEWING,
    )


@pytest.fixture
def maps(paths):
    shape = (paths.sizes["scanpath"], paths.sizes["fixation"], 30, 40)
    values = np.random.default_rng(4).gamma(1, size=shape)
    return xr.DataArray(values, dims=("scanpath", "fixation", "y", "x"))


def test_each_fixation_is_scored_on_its_own_map(paths, maps):
    result = conditional_saliency(maps, paths, tuple(METRICS), uniform=0.02, ddof=1)
    bias = centre_bias(paths, uniform=0.02)
    rows, images = [], []
    for s in range(5):
        image = str(paths.image.values[s])
        for f in range(1, int(paths.n_fixations[s])):
            x, y = ([paths[name].values[s, f]] for name in ("x", "y"))
            one = maps.values[s, f]
            rows.append(
                [
                    sf.log_likelihood(one, x, y)[0],
                    sf.information_gain(one, bias.sel(image=image).values, x, y)[0],
                    sf.nss(one, x, y, ddof=1)[0],
                    sf.auc(one, x, y)[0],
                ]
            )
            images.append((s, image))
    rows = np.array(rows)
    np.testing.assert_allclose(result["mean"].sel(over="fixations"), rows.mean(0), rtol=1e-12)
    for image in ("b", "a"):
        expected = rows[[name == image for _, name in images]].mean(0)
        np.testing.assert_allclose(result["value"].sel(image=image), expected, rtol=1e-12)
    np.testing.assert_allclose(result["mean"].sel(over="images"), result["value"].mean("image"))
    for s in (0, 2, 3, 4):
        expected = rows[[row == s for row, _ in images]].mean(0)
        np.testing.assert_allclose(result["scanpath_value"][s], expected, rtol=1e-12)
    assert np.isnan(result["scanpath_value"][1]).all()
    assert result.n_fixations.values.tolist() == [6, 4]


def test_a_function_gets_the_history(paths, maps):
    seen = []

    def predict(image, x, y):
        seen.append((image, len(x)))
        row = int(np.flatnonzero(paths.x.values[:, 0] == x[0])[0])
        np.testing.assert_array_equal(x, paths.x.values[row, : len(x)])
        np.testing.assert_array_equal(y, paths.y.values[row, : len(y)])
        return maps.values[row, len(x)]

    settings = {"metrics": ("cll", "cnss", "cauc")}
    got = conditional_saliency(predict, paths, **settings)
    xr.testing.assert_identical(got, conditional_saliency(maps, paths, **settings))
    assert seen == [("b", n) for n in (1, 2, 3, 4, 1, 2)] + [("a", n) for n in (1, 1, 2, 3)]


def test_maps_by_image_are_matched_by_name(paths, maps):
    by_image = maps[:2].rename(scanpath="image").assign_coords(image=["a", "b"])
    got = conditional_saliency(by_image, paths, ("cauc",))
    rows = xr.concat([maps[[1]]] * 3 + [maps[[0]]] * 2, "scanpath")
    xr.testing.assert_identical(got, conditional_saliency(rows, paths, ("cauc",)))


def test_a_fixation_outside_is_history_and_no_target():
    paths = from_dict({"a": [[5, 5], [40, 5], [10, 10]]}, VIEWING)
    seen = []

    def predict(image, x, y):
        seen.append(x.tolist())
        return np.ones((30, 40))

    result = conditional_saliency(predict, paths, ("cll", "cauc"))
    assert seen == [[5, 40]]
    assert result.n_fixations.item() == 1 and result.n_outside.item() == 1
    np.testing.assert_allclose(result["value"], [[0, 0.5]], atol=1e-12)


def test_gain_of_the_baseline_over_itself_is_zero(paths):
    bias = centre_bias(paths, uniform=0.02)
    result = conditional_saliency(
        lambda image, x, y: bias.sel(image=image), paths, ("cig",), baseline=bias
    )
    np.testing.assert_allclose(result["value"], 0, atol=1e-12)


def test_unusable_maps(paths, maps):
    with pytest.raises(InvalidInput, match="predict 4 fixations and the longest scanpath has 5"):
        conditional_saliency(maps.isel(fixation=slice(4)), paths, ("cauc",))
    with pytest.raises(InvalidInput, match="maps are of 4 scanpaths; there are 5"):
        conditional_saliency(maps[:4], paths, ("cauc",))
    with pytest.raises(InvalidInput, match="have no map"):
        by_image = maps[:2].rename(scanpath="image").assign_coords(image=["a", "z"])
        conditional_saliency(by_image, paths, ("cauc",))
    with pytest.raises(InvalidInput, match="function maps"):
        conditional_saliency({"a": 1}, paths)
    with pytest.raises(InvalidInput, match="conditional map of image 'b' has 40×29"):
        conditional_saliency(maps.isel(y=slice(29)), paths, ("cauc",))
    with pytest.raises(InvalidInput, match="negative"):
        conditional_saliency(-maps, paths, ("cll",))
    with pytest.raises(InvalidInput, match="nothing to score"):
        one = from_dict({"a": [[5, 5]]}, VIEWING)
        conditional_saliency(maps[:1], one, ("cauc",))
    with pytest.raises(InvalidInput, match="metrics must be one of 'cll'"):
        conditional_saliency(maps, paths, ("nss",))
