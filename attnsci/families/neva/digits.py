"""NeVA's policy in small: digits among clutter, where the published head loses the image.

A head without bounds collapses: the gaze leaves the image, the fovea's gradient vanishes out
there, and what is recognised is the blurred image. Bounded heads recognise better than the sharp
image allows, since the clutter stays blurred.
"""

import dataclasses
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from lightning_fabric import Fabric
from torch import Tensor, nn
from torch.nn import functional

from attnsci.checks import check_positive
from attnsci.data.digits import Digits, load_mnist
from attnsci.families.neva.objective import NeVAObjective
from attnsci.families.neva.policy import LearnedGaze, NeVAPolicy
from attnsci.families.neva.policy_config import DIGITS, DIGITS_FLAT, Head
from attnsci.families.neva.recipes import DIGIT_RECIPE
from attnsci.families.neva.scores import after_each_fixation, at_centre, at_random, looking
from attnsci.families.neva.tasks import Classification, frozen
from attnsci.models.weights import load_weights
from attnsci.seeds import numpy_generator, torch_generator, torch_seed
from attnsci.sensors.foveation import Fovea, FoveatedView
from attnsci.training.configs import Device, TrainerConfig
from attnsci.training.trainer import Metrics, Trainer, check_shares

SIDE, DIGIT, PATCH, N_PATCHES = 56, 28, 8, 4
FOVEA = Fovea.from_reference(0.15, SIDE, blur_size=15, blur_sigma_px=6.0, retention=0.9)
BLURRED_SHARE = 0.7
"""Of the images that the classifier learns from; one that saw none tells nothing of a blur."""

_SCENES, _ORDER, _WEIGHTS, _FOVEAE = range(1, 5)


class ClutteredDigits:
    """A digit somewhere on a canvas of 56 pixels, with four pieces of other digits.

    Parameters
    ----------
    digits : Digits
        One a picture; the pieces come from them too.
    seed : int
        Of places and pieces: anew in every epoch, and once and for all for a test.
    """

    def __init__(self, digits: Digits, seed: int = 0) -> None:
        self.digits, self.seed = digits, seed
        self._pixels = digits.images.astype(np.float32) / 255

    def __len__(self) -> int:
        return len(self.digits)

    def batch(self, rows: np.ndarray, epoch: int | None) -> tuple[Tensor, Tensor]:
        """Return pictures (N, 1, 56, 56) and labels (N,); see `attnsci.families.neva.scores`."""
        generator = numpy_generator(self.seed, _SCENES, 0 if epoch is None else epoch + 1)
        n = len(self)
        at = generator.integers(0, SIDE - DIGIT + 1, (n, 2))[rows]
        others = generator.integers(0, n, (n, N_PATCHES))[rows]
        cut = generator.integers(0, DIGIT - PATCH + 1, (n, N_PATCHES, 2))[rows]
        put = generator.integers(0, SIDE - PATCH + 1, (n, N_PATCHES, 2))[rows]
        canvas = np.zeros((len(rows), SIDE, SIDE), np.float32)
        canvas[_window(at, DIGIT)] = self._pixels[rows]
        for k in range(N_PATCHES):
            piece = self._pixels[others[:, k]][_window(cut[:, k], PATCH)]
            place = _window(put[:, k], PATCH)
            canvas[place] = np.maximum(canvas[place], piece)
        return torch.from_numpy(canvas)[:, None], torch.from_numpy(self.digits.labels[rows])

    def provenance(self) -> dict[str, Any]:
        """Return what is needed to have the same pictures again."""
        return {"pictures": "cluttered digits", "seed": self.seed, **self.digits.provenance()}


def _window(corner: np.ndarray, side: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the index of a square in each of N images, from its upper left corner (N, 2)."""
    line = np.arange(side)
    rows, columns = corner[:, :1] + line, corner[:, 1:] + line
    return np.arange(len(corner))[:, None, None], rows[:, :, None], columns[:, None, :]


class DigitNetwork(nn.Sequential):
    """Three convolutions and two linear layers, 224,938 weights: pictures to ten logits."""

    def __init__(self) -> None:
        layers: list[nn.Module] = []
        for before, after in ((1, 16), (16, 32), (32, 64)):
            layers += [nn.Conv2d(before, after, 3, 2, 1), nn.BatchNorm2d(after), nn.ReLU()]
        super().__init__(
            *layers,
            nn.Flatten(),
            nn.Linear(64 * (SIDE // 8) ** 2, 64),
            nn.ReLU(),
            nn.Linear(64, 10),
        )


class ClassifierObjective:
    """Digits as two random looks show them, so that the classifier can bear a blur.

    Parameters
    ----------
    training, validation : ClutteredDigits
    seed, batch_size : int
    learning_rate : float
        Of Adam.
    """

    score = "accuracy"
    forward_methods: tuple[str, ...] = ()

    def __init__(
        self,
        training: ClutteredDigits,
        validation: ClutteredDigits,
        *,
        seed: int = 0,
        batch_size: int = 64,
        learning_rate: float = 1e-3,
    ) -> None:
        self.training, self.validation, self.seed = training, validation, seed
        self.batch_size = check_positive("batch_size", batch_size, integer=True)
        self.learning_rate = check_positive("learning_rate", learning_rate)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(torch_seed(seed, _WEIGHTS))
            self.model: nn.Module = DigitNetwork()

    def optimizer(self) -> torch.optim.Optimizer:
        """Return Adam."""
        return torch.optim.Adam(self.model.parameters(), lr=self.learning_rate)

    def n_batches(self, epoch: int) -> int:
        """Return the number of whole batches."""
        return len(self.training) // self.batch_size

    def batch(self, epoch: int, index: int, rank: int, world_size: int) -> tuple[Tensor, Tensor]:
        """Return seen pictures and labels."""
        check_shares(self.batch_size, world_size)
        order = numpy_generator(self.seed, _ORDER, epoch).permutation(len(self.training))
        share = self.batch_size // world_size
        start = index * self.batch_size + rank * share
        images, labels = self.training.batch(order[start : start + share], epoch)
        draws = torch.rand(
            share, 5, generator=torch_generator(self.seed, _FOVEAE, epoch, index, rank)
        )
        view = FoveatedView(images, FOVEA)
        memory = view.mask(draws[:, :4].view(share, 2, 2) * SIDE).sum(1)
        blurred = (draws[:, 4] < BLURRED_SHARE)[:, None, None, None]
        seen = torch.where(blurred, view.perceive(memory), images)
        return self._to(seen), labels.to(next(self.model.parameters()).device)

    def update(
        self, model: Any, batch: tuple[Tensor, Tensor], optimizer: torch.optim.Optimizer,
        fabric: Fabric,
    ) -> Iterator[Metrics]:  # fmt: skip
        """Take one step."""
        seen, labels = batch
        with fabric.autocast():
            loss = functional.cross_entropy(model(seen), labels)
        optimizer.zero_grad()
        fabric.backward(loss)
        optimizer.step()
        yield {"loss": loss.item()}

    def validate(self, model: Any) -> Metrics:
        """Return the accuracy on sharp pictures."""
        images, labels = self.validation.batch(np.arange(len(self.validation)), None)
        logits = model(self._to(images)).cpu()
        return {"n": len(labels), "accuracy": (logits.argmax(1) == labels).double().mean().item()}

    def _to(self, images: Tensor) -> Tensor:
        weight = next(self.model.parameters())
        return images.to(weight.device, weight.dtype)

    def provenance(self) -> dict[str, Any]:
        """Return what the weights and a resumed run must agree on."""
        return {
            "model": "DigitNetwork",
            "fovea": FOVEA,
            "batch_size": self.batch_size,
            "learning_rate": self.learning_rate,
            "data": self.training.provenance(),
            "validation_data": self.validation.provenance(),
            "seed": self.seed,
        }


def digit_task(
    out: Path, *, steps: int = 1500, seed: int = 0, device: Device = "cpu"
) -> Classification:
    """Train the classifier into a folder, or continue there; return it as a task.

    Parameters
    ----------
    out : Path
    steps : int
    seed : int
    device : str
    """
    training, test = _pictures(seed)
    objective = ClassifierObjective(training, test, seed=seed)
    _run(objective, out, steps, device)
    return Classification(_last(DigitNetwork(), out))


def digit_policy(
    task: Classification,
    head: Head,
    out: Path,
    *,
    steps: int = 300,
    seed: int = 0,
    device: Device = "cpu",
) -> NeVAPolicy:
    """Train a policy with the given head into a folder, or continue there.

    Parameters
    ----------
    task : Classification
        Of `digit_task`.
    head : {"soft-argmax", "tanh", "clamped"}
    out : Path
    steps : int
        Batches of 64 pictures with four fixations each.
    seed : int
    device : str
    """
    policy = DIGITS if head == "soft-argmax" else dataclasses.replace(DIGITS_FLAT, head=head)
    recipe = dataclasses.replace(DIGIT_RECIPE, policy=policy, seed=seed)
    objective = NeVAObjective(recipe, task, *_pictures(seed), FOVEA)
    _run(objective, out, steps, device)
    model: NeVAPolicy = _last(NeVAPolicy(policy), out)
    return model


def collapse(
    out: str | Path,
    heads: Sequence[Head] = ("soft-argmax", "tanh", "clamped"),
    *,
    steps: int = 300,
    classifier_steps: int = 1500,
    seed: int = 0,
    device: Device = "cpu",
) -> pd.DataFrame:
    """Compare gazes without bounds, which may leave the image for good, with bounded ones.

    Whether a gaze without bounds leaves within some hundred steps depends on the last bits of
    the arithmetic: it does on one processor and does not on another.

    Some two minutes on one core for each head, and half a minute for the classifier.

    Parameters
    ----------
    out : path-like
        Receives a run for the classifier and one for each head; what is there is not done again.
    heads : sequence of str
    steps, classifier_steps : int
        Batches to train on.
    seed : int
    device : str

    Returns
    -------
    pandas.DataFrame
        Columns ``gaze`` (each head, "centre", "random"), ``fixation`` (0 before the first),
        ``loss``, ``accuracy`` and ``outside`` on the 1000 bundled test digits; the accuracy on
        sharp pictures is in ``attrs["sharp"]``.
    """
    out = Path(out)
    task = digit_task(out / "classifier", steps=classifier_steps, seed=seed, device=device)
    n = DIGIT_RECIPE.n_fixations
    gazes = {"centre": at_centre(n), "random": at_random(n, seed)}
    for head in heads:
        policy = digit_policy(task, head, out / head, steps=steps, seed=seed, device=device)
        gazes[head] = looking(LearnedGaze(policy, FOVEA), n)
    _, test = _pictures(seed)
    tables = [
        after_each_fixation(where, task, test, FOVEA, labels="given", chunk=100).assign(gaze=name)
        for name, where in gazes.items()
    ]
    table = pd.concat(tables, ignore_index=True)
    images, labels = test.batch(np.arange(len(test)), None)
    with torch.no_grad():
        right = task.model(images).argmax(1) == labels
    table.attrs["sharp"] = right.double().mean().item()
    return table[["gaze", "fixation", "loss", "accuracy", "outside"]]


def _pictures(seed: int) -> tuple[ClutteredDigits, ClutteredDigits]:
    return ClutteredDigits(load_mnist("train"), seed), ClutteredDigits(load_mnist("test"), seed)


def _run(objective: Any, out: Path, steps: int, device: Device) -> None:
    epochs = steps // objective.n_batches(0) + 1
    Trainer(objective, out, TrainerConfig(epochs=epochs, max_steps=steps, device=device)).fit()


def _last(model: Any, out: Path) -> Any:
    model.load_state_dict(load_weights(out / "last.safetensors")[0])
    return frozen(model)
