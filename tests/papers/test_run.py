"""The one runner of papers: what it writes, and that a killed run goes on where it was."""

import dataclasses
import json

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
import xarray as xr

from attnsci.experiments.outcome import Share, row, tabled
from attnsci.papers.finished import FOLDER, Finished
from attnsci.papers.paper import Paper, Request, Run, Say, Step
from attnsci.papers.published import read_published
from attnsci.papers.run import results, run_paper
from attnsci.recording.datasets import open_dataset, save_dataset


@dataclasses.dataclass(frozen=True)
class Size:
    n: int


class Coins:
    """A subject with nothing to it but a seed, and a note of what was measured."""

    def __init__(self, run: Run) -> None:
        self.facts, self.caption = {"coin": "fair"}, f"Seed {run.seed}."


def paper(measured, breaks=False):
    def heads(run, subject):
        """Toss coins.

        Not shown.
        """
        measured.append("heads")
        tosses = np.random.default_rng(run.seed).random(run.scale.n) < 0.5
        share = Share(1 / 3 + float(tosses.mean()), 0.1, 0.9, run.scale.n)
        data = xr.Dataset({"heads": ("toss", tosses)})
        return tabled([row("heads", share, "tosses", coin="a", lag=2)], tosses=data)

    def nothing(run, subject):
        """Measure nothing here."""
        measured.append("nothing")
        path = run.out / "extra" / "page.html"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("page")
        run.written.append(path)

    def tails(run, subject):
        """Toss them again."""
        measured.append("tails")
        if breaks:
            raise KeyboardInterrupt
        share = Share(0.25, n=run.scale.n)
        return tabled([row("tails", share, "tosses", note="ours", coin="b")])

    def draw(outcomes):
        figure, ax = plt.subplots()
        ax.plot(outcomes["heads"].estimates["estimate"], "o")
        return figure

    return Paper(
        name="coins",
        title="Coins",
        scales={"quick": Size(10), "default": Size(100), "paper": Size(1000)},
        prepare=Coins,
        steps=(
            Step("heads", heads, draw, {"heads": Say("share of heads, {coin}, {lag}")}),
            Step("extra", nothing),
            Step("tails", tails, None, {"tails": Say("share of tails, {coin}")}),
        ),
    )


def outputs(folder):
    """Return every table of a run."""
    return {path.name: path.read_bytes() for path in folder.glob("*.csv")}


def test_a_run_leaves_tables_recordings_figures_a_page_and_its_results(tmp_path):
    written = run_paper(paper([]), Request("quick", tmp_path, seed=3))
    assert all(path.exists() for path in written)
    names = {path.relative_to(tmp_path).as_posix() for path in written}
    assert names == {
        "heads.csv", "heads.png", "heads.svg", "recordings/tosses.zarr", "extra/page.html",
        "tails.csv", "results.md", "results.csv", "index.html",
    }  # fmt: skip
    table = pd.read_csv(tmp_path / "results.csv")
    assert table["quantity"].tolist() == ["share of heads, a, 2", "share of tails, b"]
    assert table["unit"].tolist() == ["tosses"] * 2 and table["n"].tolist() == [10, 10]
    assert np.isnan(table["low"][1]) and table["note"][1] == "ours"
    facts = json.loads(open_dataset(tmp_path / "recordings" / "tosses.zarr").attrs["provenance"])
    assert (facts["paper"], facts["seed"], facts["coin"]) == ("coins", 3, "fair")
    assert facts["scale"] == {"name": "quick", "n": 10}
    markdown = (tmp_path / "results.md").read_text("utf-8")
    assert "![heads](heads.png)" in markdown and "Seed 3." in markdown
    page = (tmp_path / "index.html").read_text("utf-8")
    assert "<p>Toss coins.</p>" in page and "Not shown" not in page
    assert "href='extra/page.html'" in page and "share of heads, a, 2" in page
    assert not (tmp_path / FOLDER).exists()


def test_a_killed_run_goes_on_after_its_finished_steps(tmp_path):
    whole = tmp_path / "whole"
    run_paper(paper([]), Request("quick", whole))
    measured, cut = [], tmp_path / "cut"
    with pytest.raises(KeyboardInterrupt):
        run_paper(paper(measured, breaks=True), Request("quick", cut))
    assert measured == ["heads", "nothing", "tails"]
    assert not (cut / "results.csv").exists()
    measured.clear()
    written = run_paper(paper(measured), Request("quick", cut))
    assert measured == ["tails"]
    assert outputs(cut) == outputs(whole)
    assert (cut / "extra" / "page.html") in written
    assert "href='extra/page.html'" in (cut / "index.html").read_text("utf-8")
    # A run that was whole begins anew.
    measured.clear()
    run_paper(paper(measured), Request("quick", cut))
    assert measured == ["heads", "nothing", "tails"]


@pytest.mark.parametrize("change", ["seed", "scale", "file", "damage"])
def test_what_no_longer_holds_is_measured_again(tmp_path, change):
    with pytest.raises(KeyboardInterrupt):
        run_paper(paper([], breaks=True), Request("quick", tmp_path))
    request = Request("quick", tmp_path)
    if change == "seed":
        request = dataclasses.replace(request, seed=1)
    elif change == "scale":
        request = dataclasses.replace(request, scale="default")
    elif change == "file":
        (tmp_path / "heads.csv").unlink()
    else:
        (tmp_path / FOLDER / "heads.json").write_text("{")
    measured = []
    run_paper(paper(measured), request)
    assert measured[0] == "heads"
    assert pd.read_csv(tmp_path / "results.csv")["n"][0] == (100 if change == "scale" else 10)


def test_numbers_come_back_as_they_were(tmp_path):
    outcome = tabled(
        [row("q", Share(1 / 3, float("nan"), 2 / 3, 7), lag=lag, name=str(lag)) for lag in (1, 2)],
        data=xr.Dataset({"x": ("t", np.array([0.1, np.nan]))}),
    )
    finished = Finished(tmp_path, "key")
    (tmp_path / "recordings").mkdir()
    path = save_dataset(outcome.data["data"], tmp_path / "recordings" / "data.zarr", {})
    finished.keep("step", outcome, [path])
    again, written = finished.read("step")
    pd.testing.assert_frame_equal(again.estimates, outcome.estimates)
    np.testing.assert_array_equal(again.data["data"]["x"], outcome.data["data"]["x"])
    assert written == [path]
    assert Finished(tmp_path, "other").read("step") is None


def test_a_list_in_where_means_any_of_its_values():
    table = tabled([row("q", Share(lag, n=1), lag=lag) for lag in (1, 2, 3)]).estimates
    rows = results(table, {"q": Say("lag {lag}", {"lag": [1, 3]})}, read_published(None))
    assert [row.quantity for row in rows] == ["lag 1", "lag 3"]
