"""How NeVA finds its fixations, as data; the presets."""

import dataclasses
from typing import Literal, get_args

from attnsci.checks import check_option, check_positive
from attnsci.errors import InvalidInput

Discount = Literal["commit", "search"]
Search = Literal["grid", "sign-gradient", "multistart", "oracle", "random", "joint"]
SEARCH_NAMES: tuple[Search, ...] = (
    "grid", "sign-gradient", "multistart", "oracle", "random", "joint",
)  # fmt: skip


@dataclasses.dataclass(frozen=True)
class NeVAConfig:
    """How the next fixation is found; the defaults are `RECOMMENDED`."""

    search: Search = "grid"
    """How positions are tried; "joint" descends with all fixations together."""
    iterations: int = 20
    """Steps of the searches that descend."""
    step: float = 0.1
    """Length of such a step, in half widths of the image."""
    restarts: bool = False
    """Where a step of the sign-gradient is no better, begin anew somewhere else."""
    patience: int | None = None
    """Stop descending on an image after so many steps without a better one."""
    grid: int = 5
    """Points a side of the grid."""
    refinements: int = 2
    """Times that the neighbours of the best point are tried, at half the distance each time."""
    coarse_px: int | None = 128
    """Shorter side at which the grid is seen first, where images are larger; None: never."""
    keep: int = 3
    """Points of the coarse grid that are seen again at full size, and lanes of multistart."""
    discount: Discount = "search"
    """When the memory fades: before the search, or (the published code) after it."""
    best_position: Literal["evaluated", "stepped"] = "evaluated"
    """Keep the position whose loss was the least, or (the published code) the one after it."""
    bounds: Literal["frame", "none"] = "frame"
    """Keep positions on the image."""
    draws: Literal["image", "batch"] = "image"
    """Random numbers from a stream of each image's own, or (the published code) shared."""
    inhibition: float = 0.0
    """Loss added at earlier fixations, an explicit inhibition of return."""
    inhibition_sigma_px: float = 30.0
    """How far the inhibition reaches."""
    saccade_cost: float = 0.0
    """Loss added for each image diagonal between this fixation and the last."""
    precision: Literal["float32", "bfloat16", "auto"] = "auto"
    """Of forwards in the search; "auto" takes bfloat16 where the device computes in it. The
    best few are compared again in float32."""

    def __post_init__(self) -> None:
        check_option("search", self.search, SEARCH_NAMES)
        for name in ("iterations", "grid", "keep"):
            check_positive(name, getattr(self, name), integer=True)
        for name in ("step", "inhibition_sigma_px"):
            check_positive(name, getattr(self, name))
        if self.refinements < 0 or self.inhibition < 0 or self.saccade_cost < 0:
            raise InvalidInput("refinements, inhibition and saccade_cost must be 0 or more.")
        for name in ("patience", "coarse_px"):
            if getattr(self, name) is not None:
                check_positive(name, getattr(self, name), integer=True)
        if self.search == "joint" and (self.inhibition or self.saccade_cost or self.restarts):
            raise InvalidInput(
                "The joint search knows no inhibition, saccade_cost or restarts; leave them at "
                "their defaults or take another search."
            )
        check_option("discount", self.discount, get_args(Discount))
        check_option("best_position", self.best_position, ("evaluated", "stepped"))
        check_option("bounds", self.bounds, ("frame", "none"))
        check_option("draws", self.draws, ("image", "batch"))
        check_option("precision", self.precision, ("float32", "bfloat16", "auto"))

    def for_side(self, side_px: int) -> "NeVAConfig":
        """Return the settings for images of this shorter side: none is seen enlarged."""
        if self.coarse_px is None or self.coarse_px < side_px:
            return self
        return dataclasses.replace(self, coarse_px=None)


RECOMMENDED = NeVAConfig()
REFERENCE = NeVAConfig(search="sign-gradient", discount="commit", precision="float32")
LEGACY = dataclasses.replace(REFERENCE, best_position="stepped", bounds="none", draws="batch")
PRESETS = {"recommended": RECOMMENDED, "reference": REFERENCE, "legacy": LEGACY}
