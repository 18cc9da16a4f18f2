"""A replay of scanpaths over their images: one HTML file that needs no server and no network."""

import base64
import hashlib
import html
import importlib.resources
import io
import json
import os
import string
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from PIL import Image, UnidentifiedImageError

from attnsci.checks import check_not_empty, check_positive
from attnsci.errors import InvalidInput
from attnsci.files import atomic_path
from attnsci.geometry import Viewing
from attnsci.plotting.glimpses import check_class_order, check_label, check_probability
from attnsci.plotting.scanpaths import check_picture, frame_of, names_of
from attnsci.plotting.style import PALETTE

MAX_BYTES = 50_000_000
"""Largest file that is written; browsers open it within seconds."""
_AS_THEY_ARE = {"JPEG": "image/jpeg", "PNG": "image/png"}


def write_player(
    scanpaths: xr.Dataset,
    images: Mapping[str, Any] | None,
    path: str | os.PathLike[str],
    *,
    title: str = "Scanpaths",
    foveate: bool = False,
    boxes_px: Sequence[float] = (),
) -> Path:
    """Write an HTML page that replays scanpaths over their images.

    The page holds everything: images, scanpaths, style and script, and its content security
    policy forbids it to load anything. A slider runs over seconds if all scanpaths have
    durations, else over fixations; onsets are counted from each scanpath's first fixation, and
    where there are none fixations follow each other without a gap. Observers are switched on and
    off; the foveated view blurs the image by the eccentricity from one observer's fixation, in
    the manner of Geisler and Perry (1998). A link opens it at a moment, as in
    ``player.html#image=1001.jpg&observer=1&observer=3&t=0.5&foveate=1&follow=3``.

    What a glimpse model sees is drawn as squares about its fixation. Where the container holds
    what it answers, a panel shows the probability of each class at the present fixation of one
    observer: of the one through whose eyes the foveated view is, else of the first that is
    switched on. The answer's bar is green with a tick where it is the true class, vermilion with
    a cross where it is not, and blue where the truth is not known; the true class is named.

    Parameters
    ----------
    scanpaths : xarray.Dataset
        The container. It may have the variable ``probability`` (scanpath, fixation, class), which
        adds up to 1 over the classes, counted from 0, at each fixation; and with it the
        coordinate ``label`` on scanpath, the true class.
    images : mapping of str to array-like (H, W) or (H, W, 3), uint8, or to path, or None
        What was looked at, by the names in ``scanpaths.image``; others are left out. Files in
        JPEG and PNG are embedded as they are, arrays as PNG or JPEG, whichever is smaller.
        None: the frames are grey.
    path : path-like
        The file to write.
    title : str
        Heading of the page.
    foveate : bool
        Open with the foveated view.
    boxes_px : sequence of float
        Sides of squares about each observer's present fixation, in pixels of the frame, as
        (12, 24, 48) for a retina of three scales.

    Returns
    -------
    pathlib.Path
        `path`.

    Raises
    ------
    InvalidInput
        If an image is missing, cannot be read, or has another shape than its frame; a
        probability or a label is none, or a box has no size; or the page would exceed 50 MB.
    StorageError
        If the file cannot be written.

    Examples
    --------
    >>> import tempfile
    >>> from attnsci.gaze import from_dict
    >>> paths = from_dict({"a": {"s1": [[10, 5, 0.2], [40, 30, 0.4]]}}, Viewing(80, 60))
    >>> picture = np.zeros((60, 80, 3), np.uint8)
    >>> page = write_player(paths, {"a": picture}, Path(tempfile.mkdtemp()) / "player.html")
    >>> page.read_text(encoding="utf-8").count("data:image/png")
    1
    """
    content = player_data(scanpaths, images, foveate=foveate, boxes_px=boxes_px)
    page = _page(content, title)
    with atomic_path(path) as temporary:
        temporary.write_text(page, encoding="utf-8", newline="\n")
    return Path(path)


def player_data(
    scanpaths: xr.Dataset,
    images: Mapping[str, Any] | None,
    *,
    foveate: bool = False,
    boxes_px: Sequence[float] = (),
) -> dict[str, Any]:
    """Return what the page holds as JSON: see `write_player`.

    Coordinates are rounded to 0.001 pixel, times to 0.1 ms, probabilities to 0.000001.
    """
    check_not_empty("scanpaths", scanpaths["scanpath"])
    for side in boxes_px:
        check_positive("boxes_px", side)
    image_names, who = names_of(scanpaths)
    observers = list(dict.fromkeys(who))
    rows: dict[str, list[int]] = {}
    for row, name in enumerate(image_names):
        rows.setdefault(name, []).append(row)
    missing = [name for name in rows if images is not None and name not in images]
    if missing:
        raise InvalidInput(
            f"images lacks {missing[0]!r} ({len(missing)} of {len(rows)} images). Give them, "
            "leave their scanpaths out by attnsci.scanpaths.select, or give None for grey frames."
        )
    x, y, duration = (scanpaths[name].to_numpy() for name in ("x", "y", "duration"))
    onset = scanpaths["onset"].to_numpy() if "onset" in scanpaths else np.full_like(x, np.nan)
    lengths = scanpaths["n_fixations"].to_numpy()
    inside = np.arange(x.shape[1]) < lengths[:, None]
    seconds = not np.isnan(duration[inside]).any()
    answers = _answers(scanpaths, [f"{i!r}, {w!r}" for i, w in zip(image_names, who, strict=True)])
    shown, size, viewing = [], 0, None
    for name, mine in rows.items():
        viewing = frame_of(scanpaths.isel(scanpath=mine))
        source = None if images is None else _data_uri(name, images[name], viewing)
        size += len(source or "")
        _check_size(size)
        paths = []
        for row in mine:
            cut = row, slice(lengths[row])
            times = _times(duration[cut], onset[cut], seconds)
            place = {"x": x[cut].round(3).tolist(), "y": y[cut].round(3).tolist()}
            paths.append({"who": observers.index(who[row]), **place, **times, **answers[row]})
        shown.append(
            {
                "name": name,
                "width": viewing.width_px,
                "height": viewing.height_px,
                "src": source,
                "scanpaths": paths,
            }
        )
    return {
        "unit": "s" if seconds else "fixation",
        "px_per_deg": viewing.px_per_deg if viewing else None,
        "foveate": foveate,
        "boxes_px": [float(side) for side in boxes_px],
        "palette": list(PALETTE),
        "observers": observers,
        "images": shown,
    }


def _answers(scanpaths: xr.Dataset, names: Sequence[str]) -> list[dict[str, Any]]:
    """Return each scanpath's probabilities (fixation, class) and label, if there are any."""
    if "probability" not in scanpaths:
        return [{} for _ in names]
    given, dims = scanpaths["probability"], ("scanpath", "fixation", "class")
    if set(given.dims) != set(dims):
        raise InvalidInput(f"probability must have the dims {dims}; got {given.dims}.")
    check_class_order("probability", given)
    values = given.transpose(*dims).to_numpy().astype(float)
    labels: Sequence[Any] = [None] * len(names)
    if "label" in scanpaths:
        if scanpaths["label"].dims != ("scanpath",):
            raise InvalidInput(
                f"label must be on scanpath, the true class of each; got the dims "
                f"{scanpaths['label'].dims}."
            )
        labels = scanpaths["label"].to_numpy().tolist()
    found = []
    for row, (name, n) in enumerate(zip(names, scanpaths["n_fixations"].to_numpy(), strict=True)):
        mine = check_probability(f"probability of scanpath {name}", values[row, :n])
        label = check_label(f"label of scanpath {name}", labels[row], values.shape[2])
        found.append({"probability": mine.round(6).tolist(), "label": label})
    return found


def _times(duration: np.ndarray, onset: np.ndarray, seconds: bool) -> dict[str, list[float] | None]:
    """Return durations, and starts where the source has onsets that the slider can use."""
    timed = seconds and len(onset) > 0 and not np.isnan(onset).any()
    return {
        "duration": None if np.isnan(duration).any() else duration.round(4).tolist(),
        "start": (onset - onset[0]).round(4).tolist() if timed else None,
    }


def _data_uri(name: str, image: Any, viewing: Viewing) -> str:
    """Return an image as ``data:`` address."""
    if isinstance(image, str | os.PathLike):
        try:
            content = Path(image).read_bytes()
            with Image.open(io.BytesIO(content)) as opened:
                opened.load()
                kind, (width, height) = opened.format or "", opened.size
                if kind not in _AS_THEY_ARE:
                    kind, content = "PNG", _encoded(opened.convert("RGB"), "PNG")
        except (OSError, UnidentifiedImageError) as error:
            raise InvalidInput(f"Image {name!r} cannot be read from {image}: {error}.") from error
    else:
        array = np.asarray(image)
        if array.dtype != np.uint8 or array.ndim not in (2, 3) or array.shape[2:] not in ((), (3,)):
            raise InvalidInput(
                f"Image {name!r} must be uint8 of shape (H, W) or (H, W, 3); got {array.dtype} of "
                f"{array.shape}."
            )
        height, width = array.shape[:2]
        picture = Image.fromarray(array)
        forms = {form: _encoded(picture, form) for form in _AS_THEY_ARE}
        kind = min(forms, key=lambda form: len(forms[form]))
        content = forms[kind]
    check_picture(f"Image {name!r}", height, width, viewing)
    return f"data:{_AS_THEY_ARE[kind]};base64,{base64.b64encode(content).decode('ascii')}"


def _encoded(picture: Image.Image, form: str) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, form, **({"quality": 92} if form == "JPEG" else {}))
    return buffer.getvalue()


def _check_size(size: int) -> None:
    if size > MAX_BYTES:
        raise InvalidInput(
            f"The page would exceed {MAX_BYTES / 1e6:g} MB, too much for a browser. Choose some "
            "images: attnsci.scanpaths.select(scanpaths, image=[...]), or give smaller ones."
        )


def _page(content: Mapping[str, Any], title: str) -> str:
    """Return the HTML; its policy names style and script by their hashes and allows no others."""
    here = importlib.resources.files("attnsci.plotting")
    template, style, script = (
        (here / f"player.{kind}").read_text(encoding="utf-8") for kind in ("html", "css", "js")
    )
    text = json.dumps(content, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    parts = {
        "style_hash": _hash(style),
        "script_hash": _hash(script),
        "title": html.escape(title),
        "style": style,
        # No "<" is left that could close the element or open a comment in it.
        "data": text.replace("<", "\\u003c"),
        "script": script,
    }
    page = string.Template(template).substitute(parts)
    _check_size(len(page.encode("utf-8")))
    return page


def _hash(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode("utf-8")).digest()).decode()
