"""What is shown: all that holds stimuli, cut into batches for a model.

Two forms stand behind every kind: an `Indexed` set, any part of which can be had, and a `Stream`,
which comes once, in order. Both give batches of images with coordinates.
"""

import collections
import contextlib
import dataclasses
import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Sized, ValuesView
from typing import TYPE_CHECKING, Any

import numpy as np

from attnsci.errors import InvalidInput
from attnsci.recording.pictures import colours, files_of, is_path, is_picture, pixels
from attnsci.recording.schema import device_of, joined, plain, plain_config

if TYPE_CHECKING:
    import torch

Coords = dict[str, np.ndarray]

_KINDS = (
    "stimuli must be images (N, C, H, W), paths, PIL images, an object or mapping with 'image', "
    "a torch Dataset or DataLoader, or an iterable of such"
)
_ITEMS = (
    "A stream or list yields images or batches of them, alone, as (image, label), as "
    "(image, {'NAME': value}), or as a mapping with 'image'"
)


@dataclasses.dataclass
class Indexed:
    """A set of `n` stimuli: ``part(slice)`` gives images and coordinates.

    Attributes
    ----------
    kind : str
        What was passed in, for provenance.
    coords : dict, optional
        All coordinates, where they are known without reading an image.
    dtype : str
        Of the images as they came; known once the first batch was shown.
    provenance : optional
        What the set says of itself.
    """

    kind: str
    n: int
    part: Callable[[slice], tuple[Any, Coords]]
    coords: Coords | None = None
    dtype: str = ""
    provenance: Any = None


@dataclasses.dataclass
class Stream:
    """Stimuli that come one after the other, `n` in all where that is known.

    Attributes
    ----------
    single : bool, optional
        True: each item is one stimulus; False: a batch. Default: as each item's shape says.
    shuffled : bool
        Another order each time.
    """

    kind: str
    items: Iterable[Any]
    n: int | None
    single: bool | None = None
    shuffled: bool = False
    dtype: str = ""
    provenance: Any = None


# --- the front door ----------------------------------------------------------------------------


def source(stimuli: Any) -> Indexed | Stream:
    """Return any kind of stimuli in one of the two forms; no image is read.

    Raises
    ------
    InvalidInput
        If `stimuli` holds none, or its coordinates do not fit its images.
    DatasetNotFound, DatasetCorrupt
        If a path leads to no picture.
    """
    if isinstance(stimuli, Indexed | Stream):
        return stimuli
    shown = _source(stimuli)
    if shown.n == 0:
        raise InvalidInput(f"stimuli is empty: {shown.kind} of length 0.")
    if hasattr(stimuli, "provenance"):
        facts = stimuli.provenance
        shown.provenance = plain_config(facts() if callable(facts) else facts)
    return shown


def _source(stimuli: Any) -> Indexed | Stream:
    import torch.utils.data as data

    kind = type(stimuli).__name__
    _check_plain(stimuli)
    if hasattr(stimuli, "iloc"):  # a pandas Series or DataFrame
        content = dict(stimuli.items()) if hasattr(stimuli, "columns") else list(stimuli)
        return dataclasses.replace(_source(content), kind=kind)
    if is_path(stimuli):
        files, coords = files_of(stimuli)
        return _of_pictures("pictures", files, coords)
    if is_picture(stimuli):
        return _of_pictures(kind, [stimuli], {})
    if isinstance(stimuli, data.DataLoader):
        return _of_loader(stimuli)
    if isinstance(stimuli, data.Dataset) and not isinstance(stimuli, data.IterableDataset):
        return _of_dataset(stimuli) if hasattr(stimuli, "__len__") else _numbered(stimuli)
    if _is_array(stimuli) or _is_labelled(stimuli) or _is_pair_of_arrays(stimuli):
        return _of_whole(kind, *parts(stimuli))
    if isinstance(stimuli, list | tuple | collections.deque | ValuesView):
        return _of_list(kind, list(stimuli))
    if isinstance(stimuli, set | frozenset):
        raise InvalidInput("A set has no order, which coordinates need. Give sorted(stimuli).")
    if _gives_batches(stimuli):
        return Indexed(kind, len(stimuli), lambda part: batch(stimuli[part], single=False))
    if hasattr(stimuli, "__getitem__") and not hasattr(stimuli, "__iter__"):
        return _of_dataset(stimuli) if hasattr(stimuli, "__len__") else _numbered(stimuli)
    if isinstance(stimuli, Iterable) and not isinstance(stimuli, bytes | memoryview):
        return Stream(kind, stimuli, len(stimuli) if isinstance(stimuli, Sized) else None)
    raise InvalidInput(f"{_KINDS}; got {kind}.")


def _is_array(value: Any) -> bool:
    """Tell whether `value` is a tensor, an array, or a lazy array of h5py, zarr or dask."""
    return all(hasattr(value, name) for name in ("shape", "dtype", "__getitem__")) and not hasattr(
        value, "iloc"
    )


def _has_dims(value: Any) -> bool:
    return hasattr(value, "dims") and hasattr(value, "coords")


def _is_labelled(value: Any) -> bool:
    """Tell whether `value` is a mapping or an object that holds images beside coordinates."""
    return isinstance(value, Mapping) or (
        hasattr(value, "image") and not is_picture(value) and not _is_array(value)
    )


def _is_pair_of_arrays(value: Any) -> bool:
    """Tell whether `value` is a tuple of images and what is known of each."""
    if not isinstance(value, tuple) or len(value) != 2 or not _is_array(value[0]):
        return False
    image, known = value
    nested = isinstance(known, list | tuple) and not all(_is_scalar(value) for value in known)
    return isinstance(known, Mapping) or (
        len(image.shape) > 1 and len(_shape(known)) == 1 and not nested
    )


def _gives_batches(value: Any) -> bool:
    """Tell whether slices of `value` are batches: the house's sets, and Hugging Face's."""
    if not hasattr(value, "__len__") or not hasattr(value, "__getitem__") or not len(value):
        return False
    try:
        return _is_labelled(value[0:1])
    except (TypeError, LookupError, ValueError, AttributeError):  # it takes no slices
        return False


def _of_whole(kind: str, image: Any, extra: Mapping[str, Any]) -> Indexed:
    """Return the set of `image`, all of them, and what is known of each."""
    shape = tuple(getattr(image, "shape", ()))
    if _is_array(image) and (not shape or getattr(image.dtype, "kind", "f") not in "OUST"):
        if len(shape) < 2 or shape[0] == 0:
            raise InvalidInput(
                f"stimuli must be (N, C, H, W), or at least (N, features), and not empty; got "
                f"shape {shape}."
            )
        bare = Indexed(kind, shape[0], lambda part: (image[part], {}), {})
    else:
        inner = source(list(image) if _is_array(image) else image)
        if isinstance(inner, Stream):
            raise InvalidInput(
                "'image' must hold one image a stimulus, not several or batches of them. Where a "
                "model takes several, show one, and add the others in forward=."
            )
        bare = inner
    given = {str(name): plain(name, values, bare.n) for name, values in extra.items()}
    if not given:
        return dataclasses.replace(bare, kind=kind)

    def part(rows: slice) -> tuple[Any, Coords]:
        images, coords = bare.part(rows)
        return images, {**coords, **{name: values[rows] for name, values in given.items()}}

    known = None if bare.coords is None else {**bare.coords, **given}
    return Indexed(kind, bare.n, part, known)


def _of_pictures(kind: str, pictures: Sequence[Any], known: Mapping[str, Any]) -> Indexed:
    in_colour = colours(pictures)
    coords = {name: plain(name, values, len(pictures)) for name, values in known.items()}

    def part(rows: slice) -> tuple[Any, Coords]:
        images = pixels(pictures[rows], in_colour, rows.indices(len(pictures))[0])
        return images, {name: values[rows] for name, values in coords.items()}

    return Indexed(kind, len(pictures), part, coords)


def _of_list(kind: str, items: Sequence[Any]) -> Indexed | Stream:
    if items and all(is_path(item) for item in items):
        names = [str(item) for item in items]
        return _of_pictures("pictures", items, {"file": names})
    if items and all(is_picture(item) for item in items):
        return _of_pictures("PIL images", items, {})
    if all(_is_single(*parts(item)) for item in items):
        return Indexed(kind, len(items), lambda rows: _stack(items[rows], rows.start))
    # The length of a batch is read off without decoding the pictures of the others.
    taken = [parts(item) for item in items]
    n = sum(1 if _is_single(*item) else (*_shape(item[0]), 1)[0] for item in taken)
    return Stream(kind, items, n)


def _of_dataset(dataset: Any) -> Indexed:
    def item(index: int) -> Any:
        try:
            return dataset[index]
        except (OSError, LookupError) as error:
            raise InvalidInput(f"Item {index} of {kind} cannot be read: {error}.") from error

    def part(rows: slice) -> tuple[Any, Coords]:
        indices = range(*rows.indices(len(dataset)))
        return _stack([item(index) for index in indices], rows.start)

    kind = type(dataset).__name__
    return Indexed(kind, len(dataset), part)


def _numbered(dataset: Any) -> Stream:
    """Return the stream of a set that has numbers and no length: it ends with IndexError."""

    class Items:
        def __iter__(self) -> Iterator[Any]:
            with contextlib.suppress(IndexError):
                for index in itertools.count():
                    yield dataset[index]

    return Stream(type(dataset).__name__, Items(), None, single=True)


def _of_loader(loader: Any) -> Stream:
    import torch.utils.data as data

    # A sampler of another class may take any number of stimuli.
    batches = loader.batch_sampler if type(loader.batch_sampler) is data.BatchSampler else None
    sampler = loader.sampler if batches is None else batches.sampler
    n = None
    if batches is not None and not isinstance(loader.dataset, data.IterableDataset):
        n = len(sampler) if isinstance(sampler, Sized) else None
        if n is not None and batches.drop_last:
            n -= n % batches.batch_size
    random = (data.RandomSampler, data.SubsetRandomSampler, data.WeightedRandomSampler)
    # Without batches of its own a loader hands on what its set gives, be it one or many.
    single = None if loader.batch_sampler is None else False
    return Stream("DataLoader", loader, n, single, isinstance(sampler, random))


# --- items: one stimulus, or a batch -----------------------------------------------------------


def parts(item: Any) -> tuple[Any, dict[str, Any]]:
    """Return the images of `item` and what is known of them, both as they came."""
    _check_plain(item)
    if is_path(item) or is_picture(item):
        return item, {}
    if isinstance(item, list | tuple):
        return _pair(item)
    if _has_dims(item) and _is_array(item):
        item = {"image": item, **{str(name): item[name] for name in item.coords}}
    if _is_array(item):
        return item, {}
    if isinstance(item, Mapping):
        if "image" not in item:
            raise InvalidInput(
                f"stimuli needs an entry 'image' (pixels, or paths of pictures); it has "
                f"{list(item)}."
            )
        image, extra = item["image"], dict(item)
        if _has_dims(image):  # an xarray.Dataset, or a mapping of DataArrays
            image, extra = _without_dims(image, item)
    elif hasattr(item, "image"):
        image, extra = item.image, _metadata(item)
    else:
        raise InvalidInput(f"{_ITEMS}; got {type(item).__name__}.")
    extra.pop("image", None)
    _check_plain(image)
    return image, extra


def _pair(item: Sequence[Any]) -> tuple[Any, dict[str, Any]]:
    if len(item) not in (1, 2):
        kinds = ", ".join(type(part).__name__ for part in item)
        raise InvalidInput(
            f"Of ({kinds}) only image and label have names. Name the others: "
            "((image, {'label': label, 'NAME': value}) for image, label, value in stimuli)."
        )
    # A list as image is one of pictures, collated.
    image, extra = (item[0], {}) if isinstance(item[0], list | tuple) else parts(item[0])
    if len(item) == 1 or item[1] is None:
        return image, extra
    known = item[1] if isinstance(item[1], Mapping) else {"label": item[1]}
    return image, {**extra, **{str(name): value for name, value in known.items()}}


def _without_dims(image: Any, item: Mapping[Any, Any]) -> tuple[Any, dict[str, Any]]:
    """Return an array with dimensions as (stimulus, channel, y, x), and its coordinates."""
    first, *rest = image.dims
    axes = ["channel", "y", "x"]
    if set(axes) == set(image.dims):
        raise InvalidInput(
            "'image' has the dimensions channel, y, x. Of one image make a set: "
            "image.expand_dims('stimulus')."
        )
    if set(axes) < set(image.dims) and len(image.dims) == 4:
        first, rest = next(dim for dim in image.dims if dim not in axes), axes
    image = image.transpose(first, *rest)
    named = item.variables if hasattr(item, "variables") else item
    extra = {
        name: value.values
        for name, value in named.items()
        if name != "image" and getattr(value, "dims", None) == (first,)
    }
    return image, extra


def _metadata(stimuli: Any) -> dict[str, Any]:
    """Return the per-stimulus metadata of a batch object."""
    if hasattr(stimuli, "coords"):
        return dict(stimuli.coords() if callable(stimuli.coords) else stimuli.coords)
    if not dataclasses.is_dataclass(stimuli):
        return {}
    n, known = len(stimuli.image), {}  # type: ignore[union-attr]
    for entry in dataclasses.fields(stimuli):
        value = getattr(stimuli, entry.name)
        several = isinstance(value, list | tuple) or hasattr(value, "shape")
        if several and np.shape(value) == (n,) and entry.name != "image":
            known[entry.name] = value
    return known


def _is_single(image: Any, extra: Mapping[str, Any]) -> bool:
    """Tell one stimulus from a batch: by its values, or (C, H, W) and (features,) by the axes."""
    if is_path(image) or is_picture(image):
        return True
    if extra:
        return all(_is_scalar(value) for value in extra.values())
    return _is_array(image) and len(image.shape) in (1, 3)


def _is_scalar(value: Any) -> bool:
    return _shape(value) == ()


def _shape(value: Any) -> tuple[int, ...]:
    if isinstance(value, list | tuple):
        return (len(value),)
    return tuple(getattr(value, "shape", ()))


def batch(item: Any, single: bool | None = None) -> tuple[Any, Coords]:
    """Return images (n, ...) and coordinates of an item of a stream."""
    image, extra = parts(item)
    if _is_single(image, extra) if single is None else single:
        return _stack([item])
    if isinstance(image, list | tuple):  # a batch of pictures, or of single images
        whole = _of_whole("batch", image, extra)
        return whole.part(slice(0, whole.n))
    shape = tuple(getattr(image, "shape", ()))
    if len(shape) < 2 or shape[0] == 0:
        got = f"shape {shape}" if _is_array(image) else type(image).__name__
        raise InvalidInput(f"{_ITEMS}; got {got}.")
    return image, {str(name): plain(name, values, shape[0]) for name, values in extra.items()}


def _stack(items: Sequence[Any], start: int | None = None) -> tuple["torch.Tensor", Coords]:
    """Return single stimuli as one batch; `start` is the number of the first."""
    import torch

    images, known = [], []
    for item in items:
        image, extra = parts(item)
        if is_path(image):
            extra = {"file": str(image), **extra}
        if is_path(image) or is_picture(image):
            images.append(torch.from_numpy(pixels([image]))[0])
        elif _is_array(image):
            images.append(tensor_of(image))
        else:
            raise InvalidInput(f"{_ITEMS}; got an image of type {type(image).__name__}.")
        known.append(extra)
    _same([list(extra) for extra in known])
    sizes = [tuple(image.shape) for image in images]
    other = next((i for i, size in enumerate(sizes) if size != sizes[0]), None)
    if other is not None:
        raise _sizes_differ(sizes[0], sizes[other], start or 0, (start or 0) + other)
    dtypes = sorted({str(image.dtype) for image in images})
    if len(dtypes) > 1:
        raise InvalidInput(
            f"Stimuli of one set must have one dtype; got {' and '.join(dtypes)}. Of uint8 make "
            "floats first: image / 255."
        )
    coords = {
        name: plain(name, [_scalar(name, extra[name]) for extra in known]) for name in known[0]
    }
    return torch.stack(images), {str(name): values for name, values in coords.items()}


def _scalar(name: str, value: Any) -> Any:
    """Return one stimulus's value of a coordinate as a plain one."""
    if hasattr(value, "detach"):
        value = value.detach().cpu().numpy()
    if _shape(value) == (1,):
        return np.asarray(value)[0]
    if _is_scalar(value):
        return value
    raise InvalidInput(
        f"Coordinate {name!r} must have one value a stimulus; got one of shape {_shape(value)}. "
        "Choose what to keep of it: ((image, {'NAME': value}) for image, ... in stimuli)."
    )


def _same(names: Sequence[Sequence[str]]) -> None:
    for other in names:
        if sorted(other) != sorted(names[0]):
            raise InvalidInput(
                f"Every batch of a stream needs the same coordinates; got {sorted(other)} after "
                f"{sorted(names[0])}."
            )


def _sizes_differ(first: Any, other: Any, *where: int) -> InvalidInput:
    named = "".join(f" (stimuli {where[0]} and {where[1]})" if where else "")
    same_but_channels = len(first) == len(other) == 3 and first[1:] == other[1:]
    way = "Convert all: image.convert('RGB')" if same_but_channels else "Resize or crop them first"
    return InvalidInput(
        f"Stimuli of one batch must have one size; got {tuple(first)} and {tuple(other)}{named}. "
        f"{way}."
    )


# --- batches -----------------------------------------------------------------------------------


def batches(stimuli: Any, batch_size: int) -> Iterator[tuple["torch.Tensor", Coords]]:
    """Yield (image, coords) of exactly `batch_size` stimuli, the last batch excepted.

    A stream is cut anew, so that a recording does not depend on how its source was cut.
    """
    shown = source(stimuli)
    if isinstance(shown, Indexed):
        for start in range(0, shown.n, batch_size):
            image, coords = shown.part(slice(start, start + batch_size))
            yield _noted(shown, image), coords
        return
    waiting: list[tuple[torch.Tensor, Coords]] = []
    count, names = 0, None
    for item in shown.items:
        image, coords = batch(item, shown.single)
        names = names or sorted(coords)
        _same([names, sorted(coords)])
        waiting.append((_noted(shown, image[:]), coords))
        count += len(image)
        while count >= batch_size:
            ready, waiting = _cut(waiting, batch_size)
            count -= batch_size
            yield ready
    if names is None:
        raise InvalidInput(
            f"stimuli is empty: nothing came from {shown.kind}. A generator can be read once only."
        )
    if count:
        yield _cut(waiting, count)[0]


def _noted(shown: Indexed | Stream, image: Any) -> "torch.Tensor":
    tensor = tensor_of(image)
    shown.dtype = shown.dtype or str(tensor.dtype).removeprefix("torch.")
    return to_tensor(tensor)


def _cut(waiting: list, size: int) -> tuple[tuple["torch.Tensor", Coords], list]:
    """Split the first `size` stimuli off `waiting`."""
    import torch

    if len(waiting) > 1:
        first = waiting[0][0].shape[1:]
        for part, _ in waiting:
            if part.shape[1:] != first:
                raise _sizes_differ(first, part.shape[1:])
        image = torch.cat([part for part, _ in waiting])
        coords = joined([part for _, part in waiting])
    else:
        image, coords = waiting[0]
    head = {name: values[:size] for name, values in coords.items()}
    tail = {name: values[size:] for name, values in coords.items()}
    return (image[:size], head), [(image[size:], tail)] if len(image) > size else []


def count_stimuli(stimuli: Any, n_stimuli: int | None) -> int | None:
    """Return how many stimuli will come, None where only the end of the stream can tell."""
    shown = source(stimuli)
    if isinstance(shown, Indexed) and n_stimuli not in (None, shown.n):
        raise InvalidInput(f"n_stimuli={n_stimuli}, and there are {shown.n} stimuli.")
    return shown.n if n_stimuli is None else n_stimuli


def describe_source(shown: Indexed | Stream) -> dict[str, Any]:
    """Return what was shown, for provenance."""
    scaled = {"scaled": "uint8 / 255"} if shown.dtype == "uint8" else {}
    own = {} if shown.provenance is None else {"provenance": shown.provenance}
    return {"kind": shown.kind, "dtype": shown.dtype, **scaled, **own}


# --- tensors -----------------------------------------------------------------------------------


def tensor_of(image: Any) -> "torch.Tensor":
    """Return images of any array type as a plain tensor that holds numbers.

    Raises
    ------
    InvalidInput
        If it holds none: sparse, nested, quantised or masked, on the meta device, no numbers.
    """
    import torch

    if isinstance(image, torch.Tensor):
        _check_plain(image)
        return image if type(image) is torch.Tensor else image.as_subclass(torch.Tensor)
    if np.ma.isMaskedArray(image) and np.ma.is_masked(image):
        raise InvalidInput("stimuli are masked in places. Fill those first: stimuli.filled(0).")
    values = np.ascontiguousarray(getattr(image, "values", image))
    if values.dtype.kind not in "biufc" or values.dtype.itemsize > 16:
        raise InvalidInput(f"stimuli must be numbers; got an array of dtype {values.dtype}.")
    if values.dtype.kind == "f" and values.dtype.itemsize > 8:
        values = values.astype(np.float64)
    values = values.astype(values.dtype.newbyteorder("="), copy=False)
    if values.dtype.kind == "c":
        raise InvalidInput(f"stimuli are {_complex(values.dtype)}.")
    usable = values.flags.writeable and min(values.strides, default=0) >= 0
    return torch.from_numpy(values if usable else values.copy())


def _check_plain(image: Any) -> None:
    """Raise `InvalidInput` if `image` is a tensor that does not hold one number a place."""
    import torch

    if isinstance(image, torch.Tensor) and (kind := _unusable(image)):
        raise InvalidInput(f"stimuli are {kind}.")


def _unusable(image: "torch.Tensor") -> str:
    """Return what keeps a tensor from being shown, and the line that mends it."""
    import torch

    if image.is_nested:
        return "a nested tensor. Give a list of tensors of one size, or stimuli.to_padded_tensor(0)"
    if image.layout != torch.strided:
        return f"sparse ({image.layout}). Give stimuli.to_dense()"
    if image.is_quantized:
        return f"quantised ({image.dtype}). Give stimuli.dequantize()"
    if image.is_meta or hasattr(image, "fake_mode"):
        return "meta or fake tensors, which hold no values. Give real ones"
    if image.is_complex():
        return _complex(image.dtype)
    if type(image).__name__ == "MaskedTensor":
        return "masked. Fill the places that are: stimuli.to_tensor(0)"
    return ""


def _complex(dtype: Any) -> str:
    return f"complex ({dtype}). Give their magnitude, abs(stimuli), or torch.view_as_real(stimuli)"


def to_tensor(image: Any) -> "torch.Tensor":
    """Return images as a tensor without NaN or infinity, uint8 as float32 from 0 to 1.

    Other integers and booleans stay what they are: indices of an embedding, masks.
    """
    import torch

    image = tensor_of(image)
    if image.dtype == torch.uint8:
        return image.float() / 255
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
