"""Settings of training Where, as data: read without loading torch."""

import dataclasses
from typing import TYPE_CHECKING, Literal, get_args

from attnsci.checks import check_fraction, check_option, check_positive
from attnsci.errors import InvalidInput
from attnsci.families.what_where.config import WHERE_PRESETS, WhereConfig
from attnsci.training.configs import Source

if TYPE_CHECKING:
    from attnsci.data.noisy_scenes import NoisyDigitsConfig


@dataclasses.dataclass(frozen=True)
class WhereTraining:
    """How Where learns what What would recognise; the defaults are those of "where"."""

    model: WhereConfig = dataclasses.field(default_factory=lambda: WhereConfig(bn_momentum=0.1))
    """The network."""
    what: str = "what-crop-seed0"
    """The fovea whose accuracy is to be foretold: shipped weights, or a .safetensors file."""
    map_scenes: int = 500
    """Validation digits on which that accuracy is measured first, at every offset."""
    map_stride_px: int = 3
    """Distance of those offsets; between them the map is interpolated."""
    reflected: bool = True
    """See `attnsci.sensors.colliculus.target_table`; False is the published orientation."""
    noise: float = 0.75
    """Strength of the noise, 0 to 1."""
    contrast: float | tuple[float, float] = (0.3, 0.7)
    """Of the digit, or the range that it is drawn from."""
    std: float = 40.0
    """Standard deviation of the digit's distance from the centre, in pixels."""
    max_offset: float = 40.0
    """The most that it may be."""
    tail: Literal["clip", "truncate"] = "truncate"
    """Beyond it: set to it (published), or drawn again."""
    mode: Literal["fresh", "frozen", "pooled"] = "fresh"
    """See `attnsci.data.noisy_digits`."""
    epochs: int = 40
    """Parts of training, each with a validation, over which the step size falls to its end."""
    batches_per_epoch: int = 200
    """Updates in each."""
    batch_size: int = 100
    """Scenes an update, over all processes."""
    learning_rate: float = 1e-3
    """Largest step size of Adam: it rises to it, then falls along a cosine."""
    warmup: int = 100
    """Updates in which it rises."""
    final_rate: float = 1e-2
    """Share of it that is left at the end; 1 for a step size that stays."""
    validation_fraction: float = 0.05
    """Share of the training digits that validation keeps to itself."""
    validation_scenes: int = 1000
    """Scenes shown at each validation, at most."""
    source: Source = "full"
    """Digits to train on: "full" MNIST less the bundled test digits, or "bundled"."""
    seed: int = 0
    """Decides weights, split, scenes and order."""

    def __post_init__(self) -> None:
        for name in (
            "map_scenes", "map_stride_px", "epochs", "batches_per_epoch", "batch_size",
            "validation_scenes",
        ):  # fmt: skip
            check_positive(name, getattr(self, name), integer=True)
        check_positive("learning_rate", self.learning_rate)
        for name in ("noise", "final_rate", "validation_fraction"):
            check_fraction(name, getattr(self, name))
        if not 0 <= self.warmup < float("inf"):
            raise InvalidInput(f"warmup must be 0 or more; got {self.warmup}.")
        check_option("source", self.source, get_args(Source))
        check_option("model.image_px", self.model.image_px, (128,))

    @property
    def scenes(self) -> "NoisyDigitsConfig":
        """Layout of the scenes."""
        from attnsci.data.noisy_layout import PRESETS as LAYOUTS

        return dataclasses.replace(
            LAYOUTS[128], noise=self.noise, contrast=self.contrast, std=self.std,
            max_offset=self.max_offset, tail=self.tail,
        )  # fmt: skip


WHERE = WhereTraining()
PRESETS = {
    "where": WHERE,
    "where-published": WhereTraining(
        WHERE_PRESETS["where-notebook"], "what-28-noise1-seed0", noise=1.0, contrast=0.7, std=30.0,
        tail="clip", mode="frozen", reflected=False, epochs=60, batches_per_epoch=600,
        learning_rate=1e-4, warmup=0, final_rate=1.0,
    ),
}  # fmt: skip
"""Ours, and that of the published curves."""
