"""What is drawn is what was given."""

import inspect

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.colors import same_color

from attnsci.errors import InvalidInput
from attnsci.plotting import curves as module
from attnsci.plotting.curves import (
    plot_estimates,
    plot_gain,
    plot_histograms,
    plot_lines,
    plot_tuning,
)
from attnsci.plotting.style import ATTENDED, UNATTENDED

ANGLES = np.arange(0.0, 190.0, 20.0)
UNIT = xr.DataArray(
    np.stack([1.25 + np.sin(np.deg2rad(ANGLES)), 1 + np.sin(np.deg2rad(ANGLES))]),
    {"attention": ["attended", "unattended"], "orientation_deg": ANGLES},
    ("attention", "orientation_deg"),
)
TABLE = pd.DataFrame(
    {
        "label": ["no inhibition", "2 steps", "half"],
        "estimate": [-0.4, -0.2, 0.01],
        "low": [-0.5, -0.3, 0.0],
        "high": [-0.3, -0.1, 0.02],
    }
)
SWEEP = pd.DataFrame(
    {
        "offset_px": [0, 7, 14, 0, 7, 14],
        "phase": [1, 1, 1, 2, 2, 2],
        "accuracy": [0.1, 0.5, 0.9, 0.8, 0.6, 0.2],
        "low": [0.0, 0.4, 0.8, 0.7, 0.5, 0.1],
        "high": [0.2, 0.6, 1.0, 0.9, 0.7, 0.3],
    }
)
PLOTS = {
    "plot_tuning": lambda **ax: plot_tuning(UNIT, **ax),
    "plot_gain": lambda **ax: plot_gain(UNIT[0], UNIT[1], **ax),
    "plot_histograms": lambda **ax: plot_histograms(UNIT, "attention", label="gate", **ax),
    "plot_estimates": lambda **ax: plot_estimates(TABLE, "label", **ax),
    "plot_lines": lambda **ax: plot_lines(SWEEP, "offset_px", "phase", "accuracy", **ax),
}


def test_every_plot_of_the_module_is_tested_here():
    public = {name for name in vars(module) if name.startswith("plot_")}
    assert public == set(PLOTS)


@pytest.mark.parametrize("name", PLOTS)
def test_plots_make_axes_or_draw_into_those_given(name):
    new = PLOTS[name]()
    assert isinstance(new, Axes)
    left, right = plt.figure().subplots(1, 2)
    figures = plt.get_fignums()
    assert PLOTS[name](ax=right) is right
    assert plt.get_fignums() == figures, "no figure beside the one given"
    assert right.has_data()
    assert not left.has_data()


@pytest.mark.parametrize("name", PLOTS)
def test_plots_have_no_business_with_windows_files_or_sizes(name):
    parameters = inspect.signature(getattr(module, name)).parameters
    assert not {"savepath", "save", "path", "show", "figsize", "dpi"} & set(parameters)
    assert parameters["ax"].kind is inspect.Parameter.KEYWORD_ONLY
    assert parameters["ax"].default is None


@pytest.mark.parametrize("name", PLOTS)
def test_plots_leave_their_input_alone(name):
    before = UNIT.copy(deep=True), TABLE.copy(), SWEEP.copy()
    PLOTS[name]()
    xr.testing.assert_identical(UNIT, before[0])
    pd.testing.assert_frame_equal(TABLE, before[1])
    pd.testing.assert_frame_equal(SWEEP, before[2])


def test_tuning_draws_both_conditions_in_their_colours():
    # The order of the conditions in the data does not matter.
    ax = plot_tuning(UNIT.isel(attention=[1, 0]))
    assert len(ax.lines) == 2
    for line, attention, colour in zip(
        ax.lines, UNIT["attention"].values, (ATTENDED, UNATTENDED), strict=True
    ):
        np.testing.assert_array_equal(line.get_xdata(), ANGLES)
        np.testing.assert_array_equal(line.get_ydata(), UNIT.sel(attention=attention))
        assert line.get_label() == attention
        assert same_color(line.get_color(), colour)
    assert ax.get_xlim() == (0, 180)
    assert ax.get_ylim()[0] == 0
    assert ax.get_xlabel() == "orientation (°)"
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["attended", "unattended"]


def test_tuning_of_one_condition_is_one_line_without_a_legend():
    ax = plot_tuning(UNIT.sel(attention="attended", drop=True))
    (line,) = ax.lines
    np.testing.assert_array_equal(line.get_ydata(), UNIT[0])
    assert ax.get_legend() is None


def test_tuning_says_what_it_cannot_draw():
    with pytest.raises(InvalidInput, match=r"One unit .* curves.isel\(channel=0\)"):
        plot_tuning(UNIT.expand_dims(channel=2))
    with pytest.raises(InvalidInput, match=r"attention must hold .*; got \['attended'\]"):
        plot_tuning(UNIT[:1])
    with pytest.raises(InvalidInput, match="must be an xarray object"):
        plot_tuning(UNIT.values)


def test_gain_has_a_point_for_each_unit_and_angle_and_the_built_in_line():
    ax = plot_gain(UNIT[0], UNIT[1], built_in=1.25)
    points, no_change, built_in = ax.lines
    np.testing.assert_array_equal(points.get_xdata(), UNIT[1])
    np.testing.assert_array_equal(points.get_ydata(), UNIT[0])
    assert no_change.get_slope() == 1
    assert built_in.get_slope() == 1.25
    assert [text.get_text() for text in ax.get_legend().get_texts()] == [
        "no change",
        "input × 1.25",
    ]
    assert ax.get_xlim() == ax.get_ylim()
    assert ax.get_xlim()[1] >= float(UNIT.max())


def test_gain_of_silent_units_is_drawn_without_a_warning():
    silent = xr.zeros_like(UNIT[0])
    assert plot_gain(silent, silent).get_xlim() == (0, 1)


def test_gain_pairs_units_by_their_names_not_by_the_order_of_dimensions():
    grid = xr.DataArray(np.arange(6.0).reshape(2, 3), dims=("channel", "orientation_deg"))
    ax = plot_gain(2 * grid, grid.transpose("orientation_deg", "channel"))
    points = ax.lines[0]
    np.testing.assert_array_equal(points.get_ydata(), 2 * np.asarray(points.get_xdata()))


def test_gain_of_other_units_is_refused():
    with pytest.raises(InvalidInput, match="same units"):
        plot_gain(UNIT[0], UNIT[1, :4])
    with pytest.raises(InvalidInput, match="same units"):
        plot_gain(UNIT[0], UNIT[1].rename(orientation_deg="angle"))
    moved = UNIT[1].assign_coords(orientation_deg=ANGLES + 1)
    with pytest.raises(ValueError, match="exact"):
        plot_gain(UNIT[0], moved)


def test_histograms_count_every_finite_value_on_common_bins():
    rng = np.random.default_rng(0)
    values = rng.normal(size=(100, 2))
    values[:30, 1] = np.nan
    gates = xr.DataArray(
        values, {"attention": ["attended", "unattended"]}, ("stimulus", "attention")
    )
    ax = plot_histograms(gates, "attention", label="gate")
    attended, unattended = ax.containers
    for bars, sample in ((attended, values[:, 0]), (unattended, values[30:, 1])):
        edges = [bar.get_x() for bar in bars] + [bars[-1].get_x() + bars[-1].get_width()]
        np.testing.assert_allclose(edges, np.linspace(np.nanmin(values), np.nanmax(values), 41))
        heights = [bar.get_height() for bar in bars]
        np.testing.assert_array_equal(heights, np.histogram(sample, edges)[0])
    assert sum(bar.get_height() for bar in unattended) == 70
    assert same_color(attended[0].get_facecolor()[:3], ATTENDED)
    assert ax.get_xlabel() == "gate"


def test_histograms_name_regions_in_words():
    values = xr.DataArray(
        np.arange(8.0).reshape(4, 2),
        {"region": ["selected", "other_free"]},
        ("stimulus", "region"),
    )
    ax = plot_histograms(values, "region", label="gate")
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["selected", "other free"]


def test_estimates_stand_at_their_values_first_row_on_top():
    ax = plot_estimates(TABLE, "label")
    (points,) = ax.lines
    np.testing.assert_array_equal(points.get_xdata(), TABLE["estimate"])
    np.testing.assert_array_equal(points.get_ydata(), [0, 1, 2])
    for row, segment in enumerate(ax.collections[0].get_segments()):
        np.testing.assert_allclose(segment, [[TABLE["low"][row], row], [TABLE["high"][row], row]])
    assert [tick.get_text() for tick in ax.get_yticklabels()] == TABLE["label"].tolist()
    assert ax.get_ylim() == (2.5, -0.5)


def test_lines_have_a_band_for_each_entry():
    ax = plot_lines(SWEEP, "offset_px", "phase", "accuracy")
    for line, band, (phase, rows) in zip(
        ax.lines, ax.collections, SWEEP.groupby("phase"), strict=True
    ):
        np.testing.assert_array_equal(line.get_xdata(), rows["offset_px"])
        np.testing.assert_array_equal(line.get_ydata(), rows["accuracy"])
        assert line.get_label() == f"phase {phase}"
        box = band.get_paths()[0].get_extents()
        assert (box.x0, box.x1) == (0, 14)
        assert (box.y0, box.y1) == (rows["low"].min(), rows["high"].max())


def test_lines_without_intervals_have_no_band():
    ax = plot_lines(SWEEP.drop(columns=["low", "high"]), "offset_px", "phase", "accuracy")
    assert len(ax.lines) == 2
    assert not ax.collections
