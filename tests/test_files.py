"""Writing: all or nothing, for files and for folders."""

import contextlib
import os
import platform
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from attnsci.errors import DatasetNotFound, InUse, StorageError
from attnsci.files import atomic_path, claim, recover


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


SWAP = """
import os, signal, sys
from pathlib import Path
from attnsci.files import atomic_path, claim, recover

n, number, target = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
calls = 0

def counted(usual):
    def call(*arguments, **keywords):
        global calls
        calls += 1
        if calls == 2 * n - 1:
            os.kill(os.getpid(), number)
        done = usual(*arguments, **keywords)
        if calls == 2 * n:
            os.kill(os.getpid(), number)
        return done
    return call

for name in ("rename", "replace", "rmdir", "unlink", "mkdir"):
    setattr(os, name, counted(getattr(os, name)))
with atomic_path(target) as temporary:
    temporary.mkdir()
    (temporary / "content").write_text("new")
"""


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("n", range(1, 6))
def test_a_folder_survives_a_kill_at_any_step(tmp_path, n, number):
    target = tmp_path / "store.zarr"
    target.mkdir()
    (target / "content").write_text("old")
    arguments = [sys.executable, "-c", SWAP, str(n), str(int(number)), os.fspath(target)]
    subprocess.run(arguments, check=False, capture_output=True)
    recover(target)
    assert contents(tmp_path) in ({"store.zarr/content": "old"}, {"store.zarr/content": "new"})
    assert [path.name for path in tmp_path.iterdir()] == ["store.zarr"]


def test_an_interrupt_between_the_two_renames_loses_nothing(tmp_path, monkeypatch):
    target = tmp_path / "store.zarr"
    target.mkdir()
    (target / "content").write_text("old")
    usual = Path.rename

    def interrupted(self, other):
        usual(self, other)
        raise KeyboardInterrupt

    monkeypatch.setattr(Path, "rename", interrupted)
    with pytest.raises(KeyboardInterrupt), atomic_path(target) as temporary:
        temporary.mkdir()
        (temporary / "content").write_text("new")
    assert contents(tmp_path) == {"store.zarr/content": "new"}


def test_a_live_writer_is_left_alone(tmp_path):
    target = tmp_path / "table.csv"
    with atomic_path(target) as outer:
        outer.write_text("outer")
        with atomic_path(target) as inner:
            inner.write_text("inner")
        assert target.read_text() == "inner"
        recover(target)
    assert contents(tmp_path) == {"table.csv": "outer"}


def test_a_link_stays_and_what_it_points_to_is_replaced(tmp_path):
    (tmp_path / "disk").mkdir()
    (tmp_path / "table.csv").symlink_to(tmp_path / "disk" / "table.csv")
    with atomic_path(tmp_path / "table.csv") as temporary:
        temporary.write_text("1,2")
    assert (tmp_path / "table.csv").is_symlink()
    assert (tmp_path / "disk" / "table.csv").read_text() == "1,2"


def test_a_file_never_replaces_a_folder_nor_a_folder_a_file(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "b").write_text("old")
    with pytest.raises(StorageError, match="folder stands there"), atomic_path(tmp_path / "a") as x:
        x.write_text("new")
    with pytest.raises(StorageError, match="file stands there"), atomic_path(tmp_path / "b") as x:
        x.mkdir()
    assert contents(tmp_path) == {"b": "old"}


def test_modes_are_those_of_the_umask_and_names_may_be_long(tmp_path):
    target = tmp_path / ("é" * 125 + ".csv")
    usual = os.umask(0o022)
    try:
        with atomic_path(target) as temporary:
            temporary.write_text("1")
    finally:
        os.umask(usual)
    assert target.stat().st_mode & 0o777 == 0o644


HOLD = (
    "import sys\n"
    "from attnsci.files import claim\n"
    "with claim(sys.argv[1]):\n"
    "    print('held', flush=True)\n"
    "    sys.stdin.read()\n"
)


def test_a_second_run_is_refused_until_the_first_is_dead(tmp_path):
    out = tmp_path / "run"
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLD, os.fspath(out)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    with holder:
        assert holder.stdout.readline() == b"held\n"
        with pytest.raises(InUse, match=rf"process {holder.pid} on {platform.node()} "), claim(out):
            pytest.fail("never entered")
        holder.kill()
    stack = contextlib.ExitStack()
    with stack, ThreadPoolExecutor(1) as pool:
        stack.enter_context(claim(out))
        stack.enter_context(claim(out))  # the same thread may
        with pytest.raises(InUse, match=f"process {os.getpid()} "):
            pool.submit(claim(out).__enter__).result()
    with claim(out):
        pass
