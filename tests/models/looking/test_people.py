import numpy as np
import pytest
import torch

from attnsci.errors import InvalidInput
from attnsci.gaze import from_arrays, validate
from attnsci.geometry import Viewing
from attnsci.models.looking.people import CentreBiasLooker, HumanLooker

VIEWING = Viewing(80, 60)


def people():
    """Return three observers on images a, b, c, each of which holds all eyes in one spot."""
    spot = {"a": (10, 10), "b": (40, 30), "c": (70, 50)}
    rows = [(image, who) for image in spot for who in ("1", "2", "3")]
    shift = {"1": 0, "2": 1, "3": 2}
    return from_arrays(
        [[spot[i][0] + shift[w]] * 4 for i, w in rows],
        [[spot[i][1] + step for step in range(4)] for i, w in rows],
        [[0.2 + 0.1 * shift[w]] * 4 for i, w in rows],
        image=[i for i, _ in rows], observer=[w for _, w in rows], viewing=VIEWING,
    )  # fmt: skip


def blank(n: int, height: int = 60, width: int = 80) -> torch.Tensor:
    return torch.zeros(n, 3, height, width)


def test_centre_bias_never_draws_from_the_image_that_is_shown():
    found = validate(CentreBiasLooker(people()).look(blank(3), 300, image=list("abc")))
    near = {"a": 10, "b": 40, "c": 70}
    for image, row in zip("abc", found["x"].values, strict=True):
        for other, x in near.items():
            share = np.mean((row >= x) & (row < x + 3))
            assert share == 0 if other == image else 0.4 < share < 0.6
    assert found["duration"].isnull().all()
    assert set(found["observer"].values) == {"centre bias"}


def test_centre_bias_draws_from_everybody_on_an_unseen_image():
    found = CentreBiasLooker(people()).look(blank(1), 3000, image=["new"])
    counts = np.histogram(found["x"], bins=[0, 25, 55, 80])[0]
    assert (np.abs(counts - 1000) < 120).all()
    # x and y of one fixation stay together.
    pairs = set(zip(found["x"].values[0].tolist(), found["y"].values[0].tolist(), strict=True))
    assert pairs == {
        (x, y)
        for row in range(9)
        for x, y in zip(*(people()[n].values[row].tolist() for n in "xy"), strict=True)
    }


def test_positions_scale_with_the_image_and_with_frames_that_differ():
    seen = from_arrays(
        [[20.0], [20.0]], [[30.0], [30.0]], image=["a", "b"], observer="1",
        viewing=VIEWING, width_px=[80, 40], height_px=[60, 120],
    )  # fmt: skip
    found = CentreBiasLooker(seen).look(blank(2, 120, 160), 1, image=["b", "a"])
    assert found["x"].values.tolist() == [[40.0], [80.0]]
    assert found["y"].values.tolist() == [[60.0], [30.0]]
    own = HumanLooker(seen).look(blank(2, 120, 160), 1, image=["b", "a"])
    assert own["x"].values.tolist() == [[80.0], [40.0]]


def test_fixations_outside_their_image_are_no_centre_bias():
    seen = from_arrays([[-5, 40, 90]], [[30, 20, 30]], image=["a"], observer="1", viewing=VIEWING)
    found = CentreBiasLooker(seen).look(blank(1), 50, image=["b"])
    assert set(found["x"].values[0]) == {40.0}


def test_a_person_keeps_name_path_and_durations():
    found = validate(HumanLooker(people()).look(blank(3), 3, image=list("cab"), viewing=VIEWING))
    assert found["image"].values.tolist() == list("cab")
    for row in range(3):
        own = people().isel(
            scanpath=(people()["image"] == found["image"][row])
            & (people()["observer"] == found["observer"][row])
        )
        for name in ("x", "y", "duration"):
            np.testing.assert_array_equal(found[name][row], own[name][0, :3])


def test_everybody_is_drawn_and_the_batch_does_not_matter():
    looker = HumanLooker(people())
    drawn = [looker.look(blank(1), 2, image=["a"], seed=s)["observer"].item() for s in range(60)]
    assert {drawn.count(who) > 8 for who in "123"} == {True}
    together = looker.look(blank(3), 2, image=list("abc"), seed=4)
    alone = looker.look(blank(1), 2, image=["c"], seed=4)
    assert together["observer"].values[2] == alone["observer"].item()


def test_short_scanpaths_stay_short():
    seen = from_arrays([[1, 2, 3], [4]], [[1, 2, 3], [4]], image=["a", "b"], observer="1",
                       viewing=VIEWING)  # fmt: skip
    found = validate(HumanLooker(seen).look(blank(2), 2, image=["a", "b"]))
    assert found["n_fixations"].values.tolist() == [2, 1]


def test_images_that_nobody_saw_are_named():
    with pytest.raises(InvalidInput, match=r"on image 'd'; the people saw e\.g\. "):
        HumanLooker(people()).look(blank(2), 2, image=["a", "d"])
    only = people().isel(scanpath=slice(0, 3))
    with pytest.raises(InvalidInput, match="no fixation on any image but 'a'"):
        CentreBiasLooker(only).look(blank(1), 2, image=["a"])


@pytest.mark.parametrize("looker", [CentreBiasLooker, HumanLooker])
def test_what_cannot_be_is_said(looker):
    with pytest.raises(InvalidInput, match="Scanpaths need"):
        looker(people().drop_vars("x"))
    with pytest.raises(InvalidInput, match="n_fixations must be a whole number above 0"):
        looker(people()).look(blank(1), 0, image=["a"])
    with pytest.raises(InvalidInput, match="'b' has values from"):
        looker(people()).look(torch.cat([blank(1), blank(1) + 2]), 1, image=["a", "b"])
    with pytest.raises(InvalidInput, match="viewing is of"):
        looker(people()).look(blank(1), 1, image=["a"], viewing=Viewing(8, 6))
