import json

import numpy as np
import pandas as pd
import pytest

from attnsci.errors import InvalidInput
from attnsci.families.ram import paper
from attnsci.recording.datasets import open_dataset
from attnsci.reproduce import Request

TINY = paper.Scale(60, 20, 30, (0.0, 2.0), 1)


@pytest.mark.filterwarnings("ignore:Some pairs have no value", "ignore:.*hardly tell")
def test_every_figure_is_drawn_and_every_number_has_its_interval(
    plain, sibling, cluttered, tmp_path, monkeypatch
):
    monkeypatch.setitem(paper.SCALES, "quick", TINY)
    weights = (plain, sibling, cluttered)
    written = paper.reproduce(Request("quick", tmp_path, seed=1, device="cpu", weights=weights))
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
    mine = policies[policies["task"] == "mnist-28"].set_index("policy")
    assert "another network's" in mine.index
    assert mine.loc["random", "worse_by"] == pytest.approx(
        mine.loc["random", "error"] - mine.loc["learned", "error"]
    )
    stored = open_dataset(tmp_path / "recordings" / "glimpses-mnist-28.zarr")
    facts = json.loads(stored.attrs["provenance"])
    assert facts["seed"] == 1 and facts["scale"]["scenes"] == 60
    wrong = float((stored["logits"].isel(glimpse=-1).argmax("class") != stored["label"]).mean())
    row = errors[(errors["network"] == plain) & (errors["policy"] == "mean")]
    assert row["error"].item() == pytest.approx(100 * wrong)
    played = pd.read_csv(tmp_path / "catch.csv").set_index("policy")
    assert played.loc["mean", "high"] < played.loc["centre", "low"]
    read = pd.read_csv(tmp_path / "pairs.csv").set_index("policy")
    assert read.loc["mean", "high"] < read.loc["random", "low"]
    held = pd.read_csv(tmp_path / "inhibition.csv").pivot_table(
        "estimate", "strength", ["task", "measure"]
    )
    back = held.xs("returns, %", axis=1, level="measure")
    assert (back.loc[2.0] <= back.loc[0.0]).all()
    # Without inhibition it is the network itself.
    free = held.loc[0.0, ("mnist-28", "error, %")]
    assert abs(free - row["error"].item()) < 1e-9


def test_one_network_has_no_siblings_to_compare_with(cluttered, tmp_path, monkeypatch):
    monkeypatch.setitem(paper.SCALES, "quick", TINY)
    paper.reproduce(Request("quick", tmp_path, device="cpu", weights=(cluttered,)))
    assert not (tmp_path / "returns.png").exists()
    curves = pd.read_csv(tmp_path / "glimpses.csv")
    assert set(curves["readout"]) == {"head", "probe"}
    assert np.isfinite(curves[["error", "low", "high"]].to_numpy()).all()


def test_without_a_network_that_looks_there_is_no_paper(tmp_path):
    bench = paper._Bench(Request("quick", tmp_path, device="cpu"))
    bench.networks = []
    with pytest.raises(InvalidInput, match="learned where to look"):
        _ = bench.main
