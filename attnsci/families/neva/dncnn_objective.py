"""Training of the denoiser: the sharp photograph from a foveated, noisy view of it."""

import dataclasses
import math
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np
import torch
from lightning_fabric import Fabric
from torch import Tensor, nn
from torch.nn import functional

from attnsci.data.images import Photograph
from attnsci.errors import InvalidInput
from attnsci.families.neva.dncnn import DnCNN
from attnsci.families.neva.dncnn_recipes import DnCNNTraining
from attnsci.families.neva.photographs import part_of
from attnsci.provenance import array_hash
from attnsci.seeds import torch_generator, torch_seed
from attnsci.sensors.foveation import Fovea, FoveatedView
from attnsci.training.trainer import Metrics, check_shares

_TRAIN, _VALIDATION, _WEIGHTS = 1, 2, 3


@dataclasses.dataclass(frozen=True)
class Views:
    """A batch: pieces of photographs and how they are seen.

    Attributes
    ----------
    seen, sharp : Tensor, shape (N, 3, crop, crop)
    epoch : int
        Which pass they belong to.
    """

    seen: Tensor
    sharp: Tensor
    epoch: int


class Pieces:
    """Random pieces of photographs, as foveated views show them.

    Parameters
    ----------
    photographs : iterable of Photograph
        All are kept in memory, padded to the largest.
    config : DnCNNTraining

    Raises
    ------
    InvalidInput
        If there is none, or one is smaller than a piece and the blur's margin round it.
    """

    def __init__(self, photographs: Iterable[Photograph], config: DnCNNTraining) -> None:
        self.config = config
        self.fovea = Fovea(
            sigma_px=config.sigma_px,
            blur_sigma_px=config.blur_sigma_px,
            blur_size=config.blur_size,
            noise=config.blur_noise,
        )
        images = {photograph.name: photograph.rgb for photograph in photographs}
        if not images:
            raise InvalidInput("There are no photographs to train or to validate on.")
        self.names = tuple(images)
        sizes = np.array([image.shape[:2] for image in images.values()])
        small = np.flatnonzero(sizes.min(1) < self.side)
        if len(small):
            name = self.names[small[0]]
            raise InvalidInput(
                f"{len(small)} photographs are too small, the first {name!r} of "
                f"{sizes[small[0], 1]}×{sizes[small[0], 0]} pixels: pieces of {config.crop} and "
                f"the margin of a blur of {config.blur_size} need {self.side}. Leave them out."
            )
        self.checksum = array_hash(*images.values())
        padded = np.zeros((len(images), *sizes.max(0), 3), np.uint8)
        for place, image in zip(padded, images.values(), strict=True):
            place[: image.shape[0], : image.shape[1]] = image
        self._pixels, self._sizes = torch.from_numpy(padded), torch.from_numpy(sizes)

    @property
    def side(self) -> int:
        """Side of what is cut out: a piece and, round it, what the blur takes from."""
        return self.config.crop + 2 * (self.config.blur_size // 2)

    def draw(self, n: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Return `n` pieces as seen and as they are, each (n, 3, crop, crop)."""
        config, side = self.config, self.side
        margin = (side - config.crop) // 2
        which = torch.randint(len(self.names), (n,), generator=generator)
        free = self._sizes[which] - side + 1
        corner = (torch.rand(n, 2, generator=generator) * free).long()
        steps = torch.arange(side)
        rows, columns = corner[:, :1] + steps, corner[:, 1:] + steps
        mirrored = torch.rand(n, 1, generator=generator) < 0.5
        columns = torch.where(mirrored, columns.flip(1), columns)
        pixels = self._pixels[which[:, None, None], rows[:, :, None], columns[:, None, :]]
        sharp = pixels.permute(0, 3, 1, 2).float() / 255
        if config.zoom > 1:
            sharp = _enlarged(sharp, 1 + (config.zoom - 1) * torch.rand(n, generator=generator))
        view = FoveatedView(sharp, self.fovea, generator)
        # Fixations fall on the piece or beside it, and count fully, in part or not at all.
        xy = torch.rand(n, config.n_foveae, 2, generator=generator)
        xy = xy * (side + 2 * config.crop) - config.crop
        weights = (2 * torch.rand(n, config.n_foveae, generator=generator) - 0.5).clamp(0, 1)
        memory = (view.mask(xy) * weights[..., None, None, None]).sum(1)
        memory += (torch.rand(n, 1, 1, 1, generator=generator) < config.sharp).float()
        level = config.noise * torch.rand(n, 1, 1, 1, generator=generator)
        seen = view.perceive(memory) + level * torch.randn(sharp.shape, generator=generator)
        inside = slice(margin, margin + config.crop)
        return seen[..., inside, inside].contiguous(), sharp[..., inside, inside].contiguous()


def _enlarged(images: Tensor, zoom: Tensor) -> Tensor:
    """Return the middle of each image (N, C, H, W), enlarged `zoom` times (N,) to its size."""
    scale = torch.eye(2, 3) / zoom[:, None, None]
    grid = functional.affine_grid(scale, list(images.shape), align_corners=False)
    return functional.grid_sample(images, grid, "bicubic", align_corners=False).clamp(0, 1)


class DnCNNObjective:
    """Squared error between the denoiser's picture of a view and the sharp photograph.

    Parameters
    ----------
    config : DnCNNTraining
        The recipe.
    photographs : iterable of Photograph
        Real ones. Their names decide what they are for (`part_of`), so that a photograph stays
        on its side whatever else is there: 70 % train, 15 % validate, 15 % are left for tests.
    data : mapping, optional
        What else is known of the photographs, for the record: data set, licences.

    Notes
    -----
    The network is of Zhang et al. 2017, arXiv 1608.03981; the views are those of NeVA, Schwinn
    et al. 2022, arXiv 2204.09093.
    """

    score = "psnr"
    forward_methods: tuple[str, ...] = ()

    def __init__(
        self,
        config: DnCNNTraining,
        photographs: Iterable[Photograph],
        data: Mapping[str, Any] | None = None,
    ) -> None:
        self.config, self.data = config, dict(data or {})
        parts: dict[str, list[Photograph]] = {"train": [], "validation": [], "test": []}
        for photograph in photographs:
            parts[part_of(photograph.name)].append(photograph)
        self.training = Pieces(parts["train"], config)
        self.validation = Pieces(parts["validation"], config)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(torch_seed(config.seed, _WEIGHTS))
            self.model: nn.Module = DnCNN(config.model)

    def optimizer(self) -> torch.optim.Optimizer:
        """Return Adam."""
        return torch.optim.Adam(self.model.parameters(), lr=self.config.learning_rate)

    def n_batches(self, epoch: int) -> int:
        """Return the updates between two validations."""
        return self.config.batches_per_epoch

    def batch(self, epoch: int, index: int, rank: int, world_size: int) -> Views:
        """Return this process's share of batch `index`: always new pieces."""
        n = self.config.batch_size
        check_shares(n, world_size)
        generator = torch_generator(self.config.seed, _TRAIN, epoch + 1, index + 1)
        share = slice(rank * n // world_size, (rank + 1) * n // world_size)
        seen, sharp = (part[share] for part in self.training.draw(n, generator))
        weight = next(self.model.parameters())
        return Views(seen.to(weight), sharp.to(weight), epoch)

    def update(
        self, model: Any, batch: Views, optimizer: torch.optim.Optimizer, fabric: Fabric
    ) -> Iterator[Metrics]:
        """Take one optimiser step; yield its loss."""
        rate = self.config.learning_rate * 0.5 ** (batch.epoch / self.config.half_life)
        for group in optimizer.param_groups:
            group["lr"] = rate
        with fabric.autocast():
            loss = functional.mse_loss(model(batch.seen).to(batch.sharp), batch.sharp)
        optimizer.zero_grad()
        fabric.backward(loss)
        optimizer.step()
        yield {"loss": loss.item(), "learning_rate": rate}

    def validate(self, model: Any) -> Metrics:
        """Return the error on held-out photographs, and that of taking the view as it is."""
        return evaluate(model.module, self.validation, self.config.seed)

    def provenance(self) -> dict[str, Any]:
        """Return what the weights and a resumed run must agree on."""
        return {
            "model": "DnCNN",
            "config": self.config.model,
            "training": self.config,
            "data": {
                **self.data,
                "n": len(self.training.names),
                "checksum": self.training.checksum,
                "n_validation": len(self.validation.names),
                "checksum_validation": self.validation.checksum,
            },
            "seed": self.config.seed,
        }


def evaluate(model: nn.Module, pieces: Pieces, seed: int = 0) -> Metrics:
    """Return how well a denoiser restores views of photographs.

    Parameters
    ----------
    model : nn.Module
        Images (N, 3, H, W) to images of the same shape; in evaluation mode.
    pieces : Pieces
        Held-out photographs; ``config.validation_crops`` are drawn.
    seed : int
        Of the pieces, the fixations and the noise.

    Returns
    -------
    dict
        ``n`` pieces of ``n_photographs``; ``mse`` and ``psnr`` (dB, of the mean error, for pixels
        in [0, 1]) of the restored views, and both ``_of_view``: of doing nothing.
    """
    n = pieces.config.validation_crops
    weight = next(model.parameters())
    seen, sharp = pieces.draw(n, torch_generator(seed, _VALIDATION))
    with torch.no_grad():
        restored = torch.cat([model(part.to(weight)).to(sharp) for part in seen.split(16)])
    mse, of_view = (float((picture - sharp).square().mean()) for picture in (restored, seen))
    return {
        "n": n,
        "n_photographs": len(pieces.names),
        "mse": mse,
        "psnr": -10 * math.log10(mse),
        "mse_of_view": of_view,
        "psnr_of_view": -10 * math.log10(of_view),
    }
