import json

import numpy as np
import pytest
import torch

from attnsci.errors import InvalidInput, UnknownName
from attnsci.gaze import validate, viewing_of
from attnsci.geometry import Viewing
from attnsci.models.looking.winner_take_all import WinnerTakeAll


def first_channel(images):
    return images[:, 0]


def noise(n: int, height: int = 60, width: int = 80) -> torch.Tensor:
    return torch.rand(n, 1, height, width, generator=torch.Generator().manual_seed(3))


def spots(*where: tuple[int, int, float], height: int = 60, width: int = 80) -> torch.Tensor:
    image = torch.zeros(1, 1, height, width)
    for x, y, value in where:
        image[0, 0, y, x] = value
    return image


def xy(paths, row: int = 0) -> np.ndarray:
    return np.stack([paths["x"].values[row], paths["y"].values[row]], -1)


def test_spots_are_fixated_in_the_order_of_their_height_at_the_pixels_centre():
    image = spots((70, 5, 0.9), (10, 50, 1.0), (40, 30, 0.5))
    found = WinnerTakeAll(first_channel).look(image, 3)
    np.testing.assert_array_equal(xy(found), [[10.5, 50.5], [70.5, 5.5], [40.5, 30.5]])


@pytest.mark.parametrize("extent", [{}, {"extent_px": 7.0}, {"extent_deg": 0.35}])
def test_no_later_fixation_lies_in_an_earlier_disc(extent):
    looker = WinnerTakeAll(first_channel, **extent)
    found = looker.look(noise(4), 6, viewing=Viewing(80, 60, px_per_deg=20))
    radius = 7 if extent else 10  # a sixth of 60
    for row in range(4):
        at = xy(found, row)
        distance = np.linalg.norm(at[:, None] - at, axis=-1)[np.triu_indices(6, 1)]
        assert distance.min() > radius
        if radius == 7:  # the disc is no larger: its rim is free
            image = noise(4)[row, 0].numpy()
            y, x = np.mgrid[:60, :80] + 0.5
            free = np.hypot(x - at[0, 0], y - at[0, 1]) > 7
            assert image[free].max() == image[int(at[1, 1]), int(at[1, 0])]


def test_a_gaussian_is_subtracted():
    # 2σ from the first fixation a place of .999 keeps .999 − exp(−2) = .8637.
    look = WinnerTakeAll(first_channel, inhibition="gaussian", extent_px=6.0).look
    for rival, second in ((0.87, 70.5), (0.86, 22.5)):
        image = spots((10, 30, 1.0), (22, 30, 0.999), (70, 30, rival))
        assert look(image, 2)["x"].values[0].tolist() == [10.5, second]


def test_inhibition_fades():
    image = spots((10, 30, 1.0), (70, 30, 0.6))
    kept = WinnerTakeAll(first_channel).look(image, 3)["x"].values[0]
    assert kept[:2].tolist() == [10.5, 70.5]
    assert kept[2] not in (10.5, 70.5)
    # Half of it is left at the second fixation: the first place has 1 − .5 < .6, then 1 − .25.
    faded = WinnerTakeAll(first_channel, retention=0.5).look(image, 3)["x"].values[0]
    assert faded.tolist() == [10.5, 70.5, 10.5]
    none = WinnerTakeAll(first_channel, retention=0.0).look(image, 3)["x"].values[0]
    assert none.tolist() == [10.5] * 3


def test_temperature_is_boltzmann():
    # Two levels: 12 pixels of 1 and 36 of 0; p(1) = 12 e^(1/T) / (12 e^(1/T) + 36).
    image = torch.zeros(1, 1, 6, 8)
    image[..., :2] = 1
    looker = WinnerTakeAll(first_channel, retention=0.0, temperature=0.7)
    found = looker.look(image, 4000)
    high = 12 * np.exp(1 / 0.7)
    expected = high / (high + 36)
    assert (found["x"] < 2).values.mean() == pytest.approx(expected, abs=4 * 0.5 / 4000**0.5)
    # Every pixel of a level is as likely.
    counts = np.histogram2d(*xy(found).T, bins=[8, 6], range=[[0, 8], [0, 6]])[0]
    assert counts[:2].min() > 0.7 * counts[:2].mean()
    assert counts[2:].min() > 0.4 * counts[2:].mean()


def test_cold_sampling_is_the_winner():
    images = noise(2)
    cold = WinnerTakeAll(first_channel, temperature=1e-6).look(images, 4)
    np.testing.assert_array_equal(cold["x"], WinnerTakeAll(first_channel).look(images, 4)["x"])


def test_a_blank_image_is_looked_at_by_lot_and_not_in_a_corner():
    found = WinnerTakeAll("itti-koch").look(torch.full((1, 3, 60, 80), 0.5), 1)
    starts = [
        WinnerTakeAll(first_channel).look(torch.zeros(1, 1, 60, 80), 1, seed=seed)["x"].item()
        for seed in range(40)
    ]
    assert 0 < found["x"].item() < 80
    assert 25 < np.mean(starts) < 55
    assert len(set(starts)) > 20


@pytest.mark.parametrize("saliency", ["itti-koch", "spectral residual", "blur energy"])
@pytest.mark.parametrize("temperature", [0.0, 0.1])
def test_neither_batch_nor_order_changes_a_scanpath(saliency, temperature):
    images = torch.rand(4, 3, 70, 90, generator=torch.Generator().manual_seed(0))
    names = list("abcd")
    looker = WinnerTakeAll(saliency, temperature=temperature)
    together = looker.look(images, 5, image=names, seed=2)
    order = [2, 0, 3, 1]
    mixed = looker.look(images[order], 5, image=[names[i] for i in order], seed=2)
    for name, image in zip(names, images, strict=True):
        alone = looker.look(image[None], 5, image=[name], seed=2)
        for other in (together, mixed):
            at = other["image"].values.tolist().index(name)
            np.testing.assert_array_equal(xy(other, at), xy(alone))
    again = looker.look(images, 5, image=names, seed=2)
    np.testing.assert_array_equal(again["x"], together["x"])
    if temperature:
        assert (looker.look(images, 5, image=names, seed=3)["x"] != together["x"]).any()


@pytest.mark.parametrize("size", [(28, 28), (60, 200), (301, 99)])
@pytest.mark.parametrize("channels", [1, 3])
def test_the_container_is_whole_at_any_size(size, channels):
    images = torch.rand(2, channels, *size, generator=torch.Generator().manual_seed(1))
    found = validate(WinnerTakeAll().look(images, 30))
    assert dict(found.sizes) == {"scanpath": 2, "fixation": 30}
    assert (found["n_fixations"] == 30).all()
    assert found["duration"].isnull().all()
    assert ((found["x"] > 0) & (found["x"] < size[1])).all()
    assert ((found["y"] > 0) & (found["y"] < size[0])).all()
    assert viewing_of(found) == Viewing(size[1], size[0])
    assert found["observer"].values.tolist() == ["itti-koch winner-take-all"] * 2


def test_the_settings_go_with_the_scanpaths():
    found = WinnerTakeAll(first_channel, extent_px=9, retention=0.5, name="mine").look(noise(1), 1)
    assert json.loads(found.attrs["provenance"]) == {
        "model": "WinnerTakeAll", "saliency": "first_channel", "inhibition": "disc",
        "extent_px": 9, "extent_deg": None, "retention": 0.5, "temperature": 0.0,
    }  # fmt: skip
    assert found.attrs["seed"] == 0
    assert found["observer"].item() == "mine"


def test_what_cannot_be_is_said():
    with pytest.raises(UnknownName, match=r"No saliency is called 'itti'\. Nearest: 'itti-"):
        WinnerTakeAll("itti")
    with pytest.raises(InvalidInput, match="inhibition must be one of 'disc', 'gaussian'"):
        WinnerTakeAll(inhibition="ring")
    with pytest.raises(InvalidInput, match="extent_px or extent_deg, not both"):
        WinnerTakeAll(extent_px=3, extent_deg=1)
    with pytest.raises(InvalidInput, match="extent_deg must be above 0; got -1"):
        WinnerTakeAll(extent_deg=-1)
    with pytest.raises(InvalidInput, match=r"retention must lie between 0 and 1; got 1\.5"):
        WinnerTakeAll(retention=1.5)
    for wrong in (-0.1, float("nan"), float("inf")):
        with pytest.raises(InvalidInput, match="temperature must be 0 or more, and finite"):
            WinnerTakeAll(temperature=wrong)


def test_images_that_cannot_be_are_named():
    look = WinnerTakeAll(first_channel).look
    images = noise(3)
    images[1, 0, 5, 5] = float("nan")
    with pytest.raises(InvalidInput, match="'coffee'"):
        look(images, 2, image=["cat", "coffee", "cup"])
    with pytest.raises(InvalidInput, match="n_fixations must be a whole number above 0; got 0"):
        look(noise(1), 0)
    with pytest.raises(InvalidInput, match=r"viewing is of 40×30 pixels and the images are 80×60"):
        look(noise(1), 1, viewing=Viewing(40, 30))
    with pytest.raises(InvalidInput, match="does not say how many pixels"):
        WinnerTakeAll(first_channel, extent_deg=1).look(noise(1), 1)
    with pytest.raises(InvalidInput, match="'log' of image '0' holds values that are NaN"):

        def log(images):
            return images[:, 0].log()

        WinnerTakeAll(log).look(torch.zeros(1, 1, 8, 8), 1)
    with pytest.raises(InvalidInput, match=r"saliency map must have shape \(1, 60, 80\)"):
        WinnerTakeAll(lambda images: images).look(noise(1), 1)
