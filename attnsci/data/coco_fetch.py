"""Downloading COCO 2017: consent first, checked, unpacked, the archives deleted."""

import dataclasses
import functools
import shutil
import tempfile
import zipfile
import zlib
from pathlib import Path, PurePosixPath

from attnsci.checks import check_option
from attnsci.data.fetch import CHUNK_BYTES, download
from attnsci.data.places import prepare_cache, scratch_prefix, search_roots
from attnsci.data.registry import DataFile, get_dataset, registry
from attnsci.errors import DatasetCorrupt, StorageError

NAMES = {"val2017": "coco-2017-val", "train2017": "coco-2017-train"}


def fetch_coco(
    split: str = "val2017",
    *,
    accept: bool = False,
    force: bool = False,
    offline: bool | None = None,
) -> Path:
    """Put COCO's photographs and annotations of `split` into the cache, unless they are at hand.

    Parameters
    ----------
    split : {"val2017", "train2017"}
        5,000 photographs (1.1 GB to download, with the annotations of both splits), or about
        118,000 (19.6 GB; a connection that breaks begins the file again).
    accept : bool
        Consent to size and licence; without it nothing is downloaded, and the error shows them.
    force : bool
        Download again what is there, too.
    offline : bool, optional
        Forbid every connection; by default as ``ATTNSCI_OFFLINE`` says.

    Returns
    -------
    pathlib.Path
        The folder with ``<split>/`` and ``annotations/instances_<split>.json`` in it, for
        `load_coco_pairs`.

    Raises
    ------
    LicenceNotAccepted
        Without `accept`, if something is missing: sizes, licence, checksums and addresses.
    OfflineError
        If something is missing and connections are forbidden.
    DownloadFailed, ChecksumMismatch
        If the server cannot be reached, or sends something else; nothing of that is kept.
    DatasetCorrupt
        If an archive cannot be unpacked.
    StorageError
        If the cache cannot be written.

    Examples
    --------
    >>> folder = fetch_coco("val2017", accept=True)  # doctest: +SKIP
    >>> photographs = folder / "val2017"  # doctest: +SKIP
    >>> annotations = folder / "annotations" / "instances_val2017.json"  # doctest: +SKIP
    """
    dataset = get_dataset(NAMES[check_option("split", split, NAMES)])
    if not force:
        for root in search_roots(dataset):
            if all((root / file.unpacked).exists() for file in dataset.files):
                return root
    folder = prepare_cache() / dataset.folder
    missing = tuple(
        file for file in dataset.files if force or not (folder / file.unpacked).exists()
    )
    needed = dataclasses.replace(dataset, files=missing)
    download(needed, force=force, offline=offline, accept=accept)
    for file in missing:
        unpack(folder / file.path, folder, _wanted(file))
    return folder


fetch_val2017 = functools.partial(fetch_coco, "val2017")
fetch_train2017 = functools.partial(fetch_coco, "train2017")


def _wanted(file: DataFile) -> list[str]:
    """Return what is to be taken out of an archive: the annotations of both splits at once."""
    return [
        other.unpacked
        for name in NAMES.values()
        for other in registry()[name].files
        if other.path == file.path
    ]


def unpack(archive: Path, folder: Path, wanted: list[str]) -> None:
    """Take the files and folders `wanted` out of `archive` into `folder`, and delete it.

    Each appears whole or not at all.

    Raises
    ------
    DatasetCorrupt
        If the archive is damaged or lacks one of them.
    StorageError
        If the system refuses to write.
    """
    try:
        with (
            zipfile.ZipFile(archive) as content,
            # A name by which `clear` finds what a killed run leaves.
            tempfile.TemporaryDirectory(
                prefix=scratch_prefix(archive), dir=archive.parent
            ) as scratch,
        ):
            for place, name in enumerate(wanted):
                fresh, old = Path(scratch) / f"{place}", Path(scratch) / f"{place}-old"
                _extract(content, name, fresh)
                target = folder / name
                target.parent.mkdir(parents=True, exist_ok=True)
                if target.exists():
                    target.rename(old)
                fresh.rename(target)
        archive.unlink()
    except (zipfile.BadZipFile, zlib.error, EOFError) as error:
        raise DatasetCorrupt(
            f"{archive} cannot be unpacked: {error}. Delete it, and download it again."
        ) from error
    except OSError as error:
        raise StorageError(
            f"{archive} cannot be unpacked into {folder}: {error}. Free some space, or set "
            "ATTNSCI_CACHE to another folder."
        ) from error


def _extract(content: zipfile.ZipFile, name: str, target: Path) -> None:
    """Write the file `name` of an archive, or the files of the folder `name`, to `target`."""
    from tqdm import tqdm

    members = [info for info in content.infolist() if not info.is_dir()]
    inside = [info for info in members if PurePosixPath(info.filename).parent.as_posix() == name]
    single = [info for info in members if info.filename == name]
    if single:
        _copy(content, single[0], target)
        return
    if not inside:
        raise DatasetCorrupt(f"{content.filename} holds no {name}. Download it again.")
    target.mkdir()
    for info in tqdm(inside, desc=f"unpacking {name}", disable=None):
        _copy(content, info, target / PurePosixPath(info.filename).name)


def _copy(content: zipfile.ZipFile, info: zipfile.ZipInfo, target: Path) -> None:
    with content.open(info) as source, target.open("xb") as out:
        shutil.copyfileobj(source, out, CHUNK_BYTES)
