"""What the command line can do with RAM: a frozen dataclass each, whose fields are flags.

Nothing heavy is imported before a command runs, so that ``--help`` answers at once.
"""

import dataclasses
from pathlib import Path
from typing import Literal

from attnsci.checks import check_positive
from attnsci.errors import InvalidInput
from attnsci.files import claim
from attnsci.training.configs import Device, Source

Task = Literal["mnist-28", "translated-60", "cluttered-60", "cluttered-100"]
PolicyName = Literal["mean", "sampled", "random", "centre", "grid"]


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
        from attnsci.families.ram.evaluate import evaluate_glimpses

        with claim(self.out):
            print(evaluate_glimpses(**vars(self)))
