"""What NeVA costs, beside the published search written anew (`neva_reference.py`).

EfficientNet-Lite0 at 224 pixels looks at photographs with ten fixations, one image at a time, one
thread, CPU time. Every line measures both sides in one process, one after the other, and gives
the median of the paired ratios: that can be compared between machines, milliseconds cannot.

- the reference preset against nothing but as many forward and backward passes of the same
  network: what looking costs on top (a ratio of 0.91 is a cost of 1.10);
- the recommended search with the folded network against the published loop, in bfloat16 (where
  the processor computes in it) and in float32 with a coarse first look. It counts only if its
  final loss, judged in float32 by the unfolded network, is lower: the mean over fixations and
  that of the last one;
- a folder: the cost of an image among 1000 and among 100 against that among 10.

    python benchmarks/neva.py                 # two photographs of the eight, about two minutes
    python benchmarks/neva.py --full          # all eight, about five minutes
    python benchmarks/neva.py --only folder

The photographs are scikit-image's and scikit-learn's. Ends with status 1 if a bar is missed.
"""

import argparse
import dataclasses
import functools
import statistics
import sys
import time
from collections.abc import Callable
from typing import Any

import neva_reference
import numpy as np
import torch
import xarray as xr
from torch import Tensor, nn
from torch.nn import functional

from attnsci.data.images import load_images, resize_and_crop
from attnsci.devices import computes_bfloat16
from attnsci.families.neva.config import RECOMMENDED, REFERENCE, NeVAConfig
from attnsci.families.neva.efficientnet_lite import load_efficientnet_lite
from attnsci.families.neva.folding import folded
from attnsci.families.neva.network import NeVA
from attnsci.families.neva.tasks import BlurEnergy, Classification
from attnsci.sensors.foveation import Fovea, FoveatedView

FIXATIONS, ITERATIONS, SEED = 10, 20, 2
QUICK = ("coffee", "chelsea")
COARSE = NeVAConfig(coarse_px=128, keep=3, refinements=1, precision="float32")
COARSE_BFLOAT16 = dataclasses.replace(RECOMMENDED, precision="bfloat16")
FINE = dataclasses.replace(COARSE_BFLOAT16, coarse_px=None)


def crops(full: bool) -> dict[str, Tensor]:
    """Return the photographs as the network is shown them, and one part of one."""
    from sklearn.datasets import load_sample_image

    photos = {photo.name: photo.rgb for photo in load_images()}
    if full:
        photos |= {name: load_sample_image(f"{name}.jpg") for name in ("china", "flower")}
        rows, columns = (round(0.8 * side) for side in photos["chelsea"].shape[:2])
        photos["chelsea, top left"] = photos["chelsea"][:rows, :columns]
    else:
        photos = {name: photos[name] for name in QUICK}
    return {
        name: torch.from_numpy(resize_and_crop(photo)[0])[None] for name, photo in photos.items()
    }


@dataclasses.dataclass
class Line:
    """One line of the table: paired times in milliseconds, and what else has to hold."""

    what: str
    bar: float
    reference: list[float] = dataclasses.field(default_factory=list)
    ours: list[float] = dataclasses.field(default_factory=list)
    fails: str = ""

    def __str__(self) -> str:
        pairs = zip(self.reference, self.ours, strict=True)
        ratio = statistics.median(a / b for a, b in pairs)
        self.met = ratio >= self.bar and not self.fails
        theirs, mine = statistics.mean(self.reference), statistics.mean(self.ours)
        verdict = "yes" if self.met else f"NO {self.fails}".strip()
        return (
            f"| {self.what} | {theirs:.1f} | {mine:.1f} | {ratio:.2f} | {self.bar:g} | {verdict} |"
        )


def cpu_ms(work: Callable[..., Any], *args: Any, **settings: Any) -> tuple[float, Any]:
    """Return the CPU time of a call in milliseconds, and what it returned."""
    start = time.process_time()
    result = work(*args, **settings)
    return (time.process_time() - start) * 1e3, result


def losses_of(network: nn.Module, label: Tensor, seen: Tensor) -> Tensor:
    """Return the cross-entropy (N,) of views."""
    return functional.cross_entropy(network(seen), label, reduction="none")


def passes(network: nn.Module, image: Tensor, label: Tensor, n: int) -> None:
    """Do `n` forward and backward passes to the image, and nothing else."""
    for _ in range(n):
        seen = image.clone().requires_grad_()
        torch.autograd.grad(losses_of(network, label, seen).sum(), seen)


def state_losses(network: nn.Module, image: Tensor, label: Tensor, xy: Tensor) -> Tensor:
    """Return the loss (T,) of what is remembered after each fixation (T, 2)."""
    view = FoveatedView(image, Fovea.from_reference(0.15, 224))
    memory, losses = view.blank(), []
    with torch.no_grad():
        for at in xy:
            memory = view.add(view.keep(memory), view.mask(at[None]))
            losses.append(functional.cross_entropy(network(view.perceive(memory)), label))
    return torch.stack(losses)


def path_of(scanpaths: xr.Dataset) -> Tensor:
    """Return the positions (T, 2) of the first scanpath."""
    return torch.tensor(np.stack([scanpaths["x"][0], scanpaths["y"][0]], -1)).float()


def looks(full: bool, only: str) -> list[Line]:
    """Measure the reference preset and the recommended searches."""
    network = load_efficientnet_lite("lite0")
    fast = folded(network)
    fovea = Fovea.from_reference(0.15, 224)
    limit = Line("reference preset, and its passes alone", 1 / 1.10)
    searches: list[tuple[Line, NeVAConfig, list[Tensor]]] = []
    if computes_bfloat16("auto", torch.device("cpu")):
        searches.append((Line("the same without a coarse look", 1.0), FINE, []))
        name = "recommended search, bfloat16"
        searches.append((Line(name, 4.0), COARSE_BFLOAT16, []))
    else:
        print("bfloat16 is left out: this processor does not compute in it.", file=sys.stderr)
    searches.append((Line("recommended search, float32 from a coarse look", 3.0), COARSE, []))
    chosen = [each for each in searches if only in each[0].what]
    published: list[Tensor] = []
    for image in crops(full).values():
        label = network(image).argmax(1)
        if only in limit.what:
            passes(network, image, label, 3)
            limit.reference.append(cpu_ms(passes, network, image, label, FIXATIONS * ITERATIONS)[0])
            neva = NeVA(Classification(network), fovea, REFERENCE)
            limit.ours.append(cpu_ms(neva.look, image, FIXATIONS, seed=SEED)[0])
        if not chosen:
            continue
        loss_of = functools.partial(losses_of, network, label)
        spent, looked = cpu_ms(
            neva_reference.look, loss_of, image, FIXATIONS, iterations=ITERATIONS, seed=SEED
        )
        xy = neva_reference.to_pixels(looked.positions[0], 224)
        published.append(state_losses(network, image, label, xy))
        for line, config, losses in chosen:
            neva = NeVA(Classification(fast), fovea, config)
            neva.look(image, 1)
            mine, path = cpu_ms(neva.look, image, FIXATIONS, seed=SEED)
            line.reference.append(spent)
            line.ours.append(mine)
            losses.append(state_losses(network, image, label, path_of(path)))
    for line, _, losses in chosen:
        theirs, ours = torch.stack(published).mean(0), torch.stack(losses).mean(0)
        line.what += (
            f" (loss {theirs.mean():.2f} → {ours.mean():.2f}, last {theirs[-1]:.2f} → "
            f"{ours[-1]:.2f})"
        )
        if ours.mean() >= theirs.mean() or ours[-1] >= theirs[-1]:
            line.fails = "its loss is not lower"
    return [line for line in (limit, *(each[0] for each in chosen)) if line.ours]


def folder() -> list[Line]:
    """Measure an image among ten, a hundred and a thousand."""
    generator = torch.Generator().manual_seed(0)
    images = torch.rand(1000, 3, 64, 64, generator=generator)
    neva = NeVA(BlurEnergy(), Fovea(9, 5, 21), precision="float32")
    neva.look(images[:10], 3)

    def each(n: int) -> float:
        repeats = max(200 // n, 1)
        return sum(cpu_ms(neva.look, images[:n], 3)[0] for _ in range(repeats)) / n / repeats

    lines = [Line(f"an image of a folder of {n}, and one of 10", 1 / 1.10) for n in (100, 1000)]
    for _ in range(3):
        for line, n in zip(lines, (100, 1000), strict=True):
            line.reference.append(each(10))
            line.ours.append(each(n))
    return lines


def main() -> int:
    """Measure everything and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--full", action="store_true", help="all eight photographs")
    parser.add_argument("--only", default="", help="lines whose name holds this")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    print("| what | reference ms | ours ms | ratio | bar | met |")
    print("|---|---|---|---|---|---|", flush=True)
    missed = 0
    for measure in (folder, lambda: looks(arguments.full, arguments.only)):
        if measure is folder and arguments.only not in "an image of a folder":
            continue
        for line in measure():
            print(line, flush=True)
            missed += not line.met
    return min(missed, 1)


if __name__ == "__main__":
    sys.exit(main())
