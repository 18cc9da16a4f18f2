"""Settings of training on photographs of two objects, as data: read without loading torch."""

import dataclasses
from typing import TYPE_CHECKING, Literal, get_args

from attnsci.checks import check_fraction, check_option, check_positive
from attnsci.errors import InvalidInput

if TYPE_CHECKING:
    from attnsci.families.object_attention.config import ObjectAttentionConfig

Start = Literal["published", "closed"]


@dataclasses.dataclass(frozen=True)
class CocoTraining:
    """The published recipe for photographs; `PRESETS` has one for few of them."""

    strength: float = 0.3
    """How far a gate closes: × (1 − strength)."""
    reconstruction_weight: float = 5000.0
    """Φ, the weight of the reconstruction of the attended object."""
    learning_rate: float = 1e-4
    """Step size of Adam, at its largest."""
    epochs: int = 100
    """Passes through the photographs, over which the step size falls."""
    reading: int = 0
    """Passes in the first epoch, which then only teaches to read: each object by itself, its
    surroundings dimmed by a random share, in one pass without gates. For few photographs."""
    reading_rate: float = 1e-3
    """Step size of Adam while reading is taught; it rises and falls as the other does."""
    final_rate: float = 1.0
    """Share of the step size that is left at the end of a cosine; 1 for one that stays."""
    warmup: int = 0
    """Updates in which the step size rises."""
    clip: float | None = None
    """Largest norm of the gradient; None for no limit."""
    batch_size: int = 32
    """Photographs an update, over all processes."""
    class_weights: bool = True
    """Weigh classes by the inverse of their frequency, as published."""
    smoothing: float = 0.0
    """Share of the label that is spread over all classes."""
    start: Start = "published"
    """Weights to begin with: PyTorch's; or He's, which keep the signal up through the levels, and
    a bias that closes the pixel gate, as the reconstruction does first of all."""
    mirrored: bool = False
    """Show half of the photographs left to right, others in every epoch."""
    zoom: float = 1.0
    """Show a random part of each photograph, enlarged up to so many times."""
    min_area: float = 0.1
    """Share of the photograph that each of the two objects exceeds."""
    size: int = 100
    """Side of the photographs, in pixels."""
    seed: int = 0
    """Decides weights, order and what is shown of each photograph."""

    def __post_init__(self) -> None:
        for name in ("epochs", "batch_size", "size"):
            check_positive(name, getattr(self, name), integer=True)
        for name in ("learning_rate", "reading_rate"):
            check_positive(name, getattr(self, name))
        for name in ("final_rate", "min_area", "smoothing"):
            check_fraction(name, getattr(self, name))
        if self.clip is not None:
            check_positive("clip", self.clip)
        check_option("start", self.start, get_args(Start))
        for name, least in (
            ("reconstruction_weight", 0), ("warmup", 0), ("zoom", 1), ("reading", 0)
        ):  # fmt: skip
            value = getattr(self, name)
            if not least <= value < float("inf"):
                raise InvalidInput(f"{name} must be {least} or more; got {value}.")

    def model(self, n_classes: int) -> "ObjectAttentionConfig":
        """Return the architecture that tells `n_classes` apart."""
        from attnsci.families.object_attention.config import COCO

        return dataclasses.replace(
            COCO,
            height=self.size,
            width=self.size,
            n_classes=n_classes,
            strength=self.strength,
        )


PRESETS = {
    "coco": CocoTraining(),
    "coco-small": CocoTraining(
        learning_rate=5e-4, epochs=26, reading=80, final_rate=0.02, warmup=50, clip=1.0,
        batch_size=8, smoothing=0.1, start="closed", mirrored=True, zoom=1.8, min_area=0.02,
    ),
}  # fmt: skip
"""By name: as published, for some 13,000 photographs; and ours, for a few hundred."""
