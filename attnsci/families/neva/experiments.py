"""What is asked of NeVA: whether looking helps, what makes it explore, how like people it is."""

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pandas as pd
import torch
import xarray as xr
from torch import Tensor

from attnsci.families.neva.config import REFERENCE, NeVAConfig
from attnsci.families.neva.network import NeVA, Trace
from attnsci.families.neva.stimuli import Pictures, fovea_for
from attnsci.families.neva.tasks import BlurEnergy, Classification, Reconstruction, Task
from attnsci.geometry import Viewing
from attnsci.models.looking.chance import CentreLooker, UniformLooker
from attnsci.models.looking.people import CentreBiasLooker
from attnsci.models.looking.winner_take_all import WinnerTakeAll
from attnsci.scanpaths.comparison import compare
from attnsci.scanpaths.edit import rescale
from attnsci.sensors.foveation import Fovea, FoveatedView

CELLS = 5


def bounds(task: Task, images: Tensor, fovea: Fovea, target: Any) -> tuple[Tensor, Tensor]:
    """Return the loss (N,) of the sharp images and of the wholly blurred ones."""
    view = FoveatedView(images, fovea)
    with torch.no_grad():
        blurred = view.perceive(view.blank())
        return task.loss(images, target), task.loss(blurred, target)


def along_fixations(
    classifier: torch.nn.Module,
    pictures: Pictures,
    fovea: Fovea,
    variants: dict[str, NeVAConfig],
    n_fixations: int,
    seed: int,
) -> tuple[xr.Dataset, dict[str, Trace]]:
    """Return loss and accuracy after each fixation, for searches and for chance.

    Accuracy is agreement with the classifier's own label of the sharp image.

    Returns
    -------
    xarray.Dataset
        ``loss``, ``correct`` and ``x``, ``y`` (variant, image, fixation); ``clean``, ``blurred``
        (image) and ``blurred_correct``.
    dict of str to Trace
    """
    task = Classification(classifier)
    labels = task.target(pictures.images)
    clean, blurred = bounds(task, pictures.images, fovea, labels)
    losses, right, places = [], [], []
    traces: dict[str, Trace] = {}
    for name, config in variants.items():
        neva = NeVA(task, fovea, config)
        paths, trace = neva.trace(
            pictures.images, n_fixations, target=labels, image=pictures.names, seed=seed
        )
        traces[name] = trace
        losses.append(trace.state_loss.numpy())
        right.append(_agreement(classifier, trace.seen, labels))
        places.append(np.stack([paths["x"].to_numpy(), paths["y"].to_numpy()]))
    view = FoveatedView(pictures.images, fovea)
    with torch.no_grad():
        unseen = classifier(view.perceive(view.blank())).argmax(1) == labels
    dims = ("variant", "image", "fixation")
    xy = np.stack(places, 1)
    return xr.Dataset(
        {
            "loss": (dims, np.stack(losses)),
            "correct": (dims, np.stack(right)),
            "x": (dims, xy[0]),
            "y": (dims, xy[1]),
            "clean": ("image", clean.numpy()),
            "blurred": ("image", blurred.numpy()),
            "blurred_correct": ("image", unseen.numpy()),
        },
        coords={
            "variant": list(variants),
            "image": pictures.names,
            "fixation": np.arange(1, n_fixations + 1),
        },
        attrs={"width_px": pictures.viewing.width_px, "height_px": pictures.viewing.height_px},
    ), traces


def _agreement(classifier: torch.nn.Module, seen: Tensor, labels: Tensor) -> np.ndarray:
    with torch.no_grad():
        steps = [classifier(seen[:, t]).argmax(1) == labels for t in range(seen.shape[1])]
    return torch.stack(steps, 1).numpy()


def exploration(paths: xr.Dataset) -> pd.DataFrame:
    """Return distinct cells of a 5 × 5 grid, and mean saccade length in degrees of the frame.

    Parameters
    ----------
    paths : xarray.Dataset
        Of `along_fixations`.
    """
    width, height = paths.attrs["width_px"], paths.attrs["height_px"]
    column = np.clip(np.floor(paths["x"] / width * CELLS), 0, CELLS - 1)
    row = np.clip(np.floor(paths["y"] / height * CELLS), 0, CELLS - 1)
    cell = np.sort((row * CELLS + column).to_numpy(), -1)
    distinct = 1 + (np.diff(cell, axis=-1) != 0).sum(-1)
    far = np.hypot(np.diff(paths["x"], axis=-1), np.diff(paths["y"], axis=-1)).mean(-1)
    variant, image = np.meshgrid(paths["variant"], paths["image"], indexing="ij")
    return pd.DataFrame(
        {
            "variant": variant.ravel(),
            "image": image.ravel(),
            "cells": distinct.ravel(),
            "saccade_share": (far / min(width, height)).ravel(),
            "loss": paths["loss"].mean("fixation").to_numpy().ravel(),
            "last_loss": paths["loss"].isel(fixation=-1).to_numpy().ravel(),
        }
    )


def searches() -> dict[str, NeVAConfig]:
    """Return the variants of the figure on discounting and search."""
    plain = NeVAConfig()
    published = dataclasses.replace(REFERENCE, best_position="stepped")
    return {
        "published": published,
        "sign-gradient": REFERENCE,
        "sign-gradient, discounted": dataclasses.replace(REFERENCE, discount="search"),
        "grid": dataclasses.replace(plain, discount="commit"),
        "grid, discounted": plain,
        "random": dataclasses.replace(plain, search="random"),
    }


def retention_sweep(
    classifier: torch.nn.Module,
    pictures: Pictures,
    values: Sequence[float],
    n_fixations: int,
    seed: int,
) -> pd.DataFrame:
    """Return loss and exploration for several retentions (the paper's forgetting)."""
    side = int(min(pictures.images.shape[-2:]))
    parts = []
    for value in values:
        for discount in ("search", "commit"):
            config = NeVAConfig(discount=discount, refinements=1)
            paths, _ = along_fixations(
                classifier, pictures, fovea_for(side, value), {discount: config},
                n_fixations, seed,
            )  # fmt: skip
            parts.append(exploration(paths).assign(retention=value))
    return pd.concat(parts, ignore_index=True)


@dataclasses.dataclass(frozen=True)
class Networks:
    """Task networks of the comparison with people.

    Attributes
    ----------
    classifier, fast : nn.Module
        The classifier, and the same with its normalisations folded.
    untrained : nn.Module
        The same architecture with random weights.
    denoiser : nn.Module
    policy : object with ``look``, and the size of its images
    """

    classifier: torch.nn.Module
    fast: torch.nn.Module
    untrained: torch.nn.Module
    denoiser: torch.nn.Module
    policy: Any


def lookers(
    networks: Networks, pictures: Pictures, people: xr.Dataset, denoiser_side: int, seed: int
) -> dict[str, Callable[[int], xr.Dataset]]:
    """Return every model that looks at OSIE, by name: number of fixations to scanpaths.

    Scanpaths are in the frame of `people`.
    """
    side = int(min(pictures.images.shape[-2:]))
    fovea, names = fovea_for(side), pictures.names
    with torch.no_grad():
        labels = networks.classifier(pictures.images).argmax(1)
    discounted = NeVAConfig(refinements=1)
    published = dataclasses.replace(discounted, discount="commit")
    small = pictures.resized(
        denoiser_side, round(denoiser_side * pictures.images.shape[-1] / pictures.images.shape[-2])
    )
    square = pictures.resized(*networks.policy.policy.config.size)
    shuffled = labels.roll(1)

    def neva(
        task: Task, config: NeVAConfig, target: Any = None, seen: Pictures = pictures
    ) -> Callable[[int], xr.Dataset]:
        scaled = fovea if seen is pictures else fovea_for(int(min(seen.images.shape[-2:])))
        look = NeVA(task, scaled, config).look
        return lambda n: look(
            seen.images, n, target=target, image=names, seed=seed, viewing=seen.viewing
        )

    def plain(looker: Any, seen: Pictures = pictures) -> Callable[[int], xr.Dataset]:
        return lambda n: looker.look(seen.images, n, image=names, seed=seed, viewing=seen.viewing)

    fast = Classification(networks.fast)
    blank = Pictures(torch.full_like(pictures.images, 0.5), names, pictures.viewing)
    found = {
        "NeVA classification": neva(fast, discounted, labels),
        "NeVA classification, published discounting": neva(fast, published, labels),
        "NeVA reconstruction": neva(Reconstruction(networks.denoiser), published, None, small),
        "NeVA policy": plain(networks.policy, square),
        "NeVA blur energy": neva(BlurEnergy(), dataclasses.replace(published, search="oracle")),
        "blur energy, winner-take-all": plain(WinnerTakeAll("blur energy")),
        "Itti-Koch": plain(WinnerTakeAll("itti-koch")),
        "spectral residual": plain(WinnerTakeAll("spectral residual")),
        "centre bias": plain(CentreBiasLooker(people)),
        "centre Gaussian": plain(CentreLooker()),
        "random": plain(UniformLooker()),
        "control: label of another image": neva(fast, published, shuffled),
        "control: untrained network": neva(Classification(networks.untrained), published),
        "control: blank image": neva(fast, published, labels, blank),
    }
    frame = people.attrs["viewing"]

    def in_frame(look: Callable[[int], xr.Dataset]) -> Callable[[int], xr.Dataset]:
        def looked(n: int) -> xr.Dataset:
            whole = Viewing.from_json(frame)
            moved = rescale(look(n)[["x", "y", "duration"]], whole.width_px, whole.height_px)
            return moved.assign_attrs(viewing=frame)

        return looked

    return {name: in_frame(look) for name, look in found.items()}


METRICS: dict[str, tuple[str, dict[str, Any]]] = {
    "scanmatch": ("scanmatch", {"n_columns": 16, "n_rows": 12}),
    "multimatch": ("multimatch", {}),
    "SED": ("edit_distance", {"grid": 4, "algorithm": "damerau"}),
    "STDE": ("scaled_time_delay_embedding", {}),
    "SBTDE": ("string_time_delay_embedding", {}),
    "nss": ("nss", {}),
    "auc": ("auc", {}),
}
"""The comparison with people; SBTDE's best observer is the paper's ScanPath Plausibility."""


def against_people(
    paths: dict[str, xr.Dataset], people: xr.Dataset, seed: int, n_resamples: int
) -> xr.Dataset:
    """Return `compare` of all models."""
    return compare(
        paths, people, METRICS, seed=seed, n_bootstrap=n_resamples, n_permutations=n_resamples
    )


def by_window(
    paths: dict[str, xr.Dataset], people: xr.Dataset, windows: Sequence[int], seed: int
) -> pd.DataFrame:
    """Return the string-based time-delay embedding over the length of its window."""
    parts = []
    for k in windows:
        chosen = {"SBTDE": ("string_time_delay_embedding", {"k": k})}
        result = compare(paths, people, chosen, seed=seed, n_bootstrap=50, n_permutations=50)
        at = result.sel(metric="SBTDE")
        parts.append(
            pd.DataFrame(
                {
                    "k": k,
                    "source": at["source"],
                    "mean": at["mean"],
                    "low": at["low"],
                    "high": at["high"],
                    "best": at["best_mean"],
                }
            )
        )
    return pd.concat(parts, ignore_index=True)
