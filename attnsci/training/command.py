"""``attnsci train NAME``: a command made from a recipe, with the flags that all of them share.

Nothing heavy is imported before a command runs, so that ``--help`` answers at once.
"""

import dataclasses
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

import tyro

from attnsci.devices import pick_device
from attnsci.interrupts import resumable
from attnsci.provenance import stable_hash
from attnsci.training.configs import Device, Precision

if TYPE_CHECKING:
    from attnsci.training.trainer import Objective


@dataclasses.dataclass(frozen=True, kw_only=True)
class TrainingRun:
    """A training run: where it stands, on what it computes, what it keeps."""

    training: Any
    """The recipe's settings."""
    preset: str
    """Recipe to start from; other flags replace single settings of it."""
    out: Path | None = None
    """The run's folder; by default one in runs/, named after preset and settings."""
    max_steps: int | None = None
    """Stop after so many batches, in the middle of an epoch if need be."""
    device: Device = "auto"
    """Where to compute; auto takes an accelerator if there is one."""
    devices: int = 1
    """Processes, one a device; the batch is shared among them."""
    precision: Precision | Literal["auto"] = "auto"
    """Number format; auto is bfloat16 where the device computes in it."""
    save_every: int = 200
    """Batches between checkpoints; one is written after each epoch in any case."""
    snapshot_every: int | None = None
    """Epochs between snapshots of the weights that are kept, epoch-0050.safetensors …"""

    recipe: ClassVar[str]
    """What follows ``attnsci train``."""
    learner: ClassVar[Callable[[], Callable[..., Any]]]
    """Returns the class of the objective, and imports it only then."""

    @property
    def folder(self) -> Path:
        """Where the run stands."""
        named = Path("runs") / f"{self.recipe}-{self.preset}-{stable_hash(self.training)}"
        return named if self.out is None else self.out

    @property
    def trainer_settings(self) -> dict[str, Any]:
        """The fields of `TrainerConfig` that the flags give."""
        names = ["max_steps", "device", "devices", "save_every", "snapshot_every"]
        if self.precision != "auto":
            names.append("precision")
        return {name: getattr(self, name) for name in names}

    def objective(self) -> "Objective":
        """Return what learns."""
        return type(self).learner()(self.training)

    def train(self) -> str:
        """Train to the end, draw how it went; return what to tell the user."""
        from attnsci.training.configs import fast_trainer
        from attnsci.training.report import train_and_draw

        settings = fast_trainer(self.training, **self.trainer_settings)
        return train_and_draw(self.objective(), self.folder, settings)

    def run(self) -> None:
        """Train to the end and say what came out."""
        pick_device(self.device)
        with resumable(self.folder):
            print(self.train())


def train_command(
    recipe: str,
    presets: Mapping[str, Any],
    learner: Callable[[], Callable[..., Any]],
    flags: type[TrainingRun] = TrainingRun,
    preset: str | None = None,
) -> Any:
    """Return the command ``attnsci train RECIPE``: the settings of a recipe as flags.

    Parameters
    ----------
    recipe : str
    presets : mapping of str to a frozen dataclass
        Settings by name, all of one class.
    learner : callable
        Returns the class of the objective; called only when training begins.
    flags : subclass of TrainingRun
        With flags of its own, where the recipe needs some.
    preset : str, optional
        Whose values are the flags' defaults; the first if there is none of that name.

    Returns
    -------
    type
        A frozen dataclass with ``run()``.
    """
    name = preset if preset is not None and preset in presets else next(iter(presets))
    settings = presets[name]
    namespace = {
        "recipe": recipe, "learner": staticmethod(learner), "__doc__": flags.__doc__,
    }  # fmt: skip
    if flags is TrainingRun:
        namespace["__doc__"] = type(settings).__doc__
    names: Any = Literal[tuple(presets)]
    return dataclasses.make_dataclass(
        f"Train{recipe.title().replace('-', '')}",
        [
            ("training", Annotated[
                type(settings), tyro.conf.arg(name=""), tyro.conf.AvoidSubcommands
            ], settings),
            ("preset", names, name),
        ],
        bases=(flags,), frozen=True, kw_only=True, namespace=namespace,
    )  # fmt: skip
