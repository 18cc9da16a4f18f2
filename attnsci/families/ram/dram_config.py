"""The shape of the deep recurrent attention model, as data: read without loading torch."""

import dataclasses
from typing import get_args

from attnsci.checks import check_option, check_positive
from attnsci.errors import InvalidInput
from attnsci.families.ram.config import SensorName

KERNELS = (5, 3, 3)
"""Sides of the filters of three convolutions, at glimpses and at the coarse image alike."""
GLIMPSE_STRIDES = (1, 1, 1)
"""Their steps at glimpses: no pixel of the fovea is skipped."""
CONTEXT_STRIDES = (2, 1, 2)
"""Their steps at the coarse image."""


def side_left(side: int, strides: tuple[int, ...]) -> int:
    """Return the side of what the convolutions make of a square picture.

    Examples
    --------
    >>> side_left(12, GLIMPSE_STRIDES), side_left(24, CONTEXT_STRIDES)
    (4, 3)
    """
    for kernel, stride in zip(KERNELS, strides, strict=True):
        side = (side - kernel) // stride + 1
    return side


SMALLEST = {"glimpse_px": 9, "context_px": 13}
"""Least sides of which they leave a pixel."""


@dataclasses.dataclass(frozen=True)
class DRAMConfig:
    """Architecture; the defaults are `PRESETS` "dram-pairs".

    Raises
    ------
    InvalidInput
        If a setting is out of range.
    """

    n_targets: int = 2
    """Digits in an image, which are named one after the other."""
    glimpses_per_target: int = 3
    """Glimpses before each is named."""
    glimpse_px: int = 12
    """Side of a patch as it is seen."""
    n_scales: int = 2
    """Patches in a glimpse, each twice as wide as the last."""
    sensor: SensorName = "exact"
    """Cut at whole pixels, or interpolate in a pyramid ("mip")."""
    context: bool = True
    """Whether a coarse look at the whole image begins the emission of locations; without it the
    first location is the same for all images."""
    context_px: int = 24
    """Side of the coarse image."""
    n_hidden: int = 192
    """Units of each recurrent layer, and of what a glimpse becomes."""
    n_maps: int = 32
    """Channels of the second and third convolution; the first has half as many."""
    locator_hidden: int = 128
    """Rectified units between the emission layer and the mean of the next location; 0 for none."""
    sigma: float = 0.12
    """Standard deviation of the policy, in half widths of the image."""
    channels: int = 1
    """Of the images."""
    n_classes: int = 10
    """Classes that are told apart."""

    def __post_init__(self) -> None:
        for name in (
            "n_targets", "glimpses_per_target", "n_scales", "n_hidden", "n_maps", "channels",
            "n_classes",
        ):  # fmt: skip
            check_positive(name, getattr(self, name), integer=True)
        for name, strides in (("glimpse_px", GLIMPSE_STRIDES), ("context_px", CONTEXT_STRIDES)):
            side = check_positive(name, getattr(self, name), integer=True)
            if side_left(side, strides) < 1:
                raise InvalidInput(
                    f"{name}={side} is too small: convolutions of {KERNELS} pixels in steps of "
                    f"{strides} leave nothing of it. Take {SMALLEST[name]} or more."
                )
        check_positive("sigma", self.sigma)
        if self.n_maps % 2:
            raise InvalidInput(f"n_maps must be even; got {self.n_maps}.")
        if self.locator_hidden < 0:
            raise InvalidInput(f"locator_hidden must be 0 or more; got {self.locator_hidden}.")
        check_option("sensor", self.sensor, get_args(SensorName))

    @property
    def n_glimpses(self) -> int:
        """Glimpses at an image."""
        return self.n_targets * self.glimpses_per_target


PAIRS = DRAMConfig()
PRESETS = {"dram-pairs": PAIRS, "dram-pairs-blind": dataclasses.replace(PAIRS, context=False)}
"""By task; "blind" has no context network."""
