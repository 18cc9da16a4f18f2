"""What and Where against spatial transformers: maps, the benchmark, and where networks look.

Daucé, Albiges & Perrinet 2020, Journal of Vision 20(8):22, and the transformers that were set
against it (Dabane, Perrinet & Daucé 2022, IJCNN). The published comparison gave the two sides
different noise; here it is drawn so, and with the same noise for all.
"""

import dataclasses
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
import xarray as xr

from attnsci.data.digits import Digits, load_mnist
from attnsci.devices import pick_device
from attnsci.errors import InvalidInput
from attnsci.families.what_where import experiments, figures, galleries, results
from attnsci.families.what_where.experiments import Foveal, Mapped
from attnsci.families.what_where.measure import (
    benchmark_answers,
    map_answers,
    noisy_scene,
    plain_scene,
    record_curves,
)
from attnsci.families.what_where.networks import (
    LARGE,
    TITLES,
    Asked,
    ask_network,
    ask_pathways,
    load_pathways,
)
from attnsci.families.what_where.published import (
    CONTRASTS,
    RADII_PX,
    published_benchmark,
    published_maps,
)
from attnsci.families.zoo import load_model, pretrained_names
from attnsci.papers.output import Result, save_results, save_table
from attnsci.papers.steps import announced
from attnsci.plotting.save import save_figure
from attnsci.plotting.style import style
from attnsci.recording.datasets import save_dataset
from attnsci.reproduction import Request
from attnsci.statistics.proportions import base_rate

TITLE = "What and Where against spatial transformers: acuity over the visual field"
MATCHED, MISMATCHED = 0.75, 1.0
"""Noise of all, and noise of What and Where as published."""
PATHWAYS = {MATCHED: ("what-crop-seed0", "where-seed0"),
            MISMATCHED: ("what-28-noise1-seed0", "where-noise1-seed0")}  # fmt: skip
LEADER = "What/Where, 1 saccade"
RAM, GATING = "ram-mnist-28-seed0", "mnist-2-seed0"


@dataclasses.dataclass(frozen=True)
class Scale:
    """How many of everything."""

    scores: int | None
    """Digits of central and general accuracy; all test digits if None."""
    mapped: int | None
    """Digits at every offset of the maps."""
    stride_px: int
    """Distance of these offsets."""
    shown: int | None
    """Digits at every point of the benchmark."""


SCALES = {
    "quick": Scale(500, 50, 9, 30),
    "default": Scale(None, 200, 3, 300),
    "paper": Scale(None, None, 1, None),
}


class _Bench:
    """What every experiment of a run shares, and what they leave behind."""

    def __init__(self, request: Request) -> None:
        if request.weights:
            raise InvalidInput(
                "what-where compares a fixed set of networks; --weights cannot replace it. Map "
                "one of your own with: attnsci evaluate what-where --model FILE."
            )
        if request.train:
            _train(request)
        self.request, self.scale, self.seed = request, SCALES[request.scale], request.seed
        self.source = request.source or ("full" if request.scale == "paper" else "bundled")
        self.device = pick_device(request.device)
        self.digits: Digits = load_mnist("test", self.source)
        self.folder = request.out / "training" if request.train else None
        self.records: dict[str, dict[str, Any]] = {}
        self.foveal = [
            self._foveal(name)
            for name in pretrained_names()
            if name.rsplit("-seed", 1)[0] in ("what-28", "stn-28", "what-28-noise1")
        ]
        self.found: list[Mapped] = []
        self.written: list[Path] = []
        self.rows: list[Result] = []

    def path(self, name: str) -> str:
        """Return the name of shipped weights, or the file of those just trained."""
        trained = self.folder / name / "last.safetensors" if self.folder else None
        return str(trained) if trained is not None and trained.is_file() else name

    def _foveal(self, name: str) -> Foveal:
        stem, seed = name.rsplit("-seed", 1)
        kind = "stn-28" if stem.startswith("stn") else "what"
        ask, found = ask_network(self.path(name), name, self.device)
        self.records[name] = found.record

        def classify(images: torch.Tensor) -> torch.Tensor:
            return ask(images, images)[name].logits

        return Foveal(name, kind, found.record["training"]["noise"], int(seed), classify)

    def some(self, n: int | None) -> Digits:
        """Return `n` digits, spread over the test digits; all if there are fewer."""
        if n is None or n >= len(self.digits):
            return self.digits
        return self.digits.subset(np.linspace(0, len(self.digits) - 1, n).round().astype(int))

    def title(self, network: Foveal) -> str:
        """Return what a network of 28 pixels is called."""
        name = {"what": "What", "stn-28": "STN"}[network.kind]
        return f"{name}, noise {network.noise:g}, seed {network.seed}"

    def progress(self, label: str) -> str | None:
        """Return the label of a progress bar."""
        return label if sys.stderr.isatty() else None

    def table(self, table: pd.DataFrame, name: str) -> pd.DataFrame:
        """Keep a table on disk."""
        self.written.append(save_table(table, self.request.out / f"{name}.csv"))
        return table

    def save(self, dataset: xr.Dataset, name: str, networks: list[str]) -> None:
        """Write a recording."""
        facts = {
            "paper": "what-where",
            "scale": {"name": self.request.scale, **dataclasses.asdict(self.scale)},
            "networks": {network: load_model(self.path(network)).record for network in networks},
            "data": self.digits.provenance(),
            "seed": self.seed,
        }
        path = self.request.out / "recordings" / f"{name}.zarr"
        self.written.append(save_dataset(dataset, path, facts))

    def draw(self, drawn: Any, name: str) -> None:
        """Write a figure."""
        self.written += save_figure(drawn, self.request.out / name)


def reproduce(request: Request) -> list[Path]:
    """Draw every figure; write numbers, recordings and the table of results.

    Parameters
    ----------
    request : Request
        Scale, folder, seed, device and digits.

    Returns
    -------
    list of pathlib.Path
        Everything written.

    Raises
    ------
    InvalidInput
        If weights are given: the comparison is of a fixed set.
    """
    bench = _Bench(request)
    steps: list[Callable[[_Bench], None]] = [
        _examples, _training, _scores, _maps, _other_families, _transforms, _sensors, _benchmark,
    ]  # fmt: skip
    label = f"what-where, {request.scale} scale"
    for step in announced(steps, label):
        with style():
            step(bench)
    scale = bench.scale
    caption = (
        f"Scale: {request.scale}. Digits: {bench.source} MNIST, test split, checksum "
        f"{bench.digits.checksum[:12]}; n = {len(bench.some(scale.scores)):,} for scores, "
        f"{len(bench.some(scale.mapped)):,} at every {scale.stride_px} px of the maps, "
        f"{len(bench.some(scale.shown)):,} at every point of the benchmark. Seed {request.seed}. "
        "Intervals: 95 %, over digits; of 128 pixels there is one network of each kind. Published "
        "numbers are of 10,000 digits, What/Where of "
        "1,000; theirs put What and Where into noise 1.0 and the transformers into 0.75."
    )
    return bench.written + save_results(bench.rows, request.out / "results.md", TITLE, caption)


def _examples(bench: _Bench) -> None:
    """Scenes of both sizes, by contrast and noise."""
    bench.draw(figures.draw_examples(*galleries.examples(bench.digits, bench.seed)), "examples")


def _training(bench: _Bench) -> None:
    """Draw how the networks learned, from the curves that their weights carry."""
    records = dict(bench.records)
    for stem in ("what-crop", "where", "where-noise1", *LARGE):
        name = f"{stem}-seed0"
        if name in pretrained_names():
            records[name] = load_model(bench.path(name)).record
    curves = bench.table(record_curves(records), "training")
    bench.draw(figures.draw_training(curves, {name: name for name in records}), "training")


def _scores(bench: _Bench) -> None:
    """Score the small networks, the digit central and anywhere, and compare them."""
    digits = bench.some(bench.scale.scores)
    table, correct = experiments.scores(bench.foveal, digits, bench.seed, bench.device)
    bench.table(table, "scores")
    bench.save(correct.to_dataset(), "scores", [n.name for n in bench.foveal])
    bench.rows += results.score_rows(table, {n.name: bench.title(n) for n in bench.foveal})
    gap = bench.table(experiments.difference(correct, bench.foveal, MATCHED), "difference")
    n_seeds = sum(n.kind == "what" and n.noise == MATCHED for n in bench.foveal)
    bench.rows += results.difference_rows(gap, MATCHED, n_seeds)


def _mapped(bench: _Bench, networks: list[Foveal], name: str) -> Mapped:
    """Return the map of networks that differ in their seed, and keep its answers."""
    answers = [
        map_answers(
            network.classify, bench.some(bench.scale.mapped),
            noisy_scene(bench.seed, size=28, noise=network.noise), device=bench.device,
            stride_px=bench.scale.stride_px, progress=bench.progress(f"map of {network.name}"),
        )
        for network in networks
    ]  # fmt: skip
    seeds = pd.Index([network.seed for network in networks], name="seed")
    whole = xr.concat(answers, seeds) if len(answers) > 1 else answers[0]
    stem = networks[0].name.rsplit("-seed", 1)[0]
    bench.save(whole.to_dataset(name="correct"), f"map-{stem}", [n.name for n in networks])
    return experiments.mapped(name, whole)


def _maps(bench: _Bench) -> None:
    """Map accuracy over the visual field, beside the published maps."""
    groups: dict[tuple[str, float], list[Foveal]] = {}
    for network in bench.foveal:
        groups.setdefault((network.kind, network.noise), []).append(network)
    found, kinds, theirs = [], [], published_maps()
    agreement, asymmetries = {}, {}
    for (kind, noise), networks in sorted(groups.items(), key=lambda each: each[0][1]):
        count = f", mean of {len(networks)}" if len(networks) > 1 else ""
        label = {"what": "What", "stn-28": "STN"}[kind]
        one = _mapped(bench, networks, f"{label}, noise {noise:g}{count}")
        found.append(one)
        kinds.append(kind)
        if kind in theirs:
            agreement[one.name] = experiments.compare_maps(one, theirs[kind])
        if bench.scale.stride_px <= 3:
            asymmetries[one.name] = experiments.asymmetry(one)
    bench.found = found
    bench.rows += results.map_rows(found, agreement, asymmetries)
    bench.draw(figures.draw_maps(found, theirs, kinds), "maps")


def _other_families(bench: _Bench) -> None:
    """Map networks of other families by the same function."""
    digits, device = bench.some(bench.scale.mapped), bench.device
    ram, gating = load_model(RAM).model.to(device), load_model(GATING).model.to(device)
    canvas = (gating.config.height, gating.config.width)
    centre = torch.tensor([14.0, 14.0], device=device)

    def glimpses(images: torch.Tensor) -> torch.Tensor:
        return ram.rollout(images, first=centre, policy="mean").logits

    def first_phase(images: torch.Tensor) -> torch.Tensor:
        return gating.run(images, n_phases=1).logits[:, 0, -1]

    stride = bench.scale.stride_px
    by_glimpse = map_answers(
        glimpses, digits, plain_scene((28, 28)), stride_px=stride, device=device
    )
    gated = map_answers(
        first_phase, digits, plain_scene(canvas, 0.3, bench.seed), stride_px=stride, device=device
    )
    bench.save(by_glimpse.to_dataset(name="correct"), "map-ram", [RAM])
    bench.save(gated.to_dataset(name="correct"), "map-object-attention", [GATING])
    others = [
        experiments.mapped("RAM, 1 glimpse", by_glimpse.isel(time=0, drop=True)),
        experiments.mapped("RAM, 6 glimpses", by_glimpse.isel(time=-1, drop=True)),
        experiments.mapped("object attention", gated),
    ]
    bench.rows += results.map_rows(others, {}, {})
    shown = [*bench.found, *others]
    stimuli = ["band-pass noise, 28 px"] * (len(shown) - 3)
    stimuli += ["plain, 28 px"] * 2 + [f"pixel noise, {canvas[0]}×{canvas[1]} px"]
    bench.draw(figures.draw_others(shown, stimuli), "families")


def _transforms(bench: _Bench) -> None:
    """Draw what the transformers look at."""
    names = [f"{stem}-seed0" for stem in LARGE if f"{stem}-seed0" in pretrained_names()]
    models = {
        TITLES[name.rsplit("-seed", 1)[0]]: load_model(bench.path(name)).model for name in names
    }
    large = galleries.transforms(models, bench.digits, bench.seed)
    bench.draw(figures.draw_transforms(large), "transforms-128")
    stn = next((n for n in bench.foveal if n.kind == "stn-28"), None)
    if stn is not None:
        model = load_model(bench.path(stn.name)).model
        small = galleries.transforms({"STN": model}, bench.digits, bench.seed)
        bench.draw(figures.draw_transforms(small), "transforms-28")


def _sensors(bench: _Bench) -> None:
    """Draw a scene as the retinas leave it."""
    bench.draw(figures.draw_sensors(galleries.sensors(bench.digits, bench.seed)), "sensors")


def _benchmark(bench: _Bench) -> None:
    """Draw accuracy by contrast and eccentricity, with noise matched, and as published."""
    transformers: dict[str, Asked] = {}
    names = [f"{stem}-seed0" for stem in LARGE if f"{stem}-seed0" in pretrained_names()]
    for name in names:
        title = TITLES[name.rsplit("-seed", 1)[0]]
        transformers[title] = ask_network(bench.path(name), title, bench.device)[0]
    digits, published = bench.some(bench.scale.shown), published_benchmark()
    chance = base_rate(xr.DataArray(digits.labels, dims="stimulus"))
    told: dict[float, xr.Dataset] = {}
    for noise, (what, where) in PATHWAYS.items():
        eye = ask_pathways(load_pathways(bench.path(what), bench.path(where), bench.device))
        asked = {"eye": eye, **(transformers if noise == MATCHED else {})}
        told[noise] = benchmark_answers(
            asked, digits, contrasts=CONTRASTS, radii_px=RADII_PX, noise=noise, seed=bench.seed,
            device=bench.device, progress=bench.progress(f"benchmark, noise {noise:g}"),
        )  # fmt: skip
        kind = "matched" if noise == MATCHED else "noise1"
        used = [what, where, *(names if noise == MATCHED else [])]
        bench.save(told[noise], f"benchmark-{kind}", used)
    matched = experiments.curves(told[MATCHED]).assign(chance=chance)
    eyes = experiments.curves(told[MISMATCHED]).assign(chance=chance)
    is_eye = matched["model"].str.startswith("What/Where")
    mixed = pd.concat([eyes, matched[~is_eye]], ignore_index=True)
    order = list(dict.fromkeys(matched["model"]))
    for noise, table, name, condition in (
        (MATCHED, matched, "benchmark-matched", "matched noise 0.75"),
        (MISMATCHED, mixed, "benchmark-as-published", "noise as published"),
    ):
        bench.table(results.beside_published(table, published), name)
        bench.draw(figures.draw_benchmark(table, published, order), name)
        pooled = experiments.overall(told[noise], bench.seed)
        bench.rows += results.benchmark_rows(pooled, table, published, condition)
        lead = experiments.leads(told[noise], told[MATCHED], LEADER, bench.seed)
        bench.rows += results.lead_rows(lead, LEADER, published, condition)
    _looking(bench, told[MATCHED])


def _looking(bench: _Bench, answers: xr.Dataset) -> None:
    """Measure landings, calibration, information gain and threshold contrasts."""
    landing = bench.table(experiments.landings(answers), "landing")
    bins, errors = experiments.trust(answers)
    bench.table(bins, "calibration")
    decisions = experiments.gonogo(answers)
    limits = bench.table(experiments.thresholds(answers), "thresholds")
    bench.rows += results.looking_rows(landing, errors, decisions)
    bench.rows += results.threshold_rows(limits.assign(n=answers.sizes["stimulus"]))
    bench.draw(figures.draw_looking(landing, bins), "looking")


def _train(request: Request) -> None:
    """Train every network; those of 128 pixels after the fovea that Where depends on."""
    from attnsci.families.what_where.train import train_all

    train_all(request.out / "training", request)
