"""The figures and tables of What and Where against spatial transformers."""

import dataclasses
import json

import numpy as np
import pandas as pd
import pytest

from attnsci.errors import InvalidInput
from attnsci.experiments.benchmark import LANDING
from attnsci.experiments.same_scenes import ACCURACY
from attnsci.families.what_where import paper
from attnsci.families.what_where.figures import published_numbers
from attnsci.papers.paper import Request
from attnsci.papers.run import run_paper
from attnsci.recording.datasets import open_dataset

TINY = dataclasses.replace(paper.PAPER, scales={"quick": paper.Scale(60, 12, 9, 6)})


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """The paper, tiny, with a few of its networks."""
    out = tmp_path_factory.mktemp("paper")
    names = [
        "what-28-seed0", "what-28-noise1-seed0", "stn-28-seed0", "polo-atn-95-seed0",
        "what-crop-seed0", "where-seed0", "where-noise1-seed0",
    ]  # fmt: skip
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(paper, "pretrained_names", lambda: tuple(names))
        paths = run_paper(TINY, Request("quick", out, seed=1, device="cpu"))
    return out, paths


def test_every_figure_is_drawn(written):
    out, paths = written
    assert all(path.exists() for path in paths)
    for name in (
        "examples", "training", "maps", "families", "transforms-128", "transforms-28", "sensors",
        "benchmark-matched", "benchmark-as-published", "looking",
    ):  # fmt: skip
        assert (out / f"{name}.png").stat().st_size > 5000, name


def test_every_number_has_its_n(written):
    table = pd.read_csv(written[0] / "results.csv")
    assert (table["n"] > 0).all()
    known = table.dropna(subset=["low"])
    assert (known["low"] <= known["ours"] + 1e-9).all()
    gap = table[table["quantity"].str.startswith("accuracy, STN − What")]
    assert len(gap) == 2 and (gap["n"] == 60).all()


def curves(path):
    """Return the accuracies of single eccentricities from the table of a step."""
    table = pd.read_csv(path)
    return table[table["quantity"] == ACCURACY]


def test_the_benchmark_is_drawn_with_noise_matched_and_as_published(written):
    matched = curves(written[0] / "benchmark-matched.csv")
    mixed = curves(written[0] / "benchmark-as-published.csv")
    assert set(matched["model"]) == set(mixed["model"])
    assert len(matched) == len(mixed) == 27 * matched["model"].nunique()
    published = published_numbers(ACCURACY).set_index(["model", "contrast"])["estimate"]
    points = published.loc["POLO-ATN 95", 0.7]
    assert points.iloc[[0, -1]].tolist() == [0.8654, 0.3362]
    assert "What/Where, oracle" not in published.index.get_level_values("model")
    rows = pd.read_csv(written[0] / "results.csv").set_index("quantity")
    pooled = rows.loc["accuracy, POLO-ATN 95, contrast 0.7, all eccentricities, matched noise 0.75"]
    single = matched[(matched["model"] == "POLO-ATN 95") & (matched["contrast"] == 0.7)]
    assert pooled["ours"] == pytest.approx(single["estimate"].mean())
    assert float(pooled["published"]) == pytest.approx(points.mean(), abs=5e-4)
    same = [
        part[part["model"] == "POLO-ATN 95"][["contrast", "eccentricity", "estimate"]]
        for part in (matched, mixed)
    ]
    pd.testing.assert_frame_equal(*[part.reset_index(drop=True) for part in same])
    stored = open_dataset(written[0] / "recordings" / "benchmark-noise1.zarr")
    assert stored.attrs["noise"] == 1.0
    assert not any("POLO" in str(name) for name in stored["model"].values)


def test_published_numbers_stand_beside_ours(written):
    rows = pd.read_csv(written[0] / "results.csv", keep_default_na=False).set_index("quantity")
    row = rows.loc["accuracy, 28 px, central, What, noise 0.75, seed 0"]
    assert (row["published"], row["note"]) == ("0.839 (noise 1)", "other noise than published")
    row = rows.loc["accuracy, 28 px, general, STN, noise 0.75, seed 0"]
    assert (row["published"], row["note"]) == ("0.426 (noise 0.75)", "")
    row = rows.loc[
        "lead of What/Where, 1 saccade over POLO-ATN 95, contrast 0.3, noise as published"
    ]
    assert row["published"] == "+0.103, unlike noise"


def test_numbers_are_those_of_the_recordings(written):
    out = written[0]
    stored = open_dataset(out / "recordings" / "benchmark-matched.zarr")
    facts = json.loads(stored.attrs["provenance"])
    assert facts["seed"] == 1 and facts["scale"]["benchmark"] == 6
    assert "what-crop-seed0" in facts["networks"]
    table = curves(out / "benchmark-matched.csv").set_index(["model", "contrast", "eccentricity"])
    means = stored["correct"].mean("stimulus")
    for key, value in table["estimate"].items():
        model, contrast, away = key
        at = means.sel(model=model).sel(contrast=contrast, eccentricity=away, method="nearest")
        assert value == pytest.approx(float(at))
    scores = pd.read_csv(out / "scores.csv").set_index(["model", "scenes"])["estimate"]
    correct = open_dataset(out / "recordings" / "scores.zarr")["correct"]
    for (network, scenes), value in scores.items():
        share = correct.sel(network=network, scenes=scenes).mean()
        assert value == pytest.approx(float(share))


def test_an_oracle_sees_more_than_who_does_not_look(written):
    table = curves(written[0] / "benchmark-matched.csv")
    far = table[(table["eccentricity"] > 20) & (table["contrast"] == 0.7)]
    mean = far.groupby("model")["estimate"].mean()
    assert mean["What/Where, oracle"] > mean["What/Where, 0 saccades"] + 0.4
    assert mean["What/Where, 1 saccade"] > mean["What/Where, 0 saccades"] + 0.3
    looking = pd.read_csv(written[0] / "looking.csv")
    landing = looking[looking["quantity"] == LANDING]
    assert len(landing) and np.isfinite(landing["estimate"]).all()


def test_the_networks_are_a_fixed_set(tmp_path):
    with pytest.raises(InvalidInput, match="evaluate what-where"):
        run_paper(TINY, Request("quick", tmp_path, weights=("what-28-seed0",)))
