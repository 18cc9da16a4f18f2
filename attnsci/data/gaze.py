"""Where people looked: OSIE and EyeCrowd, free viewing of photographs and of crowds."""

import hashlib
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from attnsci.checks import check_option
from attnsci.data.fetch import download, verify
from attnsci.data.gaze_mat import find_structs, load_mat, structs_to_frame
from attnsci.data.places import Root, find_files, search_roots
from attnsci.data.registry import Dataset, get_dataset
from attnsci.errors import ChecksumMismatch, DatasetCorrupt, DatasetNotFound
from attnsci.gaze import from_frame
from attnsci.geometry import Viewing

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr

OSIE_VIEWING = Viewing(width_px=800, height_px=600, px_per_deg=24)
"""About 24 px a degree: 33.7° × 25.3°."""
EYECROWD_VIEWING = Viewing(width_px=1024, height_px=768)
EYECROWD_COUNTS = 126_348, 500
"""Fixations and images."""

# fmt: off
OSIE_TEST = (
    1009, 1017, 1049, 1056, 1062, 1086, 1087, 1099, 1108, 1114, 1116, 1117, 1127, 1130, 1131,
    1136, 1140, 1152, 1192, 1220, 1225, 1226, 1252, 1255, 1269, 1295, 1307, 1360, 1369, 1372,
    1394, 1397, 1405, 1420, 1423, 1433, 1441, 1478, 1480, 1481, 1489, 1490, 1493, 1502, 1509,
    1523, 1528, 1530, 1549, 1555, 1558, 1567, 1576, 1581, 1595, 1596, 1605, 1609, 1615, 1616,
    1618, 1622, 1628, 1637, 1640, 1657, 1663, 1677, 1682, 1699,
)
"""The 70 images that scanpath-prediction papers test on."""
# fmt: on


def load_osie(root: Root = None, split: str | None = None) -> "xr.Dataset":
    """Return the fixations of 15 observers on the 700 images of OSIE.

    Free viewing for 3 s, 800 × 600 pixels, about 24 pixels a degree; 10,500 scanpaths of 1 to
    22 fixations, 98,321 in all. Coordinates are as stored (they look 1-based); there are no
    onsets.

    Parameters
    ----------
    root : path-like, optional
        Look here and nowhere else; by default in ``ATTNSCI_DATA`` and in the cache.
    split : {"test70"}, optional
        Only the 70 images that scanpath-prediction papers test on.

    Returns
    -------
    xarray.Dataset
        The container of `attnsci.gaze`; images are called ``"1001.jpg"`` to ``"1700.jpg"``,
        observers ``"1"`` to ``"15"``.

    Raises
    ------
    DatasetNotFound
        If the file is in none of the places; the message lists them.
    ChecksumMismatch
        If it does not hold the published fixations.
    DatasetCorrupt
        If it cannot be read.

    References
    ----------
    Xu, Jiang, Wang, Kankanhalli & Zhao 2014, J Vision 14(1):28, doi:10.1167/14.1.28.
    """
    check_option("split", split, (None, "test70"))
    dataset = get_dataset("osie")
    path = find_files(dataset, root)[0]
    table = path.with_name(dataset.files[0].unpacked)  # the same rows in a tenth of the time
    path = table if table.exists() else path
    frame = _read(path)
    found = _content(frame)
    if found != dataset.content["fixations"]:
        raise ChecksumMismatch(
            f"{path} does not hold the fixations of OSIE: their checksum is {found}. Get the file "
            "again: attnsci datasets get osie --force"
        )
    if split == "test70":
        test = [f"{number}.jpg" for number in OSIE_TEST]
        frame = frame[frame["image"].isin(test)]
    return _described(from_frame(frame, OSIE_VIEWING), dataset)


def load_eyecrowd(root: Root = None) -> "xr.Dataset":
    """Return the fixations of 16 observers on the 500 crowds of EyeCrowd.

    Free viewing for 5 s, 1024 × 768 pixels; 7,997 scanpaths (three of 8,000 have no fixation
    and are absent), 126,348 fixations. Coordinates are as stored and reach 1024 and 768 (they
    look 1-based); there are no onsets, and pixels per degree are not known.

    Parameters
    ----------
    root : path-like, optional
        Look here and nowhere else; by default in ``ATTNSCI_DATA`` and in the cache.

    Returns
    -------
    xarray.Dataset
        The container of `attnsci.gaze`; images are called ``"001.jpg"`` to ``"500.jpg"``.

    Raises
    ------
    DatasetNotFound
        If the file is in none of the places; the message lists them.
    ChecksumMismatch
        If ``fixations.csv.gz`` is not the file that the registry describes; the checksum of
        the original ``fixations.mat`` is not known, and it is taken as it is.
    DatasetCorrupt
        If it cannot be read.

    References
    ----------
    Jiang, Xu & Zhao 2014, ECCV, LNCS 8695:17.
    """
    dataset = get_dataset("eyecrowd")
    path = _verified(dataset, root)
    frame = _read(path)
    if (len(frame), frame["image"].nunique()) != EYECROWD_COUNTS:
        raise DatasetCorrupt(
            f"{path} has {len(frame)} fixations on {frame['image'].nunique()} images; EyeCrowd has "
            "{} on {}.".format(*EYECROWD_COUNTS)
        )
    return _described(from_frame(frame, EYECROWD_VIEWING), dataset)


def load_eyecrowd_faces(root: Root = None) -> "pd.DataFrame":
    """Return the 9,778 labelled faces of EyeCrowd.

    Parameters
    ----------
    root : path-like, optional
        Look here and nowhere else.

    Returns
    -------
    pandas.DataFrame
        Columns ``image``, ``face`` (from 0), ``left``, ``top``, ``width``, ``height`` (pixels
        of the 1024 × 768 image), ``frontal``, ``profile``, ``back``, ``occluded`` (bool).

    Raises
    ------
    DatasetNotFound, ChecksumMismatch, DatasetCorrupt
        As `load_eyecrowd`.
    """
    frame = _read(_verified(get_dataset("eyecrowd-faces"), root))
    return frame.astype(dict.fromkeys(("frontal", "profile", "back", "occluded"), bool))


def osie_stimulus_paths(root: Root = None) -> dict[str, Path]:
    """Return image name to file of the OSIE photographs at hand, 800 × 600 pixels.

    Raises
    ------
    DatasetNotFound
        If there is no folder ``stimuli``; the message lists where it was looked for.
    """
    return _pictures(get_dataset("osie"), root, "stimuli")


def eyecrowd_stimulus_paths(root: Root = None) -> dict[str, Path]:
    """Return image name to file of the EyeCrowd photographs at hand, halved to 512 × 384.

    Fixations are in the frame of the full size: multiply the picture's coordinates by 2, or
    bring the fixations to it with `attnsci.scanpaths.rescale`.

    Raises
    ------
    DatasetNotFound
        If there is no folder ``stimuli_512x384``; the message lists where it was looked for.
    """
    return _pictures(get_dataset("eyecrowd"), root, "stimuli_512x384")


def fetch_osie(force: bool = False, offline: bool | None = None) -> Path:
    """Put the OSIE fixations (1.1 MB) into the cache, where `load_osie` finds them.

    The licence is shown. Parameters and errors are those of `attnsci.data.fetch_mnist`.

    Parameters
    ----------
    force : bool
        Download again what is there, too.
    offline : bool, optional
        Forbid every connection; by default as ``ATTNSCI_OFFLINE`` says.

    Returns
    -------
    pathlib.Path
        The folder with ``fixations.mat`` in it.

    Raises
    ------
    OfflineError, DownloadFailed, ChecksumMismatch, StorageError
        See `attnsci.data.fetch_mnist`.
    """
    dataset = get_dataset("osie")
    folder = download(dataset, force=force, offline=offline)
    print(
        f"{dataset.title}. Licence: {dataset.licence}, {dataset.licence_note}. Please cite "
        f"{dataset.citation}.",
        file=sys.stderr,
    )
    return folder


def _read(path: Path) -> "pd.DataFrame":
    """Return the rows of a table, or of a MATLAB file of the OSIE family."""
    import pandas as pd

    if path.suffix == ".mat":
        structs = find_structs(load_mat(path))
        if structs is None:
            raise DatasetCorrupt(f"{path} has no structs with img and subjects.")
        return structs_to_frame(structs)
    try:
        return pd.read_csv(path, dtype={"image": str})
    except Exception as error:  # a damaged file makes the parser raise whatever there is
        raise DatasetCorrupt(f"{path} cannot be read: {error}. Is it whole?") from error


def _content(frame: "pd.DataFrame") -> str:
    """Return a checksum of the rows, whatever file holds them."""
    digest = hashlib.sha256("\n".join(frame["image"].astype(str)).encode())
    for name in ("observer", "fixation", "x", "y", "duration_ms"):
        digest.update(frame[name].to_numpy("<f8").tobytes())
    return digest.hexdigest()


def _verified(dataset: Dataset, root: Root) -> Path:
    path = find_files(dataset, root)[0]
    problem = verify(path, dataset.files[0])
    if problem not in ("", "not checked"):
        raise ChecksumMismatch(f"{path} is not the file that attnsci knows: {problem}.")
    return path


def _described(scanpaths: "xr.Dataset", dataset: Dataset) -> "xr.Dataset":
    return scanpaths.assign_attrs(
        dataset=dataset.name, licence=dataset.licence, citation=dataset.citation
    )


def _pictures(dataset: Dataset, root: Root, folder: str) -> dict[str, Path]:
    places = [place / folder for place in search_roots(dataset, root)]
    for place in places:
        found = sorted(place.glob("*.jpg"))
        if found:
            return {path.name: path for path in found}
    looked = "\n".join(f"  {place}" for place in places)
    raise DatasetNotFound(f"There are no pictures of {dataset.name}. Looked at:\n{looked}")
