"""The photograph half at a tiny scale, on synthetic photographs; what is missing is said."""

import dataclasses
import functools
import json
import re

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
import torch

from attnsci.data.coco import load_coco_pairs
from attnsci.errors import DatasetNotFound, InvalidInput
from attnsci.families import zoo
from attnsci.families.object_attention import coco_experiments, coco_paper
from attnsci.families.object_attention.coco_results import _GATES, _SCORES
from attnsci.models.weights import save_weights
from attnsci.papers.paper import Request
from attnsci.recording.datasets import open_dataset
from attnsci.reproduction import reproduce

TINY = coco_paper.Scale(
    photographs=20,
    digits=12,
    orientations_deg=(0.0, 45.0, 90.0, 135.0),
    widths=(1.0,),
    row_shifts=(-2, 2),
    column_shifts=(0,),
)
FIGURES = {
    "gallery", "gates", "inhibition", "confusion", "scores", "categories", "tuning", "tuning-all"
}  # fmt: skip
TABLES = {
    "scores", "gates", "selection", "confusion", "category_levels", "category_units", "tuning",
    "orientation_gain", "results",
}  # fmt: skip


@pytest.fixture
def trained(lively, tmp_path):
    """Return files of two networks of one recipe, as a training run writes them."""
    files = []
    for seed in range(2):
        model = lively(seed)
        record = {
            "model": "ObjectAttention", "config": dataclasses.asdict(model.config), "seed": seed,
            "training": {"min_area": 0.05, "seed": seed}, "data": {"split": ["train"]},
        }  # fmt: skip
        files.append(str(tmp_path / f"seed{seed}.safetensors"))
        save_weights(files[-1], model, record)
    return tuple(files)


@pytest.fixture
def tiny(monkeypatch):
    monkeypatch.setitem(coco_paper.SCALES, "quick", TINY)
    few = functools.partial(coco_experiments.gain_summary, n_resamples=20)
    monkeypatch.setattr(coco_experiments, "gain_summary", few)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:.*photographs are left out")
def test_everything_is_drawn_written_and_in_the_tables(
    photographs, trained, tiny, tmp_path, capsys
):
    before = torch.random.get_rng_state(), plt.get_fignums()
    images, annotations = photographs
    written = reproduce(
        ["object-attention-coco"], scale="quick", out=tmp_path / "out", device="cpu",
        images=images, annotations=annotations, weights=trained,
    )  # fmt: skip
    out = tmp_path / "out" / "object-attention-coco" / "quick"
    assert written == [out / "results.md"]
    assert torch.equal(torch.random.get_rng_state(), before[0]), "global randomness was used"
    assert plt.get_fignums() == before[1], "a figure was left open"
    steps = [line for line in capsys.readouterr().err.splitlines() if line.endswith(" of 4")]
    assert steps[0] == "object-attention, photographs, quick scale: side by side, 1 of 4"
    files = {path.name for path in out.iterdir() if path.is_file()}
    assert files == (
        {f"{name}{suffix}" for name in FIGURES for suffix in (".svg", ".png")}
        | {f"{name}.csv" for name in TABLES}
        | {"results.md"}
    )
    table = {name: pd.read_csv(out / f"{name}.csv") for name in TABLES}

    scores = table["scores"]
    assert scores["network"].unique().tolist() == [
        "coco, seed 0",
        "coco, seed 1",
        "mean of 2 seeds",
    ]
    assert sorted(scores["min_area"].unique()) == [0.05, 0.1]
    shown = open_dataset(out / "recordings" / "photographs-coco-seed0-10.zarr")
    assert shown.sizes["stimulus"] == TINY.photographs
    told = json.loads(shown.attrs["provenance"])
    assert told["data"]["split"] == ["test"] and told["scale"]["name"] == "quick"
    label = np.take_along_axis(shown["label"].values, shown["attended"].values, 1)
    own = scores.query(
        "network == 'coco, seed 0' and min_area == 0.1 and measure == 'accuracy' "
        "and condition == 'network' and assignment == 'attended'"
    )
    right = (label == shown["prediction"].values).mean()
    assert own["estimate"].item() == pytest.approx(right) and own["n"].item() == 20

    counts = table["confusion"]
    assert counts["count"].sum() == 2 * TINY.photographs and len(counts) == 12**2
    tuning = table["tuning"].groupby("level")["channel"].nunique()
    assert tuning.to_dict() == {1: 30, 2: 60, 3: 100, 4: 20}
    bars = open_dataset(out / "recordings" / "bars.zarr")
    row = table["tuning"].query("level == 3 and attention == 'attended'").iloc[7]
    cell = {f"{axis}_3": int(row[axis]) for axis in ("channel", "y", "x")}
    at = bars["level_3"].sel(statistic="mean", attention="attended")[cell]
    assert row["activation"] == pytest.approx(
        float(at.sel(orientation_deg=row["orientation_deg"] % 180)), rel=1e-5
    )
    results = table["results"]
    assert not results.duplicated("quantity").any()
    assert results["quantity"].str.contains("mean of 2 seeds, objects > 5%").any()
    text = (out / "results.md").read_text(encoding="utf-8")
    assert "instances_small.json" in text and "Network of the figures: coco, seed 0" in text


def test_networks_that_trained_are_tested_on_what_they_never_saw(photographs, trained, coco, tiny):
    for number in (1, 2, 3, 6, 7, 8):  # none of them of the test split
        coco.add(
            [(1, coco.rectangle(0, 0, 20, 40)), (18, coco.rectangle(30, 0, 20, 40))], number=number
        )
    images, annotations = coco.write()
    assert len(load_coco_pairs(images, annotations, size=76)) > 24
    device = torch.device("cpu")
    network = coco_paper.load_network(trained[0])
    seen = coco_paper._show(network, "ours", images, annotations, 0.1, TINY, device)
    assert len(seen.pairs) == 24 and seen.pairs.split == ("test",)
    assert seen.label == {"network": "ours", "trained": True, "min_area": 0.1}
    foreign = dataclasses.replace(network, record={})
    all_of_them = coco_paper._show(foreign, "theirs", images, annotations, 0.1, TINY, device)
    assert len(all_of_them.pairs) > 24 and not all_of_them.label["trained"]
    assert coco_paper._areas(network) == [0.1, 0.05] and coco_paper._areas(foreign) == [0.1]


def test_without_photographs_it_says_what_is_missing(tmp_path, monkeypatch):
    monkeypatch.setenv("ATTNSCI_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("ATTNSCI_DATA", raising=False)
    said = re.escape("attnsci datasets get coco-2017-val --accept")
    with pytest.raises(DatasetNotFound, match=rf"--images DIR --annotations FILE .*{said}"):
        reproduce(["object-attention-coco"], scale="quick", out=tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_cocos_own_validation_set_is_found(tmp_path, monkeypatch):
    root = tmp_path / "coco"
    (root / "val2017").mkdir(parents=True)
    (root / "annotations").mkdir()
    file = root / "annotations" / "instances_val2017.json"
    file.write_text("{}")
    monkeypatch.setenv("ATTNSCI_DATA", str(tmp_path))
    assert coco_paper.photographs_of(Request("quick", tmp_path)) == (root / "val2017", file)


def test_networks_that_do_not_fit_are_refused(photographs, trained, tiny, tmp_path, monkeypatch):
    images, annotations = photographs

    def ask(*weights):
        request = Request(
            "quick", tmp_path / "out", device="cpu", weights=weights, images=images,
            annotations=annotations,
        )  # fmt: skip
        return coco_paper.reproduce(request)

    with pytest.raises(InvalidInput, match="mnist-2-seed0 reads grey images"):
        ask("mnist-2-seed0")
    with pytest.raises(InvalidInput, match="Two networks are called coco, seed 0"):
        ask(trained[0], trained[0])
    monkeypatch.setattr(coco_paper, "pretrained_names", lambda: ("mnist-2-seed0",))
    with pytest.raises(InvalidInput, match="train object-attention-coco"):
        ask()
    few, record = zoo.load_model(trained[0]).model, zoo.load_model(trained[0]).record
    few = type(few)(dataclasses.replace(few.config, n_classes=5))
    record |= {"config": dataclasses.asdict(few.config), "seed": 7}
    save_weights(tmp_path / "few.safetensors", few, record)
    with pytest.raises(InvalidInput, match="coco, seed 7 tells 5 classes apart"):
        ask(str(tmp_path / "few.safetensors"))


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"images": "photographs"}, "images and annotations go together"),
        ({"annotations": "objects.json"}, "images and annotations go together"),
    ],
)
def test_what_does_not_go_together_is_refused(tmp_path, settings, says):
    settings = {"papers": ["object-attention-coco"], **settings}
    with pytest.raises(InvalidInput, match=says):
        reproduce(out=tmp_path / "out", scale="quick", **settings)
    assert not (tmp_path / "out").exists()


def test_training_first_takes_the_small_recipe_but_at_paper_scale(tmp_path, monkeypatch):
    runs = []
    monkeypatch.setattr(coco_paper, "load_split", lambda training, *files: files[-1])
    monkeypatch.setattr(coco_paper, "CocoObjective", lambda training, *parts: (training, parts))
    monkeypatch.setattr(coco_paper, "train_and_draw", lambda *run: runs.append(run))
    for scale in ("default", "paper"):
        request = Request(scale, tmp_path, seed=3, device="cpu", train=True)
        path = coco_paper._train(request, tmp_path, tmp_path / "objects.json")
        (training, parts), folder, settings = runs[-1]
        assert path == str(folder / "last.safetensors") and parts == ("train", "val")
        assert training.seed == 3 and settings.epochs == training.epochs
    assert [run[0][0].reading > 0 for run in runs] == [True, False]


def test_scales_grow():
    quick, default, full = (coco_paper.SCALES[name] for name in ("quick", "default", "paper"))
    for field in dataclasses.fields(coco_paper.Scale):
        values = [getattr(scale, field.name) for scale in (quick, default, full)]
        sizes = [value if isinstance(value, int) else len(value) for value in values]
        assert sizes == sorted(sizes)


@pytest.mark.slow
@pytest.mark.data
def test_the_published_checkpoint_on_the_subset(data_root, tmp_path, monkeypatch):
    """What the results' column of the reference code says, of 98 photographs."""
    monkeypatch.setenv("ATTNSCI_CACHE", str(tmp_path))
    subset = data_root / "coco" / "s256"
    network = coco_paper.load_network(str(data_root / "object-attention" / "paper_coco_model.pt"))
    files = subset / "images", subset / "annotations" / "instances_complete.json"
    everything = dataclasses.replace(TINY, photographs=1000)
    shown = coco_paper._show(network, "theirs", *files, 0.1, everything, torch.device("cpu"))
    assert len(shown.pairs) == 98
    scores = coco_experiments.score_table(shown.data, 12, seed=0)
    own = scores[(scores["condition"] == "network") & (scores["assignment"] == "attended")]
    for row in own.itertuples():
        told = _SCORES[row.measure][2]
        assert told.startswith(f"{row.estimate:.3f}"[1:]), (row.measure, row.estimate, told)
    gates = coco_experiments.gate_table(shown.data, seed=0)
    for row in gates.itertuples():
        number = f"{row.estimate:.3f}"[1:] if row.estimate < 1 else f"{row.estimate:.2f}"
        assert _GATES[row.measure][2].startswith(number), (row.measure, row.estimate)
