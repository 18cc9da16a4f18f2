"""Writing so that a crash, a kill, a full disk or a second run never costs what stood there."""

import contextlib
import hashlib
import os
import platform
import shutil
import sys
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

import filelock

from attnsci.errors import AttnsciError, InUse, StorageError

_PREVIOUS = "previous"
_N_TRIES = 10

_scratches: set[Path] = set()
_claims: dict[Path, tuple[int, int]] = {}
"""Place to (process, thread) that holds it."""


@contextlib.contextmanager
def atomic_path(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Yield a temporary path near `path`; move it there when the block ends well.

    Works for a file and for a directory (a Zarr store). If the block raises, the temporary
    is removed and whatever stood at `path` stays. If the process is killed, whatever stood there
    stays too, or can be put back: the next write to `path`, or `recover`, does so and clears what
    the killed one left in ``.NAME.unfinished``. A symbolic link stays; what it points to is
    replaced.

    A file is on the disk before it gets its name, so that a power cut leaves the old or the new.
    A directory is not forced to the disk: a store has thousands of files, and checksums that tell
    of a lost one.

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
        If the system refuses to write (disk full, no permission), or if a file would replace a
        folder or a folder a file.

    Examples
    --------
    >>> import tempfile
    >>> target = Path(tempfile.mkdtemp()) / "numbers.csv"
    >>> with atomic_path(target) as temporary:
    ...     _ = temporary.write_text("a,b")
    >>> target.read_text()
    'a,b'
    """
    target = Path(os.path.realpath(path))
    scratch: Path | None = None
    try:
        recover(target)
        scratch = _make_scratch(target)
        temporary = scratch / target.name
        yield temporary
        _move(temporary, target, scratch / _PREVIOUS)
    except OSError as error:
        if isinstance(error, AttnsciError):
            raise
        raise StorageError(
            f"Cannot write {target}: {error}. What stood there before is untouched; "
            "free some space or choose another --out."
        ) from error
    finally:
        if scratch is not None:
            _settle(scratch, target)
            _scratches.discard(scratch)
            _remove_if_empty(scratch.parent)


def recover(path: str | os.PathLike[str]) -> None:
    """Clear what killed writes to `path` left behind; put back what they had moved away.

    Scratch folders of processes that still run, and of other machines, are left alone. Where
    nothing may be written, nothing is done.

    Parameters
    ----------
    path : path-like
        What was to be written.
    """
    target = Path(os.path.realpath(path))
    unfinished = _unfinished(target)
    try:
        scratches = sorted(unfinished.iterdir())
    except OSError:  # there is none, as nearly always
        return
    for scratch in scratches:
        if not _is_live(scratch):
            with contextlib.suppress(OSError):
                _settle(scratch, target)
    _remove_if_empty(unfinished)


def _unfinished(target: Path) -> Path:
    """Return the folder of scratch folders of `target`: one look tells whether there are any."""
    name = target.name
    if len(os.fsencode(name)) > 200:  # most file systems end names at 255 bytes
        name = hashlib.sha256(os.fsencode(name)).hexdigest()
    return target.parent / f".{name}.unfinished"


def _make_scratch(target: Path) -> Path:
    """Make a folder that names its owner, so that another run knows whether it is still needed."""
    unfinished = _unfinished(target)
    prefix = f"{os.getpid()}@{platform.node()}@"
    for trial in range(_N_TRIES):
        unfinished.mkdir(parents=True, exist_ok=True)
        try:
            scratch = Path(tempfile.mkdtemp(prefix=prefix, dir=unfinished))
        except FileNotFoundError:  # another writer has just ended, and removed the folder
            if trial == _N_TRIES - 1:
                raise
        else:
            _scratches.add(scratch)
            return scratch
    raise AssertionError  # pragma: no cover


def _is_live(scratch: Path) -> bool:
    pid, _, rest = scratch.name.partition("@")
    host = rest.rpartition("@")[0]
    if host != platform.node() or not pid.isdigit():
        return True
    if int(pid) == os.getpid():  # in containers a new run often has the old one's number
        return scratch in _scratches
    if sys.platform == "win32":  # there is no harmless signal
        return True
    try:
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True


def _move(temporary: Path, target: Path, previous: Path) -> None:
    """Give `temporary` the name `target`; a folder that stands there is moved away first."""
    if not temporary.is_dir():
        if target.is_dir():
            raise IsADirectoryError("a folder stands there, and a file would replace it")
        with temporary.open("rb") as written:
            os.fsync(written.fileno())
    elif target.is_dir():
        # Two steps, since a folder cannot replace a filled one. Between them, `previous` marks
        # that both are whole; `_settle` ends what is interrupted here.
        target.rename(previous)
    elif target.exists():
        raise NotADirectoryError("a file stands there, and a folder would replace it")
    temporary.replace(target)


def _settle(scratch: Path, target: Path) -> None:
    """Delete a scratch folder, but never while the only copy of the target is in it."""
    previous = scratch / _PREVIOUS
    if previous.exists() and not target.exists():
        try:
            (scratch / target.name).replace(target)
        except OSError:
            previous.rename(target)
    shutil.rmtree(scratch, ignore_errors=True)


def _remove_if_empty(folder: Path) -> None:
    with contextlib.suppress(OSError):
        folder.rmdir()


@contextlib.contextmanager
def claim(path: str | os.PathLike[str] | None) -> Iterator[None]:
    """Hold `path`, a folder or store that a run writes, so that no second run can mix with it.

    The lock stands beside `path` as ``.NAME.lock`` and names its owner. It is the system's: it
    gives way when the owner ends, however that comes about. It is deleted while it is still held;
    filelock looks, once it has a lock, whether its file is still there. What a thread holds it may
    claim again, as `reproduce` does when it trains first.

    Parameters
    ----------
    path : path-like or None
        What is about to be written; it need not exist. None where nothing is.

    Raises
    ------
    InUse
        If another run holds it; the message names its host, process and command.
    StorageError
        If the system refuses to write beside `path`.

    Examples
    --------
    >>> import tempfile
    >>> out = Path(tempfile.mkdtemp()) / "run"
    >>> with claim(out), claim(out):
    ...     out.mkdir()
    """
    if path is None:
        yield
        return
    target = Path(os.path.realpath(path))
    owner = os.getpid(), threading.get_ident()
    if _claims.get(target) == owner:
        yield
        return
    # One object a call, since filelock's own are shared by all that name the same file.
    lock = filelock.FileLock(
        target.parent / f".{target.name}.lock", timeout=0, thread_local=False, is_singleton=False
    )
    holder = Path(lock.lock_file)
    missing = [folder for folder in target.parents if not folder.exists()]
    soft = False
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        lock.acquire()
        # Where the file system has no locks, filelock keeps its own account of the owner there.
        soft = isinstance(lock, filelock.SoftFileLock)
    except filelock.Timeout as error:
        raise InUse(
            f"{target} is being written by {_owner_in(holder)}. Wait until it has ended, or "
            "choose another place."
        ) from error
    except (OSError, NotImplementedError) as error:
        raise StorageError(f"Cannot write beside {target}: {error}.") from error
    try:
        if not soft:
            command = Path(sys.argv[0]).name if sys.argv else "python"
            _write(holder, f"process {os.getpid()} on {platform.node()} ({command})")
        _claims[target] = owner
        yield
    finally:
        _claims.pop(target, None)
        if not soft:
            holder.unlink(missing_ok=True)
        lock.release()
        for folder in missing:  # made for the lock alone, if nothing was written
            _remove_if_empty(folder)


def _write(lock_file: Path, text: str) -> None:
    with contextlib.suppress(OSError):  # a full disk: the lock holds all the same
        lock_file.write_text(text, encoding="utf-8")


def _owner_in(lock_file: Path) -> str:
    try:
        text = lock_file.read_text(encoding="utf-8", errors="replace")
    except OSError:  # of another user, or locked against reading too (Windows)
        text = ""
    return " ".join(text.split()) or "another process"
