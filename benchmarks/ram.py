"""What the recurrent attention model costs, beside its most used code (`ram_reference.py`).

Batches of 128, one thread, CPU time. Both sides are measured in one process, in turn; a line gives
the least and the median time of each, the ratio of the least ones, which other work on the machine
disturbs least, and the median of the paired ratios. Ratios can be compared between machines,
milliseconds cannot.

- retina: one glimpse, once an image has been prepared; and all glimpses of a rollout with that
  preparation, which is what a rollout pays;
- training step: rollout, losses, backward pass and Adam, both sides saying loss and accuracy. Ours
  in float32, and in bfloat16 where the processor computes in it, against the reference in float32.
  The last lines of this part are the trainer's own update, which also tells how the policy fares;
- epoch: making batches included, the reference's one by one as its data set hands them out.

Nothing is timed before both are seen to compute the same from the same weights: glimpses bit for
bit at one scale and to 1e-6 at several, logits, locations, values, densities and the gradient of
the classification to 1e-5.

    python benchmarks/ram.py                    # about three minutes
    python benchmarks/ram.py --only retina

Ends with status 1 if a bar is missed.
"""

import argparse
import dataclasses
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import ram_reference
import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional

from attnsci._torchvision import load_torchvision
from attnsci.data.digits import Digits, load_mnist
from attnsci.devices import computes_bfloat16, make_fabric
from attnsci.families.ram.network import RAM
from attnsci.families.ram.objective import RAMObjective, losses_of
from attnsci.families.ram.policies import ReplayPolicy
from attnsci.families.ram.recipes import RAMTraining
from attnsci.families.ram.reference import load_ram
from attnsci.sensors.glimpse import MAPS, BoxSensor

BATCH, SIGMA, REINFORCE, RATE = 128, 0.1, 0.01, 3e-4
MEAN, STD = 0.1307, 0.3081
EPOCH_BATCHES = 10


Step = Callable[[], tuple[float, float]]
"""A training step, which says its loss and accuracy."""


@dataclasses.dataclass(frozen=True)
class Task:
    """One of the paper's: side of the canvas, glimpse, glimpses, and the retina's bar."""

    size: int
    glimpse_px: int
    n_scales: int
    n_glimpses: int
    bar: float

    def __str__(self) -> str:
        return f"{self.size} px, {self.glimpse_px}×{self.glimpse_px}×{self.n_scales}"


TASKS = {
    28: Task(28, 8, 1, 6, 15),
    60: Task(60, 12, 3, 6, 10),
    100: Task(100, 12, 4, 8, 10),
}
STEPS = [
    (28, 1, "float32", 1.7), (28, 1, "bfloat16", 2.5), (28, 4, "float32", 1.7),
    (60, 1, "float32", 1.7), (60, 1, "bfloat16", 2.5), (60, 4, "float32", 3.0),
]  # fmt: skip
"""Canvas, samples of each image, precision of ours, and bar."""


@dataclasses.dataclass(frozen=True)
class Contest:
    """One thing done in two ways."""

    what: str
    reference: Callable[[], object]
    ours: Callable[[], object]
    bar: float | None
    rounds: int = 15
    repeats: int = 1
    """How often a round does it: more than once where it is short, as training does it too."""


def cpu_ms(work: Callable[[], object], repeats: int) -> float:
    """Return the CPU time of one call, in milliseconds."""
    start = time.process_time()
    for _ in range(repeats):
        work()
    return (time.process_time() - start) / repeats * 1e3


def measure(contest: Contest) -> tuple[str, bool]:
    """Return the line of the table, and whether the bar is met."""
    for _ in range(2):
        contest.reference(), contest.ours()
    pairs = [
        (cpu_ms(contest.reference, contest.repeats), cpu_ms(contest.ours, contest.repeats))
        for _ in range(contest.rounds)
    ]
    theirs, mine = zip(*pairs, strict=True)
    ratio = min(theirs) / min(mine)
    paired = statistics.median(a / b for a, b in pairs)
    met = contest.bar is None or ratio >= contest.bar
    cells = [
        contest.what,
        *(f"{min(times):.2f} / {statistics.median(times):.2f}" for times in (theirs, mine)),
        f"{ratio:.2f}",
        f"{paired:.2f}",
        "" if contest.bar is None else f"{contest.bar:g}",
        "" if contest.bar is None else "yes" if met else "NO",
    ]
    return f"| {' | '.join(cells)} |", met


# --- both sides ----------------------------------------------------------------------------------


def published(task: Task) -> ram_reference.RecurrentAttention:
    """Return the published model with weights of its own."""
    torch.manual_seed(0)
    return ram_reference.RecurrentAttention(task.glimpse_px, task.n_scales, task.n_glimpses, SIGMA)


def ours_with_weights_of(reference: ram_reference.RecurrentAttention) -> RAM:
    """Return our model with the same weights, by way of a checkpoint."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "published.pt"
        torch.save({"model_state": reference.state_dict()}, file)
        return load_ram(file, n_glimpses=reference.n_glimpses, sigma=SIGMA).train()


def objective_of(task: Task, digits: Digits, n_samples: int = 1) -> RAMObjective:
    """Return the objective with the published architecture and weights of the losses."""
    model = ours_with_weights_of(published(task)).config
    recipe = RAMTraining(
        model, size=task.size, n_samples=n_samples, batch_size=BATCH, source="bundled",
        learning_rate=RATE,
    )  # fmt: skip
    return RAMObjective(recipe, digits)


def normalised(images: Tensor) -> Tensor:
    """Return images as the published model is shown them."""
    return (images - MEAN) / STD


def step_of(model: RAM, images: Tensor, labels: Tensor, n_samples: int, bfloat16: bool) -> Step:
    """Return our training step."""
    optimizer = torch.optim.Adam(model.parameters(), lr=RATE, fused=True)
    generator = torch.Generator().manual_seed(0)
    every = labels.repeat_interleave(n_samples)

    def step() -> tuple[float, float]:
        with torch.autocast("cpu", torch.bfloat16, enabled=bfloat16):
            rollout = model.rollout(images, generator, policy="sampled", n_samples=n_samples)
            losses = losses_of(rollout, every)
        loss = losses.cross_entropy + losses.baseline + REINFORCE * losses.policy
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss.item(), losses.right[:, -1].mean().item()

    return step


def check_same(task: Task, images: Tensor, labels: Tensor) -> None:
    """Make sure that both sides compute the same thing."""
    reference = published(task)
    model = ours_with_weights_of(reference)
    looked = reference(normalised(images))
    size = (task.size, task.size)
    places = MAPS["kevinzakka"]
    xy = places.to_px(looked.locations.detach(), size)
    found = model.rollout(images, policy=ReplayPolicy(xy))
    close = torch.testing.assert_close
    settings = {"rtol": 0, "atol": 1e-5}
    close(found.answer.log_softmax(1), looked.log_probabilities, **settings)
    close(places.from_px(found.means, size), looked.means, **settings)
    close(found.values, looked.values, **settings)
    # A draw beyond the image is brought back to its edge, where its density is another.
    inside = (looked.locations[:, 1:].abs() < 1).all(-1)
    density = (found.log_probs[:, 1:] - looked.log_probs[:, :-1])[inside]
    # Differences of places are divided by the policy's deviation, squared.
    close(density, torch.zeros_like(density), rtol=0, atol=1e-5 / SIGMA**2)
    functional.cross_entropy(found.answer, labels).backward()
    functional.nll_loss(looked.log_probabilities, labels).backward()
    for mine, theirs in (
        (model.what[0].weight.grad, reference.sensor.fc1.weight.grad),
        (model.where[0].weight.grad, reference.sensor.fc2.weight.grad),
        (model.core.linear.weight.grad[:, 256:], reference.rnn.h2h.weight.grad),
        (model.readout[0].weight.grad, reference.classifier.fc.weight.grad),
    ):
        close(mine, theirs, **settings)


# --- contests ------------------------------------------------------------------------------------


def retinas(images: dict[int, Tensor]) -> list[Contest]:
    """Compare glimpses of the same images at the same places."""
    generator = torch.Generator().manual_seed(1)
    found = []
    for task in TASKS.values():
        shown, n = images[task.size], task.n_glimpses
        locations = 2 * torch.rand(n, BATCH, 2, generator=generator) - 1
        locations[0, :2] = torch.tensor([[-1.0, -1.0], [1.0, 1.0]])
        xy = MAPS["kevinzakka"].to_px(locations, (task.size, task.size))
        retina = ram_reference.Retina(task.glimpse_px, task.n_scales)
        prepared = _box(task, shown)
        for at, px in zip(locations, xy, strict=True):
            atol = 0 if task.n_scales == 1 else 1e-6
            torch.testing.assert_close(prepared(px), retina.glimpse(shown, at), rtol=0, atol=atol)

        def reference_rollout(retina=retina, shown=shown, locations=locations) -> None:
            for at in locations:
                retina.glimpse(shown, at)

        def our_rollout(task=task, shown=shown, xy=xy) -> None:
            sensor = _box(task, shown)
            for px in xy:
                sensor(px)

        found += [
            Contest(
                f"retina, {task}, a glimpse",
                lambda retina=retina, shown=shown, at=locations[0]: retina.glimpse(shown, at),
                lambda sensor=prepared, px=xy[0]: sensor(px),
                task.bar,
                repeats=5,
            ),
            Contest(
                f"retina, {task}, {n} glimpses and their preparation",
                reference_rollout,
                our_rollout,
                task.bar,
                repeats=3,
            ),
        ]
    return found


def _box(task: Task, images: Tensor) -> BoxSensor:
    return BoxSensor(images, task.glimpse_px, task.n_scales, coordinates="kevinzakka")


def steps(images: dict[int, Tensor], labels: Tensor, digits: Digits) -> list[Contest]:
    """Compare training steps on the same batch."""
    fast = computes_bfloat16("auto", torch.device("cpu"))
    if not fast:
        print("bfloat16 is left out: this processor does not compute in it.", file=sys.stderr)
    found = []
    for size, n_samples, precision, bar in STEPS:
        if precision == "bfloat16" and not fast:
            continue
        task, shown = TASKS[size], normalised(images[size])
        reference = published(task)
        model = ours_with_weights_of(reference)
        theirs = ram_reference.Training(reference, RATE)
        mine = step_of(model, images[size], labels, n_samples, precision == "bfloat16")
        samples = f", {n_samples} samples" if n_samples > 1 else ""
        found.append(
            Contest(
                f"training step, {size} px{samples}, {precision}",
                lambda theirs=theirs, shown=shown, m=n_samples: theirs.step(shown, labels, m),
                mine,
                bar,
                rounds=15 if n_samples == 1 else 9,
                repeats=3 if n_samples == 1 else 1,
            )
        )
    for precision in ("float32", "bfloat16") if fast else ("float32",):
        task = TASKS[28]
        theirs = ram_reference.Training(published(task), RATE)
        shown = normalised(images[28])
        found.append(
            Contest(
                f"trainer's update, 28 px, {precision}",
                lambda theirs=theirs, shown=shown: theirs.step(shown, labels),
                _updates(objective_of(task, digits), precision),
                None,
                repeats=3,
            )
        )
    return found


def _updates(objective: RAMObjective, precision: str, fresh: bool = False) -> Callable[[], object]:
    """Return the trainer's update, of one batch again and again or of the next ones."""
    plugin = {"float32": "32-true", "bfloat16": "bf16-mixed"}[precision]
    fabric = make_fabric(precision=plugin)
    model, optimizer = fabric.setup(objective.model, objective.optimizer())
    model.mark_forward_method("rollout")
    if not fresh:
        batch = objective.batch(0, 0, 0, 1)
        return lambda: list(objective.update(model, batch, optimizer, fabric))

    def epoch() -> None:
        for index in range(EPOCH_BATCHES):
            batch = objective.batch(0, index, 0, 1)
            list(objective.update(model, batch, optimizer, fabric))

    return epoch


class PublishedDigits(torch.utils.data.Dataset):
    """Digits handed out one by one, by way of Pillow, and normalised."""

    def __init__(self, digits: Digits) -> None:
        load_torchvision()
        from torchvision import transforms

        self.images, self.labels = digits.images, digits.labels
        self.transform = transforms.Compose(
            [transforms.ToTensor(), transforms.Normalize((MEAN,), (STD,))]
        )

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        return self.transform(Image.fromarray(self.images[index])), int(self.labels[index])


def epochs(digits: Digits) -> list[Contest]:
    """Compare training with the making of batches."""
    task = TASKS[28]
    objective = objective_of(task, digits)
    subset = digits.subset(np.arange(EPOCH_BATCHES * BATCH))
    loader = torch.utils.data.DataLoader(PublishedDigits(subset), BATCH, shuffle=True)
    theirs = ram_reference.Training(published(task), RATE)

    def reference_epoch() -> None:
        for shown, labels in loader:
            theirs.step(shown, labels)

    return [
        Contest(
            f"epoch of {EPOCH_BATCHES} batches with the trainer's update, 28 px, float32",
            reference_epoch,
            _updates(objective, "float32", fresh=True),
            None,
            rounds=7,
        )
    ]


def main() -> int:
    """Measure everything and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--only", default="", help="lines whose name holds this")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    digits = load_mnist("train")
    images, labels = {}, torch.empty(0)
    for task in TASKS.values():
        scenes = objective_of(task, digits).batch(0, 0, 0, 1).stimuli
        images[task.size], labels = scenes.image, scenes.metadata["label"]
        check_same(task, scenes.image, labels)
    print(
        "| what | reference ms, least / median | ours ms | ratio of least | median ratio | bar | "
        "met |\n|---|---|---|---|---|---|---|",
        flush=True,
    )
    missed = 0
    for contest in [*retinas(images), *steps(images, labels, digits), *epochs(digits)]:
        if arguments.only not in contest.what:
            continue
        line, met = measure(contest)
        missed += not met
        print(line, flush=True)
    return min(missed, 1)


if __name__ == "__main__":
    sys.exit(main())
