"""Settings of training on noisy digits, as data: read without loading torch.

Networks learn one digit in noise by a curriculum, in which the digit wanders off the centre and
then grows faint. The published curricula are those of Daucé, Albiges & Perrinet 2020, Journal of
Vision 20(8):22 (What), and Dabane, Perrinet & Daucé 2022, IJCNN (spatial transformers).
"""

import dataclasses
from typing import TYPE_CHECKING, Any, Literal, get_args

from attnsci.checks import check_fraction, check_option, check_positive
from attnsci.errors import InvalidInput
from attnsci.families.what_where.config import WhatConfig
from attnsci.families.what_where.transformer_config import PRESETS as TRANSFORMERS
from attnsci.families.what_where.transformer_config import SpatialTransformerConfig
from attnsci.training.configs import Source

if TYPE_CHECKING:
    from attnsci.data.noisy_scenes import NoisyDigitsConfig

Contrast = float | tuple[float, float]
Mode = Literal["fresh", "frozen", "pooled"]
Optimizer = Literal["adam", "sgd"]
CurriculumName = Literal[
    "wander-28", "wander-128", "what", "stn-28", "stn-128", "atn", "polo-atn", "conv-polo-atn"
]

FAINT: tuple[float, float] = (0.3, 0.7)
"""Contrasts of the last scenes of every curriculum."""
_STDS = tuple(40 * k / 9 for k in range(1, 10))


@dataclasses.dataclass(frozen=True)
class Stage:
    """A part of a curriculum."""

    epochs: int
    """How long it lasts."""
    std: float
    """Standard deviation of the digit's offset, in pixels; see `NoisyDigitsConfig`."""
    contrast: Contrast = FAINT
    """Of the digit, or the range that it is drawn from."""
    rate: float = 1.0
    """Step size, in multiples of the recipe's."""


def _published(rates: tuple[float, ...], faint: tuple[float, float]) -> tuple[Stage, ...]:
    """Return the curriculum of the large transformers, ten epochs a stage."""
    wander = [Stage(10, std, 0.7, rate) for std, rate in zip(_STDS, rates, strict=True)]
    return (*wander, Stage(10, 40.0, (0.5, 0.7), faint[0]), Stage(10, 40.0, FAINT, faint[1]))


_HALVED = tuple(0.5**k for k in range(9))
CURRICULA: dict[str, tuple[Stage, ...]] = {
    "wander-28": (*(Stage(1, float(std)) for std in range(15)), Stage(25, 15.0)),
    "wander-128": (
        *(Stage(2, std, 0.7) for std in (2.0, 3.5, 5.0, 7.0, 9.0, 12.0, 15.0, 18.0)),
        *(Stage(1, std, 0.7) for std in (22.0, 27.0, 32.0, 36.0)),
        Stage(4, 40.0, 0.7),
        Stage(4, 40.0, (0.5, 0.7)),
        Stage(12, 40.0),
    ),
    "what": tuple(Stage(5, float(std)) for std in range(16)),
    "stn-28": tuple(Stage(10, float(std)) for std in range(16)),
    "stn-128": _published((1, 1, 1, 0.1, 0.1, 0.1, 0.01, 0.01, 0.01), (0.1, 0.1)),
    "atn": _published(_HALVED, (0.1, 0.1)),
    "polo-atn": _published(_HALVED, (0.1, 0.1)),
    "conv-polo-atn": (
        Stage(9, 40.0, 0.7),
        *(Stage(10, 40.0, (0.5, 0.7), 0.9**k) for k in range(4)),
        *(Stage(10, 40.0, FAINT, 0.9**k) for k in range(4)),
        *(Stage(10, 40.0, FAINT, 0.5**k) for k in range(10)),
    ),
}
"""By name: "wander-28" and "wander-128" are ours, 40 epochs in which the digit wanders off and the
scenes of the test stay longest; the others are the published ones. In "wander-128" it leaves the
centre by less than half its width at first: from farther away no gradient leads to it, and a
fovea that has met it there learns to do without looking."""


@dataclasses.dataclass(frozen=True)
class NoisyDigitsTraining:
    """How a network learns noisy digits; the defaults are those of "what-28"."""

    model: WhatConfig | SpatialTransformerConfig = dataclasses.field(default_factory=WhatConfig)
    """The network."""
    scene_px: int = 28
    """Side of the scenes, 28 or 128; a network that sees less sees their middle."""
    law: Literal["axes", "radial"] = "axes"
    """Offsets: row and column normal, or distance half-normal in a uniform direction."""
    max_offset: float = 25.0
    """The most that an offset may be, in pixels."""
    tail: Literal["clip", "truncate"] = "truncate"
    """Beyond it: set to it (published; a third of all digits is then at it), or drawn again."""
    noise: float = 0.75
    """Strength of the noise, 0 to 1."""
    mode: Mode = "fresh"
    """Noise new in every epoch, or "frozen": the same scene for a digit in every epoch, as
    published; see `attnsci.data.noisy_digits`."""
    curriculum: CurriculumName = "wander-28"
    """Offsets, contrasts and step sizes over time; a name of `CURRICULA`."""
    batches_per_epoch: int = 300
    """Updates in an epoch."""
    batch_size: int = 100
    """Digits an update, over all processes."""
    optimizer: Optimizer = "adam"
    """Adam, or gradient descent without momentum."""
    learning_rate: float = 1e-3
    """Largest step size."""
    strain_weight: float = 0.0
    """Of the square of what the transform's parameters, before their limits, exceed
    `STRAIN_FREE` by: where limits are nearly reached no gradient leads back."""
    clip: float | None = None
    """Largest norm of the gradient; None for no limit."""
    warmup: int = 200
    """Updates in which it rises."""
    final_rate: float = 1e-2
    """Share of it that is left at the end of a cosine; 1 leaves it to the curriculum."""
    validation_fraction: float = 0.05
    """Share of the training digits that validation keeps to itself."""
    validation_scenes: int = 1000
    """Scenes shown at each validation, at most, of each kind."""
    source: Source = "full"
    """Digits to train on: "full" MNIST less the bundled test digits, or "bundled"."""
    seed: int = 0
    """Decides weights, split, scenes, order and noise."""

    def __post_init__(self) -> None:
        for name in ("batches_per_epoch", "batch_size", "validation_scenes"):
            check_positive(name, getattr(self, name), integer=True)
        for name in ("learning_rate", "clip"):
            if getattr(self, name) is not None:
                check_positive(name, getattr(self, name))
        for name in ("noise", "final_rate", "validation_fraction"):
            check_fraction(name, getattr(self, name))
        if not 0 <= self.warmup < float("inf"):
            raise InvalidInput(f"warmup must be 0 or more; got {self.warmup}.")
        for name, allowed in (
            ("mode", Mode), ("optimizer", Optimizer), ("curriculum", CurriculumName),
            ("source", Source),
        ):  # fmt: skip
            check_option(name, getattr(self, name), get_args(allowed))
        check_option("scene_px", self.scene_px, (28, 128))
        if self.model.image_px > self.scene_px:
            raise InvalidInput(
                f"The network sees {self.model.image_px} pixels and scenes have {self.scene_px}; "
                "give scene_px=128, or a smaller network."
            )

    @property
    def stages(self) -> tuple[Stage, ...]:
        """The curriculum."""
        return CURRICULA[self.curriculum]

    @property
    def epochs(self) -> int:
        """Epochs of the whole curriculum."""
        return sum(stage.epochs for stage in self.stages)

    def stage(self, epoch: int) -> Stage:
        """Return the stage of an epoch, counted from 0; the last one for any beyond the end.

        Examples
        --------
        >>> NoisyDigitsTraining(curriculum="what").stage(79).std
        15.0
        """
        for stage in self.stages:
            epoch -= stage.epochs
            if epoch < 0:
                break
        return stage

    def scenes(self, stage: Stage) -> "NoisyDigitsConfig":
        """Return the layout of the scenes of a stage."""
        from attnsci.data.noisy_layout import PRESETS as LAYOUTS

        return dataclasses.replace(
            LAYOUTS[self.scene_px], law=self.law, std=stage.std, max_offset=self.max_offset,
            tail=self.tail, contrast=stage.contrast, noise=self.noise,
        )  # fmt: skip


WHAT_28 = NoisyDigitsTraining()
_LOOKING: dict[str, Any] = {"strain_weight": 1.0, "clip": 1.0}
STN_28 = dataclasses.replace(WHAT_28, model=TRANSFORMERS["stn-28-bounded"], **_LOOKING)
POLO_ATN_95 = NoisyDigitsTraining(
    TRANSFORMERS["polo-atn-95-bounded"], 128, "radial", 40.0, curriculum="wander-128",
    batches_per_epoch=150, **_LOOKING,
)  # fmt: skip
_FROZEN = NoisyDigitsTraining(
    tail="clip", mode="frozen", batches_per_epoch=600, warmup=0, final_rate=1.0, optimizer="sgd",
    learning_rate=0.01, curriculum="stn-28", model=TRANSFORMERS["stn-28"],
)  # fmt: skip
_FROZEN_128 = dataclasses.replace(_FROZEN, scene_px=128, law="radial", max_offset=40.0)


def _frozen(name: str, curriculum: CurriculumName, learning_rate: float) -> NoisyDigitsTraining:
    return dataclasses.replace(
        _FROZEN_128,
        model=TRANSFORMERS[name],
        curriculum=curriculum,
        learning_rate=learning_rate,
    )


PRESETS = {
    "what-28": WHAT_28,
    "what-crop": dataclasses.replace(WHAT_28, scene_px=128),
    "stn-28": STN_28,
    "stn-128": dataclasses.replace(
        POLO_ATN_95, model=TRANSFORMERS["stn-128-bounded"], batches_per_epoch=18, warmup=20,
        validation_scenes=100,
    ),
    "atn": dataclasses.replace(
        POLO_ATN_95, model=TRANSFORMERS["atn-bounded"], batches_per_epoch=40, warmup=50
    ),
    "polo-atn-95": POLO_ATN_95,
    "polo-atn-85": dataclasses.replace(
        POLO_ATN_95, model=TRANSFORMERS["polo-atn-85-bounded"], batches_per_epoch=100
    ),
    "conv-polo-atn-85": dataclasses.replace(
        POLO_ATN_95, model=TRANSFORMERS["conv-polo-atn-85-bounded"], batches_per_epoch=100
    ),
    "what-published": dataclasses.replace(
        _FROZEN, model=WhatConfig(), curriculum="what", noise=1.0, optimizer="adam",
        learning_rate=5e-3,
    ),
    "stn-28-published": _FROZEN,
    "stn-128-published": _frozen("stn-128", "stn-128", 0.01),
    "atn-published": _frozen("atn", "atn", 0.01),
    "polo-atn-95-published": _frozen("polo-atn-95", "polo-atn", 0.005),
    "polo-atn-low-published": _frozen("polo-atn-low", "polo-atn", 0.005),
    "polo-atn-85-published": _frozen("polo-atn-85", "polo-atn", 0.005),
    "conv-polo-atn-85-published": _frozen("conv-polo-atn-85", "conv-polo-atn", 0.005),
}  # fmt: skip
"""By name: ours, which fit a laptop, and the published recipes."""
