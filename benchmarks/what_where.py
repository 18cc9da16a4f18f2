"""What the stimuli and retinas of the noisy-digit studies cost, beside their code.

That code is written anew in `what_where_reference.py`, one image at a time in double precision as
published. One thread; both sides in one process, in turn, on the same digits. A cell gives CPU
and, in brackets, wall time, the median of the rounds; the ratio is the median of the paired ratios
of CPU time (of wall time in brackets). Ratios can be compared between machines, milliseconds
cannot.

- stimuli: scenes of 28 and of 128 pixels, of new noise each, in batches; pooled noise is quicker;
- features: what the 2880 filters answer to scenes that are there already, whitening included; and
  the POLO retinas of 768 and of 2560 features;
- retina: building the whole bank and the collicular kernels, every time in an empty folder to
  which both sides write their bank. The published constructor goes on to two pseudo-inverses; ours
  (of least squares with a small ridge) are computed when first asked for. A second line has them on
  both sides, once (about a minute);
- map: accuracy of WhatNet for digits at every whole offset, 55 × 55 of them, with 1000 digits
  each, extrapolated from 25 offsets all over the map; and how cost grows with the digits.

Nothing is timed before both sides are seen to agree: frozen scenes in whole 255ths (28 pixels) or
to 1e-6, filters and kernels to 1e-6, features to single precision. If ATTNSCI_DATA names the
folder of the data sets, the reference is first held against arrays of the published code.

    python benchmarks/what_where.py                    # about two minutes
    python benchmarks/what_where.py --only stimuli     # lines whose name holds "stimuli"

Ends with status 1 if a bar is missed.
"""

import argparse
import dataclasses
import itertools
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
import what_where_reference as published
from torch import Tensor

from attnsci.data.digits import Digits, load_mnist
from attnsci.data.noisy_layout import PRESETS
from attnsci.data.noisy_scenes import Mode, noisy_digits
from attnsci.families.what_where.pathways import WhatNet
from attnsci.sensors.colliculus import Colliculus
from attnsci.sensors.log_polar_retina import LogPolarConfig, LogPolarRetina
from attnsci.sensors.polo import DualPoloRetina, PoloRetina
from attnsci.sensors.whitening import WhiteningConfig

BATCH = 100
MAP_DIGITS, FEWER_DIGITS, MAP_SIDE = 1000, 250, 55
MAP_OFFSETS = (-24, -12, 0, 12, 24)
MINUTES, LINEAR = 20, 1.1

Work = Callable[[], object]
close = np.testing.assert_allclose


class Spent(NamedTuple):
    """CPU and wall time, in milliseconds."""

    cpu: float
    wall: float

    def __str__(self) -> str:
        cpu, wall = (f"{value:.0f}" if value >= 100 else f"{value:.3g}" for value in self)
        return f"{cpu} ({wall})"


@dataclasses.dataclass(frozen=True)
class Contest:
    """One thing done in two ways, each for so many items."""

    what: str
    reference: Work
    n_reference: int
    ours: Work
    n_ours: int
    bar: float | None
    rounds: int = 15
    warm: bool = True
    repeats: int = 1
    """How often a round does ours: more than once where it is short, as training does it too."""


def spent(work: Work, n: int = 1, repeats: int = 1) -> Spent:
    """Return the time of a call, for one of `n` items."""
    n *= repeats
    cpu, wall = time.process_time(), time.perf_counter()
    for _ in range(repeats):
        work()
    return Spent(
        (time.process_time() - cpu) / n * 1e3,
        (time.perf_counter() - wall) / n * 1e3,
    )


def median(times: list[Spent]) -> Spent:
    """Return the median of CPU and of wall times."""
    return Spent(*(statistics.median(each) for each in zip(*times, strict=True)))


def row(*cells: object) -> str:
    """Return a line of the table."""
    return f"| {' | '.join(map(str, cells))} |"


def measure(contest: Contest) -> tuple[str, bool]:
    """Return the line of the table, and whether the bar is met."""
    if contest.warm:
        contest.reference(), contest.ours()
    theirs, mine = [], []
    for _ in range(contest.rounds):
        theirs.append(spent(contest.reference, contest.n_reference))
        mine.append(spent(contest.ours, contest.n_ours, contest.repeats))
    pairs = zip(theirs, mine, strict=True)
    ratio = median([Spent(a.cpu / b.cpu, a.wall / b.wall) for a, b in pairs])
    met = contest.bar is None or ratio.cpu >= contest.bar
    verdict = ("", "") if contest.bar is None else (f"{contest.bar:g}×", "yes" if met else "NO")
    return row(contest.what, median(theirs), median(mine), ratio, *verdict), met


# --- both sides ----------------------------------------------------------------------------------


def small_scenes(digits: Digits, **settings: Any) -> Tensor:
    """Return what the reference shows of each digit at 28 pixels."""
    pairs = zip(digits.images, digits.index.tolist(), strict=True)
    return torch.stack([published.small_scene(image, at, **settings) for image, at in pairs])


def large_scenes(digits: Digits, **settings: Any) -> list[published.Array]:
    """Return what the reference shows of each digit at 128 pixels."""
    pairs = zip(digits.images, digits.index.tolist(), strict=True)
    return [published.large_scene(image, at, **settings) for image, at in pairs]


def show(digits: Digits, size: int, mode: Mode = "fresh", seed: int = 0, **settings: Any) -> Tensor:
    """Return our scenes."""
    return noisy_digits(
        digits.images, digits.labels, digits.index, size, mode, seed=seed, **settings
    ).image


def fresh_retina(inverses: bool = False) -> tuple[LogPolarRetina, Colliculus]:
    """Build our retina and its collicular map from nothing."""
    before = os.environ.get("ATTNSCI_CACHE")
    with tempfile.TemporaryDirectory() as folder:
        os.environ["ATTNSCI_CACHE"] = folder
        try:
            retina = LogPolarRetina(LogPolarConfig(), WhiteningConfig())
            cells = Colliculus(LogPolarConfig())
        finally:
            if before is None:
                del os.environ["ATTNSCI_CACHE"]
            else:
                os.environ["ATTNSCI_CACHE"] = before
    if inverses:
        retina.inverse(torch.zeros(1, retina.config.n_features))
        cells.inverse(torch.zeros(1, len(cells.kernels)))
    return retina, cells


def published_retina(inverses: bool = False) -> tuple[published.Array, published.Array]:
    """Build the reference's bank and kernels, and keep the bank as it does."""
    bank = published.Retina().build()
    with tempfile.TemporaryDirectory() as folder:
        np.save(Path(folder) / "transform.npy", bank)
    kernels = published.collicular_kernels(bank)
    if inverses:
        np.linalg.pinv(bank.reshape(-1, bank.shape[-1]))
        np.linalg.pinv(kernels.reshape(-1, kernels.shape[-1]))
    return bank, kernels


class PublishedDual:
    """The reference's two POLO retinas about one fixation."""

    def __init__(self) -> None:
        self.parts = [published.Polo(32, 2, 2, 16), published.Polo(64, 2, 4, 32)]

    def features(self, scene: published.Array) -> Tensor:
        """Return the features (2560,) of a scene: part, level, ring, azimuth, orientation."""
        answers = [part.features(scene).permute(1, 2, 3, 0).flatten() for part in self.parts]
        return torch.cat(answers)


@dataclasses.dataclass(frozen=True)
class Sides:
    """Everything that is built once."""

    digits: Digits
    retina: LogPolarRetina
    cells: Colliculus
    polo: PoloRetina
    dual: DualPoloRetina
    their_retina: published.Retina
    their_bank: published.Array
    """All filters (2880, 16384)."""
    their_kernels: published.Array
    their_polo: published.Polo
    their_dual: PublishedDual


def build() -> Sides:
    """Build both sides."""
    bank, kernels = published_retina()
    return Sides(
        load_mnist("train").subset(np.arange(MAP_DIGITS)),
        *fresh_retina(),
        PoloRetina(),
        DualPoloRetina(),
        published.Retina(),
        bank.reshape(-1, bank.shape[-1]),
        kernels.reshape(-1, kernels.shape[-1]),
        published.Polo(),
        PublishedDual(),
    )


def check_same(sides: Sides) -> None:
    """Make sure that both sides compute the same thing."""
    some = sides.digits.subset(np.arange(0, 1000, 40))
    mine, theirs = (scenes * 255 for scenes in (show(some, 28, "frozen"), small_scenes(some)))
    np.testing.assert_array_equal(mine.round(), theirs.round())
    scenes = large_scenes(some)
    close(show(some, 128, "frozen")[:, 0], np.stack(scenes), rtol=0, atol=1e-6)
    close(sides.retina.bank(), sides.their_bank, rtol=0, atol=1e-6)
    close(sides.cells.kernels, sides.their_kernels, rtol=0, atol=1e-6 * sides.their_kernels.max())
    images = torch.from_numpy(np.stack(scenes)).float()[:, None]
    polo, dual = sides.their_polo, sides.their_dual
    for name, found, wanted in (
        ("2880", sides.retina(images), [_features(sides, scene) for scene in scenes]),
        ("768", sides.polo(images), [polo.features(scene).flatten(1, 2) for scene in scenes]),
        ("2560", sides.dual(images), [dual.features(scene) for scene in scenes]),
    ):
        close(found, np.stack(wanted), rtol=0, atol=1e-3, err_msg=f"{name} features")


def _features(sides: Sides, scene: published.Array) -> published.Array:
    return sides.their_retina.features(scene, sides.their_bank)


def check_reference(sides: Sides, root: Path) -> None:
    """Make sure that the reference computes what the published code did."""
    with np.load(root / "what-where" / "reference_golden.npz") as stored:
        golden = dict(stored)
    with np.load(root / "what-where" / "reference_polo768.npz") as stored:
        polo = dict(stored)
    digits = load_mnist("train", "full", root / "mnist").subset(np.arange(60))
    six = digits.subset(golden["idx"])
    small = small_scenes(six, std=7, contrast=0.5)[:, 0].numpy()
    wanted = golden["what28_std7_c0.5_n0.75"]
    np.testing.assert_array_equal(np.rint(small * 255), np.rint(wanted * 255))
    scenes = large_scenes(six, contrast=0.5)
    whitened = [sides.their_retina.whitened(scene) for scene in scenes]
    chosen = sides.their_bank[golden["filters_sel"]]
    row_, column = (golden["coll_peak_ij"] + 64).T
    peaks = np.take_along_axis(sides.their_kernels, (row_ * 128 + column)[:, None], 1)
    sixty = large_scenes(digits)
    answers = [sides.their_polo.features(scene).flatten(1, 2) for scene in sixty]
    for found, wanted, atol in (
        (published.noise_field(28, 42), golden["mc_noise28_seed42"], 1e-12),
        (scenes, golden["where128_std30_max40_c0.5_n0.75"], 1e-6),
        (whitened, golden["whitened"], 1e-6),
        (chosen, golden["filters"], 1e-6),
        ([_features(sides, scene) for scene in scenes], golden["retina2880"], 1e-9),
        (peaks[:, 0] / sides.their_kernels.max(1), np.ones(240), 1e-9),
        (sides.their_polo.bank, polo["K"], 1e-6),
        (sixty, polo["img"][:, 0], 1e-6),
        (torch.stack(answers), polo["feat"], 1e-4),
    ):
        close(np.asarray(found), wanted, rtol=0, atol=atol)


# --- contests ------------------------------------------------------------------------------------


def stimuli(digits: Digits) -> list[Contest]:
    """Compare the making of scenes."""
    seeds = itertools.count()
    some, more = digits.subset(np.arange(BATCH)), digits
    fifty, twenty = digits.subset(np.arange(50)), digits.subset(np.arange(20))

    def ours(size: int, shown: Digits, mode: Mode = "fresh", **settings: Any) -> Work:
        return lambda: show(shown, size, mode, next(seeds), **settings)

    def contest(
        what: str,
        size: int,
        shown: Digits,
        bar: float | None,
        mode: Mode = "fresh",
        **settings: Any,
    ) -> Contest:
        theirs = fifty if size == 28 else twenty
        make = small_scenes if size == 28 else large_scenes
        return Contest(
            f"stimuli of {size} px, {what}",
            lambda: make(theirs), len(theirs.labels),
            ours(size, shown, mode, **settings), len(shown.labels),
            bar, repeats=5 if size == 28 and len(shown.labels) == BATCH else 1,
        )  # fmt: skip

    return [
        contest("batches of 1000", 28, more, 15),
        contest("batches of 100", 28, some, 15),
        contest("batches of 100, pooled noise", 28, some, None, "pooled"),
        contest("batches of 100", 128, some, 7),
        contest("batches of 100, pooled noise", 128, some, None, "pooled"),
    ]


def features(sides: Sides) -> list[Contest]:
    """Compare retinas, on scenes that are there already."""
    some = sides.digits.subset(np.arange(BATCH))
    images, scenes = show(some, 128), large_scenes(some.subset(np.arange(40)))

    def contest(
        what: str,
        theirs: Callable[[published.Array], object],
        n: int,
        ours: Callable[[Tensor], object],
        bar: float,
    ) -> Contest:
        return Contest(
            f"features, {what}", lambda: [theirs(scene) for scene in scenes[:n]], n,
            lambda: ours(images), BATCH, bar, repeats=3,
        )  # fmt: skip

    return [
        contest("2880 filters", lambda scene: _features(sides, scene), 5, sides.retina, 12),
        contest("POLO 768", sides.their_polo.features, 40, sides.polo, 15),
        contest("POLO 2560", sides.their_dual.features, 10, sides.dual, 15),
    ]


def retinas() -> list[Contest]:
    """Compare the building of the retina of 2880 filters."""
    return [
        Contest("retina, bank and kernels", published_retina, 1, fresh_retina, 1, 10, 3, False),
        Contest(
            "retina, bank and kernels with both inverses",
            lambda: published_retina(inverses=True), 1,
            lambda: fresh_retina(inverses=True), 1,
            None, 1, False,
        ),
    ]  # fmt: skip


def accuracy_map(only: str) -> list[tuple[str, bool]]:
    """Measure some cells of an accuracy map, each with many and with fewer digits."""
    name = f"map, {MAP_SIDE}×{MAP_SIDE} offsets × {MAP_DIGITS} digits"
    if only not in name:
        return []
    what = WhatNet().eval()
    digits = load_mnist("test")
    fewer = digits.subset(np.arange(0, len(digits.labels), MAP_DIGITS // FEWER_DIGITS))

    def cell(shown: Digits, down: int, right: int) -> Work:
        def work() -> float:
            batch = noisy_digits(
                shown.images, shown.labels, shown.index, seed=(0, down + 27, right + 27),
                split="test", config=PRESETS[28], i_offset=down, j_offset=right,
            )  # fmt: skip
            calls = torch.cat([what(part).argmax(1) for part in batch.image.split(BATCH)])
            return float((calls == batch.metadata["label"]).float().mean())

        return work

    cell(fewer, 0, 0)()
    many, few = [], []
    for down, right in itertools.product(MAP_OFFSETS, MAP_OFFSETS):
        many.append(spent(cell(digits, down, right)))
        few.append(spent(cell(fewer, down, right)))
    minutes = Spent(*(each * MAP_SIDE**2 / 6e4 for each in median(many)))
    times = MAP_DIGITS / FEWER_DIGITS
    pairs = zip(many, few, strict=True)
    growth = median([Spent(a.cpu / b.cpu / times, a.wall / b.wall / times) for a, b in pairs])
    quick, linear = minutes.cpu <= MINUTES, growth.cpu <= LINEAR
    return [
        (row(name, "", f"{minutes} min", "", f"{MINUTES} min", "yes" if quick else "NO"), quick),
        (
            row(
                f"map, a digit among {MAP_DIGITS} beside one among {FEWER_DIGITS}",
                "", "", growth, f"at most {LINEAR}", "yes" if linear else "NO",
            ),
            linear,
        ),
    ]  # fmt: skip


def main() -> int:
    """Measure everything and print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--only", default="", help="measure the lines whose name holds this")
    only = parser.parse_args().only
    torch.set_num_threads(1)
    missed = 0
    with torch.inference_mode():
        sides = build()
        check_same(sides)
        root = os.environ.get("ATTNSCI_DATA")
        if root:
            check_reference(sides, Path(root))
        else:
            print("ATTNSCI_DATA is not set: no arrays of the published code.", file=sys.stderr)
        print(row("what", "reference, ms", "ours, ms", "ratio", "bar", "met"))
        print(f"|{'---|' * 6}", flush=True)
        for contest in [*stimuli(sides.digits), *features(sides), *retinas()]:
            if only in contest.what:
                line, met = measure(contest)
                missed += not met
                print(line, flush=True)
        for line, met in accuracy_map(only):
            missed += not met
            print(line, flush=True)
    return min(missed, 1)


if __name__ == "__main__":
    sys.exit(main())
