"""What ``attnsci scanpath returns`` does: inhibition of return against nine baselines."""

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import xarray as xr

from attnsci.analysis.baselines import BASELINES
from attnsci.analysis.inhibition import all_baselines
from attnsci.analysis.momentum import momentum
from attnsci.analysis.saccade_space import saccade_map
from attnsci.commands.files import FileOptions, chosen_scanpaths
from attnsci.errors import InvalidInput
from attnsci.files import atomic_path
from attnsci.gaze import viewing_of
from attnsci.papers.output import save_table
from attnsci.plotting.inhibition import plot_baselines, plot_momentum, plot_saccade_map
from attnsci.plotting.save import save_figure
from attnsci.plotting.style import figure, style
from attnsci.provenance import provenance, to_json
from attnsci.recording.datasets import save_dataset

READING = """\
Lag 1 is staying, lag 2 the return after one fixation elsewhere. The index is (observed − expected)
/ (observed + expected): below 0 there are fewer returns than the baseline expects, above 0 more.
Each baseline answers another question, so that no single one of these numbers is "inhibition of
return". Intervals resample images and observers; p is adjusted over lags (Holm), and given where
the baseline is a permutation.
"""


def measure_returns(
    file: Path | None,
    *,
    out: Path,
    dataset: str | None = None,
    observer: Sequence[str] = (),
    radius_px: float | None = None,
    lags: int = 8,
    n_permutations: int = 200,
    files: FileOptions | None = None,
    seed: int = 0,
) -> Path:
    """Measure returns in scanpaths against all baselines; return the path of ``results.md``.

    Parameters
    ----------
    file : Path, optional
        Scanpaths; or a `dataset`, "osie" or "eyecrowd".
    out : Path
        Folder for the page, the table and the figures.
    observer : sequence of str
        Whose; all by default.
    radius_px, lags, n_permutations, seed
        As for `attnsci.analysis.inhibition.all_baselines`.
    files : FileOptions, optional
        How the file is read.
    """
    scanpaths = chosen_scanpaths(file, dataset, files or FileOptions(), (), observer)
    longest = int(scanpaths["n_fixations"].max())
    compared = range(1, min(lags, longest - 1) + 1)
    parts, impossible = [], {}
    for name in BASELINES:
        try:
            parts.append(
                all_baselines(
                    scanpaths, compared, radius_px=radius_px, baselines=[name],
                    n_permutations=n_permutations, seed=seed,
                )
            )  # fmt: skip
        except InvalidInput as error:
            impossible[name] = str(error).partition(" To go on")[0]
    if not parts:
        raise InvalidInput(next(iter(impossible.values())))
    result = xr.concat(parts, "baseline", join="outer", combine_attrs="drop_conflicts")
    source = str(dataset or file)
    settings = {
        "dataset": dataset, "observer": observer, "radius_px": radius_px, "lags": lags,
        "n_permutations": n_permutations, "files": files, "seed": seed,
    }  # fmt: skip
    facts = provenance(
        scanpaths=source,
        settings=json.loads(to_json(settings)),
        seed=seed,
    )
    save_table(result.to_dataframe().reset_index(), out / "returns.csv")
    save_dataset(result, out / "returns.zarr", facts)
    with style():
        save_figure(plot_baselines(result.isel(radius=0)), out / "returns")
    if viewing_of(scanpaths).px_per_deg is not None:
        _draw_saccades(scanpaths, out, seed)
    target = out / "results.md"
    with atomic_path(target) as temporary:
        temporary.write_text(_page(result, impossible, source, seed), encoding="utf-8")
    return target


def _draw_saccades(scanpaths: xr.Dataset, out: Path, seed: int) -> None:
    """Draw the map of saccade pairs and, where there are durations, the momentum curve."""
    timed = bool(np.isfinite(scanpaths["duration"].to_numpy()).any())
    with style():
        drawn = figure(150 if timed else 90, 65)
        axes = drawn.subplots(1, 2 if timed else 1, squeeze=False)[0]
        plot_saccade_map(saccade_map(scanpaths, seed=seed), ax=axes[0])
        if timed:
            plot_momentum(momentum(scanpaths, seed=seed), ax=axes[1])
        save_figure(drawn, out / "saccades")


def _page(result: xr.Dataset, impossible: dict[str, str], source: str, seed: int) -> str:
    lags = result["lag"].values.tolist()
    head = ["baseline", "asks", *(f"lag {lag}" for lag in lags)]
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    observed = result["observed"].isel(radius=0, baseline=0)
    seen = [f"{float(observed.sel(lag=lag)):.3f}" for lag in lags]
    lines.append("| observed probability | | " + " | ".join(seen) + " |")
    for name in result["baseline"].values:
        at = result.sel(baseline=name).isel(radius=0)
        cells = [
            f"{float(cell['index']):+.2f} [{float(cell['low']):+.2f}, {float(cell['high']):+.2f}]"
            for cell in (at.sel(lag=lag) for lag in lags)
        ]
        shown = f"B{at['number'].item()} {name.replace('_', ' ')}"
        lines.append(f"| {shown} | {at['asks'].item()} | " + " | ".join(cells) + " |")
    radius = float(result["radius_px"].isel(radius=0))
    said = [f"- {name.replace('_', ' ')} cannot be made: {why}" for name, why in impossible.items()]
    return "\n".join(
        [
            f"# Returns to earlier fixations: {source}",
            "",
            f"{result.attrs['n_scanpaths']} scanpaths, {result.attrs['n_images']} images, "
            f"{result.attrs['n_viewers']} observers. Radius {radius:g} px; seed {seed}.",
            "",
            *lines,
            *(["", *said] if said else []),
            "",
            READING,
        ]
    )
