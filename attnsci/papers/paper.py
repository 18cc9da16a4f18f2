"""What a paper is: its scales, its experiments, their figures, the sentences of its table."""

import dataclasses
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from attnsci.experiments.outcome import Outcome
from attnsci.training.configs import Device, Source

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from attnsci.papers.output import Result

ScaleName = Literal["quick", "default", "paper"]


@dataclasses.dataclass(frozen=True)
class Request:
    """What a paper is asked to reproduce."""

    scale: ScaleName
    """Sizes: minutes for all papers, minutes for one, or as published."""
    out: Path
    """Folder that receives this paper's files."""
    seed: int = 0
    """Of stimuli and resampling."""
    device: Device = "auto"
    """Where models run."""
    source: Source | None = None
    """Digits; by default bundled ones, at paper scale full MNIST."""
    weights: tuple[str, ...] = ()
    """Weights to use in place of the shipped ones, names or files."""
    train: bool = False
    """Train first, into ``out/training``, and use those weights."""
    images: Path | None = None
    """Folder of photographs."""
    annotations: Path | None = None
    """Their objects, a file of COCO's format."""


@dataclasses.dataclass(frozen=True)
class Say:
    """A row of the table of results for each estimate of a quantity.

    Attributes
    ----------
    sentence : str
        What was measured, with factors in braces.
    where : mapping
        Factors that an estimate must have, a list meaning any of its values; the others stay in
        the CSV file of their step.
    """

    sentence: str
    where: Mapping[str, Any] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True)
class Step:
    """An experiment of a paper.

    Attributes
    ----------
    name : str
        Of its files: ``NAME.csv``, ``NAME.svg``.
    measure : callable
        From run and subject to an outcome, or None where there is nothing to measure. The first
        line of its docstring says in the report what it asks.
    draw : callable, optional
        From the outcomes so far, by step, to a figure, or to several by name.
    says : mapping of str to Say
        By quantity.
    """

    name: str
    measure: Callable[["Run", Any], Outcome | None]
    draw: Callable[[Mapping[str, Outcome]], "Figure | dict[str, Figure]"] | None = None
    says: Mapping[str, Say] = dataclasses.field(default_factory=dict)


def _nothing(request: Request) -> str:
    return ""


@dataclasses.dataclass(frozen=True)
class Paper:
    """A paper.

    Attributes
    ----------
    name, title : str
    scales : dict of str to frozen dataclass
        How many of everything at "quick", "default" and "paper".
    prepare : callable
        From a run to the subject of all steps: networks and stimuli. It has ``facts``, what
        recordings say of their making, and ``caption``, what the numbers stand on.
    steps : tuple of Step
    published : Path, optional
        File of published numbers.
    lacks : callable
        From a request to what is missing here and where to get it, in a sentence; "" if nothing.
    """

    name: str
    title: str
    scales: dict[ScaleName, Any]
    prepare: Callable[["Run"], Any]
    steps: tuple[Step, ...]
    published: Path | None = None
    lacks: Callable[[Request], str] = _nothing


@dataclasses.dataclass(frozen=True)
class Drawn:
    """A paper that draws itself, and is not yet declared as a `Paper`.

    Attributes
    ----------
    reproduce : callable
        From a request to the files that it writes, ``results.md`` among them.
    lacks : callable
        As for `Paper`.
    """

    reproduce: Callable[[Request], list[Path]]
    lacks: Callable[[Request], str] = _nothing


@dataclasses.dataclass
class Run:
    """One run of a paper: what was asked for, and what it has left so far."""

    request: Request
    scale: Any
    outcomes: dict[str, Outcome] = dataclasses.field(default_factory=dict)
    written: list[Path] = dataclasses.field(default_factory=list)
    files: dict[str, list[Path]] = dataclasses.field(default_factory=dict)
    """What each step has written."""
    rows: "list[Result]" = dataclasses.field(default_factory=list)

    @property
    def seed(self) -> int:
        """Of stimuli and resampling."""
        return self.request.seed

    @property
    def out(self) -> Path:
        """The folder of this paper and scale."""
        return self.request.out
