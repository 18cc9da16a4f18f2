"""Long tables: names, units, separators, and errors that name the row."""

import gzip

import numpy as np
import pandas as pd
import pytest

from attnsci.errors import DatasetCorrupt, InvalidInput
from attnsci.gaze import from_arrays, viewing_of
from attnsci.geometry import Viewing
from attnsci.scanpaths.formats.io import read_scanpaths, write_scanpaths

VIEWING = Viewing(800, 600)
PLAIN = "image,observer,fixation,x,y,duration_ms\n001,7,0,1.5,2.5,246\n001,7,1,3.5,4.5,136\n"


def read(tmp_path, text, name="a.csv", **options):
    (tmp_path / name).write_bytes(text.encode() if isinstance(text, str) else text)
    return read_scanpaths(tmp_path / name, options.pop("viewing", VIEWING), **options)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.csv", PLAIN),
        ("a.tsv", PLAIN.replace(",", "\t")),
        ("a.csv", PLAIN.replace(",", ";")),
        ("a.csv", "\ufeff" + PLAIN),
        ("a.csv", PLAIN.replace("\n", "\r\n")),
        ("a.csv.gz", gzip.compress(PLAIN.encode(), mtime=0)),
    ],
)
def test_every_kind_of_text_gives_the_same(tmp_path, name, text):
    found = read(tmp_path, text, name)
    assert found["image"].item() == "001" and found["observer"].item() == "7"
    assert found["x"].to_numpy().tolist() == [[1.5, 3.5]]
    assert found["duration"].to_numpy().tolist() == [[0.246, 0.136]]


def test_another_laboratory_s_names_and_units(tmp_path):
    text = "IMG\tRECORDING\tINDEX\tFIX_X\tFIX_Y\tFIX_DUR\tNOTE\na.jpg\tp1\t1\t10\t20\t250\tx\n"
    columns = {
        "image": "IMG",
        "observer": "RECORDING",
        "fixation": "INDEX",
        "x": "FIX_X",
        "y": "FIX_Y",
        "duration": "FIX_DUR",
    }
    found = read(tmp_path, text, "a.tsv", columns=columns, duration_unit="ms")
    assert found["duration"].item() == 0.25 and found["observer"].item() == "p1"
    with pytest.raises(InvalidInput, match=r"lacks the column\(s\) image, observer.*columns="):
        read(tmp_path, text, "a.tsv")
    with pytest.raises(InvalidInput, match="No column is called 'IMAGE'"):
        read(tmp_path, text, "a.tsv", columns={**columns, "image": "IMAGE"})


def test_names_that_pandas_takes_for_missing_are_names(tmp_path):
    found = read(tmp_path, "image,observer,fixation,x,y\nNA,None,0,1,2\nnan,007,0,1,2\n")
    assert found["image"].to_numpy().tolist() == ["NA", "nan"]
    assert found["observer"].to_numpy().tolist() == ["None", "007"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (PLAIN + "001,7,3,1,1,100\n", r"Row 2 .*fixation 3 of observer '7' on image '001'"),
        (PLAIN + "001,7,1,1,1,100\n", r"Row 2 .*comes twice"),
        (PLAIN + "001,8,0,far,1,100\n", r"a\.csv, line 4: x = 'far', which is no number; 1 such"),
        (PLAIN + "001,8,0,,1,100\n", r"Row 2 .*x = nan"),
        (PLAIN + "001,8,0,inf,1,100\n", r"Row 2 .*x = .*inf"),
        (PLAIN + ",8,0,1,1,100\n", r"Row 2 has no image"),
        (PLAIN + "001,8,0,1,1,-100\n", r"observer '8' on image '001' has a negative"),
        (PLAIN.replace("duration_ms", "x"), r"Two columns of .* are called 'x'"),
        ("image,observer,fixation,x,y\n", r"no rows"),
        ("image,observer,fixation,x,y\na,b,0,1,2,3\n", r"more cells than its first line"),
    ],
)
def test_errors_name_the_row(tmp_path, text, message):
    with pytest.raises(InvalidInput, match=message):
        read(tmp_path, text)


def test_a_truncated_gzip_is_corrupt(tmp_path):
    whole = gzip.compress(PLAIN.encode() * 50)
    with pytest.raises(DatasetCorrupt, match=r"a\.csv\.gz cannot be read.*Is it whole"):
        read(tmp_path, whole[: len(whole) // 2], "a.csv.gz", format="table")


def test_the_table_s_own_frame_stands_for_the_geometry(tmp_path):
    text = "image,observer,fixation,x,y,width_px,height_px\na,1,0,1,2,80,60\nb,1,0,1,2,40,70\n"
    found = read(tmp_path, text, viewing=None)
    assert found["width_px"].to_numpy().tolist() == [80, 40]
    assert (viewing_of(found).width_px, viewing_of(found).height_px) == (80, 70)


def test_optional_columns_come_back(tmp_path):
    paths = from_arrays(
        [[1, 2], [3]], [[1, 2], [3]], [[0.1, 0.2], [0.3]], image=["a", "a"], observer="1",
        viewing=VIEWING, task=["mug", ""], sample=["0", "1"],
        width_px=[80, 80], height_px=[60, 60],
    )  # fmt: skip
    write_scanpaths(paths, tmp_path / "a.csv")
    back = read_scanpaths(tmp_path / "a.csv", VIEWING)
    assert back.drop_attrs().equals(paths.drop_attrs())
    header = (tmp_path / "a.csv").read_text().splitlines()[0]
    assert header == "image,observer,task,sample,width_px,height_px,fixation,x,y,duration"


def test_empty_scanpaths_have_no_row_and_that_is_said(tmp_path):
    paths = from_arrays([[1], []], [[1], []], image=["a", "b"], observer="1", viewing=VIEWING)
    with pytest.warns(UserWarning, match="1 scanpaths without fixations"):
        write_scanpaths(paths, tmp_path / "a.csv")
    assert read_scanpaths(tmp_path / "a.csv", VIEWING).sizes["scanpath"] == 1


def test_parquet_of_numbers_as_names(tmp_path):
    frame = pd.DataFrame(
        {"image": [1001, 1001], "observer": 1, "fixation": [0, 1], "x": [1.0, 2], "y": [3.0, 4]}
    )
    frame.to_parquet(tmp_path / "a.parquet")
    found = read_scanpaths(tmp_path / "a.parquet", VIEWING)
    assert found["image"].item() == "1001" and np.isnan(found["duration"].to_numpy()).all()
