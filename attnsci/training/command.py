"""Flags that every command has that trains: where a run stands, on what it computes, what it keeps.

Nothing heavy is imported before a command runs, so that ``--help`` answers at once.
"""

import abc
import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from attnsci.interrupts import resumable
from attnsci.provenance import stable_hash
from attnsci.training.configs import Device, Precision


@dataclasses.dataclass(frozen=True)
class TrainingRun(abc.ABC):
    """A training run: where it stands, on what it computes, what it keeps."""

    if TYPE_CHECKING:  # each command has these as its first flags
        training: Any
        preset: str

    prefix: ClassVar[str] = ""
    """What the names of run folders begin with."""

    out: Path | None = None
    """The run's folder; by default one in runs/, named after preset and settings."""
    max_steps: int | None = None
    """Stop after so many batches, in the middle of an epoch if need be."""
    device: Device = "auto"
    """Where to compute; auto takes an accelerator if there is one."""
    devices: int = 1
    """Processes, one a device; the batch is shared among them."""
    precision: Precision | Literal["auto"] = "auto"
    """Number format; auto is bfloat16 where the device computes in it."""
    save_every: int = 200
    """Batches between checkpoints; one is written after each epoch in any case."""
    snapshot_every: int | None = None
    """Epochs between snapshots of the weights that are kept, epoch-0050.safetensors …"""

    @property
    def folder(self) -> Path:
        """Where the run stands."""
        named = Path("runs") / f"{self.prefix}{self.preset}-{stable_hash(self.training)}"
        return named if self.out is None else self.out

    @property
    def trainer_settings(self) -> dict[str, Any]:
        """The fields of `TrainerConfig` that were asked for."""
        names = ["max_steps", "device", "devices", "save_every", "snapshot_every"]
        if self.precision != "auto":
            names.append("precision")
        return {name: getattr(self, name) for name in names}

    @abc.abstractmethod
    def train(self) -> str:
        """Train to the end; return what to tell the user."""

    def run(self) -> None:
        """Train to the end, draw how it went and say what came out."""
        with resumable(self.folder):
            print(self.train())
