"""Training of every network of the paper before its figures."""

import dataclasses

import pytest
import torch

from attnsci.families.what_where import paper, train
from attnsci.families.zoo import load_model, pretrained_names
from attnsci.papers.paper import Request, Run
from attnsci.training.configs import TrainerConfig


@pytest.mark.slow
def test_the_paper_trains_its_networks_and_takes_those(tmp_path, monkeypatch):
    small = {"batch_size": 20, "batches_per_epoch": 1, "validation_scenes": 20}
    presets = {name: dataclasses.replace(r, **small) for name, r in train.PRESETS.items()}
    where = dataclasses.replace(train.WHERE, **small, map_scenes=5, map_stride_px=27)
    monkeypatch.setattr(train, "PRESETS", presets)
    monkeypatch.setattr(train, "WHERE", where)
    brief = TrainerConfig(epochs=1, max_steps=1, device="cpu")
    monkeypatch.setattr(train, "fast_trainer", lambda recipe, device: brief)
    request = Request("quick", tmp_path, source="bundled", device="cpu", train=True)
    subject = paper.Subject(Run(request, paper.PAPER.scales["quick"]))
    trained = {path.parent.name for path in tmp_path.glob("training/*/last.safetensors")}
    assert trained == set(subject.names) <= set(pretrained_names())
    for name in ("what-28-seed1", "atn-seed0", "where-noise1-seed0"):
        ours, shipped = subject.model(name).state_dict(), load_model(name).model.state_dict()
        assert not all(torch.equal(ours[k], shipped[k]) for k in ours)
    fovea = subject.networks["where-noise1-seed0"].record["training"]["what"]
    assert fovea.endswith("what-28-noise1-seed0/last.safetensors")
