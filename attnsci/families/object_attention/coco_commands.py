"""Flags of ``attnsci train object-attention-coco``: photographs of two objects."""

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Any

from attnsci.training.command import TrainingRun

if TYPE_CHECKING:
    from attnsci.data.coco_pairs import ObjectPairs


@dataclasses.dataclass(frozen=True, kw_only=True)
class OnPhotographs(TrainingRun):
    """Train a network on photographs of two objects. The same command again resumes."""

    images: Path
    """Folder of the photographs."""
    annotations: Path
    """File of COCO's format, with masks; 70 % of its photographs are learnt from."""

    def objective(self) -> Any:
        """Return what learns, from two parts of the photographs."""
        return type(self).learner()(
            self.training,
            load_split(self.training, self.images, self.annotations, "train"),
            load_split(self.training, self.images, self.annotations, "val"),
        )


def load_split(training: Any, images: Path, annotations: Path, split: str | None) -> "ObjectPairs":
    """Return the pairs of a split by the recipe's rule; all of them for None."""
    from attnsci.data.coco import load_coco_pairs

    return load_coco_pairs(
        images, annotations, min_area=training.min_area, size=training.size, split=split
    )
