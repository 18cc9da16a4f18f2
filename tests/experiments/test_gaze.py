"""Viewers whose returns and likeness are known."""

import numpy as np
import pytest

from attnsci.experiments.gaze import INDEX, SIMILARITY, returns, similarity
from attnsci.gaze import from_arrays
from attnsci.geometry import Viewing

IMAGES, FIXATIONS = 12, 8


def viewer(name, paths):
    """Return the scanpaths of one viewer, an image each."""
    x, y = np.moveaxis(np.asarray(paths, float), -1, 0)
    images = [str(i) for i in range(len(x))]
    return from_arrays(x, y, image=images, observer=name, viewing=Viewing(200, 200))


def to_and_fro(seed):
    """Return paths that come back to where they were two fixations before, every time."""
    ends = np.random.default_rng(seed).uniform(10, 190, (IMAGES, 2, 2))
    return np.stack([ends[:, t % 2] for t in range(FIXATIONS)], 1)


def onward(seed):
    """Return paths along a row of the image, which never come back."""
    rows = np.random.default_rng(seed).uniform(10, 190, (IMAGES, 1))
    x = np.broadcast_to(np.linspace(10, 190, FIXATIONS), (IMAGES, FIXATIONS))
    return np.stack([x, np.broadcast_to(rows, (IMAGES, FIXATIONS))], -1)


def index_of(paths):
    """Return the index at lag 2 by baseline, of three viewers that all go such paths."""
    viewers = [viewer(f"seed {seed}", paths(seed)) for seed in range(3)]
    outcome = returns(viewers, radius_px=15, patch_px=20, lags=[1, 2, 3], draws=40, seed=0)
    assert set(outcome.estimates["n"]) == {IMAGES}
    assert outcome.estimates["note"].str.len().gt(10).all()  # what each baseline asks
    assert outcome.data["returns"].sizes["baseline"] == 9
    return outcome.at(quantity=INDEX, lag=2).set_index("baseline")


def test_the_index_is_positive_for_viewers_that_come_back_each_time():
    index = index_of(to_and_fro)
    assert index.loc["random_walk", "low"] > 0.8
    assert index.loc["order", "low"] > 0  # at lag 2, that is: the order of the same places
    # Each fixation has but one place that it could go on to: nothing is left to explain.
    assert index.loc["second_order", "estimate"] == 0


def test_the_index_is_minus_one_for_viewers_that_never_come_back():
    index = index_of(onward)
    assert (index.loc[["random_walk", "memoryless"], "estimate"] == -1).all()
    # Where nothing was near, neither seen nor expected, there is no index.
    assert np.isnan(index.loc["order", "estimate"])


@pytest.mark.filterwarnings("ignore")
def test_the_same_paths_are_most_alike_and_other_images_stand_beside_the_last_group():
    same = [viewer(name, onward(0)) for name in ("a", "b")]
    other = [viewer(name, onward(seed)) for name, seed in (("a", 1), ("b", 2))]
    outcome = similarity(
        {"one path": same, "two paths": other}, ["scanmatch", "dtw"], n=IMAGES, draws=50,
        chance="another image", seed=0,
    )  # fmt: skip
    assert set(outcome.estimates["quantity"]) == {SIMILARITY}
    score = outcome.at(metric="scanmatch").set_index("pair")["estimate"]
    assert set(score.index) == {"one path", "two paths", "another image"}
    assert score["one path"] == pytest.approx(1) and score["two paths"] < 0.99
    distance = outcome.at(metric="dtw").set_index("pair")["estimate"]
    assert distance["one path"] == pytest.approx(0) and distance["two paths"] > 1
