"""Training of Where: from the periphery, foretell what the fovea would recognise.

After Daucé, Albiges & Perrinet 2020, Journal of Vision 20(8):22. How often What is right is
measured once, for a digit at each place in its view. That map, moved to where the digit of a scene
is and read by the collicular cells, is what Where learns to say; no label of a digit is used.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from attnsci.data.digits import Digits
from attnsci.data.noisy_layout import NoisyDigitsConfig
from attnsci.data.noisy_scenes import noisy_digits
from attnsci.errors import InvalidInput
from attnsci.families.what_where.network import WhatWhere
from attnsci.families.what_where.pathways import WhatNet, WhereNet
from attnsci.families.what_where.turns import FEATURES, MAP, TurnObjective
from attnsci.families.what_where.where_recipes import PRESETS as PRESETS
from attnsci.families.what_where.where_recipes import WhereTraining
from attnsci.families.zoo import load_model
from attnsci.sensors.colliculus import TargetTable
from attnsci.training.digit_objective import VALIDATION, Batch, spread_over
from attnsci.training.trainer import Metrics

REACH_PX = 27
"""Offsets up to which What's accuracy is measured; beyond it nothing of a digit is in view."""
FEATURE_SCENES = 1000
"""Scenes on which the retina's features are measured before training."""
CHUNK = 250


class WhereObjective(TurnObjective):
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

    network = WhereNet

    def __init__(
        self,
        config: WhereTraining,
        digits: Digits | None = None,
        what: WhatNet | None = None,
    ) -> None:
        super().__init__(config, digits)
        self.what = (what or _loaded(config.what)).eval().requires_grad_(False)
        assert isinstance(self.model, WhereNet)
        self.pathways = WhatWhere(self.what, self.model)
        self.accuracy = landing_accuracy(
            self.what, self._held_out(config.map_scenes), config.scenes,
            seed=(config.seed, MAP), stride_px=config.map_stride_px,
        )  # fmt: skip
        self.table = TargetTable(
            self.pathways.colliculus, self.accuracy, reflected=config.reflected
        )
        if config.model.standardised:
            first = self.training.subset(np.arange(min(FEATURE_SCENES, len(self.training))))
            views = self.noisy(first, config.scenes, FEATURES).image
            self.model.fit_features(self._features(views))

    def _held_out(self, n: int) -> Digits:
        """Return validation digits, spread over them."""
        return self.validation.subset(spread_over(self.validation, n))

    @torch.no_grad()
    def _features(self, images: Tensor) -> Tensor:
        """Return what the retina says at the centre (N, F); in full precision."""
        if self.pathways.targets.device != images.device:
            self.pathways.to(images.device)
            self.table.to(images.device)
        return self.pathways.retina(images)

    def layout(self, epoch: int) -> NoisyDigitsConfig:
        """Return how scenes are laid out, the same in all epochs."""
        return self.config.scenes

    def losses(self, model: Any, batch: Batch) -> Iterator[tuple[Tensor, Metrics]]:
        """Yield the loss."""
        scenes = batch.stimuli
        features = self._features(scenes.image)
        offsets = torch.stack([scenes.metadata["dy"], scenes.metadata["dx"]], 1)
        targets, logits = self.table(offsets.to(features.device)), model(features)
        yield functional.binary_cross_entropy_with_logits(logits.float(), targets), {}

    def evaluate(self, model: Any, scenes: Digits) -> Metrics:
        """Return what one saccade is worth on digits kept apart.

        ``accuracy`` after it, ``accuracy_before`` at the centre; the median ``landing_error`` in
        pixels; ``loss``, and ``loss_floor``, that of the targets themselves.
        """
        parts: dict[str, list[Tensor]] = {}
        digits = self._held_out(self.config.validation_scenes)
        for rows in np.array_split(np.arange(len(digits)), -(-len(digits) // CHUNK)):
            batch = self.noisy(digits.subset(rows), self.config.scenes, VALIDATION)
            self._features(batch.image[:1])
            rollout = self.pathways.rollout(batch.image, n_saccades=1)
            right = rollout.logits.argmax(-1) == batch.metadata["label"][:, None]
            offsets = torch.stack([batch.metadata["dy"], batch.metadata["dx"]], 1)
            target = self.table(offsets.to(rollout.where.device))
            missed = torch.linalg.norm(rollout.locations[:, -1] - batch.places, dim=1)
            cross = functional.binary_cross_entropy_with_logits
            for name, value in (
                ("accuracy_before", right[:, 0].float()),
                ("accuracy", right[:, 1].float()),
                ("landing_error", missed),
                ("loss", cross(rollout.where[:, 0], target, reduction="none").mean(1)),
                ("loss_floor", cross(target.logit(), target, reduction="none").mean(1)),
            ):
                parts.setdefault(name, []).append(value)
        metrics: Metrics = {name: torch.cat(part).mean().item() for name, part in parts.items()}
        metrics["landing_error"] = torch.cat(parts["landing_error"]).median().item()
        return {"n": len(digits), **metrics}

    def provenance(self) -> dict[str, Any]:
        """Return what the weights and a resumed run must agree on."""
        return {
            **super().provenance(),
            "what_accuracy": {
                "centre": round(float(self.accuracy[REACH_PX, REACH_PX]), 4),
                "mean": round(float(self.accuracy.mean()), 4),
            },
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
