"""Pictures of scenes, of what transformers look at, and of what retinas leave."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch

from attnsci.data.digits import Digits
from attnsci.data.noisy_scenes import noisy_digits
from attnsci.families.what_where.published import CONTRASTS
from attnsci.families.what_where.transformer import SpatialTransformer
from attnsci.sensors.log_polar_retina import LogPolarRetina
from attnsci.sensors.polo import POLO_85_INNER, POLO_85_OUTER, PoloRetina
from attnsci.sensors.whitening import WhiteningConfig

_EXAMPLES, _TRANSFORMS = 21, 22
FAR_PX = 40


def examples(digits: Digits, seed: int) -> tuple[dict[str, list[np.ndarray]], list[str]]:
    """Return scenes by kind, and titles of the columns: contrasts, two places each."""
    kinds: dict[int, tuple[dict[str, Any], dict[str, Any]]] = {
        28: ({"i_offset": 0, "j_offset": 0}, {"i_offset": -4, "j_offset": 7}),
        128: ({"radius": 0.0}, {"radius": 30.0}),
    }
    shown: dict[str, list[np.ndarray]] = {}
    for size, places in kinds.items():
        for noise in (0.75, 1.0):
            scenes = []
            for contrast in CONTRASTS:
                for k, place in enumerate(places):
                    one = digits.subset([k])
                    scene = noisy_digits(
                        one.images, one.labels, one.index, size, seed=(seed, _EXAMPLES),
                        split=one.split, contrast=contrast, noise=noise, **place,
                    )  # fmt: skip
                    scenes.append(scene.image[0, 0].numpy())
            shown[f"{size} px, noise {noise:g}"] = scenes
    return shown, [f"contrast {c:.0%}, {where}" for c in CONTRASTS for where in ("central", "off")]


@torch.no_grad()
def transforms(
    models: Mapping[str, SpatialTransformer], digits: Digits, seed: int
) -> dict[str, list[dict[str, Any]]]:
    """Return what each network looks at: near and far digits, and falling contrast.

    Parameters
    ----------
    models : mapping of str to SpatialTransformer
        Of one size of image; the same scenes for all.
    digits : Digits
    seed : int

    Returns
    -------
    dict of str to list of dict
        See `attnsci.families.what_where.figures.draw_transforms`.
    """
    size = next(iter(models.values())).config.image_px
    scenes = _shown(digits, size, seed)
    galleries: dict[str, list[dict[str, Any]]] = {}
    for name, model in models.items():
        device = next(model.parameters()).device
        rows = []
        for title, shown in scenes:
            done = model.rollout(shown.image.to(device))
            matrix = model.sampler.matrices(done.parameters)[0].cpu()
            rows.append(
                {
                    "scene": shown.image[0, 0].numpy(),
                    "seen": done.seen[0, 0].cpu().numpy(),
                    "outline": outline(matrix, size),
                    "answer": int(done.logits.argmax()),
                    "label": int(shown.metadata["label"]),
                    "title": title,
                }
            )
        galleries[name] = rows
    return galleries


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


def _shown(digits: Digits, size: int, seed: int) -> list[tuple[str, Any]]:
    """Return titled scenes of one digit each."""
    far: Sequence[dict[str, Any]]
    if size == 128:
        far = [
            {"radius": float(r), "contrast": c}
            for r, c in ((9, 0.7), (22, 0.7), (FAR_PX, 0.7), (FAR_PX, 0.5), (FAR_PX, 0.3))
        ]
        titles = [f"{int(s['radius'])} px, contrast {s['contrast']:.0%}" for s in far]
    else:
        far = [
            {"i_offset": 0, "j_offset": j, "contrast": c}
            for j, c in ((0, 0.7), (5, 0.7), (10, 0.7), (10, 0.5), (10, 0.3))
        ]
        titles = [f"{s['j_offset']} px, contrast {s['contrast']:.0%}" for s in far]
    rows = np.linspace(0, len(digits) - 1, len(far)).round().astype(int)
    found = []
    for k, (row, settings) in enumerate(zip(rows, far, strict=True)):
        one = digits.subset([row])
        found.append(
            noisy_digits(
                one.images, one.labels, one.index, size, seed=(seed, _TRANSFORMS, k + 1),
                split=one.split, **settings,
            )
        )  # fmt: skip
    return list(zip(titles, found, strict=True))


@torch.no_grad()
def sensors(digits: Digits, seed: int) -> dict[str, np.ndarray]:
    """Return one scene, and what is left of it in the features of three retinas."""
    one = digits.subset([len(digits) // 2])
    scene = noisy_digits(
        one.images, one.labels, one.index, 128, seed=(seed, _EXAMPLES), split=one.split, radius=20.0
    ).image
    narrow, wide = PoloRetina(), PoloRetina(POLO_85_OUTER)
    inner = PoloRetina(POLO_85_INNER)
    eye = LogPolarRetina(whitening=WhiteningConfig())
    features = narrow(scene)
    return {
        "scene, 128×128": scene[0, 0].numpy(),
        "POLO-95, 768 features:\n16 azimuths × (8 orientations × 6 rings)": _z_scores(features[0]),
        "back from POLO-95": narrow.inverse(features)[0, 0].clamp(0, 1).numpy(),
        "back from POLO-85\n(wide + narrow part)": _joined(inner, wide, scene),
        "back from the log-polar retina,\n2880 features, whitened": _grey(
            eye.inverse(eye(scene))[0, 0]
        ),
    }


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
