import json

import numpy as np
import pytest
import torch
from scipy import stats

from attnsci.errors import InvalidInput
from attnsci.gaze import validate
from attnsci.models.looking.chance import CentreLooker, UniformLooker

LOOKERS = {"uniform": UniformLooker(), "centre": CentreLooker()}


@pytest.mark.parametrize("looker", LOOKERS.values(), ids=LOOKERS)
def test_container_and_frame(looker):
    found = validate(looker.look(torch.rand(3, 3, 40, 90), 200, image=list("abc"), seed=5))
    assert dict(found.sizes) == {"scanpath": 3, "fixation": 200}
    assert (found["n_fixations"] == 200).all()
    assert found["duration"].isnull().all()
    assert ((found["x"] >= 0) & (found["x"] <= 90) & (found["y"] >= 0) & (found["y"] <= 40)).all()
    assert set(found["observer"].values) == {looker.name}
    assert json.loads(found.attrs["provenance"])["model"] == type(looker).__name__


@pytest.mark.parametrize("looker", LOOKERS.values(), ids=LOOKERS)
def test_the_stream_is_that_of_seed_and_name(looker):
    images = torch.rand(3, 1, 40, 90)
    found = looker.look(images, 6, image=list("abc"), seed=1)
    mixed = looker.look(images[:2], 6, image=list("ca"), seed=1)
    np.testing.assert_array_equal(found["x"][[2, 0]], mixed["x"])
    assert len(np.unique(found["x"])) == 18
    assert (looker.look(images, 6, image=list("abc"), seed=2)["x"] != found["x"]).all()
    # A longer scanpath begins as a shorter one does.
    np.testing.assert_array_equal(looker.look(images, 9, image=list("abc"), seed=1)["x"][:, :6],
                                  found["x"])  # fmt: skip


def test_models_do_not_share_their_numbers():
    images = torch.zeros(1, 1, 50, 50)
    a, b = (looker.look(images, 50)["x"].values[0] for looker in LOOKERS.values())
    assert abs(stats.spearmanr(a, b).statistic) < 0.4


def test_uniform_is_uniform():
    found = UniformLooker().look(torch.zeros(1, 1, 30, 70), 4000)
    assert stats.kstest(found["x"].values[0] / 70, "uniform").pvalue > 0.001
    assert stats.kstest(found["y"].values[0] / 30, "uniform").pvalue > 0.001


def test_centre_is_a_gaussian_cut_at_the_border():
    found = CentreLooker(sigma_x=0.4, sigma_y=0.1).look(torch.zeros(1, 1, 50, 100), 4000)
    for name, side, sigma in (("x", 100, 40.0), ("y", 50, 10.0)):
        half = side / 2
        law = stats.truncnorm(-half / sigma, half / sigma, loc=half, scale=sigma)
        assert stats.kstest(found[name].values[0], law.cdf).pvalue > 0.001


def test_wide_spread_is_nearly_uniform_and_narrow_is_the_centre():
    image = torch.zeros(1, 1, 50, 100)
    wide = CentreLooker(sigma_x=100, sigma_y=100).look(image, 2000)
    assert stats.kstest(wide["x"].values[0] / 100, "uniform").pvalue > 0.001
    narrow = CentreLooker(sigma_x=1e-9, sigma_y=1e-9).look(image, 20)
    np.testing.assert_allclose(narrow["x"], 50, atol=1e-5)
    np.testing.assert_allclose(narrow["y"], 25, atol=1e-5)


def test_what_cannot_be_is_said():
    with pytest.raises(InvalidInput, match="sigma_y must be above 0; got 0"):
        CentreLooker(sigma_y=0)
    with pytest.raises(InvalidInput, match="n_fixations must be a whole number above 0"):
        UniformLooker().look(torch.zeros(1, 1, 8, 8), 0)
    with pytest.raises(InvalidInput, match="images must be floats"):
        UniformLooker().look(torch.zeros(1, 1, 8, 8, dtype=torch.uint8), 1)
    with pytest.raises(InvalidInput, match="different names"):
        UniformLooker().look(torch.zeros(2, 1, 8, 8), 1, image=["a", "a"])
