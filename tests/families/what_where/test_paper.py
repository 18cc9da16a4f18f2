"""The figures and tables of What and Where against spatial transformers."""

import json

import numpy as np
import pandas as pd
import pytest

from attnsci.errors import InvalidInput
from attnsci.families.what_where import paper
from attnsci.recording.datasets import open_dataset
from attnsci.reproduction import Request

TINY = paper.Scale(60, 12, 9, 6)


@pytest.fixture(scope="module")
def drawn(tmp_path_factory):
    """The paper, tiny, with a few of its networks."""
    out = tmp_path_factory.mktemp("paper")
    names = [
        "what-28-seed0", "what-28-noise1-seed0", "stn-28-seed0", "polo-atn-95-seed0",
        "what-crop-seed0", "where-seed0", "where-noise1-seed0",
    ]  # fmt: skip
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(paper.SCALES, "quick", TINY)
        patch.setattr(paper, "pretrained_names", lambda: tuple(names))
        written = paper.reproduce(Request("quick", out, seed=1, device="cpu"))
    return out, written


def test_every_figure_is_drawn(drawn):
    out, written = drawn
    assert all(path.exists() for path in written)
    for name in (
        "examples", "training", "maps", "families", "transforms-128", "transforms-28", "sensors",
        "benchmark-matched", "benchmark-as-published", "looking",
    ):  # fmt: skip
        assert (out / f"{name}.png").stat().st_size > 5000, name


def test_every_number_has_its_n(drawn):
    table = pd.read_csv(drawn[0] / "results.csv")
    assert (table["n"] > 0).all()
    known = table.dropna(subset=["low"])
    assert (known["low"] <= known["ours"] + 1e-9).all()
    gap = table[table["quantity"].str.startswith("accuracy, STN − What")]
    assert len(gap) == 2 and (gap["n"] == 60).all()


def test_the_benchmark_is_drawn_with_noise_matched_and_as_published(drawn):
    matched = pd.read_csv(drawn[0] / "benchmark-matched.csv")
    mixed = pd.read_csv(drawn[0] / "benchmark-as-published.csv")
    assert set(matched["model"]) == set(mixed["model"])
    assert len(matched) == len(mixed) == 27 * matched["model"].nunique()
    points = matched.set_index(["model", "contrast"]).sort_index(kind="stable")["published"]
    assert points.loc["POLO-ATN 95", 0.7].iloc[[0, -1]].tolist() == [0.8654, 0.3362]
    assert points.loc["What/Where, oracle"].isna().all()
    rows = pd.read_csv(drawn[0] / "results.csv").set_index("quantity")
    pooled = rows.loc["accuracy, POLO-ATN 95, contrast 0.7, all eccentricities, matched noise 0.75"]
    mine = matched[(matched["model"] == "POLO-ATN 95") & (matched["contrast"] == 0.7)]
    assert pooled["ours"] == pytest.approx(mine["accuracy"].mean())
    assert float(pooled["published"]) == pytest.approx(mine["published"].mean(), abs=5e-4)
    same = [
        part[part["model"] == "POLO-ATN 95"].reset_index(drop=True) for part in (matched, mixed)
    ]
    pd.testing.assert_frame_equal(*same)
    stored = open_dataset(drawn[0] / "recordings" / "benchmark-noise1.zarr")
    assert stored.attrs["noise"] == 1.0
    assert not any("POLO" in str(name) for name in stored["model"].values)


def test_numbers_are_those_of_the_recordings(drawn):
    out = drawn[0]
    stored = open_dataset(out / "recordings" / "benchmark-matched.zarr")
    facts = json.loads(stored.attrs["provenance"])
    assert facts["seed"] == 1 and facts["scale"]["shown"] == 6
    assert "what-crop-seed0" in facts["networks"]
    table = pd.read_csv(out / "benchmark-matched.csv").set_index(
        ["model", "contrast", "eccentricity"]
    )["accuracy"]
    means = stored["correct"].mean("stimulus")
    for key, value in table.items():
        model, contrast, away = key
        at = means.sel(model=model).sel(contrast=contrast, eccentricity=away, method="nearest")
        assert value == pytest.approx(float(at))
    scores = pd.read_csv(out / "scores.csv").set_index(["network", "scenes"])["accuracy"]
    kept = open_dataset(out / "recordings" / "scores.zarr")["correct"]
    for (network, scenes), value in scores.items():
        share = kept.sel(network=network, scenes=scenes).mean()
        assert value == pytest.approx(float(share))


def test_an_oracle_sees_more_than_who_does_not_look(drawn):
    table = pd.read_csv(drawn[0] / "benchmark-matched.csv")
    far = table[(table["eccentricity"] > 20) & (table["contrast"] == 0.7)]
    mean = far.groupby("model")["accuracy"].mean()
    assert mean["What/Where, oracle"] > mean["What/Where, 0 saccades"] + 0.4
    assert mean["What/Where, 1 saccade"] > mean["What/Where, 0 saccades"] + 0.3
    landing = pd.read_csv(drawn[0] / "landing.csv")
    assert np.isfinite(landing["error"]).all()


def test_the_networks_are_a_fixed_set(tmp_path):
    with pytest.raises(InvalidInput, match="evaluate what-where"):
        paper.reproduce(Request("quick", tmp_path, weights=("what-28-seed0",)))
