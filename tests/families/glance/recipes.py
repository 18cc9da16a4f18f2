import dataclasses
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from glance.network import GlanceConfig


@dataclasses.dataclass(frozen=True)
class GlanceTraining:
    """How one glance is taught."""

    window_px: int = 20
    """Side of what is seen."""
    epochs: int = 2
    """Passes through the digits."""
    batch_size: int = 50
    """Digits an update."""
    learning_rate: float = 0.01
    """Largest step size."""
    warmup: int = 0
    """Updates in which the step size rises."""
    final_rate: float = 0.1
    """Share of it at the end."""
    source: str = "bundled"
    """Digits to learn from."""
    validation_fraction: float = 0.1
    """Share that validation keeps to itself."""
    seed: int = 0
    """Decides weights, split and order."""

    @property
    def model(self) -> "GlanceConfig":
        from glance.network import GlanceConfig

        return GlanceConfig(self.window_px)


PRESETS = {"wide": GlanceTraining(), "narrow": GlanceTraining(window_px=6)}
