"""Networks by name or file, and the scenes that each was made for."""

from pathlib import Path
from typing import Any

import torch

from attnsci.data.digits import load_mnist
from attnsci.data.ram_scenes import PRESETS, ClutterConfig, ClutteredScenes
from attnsci.errors import InvalidInput
from attnsci.families.ram.network import RAM
from attnsci.families.ram.reference import load_ram
from attnsci.families.zoo import load_model
from attnsci.models.weights import Pretrained

PUBLISHED = (".chainermodel", ".hdf5", ".h5", ".ckpt", ".pt", ".pth", ".tar")
"""Endings of published weights."""
_TASKS = {(config.size, config.n_pieces): name for name, config in PRESETS.items()}


def load_network(name_or_path: str) -> Pretrained:
    """Return shipped weights, weights of a training run, or published weights.

    Raises
    ------
    UnknownName, CheckpointError
        If there is no such network, or its file cannot be used.
    InvalidInput
        If it is a network of another family.
    """
    if Path(name_or_path).suffix in PUBLISHED:
        return Pretrained(load_ram(name_or_path), {})
    found = load_model(name_or_path)
    if type(found.model) is not RAM:  # one that plays has no classes
        raise InvalidInput(
            f"{name_or_path} is a {type(found.model).__name__}, and this needs a RAM network such "
            "as ram-mnist-28-seed0."
        )
    return found


def task_of(network: Pretrained, name_or_path: str) -> str:
    """Return the task that a network was trained for.

    Published files say it in their names: original, translated, cluttered.

    Raises
    ------
    InvalidInput
        If neither record nor name tells.
    """
    training = network.record.get("training")
    if training is not None:
        return _TASKS.get((training["size"], training["n_pieces"]), "")
    for word, task in (("translated", "translated-60"), ("cluttered", "cluttered-60")):
        if word in Path(name_or_path).name:
            return task
    if network.model.config.n_inputs == 64:
        return "mnist-28"
    raise InvalidInput(
        f"Nothing says which scenes {name_or_path} was trained on. Choose: --task "
        f"{', '.join(PRESETS)}."
    )


def scenes_for(
    network: Pretrained,
    name_or_path: str,
    *,
    task: str | None = None,
    source: str = "bundled",
    split: str = "test",
    seed: int = 0,
    device: str | torch.device = "cpu",
) -> ClutteredScenes:
    """Return scenes of the network's task, or of another.

    Clutter is cut from training digits of the same source.
    """
    config = PRESETS[task] if task else _layout(network, name_or_path)
    patch = network.model.config.glimpse_px * network.model.config.factor ** (
        network.model.config.n_scales - 1
    )
    if patch > config.size:
        raise InvalidInput(
            f"{name_or_path} sees patches of {patch} pixels, more than the {config.size} of these "
            "scenes. Choose a larger --task."
        )
    clutter = load_mnist("train", source) if config.n_pieces else None
    return ClutteredScenes(
        load_mnist(split, source), config, clutter=clutter, seed=seed, device=device
    )


def _layout(network: Pretrained, name_or_path: str) -> ClutterConfig:
    training: dict[str, Any] | None = network.record.get("training")
    if training is None:
        return PRESETS[task_of(network, name_or_path)]
    return ClutterConfig(training["size"], training["n_pieces"], combine=training["combine"])
