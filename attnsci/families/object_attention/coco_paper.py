"""The photograph half of the object-attention paper: COCO, or a file of its format.

Lei, Benjamin and Kording (2021), Object Based Attention Through Internal Gating, arXiv 2106.04540.
"""

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
import xarray as xr

from attnsci.analysis.selection import summarise
from attnsci.data.bars import COLUMN_SHIFTS, ORIENTATIONS_DEG, ROW_SHIFTS, WIDTHS, BarScenes
from attnsci.data.coco import load_coco_pairs
from attnsci.data.coco_pairs import ObjectPairs
from attnsci.data.coco_scenes import CocoScenes
from attnsci.data.digit_scenes import DigitScenes, spread
from attnsci.data.digits import load_mnist
from attnsci.data.places import search_roots
from attnsci.data.registry import get_dataset
from attnsci.devices import pick_device
from attnsci.errors import DatasetNotFound, InvalidInput
from attnsci.families.object_attention import coco_experiments as experiments
from attnsci.families.object_attention import coco_figures as figures
from attnsci.families.object_attention.coco_commands import load_split
from attnsci.families.object_attention.coco_measure import as_photographs
from attnsci.families.object_attention.coco_objective import CocoObjective
from attnsci.families.object_attention.coco_recipes import PRESETS
from attnsci.families.object_attention.coco_results import result_rows
from attnsci.families.object_attention.commands import load_network
from attnsci.families.object_attention.measure import BATCH, show_bars, show_scenes
from attnsci.families.object_attention.paper import DISTRACTOR, gallery_examples
from attnsci.families.zoo import load_model, pretrained_names
from attnsci.models.weights import Pretrained
from attnsci.papers.output import save_results, save_table
from attnsci.papers.paper import Drawn, Request
from attnsci.papers.steps import announced
from attnsci.plotting.save import save_figure
from attnsci.plotting.style import style
from attnsci.provenance import state_hash
from attnsci.recording.datasets import save_dataset
from attnsci.training.configs import fast_trainer
from attnsci.training.report import train_and_draw

TITLE = "Object-based attention by internal gating: photographs"
PUBLISHED_AREA = 0.1
DIGITS = "mnist-2-seed0"
N_EXAMPLES = 5


@dataclasses.dataclass(frozen=True)
class Scale:
    """How many of everything."""

    photographs: int
    """Shown to each network, at most."""
    digits: int
    """Scenes of digits beside them."""
    orientations_deg: tuple[float, ...]
    """Of the bars."""
    widths: tuple[float, ...]
    """Of the bars."""
    row_shifts: tuple[int, ...]
    """Of the bars."""
    column_shifts: tuple[int, ...]
    """Of the bars."""


SCALES = {
    "quick": Scale(48, 100, ORIENTATIONS_DEG[:-1:2], WIDTHS[2:3], ROW_SHIFTS[2::3], (4, 2, 0)),
    "default": Scale(1000, 400, ORIENTATIONS_DEG[:-1], WIDTHS[2:3], ROW_SHIFTS[::3], (4, 2, 0)),
    "paper": Scale(1_000_000, 10_000, ORIENTATIONS_DEG[:-1], WIDTHS, ROW_SHIFTS, COLUMN_SHIFTS),
}


@dataclasses.dataclass(frozen=True)
class _Shown:
    """What one network did with one set of photographs."""

    network: Pretrained
    name: str
    pairs: ObjectPairs
    data: xr.Dataset

    @property
    def label(self) -> dict[str, Any]:
        """Columns that tell its rows apart."""
        return {
            "network": self.name,
            "trained": bool(self.network.record),
            "min_area": self.pairs.rule.min_area,
        }


def name_of(network: Pretrained, path: str) -> str:
    """Return how tables call a network."""
    seed = network.record.get("seed")
    return Path(path).stem if seed is None else f"coco, seed {seed}"


def photographs_of(request: Request) -> tuple[Path, Path]:
    """Return the folder of photographs and the file of their objects.

    Raises
    ------
    DatasetNotFound
        If none were given, and COCO's validation set is not on this machine.
    """
    if request.images is not None and request.annotations is not None:
        return request.images, request.annotations
    dataset = get_dataset("coco-2017-val")
    for root in search_roots(dataset):
        found = root / "val2017", root / "annotations" / "instances_val2017.json"
        if all(path.exists() for path in found):
            return found
    raise DatasetNotFound(
        "This paper needs photographs of two objects, and none are on this machine. Give "
        "--images DIR --annotations FILE (COCO's format, with masks), or get COCO's validation "
        "set: attnsci datasets get coco-2017-val --accept"
    )


def reproduce(request: Request) -> list[Path]:
    """Draw the photograph half of the paper; write its numbers and results.

    Parameters
    ----------
    request : Request
        Networks that say what they were trained on are shown
        photographs that they never saw, by `attnsci.data.split_of`; others (the published
        checkpoint) are shown all.

    Returns
    -------
    list of pathlib.Path
        Everything written.

    Raises
    ------
    DatasetNotFound
        If there are no photographs.
    InvalidInput
        If there are no networks for photographs.
    """
    images, annotations = photographs_of(request)
    scale, out, device = SCALES[request.scale], request.out, pick_device(request.device)
    networks = _networks(request, images, annotations)
    label = f"object-attention, photographs, {request.scale} scale"
    everything = [
        _show(network, name, images, annotations, area, scale, device)
        for name, network in networks.items()
        for area in _areas(network)
    ]
    # Of the first network, with its own rule: more photographs, and what it was trained for.
    main = [shown for shown in everything if shown.network is everything[0].network][-1]
    facts = {
        "paper": "object-attention",
        "scale": {"name": request.scale, **dataclasses.asdict(scale)},
        "seed": request.seed,
    }
    tables = _tables(everything, request.seed)
    written = [
        save_dataset(
            shown.data,
            out / "recordings" / f"photographs-{_stem(shown)}.zarr",
            {
                **facts,
                "weights": shown.network.record,
                "weights_hash": state_hash(shown.network.model.state_dict()),
                "data": shown.pairs.provenance(),
            },
        )
        for shown in everything
    ]
    steps = {
        "side by side": _side_by_side, "maps": _maps, "categories": _categories, "tuning": _tuning,
    }  # fmt: skip
    for step in announced(list(steps), label):
        with torch.random.fork_rng(devices=[]), style():
            written += steps[step](main, request, tables, facts)
    written += [save_table(table, out / f"{name}.csv") for name, table in tables.items()]
    caption = (
        f"Scale: {request.scale}. Photographs: {main.pairs.annotations} (checksum "
        f"{main.pairs.checksum[:12]}), pairs of objects, at most {scale.photographs:,} a network. "
        f"Seed {request.seed}. Network of the figures: {main.name}, objects above "
        f"{main.pairs.rule.min_area:.0%}, n = {main.data.sizes['stimulus']}. Intervals: 95 %, "
        "over photographs. The published numbers are of other photographs."
    )
    return written + save_results(result_rows(tables), out / "results.md", TITLE, caption)


def _networks(request: Request, images: Path, annotations: Path) -> dict[str, Pretrained]:
    names = [_train(request, images, annotations)] if request.train else []
    names = names or list(request.weights)
    names = names or [name for name in pretrained_names() if name.startswith("coco-")]
    if not names:
        raise InvalidInput(
            "No network for photographs comes with this version. Train one (attnsci train "
            "object-attention-coco) and give it by --weights FILE."
        )
    found: dict[str, Pretrained] = {}
    for path in names:
        network = load_network(path)
        if network.model.config.channels[0] != 3:
            raise InvalidInput(f"{path} reads grey images; photographs need one for colour.")
        if name_of(network, path) in found:
            raise InvalidInput(f"Two networks are called {name_of(network, path)}; give one.")
        found[name_of(network, path)] = network
    return found


def _train(request: Request, images: Path, annotations: Path) -> str:
    """Train a network, as published at paper scale, else the small recipe; return its path."""
    preset = "coco" if request.scale == "paper" else "coco-small"
    training = dataclasses.replace(PRESETS[preset], seed=request.seed)
    out = request.out / "training" / f"{preset}-seed{request.seed}"
    parts = [load_split(training, images, annotations, part) for part in ("train", "val")]
    settings = fast_trainer(training, device=request.device)
    train_and_draw(CocoObjective(training, *parts), out, settings)
    # The last weights, with which the step size ends: few photographs choose no best ones.
    return str(out / "last.safetensors")


def _areas(network: Pretrained) -> list[float]:
    """Return the published rule's share of the photograph, and that of the network's recipe."""
    own = network.record.get("training", {}).get("min_area", PUBLISHED_AREA)
    return sorted({PUBLISHED_AREA, float(own)}, reverse=True)


def _show(
    network: Pretrained,
    name: str,
    images: Path,
    annotations: Path,
    min_area: float,
    scale: Scale,
    device: torch.device,
) -> _Shown:
    network.model.to(device)
    pairs = load_coco_pairs(
        images,
        annotations,
        min_area=min_area,
        size=network.model.config.height,
        split="test" if network.record else None,
    )
    if max(pairs.classes) + 1 > network.model.config.n_classes:
        raise InvalidInput(
            f"{name} tells {network.model.config.n_classes} classes apart, and the photographs "
            f"have {max(pairs.classes) + 1}."
        )
    majority = int(np.bincount(pairs.labels.ravel()).argmax())
    data = experiments.show_photographs(
        network.model,
        CocoScenes(pairs, device=device),
        scale.photographs,
        majority,
        progress=f"{name}, above {min_area:.0%}",
    )
    return _Shown(network, name, pairs, data)


def _stem(shown: _Shown) -> str:
    name = shown.name.replace(", ", "-").replace(" ", "")
    return f"{name}-{shown.pairs.rule.min_area * 100:g}"


def _tables(everything: list[_Shown], seed: int) -> dict[str, pd.DataFrame]:
    """Return scores, gates and selection of every network and rule."""
    parts: dict[str, list[pd.DataFrame]] = {"scores": [], "gates": [], "selection": []}
    for shown in everything:
        n_classes = shown.network.model.config.n_classes
        parts["scores"].append(
            experiments.score_table(shown.data, n_classes, seed=seed).assign(**shown.label)
        )
        parts["gates"].append(experiments.gate_table(shown.data, seed=seed).assign(**shown.label))
        parts["selection"].append(summarise(shown.data, seed=seed).assign(**shown.label))
    return {
        name: experiments.with_means_over_seeds(pd.concat(each, ignore_index=True))
        for name, each in parts.items()
    }


def _side_by_side(
    main: _Shown, request: Request, tables: dict[str, pd.DataFrame], facts: Mapping[str, Any]
) -> list[Path]:
    """Examples and gates of digits beside those of photographs, as the paper has them."""
    out, device = request.out, next(main.network.model.parameters()).device
    digits = load_model(DIGITS)
    digits.model.to(device)
    scenes = DigitScenes(load_mnist("test", "bundled"), seed=request.seed, device=device)
    n = min(SCALES[request.scale].digits, len(scenes))
    beside = show_scenes(digits.model, scenes.batches(BATCH, n), progress="digits")
    few = scenes[spread(N_EXAMPLES, len(scenes))]
    photographs = CocoScenes(main.pairs, device=device)
    examples = gallery_examples(
        main.network.model, photographs[spread(min(N_EXAMPLES, len(main.pairs)), len(main.pairs))]
    )
    names = np.vectorize(lambda label: main.pairs.classes.get(int(label), str(label)))
    named = examples.assign(
        prediction=(("stimulus", "phase"), names(examples["prediction"].values))
    )
    written = save_figure(
        figures.draw_galleries(gallery_examples(digits.model, few), named), out / "gallery"
    )
    return written + save_figure(figures.draw_gates(beside, main.data), out / "gates")


def _maps(
    main: _Shown, request: Request, tables: dict[str, pd.DataFrame], facts: Mapping[str, Any]
) -> list[Path]:
    """Where inhibition lies, which class is taken for which, and the scores' controls."""
    out = request.out
    counts = experiments.confusion(main.data, main.pairs.classes)
    tables["confusion"] = counts.to_dataframe().reset_index()
    scores = tables["scores"]
    own = scores[scores["min_area"] == main.pairs.rule.min_area]
    return [
        *save_figure(figures.draw_inhibition(main.data), out / "inhibition"),
        *save_figure(figures.draw_confusion(counts), out / "confusion"),
        *save_figure(figures.draw_scores(own), out / "scores"),
    ]


def _categories(
    main: _Shown, request: Request, tables: dict[str, pd.DataFrame], facts: Mapping[str, Any]
) -> list[Path]:
    """Which categories the channels of each level prefer."""
    units, levels = experiments.category_tuning(main.data, main.pairs.classes, seed=request.seed)
    tables["category_levels"] = levels
    if len(units):
        tables["category_units"] = units
    return save_figure(figures.draw_categories(units, levels), request.out / "categories")


def _tuning(
    main: _Shown, request: Request, tables: dict[str, pd.DataFrame], facts: Mapping[str, Any]
) -> list[Path]:
    """Orientation tuning of every level, the bar attended and not."""
    model, scale, out = main.network.model, SCALES[request.scale], request.out
    bundled = load_mnist("train", "bundled")
    bars = BarScenes(
        bundled.images[np.flatnonzero(bundled.index == DISTRACTOR)[0]],
        device=next(model.parameters()).device,
        orientations_deg=scale.orientations_deg,
        widths=scale.widths,
        row_shifts=scale.row_shifts,
        column_shifts=scale.column_shifts,
    )
    shown = show_bars(
        model, as_photographs(bars.batches(BATCH), model.config.height), progress="bars"
    )
    tables["orientation_gain"] = experiments.orientation_gain(
        shown, model.config.strength, seed=request.seed
    )
    levels = {level: shown.sizes[f"channel_{level}"] for level in main.data["level"].values}
    tables["tuning"] = pd.concat(
        [
            figures.tuning_units(shown, level).to_dataframe("activation").assign(level=level)
            for level in levels
        ]
    ).reset_index()
    path = save_dataset(
        shown,
        out / "recordings" / "bars.zarr",
        {**facts, "weights": main.network.record, "stimuli": bars.provenance()},
    )
    return [
        path,
        *save_figure(figures.draw_tuning(shown, levels), out / "tuning"),
        *save_figure(figures.draw_all_tuning(shown, levels), out / "tuning-all"),
    ]


def _lacks(request: Request) -> str:
    """Return what is missing where there are no photographs."""
    try:
        photographs_of(request)
    except DatasetNotFound as error:
        return str(error)
    return ""


PAPER = Drawn(reproduce, _lacks)
