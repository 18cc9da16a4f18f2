"""Scores of candidates against people: by pair, then by candidate, observer and image."""

import dataclasses

import numpy as np

from attnsci.scanpaths.baselines import Candidates, Humans
from attnsci.scanpaths.pairs import Scorer
from attnsci.statistics.groups import group_means


@dataclasses.dataclass(frozen=True)
class Scores:
    """What one source of scanpaths scores in one metric; M values a metric.

    Attributes
    ----------
    image : ndarray (I, M)
        Mean over observers and candidates, NaN where no pair of the image has a value.
    best : ndarray (I, M)
        Mean over candidates of the best observer's value. All sources choose from one observer
        less than there are, as people must: a model's value is averaged over whom to leave out.
    reached : ndarray (I, M)
        Mean over people of the best candidate's value: how near to each person one of the
        candidates comes. For people this is the "best" that is published for STDE.
    observer : ndarray (I, O, M)
        Mean over candidates for each observer, NaN where the observer has no value.
    n_pairs : int
    n_undefined, pair_mean, pair_sd : ndarray (M,)
        Pairs without a value; mean and standard deviation over pairs that have one.
    """

    image: np.ndarray
    best: np.ndarray
    reached: np.ndarray
    observer: np.ndarray
    n_pairs: int
    n_undefined: np.ndarray
    pair_mean: np.ndarray
    pair_sd: np.ndarray


def score(
    candidates: Candidates, humans: Humans, metric: str, chunk: int, **settings: object
) -> Scores:
    """Return the scores of `candidates` against all people who saw the same image.

    People come first in every pair and the candidate second, which is the order that
    asymmetric metrics have for human and simulated scanpaths.
    """
    scorer = Scorer(humans.paths, candidates.paths, metric, **settings)
    human, candidate = _pairs(candidates, humans)
    values = scorer.pairs(human, candidate, chunk)
    sign = 1.0 if scorer.metric.orientation == "similarity" else -1.0
    return summarise(values, human, candidate, candidates, humans, sign)


def _pairs(candidates: Candidates, humans: Humans) -> tuple[np.ndarray, np.ndarray]:
    """Return the human row and the candidate row of every pair."""
    starts = humans.starts
    first, stop = starts[candidates.image], starts[candidates.image + 1]
    counts = stop - first
    candidate = np.repeat(np.arange(len(counts)), counts)
    human = np.arange(len(candidate)) - np.repeat(np.cumsum(counts) - counts - first, counts)
    keep = human != candidates.twin[candidate]
    return human[keep], candidate[keep]


def summarise(
    values: np.ndarray,
    human: np.ndarray,
    candidate: np.ndarray,
    candidates: Candidates,
    humans: Humans,
    sign: float,
) -> Scores:
    """Return the scores of pairs with these `values` (P, M); `sign` -1 for distances."""
    n_candidates = len(candidates.image)
    n_images, n_observers = humans.image.max() + 1, humans.observer.max() + 1
    by_candidate = group_means(values, candidate, n_candidates)
    best = sign * _best(sign * values, candidate, candidates.twin < 0, n_candidates)
    n_people = len(humans.image)
    reached = sign * _best(sign * values, human, np.zeros(n_people, bool), n_people)
    cell = humans.image[human] * n_observers + humans.observer[human]
    observer = group_means(values, cell, n_images * n_observers)
    given = ~np.isnan(values)
    n = given.sum(0)
    mean = np.where(given, values, 0).sum(0) / np.maximum(n, 1)
    spread = np.where(given, (values - mean) ** 2, 0).sum(0) / np.maximum(n - 1, 1)
    return Scores(
        group_means(by_candidate, candidates.image, n_images),
        group_means(best, candidates.image, n_images),
        group_means(reached, humans.image, n_images),
        observer.reshape(n_images, n_observers, -1),
        len(values),
        len(values) - n,
        np.where(n > 0, mean, np.nan),
        np.where(n > 1, np.sqrt(spread), np.nan),
    )


def column(scores: Scores, which: int | list[int]) -> Scores:
    """Return the scores of some of the metric's values."""
    fields = ("image", "best", "reached", "observer", "n_undefined", "pair_mean", "pair_sd")
    return dataclasses.replace(scores, **{f: getattr(scores, f)[..., which] for f in fields})


def _best(
    values: np.ndarray, group: np.ndarray, leave_one: np.ndarray, n_groups: int
) -> np.ndarray:
    """Return the greatest value of each group, or its mean over leaving each one out.

    Leaving one of n out keeps the greatest n - 1 times, and brings the second greatest once.
    """
    out = np.full((n_groups, values.shape[1]), np.nan)
    for column in range(values.shape[1]):
        found = np.flatnonzero(~np.isnan(values[:, column]))
        order = found[np.lexsort((-values[found, column], group[found]))]
        groups, starts, counts = np.unique(group[order], return_index=True, return_counts=True)
        ranked = values[order, column]
        greatest = ranked[starts]
        second = ranked[np.minimum(starts + 1, len(ranked) - 1)]
        averaged = ((counts - 1) * greatest + second) / counts
        out[groups, column] = np.where(leave_one[groups] & (counts > 1), averaged, greatest)
    return out
