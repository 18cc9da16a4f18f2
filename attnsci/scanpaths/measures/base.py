"""What a scanpath metric is, and the registry of them."""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from attnsci.checks import check_known
from attnsci.errors import InvalidInput


@dataclasses.dataclass(frozen=True)
class Paths:
    """Scanpaths as plain arrays: what metrics see.

    Attributes
    ----------
    x, y, duration : ndarray (N, F), float64
        Pixels and seconds, NaN after the end; `duration` is NaN throughout a scanpath that has
        none.
    length : ndarray (N,), int64
        Fixations.
    width_px, height_px : float
        The frame that all coordinates are in.
    px_per_deg : float or None
        Pixels per degree.
    image : ndarray (N,) of str, or None
        The image that each is compared on; for metrics whose settings differ between images.
    """

    x: np.ndarray
    y: np.ndarray
    duration: np.ndarray
    length: np.ndarray
    width_px: float
    height_px: float
    px_per_deg: float | None = None
    image: np.ndarray | None = None

    @property
    def diagonal_px(self) -> float:
        """Length of the frame's diagonal."""
        return float(np.hypot(self.width_px, self.height_px))

    @property
    def inside(self) -> np.ndarray:
        """(N, F), True where there is a fixation."""
        return np.arange(self.x.shape[1]) < self.length[:, None]

    def degrees_px(self, what: str) -> float:
        """Return the pixels of one degree; raise if they are unknown."""
        if self.px_per_deg is None:
            raise InvalidInput(
                f"{what} is one degree by default and the scanpaths' Viewing has no px_per_deg. "
                f"Give it there, or give {what} in pixels."
            )
        return self.px_per_deg


@dataclasses.dataclass(frozen=True)
class Metric:
    """One way of comparing two scanpaths.

    A metric works in two steps: `prepare` looks at every scanpath once (quantises it, cuts it
    into saccades …) and returns a tuple of arrays whose first axis is the scanpath; `score`
    gets the prepared rows of many pairs, row i of the first with row i of the second, and
    returns one value a pair, or one row of components. NaN means: not defined for this pair.

    Attributes
    ----------
    name, summary, source : str
        Summary and source are one line each.
    settings : type
        Frozen dataclass of the settings with their defaults, units in the names.
    prepare : callable
        ``prepare(paths, settings) -> tuple of ndarray (N, ...)``.
    score : callable
        ``score(a, b, settings) -> ndarray (P,) or (P, components)``.
    orientation : {"similarity", "distance"}
    bounds : tuple of float
        Lowest and highest value there can be.
    symmetric : bool
        Whether the order of the two makes no difference.
    shortest : int
        Fixations that each must have; pairs with less are NaN.
    durations : {"none", "optional", "required"}
    components : tuple of str
        Names of the values of a vector-valued metric; empty for one value.
    unit : str
        Of the value; empty for a pure number.
    """

    name: str
    summary: str
    source: str
    settings: type
    prepare: Callable[[Paths, Any], tuple[np.ndarray, ...]]
    score: Callable[[tuple[np.ndarray, ...], tuple[np.ndarray, ...], Any], np.ndarray]
    orientation: str
    bounds: tuple[float, float]
    symmetric: bool = True
    shortest: int = 1
    durations: str = "none"
    components: tuple[str, ...] = ()
    unit: str = ""

    def configured(self, **settings: Any) -> Any:
        """Return the settings with some replaced.

        Raises
        ------
        InvalidInput
            If the metric has no such setting.
        """
        known = [field.name for field in dataclasses.fields(self.settings)]
        unknown = [name for name in settings if name not in known]
        if unknown:
            raise InvalidInput(
                f"{self.name} has no setting {unknown[0]!r}; it has {', '.join(known) or 'none'}."
            )
        return self.settings(**settings)


_registered: dict[str, Metric] = {}


def register(metric: Metric) -> Metric:
    """Enter `metric` under its name and return it."""
    _registered[metric.name] = metric
    return metric


def registered() -> Mapping[str, Metric]:
    """Return every metric by name."""
    import attnsci.scanpaths.measures  # noqa: F401  (its modules register themselves)

    return _registered


def get_metric(name: str) -> Metric:
    """Return the metric called `name`.

    Raises
    ------
    UnknownName
        If there is none; the message lists the nearest names.
    """
    return registered()[check_known("scanpath metric", name, registered())]


def padded_length(*lengths: np.ndarray) -> int:
    """Return the greatest of the lengths, 0 where there are none."""
    return max((int(length.max()) for length in lengths if len(length)), default=0)
