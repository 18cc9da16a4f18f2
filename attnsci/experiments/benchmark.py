"""Digits by contrast and distance from the gaze: who recognises them, and who looks at them."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from attnsci.analysis.calibration import calibration_error, reliability
from attnsci.analysis.go_nogo import go_nogo_table
from attnsci.analysis.landing import landing_by_eccentricity, saccade_landing
from attnsci.analysis.psychometrics import fit_psychometric
from attnsci.data.noisy_stimuli import DistantDigits
from attnsci.errors import InvalidInput
from attnsci.experiments.outcome import Outcome, Share, cells, row, tabled
from attnsci.experiments.same_scenes import ACCURACY, Rivals
from attnsci.recording.responses import collect
from attnsci.statistics.estimates import bootstrap_mean
from attnsci.statistics.proportions import accuracy, base_rate

POOLED = "accuracy, all eccentricities"
LEAD = "lead in accuracy"
LANDING, GAIN = "median landing error (px)", "saccade gain"
CALIBRATION, NOISE_ALONE = "expected calibration error", "calibration error of noise alone"
RELIABILITY = "accuracy by confidence"
D_PRIME = "d′ of expected information gain for a saccade that helps"
THRESHOLD = "contrast of 75 % right"

NEAR_PX = 5.0
"""A landing so near leaves the digit in the part of the view that is seen well."""
QUARTILES = (0.25, 0.5, 0.75)


def contrast_benchmark(
    asks: Mapping[str, Any], stimuli: DistantDigits, *, seed: int = 0, **how: Any
) -> Outcome:
    """Show digits at fixed distances and contrasts to several models, the very same scenes to all.

    Parameters
    ----------
    asks : mapping of str to Ask or torch.nn.Module
        By name; each answers ``logits``, and where it looks also ``location`` (pixels) and
        ``gain``, what it expected of looking there (nats). Logits with ``time`` are those after 0,
        1 … saccades, conditions of their own. Let one ask be an oracle, who is told ``x`` and
        ``y`` and gives no location.
    stimuli : DistantDigits
    seed : int
        Of the bootstrap.
    **how
        Of `attnsci.recording.responses.collect`: ``store``, ``batch_size``, ``progress`` …

    Returns
    -------
    Outcome
        `ACCURACY` by ``model`` (condition), ``contrast`` and ``eccentricity``, beside ``chance``,
        the share of the most frequent class; `POOLED` over eccentricities. Data ``benchmark``, by
        stimulus too: ``correct``; ``confidence``, the largest softmax; ``fixation`` and
        ``target``, pixels from the scene's centre, by ``coordinate``; ``gain``. NaN where a model
        does not look or expects nothing.

    Examples
    --------
    >>> import torch
    >>> from attnsci.data import load_mnist
    >>> stimuli = DistantDigits(load_mnist("test").spread(10), radii_px=(10.0, 30.0))
    >>> net = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(128 * 128, 10))
    >>> dict(contrast_benchmark({"net": net}, stimuli).data["benchmark"]["correct"].sizes)
    {'model': 1, 'stimulus': 10, 'contrast': 3, 'eccentricity': 2}
    """
    rivals = Rivals(asks)
    responses = collect(rivals, stimuli, **how).load()
    data = _by_condition(responses, rivals.names, stimuli)
    curves = accuracy(data["correct"])
    chance = base_rate(data["label"])
    tables = [
        cells(ACCURACY, curves, "accuracy", "digits", chance=chance),
        _pooled(data["correct"], curves["accuracy"], seed),
    ]
    return Outcome(pd.concat(tables, ignore_index=True), {"benchmark": data})


def _by_condition(
    responses: xr.Dataset, names: Sequence[str], stimuli: DistantDigits
) -> xr.Dataset:
    """Return responses over model, digit, contrast and eccentricity."""
    digits, centre = stimuli.digits, stimuli.size_px / 2
    design = {"contrast": list(stimuli.contrasts), "eccentricity": list(stimuli.radii_px)}
    index = pd.MultiIndex.from_product([*design.values(), range(len(digits))],
                                       names=[*design, "digit"])  # fmt: skip
    flat = responses.reset_coords(["label", "x", "y"]).reset_coords(drop=True).drop_attrs()
    flat = flat.drop_vars("stimulus").assign_coords(
        xr.Coordinates.from_pandas_multiindex(index, "stimulus")
    )
    grid = flat.unstack("stimulus").sel(design).rename(digit="stimulus").drop_vars("stimulus")
    target = xr.concat([grid["x"], grid["y"]], "coordinate")
    data = xr.Dataset(
        {
            "correct": grid["prediction"] == grid["label"],
            "confidence": grid["confidence"],
            "gain": grid["gain"],
            "fixation": grid["location"] - centre,
            "target": target - centre,
        },
        {
            "model": list(names),
            "label": ("stimulus", digits.labels),
            "index": ("stimulus", digits.index),
        },
        {"noise": stimuli.noise, "seed": stimuli.seed},
    )
    data["eccentricity"].attrs["units"] = "px"
    order = ("model", "stimulus", "contrast", "eccentricity", "coordinate")
    return data.assign_coords(coordinate=["x", "y"]).transpose(*order)


def _pooled(correct: xr.DataArray, curves: xr.DataArray, seed: int) -> pd.DataFrame:
    """Return accuracy by contrast, over digits each of which is shown at all eccentricities."""
    mean = bootstrap_mean(correct.mean("eccentricity"), seed=seed)
    table = cells(POOLED, mean.assign(n=mean.attrs["n"]), "estimate", "digits")
    ends = curves.sortby("eccentricity").isel(eccentricity=[0, -1])
    notes = [
        ", ".join(
            f"{float(end):.3f} at {float(end['eccentricity']):.0f} px"
            for end in ends.sel(model=line.model, contrast=line.contrast)
        )
        for line in table.itertuples()
    ]
    return table.assign(note=notes)


def leads(own: xr.DataArray, others: xr.DataArray, *, seed: int = 0) -> Outcome:
    """Measure by how much one condition leads others, digit by digit.

    Parameters
    ----------
    own, others : xarray.DataArray
        ``correct`` of the data of `contrast_benchmark`: of one model, and of those it is set
        against, on the same digits.
    seed : int
        Of the bootstrap.

    Returns
    -------
    Outcome
        `LEAD` by ``model`` (the other) and ``contrast``, over digits, eccentricities together;
        ``leader`` is whose lead it is.
    """
    leader = str(own["model"].values)
    with xr.set_options(arithmetic_join="exact"):
        lead = own.drop_vars("model").mean("eccentricity") - others.mean("eccentricity")
        mean = bootstrap_mean(lead, seed=seed)
    return Outcome(cells(LEAD, mean.assign(n=mean.attrs["n"]), "estimate", "digits", leader=leader))


def landings(data: xr.Dataset) -> Outcome:
    """Measure where models land and how far their saccades reach, contrasts together.

    Parameters
    ----------
    data : xarray.Dataset
        Of `contrast_benchmark`. Models that do not choose where to look are left out: those
        without a fixation, and those that made none but the first.

    Returns
    -------
    Outcome
        `LANDING` with its bootstrap interval, and `GAIN` by ``quantile``; both by ``model`` and
        ``eccentricity`` (nominal).
    """
    radii = data["eccentricity"].values
    step = np.diff(radii).min() / 2 if len(radii) > 1 else radii[0] / 2
    edges = np.append(radii - step, radii[-1] + step)
    tables = []
    for model in _lookers(data):
        scenes = data.sel(model=model).stack(scene=("stimulus", "contrast", "eccentricity"))
        # Scenes of one digit are no independent draws, but nearly so: other places and noise.
        fixation, target = (
            scenes[name]
            .drop_vars(["scene", "stimulus", "contrast", "eccentricity"])
            .rename(scene="stimulus")
            for name in ("fixation", "target")
        )
        landing = landing_by_eccentricity(
            saccade_landing(fixation, target), edges, within=NEAR_PX, n_resamples=200
        ).assign_coords(eccentricity=radii)
        tables += [table.assign(model=model) for table in _landing_tables(landing)]
    if not tables:
        raise InvalidInput("No model of these chose where to look: there are no landings.")
    return Outcome(pd.concat(tables, ignore_index=True))


def _landing_tables(landing: xr.Dataset) -> Iterator[pd.DataFrame]:
    """Yield the landings of one model as estimates."""
    middle = landing.sel(quantile=0.5, drop=True)
    error = xr.Dataset(
        {"low": middle["error_low"], "high": middle["error_high"], "n": landing["n"]}
    ).assign(error=middle["error"])
    notes = [
        f"saccade gain {gain:.2f}, {near:.0%} within 5 px"
        for gain, near in zip(middle["gain"].values, landing["within"].values, strict=True)
    ]
    yield cells(LANDING, error, "error", "scenes").assign(note=notes)
    reach = landing[["gain", "n"]].sel(quantile=list(QUARTILES)).assign(low=np.nan, high=np.nan)
    yield cells(GAIN, reach, "gain", "scenes")


def _lookers(data: xr.Dataset) -> list[str]:
    """Return the conditions in which a model chose where to look."""
    looks = data["fixation"].notnull().any(["stimulus", "contrast", "eccentricity", "coordinate"])
    names = [str(name) for name in data["model"].values[looks.values]]
    return [name for name in names if not name.endswith(", 0 saccades")]


def calibration(data: xr.Dataset) -> Outcome:
    """Measure how far the confidence of models is deserved.

    Parameters
    ----------
    data : xarray.Dataset
        Of `contrast_benchmark`.

    Returns
    -------
    Outcome
        `CALIBRATION` and, beside it, `NOISE_ALONE`; `RELIABILITY` by ``confidence`` (mean of the
        bin); all by ``model``.
    """
    rows, tables = [], []
    for model in map(str, data["model"].values):
        confidence, correct = (
            xr.DataArray(data[name].sel(model=model).values.ravel(), dims="stimulus")
            for name in ("confidence", "correct")
        )
        error = calibration_error(confidence, correct, n_resamples=200)
        ece, low, high, alone = (float(error[k]) for k in ("ece", "low", "high", "calibrated"))
        n, note = confidence.size, f"noise alone makes {alone:.3f}"
        rows.append(row(CALIBRATION, Share(ece, low, high, n), "scenes", model=model, note=note))
        rows.append(row(NOISE_ALONE, Share(alone, n=n), "scenes", model=model))
        bins = reliability(confidence, correct)
        named = bins[["accuracy", "low", "high", "n"]].assign_coords(confidence=bins["probability"])
        tables.append(cells(RELIABILITY, named, "accuracy", "scenes", model=model))
    return Outcome(pd.concat([pd.DataFrame(rows), *tables], ignore_index=True))


def saccades_that_help(data: xr.Dataset, name: str) -> Outcome:
    """Measure whether the information gain that was expected tells when a saccade helps.

    Parameters
    ----------
    data : xarray.Dataset
        Of `contrast_benchmark`.
    name : str
        Of a model that looks: its first saccade helps where it makes a wrong answer right.

    Returns
    -------
    Outcome
        `D_PRIME` by ``contrast``.
    """
    before, after = (
        data.sel(model=f"{name}, {count}", drop=True) for count in ("0 saccades", "1 saccade")
    )
    helps, rows = after["correct"] & ~before["correct"], []
    for contrast in data["contrast"].values:
        gain, better = (
            xr.DataArray(part.sel(contrast=contrast).values.ravel(), dims="stimulus").astype(float)
            for part in (after["gain"], helps)
        )
        table = go_nogo_table(gain, better, n_resamples=200)
        d_prime, low, high = (float(table[f"d_prime{end}"]) for end in ("", "_low", "_high"))
        share = Share(d_prime, low, high, gain.size)
        rows.append(row(D_PRIME, share, "scenes", contrast=float(contrast)))
    return tabled(rows)


def thresholds(data: xr.Dataset) -> Outcome:
    """Measure the contrast at which models are right in three of four scenes.

    Parameters
    ----------
    data : xarray.Dataset
        Of `contrast_benchmark`.

    Returns
    -------
    Outcome
        `THRESHOLD` by ``model`` and ``eccentricity``; ``reached`` tells whether it lies within the
        contrasts shown, and is NaN elsewhere.
    """
    fit = fit_psychometric(
        data["correct"], data["contrast"], chance=base_rate(data["label"]), n_resamples=200
    ).sel(parameter="threshold", drop=True)
    fit = fit.set_coords("reached").assign(n=data.sizes["stimulus"])
    return Outcome(cells(THRESHOLD, fit, "estimate", "scenes"))
