"""What a set of scanpaths holds, and what looks wrong with it."""

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import xarray as xr

LONGEST_MEDIAN_S, SHORTEST_MEDIAN_S = 5.0, 0.01
"""A median fixation outside these was most likely declared in another unit."""


def suspected_unit(scanpaths: "xr.Dataset") -> str:
    """Return what looks wrong with the unit of the durations; empty if nothing does."""
    duration = scanpaths["duration"].to_numpy()
    if np.isnan(duration).all():
        return ""
    median = float(np.nanmedian(duration))
    if median > LONGEST_MEDIAN_S:
        return f"the median fixation lasts {median:g} s: milliseconds declared as seconds?"
    if 0 < median < SHORTEST_MEDIAN_S:
        return f"the median fixation lasts {median:g} s: seconds declared as milliseconds?"
    return ""
