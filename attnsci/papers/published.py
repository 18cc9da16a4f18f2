"""Published numbers beside ours: a CSV file of a family, joined by quantity and factors."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from attnsci.errors import InvalidInput

OWN = ("quantity", "kind", "source", "value", "text")
"""Columns of such a file; all others are factors, and an empty factor holds for every value.
``kind`` is published, reference or note; ``text`` stands where "source value" is not how the cell
reads."""


def read_published(path: Path | None) -> pd.DataFrame:
    """Return a file of published numbers, all text; an empty table where there is none.

    Raises
    ------
    InvalidInput
        If the file lacks one of the columns.
    """
    if path is None:
        return pd.DataFrame(columns=list(OWN), dtype=str)
    table = pd.read_csv(path, dtype=str, keep_default_na=False, comment="#")
    missing = [name for name in OWN if name not in table]
    if missing:
        raise InvalidInput(f"{path} lacks the columns {', '.join(missing)}.")
    return table


def beside(estimate: Mapping[str, Any], published: pd.DataFrame) -> dict[str, str]:
    """Return what is published on an estimate: text by kind, several versions in their order.

    Parameters
    ----------
    estimate : mapping
        Its quantity and factors.
    published : pandas.DataFrame
        Of `read_published`.

    Examples
    --------
    >>> table = pd.DataFrame([["error", "published", "NIPS", "1.12", "", "6"]],
    ...                      columns=[*OWN, "glimpses"])
    >>> beside({"quantity": "error", "glimpses": 6, "seed": 0}, table)
    {'published': 'NIPS 1.12'}
    """
    rows = published[published["quantity"] == estimate["quantity"]]
    for factor in [name for name in published if name not in OWN]:
        value = _text(estimate.get(factor, ""))
        rows = rows[(rows[factor] == "") | (rows[factor] == value)]
    texts = rows["text"].where(
        rows["text"] != "", (rows["source"] + " " + rows["value"]).str.strip()
    )
    return {str(kind): ", ".join(part) for kind, part in texts.groupby(rows["kind"], sort=False)}


def _text(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)
