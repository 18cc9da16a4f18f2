"""Labelled saliency: equals the plain functions, matches images by name, counts and complains."""

import numpy as np
import pytest
import xarray as xr

from attnsci.errors import InvalidInput
from attnsci.scanpaths import Viewing, from_arrays, from_dict
from attnsci.scanpaths import saliency_fixations as sf
from attnsci.scanpaths import saliency_maps as sm
from attnsci.scanpaths.maps import centre_bias, fixation_density
from attnsci.scanpaths.saliency_scores import METRICS, saliency

VIEWING = Viewing(80, 60, px_per_deg=6)
IMAGES = ["b", "a", "c"]


@pytest.fixture
def paths():
    rng = np.random.default_rng(1)
    return from_dict(
        {i: {f"s{s}": rng.uniform(0, (80, 60), (6, 2)) for s in range(4)} for i in IMAGES}, VIEWING
    )


@pytest.fixture
def maps():
    values = np.random.default_rng(2).gamma(1, size=(3, 60, 80))
    return xr.DataArray(values, dims=("image", "y", "x"), coords={"image": ["c", "b", "a"]})


def points(paths, image):
    rows = paths.isel(scanpath=paths.image.values == image)
    return rows.x.values.ravel(), rows.y.values.ravel()


def test_every_metric_equals_its_plain_function(paths, maps):
    result = saliency(maps, paths, tuple(METRICS), uniform=0.01)
    assert result.image.values.tolist() == IMAGES
    empirical, bias = fixation_density(paths), centre_bias(paths, uniform=0.01)
    for image in IMAGES:
        one, (x, y) = maps.sel(image=image).values, points(paths, image)
        others = [points(paths, name) for name in IMAGES if name != image]
        others = tuple(np.concatenate(axis) for axis in zip(*others, strict=True))
        truth = empirical.sel(image=image).values
        expected = {
            "nss": sf.nss(one, x, y).mean(),
            "auc": sf.auc(one, x, y).mean(),
            "auc_unfixated": sf.auc(one, x, y, "unfixated").mean(),
            "auc_judd": sf.auc_judd(one, x, y),
            "sauc": sf.auc(one, x, y, "shuffled", others).mean(),
            "ll": sf.log_likelihood(one, x, y).mean(),
            "ig": sf.information_gain(one, bias.sel(image=image).values, x, y).mean(),
            "cc": sm.cc(one, truth),
            "sim": sm.sim(one, truth),
            "kl": sm.kl(one, truth),
        }
        got = result["value"].sel(image=image)
        for metric, value in expected.items():
            np.testing.assert_allclose(got.sel(metric=metric), value, rtol=1e-12, err_msg=metric)
    assert result.n_fixations.values.tolist() == [24, 24, 24]


def test_settings_reach_their_metric(paths, maps):
    plain = saliency(maps, paths, ("nss", "sim", "kl"))["value"]
    other = saliency(maps, paths, ("nss", "sim", "kl"), ddof=1, range_normalise=True, eps=1e-3)
    np.testing.assert_allclose(
        other["value"].sel(metric="nss"), plain.sel(metric="nss") * np.sqrt(4799 / 4800)
    )
    one, truth = maps.sel(image="a").values, fixation_density(paths).sel(image="a").values
    at = other["value"].sel(image="a")
    assert at.sel(metric="sim") == sm.sim(one, truth, range_normalise=True)
    assert at.sel(metric="kl") == sm.kl(one, truth, 1e-3)
    wide = saliency(maps, paths, ("cc",), sigma_px=12)["value"]
    expected = sm.cc(one, fixation_density(paths, 12).sel(image="a").values)
    assert wide.sel(image="a", metric="cc") == expected


def test_maps_may_be_an_array_a_mapping_or_a_function(paths, maps):
    expected = saliency(maps, paths, ("nss", "auc"))
    by_name = {name: maps.sel(image=name).values for name in IMAGES}
    asked = []

    def function(image):
        asked.append(image)
        return by_name[image]

    for given in (by_name, function, maps.transpose("x", "image", "y"), maps.chunk(image=1)):
        xr.testing.assert_identical(saliency(given, paths, ("nss", "auc")), expected)
    assert asked == IMAGES


def test_images_are_matched_as_text():
    paths = from_dict({1001: [[10, 5]], 1002: [[70, 5]]}, VIEWING)
    left = np.repeat([[1.0, 0.0]], [40, 40], axis=1).repeat(60, axis=0)
    maps = xr.DataArray(
        np.stack([left[:, ::-1], left]), dims=("image", "y", "x"), coords={"image": [1002, 1001]}
    )
    result = saliency(maps, paths, ("auc",))
    assert result["value"].values.ravel().tolist() == [0.75, 0.75]


def test_baselines(paths, maps):
    uniform = saliency(maps, paths, ("ll", "ig"), baseline="uniform")["value"]
    np.testing.assert_allclose(uniform.sel(metric="ll"), uniform.sel(metric="ig"), atol=1e-12)
    itself = saliency(maps, paths, ("ig",), baseline=maps)["value"]
    np.testing.assert_array_equal(itself, 0)
    bias = centre_bias(paths, uniform=0.01)
    given = saliency(maps, paths, ("ig",), baseline=bias)["value"]
    made = saliency(maps, paths, ("ig",), uniform=0.01)["value"]
    np.testing.assert_allclose(given, made, atol=1e-10)
    with pytest.raises(InvalidInput, match="baseline must be one of"):
        saliency(maps, paths, baseline="centre")
    with pytest.raises(InvalidInput, match="baseline of image 'b' has 40×60"):
        saliency(maps, paths, baseline=dict.fromkeys(IMAGES, np.ones((60, 40))))
    narrow = from_dict({"a": [[5, 5]], "b": [[70, 50]]}, VIEWING)
    with pytest.raises(InvalidInput, match=r"uniform=0.01"):
        saliency(dict.fromkeys("ab", np.ones((60, 80))), narrow, ("ig",), sigma_px=2)


def test_a_larger_set_gives_negatives_and_centre_bias(paths, maps):
    whole = saliency(maps, paths, ("sauc", "ig", "nss"), uniform=0.01)
    one = paths.isel(scanpath=paths.image.values == "a")
    part = saliency(
        maps.sel(image=["a"]), one, ("sauc", "ig", "nss"), uniform=0.01, reference=paths
    )
    np.testing.assert_allclose(part["value"], whole["value"].sel(image=["a"]), rtol=1e-12)
    for metric, message in (("sauc", "negatives"), ("ig", "centre bias")):
        with pytest.raises(InvalidInput, match=message):
            saliency(maps.sel(image=["a"]), one, (metric,))


def test_fixations_outside_are_dropped_and_counted():
    paths = from_dict({"a": [[80, 5], [10, 5], [-3, 5]], "b": [[10, 60]]}, VIEWING)
    maps = dict.fromkeys("ab", np.repeat([[1.0, 0.0]], [40, 40], axis=1).repeat(60, axis=0))
    with pytest.warns(UserWarning, match=r"1 images lack a score .*: b"):
        result = saliency(maps, paths, ("auc", "nss", "kl"))
    assert result.n_fixations.values.tolist() == [1, 0]
    assert result.n_outside.values.tolist() == [2, 1]
    assert result["value"].sel(image="a", metric="auc") == 0.75
    assert np.isnan(result["value"].sel(image="b")).all()
    clipped = saliency(maps, paths, ("auc",), outside="clip")
    np.testing.assert_allclose(clipped["value"].values.ravel(), [(0.25 + 0.75 + 0.75) / 3, 0.75])


def test_constant_maps(paths):
    flat = dict.fromkeys(IMAGES, np.full((60, 80), 0.1))
    with pytest.warns(UserWarning, match=r"3 images lack a score .*constant map"):
        value = saliency(flat, paths, ("nss", "auc", "sauc", "ll", "cc"))["value"]
    np.testing.assert_allclose(value.values[:, :4], [[0, 0.5, 0.5, 0]] * 3, atol=1e-12)
    assert np.isnan(value.sel(metric="cc")).all()


def test_images_may_differ_in_size():
    paths = from_arrays(
        [[10], [100]], [[5], [50]], image=["small", "large"], observer="s",
        viewing=VIEWING, width_px=[80, 160], height_px=[60, 120],
    )  # fmt: skip
    maps = {"small": np.eye(60, 80), "large": np.eye(120, 160)}
    result = saliency(maps, paths, ("sauc", "nss"))
    assert result["value"].sel(metric="sauc").values.tolist() == [0.5, 0.5]


def test_maps_that_do_not_fit(paths, maps):
    with pytest.raises(InvalidInput, match=r"1 of 3 images of the scanpaths have no map.*'b'"):
        saliency(maps.sel(image=["c", "a"]), paths)
    extra = xr.concat([maps, maps[:1].assign_coords(image=["d"])], "image")
    with pytest.raises(InvalidInput, match=r"1 of 4 maps are of images without scanpaths.*'d'"):
        saliency(extra, paths)
    with pytest.raises(InvalidInput, match="two maps of one image"):
        saliency(xr.concat([maps, maps[:1]], "image"), paths)
    with pytest.raises(InvalidInput, match="coordinate 'image'"):
        saliency(maps.drop_vars("image"), paths)
    with pytest.raises(InvalidInput, match="lacks the dimension"):
        saliency(maps.isel(image=0), paths)
    with pytest.raises(InvalidInput, match="mapping of image name"):
        saliency(maps.values, paths)
    with pytest.raises(
        InvalidInput,
        match=r"'b' has 40×30 pixels and the image 80×60.*resize.*rescale\(sca.*40, 30",
    ):
        saliency(maps.isel(x=slice(40), y=slice(30)), paths)
    bad = maps.copy(deep=True)
    bad[0, 3, 4] = np.nan
    with pytest.raises(InvalidInput, match=r"map of image 'c' holds 1 values.*\(3, 4\)"):
        saliency(bad, paths)
    with pytest.raises(InvalidInput, match="no negative values"):
        saliency(-maps, paths, ("ll",))
    with pytest.raises(InvalidInput, match="metrics must be one of 'nss'"):
        saliency(maps, paths, ("NSS",))
    with pytest.raises(InvalidInput, match="metrics is empty"):
        saliency(maps, paths, ())


def test_the_result_can_be_written(paths, maps, tmp_path):
    result = saliency(maps, paths, ("nss",))
    result.to_netcdf(tmp_path / "saliency.nc", engine="h5netcdf")
    with xr.open_dataset(tmp_path / "saliency.nc", engine="h5netcdf") as read:
        np.testing.assert_array_equal(read["value"], result["value"])
