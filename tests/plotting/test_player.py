"""The player's page holds the scanpaths and nothing that breaks out; a browser replays them."""

import base64
import contextlib
import io
import json
import os
import re
import select
import shutil
import subprocess
import sys
import time
from html.parser import HTMLParser

import numpy as np
import pytest
import xarray as xr
from PIL import Image

from attnsci.errors import InvalidInput, StorageError
from attnsci.gaze import from_arrays, from_dict, to_frame
from attnsci.geometry import Viewing
from attnsci.plotting import player as module
from attnsci.plotting.player import write_player

VIEWING = Viewing(160, 120, px_per_deg=4)
# Durations that binary fractions hold, so that sums are exact.
PATHS = {
    "a.jpg": {
        "s1": [[20, 20, 0.25], [140, 100, 0.5], [60, 100, 0.25]],
        "s2": [[100, 30, 0.5], [30, 90, 1.0]],
    },
    "b.jpg": {"s2": [[80, 60, 0.125], [-8, 60, 0.125], [4000, 60, 0.25]]},
}
HOSTILE = '</script><script>document.title="broken"</script><!--<script>&"\'\u2028'


def noise(seed=0, shape=(120, 160, 3)):
    return np.random.default_rng(seed).integers(0, 256, shape, np.uint8)


@pytest.fixture
def scanpaths():
    return from_dict(PATHS, VIEWING)


class Page(HTMLParser):
    """What a browser would make of the page's scripts, styles and addresses."""

    def __init__(self, text):
        super().__init__()
        self.scripts, self.title, self.addresses, self.ids = [], "", [], set()
        self._open = None
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        attributes = dict(attrs)
        self._open = tag
        self.ids.add(attributes.get("id"))
        self.addresses += [v for k, v in attrs if k in ("src", "href", "action", "data")]
        self.addresses += [k for k, _ in attrs if k.startswith("on")]
        if tag == "script":
            self.scripts.append([attributes.get("type"), ""])

    def handle_endtag(self, tag):
        self._open = None

    def handle_data(self, text):
        if self._open == "script":
            self.scripts[-1][1] += text
        if self._open == "title":
            self.title += text

    @property
    def data(self):
        return json.loads(self.scripts[0][1])


def read(path):
    return Page(path.read_text(encoding="utf-8"))


def pixels(source):
    kind, encoded = re.fullmatch(r"data:image/(png|jpeg);base64,(.+)", source).groups()
    return kind, np.asarray(Image.open(io.BytesIO(base64.b64decode(encoded))))


def test_the_page_holds_the_container(scanpaths, tmp_path):
    images = {name: noise(index) for index, name in enumerate(PATHS)}
    page = read(write_player(scanpaths, images, tmp_path / "page.html", title="Two & more"))
    data = page.data
    assert page.title == "Two & more"
    assert (data["unit"], data["px_per_deg"], data["observers"]) == ("s", 4, ["s1", "s2"])
    assert [image["name"] for image in data["images"]] == list(PATHS)
    again = {
        image["name"]: {
            data["observers"][path["who"]]: np.transpose([path["x"], path["y"], path["duration"]])
            for path in image["scanpaths"]
        }
        for image in data["images"]
    }
    assert to_frame(from_dict(again, VIEWING)).equals(to_frame(scanpaths))
    for image in data["images"]:
        assert (image["width"], image["height"]) == (160, 120)


def test_the_page_asks_nothing_of_the_network(scanpaths, tmp_path):
    path = write_player(scanpaths, None, tmp_path / "page.html")
    page = read(path)
    assert page.addresses == []
    text = path.read_text(encoding="utf-8")
    assert "default-src 'none'" in text
    assert "unsafe" not in text
    assert not re.search(r"https?://|url\(|@import|fetch\(|XMLHttpRequest", text)


def test_names_cannot_break_out(tmp_path):
    scanpaths = from_dict({HOSTILE: {HOSTILE: [[1, 2, 0.5]]}}, VIEWING)
    page = read(write_player(scanpaths, None, tmp_path / "page.html", title=HOSTILE))
    assert [kind for kind, _ in page.scripts] == ["application/json", None]
    assert "<" not in page.scripts[0][1]
    assert page.data["images"][0]["name"] == page.data["observers"][0] == page.title == HOSTILE


def test_arrays_are_embedded_in_the_smaller_form(scanpaths, tmp_path):
    flat = np.zeros((120, 160), np.uint8)
    flat[40:80] = 200
    page = read(write_player(scanpaths, {"a.jpg": flat, "b.jpg": noise()}, tmp_path / "p.html"))
    (kind, shown), (photograph, close) = (pixels(i["src"]) for i in page.data["images"])
    assert (kind, photograph) == ("png", "jpeg")
    np.testing.assert_array_equal(shown, flat)
    assert close.shape == (120, 160, 3)


def test_files_are_embedded_as_they_are(scanpaths, tmp_path):
    Image.fromarray(noise()).save(tmp_path / "a.jpg")
    Image.fromarray(noise(1)).save(tmp_path / "b.bmp")
    images = {"a.jpg": tmp_path / "a.jpg", "b.jpg": str(tmp_path / "b.bmp"), "other": None}
    page = read(write_player(scanpaths, images, tmp_path / "p.html"))
    jpeg, bitmap = (image["src"] for image in page.data["images"])
    assert base64.b64decode(jpeg.partition(",")[2]) == (tmp_path / "a.jpg").read_bytes()
    kind, shown = pixels(bitmap)
    assert kind == "png"
    np.testing.assert_array_equal(shown, noise(1))


def test_onsets_count_from_the_first_fixation(tmp_path):
    scanpaths = from_arrays(
        [[1, 2, 3], [4, 5]], [[1, 2, 3], [4, 5]], [[0.1, 0.2, 0.1], [0.1, 0.1]],
        image="a", observer=["s1", "s2"], viewing=VIEWING,
    )  # fmt: skip
    scanpaths["onset"] = ("scanpath", "fixation"), [[7.5, 7.75, 8], [3, 3.5, np.nan]]
    first, second = read(write_player(scanpaths, None, tmp_path / "p")).data["images"][0][
        "scanpaths"
    ]
    assert (first["start"], second["start"]) == ([0, 0.25, 0.5], [0, 0.5])


def test_without_all_durations_time_counts_fixations(tmp_path):
    mixed = from_dict({"a": {"s1": [[1, 2, 0.5]], "model": [[3, 4], [5, 6]]}}, VIEWING)
    data = read(write_player(mixed, None, tmp_path / "p.html")).data
    assert data["unit"] == "fixation"
    assert [path["duration"] for path in data["images"][0]["scanpaths"]] == [[0.5], None]


def test_samples_are_told_apart(tmp_path):
    scanpaths = from_arrays(
        [[1, 2], [3, 4]], [[1, 2], [3, 4]], image="a", observer="model", viewing=VIEWING,
        sample=["0", "1"],
    )  # fmt: skip
    data = read(write_player(scanpaths, None, tmp_path / "p.html")).data
    assert data["observers"] == ["model, 0", "model, 1"]


@pytest.mark.parametrize(
    ("image", "message"),
    [
        ({}, r"lacks 'a.jpg' \(2 of 2 images\)"),
        ({"a.jpg": noise(shape=(120, 120, 3))}, "lacks 'b.jpg'"),
        ({"a.jpg": noise(shape=(120, 120, 3)), "b.jpg": noise()}, "120×120 pixels.*160×120"),
        ({"a.jpg": noise() / 255, "b.jpg": noise()}, "must be uint8.*float64"),
        ({"a.jpg": noise(shape=(120, 160, 2)), "b.jpg": noise()}, r"\(120, 160, 2\)"),
        ({"a.jpg": "absent.png", "b.jpg": noise()}, "cannot be read from absent.png"),
        ({"a.jpg": __file__, "b.jpg": noise()}, "cannot be read"),
    ],
    ids=["none", "one", "shape", "float", "channels", "no file", "no image"],
)
def test_images_that_cannot_be_are_refused(scanpaths, tmp_path, image, message):
    with pytest.raises(InvalidInput, match=message):
        write_player(scanpaths, image, tmp_path / "page.html")
    assert not list(tmp_path.iterdir())


def test_pages_too_large_for_a_browser_are_refused(scanpaths, tmp_path, monkeypatch):
    images = {"a.jpg": noise(), "b.jpg": noise()}
    size = write_player(scanpaths, images, tmp_path / "page.html").stat().st_size
    for limit in (size - 1, 1000):
        monkeypatch.setattr(module, "MAX_BYTES", limit)
        with pytest.raises(InvalidInput, match=r"select\(scanpaths, image="):
            write_player(scanpaths, images, tmp_path / "page.html")
    monkeypatch.setattr(module, "MAX_BYTES", size)
    assert write_player(scanpaths, images, tmp_path / "page.html").stat().st_size == size


def test_a_place_that_cannot_be_written_is_our_error(scanpaths, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(StorageError):
        write_player(scanpaths, None, tmp_path / "file" / "page.html")


# What s1 and s2 answer on "a.jpg" of `PATHS`, and s2 on "b.jpg", of three classes.
ANSWERS = [
    [[0.5, 0.25, 0.25], [0.125, 0.75, 0.125], [0.0, 0.0, 1.0]],
    [[0.25, 0.5, 0.25], [0.625, 0.25, 0.125], [np.nan] * 3],
    [[0.1, 0.2, 0.7], [0.2, 0.2, 0.6], [0.3, 0.4, 0.3]],
]
LABELS = [1, 0, 2]


@pytest.fixture
def answered(scanpaths):
    """Scanpaths of a model that answers; of its classes, the last dimension is not the last."""
    probability = xr.DataArray(ANSWERS, dims=("scanpath", "fixation", "class"))
    scanpaths["probability"] = probability.transpose("class", "fixation", "scanpath")
    return scanpaths.assign_coords(label=("scanpath", LABELS))


def test_the_page_holds_boxes_and_answers(answered, tmp_path):
    data = read(write_player(answered, None, tmp_path / "p.html", boxes_px=(8, 16.5))).data
    assert data["boxes_px"] == [8, 16.5]
    paths = [path for image in data["images"] for path in image["scanpaths"]]
    assert [path["label"] for path in paths] == LABELS
    for path, shares in zip(paths, ANSWERS, strict=True):
        assert path["probability"] == shares[: len(path["x"])]


def test_without_answers_the_page_holds_none(scanpaths, answered, tmp_path):
    data = read(write_player(answered.drop_vars("label"), None, tmp_path / "p.html")).data
    assert data["boxes_px"] == []
    assert data["images"][0]["scanpaths"][0]["label"] is None
    plain = answered.drop_vars(["probability", "label"])
    path = read(write_player(plain, None, tmp_path / "p.html")).data["images"][0]["scanpaths"][0]
    assert not {"probability", "label"} & set(path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda s: s.assign(probability=s["probability"].where(s["fixation"] != 1)),
         "'a.jpg', 's1' holds 3 values that are NaN"),
        (lambda s: s.assign(probability=s["probability"].fillna(0) / 2), "sum is 0.5"),
        (lambda s: s.assign(probability=s["probability"].isel({"class": 0})), "dims"),
        (lambda s: s.assign(probability=s["probability"].rename({"class": "unit"})), "unit"),
        (lambda s: s.assign_coords({"class": [2, 1, 0]}), "count from 0"),
        (lambda s: s.assign_coords(label=("scanpath", [0, 3, 0])), "'s2' must be.*0 to 2; got 3"),
        (lambda s: s.assign_coords(label=("scanpath", ["0", "1", "2"])), "whole number"),
        (lambda s: s.assign_coords(label=1), "label must be on scanpath"),
    ],
    ids=["NaN", "sum", "dims", "name", "order", "no class", "text", "scalar"],
)  # fmt: skip
def test_answers_that_cannot_be_are_refused(answered, tmp_path, change, message):
    with pytest.raises(InvalidInput, match=message):
        write_player(change(answered.assign_coords(fixation=range(3))), None, tmp_path / "p.html")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("side", [0, -8, np.nan])
def test_boxes_without_a_size_are_refused(scanpaths, tmp_path, side):
    with pytest.raises(InvalidInput, match="boxes_px must be above 0"):
        write_player(scanpaths, None, tmp_path / "p.html", boxes_px=(8, side))


# --- in a browser ------------------------------------------------------------------------------

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
# Chromium reads and writes its debugging protocol on the file descriptors 3 and 4.
TRAMPOLINE = """
import fcntl, os, sys
ends = [fcntl.fcntl(int(end), fcntl.F_DUPFD, 10) for end in sys.argv[1:3]]
for place, end in enumerate(ends, start=3):
    os.dup2(end, place)
os.execv(sys.argv[3], sys.argv[3:])
"""
PATIENCE_S = 60


class Browser:
    """Headless Chromium, driven by its debugging protocol over pipes: no driver and no port."""

    def __init__(self, program, profile):
        theirs, self._write = os.pipe()
        self._read, answers = os.pipe()
        self._process = subprocess.Popen(
            [
                *(sys.executable, "-c", TRAMPOLINE, str(theirs), str(answers), program),
                *("--headless=new", "--no-sandbox", "--disable-gpu", "--remote-debugging-pipe"),
                *("--force-device-scale-factor=1", "--window-size=1000,900"),
                *("--no-first-run", "--disable-dev-shm-usage", f"--user-data-dir={profile}"),
                "about:blank",
            ],
            pass_fds=(theirs, answers),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        os.close(theirs)
        os.close(answers)
        self._buffer, self._count, self._session = b"", 0, {}
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        attached = self.call("Target.attachToTarget", targetId=target, flatten=True)
        self._session = {"sessionId": attached["sessionId"]}
        self.call("Page.enable")

    def call(self, method, **parameters):
        self._count += 1
        message = {"id": self._count, "method": method, "params": parameters, **self._session}
        os.write(self._write, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._receive()
            if answer.get("id") == self._count:
                assert "error" not in answer, answer
                return answer["result"]

    def _receive(self):
        while b"\0" not in self._buffer:
            ready, _, _ = select.select([self._read], [], [], PATIENCE_S)
            chunk = os.read(self._read, 1 << 20) if ready else b""
            assert chunk, "the browser does not answer"
            self._buffer += chunk
        message, _, self._buffer = self._buffer.partition(b"\0")
        return json.loads(message)

    def evaluate(self, expression):
        found = self.call("Runtime.evaluate", expression=expression, returnByValue=True)
        assert "exceptionDetails" not in found, found
        return found["result"].get("value")

    def open(self, path, link=""):
        # By way of an empty page, since another link into the same page does not load it.
        for address in ("about:blank", f"{path.as_uri()}#{link}"):
            self.call("Page.navigate", url=address)
        self.wait(ready="true")

    @property
    def state(self):
        """What the page tells about itself in its body's data attributes."""
        return self.evaluate("document.body ? {...document.body.dataset} : {}")

    def wait(self, **wanted):
        deadline = time.monotonic() + PATIENCE_S
        while not wanted.items() <= self.state.items():
            assert time.monotonic() < deadline, f"waited for {wanted}; the page has {self.state}"

    def press(self, key):
        text = {"text": key} if len(key) == 1 else {}
        self.call("Input.dispatchKeyEvent", type="keyDown", key=key, **text)
        self.call("Input.dispatchKeyEvent", type="keyUp", key=key)

    def click(self, selector):
        box = self.evaluate(
            f"(({{x, y, width, height}}) => [x + width / 2, y + height / 2])"
            f"(document.querySelector({json.dumps(selector)}).getBoundingClientRect())"
        )
        for kind in ("mousePressed", "mouseReleased"):
            self.call(
                "Input.dispatchMouseEvent", type=kind, x=box[0], y=box[1], button="left",
                clickCount=1,
            )  # fmt: skip

    def canvas(self):
        """Return what is drawn, (H, W, 3), and the canvas pixels per pixel of the frame."""
        address = self.evaluate("document.getElementById('canvas').toDataURL('image/png')")
        shown = Image.open(io.BytesIO(base64.b64decode(address.partition(",")[2])))
        return np.asarray(shown.convert("RGB")).astype(float)

    def close(self):
        with contextlib.suppress(AssertionError, OSError):
            self._session = {}
            self.call("Browser.close")
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        os.close(self._write)
        os.close(self._read)


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    named = os.environ.get("CHROME")
    program = next(filter(None, map(shutil.which, [named] if named else BROWSERS)), None)
    if program is None:
        pytest.skip("needs Chromium or Chrome on the path, or its program in the variable CHROME")
    opened = Browser(program, tmp_path_factory.mktemp("profile"))
    yield opened
    opened.close()


@pytest.fixture
def page(tmp_path, scanpaths):
    path = tmp_path / "page # 1.html"
    return write_player(scanpaths, {"a.jpg": noise(), "b.jpg": noise(1)}, path)


def state_of(browser, *names):
    state = browser.state
    return [json.loads(state[n]) if state[n][:1] in "[-0123456789" else state[n] for n in names]


def test_the_slider_shows_the_fixations_of_that_moment(browser, page):
    browser.open(page)
    assert state_of(browser, "image", "unit", "end") == ["a.jpg", "s", 1.5]
    # s1 looks at 0, 0.25 and 0.75 s and ends at 1 s; s2 at 0 and 0.5 s.
    expected = {0: [0, 0], 0.25: [1, 0], 0.5: [1, 1], 0.75: [2, 1], 1: [3, 1], 1.5: [3, 2]}
    for t, fixations in expected.items():
        browser.evaluate(
            f"(s => {{ s.value = {t}; s.dispatchEvent(new Event('input')); }})"
            "(document.getElementById('time'))"
        )
        assert state_of(browser, "time", "fixations") == [t, fixations]
    clock = browser.evaluate("document.getElementById('clock').textContent")
    assert clock == "1.50 s of 1.50 s"


def test_keys_step_through_fixations_and_play(browser, page):
    browser.open(page)
    times = []
    for key in ["ArrowRight"] * 5 + ["ArrowLeft", "Home", "End"]:
        browser.press(key)
        times += state_of(browser, "time")
    assert times == [0.25, 0.5, 0.75, 1.5, 1.5, 0.75, 0, 1.5]
    browser.press(" ")
    assert browser.state["playing"] == "true"
    browser.press(" ")
    assert browser.state["playing"] == "false"


def test_it_plays_at_its_speed(browser, page):
    browser.open(page, "speed=0.25")
    browser.click("#play")
    assert browser.evaluate("document.getElementById('play').textContent") == "Pause"
    moment = "[performance.now() / 1000, Number(document.body.dataset.time)]"
    (now, t), (later, t_later) = browser.evaluate(moment), (0, 0)
    while t_later < 0.15:
        later, t_later = browser.evaluate(moment)
    assert 0.15 < (t_later - t) / (later - now) < 0.4


def test_it_stops_at_the_end_and_begins_again(browser, page):
    browser.open(page, "speed=4&play=1")
    browser.wait(playing="false")
    assert state_of(browser, "time", "fixations") == [1.5, [3, 2]]
    browser.click("#play")
    assert state_of(browser, "time")[0] < 1.5


def test_observers_are_switched_off_and_on(browser, page):
    browser.open(page, "t=0.25")
    both = browser.canvas()
    for selector, left in [
        ("#list li:first-child input", ["s2"]),
        ("#none", []),
        ("#list li:last-child label", ["s2"]),
        ("#all", ["s1", "s2"]),
    ]:
        browser.click(selector)
        assert state_of(browser, "observers") == [left]
        boxes = "[...document.querySelectorAll('#list input')].map((box) => box.checked)"
        assert browser.evaluate(boxes) == [name in left for name in ("s1", "s2")]
        changed = np.abs(browser.canvas() - both).any()
        assert changed == (len(left) < 2)


def test_each_fixation_is_drawn_in_its_place(browser, tmp_path, scanpaths):
    """On grey frames: the middle of a mark has the observer's colour."""
    path = write_player(scanpaths, None, tmp_path / "page.html")
    browser.open(path, "t=0.5&observer=s1")
    drawn = browser.canvas()
    scale = drawn.shape[1] / 160
    assert drawn.shape[0] == round(120 * scale)

    def colour_at(x, y):
        return drawn[round(y * scale), round(x * scale)]

    np.testing.assert_array_equal(colour_at(140, 100), [0x00, 0x72, 0xB2])  # the current one
    blue = colour_at(20, 20)  # seen before, translucent
    assert blue[2] - blue[0] > 60
    np.testing.assert_array_equal(colour_at(80, 20), [0xDC] * 3)
    np.testing.assert_array_equal(colour_at(60, 100), [0xDC] * 3, "the next one is not there yet")
    assert "grey" in browser.evaluate("document.getElementById('notes').textContent")


def test_a_link_opens_a_moment_of_an_image(browser, page):
    browser.open(page, "image=b.jpg&observer=s2&t=0.2&foveate=1&follow=s2")
    names = ("image", "observers", "time", "fixations", "foveated", "follow")
    assert state_of(browser, *names) == ["b.jpg", ["s2"], 0.2, [1], "true", "s2"]
    # s1 did not see this image.
    disabled = "[...document.querySelectorAll('#list input')].map((box) => box.disabled)"
    assert browser.evaluate(disabled) == [True, False]
    browser.open(page, "image=nobody&observer=who&t=x&speed=77&follow=me")
    assert state_of(browser, "image", "observers", "time", "speed") == ["a.jpg", [], 0, 1]


def test_fixations_outside_widen_the_view(browser, page):
    browser.open(page, "image=b.jpg")
    height, width, _ = browser.canvas().shape
    # From 8 px left of the frame, with a border of 2% of its width; 4000 is too far.
    assert width / height == pytest.approx((160 + 8 + 3.2) / 120, rel=0.01)
    notes = browser.evaluate("document.getElementById('notes').textContent")
    assert notes == "Fixations farther outside: 1."


def test_the_foveated_view_is_sharp_at_the_fixation_only(browser, page):
    """Noise keeps its variance where the eye is, and loses it with eccentricity."""
    sharp, foveated = [], []
    for link, shown in (("", sharp), ("&foveate=1&follow=s1", foveated)):
        browser.open(page, "t=0.1&observer=" + link)
        drawn = browser.canvas()
        scale = drawn.shape[1] / 160
        for x, y in [(20, 20), (60, 50), (140, 100)]:  # s1 looks at the first
            here = drawn[
                round((y - 4) * scale) : round((y + 4) * scale),
                round((x - 4) * scale) : round((x + 4) * scale),
            ]
            shown.append(here.std())
    kept = np.divide(foveated, sharp)
    assert kept[0] > 0.6
    assert kept[0] > 2 * kept[1] > 2 * kept[2]


def test_hostile_names_stay_text(browser, tmp_path):
    scanpaths = from_dict({HOSTILE: {HOSTILE: [[1, 2, 0.5]]}}, VIEWING)
    path = write_player(scanpaths, {HOSTILE: noise()}, tmp_path / "page.html", title=HOSTILE)
    browser.open(path)
    assert browser.evaluate("document.title.startsWith('</script>')")
    assert state_of(browser, "image") == [HOSTILE]
    assert browser.evaluate("document.querySelectorAll('script').length") == 2


def test_every_control_has_a_name(browser, page):
    """What a screen reader would say, from the browser's own accessibility tree."""
    browser.open(page)
    roles = {"button", "checkbox", "slider", "combobox", "image", "img"}
    nodes = browser.call("Accessibility.getFullAXTree")["nodes"]
    named = [
        (node["role"]["value"], node.get("name", {}).get("value", ""))
        for node in nodes
        if node.get("role", {}).get("value") in roles
    ]
    assert all(name for _, name in named), named
    assert {("slider", "Time"), ("combobox", "Image"), ("checkbox", "s1")} <= set(named)
    image = next(name for role, name in named if role in ("image", "img"))
    assert image == "a.jpg, 0.00 s of 1.50 s, 2 of 2 scanpaths shown"


def test_without_durations_the_slider_counts_fixations(browser, tmp_path):
    scanpaths = from_dict({"a": {"m": [[10, 10], [20, 20], [30, 30]]}}, VIEWING)
    browser.open(write_player(scanpaths, None, tmp_path / "page.html"), "t=1")
    clock = "document.getElementById('clock').textContent"
    assert state_of(browser, "unit", "end", "fixations") == ["fixation", 3, [1]]
    assert browser.evaluate(clock) == "fixation 2 of 3"
    browser.press("End")
    assert browser.evaluate(clock) == "all 3 fixations"


def test_boxes_stand_about_the_present_fixation(browser, tmp_path, scanpaths):
    """On grey frames, about (140, 100): sides have the observer's colour where they belong."""
    path = write_player(scanpaths, None, tmp_path / "page.html", boxes_px=(20, 36))
    browser.open(path, "t=0.5&observer=s1")
    drawn = browser.canvas()
    scale = drawn.shape[1] / 160
    assert drawn.shape[0] == pytest.approx(120 * scale, abs=1), "36 px fit: no wider view"

    def blue(x, y):
        row, column = round(y * scale), round(x * scale)
        here = drawn[row - 2 : row + 3, column - 2 : column + 3]
        return (np.abs(here - (0x00, 0x72, 0xB2)).max(-1) < 24).any()

    for x, y in [(130, 100), (150, 100), (140, 110), (122, 100), (158, 100), (140, 82), (140, 118)]:
        assert blue(x, y), (x, y)
    # Neither about where it looked before, nor about the place with swapped coordinates.
    for x, y in [(10, 20), (20, 30), (90, 115), (110, 115), (154, 105), (126, 95)]:
        assert not blue(x, y), (x, y)
    browser.open(path, "t=1.2&observer=s1")
    drawn = browser.canvas()
    assert not blue(150, 100), "its last fixation is over"


def test_boxes_over_the_edge_widen_the_view(browser, tmp_path, scanpaths):
    path = write_player(scanpaths, None, tmp_path / "page.html", boxes_px=(8, 60))
    browser.open(path, "t=0.25")
    height, width, _ = browser.canvas().shape
    # Boxes about (20, 20), (140, 100), (60, 100), (100, 30), (30, 90) and a border of 2%.
    assert width / height == pytest.approx((180 + 6.4) / (140 + 6.4), rel=0.01)


def told(browser):
    state = browser.state
    rows = browser.evaluate(
        "[...document.querySelectorAll('#classes tr')].map((row) => [row.className.trim(),"
        " ...[...row.cells].map((cell) => cell.textContent),"
        " row.querySelector('div').getBoundingClientRect().width /"
        " row.cells[1].getBoundingClientRect().width,"
        " getComputedStyle(row.querySelector('div')).backgroundColor])"
    )
    return json.loads(state["answer"]) if state["answer"] else None, rows


def test_the_panel_tells_the_answer_of_the_moment(browser, tmp_path, answered):
    path = write_player(answered, None, tmp_path / "page.html")
    browser.open(path, "t=0.1")  # s1's first fixation: reads 0, is 1
    answer, rows = told(browser)
    wrong = {"who": "s1", "fixation": 0, "answer": 0, "label": 1, "verdict": "wrong"}
    assert answer == wrong
    reads = "document.getElementById('reads').textContent"
    assert browser.evaluate(reads) == "s1, fixation 1: reads 0 ✗ wrong, is 1"
    assert [row[1] for row in rows] == ["0", "1", "2"]
    assert [row[3] for row in rows] == ["0.50", "0.25", "0.25"]
    assert [row[4] for row in rows] == ["✗", "◀", ""]
    assert [row[0] for row in rows] == ["answer wrong", "true", ""]
    np.testing.assert_allclose([row[5] for row in rows], ANSWERS[0][0], atol=0.02)
    assert rows[0][6] == "rgb(213, 94, 0)"
    browser.press("ArrowRight")  # its second: right
    answer, rows = told(browser)
    assert answer == wrong | {"fixation": 1, "answer": 1, "verdict": "right"}
    assert [row[4] for row in rows] == ["", "✓◀", ""]
    assert (rows[1][0], rows[1][6]) == ("answer right true", "rgb(0, 158, 115)")
    browser.press("End")  # the last one stays
    assert told(browser)[0] == wrong | {"fixation": 2, "answer": 2}


def test_the_panel_is_of_whom_is_shown_or_followed(browser, tmp_path, answered):
    path = write_player(answered, {n: noise() for n in PATHS}, tmp_path / "page.html")
    for link, who in [
        ("", "s1"),
        ("observer=s2", "s2"),
        ("foveate=1&follow=s2", "s2"),
        ("observer=s2&foveate=1&follow=s1", "s1"),
        ("observer=", None),
    ]:
        browser.open(path, "t=0.1&" + link)
        answer, _ = told(browser)
        assert (answer and answer["who"]) == who, link
        hidden = "getComputedStyle(document.getElementById('answer')).display === 'none'"
        assert browser.evaluate(hidden) == (who is None)
    browser.open(path, "image=b.jpg&t=0.13")
    assert told(browser)[0] == {
        "who": "s2", "fixation": 1, "answer": 2, "label": 2, "verdict": "right",
    }  # fmt: skip


def test_without_a_label_the_panel_judges_nothing(browser, tmp_path, answered):
    browser.open(write_player(answered.drop_vars("label"), None, tmp_path / "page.html"))
    answer, rows = told(browser)
    assert answer["verdict"] == ""
    assert [row[4] for row in rows] == ["", "", ""]
    assert rows[0][6] == "rgb(0, 114, 178)"


def test_without_answers_there_is_no_panel(browser, page):
    browser.open(page)
    assert browser.state["answer"] == ""
    assert browser.evaluate("document.getElementById('answer').hidden")


def test_small_pictures_are_shown_as_their_pixels(browser, tmp_path):
    """A chequerboard of 28 × 28 has, enlarged, no grey but on the edges of its pixels."""
    board = (np.indices((28, 28)).sum(0) % 2 * 255).astype(np.uint8)
    scanpaths = from_dict({"a": {"m": [[14, 14]]}}, Viewing(28, 28))
    browser.open(write_player(scanpaths, {"a": board}, tmp_path / "page.html"), "observer=")
    drawn = browser.canvas()[..., 0]
    assert ((drawn > 8) & (drawn < 247)).mean() < 0.02
