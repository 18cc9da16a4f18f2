"""What a look is for: the task whose loss decides where NeVA looks next."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Protocol

import torch
from torch import Tensor, nn
from torch.nn import functional

from attnsci.checks import check_shape
from attnsci.errors import InvalidInput
from attnsci.sensors.blur_energy import blur_loss_map


class Task(Protocol):
    """A criterion on seen images; one value an image."""

    name: str

    def target(self, images: Tensor) -> Any:
        """Return what the seen images (N, C, H, W) are judged by: tensors of length N."""

    def loss(self, seen: Tensor, target: Any) -> Tensor:
        """Return the loss (M,) of seen images (M, C, H, W) with targets of length M."""


def frozen(model: nn.Module) -> nn.Module:
    """Return `model` in evaluation mode with no trainable parameters.

    A model in training mode would couple the images of a batch and change its own statistics.
    """
    return model.eval().requires_grad_(False)


def networks(task: Any) -> dict[str, nn.Module]:
    """Return the networks that a task holds, by attribute."""
    return {name: value for name, value in vars(task).items() if isinstance(value, nn.Module)}


def check_frozen(task: Any) -> None:
    """Check that a task's networks are as `frozen` leaves them; they may have been changed since.

    Raises
    ------
    InvalidInput
        If a network is in training mode or has trainable parameters.
    """
    for name, model in networks(task).items():
        training = any(module.training for module in model.modules())
        if training or any(each.requires_grad for each in model.parameters()):
            state = "in training mode" if training else "trainable"
            raise InvalidInput(
                f"The {name} of the task {task.name!r} is {state}, so that looking would couple "
                "the images of a batch or fill its gradients. Call "
                f"attnsci.families.neva.tasks.frozen(task.{name}) first."
            )


def _in_parts(model: Any, images: Tensor) -> Tensor:
    """Return what a model makes of images, a few at a time: a folder's activations are many."""
    with torch.no_grad():
        return torch.cat([model(part) for part in images.split(16)])


class Classification:
    """Cross-entropy of a classifier with the label that it gives the sharp image, or a given one.

    Parameters
    ----------
    model : nn.Module
        Images (N, C, H, W) in [0, 1] to logits (N, classes); normalisation is inside it.
    labels : Tensor, shape (N,), int64, optional
        Right answers; by default the model's own on the sharp images.
    """

    name = "classification"

    def __init__(self, model: nn.Module, labels: Tensor | None = None) -> None:
        self.model, self.labels = frozen(model), labels

    def target(self, images: Tensor) -> Tensor:
        """Return a label an image."""
        if self.labels is not None:
            return check_shape("labels", self.labels, (len(images),)).to(images.device)
        return _in_parts(self.model, images).argmax(1)

    def loss(self, seen: Tensor, target: Tensor) -> Tensor:
        """Return the cross-entropy (M,)."""
        return functional.cross_entropy(self.model(seen), target, reduction="none")


class Reconstruction:
    """Mean squared error between a denoiser's picture of the seen image and the sharp image.

    Parameters
    ----------
    model : nn.Module
        Images (N, C, H, W) to images of the same shape.
    """

    name = "reconstruction"

    def __init__(self, model: nn.Module) -> None:
        self.model = frozen(model)

    def target(self, images: Tensor) -> Tensor:
        """Return the sharp images."""
        return images

    def loss(self, seen: Tensor, target: Tensor) -> Tensor:
        """Return the error (M,)."""
        return (self.model(seen) - target).square().flatten(1).mean(1)


class BlurEnergy:
    """Reconstruction by nothing: squared error of the seen image itself.

    Bottom-up and without a network. Its loss is known in closed form for every position at once,
    so it has an exact search, the oracle (`loss_map`).
    """

    name = "blur energy"

    def target(self, images: Tensor) -> Tensor:
        """Return the sharp images."""
        return images

    def loss(self, seen: Tensor, target: Tensor) -> Tensor:
        """Return the error (M,)."""
        return (seen - target).square().flatten(1).mean(1)

    def loss_map(
        self, residual: Tensor, memory: Tensor, sigma_px: float, amplitude: float
    ) -> Tensor:
        """Return the loss (N, H, W) of a fixation at the centre of every pixel.

        Exact while memory and mask do not pass 1 together; a bound from above where they do.

        Parameters
        ----------
        residual : Tensor, shape (N, C, H, W)
            Blurred minus sharp image.
        memory : Tensor, shape (N, 1, H, W)
            What is seen already.
        sigma_px, amplitude : float
            Of the fovea.
        """
        return blur_loss_map(residual, memory, sigma_px, amplitude)


class Embedding:
    """Cosine distance between the embedding of the seen image and a target embedding.

    Parameters
    ----------
    encode_image : callable
        Images (N, C, H, W) in [0, 1] to embeddings (N, D); an `nn.Module` is frozen.
    embedding : Tensor, shape (D,) or (N, D), optional
        What to look for: of a text, a class, another image. Default: of the sharp image itself.
    start : Tensor, shape (D,) or (N, D), optional
        Where a drift of the target begins: ``drifted`` moves from it to `embedding`.
    """

    name = "embedding"

    def __init__(
        self, encode_image: Any, embedding: Tensor | None = None, start: Tensor | None = None
    ) -> None:
        self.encode_image = (
            frozen(encode_image) if isinstance(encode_image, nn.Module) else encode_image
        )
        self.embedding, self.start = embedding, start

    def target(self, images: Tensor) -> Tensor:
        """Return an embedding (N, D) an image."""
        if self.embedding is None:
            return _in_parts(self.encode_image, images)
        return self.embedding.expand(len(images), -1).to(images)

    def drifted(self, target: Tensor, fixation: int, n_fixations: int) -> Tensor:
        """Return the target at a fixation: it moves from `start` with (t / T)²."""
        if self.start is None:
            return target
        share = (fixation / n_fixations) ** 2
        return share * target + (1 - share) * self.start.to(target)

    def loss(self, seen: Tensor, target: Tensor) -> Tensor:
        """Return 1 − cosine (M,)."""
        return 1 - functional.cosine_similarity(self.encode_image(seen), target, dim=1)


def check_losses(losses: Tensor, names: list[str]) -> Tensor:
    """Return losses (N, ...) if they are one finite value each.

    Raises
    ------
    InvalidInput
        If the criterion gives another number of values, or NaN; the message names the image.
    """
    bad = ~torch.isfinite(losses).flatten(1).all(1) if losses.ndim > 1 else ~torch.isfinite(losses)
    if bad.any():
        raise InvalidInput(
            f"The task's loss is not finite on image {names[int(bad.nonzero()[0])]!r} "
            f"({int(bad.sum())} of {len(names)} images). Check the image and the task model."
        )
    return losses


@contextmanager
def fast_forwards(enabled: bool, device: torch.device) -> Iterator[None]:
    """Run what is inside in bfloat16 where `enabled`."""
    with torch.autocast(device.type, torch.bfloat16, enabled=enabled):
        yield
