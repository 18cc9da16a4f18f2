"""pymovements' events through stand-ins with the same attributes as version 0.28 has."""

import dataclasses
import math

import numpy as np
import pandas as pd
import pytest

from attnsci.errors import InvalidInput
from attnsci.gaze import to_frame, viewing_of
from attnsci.geometry import Viewing
from attnsci.scanpaths.formats.pymovements import from_pymovements


@dataclasses.dataclass
class Screen:
    width_px: int | None = 1280
    height_px: int | None = 1024
    width_cm: float | None = 38.0
    height_cm: float | None = 30.2
    distance_cm: float | None = 68.0
    origin: str | None = "upper left"


@dataclasses.dataclass
class Experiment:
    screen: Screen


class Polars:
    """A polars table: no pandas until it is asked for it."""

    def __init__(self, **columns):
        self.columns = columns

    def to_pandas(self):
        return pd.DataFrame(self.columns)


@dataclasses.dataclass
class Events:
    frame: Polars


@dataclasses.dataclass
class Gaze:
    events: Events
    experiment: Experiment


COLUMNS = {
    "name": ["fixation_eyelink", "saccade_eyelink", "fixation_eyelink", "fixation"],
    "onset": [1200, 1150, 1010, 2120],
    "offset": [1399, 1199, 1109, 2219],
    "duration": [199, 49, 99, 99],
    "location": [np.array([3.0, 4.0]), None, np.array([1.0, 2.0]), np.array([5.0, 6.0])],
    "stimulus": ["cat", "cat", "cat", "dog"],
    "shown": [1000, 1000, 1000, 2000],
}


def _events(**changes):
    return Events(Polars(**{**COLUMNS, **changes}))


def _read(events=None, origin="upper left", **options):
    given = {"columns": {"image": "stimulus"}, "observer": "s1", **options}
    return from_pymovements(events or _events(), Experiment(Screen(origin=origin)), **given)


def test_fixations_become_scanpaths_in_order_of_time():
    found = _read(columns={"image": "stimulus", "image_onset": "shown"})
    frame = to_frame(found)
    assert frame["image"].tolist() == ["cat", "cat", "dog"]
    assert frame[["x", "y"]].to_numpy().tolist() == [[1, 2], [3, 4], [5, 6]]
    assert frame["duration"].tolist() == [0.099, 0.199, 0.099]
    assert frame["onset"].tolist() == [0.01, 0.2, 0.12]
    assert set(frame["observer"]) == {"s1"}


def test_without_image_onset_there_are_no_onsets():
    found = _read()
    assert "onset" not in found
    assert "no onsets" in found.attrs["steps"]


def test_screen_is_the_geometry():
    viewing = viewing_of(_read())
    expected = 2 * 68 * math.tan(math.radians(0.5)) * 1280 / 38
    assert viewing == Viewing(1280, 1024, px_per_deg=expected)
    unknown = from_pymovements(
        _events(), Experiment(Screen(width_cm=None)), image="a", observer="b"
    )
    assert viewing_of(unknown) == Viewing(1280, 1024)


@pytest.mark.parametrize(
    ("origin", "first"),
    [("upper left", [1, 2]), ("center", [641, 514]), ("lower left", [1, 1022]), (None, [1, 2])],
)
def test_origins(origin, first):
    assert to_frame(_read(origin=origin))[["x", "y"]].to_numpy()[0].tolist() == first


def test_gaze_brings_its_events_and_experiment():
    gaze = Gaze(_events(), Experiment(Screen()))
    one = from_pymovements(gaze, columns={"image": "stimulus"}, observer="s1")
    assert one.identical(_read())


def test_given_viewing_places_the_stimulus():
    found = _read(viewing=Viewing(640, 512, offset_px=(1, 2)))
    assert to_frame(found)[["x", "y"]].to_numpy()[0].tolist() == [0, 0]


def test_two_eyes_need_a_choice():
    events = _events(eye=["left", "left", "right", "left"])
    with pytest.raises(InvalidInput, match="eye must be one of 'left', 'right'; got None"):
        _read(events)
    assert to_frame(_read(events, eye="right"))["x"].tolist() == [1]


def test_unnested_locations():
    events = _events(location_x=[3.0, 0.0, 1.0, 5.0], location_y=[4.0, 0.0, 2.0, 6.0])
    del events.frame.columns["location"]
    assert _read(events).identical(_read())


def test_fixations_without_location_are_left_out_and_counted():
    nowhere = [np.array([np.nan, np.nan]), None, np.array([1.0, 2.0]), None]
    with pytest.warns(UserWarning, match="2 of 3 fixations without a position"):
        assert to_frame(_read(_events(location=nowhere)))["x"].tolist() == [1]


@pytest.mark.parametrize(
    ("changes", "options", "message"),
    [
        ({"name": ["saccade"] * 4}, {}, "None of the events is a fixation"),
        ({"location": [[1.0, 2.0, 3.0]] * 4}, {}, r"\[3\] numbers a row"),
        ({"offset": [0] * 4}, {}, "negative"),
        ({}, {"columns": {"image": "page"}}, "no column 'page'"),
        ({}, {"columns": {}}, "Which image"),
        ({}, {"observer": None}, "Which observer"),
        ({}, {"origin": "upper right"}, "experiment.screen.origin must be one of"),
    ],
)
def test_what_is_missing_is_named(changes, options, message):
    with pytest.raises(InvalidInput, match=message):
        _read(_events(**changes), **options)


def test_other_things_are_no_events():
    with pytest.raises(InvalidInput, match="list is no table"):
        from_pymovements([1, 2], image="a", observer="b")
    events = _events()
    with pytest.raises(InvalidInput, match="give experiment= or viewing="):
        from_pymovements(events, image="a", observer="b")
    with pytest.raises(InvalidInput, match="no size in pixels"):
        from_pymovements(events, Experiment(Screen(width_px=None)), image="a", observer="b")
    del events.frame.columns["location"]
    with pytest.raises(InvalidInput, match="compute_event_properties"):
        _read(events)
