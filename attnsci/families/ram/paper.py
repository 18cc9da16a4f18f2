"""RAM: the paper's tables, example glimpses, and what its looking is made of.

Mnih, Heess, Graves & Kavukcuoglu 2014, "Recurrent Models of Visual Attention", NIPS 27, arXiv
1406.6247. The two versions of the paper print different numbers; both stand beside ours.
"""

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import xarray as xr

from attnsci.data.digit_pairs import DigitPairs
from attnsci.data.digits import Digits, load_mnist
from attnsci.data.places import data_folders
from attnsci.data.ram_scenes import PRESETS, ClutteredScenes
from attnsci.devices import pick_device
from attnsci.errors import InvalidInput
from attnsci.families.ram import experiments, figures, results
from attnsci.families.ram.evaluate import write_pictures
from attnsci.families.ram.experiments import Network
from attnsci.families.ram.measure import show
from attnsci.families.ram.networks import load_network
from attnsci.families.zoo import load_model, pretrained_names
from attnsci.papers.output import Result, save_results, save_table
from attnsci.papers.steps import announced
from attnsci.plotting.inhibition import plot_baselines
from attnsci.plotting.save import save_figure
from attnsci.plotting.style import style
from attnsci.recording.datasets import save_dataset
from attnsci.reproduce import Request

TITLE = "RAM: recurrent glimpses, trained by reinforcement"
DEEP, PLAYER = "dram-pairs-seed0", "ram-catch-seed0"


@dataclasses.dataclass(frozen=True)
class Scale:
    """How many of everything."""

    scenes: int | None
    """For every experiment and task; all test digits if None."""
    paths: int
    """Scenes of the scanpath statistics."""
    draws: int
    """Permutations and resamples of these."""
    strengths: tuple[float, ...]
    """Of imposed inhibition."""
    examples: int
    """Scenes drawn, each task."""


SCALES = {
    "quick": Scale(200, 60, 100, (0.0, 2.0), 1),
    "default": Scale(None, 300, 500, (0.0, 0.5, 1.0, 2.0, 4.0), 2),
    "paper": Scale(None, 1000, 1000, (0.0, 0.25, 0.5, 1.0, 2.0, 4.0, 8.0), 3),
}


class _Bench:
    """What every experiment of a run shares, and what they leave behind."""

    def __init__(self, request: Request) -> None:
        self.request, self.scale, self.seed = request, SCALES[request.scale], request.seed
        self.source = request.source or ("full" if request.scale == "paper" else "bundled")
        self.device = pick_device(request.device)
        names = _train(request) if request.train else list(request.weights)
        shipped = tuple(f"ram-{task}" for task in PRESETS)
        names = names or [name for name in pretrained_names() if name.startswith(shipped)]
        self.networks = [Network(name, load_network(name)) for name in names]
        for network in self.networks:
            network.model.to(self.device)
        self.digits: Digits = load_mnist("test", self.source)
        self._clutter = load_mnist("train", self.source)
        self.scenes = {task: self.scenes_of(task, request.seed) for task in PRESETS}
        self.n = min(self.scale.scenes or len(self.digits), len(self.digits))
        self.n_paths = min(self.scale.paths, len(self.digits))
        self.written: list[Path] = []
        self.rows: list[Result] = []
        self.tables: dict[str, pd.DataFrame] = {}

    def scenes_of(self, task: str, seed: int) -> ClutteredScenes:
        """Return the test scenes of a task."""
        return ClutteredScenes(
            self.digits, PRESETS[task], clutter=self._clutter, seed=seed, device=self.device
        )

    @property
    def main(self) -> dict[str, Network]:
        """The network of the figures, by task: six glimpses of its own, else the most; seed 0."""
        chosen: dict[str, Network] = {}
        for task in figures.TITLES:
            mine = [n for n in self.networks if n.task == task and n.gaze == "learned"]
            if mine:
                chosen[task] = min(mine, key=lambda n: (abs(n.n_glimpses - 6), n.seed))
        if not chosen:
            raise InvalidInput("The paper's figures need a RAM network that learned where to look.")
        return chosen

    def siblings(self) -> list[Network]:
        """Return the largest set of networks that differ in their seed only."""
        sets: dict[Any, dict[int, Network]] = {}
        for network in self.networks:
            if network.gaze == "learned":
                epochs = network.pretrained.record.get("training", {}).get("epochs")
                mine = sets.setdefault((network.task, network.n_glimpses, epochs), {})
                mine.setdefault(network.seed, network)
        return list(max(sets.values(), key=len).values())

    def table(self, table: pd.DataFrame, name: str) -> pd.DataFrame:
        """Keep a table, in memory and on disk."""
        self.tables[name] = table
        self.written.append(save_table(table, self.request.out / f"{name}.csv"))
        return table

    def save(self, dataset: xr.Dataset, name: str, *networks: Network) -> None:
        """Write a recording."""
        facts = {
            "paper": "ram",
            "scale": {"name": self.request.scale, **dataclasses.asdict(self.scale)},
            "networks": {network.name: network.pretrained.record for network in networks},
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
        Scale, folder, seed, device, digits and weights.

    Returns
    -------
    list of pathlib.Path
        Everything written.
    """
    bench = _Bench(request)
    steps: list[Callable[[_Bench], None]] = [
        _errors, _published, _examples, _glimpses, _policies, _eccentricity, _core, _returns,
        _similarity, _inhibition, _others,
    ]  # fmt: skip
    label = f"ram, {request.scale} scale"
    for step in announced(steps, label):
        with style():
            step(bench)
    caption = (
        f"Scale: {request.scale}. Digits: {bench.source} MNIST, test split, n = {bench.n:,} of "
        f"{len(bench.digits):,} (checksum {bench.digits.checksum[:12]}). Seed {request.seed}. "
        f"Intervals: 95 %, over scenes. The paper has two versions with different numbers."
    )
    table = save_results(bench.rows, request.out / "results.md", TITLE, caption)
    return bench.written + table


def _errors(bench: _Bench) -> None:
    """Error of every network on its task, beside the paper's."""
    networks = sorted(bench.networks, key=lambda n: (n.task, n.gaze, n.n_glimpses, n.seed))
    table = bench.table(experiments.errors(networks, bench.scenes, bench.n, bench.seed), "errors")
    bench.draw(figures.draw_errors(table), "errors")
    bench.rows += results.error_rows(table)


def _published(bench: _Bench) -> None:
    """Error of the published weights, where they and the full test set are at hand."""
    folders = [folder / "ram" for folder in data_folders() if (folder / "ram").is_dir()]
    if bench.request.scale == "quick" or bench.source != "full" or not folders:
        return
    table = experiments.published(folders[0], bench.scenes_of, (0, 1, 2))
    bench.rows += results.published_rows(bench.table(table, "published"))


def _examples(bench: _Bench) -> None:
    """Glimpses at some scenes of each task: strips, animations and a page."""
    for task, network in bench.main.items():
        scenes = bench.scenes[task]
        shown = show(network.model, scenes, bench.scale.examples, state=True, seed=bench.seed)
        out = bench.request.out / "examples" / task
        bench.written += write_pictures(
            shown, scenes, network.model.config, bench.scale.examples, out, network.name
        )


def _glimpses(bench: _Bench) -> None:
    """Measure what each glimpse adds."""
    parts = []
    for task, network in bench.main.items():
        shown = show(network.model, bench.scenes[task], bench.n, state=True, seed=bench.seed)
        parts.append(experiments.glimpse_curves(shown, bench.seed).assign(task=task))
        bench.save(shown.drop_vars(["hidden", "seen"]), f"glimpses-{task}", network)
    curves = bench.table(pd.concat(parts, ignore_index=True), "glimpses")
    bench.draw(figures.draw_glimpses(curves, bench.tables["errors"]), "glimpses")


def _policies(bench: _Bench) -> None:
    """Measure what the learned policy is worth."""
    parts = []
    for task, network in bench.main.items():
        others = [
            n for n in bench.networks
            if n.task == task and n.gaze == "learned" and n is not network
            and n.n_glimpses >= network.n_glimpses
        ]  # fmt: skip
        table, kept = experiments.policies(
            network, bench.scenes[task], bench.n, others[0] if others else None, bench.seed
        )
        parts.append(table.assign(task=task))
        bench.save(kept, f"policies-{task}", network)
    table = bench.table(pd.concat(parts, ignore_index=True), "policies")
    bench.draw(figures.draw_policies(table), "policies")
    bench.rows += results.policy_rows(table)


def _eccentricity(bench: _Bench) -> None:
    """Error by where the digit is and where looking began."""
    found = {}
    for task, network in bench.main.items():
        shown = show(network.model, bench.scenes[task], bench.n, seed=bench.seed)
        found[task] = experiments.by_eccentricity(shown, bench.scenes[task].config.size / 10)
        for of, result in found[task].items():
            bench.save(result, f"eccentricity-{of.replace(' ', '-')}-{task}", network)
    bench.draw(figures.draw_eccentricity(found), "eccentricity")


def _core(bench: _Bench) -> None:
    """Measure what the core responds to, and what can be read from it."""
    for task in [task for task in ("mnist-28", "cluttered-60") if task in bench.main]:
        network = bench.main[task]
        found = experiments.core(network, bench.scenes[task], bench.n, bench.seed)
        for name in ("fields", "shares", "tuning", "decoded"):
            bench.save(found[name], f"core-{name}-{task}", network)
        bench.draw(figures.draw_core(found), f"core-{task}")
        bench.rows += results.core_rows(found, task)


def _returns(bench: _Bench) -> None:
    """Inhibition of return against nine baselines."""
    networks = bench.siblings()
    task = networks[0].task
    if len(networks) < 2:  # baselines that ask other viewers of the same scene have none
        return
    found = experiments.returns(
        networks, bench.scenes[task], bench.n_paths, bench.scale.draws, bench.seed
    )
    bench.save(found, "returns", *networks)
    bench.table(found.to_dataframe().reset_index(), "returns")
    bench.draw(plot_baselines(found.isel(radius=0)), "returns")
    bench.rows += results.return_rows(found, task)


def _similarity(bench: _Bench) -> None:
    """How like each other scanpaths of networks are that differ in their seed only."""
    networks = bench.siblings()
    if len(networks) < 2:
        return
    task = networks[0].task
    n = min(bench.n_paths, 100)
    table = bench.table(
        experiments.similarity(networks, bench.scenes[task], n, bench.scale.draws, bench.seed),
        "similarity",
    )
    bench.draw(figures.draw_similarity(table), "similarity")
    bench.rows += results.similarity_rows(table, task)


def _inhibition(bench: _Bench) -> None:
    """Whether imposed inhibition of return helps."""
    parts = [
        experiments.imposed_inhibition(
            network, bench.scenes[task], bench.n, bench.scale.strengths, bench.seed
        ).assign(task=task)
        for task, network in bench.main.items()
    ]
    table = bench.table(pd.concat(parts, ignore_index=True), "inhibition")
    bench.draw(figures.draw_inhibition(table), "inhibition")
    bench.rows += results.inhibition_rows(table)


def _others(bench: _Bench) -> None:
    """Measure the deep network on pairs of digits, and the one that plays Catch."""
    deep = load_model(DEEP).model.to(bench.device)
    scenes = DigitPairs(bench.digits, seed=bench.seed, device=bench.device)
    read = bench.table(experiments.pairs(deep, scenes, bench.n, bench.seed), "pairs")
    player = load_model(PLAYER).model.to(bench.device)
    played = bench.table(experiments.catch(player, bench.n, bench.seed), "catch")
    bench.rows += results.pair_rows(read) + results.catch_rows(played)


def _train(request: Request) -> list[str]:
    """Train a network for each task that fits a laptop; return their weights' paths."""
    from attnsci.families.ram.objective import RAMObjective
    from attnsci.families.ram.recipes import PRESETS as RECIPES
    from attnsci.training.configs import fast_trainer
    from attnsci.training.trainer import Trainer

    paths = []
    for name, seed in (
        ("mnist-28", 0), ("mnist-28", 1), ("mnist-28", 2), ("translated-60", 0),
        ("cluttered-60", 0),
    ):  # fmt: skip
        recipe = dataclasses.replace(RECIPES[name], seed=seed, source=request.source or "full")
        out = request.out / "training" / f"{name}-seed{seed}"
        settings = fast_trainer(recipe, device=request.device)
        Trainer(RAMObjective(recipe), out, settings).fit()
        paths.append(str(out / "last.safetensors"))
    return paths
