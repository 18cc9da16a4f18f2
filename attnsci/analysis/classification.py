"""How well classes are told apart where some are rare: confusion, balanced accuracy, macro F1.

The unit of inference is the stimulus, which may hold several objects: intervals resample stimuli,
and differences between conditions are paired by them.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import xarray as xr

from attnsci.checks import check_not_empty, check_positive
from attnsci.errors import InvalidInput
from attnsci.seeds import numpy_generator
from attnsci.statistics.estimates import check_confidence, count_draws, split_blocks

Answers = tuple[npt.ArrayLike, npt.ArrayLike]

MEASURES = ("balanced_accuracy", "macro_f1", "accuracy")


def balanced_accuracy(confusion: npt.ArrayLike) -> npt.NDArray[np.float64]:
    """Return the mean over the classes that occur of the share told right.

    Parameters
    ----------
    confusion : array-like, shape (..., class, class)
        Counts by true class and class told.

    Returns
    -------
    ndarray of float64, shape (...)
        NaN where nothing was shown.

    Examples
    --------
    >>> float(balanced_accuracy([[8, 0, 0], [1, 1, 0], [0, 0, 0]]))
    0.75
    """
    counts = np.asarray(confusion, np.float64)
    shown = counts.sum(-1)
    right = np.diagonal(counts, axis1=-2, axis2=-1)
    return _mean_where(right, shown, shown > 0)


def macro_f1(confusion: npt.ArrayLike) -> npt.NDArray[np.float64]:
    """Return the mean of F1 over the classes that occur or are told.

    Parameters
    ----------
    confusion : array-like, shape (..., class, class)
        Counts by true class and class told.

    Returns
    -------
    ndarray of float64, shape (...)
        NaN where nothing was shown.

    Examples
    --------
    >>> round(float(macro_f1([[8, 0, 0], [1, 1, 0], [0, 0, 0]])), 4)
    0.8039
    """
    counts = np.asarray(confusion, np.float64)
    both = counts.sum(-1) + counts.sum(-2)
    return _mean_where(2 * np.diagonal(counts, axis1=-2, axis2=-1), both, both > 0)


def _mean_where(
    top: npt.NDArray[Any], bottom: npt.NDArray[Any], valid: npt.NDArray[np.bool_]
) -> npt.NDArray[np.float64]:
    """Return the mean of top / bottom over the last axis where `valid`, NaN where nowhere."""
    share = np.divide(top, bottom, out=np.zeros_like(bottom), where=valid)
    number = valid.sum(-1)
    mean = np.divide(share.sum(-1), number, out=np.full(number.shape, np.nan), where=number > 0)
    return np.asarray(mean, np.float64)


def _accuracy(confusion: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    return np.trace(confusion, axis1=-2, axis2=-1) / confusion.sum((-1, -2))


_SCORES = {"balanced_accuracy": balanced_accuracy, "macro_f1": macro_f1, "accuracy": _accuracy}


def confusion_matrix(
    labels: npt.ArrayLike, told: npt.ArrayLike, classes: Mapping[int, str]
) -> xr.DataArray:
    """Count which class was told for which.

    Parameters
    ----------
    labels, told : array-like of int, same shape
        True class, and class told.
    classes : mapping of int to str
        Name of each class.

    Returns
    -------
    xarray.DataArray, (label, told)
        Counts of int64, in the order of the classes' numbers.

    Raises
    ------
    InvalidInput
        If the shapes differ, there are no labels, or a label is no class.

    Examples
    --------
    >>> confusion_matrix([0, 0, 1], [0, 1, 1], {0: "animal", 1: "food"}).values
    array([[1, 1],
           [0, 1]])
    """
    true, named = _checked({"": (labels, told)})[""]
    known = sorted(classes)
    for parameter, values in (("labels", true), ("told", named)):
        unknown = sorted(set(np.unique(values).tolist()) - set(known))
        if unknown:
            raise InvalidInput(f"{parameter} holds {unknown}, and the classes are {known}.")
    rows, columns = np.searchsorted(known, true.ravel()), np.searchsorted(known, named.ravel())
    size = len(known)
    counts = np.bincount(rows * size + columns, minlength=size**2).reshape(size, size)
    names = [classes[number] for number in known]
    return xr.DataArray(counts, {"label": names, "told": names}, ("label", "told"), "count")


def any_order(labels: npt.ArrayLike, told: npt.ArrayLike) -> npt.NDArray[np.int64]:
    """Reorder what was told of each stimulus so that as much as possible is right.

    What is told of several objects is thereby judged without saying which answer meant which.

    Parameters
    ----------
    labels, told : array-like of int, shape (stimulus, object)

    Returns
    -------
    ndarray of int64, shape (stimulus, object)
        `told`, each row reordered; wrong answers stand for the objects that are left.

    Examples
    --------
    >>> any_order([[1, 2], [1, 2]], [[2, 1], [3, 1]]).tolist()
    [[1, 2], [1, 3]]
    """
    true, named = _checked({"": (labels, told)})[""]
    named = named.copy()
    n_objects = true.shape[1]
    for place in range(n_objects):
        # An answer that is right elsewhere already stays there.
        free = (named != true) | (np.arange(n_objects) == place)
        fits = (named == true[:, [place]]) & free
        fits[:, place] |= ~fits.any(1)
        source = np.where(fits[:, place], place, fits.argmax(1))
        rows = np.arange(len(named))
        named[rows, place], named[rows, source] = named[rows, source], named[rows, place]
    return named


def compare_answers(
    answers: Mapping[str, Answers],
    n_classes: int,
    *,
    seed: int,
    n_resamples: int = 2000,
    confidence: float = 0.95,
) -> pd.DataFrame:
    """Score several ways of answering on the same stimuli, and the first one's lead over each.

    Parameters
    ----------
    answers : mapping of str to (labels, told)
        Name of the way to the true classes and those told, whole numbers from 0, each of shape
        (stimulus, object); stimuli in the same order throughout.
    n_classes : int
        Classes that there can be.
    seed : int
        Of the bootstrap over stimuli.
    n_resamples, confidence
        As in `attnsci.statistics.estimates.bootstrap`.

    Returns
    -------
    pandas.DataFrame
        A row for each way and measure: ``condition``, ``measure`` (one of `MEASURES`),
        ``estimate``, ``low``, ``high``; ``lead`` of the first way over this one, ``lead_low``,
        ``lead_high`` (NaN for the first); ``n`` stimuli. Classes that a resample lacks are left
        out of its means, as those that the sample lacks are out of the sample's.

    Raises
    ------
    InvalidInput
        If shapes differ, there are fewer than two stimuli, or a class is out of range.

    Examples
    --------
    >>> labels = [[0], [0], [0], [1]]
    >>> ways = {"right": (labels, labels), "majority": (labels, [[0]] * 4)}
    >>> table = compare_answers(ways, 2, seed=0)
    >>> table[["condition", "estimate", "lead"]][table["measure"] == "accuracy"].values.tolist()
    [['right', 1.0, nan], ['majority', 0.75, 0.25]]
    """
    check_positive("n_classes", n_classes, integer=True)
    check_positive("n_resamples", n_resamples, integer=True)
    tail = (1 - check_confidence(confidence)) / 2
    checked = _checked(answers)
    n = len(next(iter(checked.values()))[0])
    if n < 2:
        raise InvalidInput(f"An interval over stimuli needs two or more; got {n}.")
    counts = {name: _counts(name, *pair, n_classes) for name, pair in checked.items()}
    rng = numpy_generator(seed)
    drawn = np.concatenate(
        [count_draws(rng, block, n) for block in split_blocks(n_resamples, n + n_classes**2)]
    )
    shape = (-1, n_classes, n_classes)
    once = np.ones((1, n))
    rows: list[dict[str, Any]] = []
    first: dict[str, tuple[float, npt.NDArray[np.float64]]] = {}
    for name, each in counts.items():
        whole, resampled = (once @ each).reshape(shape), (drawn @ each).reshape(shape)
        for measure in MEASURES:
            value = float(_SCORES[measure](whole)[0])
            draws = _SCORES[measure](resampled)
            low, high = np.quantile(draws, [tail, 1 - tail])
            leads = [np.nan] * 3
            if measure in first:
                lead = first[measure][1] - draws
                leads = [first[measure][0] - value, *np.quantile(lead, [tail, 1 - tail])]
            else:
                first[measure] = value, draws
            rows.append(
                {
                    "condition": name, "measure": measure,
                    "estimate": value, "low": low, "high": high,
                    "lead": leads[0], "lead_low": leads[1], "lead_high": leads[2], "n": n,
                }
            )  # fmt: skip
    return pd.DataFrame(rows)


def _checked(
    answers: Mapping[str, Answers],
) -> dict[str, tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]]:
    """Return the answers as whole numbers, all of one shape."""
    check_not_empty("answers", list(answers))
    found: dict[str, tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]] = {}
    shapes = set()
    for name, (labels, told) in answers.items():
        pair = []
        for parameter, values in (("labels", labels), ("told", told)):
            array = check_not_empty(parameter, np.asarray(values))
            if not np.issubdtype(array.dtype, np.integer):
                raise InvalidInput(
                    f"{parameter} must be classes, whole numbers; got {array.dtype}."
                )
            pair.append(array.astype(np.int64))
            shapes.add(array.shape)
        found[name] = pair[0], pair[1]
    if len(shapes) > 1:
        raise InvalidInput(f"Labels and answers must have one shape; got {sorted(shapes)}.")
    return found


def _counts(
    name: str, labels: npt.NDArray[np.int64], told: npt.NDArray[np.int64], n_classes: int
) -> npt.NDArray[np.float64]:
    """Return what each stimulus adds to the confusion, shape (stimulus, class · class)."""
    both = np.stack([labels, told])
    if both.min() < 0 or both.max() >= n_classes:
        raise InvalidInput(
            f"{name}: classes must be 0 … {n_classes - 1}; got {both.min()} to {both.max()}."
        )
    n = len(labels)
    cells = (labels * n_classes + told).reshape(n, -1)
    flat = (cells + n_classes**2 * np.arange(n)[:, None]).ravel()
    return np.bincount(flat, minlength=n * n_classes**2).reshape(n, -1).astype(np.float64)
