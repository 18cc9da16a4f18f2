"""Filter banks on disk: what costs seconds is computed once, and never taken for another.

A bank's file is named by a hash of every parameter that went into it. Its checksum is verified
whenever it is read; a damaged one is built again.
"""

import os
import warnings
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import platformdirs

from attnsci.errors import StorageError
from attnsci.files import atomic_path
from attnsci.provenance import stable_hash

Arrays = Mapping[str, np.ndarray]

BUILD = 1
"""Counts up whenever a change of code changes a bank."""


def bank_path(kind: str, parameters: Any) -> Path:
    """Return where the bank of `kind` with these parameters is kept.

    Parameters
    ----------
    kind : str
        What sort of bank it is.
    parameters : dataclass or mapping
        Everything that the bank depends on; anything `attnsci.provenance.to_json` takes.

    Returns
    -------
    pathlib.Path
        In the folder ``banks`` of ``ATTNSCI_CACHE`` if that is set, else of the system's cache
        folder for this user.

    Examples
    --------
    >>> bank_path("example", {"size": 64}) == bank_path("example", {"size": 65})
    False
    """
    chosen = os.environ.get("ATTNSCI_CACHE") or platformdirs.user_cache_dir("attnsci")
    name = stable_hash({"kind": kind, "build": BUILD, "parameters": parameters})
    return Path(chosen).expanduser() / "banks" / f"{kind}-{name}.npz"


def cached_bank(
    kind: str, parameters: Any, build: Callable[[], Arrays], *names: str
) -> dict[str, np.ndarray]:
    """Return the arrays that `build` makes, from disk if they were made before.

    Parameters
    ----------
    kind, parameters
        See `bank_path`.
    build : callable
        Without arguments; returns arrays by name.
    *names : str
        Those that are wanted, and read; all by default.

    Warns
    -----
    UserWarning
        If a file is damaged (it is built again and replaced) or cannot be written (the bank is
        built in every process).

    Examples
    --------
    >>> import os, tempfile, unittest.mock
    >>> with unittest.mock.patch.dict(os.environ, ATTNSCI_CACHE=tempfile.mkdtemp()):
    ...     first = cached_bank("example", {"n": 3}, lambda: {"bank": np.arange(3.0)})
    ...     again = cached_bank("example", {"n": 3}, lambda: {})
    >>> again["bank"].tolist()
    [0.0, 1.0, 2.0]
    """
    path = bank_path(kind, parameters)
    if path.exists():
        try:
            # Reading an entry to its end verifies its checksum.
            with path.open("rb") as file, np.load(file) as stored:
                return {name: stored[name] for name in names or stored.files}
        except (OSError, ValueError, EOFError, KeyError, zipfile.BadZipFile) as error:
            warnings.warn(
                f"The filter bank {path} is damaged ({error}); it is built again.", stacklevel=2
            )
    arrays = dict(build())
    try:
        with atomic_path(path) as temporary:
            np.savez(temporary, **arrays)  # type: ignore[arg-type]
    except StorageError as error:
        warnings.warn(
            f"The filter bank could not be kept and is built anew in every process: {error} Set "
            "ATTNSCI_CACHE to a folder that can be written.",
            stacklevel=2,
        )
    return {name: arrays[name] for name in names or arrays}
