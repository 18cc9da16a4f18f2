"""What ``attnsci train ram`` does."""

from typing import TYPE_CHECKING, Any

import pandas as pd
from matplotlib.figure import Figure

from attnsci.devices import pick_device
from attnsci.papers.output import save_figure
from attnsci.plotting.style import PAGE_MM, figure, style
from attnsci.training.ram import RAMObjective
from attnsci.training.ram_configs import trainer_config
from attnsci.training.trainer import Trainer

if TYPE_CHECKING:
    from attnsci.papers.ram.commands import Train


def run_train(asked: "Train") -> str:
    """Train as the command asks; return what to tell the user."""
    pick_device(asked.device)
    settings = {
        "max_steps": asked.max_steps, "device": asked.device, "devices": asked.devices,
        "save_every": asked.save_every, "snapshot_every": asked.snapshot_every,
    }  # fmt: skip
    if asked.precision != "auto":
        settings["precision"] = asked.precision
    trainer = Trainer(
        RAMObjective(asked.training), asked.folder, trainer_config(asked.training, **settings)
    )
    table = trainer.fit()
    with style():
        save_figure(draw_training(table), asked.folder / "training")
    last = table[table["split"] == "validation"].iloc[-1]
    return (
        f"Validation error {100 * (1 - last['accuracy']):.2f} % ({int(last['n'])} digits), "
        f"{last['saturated']:.0%} of the mean locations at the edge.\n"
        f"Weights: {asked.folder / 'best.safetensors'}"
    )


def draw_training(table: pd.DataFrame) -> Figure:
    """Draw a run: loss, error, expected beside actual reward, locations at the edge.

    Parameters
    ----------
    table : pandas.DataFrame
        Of `Trainer.fit`.
    """
    means = table[table["split"] == "train"].groupby("epoch").mean(numeric_only=True)
    validated = table[table["split"] == "validation"].set_index("epoch")
    drawn = figure(PAGE_MM, 45)
    loss, error, reward, edge = drawn.subplots(1, 4)
    dots: dict[str, Any] = {"marker": "o" if len(means) < 20 else None, "ms": 2}
    loss.plot(means.index + 1, means["cross_entropy"], **dots)
    loss.set(title="cross-entropy, last glimpse", ylabel="nats", ylim=(0, None))
    for values, label in ((means, "training, sampled"), (validated, "validation, mean policy")):
        error.plot(values.index + 1, 100 * (1 - values["accuracy"]), label=label, **dots)
    error.set(title="error", ylabel="%", yscale="log")
    for name in ("reward", "value"):
        label = {"reward": "came", "value": "expected"}[name]
        reward.plot(means.index + 1, means[name], label=label, **dots)
    reward.set(title="reward", ylim=(0, 1))
    edge.plot(means.index + 1, means["saturated"], **dots)
    edge.set(title="mean locations at the edge", ylabel="share", ylim=(0, 1))
    for ax in (loss, error, reward, edge):
        ax.set_xlabel("epoch")
    error.legend()
    reward.legend()
    return drawn
