"""What ``attnsci compare`` and ``attnsci scanpath`` do: read, compare, draw, write."""

import dataclasses
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import scipy.stats
import xarray as xr

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

if TYPE_CHECKING:
    from attnsci.commands.gaze import Compare, FileOptions

PICTURE_SUFFIXES = ("", ".jpg", ".jpeg", ".png", ".bmp", ".tif")
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


def run_comparison(asked: "Compare") -> Path:
    """Compare as the command asks, write everything below its ``out`` and return results.md."""
    model, human = _read(asked)
    protocol = PROTOCOLS[asked.protocol]
    model, human = (_prepared(each, asked, protocol.frame) for each in (model, human))
    chosen = asked.metrics or (None if asked.protocol == "headline" else protocol.metrics)
    result = compare(
        model, human, chosen, seed=asked.seed,
        n_permutations=asked.n_permutations, n_bootstrap=asked.n_bootstrap,
    )  # fmt: skip
    facts = provenance(
        model=str(asked.model or "none"),
        human=str(asked.dataset or asked.human),
        settings=json.loads(to_json(asked)),
        seed=asked.seed,
        steps=human.attrs.get("steps", "[]"),
        licence=human.attrs.get("licence", "unknown"),
        citation=human.attrs.get("citation", "unknown"),
    )
    table = comparison_table(result)
    save_table(table.reset_index(), asked.out / "comparison.csv")
    save_table(_by_image(result), asked.out / "scores_by_image.csv")
    save_dataset(result, asked.out / "comparison.zarr", facts)
    _draw(result, model, human, asked.out)
    target = asked.out / "results.md"
    with atomic_path(target) as temporary:
        temporary.write_text(_page(result, table, human, asked), encoding="utf-8")
    return target


def _read(asked: "Compare") -> tuple["xr.Dataset | None", "xr.Dataset"]:
    """Return the model's scanpaths, if any, and the people's."""
    paths = [path for path in (asked.model, asked.human) if path is not None]
    if asked.baseline_only:
        if len(paths) + (asked.dataset is not None) != 1:
            raise InvalidInput("--baseline-only takes one file of people, or --dataset.")
        return None, _people(asked.dataset, asked.split, asked.files, paths)
    if len(paths) + (asked.dataset is not None) != 2:
        raise InvalidInput(
            "Give the model's file and the people's: attnsci compare MODEL.csv HUMAN.csv "
            "--image-size 800x600; or MODEL.csv --dataset osie; or --dataset osie "
            "--baseline-only."
        )
    human = _people(asked.dataset, asked.split, asked.files, paths[1:])
    options = asked.files
    if asked.dataset is not None and options.image_size is None:
        frame = viewing_of(human)
        size = f"{frame.width_px:g}x{frame.height_px:g}"
        options = dataclasses.replace(options, image_size=size, px_per_deg=frame.px_per_deg)
    return options.read(paths[0]), human


def _people(
    dataset: str | None, split: str, files: "FileOptions", paths: Sequence[Path]
) -> "xr.Dataset":
    if split != "all" and dataset != "osie":
        raise InvalidInput(f"--split {split} is of --dataset osie.")
    if dataset is None:
        return files.read(paths[0])
    from attnsci.data import load_eyecrowd, load_osie

    return (
        load_osie(split=None if split == "all" else split) if dataset == "osie" else load_eyecrowd()
    )


def _prepared(
    scanpaths: "xr.Dataset | None", asked: "Compare", frame: tuple[float, float] | None
) -> Any:
    if scanpaths is None:
        return None
    if asked.outside != "keep":
        scanpaths, _ = keep_inside(scanpaths, asked.outside)
    if asked.max_fixations is not None or asked.drop_first:
        scanpaths = crop(scanpaths, asked.max_fixations, asked.drop_first)
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


def _page(result: "xr.Dataset", table: pd.DataFrame, human: "xr.Dataset", asked: "Compare") -> str:
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
    title = f"{asked.model} and people" if with_model else "People: ceiling and baselines"
    return "\n".join(
        [
            f"# {title}",
            "",
            f"People: {asked.dataset or asked.human or asked.model}, "
            f"{result.sizes['image']} images compared, {result.sizes['observer']} observers, "
            f"{human.sizes['scanpath']} scanpaths of {lengths.min()} to {lengths.max()} fixations "
            f"(mean {lengths.mean():.2f}). Frame {viewing.width_px:g}×{viewing.height_px:g} px, "
            f"{viewing.px_per_deg or 'unknown'} px a degree. Protocol {asked.protocol}, seed "
            f"{asked.seed}, {asked.n_bootstrap} resamples, {asked.n_permutations} sign flips.",
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


# --- looking -------------------------------------------------------------------------------------


def chosen_scanpaths(
    file: Path | None,
    dataset: str | None,
    files: "FileOptions",
    images: Sequence[str],
    observers: Sequence[str],
) -> "xr.Dataset":
    """Return the scanpaths that a command asks for."""
    if (file is None) == (dataset is None):
        raise InvalidInput("Give a file of scanpaths, or --dataset.")
    scanpaths = _people(dataset, "all", files, [file] if file else [])
    wanted = {"image": list(images), "observer": list(observers)}
    return select(scanpaths, **{name: each for name, each in wanted.items() if each})


def pictures_of(
    scanpaths: "xr.Dataset", folder: Path | None, dataset: str | None
) -> dict[str, Path] | None:
    """Return the picture of every image, None without a folder.

    Raises
    ------
    InvalidInput
        If the folder lacks one.
    """
    names = sorted(set(scanpaths["image"].to_numpy().tolist()))
    if folder is None and dataset == "osie":
        from attnsci.data.gaze import osie_stimulus_paths

        known = osie_stimulus_paths()
        missing = [name for name in names if name not in known]
        if missing:
            raise InvalidInput(
                f"The picture of {missing[0]!r} is not at hand ({len(known)} are). Choose others "
                "by --image, or give a folder by --images."
            )
        return {name: known[name] for name in names}
    if folder is None:
        return None
    found = {}
    for name in names:
        places = [folder / f"{name}{suffix}" for suffix in PICTURE_SUFFIXES]
        there = [place for place in places if place.is_file()]
        if not there:
            raise InvalidInput(
                f"{folder} has no picture {name} ({', '.join(PICTURE_SUFFIXES[1:])})."
            )
        found[name] = there[0]
    return found


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
