import shlex

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from PIL import Image

from attnsci import cli
from attnsci.families.ram.evaluate import error_table
from attnsci.recording.datasets import open_dataset


def run(line, capsys):
    code = cli.main(shlex.split(line))
    out, err = capsys.readouterr()
    return code, out, err


def answers(right, n_samples=1):
    """Answers (stimulus, time) of two classes, right or wrong; label 1."""
    right = np.asarray(right, float)
    logits = np.stack([1 - right, right], -1) * 3
    n = len(right)
    return xr.Dataset(
        {"logits": (("stimulus", "time", "class"), logits)},
        coords={
            "label": ("stimulus", np.ones(n, int)), "time": np.arange(right.shape[1]),
            "index": ("stimulus", np.arange(n) // n_samples),
            "sample": ("stimulus", np.arange(n) % n_samples),
        },
    )  # fmt: skip


def test_errors_by_hand():
    table = error_table(answers([[0, 1], [0, 1], [1, 1], [0, 0]]))
    assert table["error"].tolist() == [75, 25] and table["n"].tolist() == [4, 4]
    # Wilson's interval of 1 in 4.
    assert table.loc[1, ["low", "high"]].tolist() == pytest.approx([4.559, 69.936], abs=1e-3)


def test_the_unit_of_several_looks_is_the_scene():
    table = error_table(answers([[1, 1], [0, 1], [0, 0], [1, 0], [1, 1], [1, 1]], n_samples=2))
    assert table["glimpse"].tolist() == ["1", "2", "all looks"]
    assert table["error"].tolist() == pytest.approx([100 / 3, 100 / 3, 100 / 3])
    assert table["n"].tolist() == [3, 3, 3]


def test_the_command_measures_and_draws(plain, tmp_path, capsys):
    out_dir = tmp_path / "out"
    code, out, err = run(
        f"evaluate ram --model {plain} --n 40 --pictures 2 --out {out_dir} --seed 1", capsys
    )
    assert code == 0, err
    assert "40 scenes of bundled test digits (unseen)" in out and "error.csv" in out
    table = pd.read_csv(out_dir / "error.csv")
    assert table["n"].tolist() == [40] * 6 and (table["low"] <= table["error"]).all()
    stored = open_dataset(out_dir / "glimpses.zarr")
    assert stored.sizes["stimulus"] == 40 and "hidden" not in stored
    wrong = (stored["logits"].argmax("class") != stored["label"]).mean("stimulus")
    assert table["error"].tolist() == pytest.approx((100 * wrong).values.tolist())
    strips = sorted((out_dir / "glimpses").glob("*.gif"))
    assert len(strips) == 2
    with Image.open(strips[0]) as opened:
        assert opened.n_frames == 6
    page = (out_dir / "player.html").read_text(encoding="utf-8")
    assert '"boxes_px":[8.0]' in page


def test_several_looks_and_other_policies(plain, capsys):
    code, out, _ = run(f"evaluate ram --model {plain} --n 20 --n-samples 2 --policy random", capsys)
    assert code == 0 and "all looks" in out


@pytest.mark.parametrize(
    ("flags", "code", "message"),
    [
        ("--pictures 2", 2, "give --out FOLDER"),
        ("--n 0", 2, "n must be a whole number above 0"),
        ("--n 5000", 1, "make 1000 scenes"),
        ("--n-glimpses 9", 1, "has a readout for each of 6 glimpses"),
        ("--policy clever", 2, "'mean', 'sampled'"),
        ("--task cluttered-10", 2, "'cluttered-100'"),
    ],
)
def test_mistakes_are_told(plain, flags, code, message, capsys):
    got, _, err = run(f"evaluate ram --model {plain} {flags}", capsys)
    assert got == code and message in " ".join(err.split())
