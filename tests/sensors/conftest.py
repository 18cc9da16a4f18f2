"""Banks of these tests are kept in a folder of the session, built once, and not in the user's."""

from pathlib import Path

import numpy as np
import pytest


@pytest.fixture(scope="session", autouse=True)
def bank_folder(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        folder = tmp_path_factory.mktemp("cache")
        patch.setenv("ATTNSCI_CACHE", str(folder))
        yield folder


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
