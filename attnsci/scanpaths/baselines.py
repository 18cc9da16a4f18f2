"""Scanpaths to set beside a model's: people on this image, on another, and three kinds of chance.

Each baseline makes one candidate for every human scanpath, its twin; those made by chance have the
twin's length. A candidate is never compared with its twin.
"""

import dataclasses
from collections.abc import Callable

import numpy as np

from attnsci.scanpaths.measures.base import Paths
from attnsci.seeds import numpy_generator


@dataclasses.dataclass(frozen=True)
class Humans:
    """Scanpaths of people, sorted by image.

    Attributes
    ----------
    paths : Paths
    image, observer : ndarray (N,), int
        Numbers of image and observer; `image` never decreases.
    """

    paths: Paths
    image: np.ndarray
    observer: np.ndarray

    @property
    def starts(self) -> np.ndarray:
        """First row of each image, and the number of rows at the end."""
        return np.searchsorted(self.image, np.arange(self.image.max(initial=-1) + 2))


@dataclasses.dataclass(frozen=True)
class Candidates:
    """Scanpaths to compare with the people who saw the same image.

    Attributes
    ----------
    paths : Paths
    image : ndarray (N,), int
        The image that each is compared on.
    twin : ndarray (N,), int
        The human row that it is not compared with; -1 if there is none.
    """

    paths: Paths
    image: np.ndarray
    twin: np.ndarray


def people(humans: Humans, rows: np.ndarray, rng: np.random.Generator) -> Candidates:
    """Return the people themselves: each against the others who saw the same image."""
    return Candidates(_take(humans.paths, rows), humans.image[rows], rows)


def other_image(humans: Humans, rows: np.ndarray, rng: np.random.Generator) -> Candidates:
    """Return people who looked at another image: what any scanpath shares with any other."""
    starts = humans.starts
    first, stop = starts[humans.image[rows]], starts[humans.image[rows] + 1]
    donors = _outside(rng, len(humans.image), first, stop)
    here = _take(humans.paths, rows).image  # what metrics know of an image is of the one judged
    paths = dataclasses.replace(_take(humans.paths, donors), image=here)
    return Candidates(paths, humans.image[rows], rows)


def shuffled(humans: Humans, rows: np.ndarray, rng: np.random.Generator) -> Candidates:
    """Return the same fixations in random order: what is left without the sequence."""
    paths = _take(humans.paths, rows)
    order = np.argsort(np.where(paths.inside, rng.random(paths.x.shape), np.inf), axis=1)
    x, y, duration = (
        np.take_along_axis(values, order, 1) for values in (paths.x, paths.y, paths.duration)
    )
    mixed = dataclasses.replace(paths, x=x, y=y, duration=duration)
    return Candidates(mixed, humans.image[rows], rows)


def centre_bias(humans: Humans, rows: np.ndarray, rng: np.random.Generator) -> Candidates:
    """Return independent draws from the fixations, with their durations, on all other images."""
    inside = humans.paths.inside
    pool = [values[inside] for values in (humans.paths.x, humans.paths.y, humans.paths.duration)]
    fixation_starts = np.concatenate([[0], np.cumsum(humans.paths.length)])[humans.starts]
    paths = _take(humans.paths, rows)
    image = humans.image[rows]
    shape = paths.x.shape
    first, stop = (
        np.broadcast_to(fixation_starts[image + step][:, None], shape) for step in (0, 1)
    )
    drawn = _outside(rng, len(pool[0]), first, stop)
    x, y, duration = (np.where(paths.inside, values[drawn], np.nan) for values in pool)
    return Candidates(dataclasses.replace(paths, x=x, y=y, duration=duration), image, rows)


def uniform(humans: Humans, rows: np.ndarray, rng: np.random.Generator) -> Candidates:
    """Return fixations anywhere on the image, with the twin's durations in random order."""
    paths = _take(humans.paths, rows)
    inside = paths.inside
    x = np.where(inside, rng.random(inside.shape) * paths.width_px, np.nan)
    y = np.where(inside, rng.random(inside.shape) * paths.height_px, np.nan)
    order = np.argsort(np.where(inside, rng.random(inside.shape), np.inf), axis=1)
    duration = np.take_along_axis(paths.duration, order, 1)
    return Candidates(
        dataclasses.replace(paths, x=x, y=y, duration=duration), humans.image[rows], rows
    )


BASELINES: dict[str, Callable[[Humans, np.ndarray, np.random.Generator], Candidates]] = {
    "human": people,
    "cross-image": other_image,
    "shuffled": shuffled,
    "centre": centre_bias,
    "uniform": uniform,
}
"""Every baseline by name, the human ceiling first."""


def make(name: str, humans: Humans, rows: np.ndarray, seed: int) -> Candidates:
    """Return the candidates of baseline `name` with the human `rows` as twins."""
    stream = list(BASELINES).index(name) + 1
    return BASELINES[name](humans, rows, numpy_generator(seed, stream))


def _take(paths: Paths, rows: np.ndarray) -> Paths:
    return dataclasses.replace(
        paths,
        x=paths.x[rows],
        y=paths.y[rows],
        duration=paths.duration[rows],
        length=paths.length[rows],
        image=None if paths.image is None else paths.image[rows],
    )


def _outside(
    rng: np.random.Generator, total: int, first: np.ndarray, stop: np.ndarray
) -> np.ndarray:
    """Return a number below `total` and outside [first, stop) for each of the stretches."""
    drawn = np.floor(rng.random(first.shape) * (total - (stop - first))).astype(np.int64)
    return drawn + np.where(drawn >= first, stop - first, 0)
