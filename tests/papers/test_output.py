"""What a paper leaves behind: files that read back the same, and nothing lost when a disk fills."""

import errno
import json
import shutil
import warnings
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
import xarray as xr
from PIL import Image

from attnsci.errors import RecordingError, StorageError
from attnsci.papers.output import Result, save_results, save_table
from attnsci.plotting.save import save_figure
from attnsci.plotting.style import style
from attnsci.recording.datasets import open_dataset, save_dataset


def labelled():
    return xr.Dataset(
        {
            "gate": (("stimulus", "attention"), np.arange(6.0).reshape(3, 2) / 7),
            "inhibited": (("stimulus",), np.array([True, False, True])),
            "named": (("attention",), np.array(["Φ", "unattended ×"])),
        },
        coords={
            "attention": ["attended", "unattended"],
            "stimulus": np.arange(3),
            "digit": ("stimulus", np.array(["eins", "zwei", ""], dtype=object)),
        },
    )


def test_a_dataset_reads_back_the_same_strings_included(tmp_path):
    dataset = labelled()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        path = save_dataset(dataset, tmp_path / "new" / "scenes.zarr", {"seed": 3})
        read = open_dataset(path)
    assert path == tmp_path / "new" / "scenes.zarr"
    xr.testing.assert_equal(read, dataset)
    assert [str(name) for name in read["attention"].values] == ["attended", "unattended"]
    assert read["gate"].sel(attention="unattended").values.tolist() == [1 / 7, 3 / 7, 5 / 7]
    assert set(read.data_vars) == set(dataset.data_vars), "a variable stays a variable"
    assert "provenance" not in dataset.attrs, "the caller's dataset is left alone"


def test_a_dataset_says_where_it_comes_from(tmp_path):
    facts = {"seed": 3, "scale": {"name": "quick"}, "weights": Path("a/b.safetensors")}
    path = save_dataset(labelled(), tmp_path / "scenes.zarr", facts)
    told = json.loads(open_dataset(path).attrs["provenance"])
    assert told["seed"] == 3
    assert told["scale"]["name"] == "quick"
    assert told["weights"] == "a/b.safetensors"
    assert {"versions", "commit", "date", "command"} <= set(told)


def test_saving_again_replaces_the_whole_store(tmp_path):
    path = save_dataset(labelled(), tmp_path / "scenes.zarr", {})
    save_dataset(labelled()[["gate"]].isel(stimulus=[0]), path, {})
    read = open_dataset(path)
    assert list(read.data_vars) == ["gate"]
    assert read.sizes["stimulus"] == 1
    assert list(tmp_path.iterdir()) == [path]


def test_an_absent_store_is_no_recording(tmp_path):
    with pytest.raises(RecordingError, match=r"nowhere\.zarr is no complete recording"):
        open_dataset(tmp_path / "nowhere.zarr")


def cut(file):
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])


DAMAGES = {
    "chunk cut": lambda store: cut(store / "gate" / "c" / "0" / "0"),
    "text cut": lambda store: cut(store / "digit" / "c" / "0"),
    "chunk lost": lambda store: (store / "gate" / "c" / "0" / "0").unlink(),
    "coordinate lost": lambda store: shutil.rmtree(store / "stimulus" / "c"),
    "description cut": lambda store: cut(store / "gate" / "zarr.json"),
    "description lost": lambda store: (store / "gate" / "zarr.json").unlink(),
    "root lost": lambda store: (store / "zarr.json").unlink(),
    "empty": lambda store: (shutil.rmtree(store), store.mkdir()),
    "a file": lambda store: (shutil.rmtree(store), store.write_text("no store")),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_store_is_a_recording_error_never_a_silent_fill(tmp_path, damage):
    path = save_dataset(labelled(), tmp_path / "scenes.zarr", {})
    DAMAGES[damage](path)
    with pytest.raises(RecordingError, match="no complete recording"):
        open_dataset(path)


def test_a_flipped_bit_is_a_recording_error(tmp_path):
    path = save_dataset(labelled(), tmp_path / "scenes.zarr", {})
    chunk = path / "gate" / "c" / "0" / "0"
    content = bytearray(chunk.read_bytes())
    content[len(content) // 2] ^= 1
    chunk.write_bytes(content)
    with pytest.raises(RecordingError, match="no complete recording"):
        open_dataset(path)


def test_numbers_that_are_all_missing_or_zero_are_no_damage(tmp_path):
    blank = xr.Dataset({"gate": ("stimulus", [np.nan, np.nan]), "n": ("stimulus", [0, 0])})
    read = open_dataset(save_dataset(blank, tmp_path / "blank.zarr", {}))
    xr.testing.assert_equal(read, blank)


def full_disk(*args, **kwargs):
    raise OSError(errno.ENOSPC, "No space left on device")


def test_a_full_disk_keeps_the_old_recording(tmp_path, monkeypatch):
    path = save_dataset(labelled(), tmp_path / "scenes.zarr", {"seed": 1})
    monkeypatch.setattr(xr.Dataset, "to_zarr", full_disk)
    with pytest.raises(StorageError, match=r"scenes\.zarr.*No space left.*untouched"):
        save_dataset(labelled()[["gate"]], path, {"seed": 2})
    monkeypatch.undo()
    xr.testing.assert_equal(open_dataset(path), labelled())
    assert list(tmp_path.iterdir()) == [path]


def test_a_full_disk_keeps_the_old_table_and_figure(tmp_path, monkeypatch):
    table = pd.DataFrame({"a": [1.5, 2.5]})
    path = save_table(table, tmp_path / "table.csv")
    old = path.read_bytes()
    monkeypatch.setattr(pd.DataFrame, "to_csv", full_disk)
    with pytest.raises(StorageError, match="No space left"):
        save_table(table * 2, path)
    assert path.read_bytes() == old
    drawn = plt.figure()
    (tmp_path / "drawing.svg").write_text("old")
    monkeypatch.setattr(type(drawn), "savefig", full_disk)
    with pytest.raises(StorageError, match="No space left"):
        save_figure(drawn, tmp_path / "drawing")
    plt.close(drawn)
    assert (tmp_path / "drawing.svg").read_text() == "old"
    assert {each.name for each in tmp_path.iterdir()} == {"table.csv", "drawing.svg"}


def drawing():
    with style():
        figure, ax = plt.subplots(figsize=(2, 1))
        ax.plot([0, 1, 2], [0, 1, 4], label="Φ")
        ax.fill_between([0, 1], [0, 0], [1, 1], alpha=0.2)
        ax.legend()
    return figure


def test_a_figure_is_written_twice_byte_for_byte_and_closed(tmp_path):
    contents = []
    for folder in ("one", "two"):
        figure = drawing()
        with style():
            written = save_figure(figure, tmp_path / folder / "gain")
        assert [path.name for path in written] == ["gain.svg", "gain.png"]
        assert not plt.fignum_exists(figure.number)
        contents.append([path.read_bytes() for path in written])
    assert contents[0] == contents[1]
    assert b"Matplotlib v" not in contents[0][0], "the version would make it another file"
    ElementTree.fromstring(contents[0][0])
    with Image.open(tmp_path / "one" / "gain.png") as image:
        assert image.size == (400, 200)


def test_a_dot_in_a_figures_name_is_kept(tmp_path):
    figure = drawing()
    written = save_figure(figure, tmp_path / "gain-0.2")
    assert [path.name for path in written] == ["gain-0.2.svg", "gain-0.2.png"]


ROWS = [
    Result("accuracy", ".976", ".9804", 0.9775, 0.97, 0.985, 1000),
    Result("accuracy, 2 steps", "", "", 0.5, n=200, note="change −0.477"),
    Result("accuracy at Φ = 10", ".880", "", 0.88123456, 0.86, 0.9, 5, "networks"),
    Result("gain", "", "1.222", float("nan"), note="no unit is active"),
]


def test_results_as_markdown_and_csv(tmp_path):
    written = save_results(ROWS, tmp_path / "results.md", "Title", "Scale: quick.")
    assert [path.name for path in written] == ["results.md", "results.csv"]
    lines = written[0].read_text(encoding="utf-8").splitlines()
    assert lines[:4] == ["# Title", "", "Scale: quick.", ""]
    assert lines[6:] == [
        "| accuracy | .976 | .9804 | 0.9775 | 1,000 scenes, [0.97, 0.985] |  |",
        "| accuracy, 2 steps | – | – | 0.5 | 200 scenes | change −0.477 |",
        "| accuracy at Φ = 10 | .880 | – | 0.8812 | 5 networks, [0.86, 0.9] |  |",
        "| gain | – | 1.222 | – |  | no unit is active |",
    ]
    assert len({line.count("|") for line in lines[4:]}) == 1
    table = pd.read_csv(written[1])
    assert table["quantity"].tolist() == [row.quantity for row in ROWS]
    np.testing.assert_array_equal(table["ours"], [row.ours for row in ROWS])
    np.testing.assert_array_equal(table["low"], [row.low for row in ROWS])
    assert table["n"].tolist() == [1000, 200, 5, 0]
