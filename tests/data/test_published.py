"""Our table of published figures: sources, units, and the index that follows from a gain."""

import csv
import re

import numpy as np
import pytest

from attnsci.data.published import TABLES, load_published
from attnsci.errors import InvalidInput


def test_every_row_has_a_source_and_a_unit():
    table = load_published()
    assert table.index.is_unique and len(table) == 28
    for column in ("source", "unit", "quantity", "area", "metric", "table"):
        assert (table[column].str.len() > 0).all(), column
    assert table["source"].str.contains(r"(?:19|20)\d\d").all()
    assert set(table["unit"]) == {"%", "ratio", "ms", "items", "qualitative"}


def test_a_value_is_missing_exactly_where_there_is_none():
    table = load_published()
    assert (table["value"].isna() == (table["unit"] == "qualitative")).all()
    ranges = table[table["value_to"].notna()]
    assert (ranges["value_to"] > ranges["value"]).all() and len(ranges) == 3
    assert (table["n"].notna() == (table["n_of"] != "")).all()


def test_modulation_index_follows_from_the_gain():
    ami = load_published()["ami"].dropna()
    expected = {
        "mcadams_v4_gain": 0.115,
        "mcadams_v1_gain": 0.038,
        "martinez_mt_gain": 0.057,
        "patzwahl_mt_gain": 0.138,
    }
    assert ami.round(3).to_dict() == expected


def test_tables_part_the_rows():
    parts = [load_published(name) for name in TABLES]
    assert sum(map(len, parts)) == len(load_published())
    assert min(map(len, parts)) >= 2
    inhibition = load_published("inhibition")
    assert inhibition.loc["samuel_ior_stable", ["value", "value_to"]].tolist() == [300, 1600]
    with pytest.raises(InvalidInput, match="'gain', 'tuning'"):
        load_published("gains")


def test_unconfirmed_figures_are_absent():
    table = load_published()
    numbers = table["value"].dropna().tolist()
    assert not {22.0, 1.22, 10.0, 13.0} & set(numbers)


@pytest.mark.data
def test_every_row_comes_from_a_confirmed_one(data_root):
    with (data_root / "published/published_figures.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    confirmed = [row for row in rows if row["verified"] == "abstract"]
    known = {row["doi"] for row in confirmed if row["doi"]}
    table = load_published()
    assert set(table["doi"]) - {""} == known
    # Rows without a DOI: the first author and the year must be those of a confirmed row.
    for source in table.loc[table["doi"] == "", "source"]:
        author, year = re.search(r"(\w+).*((?:19|20)\d\d)", source).groups()
        assert any(author in row["source"] and year in row["source"] for row in confirmed), source


def test_columns_have_their_types():
    table = load_published()
    assert table["value"].dtype == np.float64 and str(table["n"].dtype) == "Int64"
