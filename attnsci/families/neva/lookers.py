"""Who is compared with people: NeVA's tasks and its policy, saliency, chance, and controls."""

import dataclasses
from collections.abc import Callable
from typing import Any

import torch
import xarray as xr

from attnsci.families.neva.config import REFERENCE, NeVAConfig
from attnsci.families.neva.network import NeVA
from attnsci.families.neva.policy import LearnedGaze
from attnsci.families.neva.stimuli import Pictures, fovea_for
from attnsci.families.neva.tasks import BlurEnergy, Classification, Reconstruction, Task
from attnsci.geometry import Viewing
from attnsci.models.looking.chance import CentreLooker, UniformLooker
from attnsci.models.looking.people import CentreBiasLooker
from attnsci.models.looking.winner_take_all import WinnerTakeAll
from attnsci.scanpaths.edit import rescale

SALIENCY = ("blur energy, winner-take-all", "Itti-Koch", "spectral residual")
TASKS = (
    "NeVA classification, published discounting", "NeVA reconstruction", "NeVA policy",
    "NeVA blur energy",
)  # fmt: skip


def searches() -> dict[str, NeVAConfig]:
    """Return the variants of the figure on discounting and search."""
    plain = NeVAConfig()
    return {
        "published": dataclasses.replace(REFERENCE, best_position="stepped"),
        "sign-gradient": REFERENCE,
        "sign-gradient, discounted": dataclasses.replace(REFERENCE, discount="search"),
        "grid": dataclasses.replace(plain, discount="commit"),
        "grid, discounted": plain,
        "random": dataclasses.replace(plain, search="random"),
    }


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
    policy : LearnedGaze
    """

    classifier: torch.nn.Module
    fast: torch.nn.Module
    untrained: torch.nn.Module
    denoiser: torch.nn.Module
    policy: LearnedGaze


def lookers(
    networks: Networks, pictures: Pictures, human: xr.Dataset, denoiser_side: int, seed: int
) -> dict[str, Callable[[int], xr.Dataset]]:
    """Return every model that looks at OSIE, by name: number of fixations to scanpaths.

    Parameters
    ----------
    networks : Networks
    pictures : Pictures
    human : xarray.Dataset
        Scanpaths of people, on these images and others; the models' are in its frame.
    denoiser_side : int
        Shorter side at which the denoiser sees the images.
    seed : int
    """
    height, width = pictures.images.shape[-2:]
    fovea = fovea_for(min(height, width))
    with torch.no_grad():
        labels = networks.classifier(pictures.images).argmax(1)
    discounted = NeVAConfig(refinements=1)
    published = dataclasses.replace(discounted, discount="commit")
    small = pictures.resized(denoiser_side, round(denoiser_side * width / height))
    square = pictures.resized(*networks.policy.policy.config.size)
    frame = Viewing.from_json(human.attrs["viewing"])

    def look(looker: Any, views: Pictures = pictures, **target: Any) -> Callable[..., xr.Dataset]:
        def scanpaths(n: int) -> xr.Dataset:
            paths = looker.look(
                views.images, n, image=views.names, seed=seed, viewing=views.viewing, **target
            )
            paths = rescale(paths[["x", "y", "duration"]], frame.width_px, frame.height_px)
            return paths.assign_attrs(viewing=human.attrs["viewing"])

        return scanpaths

    def neva(task: Task, config: NeVAConfig, views: Pictures = pictures) -> NeVA:
        side = int(min(views.images.shape[-2:]))
        return NeVA(task, fovea if views is pictures else fovea_for(side), config)

    fast = Classification(networks.fast)
    blank = dataclasses.replace(pictures, images=torch.full_like(pictures.images, 0.5))
    energy = dataclasses.replace(published, search="oracle")
    return {
        "NeVA classification": look(neva(fast, discounted), target=labels),
        "NeVA classification, published discounting": look(neva(fast, published), target=labels),
        "NeVA reconstruction": look(
            neva(Reconstruction(networks.denoiser), published, small), small
        ),
        "NeVA policy": look(networks.policy, square),
        "NeVA blur energy": look(neva(BlurEnergy(), energy)),
        "blur energy, winner-take-all": look(WinnerTakeAll("blur energy")),
        "Itti-Koch": look(WinnerTakeAll("itti-koch")),
        "spectral residual": look(WinnerTakeAll("spectral residual")),
        "centre bias": look(CentreBiasLooker(human)),
        "centre Gaussian": look(CentreLooker()),
        "random": look(UniformLooker()),
        "control: label of another image": look(neva(fast, published), target=labels.roll(1)),
        "control: untrained network": look(neva(Classification(networks.untrained), published)),
        "control: blank image": look(neva(fast, published, blank), blank, target=labels),
    }
