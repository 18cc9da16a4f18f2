"""Commands that are killed and given again; all of them, at ten points: benchmarks/kills.py."""

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.skipif(os.name != "posix", reason="it forks")
SCRIPT = Path(__file__).parents[1] / "benchmarks" / "kills.py"


def kills(*arguments):
    """Run the harness in a process of its own, whose threads do not hinder a fork."""
    return subprocess.run(
        [sys.executable, SCRIPT, *arguments], capture_output=True, text=True, check=False
    )


def assert_equal(done, *commands):
    assert done.returncode == 0, done.stdout + done.stderr
    rows = [line.split() for line in done.stdout.splitlines()[1:]]
    assert len(rows) == 2 * len(commands)
    for *_, points, of, equal in rows:
        assert 0 < int(points) == int(equal) < int(of)


def test_a_store_a_training_and_a_folder_of_pictures_survive():
    commands = ("record", "train ram", "scanpath generate")
    assert_equal(kills(*commands, "--points", "2"), *commands)


@pytest.mark.slow
def test_every_other_command_survives():
    commands = (
        "save", "dncnn", "train object-attention", "train object-attention-coco",
        "train ram-dram", "train ram-catch", "train what-where", "train where", "train neva",
        "compare", "reproduce",
    )  # fmt: skip
    assert_equal(kills(*commands, "--points", "2"), *commands)


@pytest.fixture(scope="module")
def harness():
    spec = importlib.util.spec_from_file_location("kills", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    sys.modules["kills"] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    yield module
    del sys.modules["kills"]


def test_the_harness_sees_other_bits_and_what_is_left_behind(harness, tmp_path):
    torch = pytest.importorskip("torch")
    for name, value, date in (("a", 1.0, "Monday"), ("b", 1.0, "Tuesday"), ("c", 1.5, "Monday")):
        (tmp_path / name).mkdir()
        torch.save({"weights": torch.tensor([value])}, tmp_path / name / "last.ckpt")
        (tmp_path / name / "run.json").write_text(f'{{"date": "{date}", "seed": 0}}')
        (tmp_path / name / ".run.lock").write_text(name)
    one, same, other = (harness.contents(tmp_path / name) for name in "abc")
    assert harness.differences(one, same) == []
    assert harness.differences(one, other) == ["last.ckpt"]
    (tmp_path / "b" / ".run.json.unfinished").mkdir()
    (tmp_path / "b" / "run.json").write_text('{"date": "Tuesday", "seed": 1}')
    left = harness.contents(tmp_path / "b")
    assert harness.differences(one, left) == [".run.json.unfinished", "run.json"]


def test_the_signal_comes_at_the_counted_change(harness, tmp_path):
    def work():
        harness.Points(tmp_path, at=3, number=9)
        for i in range(5):
            (tmp_path / f"{i}.txt").write_text("x")
        return 0

    # Audit hooks cannot be taken off: in a fork, which is gone afterwards.
    assert harness.in_child(work, tmp_path.parent / "log.txt") == -9
    assert sorted(path.name for path in tmp_path.iterdir()) == ["0.txt", "1.txt"]
