"""Training of Where: from the periphery, foretell what the fovea would recognise.

After Daucé, Albiges & Perrinet 2020, Journal of Vision 20(8):22. How often What is right is
measured once, for a digit at each place in its view. That map, moved to where the digit of a scene
is and read by the collicular cells, is what Where learns to say; no label of a digit is used.
"""

from collections.abc import Iterator, Sequence
from typing import Any, ClassVar, NamedTuple

import numpy as np
import torch
from lightning_fabric import Fabric
from torch import Tensor, nn
from torch.nn import functional

from attnsci.data.digits import Digits
from attnsci.data.noisy_layout import NoisyDigitsConfig
from attnsci.data.noisy_scenes import NoisyDigits, noisy_digits
from attnsci.errors import InvalidInput
from attnsci.families.what_where.network import WhatWhere
from attnsci.families.what_where.pathways import WhatNet, WhereNet
from attnsci.families.what_where.where_recipes import PRESETS as PRESETS
from attnsci.families.what_where.where_recipes import WhereTraining
from attnsci.families.zoo import load_model
from attnsci.seeds import numpy_generator, torch_seed
from attnsci.sensors.colliculus import TargetTable
from attnsci.training.digit_split import split_digits
from attnsci.training.schedule import warm_cosine
from attnsci.training.trainer import Metrics, check_shares

_SPLIT, _EPOCH, _ORDER, _VALIDATION, _WEIGHTS, _FEATURES, _MAP = range(1, 8)

REACH_PX = 27
"""Offsets up to which What's accuracy is measured; beyond it nothing of a digit is in view."""
FEATURE_SCENES = 1000
"""Scenes on which the retina's features are measured before training."""
CHUNK = 250


class Batch(NamedTuple):
    """Features (N, F), targets (N, cells), and the step size of the update."""

    features: Tensor
    targets: Tensor
    rate: float


class WhereObjective:
    """Binary cross-entropy between Where's cells and What's accuracy after a saccade there.

    Parameters
    ----------
    config : WhereTraining
        The recipe.
    digits : Digits, optional
        Training digits in place of ``config.source``; a part becomes the validation set.
    what : WhatNet, optional
        The fovea, in place of the weights that ``config.what`` names.

    Attributes
    ----------
    accuracy : Tensor, shape (55, 55)
        Of What, for a digit at offset (i − 27, j − 27).

    Raises
    ------
    InvalidInput
        If the digits do not fill a batch and a validation set, or the weights are no What.
    """

    score = "accuracy"
    watch: ClassVar[dict[str, tuple[str, ...]]] = {
        "accuracy by place": ("accuracy_central", "accuracy_before"),
        "median landing error (px)": ("landing_error",),
    }
    weights = "last"
    forward_methods: tuple[str, ...] = ()

    def __init__(
        self,
        config: WhereTraining,
        digits: Digits | None = None,
        what: WhatNet | None = None,
    ) -> None:
        self.config = config
        self.training, self.validation = split_digits(
            config.source, config.validation_fraction, config.batch_size,
            (config.seed, _SPLIT), digits,
        )  # fmt: skip
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(torch_seed(config.seed, _WEIGHTS))
            self.model: nn.Module = WhereNet(config.model)
        self.what = (what or _loaded(config.what)).eval().requires_grad_(False)
        self.pathways = WhatWhere(self.what, self.model)
        self.accuracy = landing_accuracy(
            self.what, self._rows(config.map_scenes), config.scenes,
            seed=(config.seed, _MAP), stride_px=config.map_stride_px,
        )  # fmt: skip
        self.table = TargetTable(
            self.pathways.colliculus, self.accuracy, reflected=config.reflected
        )
        if config.model.standardised:
            some = self.training.subset(np.arange(min(FEATURE_SCENES, len(self.training))))
            self.model.fit_features(self._features(self._show(some, _FEATURES).image))

    def _rows(self, n: int) -> Digits:
        """Return validation digits, spread over them."""
        n = min(n, len(self.validation))
        return self.validation.subset(
            np.linspace(0, len(self.validation) - 1, n).round().astype(int)
        )

    def _show(self, digits: Digits, *stream: int) -> NoisyDigits:
        """Return scenes of digits, on the model's device."""
        config = self.config
        return noisy_digits(
            digits.images, digits.labels, digits.index, mode=config.mode,
            seed=0 if config.mode == "frozen" else (config.seed, *stream),
            device=next(self.model.parameters()).device, config=config.scenes,
        )  # fmt: skip

    @torch.no_grad()
    def _features(self, images: Tensor) -> Tensor:
        """Return what the retina says at the centre (N, F); in full precision."""
        if self.pathways.targets.device != images.device:
            self.pathways.to(images.device)
            self.table.to(images.device)
        return self.pathways.retina(images)

    def optimizer(self) -> torch.optim.Optimizer:
        """Return Adam."""
        return torch.optim.Adam(self.model.parameters(), lr=self.config.learning_rate, fused=True)

    def n_batches(self, epoch: int) -> int:
        """Return the number of updates in an epoch."""
        return self.config.batches_per_epoch

    def batch(self, epoch: int, index: int, rank: int, world_size: int) -> Batch:
        """Return this process's share of batch `index`: digits in an order of their own turn."""
        config = self.config
        check_shares(config.batch_size, world_size)
        step = epoch * config.batches_per_epoch + index
        usable = len(self.training) // config.batch_size * config.batch_size
        turn, start = divmod(step * config.batch_size, usable)
        if turn != getattr(self, "_turn", None):
            order = numpy_generator(config.seed, _ORDER, turn + 1).permutation(len(self.training))
            self._order, self._turn = order[:usable], turn
        share = config.batch_size // world_size
        start += rank * share
        some = self.training.subset(self._order[start : start + share])
        shown = self._show(some, _EPOCH, turn)
        features = self._features(shown.image)
        offsets = torch.stack([shown.metadata["dy"], shown.metadata["dx"]], 1)
        total = config.epochs * config.batches_per_epoch
        rate = warm_cosine(step, total, config.warmup, config.final_rate)
        return Batch(features, self.table(offsets.to(features.device)), config.learning_rate * rate)

    def update(
        self, model: Any, batch: Batch, optimizer: torch.optim.Optimizer, fabric: Fabric
    ) -> Iterator[Metrics]:
        """Take one optimiser step; yield its loss."""
        for group in optimizer.param_groups:
            group["lr"] = batch.rate
        with fabric.autocast():
            logits = model(batch.features)
        loss = functional.binary_cross_entropy_with_logits(logits.float(), batch.targets)
        optimizer.zero_grad()
        fabric.backward(loss)
        optimizer.step()
        yield {"loss": loss.item(), "learning_rate": batch.rate}

    def validate(self, model: Any) -> Metrics:
        """Return what one saccade is worth on digits kept apart.

        ``accuracy`` after it, ``accuracy_before`` at the centre; the median ``landing_error`` in
        pixels; ``loss``, and ``loss_floor``, that of the targets themselves.
        """
        parts: dict[str, list[Tensor]] = {}
        digits = self._rows(self.config.validation_scenes)
        for rows in np.array_split(np.arange(len(digits)), -(-len(digits) // CHUNK)):
            shown = self._show(digits.subset(rows), _VALIDATION)
            self._features(shown.image[:1])
            done = self.pathways.rollout(shown.image, n_saccades=1)
            right = done.logits.argmax(-1) == shown.metadata["label"][:, None]
            offsets = torch.stack([shown.metadata["dy"], shown.metadata["dx"]], 1)
            target = self.table(offsets.to(done.where.device))
            off = torch.linalg.norm(done.locations[:, -1] - shown.places, dim=1)
            cross = functional.binary_cross_entropy_with_logits
            for name, value in (
                ("accuracy_before", right[:, 0].float()),
                ("accuracy", right[:, 1].float()),
                ("landing_error", off),
                ("loss", cross(done.where[:, 0], target, reduction="none").mean(1)),
                ("loss_floor", cross(target.logit(), target, reduction="none").mean(1)),
            ):
                parts.setdefault(name, []).append(value)
        found: Metrics = {name: torch.cat(each).mean().item() for name, each in parts.items()}
        found["landing_error"] = torch.cat(parts["landing_error"]).median().item()
        return {"n": len(digits), **found}

    def provenance(self) -> dict[str, Any]:
        """Return what the weights and a resumed run must agree on."""
        return {
            "model": "WhereNet",
            "config": self.config.model,
            "training": self.config,
            "what_accuracy": {
                "centre": round(float(self.accuracy[REACH_PX, REACH_PX]), 4),
                "mean": round(float(self.accuracy.mean()), 4),
            },
            "data": self.training.provenance(),
            "validation_data": self.validation.provenance(),
            "seed": self.config.seed,
        }


@torch.no_grad()
def landing_accuracy(
    what: WhatNet,
    digits: Digits,
    scenes: NoisyDigitsConfig,
    *,
    seed: Sequence[int],
    stride_px: int = 3,
) -> Tensor:
    """Return how often What is right, by where the digit lies in its view.

    Every scene has its digit in the middle and is seen from fixations all around it, so that one
    scene serves all offsets.

    Parameters
    ----------
    what : WhatNet
    digits : Digits
    scenes : NoisyDigitsConfig
        Noise and contrast; of 128 pixels.
    seed : sequence of int
        Of the scenes.
    stride_px : int
        Distance of the fixations; between them the map is interpolated.

    Returns
    -------
    Tensor, shape (55, 55), float32
        For a digit at offset (i − 27, j − 27), down and to the right.

    Raises
    ------
    InvalidInput
        If `stride_px` does not divide 27.
    """
    if REACH_PX % stride_px:
        raise InvalidInput(f"map_stride_px must divide {REACH_PX}; got {stride_px}.")
    device = next(what.parameters()).device
    shown = noisy_digits(
        digits.images, digits.labels, digits.index, seed=tuple(seed), device=device,
        config=scenes, i_offset=0, j_offset=0,
    )  # fmt: skip
    side, size = what.config.image_px, scenes.size
    first = (size - side) // 2
    # A digit below the fixation is seen from above it.
    starts = [first - offset for offset in range(-REACH_PX, REACH_PX + 1, stride_px)]
    label = shown.metadata["label"]
    found = torch.empty(len(starts), len(starts))
    for i, row in enumerate(starts):
        strip = shown.image[:, :, row : row + side]
        for j, column in enumerate(starts):
            right = what(strip[..., column : column + side]).argmax(-1) == label
            found[i, j] = right.float().mean()
    whole = (2 * REACH_PX + 1,) * 2
    return functional.interpolate(found[None, None], whole, mode="bilinear", align_corners=True)[
        0, 0
    ]


def _loaded(name_or_path: str) -> WhatNet:
    model = load_model(name_or_path).model
    if not isinstance(model, WhatNet):
        raise InvalidInput(
            f"{name_or_path} is a {type(model).__name__}; Where needs a WhatNet such as "
            "what-crop-seed0."
        )
    return model
