"""Pixels, degrees, unit square, display: closed forms, identities, and what is refused."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from attnsci.errors import InvalidInput
from attnsci.geometry import Viewing, px_per_deg

SIDE = st.floats(1, 5000)
PLACE = st.floats(-5000, 5000)
OSIE = Viewing(800, 600, px_per_deg=24)


def close(a, b):
    np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-9)


def test_the_first_pixel():
    close(OSIE.to_unit(0.5, 0.5), (-1 + 1 / 800, -1 + 1 / 600))
    close(OSIE.to_unit(800, 600), (1, 1))


def test_24_px_are_a_degree():
    assert OSIE.degrees(24) == 1 and OSIE.pixels(2) == 48
    close(OSIE.to_degrees(424, 276), (1, -1))
    assert OSIE.diagonal_px == 1000


def test_px_per_deg_of_a_screen():
    # 1 cm subtends 1 degree at 57.29 cm.
    one = 0.5 / math.tan(math.radians(0.5))
    assert px_per_deg(one, 40, 1280) == pytest.approx(32, rel=1e-12)
    with pytest.raises(InvalidInput, match="distance_cm must be above 0; got 0"):
        px_per_deg(0, 40, 1280)


@given(x=PLACE, y=PLACE, width=SIDE, height=SIDE, scale=st.floats(1, 200))
def test_there_and_back(x, y, width, height, scale):
    viewing = Viewing(width, height, px_per_deg=scale, offset_px=(3, -4), scale=(1.5, 0.5))
    for there, back in (
        (viewing.to_degrees, viewing.from_degrees),
        (viewing.to_unit, viewing.from_unit),
        (viewing.to_display, viewing.from_display),
    ):
        close(back(*there(x, y)), (x, y))
    close(viewing.degrees(viewing.pixels(x)), x)


def test_display_of_a_padded_and_resized_image():
    # 640 x 480 shown at 1400 x 1050 in the middle of 1680 x 1050, as COCO-Search18 does.
    viewing = Viewing(640, 480, display_width_px=1680, display_height_px=1050,
                      offset_px=(140, 0), scale=(1400 / 640, 1050 / 480))  # fmt: skip
    close(viewing.from_display(840, 525), (320, 240))
    close(viewing.to_display(0, 480), (140, 1050))


@pytest.mark.parametrize(
    ("origin", "base", "point", "ours"),
    [
        ("top-left", 0, (10, 20), (10, 20)),
        ("top-left", 1, (1, 1), (0.5, 0.5)),
        ("bottom-left", 0, (10, 20), (10, 580)),
        ("bottom-left", 1, (1, 1), (0.5, 599.5)),
        ("centre", 0, (0, 0), (400, 300)),
        ("centre", 0, (-400, 300), (0, 0)),
    ],
)
def test_other_origins(origin, base, point, ours):
    close(OSIE.from_origin(*point, origin, base), ours)


def test_resizing_keeps_the_place_on_the_display():
    small = OSIE.resized(320, 240)
    assert (small.width_px, small.height_px, small.px_per_deg) == (320, 240, 24 * 0.4)
    close(small.to_display(160, 120), OSIE.to_display(400, 300))
    assert OSIE.resized(224, 224).px_per_deg is None  # not the same across as down
    back = small.resized(800, 600)
    close([back.px_per_deg, *back.scale], [24, 1, 1])


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"width_px": 0}, "width_px must be above 0; got 0"),
        ({"height_px": -1}, "height_px"),
        ({"height_px": math.nan}, "height_px"),
        ({"px_per_deg": 0}, "px_per_deg"),
        ({"scale": (1, 0)}, "scale"),
        ({"display_width_px": 800}, "both display_width_px and display_height_px"),
    ],
)
def test_what_cannot_be(settings, message):
    with pytest.raises(InvalidInput, match=message):
        Viewing(**{"width_px": 800, "height_px": 600, **settings})


def test_resizing_to_nothing():
    with pytest.raises(InvalidInput, match="width_px must be above 0; got 0"):
        OSIE.resized(0, 100)


def test_degrees_need_their_pixels():
    for use in (lambda v: v.to_degrees(1, 1), lambda v: v.degrees(1), lambda v: v.pixels(1)):
        with pytest.raises(InvalidInput, match=r"px_per_deg=\.\.\..*computes it"):
            use(Viewing(800, 600))


def test_unknown_origin_and_base():
    with pytest.raises(InvalidInput, match="origin must be one of 'top-left'"):
        OSIE.from_origin(0, 0, "bottom")
    with pytest.raises(InvalidInput, match="base must be one of 0, 1; got 2"):
        OSIE.from_origin(0, 0, base=2)


def test_json_there_and_back():
    for viewing in (
        OSIE,
        Viewing(np.int64(800), np.float32(600)),
        Viewing(1.5, 2.5, None, 7, 8, (1, 2), (0.5, 0.25)),
    ):
        assert Viewing.from_json(viewing.to_json()) == viewing
        assert "\n" not in viewing.to_json()


@pytest.mark.parametrize("text", ["", "[]", "7", "{}", '{"width_px": 800}', "no json"])
def test_other_json_is_refused(text):
    with pytest.raises(InvalidInput, match="is no Viewing"):
        Viewing.from_json(text)
