"""Where a result comes from: versions, commit, configuration, weights, data, seed."""

import dataclasses
import datetime
import functools
import hashlib
import importlib.metadata
import json
import platform
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

Config = TypeVar("Config")

RECORDED_PACKAGES = ("attnsci", "torch", "numpy", "xarray", "zarr")


def to_json(value: Any) -> str:
    """Return `value` (dataclasses, paths and NumPy scalars included) as canonical JSON."""
    return json.dumps(value, default=_encode, sort_keys=True, separators=(",", ":"))


def _encode(value: Any) -> Any:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {f.name: getattr(value, f.name) for f in dataclasses.fields(value)}
    if isinstance(value, np.generic | np.ndarray):
        return value.tolist()
    if isinstance(value, Path):
        return str(value)
    raise TypeError(f"{type(value).__name__} has no place in a configuration: {value!r}")


def from_json(cls: type[Config], text: str) -> Config:
    """Build the frozen dataclass `cls` from the JSON that `to_json` made of it."""
    fields = {f.name for f in dataclasses.fields(cls)}  # type: ignore[arg-type]
    values = {name: value for name, value in json.loads(text).items() if name in fields}
    return cls(**{name: _tuples(value) for name, value in values.items()})


def _tuples(value: Any) -> Any:
    return tuple(_tuples(item) for item in value) if isinstance(value, list) else value


def stable_hash(value: Any) -> str:
    """Return 16 hexadecimal digits that name `value`: equal in every process and version."""
    return hashlib.blake2b(to_json(value).encode(), digest_size=8).hexdigest()


def array_hash(*arrays: np.ndarray) -> str:
    """Return a hash over the bytes, shapes and dtypes of `arrays`."""
    digest = hashlib.blake2b(digest_size=16)
    for array in arrays:
        digest.update(f"{array.dtype.str}{array.shape}".encode())
        digest.update(np.ascontiguousarray(array).data)
    return digest.hexdigest()


def state_hash(state_dict: Mapping[str, Any]) -> str:
    """Return a hash of a module's ``state_dict``: names, shapes, dtypes and values."""
    import torch

    digest = hashlib.blake2b(digest_size=16)
    for name, tensor in state_dict.items():
        values = tensor.detach().cpu().contiguous()
        digest.update(f"{name}{values.dtype}{tuple(values.shape)}".encode())
        digest.update(values.reshape(-1).view(torch.uint8).numpy())
    return digest.hexdigest()


@functools.cache
def versions() -> dict[str, str]:
    """Return the versions of Python and of the packages that a result depends on."""
    found = {"python": platform.python_version()}
    for package in RECORDED_PACKAGES:
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            found[package] = "not installed"
    return found


@functools.cache
def git_commit() -> str:
    """Return the commit of the checkout that this package runs from, ``+dirty`` if changed.

    Empty where the package was installed from a wheel.
    """
    here = Path(__file__).parent

    def git(*arguments: str) -> str:
        return subprocess.run(
            ["git", "-C", str(here), *arguments], capture_output=True, text=True, check=True
        ).stdout.strip()

    try:
        if Path(git("rev-parse", "--show-toplevel")) != here.parent:
            return ""
        return git("rev-parse", "HEAD") + ("+dirty" if git("status", "--porcelain") else "")
    except (OSError, subprocess.CalledProcessError):
        return ""


@functools.cache
def source_hash() -> str:
    """Return a hash over the package's own code: what it computes may change where this does."""
    package = Path(__file__).parent
    digest = hashlib.blake2b(digest_size=16)
    for path in sorted(package.rglob("*.py")):
        digest.update(path.relative_to(package).as_posix().encode() + path.read_bytes())
    return digest.hexdigest()


def provenance(**facts: Any) -> dict[str, Any]:
    """Return the record kept with every result.

    Parameters
    ----------
    **facts
        What only the caller knows: ``model``, ``weights``, ``dataset``, ``seed``, ``scale`` …

    Returns
    -------
    dict
        `facts` beside versions, git commit, command and date; fit for `to_json`.
    """
    return {
        **facts,
        "versions": versions(),
        "commit": git_commit(),
        "command": _command(),
        "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
    }


def _command() -> str:
    """Return the command line; "notebook" in a kernel, whose arguments name a scratch file."""
    program = Path(sys.argv[0]).name
    return "notebook" if program == "ipykernel_launcher.py" else " ".join([program, *sys.argv[1:]])
