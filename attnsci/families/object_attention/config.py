"""Architecture and protocol of a gated network, as data."""

import dataclasses
from typing import Literal

from attnsci.checks import check_positive
from attnsci.errors import InvalidInput
from attnsci.families.object_attention.upsampled_conv import Upsampling

KERNEL = 4
POOL = 2


@dataclasses.dataclass(frozen=True)
class ObjectAttentionConfig:
    """Architecture and protocol of one gated network.

    The defaults are the published network for two digits (82,661 parameters).
    """

    channels: tuple[int, ...] = (1, 20, 50)
    """Channels of the image and of each level."""
    height: int = 28
    """Rows of the image."""
    width: int = 42
    """Columns of the image."""
    n_classes: int = 10
    """Classes that are told apart."""
    n_phases: int = 2
    """Objects that are read one after another."""
    strength: float = 0.2
    """How far a gate can close: a gate of 1 multiplies by 1 − strength."""
    upsampling: Upsampling = "nearest"
    """How maps grow again on the way down."""
    pixel_gate: Literal["shared", "per_channel"] = "shared"
    """One gate for all image channels, or one each."""

    def __post_init__(self) -> None:
        if len(self.channels) < 2:
            raise InvalidInput(f"channels needs an image and one level; got {self.channels}.")
        for name in ("height", "width", "n_classes", "n_phases"):
            check_positive(name, getattr(self, name), integer=True)
        if not 0 <= self.strength < 1:
            raise InvalidInput(f"strength must lie in [0, 1); got {self.strength}.")

    @property
    def n_levels(self) -> int:
        """Gated levels, the pixels being level 1."""
        return len(self.channels) - 1

    def sizes(self) -> list[tuple[int, int]]:
        """Return (height, width) of the input of each level and of the last pooled map."""
        sizes = [(self.height, self.width)]
        for _ in range(self.n_levels):
            height, width = ((side - KERNEL + 1) // POOL for side in sizes[-1])
            sizes.append((height, width))
        if min(sizes[-1]) < 1:
            raise InvalidInput(
                f"An image of {self.height}×{self.width} is too small for {self.n_levels} levels."
            )
        return sizes


COCO = ObjectAttentionConfig(
    channels=(3, 30, 60, 100, 20),
    height=100,
    width=100,
    n_classes=12,
    strength=0.3,
    upsampling="bicubic",
)
"""The published network for photographs (477,713 parameters)."""
