"""What a model saw, glimpse by glimpse: strips, animations and a page that replays them."""

from pathlib import Path

import numpy as np
import xarray as xr

from attnsci.data.ram_scenes import ClutteredScenes
from attnsci.experiments.answers import glimpses
from attnsci.families.ram.config import RAMConfig
from attnsci.families.ram.looks import scanpaths_of
from attnsci.plotting.glimpses import plot_glimpses, write_glimpse_animation
from attnsci.plotting.player import write_player
from attnsci.plotting.save import save_figure
from attnsci.plotting.style import style


def write_pictures(
    responses: xr.Dataset,
    scenes: ClutteredScenes,
    config: RAMConfig,
    n: int,
    out: Path,
    model: str,
) -> list[Path]:
    """Draw the first look at `n` scenes, spread over those shown: strips, animations, a page.

    Parameters
    ----------
    responses : xarray.Dataset
        Of `collect`, asked by `Looks` with its state.
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
    first = responses.isel(stimulus=np.flatnonzero(responses["sample"] == 0))
    rows = np.linspace(0, first.sizes["stimulus"] - 1, n).round().astype(int)
    looks = first.isel(stimulus=rows)
    counted = glimpses(looks).assign_coords({"class": np.arange(config.n_classes)})
    counted = counted.assign(
        probability=probabilities(counted["logits"]), seen=_seen(counted["seen"], config)
    )
    images = scenes[looks["index"].values].image[:, 0].cpu().numpy()
    widths = [config.glimpse_px * config.factor**scale for scale in range(config.n_scales)]
    written, pictures = [], {}
    for number, image in enumerate(images):
        scene = counted.isel(stimulus=number)
        name = str(int(scene["index"]))
        path = out / "glimpses" / f"scene-{name}"
        with style():
            written += save_figure(plot_glimpses(image, scene, widths), path)
            written.append(write_glimpse_animation(image, scene, widths, path.with_suffix(".gif")))
        pictures[name] = (image * 255).round().astype(np.uint8)
    paths = scanpaths_of(looks, model, float(images.shape[-1]))
    paths["probability"] = (
        ("scanpath", "fixation", "class"), counted["probability"].to_numpy().astype(float)
    )  # fmt: skip
    paths = paths.assign_coords(label=("scanpath", looks["label"].values))
    page = write_player(
        paths, pictures, out / "player.html", title=f"Glimpses of {model}", boxes_px=widths
    )
    return [*written, page]


def _seen(inputs: xr.DataArray, config: RAMConfig) -> xr.DataArray:
    """Return what the retina handed on, as pictures in [0, 1]."""
    pixels = inputs.to_numpy() * config.pixel_std + config.pixel_mean
    side = config.glimpse_px
    pictures = pixels.reshape(*pixels.shape[:2], config.n_scales, side, side).clip(0, 1)
    return xr.DataArray(pictures, dims=("stimulus", "glimpse", "scale", "row", "column"))


def probabilities(logits: xr.DataArray) -> xr.DataArray:
    """Return the softmax of `logits` along ``class``."""
    from scipy.special import softmax

    shares: xr.DataArray = xr.apply_ufunc(
        softmax, logits, input_core_dims=[["class"]], output_core_dims=[["class"]],
        kwargs={"axis": -1},
    )  # fmt: skip
    return shares.transpose(*logits.dims)
