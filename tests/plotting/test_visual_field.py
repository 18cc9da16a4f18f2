"""Maps over the visual field, and their profiles."""

import matplotlib.pyplot as plt
import numpy as np
import pytest
import xarray as xr

from attnsci.errors import InvalidInput
from attnsci.plotting.visual_field import plot_accuracy_map, plot_profile


@pytest.fixture(autouse=True)
def closed():
    yield
    plt.close("all")


def field():
    y, x = np.arange(-6, 7, 3), np.arange(-9, 10, 3)
    values = np.exp(-np.hypot(x, y[:, None] - 3) / 9)
    coords = {"y": ("y", y), "x": ("x", x, {"units": "deg"})}
    return xr.DataArray(values, coords, ("y", "x"))


def test_a_map_has_down_below_and_cells_where_they_belong():
    ax = plot_accuracy_map(field().transpose("x", "y"))
    (image,) = ax.images
    assert image.get_extent() == [-10.5, 10.5, 7.5, -7.5]
    np.testing.assert_array_equal(image.get_array(), field())
    assert ax.get_ylim() == (7.5, -7.5)
    assert ax.get_xlabel() == "x of the object (deg)"


def test_a_flat_map_has_no_contours():
    assert len(plot_accuracy_map(0 * field() + 0.1).collections) == 0
    assert len(plot_accuracy_map(field()).collections) == 1


def test_what_is_no_map_is_refused():
    with pytest.raises(InvalidInput, match="map over y and x"):
        plot_accuracy_map(field().expand_dims("model"))
    with pytest.raises(InvalidInput, match="map over y and x"):
        plot_accuracy_map(field().isel(x=[0]))


def test_a_profile_is_drawn_where_its_answers_were():
    profile = xr.Dataset(
        {
            "accuracy": ("eccentricity", [0.9, 0.5]),
            "low": ("eccentricity", [0.8, 0.4]),
            "high": ("eccentricity", [0.95, 0.6]),
            "mean_eccentricity": ("eccentricity", [1.5, 3.2]),
        },
        {"eccentricity": ("eccentricity", [1.0, 3.0], {"units": "px"})},
    )
    ax = plot_profile(profile, label="What")
    np.testing.assert_array_equal(ax.lines[0].get_xydata(), [[1.5, 0.9], [3.2, 0.5]])
    assert len(ax.collections) == 1
    bare = plot_profile(profile[["accuracy"]])
    assert len(bare.collections) == 0
    np.testing.assert_array_equal(bare.lines[0].get_xdata(), [1, 3])
