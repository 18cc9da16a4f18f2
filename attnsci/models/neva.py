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
import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from attnsci.checks import check_positive
from attnsci.errors import InvalidInput
from attnsci.gaze import from_arrays
from attnsci.geometry import Viewing
from attnsci.models.neva_config import RECOMMENDED, NeVAConfig
from attnsci.models.neva_draws import Shared, Streams
from attnsci.models.neva_joint import joint
from attnsci.models.neva_search import SEARCHES, Found, Problem
from attnsci.models.tasks import Task, check_losses, fast_forwards
from attnsci.provenance import to_json
from attnsci.sensors.foveation import Fovea, FoveatedView

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


class NeVA:
    """Looks at images so that a task loses as little as possible.

    Parameters
    ----------
    task : Task
        What the look is for; see `attnsci.models.tasks`.
    fovea : Fovea, optional
        How images are seen.
    config : NeVAConfig, optional
        How positions are found; keyword arguments replace single settings.
    chunk : int
        Images and candidate views that go through the task model at once.
    **settings
        Fields of `NeVAConfig`.

    Examples
    --------
    >>> from attnsci.models.tasks import BlurEnergy
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
        chunk: int = 16,
        **settings: Any,
    ) -> None:
        self.task, self.fovea = task, fovea or Fovea()
        self.config = dataclasses.replace(config or RECOMMENDED, **settings)
        self.chunk = check_positive("chunk", chunk, integer=True)

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
        return self.trace(
            images, n_fixations, target=target, image=image, seed=seed, viewing=viewing
        )[0]

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
        check_positive("n_fixations", n_fixations, integer=True)
        names = check_images(images, image)
        walk = _Walk(self, images, target, names, seed)
        chosen = walk.together(n_fixations) if self.config.search == "joint" else None
        parts = [
            walk.fixate(t, n_fixations, None if chosen is None else chosen[t])
            for t in range(n_fixations)
        ]
        found = [part[0] for part in parts]
        state_loss = torch.stack([part[1] for part in parts], 1)
        width = max(each.iterations.shape[1] for each in found)

        def padded(values: Tensor) -> Tensor:
            missing = width - values.shape[1]
            tail = (0, missing) if values.ndim == 2 else (0, 0, 0, missing)
            return functional.pad(values, tail, value=torch.nan)

        maps = [each.priority for each in found if each.priority is not None]
        record = Trace(
            torch.stack([padded(each.iterations) for each in found], 1),
            torch.stack([padded(each.tried) for each in found], 1),
            state_loss,
            torch.stack([part[2] for part in parts], 1),
            torch.stack(maps, 1) if len(maps) == n_fixations else None,
        )
        xy = torch.stack([each.xy for each in found], 1).double().cpu().numpy()
        scanpaths = _container(xy, names, images, viewing, self)
        scanpaths["loss"] = _on_fixations(torch.stack([each.loss for each in found], 1))
        scanpaths["state_loss"] = _on_fixations(state_loss)
        return scanpaths.assign_attrs(seed=seed), record

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


class _Walk:
    """The state of one look: memory, earlier fixations and random streams."""

    def __init__(
        self, neva: NeVA, images: Tensor, target: Any, names: list[str], seed: int
    ) -> None:
        self.neva, self.config, self.task, self.names = neva, neva.config, neva.task, names
        noise = torch.Generator().manual_seed(seed) if neva.fovea.noise else None
        self.view = FoveatedView(images, neva.fovea, noise)
        self.memory = self.view.blank()
        self.target = self.task.target(images) if target is None else target
        self.past: list[Tensor] = []
        self.draws: Streams | Shared = (
            Streams(names, seed, images) if self.config.draws == "image" else Shared(seed, images)
        )
        self.fast = _computes_bfloat16(self.config.precision, images.device)

    def fixate(
        self, t: int, n_fixations: int, found: Found | None = None
    ) -> tuple[Found, Tensor, Tensor]:
        """Choose fixation `t`; return what the search found, the state's loss, what is seen."""
        target = self._target_at(t, n_fixations)
        kept = self.view.keep(self.memory)
        base = kept if self.config.discount == "search" else self.memory
        if found is None:
            found = SEARCHES[self.config.search](
                self._problem(base, target), self.config, self.draws
            )
            if self.fast and self.config.search in ("grid", "multistart"):
                found = self._judged(found, base, target)
        with torch.no_grad():
            self.memory = self.view.add(kept, self.view.mask(found.xy))
            seen = self.view.perceive(self.memory)
            state = torch.cat(
                [
                    self._task_loss(seen[part], _rows(target, part), part)
                    for part in _parts(len(seen), self.neva.chunk)
                ]
            )
        self.past.append(found.xy)
        return found, state, seen

    def together(self, n_fixations: int) -> list[Found]:
        """Return all fixations, found at once."""

        def loss(memory: Tensor, t: int) -> Tensor:
            target = self._target_at(t, n_fixations)
            return self._task_loss(self.view.perceive(memory), target, slice(None))

        return joint(self.view, loss, n_fixations, self.config, self.draws)

    def _target_at(self, t: int, n_fixations: int) -> Any:
        drift = getattr(self.task, "drifted", None)
        return drift(self.target, t, n_fixations) if drift else self.target

    def _problem(self, base: Tensor, target: Any) -> Problem:
        images = self.view.images

        def losses(xy: Tensor, coarse: bool = False) -> Tensor:
            return self._losses(xy, base, target, coarse, self.fast)

        exact = None
        loss_map = getattr(self.task, "loss_map", None)
        if loss_map and not (self.config.inhibition or self.config.saccade_cost):

            def exact() -> Tensor:
                fovea = self.neva.fovea
                return loss_map(self.view.residual, base, fovea.sigma_px, fovea.amplitude)

        return Problem(
            losses, lambda xy: self._gradient(xy, base, target), exact, self.view.size,
            len(images), images,
        )  # fmt: skip

    @torch.no_grad()
    def _losses(self, xy: Tensor, base: Tensor, target: Any, coarse: bool, fast: bool) -> Tensor:
        """Return the losses (N, K) of looking at positions (N, K, 2)."""
        n, k = xy.shape[:2]
        out = xy.new_empty(n, k)
        rows = torch.arange(n, device=xy.device).repeat_interleave(k)
        flat = xy.reshape(-1, 2)
        for part in _parts(n * k, self.neva.chunk):
            which = rows[part]
            seen = self._seen(flat[part], base, which)
            if coarse and self.config.coarse_px is not None:
                seen = _shrunk(seen, self.config.coarse_px)
                aim = self._coarse_target(target)
            else:
                aim = target
            with fast_forwards(fast, xy.device):
                value = self._task_loss(seen, _rows(aim, which), which)
            out.view(-1)[part] = value
        return out + self._cost(xy)

    def _gradient(self, xy: Tensor, base: Tensor, target: Any) -> tuple[Tensor, Tensor]:
        """Return loss (N,) and gradient (N, 2) at positions (N, 2)."""
        losses, gradients = [], []
        for part in _parts(len(xy), self.neva.chunk):
            at = xy[part].detach().requires_grad_()
            which = torch.arange(len(xy), device=xy.device)[part]
            with torch.enable_grad():
                seen = self._seen(at, base, which)
                loss = self._task_loss(seen, _rows(target, which), which)
                loss = loss + self._cost(at[:, None], which)[:, 0]
                if not loss.requires_grad:
                    raise InvalidInput(
                        f"The task {self.task.name!r} gives a loss without a gradient to the "
                        "image, which this search descends. Take search='grid'."
                    )
                (gradient,) = torch.autograd.grad(loss.sum(), at)
            losses.append(loss.detach())
            gradients.append(gradient)
        return torch.cat(losses), torch.cat(gradients)

    def _seen(self, xy: Tensor, base: Tensor, which: Tensor) -> Tensor:
        """Return the views (M, C, H, W) of images `which` with a fixation at `xy` (M, 2)."""
        memory = self.view.add(base[which], self.view.mask(xy))
        hidden = (1 - memory).clamp(0, 1)
        return torch.addcmul(self.view.images[which], self.view.residual[which], hidden)

    def _task_loss(self, seen: Tensor, target: Any, which: Tensor | slice) -> Tensor:
        loss = self.task.loss(seen, target)
        if loss.shape != (len(seen),):
            raise InvalidInput(
                f"The task {self.task.name!r} gave a loss of shape {tuple(loss.shape)} for "
                f"{len(seen)} images; it must give one value an image (reduction='none')."
            )
        rows = torch.arange(len(self.names))[which.cpu() if isinstance(which, Tensor) else which]
        return check_losses(loss.float(), [self.names[row] for row in rows.tolist()])

    def _cost(self, xy: Tensor, which: Tensor | None = None) -> Tensor:
        """Return the costs (N, K) that are no task: returning, and moving far."""
        cost = xy.new_zeros(xy.shape[:2])
        past = self.past if which is None else [each[which] for each in self.past]
        if self.config.inhibition:
            for earlier in past:
                near = (xy - earlier[:, None]).square().sum(-1)
                cost = cost + self.config.inhibition * torch.exp(
                    -near / (2 * self.config.inhibition_sigma_px**2)
                )
        if self.config.saccade_cost and past:
            height, width = self.view.size
            far = (xy - past[-1][:, None]).square().sum(-1).add(1e-12).sqrt()
            cost = cost + self.config.saccade_cost * far / (height**2 + width**2) ** 0.5
        return cost

    def _coarse_target(self, target: Any) -> Any:
        """Return a target that is an image at the coarse size; others as they are."""
        if isinstance(target, Tensor) and target.shape == self.view.images.shape:
            assert self.config.coarse_px is not None
            return _shrunk(target, self.config.coarse_px)
        return target

    def _judged(self, found: Found, base: Tensor, target: Any) -> Found:
        """Compare the best few once more in float32; their last word decides."""
        last = found.iterations.shape[1] - 8 * self.config.refinements
        full = (
            slice(max(last - self.config.keep, 0), None) if self.config.coarse_px else slice(None)
        )
        values = found.iterations[:, full]
        few = values.argsort(1)[:, : self.config.keep]
        points = torch.gather(found.tried[:, full], 1, few[..., None].expand(-1, -1, 2))
        exact = self._losses(points, base, target, False, False)
        best, at = exact.min(1)
        chosen = points[torch.arange(len(points)), at]
        return dataclasses.replace(found, xy=chosen, loss=best)


def check_images(images: Tensor, names: Sequence[str] | None) -> list[str]:
    """Return the names of images (N, C, H, W) that can be looked at.

    Raises
    ------
    InvalidInput
        If their shape, type, range or number of names is wrong, or one holds NaN.
    """
    if images.ndim != 4 or not images.is_floating_point() or 0 in images.shape:
        raise InvalidInput(
            f"images must be floats (N, C, H, W); got {images.dtype} {tuple(images.shape)}."
        )
    chosen = [str(i) for i in range(len(images))] if names is None else [str(n) for n in names]
    if len(chosen) != len(images) or len(set(chosen)) != len(chosen):
        raise InvalidInput(f"{len(images)} images need as many different names; got {chosen}.")
    low, high = images.flatten(1).aminmax(dim=1)
    bad = ~((low >= 0) & (high <= 1))  # NaN is neither
    if bad.any():
        row = int(bad.nonzero()[0])
        raise InvalidInput(
            f"Image {chosen[row]!r} has values from {float(low[row]):g} to {float(high[row]):g}; "
            "images must lie in [0, 1] without NaN. Normalisation belongs into the task model."
        )
    return chosen


def _container(
    xy: np.ndarray, names: list[str], images: Tensor, viewing: Viewing | None, neva: NeVA
) -> "xr.Dataset":
    height, width = images.shape[-2:]
    seen = viewing or Viewing(float(width), float(height))
    if (seen.width_px, seen.height_px) != (width, height):
        raise InvalidInput(
            f"viewing is of {seen.width_px:g}×{seen.height_px:g} pixels and the images are "
            f"{width}×{height}."
        )
    scanpaths = from_arrays(xy[..., 0], xy[..., 1], image=names, observer=neva.name, viewing=seen)
    return scanpaths.assign_attrs(provenance=json.dumps(json.loads(to_json(neva.provenance()))))


def _on_fixations(values: Tensor) -> tuple[tuple[str, str], np.ndarray]:
    return ("scanpath", "fixation"), values.double().cpu().numpy()


def _shrunk(images: Tensor, side: int) -> Tensor:
    """Return images with their shorter side at `side` pixels."""
    height, width = images.shape[-2:]
    scale = side / min(height, width)
    size = (round(height * scale), round(width * scale))
    return functional.interpolate(images, size, mode="bilinear", antialias=True)


def _rows(target: Any, which: Tensor | slice) -> Any:
    return target[which]


def _parts(n: int, size: int) -> list[slice]:
    return [slice(start, min(start + size, n)) for start in range(0, n, size)]


def _computes_bfloat16(precision: str, device: torch.device) -> bool:
    """Tell whether forwards run in bfloat16: where asked, or where the device is fast at it."""
    if precision != "auto":
        return precision == "bfloat16"
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported()
    return device.type == "cpu" and bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())


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
