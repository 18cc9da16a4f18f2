import numpy as np
import pytest

from attnsci.scanpaths.baselines import BASELINES, Humans, make
from attnsci.scanpaths.pairs import plain_paths


@pytest.fixture
def humans(crowd):
    scanpaths = crowd(n_images=4, n_observers=5)
    lengths = np.tile([7, 3, 5, 1, 6], 4)
    inside = np.arange(7) < lengths[:, None]
    cut = scanpaths.where(inside).assign_coords(n_fixations=("scanpath", lengths))
    return Humans(plain_paths(cut), np.repeat(np.arange(4), 5), np.tile(np.arange(5), 4))


@pytest.mark.parametrize("name", BASELINES)
def test_twins_share_image_length_and_seed(humans, name):
    rows = np.arange(len(humans.image))
    one, two = (make(name, humans, rows, seed=3) for _ in range(2))
    assert np.array_equal(one.twin, rows)
    assert np.array_equal(one.image, humans.image)
    assert np.array_equal(one.paths.x, two.paths.x, equal_nan=True)
    if name != "cross-image":  # whose paths are real ones of other lengths
        assert np.array_equal(one.paths.length, humans.paths.length)
    assert np.array_equal(~np.isnan(one.paths.x), one.paths.inside)
    assert np.array_equal(~np.isnan(one.paths.duration), one.paths.inside)


@pytest.mark.parametrize("name", ["shuffled", "uniform"])
def test_durations_are_the_twins_in_some_order(humans, name):
    made = make(name, humans, np.arange(len(humans.image)), seed=0)
    assert np.array_equal(
        np.sort(made.paths.duration, 1), np.sort(humans.paths.duration, 1), equal_nan=True
    )


def test_the_ceiling_is_the_people_themselves(humans):
    rows = np.array([2, 7])
    made = make("human", humans, rows, seed=0)
    assert np.array_equal(made.paths.x, humans.paths.x[rows], equal_nan=True)


def test_cross_image_takes_whole_paths_of_every_other_image_and_none_of_its_own(humans):
    rows = np.repeat(np.arange(len(humans.image)), 200)
    made = make("cross-image", humans, rows, seed=1)
    donor = [int(np.flatnonzero(humans.paths.x[:, 0] == x)[0]) for x in made.paths.x[:, 0]]
    assert not (humans.image[donor] == made.image).any()
    # Of 15 rows on other images each comes about equally often.
    from_first = np.bincount(np.array(donor)[made.image == 0], minlength=20)
    assert (from_first[:5] == 0).all()
    assert from_first[5:].min() > 1000 / 15 * 0.6


def test_shuffling_keeps_each_duration_with_its_place(humans):
    rows = np.arange(len(humans.image))
    made = make("shuffled", humans, rows, seed=0)
    order = np.lexsort((made.paths.x,), axis=1)
    back = np.lexsort((humans.paths.x,), axis=1)
    for name in ("x", "y", "duration"):
        a = np.take_along_axis(getattr(made.paths, name), order, 1)
        b = np.take_along_axis(getattr(humans.paths, name), back, 1)
        assert np.array_equal(a, b, equal_nan=True)
    assert not np.array_equal(made.paths.x, humans.paths.x, equal_nan=True)


def test_centre_bias_draws_whole_fixations_from_other_images(humans):
    rows = np.repeat(np.arange(len(humans.image)), 50)
    made = make("centre", humans, rows, seed=0)
    inside = humans.paths.inside
    points = {
        (x, y, duration): image
        for x, y, duration, image in zip(
            humans.paths.x[inside],
            humans.paths.y[inside],
            humans.paths.duration[inside],
            np.repeat(humans.image, humans.paths.length),
            strict=True,
        )
    }
    drawn = made.paths.inside
    parts = (made.paths.x, made.paths.y, made.paths.duration)
    of = [points[p] for p in zip(*(part[drawn] for part in parts), strict=True)]
    assert not (np.array(of) == np.repeat(made.image, made.paths.length)).any()
    assert len(set(of)) == 4


def test_uniform_fills_the_frame(humans):
    made = make("uniform", humans, np.repeat(np.arange(20), 200), seed=0)
    x, y = made.paths.x[made.paths.inside], made.paths.y[made.paths.inside]
    assert x.min() >= 0 and x.max() < 800 and abs(x.mean() - 400) < 6
    assert y.min() >= 0 and y.max() < 600 and abs(y.mean() - 300) < 5
