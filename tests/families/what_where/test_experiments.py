"""What is asked of What, Where and the transformers."""

import numpy as np
import pytest
import torch
import xarray as xr

from attnsci.data.digits import load_mnist
from attnsci.families.what_where import experiments
from attnsci.families.what_where.experiments import Foveal, mapped
from attnsci.families.what_where.published import (
    CONTRASTS,
    PROFILE_EDGES_PX,
    PROFILES,
    RADII_PX,
    published_benchmark,
    published_maps,
)


def constant(digit):
    return lambda images: torch.eye(10)[torch.full((len(images),), digit)]


def test_scores_and_their_paired_difference():
    digits = load_mnist("test", "bundled").subset(np.arange(0, 1000, 10))
    networks = [
        Foveal("w", "what", 0.75, 0, constant(1)),
        Foveal("s", "stn-28", 0.75, 0, constant(2)),
        Foveal("o", "what", 1.0, 0, constant(3)),
    ]
    table, correct = experiments.scores(networks, digits, 0, torch.device("cpu"))
    shares = {str(n): (digits.labels == d).mean() for n, d in (("w", 1), ("s", 2), ("o", 3))}
    for _, row in table.iterrows():
        assert row["accuracy"] == pytest.approx(shares[row["network"]])
        assert row["low"] < row["accuracy"] < row["high"]
    gap = experiments.difference(correct, networks, 0.75)
    assert gap["difference"].tolist() == pytest.approx([shares["s"] - shares["w"]] * 2)
    assert (gap["low"] < gap["difference"]).all() and (gap["n"] == 100).all()
    assert experiments.difference(correct, networks, 1.0).empty


def cone(radius, n=40, seeds=0):
    """Answers that are right within `radius` of the middle, and by chance one in ten outside."""
    offsets = np.arange(-27, 28, 3)
    away = np.hypot(offsets, offsets[:, None])
    lucky = (np.arange(n) % 10 == 0)[:, None, None]
    right = np.where(away < radius, True, lucky)
    answers = xr.DataArray(
        right, {"y": offsets, "x": offsets, "label": ("stimulus", np.arange(n) % 10)},
        ("stimulus", "y", "x"),
    )  # fmt: skip
    return xr.concat([answers] * seeds, "seed") if seeds else answers


@pytest.mark.parametrize("seeds", [0, 2])
def test_a_map_has_its_half_width_and_profile(seeds):
    found = mapped("cone", cone(13, seeds=seeds))
    assert found.chance == 0.1
    width = found.half_width.sel(parameter="half_width")
    assert 11.5 < float(width["estimate"]) < 14
    assert float(found.profile["accuracy"][0]) == 1
    assert float(found.profile["accuracy"][-1]) == pytest.approx(0.1)
    assert found.map["accuracy"].shape == (19, 19)
    even = experiments.asymmetry(found)
    assert abs(float(even["hva"].sel(quantity="accuracy"))) < 1e-9


def test_maps_are_compared_where_ink_is():
    found = mapped("cone", cone(13))
    same = found.map["accuracy"]
    assert experiments.compare_maps(found, same)["r"] == pytest.approx(1)
    # Beyond the ink nothing counts.
    away = xr.apply_ufunc(np.hypot, same["x"], same["y"])
    other = xr.where(away < 22, same - 0.05, 0.9)
    told = experiments.compare_maps(found, other)
    assert (told["r"], told["mean_difference"]) == (pytest.approx(1), pytest.approx(0.05))
    assert told["n_cells"] == int((away < 22).sum())


def answers(n=50):
    """Answers of an eye that sees better after a saccade, which falls short."""
    rng = np.random.default_rng(0)
    names = ["What/Where, 0 saccades", "What/Where, 1 saccade", "What/Where, oracle", "blind"]
    contrast, away = np.array([0.7, 0.5, 0.3]), np.array([10.0, 20.0, 30.0])
    angle = rng.uniform(0, 2 * np.pi, (n, 1, 3))
    target = np.stack([np.cos(angle), np.sin(angle)], -1) * away[:, None]
    target = np.broadcast_to(target, (n, 3, 3, 2))
    fixation = np.stack([0 * target, 0.9 * target, target, np.full(target.shape, np.nan)])
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
    table = experiments.landings(answers())
    assert set(table["model"]) == {"What/Where, 1 saccade"}
    assert table["gain"].tolist() == pytest.approx([0.9] * 3)
    assert table["error"].tolist() == pytest.approx([1.0, 2.0, 3.0])
    assert (table["n"] == 150).all()


def test_confidence_gain_and_curves():
    told = answers()
    bins, errors = experiments.trust(told)
    by_model = errors.set_index("model")["ece"]
    assert by_model.max() < 0.06
    assert len(bins) == 4
    decisions = experiments.gonogo(told)
    assert (decisions["d_prime"] > 3).all()
    table = experiments.curves(told)
    row = table[(table["model"] == "blind") & (table["contrast"] == 0.5)].iloc[0]
    at = told["correct"].sel(model="blind", contrast=0.5, eccentricity=10)
    assert row["accuracy"] == pytest.approx(float(at.mean()))
    pooled = experiments.overall(told, seed=0).set_index(["model", "contrast"])
    assert (pooled["n"] == told.sizes["stimulus"]).all()
    assert pooled.loc[("blind", 0.5), "accuracy"] == pytest.approx(
        float(told["correct"].sel(model="blind", contrast=0.5).mean())
    )
    assert (pooled["low"] <= pooled["accuracy"]).all() and (
        pooled["accuracy"] <= pooled["high"]
    ).all()
    limits = experiments.thresholds(told)
    assert set(limits["model"]) == set(told["model"].values)
    assert not limits[limits["model"] == "blind"]["reached"].any()


def test_leads_are_paired_and_of_the_same_digits():
    told = answers()
    others = told.assign_coords(
        model=["ATN" if name == "blind" else name for name in told["model"].values]
    )
    table = experiments.leads(told, others, "What/Where, 1 saccade", seed=0)
    assert set(table["model"]) == {"ATN"} and (table["n"] == told.sizes["stimulus"]).all()
    mean = told["correct"].mean(["stimulus", "eccentricity"])
    gap = mean.sel(model="What/Where, 1 saccade") - mean.sel(model="blind")
    assert table["lead"].tolist() == pytest.approx(
        gap.sel(contrast=table["contrast"].values).values
    )
    same = told.assign_coords(model=["ATN", *told["model"].values[1:]])
    itself = str(told["model"].values[0])
    nothing = experiments.leads(told, same, itself, seed=0).query("model == 'ATN'")
    assert (nothing[["lead", "low", "high"]] == 0).all(axis=None)
    with pytest.raises(ValueError, match="align"):
        experiments.leads(told.isel(stimulus=slice(5)), others, "What/Where, 1 saccade", seed=0)


def test_published_numbers():
    table = published_benchmark()
    assert len(table) == 10 * 27
    assert sorted(table["contrast"].unique(), reverse=True) == list(CONTRASTS)
    assert table["eccentricity"].nunique() == 9 == len(RADII_PX)
    assert (table[table["model"].str.startswith("What")]["noise"] == 1.0).all()


@pytest.mark.data
def test_profiles_are_those_of_the_published_maps(data_root):
    for kind, field in published_maps().items():
        away = np.hypot(field["x"].values, field["y"].values[:, None])
        for k, value in enumerate(PROFILES[kind]):
            ring = (away >= PROFILE_EDGES_PX[k]) & (away < PROFILE_EDGES_PX[k + 1])
            assert field.values[ring].mean() == pytest.approx(value, abs=5e-4)
