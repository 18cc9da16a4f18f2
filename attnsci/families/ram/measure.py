"""What a recurrent attention model does with scenes of one digit, glimpse by glimpse."""

import dataclasses
from typing import Any

import numpy as np
import torch
import xarray as xr
from torch import Tensor
from tqdm import tqdm

from attnsci.data.ram_scenes import ClutteredScenes
from attnsci.families.ram.network import RAM, Rollout
from attnsci.families.ram.policies import Policy
from attnsci.gaze import from_arrays
from attnsci.geometry import Viewing
from attnsci.seeds import torch_generator

BATCH = 500
_LOOKS = 7


@torch.no_grad()
def show(
    model: RAM,
    scenes: ClutteredScenes,
    n: int | None = None,
    *,
    policy: str | Policy = "mean",
    n_samples: int = 1,
    n_glimpses: int | None = None,
    first: Tensor | None = None,
    state: bool = False,
    seed: int = 0,
    progress: str | None = None,
) -> xr.Dataset:
    """Show scenes and keep every glimpse.

    Parameters
    ----------
    model : RAM
        In evaluation mode; `scenes` are composed on any device.
    scenes : ClutteredScenes
    n : int, optional
        Scenes, spread over the set; all by default.
    policy, n_samples, n_glimpses
        See `RAM.rollout`. A policy that counts images counts the scenes shown.
    first : Tensor, shape (2,) or (n, 2), optional
        Where to begin, in pixels (x, y).
    state : bool
        Keep the core's state and what was seen too, which is most of the memory.
    seed : int
        Of first locations and draws.
    progress : str, optional
        Label of a progress bar; none without it.

    Returns
    -------
    xarray.Dataset
        Over ``stimulus`` (scene by scene, its samples together), ``glimpse`` (from 1), ``class``
        and ``coordinate`` ("x", "y"): ``logits`` (stimulus, glimpse, class), ``location`` of
        each glimpse and ``mean``, where the locator would look next (stimulus, glimpse,
        coordinate), in pixels, ``value`` (stimulus, glimpse), the expected reward; with `state`
        also ``hidden`` (stimulus, glimpse, unit) and ``seen`` (stimulus, glimpse, input).
        Coordinates of ``stimulus``: ``scene``, ``sample``, ``label``, and ``x``, ``y`` of the
        digit's middle in pixels. ``attrs``: ``size_px``, ``widths_px`` of the glimpse's patches.
    """
    config, weight = model.config, next(model.parameters())
    generator = torch_generator(seed, _LOOKS)
    total, done, parts = len(scenes) if n is None else n, 0, []
    with tqdm(total=total, desc=progress, disable=None if progress else True, leave=False) as bar:
        for batch in scenes.batches(BATCH, n):
            part = slice(done, done + len(batch.image))
            start = first if first is None or first.ndim == 1 else first[part]
            rollout = model.rollout(
                batch.image.to(weight), generator, first=start,
                policy=_shifted(policy, done), n_samples=n_samples, n_glimpses=n_glimpses,
            )  # fmt: skip
            parts.append(_arrays(rollout, batch.metadata, n_samples, state))
            done = part.stop
            bar.update(len(batch.image))
    whole = {name: np.concatenate([each[name] for each in parts]) for name in parts[0]}
    dims = {
        "logits": ("stimulus", "glimpse", "class"),
        "location": ("stimulus", "glimpse", "coordinate"),
        "mean": ("stimulus", "glimpse", "coordinate"),
        "value": ("stimulus", "glimpse"),
        "hidden": ("stimulus", "glimpse", "unit"),
        "seen": ("stimulus", "glimpse", "input"),
    }
    coords: dict[str, Any] = {
        name: ("stimulus", whole[name]) for name in ("scene", "sample", "label", "x", "y")
    }
    coords["glimpse"] = np.arange(1, whole["logits"].shape[1] + 1)
    coords["coordinate"] = ["x", "y"]
    coords["class"] = np.arange(config.n_classes)
    return xr.Dataset(
        {name: (dims[name], whole[name]) for name in dims if name in whole},
        coords=coords,
        attrs={
            "size_px": scenes.config.size,
            "widths_px": [config.glimpse_px * config.factor**i for i in range(config.n_scales)],
        },
    )


def _shifted(policy: str | Policy, done: int) -> str | Policy:
    """Return a policy that counts images through all batches."""
    if isinstance(policy, str) or done == 0:
        return policy
    return lambda proposal: policy(dataclasses.replace(proposal, images=proposal.images + done))


def _arrays(
    rollout: Rollout, metadata: dict[str, Tensor], n_samples: int, state: bool
) -> dict[str, np.ndarray]:
    kept = {
        "logits": rollout.logits.float(),
        "location": rollout.locations.float(),
        "mean": rollout.means.float(),
        "value": rollout.values.float(),
    }
    if state:
        kept |= {"hidden": rollout.hidden.float(), "seen": rollout.glimpses.float()}
    arrays = {name: value.cpu().numpy() for name, value in kept.items()}
    for name, key in (("scene", "index"), ("label", "label"), ("x", "x"), ("y", "y")):
        arrays[name] = np.repeat(metadata[key].cpu().numpy(), n_samples)
    arrays["sample"] = np.tile(np.arange(n_samples), len(metadata["label"]))
    return arrays


def scanpaths_of(shown: xr.Dataset, observer: str) -> xr.Dataset:
    """Return the glimpses as scanpaths, an image a scene.

    Parameters
    ----------
    shown : xarray.Dataset
        Of `show`.
    observer : str
        Name of the model.

    Returns
    -------
    xarray.Dataset
        The container of `attnsci.gaze`.
    """
    xy = shown["location"].transpose("coordinate", "stimulus", "glimpse").to_numpy().astype(float)
    size = float(shown.attrs["size_px"])
    return from_arrays(
        *xy,
        image=[str(scene) for scene in shown["scene"].values],
        observer=observer,
        sample=shown["sample"].values.tolist(),
        viewing=Viewing(size, size),
    )
