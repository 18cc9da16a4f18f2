"""What a paper leaves behind: figures, their numbers, recordings, the table of results."""

import dataclasses
import datetime
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr
from matplotlib.figure import Figure

from attnsci.errors import RecordingError
from attnsci.files import atomic_path, recover
from attnsci.provenance import provenance, to_json
from attnsci.recording.writer import codecs

# Fixed, so that the same figure is the same file.
_SVG_METADATA = {"Date": datetime.date(2000, 1, 1).isoformat(), "Creator": "attnsci"}


@dataclasses.dataclass(frozen=True)
class Result:
    """One row of the table of results.

    Attributes
    ----------
    quantity : str
        What was measured.
    published, reference_code : str
        The number in the paper, and what the published code gives when it is run; empty if there
        is none.
    ours : float
        Our number, with the ends of its interval.
    low, high : float
        NaN where an interval makes no sense.
    n : int
        Independent units behind our number.
    unit : str
        What n counts.
    note : str
        Why ours differs, if it does.
    """

    quantity: str
    published: str
    reference_code: str
    ours: float
    low: float = float("nan")
    high: float = float("nan")
    n: int = 0
    unit: str = "scenes"
    note: str = ""


def save_figure(figure: Figure, path: str | os.PathLike[str]) -> list[Path]:
    """Write `figure` as SVG and PNG, to `path` with those suffixes added, and close it."""
    import matplotlib.pyplot as plt

    written = []
    for suffix, metadata in ((".svg", _SVG_METADATA), (".png", {"Software": "attnsci"})):
        target = Path(f"{os.fspath(path)}{suffix}")  # with_suffix would cut "gain-0.2" short
        with atomic_path(target) as temporary:
            figure.savefig(temporary, metadata=metadata, dpi=200)
        written.append(target)
    plt.close(figure)
    return written


def save_table(table: pd.DataFrame, path: str | os.PathLike[str]) -> Path:
    """Write `table` as CSV."""
    with atomic_path(path) as temporary:
        table.to_csv(temporary, index=False)
    return Path(path)


def save_dataset(
    dataset: xr.Dataset, path: str | os.PathLike[str], facts: Mapping[str, Any]
) -> Path:
    """Write `dataset` as a Zarr store with its provenance.

    Parameters
    ----------
    dataset : xarray.Dataset
        Reduced recordings; string coordinates may have any string dtype.
    path : path-like
        Ends in ``.zarr``; replaced whole.
    facts : mapping
        Model, weights, data, seed, scale: see `attnsci.provenance.provenance`.

    Returns
    -------
    pathlib.Path
    """
    # Fixed-width strings have no stable Zarr type; objects are written as variable-length ones.
    texts = {
        name: dataset[name].astype(object)
        for name in dataset.variables
        if dataset[name].dtype.kind in "UT"
    }
    stored = dataset.assign({name: texts[name] for name in texts if name in dataset.data_vars})
    stored = stored.assign_coords({name: texts[name] for name in texts if name in dataset.coords})
    stored.attrs["provenance"] = to_json(provenance(**facts))
    with atomic_path(path) as temporary:
        stored.to_zarr(
            temporary,
            zarr_format=3,
            consolidated=False,
            # Every chunk on disk and with a checksum: what is missing or cut shows on opening.
            write_empty_chunks=True,
            encoding={name: {"compressors": codecs()} for name in stored.variables},
        )
    return Path(path)


def open_dataset(path: str | os.PathLike[str]) -> xr.Dataset:
    """Read a store of `save_dataset` into memory.

    Parameters
    ----------
    path : path-like
        A ``.zarr`` folder.

    Returns
    -------
    xarray.Dataset
        As saved, with its ``provenance`` attribute, a JSON string.

    Raises
    ------
    RecordingError
        If the store is absent, truncated or damaged: a lost chunk never becomes NaN.
    """
    if not Path(path).exists():
        recover(path)  # a kill may have come between the two renames
    try:
        _check_whole(Path(path))
        return xr.open_zarr(path, consolidated=False, chunks=None).load()
    except (KeyError, ValueError, OSError, RuntimeError) as error:
        raise RecordingError(
            f"{path} is no complete recording: {error}. Write it again with the command that "
            "made it."
        ) from error


def _check_whole(store: Path) -> None:
    """Raise `ValueError` if an array of `store` has lost its description or a chunk."""
    import zarr

    lost = {
        each.name for each in store.iterdir() if each.is_dir() and not (each / "zarr.json").exists()
    }
    if not lost:
        arrays = zarr.open_group(store, mode="r").arrays()
        lost = {name for name, array in arrays if array.nchunks_initialized < array.nchunks}
    if lost:
        raise ValueError(f"parts of {', '.join(sorted(lost))} are missing")


def save_results(rows: list[Result], path: Path, title: str, caption: str) -> list[Path]:
    """Write the table of results as Markdown and CSV."""
    table = pd.DataFrame([dataclasses.asdict(row) for row in rows])
    lines = [f"# {title}", "", caption, ""]
    lines += ["| quantity | published | reference code | ours | n, 95 % interval | note |"]
    lines += ["|---|---|---|---|---|---|"]
    for row in rows:
        interval = "" if np.isnan(row.low) else f", [{_short(row.low)}, {_short(row.high)}]"
        size = f"{row.n:,} {row.unit}" if row.n else ""
        lines.append(
            f"| {row.quantity} | {row.published or '–'} | {row.reference_code or '–'} | "
            f"{_short(row.ours)} | {size}{interval} | {row.note} |"
        )
    with atomic_path(path) as temporary:
        temporary.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return [path, save_table(table, path.with_suffix(".csv"))]


def _short(value: float) -> str:
    if np.isnan(value):
        return "–"
    return f"{value:.4g}" if abs(value) > 1e-9 else "0"
