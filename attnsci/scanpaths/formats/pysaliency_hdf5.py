"""HDF5 files of pysaliency, both generations read and written with h5py alone.

``ScanpathFixations`` 1.0 is what its development version writes, ``FixationTrains`` 1.0 to 1.3
what its releases write (github.com/matthias-k/pysaliency). Images are there by their place in
a set of stimuli that another file holds. Times are never missing there: where a set has none,
durations are cumulated from 0, or the fixations counted. A reader cannot tell such times from
recorded ones but by computing them, so times that are exactly these are not taken as onsets.
"""

import json
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from attnsci.contents import check_inflation, parse_json
from attnsci.errors import DatasetCorrupt, InvalidInput
from attnsci.gaze import from_arrays
from attnsci.geometry import Viewing
from attnsci.scanpaths.edit import with_step
from attnsci.scanpaths.formats.base import Format, need_viewing, register, warn_left_out
from attnsci.scanpaths.formats.recording import repeats

if TYPE_CHECKING:
    import h5py
    import xarray as xr

TYPES = ("ScanpathFixations", "FixationTrains")
VERSIONS = {"ScanpathFixations": ("1.0",), "FixationTrains": ("1.0", "1.1", "1.2", "1.3")}
ALWAYS = ("xs", "ys", "n", "subject")
MOST_IMAGES = 10**6


def read_pysaliency(
    path: Path, viewing: Viewing | None = None, *, images: Sequence[Any] | None = None
) -> "xr.Dataset":
    """Return the scanpaths of a pysaliency HDF5 file of either generation.

    Parameters
    ----------
    path : Path
        File.
    viewing : Viewing
        Geometry, which the file does not hold.
    images : sequence, optional
        Names of the stimuli in the order of the set that the file counts in; without them an
        image is called by its number, from "0".

    Returns
    -------
    xarray.Dataset
        The container; ``attrs["images"]`` keeps the order of the stimuli (JSON), so that
        writing numbers them as before. ``attrs["steps"]`` says where times were computed ones.

    Raises
    ------
    DatasetCorrupt
        If something is missing, or arrays do not fit together.
    InvalidInput
        If `viewing` is missing, `images` are too few, or a value cannot be.
    """
    import h5py

    viewing = need_viewing(viewing, "A pysaliency file")
    with h5py.File(path) as file:
        _check_sizes(file, path)
        generation = _generation(file, path)
        found = _scanpath_fixations(file) if generation == TYPES[0] else _trains(file)
    return _container(found, viewing, images, path)


def write_scanpath_fixations(scanpaths: "xr.Dataset", path: Path) -> None:
    """Write pysaliency's ``ScanpathFixations`` 1.0.

    Parameters
    ----------
    scanpaths : xarray.Dataset
        The container. Images are numbered as ``attrs["images"]`` lists them, else in the order
        in which they first come; observers whose names are whole numbers are those numbers.
    path : Path
        File.

    Raises
    ------
    InvalidInput
        If ``attrs["images"]`` lacks an image of the set.

    Warns
    -----
    UserWarning
        If images get numbers in place of names, or a part of the set is not written.
    """
    import h5py

    duration, onset = _times(scanpaths)
    with h5py.File(path, "w") as file:
        _attributes(file, type="ScanpathFixations", version="1.0")
        group = file.create_group("scanpaths")
        _attributes(group, type="Scanpaths", version="1.0")
        group["xs"] = scanpaths["x"].to_numpy()
        group["ys"] = scanpaths["y"].to_numpy()
        group["n"] = _numbered(scanpaths)
        group["length"] = scanpaths["n_fixations"].to_numpy().astype(np.int64)
        names = {"subject": _whole(scanpaths["observer"].to_numpy())}
        _fill(group.create_group("scanpath_attributes"), {**names, **_optional(scanpaths)})
        mapping = {"ts": "t"}
        values = {"ts": onset}
        if duration is not None:
            mapping, values = (
                {**mapping, "durations": "duration"},
                {**values, "durations": duration},
            )
        _fill(group.create_group("fixation_attributes"), values)
        _attributes(group, attribute_mapping=json.dumps(mapping))
    warn_left_out(scanpaths, "pysaliency", {"duration", "onset", "task", "sample"})


def write_fixation_trains(scanpaths: "xr.Dataset", path: Path) -> None:
    """Write pysaliency's ``FixationTrains`` 1.2, which its releases read.

    Parameters
    ----------
    scanpaths : xarray.Dataset
        The container; images as `write_scanpath_fixations` has them.
    path : Path
        File.

    Raises
    ------
    InvalidInput
        If an observer's name is no whole number, which this generation needs, or
        ``attrs["images"]`` lacks an image of the set.

    Warns
    -----
    UserWarning
        As `write_scanpath_fixations`.
    """
    import h5py

    observers = _whole(scanpaths["observer"].to_numpy())
    if observers.dtype != np.int64:
        raise InvalidInput(
            f"FixationTrains hold observers as whole numbers; here are {observers[:5].tolist()}. "
            "Number them, or write the format 'pysaliency', which keeps names."
        )
    duration, onset = _times(scanpaths)
    with h5py.File(path, "w") as file:
        _attributes(file, type="FixationTrains", version="1.2")
        for name, values in (
            ("train_xs", scanpaths["x"].to_numpy()),
            ("train_ys", scanpaths["y"].to_numpy()),
            ("train_ts", onset),
            ("train_ns", _numbered(scanpaths)),
            ("train_subjects", observers),
        ):
            file[name] = values
        _attributes(
            file, __attributes__='["subjects", "scanpath_index"]', scanpath_attribute_mapping="{}"
        )
        _fill(file.create_group("scanpath_attributes"), _optional(scanpaths))
        known = {} if duration is None else {"durations": duration}
        _fill(file.create_group("scanpath_fixation_attributes"), known)
    warn_left_out(scanpaths, "pysaliency", {"duration", "onset", "task", "sample"})


# --- reading ----------------------------------------------------------------------------------


def _check_sizes(file: "h5py.File", path: Path) -> None:
    """Raise if arrays are larger than a file of this size can hold: HDF5 packs, and leaves out."""
    import h5py

    def check(name: str, item: Any) -> None:
        if isinstance(item, h5py.Dataset):
            check_inflation(item.nbytes, path.stat().st_size, f"{name} of {path}")

    file.visititems(check)


def _generation(file: "h5py.File", path: Path) -> str:
    kind, version = _text(file.attrs["type"]), _text(file.attrs["version"])
    if kind not in TYPES or version not in VERSIONS[kind]:
        raise DatasetCorrupt(
            f"{path} holds a {kind!r} of version {version!r}; read are ScanpathFixations 1.0 and "
            "FixationTrains 1.0 to 1.3."
        )
    return kind


def _scanpath_fixations(file: "h5py.File") -> dict[str, Any]:
    group = file["scanpaths"]
    found = {name: group[name][...] for name in ("xs", "ys", "n")}
    # One development version called it "lengths".
    found["length"] = group["length" if "length" in group else "lengths"][...]
    found |= _listed(group["scanpath_attributes"]) | _listed(group["fixation_attributes"])
    return found


def _trains(file: "h5py.File") -> dict[str, Any]:
    found = {name: file[f"train_{name}"][...] for name in ("xs", "ys", "ts")}
    found |= {"n": file["train_ns"][...], "subject": file["train_subjects"][...]}
    if "train_lengths" in file:
        found["length"] = file["train_lengths"][...]
    for name in ("scanpath_attributes", "scanpath_fixation_attributes"):
        if name in file:
            found |= _listed(file[name])
    return found


def _listed(group: "h5py.Group") -> dict[str, np.ndarray]:
    return {name: group[name][...] for name in _names(group)}


def _names(group: "h5py.Group") -> list[str]:
    names = parse_json(_text(group.attrs["__attributes__"]), f"__attributes__ of {group.name}")
    if not isinstance(names, list):
        raise DatasetCorrupt(f"__attributes__ of {group.name} is {names!r}, no list of names.")
    return names


def _container(
    found: dict[str, Any], viewing: Viewing, images: Sequence[Any] | None, path: Path
) -> "xr.Dataset":
    missing = [name for name in ALWAYS if name not in found]
    if missing:
        raise DatasetCorrupt(f"{path} lacks {', '.join(missing)}.")
    shape = found["xs"].shape
    for name in ("xs", "ys", "ts", "durations"):
        if name in found and found[name].dtype.kind not in "fiu":
            raise DatasetCorrupt(f"In {path}, {name} holds {found[name].dtype}, not numbers.")
        if name in found and (found[name].shape != shape or len(shape) != 2):
            raise DatasetCorrupt(
                f"In {path}, {name} is {found[name].shape} and xs {shape}; both must be "
                "(scanpaths, fixations)."
            )
    for name in ("n", "subject", "length", "task", "sample"):
        if name in found and found[name].shape != shape[:1]:
            raise DatasetCorrupt(f"In {path}, {name} is {found[name].shape} for {shape[0]} rows.")
    order = _order(found["n"], images, path)
    coords: dict[str, Any] = {
        name: _decoded(found[name]) for name in ("task", "sample") if name in found
    }
    coords |= repeats({"n": found["n"], "subject": found["subject"], **coords})
    scanpaths = from_arrays(
        found["xs"].astype(float),
        found["ys"].astype(float),
        found["durations"].astype(float) if "durations" in found else None,
        image=order[found["n"].astype(np.int64)].tolist(),
        observer=_decoded(found["subject"]).tolist(),
        viewing=viewing,
        n_fixations=found["length"].astype(np.int64) if "length" in found else None,
        **coords,
    ).assign_attrs(images=json.dumps(order.tolist()))
    known = {"xs", "ys", "n", "length", "subject", "subjects", "ts", "durations", *coords}
    if set(found) - known:
        scanpaths = with_step(scanpaths, f"left out {', '.join(sorted(set(found) - known))}")
    return _with_onsets(scanpaths, found["ts"].astype(float)) if "ts" in found else scanpaths


def _order(n: np.ndarray, images: Sequence[Any] | None, path: Path) -> np.ndarray:
    """Return the names of the stimuli in the order in which the file counts them."""
    top = int(n.max(initial=-1))
    if n.dtype.kind not in "iu" or n.min(initial=0) < 0 or top >= MOST_IMAGES:
        raise DatasetCorrupt(
            f"In {path}, n holds {n.min()} to {n.max()} ({n.dtype}); it must be places in a set "
            "of stimuli, from 0."
        )
    if images is None:
        return np.arange(top + 1).astype(str)
    if len(images) <= top:
        raise InvalidInput(f"{path} has image {top}, counted from 0; images= has {len(images)}.")
    order = np.array([str(name) for name in images])
    if len(np.unique(order)) < len(order):
        raise InvalidInput("images= names an image twice; every stimulus needs its own name.")
    return order


def _with_onsets(scanpaths: "xr.Dataset", ts: np.ndarray) -> "xr.Dataset":
    inside = np.arange(ts.shape[1]) < scanpaths["n_fixations"].to_numpy()[:, None]
    ts = np.where(inside, ts, np.nan)
    computed = np.where(inside, _computed(scanpaths["duration"].to_numpy()), np.nan)
    if np.allclose(ts, computed, rtol=0, atol=1e-9, equal_nan=True):
        return with_step(scanpaths, "left out ts, which are cumulated durations or a mere count")
    return scanpaths.assign(onset=(("scanpath", "fixation"), ts))


def _computed(duration: np.ndarray) -> np.ndarray:
    """Return times for fixations that have none: cumulated durations, else 0, 1, 2 …."""
    timed = ~np.isnan(duration).all(1, keepdims=True)
    known = np.nan_to_num(duration)
    # Rounded as the units are, lest .1 + .2 differ from what another library adds up.
    return np.where(timed, np.round(np.cumsum(known, 1) - known, 12), np.arange(duration.shape[1]))


def _decoded(values: np.ndarray) -> np.ndarray:
    if values.dtype.kind in "OS":
        return np.array([_text(value) for value in values])
    return values


def _text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)


# --- writing ----------------------------------------------------------------------------------


def _times(scanpaths: "xr.Dataset") -> tuple[np.ndarray | None, np.ndarray]:
    duration = scanpaths["duration"].to_numpy()
    if "onset" in scanpaths:
        onset = scanpaths["onset"].to_numpy()
    else:
        inside = np.arange(duration.shape[1]) < scanpaths["n_fixations"].to_numpy()[:, None]
        onset = np.where(inside, _computed(duration), np.nan)
    return (None if np.isnan(duration).all() else duration), onset


def _numbered(scanpaths: "xr.Dataset") -> np.ndarray:
    """Return the number of each scanpath's image in the set of stimuli."""
    import pandas as pd

    names = scanpaths["image"].to_numpy()
    order = pd.unique(names).tolist()
    if "images" in scanpaths.attrs:
        order = json.loads(scanpaths.attrs["images"])
    numbers = pd.Index(order).get_indexer(names).astype(np.int64)
    if (numbers < 0).any():
        lacking = names[np.argmax(numbers < 0)]
        raise InvalidInput(f"attrs['images'] lists no image {str(lacking)!r}, which the set has.")
    if (numbers.astype(str) != names).any():
        first = int(np.argmax(numbers.astype(str) != names))
        warnings.warn(
            f"pysaliency numbers images: {str(names[first])!r} is written as {numbers[first]}. "
            "Read the file with images= and the names in their order to have them back.",
            UserWarning,
            stacklevel=4,
        )
    return numbers


def _whole(names: np.ndarray) -> np.ndarray:
    """Return names as whole numbers where every one of them is written as one."""
    try:
        numbers = names.astype(np.int64)
    except (ValueError, OverflowError):
        return names
    return numbers if (numbers.astype(str) == names).all() else names


def _optional(scanpaths: "xr.Dataset") -> dict[str, np.ndarray]:
    return {
        name: _whole(scanpaths[name].to_numpy())
        for name in ("task", "sample")
        if name in scanpaths.coords
    }


def _attributes(place: "h5py.Group", **values: str) -> None:
    for name, value in values.items():
        place.attrs[name] = np.bytes_(value)


def _fill(group: "h5py.Group", values: dict[str, np.ndarray]) -> None:
    import h5py

    for name, array in values.items():
        if array.dtype.kind == "U":
            group.create_dataset(name, data=array.astype(object), dtype=h5py.string_dtype())
        else:
            group[name] = array
    _attributes(group, __attributes__=json.dumps(sorted(values)))


def _is(kind: str, path: Path) -> bool:
    import h5py

    if not path.is_file() or not h5py.is_hdf5(path):
        return False
    with h5py.File(path) as file:
        return _text(file.attrs.get("type", "")) == kind


register(
    Format(
        name="pysaliency",
        summary="pysaliency HDF5, ScanpathFixations 1.0",
        suffixes=(".hdf5",),
        recognises=lambda path: _is("ScanpathFixations", path),
        read=read_pysaliency,
        write=write_scanpath_fixations,
    )
)
register(
    Format(
        name="pysaliency_trains",
        summary="pysaliency HDF5, FixationTrains 1.0 to 1.3 (its releases)",
        suffixes=(".trains.h5",),
        recognises=lambda path: _is("FixationTrains", path),
        read=read_pysaliency,
        write=write_fixation_trains,
    )
)
