"""Figures draw the numbers of their tables; geometry of units is that of the network."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
import torch
import xarray as xr

from attnsci.families.object_attention.figures import (
    N_UNITS,
    UNITS,
    draw_accuracy_by_weight,
    draw_gain,
    draw_gates,
    draw_tuning,
    receptive_field_centre,
    tuning_units,
)
from attnsci.families.object_attention.measure import REGIONS
from attnsci.families.object_attention.network import ObjectAttention


@pytest.fixture(autouse=True)
def closed_figures():
    yield
    plt.close("all")


@pytest.fixture(scope="module")
def bars():
    rng = np.random.default_rng(0)
    sizes = {1: (20, 25, 39), 2: (50, 9, 16)}
    return xr.Dataset(
        {
            f"level_{level}": (
                (
                    "statistic",
                    "attention",
                    "orientation_deg",
                    *(f"{axis}_{level}" for axis in ("channel", "y", "x")),
                ),
                rng.random((2, 2, 20, *size)).astype(np.float32),
            )
            for level, size in sizes.items()
        },
        {
            "statistic": ["max", "mean"],
            "attention": ["attended", "unattended"],
            "orientation_deg": np.arange(20) * 9.0,
        },
    )


@pytest.mark.parametrize("level", [1, 2])
def test_receptive_fields_are_centred_where_the_gradient_says(level):
    torch.manual_seed(0)
    model = ObjectAttention().eval()
    image = torch.rand(1, 1, 28, 42, requires_grad=True)
    activation = image
    for each in list(model.levels)[:level]:
        drive = each.conv(activation)
        activation = each.pool(each.activation(drive))
    columns = drive.shape[-1]
    for x in (0, 3, columns - 1):
        # Pooling passes one of two columns on; over all channels and rows both are reached.
        (gradient,) = torch.autograd.grad(drive[0, :, :, x].sum(), image, retain_graph=True)
        reached = torch.nonzero(gradient.abs().sum((0, 1, 2))).flatten().numpy()
        centre = (reached.min() + reached.max()) / 2
        assert receptive_field_centre(level, columns)[x] == pytest.approx(centre, abs=0.01)


@pytest.mark.parametrize("level", [1, 2])
def test_units_are_the_most_responsive_channels_at_the_published_position(bars, level):
    units = tuning_units(bars, level)
    assert units.sizes == {"channel": N_UNITS, "attention": 2, "orientation_deg": 21}
    y, x = UNITS[level]
    values = bars[f"level_{level}"].values[0, ..., y, x]  # (attention, orientation, channel)
    largest = np.sort(np.argsort(values.max((0, 1)))[::-1][:N_UNITS])
    np.testing.assert_array_equal(units["channel"], largest)
    for channel in largest:
        curves = values[:, :, channel]
        closed = np.concatenate([curves, curves[:, :1]], 1)
        np.testing.assert_array_equal(units.sel(channel=channel), closed)
    assert units["orientation_deg"].values[[0, -1]].tolist() == [0, 180]


def test_tuning_figure_has_a_panel_for_each_unit(bars):
    drawn = draw_tuning(bars)
    panels = [ax for ax in drawn.findobj(plt.Axes) if len(ax.lines) == 2]
    assert len(panels) == 2 * N_UNITS
    titles = [ax.get_title() for ax in panels]
    assert not [ax for ax in panels if ax.get_legend()], "one legend for all"
    assert titles[:N_UNITS] == [f"channel {c}" for c in tuning_units(bars, 1)["channel"].values]


def test_gate_figure_shows_the_published_measure_and_three_regions():
    rng = np.random.default_rng(0)
    shown = xr.Dataset(
        {
            "gate_published": (("stimulus", "attention"), rng.random((30, 2))),
            "gate": (("stimulus", "phase", "region"), rng.random((30, 2, len(REGIONS)))),
        },
        {"attention": ["attended", "unattended"], "region": list(REGIONS), "phase": [1, 2]},
    )
    left, right = draw_gates(shown).axes
    assert [len(ax.containers) for ax in (left, right)] == [2, 3]
    assert sum(bar.get_height() for bar in left.containers[0]) == 30
    assert sum(bar.get_height() for bar in right.containers[0]) == 60


def test_accuracy_figure_puts_ours_beside_the_published_means():
    table = pd.DataFrame(
        {
            "reconstruction_weight": [1000.0, 0.0, 30.0] * 2,
            "measure": ["correct"] * 3 + ["iou_selected"] * 3,
            "estimate": [0.9, 0.8, 0.85, 0.7, 0.1, 0.4],
            "low": 0.05,
            "high": 0.95,
        }
    )
    accuracy, overlap = draw_accuracy_by_weight(table, {0.0: 0.95, 1000.0: 0.976}, 680).axes
    ours, published = accuracy.lines
    assert ours.get_ydata().tolist() == [0.8, 0.85, 0.9], "by ascending weight"
    np.testing.assert_array_equal(published.get_ydata(), [0.95, np.nan, 0.976])
    assert ours.get_label() == "ours, 680 steps"
    assert accuracy.get_title() == "no replication: 680 steps, not 10 epochs"
    assert [tick.get_text() for tick in accuracy.get_xticklabels()] == ["0", "30", "1000"]
    assert overlap.lines[0].get_ydata().tolist() == [0.1, 0.4, 0.7]
    assert len(overlap.lines) == 1


def test_gain_figure_draws_units_over_the_bar_alone(bars):
    effects = pd.DataFrame({"label": ["a"], "estimate": [0.1], "low": [0.0], "high": [0.2]})
    biology = pd.DataFrame({"area": ["V4", "V1"], "modulation_index": [0.115, 0.038]})
    first, second, indices = draw_gain(bars, effects, 1.25, biology).axes
    assert first.get_legend() and not second.get_legend(), "one for both"
    # Of 39 columns, those whose centre x + 1.5 lies before the digit's, 14: the first 13.
    mean = bars["level_1"].sel(statistic="mean").isel(x_1=slice(0, 13))
    points = first.lines[0]
    np.testing.assert_array_equal(
        np.sort(points.get_ydata()), np.sort(mean.sel(attention="attended").values.ravel())
    )
    labelled = {line.get_label(): line.get_xdata()[0] for line in indices.lines}
    assert labelled["macaque V4"] == 0.115
    assert labelled["built into the input"] == pytest.approx(0.25 / 2.25)
