"""Writing files so that a crash, a kill or a full disk never leaves half of one."""

import contextlib
import os
import platform
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import filelock

from attnsci.errors import AttnsciError, InUse, StorageError


@contextlib.contextmanager
def atomic_path(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Yield a temporary path beside `path`; move it there when the block ends well.

    Works for a file and for a directory (a Zarr store). If the block raises, the temporary
    is removed and whatever stood at `path` stays.

    Parameters
    ----------
    path : path-like
        Final place. Missing parent folders are made.

    Yields
    ------
    pathlib.Path
        Where to write.

    Raises
    ------
    StorageError
        If the system refuses to write (disk full, no permission).

    Examples
    --------
    >>> import tempfile
    >>> target = Path(tempfile.mkdtemp()) / "numbers.csv"
    >>> with atomic_path(target) as temporary:
    ...     _ = temporary.write_text("a,b")
    >>> target.read_text()
    'a,b'
    """
    target = Path(path)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        scratch = Path(tempfile.mkdtemp(prefix=f".{target.name}.", dir=target.parent))
    except OSError as error:
        raise StorageError(f"Cannot write {target}: {error}.") from error
    try:
        temporary = scratch / target.name
        yield temporary
        if target.is_dir() and temporary.is_dir():
            # Two steps, since a directory cannot replace a filled one.
            previous = target.rename(scratch / "previous")
            try:
                temporary.replace(target)
            except OSError:
                previous.rename(target)
                raise
        else:
            temporary.replace(target)
    except OSError as error:
        if isinstance(error, AttnsciError):
            raise
        raise StorageError(
            f"Cannot write {target}: {error}. What stood there before is untouched; "
            "free some space or choose another --out."
        ) from error
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


@contextlib.contextmanager
def claim(path: str | os.PathLike[str]) -> Iterator[None]:
    """Hold `path`, a folder or store that a run writes, so that no second run can mix with it.

    The lock stands beside `path` as ``.NAME.lock`` and names its owner. It is the system's: it
    gives way when the owner ends, however that comes about.

    Parameters
    ----------
    path : path-like
        What is about to be written; it need not exist.

    Raises
    ------
    InUse
        If another run holds it; the message names its host, process and command.
    StorageError
        If the system refuses to write beside `path`.
    """
    target = Path(path).absolute()
    lock = filelock.FileLock(target.parent / f".{target.name}.lock", timeout=0)
    owner = f"process {os.getpid()} on {platform.node()} ({Path(sys.argv[0]).name})"
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        lock.acquire()
    except filelock.Timeout as error:
        holder = Path(lock.lock_file).read_text().strip() or "another process"
        raise InUse(
            f"{target} is being written by {holder}. Wait until it has ended, or choose another "
            "place."
        ) from error
    except OSError as error:
        raise StorageError(f"Cannot write beside {target}: {error}.") from error
    try:
        Path(lock.lock_file).write_text(owner)
        yield
    finally:
        lock.release()
