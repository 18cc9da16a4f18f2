"""What attnsci knows of each data set: files, checksums, licence and citation."""

import dataclasses
import functools
import tomllib
from collections.abc import Mapping
from importlib import resources
from typing import Any

from attnsci.checks import check_known


@dataclasses.dataclass(frozen=True)
class DataFile:
    """One file of a data set.

    Attributes
    ----------
    path, unpacked : str
        Names below the data set's root: as downloaded, and once unpacked (empty: the same).
    bytes : int
        Size of `path`.
    sha256, md5, sha256_unpacked : str
        Checksums; empty where none is known.
    url : str
        Address; empty for files that come with another distribution.
    """

    path: str
    bytes: int
    unpacked: str = ""
    sha256: str = ""
    md5: str = ""
    sha256_unpacked: str = ""
    url: str = ""

    @property
    def names(self) -> tuple[str, ...]:
        """Names under which the file may stand, the downloaded form first."""
        return (self.path, self.unpacked) if self.unpacked else (self.path,)

    @property
    def checksum(self) -> str:
        """The strongest checksum known, in pooch's form (``sha256:…`` or ``md5:…``)."""
        return f"sha256:{self.sha256}" if self.sha256 else f"md5:{self.md5}"


@dataclasses.dataclass(frozen=True)
class Dataset:
    """One entry of ``registry.toml``.

    Attributes
    ----------
    name, title, version : str
    folder : str
        Its folder in the cache and in those of ``ATTNSCI_DATA``.
    licence, licence_note : str
        SPDX identifier, and what has to be said beside it.
    citation : str
    files : tuple of DataFile
    loader, fetcher : str
        The call that reads it, and ``module:function`` of the one that downloads it; empty
        where there is none.
    bundled_by : str
        The installed package that it comes with; empty for a download.
    base_url : str
    alternative : str
        What to use instead where the set is not at hand.
    consent : bool
        Whether its size and licence are to be accepted before it is downloaded.
    content : mapping of str to str
        SHA-256 of decoded arrays.
    """

    name: str
    title: str
    version: str
    folder: str
    licence: str
    citation: str
    files: tuple[DataFile, ...]
    licence_note: str = ""
    loader: str = ""
    bundled_by: str = ""
    base_url: str = ""
    fetcher: str = ""
    alternative: str = ""
    consent: bool = False
    content: Mapping[str, str] = dataclasses.field(default_factory=dict)

    @property
    def bytes(self) -> int:
        """Size of all files together."""
        return sum(file.bytes for file in self.files)


@functools.cache
def registry() -> Mapping[str, Dataset]:
    """Return every data set by name, in the order of ``registry.toml``."""
    text = resources.files("attnsci.data").joinpath("registry.toml").read_text("utf-8")
    return {name: _dataset(name, entry) for name, entry in tomllib.loads(text).items()}


def _dataset(name: str, entry: Mapping[str, Any]) -> Dataset:
    facts = {key: value for key, value in entry.items() if key != "files"}
    files = tuple(_file(item, facts.get("base_url", "")) for item in entry["files"])
    return Dataset(name=name, files=files, **facts)


def _file(item: Mapping[str, Any], base_url: str) -> DataFile:
    facts = {key: value for key, value in item.items() if key != "remote"}
    remote = item.get("remote", item["path"].rpartition("/")[2])
    return DataFile(**facts, url=base_url + remote if base_url else "")


def get_dataset(name: str) -> Dataset:
    """Return the entry of data set `name`.

    Raises
    ------
    UnknownName
        If there is none; the message lists the nearest names.

    Examples
    --------
    >>> get_dataset("mnist").bytes
    11594722
    """
    return registry()[check_known("data set", name, registry())]
