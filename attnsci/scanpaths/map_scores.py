"""Scores of scanpaths on the map of the people: whether fixations land where others look.

The map of an observer is made without that observer's fixations, so that people and models are
judged by equally many others. A baseline is scored on the map without its twin; a model on the
map without each observer in turn.
"""

import dataclasses
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from attnsci.checks import check_fraction, check_positive
from attnsci.errors import InvalidInput
from attnsci.scanpaths.baselines import Candidates, Humans
from attnsci.scanpaths.blur import blur, without
from attnsci.scanpaths.maps import FixationMaps
from attnsci.scanpaths.saliency_fixations import gain, share_below, standardised
from attnsci.scanpaths.scores import Scores, column, summarise
from attnsci.statistics.groups import group_means

if TYPE_CHECKING:
    import xarray as xr
    from tqdm import tqdm

MAP_METRICS = {
    "nss": "normalised scanpath saliency: height of the people's map, in its standard deviations",
    "auc": "area under the ROC curve of the people's map, all pixels as negatives",
    "ig": "information gain of the people's density over the centre bias, bits a fixation",
}
"""Metrics of single fixations on the map of the people, 1 where a path is as good as another's."""


@dataclasses.dataclass(frozen=True)
class MapSettings:
    """How the map of the people is made."""

    sigma_px: float | None = None
    """Standard deviation of the Gaussian; one degree by default."""
    mix: float = 0.05
    """Share of the centre bias in the density of the information gain."""
    uniform: float = 0.01
    """Share of the uniform density in the centre bias, which else is 0 at some fixations."""

    def __post_init__(self) -> None:
        if self.sigma_px is not None:
            check_positive("sigma_px", self.sigma_px)
        check_fraction("mix", self.mix)
        check_fraction("uniform", self.uniform)


def map_settings(settings: Mapping[str, Any]) -> MapSettings:
    """Return the settings of the metrics on maps, checked.

    Raises
    ------
    InvalidInput
        If there is no such setting, or it cannot be.
    """
    known = [field.name for field in dataclasses.fields(MapSettings)]
    unknown = [name for name in settings if name not in known]
    if unknown:
        raise InvalidInput(
            f"Metrics on maps have no setting {unknown[0]!r}; they have {', '.join(known)}."
        )
    return MapSettings(**settings)


def score_on_maps(
    sources: Mapping[str, Candidates],
    humans: Humans,
    human: "xr.Dataset",
    judged: np.ndarray,
    metrics: Mapping[str, str],
    settings: MapSettings,
    bar: "tqdm[Any]",
) -> dict[str, list[Scores]]:
    """Return the scores of every source, by label of the metric.

    Parameters
    ----------
    sources : mapping of str to Candidates
    humans, human : Humans and xarray.Dataset
        The same people, in the same order.
    judged : ndarray, int
        Numbers of the images to score.
    metrics : mapping of str to str
        Label to the name in `MAP_METRICS`.
    settings : MapSettings
    bar : tqdm
        Counts images.
    """
    maps = FixationMaps(human, settings.sigma_px)
    names = human["image"].to_numpy()[humans.starts[:-1]]
    every = _Fixations.of(sources)
    parts = []
    for number in judged:
        parts.append(_image(every, humans, maps, names[number], number, metrics, settings))
        bar.update()
    row, candidate, values = (np.concatenate(each) for each in zip(*parts, strict=True))
    found: dict[str, list[Scores]] = {label: [] for label in metrics}
    start = 0
    for candidates in sources.values():
        stop = start + len(candidates.image)
        own = (candidate >= start) & (candidate < stop)
        scores = summarise(values[own], row[own], candidate[own] - start, candidates, humans, 1.0)
        # One map has no best observer.
        nothing = np.full_like(scores.best, np.nan)
        scores = dataclasses.replace(scores, best=nothing, reached=nothing)
        for at, label in enumerate(metrics):
            found[label].append(column(scores, [at]))
        start = stop
    return found


@dataclasses.dataclass(frozen=True)
class _Fixations:
    """The fixations of all sources in one line, so that each map is looked at once."""

    x: np.ndarray
    y: np.ndarray
    candidate: np.ndarray
    image: np.ndarray
    twin: np.ndarray

    @classmethod
    def of(cls, sources: Mapping[str, Candidates]) -> "_Fixations":
        x, y, lengths = [], [], []
        for candidates in sources.values():
            inside = candidates.paths.inside
            x.append(candidates.paths.x[inside])
            y.append(candidates.paths.y[inside])
            lengths.append(candidates.paths.length)
        n = sum(map(len, lengths))
        return cls(
            np.concatenate(x),
            np.concatenate(y),
            np.repeat(np.arange(n), np.concatenate(lengths)),
            np.concatenate([candidates.image for candidates in sources.values()]),
            np.concatenate([candidates.twin for candidates in sources.values()]),
        )


def _image(
    every: _Fixations,
    humans: Humans,
    maps: FixationMaps,
    name: str,
    number: int,
    metrics: Mapping[str, str],
    settings: MapSettings,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return human row, candidate and values (P, metrics) of one image's pairs."""
    shape = maps.shape(name)
    x, y, _ = maps.pixels(name)
    observer = humans.observer[maps.row[maps.fixations(name)]]
    total = blur(x, y, shape, maps.sigma_px)
    bias = maps.centre_bias(name, settings.uniform).ravel()
    chosen = np.flatnonzero(every.image == number)
    on_image = np.flatnonzero(
        (every.image[every.candidate] == number)
        & (every.x >= 0) & (every.x < shape[1]) & (every.y >= 0) & (every.y < shape[0])
    )  # fmt: skip
    pixel = np.floor(every.y[on_image]).astype(np.int64) * shape[1]
    pixel += np.floor(every.x[on_image]).astype(np.int64)
    slot = np.searchsorted(chosen, every.candidate[on_image])
    parts = []
    for row in range(humans.starts[number], humans.starts[number + 1]):
        own = observer == humans.observer[row]
        if own.all():
            continue
        density = without(total, blur(x[own], y[own], shape, maps.sigma_px), maps.sigma_px)
        density = density.ravel() / density.sum()
        here = (every.twin[chosen] == row) | (every.twin[chosen] < 0)
        used = here[slot]
        values = _fixation_scores(metrics, density, bias, settings.mix, pixel[used])
        means = group_means(values, slot[used], len(chosen))[here]
        parts.append((np.full(len(means), row), chosen[here], means))
    if not parts:
        return np.zeros(0, int), np.zeros(0, int), np.zeros((0, len(metrics)))
    rows, candidates, found = (np.concatenate(each) for each in zip(*parts, strict=True))
    return rows, candidates, found


def _fixation_scores(
    metrics: Mapping[str, str], density: np.ndarray, bias: np.ndarray, mix: float, at: np.ndarray
) -> np.ndarray:
    """Return the scores (F, metrics) at pixels of a raveled density."""
    found = density[at]
    scores = {
        "nss": lambda: standardised(density, found),
        "auc": lambda: share_below(density, found),
        "ig": lambda: gain((1 - mix) * found + mix * bias[at], bias[at]),
    }
    return np.stack([scores[name]() for name in metrics.values()], 1)
