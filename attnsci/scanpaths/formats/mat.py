"""MATLAB files of the OSIE family (struct arrays) and of SUN500 (cell arrays)."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from attnsci.data.gaze_mat import (
    cells_to_frame,
    find_cells,
    find_structs,
    load_mat,
    structs_to_frame,
)
from attnsci.errors import DatasetCorrupt, InvalidInput
from attnsci.gaze import from_frame
from attnsci.geometry import Viewing
from attnsci.scanpaths.formats.base import Format, head, need_viewing, register

if TYPE_CHECKING:
    import xarray as xr


def recognises(path: Path) -> bool:
    """Return whether the file begins as MATLAB files up to version 7 do."""
    return head(path, 16).startswith(b"MATLAB 5.0 MAT")


def read(
    path: Path,
    viewing: Viewing | None = None,
    *,
    images: Sequence[str] | None = None,
    sizes: Sequence[tuple[float, float]] | None = None,
) -> "xr.Dataset":
    """Return the scanpaths of a MATLAB file.

    Parameters
    ----------
    path : pathlib.Path
        Structs ``.img``, ``.subjects`` of ``.fix_x``, ``.fix_y``, ``.fix_duration`` (ms); or
        cells images × observers of rows y, x, latency, duration (s).
    viewing : Viewing, optional
        Geometry; without it `sizes` must be given.
    images : sequence of str, optional
        Names of the images of a cell array, which holds none.
    sizes : sequence of (width_px, height_px), optional
        Of the images of a cell array, where they differ.

    Raises
    ------
    InvalidInput
        If the geometry is missing, or names or sizes are not as many as the images.
    DatasetCorrupt
        If the file holds neither form.
    """
    variables = load_mat(path)
    structs = find_structs(variables)
    if structs is not None:
        if images is not None or sizes is not None:
            raise InvalidInput("images and sizes are for cell arrays; this file names its images.")
        known = need_viewing(viewing, "A MATLAB file of fixations")
        return from_frame(structs_to_frame(structs), known)
    cells = find_cells(variables)
    if cells is None:
        raise DatasetCorrupt(
            f"{path} has neither structs with img and subjects nor a cell array images × "
            f"observers; its variables are {', '.join(variables) or 'none'}."
        )
    frame = cells_to_frame(cells, images, sizes)
    if viewing is None and sizes is not None:
        viewing = Viewing(*np.max(np.asarray(sizes, float), axis=0).tolist())
    return from_frame(frame, need_viewing(viewing, "A MATLAB cell array of fixations"))


register(
    Format(
        name="mat",
        summary="MATLAB structs as OSIE and EyeCrowd, or cells images × observers as SUN500",
        suffixes=(".mat",),
        recognises=recognises,
        read=read,
    )
)
