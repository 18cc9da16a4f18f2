import shlex

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

from attnsci import cli
from attnsci.families.neva import generate
from attnsci.families.neva.clip import ImageText
from attnsci.families.neva.evaluate import GAIN, LOSS
from attnsci.families.neva.photographs import part_of
from attnsci.families.zoo import load_model
from attnsci.recording.datasets import open_dataset


def run(line, capsys):
    code = cli.main(shlex.split(line))
    out, err = capsys.readouterr()
    return code, out, err


@pytest.fixture
def folder(tmp_path):
    """Images of several sizes and colour models, each dark with one bright textured spot."""
    pictures = tmp_path / "pictures"
    pictures.mkdir()
    rng = np.random.default_rng(0)
    for name, (height, width), mode in (
        ("wide.png", (90, 180), "RGB"),
        ("tall.jpg", (150, 100), "RGB"),
        ("grey.png", (120, 120), "L"),
    ):
        pixels = np.full((height, width, 3), 20, np.uint8)
        # The spot is in the lower right quarter.
        y, x = int(height * 0.75), int(width * 0.75)
        pixels[y - 8 : y + 8, x - 8 : x + 8] = rng.integers(0, 255, (16, 16, 3))
        Image.fromarray(pixels).convert(mode).save(pictures / name)
    return pictures


FAST = "--model neva --task blur-energy --fixations 3 --side 64 --retention 0"


def test_every_image_gets_its_path_in_its_own_pixels(folder, tmp_path, capsys):
    code, out, err = run(f"scanpath generate {folder} {FAST} --out {tmp_path}/out", capsys)
    assert code == 0, err
    assert out.startswith("3 images")
    table = pd.read_csv(tmp_path / "out" / "scanpaths.csv")
    first = table[table["fixation"] == 0].set_index("image")
    assert list(first.index) == ["grey.png", "tall.jpg", "wide.png"]
    for _, row in first.iterrows():  # the planted spot
        assert row["x"] / row["width_px"] == pytest.approx(0.75, abs=0.06)
        assert row["y"] / row["height_px"] == pytest.approx(0.75, abs=0.06)
    for name in ("wide.png", "tall.jpg", "grey.png"):
        assert (tmp_path / "out" / "pictures" / f"{name}.png").stat().st_size > 1000
        with Image.open(tmp_path / "out" / "animations" / f"{name}.gif") as animation:
            assert animation.n_frames == 3
    page = (tmp_path / "out" / "player.html").read_text(encoding="utf-8")
    assert page.count("data:image") == 3


def test_a_run_that_stopped_goes_on_and_does_nothing_twice(folder, tmp_path, capsys):
    line = f"scanpath generate {folder} {FAST} --no-animate --out {tmp_path}/out"
    assert run(line, capsys)[0] == 0
    whole = (tmp_path / "out" / "scanpaths.csv").read_bytes()
    kept = tmp_path / "out" / "by_image" / "wide.png.csv"
    time = kept.stat().st_mtime_ns
    (tmp_path / "out" / "by_image" / "tall.jpg.csv").unlink()
    (tmp_path / "out" / "scanpaths.csv").unlink()
    assert run(line, capsys)[0] == 0
    assert (tmp_path / "out" / "scanpaths.csv").read_bytes() == whole
    assert kept.stat().st_mtime_ns == time
    code, _, err = run(line.replace("--side 64", "--side 48"), capsys)
    assert code == 1 and "another side" in err


def test_what_is_no_image_is_refused_by_name(folder, tmp_path, capsys):
    (folder / "notes.png").write_text("no image at all", encoding="utf-8")
    code, _, err = run(
        f"scanpath generate {folder} --model random --no-animate --out {tmp_path}/out", capsys
    )
    assert code == 1 and "notes.png" in err and "Traceback" not in err
    assert (tmp_path / "out" / "by_image" / "grey.png.csv").exists()  # what was done is kept
    code, _, err = run(f"scanpath generate {folder}/nothing.png --out {tmp_path}/o", capsys)
    assert code == 1 and "nothing.png" in err
    code, _, err = run(f"scanpath generate {folder} --task word --out {tmp_path}/o", capsys)
    assert code == 1 and "--word" in err


@pytest.mark.parametrize("model", ["itti-koch", "spectral-residual", "centre", "random"])
def test_other_models_look_too(folder, tmp_path, capsys, model):
    code, _, err = run(
        f"scanpath generate {folder}/wide.png --model {model} --fixations 4 --side 64 "
        f"--no-animate --out {tmp_path}/out",
        capsys,
    )
    assert code == 0, err
    table = pd.read_csv(tmp_path / "out" / "scanpaths.csv")
    assert len(table) == 4 and table["x"].between(0, 180).all() and table["y"].between(0, 90).all()


@pytest.mark.parametrize(
    "task",
    ["classification", "word --word cup", "reconstruction"],
    ids=lambda task: task.split()[0],
)
def test_tasks_with_a_network(folder, tmp_path, capsys, task):
    code, _, err = run(
        f"scanpath generate {folder}/grey.png --task {task} --fixations 2 --side 64 --no-animate "
        f"--out {tmp_path}/out",
        capsys,
    )
    assert code == 0, err
    assert len(pd.read_csv(tmp_path / "out" / "scanpaths.csv")) == 2


class Colours(torch.nn.Module):
    """Images and names of colours in one space."""

    def __init__(self):
        super().__init__()
        self.unit = torch.nn.Parameter(torch.ones(()))

    def encode_image(self, images):
        return self.unit * images.square().mean((2, 3))

    def encode_text(self, tokens):
        return self.unit * torch.eye(3)[tokens.cpu()]


def test_a_caption_is_looked_for_with_ones_own_clip(tmp_path, capsys, monkeypatch):
    asked = []

    def load(architecture, weights):
        asked.append((architecture, weights))
        return ImageText(
            Colours(), lambda texts: torch.tensor(["red", "green"].index(texts[0]))[None],
            mean=(0, 0, 0), sd=(1, 1, 1),
        )  # fmt: skip

    monkeypatch.setattr(generate, "load_open_clip", load)
    pixels = np.zeros((64, 64, 3), np.uint8)
    stripes = np.where(np.arange(16) % 2, 255, 0)[:, None]  # which a blur dims
    pixels[8:24, 8:24, 0], pixels[40:56, 40:56, 1] = stripes, stripes
    Image.fromarray(pixels).save(tmp_path / "colours.png")
    for caption, place in (("red", 16), ("green", 48)):
        line = (
            f"scanpath generate {tmp_path}/colours.png --task caption --caption {caption} --clip "
            f"{tmp_path}/w.pt --fixations 1 --side 64 --no-animate --out {tmp_path}/{caption}"
        )
        code, _, err = run(line, capsys)
        assert code == 0, err
        first = pd.read_csv(tmp_path / caption / "scanpaths.csv").iloc[0]
        assert first["x"] == pytest.approx(place, abs=13)
        assert first["y"] == pytest.approx(place, abs=13)
    assert asked[0] == ("RN50", tmp_path / "w.pt")
    code, _, err = run(f"scanpath generate {tmp_path}/colours.png --task caption", capsys)
    assert code == 1 and "--caption go together" in err
    code, _, err = run(
        f"scanpath generate {tmp_path}/colours.png --task caption --caption red", capsys
    )
    assert code == 1 and "--clip" in err


@pytest.fixture
def photographs(tmp_path):
    rng = np.random.default_rng(0)
    folder = tmp_path / "photos"
    folder.mkdir()
    for number in range(24):
        pixels = rng.integers(0, 255, (120, 130, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / f"{number}.png")
    return folder


TRAIN = "--size 32 32 --n-fixations 2 --batch-size 4 --max-steps 3 --device cpu"


def test_a_gaze_is_trained_on_a_folder_evaluated_and_used(photographs, tmp_path, capsys):
    photos = photographs
    code, out, err = run(f"train neva {photos} {TRAIN} --out {tmp_path}/run", capsys)
    assert code == 0, err
    assert "Validation: gain" in out and (tmp_path / "run" / "training.png").exists()
    weights = tmp_path / "run" / "best.safetensors"
    code, _, err = run(
        f"scanpath generate {photos}/1.png --model policy --weights {weights} --fixations 3 "
        f"--side 40 --no-animate --out {tmp_path}/looks",
        capsys,
    )
    assert code == 0, err
    assert len(pd.read_csv(tmp_path / "looks" / "scanpaths.csv")) == 3
    code, _, err = run(f"train neva {photos}/1.png --out {tmp_path}/other", capsys)
    assert code == 1 and "the name of a file decides" in err
    line = f"evaluate neva {photos} --model {weights} --fixations 2 --device cpu"
    code, out, err = run(f"{line} --out {tmp_path}/worth", capsys)
    assert code == 0, err
    table = pd.read_csv(tmp_path / "worth" / "gaze.csv")
    n = sum(part_of(path.name) == "test" for path in photos.iterdir())
    assert (table["n"] == n).all() and table["n_of"].eq("photographs").all()
    worth = table.set_index(["quantity", "gaze"])["estimate"]
    for easier in ("centre", "random"):  # on the very same photographs
        saved = worth[LOSS, easier] - worth[LOSS, "learned"]
        assert worth[GAIN, f"learned, against {easier}"] == pytest.approx(saved)
    looks = open_dataset(tmp_path / "worth" / "responses.zarr")
    assert dict(looks.sizes) == {"gaze": 3, "stimulus": n, "fixation": 3}
    first = looks.isel(fixation=0)["loss"]
    assert (first == first.sel(gaze="centre")).all()  # before a look all see the same
    mean = looks["loss"].isel(fixation=slice(1, None)).sel(gaze="random").mean()
    assert worth[LOSS, "random"] == pytest.approx(float(mean))
    code, _, err = run(f"evaluate neva {photos}/1.png --split validation", capsys)
    assert code == 1 and "the name of a file decides" in err


def test_a_denoiser_is_trained_on_a_folder(photographs, tmp_path, capsys):
    code, out, err = run(
        f"train neva-denoiser {photographs} --crop 32 --batch-size 2 --batches-per-epoch 2 "
        f"--validation-crops 4 --max-steps 2 --epochs 1 --device cpu --out {tmp_path}/run",
        capsys,
    )
    assert code == 0, err
    assert "Validation: psnr" in out
    assert type(load_model(tmp_path / "run" / "best.safetensors").model).__name__ == "DnCNN"
