"""What ``attnsci scanpath generate`` does: one image at a time, each result kept at once."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import torch
import xarray as xr
from PIL import Image
from tqdm import tqdm

from attnsci.data.images import Photograph, image_paths, read_image
from attnsci.devices import pick_device
from attnsci.errors import InvalidInput
from attnsci.families.neva.config import NeVAConfig
from attnsci.families.neva.network import NeVA
from attnsci.families.neva.stimuli import fovea_for
from attnsci.families.neva.tasks import BlurEnergy, Classification, Embedding, Reconstruction
from attnsci.files import atomic_path, claim, recover
from attnsci.gaze import from_frame, to_frame
from attnsci.geometry import Viewing
from attnsci.models.looking.chance import CentreLooker, UniformLooker
from attnsci.models.looking.winner_take_all import WinnerTakeAll
from attnsci.papers.output import save_table
from attnsci.plotting.save import save_figure
from attnsci.provenance import provenance, to_json
from attnsci.scanpaths.edit import rescale
from attnsci.sensors.foveation import FoveatedView

if TYPE_CHECKING:
    from attnsci.families.neva.commands import ScanpathGenerate

PAGE_IMAGES = 50
DENOISER_SIDE = 48
"""The denoiser sees images at this side at most: it costs as much as all else together."""
FRAME_MS = 600


def run_generate(asked: "ScanpathGenerate") -> tuple[Path, int]:
    """Look at every image; return the table of all scanpaths and how many images there are."""
    with claim(asked.out):
        return _generate(asked)


def _generate(asked: "ScanpathGenerate") -> tuple[Path, int]:
    files = image_paths(asked.images)
    _check_settings(asked)
    look = _looker(asked)
    parts = []
    for file in tqdm(files, unit="image", disable=None, leave=False):
        kept = asked.out / "by_image" / f"{file.name}.csv"
        recover(kept)
        if not kept.exists():
            photograph = read_image(file)
            frame = look_at(photograph, look, asked)
            save_table(frame, kept)  # last, so that a killed run does this image again
        parts.append(pd.read_csv(kept, dtype={"image": str, "observer": str}))
    table = pd.concat(parts, ignore_index=True)
    written = save_table(table, asked.out / "scanpaths.csv")
    if len(files) <= PAGE_IMAGES:
        _write_page(table, files, asked)
    return written, len(files)


def _check_settings(asked: "ScanpathGenerate") -> None:
    """Keep the settings beside the results; refuse to mix them with others'."""
    plain = json.loads(to_json(asked))
    own = {k: v for k, v in plain.items() if k not in ("images", "out", "device")}
    target = asked.out / "settings.json"
    recover(target)
    if target.exists():
        stored = json.loads(target.read_text(encoding="utf-8"))["settings"]
        differing = sorted(name for name in own if stored.get(name) != own[name])
        if differing:
            raise InvalidInput(
                f"{asked.out} holds scanpaths made with another {', '.join(differing)}: give "
                "another --out, or delete it."
            )
        return
    with atomic_path(target) as temporary:
        facts = json.dumps({"settings": own, **provenance(seed=asked.seed)}, indent=1)
        temporary.write_text(facts, encoding="utf-8")


def _looker(asked: "ScanpathGenerate") -> Any:
    """Return the object that looks."""
    if asked.weights is not None and asked.model != "policy":
        raise InvalidInput("--weights is of --model policy.")
    if (asked.task == "word") != (asked.word is not None):
        raise InvalidInput("--task word and --word go together.")
    simple: dict[str, Any] = {
        "itti-koch": lambda: WinnerTakeAll("itti-koch"),
        "spectral-residual": lambda: WinnerTakeAll("spectral residual"),
        "centre": CentreLooker,
        "random": UniformLooker,
    }
    if asked.model in simple:
        return simple[asked.model]()
    device = pick_device(asked.device)
    fovea = fovea_for(asked.side, asked.retention)
    if asked.model == "policy":
        from attnsci.families.neva.policy import LearnedGaze, NeVAPolicy
        from attnsci.families.zoo import load_model

        policy = load_model(asked.weights or "neva-policy-classification").model
        if not isinstance(policy, NeVAPolicy):
            raise InvalidInput(f"{asked.weights} holds a {type(policy).__name__}, no NeVAPolicy.")
        return LearnedGaze(policy.to(device), fovea)
    config = NeVAConfig(discount=asked.discount)
    if asked.task == "blur-energy":
        return NeVA(BlurEnergy(), fovea, config, search="oracle")
    if asked.task == "reconstruction":
        from attnsci.families.zoo import load_model

        side = min(asked.side, DENOISER_SIDE)
        denoiser = load_model("dncnn-foveated").model.to(device)
        return NeVA(Reconstruction(denoiser), fovea_for(side, asked.retention), config)
    from attnsci.families.neva.efficientnet_lite import load_efficientnet_lite
    from attnsci.families.neva.folding import folded

    network = load_efficientnet_lite("lite0")
    if asked.task == "word":
        from attnsci.families.neva.words import word_encoder, word_target

        assert asked.word is not None
        target = word_target(network, asked.word).embedding.to(device)
        return NeVA(Embedding(word_encoder(network).to(device), target), fovea, config)
    return NeVA(Classification(folded(network).to(device)), fovea, config)


def look_at(photograph: Photograph, look: Any, asked: "ScanpathGenerate") -> pd.DataFrame:
    """Look at one photograph; draw it, and return the scanpath in its own pixels."""
    side = asked.side
    if asked.model == "neva" and asked.task == "reconstruction":
        side = min(side, DENOISER_SIDE)
    image = _at_side(photograph.rgb, side).to(pick_device(asked.device))
    height, width = photograph.image.shape[:2]
    with torch.no_grad():
        found = look.look(image, asked.fixations, image=[photograph.name], seed=asked.seed)
    found = rescale(found[["x", "y", "duration"]], width, height)
    _draw(photograph, found, asked)
    if asked.animate:
        _animate(photograph, found, asked)
    return to_frame(found).assign(width_px=width, height_px=height).drop(columns="duration")


def _at_side(pixels: np.ndarray, side: int) -> torch.Tensor:
    """Return an image (1, 3, H, W) with its shorter side at `side`, the whole of it."""
    height, width = pixels.shape[:2]
    scale = side / min(height, width)
    size = max(round(width * scale), side), max(round(height * scale), side)
    small = Image.fromarray(pixels).resize(size, Image.Resampling.BICUBIC)
    return torch.from_numpy(np.asarray(small, np.float32).transpose(2, 0, 1) / 255)[None]


def _draw(photograph: Photograph, found: xr.Dataset, asked: "ScanpathGenerate") -> None:
    from attnsci.plotting.scanpaths import plot_scanpath
    from attnsci.plotting.style import figure, style

    with style():
        height, width = photograph.image.shape[:2]
        drawn = figure(120, 25 + 120 * height / width)
        plot_scanpath(found, photograph.rgb, ax=drawn.add_subplot())
        save_figure(drawn, asked.out / "pictures" / photograph.name)


def _animate(photograph: Photograph, found: xr.Dataset, asked: "ScanpathGenerate") -> None:
    """Write what is seen, fixation after fixation, as a GIF."""
    image = _at_side(photograph.rgb, asked.side)
    view = FoveatedView(image, fovea_for(asked.side, asked.retention))
    small = rescale(found, image.shape[-1], image.shape[-2])
    xy = torch.tensor(np.stack([small["x"].to_numpy(), small["y"].to_numpy()], -1)).float()
    memory, frames = view.blank(), []
    for t in range(xy.shape[1]):
        memory = view.add(view.keep(memory), view.mask(xy[:, t]))
        seen = view.perceive(memory)[0].clamp(0, 1).mul(255).byte().numpy().transpose(1, 2, 0)
        frames.append(Image.fromarray(seen))
    target = asked.out / "animations" / f"{photograph.name}.gif"
    with atomic_path(target) as temporary:
        frames[0].save(
            temporary, "GIF", save_all=True, append_images=frames[1:], duration=FRAME_MS, loop=0
        )


def _write_page(table: pd.DataFrame, files: list[Path], asked: "ScanpathGenerate") -> None:
    """Write the page that replays all scanpaths."""
    from attnsci.plotting.player import write_player

    sizes = table.groupby("image", sort=False)[["width_px", "height_px"]].first()
    viewing = Viewing(float(sizes["width_px"].max()), float(sizes["height_px"].max()))
    scanpaths = from_frame(table, viewing)
    pictures = {file.name: read_image(file).rgb for file in files}
    write_player(scanpaths, pictures, asked.out / "player.html", title="Scanpaths")
