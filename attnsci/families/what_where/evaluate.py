"""What ``attnsci evaluate what-where`` does: one network's accuracy over the visual field."""

from pathlib import Path

import numpy as np

from attnsci.data.digits import load_mnist
from attnsci.data.exposure import UNSEEN, exposure, warn_of_exposure
from attnsci.data.offset_scenes import noisy_scene, plain_scene
from attnsci.devices import pick_device
from attnsci.errors import InvalidInput
from attnsci.experiments.offsets import (
    PROFILE,
    OffsetDigits,
    answers_by_offset,
    visual_field,
)
from attnsci.experiments.outcome import Outcome
from attnsci.families.what_where.asks import ask_of
from attnsci.families.what_where.figures import one_map
from attnsci.families.zoo import load_model
from attnsci.models.weights import Pretrained
from attnsci.papers.output import save_table
from attnsci.plotting.save import save_figure
from attnsci.plotting.style import style
from attnsci.recording.datasets import save_dataset
from attnsci.training.configs import Device, Source


def map_network(
    name: str,
    *,
    noise: float | None,
    contrast: tuple[float, float],
    n: int,
    reach_px: int,
    stride_px: int,
    source: Source,
    seed: int,
    device: Device,
    out: Path | None,
) -> str:
    """Map a network's accuracy over the visual field; return what to tell the user.

    Parameters
    ----------
    name : str
        Of shipped weights, or their file.
    noise, contrast, n, reach_px, stride_px, source, seed, device, out
        The flags of `attnsci.families.what_where.commands.Evaluate`, which describe them.

    Raises
    ------
    InvalidInput
        If the network names no digit in square scenes.
    """
    target, pretrained = pick_device(device), load_model(name)
    pretrained.model.to(target)
    ask, size = ask_of(pretrained.model, name), _size(pretrained, name)
    if noise is None:
        noise = float(pretrained.record.get("training", {}).get("noise", 0.0))
    digits = load_mnist("test", source)
    exposed = exposure(pretrained.record, source, "test")
    if exposed != UNSEEN:
        warn_of_exposure(exposed, name, source, "test")
    digits = digits.spread(n)
    noisy = noise > 0 and size in (28, 128)
    scene = (
        noisy_scene(seed, size=size, noise=noise, contrast=contrast)
        if noisy
        else plain_scene((size, size), noise, seed)
    )
    stimuli = OffsetDigits(digits, scene, reach_px, stride_px)
    correct = answers_by_offset(ask, stimuli, progress=f"map of {name}")
    if "time" in correct.dims:
        correct = correct.isel(time=-1, drop=True)
    edges = np.arange(0, reach_px * 1.5 + 2, max(2, stride_px))
    field = visual_field(correct, edges_px=edges.tolist())
    named = Outcome(
        field.estimates.assign(network=name, title=name), {f"map-{name}": field.data["map"]}
    )
    profile = named.at(quantity=PROFILE).rename(
        columns={"lower_edge": "from_px", "upper_edge": "to_px", "estimate": "accuracy"}
    )[["from_px", "to_px", "accuracy", "low", "high", "n"]]
    kind = f"band-pass noise {noise:g}" if noisy else f"pixel noise {noise:g}"
    lines = [
        f"{name}: {kind}, {size} px, n = {len(digits)} digits at each of "
        f"{len(stimuli.offsets)}² offsets",
        profile.to_string(index=False, float_format=lambda value: f"{value:.3f}"),
    ]
    if out is not None:
        facts = {
            "network": pretrained.record, "data": digits.provenance(), "stimuli": kind,
            "contrast": contrast, "seed": seed,
        }  # fmt: skip
        with style():
            save_figure(one_map(named), out / "map")
        save_table(profile, out / "profile.csv")
        save_dataset(correct.to_dataset(name="correct"), out / "map.zarr", facts)
        lines.append(f"Written to {out}")
    return "\n".join(lines)


def _size(pretrained: Pretrained, name: str) -> int:
    """Return the side of the scenes that a network was made for."""
    size = getattr(pretrained.model.config, "image_px", None)
    size = pretrained.record.get("training", {}).get("size") if size is None else size
    if size is None:
        raise InvalidInput(f"{name} does not say for scenes of which size it was made.")
    return int(size)
