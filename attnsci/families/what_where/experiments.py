"""What is asked of What, Where and the transformers."""

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
import torch
import xarray as xr

from attnsci.analysis.anisotropy import bootstrap_anisotropy
from attnsci.analysis.calibration import calibration_error, reliability
from attnsci.analysis.eccentricity import accuracy_by_eccentricity, accuracy_map
from attnsci.analysis.fall_off import fit_fall_off
from attnsci.analysis.go_nogo import go_nogo_table
from attnsci.analysis.landing import landing_by_eccentricity, saccade_landing
from attnsci.analysis.map_comparison import map_correlation
from attnsci.analysis.psychometrics import fit_psychometric
from attnsci.data.digits import Digits
from attnsci.data.noisy_scenes import noisy_digits
from attnsci.families.what_where.measure import BATCH, Classify
from attnsci.families.what_where.published import PROFILE_EDGES_PX
from attnsci.statistics.estimates import bootstrap, bootstrap_mean
from attnsci.statistics.proportions import accuracy, base_rate
from attnsci.statistics.significance import wilson

_SCORES = 11

INKED_PX = 22.0
"""Distance up to which ink of most digits is within scenes of 28 pixels."""
NEAR_PX = 5.0
"""A landing so near leaves the digit in the part of the view that is seen well."""
ANISOTROPY_EDGES_PX = (0.0, 1.0, 6.5, 9.5, 12.5, 15.5, 18.5)
"""Rings that hold offsets in all four directions, at a stride of 3 pixels too."""


@dataclasses.dataclass(frozen=True)
class Foveal:
    """A network of scenes of 28 pixels."""

    name: str
    """Of its weights."""
    kind: str
    """ "what" or "stn-28"."""
    noise: float
    """At which it was trained and is tested."""
    seed: int
    classify: Classify


@torch.no_grad()
def scores(
    networks: Sequence[Foveal], digits: Digits, seed: int, device: torch.device
) -> tuple[pd.DataFrame, xr.DataArray]:
    """Return how often networks are right, the digit in the middle and at all offsets.

    Returns
    -------
    table : pandas.DataFrame
        Columns network, kind, noise, seed, scenes ("central" or "general": offsets of standard
        deviation 15 px, as published), accuracy, low, high, n.
    correct : xarray.DataArray of bool
        Over network, scenes and stimulus: networks of one noise saw the same scenes.
    """
    kinds: dict[str, dict[str, Any]] = {
        "central": {"i_offset": 0, "j_offset": 0},
        "general": {"std": 15.0},
    }
    answers = np.empty((len(networks), len(kinds), len(digits)), bool)
    for k, settings in enumerate(kinds.values()):
        for noise in dict.fromkeys(network.noise for network in networks):
            for start in range(0, len(digits), BATCH):
                part = slice(start, start + BATCH)
                shown = noisy_digits(
                    digits.images[part], digits.labels[part], digits.index[part], 28,
                    seed=(seed, _SCORES + k), split=digits.split, device=device, noise=noise,
                    **settings,
                )  # fmt: skip
                for i, network in enumerate(networks):
                    if network.noise == noise:
                        said = network.classify(shown.image).argmax(-1)
                        answers[i, k, part] = (said == shown.metadata["label"]).cpu()
    correct = xr.DataArray(
        answers,
        {"network": [n.name for n in networks], "scenes": list(kinds)},
        ("network", "scenes", "stimulus"),
        name="correct",
    )
    rows = [
        {
            "network": network.name, "kind": network.kind, "noise": network.noise,
            "seed": network.seed, "scenes": scenes, "accuracy": found.estimate,
            "low": found.low, "high": found.high, "n": found.n,
        }
        for i, network in enumerate(networks)
        for k, scenes in enumerate(kinds)
        for found in [wilson(int(answers[i, k].sum()), len(digits))]
    ]  # fmt: skip
    return pd.DataFrame(rows), correct


def difference(correct: xr.DataArray, networks: Sequence[Foveal], noise: float) -> pd.DataFrame:
    """Return by how much the transformer beats What on the same scenes, at one noise.

    Returns
    -------
    pandas.DataFrame
        Columns scenes, difference (of accuracies, each a mean over the seeds), low, high (paired
        bootstrap over scenes), n, and the least and greatest difference between single seeds.
        Empty unless both kinds are there.
    """
    by_kind = {
        kind: [n.name for n in networks if n.kind == kind and n.noise == noise]
        for kind in ("stn-28", "what")
    }
    if not all(by_kind.values()):
        return pd.DataFrame(columns=["scenes", "difference", "low", "high", "n", "least", "most"])
    rows = []
    for scenes in correct["scenes"].values:
        at = correct.sel(scenes=scenes).astype(float)
        stn, what = (at.sel(network=names) for names in by_kind.values())
        found = bootstrap((stn.mean("network") - what.mean("network")).values, seed=0)
        single = stn.mean("stimulus").values[:, None] - what.mean("stimulus").values
        rows.append(
            {
                "scenes": str(scenes), "difference": found.estimate, "low": found.low,
                "high": found.high, "n": found.n, "least": single.min(), "most": single.max(),
            }
        )  # fmt: skip
    return pd.DataFrame(rows)


@dataclasses.dataclass(frozen=True)
class Mapped:
    """The accuracy of one network, or of several seeds of it, over the visual field."""

    name: str
    answers: xr.DataArray
    """Over stimulus, y, x and, for several seeds, ``seed``."""
    chance: float
    """Share of the most frequent class: what naming it always would score."""
    map: xr.Dataset
    """Of `accuracy_map`, averaged over seeds."""
    profile: xr.Dataset
    """Of `accuracy_by_eccentricity`, averaged over seeds."""
    half_width: xr.Dataset
    """Of `fit_fall_off`."""


def mapped(name: str, answers: xr.DataArray, edges: Sequence[float] = PROFILE_EDGES_PX) -> Mapped:
    """Return map, profile and half width of answers by offset.

    Parameters
    ----------
    name : str
    answers : xarray.DataArray
        Of `map_answers`; with dimension ``seed`` for several networks that saw the same scenes.
    edges : sequence of float
        Of the rings; those without an offset are joined with the next one outwards.
    """
    chance = base_rate(answers["label"])
    share = answers.astype(float)
    if "seed" in share.dims:
        share = share.mean("seed")
    away = xr.apply_ufunc(np.hypot, answers["x"], answers["y"])
    limits = _filled(np.asarray(edges, float), away.values)
    away = away.assign_attrs(units="px")
    profile = accuracy_by_eccentricity(
        share, away, limits, chance=chance, interval="bootstrap", n_resamples=500
    )
    seen = (
        xr.Dataset({"accuracy": share.mean("stimulus")})
        if "seed" in answers.dims
        else accuracy_map(answers, chance=chance)
    )
    return Mapped(
        name, answers, chance, seen, profile,
        fit_fall_off(share, away, limits, chance=chance, n_resamples=500),
    )  # fmt: skip


def _filled(edges: np.ndarray, away: np.ndarray) -> np.ndarray:
    """Return edges between which there always is an offset."""
    edges = edges[edges < away.max() + 1e-9]
    counts = np.histogram(away, [*edges, np.inf])[0]
    return np.append(edges[counts > 0], min(away.max() + 1, edges[-1] + np.diff(edges)[-1]))


def compare_maps(ours: Mapped, published: xr.DataArray) -> dict[str, float]:
    """Return how like the published map ours is, where ink is in view.

    Returns
    -------
    dict
        ``r`` (Pearson), ``rmse``, ``mean_difference`` (ours − published), ``n_cells``.
    """
    values = ours.map["accuracy"]
    # Beyond it next to nothing of a digit is within the scene.
    inked = xr.apply_ufunc(np.hypot, values["x"], values["y"]) < INKED_PX
    found = map_correlation(values, published, mask=inked)
    numbers = {name: float(found[name]) for name in ("r", "rmse", "mean_difference")}
    return {**numbers, "n_cells": float(found.attrs["n_cells"])}


def asymmetry(ours: Mapped) -> xr.Dataset:
    """Return how accuracy differs between directions, with intervals over digits."""
    share = ours.answers.astype(float)
    if "seed" in share.dims:
        share = share.mean("seed")
    return bootstrap_anisotropy(share, ANISOTROPY_EDGES_PX, chance=ours.chance, n_resamples=500)


def curves(answers: xr.Dataset) -> pd.DataFrame:
    """Return the accuracy of every condition by contrast and eccentricity.

    Parameters
    ----------
    answers : xarray.Dataset
        Of `benchmark_answers`.

    Returns
    -------
    pandas.DataFrame
        Columns model, contrast, eccentricity, accuracy, low, high (Wilson), n.
    """
    found = accuracy(answers["correct"])
    return found.to_dataframe().reset_index()[
        ["model", "contrast", "eccentricity", "accuracy", "low", "high", "n"]
    ]


def overall(answers: xr.Dataset, seed: int) -> pd.DataFrame:
    """Return the accuracy of every condition by contrast, eccentricities together.

    Parameters
    ----------
    answers : xarray.Dataset
        Of `benchmark_answers`.
    seed : int
        Of the bootstrap.

    Returns
    -------
    pandas.DataFrame
        Columns model, contrast, accuracy, low, high (bootstrap over digits, each of which is shown
        at all eccentricities), n digits.
    """
    found = bootstrap_mean(answers["correct"].mean("eccentricity"), seed=seed)
    table = found.rename(estimate="accuracy").to_dataframe().reset_index()
    table = table.assign(n=found.attrs["n"])
    return table[["model", "contrast", "accuracy", "low", "high", "n"]]


def leads(looked: xr.Dataset, others: xr.Dataset, leader: str, seed: int) -> pd.DataFrame:
    """Return by how much one condition leads each of those that are no What/Where, digit by digit.

    Parameters
    ----------
    looked, others : xarray.Dataset
        Of `benchmark_answers`, for the same digits: where `leader` is, and where the others are.
    leader : str
        A condition.
    seed : int
        Of the bootstrap.

    Returns
    -------
    pandas.DataFrame
        Columns model, contrast, lead, low, high (bootstrap over digits, eccentricities together),
        n digits.
    """
    own = looked["correct"].sel(model=leader, drop=True).mean("eccentricity")
    names = [str(name) for name in others["model"].values if not str(name).startswith("What/Where")]
    theirs = others["correct"].sel(model=names).mean("eccentricity")
    with xr.set_options(arithmetic_join="exact"):
        found = bootstrap_mean(own - theirs, seed=seed)
    table = found.rename(estimate="lead").to_dataframe().reset_index()
    table = table.assign(n=found.attrs["n"])
    return table[["model", "contrast", "lead", "low", "high", "n"]]


def landings(answers: xr.Dataset) -> pd.DataFrame:
    """Return where networks land and how far their saccades reach, contrasts together.

    Parameters
    ----------
    answers : xarray.Dataset
        Of `benchmark_answers`.

    Returns
    -------
    pandas.DataFrame
        Columns model, eccentricity (nominal, px), error, error_low, error_high (median, px, and
        its bootstrap interval), gain, gain_lower, gain_upper (median and quartiles), within
        (share of landings within `NEAR_PX`), n.
    """
    radii = answers["eccentricity"].values
    step = np.diff(radii).min() / 2 if len(radii) > 1 else radii[0] / 2
    edges = np.append(radii - step, radii[-1] + step)
    rows = []
    for model in _lookers(answers):
        at = answers.sel(model=model).stack(shown=("stimulus", "contrast", "eccentricity"))
        # Scenes of one digit are no independent draws, but nearly so: other places and noise.
        fixation, target = (
            at[name]
            .drop_vars(["shown", "stimulus", "contrast", "eccentricity"])
            .rename(shown="stimulus")
            for name in ("fixation", "target")
        )
        found = landing_by_eccentricity(
            saccade_landing(fixation, target), edges, within=NEAR_PX, n_resamples=200
        )
        middle = found.sel(quantile=0.5)
        rows.append(
            pd.DataFrame(
                {
                    "model": model, "eccentricity": radii, "error": middle["error"],
                    "error_low": middle["error_low"], "error_high": middle["error_high"],
                    "gain": middle["gain"], "gain_lower": found["gain"].sel(quantile=0.25),
                    "gain_upper": found["gain"].sel(quantile=0.75), "within": found["within"],
                    "n": found["n"],
                }
            )
        )  # fmt: skip
    return pd.concat(rows, ignore_index=True)


def _lookers(answers: xr.Dataset) -> list[str]:
    """Return the conditions in which a network chose where to look."""
    looked = answers["fixation"].notnull().any(["stimulus", "contrast", "eccentricity"])
    names = answers["model"].values[looked.any("coordinate").values]
    return [str(n) for n in names if not str(n).endswith(("oracle", "0 saccades"))]


def trust(answers: xr.Dataset) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return how far the confidence of networks is deserved.

    Returns
    -------
    reliability : pandas.DataFrame
        Columns model, confidence (mean of the bin), accuracy, low, high, n.
    errors : pandas.DataFrame
        Columns model, ece, low, high, calibrated (the error that noise alone makes), n.
    """
    bins, errors = [], []
    for model in answers["model"].values:
        at = answers.sel(model=model)
        given, right = (
            xr.DataArray(at[name].values.ravel(), dims="stimulus")
            for name in ("confidence", "correct")
        )
        found = reliability(given, right)
        bins.append(
            pd.DataFrame(
                {
                    "model": str(model), "confidence": found["probability"],
                    "accuracy": found["accuracy"], "low": found["low"], "high": found["high"],
                    "n": found["n"],
                }
            )
        )  # fmt: skip
        error = calibration_error(given, right, n_resamples=200)
        errors.append(
            {
                "model": str(model), "n": given.size,
                **{name: float(error[name]) for name in ("ece", "low", "high", "calibrated")},
            }
        )  # fmt: skip
    return pd.concat(bins, ignore_index=True), pd.DataFrame(errors)


def thresholds(answers: xr.Dataset) -> pd.DataFrame:
    """Return the contrast at which networks are right in three of four scenes.

    Returns
    -------
    pandas.DataFrame
        Columns model, eccentricity, threshold, low, high, reached; NaN where it lies outside the
        contrasts shown.
    """
    found = fit_psychometric(
        answers["correct"], answers["contrast"], chance=base_rate(answers["label"]),
        n_resamples=200,
    ).sel(parameter="threshold")  # fmt: skip
    table = found[["estimate", "low", "high", "reached"]].to_dataframe().reset_index()
    return table.rename(columns={"estimate": "threshold"})[
        ["model", "eccentricity", "threshold", "low", "high", "reached"]
    ]


def gonogo(answers: xr.Dataset) -> pd.DataFrame:
    """Return whether the information gain that was expected tells when a saccade helps.

    Returns
    -------
    pandas.DataFrame
        Columns contrast, d_prime, low, high, n: of the first saccade, which helps where it makes
        a wrong answer right.
    """
    names = [str(name) for name in answers["model"].values]
    before = next(name for name in names if name.endswith("0 saccades"))
    after = next(name for name in names if name.endswith("1 saccade"))
    rows = []
    for contrast in answers["contrast"].values:
        at = answers.sel(contrast=contrast)
        gain = at["gain"].sel(model=after, drop=True)
        right = at["correct"]
        better = right.sel(model=after, drop=True) & ~right.sel(model=before, drop=True)
        flat = [
            xr.DataArray(part.values.ravel(), dims="stimulus").astype(float)
            for part in (gain, better)
        ]
        found = go_nogo_table(*flat, n_resamples=200)
        rows.append(
            {
                "contrast": float(contrast), "d_prime": float(found["d_prime"]),
                "low": float(found["d_prime_low"]), "high": float(found["d_prime_high"]),
                "n": flat[0].size,
            }
        )  # fmt: skip
    return pd.DataFrame(rows)
