"""Every format that is written: what comes back, and the same bytes the second time."""

import warnings
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from attnsci.gaze import from_arrays, validate
from attnsci.geometry import Viewing
from attnsci.scanpaths.formats.base import get_format, registered
from attnsci.scanpaths.formats.io import read_scanpaths, write_scanpaths

VIEWING = Viewing(800, 600, px_per_deg=24)
WRITTEN = sorted(name for name, each in registered().items() if each.write)
ENDS = [(name, end) for name in WRITTEN for end in get_format(name).suffixes or ("",)]


def contents(path):
    """Return every byte under `path`, by relative name."""
    files = [path] if path.is_file() else sorted(p for p in path.rglob("*") if p.is_file())
    return {str(file.relative_to(path.parent)): file.read_bytes() for file in files}


@st.composite
def sets(draw, shortest=1, onsets=True):
    """Scanpaths of some observers on images 0, 1, …, every number as doubles come."""
    pairs = [
        (str(image), str(observer))
        for image in range(draw(st.integers(1, 3)))
        for observer in range(1, 1 + draw(st.integers(1, 3)))
    ]
    lengths = [draw(st.integers(shortest, 5)) for _ in pairs]
    place = st.floats(-50, 1000, allow_nan=False)
    lasting = st.floats(0.02, 3)

    def rows(values):
        return [draw(st.lists(values, min_size=n, max_size=n)) for n in lengths]

    found = from_arrays(
        rows(place),
        rows(place),
        durations := rows(lasting),
        image=[image for image, _ in pairs],
        observer=[observer for _, observer in pairs],
        viewing=VIEWING,
        n_fixations=lengths,
    )
    if onsets and max(lengths) and draw(st.booleans()):
        onset = np.full(found["x"].shape, np.nan)
        for row, each in enumerate(durations):
            # A saccade of 30 ms before each fixation.
            onset[row, : len(each)] = np.cumsum(np.array(each) + 0.03) - np.array(each)
        found = found.assign(onset=(("scanpath", "fixation"), onset))
    return validate(found)


def there_and_back(scanpaths, folder, name, end):
    first, second = folder / "a" / f"set{end}", folder / "b" / f"set{end}"
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*has no place for onset.*")
        warnings.filterwarnings("ignore", message=".*lie farther off the image|.*between 0 and 1")
        assert write_scanpaths(scanpaths, first, format=name) == name
        back = read_scanpaths(first, VIEWING)
        assert back.attrs["format"] == name
        write_scanpaths(back, second, format=name)
    assert contents(second) == contents(first)
    return back


@pytest.mark.parametrize(("name", "end"), ENDS)
@settings(max_examples=15, deadline=None)
@given(scanpaths=sets())
def test_what_was_written_comes_back(tmp_path_factory, name, end, scanpaths):
    back = there_and_back(scanpaths, tmp_path_factory.mktemp("trip"), name, end)
    for key in ("image", "observer", "n_fixations"):
        np.testing.assert_array_equal(back[key], scanpaths[key])
    for axis in ("x", "y"):
        np.testing.assert_array_equal(back[axis], scanpaths[axis])
    exact = name == "table"
    np.testing.assert_allclose(
        back["duration"], scanpaths["duration"], rtol=0, atol=0 if exact else 2e-9
    )
    if "onset" in back:
        np.testing.assert_allclose(back["onset"], scanpaths["onset"], rtol=0, atol=2e-9)


@pytest.mark.parametrize("name", [name for name in WRITTEN if name != "table"])
@settings(max_examples=10, deadline=None)
@given(scanpaths=sets(shortest=0, onsets=False))
def test_empty_scanpaths_come_back_empty(tmp_path_factory, name, scanpaths):
    end = (get_format(name).suffixes or ("",))[0]
    back = there_and_back(scanpaths, tmp_path_factory.mktemp("trip"), name, end)
    np.testing.assert_array_equal(back["n_fixations"], scanpaths["n_fixations"])
    assert back.sizes["scanpath"] == scanpaths.sizes["scanpath"]


NAMES = st.text(st.characters(codec="utf-8", exclude_categories=("C", "Z")), min_size=1, max_size=8)
PLAIN = NAMES.filter(lambda name: not name.startswith(".") and not set(name) & set("/\\"))


@pytest.mark.parametrize("name", ["table", "cocosearch", "fixatons", "multimatch"])
@settings(max_examples=40, deadline=None)
@given(image=PLAIN, observer=PLAIN)
def test_names_of_every_script_come_back(tmp_path_factory, name, image, observer):
    one = from_arrays([[1.5]], [[2.5]], [[0.25]], image=[image], observer=[observer],
                      viewing=VIEWING)  # fmt: skip
    end = (get_format(name).suffixes or ("",))[0]
    back = there_and_back(one, tmp_path_factory.mktemp("trip"), name, end)
    assert back["image"].item() == image and back["observer"].item() == observer


@pytest.mark.parametrize("name", ["fixatons", "multimatch"])
@pytest.mark.parametrize("bad", ["a/b", "..", ".hidden", "a\\b"])
def test_names_that_are_no_file_names_are_refused(tmp_path, name, bad):
    from attnsci.errors import InvalidInput

    one = from_arrays([[1]], [[2]], [[0.2]], image=[bad], observer="o", viewing=VIEWING)
    with pytest.raises(InvalidInput, match="cannot be the name of a file"):
        write_scanpaths(one, tmp_path / "out", format=name)
    assert not (tmp_path / "out").exists() and not list(Path(tmp_path).iterdir())
