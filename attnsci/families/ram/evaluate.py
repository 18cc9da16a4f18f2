"""What ``attnsci evaluate ram`` does: errors with intervals, and pictures of what was seen."""

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import xarray as xr

from attnsci.analysis.glimpses import right
from attnsci.data.exposure import UNSEEN, exposure, warn_of_exposure
from attnsci.data.ram_scenes import ClutteredScenes
from attnsci.devices import pick_device
from attnsci.errors import InvalidInput
from attnsci.families.ram.config import RAMConfig
from attnsci.families.ram.measure import scanpaths_of, show
from attnsci.families.ram.networks import load_network, scenes_for
from attnsci.papers.output import save_table
from attnsci.plotting.glimpses import plot_glimpses, write_glimpse_animation
from attnsci.plotting.player import write_player
from attnsci.plotting.save import save_figure
from attnsci.plotting.style import style
from attnsci.provenance import state_hash
from attnsci.recording.datasets import save_dataset
from attnsci.statistics.estimates import Estimate, bootstrap
from attnsci.statistics.significance import wilson

if TYPE_CHECKING:
    from attnsci.families.ram.commands import Evaluate


def run_evaluate(asked: "Evaluate") -> str:
    """Evaluate as the command asks; return what to tell the user."""
    device = pick_device(asked.device)
    network = load_network(asked.model)
    scenes = scenes_for(
        network, asked.model, task=asked.task, source=asked.source, split=asked.split,
        seed=asked.seed, device=device,
    )  # fmt: skip
    n = len(scenes) if asked.n is None else asked.n
    if n > len(scenes):
        raise InvalidInput(
            f"n is {n}, but the {asked.source} {asked.split} digits make {len(scenes)} scenes, one "
            "for each. Choose a smaller --n or another --source."
        )
    digits = exposure(network.record, asked.source, asked.split)
    if digits != UNSEEN:
        warn_of_exposure(digits, asked.model, asked.source, asked.split)
    shown = show(
        network.model.to(device), scenes, n, policy=asked.policy, n_samples=asked.n_samples,
        n_glimpses=asked.n_glimpses, state=asked.pictures > 0, seed=asked.seed,
        progress="scenes",
    )  # fmt: skip
    table = error_table(shown, seed=asked.seed)
    lines = [
        f"{asked.model}: {n} scenes of {asked.source} {asked.split} digits ({digits}), policy "
        f"{asked.policy}, {asked.n_samples} look(s) at each. Error in %, 95 % intervals.",
        "",
        table.to_string(index=False, float_format=lambda value: f"{value:.2f}"),
    ]
    if network.model.config.readout == "last":
        lines += ["", "Only the readout after the last glimpse was trained."]
    if asked.out is not None:
        facts = {
            "weights": asked.model,
            "weights_hash": state_hash(network.model.state_dict()),
            "trained": network.record,
            "stimuli": scenes.provenance(),
            "policy": asked.policy,
            "digits": digits,
            "seed": asked.seed,
        }
        written = [
            save_table(table, asked.out / "error.csv"),
            save_dataset(
                shown.drop_vars(["hidden", "seen"], errors="ignore"),
                asked.out / "glimpses.zarr",
                facts,
            ),
            *write_pictures(
                shown, scenes, network.model.config, asked.pictures, asked.out, asked.model
            ),
        ]
        lines += ["", *map(str, written)]
    return "\n".join(lines)


def error_table(shown: xr.Dataset, seed: int = 0) -> pd.DataFrame:
    """Return the error after each glimpse, in per cent, with its interval over scenes.

    Parameters
    ----------
    shown : xarray.Dataset
        Of `show`. With several looks at a scene a row more, "all looks": of their mean
        probability.
    seed : int
        Of the bootstrap, needed where scenes were looked at several times.

    Returns
    -------
    pandas.DataFrame
        Columns glimpse, error, low, high, n (scenes).
    """
    answers = right(shown["logits"], shown["label"])
    if _looks(shown) > 1:
        answers = answers.groupby("scene").mean()
    rows: list[tuple[str, Estimate]] = []
    for glimpse, each in zip(
        shown["glimpse"].values, answers.transpose("glimpse", ...), strict=True
    ):
        sample = each.to_numpy().astype(float)
        found = (
            wilson(int(sample.sum()), len(sample)) if _looks(shown) == 1
            else bootstrap(sample, seed=seed)
        )  # fmt: skip
        rows.append((str(glimpse), found))
    if _looks(shown) > 1:
        mean = probabilities(shown["logits"].isel(glimpse=-1)).groupby("scene").mean()
        label = shown["label"].groupby("scene").first()
        called = (mean.argmax("class") == label).to_numpy()
        rows.append(("all looks", wilson(int(called.sum()), len(called))))
    return pd.DataFrame(
        [
            {
                "glimpse": name,
                "error": 100 * (1 - found.estimate),
                "low": 100 * (1 - found.high),
                "high": 100 * (1 - found.low),
                "n": found.n,
            }
            for name, found in rows
        ]
    )


def _looks(shown: xr.Dataset) -> int:
    return int(shown["sample"].max()) + 1


def write_pictures(
    shown: xr.Dataset,
    scenes: ClutteredScenes,
    config: RAMConfig,
    n: int,
    out: Path,
    model: str,
) -> list[Path]:
    """Draw the first look at `n` scenes, spread over those shown: strips, animations, a page.

    Parameters
    ----------
    shown : xarray.Dataset
        Of `show`, with its state.
    scenes : ClutteredScenes
        What was shown.
    config : RAMConfig
        Of the network.
    n : int
        Nothing is drawn for 0.
    out : Path
        Folder; pictures go to ``glimpses``, the page to ``player.html``.
    model : str
        Its name.

    Returns
    -------
    list of Path
    """
    if n == 0:
        return []
    first = shown.isel(stimulus=np.flatnonzero(shown["sample"] == 0))
    chosen = first.isel(stimulus=np.linspace(0, first.sizes["stimulus"] - 1, n).round().astype(int))
    chosen = chosen.assign(probability=probabilities(chosen["logits"]), seen=_seen(chosen, config))
    images = scenes[chosen["scene"].values].image[:, 0].cpu().numpy()
    widths, written, pictures = chosen.attrs["widths_px"], [], {}
    for image, (_, each) in zip(images, chosen.groupby("stimulus", squeeze=False), strict=True):
        scene = each.isel(stimulus=0)
        path = out / "glimpses" / f"scene-{int(scene['scene'])}"
        with style():
            written += save_figure(plot_glimpses(image, scene, widths), path)
            written.append(write_glimpse_animation(image, scene, widths, path.with_suffix(".gif")))
        pictures[str(int(scene["scene"]))] = (image * 255).round().astype(np.uint8)
    paths = scanpaths_of(chosen, model)
    paths["probability"] = (
        ("scanpath", "fixation", "class"), chosen["probability"].to_numpy().astype(float)
    )  # fmt: skip
    paths = paths.assign_coords(label=("scanpath", chosen["label"].values))
    page = write_player(
        paths, pictures, out / "player.html", title=f"Glimpses of {model}", boxes_px=widths
    )
    return [*written, page]


def _seen(shown: xr.Dataset, config: RAMConfig) -> xr.DataArray:
    """Return what the retina handed on, as pictures in [0, 1]."""
    pixels = shown["seen"].to_numpy() * config.pixel_std + config.pixel_mean
    side = config.glimpse_px
    pictures = pixels.reshape(*pixels.shape[:2], config.n_scales, side, side).clip(0, 1)
    return xr.DataArray(pictures, dims=("stimulus", "glimpse", "scale", "row", "column"))


def probabilities(logits: xr.DataArray) -> xr.DataArray:
    """Return the softmax of `logits` along ``class``."""
    from scipy.special import softmax

    found: xr.DataArray = xr.apply_ufunc(
        softmax, logits, input_core_dims=[["class"]], output_core_dims=[["class"]],
        kwargs={"axis": -1},
    )  # fmt: skip
    return found.transpose(*logits.dims)
