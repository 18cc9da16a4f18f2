"""Training of object-based attention on photographs: what digits taught, with weighted classes."""

import dataclasses
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from attnsci.data.coco_pairs import ObjectPairs
from attnsci.data.coco_scenes import CocoScenes, PhotographScenes
from attnsci.errors import InvalidInput
from attnsci.families.object_attention.coco_recipes import PRESETS as PRESETS
from attnsci.families.object_attention.coco_recipes import CocoTraining
from attnsci.families.object_attention.config import ObjectAttentionConfig
from attnsci.families.object_attention.network import ObjectAttention
from attnsci.families.object_attention.objective import attended_labels, phase_losses
from attnsci.seeds import numpy_generator, torch_generator
from attnsci.training.objective import GradientObjective
from attnsci.training.schedule import warm_cosine
from attnsci.training.trainer import Metrics, check_shares

_ORDER, _VIEWS, _WEIGHTS, _DIMMED = range(1, 5)
_VALIDATION_BATCH = 64


@dataclasses.dataclass(frozen=True)
class CocoBatch:
    """Photographs, and how to learn from them."""

    scenes: PhotographScenes
    step: int
    """Update, counted from 0."""
    dimmed: Tensor | None
    """Share by which the surroundings of each object are dimmed, shape (N, object, 1, 1, 1), when
    objects are read one by one; None when attention is taught."""


class CocoObjective(GradientObjective):
    """Cross-entropy on the attended object, rare classes weighing more, plus Φ times the error.

    One optimiser step after every phase. The attended object is the one nearest to the gated
    image among those not attended before.

    Parameters
    ----------
    config : CocoTraining
        The recipe.
    training, validation : ObjectPairs
        Photographs to learn from and photographs to validate on, labelled alike.

    Raises
    ------
    InvalidInput
        If the photographs do not fill a batch, are of another size than the recipe says, have no
        classes, or are labelled differently.

    Notes
    -----
    After Lei, Benjamin and Kording (2021), arXiv 2106.04540.
    """

    score = "balanced_accuracy"
    forward_methods: tuple[str, ...] = ("phase", "run")
    weights_stream = _WEIGHTS

    def __init__(
        self, config: CocoTraining, training: ObjectPairs, validation: ObjectPairs
    ) -> None:
        self.config = config
        self.training, self.validation = training, validation
        self._check()
        self.n_classes = max(training.classes) + 1
        network = dataclasses.replace(config.model(self.n_classes), n_phases=training.n_objects)
        self.model = self.build(_closed if config.start == "closed" else ObjectAttention, network)
        self._weights = torch.as_tensor(training.class_weights(), dtype=torch.float32)

    def _check(self) -> None:
        training, validation, config = self.training, self.validation, self.config
        if not training.classes or training.classes != validation.classes:
            raise InvalidInput(
                "Training and validation photographs need the same classes; got "
                f"{dict(training.classes)} and {dict(validation.classes)}. Load both with one "
                "target, and not 'location'."
            )
        if len(training) < config.batch_size:
            raise InvalidInput(
                f"{len(training)} photographs do not fill a batch of {config.batch_size}. Choose a "
                "smaller batch_size, or lower min_area."
            )
        sizes = training.size, validation.size
        if set(sizes) != {config.size}:
            raise InvalidInput(f"size is {config.size}, but the photographs are {sizes} pixels.")

    def optimizer(self) -> torch.optim.Optimizer:
        """Return Adam, as published."""
        return torch.optim.Adam(self.model.parameters(), lr=self.config.learning_rate)

    def n_batches(self, epoch: int) -> int:
        """Return the number of whole batches; the few left over change with every pass."""
        return self._per_pass * (self.config.reading if self._reads(epoch) else 1)

    @property
    def _per_pass(self) -> int:
        return len(self.training) // self.config.batch_size

    def _reads(self, epoch: int) -> bool:
        return epoch == 0 and self.config.reading > 0

    def batch(self, epoch: int, index: int, rank: int, world_size: int) -> CocoBatch:
        """Return this process's share of batch `index`."""
        config, reads = self.config, self._reads(epoch)
        check_shares(config.batch_size, world_size)
        passed, place = divmod(index, self._per_pass)
        order = numpy_generator(config.seed, _ORDER, epoch, passed).permutation(len(self.training))
        share = config.batch_size // world_size
        first = place * config.batch_size + rank * share
        scenes = CocoScenes(self.training, device=self.device)[order[first : first + share]]
        drawn = (epoch, index, rank + 1)
        if config.mirrored or config.zoom > 1:
            seen = torch_generator(config.seed, _VIEWS, *drawn)
            scenes = random_views(scenes, seen, mirrored=config.mirrored, zoom=config.zoom)
        step = self._updates_before(epoch) + index
        return CocoBatch(scenes, step, self._dimmed(scenes, drawn) if reads else None)

    def _updates_before(self, epoch: int) -> int:
        """Return the updates of the epochs before, of which the first may be longer."""
        return 0 if epoch == 0 else self.n_batches(0) + (epoch - 1) * self._per_pass

    def learning_rate(self, step: int) -> float:
        """Return the step size of an update, counted from 0; reading has one of its own."""
        config, reading = self.config, self.n_batches(0) if self._reads(0) else 0
        if step < reading:
            largest, total = config.reading_rate, reading
        else:
            attending = config.epochs - self._reads(0)
            step, total = step - reading, attending * self._per_pass
            largest = config.learning_rate
        return largest * warm_cosine(step, total, config.warmup, config.final_rate)

    def _dimmed(self, scenes: PhotographScenes, drawn: tuple[int, ...]) -> Tensor:
        """Draw how far surroundings are dimmed: from as far as gates can to wholly."""
        seen = torch_generator(self.config.seed, _DIMMED, *drawn)
        share = torch.rand(*scenes.labels.shape, 1, 1, 1, generator=seen)
        strength = self.config.strength
        return (strength + (1 - strength) * share).to(self.device)

    def losses(self, model: Any, batch: CocoBatch) -> Iterator[tuple[Tensor, Metrics]]:
        """Yield the loss of each phase, or the one of reading, with parts and accuracy."""
        if batch.dimmed is not None:
            yield self._reading(model, batch.scenes, batch.dimmed)
        else:
            yield from self._attending(model, batch.scenes)

    def _reading(
        self, model: Any, scenes: PhotographScenes, dimmed: Tensor
    ) -> tuple[Tensor, Metrics]:
        """Return the loss of reading every object with its surroundings dimmed, in one pass."""
        views = torch.lerp(scenes.image[:, None], scenes.objects, dimmed).flatten(0, 1)
        label = scenes.labels.flatten()
        logits = model.run(views.to(self.dtype), n_phases=1, n_steps=1).logits[:, 0, 0]
        cross_entropy = self._cross_entropy(logits, label)
        # Several processes want a gradient of every weight, of those of the gates too.
        idle = sum(parameter.sum() for parameter in self.model.parameters())
        return cross_entropy + 0 * idle, {
            "phase": 0,
            "cross_entropy": cross_entropy.item(),
            "accuracy": (logits.argmax(1) == label).float().mean().item(),
        }

    def _cross_entropy(self, logits: Tensor, label: Tensor) -> Tensor:
        weights = self._weights.to(logits) if self.config.class_weights else None
        smoothing = self.config.smoothing
        return functional.cross_entropy(logits, label, weights, label_smoothing=smoothing)

    def _attending(self, model: Any, scenes: PhotographScenes) -> Iterator[tuple[Tensor, Metrics]]:
        """Yield the loss of each phase, as published."""
        targets = scenes.targets(self.config.strength).to(self.dtype)
        image = scenes.image.to(self.dtype)
        yield from phase_losses(
            model, image, scenes.labels, targets,
            self._cross_entropy, self.config.reconstruction_weight,
        )  # fmt: skip

    def before_step(self) -> Metrics:
        """Clip the gradients, where the recipe says so."""
        if self.config.clip is not None:
            nn.utils.clip_grad_norm_(self.model.parameters(), self.config.clip)
        return {}

    def validate(self, model: Any) -> Metrics:
        """Return balanced accuracy, macro F1 and accuracy on photographs kept apart."""
        found = [
            attended_labels(model.module, scenes, self.config.strength)
            for scenes in CocoScenes(self.validation, device=self.device).batches(_VALIDATION_BATCH)
        ]
        labels, named = (torch.cat(part).cpu().numpy() for part in zip(*found, strict=True))
        balanced, macro_f1 = class_scores(labels, named, self.n_classes)
        by_phase = {
            f"accuracy_phase_{phase + 1}": float(right)
            for phase, right in enumerate((labels == named).mean(0))
        }
        return {
            "n": len(labels),
            "balanced_accuracy": balanced,
            "macro_f1": macro_f1,
            "accuracy": float((labels == named).mean()),
            **by_phase,
        }

    def provenance(self) -> dict[str, Any]:
        """Return what the weights and a resumed run must agree on."""
        return {
            **super().provenance(),
            "data": self.training.provenance(),
            "validation_data": self.validation.provenance(),
        }


def _closed(config: ObjectAttentionConfig) -> ObjectAttention:
    """Return a network with He's weights for the way up and a closed pixel gate: tanh 1 = 0.76."""
    model = ObjectAttention(config)
    parameters = dict(model.named_parameters())
    for number in range(len(model.levels)):
        nn.init.kaiming_normal_(parameters[f"levels.{number}.conv.weight"], nonlinearity="relu")
        nn.init.zeros_(parameters[f"levels.{number}.conv.bias"])
    nn.init.ones_(parameters["levels.0.deconv.bias"])
    return model


def class_scores(labels: np.ndarray, named: np.ndarray, n_classes: int) -> tuple[float, float]:
    """Return balanced accuracy (over classes that occur) and macro F1 (over those told as well).

    Examples
    --------
    >>> class_scores(np.array([0, 0, 0, 1]), np.array([0, 0, 0, 0]), 3)
    (0.5, 0.42857142857142855)
    """
    labels, named = labels.ravel(), named.ravel()
    right = np.bincount(labels[labels == named], minlength=n_classes)
    shown = np.bincount(labels, minlength=n_classes)
    told = shown + np.bincount(named, minlength=n_classes)
    balanced = (right[shown > 0] / shown[shown > 0]).mean()
    return float(balanced), float((2 * right[told > 0] / told[told > 0]).mean())


def random_views(
    scenes: PhotographScenes, generator: torch.Generator, *, mirrored: bool, zoom: float
) -> PhotographScenes:
    """Return each photograph with its objects, perhaps left to right, a random part enlarged.

    Parameters
    ----------
    scenes : PhotographScenes
    generator : torch.Generator
        On the CPU.
    mirrored : bool
        Turn about half of them left to right.
    zoom : float
        Largest enlargement; the part lies anywhere inside.
    """
    n, device = len(scenes), scenes.image.device
    draws = torch.rand(4, n, generator=generator)
    scale = 1 / (1 + (zoom - 1) * draws[0])
    flip = torch.where((draws[1] < 0.5) & mirrored, -1.0, 1.0)
    # Of a part of `scale` of the side, in coordinates that run from −1 to 1.
    shift = (2 * draws[2:] - 1) * (1 - scale)
    theta = torch.zeros(n, 2, 3)
    theta[:, 0, 0], theta[:, 1, 1] = scale * flip, scale
    theta[:, 0, 2], theta[:, 1, 2] = shift
    layers = torch.cat(
        [scenes.image[:, None], scenes.objects, scenes.masks.float().expand_as(scenes.objects)], 1
    ).flatten(1, 2)
    grid = functional.affine_grid(theta.to(device), list(layers.shape), align_corners=False)
    seen = functional.grid_sample(layers, grid, padding_mode="border", align_corners=False)
    seen = seen.unflatten(1, (-1, 3))
    n_objects = scenes.labels.shape[1]
    return dataclasses.replace(
        scenes,
        image=seen[:, 0],
        objects=seen[:, 1 : 1 + n_objects],
        object_masks=seen[:, 1 + n_objects :, :1] >= 0.5,
    )
