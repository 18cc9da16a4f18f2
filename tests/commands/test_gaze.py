import json
import shlex

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from attnsci import cli
from attnsci.gaze import from_arrays, to_frame
from attnsci.geometry import Viewing
from attnsci.recording.datasets import open_dataset

# What metrics that hardly see the image do; the command prints it as one line.
pytestmark = pytest.mark.filterwarnings("default:multimatch .* hardly tell")

QUICK = "--n-permutations 99 --n-bootstrap 99"


def run(line, capsys):
    """Run a command line in this process; return its exit code, stdout and stderr."""
    code = cli.main(shlex.split(line))
    out, err = capsys.readouterr()
    return code, out, err


def people(n_observers, seed, noise=20.0):
    spots = np.random.default_rng(9).uniform((80, 80), (720, 520), (8, 6, 2))
    rng = np.random.default_rng(seed)
    points = (spots[:, None] + rng.normal(0, noise, (8, n_observers, 6, 2))).reshape(-1, 6, 2)
    return from_arrays(
        points[..., 0],
        points[..., 1],
        rng.uniform(0.1, 0.4, points.shape[:2]),
        image=np.repeat([f"{i}.png" for i in range(8)], n_observers),
        observer=np.tile(np.arange(n_observers), 8),
        viewing=Viewing(800, 600),
    )


@pytest.fixture
def files(tmp_path):
    to_frame(people(5, 0)).to_csv(tmp_path / "human.csv", index=False)
    to_frame(people(1, 1, noise=60.0)).to_csv(tmp_path / "model.csv", index=False)
    return tmp_path


def test_one_command_writes_table_figures_and_scores(files, capsys):
    code, _, err = run(
        f"compare {files}/model.csv {files}/human.csv --image-size 800x600 --px-per-deg 24 "
        f"--out {files}/out {QUICK}",
        capsys,
    )
    assert code == 0, err
    assert "multimatch duration hardly tell(s)" in err and "comparison.py" not in err
    table = pd.read_csv(files / "out" / "comparison.csv").set_index("metric")
    assert {"scanmatch", "multimatch vector", "nss", "ig"} <= set(table.index)
    row = table.loc["scanmatch"]
    assert row["cross-image"] < row["model"] < row["human"] and 0 < row["normalised"] < 1
    by_image = pd.read_csv(files / "out" / "scores_by_image.csv")
    chosen = by_image[(by_image["metric"] == "scanmatch") & (by_image["source"] == "model")]
    assert chosen["score"].mean() == pytest.approx(row["model"], abs=1e-12)
    stored = open_dataset(files / "out" / "comparison.zarr")
    assert float(stored["mean"].sel(metric="scanmatch", source="model")) == row["model"]
    facts = json.loads(stored.attrs["provenance"])
    assert facts["seed"] == 0 and facts["human"].endswith("human.csv")
    text = (files / "out" / "results.md").read_text(encoding="utf-8")
    assert f"{row['human']:.4g}" in text and "5 observers" in text
    for name in ("comparison.png", "comparison.svg", "pairs.png"):
        assert (files / "out" / name).stat().st_size > 5000


def test_named_metrics_baselines_alone_and_cropping(files, capsys):
    code, out, err = run(
        f"compare {files}/human.csv --baseline-only --metrics dtw hausdorff --image-size 800x600 "
        f"--max-fixations 4 --drop-first 1 --out {files}/out {QUICK}",
        capsys,
    )
    assert code == 0, err
    table = pd.read_csv(files / "out" / "comparison.csv").set_index("metric")
    assert list(table.index) == ["dtw", "hausdorff"] and "normalised" not in table
    assert "scanpaths of 4 to 4 fixations" in out


def test_a_protocol_brings_its_frame_and_metrics(files, capsys):
    code, out, err = run(
        f"compare {files}/model.csv {files}/human.csv --protocol chen2021 --image-size 800x600 "
        f"--out {files}/out {QUICK}",
        capsys,
    )
    assert code == 0, err
    assert "Frame 320×240" in out and "stde sum" in out


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("compare", "Give the model's file and the people's"),
        ("compare model.csv human.csv --image-size 800by600", "WIDTHxHEIGHT"),
        ("compare model.csv human.csv --image-size 0x600", "width_px"),
        ("compare model.csv human.csv", "viewing"),
        ("compare model.csv human.csv --image-size 800x600 --metrics scanmach", "scanmatch"),
        ("compare model.csv human.csv --split test70", "--dataset osie"),
        ("compare model.csv nothing.csv --image-size 800x600", "nothing.csv"),
        ("compare model.csv human.csv --image-size 800x600 --columns x", "OURS=YOURS"),
        ("compare model.csv human.csv --image-size 800x600 --columns x=X_PIX", "X_PIX"),
        ("compare human.csv --baseline-only --dataset osie", "one file of people"),
        ("scanpath view", "Give a file of scanpaths, or --dataset"),
        ("scanpath view human.csv --image-size 800x600 --images .", "no picture 0.png"),
        ("scanpath plot human.csv --image 99.png --image-size 800x600", "No scanpath has"),
    ],
)
def test_mistakes_are_one_line(files, capsys, monkeypatch, line, said):
    monkeypatch.chdir(files)
    code, _, err = run(line, capsys)
    assert code == 1 and "Traceback" not in err
    assert err.startswith("attnsci: error:") and said in err


def test_info_says_what_a_file_holds(files, capsys):
    code, out, err = run(f"gaze info {files}/human.csv --image-size 800x600", capsys)
    assert code == 0, err
    assert "table" in out and "images" in out and "240" in out  # 8 × 5 × 6 fixations


def test_columns_and_units_of_another_laboratory(files, capsys):
    frame = pd.read_csv(files / "human.csv").rename(columns={"x": "FIX_X", "observer": "SUBJECT"})
    frame["duration"] *= 1000
    frame.to_csv(files / "lab.tsv", index=False, sep="\t")
    code, out, err = run(
        f"gaze convert {files}/lab.tsv {files}/ours.parquet --columns x=FIX_X observer=SUBJECT "
        "--duration-unit ms --image-size 800x600",
        capsys,
    )
    assert code == 0, err
    assert "40 scanpaths, 240 fixations" in out
    back = pd.read_parquet(files / "ours.parquet")
    assert back["duration"].to_numpy() == pytest.approx(
        pd.read_csv(files / "human.csv")["duration"].to_numpy(), abs=1e-9
    )


def test_formats_and_metrics_are_listed(capsys):
    code, out, _ = run("gaze formats", capsys)
    assert code == 0 and "pysaliency" in out and "eyelink" in out
    code, out, _ = run("scanpath metrics", capsys)
    assert code == 0 and "multimatch" in out and "nss" in out


def test_pictures_are_found_drawn_and_replayed(files, capsys):
    rng = np.random.default_rng(0)
    (files / "pictures").mkdir()
    for name in ("0.png", "1.png"):
        picture = rng.integers(0, 255, (60, 80, 3), dtype=np.uint8)
        Image.fromarray(picture).resize((800, 600)).save(files / "pictures" / name)
    options = f"--images {files}/pictures --image-size 800x600 --px-per-deg 24"
    code, _, err = run(
        f"scanpath view {files}/human.csv --image 0.png 1.png --observer 0 3 {options} "
        f"--out {files}/page.html",
        capsys,
    )
    assert code == 0, err
    page = (files / "page.html").read_text(encoding="utf-8")
    assert page.count("data:image") == 2
    code, _, err = run(
        f"scanpath plot {files}/human.csv --image 1.png {options} --out {files}/drawn", capsys
    )
    assert code == 0, err
    assert (files / "drawn.png").stat().st_size > 10_000


def test_returns_are_set_against_every_baseline_that_can_be_made(files, capsys):
    code, out, err = run(
        f"scanpath returns {files}/human.csv --image-size 800x600 --px-per-deg 24 --lags 3 "
        f"--n-permutations 20 --out {files}/returns",
        capsys,
    )
    assert code == 0, err
    table = pd.read_csv(files / "returns" / "returns.csv")
    assert table["baseline"].nunique() == 9 and set(table["lag"]) == {1, 2, 3}
    assert "memoryless" in out and "cannot be made" not in out
    for name in ("returns.png", "saccades.svg", "returns.zarr"):
        assert (files / "returns" / name).exists()
    code, out, err = run(
        f"scanpath returns {files}/model.csv --image-size 800x600 --radius-px 40 --lags 3 "
        f"--n-permutations 20 --out {files}/alone",
        capsys,
    )
    assert code == 0, err
    assert "- memoryless cannot be made" in out and "B1 order" in out


@pytest.mark.data
def test_ceilings_of_osie_in_one_command(data_root, tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("ATTNSCI_DATA", str(data_root))
    code, _, err = run(
        f"compare --dataset osie --split test70 --baseline-only --protocol chen2021 "
        f"--out {tmp_path}/out {QUICK}",
        capsys,
    )
    assert code == 0, err
    human = pd.read_csv(tmp_path / "out" / "comparison.csv").set_index("metric")["human"]
    assert human["scanmatch"] == pytest.approx(0.39022310838, abs=1e-6)
    assert human["stde sum"] == pytest.approx(0.8438423784, abs=1e-6)
