import dataclasses
import json

import numpy as np
import pandas as pd
import pytest
import torch

from attnsci.families.neva import experiments, paper, results
from attnsci.families.neva.config import NeVAConfig
from attnsci.families.neva.stimuli import Pictures, bundled, fovea_for, osie
from attnsci.families.neva.tasks import BlurEnergy, Classification
from attnsci.recording.datasets import open_dataset
from attnsci.reproduction import Request

TINY = paper.Scale(3, False, (0.0, 1.0), 48, 3, 48, 24, 50)


class Spotter(torch.nn.Module):
    """Names the quarter of the image with the most contrast."""

    def forward(self, images):
        sharp = (images - torch.nn.functional.avg_pool2d(images, 5, 1, 2)).square().mean(1)
        return torch.nn.functional.adaptive_avg_pool2d(sharp[:, None], 2).flatten(1) * 1000


@pytest.fixture
def pictures():
    images = torch.full((3, 3, 40, 40), 0.2)
    generator = torch.Generator().manual_seed(0)
    for row, (y, x) in enumerate(((5, 5), (5, 28), (28, 28))):
        images[row, :, y : y + 6, x : x + 6] = torch.rand(3, 6, 6, generator=generator)
    from attnsci.geometry import Viewing

    return Pictures(images, ["a", "b", "c"], Viewing(40, 40))


def test_pictures_are_the_bundled_ones_and_resize_whole():
    pictures = bundled(64)
    assert pictures.names == ["astronaut", "camera", "chelsea", "coffee", "rocket"]
    assert pictures.images.shape == (5, 3, 64, 64)
    small = pictures.resized(24, 32)
    assert small.images.shape == (5, 3, 24, 32) and small.viewing.width_px == 32
    assert float(small.images.mean()) == pytest.approx(float(pictures.images.mean()), abs=0.01)


def test_the_fovea_scales_with_the_image():
    assert fovea_for(224).sigma_px == pytest.approx(35.26, abs=0.01)
    assert fovea_for(224).blur_size == 41 and fovea_for(112).blur_sigma_px == 5


def test_looking_lies_between_the_bounds_and_beats_chance(pictures):
    variants = {
        "grid": NeVAConfig(precision="float32"),
        "random": NeVAConfig(search="random", precision="float32"),
    }
    found, traces = experiments.along_fixations(
        Spotter(), pictures, fovea_for(40, 0.9), variants, 3, seed=0
    )
    assert (found["clean"] < found["blurred"]).all()
    grid, chance = (found["loss"].sel(variant=name) for name in variants)
    assert float(grid.mean()) < float(chance.mean())
    assert traces["grid"].seen.shape == (3, 3, 3, 40, 40)
    table = experiments.exploration(found)
    assert set(table["variant"]) == set(variants) and table["cells"].between(1, 3).all()
    rows = {row.quantity: row for row in results.task_rows(found, 0)}
    assert rows["task loss, sharp"].ours == pytest.approx(float(found["clean"].mean()))
    assert rows["task loss, grid: mean over fixations"].n == 3


def test_exploration_by_hand():
    import xarray as xr

    places = np.array([[[1.0, 1.0, 39.0], [1.0, 39.0, 39.0]]])
    found = xr.Dataset(
        {
            "x": (("variant", "image", "fixation"), places),
            "y": (("variant", "image", "fixation"), np.full_like(places, 20.0)),
            "loss": (("variant", "image", "fixation"), np.ones_like(places)),
        },
        coords={"variant": ["v"], "image": ["a", "b"]},
        attrs={"width_px": 40.0, "height_px": 40.0},
    )
    table = experiments.exploration(found)
    assert table["cells"].tolist() == [2, 2]
    assert table["saccade_share"].tolist() == pytest.approx([19 / 40, 19 / 40])


def test_bounds_are_the_tasks_own(pictures):
    task = BlurEnergy()
    clean, blurred = experiments.bounds(task, pictures.images, fovea_for(40), pictures.images)
    assert float(clean.abs().max()) == 0 and bool((blurred > 0).all())
    labels = Classification(Spotter()).target(pictures.images)
    assert labels.tolist() == [0, 1, 3]


def test_searches_have_names_that_say_what_they_are():
    found = experiments.searches()
    assert found["published"].best_position == "stepped"
    assert found["grid"] == dataclasses.replace(found["grid, discounted"], discount="commit")
    assert found["sign-gradient"].search == "sign-gradient"


def test_without_people_every_other_figure_is_drawn(tmp_path, monkeypatch):
    monkeypatch.setitem(paper.SCALES, "quick", TINY)
    monkeypatch.setattr(paper, "osie", lambda n, side: None)
    written = paper.reproduce(Request("quick", tmp_path, seed=1, device="cpu"))
    for name in ("pipeline", "loss", "discounting", "gallery", "forgetting"):
        assert (tmp_path / f"{name}.png").stat().st_size > 5000
    text = (tmp_path / "results.md").read_text(encoding="utf-8")
    assert "no comparison with people" in text and "not available" in text
    table = pd.read_csv(tmp_path / "results.csv")
    assert (table["n"] > 0).all() and len(table) > 8
    stored = open_dataset(tmp_path / "recordings" / "searches.zarr")
    facts = json.loads(stored.attrs["provenance"])
    assert facts["scale"]["fixations"] == 3 and facts["seed"] == 1
    assert all(path.exists() for path in written)


@pytest.mark.data
@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:Some pairs have no value")  # models have no durations
def test_people_stand_beside_every_model(data_root, tmp_path, monkeypatch):
    monkeypatch.setenv("ATTNSCI_DATA", str(data_root))
    monkeypatch.setitem(paper.SCALES, "quick", TINY)
    with pytest.warns(UserWarning, match="hardly tell"):
        paper.reproduce(Request("quick", tmp_path, device="cpu"))
    table = pd.read_csv(tmp_path / "people.csv")
    sources = set(table["source"])
    assert {"NeVA classification", "NeVA policy", "centre bias", "human", "cross-image"} <= sources
    assert {"control: blank image", "control: untrained network"} <= sources
    timed = table["metric"] == "multimatch duration"  # which models do not have
    assert table.loc[(table["source"] == "random") & ~timed, "normalised"].notna().all()
    assert (tmp_path / "people.png").exists() and (tmp_path / "windows.png").exists()
    assert "Normalised scores" in (tmp_path / "results.md").read_text(encoding="utf-8")


@pytest.mark.data
def test_osie_is_seen_whole_and_in_its_own_shape(data_root, monkeypatch):
    monkeypatch.setenv("ATTNSCI_DATA", str(data_root))
    found = osie(2, 60)
    assert found is not None
    pictures, people = found
    assert pictures.images.shape == (2, 3, 60, 80)
    assert pictures.viewing.px_per_deg == pytest.approx(2.4)
    assert set(pictures.names) <= set(people["image"].values.tolist())
