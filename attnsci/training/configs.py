"""Settings of training, as data: the command line reads them without loading torch."""

import dataclasses
from typing import Any, Literal, get_args

from attnsci.checks import check_option, check_positive
from attnsci.devices import computes_bfloat16, pick_device

Device = Literal["auto", "cpu", "cuda", "mps"]
Source = Literal["full", "bundled"]
Precision = Literal["32-true", "64-true", "16-mixed", "bf16-mixed", "16-true", "bf16-true"]


@dataclasses.dataclass(frozen=True)
class TrainerConfig:
    """How long, on what, and how often to save."""

    epochs: int = 10
    """Passes through the training data."""
    max_steps: int | None = None
    """Stop after so many batches, in the middle of an epoch if need be."""
    device: Device = "auto"
    """Where to compute; auto takes an accelerator if there is one."""
    devices: int = 1
    """Processes, one a device; the batch is shared among them."""
    precision: Precision = "32-true"
    """Lightning Fabric's name of the number format."""
    save_every: int = 200
    """Batches between checkpoints; one is written after each epoch in any case."""
    snapshot_every: int | None = None
    """Epochs between snapshots of the weights that are kept, epoch-0050.safetensors …"""

    def __post_init__(self) -> None:
        for name in ("epochs", "devices", "save_every"):
            check_positive(name, getattr(self, name), integer=True)
        if self.snapshot_every is not None:
            check_positive("snapshot_every", self.snapshot_every, integer=True)
        if self.max_steps is not None:
            check_positive("max_steps", self.max_steps, integer=True)
        check_option("device", self.device, get_args(Device))
        check_option("precision", self.precision, get_args(Precision))


def fast_trainer(training: Any, **settings: Any) -> TrainerConfig:
    """Return a recipe's trainer: of its epochs, in bfloat16 where the device is fast at it.

    Parameters
    ----------
    training : frozen dataclass
        A recipe, with ``epochs``.
    **settings
        Fields of `TrainerConfig` that are to be otherwise.
    """
    fast = computes_bfloat16("auto", pick_device(settings.get("device", "auto")))
    usual = {"epochs": training.epochs, "precision": "bf16-mixed" if fast else "32-true"}
    return TrainerConfig(**{**usual, **settings})
