"""What the command line can do with RAM: a frozen dataclass each, whose fields are flags.

Nothing heavy is imported before a command runs, so that ``--help`` answers at once.
"""

import dataclasses
from pathlib import Path
from typing import Annotated, ClassVar, Literal

import tyro

from attnsci.checks import check_positive
from attnsci.errors import InvalidInput
from attnsci.families.ram.catch_recipes import CatchTraining
from attnsci.families.ram.dram_recipes import PAIRS, DRAMTraining
from attnsci.families.ram.recipes import MNIST_28, RAMTraining
from attnsci.training.command import TrainingRun
from attnsci.training.configs import Device, Source

Preset = Literal["mnist-28", "mnist-28-long", "translated-60", "cluttered-60", "cluttered-100"]
Task = Literal["mnist-28", "translated-60", "cluttered-60", "cluttered-100"]
PolicyName = Literal["mean", "sampled", "random", "centre", "grid"]


@dataclasses.dataclass(frozen=True)
class Run(TrainingRun):
    """A training run of this family."""

    prefix: ClassVar[str] = "ram-"

    def train(self) -> str:
        """Train to the end, and draw how it went."""
        from attnsci.families.ram.train import run_train

        return run_train(self)


@dataclasses.dataclass(frozen=True)
class Train(Run):
    """Train a network to look and to tell digits. The same command again resumes."""

    training: Annotated[RAMTraining, tyro.conf.arg(name="")] = MNIST_28
    preset: Preset = "mnist-28"
    """Recipe to start from; other flags replace single settings of it."""


@dataclasses.dataclass(frozen=True)
class TrainDRAM(Run):
    """Train a deep network to look for two digits and read them in order."""

    training: Annotated[DRAMTraining, tyro.conf.arg(name="")] = PAIRS
    preset: Literal["dram-pairs", "dram-pairs-blind"] = "dram-pairs"
    """Recipe to start from: with a glance at the whole first, or without (blind)."""


@dataclasses.dataclass(frozen=True)
class TrainCatch(Run):
    """Train a network to catch a falling ball, looking and moving."""

    training: Annotated[CatchTraining, tyro.conf.arg(name="")] = dataclasses.field(
        default_factory=CatchTraining
    )
    preset: Literal["catch"] = "catch"
    """Recipe to start from."""


@dataclasses.dataclass(frozen=True)
class Evaluate:
    """Measure a network's error on scenes it never saw, after each glimpse, with intervals."""

    model: str = "ram-mnist-28-seed0"
    """Shipped weights, a .safetensors file, or a published .chainermodel or .ckpt file."""
    task: Task | None = None
    """Scenes to show; by default those that the network was trained for."""
    source: Source = "bundled"
    """Digits to show: those that came with the installation, or "full" MNIST."""
    split: Literal["test", "train"] = "test"
    """Part of the digits."""
    n: int | None = None
    """Scenes to show; all by default."""
    policy: PolicyName = "mean"
    """Where to look: the mean of the learned policy or draws from it, or another policy."""
    n_samples: int = 1
    """Looks at each scene, from other first locations."""
    n_glimpses: int | None = None
    """Glimpses at a scene; as in training by default."""
    pictures: int = 0
    """Scenes to draw: a strip and an animation each, and a page that replays all; needs --out."""
    seed: int = 0
    """Decides places, clutter, first locations and draws."""
    device: Device = "auto"
    """Where to compute; auto takes an accelerator if there is one."""
    out: Path | None = None
    """Folder for error.csv, glimpses.zarr and pictures; only printed without it."""

    def __post_init__(self) -> None:
        for name in ("n", "n_glimpses"):
            if getattr(self, name) is not None:
                check_positive(name, getattr(self, name), integer=True)
        check_positive("n_samples", self.n_samples, integer=True)
        if self.pictures < 0 or (self.pictures and self.out is None):
            raise InvalidInput("--pictures N draws N scenes into a folder: give --out FOLDER.")

    def run(self) -> None:
        """Show the scenes, print the table and write what was asked for."""
        from attnsci.families.ram.evaluate import run_evaluate

        print(run_evaluate(self))
