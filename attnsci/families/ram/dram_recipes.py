"""Settings of training the deep recurrent attention model, as data: read without loading torch."""

import dataclasses
from typing import TYPE_CHECKING, get_args

from attnsci.checks import check_fraction, check_option, check_positive
from attnsci.errors import InvalidInput
from attnsci.families.ram import dram_config
from attnsci.families.ram.dram_config import DRAMConfig
from attnsci.training.configs import Source

if TYPE_CHECKING:
    from attnsci.data.digit_pairs import PairConfig


@dataclasses.dataclass(frozen=True)
class DRAMTraining:
    """How a model learns to look for two digits and to read them from left to right."""

    model: DRAMConfig = dram_config.PAIRS
    """The network."""
    size: int = 60
    """Side of the canvas."""
    n_pieces: int = 0
    """Pieces of other digits beside the two."""
    epochs: int = 10
    """Passes through the digits in which the step size falls to its end."""
    batch_size: int = 128
    """Images an update, over all processes."""
    n_samples: int = 2
    """Times that each is looked at, with other draws."""
    learning_rate: float = 1e-3
    """Largest step size of Adam: it rises to it, then falls along a cosine."""
    looking_rate: float = 0.3
    """Share of it for what places the glimpses. While nothing can be read yet, rewards are noise,
    and at the full step size they drive the locations into a corner, where they stay."""
    warmup: int = 200
    """Updates in which it rises."""
    final_rate: float = 1e-3
    """Share of it that is left at the end."""
    validation_fraction: float = 0.1
    """Share of the training digits that validation keeps to itself."""
    validation_scenes: int = 3000
    """Scenes shown at each validation, at most."""
    source: Source = "full"
    """Digits to train on: "full" MNIST less the bundled test digits, or "bundled"."""
    seed: int = 0
    """Decides weights, split, scenes, order and draws."""

    def __post_init__(self) -> None:
        for name in ("size", "epochs", "batch_size", "n_samples", "validation_scenes"):
            check_positive(name, getattr(self, name), integer=True)
        for name in ("learning_rate", "looking_rate"):
            check_positive(name, getattr(self, name))
        for name in ("final_rate", "validation_fraction"):
            check_fraction(name, getattr(self, name))
        for name in ("warmup", "n_pieces"):
            if not 0 <= getattr(self, name) < float("inf"):
                raise InvalidInput(f"{name} must be 0 or more; got {getattr(self, name)}.")
        if self.model.n_targets != 2:
            raise InvalidInput(
                f"Scenes have two digits; the network names {self.model.n_targets}. Take "
                "n_targets=2."
            )
        check_option("source", self.source, get_args(Source))

    @property
    def scenes(self) -> "PairConfig":
        """Layout of the scenes."""
        from attnsci.data.digit_pairs import PairConfig

        return PairConfig(self.size, self.n_pieces)


PAIRS = DRAMTraining()
PRESETS = {
    "dram-pairs": PAIRS,
    "dram-pairs-blind": dataclasses.replace(PAIRS, model=dram_config.PRESETS["dram-pairs-blind"]),
}
"""With the context network and, "blind", without it.

Trained on full MNIST, one seed each, 6 CPU minutes: 4.6 % and 7.4 % of 10,000 test pairs misread,
95 % intervals 4.2–5.0 and 6.9–7.9 (Wilson). The paper's pairs, 5 % and 7 %, are other scenes.
"""
