"""What a model is shown: a batch of images with what is known about each."""

import dataclasses
from typing import Any

import numpy as np
import torch
from torch import Tensor

from attnsci.checks import check_positive
from attnsci.errors import InvalidInput


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


@dataclasses.dataclass(frozen=True)
class Images:
    """Images of one's own as stimuli by index.

    Attributes
    ----------
    image : Tensor, shape (N, C, H, W)
    metadata : dict of str to Tensor or array, each of shape (N,)
        What is known of each: ``label``, condition …
    """

    image: Tensor
    metadata: dict[str, Any] = dataclasses.field(default_factory=dict)

    def __post_init__(self) -> None:
        for name, values in self.metadata.items():
            if len(values) != len(self.image):
                raise InvalidInput(f"{name} has {len(values)} values for {len(self.image)} images.")

    def __len__(self) -> int:
        return len(self.image)

    def __getitem__(self, index: Any) -> Stimuli:
        """Return a batch, with the number of each image as ``index``."""
        rows = torch.as_tensor(np.atleast_1d(np.arange(len(self))[index]))
        known = {name: torch.as_tensor(values)[rows] for name, values in self.metadata.items()}
        return Stimuli(self.image[rows], {"index": rows, **known})

    def provenance(self) -> dict[str, Any]:
        """Return how many there are."""
        return {"stimuli": "images", "n": len(self)}


@dataclasses.dataclass(frozen=True)
class Some:
    """Some of a set of stimuli, each shown once or several times.

    Attributes
    ----------
    whole : stimuli by index
    scenes : numpy.ndarray, shape (n,)
        Which of them.
    n_samples : int
        Showings of each; row ``i · n_samples + m`` is showing m of stimulus i.
    """

    whole: Any
    scenes: np.ndarray
    n_samples: int = 1

    def __len__(self) -> int:
        return len(self.scenes) * self.n_samples

    def __getitem__(self, index: Any) -> Any:
        """Return a batch of the whole's kind, with ``sample`` among its metadata."""
        rows = np.atleast_1d(np.arange(len(self))[index])
        batch = self.whole[self.scenes[rows // self.n_samples]]
        sample = torch.as_tensor(rows % self.n_samples)
        return dataclasses.replace(batch, metadata={**batch.metadata, "sample": sample})

    def provenance(self) -> dict[str, Any]:
        """Return what the whole is, and how many of it are shown."""
        return {**self.whole.provenance(), "n": len(self.scenes), "n_samples": self.n_samples}


def some(stimuli: Any, n: int | None = None, n_samples: int = 1) -> Some:
    """Return some of a set of stimuli, evenly spread over it.

    Bundled digits are sorted by class, so that the first few of them would be all alike.

    Parameters
    ----------
    stimuli : stimuli by index
    n : int, optional
        How many; all by default, and where `n` is larger.
    n_samples : int
        Showings of each.
    """
    total = len(stimuli)
    n = total if n is None else min(check_positive("n", n, integer=True), total)
    check_positive("n_samples", n_samples, integer=True)
    return Some(stimuli, np.arange(n) * total // n, n_samples)
