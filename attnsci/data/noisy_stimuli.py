"""Noisy digits as stimuli by index: a scene a digit, or one at each distance and contrast."""

import dataclasses
from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np
import torch

from attnsci.data.digits import Digits
from attnsci.data.noisy_layout import PRESETS, NoisyDigitsConfig
from attnsci.data.noisy_scenes import Mode, NoisyDigits, noisy_digits
from attnsci.data.stimuli import Stimuli

CONTRASTS = (0.7, 0.5, 0.3)
RADII_PX = tuple(float(r) for r in np.linspace(40, 0, 9, endpoint=False)[::-1])
_DISTANT = 2


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


@dataclasses.dataclass(frozen=True)
class DistantDigits:
    """Every digit at every distance from the middle and contrast, in noise, on 128 pixels.

    A digit has one place and one noise at each distance, whatever its contrast.

    Attributes
    ----------
    digits : Digits
    noise : float
        Strength.
    contrasts, radii_px : sequence of float
    seed : int
        Of directions and noise.
    device : str or torch.device
        Where scenes are composed.

    Examples
    --------
    >>> from attnsci.data import load_mnist
    >>> stimuli = DistantDigits(load_mnist("test").subset(range(5)), radii_px=(10.0, 30.0))
    >>> len(stimuli), stimuli[5].metadata["eccentricity"].item()
    (30, 30.0)
    """

    digits: Digits
    noise: float = 0.75
    contrasts: Sequence[float] = CONTRASTS
    radii_px: Sequence[float] = RADII_PX
    seed: int = 0
    device: str | torch.device = "cpu"
    size_px: ClassVar[int] = 128

    def __len__(self) -> int:
        return len(self.digits) * len(self.contrasts) * len(self.radii_px)

    def __getitem__(self, index: Any) -> Stimuli:
        """Return a batch.

        Its metadata are ``label`` and ``index``; ``contrast`` and ``eccentricity`` (nominal, as
        places are whole pixels); ``x`` and ``y``, the digit's middle in pixels of the scene.
        """
        cell, digit = np.divmod(np.atleast_1d(np.arange(len(self))[index]), len(self.digits))
        rows = [np.flatnonzero(cell == k) for k in np.unique(cell)]
        parts = [self._scenes(int(cell[part[0]]))[digit[part]] for part in rows]
        back = torch.as_tensor(np.argsort(np.concatenate(rows)))
        metadata = {
            name: torch.cat([part.metadata[name] for part in parts])[back]
            for name in ("label", "index", "x", "y")
        }
        contrast, radius = np.divmod(cell, len(self.radii_px))
        metadata["contrast"] = torch.as_tensor(np.take(self.contrasts, contrast))
        metadata["eccentricity"] = torch.as_tensor(np.take(self.radii_px, radius))
        image = torch.cat([part.image for part in parts])
        return Stimuli(image[back.to(image.device)], metadata)

    def _scenes(self, cell: int) -> NoisyScenes:
        """Return the scenes of one contrast and distance."""
        contrast, radius = divmod(cell, len(self.radii_px))
        layout = dataclasses.replace(
            PRESETS[self.size_px], noise=self.noise, contrast=self.contrasts[contrast],
            radius=self.radii_px[radius],
        )  # fmt: skip
        seed = (self.seed, _DISTANT, radius + 1)
        return NoisyScenes(self.digits, layout, seed, device=self.device)

    def provenance(self) -> dict[str, Any]:
        """Return the design, and what the digits are."""
        design = {
            field.name: getattr(self, field.name)
            for field in dataclasses.fields(self)
            if field.name not in ("digits", "device")
        }
        return {"stimuli": "distant digits", **design, "digits": self.digits.provenance()}
