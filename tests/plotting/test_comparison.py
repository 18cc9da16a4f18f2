"""Pairs stand in their cells, and scores between the two anchors, whatever the metric's scale."""

import inspect

import matplotlib.pyplot as plt
import numpy as np
import pytest
import xarray as xr
from matplotlib.axes import Axes

from attnsci.errors import InvalidInput
from attnsci.plotting import comparison as module
from attnsci.plotting.comparison import SOURCES, plot_comparison, plot_similarity


def matrix(names_a, names_b=None, values=None, **attrs):
    names_b = names_a if names_b is None else names_b
    coords = {}
    for side, names in (("a", names_a), ("b", names_b)):
        for place, key in enumerate(("image", "observer")):
            coords[f"{key}_{side}"] = f"scanpath_{side}", [name[place] for name in names]
    shape = len(names_a), len(names_b)
    values = np.arange(float(np.prod(shape))).reshape(shape) if values is None else values
    return xr.DataArray(values, coords, ("scanpath_a", "scanpath_b"), "frechet", attrs=attrs)


NAMES = [("b", "10"), ("a", "2"), ("b", "9"), ("a", "1")]
ORDER = [3, 1, 2, 0]  # a 1, a 2, b 9, b 10
MATRIX = matrix(NAMES, metric="time_delay_embedding", orientation="distance", units="px")

# A similarity and a distance: the model is halfway, and a quarter of the way.
VALUE = {
    "centre": [0.1, 9],
    "cross-image": [0.2, 8],
    "human": [0.6, 4],
    "model": [0.4, 7],
    "uniform": [-2, np.nan],
}
TABLE = xr.Dataset(
    {"mean": (("source", "metric"), np.array(list(VALUE.values()), float))},
    {"source": list(VALUE), "metric": ["scanmatch", "time_delay_embedding"]},
)
TABLE = TABLE.assign(low=TABLE["mean"] - [0.02, 0.4], high=TABLE["mean"] + [0.04, 0.8])
PLOTS = {
    "plot_similarity": lambda **ax: plot_similarity(MATRIX, **ax),
    "plot_comparison": lambda **ax: plot_comparison(TABLE, **ax),
}


def test_every_plot_of_the_module_is_tested_here():
    assert {name for name in vars(module) if name.startswith("plot_")} == set(PLOTS)


@pytest.mark.parametrize("name", PLOTS)
def test_plots_make_axes_or_draw_into_those_given(name):
    assert isinstance(PLOTS[name](), Axes)
    left, right = plt.figure().subplots(1, 2)
    figures = plt.get_fignums()
    assert PLOTS[name](ax=right) is right
    assert plt.get_fignums() == figures
    assert not left.has_data()
    right.figure.draw_without_rendering()
    parameters = inspect.signature(getattr(module, name)).parameters
    assert not {"savepath", "save", "path", "show", "figsize", "dpi"} & set(parameters)


@pytest.mark.parametrize("name", PLOTS)
def test_plots_leave_their_input_alone(name):
    before = MATRIX.copy(deep=True), TABLE.copy(deep=True)
    PLOTS[name]()
    xr.testing.assert_identical(MATRIX, before[0])
    xr.testing.assert_identical(TABLE, before[1])


def labels(axis):
    return [label.get_text() for label in axis.get_ticklabels()]


# --- similarity --------------------------------------------------------------------------------


@pytest.mark.parametrize("transposed", [False, True])
def test_pairs_are_sorted_by_image_then_observer_in_natural_order(transposed):
    ax = plot_similarity(MATRIX.T if transposed else MATRIX)
    np.testing.assert_array_equal(ax.images[0].get_array(), MATRIX.to_numpy()[np.ix_(ORDER, ORDER)])
    assert labels(ax.yaxis) == labels(ax.xaxis) == ["1", "2", "9", "10"]
    ax.figure.draw_without_rendering()
    for beside in (ax.child_axes[0].yaxis, ax.child_axes[1].xaxis):
        assert labels(beside) == ["a", "b"]
        np.testing.assert_array_equal(beside.get_ticklocs(), [0.5, 2.5])
    assert [line.get_xdata()[0] for line in ax.lines if line.get_xdata()[0]] == [1.5]


def test_the_colour_bar_names_metric_orientation_and_unit():
    shown = plot_similarity(MATRIX).images[0]
    assert shown.colorbar.ax.get_ylabel() == "time delay embedding (distance, px)"
    assert shown.get_cmap().name == "viridis_r"
    bare = plot_similarity(matrix(NAMES)).images[0]
    assert bare.colorbar.ax.get_ylabel() == "frechet"
    assert bare.get_cmap().name == "viridis"
    part = MATRIX.assign_coords(component="shape").assign_attrs(metric="multimatch", units="")
    label = plot_similarity(part).images[0].colorbar.ax.get_ylabel()
    assert label == "multimatch, shape (distance)"


def test_colours_span_the_pairs_of_different_scanpaths():
    values = np.array([[1, 0.2, 0.3], [0.2, 1, 0.4], [0.3, 0.4, 1]])
    names = [("a", "1"), ("a", "2"), ("a", "3")]
    shown = plot_similarity(matrix(names, values=values)).images[0]
    assert shown.get_clim() == (0.2, 0.4)
    assert shown.colorbar.extend == "max"
    others = [("a", "4"), ("a", "5"), ("a", "6")]
    shown = plot_similarity(matrix(names, others, values)).images[0]
    assert shown.get_clim() == (0.2, 1)
    assert shown.colorbar.extend == "neither"


def test_undefined_pairs_are_hatched():
    values = np.array([[np.nan, 0.5], [0.25, 0.75]])
    ax = plot_similarity(matrix([("a", "1"), ("a", "2")], [("a", "3"), ("a", "4")], values))
    assert ax.images[0].get_array().mask.tolist() == [[True, False], [False, False]]
    assert ax.images[0].get_clim() == (0.25, 0.75)
    assert ax.patch.get_hatch()
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["undefined"]
    assert plot_similarity(MATRIX).get_legend() is None


def test_many_scanpaths_are_named_by_image_only():
    names = [(f"{image}.jpg", str(observer)) for image in (9, 10) for observer in range(30)]
    ax = plot_similarity(matrix(names, [("m", "1")]))
    assert labels(ax.yaxis) == ["9.jpg", "10.jpg"]
    np.testing.assert_array_equal(ax.yaxis.get_ticklocs(), [14.5, 44.5])
    assert ax.get_xlabel() == "observer, image m"


def test_a_matrix_that_cannot_be_drawn_is_refused():
    several = xr.concat([MATRIX, MATRIX], "component").assign_coords(component=["shape", "length"])
    with pytest.raises(InvalidInput, match=r"\['shape', 'length'\]"):
        plot_similarity(several)
    with pytest.raises(InvalidInput, match="No pair"):
        plot_similarity(MATRIX * np.nan)
    with pytest.raises(InvalidInput, match="scanpath_b"):
        plot_similarity(MATRIX[:, 0])


# --- comparison --------------------------------------------------------------------------------


def by_source(ax):
    return {line.get_label(): line for line in ax.lines if line.get_label() in SOURCES}


def test_scores_stand_between_their_anchors_distances_too():
    lines = by_source(plot_comparison(TABLE))
    assert list(lines) == ["model", "human", "cross-image", "centre", "uniform"]
    for source, expected in {
        "cross-image": [0, 0],
        "human": [1, 1],
        "model": [0.5, 0.25],
        "centre": [-0.25, -0.25],
    }.items():
        np.testing.assert_allclose(lines[source].get_xdata(), expected, atol=1e-12)


def test_intervals_are_on_the_same_scale_and_turned_for_distances():
    ax = plot_comparison(TABLE)
    segments = np.array(ax.collections[0].get_segments())  # the model's
    np.testing.assert_allclose(segments[0][:, 0], [0.45, 0.6])
    # 7 − 0.4 and 7 + 0.8, on a scale from 8 (at 0) to 4 (at 1)
    np.testing.assert_allclose(segments[1][:, 0], [0.05, 0.35])
    model = by_source(ax)["model"]
    np.testing.assert_array_equal(segments[:, 0, 1], model.get_ydata())


def test_every_source_has_its_own_height_in_its_row():
    heights = np.array([line.get_ydata() for line in by_source(plot_comparison(TABLE)).values()])
    assert (np.diff(heights, axis=0) > 0.05).all()
    np.testing.assert_array_equal(heights.round(), [[0, 1]] * 5)


def test_scores_far_off_are_drawn_at_the_edge_with_their_value():
    ax = plot_comparison(TABLE)
    uniform = by_source(ax)["uniform"].get_xdata()
    assert uniform[0] == -3
    assert np.isnan(uniform[1]), "no value, no point"
    assert "−5.5" in [text.get_text() for text in ax.texts]


def test_the_numbers_themselves_stand_beside():
    written = [text.get_text() for text in plot_comparison(TABLE).texts]
    for text in ("0.4 [0.38, 0.44]", "7 [6.6, 7.8]", "0.6 [0.58, 0.64]", "8 [7.6, 8.8]"):
        assert text in written
    assert [w for w in written if w in SOURCES] == ["model", "human", "cross-image"]


def test_a_metric_that_does_not_separate_has_no_points():
    blurred = TABLE.copy(deep=True)
    human = {"metric": "scanmatch", "source": "human"}
    blurred["low"].loc[human] = 0.23  # cross-image reaches to 0.24
    ax = plot_comparison(blurred)
    for line in by_source(ax).values():
        assert np.isnan(line.get_xdata()[0])
    assert by_source(ax)["model"].get_xdata()[1] == 0.25
    notes = [text for text in ax.texts if "does not tell" in text.get_text()]
    assert [note.get_position()[1] for note in notes] == [0]
    blurred["low"].loc[human] = 0.25
    assert not [t for t in plot_comparison(blurred).texts if "does not tell" in t.get_text()]


def test_the_ceiling_is_drawn_without_a_model():
    ax = plot_comparison(TABLE.sel(source=["human", "cross-image"]))
    assert list(by_source(ax)) == ["human", "cross-image"]
    assert labels(ax.yaxis) == ["scanmatch", "time delay embedding"]
    assert ax.yaxis_inverted()


def test_sources_are_told_apart_without_colour():
    markers, colours = zip(*SOURCES.values(), strict=True)
    assert len(set(markers)) == len(set(colours)) == len(SOURCES)


@pytest.mark.parametrize(
    ("table", "message"),
    [
        (TABLE.drop_vars("low"), "mean, low and high"),
        (TABLE.drop_sel(source="human"), "are needed"),
        (TABLE.assign_coords(source=[*"abc", "human", "cross-image"]), "among.*shuffled"),
        (TABLE.assign(low=TABLE["high"] + 0.01), "'centre' on 'scanmatch' runs from"),
        (TABLE.isel(metric=0), "metric"),
    ],
    ids=["columns", "anchor", "unknown", "interval", "dims"],
)
def test_a_table_that_cannot_be_drawn_is_refused(table, message):
    with pytest.raises(InvalidInput, match=message):
        plot_comparison(table)
