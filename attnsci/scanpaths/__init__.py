"""Scanpaths: containers, formats, metrics, baselines and the comparison with people.

Submodules are loaded when they are first used.
"""

import lazy_loader as lazy

from attnsci.gaze import from_arrays, from_dict, from_frame, to_frame, validate, viewing_of
from attnsci.geometry import Viewing

__getattr__, __dir__, _lazy = lazy.attach(
    __name__,
    submod_attrs={
        "edit": ["concat", "crop", "keep_inside", "rescale", "select"],
        "similarity": ["metrics", "similarity"],
    },
)

__all__ = [
    "Viewing", "concat", "crop", "from_arrays", "from_dict", "from_frame", "keep_inside",
    "metrics", "rescale", "select", "similarity", "to_frame", "validate", "viewing_of",
]  # fmt: skip
