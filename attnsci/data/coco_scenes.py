"""Batches of photographs with two objects, as networks are trained and tested on them."""

import dataclasses
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from attnsci.checks import check_positive
from attnsci.data.coco_pairs import ObjectPairs
from attnsci.data.digit_scenes import spread
from attnsci.data.stimuli import ObjectScenes

_HALF = 128


@dataclasses.dataclass(frozen=True)
class PhotographScenes(ObjectScenes):
    """A batch of photographs of several objects, largest first.

    Attributes
    ----------
    object_masks : Tensor, shape (N, object, 1, H, W), bool
        Pixels of which the object covers half or more.
    """

    object_masks: Tensor

    @property
    def masks(self) -> Tensor:
        """Pixels of each object, shape (N, object, 1, H, W), bool: black ones too."""
        return self.object_masks


class CocoScenes:
    """Object pairs as batches of tensors on a device.

    A data loader takes it as it is, with a batch sampler and ``batch_size=None``; its workers
    open the prepared pixels themselves.

    Parameters
    ----------
    pairs : ObjectPairs
        From `load_coco_pairs`.
    device : str or torch.device
        Where the batches are needed.

    Notes
    -----
    ``scenes[index].targets(strength)`` are what attention is to make of the photograph. The
    published ones were blended before shrinking and cut to whole numbers: these are the same to
    2/255, and to half of 1/255 on average.
    """

    def __init__(self, pairs: ObjectPairs, *, device: str | torch.device = "cpu") -> None:
        self.pairs = pairs
        self.device = torch.device(device)
        self._every = np.arange(len(pairs))

    def __len__(self) -> int:
        return len(self.pairs)

    def __getitem__(self, index: int | slice | Sequence[int] | np.ndarray) -> PhotographScenes:
        """Return the pairs at `index`, as one batch."""
        pairs, chosen = self.pairs, np.atleast_1d(self._every[index])
        image, objects, coverage = map(torch.from_numpy, pairs.pixels(chosen))
        metadata = {
            "index": torch.as_tensor(chosen),
            "image_id": torch.as_tensor(pairs.image_id[chosen]),
        }
        sides = pairs.photo_size[chosen, ::-1][:, None]
        centre = (pairs.box[chosen, :, :2] + pairs.box[chosen, :, 2:] / 2) / sides
        for place in range(pairs.n_objects):
            if pairs.classes:
                metadata[f"label_{place}"] = torch.as_tensor(pairs.labels[chosen, place])
            metadata[f"category_{place}"] = torch.as_tensor(pairs.category_id[chosen, place])
            metadata[f"annotation_{place}"] = torch.as_tensor(pairs.annotation_id[chosen, place])
            metadata[f"area_share_{place}"] = torch.as_tensor(pairs.area_share[chosen, place])
            metadata[f"x_share_{place}"] = torch.as_tensor(centre[:, place, 0])
            metadata[f"y_share_{place}"] = torch.as_tensor(centre[:, place, 1])
        return PhotographScenes(
            image=self._unit(image),
            metadata=metadata,
            objects=self._unit(objects),
            labels=torch.as_tensor(pairs.labels[chosen], device=self.device),
            object_masks=(coverage.to(self.device) >= _HALF)[:, :, None],
        )

    def _unit(self, pixels: Tensor) -> Tensor:
        """Return `pixels` (0–255) as float32 in [0, 1], on the device."""
        return torch.div(pixels.to(self.device), 255)

    def batches(self, batch_size: int, n: int | None = None) -> Iterator[PhotographScenes]:
        """Yield `n` pairs, spread evenly over the set, or all of them, in batches."""
        check_positive("batch_size", batch_size, integer=True)
        chosen = spread(len(self) if n is None else n, len(self))
        for start in range(0, len(chosen), batch_size):
            yield self[chosen[start : start + batch_size]]

    def provenance(self) -> dict[str, Any]:
        """Return what is needed to show the same pairs again."""
        return {"stimuli": "object pairs", **self.pairs.provenance()}
