"""One run of any objective, and the figure of how it went."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from attnsci.plotting.save import save_figure
from attnsci.plotting.style import PAGE_MM, figure, style
from attnsci.training.configs import TrainerConfig
from attnsci.training.trainer import Objective, Trainer


def train_and_draw(objective: Objective, folder: Path, settings: TrainerConfig) -> str:
    """Train to the end, draw how it went into the run's folder; return what to tell the user.

    An objective may name, beside its score, metrics to ``watch`` (titles of panels to names of
    metrics), and its ``weights``: "best" by validation, or "last".
    """
    table = Trainer(objective, folder, settings).fit()
    with style():
        drawing = draw_training(table, objective.score, getattr(objective, "watch", {}))
        save_figure(drawing, folder / "training")
    validated = table[table["split"] == "validation"]
    weights = getattr(objective, "weights", "best")
    row = validated.loc[validated[objective.score].idxmax()]
    if weights == "last":
        row = validated.iloc[-1]
    return (
        f"Validation: {_words(objective.score)} {row[objective.score]:.4f} "
        f"(n = {int(row['n'])}), {weights} of {len(validated)}.\n"
        f"Weights: {folder / f'{weights}.safetensors'}"
    )


def draw_training(
    table: pd.DataFrame, score: str, watch: Mapping[str, Sequence[str]] | None = None
) -> Figure:
    """Draw a run: loss, score and what else is watched, by epoch.

    Parameters
    ----------
    table : pandas.DataFrame
        Of `Trainer.fit`.
    score : str
        The column that tells how good it is.
    watch : mapping of str to sequence of str, optional
        Title of a panel to names of columns; what neither split has is left out.
    """
    splits = {
        "training": table[table["split"] == "train"].groupby("epoch").mean(numeric_only=True),
        "validation": table[table["split"] == "validation"].set_index("epoch"),
    }
    panels = {"loss": ["loss"], _words(score): [score]}
    for title, names in (watch or {}).items():
        present = [name for name in names if any(name in values for values in splits.values())]
        if present:
            panels[title] = present
    drawing = figure(PAGE_MM, 45)
    for ax, (title, names) in zip(
        drawing.subplots(1, len(panels), squeeze=False)[0], panels.items(), strict=True
    ):
        for split, values in splits.items():
            for name in names:
                if name in values and values[name].notna().any():
                    label = split if len(names) == 1 else f"{_words(name)}, {split}"
                    marker = "o" if len(values) < 20 else None
                    ax.plot(values.index + 1, values[name], label=label, marker=marker, ms=2)
        ax.set(title=title, xlabel="epoch")
        ax.xaxis.set_major_locator(MaxNLocator(integer=True))
        if ax.lines:
            ax.legend()
    return drawing


def _words(name: str) -> str:
    return name.replace("_", " ")
