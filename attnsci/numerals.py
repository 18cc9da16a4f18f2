"""Numbers that stand in text: ASCII digits, a point, an exponent, and nothing else.

Python's ``float`` takes ``1_0``, Arabic digits and ``infinity`` for numbers; in a table of
fixations they are slips of somebody's script.
"""

import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from attnsci.errors import DatasetCorrupt

if TYPE_CHECKING:
    import pandas as pd

NUMERAL = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")


THOUSANDS = re.compile(r"[0-9]{1,3}(?:[,'\u2019\u00a0\u202f ][0-9]{3})+(?:\.[0-9]*)?")


def parse(cells: "pd.Series") -> tuple[np.ndarray, np.ndarray]:
    """Return the numbers in a column of text or of mixed things, and which cells are none.

    Parameters
    ----------
    cells : pandas.Series of length N
        Missing values become NaN and are no fault.

    Returns
    -------
    values : ndarray (N,) of float
        NaN where there is no number.
    bad : ndarray (N,) of bool
        True where a cell is there and no number: text other than a numeral, or a truth value.

    Examples
    --------
    >>> import pandas as pd
    >>> parse(pd.Series(["10", "1_0", None, "1,5"]))[1].tolist()
    [False, True, False, True]
    """
    import pandas as pd

    there = cells.notna().to_numpy()
    values = pd.to_numeric(cells, errors="coerce").to_numpy(float, na_value=np.nan)
    bad = there & np.isnan(values)
    if cells.dtype.kind not in "iuf":
        # `to_numeric` takes True for 1, and "inf" for a number.
        listed = cells.tolist()
        if {bool, np.bool_} & set(map(type, listed)):
            bad |= np.array([isinstance(cell, bool | np.bool_) for cell in listed])
        odd = np.isinf(values)
        bad[odd] = [not _is_numeral(listed[row]) for row in np.flatnonzero(odd)]
    return values, bad


def numbers(cells: Sequence[str | None], place: Callable[[int], str]) -> np.ndarray:
    """Return text cells of a file as numbers.

    Parameters
    ----------
    cells : sequence of str, length N
        The text.
    place : callable
        ``place(n)`` says where cell n stands, for the message.

    Raises
    ------
    DatasetCorrupt
        If one is no number; the message says where and what is wrong with it.
    """
    import pandas as pd

    values, bad = parse(pd.Series(list(cells), dtype=object))
    if bad.any():
        first = int(np.argmax(bad))
        raise DatasetCorrupt(f"{place(first)} is {cells[first]!r}, {fault(cells[first])}.")
    return values


def cells(
    lines: Sequence[str], width: int, file: Path, wanted: str, first: int = 1
) -> tuple[list[str], Callable[[int], str]]:
    """Return the cells of lines in order, and where each stands; empty lines are passed over.

    Parameters
    ----------
    lines : sequence of str
        Cells stand apart by blanks or tabs.
    width : int
        How many cells a line must have.
    file : pathlib.Path
    wanted : str
        What the cells of a line are, for the message.
    first : int
        Number of the first line in the file.

    Raises
    ------
    DatasetCorrupt
        If a line has more or fewer cells.
    """
    rows = [(n, line.split()) for n, line in enumerate(lines, first) if line.strip()]
    for n, row in rows:
        if len(row) != width:
            raise DatasetCorrupt(f"{file}, line {n}: {len(row)} cells, not {wanted!r}.")
    numbers_of_lines = [n for n, _ in rows]
    return [cell for _, row in rows for cell in row], (
        lambda at: f"{file}, line {numbers_of_lines[at // width]}: cell {at % width + 1}"
    )


def number(cell: str) -> float:
    """Return one text as a number; raise ValueError that says what is wrong with it."""
    if not NUMERAL.fullmatch(cell):
        raise ValueError(f"{cell!r}, {fault(cell)}")
    return float(cell)


def fault(cell: object) -> str:
    """Return why a cell is no number, in the words of a message."""
    if isinstance(cell, bool | np.bool_) or str(cell).lower() in ("true", "false"):
        return "a truth value and no number"
    words = str(cell).strip()
    if re.fullmatch(r"[+-]?[0-9]+,[0-9]+", words):
        return "no number: a decimal comma? Write a point"
    if THOUSANDS.fullmatch(words) or re.fullmatch(r"[0-9_.]*_[0-9_.]*", words):
        return "no number: write its digits without anything between them"
    if any(char.isdigit() and not char.isascii() for char in words):
        return "no number: its digits are not 0 to 9"
    return "no number"


def _is_numeral(cell: object) -> bool:
    return isinstance(cell, int | float) or bool(NUMERAL.fullmatch(str(cell).strip()))
