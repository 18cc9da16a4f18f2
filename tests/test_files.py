"""Writing: all or nothing, for files and for folders."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from attnsci.errors import DatasetNotFound, StorageError
from attnsci.files import atomic_path


def contents(folder: Path) -> dict[str, str]:
    return {
        path.relative_to(folder).as_posix(): path.read_text()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def test_a_file_appears_when_the_block_ends(tmp_path):
    target = tmp_path / "a" / "b" / "table.csv"
    with atomic_path(target) as temporary:
        temporary.write_text("1,2")
        assert temporary.suffix == ".csv"
        assert not target.exists()
    assert contents(tmp_path) == {"a/b/table.csv": "1,2"}


def test_a_failing_block_leaves_the_old_file_and_no_litter(tmp_path):
    target = tmp_path / "table.csv"
    target.write_text("old")
    with pytest.raises(ZeroDivisionError), atomic_path(target) as temporary:
        temporary.write_text("new")
        raise ZeroDivisionError
    assert contents(tmp_path) == {"table.csv": "old"}
    assert [path.name for path in tmp_path.iterdir()] == ["table.csv"]


def test_a_folder_replaces_a_folder_whole(tmp_path):
    target = tmp_path / "store.zarr"
    for generation in ("one", "two"):
        with atomic_path(target) as temporary:
            temporary.mkdir()
            (temporary / generation).write_text(generation)
    assert contents(tmp_path) == {"store.zarr/two": "two"}


def test_a_folder_whose_swap_fails_comes_back(tmp_path, monkeypatch):
    target = tmp_path / "store.zarr"
    target.mkdir()
    (target / "old").write_text("old")

    def refuse(self, other):
        raise OSError(28, "No space left on device")

    with pytest.raises(StorageError, match="untouched"), atomic_path(target) as temporary:
        temporary.mkdir()
        (temporary / "new").write_text("new")
        monkeypatch.setattr(Path, "replace", refuse)
    monkeypatch.undo()
    assert contents(tmp_path) == {"store.zarr/old": "old"}
    assert [path.name for path in tmp_path.iterdir()] == ["store.zarr"]


def test_a_full_disk_is_a_storage_error(tmp_path):
    target = tmp_path / "table.csv"
    target.write_text("old")
    with (
        pytest.raises(StorageError, match=r"table\.csv.*No space left.*--out"),
        atomic_path(target) as temporary,
    ):
        temporary.write_text("half")
        raise OSError(28, "No space left on device")
    assert contents(tmp_path) == {"table.csv": "old"}


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs Linux")
def test_a_device_that_is_really_full(tmp_path):
    target = tmp_path / "table.csv"
    with pytest.raises(StorageError, match="No space left"), atomic_path(target) as temporary:
        temporary.symlink_to("/dev/full")
        temporary.write_text("a" * 10_000)
    assert not target.exists()


def test_our_own_errors_pass_through_as_they_are(tmp_path):
    # A missing data set is an OSError too, and no fault of the disk.
    with pytest.raises(DatasetNotFound, match="nowhere"), atomic_path(tmp_path / "x"):
        raise DatasetNotFound("nowhere")


def test_a_place_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with (
        pytest.raises(StorageError, match=r"Cannot write .*file/deeper/x\.csv"),
        atomic_path(tmp_path / "file" / "deeper" / "x.csv"),
    ):
        pytest.fail("never entered")


def test_a_block_that_writes_nothing_is_an_error(tmp_path):
    with pytest.raises(StorageError), atomic_path(tmp_path / "x.csv"):
        pass
    assert list(tmp_path.iterdir()) == []


def test_a_killed_process_leaves_the_old_file(tmp_path):
    target = tmp_path / "table.csv"
    target.write_text("old")
    code = (
        "import os, signal, sys\n"
        "from attnsci.files import atomic_path\n"
        "with atomic_path(sys.argv[1]) as temporary:\n"
        "    temporary.write_text('half')\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    done = subprocess.run([sys.executable, "-c", code, os.fspath(target)], check=False)
    assert done.returncode == -signal.SIGKILL
    assert target.read_text() == "old"
