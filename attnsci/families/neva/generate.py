"""What ``attnsci scanpath generate`` does: one image at a time, each result kept at once."""

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
import xarray as xr
from PIL import Image
from tqdm import tqdm

from attnsci.data.images import Photograph, image_paths, read_image
from attnsci.devices import pick_device
from attnsci.errors import InvalidInput
from attnsci.families.neva.clip import load_open_clip
from attnsci.families.neva.config import Discount, NeVAConfig, Search
from attnsci.families.neva.efficientnet_lite import load_efficientnet_lite
from attnsci.families.neva.network import NeVA
from attnsci.families.neva.policy import LearnedGaze, NeVAPolicy
from attnsci.families.neva.stimuli import fovea_for
from attnsci.families.neva.task_networks import task_of
from attnsci.families.neva.tasks import BlurEnergy, Embedding, Task, networks
from attnsci.families.neva.words import word_encoder, word_target
from attnsci.families.zoo import load_model
from attnsci.files import atomic_path, recover
from attnsci.gaze import from_frame, to_frame
from attnsci.geometry import Viewing
from attnsci.models.looking.chance import CentreLooker, UniformLooker
from attnsci.models.looking.winner_take_all import WinnerTakeAll
from attnsci.papers.output import save_table
from attnsci.plotting.player import write_player
from attnsci.plotting.save import save_figure
from attnsci.plotting.scanpaths import plot_scanpath
from attnsci.plotting.style import figure, style
from attnsci.provenance import provenance, to_json
from attnsci.scanpaths.edit import rescale
from attnsci.sensors.foveation import FoveatedView

SIMPLE: dict[str, Callable[[], Any]] = {
    "itti-koch": lambda: WinnerTakeAll("itti-koch"),
    "spectral-residual": lambda: WinnerTakeAll("spectral residual"),
    "centre": CentreLooker,
    "random": UniformLooker,
}
"""Models that look without a network."""
PAGE_IMAGES = 50
DENOISER_SIDE = 48
"""The denoiser sees images at this side at most: it costs as much as all else together."""
FRAME_MS = 600


def generate(
    images: Sequence[Path],
    *,
    out: Path,
    model: str = "neva",
    task: str = "classification",
    word: str | None = None,
    caption: str | None = None,
    clip: Path | None = None,
    architecture: str = "RN50",
    discount: Discount = "commit",
    fixations: int = 10,
    side: int = 224,
    retention: float = 0.3,
    weights: Path | None = None,
    animate: bool = True,
    seed: int = 0,
    device: str = "auto",
) -> tuple[Path, int]:
    """Look at every image; return the table of all scanpaths and how many images there are.

    Parameters
    ----------
    images : sequence of Path
        Image files, or folders of them.
    out : Path
        Folder for scanpaths, pictures, animations and the page; what is there is not done again.
    model : {"neva", "policy", "itti-koch", "spectral-residual", "centre", "random"}
    task : {"classification", "reconstruction", "blur-energy", "word", "caption"}
        Of NeVA.
    word, caption : str, optional
        What is looked for with ``task="word"`` or ``task="caption"``.
    clip : Path, optional
        Weights of the open_clip model `architecture`, for a caption.
    architecture : str
    discount : {"commit", "search"}
    fixations, side : int
        Length of the scanpaths, and shorter side at which images are seen.
    retention : float
    weights : Path, optional
        Of a policy of one's own.
    animate : bool
        Write animations.
    seed : int
    device : str
    """
    files = image_paths(images)
    settings: dict[str, Any] = {
        "model": model, "task": task, "word": word, "discount": discount, "fixations": fixations,
        "side": side, "retention": retention, "weights": weights, "animate": animate, "seed": seed,
    }  # fmt: skip
    if caption is not None:
        settings |= {"caption": caption, "clip": clip, "architecture": architecture}
    if weights is not None and model != "policy":
        raise InvalidInput("--weights is of --model policy.")
    for name, given in (("word", word), ("caption", caption)):
        if (task == name) != (given is not None):
            raise InvalidInput(f"--task {name} and --{name} go together.")
    if (caption is None) != (clip is None):
        raise InvalidInput("--caption needs CLIP's weights, and --clip a caption: give both.")
    _check_settings(out, json.loads(to_json(settings)))
    where = pick_device(device)
    sight = min(side, DENOISER_SIDE) if (model, task) == ("neva", "reconstruction") else side
    fovea = fovea_for(sight, retention)
    if model in SIMPLE:
        looker: Any = SIMPLE[model]()
    elif model == "policy":
        looker = LearnedGaze(_policy(weights).to(where), fovea)
    else:
        served = _task(task, word or caption, clip, architecture, where)
        search: Search = "oracle" if task == "blur-energy" else "grid"
        looker = NeVA(served, fovea, NeVAConfig(search=search, discount=discount))
    parts = []
    for file in tqdm(files, unit="image", disable=None, leave=False):
        part = out / "by_image" / f"{file.name}.csv"
        recover(part)
        if not part.exists():
            photograph = read_image(file)
            image = _at_side(photograph.rgb, sight).to(where)
            with torch.no_grad():
                paths = looker.look(image, fixations, image=[photograph.name], seed=seed)
            height, width = photograph.image.shape[:2]
            paths = rescale(paths[["x", "y", "duration"]], width, height)
            _draw(photograph, paths, out)
            if animate:
                _animate(photograph, paths, out, side, retention)
            table = to_frame(paths).assign(width_px=width, height_px=height)
            # Last, so that a killed run does this image again.
            save_table(table.drop(columns="duration"), part)
        parts.append(pd.read_csv(part, dtype={"image": str, "observer": str}))
    whole = pd.concat(parts, ignore_index=True)
    written = save_table(whole, out / "scanpaths.csv")
    if len(files) <= PAGE_IMAGES:
        _write_page(whole, files, out)
    return written, len(files)


def _check_settings(out: Path, settings: Mapping[str, Any]) -> None:
    """Keep the settings beside the results; refuse to mix them with others'."""
    target = out / "settings.json"
    recover(target)
    if target.exists():
        stored = json.loads(target.read_text(encoding="utf-8"))["settings"]
        differing = sorted(name for name in settings if stored.get(name) != settings[name])
        if differing:
            raise InvalidInput(
                f"{out} holds scanpaths made with another {', '.join(differing)}: give "
                "another --out, or delete it."
            )
        return
    with atomic_path(target) as temporary:
        facts = json.dumps({"settings": settings, **provenance(seed=settings["seed"])}, indent=1)
        temporary.write_text(facts, encoding="utf-8")


def _policy(weights: Path | None) -> NeVAPolicy:
    policy = load_model(weights or "neva-policy-classification").model
    if not isinstance(policy, NeVAPolicy):
        raise InvalidInput(f"{weights} holds a {type(policy).__name__}, no NeVAPolicy.")
    return policy


def _task(
    name: str, aim: str | None, clip: Path | None, architecture: str, device: torch.device
) -> Task:
    """Return a task by name, its networks on a device; `aim` is a noun or a caption."""
    if clip is not None and aim is not None:
        both = load_open_clip(architecture, clip)
        both.model.to(device)
        return Embedding(both.encode_image, both.encode_text(aim)[0])
    task: Task
    if name == "blur-energy":
        task = BlurEnergy()
    elif aim is None:
        task = task_of(name)
    else:
        network = load_efficientnet_lite("lite0")
        task = Embedding(word_encoder(network), word_target(network, aim).embedding)
    for module in networks(task).values():
        module.to(device)
    return task


def _at_side(pixels: np.ndarray, side: int) -> torch.Tensor:
    """Return an image (1, 3, H, W) with its shorter side at `side`, the whole of it."""
    height, width = pixels.shape[:2]
    scale = side / min(height, width)
    size = max(round(width * scale), side), max(round(height * scale), side)
    small = Image.fromarray(pixels).resize(size, Image.Resampling.BICUBIC)
    return torch.from_numpy(np.asarray(small, np.float32).transpose(2, 0, 1) / 255)[None]


def _draw(photograph: Photograph, paths: xr.Dataset, out: Path) -> None:
    with style():
        height, width = photograph.image.shape[:2]
        drawing = figure(120, 25 + 120 * height / width)
        plot_scanpath(paths, photograph.rgb, ax=drawing.add_subplot())
        save_figure(drawing, out / "pictures" / photograph.name)


def _animate(
    photograph: Photograph, paths: xr.Dataset, out: Path, side: int, retention: float
) -> None:
    """Write what is seen, fixation after fixation, as a GIF."""
    image = _at_side(photograph.rgb, side)
    view = FoveatedView(image, fovea_for(side, retention))
    small = rescale(paths, image.shape[-1], image.shape[-2])
    xy = torch.tensor(np.stack([small["x"].to_numpy(), small["y"].to_numpy()], -1)).float()
    memory, frames = view.blank(), []
    for t in range(xy.shape[1]):
        memory = view.add(view.keep(memory), view.mask(xy[:, t]))
        seen = view.perceive(memory)[0].clamp(0, 1).mul(255).byte().numpy().transpose(1, 2, 0)
        frames.append(Image.fromarray(seen))
    target = out / "animations" / f"{photograph.name}.gif"
    with atomic_path(target) as temporary:
        frames[0].save(
            temporary, "GIF", save_all=True, append_images=frames[1:], duration=FRAME_MS, loop=0
        )


def _write_page(table: pd.DataFrame, files: list[Path], out: Path) -> None:
    """Write the page that replays all scanpaths."""
    sizes = table.groupby("image", sort=False)[["width_px", "height_px"]].first()
    viewing = Viewing(float(sizes["width_px"].max()), float(sizes["height_px"].max()))
    scanpaths = from_frame(table, viewing)
    pictures = {file.name: read_image(file).rgb for file in files}
    write_player(scanpaths, pictures, out / "player.html", title="Scanpaths")
