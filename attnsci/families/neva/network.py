"""NeVA: fixations that leave a task the least loss, under a foveated view with a fading memory.

Schwinn, Precup, Eskofier & Zanca 2022, "Behind the Machine's Gaze", arXiv 2204.09093. What the
published code does and the paper does not say is a setting here, with its name:

- it searches with the memory undiscounted and then commits the discounted one, which acts as an
  inhibition of return (``discount="commit"``);
- it keeps the position after the last step with the loss from before it
  (``best_position="stepped"``);
- nothing keeps a fixation in the image (``bounds="none"``);
- random numbers are shared by a batch, so that a path depends on its neighbours
  (``draws="batch"``).

`LEGACY` has all four, `REFERENCE` the paper's search without the defects, `RECOMMENDED` a
coarse-to-fine grid, which finds a lower loss in a quarter of the time.
"""

import dataclasses
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn

from attnsci.checks import check_positive
from attnsci.errors import InvalidInput
from attnsci.families.neva.config import RECOMMENDED, NeVAConfig
from attnsci.families.neva.tasks import Task, check_frozen
from attnsci.families.neva.walk import Setting, Step, Walk, parts
from attnsci.geometry import Viewing
from attnsci.models.looking.base import Looker, to_look_at
from attnsci.sensors.foveation import Fovea

if TYPE_CHECKING:
    import xarray as xr


@dataclasses.dataclass(frozen=True)
class Trace:
    """What happened while NeVA looked at N images with T fixations.

    Attributes
    ----------
    losses, positions : Tensor (N, T, I), (N, T, I, 2)
        Every position tried, in order, and its loss; NaN where a search had ended.
    state_loss : Tensor (N, T)
        The task's loss of what is remembered after each fixation, in float32.
    seen : Tensor (N, T, C, H, W)
        The image as it is remembered after each fixation.
    priority : Tensor (N, T, rows, columns) or None
        Losses over the image, where the search has a grid.
    """

    losses: Tensor
    positions: Tensor
    state_loss: Tensor
    seen: Tensor
    priority: Tensor | None


class NeVA(Looker):
    """Looks at images so that a task loses as little as possible.

    Parameters
    ----------
    task : Task
        What the look is for; see `attnsci.families.neva.tasks`.
    fovea : Fovea, optional
        How images are seen.
    config : NeVAConfig, optional
        How positions are found; keyword arguments replace single settings.
    chunk : int, optional
        Views that go through the task model at once, and images that are looked at together.
        By default 6 on a CPU, where larger batches cost more an image, and 256 elsewhere.
    **settings
        Fields of `NeVAConfig`.

    Examples
    --------
    >>> from attnsci.families.neva.tasks import BlurEnergy
    >>> image = torch.zeros(1, 1, 48, 64)
    >>> image[..., 30:33, 10:13] = 1
    >>> fovea = Fovea(sigma_px=6, blur_size=9, blur_sigma_px=3)
    >>> path = NeVA(BlurEnergy(), fovea, search="oracle").look(image, 1)
    >>> path["x"].item(), path["y"].item()
    (11.5, 31.5)
    """

    def __init__(
        self,
        task: Task,
        fovea: Fovea | None = None,
        config: NeVAConfig | None = None,
        *,
        chunk: int | None = None,
        **settings: Any,
    ) -> None:
        self.task, self.fovea = task, fovea or Fovea()
        self.config = dataclasses.replace(config or RECOMMENDED, **settings)
        self.chunk = None if chunk is None else check_positive("chunk", chunk, integer=True)

    def look(
        self,
        images: Tensor,
        n_fixations: int = 10,
        *,
        target: Any = None,
        image: Sequence[str] | None = None,
        seed: int = 0,
        viewing: Viewing | None = None,
    ) -> "xr.Dataset":
        """Return the scanpaths.

        Parameters
        ----------
        images : Tensor, shape (N, C, H, W), float in [0, 1]
        n_fixations : int
        target : optional
            What the seen images are judged by; the task's own target if not given.
        image : sequence of str, length N, optional
            Names; "0", "1", … if not given. They name the random streams too.
        seed : int
        viewing : Viewing, optional
            Geometry, in pixels of `images`.

        Returns
        -------
        xarray.Dataset
            The container of `attnsci.gaze`, one scanpath an image, with the variables ``loss``
            (of the search) and ``state_loss`` (of what is remembered) on (scanpath, fixation).

        Raises
        ------
        InvalidInput
            If images are no numbers, the task gives anything but one loss an image, or a loss
            is NaN; the message names the image.
        """
        names, seen = to_look_at(images, n_fixations, image, viewing)
        walks = self._walks(images, n_fixations, target, names, seed)
        found = [(_xy(steps), _loss(steps), _state_loss(steps)) for steps in walks]
        xy, loss, state_loss = (torch.cat(column) for column in zip(*found, strict=True))
        return self._with_losses(xy, loss, state_loss, names, seen, seed)

    def _fixations(
        self, images: Tensor, names: list[str], n_fixations: int, viewing: Viewing, seed: int
    ) -> np.ndarray:
        walks = self._walks(images, n_fixations, None, names, seed)
        return torch.cat([_xy(steps) for steps in walks]).double().cpu().numpy()

    def trace(
        self,
        images: Tensor,
        n_fixations: int = 10,
        *,
        target: Any = None,
        image: Sequence[str] | None = None,
        seed: int = 0,
        viewing: Viewing | None = None,
    ) -> tuple["xr.Dataset", Trace]:
        """Return the scanpaths, and everything that happened on the way; see `look`."""
        names, seen = to_look_at(images, n_fixations, image, viewing)
        walks = list(self._walks(images, n_fixations, target, names, seed))
        width = max(step.found.iterations.shape[1] for steps in walks for step in steps)

        def together(value: Callable[[Step], Tensor]) -> Tensor:
            return torch.cat([torch.stack([value(step) for step in steps], 1) for steps in walks])

        has_maps = walks[0][0].found.priority is not None
        record = Trace(
            together(lambda step: _padded(step.found.iterations, width)),
            together(lambda step: _padded(step.found.tried, width)),
            together(lambda step: step.state_loss),
            together(lambda step: step.seen),
            together(lambda step: step.found.priority) if has_maps else None,  # type: ignore[arg-type,return-value]
        )
        xy = together(lambda step: step.found.xy)
        loss = together(lambda step: step.found.loss)
        return self._with_losses(xy, loss, record.state_loss, names, seen, seed), record

    def _walks(
        self, images: Tensor, n_fixations: int, target: Any, names: list[str], seed: int
    ) -> Iterator[list[Step]]:
        """Yield the fixations of some images after the other.

        No image knows of another, so that time and memory for each do not grow with their
        number; only the published random numbers are shared, by all.
        """
        check_frozen(self.task)
        aim = self.task.target(images) if target is None else target
        if not isinstance(aim, Tensor) or len(aim) != len(images):
            raise InvalidInput(
                f"The target must be a tensor with one entry an image; {len(images)} images came "
                f"with {tuple(aim.shape) if isinstance(aim, Tensor) else type(aim).__name__}."
            )
        drifted = getattr(self.task, "drifted", None)
        aims = [drifted(aim, t, n_fixations) for t in range(n_fixations)] if drifted else [aim]
        chunk = self.chunk or (6 if images.device.type == "cpu" else 256)
        config = self.config.for_side(min(images.shape[-2:]))
        setting = Setting(self.task, self.fovea, config, chunk, n_fixations, seed)
        together = len(images) if self.config.draws == "batch" else chunk
        for rows in parts(len(images), together):
            targets = [each[rows] for each in aims]
            yield Walk(setting, images[rows], names[rows], targets, target is None).steps()

    def _with_losses(
        self, xy: Tensor, loss: Tensor, state_loss: Tensor, names: list[str], viewing: Viewing,
        seed: int,
    ) -> "xr.Dataset":  # fmt: skip
        scanpaths = self._scanpaths(xy.double().cpu().numpy(), names, viewing, seed)
        return scanpaths.assign(loss=_on_fixations(loss), state_loss=_on_fixations(state_loss))

    @property
    def name(self) -> str:
        """What the observer is called."""
        return f"NeVA {self.task.name}"

    def provenance(self) -> dict[str, Any]:
        """Return what is needed to look in the same way again."""
        return {
            "model": "NeVA",
            "task": self.task.name,
            "fovea": dataclasses.asdict(self.fovea),
            "search": dataclasses.asdict(self.config),
        }


def _xy(steps: list[Step]) -> Tensor:
    return torch.stack([step.found.xy for step in steps], 1)


def _loss(steps: list[Step]) -> Tensor:
    return torch.stack([step.found.loss for step in steps], 1)


def _state_loss(steps: list[Step]) -> Tensor:
    return torch.stack([step.state_loss for step in steps], 1)


def _padded(values: Tensor, width: int) -> Tensor:
    """Return values (N, I, ...) as (N, width, ...), NaN where a search had ended."""
    tail = values.new_full((len(values), width - values.shape[1], *values.shape[2:]), torch.nan)
    return torch.cat([values, tail], 1)


def _on_fixations(values: Tensor) -> tuple[tuple[str, str], np.ndarray]:
    return ("scanpath", "fixation"), values.double().cpu().numpy()


class Replay(nn.Module):
    """A task model shown what NeVA saw, fixation after fixation, for the recording layer.

    ``record(Replay(model), {"image": trace.seen}, ...)`` records each layer of the model with one
    call a fixation along ``time``.

    Parameters
    ----------
    model : nn.Module
        Images (N, C, H, W) to anything.
    """

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, seen: Tensor) -> Tensor:
        """Return the model's outputs (N, T, ...) for views (N, T, C, H, W)."""
        return torch.stack([self.model(seen[:, t]) for t in range(seen.shape[1])], 1)
