"""``attnsci datasets``: find, download, verify and delete data sets."""

import dataclasses

import tyro


@dataclasses.dataclass(frozen=True)
class ListDatasets:
    """List all data sets, with size, licence and where they stand."""

    def run(self) -> None:
        """Print the table."""
        from attnsci.data import list_datasets

        print(list_datasets().drop(columns="citation").to_string(index=False))


@dataclasses.dataclass(frozen=True)
class DatasetInfo:
    """Say what is known of one data set."""

    name: tyro.conf.Positional[str]
    """The data set."""

    def run(self) -> None:
        """Print the facts."""
        from attnsci.data import dataset_info

        print(dataset_info(self.name))


@dataclasses.dataclass(frozen=True)
class GetDataset:
    """Download a data set into the cache."""

    name: tyro.conf.Positional[str]
    """The data set."""
    force: bool = False
    """Download again what is there."""
    accept: bool = False
    """Consent to size and licence of a large data set; without it they are only shown."""

    def run(self) -> None:
        """Download it and say where it is."""
        from attnsci.data import get

        print(get(self.name, force=self.force, accept=self.accept))


@dataclasses.dataclass(frozen=True)
class WhereDataset:
    """Print the folder in which a data set stands."""

    name: tyro.conf.Positional[str]
    """The data set."""

    def run(self) -> None:
        """Print the path."""
        from attnsci.data import where

        print(where(self.name))


@dataclasses.dataclass(frozen=True)
class CheckDatasets:
    """Verify every file on this machine against its checksum; exit 1 if one differs."""

    def run(self) -> int:
        """Print the table; return the exit code."""
        from attnsci.data import check

        table = check()
        print(table[["name", "file", "status", "path", "detail"]].to_string(index=False))
        return int((table["status"] == "differs").any())


@dataclasses.dataclass(frozen=True)
class ClearDataset:
    """Delete a data set from the cache, and only from there."""

    name: tyro.conf.Positional[str]
    """The data set."""

    def run(self) -> None:
        """Delete it and say what was done."""
        from attnsci.data import clear

        print(clear(self.name))


DATASETS = {
    "list": ListDatasets,
    "info": DatasetInfo,
    "get": GetDataset,
    "where": WhereDataset,
    "check": CheckDatasets,
    "clear": ClearDataset,
}
"""Under ``attnsci datasets``."""
