"""The tasks that come with their networks, by name."""

from attnsci.families.neva.efficientnet_lite import load_efficientnet_lite
from attnsci.families.neva.folding import folded
from attnsci.families.neva.tasks import Classification, Reconstruction, Task
from attnsci.families.zoo import load_model


def task_of(name: str) -> Task:
    """Return a task with the network that serves it.

    Parameters
    ----------
    name : {"classification", "reconstruction"}
        EfficientNet-Lite0's own label, or our denoiser's picture.
    """
    if name == "classification":
        return Classification(folded(load_efficientnet_lite("lite0")))
    return Reconstruction(load_model("dncnn-foveated").model)
