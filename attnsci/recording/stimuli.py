"""What is shown: whole sets, batches and streams of stimuli, cut into batches for a model."""

import dataclasses
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from attnsci.errors import InvalidInput
from attnsci.recording.schema import device_of, joined, plain

if TYPE_CHECKING:
    import torch


def batches(
    stimuli: Any, batch_size: int
) -> Iterator[tuple["torch.Tensor", dict[str, np.ndarray]]]:
    """Yield (image, coords) of exactly `batch_size` stimuli, the last batch excepted.

    A stream is cut anew, so that a recording does not depend on how its source was cut.
    """
    import torch

    whole = as_batch(stimuli)
    if whole is not None:
        image, coords = whole
        for start in range(0, len(image), batch_size):
            part = slice(start, start + batch_size)
            yield to_tensor(image[part]), {name: c[part] for name, c in coords.items()}
        return
    waiting: list[tuple[torch.Tensor, dict[str, np.ndarray]]] = []
    count, names = 0, None
    for item in stimuli:
        image, coords = _streamed(item)
        names = sorted(coords) if names is None else names
        if sorted(coords) != names:
            raise InvalidInput(
                f"Every batch of a stream needs the same coordinates; got {sorted(coords)} after "
                f"{names}."
            )
        waiting.append((to_tensor(image[:]), coords))
        count += len(image)
        while count >= batch_size:
            ready, waiting = _cut(waiting, batch_size)
            count -= batch_size
            yield ready
    if count:
        yield _cut(waiting, count)[0]


def _cut(waiting: list, size: int) -> tuple[tuple["torch.Tensor", dict[str, np.ndarray]], list]:
    """Split the first `size` stimuli off `waiting`."""
    import torch

    if len(waiting) > 1:
        image = torch.cat([part for part, _ in waiting])
        coords = joined([part for _, part in waiting])
    else:
        image, coords = waiting[0]
    head = {name: values[:size] for name, values in coords.items()}
    tail = {name: values[size:] for name, values in coords.items()}
    return (image[:size], head), [(image[size:], tail)] if len(image) > size else []


def count_stimuli(stimuli: Any, n_stimuli: int | None) -> int | None:
    """Return how many stimuli will come, None where only the end of the stream can tell."""
    whole = as_batch(stimuli)
    if whole is not None:
        if n_stimuli not in (None, len(whole[0])):
            raise InvalidInput(f"n_stimuli={n_stimuli}, and there are {len(whole[0])} stimuli.")
        return len(whole[0])
    if n_stimuli is not None:
        return n_stimuli
    if isinstance(stimuli, list | tuple):
        return sum(len(_streamed(item)[0]) for item in stimuli)
    return len(stimuli) if hasattr(stimuli, "__len__") else None


def as_batch(stimuli: Any) -> tuple[Any, dict[str, np.ndarray]] | None:
    """Return the images and coordinates of a whole set or batch, None for a stream.

    Raises
    ------
    InvalidInput
        If `stimuli` is neither, is empty, or its coordinates do not fit its images.
    """
    import torch

    if isinstance(stimuli, torch.Tensor | np.ndarray):
        image, extra = stimuli, {}
    elif isinstance(stimuli, Mapping):
        if "image" not in stimuli:
            raise InvalidInput(f"stimuli needs an entry 'image'; it has {list(stimuli)}.")
        image, extra = stimuli["image"], dict(stimuli)
        if hasattr(image, "dims"):  # an xarray.Dataset, or a mapping of DataArrays
            first, *rest = image.dims
            if {"channel", "y", "x"} <= set(image.dims):
                first, rest = "stimulus", ["channel", "y", "x"]
            image = image.transpose(first, *rest)
            named = stimuli.variables if hasattr(stimuli, "variables") else stimuli
            extra = {
                name: value.values
                for name, value in named.items()
                if name != "image" and getattr(value, "dims", None) == (first,)
            }
    elif hasattr(stimuli, "image"):
        image, extra = stimuli.image, _metadata(stimuli)
    elif isinstance(stimuli, Iterable) and not isinstance(stimuli, str | bytes):
        return None
    else:
        raise InvalidInput(
            "stimuli must be a tensor (N, C, H, W), an object or mapping with 'image', or an "
            f"iterable of such batches; got {type(stimuli).__name__}."
        )
    extra.pop("image", None)
    if len(image.shape) < 2 or image.shape[0] == 0:
        raise InvalidInput(
            f"stimuli must be (N, C, H, W), or at least (N, features), and not empty; got shape "
            f"{tuple(image.shape)}."
        )
    n = image.shape[0]
    return image, {str(name): plain(name, values, n) for name, values in extra.items()}


def _metadata(stimuli: Any) -> dict[str, Any]:
    """Return the per-stimulus metadata of a batch object."""
    if hasattr(stimuli, "coords"):
        return dict(stimuli.coords() if callable(stimuli.coords) else stimuli.coords)
    if not dataclasses.is_dataclass(stimuli):
        return {}
    n, found = len(stimuli.image), {}  # type: ignore[union-attr]
    for entry in dataclasses.fields(stimuli):
        value = getattr(stimuli, entry.name)
        listed = isinstance(value, list | tuple) or hasattr(value, "shape")
        if listed and np.shape(value) == (n,) and entry.name != "image":
            found[entry.name] = value
    return found


def _streamed(item: Any) -> tuple[Any, dict[str, np.ndarray]]:
    """Return images and coordinates of one batch of a stream."""
    extra: Any = {}
    if isinstance(item, tuple | list):
        if len(item) != 2 or not isinstance(item[1], Mapping):
            kinds = ", ".join(type(part).__name__ for part in item)
            raise InvalidInput(
                f"A stream yields stimulus batches, or (batch, coords) with coords a mapping such "
                f"as {{'label': labels}}; got {type(item).__name__}({kinds})."
            )
        item, extra = item
    batch = as_batch(item)
    if batch is None:
        raise InvalidInput(f"A stream yields stimulus batches; got {type(item).__name__}.")
    image, coords = batch
    n = image.shape[0]
    return image, {**coords, **{str(k): plain(k, values, n) for k, values in extra.items()}}


def to_tensor(image: Any) -> "torch.Tensor":
    """Return images as a tensor without NaN or infinity."""
    import torch

    if not isinstance(image, torch.Tensor):
        values = np.ascontiguousarray(getattr(image, "values", image))
        image = torch.from_numpy(values if values.flags.writeable else values.copy())
    # A sum is NaN or infinite if an entry is, and costs far less than looking at each.
    if image.is_floating_point() and not bool(torch.isfinite(image.sum())):
        bad = ~torch.isfinite(image.flatten(1)).all(1)
        if bad.any():
            raise InvalidInput(
                f"{int(bad.sum())} images hold NaN or infinity, the first at index "
                f"{int(bad.nonzero()[0])} of its batch. Their responses would look like missing "
                "ones."
            )
    return image


def to_model(image: "torch.Tensor", model: "torch.nn.Module") -> "torch.Tensor":
    """Return `image` on the model's device, floats in the dtype of its parameters."""
    floats = [p.dtype for p in model.parameters() if p.is_floating_point()]
    if image.is_floating_point() and floats:
        return image.to(device_of(model), floats[0])
    return image.to(device_of(model))
