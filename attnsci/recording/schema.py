"""The shape of a recording: its stimuli, coordinates, dimensions, dtypes and signature."""

import itertools
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from attnsci.checks import check_option
from attnsci.errors import InvalidInput, RecordingError
from attnsci.provenance import to_json
from attnsci.recording.fingerprint import describe
from attnsci.recording.sites import Site
from attnsci.recording.tokens import DIMS, token_coords

if TYPE_CHECKING:
    import torch

FORMAT = 2
MEBIBYTE = 2**20
SMALLEST_CHUNK, LARGEST_CHUNK = 8 * MEBIBYTE, 64 * MEBIBYTE
BUFFERS = 3  # one filling, two waiting for the disk
FLOATS = ("float16", "float32", "float64")


@dataclass
class Layer:
    """How one layer is kept: `shape` is (time, ...), without the stimulus axis."""

    label: str
    dims: tuple[str, ...]
    shape: tuple[int, ...]
    dtype: np.dtype
    ragged: bool = False
    coords: dict[str, tuple[str, np.ndarray]] = field(default_factory=dict)
    attrs: dict[str, str | int | float] = field(default_factory=dict)

    @property
    def fill(self) -> Any:
        """What stands where nothing was recorded: NaN, or 0 where the dtype has no NaN."""
        return np.nan if self.dtype.kind == "f" else self.dtype.type(0)

    @property
    def bytes_per_stimulus(self) -> int:
        """Payload of one stimulus."""
        return int(np.prod(self.shape, dtype=np.int64)) * self.dtype.itemsize


def stored_dtype(tensor: "torch.Tensor", floats: str, label: str) -> np.dtype:
    """Return the dtype to keep `tensor` in: floats as `floats`, integers and booleans as is."""
    check_option("dtype", floats, FLOATS)
    if tensor.is_floating_point():
        return np.dtype(floats)
    if tensor.is_complex():
        raise RecordingError(
            f"Layer {label!r} is complex ({tensor.dtype}), which NetCDF cannot hold. Record its "
            "real view: Site(..., reduce=torch.view_as_real, dims=(..., 'part'))."
        )
    return np.dtype(str(tensor.dtype).removeprefix("torch."))


def choose_chunk(
    layers: Iterable[Layer], batch_size: int, chunk: int | None, n: int, max_memory: int
) -> int:
    """Return how many stimuli a chunk holds: a multiple of the batch size, 8 to 64 MiB.

    Raises
    ------
    InvalidInput
        If `chunk` is no multiple of `batch_size`, or the buffers would exceed `max_memory`.
    """
    each = max(1, sum(layer.bytes_per_stimulus for layer in layers))
    if chunk is None:
        batches = max(1, -(-SMALLEST_CHUNK // (each * batch_size)))
        allowed = max(1, min(LARGEST_CHUNK, max_memory // BUFFERS) // (each * batch_size))
        chunk = min(batches, allowed, max(1, -(-n // batch_size))) * batch_size
    elif chunk % batch_size or chunk <= 0:
        raise InvalidInput(
            f"chunk must be a multiple of the batch size, so that no chunk is written twice; got "
            f"chunk={chunk} and batches of {batch_size}."
        )
    if BUFFERS * min(chunk, n) * each > max_memory:
        raise InvalidInput(
            f"{BUFFERS} buffers of {chunk} stimuli need {BUFFERS * chunk * each / MEBIBYTE:.0f} "
            f"MiB, and max_memory is {max_memory / MEBIBYTE:.0f} MiB. Lower batch_size or chunk, "
            "record fewer sites, reduce them, or raise max_memory."
        )
    return chunk


# --- coordinates -------------------------------------------------------------------------------


def plain(name: str, values: Any, n: int | None = None) -> np.ndarray:
    """Return a one-dimensional coordinate as NumPy array, text as objects, missing text as "".

    Objects are the one kind of text that Zarr, NetCDF and pandas all take without a warning.
    """
    if hasattr(values, "detach"):
        values = values.detach().cpu().numpy()
    # NumPy would turn [1, "a"] into text without a word.
    listed = isinstance(values, list | tuple) and any(isinstance(v, str) for v in values)
    try:
        array = np.asarray(values, dtype=object if listed else None)
    except ValueError:  # lists of unequal length
        array = np.empty((len(values), 0))
    if array.ndim != 1 or (n is not None and len(array) != n):
        raise InvalidInput(
            f"Coordinate {name!r} must have one value a stimulus, shape ({n or 'N'},); got "
            f"{array.shape}."
        )
    if not isinstance(name, str) or "/" in name or name in ("image", "activation", ""):
        raise InvalidInput(f"{name!r} cannot name a coordinate; choose another name without '/'.")
    if array.dtype.kind in "biufmM":
        return array
    if array.dtype.kind in "UTO":
        texts = ["" if _missing(value) else value for value in array.tolist()]
        if all(isinstance(text, str) for text in texts):
            return np.array([str(text) for text in texts] or [""], dtype=object)[: len(texts)]
        kinds = sorted({type(text).__name__ for text in texts})
        raise InvalidInput(
            f"Coordinate {name!r} mixes {', '.join(kinds)}; give numbers, booleans or text only."
        )
    raise InvalidInput(f"Coordinate {name!r} has dtype {array.dtype}, which no file can hold.")


def _missing(value: Any) -> bool:
    return value is None or type(value).__name__ == "NAType" or value != value


def joined(parts: list[dict[str, np.ndarray]]) -> dict[str, np.ndarray]:
    """Return the coordinates of all batches, one after the other."""
    names = list(parts[0]) if parts else []
    return {name: np.concatenate([part[name] for part in parts]) for name in names}


def with_index(coords: Mapping[str, np.ndarray], n: int) -> dict[str, np.ndarray]:
    """Return `coords` with the index ``stimulus``, counted from 0 where the caller gave none."""
    return {"stimulus": np.arange(n), **coords}


# --- the model and its layers ------------------------------------------------------------------


def device_of(model: "torch.nn.Module") -> "torch.device":
    """Return the device of the model's first parameter or buffer."""
    import torch

    return next(itertools.chain(model.parameters(), model.buffers()), torch.empty(0)).device


def class_name(model: "torch.nn.Module") -> str:
    """Return module and name of the model's class, looking through ``torch.compile``."""
    inner = getattr(model, "_orig_mod", model)
    return f"{type(inner).__module__}.{type(inner).__qualname__}"


def plain_config(config: Any) -> Any:
    """Return a model's configuration as plain values, or how it prints where that fails."""
    try:
        return json.loads(to_json(config))
    except (TypeError, ValueError):
        return repr(config)


def torch_dtype(dtype: np.dtype) -> "torch.dtype":
    """Return torch's name for `dtype`."""
    import torch

    return getattr(torch, str(dtype))


def words(value: Any, default: str) -> str:
    """Return a setting of a site as text for a layer's attributes."""
    return default if value is None else str(describe(value, refuse=False))


def layer_coords(site: Site, layer: Layer) -> dict[str, tuple[str, np.ndarray]]:
    """Return the coordinates of a layer's own dimensions: integers, and what the site gives.

    Raises
    ------
    InvalidInput
        If a coordinate's length or dimension does not fit.
    """
    sizes = dict(zip(("time", *layer.dims), layer.shape, strict=True))
    coords = {dim: (dim, np.arange(length)) for dim, length in sizes.items()}
    for dim in DIMS:
        if dim in sizes and dim in layer.attrs:
            coords.update(token_coords(dim, str(layer.attrs[dim])))
    if site.calls is not None:
        coords["time"] = ("time", np.asarray(site.calls))
    if isinstance(site.reduce, tuple):  # a crop keeps its place in the layer
        for dim, window in zip(("y", "x"), site.reduce, strict=True):
            first, step = window.start or 0, window.step or 1
            if first < 0 or step < 0:
                raise InvalidInput(f"A crop counts from 0 upwards; got {window} along {dim}.")
            coords[dim] = (dim, first + step * np.arange(sizes[dim]))
    for name, given in (site.coords or {}).items():
        dim, values = given if isinstance(given, tuple) and len(given) == 2 else (name, given)
        if dim not in sizes:
            raise InvalidInput(
                f"Site.coords: {name!r} lies along {dim!r}, and layer {layer.label!r} has "
                f"{list(sizes)}."
            )
        coords[name] = (dim, plain(name, values, sizes[dim]))
    return coords
