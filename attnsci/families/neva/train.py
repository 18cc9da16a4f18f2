"""What ``attnsci scanpath train`` does: a policy learns to look at a user's photographs."""

from typing import TYPE_CHECKING

from attnsci.data.images import read_images
from attnsci.errors import InvalidInput
from attnsci.families.neva.dncnn_objective import part_of
from attnsci.families.neva.efficientnet_lite import load_efficientnet_lite
from attnsci.families.neva.folding import folded
from attnsci.families.neva.objective import NeVAObjective
from attnsci.families.neva.photographs import Photographs
from attnsci.families.neva.stimuli import fovea_for
from attnsci.families.neva.tasks import Classification, Reconstruction, Task
from attnsci.families.zoo import load_model
from attnsci.training.trainer import Trainer

if TYPE_CHECKING:
    from attnsci.families.neva.commands import ScanpathTrain


def run_train(asked: "ScanpathTrain") -> str:
    """Train as the command asks; return what to tell the user."""
    height, width = asked.training.policy.size
    if height != width:
        raise InvalidInput(f"Photographs are cut square; --size is {height} {width}.")
    photographs = list(read_images(asked.images))
    parts = {
        name: [photo for photo in photographs if part_of(photo.name) == name]
        for name in ("train", "validation")
    }
    for name, chosen in parts.items():
        if not chosen:
            raise InvalidInput(
                f"None of the {len(photographs)} photographs is for {name}: the name of a file "
                "decides (7 of 10 train, some validate, the rest is left for a test). Give more."
            )
    pictures = {
        name: Photographs(chosen, height, seed=asked.training.seed, data={"part": name})
        for name, chosen in parts.items()
    }
    task: Task
    if asked.task == "classification":
        task = Classification(folded(load_efficientnet_lite("lite0")))
    else:
        task = Reconstruction(load_model("dncnn-foveated").model)
    objective = NeVAObjective(
        asked.training, task, pictures["train"], pictures["validation"],
        fovea_for(height, asked.retention),
    )  # fmt: skip
    table = Trainer(objective, asked.out, asked.trainer).fit()
    last = table[table["split"] == "validation"].iloc[-1]
    return (
        f"Loss over fixations {last['loss']:.3f} on {int(last['n'])} held-out photographs (centre "
        f"{last['loss_centre']:.3f}, random {last['loss_random']:.3f}).\n"
        f"Weights: {asked.out / 'best.safetensors'}"
    )
