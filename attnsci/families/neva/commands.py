"""What the command line can do with NeVA: a frozen dataclass each, whose fields are flags.

Nothing heavy is imported before a command runs, so that ``--help`` answers at once.
"""

import contextlib
import dataclasses
from pathlib import Path
from typing import Any, Literal

import tyro

from attnsci.checks import check_positive
from attnsci.families.neva.config import Discount
from attnsci.files import claim
from attnsci.provenance import stable_hash
from attnsci.training.command import TrainingRun
from attnsci.training.configs import Device, Precision

Model = Literal["neva", "policy", "itti-koch", "spectral-residual", "centre", "random"]
TaskName = Literal["classification", "reconstruction", "blur-energy", "word", "caption"]
PolicyTask = Literal["classification", "reconstruction"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class OnPhotographs(TrainingRun):
    """Train a network on photographs of one's own. The same command again resumes."""

    images: tyro.conf.Positional[tuple[Path, ...]]
    """Photographs, or folders of them; the name of each decides whether it trains or tests."""
    epochs: int = 10
    """Passes through the training data."""
    precision: Precision | Literal["auto"] = "32-true"
    """Number format; auto is bfloat16 where the device computes in it."""

    def objective(self) -> Any:
        """Return what learns, with the photographs."""
        from attnsci.data.images import read_images

        return type(self).learner()(self.training, read_images(self.images))

    def train(self) -> str:
        """Train to the end; return what to tell the user."""
        from attnsci.training.configs import fast_trainer
        from attnsci.training.report import train_and_draw

        settings = fast_trainer(self, **self.trainer_settings)  # the recipes leave epochs open
        return train_and_draw(self.objective(), self.folder, settings)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Looking(OnPhotographs):
    """Train a network to look at photographs as NeVA does. The same command again resumes."""

    task: PolicyTask = "classification"
    """What the gaze serves: EfficientNet-Lite0's own label, or our denoiser's picture."""
    retention: float = 0.8
    """Share of what was seen that is remembered at the next fixation."""

    @property
    def folder(self) -> Path:
        """Where the run stands."""
        settings = stable_hash([self.training, self.task, self.retention])
        return self.out or Path("runs") / f"{self.recipe}-{self.preset}-{settings}"

    def objective(self) -> Any:
        """Return what learns, with task, photographs and fovea."""
        from attnsci.families.neva.photographs import pieces
        from attnsci.families.neva.stimuli import fovea_for
        from attnsci.families.neva.task_networks import task_of

        size, seed = self.training.policy.size, self.training.seed
        return type(self).learner()(
            self.training,
            task_of(self.task),
            pieces(self.images, "train", size, seed),
            pieces(self.images, "validation", size, seed),
            fovea_for(size[0], self.retention),
        )


@dataclasses.dataclass(frozen=True)
class Evaluate:
    """Measure what a learned gaze is worth on photographs, beside the centre and chance.

    The loss of the task over fixations, on photographs that the gaze has not learned from, with
    n and intervals; how much less is lost than by looking at the centre or anywhere.
    """

    images: tyro.conf.Positional[tuple[Path, ...]]
    """Photographs, or folders of them."""
    model: str = "neva-policy-classification"
    """Shipped weights, or a .safetensors file of attnsci train neva."""
    task: PolicyTask | None = None
    """What the gaze serves; what it was trained for if not given."""
    split: Literal["test", "validation", "train", "all"] = "test"
    """Which photographs, by their names, as in training; those of one's own folder may be few."""
    fixations: int = 8
    """Length of the scanpaths."""
    retention: float | None = None
    """Share of what was seen that is remembered at the next fixation; as trained if not given."""
    seed: int = 0
    """Of random looks and of resampling."""
    device: Device = "auto"
    """Where to compute; auto takes an accelerator if there is one."""
    out: Path | None = None
    """Folder for gaze.csv and responses.zarr; only printed without it."""

    def __post_init__(self) -> None:
        check_positive("fixations", self.fixations, integer=True)

    def run(self) -> None:
        """Look at the photographs, print the table and write what was asked for."""
        from attnsci.families.neva.evaluate import evaluate_gaze

        with contextlib.nullcontext() if self.out is None else claim(self.out):
            print(evaluate_gaze(**vars(self)).to_string(index=False, float_format="{:.3f}".format))


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
    """What NeVA looks for: to recognise, to restore, to see detail, a --word or a --caption."""
    word: str | None = None
    """With --task word: a noun that ImageNet knows, such as cup."""
    caption: str | None = None
    """With --task caption: what CLIP is to find; needs its weights, --clip."""
    clip: Path | None = None
    """Weights of an open_clip model, which you have downloaded."""
    architecture: str = "RN50"
    """Name of that model, of open_clip.list_models()."""
    discount: Discount = "commit"
    """When NeVA's memory fades: after the search, as published, so that it explores; or before."""
    fixations: int = 10
    """Length of the scanpaths."""
    side: int = 224
    """Shorter side at which images are seen, in pixels."""
    retention: float = 0.3
    """Share of what was seen that is remembered at the next fixation."""
    weights: Path | None = None
    """With --model policy: your own, from attnsci train neva; the shipped one if not given."""
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
        from attnsci.families.neva.generate import generate

        with claim(self.out):
            table, n = generate(**vars(self))
        print(f"{n} images: {table}")
