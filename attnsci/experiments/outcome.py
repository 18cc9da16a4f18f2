"""What an experiment leaves: a tidy table of estimates, and the arrays that they were made from."""

import dataclasses
from collections.abc import Iterable, Mapping
from typing import Any, Protocol

import numpy as np
import pandas as pd
import xarray as xr

from attnsci.errors import InvalidInput

COLUMNS = ("quantity", "estimate", "low", "high", "n", "n_of")
"""Of every table of estimates: what was measured, the number, the ends of its 95 % interval (NaN
where none makes sense), how many independent things it rests on and what these are. ``note`` is
free text. All other columns are factors: which network, which lag …"""


class Estimated(Protocol):
    """A number with its interval, such as `attnsci.statistics.estimates.Estimate`."""

    @property
    def estimate(self) -> float: ...  # noqa: D102
    @property
    def low(self) -> float: ...  # noqa: D102
    @property
    def high(self) -> float: ...  # noqa: D102
    @property
    def n(self) -> int: ...  # noqa: D102


@dataclasses.dataclass(frozen=True)
class Outcome:
    """What an experiment leaves.

    Attributes
    ----------
    estimates : pandas.DataFrame
        A row an estimate: `COLUMNS`, and factors.
    data : mapping of str to xarray.Dataset
        Reduced recordings behind them, by name.
    """

    estimates: pd.DataFrame
    data: Mapping[str, xr.Dataset] = dataclasses.field(default_factory=dict)

    def __post_init__(self) -> None:
        missing = [name for name in COLUMNS if name not in self.estimates]
        if len(self.estimates) and missing:
            raise InvalidInput(f"A table of estimates needs the columns {', '.join(missing)}.")

    def at(self, **factors: Any) -> pd.DataFrame:
        """Return the estimates whose factors have these values; a list means any of them.

        Raises
        ------
        InvalidInput
            If there is no such factor.
        """
        rows = np.ones(len(self.estimates), bool)
        for name, value in factors.items():
            if name not in self.estimates:
                raise InvalidInput(
                    f"There is no factor {name!r}; the table has {', '.join(self.estimates)}."
                )
            rows &= self.estimates[name].isin(value if isinstance(value, list) else [value])
        return self.estimates[rows]


@dataclasses.dataclass(frozen=True)
class Share:
    """A number with its interval, where the analysis gives no `Estimate`."""

    estimate: float
    low: float = float("nan")
    high: float = float("nan")
    n: int = 0


def row(
    quantity: str, estimate: Estimated, n_of: str = "stimuli", **factors: Any
) -> dict[str, Any]:
    """Return one estimate as a row.

    Parameters
    ----------
    quantity : str
        What was measured, with its unit: "test error (%)".
    estimate : Estimated
        The number, its interval and n.
    n_of : str
        What n counts.
    **factors
        What tells this estimate from others; ``note`` is free text.
    """
    numbers = {name: getattr(estimate, name) for name in ("estimate", "low", "high", "n")}
    return {"quantity": quantity, **factors, **numbers, "n_of": n_of}


def percent_wrong(accuracy: Estimated) -> Share:
    """Return a share of right answers as an error in per cent, interval and all."""
    return Share(
        100 * (1 - accuracy.estimate),
        100 * (1 - accuracy.high),
        100 * (1 - accuracy.low),
        accuracy.n,
    )


def cells(
    quantity: str, dataset: xr.Dataset, value: str, n_of: str = "stimuli", **factors: Any
) -> pd.DataFrame:
    """Return an estimate for each cell of a dataset, its dimensions being factors.

    Parameters
    ----------
    quantity : str
    dataset : xarray.Dataset
        With `value`, ``low``, ``high`` and ``n``.
    value : str
        The variable that holds the estimates.
    n_of : str
    **factors
        More columns.
    """
    table = dataset[[value, "low", "high", "n"]].to_dataframe().reset_index()
    table = table.rename(columns={value: "estimate"})
    return table.assign(quantity=quantity, n_of=n_of, **factors)


def tabled(rows: Iterable[Mapping[str, Any]], **data: xr.Dataset) -> Outcome:
    """Return rows of `row`, with the data behind them, as an outcome."""
    return Outcome(pd.DataFrame(list(rows)), data)


def together(outcomes: Mapping[Any, Outcome], factor: str) -> Outcome:
    """Return several outcomes as one, told apart by a factor and, for data, by its value."""
    tables = [outcome.estimates.assign(**{factor: value}) for value, outcome in outcomes.items()]
    data = {
        f"{name}-{value}": dataset
        for value, outcome in outcomes.items()
        for name, dataset in outcome.data.items()
    }
    return Outcome(pd.concat(tables, ignore_index=True), data)


def word(responses: xr.Dataset, name: str) -> xr.DataArray:
    """Return what a model answered under a name.

    Raises
    ------
    InvalidInput
        If it did not answer that.
    """
    if name not in responses and name not in responses.coords:
        raise InvalidInput(
            f"This experiment needs {name!r} of every stimulus; the model and the stimuli give "
            f"{', '.join(map(str, responses.variables))}. Let the ask return it, or the stimuli "
            "carry it."
        )
    return responses[name]
