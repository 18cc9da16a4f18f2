"""What a gaze is good for, how far it wanders, and how like people it looks."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import xarray as xr

from attnsci.experiments.outcome import Outcome, Share, row, tabled, word
from attnsci.scanpaths.comparison import compare
from attnsci.statistics import bootstrap

WHOLE, UNAIDED = "task loss at one sight", "label kept at one sight"
LOSS, KEPT = "task loss, mean over fixations", "label kept after the last fixation"
CELLS, SACCADE = "distinct cells of 25", "saccade length / image side"
SCORE, NORMALISED = "score", "normalised score"
EMBEDDING = "string-based time-delay embedding"

SIDE = 5
"""Cells along each side of an image, in which places are counted."""
STRONG = 0.5
"""Metrics that tell people on one image from people on others by less hardly see the image."""


def one_sight(responses: xr.Dataset, *, seed: int, **factors: Any) -> Outcome:
    """Return what a task makes of images without looking, the bounds of what looking can do.

    Parameters
    ----------
    responses : xarray.Dataset
        Of `attnsci.recording.responses.collect`: ``loss`` and ``prediction`` of every stimulus, and
        its ``label``.
    seed : int
        Of resampling.
    **factors
        What tells this sight from others.
    """
    right = word(responses, "prediction") == word(responses, "label")
    return tabled(
        [
            _mean(WHOLE, word(responses, "loss"), seed, **factors),
            _mean(UNAIDED, right, seed, **factors),
        ]
    )


def usefulness(responses: xr.Dataset, *, seed: int, **factors: Any) -> Outcome:
    """Return the loss of a task over fixations, and how often the sharp image's label is kept.

    Parameters
    ----------
    responses : xarray.Dataset
        ``loss`` and ``prediction`` (time) of what is remembered after each fixation, and the
        ``label`` of every stimulus.
    seed : int
        Of resampling.
    **factors
        What tells this gaze from others.
    """
    last = word(responses, "prediction").isel(time=-1)
    loss = word(responses, "loss").mean("time")
    return tabled(
        [
            _mean(LOSS, loss, seed, **factors),
            _mean(KEPT, last == word(responses, "label"), seed, **factors),
        ]
    )


def wandering(
    responses: xr.Dataset, *, size_px: tuple[float, float], seed: int, **factors: Any
) -> Outcome:
    """Return how many places a gaze visits and how far it jumps.

    Parameters
    ----------
    responses : xarray.Dataset
        ``location`` (time, coordinate) of every stimulus, in pixels.
    size_px : tuple of float
        Width and height of the images.
    seed : int
        Of resampling.
    **factors
        What tells this gaze from others.
    """
    cells, saccade = visits(responses, size_px)
    return tabled([_mean(CELLS, cells, seed, **factors), _mean(SACCADE, saccade, seed, **factors)])


def visits(
    responses: xr.Dataset, size_px: tuple[float, float]
) -> tuple[xr.DataArray, xr.DataArray]:
    """Return distinct cells of a grid, and mean saccade length as a share of the shorter side.

    Parameters
    ----------
    responses : xarray.Dataset
        ``location`` (…, time, coordinate) in pixels.
    size_px : tuple of float
        Width and height of the images.
    """
    location = word(responses, "location").transpose(..., "time", "coordinate").astype(float)
    cell = np.clip(np.floor(location.to_numpy() / size_px * SIDE), 0, SIDE - 1)
    number = np.sort(cell[..., 1] * SIDE + cell[..., 0], -1)
    distinct = 1 + (np.diff(number, axis=-1) != 0).sum(-1)
    far = np.hypot(*np.moveaxis(np.diff(location.to_numpy(), axis=-2), -1, 0)).mean(-1)
    like = location.isel(time=0, coordinate=0, drop=True)
    return like.copy(data=distinct), like.copy(data=far / min(size_px))


def people(
    models: Mapping[str, xr.Dataset],
    human: xr.Dataset,
    metrics: Mapping[str, tuple[str, Mapping[str, Any]]],
    *,
    draws: int,
    seed: int,
) -> Outcome:
    """Compare models that look at images with the people who looked at them.

    Parameters
    ----------
    models : mapping of str to xarray.Dataset
        Scanpaths of each model, the container of `attnsci.gaze`, in the frame of `human`.
    human : xarray.Dataset
        Scanpaths of people on the same images.
    metrics : mapping of str to (str, mapping)
        As for `attnsci.scanpaths.comparison.compare`.
    draws : int
        Resamples of images and observers, and sign flips.
    seed : int

    Returns
    -------
    Outcome
        `SCORE` of every metric and source (people, baselines, models), and `NORMALISED` of every
        model: 0 is people on other images, 1 another person on the same image. ``sees_image``
        tells metrics that separate these two. ``data["people"]`` is the whole comparison.
    """
    result = compare(models, human, metrics, seed=seed, n_bootstrap=draws, n_permutations=draws)
    n, strong = result.sizes["image"], strong_metrics(result)
    rows = []
    for metric in map(str, result["metric"].values):
        for source in map(str, result["source"].values):
            at = result.sel(metric=metric, source=source)
            factors: dict[str, Any] = {
                "metric": metric, "source": source, "sees_image": metric in strong,
            }  # fmt: skip
            score = _interval(at, "mean", "", n)
            normalised = None
            if source in result["model"].values:
                model = result.sel(model=source, metric=metric)
                normalised = _interval(model, "normalised", "normalised_", n)
                p = float(model["p_holm"].sel(against="cross-image"))
            note = "" if normalised is None else (
                f"normalised {normalised.estimate:.2f} [{normalised.low:.2f}, "
                f"{normalised.high:.2f}]; p against cross-image {p:.2g}"
            )  # fmt: skip
            numbers = {"best": float(at["best_mean"]), "n_undefined": int(at["n_undefined"])}
            rows.append(row(SCORE, score, "images", **factors, **numbers, note=note))
            if normalised is not None:
                rows.append(row(NORMALISED, normalised, "images", **factors))
    return tabled(rows, people=result)


def by_window(
    models: Mapping[str, xr.Dataset], human: xr.Dataset, windows: Sequence[int], *, seed: int
) -> Outcome:
    """Return the string-based time-delay embedding over the length of its window.

    Parameters
    ----------
    models, human
        As for `people`.
    windows : sequence of int
        Lengths, in fixations.
    seed : int

    Returns
    -------
    Outcome
        `EMBEDDING` by ``window`` and ``source``, the mean over observers; ``best`` is that of the
        observer who is most alike.
    """
    rows = []
    for window in windows:
        metric = {"SBTDE": ("string_time_delay_embedding", {"k": window})}
        result = compare(models, human, metric, seed=seed, n_bootstrap=50, n_permutations=50)
        for source in map(str, result["source"].values):
            at = result.sel(metric="SBTDE", source=source)
            score = _interval(at, "mean", "", result.sizes["image"])
            best = float(at["best_mean"])
            rows.append(row(EMBEDDING, score, "images", window=window, source=source, best=best))
    return tabled(rows)


def strong_metrics(result: xr.Dataset) -> list[str]:
    """Return the metrics that see the image."""
    separation = result["separation"].to_series()
    return [str(name) for name, value in separation.items() if value >= STRONG]


def _interval(dataset: xr.Dataset, value: str, prefix: str, n: int) -> Share:
    estimate, low, high = (
        float(dataset[name]) for name in (value, f"{prefix}low", f"{prefix}high")
    )
    return Share(estimate, low, high, n)


def _mean(quantity: str, values: xr.DataArray, seed: int, **factors: Any) -> dict[str, Any]:
    sample = np.asarray(values, float)
    return row(quantity, bootstrap(sample, seed=seed), "images", **factors)
