"""Shared fixtures: one thread a worker, the data root, a headless matplotlib."""

import os
import signal
from pathlib import Path

import pytest

# Two workers with two threads each would be many times slower on two cores.
for variable in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ.setdefault(variable, "1")
os.environ.setdefault("MPLBACKEND", "Agg")

# A shell that starts the tests in the background makes them, and all they start, deaf to Ctrl-C.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def data_root() -> Path:
    """The folder that ATTNSCI_DATA names; tests that ask for it skip where it is absent."""
    root = os.environ.get("ATTNSCI_DATA")
    if not root:
        pytest.skip("needs the data sets: set ATTNSCI_DATA to the folder that holds them")
    return Path(root)
