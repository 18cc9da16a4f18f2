"""What ``attnsci compare`` does: read, compare, draw, write."""

import dataclasses
import functools
import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import scipy.stats
import xarray as xr

from attnsci.commands.files import FileOptions, read_people
from attnsci.errors import InvalidInput
from attnsci.files import atomic_path
from attnsci.gaze import viewing_of
from attnsci.papers.output import save_table
from attnsci.plotting.save import save_figure
from attnsci.provenance import provenance, to_json
from attnsci.recording.datasets import save_dataset
from attnsci.scanpaths.comparison import compare, comparison_table
from attnsci.scanpaths.edit import concat, crop, keep_inside, rescale, select
from attnsci.scanpaths.map_scores import MAP_METRICS
from attnsci.scanpaths.pairs import similarity
from attnsci.scanpaths.protocols import PROTOCOLS

PAGE_MM = 180

READING = """\
How to read it: **human** is people against other people on the same image, the ceiling;
**cross-image** is people against people on other images, what any scanpath scores on any image;
**shuffled** are people's fixations in random order; **centre** and **uniform** are chance, with
people's lengths. The normalised score is (model − cross-image) / (human − cross-image): 0 is a
path that knows nothing of the image, 1 is another person. Separation is human − cross-image in
standard deviations of a pair: a metric below 0.5 hardly sees the image, so that a high score in it
means little. Intervals resample images and observers; p comes from sign flips over images and is
adjusted over metrics (Holm). nss, auc and ig are means over a path's fixations on the density map
of the people, made without one observer at a time.
"""


def compare_files(
    model: Path | None,
    human: Path | None = None,
    *,
    out: Path,
    dataset: str | None = None,
    split: str = "all",
    baseline_only: bool = False,
    files: FileOptions | None = None,
    metrics: Sequence[str] = (),
    protocol: str = "headline",
    max_fixations: int | None = None,
    drop_first: int = 0,
    outside: str = "keep",
    seed: int = 0,
    n_permutations: int = 10_000,
    n_bootstrap: int = 2_000,
) -> Path:
    """Compare a file of a model's scanpaths with people's; return the path of ``results.md``.

    Parameters
    ----------
    model, human : path-like, optional
        Files of scanpaths.
    out : Path
        Folder for tables, figures, scores and the page.
    dataset : {"osie", "eyecrowd"}, optional
        People in place of a file.
    split : {"all", "test70"}
        Images of OSIE.
    baseline_only : bool
        No model: ceiling and baselines of the people.
    files : FileOptions, optional
        How files are read.
    metrics : sequence of str
        Those of the protocol if there are none.
    protocol : str
        A name of `attnsci.scanpaths.protocols.PROTOCOLS`.
    max_fixations, drop_first, outside
        What is left out of the scanpaths.
    seed, n_permutations, n_bootstrap
        As for `attnsci.scanpaths.comparison.compare`.
    """
    settings = {
        "dataset": dataset, "split": split, "baseline_only": baseline_only, "files": files,
        "metrics": metrics, "protocol": protocol, "max_fixations": max_fixations,
        "drop_first": drop_first, "outside": outside, "seed": seed,
        "n_permutations": n_permutations, "n_bootstrap": n_bootstrap,
    }  # fmt: skip
    paths = [path for path in (model, human) if path is not None]
    _check_sources(paths, dataset, baseline_only)
    model_gaze, people = _read(paths, dataset, split, baseline_only, files or FileOptions())
    known = PROTOCOLS[protocol]
    cut = functools.partial(
        _prepared, outside=outside, max_fixations=max_fixations, drop_first=drop_first,
        frame=known.frame,
    )  # fmt: skip
    model_gaze, people = None if model_gaze is None else cut(model_gaze), cut(people)
    chosen = metrics or (None if protocol == "headline" else known.metrics)
    scores = compare(
        model_gaze, people, chosen, seed=seed, n_permutations=n_permutations,
        n_bootstrap=n_bootstrap,
    )  # fmt: skip
    facts = provenance(
        model=str(model or "none"),
        human=str(dataset or human),
        settings=json.loads(to_json(settings)),
        seed=seed,
        steps=people.attrs.get("steps", "[]"),
        licence=people.attrs.get("licence", "unknown"),
        citation=people.attrs.get("citation", "unknown"),
    )
    table = comparison_table(scores)
    save_table(table.reset_index(), out / "comparison.csv")
    save_table(_by_image(scores), out / "scores_by_image.csv")
    save_dataset(scores, out / "comparison.zarr", facts)
    _draw(scores, model_gaze, people, out)
    title = "People: ceiling and baselines" if model_gaze is None else f"{model} and people"
    source = f"{dataset or human or model}"
    settled = (
        f"Protocol {protocol}, seed {seed}, {n_bootstrap} resamples, {n_permutations} sign flips."
    )
    target = out / "results.md"
    with atomic_path(target) as temporary:
        temporary.write_text(_page(scores, table, people, title, source, settled), encoding="utf-8")
    return target


def _check_sources(paths: Sequence[Path], dataset: str | None, baseline_only: bool) -> None:
    """Raise `InvalidInput` where there are not as many scanpaths as a comparison takes."""
    n = len(paths) + (dataset is not None)
    if baseline_only and n != 1:
        raise InvalidInput("--baseline-only takes one file of people, or --dataset.")
    if not baseline_only and n != 2:
        raise InvalidInput(
            "Give the model's file and the people's: attnsci compare MODEL.csv HUMAN.csv "
            "--image-size 800x600; or MODEL.csv --dataset osie; or --dataset osie "
            "--baseline-only."
        )


def _read(
    paths: Sequence[Path], dataset: str | None, split: str, baseline_only: bool, files: FileOptions
) -> tuple["xr.Dataset | None", "xr.Dataset"]:
    """Return the model's scanpaths, if any, and the people's."""
    human = read_people(paths[-1] if dataset is None else None, dataset, files, split)
    if baseline_only:
        return None, human
    if dataset is not None and files.image_size is None:
        frame = viewing_of(human)
        size = f"{frame.width_px:g}x{frame.height_px:g}"
        files = dataclasses.replace(files, image_size=size, px_per_deg=frame.px_per_deg)
    return files.read(paths[0]), human


def _prepared(
    scanpaths: "xr.Dataset",
    outside: str,
    max_fixations: int | None,
    drop_first: int,
    frame: tuple[float, float] | None,
) -> "xr.Dataset":
    """Return scanpaths without what is to be left out, in the protocol's frame."""
    if outside != "keep":
        scanpaths, _ = keep_inside(scanpaths, outside)
    if max_fixations is not None or drop_first:
        scanpaths = crop(scanpaths, max_fixations, drop_first)
    return scanpaths if frame is None else rescale(scanpaths, *frame)


def _by_image(result: "xr.Dataset") -> pd.DataFrame:
    columns = ["score", "best", "reached"]
    return result[columns].to_dataframe().dropna(how="all").reset_index()


def _draw(result: "xr.Dataset", model: "xr.Dataset | None", human: "xr.Dataset", out: Path) -> None:
    """Draw the comparison, and all pairs of one image in the metric that separates best."""
    from matplotlib.figure import Figure

    from attnsci.plotting.comparison import plot_comparison, plot_similarity
    from attnsci.plotting.style import figure, style

    with style():
        drawn: Figure = figure(PAGE_MM, 25 + 10 * result.sizes["metric"])
        ax = drawn.add_subplot()
        plot_comparison(result, ax=ax)
        save_figure(drawn, out / "comparison")
        name = _example(result, model)
        pairs = select(human, image=name)
        if model is not None:
            own = select(model, image=name)
            called = [f"model {number}" for number in range(1, own.sizes["scanpath"] + 1)]
            pairs = concat([pairs, own.assign_coords(observer=("scanpath", called))])
        drawn = figure(110, 100)
        plot_similarity(
            similarity(pairs, metric="scanmatch", n_columns=16, n_rows=12), ax=drawn.add_subplot()
        )
        save_figure(drawn, out / "pairs")


def _example(result: "xr.Dataset", model: "xr.Dataset | None") -> str:
    """Return the image whose score is nearest to the median, a fair example."""
    source = "human" if model is None else "model"
    ranks = scipy.stats.rankdata(result["score"].sel(source=source), axis=0).mean(1)
    return str(result["image"].values[np.abs(ranks - np.median(ranks)).argmin()])


def _page(
    result: "xr.Dataset",
    table: pd.DataFrame,
    human: "xr.Dataset",
    title: str,
    source: str,
    settled: str,
) -> str:
    viewing = viewing_of(human)
    sources = result["source"].values.tolist()
    head = ["metric", *sources]
    with_model = "model" in sources
    if with_model:
        head += ["normalised", "p, model = human", "p, model = cross-image"]
    head += ["separation", "pairs without a value"]
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    for name, row in table.iterrows():
        cells = [str(name)]
        for source in sources:
            at = result.sel(metric=name, source=source)
            value, low, high = (float(at[key]) for key in ("mean", "low", "high"))
            cells.append(f"{value:.4g} [{low:.4g}, {high:.4g}]")
        if with_model:
            cells.append(
                f"{row['normalised']:.2f} "
                f"[{row['normalised low']:.2f}, {row['normalised high']:.2f}]"
            )
            cells += [f"{row[f'p (Holm) against {o}']:.3g}" for o in ("human", "cross-image")]
        cells += [f"{row['separation']:.2f}", f"{int(row['pairs undefined'])}"]
        lines.append("| " + " | ".join(cells) + " |")
    best = ["| metric | " + " | ".join(sources) + " |", "|" + "---|" * (len(sources) + 1)]
    pairwise = [m for m in result["metric"].values if m.split()[0] not in MAP_METRICS]
    for name in pairwise:
        at = result.sel(metric=name)
        cells = [
            f"{float(at['best_mean'].sel(source=s)):.4g} / "
            f"{float(at['reached_mean'].sel(source=s)):.4g}"
            for s in sources
        ]
        best.append(f"| {name} | " + " | ".join(cells) + " |")
    lengths = human["n_fixations"].to_numpy()
    weak = json.loads(result.attrs["weak"])
    said = (
        f"\n**{', '.join(weak)}** hardly tell(s) people on one image from people on others: do "
        "not lean on it.\n"
        if weak
        else ""
    )
    return "\n".join(
        [
            f"# {title}",
            "",
            f"People: {source}, "
            f"{result.sizes['image']} images compared, {result.sizes['observer']} observers, "
            f"{human.sizes['scanpath']} scanpaths of {lengths.min()} to {lengths.max()} fixations "
            f"(mean {lengths.mean():.2f}). Frame {viewing.width_px:g}×{viewing.height_px:g} px, "
            f"{viewing.px_per_deg or 'unknown'} px a degree. {settled}",
            "",
            *lines,
            said,
            READING,
            "## The most similar observer",
            "",
            "Mean over paths of the observer each is most like, every source choosing from one "
            "observer less than there are / mean over observers of the path of the source that "
            "is most like theirs.",
            "",
            *best,
            "",
            "Figures: comparison.png (scores between cross-image and human), pairs.png (all pairs "
            "of one image). Numbers: comparison.csv, scores_by_image.csv, comparison.zarr.",
            "",
        ]
    )


def draw_image(
    scanpaths: "xr.Dataset", image: str, pictures: Mapping[str, Path] | None, out: Path
) -> list[Path]:
    """Draw all observers and the density of one image; return what was written."""
    from PIL import Image

    from attnsci.plotting.scanpaths import plot_density, plot_observers
    from attnsci.plotting.style import figure, style

    picture = None
    if pictures is not None:
        viewing = viewing_of(scanpaths)
        with Image.open(pictures[image]) as opened:
            size = (round(viewing.width_px), round(viewing.height_px))
            picture = np.asarray(opened.convert("RGB").resize(size))
    with style():
        drawn = figure(PAGE_MM, 80)
        left, right = drawn.subplots(1, 2)
        plot_observers(scanpaths, picture, ax=left)
        plot_density(scanpaths, picture, ax=right)
        return save_figure(drawn, out)
