"""The figure of a training run."""

import matplotlib.pyplot as plt
import pandas as pd
import pytest

from attnsci.training.report import draw_training

ROW = {"loss": 0.5, "accuracy": 0.9, "reward": 0.9, "value": 0.8, "saturated": 0.01}
WATCH = {"reward": ("reward", "value"), "at the edge": ("saturated",)}


def run(n, *splits, **columns):
    return pd.DataFrame(
        [
            {"epoch": epoch, "split": split, **ROW, **columns}
            for epoch in range(n)
            for split in splits
        ]
    )


@pytest.fixture(autouse=True)
def closed():
    yield
    plt.close("all")


@pytest.mark.parametrize("n", [1, 30])
def test_a_run_of_any_length_is_drawn_with_what_is_watched(n):
    drawing = draw_training(run(n, "train", "validation"), "accuracy", WATCH)
    assert [ax.get_title() for ax in drawing.axes] == [
        "loss", "accuracy", "reward", "at the edge",
    ]  # fmt: skip
    assert [len(ax.lines) for ax in drawing.axes] == [2, 2, 4, 2]
    assert drawing.axes[2].lines[0].get_xdata().tolist() == list(range(1, n + 1))


def test_panels_without_a_metric_are_left_out():
    table = run(3, "train", "validation").drop(columns=["saturated", "value"])
    drawing = draw_training(table, "accuracy", WATCH)
    assert [ax.get_title() for ax in drawing.axes][2:] == ["reward"]
    assert len(draw_training(run(3, "validation"), "accuracy").axes) == 2
