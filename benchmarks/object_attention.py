"""What object-based attention costs, beside the published way of computing it.

The published loop is written anew here: row-major maps, an upsampled map and a transposed
convolution on it, the way down also after the last forward, ten forwards for two phases, scenes
made one by one. Both sides have the same weights and give the same answers, which is checked
first. One thread, one process; each round measures both sides one after the other in CPU time,
and the ratio is the median over rounds: it can be compared between machines, milliseconds cannot.

    python benchmarks/object_attention.py                  # the table, about two minutes
    python benchmarks/object_attention.py --rounds 9       # less noise
    python benchmarks/object_attention.py --full           # all 10,000 pairs and all bars

Photographs are made too, JPEG files of COCO's size; their pairs are prepared once and kept, which
the published loader does at every access (`coco_reference.py`).

Ends with status 1 if a bar is missed.
"""

import argparse
import contextlib
import dataclasses
import io
import itertools
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import coco_reference
import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn
from torch.nn import functional

from attnsci._torchvision import load_torchvision
from attnsci.data import BarScenes, Digits, DigitScenes, load_mnist
from attnsci.data.coco import load_coco_pairs
from attnsci.data.coco_scenes import CocoScenes
from attnsci.devices import make_fabric
from attnsci.families.object_attention.coco_objective import CocoBatch, CocoObjective
from attnsci.families.object_attention.coco_recipes import CocoTraining
from attnsci.families.object_attention.measure import show_bars
from attnsci.families.object_attention.network import ObjectAttention
from attnsci.families.object_attention.objective import GatingObjective, right_per_phase
from attnsci.families.object_attention.recipes import ObjectAttentionTraining
from attnsci.families.zoo import load_model
from attnsci.training.digit_objective import Batch

STRENGTH, PHI, NOISE, BATCH, STEPS, PHASES = 0.2, 1000.0, 0.3, 64, 5, 2
PAIRS, PAIRS_MEASURED = 10_000, 640
BARS_REFERENCE, BARS_OURS, BARS_MEASURED = 726 * 21, 396 * 20, 128
SCENES_MEASURED = 3200
PHOTOGRAPHS, PHOTOGRAPH_BATCH = 128, 32


class Published(nn.Module):
    """The published network, its state in tensors that one forward hands to the next."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(1, 20, 4)
        self.conv2 = nn.Conv2d(20, 50, 4)
        self.pool = nn.MaxPool2d(2)
        self.conv2_t = nn.ConvTranspose2d(100, 20, 4)
        self.conv1_t = nn.ConvTranspose2d(40, 1, 4)
        self.linear_out = nn.Linear(1600, 10)
        self.linear_out_t = nn.Linear(10, 1600)

    def take(self, model: ObjectAttention) -> "Published":
        """Take over the weights of our network."""
        first, second = model.levels
        pairs = [
            (self.conv1, first.conv),
            (self.conv2, second.conv),
            (self.conv1_t, first.deconv),
            (self.conv2_t, second.deconv),
            (self.linear_out, model.readout),
            (self.linear_out_t, model.feedback),
        ]
        for mine, theirs in pairs:
            mine.load_state_dict(theirs.state_dict())
        return self

    def forward(
        self, x: Tensor, gates: list[Tensor], masks: list[Tensor]
    ) -> tuple[Tensor, list[Tensor], Tensor, list[Tensor]]:
        """Return logits, the next gates, the gated image and the activations."""
        gated = x * (1 - STRENGTH * gates[0])
        a1 = functional.relu(self.conv1(gated))
        z1 = self.pool(a1)
        a2 = functional.relu(self.conv2(z1 * (1 - STRENGTH * gates[1])))
        z2 = self.pool(a2)
        logits = self.linear_out(z2.flatten(1))
        top = torch.tanh(self.linear_out_t(logits)).view_as(z2)
        size = a2.shape[-2:]
        both = torch.cat([functional.interpolate(top, size), functional.interpolate(z2, size)], 1)
        h2 = torch.tanh(self.conv2_t(both))
        size = a1.shape[-2:]
        both = torch.cat([functional.interpolate(h2, size), functional.interpolate(z1, size)], 1)
        h1 = torch.tanh(self.conv1_t(both))
        asked = [h1, h2]
        forced = [h * (1 - m) + m for h, m in zip(asked, masks, strict=True)]
        return logits, forced, gated, [a1, a2]

    def phase(self, x: Tensor, masks: list[Tensor]) -> tuple[Tensor, Tensor, list[Tensor], list]:
        """Run five forwards; return logits, gated image, next masks, activations."""
        gates = [torch.zeros_like(mask) for mask in masks]
        following = masks
        for step in range(STEPS):
            if step == STEPS - 1:
                following = [
                    torch.logical_or(m > 0, h.detach() < 0.5).float()
                    for m, h in zip(masks, gates, strict=True)
                ]
            logits, gates, gated, activations = self(x, gates, masks)
        return logits, gated, following, activations

    @staticmethod
    def no_masks(x: Tensor) -> list[Tensor]:
        """Return the masks of the first phase."""
        return [torch.zeros_like(x), torch.zeros(len(x), 20, 12, 19)]


def nearest(gated: Tensor, targets: Tensor, taken: Tensor) -> Tensor:
    """Return the object whose target is closest to the gated image, earlier ones excluded."""
    error = ((gated[:, None] - targets) ** 2).sum((2, 3, 4))
    error[taken] = 1e10
    return error.argmin(1)


def published_phases(
    model: Published, x: Tensor, targets: Tensor, labels: Tensor
) -> Iterator[tuple[Tensor, Tensor, Tensor, Tensor]]:
    """Yield logits, label, gated image and target of each phase."""
    masks = model.no_masks(x)
    taken = torch.zeros(labels.shape, dtype=torch.bool)
    every = torch.arange(len(x))
    for _ in range(PHASES):
        logits, gated, masks, _ = model.phase(x, masks)
        chosen = nearest(gated.detach(), targets, taken)
        taken[every, chosen] = True
        yield logits, labels[every, chosen], gated, targets[every, chosen]


class PublishedScenes(torch.utils.data.Dataset):
    """Pairs of digits made one by one, drawn anew at every access."""

    def __init__(self, digits: Digits) -> None:
        load_torchvision()
        from torchvision.transforms import ToTensor

        self.images, self.labels = torch.from_numpy(digits.images), torch.from_numpy(digits.labels)
        self.to_tensor = ToTensor()

    def __len__(self) -> int:
        return len(self.labels)

    def digit(self, index: int) -> tuple[Tensor, int]:
        """Return one digit as torchvision's MNIST hands it out: by way of Pillow."""
        image = Image.fromarray(self.images[index].numpy())
        return self.to_tensor(image), int(self.labels[index])

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor, Tensor]:
        drawn = [self.digit(index), self.digit(int(np.random.randint(len(self))))]  # noqa: NPY002
        x = torch.zeros(1, 28, 42)
        objects, labels = [], []
        for slot, place in enumerate(np.random.permutation(2)):  # noqa: NPY002
            pixels, label = drawn[place]
            alone = torch.zeros_like(x)
            alone[:, :, 14 * slot : 14 * slot + 28] = pixels
            x = x + alone
            objects.append(alone)
            labels.append(label)
        x = torch.clamp(x, 0, 1)
        x = torch.where(x <= 0, torch.rand_like(x) * NOISE, x)
        targets = [(1 - STRENGTH) * x + STRENGTH * alone for alone in objects]
        return x, torch.stack(targets), torch.tensor(labels)


def published_bars(distractor: np.ndarray, n: int) -> Iterator[Tensor]:
    """Yield the first `n` bars beside the digit, made one by one."""
    digit = torch.zeros(1, 28, 42)
    digit[0, :, 14:] = torch.from_numpy(distractor / 255)
    made = 0
    for angle in np.linspace(0, 180, 21):
        for width in np.linspace(0.5, 2, 6):
            profile = np.exp(-(np.linspace(-10, 10, 28) ** 2) / (2 * width**2))
            bar = np.repeat((profile / profile.max())[:, None], 20, 1).astype(np.float32)
            bar = np.array(Image.fromarray(bar).rotate(angle))
            for shift in np.linspace(-15, -10, 11):
                dx = int(-shift - 11)
                for dy in range(-10, 11, 2):
                    if made == n:
                        return
                    made += 1
                    placed = np.zeros((28, 42), np.float32)
                    rows = np.arange(28)[(np.arange(28) + dy >= 0) & (np.arange(28) + dy < 28)]
                    columns = np.arange(42)[(np.arange(42) + dx >= 0) & (np.arange(42) + dx < 20)]
                    placed[np.ix_(rows, columns)] = bar[np.ix_(rows + dy, columns + dx)]
                    yield torch.stack([torch.from_numpy(placed)[None], digit])


def published_tuning(model: Published, distractor: np.ndarray, n: int) -> list[Tensor]:
    """Show bars, store every unit's answer in both phases, take the maximum at the end."""
    stored: list[list[Tensor]] = [[], []]
    waiting = []
    with torch.no_grad():
        for number, objects in enumerate(published_bars(distractor, n), 1):
            waiting.append(objects)
            if len(waiting) < BATCH and number < n:
                continue
            both = torch.stack(waiting)
            x = both.sum(1)
            targets = (1 - STRENGTH) * x[:, None] + STRENGTH * both
            masks, answers = model.no_masks(x), []
            for phase in range(PHASES):
                _, gated, masks, activations = model.phase(x, masks)
                answers.append(activations)
                if phase == 0:
                    bar_first = nearest(gated, targets, torch.zeros(len(x), 2, dtype=torch.bool))
            swap = (bar_first == 1)[:, None, None, None]
            for level in range(2):
                first, second = answers[0][level], answers[1][level]
                ordered = [torch.where(swap, b, a) for a, b in ((first, second), (second, first))]
                stored[level].append(torch.stack(ordered, 1))
            waiting = []
    return [torch.cat(level).amax(0) for level in stored]


@dataclasses.dataclass(frozen=True)
class Contest:
    """One thing done in two ways."""

    what: str
    reference: Callable[[], object]
    ours: Callable[[], object]
    bar: float
    scale: float = 1.0
    """By how much the reference's time is multiplied to stand for the whole job."""
    our_scale: float = 1.0
    repeats: int = 1
    """How often a round does it, where once is too short to time."""


def cpu_ms(work: Callable[[], object], repeats: int) -> float:
    """Return the CPU time of one call, in milliseconds."""
    start = time.process_time()
    for _ in range(repeats):
        work()
    return (time.process_time() - start) / repeats * 1e3


def measure(contest: Contest, rounds: int) -> tuple[float, float, float]:
    """Return median times of reference and ours, and the median of the paired ratios."""
    contest.reference(), contest.ours()
    times = [
        (
            cpu_ms(contest.reference, contest.repeats) * contest.scale,
            cpu_ms(contest.ours, contest.repeats) * contest.our_scale,
        )
        for _ in range(rounds)
    ]
    theirs, mine = (statistics.median(column) for column in zip(*times, strict=True))
    return theirs, mine, statistics.median(a / b for a, b in times)


def check_same(model: ObjectAttention, published: Published, scenes: DigitScenes) -> None:
    """Make sure that both sides compute the same thing."""
    batch = scenes[:BATCH]
    with torch.no_grad():
        run = model.run(batch.image)
        masks = published.no_masks(batch.image)
        for phase in range(PHASES):
            logits, gated, masks, _ = published.phase(batch.image, masks)
            torch.testing.assert_close(logits, run.logits[:, phase, -1], atol=1e-3, rtol=1e-3)
            torch.testing.assert_close(gated, run.masked_input[:, phase], atol=1e-4, rtol=1e-3)


def contests(full: bool) -> list[Contest]:
    """Return everything that is measured."""
    digits = load_mnist("train")
    scenes = DigitScenes(digits, seed=0)
    model = load_model("mnist-2-seed0").model
    published = Published().take(model)
    check_same(model, published, scenes)

    batch = scenes[:BATCH]
    targets = batch.targets(STRENGTH)
    # Training works on copies, so that evaluation sees the same weights throughout.
    objective = GatingObjective(ObjectAttentionTraining(source="bundled"))
    objective.model.load_state_dict(model.state_dict())
    optimizer, fabric = objective.optimizer(), make_fabric()
    learner = Published().take(model)
    adam = torch.optim.Adam(learner.parameters(), lr=1e-3)

    def train_published() -> None:
        for logits, label, gated, target in published_phases(
            learner, batch.image, targets, batch.labels
        ):
            loss = functional.cross_entropy(logits, label) + PHI * functional.mse_loss(
                gated, target
            )
            adam.zero_grad()
            loss.backward()
            adam.step()

    def train_ours() -> None:
        list(objective.update(objective.model, Batch(batch, 0, (1, 1, 1)), optimizer, fabric))

    n_pairs = PAIRS if full else PAIRS_MEASURED
    shown = [scenes[np.arange(a, a + BATCH) % len(scenes)] for a in range(0, n_pairs, BATCH)]
    ready = [(part, part.targets(STRENGTH)) for part in shown]

    def evaluate_published(no_grad: bool) -> float:
        right = 0
        with torch.set_grad_enabled(not no_grad):
            for part, aims in ready:
                phases = published_phases(published, part.image, aims, part.labels)
                right += sum(int((p[0].argmax(1) == p[1]).sum()) for p in phases)
        return right / (PHASES * n_pairs)

    def evaluate_ours() -> float:
        with torch.no_grad():
            right = [right_per_phase(model, part, STRENGTH) for part in shown]
        return float(torch.cat(right).double().mean())

    distractor = digits.images[digits.labels == 1][0]
    n_bars, n_our_bars = (BARS_REFERENCE, BARS_OURS) if full else (BARS_MEASURED, BARS_MEASURED)
    bars = BarScenes(distractor)

    def tune_ours() -> None:
        show_bars(
            model, itertools.islice(bars.batches(BATCH), None if full else n_our_bars // BATCH)
        )

    order = np.random.default_rng(0).permutation(len(digits))[:SCENES_MEASURED]
    subset = torch.utils.data.Subset(PublishedScenes(digits), order.tolist())
    loader = torch.utils.data.DataLoader(subset, BATCH, shuffle=True)

    def compose_ours(indices: np.ndarray) -> None:
        for start in range(0, SCENES_MEASURED, BATCH):
            scenes[indices[start : start + BATCH]].targets(STRENGTH)

    scaled = "" if full else f", from {n_pairs}"
    bars_scaled = "" if full else f", from {n_bars} bars"
    pairs = PAIRS / n_pairs
    return [
        Contest("training step, 64 scenes", train_published, train_ours, 2.0, repeats=2),
        Contest(
            f"evaluation of 10,000 pairs, as published{scaled}",
            lambda: evaluate_published(no_grad=False),
            evaluate_ours,
            1.5,
            pairs,
            pairs,
        ),
        Contest(
            f"evaluation of 10,000 pairs, no_grad given to both{scaled}",
            lambda: evaluate_published(no_grad=True),
            evaluate_ours,
            1.5,
            pairs,
            pairs,
        ),
        Contest(
            f"tuning: 15,246 stimuli against the 7,920 that differ{bars_scaled}",
            lambda: published_tuning(published, distractor, n_bars),
            tune_ours,
            5.0,
            BARS_REFERENCE / n_bars,
            BARS_OURS / n_our_bars,
        ),
        Contest(
            f"making {SCENES_MEASURED} scenes and targets, in order",
            lambda: [None for _ in loader],
            lambda: compose_ours(np.arange(SCENES_MEASURED)),
            20.0,
        ),
        Contest(
            f"making {SCENES_MEASURED} scenes and targets, shuffled",
            lambda: [None for _ in loader],
            lambda: compose_ours(order),
            20.0,
        ),
    ]


def photograph_contests(folder: Path) -> list[Contest]:
    """Return what is measured on photographs, which are made in `folder`."""
    images, annotations = coco_reference.make_photographs(folder, PHOTOGRAPHS)
    pairs = load_coco_pairs(images, annotations)
    scenes = CocoScenes(pairs)
    kept = list(zip(pairs.image_id.tolist(), pairs.annotation_id.tolist(), strict=True))
    with contextlib.redirect_stdout(io.StringIO()):  # pycocotools prints
        theirs = coco_reference.PublishedPairs(images, annotations, kept)
    batch = scenes[np.arange(PHOTOGRAPH_BATCH)]
    targets = batch.targets(coco_reference.STRENGTH)
    made = [torch.stack(parts) for parts in zip(*map(theirs.__getitem__, range(8)), strict=True)]
    torch.testing.assert_close(made[0], batch.image[:8], atol=1e-6, rtol=0)
    torch.testing.assert_close(made[1], targets[:8], atol=2.01 / 255, rtol=0)

    objective = CocoObjective(CocoTraining(), pairs, pairs)
    weights = torch.as_tensor(pairs.class_weights(), dtype=torch.float32)
    learner = coco_reference.PublishedCoco().take(objective.model)
    with torch.no_grad():
        run = objective.model.run(batch.image[:4])
        first = (batch.image[:4], targets[:4], batch.labels[:4])
        for phase, found in enumerate(coco_reference.published_phases(learner, *first)):
            torch.testing.assert_close(found[0], run.logits[:, phase, -1], atol=1e-4, rtol=1e-3)
            torch.testing.assert_close(found[2], run.masked_input[:, phase], atol=1e-4, rtol=1e-3)
    adam = torch.optim.Adam(learner.parameters(), lr=1e-4)
    optimizer, fabric = objective.optimizer(), make_fabric()

    def train_published() -> None:
        for logits, label, gated, target in coco_reference.published_phases(
            learner, batch.image, targets, batch.labels
        ):
            loss = functional.cross_entropy(logits, label, weights)
            loss = loss + coco_reference.PHI * functional.mse_loss(gated, target)
            adam.zero_grad()
            loss.backward()
            adam.step()

    def train_ours() -> None:
        list(objective.update(objective.model, CocoBatch(batch, 0, None), optimizer, fabric))

    loader = torch.utils.data.DataLoader(theirs, PHOTOGRAPH_BATCH, shuffle=True)
    order = np.random.default_rng(0).permutation(len(pairs))

    def load_ours() -> None:
        for start in range(0, len(pairs), PHOTOGRAPH_BATCH):
            scenes[order[start : start + PHOTOGRAPH_BATCH]].targets(coco_reference.STRENGTH)

    rounds = itertools.count()

    def prepare_ours() -> None:
        # A cache of its own each time: nothing is kept yet.
        os.environ["ATTNSCI_CACHE"] = str(folder / f"cache{next(rounds)}")
        load_coco_pairs(images, annotations)

    whole = f"{len(pairs)} pairs of photographs"
    return [
        Contest("training step, 32 photographs", train_published, train_ours, 2.0),
        Contest(f"loading {whole} and targets", lambda: [None for _ in loader], load_ours, 5.0),
        Contest(
            f"preparing {whole}, the first time, against loading them",
            lambda: [None for _ in loader],
            prepare_ours,
            0.0,
        ),
    ]


def main() -> int:
    """Measure everything and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=5, help="paired rounds (default 5)")
    parser.add_argument("--full", action="store_true", help="measure whole jobs, no fractions")
    parser.add_argument("--only", default="", help="rows whose name holds this")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    print("| what | reference ms | ours ms | ratio | bar | met |")
    print("|---|---|---|---|---|---|", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        os.environ["ATTNSCI_CACHE"] = folder
        every = contests(arguments.full) + photograph_contests(Path(folder))
        missed = sum(not told(contest, arguments.rounds) for contest in every
                     if arguments.only in contest.what)  # fmt: skip
    return min(missed, 1)


def told(contest: Contest, rounds: int) -> bool:
    """Print the row of a contest; return whether it met its bar."""
    theirs, mine, ratio = measure(contest, rounds)
    met = ratio >= contest.bar
    bar, answer = (f"{contest.bar:g}", "yes" if met else "NO") if contest.bar else ("", "")
    print(
        f"| {contest.what} | {theirs:.1f} | {mine:.1f} | {ratio:.2f} | {bar} | {answer} |",
        flush=True,
    )
    return met


if __name__ == "__main__":
    sys.exit(main())
