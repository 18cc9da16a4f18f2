"""`attnsci reproduce`: one paper, or all of them, at one of three scales."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import get_args

from attnsci.checks import check_known, check_option
from attnsci.errors import DatasetNotFound, InvalidInput
from attnsci.families.registry import entries, load
from attnsci.files import claim
from attnsci.papers.paper import Drawn, Request, ScaleName
from attnsci.training.configs import Device, Source


def reproduce(
    papers: Sequence[str] | None = None,
    *,
    scale: ScaleName | None = None,
    out: str | Path = "results",
    seed: int = 0,
    device: Device = "auto",
    source: Source | None = None,
    weights: Sequence[str] = (),
    train: bool = False,
    images: str | Path | None = None,
    annotations: str | Path | None = None,
) -> list[Path]:
    """Draw the figures of papers, with their numbers, recordings and tables of results.

    Parameters
    ----------
    papers : sequence of str, optional
        Names, as ``attnsci reproduce --help`` lists them. By default all that can run here; what
        the others lack is said.
    scale : {"quick", "default", "paper"}, optional
        Quick by default where no paper is named, else default.
    out : path-like
        Receives a folder for each paper and scale.
    seed : int
        Of stimuli and resampling.
    device : {"auto", "cpu", "cuda", "mps"}
        Where models run.
    source : {"bundled", "full"}, optional
        Digits; bundled by default, full MNIST at paper scale.
    weights : sequence of str
        Weights in place of the shipped ones.
    train : bool
        Train first.
    images, annotations : path-like, optional
        Folder of photographs and file of their objects, of COCO's format.

    Returns
    -------
    list of pathlib.Path
        The tables of results, ``results.md``, one a paper.

    Raises
    ------
    UnknownName
        If there is no such paper.
    InvalidInput
        If photographs are given without annotations.
    DatasetNotFound
        If a paper that was named lacks its data.
    InUse
        If another process draws this paper there.
    """
    from attnsci.papers.run import run_paper

    places = entries("papers")
    names = list(papers or places)
    scale = scale or ("default" if papers else "quick")
    check_option("scale", scale, get_args(ScaleName))
    for name in names:
        check_known("paper", name, places)
    if (images is None) != (annotations is None):
        raise InvalidInput("images and annotations go together: give both, or neither.")
    tables = []
    for name in names:
        request = Request(
            scale, Path(out) / name / scale, seed, device, source, tuple(weights), train,
            None if images is None else Path(images),
            None if annotations is None else Path(annotations),
        )  # fmt: skip
        paper = load(places[name])
        if lack := paper.lacks(request):
            if papers:
                raise DatasetNotFound(lack)
            print(f"attnsci: {name} is left out: {lack}", file=sys.stderr)
            continue
        with claim(request.out):
            drawn = isinstance(paper, Drawn)
            written = paper.reproduce(request) if drawn else run_paper(paper, request)
        tables += [path for path in written if path.name == "results.md"]
    return tables
