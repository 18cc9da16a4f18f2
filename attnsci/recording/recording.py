"""A finished recording: labelled arrays by layer, lazily opened, selected and handed on."""

import contextlib
import itertools
import json
import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from attnsci.checks import check_known
from attnsci.errors import InvalidInput, MissingDependency, RecordingError
from attnsci.files import atomic_path, recover
from attnsci.recording.schema import FORMAT, Layer, with_index
from attnsci.recording.seal import ATTRIBUTE, content_digest
from attnsci.recording.writer import N_CALLS, Store, check_content, codecs, storing

if TYPE_CHECKING:
    import xarray as xr

NETCDF_SUFFIXES = (".nc", ".nc4", ".h5")
_POSITION = ("channel", "y", "x")


class Recording(Mapping[str, "xr.DataArray"]):
    """What a model's layers did, one labelled array a layer.

    Parameters
    ----------
    arrays : mapping of str to xarray.DataArray
        Layers in forward order, each of dims ``stimulus, time, ...``.
    provenance : mapping
        Where the recording comes from.

    Examples
    --------
    >>> import torch
    >>> from attnsci.recording import record
    >>> model = torch.nn.Sequential(torch.nn.Conv2d(1, 2, 3), torch.nn.ReLU())
    >>> recording = record(model, {"image": torch.rand(4, 1, 8, 8), "cue": [0, 1, 0, 1]}, "0")
    >>> recording.sel(cue=1)["0"].sizes["stimulus"]
    2
    """

    def __init__(self, arrays: Mapping[str, "xr.DataArray"], provenance: Mapping[str, Any]) -> None:
        self._arrays, self.provenance = dict(arrays), dict(provenance)

    @property
    def layers(self) -> list[str]:
        """Names of the layers, in the order in which the model first called them."""
        return list(self._arrays)

    def __getitem__(self, layer: str) -> "xr.DataArray":
        return self._arrays[check_known("layer of this recording", layer, self._arrays)]

    def __iter__(self) -> Iterator[str]:
        return iter(self._arrays)

    def __len__(self) -> int:
        return len(self._arrays)

    def __repr__(self) -> str:
        lines = [
            f"  {name}: " + ", ".join(f"{dim} {length}" for dim, length in array.sizes.items())
            for name, array in self._arrays.items()
        ]
        return "\n".join([f"Recording of {self.provenance.get('model', 'a model')}", *lines])

    def sel(self, **coords: Any) -> "Recording":
        """Return the stimuli whose coordinates have the given values, in every layer.

        Parameters
        ----------
        **coords
            A value, a list of values, or a slice with both ends included.

        Returns
        -------
        Recording
            Lazy where this one is lazy.

        Raises
        ------
        UnknownName
            If no stimulus coordinate is called so.
        InvalidInput
            If no stimulus is left.
        """
        first = next(iter(self._arrays.values()))
        known = [str(name) for name, c in first.coords.items() if c.dims == ("stimulus",)]
        keep = np.ones(first.sizes["stimulus"], bool)
        for name, wanted in coords.items():
            values = first.coords[check_known("stimulus coordinate", name, known)].values
            if isinstance(wanted, slice):
                keep &= True if wanted.start is None else values >= wanted.start
                keep &= True if wanted.stop is None else values <= wanted.stop
            else:
                allowed = [wanted] if np.ndim(wanted) == 0 else list(wanted)
                keep &= np.isin(values.astype(object), np.array(allowed, dtype=object))
        if not keep.any():
            raise InvalidInput(f"No stimulus has {coords}. Look at recording[layer].coords.")
        index = np.nonzero(keep)[0]
        return Recording({k: a.isel(stimulus=index) for k, a in self.items()}, self.provenance)

    def _root_attrs(self) -> dict[str, Any]:
        return {
            "attnsci_recording": FORMAT,
            "layers": json.dumps(self.layers),
            "provenance": json.dumps(self.provenance),
        }

    def to_datatree(self) -> "xr.DataTree":
        """Return one node a layer, each with the variable ``activation`` and all coordinates."""
        import xarray as xr

        tree = {name: array.to_dataset(name="activation") for name, array in self.items()}
        first = next(iter(self._arrays.values()))
        shared = {n: c for n, c in first.coords.items() if c.dims == ("stimulus",) and n != N_CALLS}
        root = xr.Dataset(coords=shared, attrs=self._root_attrs())
        return xr.DataTree.from_dict({"/": root, **{f"/{name}": ds for name, ds in tree.items()}})

    def to_dataset(self, layers: Iterable[str] | None = None) -> "xr.Dataset":
        """Return several layers as variables of one Dataset.

        Dimensions and coordinates that differ between layers get the layer's name as suffix,
        ``time_core`` for one; those that agree are shared.

        Parameters
        ----------
        layers : iterable of str, optional
            Default: all.

        Returns
        -------
        xarray.Dataset
            One variable a layer.
        """
        import xarray as xr

        arrays = {name: self[name] for name in (self.layers if layers is None else layers)}
        pairs = list(itertools.combinations(arrays.values(), 2))
        clashing = {
            coord
            for one, other in pairs
            for coord in set(one.coords) & set(other.coords)
            if not one.coords[coord].equals(other.coords[coord])
        }
        renamed = {}
        for name, array in arrays.items():
            suffixed = {n: f"{n}_{name}" for n in clashing if n in array.coords}
            renamed[name] = array.rename(suffixed)
        return xr.Dataset(renamed, attrs={"provenance": json.dumps(self.provenance)})

    def stack_units(self) -> "xr.DataArray":
        """Return all layers side by side, dims ``stimulus, unit``.

        Returns
        -------
        xarray.DataArray of shape (stimulus, unit)
            ``unit`` is a MultiIndex of layer, time (where a layer ran more than once), channel,
            y and x; -1 stands where a layer has no positions. For memory only: no file format
            takes a MultiIndex.
        """
        import pandas as pd
        import xarray as xr

        timed = any(array.sizes["time"] > 1 for array in self.values())
        levels = ["layer", *(["time"] if timed else []), *_POSITION]
        blocks, rows = [], []
        for name, array in self.items():
            inner = [dim for dim in array.dims if dim not in ("stimulus", "time")]
            spatial = tuple(inner) == _POSITION
            axes = (
                [array.coords[dim].values for dim in array.dims[1:]]
                if spatial
                else [
                    array.coords["time"].values,
                    array.coords[inner[0]].values
                    if len(inner) == 1
                    else np.arange(int(np.prod([array.sizes[dim] for dim in inner]))),
                ]
            )
            columns = [c.ravel() for c in np.meshgrid(*axes, indexing="ij")]
            if not spatial:
                columns += [np.full(len(columns[0]), -1)] * 2
            table = pd.DataFrame(dict(zip(("time", *_POSITION), columns, strict=True)))
            rows.append(table.assign(layer=name)[levels])
            blocks.append(array.data.reshape(array.sizes["stimulus"], -1))
        index = pd.MultiIndex.from_frame(pd.concat(rows))
        first = next(iter(self._arrays.values()))
        stacked = xr.DataArray(
            np.concatenate([np.asarray(block) for block in blocks], axis=1),
            dims=("stimulus", "unit"),
            coords=xr.Coordinates.from_pandas_multiindex(index, "unit"),
            attrs={"provenance": json.dumps(self.provenance)},
        )
        return stacked.assign_coords(
            {n: c for n, c in first.coords.items() if c.dims == ("stimulus",) and n != N_CALLS}
        )

    def to_rsatoolbox(self) -> Any:
        """Return an ``rsatoolbox.data.Dataset`` of stimuli × units with all descriptors.

        Raises
        ------
        MissingDependency
            If rsatoolbox is not installed.
        """
        try:
            from rsatoolbox.data import Dataset
        except ImportError as error:
            raise MissingDependency(
                "to_rsatoolbox needs rsatoolbox, which is not installed: pip install rsatoolbox"
            ) from error
        stacked = self.stack_units()
        units = stacked.indexes["unit"].to_frame()
        return Dataset(
            measurements=stacked.values,
            descriptors={"provenance": json.dumps(self.provenance)},
            obs_descriptors={
                str(n): c.values.tolist()
                for n, c in stacked.coords.items()
                if c.dims == ("stimulus",)
            },
            channel_descriptors={name: units[name].tolist() for name in units},
        )

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write everything to `path`: NetCDF if it ends in ``.nc``, else Zarr.

        Parameters
        ----------
        path : path-like
            A file or store that does not exist yet.

        Returns
        -------
        pathlib.Path
            `path`. `open_recording` reads it back the same; NetCDF has no float16, which is
            widened to float32 and noted in the layer's attribute ``widened_from``.
        """
        import zarr

        target = Path(path)
        if target.exists():
            raise InvalidInput(f"{target} exists; save to another path, or delete it first.")
        netcdf = target.suffix in NETCDF_SUFFIXES
        arrays = dict(self._arrays)
        if netcdf:
            for name, array in arrays.items():
                if array.dtype == np.float16:
                    wide = array.astype(np.float32).assign_attrs(array.attrs)
                    arrays[name] = wide.assign_attrs(widened_from="float16")
        tree = Recording(arrays, self.provenance).to_datatree()
        with atomic_path(target) as temporary, storing(target):
            if netcdf:
                tree.to_netcdf(temporary, engine="h5netcdf", write_inherited_coords=True)
            else:
                encoding = {
                    f"/{name}": {"activation": {"compressors": codecs()}} for name in arrays
                }
                tree.to_zarr(
                    temporary, consolidated=False, write_inherited_coords=True, encoding=encoding
                )
                root = zarr.open_group(temporary, mode="r+", use_consolidated=False)
                root.attrs[ATTRIBUTE] = content_digest(temporary)
        return target


def label_array(
    values: Any, layer: Layer, coords: Mapping[str, np.ndarray], provenance: str
) -> "xr.DataArray":
    """Return `values` (stimulus, time, ...) with the coordinates of stimuli and of the layer."""
    import xarray as xr

    return xr.DataArray(
        values,
        dims=("stimulus", "time", *layer.dims),
        coords={
            **{name: ("stimulus", c) for name, c in with_index(coords, len(values)).items()},
            **layer.coords,
        },
        name=layer.label,
        attrs={**layer.attrs, "provenance": provenance},
    )


def open_recording(path: str | os.PathLike[str]) -> Recording:
    """Open a recording lazily: coordinates are loaded, activations are read when needed.

    Parameters
    ----------
    path : path-like
        A store of `record`, or what `Recording.save` wrote.

    Returns
    -------
    Recording
        Its arrays are dask arrays, one dask chunk a stored chunk.

    Raises
    ------
    RecordingError
        If there is none, it is unfinished, or it is damaged.

    Examples
    --------
    >>> import tempfile, torch
    >>> from attnsci.recording import record
    >>> folder = tempfile.mkdtemp()
    >>> _ = record(torch.nn.Linear(3, 2), torch.rand(5, 3), "", store=f"{folder}/run.zarr")
    >>> open_recording(f"{folder}/run.zarr")["output"].sizes["unit"]
    2
    """
    target = Path(path)
    recover(target)  # a kill may have come between the two renames
    if target.suffix in NETCDF_SUFFIXES and target.is_file():
        return _open_saved(target, {"engine": "h5netcdf"})
    store = Store(target)
    store.load("r")
    if not store.arrays:
        check_content(target, store.attrs)
        return _open_saved(target, {"engine": "zarr", "consolidated": False})
    with storing(target):
        done = store.sound_chunks()
    if not store.attrs["complete"] or ATTRIBUTE not in store.attrs or not done.all():
        raise RecordingError(
            f"{target} is not whole: {int(done.sum())} of {len(done)} chunks are there and "
            "sound. Repeat the record(...) call that made it; it records only the others."
        )
    return _open_store(store)


def _open_store(store: Store) -> Recording:
    """Open what `record` streamed."""
    import xarray as xr

    with _reading(store.path):
        arrays = {}
        for name, stored in store.arrays.items():
            beside = xr.Dataset()
            if len(list(store.root[name].array_keys())) > 1:
                beside = xr.open_dataset(store.path, engine="zarr", group=name, consolidated=False)
            source = _Lazy(stored, store.path, name, stored.chunks[0])
            dims = stored.metadata.dimension_names
            arrays[name] = _labelled(source, dims, dict(stored.attrs), beside)
        return _gathered(arrays, store.attrs["provenance"])


def _open_saved(path: Path, options: dict[str, Any]) -> Recording:
    """Open what `Recording.save` wrote."""
    import h5py
    import xarray as xr

    with _reading(path):
        if path.is_file():  # h5netcdf trips over its own cleaning up where this fails
            with h5py.File(path) as file:
                dict(file.attrs)
        with xr.open_dataset(path, **options) as root:
            provenance, layers = root.attrs["provenance"], json.loads(root.attrs["layers"])
        arrays = {}
        for name in layers:
            dataset = xr.open_dataset(path, group=name, **options)
            stored = dataset["activation"].variable
            rows = stored.encoding.get("preferred_chunks", {}).get("stimulus", stored.shape[0])
            source = _Lazy(stored, path, name, rows)
            arrays[name] = _labelled(source, map(str, stored.dims), stored.attrs, dataset)
        return _gathered(arrays, provenance)


@contextlib.contextmanager
def _reading(path: Path) -> Iterator[None]:
    try:
        yield
    except Exception as error:  # every reader has its own errors for a damaged file
        raise RecordingError(
            f"{path} cannot be read as a recording: {type(error).__name__}: {error}. If it was "
            "damaged, restore it or record again."
        ) from error


def _gathered(arrays: Mapping[str, "xr.DataArray"], provenance: str) -> Recording:
    marked = {name: array.assign_attrs(provenance=provenance) for name, array in arrays.items()}
    return Recording(marked, json.loads(provenance))


def _labelled(
    source: "_Lazy", dims: Iterable[str], attrs: Mapping[str, Any], beside: "xr.Dataset"
) -> "xr.DataArray":
    """Return a lazy array with the coordinates stored `beside` it, loaded."""
    import dask.array as da
    import xarray as xr

    dims = tuple(dims)
    coords: dict[str, Any] = {
        dim: (dim, np.arange(length)) for dim, length in zip(dims, source.shape, strict=True)
    }
    for name, values in [*beside.coords.items(), *beside.data_vars.items()]:
        if name != "activation":
            text = values.dtype.kind in "TU"
            coords[str(name)] = (
                values.dims,
                values.values.astype(object) if text else values.values,
            )
    # Whole along everything but stimulus, also where a ragged layer's time has grown.
    lazy = da.from_array(
        source,
        chunks=(source.rows, *source.shape[1:]),
        meta=np.empty((0,) * source.ndim, source.dtype),
    )
    return xr.DataArray(lazy, coords, dims, name=source.layer, attrs=attrs)


class _Lazy:
    """A stored array whose damaged chunks raise our error, also inside a dask graph."""

    def __init__(self, stored: Any, path: Path, layer: str, rows: int) -> None:
        self._stored, self._path, self.layer, self.rows = stored, path, layer, rows
        self.shape, self.dtype, self.ndim = stored.shape, stored.dtype, stored.ndim

    def __getitem__(self, key: Any) -> np.ndarray:
        try:
            return np.asarray(self._stored[key])
        except (OSError, RuntimeError, ValueError, KeyError) as error:
            raise RecordingError(
                f"{self._path}: layer {self.layer!r} cannot be read at {key}: {error}. The chunk "
                "is damaged; repeat the record(...) call that made it."
            ) from error
