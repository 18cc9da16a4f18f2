"""How NeVA and its task networks are asked: looks, and single sights, as responses."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import torch
import xarray as xr
from torch import Tensor

from attnsci.families.neva.network import NeVA
from attnsci.families.neva.stimuli import Pictures
from attnsci.families.neva.tasks import Classification
from attnsci.provenance import to_json
from attnsci.recording.responses import Response
from attnsci.sensors.foveation import Fovea, FoveatedView


@dataclasses.dataclass(frozen=True)
class Looks:
    """NeVA looks for what a classifier recognises.

    Answers ``location`` of every fixation and, of what is remembered after it, ``loss`` and the
    classifier's ``prediction``. Stimuli carry the ``label`` to look for.

    Attributes
    ----------
    neva : NeVA
        With the task `attnsci.families.neva.tasks.Classification`.
    names : sequence of str
        Of all stimuli by index; they name the random streams.
    n_fixations : int
    seed : int
    """

    neva: NeVA
    names: Sequence[str]
    n_fixations: int
    seed: int

    @property
    def model(self) -> torch.nn.Module:
        """The classifier."""
        model: torch.nn.Module = self.neva.task.model  # type: ignore[attr-defined]
        return model

    @property
    def settings(self) -> dict[str, Any]:
        """What the looks depend on beside images and weights."""
        facts = to_json(self.neva.provenance())
        return {"neva": facts, "n_fixations": self.n_fixations, "seed": self.seed}

    def __call__(self, batch: Any, rows: slice) -> Response:
        """Look at a batch."""
        names = [self.names[int(index)] for index in batch.metadata["index"]]
        paths, trace = self.neva.trace(
            batch.image, self.n_fixations, target=batch.metadata["label"].to(batch.image.device),
            image=names, seed=self.seed,
        )  # fmt: skip
        with torch.no_grad():
            labels = [self.model(trace.seen[:, t]).argmax(1) for t in range(self.n_fixations)]
        at = np.stack([paths["x"].to_numpy(), paths["y"].to_numpy()], -1)
        return {
            "location": (("time", "coordinate"), torch.as_tensor(at)),
            "loss": (("time",), trace.state_loss),
            "prediction": (("time",), torch.stack(labels, 1)),
        }


@dataclasses.dataclass(frozen=True)
class Sight:
    """A classifier sees whole images: sharp, or blurred all over as a fovea that looks nowhere.

    Answers ``loss`` and ``prediction``; stimuli carry their ``label``.

    Attributes
    ----------
    task : Classification
    fovea : Fovea, optional
        Sharp without one.
    """

    task: Classification
    fovea: Fovea | None = None

    @property
    def model(self) -> torch.nn.Module:
        """The classifier."""
        return self.task.model

    @property
    def settings(self) -> dict[str, Any]:
        """What is seen."""
        return {"fovea": self.fovea}

    def __call__(self, batch: Any, rows: slice) -> Response:
        """Show a batch."""
        images: Tensor = batch.image
        if self.fovea is not None:
            view = FoveatedView(images, self.fovea)
            images = view.perceive(view.blank())
        loss = self.task.loss(images, batch.metadata["label"].to(images.device))
        return {"loss": ((), loss), "prediction": ((), self.model(images).argmax(1))}


def example(neva: NeVA, pictures: Pictures, name: str, n_fixations: int, seed: int) -> xr.Dataset:
    """Return one picture as it is remembered after each fixation, and the losses chosen by.

    Returns
    -------
    xarray.Dataset
        ``picture`` (channel, row, column), ``view`` (fixation, channel, row, column), ``priority``
        (fixation, grid_row, grid_column), ``x`` and ``y`` (fixation).
    """
    at = pictures.names.index(name)
    image = pictures.images[at : at + 1]
    paths, trace = neva.trace(image, n_fixations, image=[name], seed=seed)
    assert trace.priority is not None  # of a search with a grid
    return xr.Dataset(
        {
            "picture": (("channel", "row", "column"), image[0].cpu().numpy()),
            "view": (("fixation", "channel", "row", "column"), trace.seen[0].cpu().numpy()),
            "priority": (("fixation", "grid_row", "grid_column"), trace.priority[0].cpu().numpy()),
            "x": ("fixation", paths["x"].to_numpy()[0]),
            "y": ("fixation", paths["y"].to_numpy()[0]),
        }
    )


def side_by_side(pictures: Pictures, paths: Mapping[str, xr.Dataset]) -> xr.Dataset:
    """Return pictures, and where several gazes went on them.

    Parameters
    ----------
    pictures : Pictures
    paths : mapping of str to xarray.Dataset
        Scanpaths of each gaze, one a picture, the container of `attnsci.gaze`.

    Returns
    -------
    xarray.Dataset
        ``picture`` (scanpath, channel, row, column); ``x`` and ``y`` (gaze, scanpath, fixation).
    """
    gazes = [path[["x", "y"]] for path in paths.values()]
    whole = xr.concat(
        gazes, pd.Index(list(paths), name="gaze"), coords="minimal", compat="override"
    )
    pixels = pictures.images.cpu().numpy()
    return whole.assign(picture=(("scanpath", "channel", "row", "column"), pixels))
