"""What the tokens of a transformer stand for, as text and as coordinates along their axis."""

import itertools
from collections.abc import Iterable

import numpy as np

from attnsci.errors import RecordingError

# Kind, number and width of neighbouring tokens; width 0 where they form no grid.
Run = tuple[str, int, int]
DIMS = ("token", "query", "key")


def tokens_text(runs: Iterable[Run]) -> str:
    """Return runs of tokens as text.

    Examples
    --------
    >>> tokens_text([("class", 1, 0), ("patch", 12, 4)])
    'class 1, patch 3x4'
    """
    return ", ".join(
        f"{kind} {count // width}x{width}" if width else f"{kind} {count}"
        for kind, count, width in runs
    )


def token_coords(dim: str, text: str) -> dict[str, tuple[str, np.ndarray]]:
    """Return what each token along `dim` is, and its place in the grid of patches.

    Parameters
    ----------
    dim : {"token", "query", "key"}
        Dimension; it is also the first word of the coordinates' names.
    text : str
        As of `tokens_text`.

    Returns
    -------
    dict
        ``token_kind`` ("class", "register", "patch" …), and ``patch_y`` and ``patch_x``, -1
        where a token is no patch; for queries and keys ``query_kind``, ``query_patch_y`` …

    Raises
    ------
    RecordingError
        If `text` is damaged.

    Examples
    --------
    >>> coords = token_coords("token", "class 1, patch 1x3")
    >>> list(coords["token_kind"][1]), coords["patch_x"][1].tolist()
    (['class', 'patch', 'patch', 'patch'], [-1, 0, 1, 2])
    """
    kinds: list[str] = []
    ys: list[np.ndarray] = []
    xs: list[np.ndarray] = []
    for run in text.split(", "):
        kind, _, size = run.partition(" ")
        lengths = size.split("x")
        if not all(length.isdecimal() for length in lengths) or len(lengths) > 2:
            raise RecordingError(f"{text!r} does not describe tokens. The recording is damaged.")
        if len(lengths) == 2:
            y, x = np.indices([int(length) for length in lengths])
        else:
            y = x = np.full(int(size), -1)
        kinds += itertools.repeat(kind, y.size)
        ys.append(y.ravel())
        xs.append(x.ravel())
    prefix = "" if dim == "token" else f"{dim}_"
    return {
        f"{dim}_kind": (dim, np.array(kinds, dtype=object)),
        f"{prefix}patch_y": (dim, np.concatenate(ys)),
        f"{prefix}patch_x": (dim, np.concatenate(xs)),
    }
