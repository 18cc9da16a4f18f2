import pandas as pd
import pytest

from attnsci.errors import InvalidInput
from attnsci.papers.published import beside, read_published

FILE = """# where it is from
quantity,lag,task,kind,source,value,text
index,2,,published,NIPS,0.5,
index,2,,published,arXiv,0.7,
index,,b,note,,,other scenes
index,3,a,reference,code,1.5,1.5 (stated)
"""


@pytest.fixture
def table(tmp_path):
    path = tmp_path / "published.csv"
    path.write_text(FILE)
    return read_published(path)


def test_rows_of_the_same_quantity_and_factors_stand_beside_an_estimate(table):
    assert beside({"quantity": "index", "lag": 2, "task": "a"}, table) == {
        "published": "NIPS 0.5, arXiv 0.7"
    }
    assert beside({"quantity": "index", "lag": 2.0, "task": "b"}, table) == {
        "published": "NIPS 0.5, arXiv 0.7", "note": "other scenes",
    }  # fmt: skip
    assert beside({"quantity": "index", "lag": 3, "task": "a"}, table) == {
        "reference": "1.5 (stated)"
    }
    assert beside({"quantity": "other", "lag": 2}, table) == {}


def test_no_file_is_no_numbers_and_half_a_file_is_refused(tmp_path):
    assert isinstance(read_published(None), pd.DataFrame) and read_published(None).empty
    path = tmp_path / "published.csv"
    path.write_text("quantity,value\nq,1\n")
    with pytest.raises(InvalidInput, match="lacks the columns kind, source, text"):
        read_published(path)
