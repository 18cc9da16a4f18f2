"""What to record: sites of a model, how to pick a tensor there and how to reduce it."""

import dataclasses
import functools
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from attnsci.checks import check_option, nearest
from attnsci.errors import InvalidInput, RecordingError, UnknownName
from attnsci.provenance import array_hash
from attnsci.recording.fingerprint import describe
from attnsci.recording.kinds_of_models import check_model, readable

if TYPE_CHECKING:
    import torch

_WILDCARDS = "*?["
_SHOWN = 12


@dataclass(frozen=True, eq=False)
class Site:
    """One thing to record in a model.

    Parameters
    ----------
    name : str
        Name of a module as in ``model.named_modules()``, a pattern (``"layer*.0"``), the name of
        a `tap`, or ``""`` for the model itself. In a pattern ``*`` stands for anything between
        two dots, ``**`` for anything.
    what : {"output", "input", "kwarg", "attr", "attention"}
        What of the module: what it returns, its positional arguments before it runs, one of
        its keyword arguments, one of its attributes after it ran, or the weights of the
        attention inside it, (head, query, key) after the softmax.
    pick : int, str, tuple or callable, optional
        Which tensor, where a tuple or a mapping comes: an index, a key, a path of both
        (``(1, 0)`` is the first entry of the second) or a function. Default: the first
        tensor. For "kwarg" and "attr" it is the name of the argument or attribute.
    dims : tuple of str, optional
        Names of the axes of what is kept, without the stimulus axis. Default: what the model's
        operations tell, ``channel, y, x`` or ``token, unit`` for two, and ``axis1``, ``axis2`` …
        with a warning where they do not tell.
    time : {"calls", "axis"}
        What the dimension ``time`` counts: the calls of the module, or the entries along the
        axis that `dims` calls "time".
    ragged : {"error", "pad"}
        What to do where the number of calls differs between batches: refuse, or fill with NaN
        and add the coordinate ``n_calls``.
    calls : sequence of int, optional
        Keep only these calls (from 0).
    batch_axis : int, optional
        The axis of the tensor that counts stimuli. Default: the one that the model's operations
        tell; refused where they leave it open.
    reduce : str, callable, pair of slices or array of shape (units, K), optional
        "mean_xy", "max_xy", "pca:K"; a function of a tensor (N, ...) that returns a tensor
        (N, ...); a crop ``(slice_y, slice_x)``; or a projection of the flattened units.
    coords : mapping, optional
        More coordinates: ``{"y": values}`` along a dimension, or ``{"y_deg": ("y", values)}``.
    label : str, optional
        Name of the layer in the recording. Default: `name` (``"output"`` for the model itself).
    exclude : str or sequence of str
        Names or patterns; what they match is left out of what the pattern `name` matches.

    Raises
    ------
    InvalidInput
        If an option is not one of those above.

    Examples
    --------
    >>> Site("lstm", pick=(1, 0), label="hidden").label
    'hidden'
    """

    name: str
    what: Literal["output", "input", "kwarg", "attr", "attention"] = "output"
    pick: int | str | tuple[int | str, ...] | Callable[[Any], Any] | None = None
    dims: tuple[str, ...] | None = None
    time: Literal["calls", "axis"] = "calls"
    ragged: Literal["error", "pad"] = "error"
    calls: Sequence[int] | None = None
    batch_axis: int | None = None
    reduce: Any = None
    coords: Mapping[str, Any] | None = None
    label: str | None = None
    exclude: str | Sequence[str] = ()

    def __post_init__(self) -> None:
        check_option("Site.what", self.what, ("output", "input", "kwarg", "attr", "attention"))
        check_option("Site.time", self.time, ("calls", "axis"))
        check_option("Site.ragged", self.ragged, ("error", "pad"))
        dims = () if self.dims is None else tuple(self.dims)
        if len(set(dims)) < len(dims) or "stimulus" in dims or any("/" in dim for dim in dims):
            raise InvalidInput(
                f"Site.dims names the axes after the stimulus axis, each once and without '/'; "
                f"got {self.dims!r}."
            )
        if (self.time == "axis") != ("time" in dims):
            raise InvalidInput(
                f"Site(time='axis') and 'time' in Site.dims belong together; got time="
                f"{self.time!r} and dims={self.dims!r} for {self.name!r}."
            )
        if self.what in ("kwarg", "attr") and not isinstance(self.pick, str):
            raise InvalidInput(
                f"Site({self.name!r}, what={self.what!r}) needs pick='NAME', the name of the "
                f"{'argument' if self.what == 'kwarg' else 'attribute'}; got {self.pick!r}."
            )
        if self.what == "attention" and self.pick is not None:
            raise InvalidInput(
                f"Site({self.name!r}, what='attention') records the weights themselves and takes "
                f"no pick; got {self.pick!r}."
            )
        if self.calls is not None:
            calls = tuple(self.calls)
            if not calls or any(call < 0 for call in calls) or len(set(calls)) < len(calls):
                raise InvalidInput(
                    f"Site.calls lists calls counted from 0, each once; got {self.calls!r}. "
                    "To keep the last call, record all and select time=-1."
                )
        if self.ragged == "pad" and self.coords and _along_time(self.coords):
            raise InvalidInput(
                f"Site({self.name!r}, ragged='pad') cannot take coordinates along time, whose "
                "length is known only at the end. Add them to the recording afterwards."
            )

    def describe(self, *, refuse: bool = False) -> dict[str, Any]:
        """Return what defines the site as plain values, for signatures and provenance.

        With `refuse`, a function that cannot be compared on a resume raises.
        """
        return {
            "name": self.name,
            "what": self.what,
            "pick": describe(self.pick, f"Site({self.name!r}).pick", refuse=refuse),
            "dims": self.dims if self.dims is None else list(self.dims),
            "time": self.time,
            "ragged": self.ragged,
            "calls": self.calls if self.calls is None else list(self.calls),
            "batch_axis": self.batch_axis,
            "reduce": describe(self.reduce, f"Site({self.name!r}).reduce", refuse=refuse),
            "coords": describe(self.coords, f"Site({self.name!r}).coords", refuse=refuse),
        }


@dataclass(frozen=True)
class Resolved:
    """A site, the name it matched, its layer name, its module (None for a `tap`) and pattern."""

    site: Site
    name: str
    label: str
    module: "torch.nn.Module | None"
    pattern: str = ""  # "" where the site names the module itself


def _along_time(coords: Mapping[str, Any]) -> bool:
    return any(
        key == "time" or (isinstance(value, tuple) and value and value[0] == "time")
        for key, value in coords.items()
    )


def module_names(model: "torch.nn.Module") -> dict[str, "torch.nn.Module"]:
    """Return the modules of `model` by name, without what ``torch.compile`` adds to names.

    Where a compiled wrapper and the module inside it share a name, the inner one is taken:
    it is the one that runs eagerly.
    """
    return {clean(name): module for name, module in model.named_modules(remove_duplicate=False)}


def clean(name: str) -> str:
    """Return a module's or parameter's name without the prefix of ``torch.compile``."""
    return ".".join(part for part in name.split(".") if part != "_orig_mod")


def resolve(
    model: "torch.nn.Module",
    sites: str | Site | Iterable[str | Site | Resolved],
    reduce: Any = None,
) -> list[Resolved]:
    """Return the modules that `sites` name; `reduce` is the default of those without one.

    What is resolved already is returned as it is.

    Raises
    ------
    UnknownName
        If a pattern, or a site that is no output, matches no module.
    InvalidInput
        If no site is given, or two would be stored under one name.
    """
    check_model(model)
    if isinstance(sites, str | Site):
        sites = [sites]
    names = module_names(model)
    found: dict[str, Resolved] = {}
    for entry in sites:
        if isinstance(entry, Resolved):
            found[entry.label] = entry
            continue
        if not isinstance(entry, str | Site):
            raise InvalidInput(f"sites takes names and Site objects; got {entry!r}.")
        site = entry if isinstance(entry, Site) else Site(entry)
        if reduce is not None and site.reduce is None:
            site = Site(**{**vars(site), "reduce": reduce})
        for name in _matches(site, names):
            label = check_layer(site.label or name or "output")
            if label in found:
                raise InvalidInput(
                    f"Two sites would be stored as {label!r}. Give one of them another name, "
                    f"Site({name!r}, ..., label='...')."
                )
            pattern = "" if name == site.name else site.name
            found[label] = Resolved(site, name, label, names.get(name), pattern)
    if not found:
        raise InvalidInput("sites is empty; name at least one module.")
    return list(found.values())


def _matches(site: Site, names: Mapping[str, Any]) -> list[str]:
    if site.name in names:
        return [site.name]
    if any(mark in site.name for mark in _WILDCARDS):
        # A module that is reused under several names is recorded once, under the first.
        first = {id(module): name for name, module in reversed(list(names.items()))}
        hits = [name for name in first.values() if name and _fits(name, site.name)]
        if not hits:
            raise unknown_site(site.name, names)
        without = [site.exclude] if isinstance(site.exclude, str) else site.exclude
        hits = [name for name in hits if not any(_fits(name, pattern) for pattern in without)]
        if not hits:
            raise InvalidInput(f"Site({site.name!r}, exclude={site.exclude!r}) leaves no module.")
        if site.label is not None and len(hits) > 1:
            raise InvalidInput(
                f"label={site.label!r} fits one layer, and {site.name!r} matches {len(hits)}: "
                f"{', '.join(hits[:_SHOWN])}."
            )
        return hits
    if site.what != "output":
        raise unknown_site(site.name, names)
    return [site.name]


def _fits(name: str, pattern: str) -> bool:
    """Tell whether `pattern` matches: ``*`` and ``?`` stay between dots, ``**`` crosses them."""
    return re.fullmatch(_expression(pattern), name) is not None


@functools.cache
def _expression(pattern: str) -> str:
    marks = {"**": ".*", "*": "[^.]*", "?": "[^.]"}
    parts = re.split(r"(\*\*|\*|\?|\[[^]]+\])", pattern)
    return "".join(
        marks.get(part)
        or (part.replace("[!", "[^") if part.startswith("[") and len(part) > 2 else re.escape(part))
        for part in parts
    )


def unknown_site(name: str, names: Iterable[str], taps: Iterable[str] = ()) -> UnknownName:
    """Return the error for a site that is neither a module nor a tap."""
    close = ", ".join(repr(option) for option in nearest(name, [*filter(None, names), *taps]))
    return UnknownName(
        f"No module and no tap of the model is called {name!r}. Nearest: {close or 'none'}."
    )


def check_layer(label: str) -> str:
    """Return `label` if it can name a group of a store."""
    if "/" in label:
        raise InvalidInput(
            f"A layer cannot be stored as {label!r}, since '/' separates groups. "
            "Give Site(..., label='...') without it."
        )
    return label


def pick_tensor(value: Any, resolved: Resolved) -> "torch.Tensor":
    """Return the tensor of `value` that the site asks for."""
    import torch

    site, chosen = resolved.site, value
    if callable(site.pick):
        chosen = site.pick(value)
    elif site.pick is None or site.what in ("kwarg", "attr"):
        chosen = _first_tensor(value)
    else:
        path = site.pick if isinstance(site.pick, tuple) else (site.pick,)
        for key in path:
            try:
                chosen = chosen[key]
            except (LookupError, TypeError):
                chosen = getattr(chosen, str(key), None)
    if isinstance(chosen, torch.Tensor):
        return readable(chosen, resolved.label)
    asked = "there is no tensor" if site.pick is None else f"pick={site.pick!r} gives no tensor"
    raise RecordingError(
        f"Layer {resolved.label!r}: {asked} in its {site.what}, which is {summary(value)}. "
        "Choose one with Site(..., pick=index | key | path | function)."
    )


def _first_tensor(value: Any) -> Any:
    import torch

    if isinstance(value, torch.Tensor):
        return value
    if dataclasses.is_dataclass(value):
        value = vars(value)
    items = value.values() if isinstance(value, Mapping) else value
    if isinstance(value, Mapping | tuple | list):
        for item in items:
            tensor = _first_tensor(item)
            if tensor is not None:
                return tensor
    return None


def summary(value: Any) -> str:
    """Return the types, keys and shapes of a module's value in one line."""
    import torch

    if isinstance(value, torch.Tensor):
        return f"Tensor{tuple(value.shape)}"
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{k!r}: {summary(v)}" for k, v in value.items()) + "}"
    if isinstance(value, tuple | list):
        return f"{type(value).__name__}({', '.join(summary(item) for item in value)})"
    if dataclasses.is_dataclass(value):
        entries = (f"{name}={summary(entry)}" for name, entry in vars(value).items())
        return f"{type(value).__name__}({', '.join(entries)})"
    return type(value).__name__


def given_dims(tensor: "torch.Tensor", resolved: Resolved) -> tuple[str, ...] | None:
    """Return the names that the site gives to the axes after the stimulus axis, None if none."""
    shape, given = tuple(tensor.shape), resolved.site.dims
    if given is None or len(given) == len(shape) - 1:
        return given if given is None else tuple(given)
    raise RecordingError(
        f"Layer {resolved.label!r} has shape {shape}, stimulus axis first: {len(shape) - 1} "
        f"axes need names, and Site.dims={tuple(given)!r} holds {len(given)}."
    )


def components(reduce: Any) -> int | None:
    """Return K of ``"pca:K"``, None for every other reduction.

    Raises
    ------
    InvalidInput
        If `reduce` is no reduction at all.
    """
    if isinstance(reduce, str):
        kind, _, count = reduce.partition(":")
        if kind == "pca" and count.isdigit() and int(count) > 0:
            return int(count)
        if reduce not in ("mean_xy", "max_xy"):
            raise InvalidInput(f"{_ALLOWED}; got {reduce!r}.")
        return None
    if reduce is None or callable(reduce) or _is_crop(reduce) or np.ndim(reduce) == 2:
        return None
    raise InvalidInput(f"{_ALLOWED}; got {reduce!r}.")


_ALLOWED = (
    "reduce must be 'mean_xy', 'max_xy', 'pca:K', a function, a pair of slices (y, x) or an "
    "array (units, K)"
)


def _is_crop(reduce: Any) -> bool:
    return (
        isinstance(reduce, tuple)
        and len(reduce) == 2
        and all(isinstance(part, slice) for part in reduce)
    )


def over_space(reduce: Any) -> bool:
    """Tell whether a reduction needs to know which axes are y and x."""
    return reduce in ("mean_xy", "max_xy") if isinstance(reduce, str) else _is_crop(reduce)


def reduced(
    tensor: "torch.Tensor", resolved: Resolved, dims: tuple[str, ...]
) -> tuple["torch.Tensor", tuple[int, ...] | None]:
    """Return the tensor to keep, and which of its former axes it has left.

    Parameters
    ----------
    tensor : torch.Tensor of shape (N, ...)
        Stimuli first.
    resolved : Resolved
        Its site says how to reduce.
    dims : tuple of str
        Names of the axes after the stimulus axis; only y and x matter.

    Returns
    -------
    tensor : torch.Tensor of shape (N, ...)
    axes : tuple of int, or None
        Indices into `dims`; None where a function or projection made new axes.
    """
    import torch

    reduce, axes = resolved.site.reduce, tuple(range(tensor.ndim - 1))
    if reduce is None:
        return tensor, axes
    if callable(reduce) and not isinstance(reduce, Projection):
        result = reduce(tensor)
        if not isinstance(result, torch.Tensor) or result.shape[:1] != tensor.shape[:1]:
            text = describe(reduce, refuse=False)
            raise RecordingError(
                f"Layer {resolved.label!r}: reduce={text} must turn a tensor "
                f"{tuple(tensor.shape)} into one of the same first axis; it gave "
                f"{summary(result)}."
            )
        return result, None
    if not over_space(reduce):
        return (reduce if isinstance(reduce, Projection) else Projection(reduce))(tensor), None
    if not {"y", "x"} <= set(dims):
        text = describe(reduce, refuse=False)
        raise RecordingError(
            f"Layer {resolved.label!r} has dimensions {dims}, and reduce={text} "
            f"needs y and x. Say which axes they are, Site({resolved.name!r}, "
            f"dims={_example(dims)!r}, ...), or reduce by a function."
        )
    y, x = dims.index("y"), dims.index("x")
    if isinstance(reduce, tuple):
        window = [slice(None)] * tensor.ndim
        window[y + 1], window[x + 1] = reduce
        return tensor[tuple(window)], axes
    left = tuple(axis for axis in axes if axis not in (y, x))
    if reduce == "max_xy":
        return tensor.amax((y + 1, x + 1)), left
    floats = tensor if tensor.is_floating_point() else tensor.float()
    return floats.mean((y + 1, x + 1)), left


def _example(dims: tuple[str, ...]) -> tuple[str, ...]:
    return ("channel", "y", "x") if len(dims) == 3 else dims


class Projection:
    """Project flattened units, (N, ...) → (N, K), after taking `mean` (units,) away.

    Parameters
    ----------
    matrix : array-like of shape (units, K)
        One column a component.
    mean : array-like of shape (units,), optional
        What is subtracted first.
    name : str, optional
        How provenance and signatures call it. Default: a hash of `matrix`.
    """

    def __init__(self, matrix: Any, mean: Any = None, name: str = "") -> None:
        import torch

        self.name = name or f"array#{array_hash(np.asarray(matrix))}"
        self.matrix = torch.as_tensor(matrix, dtype=torch.float32)
        self.offset = (
            0.0 if mean is None else torch.as_tensor(mean, dtype=torch.float32) @ self.matrix
        )

    def __fingerprint__(self) -> str:
        """Return what a resume compares."""
        return self.name

    def __call__(self, tensor: "torch.Tensor") -> "torch.Tensor":
        """Return (N, K) for a tensor (N, ...) of as many units as `matrix` has rows."""
        flat = tensor.flatten(1).float()
        if flat.shape[1] != len(self.matrix):
            raise RecordingError(
                f"A projection of {len(self.matrix)} units met {flat.shape[1]} units, shape "
                f"{tuple(tensor.shape)}."
            )
        offset = self.offset if isinstance(self.offset, float) else self.offset.to(flat.device)
        return flat @ self.matrix.to(flat.device) - offset


class PrincipalComponents:
    """Principal components of more rows than memory holds, fitted block by block.

    Incremental singular value decomposition (Ross, Lim, Lin & Yang 2008, *International
    Journal of Computer Vision* 77) as scikit-learn implements it, with four times the rank
    asked for, so that what is cut off is small. Exact where the rank covers all rows.

    Parameters
    ----------
    count : int
        Number of components.
    """

    def __init__(self, count: int) -> None:
        from sklearn.decomposition import IncrementalPCA

        self.count = count
        self._rank = max(4 * count, 64)
        self._model = IncrementalPCA(copy=False)
        self._rows: list[np.ndarray] = []
        self._waiting = 0

    def add(self, rows: np.ndarray) -> None:
        """Take `rows` (n, units) in."""
        self._rows.append(rows.astype(np.float64))
        self._waiting += len(rows)
        # The first block fixes the rank; later blocks may have any length.
        if self._waiting >= self._rank:
            self._fit()

    def _fit(self) -> None:
        block = np.concatenate(self._rows)
        if self._model.n_components is None:
            self._model.n_components = min(self._rank, *block.shape)
        self._model.partial_fit(block)
        self._rows, self._waiting = [], 0

    def projection(self) -> Projection:
        """Return the projection on the leading components, each with a fixed sign."""
        if self._rows:
            self._fit()
        basis = self._model.components_[: self.count].T
        if basis.shape[1] < self.count:
            raise InvalidInput(
                f"reduce='pca:{self.count}' asks for more components than there are stimuli or "
                f"units: {basis.shape[1]}."
            )
        strongest = np.take_along_axis(basis, abs(basis).argmax(0)[None], 0)
        return Projection(basis * np.sign(strongest), self._model.mean_, f"pca:{self.count}")
