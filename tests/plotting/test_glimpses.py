"""Squares fall on the pixels that they name, and bars on the classes that they are of."""

import inspect

import matplotlib.pyplot as plt
import numpy as np
import pytest
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.colors import same_color, to_rgb
from PIL import Image

from attnsci.errors import InvalidInput, StorageError
from attnsci.plotting import glimpses as module
from attnsci.plotting.glimpses import (
    CROSS,
    NO_LABEL,
    OTHERS,
    RIGHT,
    SCALE_COLOURS,
    TICK,
    TRUE,
    WRONG,
    plot_class_bars,
    plot_glimpse,
    plot_glimpses,
    write_glimpse_animation,
)

# Wider than high, and no two coordinates alike, so that swapped axes show.
IMAGE = np.zeros((30, 50))
XY = np.array([[40.0, 8.0], [12.0, 20.0], [31.0, 23.0]])
SIX = [0.02, 0.03, 0.05, 0.1, 0.1, 0.02, 0.5, 0.08, 0.06, 0.04]
FOUR = [0.05, 0.05, 0.1, 0.1, 0.41, 0.05, 0.12, 0.02, 0.05, 0.05]
SURE = [0.0] * 6 + [0.96, 0.04] + [0.0] * 2
PLOTS = {
    "plot_glimpse": lambda **ax: plot_glimpse(IMAGE, XY[0], (8,), **ax),
    "plot_class_bars": lambda **ax: plot_class_bars(SIX, 6, **ax),
}


@pytest.fixture
def shown():
    return xr.Dataset(
        {
            "location": (("glimpse", "coordinate"), XY),
            "probability": (("glimpse", "class"), [SIX, FOUR, SURE]),
        },
        coords={"coordinate": ["x", "y"], "class": range(10), "label": 6},
    )


def squares(ax, n):
    return np.array([patch.get_bbox().extents for patch in ax.patches[:n]])


def rendered(figure):
    figure.set_dpi(300)  # lines of several pixels, with their own colour in the middle
    figure.canvas.draw()
    return np.asarray(figure.canvas.buffer_rgba())[..., :3].astype(int)


def at(drawn, ax, x, y):
    """Return what is drawn at a place of the axes."""
    column, row = ax.transData.transform((x, y))
    return drawn[drawn.shape[0] - 1 - int(row), int(column)]


def near(drawn, ax, x, y, colour):
    """Return whether a pixel at or beside that place has about the colour."""
    column, row = ax.transData.transform((x, y))
    row = drawn.shape[0] - 1 - int(row)
    here = drawn[row - 2 : row + 3, int(column) - 2 : int(column) + 3]
    return (np.abs(here - 255 * np.array(to_rgb(colour))).max(-1) < 24).any()


# --- squares -----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", PLOTS)
def test_plots_make_axes_or_draw_into_those_given(name):
    assert isinstance(PLOTS[name](), Axes)
    left, right = plt.figure().subplots(1, 2)
    assert PLOTS[name](ax=right) is right
    assert right.has_data()
    assert not left.has_data()
    parameters = inspect.signature(getattr(module, name)).parameters
    assert parameters["ax"].kind is inspect.Parameter.KEYWORD_ONLY
    assert not {"savepath", "save", "path", "show", "figsize", "dpi"} & set(parameters)


def test_squares_stand_about_the_place_in_the_order_of_their_scales():
    ax = plot_glimpse(IMAGE, (12, 20), (8, 16.5))
    np.testing.assert_array_equal(
        squares(ax, 2), [[8, 16, 16, 24], [3.75, 11.75, 20.25, 28.25]]
    )  # left, top, right, below
    for patch, colour in zip(ax.patches[:2], SCALE_COLOURS[:2], strict=True):
        assert same_color(patch.get_edgecolor(), colour)
    assert ax.images[0].get_extent() == [0, 50, 30, 0]
    assert ax.yaxis_inverted()
    assert not ax.xaxis_inverted()


def test_a_square_falls_on_the_pixels_that_it_covers():
    """Rendered: the glimpse at x = 40, y = 8 of 8 pixels goes around columns 36–43, rows 4–11."""
    image = IMAGE.copy()
    image[4:12, 36:44] = 0.5
    ax = plot_glimpse(image, (40, 8), (8,))
    drawn = rendered(ax.figure)
    for x, y in [(36, 8), (44, 8), (40, 4), (40, 12)]:
        assert near(drawn, ax, x, y, SCALE_COLOURS[0]), (x, y)
    for x, y in [(8, 29), (40, 8), (30, 8), (40, 20)]:
        assert not near(drawn, ax, x, y, SCALE_COLOURS[0]), (x, y)
    # The pixels just within are the marked ones, those just outside are black.
    for x, y in [(37.5, 5.5), (42.5, 10.5), (37.5, 10.5)]:
        assert abs(at(drawn, ax, x, y) - 128).max() <= 1
    for x, y in [(34.5, 8.5), (45.5, 8.5), (40.5, 2.5), (40.5, 13.5)]:
        assert at(drawn, ax, x, y).max() == 0


def test_a_square_over_the_edge_is_drawn_whole():
    ax = plot_glimpse(IMAGE, (48, 2), (8, 24))
    left, right = ax.get_xlim()
    below, above = ax.get_ylim()
    assert left < 0
    assert above < 2 - 12 < 30 < below
    assert right > 48 + 12
    drawn = rendered(ax.figure)
    for x, y in [(60, 2), (48, -10), (36, 2), (48, 14)]:
        assert near(drawn, ax, x, y, SCALE_COLOURS[1]), (x, y)
    assert at(drawn, ax, 56, -8).min() > 200  # outside is not black as the image is


def test_a_square_within_moves_no_limit():
    limits = [plot_glimpse(IMAGE, xy, (8,)).get_xlim() for xy in ((20, 10), (25, 12))]
    assert limits[0] == limits[1] == (-1, 51)


@pytest.mark.parametrize(
    ("image", "top"),
    [
        (np.full((4, 6), 255, np.uint8), 1),
        (np.full((4, 6, 3), 51, np.uint8), 0.2),
        (np.full((4, 6, 3), 0.3, np.float32), 0.3),
        (xr.DataArray(np.full((4, 6), 1.0), dims=("y", "x")), 1),
    ],
    ids=["bytes", "colour bytes", "colour", "labelled"],
)
def test_images_of_each_kind(image, top):
    ax = plot_glimpse(image, (1, 1), (2,))
    array = ax.images[0].get_array()
    assert array.shape == image.shape
    np.testing.assert_allclose(array, top, rtol=1e-6)
    assert ax.images[0].get_clim() == (0, 1)


@pytest.mark.parametrize(
    ("image", "xy", "widths", "message"),
    [
        (np.zeros((1, 28, 28)), (1, 1), (8,), r"\(H, W\) or \(H, W, 3\); got \(1, 28, 28\)"),
        (np.zeros((0, 28)), (1, 1), (8,), r"got \(0, 28\)"),
        (np.full((28, 28), -0.424), (1, 1), (8,), "normalisation"),
        (np.full((28, 28), 255.0), (1, 1), (8,), "divide by 255"),
        (np.full((28, 28), np.nan), (1, 1), (8,), "NaN"),
        (np.zeros((28, 28), int), (1, 1), (8,), "uint8 or float.*int64"),
        (IMAGE, (1, 1, 1), (8,), r"xy must have shape \(2\)"),
        (IMAGE, (1, np.nan), (8,), "xy holds 1"),
        (IMAGE, (1, 1), (), "widths_px is empty"),
        (IMAGE, (1, 1), (8, 0), "widths_px must be above 0"),
        (IMAGE, (1, 1), 8, "widths_px must have shape"),
    ],
)
def test_what_cannot_be_drawn_is_refused(image, xy, widths, message):
    with pytest.raises(InvalidInput, match=message):
        plot_glimpse(image, xy, widths)


# --- bars --------------------------------------------------------------------------------------


def test_bars_carry_their_class_from_0_on_top():
    ax = plot_class_bars(SIX)
    assert [bar.get_width() for bar in ax.patches] == SIX
    centres = [bar.get_y() + bar.get_height() / 2 for bar in ax.patches]
    np.testing.assert_allclose(centres, range(10))
    ax.figure.canvas.draw()
    ticks = {t.get_text(): y for t, y in zip(ax.get_yticklabels(), ax.get_yticks(), strict=True)}
    assert ticks == {str(k): k for k in range(10)}
    assert ax.yaxis_inverted()
    assert ax.get_xlim() == (0, 1)


@pytest.mark.parametrize(
    ("label", "colour", "mark"),
    [(6, RIGHT, TICK), (2, WRONG, CROSS), (None, NO_LABEL, None)],
    ids=["right", "wrong", "not known"],
)
def test_the_answer_is_marked_by_colour_and_sign(label, colour, mark):
    ax = plot_class_bars(SIX, label)
    for k, bar in enumerate(ax.patches):
        assert same_color(bar.get_facecolor(), colour if k == 6 else OTHERS)
    drawn = {text.get_text(): text for text in ax.texts if text.get_text()}
    bold = [t.get_text() for t in ax.get_yticklabels() if t.get_fontweight() == "bold"]
    if label is None:
        assert not drawn
        assert not bold
        return
    assert set(drawn) == {mark, TRUE}
    assert drawn[mark].get_position()[1] == 6
    assert drawn[TRUE].get_position()[1] == label
    assert bold == [str(label)]


def test_rendered_bars_have_the_answers_colour_in_the_answers_row():
    ax = plot_class_bars(FOUR, 6)
    drawn = rendered(ax.figure)
    assert near(drawn, ax, 0.3, 4, WRONG)
    assert near(drawn, ax, 0.1, 6, OTHERS)
    assert at(drawn, ax, 0.6, 4).min() == 255


def test_the_sign_on_a_long_bar_stays_within_the_axes():
    ax = plot_class_bars(SURE, 6)
    (mark,) = [text for text in ax.texts if text.get_text() == TICK]
    ax.figure.canvas.draw()
    end = ax.transData.inverted().transform(mark.get_window_extent())
    assert 0.8 < end[0, 0] < end[1, 0] < 0.96


@pytest.mark.parametrize(
    ("probability", "label", "message"),
    [
        ([0.5, np.nan, 0.5], None, "NaN"),
        ([0.5, 0.2], None, r"sum is 0\.7"),
        ([1.5, -0.5], None, r"smallest -0\.5"),
        ([2.3, -1.0, 0.4], None, "softmax of the logits"),
        ([1.0], None, "2 classes or more"),
        ([[0.5, 0.5]], None, r"must have shape \(class\)"),
        ([0.5, 0.5], 2, "from 0 to 1; got 2"),
        ([0.5, 0.5], -1, "from 0 to 1"),
        ([0.5, 0.5], 0.5, "whole number"),
        ([0.5, 0.5], "1", "whole number"),
        ([0.5, 0.5], np.nan, "whole number"),
    ],
)
def test_what_are_no_probabilities_is_refused(probability, label, message):
    with pytest.raises(InvalidInput, match=message):
        plot_class_bars(probability, label)


# --- strip -------------------------------------------------------------------------------------


def test_a_strip_has_a_column_a_glimpse(shown):
    seen = np.random.default_rng(0).random((3, 2, 4, 4))
    drawn = plot_glimpses(IMAGE, shown.assign(seen=(("glimpse", "scale", "row", "column"), seen)),
                          (8, 16))  # fmt: skip
    drawn.canvas.draw()
    images = [ax for ax in drawn.axes if len(ax.images) and ax.get_title()]
    patches = [ax for ax in drawn.axes if len(ax.images) and not ax.get_title()]
    bars = [ax for ax in drawn.axes if not len(ax.images)]
    assert (len(images), len(patches), len(bars)) == (3, 6, 3)
    for t in range(3):
        assert images[t].get_title() == f"glimpse {t + 1}"
        left_top = XY[t] - 4
        np.testing.assert_array_equal(squares(images[t], 1)[0], [*left_top, *(left_top + 8)])
        np.testing.assert_array_equal(np.transpose(images[t].lines[0].get_data()), XY[: t + 1])
        assert images[t].get_xlim() == images[0].get_xlim()
        for scale in range(2):
            np.testing.assert_array_equal(
                patches[2 * t + scale].images[0].get_array(), seen[t, scale]
            )
        assert [bar.get_width() for bar in bars[t].patches] == [SIX, FOUR, SURE][t]
        # In one column: the middle of the bars' axes lies under the image's.
        middle = [np.mean(ax.get_position().intervalx) for ax in (images[t], bars[t])]
        assert abs(middle[0] - middle[1]) < 0.1
    assert [ax.get_title() for ax in bars] == ["reads 6", "reads 4", "reads 6"]
    left, right = images[0].get_xlim()
    assert left <= 12 - 8
    assert right >= 40 + 8


def test_dimensions_and_coordinates_go_by_name(shown):
    turned = shown.isel(coordinate=[1, 0]).transpose("class", "coordinate", "glimpse")
    ax = plot_glimpses(IMAGE, turned, (8,)).axes[0]
    np.testing.assert_array_equal(squares(ax, 1), [[36, 4, 44, 12]])


def test_without_a_label_nothing_is_right_or_wrong(shown):
    drawn = plot_glimpses(IMAGE, shown.drop_vars("label"), (8,))
    assert not drawn.legends
    assert same_color(drawn.axes[1].patches[6].get_facecolor(), NO_LABEL)
    assert len(plot_glimpses(IMAGE, shown, (8,)).legends) == 1


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda s: s.rename(glimpse="fixation"), "lacks the dimension.*glimpse"),
        (lambda s: s.isel(glimpse=slice(0)), "empty"),
        (lambda s: s.drop_vars("probability").assign_coords({"class": range(10)}), "probability"),
        (lambda s: s.drop_vars("coordinate"), "'x' and 'y'"),
        (lambda s: s.assign_coords(coordinate=["row", "column"]), "'x' and 'y'"),
        (lambda s: s.assign(probability=s["probability"].where(s["class"] > 0)), "NaN"),
        (lambda s: s.assign(location=s["location"].where(s["coordinate"] == "x")), "NaN"),
        (lambda s: s.assign_coords({"class": [*range(1, 10), 0]}), "count from 0"),
        (lambda s: s.assign_coords(label=10), "from 0 to 9"),
        (lambda s: s.assign(seen=(("glimpse", "scale", "row"), np.zeros((3, 1, 4)))), "column"),
        (
            lambda s: s.assign(
                seen=(("glimpse", "scale", "row", "column"), np.zeros((3, 2, 4, 4)))
            ),
            r"\(glimpse, 1, row, column\); got \(3, 2, 4, 4\)",
        ),
        (
            lambda s: s.assign(
                seen=(("glimpse", "scale", "row", "column"), np.full((3, 1, 4, 4), -0.4))
            ),
            "seen.*normalisation",
        ),
    ],
)
def test_sets_that_do_not_fit_are_refused(shown, change, message, tmp_path):
    with pytest.raises(InvalidInput, match=message):
        plot_glimpses(IMAGE, change(shown), (8,))
    with pytest.raises(InvalidInput, match=message):
        write_glimpse_animation(IMAGE, change(shown), (8,), tmp_path / "a.gif")
    assert not list(tmp_path.iterdir())


# --- animation ---------------------------------------------------------------------------------


@pytest.fixture
def animated(shown, tmp_path):
    return write_glimpse_animation(IMAGE, shown, (8, 40), tmp_path / "digit.gif")


def frames_of(path):
    with Image.open(path) as opened:
        frames = []
        for index in range(opened.n_frames):
            opened.seek(index)
            frames.append((opened.info["duration"], np.asarray(opened.convert("RGB")).astype(int)))
        return opened.info["loop"], frames


def test_the_animation_has_a_frame_a_glimpse_and_no_end(animated):
    loop, frames = frames_of(animated)
    assert loop == 0
    assert [duration for duration, _ in frames] == [850] * 3
    assert len({frame.shape for _, frame in frames}) == 1
    assert not plt.get_fignums()


def test_squares_and_bars_change_and_stay_where_they_are(animated, shown):
    """The right half of a wrong answer has vermilion and no green; the image never moves."""
    _, frames = frames_of(animated)

    def share(frame, colour):
        near = np.abs(frame - 255 * np.array(to_rgb(colour))).max(-1) < 24
        height, width = near.shape
        return near[: int(0.8 * height), width // 2 :].sum()

    for (_, frame), right in zip(frames, [True, False, True], strict=True):
        assert (share(frame, RIGHT) > 300) == right
        assert (share(frame, WRONG) > 300) == (not right)
    # The black of the image begins at the same row and column in every frame.
    black = [(frame.max(-1) < 10)[: frame.shape[0] * 8 // 10, : frame.shape[1] // 2]
             for _, frame in frames]  # fmt: skip
    places = {(np.argmax(b.sum(1) > 60), np.argmax(b.sum(0) > 60)) for b in black}
    assert len(places) == 1


def test_squares_of_the_animation_move_as_the_glimpses_do(animated):
    """Their middles in the file's pixels are the locations, scaled and shifted alike."""
    _, frames = frames_of(animated)
    colour = 255 * np.array(to_rgb(SCALE_COLOURS[0]))
    middles = []
    for _, frame in frames:
        half = frame[:, : frame.shape[1] * 55 // 100]
        rows, columns = np.nonzero(np.abs(half - colour).max(-1) < 24)
        middles.append([np.ptp(columns) / 2 + columns.min(), np.ptp(rows) / 2 + rows.min()])
    moved = np.diff(middles, axis=0)
    wanted = np.diff(XY, axis=0)
    scale = moved[0, 0] / wanted[0, 0]
    assert scale > 2
    np.testing.assert_allclose(moved, scale * wanted, atol=2)


def test_the_same_input_makes_the_same_file(shown, animated, tmp_path):
    again = write_glimpse_animation(IMAGE, shown, (8, 40), tmp_path / "new" / "again.gif")
    assert again.read_bytes() == animated.read_bytes()


@pytest.mark.parametrize("frame_ms", [0, 10, 25, 99.5, np.nan])
def test_times_that_a_gif_cannot_keep_are_refused(shown, tmp_path, frame_ms):
    with pytest.raises(InvalidInput, match="frame_ms must be"):
        write_glimpse_animation(IMAGE, shown, (8,), tmp_path / "a.gif", frame_ms=frame_ms)


def test_a_file_that_stood_there_survives_a_failure(shown, animated, tmp_path, monkeypatch):
    before = animated.read_bytes()

    def full(*args, **kwargs):
        raise OSError("no space left on device")

    monkeypatch.setattr(Image.Image, "save", full)
    with pytest.raises(StorageError, match="no space"):
        write_glimpse_animation(IMAGE, shown, (8,), animated)
    assert animated.read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == ["digit.gif"]


def test_a_colour_image_and_one_glimpse(shown, tmp_path):
    picture = np.random.default_rng(0).integers(0, 256, (30, 50, 3), np.uint8)
    path = write_glimpse_animation(picture, shown.isel(glimpse=[0]), (8,), tmp_path / "a.gif")
    _, frames = frames_of(path)
    assert len(frames) == 1
