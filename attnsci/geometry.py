"""The geometry of looking: image, display and visual angle, and the way between them."""

import dataclasses
import json
import math
from typing import Any

import numpy as np

from attnsci.checks import check_option, check_positive
from attnsci.errors import InvalidInput

ORIGINS = ("top-left", "bottom-left", "centre")


def px_per_deg(distance_cm: float, screen_width_cm: float, screen_width_px: float) -> float:
    """Return pixels per degree of visual angle at the centre of a flat screen.

    Parameters
    ----------
    distance_cm : float
        From the eye to the screen.
    screen_width_cm, screen_width_px : float
        Width of the screen's picture.

    Examples
    --------
    >>> round(px_per_deg(distance_cm=57.3, screen_width_cm=40, screen_width_px=1280), 1)
    32.0
    """
    for name, value in (
        ("distance_cm", distance_cm),
        ("screen_width_cm", screen_width_cm),
        ("screen_width_px", screen_width_px),
    ):
        check_positive(name, value)
    return 2 * distance_cm * math.tan(math.radians(0.5)) * screen_width_px / screen_width_cm


@dataclasses.dataclass(frozen=True)
class Viewing:
    """How stimuli were seen; every scanpath set carries one.

    Image coordinates are continuous pixels: x to the right and y down from the top left corner,
    pixel i covers [i, i + 1) and its centre is i + 0.5.

    Raises
    ------
    InvalidInput
        If a size is not above zero, or only one side of the display is given.

    Examples
    --------
    >>> viewing = Viewing(width_px=800, height_px=600, px_per_deg=24)
    >>> [float(v) for v in viewing.to_degrees(424, 300)]
    [1.0, 0.0]
    >>> [float(v) for v in viewing.to_unit(400, 300)]
    [0.0, 0.0]
    """

    width_px: float
    """Width of the stimulus."""
    height_px: float
    """Height of the stimulus."""
    px_per_deg: float | None = None
    """Stimulus pixels per degree of visual angle at the centre."""
    display_width_px: float | None = None
    """Width of the display; the stimulus fills it where this is not given."""
    display_height_px: float | None = None
    """Height of the display."""
    offset_px: tuple[float, float] = (0.0, 0.0)
    """Where the stimulus' top left corner stands on the display, (x, y) in display pixels."""
    scale: tuple[float, float] = (1.0, 1.0)
    """Display pixels per stimulus pixel, (x, y)."""

    def __post_init__(self) -> None:
        check_positive("width_px", self.width_px)
        check_positive("height_px", self.height_px)
        for side in self.scale:
            check_positive("scale", side)
        if self.px_per_deg is not None:
            check_positive("px_per_deg", self.px_per_deg)
        if (self.display_width_px is None) != (self.display_height_px is None):
            raise InvalidInput("Give both display_width_px and display_height_px, or neither.")

    @property
    def diagonal_px(self) -> float:
        """Length of the stimulus' diagonal."""
        return math.hypot(self.width_px, self.height_px)

    def to_degrees(self, x: Any, y: Any) -> tuple[Any, Any]:
        """Return degrees right of and below the stimulus' centre."""
        scale = self._degrees()
        return (
            (np.asarray(x) - self.width_px / 2) / scale,
            (np.asarray(y) - self.height_px / 2) / scale,
        )

    def from_degrees(self, x_deg: Any, y_deg: Any) -> tuple[Any, Any]:
        """Return stimulus pixels; the inverse of `to_degrees`."""
        scale = self._degrees()
        return (
            np.asarray(x_deg) * scale + self.width_px / 2,
            np.asarray(y_deg) * scale + self.height_px / 2,
        )

    def degrees(self, length_px: Any) -> Any:
        """Return a length in pixels as degrees."""
        return np.asarray(length_px) / self._degrees()

    def pixels(self, length_deg: Any) -> Any:
        """Return a length in degrees as pixels."""
        return np.asarray(length_deg) * self._degrees()

    def _degrees(self) -> float:
        if self.px_per_deg is None:
            raise InvalidInput(
                "Degrees are asked for and the Viewing does not say how many pixels make one. "
                "Give Viewing(..., px_per_deg=...); attnsci.geometry.px_per_deg computes it from "
                "distance and screen."
            )
        return self.px_per_deg

    def to_unit(self, x: Any, y: Any) -> tuple[Any, Any]:
        """Return coordinates in [-1, 1] as torch has them with ``align_corners=False``."""
        return 2 * np.asarray(x) / self.width_px - 1, 2 * np.asarray(y) / self.height_px - 1

    def from_unit(self, x: Any, y: Any) -> tuple[Any, Any]:
        """Return stimulus pixels; the inverse of `to_unit`."""
        return (np.asarray(x) + 1) * self.width_px / 2, (np.asarray(y) + 1) * self.height_px / 2

    def from_display(self, x: Any, y: Any) -> tuple[Any, Any]:
        """Return stimulus pixels of a point given in display pixels."""
        (left, top), (across, down) = self.offset_px, self.scale
        return (np.asarray(x) - left) / across, (np.asarray(y) - top) / down

    def to_display(self, x: Any, y: Any) -> tuple[Any, Any]:
        """Return display pixels; the inverse of `from_display`."""
        (left, top), (across, down) = self.offset_px, self.scale
        return np.asarray(x) * across + left, np.asarray(y) * down + top

    def from_origin(
        self, x: Any, y: Any, origin: str = "top-left", base: int = 0
    ) -> tuple[Any, Any]:
        """Return our coordinates of points counted from another origin.

        Parameters
        ----------
        x, y : array-like
            As the source has them.
        origin : {"top-left", "bottom-left", "centre"}
            Where the source's (0, 0) lies; but for "top-left" its y axis points up.
        base : {0, 1}
            1 where the first pixel's centre is (1, 1), as in MATLAB: half a pixel is taken off.
        """
        check_option("origin", origin, ORIGINS)
        check_option("base", base, (0, 1))
        x, y = np.asarray(x) - 0.5 * base, np.asarray(y) - 0.5 * base
        if origin == "bottom-left":
            y = self.height_px - y
        elif origin == "centre":
            x, y = x + self.width_px / 2, self.height_px / 2 - y
        return x, y

    def resized(self, width_px: float, height_px: float) -> "Viewing":
        """Return the viewing of the same stimulus at another size, filling the same display."""
        check_positive("width_px", width_px)
        check_positive("height_px", height_px)
        across, down = width_px / self.width_px, height_px / self.height_px
        degrees = self.px_per_deg
        if degrees is not None:
            degrees = degrees * across if math.isclose(across, down) else None
        return dataclasses.replace(
            self,
            width_px=width_px,
            height_px=height_px,
            px_per_deg=degrees,
            scale=(self.scale[0] / across, self.scale[1] / down),
        )

    def to_json(self) -> str:
        """Return one line that `from_json` reads."""
        return json.dumps(dataclasses.asdict(self), default=np.generic.item)

    @classmethod
    def from_json(cls, text: str) -> "Viewing":
        """Return the viewing that `to_json` wrote.

        Raises
        ------
        InvalidInput
            If `text` is something else.
        """
        try:
            found = json.loads(text)
            pairs = {name: tuple(found[name]) for name in ("offset_px", "scale")}
            return cls(**{**found, **pairs})
        except (TypeError, ValueError, KeyError) as error:
            raise InvalidInput(f"{text!r} is no Viewing: {error}.") from error
