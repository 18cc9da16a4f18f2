import dataclasses
import json

import numpy as np
import pandas as pd
import pytest
import torch

from attnsci.data.digits import load_mnist
from attnsci.data.ram_scenes import PRESETS, ClutteredScenes
from attnsci.errors import InvalidInput
from attnsci.experiments import answers
from attnsci.families.ram import paper
from attnsci.families.ram.looks import Looks
from attnsci.families.ram.networks import load_network
from attnsci.families.ram.paper import PAPER
from attnsci.papers.paper import Request, Run
from attnsci.papers.published import beside, read_published
from attnsci.papers.run import run_paper
from attnsci.recording.datasets import open_dataset
from attnsci.recording.responses import collect

TINY = dataclasses.replace(
    PAPER, scales={**PAPER.scales, "quick": paper.Scale(60, 20, 30, (0.0, 2.0), 1)}
)


@pytest.mark.filterwarnings("ignore:Some pairs have no value", "ignore:.*hardly tell")
def test_every_figure_is_drawn_and_every_number_has_its_interval(
    plain, sibling, cluttered, tmp_path
):
    weights = (plain, sibling, cluttered)
    written = run_paper(TINY, Request("quick", tmp_path, seed=1, device="cpu", weights=weights))
    assert all(path.exists() for path in written)
    for name in (
        "errors", "glimpses", "policies", "eccentricity", "core-mnist-28", "returns",
        "similarity", "inhibition",
    ):  # fmt: skip
        assert (tmp_path / f"{name}.png").stat().st_size > 5000, name
    assert (tmp_path / "examples" / "cluttered-60" / "player.html").exists()
    table = pd.read_csv(tmp_path / "results.csv")
    assert (table["n"] > 0).all() and table["low"].notna().all()
    assert (table["low"] <= table["ours"] + 1e-9).all()
    errors = pd.read_csv(tmp_path / "errors.csv")
    assert set(errors["network"]) == set(weights) and set(errors["n"]) == {60}
    policies = pd.read_csv(tmp_path / "policies.csv")
    ours = policies[policies["task"] == "mnist-28"].set_index(["quantity", "policy"])["estimate"]
    assert ours[answers.WORSE, "random"] == pytest.approx(
        ours[answers.ERROR, "random"] - ours[answers.ERROR, "learned"]
    )
    assert (answers.ERROR, "another network's") in ours.index
    stored = open_dataset(tmp_path / "recordings" / "glimpses-mnist-28.zarr")
    facts = json.loads(stored.attrs["provenance"])
    assert facts["seed"] == 1 and facts["scale"]["scenes"] == 60
    wrong = float((stored["logits"].isel(time=-1).argmax("class") != stored["label"]).mean())
    row = errors[(errors["network"] == plain) & (errors["policy"] == "mean")]
    assert row["estimate"].item() == pytest.approx(100 * wrong)
    games = pd.read_csv(tmp_path / "catch.csv").set_index("policy")
    assert games.loc["mean", "high"] < games.loc["centre", "low"]
    pairs = pd.read_csv(tmp_path / "pairs.csv").set_index("policy")
    assert pairs.loc["mean", "high"] < pairs.loc["random", "low"]
    inhibited = pd.read_csv(tmp_path / "inhibition.csv").pivot_table(
        "estimate", "strength", ["task", "quantity"]
    )
    back = inhibited.xs(answers.RETURNS, axis=1, level="quantity")
    assert (back.loc[2.0] <= back.loc[0.0]).all()
    # Without inhibition it is the network itself.
    free = inhibited.loc[0.0, ("mnist-28", answers.ERROR)]
    assert abs(free - row["estimate"].item()) < 1e-9
    page = (tmp_path / "index.html").read_text("utf-8")
    assert "src='policies.png'" in page and "href='examples/mnist-28/player.html'" in page


def test_one_network_has_no_siblings_to_compare_with(cluttered, tmp_path):
    run_paper(TINY, Request("quick", tmp_path, device="cpu", weights=(cluttered,)))
    assert not (tmp_path / "returns.png").exists()
    curves = pd.read_csv(tmp_path / "glimpses.csv")
    assert set(curves["readout"]) == {"head", "probe"}
    assert np.isfinite(curves[["estimate", "low", "high"]].to_numpy()).all()


def test_without_a_network_that_looks_there_is_no_paper(plain, tmp_path, monkeypatch):
    monkeypatch.setattr(paper.Subject, "learned", [])
    request = Request("quick", tmp_path, device="cpu", weights=(plain,))
    with pytest.raises(InvalidInput, match="learned where to look"):
        paper.Subject(Run(request, TINY.scales["quick"]))


def test_both_versions_of_the_paper_stand_in_a_row():
    table = read_published(PAPER.published)

    def cells(n_glimpses, policy, task="cluttered-60"):
        factors = {"task": task, "n_glimpses": n_glimpses, "policy": policy}
        return beside({"quantity": answers.ERROR, **factors}, table)

    assert cells(6, "mean") == {
        "published": "NIPS 4.08, arXiv v1 5.88", "reference": "5.3 (stated)",
    }  # fmt: skip
    assert cells(6, "sampled") == {}
    assert cells(8, "random") == {"published": "NIPS 14.4"}
    assert cells(9, "mean", "mnist-28") == {}


@pytest.mark.data
@pytest.mark.slow
def test_published_weights_reach_what_is_stated(data_root, monkeypatch):
    monkeypatch.setenv("ATTNSCI_DATA", str(data_root))
    digits, clutter = load_mnist("test", "full"), load_mnist("train", "full")
    wanted = {"mnist-28": (1.14, 0.1), "translated-60": (1.68, 0.15), "cluttered-60": (5.26, 0.2)}
    for path in (data_root / "ram").glob("*.chainermodel"):
        network = load_network(str(path))
        rates = []
        for seed in (0, 1, 2):
            scenes = ClutteredScenes(digits, PRESETS[network.task], clutter=clutter, seed=seed)
            with torch.no_grad():
                responses = collect(Looks(network.model, len(scenes), seed=seed), scenes)
            rates.append(100 * (1 - answers.correct(responses).mean()))
        stated, tolerance = wanted.pop(network.task)
        assert np.mean(rates) == pytest.approx(stated, abs=tolerance)
    assert not wanted
