"""What a gaze is good for, by hand; the comparison with people as `compare` has it."""

import numpy as np
import pytest
import xarray as xr

from attnsci.errors import InvalidInput
from attnsci.experiments.looking import (
    CELLS,
    EMBEDDING,
    KEPT,
    LOSS,
    NORMALISED,
    SACCADE,
    SCORE,
    UNAIDED,
    WHOLE,
    by_window,
    one_sight,
    people,
    strong_metrics,
    usefulness,
    wandering,
)
from attnsci.gaze import from_arrays
from attnsci.geometry import Viewing
from attnsci.scanpaths.comparison import compare

METRICS = {"scanmatch": ("scanmatch", {}), "duration": ("multimatch", {})}


@pytest.fixture
def responses():
    return xr.Dataset(
        {
            "loss": (("stimulus", "time"), [[4.0, 2.0], [1.0, 1.0]]),
            "prediction": (("stimulus", "time"), [[7, 3], [5, 4]]),
            "location": (
                ("stimulus", "time", "coordinate"),
                [[[1.0, 20.0], [1.0, 20.0]], [[1.0, 20.0], [39.0, 20.0]]],
            ),
        },
        {"label": ("stimulus", [3, 5])},
    )


def test_usefulness_by_hand(responses):
    outcome = usefulness(responses, seed=0, search="grid")
    assert outcome.at(quantity=LOSS, search="grid")["estimate"].item() == 2.0
    assert outcome.at(quantity=KEPT)["estimate"].item() == 0.5
    assert (outcome.estimates["n"] == 2).all() and (outcome.estimates["n_of"] == "images").all()


def test_wandering_by_hand(responses):
    outcome = wandering(responses, size_px=(80.0, 40.0), seed=0)
    assert outcome.at(quantity=CELLS)["estimate"].item() == 1.5
    assert outcome.at(quantity=SACCADE)["estimate"].item() == pytest.approx(38 / 40 / 2)


def test_one_sight_by_hand():
    sight = xr.Dataset(
        {"loss": ("stimulus", [1.0, 3.0, 2.0]), "prediction": ("stimulus", [1, 2, 3])},
        {"label": ("stimulus", [1, 2, 2])},
    )
    outcome = one_sight(sight, seed=0, sight="sharp")
    assert outcome.at(quantity=WHOLE, sight="sharp")["estimate"].item() == 2
    assert outcome.at(quantity=UNAIDED)["estimate"].item() == pytest.approx(2 / 3)


def test_a_word_that_is_missing_is_named(responses):
    with pytest.raises(InvalidInput, match="'prediction'"):
        usefulness(responses.drop_vars("prediction"), seed=0)
    with pytest.raises(InvalidInput, match="'location'"):
        wandering(responses.drop_vars("location"), size_px=(1, 1), seed=0)


def gaze(places, observer, images):
    xy = np.asarray(places, float)
    viewing = Viewing(80, 60, px_per_deg=4)
    return from_arrays(xy[..., 0], xy[..., 1], image=images, observer=observer, viewing=viewing)


@pytest.fixture
def crowd():
    """Four people near one place of each image; a model that looks there, and one elsewhere."""
    rng = np.random.default_rng(0)
    images = ["a", "b", "c", "d", "e"]
    at = rng.uniform([10, 10], [70, 50], (5, 1, 2)) + rng.normal(0, 8, (5, 4, 2))
    observers = [f"s{number}" for number in range(4)]
    human = gaze(
        np.concatenate([at + rng.normal(0, 2, at.shape) for _ in observers]).clip(0, (80, 60)),
        np.repeat(observers, 5).tolist(), images * 4,
    )  # fmt: skip
    near = gaze((at + rng.normal(0, 2, at.shape)).clip(0, (80, 60)), "near", images)
    return human, {"near": near, "far": gaze((80, 60) - at.clip(0, (80, 60)), "far", images)}


@pytest.mark.filterwarnings("ignore:Some pairs have no value")
@pytest.mark.filterwarnings("ignore:.*hardly tell")
def test_people_are_compared_as_compare_does(crowd):
    human, models = crowd
    outcome = people(models, human, METRICS, draws=50, seed=3)
    direct = compare(models, human, METRICS, seed=3, n_bootstrap=50, n_permutations=50)
    xr.testing.assert_identical(outcome.data["people"], direct)
    scores = outcome.at(quantity=SCORE, metric="scanmatch").set_index("source")
    assert scores.loc["near", "estimate"] > scores.loc["far", "estimate"]
    at = direct.sel(metric="scanmatch", source="near")
    assert scores.loc["near", ["estimate", "low", "high", "best"]].tolist() == pytest.approx(
        [float(at[name]) for name in ("mean", "low", "high", "best_mean")]
    )
    assert scores.loc["near", "note"].startswith("normalised") and not scores.loc["human", "note"]
    normalised = outcome.at(quantity=NORMALISED, metric="scanmatch").set_index("source")
    assert set(normalised.index) == {"near", "far"}
    expected = float(direct["normalised"].sel(model="near", metric="scanmatch"))
    assert normalised.loc["near", "estimate"] == pytest.approx(expected)
    strong = set(outcome.at(sees_image=True)["metric"])
    assert strong == set(strong_metrics(direct)) and "scanmatch" in strong


def test_the_window_is_a_factor(crowd):
    human, models = crowd
    outcome = by_window(models, human, [1, 2], seed=0)
    table = outcome.at(quantity=EMBEDDING, window=2).set_index("source")["estimate"]
    direct = compare(
        models, human, {"SBTDE": ("string_time_delay_embedding", {"k": 2})}, n_bootstrap=50,
        n_permutations=50,
    )  # fmt: skip
    mean = float(direct["mean"].sel(metric="SBTDE", source="near"))
    assert table["near"] == pytest.approx(mean) and table["near"] < table["far"]  # a distance
