"""300 damaged files of every kind that is read, and that the harness sees what it should."""

import importlib.util
import json
import os
import random
import subprocess
import sys
from pathlib import Path

import pytest

PATH = Path(__file__).parent.parent / "benchmarks" / "fuzz.py"


@pytest.fixture(scope="module")
def fuzz():
    spec = importlib.util.spec_from_file_location("fuzz", PATH)
    module = importlib.util.module_from_spec(spec)
    sys.modules["fuzz"] = module  # where dataclasses look
    spec.loader.exec_module(module)
    yield module
    del sys.modules["fuzz"]


def python(*arguments):
    # A process of its own: a fork of this one would have the threads of other tests half.
    return subprocess.run(
        [sys.executable, *map(str, arguments)], capture_output=True, text=True, timeout=900,
        env={**os.environ, "PYTHONPATH": str(PATH.parent.parent)},
    )  # fmt: skip


@pytest.mark.slow
def test_no_damage_passes_a_check_or_ends_in_anything_but_our_errors(fuzz):
    done = python(PATH, "--cases", 300)
    assert done.returncode == 0, done.stdout + done.stderr
    total = dict(
        zip(fuzz.VERDICTS, map(int, done.stdout.splitlines()[-2].split()[1:]), strict=True)
    )
    assert sum(total.values()) == 300
    assert total["foreign"] == total["hang"] == total["crash"] == 0
    assert total["refused"] > 150  # the damage is worth the name


def test_every_registered_format_is_among_the_kinds(fuzz, tmp_path):
    from attnsci.scanpaths.formats.base import registered
    from attnsci.scanpaths.formats.io import recognise

    formats = set()
    for name, kind in fuzz.KINDS.items():
        if kind.read in (fuzz.read_gaze, fuzz.read_bids):
            (tmp_path / name).mkdir()
            path = kind.make(tmp_path / name)
            path = next(path.glob("*.tsv.gz")) if name == "bids" else path
            formats.add(recognise(path).name)
    assert formats == set(registered())


def test_a_case_is_damaged_the_same_again(fuzz, tmp_path):
    texts = []
    for place in ("a", "b"):
        (tmp_path / place).mkdir()
        path = fuzz.eyelink(tmp_path / place)
        whole = path.read_bytes()
        fuzz.damage_at(random.Random("eyelink 3 0"), path)
        texts.append(path.read_bytes())
    assert texts[0] == texts[1] != whole


def test_every_damage_changes_what_it_should(fuzz):
    data = b'{"a": 12, "b": [3.5, 40]}\n"c", 5\n'
    for damage in {*fuzz.BYTES, *fuzz.TEXT}:
        made = {damage(random.Random(seed), data) for seed in range(30)}
        assert len(made - {data}) > (2 if damage is not fuzz.exchange_lines else 0), damage.__name__


PLANTED = """
import importlib.util, json, sys, tempfile, time, os, signal
from pathlib import Path
spec = importlib.util.spec_from_file_location("fuzz", sys.argv[1])
fuzz = sys.modules["fuzz"] = importlib.util.module_from_spec(spec)
spec.loader.exec_module(fuzz)
fuzz.SECONDS = 1
from attnsci.errors import DatasetCorrupt

def make(folder):
    (folder / "file").write_bytes(bytes(100))
    return folder / "file"

def planted(what):
    def read(path):
        if path.read_bytes() == bytes(100):
            return 0
        return what()
    return read

def refuse():
    raise DatasetCorrupt("no")

def loop():
    while True:
        pass

for name, what, checked in [
    ("refused", refuse, True), ("same", lambda: 0, True), ("different", lambda: 1, False),
    ("silent", lambda: 1, True), ("foreign", lambda: 1 / 0, False), ("hang", loop, False),
    ("crash", lambda: os.kill(os.getpid(), signal.SIGSEGV), False),
    ("exit", lambda: os._exit(0), False),
]:
    fuzz.KINDS[name] = fuzz.Kind(make, planted(what), checked)
names = ["refused", "hang", "same", "crash", "silent", "different", "foreign", "exit", "refused"]
cases = [fuzz.Case(name, 5, 0) for name in names]
with tempfile.TemporaryDirectory() as folder:
    outcomes = fuzz.run(cases, Path(folder))
print(json.dumps([[o.verdict, o.failure] for o in outcomes]))
"""


def test_planted_failures_are_seen_and_do_not_end_the_run(tmp_path):
    (tmp_path / "planted.py").write_text(PLANTED)
    done = python(tmp_path / "planted.py", PATH)
    assert done.returncode == 0, done.stderr
    outcomes = json.loads(done.stdout)
    verdicts = ["refused", "hang", "same", "crash", "different", "different", "foreign", "crash",
                "refused"]  # fmt: skip
    assert [verdict for verdict, _ in outcomes] == verdicts
    failures = [place for place, (_, failure) in enumerate(outcomes) if failure]
    assert failures == [1, 3, 4, 6, 7]
    assert "ZeroDivisionError" in outcomes[6][1]
