"""Fixation maps: scipy's filter, exact zeros, what is left out, what lies outside."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import gaussian_filter

from attnsci.errors import InvalidInput, UnknownName
from attnsci.scanpaths import Viewing, from_arrays, from_dict
from attnsci.scanpaths.blur import blur, without
from attnsci.scanpaths.maps import FixationMaps, centre_bias, fixation_density

VIEWING = Viewing(80, 60, px_per_deg=4)


def filtered(x, y, shape, sigma):
    counts = np.zeros(shape)
    np.add.at(counts, (np.asarray(y, int), np.asarray(x, int)), 1)
    return gaussian_filter(counts, sigma, mode="constant")


def people(n_images=4, n_observers=3, n=7, seed=0):
    rng = np.random.default_rng(seed)
    return from_dict(
        {
            f"i{i}": {f"s{s}": rng.uniform(0, (80, 60), (n, 2)) for s in range(n_observers)}
            for i in range(n_images)
        },
        VIEWING,
    )


@pytest.mark.parametrize("sigma", [0.4, 2.0, 4.37, 30.0])
@pytest.mark.parametrize("n", [1, 9, 300])  # 300: more points than rows and columns
def test_blur_is_scipys_filter(sigma, n):
    rng = np.random.default_rng(n)
    x, y = rng.integers(0, 80, n), rng.integers(0, 60, n)
    x[0], y[0] = 79, 0
    np.testing.assert_allclose(
        blur(x, y, (60, 80), sigma), filtered(x, y, (60, 80), sigma), rtol=1e-12, atol=1e-15
    )


def test_kernel_is_cut_at_four_sigma_and_loses_what_falls_outside():
    one = blur(np.array([40]), np.array([30]), (60, 80), 3.0)
    assert one[30, 52] > 0 and one[30, 53] == 0 and one[18, 28] > 0 and one[17, 28] == 0
    assert one.sum() == pytest.approx(1, abs=1e-12)
    corner = blur(np.array([0]), np.array([0]), (60, 80), 3.0)
    assert corner.sum() == pytest.approx(((1 + one[30, 40] ** 0.5) / 2) ** 2, abs=1e-12)


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 40), st.integers(1, 5), st.floats(0.5, 9))
def test_taking_points_away_equals_never_having_had_them(seed, n_rest, n_own, sigma):
    rng = np.random.default_rng(seed)
    x, y = rng.integers(0, 64, n_rest + n_own), rng.integers(0, 48, n_rest + n_own)
    rest = blur(x[n_own:], y[n_own:], (48, 64), sigma)
    total = blur(x, y, (48, 64), sigma)
    got = without(total, blur(x[:n_own], y[:n_own], (48, 64), sigma), sigma)
    np.testing.assert_array_equal(got == 0, rest == 0)
    np.testing.assert_allclose(got, rest, rtol=1e-6, atol=1e-15)


def test_density_discretises_by_floor_and_sums_to_one():
    paths = from_dict({"a": [[10.99, 5.99], [79.999, 0.0]]}, VIEWING)
    density = fixation_density(paths)
    expected = filtered([10, 79], [5, 0], (60, 80), 4)
    np.testing.assert_allclose(density.sel(image="a"), expected / expected.sum(), atol=1e-15)
    assert density.dims == ("image", "y", "x") and density.x[0] == 0.5
    assert density.attrs["sigma_px"] == 4
    wide = fixation_density(paths, 8)
    assert wide.attrs["sigma_px"] == 8 and wide.max() < density.max()


def test_fixations_on_the_far_border_are_outside_and_counted():
    paths = from_dict({"a": [[80, 30], [0, 0], [-0.01, 5], [40, 60], [79.9, 59.9]]}, VIEWING)
    maps = FixationMaps(paths)
    assert maps.n_outside.tolist() == [3] and maps.n_fixations.tolist() == [2]
    assert maps.index.tolist() == [1, 4]
    x, y, _ = maps.pixels("a")
    assert (x.tolist(), y.tolist()) == ([0, 79], [0, 59])

    clipped = FixationMaps(paths, outside="clip")
    assert clipped.n_outside.tolist() == [3] and clipped.n_fixations.tolist() == [5]
    x, y, _ = clipped.pixels("a")
    assert (x.tolist(), y.tolist()) == ([79, 0, 0, 40, 79], [30, 0, 5, 59, 59])


def test_images_keep_the_order_of_first_appearance():
    paths = from_arrays([[1], [2], [3]], [[1], [2], [3]], image=["z", "a", "z"],
                        observer=["1", "1", "2"], viewing=VIEWING)  # fmt: skip
    density = fixation_density(paths)
    assert density.image.values.tolist() == ["z", "a"]
    assert density.n_fixations.values.tolist() == [2, 1]
    assert FixationMaps(paths).pixels("z")[0].tolist() == [1, 3]
    assert fixation_density(paths, images=["a"]).image.values.tolist() == ["a"]


def test_leaving_an_observer_out():
    paths = from_dict({"a": {"s1": [[10, 5]], "s2": [[40, 30]], "s3": [[60, 50]]}}, VIEWING)
    expected = filtered([10, 60], [5, 50], (60, 80), 4)
    got = fixation_density(paths, leave_out="s2").sel(image="a")
    np.testing.assert_allclose(got, expected / expected.sum(), atol=1e-15)
    with pytest.raises(UnknownName, match="'s4'"):
        fixation_density(paths, leave_out="s4")


def test_centre_bias_is_the_density_of_all_other_images():
    paths = people()
    bias = centre_bias(paths)
    for image in bias.image.values:
        rest = paths.isel(scanpath=paths.image.values != image)
        x, y = (rest[name].values.ravel() for name in ("x", "y"))
        expected = filtered(x, y, (60, 80), 4)
        np.testing.assert_allclose(bias.sel(image=image), expected / expected.sum(), atol=1e-15)
    mixed = centre_bias(paths, uniform=0.25)
    np.testing.assert_allclose(mixed, 0.75 * bias + 0.25 / 4800, atol=1e-15)
    np.testing.assert_array_equal(centre_bias(paths, uniform=1), 1 / 4800)


def test_other_images_are_brought_to_this_images_size():
    paths = from_arrays(
        [[10, 79], [100, 159.99]], [[5, 59], [50, 119.99]], image=["small", "large"], observer="s",
        viewing=VIEWING, width_px=[80, 160], height_px=[60, 120],
    )  # fmt: skip
    maps = FixationMaps(paths)
    assert maps.shape("large") == (120, 160)
    assert maps.others("small").tolist() == [25 * 80 + 50, 59 * 80 + 79]
    assert maps.others("large").tolist() == [10 * 160 + 20, 118 * 160 + 158]
    expected = filtered([50, 79], [25, 59], (60, 80), 4)
    np.testing.assert_allclose(maps.centre_bias("small"), expected / expected.sum(), atol=1e-15)
    with pytest.raises(InvalidInput, match="2 different sizes"):
        fixation_density(paths)


def test_an_image_that_the_set_lacks_leaves_nothing_out():
    maps = FixationMaps(people())
    assert len(maps.others("new", (60, 80))) == maps.n_fixations.sum()
    assert maps.centre_bias("new", shape=(60, 80)).sum() == pytest.approx(1)


def test_what_cannot_be_is_an_error():
    one = from_dict({"a": [[10, 5]]}, VIEWING)
    maps = FixationMaps(one)
    with pytest.raises(InvalidInput, match="no centre bias"):
        maps.centre_bias("a")
    with pytest.raises(InvalidInput, match="negatives"):
        maps.others("a")
    with pytest.raises(UnknownName, match="'b'"):
        maps.density("b")
    with pytest.raises(InvalidInput, match="No fixation lies inside image 'a' without"):
        FixationMaps(from_dict({"a": {"s": [[1, 1]]}}, VIEWING)).density("a", "s")
    with pytest.raises(InvalidInput, match="px_per_deg"):
        fixation_density(from_dict({"a": [[10, 5]]}, Viewing(80, 60)))
    with pytest.raises(InvalidInput, match="sigma_px"):
        fixation_density(one, -1)
    with pytest.raises(InvalidInput, match=r"whole number.*80.5×60"):
        fixation_density(from_dict({"a": [[10, 5]]}, Viewing(80.5, 60, px_per_deg=4)))
    with pytest.raises(InvalidInput, match="outside must be one of"):
        fixation_density(one, outside="wrap")
    differing = from_arrays([[1], [2]], [[1], [2]], image="a", observer=["1", "2"],
                            viewing=VIEWING, width_px=[80, 90], height_px=[60, 60])  # fmt: skip
    with pytest.raises(InvalidInput, match="not the same for all"):
        fixation_density(differing)
