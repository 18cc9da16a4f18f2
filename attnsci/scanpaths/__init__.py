"""Scanpaths: containers, formats, metrics, baselines and the comparison with people.

Submodules are loaded when they are first used. None has the name of a public function, which it
would hide once imported.
"""

import lazy_loader as lazy

from attnsci.gaze import from_arrays, from_dict, from_frame, to_frame, validate, viewing_of
from attnsci.geometry import Viewing

__getattr__, __dir__, _ = lazy.attach(
    __name__,
    submod_attrs={
        "ceiling": ["observer_ceiling"],
        "clusters": ["cluster_labels", "fit_clusters"],
        "comparison": ["HEADLINE", "compare", "comparison_table"],
        "edit": ["concat", "crop", "keep_inside", "rescale", "select"],
        "formats.pymovements": ["from_pymovements"],
        "formats.io": ["read_scanpaths", "write_scanpaths"],
        "gold": ["gold_standard"],
        "maps": ["FixationMaps", "centre_bias", "fixation_density"],
        "pairs": ["metrics", "similarity"],
        "protocols": ["PROTOCOLS"],
        "recurrence": ["auto_recurrence"],
        "report": ["describe", "saccade_statistics"],
        "saliency_conditional": ["conditional_saliency"],
        "saliency_scores": ["saliency"],
    },
)

__all__ = [
    "HEADLINE", "PROTOCOLS", "FixationMaps", "Viewing", "auto_recurrence", "centre_bias",
    "cluster_labels", "compare", "comparison_table", "concat", "conditional_saliency", "crop",
    "describe", "fit_clusters", "fixation_density", "from_arrays", "from_dict", "from_frame",
    "from_pymovements",
    "gold_standard", "keep_inside", "metrics", "observer_ceiling", "read_scanpaths", "rescale",
    "saccade_statistics", "saliency", "select", "similarity", "to_frame", "validate",
    "viewing_of", "write_scanpaths",
]  # fmt: skip
