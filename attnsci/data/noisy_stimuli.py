"""Noisy digits as stimuli by index: a scene a digit."""

import dataclasses
from typing import Any

import numpy as np
import torch

from attnsci.data.digits import Digits
from attnsci.data.noisy_layout import PRESETS, NoisyDigitsConfig
from attnsci.data.noisy_scenes import Mode, NoisyDigits, noisy_digits


@dataclasses.dataclass(frozen=True)
class NoisyScenes:
    """One scene of each digit; see `attnsci.data.noisy_digits`.

    Attributes
    ----------
    digits : Digits
    layout : NoisyDigitsConfig
        Size, noise, contrast, where digits are.
    seed : int or tuple of int
        Names the set of scenes.
    mode : {"fresh", "pooled", "frozen"}
        Of the noise.
    device : str or torch.device
        Where scenes are composed.

    Examples
    --------
    >>> from attnsci.data import load_mnist
    >>> scenes = NoisyScenes(load_mnist("test"), dataclasses.replace(PRESETS[128], radius=20.0))
    >>> len(scenes), scenes[5:7].image.shape
    (1000, torch.Size([2, 1, 128, 128]))
    """

    digits: Digits
    layout: NoisyDigitsConfig = PRESETS[28]
    seed: int | tuple[int, ...] = 0
    mode: Mode = "fresh"
    device: str | torch.device = "cpu"

    def __len__(self) -> int:
        return len(self.digits)

    def __getitem__(self, index: Any) -> NoisyDigits:
        """Return a batch, with the digit's middle in pixels, ``x`` and ``y``, in its metadata."""
        digits = self.digits.subset(np.atleast_1d(np.arange(len(self))[index]))
        batch = noisy_digits(
            digits.images, digits.labels, digits.index, mode=self.mode, seed=self.seed,
            split=digits.split, device=self.device, config=self.layout,
        )  # fmt: skip
        x, y = batch.places.cpu().unbind(1)
        label = batch.metadata["label"].cpu()
        metadata = {**batch.metadata, "label": label, "x": x, "y": y}
        return dataclasses.replace(batch, metadata=metadata)

    def provenance(self) -> dict[str, Any]:
        """Return what is needed, besides the digits, to make the same scenes again."""
        return {
            "stimuli": "noisy digits",
            "scenes": dataclasses.asdict(self.layout),
            "mode": self.mode,
            "seed": self.seed,
            "digits": self.digits.provenance(),
        }
