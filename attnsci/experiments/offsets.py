"""Whether a model is right by where things are in its visual field, all over it."""

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
import torch
import xarray as xr
from torch import Tensor, nn

from attnsci.analysis.anisotropy import bootstrap_anisotropy
from attnsci.analysis.eccentricity import accuracy_by_eccentricity, accuracy_map
from attnsci.analysis.fall_off import fit_fall_off
from attnsci.analysis.map_comparison import map_correlation
from attnsci.data.digits import Digits
from attnsci.data.offset_scenes import Scene
from attnsci.data.stimuli import Stimuli
from attnsci.errors import InvalidInput
from attnsci.experiments.outcome import Outcome, Share, cells, row, tabled, word
from attnsci.recording.responses import Ask, Response, classifier, collect
from attnsci.statistics.proportions import base_rate

HALF_WIDTH, PROFILE = "half-height radius (px)", "accuracy by eccentricity"
ANISOTROPY = "horizontal − vertical anisotropy of accuracy"
AGREEMENT = "correlation with the published map"

EDGES_PX = tuple(range(0, 30, 2))
"""Rings of the profile."""
ANISOTROPY_EDGES_PX = (0.0, 1.0, 6.5, 9.5, 12.5, 15.5, 18.5)
"""Rings that hold offsets in all four directions, at a stride of 3 pixels too."""
INKED_PX = 22.0
"""Distance up to which ink of most digits is within scenes of 28 pixels."""


@dataclasses.dataclass(frozen=True, eq=False)
class OffsetDigits:
    """Every digit at every offset of a square grid, offset by offset.

    Attributes
    ----------
    digits : Digits
        The same at every offset.
    scene : callable
        `attnsci.data.noisy_scene`, `attnsci.data.plain_scene`, or another.
    reach_px, stride_px : int
        Offsets are the multiples of `stride_px` from −`reach_px` to `reach_px`.

    Examples
    --------
    >>> from attnsci.data import load_mnist, plain_scene
    >>> digits = load_mnist("test").subset(range(5))
    >>> stimuli = OffsetDigits(digits, plain_scene((28, 28)), reach_px=4, stride_px=4)
    >>> len(stimuli), stimuli[7].metadata["dy"].item(), stimuli[7].metadata["dx"].item()
    (45, -4, 0)
    """

    digits: Digits
    scene: Scene
    reach_px: int = 27
    stride_px: int = 3
    _latest: dict[int, Tensor] = dataclasses.field(default_factory=dict, init=False, repr=False)

    @property
    def offsets(self) -> np.ndarray:
        """Offsets along each axis, in pixels."""
        reach, stride = self.reach_px, self.stride_px
        return np.arange(-(reach // stride) * stride, reach + 1, stride)

    def __len__(self) -> int:
        return len(self.digits) * len(self.offsets) ** 2

    def __getitem__(self, index: Any) -> Stimuli:
        """Return a batch.

        Its metadata are ``label`` and ``index``; ``dy`` and ``dx``, how far down and to the right
        the digit is; ``x`` and ``y``, its middle in pixels of the scene.
        """
        rows, side = np.atleast_1d(np.arange(len(self))[index]), len(self.offsets)
        cell, digit = np.divmod(rows, len(self.digits))
        image = torch.stack([self._scenes(int(k))[d] for k, d in zip(cell, digit, strict=True)])
        metadata = {
            "label": self.digits.labels[digit],
            "index": self.digits.index[digit],
            "dy": self.offsets[cell // side],
            "dx": self.offsets[cell % side],
        }
        metadata["x"] = metadata["dx"] + image.shape[-1] / 2
        metadata["y"] = metadata["dy"] + image.shape[-2] / 2
        return Stimuli(image, {name: torch.as_tensor(part) for name, part in metadata.items()})

    def _scenes(self, cell: int) -> Tensor:
        """Return all digits at one offset, kept until the next: a batch may hold but some."""
        if cell not in self._latest:
            dy, dx = (int(self.offsets[k]) for k in divmod(cell, len(self.offsets)))
            self._latest.clear()
            self._latest[cell] = self.scene(self.digits, dy, dx)
        return self._latest[cell]

    def provenance(self) -> dict[str, Any]:
        """Return the offsets, and what the digits are."""
        return {
            "stimuli": "digits at offsets",
            "reach_px": self.reach_px,
            "stride_px": self.stride_px,
            "digits": self.digits.provenance(),
        }


class _Predictions:
    """An ask that hands on decisions alone: maps are of millions of scenes."""

    def __init__(self, ask: Any) -> None:
        self.ask = classifier(ask) if isinstance(ask, nn.Module) else ask
        self.model = getattr(self.ask, "model", None)
        settings = getattr(self.ask, "settings", None)
        self.settings = {"of": self.ask} if settings is None else {"of": type(self.ask), **settings}

    def __call__(self, batch: Any, rows: slice) -> Response:
        response = self.ask(batch, rows)
        if "prediction" in response:
            return {"prediction": response["prediction"]}
        if "logits" not in response:
            raise InvalidInput(
                "A map needs 'logits' or 'prediction' of every scene; the model gives "
                f"{', '.join(response)}."
            )
        dims, logits = response["logits"]
        return {"prediction": (dims[:-1], logits.argmax(-1).to(torch.int16))}


def answers_by_offset(ask: Ask | nn.Module, stimuli: OffsetDigits, **how: Any) -> xr.DataArray:
    """Return whether a model is right, by where the digit is.

    Parameters
    ----------
    ask : Ask or torch.nn.Module
        Answers ``logits`` or ``prediction``; any network from images to logits does.
    stimuli : OffsetDigits
    **how
        Of `attnsci.recording.responses.collect`: ``store``, ``batch_size``, ``progress`` …

    Returns
    -------
    xarray.DataArray of bool
        Over ``stimulus``, ``y``, ``x`` (offset of the digit in pixels, down and to the right),
        and ``time`` for a model that answers several times. Coordinates of ``stimulus``:
        ``label``, ``index``.

    Examples
    --------
    >>> from attnsci.data import load_mnist, plain_scene
    >>> digits = load_mnist("test").subset(range(5))
    >>> net = nn.Sequential(nn.Flatten(), nn.Linear(784, 10))
    >>> stimuli = OffsetDigits(digits, plain_scene((28, 28)), reach_px=4, stride_px=4)
    >>> dict(answers_by_offset(net, stimuli).sizes)
    {'stimulus': 5, 'y': 3, 'x': 3}
    """
    prediction = collect(_Predictions(ask), stimuli, **how)["prediction"]
    right = (prediction == prediction["label"]).to_numpy()
    offsets, n = stimuli.offsets, len(stimuli.digits)
    whole = right.reshape(len(offsets), len(offsets), n, *right.shape[1:])
    coords = {
        "y": ("y", offsets, {"units": "px"}),
        "x": ("x", offsets, {"units": "px"}),
        "label": ("stimulus", stimuli.digits.labels),
        "index": ("stimulus", stimuli.digits.index),
    } | {str(name): prediction[name].values for name in prediction.dims[1:]}
    correct = np.ascontiguousarray(np.moveaxis(whole, 2, 0))
    return xr.DataArray(
        correct, coords, ("stimulus", "y", "x", *prediction.dims[1:]), name="correct"
    )


def visual_field(
    correct: xr.DataArray, *, edges_px: Sequence[float] = EDGES_PX, n_resamples: int = 500
) -> Outcome:
    """Measure the map of accuracy, how it falls with eccentricity, and its half width.

    Parameters
    ----------
    correct : xarray.DataArray
        Of `answers_by_offset`; with dimension ``seed`` for networks that saw the same scenes and
        are averaged, with ``time`` for one that answered several times.
    edges_px : sequence of float
        Of the rings; those without an offset are joined with the next one outwards.
    n_resamples : int
        Of the bootstrap over digits.

    Returns
    -------
    Outcome
        `HALF_WIDTH`, and `PROFILE` by ``eccentricity``; both by ``time`` where there is one. Data
        ``map``: ``correct``, and ``accuracy`` over y and x; ``attrs["chance"]`` is the share of
        the most frequent class, what naming it always would score.
    """
    chance = base_rate(word(correct.to_dataset(name="correct"), "label"))
    share = _share(correct)
    away = xr.apply_ufunc(np.hypot, correct["x"], correct["y"])
    limits = _filled(np.asarray(edges_px, float), away.values)
    away = away.assign_attrs(units="px")
    profile = accuracy_by_eccentricity(
        share, away, limits, chance=chance, interval="bootstrap", n_resamples=n_resamples
    )
    fit = fit_fall_off(share, away, limits, chance=chance, n_resamples=n_resamples)
    half_width, n = fit.sel(parameter=["half_width"]), correct.sizes["stimulus"]
    tables = [
        cells(HALF_WIDTH, half_width.assign(n=n), "estimate", "digits").drop(columns="parameter"),
        cells(PROFILE, profile.set_coords("mean_eccentricity").assign(n=n), "accuracy", "digits"),
    ]
    accuracy = (
        share.mean("stimulus")
        if "seed" in correct.dims
        else accuracy_map(correct, chance=chance)["accuracy"]
    )
    field = xr.Dataset({"correct": correct, "accuracy": accuracy}, attrs={"chance": chance})
    return Outcome(pd.concat(tables, ignore_index=True), {"map": field})


def anisotropy(
    correct: xr.DataArray,
    *,
    edges_px: Sequence[float] = ANISOTROPY_EDGES_PX,
    n_resamples: int = 500,
) -> Outcome:
    """Measure by how much more is recognised to the sides than above and below.

    Parameters
    ----------
    correct : xarray.DataArray
        As in `visual_field`, answered once.
    edges_px : sequence of float
        Of rings that hold offsets in all four directions.
    n_resamples : int
        Of the bootstrap over digits.

    Returns
    -------
    Outcome
        `ANISOTROPY`.
    """
    index = bootstrap_anisotropy(
        _share(correct), edges_px, chance=base_rate(correct["label"]), n_resamples=n_resamples
    ).sel(quantity="accuracy")
    hva, low, high = (float(index[name]) for name in ("hva", "hva_low", "hva_high"))
    return tabled([row(ANISOTROPY, Share(hva, low, high, correct.sizes["stimulus"]), "digits")])


def agreement(accuracy: xr.DataArray, published: xr.DataArray) -> Outcome:
    """Measure how like a published map one is, where ink is in view.

    Parameters
    ----------
    accuracy, published : xarray.DataArray, (y, x)
        Beyond `INKED_PX` next to nothing of a digit is within the scene, and nothing counts.

    Returns
    -------
    Outcome
        `AGREEMENT`: Pearson's r, without an interval, as offsets are no independent observations.
    """
    inked = xr.apply_ufunc(np.hypot, accuracy["x"], accuracy["y"]) < INKED_PX
    match = map_correlation(accuracy, published, mask=inked)
    note = (
        f"ours − published {float(match['mean_difference']):+.3f} on average, "
        f"RMSE {float(match['rmse']):.3f}"
    )
    r = Share(float(match["r"]), n=int(match.attrs["n_cells"]))
    return tabled([row(AGREEMENT, r, "offsets", note=note)])


def _share(correct: xr.DataArray) -> xr.DataArray:
    """Return right and wrong as numbers, the mean of networks that differ in their seed."""
    share = correct.astype(float)
    return share.mean("seed") if "seed" in share.dims else share


def _filled(edges: np.ndarray, away: np.ndarray) -> np.ndarray:
    """Return edges between which there always is an offset."""
    edges = edges[edges < away.max() + 1e-9]
    counts = np.histogram(away, [*edges, np.inf])[0]
    return np.append(edges[counts > 0], min(away.max() + 1, edges[-1] + np.diff(edges)[-1]))
