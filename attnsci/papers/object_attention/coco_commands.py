"""``attnsci train object-attention-coco``: a frozen dataclass whose fields are flags."""

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import tyro

from attnsci.provenance import stable_hash
from attnsci.training.coco_configs import CocoTraining
from attnsci.training.configs import Device, Precision

if TYPE_CHECKING:
    from attnsci.data.coco_pairs import ObjectPairs

Preset = Literal["coco", "coco-small"]


@dataclasses.dataclass(frozen=True)
class TrainCoco:
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
    out: Path | None = None
    """The run's folder; by default runs/PRESET-HASH, named after the settings."""
    max_steps: int | None = None
    """Stop after so many batches, in the middle of an epoch if need be."""
    device: Device = "auto"
    """Where to compute; auto takes an accelerator if there is one."""
    devices: int = 1
    """Processes, one a device; the batch is shared among them."""
    precision: Precision | Literal["auto"] = "auto"
    """Number format; auto is bfloat16 where the device computes in it."""

    @property
    def folder(self) -> Path:
        """Where the run stands."""
        named = Path("runs") / f"{self.preset}-{stable_hash(self.training)}"
        return named if self.out is None else self.out

    def run(self) -> None:
        """Train to the end and print what came out."""
        from attnsci.devices import pick_device
        from attnsci.training.coco import CocoObjective
        from attnsci.training.coco_configs import trainer_config
        from attnsci.training.trainer import Trainer

        pick_device(self.device)
        settings: dict[str, Any] = {
            name: getattr(self, name) for name in ("max_steps", "device", "devices")
        }
        if self.precision != "auto":
            settings["precision"] = self.precision
        objective = CocoObjective(
            self.training,
            load_split(self.training, self.images, self.annotations, "train"),
            load_split(self.training, self.images, self.annotations, "val"),
        )
        trainer = Trainer(objective, self.folder, trainer_config(self.training, **settings))
        try:
            table = trainer.fit()
        except KeyboardInterrupt:
            raise KeyboardInterrupt(
                f"stopped; the same command goes on from what is saved in {self.folder}"
            ) from None
        validated = table[table["split"] == "validation"]
        best = validated.loc[validated["balanced_accuracy"].idxmax()]
        print(
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
