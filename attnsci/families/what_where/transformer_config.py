"""The shape of spatial transformers of noisy digits, as data: read without loading torch; presets.

The published networks are those of Dabane, Perrinet & Daucé 2022 ("What you see is what you
transform: foveated spatial transformers as a bio-inspired attention mechanism", IJCNN). Their
features are unequal in scale by a factor of fifty and their transforms have no limits, so that
many trainings lose the image for ever; the twins called "bounded" are made to be trained.
"""

import dataclasses
from typing import Literal, get_args

from attnsci.checks import check_known, check_option, check_positive
from attnsci.errors import InvalidInput

LocalisationName = Literal["conv", "polo", "dual-polo", "conv-polo"]
SamplerName = Literal[
    "stn-28",
    "stn-128",
    "atn",
    "polo-atn",
    "stn-28-bounded",
    "stn-128-bounded",
    "atn-bounded",
    "polo-atn-bounded",
    "similarity-bounded",
    "thin-plate-bounded",
]


@dataclasses.dataclass(frozen=True)
class SpatialTransformerConfig:
    """Architecture; the default is POLO-ATN with limits and standardised features.

    Raises
    ------
    InvalidInput
        If a setting is out of range, or two do not fit.
    """

    image_px: int = 128
    """Side of the images."""
    localisation: LocalisationName = "polo"
    """What chooses the transform: convolutions of the image; layers that read a log-polar retina
    ("polo") or a narrow and a wide one ("dual-polo"); convolutions of those two ("conv-polo")."""
    conv_channels: tuple[int, ...] = ()
    """Of each convolution of "conv": the first of 7×7 pixels, the others of 5×5."""
    polo_levels: int = 3
    """Levels of the pyramid that "polo" reads."""
    polo_rings: int = 2
    """Rings of filters on each of its levels."""
    localisation_hidden: int = 32
    """Rectified units before the parameters of the transform."""
    standardised: bool = True
    """Give the features of a log-polar retina mean 0 and deviation 1; they are measured on
    training images (`SpatialTransformer.fit_features`) and kept with the weights. Those of "conv"
    get them image by image, each map over its places."""
    circular: bool = False
    """Let the convolutions of "conv-polo" run round the azimuth, rather than end at zeros."""
    sampler: SamplerName = "polo-atn-bounded"
    """Transform, limits and output; a name of `attnsci.sensors.affine.SAMPLERS`."""
    classifier_channels: int = 50
    """Of the classifier's second convolution."""
    classifier_hidden: int = 500
    """Rectified units of the classifier."""
    n_classes: int = 10
    """Classes that are told apart."""

    def __post_init__(self) -> None:
        for name in (
            "image_px", "polo_levels", "polo_rings", "localisation_hidden", "classifier_channels",
            "classifier_hidden", "n_classes",
        ):  # fmt: skip
            check_positive(name, getattr(self, name), integer=True)
        check_option("localisation", self.localisation, get_args(LocalisationName))
        check_option("sampler", self.sampler, get_args(SamplerName))
        for channels in self.conv_channels:
            check_positive("conv_channels", channels, integer=True)
        conv = self.localisation == "conv"
        if conv != bool(self.conv_channels):
            raise InvalidInput(
                "conv_channels belong to localisation='conv', which needs one or more; got "
                f"{self.conv_channels} with {self.localisation!r}."
            )
        if self.circular and self.localisation != "conv-polo":
            raise InvalidInput(
                f"circular is for localisation='conv-polo'; got {self.localisation!r}."
            )


_DEEP = (16, 32, 64, 128)
_POLO_95 = SpatialTransformerConfig(sampler="polo-atn", standardised=False)
PUBLISHED = {
    "stn-28": SpatialTransformerConfig(28, "conv", (8, 10), sampler="stn-28", standardised=False),
    "stn-128": SpatialTransformerConfig(
        128,
        "conv",
        _DEEP,
        sampler="stn-128",
        standardised=False,
        classifier_channels=100,
        classifier_hidden=128,
    ),
    "atn": SpatialTransformerConfig(128, "conv", _DEEP, sampler="atn", standardised=False),
    "polo-atn-95": _POLO_95,
    # How its ten rows of features split into levels and rings is not on record.
    "polo-atn-low": dataclasses.replace(_POLO_95, polo_levels=2, polo_rings=5),
    "polo-atn-85": dataclasses.replace(_POLO_95, localisation="dual-polo"),
    "conv-polo-atn-85": dataclasses.replace(
        _POLO_95, localisation="conv-polo", localisation_hidden=200
    ),
}
"""The networks as they were published."""


def _bounded(config: SpatialTransformerConfig) -> SpatialTransformerConfig:
    return dataclasses.replace(
        config,
        sampler=f"{config.sampler}-bounded",  # type: ignore[arg-type]
        standardised=True,
        circular=config.localisation == "conv-polo",
    )


PRESETS = {
    **PUBLISHED,
    **{f"{name}-bounded": _bounded(config) for name, config in PUBLISHED.items()},
}
"""By name; with "-bounded", the same layers with limits on the transform, grey outside the image,
standardised features and a circular azimuth."""


def preset(name: str) -> SpatialTransformerConfig:
    """Return a configuration by name.

    Raises
    ------
    UnknownName
        If there is none; the message lists the nearest.

    Examples
    --------
    >>> preset("atn").sampler, preset("atn-bounded").sampler
    ('atn', 'atn-bounded')
    """
    return PRESETS[check_known("spatial transformer", name, PRESETS)]
