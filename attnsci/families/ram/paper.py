"""RAM: the paper's tables, example glimpses, and what its looking is made of.

Mnih, Heess, Graves & Kavukcuoglu 2014, "Recurrent Models of Visual Attention", NIPS 27, arXiv
1406.6247. The two versions of the paper print different numbers; both stand beside ours.
"""

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import torch
import xarray as xr

from attnsci.data.digit_pairs import DigitPairs
from attnsci.data.digits import Digits, load_mnist
from attnsci.data.places import data_folders
from attnsci.data.ram_scenes import PRESETS, ClutteredScenes
from attnsci.data.stimuli import Some, some
from attnsci.devices import pick_device
from attnsci.errors import InvalidInput
from attnsci.experiments import answers, gaze, recurrent_core, rings
from attnsci.experiments.outcome import Outcome, percent_wrong, row, tabled, together
from attnsci.families.ram import figures
from attnsci.families.ram.catch_objective import evaluate_catch
from attnsci.families.ram.dram_objective import evaluate_dram
from attnsci.families.ram.looks import Looks, scanpaths_of
from attnsci.families.ram.network import RAM
from attnsci.families.ram.networks import Network, load_network
from attnsci.families.ram.objective import RAMObjective
from attnsci.families.ram.pictures import write_pictures
from attnsci.families.ram.policies import InhibitedPolicy, ReplayPolicy, SaliencyPolicy
from attnsci.families.ram.recipes import PRESETS as RECIPES
from attnsci.families.zoo import load_model, pretrained_names
from attnsci.papers.paper import Paper, Request, Run, Say, Step
from attnsci.provenance import state_hash
from attnsci.recording.responses import collect
from attnsci.statistics.estimates import bootstrap
from attnsci.statistics.significance import wilson
from attnsci.training.configs import fast_trainer
from attnsci.training.trainer import Trainer

DEEP, PLAYER, CHANCE = "dram-pairs-seed0", "ram-catch-seed0", 0.1
METRICS = ("scanmatch", "dtw", "frechet", "edit_distance")
PAIRS, CATCH = "pairs misread (%)", "balls missed (%)"


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


class Subject:
    """Networks, and the scenes that all of a task are shown."""

    def __init__(self, run: Run) -> None:
        request = run.request
        self.run, self.seed, self.device = run, run.seed, pick_device(request.device)
        self.source = request.source or ("full" if request.scale == "paper" else "bundled")
        shipped = tuple(f"ram-{task}" for task in PRESETS)
        names = _train(request) if request.train else list(request.weights)
        names = names or [name for name in pretrained_names() if name.startswith(shipped)]
        self.networks = [load_network(name) for name in names]
        self.deep, self.player = (load_model(name).model for name in (DEEP, PLAYER))
        for model in (*(network.model for network in self.networks), self.deep, self.player):
            model.to(self.device)
        self.digits: Digits = load_mnist("test", self.source)
        self._clutter = load_mnist("train", self.source)
        self.n = min(run.scale.scenes or len(self.digits), len(self.digits))
        self.n_paths = min(run.scale.paths, len(self.digits))
        self.main = self._main()

    def scenes(self, task: str, n: int | None = None, seed: int | None = None) -> Some:
        """Return test scenes of a task, by default those of the experiments."""
        whole = ClutteredScenes(
            self.digits, PRESETS[task], clutter=self._clutter, device=self.device,
            seed=self.seed if seed is None else seed,
        )  # fmt: skip
        return some(whole, n or self.n)

    def looks(self, network: Network, n: int | None = None, **settings: Any) -> Looks:
        """Return how a network is asked about the scenes of its task."""
        return Looks(network.model, n or self.n, **{"seed": self.seed, **settings})

    def paths(self, network: Network, n: int, seed: int, observer: str, skip: int = 0) -> Any:
        """Return the scanpaths of a network at `n` scenes, without the first `skip` glimpses."""
        responses = collect(self.looks(network, n, seed=seed), self.scenes(network.task, n))
        later = responses.isel(time=slice(skip, None))
        return scanpaths_of(later, observer, PRESETS[network.task].size)

    def _main(self) -> dict[str, Network]:
        """Return the network of the figures by task: of six glimpses, else the most; seed 0."""
        networks: dict[str, Network] = {}
        for task in figures.TITLES:
            learned = [n for n in self.learned if n.task == task]
            if learned:
                networks[task] = min(learned, key=lambda n: (abs(n.n_glimpses - 6), n.seed))
        if not networks:
            raise InvalidInput("The paper's figures need a RAM network that learned where to look.")
        return networks

    @property
    def learned(self) -> list[Network]:
        """Networks that chose where to look in training."""
        return [network for network in self.networks if network.gaze == "learned"]

    @property
    def siblings(self) -> list[Network]:
        """The largest set of networks that differ in their seed only."""
        sets: dict[Any, dict[int, Network]] = {}
        for network in self.learned:
            alike = (network.task, network.n_glimpses, network.training.get("epochs"))
            sets.setdefault(alike, {}).setdefault(network.seed, network)
        return list(max(sets.values(), key=len).values())

    @property
    def facts(self) -> dict[str, Any]:
        """What recordings say of their making."""
        return {
            "networks": {network.name: network.facts for network in self.networks},
            "others": {
                name: state_hash(model.state_dict())
                for name, model in ((DEEP, self.deep), (PLAYER, self.player))
            },
            "data": self.digits.provenance(),
        }

    @property
    def caption(self) -> str:
        """What the numbers stand on."""
        return (
            f"Scale: {self.run.request.scale}. Digits: {self.source} MNIST, test split, n = "
            f"{self.n:,} of {len(self.digits):,} (checksum {self.digits.checksum[:12]}). Seed "
            f"{self.seed}. Intervals: 95 %, over scenes. The paper has two versions with different "
            "numbers."
        )


def _errors(run: Run, subject: Subject) -> Outcome:
    """Measure how often each network errs on its task, looking as it was trained to."""
    rows = []
    order = sorted(subject.networks, key=lambda n: (n.task, n.gaze, n.n_glimpses, n.seed))
    for network in order:
        for policy in ["mean", "sampled"] if network.gaze == "learned" else [network.gaze]:
            responses = collect(subject.looks(network, policy=policy), subject.scenes(network.task))
            rate = answers.error_rate(answers.correct(responses))
            rows.append(row(answers.ERROR, rate, "scenes", **network.factors, policy=policy))
    return tabled(rows)


def _published(run: Run, subject: Subject) -> Outcome | None:
    """Measure how often the published weights err, where they and all test digits are at hand."""
    folders = [folder / "ram" for folder in data_folders() if (folder / "ram").is_dir()]
    if run.request.scale == "quick" or subject.source != "full" or not folders:
        return None
    rows, n = [], len(subject.digits)
    for path in sorted(folders[0].glob("*.chainermodel")):
        network = load_network(str(path))
        correct = [
            answers.correct(
                collect(Looks(network.model, n, seed=seed), subject.scenes(network.task, n, seed))
            )
            for seed in (0, 1, 2)
        ]
        error = percent_wrong(bootstrap(np.mean(correct, axis=0), seed=0))
        note = "mean of three draws of first glimpses"
        factors = {"task": network.task, "n_glimpses": 6, "policy": "mean", "note": note}
        rows.append(row(answers.ERROR, error, "scenes", **factors))
    return tabled(rows)


def _examples(run: Run, subject: Subject) -> None:
    """Show what each network sees, glimpse by glimpse: strips, animations and a page."""
    n = run.scale.examples
    for task, network in subject.main.items():
        scenes = subject.scenes(task, n)
        responses = collect(subject.looks(network, n, state=True), scenes)
        out = run.out / "examples" / task
        run.written += write_pictures(
            responses, scenes.whole, network.model.config, n, out, network.name
        )


def _glimpses(run: Run, subject: Subject) -> Outcome:
    """Measure what each glimpse adds."""
    return together(
        {
            task: answers.by_moment(
                collect(subject.looks(network, state=True), subject.scenes(task)),
                seed=subject.seed,
                n_of="scenes",
            )
            for task, network in subject.main.items()
        },
        "task",
    )


def _policies(run: Run, subject: Subject) -> Outcome:
    """Measure what the learned policy is worth, beside others that look for the same network."""
    outcomes = {}
    for task, network in subject.main.items():
        scenes = subject.scenes(task)
        own = torch.from_numpy(collect(subject.looks(network), scenes)["location"].to_numpy())
        policies: dict[str, Any] = {
            "sampled": "sampled",
            "saliency": SaliencyPolicy(_detail(scenes, network.model)),
            "grid": "grid",
            "random": "random",
            "centre": "centre",
            "another scene's": ReplayPolicy(own.roll(1, 0)),
        }
        others = [
            n for n in subject.learned
            if n.task == task and n is not network and n.n_glimpses >= network.n_glimpses
        ]  # fmt: skip
        if others:
            other = collect(subject.looks(others[0], seed=subject.seed + 1), scenes)["location"]
            policies["another network's"] = ReplayPolicy(other.to_numpy()[:, : network.n_glimpses])

        def with_policy(policy: Any, network: Network = network) -> Looks:
            return subject.looks(network, policy=policy)

        outcomes[task] = answers.swapped_gaze(
            with_policy, scenes, policies, seed=subject.seed, n_of="scenes"
        )
    return together(outcomes, "task")


def _detail(scenes: Some, model: RAM) -> torch.Tensor:
    """Return maps (N, H, W) of how much there is in a patch about each pixel."""
    side = model.config.glimpse_px + 1 - model.config.glimpse_px % 2
    images = scenes[:].image[:, :1]
    ink: torch.Tensor = torch.nn.functional.avg_pool2d(images, side, 1, side // 2)
    return ink[:, 0]


def _eccentricity(run: Run, subject: Subject) -> Outcome:
    """Measure the error by where the digit is, and by where looking began."""
    outcomes = {}
    for task, network in subject.main.items():
        size = PRESETS[task].size
        responses = collect(subject.looks(network), subject.scenes(task))
        outcomes[task] = rings.by_eccentricity(
            responses, size_px=size, step_px=size / 10, chance=CHANCE
        )
    return together(outcomes, "task")


def _core(run: Run, subject: Subject) -> Outcome:
    """Measure what the core responds to, and what can be read from it."""
    outcomes = {}
    for task in [task for task in ("mnist-28", "cluttered-60") if task in subject.main]:
        network, scenes = subject.main[task], subject.scenes(task)
        outcomes[task] = recurrent_core.core(
            collect(subject.looks(network, policy="random", state=True), scenes),
            collect(subject.looks(network, state=True), scenes),
            size_px=PRESETS[task].size,
            patch_px=network.model.config.glimpse_px,
            seed=subject.seed,
            n_of="scenes",
        )
    outcome = together(outcomes, "task")
    return dataclasses.replace(outcome, data={f"core-{k}": v for k, v in outcome.data.items()})


def _returns(run: Run, subject: Subject) -> Outcome | None:
    """Measure whether networks return more or less than each of nine baselines expects."""
    networks = subject.siblings
    if len(networks) < 2:  # baselines that ask other viewers of the same scene have none
        return None
    patch = float(networks[0].model.config.glimpse_px)
    viewers: list[xr.Dataset] = [  # the first glimpse is given
        subject.paths(n, subject.n_paths, subject.seed + i, f"seed {n.seed}", skip=1)
        for i, n in enumerate(networks)
    ]
    outcome = gaze.returns(
        viewers, radius_px=patch / 2, patch_px=patch, draws=run.scale.draws, seed=subject.seed,
        lags=range(1, networks[0].n_glimpses - 1),
    )  # fmt: skip
    against = outcome.estimates["baseline"].str.replace("_", " ")
    table = outcome.estimates.assign(task=networks[0].task, against=against, n_of="scenes")
    return Outcome(table, outcome.data)


def _similarity(run: Run, subject: Subject) -> Outcome | None:
    """Measure how like each other scanpaths of networks are that differ in their seed only."""
    networks = subject.siblings
    if len(networks) < 2:
        return None
    n, seed = min(subject.n_paths, 100), subject.seed
    groups = {
        "same network, other start": [
            subject.paths(networks[0], n, seed + 100 + i, f"start {i}")
            for i in range(len(networks))
        ],
        "other network": [
            subject.paths(network, n, seed + i, f"seed {network.seed}")
            for i, network in enumerate(networks)
        ],
    }
    outcome = gaze.similarity(
        groups, METRICS, n=n, draws=run.scale.draws, chance="other scene", seed=seed
    )
    return Outcome(outcome.estimates.assign(task=networks[0].task, n_of="scenes"))


def _inhibition(run: Run, subject: Subject) -> Outcome:
    """Measure whether it helps to be kept from where one has been."""
    outcomes = {}
    for task, network in subject.main.items():
        radius = network.model.config.glimpse_px / 2
        sigma = network.model.config.sigma * PRESETS[task].size / 2

        def inhibited(
            strength: float, network: Network = network, radius: float = radius, s: float = sigma
        ) -> Looks:
            return subject.looks(network, policy=InhibitedPolicy(strength, radius, s))

        outcomes[task] = answers.imposed_inhibition(
            inhibited, subject.scenes(task), run.scale.strengths, radius_px=radius,
            seed=subject.seed, n_of="scenes",
        )  # fmt: skip
    return together(outcomes, "task")


def _pairs(run: Run, subject: Subject) -> Outcome:
    """Measure how often the deep network misreads pairs of digits, whoever looks."""
    scenes, n = DigitPairs(subject.digits, seed=subject.seed, device=subject.device), subject.n
    rows = []
    for policy in ("mean", "sampled", "grid", "random"):
        scores = evaluate_dram(subject.deep, scenes, policy=policy, n=n, seed=subject.seed)
        right = round(n * (1 - float(scores["sequence_error"])))
        rows.append(row(PAIRS, percent_wrong(wilson(right, n)), "scenes", policy=policy))
    return tabled(rows)


def _catch(run: Run, subject: Subject) -> Outcome:
    """Measure how often the ball is missed, whoever looks, and where the gaze is."""
    rows = []
    for policy in ("mean", "centre", "random"):
        scores = evaluate_catch(subject.player, subject.n, subject.seed, policy=policy)
        away = float(np.mean(scores.gaze_to_ball_px[-10:]))
        missed = percent_wrong(wilson(round(subject.n * scores.caught), subject.n))
        note = f"gaze {away:.1f} px from the ball, last ten steps"
        factors = {"policy": policy, "gaze_to_ball_px": away, "note": note}
        rows.append(row(CATCH, missed, "games", **factors))
    return tabled(rows)


def _train(request: Request) -> list[str]:
    """Train a network for each task that fits a laptop; return their weights' paths."""
    paths = []
    for name, seed in (
        ("mnist-28", 0), ("mnist-28", 1), ("mnist-28", 2), ("translated-60", 0),
        ("cluttered-60", 0),
    ):  # fmt: skip
        recipe = dataclasses.replace(RECIPES[name], seed=seed, source=request.source or "full")
        out = request.out / "training" / f"{name}-seed{seed}"
        Trainer(RAMObjective(recipe), out, fast_trainer(recipe, device=request.device)).fit()
        paths.append(str(out / "last.safetensors"))
    return paths


PAPER = Paper(
    name="ram",
    title="RAM: recurrent glimpses, trained by reinforcement",
    scales={
        "quick": Scale(200, 60, 100, (0.0, 2.0), 1),
        "default": Scale(None, 300, 500, (0.0, 0.5, 1.0, 2.0, 4.0), 2),
        "paper": Scale(None, 1000, 1000, (0.0, 0.25, 0.5, 1.0, 2.0, 4.0, 8.0), 3),
    },
    prepare=Subject,
    published=Path(__file__).with_name("published.csv"),
    steps=(
        Step("errors", _errors, figures.errors, {
            answers.ERROR: Say(
                "test error (%), {task}, {n_glimpses} glimpses, {policy} policy ({network})"
            ),
        }),
        Step("published", _published, None, {
            answers.ERROR: Say("test error (%), {task}, published weights run here"),
        }),
        Step("examples", _examples),
        Step("glimpses", _glimpses, figures.glimpses),
        Step("policies", _policies, figures.policies, {
            answers.WORSE: Say("points of error more, {task}, looking {policy}"),
        }),
        Step("eccentricity", _eccentricity, figures.eccentricity),
        Step("core", _core, figures.core, {
            recurrent_core.VARIANCE: Say(
                "variance of a core unit by {by} (%), {task}, third glimpse, random gaze"
            ),
            recurrent_core.PLACE: Say("R² of {place}, decoded from the core, {task}"),
        }),
        Step("returns", _returns, figures.returns, {
            gaze.INDEX: Say(
                "index of inhibition, lag {lag}, {task}, against {against}", {"lag": 2}
            ),
        }),
        Step("similarity", _similarity, figures.similarity, {
            gaze.SIMILARITY: Say("{metric}, {task}, {pair}"),
        }),
        Step("inhibition", _inhibition, figures.inhibition, {
            answers.ERROR: Say("test error (%), {task}, imposed inhibition {strength:g}"),
            answers.RETURNS: Say("returns at lag 2 (%), {task}, imposed inhibition {strength:g}"),
        }),
        Step("pairs", _pairs, None, {PAIRS: Say("pairs misread (%), DRAM, {policy} policy")}),
        Step("catch", _catch, None, {CATCH: Say("balls missed (%), Catch, {policy} gaze")}),
    ),
)  # fmt: skip
