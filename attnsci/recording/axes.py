"""What the axes of every tensor mean, followed from the stimuli through each operation.

A layer's shape does not tell which axis is which. The operations do: a convolution makes
channel, y and x; a permutation moves them; a reshape merges and splits them. `AxisTracker`
watches the operations of one forward pass, changes none of them, and keeps the meaning of the
axes of each tensor. What an operation does to axes is written down for those whose rule is
certain; after any other the axes are unknown, never guessed.
"""

import contextlib
import functools
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.weak import WeakTensorKeyDictionary

from attnsci.recording.tokens import Run

STIMULUS = "stimulus"
FEATURE = "feature"
SPATIAL = {1: ("position",), 2: ("y", "x"), 3: ("depth", "y", "x")}
_GRID = {"y", "x"}


@dataclass(eq=False)
class Origin:
    """Where an axis came into being; `base` and `partner` belong to scores of queries and keys."""

    name: str | None
    size: int
    runs: tuple[Run, ...] = ()
    source: str = ""  # the parameter it belongs to
    assumed: bool = False  # by the convention (N, C, H, W), until an operation contradicts
    mixed: bool = False  # sums over tokens: as many as tokens, perhaps, and none of them
    shift: int = 0
    base: "Axis | None" = None
    partner: "Origin | None" = None


@dataclass(frozen=True)
class Digit:
    """A part of an origin's index, ``index // stride % size``: what a reshape can split off."""

    origin: Origin
    stride: int
    size: int

    @property
    def whole(self) -> bool:
        """Whether this is the whole axis."""
        return self.stride == 1 and self.size == self.origin.size


Axis = tuple[Digit, ...]  # from the slowest to the fastest
Axes = tuple[Axis, ...]


def fresh(size: int, name: str | None = None, **facts: Any) -> Axis:
    """Return an axis that begins here."""
    return (Digit(Origin(name, size, **facts), 1, size),)


def kind(axis: Axis) -> str | None:
    """Return what an axis means, None where that is unknown."""
    digits = [digit for digit in axis if digit.size > 1] or list(axis[:1])
    if not digits:
        return None
    names = {_name(digit.origin) for digit in digits}
    if len(digits) == 1:
        (digit,), (name,) = digits, names
        if digit.whole:
            return None if digit.origin.shift else name
        if name in _GRID:
            return name
        return FEATURE if name == FEATURE and digit.stride == 1 else None
    if names <= _GRID:
        if all(digit.stride == 1 for digit in digits):
            return "token"
        return "window" if all(digit.stride > 1 for digit in digits) else None
    known = {FEATURE, "y", "x", "depth", "position", "token", "step"}
    return FEATURE if FEATURE in names and names <= known else None


def _name(origin: Origin) -> str | None:
    if origin.name is None and origin.base is not None:
        return kind(origin.base)
    return origin.name


def runs(axis: Axis) -> tuple[Run, ...]:
    """Return the tokens along an axis, one entry a run of equal kind; empty where unknown."""
    digits = [digit for digit in axis if digit.size > 1] or list(axis[:1])
    if len(digits) == 1:
        origin = digits[0].origin
        if not digits[0].whole:
            return ()
        return origin.runs or (runs(origin.base) if origin.base is not None else ())
    grid = [digit.origin.name for digit in digits if digit.whole and not digit.origin.shift]
    if grid == ["y", "x"] and len(digits) == 2:
        return (("patch", digits[0].size * digits[1].size, digits[1].size),)
    return ()


def _part(axis: Axis) -> tuple[Run, ...]:
    """Return the runs that an axis brings into a concatenation of tokens."""
    known = runs(axis)
    if known:
        return known
    source = next((digit.origin.source for digit in axis if digit.origin.source), "")
    lowered, word = source.lower(), "other"
    if "cls" in lowered or "class" in lowered:
        word = "class"
    elif "reg" in lowered:
        word = "register"
    elif "dist" in lowered:
        word = "distillation"
    return ((word, math.prod(digit.size for digit in axis), 0),)


def _cut_runs(parts: tuple[Run, ...], start: int, stop: int) -> tuple[Run, ...]:
    cut, first = [], 0
    for word, count, width in parts:
        low, high = max(start - first, 0), min(stop - first, count)
        if low < high:
            cut.append((word, high - low, width if high - low == count else 0))
        first += count
    return tuple(cut)


def place(axes: Axes, stimulus: Origin) -> tuple[int, int, int] | None:
    """Return (axis, before, after): the axis is (before, stimuli, after), flattened."""
    places = [
        (i, math.prod(d.size for d in axis[:j]), math.prod(d.size for d in axis[j + 1 :]))
        for i, axis in enumerate(axes)
        for j, digit in enumerate(axis)
        if digit.origin is stimulus and digit.whole
    ]
    return places[0] if len(places) == 1 else None


def in_front(axes: Axes, at: tuple[int, int, int], stimulus: Origin | None) -> Axes:
    """Return the axes that are left once the stimuli were brought to the front."""
    axis, before, after = at
    parts: list[Axis] = []
    if before > 1 or after > 1:
        inner = axes[axis]
        j = next(i for i, digit in enumerate(inner) if digit.origin is stimulus)
        parts = [part for part in (inner[:j], inner[j + 1 :]) if _length(part) > 1]
    return (*axes[:axis], *parts, *axes[axis + 1 :])


def names(axes: Axes) -> tuple[str, ...]:
    """Return names of the axes after the stimulus axis, ``axis1`` … where one is not known."""
    kinds = [kind(axis) for axis in axes]
    if len(axes) == 1 and kinds[0] in (None, FEATURE):
        return ("unit",)
    spatial = set(kinds) & {"y", "x", "depth", "position"}
    feature = "channel" if spatial else "unit"
    if {"token", "query"} & set(kinds):
        heads = [i for i, axis in enumerate(axes) if kinds[i] is None and _part_of_feature(axis)]
        if len(heads) == 1:
            kinds[heads[0]] = "head"
    words = [feature if word == FEATURE else word for word in kinds]
    return tuple(
        word if word and word != STIMULUS and words.count(word) == 1 else f"axis{i}"
        for i, word in enumerate(words, 1)
    )


def _part_of_feature(axis: Axis) -> bool:
    digits = [digit for digit in axis if digit.size > 1] or list(axis[:1])
    return len(digits) == 1 and digits[0].origin.name == FEATURE and not digits[0].whole


def _length(axis: Axis) -> int:
    return axis[0].size if len(axis) == 1 else math.prod(digit.size for digit in axis)


# --- operations --------------------------------------------------------------------------------


def regroup(axes: Axes, shape: Sequence[int], source: str = "") -> Axes:
    """Return the axes after a reshape: digits are split and merged as the sizes demand."""
    waiting = [digit for axis in axes for digit in axis if digit.size != 1][::-1]
    ones = _ones(axes)
    out: list[list[Digit]] = []
    done, aligned = 1, True
    for size in shape:
        taken: list[Digit] = []
        left = size
        while left > 1 and aligned:
            digit = waiting.pop()
            if left % digit.size == 0:
                taken.append(digit)
                left //= digit.size
            elif digit.size % left == 0:
                minor = digit.size // left
                taken.append(Digit(digit.origin, digit.stride * minor, left))
                waiting.append(Digit(digit.origin, digit.stride, minor))
                left = 1
            else:
                aligned = False
        out.append(_merged(taken) if aligned else list(fresh(size)))
        done *= size
    # Axes of length 1 are told apart by how many entries come before them.
    done = 1
    gaps: dict[int, list[int]] = {}
    for i, size in enumerate(shape):
        if size == 1:
            gaps.setdefault(done, []).append(i)
        done *= size
    for key, digits in ones.items():
        room = gaps.get(key, [])
        if room and len(room) == len(digits):
            for i, digit in zip(room, digits, strict=True):
                out[i] = [digit]
        elif room and digits[0].origin.name == STIMULUS:
            out[room[0]] = [digits[0]]
        elif not room:
            _attach(out, shape, key, [d for d in digits if _name(d.origin) or d.origin.source])
    return tuple(tuple(axis) or fresh(1, source=source) for axis in out)


def _ones(axes: Axes) -> dict[int, list[Digit]]:
    done, ones = 1, dict[int, list[Digit]]()
    for axis in axes:
        for digit in axis:
            if digit.size == 1:
                ones.setdefault(done, []).append(digit)
            done *= digit.size
    return ones


def _attach(out: list[list[Digit]], shape: Sequence[int], key: int, digits: list[Digit]) -> None:
    """Keep digits of size 1 in the axis beside them, so that a later reshape can free them."""
    done = 1
    for axis, size in zip(out, shape, strict=True):
        if key == done == 1 and size > 1:
            axis[:0] = digits
            return
        if key == done * size and size > 1:
            axis.extend(digits)
            return
        done *= size


def _merged(digits: list[Digit]) -> list[Digit]:
    merged: list[Digit] = []
    for digit in digits:
        last = merged[-1] if merged else None
        if last and last.origin is digit.origin and last.stride == digit.stride * digit.size:
            merged[-1] = Digit(digit.origin, digit.stride, last.size * digit.size)
        else:
            merged.append(digit)
    return merged


def unified(many: Sequence[Axes], shape: Sequence[int]) -> Axes:
    """Return the axes of an entry-by-entry operation on tensors that are broadcast."""
    out = []
    for back in range(len(shape), 0, -1):
        size = shape[-back]
        same = [axes[-back] for axes in many if len(axes) >= back and _length(axes[-back]) == size]
        out.append(_agreed(same) if same else fresh(size))
    return tuple(out)


def _agreed(axes: Sequence[Axis]) -> Axis:
    """Return the axis that all the known ones agree on, a new unknown one where they differ."""
    known = [axis for axis in axes if _told(axis)]
    sure = [axis for axis in known if not _assumed(axis)] or known
    if not sure:
        return next((axis for axis in axes if _part(axis)[0][0] != "other"), axes[0])
    words = {kind(axis) for axis in sure}
    if (len(words) == 1 and None not in words) or len({_signature(axis) for axis in sure}) == 1:
        return next((axis for axis in sure if runs(axis)), sure[0])
    return fresh(_length(axes[0]))


def _signature(axis: Axis) -> tuple[Any, ...]:
    return tuple((_name(d.origin), d.stride, d.size) for d in axis if d.size > 1)


def _told(axis: Axis) -> bool:
    return any(_name(digit.origin) is not None for digit in axis)


def _assumed(axis: Axis) -> bool:
    return any(digit.origin.assumed for digit in axis)


def recut(axis: Axis, size: int, parts: tuple[Run, ...] = ()) -> Axis:
    """Return an axis of the same meaning and another length; stimuli lose theirs."""
    word = kind(axis)
    return fresh(size, None if word == STIMULUS else word, runs=parts)


def resized(axes: Axes, shape: Sequence[int]) -> Axes:
    """Return the axes of the same meaning after some have changed their length."""
    return tuple(
        axis if _length(axis) == size else recut(axis, size)
        for axis, size in zip(axes, shape, strict=True)
    )


def windowed(axes: Axes, shape: Sequence[int], spatial: int) -> Axes:
    """Return the axes after a convolution, pooling or resampling along the last `spatial`."""
    out = list(axes[: len(shape) - spatial])
    for axis, size, word in zip(axes[-spatial:], shape[-spatial:], SPATIAL[spatial], strict=True):
        known = kind(axis)
        if known is None or _assumed(axis):
            if known not in (None, word):
                _contradict(axis)
            known = word
        out.append(fresh(size, known))
    return tuple(out)


def _contradict(axis: Axis) -> None:
    for digit in axis:
        digit.origin.name = None


def _dims(value: Any, ndim: int) -> list[int]:
    if value is None or value == []:
        return list(range(ndim))
    return [dim % ndim for dim in ([value] if isinstance(value, int) else value)]


class Call:
    """One operation: its arguments by name, its first output and the axes of its inputs."""

    def __init__(self, tracker: "AxisTracker", func: Any, args: Any, kwargs: Any, out: Any) -> None:
        operation = _operation(func)
        self.arguments = {**operation.defaults, **kwargs}
        self.arguments.update(zip(operation.arguments, args, strict=False))
        self.first = next(iter(operation.arguments), "")
        self.axes, self.out = tracker.axes, out
        self._given = (*args, *kwargs.values())
        self.many = isinstance(out, list | tuple)
        self.shape = tuple(out[0].shape if self.many else out.shape)
        self.stimulus = tracker.stimulus

    def __getitem__(self, name: str) -> Any:
        return self.arguments[name]

    @property
    def tensors(self) -> list[torch.Tensor]:
        """The tensors among the arguments."""
        flat = [
            part
            for value in self._given
            for part in (value if isinstance(value, list | tuple) else (value,))
        ]
        return [value for value in flat if isinstance(value, torch.Tensor)]

    @property
    def own(self) -> Axes:
        """The axes of the first argument."""
        return self.axes(self.arguments[self.first])

    def dim(self, name: str = "dim") -> int:
        """Return an axis argument, counted from 0."""
        return int(self[name]) % len(self.own)


Rule = Callable[[Call], Axes | None]
_RULES: dict[str, Rule] = {}


@dataclass(frozen=True)
class Operation:
    """Name and arguments of an operation, and what it does to axes, None where unknown."""

    name: str
    arguments: tuple[str, ...]
    defaults: dict[str, Any]
    rule: Rule | None


@functools.cache
def _operation(func: Any) -> Operation:
    schema = func._schema
    name = schema.name.partition("::")[2].removesuffix("_")  # also what works in place
    return Operation(
        name,
        tuple(argument.name for argument in schema.arguments),
        {a.name: a.default_value for a in schema.arguments if a.has_default_value()},
        _RULES.get(name, _pointwise if torch.Tag.pointwise in func.tags else None),
    )


def _rule(*operations: str) -> Callable[[Rule], Rule]:
    def register(rule: Rule) -> Rule:
        _RULES.update(dict.fromkeys(operations, rule))
        return rule

    return register


@_rule(
    "clone", "_to_copy", "detach", "alias", "lift_fresh", "lift", "zeros_like", "ones_like",
    "empty_like", "rand_like", "randn_like", "full_like", "native_dropout", "native_layer_norm",
    "native_batch_norm", "_native_batch_norm_legit", "_native_batch_norm_legit_no_training",
    "cudnn_batch_norm", "miopen_batch_norm", "_batch_norm_no_update", "native_group_norm",
    "_fused_rms_norm", "_log_softmax", "tril", "triu", "cumsum", "cumprod", "fill", "zero",
    "normal", "uniform", "bernoulli", "index_put", "scatter", "quantize_per_tensor",
    "hardswish", "hardsigmoid", "hardtanh", "silu", "mish", "hardshrink", "softshrink",
    "softplus", "leaky_relu", "elu", "gelu", "logit", "nan_to_num", "view_as",
    "dequantize", "_prelu_kernel", "log_sigmoid_forward", "rrelu_with_noise", "resolve_conj",
)  # fmt: skip
def _same(call: Call) -> Axes | None:
    return call.own if len(call.own) == len(call.shape) else None


@_rule("_native_multi_head_attention", "_transformer_encoder_layer_fwd")
def _fused_attention(call: Call) -> Axes | None:
    if len(call.shape) != 3:
        return None
    stimuli, tokens, _ = call.own
    _call_tokens(tokens)
    return stimuli, tokens, fresh(call.shape[-1], FEATURE)


@_rule("copy", "where", "masked_fill", "lerp")
def _pointwise(call: Call) -> Axes:
    return unified([call.axes(tensor) for tensor in call.tensors], call.shape)


@_rule("view", "_unsafe_view", "_reshape_alias", "squeeze")
def _view(call: Call) -> Axes | None:
    if _size(call.own) != math.prod(call.shape):
        return None
    return regroup(call.own, call.shape, _source(call.own))


def _source(axes: Axes) -> str:
    """Return the parameter that a tensor is made from."""
    return next((d.origin.source for axis in axes for d in axis if d.origin.source), "")


def _size(axes: Axes) -> int:
    return math.prod(_length(axis) for axis in axes)


@_rule("unsqueeze")
def _unsqueeze(call: Call) -> Axes:
    at = int(call["dim"]) % len(call.shape)
    return (*call.own[:at], fresh(1, source=_source(call.own)), *call.own[at:])


@_rule("permute")
def _permute(call: Call) -> Axes:
    return tuple(call.own[dim] for dim in _dims(call["dims"], len(call.own)))


@_rule("transpose")
def _transpose(call: Call) -> Axes:
    axes = list(call.own)
    one, other = call.dim("dim0"), call.dim("dim1")
    axes[one], axes[other] = axes[other], axes[one]
    return tuple(axes)


@_rule("t")
def _t(call: Call) -> Axes:
    return call.own[::-1]


@_rule("expand", "repeat")
def _expand(call: Call) -> Axes:
    own, shape = call.own, call.shape
    new = len(shape) - len(own)
    source = _source(own)
    return (*(fresh(size, source=source) for size in shape[:new]), *resized(own, shape[new:]))


@_rule("as_strided")
def _as_strided(call: Call) -> Axes | None:
    return call.own if tuple(_length(axis) for axis in call.own) == call.shape else None


@_rule("slice")
def _slice(call: Call) -> Axes:
    axes, dim = list(call.own), call.dim()
    length, size = _length(axes[dim]), call.shape[dim]
    if size != length:
        step = call["step"]
        start, stop, _ = slice(call["start"], call["end"]).indices(length)
        parts = _cut_runs(runs(axes[dim]), start, stop) if step == 1 else ()
        axes[dim] = recut(axes[dim], size, parts)
    return tuple(axes)


@_rule("split", "split_with_sizes", "unsafe_split", "unsafe_split_with_sizes", "glu", "unfold")
def _split(call: Call) -> Axes | None:
    return resized(call.own, call.shape) if len(call.own) == len(call.shape) else None


@_rule("select", "unbind")
def _select(call: Call) -> Axes:
    dim = call.dim()
    return (*call.own[:dim], *call.own[dim + 1 :])


@_rule("stack")
def _stack(call: Call) -> Axes:
    dim = int(call["dim"]) % len(call.shape)
    inner = [size for i, size in enumerate(call.shape) if i != dim]
    axes = unified([call.axes(tensor) for tensor in call.tensors], inner)
    return (*axes[:dim], fresh(call.shape[dim]), *axes[dim:])


@_rule("cat")
def _cat(call: Call) -> Axes:
    many = [call.axes(tensor) for tensor in call.tensors if tensor.ndim == len(call.shape)]
    dim = int(call["dim"]) % len(call.shape)
    joined = [axes[dim] for axes in many]
    if len(joined) == 1:
        return many[0]
    rest = [axes[:dim] + axes[dim + 1 :] for axes in many]
    others = unified(rest, [size for i, size in enumerate(call.shape) if i != dim])
    words = {kind(axis) for axis in joined}
    size = call.shape[dim]
    if words <= {None, FEATURE} and FEATURE in words:
        axis = fresh(size, FEATURE)
    else:
        parts = tuple(run for part in joined for run in _part(part))
        word = "token" if "token" in words and words <= {None, "token"} else None
        told = words <= {None, "token"} and any(run[0] != "other" for run in parts)
        axis = fresh(size, word, runs=parts if told else ())
    return (*others[:dim], axis, *others[dim:])


@_rule("roll")
def _roll(call: Call) -> Axes:
    axes = list(call.own)
    for dim, shift in zip(_dims(call["dims"], len(axes)), call["shifts"], strict=False):
        digits = axes[dim]
        if len(digits) == 1 and digits[0].whole and digits[0].origin.name in _GRID:
            origin = digits[0].origin
            moved = (origin.shift + shift) % origin.size
            axes[dim] = fresh(origin.size, origin.name, shift=moved)
        else:
            axes[dim] = fresh(_length(digits))
    return tuple(axes)


@_rule("flip")
def _flip(call: Call) -> Axes:
    dims = _dims(call["dims"], len(call.own))
    return tuple(fresh(_length(a)) if i in dims else a for i, a in enumerate(call.own))


@_rule("index_select", "gather")
def _gather(call: Call) -> Axes:
    dim = call.dim()
    axes = list(resized(call.own, call.shape))
    axes[dim] = recut(call.own[dim], call.shape[dim])
    return tuple(axes)


@_rule("index", "_unsafe_index")
def _index(call: Call) -> Axes | None:
    own = call.own
    used = [(i, index) for i, index in enumerate(call["indices"]) if index is not None]
    if len(used) == 1 and used[0][1].ndim == 1 and used[0][1].dtype is torch.int64:
        dim = used[0][0]
        return (*own[:dim], recut(own[dim], call.shape[dim]), *own[dim + 1 :])
    stimuli = place(own, call.stimulus) if call.stimulus is not None else None
    leading = [i for i, _ in used] == list(range(len(used)))
    if stimuli == (0, 1, 1) and leading and used:
        index = used[0][1]
        rows = torch.arange(len(index), device=index.device) if index.ndim == 1 else None
        if rows is not None and torch.equal(rows, index) and len(rows) == _length(own[0]):
            return (own[0], *own[len(used) :])  # one entry of each stimulus
    return None


@_rule(
    "mean", "sum", "amax", "amin", "var", "std", "prod", "any", "all", "argmax", "argmin", "max",
    "min", "median", "logsumexp", "var_mean", "std_mean", "norm", "linalg_vector_norm", "nansum",
)  # fmt: skip
def _reduce(call: Call) -> Axes | None:
    own = call.own
    if not call.shape:
        return ()
    if "dim" not in call.arguments:
        return unified([call.axes(t) for t in call.tensors], call.shape)
    dims = _dims(call["dim"], len(own))
    if call.arguments.get("keepdim"):
        return tuple(recut(a, 1) if i in dims else a for i, a in enumerate(own))
    return tuple(a for i, a in enumerate(own) if i not in dims)


@_rule("convolution", "_convolution", "mkldnn_convolution", "cudnn_convolution",
       "miopen_convolution", "convolution_overrideable")  # fmt: skip
def _convolution(call: Call) -> Axes | None:
    own, shape = call.own, call.shape
    if len(shape) < 3 or len(own) != len(shape):
        return None
    if _assumed(own[1]) and kind(own[1]) not in (None, FEATURE):
        _contradict(own[1])
    axes = windowed(own, shape, len(shape) - 2)
    return (axes[0], fresh(shape[1], FEATURE), *axes[2:])


@_rule("max_pool2d_with_indices", "avg_pool2d", "_adaptive_avg_pool2d", "adaptive_max_pool2d",
       "upsample_nearest2d", "upsample_bilinear2d", "upsample_bicubic2d", "grid_sampler_2d",
       "_upsample_bilinear2d_aa", "_upsample_bicubic2d_aa", "_upsample_nearest_exact2d",
       "cudnn_grid_sampler", "mkldnn_max_pool2d", "mkldnn_adaptive_avg_pool2d",
       "fractional_max_pool2d")  # fmt: skip
def _resample(call: Call) -> Axes:
    return windowed(call.own, call.shape, 2)


@_rule("pixel_shuffle", "pixel_unshuffle", "channel_shuffle", "native_channel_shuffle")
def _shuffle(call: Call) -> Axes:
    axes = windowed(call.own, call.shape, 2)
    return (*axes[:-3], fresh(call.shape[-3], FEATURE), *axes[-2:])


@_rule("max_pool3d_with_indices", "avg_pool3d", "_adaptive_avg_pool3d", "adaptive_max_pool3d",
       "upsample_trilinear3d", "upsample_nearest3d")  # fmt: skip
def _resample3d(call: Call) -> Axes:
    return windowed(call.own, call.shape, 3)


@_rule("constant_pad_nd", "reflection_pad1d", "reflection_pad2d", "replication_pad1d",
       "replication_pad2d", "reflection_pad3d", "replication_pad3d")  # fmt: skip
def _pad(call: Call) -> Axes:
    return resized(call.own, call.shape)


@_rule("im2col")
def _im2col(call: Call) -> Axes:
    return (call.own[0], fresh(call.shape[1], FEATURE), fresh(call.shape[2]))


@_rule("col2im")
def _col2im(call: Call) -> Axes:
    features, y, x = call.shape[1:]
    return (call.own[0], fresh(features, FEATURE), fresh(y, "y"), fresh(x, "x"))


@_rule("embedding")
def _embedding(call: Call) -> Axes:
    axes = list(call.axes(call["indices"]))
    if len(axes) == 2 and kind(axes[-1]) is None:
        axes[-1] = fresh(_length(axes[-1]), "token")
    return (*axes, fresh(call.shape[-1], FEATURE))


@_rule("mm", "addmm", "_addmm_activation", "addmv", "mv", "bmm", "baddbmm")
def _product(call: Call) -> Axes:
    names_ = ("mat1", "mat2") if "mat1" in call.arguments else ("self", "mat2")
    if "batch1" in call.arguments:
        names_ = ("batch1", "batch2")
    elif "vec" in call.arguments:
        names_ = ("mat", "vec") if "mat" in call.arguments else ("self", "vec")
    one, other = (call.axes(call[name]) for name in names_)
    known = [any(_told(axis) for axis in axes) for axes in (one, other)]
    if not any(known):
        return tuple(fresh(size) for size in call.shape)
    mixed = kind(one[-1]) if known[0] else kind(other[-2:][0])
    tokens = mixed not in (None, FEATURE) or any(digit.origin.mixed for digit in one[-1])
    feature = None if tokens else FEATURE
    if len(other) == 1:
        return one[:-1]
    left = _unrolled(one[-2]) if known[0] else fresh(_length(one[-2]), feature, mixed=tokens)
    right = _unrolled(other[-1]) if known[1] else fresh(_length(other[-1]), feature, mixed=tokens)
    left = _coarser(left, one[-1])
    batch = tuple(_agreed(pair) for pair in zip(one[:-2], other[:-2], strict=True))
    if all(known) and not {kind(left), kind(right)} & {FEATURE, STIMULUS}:
        # Perhaps scores of queries and keys: told by the softmax that comes next.
        query, key = (Origin(None, _length(axis), base=axis) for axis in (left, right))
        query.partner, key.partner = key, query
        left, right = ((Digit(o, 1, o.size),) for o in (query, key))
    return (*batch, left, right)


def _coarser(axis: Axis, contracted: Axis) -> Axis:
    """Return y and x anew where a product mixes what was left between their places."""
    mixed = {digit.origin for digit in contracted if digit.origin.name in _GRID}
    return tuple(
        fresh(digit.size, digit.origin.name)[0] if digit.origin in mixed else digit
        for digit in axis
    )


def _unrolled(axis: Axis) -> Axis:
    """Return the tokens behind an axis of queries or keys."""
    while len(axis) == 1 and axis[0].whole and axis[0].origin.base is not None:
        axis = axis[0].origin.base
    return axis


@_rule("_softmax", "_safe_softmax", "softmax")
def _softmax(call: Call) -> Axes:
    axes = call.own
    last = axes[call.dim()]
    origin = last[0].origin if last[0].whole and last[0].size == _length(last) else None
    partner = origin.partner if origin is not None else None
    if partner is not None and any(d.origin is partner and d.whole for a in axes for d in a):
        assert origin is not None
        origin.name, partner.name = "key", "query"
        for role in (origin, partner):
            if role.base is not None:
                _call_tokens(role.base)
    return axes


def _call_tokens(axis: Axis) -> None:
    """Name an axis without a name by what looks at each other along it."""
    origin = axis[0].origin
    if len(axis) == 1 and axis[0].whole and origin.name is None and origin.base is None:
        origin.name = "token"


class AxisTracker(TorchDispatchMode):
    """Follow the meaning of axes through everything that runs while it is active.

    Parameters
    ----------
    model : torch.nn.Module
        Its parameters tell class tokens from registers.
    n : int
        Number of stimuli in the batch.
    first : bool
        The stimuli are known to lie along the first axis of what the model is given.

    Attributes
    ----------
    misread : str
        Says which module took stimuli for steps; empty where none did.
    """

    def __init__(self, model: torch.nn.Module, n: int, first: bool = False) -> None:
        super().__init__()
        self.n, self.stimulus, self.misread = n, Origin(STIMULUS, n), ""
        self._first = first
        self._axes = WeakTensorKeyDictionary()
        self._depth = 0
        self._sources = {
            id(parameter): name.rpartition(".")[2] for name, parameter in model.named_parameters()
        }

    @property
    def active(self) -> bool:
        """Whether a module runs now."""
        return self._depth > 0

    def axes(self, tensor: torch.Tensor) -> Axes:
        """Return what is known of the axes of `tensor`."""
        known = self._axes.get(tensor)
        if known is None:
            source = self._sources.get(id(tensor), "")
            known = tuple(fresh(size, source=source) for size in tensor.shape)
            self._axes[tensor] = known
        return known

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Any = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """Run the operation as it is, then note what its output's axes mean."""
        out = func(*args, **(kwargs or {}))
        # A gap in these rules may cost a name and must never cost the run.
        with contextlib.suppress(Exception):
            self._note(func, args, kwargs or {}, out)
        return out

    def _note(self, func: Any, args: Any, kwargs: dict[str, Any], out: Any) -> None:
        outputs = out if isinstance(out, list | tuple) else (out,)
        tensors = [t for t in outputs if isinstance(t, torch.Tensor) and not t.is_nested]
        if not tensors:
            return
        operation = _operation(func)
        plain, rule = operation.name, operation.rule
        axes: Axes | None = None
        if plain.startswith("_scaled_dot_product"):
            query, value = self.axes(args[0]), self.axes(args[2])
            axes = (*map(_unrolled, query[:-1]), value[-1])
            for axis in (query[-2], value[-2]):
                _call_tokens(axis)
        elif rule is not None:
            with contextlib.suppress(Exception):
                axes = rule(Call(self, func, args, kwargs, out))
        for tensor in tensors:
            size = tuple(tensor.shape)
            if axes is not None and tuple(_length(axis) for axis in axes) == size:
                self._axes[tensor] = axes
            elif axes is not None and plain.startswith(("split", "unsafe_split")):
                self._axes[tensor] = resized(axes, size)
            else:
                self._axes.pop(tensor, None)

    # --- modules -------------------------------------------------------------------------------

    @contextlib.contextmanager
    def watching(self, model: torch.nn.Module) -> Iterator[None]:
        """Be active in every module of `model` that runs inside this block."""
        # Scripted modules refuse the methods, and call hooks where Python calls them all the same.
        before = torch.nn.Module.register_forward_pre_hook
        after = torch.nn.Module.register_forward_hook
        handles: list[Any] = []
        for module in _open_modules(model):
            handles += [
                before(module, self._enter_module, prepend=True, with_kwargs=True),
                after(module, self._leave_module, prepend=True, always_call=True),
            ]
        try:
            yield
        finally:
            for handle in handles:
                handle.remove()
            while self._depth:
                self._leave()

    def _enter_module(self, module: torch.nn.Module, args: Any, kwargs: Any) -> None:
        if self._depth == 0:
            self.__enter__()
        self._depth += 1
        if self._depth == 1:
            self._given((args, kwargs), module)

    def _given(self, values: Any, module: torch.nn.Module) -> None:
        for tensor in tree_leaves(values):
            if (
                isinstance(tensor, torch.Tensor)
                and tensor not in self._axes
                and id(tensor) not in self._sources
            ):
                self.enter(tensor, module)

    def _leave_module(self, module: torch.nn.Module, args: Any, out: Any) -> None:
        if not self._depth:
            return
        with contextlib.suppress(Exception):  # as above, and also after an error in the module
            if isinstance(module, torch.nn.RNNBase):
                self._recurrent(module, args[0], out)
            elif isinstance(module, torch.nn.RNNCellBase):
                self._cell(args[0], out)
        self._leave()

    def _leave(self) -> None:
        self._depth -= 1
        if self._depth == 0:
            self.__exit__(None, None, None)

    def enter(self, tensor: torch.Tensor, module: torch.nn.Module | None = None) -> None:
        """Note what a model is given: stimuli first, images as (N, C, H, W)."""
        if tensor.is_nested or tensor.ndim == 0:
            return
        axes = [fresh(size) for size in tensor.shape]
        first = 1 if _steps_first(module) and tensor.ndim == 3 and not self._first else 0
        holders = [i for i, size in enumerate(tensor.shape) if size == self.n]
        at = first if first in holders else holders[0] if len(holders) == 1 else None
        if at is not None:
            axes[at] = (Digit(self.stimulus, 1, self.n),)
        if tensor.ndim == 4 and at == 0:
            for i, word in enumerate((FEATURE, *SPATIAL[2]), 1):
                axes[i] = fresh(tensor.shape[i], word, assumed=True)
        elif tensor.ndim == 2 and at == 0 and tensor.is_floating_point():
            axes[1] = fresh(tensor.shape[1], FEATURE)
        self._axes[tensor] = tuple(axes)

    def _recurrent(self, module: torch.nn.RNNBase, given: torch.Tensor, out: Any) -> None:
        """`nn.LSTM` and its kin say themselves which axis is which."""
        sequence, hidden = out
        axes = self.axes(given)
        if given.ndim == 3:
            batch, steps = axes[:2] if module.batch_first else axes[1::-1]
            if kind(steps) == STIMULUS:
                self.misread = (
                    f" {type(module).__name__}(batch_first={module.batch_first}) takes the "
                    "stimuli for steps."
                )
            step = fresh(sequence.shape[1 if module.batch_first else 0], "step")
            lead: Axes = (batch, step) if module.batch_first else (step, batch)
            beside: Axes = (batch,)
        else:
            lead, beside = (fresh(len(sequence), "step"),), ()
        self._axes[sequence] = (*lead, fresh(sequence.shape[-1], FEATURE))
        for state in hidden if isinstance(hidden, tuple) else (hidden,):
            layers, units = fresh(len(state), "layer"), fresh(state.shape[-1], FEATURE)
            self._axes[state] = (layers, *beside, units)

    def _cell(self, given: torch.Tensor, out: Any) -> None:
        for state in out if isinstance(out, tuple) else (out,):
            self._axes[state] = (*self.axes(given)[:-1], fresh(state.shape[-1], FEATURE))


def _open_modules(model: torch.nn.Module) -> list[torch.nn.Module]:
    """Return the modules on which a hook changes nothing.

    A hook inside a `TransformerEncoderLayer` turns its fused operation off, and with it the last
    bits; code of TorchScript calls no hooks.
    """
    closed = (torch.nn.TransformerEncoderLayer, torch.jit.ScriptModule)
    shut = {
        id(part)
        for module in model.modules()
        if isinstance(module, closed)
        for part in module.modules()
    }
    return [model, *(m for m in model.modules() if id(m) not in shut and m is not model)]


def _steps_first(module: torch.nn.Module | None) -> bool:
    return getattr(module, "batch_first", True) is False
