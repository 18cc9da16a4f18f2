"""Fixations in MATLAB files: struct arrays as OSIE has them, cell arrays as SUN500 has them."""

import io
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from attnsci.contents import content
from attnsci.data.mat_structure import check_structure
from attnsci.errors import DatasetCorrupt, InvalidInput

if TYPE_CHECKING:
    import pandas as pd

FIELDS = ("fix_x", "fix_y", "fix_duration")


def load_mat(path: Path) -> dict[str, Any]:
    """Return the variables of a MATLAB file (not of version 7.3).

    Raises
    ------
    DatasetCorrupt
        If it cannot be read.
    """
    import scipy.io

    try:
        check_structure(whole := content(path))
        # Without squeeze_me, which turns a scanpath of one fixation into a number.
        found = scipy.io.loadmat(io.BytesIO(whole), squeeze_me=False, struct_as_record=True)
    except DatasetCorrupt as error:
        raise DatasetCorrupt(f"{path} is no whole MATLAB file. {error}") from error
    except Exception as error:  # a damaged file makes the parser raise whatever there is
        raise DatasetCorrupt(
            f"{path} cannot be read as a MATLAB file: {type(error).__name__}: {error}. Is it whole?"
        ) from error
    return {name: value for name, value in found.items() if not name.startswith("__")}


def find_structs(variables: dict[str, Any]) -> np.ndarray | None:
    """Return the images' structs, as OSIE and EyeCrowd have them; None if there are none."""
    for value in variables.values():
        if isinstance(value, np.ndarray) and value.size:
            first = value.flat[0]
            names = getattr(getattr(first, "dtype", None), "names", None) or ()
            if {"img", "subjects"} <= set(names):
                return value
    return None


def find_cells(variables: dict[str, Any]) -> np.ndarray | None:
    """Return the cell array images × observers, as SUN500 has it; None if there is none."""
    for value in variables.values():
        if isinstance(value, np.ndarray) and value.dtype == object and value.ndim == 2:
            full = [cell for cell in value.flat if np.size(cell)]
            if full and all(np.ndim(c) == 2 and c.dtype.kind in "fiu" for c in full):
                return value
    return None


def structs_to_frame(images: np.ndarray) -> "pd.DataFrame":
    """Return the fixations of an OSIE-family file as a table.

    Parameters
    ----------
    images : ndarray
        As `find_structs` returns it; each ``.img`` and ``.subjects`` of ``fix_x``, ``fix_y``
        and ``fix_duration`` (ms).

    Returns
    -------
    pandas.DataFrame
        Columns ``image``, ``observer`` (from 1), ``fixation`` (from 0), ``x``, ``y``,
        ``duration_ms``. Scanpaths without fixations have no row.

    Raises
    ------
    DatasetCorrupt
        If a scanpath has more or fewer durations than points; the message names it.
    """
    names, counts = [], []
    values: dict[str, list[np.ndarray]] = {field: [] for field in FIELDS}
    for entry in images.flat:
        struct = entry.flat[0] if isinstance(entry, np.ndarray) else entry
        subjects = struct["subjects"].flat
        names.append(str(np.ravel(struct["img"])[0]))
        counts.append(0)
        for subject in subjects:
            one = subject.flat[0] if isinstance(subject, np.ndarray) else subject
            counts[-1] += 1
            for field in FIELDS:
                found = np.ravel(one[field])
                if found.dtype.kind not in "fiu":
                    raise DatasetCorrupt(
                        f"{field} of observer {counts[-1]} on image {names[-1]!r} holds "
                        f"{found.dtype}, not numbers."
                    )
                values[field].append(found)
    lengths = {field: np.array([len(row) for row in rows]) for field, rows in values.items()}
    image = np.repeat(np.arange(len(names)), counts)
    observer = np.arange(len(image)) - np.repeat(np.cumsum(counts) - counts, counts) + 1
    unequal = (lengths["fix_x"] != lengths["fix_y"]) | (lengths["fix_x"] != lengths["fix_duration"])
    if unequal.any():
        row = int(np.argmax(unequal))
        raise DatasetCorrupt(
            f"The scanpath of observer {observer[row]} on image {names[image[row]]!r} has "
            + ", ".join(f"{lengths[field][row]} {field}" for field in FIELDS)
            + f"; {int(unequal.sum())} such in all."
        )
    # Durations are stored as uint8 and uint16, in which sums wrap around.
    columns = {field: np.concatenate(rows).astype(float) for field, rows in values.items()}
    return _frame(
        np.array(names)[image],
        observer,
        lengths["fix_x"],
        {"x": columns["fix_x"], "y": columns["fix_y"], "duration_ms": columns["fix_duration"]},
    )


def cells_to_frame(
    cells: np.ndarray,
    images: Sequence[str] | None = None,
    sizes: Sequence[tuple[float, float]] | None = None,
) -> "pd.DataFrame":
    """Return the fixations of a cell array images × observers as a table.

    Parameters
    ----------
    cells : ndarray of object (images, observers)
        Each cell is empty or (N, 4) with rows y, x, latency (s), duration (s).
    images : sequence of str, optional
        Names, by default "1", "2", …
    sizes : sequence of (width_px, height_px), optional
        Of the images, where they differ.

    Returns
    -------
    pandas.DataFrame
        Columns ``image``, ``observer`` (the column, from 1), ``fixation``, ``x``, ``y``,
        ``onset``, ``duration`` (s), and with `sizes` ``width_px``, ``height_px``. Empty cells
        have no row.

    Raises
    ------
    InvalidInput
        If names or sizes are not as many as the images.
    DatasetCorrupt
        If a cell has another width; the message names it.
    """
    n_images = len(cells)
    names = np.arange(1, n_images + 1).astype(str) if images is None else np.array(list(images))
    if len(names) != n_images:
        raise InvalidInput(f"There are {len(names)} image names for {n_images} images.")
    if sizes is not None and np.shape(sizes) != (n_images, 2):
        raise InvalidInput(
            f"sizes must be {n_images} pairs (width_px, height_px), one an image; got "
            f"{np.shape(sizes)}."
        )
    full = [(place, cell) for place, cell in np.ndenumerate(cells) if np.size(cell)]
    for (row, column), cell in full:
        if cell.ndim != 2 or cell.shape[1] != 4:
            raise DatasetCorrupt(
                f"The cell of observer {column + 1} on image {str(names[row])!r} is {cell.shape}; "
                "it must be (fixations, 4): y, x, latency, duration."
            )
    rows = np.concatenate([cell for _, cell in full]).astype(float)
    lengths = np.array([len(cell) for _, cell in full])
    image = np.array([row for (row, _), _ in full])
    values = {"x": rows[:, 1], "y": rows[:, 0], "onset": rows[:, 2], "duration": rows[:, 3]}
    if sizes is not None:
        each = np.repeat(np.asarray(sizes, float)[image], lengths, axis=0)
        values |= {"width_px": each[:, 0], "height_px": each[:, 1]}
    observer = np.array([column + 1 for (_, column), _ in full])
    return _frame(names[image], observer, lengths, values)


def _frame(
    image: np.ndarray, observer: np.ndarray, lengths: np.ndarray, values: dict[str, np.ndarray]
) -> "pd.DataFrame":
    import pandas as pd

    fixation = np.arange(lengths.sum()) - np.repeat(np.cumsum(lengths) - lengths, lengths)
    names = {"image": np.repeat(image, lengths), "observer": np.repeat(observer, lengths)}
    return pd.DataFrame({**names, "fixation": fixation, **values})
