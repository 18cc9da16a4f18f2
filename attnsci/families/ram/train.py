"""What ``attnsci train ram`` does."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pandas as pd
from matplotlib.figure import Figure

from attnsci.devices import pick_device
from attnsci.families.ram.catch_objective import CatchObjective
from attnsci.families.ram.catch_recipes import CatchTraining
from attnsci.families.ram.dram_objective import DRAMObjective
from attnsci.families.ram.dram_recipes import DRAMTraining
from attnsci.families.ram.objective import RAMObjective
from attnsci.families.ram.recipes import RAMTraining, trainer_config
from attnsci.papers.output import save_figure
from attnsci.plotting.style import PAGE_MM, figure, style
from attnsci.training.trainer import Objective, Trainer

if TYPE_CHECKING:
    from attnsci.families.ram.commands import Run


OBJECTIVES: dict[type, Callable[[Any], Objective]] = {
    RAMTraining: RAMObjective,
    DRAMTraining: DRAMObjective,
    CatchTraining: CatchObjective,
}


def run_train(asked: "Run") -> str:
    """Train as the command asks; return what to tell the user."""
    pick_device(asked.device)
    objective = OBJECTIVES[type(asked.training)](asked.training)
    trainer = Trainer(
        objective, asked.folder, trainer_config(asked.training, **asked.trainer_settings)
    )
    table = trainer.fit()
    with style():
        save_figure(draw_training(table, objective.score), asked.folder / "training")
    last = table[table["split"] == "validation"].iloc[-1]
    name = objective.score.replace("_", " ")
    return (
        f"Validation: {name} {last[objective.score]:.4f} (n = {int(last['n'])}).\n"
        f"Weights: {asked.folder / 'best.safetensors'}"
    )


def draw_training(table: pd.DataFrame, score: str) -> Figure:
    """Draw a run: loss, score, expected beside actual reward, locations at the edge.

    Parameters
    ----------
    table : pandas.DataFrame
        Of `Trainer.fit`.
    score : str
        The column that tells how good it is, a share.
    """
    means = table[table["split"] == "train"].groupby("epoch").mean(numeric_only=True)
    validated = table[table["split"] == "validation"].set_index("epoch")
    panels = ["loss", "wrong", "reward", *(["saturated"] if "saturated" in means else [])]
    drawn = figure(PAGE_MM, 45)
    axes = dict(zip(panels, drawn.subplots(1, len(panels)), strict=True))
    dots: dict[str, Any] = {"marker": "o" if len(means) < 20 else None, "ms": 2}
    axes["loss"].plot(means.index + 1, means["loss"], **dots)
    axes["loss"].set(title="loss", ylabel="nats")
    for values, label in ((means, "training, sampled"), (validated, "validation, mean policy")):
        wrong = 100 * (1 - values[score])
        axes["wrong"].plot(values.index + 1, wrong, label=label, **dots)
    axes["wrong"].set(title=f"100 − {score.replace('_', ' ')}", ylabel="%", yscale="log")
    for name, label in (("reward", "came"), ("value", "expected")):
        axes["reward"].plot(means.index + 1, means[name], label=label, **dots)
    axes["reward"].set(title="reward", ylim=(0, None))
    if "saturated" in axes:
        axes["saturated"].plot(means.index + 1, means["saturated"], **dots)
        axes["saturated"].set(title="mean locations at the edge", ylabel="share", ylim=(0, 1))
    for ax in axes.values():
        ax.set_xlabel("epoch")
    axes["wrong"].legend()
    axes["reward"].legend()
    return drawn
