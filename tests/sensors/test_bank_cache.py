"""The cache of filter banks: keyed by every parameter, and never trusted blindly."""

import dataclasses

import numpy as np
import pytest

from attnsci.sensors.bank_cache import bank_path, cached_bank
from attnsci.sensors.log_polar_retina import LogPolarConfig, load_log_polar_quadrant

SMALL = LogPolarConfig(size=16, n_theta=2, n_azimuth=4, n_ecc=3)
OTHERS = {
    "size": 18, "n_theta": 3, "n_azimuth": 8, "n_ecc": 4, "n_phase": 1, "rho": 1.5,
    "ecc_max": 0.7, "sf_0_r": 0.04, "sf_0_max": 0.4, "b_sf": 0.5, "b_theta": 0.5,
}  # fmt: skip


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("ATTNSCI_CACHE", str(tmp_path))
    return tmp_path


def test_every_parameter_names_another_file(folder):
    assert set(OTHERS) == {field.name for field in dataclasses.fields(SMALL)}
    configs = [dataclasses.replace(SMALL, **{name: other}) for name, other in OTHERS.items()]
    paths = {bank_path("log-polar", config) for config in configs}
    paths |= {bank_path("log-polar", SMALL), bank_path("other", SMALL)}
    assert len(paths) == len(OTHERS) + 2
    assert {path.parent for path in paths} == {folder / "banks"}


def test_built_once_and_read_back_as_it_was():
    calls = []

    def build():
        calls.append(1)
        return {"bank": np.arange(6, dtype=np.float32).reshape(2, 3), "peak": np.array([3, 1])}

    first = cached_bank("test", {"n": 1}, build)
    again = cached_bank("test", {"n": 1}, build)
    cached_bank("test", {"n": 2}, build)
    assert len(calls) == 2
    assert again.keys() == first.keys()
    for name, array in first.items():
        assert again[name].dtype == array.dtype
        np.testing.assert_array_equal(again[name], array)


def test_only_what_is_wanted_is_read():
    def build():
        return {"bank": np.ones(3), "energy": np.zeros(2)}

    for _ in ("built", "read"):
        assert list(cached_bank("test", {}, build, "energy")) == ["energy"]
    assert list(cached_bank("test", {}, build)) == ["bank", "energy"]


@pytest.mark.parametrize("harm", ["truncate", "flip", "empty", "text"])
def test_a_damaged_file_is_built_again(harm):
    wanted = load_log_polar_quadrant(SMALL)
    path = bank_path("log-polar", SMALL)
    whole = path.read_bytes()
    middle = len(whole) // 2
    path.write_bytes({
        "truncate": whole[:middle],
        "flip": whole[:middle] + bytes([whole[middle] ^ 255]) + whole[middle + 1 :],
        "empty": b"",
        "text": b"this is no bank",
    }[harm])  # fmt: skip
    with pytest.warns(UserWarning, match=f"{path.name} is damaged"):
        got = load_log_polar_quadrant(SMALL)
    np.testing.assert_array_equal(got["bank"], wanted["bank"])
    assert len(path.read_bytes()) == len(whole)
    np.testing.assert_array_equal(load_log_polar_quadrant(SMALL)["energy"], wanted["energy"])
    assert [p.name for p in path.parent.iterdir()] == [path.name]


def test_a_folder_that_cannot_be_written_costs_time_only(folder, monkeypatch):
    blocked = folder / "file"
    blocked.write_text("in the way")
    monkeypatch.setenv("ATTNSCI_CACHE", str(blocked))
    with pytest.warns(UserWarning, match="built anew in every process.*ATTNSCI_CACHE"):
        assert cached_bank("test", {}, lambda: {"bank": np.ones(2)})["bank"].sum() == 2
