"""Banks of these tests are kept in a folder of the session, built once, and not in the user's."""

from pathlib import Path

import numpy as np
import pytest


@pytest.fixture(scope="session")
def session_banks(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("banks")


@pytest.fixture(scope="module", autouse=True)
def bank_folder(session_banks):
    """For a module at a time: tests of other rooms keep the cache they expect."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ATTNSCI_CACHE", str(session_banks))
        yield


@pytest.fixture(scope="session")
def golden(data_root) -> dict[str, np.ndarray]:
    """Reference arrays of the What/Where code, by name."""
    return _arrays(data_root / "what-where" / "reference_golden.npz")


@pytest.fixture(scope="session")
def golden_polo(data_root) -> dict[str, np.ndarray]:
    return _arrays(data_root / "what-where" / "reference_polo768.npz")


@pytest.fixture(scope="session")
def published_maps(data_root) -> dict[str, np.ndarray]:
    return _arrays(data_root / "what-where" / "published_maps.npz")


def _arrays(path: Path) -> dict[str, np.ndarray]:
    with np.load(path) as stored:
        return dict(stored)
