"""The error family: one base, the built-in kind beside it, messages as written."""

import inspect

import pytest

import attnsci.errors as module
from attnsci.errors import AttnsciError, UnknownName

ERRORS = [kind for _, kind in inspect.getmembers(module, inspect.isclass)]
BUILT_IN = {
    "InvalidInput": ValueError,
    "UnknownName": KeyError,
    "RecordingError": RuntimeError,
    "CheckpointError": RuntimeError,
    "StorageError": OSError,
    "MissingDependency": ImportError,
    "DatasetNotFound": FileNotFoundError,
    "DownloadFailed": OSError,
    "ChecksumMismatch": ValueError,
    "DatasetCorrupt": ValueError,
}


@pytest.mark.parametrize("kind", ERRORS)
def test_every_error_is_ours_and_prints_its_message(kind):
    assert issubclass(kind, AttnsciError)
    assert kind.__doc__
    assert str(kind("no such thing: 'x'. Try y.")) == "no such thing: 'x'. Try y."


@pytest.mark.parametrize(("name", "built_in"), BUILT_IN.items())
def test_code_that_knows_only_python_can_catch_them(name, built_in):
    with pytest.raises(built_in):
        raise getattr(module, name)("message")


def test_an_unknown_name_without_a_message():
    assert str(UnknownName()) == ""
