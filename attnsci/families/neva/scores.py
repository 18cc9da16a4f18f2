"""What a task model makes of an image after each fixation, wherever the fixations come from."""

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any, Protocol

import numpy as np
import torch
import xarray as xr
from torch import Tensor
from torch.nn import functional

from attnsci.checks import check_option, check_shape
from attnsci.errors import InvalidInput
from attnsci.families.neva.recipes import Labels
from attnsci.families.neva.tasks import Classification, Task, check_losses
from attnsci.provenance import stable_hash
from attnsci.seeds import numpy_generator
from attnsci.sensors.foveation import Fovea, FoveatedView

Where = Callable[[Tensor, Sequence[str]], Tensor]
"""Images (N, C, H, W) and their names to fixations (N, T, 2)."""


class Pictures(Protocol):
    """Images to learn from, or to be tested on."""

    def __len__(self) -> int:
        """Return how many there are."""

    def batch(self, rows: np.ndarray, epoch: int | None) -> tuple[Tensor, Tensor | None]:
        """Return images (N, C, H, W) in [0, 1] and their labels (N,), if they have any.

        A function of its arguments; `epoch` varies what is learned from, None stands for a test.
        """

    def provenance(self) -> dict[str, Any]:
        """Return what is needed to have the same pictures again."""


def looking(looker: Any, n_fixations: int, seed: int = 0) -> Where:
    """Return where a model looks: anything with a ``look`` method, as NeVA and a policy."""

    def where(images: Tensor, names: Sequence[str]) -> Tensor:
        paths = looker.look(images, n_fixations, image=names, seed=seed)
        xy = np.stack([paths["x"].to_numpy(), paths["y"].to_numpy()], -1)
        return torch.as_tensor(xy).to(images)

    return where


def at_centre(n_fixations: int) -> Where:
    """Return the control that never looks away from the middle of an image."""

    def where(images: Tensor, names: Sequence[str]) -> Tensor:
        height, width = images.shape[-2:]
        middle = images.new_tensor([width / 2, height / 2])
        return middle.expand(len(images), n_fixations, 2)

    return where


def at_random(n_fixations: int, seed: int = 0) -> Where:
    """Return the control that looks anywhere, with a random stream for each image's name."""

    def where(images: Tensor, names: Sequence[str]) -> Tensor:
        height, width = images.shape[-2:]
        streams = [int(stable_hash(name), 16) % 2**31 for name in names]
        drawn = [numpy_generator(seed, stream).random((n_fixations, 2)) for stream in streams]
        reach = images.new_tensor([width - 1, height - 1])
        return torch.as_tensor(np.stack(drawn)).to(images) * reach + 0.5

    return where


def target_of(task: Task, images: Tensor, given: Tensor | None, labels: Labels) -> Any:
    """Return what seen images are judged by.

    Raises
    ------
    InvalidInput
        If given labels are asked for and there are none, or the task has no labels.
    """
    if check_option("labels", labels, ("own", "given")) == "own":
        return task.target(images)
    if given is None or not isinstance(task, Classification):
        raise InvalidInput(
            f"labels='given' needs labelled images and classification; the task is {task.name!r} "
            f"and the images have {'no ' if given is None else ''}labels."
        )
    return given


@torch.no_grad()
def after_each_fixation(
    where: Where,
    task: Task,
    pictures: Pictures,
    fovea: Fovea,
    *,
    rows: np.ndarray | None = None,
    labels: Labels = "own",
    device: torch.device | str = "cpu",
    dtype: torch.dtype = torch.float32,
    chunk: int = 16,
) -> xr.Dataset:
    """Measure a task after each fixation, on pictures as for a test.

    Parameters
    ----------
    where : callable
        Images (N, C, H, W) and names to fixations (N, T, 2): `looking`, `at_centre`, `at_random`.
    task : Task
    pictures : Pictures
    fovea : Fovea
        Its noise, which is for training, is left out.
    rows : array of int, optional
        Pictures to look at; all of them if not given.
    labels : {"own", "given"}
        What classification is judged by.
    device, dtype : optional
        Where and in what to compute.
    chunk : int
        Pictures that are looked at together.

    Returns
    -------
    xarray.Dataset
        ``loss``, ``outside`` (whether the fixation is off the image; NaN before the first) and,
        for classification, ``accuracy``, on (stimulus, fixation). Fixations count from 1; at 0
        stands what is seen before the first.
    """
    fovea = dataclasses.replace(fovea, noise=0.0)
    chosen = np.arange(len(pictures)) if rows is None else rows
    parts = []
    for start in range(0, len(chosen), chunk):
        part = chosen[start : start + chunk]
        images, given = pictures.batch(part, None)
        images = images.to(device, dtype)
        target = target_of(task, images, None if given is None else given.to(device), labels)
        names = [str(row) for row in part]
        xy = check_shape("fixations", where(images, names), (len(part), "T", 2))
        view = FoveatedView(images, fovea)
        memory = view.blank()
        steps = [_scores(task, view.perceive(memory), target, names)]
        steps[0]["outside"] = torch.full((len(part),), torch.nan)
        for t in range(xy.shape[1]):
            memory = view.add(view.keep(memory), view.mask(xy[:, t]))
            steps.append(_scores(task, view.perceive(memory), target, names))
            steps[-1]["outside"] = outside(xy[:, t], view.size)
        stacked = {
            name: torch.stack([step[name].double().cpu() for step in steps], 1).numpy()
            for name in steps[0]
        }
        parts.append({name: (("stimulus", "fixation"), part) for name, part in stacked.items()})
    whole = xr.concat([xr.Dataset(part) for part in parts], "stimulus")
    return whole.assign_coords(stimulus=chosen, fixation=np.arange(whole.sizes["fixation"]))


def outside(xy: Tensor, size: tuple[int, int]) -> Tensor:
    """Return whether positions (N, 2) lie off an image of (height, width)."""
    height, width = size
    return ((xy < 0) | (xy > xy.new_tensor([width, height]))).any(1)


def _scores(task: Task, seen: Tensor, target: Any, names: list[str]) -> dict[str, Tensor]:
    """Return one value an image."""
    if not isinstance(task, Classification):
        return {"loss": check_losses(task.loss(seen, target), names)}
    logits = task.model(seen)
    loss = functional.cross_entropy(logits, target, reduction="none")
    return {"loss": check_losses(loss, names), "accuracy": (logits.argmax(1) == target).float()}
