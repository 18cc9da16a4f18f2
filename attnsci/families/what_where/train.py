"""What ``attnsci train what-where`` and ``attnsci train where`` do."""

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING

from matplotlib.figure import Figure

from attnsci.devices import pick_device
from attnsci.families.what_where.figures import draw_run
from attnsci.families.what_where.objective import NoisyDigitsObjective
from attnsci.families.what_where.recipes import PRESETS, NoisyDigitsTraining
from attnsci.families.what_where.where_objective import WhereObjective
from attnsci.families.what_where.where_recipes import WHERE, WhereTraining
from attnsci.papers.output import save_figure
from attnsci.plotting.style import style
from attnsci.reproduce import Request
from attnsci.training.configs import fast_trainer
from attnsci.training.trainer import Trainer

if TYPE_CHECKING:
    from attnsci.families.what_where.commands import Run


def objective_of(
    training: NoisyDigitsTraining | WhereTraining,
) -> NoisyDigitsObjective | WhereObjective:
    """Return the objective of a recipe."""
    if isinstance(training, WhereTraining):
        return WhereObjective(training)
    return NoisyDigitsObjective(training)


def run_train(asked: "Run") -> str:
    """Train as the command asks; return what to tell the user."""
    pick_device(asked.device)
    objective = objective_of(asked.training)
    trainer = Trainer(
        objective, asked.folder, fast_trainer(asked.training.epochs, asked.trainer_settings)
    )
    table = trainer.fit()
    with style():
        drawn: Figure = draw_run(table)
        save_figure(drawn, asked.folder / "training")
    last = table[table["split"] == "validation"].iloc[-1]
    return (
        f"Validation: accuracy {last['accuracy']:.4f} (n = {int(last['n'])}).\n"
        f"Weights: {asked.folder / 'last.safetensors'}"
    )


def train_all(folder: Path, request: Request) -> None:
    """Train every network of the paper; each resumes where it stands.

    Parameters
    ----------
    folder : Path
        Receives a folder for each network, named as the shipped weights are.
    request : Request
        Device and digits.
    """
    source = request.source or "full"
    jobs: dict[str, NoisyDigitsTraining] = {
        f"{name}-seed{seed}": dataclasses.replace(PRESETS[name], seed=seed, source=source)
        for name, seeds in (("what-28", 3), ("stn-28", 3), ("what-crop", 1), ("polo-atn-95", 1),
                            ("polo-atn-85", 1), ("conv-polo-atn-85", 1), ("atn", 1),
                            ("stn-128", 1))
        for seed in range(seeds)
    }  # fmt: skip
    jobs["what-28-noise1-seed0"] = dataclasses.replace(PRESETS["what-28"], noise=1.0, source=source)
    for name, job in jobs.items():
        settings = fast_trainer(job.epochs, {"device": request.device})
        Trainer(NoisyDigitsObjective(job), folder / name, settings).fit()
    for name, what, noise in (
        ("where-seed0", "what-crop-seed0", 0.75),
        ("where-noise1-seed0", "what-28-noise1-seed0", 1.0),
    ):
        fovea = str(folder / what / "last.safetensors")
        recipe = dataclasses.replace(WHERE, what=fovea, noise=noise, source=source)
        settings = fast_trainer(recipe.epochs, {"device": request.device})
        Trainer(WhereObjective(recipe), folder / name, settings).fit()
