"""Settings of training NeVA's policy, as data: read without loading torch."""

import dataclasses
from typing import Literal, get_args

from attnsci.checks import check_option, check_positive
from attnsci.families.neva.policy_config import NeVAPolicyConfig

Through = Literal["one", "all"]
Labels = Literal["own", "given"]


@dataclasses.dataclass(frozen=True)
class NeVATraining:
    """How a policy learns to look for a task."""

    policy: NeVAPolicyConfig = dataclasses.field(default_factory=NeVAPolicyConfig)
    """The network that learns."""
    n_fixations: int = 8
    """Fixations on each image."""
    through: Through = "one"
    """Fixations that a loss goes back through: its own, with an update after every fixation (the
    paper), or "all" of them, with one update an image."""
    labels: Labels = "own"
    """What classification is judged by: the task model's own label on the sharp image, or the
    one "given" with the data (the paper)."""
    learning_rate: float = 1e-3
    """Step size of Adam."""
    batch_size: int = 16
    """Images an update, over all processes."""
    validation_images: int = 64
    """Images looked at in each validation, at most."""
    seed: int = 0
    """Decides weights, order, pictures and noise."""

    def __post_init__(self) -> None:
        for name in ("n_fixations", "batch_size", "validation_images"):
            check_positive(name, getattr(self, name), integer=True)
        check_positive("learning_rate", self.learning_rate)
        check_option("through", self.through, get_args(Through))
        check_option("labels", self.labels, get_args(Labels))


PRESETS = {"photographs": NeVATraining(NeVAPolicyConfig(size=(160, 160)))}
"""By name: for photographs, seen at 160 pixels."""
