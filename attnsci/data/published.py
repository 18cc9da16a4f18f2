"""Published figures of biology, to stand beside a model's own number."""

import tomllib
from importlib import resources
from typing import TYPE_CHECKING

from attnsci.checks import check_option

if TYPE_CHECKING:
    import pandas as pd

TABLES = ("gain", "tuning", "inhibition", "return", "object")


def load_published(table: str | None = None) -> "pd.DataFrame":
    """Return published figures, one a row, as the abstracts of the articles give them.

    Parameters
    ----------
    table : {"gain", "tuning", "inhibition", "return", "object"}, optional
        Only the figures of one subject: gain of responses, tuning, inhibition of return over
        time, return saccades, object-based effects.

    Returns
    -------
    pandas.DataFrame
        Indexed by ``key``, with columns ``table``, ``source``, ``doi`` (empty if unknown),
        ``area``, ``quantity``, ``value`` and ``value_to`` (the end of a range) in ``unit``,
        ``n`` of ``n_of``, ``metric`` (the quantity of a model to compare), and ``ami``, the
        attentional modulation index (A - U) / (A + U) of attended and unattended responses,
        which follows from a response gain and is NaN elsewhere. A finding without a number has
        the unit ``"qualitative"`` and the value NaN.

    Raises
    ------
    InvalidInput
        If there is no such table.

    Examples
    --------
    >>> gain = load_published("gain")
    >>> gain["value"].tolist(), gain["unit"].tolist()
    ([26.0, 8.0, 12.0, 32.0, 1.51, nan], ['%', '%', '%', '%', 'ratio', 'qualitative'])
    >>> gain["ami"].dropna().round(3).tolist()
    [0.115, 0.038, 0.057, 0.138]
    """
    import pandas as pd

    text = resources.files("attnsci.data").joinpath("published.toml").read_text("utf-8")
    columns = {
        **dict.fromkeys(("key", "table", "source", "doi", "area", "quantity"), "string"),
        "value": "float64",
        "value_to": "float64",
        "unit": "string",
        "n": "Int64",
        "n_of": "string",
        "metric": "string",
    }
    figures = pd.DataFrame(tomllib.loads(text)["figure"], columns=list(columns)).astype(columns)
    figures = figures.fillna({"doi": "", "n_of": ""}).set_index("key")
    gain = 1 + figures["value"].where(figures["metric"] == "response gain") / 100
    figures["ami"] = (gain - 1) / (gain + 1)
    if table is None:
        return figures
    return figures[figures["table"] == check_option("table", table, TABLES)]
