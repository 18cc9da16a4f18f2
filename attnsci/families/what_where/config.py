"""The shape of the What and Where pathways, as data: read without loading torch; presets."""

import dataclasses
from typing import Literal, get_args

from attnsci.checks import check_fraction, check_known, check_option, check_positive
from attnsci.errors import InvalidInput

TargetName = Literal["peak", "ring", "centroid"]
Stop = Literal["never", "gain"]


@dataclasses.dataclass(frozen=True)
class WhatConfig:
    """The fovea's classifier; the defaults are the published ones (431,080 parameters).

    Raises
    ------
    InvalidInput
        If a setting is out of range.
    """

    image_px: int = 28
    """Side of what the fovea sees."""
    channels: int = 50
    """Of the second convolution."""
    hidden: int = 500
    """Rectified units."""
    n_classes: int = 10
    """Classes that are told apart."""

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            check_positive(field.name, getattr(self, field.name), integer=True)


@dataclasses.dataclass(frozen=True)
class WhereConfig:
    """The periphery's network; the defaults are the published layers, features standardised.

    Raises
    ------
    InvalidInput
        If a setting is out of range.
    """

    image_px: int = 128
    """Side of the visual field."""
    n_theta: int = 6
    """Orientations of the retina; see `attnsci.sensors.log_polar_retina` for these five."""
    n_azimuth: int = 24
    """Places on a ring, of the retina and of the collicular map."""
    n_ecc: int = 10
    """Rings, of the retina and of the collicular map."""
    n_phase: int = 2
    """Phases of the retina."""
    hidden: int = 1000
    """Rectified units of each of the two layers."""
    batch_norm: bool = True
    """Normalise each layer's units, after rectification."""
    bn_momentum: float = 0.5
    """Weight of a new batch in the running statistics, as torch has it."""
    dropout: float = 0.0
    """Part of the second layer's units that is left out in training."""
    standardised: bool = True
    """Give features mean 0 and deviation 1; they are measured on training images
    (`WhereNet.fit_features`) and kept with the weights."""

    def __post_init__(self) -> None:
        for name in ("image_px", "n_theta", "n_azimuth", "n_ecc", "n_phase", "hidden"):
            check_positive(name, getattr(self, name), integer=True)
        check_positive("bn_momentum", check_fraction("bn_momentum", self.bn_momentum))
        if check_fraction("dropout", self.dropout) == 1:
            raise InvalidInput("dropout must be below 1, so that units are left; got 1.")

    @property
    def n_features(self) -> int:
        """Filters of the retina."""
        return self.n_theta * self.n_azimuth * self.n_ecc * self.n_phase

    @property
    def n_cells(self) -> int:
        """Cells of the collicular map."""
        return self.n_azimuth * self.n_ecc


WHERE_PRESETS = {
    "where": WhereConfig(),
    "where-published": WhereConfig(standardised=False),
    "where-notebook": WhereConfig(standardised=False, batch_norm=False, dropout=0.5),
}
"""Ours; the published configuration; and the one under which the published curves were stored."""


def where_preset(name: str) -> WhereConfig:
    """Return a configuration of Where by name.

    Raises
    ------
    UnknownName
        If there is none; the message lists the nearest.

    Examples
    --------
    >>> where_preset("where-notebook").dropout
    0.5
    """
    return WHERE_PRESETS[check_known("Where preset", name, WHERE_PRESETS)]


@dataclasses.dataclass(frozen=True)
class WhatWhereConfig:
    """How the two pathways look together; by default as published, one saccade.

    Raises
    ------
    InvalidInput
        If a setting is out of range.
    """

    n_saccades: int = 1
    """Saccades at most; with 0 the fovea sees the image's centre."""
    target: TargetName = "peak"
    """Where a saccade to a cell lands; see `attnsci.sensors.colliculus.Colliculus.targets`."""
    stop: Stop = "never"
    """Or stop when the information "gain" is not above 0: when the accuracy that Where expects at
    the best place is not above the confidence of What here."""
    accumulate: bool = False
    """Multiply the posteriors of all fixations; else the last alone answers."""
    inhibition_px: float = 0.0
    """No saccade lands less than this from a place where the eye has been; 0 lets it."""
    temperature: float = 1.0
    """What's logits are divided by this, so that its confidence can be calibrated."""

    def __post_init__(self) -> None:
        if self.n_saccades < 0 or int(self.n_saccades) != self.n_saccades:
            raise InvalidInput(f"n_saccades must be a whole number, 0 up; got {self.n_saccades}.")
        check_option("target", self.target, get_args(TargetName))
        check_option("stop", self.stop, get_args(Stop))
        if not 0 <= self.inhibition_px < float("inf"):
            raise InvalidInput(f"inhibition_px must be 0 or more; got {self.inhibition_px!r}.")
        check_positive("temperature", self.temperature)
