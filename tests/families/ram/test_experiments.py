import numpy as np
import pandas as pd
import pytest
import xarray as xr

from attnsci.data.digits import load_mnist
from attnsci.data.ram_scenes import PRESETS, ClutteredScenes
from attnsci.families.ram import experiments, results
from attnsci.families.ram.experiments import Network
from attnsci.families.ram.networks import load_network


@pytest.fixture
def network(plain):
    return Network(plain, load_network(plain))


@pytest.fixture(scope="module")
def scenes():
    return ClutteredScenes(load_mnist("test"), PRESETS["mnist-28"])


def test_a_network_says_what_it_is(network, cluttered):
    assert (network.task, network.n_glimpses, network.gaze, network.seed) == (
        "mnist-28", 6, "learned", 0,
    )  # fmt: skip
    assert Network(cluttered, load_network(cluttered)).task == "cluttered-60"


def test_a_fall_with_distance_is_seen_in_bins_of_twenty():
    rng = np.random.default_rng(0)
    n = 4000
    x, y = rng.uniform(14, 46, (2, n))
    away = np.hypot(x - 30, y - 30)
    correct = rng.random(n) < 1 - away / 40
    logits = np.zeros((n, 1, 2))
    logits[np.arange(n), 0, correct.astype(int)] = 1
    shown = xr.Dataset(
        {
            "logits": (("stimulus", "glimpse", "class"), logits),
            "location": (("stimulus", "glimpse", "coordinate"), np.full((n, 1, 2), 30.0)),
        },
        coords={
            "label": ("stimulus", np.ones(n, int)), "x": ("stimulus", x), "y": ("stimulus", y),
            "coordinate": ["x", "y"],
        },
        attrs={"size_px": 60},
    )  # fmt: skip
    found = experiments.by_eccentricity(shown, 3.0)
    for of in ("canvas", "first glimpse"):
        at = found[of]
        assert (at["n"] >= 20).all() and int(at["n"].sum()) == n
        wanted = 1 - at["mean_eccentricity"] / 40
        assert (np.abs(at["accuracy"] - wanted) < 0.1).all()


def test_both_versions_of_the_paper_stand_in_a_row():
    table = pd.DataFrame(
        [
            {
                "network": "a", "task": "cluttered-60", "gaze": gaze, "n_glimpses": n,
                "policy": policy, "error": 5.0, "low": 4.0, "high": 6.0, "n": 100,
            }
            for gaze, n, policy in (
                ("learned", 6, "mean"), ("learned", 6, "sampled"), ("random", 8, "random"),
            )
        ]
    )  # fmt: skip
    mean, sampled, random = results.error_rows(table)
    assert mean.published == "NIPS 4.08, arXiv v1 5.88"
    assert mean.reference_code == "5.3 (stated)"
    assert sampled.published == "" and random.published == "NIPS 14.4"
    assert (mean.ours, mean.low, mean.high, mean.n) == (5, 4, 6, 100)
    assert results.published_error("mnist-28", 9, "learned") == ""


def test_chance_looks_where_the_network_would_not(network, scenes):
    table, kept = experiments.policies(network, scenes, 300, None, seed=0)
    table = table.set_index("policy")
    assert table["n"].eq(300).all() and set(kept["policy"].values) == set(table.index)
    learned, centre = kept["correct"].sel(policy="learned"), kept["correct"].sel(policy="centre")
    assert table.loc["centre", "worse_by"] == pytest.approx(100 * float((learned - centre).mean()))
    assert table.loc["centre", "worse_low"] <= table.loc["centre", "worse_by"]


@pytest.mark.data
@pytest.mark.slow
def test_published_weights_reach_what_is_stated(data_root, monkeypatch):
    monkeypatch.setenv("ATTNSCI_DATA", str(data_root))
    digits, clutter = load_mnist("test", "full"), load_mnist("train", "full")

    def scenes_of(task, seed):
        return ClutteredScenes(digits, PRESETS[task], clutter=clutter, seed=seed)

    table = experiments.published(data_root / "ram", scenes_of, (0, 1, 2)).set_index("task")
    assert table["n"].eq(10_000).all()
    assert table.loc["mnist-28", "error"] == pytest.approx(1.14, abs=0.1)
    assert table.loc["translated-60", "error"] == pytest.approx(1.68, abs=0.15)
    assert table.loc["cluttered-60", "error"] == pytest.approx(5.26, abs=0.2)
