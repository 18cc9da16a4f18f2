import shlex

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from attnsci import cli


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


def test_a_gaze_is_trained_on_a_folder_and_used(tmp_path, capsys):
    rng = np.random.default_rng(0)
    photos = tmp_path / "photos"
    photos.mkdir()
    for number in range(12):
        pixels = rng.integers(0, 255, (40, 48, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(photos / f"{number}.png")
    line = (
        f"scanpath train {photos} --size 32 32 --n-fixations 2 --batch-size 4 "
        f"--max-steps 3 --device cpu --out {tmp_path}/run"
    )
    code, out, err = run(line, capsys)
    assert code == 0, err
    assert "held-out photographs" in out
    weights = tmp_path / "run" / "best.safetensors"
    code, _, err = run(
        f"scanpath generate {photos}/1.png --model policy --weights {weights} --fixations 3 "
        f"--side 40 --no-animate --out {tmp_path}/looks",
        capsys,
    )
    assert code == 0, err
    assert len(pd.read_csv(tmp_path / "looks" / "scanpaths.csv")) == 3
    code, _, err = run(f"scanpath train {photos}/1.png --out {tmp_path}/other", capsys)
    assert code == 1 and "the name of a file decides" in err
