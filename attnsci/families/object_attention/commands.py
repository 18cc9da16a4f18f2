"""What the command line can do with this family: a frozen dataclass each, whose fields are flags.

Nothing heavy is imported before a command runs, so that ``--help`` answers at once.
"""

import dataclasses
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import tyro

from attnsci.checks import check_positive
from attnsci.data.exposure import UNSEEN, exposure, warn_of_exposure
from attnsci.errors import InvalidInput
from attnsci.files import claim
from attnsci.provenance import stable_hash
from attnsci.training.command import TrainingRun
from attnsci.training.configs import Device, Precision, Source

if TYPE_CHECKING:
    import pandas as pd
    import torch

    from attnsci.data.digit_scenes import DigitScenes
    from attnsci.models.weights import Pretrained

BATCH = 64


@dataclasses.dataclass(frozen=True, kw_only=True)
class Sweepable(TrainingRun):
    """Train networks on scenes of several digits. The same command again resumes."""

    epochs: int = 10
    """Passes through the training data."""
    precision: Precision | Literal["auto"] = "32-true"
    """Number format; auto is bfloat16 where the device computes in it."""
    sweep: bool = False
    """Train a network for each reconstruction weight and seed of the next two flags."""
    sweep_reconstruction_weights: Annotated[
        tuple[float, ...], tyro.conf.arg(name="sweep.reconstruction-weights")
    ] = (0.0, 10.0, 100.0, 1000.0, 10000.0)
    """Values of Φ in the sweep."""
    sweep_seeds: Annotated[tuple[int, ...], tyro.conf.arg(name="sweep.seeds")] = (0, 1, 2, 3, 4)
    """Seeds in the sweep."""
    workers: int = 1
    """Processes of the sweep, one job and one thread each."""

    @property
    def folder(self) -> Path:
        """Where the run, or the sweep, stands."""
        if self.out is not None or not self.sweep:
            return super().folder
        swept = [self.training, self.sweep_reconstruction_weights, self.sweep_seeds]
        return Path("runs") / f"{self.recipe}-{self.preset}-sweep-{stable_hash(swept)}"

    def train(self) -> str:
        """Train to the end; return what to tell the user."""
        from attnsci.families.object_attention.recipes import sweep_configs
        from attnsci.training.configs import fast_trainer
        from attnsci.training.report import train_and_draw
        from attnsci.training.sweep import run_sweep

        settings = fast_trainer(self, **self.trainer_settings)  # the recipe leaves epochs open
        if not self.sweep:
            return train_and_draw(self.objective(), self.folder, settings)
        cores = os.cpu_count() or 1
        if self.workers > cores:
            print(
                f"attnsci: warning: {self.workers} workers share {cores} cores and slow each other "
                f"down. Use --workers {cores}.",
                file=sys.stderr,
            )
        configs = sweep_configs(self.training, self.sweep_reconstruction_weights, self.sweep_seeds)
        table = run_sweep(type(self).learner(), configs, settings, self.folder, self.workers)
        columns = ["reconstruction_weight", "seed", "validation_accuracy"]
        accuracy = table[[*columns, "training_accuracy", "steps"]].to_string(index=False)
        return f"{accuracy}\nTable: {self.folder / 'sweep.csv'}"


@dataclasses.dataclass(frozen=True)
class ShowScenes:
    """Which network is shown which scenes."""

    model: str
    """Shipped weights (mnist-2-seed0), a .safetensors file, or a published .pt checkpoint."""
    source: Source = "bundled"
    """Digits to show: those that came with the installation, or "full" MNIST."""
    split: Literal["test", "train"] = "test"
    """Part of the digits."""
    n: int = 1000
    """Scenes to show."""
    noise: float = 0.3
    """Upper end of the uniform noise on empty pixels."""
    equal_labels: bool = True
    """Allow two digits of the same class in one scene."""
    seed: int = 0
    """Decides partners, slots and noise of the scenes."""
    device: Device = "auto"
    """Where to compute; auto takes an accelerator if there is one."""

    def __post_init__(self) -> None:
        check_positive("n", self.n, integer=True)

    def load(self) -> "tuple[Pretrained, DigitScenes]":
        """Return the network, on its device, and the scenes that fit it."""
        from attnsci.data.digit_scenes import DigitScenes, SceneConfig
        from attnsci.data.digits import load_mnist
        from attnsci.devices import pick_device

        device = pick_device(self.device)
        pretrained = load_network(self.model)
        config = pretrained.model.config
        layout = SceneConfig(config.n_phases, self.noise, self.equal_labels)
        if (config.channels[0], config.height, config.width) != (1, *layout.canvas):
            raise InvalidInput(
                f"{self.model} reads images of {config.channels[0]}×{config.height}×"
                f"{config.width}; scenes of {config.n_phases} digits are 1×{layout.canvas[0]}×"
                f"{layout.canvas[1]}. Give a network trained on digits."
            )
        digits = load_mnist(self.split, self.source)
        if self.n > len(digits):
            raise InvalidInput(
                f"n is {self.n}, but the {self.source} {self.split} digits make "
                f"{len(digits)} scenes, one for each. Choose a smaller --n or another --source."
            )
        pretrained.model.to(device)
        return pretrained, DigitScenes(digits, layout, seed=self.seed, device=device)


@dataclasses.dataclass(frozen=True)
class Evaluate(ShowScenes):
    """Measure accuracy, order, gates and inhibition of a network, with n and intervals."""

    n_steps: int = 5
    """Forward passes a phase; 1 is a purely feed-forward network."""
    strength: float | None = None
    """Strength of the gates in place of the trained one."""
    threshold: float = 0.5
    """A gate below it marks an attended cell, which the next phase inhibits."""
    inhibition: bool = True
    """Inhibition of return between phases."""
    gates_off: tuple[int, ...] = ()
    """Levels whose gate is held open, 1 being the pixels."""
    out: Path | None = None
    """Folder for summary.csv, order.csv and scenes.zarr; only printed without it."""

    @property
    def interventions(self) -> dict[str, Any]:
        """Arguments of ``ObjectAttention.run``."""
        names = ("n_steps", "strength", "threshold", "inhibition", "gates_off")
        return {name: getattr(self, name) for name in names}

    def run(self) -> None:
        """Show the scenes, print the tables and write what was asked for."""
        with claim(self.out):
            self._evaluate()

    def _evaluate(self) -> None:
        from attnsci.analysis.selection import order_bias, summarise
        from attnsci.families.object_attention.measure import show_scenes
        from attnsci.papers.output import save_table
        from attnsci.recording.datasets import save_dataset

        pretrained, scenes = self.load()
        digits = exposure(pretrained.record, self.source, self.split)
        if digits != UNSEEN:
            warn_of_exposure(digits, self.model, self.source, self.split)
        shown = show_scenes(
            pretrained.model,
            scenes.batches(BATCH, self.n),
            progress="scenes",
            **self.interventions,
        )
        summary = summarise(shown, seed=self.seed).assign(digits=digits)
        order = order_bias(shown).assign(digits=digits)
        print(
            f"{self.model}: {self.n} scenes of {self.source} {self.split} digits ({digits}).\n"
            "Phase 0: all phases together. Measures: see docs/object_attention.md.\n"
        )
        print(_table(summary, ["measure", "phase", "estimate", "low", "high", "n"]))
        print("\nAttended first, by slot from the left:\n")
        print(_table(order, ["slot", "first", "low", "high", "n", "p_value", "entropy_bits"]))
        if self.out is None:
            return
        facts = {
            **_facts(self, pretrained, scenes),
            "interventions": self.interventions,
            "digits": digits,
        }
        written = [
            save_table(summary, self.out / "summary.csv"),
            save_table(order, self.out / "order.csv"),
            save_dataset(shown, self.out / "scenes.zarr", facts),
        ]
        print("\n" + "\n".join(map(str, written)))


@dataclasses.dataclass(frozen=True)
class Record(ShowScenes):
    """Record what a network's layers do; without --layers, list them."""

    layers: tuple[str, ...] = ()
    """Names or patterns: levels.0.activation, "levels.*.gate" …"""
    out: Path | None = None
    """Zarr store to write, FILE.zarr; the same command resumes one that was begun."""

    def run(self) -> None:
        """List the layers, or record those asked for."""
        if not self.layers:
            print("\n".join(layer_names(load_network(self.model).model)))
            return
        if self.out is None:
            raise InvalidInput("--layers needs --out FILE.zarr, the store to record to.")
        from attnsci.recording import Site, record

        pretrained, scenes = self.load()
        n_phases, n_steps = pretrained.model.config.n_phases, 5
        calls = [(phase, step) for phase in range(n_phases) for step in range(n_steps)]
        along_time = {
            "phase": ("time", [phase + 1 for phase, _ in calls]),
            "step": ("time", [step + 1 for _, step in calls]),
        }
        recording = record(
            pretrained.model,
            scenes.batches(BATCH, self.n),
            [Site(layer, coords=along_time) for layer in self.layers],
            store=self.out,
            batch_size=BATCH,
            n_stimuli=self.n,
            provenance=_facts(self, pretrained, scenes),
        )
        print(f"{recording}\n{self.out}")


def load_network(name_or_path: str) -> "Pretrained":
    """Return shipped weights, weights of a training run, or a published ``.pt`` checkpoint.

    Raises
    ------
    UnknownName, CheckpointError
        If there is no such network, or its file cannot be used.
    InvalidInput
        If it is a network of another family.
    """
    from attnsci.families.object_attention.network import ObjectAttention
    from attnsci.families.object_attention.reference import load_object_attention
    from attnsci.families.zoo import load_model
    from attnsci.models.weights import Pretrained

    if Path(name_or_path).suffix in (".pt", ".pth"):
        return Pretrained(load_object_attention(name_or_path), {})
    pretrained = load_model(name_or_path)
    if not isinstance(pretrained.model, ObjectAttention):
        raise InvalidInput(
            f"{name_or_path} is a {type(pretrained.model).__name__}, and object-attention needs an "
            "ObjectAttention network such as mnist-2-seed0."
        )
    return pretrained


def layer_names(model: "torch.nn.Module") -> list[str]:
    """Return the names of the modules that run, in order of definition."""
    from torch import nn

    return [
        name
        for name, module in model.named_modules()
        if name and type(module).forward is not nn.Module.forward
    ]


def _facts(asked: ShowScenes, pretrained: "Pretrained", scenes: "DigitScenes") -> dict[str, Any]:
    """Return what a result must say of its network and stimuli."""
    from attnsci.provenance import state_hash

    return {
        "weights": asked.model,
        "weights_hash": state_hash(pretrained.model.state_dict()),
        "trained": pretrained.record,
        "stimuli": scenes.provenance(),
        "n": asked.n,
        "seed": asked.seed,
    }


def _table(table: "pd.DataFrame", columns: list[str]) -> str:
    return str(table[columns].to_string(index=False, float_format=lambda value: f"{value:.4g}"))
