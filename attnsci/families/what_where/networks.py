"""Networks of the noisy-digit studies, each as a function from scenes to answers."""

import dataclasses
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from attnsci.devices import computes_bfloat16
from attnsci.errors import InvalidInput
from attnsci.families.what_where.network import WhatWhere
from attnsci.families.what_where.pathways import WhatNet
from attnsci.families.what_where.transformer import SpatialTransformer
from attnsci.families.zoo import load_model
from attnsci.models.weights import Pretrained
from attnsci.sensors.centred import middle

TITLES = {
    "what": "What",
    "stn-28": "STN",
    "stn-128": "STN 128",
    "atn": "ATN",
    "polo-atn-95": "POLO-ATN 95",
    "polo-atn-85": "POLO-ATN 85",
    "conv-polo-atn-85": "convPOLO-ATN 85",
}
"""Of networks, by the name of their weights without the seed."""
LARGE = ("stn-128", "atn", "polo-atn-95", "polo-atn-85", "conv-polo-atn-85")
"""Networks of scenes of 128 pixels."""
N_SACCADES = 3


class Answer(NamedTuple):
    """What a network says of N scenes.

    Attributes
    ----------
    logits : Tensor, shape (N, class)
    fixation : Tensor, shape (N, 2), or None
        Where it looked last, in pixels (x, y); None for a network that does not look.
    gain : Tensor, shape (N,), or None
        Information gain that was expected of the saccade there, in nats.
    """

    logits: Tensor
    fixation: Tensor | None = None
    gain: Tensor | None = None


Asked = Callable[[Tensor, Tensor], dict[str, Answer]]
"""From scenes (N, 1, H, W) and where their digits are (N, 2), which only an oracle may use, to
answers by condition."""


def ask_network(name_or_path: str, title: str, device: torch.device) -> tuple[Asked, Pretrained]:
    """Return a classifier, or spatial transformer, as a function of one condition, its title.

    Raises
    ------
    InvalidInput
        If the weights are of another family.
    """
    found = load_model(name_or_path)
    model = found.model.to(device)
    if isinstance(model, SpatialTransformer):
        return _transformer(model, title), found
    if not isinstance(model, WhatNet):
        raise InvalidInput(
            f"{name_or_path} is a {type(model).__name__}; this needs a WhatNet or a "
            "SpatialTransformer, such as what-28-seed0 or stn-28-seed0."
        )

    def ask(images: Tensor, places: Tensor) -> dict[str, Answer]:
        return {title: Answer(model(middle(images, model.config.image_px)))}

    return ask, found


def _transformer(model: SpatialTransformer, title: str) -> Asked:
    # Convolutions of whole scenes are what takes the time; log-polar networks are quick as it is.
    device = next(model.parameters()).device
    half = model.config.localisation == "conv" and computes_bfloat16("auto", device)
    model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def ask(images: Tensor, places: Tensor) -> dict[str, Answer]:
        with torch.autocast(device.type, torch.bfloat16, enabled=half):
            done = model.rollout(images)
        return {title: Answer(done.logits.float(), done.locations[:, -1].float())}

    return ask


@dataclasses.dataclass(frozen=True)
class Pathways:
    """A What and a Where that were trained for one another."""

    model: WhatWhere
    what: Pretrained
    where: Pretrained


def load_pathways(what: str, where: str, device: torch.device) -> Pathways:
    """Return the two pathways as one model."""
    fovea, periphery = load_model(what), load_model(where)
    model = WhatWhere(fovea.model, periphery.model, n_saccades=N_SACCADES).eval().to(device)
    return Pathways(model, fovea, periphery)


def ask_pathways(pathways: Pathways, title: str = "What/Where") -> Asked:
    """Return What/Where as a function: 0 to 3 saccades, and the fixation of an oracle."""
    model = pathways.model

    def ask(images: Tensor, places: Tensor) -> dict[str, Answer]:
        done = model.rollout(images)
        found = {
            f"{title}, {k} saccade{'' if k == 1 else 's'}": Answer(
                done.logits[:, k],
                done.locations[:, k],
                done.gain[:, k - 1] if k else None,
            )
            for k in range(N_SACCADES + 1)
        }
        told = model.rollout(images, first=places, n_saccades=0)
        found[f"{title}, oracle"] = Answer(told.logits[:, -1], told.locations[:, -1])
        return found

    return ask
