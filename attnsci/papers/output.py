"""What a paper leaves behind: its numbers, and the table of results."""

import dataclasses
import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from attnsci.files import atomic_path


@dataclasses.dataclass(frozen=True)
class Result:
    """One row of the table of results.

    Attributes
    ----------
    quantity : str
        What was measured.
    published, reference_code : str
        The number in the paper, and what the published code gives when it is run; empty if there
        is none.
    ours : float
        Our number, with the ends of its interval.
    low, high : float
        NaN where an interval makes no sense.
    n : int
        Independent units behind our number.
    unit : str
        What n counts.
    note : str
        Why ours differs, if it does.
    """

    quantity: str
    published: str
    reference_code: str
    ours: float
    low: float = float("nan")
    high: float = float("nan")
    n: int = 0
    unit: str = "scenes"
    note: str = ""


def save_table(table: pd.DataFrame, path: str | os.PathLike[str]) -> Path:
    """Write `table` as CSV."""
    with atomic_path(path) as temporary:
        table.to_csv(temporary, index=False)
    return Path(path)


def save_results(
    rows: Sequence[Result], path: Path, title: str, caption: str, figures: Sequence[Path] = ()
) -> list[Path]:
    """Write the table of results as Markdown, the figures below it, and as CSV.

    Parameters
    ----------
    rows : sequence of Result
    path : Path
        Ends in ``.md``.
    title, caption : str
    figures : sequence of Path
        Pictures beside `path`.
    """
    table = pd.DataFrame([dataclasses.asdict(row) for row in rows])
    lines = [f"# {title}", "", caption, ""]
    lines += ["| quantity | published | reference code | ours | n, 95 % interval | note |"]
    lines += ["|---|---|---|---|---|---|"]
    lines += ["| " + " | ".join(result_cells(row)) + " |" for row in rows]
    for figure in figures:
        lines += ["", f"## {figure.stem.replace('-', ' ')}", "", f"![{figure.stem}]({figure.name})"]
    with atomic_path(path) as temporary:
        temporary.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return [path, save_table(table, path.with_suffix(".csv"))]


def result_cells(row: Result) -> tuple[str, ...]:
    """Return how a row reads: quantity, published, reference code, ours, n with interval, note."""
    interval = "" if np.isnan(row.low) else f", [{_short(row.low)}, {_short(row.high)}]"
    size = f"{row.n:,} {row.unit}" if row.n else ""
    published, reference = row.published or "–", row.reference_code or "–"
    return row.quantity, published, reference, _short(row.ours), size + interval, row.note


def _short(value: float) -> str:
    if np.isnan(value):
        return "–"
    return f"{value:.4g}" if abs(value) > 1e-9 else "0"
