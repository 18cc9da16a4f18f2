"""`reproduce` finds papers, picks the scale, and hands each a request and a folder of its own."""

from typing import get_args

import pytest

from attnsci import reproduction
from attnsci.errors import DatasetNotFound, InvalidInput, UnknownName
from attnsci.families.registry import entries, load
from attnsci.papers.paper import Drawn, Paper, Request, ScaleName
from attnsci.reproduction import reproduce


@pytest.fixture
def requests(monkeypatch):
    """What three papers are asked, of which the third lacks its data."""
    requests = []

    def draw(request):
        requests.append(request)
        return [request.out / "figure.svg", request.out / "results.md"]

    papers = {
        "first": Drawn(draw),
        "second": Drawn(draw),
        "third": Drawn(draw, lambda request: "There are no photographs."),
    }
    monkeypatch.setattr(reproduction, "entries", lambda field: {name: name for name in papers})
    monkeypatch.setattr(reproduction, "load", papers.get)
    return requests


def test_all_papers_are_drawn_quickly_by_default_and_what_others_lack_is_said(
    requests, tmp_path, capsys
):
    tables = reproduce(out=tmp_path)
    assert [request.scale for request in requests] == ["quick", "quick"]
    assert tables == [tmp_path / name / "quick" / "results.md" for name in ("first", "second")]
    assert requests[0] == Request("quick", tmp_path / "first" / "quick")
    assert "third is left out: There are no photographs." in capsys.readouterr().err


def test_a_paper_that_was_named_must_have_its_data(requests, tmp_path):
    with pytest.raises(DatasetNotFound, match="no photographs"):
        reproduce(["third"], out=tmp_path)
    assert not requests


def test_a_named_paper_is_drawn_at_default_scale(requests, tmp_path):
    assert reproduce(["second"], out=tmp_path) == [tmp_path / "second" / "default" / "results.md"]
    assert len(requests) == 1


def test_every_setting_reaches_the_paper(requests, tmp_path):
    settings = {"seed": 5, "device": "cpu", "source": "full", "train": True}
    files = {"images": tmp_path / "a", "annotations": tmp_path / "b"}
    reproduce(["first"], scale="paper", out=tmp_path, weights=["a", "b"], **settings, **files)
    expected = Request(
        "paper", tmp_path / "first" / "paper", weights=("a", "b"), **settings, **files
    )
    assert requests == [expected]


def test_an_unknown_paper_is_refused_before_any_is_drawn(requests, tmp_path):
    with pytest.raises(UnknownName, match=r"No paper is called 'secnd'\. Nearest: 'second'"):
        reproduce(["first", "secnd"], out=tmp_path)
    assert not requests


def test_an_unknown_scale_and_half_of_the_photographs_are_refused(requests, tmp_path):
    with pytest.raises(InvalidInput, match="'quick', 'default', 'paper'; got 'huge'"):
        reproduce(["first"], scale="huge", out=tmp_path)
    with pytest.raises(InvalidInput, match="go together"):
        reproduce(["first"], images=tmp_path, out=tmp_path)
    assert not requests


@pytest.mark.parametrize("name", entries("papers"))
def test_every_registered_paper_can_be_drawn_at_every_scale(name):
    paper = load(entries("papers")[name])
    assert isinstance(paper, Paper | Drawn)
    if isinstance(paper, Paper):
        assert set(paper.scales) == set(get_args(ScaleName)) and paper.steps
        assert paper.name == name
