"""`attnsci reproduce`: one paper, or all of them, at one of three scales."""

import dataclasses
import importlib
from collections.abc import Sequence
from pathlib import Path
from typing import Literal, Protocol, get_args

from attnsci.checks import check_known, check_option
from attnsci.errors import InvalidInput
from attnsci.files import claim
from attnsci.training.configs import Device

PAPERS = {
    "object-attention": "attnsci.families.object_attention.paper",
    "neva": "attnsci.families.neva.paper",
    "ram": "attnsci.families.ram.paper",
    "what-where": "attnsci.families.what_where.paper",
}
"""Paper to the module whose ``reproduce(request)`` draws it."""

Task = Literal["digits", "coco"]
ScaleName = Literal["quick", "default", "paper"]
SCALES: tuple[ScaleName, ...] = ("quick", "default", "paper")


@dataclasses.dataclass(frozen=True)
class Request:
    """What a paper is asked to reproduce."""

    scale: ScaleName
    """Sizes: minutes for all papers, minutes for one, or as published."""
    out: Path
    """Folder that receives this paper's files."""
    seed: int = 0
    """Of scenes and resampling."""
    device: Device = "auto"
    """Where models run."""
    source: Literal["bundled", "full"] | None = None
    """Digits; by default bundled ones, at paper scale full MNIST."""
    weights: tuple[str, ...] = ()
    """Weights to use in place of the shipped ones, names or files."""
    train: bool = False
    """Train first, into ``out/training``, and use those weights."""
    task: Task | None = None
    """Half of the object-attention paper; digits by default, and photographs if there are."""
    images: Path | None = None
    """Folder of photographs, for the task "coco"."""
    annotations: Path | None = None
    """Their objects, a file of COCO's format."""


class Paper(Protocol):
    """A module that draws a paper."""

    def reproduce(self, request: Request) -> list[Path]:
        """Draw every figure, write every number, return what was written."""


def reproduce(
    papers: Sequence[str] | None = None,
    *,
    scale: ScaleName | None = None,
    out: str | Path = "results",
    seed: int = 0,
    device: Device = "auto",
    source: Literal["bundled", "full"] | None = None,
    weights: Sequence[str] = (),
    train: bool = False,
    task: Task | None = None,
    images: str | Path | None = None,
    annotations: str | Path | None = None,
) -> list[Path]:
    """Draw the figures of papers, with their numbers, recordings and tables of results.

    Parameters
    ----------
    papers : sequence of str, optional
        Names of `PAPERS`; all of them by default.
    scale : {"quick", "default", "paper"}, optional
        Quick by default where no paper is named, else default.
    out : path-like
        Receives a folder for each paper and scale.
    seed : int
        Of scenes and resampling.
    device : {"auto", "cpu", "cuda", "mps"}
        Where models run.
    source : {"bundled", "full"}, optional
        Digits; bundled by default, full MNIST at paper scale.
    weights : sequence of str
        Weights in place of the shipped ones.
    train : bool
        Train first.
    task : {"digits", "coco"}, optional
        Half of the object-attention paper: digits, and photographs where they are given.
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
        If photographs are given without annotations, or for papers that show none.
    InUse
        If another process draws this paper there.
    """
    names = list(papers or PAPERS)
    scale = scale or ("default" if papers else "quick")
    check_option("scale", scale, SCALES)
    for name in names:
        check_known("paper", name, PAPERS)
    if (images is None) != (annotations is None):
        raise InvalidInput("images and annotations go together: give both, or neither.")
    if (task or images) and "object-attention" not in names:
        raise InvalidInput(
            f"task, images and annotations are for object-attention, not for {', '.join(names)}."
        )
    if task is not None:
        check_option("task", task, get_args(Task))
    folder = None if images is None else Path(images)
    file = None if annotations is None else Path(annotations)
    tables = []
    for name in names:
        request = Request(
            scale, Path(out) / name / scale, seed, device, source, tuple(weights), train,
            task, folder, file,
        )  # fmt: skip
        paper: Paper = importlib.import_module(PAPERS[name])
        with claim(request.out):
            written = paper.reproduce(request)
        tables += [path for path in written if path.name == "results.md"]
    return tables
