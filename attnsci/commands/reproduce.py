"""``attnsci reproduce``: a frozen dataclass whose fields are flags."""

import dataclasses
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

import tyro

from attnsci.families.registry import entries
from attnsci.training.configs import Device, Source

Paper: Any = Literal[tuple(entries("papers"))]
ScaleName = Literal["quick", "default", "paper"]


def _choices(literal: Any, form: str = "{%s}") -> Any:
    """Return how ``--help`` shows a choice that may be left out: in order, without None."""
    return tyro.conf.arg(metavar=form % ",".join(get_args(literal)), help_behavior_hint="")


_PATH = tyro.conf.arg(metavar="PATH", help_behavior_hint="")


@dataclasses.dataclass(frozen=True)
class Reproduce:
    """Draw the figures of a paper, with their numbers; of all papers if none is named."""

    paper: Annotated[tyro.conf.Positional[Paper | None], _choices(Paper, "[{%s}]")] = None
    """The paper; all of them, at quick scale, without it."""
    scale: Annotated[ScaleName | None, _choices(ScaleName)] = None
    """How much: quick (without a paper), default (with one), or paper (published sizes)."""
    out: Path = Path("results")
    """Receives OUT/PAPER/SCALE with figures, tables, recordings and results.md."""
    source: Annotated[Source | None, _choices(Source)] = None
    """Digits to show: bundled with the installation, or full MNIST, as at paper scale."""
    weights: tuple[str, ...] = ()
    """Networks to use in place of the shipped ones: names or files."""
    train: bool = False
    """Train the networks first."""
    images: Annotated[Path | None, _PATH] = None
    """Folder of photographs, for a paper on photographs."""
    annotations: Annotated[Path | None, _PATH] = None
    """Their objects, with masks, a file of COCO's format."""
    seed: int = 0
    """Decides stimuli and resampling."""
    device: Device = "auto"
    """Where to compute; auto takes an accelerator if there is one."""

    def run(self) -> None:
        """Call `attnsci.reproduction.reproduce` and print its tables of results."""
        from attnsci.reproduction import reproduce

        written = reproduce(
            papers=None if self.paper is None else [self.paper],
            scale=self.scale,
            out=self.out,
            seed=self.seed,
            device=self.device,
            source=self.source,
            weights=self.weights,
            train=self.train,
            images=self.images,
            annotations=self.annotations,
        )
        for table in written:
            print(table.read_text(encoding="utf-8"))
            print(f"Figures, numbers and recordings: {table.parent}")
