"""Where data sets are looked for: an explicit root, ``ATTNSCI_DATA``, the cache."""

import os
from collections.abc import Sequence
from pathlib import Path

import platformdirs

from attnsci.data.registry import DataFile, Dataset
from attnsci.errors import DatasetNotFound

Root = str | os.PathLike[str] | None


def data_home() -> Path:
    """Return the folder that downloads go to.

    Returns
    -------
    pathlib.Path
        ``ATTNSCI_CACHE`` if set, else the user's cache folder of the system. It need not
        exist yet.
    """
    chosen = os.environ.get("ATTNSCI_CACHE")
    if chosen:
        return Path(chosen).expanduser()
    return Path(platformdirs.user_cache_dir("attnsci"))


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
    given = [place for folder in data_folders() for place in (folder / dataset.folder, folder)]
    return [*given, data_home() / dataset.folder]


def stored_form(folder: Path, file: DataFile) -> Path | None:
    """Return the path of `file` in `folder`, downloaded or unpacked; None if it is absent."""
    return next((folder / name for name in file.names if (folder / name).exists()), None)


def find_files(
    dataset: Dataset, root: Root = None, files: Sequence[DataFile] | None = None
) -> list[Path]:
    """Return where `files` of `dataset` stand, all of them in one root.

    Parameters
    ----------
    dataset : Dataset
        Entry of the registry.
    root : path-like, optional
        Look here and nowhere else.
    files : sequence of DataFile, optional
        The files needed; all of the entry by default.

    Returns
    -------
    list of pathlib.Path
        In the order of `files`.

    Raises
    ------
    DatasetNotFound
        If no root has all of them; the message lists every path looked at.
    """
    needed = dataset.files if files is None else files
    looked_at = []
    for folder in search_roots(dataset, root):
        found = [stored_form(folder, file) for file in needed]
        if all(found):
            return [path for path in found if path is not None]
        missing = [
            " or ".join(file.names) for file, path in zip(needed, found, strict=True) if not path
        ]
        looked_at.append(f"  {folder}: lacks {', '.join(missing)}")
    raise DatasetNotFound(not_found_message(dataset, looked_at))


def not_found_message(dataset: Dataset, looked_at: Sequence[str]) -> str:
    """Return what to tell someone whose `dataset` is in none of the places `looked_at`."""
    lines = [f"{dataset.name} ({dataset.bytes / 1e6:.1f} MB) was not found. Looked at:", *looked_at]
    if dataset.fetcher:
        lines.append(f"Get it with: attnsci datasets get {dataset.name}")
    lines.append("Or set ATTNSCI_DATA to the folder that holds it.")
    if dataset.alternative:
        lines.append(f"Or use {dataset.alternative}.")
    return "\n".join(lines)
