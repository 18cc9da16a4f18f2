"""Damaged files of every kind that attnsci reads: each is refused by our error, or read.

Small files of all gaze formats, recordings (streamed stores, saved Zarr and NetCDF), COCO's JSON,
images, digits and weights are damaged at random and read. What comes of it:

    refused    an error of attnsci
    same       the values of the whole file
    different  other values: a failure where the format carries a check
    foreign    any other error      }
    hang       20 s of CPU time     }  failures everywhere
    crash      the process ended    }

    python benchmarks/fuzz.py                                # 5,000 cases
    python benchmarks/fuzz.py --cases 300 --only store png
    python benchmarks/fuzz.py --only store --case 17         # one case again, with its traceback

A case is its format, its number and the seed; nothing else enters. Cases run in forked workers
that may end without ending the run. The exit status is 1 if there was a failure.
"""

import argparse
import contextlib
import dataclasses
import faulthandler
import gzip
import hashlib
import importlib
import json
import os
import random
import re
import resource
import shutil
import signal
import sys
import tempfile
import time
import traceback
import warnings
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

for variable in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ.setdefault(variable, "1")

import numpy as np  # noqa: E402  (after the number of its threads)

VERDICTS = ("refused", "same", "different", "foreign", "hang", "crash")
SECONDS, MEMORY = 20, 4 * 2**30
A_WORKER = 200  # cases, so that a leak in one of them cannot pile up


@dataclasses.dataclass(frozen=True)
class Kind:
    """A kind of file: `make` writes one into a folder, `read` returns all that it says.

    `checked` tells whether the format carries a check of its values, so that no damage may pass.
    """

    make: Callable[[Path], Path]
    read: Callable[[Path], Any]
    checked: bool = False


# --- what is read --------------------------------------------------------------------------------


def flat(value: Any) -> Iterator[bytes]:
    """Yield everything in a nested value, arrays with dtype and shape."""
    if isinstance(value, dict):
        for key in sorted(value, key=str):
            yield f"{key}:".encode()
            yield from flat(value[key])
    elif isinstance(value, list | tuple):
        yield f"[{len(value)}".encode()
        for each in value:
            yield from flat(each)
    elif isinstance(value, np.ndarray) and value.dtype.kind != "O":
        yield f"{value.dtype}{value.shape}".encode()
        yield np.ascontiguousarray(value).tobytes()
    else:
        yield repr(value.tolist() if isinstance(value, np.ndarray) else value).encode()


def digest(value: Any) -> str:
    """Return a digest of all that a reader gave."""
    total = hashlib.sha256()
    for part in flat(value):
        total.update(part + b"\0")
    return total.hexdigest()


def read_gaze(path: Path) -> Any:
    from attnsci.geometry import Viewing
    from attnsci.scanpaths.formats.io import read_scanpaths

    scanpaths = read_scanpaths(path, Viewing(800, 600, px_per_deg=24))
    values = {str(name): scanpaths[name].to_numpy() for name in scanpaths.variables}
    return [values, dict(scanpaths.attrs)]


def read_recording(path: Path) -> Any:
    from attnsci.recording import open_recording

    recording = open_recording(path)
    layers = {
        name: [
            array.to_numpy(),
            array.dims,
            {str(key): [c.dims, c.to_numpy()] for key, c in array.coords.items()},
            {key: value for key, value in array.attrs.items() if key != "provenance"},
        ]
        for name, array in recording.items()
    }
    return [layers, recording.layers, recording.provenance]


def read_coco(path: Path) -> Any:
    from attnsci.data.coco_index import build_index, parse
    from attnsci.data.coco_selection import Rule

    index = build_index(parse(path.read_bytes(), path), "", Rule(0.1, 0.01, 3), path)
    return dataclasses.asdict(index)


def read_picture(path: Path) -> Any:
    from attnsci.data.images import read_image

    return read_image(path).image


def read_digits(path: Path) -> Any:
    from attnsci.data.digits import MAGIC_IMAGES, read_idx

    return read_idx(path, MAGIC_IMAGES)[0]


def read_weights(path: Path) -> Any:
    from attnsci.models.weights import load_weights

    state, record = load_weights(path)
    return [{name: value.numpy() for name, value in state.items()}, record]


# --- whole files ---------------------------------------------------------------------------------


def scanpaths(end: str, format: str) -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        from attnsci.gaze import from_arrays
        from attnsci.geometry import Viewing
        from attnsci.scanpaths.formats.io import write_scanpaths

        made = from_arrays(
            [[10.5, 200, 300.25], [40.5, 799], [7]], [[5.5, 100, 20], [60, 599], [8]],
            [[0.2, 0.31, 0.15], [0.25, 0.5], [0.125]],
            image=["0", "0", "1"], observer=["1", "2", "1"],
            viewing=Viewing(800, 600, px_per_deg=24),
        )  # fmt: skip
        write_scanpaths(made, folder / f"set{end}", format=format)
        return folder / f"set{end}"

    return make


def mat_structs(folder: Path) -> Path:
    import scipy.io

    images = np.empty((2, 1), object)
    for row in range(2):
        subject = {"fix_x": [[10.5, 20]], "fix_y": [[30.5, 40]], "fix_duration": [[200, 250]]}
        subjects = np.empty((2, 1), object)
        for column in range(2):
            subjects[column, 0] = {key: np.array(value) for key, value in subject.items()}
        images[row, 0] = {"img": f"{row}.jpg", "subjects": subjects}
    scipy.io.savemat(folder / "set.mat", {"fixations": images})
    return folder / "set.mat"


def mat_cells(folder: Path) -> Path:
    import scipy.io

    cells = np.empty((2, 2), object)
    for place in np.ndindex(2, 2):
        cells[place] = np.array([[30, 40, 0.1, 0.2], [50, 60, 0.4, 0.3]])
    scipy.io.savemat(folder / "set.mat", {"fixations": cells}, do_compression=True)
    return folder / "set.mat"


def eyelink(folder: Path) -> Path:
    lines = ["** CONVERTED FROM s.edf", "MSG 100 DISPLAY_COORDS 0 0 799 599"]
    for trial in range(3):
        start = 1000 * trial + 1000
        lines += [
            f"MSG {start} TRIALID {trial}",
            f"START {start + 1} LEFT SAMPLES EVENTS",
            f"EFIX L {start + 50} {start + 249} 200 640.0 512.0 700",
            f"EFIX L {start + 300} {start + 399} 100 100.5 200.5 .",
            f"END {start + 500} SAMPLES EVENTS RES 37 37",
        ]
    (folder / "set.asc").write_text("\n".join(lines) + "\n")
    return folder / "set.asc"


def tobii(folder: Path) -> Path:
    names = ["Recording timestamp [ms]", "Participant name", "Recording name",
             "Presented Stimulus name", "Eye movement type", "Eye movement type index",
             "Gaze event duration [ms]", "Fixation point X [MCS px]",
             "Fixation point Y [MCS px]"]  # fmt: skip
    rows = [f"{n * 300}\tp\tr\ta\tFixation\t{n}\t200\t{n * 10.5}\t{n * 7.5}" for n in range(1, 5)]
    (folder / "set.tsv").write_text("\n".join(["\t".join(names), *rows]) + "\n")
    return folder / "set.tsv"


def bids(folder: Path) -> Path:
    folder = folder / "set"
    folder.mkdir()
    stem = "sub-01_task-look_recording-eye1"
    rows = "".join(f"{100 * n}\t80\tfixation\t{n * 10.5}\t{n * 5.5}\tn/a\n" for n in range(1, 5))
    table = "50\t0\tn/a\tn/a\tn/a\tTRIALID a.jpg\n" + rows
    time_unit, pixel = {"Units": "ms"}, {"Units": "pixel"}
    events = {
        "Columns": ["onset", "duration", "trial_type", "x_coordinate", "y_coordinate", "message"],
        "OnsetSource": "timestamp", "duration": time_unit,
        "x_coordinate": pixel, "y_coordinate": pixel,
    }  # fmt: skip
    samples = {
        "Columns": ["timestamp", "x_coordinate", "y_coordinate"], "SamplingFrequency": 1000,
        "StartTime": 0, "PhysioType": "eyetrack", "RecordedEye": "left", "timestamp": time_unit,
        "SampleCoordinateSystem": "gaze-on-screen", "x_coordinate": pixel, "y_coordinate": pixel,
    }  # fmt: skip
    screen = {"ScreenDistance": 0.6, "ScreenOrigin": ["top", "left"], "ScreenSize": [0.4, 0.3],
              "ScreenResolution": [800, 600]}  # fmt: skip
    whole = {"StimulusPresentation": screen}
    (folder / f"{stem}_physioevents.tsv.gz").write_bytes(gzip.compress(table.encode(), mtime=0))
    (folder / f"{stem}_physioevents.json").write_text(json.dumps(events))
    (folder / f"{stem}_physio.json").write_text(json.dumps(samples))
    (folder / "sub-01_task-look_events.json").write_text(json.dumps(whole))
    return folder


def read_bids(folder: Path) -> Any:
    return read_gaze(folder / "sub-01_task-look_recording-eye1_physioevents.tsv.gz")


def keyed_json(folder: Path) -> Path:
    record = {"subject": "01", "image_height": 600, "image_width": 800, "X": [1.0, 2],
              "Y": [3.0, 4], "T": [100, 200], "target_bbox": [1, 2, 3, 4]}  # fmt: skip
    (folder / "set.json").write_text(json.dumps({"a.jpg": record, "b.jpg": record}))
    return folder / "set.json"


def recorded(folder: Path, store: Path | None = None) -> Any:
    import torch

    from attnsci.recording import record

    torch.manual_seed(0)
    model = torch.nn.Sequential(torch.nn.Conv2d(1, 2, 3), torch.nn.ReLU(), torch.nn.Flatten())
    stimuli = {
        "image": torch.rand(6, 1, 5, 5),
        "angle": np.linspace(0, 75, 6),
        "category": ["cat", "dog", "cat", "bus", "dog", "é"],
    }
    return record(model.eval(), stimuli, ["0", "2"], batch_size=2, chunk=2, store=store)


def streamed(folder: Path) -> Path:
    recorded(folder, folder / "set.zarr")
    return folder / "set.zarr"


def saved(end: str) -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        return recorded(folder).save(folder / f"set{end}")

    return make


def coco(folder: Path) -> Path:
    from pycocotools import mask as coco_mask

    boxes = [[0, 0, 40, 40], [60, 0, 30, 50], [0, 60, 45, 30]]
    annotations = [
        {
            "id": number, "image_id": 9, "category_id": number, "area": w * h, "iscrowd": 0,
            "bbox": [x, y, w, h],
            "segmentation": [[x, y, x + w, y, x + w, y + h, x, y + h]],
        }
        for number, (x, y, w, h) in enumerate(boxes, 1)
    ]  # fmt: skip
    # One object as polygon, one as runs, one as compressed runs.
    size = [100, 100]
    runs = [6000, 50] + [50, 50] * 29 + [1050]
    encoded = coco_mask.frPyObjects(annotations[2]["segmentation"], *size)[0]["counts"].decode()
    annotations[1]["segmentation"] = {"size": size, "counts": runs}
    annotations[2]["segmentation"] = {"size": size, "counts": encoded}
    content = {
        "licenses": [{"id": 1, "name": "CC BY"}],
        "images": [{"id": 9, "file_name": "9.jpg", "height": 100, "width": 100, "license": 1}],
        "annotations": [*annotations, {**annotations[0], "id": 4, "image_id": 8}],
        "categories": [{"id": n, "name": f"c{n}", "supercategory": "s"} for n in (1, 2, 3)],
    }
    (folder / "set.json").write_text(json.dumps(content))
    return folder / "set.json"


def picture(end: str) -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        from PIL import Image

        pixels = np.random.default_rng(0).integers(0, 256, (24, 32, 3), np.uint8)
        Image.fromarray(pixels).save(folder / f"set{end}")
        return folder / f"set{end}"

    return make


def digits(end: str) -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        header = np.array([2051, 3, 28, 28], ">i4").tobytes()
        content = header + np.random.default_rng(0).integers(0, 256, 2352, np.uint8).tobytes()
        path = folder / f"set{end}"
        path.write_bytes(gzip.compress(content, mtime=0) if end.endswith(".gz") else content)
        return path

    return make


def weights(folder: Path) -> Path:
    import torch

    from attnsci.models.weights import save_weights

    torch.manual_seed(0)
    model = torch.nn.Sequential(torch.nn.Linear(6, 4), torch.nn.BatchNorm1d(4))
    record = {"family": "ram", "seed": 3, "metrics": {"accuracy": 0.9}}
    save_weights(folder / "set.safetensors", model, record)
    return folder / "set.safetensors"


KINDS = {
    **{
        f"table{end}": Kind(scanpaths(end, "table"), read_gaze, checked=end.endswith(".gz"))
        for end in (".csv", ".tsv", ".csv.gz", ".parquet")
    },
    "cocosearch": Kind(scanpaths(".json", "cocosearch"), read_gaze),
    "cocosearch-keyed": Kind(keyed_json, read_gaze),
    "fixatons": Kind(scanpaths("", "fixatons"), read_gaze),
    "multimatch": Kind(scanpaths("", "multimatch"), read_gaze),
    "pysaliency": Kind(scanpaths(".hdf5", "pysaliency"), read_gaze),
    "pysaliency-trains": Kind(scanpaths(".trains.h5", "pysaliency_trains"), read_gaze),
    "mat-structs": Kind(mat_structs, read_gaze),
    "mat-cells": Kind(mat_cells, read_gaze),
    "eyelink": Kind(eyelink, read_gaze),
    "tobii": Kind(tobii, read_gaze),
    "bids": Kind(bids, read_bids),
    "store": Kind(streamed, read_recording, checked=True),
    "saved-zarr": Kind(saved(".zarr"), read_recording, checked=True),
    "saved-netcdf": Kind(saved(".nc"), read_recording),
    "coco": Kind(coco, read_coco),
    "png": Kind(picture(".png"), read_picture, checked=True),
    "jpeg": Kind(picture(".jpg"), read_picture),
    "idx": Kind(digits("-idx3-ubyte"), read_digits),
    "idx.gz": Kind(digits("-idx3-ubyte.gz"), read_digits, checked=True),
    "weights": Kind(weights, read_weights, checked=True),
}


# --- damage --------------------------------------------------------------------------------------

ODD = [b"nan", b"inf", b"-1", b"1e300", b"true", b"1_0", b"", b"null", b"0", b'"', b"\0",
       b"\xff\xfe", b"9" * 400, b"-0.0", b"0x10", b"[]", b"{}",
       "１２".encode(), "٣".encode(), b"[" * 10**5 + b"]" * 10**5]  # fmt: skip


def block(rng: random.Random, data: bytes) -> tuple[int, int]:
    start = rng.randrange(len(data) + 1)
    return start, min(len(data), start + rng.choice([1, 2, 4, 16, 64, 512]))


def truncate(rng: random.Random, data: bytes) -> bytes:
    return data[: rng.randrange(len(data) + 1)]


def flip(rng: random.Random, data: bytes) -> bytes:
    changed = bytearray(data)
    for _ in range(rng.choice([1, 1, 1, 2, 8])):
        changed[rng.randrange(len(changed))] ^= 1 << rng.randrange(8)
    return bytes(changed)


def insert(rng: random.Random, data: bytes) -> bytes:
    start, _ = block(rng, data)
    return data[:start] + rng.randbytes(rng.choice([1, 4, 64])) + data[start:]


def delete(rng: random.Random, data: bytes) -> bytes:
    start, stop = block(rng, data)
    return data[:start] + data[stop:]


def double(rng: random.Random, data: bytes) -> bytes:
    start, stop = block(rng, data)
    return data[:stop] + data[start:]


def blank(rng: random.Random, data: bytes) -> bytes:
    start, stop = block(rng, data)
    return data[:start] + bytes(stop - start) + data[stop:]


def exchange_lines(rng: random.Random, data: bytes) -> bytes:
    lines = data.splitlines(keepends=True)
    one, other = rng.randrange(len(lines)), rng.randrange(len(lines))
    lines[one], lines[other] = lines[other], lines[one]
    return b"".join(lines)


def repeat_line(rng: random.Random, data: bytes) -> bytes:
    lines = data.splitlines(keepends=True)
    lines.insert(rng.randrange(len(lines)), rng.choice(lines))
    return b"".join(lines)


def another_number(rng: random.Random, data: bytes) -> bytes:
    numbers = list(re.finditer(rb"-?\d+(\.\d+)?", data))
    if not numbers:
        return flip(rng, data)
    number = rng.choice(numbers)
    return data[: number.start()] + rng.choice(ODD) + data[number.end() :]


def another_word(rng: random.Random, data: bytes) -> bytes:
    """Put one cell, key or name in the place of another: twice there, or missing."""
    words = list(re.finditer(rb'"[^"]*"|[^\s,;:\[\]{}"]+', data))
    if not words:
        return flip(rng, data)
    word, other = rng.choice(words), rng.choice(words)
    return data[: word.start()] + rng.choice([other.group(), *ODD]) + data[word.end() :]


def repeat_entry(rng: random.Random, data: bytes) -> bytes:
    """Have one JSON key twice, with another value, or one cell of a row twice."""
    entries = list(re.finditer(rb'"[^"]*": ?[^,{}\[\]]+,|[^\s,]+[,\t]', data))
    if not entries:
        return repeat_line(rng, data)
    entry = rng.choice(entries)
    again = re.sub(rb"\d", b"7", entry.group()) if rng.random() < 0.5 else entry.group()
    return data[: entry.end()] + again + data[entry.end() :]


BYTES = [truncate, flip, flip, insert, delete, double, blank]
TEXT = [another_number, another_number, another_word, repeat_entry, exchange_lines, repeat_line]


def damage(rng: random.Random, data: bytes) -> bytes:
    """Return `data` with one random damage, which fits text where it is text."""
    if not data:
        return rng.randbytes(8)
    text = b"\0" not in data and not data.startswith(b"\x89PNG")
    return rng.choice(BYTES + 2 * TEXT if text else BYTES)(rng, data)


def damage_at(rng: random.Random, path: Path) -> bool:
    """Damage what stands at `path`; return whether a checksum in it was made to fit again."""
    file = path
    if path.is_dir():
        file = rng.choice(sorted(each for each in path.rglob("*") if each.is_file()))
        if rng.random() < 0.1:
            file.unlink()
            return False
    data = file.read_bytes()
    if data[:2] == b"\x1f\x8b" and rng.random() < 0.5:
        file.write_bytes(gzip.compress(damage(rng, gzip.decompress(data)), mtime=0))
        return True
    file.write_bytes(damage(rng, data))
    return False


# --- cases ---------------------------------------------------------------------------------------


@dataclasses.dataclass(frozen=True)
class Case:
    """One damaged file."""

    kind: str
    number: int
    seed: int


@dataclasses.dataclass(frozen=True)
class Outcome:
    """What became of a case; `failure` says why it is one, and is empty where it is none."""

    verdict: str
    failure: str = ""


def judge(
    case: Case, whole: Path, expected: str, folder: Path, *, verbose: bool = False
) -> Outcome:
    """Damage a copy of `whole` in `folder`, read it, and compare its digest with `expected`."""
    from attnsci.errors import AttnsciError

    kind = KINDS[case.kind]
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    path = folder / whole.name
    (shutil.copytree if whole.is_dir() else shutil.copy)(whole, path)
    refitted = damage_at(random.Random(f"{case.kind} {case.number} {case.seed}"), path)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # as for a user, whom no warning stops
            same = digest(kind.read(path)) == expected
    except AttnsciError as error:
        if verbose:
            print(f"{type(error).__name__}: {error}")
        return Outcome("refused")
    except Exception as error:
        if verbose:
            traceback.print_exc()
        ours = [f for f in traceback.extract_tb(error.__traceback__) if "attnsci" in f.filename]
        at = f"{Path(ours[-1].filename).name}:{ours[-1].lineno}" if ours else "?"
        return Outcome("foreign", f"{type(error).__name__} at {at}: {str(error)[:200]}")
    if same:
        return Outcome("same")
    silent = kind.checked and not refitted
    return Outcome("different", "other values in spite of the format's check" if silent else "")


def forked(work: Callable[[Callable[[Any], None]], None]) -> tuple[list[Any], int]:
    """Do `work` in a child; return what it sent, and the signal or status that it ended with."""
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(reading)
        status = 1
        with os.fdopen(writing, "w") as pipe:

            def send(value: Any) -> None:
                pipe.write(json.dumps(value) + "\n")
                pipe.flush()

            try:
                work(send)
                status = 0
            except BaseException:
                traceback.print_exc()
            sys.stdout.flush()
        os._exit(status)
    os.close(writing)
    with os.fdopen(reading) as pipe:
        sent = [json.loads(line) for line in pipe]
    return sent, os.waitpid(pid, 0)[1]


def limit_memory() -> None:
    size = resource.RLIM_INFINITY
    with contextlib.suppress(OSError):  # Linux alone tells
        size = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (size + MEMORY, size + MEMORY))


def run(cases: Sequence[Case], folder: Path, *, verbose: bool = False) -> list[Outcome]:
    """Return what became of each case, in their order; whole files are made in `folder`."""

    # Readers start threads, which no fork survives: this process itself reads nothing.
    def make(send: Callable[[Any], None]) -> None:
        for name in sorted({case.kind for case in cases}):
            (folder / name).mkdir()
            whole = KINDS[name].make(folder / name)
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                send([name, str(whole), digest(KINDS[name].read(whole))])

    sent, status = forked(make)
    if status:
        raise SystemExit("a whole file could not be made or read")
    wholes = {name: (Path(path), expected) for name, path, expected in sent}

    def work(send: Callable[[Any], None]) -> None:
        limit_memory()
        for case in pending[:A_WORKER]:
            # Not caught: a reader that hangs in C code would not hear of it.
            signal.setitimer(signal.ITIMER_PROF, SECONDS)
            signal.alarm(10 * SECONDS)  # a reader that sleeps
            outcome = judge(case, *wholes[case.kind], folder / "damaged", verbose=verbose)
            signal.alarm(0)
            signal.setitimer(signal.ITIMER_PROF, 0)
            send([outcome.verdict, outcome.failure])

    outcomes: list[Outcome] = []
    while len(outcomes) < len(cases):
        pending = cases[len(outcomes) :]
        sent, status = forked(work)
        outcomes += [Outcome(*each) for each in sent]
        if status or len(sent) < len(pending[:A_WORKER]):
            signalled = os.WTERMSIG(status)
            hung = signalled in (signal.SIGPROF, signal.SIGALRM)
            why = f"ended by signal {signalled}, status {os.WEXITSTATUS(status)}"
            outcomes.append(Outcome("hang" if hung else "crash", why))
    return outcomes


def table(cases: Sequence[Case], outcomes: Sequence[Outcome]) -> str:
    """Return counts by kind and verdict; checked kinds are starred."""
    rows = [f"{'':20}" + "".join(f"{verdict:>11}" for verdict in VERDICTS)]
    counts = Counter((c.kind, o.verdict) for c, o in zip(cases, outcomes, strict=True))
    for name in dict.fromkeys(case.kind for case in cases):
        star = "*" if KINDS[name].checked else ""
        rows.append(f"{name + star:20}" + "".join(f"{counts[name, v]:11}" for v in VERDICTS))
    total = Counter(outcome.verdict for outcome in outcomes)
    rows.append(f"{'total':20}" + "".join(f"{total[v]:11}" for v in VERDICTS))
    return "\n".join(rows)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cases", type=int, default=5000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", nargs="+", choices=KINDS, default=list(KINDS))
    parser.add_argument("--case", type=int, help="one case again, with its traceback")
    options = parser.parse_args()
    names = options.only
    if options.case is not None:
        cases = [Case(name, options.case, options.seed) for name in names]
    else:
        cases = [
            Case(names[place % len(names)], place // len(names), options.seed)
            for place in range(options.cases)
        ]
    for heavy in ("pandas", "torch", "xarray", "zarr", "attnsci.scanpaths.formats.io"):
        importlib.import_module(heavy)  # once, not in each worker
    faulthandler.enable()  # a crash says where
    begin = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        outcomes = run(cases, Path(folder), verbose=options.case is not None)
    for case, outcome in zip(cases, outcomes, strict=True):
        if outcome.failure:
            print(f"{case.kind} --case {case.number} --seed {case.seed}: {outcome.verdict}, "
                  f"{outcome.failure}")  # fmt: skip
    print(table(cases, outcomes))
    print(f"* carries a check of its values. {time.perf_counter() - begin:.0f} s")
    return int(any(outcome.failure for outcome in outcomes))


if __name__ == "__main__":
    sys.exit(main())
