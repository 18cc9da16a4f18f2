"""Figures of photographs: each is drawn, and shows the numbers it was given."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
import xarray as xr

from attnsci.families.object_attention import coco_figures as figures
from attnsci.families.object_attention.coco_experiments import with_means_over_seeds


@pytest.fixture(autouse=True)
def closed():
    yield
    plt.close("all")


ANGLES = np.arange(0, 180, 36)


@pytest.fixture
def bars():
    """Two levels whose channels have a cell and a peak of their own, and one cell in common."""
    attention = {"attention": ["attended", "unattended"]}

    def level(number, n_channels):
        values = np.zeros((2, n_channels, 2, 3, len(ANGLES)))
        values[:, :, 1, 2] = 9.0  # a digit: strong, and not tuned
        for channel in range(n_channels - 1):  # the last one is silent elsewhere
            values[0, channel, 0, channel % 3, channel % 5] = 2.0 + channel
            values[1, channel, 0, channel % 3, channel % 5] = 1.0
        dims = ("attention", f"channel_{number}", f"y_{number}", f"x_{number}", "orientation_deg")
        mean = xr.DataArray(values, attention, dims)
        return xr.concat([mean * 10, mean], xr.Variable("statistic", ["max", "mean"]))

    return xr.Dataset({"level_1": level(1, 12), "level_2": level(2, 17)}).assign_coords(
        orientation_deg=ANGLES
    )


def test_a_channel_is_shown_where_orientation_matters(bars):
    units = figures.tuning_units(bars, 1)
    assert units.dims == ("channel", "attention", "orientation_deg")
    assert units["orientation_deg"].values.tolist() == [*ANGLES, 180]
    assert (units["y"][:11] == 0).all()
    assert units["x"][:11].values.tolist() == [channel % 3 for channel in range(11)]
    peak = units.sel(attention="attended").max("orientation_deg")
    assert peak[:11].values.tolist() == [2.0 + channel for channel in range(11)]
    np.testing.assert_array_equal(units[..., 0], units[..., -1])
    best = figures.most_tuned(units, 4)
    assert best["channel"].values.tolist() == [7, 8, 9, 10]


def test_tuning_of_some_and_of_all_channels(bars):
    drawn = figures.draw_tuning(bars, {1: 12, 2: 17})
    titles = [ax.get_title() for panel in drawn.subfigs for ax in panel.axes]
    assert titles[:10] == [f"channel {number}" for number in range(1, 11)]
    panel = figures.draw_all_tuning(bars, {1: 12, 2: 17}).subfigs[1]
    assert "all 17 channels, silent 0" in panel.get_suptitle()
    (ax,) = panel.axes
    attended = ax.lines[3 * 4]  # two conditions and a base line for every channel
    assert max(attended.get_ydata()) == pytest.approx(0.8)
    unattended = ax.lines[3 * 16 + 1]
    assert min(unattended.get_xdata()) == 1 and max(unattended.get_ydata()) == pytest.approx(-0.2)


def scores(networks):
    rows = [
        {
            "network": name, "trained": True, "min_area": 0.1, "assignment": assignment,
            "condition": condition, "measure": measure, "estimate": value, "low": value - 0.02,
            "high": value + 0.03, "n": 20,
        }
        for value, name in zip(np.linspace(0.1, 0.3, len(networks)), networks, strict=True)
        for assignment in ("attended", "any order")
        for condition in ("network", "majority")
        for measure in ("balanced_accuracy", "macro_f1")
    ]  # fmt: skip
    return with_means_over_seeds(pd.DataFrame(rows))


@pytest.mark.parametrize("n", [1, 3, 9])
def test_scores_of_every_network_and_their_mean(n):
    names = [f"coco, seed {number}" for number in range(n)]
    drawn = figures.draw_scores(scores(names))
    for ax in drawn.axes:
        points = [line.get_xdata()[0] for line in ax.lines if line.get_marker() in "oD"]
        assert len(points) == 2 * (n + (n > 1))
        assert points[:2] == [0.1, 0.1]
    labels = [label.get_text() for label in drawn.axes[0].get_yticklabels()]
    assert labels == ["network", "majority"]
    told = [text.get_text() for text in drawn.legends[0].get_texts()]
    assert told == [*names, *([f"mean of {n} seeds"] if n > 1 else [])]


def test_confusion_shares_of_what_was_attended():
    counts = xr.DataArray(
        [[3, 1, 0], [0, 0, 0], [2, 0, 2]],
        {"label": ["animal", "food", "person"], "told": ["animal", "food", "person"]},
        ("label", "told"),
    )
    ax = figures.draw_confusion(counts).axes[0]
    np.testing.assert_allclose(ax.images[0].get_array(), [[0.75, 0.25, 0], [0.5, 0, 0.5]])
    assert [label.get_text() for label in ax.get_yticklabels()] == ["animal (4)", "person (4)"]


def test_inhibition_of_every_level_after_every_phase():
    shown = xr.Dataset(
        {
            "inhibited_1": (("phase", "y_1", "x_1"), np.full((2, 4, 4), [[[0.25]], [[0.5]]])),
            "inhibited_2": (("phase", "y_2", "x_2"), np.full((2, 2, 2), [[[0.75]], [[1.0]]])),
        },
        {"phase": [1, 2], "level": [1, 2]},
    )
    titles = [ax.get_title() for ax in figures.draw_inhibition(shown).axes[:4]]
    assert titles == [
        "level 1, after phase 1: 0.25", "level 2, after phase 1: 0.75",
        "level 1, after phase 2: 0.50", "level 2, after phase 2: 1.00",
    ]  # fmt: skip


def test_categories_also_without_enough_photographs():
    levels = pd.DataFrame(
        {
            "level": [1, 1, 2, 2], "object": ["attended", "other"] * 2,
            "estimate": [0.5, 0.1, np.nan, np.nan], "low": [0.4, 0.0, np.nan, np.nan],
            "high": [0.6, 0.2, np.nan, np.nan],
        }
    )  # fmt: skip
    units = pd.DataFrame(
        {
            "level": [1] * 4, "object": ["attended"] * 4,
            "preferred": ["food", "food", "food", "person"],
        }
    )  # fmt: skip
    left, right = figures.draw_categories(units, levels).axes
    assert [line.get_ydata()[0] for line in left.lines[:2]] == [0.5, 0.1]
    assert [bar.get_height() for bar in right.patches] == [0.75, 0.25]
    assert len(figures.draw_categories(pd.DataFrame(), levels).axes[1].patches) == 0


def test_digits_and_photographs_side_by_side():
    rng = np.random.default_rng(0)

    def examples(size, *channel):
        places = ("stimulus", "phase", "y", "x")
        colour = ("channel",) if channel else ()
        return xr.Dataset(
            {
                "image": (("stimulus", "y", "x", *colour), rng.random((2, *size, *channel))),
                "gated_input": ((*places, *colour), rng.random((2, 2, *size, *channel))),
                "gate": (places, rng.random((2, 2, *size))),
                "inhibition": (places, rng.random((2, 2, *size)) > 0.5),
                "prediction": (
                    ("stimulus", "phase"),
                    [["food", "person"]] * 2 if channel else [[1, 2]] * 2,
                ),
            }
        )

    drawn = figures.draw_galleries(examples((28, 42)), examples((30, 30), 3))
    told = [[ax.get_xlabel() for ax in panel.axes if ax.get_xlabel()] for panel in drawn.subfigs]
    assert [one[:2] for one in told] == [["reads 1", "reads 2"], ["reads food", "reads person"]]
    gates = xr.DataArray(
        rng.random((30, 2)), {"attention": ["attended", "unattended"]}, ("stimulus", "attention")
    ).to_dataset(name="gate_published")
    titles = [
        ax.get_title() for ax in figures.draw_gates(gates, gates[{"stimulus": slice(9)}]).axes
    ]
    assert titles == ["digits, n = 30", "photographs, n = 9"]
