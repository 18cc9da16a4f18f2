"""Digits by contrast and distance from the gaze."""

import numpy as np
import pandas as pd
import pytest
import torch
import xarray as xr

from attnsci.data.digits import load_mnist
from attnsci.data.noisy_stimuli import DistantDigits
from attnsci.errors import InvalidInput, RecordingError
from attnsci.experiments import benchmark
from attnsci.experiments.benchmark import contrast_benchmark
from attnsci.experiments.same_scenes import ACCURACY


@pytest.fixture(scope="module")
def digits():
    return load_mnist("test", "bundled").subset(np.arange(0, 1000, 50))


def test_the_benchmark_shows_all_networks_the_same_scenes(digits):
    images = []

    def blind(batch, rows):
        images.append(batch.image)
        logits = torch.eye(10)[torch.zeros(len(batch.image), dtype=int)]
        return {"logits": (("class",), logits)}

    def looker(batch, rows):
        images.append(batch.image)
        places = torch.stack([batch.metadata["x"], batch.metadata["y"]], 1)
        centre = torch.full_like(places, 64)
        gain = torch.ones(len(places), 2)
        gain[:, 0] = torch.nan
        return {
            "logits": (("time", "class"), torch.zeros(len(places), 2, 10)),
            "location": (("time", "coordinate"), torch.stack([centre, places], 1)),
            "gain": (("time",), gain),
        }

    stimuli = DistantDigits(digits, 0.5, (0.7, 0.3), (10.0, 30.0), seed=2)
    outcome = contrast_benchmark({"blind": blind, "eye": looker}, stimuli, batch_size=30)
    data = outcome.data["benchmark"]
    assert data["model"].values.tolist() == ["blind", "eye, 0 saccades", "eye, 1 saccade"]
    assert len(images) == 2 * 4  # of three batches, and the one that names words
    assert all(a is b for a, b in zip(images[::2], images[1::2], strict=True))
    assert (data["correct"].sel(model="blind") == (data["label"] == 0)).all()
    target = data["target"]
    away = np.hypot(*target.transpose("coordinate", ...).values)
    assert (abs(away - data["eccentricity"].values) < 1.5).all()
    assert (data["fixation"].sel(model="eye, 1 saccade") == target).all()
    assert (data["fixation"].sel(model="eye, 0 saccades") == 0).all()
    assert data["fixation"].sel(model="blind").isnull().all()
    assert (data["gain"].sel(model="eye, 1 saccade") == 1).all()
    assert data["gain"].sel(model=["blind", "eye, 0 saccades"]).isnull().all()
    assert (data["confidence"].sel(model="eye, 1 saccade") == pytest.approx(0.1)).all()
    # One digit has one place and noise, whatever its contrast.
    assert (target.sel(contrast=0.7) == target.sel(contrast=0.3)).all()
    table = outcome.at(quantity=ACCURACY, model="blind")
    assert table["contrast"].tolist() == [0.7, 0.7, 0.3, 0.3]
    assert (table["estimate"] == (digits.labels == 0).mean()).all()
    assert (table["chance"] == np.unique(digits.labels, return_counts=True)[1].max() / 20).all()
    landing = benchmark.landings(data).at(quantity=benchmark.LANDING)
    assert landing["model"].unique().tolist() == ["eye, 1 saccade"]
    assert (landing["estimate"] == 0).all()


def test_a_benchmark_on_disk_resumes_with_the_same_models_only(digits, tmp_path, monkeypatch):
    stimuli, sizes = DistantDigits(digits, 0.5, (0.7,), (10.0, 30.0)), []
    net = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(128 * 128, 10))
    forward = torch.nn.functional.linear

    def counted(images, *weights):
        sizes.append(len(images))
        return forward(images, *weights)

    monkeypatch.setattr(torch.nn.functional, "linear", counted)
    how = {"store": tmp_path / "benchmark.zarr", "batch_size": 10, "chunk": 10}
    first = contrast_benchmark({"net": net}, stimuli, **how)
    assert sizes == [1, 10, 10, 10, 10]
    again = contrast_benchmark({"net": net}, stimuli, **how)
    assert sizes[5:] == [1]
    pd.testing.assert_frame_equal(first.estimates, again.estimates)
    other = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(128 * 128, 10))
    with pytest.raises(RecordingError, match="weights"):
        contrast_benchmark({"net": other}, stimuli, **how)


def benchmark_data(n=50):
    """Answers of an eye that sees better after a saccade, which falls short."""
    rng = np.random.default_rng(0)
    names = ["What/Where, 0 saccades", "What/Where, 1 saccade", "What/Where, oracle", "blind"]
    contrast, away = np.array([0.7, 0.5, 0.3]), np.array([10.0, 20.0, 30.0])
    angle = rng.uniform(0, 2 * np.pi, (n, 1, 3))
    target = np.stack([np.cos(angle), np.sin(angle)], -1) * away[:, None]
    target = np.broadcast_to(target, (n, 3, 3, 2))
    nothing = np.full(target.shape, np.nan)
    fixation = np.stack([0 * target, 0.9 * target, nothing, nothing])
    share = np.array([0.2, 0.8, 0.95, 0.1])[:, None, None, None] + 0 * target[None, ..., 0]
    right = rng.random(share.shape) < share
    gain = np.full(share.shape, np.nan)
    gain[1] = np.where(right[1] & ~right[0], 1.0, -1.0)
    dims = ("model", "stimulus", "contrast", "eccentricity")
    return xr.Dataset(
        {
            "correct": (dims, right),
            "confidence": (dims, share),
            "gain": (dims, gain),
            "fixation": ((*dims, "coordinate"), fixation),
            "target": ((*dims[1:], "coordinate"), target),
        },
        {
            "model": names, "contrast": contrast, "eccentricity": away, "coordinate": ["x", "y"],
            "label": ("stimulus", np.arange(n) % 10),
        },
    )  # fmt: skip


def test_landings_are_of_those_who_choose_where_to_look():
    outcome = benchmark.landings(benchmark_data())
    assert set(outcome.estimates["model"]) == {"What/Where, 1 saccade"}
    middle = outcome.at(quantity=benchmark.GAIN, quantile=0.5)
    assert middle["estimate"].tolist() == pytest.approx([0.9] * 3)
    landing = outcome.at(quantity=benchmark.LANDING)
    assert landing["estimate"].tolist() == pytest.approx([1.0, 2.0, 3.0])
    assert landing["eccentricity"].tolist() == [10, 20, 30]
    assert (landing["n"] == 150).all()
    assert landing["note"].tolist() == ["saccade gain 0.90, 100% within 5 px"] * 3
    with pytest.raises(InvalidInput, match="chose where to look"):
        benchmark.landings(benchmark_data().sel(model=["blind", "What/Where, oracle"]))


def test_confidence_and_gain_are_judged():
    data = benchmark_data()
    outcome = benchmark.calibration(data)
    assert outcome.at(quantity=benchmark.CALIBRATION)["estimate"].max() < 0.06
    assert len(outcome.at(quantity=benchmark.RELIABILITY)) == 4
    decisions = benchmark.saccades_that_help(data, "What/Where").estimates
    assert (decisions["estimate"] > 3).all()
    assert decisions["contrast"].tolist() == [0.7, 0.5, 0.3]


def test_eccentricities_are_pooled_over_digits():
    data = benchmark_data()
    curves = data["correct"].mean("stimulus")
    table = benchmark._pooled(data["correct"], curves, seed=0).set_index(["model", "contrast"])
    assert (table["n"] == data.sizes["stimulus"]).all()
    assert table.loc[("blind", 0.5), "estimate"] == pytest.approx(
        float(data["correct"].sel(model="blind", contrast=0.5).mean())
    )
    assert (table["low"] <= table["estimate"]).all() and (table["estimate"] <= table["high"]).all()
    at = curves.sel(model="blind", contrast=0.5)
    assert table.loc[("blind", 0.5), "note"] == (
        f"{float(at[0]):.3f} at 10 px, {float(at[2]):.3f} at 30 px"
    )


def test_a_threshold_is_reached_or_not():
    data = benchmark_data()
    table = benchmark.thresholds(data).estimates
    assert set(table["model"]) == set(data["model"].values)
    assert not table[table["model"] == "blind"]["reached"].any()


def test_leads_are_paired_and_of_the_same_digits():
    correct = benchmark_data()["correct"]
    own, others = correct.sel(model="What/Where, 1 saccade"), correct.sel(model=["blind"])
    table = benchmark.leads(own, others).estimates
    assert set(table["model"]) == {"blind"} and (table["n"] == correct.sizes["stimulus"]).all()
    assert set(table["leader"]) == {"What/Where, 1 saccade"}
    mean = correct.mean(["stimulus", "eccentricity"])
    gap = mean.sel(model="What/Where, 1 saccade") - mean.sel(model="blind")
    assert table["estimate"].tolist() == pytest.approx(gap.values)
    nothing = benchmark.leads(own, own.expand_dims("model")).estimates
    assert (nothing[["estimate", "low", "high"]] == 0).all(axis=None)
    with pytest.raises(ValueError, match="align"):
        benchmark.leads(own.isel(stimulus=slice(5)), others)
