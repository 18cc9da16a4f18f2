"""One look, that ends where its context ends."""

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.colors import to_rgb

from attnsci.plotting.style import (
    ATTENDED,
    PALETTE,
    UNATTENDED,
    axes_or_new,
    figure,
    style,
)


def test_the_style_holds_within_its_context_only():
    before = mpl.rcParams.copy()
    with style():
        assert mpl.rcParams["font.size"] == 7
        assert mpl.rcParams["svg.fonttype"] == "none"
        assert mpl.rcParams["axes.prop_cycle"].by_key()["color"] == list(PALETTE)
    assert dict(mpl.rcParams) == dict(before)


def test_the_style_ends_after_an_error_too():
    before = dict(mpl.rcParams)
    with pytest.raises(RuntimeError), style():
        raise RuntimeError
    assert dict(mpl.rcParams) == before


def test_importing_plots_changes_no_setting():
    """The caller's matplotlib is the caller's."""
    assert mpl.rcParams["font.size"] == mpl.rcParamsDefault["font.size"]
    assert mpl.rcParams["svg.hashsalt"] == mpl.rcParamsDefault["svg.hashsalt"]


def luminance(colour):
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in to_rgb(colour)]
    return np.dot([0.2126, 0.7152, 0.0722], linear)


def test_colours_differ_for_the_colour_blind():
    """Simulated deuteranopia (Viénot, Brettel & Mollon 1999) keeps blue and vermilion apart."""
    to_lms = np.array(
        [[17.8824, 43.5161, 4.11935], [3.45565, 27.1554, 3.86714], [0.0299566, 0.184309, 1.46709]]
    )
    blind = np.array([[1, 0, 0], [0.494207, 0, 1.24827], [0, 0, 1]])
    seen = [np.linalg.solve(to_lms, blind @ to_lms @ to_rgb(c)) for c in (ATTENDED, UNATTENDED)]
    assert np.abs(seen[0] - seen[1]).max() > 0.3
    assert len(set(PALETTE)) == len(PALETTE)
    assert max(map(luminance, PALETTE)) < 0.6, "all stand out on white"


def test_figures_are_measured_in_millimetres():
    drawn = figure(178, 60)
    np.testing.assert_allclose(drawn.get_size_inches() * 25.4, [178, 60])
    assert drawn.get_layout_engine() is not None


def test_axes_are_those_given_or_new_ones():
    ax = plt.figure().add_subplot()
    assert axes_or_new(ax) is ax
    new = axes_or_new(None)
    assert new is not ax
    assert new.figure is not ax.figure
