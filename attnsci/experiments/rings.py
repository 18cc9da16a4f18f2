"""Whether a model is right by how far away the target is, ring by ring."""

import numpy as np
import pandas as pd
import xarray as xr

from attnsci.analysis.eccentricity import accuracy_by_eccentricity, eccentricity
from attnsci.analysis.glimpses import right
from attnsci.experiments.outcome import Outcome, cells, word

ACCURACY = "accuracy by eccentricity"
LEAST = 20
"""Stimuli in a ring, at least."""


def by_eccentricity(
    responses: xr.Dataset, *, size_px: float, step_px: float, chance: float
) -> Outcome:
    """Measure accuracy by how far the target is from the middle, and from the first fixation.

    Parameters
    ----------
    responses : xarray.Dataset
        Of `collect`: ``logits`` (time, class); ``location`` (time, coordinate) where the model
        looks; coordinates ``label``, and ``x``, ``y`` of the target in pixels.
    size_px, step_px : float
        Side of the images and width of the rings; the last, with what is left, is wider.
    chance : float
        Accuracy of pure guessing.

    Returns
    -------
    Outcome
        `ACCURACY` by ``origin`` ("canvas", "first-glimpse") and eccentricity; data
        ``eccentricity-ORIGIN`` of `accuracy_by_eccentricity`.
    """
    logits = word(responses, "logits").isel(time=-1)
    answers = right(logits, word(responses, "label")).reset_coords(drop=True)
    target = xr.concat(
        [word(responses, "x"), word(responses, "y")], pd.Index(["x", "y"], name="coordinate")
    )
    offsets = {"canvas": target - size_px / 2}
    if "location" in responses:
        offsets["first-glimpse"] = target - responses["location"].isel(time=0)
    data, tables = {}, []
    for origin, offset in offsets.items():
        away = eccentricity(offset.reset_coords(drop=True))
        profile = accuracy_by_eccentricity(answers, away, _rings(away, step_px), chance=chance)
        data[f"eccentricity-{origin}"] = profile
        tables.append(cells(ACCURACY, profile, "accuracy", origin=origin))
    return Outcome(pd.concat(tables, ignore_index=True), data)


def _rings(away: xr.DataArray, step_px: float) -> list[float]:
    """Return edges between which there are `LEAST` stimuli."""
    edges = [0.0]
    for edge in np.arange(step_px, float(away.max()), step_px):
        inside = int(((away >= edges[-1]) & (away < edge)).sum())
        beyond = int((away >= edge).sum())
        if inside >= LEAST and beyond >= LEAST:
            edges.append(float(edge))
    return [*edges, float(away.max()) + 1e-6]
