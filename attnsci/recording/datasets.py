"""Reduced recordings on disk: an xarray dataset as a Zarr store that tells where it comes from."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import xarray as xr

from attnsci.errors import RecordingError
from attnsci.files import atomic_path, recover
from attnsci.provenance import provenance, to_json
from attnsci.recording.writer import codecs


def save_dataset(
    dataset: xr.Dataset, path: str | os.PathLike[str], facts: Mapping[str, Any]
) -> Path:
    """Write `dataset` as a Zarr store with its provenance.

    Parameters
    ----------
    dataset : xarray.Dataset
        Reduced recordings; string coordinates may have any string dtype.
    path : path-like
        Ends in ``.zarr``; replaced whole.
    facts : mapping
        Model, weights, data, seed, scale: see `attnsci.provenance.provenance`.

    Returns
    -------
    pathlib.Path
    """
    # Fixed-width strings have no stable Zarr type; objects are written as variable-length ones.
    texts = {
        name: dataset[name].astype(object)
        for name in dataset.variables
        if dataset[name].dtype.kind in "UT"
    }
    stored = dataset.assign({name: texts[name] for name in texts if name in dataset.data_vars})
    stored = stored.assign_coords({name: texts[name] for name in texts if name in dataset.coords})
    stored.attrs["provenance"] = to_json(provenance(**facts))
    with atomic_path(path) as temporary:
        stored.to_zarr(
            temporary,
            zarr_format=3,
            consolidated=False,
            # Every chunk on disk and with a checksum: what is missing or cut shows on opening.
            write_empty_chunks=True,
            encoding={name: {"compressors": codecs()} for name in stored.variables},
        )
    return Path(path)


def open_dataset(path: str | os.PathLike[str]) -> xr.Dataset:
    """Read a store of `save_dataset` into memory.

    Parameters
    ----------
    path : path-like
        A ``.zarr`` folder.

    Returns
    -------
    xarray.Dataset
        As saved, with its ``provenance`` attribute, a JSON string.

    Raises
    ------
    RecordingError
        If the store is absent, truncated or damaged: a lost chunk never becomes NaN.
    """
    if not Path(path).exists():
        recover(path)  # a kill may have come between the two renames
    try:
        _check_whole(Path(path))
        return xr.open_zarr(path, consolidated=False, chunks=None).load()
    except (KeyError, ValueError, OSError, RuntimeError) as error:
        raise RecordingError(
            f"{path} is no complete recording: {error}. Write it again with the command that "
            "made it."
        ) from error


def _check_whole(store: Path) -> None:
    """Raise `ValueError` if an array of `store` has lost its description or a chunk."""
    import zarr

    lost = {
        array.name
        for array in store.iterdir()
        if array.is_dir() and not (array / "zarr.json").exists()
    }
    if not lost:
        arrays = zarr.open_group(store, mode="r").arrays()
        lost = {name for name, array in arrays if array.nchunks_initialized < array.nchunks}
    if lost:
        raise ValueError(f"parts of {', '.join(sorted(lost))} are missing")
