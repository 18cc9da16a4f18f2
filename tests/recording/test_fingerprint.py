"""Descriptions: equal for equal things, other for whatever can change what a function does."""

import collections
import ctypes
import dataclasses
import functools
import math
import operator
import re
import socket
import types
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from attnsci.recording.fingerprint import (
    NotComparable,
    canonical,
    describe,
    describe_model,
    weights_digest,
)

SCALE = 1.5
LABORATORY = types.ModuleType("laboratory_of_the_test")
LABORATORY.inner = types.ModuleType("laboratory_of_the_test.inner")
LABORATORY.inner.strength = 1.0


class Row(list):
    """A list with something of its own."""

    def __init__(self, items, gain):
        super().__init__(items)
        self.gain = gain


class Table(dict):
    gain = 1.0


class Call:
    """An object that can be called and looks like the function inside it."""

    def __init__(self, gain):
        functools.update_wrapper(self, same)
        self.gain = gain

    def __call__(self, x):
        return self.gain * x


class Slotted:
    __slots__ = ("width",)

    def __init__(self, width):
        self.width = width


def same(x):
    return x


def marked(gain):
    def filtered(x):
        return x * filtered.gain

    filtered.gain = gain
    return filtered


def weighed(x, power=2, *, offset=0):
    return x**power + offset


def table(gain):
    made = Table(a=1)
    made.gain = gain
    return made


def power(exponent):
    return lambda x: x**exponent


def default(values, **keywords):
    made = types.FunctionType(weighed.__code__, globals(), "weighed", values)
    made.__kwdefaults__ = {"offset": 0, **keywords}
    return made


PAIRS = {
    "a list's own attribute": lambda n: Row([1, 2], n),
    "a mapping's own attribute": table,
    "a missing entry's default": lambda n: collections.defaultdict([int, list][n]),
    "a callable that copies a function's name": Call,
    "a function's attribute": marked,
    "a slot": Slotted,
    "a captured value": power,
    "a default": lambda n: default((n,)),
    "a keyword's default": lambda n: default((2,), offset=n),
    "a bound method": lambda n: Call(n).__call__,
    "a cached function": lambda n: functools.lru_cache(power(n)),
    "a partial": lambda n: functools.partial(weighed, power=n),
    "a deque": lambda n: collections.deque([n]),
    "an array of objects": lambda n: np.array([n, None], object),
    "a generator of torch": lambda n: torch.Generator().manual_seed(n),
    "a generator of NumPy": np.random.default_rng,
    "a pattern": lambda n: re.compile(f"a{n}"),
    "a namespace": lambda n: types.SimpleNamespace(a={"b": n}),
    "a sparse tensor": lambda n: torch.eye(2).mul(n + 1).to_sparse(),
    "bfloat16": lambda n: torch.full((2,), float(n), dtype=torch.bfloat16),
    "a module": lambda n: nn.Softmax(n),
}


@pytest.mark.parametrize("name", PAIRS)
def test_equal_things_are_equal_and_others_are_told_apart(name):
    make = PAIRS[name]
    assert canonical(describe(make(1))) == canonical(describe(make(1)))
    assert canonical(describe(make(1))) != canonical(describe(make(0)))
    assert " at 0x" not in canonical(describe(make(1)))


@pytest.mark.parametrize(
    "value",
    [torch.relu, F.gelu, F.relu, torch.Tensor.relu, torch.ops.aten.relu, np.add, math.sqrt,
     operator.add, operator.itemgetter(1), len, np.linalg.norm, torch.float16,
     torch.device("cpu"), torch.Size([1, 2]), torch.strided, 1j, math.nan, math.inf, -0.0, 10**400,
     b"bytes", slice(1, 2), range(3), Path("a"), ..., np.float32(1), np.dtype("f4"),
     {1: {2}, "a": (None,)}, np.datetime64("2020-01-01")],
    ids=lambda value: getattr(value, "__name__", type(value).__name__),
)  # fmt: skip
def test_everyday_values_are_described_by_name(value):
    assert " at 0x" not in canonical(describe(value))
    assert canonical(describe(value)) != canonical(describe(same))


def generated():
    yield 1


@pytest.mark.parametrize(
    "value",
    [generated(), iter([1]), ctypes.CDLL(None).getpid, np.frompyfunc(same, 1, 1), map(str, [1])],
    ids=["generator", "iterator", "C function", "NumPy function", "map"],
)
@pytest.mark.parametrize(
    "hide",
    [lambda v: v, lambda v: [{"deep": v}], lambda v: types.SimpleNamespace(a=v), lambda v: power(v),
     lambda v: functools.partial(same, v), lambda v: Row([], v), table, marked],
    ids=["bare", "nested", "object", "captured", "partial", "list", "mapping", "function"],
)  # fmt: skip
def test_what_cannot_be_compared_is_found_wherever_it_sits(value, hide):
    with pytest.raises(NotComparable, match=r"^value.*resume_key="):
        describe(hide(value))
    assert describe(hide(value), refuse=False)


def test_an_open_socket_and_file_are_not_comparable(tmp_path):
    with socket.socket() as line, (tmp_path / "a").open("w") as file:
        for value in (line, file):
            with pytest.raises(NotComparable):
                describe({"source": value})


def test_globals_count_through_modules_and_borrowed_names(monkeypatch):
    @functools.wraps(F.relu)
    def borrowed(x):
        return x * SCALE

    def referring(x):
        return x * LABORATORY.inner.strength

    before = describe(borrowed), describe(referring)
    monkeypatch.setitem(globals(), "SCALE", 2.0)
    LABORATORY.inner.strength = 3.0
    try:
        assert describe(borrowed) != before[0]
        assert describe(referring) != before[1]
    finally:
        LABORATORY.inner.strength = 1.0
    assert describe(referring) == before[1]


def model_of(**entries):
    return type("Model", (nn.Module,), {"__module__": __name__, **entries})()


@pytest.mark.parametrize(
    "make",
    [
        lambda n: model_of(gain=float(n)),
        lambda n: model_of(Settings=type("Settings", (), {"gain": n, "__module__": __name__})),
        lambda n: model_of(forward=functools.partialmethod(weighed, n)),
        lambda n: model_of(gain=property(power(n))),
        lambda n: model_of(gain=functools.cached_property(power(n))),
        lambda n: model_of(act=staticmethod(power(n))),
        lambda n: model_of(act=Call(n)),
    ],
    ids=["number", "nested class", "partial method", "property", "cached", "static", "callable"],
)
def test_what_stands_on_a_class_counts(make):
    def code(n):
        return describe_model(make(n), refuse=True)["model"]["code"]

    assert code(1) == code(1)
    assert code(1) != code(2)


class Forgetful:
    def __init__(self, gain):
        self.gain = gain

    def __getstate__(self):
        return {}


def test_nothing_hides_behind_a_name_or_a_method_of_pickle():
    model, other = nn.Identity(), model_of(forward=same)
    model.code = other.code = 1
    descriptions = [describe_model(m, refuse=True)["model"] for m in (model, other)]
    assert [entry["code, an attribute"] for entry in descriptions] == [1, 1]
    assert descriptions[0]["code"] != descriptions[1]["code"]
    assert describe(Forgetful(1)) != describe(Forgetful(2))
    assert describe(Forgetful(1)) == describe(Forgetful(1))


def test_weights_have_one_digest_in_memory_and_in_a_store():
    model = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.Sequential(nn.Linear(2, 2)))
    model.add_module("deep", nn.Sequential(nn.Sequential(model[2][0])))
    model.add_module("again", model[0])
    model.aside = [nn.Linear(2, 2)]
    before = weights_digest(model)
    assert before == describe_model(model, refuse=True)["weights"]
    model[1].running_var[0] = 2
    assert weights_digest(model) == describe_model(model, refuse=True)["weights"] != before


def test_describing_leaves_no_trace():
    """Taking an instance apart lets copyreg write into its class."""

    @dataclasses.dataclass
    class Window:
        width: int = 3

    class Holder(nn.Module):
        def __init__(self):
            super().__init__()
            self.slotted, self.window = Slotted(1), Window()

    model = Holder()
    first, second = (canonical(describe_model(model, refuse=True)) for _ in range(2))
    assert first == second


def test_equal_tuples_need_not_be_one_object():
    model, other = nn.Identity(), nn.Identity()
    model.one = model.two = (1, 2)
    other.one, other.two = (1, 2), (*[1], 2)
    assert describe_model(model, refuse=True) == describe_model(other, refuse=True)


def test_depth_and_circles_end():
    circle = [1]
    circle.append({"again": (circle,)})
    assert describe(circle) == [1, {"again": ["as value"]}]
    deep = []
    for _ in range(10_000):
        deep = [deep]
    with pytest.raises(NotComparable, match=r"nested too deeply.*resume_key="):
        describe(deep)
    assert "nested too deeply" in canonical(describe(deep, refuse=False))
    while deep:  # Python would free them one inside the other
        deep = deep.pop()
