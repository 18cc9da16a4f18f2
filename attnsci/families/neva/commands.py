"""``attnsci scanpath generate``: a model looks at a user's images."""

import dataclasses
from pathlib import Path
from typing import Annotated, Literal

import tyro

from attnsci.checks import check_positive
from attnsci.families.neva.policy_config import NeVAPolicyConfig
from attnsci.families.neva.recipes import NeVATraining
from attnsci.interrupts import resumable
from attnsci.training.configs import Device, TrainerConfig

Model = Literal["neva", "policy", "itti-koch", "spectral-residual", "centre", "random"]
TaskName = Literal["classification", "reconstruction", "blur-energy", "word"]
Discount = Literal["commit", "search"]


@dataclasses.dataclass(frozen=True)
class ScanpathGenerate:
    """Let a model look at images. The same command again resumes.

    Writes scanpaths.csv in pixels of the original images and, for each image, a picture with
    its scanpath and an animation of what is seen; for up to 50 images also a page that replays
    them.
    """

    images: tyro.conf.Positional[tuple[Path, ...]]
    """Image files, or folders of them."""
    model: Model = "neva"
    """Who looks."""
    task: TaskName = "classification"
    """What NeVA looks for: to recognise, to restore, to see detail, or a --word."""
    word: str | None = None
    """With --task word: a noun that ImageNet knows, such as cup."""
    discount: Discount = "commit"
    """When NeVA's memory fades: after the search, as published, so that it explores; or before."""
    fixations: int = 10
    """Length of the scanpaths."""
    side: int = 224
    """Shorter side at which images are seen, in pixels."""
    retention: float = 0.3
    """Share of what was seen that is remembered at the next fixation."""
    weights: Path | None = None
    """With --model policy: your own, from attnsci scanpath train; the shipped one if not given."""
    animate: bool = True
    """Write the animations."""
    out: Path = Path("scanpaths")
    """Receives everything."""
    seed: int = 0
    """Of random draws."""
    device: Device = "auto"
    """Where to compute; auto takes an accelerator if there is one."""

    def __post_init__(self) -> None:
        check_positive("fixations", self.fixations, integer=True)
        check_positive("side", self.side, integer=True)

    def run(self) -> None:
        """Look at all images and say what was written."""
        from attnsci.families.neva.generate import run_generate

        table, n = run_generate(self)
        print(f"{n} images: {table}")


@dataclasses.dataclass(frozen=True)
class ScanpathTrain:
    """Train a network to look at photographs as NeVA does. The same command again resumes."""

    images: tyro.conf.Positional[tuple[Path, ...]]
    """Photographs, or folders of them; the name of each decides whether it trains or tests."""
    task: Literal["classification", "reconstruction"] = "classification"
    """What the gaze serves: EfficientNet-Lite0's own label, or our denoiser's picture."""
    training: Annotated[NeVATraining, tyro.conf.arg(name="")] = dataclasses.field(
        default_factory=lambda: NeVATraining(NeVAPolicyConfig(size=(160, 160)))
    )
    trainer: Annotated[TrainerConfig, tyro.conf.arg(name="")] = dataclasses.field(
        default_factory=TrainerConfig
    )
    retention: float = 0.8
    """Share of what was seen that is remembered at the next fixation."""
    out: Path = Path("runs/neva-policy")
    """The run's folder."""

    def run(self) -> None:
        """Train to the end and say where the weights are."""
        from attnsci.families.neva.train import run_train

        with resumable(self.out):
            print(run_train(self))
