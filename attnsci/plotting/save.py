"""Figures on disk: vectors and pixels, the same file for the same figure."""

import datetime
import os
from pathlib import Path

import matplotlib.pyplot as plt
from matplotlib.figure import Figure

from attnsci.files import atomic_path

# Fixed, so that the same figure is the same file.
_SVG_METADATA = {"Date": datetime.date(2000, 1, 1).isoformat(), "Creator": "attnsci"}


def save_figure(figure: Figure, path: str | os.PathLike[str]) -> list[Path]:
    """Write `figure` as SVG and PNG, to `path` with those suffixes added, and close it."""
    written = []
    for suffix, metadata in ((".svg", _SVG_METADATA), (".png", {"Software": "attnsci"})):
        target = Path(f"{os.fspath(path)}{suffix}")  # with_suffix would cut "gain-0.2" short
        with atomic_path(target) as temporary:
            figure.savefig(temporary, metadata=metadata, dpi=200)
        written.append(target)
    plt.close(figure)
    return written
