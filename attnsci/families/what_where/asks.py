"""How What, What/Where and spatial transformers are asked: the words of their responses."""

from typing import Any

import torch
from torch import Tensor

from attnsci.devices import computes_bfloat16
from attnsci.errors import InvalidInput
from attnsci.families.what_where.network import WhatWhere
from attnsci.families.what_where.pathways import WhatNet
from attnsci.families.what_where.transformer import SpatialTransformer
from attnsci.recording.responses import Ask, Response, classifier
from attnsci.recording.stimuli import to_model

N_SACCADES = 3


class Transforms:
    """A spatial transformer: ``logits``, and the ``location`` at which it looks.

    Convolutions of whole scenes are what takes the time, and are computed in bfloat16 where the
    device is fast at it; log-polar networks are quick as it is.
    """

    def __init__(self, model: SpatialTransformer) -> None:
        self.model = model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.device = next(model.parameters()).device
        self.half = model.config.localisation == "conv" and computes_bfloat16("auto", self.device)
        self.settings = {"bfloat16": self.half}

    def __call__(self, batch: Any, rows: slice) -> Response:
        """Return what it says, and where it looks."""
        image = to_model(batch.image, self.model)
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.half):
            rollout = self.model.rollout(image)
        return {
            "logits": (("class",), rollout.logits.float()),
            "location": (("coordinate",), rollout.locations[:, -1].float()),
        }


class Saccades:
    """What/Where after 0, 1 … saccades of one rollout, which are counted by ``time``.

    It answers ``logits``, ``location`` and ``gain``, the information (nats) that it expected of
    the saccade there; NaN of the first fixation, which is given.
    """

    def __init__(self, model: WhatWhere, n_saccades: int = N_SACCADES) -> None:
        self.model, self.n_saccades = model, n_saccades
        self.settings = {"n_saccades": n_saccades, "looks": model.config}

    def __call__(self, batch: Any, rows: slice) -> Response:
        """Return what it says, where it looks and why, fixation by fixation."""
        image = to_model(batch.image, self.model)
        rollout = self.model.rollout(image, n_saccades=self.n_saccades)
        unknown = rollout.gain.new_full((len(image), 1), torch.nan)
        return {
            "logits": (("time", "class"), rollout.logits),
            "location": (("time", "coordinate"), rollout.locations),
            "gain": (("time",), torch.cat([unknown, rollout.gain], 1)),
        }


class Oracle:
    """What, told where the digit is: ``logits`` at ``x`` and ``y`` of the stimuli."""

    def __init__(self, model: WhatWhere) -> None:
        self.model = model
        self.settings = {"looks": model.config}

    def __call__(self, batch: Any, rows: slice) -> Response:
        """Return what it says."""
        image = to_model(batch.image, self.model)
        places = torch.stack([batch.metadata["x"], batch.metadata["y"]], 1).to(image)
        rollout = self.model.rollout(image, first=places, n_saccades=0)
        return {"logits": (("class",), rollout.logits[:, -1])}


class Glimpses:
    """A network that takes glimpses, the first in the middle: ``logits`` after each."""

    def __init__(self, model: Any) -> None:
        self.model = model
        self.settings = {"policy": "mean", "first": "centre"}

    def __call__(self, batch: Any, rows: slice) -> Response:
        """Return what it says, glimpse by glimpse."""
        image = to_model(batch.image, self.model)
        centre = image.new_tensor([image.shape[-1] / 2, image.shape[-2] / 2])
        rollout: Any = self.model.rollout(image, first=centre, policy="mean")
        logits: Tensor = rollout.logits
        return {"logits": (("time", "class"), logits)}


def ask_of(model: Any, name: str) -> Ask:
    """Return how a network that names digits is asked, by what it is.

    Parameters
    ----------
    model : WhatNet, SpatialTransformer, or one that takes glimpses and answers after each
        As RAM does: it has ``rollout(images, first=…, policy=…)``, and "fixation" for ``answers``.
    name : str
        Of its weights, for the message.

    Raises
    ------
    InvalidInput
        If it is of another kind.
    """
    if isinstance(model, WhatNet):
        return classifier(model)
    if isinstance(model, SpatialTransformer):
        return Transforms(model)
    if getattr(model, "answers", None) == "fixation":
        return Glimpses(model)
    raise InvalidInput(
        f"{name} is a {type(model).__name__}, of which no map is made here. Give a What, a spatial "
        "transformer or RAM; any other network can be mapped in a notebook with "
        "attnsci.experiments.offsets.answers_by_offset."
    )


def eye_of(what: WhatNet, where: Any) -> WhatWhere:
    """Return a What and the Where that was trained for it as one model, which makes saccades."""
    return WhatWhere(what, where, n_saccades=N_SACCADES).eval()
