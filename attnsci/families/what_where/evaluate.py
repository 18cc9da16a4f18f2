"""What ``attnsci evaluate what-where`` does: one network's accuracy over the visual field."""

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from attnsci.data.digits import load_mnist
from attnsci.data.exposure import UNSEEN, exposure, warn_of_exposure
from attnsci.devices import pick_device
from attnsci.errors import InvalidInput
from attnsci.families.ram.network import RAM
from attnsci.families.what_where.experiments import mapped
from attnsci.families.what_where.figures import draw_map
from attnsci.families.what_where.measure import Classify, map_answers, noisy_scene, plain_scene
from attnsci.families.what_where.pathways import WhatNet
from attnsci.families.what_where.transformer import SpatialTransformer
from attnsci.families.zoo import load_model
from attnsci.models.weights import Pretrained
from attnsci.papers.output import save_table
from attnsci.plotting.save import save_figure
from attnsci.plotting.style import style
from attnsci.recording.datasets import save_dataset
from attnsci.sensors.centred import middle

if TYPE_CHECKING:
    from attnsci.families.what_where.commands import Evaluate


def run_evaluate(asked: "Evaluate") -> str:
    """Map as the command asks; return what to tell the user."""
    device = pick_device(asked.device)
    found = load_model(asked.model)
    found.model.to(device)
    classify, size = classifier(found, asked.model)
    noise = asked.noise
    if noise is None:
        noise = float(found.record.get("training", {}).get("noise", 0.0))
    digits = load_mnist("test", asked.source)
    seen = exposure(found.record, asked.source, "test")
    if seen != UNSEEN:
        warn_of_exposure(seen, asked.model, asked.source, "test")
    n = min(asked.n, len(digits))
    digits = digits.subset(np.linspace(0, len(digits) - 1, n).round().astype(int))
    noisy = noise > 0 and size in (28, 128)
    scene = (
        noisy_scene(asked.seed, size=size, noise=noise, contrast=asked.contrast)
        if noisy
        else plain_scene((size, size), noise, asked.seed)
    )
    answers = map_answers(
        classify, digits, scene, reach_px=asked.reach_px, stride_px=asked.stride_px,
        device=device, progress=f"map of {asked.model}",
    )  # fmt: skip
    if "time" in answers.dims:
        answers = answers.isel(time=-1, drop=True)
    edges = np.arange(0, asked.reach_px * 1.5 + 2, max(2, asked.stride_px))
    whole = mapped(asked.model, answers, edges.tolist())
    profile = _profile(whole.profile.to_dataframe().reset_index())
    kind = f"band-pass noise {noise:g}" if noisy else f"pixel noise {noise:g}"
    lines = [
        f"{asked.model}: {kind}, {size} px, n = {n} digits at each of {answers['x'].size}² offsets",
        profile.to_string(index=False, float_format=lambda value: f"{value:.3f}"),
    ]
    if asked.out is not None:
        with style():
            save_figure(draw_map(whole), asked.out / "map")
        save_table(profile, asked.out / "profile.csv")
        facts = {"network": found.record, "data": digits.provenance(), "asked": asked}
        save_dataset(answers.to_dataset(name="correct"), asked.out / "map.zarr", facts)
        lines.append(f"Written to {asked.out}")
    return "\n".join(lines)


def _profile(table: pd.DataFrame) -> pd.DataFrame:
    names = {"lower_edge": "from_px", "upper_edge": "to_px"}
    return table.rename(columns=names)[["from_px", "to_px", "accuracy", "low", "high", "n"]]


@torch.no_grad()
def classifier(found: Pretrained, name: str) -> tuple[Classify, int]:
    """Return a network as a function from scenes to logits, and the side of its scenes.

    Raises
    ------
    InvalidInput
        If it names no digit in square scenes.
    """
    model = found.model
    if isinstance(model, RAM):
        size = int(found.record["training"]["size"])
        centre = torch.full((2,), size / 2, device=next(model.parameters()).device)
        return lambda images: model.rollout(images, first=centre, policy="mean").logits, size
    if isinstance(model, WhatNet | SpatialTransformer):
        size = model.config.image_px

        def classify(images: Tensor) -> Tensor:
            return model(middle(images, size))

        return classify, size
    raise InvalidInput(
        f"{name} is a {type(model).__name__}, of which this command makes no map. Give a What, a "
        "spatial transformer or RAM; any other network can be mapped in a notebook with "
        "attnsci.families.what_where.measure.map_answers."
    )
