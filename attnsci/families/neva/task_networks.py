"""The tasks that come with their networks, by name."""

from attnsci.checks import check_option
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

    Raises
    ------
    InvalidInput
        If it is another task, whose networks are not ours.
    """
    check_option("task", name, ("classification", "reconstruction"))
    if name == "classification":
        return Classification(folded(load_efficientnet_lite("lite0")))
    return Reconstruction(load_model("dncnn-foveated").model)
