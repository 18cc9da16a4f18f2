"""The object-attention paper: its digit half; that of photographs stands in `coco_paper`.

Lei, Benjamin and Kording (2021), Object Based Attention Through Internal Gating, arXiv 2106.04540.
"""

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
import xarray as xr

from attnsci.analysis.selection import order_bias, summarise
from attnsci.data.bars import WIDTHS, BarScenes
from attnsci.data.digit_scenes import DigitScenes, spread
from attnsci.data.digits import Digits, load_mnist
from attnsci.data.stimuli import ObjectScenes
from attnsci.devices import pick_device
from attnsci.errors import InvalidInput
from attnsci.families.object_attention import attention_gain, figures
from attnsci.families.object_attention.commands import load_network
from attnsci.families.object_attention.experiments import (
    ablation_table,
    accuracy_by_weight,
    cue_by_template,
    cue_swapped_tuning,
    gate_convergence,
    lone_digit_sweep,
    order_balanced_tuning,
)
from attnsci.families.object_attention.measure import BATCH, show_bars, show_scenes
from attnsci.families.object_attention.network import ObjectAttention
from attnsci.families.object_attention.results import PUBLISHED_BY_WEIGHT, result_rows
from attnsci.families.zoo import load_model, pretrained_names
from attnsci.models.weights import Pretrained
from attnsci.papers.output import save_results, save_table
from attnsci.papers.paper import Drawn, Request
from attnsci.papers.steps import announced
from attnsci.plotting.save import save_figure
from attnsci.plotting.scenes import plot_gallery
from attnsci.plotting.style import style
from attnsci.recording.datasets import save_dataset

TITLE = "Object-based attention by internal gating: digits"
DISTRACTOR = 501
"""Bundled position of MNIST's training digit 6, the "1" beside the paper's bars."""

N_EXAMPLES = 5


@dataclasses.dataclass(frozen=True)
class Scale:
    """How many of everything."""

    scenes: int
    """For accuracy, gates and order, each network."""
    control_scenes: int
    """For each ablation, cue and convergence."""
    lone_digits: int
    """At each offset of the position sweep."""
    lone_step_px: int
    """Between offsets of the position sweep."""
    bar_widths: tuple[float, ...]
    """Widths of the bars; each comes at 66 positions and 20 orientations."""
    sweep_networks: int
    """Networks for each Φ."""
    sweep_scenes: int
    """For each network of the Φ figure."""


SCALES = {
    "quick": Scale(400, 200, 100, 7, WIDTHS[2:3], 2, 100),
    "default": Scale(1000, 500, 200, 2, WIDTHS, 5, 300),
    "paper": Scale(10_000, 1500, 1000, 1, WIDTHS, 5, 1500),
}


@dataclasses.dataclass(frozen=True)
class _Bench:
    """What every experiment of a run shares."""

    request: Request
    scale: Scale
    networks: tuple[Pretrained, ...]
    digits: Digits
    device: torch.device

    @property
    def main(self) -> Pretrained:
        """The network of the figures: of those for pairs the best in validation."""
        pairs = [network for network in self.networks if network.model.config.n_phases == 2]
        return max(pairs, key=lambda network: network.record["metrics"]["accuracy"])

    def scenes(self, n_objects: int = 2) -> DigitScenes:
        """Return the test scenes."""
        return DigitScenes(
            self.digits, seed=self.request.seed, n_objects=n_objects, device=self.device
        )

    def facts(self, network: Pretrained, **more: Any) -> dict[str, Any]:
        """Return the provenance of a recording of `network`."""
        return {
            "paper": "object-attention",
            "scale": {"name": self.request.scale, **dataclasses.asdict(self.scale)},
            "weights": network.record,
            "data": self.digits.provenance(),
            "seed": self.request.seed,
            **more,
        }

    def save(self, dataset: xr.Dataset, name: str, network: Pretrained, **more: Any) -> Path:
        """Write a recording."""
        path = self.request.out / "recordings" / f"{name}.zarr"
        return save_dataset(dataset, path, self.facts(network, **more))

    def caption(self) -> str:
        """Say what the numbers stand on."""
        return (
            f"Scale: {self.request.scale}. Digits: {self.digits.source} MNIST, "
            f"{self.digits.split} split, n = {len(self.digits):,} "
            f"(checksum {self.digits.checksum[:12]}). Seed {self.request.seed}. "
            f"Network of the figures: {name_of(self.main)}. Intervals: 95 %."
        )


def name_of(network: Pretrained) -> str:
    """Return how tables call a network."""
    training = network.record["training"]
    return f"mnist-{training['n_objects']}, seed {network.record['seed']}"


def reproduce(request: Request) -> list[Path]:
    """Draw every figure of the paper and its controls; write numbers and results.

    Parameters
    ----------
    request : Request
        Scale, folder, seed, device, digits and weights.

    Returns
    -------
    list of pathlib.Path
        Everything written.
    """
    bench = _bench(request)
    written: list[Path] = []
    steps = {
        "selection": _selection, "gallery": _gallery, "tuning": _tuning, "controls": _controls,
        "sweep": _sweep,
    }  # fmt: skip
    tables: dict[str, pd.DataFrame] = {}
    for step in announced(list(steps), f"object-attention, {request.scale} scale"):
        with torch.random.fork_rng(devices=[]), style():
            written += steps[step](bench, tables)
    rows = result_rows(tables)
    return written + save_results(rows, request.out / "results.md", TITLE, bench.caption())


def _bench(request: Request) -> _Bench:
    source = request.source or ("full" if request.scale == "paper" else "bundled")
    names = _train(request) if request.train else list(request.weights)
    names = names or [name for name in pretrained_names() if name.startswith("mnist-")]
    device = pick_device(request.device)
    networks = tuple(load_network(name) for name in names)
    for network in networks:
        network.model.to(device)
    if not any(network.model.config.n_phases == 2 for network in networks):
        raise InvalidInput("The paper's figures need at least one network for pairs of digits.")
    labels = [name_of(network) for network in networks]
    if len(set(labels)) < len(labels):
        raise InvalidInput(
            "Networks are told apart by the number of digits and the seed, and some of these share "
            f"both: {'; '.join(labels)}. Give one of each, or reproduce them one by one."
        )
    return _Bench(request, SCALES[request.scale], networks, load_mnist("test", source), device)


def _save_tables(tables: dict[str, pd.DataFrame], names: tuple[str, ...], out: Path) -> list[Path]:
    return [save_table(tables[name], out / f"{name}.csv") for name in names]


def _train(request: Request) -> list[str]:
    """Train three networks for pairs and one for triples; return their weights' paths."""
    from attnsci.families.object_attention.objective import GatingObjective
    from attnsci.families.object_attention.recipes import PRESETS
    from attnsci.training.configs import TrainerConfig
    from attnsci.training.trainer import Trainer

    paths = []
    for preset, seed in [("mnist-2", 0), ("mnist-2", 1), ("mnist-2", 2), ("mnist-3", 0)]:
        source = request.source or "full"
        recipe = dataclasses.replace(PRESETS[preset], seed=seed, source=source)
        out = request.out / "training" / f"{preset}-seed{seed}"
        Trainer(GatingObjective(recipe), out, TrainerConfig(device=request.device)).fit()
        paths.append(str(out / "best.safetensors"))
    return paths


def _selection(bench: _Bench, tables: dict[str, pd.DataFrame]) -> list[Path]:
    """Accuracy, gates, overlap and order of every network."""
    out, summaries, orders, written = bench.request.out, [], [], []
    for network in bench.networks:
        n_objects = network.model.config.n_phases
        scenes = bench.scenes(n_objects)
        shown = show_scenes(
            network.model,
            scenes.batches(BATCH, bench.scale.scenes),
            progress=name_of(network),
        )
        name = name_of(network)
        label = {"network": name, "n_objects": n_objects}
        summaries.append(summarise(shown, seed=bench.request.seed).assign(**label))
        orders.append(order_bias(shown).assign(**label))
        stem = f"scenes-{name.replace(', ', '-').replace(' ', '')}"
        written.append(bench.save(shown, stem, network, stimuli=scenes.provenance()))
        if network is bench.main:
            tables["effect"] = attention_gain.gate_effect(shown, seed=bench.request.seed)
            written += save_figure(figures.draw_gates(shown), out / "gates")
    tables["selection"] = pd.concat(summaries, ignore_index=True)
    tables["order"] = pd.concat(orders, ignore_index=True)
    tables["main"] = pd.DataFrame({"network": [name_of(bench.main)]})
    return written + _save_tables(tables, ("selection", "order"), out)


def _gallery(bench: _Bench, tables: dict[str, pd.DataFrame]) -> list[Path]:
    """Five scenes through the phases, for pairs and for triples."""
    written = []
    for network in {
        net.model.config.n_phases: net for net in (*bench.networks, bench.main)
    }.values():
        every = bench.scenes(network.model.config.n_phases)
        examples = gallery_examples(network.model, every[spread(N_EXAMPLES, len(every))])
        name = "gallery" if network is bench.main else f"gallery-{network.model.config.n_phases}"
        written.append(bench.save(examples, name, network))
        written += save_figure(plot_gallery(examples), bench.request.out / name)
    return written


def gallery_examples(model: ObjectAttention, scenes: ObjectScenes) -> xr.Dataset:
    """Return what `plot_gallery` draws of `scenes`; of photographs in colour."""
    with torch.no_grad():
        trajectory = model.run(scenes.image)
    grey = scenes.image.shape[1] == 1
    colour = () if grey else ("channel",)

    def seen(maps: torch.Tensor) -> np.ndarray:
        """Return maps (…, C, y, x) with their colours last, or without their only one."""
        last = maps[..., 0, :, :] if grey else maps.movedim(-3, -1).clamp(0, 1)
        return np.asarray(last.cpu())

    places = ("stimulus", "phase", "y", "x")
    return xr.Dataset(
        {
            "image": (("stimulus", "y", "x", *colour), seen(scenes.image)),
            "gated_input": ((*places, *colour), seen(trajectory.masked_input)),
            "gate": (places, trajectory.gates[0][:, :, 0].cpu().numpy()),
            "inhibition": (places, trajectory.ior[0][:, :, 0].float().cpu().numpy()),
            "prediction": (places[:2], trajectory.prediction.cpu().numpy()),
        },
        coords={"stimulus": scenes.metadata["index"].numpy()},
    )


def _tuning(bench: _Bench, tables: dict[str, pd.DataFrame]) -> list[Path]:
    """Orientation tuning, attended and not: as published, balanced, and with the cue exchanged."""
    out, model = bench.request.out, bench.main.model
    bundled = load_mnist("train", "bundled")
    distractor = bundled.images[np.flatnonzero(bundled.index == DISTRACTOR)[0]]
    shown = {}
    for side, mirrored in (("left", False), ("right", True)):
        bars = BarScenes(
            distractor,
            device=bench.device,
            widths=bench.scale.bar_widths,
            mirrored=mirrored,
        )
        shown[side] = show_bars(model, bars.batches(66), progress=f"bars {side}")
    balanced = order_balanced_tuning(shown["left"], shown["right"])
    few = BarScenes(distractor, device=bench.device, widths=WIDTHS[2:3])
    swapped = cue_swapped_tuning(model, few)
    tables |= attention_gain.tables(
        shown["left"], balanced, swapped, model.config.strength, seed=bench.request.seed
    )
    recordings = {"bars": shown["left"], "bars-mirrored": shown["right"], "cue-swapped": swapped}
    written = [bench.save(data, name, bench.main) for name, data in recordings.items()]
    written += _save_tables(tables, ("gain_statistics", "gain_effects", "invariance"), out)
    units = pd.concat(
        [
            figures.tuning_units(shown["left"], level)
            .to_dataframe("activation")
            .assign(level=level)
            for level in figures.UNITS
        ]
    ).reset_index()
    written.append(save_table(units, out / "tuning.csv"))
    written += save_figure(figures.draw_tuning(shown["left"]), out / "tuning")
    gain = figures.draw_gain(
        shown["left"],
        tables["gain_effects"],
        1 / (1 - model.config.strength),
        attention_gain.biology(),
    )
    return written + save_figure(gain, out / "gain")


def _controls(bench: _Bench, tables: dict[str, pd.DataFrame]) -> list[Path]:
    """Run what the paper lacks: ablations, lone digits, template cues, order, convergence."""
    out, model, scale = bench.request.out, bench.main.model, bench.scale
    seed, scenes = bench.request.seed, bench.scenes()
    tables["ablations"] = ablation_table(model, scenes, scale.control_scenes, seed=seed)
    widest = model.config.width - bench.digits.images.shape[2]
    offsets = sorted({*range(0, widest, scale.lone_step_px), widest})
    tables["lone"] = lone_digit_sweep(
        model, bench.digits, scale.lone_digits, offsets=offsets, seed=seed
    )
    tables["cues"] = cue_by_template(model, scenes, scale.control_scenes, seed=seed)
    moved = gate_convergence(model, scenes, min(scale.control_scenes, 200))
    order = tables["order"]
    order = order[order["network"] == name_of(bench.main)]
    drawn = figures.draw_controls(tables["ablations"], tables["lone"], tables["cues"], order, moved)
    written = [bench.save(moved, "convergence", bench.main)]
    written += _save_tables(tables, ("ablations", "lone", "cues"), out)
    return written + save_figure(drawn, out / "controls")


def _sweep(bench: _Bench, tables: dict[str, pd.DataFrame]) -> list[Path]:
    """Test the shipped networks of the Φ sweep."""
    names = [name for name in pretrained_names() if name.startswith("phi-")]
    loaded = [load_model(name) for name in names]
    networks = [each for each in loaded if each.record["seed"] < bench.scale.sweep_networks]
    for network in networks:
        network.model.to(bench.device)
    scores, table = accuracy_by_weight(
        networks, bench.digits, bench.scale.sweep_scenes, seed=bench.request.seed
    )
    steps = int(loaded[0].record["metrics"]["step"]) + 1
    tables["phi"] = table.assign(training_steps=steps)
    out = bench.request.out
    written = [bench.save(scores, "phi", loaded[0], networks=[each.record for each in loaded])]
    written += _save_tables(tables, ("phi",), out)
    drawn = figures.draw_accuracy_by_weight(tables["phi"], PUBLISHED_BY_WEIGHT, steps)
    return written + save_figure(drawn, out / "phi")


PAPER = Drawn(reproduce)
