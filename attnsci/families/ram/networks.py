"""Networks by name or file, and the scenes that each was made for."""

import dataclasses
from pathlib import Path
from typing import Any

import torch

from attnsci.data.digits import load_mnist
from attnsci.data.ram_scenes import PRESETS, ClutterConfig, ClutteredScenes
from attnsci.errors import InvalidInput
from attnsci.families.ram.network import RAM
from attnsci.families.zoo import load_model
from attnsci.provenance import state_hash

_TASKS = {(config.size, config.n_pieces): name for name, config in PRESETS.items()}


@dataclasses.dataclass(frozen=True)
class Network:
    """A trained network, what it is called and what is known of its training."""

    name: str
    model: RAM
    record: dict[str, Any]

    @property
    def training(self) -> dict[str, Any]:
        """Its recipe, where that is known."""
        return self.record.get("training", {})

    @property
    def task(self) -> str:
        """The scenes that it was trained on.

        Published files say it in their names: original, translated, cluttered.

        Raises
        ------
        InvalidInput
            If neither record nor name tells.
        """
        if self.training:
            return _TASKS.get((self.training["size"], self.training["n_pieces"]), "")
        for word, task in (("translated", "translated-60"), ("cluttered", "cluttered-60")):
            if word in Path(self.name).name:
                return task
        if self.model.config.n_inputs == 64:
            return "mnist-28"
        raise InvalidInput(
            f"Nothing says which scenes {self.name} was trained on. Choose: --task "
            f"{', '.join(PRESETS)}."
        )

    @property
    def seed(self) -> int:
        """Of its training."""
        return int(self.record.get("seed", 0))

    @property
    def gaze(self) -> str:
        """Who looked in training."""
        return str(self.training.get("gaze", "learned"))

    @property
    def n_glimpses(self) -> int:
        """Glimpses it was trained for."""
        return self.model.config.n_glimpses

    @property
    def factors(self) -> dict[str, Any]:
        """Columns that tell its estimates from others'."""
        return {
            "network": self.name, "task": self.task, "gaze": self.gaze, "seed": self.seed,
            "n_glimpses": self.n_glimpses,
        }  # fmt: skip

    @property
    def facts(self) -> dict[str, Any]:
        """What recordings say of it."""
        return {**self.record, "weights_hash": state_hash(self.model.state_dict())}


def load_network(name_or_path: str) -> Network:
    """Return shipped weights, weights of a training run, or published weights.

    Raises
    ------
    UnknownName, CheckpointError
        If there is no such network, or its file cannot be used.
    InvalidInput
        If it is a network of another family.
    """
    pretrained = load_model(name_or_path)
    if type(pretrained.model) is not RAM:  # one that plays has no classes
        raise InvalidInput(
            f"{name_or_path} is a {type(pretrained.model).__name__}, and this needs a RAM network "
            "such as ram-mnist-28-seed0."
        )
    return Network(name_or_path, pretrained.model, pretrained.record)


def scenes_for(
    network: Network,
    *,
    task: str | None = None,
    source: str = "bundled",
    split: str = "test",
    seed: int = 0,
    device: str | torch.device = "cpu",
) -> ClutteredScenes:
    """Return scenes of the network's task, or of another.

    Clutter is cut from training digits of the same source.

    Raises
    ------
    InvalidInput
        If a glimpse is larger than the scenes.
    """
    layout = PRESETS[task] if task else _layout(network)
    config = network.model.config
    patch = config.glimpse_px * config.factor ** (config.n_scales - 1)
    if patch > layout.size:
        raise InvalidInput(
            f"{network.name} sees patches of {patch} pixels, more than the {layout.size} of these "
            "scenes. Choose a larger --task."
        )
    clutter = load_mnist("train", source) if layout.n_pieces else None
    return ClutteredScenes(
        load_mnist(split, source), layout, clutter=clutter, seed=seed, device=device
    )


def _layout(network: Network) -> ClutterConfig:
    if not network.training:
        return PRESETS[network.task]
    training = network.training
    return ClutterConfig(training["size"], training["n_pieces"], combine=training["combine"])
