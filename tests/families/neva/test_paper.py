import dataclasses
import json

import numpy as np
import pandas as pd
import pytest
import torch

from attnsci.data.stimuli import Images
from attnsci.experiments.looking import LOSS, NORMALISED, WHOLE, one_sight, usefulness
from attnsci.families.neva import paper
from attnsci.families.neva.asks import Looks, Sight, example
from attnsci.families.neva.config import NeVAConfig
from attnsci.families.neva.lookers import searches
from attnsci.families.neva.network import NeVA
from attnsci.families.neva.stimuli import Pictures, bundled, fovea_for, osie
from attnsci.families.neva.tasks import Classification
from attnsci.geometry import Viewing
from attnsci.papers.paper import Request
from attnsci.papers.run import run_paper
from attnsci.recording.datasets import open_dataset
from attnsci.recording.responses import collect

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


def stimuli(pictures):
    labels = Classification(Spotter()).target(pictures.images)
    assert labels.tolist() == [0, 1, 3]
    return Images(pictures.images, {"label": labels})


def test_looking_lies_between_the_bounds_and_beats_chance(pictures):
    scenes, fovea, task = stimuli(pictures), fovea_for(40, 0.9), Classification(Spotter())
    losses = {}
    for search in ("grid", "random"):
        neva = NeVA(task, fovea, NeVAConfig(search=search, precision="float32"))
        looks = collect(Looks(neva, pictures.names, 3, 0), scenes)
        assert dict(looks.sizes) == {"stimulus": 3, "time": 3, "coordinate": 2}
        losses[search] = usefulness(looks, seed=0).at(quantity=LOSS)
    bounds = {
        name: one_sight(collect(Sight(task, blur), scenes), seed=0).at(quantity=WHOLE)
        for name, blur in (("sharp", None), ("blurred", fovea))
    }
    sharp, grid, chance, blurred = (
        table["estimate"].item()
        for table in (bounds["sharp"], losses["grid"], losses["random"], bounds["blurred"])
    )
    assert sharp < grid < chance and sharp < blurred
    assert losses["grid"]["n"].item() == 3


def test_looks_are_those_of_neva_whatever_the_batch(pictures):
    neva = NeVA(Classification(Spotter()), fovea_for(40), NeVAConfig(precision="float32"))
    ask, scenes = Looks(neva, pictures.names, 2, 5), stimuli(pictures)
    whole, single = collect(ask, scenes), collect(ask, scenes, batch_size=1)
    np.testing.assert_allclose(whole["location"], single["location"], atol=1e-4)
    np.testing.assert_allclose(whole["loss"], single["loss"], rtol=1e-4)
    paths = neva.look(pictures.images, 2, image=pictures.names, seed=5)
    np.testing.assert_allclose(whole["location"][..., 0], paths["x"], atol=1e-4)
    np.testing.assert_allclose(whole["loss"], paths["state_loss"], rtol=1e-4)


def test_an_example_holds_what_is_remembered(pictures):
    neva = NeVA(Classification(Spotter()), fovea_for(40), NeVAConfig(precision="float32"))
    data = example(neva, pictures, "b", 3, seed=0)
    assert data["view"].shape == (3, 3, 40, 40) and data["priority"].shape == (3, 5, 5)
    np.testing.assert_array_equal(data["picture"], pictures.images[1])


def test_searches_have_names_that_say_what_they_are():
    variants = searches()
    assert variants["published"].best_position == "stepped"
    assert variants["grid"] == dataclasses.replace(variants["grid, discounted"], discount="commit")
    assert variants["sign-gradient"].search == "sign-gradient"


def tiny(**changes):
    return dataclasses.replace(paper.PAPER, scales={"quick": dataclasses.replace(TINY, **changes)})


def test_without_people_every_other_figure_is_drawn(tmp_path, monkeypatch):
    monkeypatch.setattr(paper, "osie", lambda n, side: None)
    written = run_paper(tiny(), Request("quick", tmp_path, seed=1, device="cpu"))
    for name in ("pipeline", "loss", "discounting", "gallery", "forgetting"):
        assert (tmp_path / f"{name}.png").stat().st_size > 5000
    text = (tmp_path / "results.md").read_text(encoding="utf-8")
    assert "no comparison with people" in text and "not available" in text
    table = pd.read_csv(tmp_path / "results.csv")
    assert (table["n"] > 0).all() and len(table) == 11
    assert set(table["published"]) == {"not available"} and set(table["reference_code"]) == {"–"}
    stored = open_dataset(tmp_path / "recordings" / "searches.zarr")
    facts = json.loads(stored.attrs["provenance"])
    assert facts["scale"]["fixations"] == 3 and facts["seed"] == 1
    assert set(facts["weights"]) == {"classifier", "untrained", "denoiser", "policy"}
    assert all(path.exists() for path in written)


@pytest.mark.data
@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:Some pairs have no value")  # models have no durations
def test_people_stand_beside_every_model(data_root, tmp_path, monkeypatch):
    monkeypatch.setenv("ATTNSCI_DATA", str(data_root))
    with pytest.warns(UserWarning, match="hardly tell"):
        run_paper(tiny(), Request("quick", tmp_path, device="cpu"))
    table = pd.read_csv(tmp_path / "people.csv")
    sources = set(table["source"])
    assert {"NeVA classification", "NeVA policy", "centre bias", "human", "cross-image"} <= sources
    assert {"control: blank image", "control: untrained network"} <= sources
    timed = table["metric"] == "multimatch duration"  # which models do not have
    normalised = table[(table["quantity"] == NORMALISED) & (table["source"] == "random") & ~timed]
    assert len(normalised) and normalised["estimate"].notna().all()
    assert (tmp_path / "people.png").exists() and (tmp_path / "windows.png").exists()
    assert "Normalised scores" in (tmp_path / "results.md").read_text(encoding="utf-8")


def test_osie_is_seen_whole_and_in_its_own_shape(data_root, monkeypatch):
    monkeypatch.setenv("ATTNSCI_DATA", str(data_root))
    found = osie(2, 60)
    assert found is not None
    pictures, people = found
    assert pictures.images.shape == (2, 3, 60, 80)
    assert pictures.viewing.px_per_deg == pytest.approx(2.4)
    assert set(pictures.names) <= set(people["image"].values.tolist())
