"""What a gated network does with photographs of two objects, beyond what `show_scenes` keeps."""

import dataclasses
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
import torch
import xarray as xr
from torch import Tensor
from torch.nn import functional
from tqdm import tqdm

from attnsci.data.stimuli import ObjectScenes
from attnsci.errors import InvalidInput
from attnsci.families.object_attention.network import ObjectAttention


def read_photographs(
    model: ObjectAttention, batches: Iterable[ObjectScenes], *, progress: str | None = None
) -> xr.Dataset:
    """Show photographs and keep what the channels do, where it is inhibited, what is read at once.

    Parameters
    ----------
    model : ObjectAttention
        In evaluation mode.
    batches : iterable of ObjectScenes
        For example ``CocoScenes(…).batches(64)``.
    progress : str, optional
        Label of a progress bar; none without it.

    Returns
    -------
    xarray.Dataset
        ``response_1`` … (stimulus, phase, channel_1): activation after the ReLU in the last
        forward pass, averaged over the map; ``inhibited_1`` … (phase, y_1, x_1): share of
        photographs (and channels) in which a place is inhibited after the phase; ``at_once``
        (stimulus, rank): the classes that the first, ungated forward pass finds likeliest.

    Raises
    ------
    InvalidInput
        If there are no photographs.
    """
    device = next(model.parameters()).device
    parts: list[dict[str, Tensor]] = []
    indices: list[Tensor] = []
    inhibited: list[Tensor] = []
    with torch.no_grad():
        for scenes in tqdm(batches, desc=progress, disable=None if progress else True):
            trajectory = model.run(scenes.image.to(device), keep_activations=True)
            assert trajectory.activations is not None
            n_phases = trajectory.logits.shape[1]
            part = {
                f"response_{level}": activation.flatten(3).mean(-1)
                for level, activation in enumerate(trajectory.activations, start=1)
            }
            part["at_once"] = trajectory.logits[:, 0, 0].topk(n_phases, -1).indices
            parts.append(part)
            indices.append(scenes.metadata["index"])
            sums = [mask.float().mean(2).sum(0) for mask in trajectory.ior]
            inhibited = [a + b for a, b in zip(inhibited, sums, strict=True)] if inhibited else sums
    if not parts:
        raise InvalidInput("There are no photographs to show.")
    values = {name: torch.cat([part[name] for part in parts]).cpu().numpy() for name in parts[0]}
    n = len(values["at_once"])
    variables: dict[str, Any] = {"at_once": (("stimulus", "rank"), values.pop("at_once"))}
    for level, (name, response) in enumerate(values.items(), start=1):
        variables[name] = (("stimulus", "phase", f"channel_{level}"), response)
    for level, total in enumerate(inhibited, start=1):
        dims = ("phase", f"y_{level}", f"x_{level}")
        variables[f"inhibited_{level}"] = (dims, (total / n).cpu().numpy())
    phases = np.arange(1, variables["inhibited_1"][1].shape[0] + 1)
    return xr.Dataset(
        variables, coords={"stimulus": torch.cat(indices).cpu().numpy(), "phase": phases}
    )


def as_photographs(batches: Iterable[ObjectScenes], size: int) -> Iterator[ObjectScenes]:
    """Yield grey scenes, such as bars beside a digit, as photographs: large, square, on black.

    They are enlarged by the largest whole number that fits, each pixel a square, and stand in
    the middle; the three colours are alike.

    Parameters
    ----------
    batches : iterable of ObjectScenes
        One channel.
    size : int
        Side of the photographs, in pixels.

    Raises
    ------
    InvalidInput
        If the scenes do not fit into the square.
    """
    for scenes in batches:
        height, width = scenes.image.shape[-2:]
        factor = size // max(height, width)
        if not factor:
            raise InvalidInput(f"Scenes of {height}×{width} do not fit into {size} pixels.")
        rows, columns = size - factor * height, size - factor * width
        around = (columns // 2, columns - columns // 2, rows // 2, rows - rows // 2)

        def enlarge(maps: Tensor, factor: int = factor, around: tuple[int, ...] = around) -> Tensor:
            large = maps.repeat_interleave(factor, -2).repeat_interleave(factor, -1)
            return functional.pad(large, around).expand(*maps.shape[:-3], 3, size, size)

        yield dataclasses.replace(
            scenes, image=enlarge(scenes.image), objects=enlarge(scenes.objects)
        )
