import numpy as np
import pandas as pd
import pytest
import xarray as xr

from attnsci.errors import InvalidInput
from attnsci.experiments.outcome import (
    COLUMNS,
    Outcome,
    cells,
    percent_wrong,
    row,
    tabled,
    together,
    word,
)
from attnsci.statistics.significance import wilson


def test_a_row_is_a_quantity_with_its_interval_n_and_factors():
    share = wilson(3, 4)
    outcome = tabled([row("accuracy", share, "digits", network="a", lag=2)])
    assert set(COLUMNS) <= set(outcome.estimates)
    (line,) = outcome.estimates.to_dict("records")
    assert (line["estimate"], line["n"], line["n_of"], line["lag"]) == (0.75, 4, "digits", 2)
    wrong = percent_wrong(share)
    assert (wrong.estimate, wrong.n) == (25, 4)
    assert wrong.low == pytest.approx(100 * (1 - share.high))
    assert wrong.high == pytest.approx(100 * (1 - share.low))


def test_cells_are_factors_and_outcomes_come_together():
    values = ("lag", [0.1, 0.2])
    dataset = xr.Dataset(
        {"index": values, "low": values, "high": values, "n": 7}, coords={"lag": [1, 2]}
    )
    table = cells("index", dataset, "index", "images", task="t")
    assert table["lag"].tolist() == [1, 2] and table["n"].tolist() == [7, 7]
    assert set(table["task"]) == {"t"} and table["estimate"].tolist() == [0.1, 0.2]
    one = Outcome(table, {"returns": dataset})
    both = together({"a": one, "b": one}, "network")
    assert list(both.data) == ["returns-a", "returns-b"]
    assert both.at(network="b", lag=2)["estimate"].item() == 0.2
    assert len(both.at(lag=[1, 2])) == 4
    with pytest.raises(InvalidInput, match="no factor 'speed'"):
        both.at(speed=1)


def test_a_table_that_lacks_a_column_is_no_outcome():
    with pytest.raises(InvalidInput, match="n_of"):
        Outcome(pd.DataFrame([{"quantity": "q", "estimate": 1, "low": 0, "high": 2, "n": 3}]))
    assert len(Outcome(pd.DataFrame()).estimates) == 0


def test_a_missing_word_is_named():
    responses = xr.Dataset({"logits": ("stimulus", np.zeros(2))}, {"label": ("stimulus", [0, 1])})
    assert word(responses, "label").values.tolist() == [0, 1]
    with pytest.raises(InvalidInput, match="needs 'location' of every stimulus"):
        word(responses, "location")
