"""A core whose units are known: one follows the gaze, one the class, one the place to come."""

import numpy as np
import pytest
import xarray as xr

from attnsci.errors import InvalidInput
from attnsci.experiments.recurrent_core import PLACE, VARIANCE, core

N, GLIMPSES, SIZE = 600, 5, 40.0


@pytest.fixture(scope="module")
def responses():
    rng = np.random.default_rng(0)
    label = rng.integers(0, 4, N)
    xy = rng.uniform(0, SIZE, (N, GLIMPSES, 2))
    hidden = 0.05 * rng.standard_normal((N, GLIMPSES, 6))
    hidden[..., 0] += np.floor(xy[..., 0] / 10)  # of four columns of the image
    hidden[..., 1] += label[:, None]
    hidden[:, :-1, 2:4] += xy[:, 1:] / SIZE
    return xr.Dataset(
        {
            "hidden": (("stimulus", "time", "unit"), hidden),
            "location": (("stimulus", "time", "coordinate"), xy),
        },
        coords={"label": ("stimulus", label), "coordinate": ["x", "y"]},
    )


def test_each_unit_follows_what_drives_it(responses):
    outcome = core(responses, responses, size_px=SIZE, patch_px=10, seed=0, n_of="scenes")
    share = outcome.data["shares"]["share"]
    assert float(share.sel(by="gaze").isel(unit=0)) > 0.95
    assert float(share.sel(by="class").isel(unit=0)) < 0.05
    assert float(share.sel(by="class").isel(unit=1)) > 0.95
    assert float(share.sel(by="gaze").isel(unit=1)) < 0.1
    for by in ("gaze", "class"):
        (line,) = outcome.at(quantity=VARIANCE, by=by).to_dict("records")
        assert line["estimate"] == pytest.approx(100 * float(share.sel(by=by).mean()))
        assert (line["n"], line["n_of"]) == (6, "units")


def test_the_place_to_come_is_read_and_the_one_before_is_not(responses):
    places = core(responses, responses, size_px=SIZE, patch_px=10).at(quantity=PLACE)
    places = places.set_index("place")
    assert places.loc["the place to come", "low"] > 0.9
    assert abs(places.loc["the place before", "estimate"]) < 0.1
    assert set(places["n"]) == {N} and set(places["n_of"]) == {"stimuli"}
    assert places.loc["the place to come", "note"].startswith("+")


def test_a_core_that_is_not_kept_is_named(responses):
    with pytest.raises(InvalidInput, match="needs 'hidden'"):
        core(responses, responses.drop_vars("hidden"), size_px=SIZE, patch_px=10)
