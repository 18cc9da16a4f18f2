"""What and Where against spatial transformers: maps, the benchmark, and where networks look.

Daucé, Albiges & Perrinet 2020, Journal of Vision 20(8):22, and the transformers that were set
against it (Dabane, Perrinet & Daucé 2022, IJCNN). The published comparison gave the two sides
different noise; here it is drawn so, and with the same noise for all.
"""

import dataclasses
import functools
import sys
from collections.abc import Iterable
from typing import Any

import pandas as pd
import xarray as xr

from attnsci.data.digits import Digits, load_mnist
from attnsci.data.noisy_layout import PRESETS, NoisyDigitsConfig
from attnsci.data.noisy_stimuli import RADII_PX, DistantDigits, NoisyScenes
from attnsci.data.offset_scenes import Scene, noisy_scene, plain_scene
from attnsci.devices import pick_device
from attnsci.errors import InvalidInput
from attnsci.experiments import benchmark
from attnsci.experiments.benchmark import contrast_benchmark
from attnsci.experiments.offsets import (
    AGREEMENT,
    ANISOTROPY,
    HALF_WIDTH,
    OffsetDigits,
    agreement,
    anisotropy,
    answers_by_offset,
    visual_field,
)
from attnsci.experiments.outcome import Outcome, Share, row, tabled, together
from attnsci.experiments.same_scenes import ACCURACY, ADVANTAGE, advantage, recognition
from attnsci.families.what_where import figures, galleries
from attnsci.families.what_where.asks import Oracle, Saccades, ask_of, eye_of
from attnsci.families.what_where.train import train_all
from attnsci.families.zoo import load_model, pretrained_names
from attnsci.models.weights import Pretrained
from attnsci.papers.paper import Paper, Run, Say, Step
from attnsci.provenance import state_hash
from attnsci.recording.responses import Ask, Response
from attnsci.recording.stimuli import to_model

MATCHED, MISMATCHED = 0.75, 1.0
"""Noise of all, and noise of What and Where as published."""
PATHWAYS = {MATCHED: ("what-crop-seed0", "where-seed0"),
            MISMATCHED: ("what-28-noise1-seed0", "where-noise1-seed0")}  # fmt: skip
FOVEAL = {"what-28": "What", "stn-28": "STN", "what-28-noise1": "What"}
"""Networks of scenes of 28 pixels, by the name of their weights without the seed."""
LARGE = {
    "stn-128-seed0": "STN 128",
    "atn-seed0": "ATN",
    "polo-atn-95-seed0": "POLO-ATN 95",
    "polo-atn-85-seed0": "POLO-ATN 85",
    "conv-polo-atn-85-seed0": "convPOLO-ATN 85",
}
"""Transformers of scenes of 128 pixels."""
RAM, GATING = "ram-mnist-28-seed0", "mnist-2-seed0"
EYE, LEADER = "What/Where", "What/Where, 1 saccade"
_SCORES = 11
_PLACES: dict[str, dict[str, Any]] = {
    "central": {"i_offset": 0, "j_offset": 0},
    "general": {"std": 15.0},
}
_REPORTED_PX = [RADII_PX[0], RADII_PX[len(RADII_PX) // 2], RADII_PX[-1]]
"""Eccentricities in the table of results; the others are in the CSV file of their step."""


@dataclasses.dataclass(frozen=True)
class Scale:
    """How many of everything."""

    scores: int | None
    """Digits of central and general accuracy; all test digits if None."""
    maps: int | None
    """Digits at every offset."""
    stride_px: int
    """Distance of these offsets."""
    benchmark: int | None
    """Digits at every point."""


class Subject:
    """The networks, which are a fixed set, and the digits that all are shown."""

    def __init__(self, run: Run) -> None:
        request, self.run = run.request, run
        if request.weights:
            raise InvalidInput(
                "what-where compares a fixed set of networks; --weights cannot replace it. Map "
                "one of your own with: attnsci evaluate what-where --model FILE."
            )
        self.source = request.source or ("full" if request.scale == "paper" else "bundled")
        self.device = pick_device(request.device)
        self.digits: Digits = load_mnist("test", self.source)
        if request.train:
            train_all(request.out / "training", request.source or "full", request.device)
        shipped = pretrained_names()
        self.foveal = [name for name in shipped if _stem(name) in FOVEAL]
        self.large = {name: title for name, title in LARGE.items() if name in shipped}
        eyes = [name for pathways in PATHWAYS.values() for name in pathways]
        self.names = list(dict.fromkeys([*self.foveal, *eyes, *self.large]))
        self.networks = {name: self._load(name) for name in [*self.names, RAM, GATING]}

    def _load(self, name: str) -> Pretrained:
        """Return a network as it was shipped, or just trained."""
        trained = self.run.out / "training" / name / "last.safetensors"
        network = load_model(trained if self.run.request.train and trained.is_file() else name)
        network.model.to(self.device)
        return network

    def model(self, name: str) -> Any:
        """Return a network."""
        return self.networks[name].model

    def ask(self, name: str) -> Ask:
        """Return how a network is asked."""
        return ask_of(self.model(name), name)

    def factors(self, name: str) -> dict[str, Any]:
        """Return what tells a network of 28 pixels from the others."""
        noise = float(self.networks[name].record["training"]["noise"])
        seed = int(name.rsplit("-seed", 1)[1])
        return {"architecture": FOVEAL[_stem(name)], "noise": noise, "seed": seed}

    def alike(self, **factors: Any) -> list[str]:
        """Return the networks of 28 pixels that have these factors."""
        return [n for n in self.foveal if factors.items() <= self.factors(n).items()]

    def offsets(self, scene: Scene) -> OffsetDigits:
        """Return digits all over the visual field."""
        scale = self.run.scale
        return OffsetDigits(self.digits.spread(scale.maps), scene, stride_px=scale.stride_px)

    def progress(self, label: str) -> str | None:
        """Return the label of a progress bar, where there is a terminal to see it."""
        return label if sys.stderr.isatty() else None

    @property
    def facts(self) -> dict[str, Any]:
        """What recordings say of their making."""
        networks = {
            name: {**network.record, "weights": state_hash(network.model.state_dict())}
            for name, network in self.networks.items()
        }
        return {"networks": networks, "data": self.digits.provenance()}

    @property
    def caption(self) -> str:
        """What the numbers stand on."""
        scale = self.run.scale
        scores, maps, points = (
            f"{len(self.digits.spread(n)):,}" for n in (scale.scores, scale.maps, scale.benchmark)
        )
        return (
            f"Scale: {self.run.request.scale}. Digits: {self.source} MNIST, test split, checksum "
            f"{self.digits.checksum[:12]}; n = {scores} for scores, {maps} at every "
            f"{scale.stride_px} px of the maps, {points} at every point of the benchmark. Seed "
            f"{self.run.seed}. Intervals: 95 %, over digits; of 128 pixels there is one network of "
            "each kind. Published numbers are of 10,000 digits, What/Where of 1,000; theirs put "
            "What and Where into noise 1.0 and the transformers into 0.75."
        )


def _stem(name: str) -> str:
    return name.rsplit("-seed", 1)[0]


def _joined(outcomes: Iterable[Outcome], **data: xr.Dataset) -> Outcome:
    """Return the estimates of several outcomes, one below the other."""
    tables = [outcome.estimates for outcome in outcomes]
    return Outcome(pd.concat(tables, ignore_index=True), data)


def _examples(run: Run, subject: Subject) -> Outcome:
    """Show scenes of both sizes, by contrast and noise."""
    return tabled([], examples=galleries.examples(subject.digits, run.seed))


def _training(run: Run, subject: Subject) -> Outcome:
    """Show how the networks learned, by the curves that their weights carry."""
    rows = []
    for name in subject.names:
        record = subject.networks[name].record
        recipe = record["training"]
        n, per_epoch = recipe["validation_scenes"], recipe["batches_per_epoch"]
        for k, metrics in enumerate(record["curve"]):
            images = (k + 1) * per_epoch * recipe["batch_size"]
            for metric, value in metrics.items():
                quantity = f"{metric.replace('_', ' ')}, validation"
                point = {"network": name, "epoch": k + 1, "images": images}
                rows.append(row(quantity, Share(value, n=n), "digits", **point))
    return tabled(rows)


def _scores(run: Run, subject: Subject) -> Outcome:
    """Score the small networks, the digit in the middle and anywhere."""
    digits = subject.digits.spread(run.scale.scores)
    tables, answers = [], []
    for k, (scenes, place) in enumerate(_PLACES.items()):
        groups = []
        for noise in dict.fromkeys(subject.factors(name)["noise"] for name in subject.foveal):
            asks = {name: subject.ask(name) for name in subject.alike(noise=noise)}
            layout: NoisyDigitsConfig = dataclasses.replace(PRESETS[28], noise=noise, **place)
            stimuli = NoisyScenes(digits, layout, (run.seed, _SCORES + k), device=subject.device)
            outcome = recognition(asks, stimuli, n_of="scenes")
            tables.append(outcome.estimates.assign(scenes=scenes))
            groups.append(outcome.data["recognition"]["correct"].reset_coords(drop=True))
        whole = xr.concat(groups, "model").rename(model="network").sel(network=subject.foveal)
        answers.append(whole)
    correct = xr.concat(answers, pd.Index(list(_PLACES), name="scenes"))
    table = pd.concat(tables, ignore_index=True)
    factors = pd.DataFrame([subject.factors(name) for name in table["model"]])
    return Outcome(table.join(factors), {"scores": correct.to_dataset(name="correct")})


def _difference(run: Run, subject: Subject) -> Outcome | None:
    """Compare the transformer with What on the same scenes, in the same noise."""
    correct = run.outcomes["scores"].data["scores"]["correct"]
    groups = [subject.alike(architecture=kind, noise=MATCHED) for kind in ("STN", "What")]
    if not all(groups):
        return None
    outcomes = []
    for scenes in _PLACES:
        answers = correct.sel(scenes=scenes).rename(network="model")
        stn, what = (answers.sel(model=names) for names in groups)
        outcomes.append(advantage(stn, what, scenes=scenes, noise=MATCHED))
    return _joined(outcomes)


def _maps(run: Run, subject: Subject) -> Outcome:
    """Map accuracy over the visual field, beside the published maps."""
    published, fields = figures.published_maps(), {}
    noises = {_stem(name): subject.factors(name)["noise"] for name in subject.foveal}
    for stem, noise in sorted(noises.items(), key=lambda item: item[1]):
        names = [name for name in subject.foveal if _stem(name) == stem]
        count = f", mean of {len(names)}" if len(names) > 1 else ""
        stimuli = subject.offsets(noisy_scene(run.seed, size=28, noise=noise))
        answers = [
            answers_by_offset(
                subject.ask(name), stimuli, progress=subject.progress(f"map of {name}")
            )
            for name in names
        ]
        seeds = pd.Index([subject.factors(name)["seed"] for name in names], name="seed")
        correct = xr.concat(answers, seeds) if len(answers) > 1 else answers[0]
        field, kind = visual_field(correct), FOVEAL[stem]
        outcomes = [field]
        if run.scale.stride_px <= 3:
            outcomes.append(anisotropy(correct))
        if kind in published:
            outcomes.append(agreement(field.data["map"]["accuracy"], published[kind]))
        fields[stem] = _titled(
            _joined(outcomes, **field.data), f"{kind}, noise {noise:g}{count}",
            "band-pass noise, 28 px", architecture=kind, noise=noise,
        )  # fmt: skip
    return together(fields, "network")


def _families(run: Run, subject: Subject) -> Outcome:
    """Map networks of other families by the same function."""
    gating = subject.model(GATING)
    canvas = (gating.config.height, gating.config.width)

    def first_phase(batch: Any, rows: slice) -> Response:
        phases = gating.run(to_model(batch.image, gating), n_phases=1)
        return {"logits": (("class",), phases.logits[:, 0, -1])}

    by_glimpse = visual_field(
        answers_by_offset(subject.ask(RAM), subject.offsets(plain_scene((28, 28))))
    )
    titles = [f"RAM, {k + 1} glimpse{'s' if k else ''}" for k in by_glimpse.estimates["time"]]
    gated = visual_field(
        answers_by_offset(first_phase, subject.offsets(plain_scene(canvas, 0.3, run.seed)))
    )
    side = f"pixel noise, {canvas[0]}×{canvas[1]} px"
    return together(
        {
            "ram": _titled(by_glimpse, titles, "plain, 28 px"),
            "object-attention": _titled(gated, "object attention", side),
        },
        "network",
    )


def _titled(field: Outcome, title: str | list[str], stimuli: str, **factors: Any) -> Outcome:
    """Return a map with what it is called, what was shown, and more factors."""
    table = field.estimates.assign(title=title, stimuli=stimuli, **factors)
    return dataclasses.replace(field, estimates=table)


def _transforms(run: Run, subject: Subject) -> Outcome:
    """Show what the transformers look at."""
    small = dict(zip(["STN"], subject.alike(architecture="STN"), strict=False))
    large = {title: name for name, title in subject.large.items()}
    views = {}
    for size, names in (("128", large), ("28", small)):
        if names:
            models = {title: subject.model(name) for title, name in names.items()}
            views[f"transforms-{size}"] = galleries.transforms(models, subject.digits, run.seed)
    return tabled([], **views)


def _sensors(run: Run, subject: Subject) -> Outcome:
    """Show a scene as the retinas leave it."""
    return tabled([], sensors=galleries.sensors(subject.digits, run.seed))


def _benchmark(run: Run, subject: Subject, noise: float, others: dict[str, Ask]) -> Outcome:
    """Return the benchmark of What/Where, an oracle, and others, in one noise."""
    eye = eye_of(*(subject.model(name) for name in PATHWAYS[noise])).to(subject.device)
    asks = {EYE: Saccades(eye), f"{EYE}, oracle": Oracle(eye), **others}
    stimuli = DistantDigits(
        subject.digits.spread(run.scale.benchmark), noise, seed=run.seed, device=subject.device
    )
    label = subject.progress(f"benchmark, noise {noise:g}")
    return contrast_benchmark(asks, stimuli, seed=run.seed, progress=label)


def _benchmark_matched(run: Run, subject: Subject) -> Outcome:
    """Measure accuracy by contrast and distance, in the same noise for all."""
    transformers = {title: subject.ask(name) for name, title in subject.large.items()}
    outcome = _benchmark(run, subject, MATCHED, transformers)
    correct = outcome.data["benchmark"]["correct"]
    lead = benchmark.leads(
        correct.sel(model=LEADER), correct.sel(model=list(transformers)), seed=run.seed
    )
    data = {"benchmark-matched": outcome.data["benchmark"]}
    return _joined([outcome, lead], **data)


def _benchmark_as_published(run: Run, subject: Subject) -> Outcome:
    """Measure it with the noise of the publications, 1.0 for What and Where alone."""
    matched, transformers = run.outcomes["benchmark-matched"], list(subject.large.values())
    outcome = _benchmark(run, subject, MISMATCHED, {})
    own = outcome.data["benchmark"]["correct"].sel(model=LEADER)
    others = matched.data["benchmark-matched"]["correct"].sel(model=transformers)
    lead = benchmark.leads(own, others, seed=run.seed)
    curves = Outcome(matched.at(quantity=ACCURACY, model=transformers))
    data = {"benchmark-noise1": outcome.data["benchmark"]}
    return _joined([outcome, curves, lead], **data)


def _looking(run: Run, subject: Subject) -> Outcome:
    """Measure landings, calibration, what expected gain is worth, and threshold contrasts."""
    data = run.outcomes["benchmark-matched"].data["benchmark-matched"]
    return _joined(
        [
            benchmark.landings(data),
            benchmark.calibration(data),
            benchmark.saccades_that_help(data, EYE),
            benchmark.thresholds(data),
        ]
    )


def _benchmark_says(condition: str) -> dict[str, Say]:
    """Return the rows of a benchmark; single eccentricities are in the CSV file."""
    return {
        benchmark.POOLED: Say(
            "accuracy, {model}, contrast {contrast:g}, all eccentricities, " + condition
        ),
        benchmark.LEAD: Say("lead of {leader} over {model}, contrast {contrast:g}, " + condition),
    }


_MAP_SAYS = {
    HALF_WIDTH: Say("half-height radius (px), {title}"),
    ANISOTROPY: Say("horizontal − vertical anisotropy of accuracy, {title}"),
    AGREEMENT: Say("correlation with the published map, {title}"),
}

PAPER = Paper(
    name="what-where",
    title="What and Where against spatial transformers: acuity over the visual field",
    scales={
        "quick": Scale(500, 50, 9, 30),
        "default": Scale(None, 200, 3, 300),
        "paper": Scale(None, None, 1, None),
    },
    prepare=Subject,
    published=figures.PUBLISHED,
    steps=(
        Step("examples", _examples, figures.examples),
        Step("training", _training, figures.training),
        Step("scores", _scores, None, {
            ACCURACY: Say("accuracy, 28 px, {scenes}, {architecture}, noise {noise:g}, "
                          "seed {seed}"),
        }),
        Step("difference", _difference, None, {
            ADVANTAGE: Say("accuracy, STN − What, matched noise {noise:g}, {scenes}"),
        }),
        Step("maps", _maps, figures.maps, _MAP_SAYS),
        Step("families", _families, figures.families, {
            HALF_WIDTH: Say("half-height radius (px), {title}", {"title": figures.OTHERS}),
        }),
        Step("transforms", _transforms, figures.transforms),
        Step("sensors", _sensors, figures.sensors),
        Step("benchmark-matched", _benchmark_matched,
             functools.partial(figures.benchmark, step="benchmark-matched"),
             _benchmark_says("matched noise 0.75")),
        Step("benchmark-as-published", _benchmark_as_published,
             functools.partial(figures.benchmark, step="benchmark-as-published"),
             _benchmark_says("noise as published")),
        Step("looking", _looking, figures.looking, {
            benchmark.LANDING: Say("median landing error (px), {model}, {eccentricity:.0f} px",
                                   {"eccentricity": _REPORTED_PX}),
            benchmark.CALIBRATION: Say("expected calibration error, {model}"),
            benchmark.D_PRIME: Say(f"{benchmark.D_PRIME}, contrast {{contrast:g}}"),
            benchmark.THRESHOLD: Say("contrast of 75 % right, {model}, {eccentricity:.1f} px",
                                     {"eccentricity": _REPORTED_PX, "reached": True}),
        }),
    ),
)  # fmt: skip
