"""The families, an entry each: zoo, command line and `attnsci reproduce` are built from these.

Nothing here imports a family. Places are written ``"module:name"``, with a dot in front where the
module stands in this package, and `load` fetches one where it is needed.
"""

import dataclasses
import importlib
from collections.abc import Mapping
from typing import Any


@dataclasses.dataclass(frozen=True)
class Recipe:
    """What ``attnsci train NAME`` needs.

    Attributes
    ----------
    presets : str
        Place of a mapping of names to frozen dataclasses, the settings; read without torch.
    objective : str
        Place of what learns by them.
    flags : str
        Place of a subclass of `attnsci.training.command.TrainingRun` with flags of its own.
    """

    presets: str
    objective: str
    flags: str = "attnsci.training.command:TrainingRun"


@dataclasses.dataclass(frozen=True)
class Family:
    """What a family brings; what it lacks stays empty.

    Attributes
    ----------
    networks : mapping of str to (str, str)
        What weights call a network, to the places of its class and of its configuration's.
    readers : mapping of str to str
        Suffix of published weights, to the place of a function from path and settings to a
        network.
    recipes : mapping of str to Recipe
        Under ``attnsci train``.
    commands : mapping of str to mapping of str to str
        A verb ("evaluate", "record", "scanpath"), to what it is asked of and the place of a
        frozen dataclass with ``run()``.
    papers : mapping of str to str
        Under ``attnsci reproduce``, to the place of a `attnsci.papers.paper.Paper`.
    """

    networks: Mapping[str, tuple[str, str]] = dataclasses.field(default_factory=dict)
    readers: Mapping[str, str] = dataclasses.field(default_factory=dict)
    recipes: Mapping[str, Recipe] = dataclasses.field(default_factory=dict)
    commands: Mapping[str, Mapping[str, str]] = dataclasses.field(default_factory=dict)
    papers: Mapping[str, str] = dataclasses.field(default_factory=dict)


FAMILIES: dict[str, Family] = {
    "object-attention": Family(
        networks={
            "ObjectAttention": (
                ".object_attention.network:ObjectAttention",
                ".object_attention.config:ObjectAttentionConfig",
            ),
        },
        readers=dict.fromkeys(
            (".pt", ".pth"), ".object_attention.reference:load_object_attention"
        ),
        recipes={
            "object-attention": Recipe(
                ".object_attention.recipes:PRESETS", ".object_attention.objective:GatingObjective",
                ".object_attention.commands:Sweepable",
            ),
            "object-attention-coco": Recipe(
                ".object_attention.coco_recipes:PRESETS",
                ".object_attention.coco_objective:CocoObjective",
                ".object_attention.coco_commands:OnPhotographs",
            ),
        },
        commands={
            "evaluate": {"object-attention": ".object_attention.commands:Evaluate"},
            "record": {"object-attention": ".object_attention.commands:Record"},
        },
        papers={
            "object-attention": ".object_attention.paper:PAPER",
            "object-attention-coco": ".object_attention.coco_paper:PAPER",
        },
    ),
    "neva": Family(
        networks={
            "DnCNN": (".neva.dncnn:DnCNN", ".neva.dncnn:DnCNNConfig"),
            "NeVAPolicy": (".neva.policy:NeVAPolicy", ".neva.policy_config:NeVAPolicyConfig"),
        },
        recipes={
            "neva": Recipe(
                ".neva.recipes:PRESETS", ".neva.objective:NeVAObjective", ".neva.commands:Looking"
            ),
            "neva-denoiser": Recipe(
                ".neva.dncnn_recipes:PRESETS", ".neva.dncnn_objective:DnCNNObjective",
                ".neva.commands:OnPhotographs",
            ),
        },
        commands={
            "evaluate": {"neva": ".neva.commands:Evaluate"},
            "scanpath": {"generate": ".neva.commands:ScanpathGenerate"},
        },
        papers={"neva": ".neva.paper:PAPER"},
    ),
    "ram": Family(
        networks={
            "RAM": (".ram.network:RAM", ".ram.config:RAMConfig"),
            "CatchRAM": (".ram.catch:CatchRAM", ".ram.config:RAMConfig"),
            "DRAM": (".ram.dram:DRAM", ".ram.dram_config:DRAMConfig"),
        },
        readers=dict.fromkeys(
            (".chainermodel", ".hdf5", ".h5", ".ckpt", ".tar"), ".ram.reference:load_ram"
        ),
        recipes={
            "ram": Recipe(".ram.recipes:PRESETS", ".ram.objective:RAMObjective"),
            "ram-dram": Recipe(".ram.dram_recipes:PRESETS", ".ram.dram_objective:DRAMObjective"),
            "ram-catch": Recipe(
                ".ram.catch_recipes:PRESETS", ".ram.catch_objective:CatchObjective"
            ),
        },
        commands={"evaluate": {"ram": ".ram.commands:Evaluate"}},
        papers={"ram": ".ram.paper:PAPER"},
    ),
    "what-where": Family(
        networks={
            "SpatialTransformer": (
                ".what_where.transformer:SpatialTransformer",
                ".what_where.transformer_config:SpatialTransformerConfig",
            ),
            "WhatNet": (".what_where.pathways:WhatNet", ".what_where.config:WhatConfig"),
            "WhereNet": (".what_where.pathways:WhereNet", ".what_where.config:WhereConfig"),
        },
        recipes={
            "what-where": Recipe(
                ".what_where.recipes:PRESETS", ".what_where.objective:NoisyDigitsObjective"
            ),
            "where": Recipe(
                ".what_where.where_recipes:PRESETS", ".what_where.where_objective:WhereObjective"
            ),
        },
        commands={"evaluate": {"what-where": ".what_where.commands:Evaluate"}},
        papers={"what-where": ".what_where.paper:PAPER"},
    ),
}  # fmt: skip


def load(place: str) -> Any:
    """Return what stands at ``"module:name"``."""
    module, _, name = place.partition(":")
    return getattr(importlib.import_module(module, __package__), name)


def entries(field: str) -> dict[str, Any]:
    """Return a field's entries of all families, such as ``entries("papers")``, in their order."""
    return {
        name: entry
        for family in FAMILIES.values()
        for name, entry in getattr(family, field).items()
    }


def commands(verb: str) -> dict[str, Any]:
    """Return the commands of a verb of all families: what it is asked of, and its class."""
    return {
        name: load(place)
        for family in FAMILIES.values()
        for name, place in family.commands.get(verb, {}).items()
    }
