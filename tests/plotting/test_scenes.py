"""Galleries show the maps that they were given, phase by phase."""

import inspect

import matplotlib.pyplot as plt
import numpy as np
import pytest
import xarray as xr

from attnsci.errors import InvalidInput
from attnsci.plotting import scenes as module
from attnsci.plotting.scenes import plot_gallery, plot_image


@pytest.fixture
def examples():
    rng = np.random.default_rng(0)
    by_phase = ("stimulus", "phase", "y", "x")
    return xr.Dataset(
        {
            "image": (("stimulus", "y", "x"), rng.random((3, 4, 6))),
            "prediction": (("stimulus", "phase"), [[1, 2], [3, 4], [5, 6]]),
            "gated_input": (by_phase, rng.random((3, 2, 4, 6))),
            "gate": (by_phase, 2 * rng.random((3, 2, 4, 6)) - 1),
            "inhibition": (by_phase, (rng.random((3, 2, 4, 6)) < 0.5).astype(np.float32)),
        },
        # Not in ascending order: rows are to stay as given.
        coords={"stimulus": [7, 0, 3]},
    )


def test_an_image_is_drawn_on_a_fixed_scale_without_ticks():
    image = xr.DataArray([[0.2, 0.4], [0.3, 0.1]], dims=("y", "x"))
    ax = plot_image(image)
    (shown,) = ax.images
    np.testing.assert_array_equal(shown.get_array(), image)
    assert shown.get_clim() == (0, 1)
    assert shown.get_interpolation() == "nearest"
    assert not len(ax.get_xticks())
    assert not any(spine.get_visible() for spine in ax.spines.values())
    given = plt.figure().add_subplot()
    assert plot_image(image, vmin=-1, cmap="RdBu", ax=given) is given
    assert given.images[0].get_clim() == (-1, 1)
    assert given.images[0].get_cmap().name == "RdBu"


def test_an_image_with_colours_is_drawn_as_it_is():
    image = xr.DataArray(np.random.default_rng(0).random((2, 3, 3)), dims=("y", "x", "channel"))
    np.testing.assert_array_equal(plot_image(image).images[0].get_array(), image)


def test_a_gallery_has_each_map_in_its_place(examples):
    drawn = plot_gallery(examples)
    axes = [ax for ax in drawn.axes if ax.images]
    grid = np.array(axes[: 3 * 7]).reshape(3, 7)
    for row in range(3):
        scene = examples.isel(stimulus=row)
        np.testing.assert_array_equal(grid[row, 0].images[0].get_array(), scene["image"])
        for phase in range(2):
            for column, name in enumerate(("gated_input", "gate", "inhibition")):
                shown = grid[row, 1 + 3 * phase + column].images[0]
                np.testing.assert_array_equal(shown.get_array(), scene[name][phase])
                assert shown.get_clim() == ((-1, 1) if name == "gate" else (0, 1))
            label = grid[row, 1 + 3 * phase].get_xlabel()
            assert label == f"reads {int(scene['prediction'][phase])}"
    low, high = float(examples["gate"].min()), float(examples["gate"].max())
    label = drawn.axes[-1].get_xlabel().replace("−", "-")
    assert label == f"gate (1: closed, -1: open; here {low:.2f} to {high:.2f})"
    titles = [ax.get_title().strip() for ax in grid[0]]
    assert titles == [
        "input",
        *["gated input", "phase 1\ngate", "inhibition"],
        *["gated input", "phase 2\ngate", "inhibition"],
    ]


def test_a_gallery_of_one_scene_and_one_phase(examples):
    drawn = plot_gallery(examples.isel(stimulus=[1], phase=[0]))
    assert len([ax for ax in drawn.axes if ax.images]) == 4
    drawn.draw_without_rendering()


def test_a_gallery_without_phases_is_refused(examples):
    with pytest.raises(InvalidInput, match="phase"):
        plot_gallery(examples[["image"]])


def test_no_plot_saves_shows_or_sizes():
    for name, function in vars(module).items():
        if name.startswith("plot_"):
            parameters = set(inspect.signature(function).parameters)
            assert not {"savepath", "save", "path", "show", "figsize", "dpi"} & parameters
