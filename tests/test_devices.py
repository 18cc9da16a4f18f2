import os

import pytest
import torch

from attnsci import devices
from attnsci.devices import available_devices, make_fabric, pick_device
from attnsci.errors import InvalidInput


def test_auto_takes_the_fastest_there_is(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    assert (available_devices(), pick_device().type) == (["cpu"], "cpu")
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    assert pick_device("auto").type == "mps"
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert available_devices() == ["cuda", "mps", "cpu"]
    assert pick_device("auto").type == "cuda"
    assert pick_device("cpu").type == "cpu"


def test_what_is_not_there_is_refused(monkeypatch):
    monkeypatch.setattr(devices, "available_devices", lambda: ["cpu"])
    with pytest.raises(InvalidInput, match=r"device 'cuda' is not there: .* finds cpu"):
        pick_device("cuda")
    with pytest.raises(InvalidInput, match=r"device must be one of .*; got 'tpu'"):
        pick_device("tpu")


def test_an_installed_slurm_is_no_reason_to_complain(tmp_path, monkeypatch):
    srun = tmp_path / "srun"
    srun.write_text("#!/bin/sh\nexit 1\n")
    srun.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    assert make_fabric().world_size == 1  # warnings are errors here
