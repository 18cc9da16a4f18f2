"""Settings of training the recurrent attention model at Catch, as data: no torch needed."""

import dataclasses

from attnsci.checks import check_fraction, check_positive
from attnsci.errors import InvalidInput
from attnsci.families.ram.config import CATCH, RAMConfig


@dataclasses.dataclass(frozen=True)
class CatchTraining:
    """How a model learns to look and to play; the defaults catch 94 % after a million games."""

    model: RAMConfig = CATCH
    """The network; its classes are the actions."""
    size: int = 24
    """Side of the room."""
    epochs: int = 20
    """Parts of training, each with a validation, over which the step size falls to its end."""
    batches_per_epoch: int = 200
    """Updates in each."""
    batch_size: int = 256
    """Games an update, over all processes; none is played twice."""
    learning_rate: float = 1e-3
    """Largest step size of Adam: it rises to it, then falls along a cosine."""
    warmup: int = 50
    """Updates in which it rises."""
    final_rate: float = 1e-2
    """Share of it that is left at the end."""
    leniency_px: float = 8.0
    """Columns by which a ball may be missed and still count as caught when training begins. The
    allowance falls evenly to 0, the task itself; with 0 from the start (paper) chance wins so
    rarely that learning takes many times as long."""
    lenient: float = 0.4
    """Share of training in which it falls."""
    entropy_weight: float = 0.01
    """Of the actions' entropy, in nats a game, which keeps them from settling early."""
    validation_games: int = 2000
    """Games played at each validation, the same each time."""
    seed: int = 0
    """Decides weights, games and draws."""

    def __post_init__(self) -> None:
        for name in ("size", "epochs", "batches_per_epoch", "batch_size", "validation_games"):
            check_positive(name, getattr(self, name), integer=True)
        check_positive("learning_rate", self.learning_rate)
        for name in ("final_rate", "lenient"):
            check_fraction(name, getattr(self, name))
        for name in (
            "warmup", "leniency_px", "entropy_weight",
        ):  # fmt: skip
            if not 0 <= getattr(self, name) < float("inf"):
                raise InvalidInput(f"{name} must be 0 or more; got {getattr(self, name)}.")
        if self.model.n_classes != 3:
            raise InvalidInput(
                f"Catch has 3 actions; the model has n_classes={self.model.n_classes}. Take 3."
            )


PRESETS = {"catch": CatchTraining()}
