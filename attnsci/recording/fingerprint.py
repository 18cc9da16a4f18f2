"""What a resume compares: descriptions of models, functions and settings, digests of stimuli.

A description is made of plain values that JSON can hold, equal in every process for equal things
and free of memory addresses. It goes down to whatever can change what flows through a model; what
it cannot describe it names, and a store refuses that (`NotComparable`).
"""

import contextlib
import copyreg
import dataclasses
import enum
import functools
import importlib.metadata
import inspect
import json
import math
import sys
import sysconfig
import types
import weakref
from collections.abc import Iterator, Mapping
from pathlib import PurePath
from typing import Any

import numpy as np
import xxhash

from attnsci.errors import RecordingError

_LONG_TEXT, _MANY = 200, 64
_DEEPEST = 100  # values one inside the other; Python itself gives up at some 300
_SHOWN = 12
# What torch itself keeps on a module, beside what its author put there.
_OWN = {
    "_parameters", "_buffers", "_modules", "training", "_non_persistent_buffers_set",
    "_forward_hooks", "_forward_hooks_with_kwargs", "_forward_hooks_always_called",
    "_forward_pre_hooks", "_forward_pre_hooks_with_kwargs", "_backward_hooks",
    "_backward_pre_hooks", "_is_full_backward_hook", "_state_dict_hooks",
    "_state_dict_pre_hooks", "_load_state_dict_pre_hooks", "_load_state_dict_post_hooks",
    "_compiled_call_impl", "_version", "_is_torch_compile",
}  # fmt: skip
# Of a class: what says nothing of what its instances do.
_SAYS_NOTHING = {
    "__doc__", "__module__", "__dict__", "__weakref__", "__annotations__", "__qualname__",
    "__firstlineno__", "__static_attributes__", "__annotate__", "__annotate_func__",
    "__annotations_cache__", "__abstractmethods__", "_abc_impl", "__parameters__",
    "__orig_bases__", "__match_args__", "__slotnames__", "__dataclass_params__",
    "__dataclass_fields__",
}  # fmt: skip


class NotComparable(RecordingError):
    """Something of which nobody can tell in another process whether it is the same."""


# --- digests -----------------------------------------------------------------------------------


def digest(*parts: bytes | memoryview | str) -> str:
    """Return 16 hexadecimal digits that name `parts`, at the speed of memory."""
    hasher = xxhash.xxh3_64()
    for part in parts:
        content = part.encode(errors="surrogatepass") if isinstance(part, str) else part
        hasher.update(f"{len(content)}:".encode())
        hasher.update(content)
    return hasher.hexdigest()


def canonical(value: Any) -> str:
    """Return the one JSON text of a description; tells 1 from 1.0 and from True."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"))


def row_digests(values: Any) -> np.ndarray:
    """Return one digest a row of `values` (N, ...): its numbers, arrangement, dtype and shape.

    Parameters
    ----------
    values : torch.Tensor or array-like
        Equal on every device and for every layout in memory.

    Returns
    -------
    ndarray of uint64 (N,)
    """
    rows, header = _rows(values)
    seed = xxhash.xxh3_64_intdigest(header.encode())
    return np.array([xxhash.xxh3_64_intdigest(row, seed) for row in rows], np.uint64)


def _rows(values: Any) -> tuple[np.ndarray, str]:
    """Return the bytes of each row (N, bytes), and the dtype and shape of a row."""
    array, dtype = _bytes(values)
    n = array.shape[0]
    return array.reshape(n, -1).view(np.uint8) if array.size else np.empty(
        (n, 0), np.uint8
    ), f"{dtype}{array.shape[1:]}"  # fmt: skip


def _bytes(values: Any) -> tuple[np.ndarray, str]:
    """Return `values` as a contiguous array of plain numbers, and the name of their dtype."""
    if hasattr(values, "detach"):
        import torch

        tensor = values.detach()
        if tensor.is_quantized:
            tensor = tensor.dequantize()
        if tensor.layout != torch.strided:
            tensor = tensor.to_dense()
        dtype = str(tensor.dtype).removeprefix("torch.")
        tensor = tensor.resolve_conj().resolve_neg().cpu().contiguous()
        if dtype == "bfloat16" or "float8" in dtype:  # NumPy has none of them
            whole = {1: torch.uint8, 2: torch.int16}
            tensor = tensor.view(whole[tensor.element_size()])
        return tensor.numpy(), dtype
    array = np.ascontiguousarray(np.asarray(values))
    return array, array.dtype.name


def coord_digests(coords: Mapping[str, np.ndarray], n: int) -> np.ndarray:
    """Return one digest a stimulus of its coordinates: names, kinds and values.

    Returns
    -------
    ndarray of uint64 (n,)
    """
    names = sorted(coords)
    header = canonical([[name, coords[name].dtype.kind] for name in names])
    seed = xxhash.xxh3_64_intdigest(header.encode())
    columns = [coords[name].tolist() for name in names]
    rows = zip(*columns, strict=True) if columns else [()] * n
    return np.array([xxhash.xxh3_64_intdigest(repr(row).encode(), seed) for row in rows], np.uint64)


def chained(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Return one digest a row of two digests a row; their order counts."""
    pairs = np.stack([one, other], 1)
    return np.array([xxhash.xxh3_64_intdigest(pair) for pair in pairs], np.uint64)


def input_digests(value: Any, n: int) -> np.ndarray:
    """Return one digest a stimulus of the arguments of a call for `n` stimuli.

    Tensors and arrays whose first axis is the batch count row by row; all else, plain values and
    tensors of another length, belongs to every stimulus.
    """
    result = np.zeros(n, np.uint64)
    for path, leaf in _leaves(value, "inputs"):
        if hasattr(leaf, "shape") and len(leaf.shape) and leaf.shape[0] == n:
            result = chained(result, row_digests(leaf))
        else:
            whole = xxhash.xxh3_64_intdigest(canonical(describe(leaf, path)).encode())
            result = chained(result, np.full(n, whole, np.uint64))
    return result


def _leaves(value: Any, path: str) -> Iterator[tuple[str, Any]]:
    if isinstance(value, Mapping):
        for key in value:
            yield from _leaves(key, path)
            yield from _leaves(value[key], f"{path}[{key!r}]")
    elif isinstance(value, tuple | list):
        for index, item in enumerate(value):
            yield from _leaves(item, f"{path}[{index}]")
    else:
        yield path, value


# --- descriptions ------------------------------------------------------------------------------


@dataclasses.dataclass
class _Walk:
    """One walk through what belongs together: where each object was met first."""

    refuse: bool
    depth: int = 0
    paths: dict[int, str] = dataclasses.field(default_factory=dict)
    held: list[Any] = dataclasses.field(default_factory=list)
    packages: set[str] = dataclasses.field(default_factory=set)
    classes: dict[type, str] = dataclasses.field(default_factory=dict)
    weights: dict[str, str] = dataclasses.field(default_factory=dict)

    def again(self, value: Any, path: str) -> str | None:
        """Return where `value` was met before; else remember it."""
        if id(value) in self.paths:
            return self.paths[id(value)]
        self.paths[id(value)] = path
        self.held.append(value)  # so that no other object gets its id
        return None

    def cannot(self, value: Any, path: str) -> str:
        kind = f"{type(value).__module__}.{type(value).__qualname__}"
        if self.refuse:
            raise NotComparable(
                f"{path} is of {kind}, of which a resume could not tell whether it is the same. "
                "Record in memory, take it out, or name all that cannot be compared: "
                "resume_key='...', another for every other content."
            )
        return f"not comparable: {kind}"


def describe(value: Any, path: str = "value", *, refuse: bool = True) -> Any:
    """Return what `value` is as plain values: a setting, a tensor, a function, an object.

    Parameters
    ----------
    value
        Functions are described by their code, defaults, captured values and the globals that
        they use; tensors and arrays by a digest; objects by their class and what they hold.
    path : str
        How an error calls it.
    refuse : bool
        Raise where something cannot be described; else only name its kind.

    Raises
    ------
    NotComparable
        For an open file, a generator, a foreign object written in C.

    Examples
    --------
    >>> describe({"gain": 2.0, "names": ("a", "b")})
    {'gain': 2.0, 'names': ['a', 'b']}
    """
    return _describe(value, path, _Walk(refuse))


def _describe(value: Any, path: str, walk: _Walk) -> Any:
    """Describe one value; what is nested too deeply to be gone through cannot be compared."""
    if walk.depth == _DEEPEST:
        if walk.refuse:
            raise NotComparable(
                f"{path[:_LONG_TEXT]}… is nested too deeply to be compared on a resume. Record in "
                "memory, keep it in a flat list or array, or name all that cannot be compared: "
                "resume_key='...', another for every other content."
            )
        return "not comparable: nested too deeply"
    walk.depth += 1
    try:
        return _kind(value, path, walk)
    finally:
        walk.depth -= 1


def _kind(value: Any, path: str, walk: _Walk) -> Any:
    plain, text = _plain(value)
    if plain:
        return text
    if hasattr(type(value), "__fingerprint__"):
        return _describe(value.__fingerprint__(), path, walk)
    if _is_tensor(value) or isinstance(value, np.ndarray):
        return _array(value, path, walk)
    # Equal tuples are one object or two as Python sees fit; no circle is without something else.
    before = None if type(value) in (tuple, frozenset) else walk.again(value, path)
    if before is not None:
        return f"as {before}"
    if isinstance(value, Mapping | tuple | list | set | frozenset):
        return _container(value, path, walk)
    if _is_module(value):  # one that the model does not register, and whose weights it lacks
        return _module(value, path, dataclasses.replace(walk, weights={}))
    return _callable(value, path, walk) if callable(value) else _object(value, path, walk)


def _plain(value: Any) -> tuple[bool, Any]:
    """Return whether `value` is plain, and its description."""
    if value is None or isinstance(value, bool) or type(value) is int:
        return True, value
    if isinstance(value, str) and not isinstance(value, enum.Enum):
        long = len(value) > _LONG_TEXT
        return True, f"{value[:40]}…#{digest(value)}" if long else str(value)
    if type(value) is float:
        return True, value if math.isfinite(value) else repr(value)
    if isinstance(value, slice):
        return True, f"{value.start}:{value.stop}:{value.step}"
    if isinstance(value, types.ModuleType):
        return True, f"module {value.__name__}"
    if isinstance(value, bytes | bytearray | memoryview):
        return True, f"{len(value)} bytes#{digest(bytes(value))}"
    if isinstance(value, np.generic):
        return True, f"{value.dtype} {value.item()!r}"
    simple = (complex, int, float, enum.Enum, PurePath, range, type(...), np.dtype)
    if isinstance(value, simple) or type(value).__module__ == "torch":
        torch = sys.modules.get("torch")
        names = ("dtype", "device", "layout", "Size", "memory_format", "finfo", "iinfo")
        kinds = tuple(getattr(torch, name) for name in names) if torch else ()
        if isinstance(value, (*simple, *kinds)):
            return True, f"{type(value).__name__} {value!r}"
    return False, None


def _is_tensor(value: Any) -> bool:
    torch = sys.modules.get("torch")
    return torch is not None and isinstance(value, torch.Tensor)


def _is_module(value: Any) -> bool:
    torch = sys.modules.get("torch")
    return torch is not None and isinstance(value, torch.nn.Module)


def _array(value: Any, path: str, walk: _Walk) -> Any:
    if isinstance(value, np.ndarray) and value.dtype.hasobject:
        return _describe(value.tolist(), path, walk)
    shape = "x".join(map(str, value.shape))
    if _is_tensor(value):
        if value.is_meta or type(value).__name__ == "FakeTensor":  # no values, as in an export
            return f"meta {value.dtype} {shape}"
        if value.is_quantized:
            scale = value.q_scale() if "per_tensor" in str(value.qscheme()) else "by channel"
            whole = f"{shape} {scale}"
            return f"{value.dtype} {whole}#{digest(np.ascontiguousarray(value.dequantize()).data)}"
    array, dtype = _bytes(value)
    return f"{dtype} {shape}#{digest(array.reshape(-1).view(np.uint8).data)}"


def _container(value: Any, path: str, walk: _Walk) -> Any:
    """Describe what a container holds and, of one with a class of its own, what else it is."""
    items: Any
    if isinstance(value, Mapping):
        items = _mapping(value, path, walk)
    elif isinstance(value, tuple | list):
        items = [_describe(item, f"{path}[{i}]", walk) for i, item in enumerate(value)]
        if hasattr(value, "_fields"):
            return dict(zip(value._fields, items, strict=True))
        if len(items) > _MANY:
            items = f"{len(items)} items#{digest(canonical(items))}"
    else:
        items = {"set": sorted(canonical(_describe(item, path, walk)) for item in value)}
    cls = type(value)
    if cls.__module__ in ("builtins", "collections", "torch"):
        factory = getattr(value, "default_factory", None)
        return items if factory is None else [items, _describe(factory, path, walk)]
    held = {
        name: _describe(item, f"{path}.{name}", walk)
        for name, item in getattr(value, "__dict__", {}).items()
    }
    return {"class": f"{_name(cls)}#{_class(cls, path, walk)}", "items": items, **held}


def _mapping(value: Mapping[Any, Any], path: str, walk: _Walk) -> Any:
    if all(isinstance(key, str) for key in value):
        return {key: _describe(value[key], f"{path}[{key!r}]", walk) for key in value}
    pairs = [
        canonical([_describe(key, path, walk), _describe(value[key], f"{path}[{key!r}]", walk)])
        for key in value
    ]
    return {"mapping": sorted(pairs)}


def _callable(value: Any, path: str, walk: _Walk) -> Any:
    """Describe a function, method, class, partial or an object that can be called."""
    if type(value).__module__ == "torch._ops":  # its attributes are made when they are asked for
        return str(value)
    if isinstance(value, functools.partial):
        parts = (value.func, value.args, value.keywords)
        return {"partial": [_describe(part, path, walk) for part in parts]}
    if isinstance(value, types.MethodType):
        return {
            "method": _describe(value.__func__, path, walk),
            "of": _describe(value.__self__, f"{path}.__self__", walk),
        }
    if isinstance(value, types.FunctionType):
        return _function(value, path, walk)
    if isinstance(value, type):
        return f"class {_name(value)}#{_class(value, path, walk)}"
    if type(value).__module__ == "functools" and hasattr(value, "__wrapped__"):  # a cache
        return _describe(value.__wrapped__, path, walk)
    if isinstance(value, types.BuiltinFunctionType | types.MethodDescriptorType | np.ufunc) or (
        type(value).__module__ in ("builtins", "torch", "torch._ops")
    ):
        return _written_in_c(value, path, walk)
    return _object(value, path, walk)


def _written_in_c(value: Any, path: str, walk: _Walk) -> Any:
    owner = getattr(value, "__self__", None)
    name = getattr(value, "__qualname__", None) or getattr(value, "__name__", None) or str(value)
    if owner is not None and not isinstance(owner, types.ModuleType | type):
        return {"method": name, "of": _describe(owner, f"{path}.__self__", walk)}
    if isinstance(value, np.ufunc) and not hasattr(np, name):  # made of any function
        return walk.cannot(value, path)
    owner = getattr(value, "__objclass__", owner)
    home = owner.__module__ if isinstance(owner, type) else getattr(owner, "__name__", None)
    module = str(home or getattr(value, "__module__", None) or "")
    package = module.split(".")[0]
    # The versions of Python, torch and NumPy are compared, and so is this one's.
    known = {"torch", "numpy", "builtins", *sys.stdlib_module_names}
    if package in known or package.lstrip("_") in known:
        return f"{module}.{name}"
    version = _version(package) if package else None
    return walk.cannot(value, path) if version is None else f"{module}.{name} {version}"


@functools.cache
def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def _name(value: Any) -> str:
    return f"{value.__module__}.{value.__qualname__}"


def _function(function: types.FunctionType, path: str, walk: _Walk) -> str:
    """Return name and digest: code, defaults, captured values and the globals it refers to."""
    before = walk.again(function, path)
    if before is not None and before != path:
        return f"as {before}"
    parts = {
        "code": _code(function.__code__, function.__doc__),
        "defaults": _describe(function.__defaults__, f"{path}'s defaults", walk),
        "kwdefaults": _describe(function.__kwdefaults__, f"{path}'s defaults", walk),
    }
    for name, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=True):
        with contextlib.suppress(ValueError):  # a cell that is still empty
            if name != "__class__":
                parts[f"captured {name}"] = _describe(
                    cell.cell_contents, f"{path}'s captured {name}", walk
                )
    if vars(function):  # but for what functools.wraps leaves there, which is captured, too
        held = {name: item for name, item in vars(function).items() if name != "__wrapped__"}
        parts["held"] = _describe(held, path, walk)
    # Not by its __module__, which functools.wraps copies from another function.
    if not _installed(function.__globals__.get("__name__")):
        names = sorted(_names(function.__code__))
        for name in names:
            if name in function.__globals__:
                parts[f"global {name}"] = _global(
                    function.__globals__[name], f"{path}'s global {name}", names, walk
                )
    return f"{_name(function)}#{digest(canonical(parts))}"


def _global(value: Any, path: str, names: list[str], walk: _Walk, level: int = 0) -> Any:
    """Describe a global of a function; what belongs to an installed package goes by its name.

    Of a module of one's own, settings for one, that counts which the code's `names` may refer to.
    """
    home = getattr(value, "__module__", None)
    if isinstance(value, types.FunctionType | type) and _installed(home):
        return _name(value)
    if isinstance(value, types.ModuleType) and not _installed(value.__name__) and level < 3:
        return {
            name: _global(vars(value)[name], f"{path}.{name}", names, walk, level + 1)
            for name in names
            if name in vars(value)
        }
    return _describe(value, path, walk)


@functools.cache
def _installed(module: str | None) -> bool:
    """Tell whether a module is of Python or of an installed package, whose versions are known."""
    package = str(module).split(".")[0]
    if package in sys.stdlib_module_names or package in ("builtins", "torch", "numpy"):
        return package != "__main__"
    file = getattr(sys.modules.get(str(module)), "__file__", None) or ""
    places = (sysconfig.get_path("purelib"), sysconfig.get_path("platlib"))
    return bool(file) and any(place and file.startswith(place) for place in places)


def _names(code: types.CodeType) -> set[str]:
    """Return the names that `code`, and the code inside it, looks up."""
    names = set(code.co_names)
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            names |= _names(constant)
    return names


def _code(code: types.CodeType, doc: str | None) -> list[Any]:
    """Return what `code` does: a docstring, a line number and the order of a set do not count."""
    constants = list(code.co_consts)
    if doc is not None and constants and constants[0] == doc:
        constants = constants[1:]
    return [
        code.co_code.hex(),
        [_constant(constant) for constant in constants],
        list(code.co_names),
        [*code.co_varnames, *code.co_freevars, *code.co_cellvars],
        code.co_argcount,
        code.co_kwonlyargcount,
        code.co_flags,
        code.co_exceptiontable.hex(),
    ]


def _constant(value: Any) -> Any:
    if isinstance(value, types.CodeType):
        doc = value.co_consts[0] if value.co_consts else None
        return _code(value, doc if isinstance(doc, str) and value.co_flags & 2 else None)
    if isinstance(value, tuple):
        return [_constant(item) for item in value]
    if isinstance(value, frozenset):
        return {"set": sorted(canonical(_constant(item)) for item in value)}
    return f"{type(value).__name__} {value!r}"


def _class(cls: type, path: str, walk: _Walk) -> str:
    """Return a digest of what a class and its bases say, down to torch's and Python's own."""
    torch = sys.modules.get("torch")
    roots = {object, *(() if torch is None else (torch.nn.Module,))}
    parts = {}
    for base in cls.__mro__:
        if base in roots or base.__module__ == "builtins":
            continue
        walk.packages.add(base.__module__.split(".")[0])
        if base in walk.classes:
            parts[_name(base)] = walk.classes[base]
            continue
        walk.classes[base] = "itself"  # where a method refers to its own class
        entries = {}
        for name, value in vars(base).items():
            if name in _SAYS_NOTHING:
                continue
            entries[name] = _entry(value, f"{path}.{name}", walk, _installed(base.__module__))
        parts[_name(base)] = walk.classes[base] = digest(canonical(entries))
    return digest(canonical(parts))


def _entry(value: Any, path: str, walk: _Walk, installed: bool) -> Any:
    """Describe an entry of a class."""
    if isinstance(value, property):
        return [_entry(function, path, walk, installed) for function in (value.fget, value.fset)]
    if isinstance(value, classmethod | staticmethod):
        return _entry(value.__func__, path, walk, installed)
    if isinstance(value, functools.cached_property):
        return _entry(value.func, path, walk, installed)
    if isinstance(value, functools.partialmethod):
        return [_entry(part, path, walk, installed) for part in (value.func, value.args)] + [
            _describe(value.keywords, path, walk)
        ]
    if isinstance(value, types.FunctionType):
        return _function(value, path, walk)
    if isinstance(value, types.MemberDescriptorType | types.GetSetDescriptorType):
        return type(value).__name__
    # Installed packages have versions; only what somebody put in their place counts.
    quiet = dataclasses.replace(walk, refuse=False) if installed else walk
    if isinstance(value, type) and _installed(value.__module__):
        return f"class {_name(value)}"
    return _describe(value, path, quiet)


def _object(value: Any, path: str, walk: _Walk) -> Any:
    """Describe an instance by its class and what it holds."""
    if isinstance(value, weakref.ref):
        return _describe(value(), path, walk)
    if inspect.isgenerator(value) or hasattr(value, "__next__") or hasattr(value, "fileno"):
        return walk.cannot(value, path)
    cls = type(value)
    if cls.__module__ == "torch.fx.graph" and hasattr(value, "nodes"):
        return f"graph#{digest(str(value))}"  # what it does; its nodes hold torch's own notes
    if cls.__module__ == "logging":
        return f"logger {value.name}" if hasattr(value, "name") else _name(cls)
    if dataclasses.is_dataclass(value):
        state: Any = {f.name: getattr(value, f.name, None) for f in dataclasses.fields(value)}
        state |= getattr(value, "__dict__", {})
    elif hasattr(value, "get_state") and cls.__module__.startswith("torch"):
        state = {"state": value.get_state()}
    else:
        state = _reduced(value)
        if state is None:
            return walk.cannot(value, path)
        if isinstance(state, str):
            return state
    held = {str(key): _describe(item, f"{path}.{key}", walk) for key, item in state.items()}
    return {"class": f"{_name(cls)}#{_class(cls, path, walk)}", **held}


def _reduced(value: Any) -> dict[str, Any] | str | None:
    """Return what pickle would keep of an object, None for what it cannot take apart."""
    try:
        reducer = copyreg.dispatch_table.get(type(value))
        parts = value.__reduce_ex__(4) if reducer is None else reducer(value)
    except Exception:  # whatever an object raises that cannot be written down
        return None
    if isinstance(parts, str):
        return f"{value.__module__}.{parts}"
    _, arguments, *rest = parts
    state, items, entries = [*rest[:3], None, None, None][:3]
    if isinstance(state, tuple) and len(state) == 2 and isinstance(state[1], dict):  # with slots
        state = {**(state[0] or {}), **state[1]}
    held = dict(state) if isinstance(state, dict) else {} if state is None else {"state": state}
    plain = [argument for argument in arguments if not isinstance(argument, type)]
    if plain:
        held["made of"] = plain
    if items is not None:
        held["items"] = list(items)
    if entries is not None:
        held["entries"] = dict(entries)
    if not _installed(type(value).__module__):  # what a __getstate__ leaves out counts all the same
        held = {**getattr(value, "__dict__", {}), **held}
    return held


# --- models ------------------------------------------------------------------------------------


def _hooks(module: Any) -> list[tuple[str, Any]]:
    """Return the forward hooks that others put on a module; ours come and go."""
    kinds = {"_forward_pre_hooks": "forward pre-hook", "_forward_hooks": "forward hook"}
    return [
        (kind, hook)
        for attribute, kind in kinds.items()
        for hook in vars(module).get(attribute, {}).values()
        if not str(getattr(hook, "__module__", "")).startswith("attnsci.recording.")
    ]


def _module(module: Any, path: str, walk: _Walk) -> dict[str, Any]:
    """Describe one module, without the modules inside it."""
    entries: dict[str, Any] = {
        "class": _name(type(module)),
        "code": _class(type(module), path, walk),
        "training": getattr(module, "training", None),
    }
    for name, tensor in _tensors(module, path, walk).items():
        entries[_free(name, entries)] = tensor
    for kind, hook in _hooks(module):
        entries.setdefault(kind, []).append(_describe(hook, f"{path}'s {kind}", walk))
    for name, value in vars(module).items():
        if name not in _OWN:
            entries[_free(name, entries)] = _describe(value, f"{path}.{name}", walk)
    for name, inner in _own(module, "_modules"):
        entry = _free(name, entries)
        if inner is not None and id(inner) not in walk.paths:
            walk.again(inner, f"{path}.{name}")
            entries[entry] = _module(inner, f"{path}.{name}", walk)
        elif inner is not None:
            entries[entry] = f"as {walk.paths[id(inner)]}"
    return entries


def _free(name: str, entries: Mapping[str, Any]) -> str:
    """Return `name`, marked where an attribute is called as an entry of ours, ``code`` for one."""
    return f"{name}, an attribute" if name in entries else name


def _tensors(module: Any, path: str, walk: _Walk) -> dict[str, Any]:
    """Describe the parameters and buffers of one module."""
    tensors: dict[str, Any] = {}
    for name, tensor in [*_own(module, "_parameters"), *_own(module, "_buffers")]:
        where = f"{path}.{name}"
        tensors[name] = None if tensor is None else _array(tensor, where, walk)
        walk.weights[where] = tensors[name]
    return tensors


def weights_digest(model: Any) -> str:
    """Return the ``weights`` of `describe_model`, all that a recording in memory tells of them."""
    walk = _Walk(refuse=False)
    waiting = [("model", getattr(model, "_orig_mod", model))]
    while waiting:  # in the order in which `describe_model` meets them, so shared ones agree
        path, module = waiting.pop()
        if module is not None and walk.again(module, path) is None:
            _tensors(module, path, walk)
            inside = [(f"{path}.{name}", inner) for name, inner in _own(module, "_modules")]
            waiting += reversed(inside)
    return digest(canonical(walk.weights))


def _own(module: Any, registry: str) -> list[tuple[str, Any]]:
    try:
        return list(getattr(module, registry).items())
    except (AttributeError, RuntimeError):  # scripted modules keep theirs in C++
        method = {"_parameters": "named_parameters", "_buffers": "named_buffers"}.get(registry)
        return [] if method is None else list(getattr(module, method)(recurse=False))


def describe_model(model: Any, *, refuse: bool) -> dict[str, Any]:
    """Return everything of `model` that can change what flows through it.

    Parameters
    ----------
    model : torch.nn.Module
        Its modules in turn: class, code, mode, parameters, all buffers, hooks of others, and
        whatever else is kept on them, settings and lists and objects.
    refuse : bool
        Raise for what cannot be described; else only name its kind.

    Returns
    -------
    dict
        ``model``, one nested entry a module; ``weights``, one digest of all parameters and
        buffers; ``packages``, the versions of those that the modules are from; ``torch``, its
        settings.

    Raises
    ------
    NotComparable
        For an open file, a generator, a foreign object written in C; the message says where.
    """
    import torch

    inner = getattr(model, "_orig_mod", model)
    walk = _Walk(refuse)
    walk.again(inner, "model")
    entries = _module(inner, "model", walk)
    if isinstance(inner, torch.jit.ScriptModule):
        entries["script"] = digest(str(getattr(inner, "graph", inner.code)))
    shared = [
        _describe(hook, "a hook on all modules", walk)
        for hooks in (
            torch.nn.modules.module._global_forward_hooks,
            torch.nn.modules.module._global_forward_pre_hooks,
        )
        for hook in hooks.values()
    ]
    versions = {name: _version(name) for name in sorted(walk.packages) if _installed(name)}
    return {
        "weights": digest(canonical(walk.weights)),
        "model": entries,
        "hooks on all modules": shared,
        "packages": {name: version for name, version in versions.items() if version},
        "torch": {
            "default dtype": str(torch.get_default_dtype()),
            "deterministic": torch.are_deterministic_algorithms_enabled(),
            "float32 products": torch.get_float32_matmul_precision(),
            "autocast": torch.is_autocast_enabled("cpu") or torch.is_autocast_enabled("cuda"),
        },
    }


# --- comparing ---------------------------------------------------------------------------------


def differences(stored: Any, asked: Any, path: str = "") -> dict[str, str]:
    """Return each place in which two descriptions differ, with what stands there in both."""
    if isinstance(stored, Mapping) and isinstance(asked, Mapping):
        places: dict[str, str] = {}
        for name in [*stored, *(name for name in asked if name not in stored)]:
            inner = f"{path}.{name}" if path else str(name)
            if name not in stored:
                places[inner] = f"not in the store, asked {_short(asked[name])}"
            elif name not in asked:
                places[inner] = f"stored {_short(stored[name])}, not there now"
            else:
                places |= differences(stored[name], asked[name], inner)
        return places
    if canonical(stored) == canonical(asked):
        return {}
    return {path: f"stored {_short(stored)}, asked {_short(asked)}"}


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= _LONG_TEXT else f"{text[:_LONG_TEXT]}…"


def listed(places: Mapping[str, str]) -> str:
    """Return the first places of `differences`, a line each, and how many more there are."""
    lines = [f"{path}: {text}" for path, text in places.items()]
    more = len(lines) - _SHOWN
    return "\n  ".join([*lines[:_SHOWN], *([f"and {more} more"] if more > 0 else [])])
