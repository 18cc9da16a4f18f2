"""Published ways of comparing scanpaths: which metrics, with which settings, in which frame."""

import dataclasses
from collections.abc import Mapping
from typing import Any

from attnsci.scanpaths.comparison import HEADLINE, Choice

_GRID: dict[str, Any] = {"n_columns": 16, "n_rows": 12}


@dataclasses.dataclass(frozen=True)
class Protocol:
    """One way of comparing.

    Attributes
    ----------
    summary : str
    metrics : mapping of str to (str, mapping)
        Label to metric and settings, for `attnsci.scanpaths.compare`.
    frame : tuple of float, optional
        Width and height that coordinates are brought into first; as they are by default.
    """

    summary: str
    metrics: Mapping[str, Choice]
    frame: tuple[float, float] | None = None


PROTOCOLS: Mapping[str, Protocol] = {
    "headline": Protocol("where, when and in which order; the default", HEADLINE),
    "chen2021": Protocol(
        "Chen et al. 2021 (CVPR), whose people on OSIE's 70 test images are the usual ceiling",
        {
            "multimatch": ("multimatch", {}),
            "scanmatch": ("scanmatch", _GRID),
            "scanmatch 50 ms": ("scanmatch", {**_GRID, "bin_ms": 50.0}),
            "edit_distance": ("edit_distance", {"grid": 5, "algorithm": "levenshtein"}),
            "stde sum": ("scaled_time_delay_embedding", {"norm": "sum"}),
            "stde frobenius": ("scaled_time_delay_embedding", {"norm": "frobenius"}),
        },
        (320, 240),
    ),
}
