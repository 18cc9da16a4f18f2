"""``attnsci train object-attention-coco``: a frozen dataclass whose fields are flags."""

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import tyro

from attnsci.families.object_attention.coco_recipes import CocoTraining
from attnsci.training.command import TrainingRun

if TYPE_CHECKING:
    from attnsci.data.coco_pairs import ObjectPairs

Preset = Literal["coco", "coco-small"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class TrainCoco(TrainingRun):
    """Train a network on photographs of two objects. The same command again resumes."""

    images: Path
    """Folder of the photographs."""
    annotations: Path
    """File of COCO's format, with masks; 70 % of its photographs are learnt from."""
    training: Annotated[CocoTraining, tyro.conf.arg(name="")] = dataclasses.field(
        default_factory=CocoTraining
    )
    preset: Preset = "coco"
    """Recipe to start from, as published or for few photographs; other flags replace parts."""

    def train(self) -> str:
        """Train to the end; return what came out."""
        from attnsci.devices import pick_device
        from attnsci.families.object_attention.coco_objective import CocoObjective
        from attnsci.families.object_attention.coco_recipes import trainer_config
        from attnsci.training.trainer import Trainer

        pick_device(self.device)
        objective = CocoObjective(
            self.training,
            load_split(self.training, self.images, self.annotations, "train"),
            load_split(self.training, self.images, self.annotations, "val"),
        )
        settings = trainer_config(self.training, **self.trainer_settings)
        table = Trainer(objective, self.folder, settings).fit()
        validated = table[table["split"] == "validation"]
        best = validated.loc[validated["balanced_accuracy"].idxmax()]
        return (
            f"Validation: balanced accuracy {best['balanced_accuracy']:.3f}, macro F1 "
            f"{best['macro_f1']:.3f} ({int(best['n'])} photographs), the best of "
            f"{len(validated)} validations.\nWeights: {self.folder / 'best.safetensors'}"
        )


def load_split(
    training: CocoTraining, images: Path, annotations: Path, split: str | None
) -> "ObjectPairs":
    """Return the pairs of a split by the recipe's rule; all of them for None."""
    from attnsci.data.coco import load_coco_pairs

    return load_coco_pairs(
        images, annotations, min_area=training.min_area, size=training.size, split=split
    )
