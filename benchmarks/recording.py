"""What recording costs: the bench and the bars of the recording layer, beside its peers.

ResNet-18 with random weights, 512 images of 64×64, batches of 64, eight sites, one thread:
223 MiB of activations. Each method runs in a fresh process; its CPU time is divided by that of
a plain forward pass in the same round, and the median over rounds is reported. CPU ratios can
be compared between machines, milliseconds cannot.

    python benchmarks/recording.py            # the whole table
    python benchmarks/recording.py "record"   # one method
    TMPDIR=/dev/shm python benchmarks/recording.py "record, Zarr"   # without the disk

torchlens is a peer for this bench only: pip install torchlens==2.36.1 beside the package.
"""

import argparse
import gc
import importlib.util
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

for variable in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ.setdefault(variable, "1")

SITES = ["conv1", "layer1.0", "layer1", "layer2", "layer3", "layer4", "avgpool", "fc"]
# torchlens does not resolve the last layer by its module's name.
TORCHLENS_SITES = [*SITES[:-1], "linear_1_1"]
N, BATCH, ROUNDS = 512, 64, 5
MEBIBYTE = 2**20
VALUES = 114_152
PAYLOAD = N * VALUES * 4 / MEBIBYTE
STORED = 186  # MiB, after compression
# What methods wrote is deleted between the rounds, outside the measured time.
scratch = tempfile.TemporaryDirectory()
shapes: dict[str, tuple[int, ...]] = {}


def make_model() -> Any:
    import torch

    from attnsci._torchvision import load_torchvision

    torch.manual_seed(0)
    return load_torchvision().models.resnet18(weights=None).eval()


def make_images(n: int = N) -> Any:
    import torch

    return torch.rand(n, 3, 64, 64, generator=torch.Generator().manual_seed(0))


def plain(model: Any, images: Any, batch: int = BATCH) -> None:
    import torch

    with torch.no_grad():
        for start in range(0, len(images), batch):
            model(images[start : start + batch])


def hooks(model: Any, images: Any, *, clone: bool, batch: int = BATCH) -> Any:
    import torch

    kept: dict[str, list] = {name: [] for name in SITES}

    def hook(name: str) -> Callable[..., None]:
        def keep(module: Any, args: Any, out: Any) -> None:
            kept[name].append(out.clone() if clone else out)

        return keep

    handles = [model.get_submodule(name).register_forward_hook(hook(name)) for name in SITES]
    plain(model, images, batch)
    for handle in handles:
        handle.remove()
    return {name: torch.cat(parts) for name, parts in kept.items()}


def preallocated(model: Any, images: Any, batch: int) -> Any:
    """Copy straight into one array a site: the least that a safe recorder does."""
    import torch

    if not shapes:  # learnt in the unmeasured first run, so that it costs this method nothing
        handles = [
            model.get_submodule(name).register_forward_hook(
                lambda m, a, out, name=name: shapes.update({name: tuple(out.shape[1:])})
            )
            for name in SITES
        ]
        plain(model, images[:1], batch)
        for handle in handles:
            handle.remove()
    arrays = {name: torch.empty(len(images), *shape) for name, shape in shapes.items()}
    filled = dict.fromkeys(SITES, 0)

    def hook(name: str) -> Callable[..., None]:
        def keep(module: Any, args: Any, out: Any) -> None:
            arrays[name][filled[name] : filled[name] + len(out)] = out
            filled[name] += len(out)

        return keep

    handles = [model.get_submodule(name).register_forward_hook(hook(name)) for name in SITES]
    plain(model, images, batch)
    for handle in handles:
        handle.remove()
    return arrays


def ours(model: Any, images: Any, **options: Any) -> Any:
    from attnsci.recording import record

    options.setdefault("batch_size", BATCH)
    return record(model, images, options.pop("sites", SITES), **options)


def averaged(model: Any, images: Any) -> Any:
    from attnsci.recording import Site

    spatial = [Site(name, reduce="mean_xy") for name in SITES[:-1]]
    return ours(model, images, sites=[*spatial, "fc"])


def streamed(model: Any, images: Any) -> Any:
    folder = tempfile.mkdtemp(dir=scratch.name)
    return ours(model, images, store=Path(folder) / "run.zarr").layers


def written(model: Any, images: Any) -> None:
    """Run plainly and write as many random bytes as a store holds: the limit of this disk."""
    plain(model, images)
    block = os.urandom(MEBIBYTE)
    with Path(tempfile.mkdtemp(dir=scratch.name), "raw").open("wb") as file:
        for _ in range(int(STORED * len(images) / N)):
            file.write(block)


def torchlens(model: Any, images: Any, *, disk: bool) -> Any:
    import torchlens as peer

    options = {"batch_size": BATCH, "progress": False}
    if not disk:
        return peer.extract_dataset(model, images, TORCHLENS_SITES, **options)
    target = str(Path(tempfile.mkdtemp(dir=scratch.name)) / "run")
    return peer.extract_dataset(model, images, TORCHLENS_SITES, output_dir=target, **options)


METHODS: dict[str, tuple[Callable[[Any, Any], Any], int]] = {
    "plain forward": (plain, ROUNDS),
    "hooks, references (unsafe)": (lambda m, x: hooks(m, x, clone=False), ROUNDS),
    "hooks, clone": (lambda m, x: hooks(m, x, clone=True), ROUNDS),
    "hooks, preallocated": (lambda m, x: preallocated(m, x, BATCH), ROUNDS),
    "record": (ours, ROUNDS),
    "plain and a raw write": (written, ROUNDS),
    "record, Zarr": (streamed, ROUNDS),
    "record, mean_xy": (averaged, ROUNDS),
    "torchlens, memory": (lambda m, x: torchlens(m, x, disk=False), 2),
    "torchlens, disk": (lambda m, x: torchlens(m, x, disk=True), 2),
}
SMALL = {
    "64 images by 8: hooks, preallocated": lambda m, x: preallocated(m, x, 8),
    "64 images by 8: record": lambda m, x: ours(m, x, batch_size=8),
}


class PeakMemory:
    """Samples the resident memory of this process, every 2 ms, above its start."""

    def __enter__(self) -> "PeakMemory":
        gc.collect()
        self.base = self.peak = self._resident()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch)
        self._thread.start()
        return self

    @staticmethod
    def _resident() -> int:
        pages = Path("/proc/self/statm").read_text(encoding="ascii").split()[1]
        return int(pages) * os.sysconf("SC_PAGE_SIZE")

    def _watch(self) -> None:
        while not self._stop.wait(0.002):
            self.peak = max(self.peak, self._resident())

    def __exit__(self, *error: object) -> None:
        self._stop.set()
        self._thread.join()
        self.above = (max(self.peak, self._resident()) - self.base) / MEBIBYTE


def cpu_seconds(run: Callable[[], Any]) -> float:
    start = time.process_time()
    run()
    return time.process_time() - start


def measure(name: str) -> dict[str, float]:
    """Run one method in this process: the peak of its first run, then paired CPU ratios."""
    import torch

    torch.set_num_threads(1)
    small = name in SMALL
    method, rounds = (SMALL[name], ROUNDS) if small else METHODS[name]
    model, images = make_model(), make_images(64 if small else N)
    batch = 8 if small else BATCH
    # Imports and first-use costs belong to nobody; one small run pays them.
    plain(model, images[:batch], batch)
    method(model, images[: 2 * batch])
    with PeakMemory() as memory:
        kept = method(model, images)
    del kept
    ratios = []
    for _ in range(rounds * (3 if small else 1)):
        gc.collect()
        for folder in Path(scratch.name).iterdir():
            shutil.rmtree(folder)
        base = cpu_seconds(lambda: plain(model, images, batch))
        ratios.append(cpu_seconds(lambda: method(model, images)) / base)
    return {
        "ratio": statistics.median(ratios),
        "low": min(ratios),
        "high": max(ratios),
        "peak": memory.above,
    }


def bars(results: dict[str, dict[str, float]]) -> list[tuple[str, str, str, bool | None]]:
    """Return (what, bar, measured, met); None where a peer is missing."""

    def one(name: str, key: str, limit: float, unit: str) -> tuple[str, str, str, bool]:
        value = results[name][key]
        return f"{name}: {key}", f"≤ {limit:.2f} {unit}", f"{value:.2f}", value <= limit

    table: list[tuple[str, str, str, bool | None]] = [
        one("record", "ratio", 1.30, "× plain"),
        one("record", "peak", 1.25 * PAYLOAD, "MiB"),
        one("record, Zarr", "ratio", 1.60, "× plain"),
        one("record, Zarr", "peak", 110, "MiB"),
        one("record, mean_xy", "ratio", 1.10, "× plain"),
        ("record against Brain-Score's published", "< 2.10 × plain",
         f"{results['record']['ratio']:.2f}", results["record"]["ratio"] < 2.1),
    ]  # fmt: skip
    for mine, peer in (("record", "torchlens, memory"), ("record, Zarr", "torchlens, disk")):
        if peer in results:
            share = results[mine]["ratio"] / results[peer]["ratio"]
            table.append((f"{mine} against {peer}", "≤ 0.33", f"{share:.2f}", share <= 1 / 3))
        else:
            table.append((f"{mine} against {peer}", "≤ 0.33", "not installed", None))
    mine, theirs = (results[name]["ratio"] for name in reversed(SMALL))
    table.append(("small batches, against preallocated hooks", "≤ 0.10 more",
                  f"{mine - theirs:+.2f}", mine - theirs <= 0.10))  # fmt: skip
    return table


def main() -> None:
    """Measure every method in a fresh process and print the table and the bars."""
    names = [*METHODS, *SMALL]
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("method", nargs="*", help=f"one or more of {names}; default: all")
    parser.add_argument("--measure", choices=names, help="run one method in this process: JSON")
    arguments = parser.parse_args()
    if arguments.measure:
        print(json.dumps(measure(arguments.measure)))
        return
    if unknown := set(arguments.method) - set(names):
        parser.error(f"unknown method {sorted(unknown)[0]!r}; there are {names}")
    wanted = arguments.method or names
    if importlib.util.find_spec("torchlens") is None:
        print("torchlens is not installed: pip install torchlens==2.36.1 to compare with it\n")
        wanted = [name for name in wanted if not name.startswith("torchlens")]
    print(f"{'method':38s} {'CPU ÷ plain':>11s} {'range':>13s} {'peak MiB':>9s}", flush=True)
    results = {}
    for name in wanted:
        done = subprocess.run(
            [sys.executable, __file__, "--measure", name], capture_output=True, text=True
        )
        if done.returncode:
            sys.exit(f"{name} failed:\n{done.stderr}")
        results[name] = r = json.loads(done.stdout.splitlines()[-1])
        spread = f"{r['low']:.2f}–{r['high']:.2f}"
        print(f"{name:38s} {r['ratio']:11.2f} {spread:>13s} {r['peak']:9.0f}", flush=True)
    if set(METHODS) - set(results) <= {"torchlens, memory", "torchlens, disk"}:
        print(f"\n{'bar':48s} {'limit':>16s} {'measured':>14s}  met")
        for what, limit, measured, met in bars(results):
            verdict = {True: "yes", False: "NO", None: "-"}[met]
            print(f"{what:48s} {limit:>16s} {measured:>14s}  {verdict}")


if __name__ == "__main__":
    main()
