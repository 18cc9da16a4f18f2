"""The published recipe for digits, as data: the command line reads it without loading torch."""

import dataclasses
import itertools
from collections.abc import Sequence
from typing import TYPE_CHECKING, get_args

from attnsci.checks import check_fraction, check_option, check_positive
from attnsci.errors import InvalidInput
from attnsci.training.configs import Source

if TYPE_CHECKING:
    from attnsci.data.digit_scenes import SceneConfig
    from attnsci.families.object_attention.config import ObjectAttentionConfig


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
        from attnsci.families.object_attention.config import ObjectAttentionConfig

        height, width = self.scenes.canvas
        return ObjectAttentionConfig(
            height=height, width=width, n_phases=self.n_objects, strength=self.strength
        )


PRESETS = {
    "mnist-2": ObjectAttentionTraining(),
    "mnist-3": ObjectAttentionTraining(n_objects=3),
}


def sweep_configs(
    base: ObjectAttentionTraining,
    reconstruction_weights: Sequence[float],
    seeds: Sequence[int],
) -> list[ObjectAttentionTraining]:
    """Return `base` with every pair of reconstruction weight and seed, weights outermost.

    Examples
    --------
    >>> [c.reconstruction_weight for c in sweep_configs(ObjectAttentionTraining(), (0, 10), (0,))]
    [0.0, 10.0]
    """
    return [
        dataclasses.replace(base, reconstruction_weight=float(weight), seed=seed)
        for weight, seed in itertools.product(reconstruction_weights, seeds)
    ]
