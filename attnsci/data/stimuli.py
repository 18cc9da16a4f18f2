"""What a model is shown: a batch of images with what is known about each."""

import dataclasses

import torch
from torch import Tensor


@dataclasses.dataclass(frozen=True)
class Stimuli:
    """A batch of stimuli.

    Attributes
    ----------
    image : Tensor, shape (N, C, H, W), float32
        Values in [0, 1] (bars over digits may exceed 1, as published).
    metadata : dict of str to Tensor, each of shape (N,)
        One named value for each stimulus.
    """

    image: Tensor
    metadata: dict[str, Tensor]

    def __len__(self) -> int:
        return len(self.image)

    def coords(self) -> dict[str, Tensor]:
        """Return the metadata, as recordings attach them to each stimulus."""
        return self.metadata


@dataclasses.dataclass(frozen=True)
class ObjectScenes(Stimuli):
    """A batch of scenes of several objects, in slot order (left to right).

    Attributes
    ----------
    objects : Tensor, shape (N, object, C, H, W), float32
        Each object alone, on black.
    labels : Tensor, shape (N, object), int64
        Class of each object.
    """

    objects: Tensor
    labels: Tensor

    @property
    def masks(self) -> Tensor:
        """Pixels of each object, shape (N, object, C, H, W), bool."""
        return self.objects > 0

    def targets(self, strength: float) -> Tensor:
        """Return the scene with all but one object dimmed, for each object.

        Parameters
        ----------
        strength : float
            How far the rest is dimmed: × (1 − strength).

        Returns
        -------
        Tensor, shape (N, object, C, H, W)
            ``(1 − s)·scene + s·object``, noise included.
        """
        return torch.lerp(self.image[:, None], self.objects, strength)
