"""Figures of a test are closed when it ends."""

import matplotlib.pyplot as plt
import pytest


@pytest.fixture(autouse=True)
def closed_figures(monkeypatch):
    """Fail a test that would open a window or write a file, and clean up behind it."""

    def refuse(*args, **kwargs):
        raise AssertionError("a plot function must neither show nor save")

    monkeypatch.setattr(plt, "show", refuse)
    monkeypatch.setattr(plt.Figure, "show", refuse)
    monkeypatch.setattr(plt.Figure, "savefig", refuse)
    yield
    plt.close("all")
