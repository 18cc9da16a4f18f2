"""Whether a command that is killed, and given again, leaves what an undisturbed one leaves.

Each command runs once undisturbed while its changes to files and its steps of an optimiser are
counted; then it is killed before ten of these, spread evenly, by SIGKILL and by SIGTERM, and given
again. All that it leaves is compared to the bit: weights, checkpoints, metrics, tables, figures,
stores. Left out are the fields of provenance that tell one call from another (date, command,
commit), the digest of a store that covers these, and the locks of killed runs (``.NAME.lock``).
What a killed write left behind (``.NAME.unfinished``) must be gone.

    python benchmarks/kills.py                       # all commands, about 20 minutes
    python benchmarks/kills.py record ram --points 3

Nothing is left to time: a child kills itself at a counted point, and that it died of it is checked.
Ends with status 1 if anything differs. POSIX only, since it forks.
"""

# ruff: noqa: E402 - how many threads there are must be said before they are made

import argparse
import dataclasses
import hashlib
import json
import os
import shlex
import shutil
import signal
import sys
import tempfile
import threading
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

for variable in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ[variable] = "1"
os.environ.setdefault("MPLBACKEND", "Agg")

import numpy as np
import pandas as pd
import safetensors
import torch
from PIL import Image
from torch.optim.optimizer import register_optimizer_step_pre_hook

import attnsci.families.ram.paper as ram_paper
from attnsci import cli
from attnsci.data.images import Photograph, load_images
from attnsci.errors import RecordingError
from attnsci.families.neva.dncnn_objective import DnCNNObjective
from attnsci.families.neva.dncnn_recipes import DnCNNTraining
from attnsci.interrupts import exit_status, raised
from attnsci.provenance import git_commit
from attnsci.recording import open_recording, record
from attnsci.training.configs import TrainerConfig
from attnsci.training.trainer import Trainer

SIGNALS = (signal.SIGKILL, signal.SIGTERM)
LEFT_OUT = {"date", "command", "commit", "content_digest"}
FAILED = 99
_CHANGES = {"open", "os.rename", "os.remove", "os.rmdir", "os.mkdir", "os.truncate"}

# --- commands ------------------------------------------------------------------------------------

SHORT = "--device cpu --max-steps 7 --save-every 2"
DIGITS = f"--source bundled --batch-size 8 --validation-scenes 16 {SHORT}"
GLIMPSES = f"{DIGITS} --n-samples 1 --n-hidden 16 --n-glimpses 3"
LINES = {
    "train object-attention": DIGITS,
    "train object-attention-coco": "--images {inputs}/coco --annotations {inputs}/coco.json "
    f"--size 76 --batch-size 4 {SHORT}",
    "train ram": GLIMPSES,
    "train ram-dram": f"{DIGITS} --n-samples 1",
    "train ram-catch": f"--batch-size 8 --batches-per-epoch 4 --validation-games 20 {SHORT}",
    "train what-where": f"{DIGITS} --batches-per-epoch 4 --hidden 16",
    "train where": f"{DIGITS} --batches-per-epoch 4 --hidden 8 --n-theta 2 --n-azimuth 8 "
    "--n-ecc 6 --map-scenes 5 --map-stride-px 27",
    "train neva": "{inputs}/photographs --size 32 32 --n-fixations 2 --batch-size 4 "
    "--epochs 3 " + SHORT,
    "scanpath generate": "{inputs}/pictures --task blur-energy --fixations 3 --side 64 "
    "--device cpu",
    "compare": "{inputs}/model.csv {inputs}/human.csv --image-size 800x600 --px-per-deg 24 "
    "--metrics scanmatch dtw --n-permutations 50 --n-bootstrap 20",
    "reproduce": "ram --scale quick --device cpu --weights ram-mnist-28-seed0",
}
"""Command to its flags; each also gets ``--out``."""


def _command(name: str) -> Callable[[Path, Path], int]:
    def run(inputs: Path, out: Path) -> int:
        # Fewer scenes and draws than at quick scale: what is written stays the same.
        ram_paper.PAPER.scales["quick"] = ram_paper.Scale(20, 8, 5, (0.0, 2.0), 1)
        line = f"{name} {LINES[name].format(inputs=inputs)} --out {out}"
        return cli.main(shlex.split(line))

    return run


def _record(inputs: Path, out: Path) -> int:
    """Record to a store, in a script of one's own."""
    torch.manual_seed(0)
    model = torch.nn.Sequential(torch.nn.Conv2d(1, 4, 3), torch.nn.ReLU(), torch.nn.Flatten())
    stimuli = torch.rand(60, 1, 8, 8, generator=torch.Generator().manual_seed(1))
    record(model, stimuli, ["0", "1"], store=out / "store.zarr", batch_size=4, chunk=8)
    return 0


def _save(inputs: Path, out: Path) -> int:
    """Save a recording that is in memory, in a script of one's own."""
    torch.manual_seed(0)
    model, stimuli = torch.nn.Linear(6, 5), torch.linspace(0, 1, 60).view(10, 6)
    try:
        open_recording(out / "saved.zarr")
    except RecordingError:
        record(model, stimuli, "").save(out / "saved.zarr")
    return 0


def _dncnn(inputs: Path, out: Path) -> int:
    """Train the denoiser, which has no command."""
    training = DnCNNTraining(
        crop=16, batch_size=2, batches_per_epoch=3, blur_size=9, blur_sigma_px=3, sigma_px=6,
        validation_crops=4,
    )  # fmt: skip
    pieces = [
        Photograph(f"{i:012d}.png", photograph.image[30:90, 20 * i : 20 * i + 70], "", "")
        for photograph in load_images()[:1]
        for i in range(20)
    ]
    config = TrainerConfig(epochs=3, max_steps=7, device="cpu", save_every=2)
    try:
        with raised():
            Trainer(DnCNNObjective(training, pieces), out, config).fit()
    except KeyboardInterrupt as stop:
        return exit_status(stop)
    return 0


COMMANDS: dict[str, Callable[[Path, Path], int]] = {
    "record": _record,
    "save": _save,
    "dncnn": _dncnn,
    **{name: _command(name) for name in LINES},
}


def write_inputs(folder: Path) -> None:
    """Write what the commands read: pictures, photographs, a small COCO, two tables."""
    generator = np.random.default_rng(0)
    for name, n, size in (("pictures", 3, (90, 120)), ("photographs", 12, (40, 48))):
        (folder / name).mkdir()
        for number in range(n):
            pixels = generator.integers(0, 255, (*size, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(folder / name / f"{number}.png")
    _write_coco(folder)
    for name, n_observers in (("model", 1), ("human", 4)):
        rows = [
            {"image": f"{image}.jpg", "observer": f"o{observer}", "fixation": fixation,
             "x": generator.uniform(0, 800), "y": generator.uniform(0, 600), "duration": 0.25}
            for image in range(4)
            for observer in range(n_observers)
            for fixation in range(5)
        ]  # fmt: skip
        pd.DataFrame(rows).to_csv(folder / f"{name}.csv", index=False)


def _write_coco(folder: Path) -> None:
    names = {1: "person", 3: "car", 18: "dog", 44: "bottle"}
    groups = {1: "person", 3: "vehicle", 18: "animal", 44: "kitchen"}
    images: list[dict[str, Any]] = []
    objects: list[dict[str, Any]] = []
    (folder / "coco").mkdir()
    rows, columns = np.mgrid[:40, :60]
    for number in range(1, 25):
        pixels = np.stack([rows * 3 + number, columns * 2 + 20, rows + columns + 40], -1)
        name = f"{number:012d}.png"
        Image.fromarray(pixels.astype(np.uint8)).save(folder / "coco" / name)
        images.append({"id": number, "file_name": name, "width": 60, "height": 40, "license": 4})
        for category, left in (((1, 3, 18, 44)[number % 4], 0), ((3, 18, 44, 1)[number % 4], 30)):
            box = [left, 0, 24, 40]
            outline = [left, 0, left + 24, 0, left + 24, 40, left, 40]
            objects.append(
                {"id": len(objects) + 101, "image_id": number, "category_id": category,
                 "segmentation": [outline], "area": 960.0, "bbox": box, "iscrowd": 0}
            )  # fmt: skip
    data = {
        "images": images,
        "annotations": objects,
        "categories": [
            {"id": key, "name": names[key], "supercategory": groups[key]} for key in names
        ],
        "licenses": [{"id": 4, "name": "Attribution License"}],
    }
    (folder / "coco.json").write_text(json.dumps(data), encoding="utf-8")


# --- what a run leaves ---------------------------------------------------------------------------


def contents(folder: Path) -> dict[str, str]:
    """Return a digest of each file under `folder`, but for locks and what provenance changes."""
    files = sorted(
        path for path in folder.rglob("*") if path.is_file() or ".unfinished" in path.name
    )
    return {
        str(path.relative_to(folder)): hashlib.sha256(
            b"" if path.is_dir() else _content(path)
        ).hexdigest()
        for path in files
        if not (path.name.startswith(".") and path.name.endswith(".lock"))
    }


def _content(path: Path) -> bytes:
    if path.suffix == ".json":
        return json.dumps(_plain(json.loads(path.read_text(encoding="utf-8")))).encode()
    if path.suffix == ".safetensors":
        with safetensors.safe_open(path, framework="pt") as file:
            tensors = {name: file.get_tensor(name) for name in sorted(file.keys())}
            facts = _plain(dict(file.metadata() or {}))
        return repr([facts, _bits(tensors)]).encode()
    if path.suffix == ".ckpt":
        return repr(_bits(torch.load(path, weights_only=True))).encode()
    if path.suffix == ".parquet":  # its bytes also tell how pandas came by the table
        frame = pd.read_parquet(path)
        return f"{frame.dtypes.to_dict()}{frame.to_csv()}".encode()
    return path.read_bytes()


def _plain(value: Any) -> Any:
    """Return `value` without the fields left out, in JSON within JSON too."""
    if isinstance(value, dict):
        return {key: _plain(each) for key, each in value.items() if key not in LEFT_OUT}
    if isinstance(value, list):
        return [_plain(each) for each in value]
    if isinstance(value, str) and value.startswith("{"):
        return _plain(json.loads(value))
    return value


def _bits(value: Any) -> Any:
    """Return `value` with its tensors as bytes."""
    if isinstance(value, torch.Tensor):
        flat = value.detach().contiguous().reshape(-1).view(torch.uint8)
        return str(value.dtype), tuple(value.shape), flat.numpy().tobytes()
    if isinstance(value, dict):
        return {key: _bits(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_bits(each) for each in value]
    return value


def differences(ours: dict[str, str], theirs: dict[str, str]) -> list[str]:
    """Return the files that one has and the other has not, or has with another content."""
    names = sorted({*ours, *theirs})
    return [name for name in names if ours.get(name) != theirs.get(name)]


# --- killing -------------------------------------------------------------------------------------


class Points:
    """Counts changes under a folder and steps of optimisers; sends a signal at one of them."""

    def __init__(self, folder: Path, at: int = 0, number: int = 0) -> None:
        self.folder, self.at, self.number = str(folder), at, number
        self.n = 0
        self._lock = threading.Lock()
        sys.addaudithook(self._audit)
        register_optimizer_step_pre_hook(lambda *_: self._point())

    def _audit(self, event: str, arguments: tuple[Any, ...]) -> None:
        if event not in _CHANGES:
            return
        if event == "open":
            writes = (arguments[2] or 0) & (os.O_WRONLY | os.O_RDWR | os.O_CREAT)
            if not writes:
                return
        # rmtree names files by the descriptor of their folder.
        by_descriptor = event in ("os.remove", "os.rmdir") and arguments[1] != -1
        if by_descriptor or str(arguments[0]).startswith(self.folder):
            self._point()

    def _point(self) -> None:
        with self._lock:
            self.n += 1
            here = self.n == self.at
        if here:
            os.kill(os.getpid(), self.number)


def in_child(work: Callable[[], int], log: Path) -> int:
    """Run `work` in a fork, with what it prints in `log`; return its status, −n after signal n."""
    sys.stdout.flush()
    sys.stderr.flush()
    pid = os.fork()
    if pid == 0:
        status = FAILED
        try:
            with log.open("w") as file:
                os.dup2(file.fileno(), 1)
                os.dup2(file.fileno(), 2)
            status = work()
        except BaseException:
            traceback.print_exc()
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(status)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


@dataclasses.dataclass(frozen=True)
class Outcome:
    """What came of one command and signal."""

    command: str
    signal: str
    points: int
    of: int
    equal: int
    faults: tuple[str, ...]


def try_command(name: str, n_points: int, work: Path) -> Iterator[Outcome]:
    """Yield what came of killing a command by each signal."""
    inputs, root, log, answer = work / "inputs", work / "run", work / "log.txt", work / "answer"

    def run(at: int = 0, number: int = 0) -> int:
        def command() -> int:
            (root / "out").mkdir(parents=True, exist_ok=True)
            points = Points(root, at, number)
            status = COMMANDS[name](inputs, root / "out")
            answer.write_text(str(points.n))
            return status

        return in_child(command, log)

    def left() -> dict[str, str]:
        def digest() -> int:
            answer.write_text(json.dumps(contents(root)))
            return 0

        # In a fork too: its libraries start threads, which a later fork would lack.
        if in_child(digest, log):
            return {f"unreadable: {log.read_text()[-300:]}": ""}
        return dict(json.loads(answer.read_text()))

    shutil.rmtree(root, ignore_errors=True)
    if run():
        raise SystemExit(f"{name} fails undisturbed:\n{log.read_text()[-3000:]}")
    n = int(answer.read_text())
    whole = left()
    for number in SIGNALS:
        by_the_system = number == signal.SIGKILL or name in ("record", "save")
        death = -number if by_the_system else 128 + number
        faults, equal = [], 0
        points = sorted({round(at) for at in np.linspace(1, n, n_points)})
        for at in points:
            shutil.rmtree(root)
            status = run(at, number)
            if status != death:
                faults.append(f"{at}: status {status} and not {death}: {log.read_text()[-300:]}")
                continue
            if run():
                faults.append(f"{at}: cannot go on: {log.read_text()[-600:]}")
                continue
            wrong = differences(left(), whole)
            equal += not wrong
            if wrong:
                faults.append(f"{at}: {', '.join(wrong[:5])}")
        yield Outcome(name, number.name, len(points), n, equal, tuple(faults))


def main(argv: list[str] | None = None) -> int:
    """Kill the commands asked for; print the table; return 1 if anything differs."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("commands", nargs="*", metavar="COMMAND", help=", ".join(COMMANDS))
    parser.add_argument("--points", type=int, default=10)
    asked = parser.parse_args(argv)
    unknown = set(asked.commands) - set(COMMANDS)
    if unknown:
        parser.error(f"no such command: {', '.join(sorted(unknown))}")
    torch.set_num_threads(1)
    git_commit()  # once, for all children
    failed = False
    print(f"{'command':28} {'signal':8} {'points':>6} {'of':>5} {'equal':>6}")
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder).resolve()
        os.environ["ATTNSCI_CACHE"] = str(work / "cache")
        (work / "inputs").mkdir()
        write_inputs(work / "inputs")
        for name in asked.commands or COMMANDS:
            for outcome in try_command(name, asked.points, work):
                row = f"{outcome.command:28} {outcome.signal:8} {outcome.points:6} {outcome.of:5}"
                print(f"{row} {outcome.equal:6}", *outcome.faults, sep="\n    ", flush=True)
                failed = failed or outcome.equal < outcome.points
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
