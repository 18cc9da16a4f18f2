"""Scanpaths stand where the eyes stood, in the pixels and degrees of their image."""

import inspect

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.colors import same_color
from matplotlib.patches import FancyArrowPatch
from PIL import Image
from scipy.stats import norm

from attnsci.errors import InvalidInput
from attnsci.gaze import from_arrays, from_dict, from_frame
from attnsci.geometry import Viewing
from attnsci.plotting import scanpaths as module
from attnsci.plotting.scanpaths import (
    AREA_PT2_PER_S,
    PLAIN_AREA_PT2,
    plot_density,
    plot_observers,
    plot_scanpath,
)

VIEWING = Viewing(160, 120, px_per_deg=10)
PATH = np.array([[20, 30, 0.2], [140, 100, 0.6], [80, 60, 0.1]])
PICTURE = np.random.default_rng(0).integers(0, 256, (120, 160, 3), np.uint8)
ONE = from_dict({"a.jpg": {"s1": PATH}}, VIEWING)
TWO = from_dict({"a.jpg": {"s1": PATH, "s2": [[100, 30, 0.5]]}}, VIEWING)
PLOTS = {
    "plot_scanpath": lambda **more: plot_scanpath(ONE, **more),
    "plot_observers": lambda **more: plot_observers(TWO, **more),
    "plot_density": lambda **more: plot_density(TWO, **more),
}


def test_every_plot_of_the_module_is_tested_here():
    assert {name for name in vars(module) if name.startswith("plot_")} == set(PLOTS)


@pytest.mark.parametrize("name", PLOTS)
def test_plots_make_axes_or_draw_into_those_given(name):
    assert isinstance(PLOTS[name](), Axes)
    left, right = plt.figure().subplots(1, 2)
    figures = plt.get_fignums()
    assert PLOTS[name](image=PICTURE, ax=right) is right
    assert plt.get_fignums() == figures
    assert not left.has_data()
    right.figure.draw_without_rendering()
    parameters = inspect.signature(getattr(module, name)).parameters
    assert not {"savepath", "save", "path", "show", "figsize", "dpi"} & set(parameters)


@pytest.mark.parametrize("name", PLOTS)
def test_plots_leave_their_input_alone(name):
    before = ONE.copy(deep=True), TWO.copy(deep=True), PICTURE.copy()
    PLOTS[name](image=PICTURE)
    xr.testing.assert_identical(ONE, before[0])
    xr.testing.assert_identical(TWO, before[1])
    np.testing.assert_array_equal(PICTURE, before[2])


@pytest.mark.parametrize("name", PLOTS)
def test_axes_are_the_frame_in_pixels_and_degrees(name):
    ax = PLOTS[name](image=PICTURE)
    assert (ax.get_xlim(), ax.get_ylim()) == ((0, 160), (120, 0))
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("x (px)", "y (px)")
    assert ax.get_aspect() == 1
    ax.figure.draw_without_rendering()
    top, right = ax.child_axes
    np.testing.assert_allclose(top.get_xlim(), (-8, 8))
    np.testing.assert_allclose(right.get_ylim(), (6, -6))
    assert "°" in top.get_xlabel()
    assert "°" in right.get_ylabel()


@pytest.mark.parametrize("picture", [PICTURE[::2, ::2], PICTURE[..., 0], PICTURE / 255])
def test_the_picture_fills_the_frame_at_any_resolution(picture):
    (shown,) = plot_scanpath(ONE, picture).images
    np.testing.assert_array_equal(shown.get_array(), picture)
    assert shown.get_extent() == [0, 160, 120, 0]
    assert shown.get_clim() == (0, 255 if picture.dtype == np.uint8 else 1)


def test_without_px_per_deg_there_are_no_degrees():
    plain = from_dict({"a": PATH}, Viewing(160, 120))
    assert not plot_scanpath(plain).child_axes


def test_a_frame_of_its_own_counts_its_degrees_from_its_own_centre():
    small = from_arrays(
        [[10]], [[10]], image="a", observer="s", viewing=VIEWING, width_px=[80], height_px=[40]
    )
    ax = plot_scanpath(small)
    assert (ax.get_xlim(), ax.get_ylim()) == ((0, 80), (40, 0))
    ax.figure.draw_without_rendering()
    np.testing.assert_allclose(ax.child_axes[0].get_xlim(), (-4, 4))


def test_a_scanpath_is_circles_of_its_durations_numbered_in_order():
    ax = plot_scanpath(ONE)
    circles = ax.collections[0]
    np.testing.assert_array_equal(circles.get_offsets(), PATH[:, :2])
    np.testing.assert_allclose(circles.get_sizes(), PATH[:, 2] * AREA_PT2_PER_S)
    assert [text.get_text() for text in ax.texts] == ["1", "2", "3"]
    np.testing.assert_array_equal([text.xy for text in ax.texts], PATH[:, :2])
    luminance = circles.get_facecolors()[:, :3] @ (0.2126, 0.7152, 0.0722)
    assert (np.diff(luminance) > 0).all()
    legend = ax.get_legend()
    assert [text.get_text() for text in legend.get_texts()] == ["0.1 s", "0.25 s", "0.5 s"]
    sizes = [handle.get_sizes()[0] for handle in legend.legend_handles]
    np.testing.assert_allclose(sizes, np.array([0.1, 0.25, 0.5]) * AREA_PT2_PER_S)
    assert ax.get_title() == "a.jpg, observer s1"


def test_arrows_lead_from_each_fixation_to_the_next():
    arrows = [patch for patch in plot_scanpath(ONE).patches if isinstance(patch, FancyArrowPatch)]
    ends = [arrow._posA_posB for arrow in arrows]
    np.testing.assert_array_equal(ends, [PATH[:2, :2], PATH[1:, :2]])


def test_without_durations_circles_are_equal_and_need_no_legend():
    ax = plot_scanpath(from_dict({"a": PATH[:, :2]}, VIEWING))
    np.testing.assert_array_equal(ax.collections[0].get_sizes(), [PLAIN_AREA_PT2] * 3)
    assert ax.get_legend() is None


def test_padding_is_not_drawn():
    one_fixation = TWO.isel(scanpath=[1])
    ax = plot_scanpath(one_fixation)
    np.testing.assert_array_equal(ax.collections[0].get_offsets(), [[100, 30]])
    assert len(ax.texts) == 1


def test_a_scanpath_without_fixations_is_an_empty_frame():
    empty = from_dict({"a": {"s1": []}}, VIEWING)
    for plot in (plot_scanpath, plot_observers, plot_density):
        ax = plot(empty)
        assert ax.get_xlim() == (0, 160)
        ax.figure.draw_without_rendering()


def test_points_outside_widen_the_axes_and_far_ones_are_counted():
    stray = from_dict({"a": [[10, 10], [-10, 130], [9999, 60], [20, -9999]]}, VIEWING)
    ax = plot_scanpath(stray)
    np.testing.assert_allclose(ax.get_xlim(), (-13.2, 160))
    np.testing.assert_allclose(ax.get_ylim(), (132.4, 0))
    assert ax.texts[0].get_text() == "fixations farther outside: 2"
    np.testing.assert_array_equal(ax.collections[0].get_offsets(), [[10, 10], [-10, 130]])


def test_observers_have_their_own_colour_and_marker():
    n = 28
    many = from_arrays(
        np.arange(2.0 * n).reshape(n, 2), np.ones((n, 2)), image="a",
        observer=[f"s{i}" for i in range(n)], viewing=VIEWING,
    )  # fmt: skip
    ax = plot_observers(many)
    assert len({(line.get_color(), line.get_marker()) for line in ax.lines}) == n
    for index, line in enumerate(ax.lines):
        np.testing.assert_array_equal(line.get_xdata(), many["x"][index])
        assert line.get_label() == f"s{index}"
    first = [points.get_offsets()[0] for points in ax.collections]
    np.testing.assert_array_equal(first, np.stack([many["x"][:, 0], many["y"][:, 0]], axis=1))
    assert len(ax.get_legend().get_texts()) == n


def test_more_observers_than_can_be_told_apart_are_counted():
    crowd = from_arrays(
        np.ones((29, 1)), np.ones((29, 1)), image="a", observer=range(29), viewing=VIEWING
    )
    ax = plot_observers(crowd)
    assert len({line.get_color() for line in ax.lines}) == 1
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["29 scanpaths"]


def test_samples_of_a_model_are_named():
    samples = from_arrays(
        [[1], [2]], [[1], [2]], image="a", observer="m", viewing=VIEWING, sample=["0", "1"]
    )
    assert [line.get_label() for line in plot_observers(samples).lines] == ["m, 0", "m, 1"]


def test_density_is_fixations_per_square_degree():
    ax = plot_density(from_dict({"a": [[80.5, 60.5], [80.5, 60.5]]}, VIEWING), PICTURE, sigma_px=5)
    background, shown = ax.images
    density = shown.get_array()
    # Two fixations at the centre of pixel (80, 60): a sampled Gaussian, cut at 4 σ.
    offsets = np.arange(-20, 21)
    weights = norm.pdf(offsets, scale=5)
    weights /= weights.sum()
    expected = np.zeros((120, 160))
    expected[40:81, 60:101] = 2 * np.outer(weights, weights) * 10**2
    np.testing.assert_allclose(density, expected, atol=1e-12)
    assert density.sum() / 10**2 == pytest.approx(2)
    assert shown.get_clim() == (0, density.max())
    assert shown.get_alpha()[0, 0] == 0
    assert same_color(background.to_rgba(0.5), background.cmap(0.5)), "a grey picture"
    bar = shown.colorbar
    assert "fixations per square degree (σ = 0.5°)" in bar.ax.get_xlabel()
    (dots,) = ax.lines
    assert dots.get_xdata().tolist() == [80.5, 80.5]


def test_density_is_smoothed_by_one_degree_where_it_is_known():
    known = plot_density(TWO).images[0]
    given = plot_density(TWO, sigma_px=10).images[0]
    np.testing.assert_array_equal(known.get_array(), given.get_array())
    plain = from_dict({"a": PATH}, Viewing(160, 120))
    with pytest.raises(InvalidInput, match="px_per_deg"):
        plot_density(plain)
    label = plot_density(plain, sigma_px=4).images[0].colorbar.ax.get_xlabel()
    assert label == "fixations per square pixel (σ = 4 px)"


def test_density_counts_no_fixation_outside_the_frame():
    stray = from_dict({"a": [[-1, 60], [160, 120], [9999, 60]]}, VIEWING)
    values = plot_density(stray, sigma_px=0.1).images[0].get_array()
    assert values.sum() / 10**2 == pytest.approx(1)
    assert values[-1, -1] > 0


def test_a_given_density_lies_on_its_coordinates():
    density = xr.DataArray(
        np.arange(12.0).reshape(3, 4).T,
        {"x": [20, 60, 100], "y": [15, 45, 75, 105]},
        ("y", "x"),
        attrs={"long_name": "density", "units": "1/px", "viewing": VIEWING.to_json()},
    )
    ax = plot_density(density.T, PICTURE)
    shown = ax.images[1]
    np.testing.assert_array_equal(shown.get_array(), density)
    assert shown.get_extent() == [0, 120, 120, 0]
    assert ax.get_xlim() == (0, 160)
    assert shown.colorbar.ax.get_xlabel() == "density (1/px)"
    bare = plot_density(density.drop_vars(["x", "y"]).drop_attrs().rename("saliency"))
    assert (bare.get_xlim(), bare.get_ylim()) == ((0, 3), (4, 0))
    assert bare.images[0].colorbar.ax.get_xlabel() == "saliency"


@pytest.mark.parametrize(
    ("values", "message"), [(-0.5, "smallest value is -0.5"), (np.nan, "NaN")], ids=str
)
def test_what_is_no_density_is_refused(values, message):
    with pytest.raises(InvalidInput, match=message):
        plot_density(xr.DataArray([[values, 1.0]], dims=("y", "x")))


def test_scanpaths_of_several_images_are_refused():
    both = from_dict({"a": PATH, "b": PATH}, VIEWING)
    for plot in (plot_observers, plot_density):
        with pytest.raises(InvalidInput, match="2 images"):
            plot(both)
    for scanpaths in (both, both.isel(scanpath=0)):
        with pytest.raises(InvalidInput, match="One scanpath"):
            plot_scanpath(scanpaths)
    sizes = from_arrays(
        [[1], [2]], [[1], [2]], image="a", observer=["1", "2"], viewing=VIEWING,
        width_px=[160, 80], height_px=[120, 60],
    )  # fmt: skip
    with pytest.raises(InvalidInput, match=r"\[80, 160\] pixels wide"):
        plot_observers(sizes)


@pytest.mark.parametrize(
    ("picture", "message"),
    [
        (PICTURE[:, :-4], "156×120.*160×120"),
        (PICTURE.transpose(1, 0, 2), "120×160"),
        (PICTURE[..., :2], r"\(120, 160, 2\)"),
        (PICTURE[0, 0], r"\(3,\)"),
    ],
    ids=["narrow", "turned", "channels", "line"],
)
def test_another_picture_than_the_frame_is_refused(picture, message):
    with pytest.raises(InvalidInput, match=message):
        plot_scanpath(ONE, picture)


def test_rounding_of_a_downscaled_picture_is_allowed():
    odd = from_dict({"a": PATH}, Viewing(1023, 767))
    plot_scanpath(odd, np.zeros((384, 512), np.uint8))


@pytest.mark.data
def test_real_scanpaths_over_their_photograph(data_root):
    folder = data_root / "gaze" / "osie"
    frame = pd.read_csv(folder / "fixations.csv.gz")
    scanpaths = from_frame(frame[frame["image"] == "1001.jpg"], Viewing(800, 600, px_per_deg=24))
    picture = np.asarray(Image.open(folder / "stimuli" / "1001.jpg"))
    assert len(plot_observers(scanpaths, picture).lines) == 15
    density = plot_density(scanpaths, picture).images[1].get_array()
    # Fixations near the border lose a part of their Gaussian.
    n = int(scanpaths["n_fixations"].sum())
    assert 0.9 * n < density.sum() / 24**2 < n
