"""How a model of glimpses is asked: who looks, where first, and what of it is kept."""

from collections.abc import Mapping
from typing import Any

import torch
import xarray as xr

from attnsci.families.ram.glimpse_model import GlimpseModel
from attnsci.families.ram.policies import Draws, Policy
from attnsci.gaze import from_arrays
from attnsci.geometry import Viewing
from attnsci.recording.responses import Response
from attnsci.seeds import torch_generator
from attnsci.training.digit_objective import LOOKS

_PLACE, _UNITS = ("time", "coordinate"), ("time", "unit")


class Looks:
    """Asks a model of glimpses what it sees, says and does.

    A draw belongs to a row, whatever the batches: all are made before the first is shown.

    Parameters
    ----------
    model : GlimpseModel
        In evaluation mode; images are taken to its device.
    n : int
        Rows that will be shown.
    policy, n_glimpses
        See `GlimpseModel.rollout`. A policy that counts images counts the rows.
    first : Tensor, shape (2,) or (n, 2), optional
        Where to begin, in pixels (x, y).
    state : bool
        Keep the core's state and what was seen too, which is most of the memory.
    seed : int
        Of first locations and draws.
    """

    def __init__(
        self,
        model: GlimpseModel[Any],
        n: int,
        *,
        policy: str | Policy = "mean",
        n_glimpses: int | None = None,
        first: torch.Tensor | None = None,
        state: bool = False,
        seed: int = 0,
    ) -> None:
        self.model, self.first, self.state = model, first, state
        self.policy = model._policy(policy)
        glimpses = model._n_glimpses(n_glimpses)
        self.draws = Draws.from_generator(torch_generator(seed, LOOKS), n, glimpses)
        self.settings: Mapping[str, Any] = {
            "policy": policy, "n_glimpses": glimpses, "first": first, "seed": seed,
        }  # fmt: skip

    def __call__(self, batch: Any, rows: slice) -> Response:
        """Return logits, locations, means and values of a batch; with `state` what drove them."""
        images = batch.image.to(next(self.model.parameters()))
        first = self.first if self.first is None or self.first.ndim == 1 else self.first[rows]
        draws = Draws(self.draws.uniform[rows], self.draws.normal[rows])
        rollout = self.model.look_at(images, draws, first, self.policy, 1, rows.start)
        response = {
            "logits": (("time", "class"), rollout.logits),
            "location": (_PLACE, rollout.locations),
            "mean": (_PLACE, rollout.means),
            "value": (("time",), rollout.values),
        }
        if self.state:
            response["hidden"] = (_UNITS, rollout.hidden)
            response["seen"] = (("time", "input"), rollout.glimpses)
        return {name: (dims, tensor.float()) for name, (dims, tensor) in response.items()}


def scanpaths_of(responses: xr.Dataset, observer: str, size_px: float) -> xr.Dataset:
    """Return where a model looked as scanpaths, an image a scene.

    Parameters
    ----------
    responses : xarray.Dataset
        Of `collect`: ``location`` (time, coordinate); ``index`` and ``sample`` of each stimulus.
    observer : str
        Name of the model.
    size_px : float
        Side of the scenes.

    Returns
    -------
    xarray.Dataset
        The container of `attnsci.gaze`.
    """
    xy = responses["location"].transpose("coordinate", "stimulus", "time").to_numpy().astype(float)
    return from_arrays(
        *xy,
        image=[str(index) for index in responses["index"].values],
        observer=observer,
        sample=responses["sample"].values.tolist(),
        viewing=Viewing(size_px, size_px),
    )
