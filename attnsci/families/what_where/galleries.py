"""Pictures of scenes, of what transformers look at, and of what retinas leave, as arrays."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
import xarray as xr

from attnsci.data.digits import Digits
from attnsci.data.noisy_scenes import NoisyDigits, noisy_digits
from attnsci.data.noisy_stimuli import CONTRASTS
from attnsci.families.what_where.transformer import SpatialTransformer
from attnsci.sensors.log_polar_retina import LogPolarRetina
from attnsci.sensors.polo import POLO_85_INNER, POLO_85_OUTER, PoloRetina
from attnsci.sensors.whitening import WhiteningConfig

NOISES = (0.75, 1.0)
_EXAMPLES, _TRANSFORMS = 21, 22
_PLACES: dict[int, dict[str, dict[str, Any]]] = {
    28: {"central": {"i_offset": 0, "j_offset": 0}, "off": {"i_offset": -4, "j_offset": 7}},
    128: {"central": {"radius": 0.0}, "off": {"radius": 30.0}},
}
_VIEWS: dict[int, tuple[tuple[float, float], ...]] = {
    28: ((0, 0.7), (5, 0.7), (10, 0.7), (10, 0.5), (10, 0.3)),
    128: ((9, 0.7), (22, 0.7), (40, 0.7), (40, 0.5), (40, 0.3)),
}
"""How far off a digit is, and of what contrast, by size of the scene."""


def examples(digits: Digits, seed: int) -> xr.Dataset:
    """Return scenes of both sizes, ``scene_28`` and ``scene_128``, by noise, contrast and place."""
    stream = (seed, _EXAMPLES)
    scenes = {}
    for size, places in _PLACES.items():
        images = [
            _scene(digits, k, size, stream, contrast=contrast, noise=noise, **place).image[0, 0]
            for noise in NOISES
            for contrast in CONTRASTS
            for k, place in enumerate(places.values())
        ]
        pictures = torch.stack(images).view(len(NOISES), len(CONTRASTS), len(places), size, size)
        dims = ("noise", "contrast", "place", f"y_{size}", f"x_{size}")
        scenes[f"scene_{size}"] = (dims, pictures.numpy())
    coords = {"noise": list(NOISES), "contrast": list(CONTRASTS), "place": ["central", "off"]}
    return xr.Dataset(scenes, coords)


def _scene(digits: Digits, row: int, size: int, seed: tuple[int, ...], **how: Any) -> NoisyDigits:
    """Return the scene of one digit."""
    digit = digits.subset([row])
    return noisy_digits(
        digit.images, digit.labels, digit.index, size, seed=seed, split=digit.split, **how
    )


@torch.no_grad()
def transforms(models: Mapping[str, SpatialTransformer], digits: Digits, seed: int) -> xr.Dataset:
    """Return what each network looks at: near and far digits, and falling contrast.

    Parameters
    ----------
    models : mapping of str to SpatialTransformer
        Of one size of image; the same scenes for all.
    digits : Digits
    seed : int

    Returns
    -------
    xarray.Dataset
        By ``column``: ``scene``, its ``title`` and ``label``; by network, too, the ``answer``, the
        ``outline`` of what it sees (pixels, by ``coordinate``) and, for network k, what it sees
        there, ``seen_k``.
    """
    size = next(iter(models.values())).config.image_px
    views = _VIEWS[size]
    rows = np.linspace(0, len(digits) - 1, len(views)).round().astype(int)
    scenes = []
    for k, (row, (away, contrast)) in enumerate(zip(rows.tolist(), views, strict=True)):
        where: dict[str, Any] = {"i_offset": 0, "j_offset": int(away)}
        if size == 128:
            where = {"radius": float(away)}
        stream = (seed, _TRANSFORMS, k + 1)
        scenes.append(_scene(digits, row, size, stream, contrast=contrast, **where))
    outlines, answers, fovea = [], [], {}
    for k, model in enumerate(models.values()):
        device = next(model.parameters()).device
        rollouts = [model.rollout(scene.image.to(device)) for scene in scenes]
        matrices = [model.sampler.matrices(rollout.parameters)[0].cpu() for rollout in rollouts]
        pictures = np.stack([rollout.seen[0, 0].cpu().numpy() for rollout in rollouts])
        fovea[f"seen_{k}"] = (("column", f"v_{k}", f"u_{k}"), pictures)
        outlines.append([outline(matrix, size) for matrix in matrices])
        answers.append([int(rollout.logits.argmax()) for rollout in rollouts])
    return xr.Dataset(
        {
            "scene": (("column", "y", "x"), np.stack([s.image[0, 0].numpy() for s in scenes])),
            "outline": (("network", "column", "corner", "coordinate"), np.array(outlines)),
            "answer": (("network", "column"), np.array(answers)),
            **fovea,
        },
        {
            "network": list(models),
            "title": ("column", [f"{away} px, contrast {c:.0%}" for away, c in views]),
            "label": ("column", [int(scene.metadata["label"]) for scene in scenes]),
            "coordinate": ["x", "y"],
        },
    )


def outline(matrix: torch.Tensor, size: int) -> np.ndarray:
    """Return the closed outline (5, 2) of what a transform sees, in pixels (x, y).

    Examples
    --------
    >>> outline(torch.tensor([[0.5, 0.0, 0.0], [0.0, 0.5, 0.0]]), 128)[0].tolist()
    [32.0, 32.0]
    """
    corners = torch.tensor([[-1, -1], [1, -1], [1, 1], [-1, 1], [-1, -1]], dtype=matrix.dtype)
    places = corners @ matrix[:, :2].T + matrix[:, 2]
    return ((places + 1) * size / 2).numpy()


@torch.no_grad()
def sensors(digits: Digits, seed: int) -> xr.Dataset:
    """Return one scene, and what the features of three retinas leave of it, with titles."""
    row, stream = len(digits) // 2, (seed, _EXAMPLES)
    scene = _scene(digits, row, 128, stream, radius=20.0).image
    narrow, wide, inner = PoloRetina(), PoloRetina(POLO_85_OUTER), PoloRetina(POLO_85_INNER)
    eye = LogPolarRetina(whitening=WhiteningConfig())
    features = narrow(scene)
    views = {
        "scene, 128×128": scene[0, 0].numpy(),
        "POLO-95, 768 features:\n16 azimuths × (8 orientations × 6 rings)": _z_scores(features[0]),
        "back from POLO-95": narrow.inverse(features)[0, 0].clamp(0, 1).numpy(),
        "back from POLO-85\n(wide + narrow part)": _joined(inner, wide, scene),
        "back from the log-polar retina,\n2880 features, whitened": _grey(
            eye.inverse(eye(scene))[0, 0]
        ),
    }
    return xr.Dataset(
        {
            f"view_{k}": ((f"y_{k}", f"x_{k}"), view, {"title": title})
            for k, (title, view) in enumerate(views.items())
        }
    )


def _z_scores(features: torch.Tensor) -> np.ndarray:
    """Return features (orientation, ring, azimuth) as a picture, rings on one scale."""
    rows = features.flatten(0, 1)
    spread, mean = torch.std_mean(rows, 1, keepdim=True)
    return ((rows - mean) / spread).numpy()


def _grey(image: torch.Tensor) -> np.ndarray:
    """Return an image of any range with its mean as mid-grey and 3 deviations as the ends."""
    spread, mean = torch.std_mean(image)
    return (0.5 + (image - mean) / (6 * spread)).clamp(0, 1).numpy()


def _joined(inner: PoloRetina, outer: PoloRetina, scene: torch.Tensor) -> np.ndarray:
    """Return the wide retina's view with the narrow one's in its middle."""
    whole = outer.inverse(outer(scene))[0, 0]
    part = inner.inverse(inner(scene))[0, 0]
    side = inner.config.width
    start = (len(whole) - side) // 2
    middle = slice(start, start + side)
    whole[middle, middle] = part[middle, middle]
    return whole.clamp(0, 1).numpy()
