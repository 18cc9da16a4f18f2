"""What comparing all pairs of scanpaths costs, beside the packages and loops that people use.

All unordered pairs of 15 observers on 100 OSIE images, 10,500 pairs within images, in CPU time
(both sides use one thread). MultiMatch is measured against multimatch_gaze and ScanMatch
against GazeParser where they are installed; time-delay embedding and edit distance against the
references' loops, written anew here. References run on every tenth pair and are scaled, ours on
all pairs, its preparation included; each round measures both sides one after the other, and the
ratio is the median over rounds. Values must agree to 1e-9 on every pair that both define.

    pip install multimatch_gaze && pip install --no-deps GazeParser    # the peers
    export ATTNSCI_DATA=...                                  # the folder that holds gaze/osie
    python benchmarks/scanpaths.py                           # the tables, about two minutes
    python benchmarks/scanpaths.py --full                    # references on all pairs too

Ends with status 1 if a bar is missed, values disagree, or cost or memory grow with the pairs.
"""

import argparse
import dataclasses
import importlib.util
import math
import os
import statistics
import sys
import time
import tracemalloc
import warnings
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pandas as pd

from attnsci.gaze import from_frame
from attnsci.geometry import Viewing
from attnsci.scanpaths.measures.base import Paths, registered
from attnsci.scanpaths.pairs import CHUNK, Scorer, plain_paths

WIDTH, HEIGHT, OBSERVERS, IMAGES = 800, 600, 15, 100
EVERY = 10
"""The reference's share of the pairs."""
AGREEMENT = 1e-9
FLAT = 1.5
"""Cost per pair may differ by this factor between 100 and 700 images."""
BYTES_PER_PAIR = 150
"""What memory may grow by with each pair: five values and the order of the pairs."""


# --- data ----------------------------------------------------------------------------------------


def osie(root: Path) -> pd.DataFrame:
    """Return the fixations, image by image and observer by observer."""
    return pd.read_csv(root / "gaze" / "osie" / "fixations.csv.gz")


def first_images(frame: pd.DataFrame, n: int) -> Paths:
    """Return the scanpaths on the first `n` images by name."""
    names = sorted(frame["image"].unique())[:n]
    return plain_paths(from_frame(frame[frame["image"].isin(names)], Viewing(WIDTH, HEIGHT)))


def pairs_within_images(paths: Paths) -> tuple[np.ndarray, np.ndarray]:
    """Return the rows of all unordered pairs of observers of one image."""
    a, b = np.triu_indices(OBSERVERS, 1)
    start = np.arange(0, len(paths.length), OBSERVERS)[:, None]
    return (start + a).ravel(), (start + b).ravel()


# --- references ----------------------------------------------------------------------------------

Pairs = list[tuple[int, int]]


def multimatch_gaze(paths: Paths, pairs: Pairs, grouping: bool) -> list[Any]:
    """Compare by multimatch_gaze; NaN where it raises."""
    import multimatch_gaze as peer

    columns = [("start_x", float), ("start_y", float), ("duration", float)]
    records = []
    for x, y, duration, n in zip(paths.x, paths.y, paths.duration, paths.length, strict=True):
        record = np.zeros(n, columns)
        record["start_x"], record["start_y"], record["duration"] = x[:n], y[:n], duration[:n]
        records.append(record)
    found = []
    for i, j in pairs:
        try:
            found.append(
                peer.docomparison(
                    records[i], records[j], [WIDTH, HEIGHT], grouping=grouping, TDir=45.0,
                    TDur=0.3, TAmp=100.0,
                )
            )  # fmt: skip
        except (IndexError, ValueError):
            found.append([math.nan] * 5)
    return found


def gazeparser_scanmatch() -> ModuleType:
    """Return GazeParser's ScanMatch alone: the package writes into the home folder on import."""
    package = importlib.util.find_spec("GazeParser")
    assert package is not None
    assert package.submodule_search_locations is not None
    file = Path(package.submodule_search_locations[0]) / "ScanMatch.py"
    spec = importlib.util.spec_from_file_location("gazeparser_scanmatch", file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def scanmatch_gazeparser(paths: Paths, pairs: Pairs, bin_ms: int) -> list[Any]:
    """Compare by GazeParser; each scanpath's sequence is made once."""
    matcher = gazeparser_scanmatch().ScanMatch(
        Xres=WIDTH, Yres=HEIGHT, Xbin=16, Ybin=12, Threshold=3.5, TempBin=bin_ms
    )
    sequences = {}
    for row in sorted({row for pair in pairs for row in pair}):
        n = paths.length[row]
        ms = np.round(paths.duration[row, :n] * 1000, 6)
        fixations = np.column_stack([paths.x[row, :n], paths.y[row, :n], ms])
        # It numbers cells in floating point, by which NumPy indexes no longer.
        sequences[row] = matcher.fixationToSequence(fixations).astype(int)
    return [matcher.match(sequences[i], sequences[j])[0] for i, j in pairs]


def string_of(paths: Paths, row: int, grid: int) -> list[str]:
    """Return a scanpath's letters."""
    letters = []
    for x, y in zip(paths.x[row], paths.y[row], strict=True):
        if math.isnan(x):
            break
        column = min(int(max(x, 0) // (WIDTH // grid)), grid - 1)
        line = min(int(max(y, 0) // (HEIGHT // grid)), grid - 1)
        letters.append(chr(97 + column + grid * line))
    return letters


def edit_step(
    table: list[list[int]],
    i: int,
    j: int,
    a: list[str],
    b: list[str],
    row_before: int,
    column_before: int,
    transpositions: bool,
) -> None:
    """Fill one node: a letter left out, put in, replaced, or two with their places changed."""
    letter_a, letter_b = a[i - 1], b[j - 1]
    left_out = table[i - 1][j] + 1
    put_in = table[i][j - 1] + 1
    replaced = table[i - 1][j - 1] + (1 if letter_a != letter_b else 0)
    swapped = left_out + 1
    if transpositions and row_before > 0 and column_before > 0:
        between = i - row_before + j - column_before - 1
        swapped = table[row_before - 1][column_before - 1] + between
    table[i][j] = min(left_out, put_in, replaced, swapped)


def edits_in_lists(a: list[str], b: list[str], transpositions: bool) -> int:
    """Return the edit distance, node by node in nested lists, as nltk does."""
    n, m = len(a), len(b)
    table = [[0] * (m + 1) for _ in range(n + 1)]
    for i in range(n + 1):
        table[i][0] = i
    for j in range(m + 1):
        table[0][j] = j
    last_row = dict.fromkeys(a + b, 0)
    for i in range(1, n + 1):
        last_column = 0
        for j in range(1, m + 1):
            row_before, column_before = last_row[b[j - 1]], last_column
            if a[i - 1] == b[j - 1]:
                last_column = j
            edit_step(table, i, j, a, b, row_before, column_before, transpositions)
        last_row[a[i - 1]] = i
    return table[n][m]


def edit_distance_loops(paths: Paths, pairs: Pairs, grid: int, transpositions: bool) -> list[Any]:
    """Make the strings of each pair and compare them."""
    return [
        edits_in_lists(string_of(paths, i, grid), string_of(paths, j, grid), transpositions)
        for i, j in pairs
    ]


def time_delay_loops(paths: Paths, pairs: Pairs) -> list[Any]:
    """Build every window anew for every k and measure all against all."""
    side = max(WIDTH, HEIGHT)
    found = []
    for i, j in pairs:
        human, simulated = (
            np.column_stack([paths.x[row, :n], paths.y[row, :n]]) / side
            for row, n in ((i, paths.length[i]), (j, paths.length[j]))
        )
        longest = min(len(human), len(simulated))
        similarities = []
        for k in range(1, longest + 1):
            theirs = [human[s : s + k] for s in range(len(human) - k + 1)]
            ours = [simulated[s : s + k] for s in range(len(simulated) - k + 1)]
            distances = []
            for window in ours:
                norms = [np.linalg.norm(window - other) for other in theirs]
                distances.append(min(norms) / k)
            similarities.append(np.exp(-(sum(distances) / len(distances))))
        found.append(sum(similarities) / len(similarities))
    return found


# --- measuring -----------------------------------------------------------------------------------


@dataclasses.dataclass(frozen=True)
class Contest:
    """One metric in two ways."""

    what: str
    metric: str
    settings: dict[str, Any]
    reference: Callable[[Paths, Pairs], list[Any]]
    bar: float
    peer: str = ""
    """Package that the reference needs."""


def contests() -> list[Contest]:
    """Return everything that is measured."""
    grouped = {"grouping": True, "amplitude_px": 100.0}
    grid = {"n_columns": 16, "n_rows": 12}
    return [
        Contest(
            "MultiMatch", "multimatch", {},
            lambda p, q: multimatch_gaze(p, q, False), 40, "multimatch_gaze",
        ),
        Contest(
            "MultiMatch, grouped", "multimatch", grouped,
            lambda p, q: multimatch_gaze(p, q, True), 40, "multimatch_gaze",
        ),
        Contest(
            "ScanMatch 16×12", "scanmatch", grid,
            lambda p, q: scanmatch_gazeparser(p, q, 0), 30, "GazeParser",
        ),
        Contest(
            "ScanMatch 16×12, bins of 50 ms", "scanmatch", {**grid, "bin_ms": 50},
            lambda p, q: scanmatch_gazeparser(p, q, 50), 30, "GazeParser",
        ),
        Contest(
            "scaled time-delay embedding", "scaled_time_delay_embedding", {"norm": "frobenius"},
            time_delay_loops, 100,
        ),
        Contest(
            "edit distance 4×4, Damerau", "edit_distance", {"grid": 4, "algorithm": "damerau"},
            lambda p, q: edit_distance_loops(p, q, 4, True), 30,
        ),
        Contest(
            "edit distance 5×5, Levenshtein", "edit_distance", {"grid": 5},
            lambda p, q: edit_distance_loops(p, q, 5, False), 30,
        ),
    ]  # fmt: skip


def missing(contest: Contest) -> str:
    """Return why it cannot be held, or nothing."""
    if contest.metric not in registered():
        return f"no metric is called {contest.metric}"
    if contest.peer and importlib.util.find_spec(contest.peer) is None:
        return f"{contest.peer} is not installed"
    return ""


def cpu(work: Callable[[], Any]) -> tuple[float, Any]:
    """Return the CPU time in seconds, and what came out."""
    start = time.process_time()
    found = work()
    return time.process_time() - start, found


def race(frame: pd.DataFrame, rounds: int, every: int, only: str) -> int:
    """Print the table of ratios; return how many rows fail."""
    paths = first_images(frame, IMAGES)
    first, second = pairs_within_images(paths)
    some = slice(None, None, every)
    chosen = list(zip(first[some].tolist(), second[some].tolist(), strict=True))
    scale = len(first) / len(chosen)
    note = f", from {len(chosen):,} pairs" if every > 1 else ""
    print(f"{len(first):,} pairs of {len(paths.length):,} scanpaths\n")
    print("| what | reference ms | ours ms | ratio | bar | largest difference | not both | met |")
    print("|---|---|---|---|---|---|---|---|", flush=True)
    failed = 0
    for contest in contests():
        if only not in contest.what:
            continue
        if why := missing(contest):
            print(f"| {contest.what} | {why} | | | {contest.bar:g} | | | not measured |")
            continue

        def ours(contest: Contest = contest) -> np.ndarray:
            return Scorer(paths, paths, contest.metric, **contest.settings).pairs(first, second)

        def theirs(contest: Contest = contest) -> list[Any]:
            return contest.reference(paths, chosen)

        ours()
        times = []
        for _ in range(rounds):
            reference_s, expected = cpu(theirs)
            our_s, found = cpu(ours)
            times.append((reference_s * scale, our_s))
        ratio = statistics.median(a / b for a, b in times)
        reference_ms, our_ms = (statistics.median(c) * 1e3 for c in zip(*times, strict=True))
        gap = np.abs(found[some] - np.asarray(expected, float).reshape(len(chosen), -1))
        undefined = int(np.isnan(gap).any(1).sum())
        largest = float(np.nanmax(gap))
        met = ratio >= contest.bar and largest <= AGREEMENT
        failed += not met
        print(
            f"| {contest.what} | {reference_ms:.0f}{note} | {our_ms:.1f} | {ratio:.0f} | "
            f"{contest.bar:g} | {largest:.1e} | {undefined} | {'yes' if met else 'NO'} |",
            flush=True,
        )
    return failed


def growth(frame: pd.DataFrame, rounds: int, only: str) -> int:
    """Print cost per pair and memory for more and more images; return how many rows fail."""
    sets = []
    for n in (100, 300, 700):
        paths = first_images(frame, n)
        sets.append((paths, *pairs_within_images(paths)))
    numbers = [len(first) for _, first, _ in sets]
    heads = "".join(f" µs a pair, {n:,} |" for n in numbers)
    chunks = (CHUNK // 4, CHUNK)
    heads += "".join(f" MB, {n:,}, chunk {c} |" for c in chunks for n in numbers[::2])
    print(f"\n| what |{heads} flat |")
    print("|---" * (2 + len(numbers) + 2 * len(chunks)) + "|", flush=True)
    failed = 0
    for contest in contests():
        if only not in contest.what or contest.metric not in registered():
            continue
        cost = []
        for paths, first, second in sets:

            def work(
                paths: Paths = paths,
                first: np.ndarray = first,
                second: np.ndarray = second,
                contest: Contest = contest,
            ) -> np.ndarray:
                return Scorer(paths, paths, contest.metric, **contest.settings).pairs(first, second)

            cost.append(min(cpu(work)[0] for _ in range(rounds)) / len(first) * 1e6)
        peaks = []
        for chunk in chunks:
            for paths, first, second in sets[::2]:
                scorer = Scorer(paths, paths, contest.metric, **contest.settings)
                tracemalloc.start()
                scorer.pairs(first, second, chunk)
                peaks.append(tracemalloc.get_traced_memory()[1])
                tracemalloc.stop()
        more = (numbers[-1] - numbers[0]) * BYTES_PER_PAIR
        # The longest scanpaths are among the later images: a block of them is larger.
        longer = (sets[-1][0].x.shape[1] / sets[0][0].x.shape[1]) ** 2
        bounded = all(b <= a * longer + more for a, b in (peaks[:2], peaks[2:]))
        met = max(cost) / min(cost) <= FLAT and bounded
        failed += not met
        cells = " | ".join([f"{c:.2f}" for c in cost] + [f"{p / 2**20:.1f}" for p in peaks])
        print(f"| {contest.what} | {cells} | {'yes' if met else 'NO'} |", flush=True)
    return failed


def main() -> int:
    """Measure everything and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=3, help="paired rounds (default 3)")
    parser.add_argument("--full", action="store_true", help="references on all pairs")
    parser.add_argument("--only", default="", help="rows whose name holds this")
    parser.add_argument(
        "--data", type=Path, default=os.environ.get("ATTNSCI_DATA"), help="holds gaze/osie"
    )
    arguments = parser.parse_args()
    if arguments.data is None:
        parser.error("say where the data are: --data, or ATTNSCI_DATA")
    warnings.simplefilter("ignore")  # the peers'
    frame = osie(arguments.data)
    failed = race(frame, arguments.rounds, 1 if arguments.full else EVERY, arguments.only)
    failed += growth(frame, arguments.rounds, arguments.only)
    return min(failed, 1)


if __name__ == "__main__":
    sys.exit(main())
