"""The figures of inhibition of return show the numbers, signs and names that they are given."""

import inspect

import matplotlib.pyplot as plt
import numpy as np
import pytest
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.colors import same_color
from matplotlib.figure import Figure

from attnsci.errors import InvalidInput
from attnsci.plotting import inhibition as module
from attnsci.plotting.inhibition import (
    FEWER,
    MORE,
    NEITHER,
    plot_baselines,
    plot_index,
    plot_momentum,
    plot_saccade_map,
)

INDEX = np.array([[[-0.3], [0.0], [0.4]], [[0.2], [-0.1], [-0.5]]])
RESULT = xr.Dataset(
    {
        name: (("baseline", "lag", "radius"), INDEX + shift)
        for name, shift in (("index", 0.0), ("low", -0.15), ("high", 0.15))
    },
    coords={
        "baseline": ["order", "same_image"],
        "number": ("baseline", [1, 3]),
        "asks": ("baseline", ["is the order special?", "does one's own history matter?"]),
        "lag": [1, 2, 3],
        "radius": [1.0],
        "radius_px": ("radius", [24.0]),
        "radius_deg": ("radius", [1.0]),
    },
)
MAP = xr.Dataset(
    {"ratio": (("amplitude_change_deg", "turn_deg"), [[1.0, 2.0, 0.0], [np.nan, 9.0, 0.5]])},
    coords={"amplitude_change_deg": [-0.5, 0.5], "turn_deg": [30.0, 90.0, 150.0]},
    attrs={"baseline": "saccade_permutation"},
)
MOMENTUM = xr.Dataset(
    {
        "duration": ("turn_deg", [0.2, 0.24]),
        "duration_low": ("turn_deg", [0.19, 0.22]),
        "duration_high": ("turn_deg", [0.21, 0.26]),
        "box_duration": ("group", [0.26, 0.235, 0.2, 0.22]),
    },
    coords={"turn_deg": [45.0, 135.0], "group": ["return", "other turn back", "forward", "all"]},
    attrs={"box_turn_deg": 20.0},
)
PLOTS = {
    "plot_index": lambda **ax: plot_index(RESULT.isel(baseline=0), **ax),
    "plot_saccade_map": lambda **ax: plot_saccade_map(MAP, **ax),
    "plot_momentum": lambda **ax: plot_momentum(MOMENTUM, **ax),
}


def test_every_plot_of_the_module_is_tested_here():
    public = {name for name in vars(module) if name.startswith("plot_")}
    assert public == {*PLOTS, "plot_baselines"}


@pytest.mark.parametrize("name", PLOTS)
def test_plots_make_axes_or_draw_into_those_given(name):
    assert isinstance(PLOTS[name](), Axes)
    left, right = plt.figure().subplots(1, 2)
    figures = plt.get_fignums()
    assert PLOTS[name](ax=right) is right
    assert plt.get_fignums() == figures
    assert right.has_data()
    assert not left.has_data()
    parameter = inspect.signature(getattr(module, name)).parameters["ax"]
    assert parameter.kind is inspect.Parameter.KEYWORD_ONLY


def test_signs_have_their_colours():
    ax = plot_index(RESULT.isel(baseline=0))
    drawn = {line.get_label(): line for line in ax.lines if line.get_marker() == "o"}
    wanted = {"fewer returns": (FEWER, 1, -0.3), "more returns": (MORE, 3, 0.4),
              "not told apart": (NEITHER, 2, 0.0)}  # fmt: skip
    for label, (colour, lag, value) in wanted.items():
        assert same_color(drawn[label].get_color(), colour)
        assert drawn[label].get_xdata().tolist() == [lag]
        assert drawn[label].get_ydata().tolist() == [value]
    ends = [segment for c in ax.collections for segment in c.get_segments()]
    assert sorted(round(float(s[0, 1]), 2) for s in ends) == [-0.45, -0.15, 0.25]


def test_no_panel_without_the_name_and_the_question_of_its_control():
    drawn = plot_baselines(RESULT)
    assert isinstance(drawn, Figure)
    panels = [ax for ax in drawn.axes if ax.has_data()]
    assert [ax.get_title(loc="left") for ax in panels] == ["B1 order", "B3 same image"]
    assert ["order special" in ax.texts[0].get_text() for ax in panels] == [True, False]
    assert len({ax.get_ylim() for ax in panels}) == 1
    assert panels[0].get_ylim()[1] == pytest.approx(1.1 * 0.65)
    assert "1°" in drawn.get_suptitle()
    assert panels[0].get_ylabel()
    assert panels[0].get_xlabel() == "lag (fixations)"


def test_one_radius_a_figure():
    both = xr.concat([RESULT, RESULT.assign_coords(radius=[2.0])], "radius")
    with pytest.raises(InvalidInput, match="one radius"):
        plot_baselines(both)
    with pytest.raises(InvalidInput, match="one baseline"):
        plot_index(RESULT)


def test_radii_of_models_are_named_in_pixels_and_glimpses():
    model = RESULT.drop_vars("radius_deg").assign_coords(radius_patch=("radius", [0.5]))
    assert "24 px (0.5 glimpses)" in plot_baselines(model).get_suptitle()


def test_map_is_clipped_symmetric_and_names_its_control():
    ax = plot_saccade_map(MAP)
    mesh = ax.collections[0]
    shown = np.ma.asarray(mesh.get_array())
    assert shown.mask.sum() == 1, "no control, no colour"
    np.testing.assert_allclose(shown.compressed(), [1, 2, 0.25, 4, 0.5])
    assert (mesh.norm.vmin, mesh.norm.vmax) == (0.25, 4)
    corners = {(p.get_x(), p.get_y(), p.get_width(), p.get_height()) for p in ax.patches}
    assert corners == {(0, -1, 20, 2), (160, -1, 20, 2)}
    labels = [other.get_ylabel() for other in ax.figure.axes]
    assert "observed / saccade permutation" in labels


def test_momentum_is_drawn_in_milliseconds():
    ax = plot_momentum(MOMENTUM)
    curve, returned, other = ax.lines
    np.testing.assert_allclose(curve.get_ydata(), [200, 240])
    np.testing.assert_allclose(returned.get_ydata(), [260])
    np.testing.assert_allclose(other.get_ydata(), [235])
    assert returned.get_xdata().tolist() == other.get_xdata().tolist() == [170]
    band = ax.collections[0].get_paths()[0].get_extents()
    np.testing.assert_allclose([band.y0, band.y1], [190, 260])
    assert ax.get_ylabel() == "fixation duration (ms)"
