"""`reproduce` finds papers, picks the scale, and hands each a request and a folder of its own."""

import sys
import types

import pytest

from attnsci import reproduce as module
from attnsci.errors import InvalidInput, UnknownName
from attnsci.reproduction import PAPERS, SCALES, Request, reproduce


@pytest.fixture
def papers(monkeypatch):
    """Two papers that only note what they were asked."""
    requests = []

    def draw(request):
        requests.append(request)
        return [request.out / "figure.svg", request.out / "results.md"]

    for name in ("first", "second"):
        stub = types.ModuleType(f"stub_{name}")
        stub.reproduce = draw
        monkeypatch.setitem(sys.modules, stub.__name__, stub)
    monkeypatch.setattr(module, "PAPERS", {"first": "stub_first", "second": "stub_second"})
    return requests


def test_all_papers_are_drawn_quickly_by_default(papers, tmp_path):
    tables = reproduce(out=tmp_path)
    assert [request.scale for request in papers] == ["quick", "quick"]
    assert tables == [tmp_path / name / "quick" / "results.md" for name in ("first", "second")]
    assert papers[0] == Request("quick", tmp_path / "first" / "quick")


def test_a_named_paper_is_drawn_at_default_scale(papers, tmp_path):
    assert reproduce(["second"], out=tmp_path) == [tmp_path / "second" / "default" / "results.md"]
    assert len(papers) == 1


def test_every_setting_reaches_the_paper(papers, tmp_path):
    settings = {"seed": 5, "device": "cpu", "source": "full", "train": True}
    reproduce(["first"], scale="paper", out=tmp_path, weights=["a", "b"], **settings)
    expected = Request("paper", tmp_path / "first" / "paper", weights=("a", "b"), **settings)
    assert papers == [expected]


def test_an_unknown_paper_is_refused_before_any_is_drawn(papers, tmp_path):
    with pytest.raises(UnknownName, match=r"No paper is called 'secnd'\. Nearest: 'second'"):
        reproduce(["first", "secnd"], out=tmp_path)
    assert not papers


def test_an_unknown_scale_is_refused(papers, tmp_path):
    with pytest.raises(InvalidInput, match="'quick', 'default', 'paper'; got 'huge'"):
        reproduce(["first"], scale="huge", out=tmp_path)
    assert not papers


def test_every_registered_paper_has_the_scales_and_a_reproduce():
    for path in PAPERS.values():
        paper = module.importlib.import_module(path)
        assert set(paper.SCALES) == set(SCALES)
        assert callable(paper.reproduce)
