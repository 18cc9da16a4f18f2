"""What is a number in text, and what is said of what is none."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from attnsci.errors import DatasetCorrupt
from attnsci.numerals import NUMERAL, cells, fault, number, numbers, parse

ODD = ["1_0", "6_40", "١٢", "１２", "true", "True", "0x10", "1e", "--1", "1.2.3", "1,5", "1,000.5",
       "", " ", "e5", "+", "inf", "-Infinity", "nan", "1 000", "½", "²", "1d3", "None"]  # fmt: skip


@pytest.mark.parametrize("word", ODD)
def test_what_is_no_number(word):
    assert not NUMERAL.fullmatch(word)
    with pytest.raises(ValueError, match="no number"):
        number(word)
    values, bad = parse(pd.Series([word, "1"], dtype=object))
    assert bad.tolist() == [True, False] and values[1] == 1


@pytest.mark.parametrize(
    ("cell", "says"),
    [
        ("1,5", "decimal comma"),
        ("6_40", "without anything between"),
        ("1,000.5", "without anything between"),
        ("1\u202f000", "without anything between"),
        ("٣", "not 0 to 9"),
        ("３０", "not 0 to 9"),
        ("True", "a truth value"),
        (False, "a truth value"),
        ("left", "^no number$"),
    ],
)
def test_why_it_is_none(cell, says):
    import re

    assert re.search(says, fault(cell))


def test_truth_values_among_numbers_and_missing_ones():
    values, bad = parse(pd.Series([1, True, None, 2.5, np.bool_(False), np.nan], dtype=object))
    assert bad.tolist() == [False, True, False, False, True, False]
    assert values[[0, 3]].tolist() == [1, 2.5] and np.isnan(values[[2, 5]]).all()
    assert parse(pd.Series([True, False]))[1].all()


def test_too_large_a_number_is_infinite_and_a_number():
    values, bad = parse(pd.Series(["1e999", "-1e999", "9" * 400], dtype=object))
    assert np.isinf(values).all() and not bad.any()


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_every_number_that_python_writes_is_read(value):
    assert number(repr(value)) == value == numbers([repr(value)], str)[0]


def test_cells_know_their_lines(tmp_path):
    found, place = cells(["1 2", "", "3\tx"], 2, tmp_path / "a", "x y", first=2)
    assert found == ["1", "2", "3", "x"]
    with pytest.raises(DatasetCorrupt, match=r"a, line 4: cell 2 is 'x', no number"):
        numbers(found, place)
    with pytest.raises(DatasetCorrupt, match=r"a, line 2: 3 cells, not 'x y'"):
        cells(["", "1 2 3"], 2, tmp_path / "a", "x y")
