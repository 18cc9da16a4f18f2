"""Settings of training, as data: the command line reads them without loading torch."""

import dataclasses
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal, get_args

from attnsci.checks import check_fraction, check_option, check_positive
from attnsci.errors import InvalidInput

if TYPE_CHECKING:
    from attnsci.data.digit_scenes import SceneConfig
    from attnsci.families.neva.dncnn import DnCNNConfig
    from attnsci.families.object_attention.network import ObjectAttentionConfig

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


@dataclasses.dataclass(frozen=True)
class ObjectAttentionTraining:
    """The published recipe for digits."""

    n_objects: int = 2
    """Digits in a scene, and phases."""
    strength: float = 0.2
    """How far a gate closes: × (1 − strength)."""
    reconstruction_weight: float = 1000.0
    """Φ, the weight of the reconstruction of the attended object."""
    learning_rate: float = 1e-3
    """Step size of Adam."""
    batch_size: int = 64
    """Scenes an update, over all processes."""
    noise: float = 0.3
    """Upper end of the uniform noise on empty pixels."""
    equal_labels: bool = True
    """Allow two digits of the same class in one scene."""
    validation_fraction: float = 0.3
    """Share of the training digits that validation keeps to itself."""
    validation_scenes: int = 6000
    """Scenes shown at each validation, at most."""
    source: Source = "full"
    """Digits to train on: "full" MNIST less the bundled test digits, or "bundled"."""
    seed: int = 0
    """Decides weights, split, scenes and order."""

    def __post_init__(self) -> None:
        check_fraction("validation_fraction", self.validation_fraction)
        for name in ("n_objects", "batch_size", "validation_scenes"):
            check_positive(name, getattr(self, name), integer=True)
        check_positive("learning_rate", self.learning_rate)
        if not 0 <= self.reconstruction_weight < float("inf"):
            raise InvalidInput(
                f"reconstruction_weight must be 0 or more; got {self.reconstruction_weight}."
            )
        check_option("source", self.source, get_args(Source))

    @property
    def scenes(self) -> "SceneConfig":
        """Layout of the scenes."""
        from attnsci.data.digit_scenes import SceneConfig

        return SceneConfig(self.n_objects, self.noise, self.equal_labels)

    @property
    def model(self) -> "ObjectAttentionConfig":
        """Architecture that fits the scenes."""
        from attnsci.families.object_attention.network import ObjectAttentionConfig

        height, width = self.scenes.canvas
        return ObjectAttentionConfig(
            height=height, width=width, n_phases=self.n_objects, strength=self.strength
        )


PRESETS = {
    "mnist-2": ObjectAttentionTraining(),
    "mnist-3": ObjectAttentionTraining(n_objects=3),
}


@dataclasses.dataclass(frozen=True)
class DnCNNTraining:
    """Reconstruction of sharp photographs from foveated views of them."""

    crop: int = 64
    """Side of the square pieces of photographs, in pixels."""
    batch_size: int = 8
    """Pieces an update, over all processes."""
    batches_per_epoch: int = 100
    """Updates between two validations."""
    learning_rate: float = 1e-3
    """Step size of Adam at the start."""
    half_life: float = 4.0
    """Epochs in which the step size halves."""
    zoom: float = 2.0
    """Pieces are enlarged up to so many times, so that soft photographs occur as well."""
    n_foveae: int = 3
    """Fixations in a view, at most."""
    sharp: float = 0.2
    """Share of the views that are sharp all over: the denoiser must leave these as they are."""
    sigma_px: float = 30.535
    """Standard deviation of the sharp region round a fixation."""
    blur_sigma_px: float = 10.0
    """Standard deviation of the blur elsewhere."""
    blur_size: int = 41
    """Side of the blur's kernel, odd."""
    blur_noise: float = 0.15
    """Standard deviation of the noise under the blur."""
    noise: float = 0.05
    """Largest standard deviation of the noise on a view; each piece draws its own from 0."""
    validation_crops: int = 128
    """Pieces of held-out photographs, the same at each validation."""
    seed: int = 0
    """Decides weights, pieces, fixations and noise."""

    def __post_init__(self) -> None:
        for name in ("crop", "batch_size", "batches_per_epoch", "n_foveae", "validation_crops"):
            check_positive(name, getattr(self, name), integer=True)
        for name in ("learning_rate", "half_life", "sigma_px", "blur_sigma_px", "blur_size"):
            check_positive(name, getattr(self, name))
        if not 1 <= self.zoom < float("inf"):
            raise InvalidInput(f"zoom must be 1 or more; got {self.zoom}.")
        for name in ("sharp", "blur_noise", "noise"):
            check_fraction(name, getattr(self, name))

    @property
    def model(self) -> "DnCNNConfig":
        """Architecture of the denoiser, for colour."""
        from attnsci.families.neva.dncnn import DnCNNConfig

        return DnCNNConfig()


def fast_trainer(epochs: int, settings: Mapping[str, Any]) -> TrainerConfig:
    """Return a trainer of `epochs`, in bfloat16 where the device computes in it.

    Parameters
    ----------
    epochs : int
    settings : mapping
        Fields of `TrainerConfig` that are to be otherwise.
    """
    from attnsci.devices import pick_device
    from attnsci.families.neva.walk import computes_bfloat16

    fast = computes_bfloat16("auto", pick_device(settings.get("device", "auto")))
    usual = {"epochs": epochs, "precision": "bf16-mixed" if fast else "32-true"}
    return TrainerConfig(**{**usual, **settings})
