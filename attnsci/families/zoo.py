"""Models by name, with the weights that the package ships."""

import dataclasses
import functools
from pathlib import Path
from typing import Any

import torch
from torch import nn

from attnsci.checks import check_known
from attnsci.errors import CheckpointError
from attnsci.families.neva.dncnn import DnCNN, DnCNNConfig
from attnsci.families.neva.policy import NeVAPolicy
from attnsci.families.neva.policy_config import NeVAPolicyConfig
from attnsci.families.object_attention.network import ObjectAttention, ObjectAttentionConfig
from attnsci.families.ram.catch import CatchRAM
from attnsci.families.ram.config import RAMConfig
from attnsci.families.ram.dram import DRAM
from attnsci.families.ram.dram_config import DRAMConfig
from attnsci.families.ram.network import RAM
from attnsci.families.what_where.config import WhatConfig, WhereConfig
from attnsci.families.what_where.pathways import WhatNet, WhereNet
from attnsci.families.what_where.transformer import SpatialTransformer
from attnsci.families.what_where.transformer_config import SpatialTransformerConfig
from attnsci.models.weights import load_weights
from attnsci.provenance import from_json, to_json

PRETRAINED = Path(__file__).parent / "pretrained"

FAMILIES: dict[str, tuple[type[nn.Module], type]] = {
    "ObjectAttention": (ObjectAttention, ObjectAttentionConfig),
    "DnCNN": (DnCNN, DnCNNConfig),
    "NeVAPolicy": (NeVAPolicy, NeVAPolicyConfig),
    "SpatialTransformer": (SpatialTransformer, SpatialTransformerConfig),
    "WhatNet": (WhatNet, WhatConfig),
    "WhereNet": (WhereNet, WhereConfig),
    "RAM": (RAM, RAMConfig),
    "CatchRAM": (CatchRAM, RAMConfig),
    "DRAM": (DRAM, DRAMConfig),
}
"""What weights can say that they hold: the network, built from its configuration alone."""


@functools.cache
def pretrained_names() -> tuple[str, ...]:
    """Return the names of all shipped weights, for example ``"mnist-2-seed0"``."""
    return tuple(sorted(path.stem for path in PRETRAINED.glob("*.safetensors")))


@dataclasses.dataclass(frozen=True)
class Pretrained:
    """A model with weights, and what is known about them.

    Attributes
    ----------
    model : torch.nn.Module
        A network of `FAMILIES`, which ``record["model"]`` names: in evaluation mode, on the CPU.
    record : dict
        Configuration, training, data, seed, metrics, versions.
    """

    model: Any
    record: dict[str, Any]


def load_model(name_or_path: str | Path) -> Pretrained:
    """Load shipped weights by name, or weights of one's own by path.

    Parameters
    ----------
    name_or_path : str or path-like
        A name of `pretrained_names`, or a ``.safetensors`` file written by a training run.

    Returns
    -------
    Pretrained

    Raises
    ------
    UnknownName
        If no shipped weights have that name.
    CheckpointError
        If the file is missing, damaged, or does not fit the configuration it carries.

    Examples
    --------
    >>> load_model("mnist-2-seed0").model.config.n_classes
    10
    """
    path = Path(name_or_path)
    if path.suffix != ".safetensors":
        check_known("shipped model", str(name_or_path), pretrained_names())
        path = PRETRAINED / f"{name_or_path}.safetensors"
    state, record = load_weights(path)
    family = record.get("model", "nothing")
    if not isinstance(family, str) or family not in FAMILIES:
        raise CheckpointError(
            f"{path} does not say that it holds an {' or '.join(FAMILIES)} network; it says "
            f"{family!r}. Give a file that a training run wrote."
        )
    network, config_class = FAMILIES[family]
    try:
        config: Any = from_json(config_class, to_json(record["config"]))
        with torch.random.fork_rng(devices=[]):  # the weights drawn here are about to go
            model = network(config)
    except (KeyError, TypeError, ValueError, AttributeError, RuntimeError, MemoryError) as error:
        raise CheckpointError(
            f"{path} carries no configuration that makes a network: {error!r}. Export the weights "
            "again from their training run."
        ) from error
    try:
        model.load_state_dict(state)
    except RuntimeError as error:
        raise CheckpointError(f"{path} does not fit its own configuration: {error}.") from error
    return Pretrained(model.eval(), record)
